"""Pushes, their three modes, three deliveries, and what may be answered (wechat-platform.md 47-170)."""

import asyncio
import time

import pytest

from app.sandbox.envelope import Malformed, decrypt, encrypt, read_xml, signature, write_xml
from tests.sandbox.conftest import AES_KEY, PUSH_TIMEOUT, TOKEN, Desk, Received, until


def test_the_address_is_verified_with_an_echo_in_every_mode(desk: Desk) -> None:
    async def echo(got: Received) -> tuple[int, bytes]:
        assert got.query["signature"] == signature(TOKEN, got.query["timestamp"], got.query["nonce"])
        assert "msg_signature" not in got.query
        return 200, got.query["echostr"].encode()

    assert desk.post(f"/sandbox/accounts/{desk.appid}/verify") == {"ok": False}
    desk.answer(echo)
    assert desk.post(f"/sandbox/accounts/{desk.appid}/verify") == {"ok": True}


def test_safe_mode_shows_nothing_but_the_ciphertext(desk: Desk) -> None:
    openid = desk.follower()
    desk.do(openid, "say", text="你好")
    got = desk.pushes()[-1]
    outer = read_xml(got.body)
    assert set(outer) == {"ToUserName", "Encrypt"}
    assert got.query["signature"] == signature(TOKEN, got.query["timestamp"], got.query["nonce"])
    assert got.query["msg_signature"] == signature(TOKEN, got.query["timestamp"], got.query["nonce"], outer["Encrypt"])
    assert (got.query["encrypt_type"], got.query["openid"]) == ("aes", openid)
    assert (got.fields()["Content"], got.fields()["FromUserName"]) == ("你好", openid)


def test_compatible_mode_shows_both(desk: Desk) -> None:
    desk.switch(mode="compatible")
    desk.do(desk.follower(), "say", text="你好")
    outer = read_xml(desk.pushes()[-1].body)
    assert outer["Content"] == "你好"
    assert desk.push()["Content"] == "你好"


def test_plaintext_mode_has_no_encryption(desk: Desk) -> None:
    desk.switch(mode="plaintext")
    desk.do(desk.follower(), "say", text="你好")
    got = desk.pushes()[-1]
    assert "encrypt_type" not in got.query
    assert b"Encrypt" not in got.body


def test_words_that_look_like_markup_stay_words(desk: Desk) -> None:
    desk.do(desk.follower(), "say", text="]]></Content><MsgType>image & <b>\x00\ufffe")
    assert desk.push()["Content"] == "]]></Content><MsgType>image & <b>"
    assert desk.push()["MsgType"] == "text"


def test_a_tap_carries_the_id_and_on_a_test_account_it_does_not(desk: Desk) -> None:
    openid = desk.follower()
    desk.do(openid, "tap", href="weixin://bizmsgmenu?msgmenuid=q.7&msgmenucontent=%E5%A5%BD+%26")
    assert (desk.push()["Content"], desk.push()["bizmsgmenuid"]) == ("好 &", "q.7")
    assert (desk.last(openid)["side"], desk.last(openid)["text"]) == ("person", "好 &")
    desk.switch(profile="test")
    desk.do(openid, "tap", content="好", id="q.7")
    assert "bizmsgmenuid" not in desk.push()


def test_a_link_without_text_or_id_cannot_be_tapped(desk: Desk) -> None:
    for body in ({"content": "好"}, {"id": "q.7"}, {"href": "https://example.org/?msgmenuid=1&msgmenucontent=2"}):
        assert desk.http.post(f"/sandbox/people/{desk.follower()}/tap", json=body).status_code == 409


@pytest.mark.parametrize("kind", ["image", "voice", "video", "shortvideo", "location", "link", "file", "sticker"])
def test_other_things_can_be_sent(desk: Desk, kind: str) -> None:
    openid = desk.follower()
    desk.do(openid, "send", kind=kind)
    assert (desk.push()["MsgType"], desk.last(openid)["side"]) == (kind, "person")
    assert int(desk.push()["MsgId"]) > 2**53
    assert desk.text(openid) == 0


