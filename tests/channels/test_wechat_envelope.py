"""Signatures and AES: cases A1-A8, B8-B13, and wechatpy as the second opinion."""

import base64
import random
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st
from wechatpy.crypto import WeChatCrypto

from app.channels import BadPush, Push, RefusedPush
from app.channels.wechat.envelope import encrypt, key_bytes, open_envelope, sign
from app.channels.wechat.pushes import answer_handshake, open_push
from tests.channels.platform import APPID, KEY, NOW, OLD_KEY, STAMP, STRANGE_KEY, TOKEN, account, posted, sealed, sha1, signed, text

Query = list[tuple[str, str]]


def opened(query: Query, body: bytes, mode: str = "safe") -> Push:
    return open_push(account(mode), query, body, NOW)


def refused(query: Query, body: bytes, mode: str = "safe") -> str:
    with pytest.raises(RefusedPush) as caught:
        opened(query, body, mode)
    return caught.value.cause


def changed(query: Query, **values: str | None) -> Query:
    """The query with other values, still signed for what it was; None leaves a parameter out."""
    return [(name, values.get(name, value) or "") for name, value in query if values.get(name, value) is not None]


def aes(clear: bytes, key: str = KEY) -> str:
    """Ciphertext of exactly these bytes, padding and all."""
    secret = base64.b64decode(key + "=")
    encryptor = Cipher(algorithms.AES(secret), modes.CBC(secret[:16])).encryptor()
    return base64.b64encode(encryptor.update(clear) + encryptor.finalize()).decode()


def padded(content: bytes) -> bytes:
    pad = 32 - len(content) % 32
    return content + bytes([pad]) * pad


def layout(plain: bytes, length: int | None = None, appid: bytes = APPID.encode()) -> bytes:
    return b"r" * 16 + (len(plain) if length is None else length).to_bytes(4, "big") + plain + appid


def test_a1_a_signed_handshake_gets_its_echo_exactly() -> None:
    assert answer_handshake(account(), signed(echostr="5838479218127813673"), NOW) == "5838479218127813673"


@pytest.mark.parametrize("echo", ["<script>", "", "a" * 129, "abc\n", "１２３", "a b"])
def test_a2_an_echo_that_is_not_plain_letters_and_digits_is_refused(echo: str) -> None:
    with pytest.raises(RefusedPush):
        answer_handshake(account(), signed(echostr=echo), NOW)


def test_a2_a_handshake_with_a_wrong_signature_is_refused() -> None:
    with pytest.raises(RefusedPush):
        answer_handshake(account(), changed(signed(echostr="123"), signature="0" * 40), NOW)


@pytest.mark.parametrize("mode", ["plaintext", "compatible", "safe"])
def test_a3_a_post_without_any_signature_is_refused_before_its_body_is_read(mode: str) -> None:
    assert refused([], b"\xff not even text", mode) == "timestamp"
    assert refused(changed(signed(), signature=None), b"\xff not even text", mode) == "signature"


def test_a4_the_right_signature_of_another_account_is_refused() -> None:
    assert refused(signed(token="another-account"), text(), "plaintext") == "signature"


GOOD = signed()[0][1]


@pytest.mark.parametrize(
    "signature", [GOOD.upper(), GOOD[:-1], GOOD + "0", "", GOOD + "\n", " " + GOOD[1:], "０" * 40], ids=lambda each: repr(each)[:14]
)
def test_a5_a_signature_that_is_not_forty_lower_case_hex_digits_is_refused(signature: str) -> None:
    assert refused(changed(signed(), signature=signature), text(), "plaintext") == "signature"


@pytest.mark.parametrize("name", ["signature", "timestamp", "nonce", "openid", "whatever"])
def test_a5_any_repeated_parameter_is_refused_even_with_equal_values(name: str) -> None:
    query = signed(openid="o123456", whatever="1")
    assert refused([*query, *(each for each in query if each[0] == name)], text(), "plaintext") == "repeated"


@pytest.mark.parametrize(("seconds", "accepted"), [(-301, False), (301, False), (-299, True), (299, True)])
def test_a6_a_timestamp_counts_within_three_hundred_seconds(seconds: int, accepted: bool) -> None:
    query = signed(shift=timedelta(seconds=seconds))
    if accepted:
        assert opened(query, text(), "plaintext").value == "今天练习了"
    else:
        assert refused(query, text(), "plaintext") == "timestamp"


@pytest.mark.parametrize(
    "stamp", [STAMP + "999", "+" + STAMP, " " + STAMP, STAMP.translate({ord(d): ord(d) + 0xFEE0 for d in "0123456789"}), "-1", "1" * 20, ""]
)
def test_a7_a_timestamp_of_another_shape_is_refused_although_it_is_signed(stamp: str) -> None:
    assert refused([("signature", sha1(TOKEN, stamp, "n")), ("timestamp", stamp), ("nonce", "n")], text(), "plaintext") == "timestamp"


