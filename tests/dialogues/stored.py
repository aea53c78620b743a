"""Tells whether a fact of a transcript holds in the application's database."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app import clock, ids, people, polls
from app.courses import file
from app.db import Tx
from app.keyring import Keyring
from app.models import (
    Absence,
    Assignment,
    Attendance,
    CheckIn,
    ConsentGiven,
    Course,
    Delivery,
    Flag,
    Gathering,
    Group,
    Identity,
    Invitation,
    Membership,
    Participant,
    Person,
    PollAnswer,
    Prompt,
    PromptGroup,
    Question,
    Schedule,
    Screening,
    Sheet,
    WarmGiven,
    WarmWord,
    Wave,
)
from app.questionnaires import sheets
from app.states import OPEN
from bots.questionnaire.sheets import Sheet as SheetView
from tests.dialogues.script import Fact, known_instruments


@dataclass(frozen=True)
class Rows:
    """The rows of one account, and how to find a person of a transcript in them."""

    tx: Tx
    keyring: Keyring
    account_id: int
    openids: Mapping[str, str]

    def holds(self, fact: Fact) -> bool:
        """Whether the fact holds now."""
        return CHECKS[fact.kind](self, fact)

    def person(self, fact: Fact) -> int:
        """The person's id, or 0 for somebody of whom nothing is known."""
        index = self.keyring.vault.index(f"openid.{self.account_id}", self.openids.get(fact["person"], ""))
        query = sa.select(Identity.person_id).where(Identity.account_id == self.account_id, Identity.openid_index == index)
        return self.tx.execute(query).scalar_one_or_none() or 0

    def found(self, query: "sa.Select[Any]") -> list[Any]:
        """The first column of every row."""
        return list(self.tx.execute(query).scalars())


def _is_member(rows: Rows, fact: Fact) -> bool:
    return fact["role"] in rows.found(_roles(rows, fact))


def _is_not_member(rows: Rows, fact: Fact) -> bool:
    return not rows.found(_roles(rows, fact))


def _roles(rows: Rows, fact: Fact) -> "sa.Select[Any]":
    return (
        sa.select(Membership.role)
        .join(Group, Group.id == Membership.group_id)
        .where(Membership.person_id == rows.person(fact), Membership.ended_at.is_(None), Group.name == fact["group"])
    )


def _is_called(rows: Rows, fact: Fact) -> bool:
    person_id = rows.person(fact)
    return people.names(rows.tx, rows.keyring, [person_id]).get(person_id) == fact["name"]


def _is_consented(rows: Rows, fact: Fact) -> bool:
    query = (
        sa.select(ConsentGiven.id)
        .join(Course, Course.id == ConsentGiven.course_id)
        .where(ConsentGiven.person_id == rows.person(fact), ConsentGiven.ended_at.is_(None), Course.title == fact["course"])
    )
    return len(rows.found(query)) == 1


def _is_not_consented(rows: Rows, fact: Fact) -> bool:
    return not _is_consented(rows, fact)


def _is_included(rows: Rows, fact: Fact) -> bool:
    return _last_screening(rows, fact) == (True, "")


def _is_excluded(rows: Rows, fact: Fact) -> bool:
    return _last_screening(rows, fact) == (False, fact["why"])


def _last_screening(rows: Rows, fact: Fact) -> tuple[bool, str] | None:
    query = (
        sa.select(Screening.included, Screening.why)
        .join(Course, Course.id == Screening.course_id)
        .where(Screening.person_id == rows.person(fact), Course.title == fact["course"])
        .order_by(Screening.id.desc())
    )
    row = rows.tx.execute(query.limit(1)).one_or_none()
    return None if row is None else (row.included, row.why)


def _is_speaks(rows: Rows, fact: Fact) -> bool:
    return rows.found(sa.select(Person.language).where(Person.id == rows.person(fact))) == [fact["language"]]


def _is_paused(rows: Rows, fact: Fact) -> bool:
    return rows.found(sa.select(Person.paused_at.is_not(None)).where(Person.id == rows.person(fact))) == [True]


def _is_not_paused(rows: Rows, fact: Fact) -> bool:
    return not _is_paused(rows, fact)


def _is_withdrew(rows: Rows, fact: Fact) -> bool:
    query = sa.select(Participant.withdrawn_at, Participant.erase_answers).where(Participant.person_id == rows.person(fact))
    seats = rows.tx.execute(query).all()
    return bool(seats) and all(each.withdrawn_at is not None and each.erase_answers == (fact["answers"] == "go") for each in seats)


def _is_code(rows: Rows, fact: Fact) -> bool:
    index = rows.keyring.vault.index("invitation", ids.normal_code(fact["code"]))
    used = rows.found(sa.select(Invitation.used_at.is_not(None)).where(Invitation.code_index == index))
    return used == [fact["state"] == "used"]


