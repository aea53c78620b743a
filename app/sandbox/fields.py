"""Hides the types of a notice's fields: what WeChat refuses with 47003 and what it changes silently (wechat-platform.md 5.2, 259)."""

import re
from collections.abc import Mapping

import regex

_MOST_SHOWN = 20  # each field is silently cut there (wechat-platform.md 259)
_EMOJI = regex.compile(r"[\p{Extended_Pictographic}\p{Emoji_Modifier}\p{Regional_Indicator}\u200d\u20e3\ufe0e\ufe0f]")
_HAN = r"[\u3400-\u9fff\uf900-\ufaff]"
_CLOCK = r"(?:[01]?\d|2[0-3])[:：][0-5]\d(?:[:：][0-5]\d)?"
_DATE = r"\d{4}(?:年(?:1[0-2]|0?[1-9])月(?:3[01]|[12]\d|0?[1-9])日|[-/.](?:1[0-2]|0?[1-9])[-/.](?:3[01]|[12]\d|0?[1-9]))"
_TIME = rf"(?:{_DATE}\s?)?{_CLOCK}"
_DAY = rf"{_DATE}(?:\s?{_CLOCK})?"

#: The rule of each type (wechat-platform.md 279-291); a type that is not named here is treated like thing.
_RULES = {
    "character_string": re.compile(r"[\x20-\x7e]{1,32}"),
    "number": re.compile(r"-?\d{1,32}(?:\.\d{1,32})?"),
    "letter": re.compile(r"[A-Za-z]{1,32}"),
    "symbol": re.compile(r"[^\w\s]{1,5}"),
    "time": re.compile(rf"{_TIME}(?:\s?~\s?{_TIME})?"),
    "date": re.compile(rf"{_DAY}(?:\s?~\s?{_DAY})?"),
    "amount": re.compile(r"[^\w\s]?\d{1,10}(?:\.\d{1,2})?元?"),
    "phone_number": re.compile(r"[\d+\-() ]{1,17}"),
    "car_number": re.compile(r"[\w-]{1,8}"),
    "name": re.compile(rf"(?:{_HAN}|[·A-Za-z]){{1,10}}|[A-Za-z .'-]{{1,20}}"),
    "phrase": re.compile(rf"{_HAN}{{1,5}}"),
}


def kind(key: str) -> str:
    """The type of a field: its name without the number."""
    return key.rstrip("0123456789")


def shown(key: str, value: object, allowed: Mapping[str, list[str]]) -> str | None:
    """What the phone shows of a value, or None where it breaks the type's rule (47003)."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    plain = " ".join(_EMOJI.sub("", str(value)).split())
    if not plain or not _fits(key, plain, allowed):
        return None
    return plain[:_MOST_SHOWN]


def _fits(key: str, plain: str, allowed: Mapping[str, list[str]]) -> bool:
    sort = kind(key)
    if sort in {"const", "enum"}:
        return len(plain) <= _MOST_SHOWN and (key not in allowed or plain in allowed[key])
    if sort == "short_thing":
        return len(plain) <= 5
    return sort not in _RULES or bool(_RULES[sort].fullmatch(plain))
