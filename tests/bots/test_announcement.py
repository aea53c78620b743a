"""What a group reads, and what an author is told."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import bots
from bots.announcement import create
from bots.choices import number_of
from bots.clipping import room, size
from bots.effects import Answer, Say
from bots.facts import Asked, AskedBy, Facts, LastAsked
from bots.texts import Words, load_texts
from bots.turns import Followed, Occasion, OccasionKind, Person, Pressed, Role, Sent, Tapped, Turn, Wrote

TEXTS = load_texts(Path(bots.__file__).parent / "announcement")
BOT = create(TEXTS)
AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DETAILS = {"text": "带毯子", "group_name": "晨光组", "author_name": "李老师", "author_role": "leader", "course_title": "正念自我关怀"}


def _said(language: str = "zh", kind: OccasionKind = OccasionKind.ANNOUNCEMENT, **details: Any) -> str:
    message = BOT.compose(Occasion(kind, language, DETAILS | details if kind is OccasionKind.ANNOUNCEMENT else details))
    assert message.choices == ()
    assert room(message) >= 0
    return message.text


def test_an_announcement_names_group_and_author_above_the_words() -> None:
    assert _said() == "【晨光组 · 李老师】\n带毯子"


def test_where_the_author_left_no_name_the_role_stands_there() -> None:
    assert _said(author_name="") == "【晨光组 · 组长】\n带毯子"
    assert _said("en", author_name=None, author_role="assistant") == "【晨光组 · assistant leader】\n带毯子"
    assert _said(author_name="", author_role="operator") == "【晨光组 · 课程团队】\n带毯子"


def test_the_words_arrive_exactly_as_written() -> None:
    written = "  第一行\n\n {group} {{7*7}} %s 👨‍👩‍👧‍👦 ]]></Content>"
    assert _said(text=written).removeprefix("【晨光组 · 李老师】\n") == written.replace(">", "＞").replace("<", "＜")


@pytest.mark.parametrize("hostile", ['<a href="weixin://bizmsgmenu?msgmenucontent=yes&msgmenuid=1">', "WEIXIN ://x", "<b>"])
@pytest.mark.parametrize("field", ["text", "group_name", "author_name"])
def test_nothing_in_it_can_be_tapped(field: str, hostile: str) -> None:
    details: dict[str, Any] = {field: hostile}
    said = _said(**details)
    assert "<" not in said
    assert "weixin://" not in said.casefold().replace(" ", "")


def test_the_longest_text_with_the_longest_names_fits() -> None:
    assert size(_said(text="课" * 500, group_name="名" * 400, author_name="😀" * 400)) <= 2048


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("reason", ["late", "role", "cancelled", "other than these", None])
def test_a_report_names_number_group_and_time(reason: str | None, language: str) -> None:
    said = _said(language, OccasionKind.REPORT, reason=reason, number=12, group_name="晨光组", at=AT)
    assert "#12" in said
    assert "晨光组" in said
    assert "20:00" in said


def test_reports_differ_by_reason() -> None:
    said = {
        _said("zh", OccasionKind.REPORT, reason=reason, number=1, group_name="组", at=AT) for reason in ("late", "role", "cancelled", "x")
    }
    assert len(said) == 4


@pytest.mark.parametrize(("language", "words"), [("zh", "28 人中已有 24 人收到"), ("en", "24 of 28 have it by now")])
def test_a_report_of_the_end_counts(language: str, words: str) -> None:
    assert words in _said(language, OccasionKind.REPORT, reason="done", number=12, group_name="晨光组", at=AT, reached=24, total=28)


def test_the_rest_of_a_long_message_is_passed_on_unchanged() -> None:
    rest = Words('剩下的 <a href="https://group.example.org/read/1">1. 好</a>')
    assert _said("zh", OccasionKind.CONTINUATION, text=rest) == rest


def test_an_alert_is_not_this_bots_occasion() -> None:
    with pytest.raises(LookupError):
        _said("zh", OccasionKind.ALERT)


@pytest.mark.parametrize(
    "event", [Wrote("公告"), Wrote("带毯子"), Sent("image"), Followed(), Pressed("announcement.x"), Tapped("announcement.x", "x")]
)
@pytest.mark.parametrize("role", list(Role))
def test_it_wants_nothing_and_hears_nothing_where_nothing_was_asked(event: Any, role: Role) -> None:
    turn = Turn(event, Person("李老师", "zh", "Asia/Shanghai"), AT, facts=Facts({LastAsked(): Asked(), AskedBy(number_of("x")): Asked()}))
    assert not BOT.wants(turn)
    assert not BOT.hears(turn)
    answer = BOT.answer(turn)
    assert isinstance(answer, Answer)
    assert [type(effect) for effect in answer.effects] == [Say], "nothing is done"
    assert answer.memory is None