def test_an_answer_in_the_same_request_is_shown_and_costs_nothing(desk: Desk) -> None:
    openid = desk.follower()
    desk.answer_with(desk.sealed(desk.reply_to(openid, Content='好的 <a href="https://example.org/">看</a>')))
    assert desk.do(openid, "say", text="你好")["outcome"] == "shown"
    assert desk.last(openid)["text"] == '好的 <a href="https://example.org/">看</a>'
    assert [row["api"] for row in desk.ledger()] == ["passive"]
    assert [desk.text(openid) for _ in range(5)] == [0] * 5


@pytest.mark.parametrize("body", [b"", b"success"])
def test_success_and_nothing_show_nothing(desk: Desk, body: bytes) -> None:
    openid = desk.follower()
    desk.answer_with(body)
    assert desk.do(openid, "say", text="你好")["outcome"] == "silent"
    assert len(desk.chat(openid)) == 1


def test_three_deliveries_carry_the_same_message_with_fresh_signatures(desk: Desk) -> None:
    openid = desk.follower()

    async def slow(_got: Received) -> tuple[int, bytes]:
        await asyncio.sleep(PUSH_TIMEOUT * 4)
        return 200, b"success"

    desk.answer(slow)
    began = time.monotonic()
    told = desk.do(openid, "say", text="在吗")
    assert time.monotonic() - began >= PUSH_TIMEOUT * 3
    assert (told["outcome"], told["tries"]) == ("fault", ["timeout"] * 3)
    pushes = desk.pushes()
    assert len({(push.fields()["MsgId"], push.fields()["CreateTime"]) for push in pushes}) == 1
    assert len({push.query["nonce"] for push in pushes}) == len({push.query["msg_signature"] for push in pushes}) == 3
    assert desk.last(openid)["kind"] == "fault"


def test_an_answer_to_the_third_delivery_is_still_shown(desk: Desk) -> None:
    openid = desk.follower()

    async def third(_got: Received) -> tuple[int, bytes]:
        return (200, desk.sealed(desk.reply_to(openid, Content="终于"))) if len(desk.pushes()) == 3 else (503, b"")

    desk.answer(third)
    told = desk.do(openid, "say", text="在吗")
    assert (told["outcome"], told["tries"]) == ("shown", ["503", "503", "200"])
    assert desk.last(openid)["text"] == "终于"


def test_nobody_there_is_a_fault_after_three_tries(desk: Desk) -> None:
    openid = desk.follower()
    desk.switch(webhook_url="http://127.0.0.1:9/none")
    assert desk.do(openid, "say", text="在吗")["tries"] == ["refused"] * 3
    assert desk.last(openid)["kind"] == "fault"


def test_a_fault_on_leaving_is_shown_to_nobody(desk: Desk) -> None:
    openid = desk.follower()
    desk.answer_with(b"", status=500)
    desk.do(openid, "unfollow")
    assert [entry["kind"] for entry in desk.chat(openid)] == ["unfollowed"]


def bodies(desk: Desk, openid: str) -> dict[str, bytes]:
    good = desk.reply_to(openid, Content="好")
    sealed = read_xml(desk.sealed(good))
    return {
        "JSON": b'{"errcode":0}',
        "almost success": b"success\n",
        "not encrypted": good,
        "signature": write_xml({**sealed, "MsgSignature": "0" * 40}).encode(),
        "other account": desk.sealed(desk.reply_to(openid, Content="好")).replace(b"77", b"78"),
        "incomplete": write_xml({"Encrypt": sealed["Encrypt"]}).encode(),
        "empty content": desk.sealed(desk.reply_to(openid, Content="")),
        "too long": desk.sealed(desk.reply_to(openid, Content="中" * 683)),
        "wrong person": desk.sealed(desk.reply_to("oSomebodyElse000000000000000", Content="好")),
        "not well-formed": desk.sealed(good[:-3]),
        "forged element": desk.sealed(good.replace(b"</xml>", b"<MsgType>text</MsgType></xml>")),
        "entity": desk.sealed(b'<!DOCTYPE xml [<!ENTITY a "b">]>' + good),
        "unknown type": desk.sealed(desk.reply_to(openid, MsgType="poem")),
        "unknown media": desk.sealed(desk.reply_to(openid, MsgType="image", Image={"MediaId": "none"})),
    }


