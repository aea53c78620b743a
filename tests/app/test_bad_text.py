"""Bad inputs, group D, through the running application: what people write can neither break, forge, leak nor silence anything."""

import asyncio
import re
import unicodedata
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import regex
import sqlalchemy as sa

from app import broadcasts, clock, courses, groups
from app.models import Alert, Audit, Broadcast, Delivery, Flag, Guess, InboxItem, Person, Schedule
from app.people import names
from bots.turns import OccasionKind, Role
from tests.app.wire import Wire, fields_of
from tests.stage import Stage

Logged = Callable[[], str]

STRANGER = "oStranger_00000000000000-001"
FAMILY = "👨‍👩‍👧‍👦"
CRISIS = "我真的不想活下去了"
#: What our own choices look like; whatever else could be tapped was smuggled in.
OWN_LINK = re.compile(r'<a href="weixin://bizmsgmenu\?msgmenucontent=[^"<> &]*&msgmenuid=[a-z]+\.[^"<> &]*~[A-Za-z0-9_-]{8}">([^<>]*)</a>')


def is_inert(text: str) -> bool:
    """Whether nothing in the text can be tapped but our own choices."""
    rest = OWN_LINK.sub(r"\1", text)
    return "<" not in rest and ">" not in rest and "weixin://" not in rest.lower()


async def a_group(stage: Stage, *members: str) -> int:
    stage.course("正念自我关怀")
    group = stage.group("晨光组", code="MORNING234")
    await stage.member("李老师", group, Role.LEADER)
    for name in members:
        await stage.member(name, group)
        await stage.says(name, "你好")  # a window is open
    return group


async def announce(stage: Stage, wire: Wire, text: str) -> str:
    """The leader writes this very text over the wire, then confirms; returns the preview."""
    await stage.says("李老师", "公告")
    await wire.says(stage.openids["李老师"], text)
    await stage.says("李老师", "现在")
    preview = [entry["text"] for entry in await stage.chat("李老师") if entry["side"] == "account"][-1]
    await stage.taps("李老师", "确认发送")
    await stage.settle()
    return str(preview)


async def received(stage: Stage, name: str) -> str:
    """The words of the last announcement that arrived at somebody, without its header line."""
    text = str([entry["text"] for entry in await stage.reached(name)][-1])
    assert text.startswith("【晨光组 · 李老师】\n")
    return text.split("\n", 1)[1]


AS_IT_IS = {
    "D1 emoji": f"练习{FAMILY}🇨🇳👍🏽é ﷽",
    "D1 piled accents": "Z" + "\u0301\u0316" * 200,
    "D2 direction": "开始\u202egnp.exe\u202c \u2066a\u2069 \u200d\u200b\ufeff完",
    "D7 braces": "{{7*7}} ${7*7} %s%n {0.__class__} {{first.DATA}} {text} {group} {author:text} #{7*7} <%= 7*7 %>",
    "D8 searches": "'; DROP TABLE persons; -- % _ \\ \\0 \\' \"",
    "D9 log lines": '第一行\n{"level": "error", "event": "fake"}\n第三行',
}
MADE_INERT = {
    "D5 CDATA": "a]]></Content><MsgType><![CDATA[image]]></MsgType><Content><![CDATA[b",
    "D6 tap": '<a href="weixin://bizmsgmenu?msgmenucontent=yes&msgmenuid=1">点我</a>',
    "D6 link": '<a href="http://evil.example">点我</a>',
    "D6 scheme": "WeiXin://bizmsgmenu?msgmenucontent=yes&msgmenuid=1 weixin : / / dl/stickers",
    "D6 half": "<a href='weixin://bizmsgmenu?msgmenucontent=a&msgmenuid=staff.ok.1",
    "D6 nested": "<<a>a href=http://evil.example>x<</a>/a>",
}


def test_d1_d2_d5_d6_d7_d8_d9_a_leaders_hostile_announcement_arrives_literally_and_inert(
    database_url: str, tmp_path: Path, logged: Logged
) -> None:
    asyncio.run(_announced(database_url, tmp_path, logged))


async def _announced(database_url: str, tmp_path: Path, logged: Logged) -> None:
    async with Stage(database_url, tmp_path) as stage:
        await a_group(stage, "小雨")
        stage.write(lambda tx: courses.set_cap(tx, stage.course_id, None, clock.now()))  # all of them on one day
        wire = Wire(stage)
        for name, text in (AS_IT_IS | MADE_INERT).items():
            preview = await announce(stage, wire, text)
            words = await received(stage, "小雨")
            assert is_inert(preview), name
            assert is_inert(words), name
            shown = text.translate({ord("<"): "＜", ord(">"): "＞"}) if name in AS_IT_IS else words
            assert words == shown, name
            await stage.says("小雨", "收到")  # her window stays open
            await stage.advance(timedelta(seconds=11))  # nobody writes faster than people do
        log = logged()
        assert not any(word in log for word in ("DROP TABLE", "fake", "evil.example", "Traceback", *stage.openids.values()))
        listed = (await stage.says("李老师", "列表")).text
        assert is_inert(listed)
        assert len(listed.encode()) <= 2048


