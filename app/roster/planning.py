"""Compares a roster with the course's invitations, and turns its rows into personal codes, each once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import audit, groups
from app.db import Tx
from app.errors import Conflict, Invalid
from app.keyring import Keyring, Place
from app.models import Course, Group, Invitation
from app.placing.facts import Facts, freeze, thaw
from app.roster.reading import Roster, Row, RowError
from bots.turns import Role


@dataclass(frozen=True)
class Former:
    """An invitation that an earlier roster made and that this roster's row would change."""

    id: int
    group: str
    phone_differs: bool
    used: bool


@dataclass(frozen=True)
class Planned:
    """What a row means for the course: `new`, `known` (there already), `changed` (replaces `former`) or `joined` (too late).

    `noted`: there already, and what groups are balanced by is told anew. `group`: the name of the group that it leads into.
    """

    row: Row
    kind: str
    group_id: int
    former: Former | None = None
    group: str = ""


@dataclass(frozen=True)
class Plan:
    """What an import would do. With a single error it does nothing."""

    people: tuple[Planned, ...]
    errors: tuple[RowError, ...]

    def count(self, kind: str) -> int:
        """How many rows are of a kind."""
        return sum(each.kind == kind for each in self.people)


@dataclass(frozen=True)
class Issued:
    """A row's personal code; `state` is open or used."""

    row: Row
    code: str = field(repr=False)
    state: str


@dataclass(frozen=True)
class _Known:
    id: int
    group_id: int
    role: str
    name: str
    phone: str | None
    code: str
    used: bool
    facts: Facts


def plan(tx: Tx, keyring: Keyring, course_id: int, roster: Roster) -> Plan:
    """What this roster would change in the course; changes nothing."""
    places, large = _group_ids(tx, course_id)
    unplaced = (row for row in roster.rows if not row.later and row.group.casefold() not in places)
    errors = [*roster.errors, *(RowError(row.line, _no_group(row, places)) for row in unplaced)]
    if errors:
        return Plan((), tuple(sorted(errors, key=lambda each: each.line)))
    known = _known(tx, keyring, course_id)
    names = {group_id: word for word, group_id in places.items()}
    leads = _where(roster.rows, places, large, known)
    wanted = {_key(row, group_id) for row, group_id in zip(roster.rows, leads, strict=True)}
    spare = [each for each in known.values() if _of(each) not in wanted]
    people = [_plan_row(row, group_id, known, spare, names) for row, group_id in zip(roster.rows, leads, strict=True)]
    return Plan(tuple(people), ())


def _where(rows: Sequence[Row], places: Mapping[str, int], large: int | None, known: Mapping[object, _Known]) -> list[int]:
    """The group into which each row leads. Who is to get one later, or stands in the large one, keeps the one that they were given."""
    by_all = {(each.role, each.name, each.phone): each.group_id for each in known.values()}
    by_one = {(each.role, word): each.group_id for each in known.values() for word in (each.name, each.phone) if word}
    found = []
    for row in rows:
        stated = large if row.later else places[row.group.casefold()]
        if stated == large and row.role is Role.PARTICIPANT:
            role = row.role.value
            stated = by_all.get((role, row.name, row.phone), by_one.get((role, row.phone or row.name), large))
        assert stated is not None  # noqa: S101 - every course is made with its large group
        found.append(stated)
    return found


def commit(tx: Tx, keyring: Keyring, course_id: int, roster: Roster, now: datetime, *, actor: str = "operator") -> list[Issued]:
    """Import the roster and return every row's code, those of an earlier import too. Raises `Invalid` where one row is wrong."""
    planned = plan(tx, keyring, course_id, roster)
    if planned.errors:
        raise Invalid("roster", f"Nothing was imported: {len(planned.errors)} lines are wrong; mend them first.")
    for each in planned.people:
        if each.kind == "changed" and each.former is not None:
            tx.execute(sa.update(Invitation).where(Invitation.id == each.former.id).values(expires_at=now, roster_index=None))
        if each.kind in {"new", "changed"}:
            row, facts = each.row, freeze(each.row.facts)
            groups.invite(
                tx, keyring, each.group_id, now, role=row.role, once=True, name=row.name, phone=row.phone, facts=facts, actor=actor
            )
    noted = _note(tx, keyring, course_id, planned)
    audit.record(
        tx, now, actor, "roster.import", f"course:{course_id}", new=planned.count("new"), changed=planned.count("changed"), noted=noted
    )
    return _issued(tx, keyring, course_id, planned)


