"""Hides a transaction that has not been asked for anything yet: what it will be asked first is known, what it shall write is noted down."""

from collections.abc import Mapping
from typing import Any


class More(BaseException):
    """The work needs more of the database than was looked up ahead; it is run again, in a transaction.

    No `Exception`: whoever survives the bugs of others must not take it for one.
    """


class Foreseen:
    """Stands in for a transaction while work is thought through: `found` is what its first steps found, `noted` what it wants written.

    Only prepared steps know it (`app/db/prepared.py`); whatever else is wanted of it raises `More`.
    """

    def __init__(self, dialect: Any, found: Mapping[Any, Any]) -> None:
        self.dialect = dialect
        self.noted: list[tuple[Any, dict[str, Any]]] = []
        self._found = found

    def __getattr__(self, name: str) -> Any:
        raise More

    def first(self, step: Any) -> Any:
        """What this step found. Raises `More` where it was not looked up."""
        if step not in self._found:
            raise More
        return self._found[step]
