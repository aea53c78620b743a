"""The API client against scripted answers: every call, every errcode, the token rule, L1-L5."""

import asyncio
import json
from datetime import timedelta
from functools import partial
from typing import Any

import httpx
import pytest

from app.channels import Accepted, Channel, MassState, SendError, Verdict
from app.channels.wechat.client import WeChat
from app.channels.wechat.errors import VERDICTS
from tests.channels.calls import FRESH, NOTICE, STALE, WORDS, Do, Keeper, fetches, notifies, sends
from tests.channels.platform import APPID, OPENID, SECRET, account


class Script:
    """The platform: gives the answers in turn (the last one for ever) and remembers what was asked."""

    def __init__(self, *answers: object) -> None:
        self._answers = list(answers)
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return httpx.Response(200, stream=httpx.ByteStream(content))

    def body(self, place: int = -1) -> Any:
        return json.loads(self.asked[place].content)


def run(script: Script, do: Do, keeper: Keeper | None = None) -> Any:
    async def inside() -> Any:
        async with httpx.AsyncClient(transport=httpx.MockTransport(script)) as http:
            return await do(WeChat(account(), keeper or Keeper(), http))

    return asyncio.run(inside())


def fails(script: Script, do: Do = sends, keeper: Keeper | None = None) -> SendError:
    with pytest.raises(SendError) as caught:
        run(script, do, keeper)
    return caught.value


def test_it_is_a_channel() -> None:
    channel: Channel = WeChat(account(), Keeper(), httpx.AsyncClient())
    assert repr(channel) == "WeChat(demo)"


def test_a_text_goes_out_in_raw_utf8_with_the_token_in_the_query() -> None:
    script = Script({"errcode": 0, "errmsg": "ok"})
    assert run(script, sends) == Accepted()
    asked = script.asked[0]
    assert (asked.method, asked.url.path, asked.url.params["access_token"]) == ("POST", "/cgi-bin/message/custom/send", STALE)
    assert WORDS.encode() in asked.content
    assert script.body() == {"touser": OPENID, "msgtype": "text", "text": {"content": WORDS}}


def test_a_menu_goes_out_with_its_entries() -> None:
    script = Script({"errcode": 0})
    run(script, lambda wechat: wechat.send_menu(OPENID, "好吗？", [("q.1", "好"), ("q.2", "不好")], "谢谢"))
    assert script.body()["msgmenu"] == {
        "head_content": "好吗？",
        "list": [{"id": "q.1", "content": "好"}, {"id": "q.2", "content": "不好"}],
        "tail_content": "谢谢",
    }


@pytest.mark.parametrize(("words", "code"), [("", "empty"), ("\u3000", "empty"), ("字" * 683, "too_long")])
def test_a_text_that_cannot_be_sent_asks_nobody(words: str, code: str) -> None:
    script = Script({"errcode": 0})
    error = fails(script, lambda wechat: wechat.send(OPENID, words))
    assert (error.verdict, error.code, script.asked) == (Verdict.BAD_MESSAGE, code, [])


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (200163836, "200163836"),
        (2**63, str(2**63)),
        ("3000000001", "3000000001"),
        (None, None),
        (1.5, None),
        ({}, None),
        (True, None),
        ("x" * 65, None),
    ],
)
def test_l4_a_message_number_is_kept_as_text(said: object, kept: str | None) -> None:
    answer = {"errcode": 0, "errmsg": "ok"} | ({} if said is None else {"msgid": said})
    assert run(Script(answer), notifies) == Accepted(kept)


def test_a_notice_carries_its_client_id_link_and_filled_fields() -> None:
    script = Script({"errcode": 0, "msgid": 1})
    run(script, notifies)
    assert script.body() == {
        "touser": OPENID,
        "template_id": "template-1",
        "url": NOTICE.url,
        "client_msg_id": "n.1",
        "data": {"thing1": {"value": "小组通知"}, "thing2": {"value": "李老师"}, "time3": {"value": "2026年11月23日 20:00"}},
    }


@pytest.mark.parametrize(("code", "verdict"), [each for each in VERDICTS.items() if each[1] is not Verdict.TOKEN])
def test_every_listed_code_is_read_in_a_200_and_never_tried_again(code: int, verdict: Verdict) -> None:
    for said in (code, str(code)):
        script = Script({"errcode": said, "errmsg": f"no {OPENID}"})
        error = fails(script)
        assert (error.verdict, error.code) == (verdict, str(code))
        assert len(script.asked) == 1


