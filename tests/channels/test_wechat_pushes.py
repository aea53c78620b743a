"""Every message and event of the platform reference, section 2, and the hostile fields of cases B14, B15, C2-C12, D3, D4."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from wechatpy.parser import parse_message

from app.channels import BadPush, MassCounts, Push, PushKind, RefusedPush
from app.channels.wechat.pushes import open_push
from tests.channels.platform import NOW, OPENID, ORIGINAL, STAMP, account, document, event, message, sealed, signed, text


def opened(body: bytes, now: datetime = NOW) -> Push:
    return open_push(account("plaintext"), signed(shift=now - NOW), body, now)


def bad(body: bytes) -> str:
    with pytest.raises(BadPush) as caught:
        opened(body)
    assert caught.value.raw == body
    return caught.value.reason


def meaning(push: Push) -> tuple[PushKind, str, str | None]:
    return push.kind, push.value, push.choice


def test_words_are_words() -> None:
    push = opened(text("今天练习了 🙂"))
    assert meaning(push) == (PushKind.WROTE, "今天练习了 🙂", None)
    assert (push.openid, push.sent_at, push.msgid, push.note) == (OPENID, NOW, "23456789012345678", None)
    assert push.raw == text("今天练习了 🙂")


def test_an_encrypted_push_reads_like_a_plain_one_and_remembers_its_key() -> None:
    query, body = sealed(text("晚安"))
    push = open_push(account("safe"), query, body, NOW)
    assert dataclasses.replace(push, aes_key_used=None) == opened(text("晚安"))
    assert push.aes_key_used


@pytest.mark.parametrize("choice", ["announcement.7.2", "1", "q.12345.3"])
def test_a_tapped_choice_brings_its_id_and_its_bubble(choice: str) -> None:
    assert meaning(opened(text("好的", bizmsgmenuid=choice))) == (PushKind.TAPPED, "好的", choice)


@pytest.mark.parametrize("choice", ["", "0", "-"])
def test_e8_a_missing_or_zero_choice_is_taken_as_typed(choice: str) -> None:
    assert meaning(opened(text("好的", bizmsgmenuid=choice))) == (PushKind.WROTE, "好的", None)


@pytest.mark.parametrize("choice", ["x" * 1024, "中文", "a b", "a\nb", " "])
def test_e7_an_impossible_choice_is_a_tap_on_nothing_of_ours_and_never_typed_words(choice: str) -> None:
    assert meaning(opened(text("好的", bizmsgmenuid=choice))) == (PushKind.TAPPED, "好的", "")


@pytest.mark.parametrize(
    ("body", "kind", "value"),
    [
        (event("CLICK", EventKey="menu.help"), PushKind.PRESSED, "menu.help"),
        (event("SCAN", EventKey="CODE23", Ticket="t"), PushKind.SCANNED, "CODE23"),
        (event("subscribe", EventKey="qrscene_CODE23", Ticket="t"), PushKind.FOLLOWED, "CODE23"),
        (event("subscribe", EventKey="qrscene_qrscene_x"), PushKind.FOLLOWED, "qrscene_x"),
        (event("subscribe", EventKey=""), PushKind.FOLLOWED, ""),
        (event("subscribe"), PushKind.FOLLOWED, ""),
        (event("subscribe", EventKey="last_trade_no_4200001"), PushKind.FOLLOWED, ""),
        (event("subscribe", EventKey="scanbarcode|1|2"), PushKind.FOLLOWED, ""),
        (event("SCAN", EventKey="x" * 65), PushKind.SCANNED, ""),
        (event("unsubscribe", EventKey=""), PushKind.LEFT, ""),
    ],
)
def test_presses_scans_follows_and_leaving(body: bytes, kind: PushKind, value: str) -> None:
    assert meaning(opened(body)) == (kind, value, None)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (event("TEMPLATESENDJOBFINISH", MsgID="200163836", Status="success"), "success"),
        (event("TEMPLATESENDJOBFINISH", MsgID="200163836", Status="failed:user block"), "failed:user block"),
        (event("TEMPLATESENDJOBFINISH", MsgID="200163836", Status="failed: system failed"), "failed: system failed"),
        (event("MASSSENDJOBFINISH", "<CopyrightCheckResult><Count>0</Count><ResultList/></CopyrightCheckResult>",
               MsgID="200163836", Status="err(10001)", TotalCount="26"), "err(10001)"),
    ],
)  # fmt: skip
def test_c10_a_receipt_brings_its_number_and_status(body: bytes, status: str) -> None:
    push = opened(body)
    assert (push.kind, push.msgid, push.value) == (PushKind.RECEIPT, "200163836", status)
    assert opened(body).dedupe_key == push.dedupe_key


COUNTS = {"TotalCount": "26", "FilterCount": "25", "SentCount": "24", "ErrorCount": "1"}


def test_the_receipt_of_a_mass_send_brings_its_counts() -> None:
    push = opened(event("MASSSENDJOBFINISH", MsgID="200163836", Status="send success", **COUNTS))
    assert (push.value, push.counts) == ("send success", MassCounts(total=26, kept=25, sent=24, errors=1))


@pytest.mark.parametrize("count", ["", "-1", "1e3", "２", "9" * 13, "24 "])
def test_counts_that_are_no_numbers_are_none(count: str) -> None:
    push = opened(event("MASSSENDJOBFINISH", MsgID="200163836", Status="send success", **COUNTS | {"SentCount": count}))
    assert (push.kind, push.value, push.counts) == (PushKind.RECEIPT, "send success", None)


PICTURES = "<SendPicsInfo><Count>1</Count><PicList><item><PicMd5Sum>x</PicMd5Sum></item></PicList></SendPicsInfo>"
SCAN = "<ScanCodeInfo><ScanType>qrcode</ScanType><ScanResult>1</ScanResult></ScanCodeInfo>"
PLACE = "<SendLocationInfo><Location_X>23</Location_X><Label>x</Label></SendLocationInfo>"
POPUP = "<SubscribeMsg{0}Event><List><TemplateId>t</TemplateId></List><List><TemplateId>u</TemplateId></List></SubscribeMsg{0}Event>"


@pytest.mark.parametrize(
    "body",
    [
        event("LOCATION", Latitude="23.1", Longitude="113.3", Precision="119"),
        event("VIEW", EventKey="https://example.org/?a=1&b=2", MenuId="1"),
        event("view_miniprogram", EventKey="pages/index", MenuId="1"),
        event("scancode_push", SCAN, EventKey="k"),
        event("scancode_waitmsg", SCAN, EventKey="k"),
        event("pic_sysphoto", PICTURES, EventKey="k"),
        event("pic_photo_or_album", PICTURES, EventKey="k"),
        event("pic_weixin", PICTURES, EventKey="k"),
        event("location_select", PLACE, EventKey="k"),
        event("subscribe_msg_popup_event", POPUP.format("Popup")),
        event("subscribe_msg_change_event", POPUP.format("Change")),
        event("subscribe_msg_sent_event", POPUP.format("Sent")),
        event("user_info_modified", OpenID="o", RevokeInfo="1"),
        event("user_authorization_revoke", OpenID="o"),
        event("kf_create_session", KfAccount="a@b"),
        event("kf_close_session", KfAccount="a@b"),
        event("kf_switch_session", FromKfAccount="a@b", ToKfAccount="c@d"),
        event("zzz"),
        event("x" * 2000),
    ],
)
def test_every_other_event_is_understood_and_ignored(body: bytes) -> None:
    assert opened(body).kind is PushKind.IGNORED


MEDIA = {
    "image": ({"PicUrl": "http://169.254.169.254/x", "MediaId": "../../etc/passwd"}, "image"),
    "voice": ({"MediaId": "m", "Format": "amr", "Recognition": "退出", "MediaId16K": "n"}, "voice"),
    "video": ({"MediaId": "m", "ThumbMediaId": "t"}, "video"),
    "shortvideo": ({"MediaId": "m", "ThumbMediaId": "t"}, "video"),
    "location": ({"Location_X": "23", "Location_Y": "113", "Scale": "20", "Label": "广州"}, "location"),
    "link": ({"Title": "t", "Description": "d", "Url": "file:///etc/passwd"}, "link"),
    "file": ({"Title": "t", "FileKey": "k"}, "file"),
    "miniprogrampage": ({"Title": "t", "AppId": "wx", "PagePath": "p"}, "other"),
    "zzz": ({}, "other"),
    "IMAGE": ({"MediaId": "m"}, "image"),
    "z" * 2000: ({}, "other"),
}


@pytest.mark.parametrize("kind", MEDIA, ids=lambda each: each[:16])
def test_c8_what_is_not_text_is_known_by_its_kind_only(kind: str) -> None:
    fields, said = MEDIA[kind]
    push = opened(message(MsgType=kind, MsgId="1", **fields))
    assert meaning(push) == (PushKind.SENT, said, None)


def test_c9_addresses_and_media_ids_of_a_message_are_not_passed_on() -> None:
    push = opened(message(MsgType="image", MsgId="1", PicUrl="http://169.254.169.254/x", MediaId="../../etc/passwd"))
    said = dataclasses.replace(push, raw=b"")
    assert "169.254" not in str(dataclasses.asdict(said))
    assert "passwd" not in str(dataclasses.asdict(said))


def test_c12_what_a_voice_message_was_heard_to_say_is_never_words() -> None:
    assert "退出" not in opened(message(MsgType="voice", MsgId="1", MediaId="m", Recognition="退出")).value


@pytest.mark.parametrize("blank", ["", " ", "\n\t", "\u3000\u3000", "\u200b"])
def test_d4_a_text_with_nothing_to_see_is_no_answer(blank: str) -> None:
    assert meaning(opened(text(blank))) == (PushKind.SENT, "empty", None)


@pytest.mark.parametrize(
    ("raw", "said"), [("晚\x00安", "晚安"), ("晚\x07\x1b[0m安", "晚[0m安"), ("晚\x85安", "晚安"), ("晚\uffff安", "晚安")]
)
def test_d3_controls_in_words_are_removed_and_noted(raw: str, said: str) -> None:
    push = opened(text(raw))
    assert (push.kind, push.value, push.note) == (PushKind.WROTE, said, "controls")


@pytest.mark.parametrize("literal", ["]]></Content><MsgType><![CDATA[image]]>", "<a href='x'>y</a>", "{{7*7}}", "a\u202eb", "' OR 1=1 --"])
def test_b6_d2_d5_d7_words_come_through_literally(literal: str) -> None:
    written = literal.replace("]]>", "]]]]><![CDATA[>")
    assert meaning(opened(text(written))) == (PushKind.WROTE, literal, None)


def test_b14_an_envelope_inside_an_envelope_is_not_opened() -> None:
    _, inner = sealed(text())
    query, body = sealed(inner)
    with pytest.raises(BadPush, match="nested"):
        open_push(account("safe"), query, body, NOW)


def test_b14_what_was_decrypted_goes_to_quarantine() -> None:
    query, body = sealed(b"<xml><a/></xml>")
    with pytest.raises(BadPush) as caught:
        open_push(account("safe"), query, body, NOW)
    assert caught.value.raw == b"<xml><a/></xml>"


@pytest.mark.parametrize("recipient", ["gh_another", "", "g" * 1024, "-"])
def test_b15_a_push_for_another_account_is_quarantined(recipient: str) -> None:
    assert bad(text(ToUserName=recipient)) == "recipient"


@pytest.mark.parametrize("mode", ["safe", "compatible"])
@pytest.mark.parametrize(
    ("body", "reason"), [(b"", "not xml"), (b"  ", "not xml"), (b"null", "not xml"), (b'{"a":1}', "json"), (b"a=1", "not xml")]
)
def test_a13_a_signed_body_that_is_no_xml_is_quarantined_in_every_mode(mode: str, body: bytes, reason: str) -> None:
    assert bad(body) == reason
    query, _ = sealed(text())
    with pytest.raises(BadPush, match=reason):
        open_push(account(mode), query, body, NOW)


@pytest.mark.parametrize("body", [b"", b"null", b'{"a":1}', b"a=1", text()])
def test_a13_the_same_bodies_unsigned_are_refused(body: bytes) -> None:
    with pytest.raises(RefusedPush):
        open_push(account("safe"), [], body, NOW)


def test_c2_the_same_number_from_another_sender_is_another_message() -> None:
    assert opened(text()).dedupe_key != opened(text(FromUserName="oAnotherPerson")).dedupe_key


def test_c2_the_same_number_with_other_content_has_the_same_key_and_another_hash() -> None:
    for one, other in (
        (text("a"), text("b")),
        (text("a"), text("a", bizmsgmenuid="x.1")),
        (text(" "), text("\u3000")),
        (message(MsgType="image", MsgId="1", MediaId="a"), message(MsgType="image", MsgId="1", MediaId="b")),
    ):
        assert opened(one).dedupe_key == opened(other).dedupe_key
        assert opened(one).content_hash != opened(other).content_hash


def test_c2_events_of_one_second_differ_by_name_key_and_number() -> None:
    bodies = [
        event("CLICK", EventKey="a"),
        event("CLICK", EventKey="b"),
        event("LOCATION"),
        event("TEMPLATESENDJOBFINISH", MsgID="1", Status="success"),
        event("TEMPLATESENDJOBFINISH", MsgID="2", Status="success"),
        event("CLICK", EventKey="a", CreateTime=str(int(STAMP) + 1)),
        event("CLICK", EventKey="a", FromUserName="oAnotherPerson"),
    ]
    assert len({opened(body).dedupe_key for body in bodies}) == len(bodies)


def test_c11_two_presses_of_one_entry_in_the_same_second_are_one() -> None:
    body = event("CLICK", EventKey="a")
    assert opened(body).dedupe_key == opened(body).dedupe_key


def test_the_key_begins_with_the_moment_and_does_not_hold_the_openid() -> None:
    key = opened(text()).dedupe_key
    assert key.startswith(f"{STAMP}:")
    assert len(key) == 33
    assert OPENID not in key
    assert "openid" not in repr(opened(text()))
    assert OPENID not in repr(opened(text()))
    assert "今天" not in repr(opened(text()))


@pytest.mark.parametrize("msgid", ["0", "-1", str(2**63), str(2**64), "1e5", "00012", "abc", "9" * 32])
def test_c4_any_number_of_a_message_is_kept_as_text(msgid: str) -> None:
    assert opened(message(Content="a", MsgId=msgid)).msgid == msgid


@pytest.mark.parametrize("msgid", ["9" * 33, "1 2", "一", "1\n", " "])
def test_c4_a_number_of_another_shape_is_quarantined(msgid: str) -> None:
    assert bad(message(Content="a", MsgId=msgid)) == "MsgId"


def test_c5_a_message_without_number_and_an_event_without_name_are_quarantined() -> None:
    assert bad(message(Content="a")) == "no MsgId"
    assert bad(message(MsgType="image", MediaId="m")) == "no MsgId"
    assert bad(message(MsgType="event")) == "no Event"
    assert bad(message(MsgType="event", Event=" ")) == "no Event"
    assert bad(message(MsgType="-")) == "no MsgType"
    assert bad(event("TEMPLATESENDJOBFINISH", Status="success")) == "no MsgID"


ODD = [
    "0",
    "-5",
    "4102444800",
    "9" * 20,
    STAMP + "000",
    STAMP + ".5",
    "",
    "-",
    "soon",
    "１" * 10,
    str(int(STAMP) + 3601),
    str(int(STAMP) - 3601),
]


@pytest.mark.parametrize("given", ODD)
def test_c6_an_odd_time_of_writing_gives_way_to_our_own_and_is_noted(given: str) -> None:
    push = opened(message(Content="a", MsgId="1", CreateTime=given))
    later = opened(message(Content="a", MsgId="1", CreateTime=given), NOW + timedelta(seconds=10))
    assert (push.sent_at, push.note) == (NOW, "clock")
    assert push.dedupe_key == later.dedupe_key
    assert push.dedupe_key[:10].isdigit()
    assert push.dedupe_key[10] == ":"


def test_c6_odd_times_do_not_fall_together_and_milliseconds_keep_their_place() -> None:
    pushes = [opened(message(Content="a", MsgId="1", CreateTime=given)) for given in ODD if given != "-"]
    assert len({push.dedupe_key for push in pushes}) == len(pushes)
    assert opened(message(Content="a", MsgId="1", CreateTime=STAMP + "000")).dedupe_key.startswith(STAMP)


def test_c6_a_time_within_the_hour_is_believed() -> None:
    push = opened(message(Content="a", MsgId="1", CreateTime=str(int(STAMP) - 3599)))
    assert (push.sent_at, push.note) == (datetime.fromtimestamp(int(STAMP) - 3599, UTC), None)


@pytest.mark.parametrize(
    "sender", ["", "-", "o" * 1024, "o o o o", "'; DROP TABLE x", "../../etc", "oXiaoYu\n", "o🙂🙂🙂🙂🙂🙂", "oABCD", "ｏＡＢＣＤＥＦ"]
)
def test_c7_a_sender_of_another_shape_is_quarantined(sender: str) -> None:
    assert bad(text(FromUserName=sender)) == "sender"


@pytest.mark.parametrize("name", ["ToUserName", "FromUserName", "CreateTime", "MsgType", "Content", "MsgId", "bizmsgmenuid"])
def test_b4_elements_in_a_field_of_a_message_are_quarantined(name: str) -> None:
    whole = {"ToUserName": ORIGINAL, "FromUserName": OPENID, "CreateTime": STAMP, "MsgType": "text", "Content": "a", "MsgId": "1"}
    whole.pop(name, None)
    assert bad(document(whole, f"<{name}><a>x</a></{name}>")) == "elements in a text field"


@pytest.mark.parametrize("name", ["Event", "EventKey", "MsgID", "Status"])
def test_b4_elements_in_a_field_of_an_event_are_quarantined(name: str) -> None:
    whole = {"ToUserName": ORIGINAL, "FromUserName": OPENID, "CreateTime": STAMP, "MsgType": "event", "Event": "TEMPLATESENDJOBFINISH",
             "EventKey": "k", "MsgID": "1", "Status": "success"}  # fmt: skip
    whole.pop(name)
    assert bad(document(whole, f"<{name}><a>x</a></{name}>")) == "elements in a text field"


@pytest.mark.parametrize(
    ("body", "attribute"),
    [
        (text("今天"), "content"),
        (event("CLICK", EventKey="menu.help"), "key"),
        (event("SCAN", EventKey="CODE23"), "scene_id"),
        (event("subscribe", EventKey="qrscene_CODE23"), "scene_id"),
        (event("TEMPLATESENDJOBFINISH", MsgID="1", Status="success"), "status"),
    ],
)
def test_wechatpy_reads_the_same_out_of_a_push(body: bytes, attribute: str) -> None:
    theirs = parse_message(body)
    assert opened(body).value == getattr(theirs, attribute)
    assert opened(body).openid == theirs.source
