"""What a notice's fields hold: the template's type rules (platform reference 5.1, 5.2) and D7."""

from datetime import UTC, datetime

import pytest

from app.channels import Notice
from app.channels.wechat.notices import fill


def filled(field: str, value: str) -> str:
    notice = Notice(kind=value, sender="李老师", time=datetime(2026, 11, 23, 12, 0, tzinfo=UTC), url="https://example.org", client_id="c")
    return fill({"kind": field}, notice)[field]["value"]


def test_a_notice_carries_kind_sender_and_beijing_time() -> None:
    notice = Notice(kind="小组通知", sender="李老师", time=datetime(2026, 11, 23, 16, 5, tzinfo=UTC), url="u", client_id="c")
    assert fill({"kind": "thing1", "sender": "name2", "time": "time3"}, notice) == {
        "thing1": {"value": "小组通知"},
        "name2": {"value": "李老师"},
        "time3": {"value": "2026年11月24日 00:05"},
    }


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("thing1", "字" * 20, "字" * 20),
        ("thing1", "字" * 21, "字" * 19 + "…"),
        ("thing1", "两\n行\t字", "两 行 字"),
        ("thing1", "加油💪🏽👨‍👩‍👧🇨🇳1️⃣", "加油1"),
        ("thing1", "🙂", "消息"),
        ("thing1", "{{first.DATA}}", "{{first.DATA}}"),
        ("thing1", "a" * 18 + "e\u0301\u0301\u0301", "a" * 18 + "…"),
        ("name2", "字" * 12, "字" * 9 + "…"),
        ("phrase3", "提醒一下大家吧", "提醒一下大"),
        ("phrase3", "hello", "通知"),
        ("character_string4", "A-12 组", "A-12"),
        ("character_string4", "组", "-"),
        ("keyword1", "a\x00b", "ab"),
    ],
)
def test_a_field_holds_what_its_type_allows(field: str, value: str, said: str) -> None:
    assert filled(field, value) == said
