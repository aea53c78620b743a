"""Hides files of rows that people bring: CSV in the encodings and separators that Excel writes, and Excel's own; read strictly.

An encoding is never guessed silently: what does not decode as a whole, or looks as if it were decoded wrongly, is refused with its line
(bad-inputs.md J). What a cell says is text: no formula is run.
"""

import csv
import io
import re
import unicodedata
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import Invalid

#: A roster of 5,000 people has about 300 KB; what is larger, or unpacks to a hundred times its size, was not written by people.
MOST_BYTES, MOST_UNPACKED, MOST_RATIO = 5_000_000, 50_000_000, 100
MOST_ROWS, MOST_COLUMNS = 5_000, 50

_SEPARATORS = (",", ";", "\t", "，", "；")
_DIRECTIONS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
#: Two bytes of a Western text that were read as one Chinese character: `Andrés` becomes `Andr閟`.
_GLUED = re.compile(r"[A-Za-z][\u3400-\u9fff\ue000-\uf8ff]|[\u3400-\u9fff\ue000-\uf8ff][a-z]|[\ue000-\uf8ff]")

#: A line of the file, from 1, and its cells.
Line = tuple[int, Sequence[Any]]


@dataclass(frozen=True)
class RowError:
    """What is wrong in a line, with the remedy. Line 0: the whole file."""

    line: int
    sentence: str


class Wrong(Exception):
    """The file cannot be read any further; carries the line and the sentence."""

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(sentence)
        self.error = RowError(line, sentence)


@dataclass(frozen=True)
class Rows:
    """A file's lines in which something stands; the first is the heading. `separator` is empty for Excel."""

    lines: tuple[Line, ...]
    encoding: str
    separator: str


def read(path: Path, headings: Mapping[str, str], what: str) -> Rows:
    """The rows of a .csv, .tsv, .txt or .xlsx file, as `parse` gives them. Raises `Wrong`, and `Invalid` where there is no such file."""
    try:
        size = path.stat().st_size
        content = path.read_bytes() if path.is_file() and size <= MOST_BYTES else b""
    except (OSError, ValueError):
        raise Invalid(what, f"Cannot read {str(path)!r}; name a .csv or .xlsx file.") from None
    if size > MOST_BYTES:
        raise Wrong(0, f"The file has {size:,} bytes; a {what} has at most {MOST_BYTES:,}.")
    return parse(path.suffix.lower(), content, headings, what)


def parse(suffix: str, content: bytes, headings: Mapping[str, str], what: str) -> Rows:
    """The rows in a file's bytes; `suffix` is how its name ends, with the dot. Raises `Wrong`.

    `headings`: every heading that is known, in small letters, and the column that it means. `what` the file should be, for sentences.
    """
    if suffix == ".xlsx":
        return Rows(_filled(_sheet(content, what)), "Excel", "")
    if suffix in {".csv", ".tsv", ".txt"}:
        text, encoding = _decode(content, headings)
        separator = max(_SEPARATORS, key=lambda each: len(_headings_in(text, each, headings)))
        return Rows(_filled(_cells(text, separator)), encoding, separator)
    raise Wrong(0, f"A file that ends in {suffix or 'nothing'} is no {what}; save it as .xlsx or .csv.")


def columns(line: Line, headings: Mapping[str, str]) -> tuple[dict[str, int], tuple[str, ...]]:
    """Where each known column stands, and the headings that nobody knows. Raises `Wrong`."""
    at, head = line
    if len(head) > MOST_COLUMNS:
        raise Wrong(at, f"There are more than {MOST_COLUMNS} columns; keep {', '.join(dict.fromkeys(headings.values()))}.")
    places: dict[str, int] = {}
    unknown = []
    for place, cell in enumerate(head):
        known = headings.get(_heading(cell))
        if known is None:
            unknown += [shown(cell)[:40]] if shown(cell) else []
        elif known in places:
            raise Wrong(at, f"Two columns are headed {known}; keep one.")
        else:
            places[known] = place
    return places, tuple(unknown)


def shown(cell: Any) -> str:
    """A cell as one line, without marks that would turn the direction of what follows."""
    return " ".join(cleaned(cell).split())


def cleaned(cell: Any) -> str:
    """A cell as it stands, line breaks too, without marks that would turn the direction of what follows."""
    if cell is None:
        return ""
    text = str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
    return unicodedata.normalize("NFC", _DIRECTIONS.sub("", text))


def overfull(line: Line, width: int) -> str | None:
    """The sentence for a line with more in it than the heading has columns; None where it fits."""
    if any(shown(cell) for cell in line[1][width:]):
        return "There are more cells here than columns in the heading; put quotation marks around a text with a separator in it."
    return None


def _heading(cell: Any) -> str:
    return shown(cell).casefold().strip(' "')


