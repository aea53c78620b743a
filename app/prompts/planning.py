"""Hides how a practice prompt becomes a row, and how it is changed, paused, resumed and ended; who fires it holds the same row."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from app import access, audit, broadcasts, ids
from app.db import Tx
from app.groups import Refused
from app.keyring import Keyring, Place
from app.models import Broadcast, Course, Group, Prompt, PromptGroup
from app.sealing import DataKey
from bots.effects import CancelPrompt, ChangePrompt, PausePrompt, PlanPrompt, ResumePrompt
from bots.prompt import gaps
from bots.prompt.plans import FARTHEST, MOST_BYTES, MOST_PROMPTS, Calendar
from bots.prompt.voice import is_empty
from bots.recurrence import Rule, coming, course_week, read_code

#: A prompt in one of these can be paused, resumed or cancelled.
STEERABLE = ("running", "paused")
_LOST_ROLE = "There is no such practice prompt among yours, or it goes to a group that you may not address."


def plan(tx: Tx, keyring: Keyring, author_id: int | None, wanted: PlanPrompt, now: datetime) -> int:
    """Plan a prompt; returns its id, the same one for the same draft. `author_id` None: the operator.

    Raises `Refused` with what `bots.effects.PlanPrompt` names.
    """
    course_id = _course_of(tx, author_id, wanted.groups, now)
    course = _hold_course(tx, course_id)  # one number, one count and one confirmation after the other
    if author_id is not None and (known := _drafted(tx, author_id, wanted.draft)) is not None:
        return known
    next_at = _check(course, wanted, now)
    if _many(tx, course_id, author_id):
        raise Refused("many", f"There are {MOST_PROMPTS} practice prompts of this author in the course already; cancel one first.")
    prompt_id = ids.new_id()
    number = tx.execute(sa.select(sa.func.coalesce(sa.func.max(Prompt.number), 0)).where(Prompt.course_id == course_id)).scalar_one() + 1
    tx.execute(
        sa.insert(Prompt).values(
            id=prompt_id, course_id=course_id, number=number, created_at=now, **_values(tx, keyring, course, prompt_id, author_id, wanted),
            after_at=now, next_at=next_at, state="running",
        )
    )  # fmt: skip
    _set_groups(tx, prompt_id, wanted.groups)
    audit.record(tx, now, audit.actor(author_id), "prompt.plan", f"prompt:{prompt_id}", groups=len(wanted.groups))
    return prompt_id


def change(tx: Tx, keyring: Keyring, actor_id: int | None, wanted: ChangePrompt, now: datetime) -> None:
    """Give a prompt other words, groups or times, as seen in this version; it runs from now on, and whoever changed it is its author.

    What has gone out stays as it was. Raises `Refused` with what `bots.effects.ChangePrompt` names.
    """
    row = hold(tx, wanted.id, actor_id, now)
    course_id = _course_of(tx, actor_id, wanted.plan.groups, now)
    if actor_id is not None and row.draft == wanted.plan.draft and row.author_id == actor_id:
        return
    if row.version != wanted.version:
        raise Refused("changed", "It has been changed meanwhile; look at it again and repeat your change.")
    if course_id != row.course_id:
        raise Refused("role", "A practice prompt stays in its course; plan another one there.")
    course = _hold_course(tx, course_id)
    next_at = _check(course, wanted.plan, now)
    if row.state not in STEERABLE and _many(tx, course_id, actor_id):
        raise Refused("many", f"There are {MOST_PROMPTS} practice prompts of this author in the course already; cancel one first.")
    values = _values(tx, keyring, course, row.id, actor_id, wanted.plan)
    values |= {"version": row.version + 1, "after_at": now, "next_at": next_at, "state": "running", "why": None}
    tx.execute(sa.update(Prompt).where(Prompt.id == row.id).values(**values))
    _set_groups(tx, row.id, wanted.plan.groups)
    audit.record(tx, now, audit.actor(actor_id), "prompt.change", f"prompt:{row.id}")


def steer(tx: Tx, actor_id: int | None, wanted: PausePrompt | ResumePrompt | CancelPrompt, now: datetime) -> None:
    """Pause, resume or end a prompt. Raises `Refused` with what the effect names."""
    row = hold(tx, wanted.id, actor_id, now)
    match wanted:
        case PausePrompt():
            _require(row.state == "running", "It does not run, so it cannot be paused.")
            values: dict[str, Any] = {"state": "paused", "next_at": None}
        case ResumePrompt():
            _require(row.state == "paused", "It is not paused, so it cannot be resumed.")
            next_at = coming(rule_of(row), calendar_of(row).frame(row.until), now)
            if next_at is None:
                raise Refused("past", "No moment of it is to come; give it another time: `tongban prompt edit`.")
            values = {"state": "running", "next_at": next_at, "after_at": now}
        case CancelPrompt():
            taken = _take_back(tx, row.id, now) if row.state in (*STEERABLE, "done") else 0
            _require(row.state in STEERABLE or taken > 0, "It has ended already; what was sent stays sent.")
            values = {"state": "cancelled", "why": "cancelled_by_author", "next_at": None}
    tx.execute(sa.update(Prompt).where(Prompt.id == row.id).values(**values))
    audit.record(tx, now, audit.actor(actor_id), f"prompt.{type(wanted).__name__.removesuffix('Prompt').lower()}", f"prompt:{row.id}")


def hold(tx: Tx, prompt_id: int, actor_id: int | None, now: datetime) -> Any:
    """The prompt as a row with its course, held until the commit. Raises `Refused` ("role") where it is not this person's to change."""
    row = tx.execute(with_course().where(Prompt.id == prompt_id).with_for_update(of=Prompt)).one_or_none()
    if row is None or (actor_id is not None and not access.may_change_prompt(tx, actor_id, prompt_id)):
        if row is not None:
            audit.record(tx, now, audit.actor(actor_id), "prompt.refused", f"prompt:{prompt_id}")
        raise Refused("role", _LOST_ROLE)
    return row


