"""Hides the virtual time: the machine's time plus an offset that only grows and stands in `folder/clock` for the service to read."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

#: Daily and monthly limits turn at midnight in China.
_CHINA = timezone(timedelta(hours=8))


class VirtualClock:
    """Seconds since 1970, ahead of the machine by what was advanced so far."""

    def __init__(self, path: Path, seconds: Callable[[], float]) -> None:
        self._path = path
        self._seconds = seconds
        self.offset = float(path.read_text(encoding="ascii")) if path.exists() else 0.0
        self._write()

    def now(self) -> float:
        return self._seconds() + self.offset

    def advance(self, seconds: float) -> None:
        """Move forward. Raises `ValueError` for a step back."""
        if not 0 <= seconds < 10 * 366 * 86_400:
            raise ValueError("The clock only moves forward, at most ten years a step.")
        self.offset += seconds
        self._write()

    def _write(self) -> None:
        # Replaced in one step: the service may read at any moment.
        fresh = self._path.with_suffix(".new")
        fresh.write_text(f"{self.offset:.3f}".removesuffix(".000"), encoding="ascii")
        fresh.replace(self._path)


def iso(seconds: float) -> str:
    """A moment as the control endpoints show it: ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def day(seconds: float) -> int:
    """The number of the day in China."""
    return int((seconds + 8 * 3600) // 86_400)


def month(seconds: float) -> str:
    """The calendar month in China, like 2026-03."""
    return datetime.fromtimestamp(seconds, _CHINA).strftime("%Y-%m")
