"""Bad inputs, group C, through the running application: repeats and races, odd ids and moments, kinds we do not know, receipts."""

import asyncio
import itertools
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app import accounts, clock, people
from app.models import Attempt, Audit, Delivery, Identity, InboxItem, Person, Receipt
from bots.effects import Answer
from bots.facts import Need
from bots.turns import Role, Turn
from tests.app.test_bad_envelopes import listener
from tests.app.wire import OtherProcess, Wire, at
from tests.stage import APPID, Stage

Logged = Callable[[], str]

STRANGER = "oStranger_00000000000000-001"
OTHER = "oSomebodyElse_0000000000-002"


class Slow:
    """A bot that takes its time; it counts how often it was really asked: ahead of a transaction it is only asked what it would say."""

    def __init__(self, bot: Any, seconds: float, *, ahead: bool) -> None:
        self._ahead = ahead
        self.name, self.compose, self.wants = bot.name, bot.compose, bot.wants
        self._bot, self._pause = bot, threading.Event()
        self._seconds, self.asked = seconds, 0

    def answer(self, turn: Turn) -> Answer | Need:
        if not self._ahead or threading.current_thread() is not threading.main_thread():
            self.asked += 1
            self._pause.wait(self._seconds)
        answer: Answer | Need = self._bot.answer(turn)
        return answer


@pytest.mark.parametrize("processes", [1, 2])
def test_c1_the_same_push_four_times_in_parallel_has_one_effect_and_four_equal_replies(
    database_url: str, tmp_path: Path, processes: int
) -> None:
    asyncio.run(_four_times(database_url, tmp_path, processes))


