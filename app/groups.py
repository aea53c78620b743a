"""Hides courses' groups: makes them, invites into them, lets people join, knows who is in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa

from app import access, audit, ids
from app.db import Tx
from app.errors import AppError, Conflict, NotFound
from app.keyring import Keyring, Place, unsealed
from app.models import Course, Group, Guess, Invitation, Membership, Participant
from app.people import names
from app.questions import standing
from bots.facts import InvitationFound, InvitationState
from bots.turns import Role

#: Codes that somebody may try in vain within an hour (bad-inputs.md E17).
GUESSES_AN_HOUR = 5


class Refused(AppError):
    """An effect that cannot be applied now; the bot is asked again and answers in words."""

    status = 409


def create(tx: Tx, course_id: int, *, code: str, name: str, large: bool = False, capacity: int | None = None) -> int:
    """A new group of a course; returns its id."""
    group_id = ids.new_id()
    tx.execute(sa.insert(Group).values(id=group_id, course_id=course_id, code=code, name=name, large=large, capacity=capacity))
    return group_id


def create_once(tx: Tx, course_id: int, *, code: str, name: str, capacity: int | None) -> int:
    """As `create`, for a small group. Raises `Conflict` where the course has a group with this code."""
    if tx.execute(sa.select(Group.id).where(Group.course_id == course_id, Group.code == code)).first():
        raise Conflict("group_exists", f"There is a group {code!r} in this course already; choose another code.")
    return create(tx, course_id, code=code, name=name, capacity=capacity)


def by_code(tx: Tx, code: str, course_id: int | None = None) -> int:
    """The id of a group by its code. Raises `NotFound` with the codes there are."""
    query = sa.select(Group.id).where(Group.code == code)
    if course_id is not None:
        query = query.where(Group.course_id == course_id)
    found = tx.execute(query).scalars().all()
    if len(found) != 1:
        there = ", ".join(tx.execute(sa.select(Group.code).order_by(Group.code)).scalars()) or "none yet"
        raise NotFound("group", f"There is no single group {code!r}. Groups: {there}.")
    return found[0]


def close(tx: Tx, group_id: int, now: datetime) -> None:
    """Let nobody join any more; who is in it stays."""
    tx.execute(sa.update(Group).where(Group.id == group_id, Group.closed_at.is_(None)).values(closed_at=now))
    audit.record(tx, now, "operator", "group.close", f"group:{group_id}")


def invite(
    tx: Tx,
    keyring: Keyring,
    group_id: int,
    now: datetime,
    *,
    role: Role = Role.PARTICIPANT,
    once: bool = False,
    name: str | None = None,
    phone: str | None = None,
    expires_at: datetime | None = None,
    code: str | None = None,
    facts: str | None = None,
    actor: str = "operator",
) -> str:
    """A new code that leads into a group with a role; returns it as people type it. `facts`: what a roster tells of whom it is for."""
    code = ids.normal_code(code or ids.new_code())
    key_id = tx.execute(sa.select(Course.data_key_id).join(Group, Group.course_id == Course.id).where(Group.id == group_id)).scalar_one()
    key, invitation_id = keyring.open(tx, key_id), ids.new_id()

    def seal(column: str, plain: str | None) -> bytes | None:
        return None if plain is None else key.seal(Place("invitations", column, invitation_id), plain)

    tx.execute(
        sa.insert(Invitation).values(
            id=invitation_id,
            group_id=group_id,
            data_key_id=key_id,
            role=role.value,
            once=once,
            code_index=_code_index(keyring, code),
            code_sealed=seal("code_sealed", code),
            name_sealed=seal("name_sealed", name),
            phone_sealed=seal("phone_sealed", phone),
            facts_sealed=seal("facts_sealed", facts),
            roster_index=None if name is None else roster_index(keyring, group_id, role, name, phone),
            created_at=now,
            expires_at=expires_at,
        )
    )
    audit.record(tx, now, actor, "invite", f"group:{group_id}", role=role.value, once=once)
    return code


def roster_index(keyring: Keyring, group_id: int, role: Role, name: str, phone: str | None) -> bytes:
    """The key by which the same roster row is recognised when it is imported again."""
    return keyring.vault.index("roster", f"{group_id}\0{role.value}\0{name}\0{phone or ''}")


def group_code(tx: Tx, keyring: Keyring, group_id: int, now: datetime) -> str:
    """The code of a group's QR; made where there is none."""
    row = tx.execute(
        sa.select(Invitation.id, Invitation.data_key_id, Invitation.code_sealed)
        .where(Invitation.group_id == group_id, Invitation.once.is_(False), Invitation.role == Role.PARTICIPANT.value)
        .order_by(Invitation.created_at.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return invite(tx, keyring, group_id, now)
    return keyring.open(tx, row.data_key_id).unseal(Place("invitations", "code_sealed", row.id), row.code_sealed)


def look_up(tx: Tx, keyring: Keyring, person_id: int, code: str, language: str, now: datetime) -> InvitationFound:
    """Where a code leads for this person; after five vain tries in an hour nothing is looked up."""
    if guesses(tx, person_id, now) >= GUESSES_AN_HOUR:
        return InvitationFound(InvitationState.GUESSING)
    row = _invitation(tx, keyring, code)
    if row is None:
        return InvitationFound(InvitationState.UNKNOWN)
    state = _state(tx, row, person_id, now)
    if state in (InvitationState.USED, InvitationState.EXPIRED):
        return InvitationFound(state)
    return _found(tx, keyring, row, state, language)


def guesses(tx: Tx, person_id: int, now: datetime) -> int:
    """How many codes this person has tried in vain within the last hour."""
    query = sa.select(sa.func.count()).select_from(Guess).where(Guess.person_id == person_id, Guess.at > now - timedelta(hours=1))
    return tx.execute(query).scalar_one()


def count_guess(tx: Tx, person_id: int, now: datetime) -> None:
    """Somebody tried a code in vain."""
    tx.execute(sa.insert(Guess).values(person_id=person_id, at=now))


def join(tx: Tx, keyring: Keyring, person_id: int, code: str, now: datetime) -> None:
    """Use an invitation. Raises `Refused` (full, closed, used, expired, joined, elsewhere, consent, unknown)."""
    row = _invitation(tx, keyring, code, lock=True)
    if row is None:
        raise Refused("unknown", "This code leads nowhere.")
    state = _state(tx, row, person_id, now)
    if state is not InvitationState.OPEN:
        raise Refused(state.value, f"This invitation is {state.value}.")
    role = Role(row.role)
    if role is Role.PARTICIPANT and not tx.execute(sa.select(access.agreed(person_id, row.course_id))).scalar_one():
        raise Refused("consent", "Nobody takes part without having consented.")
    if row.once:
        tx.execute(sa.update(Invitation).where(Invitation.id == row.id).values(used_at=now, used_by=person_id))
    enter(tx, row.group_id, person_id, role, now)
    if role is Role.PARTICIPANT:
        number_participant(tx, row.course_id, person_id, now)
    large = tx.execute(
        sa.select(Group.id).where(Group.course_id == row.course_id, Group.large, Group.id != row.group_id)
    ).scalar_one_or_none()
    if large is not None:  # everybody sits in the large group too; only an administrator speaks there
        enter(tx, large, person_id, role, now)
    audit.record(tx, now, f"person:{person_id}", "join", f"group:{row.group_id}", role=role.value)


def enter(tx: Tx, group_id: int, person_id: int, role: Role, now: datetime) -> None:
    """Open a membership; nothing happens where it is open already."""
    there = sa.select(Membership.id).where(
        Membership.group_id == group_id, Membership.person_id == person_id, Membership.role == role.value, Membership.ended_at.is_(None)
    )
    if tx.execute(there).first() is None:
        tx.execute(sa.insert(Membership).values(group_id=group_id, person_id=person_id, role=role.value, started_at=now))


def end_membership(tx: Tx, group_id: int, person_id: int, role: Role, now: datetime, why: str, *, actor: str = "operator") -> None:
    """Close a membership; what it allowed is refused from now on, and nothing more goes to this person from this group."""
    tx.execute(
        sa.update(Membership)
        .where(
            Membership.group_id == group_id, Membership.person_id == person_id, Membership.role == role.value, Membership.ended_at.is_(None)
        )
        .values(ended_at=now, why_ended=why)
    )
    if role in (Role.LEADER, Role.ASSISTANT) and not roles_of_staff(tx, group_id, person_id):
        standing.lose_role(tx, group_id, person_id, now)
    audit.record(tx, now, actor, "membership.end", f"group:{group_id}", role=role.value)


def roles_of_staff(tx: Tx, group_id: int, person_id: int) -> tuple[Role, ...]:
    """As what somebody sees and answers questions in a group: leader, assistant."""
    rows = tx.execute(
        sa.select(Membership.role)
        .where(Membership.group_id == group_id, Membership.person_id == person_id, Membership.ended_at.is_(None))
        .where(Membership.role.in_([Role.LEADER.value, Role.ASSISTANT.value]))
        .order_by(Membership.id)
    )
    return tuple(Role(row.role) for row in rows)


def move(tx: Tx, person_id: int, group_id: int, now: datetime, *, actor: str = "operator") -> None:
    """Seat a participant in another small group of the same course; history stays. Raises `NotFound` where they have no seat there yet."""
    course_id = tx.execute(sa.select(Group.course_id).where(Group.id == group_id, ~Group.large)).scalar_one_or_none()
    mine = sa.select(Participant.id).where(Participant.course_id == course_id, Participant.person_id == person_id)
    tx.execute(mine.with_for_update())  # two who move the same person at once would leave them in two groups
    seats = tx.execute(
        sa.select(Membership.group_id)
        .join(Group, Group.id == Membership.group_id)
        .where(
            Membership.person_id == person_id,
            Membership.role == Role.PARTICIPANT.value,
            Membership.ended_at.is_(None),
            Group.course_id == course_id,
            ~Group.large,
        )
    ).scalars()
    left = list(seats)
    if not left:
        raise NotFound("seat", "This person takes part in no small group of that course; give them its code: `tongban group code`.")
    for former in left:
        end_membership(tx, former, person_id, Role.PARTICIPANT, now, "moved", actor=actor)
    enter(tx, group_id, person_id, Role.PARTICIPANT, now)
    audit.record(tx, now, actor, "membership.move", f"group:{group_id}")


def seat(tx: Tx, group_id: int, people: Sequence[int], now: datetime, *, actor: str = "operator") -> dict[int, str]:
    """Give participants of the course who sit in no small group of it a seat in this one, the first ones first.

    Returns those who got none, and why: left (they take part no longer), sits (in some small group already), closed, full.
    """
    group = tx.execute(sa.select(Group.course_id, Group.closed_at).where(Group.id == group_id).with_for_update()).one()
    mine = (Group.course_id == group.course_id, Membership.person_id.in_(people))
    held = sa.select(Membership.person_id, Group.large).join(Group, Group.id == Membership.group_id)
    held = held.where(*mine, Membership.role == Role.PARTICIPANT.value, Membership.ended_at.is_(None))
    there = tx.execute(held.where(access.agreed(Membership.person_id, group.course_id))).all()
    taking, sitting = {row.person_id for row in there}, {row.person_id for row in there if not row.large}
    free, refused = room(tx, group_id, now), dict[int, str]()
    seated: list[int] = []
    for person in people:
        if person not in taking or person in sitting:
            refused[person] = "sits" if person in sitting else "left"
        elif group.closed_at is not None:
            refused[person] = "closed"
        elif free is not None and len(seated) >= free:
            refused[person] = "full"
        else:
            seated.append(person)
    if seated:
        rows = [{"group_id": group_id, "person_id": person, "role": Role.PARTICIPANT.value, "started_at": now} for person in seated]
        tx.execute(sa.insert(Membership), rows)
        audit.record(tx, now, actor, "membership.seat", f"group:{group_id}", count=len(seated))
    return refused


def room(tx: Tx, group_id: int, now: datetime) -> int | None:
    """How many more participants a group takes, a seat kept for each who holds a personal code that leads there; None: any number."""
    capacity = tx.execute(sa.select(Group.capacity).where(Group.id == group_id)).scalar_one()
    if capacity is None:
        return None
    promised = sa.select(sa.func.count()).select_from(Invitation).where(Invitation.group_id == group_id, *unused(now))
    return max(0, capacity - participants(tx, group_id) - tx.execute(promised).scalar_one())


def unused(now: datetime) -> tuple[Any, ...]:
    """For a statement: the personal codes by which somebody may still come to take part."""
    good = sa.or_(Invitation.expires_at.is_(None), Invitation.expires_at > now)
    return (Invitation.once, Invitation.role == Role.PARTICIPANT.value, Invitation.used_at.is_(None), good)


def redirect(
    tx: Tx, keyring: Keyring, group_id: int, invitations: Sequence[int], now: datetime, *, actor: str = "operator"
) -> dict[int, str]:
    """Let personal codes lead into another small group of the same course; what people were given stays good.

    Returns those that do not, and why: left (used or expired meanwhile), closed, full.
    """
    group = tx.execute(sa.select(Group.course_id, Group.closed_at).where(Group.id == group_id).with_for_update()).one()
    query = sa.select(Invitation.id, Invitation.data_key_id, Invitation.name_sealed, Invitation.phone_sealed)
    query = query.join(Group, Group.id == Invitation.group_id).where(Group.course_id == group.course_id, *unused(now))
    good = {row.id: row for row in tx.execute(query.where(Invitation.id.in_(invitations)).with_for_update(of=Invitation))}
    free, refused = room(tx, group_id, now), dict[int, str]()
    led: list[dict[str, Any]] = []
    keys = keyring.open_all(tx, (row.data_key_id for row in good.values()))
    for invitation in invitations:
        if invitation not in good:
            refused[invitation] = "left"
        elif group.closed_at is not None or (free is not None and len(led) >= free):
            refused[invitation] = "closed" if group.closed_at is not None else "full"
        else:
            row = good[invitation]
            name, phone = (
                unsealed(keys.get(row.data_key_id), Place("invitations", column, row.id), getattr(row, column))
                for column in ("name_sealed", "phone_sealed")
            )
            index = None if name is None else roster_index(keyring, group_id, Role.PARTICIPANT, name, phone)
            led.append({"one": invitation, "index": index})
    if led:
        mine = sa.update(Invitation).where(Invitation.id == sa.bindparam("one"))
        tx.execute(mine.values(group_id=group_id, roster_index=sa.bindparam("index")), led)
        audit.record(tx, now, actor, "invite.redirect", f"group:{group_id}", count=len(led))
    return refused


def number_participant(tx: Tx, course_id: int, person_id: int, now: datetime) -> str:
    """The person's number in this course: kept when they return, random when they are new."""
    known = tx.execute(
        sa.select(Participant.number).where(Participant.course_id == course_id, Participant.person_id == person_id)
    ).scalar_one_or_none()
    if known is not None:
        tx.execute(
            sa.update(Participant)
            .where(Participant.course_id == course_id, Participant.person_id == person_id)
            .values(withdrawn_at=None, erase_answers=False)
        )
        return known
    taken = set(tx.execute(sa.select(Participant.number).where(Participant.course_id == course_id)).scalars())
    number = ids.new_number()
    while number in taken:
        number = ids.new_number()
    tx.execute(sa.insert(Participant).values(course_id=course_id, person_id=person_id, number=number, joined_at=now, erase_answers=False))
    return number


def leader_name(tx: Tx, keyring: Keyring, group_id: int) -> str | None:
    """The course name of a group's leader."""
    leader = tx.execute(
        sa.select(Membership.person_id)
        .where(Membership.group_id == group_id, Membership.role == Role.LEADER.value, Membership.ended_at.is_(None))
        .order_by(Membership.id)
        .limit(1)
    ).scalar_one_or_none()
    return None if leader is None else names(tx, keyring, [leader]).get(leader)


@dataclass(frozen=True)
class _Row:
    id: int
    group_id: int
    role: str
    once: bool
    data_key_id: int
    name_sealed: bytes | None
    expires_at: datetime | None
    used_at: datetime | None
    used_by: int | None
    course_id: int
    group_name: str
    large: bool
    capacity: int | None
    closed_at: datetime | None
    code: str


def _invitation(tx: Tx, keyring: Keyring, typed: str, *, lock: bool = False) -> _Row | None:
    code = ids.normal_code(typed)
    query = (
        sa.select(
            Invitation.id,
            Invitation.group_id,
            Invitation.role,
            Invitation.once,
            Invitation.data_key_id,
            Invitation.name_sealed,
            Invitation.expires_at,
            Invitation.used_at,
            Invitation.used_by,
            Group.course_id,
            Group.name,
            Group.large,
            Group.capacity,
            Group.closed_at,
        )
        .join(Group, Group.id == Invitation.group_id)
        .where(Invitation.code_index == _code_index(keyring, code))
    )
    row = tx.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else _Row(*cast("tuple[Any, ...]", (*row, code)))


def _code_index(keyring: Keyring, code: str) -> bytes:
    return keyring.vault.index("invitation", code)


def _state(tx: Tx, row: _Row, person_id: int, now: datetime) -> InvitationState:
    member = sa.select(Membership.id).where(
        Membership.group_id == row.group_id, Membership.person_id == person_id, Membership.role == row.role, Membership.ended_at.is_(None)
    )
    if tx.execute(member).first():
        return InvitationState.JOINED
    if row.used_at is not None:
        return InvitationState.USED
    if row.expires_at is not None and row.expires_at <= now:
        return InvitationState.EXPIRED
    return _seat(tx, row, person_id)


def _seat(tx: Tx, row: _Row, person_id: int) -> InvitationState:
    """Whether an invitation that is good still finds a seat for this person."""
    if row.role == Role.PARTICIPANT.value and not row.large and _sits_elsewhere(tx, row, person_id):
        return InvitationState.ELSEWHERE
    if row.closed_at is not None:
        return InvitationState.CLOSED
    if row.role == Role.PARTICIPANT.value and row.capacity is not None and participants(tx, row.group_id) >= row.capacity:
        return InvitationState.FULL
    return InvitationState.OPEN


def _sits_elsewhere(tx: Tx, row: _Row, person_id: int) -> bool:
    """Whether somebody is a participant of another small group of the same running course; staff may be in several."""
    query = (
        sa.select(Membership.id)
        .join(Group, Group.id == Membership.group_id)
        .join(Course, Course.id == Group.course_id)
        .where(
            Membership.person_id == person_id,
            Membership.role == Role.PARTICIPANT.value,
            Membership.ended_at.is_(None),
            Group.course_id == row.course_id,
            Group.id != row.group_id,
            Group.large.is_(False),
            Course.ended_at.is_(None),
        )
    )
    return tx.execute(query.limit(1)).first() is not None


def seated(tx: Tx, group_ids: Sequence[int]) -> dict[int, dict[Role, int]]:
    """How many sit in each of these groups now, by their roles."""
    query = sa.select(Membership.group_id, Membership.role, sa.func.count().label("number"))
    query = query.where(Membership.group_id.in_(group_ids), Membership.ended_at.is_(None))
    found: dict[int, dict[Role, int]] = {each: {} for each in group_ids}
    for row in tx.execute(query.group_by(Membership.group_id, Membership.role)):
        found[row.group_id][Role(row.role)] = row.number
    return found


def participants(tx: Tx, group_id: int) -> int:
    """How many participants a group has now."""
    return tx.execute(
        sa.select(sa.func.count())
        .select_from(Membership)
        .where(Membership.group_id == group_id, Membership.role == Role.PARTICIPANT.value, Membership.ended_at.is_(None))
    ).scalar_one()


def _found(tx: Tx, keyring: Keyring, row: _Row, state: InvitationState, language: str) -> InvitationFound:
    course = tx.execute(sa.select(Course.title, Course.consent_version, Course.details).where(Course.id == row.course_id)).one()
    return InvitationFound(
        state=state,
        code=row.code,
        course=row.course_id,
        course_title=course.title,
        group=row.group_id,
        group_name=row.group_name,
        leader_name=leader_name(tx, keyring, row.group_id),
        role=row.role,
        invited_name=keyring.unseal(tx, row.data_key_id, Place("invitations", "name_sealed", row.id), row.name_sealed),
        consent_version=course.consent_version,
        consent_text=str(course.details.get("consent", {}).get(language, "")),
    )