def test_45065_brings_the_number_of_the_message_that_is_there_already() -> None:
    assert fails(Script({"errcode": 45065, "errmsg": "exists", "msg_id": 2**60})).msgid == str(2**60)


@pytest.mark.parametrize("code", [40001, 40014, 42001])
def test_a_refused_token_is_renewed_once_and_the_same_call_repeated_once(code: int) -> None:
    keeper, script = Keeper(), Script({"errcode": code, "errmsg": "invalid credential"}, {"errcode": 0})
    assert run(script, sends, keeper) == Accepted()
    assert keeper.refusals == [STALE]
    assert [asked.url.params["access_token"] for asked in script.asked] == [STALE, FRESH]
    assert script.body(0) == script.body(1)


@pytest.mark.parametrize("code", [40001, 40014, 42001])
def test_a_fresh_token_that_is_refused_too_ends_it(code: int) -> None:
    keeper, script = Keeper(), Script({"errcode": code, "errmsg": "invalid credential"})
    error = fails(script, sends, keeper)
    assert (error.verdict, error.code) == (Verdict.TOKEN, str(code))
    assert (len(script.asked), len(keeper.refusals)) == (3, 2), "a newer token from another process may be refused by then as well"


UNREADABLE = {
    "html": b"<html>502</html>",
    "empty": b"",
    "truncated": b'{"errcode":0,"errm',
    "wrong charset": '{"errcode":0,"errmsg":"好"}'.encode("gbk"),
    "utf-16": '{"errcode":0}'.encode("utf-16"),
    "no errcode": b'{"errmsg":"ok"}',
    "errcode null": b'{"errcode":null}',
    "errcode list": b'{"errcode":[0]}',
    "errcode false": b'{"errcode":false}',
    "errcode words": b'{"errcode":"ok"}',
    "errcode float": b'{"errcode":0.0}',
    "errcode long": b'{"errcode":' + b"1" * 4000 + b"}",
    "errcode longer": b'{"errcode":' + b"1" * 5000 + b"}",
    "two objects": b'{"errcode":0}{"errcode":0}',
    "two codes": b'{"errcode":45015,"errcode":0}',
    "a list": b"[0]",
    "a number": b"0",
    "NaN": b'{"errcode":0,"x":NaN}',
    "brackets": b"[" * 60_000,
    "too large": b'{"errcode":0,"x":"' + b"x" * (64 * 1024) + b'"}',
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)
def test_l1_an_answer_that_cannot_be_read_leaves_a_send_in_doubt(content: bytes) -> None:
    script = Script(content)
    assert fails(script).verdict is Verdict.UNKNOWN
    assert len(script.asked) == 1


@pytest.mark.parametrize("content", [b'{"errcode":"0","errmsg":"ok"}', b' {"errcode":0,"future":{"a":[1]}} '])
def test_l1_a_readable_success_is_one_however_it_is_written(content: bytes) -> None:
    assert run(Script(content), sends) == Accepted()


def status(code: int, content: bytes = b"", **headers: str) -> httpx.Response:
    return httpx.Response(code, headers=headers, stream=httpx.ByteStream(content))