@pytest.mark.parametrize("kept", [1, 2, 9, 11, 13])
def test_a7_moving_the_boundary_between_timestamp_and_nonce_is_refused(kept: int) -> None:
    joined = STAMP + "999"
    stamp, nonce = joined[:kept], joined[kept:]
    query = [("signature", sha1(TOKEN, STAMP, "999")), ("timestamp", stamp), ("nonce", nonce)]
    assert refused(query, text(), "plaintext") == "timestamp"


@pytest.mark.parametrize("nonce", ["", "n" * 1024, "a\x00b", "a\x80\x00", "随机", "a b", "a\n", "n" * 65])
def test_a8_a_nonce_of_another_shape_is_refused_although_it_is_signed(nonce: str) -> None:
    assert refused(signed(nonce), text(), "plaintext") == "nonce"


def test_a9_a_request_replayed_within_the_window_opens_to_the_same_key_and_content() -> None:
    query, body = sealed(text())
    first, later = (open_push(account(), query, body, NOW + timedelta(seconds=wait)) for wait in (0, 120))
    assert (first.dedupe_key, first.content_hash) == (later.dedupe_key, later.content_hash)
    with pytest.raises(RefusedPush):
        open_push(account(), query, body, NOW + timedelta(minutes=10))


def test_a10_a_captured_address_of_plaintext_mode_is_refused_in_safe_mode() -> None:
    assert refused(signed(), text("forged")) == "mode"


@pytest.mark.parametrize("query", [signed(), signed(encrypt_type="raw"), signed(encrypt_type="AES", msg_signature="0" * 40)])
def test_b8_a_safe_account_refuses_what_is_not_encrypted(query: Query) -> None:
    assert refused(query, text()) == "mode"


def test_b8_a_safe_account_refuses_a_plain_body_that_claims_to_be_encrypted() -> None:
    assert refused(posted("x")[0], text()) == "mode"


def test_b8_of_a_compatible_body_only_the_decrypted_part_counts() -> None:
    query, body = sealed(text("inside"), outside="<Content>outside</Content><FromUserName>oSomebodyElse</FromUserName>")
    push = opened(query, body, "compatible")
    assert push.value == "inside"
    assert push.aes_key_used == KEY


def test_b8_a_compatible_account_takes_a_plain_push_but_none_that_hides_its_envelope() -> None:
    assert opened(signed(), text(), "compatible").aes_key_used is None
    query, body = sealed(text("inside"), outside="<Content>outside</Content>")
    stripped = [each for each in query if each[0] not in {"encrypt_type", "msg_signature"}]
    assert refused(stripped, body, "compatible") == "mode"
    assert refused(changed(query, encrypt_type="raw"), body, "compatible") == "mode"


def test_b8_a_plaintext_account_refuses_an_encrypted_push() -> None:
    assert refused(*sealed(text()), mode="plaintext") == "mode"


def test_b9_a_message_signature_over_another_ciphertext_is_refused_before_decrypting() -> None:
    query, _ = sealed(text("one"))
    _, other = sealed(text("two"))
    assert refused(query, other) == "signature"


@pytest.mark.parametrize("wrong", ["0" * 40, "", None])
def test_b9_a_right_signature_with_a_wrong_message_signature_is_refused(wrong: str | None) -> None:
    query, body = sealed(text())
    assert refused(changed(query, msg_signature=wrong), body) in {"signature", "mode"}


def test_b9_a_right_message_signature_with_a_wrong_signature_is_refused() -> None:
    query, body = sealed(text())
    assert refused(changed(query, signature="0" * 40), body) == "signature"


WHOLE = aes(padded(layout(text())))


@pytest.mark.parametrize(
    "encrypted",
    [
        "",
        "!!!!",
        "不是",
        WHOLE[:20] + " " + WHOLE[20:],
        WHOLE[:20] + "\n" + WHOLE[20:],
        WHOLE.replace("+", "-").replace("/", "_") + "-_",
        WHOLE.rstrip("=") + "A" * 4,
        base64.b64encode(b"x" * 17).decode(),
        base64.b64encode(b"x" * 32).decode(),
        base64.b64encode(b"x" * 48).decode(),
        base64.b64encode(b"x" * 40_000).decode(),
        WHOLE + "====",
    ],
    ids=lambda each: repr(each)[:16],
)
def test_b10_a_signed_ciphertext_that_is_none_is_refused_like_any_other(encrypted: str) -> None:
    assert refused(*posted(encrypted)) == "envelope"


def test_b10_base64_with_spare_bits_is_refused_although_it_decodes_to_a_valid_envelope() -> None:
    encrypted = next(each for each in (aes(padded(layout(text("a" * size)))) for size in range(0, 96, 32)) if each.endswith("="))
    stem = encrypted.rstrip("=")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    spare = stem[:-1] + letters[letters.index(stem[-1]) + 1] + encrypted[len(stem) :]
    assert base64.b64decode(spare) == base64.b64decode(encrypted)
    assert opened(*posted(encrypted)).kind
    assert refused(*posted(spare)) == "envelope"


def test_b10_a_megabyte_is_not_even_parsed() -> None:
    with pytest.raises(BadPush, match="too large"):
        opened(*posted("A" * 1024 * 1024))


