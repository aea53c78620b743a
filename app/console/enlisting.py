"""Hides how a roster goes through the console: read, shown, and imported only as it was shown.

What was understood travels in the page, signed for one course and session, so that no name waits on the server for a click.
"""

import base64
import hashlib
import json
import zlib
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from app import audit, roster
from app.console.actors import Actor
from app.db import Tx
from app.errors import Conflict, Forbidden
from app.keyring import Keyring
from app.models import Course
from app.placing.facts import freeze, thaw
from app.roster import MOST_BYTES, Issued, Plan, Roster, Row
from app.web.forms import Upload
from bots.turns import Role

__all__ = ["MOST_BYTES", "Checked", "Sheet", "check", "codes", "course_title", "import_it"]

_SIGNATURE, _SHOWN = 32, 12


@dataclass(frozen=True)
class Sheet:
    """What a form says of a roster that was shown: its rows, our signature, and the mark of what was to happen."""

    rows: str = field(repr=False)
    signature: str
    mark: str


@dataclass(frozen=True)
class Checked:
    """A roster with what an import would do. `sheet` is None where a line is wrong; its `mark` names rows and deeds together."""

    roster: Roster
    plan: Plan
    sheet: Sheet | None

    @property
    def changes(self) -> bool:
        """Whether an import would do anything."""
        return bool(self.count)

    @property
    def count(self) -> int:
        """Of how many people something is new."""
        return self.plan.count("new") + self.plan.count("changed") + self.plan.count("noted")


def course_title(tx: Tx, course_id: int) -> str:
    """The title of a course."""
    return tx.execute(sa.select(Course.title).where(Course.id == course_id)).scalar_one()


def check(tx: Tx, keyring: Keyring, actor: Actor, course_id: int, file: Upload) -> Checked:
    """What a file would change in a course; changes nothing."""
    return _checked(tx, keyring, actor, course_id, roster.parse(file.suffix, file.content))


def _checked(tx: Tx, keyring: Keyring, actor: Actor, course_id: int, read: Roster) -> Checked:
    planned = roster.plan(tx, keyring, course_id, read)
    if planned.errors:
        return Checked(read, planned, None)
    rows = _pack(read)
    return Checked(read, planned, Sheet(rows, _sign(keyring, actor, course_id, rows), _mark(rows, planned)))


def import_it(tx: Tx, keyring: Keyring, actor: Actor, course_id: int, sheet: Sheet, now: datetime) -> list[Issued]:
    """Import a roster as it was shown; returns everybody's code. Raises `Forbidden`, and `Changed` where it would do something else now."""
    read = _unpack(keyring, actor, course_id, sheet)
    tx.execute(sa.select(Course.id).where(Course.id == course_id).with_for_update())  # two clicks at once import once
    checked = _checked(tx, keyring, actor, course_id, read)
    if checked.sheet is None or checked.sheet.mark != sheet.mark:
        raise Changed(checked)
    return roster.commit(tx, keyring, course_id, read, now, actor=actor.word)


class Changed(Conflict):
    """The course has changed since the roster was shown; carries what it would do now."""

    def __init__(self, checked: Checked) -> None:
        super().__init__("changed", "The course has changed since this was shown; look at it once more.")
        self.checked = checked


def codes(tx: Tx, keyring: Keyring, actor: Actor, course_id: int, sheet: Sheet, now: datetime) -> list[Issued]:
    """Everybody's code, once a roster was imported; that they were taken is on record. Raises `Forbidden` and `Conflict`."""
    issued = roster.codes(tx, keyring, course_id, _unpack(keyring, actor, course_id, sheet))
    audit.record(tx, now, actor.word, "roster.codes", f"course:{course_id}", count=len(issued))
    return issued


def _pack(read: Roster) -> str:
    rows = [[row.line, row.name, row.role.value, row.group, row.phone, freeze(row.facts)] for row in read.rows]
    return base64.urlsafe_b64encode(zlib.compress(json.dumps(rows, ensure_ascii=False).encode())).decode()


def _unpack(keyring: Keyring, actor: Actor, course_id: int, sheet: Sheet) -> Roster:
    """The rows, which are opened only where we have signed them."""
    if not keyring.vault.signed("roster", _whose(actor, course_id, sheet.rows), sheet.signature, _SIGNATURE):
        raise Forbidden("form", "This roster was not shown to you here.")
    rows = json.loads(zlib.decompress(base64.urlsafe_b64decode(sheet.rows)))
    return Roster(tuple(Row(line, name, Role(role), group, phone, thaw(facts)) for line, name, role, group, phone, facts in rows), ())


def _sign(keyring: Keyring, actor: Actor, course_id: int, rows: str) -> str:
    return keyring.vault.sign("roster", _whose(actor, course_id, rows), _SIGNATURE)


def _whose(actor: Actor, course_id: int, rows: str) -> str:
    return f"{course_id}\0{actor.session_id}\0{rows}"


def _mark(rows: str, planned: Plan) -> str:
    deeds = ",".join(f"{each.kind}:{each.group_id}:{each.former.id if each.former else ''}" for each in planned.people)
    return hashlib.sha256(f"{rows}\0{deeds}".encode()).hexdigest()[:_SHOWN]
