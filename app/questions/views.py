"""Hides how questions are loaded for whoever may see them: who asked, the leader and assistants of the group; the operator's lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import access, audit
from app.db import Tx
from app.errors import NotFound
from app.keyring import Keyring, Place
from app.models import Course, Group, Identity, Person, Question, QuestionWords
from app.people import names
from app.questions import standing
from app.questions.listeners import staff
from bots.question.views import Line, Listener
from bots.question.views import Question as View
from bots.turns import Role

#: A list in the chat looks at so many.
_MOST = 30
_NOTHING = {"taken_back": "gone", "left": "gone"}


def listeners(tx: Tx, keyring: Keyring, person_id: int, group_id: int, now: datetime) -> tuple[Listener, ...]:
    """Who sees what this person asks in this group, by name; nobody where they take no part in it."""
    if not access.takes_part(tx, person_id, group_id):
        return ()
    found = [each for each in staff(tx, group_id, now) if each.person_id != person_id]
    known = names(tx, keyring, [each.person_id for each in found])
    return tuple(Listener(known.get(each.person_id), each.role is Role.LEADER, each.away_until, each.covers) for each in found)


def shown(tx: Tx, keyring: Keyring, question_id: int, reader_id: int) -> View:
    """One question in full; `foreign` for whoever may not see it, as for one that does not exist."""
    row = tx.execute(_query().where(Question.id == question_id)).one_or_none()
    if row is None or not (row.person_id == reader_id or access.may_answer(tx, reader_id, row.group_id)):
        return View(question_id, 0, "foreign")
    return _view(tx, keyring, row, reader_id)


def mine(tx: Tx, keyring: Keyring, person_id: int) -> tuple[View, ...]:
    """What this person asked in running courses and did not take back, the newest first."""
    there = (Question.person_id == person_id, Question.state.not_in(list(_NOTHING)), Course.ended_at.is_(None))
    rows = tx.execute(_query().where(*there).order_by(Question.asked_at.desc(), Question.number.desc()).limit(_MOST)).all()
    return tuple(_view(tx, keyring, row, person_id) for row in rows)


def waiting(tx: Tx, keyring: Keyring, reader_id: int, number: int = 0) -> tuple[View, ...]:
    """What is open or claimed in the groups that this person answers in, the oldest first; by number, however it stands."""
    groups = access.answered_groups(tx, reader_id)
    which = Question.number == number if number else Question.state.in_(standing.UNANSWERED)
    rows = tx.execute(_query().where(Question.group_id.in_(groups), which).order_by(Question.asked_at, Question.id).limit(_MOST)).all()
    return tuple(_view(tx, keyring, row, reader_id) for row in rows)


def _query() -> "sa.Select[Any]":
    return (
        sa.select(
            *Question.__table__.columns,
            Course.title,
            Course.code.label("course_code"),
            Group.name.label("group_name"),
            Group.code.label("group_code"),
            Person.data_key_id,
            Person.paused_at,
            Identity.unfollowed_at,
            Identity.id.label("identity_id"),
        )
        .join(Course, Course.id == Question.course_id)
        .join(Group, Group.id == Question.group_id)
        .join(Person, Person.id == Question.person_id)
        .outerjoin(Identity, sa.and_(Identity.person_id == Question.person_id, Identity.account_id == Question.account_id))
    )


def _view(tx: Tx, keyring: Keyring, row: Any, reader_id: int) -> View:
    state = _NOTHING.get(row.state, row.state)
    if state == "gone":
        return View(row.id, row.number, "gone", row.title, row.group_name, own=row.person_id == reader_id)
    lines, known = _lines(tx, keyring, row)
    return View(
        id=row.id,
        number=row.number,
        state=state,
        course_title=row.title,
        group_name=row.group_name,
        asker=known.get(row.person_id),
        answerer=known.get(row.answerer_id),
        own=row.person_id == reader_id,
        mine=row.answerer_id == reader_id,
        asked_at=row.asked_at,
        lines=lines,
        deaf="paused" if row.paused_at is not None else "unfollowed" if row.identity_id is None or row.unfollowed_at is not None else "",
    )


def _lines(tx: Tx, keyring: Keyring, row: Any) -> tuple[tuple[Line, ...], dict[int | None, str]]:
    columns = (QuestionWords.id, QuestionWords.asked, QuestionWords.author_id, QuestionWords.words_sealed, QuestionWords.at)
    found = tx.execute(sa.select(*columns).where(QuestionWords.question_id == row.id).order_by(QuestionWords.place)).all()
    people = {row.person_id, row.answerer_id, *(each.author_id for each in found)} - {None}
    found_names = names(tx, keyring, sorted(people))
    known: dict[int | None, str] = {each: found_names[each] for each in found_names}

    def opened(each: Any) -> str | None:
        return keyring.unseal(tx, row.data_key_id, Place("question_words", "words_sealed", each.id), each.words_sealed)

    return tuple(Line(each.asked, known.get(each.author_id), opened(each), each.at) for each in found), known


# For the operator -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A question in a list: its clock, and nothing of anybody."""

    id: int
    number: int
    course: str
    group: str
    state: str
    asked_at: datetime
    changed_at: datetime
    next_at: datetime | None
    step: int
    answerer_id: int | None
    said: int


def rows(tx: Tx, course_id: int | None = None, *, everything: bool = False) -> list[Row]:
    """What waits for an answer, the oldest first; with `everything` also what was answered or ended."""
    said = sa.select(sa.func.count()).where(QuestionWords.question_id == Question.id).scalar_subquery()
    query = (
        sa.select(*_COLUMNS, said)
        .join(Course, Course.id == Question.course_id)
        .join(Group, Group.id == Question.group_id)
        .order_by(Question.asked_at, Question.id)
    )
    query = query if course_id is None else query.where(Question.course_id == course_id)
    return [Row(*row) for row in tx.execute(query if everything else query.where(Question.state.in_(standing.UNANSWERED)))]


_COLUMNS = (
    Question.id,
    Question.number,
    Course.code,
    Group.code,
    Question.state,
    Question.asked_at,
    Question.changed_at,
    Question.next_at,
    Question.step,
    Question.answerer_id,
)


def by_number(tx: Tx, number: int, course_id: int | None = None) -> Row:
    """The question with this number. Raises `NotFound`, also where two courses use it."""
    found: Sequence[Row] = [row for row in rows(tx, course_id, everything=True) if row.number == number]
    if len(found) != 1:
        remedy = "name the course with --course" if found else "`tongban question list --all` shows every one"
        raise NotFound("question", f"There is no single question {number}; {remedy}.")
    return found[0]


def reveal(tx: Tx, keyring: Keyring, question_id: int, now: datetime) -> View:
    """Names and words of one question, in the open; that somebody looked stands in the audit."""
    row = tx.execute(_query().where(Question.id == question_id)).one()
    audit.record(tx, now, "operator", "question.reveal", f"question:{question_id}")
    return _view(tx, keyring, row, 0)
