"""Hides how a person is stored: meets them by openid, keeps their name sealed, follows them, pauses, withdraws and erases them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import audit, ids
from app.db import Tx
from app.db.prepared import Among
from app.homework import leaving
from app.keyring import Keyring, Place
from app.models import (
    Alert,
    Allowance,
    Attendance,
    Broadcast,
    ConsentGiven,
    Contact,
    Conversation,
    Course,
    Delivery,
    Erasure,
    Flag,
    Group,
    Identity,
    InboxItem,
    Invitation,
    Login,
    MakeUp,
    Membership,
    OnCall,
    Participant,
    Person,
    PollAnswer,
    Prompt,
    Quarantined,
    Schedule,
    WarmGiven,
    WarmWord,
    stands,
)
from app.models import DataKey as DataKeyRow
from app.people.own_copy import export as export
from app.questionnaires import standing
from app.questions import standing as questions
from app.sealing import DataKey, Vault
from app.states import OPEN, STOPPABLE
from bots.turns import Membership as MembershipView
from bots.turns import Person as PersonView
from bots.turns import Role


@dataclass(frozen=True)
class Known:
    """A person as one account knows them, with their key at hand."""

    id: int
    identity_id: int
    key: DataKey = field(repr=False)
    name: str | None = field(repr=False)
    language: str
    zone: str
    paused: bool
    following: bool


def openid_index(vault: Vault, account_id: int, openid: str) -> bytes:
    """The blind index by which an account recognises an openid."""
    return vault.index(f"openid.{account_id}", openid)


def meet(tx: Tx, keyring: Keyring, account_id: int, openid: str, now: datetime) -> Known:
    """The person behind an openid, made on first sight. An erased person who returns is a new person."""
    index = openid_index(keyring.vault, account_id, openid)
    found = _find(tx, keyring, sa.and_(Identity.account_id == account_id, Identity.openid_index == index))
    if found is not None:
        return found
    erased = sa.select(Person.id).where(Person.erased_at.is_not(None))
    tx.execute(  # who was erased left a blind index behind; it now leads to the new person
        sa.delete(Identity).where(Identity.account_id == account_id, Identity.openid_index == index, Identity.person_id.in_(erased))
    )
    key = keyring.create(tx)
    person_id, identity_id = ids.new_id(), ids.new_id()
    tx.execute(sa.insert(Person).values(id=person_id, data_key_id=key.id, language="zh", zone="Asia/Shanghai", created_at=now))
    tx.execute(
        sa.insert(Identity).values(
            id=identity_id,
            account_id=account_id,
            person_id=person_id,
            openid_sealed=key.seal(Place("identities", "openid_sealed", identity_id), openid),
            openid_index=index,
            followed_at=now,
        )
    )
    tx.execute(sa.insert(Allowance).values(identity_id=identity_id, account_id=account_id, typed_left=0, tapped_left=0))
    return Known(person_id, identity_id, key, None, "zh", "Asia/Shanghai", paused=False, following=True)


def make(tx: Tx, keyring: Keyring, name: str, now: datetime) -> int:
    """A person whom no account knows yet, such as a researcher who only uses the console; returns their id."""
    key, person_id = keyring.create(tx), ids.new_id()
    sealed = key.seal(Place("persons", "name_sealed", person_id), name)
    values = {"data_key_id": key.id, "name_sealed": sealed, "language": "zh", "zone": "Asia/Shanghai", "created_at": now}
    tx.execute(sa.insert(Person).values(id=person_id, **values))
    return person_id


def is_followed(tx: Tx, person_id: int) -> bool:
    """Whether this person follows an account of ours, and may thus say in the chat who they are."""
    mine = sa.select(Identity.id).where(Identity.person_id == person_id, Identity.unfollowed_at.is_(None))
    return tx.execute(mine.limit(1)).first() is not None


def known_by_id(tx: Tx, keyring: Keyring, person_id: int, account_id: int) -> Known | None:
    """The person with this id as the account knows them; None where it does not, or where they were erased."""
    return _find(tx, keyring, sa.and_(Identity.person_id == person_id, Identity.account_id == account_id))


def _find(tx: Tx, keyring: Keyring, which: "sa.ColumnElement[bool]") -> Known | None:
    row = tx.execute(
        sa.select(
            Person.id,
            Person.name_sealed,
            Person.language,
            Person.zone,
            Person.paused_at,
            Person.data_key_id,
            Identity.id.label("identity_id"),
            Identity.unfollowed_at,
            DataKeyRow.wrapped,
            DataKeyRow.master_version,
        )
        .join(Identity, Identity.person_id == Person.id)
        .join(DataKeyRow, DataKeyRow.id == Person.data_key_id)
        .where(which)
    ).one_or_none()
    if row is None or row.wrapped is None:
        return None
    key = keyring.vault.unwrap(row.data_key_id, row.master_version, row.wrapped)
    name = None if row.name_sealed is None else key.unseal(Place("persons", "name_sealed", row.id), row.name_sealed)
    return Known(row.id, row.identity_id, key, name, row.language, row.zone, row.paused_at is not None, row.unfollowed_at is None)


def view(tx: Tx, known: Known) -> PersonView:
    """The person as bots may know them."""
    mine = tx.execute(
        sa.select(Group.course_id, Course.title, Group.id, Group.name, Group.large, Membership.role)
        .join(Group, Group.id == Membership.group_id)
        .join(Course, Course.id == Group.course_id)
        .where(Membership.person_id == known.id, Membership.ended_at.is_(None), Course.ended_at.is_(None))
        .order_by(Group.large, Group.id)
    ).all()
    memberships = [MembershipView(*row[:5], Role(row.role)) for row in mine]
    numbers = tx.execute(sa.select(Participant.course_id, Participant.number).where(Participant.person_id == known.id)).all()
    return as_bots_see(tx, known, memberships, {row.course_id: row.number for row in numbers})


def as_bots_see(tx: Tx, known: Known, memberships: Sequence[MembershipView], numbers: Mapping[int, str]) -> PersonView:
    """The person with these memberships and numbers. Administrators see every group of their course, since they may address each."""
    administered = {each.course for each in memberships if each.role is Role.ADMINISTRATOR}
    others = _administered(tx, administered, {each.group for each in memberships}) if administered else ()
    return PersonView(
        name=known.name,
        language=known.language,
        zone=known.zone,
        memberships=(*memberships, *others),
        numbers=numbers if memberships else {},
        paused=known.paused,
    )


def _administered(tx: Tx, courses: set[int], listed: set[int]) -> list[MembershipView]:
    rows = tx.execute(
        sa.select(Group.course_id, Course.title, Group.id, Group.name, Group.large)
        .join(Course, Course.id == Group.course_id)
        .where(Group.course_id.in_(courses), Group.id.not_in(listed))
        .order_by(Group.large, Group.id)
    )
    return [MembershipView(*row, Role.ADMINISTRATOR) for row in rows]


def rename(tx: Tx, known: Known, name: str) -> None:
    """Store the name that the person wants to be called by."""
    sealed = known.key.seal(Place("persons", "name_sealed", known.id), name)
    tx.execute(sa.update(Person).where(Person.id == known.id).values(name_sealed=sealed))


def set_language(tx: Tx, person_id: int, language: str) -> None:
    """Speak "zh" or "en" with this person from now on."""
    tx.execute(sa.update(Person).where(Person.id == person_id).values(language=language))


_NAMES = Among(
    lambda some: (
        sa.select(Person.id, Person.name_sealed, Person.data_key_id, DataKeyRow.wrapped, DataKeyRow.master_version)
        .join(DataKeyRow, DataKeyRow.id == Person.data_key_id)
        .where(Person.id.in_(some), Person.name_sealed.is_not(None), DataKeyRow.wrapped.is_not(None))
    )
)


def names(tx: Tx, keyring: Keyring, person_ids: list[int]) -> dict[int, str]:
    """The course names of these people; who has none, or was erased, is missing."""
    return {
        row.id: keyring.vault.unwrap(row.data_key_id, row.master_version, row.wrapped).unseal(
            Place("persons", "name_sealed", row.id), row.name_sealed
        )
        for row in _NAMES.all(tx, person_ids)
    }


def openids(tx: Tx, keyring: Keyring, account_id: int, person_ids: list[int]) -> dict[int, str]:
    """Where to reach these people at this account; who was erased is missing."""
    rows = tx.execute(
        sa.select(
            Identity.id,
            Identity.person_id,
            Identity.openid_sealed,
            DataKeyRow.id.label("key_id"),
            DataKeyRow.wrapped,
            DataKeyRow.master_version,
        )
        .join(Person, Person.id == Identity.person_id)
        .join(DataKeyRow, DataKeyRow.id == Person.data_key_id)
        .where(
            Identity.account_id == account_id,
            Identity.person_id.in_(person_ids),
            Identity.openid_sealed.is_not(None),
            DataKeyRow.wrapped.is_not(None),
        )
    )
    return {
        row.person_id: keyring.vault.unwrap(row.key_id, row.master_version, row.wrapped).unseal(
            Place("identities", "openid_sealed", row.id), row.openid_sealed
        )
        for row in rows
    }


def came(tx: Tx, known: Known, openid: str, now: datetime) -> None:
    """The person follows us (again): what was erased when they left is sealed anew."""
    sealed = known.key.seal(Place("identities", "openid_sealed", known.identity_id), openid)
    tx.execute(
        sa.update(Identity)
        .where(Identity.id == known.identity_id)
        .values(openid_sealed=sealed, followed_at=now, unfollowed_at=None, unreachable_code=None)
    )


def left(tx: Tx, known: Known, now: datetime) -> None:
    """The person unfollowed: what came from WeChat is erased except the blind index, which recognises a return."""
    tx.execute(sa.update(Identity).where(Identity.id == known.identity_id).values(unfollowed_at=now, openid_sealed=None))
    tx.execute(
        sa.update(Allowance)
        .where(Allowance.identity_id == known.identity_id)
        .values(typed_until=None, typed_left=0, tapped_until=None, tapped_left=0)
    )
    stop_deliveries(tx, known.id, "unreachable", "unfollowed", now)


def stop_deliveries(tx: Tx, person_id: int, state: str, reason: str, now: datetime) -> int:
    """Take back what has not left for this person; returns how many.

    Found by what waits for them and by the broadcasts that are under way: nobody reads what was sent in former years.
    """
    live = sa.select(Broadcast.id).where(Broadcast.state.in_(["expanding", "going"]))
    moving = sa.and_(Delivery.state.in_(STOPPABLE), Delivery.broadcast_id.in_(live))
    stopped = sa.update(Delivery).values(state=state, reason=reason, changed_at=now, lease_owner=None, lease_until=None)
    return sum(tx.execute(stopped.where(Delivery.person_id == person_id, these)).rowcount for these in (stands(OPEN), moving))


def pause(tx: Tx, person_id: int, now: datetime) -> None:
    """Start nothing with this person until they resume."""
    tx.execute(sa.update(Person).where(Person.id == person_id).values(paused_at=now))
    stop_deliveries(tx, person_id, "cancelled", "paused", now)
    audit.record(tx, now, f"person:{person_id}", "pause", f"person:{person_id}")


def resume(tx: Tx, person_id: int, now: datetime) -> None:
    """End a pause."""
    tx.execute(sa.update(Person).where(Person.id == person_id).values(paused_at=None))
    audit.record(tx, now, f"person:{person_id}", "resume", f"person:{person_id}")


def consent(tx: Tx, person_id: int, course_id: int, version: str, ticks: tuple[str, ...], now: datetime) -> None:
    """Record a consent with the version of its text and the ticks that were made; it replaces an earlier one."""
    tx.execute(
        sa.update(ConsentGiven)
        .where(ConsentGiven.person_id == person_id, ConsentGiven.course_id == course_id, ConsentGiven.ended_at.is_(None))
        .values(ended_at=now)
    )
    made = {tick: now.isoformat() for tick in ticks}
    tx.execute(sa.insert(ConsentGiven).values(course_id=course_id, person_id=person_id, version=version, ticks=made, given_at=now))
    audit.record(tx, now, f"person:{person_id}", "consent", f"course:{course_id}", version=version)


def withdraw(tx: Tx, person_id: int, now: datetime, *, erase_answers: bool, actor: str) -> None:
    """End every membership and consent; `erase_answers` is kept for the study: this person's answers go, else they stay unnamed."""
    # Held as with a push: an answer that is being stored is there before it is deleted, and none is stored behind it.
    tx.execute(sa.select(Person.id).where(Person.id == person_id).with_for_update(key_share=True))
    tx.execute(
        sa.update(Membership)
        .where(Membership.person_id == person_id, Membership.ended_at.is_(None))
        .values(ended_at=now, why_ended="withdrew")
    )
    tx.execute(sa.update(ConsentGiven).where(ConsentGiven.person_id == person_id, ConsentGiven.ended_at.is_(None)).values(ended_at=now))
    tx.execute(
        sa.update(Participant)
        .where(Participant.person_id == person_id, Participant.withdrawn_at.is_(None))
        .values(withdrawn_at=now, erase_answers=erase_answers)
    )
    standing.withdraw(tx, person_id, now, erase_answers=erase_answers)
    _stop_prompts(tx, person_id)
    tx.execute(sa.delete(PollAnswer).where(PollAnswer.person_id == person_id))  # they come nowhere any more
    questions.leave(tx, person_id, now)
    tx.execute(sa.delete(MakeUp).where(MakeUp.person_id == person_id))
    if erase_answers:
        tx.execute(sa.delete(Attendance).where(Attendance.person_id == person_id))
    leaving.withdraw(tx, person_id, now, erase=erase_answers)
    stop_deliveries(tx, person_id, "cancelled", "withdrew", now)
    audit.record(tx, now, actor, "withdraw", f"person:{person_id}", erase_answers=erase_answers)


