"""Reads a roster file strictly: heading, then row by row; what does not fit becomes a sentence with its line."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app import spreadsheets
from app.placing.facts import FACTORS, Facts, from_cells
from app.spreadsheets import MOST_BYTES, MOST_ROWS, Line, RowError, Rows, Wrong, shown
from bots.turns import Role

__all__ = ["MOST_BYTES", "Roster", "Row", "RowError", "parse", "read"]

_WHAT = "roster"
_MOST_NAME = 60

_HEADS = {
    "name": ("name", "姓名", "名字", "称呼", "昵称", "course name"),
    "role": ("role", "角色", "身份"),
    "group": ("group", "小组", "组", "组别", "group code"),
    "gender": ("gender", "性别", "sex"),
    "age": ("age", "年龄", "岁数"),
    "city": ("city", "城市", "所在城市", "常住城市"),
    "experience": ("experience", "冥想经验", "练习经验", "经验", "prior meditation"),
    "phone": ("phone", "电话", "手机", "手机号", "手机号码", "电话号码", "telephone", "mobile"),
}
_ROLES = {
    Role.PARTICIPANT: ("", "participant", "组员", "学员", "成员", "参与者"),
    Role.LEADER: ("leader", "组长"),
    Role.ASSISTANT: ("assistant", "assistant leader", "助教", "助理", "副组长", "助理组长"),
    Role.MENTOR: ("mentor", "导师", "督导"),
    Role.ADMINISTRATOR: ("administrator", "admin", "管理员"),
    Role.RESEARCHER: ("researcher", "研究助理", "研究员", "研究人员"),
}
_ROLE_OF = {word: role for role, words in _ROLES.items() for word in words}
_HEAD_OF = {word: head for head, words in _HEADS.items() for word in words}
_PHONE = re.compile(r"\+?\d{5,15}")
#: How a roster says that somebody gets their group later (docs/decisions/032).
LATER = frozenset({"待分组", "未分组", "later", "unassigned"})
_SHORTENED = re.compile(r"\d(?:[.,]\d+)?E\+?\d+", re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """One person of a roster; `line` is where they stand in the file. `facts`: what groups are balanced by, as far as it is told."""

    line: int
    name: str = field(repr=False)
    role: Role
    group: str
    phone: str | None = field(default=None, repr=False)
    facts: Facts = field(default=Facts(), repr=False)

    @property
    def later(self) -> bool:
        """Whether they take part and get their group later."""
        return self.group.casefold() in LATER and self.role is Role.PARTICIPANT


@dataclass(frozen=True)
class Roster:
    """A file as it was understood. With a single error nothing of it may be imported."""

    rows: tuple[Row, ...]
    errors: tuple[RowError, ...]
    encoding: str = ""
    separator: str = ""
    ignored: tuple[str, ...] = ()


# Reading -----------------------------------------------------------------------------------------------------------------------------


def read(path: Path) -> Roster:
    """The roster in a .csv, .tsv, .txt or .xlsx file. Raises `Invalid` where there is no such file."""
    try:
        return _understand(spreadsheets.read(path, _HEAD_OF, _WHAT))
    except Wrong as wrong:
        return Roster((), (wrong.error,))


def parse(suffix: str, content: bytes) -> Roster:
    """The roster in a file's bytes; `suffix` is how its name ends, with the dot."""
    try:
        return _understand(spreadsheets.parse(suffix, content, _HEAD_OF, _WHAT))
    except Wrong as wrong:
        return Roster((), (wrong.error,))


# Understanding -----------------------------------------------------------------------------------------------------------------------


def _understand(file: Rows) -> Roster:
    head, *body = file.lines
    columns, ignored = _columns(head)
    if not body:
        raise Wrong(head[0], "There is nobody below the heading.")
    if len(body) > MOST_ROWS:
        raise Wrong(0, f"There are more than {MOST_ROWS:,} people in the file; import them in parts.")
    read_rows = [_row(line, columns, len(head[1])) for line in body]
    rows = tuple(each for each in read_rows if isinstance(each, Row))
    errors = [each for each in read_rows if isinstance(each, RowError)] + _clashes(rows)
    return Roster(rows, tuple(sorted(errors, key=lambda each: each.line)), file.encoding, file.separator, ignored)


def _columns(head: Line) -> tuple[dict[str, int], tuple[str, ...]]:
    columns, ignored = spreadsheets.columns(head, _HEAD_OF)
    if missing := [each for each in ("name", "group") if each not in columns]:
        raise Wrong(
            head[0],
            f"No column is headed {' or '.join(missing)}; the first line has name, role, group, phone (姓名 角色 小组 电话).",
        )
    return columns, ignored


def _row(line: Line, columns: dict[str, int], width: int) -> Row | RowError:
    at, cells = line
    if (overfull := spreadsheets.overfull(line, width)) is not None:
        return RowError(at, overfull)
    got = {head: cells[place] if place < len(cells) else None for head, place in columns.items()}
    try:
        name, group = _name(got["name"]), shown(got["group"])
        if not group:
            raise ValueError("There is no group; write its code or its name, or 待分组 (later).")
        facts = from_cells({factor: shown(got.get(factor)) for factor in FACTORS})
        return Row(at, name, _role(got.get("role")), group, _phone(got.get("phone")), facts)
    except ValueError as wrong:
        return RowError(at, str(wrong))


def _name(cell: Any) -> str:
    name = shown(cell)
    if not name:
        raise ValueError("There is no name.")
    if not isinstance(cell, str):
        raise ValueError("The name is a number or a date; write it as text.")  # noqa: TRY004 - somebody's mistake, not ours
    if len(name) > _MOST_NAME or "\n" in cell.strip():
        raise ValueError(f"A name is one line of at most {_MOST_NAME} characters.")
    return name


def _role(cell: Any) -> Role:
    role = _ROLE_OF.get(shown(cell).casefold())
    if role is None:
        raise ValueError(
            f"There is no role {shown(cell)[:40]!r}; "
            "write participant, leader, assistant, mentor, administrator (组员 组长 助教 导师 管理员)."
        )
    return role


def _phone(cell: Any) -> str | None:
    text = re.sub(r"[\s\-()]", "", unicodedata.normalize("NFKC", shown(cell)))
    if not text:
        return None
    shortened = _SHORTENED.fullmatch(text) or (isinstance(cell, int | float) and (isinstance(cell, bool) or text.endswith("000000")))
    if shortened:
        raise ValueError("The phone number was shortened by Excel; format the column as text and type it again.")
    if not _PHONE.fullmatch(text):
        raise ValueError("The phone number holds 5 to 15 digits, perhaps with + before them.")
    return text


def _clashes(rows: Sequence[Row]) -> list[RowError]:
    """The same person twice, or as participant in two groups."""
    errors: list[RowError] = []
    seen: dict[object, Row] = {}
    for row in rows:
        same = seen.setdefault((row.name, row.role, row.group, row.phone), row)
        if same is not row:
            errors.append(RowError(row.line, f"The same person stands in line {same.line} already; remove one."))
        elif row.phone and row.role is Role.PARTICIPANT:
            other = seen.setdefault((row.phone,), row)
            if other is not row:
                errors.append(RowError(row.line, f"The same phone number stands in line {other.line}: nobody takes part twice; keep one."))
    return errors