@pytest.mark.parametrize(
    ("answer", "verdict", "code"),
    [
        (status(302, Location="https://evil.example/"), Verdict.UNKNOWN, "http_302"),
        (status(429, b"slow down"), Verdict.WAIT_MINUTE, "http_429"),
        (status(502, b"<html>"), Verdict.UNKNOWN, "http_502"),
        (status(500, b'{"errcode":0}'), Verdict.UNKNOWN, "http_500"),
        (status(404, b'{"errcode":0}'), Verdict.UNKNOWN, "http_404"),
        (status(200, b"\x1f\x8b" + b"0" * 30, **{"Content-Encoding": "gzip"}), Verdict.UNKNOWN, "unreadable"),
        (httpx.ConnectError("x"), Verdict.NOT_SENT, "connect_error"),
        (httpx.ConnectTimeout("x"), Verdict.NOT_SENT, "connect_timeout"),
        (httpx.PoolTimeout("x"), Verdict.NOT_SENT, "pool_timeout"),
        (httpx.ReadTimeout("x"), Verdict.UNKNOWN, "read_timeout"),
        (httpx.WriteTimeout("x"), Verdict.UNKNOWN, "write_timeout"),
        (httpx.ReadError("x"), Verdict.UNKNOWN, "read_error"),
        (httpx.WriteError("x"), Verdict.UNKNOWN, "write_error"),
        (httpx.RemoteProtocolError("x"), Verdict.UNKNOWN, "remote_protocol_error"),
    ],
    ids=str,
)
def test_l2_statuses_and_transport_failures_have_their_class(answer: object, verdict: Verdict, code: str) -> None:
    script = Script(answer)
    error = fails(script)
    assert (error.verdict, error.code) == (verdict, code)
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    ("given", "seconds"),
    [({"expires_in": 0}, 60), ({"expires_in": -7}, 60), ({}, 60), ({"expires_in": 10**9}, 7200), ({"expires_in": 5400}, 5400)],
)
def test_l3_the_life_of_a_token_is_bounded(given: dict[str, int], seconds: int) -> None:
    script = Script({"access_token": FRESH} | given)
    assert run(script, fetches) == (FRESH, timedelta(seconds=seconds))
    assert script.asked[0].url.query == b""
    assert script.body() == {"grant_type": "client_credential", "appid": APPID, "secret": SECRET, "force_refresh": True}


@pytest.mark.parametrize(
    "answer",
    [
        {"access_token": "a\nb", "expires_in": 7200},
        {"access_token": "x" * 600, "expires_in": 7200},
        {"access_token": "", "expires_in": 7200},
        {"access_token": 5, "expires_in": 7200},
        {"access_token": FRESH, "expires_in": "soon"},
        {"access_token": FRESH, "expires_in": True},
        {"access_token": FRESH, "expires_in": 1.5},
        {"errcode": 0},
        {"expires_in": 7200},
    ],
)
def test_l3_a_malformed_token_is_refused(answer: object) -> None:
    assert fails(Script(answer), fetches).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("code", [40001, 40125, 40013, 40164, 89503])
def test_a_refused_secret_or_address_breaks_the_account_and_asks_no_keeper(code: int) -> None:
    keeper = Keeper()
    error = fails(Script({"errcode": code, "errmsg": f"invalid appsecret {SECRET}, ip 203.0.113.7"}), fetches, keeper)
    assert (error.verdict, keeper.refusals) == (Verdict.ACCOUNT_BROKEN, [])
    assert SECRET not in error.detail
    assert "203.0.113.7" in error.detail


@pytest.mark.parametrize("code", [45080, 45081])
def test_typing_that_cannot_be_shown_is_no_error(code: int) -> None:
    script = Script({"errcode": code, "errmsg": "no"})
    run(script, lambda wechat: wechat.show_typing(OPENID))
    assert script.body() == {"touser": OPENID, "command": "Typing"}


def test_typing_outside_the_window_is_told() -> None:
    assert fails(Script({"errcode": 45015}), lambda wechat: wechat.show_typing(OPENID)).verdict is Verdict.WINDOW_CLOSED


def test_user_info_comes_without_errcode() -> None:
    script = Script({"subscribe": 1, "openid": OPENID})
    assert run(script, lambda wechat: wechat.user_info(OPENID)) == {"subscribe": 1, "openid": OPENID}
    assert (script.asked[0].method, script.asked[0].url.params["openid"]) == ("GET", OPENID)


def page(first: int, count: int, following: str, total: int) -> dict[str, object]:
    data = {"data": {"openid": [f"oPerson{number:05}" for number in range(first, first + count)]}} if count else {}
    return {"total": total, "count": count, "next_openid": following, **data}


def test_followers_come_from_every_page() -> None:
    script = Script(page(0, 10_000, "oPerson09999", 10_003), page(10_000, 3, "oPerson10002", 10_003))
    found = run(script, WeChat.followers)
    assert (len(found), found[0], found[-1]) == (10_003, "oPerson00000", "oPerson10002")
    assert [dict(asked.url.params).get("next_openid") for asked in script.asked] == [None, "oPerson09999"]


@pytest.mark.parametrize("last", [page(0, 0, "", 0), page(0, 2, "", 9), page(0, 2, "oPerson00001", 9)], ids=["none", "end", "no progress"])
def test_followers_end_where_the_pages_do(last: dict[str, object]) -> None:
    assert len(run(Script(last), WeChat.followers)) == last["count"]