def _stop_prompts(tx: Tx, person_id: int) -> None:
    """Nothing goes out any more in the name of who left; others of the group may take a prompt up by changing it."""
    alive = sa.and_(Prompt.author_id == person_id, Prompt.state.in_(["running", "paused"]))
    tx.execute(sa.update(Prompt).where(alive).values(state="stopped", why="author_left", next_at=None))


def erase(tx: Tx, keyring: Keyring, person_id: int, now: datetime, *, actor: str) -> None:
    """Make this person unreadable for ever: their key is destroyed, sealed columns are emptied, the blind index stays."""
    withdraw(tx, person_id, now, erase_answers=True, actor=actor)
    key_id = tx.execute(sa.select(Person.data_key_id).where(Person.id == person_id)).scalar_one()
    keyring.destroy(tx, key_id, now)
    tx.execute(sa.update(Person).where(Person.id == person_id).values(name_sealed=None, phone_sealed=None, erased_at=now))
    tx.execute(sa.update(Identity).where(Identity.person_id == person_id).values(openid_sealed=None))
    tx.execute(sa.delete(Conversation).where(Conversation.person_id == person_id))
    tx.execute(sa.update(InboxItem).where(InboxItem.person_id == person_id).values(reply_sealed=None))
    tx.execute(sa.update(Invitation).where(Invitation.used_by == person_id).values(name_sealed=None, phone_sealed=None, facts_sealed=None))
    tx.execute(sa.delete(Quarantined).where(Quarantined.person_id == person_id))
    tx.execute(sa.delete(WarmGiven).where(WarmGiven.person_id == person_id))
    tx.execute(sa.delete(Login).where(Login.person_id == person_id))  # and with it every session
    _empty_flags(tx, person_id)
    _relieve(tx, person_id, now, actor)
    _unname(tx, keyring, person_id)
    tx.execute(sa.insert(Erasure).values(person_id=person_id, data_key_id=key_id, at=now))
    audit.record(tx, now, actor, "erase", f"person:{person_id}")


