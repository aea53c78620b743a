"""Service messages and their allowance (wechat-platform.md 176-240)."""

from urllib.parse import unquote

import pytest

from tests.sandbox.conftest import Desk, raw


def test_typed_words_allow_five_messages(desk: Desk) -> None:
    openid = desk.follower()
    desk.do(openid, "say", text="你好")
    assert [desk.text(openid) for _ in range(6)] == [0, 0, 0, 0, 0, 45047]


def test_typed_words_open_forty_eight_hours(desk: Desk) -> None:
    openid = desk.follower()
    desk.do(openid, "say", text="你好")
    desk.advance(48 * 3600 - 60)
    assert desk.text(openid) == 0
    desk.advance(61)
    assert desk.text(openid) == 45015


@pytest.mark.parametrize("deed", ["follow", "scan", "press", "tap"])
def test_a_touch_allows_three_messages_for_a_minute(desk: Desk, deed: str) -> None:
    openid = desk.person() if deed == "follow" else desk.follower()
    scan = desk.api("qrcode/create", {"action_name": "QR_STR_SCENE", "action_info": {"scene": {"scene_str": "G1"}}})
    desk.api("menu/create", {"button": [{"type": "click", "name": "帮助", "key": "help"}]})
    body = {"scan": {"ticket": scan["ticket"]}, "press": {"key": "help"}, "tap": {"content": "好", "id": "a.1"}}.get(deed, {})
    desk.do(openid, deed, **body)
    assert [desk.text(openid) for _ in range(4)] == [0, 0, 0, 45047]
    desk.advance(61)
    assert desk.text(openid) == 45015


def test_a_menu_link_allows_nothing(desk: Desk) -> None:
    openid = desk.follower()
    desk.api("menu/create", {"button": [{"type": "view", "name": "网页", "url": "https://example.org/"}]})
    desk.do(openid, "press", key="https://example.org/")
    assert desk.text(openid) == 45015


def test_allowances_are_lifted_and_never_added(desk: Desk) -> None:
    openid = desk.follower()
    desk.do(openid, "say", text="一")
    desk.do(openid, "say", text="二")
    desk.do(openid, "tap", content="好", id="a.1")
    assert [desk.text(openid) for _ in range(6)] == [0, 0, 0, 0, 0, 45047]
    desk.do(openid, "tap", content="好", id="a.1")
    assert [desk.text(openid) for _ in range(4)] == [0, 0, 0, 45047]


def test_a_tap_late_in_an_open_window_does_not_prolong_it(desk: Desk) -> None:
    openid = desk.follower()
    desk.do(openid, "say", text="一")
    for _ in range(5):
        desk.text(openid)
    desk.do(openid, "tap", content="好", id="a.1")
    desk.advance(61)
    assert desk.text(openid) == 45047


def test_a_person_who_left_gets_nothing(desk: Desk) -> None:
    openid = desk.follower(wrote=True)
    assert desk.text(openid) == 0
    desk.do(openid, "unfollow")
    assert desk.text(openid) == 45015


def test_a_blacklisted_and_an_unwilling_person_are_told_apart(desk: Desk) -> None:
    openid, other = desk.follower(wrote=True), desk.follower(wrote=True)
    desk.api("tags/members/batchblacklist", {"openid_list": [openid]})
    assert desk.text(openid) == 43019
    desk.http.patch(f"/sandbox/people/{other}", json={"refuses": True})
    assert desk.text(other) == 48002


def test_2048_bytes_pass_and_2049_do_not(desk: Desk) -> None:
    openid = desk.follower(wrote=True)
    assert desk.text(openid, "中" * 682 + "ab") == 0
    assert desk.text(openid, "中" * 682 + "abc") == 45002


@pytest.mark.parametrize("content", ["", "  \n"])
def test_empty_text_is_refused(desk: Desk, content: str) -> None:
    assert desk.text(desk.follower(wrote=True), content) == 44004


def test_a_foreign_openid_is_refused(desk: Desk, served: object) -> None:
    assert desk.text("oAnybodyElse0000000000000000") == 40003
    foreign = Desk(desk.served, desk.http).follower(wrote=True)
    assert desk.text(foreign) == 40003


def test_escaped_json_is_refused_and_a_doubled_backslash_is_not(desk: Desk) -> None:
    openid = desk.follower(wrote=True)
    body = b'{"touser":"%s","msgtype":"text","text":{"content":"%s"}}'
    assert desk.code("message/custom/send", body % (openid.encode(), b"\\u4f60")) == 40033
    assert desk.code("message/custom/send", body % (openid.encode(), b"\\\\u4f60")) == 0


@pytest.mark.parametrize(
    ("body", "code"), [(b"", 44002), (b"{", 47001), (b"[]", 47001), (b"\xff", 47001), (b'{"a":NaN}', 47001), (b"[" * 90_000, 47001)]
)
def test_a_body_that_is_no_json_object_is_refused(desk: Desk, body: bytes, code: int) -> None:
    assert desk.code("message/custom/send", body) == code


def test_an_unknown_type_and_a_missing_payload_are_refused(desk: Desk) -> None:
    openid = desk.follower(wrote=True)
    assert desk.code("message/custom/send", {"touser": openid, "msgtype": "mpnews", "mpnews": {"media_id": "x"}}) == 40008
    assert desk.code("message/custom/send", {"touser": openid, "msgtype": "text"}) == 47001


