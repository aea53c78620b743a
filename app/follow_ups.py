"""Hides how those who have not answered an announcement are asked once more: who they are, in which words, whole or not at all."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import access, announced, approvals, audit, broadcasts, polls
from app.broadcasts import Draft
from app.db import Tx
from app.groups import Refused
from app.keyring import Keyring
from app.models import Broadcast
from bots.announcement import asking
from bots.texts import inert
from bots.turns import OccasionKind

#: Nobody is asked once more twice within this time, however often somebody taps.
AGAIN_AFTER = timedelta(minutes=10)


def follow_up(tx: Tx, keyring: Keyring, schedule_id: int, actor_id: int | None, text: str, now: datetime) -> int:
    """Ask everybody once more who was asked and has not answered; returns how many. `text` empty: in the announcement's words.

    Raises `Refused` with "role", "closed", "long", "nobody", "again" or "eyes" (other words to so many that a second person would have to
    see them: those are for an announcement). The announcement's row is held, as by whoever takes it back or
    closes it: one of the two comes first, and the other sees what it did. An answer that comes between takes its message back.
    """
    row = polls.find(tx, schedule_id, lock=True)
    if row is None or (actor_id is not None and not access.may_announce(tx, actor_id, row.group_id)):
        raise Refused("role", "There is no such poll among yours.")
    if row.announced != "fired" or row.closed_at is not None or now >= row.closes_at:
        raise Refused("closed", "It takes no answers (any more), so nobody can be asked once more.")
    _check_words(text, polls.options_of(tx, keyring, row))
    ours = sa.select(Broadcast.id).where(Broadcast.schedule_id == schedule_id, Broadcast.kind == OccasionKind.FOLLOW_UP.value)
    if tx.execute(ours.where(Broadcast.created_at > now - AGAIN_AFTER).limit(1)).first() is not None:
        raise Refused("again", "They were asked once more within the last ten minutes; please wait a little.")
    silent = [person for person in polls.silent_people(tx, row) if person != actor_id]
    if not silent:
        raise Refused("nobody", "There is nobody to ask once more: all have answered, or have the announcement itself still to come.")
    if text.strip() and approvals.many(tx, row.course_id, len(silent)):
        raise Refused("eyes", "Nobody else has seen these words, and they would go to many; use the announcement's own, or announce them.")
    broadcasts.send_to(tx, keyring, _draft(tx, keyring, row, actor_id, text), silent, now)
    actor = audit.actor(actor_id)
    audit.record(tx, now, actor, "announce.follow_up", f"schedule:{schedule_id}", people=len(silent))
    return len(silent)


def _check_words(text: str, options: tuple[str, ...]) -> None:
    most = asking.most_text(options, own=True)
    if len(inert(text).encode()) > most:
        raise Refused("long", f"With these options a follow-up holds at most {most} bytes; please shorten it.")


def _draft(tx: Tx, keyring: Keyring, row: Any, actor_id: int | None, text: str) -> Draft:
    said = announced.details_of(tx, keyring, row.schedule_id)
    speaker = announced.speaker(tx, keyring, actor_id, row.group_id)
    own = {"text": text, "own_words": True, "about": said["text"]} if text.strip() else {}
    return Draft(
        account_id=row.account_id,
        key_id=row.data_key_id,
        bot="announcement",
        kind=OccasionKind.FOLLOW_UP,
        details={**said, **speaker, **polls.details(tx, keyring, row.schedule_id), **own},
        course_id=row.course_id,
        group_id=row.group_id,
        schedule_id=row.schedule_id,
        author_id=actor_id,
        stale_at=row.closes_at,
    )
