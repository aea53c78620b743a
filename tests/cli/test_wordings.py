"""A study's own words for an instrument: the file to fill in, what is wrong with a filled one, and what is stored for good."""

import csv
import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import sqlalchemy as sa

from app.db import Database
from app.errors import Invalid
from app.models import Audit, Wording
from app.questionnaires import brought, wording
from app.questionnaires.brought import Brought
from app.questionnaires.shelf import Shelf, dressed
from bots.questionnaire.instrument import LABELLED, find
from tests.cli.conftest import Tongban, refused
from tests.delivery.scene import Desk, together

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
INSTRUMENTS = find()
NOTES = {"source": "Jing & Li 2019", "permission": "e-mail of the authors, 2026-01-05", "translation": "validated"}

Rows = list[dict[str, Any]]


def filled(code: str = "dass21", languages: tuple[str, ...] = ("zh",)) -> Rows:
    """A file that is filled in as it should be, with English headings."""
    head, *body = brought.template(INSTRUMENTS[code], languages)
    names = dict(zip(head, brought.template(INSTRUMENTS[code], ("en",))[0], strict=True))
    rows: Rows = []
    for cells in body:
        row: dict[str, Any] = {names[name]: cell for name, cell in zip(head, cells, strict=True)}
        row |= NOTES if row["item"] == "1" else {}
        if row["item"].isdigit():
            item = INSTRUMENTS[code].items[int(row["item"]) - 1]
            count = len(item.points) if item.kind in LABELLED else 0
            row |= {"text": f"{row['language']} 第 {row['item']} 句", "anchors": "|".join(f"答{n}" for n in range(count))}
        elif row["item"] == "opening":
            row["text"] = "请想想{frame}。" if INSTRUMENTS[code].time_frames else "请看看下面的话。"
        else:
            row["text"] = "量表"
        rows.append(row)
    return rows


def as_csv(rows: Rows, separator: str = ",") -> str:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]), delimiter=separator)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def as_book(rows: Rows) -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    for row in (list(rows[0]), *(list(each.values()) for each in rows)):
        book.worksheets[0].append(row)
    book.save(out)
    book.close()
    return out.getvalue()


def read(content: str | bytes, folder: Path, code: str | None = None, name: str = "w.csv") -> Brought:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return brought.read(path, INSTRUMENTS, code)


def spoilt(change: Callable[[Rows], object], code: str = "dass21") -> Rows:
    rows = filled(code)
    change(rows)
    return rows


# The file to fill in -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", INSTRUMENTS)
@pytest.mark.parametrize("languages", [("zh",), ("en",), ("zh", "en")], ids=" ".join)
def test_the_file_to_fill_in_holds_topics_and_none_of_our_words(code: str, languages: tuple[str, ...]) -> None:
    instrument = INSTRUMENTS[code]
    rows = brought.template(instrument, languages)
    assert len(rows) == 1 + len(languages) * (len(instrument.items) + 2)
    cells = {cell for row in rows[1:] for cell in row}
    ours = {
        words for item in instrument.items for language in languages for words in (item.words[language], *item.anchors.get(language, ()))
    }
    assert cells.isdisjoint(ours | {instrument.title[language] for language in languages})
    assert {item.topic for item in instrument.items} <= cells


@pytest.mark.parametrize("code", INSTRUMENTS)
@pytest.mark.parametrize("languages", [("zh",), ("en",), ("zh", "en")], ids=" ".join)
def test_a_filled_file_of_every_instrument_is_understood_whole(code: str, languages: tuple[str, ...], tmp_path: Path) -> None:
    found = read(as_csv(filled(code, languages)), tmp_path)
    assert found.errors == ()
    assert tuple(found.words) == languages
    worn = dressed(INSTRUMENTS[code], dict(found.words), found.source)
    for language in languages:
        assert [item.words[language] for item in worn.items] == [f"{language} 第 {item.number} 句" for item in worn.items]
        assert worn.title[language] == "量表"
        assert worn.opening(language)
        assert all(len(item.anchors[language]) == len(item.points) for item in worn.items if item.kind in LABELLED)
    assert (found.source, found.permission, found.translation) == tuple(NOTES.values())


