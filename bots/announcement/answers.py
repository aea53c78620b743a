"""Hides what somebody is told who answers an announcement: noted, changed, noted before, or kindly that it is too late."""

from bots.announcement import asking
from bots.choices import number_of
from bots.effects import Answer, AnswerPoll, Message, Say
from bots.facts import Asked, AskedBy, Need, PollState
from bots.texts import Texts, Words
from bots.turns import Tapped, Turn


def tapped(texts: Texts, turn: Turn) -> Answer | Need:
    """A tap is its announcement's, however old."""
    _, id_, place = [*(turn.event.choice if isinstance(turn.event, Tapped) else "").split("."), "", ""][:3]
    by = AskedBy(number_of(id_))
    asked = turn.facts.get(by)
    if asked is None:
        return Need(by)
    return take(texts, turn, asked, int(place) if place.isascii() and place.isdecimal() else 0)


def take(texts: Texts, turn: Turn, asked: Asked, place: int) -> Answer:
    """Note this option, unless it is too late, and say what now counts."""
    state = {"closed": PollState.CLOSED, "cancelled": PollState.CANCELLED, "foreign": PollState.NONE}.get(turn.refusal or "", asked.state)
    if not 0 < place <= max(1, len(asked.options)):
        state = PollState.NONE
    match state:
        case PollState.OPEN:
            return Answer((AnswerPoll(asked.id, place), _say(texts, turn, *_noted(asked, place), asked, place)))
        case PollState.CLOSED:
            return Answer((_say(texts, turn, *_too_late(asked), asked, asked.choice),))
        case _:
            return Answer((_say(texts, turn, f"late.{state}", "", asked, 0),))


def _noted(asked: Asked, place: int) -> tuple[str, str]:
    if not asked.options:
        return ("answer.got_again" if asked.choice else "answer.got"), ""
    if asked.choice in (0, place):
        return ("answer.same" if asked.choice else "answer.noted"), "option"
    return "answer.changed", "before"


def _too_late(asked: Asked) -> tuple[str, str]:
    if not asked.choice:
        return "late.closed", ""
    return ("late.closed_chosen", "option") if asked.options else ("answer.got_again", "")


def _say(texts: Texts, turn: Turn, key: str, gap: str, asked: Asked, place: int) -> Say:
    language, zone = turn.person.language, turn.person.zone
    gaps: dict[str, Words] = {"option": asking.label(texts, language, asked, place)} if gap else {}
    if gap == "before":
        gaps["before"] = asking.label(texts, language, asked, asked.choice)
    return Say(Message(texts.fill(key, language, zone, until=asked.until, **gaps)))