def _headings_in(text: str, separator: str, headings: Mapping[str, str]) -> set[str]:
    first = next((line for line in text.splitlines() if line.strip()), "")
    return {_heading(cell) for cell in first.split(separator)} & headings.keys()


def _filled(lines: Iterable[Line]) -> tuple[Line, ...]:
    found = tuple((line, cells) for line, cells in lines if any(shown(cell) for cell in cells))
    if not found:
        raise Wrong(0, "The file is empty.")
    return found


def _decode(content: bytes, headings: Mapping[str, str]) -> tuple[str, str]:
    if not content.strip():
        raise Wrong(0, "The file is empty.")
    if content.startswith(b"PK\x03\x04"):
        raise Wrong(0, "This is an Excel or zip file, whatever its name says; an Excel file must end in .xlsx.")
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return _strictly(content, encoding), encoding.removesuffix("-sig").upper()
    if b"\x00" in content:
        raise Wrong(
            _line_at(content, content.index(b"\x00")), "Here is a zero byte: this is no text file; save it as .xlsx or as CSV in UTF-8."
        )
    return _without_mark(content, headings)


def _without_mark(content: bytes, headings: Mapping[str, str]) -> tuple[str, str]:
    """UTF-8 where every line is; GB18030 where no line is; a mixture is nobody's encoding. Known Chinese headings prove GB18030."""
    special = [(number, line) for number, line in enumerate(content.split(b"\n"), start=1) if not line.isascii()]
    utf8 = [number for number, line in special if _is_utf8(line)]
    if len(utf8) == len(special):
        return _strictly(content, "utf-8"), "UTF-8"
    if utf8:
        other = next(number for number, line in special if number not in utf8)
        raise Wrong(other, f"This line is not UTF-8, but line {utf8[0]} is: two encodings are mixed; save the file again as CSV UTF-8.")
    text = _strictly(content, "gb18030")
    if any(not heading.isascii() for separator in _SEPARATORS for heading in _headings_in(text, separator, headings)):
        return text, "GB18030"
    for number, line in enumerate(text.split("\n"), start=1):
        if _GLUED.search(line):
            raise Wrong(
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
        named = "UTF-8 or GB18030" if encoding == "gb18030" else encoding.removesuffix("-sig").upper()
        raise Wrong(_line_at(content, wrong.start), f"This line is not readable as {named}; save the file again as CSV UTF-8.") from None
    if any(unicodedata.category(each) == "Cc" and each not in "\t\r\n" for each in text):
        raise Wrong(0, "There are control characters in this file: it is no text file; save it as .xlsx or as CSV in UTF-8.")
    return text


def _line_at(content: bytes, place: int) -> int:
    return content.count(b"\n", 0, place) + 1


def _cells(text: str, separator: str) -> Iterable[Line]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    before = 0
    try:
        for cells in reader:
            yield before + 1, cells
            before = reader.line_num
    except csv.Error:
        raise Wrong(before + 1, "Quotation marks do not match from here on; close them, or leave them out.") from None


def _sheet(content: bytes, what: str) -> Iterable[Line]:
    # Taken when a sheet comes: it is a large library, and every web process can read rosters and seldom does.
    import openpyxl  # noqa: PLC0415 - as above
    from openpyxl.utils.exceptions import InvalidFileException  # noqa: PLC0415 - as above

    _refuse_bomb(content, what)
    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # what a file says about its own size is not believed
        rows = sheet.iter_rows(values_only=True, max_col=MOST_COLUMNS + 1, max_row=MOST_ROWS + 2)
        yield from enumerate(map(_trimmed, rows), start=1)
        book.close()
    except (InvalidFileException, zipfile.BadZipFile, KeyError, IndexError, ValueError, TypeError, AttributeError, OSError, SyntaxError):
        # What openpyxl raises for a broken or hostile file is not a closed list; ParseError is a SyntaxError, Defused… a ValueError.
        raise Wrong(0, "This Excel file cannot be read; open it in Excel and save it again as .xlsx, or as CSV UTF-8.") from None


def _trimmed(cells: Sequence[Any]) -> Sequence[Any]:
    """Without the empty cells to the right, which openpyxl adds."""
    filled = [place for place, cell in enumerate(cells, start=1) if cell is not None]
    return cells[: filled[-1]] if filled else ()


def _refuse_bomb(content: bytes, what: str) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError):
        raise Wrong(0, "This is no Excel file, whatever its name says; save it as .xlsx.") from None
    if any("vba" in part.filename.casefold() for part in parts):
        raise Wrong(0, "This file holds macros; save it as .xlsx without them.")
    unpacked = sum(part.file_size for part in parts)
    if unpacked > MOST_UNPACKED or any(part.file_size > MOST_RATIO * max(part.compress_size, 10_000) for part in parts):
        raise Wrong(0, f"This file unpacks to {unpacked:,} bytes; that is no {what}.")
