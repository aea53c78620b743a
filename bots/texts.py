"""Words in files: loads `texts.<language>.toml`, checks that the languages fit together, fills gaps inertly.

A gap is `{name}`, `{name:number}` or `{name:time}`. Strings from people are made inert when they are filled in, so that nothing
relayed can carry a link or a tap; `Words` that were filled before are put in as they are.
"""

import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

LANGUAGES = ("zh", "en")

#: Bytes of UTF-8 that a WeChat text may hold (45002 above it; platform reference, section 4).
MOST_BYTES = 2048

_GAP = re.compile(r"\{([a-z_]+)(?::(text|number|time))?\}")
_WEEKDAYS = {"zh": ["周一", "周二", "周三", "周四", "周五", "周六", "周日"], "en": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]}
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_INERT = str.maketrans({"<": "＜", ">": "＞"})


class TextError(ValueError):
    """A file of words does not fit: a key or gap is missing, a type is unknown, a text is too long."""


class Words(str):
    """Text that was filled from a file of words and may be put into another gap unchanged."""

    __slots__ = ()


def inert(text: str) -> Words:
    """The same words with nothing in them that WeChat would turn into a link or a tap."""
    harmless = re.sub(r"(?i)weixin\s*:\s*/\s*/", "weixin：//", text.translate(_INERT))
    return Words(harmless)


def say_time(moment: datetime, language: str, zone: str) -> Words:
    """A moment as people write it: `11月23日 周一 20:00`, `Mon 23 Nov 20:00`."""
    local = moment.astimezone(ZoneInfo(zone))
    day = _WEEKDAYS[language][local.weekday()]
    if language == "zh":
        return Words(f"{local.month}月{local.day}日 {day} {local:%H:%M}")
    return Words(f"{day} {local.day} {_MONTHS[local.month - 1]} {local:%H:%M}")


def say_day(day: date, language: str) -> Words:
    """A day as people write it: `11月23日 周一`, `Mon 23 Nov`."""
    name = _WEEKDAYS[language][day.weekday()]
    return Words(f"{day.month}月{day.day}日 {name}" if language == "zh" else f"{name} {day.day} {_MONTHS[day.month - 1]}")


class Texts:
    """One bot's words in every language."""

    def __init__(self, by_language: Mapping[str, Mapping[str, str]]) -> None:
        self._by_language = by_language
        self._split = {language: {key: _parts(words) for key, words in texts.items()} for language, texts in by_language.items()}

    def keys(self) -> frozenset[str]:
        """Every key, dotted; the same in each language."""
        return frozenset(next(iter(self._by_language.values()), {}))

    def fill(self, key: str, language: str, zone: str = "Asia/Shanghai", /, **gaps: Any) -> Words:
        """The words under `key` with every gap filled. Raises `TextError` for a missing key, gap or wrong type."""
        split = self._split[language if language in self._split else LANGUAGES[0]].get(key)
        if split is None:
            raise TextError(f"No words under {key!r} in {language}.")
        first: Words = split[0]
        rest = split[1:]
        if not rest:
            return first
        filled: list[str] = [first]
        for name, kind, words in rest:
            filled += (_fill(key, name, kind, gaps, language, zone), words)
        return Words("".join(filled))


def _parts(words: str) -> tuple[Any, ...]:
    """A text cut at its gaps, once: its beginning, then for each gap its name, its kind and what follows it."""
    pieces = _GAP.split(words)
    following = zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True)
    return (Words(pieces[0]), *((name, kind or "text", after) for name, kind, after in following))


def _fill(key: str, name: str, kind: str, gaps: Mapping[str, Any], language: str, zone: str) -> str:
    if name not in gaps:
        raise TextError(f"{key!r} has a gap {name!r} that nothing fills.")
    value = gaps[name]
    if kind == "time" and isinstance(value, datetime):
        return say_time(value, language, zone)
    if kind == "number" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if kind == "text" and isinstance(value, str):
        return value if isinstance(value, Words) else inert(value)
    raise TextError(f"{key!r} wants a {kind} for {name!r} and got {type(value).__name__}.")


def load_texts(folder: Path) -> Texts:
    """Read and check the words of the bot in `folder`. Raises `TextError` with file, key and remedy."""
    by_language = {language: _read(folder / f"texts.{language}.toml") for language in LANGUAGES}
    first = by_language[LANGUAGES[0]]
    for language, texts in by_language.items():
        where = f"{folder.name}/texts.{language}.toml"
        if missing := sorted(set(first) ^ set(texts)):
            raise TextError(f"{where}: the keys {', '.join(missing)} stand in one language only; add the other.")
        for key, words in texts.items():
            if _gaps(words) != _gaps(first[key]):
                raise TextError(f"{where}: {key} has other gaps than texts.{LANGUAGES[0]}.toml; make them equal.")
            if len(words.encode()) > MOST_BYTES:
                raise TextError(f"{where}: {key} is longer than {MOST_BYTES} bytes; shorten it.")
    return Texts(by_language)


def _read(path: Path) -> dict[str, str]:
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TextError(f"{path} is missing; every bot speaks every language.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TextError(f"{path}: {error}") from None
    return dict(_flat(tree, ""))


def _flat(tree: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in tree.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{name}.")
        elif isinstance(value, str):
            found.append((prefix + name, value.strip("\n")))
        else:
            raise TextError(f"{prefix}{name} is not text; put it in quotes.")
    return found


def _gaps(words: str) -> frozenset[tuple[str, str]]:
    return frozenset((gap.group(1), gap.group(2) or "text") for gap in _GAP.finditer(words))