@pytest.mark.parametrize("name", ["w.csv", "w.xlsx"])
def test_the_file_that_the_command_writes_is_filled_in_and_imported(name: str, tongban: Tongban, tmp_path: Path) -> None:
    assert tongban("instrument", "wording", "template", "swls", name, "--language", "zh").code == 0
    rows = _opened(tmp_path / name)
    assert rows[0][:4] == ["量表", "题号", "语言", "主题"]
    for row in rows[1:]:
        row[5:10] = ["我的话 " + row[1], "|".join("abcdefg") if row[1].isdigit() else "", *NOTES.values()]
    (tmp_path / f"full.{name}").write_bytes(_closed(rows, name))
    done = tongban("instrument", "wording", "import", f"full.{name}")
    assert done.code == 0, done.err
    assert "Imported: swls 1, zh" in done.out
    assert "nothing in en" in done.err
    assert "does not exist yet" in refused(tongban("instrument", "wording", "template", "swls", name))


def _opened(path: Path) -> list[list[str]]:
    if path.suffix == ".csv":
        return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    book = openpyxl.load_workbook(path)
    rows = [["" if cell is None else str(cell) for cell in row] for row in book.worksheets[0].iter_rows(values_only=True)]
    book.close()
    return rows


def _closed(rows: list[list[str]], name: str) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode() if name.endswith(".csv") else as_book([dict(zip(rows[0], row, strict=True)) for row in rows[1:]])


# Encodings ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_every_encoding_and_separator_that_excel_writes_gives_the_same_wording(encoding: str, separator: str, tmp_path: Path) -> None:
    rows = filled()
    rows[5]["text"] = "我用App时，手机里的消息让我紧张"
    chinese = dict(zip(rows[0], brought.template(INSTRUMENTS["dass21"], ("zh",))[0], strict=True))
    text = as_csv([{chinese[name]: cell for name, cell in row.items()} for row in rows], separator)
    found = read(text.encode(encoding), tmp_path)
    assert found.errors == ()
    assert found.checksum == read(as_csv(rows), tmp_path).checksum


def test_excel_gives_the_same_wording_as_csv_and_a_formula_is_text(tmp_path: Path) -> None:
    rows = filled()
    rows[4]["text"] = '=HYPERLINK("http://x","y")'
    from_csv = read(as_csv(rows), tmp_path)
    assert from_csv.errors == ()
    assert from_csv.words["zh"]["items"][2] == '=HYPERLINK("http://x","y")'
    rows[4]["text"] = "-1 也好"
    for row in rows[2:]:
        row["item"] = int(row["item"])
    assert read(as_book(rows), tmp_path, name="w.xlsx").checksum == read(as_csv(rows), tmp_path).checksum


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("w.csv", "item,text\n1,Andrés\n".encode("latin-1"), 2),
        ("w.csv", b"", 0),
        ("w.csv", b"PK\x03\x04", 0),
        ("w.xlsx", b"nothing", 0),
        ("w.pdf", b"%PDF", 0),
        ("w.csv", b"item\n1\n", 1),
    ],
    ids=["latin-1", "empty", "zip", "no Excel", "another kind", "no columns"],
)
def test_a_file_that_cannot_be_read_is_one_sentence(name: str, content: bytes, line: int, tmp_path: Path) -> None:
    errors = read(content, tmp_path, name=name).errors
    assert [error.line for error in errors] == [line]
    assert errors[0].sentence.endswith(".")


# What is wrong -----------------------------------------------------------------------------------------------------------------------

Change = Callable[[Rows], object]


def put(row: int, **cells: Any) -> Change:
    """Other cells in the row with this number, counted as in the file."""
    return lambda rows: rows[row - 2].update(cells)