@pytest.mark.parametrize(
    "answer", [{"total": 1}, {"total": "1", "next_openid": ""}, {"total": 1, "data": {"openid": [1]}, "next_openid": ""}]
)
def test_a_malformed_page_is_no_list_of_followers(answer: dict[str, object]) -> None:
    if answer == {"total": 1}:
        assert run(Script(answer), WeChat.followers) == []
    else:
        assert fails(Script(answer), WeChat.followers).code == "bad_page"


@pytest.mark.parametrize(
    ("seconds", "body"),
    [
        (None, {"action_name": "QR_LIMIT_STR_SCENE"}),
        (3600, {"action_name": "QR_STR_SCENE", "expire_seconds": 3600}),
        (10**9, {"action_name": "QR_STR_SCENE", "expire_seconds": 2_592_000}),
    ],
)
def test_a_qr_code_is_temporary_or_permanent(seconds: int | None, body: dict[str, object]) -> None:
    script = Script({"ticket": "gQH4==", "url": "http://weixin.qq.com/q/x"})
    assert run(script, lambda wechat: wechat.create_qr("CODE23", seconds)) == "gQH4=="
    assert script.body() == body | {"action_info": {"scene": {"scene_str": "CODE23"}}}


def test_the_picture_of_a_qr_code_is_on_wechats_page_or_the_sandboxs() -> None:
    async def addresses() -> list[str]:
        async with httpx.AsyncClient() as http:
            return [
                WeChat(account(api_base=base), Keeper(), http).qr_image_url("g+/==")
                for base in ("https://api.weixin.qq.com/", "http://127.0.0.1:8001")
            ]

    assert asyncio.run(addresses()) == [
        "https://mp.weixin.qq.com/cgi-bin/showqrcode?ticket=g%2B%2F%3D%3D",
        "http://127.0.0.1:8001/cgi-bin/showqrcode?ticket=g%2B%2F%3D%3D",
    ]


def test_a_scene_of_another_length_asks_nobody() -> None:
    for code in ("", "x" * 65):
        assert fails(Script({"ticket": "t"}), partial(WeChat.create_qr, code=code, seconds=None)).code == "scene"


def test_a_menu_is_set_as_given() -> None:
    script = Script({"errcode": 0})
    menu = {"button": [{"type": "click", "name": "帮助", "key": "help"}]}
    run(script, lambda wechat: wechat.set_menu(menu))
    assert (script.asked[0].url.path, script.body()) == ("/cgi-bin/menu/create", menu)


def test_a_tag_is_created_and_known_by_its_number() -> None:
    assert run(Script({"tag": {"id": 134, "name": "一组"}}), lambda wechat: wechat.create_tag("一组")) == 134
    assert fails(Script({"tag": {"id": "x"}}), lambda wechat: wechat.create_tag("一组")).code == "bad_tag"


PEOPLE = [f"oPerson{number:05}" for number in range(120)]


def test_tagging_goes_in_batches_of_fifty() -> None:
    script = Script({"errcode": 0})
    run(script, lambda wechat: wechat.tag(134, PEOPLE))
    assert [len(json.loads(asked.content)["openid_list"]) for asked in script.asked] == [50, 50, 20]
    assert {asked.url.path for asked in script.asked} == {"/cgi-bin/tags/members/batchtagging"}


def test_one_foreign_openid_sends_its_batch_one_by_one_and_is_left_out() -> None:
    done: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        openids = json.loads(request.content)["openid_list"]
        if PEOPLE[60] in openids:
            return httpx.Response(200, stream=httpx.ByteStream(b'{"errcode":49003,"errmsg":"not match"}'))
        done.extend(openids)
        return httpx.Response(200, stream=httpx.ByteStream(b'{"errcode":0}'))

    async def inside() -> list[str]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            return list(await WeChat(account(), Keeper(), http).untag(134, PEOPLE))

    assert asyncio.run(inside()) == [PEOPLE[60]], "and is named"
    assert sorted(done) == sorted(set(PEOPLE) - {PEOPLE[60]})


def test_one_openid_that_cannot_be_tagged_at_all_is_asked_once() -> None:
    script = Script({"errcode": 45059, "errmsg": "can't add more tags"})
    assert run(script, lambda wechat: wechat.tag(134, PEOPLE[:1])) == PEOPLE[:1]
    assert len(script.asked) == 1


