"""Hides where the boxes of the flow chart stand: a column of who goes on, and beside it who does not."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.console.study import StudyPage, Told
from app.states import ANSWERABLE, Asked

#: In units of the chart, which is as wide as a phone: a box, a line of words in it, what is left between two boxes.
WIDE, _MAIN, _SIDE, _LINE, _PAD, _GAP = 360, 170, 160, 18, 10, 22
_NOT_INCLUDED = ("declined", "no_questionnaires", "no_time", "other")
_AWAY = (Asked.REFUSED, Asked.WINDOW_CLOSED, Asked.WITHDRAWN, Asked.INELIGIBLE)


@dataclass(frozen=True)
class Words:
    """A line in a box: a text key with its count, or a title."""

    key: str
    count: Told = ""
    title: str = ""


@dataclass(frozen=True)
class Box:
    """A box, placed, with its lines at their heights."""

    x: int
    y: int
    width: int
    height: int
    lines: tuple[tuple[int, Words], ...]


@dataclass(frozen=True)
class Chart:
    """The whole chart; `links` are lines from (x, y) to (x, y)."""

    boxes: tuple[Box, ...]
    links: tuple[tuple[int, int, int, int], ...]
    wide: int
    high: int


def chart(page: StudyPage) -> Chart:
    """The flow of a study, from the first question to the last wave."""
    steps: list[tuple[list[Words], list[Words]]] = []
    if page.screened.get("answered") not in (0, None):
        out = [Words(f"flow.{word}", page.screened[word]) for word in _NOT_INCLUDED if page.screened[word] not in (0, "")]
        steps.append(([Words("flow.answered", page.screened["answered"])], out))
    people = page.course
    left = [Words(f"flow.{word}", people[word]) for word in ("withdrawn", "answers_erased") if people.get(word)]
    came = [Words("flow.came_enough", people["came_enough"])] if people.get("came_enough") else []
    steps.append(([Words("flow.participants", people.get("participants", 0)), *came], left))
    for wave in page.waves:
        inside = [Words("", title=wave.title), Words("flow.assigned", wave.assigned), Words("flow.complete", wave.counts[Asked.COMPLETE])]
        going = sum(wave.counts[state] for state in ANSWERABLE)
        inside += [Words("flow.going", going)] if going else []
        steps.append((inside, [Words(f"asked.{state}", wave.counts[state]) for state in _AWAY if wave.counts[state]]))
    return _placed(steps)


def _placed(steps: Sequence[tuple[list[Words], list[Words]]]) -> Chart:
    boxes, links, top, middle = list[Box](), list[tuple[int, int, int, int]](), 1, _MAIN // 2
    for place, (main, side) in enumerate(steps):
        high = max(_high(main), _high(side) if side else 0)
        if place:
            links.append((middle, top - _GAP, middle, top))
        boxes.append(_box(1, top, _MAIN, high, main))
        if side:
            links.append((_MAIN + 1, top + high // 2, WIDE - _SIDE - 1, top + high // 2))
            boxes.append(_box(WIDE - _SIDE - 1, top + (high - _high(side)) // 2, _SIDE, _high(side), side))
        top += high + _GAP
    return Chart(tuple(boxes), tuple(links), WIDE, top - _GAP + 1)


def _high(lines: list[Words]) -> int:
    return len(lines) * _LINE + _PAD


def _box(x: int, y: int, width: int, height: int, lines: list[Words]) -> Box:
    first = y + (height - len(lines) * _LINE) // 2 + _LINE - 5
    return Box(x, y, width, height, tuple((first + place * _LINE, words) for place, words in enumerate(lines)))
