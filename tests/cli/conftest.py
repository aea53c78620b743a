"""A terminal to try commands on: the real program in this process, over a database of the test's own."""

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.cli import main
from app.cli.keys import new_key
from app.keyring import Keyring
from app.settings import Settings


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


#: Runs a command: its words, and what is typed meanwhile.
Tongban = Callable[..., Ended]


@pytest.fixture
def tongban(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tongban:
    """Runs commands on SQLite, in an empty folder, with fresh keys."""
    monkeypatch.chdir(tmp_path)
    for name, value in {"DATABASE_URL": sqlite_url, "MASTER_KEY": new_key(), "INDEX_KEY": new_key()}.items():
        monkeypatch.setenv(f"TONGBAN_{name}", value)

    def run(*words: str, typed: str | bytes = "") -> Ended:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed if isinstance(typed, bytes) else typed.encode())))
        with pytest.raises(SystemExit) as left:
            main(words)
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return Ended(int(left.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def keyring() -> Keyring:
    """Fresh keys."""
    return Keyring(Settings(_env_file=None, master_key=new_key(), index_key=new_key()).vault())  # type: ignore[call-arg, arg-type]


@pytest.fixture
def course(tongban: Tongban) -> Tongban:
    """The same terminal, with an account on this machine, a course and a group."""
    for words in (
        ("account", "add", "msc", "--appid", "wx1", "--original-id", "gh_1", "--secret", "s3cret", "--api-base", "http://127.0.0.1:9"),
        ("course", "create", "msc-1", "--title", "正念", "--account", "msc"),
        ("group", "create", "dawn", "--name", "晨光组"),
    ):
        done = tongban(*words)
        assert done.code == 0, done.err
    return tongban


def refused(done: Ended) -> str:
    """The one sentence of a command that refused."""
    assert done.code == 1
    lines = done.err.strip().splitlines()
    assert len(lines) == 1, done.err
    assert lines[0].endswith((".", "!")), lines[0]
    return lines[0]
