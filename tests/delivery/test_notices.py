"""A notice points to the words: its page opens for the one who holds the link, shows nothing alive, and counts as the arrival."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from app import clock, people, schedules
from app.channels import SendError, Verdict
from app.db import Tx
from app.models import Attempt, Delivery, Identity, Receipt
from app.outbox import claims, results, riding
from app.outbox.results import Outcome
from app.states import State
from bots.turns import Role
from tests.delivery import scene
from tests.delivery.scene import NOW, Desk, announce, begin, deliveries, lease, run
from tests.stage import Stage

HOSTILE = '<img src=x onerror=alert(1)> {{7*7}} ${7*7} "q" & </div><script>alert(2)</script>\u202e'


def test_a_notice_leads_to_its_words_and_to_nothing_else(database_url: str, tmp_path: Path) -> None:
    run(_pages(database_url, tmp_path))


async def _pages(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder, notices=True) as stage:
        stage.course("正念自我关怀")
        group = stage.group("晨光组")
        leader = await stage.member("<script>李老师", group, Role.LEADER)
        readers = {name: await stage.member(name, group) for name in ("小雨", "王芳", "赵敏", "孙丽")}
        schedule = announce(stage, group, HOSTILE, author=leader)
        await stage.settle()
        words = {row.word for row in stage.read(lambda tx: deliveries(tx, schedule)).values()}
        assert words <= {("notified", "notice"), ("notified", "receipt")}
        cards = {name: (await stage.chat(name))[-1]["card"] for name in readers}
        assert [value for _, value in cards["小雨"]["fields"]] == ["小组公告", "<script>李老师", "2026年11月23日 18:00"]
        assert HOSTILE[:10] not in str(cards)
        links = {name: card["url"].removeprefix(stage.settings.public_url) for name, card in cards.items()}
        assert len(set(links.values())) == 4
        await _opens(stage, schedule, readers["小雨"], links["小雨"])
        await _foreign(stage, links)
        answer = await stage.says("王芳", "收到")
        assert "7*7" in answer.text
        await stage.advance(timedelta(seconds=1))
        rows = stage.read(lambda tx: deliveries(tx, schedule))
        assert rows[readers["王芳"]].state in ("sending", "sent")
        stage.write(lambda tx: people.erase(tx, stage.keyring, readers["孙丽"], clock.now(), actor="operator"))
        assert (await stage.web.get(links["孙丽"])).status_code == 404
        assert (await stage.web.get(links["小雨"])).status_code == 200, "it may be read again"
        await stage.advance(timedelta(days=8))
        assert stage.read(lambda tx: deliveries(tx, schedule))[readers["赵敏"]].state == "notified"
        await stage.worker.reap()
        assert stage.read(lambda tx: deliveries(tx, schedule))[readers["赵敏"]].word == ("expired", "stale")
        assert (await stage.web.get(links["赵敏"])).status_code == 200
        assert stage.read(lambda tx: deliveries(tx, schedule))[readers["赵敏"]].word == ("sent", "opened"), "late, and still the truth"
        await stage.advance(timedelta(days=6, minutes=1))
        gone = await stage.web.get(links["小雨"])
        assert (gone.status_code, gone.text) == (404, (await stage.web.get("/read/1.x")).text)
        second = announce(stage, group, "第二条", author=leader)
        await stage.settle()
        link = (await stage.chat("赵敏"))[-1]["card"]["url"].removeprefix(stage.settings.public_url)
        assert stage.write(lambda tx: schedules.cancel(tx, second, leader, clock.now())) > 0
        assert (await stage.web.get(link)).status_code == 404, "what was taken back is not shown"


async def _opens(stage: Stage, schedule: int, person: int, link: str) -> None:
    page = await stage.web.get(link)
    assert page.status_code == 200
    assert stage.read(lambda tx: deliveries(tx, schedule))[person].word == ("sent", "opened")
    assert "<script" not in page.text
    assert "<img" not in page.text
    assert "{{7*7}} ${7*7}" in page.text
    assert "＜script＞李老师" in page.text
    assert "&#34;q&#34; &amp; " in page.text
    assert re.search(r"https?://", page.text) is None, "nothing of others' is loaded"
    policy = page.headers["content-security-policy"]
    for part in ("default-src 'none'", "frame-ancestors 'none'", "form-action 'none'", "base-uri 'none'"):
        assert part in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "server" not in page.headers


async def _foreign(stage: Stage, links: dict[str, str]) -> None:
    """Every wrong link gets the same page, whether there is such a delivery or not."""
    before = stage.read(lambda tx: tx.execute(sa.select(Delivery.id, Delivery.state).order_by(Delivery.id)).all())
    number, _, signature = links["赵敏"].removeprefix("/read/").partition(".")
    other = links["王芳"].removeprefix("/read/").partition(".")[2]
    wrong = (
        f"{number}.{other}",
        f"{number}.{signature[:-1]}",
        f"{number}.{signature}A",
        f"{number}.{signature.swapcase()}",
        f"{number}.",
        f"{number}",
        f"0{number}.{signature}",
        f"%20{number}.{signature}",
        f"-{number}.{signature}",
        f"９{number}.{signature}",
        f"{10**18}.{signature}",
        f"{10**30}.{signature}",
        f"1.{signature}",
        "%00",
        "%ff.%ff",
        "x" * 3_000,
        "1;DROP TABLE deliveries.x",
    )
    answers = [await stage.web.get(f"/read/{token}") for token in wrong]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    kept = [{name: value for name, value in answer.headers.items() if name != "date"} for answer in answers]
    assert all(each == kept[0] for each in kept)
    assert (await stage.web.post(links["赵敏"])).status_code == 405
    assert stage.read(lambda tx: tx.execute(sa.select(Delivery.id, Delivery.state).order_by(Delivery.id)).all()) == before


def _notified(desk: Desk, msgid: str | None = "77", error: SendError | None = None) -> tuple[int, int]:
    """A delivery whose notice has just been answered; returns schedule and person."""
    desk.write(lambda tx: tx.execute(sa.text("UPDATE accounts SET notice_id = 'template'")).rowcount)
    person = desk.person(typed=None)
    schedule = desk.announced()
    _send(desk, [Said(msgid, error)])
    return schedule, person.id


@dataclass(frozen=True)
class Said:
    """What the platform answers to a notice."""

    msgid: str | None = None
    error: SendError | None = None


def _send(desk: Desk, answers: list[Said], *, before: Callable[[Tx], None] | None = None, now: datetime = NOW) -> None:
    mine = lease()
    posts = desk.write(lambda tx: claims.claim(tx, desk.account_id, mine, desk.tools.rules, now).posts)
    going = begin(desk, posts, mine, now)
    assert len(going) == len(answers)
    if before is not None:
        desk.write(before)
    outcomes = [Outcome(post, answer.msgid, answer.error) for post, answer in zip(going, answers, strict=True)]
    desk.write(lambda tx: results.settle(tx, desk.account_id, outcomes, desk.tools.rules, now))


def _receipt(desk: Desk, status: str, msgid: str = "77") -> None:
    desk.write(lambda tx: results.receipt(tx, desk.account_id, msgid, status, NOW))


def test_receipts_say_what_became_of_a_notice_and_count_once(database_url: str) -> None:
    with Desk(database_url) as desk:
        schedule, person = _notified(desk)
        _receipt(desk, "failed: system failed", msgid="nobody's")
        assert desk.read(lambda tx: deliveries(tx, schedule))[person].word == ("notified", "notice")
        _receipt(desk, "success")
        assert desk.read(lambda tx: deliveries(tx, schedule))[person].word == ("notified", "receipt")
        _receipt(desk, "failed:user block")  # the platform says one thing per message: the first counts
        assert desk.read(lambda tx: deliveries(tx, schedule))[person].word == ("notified", "receipt")
        assert desk.read(lambda tx: tx.execute(sa.text("SELECT count(*) FROM receipts")).scalar_one()) == 2


def test_a_blocked_notice_closes_the_person_until_they_write(database_url: str) -> None:
    with Desk(database_url) as desk:
        schedule, person = _notified(desk)
        _receipt(desk, "failed:user block")
        row = desk.read(lambda tx: deliveries(tx, schedule))[person]
        assert (row.word, row.code) == (("unreachable", "blocked"), "failed:user block")
        next_one = desk.announced("第二条")
        desk.write(lambda tx: claims.claim(tx, desk.account_id, lease(), desk.tools.rules, NOW).posts)
        assert desk.read(lambda tx: deliveries(tx, next_one))[person].word == ("unreachable", "blocked")
        scene.says(desk, 1, "我回来了", at=NOW + timedelta(minutes=1))
        assert desk.read(lambda tx: tx.execute(sa.select(Identity.unreachable_code)).scalar_one()) is None


def test_a_notice_that_failed_pointed_to_nothing(database_url: str) -> None:
    with Desk(database_url) as desk:
        schedule, person = _notified(desk)
        _receipt(desk, "failed: system failed")
        row = desk.read(lambda tx: deliveries(tx, schedule))[person]
        assert (row.word, row.code) == (("waiting", "platform_busy"), "failed: system failed")
        desk.write(lambda tx: tx.execute(sa.update(Delivery).values(state=State.READY)).rowcount)  # their touch let it out, too late
        _send(desk, [Said("78")], now=NOW + timedelta(minutes=30))
        row = desk.read(lambda tx: deliveries(tx, schedule))[person]
        assert (row.word, row.attempts) == (("notified", "notice"), 2), "they were told after all, not merely said to have been"


def test_a_receipt_may_be_faster_than_the_answer(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.write(lambda tx: tx.execute(sa.text("UPDATE accounts SET notice_id = 'template'")).rowcount)
        person = desk.person(typed=None)
        schedule = desk.announced()
        _send(desk, [Said("77")], before=lambda tx: results.receipt(tx, desk.account_id, "77", "failed:user block", NOW))
        assert desk.read(lambda tx: deliveries(tx, schedule))[person.id].word == ("unreachable", "blocked")
        assert desk.read(_unapplied) == 0


def _unapplied(tx: Tx) -> int:
    return int(tx.execute(sa.text("SELECT count(*) FROM receipts WHERE applied_at IS NULL")).scalar_one())


def test_a_receipt_after_a_lost_answer_changes_nothing_that_it_cannot_know(database_url: str) -> None:
    with Desk(database_url) as desk:
        schedule, person = _notified(desk, None, SendError(Verdict.UNKNOWN, "lost_answer"))
        _receipt(desk, "success")
        assert desk.read(lambda tx: deliveries(tx, schedule))[person].word == ("retry", "answer_lost")
        assert desk.read(_unapplied) == 1
        _send(desk, [Said("77")], now=NOW + timedelta(seconds=15))  # the repeat gets the id of the first
        assert desk.read(lambda tx: deliveries(tx, schedule))[person].word == ("notified", "receipt")
        assert desk.read(_unapplied) == 0


def test_who_writes_gets_the_words_themselves_after_a_notice(database_url: str) -> None:
    with Desk(database_url) as desk:
        schedule, person = _notified(desk)
        reply, taken = scene.says(desk, 1, "在", at=NOW + timedelta(minutes=5))
        assert "今晚见" in reply
        desk.write(lambda tx: riding.handed_over(tx, taken.inbox_id, NOW))
        assert desk.read(lambda tx: deliveries(tx, schedule))[person].word == ("sent", "reply")


def test_a_receipt_that_came_at_the_very_moment_of_its_own_answer_is_applied_by_the_next_look(database_url: str, tmp_path: Path) -> None:
    """On PostgreSQL both transactions may miss each other's row: nobody then applies the receipt, so the reaper does."""

    run(_missed(database_url, tmp_path))


async def _missed(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder, notices=True) as stage:
        stage.course("正念自我关怀")
        group = stage.group("晨光组")
        await stage.member("小雨", group)
        announce(stage, group, "今晚见")
        await stage.settle()
        stage.write(lambda tx: tx.execute(sa.delete(Receipt)))  # the sandbox's own, wherever it is by now
        msgid = stage.read(lambda tx: tx.execute(sa.select(Attempt.msgid)).scalar_one())
        row = {"account_id": stage.account_id, "msgid": msgid, "status": "failed:user block", "received_at": clock.now()}
        stage.write(lambda tx: tx.execute(sa.insert(Receipt).values(**row)))
        await stage.worker.reap()
        assert stage.read(lambda tx: tx.execute(sa.select(Delivery.state)).scalar_one()) == State.UNREACHABLE
        assert stage.read(lambda tx: tx.execute(sa.select(Receipt.applied_at)).scalar_one()) is not None
