"""Hides what becomes of questions when somebody goes: who asked, who was to answer. Knows no names and opens nothing."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from app import broadcasts
from app.db import Tx
from app.db.prepared import Among
from app.models import Absence, Broadcast, Course, Question, QuestionCall, QuestionWords

#: Somebody has still to answer.
UNANSWERED = ("open", "claimed")
#: Who asked may still say something, or hear something.
LIVING = (*UNANSWERED, "answered")


def leave(tx: Tx, person_id: int, now: datetime) -> None:
    """Somebody leaves: what they asked ends and its words go, what they were to answer is everybody's again, nobody covers for them."""
    asked = (
        tx.execute(sa.select(Question.id).where(Question.person_id == person_id).order_by(Question.id).with_for_update()).scalars().all()
    )
    if asked:
        tx.execute(
            sa.update(Question).where(Question.id.in_(asked), Question.state.in_(LIVING)).values(state="left", changed_at=now, next_at=None)
        )
        forget(tx, asked)
        take_back_calls(tx, asked, "withdrew", now)
    free(tx, Question.answerer_id == person_id, now)
    tx.execute(sa.update(Absence).where(Absence.person_id == person_id, Absence.ended_at.is_(None)).values(ended_at=now))
    tx.execute(sa.update(Absence).where(Absence.cover_id == person_id).values(cover_id=None))


def lose_role(tx: Tx, group_id: int, person_id: int, now: datetime) -> None:
    """Somebody answers no longer in this group: what they claimed is everybody's again, and called for."""
    free(tx, sa.and_(Question.answerer_id == person_id, Question.group_id == group_id), now)
    theirs = (Absence.group_id == group_id, Absence.ended_at.is_(None))
    tx.execute(sa.update(Absence).where(*theirs, Absence.person_id == person_id).values(ended_at=now))
    tx.execute(sa.update(Absence).where(*theirs, Absence.cover_id == person_id).values(cover_id=None))


def free(tx: Tx, which: "sa.ColumnElement[bool]", now: datetime) -> list[int]:
    """Claimed questions for which this holds are open again, and due to be called for; returns their ids."""
    mine = sa.and_(which, Question.state == "claimed")
    ids = list(tx.execute(sa.select(Question.id).where(mine).order_by(Question.id).with_for_update()).scalars())
    if ids:
        values = {"state": "open", "answerer_id": None, "claimed_at": None, "changed_at": now, "step": 1, "next_at": now}
        tx.execute(sa.update(Question).where(Question.id.in_(ids), Question.state == "claimed").values(**values))
    return ids


def take_back_calls(tx: Tx, question_ids: Sequence[int], reason: str, now: datetime, kind: str | None = None) -> None:
    """Take back what has not left of these questions' messages (of one kind: call, answer, reminder)."""
    found = _LETTERS.all(tx, question_ids)
    for each in dict.fromkeys(row.broadcast_id for row in found if kind in (None, row.kind)):
        broadcasts.cancel(tx, each, reason, now)


_LETTERS = Among(
    lambda questions: (
        sa.select(QuestionCall.broadcast_id, QuestionCall.kind)
        .join(Broadcast, Broadcast.id == QuestionCall.broadcast_id)
        .where(QuestionCall.question_id.in_(questions), Broadcast.state != "cancelled")
        .order_by(QuestionCall.broadcast_id)
    )
)


def forget(tx: Tx, question_ids: Sequence[int]) -> int:
    """Throw away the words of these questions, here and in what carried them; that they were asked and answered stays."""
    carried = sa.select(QuestionCall.broadcast_id).where(QuestionCall.question_id.in_(question_ids))
    tx.execute(sa.update(Broadcast).where(Broadcast.id.in_(carried)).values(details_sealed=b""))
    return tx.execute(sa.delete(QuestionWords).where(QuestionWords.question_id.in_(question_ids))).rowcount


def forget_of_courses(tx: Tx, ended_before: datetime, most: int) -> int:
    """Throw away the words of a chunk of questions whose course ended before then; returns how many pieces of text are gone."""
    found = tx.execute(_of_courses(sa.select(QuestionWords.question_id).distinct(), ended_before).limit(most)).scalars().all()
    return forget(tx, found) if found else 0


def count_of_courses(ended_before: datetime) -> "sa.Select[int]":
    """How many pieces of text `forget_of_courses` would throw away."""
    return _of_courses(sa.select(sa.func.count()).select_from(QuestionWords), ended_before)


def _of_courses(query: "sa.Select[int]", ended_before: datetime) -> "sa.Select[int]":
    return (
        query.join(Question, Question.id == QuestionWords.question_id)
        .join(Course, Course.id == Question.course_id)
        .where(Course.ended_at < ended_before)
    )


def rest(tx: Tx) -> int:
    """Of restored rows: nobody is called or reminded by itself, for somebody may have answered since. Returns how many questions wait."""
    waiting = (Question.state.in_(UNANSWERED), Question.next_at.is_not(None))
    return tx.execute(sa.update(Question).where(*waiting).values(next_at=None)).rowcount
