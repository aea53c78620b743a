"""Hides how something of a question becomes a message: calls to staff, answers to who asked, words to staff without a word of anybody's."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import broadcasts
from app.broadcasts import Draft
from app.db import Tx
from app.db.prepared import Prepared, slot
from app.keyring import Keyring, Place
from app.models import Course, Group, Person, Question, QuestionCall, QuestionWords
from app.people import names
from app.questions import standing
from bots.turns import OccasionKind

#: Before announcements and what goes to everybody, behind alerts and answers to somebody's own words.
PRIORITY = 3
#: What nobody could be given for this long is of no use any more.
_USEFUL = timedelta(days=7)


def call(tx: Tx, keyring: Keyring, question: Any, people: Iterable[int], why: str, now: datetime) -> None:
    """Put what was asked last before these people; an earlier call that has not left is taken back. `why`: first, again, freed, more."""
    text = last_words(tx, keyring, question.id, question.person_id, asked=True)
    standing.take_back_calls(tx, [question.id], "called_again", now, "call")
    meant = list(people)
    if text is None or not meant:
        return
    details = {
        "question": question.id,
        "number": question.number,
        "group_name": _group_name(tx, question.group_id),
        "person": names(tx, keyring, [question.person_id]).get(question.person_id),
        "text": text,
        "why": why,
    }
    draft = _draft(tx, question, OccasionKind.QUESTION, details, _key_of(tx, question.person_id), now, group_id=question.group_id)
    _note(tx, question.id, broadcasts.send_to(tx, keyring, draft, meant, now), "call")


def answer(tx: Tx, keyring: Keyring, question: Any, author_id: int | None, role: str, text: str, now: datetime) -> None:
    """Send an answer to who asked, under their own key. `author_id` None: the course team."""
    author = None if author_id is None else names(tx, keyring, [author_id]).get(author_id)
    details = {"question": question.id, "number": question.number, "author_name": author, "author_role": role, "text": text}
    # No group: who was moved to another one still gets the answer of those whom they asked.
    draft = _draft(tx, question, OccasionKind.ANSWER, details, _key_of(tx, question.person_id), now, author_id=author_id)
    _note(tx, question.id, broadcasts.send_to(tx, keyring, draft, [question.person_id], now), "answer")


def report(tx: Tx, keyring: Keyring, question: Any, person_id: int, reason: str, now: datetime) -> None:
    """Tell somebody of staff how a question of theirs stands, without a word of it: `remind` or `released`."""
    details = {"reason": reason, "question": question.id, "number": question.number, "group_name": _group_name(tx, question.group_id)}
    draft = _draft(tx, question, OccasionKind.REPORT, details, _key_of_course(tx, question.course_id), now, group_id=question.group_id)
    _note(tx, question.id, broadcasts.send_to(tx, keyring, draft, [person_id], now), "reminder")


def tell_mentors(tx: Tx, keyring: Keyring, question: Any, people: Iterable[int], count: int, now: datetime) -> None:
    """Tell mentors how many questions of a group wait; nothing of what was asked."""
    details = {"reason": "mentor", "group_name": _group_name(tx, question.group_id), "count": count}
    draft = _draft(tx, question, OccasionKind.REPORT, details, _key_of_course(tx, question.course_id), now)
    broadcasts.send_to(tx, keyring, draft, people, now)


def store(
    tx: Tx,
    keyring: Keyring,
    question: Any,
    text: str,
    *,
    words_id: int,
    asked: bool,
    author_id: int | None,
    draft: int | None,
    now: datetime,
) -> None:
    """Keep something that was said, under the key of who asked."""
    key = keyring.open(tx, _key_of(tx, question.person_id))
    _STORE.run(
        tx,
        id=words_id,
        question_id=question.id,
        asked=asked,
        author_id=author_id,
        draft=draft,
        words_sealed=key.seal(Place("question_words", "words_sealed", words_id), text),
        at=now,
    )


_GIVEN = ("id", "question_id", "asked", "author_id", "draft", "words_sealed", "at")
_STORE = Prepared(
    lambda _: [sa.insert(QuestionWords).values({**{name: slot(name) for name in _GIVEN}, "place": _next_place()})],
)


def _next_place() -> "sa.ScalarSelect[int]":
    """Behind everything that was said; who says something holds the question."""
    said = sa.select(sa.func.coalesce(sa.func.max(QuestionWords.place), 0) + 1)
    return said.where(QuestionWords.question_id == slot("question_id", QuestionWords.question_id)).scalar_subquery()


def last_words(tx: Tx, keyring: Keyring, question_id: int, person_id: int, *, asked: bool) -> str | None:
    """What was asked (or answered) last; None where it was thrown away."""
    row = _LAST.first(tx, question=question_id, asked=asked)
    if row is None:
        return None
    return keyring.unseal(tx, _key_of(tx, person_id), Place("question_words", "words_sealed", row.id), row.words_sealed)


_LAST = Prepared(
    lambda _: [
        sa.select(QuestionWords.id, QuestionWords.words_sealed)
        .where(QuestionWords.question_id == slot("question"), QuestionWords.asked == slot("asked"))
        .order_by(QuestionWords.place.desc())
        .limit(1)
    ]
)


def _draft(
    tx: Tx,
    question: Any,
    kind: OccasionKind,
    details: dict[str, Any],
    key_id: int,
    now: datetime,
    *,
    group_id: int | None = None,
    author_id: int | None = None,
) -> Draft:
    return Draft(
        account_id=_COURSE.first(tx, course=question.course_id).account_id,
        key_id=key_id,
        bot="question",
        kind=kind,
        details=details,
        course_id=question.course_id,
        group_id=group_id,
        author_id=author_id,
        priority=PRIORITY,
        stale_at=now + _USEFUL,
    )


def _note(tx: Tx, question_id: int, broadcast_id: int, kind: str) -> None:
    _CALLED.run(tx, question_id=question_id, broadcast_id=broadcast_id, kind=kind)


_CALLED = Prepared(
    lambda _: [sa.insert(QuestionCall).values({name: slot(name) for name in ("question_id", "broadcast_id", "kind")})],
)


def _key_of(tx: Tx, person_id: int) -> int:
    key_id: int = _PERSON.first(tx, person=person_id).data_key_id
    return key_id


def _key_of_course(tx: Tx, course_id: int) -> int:
    key_id: int = _COURSE.first(tx, course=course_id).data_key_id
    return key_id


def _group_name(tx: Tx, group_id: int) -> str:
    name: str = _GROUP.first(tx, group=group_id).name
    return name


_PERSON = Prepared(lambda _: [sa.select(Person.data_key_id).where(Person.id == slot("person"))])
_COURSE = Prepared(lambda _: [sa.select(Course.account_id, Course.data_key_id).where(Course.id == slot("course"))])
_GROUP = Prepared(lambda _: [sa.select(Group.name).where(Group.id == slot("group"))])


def locked(tx: Tx, question_id: int) -> Any:
    """The question, ours alone until the end of the transaction; None where there is none."""
    return _HELD.first(tx, question=question_id)


_HELD = Prepared(lambda _: [sa.select(*Question.__table__.columns).where(Question.id == slot("question")).with_for_update()])
