"""Hides who takes part in a course without a group, who sits where, and what is known of each: by a form's answers, else by the roster.

Whoever has joined is told here by their number alone, for a form's answers are never seen with a name. Whoever was only invited has no
number yet: they are the 17th of the roster, R17, and have the name that stands there (docs/decisions/032).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import groups
from app.db import Tx
from app.keyring import Keyring, Place, unsealed
from app.models import Assignment, GivenAnswer, Group, Invitation, Membership, Participant, Person, Sheet, Wave
from app.placing.facts import FACTORS, Facts, from_labels, thaw
from app.questionnaires.shelf import FileGone, Shelf
from bots.questionnaire.instrument import Instrument, Kind
from bots.turns import Role

#: A city that fewer people name is counted with the others: the word of two is nobody's business, and cannot be spread.
FEWEST_ALIKE = 5
#: How the cities of few are counted.
ELSEWHERE = "elsewhere"


@dataclass(frozen=True)
class One:
    """Somebody who takes part or is invited to. `group`: where they sit, or their code leads; None: nowhere yet."""

    number: str
    person: int | None
    invitation: int | None
    group: int | None
    facts: Facts = field(repr=False)
    name: str = field(default="", repr=False)

    @property
    def key(self) -> str:
        """What names them in a proposal."""
        return f"i{self.invitation}" if self.person is None else f"p{self.person}"


def everybody(tx: Tx, keyring: Keyring, shelf: Shelf, course_id: int, now: datetime) -> list[One]:
    """Everybody who takes part in a course or is invited to by a personal code, in the order of their numbers."""
    invited = _invited(tx, keyring, course_id, now)
    told = {each.used_by: each.facts for each in invited if each.used_by is not None}
    rows = tx.execute(_joined(course_id)).all()
    answered = _answered(tx, keyring, shelf, course_id)
    sits = {row.person_id: row.group_id for row in rows if not row.large}
    found = {
        row.person_id: One(
            row.number or "?",
            row.person_id,
            None,
            sits.get(row.person_id),
            answered.get(row.person_id, Facts()).over(told.get(row.person_id, Facts())),
        )
        for row in rows
    }
    coming = [One(each.number, None, each.id, each.group, each.facts, each.name) for each in invited if each.open]
    return [*sorted(found.values(), key=lambda one: one.number), *coming]


def called(tx: Tx, keyring: Keyring, course_id: int, people: Iterable[int], now: datetime) -> dict[str, str]:
    """By key, what people and personal codes of a course are called, gone or not: a number, with the roster's name for a code."""
    mine = sa.select(Participant.person_id, Participant.number).where(Participant.course_id == course_id)
    numbers = {f"p{row.person_id}": row.number for row in tx.execute(mine.where(Participant.person_id.in_(list(people))))}
    return numbers | {f"i{each.id}": f"{each.number} {each.name}".strip() for each in _invited(tx, keyring, course_id, now)}


def answers(people: Iterable[One]) -> dict[str, tuple[str, ...]]:
    """By key, what each is counted as for each factor; the cities of few are one."""
    found = {one.key: tuple(one.facts.answer(factor) for factor in FACTORS) for one in people}
    city = FACTORS.index("city")
    named = Counter(each[city] for each in found.values())

    def counted(each: tuple[str, ...]) -> tuple[str, ...]:
        rare = each[city] and named[each[city]] < FEWEST_ALIKE
        return (*each[:city], ELSEWHERE, *each[city + 1 :]) if rare else each

    return {key: counted(each) for key, each in found.items()}


# Who ----------------------------------------------------------------------------------------------------------------------------------


def _joined(course_id: int) -> "sa.Select[*tuple[Any, ...]]":
    number = sa.and_(Participant.person_id == Membership.person_id, Participant.course_id == Group.course_id)
    return (
        sa.select(Membership.person_id, Membership.group_id, Group.large, Participant.number)
        .join(Group, Group.id == Membership.group_id)
        .outerjoin(Participant, number)
        .where(Group.course_id == course_id, Membership.role == Role.PARTICIPANT.value, Membership.ended_at.is_(None))
    )


def roster(tx: Tx, course_id: int, *columns: Any) -> list[tuple[str, Any]]:
    """Every personal code of somebody who shall take part, by number: R1 is the oldest, used or not, so that a number stays theirs.

    `columns`: of the code and of the group into which it leads.
    """
    mine = (Group.course_id == course_id, Invitation.once, Invitation.role == Role.PARTICIPANT.value)
    query = sa.select(*columns).select_from(Invitation).join(Group, Group.id == Invitation.group_id).where(*mine)
    return [(f"R{place}", row) for place, row in enumerate(tx.execute(query.order_by(Invitation.id)), 1)]


