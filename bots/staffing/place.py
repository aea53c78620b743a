"""Hides how an absence in the making is remembered: a frozen `Place`, to and from small JSON. Moments are minutes since 1970 UTC."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

_VERSION = 1


@dataclass(frozen=True)
class Place:
    """What is known so far; 0 and empty mean: not yet."""

    id: int = 0
    step: str = ""  # group, period, cover, sure
    group: int = 0
    cover: int = 0
    starts: int = 0
    ends: int = 0

    def period(self) -> tuple[datetime, datetime]:
        """From when until when."""
        return datetime.fromtimestamp(self.starts * 60, UTC), datetime.fromtimestamp(self.ends * 60, UTC)


def read_place(memory: Mapping[str, Any] | None) -> Place:
    """The remembered place; an empty one where there is none or it cannot be read."""
    if memory is None or memory.get("v") != _VERSION:
        return Place()
    kinds = {each.name: type(each.default) for each in fields(Place)}
    known = {name: value for name, value in memory.items() if name in kinds}
    if any(type(value) is not kinds[name] for name, value in known.items()):
        return Place()
    return Place(**known)


def written(place: Place) -> Mapping[str, Any]:
    """The place as memory: what is not yet known is left out."""
    empty = asdict(Place())
    return {"v": _VERSION} | {name: value for name, value in asdict(place).items() if value != empty[name]}
