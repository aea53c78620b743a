"""Hides how a form's fields become an answer to an item: tapped, typed or left out, and one sentence where it does not fit."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bots.effects import Given
from bots.questionnaire import reading
from bots.questionnaire.instrument import LABELLED, Item, Kind

_DIGITS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Wrong:
    """The key of the sentence that says what does not fit, and its gaps."""

    key: str
    gaps: Mapping[str, int] = field(default_factory=dict)


def given(item: Item, fields: Mapping[str, str]) -> Given | Wrong:
    """The answer in a form's fields: `skip`, or `value` where the item has labels, or `text` where it is typed, spelled as in the chat."""
    if "skip" in fields:
        return Given(item.number, None)
    if item.kind in LABELLED:
        return _tapped(item, fields.get("value", ""))
    text = fields.get("text", "")
    if not text:
        return Wrong("wrong.empty")
    if item.kind is Kind.TEXT:
        most = {"most": reading.LONGEST_TEXT}
        return Given(item.number, item.lowest, text=text) if len(text) <= reading.LONGEST_TEXT else Wrong("wrong.long", most)
    return reading.given(item, text) or _told(item)


def _tapped(item: Item, value: str) -> Given | Wrong:
    if not _DIGITS.fullmatch(value):
        return Wrong("wrong.strange" if value else "wrong.none")
    return Given(item.number, int(value), value) if int(value) in item.points else Wrong("wrong.strange")


def _told(item: Item) -> Wrong:
    if item.kind is Kind.DATE:
        return Wrong("wrong.date")
    return Wrong("wrong.number", {"lowest": item.lowest, "highest": item.highest})
