"""Hides how words are recognised: brings a message into one plain form and looks for the phrases of `phrases.toml` in it.

A phrase is written as people write it, with four signs: `(a|b)` one of these, `(a|)` perhaps this, `~` a short gap (six characters of
Chinese or three words of English, never across the end of a Chinese sentence), `=` in front where the message says nothing else. Every
gap and choice is bounded, and of a message of more than 4,000 characters only the first and the last 2,000 are read, so no message can
make the search slow. Chinese phrases are looked for in the characters (spaces, dots and stars between them are ignored), English ones in
the words (apostrophes ignored, s p a c e d letters joined, digits inside words read as letters).
"""

import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from bots.choices import normal

SEVERITIES = ("acute", "concern")
#: Characters that are read completely; of a longer message, half as many at either end.
LONGEST = 4_000
#: One character can stand for eighteen (U+FDFA): what they become is bounded too.
_MOST_FOLDED = 2 * LONGEST
#: A turn asks twice about the same words, first whether they are for this bot; a few turns run side by side.
_REMEMBERED = 4
#: What is beyond the basic plane is rare, and there is a million of it.
_REMEMBERED_BELOW = 0x10000
_SENTENCE_ENDS = "。!?;"
_GAPS = {"zh": f"[^{_SENTENCE_ENDS}]{{0,6}}", "en": r"(?:\S+ ){0,3}"}
_HAN = r"[\u3400-\u9fff]"
#: Every phrase of a language has one of these: a message without any is not searched for them.
_SCRIPTS = {"zh": re.compile(_HAN), "en": re.compile("[a-z]")}
_BETWEEN_HAN = re.compile(rf"(?<={_HAN})[\s*._\-·•/|`'\"+^#=]+(?={_HAN})")
_SPELLED_OUT = re.compile(r"\b(?:[a-z] ){2,}[a-z]\b")
_REPEATED = re.compile(r"([a-z])\1{2,}")
_LETTER_SIGNS = re.compile(r"(?<=[a-z])[1034@$!]+(?=[a-z])")
_SIGNS = str.maketrans("1034@$!", "ioeaasi")
#: The traditional characters (and the variant 著) that the phrases need; this is no converter.
_SIMPLIFIED = str.maketrans(
    "殺輕繼續結沒這著過來為麼離開遺書樓頂橋體藥農燒傷殘劃決絕別後遠覺給讓們個點經強對嗎應該難無義勁頭煩壓撐賴負擔關發訊復訂課幫請說單刪記錄隱絲寧還愛誰報資聯繫總歲計準備幹毀樣裡媽爺",
    "杀轻继续结没这着过来为么离开遗书楼顶桥体药农烧伤残划决绝别后远觉给让们个点经强对吗应该难无义劲头烦压撑赖负担关发讯复订课帮请说单删记录隐丝宁还爱谁报资联系总岁计准备干毁样里妈爷",
)


class PhraseError(ValueError):
    """`phrases.toml` does not fit: the sentence names the phrase and the remedy."""


@dataclass(frozen=True)
class Found:
    """A rule that recognised something in a message."""

    rule: str
    severity: str


@dataclass(frozen=True)
class _Rule:
    name: str
    language: str
    severity: str
    ordinary: re.Pattern[str]
    always: re.Pattern[str] | None


class Phrases:
    """The crisis rules with their exceptions, and the exact words for stop, resume, withdraw and help."""

    def __init__(self, tree: Mapping[str, Any]) -> None:
        read = tuple(_rule(each) for each in tree["rules"])
        self._rules = tuple(sorted(read, key=lambda rule: SEVERITIES.index(rule.severity)))
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._either_end)
        self._exceptions = {language: _compiled(language, tree["exceptions"][language]) for language in _GAPS}
        self._words = {meaning: frozenset(plain(each) or each for each in words) for meaning, words in tree["words"].items()}

    def rule_names(self) -> frozenset[str]:
        """The name of every crisis rule."""
        return frozenset(rule.name for rule in self._rules)

    def crisis(self, text: str) -> Found | None:
        """The gravest rule that recognises something in these words, or None. Under a millisecond for a chat message.

        Of more than 4,000 characters only the first and the last 2,000 are read: what stands in the middle of an essay is missed, and
        nobody else waits while one is searched. The last few texts are remembered, so the second look of a turn costs nothing.
        """
        return self._remembered(text)

    def _either_end(self, text: str) -> Found | None:
        half = LONGEST // 2
        parts = (text,) if len(text) <= LONGEST else (text[:half], text[-half:])
        found = [each for each in map(self._gravest, parts) if each is not None]
        return min(found, key=lambda each: SEVERITIES.index(each.severity), default=None)

    def _gravest(self, text: str) -> Found | None:
        plainer = fold(text)
        views = {language: view(plainer) for language, view in _VIEWS.items() if _SCRIPTS[language].search(plainer)}
        cleared = {language: self._exceptions[language].sub(" □ ", view) for language, view in views.items()}
        for rule in self._rules:
            if rule.language not in views:
                continue
            if rule.ordinary.search(cleared[rule.language]) or (rule.always and rule.always.search(views[rule.language])):
                return Found(rule.name, rule.severity)
        return None

    def says(self, meaning: str, text: str) -> bool:
        """Whether the whole message is one of the words for `meaning` (a key of `[words]`), and nothing more."""
        return len(text) <= LONGEST and (plain(text) or text.strip()) in self._words[meaning]


