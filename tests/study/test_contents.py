"""What an export says, on both databases: every table against what happened."""

import codecs
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

import migrations
from app import ids
from app.db import Tx
from app.models import Screening, Wave, Wording
from app.packed import written
from app.questionnaires import waves
from app.study import tables
from app.study.columns import COLUMNS, EACH_ITEM, WORDS
from bots.questionnaire.instrument import find
from bots.texts import LANGUAGES
from tests.delivery.scene import NOW, Desk
from tests.study.scene import BASELINE, CLOSES, DASS, LATER, OPENS, SCS, SWLS, Course, files, play, shanghai, table

Files = dict[str, str]
#: Value, missing reason, seconds after the opening, times answered, road, late.
Cells = tuple[str, str, str, str, str, str]
NOTHING = {
    ("不想填", "baseline"): "refused",
    ("删答案", "baseline"): "erased",
    ("留答案", "baseline"): "withdrawn",
    ("迟到", "baseline"): "not_answered",
    ("后来", "baseline"): "not_invited",
    ("完成", "post"): "window_closed",
    ("不想填", "post"): "window_closed",
    ("删答案", "post"): "not_invited",
    ("留答案", "post"): "not_invited",
    ("迟到", "post"): "window_closed",
    ("后来", "post"): "window_closed",
}
GIVEN: dict[tuple[str, str, str, str], Cells] = {
    ("完成", "baseline", "intake", "gender"): ("1", "", "120", "1", "tapped", "0"),
    ("完成", "baseline", "intake", "age"): ("37", "", "180", "2", "typed", "0"),
    ("完成", "baseline", "intake", "education"): ("2", "", "120", "1", "tapped", "0"),
    ("完成", "baseline", "intake", "meditated"): ("2", "", "180", "2", "typed", "0"),
    ("完成", "baseline", "intake", "meditated_for"): ("", "not_asked", "", "1", "", ""),
    ("完成", "baseline", "intake", "first_time"): ("1", "", "120", "1", "tapped", "0"),
    ("完成", "baseline", "intake", "other_training"): ("", "skipped", "120", "1", "tapped", "0"),
    ("完成", "baseline", "intake", "city"): ("1", "words_not_exported", "120", "1", "tapped", "0"),
    **{("完成", "baseline", "swls", str(item)): (str(value), "", "240", "1", "many", "0") for item, value in enumerate(SWLS, 1)},
    ("完成", "baseline", "swls", "3"): ("", "skipped", "240", "1", "many", "0"),
    **{("完成", "baseline", "dass21", str(item)): (str(value), "", "300", "1", "web", "0") for item, value in enumerate(DASS, 1)},
    **{("完成", "baseline", "dass21", str(item)): ("", "skipped", "300", "1", "web", "0") for item in (2, 3, 4)},
    **{("完成", "baseline", "scs", str(item)): (str(value), "", "300", "1", "tapped", "0") for item, value in enumerate(SCS, 1)},
    ("留答案", "baseline", "intake", "meditated"): ("1", "", "60", "1", "tapped", "0"),
    ("留答案", "baseline", "intake", "meditated_for"): ("2", "", "60", "1", "tapped", "0"),
    ("迟到", "baseline", "intake", "meditated"): ("", "skipped", "172800", "1", "tapped", "1"),
    ("迟到", "baseline", "intake", "meditated_for"): ("", "not_asked", "", "0", "", ""),
    ("留答案", "baseline", "swls", "1"): ("3", "", "60", "1", "tapped", "0"),
    ("迟到", "baseline", "swls", "1"): ("2", "", "172800", "1", "tapped", "1"),
    ("迟到", "baseline", "swls", "2"): ("2", "", "172800", "1", "tapped", "1"),
    ("后来", "post", "swls", "1"): ("1", "", "90", "1", "tapped", "0"),
    ("后来", "post", "swls", "2"): ("1", "", "90", "1", "tapped", "0"),
}
ITEMS = [("baseline", code, item.name) for code in BASELINE for item in find()[code].items]
ITEMS += [("post", "swls", str(item)) for item in range(1, 6)]
POST = CLOSES + timedelta(days=1)


