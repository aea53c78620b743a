"""Hides who does a leader's work when they cannot: absence with a cover, hand-over to a successor, the end of a role.

What the course's key seals is sealed anew under the successor's name; what only the person's own key seals (drafts in their chat) cannot
become somebody else's: it is dropped, and both are told.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import access, audit, broadcasts, groups
from app.broadcasts import Draft
from app.db import Tx
from app.errors import Invalid, NotFound
from app.groups import Refused
from app.keyring import Keyring, Place, Unreadable
from app.models import Absence, Conversation, Course, Group, Membership, Person, Question, Schedule
from app.people import names
from app.prompts import handing
from app.questions import standing
from app.questions.calling import AGAIN_AFTER
from app.questions.listeners import staff
from app.states import TO_COME
from bots.staffing.views import Absence as AbsenceView
from bots.staffing.views import Cover
from bots.turns import OccasionKind, Role

#: Longer than this nobody is away: a leader who goes for good hands over.
LONGEST = timedelta(days=60)
#: Bots whose open dialogue speaks for a group: what is begun there does not pass to a successor.
_DRAFTING = ("staff", "question")
#: Who may take a group over.
_SUCCEEDING = (Role.LEADER, Role.ASSISTANT, Role.ADMINISTRATOR)
_USEFUL = timedelta(days=7)


@dataclass(frozen=True)
class HandedOver:
    """What a successor got: numbers of announcements, practice prompts and claimed questions; and how many drafts were dropped."""

    announcements: tuple[int, ...]
    prompts: tuple[int, ...]
    questions: tuple[int, ...]
    drafts: int


# Absence ----------------------------------------------------------------------------------------------------------------------------


def be_away(
    tx: Tx,
    keyring: Keyring,
    person_id: int,
    group_id: int,
    cover_id: int,
    starts: datetime,
    ends: datetime,
    now: datetime,
    *,
    actor: str = "",
) -> None:
    """A leader is away from a group for a time; the cover is told. What was planned before is replaced.

    Raises `Refused` with "role", "cover" or "past".
    """
    if not access.leads(tx, person_id, group_id):
        raise Refused("role", "Only who leads the group can be away from it.")
    if ends <= max(starts, now) or ends - starts > LONGEST:
        raise Refused("past", f"An absence ends after it begins and after now, and lasts {LONGEST.days} days at most.")
    if cover_id == person_id or not any(each.person_id == cover_id for each in staff(tx, group_id, now)):
        raise Refused("cover", "Only an assistant or another leader of the group can cover.")
    _end_absences(tx, sa.and_(Absence.person_id == person_id, Absence.group_id == group_id), now)
    tx.execute(sa.insert(Absence).values(group_id=group_id, person_id=person_id, cover_id=cover_id, starts_at=starts, ends_at=ends))
    details = {**_who(tx, keyring, group_id, person_id), "reason": "cover", "starts": starts, "ends": ends}
    _tell(tx, keyring, group_id, person_id, details, [cover_id], now)
    audit.record(tx, now, actor or f"person:{person_id}", "absence", f"group:{group_id}", person=person_id, cover=cover_id)


def come_back(tx: Tx, person_id: int, now: datetime, *, group_id: int | None = None, actor: str = "") -> None:
    """A leader is there again before the time that was said (`group_id` None: for every group). Raises `Refused` ("gone")."""
    mine = Absence.person_id == person_id
    if not _end_absences(tx, mine if group_id is None else sa.and_(mine, Absence.group_id == group_id), now):
        raise Refused("gone", "This person is not away.")
    audit.record(tx, now, actor or f"person:{person_id}", "absence.end", f"person:{person_id}")


def _end_absences(tx: Tx, which: "sa.ColumnElement[bool]", now: datetime) -> int:
    return tx.execute(sa.update(Absence).where(which, Absence.ended_at.is_(None), Absence.ends_at > now).values(ended_at=now)).rowcount


@dataclass(frozen=True)
class Away:
    """An absence that holds or is to come."""

    group_id: int
    group: str
    person_id: int
    cover_id: int | None
    starts_at: datetime
    ends_at: datetime


def absences(tx: Tx, now: datetime, person_id: int | None = None) -> list[Away]:
    """Every absence that has not ended, of one person or of all."""
    columns = (Group.id, Group.code, Absence.person_id, Absence.cover_id, Absence.starts_at, Absence.ends_at)
    query = sa.select(*columns).join(Group, Group.id == Absence.group_id).where(Absence.ended_at.is_(None), Absence.ends_at > now)
    query = query if person_id is None else query.where(Absence.person_id == person_id)
    return [Away(*row) for row in tx.execute(query.order_by(Absence.starts_at, Absence.id))]


def covers(tx: Tx, keyring: Keyring, person_id: int, group_id: int, now: datetime) -> tuple[Cover, ...]:
    """Who may be called in a leader's stead; nobody where the person does not lead the group."""
    if not access.leads(tx, person_id, group_id):
        return ()
    found = [each for each in staff(tx, group_id, now) if each.person_id != person_id and each.away_until is None]
    known = names(tx, keyring, [each.person_id for each in found])
    return tuple(Cover(each.person_id, known.get(each.person_id)) for each in found)


