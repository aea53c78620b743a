"""What outlives a restart, the clock, the counters, the faults, and the controls."""

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

import httpx
import pytest

from app import clock
from app.sandbox import create
from app.sandbox.timeline import VirtualClock
from tests.sandbox.conftest import NOON, Desk, serve, until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "sandbox"


def opened(folder: Path) -> Iterator[Desk]:
    for served in serve(folder):
        with httpx.Client(base_url=served.url, verify=False) as http:
            yield Desk(served, http)


def test_a_restart_keeps_people_chats_tokens_tickets_allowances_and_counters(folder: Path) -> None:
    for desk in opened(folder):
        openid, ticket = (
            desk.follower(),
            desk.api("qrcode/create", {"action_name": "QR_LIMIT_SCENE", "action_info": {"scene": {"scene_id": 1}}}),
        )
        desk.do(openid, "say", text="你好")
        assert [desk.text(openid) for _ in range(4)] == [0] * 4
        tag = desk.api("tags/create", {"tag": {"name": "一组"}})["tag"]["id"]
        desk.api("tags/members/batchtagging", {"openid_list": [openid], "tagid": tag})
        desk.notice(openid, desk.template(), client_msg_id="c1")
        desk.advance(100)
        before, account, token = desk.chat(openid), desk.account, desk.token()
        used = desk.api("openapi/quota/get", {"cgi_path": "/cgi-bin/message/custom/send"})["quota"]
        ledger = desk.ledger()
    for desk in opened(folder):
        desk.appid, desk.access_token = account["appid"], token
        assert desk.chat(openid) == before
        assert desk.ledger() == ledger
        assert desk.get("/sandbox/clock")["offset"] == 100
        assert desk.api("openapi/quota/get", {"cgi_path": "/cgi-bin/message/custom/send"})["quota"] == used
        assert [each["ticket"] for each in desk.get("/sandbox/qrcodes", appid=desk.appid)] == [ticket["ticket"]]
        assert desk.api("tags/getidlist", {"openid": openid})["tagid_list"] == [tag]
        assert [desk.text(openid), desk.text(openid)] == [0, 45047]


def test_a_receipt_that_was_due_after_the_restart_still_comes(folder: Path) -> None:
    for desk in opened(folder):
        openid = desk.follower()
        desk.switch(receipt_after=3600)
        msgid = desk.notice(openid, desk.template())["msgid"]
        appid = desk.appid
    for desk in opened(folder):
        desk.appid = appid
        desk.switch(webhook_url=f"{desk.served.hook_url}/{appid}")
        desk.advance(3600)
        assert until(partial(desk.events, "TEMPLATESENDJOBFINISH"))[0]["MsgID"] == str(msgid)


def test_a_torn_last_line_is_forgotten(folder: Path) -> None:
    for desk in opened(folder):
        openid = desk.follower()
        appid = desk.appid
    journal = folder / "journal.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"k":"unfollowed","o":"')
    for desk in opened(folder):
        people = desk.get("/sandbox/people", appid=appid)
        assert [(each["openid"], each["following"]) for each in people] == [(openid, True)]
    assert all(json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines())


def test_the_clock_moves_forward_only_and_stands_in_the_file(folder: Path) -> None:
    for desk in opened(folder):
        assert (folder / "clock").read_text(encoding="ascii") == "0"
        desk.advance(3600)
        desk.advance(0.5)
        assert (folder / "clock").read_text(encoding="ascii") == "3600.500"
        assert desk.http.post("/sandbox/clock", json={"advance": -1}).status_code == 422
        assert datetime.fromisoformat(desk.get("/sandbox/clock")["now"]).timestamp() == pytest.approx(NOON + 3600.5, abs=20)


def test_the_service_reads_the_same_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    VirtualClock(folder / "clock", lambda: NOON).advance(7200)
    monkeypatch.setenv(clock.CLOCK_FILE, str(folder / "clock"))
    assert clock.offset().total_seconds() == 7200


