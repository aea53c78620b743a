"""Hides what an announcement asks and what was answered: attaches a poll, takes answers until it closes, counts them for its author.

Decided: one answer per person and announcement. A later one overwrites the earlier one and is counted, since who comes to which city
is a question of today and no measurement; whoever leaves the course takes theirs along.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import access, audit, broadcasts
from app.broadcasts import Draft
from app.db import Tx, upsert
from app.db.prepared import NOW, Among, Anything, Earliest, Prepared, slot
from app.groups import Refused
from app.keyring import Keyring, Place
from app.models import Broadcast, Course, Delivery, Group, Membership, Poll, PollAnswer, Schedule
from app.models.columns import one_of
from app.people import names
from app.situation import Tools
from app.states import REACHED, STOPPABLE, UNDER_WAY, State
from bots.announcement import asking
from bots.effects import Poll as Wanted
from bots.facts import Asked, PollResult, PollState
from bots.texts import inert
from bots.turns import OccasionKind

#: A poll that names no moment closes this long after its announcement went out.
OPEN_FOR = timedelta(days=7)
#: How many people are named to an author; the others are counted.
_MOST_NAMES = 200
#: The announcement has not been shown to somebody whose delivery stands here: they cannot have answered it, nor failed to.
_STILL_TO_COME = (*UNDER_WAY, State.WAITING, State.HELD)
#: And will not be shown.
_NEVER_CAME = (State.CANCELLED, State.EXPIRED, State.FAILED, State.UNREACHABLE)
#: By these a question is put; and these carry nothing that a number or a mere "got it" could answer.
_PUTS = (OccasionKind.ANNOUNCEMENT.value, OccasionKind.FOLLOW_UP.value)
_IN_PASSING = (OccasionKind.REPORT.value, OccasionKind.CONTINUATION.value, OccasionKind.ALERT.value, OccasionKind.APPROVAL.value)


def check(wanted: Wanted, text: str, at: datetime) -> None:
    """Whether an announcement with these words, going out at `at`, can ask this. Raises `Refused` with "options", "long" or "until"."""
    wrong = asking.wrong_with(wanted.options) if wanted.options else None
    if wrong is not None:
        raise Refused(
            "options", f"A poll offers {asking.FEWEST} to {asking.MOST} different options of a few words; please change these ({wrong})."
        )
    most = asking.most_text(wanted.options)
    if len(inert(text).encode()) > most:
        raise Refused("long", f"With these options an announcement holds at most {most} bytes; shorten it, or the options.")
    if wanted.until is not None and wanted.until <= at:
        raise Refused("until", "The poll would close before the announcement goes out; choose a later end.")


def attach(tx: Tx, keyring: Keyring, schedule_id: int, key_id: int, wanted: Wanted, at: datetime) -> None:
    """Let an announcement that goes out at `at` ask this."""
    sealed = None
    if wanted.options:
        options = json.dumps(wanted.options, ensure_ascii=False)
        sealed = keyring.open(tx, key_id).seal(Place("polls", "options_sealed", schedule_id), options)
    tx.execute(sa.insert(Poll).values(schedule_id=schedule_id, options_sealed=sealed, closes_at=wanted.until or at + OPEN_FOR))


def details(tx: Tx, keyring: Keyring, schedule_id: int) -> dict[str, Any]:
    """The gaps' values by which a message asks what this announcement asks; none where it asks nothing."""
    row = find(tx, schedule_id)
    if row is None:
        return {}
    return {"asks": schedule_id, "options": list(options_of(tx, keyring, row)), "until": row.closes_at}


def find(tx: Tx, schedule_id: int, *, lock: bool = False) -> Any:
    """The poll of an announcement with its group, course and state, or None. `lock`: alone with it until the end of the transaction."""
    return (_LOCKED if lock else _FOUND).first(tx, schedule=schedule_id)


def _poll() -> "sa.Select[Any]":
    """Polls with what their announcement and its course say of them."""
    return (
        sa.select(
            *Poll.__table__.columns,
            *(Schedule.group_id, Schedule.course_id, Schedule.author_id, Schedule.number, Schedule.fire_at),
            Schedule.state.label("announced"),
            Course.data_key_id,
            Course.account_id,
        )
        .join(Schedule, Schedule.id == Poll.schedule_id)
        .join(Course, Course.id == Schedule.course_id)
    )


_FOUND = Prepared(lambda _: [_poll().where(Poll.schedule_id == slot("schedule"))])
_LOCKED = Prepared(lambda _: [_poll().where(Poll.schedule_id == slot("schedule")).with_for_update(of=[Schedule, Poll])])


