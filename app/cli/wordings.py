"""`tongban instrument wording …`: a study's own words for an instrument: a file to fill in, its import, and whose words are asked next."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import openpyxl
import typer

from app import clock
from app.cli import desk
from app.errors import Invalid, NotFound
from app.questionnaires import brought, wording
from app.questionnaires.brought import Brought
from app.questionnaires.shelf import Shelf
from app.questionnaires.wording import Frozen
from bots.questionnaire.instrument import Instrument, InstrumentError
from bots.texts import LANGUAGES

Code = Annotated[str, typer.Argument(help="An instrument's code, as `tongban instrument list` shows it.", show_default=False)]


def commands() -> typer.Typer:
    """The group `wording`, below `instrument`."""
    group = typer.Typer(name="wording", help="A study's own words: template, import, list.", no_args_is_help=True)
    named: dict[str, Callable[..., None]] = {"template": template, "import": import_file, "list": list_wordings}
    for name, command in named.items():
        group.command(name)(command)
    return group


def template(
    code: Code,
    file: Annotated[
        Path | None, typer.Argument(help="A .csv or .xlsx file that does not exist yet; CODE.wording.csv.", show_default=False)
    ] = None,
    *,
    language: Annotated[str | None, typer.Option("--language", help="zh or en; both where it is left out.", show_default=False)] = None,
) -> None:
    """Write a file to fill in: a row for each item, with its topic and how many labels it takes, but without our words.

    Example: tongban instrument wording template dass21 dass21.xlsx --language zh
    """
    if language is not None and language not in LANGUAGES:
        raise Invalid("language", f"There is no {language!r} here; choose {' or '.join(LANGUAGES)}.")
    instruments = _instruments()
    if code not in instruments:
        raise NotFound("instrument", f"There is no instrument {code!r}; there are {', '.join(instruments)}.")
    file = file or Path(f"{code}.wording.csv")
    rows = brought.template(instruments[code], LANGUAGES if language is None else (language,))
    _write(file, _book(rows) if file.suffix.lower() == ".xlsx" else _csv(rows), file.suffix.lower())
    typer.echo(f"{file} has {len(rows) - 1} rows to fill in: words, labels from the lowest answer to the highest with | between them.")
    typer.echo(f"Source, permission and translation ({', '.join(brought.TRANSLATIONS)}) may stand in one row of each language.")
    typer.echo(f"Then: tongban instrument wording import {file}")


def import_file(
    file: Annotated[Path, typer.Argument(help="The .csv or .xlsx file.", show_default=False)],
    *,
    instrument: Annotated[
        str | None, typer.Option("--instrument", help="Its code, where the file does not name it.", show_default=False)
    ] = None,
) -> None:
    """Check a study's own wording row by row and store it for good; with one problem nothing is imported.

    The next wave asks in these words; people who were invited before keep the words that they have.

    Example: tongban instrument wording import dass21.xlsx
    """
    read = brought.read(file, _instruments(), instrument)
    _show_problems(read)
    if read.errors:
        raise Invalid("wording", f"Nothing was imported: {_count(len(read.errors), 'problem')} to mend; then try again.")
    if read.ignored:
        typer.echo(f"Columns that are not used: {', '.join(read.ignored)}")
    with desk.at_work() as assembly:
        frozen = assembly.database.write_now(lambda tx: wording.freeze(tx, read, clock.now()))
    typer.echo(_result(frozen))
    for language in LANGUAGES:
        if lacking := _lacking(read, language):
            typer.echo(lacking, err=True)


def list_wordings() -> None:
    """List in whose words the next wave would ask each instrument, and every wording that was imported.

    Example: tongban instrument wording list
    """
    instruments = _instruments()
    with desk.at_work() as assembly:
        frozen = assembly.database.read_now(wording.every)
    used = {(each.instrument, each.version): each for each in frozen if each.used}
    rows = [(code, x.version, whose(x, used.get((code, x.version)))) for code, x in instruments.items()]
    desk.table(("code", "version", "the next wave asks in"), rows)
    if frozen:
        typer.echo("")
        lines = [(x.instrument, x.version, f"{x.imported_at:%Y-%m-%d %H:%M}Z", *_said(x)) for x in frozen]
        desk.table(("code", "version", "imported", "checksum", "languages", "translation", "source", "permission"), lines)


def whose(instrument: Instrument, frozen: Frozen | None) -> str:
    """Whose words an instrument speaks in, in a few words."""
    if frozen is not None:
        return f"imported {frozen.checksum[:8]} ({', '.join(frozen.languages)})"
    return "OUR DEMONSTRATION, never validated" if instrument.demonstration else f"its file ({instrument.wording})"


def _instruments() -> dict[str, Instrument]:
    try:
        return Shelf().newest()
    except InstrumentError as wrong:
        raise Invalid("instrument", str(wrong)) from None


def _show_problems(read: Brought) -> None:
    for error in read.errors[: brought.MOST_PROBLEMS]:
        typer.echo(f"row {error.line}: {error.sentence}" if error.line else error.sentence, err=True)
    if len(read.errors) > brought.MOST_PROBLEMS:
        typer.echo(f"... and {len(read.errors) - brought.MOST_PROBLEMS} more", err=True)


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _result(frozen: Frozen) -> str:
    name = f"{frozen.instrument} {frozen.version}, {', '.join(frozen.languages)}, checksum {frozen.checksum[:8]}"
    if frozen.new:
        return f"Imported: {name}. The next wave asks in these words."
    known = f"Nothing was changed: this wording ({name}) was imported on {frozen.imported_at:%Y-%m-%d}."
    if frozen.used:
        return f"{known} The next wave asks in these words."
    return f"{known} A later one is asked next; to go back to this one, import it with a remark added to its permission."


def _lacking(read: Brought, language: str) -> str | None:
    """What readers of a language will see of ours all the same."""
    if read.instrument is None:
        return None
    if language not in read.words:
        return f"There is nothing in {language}: readers of that language see the words of our file ({read.instrument.wording})."
    absent = [part for part in (brought.TITLE, brought.OPENING) if part not in read.words[language]]
    return f"There is no {' and no '.join(absent)} in {language}: ours is shown there." if absent else None


def _said(frozen: Frozen) -> tuple[str, ...]:
    return frozen.checksum[:8], ", ".join(frozen.languages), frozen.translation, frozen.source[:60], frozen.permission[:60]


def _write(file: Path, content: bytes, suffix: str) -> None:
    if suffix not in {".csv", ".xlsx"}:
        raise Invalid("file", f"{file} is no .csv or .xlsx file; give it such a name.")
    try:
        with file.open("xb") as out:
            out.write(content)
    except OSError as refused:
        raise Invalid("file", f"Cannot make {file} ({refused.strerror}); name a file that does not exist yet.") from None


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    """UTF-8 with a byte order mark, by which Excel knows it."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode("utf-8-sig")


def _book(rows: Sequence[Sequence[str]]) -> bytes:
    """Every cell is text, so that Excel makes no dates of labels; the heading stays in sight."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in rows:
        sheet.append(list(row))
    for cell in (each for row in sheet.iter_rows(max_row=len(rows), max_col=len(rows[0])) for each in row):
        cell.number_format = "@"
    for column, width in {"A": 12, "D": 24, "F": 60, "G": 40, "H": 30, "I": 30, "J": 14}.items():
        sheet.column_dimensions[column].width = width
    sheet.freeze_panes = "A2"
    out = io.BytesIO()
    book.save(out)
    book.close()
    return out.getvalue()