def test_a_days_calls_are_counted_and_come_back_tomorrow(desk: Desk) -> None:
    desk.to_noon()
    desk.switch(profile="test")
    codes = [desk.code("user/get") for _ in range(101)]
    assert codes == [0] * 100 + [45009]
    assert desk.api("openapi/quota/get", {"cgi_path": "/cgi-bin/user/get"})["quota"] == {"daily_limit": 100, "used": 100, "remain": 0}
    desk.advance(86_400)
    desk.access_token = ""
    assert desk.code("user/get") == 0


def test_the_counters_can_be_cleared_ten_times_a_month(desk: Desk) -> None:
    desk.switch(profile="test")
    [desk.code("user/get") for _ in range(100)]
    assert desk.code("clear_quota", {"appid": desk.appid}) == 0
    assert desk.code("user/get") == 0
    assert desk.code("clear_quota", {"appid": "wx-other"}) == 40013
    assert desk.http.post("/cgi-bin/clear_quota/v2", json={"appid": desk.appid, "appsecret": desk.secret}).json()["errcode"] == 0
    assert desk.code("openapi/quota/clear", {"cgi_path": "/cgi-bin/user/get"}) == 0
    assert [desk.code("clear_quota", {"appid": desk.appid}) for _ in range(8)] == [0] * 7 + [48006]
    assert desk.code("openapi/quota/get", {"cgi_path": "/cgi-bin/none"}) == 76021


def test_addresses_and_the_self_test_answer(desk: Desk) -> None:
    assert desk.api("getcallbackip")["ip_list"] == desk.api("get_api_domain_ip")["ip_list"] == ["127.0.0.1"]
    assert set(desk.api("callback/check", {"action": "all", "check_operator": "DEFAULT"})) == {"dns", "ping"}
    assert desk.code("callback/check", {"action": "jump"}) == 40035


def test_an_ordered_errcode_comes_so_often_and_nothing_is_accepted(desk: Desk) -> None:
    openid = desk.follower(wrote=True)
    desk.post("/sandbox/faults", {"api": "message/custom/send", "errcode": -1, "times": 2, "skip": 1})
    assert [desk.text(openid) for _ in range(4)] == [0, -1, -1, 0]
    assert len(desk.ledger()) == 2


def test_an_order_can_name_one_person(desk: Desk) -> None:
    openid, other = desk.follower(wrote=True), desk.follower(wrote=True)
    desk.post("/sandbox/faults", {"api": "*", "errcode": 40001, "openid": openid, "times": None})
    assert (desk.text(other), desk.text(openid), desk.text(openid)) == (0, 40001, 40001)
    desk.http.delete("/sandbox/faults")
    assert desk.text(openid) == 0


@pytest.mark.parametrize(("cut", "accepted"), [("before", 0), ("after", 1)])
def test_a_connection_can_be_cut_before_or_after_acceptance(desk: Desk, cut: str, accepted: int) -> None:
    openid = desk.follower(wrote=True)
    desk.token()
    desk.post("/sandbox/faults", {"api": "message/custom/send", "cut": cut})
    with pytest.raises(httpx.RemoteProtocolError):
        desk.text(openid)
    assert len(desk.ledger()) == accepted
    assert desk.text(openid) == 0


def test_an_answer_can_be_late_or_not_json(desk: Desk) -> None:
    openid = desk.follower(wrote=True)
    desk.post("/sandbox/faults", {"api": "message/custom/send", "delay_ms": 80, "status": 502, "body": "<html>"})
    answer = desk.http.post(
        "/cgi-bin/message/custom/send",
        params={"access_token": desk.token()},
        json={"touser": openid, "msgtype": "text", "text": {"content": "late"}},
    )
    assert (answer.status_code, answer.text) == (502, "<html>")
    assert answer.elapsed.total_seconds() >= 0.08
    assert len(desk.ledger()) == 1


def test_calls_are_tallied_by_errcode(desk: Desk) -> None:
    openid = desk.follower(wrote=True)
    desk.text(openid)
    desk.text(openid, "")
    assert desk.get("/sandbox/calls", appid=desk.appid)["message/custom/send"] == {"0": 1, "44004": 1}


def test_an_account_can_be_put_again_and_is_shown_without_secrets(desk: Desk) -> None:
    shown = desk.put("/sandbox/accounts", desk.account)
    assert "secret" not in shown
    assert shown["mode"] == "safe"
    assert desk.appid in [each["appid"] for each in desk.get("/sandbox/accounts")]
    desk.put("/sandbox/accounts", {**desk.account, "name": "新名字"})
    assert desk.served.app.world.accounts[desk.appid].name == "新名字"


