"""Hides what who answers may do: claim a question, give it back, answer it. Roles are read in the caller's transaction."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import access, audit, ids
from app.db import Tx
from app.db.prepared import NOW, Prepared, slot
from app.groups import Refused
from app.keyring import Keyring
from app.models import Question, QuestionWords
from app.questions import letters, standing
from app.questions.asking import check
from app.questions.calling import AGAIN_AFTER
from app.questions.letters import locked
from app.questions.listeners import to_call
from bots.turns import Role


def claim(tx: Tx, person_id: int, question_id: int, now: datetime, *, actor: str | None = None) -> None:
    """Somebody takes it upon themself to answer; calls that have not left are taken back.

    Raises `Refused`: "foreign", "taken" (somebody else was first), "gone" (taken back, or over).
    """
    question = _theirs(tx, person_id, question_id, now)
    if question.state in ("claimed", "answered") and question.answerer_id == person_id:
        return
    if question.state in ("claimed", "answered"):
        raise Refused("taken", "Somebody else has taken this question already.")
    if question.state != "open":
        raise Refused("gone", "This question is over.")
    _CLAIM.run(tx, question=question_id, person=person_id, now=now, next_at=now + AGAIN_AFTER)
    standing.take_back_calls(tx, [question_id], "taken", now, "call")
    audit.record(tx, now, actor or f"person:{person_id}", "question.claim", f"question:{question_id}", by=person_id)


def _claiming() -> "sa.Update":
    claimed = {"state": "claimed", "answerer_id": slot("person"), "claimed_at": NOW, "changed_at": NOW}
    return sa.update(Question).where(Question.id == slot("question")).values(**claimed, step=0, next_at=slot("next_at"))


_CLAIM = Prepared(lambda _: [_claiming()])


def release(tx: Tx, keyring: Keyring, person_id: int, question_id: int, now: datetime) -> None:
    """Who claimed it gives it back; everybody else who is there is called at once. Raises `Refused` ("foreign", "gone")."""
    question = _theirs(tx, person_id, question_id, now)
    if question.state != "claimed" or question.answerer_id != person_id:
        raise Refused("gone", "You have not taken this question.")
    standing.take_back_calls(tx, [question_id], "taken", now, "reminder")
    tx.execute(
        sa.update(Question)
        .where(Question.id == question_id)
        .values(state="open", answerer_id=None, claimed_at=None, changed_at=now, step=1, next_at=now + AGAIN_AFTER)
    )
    others = [each for each in to_call(tx, question.group_id, now, first=False) if each not in (person_id, question.person_id)]
    letters.call(tx, keyring, question, others, "freed", now)
    audit.record(tx, now, f"person:{person_id}", "question.release", f"question:{question_id}")


def answer(tx: Tx, keyring: Keyring, person_id: int, question_id: int, text: str, draft: int, now: datetime, *, actor: str = "") -> None:
    """Send the answer of who claimed the question to who asked; the same draft twice is one answer.

    Raises `Refused` with "foreign", "taken", "gone", "long" or "empty".
    """
    question = _theirs(tx, person_id, question_id, now)
    if question.state not in ("claimed", "answered"):
        raise Refused("gone", "This question is not with you any more.")
    if question.answerer_id != person_id:
        raise Refused("taken", "Somebody else has taken this question already.")
    role = Role.LEADER if Role.LEADER in access.roles_in_group(tx, person_id, question.group_id) else Role.ASSISTANT
    _send(tx, keyring, question, person_id, role.value, text, draft, now)
    audit.record(tx, now, actor or f"person:{person_id}", "question.answer", f"question:{question_id}", by=person_id)


def answer_for_team(tx: Tx, keyring: Keyring, question_id: int, text: str, now: datetime) -> None:
    """The operator answers as the course team, where nobody has claimed the question. Raises `Refused` ("taken", "gone", …)."""
    question = locked(tx, question_id)
    if question is None or question.state not in standing.LIVING:
        raise Refused("gone", "This question is over.")
    if question.answerer_id is not None:
        raise Refused("taken", "Somebody has taken this question already.")
    _send(tx, keyring, question, None, "operator", text, None, now)
    audit.record(tx, now, "operator", "question.answer", f"question:{question_id}")


def _send(tx: Tx, keyring: Keyring, question: Any, author_id: int | None, role: str, text: str, draft: int | None, now: datetime) -> None:
    check(text)
    if draft is not None and _SAID.first(tx, question=question.id, draft=draft) is not None:
        return
    letters.store(tx, keyring, question, text, words_id=ids.new_id(), asked=False, author_id=author_id, draft=draft, now=now)
    letters.answer(tx, keyring, question, author_id, role, text, now)
    standing.take_back_calls(tx, [question.id], "taken", now, "call")
    standing.take_back_calls(tx, [question.id], "taken", now, "reminder")
    _ANSWERED.run(tx, question=question.id, now=now)


_SAID = Prepared(
    lambda _: [sa.select(QuestionWords.id).where(QuestionWords.question_id == slot("question"), QuestionWords.draft == slot("draft"))]
)
_ANSWERED = Prepared(
    lambda _: [sa.update(Question).where(Question.id == slot("question")).values(state="answered", changed_at=NOW, step=0, next_at=None)]
)


def _theirs(tx: Tx, person_id: int, question_id: int, now: datetime) -> Any:
    """A question that this person may answer, held. What is foreign looks like what is missing. Raises `Refused`."""
    question = locked(tx, question_id)
    if question is None or question.person_id == person_id or not access.may_answer(tx, person_id, question.group_id):
        raise Refused("foreign", "There is no such question among yours.")
    if question.state in ("taken_back", "left", "closed") or now < question.asked_at:
        raise Refused("gone", "This question is over.")
    return question