#: In the file of DASS-21 in Chinese, row 2 is the title, row 3 the opening, row 4 item 1, row 24 item 21.
PROBLEMS: list[tuple[str, Change, list[tuple[int, str]]]] = [
    ("an item that there is not", put(9, item="22"), [(0, "no row for item 6"), (9, "from 1 to 21, title or opening")]),
    ("an item that is a word", put(9, item="six"), [(0, "no row for item 6"), (9, "no item 'six'")]),
    ("an item twice", put(9, item="７"), [(0, "no row for item 6 "), (10, "Item 7 stands in line 9 already")]),
    ("items missing", lambda rows: [rows.pop(4), rows.pop(7), rows.pop(7)], [(0, "no row for items 3, 7-8 in zh")]),
    ("a language that there is not", put(9, language="fr"), [(0, "no row for item 6"), (9, "no language 'fr'")]),
    ("no words", put(9, text="  "), [(9, "Item 6 has no words")]),
    ("a long item", put(9, text="长" * 134), [(9, "longer than 400 bytes")]),
    ("two lines in an item", put(9, text="一\n二"), [(9, "line break")]),
    ("a label too few", put(9, anchors="一|二|三"), [(9, "has 3 labels and takes 4")]),
    ("a label too many", put(9, anchors="一|二|三|四|五"), [(9, "has 5 labels and takes 4")]),
    ("an empty label", put(9, anchors="一||三|四"), [(9, "empty or stands there twice")]),
    ("a label twice", put(9, anchors="一|二|三|二"), [(9, "empty or stands there twice")]),
    ("no label", put(9, anchors=""), [(9, "has 0 labels and takes 4")]),
    ("a long label", put(9, anchors=f"一|二|三|{'长' * 51}"), [(9, "more than 150 bytes")]),
    ("labels of the opening", put(3, anchors="一|二"), [(3, "takes no labels")]),
    ("a long title", put(2, text="长" * 31), [(2, "The title is longer than 90 bytes")]),
    ("an opening without the time", put(3, text="请看。"), [(3, "does not say {frame}")]),
    ("the time in an item", put(9, text="在{frame}"), [(9, "take it out")]),
    ("no source", put(4, source=""), [(2, "no source (来源) in zh")]),
    ("no permission", put(4, permission=" "), [(2, "no permission (许可) in zh")]),
    ("no status of the translation", put(4, translation=""), [(2, "no translation (翻译) in zh")]),
    ("a status that there is not", put(4, translation="good"), [(4, "no status of a translation 'good'")]),
    ("two sources", put(9, source="somebody else"), [(9, "not the one of line 4")]),
    ("another instrument", put(9, instrument="scs"), [(1, "names dass21 and scs")]),
    ("another version", put(9, instrument="dass21.9"), [(9, "newest version of dass21 is 1")]),
]


@pytest.mark.parametrize(("change", "told"), [each[1:] for each in PROBLEMS], ids=[each[0] for each in PROBLEMS])
def test_what_is_wrong_is_told_with_its_row(change: Change, told: list[tuple[int, str]], tmp_path: Path) -> None:
    found = read(as_csv(spoilt(change)), tmp_path)
    assert [(error.line, words) for error, (_, words) in zip(found.errors, told, strict=True) if words in error.sentence] == told, (
        found.errors
    )
    assert all(error.sentence.endswith(".") for error in found.errors)
    assert not found.words


def test_an_item_and_labels_that_no_message_holds_are_told(tmp_path: Path) -> None:
    labels = "|".join(f"{n}{'长' * 49}" for n in range(7))
    assert read(as_csv(spoilt(put(4, text="短", anchors=labels), "swls")), tmp_path).errors == ()
    errors = read(as_csv(spoilt(put(4, text="长" * 133, anchors=labels), "swls")), tmp_path).errors
    assert [(error.line, "no message holds them" in error.sentence) for error in errors] == [(4, True)]


def test_an_opening_names_no_time_where_the_instrument_has_none(tmp_path: Path) -> None:
    errors = read(as_csv(spoilt(put(3, text="在{frame}"), "swls")), tmp_path).errors
    assert [(error.line, "take it out" in error.sentence) for error in errors] == [(3, True)]