@pytest.mark.parametrize("wrong", [{"aes_key": "short"}, {"token": "with space"}, {"mode": "open"}, {"webhook_url": "file:///x"}])
def test_an_account_that_wechat_would_refuse_is_refused(desk: Desk, wrong: dict[str, str]) -> None:
    assert desk.http.put("/sandbox/accounts", json={**desk.account, **wrong}).status_code == 422


def test_people_are_listed_with_what_they_have_not_read(desk: Desk) -> None:
    openid = desk.follower(wrote=True)
    desk.text(openid, '看 <a href="https://example.org/">这里</a>')
    listed = desk.get("/sandbox/people", appid=desk.appid)[0]
    assert len(openid) == 28
    assert openid.startswith("o")
    assert (listed["name"], listed["unread"], listed["last_text"], listed["following"]) == ("小雨", 1, "看 这里", True)
    desk.do(openid, "read")
    assert desk.get("/sandbox/people", appid=desk.appid)[0]["unread"] == 0


def test_a_chat_can_be_read_from_where_one_was(desk: Desk) -> None:
    openid = desk.follower(wrote=True)
    for word in "甲乙丙":
        desk.text(openid, word)
    later = desk.get(f"/sandbox/people/{openid}/chat", after=2)
    assert [(entry["n"], entry["text"], entry["side"]) for entry in later["entries"]] == [(3, "丙", "account")]
    assert (later["following"], later["allowance"]["left"]) == (True, 2)


def test_many_people_can_be_made_at_once_but_none_twice(desk: Desk) -> None:
    people = [{"name": f"组员{n}", "following": True} for n in range(30)]
    made = desk.post("/sandbox/people/batch", {"appid": desk.appid, "people": people})
    assert len({each["openid"] for each in made}) == 30
    again = {"appid": desk.appid, "name": "小雨", "openid": made[0]["openid"]}
    assert desk.http.post("/sandbox/people", json=again).status_code == 409
    assert desk.http.get("/sandbox/people", params={"appid": "wx-none"}).status_code == 404
    assert desk.http.get("/sandbox/people/oNobody/chat").status_code == 404


def test_nothing_of_the_framework_is_open(desk: Desk) -> None:
    assert [desk.http.get(path).status_code for path in ("/docs", "/redoc", "/openapi.json")] == [404] * 3
    assert desk.http.get("/").headers["location"] == "/phones"


def test_the_phones_page_is_there(desk: Desk) -> None:
    assert desk.http.get("/phones").status_code == 200


async def _send(app: object, path: str, body: bytes, query: bytes) -> bytes:
    answers: list[bytes] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.body":
            answers.append(bytes(message["body"]))  # type: ignore[call-overload]  # a body is bytes

    scope = {"type": "http", "method": "POST", "path": path, "query_string": query, "headers": []}
    await app(scope, receive, send)  # type: ignore[operator]  # an ASGI application
    return answers[0]


def test_ten_thousand_service_messages_take_less_than_ten_seconds(folder: Path) -> None:
    async def run() -> float:
        app = create(folder)
        app.world.commit(
            "account_put", appid="wx1", secret="s", token="t", aes_key="k", original_id="gh", webhook_url="http://127.0.0.1:9/"
        )
        for number in range(2_000):
            openid = f"o{number:027}"
            app.world.commit("person_made", appid="wx1", o=openid, name="x", hue=1)
            app.world.commit("followed", o=openid)
            app.world.commit("acted", o=openid, grant="typed")
        app.world.commit("token_issued", appid="wx1", kind="stable", token="x" * 512, overlap=0.0, forced=False)
        query = b"access_token=" + b"x" * 512
        began = time.process_time()
        for number in range(10_000):
            body = b'{"touser":"o%027d","msgtype":"text","text":{"content":"hello %d"}}' % (number % 2_000, number)
            assert b'"errcode": 0' in await _send(app, "/cgi-bin/message/custom/send", body, query)
        took = time.process_time() - began
        assert len(app.world.ledger) == 10_000
        app.world.close()
        return took

    assert asyncio.run(run()) < 10
