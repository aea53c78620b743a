"""Hides the personal codes that lead into a course's small groups, for print and as a file to send them by; no cell is a formula."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from app import audit, groups
from app.cells import harmless
from app.db import Tx
from app.keyring import Keyring, Place, unsealed
from app.models import Course, Group, Invitation
from app.placing.known import roster

HEADING = ("number", "name", "phone", "group", "code", "link")


@dataclass(frozen=True)
class Personal:
    """Somebody's code that was not used yet; `number` as in the roster, R17."""

    number: str
    name: str = field(repr=False)
    phone: str = field(repr=False)
    group: str
    code: str = field(repr=False)


def counted(tx: Tx, course_id: int, now: datetime) -> list[tuple[int, str, int]]:
    """The small groups into which codes lead that were not used yet: id, name, how many."""
    many = sa.func.count().label("many")
    query = sa.select(Group.id, Group.name, many).join(Invitation, Invitation.group_id == Group.id)
    query = query.where(Group.course_id == course_id, ~Group.large, Group.closed_at.is_(None), *groups.unused(now))
    return [(row.id, row.name, row.many) for row in tx.execute(query.group_by(Group.id, Group.name, Group.code).order_by(Group.code))]


def take(tx: Tx, keyring: Keyring, course_id: int, group_id: int | None, now: datetime, *, actor: str) -> list[Personal]:
    """The codes of one small group (None: of all) that were not used yet; that they were taken is on record."""
    columns = (Invitation.id, Invitation.data_key_id, Invitation.name_sealed, Invitation.phone_sealed, Invitation.code_sealed)
    good = sa.and_(*groups.unused(now), Group.closed_at.is_(None), ~Group.large).label("good")
    everybody = roster(tx, course_id, *columns, Group.id.label("group_id"), Group.code, Group.name, good)
    meant = [(number, row) for number, row in everybody if row.good and group_id in (None, row.group_id)]
    keys = keyring.open_all(tx, {row.data_key_id for _, row in meant})
    found = []
    for number, row in sorted(meant, key=lambda each: (each[1].code, each[1].id)):
        name, phone, code = (
            unsealed(keys.get(row.data_key_id), Place("invitations", column, row.id), getattr(row, column)) or ""
            for column in ("name_sealed", "phone_sealed", "code_sealed")
        )
        found.append(Personal(number, name, phone, row.name, code))
    audit.record(tx, now, actor, "placing.codes", f"course:{course_id}", count=len(found))
    return found


def account_of(tx: Tx, course_id: int) -> tuple[int, str]:
    """The account by which a course's codes are scanned, and the course's title."""
    row = tx.execute(sa.select(Course.account_id, Course.title).where(Course.id == course_id)).one()
    return row.account_id, row.title


def rows(codes: Sequence[Personal], links: Sequence[str]) -> list[list[str]]:
    """The lines of the file, the heading first. `links`: the address in each one's QR code, "" where WeChat made none."""
    lines = [[each.number, each.name, each.phone, each.group, each.code, link] for each, link in zip(codes, links, strict=True)]
    return [list(HEADING), *([harmless(cell) for cell in line] for line in lines)]


def as_csv(lines: Sequence[Sequence[str]]) -> bytes:
    """CSV in UTF-8 with a byte order mark, by which Excel knows it."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows(lines)
    return out.getvalue().encode("utf-8-sig")


def as_xlsx(lines: Sequence[Sequence[str]]) -> bytes:
    """An Excel file in which every cell is text, phone numbers and codes too."""
    import openpyxl  # noqa: PLC0415 - a large library, which every web process would wait for at its start

    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for at, line in enumerate(lines, 1):
        for column, value in enumerate(line, 1):
            cell = sheet.cell(at, column)
            cell.value, cell.data_type, cell.number_format = value, "s", "@"
    for letter, width in {"A": 8, "B": 20, "C": 18, "D": 16, "E": 14, "F": 60}.items():
        sheet.column_dimensions[letter].width = width
    sheet.freeze_panes = "A2"
    out = io.BytesIO()
    book.save(out)
    book.close()
    return out.getvalue()
