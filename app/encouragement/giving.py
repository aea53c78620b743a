"""Hides who gets which word: each at most once, nobody who may be in danger, after something was done not too often; and who thanked."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import access, broadcasts
from app.broadcasts import Draft
from app.db import Tx, upsert, upserting
from app.db.prepared import NOW, Among, Prepared, slot
from app.encouragement.library import content_of, theme_at
from app.groups import Refused
from app.keyring import Keyring
from app.models import Broadcast, Course, Delivery, Flag, Group, Membership, Participant, Person, WarmGiven, WarmWord
from app.situation import Tools
from app.states import STOPPABLE
from bots.encouragement.shelf import Given
from bots.encouragement.words import ANY, Trigger
from bots.turns import OccasionKind, Role

#: A word that could not be delivered for this long is of no use any more: the next one is near.
USEFUL = timedelta(days=3)
#: Of what is given after something was done, a person gets one within this time, in all courses together.
ONE_IN = timedelta(days=3)
#: Whoever had an open flag within this time is talked to by people, and gets no word from us.
FLAGGED = timedelta(days=7)
#: How `WarmGiven.after` calls what the plan gave.
BY_PLAN = "plan"


@dataclass(frozen=True)
class Occasion:
    """For what a word is given: the course, the group that its readers must sit in, and the trigger, if it is for one person."""

    course_id: int
    account_id: int
    key_id: int
    group_id: int
    trigger: str = ""


def after(tx: Tx, tools: Tools, course_id: int, person_id: int, trigger: Trigger, now: datetime) -> int | None:
    """Give a participant a word after something that they did; returns the broadcast's id, None where nothing is given.

    Nothing is given to somebody who has left, is paused or had an open flag within a week; within three days of the last such word; a
    second time after a first practice; or where the course has no approved word that they do not know.
    """
    _HOLD.first(tx, person=person_id)
    course = _COURSE.first(tx, course=course_id)
    if course is None:
        return None
    seats = _SEAT_FIRST if trigger is Trigger.FIRST else _SEAT
    seat = seats.first(tx, course=course_id, person=person_id, since=now - ONE_IN, unflagged=now - FLAGGED)
    if seat is None:
        return None
    theme = theme_at(course.details, course.starts_on, course.zone, now)
    word = _UNKNOWN.first(tx, course=course_id, person=person_id, theme=theme)
    if word is None:
        return None
    noted = _NOTE.first(tx, word_id=word.id, course_id=course_id, person_id=person_id, after=trigger.value, at=now)
    if noted is None:
        return None  # the plan was faster with the very same
    occasion = Occasion(course_id, course.account_id, course.data_key_id, seat.group_id, trigger.value)
    return send(tx, tools.keyring, occasion, word.id, [person_id], now)


def _course() -> "sa.Select[Any]":
    columns = (Course.id, Course.account_id, Course.data_key_id, Course.details, Course.starts_on, Course.zone)
    return sa.select(*columns).where(Course.id == slot("course"), Course.ended_at.is_(None))


def _seat(*, first: bool) -> "sa.Select[int]":
    """The group through which a participant may get a word now: the large one, where they sit in it. `first`: one of the first practice."""
    course = slot("course", Course.id)
    seats = sa.select(Membership.group_id).join(Group, Group.id == Membership.group_id).join(Person, Person.id == Membership.person_id)
    seated = seats.where(
        Group.course_id == course,
        Membership.person_id == slot("person"),
        Membership.role == Role.PARTICIPANT.value,
        Membership.ended_at.is_(None),
    )
    stays = sa.select(Participant.id).where(
        Participant.course_id == course, Participant.person_id == Person.id, Participant.withdrawn_at.is_(None)
    )
    lately = sa.and_(WarmGiven.after != BY_PLAN, WarmGiven.at > slot("since"))
    again = sa.and_(WarmGiven.course_id == course, WarmGiven.after == Trigger.FIRST.value)
    enough = sa.select(WarmGiven.id).where(WarmGiven.person_id == Person.id, sa.or_(lately, again) if first else lately)
    allowed = seated.where(undisturbed(slot("unflagged")), access.agreed(Person.id, course), stays.exists(), ~enough.exists())
    return allowed.order_by(Group.large.desc(), Group.id).limit(1)


def undisturbed(since: Any) -> "sa.ColumnElement[bool]":
    """For a statement over persons: not erased, not paused, and no flag of theirs is open, or was after `since` (`FLAGGED` before now)."""
    open_lately = sa.or_(Flag.closed_at.is_(None), Flag.closed_at > since)
    flagged = sa.select(Flag.id).where(Flag.person_id == Person.id, open_lately)
    return sa.and_(Person.erased_at.is_(None), Person.paused_at.is_(None), ~flagged.exists())


def _unknown() -> "sa.Select[int]":
    """A word that somebody does not know. Those for any week come first: the plan gives those of the week to everybody."""
    known = sa.select(WarmGiven.id).where(WarmGiven.word_id == WarmWord.id, WarmGiven.person_id == slot("person"))
    often = sa.select(sa.func.count(WarmGiven.id)).where(WarmGiven.word_id == WarmWord.id).scalar_subquery()
    fits = sa.or_(WarmWord.theme == ANY, WarmWord.theme == slot("theme"))
    return (
        sa.select(WarmWord.id)
        .where(WarmWord.course_id == slot("course"), WarmWord.state == "approved", fits, ~known.exists())
        .order_by(WarmWord.theme != ANY, often, WarmWord.number)
        .limit(1)
    )


_HOLD = Prepared(lambda _: [sa.select(Person.id).where(Person.id == slot("person")).with_for_update(key_share=True)])
_COURSE = Prepared(lambda _: [_course()])
_SEAT = Prepared(lambda _: [_seat(first=False)])
_SEAT_FIRST = Prepared(lambda _: [_seat(first=True)])
_UNKNOWN = Prepared(lambda _: [_unknown()])
_ROW = ("word_id", "course_id", "person_id", "after", "at")
_NOTE = Prepared(
    lambda dialect: [
        upserting(dialect, WarmGiven).values({name: slot(name) for name in _ROW}).on_conflict_do_nothing().returning(WarmGiven.id)
    ]
)


def note_all(tx: Tx, course_id: int, word_id: int, people: list[int], now: datetime) -> list[int]:
    """Write down that these people are given a word by the plan; returns those who did not have it."""
    rows = [{"word_id": word_id, "course_id": course_id, "person_id": person, "after": BY_PLAN, "at": now} for person in people]
    if not rows:
        return []
    insert = upsert(tx, WarmGiven).on_conflict_do_nothing().returning(WarmGiven.person_id)
    return sorted(tx.execute(insert, rows).scalars())


def send(tx: Tx, keyring: Keyring, occasion: Occasion, word_id: int, people: list[int], now: datetime) -> int:
    """The message with this word to these people, who were noted before; returns the broadcast's id."""
    texts = content_of(tx, keyring, word_id)["texts"]
    draft = Draft(
        account_id=occasion.account_id,
        key_id=occasion.key_id,
        bot="encouragement",
        kind=OccasionKind.ENCOURAGEMENT,
        details={**texts, "word": word_id, "trigger": occasion.trigger},
        course_id=occasion.course_id,
        group_id=occasion.group_id,
        priority=broadcasts.BULK,
        stale_at=now + USEFUL,
    )
    broadcast_id = broadcasts.send_to(tx, keyring, draft, people, now)
    _CARRY.count(tx, people, word=word_id, broadcast=broadcast_id)
    return broadcast_id


