"""The staff's bot: whom it serves, and the way to a preview, tapped and typed."""

from datetime import UTC, datetime, timedelta

import pytest

from bots.effects import Announce
from bots.turns import Event, Membership, Person, Pressed, Role, Sent, Tapped, Turn, Wrote
from tests.bots.staff_chat import BIG, BOT, NOW, ONE, TWO, Chat, group, says


@pytest.mark.parametrize(
    "words",
    [
        "公告",
        "发公告",
        " 公告。",
        "announce",
        "ANNOUNCE",
        "列表",
        "list",
        "谁收到了",
        "谁收到了 12",
        "who got it?",
        "取消 12",
        "公告：你好",
        "公告 明晚见",
        "announce see you tonight",
        "公告 怎么发",
        "公告 列表",
    ],
)
@pytest.mark.parametrize("role", list(Role))
def test_only_those_who_may_announce_are_wanted(words: str, role: Role) -> None:
    turn = Turn(Wrote(words), Person(None, "zh", "Asia/Shanghai", (group(1, role=role),)), NOW)
    assert BOT.wants(turn) == (role in (Role.LEADER, Role.ASSISTANT, Role.ADMINISTRATOR))


@pytest.mark.parametrize(
    "words",
    [
        "你好",
        "取消",
        "cancel",
        "现在",
        "确认",
        "1",
        "请看公告",
        "公告 3",
        "公告 取消",
        "announce 7p",
        "announcement is late",
        "列表在哪",
        "继续",
        "明天20:00",
    ],
)
def test_words_that_are_no_command_are_not_wanted(words: str) -> None:
    assert not BOT.wants(Turn(Wrote(words), Person(None, "zh", "Asia/Shanghai", ONE), NOW))


def test_the_menu_is_wanted_from_staff_only() -> None:
    assert BOT.wants(Turn(Pressed("staff.list"), Person(None, "zh", "Asia/Shanghai", ONE), NOW))
    assert not BOT.wants(Turn(Pressed("staff.list"), Person(None, "zh", "Asia/Shanghai", (group(1, role=Role.PARTICIPANT),)), NOW))


@pytest.mark.parametrize("event", [Pressed("staff.announce"), Tapped("staff.ok.a", "确认发送"), Wrote("公告"), Tapped("staff.who.a", "谁")])
@pytest.mark.parametrize("memberships", [(), (group(1, role=Role.PARTICIPANT),), (group(1, role=Role.RESEARCHER),)])
def test_a_participant_gets_a_line_that_tells_nothing_of_commands(event: Event, memberships: tuple[Membership, ...]) -> None:
    chat = Chat(memberships)
    assert chat.does(event) == says("outsider")
    assert (chat.effects, chat.memory, chat.asked) == ((), None, [])


def test_a_leader_who_lost_the_role_in_the_middle_is_told_that_nothing_was_sent() -> None:
    chat = Chat().to_preview()
    chat.memberships = (group(1, role=Role.PARTICIPANT),)
    assert chat.types("确认") == says("refused.role")
    assert (chat.effects, chat.memory) == ((), None)


def test_a_leader_in_the_large_group_only_can_address_nobody() -> None:
    chat = Chat((group(1, large=True),))
    assert chat.types("公告") == says("refused.role")
    assert not chat.open


# The way to an announcement -----------------------------------------------------------------------------------------------------


def test_everything_tapped() -> None:
    chat = Chat(TWO)
    chat.does(Pressed("staff.announce"))
    assert "1500" in chat.text()
    chat.types("带上毯子")
    assert chat.labels() == ["晨光组", "晚霞组"]
    chat.taps("晚霞组")
    assert chat.labels() == ["现在", "今晚 20:00", "明天 20:00", "取消"]
    chat.taps("今晚 20:00")
    assert "发给晚霞组，11月23日 周一 20:00 发出：\n「带上毯子」" in chat.text()
    draft = chat.codes
    chat.taps("确认发送")
    assert chat.effects == (Announce(BIG + 2, "带上毯子", datetime(2026, 11, 23, 12, 0, tzinfo=UTC), draft),)
    assert chat.text() == says("done.later", group="晚霞组", at=datetime(2026, 11, 23, 12, 0, tzinfo=UTC))
    assert not chat.open


@pytest.mark.parametrize(
    ("group", "when", "confirm"),
    [("2", "1", "1"), ("晚霞组", "马上", "确认"), ("晚霞", "现在", "好的"), ("第二个", "①", "OK"), ("（晚霞组）", "now", "发送")],
)
def test_everything_typed(group: str, when: str, confirm: str) -> None:
    chat = Chat(TWO)
    for words in ("发公告", "带上毯子", group, when):
        chat.types(words)
    chat.types(confirm)
    assert chat.effects == (Announce(BIG + 2, "带上毯子", None, chat.codes),)
    assert chat.text() == says("done.now", group="晚霞组")


