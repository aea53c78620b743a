"""Mass sending (wechat-platform.md 312-334)."""

from typing import Any

from tests.sandbox.conftest import Desk, until


def send(desk: Desk, openids: list[str], content: str = "大家好", **more: Any) -> Any:
    desk.switch(mass_after=0)
    return desk.api("message/mass/send", {"touser": openids, "msgtype": "text", "text": {"content": content}, **more})


def state(desk: Desk, answer: Any) -> str:
    return str(desk.api("message/mass/get", {"msg_id": answer["msg_id"]})["msg_status"])


def finished(desk: Desk, answer: Any) -> dict[str, Any]:
    def found() -> list[dict[str, Any]]:
        return [event for event in desk.events("MASSSENDJOBFINISH") if event["MsgID"] == str(answer["msg_id"])]

    event: dict[str, Any] = until(found)[0]
    return event


def test_a_mass_send_is_under_way_first_and_done_later(desk: Desk) -> None:
    people = [desk.follower() for _ in range(3)]
    answer = send(desk, people)
    event = finished(desk, answer)
    assert [event[name] for name in ("Status", "TotalCount", "FilterCount", "SentCount", "ErrorCount")] == [
        "send success",
        "3",
        "3",
        "3",
        "0",
    ]
    assert state(desk, answer) == "SEND_SUCCESS"
    assert {(row["openid"], row["msgid"]) for row in desk.ledger()} == {(openid, str(answer["msg_id"])) for openid in people}
    assert desk.last(people[0])["mass"] is True


def test_a_mass_send_takes_its_time(desk: Desk) -> None:
    desk.switch(mass_after=3600)
    openids = [desk.follower(), desk.follower()]
    answer = desk.api("message/mass/send", {"touser": openids, "msgtype": "text", "text": {"content": "慢"}})
    assert state(desk, answer) == "SENDING"
    desk.advance(3601)
    finished(desk, answer)
    assert state(desk, answer) == "SEND_SUCCESS"


def test_each_person_gets_four_in_a_month_and_the_filter_says_so(desk: Desk) -> None:
    first, second, third = (desk.follower() for _ in range(3))
    for number in range(4):
        finished(desk, send(desk, [first, second], f"第{number}次"))
    event = finished(desk, send(desk, [first, second, third], "第五次"))
    assert (event["TotalCount"], event["FilterCount"], event["SentCount"]) == ("3", "1", "1")
    desk.advance(32 * 86_400)
    desk.access_token = ""
    assert finished(desk, send(desk, [first, second], "下个月"))["SentCount"] == "2"


def test_who_left_refuses_or_is_blacklisted_is_filtered(desk: Desk) -> None:
    people = [desk.follower() for _ in range(4)]
    desk.do(people[0], "unfollow")
    desk.http.patch(f"/sandbox/people/{people[1]}", json={"refuses": True})
    desk.api("tags/members/batchblacklist", {"openid_list": [people[2]]})
    assert finished(desk, send(desk, people))["FilterCount"] == "1"


def test_one_openid_is_too_few_and_a_foreign_one_fails_all(desk: Desk) -> None:
    openid = desk.follower()
    assert send(desk, [openid])["errcode"] == 40130
    assert send(desk, [openid, openid])["errcode"] == 40130
    assert send(desk, [openid, "oUnknown00000000000000000000"])["errcode"] == 40003


def test_the_same_client_id_counts_once_in_a_day(desk: Desk) -> None:
    people = [desk.follower(), desk.follower()]
    first = send(desk, people, clientmsgid="b1.1")
    soon = send(desk, people, clientmsgid="b1.1")
    assert (soon["errcode"], soon["msg_id"]) == (45066, first["msg_id"])
    desk.advance(61)
    later = send(desk, people, "别的话", clientmsgid="b1.1")
    assert (later["errcode"], later["msg_id"]) == (45065, first["msg_id"])
    desk.advance(86_400)
    desk.access_token = ""
    assert send(desk, people, clientmsgid="b1.1")["errcode"] == 0


def test_without_a_client_id_equal_content_to_equal_people_counts_once(desk: Desk) -> None:
    people = [desk.follower(), desk.follower()]
    assert send(desk, people)["errcode"] == 0
    desk.advance(61)
    assert send(desk, people)["errcode"] == 45065
    assert send(desk, people, "别的话")["errcode"] == 0


def test_a_client_id_of_36_characters_is_too_long(desk: Desk) -> None:
    assert send(desk, [desk.follower(), desk.follower()], clientmsgid="x" * 36)["errcode"] == 45067


def test_by_tag_only_its_members_are_reached(desk: Desk) -> None:
    desk.switch(mass_after=0)
    inside, outside = desk.follower(), desk.follower()
    tag = desk.api("tags/create", {"tag": {"name": "小组一"}})["tag"]["id"]
    desk.api("tags/members/batchtagging", {"openid_list": [inside], "tagid": tag})
    body = {"msgtype": "text", "text": {"content": "小组"}}
    answer = desk.api("message/mass/sendall", {"filter": {"is_to_all": False, "tag_id": str(tag)}, **body})
    assert finished(desk, answer)["SentCount"] == "1"
    assert desk.chat(outside) == []
    assert desk.code("message/mass/sendall", {"filter": {"is_to_all": False, "tag_id": 999}, **body}) == 45159
    assert desk.code("message/mass/sendall", {"filter": {"is_to_all": False, "group_id": tag}, **body}) == 45159


