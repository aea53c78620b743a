"""Hides how an integration moves a participant to another group: found by number, by the same function as an administrator's click."""

from datetime import datetime

import sqlalchemy as sa

from app.console import members
from app.db import Tx
from app.errors import NotFound
from app.integrations.refusals import Refusal
from app.integrations.rules import Caller
from app.integrations.shapes import Seated
from app.models import Group, Membership, Participant
from bots.turns import Role


def move(tx: Tx, caller: Caller, course_id: int, group_id: int, number: str, now: datetime) -> Seated:
    """Seat the participant with this number of the course in this small group of it.

    Raises `NotFound` for a number that takes part in no small group of the course, and for a group that takes nobody (the large one, a
    closed one); `Refusal` ("seated") for who sits there already; `Conflict` ("full").
    """
    seats = (
        sa.select(Membership.person_id, Membership.group_id)
        .join(Group, Group.id == Membership.group_id)
        .join(Participant, sa.and_(Participant.person_id == Membership.person_id, Participant.course_id == Group.course_id))
        .where(Group.course_id == course_id, ~Group.large, Participant.number == number)
        .where(Membership.role == Role.PARTICIPANT.value, Membership.ended_at.is_(None))
    )
    seat = tx.execute(seats.order_by(Membership.id).limit(1)).one_or_none()
    if seat is None:
        raise NotFound("participant", "No participant of this course has this number and a seat.")
    if seat.group_id == group_id:
        raise Refusal(409, "seated")
    members.move(tx, caller.word, seat.group_id, seat.person_id, group_id, now)
    return Seated(number, str(group_id), now)
