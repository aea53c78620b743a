"""Hides the backup file: a zip of JSON lines with a signed table of contents; it appears whole under its name or not at all.

Last in the file stands `contents.json`: revision, moment, columns, rows and SHA-256 of each table, and by which keys it can be read (their
marks, never the keys). `contents.mark` is its signature by the index key, so that neither damage nor a foreign hand goes unseen.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO, Any

from app.errors import Conflict, Invalid
from app.sealing import Vault, key_version

FORMAT, VERSION = "tongban-backup", 1
_CONTENTS, _MARK = "contents.json", "contents.mark"
_MOST_CONTENTS = 4 * 1024 * 1024
_LINES = 1_000
_SIGNATURE = 43
#: What reading a damaged zip raises, besides its own.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    NotImplementedError,
    RuntimeError,
    struct.error,
)


@dataclass(frozen=True)
class Listed:
    """One table in the file: its columns with their kinds, its rows, and the SHA-256 of its lines."""

    columns: tuple[tuple[str, str], ...]
    rows: int
    sha256: str


@dataclass(frozen=True)
class Contents:
    """What a file holds. `kind`: "backup" is everything, "erasures" the erasure list alone."""

    kind: str
    revision: str
    created_at: datetime
    index_key: str
    master_keys: tuple[int, ...]
    tables: dict[str, Listed]

    @property
    def rows(self) -> int:
        """All rows of all tables."""
        return sum(table.rows for table in self.tables.values())


class Sink:
    """Takes tables into a file that is being written."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.tables: dict[str, Listed] = {}

    def table(self, name: str, columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[Any]]) -> None:
        """Write a table's rows, each one already as JSON takes it; never more than a thousand are held."""
        digest, count = hashlib.sha256(), 0
        with self._archive.open(_entry(name), "w", force_zip64=True) as file:
            lines = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)
            while some := list(islice(lines, _LINES)):
                block = "".join(some).encode()
                digest.update(block)
                file.write(block)
                count += len(some)
        self.tables[name] = Listed(tuple(columns), count, digest.hexdigest())


def write(path: Path, vault: Vault, about: Contents, fill: Callable[[Sink], None], *, over: bool = False) -> Contents:
    """Let `fill` write the tables; the file stands under its name, durable and readable by its owner only, after everything is in it.

    `over`: it may take the place of an older one. Raises `Conflict` where it may not, or another is being written; `Invalid` where
    the place cannot be written to.
    """
    if path.exists() and not over:
        raise Conflict("exists", f"{path} exists already, and a backup never takes the place of another; choose a new name.")
    try:
        with _part(path) as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                sink = Sink(archive)
                fill(sink)
                contents = Contents(about.kind, about.revision, about.created_at, about.index_key, about.master_keys, sink.tables)
                text = _to_json(contents)
                archive.writestr(_CONTENTS, text)
                archive.writestr(_MARK, vault.sign("backup", hashlib.sha256(text.encode()).hexdigest(), _SIGNATURE))
            file.flush()
            os.fsync(file.fileno())
            _publish(path, over=over)
    except OSError as refused:
        raise Invalid("place", f"Cannot write {path} ({os.strerror(refused.errno or 0)}); choose a folder with room.") from None
    return contents


def marks(vault: Vault, master_keys: Iterable[int]) -> tuple[str, tuple[int, ...]]:
    """By which a file's keys are recognised: a keyed mark of the index key, and the versions of the master keys."""
    return vault.index("backup", "index key").hex(), tuple(sorted(master_keys))


