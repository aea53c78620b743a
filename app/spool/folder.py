"""Hides the spool's files: each push one file, written whole or not at all, on shelves by person, read in order, put aside when unreadable.

A file counts once it was written, synced, renamed and its shelf synced; before that it has a name with a dot in front. Names hold a
moment, a number and two keyed marks, so that they sort as they are to be replayed and tell nothing of anybody. Several processes may
share the folder: one at a time replays, under a lock of the operating system that ends with its process.
"""

import contextlib
import fcntl
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app import clock, ids

#: By the first letters of the person's mark: a look at one shelf is short even when tens of thousands wait.
_SHELVES = 64
#: The second of what has none: it comes last.
LAST = 9_999_999_999
_NAME = re.compile(r"([0-9]{10})-[0-9]{20}-([0-9a-f]{16})-[0-9a-f]{24}\.push")
#: A shelf's time stands still for some milliseconds: a look counts only if the shelf had not changed for this long before it.
_SETTLED_SECONDS = 0.1
#: The count of others' files may be this old.
_COUNTED_SECONDS = 1.0
#: What was begun so long ago is not being written any more: its process has died.
_ABANDONED_SECONDS = 60.0


class SpoolFull(Exception):
    """So many pushes wait that no more are taken."""


@dataclass(frozen=True)
class Waiting:
    """How many pushes wait, since when the oldest does (as the platform dated it, if it did), and how many files were put aside."""

    count: int
    oldest: datetime | None
    aside: int


def name_of(moment: int, number: str, person: str, push: str) -> str:
    """A file's name: seconds since 1970, the platform's number (zeros where it has none), the marks of person and push."""
    digits = number if re.fullmatch("[0-9]{1,20}", number) else ""
    return f"{min(max(moment, 0), LAST):010d}-{digits:0>20}-{person}-{push}.push"


def person_in(name: str) -> str:
    """The mark of the person whose push a file holds."""
    found = _NAME.fullmatch(name)
    return found.group(2) if found else ""


def written_for(part: Path) -> str:
    """The name for which an abandoned file was written."""
    return part.name[1:].partition("~")[0]


def waiting(path: Path) -> Waiting:
    """What waits in the spool at this folder; nothing where there is none. For whoever watches, in any process."""
    names = [name for shelf in _shelves(path) for name in _listed(shelf) if _NAME.fullmatch(name)]
    first = min((int(name[:10]) for name in names), default=LAST)
    return Waiting(len(names), None if first == LAST else datetime.fromtimestamp(first, UTC), len(_listed(path / "bad")))


