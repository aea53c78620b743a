"""Hides how a leader's words go to those of whom nothing was heard, and to nobody else."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from app import access, audit, broadcasts
from app.broadcasts import Draft
from app.db import Tx
from app.groups import Refused
from app.homework import looking
from app.models import Audit, Course, Group
from app.people import names
from app.situation import Tools
from bots.effects import WriteToSilent
from bots.homework.days import SILENCES
from bots.homework.voice import LETTER_BYTES
from bots.texts import inert
from bots.turns import OccasionKind, Role

#: A question how somebody is, which could not be delivered for this long, is of no use any more.
_USEFUL = timedelta(days=3)
#: As long a letter is shown to those who lead, and found again by its draft.
_LATELY = timedelta(days=1)
_WRITTEN = "homework.write"
#: As what somebody with several roles speaks to a group.
_SPEAKS_AS = (Role.LEADER, Role.ASSISTANT, Role.ADMINISTRATOR)


@dataclass(frozen=True)
class Letter:
    """That somebody wrote to those of whom nothing was heard for so many days: when, who, to how many."""

    at: datetime
    author_id: int
    days: int
    people: int
    draft: int


def lately(tx: Tx, group_id: int, now: datetime) -> list[Letter]:
    """The letters to the silent of a group within the last day, the oldest first."""
    query = sa.select(Audit.at, Audit.actor, Audit.details).where(
        Audit.at > now - _LATELY, Audit.action == _WRITTEN, Audit.subject == f"group:{group_id}"
    )
    rows = tx.execute(query.order_by(Audit.at, Audit.id)).all()
    return [
        Letter(row.at, int(row.actor.removeprefix("person:")), row.details["days"], row.details["people"], row.details.get("draft", 0))
        for row in rows
    ]


def write(tx: Tx, tools: Tools, author_id: int, letter: WriteToSilent, now: datetime, *, draft: int = 0) -> int:
    """Send the words to each of them; returns how many. The same draft twice within a day is one letter: the second goes to 0.

    Raises `Refused` ("role", "empty", "long", "nobody").
    """
    if not access.may_see_practice(tx, author_id, letter.group):
        raise Refused("role", "Only its leaders, assistants and administrators may write to a group.")
    if not letter.text.strip() or letter.days not in SILENCES:
        raise Refused("empty", "There are no words to send.")
    if len(inert(letter.text).encode()) > LETTER_BYTES:
        raise Refused("long", f"The words hold at most {LETTER_BYTES} bytes (about 400 Chinese characters).")
    if draft:
        tx.execute(sa.select(Group.id).where(Group.id == letter.group).with_for_update(key_share=True))  # two taps come one after the other
        if any(each.draft == draft for each in lately(tx, letter.group, now)):
            return 0
    people = [each.person_id for each in looking.quiet(tx, letter.group, now, letter.days) if each.person_id != author_id]
    if not people:
        raise Refused("nobody", "All of them have practised meanwhile.")
    columns = (Group.name, Group.course_id, Course.title, Course.account_id, Course.data_key_id)
    group = tx.execute(sa.select(*columns).join(Course, Course.id == Group.course_id).where(Group.id == letter.group)).one()
    held = access.roles_in_group(tx, author_id, letter.group)
    details = {
        "text": letter.text,
        "group_name": group.name,
        "author_name": names(tx, tools.keyring, [author_id]).get(author_id, ""),
        "author_role": next(role.value for role in _SPEAKS_AS if role in held),
        "course_title": group.title,
    }
    message = Draft(
        account_id=group.account_id,
        key_id=group.data_key_id,
        bot="announcement",
        kind=OccasionKind.ANNOUNCEMENT,
        details=details,
        course_id=group.course_id,
        group_id=letter.group,
        author_id=author_id,
        stale_at=now + _USEFUL,
    )
    broadcasts.send_to(tx, tools.keyring, message, people, now)
    named = {"draft": draft} if draft else {}
    audit.record(tx, now, f"person:{author_id}", _WRITTEN, f"group:{letter.group}", days=letter.days, people=len(people), **named)
    return len(people)