CONTENT = layout(b"<xml/>" + b"x" * (64 - 16 - 4 - 6 - len(APPID) - 2))


@pytest.mark.parametrize(
    "clear",
    [
        b"r" * 31 + b"\x00",
        b"r" * 31 + bytes([33]),
        b"r" * 31 + bytes([255]),
        bytes([32]) * 32,
        CONTENT + b"\x01\x02",
        CONTENT[:-1] + b"\x03\x02\x03",
        padded(layout(text(), 0)),
        padded(layout(text(), 0xFFFFFFFF)),
        padded(layout(text(), len(text()) + len(APPID) + 1)),
        padded(b"r" * 16 + b"\x00\x00"),
        padded(b"r" * 10),
    ],
)
def test_b11_bad_padding_and_lying_lengths_are_refused_like_any_other(clear: bytes) -> None:
    assert len(clear) % 32 == 0
    assert refused(*posted(aes(clear))) == "envelope"


@pytest.mark.parametrize("appid", ["wx0000000000000000", APPID + "x", APPID[:-1], "", "wxplatform00000001"])
def test_b12_the_right_key_with_another_appid_inside_is_refused(appid: str) -> None:
    assert refused(*sealed(text(), appid=appid)) == "appid"


def test_b13_the_previous_key_opens_pushes_until_its_end_and_not_a_second_longer() -> None:
    query, body = sealed(text(), OLD_KEY)
    rotating = account(previous=OLD_KEY, until=NOW + timedelta(seconds=1))
    push = open_push(rotating, query, body, NOW)
    assert (push.value, push.aes_key_used) == ("今天练习了", OLD_KEY)
    with pytest.raises(RefusedPush):
        open_push(rotating, query, body, NOW + timedelta(seconds=1))


def test_b13_a_previous_key_without_an_end_is_none() -> None:
    query, body = sealed(text(), OLD_KEY)
    with pytest.raises(RefusedPush):
        open_push(account(previous=OLD_KEY), query, body, NOW)


def test_b13_a_strange_key_is_refused_during_a_rotation_too() -> None:
    with pytest.raises(RefusedPush):
        open_push(account(previous=OLD_KEY, until=NOW + timedelta(days=1)), *sealed(text(), STRANGE_KEY), NOW)


@pytest.mark.parametrize("key", ["", KEY[:-1], KEY + "A", KEY[:-1] + "-", KEY[:-1] + "\n", "密" * 43])
def test_a_key_that_is_not_43_letters_is_named_as_such(key: str) -> None:
    with pytest.raises(ValueError, match="43"):
        key_bytes(key)


def test_ten_thousand_random_envelopes_open_alike_here_and_in_wechatpy() -> None:
    chance = random.Random(20261123)
    theirs = WeChatCrypto(TOKEN, KEY, APPID)
    ours = account()
    alphabet = "abc <>&]日月火🙂é\n"
    for round_ in range(10_000):
        plain = "".join(chance.choices(alphabet, k=chance.randrange(1, 160)))
        nonce = f"n{round_}"
        mine = encrypt(plain.encode(), KEY, APPID)
        assert theirs.decrypt_message({"Encrypt": mine}, sign(TOKEN, STAMP, nonce, mine), STAMP, nonce) == plain
        yours = theirs.encrypt_message(plain, nonce, STAMP).split("<![CDATA[", 1)[1].split("]]>", 1)[0]
        query = {"timestamp": STAMP, "nonce": nonce, "msg_signature": sha1(TOKEN, STAMP, nonce, yours)}
        assert open_envelope(ours, query, yours, NOW) == (plain.encode(), KEY)


@given(st.binary(min_size=1, max_size=3_000), st.sampled_from([KEY, OLD_KEY, STRANGE_KEY]))
def test_whatever_was_encrypted_comes_out_again(plain: bytes, key: str) -> None:
    encrypted = encrypt(plain, key, APPID)
    query = {"timestamp": STAMP, "nonce": "n", "msg_signature": sha1(TOKEN, STAMP, "n", encrypted)}
    rotating = account(previous=OLD_KEY, until=NOW + timedelta(days=1))
    if key == STRANGE_KEY:
        with pytest.raises(RefusedPush):
            open_envelope(rotating, query, encrypted, NOW)
    else:
        assert open_envelope(rotating, query, encrypted, NOW) == (plain, key)


@given(st.binary(max_size=400))
def test_random_bytes_behind_a_valid_signature_raise_the_two_exceptions_only(body: bytes) -> None:
    for mode in ("plaintext", "compatible", "safe"):
        for query in (signed(), posted("x")[0]):
            with pytest.raises((RefusedPush, BadPush)):
                opened(query, body, mode)


@given(st.binary(max_size=20).map(lambda each: each * 32))
def test_random_ciphertext_behind_valid_signatures_is_refused(ciphertext: bytes) -> None:
    assert refused(*posted(base64.b64encode(ciphertext).decode())) == "envelope"


@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=45)), max_size=6), st.text(max_size=60))
def test_random_queries_are_refused(query: Query, body: str) -> None:
    refused(query, body.encode(errors="replace"))