def of_person(tx: Tx, keyring: Keyring, person_id: int, now: datetime) -> tuple[AbsenceView, ...]:
    """When somebody is away, now or later, with who covers."""
    columns = (Group.name, Absence.cover_id, Absence.starts_at, Absence.ends_at)
    query = sa.select(*columns).join(Group, Group.id == Absence.group_id).where(Absence.person_id == person_id)
    rows = tx.execute(query.where(Absence.ended_at.is_(None), Absence.ends_at > now).order_by(Absence.starts_at)).all()
    known = names(tx, keyring, [row.cover_id for row in rows if row.cover_id is not None])
    return tuple(AbsenceView(row.name, known.get(row.cover_id), row.starts_at, row.ends_at) for row in rows)


# Hand-over --------------------------------------------------------------------------------------------------------------------------


def hand_over(
    tx: Tx, keyring: Keyring, group_id: int, from_id: int, to_id: int, now: datetime, *, actor: str = "operator", stays: bool = False
) -> HandedOver:
    """Everything that a leader or assistant still has to do in a group becomes somebody else's, their role too; both are told.

    `stays`: the former keeps the role. Raises `NotFound` and `Invalid`.
    """
    roles = _check(tx, group_id, from_id, to_id)
    _hold(tx, (from_id, to_id))
    for role in roles:
        groups.enter(tx, group_id, to_id, role, now)
    got = HandedOver(
        _pass_announcements(tx, keyring, group_id, from_id, to_id, now, actor),
        handing.pass_on(tx, keyring, group_id, from_id, to_id, now, actor),
        _pass_questions(tx, group_id, from_id, to_id, now, actor),
        _drop_drafts(tx, keyring, group_id, from_id, alone=not stays),
    )
    counted = {kind: list(getattr(got, kind)) for kind in ("announcements", "prompts", "questions")} | {"drafts": got.drafts}
    for other, told, reason in ((from_id, to_id, "got"), (to_id, from_id, "gave")):  # each reads the name of the other
        details = {**_who(tx, keyring, group_id, other), **counted, "reason": reason}
        _tell(tx, keyring, group_id, other, details, [told], now, member=told == to_id)
    if not stays:
        for role in roles:
            end_role(tx, group_id, from_id, role, now, why="handed over", actor=actor)
    audit.record(tx, now, actor, "hand_over", f"group:{group_id}", former=from_id, successor=to_id, **_counts(got))
    return got


def successors(course: "int | sa.ScalarSelect[int]") -> "sa.Select[int]":
    """The ids of everybody who may take over in a course: its leaders, assistants and administrators."""
    return (
        sa.select(Membership.person_id)
        .distinct()
        .join(Group, Group.id == Membership.group_id)
        .where(Group.course_id == course, Membership.ended_at.is_(None), Membership.role.in_([role.value for role in _SUCCEEDING]))
        .order_by(Membership.person_id)
    )


