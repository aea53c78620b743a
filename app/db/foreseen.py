"""Hides a transaction that has not been asked for anything yet: what it will be asked first is known, what it shall write is noted down."""

from collections.abc import Iterable
from typing import Any


class More(BaseException):
    """The work needs more of the database than was looked up ahead; it is run again, in a transaction.

    No `Exception`: whoever survives the bugs of others must not take it for one.
    """


class Foreseen:
    """Stands in for a transaction while work is thought through: `noted` is what it wants written.

    `found`: steps that were taken ahead, each with its values and the row that it found. Only prepared steps know it
    (`app/db/prepared.py`); whatever else is wanted of it raises `More`.
    """

    def __init__(self, dialect: Any, found: Iterable[tuple[Any, dict[str, Any], Any]]) -> None:
        self.dialect = dialect
        self.noted: list[tuple[Any, dict[str, Any]]] = []
        self._found = list(found)

    def __getattr__(self, name: str) -> Any:
        raise More

    def run(self, step: Any, values: dict[str, Any]) -> None:
        """Note this step down, unless it was taken ahead."""
        if self._taken(step, values) is None:
            self.noted.append((step, values))

    def first(self, step: Any, values: dict[str, Any]) -> Any:
        """What this step found with these values. Raises `More` where that was not looked up, or may have changed by what was noted."""
        taken = None if self.noted else self._taken(step, values)
        if taken is None:
            raise More
        return taken[2]

    def _taken(self, step: Any, values: dict[str, Any]) -> tuple[Any, dict[str, Any], Any] | None:
        return next((each for each in self._found if each[0] is step and each[1] == values), None)
