"""Hides a zip of CSV files for Excel and for statistics, which stands under its name whole or not at all."""

import contextlib
import csv
import io
import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO

from app.cells import harmless
from app.errors import Conflict, Invalid

Cell = str | int | None


class Archive:
    """Takes files into a zip that is being written, each once and in order."""

    def __init__(self, packed: zipfile.ZipFile, moment: datetime) -> None:
        """`moment`: what the files in it are dated by."""
        self._packed, self._date = packed, moment.timetuple()[:6]

    def table(self, name: str, header: Sequence[str], rows: Iterable[Mapping[str, Cell]]) -> None:
        """A CSV file with a byte order mark, by which Excel reads Chinese. Raises `ValueError` for a column that is not listed."""
        with self._file(name) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, header, restval="", extrasaction="raise")
            writer.writeheader()
            writer.writerows({column: _told(cell) for column, cell in row.items()} for row in rows)

    def text(self, name: str, text: str) -> None:
        """A text."""
        with self._file(name) as raw:
            raw.write(text.encode())

    def _file(self, name: str) -> IO[bytes]:
        entry = zipfile.ZipInfo(name, self._date)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = 0o600 << 16
        return self._packed.open(entry, "w", force_zip64=True)


def _told(cell: Cell) -> str | int | None:
    return harmless(cell) if isinstance(cell, str) else cell


def check_place(path: Path, *, over: bool) -> None:
    """Raise `Conflict` or `Invalid` where a file cannot stand there, before anything else happens."""
    if path.is_dir():
        raise Invalid("place", f"{path} is a folder; name a file in it, such as {path / 'export.zip'}.")
    if not path.parent.is_dir():
        raise Invalid("place", f"There is no folder {path.parent}; make it, or choose another.")
    if path.exists() and not over:
        raise _exists(path)


@contextlib.contextmanager
def written(path: Path, moment: datetime, *, over: bool) -> Iterator[Archive]:
    """The archive while it is filled: beside its place, for its owner only; at the end it takes its name, after an error it is gone.

    `over`: it may take the place of another file. Raises `Conflict` where it may not, `Invalid` where nothing can be written there.
    """
    try:
        with _part(path) as (part, file):
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
                yield Archive(packed, moment)
            file.flush()
            os.fsync(file.fileno())
            _publish(part, path, over=over)
    except OSError as refused:
        raise Invalid("place", f"Cannot write {path} ({os.strerror(refused.errno or 0)}); choose a folder with room.") from None


@contextlib.contextmanager
def _part(path: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)  # readable by its owner only
    part = Path(name)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield part, file
    finally:
        part.unlink(missing_ok=True)


def _publish(part: Path, path: Path, *, over: bool) -> None:
    if over:
        part.replace(path)
        return
    try:
        path.hardlink_to(part)  # unlike a rename it never takes the place of what somebody has put there meanwhile
    except FileExistsError:
        raise _exists(path) from None
    except OSError:  # a file system without hard links
        part.rename(path)


def _exists(path: Path) -> Conflict:
    return Conflict("exists", f"{path} exists already; choose a new name, or let --force take its place.")
