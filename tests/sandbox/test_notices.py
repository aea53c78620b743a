"""Template messages (wechat-platform.md 245-291)."""

import pytest

from app.sandbox.fields import shown
from tests.sandbox.conftest import Desk, until


def test_a_notice_arrives_as_a_card_and_its_receipt_follows(desk: Desk) -> None:
    openid, template = desk.follower(), desk.template(thing1="类型", name2="老师", time3="时间")
    data = {"thing1": {"value": "小组通知", "color": "#ff0000"}, "name2": {"value": "李老师"}, "time3": {"value": "2027年3月3日 20:00"}}
    body = {"touser": openid, "template_id": template, "url": "https://example.org/r", "data": {"first": {"value": "你好"}, **data}}
    answer = desk.api("message/template/send", body)
    assert answer["errcode"] == 0
    card = {
        "title": "小组提醒",
        "fields": [["类型", "小组通知"], ["老师", "李老师"], ["时间", "2027年3月3日 20:00"]],
        "url": "https://example.org/r",
    }
    assert desk.last(openid)["card"] == card
    event = until(lambda: desk.events("TEMPLATESENDJOBFINISH"))[0]
    assert (event["MsgID"], event["Status"], event["FromUserName"]) == (str(answer["msgid"]), "success", openid)
    assert "MsgId" not in event


def test_a_notice_needs_no_open_window_but_a_follower(desk: Desk) -> None:
    template = desk.template()
    assert desk.notice(desk.follower(), template)["errcode"] == 0
    assert desk.notice(desk.person(), template)["errcode"] == 43004
    assert desk.notice("oUnknown00000000000000000000", template)["errcode"] == 40003


def test_an_unknown_template_is_refused(desk: Desk) -> None:
    assert desk.notice(desk.follower(), "unknown")["errcode"] == 40037


def test_a_broken_field_is_named(desk: Desk) -> None:
    template = desk.template(thing1="内容", character_string2="编号")
    data = {"thing1": {"value": "好"}, "character_string2": {"value": "第1组"}}
    answer = desk.api("message/template/send", {"touser": desk.follower(), "template_id": template, "data": data})
    assert answer["errcode"] == 47003
    assert "data.character_string2.value" in answer["errmsg"]


def test_a_missing_field_is_named(desk: Desk) -> None:
    template = desk.template(thing1="内容", thing2="备注")
    answer = desk.notice(desk.follower(), template)
    assert (answer["errcode"], "data.thing2.value" in answer["errmsg"]) == (47003, True)


def test_escapes_are_refused_with_their_own_code(desk: Desk) -> None:
    assert desk.code("message/template/send", b'{"touser":"\\u4f60"}') == 47002


@pytest.mark.parametrize(
    ("key", "given", "seen"),
    [
        ("thing1", "一" * 25, "一" * 20),
        ("thing1", "第一行\n第二行", "第一行 第二行"),
        ("thing1", "加油💪🏽好👨‍👩‍👧", "加油好"),
        ("thing1", "💪", None),
        ("thing1", 7, "7"),
        ("thing1", None, None),
        ("character_string1", "A-17", "A-17"),
        ("character_string1", "x" * 33, None),
        ("number1", "12.5", "12.5"),
        ("number1", "12人", None),
        ("letter1", "abc", "abc"),
        ("letter1", "ab1", None),
        ("symbol1", "&&", "&&"),
        ("symbol1", "a", None),
        ("time1", "15:01", "15:01"),
        ("time1", "2019年10月1日 15:01", "2019年10月1日 15:01"),
        ("time1", "25:01", None),
        ("time1", "15:01~16:00", "15:01~16:00"),
        ("date1", "2019年10月1日", "2019年10月1日"),
        ("date1", "2019年13月1日", None),
        ("amount1", "￥100.5元", "￥100.5元"),
        ("amount1", "12345678901", None),
        ("phone_number1", "+86-10-66888888", "+86-10-66888888"),
        ("phone_number1", "一二三", None),
        ("car_number1", "粤A8Z888", "粤A8Z888"),
        ("car_number1", "粤A8Z888888", None),
        ("name1", "李老师", "李老师"),
        ("name1", "李" * 11, None),
        ("name1", "Alexander Hamilton", "Alexander Hamilton"),
        ("name1", "小雨1", None),
        ("phrase1", "已开始", "已开始"),
        ("phrase1", "abc", None),
        ("phrase1", "一二三四五六", None),
        ("const1", "待办", "待办"),
        ("const1", "其他", None),
        ("short_thing1", "一二三四五六", None),
    ],
)
def test_field_types_have_rules(key: str, given: object, seen: str | None) -> None:
    assert shown(key, given, {"const1": ["待办"]}) == seen


