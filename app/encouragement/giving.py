"""Hides who gets which word: each at most once, nobody who may be in danger, after something was done not too often; and who thanked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import broadcasts
from app.broadcasts import Draft
from app.db import Tx, upsert
from app.encouragement.library import content_of, theme_at
from app.groups import Refused
from app.keyring import Keyring
from app.models import Broadcast, ConsentGiven, Course, Delivery, Flag, Group, Membership, Participant, Person, WarmGiven, WarmWord
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
    tx.execute(sa.select(Person.id).where(Person.id == person_id).with_for_update(key_share=True))
    course = tx.execute(_course(course_id)).one_or_none()
    seat = None if course is None else tx.execute(_seat(course_id, person_id, trigger, now)).scalar_one_or_none()
    if course is None or seat is None:
        return None
    word_id = tx.execute(_unknown_to(person_id, course, now).limit(1)).scalar_one_or_none()
    row = {"word_id": word_id, "course_id": course_id, "person_id": person_id, "after": trigger.value, "at": now}
    if word_id is None or not _note(tx, row):
        return None
    occasion = Occasion(course_id, course.account_id, course.data_key_id, seat, trigger.value)
    return send(tx, tools.keyring, occasion, word_id, [person_id], now)


def _course(course_id: int) -> "sa.Select[Any]":
    columns = (Course.id, Course.account_id, Course.data_key_id, Course.details, Course.starts_on, Course.zone)
    return sa.select(*columns).where(Course.id == course_id, Course.ended_at.is_(None))


def _seat(course_id: int, person_id: int, trigger: Trigger, now: datetime) -> "sa.Select[int]":
    """The group through which a participant may get a word now: the large one, where they sit in it."""
    seats = sa.select(Membership.group_id).join(Group, Group.id == Membership.group_id).join(Person, Person.id == Membership.person_id)
    seated = seats.where(
        Group.course_id == course_id,
        Membership.person_id == person_id,
        Membership.role == Role.PARTICIPANT.value,
        Membership.ended_at.is_(None),
    )
    agreed = sa.select(ConsentGiven.id).where(
        ConsentGiven.course_id == course_id, ConsentGiven.person_id == Person.id, ConsentGiven.ended_at.is_(None)
    )
    stays = sa.select(Participant.id).where(
        Participant.course_id == course_id, Participant.person_id == Person.id, Participant.withdrawn_at.is_(None)
    )
    lately = sa.and_(WarmGiven.after != BY_PLAN, WarmGiven.at > now - ONE_IN)
    again = sa.and_(WarmGiven.course_id == course_id, WarmGiven.after == Trigger.FIRST.value)
    too_much = sa.or_(lately, again) if trigger is Trigger.FIRST else lately
    enough = sa.select(WarmGiven.id).where(WarmGiven.person_id == Person.id, too_much)
    allowed = seated.where(undisturbed(now), agreed.exists(), stays.exists(), ~enough.exists())
    return allowed.order_by(Group.large.desc(), Group.id).limit(1)


def undisturbed(now: datetime) -> "sa.ColumnElement[bool]":
    """For a statement over persons: not erased, not paused, and no flag of theirs was open within the last week."""
    open_lately = sa.or_(Flag.closed_at.is_(None), Flag.closed_at > now - FLAGGED)
    flagged = sa.select(Flag.id).where(Flag.person_id == Person.id, open_lately)
    return sa.and_(Person.erased_at.is_(None), Person.paused_at.is_(None), ~flagged.exists())


def _unknown_to(person_id: int, course: Any, now: datetime) -> "sa.Select[int]":
    """Words that this person does not know. Those for any week come first: the plan gives those of the week to everybody."""
    theme = theme_at(course.details, course.starts_on, course.zone, now)
    known = sa.select(WarmGiven.id).where(WarmGiven.word_id == WarmWord.id, WarmGiven.person_id == person_id)
    often = sa.select(sa.func.count(WarmGiven.id)).where(WarmGiven.word_id == WarmWord.id).scalar_subquery()
    return (
        sa.select(WarmWord.id)
        .where(WarmWord.course_id == course.id, WarmWord.state == "approved", WarmWord.theme.in_([ANY, theme]), ~known.exists())
        .order_by(WarmWord.theme != ANY, often, WarmWord.number)
    )


def _note(tx: Tx, row: Mapping[str, Any]) -> bool:
    """Write down that a person was given a word; False where the plan was faster with the very same."""
    insert = upsert(tx, WarmGiven).values(**row).on_conflict_do_nothing()
    return tx.execute(insert.returning(WarmGiven.id)).first() is not None


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
    theirs = sa.and_(WarmGiven.word_id == word_id, WarmGiven.person_id.in_(people))
    tx.execute(sa.update(WarmGiven).where(theirs).values(broadcast_id=broadcast_id))
    return broadcast_id


def hold_back(tx: Tx, person_id: int, now: datetime) -> int:
    """Take back the warm words that have not reached somebody who may be in danger; returns how many."""
    live = sa.select(Broadcast.id).where(Broadcast.kind == OccasionKind.ENCOURAGEMENT.value, Broadcast.state.in_(["expanding", "going"]))
    theirs = sa.and_(Delivery.person_id == person_id, Delivery.state.in_(STOPPABLE), Delivery.broadcast_id.in_(live))
    taken_back = {"state": "cancelled", "reason": "not_now", "changed_at": now, "lease_owner": None, "lease_until": None}
    return tx.execute(sa.update(Delivery).where(theirs).values(**taken_back)).rowcount


# Thanks -------------------------------------------------------------------------------------------------------------------------------


def given_to(tx: Tx, person_id: int, word_id: int) -> Given:
    """Whether this person was given this word (0: the newest of theirs), and has thanked for it."""
    query = sa.select(WarmGiven.word_id, WarmGiven.thanked_at).where(WarmGiven.person_id == person_id)
    query = query.where(WarmGiven.word_id == word_id) if word_id else query.order_by(WarmGiven.at.desc(), WarmGiven.id.desc())
    row = tx.execute(query.limit(1)).one_or_none()
    return Given() if row is None else Given(row.word_id, row.thanked_at is not None)


def thank(tx: Tx, person_id: int, word_id: int, now: datetime) -> None:
    """Count a thank-you, once for a person and a word. Raises `Refused` ("foreign")."""
    mine = sa.and_(WarmGiven.person_id == person_id, WarmGiven.word_id == word_id)
    first = sa.update(WarmGiven).where(mine, WarmGiven.thanked_at.is_(None)).values(thanked_at=now)
    if tx.execute(first).rowcount == 0 and tx.execute(sa.select(WarmGiven.id).where(mine)).first() is None:
        raise Refused("foreign", "This word was not given to them.")