class Folder:
    """One spool folder; `most`: so many files it takes."""

    def __init__(self, path: Path, most: int) -> None:
        self.path = path
        self._most = most
        self._shelves = _shelves(path)
        self._looks = [_Look(shelf) for shelf in self._shelves]
        self._counting = threading.Lock()
        self._count, self._counted_at = 0, -_COUNTED_SECONDS

    def make(self) -> None:
        """Make what is missing, for the owner only. Raises `OSError`."""
        for place in (self.path, *self._shelves, self.path / "bad"):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(OSError):  # a volume that belongs to somebody else
            self.path.chmod(0o700)
        _sync(self.path)

    def holds(self, person: str) -> bool:
        """Whether a push of the person with this mark waits, whichever process put it there."""
        return person in self._looks[_place(person)].persons()

    def names_of(self, person: str) -> list[str]:
        """The waiting files of the person with this mark, in their order."""
        listed = _listed(self._shelves[_place(person)])
        return sorted(name for name in listed if _NAME.fullmatch(name) and person_in(name) == person)

    def put(self, name: str, content: bytes, *, always: bool = False) -> None:
        """Keep `content` under `name`, durably; what lies there already is kept. Raises `SpoolFull` unless `always`, or `OSError`."""
        if not always and not self._has_room():
            raise SpoolFull
        try:
            self._put(name, content)
        except FileNotFoundError:  # somebody took the folder away
            self.make()
            self._put(name, content)

    def names(self) -> list[str]:
        """Every waiting file in the order in which they are to be replayed."""
        return sorted(name for shelf in self._shelves for name in _listed(shelf) if _NAME.fullmatch(name))

    def strangers(self) -> list[Path]:
        """What lies on a shelf and was not put there by us."""
        found = ((shelf, name) for shelf in self._shelves for name in _listed(shelf))
        return [shelf / name for shelf, name in found if not (_NAME.fullmatch(name) or name.startswith("."))]

    def abandoned(self) -> list[Path]:
        """Files whose writer died before the name was given: nobody was promised anything, but they may be whole."""
        begun = (shelf / name for shelf in self._shelves for name in _listed(shelf) if name.startswith("."))
        return [each for each in begun if _age(each) > _ABANDONED_SECONDS]

    def read(self, name: str) -> bytes:
        """What a file holds. Raises `OSError`."""
        return (self._shelf(name) / name).read_bytes()

    def remove(self, name: str) -> None:
        """Take a file away whose push is in the database. It may come back after a power cut: its push is known then."""
        with contextlib.suppress(FileNotFoundError):
            (self._shelf(name) / name).unlink()
        with self._counting:
            self._count -= 1

    def adopt(self, part: Path) -> None:
        """Give an abandoned file the name that it was written for."""
        part.replace(part.with_name(written_for(part)))
        _sync(part.parent)

    def put_aside(self, file: str | Path) -> None:
        """Move what cannot be read out of the way; nothing is ever thrown away."""
        source = self._shelf(file) / file if isinstance(file, str) else file
        target = self.path / "bad" / source.name
        number = 0
        while target.exists():
            number += 1
            target = target.with_name(f"{source.name}.{number}")
        source.replace(target)
        _sync(target.parent)

    def bring_back(self) -> int:
        """Put what was put aside back on its shelf, for another try (a key may be at hand again); returns how many."""
        names = [name for name in _listed(self.path / "bad") if _NAME.fullmatch(name)]
        for name in names:
            (self.path / "bad" / name).replace(self._shelf(name) / name)
        return len(names)

    @contextlib.contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether this process is the one that replays, as long as the block lasts. Raises `OSError`."""
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield _locked(lock)
        finally:
            os.close(lock)

    def _put(self, name: str, content: bytes) -> None:
        shelf = self._shelf(name)
        if not (shelf / name).exists():
            part = shelf / f".{name}~{ids.new_code()}"  # no process id: in a container everybody is number 1
            try:
                _write(part, content)
                part.rename(shelf / name)
            except OSError:
                with contextlib.suppress(OSError):
                    part.unlink()
                raise
            with self._counting:
                self._count += 1
        _sync(shelf)  # also where another writer was faster: it may not have come so far

    def _has_room(self) -> bool:
        with self._counting:
            if clock.steady() - self._counted_at > _COUNTED_SECONDS:
                self._count, self._counted_at = len(self.names()), clock.steady()
            return self._count < self._most

    def _shelf(self, name: str) -> Path:
        return self._shelves[_place(person_in(name))]


class _Look:
    """Whose pushes lie on one shelf; looked up again only when the shelf has changed."""

    def __init__(self, shelf: Path) -> None:
        self._shelf = str(shelf)
        self._changed, self._since, self._looked = -1, 0.0, -1.0
        self._persons: frozenset[str] = frozenset()

    def persons(self) -> frozenset[str]:
        """The marks of everybody who has a push here."""
        try:
            changed = os.stat(self._shelf).st_mtime_ns  # noqa: PTH116 - asked for every push: a string and the system call
        except OSError:  # there is no folder, or it is closed to us: nothing waits that we could line up behind
            return frozenset()
        if changed != self._changed:
            self._changed, self._since, self._looked = changed, clock.steady(), -1.0
        if self._looked < self._since + _SETTLED_SECONDS:
            self._looked = clock.steady()
            self._persons = frozenset(map(person_in, _listed(self._shelf)))
        return self._persons


def _shelves(path: Path) -> list[Path]:
    return [path / f"{number:02x}" for number in range(_SHELVES)]


def _place(person: str) -> int:
    return int(person[:2] or "0", 16) % _SHELVES


def _listed(place: str | Path) -> list[str]:
    try:
        return os.listdir(place)  # noqa: PTH208 - names are all that is asked for, tens of thousands of them
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def _age(file: Path) -> float:
    try:
        return clock.machine_seconds() - file.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _write(part: Path, content: bytes) -> None:
    """A new file on the disk, down to its last byte. Raises `OSError`."""
    out = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(out, left) :]
        os.fsync(out)
    finally:
        os.close(out)


def _sync(place: Path) -> None:
    """Make the names in a folder durable. Raises `OSError`."""
    opened = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