@dataclass(frozen=True)
class Played:
    """The study after it was played: numbers by name, and the files of its export."""

    numbers: dict[str, str]
    folder: Path

    def number(self, name: str) -> str:
        """Somebody's number."""
        return self.numbers[name]


@pytest.fixture(scope="module")
def course(shared_url: str, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The study, played once on each database."""
    folder = tmp_path_factory.mktemp("study")
    with Desk(shared_url) as desk:
        played = Course(desk)
        play(played)
        played.export(folder / "study.zip")
        return Played({name: played.number(name) for name in played.known}, folder)


@pytest.fixture(scope="module")
def zipped(course: Played) -> Files:
    """The files of its export."""
    return files(course.folder / "study.zip")


def people(course: Played) -> list[str]:
    """Names in the order of their numbers."""
    return sorted(course.numbers, key=course.number)


def test_the_header_of_every_table_is_its_allow_list(zipped: Files) -> None:
    assert list(zipped) == [*COLUMNS, "notes.md"], "always in one order"
    items = ["_".join(each) for each in ITEMS]
    for name, columns in COLUMNS.items():
        expected = [one for column in columns for one in (items if column == EACH_ITEM else [column])]
        assert zipped[name].splitlines()[0] == ",".join(expected)
    assert "baseline_scs_1" in zipped["wide.csv"]
    assert "baseline_intake_age" in zipped["wide.csv"]


def test_participants_are_numbers_with_a_state(course: Played, zipped: Files) -> None:
    left = {"删答案": ("withdrawn", "2026-11-24", "1"), "留答案": ("withdrawn", "2026-11-23", "0")}
    expected = [(course.number(name), *left.get(name, ("active", "", "0"))) for name in people(course)]
    assert [tuple(row.values()) for row in table(zipped["participants.csv"])] == expected


def test_every_item_of_everybody_has_a_row_with_a_value_or_a_reason(course: Played, zipped: Files) -> None:
    rows = iter(table(zipped["long.csv"]))
    opened = {"baseline": OPENS, "post": POST}
    for name in people(course):
        for wave, code, item in ITEMS:
            row = next(rows)
            assert (row["number"], row["wave"], row["instrument"], row["name"]) == (course.number(name), wave, code, item)
            expected = GIVEN.get((name, wave, code, item)) or ("", NOTHING[name, wave], "", "0", "", "")
            found = tuple(row[each] for each in ("value", "missing", "seconds_after_opening", "times_answered", "road", "late"))
            assert found == expected, (name, wave, code, item)
            seconds = row["seconds_after_opening"]
            assert row["answered_at"] == (shanghai(opened[wave] + timedelta(seconds=int(seconds))) if seconds else "")
            assert row["version"] == "1"
    assert next(rows, None) is None


def test_the_wide_table_has_the_values_of_the_long_one(course: Played, zipped: Files) -> None:
    rows = table(zipped["wide.csv"])
    assert [row["number"] for row in rows] == [course.number(name) for name in people(course)]
    for name, row in zip(people(course), rows, strict=True):
        assert row == {"number": course.number(name)} | {"_".join(each): GIVEN.get((name, *each), ("",))[0] for each in ITEMS}


def test_scores_are_all_there_with_what_is_missing(course: Played, zipped: Files) -> None:
    rows = table(zipped["scores.csv"])
    keys = [
        (wave, code, rule.code)
        for wave, code in [*(("baseline", code) for code in BASELINE), ("post", "swls")]
        for rule in find()[code].scores
    ]
    assert [(row["number"], row["wave"], row["instrument"], row["score"]) for row in rows] == [
        (course.number(name), *key) for name in people(course) for key in keys
    ]
    cells = ("value", "missing", "prorated", "band", "complete_value")
    mine = {
        (row["instrument"], row["score"]): tuple(row[each] for each in cells)
        for row in rows
        if row["number"] == course.number("完成") and row["wave"] == "baseline"
    }
    assert mine["scs", "total"] == ("3.475", "0", "0", "moderate", "3.475")
    assert mine["scs", "total_of_items"] == ("3.5", "0", "0", "", "3.5")
    assert mine["dass21", "depression"] == ("8.166667", "1", "1", "moderate", "")
    assert mine["dass21", "depression_doubled"] == ("16.333333", "1", "1", "moderate", "")
    assert mine["dass21", "anxiety"] == ("", "2", "0", "", "")
    assert mine["dass21", "stress"] == ("13", "0", "0", "severe", "13")
    assert mine["dass21", "stress_doubled"] == ("26", "0", "0", "severe", "26")
    assert mine["swls", "swls_sum"] == ("", "1", "0", "", ""), "a score that may miss none"
    theirs = [row for row in rows if row["number"] == course.number("删答案")]
    assert {(row["value"], row["complete_value"]) for row in theirs} == {("", "")}


def test_assignments_have_every_change_with_its_cause(course: Played, zipped: Files) -> None:
    order, late = " ".join(BASELINE), OPENS + timedelta(days=2)
    monday = "2026-11-23"
    invited = ("baseline", "1", "invited", "wave_open", monday, "", "", order)
    closed = ("post", "2", "window_closed", "wave_closed", "2026-11-29", shanghai(CLOSES + timedelta(days=4)), "259200", "swls")
    again = ("post", "1", "invited", "wave_open", "2026-11-26", "", "", "swls")

    def by_person(step: int, state: str, cause: str, minutes: int) -> tuple[str, ...]:
        at = shanghai(OPENS + timedelta(minutes=minutes))
        return ("baseline", str(step), state, cause, monday, at, str(minutes * 60), order)

    expected: dict[str, list[tuple[str, ...]]] = {
        "完成": [
            invited,
            ("baseline", "2", "reached", "delivered", monday, "", "", order),
            by_person(3, "opened", "opened", 1),
            by_person(4, "partial", "answered", 2),
            by_person(5, "complete", "handed_in", 6),
            again,
            closed,
        ],
        "不想填": [invited, by_person(2, "refused", "declined", 1), again, closed],
        "删答案": [
            invited,
            ("baseline", "2", "partial", "answered", monday, "", "", order),
            ("baseline", "3", "withdrawn", "withdrew", "2026-11-24", "", "", order),
        ],
        "留答案": [
            invited,
            by_person(2, "partial", "answered", 1),
            ("baseline", "3", "withdrawn", "withdrew", monday, "", "", order),
        ],
        "迟到": [invited, ("baseline", "2", "partial", "answered", "2026-11-25", shanghai(late), "172800", order), again, closed],
        "后来": [
            again,
            ("post", "2", "partial", "answered", "2026-11-26", shanghai(POST + timedelta(seconds=90)), "90", "swls"),
            ("post", "3", *closed[2:]),
        ],
    }
    rows = table(zipped["assignments.csv"])
    told = [(row["number"], *list(row.values())[1:-1]) for row in rows]
    assert told == [(course.number(name), *each) for name in people(course) for each in expected[name]]
    assert all(row["seed"].isdigit() for row in rows)


def test_waves_that_have_opened_are_told(zipped: Files) -> None:
    assert [tuple(row.values()) for row in table(zipped["waves.csv"])] == [
        (
            "baseline",
            "baseline 问卷",
            "baseline questionnaires",
            shanghai(OPENS),
            shanghai(CLOSES),
            "closed",
            "keep",
            "1",
            "0",
            " ".join(BASELINE),
        ),
        (
            "post",
            "post 问卷",
            "post questionnaires",
            shanghai(POST),
            shanghai(POST + timedelta(days=2)),
            "closed",
            "refuse",
            "1",
            "1",
            "swls",
        ),
    ]


def test_i7_cells_of_fewer_than_five_are_not_told_nor_what_gives_them_away() -> None:
    whole = {"answered": 435, "included": 253, "declined": 20, "no_questionnaires": 6, "no_time": 156, "other": 0}
    assert tables._without_small(whole) == whole
    few = {"answered": 280, "included": 253, "declined": 20, "no_questionnaires": 4, "no_time": 3, "other": 0}
    assert tables._without_small(few) == {**few, "no_questionnaires": "<5", "no_time": "<5"}
    one = {"answered": 277, "included": 253, "declined": 20, "no_questionnaires": 4, "no_time": 0, "other": 0}
    assert tables._without_small(one) == {**one, "no_questionnaires": "<5", "declined": ""}, "else 277 - 253 - 20 would be known"
    two = {"answered": 255, "included": 253, "declined": 0, "no_questionnaires": 1, "no_time": 1, "other": 0}
    told = {**two, "no_questionnaires": "<5", "no_time": "<5", "answered": ""}
    assert tables._without_small(two) == told, "else 255 - 253 would say that each is one"
    alone = {"answered": 10, "included": 7, "declined": 3, "no_questionnaires": 0, "no_time": 0, "other": 0}
    assert tables._without_small(alone) == {**alone, "declined": "<5", "answered": ""}, "who was included has a row elsewhere"
    assert tables._without_small(dict.fromkeys(alone, 0)) == dict.fromkeys(alone, 0)


def test_i7_the_flow_of_a_handful_is_counted_by_people_and_who_was_screened_out_is_not_told(database_url: str, tmp_path: Path) -> None:
    with Desk(database_url) as desk:
        course = Course(desk)
        play(course)
        desk.write(lambda tx: screen(tx, course))
        course.export(tmp_path / "study.zip")
    rows = table(files(tmp_path / "study.zip")["flow.csv"])
    screened = {row["step"]: row["count"] for row in rows if row["part"] == "screening"}
    assert screened == {"answered": "<5", "included": "<5", "declined": "<5", "no_questionnaires": "0", "no_time": "0", "other": "<5"}
    counts = {(row["part"], row["wave"], row["step"]): int(row["count"]) for row in rows if row["part"] != "screening"}
    assert {step: count for (part, _, step), count in counts.items() if part == "course"} == {
        "participants": 6, "active": 4, "withdrawn": 2, "answers_erased": 1
    }  # fmt: skip
    baseline = {step: count for (part, wave, step), count in counts.items() if wave == "baseline" and count}
    assert baseline == {"assigned": 5, "complete": 1, "refused": 1, "withdrawn": 2, "partial": 1}


def screen(tx: Tx, course: Course) -> None:
    """Three people answered the invitation, one of them twice."""
    answers = [("完成", False, "no time"), ("完成", True, ""), ("不想填", False, "declined"), ("后来", False, "something new")]
    where = {"course_id": course.desk.course_id, "source": "qr", "answered_at": NOW}
    rows = [{**where, "person_id": course.known[name].id, "included": yes, "why": why} for name, yes, why in answers]
    tx.execute(sa.insert(Screening), rows)


def test_a_wave_that_was_missed_in_a_backup_has_not_opened(database_url: str, tmp_path: Path) -> None:
    with Desk(database_url) as desk:
        course = Course(desk)
        course.joins("小雨")
        course.wave("baseline", ("swls",), OPENS)
        assert desk.write(lambda tx: waves.rest(tx, OPENS)) == 1
        assert course.export(tmp_path / "study.zip").waves == 0
    found = files(tmp_path / "study.zip")
    assert (table(found["waves.csv"]), table(found["long.csv"])) == ([], [])


def test_notes_say_what_was_prorated_and_that_demonstration_wording_measures_nothing(zipped: Files) -> None:
    chinese, _, english = zipped["notes.md"].partition("# Notes")
    for words in (
        "补过的分数一共 2 个",
        "测不出任何东西",
        "(swls)、情绪与压力 (dass21)",
        "默认的 total",
        migrations.head(),
        "2027-02-01T19:00:00+08:00",
    ):
        assert words in chinese
    for words in ("prorated: 2.", "it measures nothing", "the default, total", "- baseline, dass21, depression: 1", migrations.head()):
        assert words in english
    assert LATER.isoformat(timespec="seconds") == "2027-02-01T11:00:00+00:00"


def test_the_codebook_explains_every_column_and_every_word_in_use(zipped: Files) -> None:
    book = table(zipped["codebook.csv"])
    known = {(row["file"], row["column"], row["entry"]) for row in book}
    assert all(row["meaning_zh"] and row["meaning_en"] for row in book)
    columns = {(file, column) for file, column, _ in known}
    for name in COLUMNS:
        assert {(name, column) for column in table(zipped[name])[0]} <= columns, name
    for name, column in WORDS:
        used = {row[column] for row in table(zipped[name])} - {""}
        assert used
        assert {(name, column, word) for word in used} <= known, (name, column)
    assert {(row["instrument"], row["score"]) for row in table(zipped["scores.csv"])} <= {(r["instrument"], r["entry"]) for r in book}


def test_the_codebook_has_words_labels_and_key_of_every_item(zipped: Files) -> None:
    book = {(row["column"], row["entry"]): row for row in table(zipped["codebook.csv"])}
    first, scs = book["baseline_scs_1", "1"], find()["scs"]
    assert (first["topic"], first["words_zh"], first["words_en"]) == ("fault judging", scs.items[0].words["zh"], scs.items[0].words["en"])
    assert first["labels_en"].startswith("1 = almost never; 2 = seldom")
    assert (first["lowest"], first["highest"], first["checksum"]) == ("1", "5", scs.checksum)
    assert first["scores"] == "self_judgment total total_of_items"
    assert first["reversed_in"] == "total total_of_items"
    assert book["baseline_scs_5", "5"]["reversed_in"] == ""
    assert all("DEMONSTRATION" in first[f"wording_{language}"] for language in LANGUAGES)
    assert book["baseline_dass21_1", "1"]["time_frame_en"] == "the past week"
    assert book["baseline_intake_meditated_for", "5"]["only_if"] == "meditated in 1"
    assert "DEMONSTRATION" not in book["baseline_intake_age", "2"]["wording_en"]
    assert book["score", "total"]["made_of"] == (
        "mean(self_kindness, reversed self_judgment, common_humanity, reversed isolation, mindfulness, reversed over_identification)"
    )
    assert (book["score", "total"]["default_total"], book["score", "total_of_items"]["default_total"]) == ("1", "0")
    assert book["score", "stress_doubled"]["made_of"].startswith("2 * sum(1, 6")
    assert book["score", "stress_doubled"]["bands"].startswith("normal from 0; mild from 15")


def test_words_that_a_study_brought_are_told_by_language(database_url: str, tmp_path: Path) -> None:
    words = {
        "zh": {
            "title": "=满意",
            "opening": "@请选",
            "items": [f"+题{n}" for n in range(1, 6)],
            "labels": [[f"-{n}" for n in range(1, 8)]] * 5,
        }
    }
    with Desk(database_url) as desk:
        course = Course(desk)
        course.joins("小雨")
        row = {"id": ids.new_id(), "instrument": "swls", "version": 1, "words": words, "source": "M. Yuen 2002", "permission": "by letter"}
        desk.write(lambda tx: tx.execute(sa.insert(Wording).values(**row, translation="checked", checksum="c" * 64, imported_at=NOW)))
        course.wave("baseline", ("swls",), OPENS)
        titled = {"title": {"zh": "=HYPERLINK(1)", "en": "\tx"}, "reminders": {"days": [], "hour": "19:00"}}
        desk.write(lambda tx: tx.execute(sa.update(Wave).values(plan={**tx.execute(sa.select(Wave.plan)).scalar_one(), **titled})))
        course.ticks(OPENS)
        done = course.export(tmp_path / "study.zip", OPENS)
    found = files(tmp_path / "study.zip")
    book = {(row["column"], row["entry"]): row for row in table(found["codebook.csv"])}
    item = book["baseline_swls_1", "1"]
    assert "DEMONSTRATION" not in item["wording_zh"]
    assert "DEMONSTRATION" in item["wording_en"], "the words of the other language are still ours"
    assert done.demonstration == ("swls",)
    brought = tuple(item[f"wording_{name}"] for name in ("source", "permission", "translation", "checksum"))
    assert brought == ("M. Yuen 2002", "by letter", "checked", "c" * 64)
    assert item["words_zh"] == "'+题1", "no cell is a formula"
    assert book["instrument", "swls"]["words_zh"] == "'=满意\n@请选"
    wave = table(found["waves.csv"])[0]
    assert (wave["title_zh"], wave["title_en"]) == ("'=HYPERLINK(1)", "'\tx")


#: Cells that a spreadsheet would run, as bad-inputs.md I4 lists them.
HOSTILE = (
    "=1+1",
    "+1",
    "-1+1",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1",
    "＋1",
    "－1",
    "＠x",
    ";=1",
    '"=1"',
    "cmd|' /C calc'!A0",
    "HYPERLINK(1)",
)
#: Text that Excel, statistics and a CSV reader must give back as it was (I5).
FOREIGN = (
    "满意，很满意",
    "a,b;c\td",
    'say "so"',
    "two\nlines",
    "two\r\nlines",
    "👩‍👩‍👧‍👧",
    "𠀀𪜶",
    "née",
    "café\u202e",
    "trailing ",
    "'kept",
    "1e5",
    "NULL",
)


def brought(desk: Desk, cells: Sequence[str]) -> None:
    """A wording of SWLS with these words, as the newest."""
    items = [*cells, *["题"] * (10 - len(cells))]
    words = {
        language: {"title": "题目", "opening": "开头", "items": items[place : place + 5], "labels": [[*"1234567"]] * 5}
        for place, language in ((0, "zh"), (5, "en"))
    }
    row = {"id": ids.new_id(), "instrument": "swls", "version": 1, "words": words, "source": cells[0], "permission": cells[-1]}
    desk.write(lambda tx: tx.execute(sa.insert(Wording).values(**row, translation="checked", checksum="c" * 64, imported_at=NOW)))


def cells_of(desk: Desk, cells: Sequence[str], path: Path) -> list[str]:
    """How these words stand in the codebook of an export."""
    brought(desk, cells)
    course = Course(desk)
    course.wave(f"wave{ids.new_code().lower()}", ("swls",), OPENS)
    course.ticks(OPENS)
    course.export(path, OPENS)
    rows = [row for row in table(files(path)["codebook.csv"]) if row["kind"] == "scale"][-5:]
    return [row[f"words_{language}"] for language in ("zh", "en") for row in rows][: len(cells)]


@pytest.mark.parametrize("cells", [HOSTILE[:10], HOSTILE[10:]])
def test_i4_every_cell_that_a_spreadsheet_would_run_is_defused(cells: tuple[str, ...], database_url: str, tmp_path: Path) -> None:
    with Desk(database_url) as desk:
        assert cells_of(desk, cells, tmp_path / "study.zip") == [f"'{cell}" for cell in cells]


def test_i4_negative_numbers_stay_numbers_and_quotes_are_doubled(tmp_path: Path) -> None:
    with written(tmp_path / "cells.zip", NOW, over=False) as out:
        out.table("cells.csv", ("a", "b"), [{"a": -3, "b": 'x"y'}])
    assert files(tmp_path / "cells.zip")["cells.csv"] == 'a,b\r\n-3,"x""y"\r\n'


@pytest.mark.parametrize("cells", [FOREIGN[:10], FOREIGN[10:]])
def test_i5_what_excel_reads_is_what_was_written(cells: tuple[str, ...], database_url: str, tmp_path: Path) -> None:
    with Desk(database_url) as desk:
        assert cells_of(desk, cells, tmp_path / "study.zip") == list(cells)
    with zipfile.ZipFile(tmp_path / "study.zip") as packed:
        raw = packed.read("codebook.csv")
    assert raw.startswith(codecs.BOM_UTF8), "by which Excel does not take it for GBK"
    assert raw.decode("utf-8-sig").encode("utf-8-sig") == raw


def test_i4_i5_excel_sees_utf_8_and_no_cell_is_a_formula(course: Played, zipped: Files) -> None:
    with zipfile.ZipFile(course.folder / "study.zip") as packed:
        assert all(packed.read(name).startswith(b"\xef\xbb\xbf") for name in COLUMNS)
        assert {each.date_time for each in packed.infolist()} == {(2027, 2, 1, 19, 0, 0)}
    for name in COLUMNS:
        for row in table(zipped[name]):
            assert not [cell for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))], name
