"""Hides how an announcement in the making asks for answers: what its author types and taps for it, and how the preview says it."""

import re
from dataclasses import replace
from datetime import datetime

from bots.announcement import asking
from bots.choices import normal, short
from bots.effects import Choice
from bots.staff.draft import GOT, POLL, Draft
from bots.staff.moments import Moment, read_moment
from bots.staff.voice import Voice
from bots.texts import Words, inert

_GOT_IT = frozenset(("收到", "要收到", "加收到", "点收到", "点「收到」就行", "got it", "a got it tap", "just a got it tap"))
_NOTHING = frozenset(("不用", "不用回应", "不要回应", "没有", "none", "nothing", "no answer", "no answers"))
_POLL = re.compile(r"\s*(?:投票|选项|poll|options)(?:\s+|\s*[:：]\s*)(\S.*)", re.IGNORECASE | re.DOTALL)
_UNTIL = re.compile(r"\s*(?:截止到?|到期|until|closes?|by)\s*[:：]?\s*(\S.*)", re.IGNORECASE | re.DOTALL)


def choices(voice: Voice, draft: Draft) -> tuple[Choice, ...]:
    """What can be tapped where the author is asked how people shall answer."""
    own = short(draft.id)
    leave = voice.choice("leave", f"leave.{own}")
    return (voice.choice("got", f"got.{own}"), voice.choice("no_answers", f"plain.{own}"), leave)


def most_text(draft: Draft, most: int) -> int:
    """Bytes of words that fit beside what the draft asks, `most` where it asks nothing."""
    poll = draft.poll()
    return most if poll is None else min(most, asking.most_text(poll.options))


def with_got_it(draft: Draft) -> Draft:
    """The draft with a "got it" tap."""
    return replace(draft, asks=GOT, options="")


def without(draft: Draft) -> Draft:
    """The draft that asks nothing."""
    return replace(draft, asks="", options="", until=0)


def take(draft: Draft, typed: str) -> Draft | str:
    """The draft with what was typed as its question; or the key of what is wrong with it."""
    word = normal(typed)
    if word in _GOT_IT or word in _NOTHING:
        return with_got_it(draft) if word in _GOT_IT else without(draft)
    named = _POLL.fullmatch(typed)
    options = asking.read_options(named.group(1) if named else typed)
    wrong = asking.wrong_with(options)
    return f"poll.{wrong}" if wrong else replace(draft, asks=POLL, options="\n".join(options))


def typed_at_preview(draft: Draft, typed: str, now: datetime, zone: str) -> Draft | str | None:
    """As `take`, for what clearly means it beside a preview, and for the moment at which a poll closes; None for other words."""
    until = _UNTIL.fullmatch(typed)
    if until is not None and draft.asks:
        moment = read_moment(until.group(1), now, zone)
        if not isinstance(moment, Moment):
            return f"moment.{moment.key}"
        return "poll.until" if moment.at <= (draft.at() or now) else replace(draft, until=int(moment.at.timestamp()) // 60)
    return take(draft, typed) if normal(typed) in _GOT_IT | _NOTHING or _POLL.fullmatch(typed) else None


def line(voice: Voice, draft: Draft) -> Words:
    """What a preview says of it; empty where it asks nothing."""
    poll = draft.poll()
    if poll is None:
        return Words("")
    end = voice("preview_ask.week") if poll.until is None else voice("preview_ask.until", until=poll.until)
    if not poll.options:
        return voice("preview_ask.got", end=end)
    return voice("preview_ask.poll", options=Words(voice("who.between").join(map(inert, poll.options))), end=end)
