"""Hides proposals as rows: what is needed for one, how it is kept as a draft with a version, and how it is changed by hand.

To compute one takes a second, so it is done between two transactions: `gather` reads, `balance` is pure, `keep` writes, where nobody has
changed the draft meanwhile.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import audit, ids
from app.db import Tx
from app.errors import Conflict, Invalid
from app.keyring import Keyring
from app.models import Course, Group, Proposal, ProposalGroup, ProposalSeat
from app.placing import balancing, wishes
from app.placing.balancing import Impossible, Someone, Wishes
from app.placing.known import One, answers, everybody
from app.placing.wishes import Written
from app.questionnaires.shelf import Shelf

#: What the method asks of a small group, and how many people one is meant to have where nobody says.
FEWEST, MOST, USUAL = 20, 30, 25
#: Groups that one proposal may have.
MOST_GROUPS = 200


@dataclass(frozen=True)
class Asked:
    """What stands in the form: `how` is groups or size, `number` of them; `use`: open (groups there are first) or new (only new ones)."""

    how: str
    number: str
    use: str = "open"
    together: str = ""
    apart: str = ""


@dataclass(frozen=True)
class GroupOf:
    """A group of a proposal. `id`: None for one that is to be made, then `code` is empty."""

    id: int | None
    code: str
    name: str
    capacity: int | None
    sitting: int = 0
    closed: bool = False


@dataclass(frozen=True)
class Basis:
    """Everything that a proposal is made from. `version`: of the draft that it would replace, 0 where there is none."""

    course_id: int
    people: tuple[One, ...]
    groups: tuple[GroupOf, ...]
    wishes: Wishes
    written: Written
    version: int

    @property
    def waiting(self) -> tuple[One, ...]:
        """Who shall get a seat."""
        return tuple(one for one in self.people if one.group is None)


@dataclass(frozen=True)
class Seat:
    """Somebody's seat in a proposal."""

    id: int
    key: str
    person: int | None
    invitation: int | None
    place: int
    outcome: str


@dataclass(frozen=True)
class Draft:
    """A proposal as it is kept."""

    id: int
    course_id: int
    author_id: int | None
    seed: int
    version: int
    state: str
    together: str
    apart: str
    changed_at: datetime
    groups: tuple[GroupOf, ...]
    seats: tuple[Seat, ...]

    @property
    def places(self) -> dict[str, int]:
        """The place of each by their key."""
        return {seat.key: seat.place for seat in self.seats}


class Stale(Conflict):
    """Somebody changed the draft meanwhile, or it is no draft any more; nothing was done."""

    def __init__(self) -> None:
        super().__init__("stale", "The proposal was changed meanwhile, and nothing was done; look at it as it stands, and try again.")


class Cannot(Invalid):
    """There is no such proposal; `why` as in `Impossible`, `numbers` of the people whom that is about."""

    def __init__(self, why: str, numbers: Iterable[str] = ()) -> None:
        self.numbers = tuple(numbers)
        super().__init__(f"cannot_{why}", f"{_WHY[why]} {', '.join(self.numbers[:10])}".strip())


_WHY = {
    "room": "There are fewer free seats than people; ask for more groups.",
    "both": "Somebody shall sit together and apart at once; take one of the two wishes back:",
    "sits": "Those who shall be together sit in two groups already; move one of them first:",
    "large": "More people shall be together than a group takes; make that wish smaller:",
    "apart": "These wishes cannot all be kept with so few groups; ask for more groups or take a wish back:",
}


# Making -------------------------------------------------------------------------------------------------------------------------------