def test_a_tag_is_found_by_its_name_and_deleted_by_its_number() -> None:
    tags = {"tags": [{"id": 2, "name": "星标组", "count": 0}, {"id": 134, "name": "一组", "count": 3}]}
    assert run(Script(tags), lambda wechat: wechat.find_tag("一组")) == 134
    assert run(Script(tags), lambda wechat: wechat.find_tag("二组")) is None
    assert fails(Script({"tags": 3}), lambda wechat: wechat.find_tag("一组")).code == "bad_tags"
    script = Script({"errcode": 0})
    run(script, lambda wechat: wechat.delete_tag(134))
    assert (script.asked[0].url.path, script.body()) == ("/cgi-bin/tags/delete", {"tag": {"id": 134}})


def test_whoever_has_a_tag_is_read_from_every_page() -> None:
    script = Script(page(0, 10_000, "oPerson09999", 0), page(10_000, 3, "oPerson10002", 0), page(0, 0, "", 0))
    found = run(script, lambda wechat: wechat.tagged(134))
    assert (len(found), found[-1]) == (10_003, "oPerson10002")
    assert [json.loads(asked.content) for asked in script.asked] == [
        {"tagid": 134, "next_openid": following} for following in ("", "oPerson09999", "oPerson10002")
    ]


@pytest.mark.parametrize(
    "answer", [{"count": 1, "data": {"openid": [1]}}, {"count": 1, "next_openid": 5}, {"count": 1, "data": {"openid": "x"}}]
)
def test_a_malformed_page_tells_nobody_who_has_a_tag(answer: dict[str, object]) -> None:
    assert fails(Script(answer), lambda wechat: wechat.tagged(134)).code == "bad_page"


def test_a_mass_send_goes_by_tag_id_under_our_own_id() -> None:
    script = Script({"errcode": 0, "errmsg": "send job submission success", "msg_id": 34182, "msg_data_id": 206227730})
    assert run(script, lambda wechat: wechat.send_to_tag(134, "周日静修", "b1.0.1")).msgid == "34182"
    assert script.asked[0].url.path == "/cgi-bin/message/mass/sendall"
    assert script.body() == {
        "filter": {"is_to_all": False, "tag_id": 134},
        "msgtype": "text",
        "text": {"content": "周日静修"},
        "clientmsgid": "b1.0.1",
    }


@pytest.mark.parametrize("answer", [{"errcode": 45065, "msg_id": 34182}, {"errcode": 45065, "msg_id": "34182"}])
def test_an_id_that_is_there_already_names_its_mass_send(answer: dict[str, object]) -> None:
    error = fails(Script(answer), lambda wechat: wechat.send_to_tag(134, "周日静修", "b1.0.1"))
    assert (error.verdict, error.msgid) == (Verdict.DUPLICATE, "34182")


@pytest.mark.parametrize(("client_id", "text"), [("", "好"), ("x" * 33, "好"), ("汉" * 11, "好"), ("b1", " "), ("b1", "中" * 683)])
def test_a_mass_send_that_cannot_be_asks_nobody(client_id: str, text: str) -> None:
    script = Script({"errcode": 0})
    assert fails(script, lambda wechat: wechat.send_to_tag(134, text, client_id)).verdict is Verdict.BAD_MESSAGE
    assert not script.asked


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("SEND_SUCCESS", MassState.SENT),
        ("SENDING", MassState.UNDER_WAY),
        ("SEND_FAIL", MassState.FAILED),
        ("DELETE", MassState.TAKEN_BACK),
        ("send_success", MassState.SENT),
        ("WHAT", MassState.UNDER_WAY),
    ],
)
def test_the_state_of_a_mass_send_is_asked_by_its_number(said: str, state: MassState) -> None:
    script = Script({"msg_id": 34182, "msg_status": said})
    assert run(script, lambda wechat: wechat.mass_state("34182")) is state
    assert script.asked[0].url.path == "/cgi-bin/message/mass/get"


def test_another_refusal_ends_tagging() -> None:
    script = Script({"errcode": 45159})
    assert fails(script, lambda wechat: wechat.tag(9, PEOPLE)).code == "45159"
    assert len(script.asked) == 1