def _empty_flags(tx: Tx, person_id: int) -> None:
    """Take away what they wrote and what was noted of them; that somebody looked after them, and when, stays."""
    flags = sa.select(Flag.id).where(Flag.person_id == person_id)
    tx.execute(sa.update(Contact).where(Contact.flag_id.in_(flags)).values(note_sealed=b""))
    tx.execute(sa.update(Flag).where(Flag.person_id == person_id).values(words_sealed=b"", closing_sealed=None))


def _relieve(tx: Tx, person_id: int, now: datetime, actor: str) -> None:
    """Take the person off every on-call list, addresses outside WeChat included; a list that is empty now is the operators' to fill."""
    left = tx.execute(sa.delete(OnCall).where(OnCall.person_id == person_id).returning(OnCall.course_id)).scalars().all()
    for course_id in set(left):
        audit.record(tx, now, actor, "oncall.remove", f"course:{course_id}")
        if tx.execute(sa.select(OnCall.id).where(OnCall.course_id == course_id).limit(1)).first() is None:
            audit.alarm(tx, now, "nobody_on_call", f"course:{course_id}")


def _unname(tx: Tx, keyring: Keyring, person_id: int) -> None:
    """Take this person's name out of what rests under other keys: announcements and warm words that they wrote, alerts about them."""
    alerts = sa.select(Alert.broadcast_id).join(Flag, Flag.id == Alert.flag_id).where(Flag.person_id == person_id)
    named = sa.or_(Broadcast.author_id == person_id, Broadcast.id.in_(alerts), Broadcast.schedule_id.in_(_written_by(person_id)))
    for row in tx.execute(sa.select(Broadcast.id, Broadcast.data_key_id, Broadcast.details_sealed).where(named)).all():
        nameless = _without_names(tx, keyring, row.data_key_id, Place("broadcasts", "details_sealed", row.id), row.details_sealed)
        if nameless is not None:
            tx.execute(sa.update(Broadcast).where(Broadcast.id == row.id).values(details_sealed=nameless))
    written = sa.select(Schedule.id, Course.data_key_id, Schedule.details_sealed).join(Course, Course.id == Schedule.course_id)
    for row in tx.execute(written.where(Schedule.author_id == person_id)).all():
        nameless = _without_names(tx, keyring, row.data_key_id, Place("schedules", "details_sealed", row.id), row.details_sealed)
        if nameless is not None:
            tx.execute(sa.update(Schedule).where(Schedule.id == row.id).values(details_sealed=nameless))
    proposed = sa.select(WarmWord.id, Course.data_key_id, WarmWord.words_sealed).join(Course, Course.id == WarmWord.course_id)
    for row in tx.execute(proposed.where(WarmWord.author_id == person_id)).all():
        nameless = _without_names(tx, keyring, row.data_key_id, Place("warm_words", "words_sealed", row.id), row.words_sealed)
        if nameless is not None:
            tx.execute(sa.update(WarmWord).where(WarmWord.id == row.id).values(words_sealed=nameless))


def _written_by(person_id: int) -> "sa.Select[int]":
    return sa.select(Schedule.id).where(Schedule.author_id == person_id)


def _without_names(tx: Tx, keyring: Keyring, key_id: int, place: Place, sealed: bytes) -> bytes | None:
    """The gaps' values sealed again without the names of people; None where they do not open anyhow."""
    text = keyring.unseal(tx, key_id, place, sealed)
    if text is None:
        return None
    details: dict[str, Any] = json.loads(text)
    nameless = details | {name: None for name in ("author_name", "person") if name in details}
    return keyring.open(tx, key_id).seal(place, json.dumps(nameless, ensure_ascii=False))
