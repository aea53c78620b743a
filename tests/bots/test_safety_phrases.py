"""How well crisis words are recognised: recall and false alarms on the labelled phrases, by language, printed with `pytest -rP`.

The labelled phrases were written by the builders of this bot, not collected from people: the figures show that nothing got worse, not
how the rules fare in life. `seen` phrases were used to write the rules, `heldout` ones never were: whoever uses one for a rule marks it
`seen` and writes a new one. First figures of each held-out set, before any rule was changed for it (recall zh, en; false alarms zh, en):

1. plain phrases: 26 of 28, 22 of 22; 1 of 32, 0 of 24
2. indirect ones, without the words of the lists: 9 of 25, 6 of 18; 0 of 24, 0 of 18
3. indirect ones again: 8 of 25, 6 of 20; 1 of 24, 1 of 18
4. a mixture: 7 of 22, 12 of 18; 1 of 20, 0 of 18
5. a mixture, after the rule `death` (any death that no exception explains) was added: 18 of 18, 15 of 15; 1 of 18, 0 of 16

Sets 1 to 4 are `seen` now; 5 is the held-out slice. It was written in the same sitting as that rule, so it flatters it. What says neither
death nor harm in any word (set 2 and 3) is what a list of phrases misses: a course never relies on it alone.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import bots.safety
from bots.safety.phrases import LONGEST, Found, PhraseError, Phrases, characters, fold, load_phrases, words
from bots.safety.resources import load_resources
from bots.texts import LANGUAGES, TextError, load_texts

FOLDER = Path(bots.safety.__file__).parent


@dataclass(frozen=True)
class Labelled:
    part: str
    language: str
    label: str
    phrase: str


@pytest.fixture(scope="module")
def phrases() -> Phrases:
    return load_phrases(FOLDER / "phrases.toml")


def labelled() -> Iterator[Labelled]:
    head, *lines = (FOLDER / "labelled.tsv").read_text(encoding="utf-8").splitlines()
    assert head.split("\t") == ["slice", "language", "label", "phrase"]
    for line in lines:
        yield Labelled(*line.split("\t"))


def rates(phrases: Phrases, part: str, language: str) -> tuple[float, float]:
    """Recall and the rate of false alarms; what went wrong is printed."""
    mine = [each for each in labelled() if (each.part, each.language) == (part, language)]
    crisis, other = ([each for each in mine if (each.label == "crisis") is wanted] for wanted in (True, False))
    missed = [each.phrase for each in crisis if not phrases.crisis(each.phrase)]
    alarmed = [each.phrase for each in other if phrases.crisis(each.phrase)]
    recall, false_alarms = 1 - len(missed) / len(crisis), len(alarmed) / len(other)
    print(f"{part} {language}: recall {recall:.3f} ({len(crisis)} phrases), false alarms {false_alarms:.3f} ({len(other)} phrases)")
    print(*(f"  missed: {phrase}" for phrase in missed), *(f"  false alarm: {phrase}" for phrase in alarmed), sep="\n")
    return recall, false_alarms


@pytest.mark.parametrize("language", ["zh", "en"])
def test_recall_and_false_alarms_on_the_phrases_that_the_rules_know(phrases: Phrases, language: str) -> None:
    recall, false_alarms = rates(phrases, "seen", language)
    assert recall >= 0.97
    assert false_alarms <= 0.05


@pytest.mark.parametrize("language", ["zh", "en"])
def test_held_out_phrases_are_not_recognised_much_worse_than_the_known_ones(phrases: Phrases, language: str) -> None:
    recall, false_alarms = rates(phrases, "heldout", language)
    assert recall >= 0.9
    assert false_alarms <= 0.1


def test_no_words_of_the_other_bots_and_no_choice_raise_an_alarm(phrases: Phrases) -> None:
    folders = [path.parent for path in FOLDER.parent.glob("*/texts.zh.toml") if path.parent != FOLDER]
    assert folders
    for folder in folders:
        texts = load_texts(folder)
        spoken = [raw for language in LANGUAGES for raw in texts._by_language[language].values()]
        assert [raw for raw in spoken if phrases.crisis(raw)] == []


def test_the_labelled_phrases_are_many_and_each_stands_once() -> None:
    all_of_them = list(labelled())
    assert len(all_of_them) >= 240
    assert len({each.phrase for each in all_of_them}) == len(all_of_them)
    assert {each.label for each in all_of_them} == {"crisis", "near_miss", "ordinary"}
    assert {each.part for each in all_of_them} == {"seen", "heldout"}


@pytest.mark.parametrize(
    "phrase",
    [
        "自 杀",
        "自.杀",
        "自*杀",
        "自\u200b杀",
        "自殺",
        "自-杀！",
        "我 想 死",
        "s u i c i d e",
        "SU1CIDE",
        "sui\u00adcide",
        "ｓｕｉｃｉｄｅ",
        "I don’t want to live",
        "zisha",
        "kill\nmyself",
    ],
)
def test_disguises_do_not_hide_a_phrase(phrases: Phrases, phrase: str) -> None:
    assert phrases.crisis(phrase)


@pytest.mark.parametrize("phrase", ["", " ", "😭", "。。。", "\u200b", "((((", "~", "想", "a" * 50])
def test_what_is_nothing_is_nothing(phrases: Phrases, phrase: str) -> None:
    assert phrases.crisis(phrase) is None


def test_an_idiom_beside_it_does_not_hide_a_crisis(phrases: Phrases) -> None:
    assert phrases.crisis("今天累死了，笑死，可是我真的不想活了")
    assert phrases.crisis("I am dying to see you but I want to kill myself")
    assert phrases.crisis("我妈死了以后我也不想活了")


def test_a_sentences_end_is_never_bridged(phrases: Phrases) -> None:
    assert phrases.crisis("我今天很想。死记硬背也行") is None


def test_the_gravest_rule_is_named(phrases: Phrases) -> None:
    found = phrases.crisis("撑不下去了，想自杀")
    assert found is not None
    assert (found.rule, found.severity) == ("suicide", "acute")


def test_every_message_is_read_in_time(phrases: Phrases) -> None:
    """A chat message of 300 characters in under two milliseconds (the best of several tries); the worst 64 KiB in under 200."""
    message = "呼吸练习的时候，我注意到胸口很紧，后来慢慢松开了。I practised ten minutes this morning. " * 3
    assert min(_seconds(phrases, message) for _ in range(20)) < 0.002
    for hostile in ("我", "想", "站", "( 。", "want to ", "i ", "吃了", "没有我", "不想", "\ufdfa"):
        assert min(_seconds(phrases, hostile * (60_000 // len(hostile.encode()))) for _ in range(3)) < 0.2


@pytest.mark.parametrize(("cry", "word"), [("我想自杀", "suicide"), ("I want to kill myself", "suicide")])
def test_of_a_long_text_both_ends_are_read_and_the_middle_is_not(phrases: Phrases, cry: str, word: str) -> None:
    half = "今天的练习是观察呼吸。" * 1_000
    for text in (f"{cry}。{half}", f"{half}{cry}"):
        found = phrases.crisis(text)
        assert found is not None
        assert found.rule == word
    assert phrases.crisis(f"{half}{cry}。{half}") is None
    whole = half[: LONGEST - len(cry)]
    assert phrases.crisis(f"{whole[:2_000]}{cry}{whole[2_000:]}"), "up to that length everything is read"


def test_the_graver_of_both_ends_is_named(phrases: Phrases) -> None:
    half = "今天的练习是观察呼吸。" * 1_000
    for text in (f"撑不下去了。{half}想自杀", f"想自杀。{half}撑不下去了"):
        found = phrases.crisis(text)
        assert found is not None
        assert (found.rule, found.severity) == ("suicide", "acute")


def test_the_second_look_of_a_turn_searches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    search = Phrases._gravest

    def watched(self: Phrases, text: str) -> Found | None:
        looked.append(text)
        return search(self, text)

    monkeypatch.setattr(Phrases, "_gravest", watched)
    fresh = load_phrases(FOLDER / "phrases.toml")
    assert [fresh.crisis("撑不下去了，想自杀") for _ in range(2)] == [Found("suicide", "acute")] * 2
    assert looked == ["撑不下去了，想自杀"]


def _seconds(phrases: Phrases, text: str) -> float:
    phrases._remembered.cache_clear()
    start = time.perf_counter()
    phrases.crisis(text)
    return time.perf_counter() - start


def test_words_and_characters_have_one_plain_form() -> None:
    assert characters(fold("我 想 自 殺\n好")) == "我想自杀。好"
    assert words(fold("I’m S.U.I.C.I.D.A.L!!")) == " im suicidal "


@pytest.mark.parametrize(
    ("rules", "complaint"),
    [
        ('name = "x"\nlanguage = "fr"\nseverity = "acute"\npatterns = ["a"]', "language"),
        ('name = "x"\nlanguage = "zh"\nseverity = "mild"\npatterns = ["a"]', "severity"),
        ('name = "x"\nlanguage = "zh"\nseverity = "acute"\npatterns = ["(a|(b|c))"]', "brackets"),
        ('name = "x"\nlanguage = "zh"\nseverity = "acute"\npatterns = ["(a|b"]', "bracket"),
        ('name = "x"\nlanguage = "zh"\nseverity = "acute"\npatterns = ["a|b"]', "outside"),
        ('name = "x"\nlanguage = "zh"\nseverity = "acute"\npatterns = ["(a|)~"]', "everything"),
        ('name = "x"\nlanguage = "zh"\nseverity = "acute"', "patterns"),
    ],
)
def test_a_file_of_phrases_that_does_not_fit_is_refused_with_the_reason(tmp_path: Path, rules: str, complaint: str) -> None:
    path = tmp_path / "phrases.toml"
    path.write_text(f'[words]\nstop = ["停"]\n[exceptions]\nzh = ["a"]\nen = ["a"]\n[[rules]]\n{rules}\n', encoding="utf-8")
    with pytest.raises(PhraseError, match=complaint):
        load_phrases(path)


def test_every_help_line_has_a_source_and_the_day_it_was_checked(tmp_path: Path) -> None:
    lines = load_resources(FOLDER / "resources.toml")
    assert all(number in lines[language] for number in ("12356", "120", "110", "010-82951332", "400-161-9995") for language in ("zh", "en"))
    path = tmp_path / "resources.toml"
    path.write_text('[[lines]]\nzh = "1"\nen = "1"\nsource = "x"\nremark = "x"\n', encoding="utf-8")
    with pytest.raises(TextError, match="checked"):
        load_resources(path)
    path.write_text('[[lines]]\nzh = "1"\nen = "1"\nsource = "x"\nremark = "x"\nchecked = "today"\n', encoding="utf-8")
    with pytest.raises(TextError, match="date"):
        load_resources(path)
