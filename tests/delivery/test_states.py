"""Each recipient of an announcement is in exactly one state, with a reason, and the forecast is what then happens."""

import tomllib
from collections import Counter
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa

from app import broadcasts, clock, forecast, groups, people, schedules
from app.db import Tx
from app.models import Allowance, Broadcast, Delivery, Identity
from app.outbox import claims
from app.states import DUE, OPEN, REACHED, SETTLED, STOPPABLE, Route, State
from bots.facts import ReachForecast
from bots.turns import Role
from tests.delivery import scene
from tests.delivery.scene import NOW, Desk, announce, deliveries, report, run, touched
from tests.stage import APPID, Stage

WORDS = Path(__file__).parents[2] / "app"

#: What somebody did before, and what a message to them comes to: without notices, and with.
KINDS: dict[str, tuple[tuple[str, str], tuple[str, str], str]] = {
    "typed": (("sent", "service"), ("sent", "service"), "now"),
    "typed and used up": (("waiting", "window_closed"), ("notified", "notice"), "closed"),
    "typed long ago": (("waiting", "window_closed"), ("notified", "notice"), "closed"),
    "tapped just now": (("sent", "service"), ("sent", "service"), "now"),
    "tapped a while ago": (("waiting", "window_closed"), ("notified", "notice"), "closed"),
    "never wrote": (("waiting", "window_closed"), ("notified", "notice"), "closed"),
    "unfollowed": (("unreachable", "unfollowed"), ("unreachable", "unfollowed"), "never"),
    "blocked": (("unreachable", "blocked"), ("unreachable", "blocked"), "never"),
    "paused": (("cancelled", "paused"), ("cancelled", "paused"), "never"),
    "no consent": (("cancelled", "no_consent"), ("cancelled", "no_consent"), "never"),
    "leader without consent": (("sent", "service"), ("sent", "service"), "now"),
    "leader and participant without consent": (("waiting", "window_closed"), ("notified", "notice"), "closed"),
    "erased": (("cancelled", "erased"), ("cancelled", "erased"), "never"),
}


@pytest.mark.parametrize("notices", [False, True], ids=["plain", "notices"])
def test_the_forecast_is_what_then_happens(database_url: str, tmp_path: Path, notices: bool) -> None:
    run(_forecasts(database_url, tmp_path, notices))


async def _forecasts(database_url: str, folder: Path, notices: bool) -> None:
    random = Random(20261123)
    async with Stage(database_url, folder, notices=notices) as stage:
        stage.course("正念自我关怀")
        await stage.ask("PATCH", f"/sandbox/accounts/{APPID}", {"receipt_after": 3600})  # none comes between a send and our look
        await stage.advance(timedelta(seconds=1))
        for round_ in range(5):
            group = stage.group(f"第{round_}组")
            chosen = list(KINDS) if round_ == 0 else random.choices(list(KINDS), k=random.randint(0, 14))
            made = {_somebody(stage, group, f"oState{round_:02d}{place:020d}", kind): kind for place, kind in enumerate(chosen)}
            promise = stage.read(lambda tx, group=group: forecast.forecast(tx, stage.assembly.tools.rules, group, None, None, clock.now()))  # type: ignore[misc]
            schedule = announce(stage, group)
            await stage.settle()
            rows = stage.read(lambda tx, schedule=schedule: deliveries(tx, schedule))  # type: ignore[misc]
            assert {person: (made[person], *row.word) for person, row in rows.items()} == {
                person: (kind, *KINDS[kind][notices]) for person, kind in made.items()
            }
            _promised(promise, chosen, notices)
            progress = report(stage, schedule)
            counts = Counter(row.state for row in rows.values())
            assert progress.total == scene.sums(progress.by_state) == len(chosen)
            assert sorted(count for _, count in progress.by_state) == sorted(counts.values())
            assert len(progress.unreached) == len(chosen) - sum(counts[state] for state in REACHED)
            assert promise.now == counts["sent"]
            assert promise.notice == counts["notified"]
            assert promise.later == counts["waiting"]
            assert promise.never == counts["unreachable"] + counts["cancelled"]
        arrived = Counter(row["openid"] for row in await stage.ledger())
        assert set(arrived.values()) <= {1}


