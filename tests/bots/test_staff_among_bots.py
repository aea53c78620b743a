"""All bots together: no event is wanted by two of them, whoever it comes from."""

from datetime import UTC, datetime

import pytest

import bots
from bots import Bot
from bots.conversation import FIRST, LAST, who_answers
from bots.turns import Event, Followed, Membership, Person, Pressed, Role, Scanned, Sent, Tapped, Turn, Wrote

NOW = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
_WORDS = """
公告|发公告|公告：明天见|公告 明天见|列表|公告列表|谁收到了|谁收到了 12|取消 12|取消|撤回 12|换课程|继续|返回|退出
停|停止|恢复|帮助|help|stop|resume|back|cancel|cancel 12|list|announce
announcement|announce see you tonight|announce 7p|公告 列表|who got it|who got 12|continue|switch course
MORNING234|morning 234|MRNNG23456|加入|我要加入|join|邀请码|绑定|同意|不同意|1
2|一|是|否|好|ok|English|中文|英文|language|我的名字|改名|我在哪|where am i|你好
hello|hi|老师好|谢谢|今天有点累|累死了|笑死|想死|我不想活了|现在|今晚|明天20:00|确认|开始|重新开始
待答问题|open questions|回答 12|answer 12|回答 12：好的|给回 12|give back 12|answer 1234|answer #1234|take back 12
我的提问|my questions|收回|收回 12
提问：几点|问组长 几点|ask my leader|接着问 12|有帮助 12|请假|请假 明天到周五|销假|i'm away|i'm back
签到|sign in|点名|点名 第3课|出勤|我的出勤|my attendance|who came|补课|补课 第3课|made up class 3|attendance|3 5 没到|都到了
退课|删除我的数据|withdraw|delete my data|unsubscribe|提问|分享|打卡|问卷|练习|作业
练习提醒|定时练习|practice prompt|练习提醒：晚安|练习提醒 每天 8点|提醒列表|my prompts|暂停提醒|暂停提醒 5|恢复提醒
恢复提醒 5|改提醒 5|取消提醒 5|pause prompt 5|cancel prompt 5|提醒我|晚点提醒我
催一下|催一下 12|催 12：快选|截止 12|follow up 12|follow up 23|close 12|收到|投票 北京 郑州|北京
菜单|menu|help me|救命|？|?|…|😀|12345
"""
WORDS = _WORDS.strip().replace("\n", "|").split("|")
EVENTS: list[Event] = [
    *map(Wrote, WORDS),
    *map(Sent, ["image", "voice", "video", "location", "link", "file", "other", "empty"]),
    *map(Pressed, ["staff.announce", "staff.list", "safety.help", "safety.stop", "onboarding.start", "nobody.knows"]),
    *map(Scanned, ["MORNING234", "attend.x1", "attend.", "X", ""]),
    *map(Followed, [None, "MORNING234", "attend.x1"]),
    Tapped("nobody.1", "公告"),
]


def _everybody() -> dict[str, Person]:
    def one(*roles: Role) -> Person:
        memberships = tuple(Membership(1, "静心", number, f"第{number}组", large=False, role=role) for number, role in enumerate(roles))
        return Person("小雨", "zh", "Asia/Shanghai", memberships)

    return {"stranger": one(), **{role.value: one(role) for role in Role}, "leader and participant": one(Role.LEADER, Role.PARTICIPANT)}


@pytest.fixture(scope="module")
def all_bots() -> dict[str, Bot]:
    return {bot.name: bot for bot in bots.find()}


def test_the_bots_of_the_issue_are_there(all_bots: dict[str, Bot]) -> None:
    assert {"announcement", "fallback", "onboarding", "safety", "staff"} <= set(all_bots)


@pytest.mark.parametrize(("who", "person"), _everybody().items(), ids=_everybody())
def test_no_two_bots_want_the_same_event(who: str, person: Person, all_bots: dict[str, Bot]) -> None:
    for event in EVENTS:
        turn = Turn(event, person, NOW)
        wanting = [bot.name for bot in all_bots.values() if bot.name not in (FIRST, LAST) and bot.wants(turn)]
        assert len(wanting) <= 1, (who, event, wanting)
        assert who_answers(all_bots, turn, None).name


@pytest.mark.parametrize(
    "word",
    [
        "公告",
        "列表",
        "谁收到了",
        "取消 12",
        "announce",
        "list",
        "who got it",
        "cancel 12",
        "公告：明天见",
        "公告 明天见",
        "announce see you tonight",
    ],
)
def test_the_commands_of_the_staff_reach_the_staffs_bot(word: str, all_bots: dict[str, Bot]) -> None:
    people = _everybody()
    assert who_answers(all_bots, Turn(Wrote(word), people["leader"], NOW), None).name == "staff"
    assert who_answers(all_bots, Turn(Wrote(word), people["participant"], NOW), None).name == LAST


@pytest.mark.parametrize(
    "word",
    [
        "练习提醒",
        "定时练习",
        "practice prompt",
        "练习提醒：晚安",
        "提醒列表",
        "my prompts",
        "暂停提醒 5",
        "恢复提醒 5",
        "改提醒 5",
        "取消提醒 5",
        "prompt 5",
    ],
)
def test_the_commands_of_practice_prompts_reach_their_bot(word: str, all_bots: dict[str, Bot]) -> None:
    people = _everybody()
    assert who_answers(all_bots, Turn(Wrote(word), people["leader"], NOW), None).name == "prompt"
    assert who_answers(all_bots, Turn(Wrote(word), people["participant"], NOW), None).name == LAST


@pytest.mark.parametrize(
    "word", ["取消", "返回", "继续", "现在", "确认", "明天20:00", "cancel", "back", "continue", "1", "今晚8点", "下周一9:30"]
)
def test_what_a_leader_answers_while_writing_stays_with_the_staffs_bot(word: str, all_bots: dict[str, Bot]) -> None:
    assert who_answers(all_bots, Turn(Wrote(word), _everybody()["leader"], NOW), "staff").name == "staff"