def options_of(tx: Tx, keyring: Keyring, row: Any) -> tuple[str, ...]:
    """The labels of a poll's options; none for a "got it" tap."""
    text = keyring.unseal(tx, row.data_key_id, Place("polls", "options_sealed", row.schedule_id), row.options_sealed)
    return () if text is None else tuple(json.loads(text))


# What somebody is asked, and answers --------------------------------------------------------------------------------------------


def asked_by(tx: Tx, keyring: Keyring, schedule_id: int, person_id: int, now: datetime) -> Asked:
    """What this announcement asks this person."""
    row = _put_to(tx, schedule_id, person_id)
    return Asked() if row is None else _asked(tx, keyring, row, now, newest=False)


def open_of(person_id: Any) -> "sa.Select[int]":
    """For a statement over persons: how many polls of somebody's groups are open."""
    return (
        sa.select(sa.func.count())
        .select_from(Poll)
        .join(Schedule, Schedule.id == Poll.schedule_id)
        .join(Membership, Membership.group_id == Schedule.group_id)
        .where(Poll.closed_at.is_(None), Membership.person_id == person_id, Membership.ended_at.is_(None))
    )


def last_asked(tx: Tx, keyring: Keyring, person_id: int, groups: Iterable[int], now: datetime) -> Asked:
    """The open question that was put to a person of these groups last."""
    row = next(iter(_LAST.all(tx, list(groups), person=person_id, now=now)), None)
    return Asked() if row is None else _asked(tx, keyring, row, now, newest=not row.later)


def _last(groups: Sequence[Any]) -> "sa.Select[Any]":
    """The poll that was put last, what they chose, and whether something has been shown to them since that they may mean."""
    person = slot("person", Delivery.person_id)
    put = _shown(person).where(Broadcast.schedule_id == Schedule.id, one_of(Broadcast.kind, _PUTS))
    last_put = put.with_only_columns(sa.func.max(Broadcast.id)).correlate(Schedule).scalar_subquery()
    ours = _poll().where(Poll.closed_at.is_(None), Poll.closes_at > NOW, Schedule.group_id.in_(groups), Schedule.state == "fired")
    mine = ours.add_columns(last_put.label("put"), _choice(person).label("choice")).subquery()
    later = _shown(person).where(Broadcast.id > mine.c.put, ~one_of(Broadcast.kind, _IN_PASSING)).correlate(mine).exists()
    return sa.select(mine, later.label("later")).where(mine.c.put.is_not(None)).order_by(mine.c.put.desc()).limit(1)


def _shown(person_id: Any) -> "sa.Select[int]":
    """The broadcasts that have been shown to this person, as far as can be known. Their ids grow with time."""
    hidden = [state.value for state in (*_STILL_TO_COME, *_NEVER_CAME) if state is not State.SENDING]
    theirs = (Delivery.person_id == person_id, ~one_of(Delivery.state, hidden))
    return sa.select(Broadcast.id).join(Delivery, Delivery.broadcast_id == Broadcast.id).where(*theirs)


def _choice(person_id: Any) -> "sa.ScalarSelect[int]":
    """What this person chose in a poll of the statement around it."""
    theirs = (PollAnswer.schedule_id == Poll.schedule_id, PollAnswer.person_id == person_id)
    return sa.select(PollAnswer.choice).where(*theirs).correlate(Poll).scalar_subquery()


_LAST = Among(_last)


def _put_to(tx: Tx, schedule_id: int, person_id: int) -> Any:
    """The poll of an announcement that went to this person, or a follow-up of it, in whose group they still are; None where none is."""
    return _PUT_TO.first(tx, schedule=schedule_id, person=person_id)


def _theirs() -> "sa.Select[Any]":
    person = slot("person", Delivery.person_id)
    to_them = (
        sa.select(Delivery.id)
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .where(Broadcast.schedule_id == Poll.schedule_id, Delivery.person_id == person)
    )
    member = sa.select(Membership.id).where(
        Membership.group_id == Schedule.group_id, Membership.person_id == person, Membership.ended_at.is_(None)
    )
    theirs = (Poll.schedule_id == slot("schedule"), to_them.exists(), member.exists())
    return _poll().add_columns(_choice(person).label("choice")).where(*theirs)


_PUT_TO = Prepared(lambda _: [_theirs()])


def _asked(tx: Tx, keyring: Keyring, row: Any, now: datetime, *, newest: bool) -> Asked:
    return Asked(row.schedule_id, options_of(tx, keyring, row), _state(row, now), row.closes_at, row.choice or 0, newest)


