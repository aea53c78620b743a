"""Hides what who asks may do: ask, take it back, ask on, say that it helped."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import access, audit, ids
from app.db import Tx
from app.groups import Refused
from app.keyring import Keyring
from app.models import Course, Group, Question, QuestionWords
from app.questions import letters, standing
from app.questions.calling import AGAIN_AFTER
from app.questions.letters import locked
from app.questions.listeners import staff, to_call
from bots.question.views import MOST_BYTES, MOST_OPEN
from bots.texts import inert


def ask(tx: Tx, keyring: Keyring, person_id: int, account_id: int, group_id: int, question_id: int, text: str, now: datetime) -> None:
    """Put a question before the leader and assistants of the asker's small group; the same id twice is one question.

    Raises `Refused` with "role", "nobody", "many", "long" or "empty".
    """
    if not access.takes_part(tx, person_id, group_id):
        raise Refused("role", "Only who takes part in a small group may ask its leader.")
    check(text)
    if tx.execute(sa.select(Question.id).where(Question.id == question_id)).first() is not None:
        return
    if not staff(tx, group_id, now):
        raise Refused("nobody", "This group has neither leader nor assistant; nobody would see it.")
    mine = sa.select(sa.func.count()).select_from(Question)
    if tx.execute(mine.where(Question.person_id == person_id, Question.state.in_(standing.UNANSWERED))).scalar_one() >= MOST_OPEN:
        raise Refused("many", f"{MOST_OPEN} questions of this person are open already.")
    _insert(tx, person_id, account_id, group_id, question_id, now)
    question = locked(tx, question_id)
    letters.store(tx, keyring, question, text, words_id=ids.new_id(), asked=True, author_id=person_id, draft=None, now=now)
    letters.call(tx, keyring, question, _others(to_call(tx, group_id, now, first=True), person_id), "first", now)
    audit.record(tx, now, f"person:{person_id}", "question.ask", f"question:{question_id}")


def check(text: str) -> None:
    """Raise `Refused` ("empty", "long") for words that cannot be passed on."""
    if not text.strip():
        raise Refused("empty", "A question or an answer needs words.")
    size = len(inert(text).encode())
    if size > MOST_BYTES:
        raise Refused("long", f"It holds at most {MOST_BYTES} bytes ({MOST_BYTES // 3} Chinese characters); this has {size}.")


def take_back(tx: Tx, person_id: int, question_id: int, now: datetime) -> None:
    """Who asked does not want to any more; its words go, and calls that have not left. Raises `Refused` ("foreign", "gone")."""
    question = _own(tx, person_id, question_id, now)
    answered = sa.select(QuestionWords.id).where(QuestionWords.question_id == question_id, QuestionWords.asked.is_(False))
    if question.state not in standing.UNANSWERED or tx.execute(answered.limit(1)).first() is not None:
        raise Refused("gone", "It has been answered or taken back already.")
    tx.execute(sa.update(Question).where(Question.id == question_id).values(state="taken_back", changed_at=now, next_at=None))
    standing.take_back_calls(tx, [question_id], "taken_back", now)
    standing.forget(tx, [question_id])
    audit.record(tx, now, f"person:{person_id}", "question.take_back", f"question:{question_id}")


def ask_on(tx: Tx, keyring: Keyring, person_id: int, question_id: int, text: str, draft: int, now: datetime) -> None:
    """Ask further about the same thing: it goes to whoever answered, or to everybody where they are gone or away.

    Raises `Refused` with "foreign", "gone", "nobody", "long" or "empty".
    """
    question = _own(tx, person_id, question_id, now)
    check(text)
    said = sa.select(QuestionWords.id).where(QuestionWords.question_id == question_id, QuestionWords.draft == draft)
    if tx.execute(said).first() is not None:
        return
    everybody = staff(tx, question.group_id, now)
    if not everybody:
        raise Refused("nobody", "This group has neither leader nor assistant; nobody would see it.")
    letters.store(tx, keyring, question, text, words_id=ids.new_id(), asked=True, author_id=person_id, draft=draft, now=now)
    answerer = question.answerer_id
    there = any(each.person_id == answerer and each.away_until is None for each in everybody)
    values: dict[str, Any] = {"changed_at": now, "step": 0 if there else 1, "next_at": now + AGAIN_AFTER}
    if there:
        values |= {"state": "claimed", "claimed_at": now}
    else:
        values |= {"state": "open", "claimed_at": None, "answerer_id": None}
    tx.execute(sa.update(Question).where(Question.id == question_id).values(**values))
    called = [answerer] if there else _others(to_call(tx, question.group_id, now, first=True), person_id)
    letters.call(tx, keyring, question, called, "more" if there else "first", now)
    audit.record(tx, now, f"person:{person_id}", "question.ask_on", f"question:{question_id}")


def end(tx: Tx, person_id: int, question_id: int, now: datetime) -> None:
    """Who asked has what they need. Raises `Refused` ("foreign", "gone")."""
    question = _own(tx, person_id, question_id, now)
    if question.state not in ("answered", "closed"):
        raise Refused("gone", "There is no answer yet.")
    tx.execute(sa.update(Question).where(Question.id == question_id).values(state="closed", changed_at=now, next_at=None))
    audit.record(tx, now, f"person:{person_id}", "question.end", f"question:{question_id}")


def _own(tx: Tx, person_id: int, question_id: int, now: datetime) -> Any:
    """A question that this person asked, held. Raises `Refused`."""
    question = locked(tx, question_id)
    if question is None or question.person_id != person_id:
        raise Refused("foreign", "There is no such question of yours.")
    if question.state in ("taken_back", "left") or now < question.asked_at:
        raise Refused("gone", "It was taken back.")
    return question


def _insert(tx: Tx, person_id: int, account_id: int, group_id: int, question_id: int, now: datetime) -> None:
    course_id: int = tx.execute(sa.select(Group.course_id).where(Group.id == group_id)).scalar_one()
    tx.execute(sa.select(Course.id).where(Course.id == course_id).with_for_update(key_share=True))  # one number after the other
    highest = sa.select(sa.func.coalesce(sa.func.max(Question.number), 0)).where(Question.course_id == course_id)
    tx.execute(
        sa.insert(Question).values(
            id=question_id,
            course_id=course_id,
            group_id=group_id,
            account_id=account_id,
            person_id=person_id,
            number=tx.execute(highest).scalar_one() + 1,
            state="open",
            asked_at=now,
            changed_at=now,
            step=1,
            next_at=now + AGAIN_AFTER,
        )
    )


def _others(people: list[int], person_id: int) -> list[int]:
    """Nobody is called for their own question."""
    return [each for each in people if each != person_id]
