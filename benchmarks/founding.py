"""Makes an installation to measure: hides the migrated schema, one account, one course and its people, written in sets.

Everything is as the program writes it (sealed names and openids, consents, memberships), only faster: nobody waits for ten thousand
dialogues.
"""

import base64
import os
import secrets
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from app import accounts, clock, courses, groups, ids
from app.assembly import Assembly, assemble
from app.db import Tx
from app.keyring import Place
from app.models import Allowance, ConsentGiven, Conversation, DataKey, Group, Identity, Membership, Participant, Person
from app.sealing import Vault
from app.settings import Settings
from benchmarks.town import ACCOUNT, Town
from migrations import running

#: People of one small group; its leaders are not among those who write here.
_GROUP_SIZE = 25
_ROWS = 2_000


def settings(town: Town, url: str) -> Settings:
    """The settings of a process that works on a database of this town."""
    return _settings(url, town.master_key, town.index_key)


def _settings(url: str, master: str, index: str) -> Settings:
    keys = {"master_key": SecretStr(master), "index_key": SecretStr(index)}
    return Settings(_env_file=None, database_url=url, **keys)  # type: ignore[call-arg, arg-type]  # pydantic-settings' own parameter


def found(url: str, people: int, api_base: str = "http://127.0.0.1:9") -> Town:
    """Migrate an empty database and settle `people` participants in it, each in a small group and in the large one."""
    running.upgrade(url)
    now = clock.now()
    master, index = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
    appid, original_id = f"wx{secrets.token_hex(8)}", f"gh_{secrets.token_hex(6)}"
    token, aes_key = accounts.new_token(), accounts.new_aes_key()
    openids = tuple(f"o{secrets.token_urlsafe(20)[:27]}" for _ in range(people))
    assembly = assemble(_settings(url, master, index))

    def settle(tx: Tx) -> tuple[int, int, int]:
        keyring = assembly.tools.keyring
        account_id = accounts.add(
            tx,
            keyring,
            now,
            name=ACCOUNT,
            appid=appid,
            original_id=original_id,
            secret=secrets.token_hex(16),
            api_base=api_base,
            token=token,
            aes_key=aes_key,
        )
        return account_id, *_course(tx, assembly, account_id, "msc", openids, now)

    with assembly.database:
        account_id, course_id, large = assembly.database.write_now(settle)
    return Town(master, index, account_id, course_id, large, appid, original_id, token, aes_key, openids)


def another(tx: Tx, assembly: Assembly, account_id: int, code: str, people: int) -> int:
    """One more course of the same account, with so many participants of its own; returns its id."""
    openids = [f"o{secrets.token_urlsafe(20)[:27]}" for _ in range(people)]
    return _course(tx, assembly, account_id, code, openids, clock.now())[0]


def _course(tx: Tx, assembly: Assembly, account_id: int, code: str, openids: Sequence[str], now: datetime) -> tuple[int, int]:
    """A course with its groups and people; returns its id and that of its large group."""
    course_id = courses.create(tx, assembly.tools.keyring, now, account_id=account_id, code=code, title="正念自我关怀")
    courses.set_quiet_hours(tx, course_id, "00:00", "00:00")  # a benchmark may run at night
    courses.set_second_eyes(tx, course_id, 0, now)
    large = tx.execute(sa.select(Group.id).where(Group.course_id == course_id)).scalar_one()
    small = [groups.create(tx, course_id, code=f"g{number}", name=f"晨光{number}组") for number in range(len(openids) // _GROUP_SIZE + 1)]
    _settle(tx, assembly, (account_id, course_id, large, small), openids, now)
    return course_id, large


def _settle(tx: Tx, assembly: Assembly, place: tuple[int, int, int, list[int]], openids: Sequence[str], now: datetime) -> None:
    vault = assembly.tools.keyring.vault
    for start in range(0, len(openids), _ROWS):
        rows = [_person(vault, place, start + number, openid, now) for number, openid in enumerate(openids[start : start + _ROWS])]
        for table in (DataKey, Person, Identity, Allowance, Conversation, ConsentGiven, Membership, Participant):
            tx.execute(sa.insert(table), [row for each in rows for row in each[table]])


def _person(vault: Vault, place: tuple[int, int, int, list[int]], number: int, openid: str, now: datetime) -> dict[type[Any], Any]:
    """The rows of one person. They wrote yesterday: the window is open, and the bots remember something."""
    account_id, course_id, large, small = place
    key, wrapped = vault.new_data_key(ids.new_id())
    person, identity, conversation = ids.new_id(), ids.new_id(), ids.new_id()
    both = {"person_id": person, "role": "participant", "started_at": now}
    floor = key.seal(Place("conversations", "floor_sealed", conversation), '[["onboarding", {"v": 1}, false]]')
    made = {"online": now.isoformat(), "on_time": now.isoformat()}
    return {
        DataKey: [{"id": key.id, "wrapped": wrapped, "master_version": vault.newest}],
        Person: [
            {
                "id": person,
                "data_key_id": key.id,
                "name_sealed": key.seal(Place("persons", "name_sealed", person), f"小雨{number}"),
                "language": "zh",
                "zone": "Asia/Shanghai",
                "created_at": now,
            }
        ],
        Identity: [
            {
                "id": identity,
                "account_id": account_id,
                "person_id": person,
                "openid_sealed": key.seal(Place("identities", "openid_sealed", identity), openid),
                "openid_index": vault.index(f"openid.{account_id}", openid),
                "followed_at": now,
            }
        ],
        Allowance: [
            {
                "identity_id": identity,
                "account_id": account_id,
                "typed_until": now + timedelta(hours=24),
                "typed_left": 5,
                "tapped_left": 0,
            }
        ],
        Conversation: [
            {
                "id": conversation,
                "person_id": person,
                "account_id": account_id,
                "floor_sealed": floor,
                "busy": False,
                "recent": {},
                "changed_at": now,
            }
        ],
        ConsentGiven: [{"course_id": course_id, "person_id": person, "version": courses.SHIPPED_CONSENT, "ticks": made, "given_at": now}],
        Membership: [{**both, "group_id": large}, {**both, "group_id": small[number // _GROUP_SIZE]}],
        Participant: [{"course_id": course_id, "person_id": person, "number": f"{10_000 + number}", "joined_at": now}],
    }


def counted(url: str, tables: Sequence[str]) -> Iterator[int]:
    """How many rows stand in each of these tables."""
    engine = sa.create_engine(url)
    try:
        with engine.connect() as tx:
            for table in tables:
                yield int(tx.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one())
    finally:
        engine.dispose()
