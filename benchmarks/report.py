"""Hides how figures are shown: each beside its own limit and the ratio of the medians, as one table and as JSON."""

import json
import platform
import sqlite3
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from app import clock

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Goal:
    """What must hold: of the ratio of medians, or of our own figure."""

    bound: float
    at_least: bool
    of_ratio: bool = True

    def holds(self, ratio: float | None, ours: float) -> bool:
        """Whether it does."""
        value = ratio if self.of_ratio else ours
        return value is not None and (value >= self.bound if self.at_least else value <= self.bound)

    def __str__(self) -> str:
        return f"{'ratio' if self.of_ratio else 'ours'} {'≥' if self.at_least else '≤'} {self.bound:g}"


@dataclass(frozen=True)
class Figure:
    """One figure of every round, and that of its limit in the same rounds."""

    name: str
    unit: str
    ours: Sequence[float]
    limit: Sequence[float] = ()
    goals: Sequence[Goal] = ()

    @property
    def ratio(self) -> float | None:
        """Our median by the limit's."""
        below = statistics.median(self.limit) if self.limit else 0.0
        return statistics.median(self.ours) / below if below else None

    @property
    def holds(self) -> bool | None:
        """Whether every goal is met; None where there is none."""
        return all(goal.holds(self.ratio, statistics.median(self.ours)) for goal in self.goals) if self.goals else None

    def plain(self) -> dict[str, Any]:
        """As JSON takes it."""
        shown = {"name": self.name, "unit": self.unit, "ours": list(self.ours), "limit": list(self.limit)}
        return {**shown, "ratio": self.ratio, "goals": [str(goal) for goal in self.goals], "holds": self.holds}


def table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table."""
    head = ("what", "unit", "ours: median (min-max)", "limit: median (min-max)", "ratio", "goal", "holds")
    rows = [head, ("---",) * len(head)]
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        holds = {None: "", True: "yes", False: "NO"}[figure.holds]
        goals = "; ".join(map(str, figure.goals))
        rows.append((figure.name, figure.unit, _spread(figure.ours), _spread(figure.limit), ratio, goals, holds))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows)


def save(figures: Sequence[Figure], path: Path = RESULTS / "latest.json") -> Path:
    """Write the figures down as JSON, with the machine that they come from."""
    machine = {
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"at": clock.now().isoformat(), "machine": machine, "figures": [figure.plain() for figure in figures]}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    return path


def _spread(values: Sequence[float]) -> str:
    if not values:
        return ""
    shown = _number(statistics.median(values))
    return shown if len(values) == 1 else f"{shown} ({_number(min(values))}-{_number(max(values))})"


def _number(value: float) -> str:
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
