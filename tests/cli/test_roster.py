"""Rosters as they really come (bad-inputs.md J1, J2, J4, J5), imported on both databases."""

import csv
import io
import stat
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from app import accounts, courses, groups, roster
from app.cells import harmless
from app.db import Database, Tx
from app.errors import Invalid
from app.keyring import Keyring
from app.people import meet
from app.roster import Issued, Plan, Roster, parse
from tests.cli.conftest import Tongban, refused

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HEAD = "姓名,角色,小组,电话\n"
TWO = HEAD + "小雨,组员,dawn,13800138001\n李老师,组长,晨光组,+86 138-0013-8002\n"


def text(content: str | bytes) -> Roster:
    """The roster in the text of a CSV file."""
    return parse(".csv", content.encode() if isinstance(content, str) else content)


def sheet(*rows: tuple[Any, ...]) -> bytes:
    """An Excel file."""
    book = openpyxl.Workbook()
    for row in rows:
        assert book.active is not None
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    book.close()
    return out.getvalue()


class Desk:
    """A course with two groups on one database, and the two things that one does with a roster."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self.database, self.keyring = database, keyring
        self.course = database.write_now(self._make)

    def _make(self, tx: Tx) -> int:
        account = accounts.add(tx, self.keyring, NOW, name="msc", appid="wx1", original_id="gh_1", secret="s")
        course = courses.create(tx, self.keyring, NOW, account_id=account, code="msc-1", title="正念")
        groups.create(tx, course, code="dawn", name="晨光组")
        groups.create(tx, course, code="breeze", name="清风组")
        return course

    def plan(self, read: Roster) -> Plan:
        return self.database.read_now(lambda tx: roster.plan(tx, self.keyring, self.course, read))

    def commit(self, read: Roster) -> list[Issued]:
        return self.database.write_now(lambda tx: roster.commit(tx, self.keyring, self.course, read, NOW))

    def join(self, code: str) -> None:
        account = self.database.read_now(lambda tx: accounts.by_name(tx, "msc"))

        def work(tx: Tx) -> None:
            groups.join(tx, self.keyring, meet(tx, self.keyring, account, "oSomebody_1", NOW).id, code, NOW)

        self.database.write_now(work)


@pytest.fixture
def desk(database_url: str, keyring: Keyring) -> Iterator[Desk]:
    with Database(database_url) as database:
        yield Desk(database, keyring)


# J1: encodings -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "named"), [("utf-8", "UTF-8"), ("utf-8-sig", "UTF-8"), ("gbk", "GB18030"), ("gb18030", "GB18030"), ("utf-16", "UTF-16")]
)
def test_j1_the_usual_encodings_are_told_apart(encoding: str, named: str) -> None:
    read = text(TWO.encode(encoding))
    assert not read.errors
    assert read.encoding == named
    assert [row.name for row in read.rows] == ["小雨", "李老师"]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("name,group\nAmy,dawn\nAndrés,dawn\n".encode("latin-1"), 3),
        ("name,group\nJosé,dawn\n".encode("latin-1"), 2),
        (HEAD.encode() + "小雨,组员,dawn,\n".encode("gbk"), 2),
        (HEAD.encode("gbk") + "小雨,组员,dawn,\n".encode(), 1),
        (TWO.encode()[:-1] + "雨".encode()[:2], 3),
        (TWO.encode("gbk") + "雨".encode("gbk")[:1], 4),
        (b"name,group\nA\x00B,dawn\n", 2),
        (bytes(range(256)), 1),
        (b"\xff\xfen\x00a", 0),
    ],
    ids=["latin-1", "latin-1 at a comma", "mixed", "mixed the other way", "cut UTF-8", "cut GBK", "zero byte", "binary", "odd UTF-16"],
)
def test_j1_a_file_that_cannot_be_right_is_refused_with_its_line(content: bytes, line: int) -> None:
    read = text(content)
    assert not read.rows
    assert [error.line for error in read.errors] == [line] or (line == 0 and read.errors)
    assert read.errors[0].sentence.endswith(".")


def test_j1_the_preview_names_the_encoding_and_shows_the_first_lines(course: Tongban, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_bytes(TWO.encode("gbk"))
    done = course("roster", "import", "r.csv")
    assert "Read as GB18030" in done.out
    assert "小雨" in done.out
    assert "Nothing was changed" in done.out


# J2: shapes --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_j2_three_separators_are_known(separator: str) -> None:
    read = text(TWO.replace(",", separator))
    assert (len(read.rows), read.errors, read.separator) == (2, (), separator)


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        ("", 0, "empty"),
        ("\n \n", 0, "empty"),
        (HEAD, 1, "nobody"),
        ("姓名,姓名,小组\n小雨,小雨,dawn\n", 1, "Two columns"),
        ("姓名,电话\n小雨,1\n", 1, "group"),
        ("小雨,组员,dawn\n", 1, "name or group"),
        (HEAD + '小雨,组员,"dawn,1380\n', 2, "Quotation marks"),
        (HEAD + '小雨,组员,dawn,1"2"3\n"x"y,,dawn,\n', 3, "Quotation marks"),
        (HEAD + '"小\n雨",组员,dawn,\n', 2, "one line"),
        (HEAD + "小雨,组员,dawn,13800138001,多\n", 2, "more cells"),
        (HEAD + ",组员,dawn,\n", 2, "no name"),
        (HEAD + "小雨,组员,,\n", 2, "no group"),
        (HEAD + "小雨,国王,dawn,\n", 2, "no role"),
        (HEAD + "小雨,组员,dawn,1.38E+10\n", 2, "shortened by Excel"),
        (HEAD + "小雨,组员,dawn,none\n", 2, "5 to 15 digits"),
        (HEAD + "长" * 61 + ",组员,dawn,\n", 2, "at most 60"),
        ("名" + "," * 10_000 + "\n", 1, "more than 50 columns"),
    ],
)
def test_j2_what_does_not_fit_is_named_with_its_line(content: str, line: int, says: str) -> None:
    errors = text(content).errors
    assert [(error.line, says in error.sentence) for error in errors] == [(line, True)], errors


def test_j2_a_quoted_cell_may_hold_a_separator() -> None:
    assert text(HEAD + '"雨, 小",组员,dawn,\n').rows[0].name == "雨, 小"


def test_j2_a_line_of_a_megabyte_and_a_file_that_is_too_large_are_refused_at_once(tmp_path: Path) -> None:
    began = time.process_time()
    assert text(HEAD + "x" * 1_000_000 + ",组员,dawn,\n").errors
    (tmp_path / "big.csv").write_bytes(b"x" * (roster.MOST_BYTES + 1))
    assert "at most" in roster.read(tmp_path / "big.csv").errors[0].sentence
    assert time.process_time() - began < 2


def test_j2_with_one_wrong_line_nothing_is_imported(desk: Desk) -> None:
    read = text(TWO + "阿宁,组员,nowhere,\n")
    assert [(error.line, "no group 'nowhere'" in error.sentence) for error in desk.plan(read).errors] == [(4, True)]
    with pytest.raises(Invalid):
        desk.commit(read)
    assert desk.plan(text(TWO)).count("new") == 2


# J3: Excel ---------------------------------------------------------------------------------------------------------------------------


def test_j3_excel_is_read_and_phones_stay_text() -> None:
    read = parse(".xlsx", sheet(("姓名", "小组", "电话"), ("小雨", "dawn", "013800138001"), ("阿宁", "dawn", 13800138002)))
    assert not read.errors
    assert [row.phone for row in read.rows] == ["013800138001", "13800138002"]


@pytest.mark.parametrize("phone", [13800000000, 1.38e10, 138001.5, True, datetime(2026, 3, 2, tzinfo=UTC).replace(tzinfo=None)])
def test_j3_a_phone_that_lost_digits_is_refused(phone: object) -> None:
    read = parse(".xlsx", sheet(("姓名", "小组", "电话"), ("小雨", "dawn", phone)))
    assert [error.line for error in read.errors] == [2]


def test_j3_a_date_is_no_name() -> None:
    read = parse(".xlsx", sheet(("姓名", "小组"), (datetime(2026, 3, 2), "dawn")))  # noqa: DTZ001 - cells have no zone
    assert "number or a date" in read.errors[0].sentence


def test_j3_a_bomb_is_refused_before_it_unpacks() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 60_000_000)
    began = time.process_time()
    assert "unpacks to" in parse(".xlsx", out.getvalue()).errors[0].sentence
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".xlsx", TWO.encode()),
        (".csv", sheet(("name", "group"))),
        (".xls", b"\xd0\xcf\x11\xe0"),
        (".xlsm", b"PK"),
        ("", b"x"),
        (".xlsx", b"PK\x03\x04"),
    ],
)
def test_j3_a_file_of_another_kind_is_refused(suffix: str, content: bytes) -> None:
    assert parse(suffix, content).errors


def test_j3_entities_in_a_sheet_are_not_expanded() -> None:
    rows = b'<sheetData><row><c t="str"><v>&a;</v></c></row></sheetData>'
    hostile = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "boom">]><worksheet>' + rows + b"</worksheet>"
    original, out = zipfile.ZipFile(io.BytesIO(sheet(("name", "group"), ("a", "dawn")))), io.BytesIO()
    with original, zipfile.ZipFile(out, "w") as archive:
        for part in original.namelist():
            archive.writestr(part, hostile if part.endswith("sheet1.xml") else original.read(part))
    read = parse(".xlsx", out.getvalue())
    assert not read.rows
    assert "boom" not in str(read)


# J4: again, overlapping, changed -------------------------------------------------------------------------------------------------------


def test_j4_the_same_roster_twice_is_one_invitation_each(desk: Desk) -> None:
    first, second = desk.commit(text(TWO)), desk.commit(text(TWO))
    assert [each.code for each in first] == [each.code for each in second]
    assert desk.plan(text(TWO)).count("known") == 2


def test_j4_an_overlapping_roster_adds_only_who_is_new(desk: Desk) -> None:
    desk.commit(text(TWO))
    planned = desk.plan(text(TWO + "阿宁,组员,breeze,13800138003\n"))
    assert (planned.count("new"), planned.count("known")) == (1, 2)


@pytest.mark.parametrize("changed", ["小雨,组员,breeze,13800138001", "小雨,组员,dawn,13900139001", "大雨,组员,dawn,13800138001"])
def test_j4_a_changed_row_is_shown_and_its_earlier_code_ends(changed: str, desk: Desk) -> None:
    before = desk.commit(text(TWO))[0]
    read = text(TWO.replace("小雨,组员,dawn,13800138001", changed))
    assert desk.plan(read).count("changed") == 1
    after = desk.commit(read)[0]
    assert after.code != before.code
    with pytest.raises(groups.Refused, match="expired"):
        desk.join(before.code)
    assert desk.plan(read).count("known") == 2


def test_j4_who_has_joined_is_not_changed_any_more(desk: Desk) -> None:
    read = text(HEAD + "李老师,组长,dawn,13800138002\n")
    before = desk.commit(read)[0]
    desk.join(before.code)
    moved = text(HEAD + "李老师,组长,breeze,13800138002\n")
    assert desk.plan(moved).count("joined") == 1
    assert [(each.code, each.state) for each in desk.commit(moved)] == [(before.code, "used")]


@pytest.mark.parametrize(
    ("second", "says"), [("小雨,组员,dawn,13800138001", "same person"), ("小雨,组员,breeze,13800138001", "takes part twice")]
)
def test_j4_nobody_stands_in_a_roster_twice(second: str, says: str) -> None:
    read = text(f"{HEAD}小雨,组员,dawn,13800138001\n{second}\n")
    assert [(error.line, says in error.sentence) for error in read.errors] == [(3, True)]


# J5: names ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["小雨🌧️", "👨‍👩‍👧 一家", "ཏན་ཛིན", "ئايگۈل", "𠮷田", "𪚥", "Zoë", "=HYPERLINK(1)", "<b>小雨</b>"])
def test_j5_every_name_is_kept(name: str, desk: Desk) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([("姓名", "小组"), (name, "dawn")])
    issued = desk.commit(text(out.getvalue()))
    assert [each.row.name for each in issued] == [name]
    assert desk.plan(text(out.getvalue())).count("known") == 1


def test_j5_marks_that_turn_the_direction_of_writing_are_dropped() -> None:
    assert text("name,group\n\u202e小雨\u2066,dawn\n").rows[0].name == "小雨"


# The command -------------------------------------------------------------------------------------------------------------------------


def test_codes_are_written_for_their_owner_only_and_no_cell_is_a_formula(course: Tongban, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(HEAD + "=1+1,组员,dawn,+8613800138001\n", encoding="utf-8")
    done = course("roster", "import", "r.csv", "--commit", "--codes", "codes.csv")
    assert done.code == 0, done.err
    written = tmp_path / "codes.csv"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    rows = list(csv.DictReader(io.StringIO(written.read_text(encoding="utf-8-sig"))))
    assert [(row["name"], row["phone"], row["state"]) for row in rows] == [("'=1+1", "'+8613800138001", "open")]
    assert len(rows[0]["code"]) == 10
    assert "does not exist yet" in refused(course("roster", "import", "r.csv", "--commit", "--codes", "codes.csv"))


def test_without_a_file_the_codes_are_printed(course: Tongban, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(TWO, encoding="utf-8")
    assert "小雨,participant,dawn" in course("roster", "import", "r.csv", "--commit").out


def test_a_wrong_line_is_shown_and_leaves_no_file(course: Tongban, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(HEAD + "小雨,组员,nowhere,\n", encoding="utf-8")
    done = course("roster", "import", "r.csv", "--commit", "--codes", "codes.csv")
    assert done.code == 1
    assert "line 2: There is no group" in done.err
    assert not (tmp_path / "codes.csv").exists()


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@x", "\tx", "＝1", ";=1", '"=1', "cmd|' /C calc'!A0", "HYPERLINK(1)", "cmd"])
def test_j8_cells_that_begin_like_a_formula_are_defused(cell: str) -> None:
    assert harmless(cell) == (cell if cell == "cmd" else f"'{cell}")
