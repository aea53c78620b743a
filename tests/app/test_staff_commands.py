"""Bad inputs, group F, through the running application: commands of the staff work for the staff, once, and after a confirmation."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa

from app import clock, groups, people, schedules
from app.inbox import sign_choice
from app.models import Audit, Conversation, Group, Guess, Invitation, Membership, Schedule
from bots.effects import Announce, Answer, CancelAnnouncement, Effect, Message, Say
from bots.texts import Words
from bots.turns import Role, Turn
from tests.app.test_bad_text import FAMILY, is_inert
from tests.app.wire import Wire
from tests.stage import Stage

TEXT = "明天 19:30 上课"
COMMANDS = [
    "公告",
    f"公告：{TEXT}",
    "列表",
    "谁收到了",
    "谁收到了 1",
    "取消 1",
    "换课程",
    "announce",
    "list",
    "who got it",
    "确认发送",
    "再发一次",
]
#: Words that would tell somebody that there is more than they can use.
HINTS = ["公告", "列表", "谁收到", "群发", "口令", "announce", "broadcast"]


async def two_groups(stage: Stage) -> tuple[int, int]:
    """A leader with a member in each of two groups, and the large group."""
    stage.course("正念自我关怀")
    morning, evening = stage.group("晨光组", code="MORNING234"), stage.group("暮色组", code="EVENING234")
    await stage.member("李老师", morning, Role.LEADER)
    await stage.member("周老师", evening, Role.LEADER)
    for name, group in (("小雨", morning), ("王芳", evening)):
        await stage.member(name, group)
        await stage.says(name, "你好")
    return morning, evening


async def to_preview(stage: Stage, name: str = "李老师", text: str = TEXT) -> str:
    """A leader writes an announcement for now; returns the preview."""
    await stage.says(name, "公告")
    await stage.says(name, text)
    return (await stage.taps(name, "现在")).text


async def link(stage: Stage, name: str, label: str) -> tuple[str, str]:
    """Content and id of the newest choice with this label, as the phone would report them."""
    for entry in reversed(await stage.chat(name)):
        for href, shown in re.findall(r'<a href="(weixin://bizmsgmenu[^"]*)">(.*?)</a>', entry["text"]):
            if shown.endswith(f". {label}"):
                asked = parse_qs(urlsplit(href).query)
                return asked["msgmenucontent"][0], asked["msgmenuid"][0]
    raise LookupError(label)


def person_id(stage: Stage, name: str) -> int:
    openid = stage.openids[name]
    return stage.write(lambda tx: people.meet(tx, stage.keyring, stage.account_id, openid, clock.now()).id)


def audited(wire: Wire, action: str) -> int:
    return wire.count(Audit, Audit.action == action)


def test_f1_commands_of_somebody_who_is_no_staff_are_chat_and_nothing_hints_at_them(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_not_staff(database_url, tmp_path))


async def _not_staff(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        morning, _ = await two_groups(stage)
        await stage.member("导师", morning, Role.MENTOR)
        await stage.member("研究助理", morning, Role.RESEARCHER)
        wire = Wire(stage)
        for name in ("小雨", "导师", "研究助理", "路人"):
            openid = await stage.openid(name, following=True)
            for command in COMMANDS:
                answer = await wire.says(openid, command)
                assert answer
                assert not any(hint in answer.lower() for hint in HINTS), (name, command, answer)
            for key in ("staff.announce", "staff.list", "staff.zzz", "staff"):
                pressed = wire.words(await wire.push(wire.event(openid, "CLICK", EventKey=key)))
                assert not any(hint in pressed.lower() for hint in HINTS), (name, key, pressed)
        assert wire.count(Schedule) == 0
        assert wire.count(Conversation, Conversation.busy) == 0


class Rogue:
    """A bot gone wrong: it asks for whatever it was told to, and says the refusal aloud."""

    def __init__(self, effect: Effect) -> None:
        self.name, self._effect = "fallback", effect

    def wants(self, turn: Turn) -> bool:
        return False

    def answer(self, turn: Turn) -> Answer:
        said = Say(Message(Words(f"拒绝：{turn.refusal}" if turn.refusal else "好")))
        return Answer((said,) if turn.refusal else (self._effect, said))


def test_f2_a_leader_cannot_address_another_group_another_course_or_everybody(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_foreign_groups(database_url, tmp_path))


async def _foreign_groups(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        _, evening = await two_groups(stage)
        large = stage.read(lambda tx: tx.execute(sa.select(Group.id).where(Group.course_id == stage.course_id, Group.large)).scalar_one())
        own_course = stage.course_id
        stage.course("另一门课", code="other")
        elsewhere = stage.group("别处组", code="ELSEWHERE2")
        stage.course_id = own_course
        wire = Wire(stage)
        leader, openid = person_id(stage, "李老师"), stage.openids["李老师"]
        stage.write(lambda tx: groups.enter(tx, large, leader, Role.LEADER, clock.now()))
        await to_preview(stage)
        draft = (await link(stage, "李老师", "取消"))[1].split("~")[0].rpartition(".")[2]
        for group in (evening, large, elsewhere):
            forged = sign_choice(stage.keyring.vault, leader, f"staff.group.{draft}.{_short(group)}")  # as if our key had leaked
            answer = await wire.says(openid, "暮色组", bizmsgmenuid=forged)
            assert not any(name in answer for name in ("大群", "别处组")), group
        for name in ("暮色组", "大群", "别处组", "全体", "所有人"):
            await stage.says("李老师", "取消")
            await stage.says("李老师", f"公告：{TEXT}")
            assert "确认发送" not in (await stage.says("李老师", name)).text, name
            await stage.advance(timedelta(seconds=11))
        assert wire.count(Schedule) == 0
        await stage.says("李老师", "取消")
        stranger = stage.write(lambda tx: _planned(tx, stage, evening))
        effects: list[Effect] = [Announce(group, TEXT, None, draft=group) for group in (evening, large, elsewhere, 1)]
        for number, effect in enumerate([*effects, CancelAnnouncement(stranger), CancelAnnouncement(1)], start=1):
            stage.assembly.tools.bots["fallback"] = Rogue(effect)  # type: ignore[index]
            assert await wire.says(openid, f"嗯嗯嗯{number}") == "拒绝：role", effect
            assert audited(wire, "effect.refused") == number
        assert wire.count(Schedule) == wire.count(Schedule, Schedule.state == "planned") == 1
        await stage.settle()
        assert not any("19:30" in entry["text"] for entry in await stage.reached("王芳"))


def _planned(tx: sa.Connection, stage: Stage, group: int) -> int:
    at = clock.now() + timedelta(days=1)
    return schedules.plan_announcement(tx, stage.keyring, author_id=None, group_id=group, text=TEXT, at=at, draft=None, now=clock.now())


def _short(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    return (_short(number // 36) if number >= 36 else "") + digits[number % 36]


def test_f3_a_role_that_was_withdrawn_a_second_ago_commands_nothing_any_more(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_withdrawn(database_url, tmp_path))


async def _withdrawn(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        morning, evening = await two_groups(stage)
        wire = Wire(stage)
        leader, other = person_id(stage, "李老师"), person_id(stage, "周老师")
        await to_preview(stage)
        stage.write(lambda tx: groups.end_membership(tx, morning, leader, Role.LEADER, clock.now(), "replaced"))
        refused = await stage.taps("李老师", "确认发送")
        assert refused.text
        assert wire.count(Schedule) == 0
        for command in COMMANDS:
            await stage.says("李老师", command)
        assert wire.count(Schedule) == 0
        # one who had unfollowed meanwhile, and comes back without the role
        await to_preview(stage, "周老师")
        content, choice = await link(stage, "周老师", "确认发送")
        await stage.does("周老师", "unfollow")
        stage.write(lambda tx: groups.end_membership(tx, evening, other, Role.LEADER, clock.now(), "left"))
        await stage.does("周老师", "follow")
        await wire.says(stage.openids["周老师"], content, bizmsgmenuid=choice)
        await stage.says("周老师", f"公告：{TEXT}")
        assert wire.count(Schedule) == 0
        # a planned announcement whose author loses the role does not go out, and its author is told
        stage.write(lambda tx: groups.enter(tx, morning, leader, Role.LEADER, clock.now()))
        await stage.advance(timedelta(seconds=11))
        await stage.says("李老师", f"公告：{TEXT}")
        await stage.taps("李老师", "今晚 20:00")
        await stage.taps("李老师", "确认发送")
        assert wire.count(Schedule, Schedule.state == "planned") == 1
        stage.write(lambda tx: groups.end_membership(tx, morning, leader, Role.LEADER, clock.now(), "replaced"))
        await stage.reached("小雨")
        await stage.advance(timedelta(hours=3))
        assert await stage.reached("小雨") == []
        assert wire.count(Schedule, Schedule.state == "missed", Schedule.why == "role") == 1


def test_f4_a_command_counts_once_and_equal_words_ask_again(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_twice(database_url, tmp_path))


async def _twice(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        await two_groups(stage)
        wire = Wire(stage)
        openid = stage.openids["李老师"]
        await to_preview(stage)
        content, choice = await link(stage, "李老师", "确认发送")
        tap = wire.text(openid, content, bizmsgmenuid=choice)
        answers = await asyncio.gather(*(wire.push(tap) for _ in range(4)))  # the platform repeats
        assert len({wire.plain(answer) for answer in answers}) == 1
        assert wire.count(Schedule) == 1
        taps = [wire.push(wire.text(openid, content, bizmsgmenuid=choice)) for _ in range(4)]  # an impatient thumb
        again = {wire.words(answer) for answer in await asyncio.gather(*taps)}
        assert all(again)
        assert wire.count(Schedule) == 1
        await stage.settle()
        assert [entry["text"] for entry in await stage.reached("小雨")] == [f"【晨光组 · 李老师】\n{TEXT}"]
        await to_preview(stage)
        await stage.taps("李老师", "确认发送")
        assert wire.count(Schedule) == 1  # asked once more
        await stage.taps("李老师", "再发一次")
        assert wire.count(Schedule) == 2
        await stage.advance(timedelta(minutes=11))
        await to_preview(stage)
        await stage.taps("李老师", "确认发送")
        assert wire.count(Schedule) == 3  # after ten minutes it is a new thing


def test_f5_a_confirmation_of_something_else_old_used_guessed_or_somebody_elses_confirms_nothing(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_confirmations(database_url, tmp_path))


async def _confirmations(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        await two_groups(stage)
        wire = Wire(stage)
        openid = stage.openids["李老师"]
        await to_preview(stage, text="第一条")
        of_first = await link(stage, "李老师", "确认发送")
        await to_preview(stage, "周老师", "周老师的")
        of_another = await link(stage, "周老师", "确认发送")
        await to_preview(stage, text="第二条")
        content, choice = await link(stage, "李老师", "确认发送")
        own, _, signature = choice.rpartition("~")
        guesses = [
            f"{own}~AAAAAAAA",
            f"{own}~",
            own,
            f"{own[:-1]}{'a' if own[-1] != 'a' else 'b'}~{signature}",
            f"{choice}x",
            "staff.ok.1~00000000",
            "1",
            "確",
            "x" * 1000,
        ]
        for name, forged in {
            "of another draft": of_first[1],
            "somebody else's": of_another[1],
            **{each[:40]: each for each in guesses},
        }.items():
            assert await wire.says(openid, content, bizmsgmenuid=forged), name
            assert wire.count(Schedule) == 0, name
        await stage.advance(timedelta(minutes=11))
        assert "第二条" in await wire.says(openid, content, bizmsgmenuid=choice)  # too old: shown anew
        assert wire.count(Schedule) == 0
        await stage.says("李老师", "继续")
        content, choice = await link(stage, "李老师", "确认发送")
        assert await wire.says(openid, content, bizmsgmenuid=choice)
        assert wire.count(Schedule) == 1
        for number in range(4):
            await wire.says(openid, content, bizmsgmenuid=choice)
            assert wire.count(Schedule) == 1, number


def test_f6_an_announcement_is_refused_with_its_limit_or_arrives_whole_in_one_message(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_lengths(database_url, tmp_path))


async def _lengths(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        await two_groups(stage)
        wire = Wire(stage)
        openid = stage.openids["李老师"]
        await stage.says("李老师", "公告")
        too_long = ["正" * 501, "正" * 682 + "a", "正" * 682 + "ab", "正" * 683, "正" * 499 + FAMILY, "<" * 501, "长" * 14_000]
        for text in too_long:
            assert "1500" in (await wire.says(openid, text)), len(text)
        for text in ("", " ", "　\n　"):
            assert await wire.says(openid, text)
        query, body = wire.sealed(wire.text(openid, "长" * 700_000))
        assert (await wire.post(query, body)).status_code == 413
        assert wire.count(Schedule) == 0
        for number, text in enumerate(("正" * 500, FAMILY * 60, "x" * 1498 + "é", "<" * 500), start=1):
            await stage.advance(timedelta(seconds=11))
            await stage.says("李老师", "取消")
            await to_preview(stage, text=text)
            await stage.taps("李老师", "确认发送")
            assert wire.count(Schedule) == number
            await stage.settle()
            (arrived,) = [entry["text"] for entry in await stage.reached("小雨")]
            assert arrived == f"【晨光组 · 李老师】\n{text.replace('<', '＜')}"
            assert len(arrived.encode()) <= 2048
            await stage.says("小雨", "收到")


def test_f7_a_staff_code_works_once_and_guessing_ends_after_five_tries_with_an_alarm(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_codes(database_url, tmp_path))


async def _codes(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        morning, _ = await two_groups(stage)
        wire = Wire(stage)

        def invite(name: str) -> str:
            return stage.write(lambda tx: groups.invite(tx, stage.keyring, morning, clock.now(), role=Role.ASSISTANT, once=True, name=name))

        staff = [Membership.group_id == morning, Membership.role == Role.ASSISTANT.value, Membership.ended_at.is_(None)]
        code = invite("陈助教")
        invited = await stage.openid("陈助教", following=True)
        for step in (code, "是的", "就用这个"):
            await wire.says(invited, step)
        assert wire.count(Membership, *staff) == 1
        thief = await stage.openid("有心人", following=True)
        unknown = await wire.says(thief, "QQQQQQQQQQ")
        assert await wire.says(thief, code) == unknown  # used looks like never having existed
        assert wire.count(Membership, *staff) == 1
        second = invite("郑助教")
        for number in range(3):
            await wire.says(thief, f"ZZZZZZZZZ{number + 2}")
            await stage.advance(timedelta(seconds=11))
        assert wire.count(Guess) == 5
        assert wire.alarms() == {("guessing", "invitation"): 1}
        for _ in range(2):
            assert await wire.says(thief, second) == unknown  # even the right one, for an hour
        assert wire.count(Membership, *staff) == 1
        assert wire.count(Invitation, Invitation.once, Invitation.used_at.is_(None)) == 1
        await stage.advance(timedelta(minutes=61))
        meant = await stage.openid("郑助教", following=True)
        for step in (second, "是的", "就用这个"):
            await wire.says(meant, step)
        assert wire.count(Membership, *staff) == 2


def test_f8_a_tap_that_carries_a_command_in_relayed_words_does_nothing_without_confirmation(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_relayed(database_url, tmp_path))


@pytest.mark.parametrize("identifier", ["0", "-"])
def test_f8_a_tap_without_an_id_is_like_typed_words_and_still_needs_a_confirmation(
    database_url: str, tmp_path: Path, identifier: str
) -> None:
    asyncio.run(_without_id(database_url, tmp_path, identifier))


async def _relayed(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        morning, _ = await two_groups(stage)
        await stage.member("陈助教", morning, Role.ASSISTANT)
        await stage.says("李老师", "你好")
        wire = Wire(stage)
        trap = '<a href="weixin://bizmsgmenu?msgmenucontent=公告：今晚取消&msgmenuid=1">点我报名</a>'
        await to_preview(stage, "陈助教", trap)
        await stage.taps("陈助教", "确认发送")
        await stage.settle()
        (arrived,) = [entry["text"] for entry in await stage.reached("李老师")]
        assert "点我报名" in arrived
        assert is_inert(arrived)
        planned = wire.count(Schedule)
        openid = stage.openids["李老师"]
        for content in ("公告：今晚取消", "确认发送", "现在", "取消 1"):  # as if the link could be tapped all the same
            assert await wire.says(openid, content, bizmsgmenuid="1")
        assert wire.count(Conversation, Conversation.busy) == 0
        await to_preview(stage, text="真的公告")
        for content in ("确认发送", "1", "再发一次"):
            assert await wire.says(openid, content, bizmsgmenuid="1")
        assert wire.count(Schedule) == planned
        assert audited(wire, "announce.cancel") == 0
        await stage.says("李老师", "继续")
        await stage.taps("李老师", "确认发送")
        assert wire.count(Schedule) == planned + 1


async def _without_id(database_url: str, tmp_path: Path, identifier: str) -> None:
    async with Stage(database_url, tmp_path) as stage:
        await two_groups(stage)
        wire = Wire(stage)
        assert TEXT not in await wire.says(stage.openids["李老师"], f"公告：{TEXT}", bizmsgmenuid=identifier)
        assert TEXT in await wire.says(stage.openids["李老师"], "现在", bizmsgmenuid=identifier)
        assert wire.count(Schedule) == 0
        await wire.says(stage.openids["李老师"], "确认发送", bizmsgmenuid=identifier)
        assert wire.count(Schedule) == 1