def with_course() -> "sa.Select[Any]":
    """Prompts with what of their course counts."""
    course = (Course.account_id, Course.data_key_id, Course.starts_on, Course.ended_at, Course.details.label("course_details"))
    return sa.select(*Prompt.__table__.columns, *course).join(Course, Course.id == Prompt.course_id)


def calendar_of(row: Any) -> Calendar:
    """The calendar by which a prompt goes: the zone is the one it was planned in, the days are the course's as they are now."""
    return Calendar(row.course_id, row.zone, row.starts_on, _last_day(row.starts_on, row.course_details))


def calendars(tx: Tx, course_ids: Sequence[int]) -> tuple[Calendar, ...]:
    """The calendars of these courses."""
    rows = tx.execute(
        sa.select(Course.id, Course.zone, Course.starts_on, Course.details).where(Course.id.in_(course_ids)).order_by(Course.id)
    )
    return tuple(Calendar(row.id, row.zone, row.starts_on, _last_day(row.starts_on, row.details)) for row in rows)


def rule_of(row: Any) -> Rule:
    """The rule of a prompt. Raises `ValueError` where it cannot be read: a defect."""
    rule = read_code(row.rule)
    if rule is None:
        raise ValueError("a rule that cannot be read")
    return rule


def text_of(key: DataKey, row: Any) -> str:
    """The words of a prompt, with their gaps, by its course's key. Raises `Unreadable`."""
    return key.unseal(Place("prompts", "words_sealed", row.id), row.words_sealed)


def calendar_for(tx: Tx, group_ids: Sequence[int]) -> Calendar:
    """The calendar of the one course that these groups belong to. Raises `Refused` ("role") where it is not one."""
    found = calendars(tx, sorted(set(tx.execute(sa.select(Group.course_id).where(Group.id.in_(group_ids))).scalars())))
    if len(found) != 1:
        raise Refused("role", "A practice prompt goes to groups of one course; plan another one for the other course.")
    return found[0]


def _last_day(starts_on: date | None, details: Mapping[str, Any]) -> date | None:
    """The last day of a course that says how many weeks it has."""
    weeks = details.get("weeks")
    number = weeks if isinstance(weeks, int) else len(weeks) if isinstance(weeks, list) else 0
    return starts_on + timedelta(weeks=number) - timedelta(days=1) if starts_on is not None and number else None


def _course_of(tx: Tx, author_id: int | None, group_ids: Sequence[int], now: datetime) -> int:
    """The one course of these groups, each of which the author may address."""
    if author_id is not None and not set(group_ids) <= set(access.announced_groups(tx, author_id)):
        audit.record(tx, now, audit.actor(author_id), "prompt.refused", "groups:" + ",".join(map(str, group_ids)))
        raise Refused("role", "Only its leaders, assistants and administrators may address a group.")
    return calendar_for(tx, group_ids).course


