"""Hides how warm words, reports and the library look in a chat."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bots.choices import short
from bots.clipping import named, room
from bots.effects import Choice, Message
from bots.encouragement.shelf import Proposal, WarmShelf
from bots.encouragement.words import Trigger
from bots.texts import LANGUAGES, Texts, Words, say_time

_UPCOMING = 3


@dataclass(frozen=True)
class Voice:
    """The bot's words for one reader."""

    texts: Texts
    language: str
    zone: str

    def __call__(self, key: str, **gaps: object) -> Words:
        """The words under `key`."""
        return self.texts.fill(key, self.language, self.zone, **gaps)


def thanks_spelled(texts: Texts) -> frozenset[str]:
    """The label of the thank-you in every language: an old client types it instead of tapping."""
    return frozenset(str(texts.fill("choice.thanks", language)) for language in LANGUAGES)


def warm_word(say: Voice, details: Mapping[str, Any]) -> Message:
    """The words in the reader's language (or the one that there is), after an opening where something was done, and one tap."""
    text = details.get(say.language) or next(filter(None, (details.get(language) for language in LANGUAGES)))
    words = say("words", text=text)
    trigger = details.get("trigger")
    if trigger:
        words = Words(f"{say(f'opening.{Trigger(trigger)}')}\n\n{words}")
    return Message(words, (Choice(f"encouragement.thanks.{short(details['word'])}", say("choice.thanks"), mark=""),))


def report(say: Voice, details: Mapping[str, Any]) -> Message:
    """What administrators are told."""
    course = named(details["course"])
    if details["reason"] == "proposal":
        proposal = Proposal(details["word"], details["number"], details["text"], details.get("author_name") or "")
        gaps = {"number": proposal.number, "text": named(proposal.text, 600), "author": _author(say, proposal)}
        return Message(say("report.proposal", course=course, **gaps), _decide(say, proposal))
    if details["reason"] == "theme_used_up":
        return Message(say("report.theme_used_up", course=course, theme=named(details["theme"])))
    return Message(say("report.used_up", course=course))


def shelf(say: Voice, course: int, seen: WarmShelf) -> Message:
    """The library and its plan, and as many of the waiting proposals as fit, each with its two taps."""
    waiting = len(seen.proposals)
    head = [
        say("shelf.head", course=named(seen.title), approved=seen.approved, paused=seen.paused, proposed=waiting),
        say("shelf.given", given=seen.given, thanked=seen.thanked),
        _plan(replace(say, zone=seen.zone), seen),
    ]
    choices: tuple[Choice, ...] = ()
    if seen.plan:
        word = "pause" if seen.plan == "going" else "resume"
        choices = (Choice(f"encouragement.{word}.{short(course)}", say(f"choice.{word}"), mark=""),)
    message = Message(Words("\n".join(head)), choices)
    for place, each in enumerate(seen.proposals):
        line = say("shelf.proposal", number=each.number, text=named(each.text, 600), author=_author(say, each))
        longer = Message(Words(f"{message.text}\n\n{line}"), (*message.choices, *_decide(say, each)))
        more = say("shelf.more", count=waiting - place)
        if room(longer) < len(more.encode()) + 2:
            return replace(message, text=Words(f"{message.text}\n\n{more}"))
        message = longer
    return message


def _plan(say: Voice, seen: WarmShelf) -> Words:
    if not seen.plan:
        return say("shelf.no_plan")
    if seen.plan != "going":
        return say("shelf.paused")
    moments = [say_time(moment, say.language, say.zone) for moment in seen.upcoming[:_UPCOMING]]
    return say("shelf.going", moments=Words(say("shelf.between").join(moments))) if moments else say("shelf.nothing_next")


def _author(say: Voice, proposal: Proposal) -> Words:
    return named(proposal.author) or say("shelf.somebody")


def _decide(say: Voice, proposal: Proposal) -> tuple[Choice, ...]:
    own = f"{short(proposal.id)}.{short(proposal.number)}"
    labels = {"approve": "choice.approve", "rest": "choice.rest"}
    return tuple(Choice(f"encouragement.{kind}.{own}", say(key, number=proposal.number), mark="") for kind, key in labels.items())


def course_choices(say: Voice, courses: Mapping[int, str]) -> tuple[Choice, ...]:
    """One tap per course, the first ones where there are many."""
    first = list(courses.items())[:8]
    return tuple(Choice(f"encouragement.course.{short(id_)}", say("choice.course", course=named(title, 60))) for id_, title in first)
