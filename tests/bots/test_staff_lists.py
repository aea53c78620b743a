"""Lists of announcements, cancelling them, who got them; and what may never happen, whatever is done."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.clipping import choices_size
from bots.effects import Announce, CancelAnnouncement
from bots.facts import (
    Announcements,
    AnnouncementSummary,
    Progress,
    ProgressOf,
    Unreached,
)
from bots.turns import Event, Membership, Occasion, OccasionKind, Pressed, Sent, Tapped, Wrote
from tests.bots.staff_chat import APART, BIG, BOT, NOW, ONE, TWO, Chat, group, says


def _summary(number: int, state: str, **more: Any) -> AnnouncementSummary:
    return AnnouncementSummary(BIG + number, number, "晨光组", f"第{number}条", NOW + timedelta(hours=1), state, **more)


def test_an_empty_list_says_so() -> None:
    assert Chat().types("列表") == says("list.empty")


def test_the_list_shows_states_and_offers_what_can_be_done() -> None:
    found = (_summary(4, "planned"), _summary(3, "going out", total=26, reached=20), _summary(2, "done", total=26, reached=26))
    chat = Chat(facts={Announcements(): (*found, _summary(1, "missed"), _summary(5, "cancelled"))})
    chat.does(Pressed("staff.list"))
    assert "#4 晨光组「第4条」\n11月23日 周一 20:00，待发" in chat.text()
    assert "正在发：26 人里 20 人收到，6 人还没收到" in chat.text()
    assert "已发：26 人，全部收到" in chat.text()
    assert "没有发出" in chat.text()
    assert "已取消" in chat.text()
    assert chat.labels() == ["取消 4", "谁收到了 3", "谁收到了 2"]


@pytest.mark.parametrize(
    ("state", "counts", "zh", "en"),
    [
        ("done", (28, 19, 8), "已发：28 人里 19 人收到，8 人有通知，1 人还没收到", "sent: of 28, 19 have it, 8 with a notice, 1 not yet"),
        ("going out", (28, 19, 9), "正在发：28 人里 19 人收到，9 人有通知", "going out: of 28, 19 have it, 9 with a notice"),
        ("done", (28, 0, 8), "已发：28 人里 8 人有通知，20 人还没收到", "sent: of 28, 8 with a notice, 20 not yet"),
        ("done", (28, 0, 0), "已发：28 人，还没有人收到", "sent: 28, nobody has it yet"),
        ("done", (1, 1, 0), "已发：1 人，全部收到", "sent: 1, everybody has it"),
        ("done", (0, 0, 0), "已发，不过组里还没有别人", "sent, but there is nobody else in the group yet"),
        ("cancelled", (28, 3, 0), "已取消，之前有 3 人收到", "cancelled; 3 had it before"),
        ("cancelled", (28, 0, 0), "已取消", "cancelled"),
    ],
)
def test_the_counts_of_the_list_add_up(state: str, counts: tuple[int, int, int], zh: str, en: str) -> None:
    total, reached, notified = counts
    facts: dict[Any, Any] = {Announcements(): (_summary(3, state, total=total, reached=reached, notified=notified),)}
    assert Chat(facts=dict(facts)).types("列表").endswith(f"，{zh}")
    assert Chat(language="en", facts=dict(facts)).types("list").endswith(f", {en}")


@pytest.mark.parametrize(
    "event", [Wrote("取消 4"), Wrote("撤回#4"), Wrote("取消公告 4 号"), Wrote("cancel 4"), Tapped(f"staff.cancel.{0}", "")]
)
def test_an_announcement_is_cancelled_by_number_or_tap(event: Event) -> None:
    chat = Chat(facts={Announcements(): (_summary(4, "planned"),), Announcements(50): (_summary(4, "planned"),)})
    if isinstance(event, Tapped):
        chat.types("列表")
        event = Tapped(chat.id_of("取消 4"), "取消 4")
    assert chat.does(event) == says("cancel.planned", number=4, group="晨光组")
    assert chat.effects == (CancelAnnouncement(BIG + 4),)


def test_cancelling_what_is_going_out_stops_the_rest() -> None:
    chat = Chat(facts={Announcements(50): (_summary(4, "going out"),)})
    assert chat.types("取消 4") == says("cancel.going", number=4, group="晨光组")
    assert chat.effects == (CancelAnnouncement(BIG + 4),)


@pytest.mark.parametrize("state", ["cancelled", "missed"])
def test_what_is_gone_cannot_be_cancelled(state: str) -> None:
    chat = Chat(facts={Announcements(50): (_summary(4, state),)})
    assert chat.types("取消 4") == says("cancel.gone")
    assert chat.effects == ()


@pytest.mark.parametrize(("refusal", "key"), [("gone", "cancel.gone"), ("role", "refused.role")])
def test_a_refused_cancelling_is_told(refusal: str, key: str) -> None:
    chat = Chat(facts={Announcements(50): (_summary(4, "done"),)}, refuses=refusal)
    assert chat.types("取消 4") == says(key)
    assert chat.effects == ()


@pytest.mark.parametrize("words", ["取消 99", "谁收到了 99", "cancel 99"])
def test_an_unknown_number_is_said_to_be_unknown(words: str) -> None:
    chat = Chat(facts={Announcements(50): (_summary(4, "planned"),)})
    assert chat.types(words) == says("unknown_number")
    assert chat.effects == ()


def test_a_tap_on_an_announcement_that_is_not_theirs_cancels_nothing() -> None:
    chat = Chat(facts={Announcements(50): (_summary(4, "planned"),)})
    assert chat.does(Tapped("staff.cancel.7", "取消 7")) == says("unknown_number")
    assert chat.effects == ()


def test_where_two_courses_use_one_number_both_are_shown() -> None:
    chat = Chat(facts={Announcements(50): (_summary(4, "planned"), replace(_summary(4, "planned"), id=BIG + 44))})
    chat.types("取消 4")
    assert chat.effects == ()
    assert chat.labels() == ["取消 4", "取消 4"]
    assert len({choice.id for choice in chat.choices()}) == 2


PROGRESS = Progress(
    BIG + 3,
    3,
    "晨光组",
    "第3条",
    26,
    (("微信已接收", 17), ("有通知还没打开", 8), ("联系不上", 1)),
    (*(Unreached(f"学员{number}", "有通知还没打开") for number in range(1, 9)), Unreached("赵敏", "联系不上 · 已取消关注")),
)


@pytest.mark.parametrize("words", ["谁收到了", "谁收到了 3", "谁收到了3", "who got it?", "who got 3", "谁没收到"])
def test_who_got_it_tells_counts_that_add_up_and_names_with_reasons(words: str) -> None:
    found = (_summary(9, "planned"), _summary(3, "done"), _summary(2, "done"))
    chat = Chat(facts={Announcements(50): found, ProgressOf(BIG + 3): PROGRESS})
    assert chat.types(words) == (
        "#3 晨光组「第3条」\n26 人：微信已接收 17，有通知还没打开 8，联系不上 1。\n"
        "8 人有通知还没打开：学员1、学员2、学员3、学员4、学员5、学员6、学员7、学员8\n"
        "1 人联系不上 · 已取消关注：赵敏"
    )
    assert chat.labels() == ["刷新"]
    assert chat.taps("刷新").startswith("#3")


def test_nobody_asks_who_got_what_has_not_gone_out() -> None:
    assert Chat(facts={Announcements(50): (_summary(9, "planned"),)}).types("谁收到了") == says("who.none")


@pytest.mark.parametrize("words", ["谁收到了", "谁收到了 9", "who got it"])
def test_right_after_the_confirmation_the_author_is_told_to_look_again(words: str) -> None:
    due = replace(_summary(9, "planned"), at=NOW)
    empty = Progress(BIG + 9, 9, "晨光组", "第9条", 0, ())
    chat = Chat(facts={Announcements(50): (_summary(12, "planned"), due, _summary(3, "done")), ProgressOf(BIG + 9): empty})
    assert chat.types(words) == says("who.just", number=9, group="晨光组")
    assert chat.labels() == ["刷新"]
    assert chat.taps("刷新") == says("who.just", number=9, group="晨光组")
    chat.facts |= {Announcements(50): (replace(due, state="done"),), ProgressOf(BIG + 9): replace(PROGRESS, id=BIG + 9, number=9)}
    assert chat.taps("刷新").startswith("#9 晨光组「第3条」\n26 人：")


@pytest.mark.parametrize(
    ("state", "tells"),
    [("planned", "还没到时间，11月23日 周一 20:00 才发出"), ("cancelled", "已取消"), ("missed", "没有发"), ("done", "没有别人")],
)
def test_who_got_what_went_to_nobody_says_why(state: str, tells: str) -> None:
    empty = Progress(BIG + 9, 9, "晨光组", "第9条", 0, ())
    chat = Chat(facts={Announcements(50): (_summary(9, state),), ProgressOf(BIG + 9): empty})
    assert tells in chat.types("谁收到了 9")
    assert chat.labels() == []


def test_while_it_goes_out_the_author_is_told_that_more_will_come() -> None:
    chat = Chat(facts={Announcements(50): (_summary(3, "going out"),), ProgressOf(BIG + 3): PROGRESS})
    assert chat.types("谁收到了").endswith(says("who.going"))


def test_progress_of_somebody_elses_announcement_is_not_shown() -> None:
    hidden = Progress(7, 0, "", "", -1, ())
    assert Chat(facts={ProgressOf(7): hidden, Announcements(50): ()}).does(Tapped("staff.who.7", "谁收到了 7")) == says("unknown_number")


def test_before_the_first_delivery_the_counts_are_zero() -> None:
    fresh = replace(PROGRESS, total=0, by_state=(), unreached=())
    assert says("who.not_yet") in Chat(facts={ProgressOf(7): fresh, Announcements(50): ()}).does(Tapped("staff.who.7", "谁收到了 7"))


def _in_names(line: str) -> tuple[int, int]:
    """How many names a line of `谁收到了` shows, and how many more it counts."""
    names, _, more = line.partition("：")[2].partition("……还有 ")
    return len(names.split("、")) if names else 0, int(more.removesuffix(" 人") or 0)


def test_two_hundred_names_are_cut_and_counted_without_pushing_out_the_few() -> None:
    many = tuple(Unreached(f"名字很长的学员{number}" * 3, "等对方下次说话 · 48 小时内没有给账号发过消息 · 45015") for number in range(200))
    few = tuple(Unreached(f"学员{number}", "联系不上 · 已取消关注") for number in range(3))
    progress = replace(PROGRESS, total=203, by_state=(("等对方下次说话", 200), ("联系不上", 3)), unreached=(*many, *few))
    lines = Chat(facts={ProgressOf(7): progress, Announcements(50): ()}).does(Tapped("staff.who.7", "谁收到了 7")).splitlines()
    shown, more = _in_names(lines[2])
    assert lines[2].startswith("200 人等对方下次说话 · 48 小时内没有给账号发过消息 · 45015：")
    assert shown > 10
    assert shown + more == 200
    assert lines[3:] == ["3 人联系不上 · 已取消关注：学员0、学员1、学员2"]


def test_reasons_that_do_not_fit_are_counted_too() -> None:
    odd = tuple(Unreached(f"学员{number}", f"没发成 · {'很长的原因' * 9}{number}") for number in range(40))
    progress = replace(PROGRESS, total=40, by_state=(("没发成", 40),), unreached=odd)
    lines = Chat(facts={ProgressOf(7): progress, Announcements(50): ()}).does(Tapped("staff.who.7", "谁收到了 7")).splitlines()
    shown = sum(line.startswith("1 人没发成 · ") for line in lines)
    assert 5 < shown < 40
    assert lines[-1] == says("who.more", count=40 - shown)


def test_people_beyond_those_who_are_named_are_counted() -> None:
    some = (Unreached("小雨", "联系不上"), *(Unreached("", "联系不上") for _ in range(300)))
    progress = replace(PROGRESS, total=301, by_state=(("联系不上", 301),), unreached=some)
    lines = Chat(facts={ProgressOf(7): progress, Announcements(50): ()}).does(Tapped("staff.who.7", "谁收到了 7")).splitlines()
    assert lines[2:] == ["301 人联系不上：小雨……还有 300 人"]


@given(st.lists(st.tuples(st.text(max_size=40), st.sampled_from(["联系不上", "没发成 · 45047", "<" * 200, "等" * 70, ""])), max_size=400))
@settings(max_examples=60, deadline=None)
def test_whoever_is_not_reached_the_answer_fits(people: list[tuple[str, str]]) -> None:
    unreached = tuple(Unreached(name, reason) for name, reason in people)
    progress = replace(PROGRESS, total=len(people) + 1, group_name=_LONG, excerpt="<" * 24, unreached=unreached)
    chat = Chat(facts={ProgressOf(7): progress, Announcements(50): (replace(_summary(7, "going out"), id=7),)})
    chat.types("公告")
    chat.does(Tapped("staff.who.7", "谁收到了 7"))


def test_looking_something_up_keeps_the_draft() -> None:
    chat = Chat(facts={Announcements(50): (_summary(3, "done"),), ProgressOf(BIG + 3): PROGRESS})
    chat.types("公告")
    chat.types("谁收到了")
    assert chat.text().endswith(says("draft_kept"))
    chat.types("带毯子")
    assert chat.text() == says("ask.when", group="晨光组")


def test_there_is_no_occasion_for_this_bot() -> None:
    with pytest.raises(LookupError):
        BOT.compose(Occasion(OccasionKind.ANNOUNCEMENT, "zh", {}))


# What may never happen ----------------------------------------------------------------------------------------------------------

_LONG = "一二三四五六七八九十" * 30
_SAYINGS = [
    "公告",
    "列表",
    "谁收到了",
    "取消",
    "换课程",
    "继续",
    "现在",
    "今晚",
    "明天8点",
    "明天20:00",
    "确认",
    "改文字",
    "改时间",
    "1",
    "2",
    "3",
    "4",
    "你好",
    "谁收到了3",
    "取消4",
    "取消3",
    "announce",
    "list",
    "cancel",
]
_EVENTS = st.one_of(
    st.sampled_from(_SAYINGS).map(Wrote),
    st.text(min_size=1, max_size=30).map(Wrote),
    st.sampled_from([_LONG, "<" * 500, "😀" * 375]).map(Wrote),
    st.sampled_from([Sent("image"), Pressed("staff.announce"), Pressed("staff.list"), Pressed("staff.x")]),
    st.integers(0, 8),  # tap this choice of the last message
)
_MEMBERSHIPS = st.sampled_from([ONE, TWO, APART, tuple(group(n, _LONG[n:], course=n % 12) for n in range(1, 30)), ()])


@settings(max_examples=250, deadline=None)
@given(_MEMBERSHIPS, st.sampled_from(["zh", "en"]), st.lists(st.tuples(_EVENTS, st.integers(0, 700)), max_size=14))
def test_whatever_is_done_fits_into_a_message_and_only_a_confirmed_preview_sends(
    memberships: tuple[Membership, ...], language: str, doings: list[tuple[Event | int, int]]
) -> None:
    summaries = tuple(replace(_summary(n, "planned" if n % 2 else "done"), group_name=_LONG, excerpt="<" * 24) for n in range(1, 9))
    chat = Chat(memberships, language, facts={Announcements(): summaries, Announcements(50): summaries})
    chat.facts |= {ProgressOf(each.id): replace(PROGRESS, group_name=_LONG, excerpt="<" * 24) for each in summaries}
    own = {each.group for each in memberships if not each.large}
    for event, seconds in doings:
        chat.now += timedelta(seconds=seconds)
        previewed = {label for label in chat.labels() if label in ("确认发送", "Send it", "再发一次", "Send again")}
        if not isinstance(event, int):
            chat.does(event)
        elif event < len(chat.choices()):
            chosen = chat.choices()[event]
            chat.does(Tapped(chosen.id, chosen.label))
        else:
            continue
        for effect in chat.effects:
            if isinstance(effect, Announce):
                assert previewed
                assert effect.group in own
                assert effect.at is None or effect.at > chat.now


def test_the_measure_of_a_choice_is_not_below_what_links_weigh() -> None:
    choice = Chat(TWO)
    choice.types("公告")
    choice.types("带毯子")
    assert choices_size(tuple(choice.choices())) >= sum(160 + 2 * len(each.label.encode()) for each in choice.choices())
