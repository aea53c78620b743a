"""Every class of answer of the platform (bad-inputs.md 4, 5, L) ends in the state, the ledger and the parking that it means."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from app import accounts, clock, courses, groups, people
from app.assembly import assemble
from app.db import Tx
from app.models import Account, Attempt, Broadcast, Delivery, Identity
from app.outbox import pace, results
from app.worker import Worker
from bots.turns import Role
from tests.delivery import scene
from tests.delivery.scene import (
    NOW,
    Desk,
    alarms,
    announce,
    calls,
    deliveries,
    left,
    parked,
    report,
    run,
    touched,
    unpark,
    writers,
)
from tests.stage import APPID, Stage

SEND, NOTIFY = "message/custom/send", "message/template/send"
HTML = "<html><body>502 Bad Gateway</body></html>"


@dataclass(frozen=True)
class Case:
    """One misbehaviour towards one recipient, and what comes of it after a single round of sending."""

    name: str
    fault: dict[str, Any]
    word: tuple[str, str]
    code: str | None
    left: int = 4  # of the five messages, by our ledger; what refuses the whole account counts against nobody
    arrived: int = 0
    parks: frozenset[str] = field(default_factory=frozenset)
    alarm: str | None = None
    closed: str | None = None  # the person, by this code


BOTH = frozenset({"service", "notice"})
SERVICE = frozenset({"service"})
BROKEN = "account_broken account:{{account}}.{}"
CASES = (
    Case("nothing", {"delay_ms": 1}, ("sent", "service"), None, arrived=1),
    Case("window closed", {"errcode": 45015}, ("waiting", "window_closed"), "45015", left=0),
    Case("allowance used", {"errcode": 45047}, ("waiting", "allowance_used"), "45047", left=0),
    Case("unfollowed", {"errcode": 43004}, ("unreachable", "blocked"), "43004", closed="43004"),
    Case("foreign openid", {"errcode": 40003}, ("unreachable", "blocked"), "40003", closed="40003"),
    Case("receiving switched off", {"errcode": 48002}, ("unreachable", "blocked"), "48002", closed="48002"),
    Case("restricted", {"errcode": 50002}, ("unreachable", "blocked"), "50002", closed="50002"),
    Case("too long", {"errcode": 45002}, ("failed", "bad_message"), "45002", alarm="message_refused 45002"),
    Case("not JSON", {"errcode": 47001}, ("failed", "bad_message"), "47001", alarm="message_refused 47001"),
    Case("never seen", {"errcode": 987654}, ("failed", "bad_message"), "987654", alarm="message_refused 987654"),
    Case("busy", {"errcode": -1}, ("unknown", "platform_busy"), "-1"),
    Case("cut before", {"cut": "before"}, ("unknown", "answer_lost"), "lost_answer"),
    Case("cut after", {"cut": "after"}, ("unknown", "answer_lost"), "lost_answer", arrived=1),
    Case("502", {"status": 502, "body": HTML}, ("unknown", "answer_lost"), "http_502", arrived=1),
    Case("500", {"status": 500, "body": '{"errcode":0}'}, ("unknown", "answer_lost"), "http_500", arrived=1),
    Case("redirect", {"status": 302, "body": ""}, ("unknown", "answer_lost"), "http_302", arrived=1),
    Case("HTML", {"body": HTML}, ("unknown", "answer_lost"), "unreadable", arrived=1),
    Case("nothing in it", {"body": ""}, ("unknown", "answer_lost"), "unreadable", arrived=1),
    Case("half of it", {"body": '{"errcode":'}, ("unknown", "answer_lost"), "unreadable", arrived=1),
    Case("no errcode", {"body": "{}"}, ("unknown", "answer_lost"), "no_errcode", arrived=1),
    Case("errcode as text", {"body": '{"errcode":"0"}'}, ("sent", "service"), None, arrived=1),
    Case("token once", {"errcode": 40001}, ("sent", "service"), None, arrived=1),
    Case("minute", {"errcode": 45011}, ("ready", "parked"), "45011", left=5, parks=SERVICE),
    Case("429", {"status": 429, "body": ""}, ("ready", "parked"), "http_429", arrived=1, left=5, parks=SERVICE),
    Case("day", {"errcode": 45009}, ("ready", "parked"), "45009", left=5, parks=SERVICE, alarm="quota account:{account}.service"),
    Case("no right", {"errcode": 48001}, ("ready", "account_broken"), "48001", left=5, parks=BOTH, alarm=BROKEN.format("48001")),
    Case("address list", {"errcode": 40164}, ("ready", "account_broken"), "40164", left=5, parks=BOTH, alarm=BROKEN.format("40164")),
    Case(
        "token storm",
        {"errcode": 40001, "times": None},
        ("ready", "account_broken"),
        "40001",
        left=5,
        parks=BOTH,
        alarm=BROKEN.format("40001"),
    ),
)


def test_each_class_of_answer_to_a_service_message(database_url: str, tmp_path: Path) -> None:
    run(_service_answers(database_url, tmp_path))


async def _service_answers(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder) as stage:
        stage.course("正念自我关怀")
        for case in CASES:
            group = stage.group(case.name)
            person = (await writers(stage, group, [case.name]))[case.name]
            await stage.faults(api=SEND, openid=stage.openids[case.name], **case.fault)
            schedule = announce(stage, group, case.name)
            await stage.worker.tick()
            await stage.worker.send_due(clock.now())
            row = stage.read(lambda tx, schedule=schedule: deliveries(tx, schedule))[person]  # type: ignore[misc]
            assert (case.name, *row.word, row.code) == (case.name, *case.word, case.code)
            assert stage.read(lambda tx, person=person: left(tx, person))[0] == case.left, case.name  # type: ignore[misc]
            held = stage.read(lambda tx: parked(tx, stage.account_id))
            assert held.keys() == case.parks, case.name
            if case.alarm is not None:
                assert case.alarm.format(account=stage.account_id) in stage.read(alarms), case.name
            assert stage.read(lambda tx, person=person: _closed(tx, person)) == case.closed, case.name  # type: ignore[misc]
            await _nothing_happens_by_itself(stage, case, schedule, person)
        assert report(stage, schedule).unreached == ()


async def _nothing_happens_by_itself(stage: Stage, case: Case, schedule: int, person: int) -> None:
    """What is settled stays; what was parked goes out once, when the account is open again."""
    await stage.phones.delete("/sandbox/faults")
    stage.write(unpark)
    await stage.worker.send_due(clock.now() + timedelta(hours=14))
    row = stage.read(lambda tx: deliveries(tx, schedule))[person]
    again = case.word[0] == "ready"
    assert row.word == (("sent", "service") if again else case.word), case.name
    assert scene.texts(stage, case.name) == [f"【{case.name} · 课程团队】\n{case.name}"] * (case.arrived + again), case.name


def _closed(tx: Tx, person_id: int) -> str | None:
    found: str | None = tx.execute(sa.select(Identity.unreachable_code).where(Identity.person_id == person_id)).scalar_one()
    return found


NOTICES = (
    Case("nothing", {"delay_ms": 1}, ("notified", "notice"), None, arrived=1),
    Case("busy", {"errcode": -1}, ("retry", "platform_busy"), "-1"),
    Case("cut before", {"cut": "before"}, ("retry", "answer_lost"), "lost_answer"),
    Case("cut after", {"cut": "after"}, ("retry", "answer_lost"), "lost_answer", arrived=1),
    Case("502", {"status": 502, "body": HTML}, ("retry", "answer_lost"), "http_502", arrived=1),
    Case("same id too soon", {"errcode": 45066}, ("retry", "platform_busy"), "45066"),
    Case("duplicate of nothing", {"errcode": 40241}, ("failed", "bad_message"), "40241"),
    Case("too often", {"errcode": 43117}, ("waiting", "too_often"), "43117"),
    Case("unfollowed", {"errcode": 43004}, ("unreachable", "blocked"), "43004", closed="43004"),
    Case("bad field", {"errcode": 47003}, ("failed", "bad_message"), "47003", alarm="message_refused 47003"),
    Case("day", {"errcode": 45009}, ("ready", "parked"), "45009", parks=frozenset({"notice"}), alarm="quota account:{account}.notice"),
)


def test_each_class_of_answer_to_a_notice_and_its_repeats_under_the_same_id(database_url: str, tmp_path: Path) -> None:
    run(_notice_answers(database_url, tmp_path))


async def _notice_answers(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder, notices=True) as stage:
        stage.course("正念自我关怀")
        for case in NOTICES:
            schedule, person = await _notice(stage, case.name, case.fault)
            row = stage.read(lambda tx, schedule=schedule: deliveries(tx, schedule))[person]  # type: ignore[misc]
            assert (case.name, *row.word, row.code) == (case.name, *case.word, case.code)
            assert stage.read(lambda tx: parked(tx, stage.account_id)).keys() == case.parks, case.name
            assert stage.read(lambda tx, person=person: _closed(tx, person)) == case.closed, case.name  # type: ignore[misc]
            await stage.phones.delete("/sandbox/faults")
            stage.write(unpark)
            await stage.worker.send_due(clock.now() + (timedelta(hours=14) if case.parks else timedelta(minutes=2)))
            repeated = case.word[0] in ("retry", "ready")
            row = stage.read(lambda tx, schedule=schedule: deliveries(tx, schedule))[person]  # type: ignore[misc]
            assert (case.name, *row.word) == (case.name, *(("notified", "notice") if repeated else case.word))
            mine = [entry for entry in await stage.ledger() if entry["openid"] == stage.openids[case.name]]
            assert len(mine) == (1 if repeated else case.arrived), case.name
            assert {entry["client_id"] for entry in mine} <= {f"d{row.id}"}
        await _duplicate_after_doubt(stage)
        await _doubt_that_lasts(stage)
        await _doubt_that_was_parked(stage)


async def _notice(stage: Stage, name: str, *faults: dict[str, Any]) -> tuple[int, int]:
    """An announcement to one person without a window, sent once while the platform misbehaves."""
    group = stage.group(name)
    person = await stage.member(name, group)
    for fault in faults:
        await stage.faults(api=NOTIFY, openid=stage.openids[name], **fault)
    schedule = announce(stage, group)
    await stage.worker.tick()
    await stage.worker.send_due(clock.now())
    return schedule, person


async def _duplicate_after_doubt(stage: Stage) -> None:
    """40241 after an answer that was lost means that the first one arrived."""
    schedule, person = await _notice(stage, "复查", {"cut": "after"}, {"errcode": 40241})
    await stage.worker.send_due(clock.now() + timedelta(minutes=1))
    assert stage.read(lambda tx: deliveries(tx, schedule))[person].word == ("notified", "notice")


async def _doubt_that_lasts(stage: Stage) -> None:
    """For eight minutes the notice is repeated, every time under the same id; then nobody knows."""
    schedule, person = await _notice(stage, "久候", {"cut": "after", "times": None})
    for _ in range(10):  # step by step: after a jump the platform's own ten minutes are over
        await stage.advance(timedelta(minutes=1))
    row = stage.read(lambda tx: deliveries(tx, schedule))[person]
    assert row.word == ("unknown", "answer_lost")
    tried = stage.read(
        lambda tx: tx.execute(sa.select(Attempt.started_at).where(Attempt.delivery_id == row.id).order_by(Attempt.number)).scalars().all()
    )
    assert 6 < len(tried) == row.attempts
    assert tried[-1] - tried[0] < stage.assembly.tools.rules.notice_repeat
    assert len([entry for entry in await stage.ledger() if entry["openid"] == stage.openids["久候"]]) == 1
    await stage.phones.delete("/sandbox/faults")
    await stage.advance(timedelta(hours=1))
    assert stage.read(lambda tx: deliveries(tx, schedule))[person].word == ("unknown", "answer_lost")


async def _doubt_that_was_parked(stage: Stage) -> None:
    """A notice in doubt that could not be repeated in time is not repeated late: the platform has forgotten its id."""
    schedule, person = await _notice(stage, "搁置", {"cut": "after"})
    until = clock.now() + timedelta(minutes=15)
    stage.write(lambda tx: pace.park(tx, stage.account_id, "notice", until, "45009", clock.now()))
    await stage.advance(timedelta(minutes=5))
    assert stage.read(lambda tx: deliveries(tx, schedule))[person].word == ("ready", "parked")
    await stage.advance(timedelta(minutes=15))
    assert stage.read(lambda tx: deliveries(tx, schedule))[person].word == ("unknown", "answer_lost")
    assert len([entry for entry in await stage.ledger() if entry["openid"] == stage.openids["搁置"]]) == 1


def test_trouble_of_the_whole_account_stops_the_calls_and_bad_words_stop_the_broadcast(database_url: str, tmp_path: Path) -> None:
    run(_many(database_url, tmp_path))


async def _many(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder) as stage:
        stage.course("正念自我关怀")
        group = stage.group("大组")
        names = [f"同学{number}" for number in range(30)]
        people_ids = await writers(stage, group, names)
        await stage.faults(api=SEND, errcode=45009, times=None)
        schedule = announce(stage, group)
        await stage.settle()
        assert calls(stage, SEND)[45009] == 8, "one handful asked; the account was parked for the others"
        rows = stage.read(lambda tx: deliveries(tx, schedule))
        assert Counter(row.word for row in rows.values()) == {("ready", "parked"): 30}
        assert [stage.read(lambda tx, person=person: left(tx, person))[0] for person in people_ids.values()].count(5) == 30  # type: ignore[misc]
        other = Worker(assemble(stage.settings))  # another process on the same database
        other._assembly.database.start()
        await other.send_due(clock.now())
        await other.stop()
        other._assembly.database.stop()
        assert calls(stage, SEND)[45009] == 8, "the second process saw that the account is parked"
        held = stage.read(lambda tx: parked(tx, stage.account_id))
        assert held == {"service": datetime.fromisoformat("2026-11-24T00:00:05+08:00")}
        await stage.advance(pace.PROBE)
        assert calls(stage, SEND)[45009] == 9, "one message alone tries whether it is over"
        assert stage.read(_words)[schedule] == {("ready", "parked"): 30}
        await stage.phones.delete("/sandbox/faults")
        await stage.advance(pace.PROBE)
        assert stage.read(_words)[schedule] == {("sent", "service"): 30}, "and when it is, everything goes"
        assert set(Counter(row["openid"] for row in await stage.ledger()).values()) == {1}
        for code in (45002, 47003):
            await stage.faults(api=SEND, errcode=code, times=None)
            bad = announce(stage, group, f"太长了 {code}")
            await stage.settle()
            assert stage.read(_words)[bad] == {("failed", "bad_message"): 8, ("cancelled", "bad_message"): 22}
            assert calls(stage, SEND)[code] == 8
            assert f"broadcast_refused broadcast:{stage.read(lambda tx, bad=bad: _broadcast(tx, bad))}.{code}" in stage.read(alarms)  # type: ignore[misc]
            assert len(report(stage, bad).unreached) == 30
            await stage.phones.delete("/sandbox/faults")
        assert len(await stage.ledger()) == 30


def _words(tx: Tx) -> dict[int, "Counter[tuple[str, str]]"]:
    query = sa.select(Broadcast.schedule_id, Delivery.state, Delivery.reason).join(Broadcast, Broadcast.id == Delivery.broadcast_id)
    found: dict[int, Counter[tuple[str, str]]] = {}
    for row in tx.execute(query):
        found.setdefault(row.schedule_id, Counter())[row.state, row.reason] += 1
    return found


def _broadcast(tx: Tx, schedule_id: int) -> int:
    return int(tx.execute(sa.select(Broadcast.id).where(Broadcast.schedule_id == schedule_id)).scalar_one())


def test_a_platform_that_cannot_be_reached_is_tried_again_and_in_the_end_given_up(database_url: str, tmp_path: Path) -> None:
    run(_unreachable(database_url, tmp_path))


async def _unreachable(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder) as stage:
        stage.course("正念自我关怀")
        group = stage.group("晨光组")
        people_ids = await writers(stage, group, ["小雨"])
        first = announce(stage, group, "第一条")
        await stage.settle()  # a token is there now
        await _move(stage, "http://127.0.0.1:9")
        second = announce(stage, group, "第二条")
        await stage.worker.tick()
        await stage.worker.send_due(clock.now())
        row = stage.read(lambda tx: deliveries(tx, second))[people_ids["小雨"]]
        assert row.word == ("retry", "network")
        assert timedelta(seconds=4) < row.due_at - clock.now() <= timedelta(seconds=5)
        assert stage.read(lambda tx: left(tx, people_ids["小雨"]))[0] == 4, "what never left has used nothing up"
        await _move(stage, stage._sandbox_server.address)
        await stage.advance(timedelta(seconds=30))
        assert stage.read(lambda tx: deliveries(tx, second))[people_ids["小雨"]].word == ("sent", "service")
        await _move(stage, "http://127.0.0.1:9")
        third = announce(stage, group, "第三条")
        await stage.advance(timedelta(hours=1))
        row = stage.read(lambda tx: deliveries(tx, third))[people_ids["小雨"]]
        assert (row.word, row.attempts) == (("failed", "gave_up"), results.MOST_TRIES)
        assert stage.read(lambda tx: left(tx, people_ids["小雨"]))[0] == 3
        assert len(await stage.ledger()) == 2
        assert stage.read(lambda tx: deliveries(tx, first))[people_ids["小雨"]].state == "sent"


async def _move(stage: Stage, base: str) -> None:
    stage.write(lambda tx: tx.execute(sa.update(Account).values(api_base=base)).rowcount)
    await stage.assembly.accounts.refresh(force=True)


def test_one_accounts_trouble_never_stops_anothers(database_url: str, tmp_path: Path) -> None:
    run(_two_accounts(database_url, tmp_path))


async def _two_accounts(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder) as stage:
        stage.course("正念自我关怀")
        ours = await writers(stage, stage.group("晨光组"), ["小雨"])
        theirs, other_group = await _second_account(stage)
        for fault, word in (
            ({"errcode": 48001, "times": 1}, ("ready", "account_broken")),
            ({"cut": "before", "delay_ms": 300, "times": 1}, ("unknown", "answer_lost")),
        ):
            await stage.faults(api=SEND, openid=stage.openids["小雨"], **fault)
            first, second = announce(stage, _group_of(stage, "晨光组"), "甲"), announce(stage, other_group, "乙")
            await stage.worker.tick()
            await stage.worker.send_due(clock.now())
            assert stage.read(lambda tx, first=first: deliveries(tx, first))[ours["小雨"]].word == word  # type: ignore[misc]
            assert stage.read(lambda tx, second=second: deliveries(tx, second))[theirs].word == ("sent", "service")  # type: ignore[misc]
            assert stage.read(lambda tx: parked(tx, stage.account_id)).keys() == (BOTH if word[0] == "ready" else set())
            stage.write(unpark)
            touched(stage, stage.openids["小雨"], "typed")
        stage.write(lambda tx: tx.execute(sa.update(Account).where(Account.name == "demo").values(secret_sealed=b"x" * 40)).rowcount)
        await stage.assembly.accounts.refresh(force=True)
        last = announce(stage, other_group, "丙")
        await stage.settle()
        assert stage.read(lambda tx: deliveries(tx, last))[theirs].word == ("sent", "service"), "an account that does not open stops itself"


async def _second_account(stage: Stage) -> tuple[int, int]:
    """Another account with one course, one group and one person who wrote; returns the person and the group."""
    appid, base = "wxfedcba9876543210", stage._sandbox_server.address
    account = stage.write(
        lambda tx: accounts.add(
            tx, stage.keyring, clock.now(), name="second", appid=appid, original_id="gh_second", secret="s" * 32, api_base=base
        )
    )
    known = stage.read(lambda tx: accounts.credentials(tx, stage.keyring, account))
    given = {"appid": appid, "secret": known.secret, "token": known.token, "aes_key": known.aes_key, "original_id": known.original_id}
    answer = await stage.phones.put(
        "/sandbox/accounts", json={**given, "webhook_url": f"{stage._service_server.address}/hooks/wechat/second"}
    )
    answer.raise_for_status()
    made = await stage.phones.post("/sandbox/people", json={"appid": appid, "name": "王芳", "following": True, "wrote": True})
    openid = made.json()["openid"]

    def enter(tx: Tx) -> tuple[int, int]:
        now = clock.now()
        course = courses.create(tx, stage.keyring, now, account_id=account, code="msc2", title="第二门课")
        group = groups.create(tx, course, code="dusk", name="暮色组")
        person = people.meet(tx, stage.keyring, account, openid, now)
        people.consent(tx, person.id, course, courses.SHIPPED_CONSENT, ("online",), now)
        groups.enter(tx, group, person.id, Role.PARTICIPANT, now)
        scene.wrote(tx, person.identity_id, now)
        return person.id, group

    await stage.assembly.accounts.refresh(force=True)
    return stage.write(enter)


def _group_of(stage: Stage, code: str) -> int:
    return stage.read(lambda tx: groups.by_code(tx, code))


def test_a_message_that_cannot_be_written_holds_up_no_other(database_url: str, tmp_path: Path) -> None:
    run(_unwritable(database_url, tmp_path))


async def _unwritable(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder) as stage:
        stage.course("正念自我关怀")
        group = stage.group("晨光组")
        person = (await writers(stage, group, ["小雨"]))["小雨"]
        broken, wordless, good = announce(stage, group, "坏"), announce(stage, group, "哑"), announce(stage, group, "好")
        await stage.worker.tick()
        stage.write(lambda tx: _spoil(tx, broken, {"details_sealed": b"?" * 60}))
        stage.write(lambda tx: _spoil(tx, wordless, {"kind": "alert"}))  # the announcement bot has no words for it
        await stage.settle()
        assert stage.read(_words) == {
            broken: {("failed", "uncomposable"): 1},
            wordless: {("failed", "uncomposable"): 1},
            good: {("sent", "service"): 1},
        }
        assert stage.read(lambda tx: left(tx, person))[0] == 4
        row = stage.read(lambda tx: deliveries(tx, broken))[person]
        assert stage.read(lambda tx: scene.attempts(tx, row.id)) == [(1, "service", "unwritten")]
        assert stage.read(alarms)["message_not_written bot:announcement"] == 2


def _spoil(tx: Tx, schedule_id: int, values: dict[str, Any]) -> None:
    tx.execute(sa.update(Broadcast).where(Broadcast.schedule_id == schedule_id).values(**values))


def test_the_days_quota_parks_the_account_before_the_platform_has_to(database_url: str) -> None:
    with Desk(database_url) as desk:
        for calls_made, held in ((8, False), (8, False), (4, True)):
            desk.write(lambda tx, made=calls_made: pace.count_calls(tx, desk.account_id, "service", made, 20, NOW))  # type: ignore[misc]
            assert ("service" in desk.read(lambda tx: parked(tx, desk.account_id))) is held
        until = desk.read(lambda tx: parked(tx, desk.account_id))["service"]
        assert until == datetime.fromisoformat("2026-11-24T00:00:05+08:00")
        desk.write(lambda tx: pace.count_calls(tx, desk.account_id, "service", 8, 20, until))
        assert desk.read(lambda tx: pace.look(tx, desk.account_id, until)).shut == {}, "a new day, a new count"


def test_several_messages_to_one_person_leave_as_one_where_they_fit(database_url: str, tmp_path: Path) -> None:
    run(_together(database_url, tmp_path))


async def _together(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder) as stage:
        stage.course("正念自我关怀")
        group = stage.group("晨光组")
        await writers(stage, group, ["小雨"])
        made = [announce(stage, group, text) for text in ("一", "二", "长" * 480, "短" * 400)]
        await stage.settle()
        shown = scene.texts(stage, "小雨")
        assert len(shown) == 2
        assert all(len(text.encode()) <= 2048 for text in shown)
        assert {word for words in stage.read(_words).values() for word in words} == {("sent", "service")}
        shared = stage.read(lambda tx: tx.execute(sa.select(Attempt.call)).scalars().all())
        assert len(made) == len(shared) == 4
        assert len(set(shared)) == 2
        assert {entry["appid"] for entry in await stage.ledger()} == {APPID}
