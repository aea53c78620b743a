"""Hides that a test process compiles a statement once, not once a test: each test opens engines of its own on its own database.

SQLAlchemy keeps what it compiled for each engine, and by its dialect. Dialects of the same driver compile the same, so here they share.
"""

from collections.abc import Iterator, MutableMapping
from typing import Any

import sqlalchemy as sa

#: Statements that are kept of each kind of engine; the whole suite has about a thousand.
MOST = 5_000

_create_engine = sa.create_engine
_shared: dict[tuple[str, str], "Compiled"] = {}


class Compiled(MutableMapping[Any, Any]):
    """What was compiled for one kind of engine. A key's first part is the dialect, which is not looked at."""

    def __init__(self) -> None:
        self._kept: dict[Any, Any] = {}

    def __getitem__(self, key: Any) -> Any:
        return self._kept[key[1:]]

    def __setitem__(self, key: Any, compiled: Any) -> None:
        if len(self._kept) >= MOST:
            self._kept.clear()
        self._kept[key[1:]] = compiled

    def __delitem__(self, key: Any) -> None:
        del self._kept[key[1:]]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)


def share() -> None:
    """From now on engines of this process share what they compile."""
    sa.create_engine = _create_sharing


def _create_sharing(*arguments: Any, **options: Any) -> sa.Engine:
    engine = _create_engine(*arguments, **options)
    kept = _shared.setdefault((engine.dialect.name, engine.dialect.driver), Compiled())
    engine.update_execution_options(compiled_cache=kept)
    return engine
