"""Hides whose turn it is among the broadcasts of an account: the more urgent first, then courses and broadcasts in turn.

Within a priority every broadcast that has something due gives an equal share of each claim, so that ten thousand messages of one course
keep twenty-five of another waiting for a moment, not until they are through. The index of what is due is ordered by broadcast, and the
heads are found by stepping from one broadcast to the next: the cost grows with the broadcasts, not with the rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

from app.db import Tx
from app.models import Broadcast, Delivery
from app.outbox.batches import statement

T = TypeVar("T")

#: Broadcasts that give their share in one claim; the others come in the next one.
_AT_ONCE = 8

_HEADS = statement(
    """
    WITH RECURSIVE heads (id, priority, broadcast_id, step) AS (
        SELECT * FROM (
            SELECT id, priority, broadcast_id, 1 FROM deliveries
            WHERE account_id = :account_id AND state IN ('ready', 'retry')
            ORDER BY priority, broadcast_id, due_at, id LIMIT 1) AS first
        UNION ALL
        SELECT d.id, d.priority, d.broadcast_id, heads.step + 1
        FROM heads JOIN deliveries AS d ON d.id = COALESCE(
            (SELECT n.id FROM deliveries AS n
             WHERE n.account_id = :account_id AND n.state IN ('ready', 'retry')
                 AND n.priority = heads.priority AND n.broadcast_id > heads.broadcast_id
             ORDER BY n.broadcast_id, n.due_at, n.id LIMIT 1),
            (SELECT m.id FROM deliveries AS m
             WHERE m.account_id = :account_id AND m.state IN ('ready', 'retry') AND m.priority > heads.priority
             ORDER BY m.priority, m.broadcast_id, m.due_at, m.id LIMIT 1))
        WHERE heads.step < 20000  -- broadcasts that one look steps over: a silence may hold those of weeks
    )
    SELECT d.priority, d.broadcast_id, b.course_id
    FROM heads JOIN deliveries AS d ON d.id = heads.id JOIN broadcasts AS b ON b.id = d.broadcast_id
    WHERE d.due_at <= :now
    ORDER BY d.priority, d.broadcast_id""",
    Delivery.priority,
    Delivery.broadcast_id,
    Broadcast.course_id,
)
_SHARE = statement(
    """
    SELECT id FROM deliveries
    WHERE account_id = :account_id AND priority = :priority AND broadcast_id = :broadcast_id AND state IN ('ready', 'retry')
        AND due_at <= :now
    ORDER BY due_at, id LIMIT :most $free""",
    Delivery.id,
)
_MORE_URGENT = statement(
    """
    SELECT id FROM deliveries
    WHERE account_id = :account_id AND state IN ('ready', 'retry') AND priority < :priority AND due_at <= :now
    LIMIT 1""",
    Delivery.id,
)


class Head(NamedTuple):
    """A broadcast of which something is due."""

    priority: int
    broadcast_id: int
    course_id: int | None


def due(tx: Tx, account_id: int, now: datetime, most: int, served: Mapping[int, int]) -> list[int]:
    """Up to `most` due deliveries of an account in the order in which they shall go, each held until the commit.

    `served`: when each broadcast last had its turn, as a number that grows; who waits longest comes first.
    """
    heads = [Head(*row) for row in _HEADS.all(tx, account_id=account_id, now=now)]
    found: list[int] = []
    for level in _levels(heads):
        left = _in_turn(level, served)
        while left and len(found) < most:
            some, left = left[:_AT_ONCE], left[_AT_ONCE:]
            share = max(1, (most - len(found)) // len(some))
            found += _alternating([_take(tx, account_id, head, now, share) for head in some])
    return found[:most]


def any_due(tx: Tx, account_id: int, now: datetime) -> bool:
    """Whether anything of an account is due."""
    return bool(_HEADS.all(tx, account_id=account_id, now=now))


def more_urgent(tx: Tx, account_id: int, priority: int, now: datetime) -> bool:
    """Whether something is due that goes before everything of this priority."""
    return _MORE_URGENT.first(tx, account_id=account_id, priority=priority, now=now) is not None


def _levels(heads: Sequence[Head]) -> Iterator[list[Head]]:
    for priority in sorted({head.priority for head in heads}):
        yield [head for head in heads if head.priority == priority]


def _in_turn(level: Sequence[Head], served: Mapping[int, int]) -> list[Head]:
    """Those that have waited longest first; courses alternate, and within a course its broadcasts."""
    courses: dict[int | None, list[Head]] = {}
    for head in sorted(level, key=lambda head: (served.get(head.broadcast_id, 0), head.broadcast_id)):
        courses.setdefault(head.course_id, []).append(head)
    return _alternating(list(courses.values()))


def _alternating(lists: Sequence[Sequence[T]]) -> list[T]:
    """The first of each, then the second of each, and so on."""
    longest = max(map(len, lists), default=0)
    return [each[place] for place in range(longest) for each in lists if place < len(each)]


def _take(tx: Tx, account_id: int, head: Head, now: datetime, most: int) -> list[int]:
    rows = _SHARE.all(tx, account_id=account_id, priority=head.priority, broadcast_id=head.broadcast_id, now=now, most=most)
    return [row.id for row in rows]
