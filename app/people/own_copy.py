"""Hides what somebody may have of their own: everything that is stored of them, readable."""

from typing import Any

import sqlalchemy as sa

from app.db import Tx
from app.homework import leaving
from app.keyring import Keyring, Place
from app.models import (
    Assignment,
    Attendance,
    ConsentGiven,
    Course,
    Delivery,
    Gathering,
    GivenAnswer,
    Group,
    Identity,
    InboxItem,
    Membership,
    Person,
    PollAnswer,
    Question,
    QuestionWords,
    Schedule,
    Sheet,
    WarmGiven,
    Wave,
)


def export(tx: Tx, keyring: Keyring, person_id: int) -> dict[str, Any]:
    """Everything that is stored about one person, readable, for the person themself."""
    person = tx.execute(sa.select(Person).where(Person.id == person_id)).one()
    return {
        "name": keyring.unseal(tx, person.data_key_id, Place("persons", "name_sealed", person_id), person.name_sealed),
        "phone": keyring.unseal(tx, person.data_key_id, Place("persons", "phone_sealed", person_id), person.phone_sealed),
        "language": person.language,
        "paused_at": person.paused_at,
        "created_at": person.created_at,
        "accounts": _rows(
            tx, sa.select(Identity.account_id, Identity.followed_at, Identity.unfollowed_at).where(Identity.person_id == person_id)
        ),
        "memberships": _rows(
            tx,
            sa.select(Course.code, Group.name, Membership.role, Membership.started_at, Membership.ended_at)
            .join(Group, Group.id == Membership.group_id)
            .join(Course, Course.id == Group.course_id)
            .where(Membership.person_id == person_id),
        ),
        "consents": _rows(
            tx,
            sa.select(ConsentGiven.version, ConsentGiven.ticks, ConsentGiven.given_at, ConsentGiven.ended_at).where(
                ConsentGiven.person_id == person_id
            ),
        ),
        "questionnaires": _rows(
            tx,
            sa.select(Course.code.label("course"), Wave.code.label("wave"), Assignment.state, Assignment.changed_at)
            .join(Wave, Wave.id == Assignment.wave_id)
            .join(Course, Course.id == Wave.course_id)
            .where(Assignment.person_id == person_id),
        ),
        "practice": leaving.export(tx, keyring, person_id, person.data_key_id),
        "answers": _answers(tx, keyring, person_id, person.data_key_id),
        "warm_words": _rows(
            tx,
            sa.select(WarmGiven.after, WarmGiven.at, WarmGiven.thanked_at).where(WarmGiven.person_id == person_id).order_by(WarmGiven.at),
        ),
        "poll_answers": _rows(
            tx,
            sa.select(
                Course.code.label("course"), Schedule.number.label("announcement"), PollAnswer.choice, PollAnswer.changes, PollAnswer.at
            )
            .join(Schedule, Schedule.id == PollAnswer.schedule_id)
            .join(Course, Course.id == Schedule.course_id)
            .where(PollAnswer.person_id == person_id)
            .order_by(PollAnswer.at, PollAnswer.id),
        ),
        "questions": _questions(tx, keyring, person_id, person.data_key_id),
        "attendance": _rows(
            tx,
            sa.select(Gathering.kind, Gathering.number, Attendance.how, Attendance.city, Attendance.at)
            .join(Gathering, Gathering.id == Attendance.gathering_id)
            .where(Attendance.person_id == person_id)
            .order_by(Attendance.at, Attendance.id),
        ),
        "deliveries": _rows(
            tx,
            sa.select(Delivery.id, Delivery.state, Delivery.reason, Delivery.changed_at)
            .where(Delivery.person_id == person_id)
            .order_by(Delivery.id),
        ),
        "pushes": _rows(
            tx, sa.select(InboxItem.kind, InboxItem.received_at).where(InboxItem.person_id == person_id).order_by(InboxItem.id)
        ),
    }


def _answers(tx: Tx, keyring: Keyring, person_id: int, key_id: int) -> list[dict[str, Any]]:
    """Every answer to a questionnaire in every version, with the words of their own."""
    query = (
        sa.select(
            Wave.code.label("wave"),
            *(Sheet.instrument, GivenAnswer.item, GivenAnswer.version, GivenAnswer.value, GivenAnswer.missing, GivenAnswer.raw),
            *(GivenAnswer.road, GivenAnswer.at, GivenAnswer.id, GivenAnswer.text_sealed),
        )
        .join(Sheet, Sheet.id == GivenAnswer.sheet_id)
        .join(Assignment, Assignment.id == Sheet.assignment_id)
        .join(Wave, Wave.id == Assignment.wave_id)
        .where(Assignment.person_id == person_id)
        .order_by(GivenAnswer.at, GivenAnswer.id)
    )
    found = []
    for row in _rows(tx, query):
        words = keyring.unseal(tx, key_id, Place("answers", "text_sealed", row.pop("id")), row.pop("text_sealed"))
        found.append({**row, "words": words})
    return found


def _questions(tx: Tx, keyring: Keyring, person_id: int, key_id: int) -> list[dict[str, Any]]:
    """Everything that was said about what they asked; what they answered is others' own."""
    query = (
        sa.select(
            *(Course.code.label("course"), Question.number, Question.state, QuestionWords.asked, QuestionWords.at),
            *(QuestionWords.id, QuestionWords.words_sealed),
        )
        .join(Question, Question.id == QuestionWords.question_id)
        .join(Course, Course.id == Question.course_id)
        .where(Question.person_id == person_id)
        .order_by(Question.id, QuestionWords.place)
    )
    found = []
    for row in _rows(tx, query):
        words = keyring.unseal(tx, key_id, Place("question_words", "words_sealed", row.pop("id")), row.pop("words_sealed"))
        found.append({**row, "words": words})
    return found


def _rows(tx: Tx, query: sa.Executable) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in tx.execute(query)]  # noqa: SLF001 - `_mapping` is SQLAlchemy's public name for it
