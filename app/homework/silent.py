"""Hides how a leader's words go to those of whom nothing was heard, and to nobody else."""

from datetime import datetime, timedelta

import sqlalchemy as sa

from app import access, audit, broadcasts
from app.broadcasts import Draft
from app.db import Tx
from app.groups import Refused
from app.homework import looking
from app.models import Course, Group
from app.people import names
from app.situation import Tools
from bots.effects import WriteToSilent
from bots.homework.days import SILENCES
from bots.homework.voice import LETTER_BYTES
from bots.texts import inert
from bots.turns import OccasionKind, Role

#: A question how somebody is, which could not be delivered for this long, is of no use any more.
_USEFUL = timedelta(days=3)
#: As what somebody with several roles speaks to a group.
_SPEAKS_AS = (Role.LEADER, Role.ASSISTANT, Role.ADMINISTRATOR)


def write(tx: Tx, tools: Tools, author_id: int, letter: WriteToSilent, now: datetime) -> int:
    """Send the words to each of them; returns how many. Raises `Refused` ("role", "empty", "long", "nobody")."""
    if not access.may_see_practice(tx, author_id, letter.group):
        raise Refused("role", "Only its leaders, assistants and administrators may write to a group.")
    if not letter.text.strip() or letter.days not in SILENCES:
        raise Refused("empty", "There are no words to send.")
    if len(inert(letter.text).encode()) > LETTER_BYTES:
        raise Refused("long", f"The words hold at most {LETTER_BYTES} bytes (about 400 Chinese characters).")
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
    draft = Draft(
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
    broadcasts.send_to(tx, tools.keyring, draft, people, now)
    audit.record(tx, now, f"person:{author_id}", "homework.write", f"group:{letter.group}", days=letter.days, people=len(people))
    return len(people)
