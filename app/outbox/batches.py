"""Hides the statements that carry the bulk: what is usual for many deliveries at once, at the driver's own speed (docs/decisions/013)."""

import json
from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from app.db import Look, Tx
from app.db.prepared import Prepared
from app.models.columns import Moment
from app.states import Route


class _Json(sa.TypeDecorator[Any]):
    """A list that goes to the database as one JSON text."""

    impl = sa.types.NullType
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str:  # noqa: ARG002 - SQLAlchemy's signature
        return json.dumps(list(value))


#: What stands for a mark of a text on each database: its id, or its text, is one of :ids; the table `v` of the lists in :rows, whose first
#: cell is `v.value ->> 0`; that a row which somebody else holds is left alone; what is found as one list, and two things as one.
_MARKS = {
    "sqlite": {
        "$ids": "IN (SELECT value FROM json_each(:ids))",
        "$texts": "IN (SELECT value FROM json_each(:ids))",
        "$rows": "json_each(:rows) AS v",
        "$free": "",
        "$list": "json_group_array",
        "$pair": "json_array",
    },
    "postgresql": {
        "$ids": "= ANY(ARRAY(SELECT CAST(value AS bigint) FROM json_array_elements_text(CAST(:ids AS json))))",
        "$texts": "= ANY(ARRAY(SELECT value FROM json_array_elements_text(CAST(:ids AS json))))",
        "$rows": "json_array_elements(CAST(:rows AS json)) AS v(value)",
        "$free": "FOR UPDATE SKIP LOCKED",
        "$list": "json_agg",
        "$pair": "json_build_array",
    },
}
_TYPES: dict[str, Any] = {"day": sa.Date(), "now": Moment(), "due_at": Moment(), "notified_at": Moment(), "ids": _Json(), "rows": _Json()}


def in_dialect(text: str, dialect: str) -> sa.TextClause:
    """A text with marks as one database takes it; what ends in `_at`, and `now`, are moments, `day` a date, `ids` and `rows` lists."""
    for mark, words in _MARKS[dialect].items():
        text = text.replace(mark, words)
    return sa.text(text).bindparams(*(sa.bindparam(name, type_=type_) for name, type_ in _TYPES.items() if f":{name}" in text))


def statement(text: str, *columns: Any) -> Prepared:
    """One statement for both databases; `columns`: what it returns."""

    def build(dialect: str) -> list[Any]:
        made = in_dialect(text, dialect)
        return [made.columns(*columns) if columns else made]

    return Prepared(build)


_ACCEPT = statement(
    """
    UPDATE deliveries SET state = :state, reason = :reason, code = NULL, route = :route, changed_at = :now, lease_owner = NULL,
        lease_until = NULL, notified_at = COALESCE(:notified_at, notified_at)
    WHERE id $ids AND state = 'sending'"""
)
_END_ATTEMPTS = statement(
    """
    UPDATE attempts SET ended_at = :now, outcome = 'accepted', msgid = v.value ->> 2
    FROM $rows
    WHERE attempts.delivery_id = CAST(v.value ->> 0 AS bigint) AND attempts.number = CAST(v.value ->> 1 AS bigint)"""
)
_BEGIN = statement(
    """
    UPDATE deliveries SET state = 'sending', attempts = attempts + 1, lease_until = :lease_until, changed_at = :now
    WHERE id $ids AND state = 'claimed' AND lease_owner = :owner AND NOT EXISTS (
        SELECT 1 FROM deliveries AS waiting
        WHERE waiting.account_id = :account_id AND waiting.state IN ('ready', 'retry') AND waiting.priority < :priority
            AND waiting.due_at <= :due_at)"""
)
_BEGIN_ATTEMPTS = statement(
    """
    INSERT INTO attempts (delivery_id, number, call, route, started_at)
    SELECT CAST(v.value ->> 0 AS bigint), CAST(v.value ->> 1 AS bigint), v.value ->> 2, v.value ->> 3, :now
    FROM $rows
    WHERE CAST(v.value ->> 0 AS bigint) IN (
        SELECT id FROM deliveries WHERE id $ids AND state = 'sending' AND lease_owner = :owner AND lease_until = :lease_until)
    ON CONFLICT DO NOTHING"""
)
_BEGUN = statement(
    """
    SELECT CAST($list(id) AS text) AS ids FROM deliveries
    WHERE id $ids AND state = 'sending' AND lease_owner = :owner AND lease_until = :lease_until""",
    sa.Column("ids", sa.Text),
)
_CLAIM = statement(
    """
    UPDATE deliveries SET state = 'claimed', route = :route, lease_owner = :owner, lease_until = :lease_until, changed_at = :now
    WHERE id $ids"""
)
_PASS_OVER = statement(
    """
    UPDATE deliveries SET state = :state, reason = :reason, changed_at = :now, lease_owner = NULL, lease_until = NULL
    WHERE id $ids"""
)
_PASS_OVER_UNTIL = statement(
    """
    UPDATE deliveries SET state = :state, reason = :reason, due_at = :due_at, changed_at = :now, lease_owner = NULL, lease_until = NULL
    WHERE id $ids"""
)
_RESERVE = """
    UPDATE allowances SET typed_left = CASE WHEN typed_left > :used THEN typed_left - :used ELSE 0 END,
        tapped_left = CASE WHEN tapped_left > :used THEN tapped_left - :used ELSE 0 END{counting}
    WHERE identity_id $ids"""
