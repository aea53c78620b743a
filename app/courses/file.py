"""Hides how a course is written down: reads a course file, checks it, and says file, line and remedy where it does not fit.

A file is a template. What runs is a frozen copy in the database (`app/courses/running.py`), read by the same rules.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import time
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import sqlalchemy as sa
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.courses import anchors
from app.courses.anchors import Anchor
from app.errors import Invalid
from app.models import Course
from bots.texts import LANGUAGES, TextError, Texts

#: The files that are shipped.
SHIPPED = Path(__file__).parents[1] / "course_files"
#: Bytes of UTF-8 in one text of a file: with its head it stays below WeChat's 2,048.
_MOST_BYTES = 1_500
_LARGEST = 200_000
_LONGEST_LINK = 500
#: What the words of a reminder may name.
_GAPS: Mapping[str, str] = dict.fromkeys(("title", "number", "minutes", "week"), "1")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _words(texts: dict[str, str]) -> dict[str, str]:
    if missing := [language for language in LANGUAGES if not texts.get(language, "").strip()]:
        raise ValueError(f"the words in {' and '.join(missing)} are missing; write them in {' and '.join(LANGUAGES)}")
    if strange := sorted(set(texts) - set(LANGUAGES)):
        raise ValueError(f"{strange[0]!r} is no language of ours; write {' and '.join(LANGUAGES)}")
    if any(len(text.encode()) > _MOST_BYTES for text in texts.values()):
        raise ValueError(f"a text is longer than {_MOST_BYTES} bytes (about 500 Chinese characters); shorten it")
    return texts


def _filled(texts: dict[str, str]) -> dict[str, str]:
    try:
        for language, text in texts.items():
            Texts({language: {"words": text}}).fill("words", language, **_GAPS)
    except TextError:
        raise ValueError(f"the words have a gap that nothing fills; there are {', '.join(f'{{{gap}}}' for gap in _GAPS)}") from None
    return texts


def _code(word: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", word):
        raise ValueError(f"{word!r} is no code; it holds 1 to 32 small letters, digits and dashes")
    return word


def _clock(text: str) -> str:
    anchors.clock(text)
    return text


def is_link(text: str) -> bool:
    """Whether this leads to a page of the web, and nowhere else."""
    return text.startswith(("https://", "http://")) and len(text) <= _LONGEST_LINK


def check_link(text: str) -> str:
    """The address where something is held. Raises `ValueError` with the remedy."""
    if not is_link(text):
        raise ValueError(f"a link begins with https:// and has at most {_LONGEST_LINK} characters")
    return text


def _anchor(text: str) -> str:
    anchors.read(text)
    return text


ByLanguage = Annotated[dict[str, str], AfterValidator(_words)]
Filled = Annotated[dict[str, str], AfterValidator(_words), AfterValidator(_filled)]
Code = Annotated[str, AfterValidator(_code)]
Clock = Annotated[str, AfterValidator(_clock)]
When = Annotated[str, AfterValidator(_anchor)]
Link = Annotated[str, AfterValidator(check_link)]
Minutes = Annotated[int, Field(ge=5, le=24 * 60)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Practice(_Part):
    """Something to practise at home; `minutes` is what it usually takes."""

    code: Code
    name: ByLanguage
    minutes: Annotated[int, Field(ge=1, le=180)]


class Week(_Part):
    """A class and what is practised until the next one. `theme`: the word by which warm words are chosen."""

    theme: Code
    title: ByLanguage
    homework: ByLanguage
    practices: Annotated[list[str], Field(min_length=1, max_length=8)]
    link: Link | None = None


class Meeting(_Part):
    """What each small group does by itself every week."""

    when: When
    minutes: Minutes
    title: ByLanguage
    link: Link | None = None


class Retreat(_Part):
    """A long quiet day between two classes. `silent`: nothing is started by us meanwhile."""

    when: When
    minutes: Minutes
    title: ByLanguage
    cities: Annotated[list[ByLanguage], Field(max_length=20)] = []
    silent: bool = True


class Homework(_Part):
    """Days after the class on which the week's practices are sent and who has not checked in is reminded, at each one's hour, else `at`."""

    sent: Annotated[int, Field(ge=0, le=6)]
    reminded: Annotated[list[Annotated[int, Field(ge=1, le=6)]], Field(max_length=3)] = []
    at: Clock


class Encouragement(_Part):
    """On which days warm words go to everybody, and at which hour."""

    days: Annotated[list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]], Field(min_length=1, max_length=7)]
    at: Clock

    @property
    def iso_days(self) -> str:
        """The days as ISO counts them: "14" is Monday and Thursday."""
        return "".join(str(_DAYS.index(day) + 1) for day in self.days)


class Attendance(_Part):
    """How many classes count as taking part. Without it: three of every four."""

    needed: Annotated[int, Field(ge=1, le=52)]


class Reminder(_Part):
    """Words that hang on each gathering of a kind. `to`: everybody, or who was (`present`) or was not (`absent`) at it."""

    code: Code
    of: Literal["class", "meeting", "retreat"]
    when: str
    to: Literal["everybody", "present", "absent"] = "everybody"
    words: Filled

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.anchor.number or self.anchor.kind != self.of:
            raise ValueError(f'a reminder hangs on each {self.of}; write when like "- 1 day 20:00"')
        if self.to != "everybody" and not self.anchor.after:
            raise ValueError(f"who was {self.to} is known only after the {self.of}; write when with +")
        return self

    @property
    def anchor(self) -> Anchor:
        """When, read."""
        return anchors.read(self.when, of=self.of)


class Wave(_Part):
    """A round of questionnaires. `remind_after`: days after the opening, at `remind_at`, to those who have not finished."""

    code: Code
    title: ByLanguage
    opens: When
    closes: When
    instruments: Annotated[list[str], Field(min_length=1)]
    frames: dict[str, str] = {}
    remind_after: Annotated[list[Annotated[int, Field(ge=0, le=365)]], Field(max_length=10)] = []
    remind_at: Clock = "19:00"
    late: Literal["keep", "refuse"] = "refuse"
    skips: bool = False
    shuffled: bool = False


class Closing(_Part):
    """The last words to everybody, and when the course is over: from then on it starts nothing."""

    when: When
    words: Filled
    over: When


class CourseFile(_Part):
    """A course as it is written down: everything that has a date hangs on a class.

    `second_eyes`: an announcement to more people than this is for a second person to see first; 0: none is. Without it the course's
    setting stays as it is.
    """

    code: Code
    version: Annotated[int, Field(ge=1)]
    title: ByLanguage
    class_at: Clock
    class_minutes: Minutes
    practices: Annotated[list[Practice], Field(min_length=1, max_length=40)]
    weeks: Annotated[list[Week], Field(min_length=1, max_length=52)]
    meeting: Meeting | None = None
    retreat: Retreat | None = None
    homework: Homework
    encouragement: Encouragement | None = None
    attendance: Attendance | None = None
    second_eyes: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    reminders: Annotated[list[Reminder], Field(max_length=20)] = []
    waves: Annotated[list[Wave], Field(max_length=12)] = []
    closing: Closing

    @property
    def class_time(self) -> time:
        """When a class begins where nobody says otherwise."""
        return anchors.clock(self.class_at)

    def practice(self, code: str) -> Practice:
        """The practice of this code."""
        return next(each for each in self.practices if each.code == code)


class _Misfit(Exception):
    """What does not fit, and where: the way of keys and places through the file."""

    def __init__(self, way: Sequence[str | int], sentence: str) -> None:
        super().__init__(sentence)
        self.way, self.sentence = tuple(way), sentence


def shipped() -> dict[str, Path]:
    """The files that come with the program, by their names."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def read(name: str) -> CourseFile:
    """The course file with this name (of a shipped one) or at this path. Raises `Invalid` with file, line and remedy."""
    path = shipped().get(name) or Path(name)
    try:
        if path.stat().st_size > _LARGEST:
            raise Invalid("course_file", f"{path} is larger than {_LARGEST} bytes; that is no course file.")
        text = path.read_text(encoding="utf-8")
        return of(tomllib.loads(text))
    except OSError:
        there = ", ".join(shipped())
        raise Invalid("course_file", f"Cannot read {name!r}; give the path of a course file, or one of: {there}.") from None
    except UnicodeDecodeError:
        raise Invalid("course_file", f"{path} is not UTF-8; save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise Invalid("course_file", f"{path}: {error}; correct the file there.") from None
    except _Misfit as misfit:
        raise Invalid("course_file", f"{path}, line {line_of(text, misfit.way)}: {misfit.sentence}.") from None


def of(tree: Mapping[str, Any]) -> CourseFile:
    """The course that this tree of values is."""
    try:
        file = CourseFile.model_validate(tree)
    except ValidationError as error:
        # A word that is misspelt is missing too: the first of the two says what to do.
        first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        raise _Misfit(tuple(first["loc"]), _sentence(first)) from None
    for way, sentence in _contradictions(file):
        raise _Misfit(way, sentence)
    return file


#: The frozen copy of a course in a query, as `frozen` reads it.
COPY = sa.cast(Course.file, sa.Text).label("file")


@lru_cache(maxsize=64)
def frozen(text: str) -> CourseFile:
    """The course of a frozen copy as it rests in its row; read once, because whatever somebody writes to us looks at it."""
    return of(json.loads(text))


def _sentence(error: Mapping[str, Any]) -> str:
    word = next((str(each) for each in reversed(error["loc"]) if isinstance(each, str)), "the file")
    match error["type"]:
        case "missing":
            return f"{word} is missing; add it"
        case "extra_forbidden":
            return f"{word} is a word that no course file has; correct or remove it"
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            return f"{word}: {error['msg'][0].lower()}{error['msg'][1:]}; correct it"


def _contradictions(file: CourseFile) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What is well written and cannot be."""
    known = [each.code for each in file.practices]
    for name, codes in (
        ("practices", known),
        ("waves", [w.code for w in file.waves]),
        ("reminders", [f"{r.of}.{r.code}" for r in file.reminders]),
    ):
        for place, code in enumerate(codes):
            if code in codes[:place]:
                yield (name, place, "code"), f"{code!r} stands here twice; choose another code"
    for number, week in enumerate(file.weeks):
        for code in week.practices:
            if code not in known:
                yield ("weeks", number, "practices"), f"there is no practice {code!r}; there are {', '.join(known)}"
    if file.attendance is not None and file.attendance.needed > len(file.weeks):
        yield ("attendance", "needed"), f"there are {len(file.weeks)} classes; needed is at most that many"
    for way, text in _anchored(file):
        yield from ((way, sentence) for sentence in _off(file, way, anchors.read(text)))


def _anchored(file: CourseFile) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if file.meeting is not None:
        yield ("meeting", "when"), file.meeting.when
    if file.retreat is not None:
        yield ("retreat", "when"), file.retreat.when
    for place, wave in enumerate(file.waves):
        yield ("waves", place, "opens"), wave.opens
        yield ("waves", place, "closes"), wave.closes
    yield ("closing", "when"), file.closing.when
    yield ("closing", "over"), file.closing.over


def _off(file: CourseFile, way: tuple[str | int, ...], anchor: Anchor) -> Iterator[str]:
    each_class = way[0] == "meeting"
    if anchor.kind != "class":
        yield f'this hangs on a class, not on a {anchor.kind}; write it like "class 1 - 7 days 09:00"'
    elif each_class and anchor.number:
        yield 'a meeting follows each class; write it without a number, like "class + 3 days 20:00"'
    elif not each_class and not 1 <= anchor.number <= len(file.weeks):
        yield f'there are classes 1 to {len(file.weeks)}; write which one, like "class 1"'
    elif way[0] in ("meeting", "retreat") and (not anchor.after or anchor.days > 6):
        yield "this lies between a class and the next one; count 1 to 6 days"


_TABLE = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.-]+)\s*\]\]?")
_KEY = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")


def line_of(text: str, way: Sequence[str | int]) -> int:
    """The line on which the longest known part of this way stands; 1 where none does."""
    found: dict[tuple[str | int, ...], int] = {}
    here: tuple[str | int, ...] = ()
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if table := _TABLE.match(line):
            here = tuple(table[2].split("."))
            if table[1] == "[[":
                counts[table[2]] = counts.get(table[2], -1) + 1
                here = (*here, counts[table[2]])
            found[here] = number
        elif key := _KEY.match(line):
            found.setdefault((*here, key[1]), number)
    parts = (tuple(way[:length]) for length in range(len(way), 0, -1))
    return next((found[part] for part in parts if part in found), 1)