def _promised(promise: ReachForecast, chosen: list[str], notices: bool) -> None:
    ways = Counter(KINDS[kind][2] for kind in chosen)
    assert promise.total == len(chosen) == promise.now + promise.notice + promise.later + promise.never
    assert (promise.now, promise.never) == (ways["now"], ways["never"])
    assert (promise.notice, promise.later) == ((ways["closed"], 0) if notices else (0, ways["closed"]))
    assert promise.notices_possible is notices


def _somebody(stage: Stage, group: int, openid: str, kind: str) -> int:
    """A member with this past, on both sides; returns the person's id."""
    world = stage.sandbox.world
    world.commit("person_made", appid=stage.assembly.accounts._known["demo"][1].appid, o=openid, name=kind, hue=1)
    world.commit("followed", o=openid)
    known = stage.write(lambda tx: _joined(tx, stage, group, openid, kind))
    if kind in ("typed", "typed and used up", "paused", "no consent", "blocked", "leader without consent", "erased"):
        touched(stage, openid, "typed")
    if kind == "tapped just now":
        touched(stage, openid, "tapped")
    stage.write(lambda tx: _past(tx, stage, known, kind))
    return known.id


def _joined(tx: Tx, stage: Stage, group: int, openid: str, kind: str) -> people.Known:
    known = people.meet(tx, stage.keyring, stage.account_id, openid, clock.now())
    if "without consent" not in kind and kind != "no consent":
        people.consent(tx, known.id, stage.course_id, "template-3", ("online",), clock.now())
    roles = {"leader without consent": [Role.LEADER], "leader and participant without consent": [Role.PARTICIPANT, Role.LEADER]}
    for role in roles.get(kind, [Role.PARTICIPANT]):
        groups.enter(tx, group, known.id, role, clock.now())
    return known


def _past(tx: Tx, stage: Stage, known: people.Known, kind: str) -> None:
    now = clock.now()
    ledger = sa.update(Allowance).where(Allowance.identity_id == known.identity_id)
    match kind:
        case "typed and used up":
            tx.execute(ledger.values(typed_left=0))
        case "typed long ago":
            tx.execute(ledger.values(typed_until=now - timedelta(minutes=1), typed_left=5))
        case "tapped a while ago":
            tx.execute(ledger.values(tapped_until=now - timedelta(seconds=1), tapped_left=3))
        case "unfollowed":
            people.left(tx, known, now)
        case "blocked":
            tx.execute(sa.update(Identity).where(Identity.id == known.identity_id).values(unreachable_code="43004"))
        case "paused":
            people.pause(tx, known.id, now)
        case "erased":  # between the membership's end and its recheck nothing readable is left
            stage.keyring.destroy(tx, known.key.id, now)
            tx.execute(sa.text("UPDATE persons SET erased_at = :now WHERE id = :id"), {"now": now.isoformat(), "id": known.id})
        case _:
            pass


