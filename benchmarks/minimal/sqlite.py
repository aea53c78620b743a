"""The hand-tuned server on SQLite: sqlite3 itself, WAL, `synchronous=FULL`, one commit for each push, on the thread that also serves.

A writer thread beside it was tried: handing each push over costs more than the sync that it would hide (a tenth to a half of the rate).
"""

import sqlite3
from datetime import UTC, datetime

from benchmarks.minimal.envelope import Word
from benchmarks.minimal.turn import Standing, Turn

_FIND = """
SELECT p.id, i.id, k.id, k.wrapped, k.master_version, c.id, c.floor_sealed, c.recent,
  EXISTS (SELECT 1 FROM memberships m WHERE m.person_id = p.id AND m.ended_at IS NULL),
  EXISTS (SELECT 1 FROM deliveries d WHERE d.person_id = p.id AND d.state IN ('waiting', 'notified')), i.unreachable_code
FROM identities i JOIN persons p ON p.id = i.person_id JOIN data_keys k ON k.id = p.data_key_id
LEFT JOIN conversations c ON c.person_id = p.id AND c.account_id = i.account_id
WHERE i.account_id = ? AND i.openid_index = ? AND i.unfollowed_at IS NULL"""
_KEEP = """
INSERT INTO inbox (id, account_id, person_id, dedupe_key, content_hash, kind, sent_at, received_at, reply_sealed, bot)
VALUES (?, ?, ?, ?, ?, 'wrote', ?, ?, ?, 'fallback') ON CONFLICT (account_id, dedupe_key) DO NOTHING"""
_ALLOW = "UPDATE allowances SET typed_until = ?, typed_left = 5 WHERE identity_id = ?"
_REMEMBER = """
INSERT INTO conversations (id, person_id, account_id, floor_sealed, busy, recent, changed_at) VALUES (?, ?, ?, ?, 0, ?, ?)
ON CONFLICT (person_id, account_id) DO UPDATE SET floor_sealed = excluded.floor_sealed, busy = 0, recent = excluded.recent,
  changed_at = excluded.changed_at"""


class Desk:
    """Takes words into one SQLite file."""

    def __init__(self, url: str, turn: Turn, account_id: int) -> None:
        self._turn, self._account_id = turn, account_id
        self._connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=3000"):
            self._connection.execute(f"PRAGMA {pragma}").close()
        self._execute = self._connection.execute

    async def start(self) -> None:
        """Nothing: the connection is open."""

    async def stop(self) -> None:
        """Close the file."""
        self._connection.close()

    async def take(self, word: Word) -> bytes | None:
        """Write one word down durably; returns the plain reply."""
        turn, now = self._turn, datetime.now(UTC)
        moment, sent = _moment(now), _moment(datetime.fromtimestamp(int(word.create_time), UTC))
        index, key, content = turn.openid_index(word), turn.dedupe_key(word), turn.content_hash(word)
        execute = self._execute
        execute("BEGIN IMMEDIATE")
        try:
            row = execute(_FIND, (self._account_id, index)).fetchone()
            standing = Standing(*row[:10])
            rows = turn.rows(word, standing, now)
            kept = execute(_KEEP, (rows.inbox, self._account_id, standing.person, key, content, sent, moment, rows.reply_sealed))
            if kept.rowcount == 0:
                raise LookupError("this server meets no repeats")
            execute(_ALLOW, (_moment(rows.typed_until), standing.identity))
            if row[10] is not None:
                execute("UPDATE identities SET unreachable_code = NULL WHERE id = ?", (standing.identity,))
            execute(_REMEMBER, (rows.conversation, standing.person, self._account_id, rows.floor_sealed, rows.recent, moment))
        except BaseException:
            execute("ROLLBACK")
            raise
        execute("COMMIT")
        return rows.reply


def _moment(moment: datetime) -> str:
    """As SQLAlchemy writes it."""
    return moment.replace(tzinfo=None).isoformat(" ", "microseconds")