def test_malformed_answers_are_a_fault_at_once(desk: Desk) -> None:
    openid = desk.follower()
    for name, body in bodies(desk, openid).items():
        desk.answer_with(body)
        told = desk.do(openid, "say", text=name)
        assert (told["outcome"], told["tries"]) == ("fault", ["200"]), name
        assert told["reason"], name
        assert desk.last(openid)["kind"] == "fault", name


def test_compatible_mode_takes_plain_answers_and_plaintext_mode_no_encrypted_ones(desk: Desk) -> None:
    openid = desk.follower()
    plain = desk.reply_to(openid, Content="好")
    desk.switch(mode="compatible")
    for body in (plain, desk.sealed(plain)):
        desk.answer_with(body)
        assert desk.do(openid, "say", text="?")["outcome"] == "shown"
    desk.switch(mode="plaintext")
    assert desk.do(openid, "say", text="?")["outcome"] == "fault"


def test_a_message_is_answered_by_one_article_and_an_event_by_eight(desk: Desk) -> None:
    openid = desk.person()
    item = {"Title": "文", "Description": "d", "PicUrl": "", "Url": "https://example.org/"}
    news = desk.reply_to(openid, MsgType="news", ArticleCount=10, Articles={"item": [item] * 10})
    desk.answer_with(desk.sealed(news))
    desk.do(openid, "follow")
    assert len(desk.ledger()) == 8
    desk.do(openid, "say", text="文章")
    assert len(desk.ledger()) == 9


def test_a_hand_over_to_human_agents_shows_nothing(desk: Desk) -> None:
    openid = desk.follower()
    desk.answer_with(desk.sealed(desk.reply_to(openid, MsgType="transfer_customer_service")))
    assert desk.do(openid, "say", text="人工")["outcome"] == "silent"


def test_one_persons_pushes_keep_their_order_while_others_go_on(desk: Desk) -> None:
    slow, quick = desk.follower(), desk.follower()
    order: list[str] = []

    async def answer(got: Received) -> tuple[int, bytes]:
        words = got.fields()["Content"]
        if words == "一":
            await asyncio.sleep(PUSH_TIMEOUT * 0.6)
        order.append(words)
        return 200, b"success"

    desk.answer(answer)
    desk.do(slow, "say", text="一", wait=False)
    desk.do(slow, "say", text="二", wait=False)
    desk.do(quick, "say", text="别人")
    until(lambda: len(order) == 3)
    assert order == ["别人", "一", "二"]


def test_a_lost_answer_brings_the_same_push_again(desk: Desk) -> None:
    openid = desk.follower()
    desk.post("/sandbox/faults", {"api": "push", "cut": "after", "openid": openid})
    assert desk.do(openid, "say", text="在吗")["tries"] == ["lost", "200"]
    first, second = (push.fields() for push in desk.pushes())
    assert first == second


def test_who_does_not_follow_cannot_write(desk: Desk) -> None:
    assert desk.http.post(f"/sandbox/people/{desk.person()}/say", json={"text": "你好"}).status_code == 409


def test_padding_is_a_whole_block_when_it_fits_exactly() -> None:
    for length in range(70):
        text = "x" * length
        assert decrypt(AES_KEY, "wx1", encrypt(AES_KEY, "wx1", text.encode())) == text.encode()


def test_another_accounts_ciphertext_is_refused() -> None:
    with pytest.raises(Malformed):
        decrypt(AES_KEY, "wx1", encrypt(AES_KEY, "wx2", b"<xml/>"))
