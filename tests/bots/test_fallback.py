"""What is said when nobody else takes the word."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

import bots
from bots.clipping import room
from bots.effects import Answer, Message, Say
from bots.fallback import create
from bots.fallback.pleasantries import pleasantry
from bots.staff.commands import read_command
from bots.texts import load_texts
from bots.turns import Event, Followed, Left, Membership, Occasion, OccasionKind, Person, Pressed, Role, Scanned, Sent, Tapped, Turn, Wrote

TEXTS = load_texts(Path(bots.__file__).parent / "fallback")
BOT = create(TEXTS)
NOW = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
HELP = {"zh": "「帮助」", "en": "“help”"}
STAFF = {Role.LEADER, Role.ASSISTANT, Role.ADMINISTRATOR}
KINDS = ["image", "voice", "video", "location", "link", "file", "other", "empty", "something new"]


def _membership(role: Role, number: int = 1, name: str = "晨光组") -> Membership:
    return Membership(1, "正念自我关怀", number, name, large=False, role=role)


def _said(event: Event, memberships: tuple[Membership, ...] = (), language: str = "zh", seed: int = 0) -> str:
    turn = Turn(event, Person(None, language, "Asia/Shanghai", memberships), NOW, seed=seed)
    answer = BOT.answer(turn)
    assert isinstance(answer, Answer)
    assert answer.memory is None
    (said,) = answer.effects
    assert isinstance(said, Say)
    assert room(said.message) >= 0
    return said.message.text


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize(
    "event", [Wrote("今天有点累"), Tapped("gone.1", "好"), Pressed("gone"), Scanned("X"), Followed(), *map(Sent, KINDS)]
)
@pytest.mark.parametrize(
    "memberships", [(), (_membership(Role.PARTICIPANT),), (_membership(Role.LEADER),)], ids=["stranger", "member", "staff"]
)
def test_every_answer_shows_the_way_to_help(event: Event, memberships: tuple[Membership, ...], language: str) -> None:
    assert all(HELP[language] in _said(event, memberships, language, seed) for seed in range(4))


@pytest.mark.parametrize("kind", KINDS[:-1])
def test_each_kind_of_thing_has_its_own_words_in_both_languages(kind: str) -> None:
    others = {_said(Sent(each)) for each in KINDS[:-1] if each != kind}
    assert _said(Sent(kind)) not in others
    assert _said(Sent(kind)) != _said(Sent(kind), language="en")


def test_an_unknown_kind_gets_the_general_words() -> None:
    assert _said(Sent("something new")) == _said(Sent("other"))


def test_the_wording_follows_the_seed_and_nothing_else() -> None:
    said = [_said(Wrote("今天有点累"), (_membership(Role.PARTICIPANT),), seed=seed) for seed in range(6)]
    assert len(set(said)) == 3
    assert said[:3] == said[3:]


def test_strangers_are_told_how_to_get_in_and_members_are_not() -> None:
    assert "邀请码" in _said(Wrote("你好"))
    assert "邀请码" not in _said(Wrote("怎么了"), (_membership(Role.PARTICIPANT),))


@pytest.mark.parametrize(("language", "honest", "who"), [("zh", "自动", "组长"), ("en", "automatic", "leader")])
def test_a_participant_who_is_not_understood_learns_that_nobody_reads_along_and_whom_to_turn_to(
    language: str, honest: str, who: str
) -> None:
    for seed in range(3):
        said = _said(Wrote("今天有点累"), (_membership(Role.PARTICIPANT),), language, seed)
        assert honest in said
        assert who in said
        assert ("没有人" if language == "zh" else "nobody") in said


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        *(
            (each, "okay")
            for each in ("好", "好的", "OK", "ok!", "嗯嗯", "收到。", "知道了", "👌", "👍🏻👍🏻", "[OK]", "好的老师", "OK 👌")
        ),
        *((each, "thanks") for each in ("谢谢", "谢谢你！", "好的，谢谢老师", "辛苦了", "🙏", "Thank you!", "ok thanks", "thx")),
        *((each, "hello") for each in ("你好", "老师好", "您好", "在吗？", "大家早上好", "Hello!!", "good morning")),
        *((each, "bye") for each in ("再见", "拜拜~", "bye")),
        *((each, "night") for each in ("晚安～", "老师晚安", "Good night")),
    ],
)
@pytest.mark.parametrize("role", [Role.PARTICIPANT, Role.LEADER])
def test_a_pleasantry_is_returned_to_participants_and_staff_alike(words: str, kind: str, role: Role) -> None:
    for language in ("zh", "en"):
        for seed in range(4):
            assert _said(Wrote(words), (_membership(role),), language, seed) == TEXTS.fill(f"pleasant.{kind}.{seed % 2}", language)


@pytest.mark.parametrize(
    "words",
    ["好累", "不好", "你", "。", "谢谢，可是我很难受", "好的，我不想来了", "再见吧这个世界太累", "好难", "公告", "收到一条奇怪的消息"],
)
def test_what_says_more_than_a_pleasantry_is_none(words: str) -> None:
    assert pleasantry(words) is None


def test_all_right_means_something_else_to_who_stopped_messages_and_to_strangers() -> None:
    paused = Turn(Wrote("好"), Person(None, "zh", "Asia/Shanghai", (_membership(Role.PARTICIPANT),), paused=True), NOW)
    assert BOT.answer(paused) == Answer((Say(Message(TEXTS.fill("pleasant.quiet.0", "zh"))),))
    assert _said(Wrote("好")) == TEXTS.fill("pleasant.elsewhere.0", "zh")
    assert _said(Wrote("谢谢")) == TEXTS.fill("pleasant.thanks.0", "zh")


@pytest.mark.parametrize("role", [role for role in Role if role not in STAFF])
@pytest.mark.parametrize("words", ["公告", "announce", "列表", "取消 12", "谁收到了"])
def test_nobody_but_staff_hears_of_commands(words: str, role: Role) -> None:
    for language in ("zh", "en"):
        for seed in range(3):
            said = _said(Wrote(words), (_membership(role),), language, seed)
            quoted = said.replace("「", "“").replace("」", "”").split("“")[1:]
            assert all(read_command(each.partition("”")[0]) is None for each in quoted)


@pytest.mark.parametrize("role", sorted(STAFF))
def test_staff_hear_of_their_commands(role: Role) -> None:
    assert "「公告」" in _said(Wrote("怎么了"), (_membership(role),))
    assert "“announce”" in _said(Wrote("what now"), (_membership(role),), "en")


@pytest.mark.parametrize("words", ["我在哪", "我在哪里？", " 我的小组 ", "Where am I?", "my group"])
def test_where_am_i_shows_groups_and_roles(words: str) -> None:
    own = (_membership(Role.PARTICIPANT), _membership(Role.LEADER, 2, "晚霞组"))
    assert _said(Wrote(words), own) == "你现在在：\n· 正念自我关怀：晨光组（学员）\n· 正念自我关怀：晚霞组（组长）"
    assert "not in any group" in _said(Wrote(words), (), "en")


@pytest.mark.parametrize("role", list(Role))
def test_every_role_has_a_name(role: Role) -> None:
    assert _said(Wrote("我在哪"), (_membership(role),)) != _said(Wrote("我在哪"), (_membership(role),), "en")


def test_many_groups_are_cut_and_counted() -> None:
    own = tuple(_membership(Role.LEADER, number, f"第{number}个名字很长很长的小组" * 5) for number in range(60))
    said = _said(Wrote("我在哪"), own)
    shown = said.count("·")
    assert 5 < shown < 60
    assert said.endswith(f"还有 {60 - shown} 个组。")


def test_a_group_name_cannot_carry_a_link() -> None:
    assert "<" not in _said(Wrote("我在哪"), (_membership(Role.PARTICIPANT, name='<a href="http://evil">'),))


def test_who_leaves_is_not_answered() -> None:
    assert BOT.answer(Turn(Left(), Person(None, "zh", "Asia/Shanghai"), NOW)) == Answer(())


def test_it_wants_nothing_and_has_no_occasion() -> None:
    assert not BOT.wants(Turn(Wrote("你好"), Person(None, "zh", "Asia/Shanghai"), NOW))
    with pytest.raises(LookupError):
        BOT.compose(Occasion(OccasionKind.REPORT, "zh", {}))
