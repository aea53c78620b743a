"""The fault script: which calls go wrong, how, and how often (wechat-platform.md 13, item 7)."""

from typing import Any

import httpx
import pytest

from tests.sandbox.conftest import Desk, until
from tests.sandbox.test_tokens import code_with, stable

SEND = "message/custom/send"


def fault(desk: Desk, **order: Any) -> None:
    desk.post("/sandbox/faults", {"api": SEND, **order})


def codes(desk: Desk, openid: str, calls: int) -> list[int]:
    return [desk.text(openid) for _ in range(calls)]


def applied(desk: Desk, name: str) -> int:
    return int(desk.get("/sandbox/faults/applied").get(name, 0))


def test_a_storm_strikes_one_account_until_it_is_over(desk: Desk, http: httpx.Client) -> None:
    other = Desk(desk.served, http)
    openid, spared = desk.follower(wrote=True), other.follower(wrote=True)
    fault(desk, errcode=45011, appid=desk.appid, times=None, name="storm")
    assert codes(desk, openid, 3) == [45011] * 3
    assert other.text(spared) == 0
    assert desk.get("/sandbox/calls", appid=desk.appid)[SEND] == {"45011": 3}
    assert applied(desk, "storm") == 3
    assert desk.http.delete("/sandbox/faults", params={"name": "another"}).json()["open"] == 1
    assert desk.http.delete("/sandbox/faults", params={"name": "storm"}).json()["open"] == 0
    assert desk.text(openid) == 0


def test_each_third_call_goes_wrong(desk: Desk) -> None:
    openid = desk.follower(wrote=True)
    fault(desk, errcode=-1, every=3, times=2)
    assert codes(desk, openid, 7) == [0, 0, -1, 0, 0, -1, 0]


def test_chance_is_drawn_from_the_seed(desk: Desk) -> None:
    openid = desk.follower()

    def drawn(seed: int) -> list[int]:
        fault(desk, errcode=-1, chance=0.5, seed=seed, times=None)
        found = codes(desk, openid, 24)
        desk.http.delete("/sandbox/faults")
        return [code == -1 for code in found]

    first = drawn(7)
    assert drawn(7) == first
    assert drawn(8) != first
    assert 3 < sum(first) < 21


def test_a_whole_family_of_calls_can_be_struck(desk: Desk) -> None:
    openid, template = desk.follower(wrote=True), desk.template()
    desk.token()
    fault(desk, api="message/*", errcode=45009, times=None)
    assert (desk.text(openid), desk.notice(openid, template)["errcode"], desk.code("user/get")) == (45009, 45009, 0)


def test_a_delay_lets_another_order_act_too(desk: Desk) -> None:
    openid = desk.follower(wrote=True)
    desk.token()
    fault(desk, delay_ms=60, jitter_ms=20, times=None)
    fault(desk, errcode=-1)
    answer = desk.http.post(f"/cgi-bin/{SEND}", params={"access_token": desk.token()}, json={"touser": openid})
    assert answer.json()["errcode"] == -1
    assert answer.elapsed.total_seconds() >= 0.06


def test_half_an_answer_names_its_whole_length_and_the_message_was_taken(desk: Desk) -> None:
    openid = desk.follower(wrote=True)
    desk.token()
    fault(desk, cut="half")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        desk.text(openid)
    assert len(desk.ledger()) == 1


def test_a_call_that_hangs_did_nothing(desk: Desk) -> None:
    openid = desk.follower(wrote=True)
    desk.token()
    fault(desk, cut="hang")
    with pytest.raises(httpx.ReadTimeout):
        desk.http.post(f"/cgi-bin/{SEND}", params={"access_token": desk.token()}, json={"touser": openid}, timeout=0.2)
    assert (desk.ledger(), desk.text(openid)) == ([], 0)


def test_a_server_error_can_come_with_and_without_the_thing_done(desk: Desk) -> None:
    openid = desk.follower(wrote=True)
    body = {"touser": openid, "msgtype": "text", "text": {"content": "x"}}
    statuses = []
    for undone in (True, False):
        fault(desk, status=502, undone=undone)
        statuses.append(desk.http.post(f"/cgi-bin/{SEND}", params={"access_token": desk.token()}, json=body).status_code)
    assert (statuses, len(desk.ledger())) == ([502, 502], 1)


def test_a_receipt_can_come_before_the_answer(desk: Desk) -> None:
    openid, template = desk.follower(), desk.template()
    desk.switch(receipt_after=0)
    desk.token()
    fault(desk, api="message/template/send", after_ms=300)
    told = desk.notice(openid, template)["msgid"]
    assert [each["MsgID"] for each in desk.events("TEMPLATESENDJOBFINISH")] == [str(told)]


def test_a_receipt_can_come_twice_or_never(desk: Desk) -> None:
    openid, template = desk.follower(), desk.template()
    desk.switch(receipt_after=0, receipt_copies=2)
    twice = str(desk.notice(openid, template, "甲")["msgid"])
    until(lambda: len(desk.events("TEMPLATESENDJOBFINISH")) == 2)
    desk.switch(receipt_copies=0)
    desk.notice(openid, template, "乙")
    desk.switch(receipt_copies=1)
    once = str(desk.notice(openid, template, "丙")["msgid"])
    until(lambda: desk.events("TEMPLATESENDJOBFINISH")[-1]["MsgID"] == once)
    assert [each["MsgID"] for each in desk.events("TEMPLATESENDJOBFINISH")] == [twice, twice, once]


def test_another_holder_of_the_secret_kills_the_token_and_the_plain_call_returns_the_new_one(desk: Desk) -> None:
    first = stable(desk)["access_token"]
    assert desk.post(f"/sandbox/accounts/{desk.appid}/tokens")["rotations"] == 1
    assert code_with(desk, first) == 40001
    assert code_with(desk, stable(desk)["access_token"]) == 0


def test_a_refused_token_is_returned_until_somebody_forces(desk: Desk) -> None:
    first = stable(desk)["access_token"]
    desk.post(f"/sandbox/accounts/{desk.appid}/tokens", {"how": "reject"})
    assert (code_with(desk, first), stable(desk)["access_token"]) == (40001, first)
    assert code_with(desk, stable(desk, force=True)["access_token"]) == 0


def test_tokens_die_every_so_often_until_the_switch_is_off(desk: Desk) -> None:
    def rotations() -> int:
        return next(int(each["rotations"]) for each in desk.get("/sandbox/accounts") if each["appid"] == desk.appid)

    desk.switch(rotate_every=0.05)
    until(lambda: rotations() >= 3)
    desk.switch(rotate_every=None)
    former = stable(desk)["access_token"]
    until(lambda: not desk.served.app.world.jobs)
    assert code_with(desk, former) in {0, 40001}
    assert code_with(desk, stable(desk)["access_token"]) == 0


def test_many_people_can_have_written_just_now_without_a_push(desk: Desk) -> None:
    people = [desk.follower() for _ in range(3)]
    assert [desk.text(openid) for openid in people] == [45015] * 3
    assert desk.post("/sandbox/people/wrote", {"appid": desk.appid, "openids": people[:2]}) == {"wrote": 2}
    assert [desk.text(openid) for openid in people] == [0, 0, 45015]
    assert desk.pushes() == []