def test_the_text_after_the_command_is_taken_at_once() -> None:
    chat = Chat()
    chat.types("公告：\n 第一行\n第二行 ")
    assert chat.labels()[0] == "现在"
    chat.types("现在")
    assert "「第一行\n第二行」" in chat.text()


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("公告 明晚见", "明晚见"),
        ("发公告\u3000明晚八点", "明晚八点"),
        ("公告\n各位，\n明晚见 ", "各位，\n明晚见"),
        ("Announce see you tonight", "see you tonight"),
    ],
)
def test_a_space_before_clear_words_will_do(typed: str, text: str) -> None:
    chat = Chat()
    chat.types(typed)
    chat.types("现在")
    chat.types("确认")
    assert chat.effects == (Announce(BIG + 1, text, None, chat.codes),)


def test_where_the_words_are_asked_for_they_may_begin_with_the_command_and_a_space() -> None:
    chat = Chat()
    chat.types("公告")
    chat.types("公告 明晚见")
    assert "「公告 明晚见」" in chat.types("现在")


@pytest.mark.parametrize("typed", ["公告 怎么发", "announce to my group"])
def test_who_asks_how_is_asked_for_the_words(typed: str) -> None:
    assert Chat().types(typed) == says("ask.text", limit=1500)


def test_a_command_behind_the_command_is_obeyed() -> None:
    assert Chat().types("公告 列表") == says("list.empty")


def test_with_one_group_nothing_is_asked_about_groups() -> None:
    chat = Chat()
    chat.types("公告")
    chat.types("带上毯子")
    assert chat.text() == says("ask.when", group="晨光组")


def test_the_words_are_sent_exactly_as_they_were_written() -> None:
    written = "  第一行\n\n<a href='x'>{text} %s {{7*7}} 👨‍👩‍👧‍👦\n "
    chat = Chat().to_preview(written)
    chat.types("确认")
    assert chat.effects == (Announce(BIG + 1, written, None, chat.codes),)


def test_a_link_in_the_preview_cannot_be_tapped() -> None:
    chat = Chat().to_preview('<a href="weixin://bizmsgmenu?msgmenucontent=yes&msgmenuid=1">')
    assert "<" not in chat.text()
    assert "weixin://" not in chat.text()


@pytest.mark.parametrize("words", ["\u3000", "\u200b\u200d", "\u3164", " \n\t", "\u2800"])
def test_words_that_nobody_can_see_are_no_announcement(words: str) -> None:
    chat = Chat()
    chat.types("公告")
    assert chat.types(words) == says("refused.empty")
    assert chat.open


@pytest.mark.parametrize(("words", "size"), [("课" * 500 + "a", 1501), ("<" * 501, 1503), ("x" * 90_000, 90_000), ("😀" * 376, 1504)])
def test_a_text_that_is_too_long_is_refused_with_limit_and_size(words: str, size: int) -> None:
    chat = Chat(TWO)
    chat.types("公告")
    assert chat.types(words) == says("refused.long", limit=1500, size=size)
    chat.types("短一点")
    assert chat.labels() == ["晨光组", "晚霞组"]


@pytest.mark.parametrize("words", ["课" * 500, "<" * 500, "😀" * 375, "x" * 1500])
def test_a_text_at_the_limit_is_taken_and_its_preview_says_that_it_is_clipped(words: str) -> None:
    chat = Chat().to_preview(words)
    assert says("preview_clipped") in chat.text()
    chat.types("确认")
    assert isinstance(chat.effects[0], Announce)


def test_after_a_too_long_change_group_and_time_are_still_known() -> None:
    chat = Chat(TWO)
    for words in ("公告", "一", "晚霞组", "今晚", "改文字"):
        chat.types(words)
    assert chat.text() == says("ask.text", limit=1500)
    chat.types("长" * 600)
    chat.types("刚好")
    assert chat.text().startswith("发给晚霞组，11月23日 周一 20:00 发出：\n「刚好」")


def test_change_time_asks_again_and_keeps_the_text() -> None:
    chat = Chat().to_preview()
    chat.taps("改时间")
    assert chat.text() == says("ask.when", group="晨光组")
    chat.types("周三晚上8点")
    assert "11月25日 周三 20:00 发出：\n「明天见」" in chat.text()


def test_another_time_may_be_typed_at_the_preview() -> None:
    chat = Chat().to_preview()
    assert "11月24日 周二 09:00" in chat.types("明早九点")