_CARRY = Among(
    lambda people: (
        sa.update(WarmGiven)
        .where(WarmGiven.word_id == slot("word"), WarmGiven.person_id.in_(people))
        .values(broadcast_id=slot("broadcast"))
    )
)


def hold_back(tx: Tx, person_id: int, now: datetime) -> int:
    """Take back the warm words that have not reached somebody who may be in danger; returns how many."""
    live = sa.select(Broadcast.id).where(Broadcast.kind == OccasionKind.ENCOURAGEMENT.value, Broadcast.state.in_(["expanding", "going"]))
    theirs = sa.and_(Delivery.person_id == person_id, Delivery.state.in_(STOPPABLE), Delivery.broadcast_id.in_(live))
    taken_back = {"state": "cancelled", "reason": "not_now", "changed_at": now, "lease_owner": None, "lease_until": None}
    return tx.execute(sa.update(Delivery).where(theirs).values(**taken_back)).rowcount


# Thanks -------------------------------------------------------------------------------------------------------------------------------


def given_to(tx: Tx, person_id: int, word_id: int) -> Given:
    """Whether this person was given this word (0: the newest of theirs), and has thanked for it."""
    row = _GIVEN.first(tx, person=person_id, word=word_id) if word_id else _NEWEST.first(tx, person=person_id)
    return Given() if row is None else Given(row.word_id, row.thanked_at is not None)


def _of_person() -> "sa.Select[*tuple[Any, ...]]":
    return sa.select(WarmGiven.word_id, WarmGiven.thanked_at).where(WarmGiven.person_id == slot("person")).limit(1)


_GIVEN = Prepared(lambda _: [_of_person().where(WarmGiven.word_id == slot("word"))])
_NEWEST = Prepared(lambda _: [_of_person().order_by(WarmGiven.at.desc(), WarmGiven.id.desc())])


def thank(tx: Tx, person_id: int, word_id: int, now: datetime) -> None:
    """Count a thank-you, once for a person and a word. Raises `Refused` ("foreign")."""
    if _THANK.count(tx, person=person_id, word=word_id, now=now) == 0 and _GIVEN.first(tx, person=person_id, word=word_id) is None:
        raise Refused("foreign", "This word was not given to them.")


_THANK = Prepared(
    lambda _: [
        sa.update(WarmGiven)
        .where(WarmGiven.person_id == slot("person"), WarmGiven.word_id == slot("word"), WarmGiven.thanked_at.is_(None))
        .values(thanked_at=NOW)
    ]
)