def end_role(tx: Tx, group_id: int, person_id: int, role: Role, now: datetime, *, why: str, actor: str = "operator") -> None:
    """Somebody is staff of a group no longer, and of the large group where nothing else keeps them there.

    Their planned announcements are refused when they fire, and they are told; what they claimed is everybody's again.
    """
    groups.end_membership(tx, group_id, person_id, role, now, why)
    large = sa.select(Group.id).where(
        Group.large, Group.course_id == sa.select(Group.course_id).where(Group.id == group_id).scalar_subquery()
    )
    others = (
        sa.select(Membership.id)
        .join(Group, Group.id == Membership.group_id)
        .where(
            Membership.person_id == person_id,
            Membership.role == role.value,
            Membership.ended_at.is_(None),
            ~Group.large,
            Group.course_id == sa.select(Group.course_id).where(Group.id == group_id).scalar_subquery(),
        )
    )
    large_id = tx.execute(large).scalar_one_or_none()
    if large_id is not None and tx.execute(others.limit(1)).first() is None:
        groups.end_membership(tx, large_id, person_id, role, now, why)
    audit.record(tx, now, actor, "role.end", f"group:{group_id}", person=person_id, role=role.value)


def _check(tx: Tx, group_id: int, from_id: int, to_id: int) -> tuple[Role, ...]:
    """The roles that pass over. Raises `NotFound` and `Invalid`."""
    held = groups.roles_of_staff(tx, group_id, from_id)
    if not held:
        raise NotFound("role", "The former is neither leader nor assistant of this group; `tongban person find` shows who is what.")
    if from_id == to_id:
        raise Invalid("successor", "A successor is somebody else.")
    course = sa.select(Group.course_id).where(Group.id == group_id).scalar_subquery()
    if tx.execute(successors(course).where(Membership.person_id == to_id)).first() is None:
        raise Invalid("successor", "The successor is no staff of this course yet; invite them first: `tongban staff invite leader`.")
    return held


def _hold(tx: Tx, people: Iterable[int]) -> None:
    """As with a push: what they are saying just now is stored before, or comes after."""
    tx.execute(sa.select(Person.id).where(Person.id.in_(list(people))).order_by(Person.id).with_for_update(key_share=True))


def _pass_announcements(tx: Tx, keyring: Keyring, group_id: int, from_id: int, to_id: int, now: datetime, actor: str) -> tuple[int, ...]:
    """What the former planned goes out under the successor's name; who fires just now has the row, and it is left alone."""
    mine = (Schedule.author_id == from_id, Schedule.group_id == group_id, Schedule.state.in_(TO_COME))
    found = tx.execute(
        sa.select(Schedule.id, Schedule.number, Schedule.details_sealed).where(*mine).order_by(Schedule.number).with_for_update()
    ).all()
    key_id = tx.execute(sa.select(Course.data_key_id).join(Group, Group.course_id == Course.id).where(Group.id == group_id)).scalar_one()
    key, name = keyring.open(tx, key_id), names(tx, keyring, [to_id]).get(to_id, "")
    roles = groups.roles_of_staff(tx, group_id, to_id)
    for row in found:
        place = Place("schedules", "details_sealed", row.id)
        details = broadcasts.thaw(key.unseal(place, row.details_sealed))
        details |= {"author_name": name, "author_role": (Role.LEADER if Role.LEADER in roles else Role.ASSISTANT).value}
        # The draft's id was for a double confirmation of the former's.
        values = {"author_id": to_id, "draft": None, "details_sealed": key.seal(place, broadcasts.freeze(details))}
        tx.execute(sa.update(Schedule).where(Schedule.id == row.id).values(**values))
        audit.record(tx, now, actor, "announce.hand_over", f"schedule:{row.id}", former=from_id, successor=to_id)
    return tuple(row.number for row in found)