async def _four_times(database_url: str, tmp_path: Path, processes: int) -> None:
    async with Stage(database_url, tmp_path) as stage, OtherProcess(stage) as other:
        stage.course("正念自我关怀")
        group = stage.group("晨光组", code="MORNING234")
        person = await stage.member("小雨", group)
        wire = Wire(stage)
        ahead = not stage.assembly.database.is_sqlite
        slow = [_slowed(assembly.tools.bots, "safety", ahead=ahead) for assembly in (stage.assembly, other.assembly)]
        doors = [stage.web, other.web] if processes == 2 else [stage.web, stage.web]
        for content, action in (("停", "pause"), ("恢复", "resume")):
            plain = wire.text(stage.openids["小雨"], content)
            repeats = [wire.sealed(plain), wire.sealed(plain)]  # a repeat may be encrypted and signed anew
            answers = await asyncio.gather(*(wire.post(*repeats[n % 2], at=doors[n // 2]) for n in range(4)))
            replies = [wire.plain(answer) for answer in answers]
            assert replies[0] is not None
            assert replies == replies[:1] * 4
            assert wire.count(Audit, Audit.action == action) == 1
        assert wire.count(InboxItem) == 2
        assert sum(each.asked for each in slow) == 2
        assert wire.count(Person, Person.id == person, Person.paused_at.is_(None)) == 1
        assert wire.quarantined() == []


def _slowed(bots: Any, name: str, *, ahead: bool) -> Slow:
    bots[name] = Slow(bots[name], 0.15, ahead=ahead)
    return bots[name]  # type: ignore[no-any-return]


def test_c1_the_first_words_of_a_stranger_four_times_on_two_processes_make_one_person(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_strangers(database_url, tmp_path))


async def _strangers(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage, OtherProcess(stage) as other:
        wire = Wire(stage)
        plain = wire.text(STRANGER, "你好")
        answers = await asyncio.gather(*(wire.push(plain, at=[stage.web, other.web][n % 2]) for n in range(4)))
        assert len({wire.plain(answer) for answer in answers}) == 1
        different = [wire.text(OTHER, f"你好{n}") for n in range(4)]
        await asyncio.gather(*(wire.push(each, at=[stage.web, other.web][n % 2]) for n, each in enumerate(different)))
        assert (wire.count(Person), wire.count(Identity), wire.count(InboxItem)) == (2, 2, 5)
        assert wire.quarantined() == []


def test_c2_one_msgid_of_two_senders_is_two_messages_and_with_other_words_the_second_is_quarantined(
    database_url: str, tmp_path: Path
) -> None:
    asyncio.run(_colliding(database_url, tmp_path))


async def _colliding(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        wire = Wire(stage)
        shared = {"MsgId": "777", "CreateTime": wire.stamp()}
        for openid in (STRANGER, OTHER):
            assert await wire.says(openid, "你好", **shared)
        assert (wire.count(InboxItem), wire.count(Person)) == (2, 2)
        answer = await wire.push(wire.text(STRANGER, "停", **shared))
        assert answer.content == b"success"
        assert wire.quarantined() == ["same key, other content"]
        assert wire.alarms() == {("quarantine", "same key, other content"): 1}
        assert wire.count(Audit, Audit.action == "pause") == 0
        later = {**shared, "CreateTime": str(int(shared["CreateTime"]) + 1)}
        assert await wire.says(STRANGER, "停", **later)  # the moment is part of the key
        assert wire.count(InboxItem) == 3
        click = wire.event(STRANGER, "CLICK", EventKey="safety.help", CreateTime=shared["CreateTime"])
        other_key = wire.event(STRANGER, "CLICK", EventKey="safety.stop", CreateTime=shared["CreateTime"])
        first, second = [wire.words(await wire.push(each)) for each in (click, other_key)]
        assert first != second != ""
        assert wire.count(InboxItem) == 5


def test_c3_one_msgid_on_two_accounts_is_two_messages(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_two_accounts(database_url, tmp_path))


async def _two_accounts(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        second = stage.write(
            lambda tx: accounts.add(
                tx,
                stage.keyring,
                clock.now(),
                name="second",
                appid="wx1111111111111111",
                original_id="gh_1111111111ab",
                secret="1" * 32,
                api_base="http://127.0.0.1:1",
            )
        )
        await stage.assembly.accounts.refresh(force=True)
        wires = [Wire(stage), Wire(stage, second)]
        shared = {"MsgId": "777", "CreateTime": wires[0].stamp()}
        for wire in wires:
            assert await wire.says(STRANGER, "你好", **shared)
        assert wires[0].count(InboxItem) == 2
        assert wires[0].count(Person) == 2  # an openid means somebody only within its account
        assert await wires[1].is_quarantined(wires[0].text(STRANGER, "你好"), "recipient")


def test_c4_c5_c7_odd_ids_are_kept_as_text_or_quarantined(database_url: str, tmp_path: Path, logged: Logged) -> None:
    asyncio.run(_odd_ids(database_url, tmp_path, logged))


KEPT_MSGIDS = ("0", "-1", str(2**63), str(2**64), "1e5", "007", "abcDEF", "9" * 32)
BAD_MSGIDS = ("9" * 33, " ", "1 2", "７", "1\n2", "-")  # "-": none at all
BAD_OPENIDS = (
    "",
    "o",
    "x" * 65,
    "x" * 1024,
    "o 1234567",
    "'; DROP TABLE persons; --",
    "../../etc/passwd",
    "oabcdef\nb",
    "o😀😀😀😀😀😀",
    "-",
)


async def _odd_ids(database_url: str, tmp_path: Path, logged: Logged) -> None:
    async with Stage(database_url, tmp_path) as stage:
        wire = Wire(stage)
        for number, msgid in enumerate(KEPT_MSGIDS, start=1):
            await wire.says(STRANGER, f"你好{number}", MsgId=msgid)
            assert wire.count(InboxItem) == number, msgid
        before = len(KEPT_MSGIDS)
        for msgid in BAD_MSGIDS:
            assert await wire.is_quarantined(wire.text(STRANGER, "停", MsgId=msgid), "MsgId"), repr(msgid)
        for openid in BAD_OPENIDS:
            assert await wire.is_quarantined(wire.text(STRANGER, "停", FromUserName=openid), "sender"), repr(openid)
        for plain in (
            wire.message(STRANGER, MsgType="event"),
            wire.message(STRANGER, MsgType="event", Event=" "),
            wire.message(STRANGER, MsgType="-"),
            wire.message(STRANGER, MsgType="", Content="停", MsgId="1"),
            wire.message(STRANGER, MsgType="image", MediaId="m"),
            wire.event(STRANGER, "TEMPLATESENDJOBFINISH", Status="success"),
            wire.event("", "subscribe"),
            wire.message(STRANGER, MsgType="event"),
        ):
            assert await wire.is_quarantined(plain), plain
        assert wire.count(InboxItem) == before
        assert wire.count(Person) == 1
        assert wire.count(Audit, Audit.action == "pause") == 0
        log = logged()
        assert not any(word in log for word in ("DROP TABLE", "etc/passwd", STRANGER, "Traceback"))


def test_c6_an_odd_create_time_never_moves_anything_in_time_and_is_alarmed(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_odd_moments(database_url, tmp_path))


async def _odd_moments(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        wire = Wire(stage)
        now = clock.now()
        odd = ["0", "-5", "4102444800", "9" * 20, wire.stamp() + "123", "1795428000.5", "", "-", "NaN", at(now - timedelta(minutes=61))]
        for number, moment in enumerate(odd, start=1):
            answers = [await wire.push(wire.text(STRANGER, "你好", CreateTime=moment, MsgId=f"{number}")) for _ in range(2)]
            assert wire.plain(answers[0]) == wire.plain(answers[1])  # a repeat is recognised all the same
            assert wire.count(InboxItem) == number, moment
            assert wire.alarms()["odd_push", "clock"] == number, moment
        for shift in (-3500, 3500):
            await wire.says(STRANGER, "你好", CreateTime=wire.stamp(shift))
        assert wire.alarms()["odd_push", "clock"] == len(odd)
        rows = stage.read(lambda tx: tx.execute(sa.select(InboxItem.sent_at, InboxItem.received_at)).all())
        assert all(abs(row.sent_at - row.received_at) < timedelta(hours=1) for row in rows)
        assert wire.quarantined() == []


def test_c8_c9_c12_things_that_are_no_text_are_answered_politely_kept_as_a_kind_and_never_fetched(
    database_url: str, tmp_path: Path, logged: Logged
) -> None:
    asyncio.run(_things(database_url, tmp_path, logged))


async def _things(database_url: str, tmp_path: Path, logged: Logged) -> None:
    with listener() as (address, calls):
        async with Stage(database_url, tmp_path) as stage:
            wire = Wire(stage)
            media = "../../../../etc/passwd"
            things: list[dict[str, str]] = [
                {"MsgType": "image", "PicUrl": f"{address}/i", "MediaId": media},
                {"MsgType": "image", "PicUrl": "file:///etc/passwd", "MediaId": media},
                {"MsgType": "image", "PicUrl": "http://169.254.169.254/latest/meta-data", "MediaId": media},
                {"MsgType": "voice", "MediaId": media, "Format": "amr", "Recognition": "停"},
                {"MsgType": "voice", "MediaId": media, "Format": "amr", "Recognition": "公告：大家好"},
                {"MsgType": "video", "MediaId": media, "ThumbMediaId": media},
                {"MsgType": "shortvideo", "MediaId": media, "ThumbMediaId": media},
                {"MsgType": "location", "Location_X": "NaN", "Location_Y": "1e999", "Scale": "x", "Label": "家"},
                {"MsgType": "link", "Title": "停", "Description": "停", "Url": f"{address}/l"},
                {"MsgType": "file", "Title": "../x.exe", "FileKey": media},
                {"MsgType": "miniprogrampage", "Title": "停", "AppId": "wx0", "PagePath": media, "ThumbUrl": f"{address}/t"},
                {"MsgType": "zzz", "Content": "停"},
                {"MsgType": "IMAGE", "PicUrl": f"{address}/I", "MediaId": media},
                {"MsgType": "a" * 1000},
            ]
            for number, fields in enumerate(things, start=1):
                openid = f"oSomebody_{number}"  # each their own, so that no loop breaker speaks
                answer = wire.words(await wire.push(wire.message(openid, MsgId=str(number), **fields)))
                assert answer, fields
                assert not any(word in answer for word in (media, address, "passwd", "zzz"))
            assert wire.words(await wire.push(wire.message(STRANGER, MsgType="TEXT", Content="停", MsgId="99")))
            assert wire.count(Audit, Audit.action == "pause") == 1
            kinds = stage.read(lambda tx: tx.execute(sa.select(InboxItem.kind).distinct()).scalars().all())
            assert set(kinds) == {"sent", "wrote"}
            assert not any(word in repr(wire.rows()) for word in (media, address, "169.254"))
            assert wire.quarantined() == []
            for name in ("LOCATION", "VIEW", "zzz", "user_authorization_revoke", "kf_create_session", "x" * 1000):
                answer_ = await wire.push(wire.event(STRANGER, name, EventKey=f"{address}/v"))
                assert answer_.content == b"success", name
            assert "Traceback" not in logged()
    assert calls == []


def test_c10_receipts_count_once_whenever_they_come(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_receipts(database_url, tmp_path))


async def _receipts(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path, notices=True) as stage:
        stage.course("正念自我关怀")
        group = stage.group("晨光组", code="MORNING234")
        await stage.member("李老师", group, Role.LEADER)
        for name in ("小雨", "王芳", "陈静"):
            await stage.member(name, group)
        wire = Wire(stage)

        seconds = itertools.count()
        await stage.ask("PATCH", f"/sandbox/accounts/{APPID}", {"receipt_after": 86_400})  # every receipt here is ours

        async def reports(msgid: str, status: str, name: str = "小雨", event: str = "TEMPLATESENDJOBFINISH") -> None:
            moment = wire.stamp(next(seconds))  # no repeats: what is done once is done once by its MsgID
            answer = await wire.push(wire.event(stage.openids[name], event, MsgID=msgid, Status=status, CreateTime=moment))
            assert answer.content == b"success"

        for number, event in enumerate(("TEMPLATESENDJOBFINISH", "MASSSENDJOBFINISH")):
            for _ in range(2):
                await reports(f"8888888{number}", "failed:user block", event=event)
        await reports("4242", "failed:user block")  # of a notice whose call has not returned yet
        assert wire.count(Receipt, Receipt.applied_at.is_(None)) == 3
        returned = '{"errcode": 0, "errmsg": "ok", "msgid": 4242}'
        await stage.faults(api="message/template/send", openid=stage.openids["陈静"], body=returned)
        await _announce(stage)
        by_person = _notices(stage)
        assert set(by_person) == {stage.openids[name] for name in ("小雨", "王芳", "陈静")}
        assert by_person[stage.openids["陈静"]] == "4242"
        assert _state(stage, "4242") == "unreachable"
        blocked = by_person[stage.openids["小雨"]]
        for _ in range(2):
            await reports(blocked, "failed:user block")
            assert _state(stage, blocked) == "unreachable"
        await reports(blocked, "success")  # a later word about the same message changes nothing
        assert _state(stage, blocked) == "unreachable"
        assert wire.count(Receipt, Receipt.msgid == blocked) == 1
        assert wire.count(Identity, Identity.unreachable_code.is_not(None)) == 2
        await reports(by_person[stage.openids["王芳"]], "success", "王芳")
        assert _state(stage, by_person[stage.openids["王芳"]]) == "notified"
        assert wire.count(Receipt, Receipt.applied_at.is_(None)) == 2
        for status in ("", "zzz", "x" * 5000, "failed: system failed", "<![CDATA["):
            await reports("99999999", status)
        assert wire.count(Receipt, Receipt.msgid == "99999999") == 1
        assert wire.quarantined() == []
        assert wire.alarms() == {}


async def _announce(stage: Stage) -> None:
    await stage.says("李老师", "公告")
    await stage.says("李老师", "明天 19:30 上课")
    await stage.taps("李老师", "现在")
    await stage.taps("李老师", "确认发送")
    await stage.settle()


def _notices(stage: Stage) -> dict[str, str]:
    """The platform's ids of the notices that went out, by openid."""
    columns = (
        sa.select(Attempt.msgid, Delivery.person_id).join(Delivery, Delivery.id == Attempt.delivery_id).where(Attempt.msgid.is_not(None))
    )

    def read(tx: Any) -> dict[str, str]:
        rows = tx.execute(columns).all()
        known = people.openids(tx, stage.keyring, stage.account_id, [row.person_id for row in rows])
        return {known[row.person_id]: row.msgid for row in rows}

    return stage.read(read)


def _state(stage: Stage, msgid: str) -> str:
    query = sa.select(Delivery.state).join(Attempt, Attempt.delivery_id == Delivery.id).where(Attempt.msgid == msgid)
    return str(stage.read(lambda tx: tx.execute(query).scalar_one()))


def test_c11_two_presses_of_one_menu_entry_in_the_same_second_count_as_one(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_pressed_twice(database_url, tmp_path))


async def _pressed_twice(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        wire = Wire(stage)
        press = wire.event(STRANGER, "CLICK", EventKey="safety.stop", CreateTime=wire.stamp())
        first, second = await asyncio.gather(wire.push(press), wire.push(press))
        assert wire.plain(first) == wire.plain(second)
        assert wire.count(Audit, Audit.action == "pause") == wire.count(InboxItem) == 1
        later = wire.event(STRANGER, "CLICK", EventKey="safety.stop", CreateTime=wire.stamp(1))
        assert wire.plain(await wire.push(later)) is not None
        assert wire.count(InboxItem) == 2
