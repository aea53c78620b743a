"""Every file of an instrument is whole, sourced, scored by a worked example and frozen; a new one is one file and no code."""

import hashlib
import re
import shutil
from pathlib import Path

import pytest

from bots.questionnaire.instrument import FOLDER, RELEASED, Instrument, InstrumentError, every, find, load
from bots.questionnaire.scoring import CLOSE, score
from bots.texts import LANGUAGES
from tests.bots.test_scoring import SHAPES

FILES = sorted(FOLDER.glob("*.toml"))
SCALES = [path for path in FILES if load(path).kind == "scale"]
SMALL = """
code = "calm"
version = 1
kind = "scale"
minutes = 1
source = "a test"
key = "its own"
rights = "free"
lowest = 0
highest = 2
[title]
zh = "平静"
en = "Calm"
[intro]
zh = "请选择。"
en = "Please choose."
[wording]
status = "demonstration"
source = "a test"
[anchors]
zh = ["不", "有点", "是"]
en = ["no", "a little", "yes"]
[[items]]
topic = "rest"
zh = "我歇得好。"
en = "I rest well."
[[items]]
topic = "hurry"
zh = "我很赶。"
en = "I hurry."
[[scores]]
code = "calm"
rule = "mean"
items = [1, 2]
reversed = [2]
bands = [{ code = "low", from = 0 }, { code = "high", from = 1.5 }]
[example]
answers = [2, 0]
scores = { calm = 2.0 }
"""


@pytest.fixture(params=SCALES, ids=lambda path: path.name)
def instrument(request: pytest.FixtureRequest) -> Instrument:
    return load(request.param)


def test_the_seven_of_the_study_are_there_with_their_107_items() -> None:
    found = {code: each for code, each in find().items() if each.kind == "scale"}
    assert {code: (len(x.items), x.lowest, x.highest) for code, x in found.items()} == SHAPES
    assert sum(len(x.items) for x in found.values()) == 107


def test_each_is_sourced_and_its_example_comes_out(instrument: Instrument) -> None:
    assert re.search(r"\b(19|20)\d\d\b", instrument.source), "a source has a year"
    made = score(instrument, instrument.example)
    assert instrument.example_scores == {code: pytest.approx(each.value, abs=CLOSE) for code, each in made.items()}


def test_what_ships_is_a_demonstration_in_both_languages(instrument: Instrument) -> None:
    assert instrument.demonstration
    for language in LANGUAGES:
        words = [item.words[language] for item in instrument.items]
        assert len(set(words)) == len(words)
    han = re.compile(r"[一-鿿]")
    assert all(han.search(item.words["zh"]) and not han.search(item.words["en"]) for item in instrument.items)


def test_the_form_at_the_start_asks_how_long_only_where_somebody_meditated() -> None:
    form = find()["intake"]
    assert (form.kind, form.wording, form.scores) == ("form", "own", ())
    assert [(item.name, item.kind.value) for item in form.items] == [
        ("gender", "choice"),
        ("age", "number"),
        ("education", "choice"),
        ("meditated", "choice"),
        ("meditated_for", "choice"),
        ("first_time", "choice"),
        ("other_training", "choice"),
        ("city", "text"),
    ]
    assert len(form.asked({})) == len(form.asked({4: 2})) == 7
    assert [item.name for item in form.asked({4: 1})][4] == "meditated_for"


def test_the_time_that_is_asked_about_is_a_setting() -> None:
    dass = find()["dass21"]
    assert "过去一周" in dass.opening("zh")
    assert "the past month" in dass.opening("en", "month")
    assert find()["swls"].opening("en") == find()["swls"].intro["en"]


def test_every_file_is_released_and_frozen() -> None:
    lines = (FOLDER / RELEASED).read_text(encoding="ascii").splitlines()
    assert lines == [f"{path.name}\t{hashlib.sha256(path.read_bytes()).hexdigest()}" for path in FILES]