def _is_flags(rows: Rows, fact: Fact) -> bool:
    wanted = {"no flag": 0, "flag": 1}.get(fact["count"]) if fact["count"] in ("no flag", "flag") else int(fact["count"].split()[0])
    return len(rows.found(sa.select(Flag.id).where(Flag.person_id == rows.person(fact)))) == wanted


def _is_flag_taken(rows: Rows, fact: Fact) -> bool:
    query = sa.select(Flag.acknowledged_by).where(Flag.person_id == rows.person(fact)).order_by(Flag.raised_at.desc())
    taker = next(iter(rows.found(query)), None)
    return taker is not None and people.names(rows.tx, rows.keyring, [taker]).get(taker) == fact["taker"]


def _to(fact: Fact, what: Any) -> "sa.Select[Any]":
    return sa.select(what).join(Group, Group.id == Schedule.group_id).where(Group.name == fact["group"]).order_by(Schedule.number.desc())


def _is_planned(rows: Rows, fact: Fact) -> bool:
    return rows.found(_to(fact, Schedule.fire_at).where(Schedule.state == "planned")) == [fact.moment()]


def _is_none_planned(rows: Rows, fact: Fact) -> bool:
    return not rows.found(_to(fact, Schedule.id).where(Schedule.state == "planned"))


_OUTCOMES = {
    "went out": "fired",
    "was cancelled": "cancelled",
    "was missed": "missed",
    "waits for second eyes": "waiting",
    "was returned": "returned",
}


def _is_outcome(rows: Rows, fact: Fact) -> bool:
    outcome = _OUTCOMES[fact["outcome"]]
    return rows.found(_to(fact, Schedule.state))[:1] == [outcome]


def _is_announcements(rows: Rows, fact: Fact) -> bool:
    return len(rows.found(_to(fact, Schedule.id))) == (0 if fact["count"] == "no" else int(fact["count"]))


def _is_chose(rows: Rows, fact: Fact) -> bool:
    schedule_id = rows.found(sa.select(Schedule.id).where(Schedule.number == int(fact["number"])))[0]
    query = sa.select(PollAnswer.choice).where(PollAnswer.schedule_id == schedule_id, PollAnswer.person_id == rows.person(fact))
    place = next(iter(rows.found(query)), 0)
    options = polls.options_of(rows.tx, rows.keyring, polls.find(rows.tx, schedule_id))
    return fact["option"] == ("nothing" if not place else options[place - 1] if options else "got it")


def _is_waits(rows: Rows, fact: Fact) -> bool:
    waiting = rows.found(sa.select(Delivery.id).where(Delivery.person_id == rows.person(fact), Delivery.state.in_(OPEN)))
    return bool(waiting) == (fact["what"] == "something")


def _is_stands(rows: Rows, fact: Fact) -> bool:
    query = (
        sa.select(Assignment.state, Wave.plan).join(Wave, Wave.id == Assignment.wave_id).where(Assignment.person_id == rows.person(fact))
    )
    states = [row.state for row in rows.tx.execute(query) if row.plan["title"]["zh"] == fact["wave"]]
    return states == [fact["state"].replace(" ", "_")]


_QUESTION_STATES = {
    "is open": "open",
    "is claimed": "claimed",
    "is answered": "answered",
    "is finished": "closed",
    "was taken back": "taken_back",
}


def _is_question(rows: Rows, fact: Fact) -> bool:
    query = sa.select(Question.state, Question.answerer_id).where(Question.person_id == rows.person(fact)).order_by(Question.number.desc())
    row = rows.tx.execute(query.limit(1)).one_or_none()
    if row is None or row.state != _QUESTION_STATES[fact["state"]]:
        return False
    by = "" if row.answerer_id is None else people.names(rows.tx, rows.keyring, [row.answerer_id]).get(row.answerer_id, "")
    return by == fact["answerer"]


def _is_no_question(rows: Rows, fact: Fact) -> bool:
    return not rows.found(sa.select(Question.id).where(Question.person_id == rows.person(fact), Question.state.in_(["open", "claimed"])))


def _is_away(rows: Rows, fact: Fact) -> bool:
    return fact["group"] in rows.found(_absences(rows, fact))


def _is_not_away(rows: Rows, fact: Fact) -> bool:
    return not rows.found(_absences(rows, fact))


def _absences(rows: Rows, fact: Fact) -> "sa.Select[Any]":
    now = clock.now()
    query = sa.select(Group.name).join(Absence, Absence.group_id == Group.id).where(Absence.person_id == rows.person(fact))
    return query.where(Absence.ended_at.is_(None), Absence.starts_at <= now, Absence.ends_at > now)


def _is_answered(rows: Rows, fact: Fact) -> bool:
    query = (
        sa.select(Sheet.id, Sheet.answers, Wave.plan)
        .join(Assignment, Assignment.id == Sheet.assignment_id)
        .join(Wave, Wave.id == Assignment.wave_id)
        .where(Assignment.person_id == rows.person(fact), Sheet.instrument == fact["instrument"])
    )
    found = [row for row in rows.tx.execute(query) if row.plan["title"]["zh"] == fact["wave"]]
    return [_answers(rows, fact, row.id, row.answers) for row in found] == [fact.answers()]


