"""What means danger in an answer or a score is data: seen once when it comes, and again when it comes back."""

import itertools
import re
import shutil
from pathlib import Path

import pytest

from bots.questionnaire.instrument import FOLDER, Instrument, every, find
from bots.questionnaire.scoring import score
from bots.questionnaire.thresholds import FILE, ThresholdError, Thresholds, from_answers, load_thresholds, read
from bots.safety.labels import label
from bots.safety.phrases import load_phrases
from bots.texts import LANGUAGES, load_texts

DASS = find()["dass21"]
DEPRESSION = (3, 5, 10, 13, 16, 17, 21)
GOOD = FILE.read_text(encoding="utf-8")


def depressed(*values: int | None) -> dict[int, int | None]:
    """A sheet that is 0 everywhere but in the seven items on depression."""
    return {**dict.fromkeys(range(1, 22), 0), **dict(zip(DEPRESSION, values, strict=True))}


# -- one answer


@pytest.mark.parametrize("item", [10, 21])
@pytest.mark.parametrize(("value", "rule"), [(0, None), (1, None), (2, "answers_hopeless"), (3, "answers_hopeless"), (None, None)])
def test_an_item_on_hope_or_meaning_counts_from_two_on(item: int, value: int | None, rule: str | None) -> None:
    assert load_thresholds().by_answers(DASS, {1: 0}, {1: 0, item: value}) == rule


def test_no_other_item_counts_by_itself() -> None:
    others = [item.number for item in DASS.items if item.number not in (10, 21)]
    assert len(others) == 19
    assert {load_thresholds().by_answers(DASS, {}, {item: 3}) for item in others} == {None}


def test_a_correction_counts_only_where_it_comes_from_below() -> None:
    """Every pair of an earlier and a later answer."""
    for before, after in itertools.product((None, 0, 1, 2, 3), repeat=2):
        found = load_thresholds().by_answers(DASS, {10: before}, {10: after})
        crosses = (after or 0) >= 2 > (before or 0)
        assert (found == "answers_hopeless") is crosses, (before, after)


def test_down_and_up_again_counts_again() -> None:
    given: dict[int, int | None] = {}
    seen = []
    for value in (3, 2, 0, 3):
        after = {**given, 10: value}
        seen.append(load_thresholds().by_answers(DASS, given, after))
        given = after
    assert seen == ["answers_hopeless", None, None, "answers_hopeless"]


def test_each_item_counts_for_itself_and_what_stood_before_counts_no_more() -> None:
    thresholds = load_thresholds()
    assert thresholds.by_answers(DASS, {10: 3}, {10: 3, 21: 2}) == "answers_hopeless"
    assert thresholds.by_answers(DASS, {10: 3, 21: 2}, {10: 3, 21: 2, 1: 3}) is None
    assert thresholds.by_answers(DASS, {}, {8: 1, 9: 0, 10: 2, 11: 3}) == "answers_hopeless"  # several in one message


@pytest.mark.parametrize("code", sorted(find().keys() - {"dass21"}))
def test_the_other_instruments_raise_nothing(code: str) -> None:
    instrument = find()[code]
    highest = {item.number: item.highest for item in instrument.items}
    assert load_thresholds().by_answers(instrument, {}, highest) is None
    assert load_thresholds().by_scores(instrument, highest) is None


# -- scores


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ((1, 1, 1, 1, 1, 1, 1), None),  # 7: moderate
        ((2, 2, 1, 2, 1, 1, 1), None),  # 10: the most that is moderate
        ((2, 2, 1, 2, 2, 1, 1), "answers_score"),  # 11: severe
        ((2, 2, 2, 2, 2, 2, 2), "answers_score"),  # 14: extremely severe
        ((3, 3, 3, 3, 3, 3, 3), "answers_score"),
        ((2, 2, None, 2, 2, 1, 0), "answers_score"),  # 9 of six: prorated to 10.5
        ((2, 2, None, 2, 1, 1, 1), "answers_score"),
        ((2, 1, None, 2, 1, 1, 1), None),  # 8 of six: 9.3
        ((3, 3, None, None, 3, 2, 0), "answers_score"),  # too much is missing for a score, yet 11 are there already
        ((3, 3, None, None, 3, 1, 0), None),  # 10, and nobody knows the rest
        ((None,) * 7, None),
    ],
)
def test_depression_counts_from_severe_on(values: tuple[int | None, ...], rule: str | None) -> None:
    assert load_thresholds().by_scores(DASS, depressed(*values)) == rule


