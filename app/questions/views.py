"""Hides how questions are loaded for whoever may see them: who asked, the leader and assistants of the group; the operator's lists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import access, audit
from app.db import Tx
from app.db.prepared import Among, Prepared, slot
from app.errors import NotFound
from app.keyring import Keyring, Place, unsealed
from app.models import Course, Group, Identity, Person, Question, QuestionWords
from app.models.columns import one_of
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
    row = _ONE.first(tx, question=question_id)
    if row is None or not (row.person_id == reader_id or access.may_answer(tx, reader_id, row.group_id)):
        return View(question_id, 0, "foreign")
    return _views(tx, keyring, [row], reader_id)[0]


def mine(tx: Tx, keyring: Keyring, person_id: int) -> tuple[View, ...]:
    """What this person asked in running courses and did not take back, the newest first."""
    return _views(tx, keyring, _MINE.all(tx, person=person_id), person_id)


def waiting(tx: Tx, keyring: Keyring, reader_id: int, number: int = 0, group: int = 0) -> tuple[View, ...]:
    """What is open or claimed in the groups that this person answers in (`group`: in this one), the oldest first.

    By number, however it stands.
    """
    groups = [each for each in access.answered_groups(tx, reader_id) if group in (0, each)]
    which = Question.number == number if number else Question.state.in_(standing.UNANSWERED)
    rows = tx.execute(_query().where(Question.group_id.in_(groups), which).order_by(Question.asked_at, Question.id).limit(_MOST)).all()
    return _views(tx, keyring, rows, reader_id)


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


def _own() -> "sa.Select[Any]":
    there = (Question.person_id == slot("person"), ~one_of(Question.state, _NOTHING), Course.ended_at.is_(None))
    return _query().where(*there).order_by(Question.asked_at.desc(), Question.number.desc()).limit(_MOST)


_ONE = Prepared(lambda _: [_query().where(Question.id == slot("question"))])
_MINE = Prepared(lambda _: [_own()])
_WORDS = Among(
    lambda questions: (
        sa.select(
            *(QuestionWords.id, QuestionWords.question_id, QuestionWords.asked, QuestionWords.author_id),
            *(QuestionWords.words_sealed, QuestionWords.at),
        )
        .where(QuestionWords.question_id.in_(questions))
        .order_by(QuestionWords.question_id, QuestionWords.place)
    )
)


def _views(tx: Tx, keyring: Keyring, rows: Sequence[Any], reader_id: int) -> tuple[View, ...]:
    """These questions with names and words, in as many statements for many as for one."""
    found = _WORDS.all(tx, [row.id for row in rows if row.state not in _NOTHING])
    people = {*(row.person_id for row in rows), *(row.answerer_id for row in rows), *(each.author_id for each in found)} - {None}
    called = names(tx, keyring, sorted(people))
    known: dict[int | None, str] = {each: called[each] for each in called}
    keys = keyring.open_all(tx, {row.data_key_id for row in rows})
    lines: dict[int, list[Line]] = {row.id: [] for row in rows}
    key_of = {row.id: keys.get(row.data_key_id) for row in rows}
    for each in found:
        words = unsealed(key_of[each.question_id], Place("question_words", "words_sealed", each.id), each.words_sealed)
        lines[each.question_id].append(Line(each.asked, known.get(each.author_id), words, each.at))
    return tuple(_view(row, known, tuple(lines[row.id]), reader_id) for row in rows)


def _view(row: Any, known: Mapping[int | None, str], lines: tuple[Line, ...], reader_id: int) -> View:
    state = _NOTHING.get(row.state, row.state)
    if state == "gone":
        return View(row.id, row.number, "gone", row.title, row.group_name, own=row.person_id == reader_id)
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
    row = _ONE.first(tx, question=question_id)
    audit.record(tx, now, "operator", "question.reveal", f"question:{question_id}")
    return _views(tx, keyring, [row], 0)[0]