_ANSWERING = statement(_RESERVE.format(counting=""))
_STARTING = statement(
    _RESERVE.format(
        counting=""",
        started = CASE WHEN started_on >= :day THEN started + :started ELSE :started END,
        started_on = CASE WHEN started_on >= :day THEN started_on ELSE :day END"""
    )
)


def accepting(route: Route, posts: Sequence[tuple[int, int, str | None]], state: str, now: datetime) -> list[Look]:
    """The platform took these (delivery, number of the attempt, message id) by this route. A later word is never overwritten."""
    ids, notified_at = [delivery for delivery, _, _ in posts], now if route is Route.NOTICE else None
    taken = {"ids": ids, "route": route.value, "reason": route.value, "state": state, "notified_at": notified_at, "now": now}
    return [(_ACCEPT, taken), (_END_ATTEMPTS, {"rows": posts, "now": now})]


def beginning(
    account_id: int, rows: Sequence[tuple[int, int, str, str]], owner: str, lease_until: float, now: datetime, before: int, due_at: datetime
) -> list[Look]:
    """These (delivery, number of the attempt, call, route) are about to be written to the socket; the last step says which are ours.

    None of them is where something is due at `due_at` that goes before everything of the priority `before`. The lease is new: by it a
    second run of the same steps finds what the first one began.
    """
    ids = [delivery for delivery, _, _, _ in rows]
    ours = {"ids": ids, "owner": owner, "lease_until": lease_until}
    return [
        (_BEGIN, {**ours, "now": now, "account_id": account_id, "priority": before, "due_at": due_at}),
        (_BEGIN_ATTEMPTS, {**ours, "rows": rows, "now": now}),
        (_BEGUN, ours),
    ]


def take(tx: Tx, steps: Sequence[Look]) -> None:
    """Take these steps, whatever they find."""
    for step, values in steps:
        step.run(tx, **values)


def begun(tx: Tx, steps: Sequence[Look]) -> set[int]:
    """Take the steps of `beginning`; the deliveries that are ours to send."""
    *first, (last, values) = steps
    take(tx, first)
    return set(json.loads(last.first(tx, **values).ids or "[]"))


def claim(tx: Tx, ids: Collection[int], route: Route, owner: str, lease_until: float, now: datetime) -> None:
    """These go by this route, and are ours until the lease ends."""
    _CLAIM.run(tx, ids=ids, route=route.value, owner=owner, lease_until=lease_until, now=now)


def pass_over(tx: Tx, ids: Collection[int], state: str, reason: str, due_at: datetime | None, now: datetime) -> None:
    """These do not go now, all for the same reason."""
    if due_at is None:
        _PASS_OVER.run(tx, ids=ids, state=state, reason=reason, now=now)
    else:
        _PASS_OVER_UNTIL.run(tx, ids=ids, state=state, reason=reason, due_at=due_at, now=now)


def reserve(tx: Tx, ids: Collection[int], used: int, started: int, day: date | None) -> None:
    """So many messages go to each of these identities: both counters go down, because nobody says which one the platform uses.

    `started`: how many count for `day`, None where none does.
    """
    if day is None:
        _ANSWERING.run(tx, ids=ids, used=used)
    else:
        _STARTING.run(tx, ids=ids, used=used, started=started, day=day)