def _pass_questions(tx: Tx, group_id: int, from_id: int, to_id: int, now: datetime, actor: str) -> tuple[int, ...]:
    """What the former claimed is the successor's to answer, from now on; what they answered, asked on, comes to the successor."""
    mine = (Question.answerer_id == from_id, Question.group_id == group_id, Question.state.in_(standing.LIVING))
    found = tx.execute(
        sa.select(Question.id, Question.number, Question.state, Question.person_id).where(*mine).order_by(Question.number).with_for_update()
    ).all()
    for row in found:
        if row.person_id == to_id:  # nobody answers their own question
            standing.free(tx, Question.id == row.id, now)
            continue
        values: dict[str, Any] = {"answerer_id": to_id, "changed_at": now}
        if row.state == "claimed":
            values |= {"claimed_at": now, "step": 0, "next_at": now + AGAIN_AFTER}
        tx.execute(sa.update(Question).where(Question.id == row.id).values(**values))
        audit.record(tx, now, actor, "question.hand_over", f"question:{row.id}", former=from_id, successor=to_id)
    return tuple(row.number for row in found if row.state == "claimed" and row.person_id != to_id)


def _drop_drafts(tx: Tx, keyring: Keyring, group_id: int, person_id: int, *, alone: bool) -> int:
    """Drop what the former was writing for this group; returns how many. `alone`: also what names no group yet, if they have no other."""
    key_id = tx.execute(sa.select(Person.data_key_id).where(Person.id == person_id)).scalar_one()
    others = [each for each in access.announced_groups(tx, person_id) if each != group_id]
    dropped = 0
    for row in tx.execute(sa.select(Conversation.id, Conversation.floor_sealed).where(Conversation.person_id == person_id)).all():
        if row.floor_sealed is None:
            continue
        place = Place("conversations", "floor_sealed", row.id)
        try:
            key = keyring.open(tx, key_id)
            memories = json.loads(key.unseal(place, row.floor_sealed))
        except (Unreadable, ValueError):
            continue
        kept = [each for each in memories if not _is_draft_for(tx, each, group_id, loose=alone and not others)]
        if len(kept) < len(memories):
            dropped += len(memories) - len(kept)
            sealed = key.seal(place, json.dumps(kept, ensure_ascii=False)) if kept else None
            busy = any(is_open and not rests for _, _, is_open, *more in kept for rests in [bool(more and more[0])])
            tx.execute(sa.update(Conversation).where(Conversation.id == row.id).values(floor_sealed=sealed, busy=busy))
    return dropped


def _is_draft_for(tx: Tx, memory: Any, group_id: int, *, loose: bool) -> bool:
    """Whether a bot's memory holds something that is being written for this group."""
    bot, kept, is_open = memory[0], memory[1], memory[2]
    if bot not in _DRAFTING or not is_open:
        return False
    if bot == "question":
        about = sa.select(Question.group_id).where(Question.id == int(kept.get("question", 0)))
        return kept.get("step") in ("answer", "preview") and tx.execute(about).scalar_one_or_none() == group_id
    return bool(kept.get("group") == group_id or (loose and not kept.get("group")))


def _counts(got: HandedOver) -> dict[str, int]:
    return {kind: len(getattr(got, kind)) for kind in ("announcements", "prompts", "questions")} | {"drafts": got.drafts}


# Words to staff ---------------------------------------------------------------------------------------------------------------------


def _who(tx: Tx, keyring: Keyring, group_id: int, person_id: int) -> dict[str, Any]:
    group = tx.execute(sa.select(Group.name).where(Group.id == group_id)).scalar_one()
    return {"group_name": group, "author_name": names(tx, keyring, [person_id]).get(person_id)}


def _tell(
    tx: Tx,
    keyring: Keyring,
    group_id: int,
    author_id: int,
    details: dict[str, Any],
    people: list[int],
    now: datetime,
    *,
    member: bool = True,
) -> None:
    course = tx.execute(
        sa.select(Course.id, Course.account_id, Course.data_key_id).join(Group, Group.course_id == Course.id).where(Group.id == group_id)
    ).one()
    draft = Draft(
        account_id=course.account_id,
        key_id=course.data_key_id,
        bot="staffing",
        kind=OccasionKind.REPORT,
        details=details,
        course_id=course.id,
        group_id=group_id if member else None,
        author_id=author_id,
        priority=3,
        stale_at=now + _USEFUL,
    )
    broadcasts.send_to(tx, keyring, draft, people, now)