def _state(row: Any, now: datetime) -> PollState:
    if row.announced == "cancelled":
        return PollState.CANCELLED
    return PollState.OPEN if row.announced == "fired" and row.closed_at is None and now < row.closes_at else PollState.CLOSED


def answer(tx: Tx, keyring: Keyring, person_id: int, schedule_id: int, choice: int, now: datetime) -> None:
    """Note what somebody chose, in place of what they chose before; a follow-up that has not reached them is taken back.

    Raises `Refused` with "closed", "cancelled" or "foreign". Who closes the poll waits for the answers under way.
    """
    tx.execute(sa.select(Poll.schedule_id).where(Poll.schedule_id == schedule_id).with_for_update(read=True))
    row = _put_to(tx, schedule_id, person_id)
    if row is None or not 1 <= choice <= max(1, len(options_of(tx, keyring, row))):
        raise Refused("foreign", "This announcement asks them nothing.")
    state = _state(row, now)
    if state is not PollState.OPEN:
        raise Refused(state.value, "This announcement takes no answers any more.")
    new = upsert(tx, PollAnswer).values(schedule_id=schedule_id, person_id=person_id, choice=choice, changes=0, first_at=now, at=now)
    changed = {"choice": choice, "changes": PollAnswer.changes + 1, "at": now}
    other = new.on_conflict_do_update(index_elements=["schedule_id", "person_id"], set_=changed, where=PollAnswer.choice != choice)
    tx.execute(other)
    take_back(tx, schedule_id, "answered", now, person_id)


def take_back(tx: Tx, schedule_id: int, reason: str, now: datetime, person_id: int | None = None) -> None:
    """Take back the follow-ups that have not left: those to one person, or all of them."""
    ours = sa.select(Broadcast.id).where(Broadcast.schedule_id == schedule_id, Broadcast.kind == OccasionKind.FOLLOW_UP.value)
    waiting = sa.update(Delivery).where(Delivery.broadcast_id.in_(ours), Delivery.state.in_(STOPPABLE))
    mine = waiting if person_id is None else waiting.where(Delivery.person_id == person_id)
    tx.execute(mine.values(state=State.CANCELLED, reason=reason, changed_at=now, lease_owner=None, lease_until=None))


# What its author sees, and closing ----------------------------------------------------------------------------------------------


def result(tx: Tx, keyring: Keyring, schedule_id: int, now: datetime) -> PollResult | None:
    """What was answered by those who are in the group now; None where the announcement asks nothing. Who asks has been let in before."""
    row = find(tx, schedule_id)
    if row is None:
        return None
    options = options_of(tx, keyring, row)
    asked = tx.execute(_everybody(row)).all()
    first = sorted(asked, key=lambda each: (each.choice is not None, each.person_id))[:_MOST_NAMES]  # who is silent is looked for
    shown = {each.person_id for each in first}
    known = names(tx, keyring, sorted(shown))
    named = [(known.get(each.person_id, "?") if each.person_id in shown else "", each) for each in asked]
    silent = [(name, each) for name, each in named if each.choice is None]
    followed = _last_follow_up(tx, schedule_id)
    return PollResult(
        options=options,
        answered=tuple(tuple(name for name, each in named if each.choice == place) for place in range(1, max(1, len(options)) + 1)),
        silent=tuple(name for name, _ in silent),
        askable=sum(each.state not in _STILL_TO_COME for _, each in silent),
        until=row.closed_at or row.closes_at,
        open=_state(row, now) is PollState.OPEN,
        followed_at=followed and followed.created_at,
        followed=followed.total if followed else 0,
        followed_reached=followed.reached if followed else 0,
    )


def silent_people(tx: Tx, row: Any) -> list[int]:
    """Who was asked, has not answered, and does not have the announcement itself still to come."""
    asked = tx.execute(_everybody(row)).all()
    return [each.person_id for each in asked if each.choice is None and each.state not in _STILL_TO_COME]


def _everybody(row: Any) -> "sa.Select[*tuple[Any, ...]]":
    """Each person whom the announcement goes to and who is in the group now, with its state and their choice."""
    member = sa.select(Membership.id).where(
        Membership.group_id == row.group_id, Membership.person_id == Delivery.person_id, Membership.ended_at.is_(None)
    )
    theirs = sa.and_(PollAnswer.schedule_id == row.schedule_id, PollAnswer.person_id == Delivery.person_id)
    return (
        sa.select(Delivery.person_id, Delivery.state, PollAnswer.choice)
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .outerjoin(PollAnswer, theirs)
        .where(Broadcast.schedule_id == row.schedule_id, Broadcast.kind == OccasionKind.ANNOUNCEMENT.value, member.exists())
        .order_by(Delivery.person_id)
    )