class Archive:
    """A file to read from: its contents are checked, its tables are checked while they are read."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, contents: Contents) -> None:
        self._path = path
        self._archive = archive
        self.contents = contents

    def rows(self, name: str) -> Iterator[list[Any]]:
        """The rows of a table. Raises `Invalid` at the end at the latest where not every byte is as it was written."""
        listed = self.contents.tables[name]
        digest, count = hashlib.sha256(), 0
        with _undamaged(self._path), self._archive.open(_entry(name)) as file:
            for line in file:
                digest.update(line)
                count += 1
                row = json.loads(line)
                if not isinstance(row, list) or len(row) != len(listed.columns) or count > listed.rows:
                    raise ValueError(name)
                yield row
            if count != listed.rows or digest.hexdigest() != listed.sha256:
                raise ValueError(name)

    def read_through(self) -> None:
        """Read everything and keep nothing. Raises `Invalid` where it is damaged."""
        for name in self.contents.tables:
            for _ in self.rows(name):
                pass


@contextlib.contextmanager
def opened(path: Path, vault: Vault) -> Iterator[Archive]:
    """A file whose contents are ours and whose keys are at hand. Raises `Invalid` with the one thing that is wrong."""
    try:
        file = path.open("rb")
    except OSError as refused:
        raise Invalid(
            "place", f"Cannot read {path} ({os.strerror(refused.errno or 0)}); name a file that `tongban backup` wrote."
        ) from None
    with file:
        with _undamaged(path):
            archive = zipfile.ZipFile(file)
            text, mark = _first(archive, _CONTENTS), _first(archive, _MARK)
            contents = _from_json(text)
        _check_keys(contents, vault)
        if not vault.signed("backup", hashlib.sha256(text).hexdigest(), mark.decode("ascii", "replace"), _SIGNATURE):
            raise _damaged(path)
        with archive:
            yield Archive(path, archive, contents)


def _check_keys(contents: Contents, vault: Vault) -> None:
    if contents.index_key != marks(vault, ())[0]:
        raise Invalid("index_key", "This file was written with another TONGBAN_INDEX_KEY; set the one that was in use then.")
    at_hand = {key_version(key) for key in vault.masters}
    missing = [version for version in contents.master_keys if version not in at_hand]
    if missing:
        remedy = "set it as TONGBAN_MASTER_KEY or TONGBAN_PREVIOUS_MASTER_KEY"
        raise Invalid("master_key", f"This file needs {len(missing)} master key(s) that are not set; {remedy}, then try again.")


@contextlib.contextmanager
def _part(path: Path) -> Iterator[IO[bytes]]:
    """The file while it is not whole: beside its place, for its owner only; what a killed backup left is written over."""
    part = _part_of(path)
    handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w+b") as file:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("writing", f"Another backup is being written to {part}; wait for it, or choose another name.") from None
        try:
            os.fchmod(handle, 0o600)
            file.truncate(0)
            yield file
        finally:
            part.unlink(missing_ok=True)


def _publish(path: Path, *, over: bool) -> None:
    """Give the finished file its name, and make the name durable."""
    part = _part_of(path)
    if over:
        part.replace(path)
    else:
        try:
            path.hardlink_to(part)  # unlike a rename it never takes the place of what somebody has put there meanwhile
        except FileExistsError:
            raise Conflict("exists", f"{path} exists by now, and a backup never takes the place of another; choose a new name.") from None
        except OSError:  # a file system without hard links
            part.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _part_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _entry(table: str) -> str:
    return f"tables/{table}.jsonl"


def _first(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as file:
        return file.read(_MOST_CONTENTS)


@contextlib.contextmanager
def _undamaged(path: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGE:
        raise _damaged(path) from None


def _damaged(path: Path) -> Invalid:
    return Invalid("damaged", f"{path} is damaged, cut short or no backup of Tongban; take another copy of it.")


def _to_json(contents: Contents) -> str:
    tables = {name: {"columns": listed.columns, "rows": listed.rows, "sha256": listed.sha256} for name, listed in contents.tables.items()}
    return json.dumps(
        {
            "format": FORMAT,
            "version": VERSION,
            "kind": contents.kind,
            "revision": contents.revision,
            "created_at": contents.created_at.isoformat(),
            "index_key": contents.index_key,
            "master_keys": contents.master_keys,
            "tables": tables,
        },
        indent=1,
    )


def _from_json(text: bytes) -> Contents:
    read = json.loads(text)
    if read["format"] != FORMAT:
        raise ValueError(FORMAT)
    if read["version"] != VERSION:
        raise Invalid("version", "This file was written by a newer Tongban; restore it with that one.")
    tables = {
        name: Listed(tuple((column, kind) for column, kind in each["columns"]), int(each["rows"]), each["sha256"])
        for name, each in read["tables"].items()
    }
    created_at = datetime.fromisoformat(read["created_at"])
    return Contents(read["kind"], read["revision"], created_at, read["index_key"], tuple(read["master_keys"]), tables)