def _drafted(tx: Tx, author_id: int, draft: int) -> int | None:
    return tx.execute(sa.select(Prompt.id).where(Prompt.author_id == author_id, Prompt.draft == draft)).scalar_one_or_none()


def _hold_course(tx: Tx, course_id: int) -> Any:
    columns = (Course.id, Course.zone, Course.starts_on, Course.ended_at, Course.data_key_id, Course.details)
    return tx.execute(sa.select(*columns).where(Course.id == course_id).with_for_update(key_share=True)).one()


def _check(course: Any, wanted: PlanPrompt, now: datetime) -> datetime:
    """The first moment of what is wanted; refuses what cannot be."""
    if course.ended_at is not None:
        raise Refused("until", "The course has ended.")
    calendar = Calendar(course.id, course.zone, course.starts_on, _last_day(course.starts_on, course.details))
    _check_words(wanted.text)
    today = now.astimezone(ZoneInfo(course.zone)).date()
    if wanted.until > today + FARTHEST or (calendar.ends_on is not None and wanted.until > calendar.ends_on):
        raise Refused("until", f"It goes on beyond {calendar.ends_on or today + FARTHEST}; choose an earlier last day.")
    first = coming(wanted.rule, calendar.frame(wanted.until), now)
    if first is None:
        raise Refused("past", f"Until {wanted.until} it would never go out; choose another time, or another last day.")
    if gaps.find(wanted.text).week:
        day = first.astimezone(ZoneInfo(course.zone)).date()
        if calendar.starts_on is None or course_week(day, calendar.starts_on) < 1:
            raise Refused("gap", "{week} counts from the first day of the course, which is not known or lies behind its first moment.")
    return first


def _check_words(text: str) -> None:
    if is_empty(text):
        raise Refused("empty", "A practice prompt needs words.")
    if unknown := gaps.find(text).unknown:
        raise Refused("gap", f"Nobody knows the gap {{{unknown[0]}}}; there are {{name}} and {{week}}.")
    size = gaps.longest(text)
    if size > MOST_BYTES:
        raise Refused("long", f"With the longest name it has {size} bytes; at most {MOST_BYTES} fit (about 500 Chinese characters).")


def _many(tx: Tx, course_id: int, author_id: int | None) -> bool:
    mine = Prompt.author_id.is_(None) if author_id is None else Prompt.author_id == author_id
    query = sa.select(sa.func.count()).select_from(Prompt).where(Prompt.course_id == course_id, mine, Prompt.state.in_(STEERABLE))
    return tx.execute(query).scalar_one() >= MOST_PROMPTS


def _values(tx: Tx, keyring: Keyring, course: Any, prompt_id: int, author_id: int | None, wanted: PlanPrompt) -> dict[str, Any]:
    sealed = keyring.open(tx, course.data_key_id).seal(Place("prompts", "words_sealed", prompt_id), wanted.text)
    return {
        "author_id": author_id,
        "draft": wanted.draft or None,
        "words_sealed": sealed,
        "rule": replace(wanted.rule, at=wanted.rule.at.replace(second=0, microsecond=0)).code(),
        "zone": course.zone,
        "until": wanted.until,
    }


def _set_groups(tx: Tx, prompt_id: int, group_ids: Sequence[int]) -> None:
    tx.execute(sa.delete(PromptGroup).where(PromptGroup.prompt_id == prompt_id, PromptGroup.group_id.not_in(group_ids)))
    known = set(tx.execute(sa.select(PromptGroup.group_id).where(PromptGroup.prompt_id == prompt_id)).scalars())
    new = [{"prompt_id": prompt_id, "group_id": group_id} for group_id in dict.fromkeys(group_ids) if group_id not in known]
    if new:
        tx.execute(sa.insert(PromptGroup), new)


def _take_back(tx: Tx, prompt_id: int, now: datetime) -> int:
    """Stop what has not left of what was fired; returns how many messages that were."""
    live = sa.select(Broadcast.id).where(Broadcast.prompt_id == prompt_id, Broadcast.group_id.is_not(None))
    found = tx.execute(live.where(Broadcast.state.in_(["expanding", "going"]))).scalars().all()
    return sum(broadcasts.cancel(tx, broadcast_id, "cancelled_by_author", now) for broadcast_id in found)


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise Refused("gone", sentence)
