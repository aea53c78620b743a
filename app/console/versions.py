"""Hides by which mark a form says of what it was drawn: the same until somebody changes what the form would change.

Each kind of thing has its marks, of all that stand on a page in one query each. What is sealed is compared as it rests: nothing is opened
for it. `hold` lets one form after the other at the same thing, so that of two that carry the same mark one comes too late.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from app.console.rules import Of
from app.db import Tx
from app.models import (
    Approval,
    Audit,
    Contact,
    Course,
    Flag,
    Gathering,
    Group,
    Login,
    Membership,
    Person,
    Poll,
    Prompt,
    Question,
    QuestionWords,
    Schedule,
    WarmPlan,
    WarmWord,
    Wave,
)
from bots.turns import Role

Marks = Mapping[int, str]

_ROWS: dict[Of, type[Any]] = {
    Of.COURSE: Course,
    Of.GROUP: Group,
    Of.ANNOUNCEMENT: Schedule,
    Of.APPROVAL: Schedule,
    Of.WAVE: Wave,
    Of.PROMPT: Prompt,
    Of.QUESTION: Question,
    Of.WORD: WarmWord,
    Of.FLAG: Flag,
    Of.STAFF: Person,
}


def mark(*state: object) -> str:
    """The mark of a state: of values that are written down alike whenever they are alike."""
    return hashlib.sha256(repr(state).encode()).hexdigest()[:24]


def hold(tx: Tx, of: Of, thing: int) -> None:
    """Be alone with a thing until the end of the transaction, as far as other forms go."""
    table = _ROWS.get(of)
    if table is not None:
        tx.execute(sa.select(table.id).where(table.id == thing).with_for_update(key_share=True))


def announcements(tx: Tx, ids: Iterable[int]) -> Marks:
    """Whether it goes out, when, with which words, what it asks and until when, and what a second person said. Not how far it has come."""
    columns = (Schedule.state, Schedule.fire_at, Schedule.details_sealed, Poll.closes_at, Poll.closed_at, Approval.version, Approval.state)
    query = sa.select(Schedule.id, *columns).outerjoin(Poll, Poll.schedule_id == Schedule.id)
    return _each(tx, query.outerjoin(Approval, Approval.schedule_id == Schedule.id).where(Schedule.id.in_(list(ids))))


def prompts(tx: Tx, ids: Iterable[int]) -> Marks:
    """Whether a practice prompt goes on, and which version of it."""
    return _each(tx, sa.select(Prompt.id, Prompt.state, Prompt.version, Prompt.until).where(Prompt.id.in_(list(ids))))


def words(tx: Tx, ids: Iterable[int]) -> Marks:
    """Whether a warm word may be given, and what it says."""
    return _each(tx, sa.select(WarmWord.id, WarmWord.state, WarmWord.theme, WarmWord.words_sealed).where(WarmWord.id.in_(list(ids))))


def questions(tx: Tx, ids: Iterable[int]) -> Marks:
    """Who has a question, and how much was said in it."""
    said = sa.select(sa.func.count()).where(QuestionWords.question_id == Question.id).scalar_subquery()
    return _each(tx, sa.select(Question.id, Question.state, Question.answerer_id, said).where(Question.id.in_(list(ids))))


def flags(tx: Tx, ids: Iterable[int]) -> Marks:
    """Who has a flag, whether it is closed, and how often somebody was spoken to."""
    noted = sa.select(sa.func.count()).where(Contact.flag_id == Flag.id).scalar_subquery()
    columns = (Flag.acknowledged_by, Flag.acknowledged_at, Flag.closed_at, noted)
    return _each(tx, sa.select(Flag.id, *columns).where(Flag.id.in_(list(ids))))


def waves(tx: Tx, ids: Iterable[int]) -> Marks:
    """Whether a wave is open, until when, and how often somebody reminded of it."""
    subject = sa.literal("wave:") + sa.cast(Wave.id, sa.String)
    reminded = sa.select(sa.func.count()).where(Audit.action == "wave.remind", Audit.subject == subject).scalar_subquery()
    return _each(tx, sa.select(Wave.id, Wave.state, Wave.opens_at, Wave.closes_at, reminded).where(Wave.id.in_(list(ids))))


def staff(tx: Tx, ids: Iterable[int]) -> Marks:
    """Where somebody is staff, and whether and how they may sign in."""
    whom = list(ids)
    columns = (Login.person_id, Login.disabled_at, Login.password_hash, Login.totp_sealed)
    logins = {row[0]: tuple(row[1:]) for row in tx.execute(sa.select(*columns).where(Login.person_id.in_(whom)))}
    held = sa.select(Membership.person_id, Membership.id).where(Membership.person_id.in_(whom), Membership.ended_at.is_(None))
    seats: dict[int, list[int]] = {each: [] for each in whom}
    for row in tx.execute(held.where(Membership.role != Role.PARTICIPANT.value).order_by(Membership.id)):
        seats[row.person_id].append(row.id)
    return {each: mark(seats[each], logins.get(each)) for each in whom}


def seats(tx: Tx, group_id: int) -> str:
    """Who takes part in a group."""
    here = (Membership.group_id == group_id, Membership.role == Role.PARTICIPANT.value, Membership.ended_at.is_(None))
    return mark(list(tx.execute(sa.select(Membership.id).where(*here).order_by(Membership.id)).scalars()))


def warm_plan(tx: Tx, course_id: int) -> str:
    """When a course gives warm words, and whether it does."""
    columns = (WarmPlan.days, WarmPlan.hour, WarmPlan.state)
    found = tx.execute(sa.select(*columns).where(WarmPlan.course_id == course_id)).one_or_none()
    return mark(None if found is None else tuple(found))


def links(tx: Tx, course_id: int) -> str:
    """Where and when people of a course come together."""
    columns = (Gathering.id, Gathering.starts_at, Gathering.held, Gathering.link)
    return mark([tuple(row) for row in tx.execute(sa.select(*columns).where(Gathering.course_id == course_id).order_by(Gathering.id))])


def second_eyes(tx: Tx, ids: Iterable[int]) -> Marks:
    """Above how many people somebody else looks at an announcement of a course."""
    return _each(tx, sa.select(Course.id, Course.second_eyes).where(Course.id.in_(list(ids))))


def _each(tx: Tx, query: Any) -> Marks:
    return {row[0]: mark(*row[1:]) for row in tx.execute(query)}
