"""The hand-tuned server on PostgreSQL: asyncpg, prepared statements, one transaction a push in four round trips."""

from datetime import UTC, datetime
from typing import Any

import asyncpg

from benchmarks.minimal.envelope import Word
from benchmarks.minimal.turn import Standing, Turn

_FIND = """
SELECT p.id, i.id, k.id, k.wrapped, k.master_version, c.id, c.floor_sealed, c.recent::text,
  EXISTS (SELECT 1 FROM memberships m WHERE m.person_id = p.id AND m.ended_at IS NULL),
  EXISTS (SELECT 1 FROM deliveries d WHERE d.person_id = p.id AND d.state IN ('waiting', 'notified')), i.unreachable_code
FROM identities i JOIN persons p ON p.id = i.person_id JOIN data_keys k ON k.id = p.data_key_id
LEFT JOIN conversations c ON c.person_id = p.id AND c.account_id = i.account_id
WHERE i.account_id = $1 AND i.openid_index = $2 AND i.unfollowed_at IS NULL FOR NO KEY UPDATE OF p"""
_WRITE = """
WITH kept AS (
  INSERT INTO inbox (id, account_id, person_id, dedupe_key, content_hash, kind, sent_at, received_at, reply_sealed, bot)
  VALUES ($1, $2, $3, $4, $5, 'wrote', $6, $7, $8, 'fallback') ON CONFLICT (account_id, dedupe_key) DO NOTHING RETURNING id),
allowed AS (UPDATE allowances SET typed_until = $9, typed_left = 5 WHERE identity_id = $10),
remembered AS (
  INSERT INTO conversations (id, person_id, account_id, floor_sealed, busy, recent, changed_at)
  VALUES ($11, $3, $2, $12, false, $13::text::json, $7)
  ON CONFLICT (person_id, account_id) DO UPDATE SET floor_sealed = excluded.floor_sealed, busy = false, recent = excluded.recent,
    changed_at = excluded.changed_at)
SELECT id FROM kept"""
#: Transactions of one process at a time, as the program's own pool has.
_CONNECTIONS = 8


class Desk:
    """Takes words into one PostgreSQL database."""

    def __init__(self, url: str, turn: Turn, account_id: int) -> None:
        self._url, self._turn, self._account_id = url.replace("+psycopg", ""), turn, account_id
        self._pool: Any = None

    async def start(self) -> None:
        """Open the pool."""
        self._pool = await asyncpg.create_pool(self._url, min_size=_CONNECTIONS, max_size=_CONNECTIONS, reset=_no_reset)

    async def stop(self) -> None:
        """Close the pool."""
        await self._pool.close()

    async def take(self, word: Word) -> bytes | None:
        """Write one word down durably; returns the plain reply."""
        turn, now = self._turn, datetime.now(UTC)
        sent = datetime.fromtimestamp(int(word.create_time), UTC)
        index, key, content = turn.openid_index(word), turn.dedupe_key(word), turn.content_hash(word)
        async with self._pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(_FIND, self._account_id, index)
            standing = Standing(*row[:10])
            rows = turn.rows(word, standing, now)
            kept = await connection.fetchval(
                _WRITE,
                rows.inbox,
                self._account_id,
                standing.person,
                key,
                content,
                sent,
                now,
                rows.reply_sealed,
                rows.typed_until,
                standing.identity,
                rows.conversation,
                rows.floor_sealed,
                rows.recent,
            )
            if kept is None:
                raise LookupError("this server meets no repeats")
            if row[10] is not None:
                await connection.execute("UPDATE identities SET unreachable_code = NULL WHERE id = $1", standing.identity)
        return rows.reply


async def _no_reset(_connection: Any) -> None:
    """Every transaction ends in order here, so there is nothing to reset and no round trip to pay for it."""
