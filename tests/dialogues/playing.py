"""Hides how a transcript is played on a stage, and how words with wildcards are compared with what came."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from tests.dialogues.script import ZONE, Act, Beginning, Clock, Doing, Fact, Script, Step, TranscriptError, Wording

#: What passes with every act.
TEN_SECONDS = timedelta(seconds=10)


class Disagreement(AssertionError):
    """Something in a transcript did not come true."""


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
        self._taken: dict[str, set[int]] = {}  # which pushes have been expected, by person

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
        taken = self._taken.setdefault(step.person, set())
        candidates = [(place, each) for place, each in enumerate(self._stage.reached(step.person)) if place not in taken]
        for place, each in candidates:
            if _agrees(step, each, open_end=False):
                taken.add(place)
                return
        aboard = self._answer if step.person == self._actor else None
        if aboard is None or not _rides(step, aboard):
            came = "\n--\n".join(map(_written, [*(each for _, each in candidates), *([aboard] if aboard else [])])) or "(nothing)"
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
