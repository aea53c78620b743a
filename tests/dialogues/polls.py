"""What announcements ask in the world made of memory: who is asked, what they answered, who is asked once more, when it closes."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from bots.announcement import asking
from bots.effects import Announce, AnswerPoll, ClosePoll, FollowUp
from bots.facts import Asked, PollResult, PollState
from bots.texts import inert
from bots.turns import OccasionKind
from tests.dialogues.rows import Announcement, Delivery, Refused, State

_IN_PASSING = (OccasionKind.REPORT, OccasionKind.CONTINUATION, OccasionKind.ALERT, OccasionKind.APPROVAL)
_OPEN_FOR, _AGAIN_AFTER = timedelta(days=7), timedelta(minutes=10)


def check(effect: Announce, now: datetime) -> None:
    """Raises `Refused` for a question that cannot be asked."""
    if effect.poll is None:
        return
    if effect.poll.options and asking.wrong_with(effect.poll.options):
        raise Refused("options")
    if len(inert(effect.text).encode()) > asking.most_text(effect.poll.options):
        raise Refused("long")
    if effect.poll.until is not None and effect.poll.until <= (effect.at or now):
        raise Refused("until")


def declare(made: Announcement, effect: Announce) -> None:
    """The announcement asks this."""
    made.poll = effect.poll
    if effect.poll is not None:
        made.closes_at = effect.poll.until or made.at + _OPEN_FOR


def gaps(each: Announcement) -> dict[str, Any]:
    """The values by which its message asks."""
    return {} if each.poll is None else {"asks": each.id, "options": list(each.poll.options), "until": each.closes_at}


def _find(state: State, id_: int) -> Announcement | None:
    return next((each for each in state.announcements if each.id == id_ and each.poll is not None), None)


def _own(state: State, each: Announcement) -> list[Delivery]:
    """To whom it goes, of those who are in the group now."""
    return [
        one
        for one in state.deliveries
        if one.announcement == each.id and any(group is each.group for group, _ in state.people[one.person].memberships)
    ]


def _standing(state: State, each: Announcement) -> PollState:
    if each.state == "cancelled":
        return PollState.CANCELLED
    return PollState.OPEN if each.state == "done" and each.closes_at is not None and state.now < each.closes_at else PollState.CLOSED


def asked_by(state: State, person: str, id_: int, *, newest: bool = False) -> Asked:
    """What an announcement asks somebody."""
    each = _find(state, id_)
    if each is None or each.poll is None or all(one.person != person for one in _own(state, each)):
        return Asked()
    return Asked(each.id, each.poll.options, _standing(state, each), each.closes_at, each.answers.get(person, 0), newest)


def last_asked(state: State, person: str) -> Asked:
    """The open question that was put to somebody last."""
    shown = [one for one in state.deliveries if one.person == person and one.state == "sent" and one.occasion.kind not in _IN_PASSING]
    put = [(place, each) for place, one in enumerate(shown) for each in [_find(state, one.announcement or one.follows or 0)] if each]
    open_ones = [(place, each) for place, each in put if each.state == "done" and _standing(state, each) is PollState.OPEN]
    if not open_ones:
        return Asked()
    place, each = open_ones[-1]
    return asked_by(state, person, each.id, newest=place == len(shown) - 1)


def result(state: State, each: Announcement) -> PollResult | None:
    """What was answered."""
    if each.poll is None or each.closes_at is None:
        return None
    own, again = _own(state, each), [one for one in state.deliveries if one.follows == each.id]
    silent = [one for one in own if one.person not in each.answers]
    places = range(1, max(1, len(each.poll.options)) + 1)
    answered = [[one.person for one in own if each.answers.get(one.person) == place] for place in places]
    last = [one for one in again if one.made == max(known.made for known in again if known.made)]
    return PollResult(
        each.poll.options,
        tuple(tuple(state.people[one].name or "?" for one in who) for who in answered),
        tuple(state.people[one.person].name or "?" for one in silent),
        sum(one.state not in ("ready", "waiting") for one in silent),
        each.closes_at,
        _standing(state, each) is PollState.OPEN,
        last[0].made if last else None,
        len(last),
        sum(one.state == "sent" for one in last),
    )


def apply(state: State, person: str, effect: AnswerPoll | ClosePoll | FollowUp) -> list[tuple[Announcement, str, Mapping[str, Any]]]:
    """What somebody did about a poll; returns to whom its question goes once more, with the gaps' values."""
    match effect:
        case AnswerPoll():
            _answer(state, person, effect)
        case ClosePoll():
            _close(state, person, effect)
        case FollowUp():
            return list(_follow_up(state, person, effect))
    return []