@dataclass(frozen=True)
class _Invited:
    id: int
    number: str
    group: int | None
    used_by: int | None
    open: bool
    facts: Facts = field(repr=False)
    name: str = field(repr=False)


def _invited(tx: Tx, keyring: Keyring, course_id: int, now: datetime) -> list[_Invited]:
    """Everybody of the roster."""
    columns = (Invitation.id, Invitation.group_id, Invitation.data_key_id, Invitation.name_sealed, Invitation.facts_sealed)
    good = sa.and_(*groups.unused(now)).label("good")
    rows = roster(tx, course_id, *columns, Invitation.used_by, Group.large, good)
    keys = keyring.open_all(tx, {row.data_key_id for _, row in rows})

    def text(row: Any, column: str) -> str | None:
        return unsealed(keys.get(row.data_key_id), Place("invitations", column, row.id), getattr(row, column))

    return [
        _Invited(
            row.id,
            number,
            None if row.large else row.group_id,
            row.used_by,
            bool(row.good),
            thaw(text(row, "facts_sealed")),
            text(row, "name_sealed") or "",
        )
        for number, row in rows
    ]


# What is known ------------------------------------------------------------------------------------------------------------------------


def _answered(tx: Tx, keyring: Keyring, shelf: Shelf, course_id: int) -> dict[int, Facts]:
    """By person, what they answered in the forms of the course; of two forms the newer one says more."""
    columns = (Sheet.id, Sheet.instrument, Sheet.version, Sheet.answers, Assignment.person_id)
    query = sa.select(*columns).join(Assignment, Assignment.id == Sheet.assignment_id).join(Wave, Wave.id == Assignment.wave_id)
    rows = tx.execute(query.where(Wave.course_id == course_id).order_by(Sheet.changed_at, Sheet.id)).all()
    forms = {each: _form(tx, shelf, *each) for each in {(row.instrument, row.version) for row in rows}}
    meant = [(row, form) for row in rows if (form := forms[row.instrument, row.version]) is not None]
    towns = _towns(tx, keyring, {row.id: form for row, form in meant}, course_id) if meant else {}
    found: dict[int, Facts] = {}
    for row, form in meant:
        said = from_labels({**_labels(form, row.answers), "city": towns.get(row.id, "")})
        found[row.person_id] = said.over(found.get(row.person_id, Facts()))
    return found


def _form(tx: Tx, shelf: Shelf, code: str, version: int) -> Instrument | None:
    """A form that asks for one of our factors, in the words of its file."""
    try:
        found = shelf.instrument(tx, code, version, None)
    except FileGone:
        return None
    asks = {item.name for item in found.items} & {*FACTORS, "meditated"}
    return found if found.kind == "form" and asks else None


def _labels(form: Instrument, given: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for item in form.items:
        value = (given.get(str(item.number)) or [None])[0]
        if value is not None and item.kind in (Kind.CHOICE, Kind.NUMBER):
            found[item.name] = item.anchors["en"][value - item.lowest] if item.kind is Kind.CHOICE else str(value)
    return found


def _towns(tx: Tx, keyring: Keyring, forms: Mapping[int, Instrument], course_id: int) -> dict[int, str]:
    """By sheet, the words for the city as they were given last."""
    items = {sheet: item.number for sheet, form in forms.items() for item in form.items if item.name == "city" and item.kind is Kind.TEXT}
    query = (
        sa.select(GivenAnswer.id, GivenAnswer.sheet_id, GivenAnswer.item, GivenAnswer.text_sealed, Person.data_key_id)
        .join(Sheet, Sheet.id == GivenAnswer.sheet_id)
        .join(Assignment, Assignment.id == Sheet.assignment_id)
        .join(Wave, Wave.id == Assignment.wave_id)
        .join(Person, Person.id == Assignment.person_id)
        .where(Wave.course_id == course_id, Sheet.instrument.in_({form.code for form in forms.values()}))
        .where(GivenAnswer.item.in_(set(items.values())))
        .order_by(GivenAnswer.version)
    )
    last = {row.sheet_id: row for row in tx.execute(query) if items.get(row.sheet_id) == row.item}
    keys = keyring.open_all(tx, {row.data_key_id for row in last.values()})
    texts = {
        sheet: unsealed(keys.get(row.data_key_id), Place("answers", "text_sealed", row.id), row.text_sealed) for sheet, row in last.items()
    }
    return {sheet: text for sheet, text in texts.items() if text}
