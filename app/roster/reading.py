"""Reads a roster file strictly: encoding, separator, heading, rows; what does not fit becomes a sentence with its line."""

import csv
import io
import re
import unicodedata
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from app.errors import Invalid
from bots.turns import Role

#: A roster of 5,000 people has about 300 KB; what is larger, or unpacks to a hundred times its size, is no roster.
MOST_BYTES, MOST_UNPACKED, MOST_RATIO = 5_000_000, 50_000_000, 100
MOST_ROWS, MOST_COLUMNS = 5_000, 50
_MOST_NAME = 60

_HEADS = {
    "name": ("name", "姓名", "名字", "称呼", "昵称", "course name"),
    "role": ("role", "角色", "身份"),
    "group": ("group", "小组", "组", "组别", "group code"),
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
_SEPARATORS = (",", ";", "\t", "，", "；")
_PHONE = re.compile(r"\+?\d{5,15}")
_SHORTENED = re.compile(r"\d(?:[.,]\d+)?E\+?\d+", re.IGNORECASE)
_DIRECTIONS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
#: Two bytes of a Western text that were read as one Chinese character: `Andrés` becomes `Andr閟`.
_GLUED = re.compile(r"[A-Za-z][\u3400-\u9fff\ue000-\uf8ff]|[\u3400-\u9fff\ue000-\uf8ff][a-z]|[\ue000-\uf8ff]")


@dataclass(frozen=True)
class Row:
    """One person of a roster; `line` is where they stand in the file."""

    line: int
    name: str = field(repr=False)
    role: Role
    group: str
    phone: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class RowError:
    """What is wrong in a line, with the remedy. Line 0: the whole file."""

    line: int
    sentence: str


@dataclass(frozen=True)
class Roster:
    """A file as it was understood. With a single error nothing of it may be imported."""

    rows: tuple[Row, ...]
    errors: tuple[RowError, ...]
    encoding: str = ""
    separator: str = ""
    ignored: tuple[str, ...] = ()


class _Wrong(Exception):
    """The file cannot be read any further; carries the line and the sentence."""

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(sentence)
        self.error = RowError(line, sentence)


#: A line of the file and its cells.
_Line = tuple[int, Sequence[Any]]


# Reading -----------------------------------------------------------------------------------------------------------------------------


def read(path: Path) -> Roster:
    """The roster in a .csv, .tsv, .txt or .xlsx file. Raises `Invalid` where there is no such file."""
    try:
        size = path.stat().st_size
        content = path.read_bytes() if path.is_file() and size <= MOST_BYTES else b""
    except (OSError, ValueError):
        raise Invalid("roster", f"Cannot read {str(path)!r}; name a .csv or .xlsx file.") from None
    if size > MOST_BYTES:
        return Roster((), (RowError(0, f"The file has {size:,} bytes; a roster has at most {MOST_BYTES:,}."),))
    return parse(path.suffix.lower(), content)


def parse(suffix: str, content: bytes) -> Roster:
    """The roster in a file's bytes; `suffix` is how its name ends, with the dot."""
    try:
        if suffix == ".xlsx":
            return _understand(_sheet(content), "Excel", "")
        if suffix in {".csv", ".tsv", ".txt"}:
            return _read_text(content)
    except _Wrong as wrong:
        return Roster((), (wrong.error,))
    return Roster((), (RowError(0, f"A file that ends in {suffix or 'nothing'} is no roster; save it as .xlsx or .csv."),))


def _read_text(content: bytes) -> Roster:
    text, encoding = _decode(content)
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(_SEPARATORS, key=lambda each: len({_head(cell) for cell in first.split(each)} - {None}))
    return _understand(_cells(text, separator), encoding, separator)


def _decode(content: bytes) -> tuple[str, str]:
    if not content.strip():
        raise _Wrong(0, "The file is empty.")
    if content.startswith(b"PK\x03\x04"):
        raise _Wrong(0, "This is an Excel or zip file, whatever its name says; an Excel file must end in .xlsx.")
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return _strictly(content, encoding), encoding.removesuffix("-sig").upper()
    if b"\x00" in content:
        raise _Wrong(
            _line_at(content, content.index(b"\x00")), "Here is a zero byte: this is no text file; save it as .xlsx or as CSV in UTF-8."
        )
    return _without_mark(content)


def _without_mark(content: bytes) -> tuple[str, str]:
    """UTF-8 where every line is; GB18030 where no line is; a mixture is nobody's encoding."""
    special = [(number, line) for number, line in enumerate(content.split(b"\n"), start=1) if not line.isascii()]
    utf8 = [number for number, line in special if _is_utf8(line)]
    if len(utf8) == len(special):
        return _strictly(content, "utf-8"), "UTF-8"
    if utf8:
        other = next(number for number, line in special if number not in utf8)
        raise _Wrong(other, f"This line is not UTF-8, but line {utf8[0]} is: two encodings are mixed; save the file again as CSV UTF-8.")
    text = _strictly(content, "gb18030")
    for number, line in enumerate(text.split("\n"), start=1):
        if _GLUED.search(line):
            raise _Wrong(
                number, "Letters and Chinese characters stick together here as if the encoding were wrong; save the file as CSV UTF-8."
            )
    return text, "GB18030"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _strictly(content: bytes, encoding: str) -> str:
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as wrong:
        shown = "UTF-8 or GB18030" if encoding == "gb18030" else encoding.removesuffix("-sig").upper()
        raise _Wrong(_line_at(content, wrong.start), f"This line is not readable as {shown}; save the file again as CSV UTF-8.") from None
    if any(unicodedata.category(each) == "Cc" and each not in "\t\r\n" for each in text):
        raise _Wrong(0, "There are control characters in this file: it is no text file; save it as .xlsx or as CSV in UTF-8.")
    return text


def _line_at(content: bytes, place: int) -> int:
    return content.count(b"\n", 0, place) + 1


def _cells(text: str, separator: str) -> Iterable[_Line]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    before = 0
    try:
        for cells in reader:
            yield before + 1, cells
            before = reader.line_num
    except csv.Error:
        raise _Wrong(before + 1, "Quotation marks do not match from here on; close them, or leave them out.") from None


def _sheet(content: bytes) -> Iterable[_Line]:
    _refuse_bomb(content)
    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # what a file says about its own size is not believed
        rows = sheet.iter_rows(values_only=True, max_col=MOST_COLUMNS + 1, max_row=MOST_ROWS + 2)
        yield from enumerate(map(_trimmed, rows), start=1)
        book.close()
    except (InvalidFileException, zipfile.BadZipFile, KeyError, IndexError, ValueError, TypeError, AttributeError, OSError, SyntaxError):
        # What openpyxl raises for a broken or hostile file is not a closed list; ParseError is a SyntaxError, Defused… a ValueError.
        raise _Wrong(0, "This Excel file cannot be read; open it in Excel and save it again as .xlsx, or as CSV UTF-8.") from None


def _trimmed(cells: Sequence[Any]) -> Sequence[Any]:
    """Without the empty cells to the right, which openpyxl adds."""
    filled = [place for place, cell in enumerate(cells, start=1) if cell is not None]
    return cells[: filled[-1]] if filled else ()


def _refuse_bomb(content: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError):
        raise _Wrong(0, "This is no Excel file, whatever its name says; save it as .xlsx.") from None
    if any("vba" in part.filename.casefold() for part in parts):
        raise _Wrong(0, "This file holds macros; save it as .xlsx without them.")
    unpacked = sum(part.file_size for part in parts)
    if unpacked > MOST_UNPACKED or any(part.file_size > MOST_RATIO * max(part.compress_size, 10_000) for part in parts):
        raise _Wrong(0, f"This file unpacks to {unpacked:,} bytes; that is no roster.")


# Understanding -----------------------------------------------------------------------------------------------------------------------


def _understand(lines: Iterable[_Line], encoding: str, separator: str) -> Roster:
    filled = [(line, cells) for line, cells in lines if any(_shown(cell) for cell in cells)]
    if not filled:
        raise _Wrong(0, "The file is empty.")
    (at, head), *body = filled
    columns, ignored = _columns(at, head)
    if not body:
        raise _Wrong(at, "There is nobody below the heading.")
    if len(body) > MOST_ROWS:
        raise _Wrong(0, f"There are more than {MOST_ROWS:,} people in the file; import them in parts.")
    read_rows = [_row(line, cells, columns, len(head)) for line, cells in body]
    rows = tuple(each for each in read_rows if isinstance(each, Row))
    errors = [each for each in read_rows if isinstance(each, RowError)] + _clashes(rows)
    return Roster(rows, tuple(sorted(errors, key=lambda each: each.line)), encoding, separator, ignored)


def _columns(at: int, head: Sequence[Any]) -> tuple[dict[str, int], tuple[str, ...]]:
    if len(head) > MOST_COLUMNS:
        raise _Wrong(at, f"There are more than {MOST_COLUMNS} columns; keep name, role, group and phone.")
    columns: dict[str, int] = {}
    ignored = []
    for place, cell in enumerate(head):
        known = _head(cell)
        if known is None:
            ignored += [_shown(cell)[:40]] if _shown(cell) else []
        elif known in columns:
            raise _Wrong(at, f"Two columns are headed {known}; keep one.")
        else:
            columns[known] = place
    if missing := [each for each in ("name", "group") if each not in columns]:
        raise _Wrong(
            at,
            f"No column is headed {' or '.join(missing)}; the first line has name, role, group, phone (姓名 角色 小组 电话).",
        )
    return columns, tuple(ignored)


def _head(cell: Any) -> str | None:
    return _HEAD_OF.get(_shown(cell).casefold().strip(' "'))


def _row(line: int, cells: Sequence[Any], columns: dict[str, int], width: int) -> Row | RowError:
    if any(_shown(cell) for cell in cells[width:]):
        return RowError(
            line, "There are more cells here than columns in the heading; put quotation marks around a text with a separator in it."
        )
    got = {head: cells[place] if place < len(cells) else None for head, place in columns.items()}
    try:
        name, group = _name(got["name"]), _shown(got["group"])
        if not group:
            raise ValueError("There is no group; write its code or its name.")
        return Row(line, name, _role(got.get("role")), group, _phone(got.get("phone")))
    except ValueError as wrong:
        return RowError(line, str(wrong))


def _shown(cell: Any) -> str:
    """A cell as one line, without marks that would turn the direction of what follows."""
    if cell is None:
        return ""
    text = str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
    return " ".join(unicodedata.normalize("NFC", _DIRECTIONS.sub("", text)).split())


def _name(cell: Any) -> str:
    name = _shown(cell)
    if not name:
        raise ValueError("There is no name.")
    if not isinstance(cell, str):
        raise ValueError("The name is a number or a date; write it as text.")  # noqa: TRY004 - somebody's mistake, not ours
    if len(name) > _MOST_NAME or "\n" in cell.strip():
        raise ValueError(f"A name is one line of at most {_MOST_NAME} characters.")
    return name


def _role(cell: Any) -> Role:
    role = _ROLE_OF.get(_shown(cell).casefold())
    if role is None:
        shown = _shown(cell)[:40]
        raise ValueError(
            f"There is no role {shown!r}; write participant, leader, assistant, mentor, administrator (组员 组长 助教 导师 管理员)."
        )
    return role


def _phone(cell: Any) -> str | None:
    text = re.sub(r"[\s\-()]", "", unicodedata.normalize("NFKC", _shown(cell)))
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
