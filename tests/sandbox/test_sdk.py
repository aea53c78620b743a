"""An unmodified third-party SDK, wechatpy 1.8.18, pointed at the sandbox, and its codec as a second opinion on the pushes."""

from collections.abc import Iterator
from typing import Any

import pytest
from wechatpy import parse_message
from wechatpy.client import WeChatClient
from wechatpy.crypto import WeChatCrypto
from wechatpy.exceptions import APILimitedException, WeChatClientException
from wechatpy.replies import TextReply
from wechatpy.utils import check_signature

from tests.sandbox.conftest import AES_KEY, TOKEN, Desk, Received, until


class Client(WeChatClient):  # type: ignore[misc]  # wechatpy has no types
    """Pointed elsewhere: the token's address is fixed inside, so that one is given too (wechat-platform.md 480)."""

    base = ""

    def fetch_access_token(self) -> Any:
        params = {"grant_type": "client_credential", "appid": self.appid, "secret": self.secret}
        return self._fetch_access_token(url=f"{self.base}token", params=params)


@pytest.fixture
def client(desk: Desk) -> Iterator[Any]:
    sdk = Client(desk.appid, desk.secret, timeout=10)
    sdk.base = sdk.API_BASE_URL = f"{desk.served.url}/cgi-bin/"
    yield sdk
    sdk._http.close()


class TestWechatpy:
    def test_it_fetches_a_token_and_the_servers_addresses(self, desk: Desk, client: Any) -> None:
        assert client.fetch_access_token()["expires_in"] == 7200
        assert client.misc.get_wechat_ips() == ["127.0.0.1"]

    def test_it_sends_text_and_meets_the_limits(self, desk: Desk, client: Any) -> None:
        openid = desk.follower()
        with pytest.raises(WeChatClientException) as closed:
            client.message.send_text(openid, "你好")
        assert closed.value.errcode == 45015
        desk.do(openid, "say", text="在")
        assert client.message.send_text(openid, "你好")["errcode"] == 0
        assert desk.last(openid)["text"] == "你好"

    def test_it_sends_one_article(self, desk: Desk, client: Any) -> None:
        openid = desk.follower(wrote=True)
        client.message.send_articles(openid, [{"title": "题", "description": "述", "url": "https://example.org/", "image": ""}])
        assert desk.last(openid)["card"]["title"] == "题"

    def test_it_recovers_from_a_replaced_token(self, desk: Desk, client: Any) -> None:
        openid = desk.follower(wrote=True)
        client.fetch_access_token()
        client.session.set(client.access_token_key, "y" * 512)
        assert client.message.send_text(openid, "你好")["errcode"] == 0

    def test_it_sends_notices(self, desk: Desk, client: Any) -> None:
        openid, template = desk.follower(), desk.template()
        answer = client.message.send_template(openid, template, {"thing1": {"value": "作业"}}, url="https://example.org/")
        event = parse_message(_decrypted(desk, until(lambda: desk.events("TEMPLATESENDJOBFINISH") and desk.pushes())[-1]))
        assert (event.event, event.id, event.status) == ("templatesendjobfinish", answer["msgid"], "success")
        assert client.template.get_all_private_template()["template_list"][0]["template_id"] == template

    def test_it_reads_users(self, desk: Desk, client: Any) -> None:
        openids = [desk.follower() for _ in range(3)]
        desk.switch(page=2)
        assert client.user.get(openids[0])["subscribe"] == 1
        assert list(client.user.iter_followers()) == openids
        assert [each["openid"] for each in client.user.get_batch(openids)] == openids
        client.user.update_remark(openids[0], "一组")
        assert client.user.get(openids[0])["remark"] == "一组"

    def test_it_tags_people(self, desk: Desk, client: Any) -> None:
        openid = desk.follower()
        tag = client.tag.create("小组一")["id"]
        client.tag.tag_user(tag, openid)
        assert client.tag.get_user_tag(openid) == [tag]
        assert list(client.tag.iter_tag_users(tag)) == [openid]
        assert {"id": tag, "name": "小组一", "count": 1} in client.tag.get()
        client.tag.untag_user(tag, openid)
        client.tag.update(tag, "小组二")
        client.tag.delete(tag)

    def test_it_makes_qr_codes(self, desk: Desk, client: Any) -> None:
        made = client.qrcode.create({"action_name": "QR_STR_SCENE", "expire_seconds": 600, "action_info": {"scene": {"scene_str": "G1"}}})
        assert made["expire_seconds"] == 600
        openid = desk.person()
        desk.do(openid, "scan", ticket=made["ticket"])
        event = parse_message(_decrypted(desk, desk.pushes()[-1]))
        assert (event.event, event.scene_id, event.ticket, event.source) == ("subscribe_scan", "G1", made["ticket"], openid)

    def test_it_sets_menus(self, desk: Desk, client: Any) -> None:
        assert client.menu.get() is None
        client.menu.create({"button": [{"type": "click", "name": "帮助", "key": "safety.help"}]})
        assert client.menu.get()["menu"]["button"][0]["key"] == "safety.help"
        client.menu.delete()

    def test_it_uploads_media(self, desk: Desk, client: Any) -> None:
        openid = desk.follower(wrote=True)
        media_id = client.media.upload("image", ("a.png", b"png"))["media_id"]
        client.message.send_image(openid, media_id)
        assert client.media.download(media_id).content == b"png"

    def test_it_sends_to_many(self, desk: Desk, client: Any) -> None:
        openids = [desk.follower(), desk.follower()]
        answer = client.message.send_mass_text(openids, "大家好", client_msg_id="b1")
        assert client.message.get_mass(answer["msg_id"])["msg_status"] in {"SENDING", "SEND_SUCCESS"}

    def test_it_is_told_when_the_day_is_used_up(self, desk: Desk, client: Any) -> None:
        client.fetch_access_token()
        desk.post("/sandbox/faults", {"api": "message/custom/send", "errcode": 45009})
        # 45009 is to this SDK the general exception, as with the real platform; its own class is for another code.
        with pytest.raises((APILimitedException, WeChatClientException)) as refused:
            client.message.send_text(desk.follower(wrote=True), "你好")
        assert refused.value.errcode == 45009

    def test_its_codec_understands_a_push_and_its_reply_is_shown(self, desk: Desk) -> None:
        openid = desk.follower()

        async def reply(got: Received) -> tuple[int, bytes]:
            message = parse_message(_decrypted(desk, got))
            check_signature(TOKEN, got.query["signature"], got.query["timestamp"], got.query["nonce"])
            xml = TextReply(content=f"听到了：{message.content}", message=message).render()
            return 200, WeChatCrypto(TOKEN, AES_KEY, desk.appid).encrypt_message(xml, "12345", "1700000000").encode()

        desk.answer(reply)
        assert desk.do(openid, "say", text="喂 😀")["outcome"] == "shown"
        assert desk.last(openid)["text"] == "听到了：喂 😀"


def _decrypted(desk: Desk, got: Received) -> str:
    codec = WeChatCrypto(TOKEN, AES_KEY, desk.appid)
    xml: str = codec.decrypt_message(got.body.decode(), got.query["msg_signature"], got.query["timestamp"], got.query["nonce"])
    return xml