def test_the_same_client_id_sends_once_in_ten_minutes(desk: Desk) -> None:
    openid, template = desk.follower(), desk.template()
    first = desk.notice(openid, template, client_msg_id="d1")
    assert desk.notice(openid, template, client_msg_id="d1")["msgid"] == first["msgid"]
    assert len(desk.ledger()) == 1
    desk.advance(601)
    assert desk.notice(openid, template, client_msg_id="d1")["msgid"] != first["msgid"]
    assert [row["client_id"] for row in desk.ledger()] == ["d1", "d1"]


def test_equal_text_within_a_minute_is_refused_where_the_switch_is_on(desk: Desk) -> None:
    openid, template = desk.follower(), desk.template()
    assert [desk.notice(openid, template)["errcode"] for _ in range(2)] == [0, 0]
    desk.switch(duplicate_check=True)
    assert desk.notice(openid, template)["errcode"] == 40241
    assert desk.notice(openid, template, "别的")["errcode"] == 0
    desk.advance(61)
    assert desk.notice(openid, template)["errcode"] == 0


def test_too_many_notices_to_one_person_are_refused_where_the_switch_says_so(desk: Desk) -> None:
    openid, template = desk.follower(), desk.template()
    desk.switch(notice_limit=2)
    assert [desk.notice(openid, template)["errcode"] for _ in range(3)] == [0, 0, 43117]
    assert desk.notice(desk.follower(), template)["errcode"] == 0


@pytest.mark.parametrize("status", ["failed:user block", "failed: system failed", "failed:freq limit"])
def test_a_notice_can_be_accepted_and_still_fail(desk: Desk, status: str) -> None:
    desk.switch(notice_outcome=status, receipt_after=0)
    openid = desk.follower()
    assert desk.notice(openid, desk.template())["errcode"] == 0
    assert until(lambda: desk.events("TEMPLATESENDJOBFINISH"))[0]["Status"] == status
    assert desk.chat(openid) == []


def test_a_person_can_block_notices(desk: Desk) -> None:
    openid = desk.follower()
    desk.http.patch(f"/sandbox/people/{openid}", json={"blocks_notices": True})
    desk.notice(openid, desk.template())
    assert until(lambda: desk.events("TEMPLATESENDJOBFINISH"))[0]["Status"] == "failed:user block"


def test_a_mini_program_wins_over_the_address_and_a_bad_address_is_refused(desk: Desk) -> None:
    openid, template = desk.follower(), desk.template()
    desk.notice(openid, template, url="https://example.org/", miniprogram={"appid": "wx1", "pagepath": "p"})
    assert desk.last(openid)["card"]["url"] == "miniprogram://wx1/p"
    assert desk.notice(openid, template, url="javascript:alert(1)")["errcode"] == 40035


def test_an_account_has_twenty_five_templates_and_can_list_and_delete_them(desk: Desk) -> None:
    names = [desk.template() for _ in range(25)]
    assert desk.http.post(f"/sandbox/accounts/{desk.appid}/templates", json={"title": "x", "fields": {"thing1": "x"}}).status_code == 409
    listed = desk.api("template/get_all_private_template")["template_list"]
    assert [each["template_id"] for each in listed] == names
    assert listed[0]["content"] == "内容:{{thing1.DATA}}"
    assert desk.code("template/del_private_template", {"template_id": names[0]}) == 0
    assert desk.notice(desk.follower(), names[0])["errcode"] == 40037


def test_a_receipt_that_nobody_answers_is_delivered_three_times_and_shown_to_nobody(desk: Desk) -> None:
    desk.answer_with(b"", status=500)
    desk.switch(receipt_after=0)
    openid = desk.follower()
    desk.notice(openid, desk.template())
    until(lambda: len(desk.events("TEMPLATESENDJOBFINISH")) == 3)
    assert [entry["kind"] for entry in desk.chat(openid)] == ["notice"]
