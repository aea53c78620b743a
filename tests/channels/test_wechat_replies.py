"""Replies that stay well-formed whatever they quote, tap links, and texts cut to size: D1, D3, D5, D6, B13, F6."""

import dataclasses
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st
from wechatpy.crypto import WeChatCrypto

from app.channels import Push
from app.channels.wechat.pushes import open_push
from app.channels.wechat.replies import SUCCESS, split_text, tap_link, text_reply, wrap
from app.channels.wechat.xml import clean_text, is_blank
from tests.channels.platform import APPID, KEY, NOW, OLD_KEY, OPENID, ORIGINAL, STAMP, TOKEN, account, sealed, signed, text

PUSH = open_push(account("plaintext"), signed(), text(), NOW)


def read(reply: bytes) -> dict[str, str | None]:
    root = ET.fromstring(reply)
    assert [child.tag for child in root] == ["ToUserName", "FromUserName", "CreateTime", "MsgType", "Content"]
    return {child.tag: child.text for child in root}


def replied(content: str) -> dict[str, str | None]:
    return read(text_reply(PUSH, account(), content, NOW))


def test_a_reply_goes_back_to_the_sender_with_everything_the_platform_wants() -> None:
    assert replied("收到") == {"ToUserName": OPENID, "FromUserName": ORIGINAL, "CreateTime": STAMP, "MsgType": "text", "Content": "收到"}


@pytest.mark.parametrize(
    "content", ["]]></Content><MsgType><![CDATA[image]]>", "a]]>b", "]]", "]]>]]>", "<b>&amp;&l9;</b>", "<![CDATA[x]]>"]
)
def test_d5_markup_in_a_reply_stays_text(content: str) -> None:
    assert replied(content)["Content"] == content


@pytest.mark.parametrize("raw", ["晚\x00安", "晚\x1b安", "晚\ufffe安", "晚\ud83d安"])
def test_d3_controls_never_reach_a_reply(raw: str) -> None:
    assert replied(raw)["Content"] == "晚安"


@given(st.text(st.characters(codec=None), min_size=1, max_size=200))
def test_a_reply_is_well_formed_whatever_it_says(content: str) -> None:
    clean, _ = clean_text(content)
    if is_blank(clean):
        with pytest.raises(ValueError, match="reply"):
            replied(content)
    else:
        assert replied(content)["Content"] == clean


@pytest.mark.parametrize(("content", "fits"), [("字" * 682 + "ab", True), ("字" * 682 + "abc", False), ("", False), ("\u3000", False)])
def test_a_reply_has_one_to_2048_bytes(content: str, fits: bool) -> None:
    if fits:
        assert replied(content)["Content"] == content
    else:
        with pytest.raises(ValueError, match="2,048"):
            replied(content)


@pytest.mark.parametrize(("mode", "key"), [("safe", KEY), ("compatible", KEY), ("safe", OLD_KEY)])
def test_b13_an_answer_to_an_encrypted_push_is_encrypted_with_the_key_of_the_push(mode: str, key: str) -> None:
    account_ = account(mode, previous=OLD_KEY, until=NOW.replace(year=2027))
    query, body = sealed(text(), key)
    push = open_push(account_, query, body, NOW)
    plain = text_reply(push, account_, "收到", NOW)
    envelope = {child.tag: child.text or "" for child in ET.fromstring(wrap(account_, push, plain, NOW, "n1"))}
    assert set(envelope) == {"Encrypt", "MsgSignature", "TimeStamp", "Nonce"}
    opened = WeChatCrypto(TOKEN, key, APPID).decrypt_message(envelope, envelope["MsgSignature"], envelope["TimeStamp"], envelope["Nonce"])
    assert opened.encode() == plain


@pytest.mark.parametrize("mode", ["plaintext", "compatible"])
def test_an_answer_to_a_plain_push_stays_plain(mode: str) -> None:
    plain = text_reply(PUSH, account(mode), "收到", NOW)
    assert wrap(account(mode), PUSH, plain, NOW, "n1") == plain


def test_success_is_never_encrypted() -> None:
    push = dataclasses.replace(PUSH, aes_key_used=KEY)
    assert wrap(account(), push, SUCCESS, NOW, "n1") == b"success"
    assert wrap(account(), push, b"", NOW, "n1") == b""


