"""The second pair of eyes in the world made of memory: what waits for whom, who says yes or no, and what its author hears."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bots import announcement
from bots.approval.waiting import Look, LookAt, Waiting, WaitingForMe
from bots.effects import ApproveAnnouncement, ReturnAnnouncement
from bots.facts import ReachForecast, SecondEyes
from bots.texts import load_texts
from bots.turns import Occasion, OccasionKind, Role
from tests.dialogues import polls
from tests.dialogues.rows import Announcement, Group, Refused, State

_ANNOUNCEMENT = announcement.create(load_texts(Path(announcement.__file__).parent))
_PATIENCE, _LATE = timedelta(days=1), timedelta(hours=1)
#: To whom, of which kind, with which gaps.
Letter = tuple[str, OccasionKind, Mapping[str, Any]]


def eyes(state: State, group: Group, author: str, total: int) -> SecondEyes | None:
    """Whose look an announcement to so many waits for."""
    above = group.course.second_eyes
    return SecondEyes(above, len(_approvers(state, group, author))) if above and total > above else None


def _approvers(state: State, group: Group, author: str) -> list[str]:
    return [person for person in state.people if person != author and _may(state, person, group)]


def _may(state: State, person: str, group: Group) -> bool:
    own = [(one, role) for one, role in state.people[person].memberships if one.course is group.course]
    if any(role is Role.ADMINISTRATOR for _, role in own):
        return True
    return any(role is Role.MENTOR and (group.large or one is group) for one, role in own)


def details(state: State, each: Announcement) -> dict[str, Any]:
    """The gaps' values of an announcement, as it would go out now."""
    author = state.people[each.author]
    role = min(role.value for group, role in author.memberships if group is each.group or role is Role.ADMINISTRATOR)
    return {
        "text": each.text,
        "group_name": each.group.name,
        "author_name": author.name or "",
        "author_role": role,
        "course_title": each.group.course.title,
    }


def wait(state: State, each: Announcement, why: str) -> Iterator[Letter]:
    """An announcement to many waits; returns who is called."""
    each.state, each.why = "waiting", why
    each.until = state.now + _PATIENCE if each.at == each.made else each.at + _LATE
    said = details(state, each)
    called = {
        **{name: said[name] for name in ("group_name", "author_name", "author_role")},
        "announcement": each.id,
        "number": each.number,
        "why": why,
        "excerpt": " ".join(each.text.split())[:24],
        "at": None if each.at == each.made else each.at,
    }
    for person in _approvers(state, each.group, each.author):
        yield person, OccasionKind.APPROVAL, called


def hold(state: State, each: Announcement) -> list[Letter]:
    """Who is told that an announcement whose moment has come waits; empty where it may go."""
    total = len(state.audience(each.group, each.author))
    if eyes(state, each.group, each.author, total) is None or each.seen_by:
        return []
    return [*wait(state, each, "grew"), (each.author, OccasionKind.REPORT, _report(each, "waits_grew"))]


def load(state: State, person: str, request: WaitingForMe | LookAt, forecast: Any) -> Any:
    """What somebody asks to see. `forecast`: whom an announcement would find."""
    if isinstance(request, WaitingForMe):
        mine = [each for each in state.announcements if each.state == "waiting" and person in _approvers(state, each.group, each.author)]
        return tuple(_listed(state, each) for each in mine)
    each = next((one for one in state.announcements if one.id == request.id), None)
    if each is None or not each.why or not _may(state, person, each.group):
        return Look(request.id)
    return _look(state, person, each, forecast)


def _listed(state: State, each: Announcement) -> Waiting:
    assert each.until is not None
    excerpt, at = " ".join(each.text.split())[:24], None if each.at == each.made else each.at
    return Waiting(each.id, each.number, each.group.name, state.people[each.author].name or "", excerpt, at, each.until)


def _look(state: State, person: str, each: Announcement, forecast: Any) -> Look:
    someone, at = state.people[person], None if each.at == each.made else each.at
    message = _ANNOUNCEMENT.compose(
        Occasion(OccasionKind.ANNOUNCEMENT, someone.language, {**details(state, each), **polls.gaps(each)}, someone.zone)
    )
    found: ReachForecast = forecast(each.author, each.group.id, at)
    state_now = "own" if each.author == person else "waiting" if each.state == "waiting" else each.decision or "gone"
    return Look(
        id=each.id,
        number=each.number,
        group_name=each.group.name,
        author_name=state.people[each.author].name or "",
        bubble=message.text,
        choices=tuple(choice.label for choice in message.choices),
        at=at,
        by_mass=each.by_mass,
        forecast=found,
        version=f"{each.id:x}",
        state=state_now if each.state not in ("cancelled", "missed") or state_now == "own" else "gone",
        why=each.why,
        until=each.until,
        by=state.people[each.seen_by].name or "" if each.seen_by else "",
    )


def apply(state: State, person: str, effect: ApproveAnnouncement | ReturnAnnouncement) -> Iterator[Letter]:
    """Somebody says yes or no; returns what the author is told."""
    each = next((one for one in state.announcements if one.id == effect.id), None)
    if each is None or not _may(state, person, each.group):
        raise Refused("role")
    if each.author == person:
        raise Refused("own")
    if each.state in ("cancelled", "missed"):
        raise Refused("gone")
    if each.state != "waiting":
        raise Refused("decided")
    each.seen_by = person
    for one in state.deliveries:
        if one.occasion.kind is OccasionKind.APPROVAL and one.occasion.details["announcement"] == each.id and one.state != "sent":
            one.settle("cancelled", "taken")
    by = {"by": state.people[person].name or ""}
    if isinstance(effect, ReturnAnnouncement):
        each.state = each.decision = "returned"
        yield each.author, OccasionKind.REPORT, _report(each, "returned", note=" ".join(effect.note.split()), **by)
        return
    each.state, each.decision = "planned", "approved"
    at_once = each.at == each.made
    each.at = state.now if at_once else each.at
    yield each.author, OccasionKind.REPORT, _report(each, "approved_now" if at_once else "approved", **by)


def next_due(state: State) -> list[datetime]:
    """When it is too late for what waits."""
    return [each.until for each in state.announcements if each.state == "waiting" and each.until is not None]


def go_on(state: State) -> Iterator[Letter]:
    """What nobody looked at is missed; its author is told."""
    for each in state.announcements:
        if each.state == "waiting" and each.until is not None and each.until <= state.now:
            each.state = "missed"
            yield each.author, OccasionKind.REPORT, _report(each, "unapproved")


def _report(each: Announcement, reason: str, **more: Any) -> dict[str, Any]:
    return {"reason": reason, "number": each.number, "group_name": each.group.name, "at": each.at, **more}
