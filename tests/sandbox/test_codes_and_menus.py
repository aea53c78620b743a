"""QR codes, short keys and menus (wechat-platform.md 355-366)."""

from typing import Any

import pytest

from tests.sandbox.conftest import Desk


def code(desk: Desk, name: str, scene: dict[str, Any], **more: Any) -> Any:
    return desk.api("qrcode/create", {"action_name": name, "action_info": {"scene": scene}, **more})


def test_a_new_person_who_scans_follows_with_the_scene(desk: Desk) -> None:
    openid = desk.person()
    made = code(desk, "QR_LIMIT_STR_SCENE", {"scene_str": "G1-7KQ2"})
    desk.do(openid, "scan", ticket=made["ticket"])
    push = desk.push()
    assert (push["Event"], push["EventKey"], push["Ticket"]) == ("subscribe", "qrscene_G1-7KQ2", made["ticket"])
    told = desk.api("user/info", openid=openid)
    assert (told["subscribe_scene"], told["qr_scene"], told["qr_scene_str"]) == ("ADD_SCENE_QR_CODE", 0, "G1-7KQ2")


def test_a_follower_who_scans_causes_scan_without_the_prefix(desk: Desk) -> None:
    openid = desk.follower()
    code(desk, "QR_SCENE", {"scene_id": 42})
    desk.do(openid, "scan", scene=42)
    assert (desk.push()["Event"], desk.push()["EventKey"]) == ("SCAN", "42")


def test_following_without_a_code_has_an_empty_key(desk: Desk) -> None:
    openid = desk.person()
    desk.do(openid, "follow")
    assert (desk.push()["Event"], desk.push()["EventKey"], "Ticket" in desk.push()) == ("subscribe", "", False)


def test_a_code_lives_a_minute_if_nobody_says_otherwise(desk: Desk) -> None:
    openid = desk.follower()
    made = code(desk, "QR_STR_SCENE", {"scene_str": "G1"})
    assert made["expire_seconds"] == 60
    desk.advance(61)
    assert desk.http.post(f"/sandbox/people/{openid}/scan", json={"ticket": made["ticket"]}).status_code == 409
    assert desk.http.get("/cgi-bin/showqrcode", params={"ticket": made["ticket"]}).status_code == 404
    assert desk.get("/sandbox/qrcodes", appid=desk.appid) == []


def test_a_permanent_code_stays(desk: Desk) -> None:
    made = code(desk, "QR_LIMIT_SCENE", {"scene_id": 7})
    assert "expire_seconds" not in made
    desk.advance(40 * 86_400)
    listed = desk.get("/sandbox/qrcodes", appid=desk.appid)
    assert [(each["scene"], each["permanent"], each["expires_at"]) for each in listed] == [("7", True, None)]


def test_the_picture_of_a_code_is_a_png_and_its_ticket_must_be_encoded(desk: Desk) -> None:
    ticket = code(desk, "QR_LIMIT_SCENE", {"scene_id": 7})["ticket"]
    assert "+" in ticket or "/" in ticket
    image = desk.http.get("/cgi-bin/showqrcode", params={"ticket": ticket})
    assert image.content.startswith(b"\x89PNG")
    assert desk.http.get(f"/cgi-bin/showqrcode?ticket={ticket}x").status_code == 404


@pytest.mark.parametrize(
    ("name", "scene", "more"),
    [
        ("QR_SCENE", {"scene_id": 0}, {}),
        ("QR_SCENE", {"scene_id": 2**32}, {}),
        ("QR_SCENE", {"scene_id": True}, {}),
        ("QR_SCENE", {"scene_str": "a"}, {}),
        ("QR_LIMIT_SCENE", {"scene_id": 100_001}, {}),
        ("QR_STR_SCENE", {"scene_str": ""}, {}),
        ("QR_STR_SCENE", {"scene_str": "x" * 65}, {}),
        ("QR_STR_SCENE", {"scene_str": "x"}, {"expire_seconds": 2_592_001}),
        ("QR_STR_SCENE", {"scene_str": "x"}, {"expire_seconds": "60"}),
        ("QR_CARD", {"scene_str": "x"}, {}),
    ],
)
def test_codes_out_of_range_are_refused(desk: Desk, name: str, scene: dict[str, Any], more: dict[str, Any]) -> None:
    assert code(desk, name, scene, **more)["errcode"] == 40035