def load_phrases(path: Path) -> Phrases:
    """Read and check a file of phrases. Raises `PhraseError` where it does not fit."""
    try:
        return Phrases(tomllib.loads(path.read_text(encoding="utf-8")))
    except KeyError as error:
        raise PhraseError(f"{path.name} lacks {error}; see the file's own head for what belongs in it.") from None


@lru_cache(maxsize=_REMEMBERED)
def plain(text: str) -> str:
    """Short words in the form in which they are compared: as `bots.choices.normal`, in simplified characters."""
    return normal(text).translate(_SIMPLIFIED)


def characters(folded: str) -> str:
    """A folded message as Chinese phrases are looked for: simplified, nothing between the characters but sentence marks."""
    return _BETWEEN_HAN.sub("", folded.replace("\n", "。").translate(_SIMPLIFIED)).strip()


def words(folded: str) -> str:
    """A folded message as English phrases are looked for: plain words with single spaces, one at each end."""
    spelled = _LETTER_SIGNS.sub(lambda signs: signs.group().translate(_SIGNS), folded)
    spaced = re.sub(rf"({_HAN})", r" \1 ", re.sub(r"['’‘`´]", "", spelled))
    only_words = re.sub(r"[\W_]+", " ", spaced)
    joined = _SPELLED_OUT.sub(lambda letters: letters.group().replace(" ", ""), only_words)
    return f" {_REPEATED.sub(lambda letters: letters.group(1), joined).strip()} "


_VIEWS: Mapping[str, Callable[[str], str]] = {"zh": characters, "en": words}


def fold(text: str) -> str:
    """A message in NFKC and small letters, without marks that cannot be seen alone: what both views are made of."""
    return unicodedata.normalize("NFKC", text).casefold()[:_MOST_FOLDED].translate(_VISIBLE)


class _Visible(dict[int, int | None]):
    """For `str.translate`: marks that cannot be seen alone go. What a character is, is looked up once."""

    def __missing__(self, code: int) -> int | None:
        kept = None if unicodedata.category(chr(code)) in ("Cf", "Mn", "Me") else code
        if code < _REMEMBERED_BELOW:
            self[code] = kept
        return kept


_VISIBLE = _Visible()


def _rule(entry: Mapping[str, Any]) -> _Rule:
    if entry["severity"] not in SEVERITIES:
        raise PhraseError(f"The severity {entry['severity']!r} of {entry['name']!r} is unknown; write one of {', '.join(SEVERITIES)}.")
    if entry["language"] not in _GAPS:
        raise PhraseError(f"The language {entry['language']!r} of {entry['name']!r} is unknown; write one of {', '.join(_GAPS)}.")
    always = entry.get("always", [])
    return _Rule(
        entry["name"],
        entry["language"],
        entry["severity"],
        _compiled(entry["language"], entry["patterns"]),
        _compiled(entry["language"], always) if always else None,
    )


def _compiled(language: str, patterns: Iterable[str]) -> re.Pattern[str]:
    """All of them as one expression; where it cannot begin is seen before each of them is tried, which takes five times as long."""
    begin: set[str] = set()
    known: list[str] = []
    others: list[str] = []
    for pattern in patterns:
        expression, first = _expression(language, pattern), _beginnings(language, pattern)
        begin |= first
        (known if first else others).append(expression)
    if known:
        others.append(f"(?=[{''.join(sorted(map(re.escape, begin)))}])(?:{'|'.join(known)})")
    return re.compile("|".join(others))


def _beginnings(language: str, pattern: str) -> set[str]:
    """The characters that what a phrase recognises can begin with; none where that is not known."""
    phrase = pattern.translate(_SIMPLIFIED)
    if language == "en":
        return set() if phrase.startswith("=") else {" "}
    begin: set[str] = set()
    for choice, sign in re.findall(r"\(([^)]*)\)|(.)", phrase):
        words = [sign] if sign else choice.split("|")
        if any(word.startswith(("=", "~")) for word in words):
            return set()
        begin.update(word[0] for word in words if word)
        if "" not in words:
            return begin
    return set()


def _expression(language: str, pattern: str) -> str:
    """One phrase as a regular expression in which everything is bounded."""
    whole = pattern.startswith("=")
    phrase = pattern.removeprefix("=").translate(_SIMPLIFIED)
    _check(phrase)
    if not _SCRIPTS[language].search(phrase):
        raise PhraseError(f"The phrase {phrase!r} has no letter of its language; put it under the other one.")
    if language == "en":
        phrase = f" {phrase.replace('~ ', '~')} "
    signs = {"~": _GAPS[language], "(": "(?:", "|": "|", ")": ")"}
    body = "".join(signs.get(sign, re.escape(sign)) for sign in phrase)
    return rf"(?:\A\W*(?:{body})\W*\Z)" if whole else f"(?:{body})"


def _check(phrase: str) -> None:
    depth = 0
    for sign in phrase:
        depth += (sign == "(") - (sign == ")")
        if depth not in (0, 1) or (sign == "|" and depth == 0):
            raise PhraseError(f"The phrase {phrase!r} has brackets inside brackets, or a | outside of them; write two phrases.")
    if depth or not re.sub(r"\([^)]*\|\)|[~\s]", "", phrase):
        raise PhraseError(f"The phrase {phrase!r} has an open bracket, or would match everything.")
