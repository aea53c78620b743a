"""Hides which tags there shall be at the platform and who shall have them: rows only; `tagging` makes the calls.

A large group that uses mass sends has a tag for each language. The rows say what we believe; WeChat's own list is asked before each mass
send, once a day, and wherever what we believe is in doubt, so that nobody keeps a tag whose openid we could not name any more.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from app import access, clock
from app.channels import SendError, Verdict
from app.db import Tx, upsert
from app.db.prepared import NOW, Anything, slot
from app.keyring import Keyring, Place
from app.models import Course, Group, Identity, Mass, Membership, Person, Tag, TagMember
from app.models import DataKey as DataKeyRow
from app.models.columns import one_of
from app.outbox.claims import Lease
from bots.texts import LANGUAGES
from bots.turns import Role

#: How often a tag is compared with its group, and how often with what WeChat says.
EVERY, LISTED_EVERY = timedelta(minutes=10), timedelta(days=1)
#: Whoever could not be tagged is tried again after this long.
_REFUSED_FOR = timedelta(days=1)
_LONGEST_PAUSE = timedelta(hours=1)
#: There is no such tag any more (platform reference, section 7).
GONE = "45159"
#: There are a hundred tags already.
FULL = "45056"
_LETTERS = "0123456789abcdefghijklmnopqrstuv"


@dataclass(frozen=True)
class Kept:
    """A tag in our hand, under a lease. `over`: its course has ended, and nobody needs it any more."""

    id: int
    account_id: int
    group_id: int
    language: str
    name: str
    number: int | None
    in_doubt: bool
    over: bool = False


def short(number: int) -> str:
    """A number of 63 bits in at most 13 letters and digits."""
    found = ""
    while number or not found:
        number, place = divmod(number, len(_LETTERS))
        found = _LETTERS[place] + found
    return found


def want(tx: Tx, group_id: int, now: datetime) -> None:
    """From now on a group shall have its tags."""
    account_id = tx.execute(sa.select(Course.account_id).join(Group, Group.course_id == Course.id).where(Group.id == group_id)).scalar_one()
    rows = [
        {
            "account_id": account_id,
            "group_id": group_id,
            "language": language,
            "name": f"tongban-{short(group_id)}-{language}",  # at most 30 bytes, in ASCII (45158)
            "next_at": now,
        }
        for language in LANGUAGES
    ]
    for row in rows:
        tx.execute(upsert(tx, Tag).values(failures=0, **row).on_conflict_do_nothing())


def any_due(tx: Tx, account_id: int, now: datetime) -> bool:
    """Whether a tag shall be looked at."""
    return _ANY_DUE.there(tx, account=account_id, now=now, machine=clock.machine_seconds())


def take(tx: Tx, account_id: int, lease: Lease, now: datetime) -> Kept | None:
    """The tag that has waited longest, for us alone; None where none is due."""
    row = tx.execute(
        _due(account_id, now, clock.machine_seconds()).order_by(Tag.next_at).limit(1).with_for_update(skip_locked=True, of=Tag)
    ).one_or_none()
    if row is None:
        return None
    tx.execute(sa.update(Tag).where(Tag.id == row.id).values(lease_owner=lease.owner, lease_until=lease.until))
    in_doubt = row.listed_at is None or row.listed_at < now - LISTED_EVERY
    return Kept(row.id, account_id, row.group_id, row.language, row.name, row.number, in_doubt, row.ended_at is not None)


def hold(tx: Tx, group_id: int, language: str, mass_id: int, lease: Lease, now: datetime) -> Kept | None:
    """The tag of this group and language for one mass send alone; None while somebody else has it."""
    want(tx, group_id, now)
    other = sa.select(Mass.id).where(Mass.id == Tag.mass_id, Mass.id != mass_id, one_of(Mass.state, ("planned", "sending"))).exists()
    free = sa.or_(Tag.lease_until.is_(None), Tag.lease_until < clock.machine_seconds(), Tag.lease_owner == lease.owner)
    mine = sa.and_(Tag.group_id == group_id, Tag.language == language, ~other, free)
    held = sa.update(Tag).where(mine).values(mass_id=mass_id, lease_owner=lease.owner, lease_until=lease.until)
    row = tx.execute(held.returning(Tag.id, Tag.account_id, Tag.name, Tag.number)).one_or_none()
    return None if row is None else Kept(row.id, row.account_id, group_id, language, row.name, row.number, in_doubt=True)


def let_go(tx: Tx, mass_id: int, now: datetime) -> None:
    """A mass send needs its tag no longer: it follows its group again."""
    tx.execute(sa.update(Tag).where(Tag.mass_id == mass_id).values(mass_id=None, next_at=now, lease_owner=None, lease_until=None))


def still_ours(tx: Tx, tag: Kept, lease: Lease) -> bool:
    """Whether the tag is still in our hand; then for another lease."""
    mine = sa.update(Tag).where(Tag.id == tag.id, Tag.lease_owner == lease.owner).values(lease_until=lease.until)
    return bool(tx.execute(mine).rowcount)


def members(tx: Tx, tag: Kept) -> set[int]:
    """The identities that shall have a tag: whoever a message to the group would go to, in this language."""
    others = [each for each in LANGUAGES if each != tag.language]
    language = Person.language.not_in(others) if tag.language == LANGUAGES[0] else Person.language == tag.language
    consent = access.agreed(Membership.person_id, Group.course_id)
    query = (
        sa.select(Identity.id)
        .join(Person, Person.id == Identity.person_id)
        .join(Membership, Membership.person_id == Person.id)
        .join(Group, Group.id == Membership.group_id)
        .where(
            Identity.account_id == tag.account_id,
            Membership.group_id == tag.group_id,
            Membership.ended_at.is_(None),
            sa.or_(Membership.role != Role.PARTICIPANT.value, consent),
            language,
            *(each.is_(None) for each in (Identity.unfollowed_at, Identity.unreachable_code, Person.paused_at, Person.erased_at)),
        )
    )
    return set(tx.execute(query.distinct()).scalars())


def having(tx: Tx, tag_id: int) -> set[int]:
    """The identities that have a tag, as far as we know."""
    return set(tx.execute(sa.select(TagMember.identity_id).where(TagMember.tag_id == tag_id, TagMember.refused_at.is_(None))).scalars())


def refused(tx: Tx, tag_id: int, now: datetime) -> set[int]:
    """The identities that could not have a tag of late."""
    fresh = TagMember.refused_at > now - _REFUSED_FOR
    return set(tx.execute(sa.select(TagMember.identity_id).where(TagMember.tag_id == tag_id, fresh)).scalars())


def openids(tx: Tx, keyring: Keyring, identity_ids: Collection[int]) -> dict[int, str]:
    """Where to find these identities; who unfollowed or was erased is missing."""
    found: dict[int, str] = {}
    wanted = sorted(identity_ids)
    for start in range(0, len(wanted), 500):
        rows = tx.execute(
            sa.select(Identity.id, Identity.openid_sealed, Person.data_key_id, DataKeyRow.wrapped, DataKeyRow.master_version)
            .join(Person, Person.id == Identity.person_id)
            .join(DataKeyRow, DataKeyRow.id == Person.data_key_id)
            .where(Identity.id.in_(wanted[start : start + 500]), Identity.openid_sealed.is_not(None), DataKeyRow.wrapped.is_not(None))
        )
        for row in rows:
            key = keyring.vault.unwrap(row.data_key_id, row.master_version, row.wrapped)
            found[row.id] = key.unseal(Place("identities", "openid_sealed", row.id), row.openid_sealed)
    return found


def note_list(tx: Tx, keyring: Keyring, tag: Kept, listed: Sequence[str], now: datetime) -> dict[str, int | None]:
    """Believe what WeChat says: these have the tag and nobody else; returns the identity of each, None for whom we do not know."""
    index_of = {openid: keyring.vault.index(f"openid.{tag.account_id}", openid) for openid in listed}
    known: dict[bytes, int] = {}
    indexes = list(index_of.values())
    for start in range(0, len(indexes), 500):
        some = sa.and_(Identity.account_id == tag.account_id, Identity.openid_index.in_(indexes[start : start + 500]))
        known |= {row.openid_index: row.id for row in tx.execute(sa.select(Identity.openid_index, Identity.id).where(some))}
    found = {openid: known.get(index) for openid, index in index_of.items()}
    tx.execute(sa.delete(TagMember).where(TagMember.tag_id == tag.id, TagMember.refused_at.is_(None)))
    given(tx, tag, [identity for identity in found.values() if identity is not None], None)
    tx.execute(sa.update(Tag).where(Tag.id == tag.id).values(listed_at=now))
    return found


def given(tx: Tx, tag: Kept, identity_ids: Iterable[int], refused_at: datetime | None) -> None:
    """These have the tag from now on, or (`refused_at`) cannot have it."""
    rows = [{"tag_id": tag.id, "identity_id": each, "refused_at": refused_at} for each in identity_ids]
    if rows:
        insert = upsert(tx, TagMember)
        newer = {"refused_at": insert.excluded.refused_at}
        tx.execute(insert.on_conflict_do_update(index_elements=["tag_id", "identity_id"], set_=newer), rows)


def taken(tx: Tx, tag: Kept, identity_ids: Iterable[int]) -> None:
    """These have it no longer."""
    tx.execute(sa.delete(TagMember).where(TagMember.tag_id == tag.id, TagMember.identity_id.in_(list(identity_ids))))


def made(tx: Tx, tag: Kept, number: int) -> None:
    """WeChat knows the tag under this number."""
    tx.execute(sa.update(Tag).where(Tag.id == tag.id).values(number=number, listed_at=None))


def lost(tx: Tx, tag_id: int) -> None:
    """WeChat knows the tag no longer, because somebody deleted it in its console: it is made anew."""
    tx.execute(sa.delete(TagMember).where(TagMember.tag_id == tag_id))
    tx.execute(sa.update(Tag).where(Tag.id == tag_id).values(number=None, listed_at=None))


def lost_under(tx: Tx, mass_id: int) -> None:
    """As `lost`, for the tag that this mass send holds."""
    held = tx.execute(sa.select(Tag.id).where(Tag.mass_id == mass_id)).scalar_one_or_none()
    if held is not None:
        lost(tx, held)


def remove(tx: Tx, tag: Kept) -> None:
    """The tag is deleted at WeChat, and here."""
    tx.execute(sa.delete(Tag).where(Tag.id == tag.id))


def rest(tx: Tx, tag: Kept, now: datetime) -> None:
    """The tag is as its group is; look again in a while."""
    free = {"lease_owner": None, "lease_until": None}
    tx.execute(sa.update(Tag).where(Tag.id == tag.id).values(failures=0, code=None, next_at=now + EVERY, **free))


def failed(tx: Tx, tag: Kept, error: SendError, now: datetime) -> None:
    """A call about the tag failed: try again, later and later; what it did is in doubt."""
    failures = tx.execute(sa.select(Tag.failures).where(Tag.id == tag.id)).scalar_one_or_none()
    if failures is None:
        return
    pause = min(_LONGEST_PAUSE, timedelta(seconds=5 * 2 ** min(failures, 10)))
    patient = error.verdict in (Verdict.ACCOUNT_BROKEN, Verdict.WAIT_DAY, Verdict.BAD_MESSAGE)
    values = {"failures": failures + 1, "code": error.code, "listed_at": None, "next_at": now + (_LONGEST_PAUSE if patient else pause)}
    tx.execute(sa.update(Tag).where(Tag.id == tag.id).values(lease_owner=None, lease_until=None, **values))


def forget(tx: Tx) -> None:
    """After a restore: nobody holds a tag, and what we believe of each is in doubt."""
    tx.execute(sa.update(Tag).values(mass_id=None, listed_at=None, lease_owner=None, lease_until=None))


def _due(account_id: int, now: datetime, machine: float) -> "sa.Select[tuple[object, ...]]":
    """Tags of which no mass send has hold and whose moment has come."""
    free = sa.or_(Tag.lease_until.is_(None), Tag.lease_until < machine)
    used = sa.select(Mass.id).where(Mass.id == Tag.mass_id, one_of(Mass.state, ("planned", "sending"))).exists()
    return (
        sa.select(*Tag.__table__.columns, Course.ended_at)
        .join(Group, Group.id == Tag.group_id)
        .join(Course, Course.id == Group.course_id)
        .where(Tag.account_id == account_id, Tag.next_at <= now, free, ~used)
    )


_ANY_DUE = Anything(lambda: _due(slot("account"), NOW, slot("machine")))