def test_who_changes_between_the_announcement_and_its_turn_gets_nothing(database_url: str) -> None:
    with Desk(database_url) as desk:
        rules = desk.tools.rules
        stays, left, gone, paused, unfollowed, stopped = (desk.person(name) for name in ["小雨", "王芳", "赵敏", "孙丽", "周杰", "吴静"])
        schedule = desk.announced()
        desk.write(lambda tx: groups.end_membership(tx, desk.group, left.id, Role.PARTICIPANT, NOW, "moved"))
        desk.write(lambda tx: people.withdraw(tx, gone.id, NOW, erase_answers=False, actor="operator"))
        desk.write(lambda tx: people.pause(tx, paused.id, NOW))
        desk.write(lambda tx: people.left(tx, unfollowed, NOW))
        desk.write(lambda tx: people.erase(tx, desk.keyring, stopped.id, NOW, actor="operator"))
        posts = desk.write(lambda tx: claims.claim(tx, desk.account_id, scene.lease(), rules, NOW).posts)
        rows = desk.read(lambda tx: deliveries(tx, schedule))
        assert [post.person_id for post in posts] == [stays.id]
        assert rows[stays.id].state == "claimed"
        assert rows[left.id].word == ("cancelled", "not_member")
        assert rows[gone.id].word == ("cancelled", "withdrew")
        assert rows[paused.id].word == ("cancelled", "paused")
        assert rows[unfollowed.id].word == ("unreachable", "unfollowed")
        assert rows[stopped.id].word == ("cancelled", "withdrew")
        progress = desk.read(lambda tx: schedules.progress(tx, desk.keyring, desk.tools.words, schedule, schedules.Reader("zh")))
        assert progress.total == scene.sums(progress.by_state) == 6


def test_what_is_past_its_use_expires_and_the_broadcast_can_be_closed(database_url: str) -> None:
    with Desk(database_url) as desk:
        sleeper, writer = desk.person("小雨", typed=None), desk.person("王芳", typed=NOW)
        schedule = desk.announced()
        desk.write(lambda tx: claims.claim(tx, desk.account_id, scene.lease(), desk.tools.rules, NOW).posts)
        assert desk.read(lambda tx: deliveries(tx, schedule))[sleeper.id].word == ("waiting", "window_closed")
        late = NOW + schedules.USEFUL
        assert desk.write(lambda tx: claims.expire(tx, late - timedelta(seconds=1))) == 0
        assert desk.write(lambda tx: claims.expire(tx, late)) == 1
        desk.write(lambda tx: claims.reap(tx, late, scene.lease(seconds=60).until, desk.tools.rules))
        desk.write(lambda tx: claims.claim(tx, desk.account_id, scene.lease(), desk.tools.rules, late).posts)
        rows = desk.read(lambda tx: deliveries(tx, schedule))
        assert rows[sleeper.id].word == rows[writer.id].word == ("expired", "stale")
        assert desk.write(broadcasts.close_finished) == 1


def test_an_audience_larger_than_a_chunk_is_written_chunk_by_chunk_and_goes_at_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcasts, "CHUNK", 3)
    with Desk(database_url) as desk:
        author = desk.person("李老师", Role.LEADER)
        members = [desk.person(f"同学{number}") for number in range(7)]
        desk.write(lambda tx: groups.enter(tx, desk.group, members[0].id, Role.ASSISTANT, NOW))  # two roles are one recipient
        schedule = desk.announced(author=author)
        seen = [desk.read(lambda tx: Counter(row.state for row in deliveries(tx, schedule).values()))]
        assert len(desk.write(lambda tx: claims.claim(tx, desk.account_id, scene.lease(), desk.tools.rules, NOW)).posts) == 3
        while desk.write(lambda tx: broadcasts.expand_next(tx, NOW)):
            seen.append(desk.read(lambda tx: Counter(row.state for row in deliveries(tx, schedule).values())))
        assert seen == [{"ready": 3}, {"claimed": 3, "ready": 3}, {"claimed": 3, "ready": 4}]
        rows = desk.read(lambda tx: deliveries(tx, schedule))
        assert set(rows) == {member.id for member in members}
        second = desk.announced("第二条", author=author)
        desk.write(lambda tx: schedules.cancel(tx, second, author.id, NOW))
        assert not desk.write(lambda tx: broadcasts.expand_next(tx, NOW))
        assert {row.word for row in desk.read(lambda tx: deliveries(tx, second)).values()} == {("cancelled", "cancelled_by_author")}


