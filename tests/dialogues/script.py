"""Hides the form of the transcripts: reads them into steps (README.md beside this file describes the form)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from bots.questionnaire.instrument import Instrument, find
from tests.dialogues.patterns import FACTS, GATHERING, ROLE

ZONE = ZoneInfo("Asia/Shanghai")


#: The version word of the consent that is shipped, for courses that brought none of their own.
SHIPPED_VERSION = "template-3"


class TranscriptError(ValueError):
    """A transcript cannot be read: which line, and why."""


# The world at the beginning -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CourseThere:
    title: str
    help: str = ""
    consent_version: str = SHIPPED_VERSION
    consent_text: str = ""
    file: str = ""  # of the course that it runs by, from the first day on
    first_day: date | None = None
    starts_on: date | None = None
    zone: str = "Asia/Shanghai"
    second_eyes: int = 0  # transcripts are small: 0 unless they say otherwise


@dataclass(frozen=True)
class GroupThere:
    course: str
    name: str
    capacity: int | None = None
    code: str | None = None
    large: bool = False
    closed: bool = False


@dataclass(frozen=True)
class MemberThere:
    person: str
    role: str
    group: str


@dataclass(frozen=True)
class InvitationThere:
    code: str
    group: str
    role: str
    once: bool
    name: str | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class WaveThere:
    """Questionnaires that are put to everybody who takes part in a course. `opens` None: at the first `@`."""

    course: str
    title: str
    instruments: tuple[str, ...]
    opens: datetime | None = None
    closes: datetime | None = None  # otherwise after so many `days`
    days: int = 7
    reminders: tuple[int, ...] = ()
    skips: bool = False
    keeps_late: bool = False

    def window(self, start: datetime) -> tuple[datetime, datetime]:
        """When it opens and closes, in a transcript that begins at `start`."""
        opens = self.opens or start
        return opens, self.closes or opens + timedelta(days=self.days)


@dataclass(frozen=True)
class WarmWordsThere:
    """A course with the shipped warm words; `days` (ISO weekdays) at `hour` its large group gets one, from the day `starts` on."""

    course: str
    days: str = ""
    hour: str = ""
    starts: date | None = None


@dataclass(frozen=True)
class Beginning:
    """What is there before anybody does anything. Groups are found by name; names are unique within a transcript."""

    courses: tuple[CourseThere, ...] = ()
    groups: tuple[GroupThere, ...] = ()
    members: tuple[MemberThere, ...] = ()
    invitations: tuple[InvitationThere, ...] = ()
    languages: Mapping[str, str] = field(default_factory=dict)
    zones: Mapping[str, str] = field(default_factory=dict)
    paused: frozenset[str] = frozenset()
    on_call: tuple[str, ...] = ()
    waves: tuple[WaveThere, ...] = ()
    warm_words: tuple[WarmWordsThere, ...] = ()

    def people(self) -> tuple[str, ...]:
        """Everybody who is declared, in the order of the lines."""
        return tuple(dict.fromkeys([*(each.person for each in self.members), *self.languages, *self.zones, *self.on_call]))


# What happens -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Types:
    text: str


@dataclass(frozen=True)
class Taps:
    """`earlier` 0: in the latest message that has this choice; 1: in the one before that which has it."""

    label: str
    earlier: int = 0


@dataclass(frozen=True)
class Scans:
    code: str


@dataclass(frozen=True)
class Follows:
    code: str | None = None


@dataclass(frozen=True)
class Leaves:
    pass


@dataclass(frozen=True)
class Sends:
    """`kind` as `bots.turns.Sent` has it: image, voice, video, location, link, file, other."""

    kind: str


@dataclass(frozen=True)
class Presses:
    key: str


Act = Types | Taps | Scans | Follows | Leaves | Sends | Presses


@dataclass(frozen=True)
class Clock:
    line: int
    at: datetime


@dataclass(frozen=True)
class Doing:
    line: int
    person: str
    act: Act


@dataclass(frozen=True)
class Wording:
    """Words that must come: as the answer, or (`pushed`) without being one. `choices` None: they are not looked at."""

    line: int
    person: str
    words: str
    choices: tuple[str, ...] | None
    pushed: bool
    nothing: bool = False


@dataclass(frozen=True)
class Fact:
    """A fact that must hold: `kind` is a key of FACTS, `values` its parts by name."""

    line: int
    kind: str
    values: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.values[name] or ""

    def moment(self) -> datetime:
        """The time that the fact names (`at`)."""
        return _moment(self["at"])

    def check_in(self) -> tuple[int | None, bool, bool]:
        """The minutes of the check-in that the fact names, whether it has a line, and whether it is shared."""
        return int(self["minutes"].split()[1]) if self["minutes"] else None, bool(self["line"]), bool(self["shared"])

    def answers(self) -> dict[int, str | None]:
        """The answers that the fact names, by item; None where one was left out."""
        if self["answers"] == "nothing":
            return {}
        found = [_ANSWERED.fullmatch(each) for each in self["answers"].split(", ")]
        return {int(each[1]): each[2] for each in found if each is not None}


Step = Clock | Doing | Wording | Fact


@dataclass(frozen=True)
class Script:
    """One transcript."""

    where: str
    beginning: Beginning
    steps: tuple[Step, ...]


_FACTS = {kind: re.compile(pattern) for kind, pattern in FACTS.items()}
_ROLE_VERBS = {"leads": "leader", "assists": "assistant", "mentors": "mentor", "administers": "administrator", "researches": "researcher"}
_KINDS = {
    "a picture": "image",
    "a voice message": "voice",
    "a video": "video",
    "a location": "location",
    "a link": "link",
    "a file": "file",
    "a sticker": "other",
}
_SPEECH = re.compile(r"([^\s<>=@#][^<>]*?)(<<|<|>) ?(.*)", re.DOTALL)
_CHOICE_LINE = re.compile(r"(?!\[(?:\.\.\.|…)\])(\[(?:\d+\. )?[^\[\]]+\]\s*)+")
_CHOICE = re.compile(r"\[(?:\d+\. )?([^\[\]]+)\]")
_ANSWERED = re.compile(r"(\d+)(?:=(.+)| left out)")
_TAP = re.compile(r"\[([^\[\]]+)\](?: \((an earlier one)\))?")
_LARGE = "大组"
_WEEK = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@cache
def known_instruments() -> dict[str, Instrument]:
    """The instruments that a wave may ask, by their codes."""
    return find()


# Reading ------------------------------------------------------------------------------------------------------------------------


def read(text: str, where: str) -> Script:
    """The transcript. Raises `TranscriptError` with the line that cannot be read."""
    beginning, steps = Beginning(), list[Step]()
    for line, words in _entries(text):
        try:
            if words.startswith("=") and not steps:
                beginning = _declare(beginning, words[1:].strip())
            else:
                steps.append(_step(line, words))
        except (ValueError, KeyError) as error:
            raise TranscriptError(f"{where}:{line}: {error}") from error
    return Script(where, _with_large_groups(beginning), tuple(steps))


def _entries(text: str) -> Iterator[tuple[int, str]]:
    """Each entry with its line number; lines that begin with spaces belong to the entry above."""
    entry: tuple[int, str] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if line[0].isspace() and entry is not None:
            entry = (entry[0], f"{entry[1]}\n{line.strip()}")
            continue
        if entry is not None:
            yield entry
        entry = (number, line.rstrip())
    if entry is not None:
        yield entry


def _step(line: int, words: str) -> Step:
    if words.startswith("@"):
        return Clock(line, _moment(words[1:].strip()))
    if words.startswith("="):
        return _fact(line, words[1:].strip())
    speech = _SPEECH.fullmatch(words)
    if speech is None:
        raise ValueError(f"this is no line of a transcript: {words!r}")
    person, mark, said = speech.groups()
    return Doing(line, person.strip(), _act(said)) if mark == ">" else _wording(line, person.strip(), said, pushed=mark == "<<")


def gathering_scanned(code: str) -> tuple[str, int] | None:
    """The kind and number of a gathering whose QR code is meant; None where it is a code of another kind."""
    found = re.fullmatch(rf"the code of {GATHERING}", code)
    return (found["kind"], int(found["number"])) if found else None


def _moment(words: str) -> datetime:
    return datetime.strptime(words, "%Y-%m-%d %H:%M").replace(tzinfo=ZONE)


def _fact(line: int, words: str) -> Fact:
    for kind, pattern in _FACTS.items():
        if found := pattern.fullmatch(words):
            return _checked(Fact(line, kind, found.groupdict()))
    raise ValueError(f"this fact does not exist: {words!r}; README.md lists them")


def _checked(fact: Fact) -> Fact:
    if fact.kind == "answered" and fact["answers"] != "nothing":
        for each in fact["answers"].split(", "):
            if not _ANSWERED.fullmatch(each):
                raise ValueError(f"an answer is written 7=3 or 7 left out, not {each!r}")
    return fact


def _act(said: str) -> Act:  # noqa: PLR0911 - one branch per act
    if tap := _TAP.fullmatch(said):
        return Taps(tap.group(1), 1 if tap.group(2) else 0)
    if not (said.startswith("(") and said.endswith(")")):
        return Types(said)
    verb, _, rest = said[1:-1].partition(" ")
    match verb, rest:
        case "scans", code if code:
            return Scans(code)
        case "follows", code:
            return Follows(code or None)
        case "leaves", "":
            return Leaves()
        case "sends", thing:
            return Sends(_KINDS[thing])
        case "presses", key if key:
            return Presses(key)
        case _:
            raise ValueError(f"nobody can do {said!r}; README.md lists what happens")


def _wording(line: int, person: str, said: str, *, pushed: bool) -> Wording:
    if said == "(nothing)":
        return Wording(line, person, "", None, pushed, nothing=True)
    lines = said.splitlines()
    rows = [each for each in lines if _CHOICE_LINE.fullmatch(each)]
    words = "\n".join(each for each in lines if each not in rows)
    labels = tuple(label for row in rows for label in _CHOICE.findall(row))
    open_end = not rows and words.endswith(("…", "[...]"))
    return Wording(line, person, words, None if open_end else labels, pushed)


def _declare(there: Beginning, words: str) -> Beginning:  # noqa: C901, PLR0911, PLR0912 - one branch per sentence of README.md
    course = there.courses[-1] if there.courses else CourseThere("")
    if found := re.fullmatch(r"course runs (\S+) from (\d{4}-\d\d-\d\d)", words):
        return replace(there, courses=(*there.courses[:-1], replace(course, file=found[1], first_day=date.fromisoformat(found[2]))))
    if found := re.fullmatch(r"course (.+)", words):
        return replace(there, courses=(*there.courses, CourseThere(found[1])))
    if found := re.fullmatch(r"help (.+)", words, re.DOTALL):
        return replace(there, courses=(*there.courses[:-1], replace(course, help=found[1])))
    if found := re.fullmatch(r"consent (\S+): (.+)", words, re.DOTALL):
        return replace(there, courses=(*there.courses[:-1], replace(course, consent_version=found[1], consent_text=found[2])))
    if found := re.fullmatch(r"the course starts on (\d{4}-\d\d-\d\d)", words):
        return replace(there, courses=(*there.courses[:-1], replace(course, starts_on=date.fromisoformat(found[1]))))
    if found := re.fullmatch(r"the course is held in (\S+/\S+)", words):
        return replace(there, courses=(*there.courses[:-1], replace(course, zone=ZoneInfo(found[1]).key)))
    if found := re.fullmatch(r"announcements to more than (\d+) people need second eyes", words):
        return replace(there, courses=(*there.courses[:-1], replace(course, second_eyes=int(found[1]))))
    if found := re.fullmatch(r"large group (.+)", words):
        return replace(there, groups=(*there.groups, GroupThere(course.title, found[1], large=True)))
    if found := re.fullmatch(r"group (.+) is closed", words):
        return replace(there, groups=tuple(replace(each, closed=each.closed or each.name == found[1]) for each in there.groups))
    if found := re.fullmatch(r"group ([^:]+?)(?:: (?:capacity (\d+))?(?:, )?(?:code (\w+))?)?", words):
        group = GroupThere(course.title, found[1], int(found[2]) if found[2] else None, found[3])
        return replace(there, groups=(*there.groups, group))
    if found := re.fullmatch(rf"invitation (\w+) for (.+?) as {ROLE}(, once)?(?:, for (.+?))?(?:, until (.+))?", words):
        until = _moment(found[6]) if found[6] else None
        invitation = InvitationThere(found[1], _known(there, found[2]), found["role"], found[4] is not None, found[5], until)
        return replace(there, invitations=(*there.invitations, invitation))
    if found := re.fullmatch(r"wave ([^:;]+): ([^;]+)((?:; [^;]+)*)", words):
        return replace(there, waves=(*there.waves, _wave(there, found[1], found[2], found[3])))
    if found := re.fullmatch(r"warm words(?: on (\w{3}(?:, \w{3})*) (\d\d:\d\d) from (\S+))?", words):
        return replace(there, warm_words=(*there.warm_words, _warm_words(course, found)))
    if found := re.fullmatch(r"(.+) speaks (zh|en)", words):
        return replace(there, languages={**there.languages, found[1]: found[2]})
    if found := re.fullmatch(r"(.+) lives in (\S+/\S+)", words):
        return replace(there, zones={**there.zones, found[1]: ZoneInfo(found[2]).key})
    if found := re.fullmatch(r"(.+) is paused", words):
        return replace(there, paused=there.paused | {found[1]})
    if found := re.fullmatch(r"(.+) is on call", words):
        return replace(there, on_call=(*there.on_call, found[1]))
    if found := re.fullmatch(r"(\S+) is in (.+)", words):
        return replace(there, members=(*there.members, MemberThere(found[1], "participant", _known(there, found[2]))))
    if found := re.fullmatch(r"(\S+) administers", words):
        return _administrator(there, found[1], course)
    if found := re.fullmatch(rf"(\S+) ({'|'.join(_ROLE_VERBS)}) (.+)", words):
        return replace(there, members=(*there.members, MemberThere(found[1], _ROLE_VERBS[found[2]], _known(there, found[3]))))
    raise ValueError(f"this sentence about the world does not exist: {words!r}; README.md lists them")


def _wave(there: Beginning, title: str, instruments: str, options: str) -> WaveThere:
    if not there.courses or title in {each.title for each in there.waves}:
        raise ValueError(f"the wave {title} stands below a course, and once")
    wave = WaveThere(there.courses[-1].title, title, tuple(instruments.split(", ")))
    if strange := set(wave.instruments) - known_instruments().keys():
        raise ValueError(f"there is no instrument {min(strange)!r}")
    for option in options.split("; ")[1:]:
        wave = _with_option(wave, option)
    return wave


def _warm_words(course: CourseThere, found: re.Match[str]) -> WarmWordsThere:
    if found[1] is None:
        return WarmWordsThere(course.title)
    days = "".join(sorted(str(_WEEK.index(each) + 1) for each in found[1].split(", ")))
    return WarmWordsThere(course.title, days, found[2], date.fromisoformat(found[3]))


def _with_option(wave: WaveThere, option: str) -> WaveThere:
    match option.split(" ", 1):
        case ["skips"]:
            return replace(wave, skips=True)
        case ["late", "keep"]:
            return replace(wave, keeps_late=True)
        case ["opens", moment]:
            return replace(wave, opens=_moment(moment))
        case ["closes", moment] if found := re.fullmatch(r"in (\d+) days?", moment):
            return replace(wave, days=int(found[1]))
        case ["closes", moment]:
            return replace(wave, closes=_moment(moment))
        case ["reminds", days] if found := re.fullmatch(r"after ((?:\d+, )*\d+) days?", days):
            return replace(wave, reminders=tuple(map(int, found[1].split(", "))))
        case _:
            raise ValueError(f"a wave has no option {option!r}; README.md lists them")


def _known(there: Beginning, group: str) -> str:
    if group not in {each.name for each in there.groups}:
        raise ValueError(f"the group {group} was not declared above")
    return group


def _administrator(there: Beginning, person: str, course: CourseThere) -> Beginning:
    there = _with_large_group(there, course)
    large = next(each.name for each in there.groups if each.large and each.course == course.title)
    return replace(there, members=(*there.members, MemberThere(person, "administrator", large)))


def _with_large_groups(there: Beginning) -> Beginning:
    """Every course has its large group, named or not."""
    for course in there.courses:
        there = _with_large_group(there, course)
    return there


def _with_large_group(there: Beginning, course: CourseThere) -> Beginning:
    if any(each.large and each.course == course.title for each in there.groups):
        return there
    name = _LARGE if course.title == there.courses[0].title else f"{course.title}{_LARGE}"
    return replace(there, groups=(*there.groups, GroupThere(course.title, name, large=True)))
