"""Hides what becomes of pushes that nobody could handle: lists them without their content, lets one through again, drops one.

A replay is the push's own way, late: its answer goes out as a message, and what happens happens as of the moment when it came. It is
settled in the same transaction, so that it happens once; a push that fails again stays, with the new reason.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError

from app import accounts, audit, ids, inbox
from app.channels import BadPush, LinkMaker, Push, PushKind
from app.channels.wechat.pushes import reread
from app.channels.wechat.replies import split_text
from app.db import Tx
from app.inbox import Incoming, Late
from app.keyring import Place, Unreadable
from app.logs import place_of
from app.models import Account, InboxItem, Quarantined
from app.situation import Tools

log = structlog.get_logger()

#: What sealing adds to the bytes that came: nonce and tag.
_SEAL_BYTES = 28
#: Kinds that no bot answers.
_UNANSWERED = (PushKind.RECEIPT, PushKind.IGNORED, PushKind.LEFT)
#: Pushes of which the inbox already has a row under their key, that nobody has handled for all that.
_UNHANDLED = ("bot:", "same key")


class Outcome(StrEnum):
    """What a replay came to."""

    REPLAYED = "replayed"
    HANDLED = "handled already"  # the platform's own repeat got through
    STAYS = "stays"
    GONE = "gone"  # settled or dropped meanwhile


@dataclass(frozen=True)
class Line:
    """One push in quarantine; never its content."""

    id: int
    account: str
    reason: str
    received_at: datetime
    size: int
    settled_at: datetime | None


class _Failed(Exception):
    """A replay that broke; what it had written is undone."""


def lines(tx: Tx, *, settled: bool = False) -> list[Line]:
    """What is in quarantine, oldest first; `settled`: also what was let through."""
    size = sa.func.length(Quarantined.raw_sealed) - _SEAL_BYTES
    columns = (Quarantined.id, Account.name, Quarantined.reason, Quarantined.received_at, size, Quarantined.settled_at)
    query = sa.select(*columns).join(Account, Account.id == Quarantined.account_id).order_by(Quarantined.id)
    return [Line(*row) for row in tx.execute(query if settled else query.where(Quarantined.settled_at.is_(None)))]


def replay(tx: Tx, tools: Tools, link_for: Callable[[int], LinkMaker], row_id: int, now: datetime) -> tuple[Outcome, str]:
    """Let one push through again; returns what it came to, and the reason where it stays."""
    row = tx.execute(
        sa.select(*Quarantined.__table__.columns).where(Quarantined.id == row_id, Quarantined.settled_at.is_(None)).with_for_update()
    ).one_or_none()
    if row is None:
        return Outcome.GONE, ""
    outcome, reason = _replay(tx, tools, link_for, row)
    values = {"reason": reason[:60]} if outcome is Outcome.STAYS else {"settled_at": now}
    tx.execute(sa.update(Quarantined).where(Quarantined.id == row_id).values(**values))
    audit.record(tx, now, "operator", "quarantine.replay", f"quarantine:{row_id}", outcome=outcome.value, reason=reason)
    return outcome, reason


def drop(tx: Tx, row_ids: Sequence[int], now: datetime) -> int:
    """Delete these pushes unread; returns how many were there."""
    gone = tx.execute(sa.delete(Quarantined).where(Quarantined.id.in_(row_ids))).rowcount
    for row_id in row_ids:
        audit.record(tx, now, "operator", "quarantine.drop", f"quarantine:{row_id}")
    return gone


def _replay(tx: Tx, tools: Tools, link_for: Callable[[int], LinkMaker], row: Any) -> tuple[Outcome, str]:
    try:
        push = _opened(tx, tools, row)
    except BadPush as bad:
        return Outcome.STAYS, bad.reason
    except Unreadable:
        return Outcome.STAYS, "unreadable"
    key = _key(tx, row, push)
    if key is None:
        return Outcome.HANDLED, ""
    late = Late(row.received_at, answered=False, words_of=bytes.decode, row_id=ids.new_id())
    again = Push(**{**vars(push), "dedupe_key": key})
    incoming = Incoming(row.account_id, again, write_reply=str.encode, split=split_text, link_for=link_for, late=late)
    try:
        with tx.begin_nested():
            _take(tx, tools, incoming)
    except _Failed as failed:
        return Outcome.STAYS, str(failed)
    except DBAPIError:
        raise
    except Exception as bug:  # noqa: BLE001 - as at the webhook: kept, and named
        log.error("push_failed", kind=type(bug).__name__, where=place_of(bug))  # noqa: TRY400 - a traceback may hold what somebody wrote
        return Outcome.STAYS, f"push: {type(bug).__name__}"
    return Outcome.REPLAYED, ""


def _opened(tx: Tx, tools: Tools, row: Any) -> Push:
    """The push as it came. Raises `BadPush` or `Unreadable`."""
    credentials = accounts.credentials(tx, tools.keyring, row.account_id)
    key_id = tx.execute(sa.select(Account.data_key_id).where(Account.id == row.account_id)).scalar_one()
    raw = tools.keyring.open(tx, key_id).unseal_bytes(Place("quarantine", "raw_sealed", row.id), row.raw_sealed)
    return reread(credentials, raw, row.received_at)


def _key(tx: Tx, row: Any, push: Push) -> str | None:
    """Under which key the push goes in: its own, or one of this row where its own is taken by what failed; None where it was handled."""
    mine = sa.select(InboxItem.id).where(InboxItem.account_id == row.account_id, InboxItem.dedupe_key == push.dedupe_key)
    if tx.execute(mine).first() is None:
        return push.dedupe_key
    return f"{push.dedupe_key}~{row.id}" if row.reason.startswith(_UNHANDLED) else None


def _take(tx: Tx, tools: Tools, incoming: Incoming) -> None:
    """Handle the push. Raises `_Failed` where a bot broke on it: the inbox survives that with a neutral sentence that nobody needs now."""
    before = ids.new_id()
    taken = inbox.take(tx, tools, incoming)
    if incoming.push.kind in _UNANSWERED:
        return
    if tx.execute(sa.select(InboxItem.bot).where(InboxItem.id == taken.inbox_id)).scalar_one_or_none() is None:
        anew = sa.select(Quarantined.reason).where(Quarantined.account_id == incoming.account_id, Quarantined.id > before)
        raise _Failed(tx.execute(anew.order_by(Quarantined.id.desc()).limit(1)).scalar_one_or_none() or "bot: unknown")