def test_the_review_of_a_text_can_refuse_it_afterwards(desk: Desk) -> None:
    people = [desk.follower(), desk.follower()]
    desk.switch(mass_review="err(20001)")
    answer = send(desk, people)
    assert (answer["errcode"], finished(desk, answer)["Status"]) == (0, "err(20001)")
    assert state(desk, answer) == "SEND_FAIL"
    assert desk.chat(people[0]) == []
    desk.switch(mass_review="")
    for number in range(4):
        assert finished(desk, send(desk, people, f"第{number}次"))["SentCount"] == "2", "what was refused took none of the four"


def to_all(desk: Desk, content: str = "全体") -> Any:
    desk.switch(mass_after=0)
    return desk.api("message/mass/sendall", {"filter": {"is_to_all": True}, "msgtype": "text", "text": {"content": content}})


def test_to_all_goes_once_a_day(desk: Desk) -> None:
    desk.to_noon()
    desk.follower()
    assert to_all(desk)["errcode"] == 0
    assert to_all(desk, "再来")["errcode"] == 45028
    desk.advance(86_400)
    desk.access_token = ""
    assert to_all(desk, "明天")["errcode"] == 0


def test_to_all_waits_for_the_administrator_where_the_protection_is_on(desk: Desk) -> None:
    openid = desk.follower()
    desk.switch(mass_protection=True)
    answer = to_all(desk)
    assert state(desk, answer) == "SENDING"
    assert desk.chat(openid) == []
    desk.post(f"/sandbox/accounts/{desk.appid}/mass/{answer['msg_id']}", {"confirm": True})
    assert state(desk, answer) == "SEND_SUCCESS"
    assert desk.last(openid)["text"] == "全体"


def test_an_administrator_who_refuses_or_keeps_silent_stops_it(desk: Desk) -> None:
    desk.to_noon()
    openid = desk.follower()
    desk.switch(mass_protection=True)
    refused = to_all(desk)
    desk.post(f"/sandbox/accounts/{desk.appid}/mass/{refused['msg_id']}", {"confirm": False})
    assert finished(desk, refused)["Status"] == "err(40001)"
    desk.advance(86_400)
    desk.access_token = ""
    silent = to_all(desk, "沉默")
    desk.advance(1801)
    assert finished(desk, silent)["Status"] == "err(40002)"
    assert state(desk, silent) == "SEND_FAIL"
    assert desk.chat(openid) == []


def test_sixty_mass_sends_a_minute_and_a_hundred_a_day(desk: Desk) -> None:
    desk.to_noon()
    people = [desk.follower(), desk.follower()]
    # At the start of a minute, so that the sixty fall into one.
    desk.advance(60 - desk.served.app.world.clock.now() % 60)
    codes = [send(desk, people, str(n))["errcode"] for n in range(61)]
    assert codes == [0] * 60 + [45011]
    desk.advance(60)
    codes = [send(desk, people, f"b{n}")["errcode"] for n in range(41)]
    assert codes == [0] * 40 + [45009]


def test_a_test_account_cannot_send_to_many(desk: Desk) -> None:
    desk.switch(profile="test")
    assert send(desk, [desk.follower(), desk.follower()])["errcode"] == -1


def test_text_has_limits_here_too(desk: Desk) -> None:
    people = [desk.follower(), desk.follower()]
    assert send(desk, people, " ")["errcode"] == 44004
    assert send(desk, people, "中" * 683)["errcode"] == 45002
    assert desk.code("message/mass/send", {"touser": people, "msgtype": "poem", "poem": {}}) == 40008


def test_a_preview_reaches_one_person_at_once_and_counts_for_nothing(desk: Desk) -> None:
    openid, other = desk.follower(), desk.follower()
    for _ in range(5):
        assert desk.code("message/mass/preview", {"touser": openid, "msgtype": "text", "text": {"content": "预览"}}) == 0
    assert desk.last(openid)["text"] == "预览"
    assert finished(desk, send(desk, [openid, other]))["FilterCount"] == "2"


def test_a_text_cannot_be_taken_back_and_an_unknown_job_is_unknown(desk: Desk) -> None:
    answer = send(desk, [desk.follower(), desk.follower()])
    assert desk.code("message/mass/delete", {"msg_id": answer["msg_id"]}) == 48008
    assert desk.code("message/mass/get", {"msg_id": 1}) == 40059


def test_the_speed_has_five_steps(desk: Desk) -> None:
    assert desk.code("message/mass/speed/set", {"speed": 3}) == 0
    assert desk.api("message/mass/speed/get", {}) == {"speed": 3, "realspeed": "30w/min"}
    assert desk.code("message/mass/speed/set", {"speed": 5}) == 45083
    assert desk.code("message/mass/speed/set", {}) == 45084
