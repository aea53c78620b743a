"""Hides how a bot's place in a dialogue becomes memory and is read again: a frozen dataclass whose every field has a default."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

T = TypeVar("T")


def read(nothing: T, version: int, memory: Mapping[str, Any] | None) -> T:
    """What was remembered, of the kind of `nothing`, which has every default; `nothing` itself where it cannot be read."""
    if memory is None or memory.get("v") != version:
        return nothing
    kinds = {each.name: type(each.default) for each in fields(nothing)}  # type: ignore[arg-type]  # a dataclass, as said above
    known = {name: value for name, value in memory.items() if name in kinds}
    if any(type(value) is not kinds[name] for name, value in known.items()):
        return nothing
    return type(nothing)(**known)


def written(nothing: T, version: int, kept: T) -> Mapping[str, Any]:
    """As it is remembered: what differs from `nothing`."""
    empty, all_of_it = (asdict(each) for each in (nothing, kept))  # type: ignore[call-overload]  # as above
    return {"v": version} | {name: value for name, value in all_of_it.items() if value != empty[name]}