def _answers(rows: Rows, fact: Fact, sheet_id: int, answers: Mapping[str, Any]) -> dict[int, str | None]:
    known = people.known_by_id(rows.tx, rows.keyring, rows.person(fact), rows.account_id)
    assert known is not None
    versions = {int(item): version for item, (_, version) in answers.items()}
    own = sheets.own_words(rows.tx, known, SheetView(sheet_id, known_instruments()[fact["instrument"]], versions=versions))
    return {int(item): None if value is None else own.get(int(item), str(value)) for item, (value, _) in answers.items()}


def _is_thanked(rows: Rows, fact: Fact) -> bool:
    query = sa.select(WarmGiven.id).where(WarmGiven.person_id == rows.person(fact), WarmGiven.thanked_at.is_not(None))
    return len(rows.found(query)) == (0 if fact["count"] == "no" else int(fact["count"]))


def _is_words(rows: Rows, fact: Fact) -> bool:
    query = sa.select(WarmWord.id).join(Course, Course.id == WarmWord.course_id)
    found = rows.found(query.where(Course.title == fact["course"], WarmWord.state == fact["state"]))
    return len(found) == (0 if fact["count"] == "no" else int(fact["count"]))


def _is_prompts(rows: Rows, fact: Fact) -> bool:
    query = sa.select(PromptGroup.id).join(Group, Group.id == PromptGroup.group_id).where(Group.name == fact["group"])
    return len(rows.found(query)) == (0 if fact["count"] == "no" else int(fact["count"]))


def _is_prompt_next(rows: Rows, fact: Fact) -> bool:
    return rows.found(sa.select(Prompt.next_at).where(Prompt.number == int(fact["number"]))) == [fact.moment()]


def _is_prompt_state(rows: Rows, fact: Fact) -> bool:
    return rows.found(sa.select(Prompt.state).where(Prompt.number == int(fact["number"]))) == [fact["state"]]


def _is_was_at(rows: Rows, fact: Fact) -> bool:
    return [(row.how, row.city or "") for row in rows.tx.execute(_at(rows, fact))] == [(fact["how"], fact["city"])]


def _is_was_not_at(rows: Rows, fact: Fact) -> bool:
    return not rows.tx.execute(_at(rows, fact)).all()


def _at(rows: Rows, fact: Fact) -> "sa.Select[Any]":
    columns: tuple[Any, ...] = (Attendance.how, Attendance.city)
    query = sa.select(*columns).join(Gathering, Gathering.id == Attendance.gathering_id)
    mine = query.where(Attendance.person_id == rows.person(fact))
    return mine.where(Gathering.kind == fact["kind"], Gathering.number == int(fact["number"]))


def _is_checked_in(rows: Rows, fact: Fact) -> bool:
    query = sa.select(CheckIn.practice, CheckIn.day, CheckIn.minutes, CheckIn.line_sealed, CheckIn.shared_at, Course.file)
    query = query.join(Course, Course.id == CheckIn.course_id).where(CheckIn.person_id == rows.person(fact))
    own = [each for each in rows.tx.execute(query) if each.day.isoformat() == fact["day"]]
    found = [each for each in own if file.of(each.file).practice(each.practice).name["zh"] == fact["practice"]]
    return [(each.minutes, each.line_sealed is not None, each.shared_at is not None) for each in found] == [fact.check_in()]


def _is_no_check_in(rows: Rows, fact: Fact) -> bool:
    return not rows.found(sa.select(CheckIn.id).where(CheckIn.person_id == rows.person(fact)))


CHECKS: Mapping[str, Callable[[Rows, Fact], bool]] = {
    "member": _is_member,
    "not_member": _is_not_member,
    "called": _is_called,
    "consented": _is_consented,
    "not_consented": _is_not_consented,
    "included": _is_included,
    "excluded": _is_excluded,
    "speaks": _is_speaks,
    "paused": _is_paused,
    "not_paused": _is_not_paused,
    "withdrew": _is_withdrew,
    "code": _is_code,
    "flags": _is_flags,
    "flag_taken": _is_flag_taken,
    "planned": _is_planned,
    "none_planned": _is_none_planned,
    "outcome": _is_outcome,
    "announcements": _is_announcements,
    "chose": _is_chose,
    "waits": _is_waits,
    "stands": _is_stands,
    "answered": _is_answered,
    "thanked": _is_thanked,
    "words": _is_words,
    "prompts": _is_prompts,
    "prompt_next": _is_prompt_next,
    "prompt_state": _is_prompt_state,
    "question": _is_question,
    "no_question": _is_no_question,
    "away": _is_away,
    "not_away": _is_not_away,
    "was_at": _is_was_at,
    "was_not_at": _is_was_not_at,
    "checked_in": _is_checked_in,
    "no_check_in": _is_no_check_in,
}