@given(st.text(max_size=40), st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40))
def test_d6_a_tap_link_sends_its_bubble_and_reports_its_choice(bubble: str, choice: str) -> None:
    link = tap_link(choice, "1. 好的", bubble)
    found = regex.fullmatch(r'<a href="([!-~]+)">1\. 好的</a>', link)
    assert found
    assert '"' not in found[1]
    parts = urlsplit(found[1])
    assert (parts.scheme, parts.netloc) == ("weixin", "bizmsgmenu")
    said = {name: value[0] for name, value in parse_qs(parts.query, keep_blank_values=True).items()}
    assert said == {"msgmenucontent": clean_text(bubble)[0], "msgmenuid": choice}


def test_d6_a_tap_link_shows_foreign_markup_as_words() -> None:
    link = tap_link("x.1", '</a><a href="http://evil">组', "组")
    assert link.count("<") == 2
    assert link.endswith('＜/a＞＜a href="http://evil"＞组</a>')


LINK = tap_link("announcement.7.1", "1. 发送", "发送")
FAMILY = "👨‍👩‍👧‍👦"


@pytest.mark.parametrize("most", [60, 100, 200, 2048])
@pytest.mark.parametrize(
    "whole", [FAMILY * 100, "字" * 700, "e" + "\u0301" * 20 + "🇨🇳👍🏽" * 90, "第一句。第二句！\n第三行\n" * 60, "word and space " * 200]
)
def test_f6_every_part_fits_and_nothing_but_space_is_lost(whole: str, most: int) -> None:
    parts = split_text(whole, most)
    assert all(0 < len(part.encode()) <= most for part in parts)
    assert "".join("".join(parts).split()) == "".join(whole.split())
    assert sum(len(regex.findall(r"\X", part)) for part in parts) <= len(regex.findall(r"\X", whole))
    visible = [each for part in parts for each in regex.findall(r"\X", part) if not each.isspace()]
    assert visible == [each for each in regex.findall(r"\X", whole) if not each.isspace()]


@pytest.mark.parametrize("size", [2047, 2048])
def test_f6_a_text_that_fits_stays_whole(size: int) -> None:
    whole = "字" * (size // 3) + "a" * (size % 3)
    assert split_text(whole, 2048) == [whole]
    assert len(split_text(whole + "b" * (2049 - size), 2048)) == 2


def test_f6_parts_end_with_lines_then_sentences_then_words() -> None:
    assert split_text("一二三四五六\n七八九十", 24) == ["一二三四五六", "七八九十"]
    assert split_text("一二三四五。六七八九", 24) == ["一二三四五。", "六七八九"]
    assert split_text("one two three. four five", 18) == ["one two three.", "four five"]
    assert split_text("onetwothree fourfive", 16) == ["onetwothree", "fourfive"]


def test_a_tap_link_is_never_cut() -> None:
    whole = f"请选择：\n{LINK}\n{LINK}\n{'字' * 40}"
    for most in range(len(LINK.encode()), 400, 7):
        parts = split_text(whole, most)
        assert sum(part.count(LINK) for part in parts) == 2
        assert sum(part.count("<a ") for part in parts) == 2
        assert all(len(part.encode()) <= most for part in parts)


def test_a_link_that_is_too_long_by_itself_becomes_its_words() -> None:
    assert "".join(split_text(tap_link("x.1", "发送", "很长" * 50), 60)) == "发送"


def test_d1_a_thousand_accents_on_one_letter_still_fit() -> None:
    parts = split_text("e" + "\u0301" * 1500, 2048)
    assert "".join(parts) == "e" + "\u0301" * 1500
    assert all(len(part.encode()) <= 2048 for part in parts)


def test_parts_of_less_than_a_character_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="4 bytes"):
        split_text("字", 3)


@given(st.text(alphabet="ab 。\n字🙂\u0301🇨🇳<a >", max_size=120), st.integers(24, 80))
def test_any_text_is_cut_to_size(whole: str, most: int) -> None:
    parts = split_text(whole, most)
    assert all(0 < len(part.encode()) <= most for part in parts)
    assert "".join("".join(parts).split()) == "".join(whole.split())


def test_replies_of_a_repeated_push_are_byte_equal_before_encryption() -> None:
    again: Push = open_push(account("plaintext"), signed("other-nonce"), text(), NOW)
    assert text_reply(PUSH, account(), "收到", NOW) == text_reply(again, account(), "收到", NOW)