def test_other_words_at_the_preview_show_it_again() -> None:
    chat = Chat().to_preview()
    assert chat.types("嗯……").startswith(says("refused.choice"))
    assert "确认发送" in chat.labels()
    assert chat.effects == ()


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("很快", "unreadable"),
        ("今天8:00", "past"),
        ("2028-01-01 8:00", "far"),
        ("2月30日 20:00", "no_such_day"),
        ("24:00", "no_such_hour"),
        ("明天", "no_hour"),
    ],
)
def test_a_time_that_cannot_be_is_asked_again_with_the_reason(typed: str, key: str) -> None:
    chat = Chat()
    chat.types("公告")
    chat.types("明天见")
    assert chat.types(typed).startswith(says(f"moment.{key}"))
    assert "现在" in chat.labels()


@pytest.mark.parametrize("answer", ["2", "11月24日 周二 20:00", "明天 20:00"])
def test_a_time_of_two_meanings_is_asked_about(answer: str) -> None:
    chat = Chat()
    for words in ("公告", "明天见", "明天8点"):
        chat.types(words)
    assert chat.text() == says("moment.several")
    assert chat.labels() == ["11月24日 周二 08:00", "11月24日 周二 20:00", "取消"]
    assert "11月24日 周二 20:00 发出" in chat.types(answer)


def test_tonight_is_offered_only_before_it() -> None:
    chat = Chat(now=NOW + timedelta(hours=1))
    chat.types("公告")
    chat.types("明天见")
    assert chat.labels() == ["现在", "明天 20:00", "取消"]


def test_an_offered_time_that_has_passed_meanwhile_is_not_taken() -> None:
    chat = Chat()
    chat.types("公告")
    chat.types("明天见")
    tonight = chat.id_of("今晚 20:00")
    chat.now = NOW + timedelta(hours=1)
    assert chat.does(Tapped(tonight, "今晚 20:00")).startswith(says("moment.past"))
    assert chat.effects == ()


def test_a_planned_moment_that_passed_before_the_yes_is_asked_anew() -> None:
    chat = Chat(now=NOW + timedelta(minutes=57)).to_preview(when="今晚 20:00")
    chat.now += timedelta(minutes=4)
    assert chat.types("确认").startswith(says("moment.past"))
    assert chat.effects == ()


@pytest.mark.parametrize("word", ["取消", "返回", "cancel", "back", "算了"])
@pytest.mark.parametrize(
    "steps", [[], ["带毯子"], ["带毯子", "晚霞组"], ["带毯子", "晚霞组", "现在"]], ids=["text", "group", "when", "preview"]
)
def test_leaving_is_possible_at_each_step(word: str, steps: list[str]) -> None:
    chat = Chat(TWO)
    for words in ("公告", *steps):
        chat.types(words)
    assert chat.types(word) == says("left")
    assert (chat.open, chat.effects) == (False, ())


def test_leaving_is_possible_by_tap() -> None:
    chat = Chat().to_preview()
    assert chat.taps("取消") == says("left")


@pytest.mark.parametrize(
    "steps", [[], ["带毯子"], ["带毯子", "晚霞组"], ["带毯子", "晚霞组", "现在"]], ids=["text", "group", "when", "preview"]
)
def test_a_picture_is_not_taken_and_the_question_comes_again(steps: list[str]) -> None:
    chat = Chat(TWO)
    for words in ("公告", *steps):
        chat.types(words)
    labels = chat.labels()
    assert chat.does(Sent("image")).startswith(says("refused.thing"))
    assert chat.labels() == labels


def test_a_group_of_somebody_else_is_never_offered_nor_taken() -> None:
    chat = Chat((*TWO, group(3, "星星组", role=Role.PARTICIPANT)))
    chat.types("公告")
    chat.types("带毯子")
    assert chat.labels() == ["晨光组", "晚霞组"]
    assert chat.types("星星组").startswith(says("refused.group"))
    foreign = chat.id_of("晚霞组").rpartition(".")[0] + "." + chat.id_of("晨光组").rpartition(".")[2][:-1] + "z"
    assert chat.does(Tapped(foreign, "星星组")).startswith(says("refused.group"))


def test_many_groups_are_shown_as_far_as_they_fit_and_the_rest_can_be_typed() -> None:
    chat = Chat(tuple(group(number, f"第{number}个名字相当长的小组" * 4) for number in range(1, 31)))
    chat.types("公告")
    chat.types("带毯子")
    assert 2 <= len(chat.labels()) <= 7
    assert str(30 - len(chat.labels())) in chat.text()
    chat.types("第29个名字相当长的小组" * 4)
    assert "现在" in chat.labels()
