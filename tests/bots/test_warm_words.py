"""The library of warm words: enough of them, no two alike, none that promises or urges; and how its files are read."""

from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from bots.encouragement import words
from bots.encouragement.words import ALIKE, ANY, EIGHT_WEEKS, WarmWord, alike, shipped, similarity, unfit
from bots.safety.phrases import load_phrases
from bots.texts import LANGUAGES, TextError

CRISIS = load_phrases(Path(words.__file__).parents[1] / "safety" / "phrases.toml")
#: Measured on the shipped words: the two that are most alike share an eighth.
MOST_ALIKE = 0.15


def test_there_are_more_than_sixty_eight_for_each_week_and_for_any() -> None:
    assert len(shipped()) >= 64
    assert Counter(word.theme for word in shipped()) == dict.fromkeys((*EIGHT_WEEKS, ANY), 8)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_are_alike(language: str) -> None:
    close = {(one.code, other.code): similarity(one.texts[language], other.texts[language]) for one, other in combinations(shipped(), 2)}
    assert {pair: share for pair, share in close.items() if share >= MOST_ALIKE} == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_that_was_changed_a_little_is_recognised(language: str) -> None:
    """One word in six is another one: still the same text."""
    unknown = {"zh": "龘", "en": "zebra"}[language]
    for word in shipped():
        tokens = words._TOKEN.findall(word.texts[language].lower())
        changed = " ".join(unknown if place % 6 == 3 else token for place, token in enumerate(tokens))
        assert similarity(word.texts[language], changed) > ALIKE, word.code
        assert alike(changed, [each.texts[language] for each in shipped()]) == word.texts[language]


def test_signs_case_and_width_make_no_other_text() -> None:
    assert similarity("椅子在托着你。", "椅子　在托着你！！") == 1.0
    assert similarity("The chair is holding you.", "THE CHAIR IS HOLDING YOU") == 1.0
    assert similarity("", "") == 0.0
    assert similarity("好", "好") == 1.0
    assert alike("茶", []) is None


@pytest.mark.parametrize("word", shipped(), ids=lambda word: word.code)
def test_each_is_ours_short_gentle_and_says_in_which_tone(word: WarmWord) -> None:
    assert "示范" in word.author
    assert "demonstration" in word.author
    assert " · " in word.tone
    for text in word.texts.values():
        assert unfit(text) is None
        assert CRISIS.crisis(text) is None, "nobody who repeats it shall be taken for somebody in danger"
        assert "！" not in text
        assert "!" not in text
    assert len(word.texts["zh"]) <= 60
    assert len(word.texts["en"]) <= 180
    assert not words._HAN.search(word.texts["en"])
    assert words._HAN.search(word.texts["zh"])


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("坚持下去。", "坚持"),
        ("一切都会好起来的", "会好起来"),
        ("加 油！", "加油"),
        ("这个练习能缓解焦虑", "缓解"),
        ("You should rest.", "you should"),
        ("Don’t give up now", "give up"),
        ("It HEALS.", "heals"),
        ("a wealth of shoulders", None),
        ("慢慢来，坐一会儿。", None),
    ],
)
def test_promises_and_urging_are_recognised_as_people_write_them(text: str, phrase: str | None) -> None:
    assert unfit(text) == phrase


def test_the_list_of_what_is_not_said_has_both_kinds_in_both_languages() -> None:
    assert len(words._phrases()) > 100
    assert all(phrase == phrase.casefold().strip() for phrase in words._phrases())
    for phrase in words._phrases():
        assert unfit(f"， {phrase} 。") is not None, phrase


WORD = '[[words]]\ncode = "{code}"\ntone = "x · y"\nzh = "茶"\nen = "tea"\n'
HEAD = 'theme = "{theme}"\nauthor = "A"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("theme = ", "library/tea.toml"),
        (HEAD.format(theme="milk") + WORD.format(code="a"), "theme = 'tea'"),
        ('theme = "tea"\n' + WORD.format(code="a"), "author"),
        (HEAD.format(theme="tea"), "words"),
        (HEAD.format(theme="tea") + WORD.format(code="a").replace('en = "tea"\n', ""), "a has no en"),
        (HEAD.format(theme="tea") + WORD.format(code="a").replace('zh = "茶"', 'zh = "  "'), "a has no zh"),
        (HEAD.format(theme="tea") + WORD.format(code="a").replace("x · y", ""), "a has no tone"),
        (HEAD.format(theme="tea") + WORD.format(code="a").replace("茶", "茶" * 201), "a is longer than 600 bytes"),
        (HEAD.format(theme="tea") + WORD.format(code="a") * 2, "'a' is used twice"),
    ],
)
def test_a_file_that_does_not_fit_is_named_with_its_remedy(text: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "tea.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(words, "_FOLDER", tmp_path)
    with pytest.raises(TextError, match=says):
        shipped.__wrapped__()
