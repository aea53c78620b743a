"""Writes what years leave behind, in sets: old pushes, deliveries, attempts, audit rows, and the people of former courses.

Beside each two pushes stand one delivery and one attempt; ten pushes make an audit row, fifty a person with key, identity, allowance and
conversation. Replies to old pushes are gone (nobody asks for them after a minute), the rest has the size that it really has.
"""

import contextlib
import sqlite3
from collections.abc import Iterator

import psycopg
import sqlalchemy as sa

from benchmarks.town import Town

#: Ids of old rows are small multiples of this: they lie below every id that is issued today, in the order of their time.
_STEP = 1_000_000
_DELIVERIES, _AUDIT, _PEOPLE, _BROADCAST = 2, 10, 50, 500
#: Seconds since 1970 of the oldest push, and between two pushes of the past.
_OLDEST, _APART = 1_767_500_000, 2

#: The data key of the audiences that `settle` writes; what it seals nobody opens.
KEY_ID = 5

#: What one database says otherwise than the other.
_SQLITE = {
    "many": "WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < {count})",
    "moment": "strftime('%Y-%m-%d %H:%M:%f000', {oldest} + n * {apart}, 'unixepoch')",
    "blob": "randomblob({size})",
    "word": "hex(randomblob(11))",
    "no": "0",
    "json": "'{text}'",
}
_POSTGRES = {
    "many": "WITH many(n) AS (SELECT * FROM generate_series(1::bigint, {count}))",
    "moment": "to_timestamp({oldest} + n * {apart})",
    "blob": "decode(repeat(md5(n::text), {size} / 16) || substr(md5(n::text), 1, 2 * ({size} % 16)), 'hex')",
    "word": "substr(md5(n::text), 1, 22)",
    "no": "false",
    "json": "'{text}'::json",
}


class _Dialect:
    """The words of one database."""

    def __init__(self, words: dict[str, str]) -> None:
        self._words = words
        self.moment = words["moment"].format(oldest=_OLDEST, apart=_APART)
        self.word, self.no = words["word"], words["no"]

    def many(self, count: int) -> str:
        """The numbers from 1 to `count`, as `many(n)`."""
        return self._words["many"].format(count=count)

    def blob(self, size: int) -> str:
        """Bytes that differ from row to row."""
        return self._words["blob"].format(size=size)

    def json(self, text: str) -> str:
        """A literal."""
        return self._words["json"].format(text=text)


def write(url: str, town: Town, pushes: int) -> None:
    """So many old pushes and what belongs to them."""
    _execute(url, [*_statements(_Dialect(_words(url)), town, pushes)])


def settle(url: str, town: Town, sizes: list[int]) -> dict[int, int]:
    """A group of each size, its people shared with the smaller ones; returns the groups' ids by size. Nobody can be written to."""
    say, most = _Dialect(_words(url)), max(sizes)
    groups = {size: 7 * _STEP + number for number, size in enumerate(sizes)}
    statements = [
        f"""INSERT INTO data_keys (id, wrapped, master_version) {say.many(1)} SELECT {KEY_ID}, {say.blob(60)}, 1 FROM many""",
        f"""INSERT INTO persons (id, data_key_id, language, zone, created_at)
        {say.many(most)} SELECT n * {_STEP} + 1, {KEY_ID}, 'zh', 'Asia/Shanghai', {say.moment} FROM many""",
    ]
    for size, group in groups.items():
        statements += [
            f"""INSERT INTO groups (id, course_id, code, name, large) {say.many(1)}
            SELECT {group}, {town.course_id}, 'audience-{size}', '{size}', {say.no} FROM many""",
            f"""INSERT INTO memberships (group_id, person_id, role, started_at) {say.many(size)}
            SELECT {group}, n * {_STEP} + 1, 'participant', {say.moment} FROM many""",
        ]
    _execute(url, statements)
    return groups