def test_d3_characters_that_no_xml_holds_are_removed_at_the_door_and_noted(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_controls(database_url, tmp_path))


async def _controls(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        await a_group(stage, "小雨")
        wire = Wire(stage)
        leader = stage.openids["李老师"]
        dirty = "课\x00程\x01\x08\x0b\x1b[31m\x1f改\x7f\x85\x9f期\ufffe\uffff到\t明\r\n天"
        await stage.says("李老师", "公告")
        assert wire.words(await wire.push(wire.text(leader, dirty)))
        assert wire.alarms()["odd_push", "controls"] == 1
        await stage.says("李老师", "现在")
        await stage.taps("李老师", "确认发送")
        await stage.settle()
        assert await received(stage, "小雨") == "课程[31m改期到\t明\n天"
        assert wire.words(await wire.push(wire.text(leader, "\x00\x01\x02")))  # nothing is left: an empty message
        assert wire.quarantined() == []


def test_d4_huge_and_empty_texts_get_a_clear_answer_and_are_no_answer(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_sizes(database_url, tmp_path))


async def _sizes(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        await a_group(stage)
        wire = Wire(stage)
        newcomer = await stage.openid("新人", following=True)
        assert "晨光组" in await wire.says(newcomer, "MORNING234")
        for text in ("", " ", "\n\n", "　　", "\u200b\u200d\ufeff\u2028"):
            assert await wire.says(newcomer, text), repr(text)
            assert wire.count(Guess) == 0
        await wire.says(newcomer, "开始")
        for huge in ("正" * 682, "正" * 683, "a" * 2048, FAMILY * 1500, "长" * 14_000):
            answer = await wire.says(newcomer, huge)
            assert answer
            assert huge not in answer
        assert wire.count(Schedule) == 0
        assert wire.quarantined() == []
        query, body = wire.sealed(wire.text(newcomer, "长" * 200_000))
        assert (await wire.post(query, body)).status_code == 413
        stored = stage.read(lambda tx: tx.execute(sa.text("SELECT max(length(reply_sealed)) FROM inbox")).scalar_one())
        assert stored < 3000  # what was written is not stored; what we answered is


HOSTILE_NAMES = [
    *MADE_INERT.values(),
    "{{7*7}}",
    "%s%n",
    "{0.__class__}",
    "Z" + "\u0301\u0316" * 50,
    "小\u202e雨",
    f"小{FAMILY}雨",
    "王\x00芳",
]


def test_d1_d2_d3_d5_d6_d7_hostile_names_are_refused_or_shown_as_they_are(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_names(database_url, tmp_path))


async def _names(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        stage.course('<a href="http://evil.example">{{7*7}}</a>]]>', code="evil")
        stage.on_call(await stage.member("值班", stage.group("值班组"), Role.ADMINISTRATOR))
        stage.group('晨光<a href="weixin://bizmsgmenu?msgmenucontent=yes&msgmenuid=1">组</a>{0.__class__}]]>', code="MORNING234")
        wire = Wire(stage)
        for number, name in enumerate(HOSTILE_NAMES):
            openid = f"oNewcomer_{number:03}"
            for step in ("MORNING234", "开始", "同意", "愿意", "能", name):
                answer = await wire.says(openid, step)
                assert is_inert(answer), (name, step)
            if "欢迎加入" not in answer:
                assert "欢迎加入" in await wire.says(openid, "小雨"), name
            assert is_inert(await wire.says(openid, CRISIS))
        stored = stage.read(lambda tx: set(names(tx, stage.keyring, list(tx.execute(sa.select(Person.id)).scalars())).values()))
        for name in stored:
            assert not any(unicodedata.category(each) in {"Cc", "Cs"} or each in "<>{}\u202e" for each in name), name
        assert wire.count(Flag) == len(HOSTILE_NAMES)
        await stage.says("值班", "你好")
        await stage.settle()
        assert all(is_inert(entry["text"]) for entry in await stage.chat("值班"))
        assert wire.quarantined() == []


def test_d6_a_hostile_name_on_an_invitation_is_inert_where_it_is_offered(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_invited(database_url, tmp_path))


async def _invited(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        group = await a_group(stage)
        wire = Wire(stage)
        for number, name in enumerate(HOSTILE_NAMES):
            code = stage.write(
                lambda tx, name=name: groups.invite(tx, stage.keyring, group, clock.now(), role=Role.ASSISTANT, once=True, name=name)  # type: ignore[misc]
            )
            for step in (code, "是的", "就用这个", "列表"):
                assert is_inert(await wire.says(f"oInvited_{number:03}", step)), (name, step)
        assert wire.quarantined() == []


def test_d5_d6_words_that_no_bot_takes_are_never_echoed_as_markup(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_echoed(database_url, tmp_path))


async def _echoed(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path, mode="plaintext") as stage:
        wire = Wire(stage)
        for number, text in enumerate((*AS_IT_IS.values(), *MADE_INERT.values())):
            answer = await wire.post(wire.query(), wire.text(f"oSomebody_{number:03}", text))
            assert is_inert(wire.words(answer))
            assert fields_of(answer.content)["ToUserName"] == f"oSomebody_{number:03}"


def test_d9_fake_log_lines_and_escape_codes_reach_no_log(database_url: str, tmp_path: Path, logged: Logged) -> None:
    asyncio.run(_log_lines(database_url, tmp_path, logged))


class Clumsy:
    """A bot that fails with what somebody wrote in its message: the worst that a log can meet."""

    def __init__(self) -> None:
        self.name = "fallback"

    def wants(self, turn: object) -> bool:
        return False

    def answer(self, turn: object) -> object:
        raise ValueError(f"cannot read {turn!r}")


async def _log_lines(database_url: str, tmp_path: Path, logged: Logged) -> None:
    async with Stage(database_url, tmp_path) as stage:
        stage.assembly.tools.bots["fallback"] = Clumsy()  # type: ignore[index]
        wire = Wire(stage)
        text = '你好\r\n{"level": "critical", "event": "fake"}\x1b[2J\x1b]0;owned\x07 access_token=abcdef'
        answer = await wire.says(STRANGER, text)
        assert answer
        assert "ValueError" not in answer
        log = logged()
        assert "bot_failed" in log
        assert not any(word in log for word in ("fake", "owned", "\x1b", "abcdef", STRANGER, "你好"))
        assert wire.quarantined() == ["bot: ValueError"]
        assert wire.alarms() == {
            ("bot_failed", "ValueError"): 1,
            ("quarantine", "bot: ValueError"): 1,
            ("odd_push", "controls"): 1,
        }
        assert not any(word in repr(wire.rows()) for word in ("fake", STRANGER, "你好"))


def test_d11_words_of_crisis_are_heard_in_every_state_and_alert_in_the_same_transaction(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_crisis(database_url, tmp_path))


STATES = {
    "nobody yet": (),
    "reading the welcome": ("MORNING234",),
    "asked to consent": ("MORNING234", "开始"),
    "asked whether willing": ("MORNING234", "开始", "同意"),
    "asked for a name": ("MORNING234", "开始", "同意", "愿意", "能"),
    "member": ("MORNING234", "开始", "同意", "愿意", "能", "小雨"),
    "paused": ("MORNING234", "开始", "同意", "愿意", "能", "小雨", "停"),
    "asked how to withdraw": ("MORNING234", "开始", "同意", "愿意", "能", "小雨", "退出课程"),
    "withdrawn": ("MORNING234", "开始", "同意", "愿意", "能", "小雨", "退出课程", "1"),
    "guessing codes": tuple(f"加入 MORNING{n}{n}{n}" for n in range(2, 9)),
    "flooding": ("你好",) * 32,
    "in English": ("English",),
}


async def _crisis(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        group = await a_group(stage)
        stage.on_call(await stage.member("值班", group, Role.ASSISTANT), email="care@example.org")
        wire = Wire(stage)
        for number, (state, steps) in enumerate(STATES.items(), start=1):
            openid = f"oInDanger_{number:03}"
            for step in steps:
                await wire.says(openid, step)
            heard = await wire.says(openid, "I want to kill myself" if "English" in state else CRISIS)
            assert "120" in heard, state
            assert _alerted(stage) == (number, number, 2 * number), state  # no tick has passed
        await stage.says("李老师", "公告")
        assert "120" in await wire.says(stage.openids["李老师"], CRISIS)
        assert _alerted(stage)[0] == len(STATES) + 1
        assert wire.count(Schedule) == 0
        openid = "oInDanger_001"
        for _ in range(8):  # the breaker of loops does not silence it either
            assert "120" in await wire.says(openid, CRISIS)
        for _ in range(31):
            await wire.says(openid, "……")
        assert "120" in await wire.says(openid, CRISIS)
        assert _alerted(stage)[0] == len(STATES) + 1  # called already; each cry is audited
        assert wire.count(Audit, Audit.action == "flag.again") == 9
        assert CRISIS not in repr(wire.rows())
        assert wire.quarantined() == []


def _alerted(stage: Stage) -> tuple[int, int, int]:
    """Flags, chat alerts that are ready to go, and alerts by any route."""

    def read(tx: sa.Connection) -> tuple[int, int, int]:
        chat = sa.select(sa.func.count()).select_from(Delivery).join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        return (
            tx.execute(sa.select(sa.func.count()).select_from(Flag)).scalar_one(),
            tx.execute(chat.where(Broadcast.kind == OccasionKind.ALERT.value, Delivery.state == "ready")).scalar_one(),
            tx.execute(sa.select(sa.func.count()).select_from(Alert)).scalar_one(),
        )

    return stage.read(read)


def test_d11_where_the_alert_cannot_be_written_the_flag_stays_and_the_alert_follows(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(_alert_fails(database_url, tmp_path, monkeypatch))


async def _alert_fails(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Stage(database_url, tmp_path) as stage:
        group = await a_group(stage)
        stage.on_call(await stage.member("值班", group, Role.ASSISTANT))
        wire = Wire(stage)
        with monkeypatch.context() as broken:
            broken.setattr(broadcasts, "send_to", _fails)
            assert "120" in await wire.says(STRANGER, CRISIS)
        assert _alerted(stage) == (1, 0, 0)
        assert wire.alarms() == {("flag_not_called", "RuntimeError"): 1}
        await stage.says("值班", "你好")
        await stage.advance(timedelta(minutes=2))
        assert wire.count(Alert) == 1
        assert len(await stage.reached("值班")) == 1


def _fails(*_: object, **__: object) -> int:
    raise RuntimeError("no alert today")


def test_d12_two_hundred_messages_at_once_are_all_stored_answered_sparingly_and_hold_up_nobody(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_flood(database_url, tmp_path))


async def _flood(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        await a_group(stage, "小雨")
        wire = Wire(stage)
        sent = len(await stage.ledger())
        waits: list[float] = []

        async def other(number: int) -> str:
            begun = clock.steady()
            words = await wire.says(f"oOther_{number:03}", "你好")
            waits.append(clock.steady() - begun)
            return words

        answers: list[str] = []
        for wave in range(8):
            flood = [wire.says(STRANGER, f"第 {wave}.{n} 条") for n in range(25)]
            *flooded, honest = await asyncio.gather(*flood, other(wave))
            answers += flooded
            assert honest
        shown = [answer for answer in answers if answer]
        assert 1 <= len(shown) <= 40
        assert wire.count(InboxItem, InboxItem.kind == "wrote") >= 208
        assert stage.read(_stored_of_busiest) == 200
        assert max(waits) < 2.5
        await stage.settle()
        assert len(await stage.ledger()) == sent  # not one message of the account's quota
        await stage.advance(timedelta(seconds=15))
        assert await wire.says(STRANGER, "现在好了")
        assert wire.quarantined() == []


def _stored_of_busiest(tx: sa.Connection) -> int:
    count = sa.func.count().label("number")
    return int(
        tx.execute(sa.select(count).select_from(InboxItem).group_by(InboxItem.person_id).order_by(count.desc()).limit(1)).scalar_one()
    )


def test_d13_two_machines_that_talk_to_each_other_fall_silent(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_loops(database_url, tmp_path))


async def _loops(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        wire = Wire(stage)
        same = [await wire.says("oMachine_001", "您好，我现在有事不在，稍后回复。") for _ in range(8)]
        assert [bool(answer) for answer in same] == [True] * 5 + [False] * 3
        parrot, heard = "你好", []
        for _ in range(9):
            heard.append(parrot := await wire.says("oMachine_002", parrot))
            if not parrot:
                break
        assert 2 <= len(heard) <= 7
        assert heard[-1] == ""
        assert wire.count(InboxItem) == 8 + len(heard)
        for number in range(8):
            assert await wire.says("oHuman_001", f"你好{number}")  # other words each time: no loop
        await stage.advance(timedelta(seconds=70))
        assert await wire.says("oMachine_001", "您好，我现在有事不在，稍后回复。")


def test_d1_a_preview_is_cut_between_what_a_reader_sees_as_characters(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_cut(database_url, tmp_path))


async def _cut(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        await a_group(stage, "小雨")
        wire = Wire(stage)
        text = FAMILY * 55  # 1,375 bytes: more than a preview shows
        preview = await announce(stage, wire, text)
        assert await received(stage, "小雨") == text
        shown = preview.split("「", 1)[1].split("」", 1)[0]
        seen = set(regex.findall(r"\X", shown.split("…", maxsplit=1)[0].strip()))
        assert seen == {FAMILY}
