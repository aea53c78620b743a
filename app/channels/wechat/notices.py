"""Hides the template's rules: what a field of a notice may hold, by the type that its name begins with.

Since 2023 the platform strips colours and emoji and cuts fields silently, so we fill what really arrives (platform reference 5.1, 5.2).
"""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import regex

from app.channels import Notice
from app.channels.wechat.xml import clean_text

#: Characters by field type; a phrase is Chinese only. Every field is one line of at most 20.
_MOST = {"phrase": 5, "short_thing": 5, "name": 10, "symbol": 5}
_MOST_OTHER = 20
_ZONE = ZoneInfo("Asia/Shanghai")
_EMOJI = regex.compile(r"[\p{Extended_Pictographic}\p{Emoji_Modifier}\p{Regional_Indicator}\u200d\ufe0e\ufe0f\u20e3\U000e0020-\U000e007f]")
_NOT_CHINESE = regex.compile(r"[^\p{Han}]")
_NOT_PLAIN = regex.compile(r"[^!-~]")
#: What stands where nothing is left: an empty field is refused (47003).
_NOTHING = {"phrase": "通知", "character_string": "-", "number": "0", "letter": "A"}


def fill(fields: Mapping[str, str], notice: Notice) -> dict[str, dict[str, str]]:
    """The template's data: `fields` names the template's field for kind, sender and time; times are Beijing's."""
    values = {"kind": notice.kind, "sender": notice.sender}
    filled = {field: {"value": _fit(field, values[ours])} for ours, field in fields.items() if ours in values}
    if "time" in fields:
        filled[fields["time"]] = {"value": _fit_time(fields["time"], notice.time)}
    return filled


def field_type(field: str) -> str:
    """The type in a field's name: `thing3` is a thing."""
    return field.rstrip("0123456789")


def _fit(field: str, value: str) -> str:
    kind = field_type(field)
    text = " ".join(_EMOJI.sub("", clean_text(value)[0]).split())
    if kind == "phrase":
        text = _NOT_CHINESE.sub("", text)
    elif kind == "character_string":
        text = _NOT_PLAIN.sub("", text)
    return _clip(text, _MOST.get(kind, _MOST_OTHER)) or _NOTHING.get(kind, "消息")


def _clip(text: str, most: int) -> str:
    """At most `most` code points, cut between characters as people see them, with a mark that something is missing."""
    if len(text) <= most:
        return text
    kept = ""
    for grapheme in regex.findall(r"\X", text):
        if len(kept) + len(grapheme) > most - 1:
            break
        kept += grapheme
    return kept.rstrip() + "…" if most > 5 else text[:most]


def _fit_time(field: str, moment: datetime) -> str:
    local = moment.astimezone(_ZONE)
    written = f"{local.year}年{local.month}月{local.day}日 {local:%H:%M}"
    return written if field_type(field) in {"time", "date"} else _fit(field, written)
