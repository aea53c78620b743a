"""Hides where the squares of the practice calendar stand: a line for each member, a column for each day, the newest at the right."""

from dataclasses import dataclass
from datetime import date

from app.console.grids import Practice

#: In pixels, as the names beside it are: the height of a line and of the heading, a square and what lies between two.
LINE, HEAD, _SQUARE, _STEP = 28, 36, 14, 17


@dataclass(frozen=True)
class Square:
    """A day of somebody. `kind`: done, open (not done) or before (they had not joined yet)."""

    x: int
    y: int
    kind: str
    day: date


@dataclass(frozen=True)
class Chart:
    """The whole calendar. `weeks`: where a Monday stands, with its day."""

    lines: tuple[tuple[Square, ...], ...]
    weeks: tuple[tuple[int, date], ...]
    wide: int
    high: int
    size: int = _SQUARE


def chart(practice: Practice) -> Chart:
    """Everybody's days as squares."""
    lines = tuple(
        tuple(
            Square(
                place * _STEP,
                HEAD + number * LINE + (LINE - _SQUARE) // 2,
                "done" if day in row.done else "before" if day < row.since else "open",
                day,
            )
            for place, day in enumerate(practice.days)
        )
        for number, row in enumerate(practice.rows)
    )
    weeks = tuple((place * _STEP, day) for place, day in enumerate(practice.days) if day.weekday() == 0)
    return Chart(lines, weeks, max(len(practice.days) * _STEP, 44), HEAD + len(practice.rows) * LINE)
