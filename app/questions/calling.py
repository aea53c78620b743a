"""What the clock brings to questions: called again, the mentor told, whoever claimed one reminded, then everybody's again.

Each step is one question (for mentors: one group) in one transaction, and is won by whoever holds the row.
"""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import audit
from app.db import Tx
from app.db.prepared import NOW, Anything, Earliest
from app.keyring import Keyring
from app.models import Absence, Course, Question
from app.models.columns import one_of
from app.questions import letters, standing
from app.questions.listeners import mentors, to_call
from app.situation import Tools

#: An unclaimed question is called again after this long, a claimed one reminded of; after as long again the next step is taken.
AGAIN_AFTER = timedelta(hours=24)
#: The step of an open question at which its mentor is told; behind it nothing more happens by itself.
_TOLD = 3
#: What its mentor would be told within this time is told at once: one message, not one for each question.
_TOLD_TOGETHER = timedelta(hours=12)


def any_due(tx: Tx, now: datetime) -> bool:
    """Whether `go_on` would do something."""
    return _ANY_DUE.there(tx, now=now)


def go_on(tx: Tx, tools: Tools, now: datetime) -> bool:
    """Take the next step that is due; False where none is."""
    left = tx.execute(_left_behind(now).order_by(Question.id).limit(1).with_for_update(skip_locked=True, of=Question)).one_or_none()
    if left is not None:
        _free(tx, left, now)
        return True
    row = tx.execute(
        _due(now).order_by(Question.next_at, Question.id).limit(1).with_for_update(skip_locked=True, of=Question)
    ).one_or_none()
    if row is None:
        return False
    if row.state == "claimed":
        _remind_or_free(tx, tools.keyring, row, now)
    elif row.step < _TOLD - 1:
        _call_again(tx, tools.keyring, row, now)
    else:
        _tell_mentors(tx, tools.keyring, row, now)
    return True


def next_moment(tx: Tx) -> datetime | None:
    """When something is due by itself."""
    return _NEXT.moment(tx)


def call_by_hand(tx: Tx, keyring: Keyring, question_id: int, now: datetime, *, actor: str) -> int:
    """Call again for an open question because somebody says so, also after a restore; returns how many people are called."""
    question = letters.locked(tx, question_id)
    if question is None or question.state != "open":
        return 0
    called = _called(tx, question, now, first=False)
    letters.call(tx, keyring, question, called, "again", now)
    _wait(tx, question.id, 2, now + AGAIN_AFTER)
    audit.record(tx, now, actor, "question.call", f"question:{question.id}")
    return len(called)


_WAITING = (one_of(Question.state, standing.UNANSWERED), Question.next_at.is_not(None), Course.ended_at.is_(None))


def _due(now: datetime) -> "sa.Select[Any]":
    """Questions of running courses whose next step is due."""
    query = sa.select(*Question.__table__.columns).join(Course, Course.id == Question.course_id)
    return query.where(*_WAITING, Question.next_at <= now)


def _left_behind(now: datetime) -> "sa.Select[Any]":
    """What somebody claimed who has gone away since."""
    query = sa.select(*Question.__table__.columns).join(Absence, _claimed_before())
    return query.where(Question.state == "claimed", Absence.starts_at <= now)


def _claimed_before() -> "sa.ColumnElement[bool]":
    return sa.and_(
        Absence.group_id == Question.group_id,
        Absence.person_id == Question.answerer_id,
        Absence.ended_at.is_(None),
        Absence.starts_at > Question.claimed_at,
    )


_ANY_DUE = Anything(lambda: _due(NOW), lambda: _left_behind(NOW))
_NEXT = Earliest(
    lambda: sa.select(sa.func.min(Question.next_at)).join(Course, Course.id == Question.course_id).where(*_WAITING),
    lambda: (
        sa.select(sa.func.min(Absence.starts_at)).select_from(Question).join(Absence, _claimed_before()).where(Question.state == "claimed")
    ),
)


def _free(tx: Tx, row: Any, now: datetime) -> None:
    """Everybody's again; the next step calls for it."""
    standing.free(tx, Question.id == row.id, now)
    audit.record(tx, now, "system", "question.free", f"question:{row.id}")


def _call_again(tx: Tx, keyring: Keyring, row: Any, now: datetime) -> None:
    letters.call(tx, keyring, row, _called(tx, row, now, first=False), "again", now)
    _wait(tx, row.id, row.step + 1, now + AGAIN_AFTER)
    audit.record(tx, now, "system", "question.call", f"question:{row.id}")


def _called(tx: Tx, row: Any, now: datetime, *, first: bool) -> list[int]:
    return [each for each in to_call(tx, row.group_id, now, first=first) if each != row.person_id]


def _tell_mentors(tx: Tx, keyring: Keyring, row: Any, now: datetime) -> None:
    """Once for everything that waits in this group: mentors need a number, not a letter for each."""
    near = now + _TOLD_TOGETHER
    told = (Question.group_id == row.group_id, Question.state == "open")
    due = sa.select(Question.id).where(*told, Question.step == _TOLD - 1, Question.next_at <= near).order_by(Question.id)
    waiting = list(tx.execute(due.with_for_update(skip_locked=True)).scalars())
    tx.execute(sa.update(Question).where(Question.id.in_(waiting)).values(step=_TOLD, next_at=None))
    long = sa.select(sa.func.count()).select_from(Question).where(*told, Question.step >= _TOLD - 1)
    people = mentors(tx, row.group_id)
    if people:
        letters.tell_mentors(tx, keyring, row, people, tx.execute(long).scalar_one(), now)
    else:
        audit.alarm(tx, now, "questions_unanswered", f"group:{row.group_id}")
    for question_id in waiting:
        audit.record(tx, now, "system", "question.mentor", f"question:{question_id}")


def _remind_or_free(tx: Tx, keyring: Keyring, row: Any, now: datetime) -> None:
    if row.step == 0:
        letters.report(tx, keyring, row, row.answerer_id, "remind", now)
        _wait(tx, row.id, 1, now + AGAIN_AFTER)
        audit.record(tx, now, "system", "question.remind", f"question:{row.id}")
        return
    standing.take_back_calls(tx, [row.id], "taken", now, "reminder")
    letters.report(tx, keyring, row, row.answerer_id, "released", now)
    _free(tx, row, now)
    letters.call(tx, keyring, row, [each for each in _called(tx, row, now, first=False) if each != row.answerer_id], "freed", now)
    _wait(tx, row.id, _TOLD - 1, now + AGAIN_AFTER)  # who asked has waited for long enough: next time the mentor is told


def _wait(tx: Tx, question_id: int, step: int, until: datetime) -> None:
    tx.execute(sa.update(Question).where(Question.id == question_id).values(step=step, next_at=until))