def _statements(say: _Dialect, town: Town, pushes: int) -> Iterator[str]:
    account, people = town.account_id, max(_BROADCAST, pushes // _PEOPLE)
    yield f"""INSERT INTO data_keys (id, wrapped, master_version) {say.many(people)} SELECT n * {_STEP}, {say.blob(60)}, 1 FROM many"""
    yield f"""INSERT INTO persons (id, data_key_id, name_sealed, language, zone, created_at)
        {say.many(people)} SELECT n * {_STEP}, n * {_STEP}, {say.blob(37)}, 'zh', 'Asia/Shanghai', {say.moment} FROM many"""
    yield f"""INSERT INTO identities (id, account_id, person_id, openid_sealed, openid_index, followed_at)
        {say.many(people)} SELECT n * {_STEP}, {account}, n * {_STEP}, {say.blob(56)}, {say.blob(33)}, {say.moment} FROM many"""
    yield f"""INSERT INTO allowances (identity_id, account_id, typed_until, typed_left, tapped_left)
        {say.many(people)} SELECT n * {_STEP}, {account}, {say.moment}, 3, 0 FROM many"""
    recent = (
        '{"since": "2026-01-05T08:00:00.000000+00:00", "count": 1, "echo": "0123456789abcdef", "echoes": 1, "ours": ["0123456789abcdef"]}'
    )
    yield f"""INSERT INTO conversations (id, person_id, account_id, floor_sealed, busy, recent, changed_at)
        {say.many(people)} SELECT n * {_STEP}, n * {_STEP}, {account}, {say.blob(60)}, {say.no}, {say.json(recent)}, {say.moment}
        FROM many"""
    yield f"""INSERT INTO inbox (id, account_id, person_id, dedupe_key, content_hash, kind, sent_at, received_at, bot)
        {say.many(pushes)} SELECT n * {_STEP}, {account}, (1 + n * 7919 % {people}) * {_STEP},
        ({_OLDEST} + n * {_APART}) || ':' || {say.word}, {say.blob(33)}, 'wrote', {say.moment}, {say.moment}, 'fallback' FROM many"""
    yield f"""INSERT INTO broadcasts (id, account_id, course_id, group_id, data_key_id, bot, kind, details_sealed, priority,
        urgent, state, created_at) {say.many(pushes // _DELIVERIES // _BROADCAST + 1)}
        SELECT n * {_STEP}, {account}, {town.course_id}, {town.large_group}, {_STEP},
        'announcement', 'announcement', {say.blob(300)}, 5, {say.no}, 'done', {say.moment} FROM many"""
    deliveries = say.many(pushes // _DELIVERIES)
    yield f"""INSERT INTO deliveries (account_id, broadcast_id, person_id, part, priority, state, reason, route, due_at, changed_at,
        attempts) {deliveries} SELECT {account},
        (1 + n / {_BROADCAST}) * {_STEP}, (1 + n % {people}) * {_STEP}, 0, 5,
        CASE WHEN n % 20 = 0 THEN 'expired' ELSE 'sent' END, 'service', 'service', {say.moment}, {say.moment}, 1 FROM many"""
    yield f"""INSERT INTO attempts (delivery_id, number, call, route, started_at, ended_at, outcome)
        SELECT id, 1, 'c0ffee00-0000-5000-8000-' || substr('000000000000' || id, -12), 'service', changed_at, changed_at, 'accepted'
        FROM deliveries WHERE account_id = {account}"""
    yield f"""INSERT INTO audit (at, actor, action, subject, details) {say.many(pushes // _AUDIT)}
        SELECT {say.moment}, 'person:' || n * {_STEP}, 'consent', 'course:{town.course_id}', {say.json('{"version": "template-3"}')}
        FROM many"""


def _words(url: str) -> dict[str, str]:
    return _SQLITE if url.startswith("sqlite") else _POSTGRES


def _execute(url: str, statements: list[str]) -> None:
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
            for pragma in ("synchronous=OFF", "cache_size=-400000", "temp_store=MEMORY", "foreign_keys=OFF"):
                connection.execute(f"PRAGMA {pragma}").close()
            for statement in statements:
                connection.execute(statement)
        return
    address = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as server:
        server.execute("SET session_replication_role = replica")  # every reference is right by construction
        server.execute("SET synchronous_commit = off")
        server.execute("SET maintenance_work_mem = '256MB'")
        for statement in statements:
            server.execute(statement.replace("substr('000000000000' || id, -12)", "lpad(id::text, 12, '0')").encode())