def test_a_released_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    copy = tmp_path / "instruments"
    shutil.copytree(FOLDER, copy)
    changed = copy / FILES[0].name
    changed.write_text(changed.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    with pytest.raises(InstrumentError, match=f"{changed.name} was released .* next version"):
        every(copy)
    changed.unlink()
    with pytest.raises(InstrumentError, match="was released"):
        every(copy)


def test_a_new_one_is_one_file_and_a_new_version_takes_the_place_of_the_old(tmp_path: Path) -> None:
    copy = tmp_path / "instruments"
    shutil.copytree(FOLDER, copy)
    (copy / "calm.1.toml").write_text(SMALL, encoding="utf-8")
    assert score(find(copy)["calm"], {1: 2, 2: 1})["calm"].value == 1.5
    (copy / "calm.2.toml").write_text(SMALL.replace("version = 1", "version = 2").replace("from = 1.5", "from = 2"), encoding="utf-8")
    (copy / "calm.10.toml").write_text(SMALL.replace("version = 1", "version = 10"), encoding="utf-8")
    assert find(copy)["calm"].version == 10
    assert [x.version for x in every(copy) if x.code == "calm"] == [1, 10, 2]


BROKEN = {
    "nothing": ("", "", "kind"),
    "another name": ('code = "calm"', 'code = "quiet"', "call it quiet.1.toml"),
    "version": ("version = 1", "version = 2", "call it calm.2.toml"),
    "kind": ('"scale"', '"poem"', "kind"),
    "no source": ('source = "a test"\nkey', 'source = " "\nkey', "source"),
    "range": ("highest = 2", "highest = 0", "highest"),
    "wide range": ("highest = 2", "highest = 99", "more than"),
    "labels": ('"有点", ', "", "anchors.zh"),
    "equal labels": ('"a little"', '"no"', "anchors.en"),
    "one language": ('en = "I hurry."', "", "item 2 has no en"),
    "long item": ("我很赶。", "赶" * 200, "longer"),
    "strange key": ("minutes = 1", "minutes = 1\ncolour = 3", "colour"),
    "no such item": ("items = [1, 2]", "items = [1, 3]", "score calm"),
    "twice": ("items = [1, 2]", "items = [1, 1]", "score calm"),
    "both": ("items = [1, 2]", 'items = [1, 2]\nof = ["calm"]', "score calm"),
    "reverses others": ("reversed = [2]", "reversed = [3]", "reverses"),
    "rule": ('rule = "mean"', 'rule = "median"', "rule"),
    "missing": ('rule = "mean"', 'rule = "mean"\nmissing = "some"', "missing"),
    "bands": ("from = 1.5", "from = 0", "band high"),
    "frame": ('en = "Please choose."', 'en = "Please choose for {frame}."', "intro.en"),
    "example": ("answers = [2, 0]", "answers = [2, 5]", "example.answers"),
    "example's scores": ("calm = 2.0", "", "example.scores"),
    "no TOML": ("[title]", "[title", "no TOML"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_does_not_fit_is_named_with_its_file_and_place(case: str, tmp_path: Path) -> None:
    old, new, told = BROKEN[case]
    assert old in SMALL
    path = tmp_path / "calm.1.toml"
    path.write_text(SMALL.replace(old, new, 1) if old else "", encoding="utf-8")
    with pytest.raises(InstrumentError, match=rf"calm\.1\.toml.*{re.escape(told)}"):
        load(path)


FORM = """
code = "door"
version = 1
kind = "form"
minutes = 1
source = "a test"
key = "its own"
rights = "free"
[title]
zh = "进门"
en = "At the door"
[intro]
zh = "请回答。"
en = "Please answer."
[wording]
status = "own"
source = "a test"
[[items]]
kind = "choice"
name = "been"
topic = "been here"
zh = "来过吗？"
en = "Were you here before?"
choices = { zh = ["来过", "没来过"], en = ["yes", "no"] }
[[items]]
kind = "number"
name = "times"
topic = "how often"
only_if = { name = "been", answers = [1] }
lowest = 1
highest = 50
zh = "几次？"
en = "How often?"
[[items]]
kind = "date"
name = "since"
topic = "since when"
only_if = { name = "times", answers = [2, 3] }
zh = "从哪天起？"
en = "Since when?"
[[items]]
kind = "text"
name = "why"
topic = "reason"
zh = "为什么？"
en = "Why?"
"""

BROKEN_FORMS = {
    "no such kind": ('kind = "date"', 'kind = "drawing"', "item 3, kind"),
    "one label": ('zh = ["来过", "没来过"]', 'zh = ["来过"]', "item 1, choices"),
    "more labels in one language": ('en = ["yes", "no"]', 'en = ["yes", "no", "perhaps"]', "item 1, choices.en"),
    "equal labels": ('en = ["yes", "no"]', 'en = ["yes", "yes"]', "item 1, choices.en"),
    "labels in one language": (', en = ["yes", "no"]', "", "item 1, choices.en"),
    "a strange language": ('en = ["yes", "no"]', 'en = ["yes", "no"], fr = ["oui", "non"]', "fr"),
    "no choices": ('choices = { zh = ["来过", "没来过"], en = ["yes", "no"] }', "", "item 1 has no [choices]"),
    "eleven choices": (
        'zh = ["来过", "没来过"], en = ["yes", "no"]',
        "zh = {0}, en = {0}".format([str(label) for label in range(11)]),
        "more than 10",
    ),
    "name twice": ('name = "times"', 'name = "been"', "item 2, name stands there twice"),
    "name with signs": ('name = "times"', 'name = "How often?"', "item 2, name"),
    "no name": ('name = "why"\n', "", "item 4 has no name"),
    "empty range": ("lowest = 1\n", "lowest = 50\n", "item 2, lowest and highest"),
    "range of words": ("highest = 50", 'highest = "many"', "highest"),
    "no range": ("highest = 50", "", "highest"),
    "only if itself": ('{ name = "been"', '{ name = "times"', "item 2, only_if"),
    "only if a later one": ('{ name = "been"', '{ name = "why"', "item 2, only_if"),
    "only if nobody": ('{ name = "been"', '{ name = "gone"', "item 2, only_if"),
    "only if an answer that there is not": ("answers = [1]", "answers = [3]", "item 2, only_if"),
    "only if a number out of range": ("answers = [2, 3]", "answers = [51]", "item 3, only_if"),
    "only if no answer": ("answers = [1]", "answers = []", "item 2, only_if"),
    "only if with something else": ("answers = [1]", "answers = [1], not = 2", "item 2, only_if has not"),
    "only if a word": ('only_if = { name = "been", answers = [1] }', 'only_if = "been"', "item 2 has no [only_if]"),
    "strange key": ('name = "why"', 'name = "why"\ncolour = 3', "item 4 has colour"),
    "scores": ("minutes = 1", "minutes = 1\nlowers = 1", "lowers"),
    "one language": ('en = "Why?"', "", "item 4 has no en"),
    "long item": ("为什么？", "为" * 200, "item 4, zh is longer"),
}


def test_a_small_form_is_read(tmp_path: Path) -> None:
    (tmp_path / "door.1.toml").write_text(FORM, encoding="utf-8")
    form = load(tmp_path / "door.1.toml")
    asked = [[item.name for item in form.asked(answers)] for answers in ({}, {1: 1}, {1: 1, 2: 2}, {1: 2, 2: 2})]
    assert asked == [["been", "why"], ["been", "times", "why"], ["been", "times", "since", "why"], ["been", "why"]]
    assert form.scores == ()


@pytest.mark.parametrize("case", BROKEN_FORMS)
def test_what_does_not_fit_in_a_form_is_named_with_its_file_and_place(case: str, tmp_path: Path) -> None:
    old, new, told = BROKEN_FORMS[case]
    assert old in FORM
    path = tmp_path / "door.1.toml"
    path.write_text(FORM.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InstrumentError, match=rf"door\.1\.toml.*{re.escape(told)}"):
        load(path)


def test_a_file_that_is_not_there_or_is_called_otherwise_is_told(tmp_path: Path) -> None:
    with pytest.raises(InstrumentError, match="cannot be read"):
        load(tmp_path / "calm.1.toml")
    with pytest.raises(InstrumentError, match="rename it"):
        load(tmp_path / "Calm.toml")