def test_a_number_where_words_belong_is_told_in_excel(tmp_path: Path) -> None:
    rows = spoilt(put(9, text=42, anchors=datetime(2026, 1, 2)))  # noqa: DTZ001 - cells have no zone
    errors = read(as_book(rows), tmp_path, name="w.xlsx").errors
    assert [(error.line, "format it as text" in error.sentence) for error in errors[:2]] == [(9, True), (9, True)]


def test_items_of_a_form_take_labels_only_where_they_have_choices(tmp_path: Path) -> None:
    errors = read(as_csv(spoilt(put(5, anchors="一|二"), "intake")), tmp_path).errors
    assert [(error.line, "Item 2 takes no labels" in error.sentence) for error in errors] == [(5, True)]


def test_a_language_that_nobody_filled_in_is_left_out(tmp_path: Path) -> None:
    rows = filled(languages=("zh", "en"))
    for row in rows:
        row.update({} if row["language"] == "zh" else {"text": "", "anchors": "", "source": "", "permission": "", "translation": ""})
    found = read(as_csv(rows), tmp_path)
    assert (found.errors, list(found.words)) == ((), ["zh"])
    for row in rows:
        row.update(text="", anchors="")
    assert [error.sentence for error in read(as_csv(rows), tmp_path).errors] == [
        "No row has words yet; write them into the column text (文字)."
    ]


def test_the_code_may_be_named_beside_the_file(tmp_path: Path) -> None:
    rows = [{name: cell for name, cell in row.items() if name != "instrument"} for row in filled()]
    assert "--instrument" in read(as_csv(rows), tmp_path).errors[0].sentence
    assert read(as_csv(rows), tmp_path, "dass21").errors == ()
    assert "no instrument 'mood'" in read(as_csv(rows), tmp_path, "mood").errors[0].sentence


def test_two_languages_with_notes_of_their_own_keep_them_apart(tmp_path: Path) -> None:
    rows = filled(languages=("zh", "en"))
    for row in rows:
        if row["language"] == "en" and row["source"]:
            row.update(source="Lovibond 1995", translation="original")
    found = read(as_csv(rows), tmp_path)
    assert found.source == "zh: Jing & Li 2019; en: Lovibond 1995"
    assert found.translation == "zh: validated; en: original"
    assert found.permission == NOTES["permission"]


# Rows --------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database(database_url) as opened:
        yield opened


def test_a_wording_is_stored_once_and_the_newest_is_asked_next(database: Database, tmp_path: Path) -> None:
    first, second = read(as_csv(filled()), tmp_path), read(as_csv(spoilt(put(4, permission="letter"))), tmp_path)
    made = database.write_now(lambda tx: wording.freeze(tx, first, NOW))
    assert (made.new, made.used, made.languages) == (True, True, ("zh",))
    again = database.write_now(lambda tx: wording.freeze(tx, first, NOW + timedelta(days=1)))
    assert (again.id, again.new, again.imported_at) == (made.id, False, NOW)
    later = database.write_now(lambda tx: wording.freeze(tx, second, NOW + timedelta(days=2)))
    assert database.read_now(lambda tx: wording.newest(tx, INSTRUMENTS["dass21"])) == later.id
    assert database.read_now(lambda tx: wording.newest(tx, INSTRUMENTS["scs"])) is None
    assert not database.write_now(lambda tx: wording.freeze(tx, first, NOW)).used
    assert [(each.id, each.used) for each in database.read_now(wording.every)] == [(later.id, True), (made.id, False)]
    audited = database.read_now(lambda tx: tx.execute(sa.select(Audit.action, Audit.subject).order_by(Audit.id)).all())
    assert [tuple(row) for row in audited] == [("wording.import", f"wording:{each.id}") for each in (made, later)]