def test_an_expansion_that_broke_off_goes_on_and_writes_nobody_twice(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcasts, "CHUNK", 2)
    with Desk(database_url) as desk:
        members = [desk.person(f"同学{number}") for number in range(6)]
        schedule = desk.announced()

        def die(tx: Tx) -> None:
            broadcasts.expand_next(tx, NOW)
            raise RuntimeError("killed before the commit")

        with pytest.raises(RuntimeError):
            desk.write(die)
        assert len(desk.read(lambda tx: deliveries(tx, schedule))) == 2
        late = desk.person("来晚的同学")  # the audience is whoever is there when a chunk is written
        while desk.write(lambda tx: broadcasts.expand_next(tx, NOW)):
            pass
        assert set(desk.read(lambda tx: deliveries(tx, schedule))) == {late.id, *(member.id for member in members)}
        assert desk.read(lambda tx: tx.execute(sa.select(Broadcast.state)).scalar_one()) == "going"


def test_of_two_unfinished_audiences_the_one_that_is_least_far_goes_on(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcasts, "CHUNK", 2)
    with Desk(database_url) as desk:
        for number in range(6):
            desk.person(f"同学{number}")
        first = desk.announced("一")
        desk.write(lambda tx: broadcasts.expand_next(tx, NOW))
        second = desk.announced("二")
        desk.write(lambda tx: broadcasts.expand_next(tx, NOW))
        assert [len(desk.read(lambda tx, each=each: deliveries(tx, each))) for each in (first, second)] == [4, 4]  # type: ignore[misc]


def test_the_groups_of_states_fit_together() -> None:
    assert SETTLED | {*STOPPABLE, State.SENDING} == set(State)
    assert not SETTLED & set(STOPPABLE)
    assert set(DUE) | set(OPEN) <= set(STOPPABLE)
    assert REACHED <= SETTLED
    assert [route.value for route in Route] == ["reply", "service", "notice", "mass"], "in the order of the ladder"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_state_and_every_reason_that_is_written_has_its_words(language: str) -> None:
    words = tomllib.loads((WORDS / f"texts.{language}.toml").read_text(encoding="utf-8"))
    assert set(words["state"]) == {state.value for state in State}
    written = {reason for expected in KINDS.values() for _, reason in expected[:2]}
    assert written | {"stale", "withdrew", "not_member", "released", "parked", "quiet_hours", "silence", "cap", "uncomposable"} <= set(
        words["reason"]
    )


def test_nobody_is_in_two_states_because_a_row_is_one_delivery(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person()
        schedule = desk.announced()
        row = next(iter(desk.read(lambda tx: deliveries(tx, schedule)).values()))

        def again(tx: Tx) -> None:
            copied = tx.execute(sa.select(*Delivery.__table__.columns).where(Delivery.id == row.id)).one()
            tx.execute(sa.insert(Delivery).values(**{**copied._asdict(), "id": row.id + 1}))

        with pytest.raises(sa.exc.IntegrityError):
            desk.write(again)


@pytest.mark.parametrize("state", list(State))
def test_a_broadcast_is_done_when_its_last_delivery_has_settled(database_url: str, state: State) -> None:
    with Desk(database_url) as desk:
        desk.person("小雨"), desk.person("王芳")
        desk.announced()
        everything = sa.update(Delivery).values(state=State.SENT)
        desk.write(lambda tx: tx.execute(everything))
        one = sa.select(sa.func.max(Delivery.id)).scalar_subquery()
        desk.write(lambda tx: tx.execute(sa.update(Delivery).where(Delivery.id == one).values(state=state)))
        assert desk.write(broadcasts.close_finished) == (1 if state in SETTLED else 0)


def test_whether_a_broadcast_is_done_is_seen_without_reading_its_audience(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk:
        desk.person("小雨")
        desk.announced()

        def plan(tx: Tx) -> list[str]:
            text = broadcasts._CLOSE.compiled(tx.dialect)[0].text
            return [str(row[3]) for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", ("0",) * text.count("?"))]

        looks = [line for line in desk.write(plan) if "deliveries" in line]
        assert len(looks) == 4
        assert not [line for line in looks if "SCAN" in line or "uq_deliveries" in line], looks