def test_anxiety_and_stress_do_not_count() -> None:
    sheet: dict[int, int | None] = {number: 0 if number in DEPRESSION else 3 for number in range(1, 22)}
    made = score(DASS, {number: value for number, value in sheet.items() if value is not None})
    assert {made[code].band for code in ("anxiety", "stress")} == {"extremely_severe"}
    assert load_thresholds().by_scores(DASS, sheet) is None


def test_the_mildest_answer_of_a_reversed_item_is_its_highest(tmp_path: Path) -> None:
    """Else who left out what is turned round would be flagged for it."""
    worse = every(_reversed(tmp_path))
    thresholds = _read(tmp_path, '[[scores]]\nrule = "answers_low"\ninstrument = "low"\nscore = "low"\nband = "high"\n', worse)
    (instrument,) = worse
    assert thresholds.by_scores(instrument, {1: 2, 2: 0, 3: None, 4: None}) is None
    assert thresholds.by_scores(instrument, {1: 2, 2: 2, 3: 0, 4: None}) == "answers_low"


def _reversed(folder: Path) -> Path:
    items = "".join(f'[[items]]\ntopic = "t{each}"\nzh = "甲{each}"\nen = "a{each}"\n' for each in range(1, 5))
    (folder / "low.1.toml").write_text(
        'code = "low"\nversion = 1\nkind = "scale"\nminutes = 1\nsource = "a test"\nkey = "x"\nrights = "x"\nlowest = 0\nhighest = 2\n'
        '[title]\nzh = "低"\nen = "low"\n[intro]\nzh = "请选。"\nen = "Choose."\n[wording]\nstatus = "demonstration"\nsource = "x"\n'
        f'[anchors]\nzh = ["不", "有点", "是"]\nen = ["no", "some", "yes"]\n{items}'
        '[[scores]]\ncode = "low"\nrule = "sum"\nitems = [1, 2, 3, 4]\nreversed = [3, 4]\n'
        'bands = [{ code = "normal", from = 0 }, { code = "high", from = 6 }]\n[example]\nanswers = [0, 0, 0, 0]\nscores = { low = 4.0 }\n',
        encoding="utf-8",
    )
    return folder


# -- the file that ships


def test_every_entry_that_ships_can_be_met_by_a_sheet_and_is_not_met_by_the_mildest() -> None:
    thresholds, instruments = load_thresholds(), find()
    for entry in thresholds.answers:
        instrument = instruments[entry.instrument]
        for item in entry.items:
            assert thresholds.by_answers(instrument, {}, {item: entry.start}) == entry.rule
            assert thresholds.by_answers(instrument, {}, {item: entry.start - 1}) is None
    for scored in thresholds.scores:
        instrument = instruments[scored.instrument]
        (rule,) = (each for each in instrument.scores if each.code == scored.score)
        worst = {n: instrument.lowest if n in rule.reversed else instrument.highest for n in range(1, len(instrument.items) + 1)}
        mildest = {n: instrument.highest if n in rule.reversed else instrument.lowest for n in worst}
        assert thresholds.by_scores(instrument, worst) == scored.rule
        assert thresholds.by_scores(instrument, mildest) is None


def test_every_rule_of_every_kind_has_a_label_of_its_own_in_both_languages() -> None:
    folder = FOLDER.parents[1] / "safety"
    keys, rules = load_texts(folder).keys(), load_thresholds().names() | load_phrases(folder / "phrases.toml").rule_names()
    assert {"answers_hopeless", "answers_score", "suicide"} <= rules
    assert {rule for rule in rules if f"rule.{rule}" not in keys} == set()
    for language in LANGUAGES:
        labels = [str(label(rule, language)) for rule in sorted(rules)]
        assert len(set(labels)) == len(labels)
        assert label("of_former_years", language) == label("other", language)


def test_a_label_of_answers_tells_neither_the_answer_nor_the_score() -> None:
    telling = re.compile(r"\d|hope|mean|depress|severe|score|DASS|绝望|希望|意义|抑郁|重度|严重|分", re.IGNORECASE)
    for rule, language in itertools.product(load_thresholds().names(), LANGUAGES):
        assert from_answers(rule)
        assert not telling.search(label(rule, language)), (rule, language)
    assert not from_answers("suicide")


