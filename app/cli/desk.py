"""What a command needs before it can work: settings, a database on the newest revision, the process put together."""

import asyncio
import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unicodedata import east_asian_width

import sqlalchemy as sa
import typer
from pydantic import ValidationError

import migrations
from app import logs
from app.assembly import Assembly, assemble, refuse_moved_clock
from app.cli import threshold
from app.db import Database
from app.errors import Invalid, Unavailable
from app.settings import Settings
from bots.texts import TextError


def read_settings() -> Settings:
    """The settings of this command. Raises `Invalid` with every value that is missing or does not fit."""
    try:
        return Settings(_env_file=threshold.chosen_file())  # type: ignore[call-arg]  # the rest comes from the environment
    except ValidationError as wrong:
        raise Invalid("settings", f"{_what_is_wrong(wrong)}.") from None


def _what_is_wrong(wrong: ValidationError) -> str:
    problems = [_problem(str(each["loc"][0]), each["type"], each["msg"]) for each in wrong.errors(include_input=False)]
    return "; ".join(problems)


def _problem(name: str, kind: str, message: str) -> str:
    setting = f"TONGBAN_{name.upper()}"
    if kind == "missing":
        return f"{setting} is not set: `tongban keys` prints fresh keys, put them into {threshold.chosen_file()}"
    return f"{setting} {message.removeprefix('Value error, ')[:1].lower()}{message.removeprefix('Value error, ')[1:]}"


def require_newest(url: str) -> None:
    """Raise `Unavailable` where the database does not answer or is not on the newest revision."""
    found, newest = revision(url), migrations.head()
    if found is not None and found > newest:
        raise Unavailable("revision", f"The database stands at {found}, ahead of the program at {newest}; install the newer program.")
    if found != newest:
        raise Unavailable("revision", f"The database stands at {found or 'nothing'} and the program at {newest}; run `tongban migrate`.")


def revision(url: str) -> str | None:
    """The revision of the database, None where it is empty. Raises `Unavailable`."""
    try:
        return migrations.current(url)
    except sa.exc.SQLAlchemyError as error:
        raise Unavailable("database", away(url, error)) from None


def away(url: str, error: sa.exc.SQLAlchemyError) -> str:
    """The sentence for a database that does not answer."""
    shown = "the address" if isinstance(error, sa.exc.ArgumentError) else sa.make_url(url).render_as_string(hide_password=True)
    return f"The database does not answer at {shown}; check TONGBAN_DATABASE_URL and whether the server runs."


def put_together(settings: Settings) -> Assembly:
    """The process of these settings, its database not yet started. Raises `Invalid` where a bot's words do not fit."""
    try:
        return assemble(settings)
    except TextError as wrong:
        raise Invalid("texts", str(wrong)) from None


def prepare() -> Assembly:
    """What a process works with; everything that would only fail later is tried now, while it is still a sentence."""
    settings = read_settings()
    require_newest(settings.database_url)
    assembly = put_together(settings)
    asyncio.run(refuse_moved_clock(assembly))
    logs.set_up(settings.log_level)
    _settle()
    return assembly


def _settle() -> None:
    """All that stands now stays until the end: the collector need not look at it, nor come after every few hundred objects.

    A push makes thousands that live for a moment; looking for cycles less often is a tenth of its cost (docs/decisions/017).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def announce(what: str, where: str = "") -> None:
    """Say that a process runs now."""
    typer.echo(f"Tongban's {what} runs{where}; Ctrl-C stops it.", err=True)


@contextmanager
def at_work() -> Iterator[Assembly]:
    """The process put together over a database on the newest revision."""
    settings = read_settings()
    require_newest(settings.database_url)
    assembly = put_together(settings)
    with assembly.database:
        yield assembly


@contextmanager
def migrated(settings: Settings) -> Iterator[Database]:
    """The database alone."""
    require_newest(settings.database_url)
    with Database(settings.database_url) as database:
        yield database


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows in columns that line up, Chinese characters counted as two."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(padded).rstrip())


def length(seconds: float) -> str:
    """A length of time as people say it."""
    for size, word in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {word}"
    return f"{int(seconds)} seconds"


def _width(text: str) -> int:
    return sum(2 if east_asian_width(each) in "WF" else 1 for each in text)
