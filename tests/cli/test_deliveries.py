"""What a person decides of messages in doubt is carried out exactly, audited, and rechecked before anything goes."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app import clock, doubts, schedules
from app.doubts import Chosen
from app.keyring import Keyring
from app.models import Attempt, Audit, Broadcast, Delivery
from app.outbox import results
from app.settings import Settings
from app.states import State
from tests.cli.conftest import Tongban, refused
from tests.delivery.scene import NOW, Desk, announce, run, touched
from tests.stage import Stage

BOTH = (State.HELD, State.UNKNOWN)


def put(tx: Any, **values: Any) -> None:
    """Let every delivery stand like this."""
    tx.execute(sa.update(Delivery).values(**values))


def stand(desk: Desk | Stage) -> list[tuple[str, str]]:
    query = sa.select(Delivery.state, Delivery.reason).order_by(Delivery.id)
    return [(row.state, row.reason) for row in desk.read(lambda tx: tx.execute(query).all())]


def in_doubt(desk: Desk, *states: str) -> tuple[int, list[int]]:
    """An announcement to as many people as there are states; returns it and the deliveries."""
    for _ in states:
        desk.person()
    schedule = desk.announced()
    ids = list(desk.read(lambda tx: tx.execute(sa.select(Delivery.id).order_by(Delivery.id)).scalars().all()))

    def work(tx: Any) -> None:
        for delivery, state in zip(ids, states, strict=True):
            tx.execute(sa.update(Delivery).where(Delivery.id == delivery).values(state=state, reason="x"))
        tx.execute(sa.update(Broadcast).values(state="done"))

    desk.write(work)
    return schedule, ids


def test_only_what_is_held_or_unknown_is_decided(database_url: str) -> None:
    with Desk(database_url) as desk:
        every = [state.value for state in State]
        in_doubt(desk, *every)
        assert desk.write(lambda tx: doubts.write_off(tx, Chosen(), BOTH, NOW)) == 2
        expected = {"held": ("cancelled", "not_released"), "unknown": ("unknown", "written_off")}
        assert stand(desk) == [expected.get(state, (state, "x")) for state in every]
        assert desk.read(lambda tx: doubts.lines(tx, Chosen(), BOTH, NOW)) == []
        for decide in (doubts.release, doubts.send_again):
            assert desk.write(lambda tx, decide=decide: decide(tx, Chosen(), NOW)) == 0  # type: ignore[misc]


def test_a_choice_is_kept_to(database_url: str) -> None:
    with Desk(database_url) as desk:
        schedule, ids = in_doubt(desk, "held", "held", "unknown")
        assert desk.write(lambda tx: doubts.release(tx, Chosen(schedule_id=schedule + 1), NOW)) == 0
        assert desk.write(lambda tx: doubts.release(tx, Chosen(course_id=desk.course_id + 1), NOW)) == 0
        assert desk.write(lambda tx: doubts.release(tx, Chosen(ids=(ids[1], ids[2])), NOW)) == 1
        assert stand(desk) == [("held", "x"), ("ready", ""), ("unknown", "x")]
        assert desk.write(lambda tx: doubts.release(tx, Chosen(course_id=desk.course_id, schedule_id=schedule), NOW)) == 1
        assert desk.write(lambda tx: doubts.send_again(tx, Chosen(course_id=desk.course_id), NOW)) == 1
        assert {state for state, _ in stand(desk)} == {"ready"}
        assert desk.read(lambda tx: tx.execute(sa.select(Broadcast.state)).scalar_one()) == "going"


def test_what_is_past_its_use_or_was_taken_back_is_not_sent_again(database_url: str) -> None:
    with Desk(database_url) as desk:
        in_doubt(desk, "unknown", "unknown")
        later = NOW + timedelta(days=8)
        assert desk.read(lambda tx: [line.stale for line in doubts.lines(tx, Chosen(), BOTH, later)]) == [2]
        assert desk.write(lambda tx: doubts.send_again(tx, Chosen(), later)) == 0
        desk.write(lambda tx: tx.execute(sa.update(Broadcast).values(state="cancelled")))
        assert desk.write(lambda tx: doubts.send_again(tx, Chosen(), NOW)) == 0
        assert stand(desk) == [("unknown", "x")] * 2


def test_a_held_message_whose_page_is_opened_has_arrived(database_url: str) -> None:
    with Desk(database_url) as desk:
        _, ids = in_doubt(desk, "held")
        assert desk.write(lambda tx: results.opened(tx, ids[0], NOW))
        assert stand(desk) == [("sent", "opened")]


def test_released_messages_are_rechecked(database_url: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with Stage(database_url, tmp_path) as stage:
            stage.course("正念")
            group = stage.group("晨光组")
            for name in ("甲", "乙"):
                await stage.member(name, group)
                touched(stage, stage.openids[name], "typed")
            announce(stage, group)
            await stage.worker.tick()
            stage.write(lambda tx: put(tx, state="held", reason="restored"))
            await stage.says("乙", "停")  # who asked us to pause meanwhile gets nothing
            await stage.ask("POST", "/sandbox/clock", {"advance": timedelta(days=8).total_seconds()})
            assert stage.write(lambda tx: doubts.release(tx, Chosen(), clock.now())) == 1
            before = len(await stage.ledger())
            await stage.settle()
            assert stand(stage) == [("expired", "stale"), ("cancelled", "paused")]
            assert len(await stage.ledger()) == before

    run(play())


def test_a_notice_in_doubt_goes_again_by_a_persons_word(database_url: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with Stage(database_url, tmp_path, notices=True) as stage:
            stage.course("正念")
            group = stage.group("晨光组")
            await stage.member("甲", group)  # never wrote: only a notice reaches them
            announce(stage, group)
            await stage.worker.tick()

            def lost(tx: Any) -> None:
                put(tx, state="unknown", reason="answer_lost", route="notice", attempts=1)
                delivery = tx.execute(sa.select(Delivery.id)).scalar_one()
                long_ago = clock.now() - timedelta(hours=1)
                tx.execute(sa.insert(Attempt).values(delivery_id=delivery, number=1, call="x", route="notice", started_at=long_ago))

            stage.write(lost)
            await stage.settle()
            assert stand(stage) == [("unknown", "answer_lost")]  # never by itself
            assert stage.write(lambda tx: doubts.send_again(tx, Chosen(), clock.now())) == 1
            await stage.settle()
            assert stand(stage)[0][0] == "notified"
            assert stage.read(lambda tx: tx.execute(sa.select(Attempt.outcome).where(Attempt.number == 1)).scalar_one()) == "written_off"

    run(play())


@pytest.fixture
def doubtful(course: Tongban) -> Tongban:
    """A terminal with an announcement to five people: three held, two unknown."""
    from app import accounts, courses, groups, people
    from app.db import Database
    from bots.turns import Role

    settings = Settings()  # type: ignore[call-arg]  # from the environment of the test
    keyring = Keyring(settings.vault())

    def seat(tx: Any) -> None:
        account, there, now = accounts.by_name(tx, "msc"), groups.by_code(tx, "dawn"), clock.now()
        for number in range(5):
            known = people.meet(tx, keyring, account, f"oPerson_{number}", now)
            people.consent(tx, known.id, courses.by_code(tx, "msc-1"), courses.SHIPPED_CONSENT, ("online",), now)
            groups.enter(tx, there, known.id, Role.PARTICIPANT, now)
        schedules.plan_announcement(tx, keyring, author_id=None, group_id=there, text="秘密的话", at=None, draft=None, now=now)
        schedules.fire_next(tx, keyring, now)
        put(tx, state="held", reason="restored")
        last = tx.execute(sa.select(Delivery.id).order_by(Delivery.id.desc()).limit(2)).scalars().all()
        tx.execute(sa.update(Delivery).where(Delivery.id.in_(last)).values(state="unknown", reason="answer_lost"))

    with Database(settings.database_url) as database:
        database.write_now(seat)
    return course


def audited() -> list[tuple[str, Any]]:
    engine = sa.create_engine(Settings().database_url)  # type: ignore[call-arg]  # from the environment of the test
    with engine.connect() as connection:
        query = sa.select(Audit.action, Audit.details).where(Audit.action.startswith("deliveries.")).order_by(Audit.id)
        rows = [(row.action, row.details["count"]) for row in connection.execute(query)]
    engine.dispose()
    return rows


def test_the_operator_sees_counts_is_asked_and_decides(doubtful: Tongban, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubts, "CHUNK", 2)
    listed = doubtful("deliveries", "list")
    assert "5 in all" in listed.out
    assert "秘密" not in listed.out
    assert re.search(r"held +restored +3 +0", listed.out)
    assert "2 in all" in doubtful("deliveries", "list", "--state", "unknown").out
    single = doubtful("deliveries", "list", "--each", "--state", "held").out.splitlines()
    assert len(single) == 1 + 3 + 1
    assert "Which ones?" in refused(doubtful("deliveries", "release"))
    assert "held or unknown" in refused(doubtful("deliveries", "list", "--state", "sent"))
    asked = doubtful("deliveries", "release", "--all", typed="n\n")
    assert asked.code == 1
    assert "Let 3 messages go" in asked.out
    assert "5 in all" in doubtful("deliveries", "list").out  # nothing was done
    one = single[1].split()[0]
    assert "1 messages go out" in doubtful("deliveries", "release", one, "--yes").out
    assert "2 messages go out" in doubtful("deliveries", "release", "--announcement", "1", typed="y\n").out
    assert "gets it twice" in doubtful("deliveries", "send-again", "--all", typed="n\n").out
    assert "2 messages are written off" in doubtful("deliveries", "write-off", "--course", "msc-1", "--yes").out
    assert "Nothing is held" in doubtful("deliveries", "list").out
    assert "nothing of the kind" in doubtful("deliveries", "write-off", "--all").out
    assert audited() == [("deliveries.release", 1), ("deliveries.release", 2), ("deliveries.write_off", 2)]


def test_a_leader_reads_why(database_url: str) -> None:
    with Desk(database_url) as desk:
        schedule, _ = in_doubt(desk, "held", "unknown")
        desk.write(lambda tx: doubts.write_off(tx, Chosen(), BOTH, NOW))
        words = desk.tools.words
        said = desk.read(lambda tx: schedules.progress(tx, desk.keyring, words, schedule, schedules.Reader("zh"))).unreached
        reasons = {each.reason for each in said}
        assert reasons == {"已取消 · 恢复备份后由工作人员了结，没有再发", "不确定到了没有 · 可能已到，工作人员已了结，不再补发"}


def test_what_is_in_doubt_is_found_without_looking_at_everything(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk:
        for chosen in (Chosen(), Chosen(course_id=1)):
            query = sa.select(Delivery.id).where(*doubts._meant(chosen, BOTH))
            plan = desk.read(lambda tx, query=query: explained(tx, query))  # type: ignore[misc]
            assert "ix_deliveries_in_doubt" in plan


def explained(tx: Any, query: Any) -> str:
    compiled = query.compile(tx, compile_kwargs={"render_postcompile": True})
    values = tuple(compiled.params[name] for name in compiled.positiontup)
    return "\n".join(row[3] for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled.string}", values))