def gather(tx: Tx, keyring: Keyring, shelf: Shelf, course_id: int, asked: Asked, new_name: str, now: datetime) -> Basis:
    """What a proposal would be made from. `new_name`: of groups that are to be made, with {number} in it.

    Raises `Invalid` ("number", "nobody"), `NoWish`.
    """
    people = everybody(tx, keyring, shelf, course_id, now)
    waiting = sum(one.group is None for one in people)
    if not waiting:
        raise Invalid("nobody", "Everybody of this course has a group.")
    open_ = [each for each in open_groups(tx, course_id, people) if each.capacity is None or each.sitting < each.capacity]
    used = open_ if asked.use == "open" else []
    many = _how_many(asked, waiting + sum(each.sitting for each in used))
    chosen = sorted(used, key=lambda each: (each.sitting, each.code))[:many]
    largest = max(MOST, -(-waiting // many))
    made = (GroupOf(None, "", new_name.format(number=number), largest) for number in _free_numbers(tx, course_id, new_name))
    chosen = [*sorted(chosen, key=lambda each: each.code), *(next(made) for _ in range(many - len(chosen)))]
    return _basis(tx, course_id, people, tuple(chosen), asked.together, asked.apart)


def gather_again(tx: Tx, keyring: Keyring, shelf: Shelf, draft: Draft, now: datetime) -> Basis:
    """As `gather`, for the groups and wishes of a draft, with whoever waits now. Raises `Invalid` ("nobody"), `NoWish`."""
    people = everybody(tx, keyring, shelf, draft.course_id, now)
    if all(one.group is not None for one in people):
        raise Invalid("nobody", "Everybody of this course has a group.")
    return _basis(tx, draft.course_id, people, with_sitting(draft.groups, people), draft.together, draft.apart, strict=False)


def _basis(
    tx: Tx, course_id: int, people: list[One], groups: tuple[GroupOf, ...], together: str, apart: str, *, strict: bool = True
) -> Basis:
    wished, written = wished_of(people, groups, together, apart, strict=strict)
    there = find(tx, course_id)
    return Basis(course_id, tuple(people), groups, wished, written, there.version if there is not None and there.state == "draft" else 0)


def wished_of(
    people: Iterable[One], groups: tuple[GroupOf, ...], together: str, apart: str, *, strict: bool = False
) -> tuple[Wishes, Written]:
    """The wishes in these texts, of people who wait or sit in these groups."""
    here = {group.id for group in groups}
    keys = {one.number: one.key for one in people if one.group is None or one.group in here}
    places = {group.code: place for place, group in enumerate(groups) if group.code}
    return wishes.understand(together, apart, keys, places, len(groups), strict=strict)


def balance(basis: Basis, seed: int) -> dict[str, int]:
    """The proposal itself, by key; nothing but numbers. Raises `Cannot`."""
    places = {group.id: place for place, group in enumerate(basis.groups) if group.id is not None}
    meant = [one for one in basis.people if one.group is None or one.group in places]
    counted = answers(meant)
    someone = [Someone(one.key, counted[one.key], None if one.group is None else places[one.group]) for one in meant]
    numbers = {one.key: one.number for one in meant}
    try:
        found = balancing.propose(someone, [group.capacity for group in basis.groups], basis.wishes, seed)
    except Impossible as impossible:
        raise Cannot(impossible.why, sorted(numbers[key] for key in impossible.who)) from None
    return {one.key: found[one.key] for one in basis.waiting}


def keep(tx: Tx, basis: Basis, places: Mapping[str, int], seed: int, author_id: int | None, version: int, now: datetime) -> int:
    """Keep a proposal as the course's draft, in place of the one that had this version (0: of none); returns its id. Raises `Stale`."""
    tx.execute(sa.select(Course.id).where(Course.id == basis.course_id).with_for_update())
    there = find(tx, basis.course_id)
    standing = there.version if there is not None and there.state == "draft" else 0
    if standing != version:
        raise Stale
    proposal_id = ids.new_id()
    if there is not None and there.state == "draft":
        tx.execute(sa.update(Proposal).where(Proposal.id == there.id).values(state="dropped", changed_at=now))
    newest = tx.execute(sa.select(sa.func.max(Proposal.version)).where(Proposal.course_id == basis.course_id)).scalar_one()
    told = {"author_id": author_id, "seed": seed, "version": (newest or 0) + 1, "created_at": now, "changed_at": now}
    wished = {"together": basis.written.together, "apart": basis.written.apart}
    tx.execute(sa.insert(Proposal).values(id=proposal_id, course_id=basis.course_id, state="draft", **told, **wished))
    groups = [
        {"id": ids.new_id(), "proposal_id": proposal_id, "place": place, "group_id": group.id, "name": "" if group.id else group.name}
        for place, group in enumerate(basis.groups)
    ]
    tx.execute(sa.insert(ProposalGroup), groups)
    seats = [
        {"id": ids.new_id(), "proposal_id": proposal_id, "person_id": one.person, "invitation_id": one.invitation}
        | {"place": places[one.key], "outcome": ""}
        for one in basis.waiting
    ]
    tx.execute(sa.insert(ProposalSeat), seats)
    audit.record(tx, now, audit.actor(author_id), "placing.propose", f"course:{basis.course_id}", seed=seed, people=len(seats))
    return proposal_id


def _how_many(asked: Asked, people: int) -> int:
    """How many groups there shall be. Raises `Invalid` ("number")."""
    typed = asked.number.strip()
    number = int(typed) if typed.isascii() and typed.isdigit() and len(typed) <= 4 else 0
    groups = max(1, round(people / number)) if asked.how == "size" and number else number
    if asked.how not in ("groups", "size") or not 1 <= groups <= MOST_GROUPS:
        raise Invalid("number", f"Write how many groups, from 1 to {MOST_GROUPS}, or how many people in each.")
    return groups


def _free_numbers(tx: Tx, course_id: int, new_name: str) -> Iterable[int]:
    names = set(tx.execute(sa.select(Group.name).where(Group.course_id == course_id)).scalars())
    return (number for number in range(1, MOST_GROUPS + len(names) + 2) if new_name.format(number=number) not in names)


def open_groups(tx: Tx, course_id: int, people: Iterable[One]) -> list[GroupOf]:
    """The small groups of a course that are open, with how many sit there or have a code that leads there."""
    counted = Counter(one.group for one in people)
    query = sa.select(Group.id, Group.code, Group.name, Group.capacity).where(
        Group.course_id == course_id, ~Group.large, Group.closed_at.is_(None)
    )
    return [GroupOf(*row, sitting=counted[row.id]) for row in tx.execute(query.order_by(Group.code))]


def with_sitting(groups: Iterable[GroupOf], people: Iterable[One]) -> tuple[GroupOf, ...]:
    """The groups with how many sit there now."""
    counted = Counter(one.group for one in people if one.group is not None)
    return tuple(replace(group, sitting=counted[group.id] if group.id is not None else 0) for group in groups)


# Looking and changing -----------------------------------------------------------------------------------------------------------------


def find(tx: Tx, course_id: int) -> Draft | None:
    """The last proposal of a course that was not dropped: the draft, else the one that was applied last."""
    query = sa.select(*Proposal.__table__.columns).where(Proposal.course_id == course_id, Proposal.state != "dropped")
    row = tx.execute(query.order_by(sa.case((Proposal.state == "draft", 0), else_=1), Proposal.id.desc()).limit(1)).one_or_none()
    return None if row is None else _draft(tx, row)


def _draft(tx: Tx, row: Any) -> Draft:
    own = (ProposalGroup.place, ProposalGroup.group_id, ProposalGroup.name.label("own"))
    query = sa.select(*own, Group.code, Group.name, Group.capacity, Group.closed_at).outerjoin(Group, Group.id == ProposalGroup.group_id)
    groups = tx.execute(query.where(ProposalGroup.proposal_id == row.id).order_by(ProposalGroup.place)).all()
    columns = (ProposalSeat.id, ProposalSeat.person_id, ProposalSeat.invitation_id, ProposalSeat.place, ProposalSeat.outcome)
    seats = tx.execute(sa.select(*columns).where(ProposalSeat.proposal_id == row.id).order_by(ProposalSeat.id)).all()
    return Draft(
        *(row.id, row.course_id, row.author_id, row.seed, row.version, row.state, row.together, row.apart, row.changed_at),
        tuple(GroupOf(g.group_id, g.code or "", g.name or g.own, g.capacity, closed=g.closed_at is not None) for g in groups),
        tuple(Seat(s.id, f"i{s.invitation_id}" if s.person_id is None else f"p{s.person_id}", *s[1:]) for s in seats),
    )


def held(tx: Tx, course_id: int, version: int) -> Draft:
    """The draft, ours until the end of the transaction. Raises `Stale` where it has another version, or there is none."""
    tx.execute(sa.select(Course.id).where(Course.id == course_id).with_for_update())
    found = find(tx, course_id)
    if found is None or found.state != "draft" or found.version != version:
        raise Stale
    return found


def move(tx: Tx, course_id: int, version: int, key: str, place: int, author_id: int | None, now: datetime) -> None:
    """Put somebody into another group of the draft. Raises `Stale`, `Invalid` ("who", "place")."""
    draft = held(tx, course_id, version)
    if not 0 <= place < len(draft.groups):
        raise Invalid("place", "There is no such group in this proposal.")
    _put(tx, draft, {_seat(draft, key): place}, author_id, now)


def swap(tx: Tx, course_id: int, version: int, key: str, other: str, author_id: int | None, now: datetime) -> None:
    """Let two people change places in the draft. Raises `Stale`, `Invalid` ("who")."""
    draft = held(tx, course_id, version)
    one, two = _seat(draft, key), _seat(draft, other)
    _put(tx, draft, {one: two.place, two: one.place}, author_id, now)


def drop(tx: Tx, course_id: int, version: int, author_id: int | None, now: datetime) -> None:
    """Throw the draft away. Raises `Stale`."""
    draft = held(tx, course_id, version)
    tx.execute(sa.update(Proposal).where(Proposal.id == draft.id).values(state="dropped", author_id=author_id, changed_at=now))
    audit.record(tx, now, audit.actor(author_id), "placing.drop", f"course:{course_id}")


def _seat(draft: Draft, key: str) -> Seat:
    found = next((seat for seat in draft.seats if seat.key == key), None)
    if found is None:
        raise Invalid("who", "Nobody of this proposal has that number.")
    return found


def _put(tx: Tx, draft: Draft, moved: Mapping[Seat, int], author_id: int | None, now: datetime) -> None:
    for seat, place in moved.items():
        tx.execute(sa.update(ProposalSeat).where(ProposalSeat.id == seat.id).values(place=place))
    changed = {"version": draft.version + 1, "author_id": author_id, "changed_at": now}
    tx.execute(sa.update(Proposal).where(Proposal.id == draft.id).values(**changed))