def _last_follow_up(tx: Tx, schedule_id: int) -> Any:
    reached = sa.func.sum(sa.case((Delivery.state.in_([state.value for state in REACHED]), 1), else_=0))
    return tx.execute(
        sa.select(Broadcast.created_at, sa.func.count().label("total"), reached.label("reached"))
        .join(Delivery, Delivery.broadcast_id == Broadcast.id)
        .where(Broadcast.schedule_id == schedule_id, Broadcast.kind == OccasionKind.FOLLOW_UP.value)
        .group_by(Broadcast.id, Broadcast.created_at)
        .order_by(Broadcast.created_at.desc(), Broadcast.id.desc())
        .limit(1)
    ).one_or_none()


def close(tx: Tx, schedule_id: int, actor_id: int | None, now: datetime) -> None:
    """Take no more answers; `actor_id` None: the operator. Raises `Refused` with "role" or "closed"."""
    row = find(tx, schedule_id, lock=True)
    if row is None or (actor_id is not None and not access.may_announce(tx, actor_id, row.group_id)):
        raise Refused("role", "There is no such poll among yours.")
    if _state(row, now) is not PollState.OPEN:
        raise Refused("closed", "It takes no answers now.")
    _end(tx, schedule_id, now)
    audit.record(tx, now, audit.actor(actor_id), "poll.close", f"schedule:{schedule_id}")


def _end(tx: Tx, schedule_id: int, now: datetime) -> None:
    tx.execute(sa.update(Poll).where(Poll.schedule_id == schedule_id).values(closed_at=now))
    for broadcast_id in tx.execute(
        sa.select(Broadcast.id).where(
            Broadcast.schedule_id == schedule_id, Broadcast.kind == OccasionKind.FOLLOW_UP.value, Broadcast.state != "done"
        )
    ).scalars():
        broadcasts.cancel(tx, broadcast_id, "poll_closed", now)


# What the clock brings ----------------------------------------------------------------------------------------------------------


def any_due(tx: Tx, now: datetime) -> bool:
    """Whether a poll closes now."""
    return _ANY_DUE.there(tx, now=now)


def go_on(tx: Tx, tools: Tools, now: datetime) -> bool:
    """Close the next poll whose moment has come, and tell the author of its announcement how it ended; False where there is none."""
    due = sa.select(Poll.schedule_id).where(Poll.closed_at.is_(None), Poll.closes_at <= now).order_by(Poll.closes_at).limit(1)
    found = tx.execute(due.with_for_update(skip_locked=True)).scalar_one_or_none()
    if found is None:
        return False
    row = find(tx, found)
    _end(tx, found, now)
    if row.announced == "fired" and row.author_id is not None and access.may_announce(tx, row.author_id, row.group_id):
        _report(tx, tools.keyring, row, now)
    return True


def next_moment(tx: Tx) -> datetime | None:
    """When the next poll closes."""
    return _NEXT.moment(tx)


_ANY_DUE = Anything(lambda: sa.select(Poll.schedule_id).where(Poll.closed_at.is_(None), Poll.closes_at <= NOW))
_NEXT = Earliest(lambda: sa.select(sa.func.min(Poll.closes_at)).where(Poll.closed_at.is_(None)))


def rest(tx: Tx, now: datetime) -> int:
    """Close what should have closed while it rested in a backup; returns how many. Nobody is told by itself."""
    return tx.execute(sa.update(Poll).where(Poll.closed_at.is_(None), Poll.closes_at <= now).values(closed_at=now)).rowcount


def _report(tx: Tx, keyring: Keyring, row: Any, now: datetime) -> None:
    choices = [each.choice for each in tx.execute(_everybody(row))]
    counts = [(option, choices.count(place)) for place, option in enumerate(options_of(tx, keyring, row), start=1)]
    group = tx.execute(sa.select(Group.name).where(Group.id == row.group_id)).scalar_one()
    gaps = {"reason": "closed", "number": row.number, "group_name": group, "at": row.fire_at, "counts": counts, "asked": len(choices)}
    draft = Draft(
        account_id=row.account_id,
        key_id=row.data_key_id,
        bot="announcement",
        kind=OccasionKind.REPORT,
        details={**gaps, "answered": sum(choice is not None for choice in choices)},
        course_id=row.course_id,
        stale_at=now + timedelta(days=3),
    )
    broadcasts.send_to(tx, keyring, draft, [row.author_id], now)