# -- a file that does not fit

BROKEN: dict[str, tuple[str | re.Pattern[str], str, str]] = {
    "unknown instrument": ('instrument = "dass21"', 'instrument = "dass42"', "'dass42' does not exist; there are"),
    "no such item": ("number = 21", "number = 22", "item 22 does not exist: dass21.1 has items 1 to 21"),
    "another item": ("number = 10", "number = 11", "in dass21.1 it is 'agitation'"),
    "from beyond the answers": ("from = 2", "from = 4", "has answers 0 to 3"),
    "from that everybody meets": ("from = 2", "from = 0", "parts them"),
    "from is no number": ("from = 2", 'from = "2"', "no whole number"),
    "from is true": ("from = 2", "from = true", "no whole number"),
    "item is true": ("number = 10", "number = true", "not of the form"),
    "no items": (re.compile(r"items = \[.*?\]", re.DOTALL), "items = []", "not of the form"),
    "an item twice": ('{ number = 21, topic = "meaning" }', '{ number = 10, topic = "hopelessness" }', "twice"),
    "no such score": ('score = "depression"', 'score = "sadness"', "'sadness' is none of dass21.1 (there: depression,"),
    "no such band": ('band = "severe"', 'band = "grave"', "'grave' is none of dass21.1, depression (there: normal,"),
    "band that everybody meets": ('band = "severe"', 'band = "normal"', "everybody would be flagged"),
    "a score of a form": ('"dass21"\nscore', '"intake"\nscore', "there: none"),
    "an item of a form without labels": (
        re.compile(r'"dass21"\nfrom.*?\]', re.DOTALL), '"intake"\nfrom = 30\nitems = [{ number = 2, topic = "age" }]', "parts them"),
    "a rule that words could raise": ('rule = "answers_score"', 'rule = "suicide"', "rule is not answers_"),
    "a key that nobody reads": ('band = "severe"', 'band = "severe"\nbands = "x"', "has bands, which nobody reads"),
    "a table that nobody reads": ("[[scores]]\n", "[[score]]\n", "has score, which nobody reads"),
    "one bracket too few": ("[[scores]]\n", "[scores]\n", "begin each entry with [[scores]]"),
    "no TOML": ("[[scores]]\n", "[[scores]\n", "is no TOML"),
    "nothing in it": (re.compile(".*", re.DOTALL), "", "nobody in danger would be seen"),
}  # fmt: skip


def _read(folder: Path, text: str, instruments: list[Instrument] | None = None) -> Thresholds:
    path = folder / "thresholds.toml"
    path.write_text(text, encoding="utf-8")
    return read(path, every() if instruments is None else instruments)


@pytest.mark.parametrize("case", BROKEN)
def test_what_does_not_fit_is_told_in_one_sentence(case: str, tmp_path: Path) -> None:
    old, new, told = BROKEN[case]
    broken = old.sub(new, GOOD, count=1) if isinstance(old, re.Pattern) else GOOD.replace(old, new)
    assert broken != GOOD
    with pytest.raises(ThresholdError) as refused:
        _read(tmp_path, broken)
    sentence = str(refused.value)
    assert told in sentence
    assert sentence.startswith("thresholds.toml")
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(ThresholdError, match="put it back"):
        read(tmp_path / "thresholds.toml", every())


def test_a_later_version_that_numbers_its_items_otherwise_is_seen_at_once(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "instruments")
    text = (FOLDER / "dass21.1.toml").read_text(encoding="utf-8").replace("version = 1", "version = 2")
    later = tmp_path / "instruments" / "dass21.2.toml"
    later.write_text(text, encoding="utf-8")
    _read(tmp_path, GOOD, every(tmp_path / "instruments"))
    turned = text.replace('"hopelessness"', '"x"').replace('"agitation"', '"hopelessness"').replace('"x"', '"agitation"')
    later.write_text(turned, encoding="utf-8")
    with pytest.raises(ThresholdError, match=re.escape("in dass21.2 it is 'agitation'")):
        _read(tmp_path, GOOD, every(tmp_path / "instruments"))
