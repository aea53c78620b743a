"""Hides what goes back in the answer to a push: well-formed XML, the encrypted envelope, tap links, and texts cut to size."""

import re
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from urllib.parse import quote

import regex

from app.channels import Credentials, Push
from app.channels.wechat.envelope import encrypt, sign
from app.channels.wechat.xml import clean_text, is_blank

#: Bytes of UTF-8 in a passive text (platform reference, section 3).
MOST_BYTES = 2048
#: "Understood, nothing to show": the only body besides an empty one that is never encrypted (platform reference 1.2).
SUCCESS = b"success"

_ANCHOR = re.compile(r"<a\s[^>]*>(.*?)</a>", re.DOTALL)
_GRAPHEME = regex.compile(r"\X")
_SENTENCE_ENDS = frozenset("。！？；…!?;")
_INERT = str.maketrans({"<": "＜", ">": "＞"})
#: What an address takes as it is.
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*")


def text_reply(push: Push, credentials: Credentials, text: str, now: datetime) -> bytes:
    """A text as passive reply, plain XML. Raises `ValueError` for a text that is blank or above 2,048 bytes of UTF-8."""
    content, _ = clean_text(text)
    if is_blank(content) or len(content.encode()) > MOST_BYTES:
        raise ValueError("A reply has between 1 and 2,048 bytes of visible text; split it or answer `success`.")
    return (
        f"<xml><ToUserName>{_cdata(push.openid)}</ToUserName><FromUserName>{_cdata(credentials.original_id)}</FromUserName>"
        f"<CreateTime>{int(now.timestamp())}</CreateTime><MsgType>{_cdata('text')}</MsgType><Content>{_cdata(content)}</Content></xml>"
    ).encode()


def wrap(credentials: Credentials, push: Push, plain: bytes, now: datetime, nonce: str) -> bytes:
    """The answer as it goes over the wire: encrypted with the key that the push used; unchanged where it used none, and `success`."""
    if push.aes_key_used is None or plain in {b"", SUCCESS}:
        return plain
    encrypted = encrypt(plain, push.aes_key_used, credentials.appid)
    timestamp = str(int(now.timestamp()))
    signature = sign(credentials.token, timestamp, nonce, encrypted)
    return (
        f"<xml><Encrypt>{_cdata(encrypted)}</Encrypt><MsgSignature>{_cdata(signature)}</MsgSignature>"
        f"<TimeStamp>{timestamp}</TimeStamp><Nonce>{_cdata(nonce)}</Nonce></xml>"
    ).encode()


def tap_link(choice: str, shown: str, bubble: str) -> str:
    """Something to tap: shows `shown`, sends `bubble` as the person's words, and reports `choice` (platform reference 3.1)."""
    before, after = _around(shown, bubble)
    return f"{before}{choice if _PLAIN.fullmatch(choice) else _percent(choice)}{after}"


@lru_cache(maxsize=512)
def _around(shown: str, bubble: str) -> tuple[str, str]:
    """What stands before and after the choice in a link; the same few labels come all the time."""
    return (
        f'<a href="weixin://bizmsgmenu?msgmenucontent={_percent(clean_text(bubble)[0])}&msgmenuid=',
        f'">{shown.translate(_INERT)}</a>',
    )


def split_text(text: str, most_bytes: int) -> list[str]:
    """The text in parts of at most `most_bytes` of UTF-8, cut at line ends, else sentences, spaces, or between characters.

    Never cuts an emoji, an accent or a tap link; a link that alone is too long becomes the words that it shows. Raises
    `ValueError` where `most_bytes` is below 4, the bytes of one character.
    """
    if most_bytes < 4:
        raise ValueError("A part needs at least 4 bytes: a character may have that many.")
    parts: list[str] = []
    pieces = [piece for whole in _pieces(text) for piece in _fitting(whole, most_bytes)]
    start = 0
    while start < len(pieces):
        end = _end(pieces, start, most_bytes)
        part = "".join(pieces[start:end]).strip("\n ")
        parts += [part] if part else []
        start = end
    return parts


def _cdata(text: str) -> str:
    return f"<![CDATA[{text.replace(']]>', ']]]]><![CDATA[>')}]]>"


def _percent(text: str) -> str:
    return quote(text, safe="")


def _pieces(text: str) -> Iterator[str]:
    """What must stay whole: tap links and graphemes."""
    start = 0
    for anchor in _ANCHOR.finditer(text):
        yield from _GRAPHEME.findall(text[start : anchor.start()])
        yield anchor.group()
        start = anchor.end()
    yield from _GRAPHEME.findall(text[start:])


def _fitting(piece: str, most_bytes: int) -> Iterator[str]:
    """The piece itself, or what it is made of where it alone is larger than a part."""
    anchor = _ANCHOR.fullmatch(piece)
    if len(piece.encode()) <= most_bytes:
        yield piece
    elif anchor:
        for grapheme in _GRAPHEME.findall(anchor.group(1)):
            yield from _fitting(grapheme, most_bytes)
    else:
        yield from piece  # hundreds of accents on one letter


def _end(pieces: list[str], start: int, most_bytes: int) -> int:
    """The place before which the next part ends."""
    end, size = start, 0
    while end < len(pieces) and size + len(pieces[end].encode()) <= most_bytes:
        size += len(pieces[end].encode())
        end += 1
    if end == len(pieces):
        return end
    return _best_cut(pieces, start, end)


def _best_cut(pieces: list[str], start: int, end: int) -> int:
    """The last line end, else sentence end, else space, that leaves the part at least half full; else the very end."""
    half = start + (end - start) // 2
    for fits in (_ends_line, _ends_sentence, _is_space):
        cut = next((place for place in range(end, half, -1) if fits(pieces, place)), None)
        if cut is not None:
            return cut
    return end


def _ends_line(pieces: list[str], place: int) -> bool:
    return "\n" in {pieces[place - 1], pieces[place]}


def _ends_sentence(pieces: list[str], place: int) -> bool:
    return pieces[place - 1] in _SENTENCE_ENDS or (pieces[place - 1] == "." and pieces[place] == " ")


def _is_space(pieces: list[str], place: int) -> bool:
    return " " in {pieces[place - 1], pieces[place]}
