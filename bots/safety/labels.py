"""Hides what a rule is called where people read of it: on call, and at the terminal; the rule's own name is for rows and programs."""

from functools import cache
from pathlib import Path

from bots.texts import Texts, Words, load_texts


def label(rule: str, language: str) -> Words:
    """What the rule of a flag is about, in words that tell neither an answer nor a score. Raises `TextError` where the words do not fit."""
    return label_in(_texts(), rule, language)


def label_in(texts: Texts, rule: str, language: str) -> Words:
    """The same in these texts of the safety bot."""
    key = f"rule.{rule}"
    return texts.fill(key if key in texts.keys() else "rule.other", language)  # noqa: SIM118 - `keys` is a method of Texts, which is no mapping


@cache
def _texts() -> Texts:
    return load_texts(Path(__file__).parent)