def test_a_refused_message_costs_no_allowance_and_is_not_in_the_ledger(desk: Desk) -> None:
    openid = desk.follower(wrote=True)
    assert desk.text(openid, "") == 44004
    assert [desk.text(openid, str(n)) for n in range(5)] == [0] * 5
    assert [row["text"] for row in desk.ledger()] == list("01234")


def test_a_news_message_has_exactly_one_article(desk: Desk) -> None:
    openid = desk.follower(wrote=True)
    article = {"title": "第一周", "description": "正念", "url": "https://example.org/1", "picurl": ""}

    def send(*articles: object) -> int:
        return desk.code("message/custom/send", {"touser": openid, "msgtype": "news", "news": {"articles": list(articles)}})

    assert send(article, article) == 45008
    assert send(article) == 0
    assert desk.last(openid)["card"] == {"title": "第一周", "fields": [["", "正念"]], "url": "https://example.org/1"}


def test_a_menu_message_is_shown_as_links_that_can_be_tapped(desk: Desk) -> None:
    openid = desk.follower(wrote=True)
    menu = {"head_content": "今天练习了吗？", "list": [{"id": "101", "content": "练习了 & 很好"}], "tail_content": "谢谢"}
    assert desk.code("message/custom/send", {"touser": openid, "msgtype": "msgmenu", "msgmenu": menu}) == 0
    shown = desk.last(openid)
    assert [(link["content"], link["id"]) for link in shown["links"]] == [("练习了 & 很好", "101")]
    assert unquote(shown["text"]).startswith("今天练习了吗？")
    desk.do(openid, "tap", href=shown["links"][0]["href"])
    assert desk.push()["Content"] == "练习了 & 很好"
    assert desk.push()["bizmsgmenuid"] == "101"


def test_a_menu_message_has_limits_and_a_test_account_has_none(desk: Desk) -> None:
    openid = desk.follower(wrote=True)

    def send(*items: object) -> int:
        return desk.code("message/custom/send", {"touser": openid, "msgtype": "msgmenu", "msgmenu": {"list": list(items)}})

    assert send(*[{"id": "1", "content": "是"}] * 11) == 45098
    assert send({"id": "1", "content": "长" * 43}) == 45099
    desk.switch(profile="test")
    assert send({"id": "1", "content": "是"}) == 40200


def test_a_picture_needs_media_that_is_still_there(desk: Desk) -> None:
    openid = desk.follower(wrote=True)
    made = desk.http.post(
        "/cgi-bin/media/upload", params={"access_token": desk.token(), "type": "image"}, files={"media": ("a.png", b"png")}
    )
    body = {"touser": openid, "msgtype": "image", "image": {"media_id": made.json()["media_id"]}}
    assert desk.code("message/custom/send", body) == 0
    assert desk.last(openid)["kind"] == "picture"
    assert desk.code("message/custom/send", {**body, "image": {"media_id": "unknown"}}) == 40007
    got = desk.http.get("/cgi-bin/media/get", params={"access_token": desk.token(), "media_id": made.json()["media_id"]})
    assert (got.content, got.headers["content-type"]) == (b"png", "image/png")


def test_media_are_gone_after_three_days(desk: Desk) -> None:
    upload = desk.http.post(
        "/cgi-bin/media/upload", params={"access_token": desk.token(), "type": "image"}, files={"media": ("a.png", b"png")}
    )
    desk.advance(3 * 86_400 + 1)
    desk.access_token = ""
    assert desk.code("media/get", media_id=upload.json()["media_id"]) == 40007


def test_an_upload_without_a_file_or_of_an_unknown_kind_is_refused(desk: Desk) -> None:
    assert desk.code("media/upload", b"x", type="image") == 41005
    assert desk.code("media/upload", b"x", type="poster") == 40004


def typing(desk: Desk, openid: str, command: str = "Typing") -> int:
    return desk.code("message/custom/typing", {"touser": openid, "command": command})


def test_typing_shows_for_fifteen_seconds_and_not_twice(desk: Desk) -> None:
    openid = desk.follower(wrote=True)
    assert typing(desk, openid) == 0
    assert desk.get(f"/sandbox/people/{openid}/chat")["typing"] is True
    assert typing(desk, openid) == 45081
    assert typing(desk, openid, "CancelTyping") == 0
    assert typing(desk, openid) == 0
    desk.advance(15)
    assert desk.get(f"/sandbox/people/{openid}/chat")["typing"] is False


def test_a_message_ends_typing(desk: Desk) -> None:
    openid = desk.follower(wrote=True)
    typing(desk, openid)
    desk.text(openid)
    assert desk.get(f"/sandbox/people/{openid}/chat")["typing"] is False


def test_typing_needs_a_recent_word_an_open_window_and_a_known_command(desk: Desk) -> None:
    openid = desk.follower(wrote=True)
    assert typing(desk, openid, "typing") == 45072
    desk.advance(31)
    assert typing(desk, openid) == 45080
    assert typing(desk, desk.follower()) == 45015


def test_raw_utf8_is_what_the_tests_send() -> None:
    assert raw({"a": "中"}) == '{"a": "中"}'.encode()
