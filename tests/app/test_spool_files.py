"""The spool's files and what stands in them: written whole or not at all, seen by every process, opened by nobody else."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.channels import MassCounts, Push, PushKind
from app.keyring import Unreadable
from app.sealing import Vault
from app.spool import BadLetter, Folder, Letter, Seal, SpoolFull, first_words, waiting
from app.spool.folder import name_of
from bots import find

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
MASTER, FORMER, INDEX = b"m" * 32, b"f" * 32, b"i" * 32
RAIN, FANG = "0a" * 8, "0b" * 8
BOTS = {bot.name: bot for bot in find()}


def push(value: str, kind: PushKind = PushKind.WROTE) -> Push:
    return Push(kind, "oRain-0123456789abcdefghijklm", value, NOW, "1795000000:key", b"h" * 32, value.encode(), msgid="7", note="clock")


def letter(value: str = "只有我知道的话") -> Letter:
    return Letter(5, NOW, push(value), 99, answered=True)


def name(second: int, number: str = "", person: str = RAIN) -> str:
    return name_of(1_795_000_000 + second, number, person, f"{second:08x}{'5' * 16}")


def folder(tmp_path: Path, most: int = 1000) -> Folder:
    made = Folder(tmp_path / "spool", most)
    made.make()
    return made


def test_a_mass_sends_receipt_keeps_its_counts() -> None:
    seal = Seal(Vault([MASTER], INDEX))
    receipt = Push(**{**vars(push("send success", PushKind.RECEIPT)), "counts": MassCounts(26, 25, 24, 1)})
    kept = Letter(5, NOW, receipt, 99)
    assert seal.open(seal.name(kept), seal.close(seal.name(kept), kept)) == kept


def test_files_are_replayed_by_the_second_then_by_the_platforms_number(tmp_path: Path) -> None:
    spool = folder(tmp_path)
    wanted = [name(1, "9"), name(1, "10"), name(2), name(2, "1", FANG), name(2, "2"), name(3, "x1")]
    for each in reversed(wanted):
        spool.put(each, b"")
    assert spool.names() == wanted
    assert waiting(spool.path).oldest == datetime.fromtimestamp(1_795_000_001, UTC)
    assert name_of(-5, "", RAIN, "0" * 24) < name(0) < name_of(10**12, "", RAIN, "0" * 24)


def test_what_another_process_puts_there_is_seen_at_once_even_within_one_tick_of_the_disks_clock(tmp_path: Path) -> None:
    ours, others = folder(tmp_path), folder(tmp_path)
    shared_shelf = [name(1), name(2, person=FANG)]
    assert not ours.holds(RAIN)
    for _ in range(300):
        others.put(shared_shelf[0], b"")
        assert (ours.holds(RAIN), ours.holds(FANG)) == (True, False)
        others.put(shared_shelf[1], b"")
        assert (ours.holds(RAIN), ours.holds(FANG)) == (True, True)
        others.remove(shared_shelf[0])
        assert (ours.holds(RAIN), ours.holds(FANG)) == (False, True)
        others.remove(shared_shelf[1])
        assert not ours.holds(FANG)


def test_a_push_that_lies_there_is_kept_once_and_as_it_was(tmp_path: Path) -> None:
    spool = folder(tmp_path, most=2)
    spool.put(name(1), b"first")
    spool.put(name(1), b"again")
    spool.put(name(2), b"")
    assert spool.read(name(1)) == b"first"
    with pytest.raises(SpoolFull):
        spool.put(name(3), b"")
    spool.put(name(3), b"danger", always=True)
    for each in spool.names():
        spool.remove(each)
    spool.put(name(4), b"")


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
def test_a_writer_that_dies_at_any_step_leaves_nothing_that_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    spool = folder(tmp_path)

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    if step == "rename":
        monkeypatch.setattr(Path, "rename", die)
    else:
        monkeypatch.setattr(os, step, die)
    with pytest.raises(Killed):
        spool.put(name(1), b"half")
    monkeypatch.undo()
    assert spool.names() == []
    assert not spool.holds(RAIN)
    (part,) = (tmp_path / "spool").glob("??/.*")
    assert spool.abandoned() == []  # perhaps it is still being written
    os.utime(part, (0, 0))
    assert spool.abandoned() == [part]
    spool.put(name(1), b"again")
    assert spool.read(name(1)) == b"again"


@pytest.mark.parametrize("step", ["write", "fsync"])
def test_a_disk_that_refuses_leaves_nothing_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    spool = folder(tmp_path)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, refuse)
    with pytest.raises(OSError, match="No space"):
        spool.put(name(1), b"x")
    monkeypatch.undo()
    assert [each for each in (tmp_path / "spool").rglob("*") if each.is_file()] == []


def test_a_folder_that_was_taken_away_is_made_again(tmp_path: Path) -> None:
    spool = folder(tmp_path)
    spool.path.rename(tmp_path / "elsewhere")
    assert spool.names() == []
    spool.put(name(1), b"x")
    assert spool.names() == [name(1)]


def test_only_one_process_replays_at_a_time(tmp_path: Path) -> None:
    ours, others = folder(tmp_path), folder(tmp_path)
    with ours.alone() as first, others.alone() as second:
        assert (first, second) == (True, False)
    with others.alone() as third:
        assert third


@pytest.mark.parametrize("content", [letter(), BadLetter(5, NOW, "root", b"<x/>\xff", 98)])
def test_a_letter_comes_back_as_it_was_and_under_its_own_name_only(content: Letter | BadLetter) -> None:
    seal = Seal(Vault([MASTER], INDEX))
    written = seal.close("a", content)
    assert seal.open("a", written) == content
    assert "只有我知道的话".encode() not in written
    with pytest.raises(Unreadable):
        seal.open("b", written)
    for changed in (written[:-1], written[:20], b"", written[:-1] + bytes([written[-1] ^ 1]), b"x" * 900):
        with pytest.raises(Unreadable):
            seal.open("a", changed)


def test_a_letter_opens_with_the_former_master_key_and_not_without_it() -> None:
    written = Seal(Vault([FORMER], INDEX)).close("a", letter())
    assert Seal(Vault([MASTER, FORMER], INDEX)).open("a", written) == letter()
    with pytest.raises(Unreadable):
        Seal(Vault([MASTER], INDEX)).open("a", written)


def test_a_repeated_push_finds_its_own_file_and_other_content_does_not() -> None:
    seal = Seal(Vault([MASTER], INDEX))
    other = Push(**{**vars(letter().push), "content_hash": b"o" * 32})
    again = Letter(5, datetime(2026, 11, 26, 12, 0, 5, tzinfo=UTC), letter().push, 100)
    assert seal.name(letter()) == seal.name(again) != seal.name(Letter(5, NOW, other, 101))
    assert seal.name(letter()) != seal.name(Letter(6, NOW, letter().push, 102))


FIRST_WORDS = [
    ("我不想活了", True, ["12356", "请马上打 120"], ["12356 (", "danger right now"]),
    ("I want to die", True, ["12356", "in danger right now"], []),
    ("help", False, ["automatic assistant", "自动助手"], []),
    ("帮助", False, ["12356"], ["automatic"]),
    ("停", False, ["不再主动给你发消息"], ["<a", "weixin"]),
    ("stop", False, ["I will not message you first", "不再主动"], ["<a"]),
    ("退出课程", False, ["1. 只退出"], ["<a"]),
]


@pytest.mark.parametrize(("words", "grave", "there", "missing"), FIRST_WORDS)
def test_what_can_be_said_without_a_database_is_said(words: str, grave: bool, there: list[str], missing: list[str]) -> None:
    said = first_words(BOTS, push(words), NOW)
    assert said is not None
    assert said.grave is grave
    assert all(each in said.text for each in there), said.text
    assert not any(each in said.text for each in missing), said.text
    assert len(said.text.encode()) <= 2048


@pytest.mark.parametrize("words", ["你好", "恢复", "我来跟进 3", "公告", "1"])
def test_what_only_the_database_knows_is_not_said(words: str) -> None:
    assert first_words(BOTS, push(words), NOW) is None


def test_a_tapped_bubble_and_a_menu_entry_are_answered_and_a_picture_is_not() -> None:
    assert first_words(BOTS, push("我不想活了", PushKind.TAPPED), NOW) is not None
    assert first_words(BOTS, push("safety.help", PushKind.PRESSED), NOW) is not None
    assert first_words(BOTS, push("staff.list", PushKind.PRESSED), NOW) is None
    assert first_words(BOTS, push("image", PushKind.SENT), NOW) is None
