"""Hides how thousands of people come into a database in a second: rows in sets, keys and openids sealed as the program seals them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import courses, ids
from app.db import Tx
from app.keyring import Place
from app.models import Allowance, ConsentGiven, DataKey, Identity, Membership, Person
from app.sealing import Vault
from bots.turns import Role

#: Rows that go in one statement.
_TOGETHER = 2_000


@dataclass(frozen=True)
class Seat:
    """Where new people sit: an account, a course and a group of it."""

    account_id: int
    course_id: int
    group_id: int


def seat(
    tx: Tx, vault: Vault, where: Seat, openids: Sequence[str], now: datetime, *, typed: bool = True, role: Role = Role.PARTICIPANT
) -> list[int]:
    """Write followers who have consented into a group; `typed`: they wrote a moment ago, so five messages may go. Returns their ids."""
    rows: dict[Any, list[dict[str, Any]]] = {table: [] for table in (DataKey, Person, Identity, Allowance, ConsentGiven, Membership)}
    people = []
    for openid in openids:
        person_id, identity_id = ids.new_id(), ids.new_id()
        key, wrapped = vault.new_data_key(ids.new_id())
        people.append(person_id)
        rows[DataKey].append({"id": key.id, "wrapped": wrapped, "master_version": vault.newest})
        rows[Person].append({"id": person_id, "data_key_id": key.id, "language": "zh", "zone": "Asia/Shanghai", "created_at": now})
        rows[Identity].append(
            {
                "id": identity_id,
                "account_id": where.account_id,
                "person_id": person_id,
                "openid_sealed": key.seal(Place("identities", "openid_sealed", identity_id), openid),
                "openid_index": vault.index(f"openid.{where.account_id}", openid),
                "followed_at": now,
            }
        )
        rows[Allowance].append(
            {
                "identity_id": identity_id,
                "account_id": where.account_id,
                "typed_until": now + timedelta(hours=47) if typed else None,
                "typed_left": 5 if typed else 0,
                "tapped_left": 0,
            }
        )
        consent = {"course_id": where.course_id, "person_id": person_id, "version": courses.SHIPPED_CONSENT, "ticks": {}, "given_at": now}
        rows[ConsentGiven].append(consent)
        rows[Membership].append({"group_id": where.group_id, "person_id": person_id, "role": role.value, "started_at": now})
    for table, values in rows.items():
        for start in range(0, len(values), _TOGETHER):
            tx.execute(sa.insert(table), values[start : start + _TOGETHER])
    return people
