"""Hides how a proposal comes true: groups are made, people get their seats and codes their groups, all at once, but for who is left out."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from app import audit, broadcasts, groups
from app.courses import running
from app.db import Tx
from app.homework import hours
from app.keyring import Keyring
from app.models import Group, Identity, Invitation, Person, Proposal, ProposalGroup, ProposalSeat
from app.placing.proposals import Draft, GroupOf, Seat, held
from bots.turns import OccasionKind

#: In which group somebody sits is worth knowing until about then; the course speaks of it soon enough.
_USEFUL = timedelta(days=14)
_PLACED = "placed"


@dataclass(frozen=True)
class Applied:
    """What became of a proposal: how many have a seat, how many codes lead into a group, how many were left out; how many are told."""

    seated: int
    led: int
    left_out: int
    told: int


def apply(tx: Tx, keyring: Keyring, course_id: int, version: int, author_id: int | None, now: datetime) -> Applied:
    """Seat everybody as the draft of this version says. Raises `Stale`; whoever has no seat now stays as they are, with the reason kept."""
    draft = held(tx, course_id, version)
    actor = audit.actor(author_id)
    _hold(tx, draft)
    came = _came_meanwhile(tx, draft)
    outcomes: dict[str, list[int]] = defaultdict(list)
    seated = led = told = 0
    for place, group in enumerate(draft.groups):
        mine = [seat for seat in draft.seats if seat.place == place]
        if not mine:
            continue
        group_id = group.id or _made(tx, draft, place, group, now)
        people = {person: seat for seat in mine if (person := seat.person or came.get(seat.invitation or 0)) is not None}
        codes = {seat.invitation: seat for seat in mine if seat not in people.values() and seat.invitation is not None}
        refused = groups.seat(tx, group_id, list(people), now, actor=actor)
        unled = groups.redirect(tx, keyring, group_id, list(codes), now, actor=actor)
        new = [person for person in people if person not in refused]
        for known, why in ((people, refused), (codes, unled)):
            for one, seat in known.items():
                outcomes[why.get(one, _PLACED)].append(seat.id)
        seated, led = seated + len(new), led + len(codes) - len(unled)
        told += _tell(tx, keyring, course_id, group_id, new, now)
        if new:
            hours.wake(tx, new[0], now)  # what goes out in the group today is looked at once more, for all of them
    left_out = _note(tx, draft, outcomes, author_id, now)
    details = {"seed": draft.seed, "seated": seated, "led": led, "left_out": left_out}
    audit.record(tx, now, actor, "placing.apply", f"course:{course_id}", **details)
    return Applied(seated, led, left_out, told)


def _hold(tx: Tx, draft: Draft) -> None:
    """Nobody of them joins or leaves meanwhile; in the order of ids, as whoever else holds several."""
    people = [seat.person for seat in draft.seats if seat.person is not None]
    tx.execute(sa.select(Person.id).where(Person.id.in_(people)).order_by(Person.id).with_for_update())


def _came_meanwhile(tx: Tx, draft: Draft) -> dict[int, int]:
    """By invitation, who has joined by it since the proposal was made: they get the seat that was meant for them."""
    meant = [seat.invitation for seat in draft.seats if seat.invitation is not None]
    used = sa.select(Invitation.id, Invitation.used_by).where(Invitation.id.in_(meant), Invitation.used_by.is_not(None))
    return {row.id: row.used_by for row in tx.execute(used)}


def _made(tx: Tx, draft: Draft, place: int, group: GroupOf, now: datetime) -> int:
    taken = set(tx.execute(sa.select(Group.code).where(Group.course_id == draft.course_id)).scalars())
    code = next(f"g{number}" for number in range(1, len(taken) + 2) if f"g{number}" not in taken)
    many = sum(seat.place == place for seat in draft.seats)
    group_id = groups.create_once(tx, draft.course_id, code=code, name=group.name, capacity=max(30, many))
    running.adopt(tx, group_id, now)
    mine = sa.update(ProposalGroup).where(ProposalGroup.proposal_id == draft.id, ProposalGroup.place == place)
    tx.execute(mine.values(group_id=group_id))
    return group_id


def _tell(tx: Tx, keyring: Keyring, course_id: int, group_id: int, people: list[int], now: datetime) -> int:
    """Let those who follow the account know where they sit, in the words of the bot that lets people in."""
    following = sa.select(Identity.person_id).where(Identity.person_id.in_(people), Identity.unfollowed_at.is_(None))
    readers = tx.execute(following.distinct().order_by(Identity.person_id)).scalars().all()
    if readers:
        name = tx.execute(sa.select(Group.name).where(Group.id == group_id)).scalar_one()
        details = {"group_name": name, "leader_name": groups.leader_name(tx, keyring, group_id), broadcasts.NAMES_READER: True}
        kind = OccasionKind.SEAT
        draft = broadcasts.in_course(tx, course_id, "onboarding", kind, details, group_id=group_id, stale_at=now + _USEFUL)
        broadcasts.send_to(tx, keyring, draft, readers, now)
    return len(readers)


def _note(tx: Tx, draft: Draft, outcomes: dict[str, list[int]], author_id: int | None, now: datetime) -> int:
    for outcome, seats in outcomes.items():
        tx.execute(sa.update(ProposalSeat).where(ProposalSeat.id.in_(seats)).values(outcome=outcome))
    done = {"state": "applied", "author_id": author_id, "changed_at": now, "version": draft.version + 1}
    tx.execute(sa.update(Proposal).where(Proposal.id == draft.id).values(**done))
    return sum(len(seats) for outcome, seats in outcomes.items() if outcome != _PLACED)


def left_out(draft: Draft) -> tuple[Seat, ...]:
    """Who got no seat when a proposal was applied, with the reason as their outcome."""
    return tuple(seat for seat in draft.seats if seat.outcome not in ("", _PLACED))
