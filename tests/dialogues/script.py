"""Hides the form of the transcripts: reads them, and plays them on a stage (README.md beside this file describes the form)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Shanghai")
#: What passes with every act.
TEN_SECONDS = timedelta(seconds=10)


class TranscriptError(ValueError):
    """A transcript cannot be read: which line, and why."""


class Disagreement(AssertionError):
    """Something in a transcript did not come true."""


# The world at the beginning -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CourseThere:
    title: str
    help: str = ""
    consent_version: str = "1"
    consent_text: str = ""


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


Step = Clock | Doing | Wording | Fact


@dataclass(frozen=True)
class Script:
    """One transcript."""

    where: str
    beginning: Beginning
    steps: tuple[Step, ...]


_ROLE = "(?P<role>participant|leader|assistant|mentor|administrator|researcher)"
_TIME = r"(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d)"
#: Every fact that may be asserted.
FACTS = {
    "member": rf"(?P<person>.+) is {_ROLE} of (?P<group>.+)",
    "not_member": r"(?P<person>.+) is not in (?P<group>.+)",
    "called": r"(?P<person>.+) is called (?P<name>.+)",
    "consented": r"(?P<person>.+) consented to (?P<course>.+)",
    "not_consented": r"(?P<person>.+) has not consented to (?P<course>.+)",
    "included": r"(?P<person>.+) was included in (?P<course>.+)",
    "excluded": r"(?P<person>.+) was excluded from (?P<course>.+): (?P<why>.+)",
    "speaks": r"(?P<person>.+) speaks (?P<language>zh|en)",
    "not_paused": r"(?P<person>.+) is not paused",
    "paused": r"(?P<person>.+) is paused",
    "withdrew": r"(?P<person>.+) withdrew, answers (?P<answers>stay|go)",
    "code": r"code (?P<code>\S+) is (?P<state>used|open)",
    "flag_taken": r"flag for (?P<person>.+) is taken by (?P<taker>.+)",
    "flags": r"(?P<count>no flag|flag|\d+ flags) for (?P<person>.+)",
    "planned": rf"announcement to (?P<group>.+) planned for {_TIME}",
    "none_planned": r"no announcement to (?P<group>.+) planned",
    "outcome": r"announcement to (?P<group>.+) (?P<outcome>went out|was cancelled|was missed)",
    "announcements": r"(?P<count>no|\d+) announcements? to (?P<group>.+)",
    "waits": r"(?P<what>something|nothing) waits for (?P<person>.+)",
    "nothing_reached": r"nothing reached (?P<person>.+)",
}
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
_CHOICE_LINE = re.compile(r"(\[\d+\. [^\[\]]+\]\s*)+")
_CHOICE = re.compile(r"\[\d+\. ([^\[\]]+)\]")
_TAP = re.compile(r"\[([^\[\]]+)\](?: \((an earlier one)\))?")
_LARGE = "大组"


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
    return Script(where, beginning, tuple(steps))


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


def _moment(words: str) -> datetime:
    return datetime.strptime(words, "%Y-%m-%d %H:%M").replace(tzinfo=ZONE)


def _fact(line: int, words: str) -> Fact:
    for kind, pattern in _FACTS.items():
        if found := pattern.fullmatch(words):
            return Fact(line, kind, found.groupdict())
    raise ValueError(f"this fact does not exist: {words!r}; README.md lists them")


def _act(said: str) -> Act:
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
    if found := re.fullmatch(r"course (.+)", words):
        return replace(there, courses=(*there.courses, CourseThere(found[1])))
    if found := re.fullmatch(r"help (.+)", words, re.DOTALL):
        return replace(there, courses=(*there.courses[:-1], replace(course, help=found[1])))
    if found := re.fullmatch(r"consent (\S+): (.+)", words, re.DOTALL):
        return replace(there, courses=(*there.courses[:-1], replace(course, consent_version=found[1], consent_text=found[2])))
    if found := re.fullmatch(r"large group (.+)", words):
        return replace(there, groups=(*there.groups, GroupThere(course.title, found[1], large=True)))
    if found := re.fullmatch(r"group (.+) is closed", words):
        return replace(there, groups=tuple(replace(each, closed=each.closed or each.name == found[1]) for each in there.groups))
    if found := re.fullmatch(r"group ([^:]+?)(?:: (?:capacity (\d+))?(?:, )?(?:code (\w+))?)?", words):
        group = GroupThere(course.title, found[1], int(found[2]) if found[2] else None, found[3])
        return replace(there, groups=(*there.groups, group))
    if found := re.fullmatch(rf"invitation (\w+) for (.+?) as {_ROLE}(, once)?(?:, for (.+?))?(?:, until (.+))?", words):
        until = _moment(found[6]) if found[6] else None
        invitation = InvitationThere(found[1], _known(there, found[2]), found["role"], found[4] is not None, found[5], until)
        return replace(there, invitations=(*there.invitations, invitation))
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


def _known(there: Beginning, group: str) -> str:
    if group not in {each.name for each in there.groups}:
        raise ValueError(f"the group {group} was not declared above")
    return group


def _administrator(there: Beginning, person: str, course: CourseThere) -> Beginning:
    large = next((each.name for each in there.groups if each.large and each.course == course.title), None)
    if large is None:
        large = _LARGE
        there = replace(there, groups=(*there.groups, GroupThere(course.title, large, large=True)))
    return replace(there, members=(*there.members, MemberThere(person, "administrator", large)))


# Playing ------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shown:
    """A message as a person sees it: words without the choices, and the labels of the choices."""

    text: str
    choices: tuple[str, ...] = ()


class Stage(Protocol):
    """A world in which a transcript is played."""

    def set_up(self, beginning: Beginning, at: datetime) -> None:
        """Make the declared world; it is now `at`."""

    def advance(self, to: datetime) -> None:
        """Move the clock, and do what falls due on the way, in its order."""

    def act(self, person: str, act: Act) -> Shown | None:
        """Somebody does something now; returns the answer. Everything that follows within ten seconds has happened afterwards."""

    def reached(self, person: str) -> Sequence[Shown]:
        """What reached this person without being (part of) an answer since the last `act` or `advance`."""

    def holds(self, fact: Fact) -> bool:
        """Whether a fact holds now; all kinds but "nothing_reached"."""


def play(script: Script, stage: Stage) -> None:
    """Play a transcript. Raises `Disagreement` with file, line, what was expected and what came instead."""
    _Play(script, stage).run()


class _Play:
    def __init__(self, script: Script, stage: Stage) -> None:
        self._script, self._stage = script, stage
        self._now = datetime(2026, 11, 23, 9, 0, tzinfo=ZONE)
        self._actor = ""
        self._answer: Shown | None = None
        self._taken: dict[str, list[Shown]] = {}

    def run(self) -> None:
        first = next((step for step in self._script.steps if isinstance(step, Clock)), None)
        self._now = first.at if first is not None else self._now
        self._stage.set_up(self._script.beginning, self._now)
        for place, step in enumerate(self._script.steps):
            match step:
                case Clock():
                    self._move(step)
                case Doing():
                    self._do(step)
                case Wording(pushed=True):
                    self._find_push(step)
                case Wording():
                    self._compare_answer(step, self._script.steps[place + 1 :])
                case Fact():
                    self._check(step)

    def _move(self, step: Clock) -> None:
        if step.at < self._now:
            raise TranscriptError(f"{self._script.where}:{step.line}: time moves forward only; it is {self._now:%Y-%m-%d %H:%M:%S} already")
        self._now, self._answer, self._actor = step.at, None, ""
        self._taken.clear()
        self._stage.advance(step.at)

    def _do(self, step: Doing) -> None:
        self._taken.clear()
        try:
            self._answer = self._stage.act(step.person, step.act)
        except LookupError as error:
            raise self._disagrees(step.line, f"{step.person} cannot do this", str(error)) from error
        self._actor = step.person
        self._now += TEN_SECONDS

    def _compare_answer(self, step: Wording, following: Sequence[Step]) -> None:
        if step.person != self._actor:
            raise TranscriptError(f"{self._script.where}:{step.line}: {step.person} has just done nothing that could be answered")
        if step.nothing or self._answer is None:
            if not (step.nothing and self._answer is None):
                raise self._disagrees(step.line, step.words or "(nothing)", _written(self._answer))
            return
        rides = any(isinstance(each, Wording) and each.pushed and each.person == step.person for each in _until_next_act(following))
        if not _agrees(step, self._answer, open_end=rides):
            raise self._disagrees(step.line, _expected(step), _written(self._answer))

    def _find_push(self, step: Wording) -> None:
        taken = self._taken.setdefault(step.person, [])
        candidates = [each for each in self._stage.reached(step.person) if not any(each is one for one in taken)]
        for each in candidates:
            if _agrees(step, each, open_end=False):
                taken.append(each)
                return
        aboard = self._answer if step.person == self._actor else None
        if aboard is None or not _rides(step, aboard):
            came = "\n--\n".join(map(_written, [*candidates, *([aboard] if aboard else [])])) or "(nothing)"
            raise self._disagrees(step.line, _expected(step), came)

    def _check(self, step: Fact) -> None:
        holds = not self._stage.reached(step["person"]) if step.kind == "nothing_reached" else self._stage.holds(step)
        if not holds:
            values = ", ".join(f"{name} {value}" for name, value in step.values.items())
            raise self._disagrees(step.line, f"{step.kind}: {values}", "it does not hold")

    def _disagrees(self, line: int, expected: str, came: str) -> Disagreement:
        return Disagreement(f"{self._script.where}:{line}\nexpected:\n{expected}\ncame:\n{came}")


def _until_next_act(steps: Sequence[Step]) -> Iterator[Step]:
    for step in steps:
        if isinstance(step, Clock | Doing):
            return
        yield step


def _agrees(step: Wording, shown: Shown, *, open_end: bool) -> bool:
    pattern, text = _pattern(step.words), _plain(shown.text)
    if not (re.match(pattern, text) if open_end else re.fullmatch(pattern, text)):
        return False
    if step.choices is None:
        return True
    return shown.choices[: len(step.choices)] == step.choices if open_end else shown.choices == step.choices


def _rides(step: Wording, answer: Shown) -> bool:
    return re.search(_pattern(step.words), _plain(answer.text)) is not None and set(step.choices or ()) <= set(answer.choices)


def _plain(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def _pattern(words: str) -> str:
    any_words = "\0"
    pattern = re.escape(_plain(words).replace("[...]", "…")).replace("…", any_words)
    pattern = re.sub(f"{any_words}+", any_words, pattern)
    pattern = pattern.replace(f"\\\n{any_words}\\\n", r"\n(?:[\s\S]*\n)?").removesuffix("\\\n" + any_words)
    trailing = r"(?:\n[\s\S]*)?" if _plain(words).endswith("\n…") else ""
    return pattern.replace(any_words, r"[\s\S]*") + trailing


def _expected(step: Wording) -> str:
    return step.words + ("" if step.choices is None else f"\n{_labels(step.choices)}")


def _written(shown: Shown | None) -> str:
    return "(nothing)" if shown is None else f"{_plain(shown.text)}\n{_labels(shown.choices)}".rstrip()


def _labels(choices: Sequence[str]) -> str:
    return " ".join(f"[{place}. {label}]" for place, label in enumerate(choices, start=1))