def test_what_was_stored_is_what_people_are_asked(database: Database, tmp_path: Path) -> None:
    found = read(as_csv(filled(languages=("zh", "en"))), tmp_path)
    made = database.write_now(lambda tx: wording.freeze(tx, found, NOW))
    asked = database.read_now(lambda tx: Shelf().instrument(tx, "dass21", 1, made.id))
    assert asked == dressed(INSTRUMENTS["dass21"], dict(found.words), found.source)
    assert asked.items[20].words == {"zh": "zh 第 21 句", "en": "en 第 21 句"}
    assert not asked.demonstration


def test_a_file_with_a_problem_is_never_stored(database: Database, tmp_path: Path) -> None:
    wrong = read(as_csv(spoilt(put(9, text=""))), tmp_path)
    with pytest.raises(Invalid, match="1 problem"):
        database.write_now(lambda tx: wording.freeze(tx, wrong, NOW))
    assert database.read_now(wording.every) == []


def test_the_same_wording_from_two_processes_is_one_row(database_url: str, tmp_path: Path) -> None:
    found = read(as_csv(filled()), tmp_path)
    with Desk(database_url) as desk:
        made = together(desk, [lambda tx: wording.freeze(tx, found, NOW)] * 3)
        assert len({each.id for each in made}) == 1
        assert sum(each.new for each in made) == 1
        assert desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(Wording)).scalar_one()) == 1


# The commands ------------------------------------------------------------------------------------------------------------------------


def test_the_list_says_whose_words_are_asked_next(tongban: Tongban, tmp_path: Path) -> None:
    before = tongban("instrument", "wording", "list").out
    assert all("OUR DEMONSTRATION" in line for line in before.splitlines()[1:] if not line.startswith("intake"))
    (tmp_path / "w.csv").write_text(as_csv(filled()), encoding="utf-8")
    first = tongban("instrument", "wording", "import", "w.csv")
    assert "Imported: dass21 1, zh" in first.out
    assert "Nothing was changed" in tongban("instrument", "wording", "import", "w.csv").out
    after = tongban("instrument", "wording", "list").out
    assert next(line for line in after.splitlines() if line.startswith("dass21")).split()[2] == "imported"
    assert "Jing & Li 2019" in after


def test_an_earlier_wording_again_is_told_with_the_way_back(tongban: Tongban, tmp_path: Path) -> None:
    for name, permission in (("a.csv", "letter 1"), ("b.csv", "letter 2")):
        (tmp_path / name).write_text(as_csv(spoilt(put(4, permission=permission))), encoding="utf-8")
        assert tongban("instrument", "wording", "import", name).code == 0
    assert "A later one is asked next" in tongban("instrument", "wording", "import", "a.csv").out


def test_a_wording_without_an_opening_says_that_ours_stays(tongban: Tongban, tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text(as_csv(spoilt(put(3, text=""))), encoding="utf-8")
    assert "There is no opening in zh: ours is shown there." in tongban("instrument", "wording", "import", "w.csv").err


def test_every_problem_is_told_at_once_but_no_more_than_twenty(tongban: Tongban, tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text(as_csv(spoilt(lambda rows: [row.update(anchors="x") for row in rows[2:]])), encoding="utf-8")
    done = tongban("instrument", "wording", "import", "w.csv")
    lines = done.err.splitlines()
    assert done.code == 1
    assert [line.split(":")[0] for line in lines[:20]] == [f"row {number}" for number in range(4, 24)]
    assert lines[20:] == ["... and 1 more", "Nothing was imported: 21 problems to mend; then try again."]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("template", "mood"), "no instrument 'mood'"),
        (("template", "swls", "x.pdf"), "no .csv or .xlsx"),
        (("template", "swls", "--language", "fr"), "zh or en"),
        (("template", "swls", "no/where.csv"), "Cannot make"),
        (("import", "gone.csv"), "Cannot read"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_command_refuses_in_one_sentence(words: tuple[str, ...], says: str, tongban: Tongban) -> None:
    assert says in refused(tongban("instrument", "wording", *words))