def codes(tx: Tx, keyring: Keyring, course_id: int, roster: Roster) -> list[Issued]:
    """Every row's code after the roster was imported. Raises `Conflict` where one of them has none."""
    planned = plan(tx, keyring, course_id, roster)
    if planned.errors or planned.count("new") or planned.count("changed"):
        raise Conflict("roster", "Not everybody of this roster has a code; import it first.")
    return _issued(tx, keyring, course_id, planned)


def _note(tx: Tx, keyring: Keyring, course_id: int, planned: Plan) -> int:
    """Keep what is told anew of people whose codes stay; returns of how many."""
    meant = [each for each in planned.people if each.kind == "noted"]
    if meant:
        key = keyring.open(tx, tx.execute(sa.select(Course.data_key_id).where(Course.id == course_id)).scalar_one())
        known = _known(tx, keyring, course_id)
        for each in meant:
            found = known[_key(each.row, each.group_id)]
            text = freeze(each.row.facts.over(found.facts))
            sealed = None if text is None else key.seal(Place("invitations", "facts_sealed", found.id), text)
            tx.execute(sa.update(Invitation).where(Invitation.id == found.id).values(facts_sealed=sealed))
    return len(meant)


def _issued(tx: Tx, keyring: Keyring, course_id: int, planned: Plan) -> list[Issued]:
    known = _known(tx, keyring, course_id)
    by_id = {each.id: each for each in known.values()}
    issued = []
    for each in planned.people:
        found = by_id[each.former.id] if each.kind == "joined" and each.former is not None else known[_key(each.row, each.group_id)]
        issued.append(Issued(each.row, found.code, "used" if found.used else "open"))
    return issued


def _plan_row(row: Row, group_id: int, known: dict[object, _Known], spare: list[_Known], names: dict[int, str]) -> Planned:
    there = known.get(_key(row, group_id))
    if there is not None:
        told = row.facts.over(there.facts) != there.facts
        return Planned(row, "noted" if told else "known", group_id, group=names.get(group_id, ""))
    former = next((each for each in spare if each.role == row.role.value and _same_person(each, row)), None)
    if former is None:
        return Planned(row, "new", group_id, group=names.get(group_id, ""))
    spare.remove(former)
    shown = Former(former.id, names.get(former.group_id, ""), former.phone != row.phone, former.used)
    return Planned(row, "joined" if former.used else "changed", group_id, shown, names.get(group_id, ""))


def _same_person(former: _Known, row: Row) -> bool:
    """Who moved to another group keeps name and phone; who got another phone keeps name and group; who was renamed, phone and group."""
    return (
        (former.name == row.name) if former.phone is None or row.phone is None else (former.phone == row.phone or former.name == row.name)
    )


def _key(row: Row, group_id: int) -> object:
    return (group_id, row.role.value, row.name, row.phone)


def _of(known: _Known) -> object:
    return (known.group_id, known.role, known.name, known.phone)


def _known(tx: Tx, keyring: Keyring, course_id: int) -> dict[object, _Known]:
    """The invitations that rosters made in this course."""
    rows = tx.execute(
        sa.select(*Invitation.__table__.columns)
        .join(Group, Group.id == Invitation.group_id)
        .where(Group.course_id == course_id, Invitation.roster_index.is_not(None))
        .order_by(Invitation.id)
    ).all()
    if not rows:
        return {}
    key = keyring.open(tx, rows[0].data_key_id)

    def unseal(row: Any, column: str) -> str | None:
        sealed = getattr(row, column)
        return None if sealed is None else key.unseal(Place("invitations", column, row.id), sealed)

    found = (
        _Known(
            row.id,
            row.group_id,
            row.role,
            unseal(row, "name_sealed") or "",
            unseal(row, "phone_sealed"),
            unseal(row, "code_sealed") or "",
            row.used_at is not None,
            thaw(unseal(row, "facts_sealed")),
        )
        for row in rows
    )
    return {_of(each): each for each in found}


def _group_ids(tx: Tx, course_id: int) -> tuple[dict[str, int], int | None]:
    """Codes and names of the course's groups, as they may be written in a roster, and the large one. A name that two bear names neither."""
    rows = tx.execute(sa.select(Group.id, Group.code, Group.name, Group.large).join(Course).where(Course.id == course_id)).all()
    names = [row.name.casefold() for row in rows]
    by_name = {row.name.casefold(): row.id for row in rows if names.count(row.name.casefold()) == 1}
    return by_name | {row.code.casefold(): row.id for row in rows}, next((row.id for row in rows if row.large), None)


def _no_group(row: Row, places: dict[str, int]) -> str:
    return f"There is no group {row.group[:40]!r} in this course; write one of {', '.join(places)}, or make it with `tongban group create`."
