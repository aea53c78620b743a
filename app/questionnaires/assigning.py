"""Hides to whom a wave is put: who takes part and has not got it yet, their assignment, and their sheets in their order."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import access, ids
from app.db import Tx
from app.models import Assignment, AssignmentChange, Participant, Person, Sheet, Wave
from app.states import Asked


def uninvited(course_id: Any, wave_id: Any) -> "sa.Select[Any]":
    """Who takes part, consents and is not paused; whoever resumes is invited then."""
    person = Participant.person_id
    paused = sa.select(Person.id).where(Person.id == person, Person.paused_at.is_not(None))
    mine = sa.select(Assignment.id).where(Assignment.wave_id == wave_id, Assignment.person_id == person)
    mine = mine.correlate(Participant, Wave)  # two levels up is not found by itself: it would mean any wave
    return sa.select(person).where(
        Participant.course_id == course_id,
        person.is_not(None),
        Participant.withdrawn_at.is_(None),
        access.seated(person, Participant.course_id),
        access.agreed(person, Participant.course_id),
        ~paused.exists(),
        ~mine.exists(),
    )


def assign(tx: Tx, wave: Any, people: Iterable[int], broadcast_id: int, remind_at: datetime | None, now: datetime) -> None:
    """Put a wave to these people: for each an assignment, and its sheets in their order. `broadcast_id`: what invites them."""
    assignments, changes, sheets = [], [], []
    for person_id in people:
        assignment_id, seed = ids.new_id(), ids.new_seed()
        assignments.append(
            {
                "id": assignment_id,
                "wave_id": wave.id,
                "person_id": person_id,
                "account_id": wave.account_id,
                "seed": seed,
                "state": Asked.INVITED.value,
                "changed_at": now,
                "broadcast_id": broadcast_id,
                "remind_at": remind_at,
                "reminders": 0,
            }
        )
        changes.append({"assignment_id": assignment_id, "state": Asked.INVITED.value, "cause": "wave_open", "at": now})
        order = ordered(wave.plan["instruments"], seed) if wave.shuffled else wave.plan["instruments"]
        sheets += [_sheet(assignment_id, place, each, now) for place, each in enumerate(order, start=1)]
    tx.execute(sa.insert(Assignment), assignments)
    tx.execute(sa.insert(AssignmentChange), changes)
    tx.execute(sa.insert(Sheet), sheets)


def ordered(instruments: Sequence[Mapping[str, Any]], seed: int) -> list[Mapping[str, Any]]:
    """The instruments in the order that this seed draws; forms come first in any case, as the plan has them."""
    forms = [each for each in instruments if each["form"]]
    scales = [each for each in instruments if not each["form"]]
    return [*forms, *sorted(scales, key=lambda each: hashlib.sha256(f"{seed}.{each['code']}".encode()).digest())]


def _sheet(assignment_id: int, place: int, each: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    return {
        "id": ids.new_id(),
        "assignment_id": assignment_id,
        "place": place,
        "instrument": each["code"],
        "version": each["version"],
        "checksum": each["checksum"],
        "wording_id": each["wording"],
        "frame": each["frame"],
        "answers": {},
        "changed_at": now,
    }
