"""Hides who calls and how often: one row for each integration counts its calls of a minute, so that all processes count together."""

from datetime import datetime, timedelta

import sqlalchemy as sa

from app.db import Tx
from app.integrations.refusals import Refusal
from app.integrations.rules import Caller
from app.models import Integration

#: Calls that one token may make within a minute of the clock.
CALLS_A_MINUTE = 120
_MINUTE = timedelta(minutes=1)


def enter(tx: Tx, index: bytes, at: datetime) -> Caller:
    """Whose token this is, after the call was counted. Raises `Refusal`: 401 for one that is none any more, 429 for one too many.

    `at`: the machine's moment.
    """
    minute = at.replace(second=0, microsecond=0)
    same = Integration.minute == minute
    mine = sa.and_(Integration.token_index == index, Integration.revoked_at.is_(None))
    free = sa.or_(Integration.minute.is_(None), ~same, Integration.calls < CALLS_A_MINUTE)
    counted = {"calls": sa.case((same, Integration.calls + 1), else_=1), "minute": minute, "used_at": at}
    called = sa.update(Integration).where(mine, free).values(**counted)
    row = tx.execute(called.returning(Integration.id, Integration.scopes)).one_or_none()
    if row is not None:
        return Caller(row.id, frozenset(row.scopes.split()))
    if tx.execute(sa.select(Integration.id).where(mine)).first() is None:
        raise Refusal(401, "token")
    left = max(1, round((minute + _MINUTE - at).total_seconds()))
    raise Refusal(429, "often", after=left, most=CALLS_A_MINUTE, seconds=left)


def still(tx: Tx, caller: Caller, index: bytes) -> bool:
    """Whether the token is still good, in the transaction in which the work is done."""
    mine = (Integration.id == caller.id, Integration.token_index == index, Integration.revoked_at.is_(None))
    return tx.execute(sa.select(Integration.id).where(*mine)).first() is not None
