"""Questionnaires at the terminal: what there is, one with its key, and a file of one's own."""

import shutil
from pathlib import Path

import pytest

from app.cli import instruments
from bots.questionnaire import instrument
from bots.questionnaire.instrument import FOLDER
from tests.bots.test_instruments import SMALL
from tests.bots.test_scoring import SHAPES
from tests.cli.conftest import Tongban, refused


def test_the_list_says_whose_words_they_are(tongban: Tongban) -> None:
    done = tongban("instrument", "list")
    assert done.code == 0
    lines = done.out.splitlines()
    assert {line.split()[0] for line in lines[1:] if line and "demonstration" in line} >= SHAPES.keys()
    assert "示范文字" in done.out
    assert "never validated" in done.out


@pytest.mark.parametrize("code", SHAPES)
def test_one_is_shown_with_its_key_in_either_language(code: str, tongban: Tongban) -> None:
    for language in ("zh", "en"):
        done = tongban("instrument", "show", code, "--language", language)
        assert done.code == 0, done.err
        assert all(word in done.out for word in ("Source:", "Key:", "Rights:", "demonstration"))
        assert f"\n{SHAPES[code][0]} " in done.out, "every item has its line"
    assert "dass21" in refused(tongban("instrument", "show", "mood"))
    assert "zh or en" in refused(tongban("instrument", "show", code, "--language", "fr"))


def test_a_shipped_file_that_somebody_changed_is_told_with_the_remedy(
    tongban: Tongban, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "instruments"
    shutil.copytree(FOLDER, copy)
    (copy / "swls.1.toml").write_text((copy / "swls.1.toml").read_text(encoding="utf-8") + "\n", encoding="utf-8")
    monkeypatch.setattr(instruments, "every", lambda: instrument.every(copy))
    monkeypatch.setattr(instruments, "find", lambda: instrument.find(copy))
    for words in (("list",), ("show", "swls")):
        assert "swls.1.toml was released" in refused(tongban("instrument", *words))


def test_a_file_of_ones_own_is_checked_down_to_its_example(tongban: Tongban, tmp_path: Path) -> None:
    mine = tmp_path / "calm.1.toml"
    mine.write_text(SMALL, encoding="utf-8")
    assert "fits (items: 2, scores: 1)" in tongban("instrument", "check", str(mine)).out
    mine.write_text(SMALL.replace("calm = 2.0", "calm = 1.0"), encoding="utf-8")
    assert "calm = 2, not 1" in refused(tongban("instrument", "check", str(mine)))
    mine.write_text(SMALL.replace("items = [1, 2]", "items = [1, 7]"), encoding="utf-8")
    assert "score calm" in refused(tongban("instrument", "check", str(mine)))
    assert "cannot be read" in refused(tongban("instrument", "check", str(tmp_path / "gone.1.toml")))
    for shipped in FOLDER.glob("*.toml"):
        assert tongban("instrument", "check", str(shipped)).code == 0