def _answer(state: State, person: str, effect: AnswerPoll) -> None:
    asked = asked_by(state, person, effect.announcement)
    if asked.state is not PollState.OPEN:
        raise Refused("foreign" if asked.state is PollState.NONE else asked.state.value)
    each = _find(state, effect.announcement)
    assert each is not None
    each.answers[person] = effect.choice
    _take_back(state, each, "answered", person)


def _take_back(state: State, each: Announcement, reason: str, person: str | None = None) -> None:
    for one in state.deliveries:
        if one.follows == each.id and one.state in ("ready", "waiting") and person in (None, one.person):
            one.settle("cancelled", reason)


def _follow_up(state: State, person: str, effect: FollowUp) -> Iterator[tuple[Announcement, str, Mapping[str, Any]]]:
    each = _find(state, effect.announcement)
    if each is None or each.poll is None or not state.may_announce(person, each.group):
        raise Refused("role")
    if each.state != "done" or _standing(state, each) is not PollState.OPEN:
        raise Refused("closed")
    if any(one.follows == each.id and one.made is not None and one.made > state.now - _AGAIN_AFTER for one in state.deliveries):
        raise Refused("again")
    silent = [one for one in _own(state, each) if one.person not in each.answers and one.state not in ("ready", "waiting")]
    if all(one.person == person for one in silent):
        raise Refused("nobody")
    own = {"text": effect.text, "own_words": True, "about": each.text} if effect.text else {"text": each.text}
    author = {"group_name": each.group.name, "author_name": state.people[person].name or "", "author_role": "leader"}
    for one in silent:
        if one.person != person:
            yield each, one.person, {**author, **gaps(each), **own}


def _close(state: State, person: str, effect: ClosePoll) -> None:
    each = _find(state, effect.announcement)
    if each is None or not state.may_announce(person, each.group):
        raise Refused("role")
    if _standing(state, each) is not PollState.OPEN:
        raise Refused("closed")
    each.closes_at, each.poll_closed = state.now, True
    _take_back(state, each, "poll_closed")


def next_due(state: State) -> list[datetime]:
    """When polls close by themselves."""
    return [each.closes_at for each in state.announcements if each.closes_at is not None and not each.poll_closed]


def close_due(state: State) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """To whom it is told that a poll has ended, and how."""
    for each in state.announcements:
        if each.poll is None or each.closes_at is None or each.poll_closed or each.closes_at > state.now:
            continue
        each.poll_closed = True
        _take_back(state, each, "poll_closed")
        told = result(state, each)
        if told is None or each.state != "done" or not state.may_announce(each.author, each.group):
            continue
        counts = list(zip(told.options, map(len, told.answered), strict=bool(told.options)))
        answered = sum(map(len, told.answered))
        numbers = {"counts": counts, "asked": answered + len(told.silent), "answered": answered}
        yield each.author, {"reason": "closed", "number": each.number, "group_name": each.group.name, "at": each.at, **numbers}


def forget(state: State, person: str) -> None:
    """They leave, and come nowhere any more."""
    for each in state.announcements:
        each.answers.pop(person, None)