def test_there_are_a_hundred_thousand_permanent_codes(desk: Desk) -> None:
    desk.served.app.world.accounts[desk.appid].permanent = 100_000
    assert code(desk, "QR_LIMIT_SCENE", {"scene_id": 7})["errcode"] == 45029
    assert "ticket" in code(desk, "QR_SCENE", {"scene_id": 7})


def test_a_short_key_leads_back_until_it_expires(desk: Desk) -> None:
    made = desk.api("shorten/gen", {"long_data": "https://example.org/很长", "expire_seconds": 100})
    assert len(made["short_key"]) == 15
    assert desk.api("shorten/fetch", {"short_key": made["short_key"]})["long_data"] == "https://example.org/很长"
    desk.advance(101)
    assert desk.code("shorten/fetch", {"short_key": made["short_key"]}) == 40035
    assert desk.code("shorten/gen", {"long_data": "x" * 4097}) == 40035


def test_a_menu_entry_that_is_pressed_causes_click(desk: Desk) -> None:
    openid = desk.follower()
    assert (
        desk.code("menu/create", {"button": [{"name": "更多", "sub_button": [{"type": "click", "name": "帮助", "key": "safety.help"}]}]})
        == 0
    )
    desk.do(openid, "press", key="safety.help")
    assert (desk.push()["Event"], desk.push()["EventKey"]) == ("CLICK", "safety.help")
    assert desk.last(openid)["kind"] == "menu_event"
    assert desk.http.post(f"/sandbox/people/{openid}/press", json={"key": "other"}).status_code == 409


def test_a_link_in_the_menu_causes_view_and_an_answer_to_it_is_not_shown(desk: Desk) -> None:
    openid = desk.follower()
    desk.api("menu/create", {"button": [{"type": "view", "name": "网页", "url": "https://example.org/a?b=1&c=2"}]})
    desk.answer_with(desk.sealed(desk.reply_to(openid, Content="看不见")))
    desk.do(openid, "press", key="https://example.org/a?b=1&c=2")
    assert (desk.push()["Event"], desk.push()["EventKey"]) == ("VIEW", "https://example.org/a?b=1&c=2")
    assert desk.last(openid)["text"] == "网页"


def test_a_scan_entry_carries_what_was_scanned(desk: Desk) -> None:
    openid = desk.follower()
    desk.api("menu/create", {"button": [{"type": "scancode_waitmsg", "name": "扫码", "key": "scan"}]})
    desk.do(openid, "press", key="scan")
    assert desk.push()["ScanCodeInfo"]["ScanType"] == "qrcode"


CLICK = {"type": "click", "name": "帮助", "key": "help"}


@pytest.mark.parametrize(
    ("button", "expected"),
    [
        ([], 40016),
        ([CLICK] * 4, 40016),
        ([{**CLICK, "name": "六个汉字的名"}], 40018),
        ([{**CLICK, "key": "k" * 129}], 40019),
        ([{**CLICK, "type": "dance"}], 40017),
        ([{"type": "view", "name": "a", "url": "ftp://example.org"}], 40055),
        ([{"type": "view", "name": "a", "url": "https://example.org/" + "x" * 1024}], 40020),
        ([{"name": "a", "sub_button": [CLICK] * 6}], 40023),
        ([{"name": "a", "sub_button": [{**CLICK, "name": "长" * 21}]}], 40025),
        ([{"name": "a", "sub_button": [{"name": "b", "sub_button": [CLICK]}]}], 40022),
        ([{"name": "a", "sub_button": [CLICK] * 5}], 0),
    ],
)
def test_menus_have_sizes(desk: Desk, button: Any, expected: int) -> None:
    assert desk.code("menu/create", {"button": button}) == expected


def test_a_menu_can_be_read_and_taken_away(desk: Desk) -> None:
    assert desk.code("menu/get") == 46003
    desk.api("menu/create", {"button": [CLICK]})
    assert desk.api("menu/get") == {"menu": {"button": [{**CLICK, "sub_button": []}]}}
    assert desk.get("/sandbox/menu", appid=desk.appid)["button"][0]["key"] == "help"
    assert desk.code("menu/delete") == 0
    assert desk.api("get_current_selfmenu_info")["is_menu_open"] == 0
    assert desk.get("/sandbox/menu", appid=desk.appid) == {"button": []}
