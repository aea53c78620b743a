"""Hides how practice prompts go out by the clock: each moment once, whole or not at all, looked at once more before it goes.

The row is held while it fires, so that a pause, a change or a cancellation comes before or after, never into the middle. What is more than
an hour late is missed; after a long stop its author gets one report. A moment is found anew from the rule when its turn comes, since the
first day of the course or the rules of a zone may have changed after it was planned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError

from app import access, audit, broadcasts
from app.broadcasts import Draft
from app.db import Tx, upsert
from app.db.prepared import NOW, Anything, Earliest
from app.keyring import Keyring
from app.logs import place_of
from app.models import Group, Prompt, PromptFiring, PromptGroup
from app.people import names
from app.prompts.planning import calendar_of, rule_of, text_of, with_course
from app.situation import Tools
from bots.prompt import gaps
from bots.recurrence import coming, course_week
from bots.turns import OccasionKind, Role

log = structlog.get_logger()

#: A fire that comes later than this is missed: nobody wants the evening's practice in the small hours (bad-inputs.md K4).
LATE = timedelta(hours=1)
#: A prompt that could not be delivered for this long, or until its next moment, is of no use any more.
USEFUL = timedelta(days=1)
_REPORT_USEFUL = timedelta(days=3)
#: Moments that one look passes over; more are passed over in the next one.
_MOST_MISSED = 400
_SPEAKS_AS = (Role.LEADER, Role.ASSISTANT, Role.ADMINISTRATOR)
_DUE = Prompt.state == "running"
_ANY_DUE = Anything(lambda: sa.select(Prompt.id).where(_DUE, Prompt.next_at <= NOW))
_NEXT = Earliest(lambda: sa.select(sa.func.min(Prompt.next_at)).where(_DUE))


@dataclass(frozen=True)
class _Due:
    """A prompt whose turn it is: its row, the groups that it goes to by id and name, and its moment."""

    row: Any
    groups: dict[int, str]
    at: datetime

    def after(self, moment: datetime) -> datetime | None:
        """The first moment later than this one."""
        return coming(rule_of(self.row), calendar_of(self.row).frame(self.row.until), moment)


def any_due(tx: Tx, now: datetime) -> bool:
    """Whether `go_on` would do something."""
    return _ANY_DUE.there(tx, now=now)


def next_moment(tx: Tx) -> datetime | None:
    """When something is due by itself."""
    return _NEXT.moment(tx)


def go_on(tx: Tx, tools: Tools, now: datetime) -> bool:
    """Settle the oldest moment that is due; False where none is. One that a defect keeps from firing stops, and holds up no other."""
    query = with_course().where(_DUE, Prompt.next_at <= now).order_by(Prompt.next_at, Prompt.id).limit(1)
    row = tx.execute(query.with_for_update(skip_locked=True, of=Prompt)).one_or_none()
    if row is None:
        return False
    try:
        with tx.begin_nested():
            _settle(tx, tools.keyring, row, now)
    except DBAPIError:
        raise  # a race, or the database is away: the next tick tries again
    except Exception as bug:  # noqa: BLE001 - a prompt that breaks is stopped and told of, and the others go out
        log.error("prompt_failed", kind=type(bug).__name__, where=place_of(bug))  # noqa: TRY400 - a traceback may hold what somebody wrote
        audit.alarm(tx, now, "prompt_failed", f"prompt:{row.id}")
        _stop(tx, row, "bug", now)
        _report(tx, tools.keyring, row, "bug", _groups(tx, row.id).values(), now)
    return True


def plan_again(tx: Tx, course_id: int, now: datetime) -> int:
    """Find the next moments anew after the days of a course were moved; returns how many prompts changed. What was settled stays so."""
    rows = tx.execute(with_course().where(_DUE, Prompt.course_id == course_id).order_by(Prompt.id).with_for_update(of=Prompt)).all()
    changed = 0
    for row in rows:
        # Where nothing is to come any more the next look ends it, and that is now.
        found = coming(rule_of(row), calendar_of(row).frame(row.until), max(row.after_at, now)) or now
        changed += found != row.next_at
        tx.execute(sa.update(Prompt).where(Prompt.id == row.id).values(next_at=found))
    return changed


def rest(tx: Tx, keyring: Keyring, now: datetime) -> int:
    """Let what came due while it rested in a backup be missed, however late; the next moments go out. Returns of how many prompts."""
    rows = tx.execute(with_course().where(_DUE, Prompt.next_at <= now).order_by(Prompt.id)).all()
    for row in rows:
        _miss(tx, keyring, _Due(row, _groups(tx, row.id), row.next_at), "restored", now, now)
    return len(rows)


# One moment ---------------------------------------------------------------------------------------------------------------------


def _settle(tx: Tx, keyring: Keyring, row: Any, now: datetime) -> None:
    due = coming(rule_of(row), calendar_of(row).frame(row.until), row.after_at)
    if row.ended_at is not None:
        _stop(tx, row, "course_ended", now)
        _report(tx, keyring, row, "course_ended", _groups(tx, row.id).values(), now)
    elif due is None or due > now:  # the course or the zone has moved
        _go_to(tx, row.id, due, row.after_at)
    elif now - due > LATE:
        _miss(tx, keyring, _Due(row, _groups(tx, row.id), due), "late", now - LATE - timedelta(microseconds=1), now)
    elif _won(tx, row.id, [due], "fired", now):
        _fire(tx, keyring, _Due(row, _groups(tx, row.id), due), now)
    else:  # it was fired before: by a defect, or the clock was set back
        _go_to(tx, row.id, _Due(row, {}, due).after(due), due)


def _fire(tx: Tx, keyring: Keyring, due: _Due, now: datetime) -> None:
    """To every group that its author may still address; they are told of the others, which get nothing more."""
    row = due.row
    # Read in one statement: a role that is withdrawn at this moment counts for all groups, or for none.
    allowed = set(due.groups) if row.author_id is None else set(access.announced_groups(tx, row.author_id)) & set(due.groups)
    lost = [name for group, name in due.groups.items() if group not in allowed]
    upcoming = due.after(due.at)
    if allowed:
        text, week = text_of(keyring.open(tx, row.data_key_id), row), _week(due)
        author = names(tx, keyring, [row.author_id]).get(row.author_id, "") if row.author_id is not None else ""
        for group in sorted(allowed):
            details = {
                "text": text,
                "week": week,
                "group_name": due.groups[group],
                "author_name": author,
                "author_role": _role(tx, row.author_id, group),
                broadcasts.NAMES_READER: gaps.find(text).name,
            }
            stale_at = min(due.at + USEFUL, upcoming or due.at + USEFUL)
            draft = _draft(row, OccasionKind.PROMPT, details, max(stale_at, now + LATE), group=group)
            broadcasts.send_to_group(tx, keyring, draft, now)
        _go_to(tx, row.id, upcoming, due.at)
    else:
        tx.execute(_firing(row.id, due.at).values(outcome="refused"))
        _stop(tx, row, "role", now)
    if lost:
        tx.execute(sa.delete(PromptGroup).where(PromptGroup.prompt_id == row.id, PromptGroup.group_id.not_in(allowed or set(due.groups))))
        audit.record(tx, now, "system", "prompt.missed", f"prompt:{row.id}", why="role", groups=len(lost))
        _report(tx, keyring, row, "role", lost, now, next_at=upcoming if allowed else None)


def _week(due: _Due) -> int:
    """The week of the course in which the moment lies; before its first day the first, and without one none."""
    if due.row.starts_on is None:
        return 0
    return max(1, course_week(due.at.astimezone(ZoneInfo(due.row.zone)).date(), due.row.starts_on))


def _role(tx: Tx, author_id: int | None, group_id: int) -> str:
    held = access.roles_in_group(tx, author_id, group_id) if author_id is not None else frozenset()
    return next((role.value for role in _SPEAKS_AS if role in held), "operator")


def _miss(tx: Tx, keyring: Keyring, due: _Due, why: str, before: datetime, now: datetime) -> None:
    """Every moment up to `before` is missed, and the author hears of all of them at once."""
    missed: list[datetime] = []
    moment: datetime | None = due.at
    while moment is not None and moment <= before and len(missed) < _MOST_MISSED:
        missed.append(moment)
        moment = due.after(moment)
    _go_to(tx, due.row.id, moment, missed[-1])
    _won(tx, due.row.id, missed, "missed", now)
    audit.record(tx, now, "system", "prompt.missed", f"prompt:{due.row.id}", why=why, times=len(missed))
    reason = "late_many" if why == "late" and len(missed) > 1 else why
    _report(tx, keyring, due.row, reason, due.groups.values(), now, missed=missed, next_at=moment)


def _won(tx: Tx, prompt_id: int, moments: Sequence[datetime], outcome: str, now: datetime) -> bool:
    """Whether these moments are ours: nobody has settled one of them before."""
    rows = [{"prompt_id": prompt_id, "fire_at": each, "fired_at": now, "outcome": outcome} for each in moments]
    written = tx.execute(upsert(tx, PromptFiring).values(rows).on_conflict_do_nothing().returning(PromptFiring.id)).all()
    return len(written) == len(moments)


def _firing(prompt_id: int, at: datetime) -> "sa.Update":
    return sa.update(PromptFiring).where(PromptFiring.prompt_id == prompt_id, PromptFiring.fire_at == at)


def _go_to(tx: Tx, prompt_id: int, moment: datetime | None, settled: datetime) -> None:
    """Everything up to `settled` is done, and this moment is the next one; without one the prompt is done."""
    state = "done" if moment is None else "running"
    tx.execute(sa.update(Prompt).where(Prompt.id == prompt_id).values(next_at=moment, after_at=settled, state=state))


def _stop(tx: Tx, row: Any, why: str, now: datetime) -> None:
    tx.execute(sa.update(Prompt).where(Prompt.id == row.id).values(state="stopped", why=why, next_at=None))
    audit.record(tx, now, "system", "prompt.stopped", f"prompt:{row.id}", why=why)


def _groups(tx: Tx, prompt_id: int) -> dict[int, str]:
    query = sa.select(Group.id, Group.name).join(PromptGroup, PromptGroup.group_id == Group.id).where(PromptGroup.prompt_id == prompt_id)
    return {row.id: row.name for row in tx.execute(query.order_by(Group.id))}


def _report(
    tx: Tx,
    keyring: Keyring,
    row: Any,
    reason: str,
    groups: Any,
    now: datetime,
    *,
    missed: Sequence[datetime] = (),
    next_at: datetime | None = None,
) -> None:
    """Tell the author, if it is a person, why something did not go out, and when the next one does."""
    if row.author_id is None:
        return
    details = {"reason": reason, "number": row.number, "groups": list(groups), "count": len(missed), "next_at": next_at}
    details |= {"first": missed[0], "last": missed[-1]} if missed else {}
    report = _draft(row, OccasionKind.REPORT, details, now + _REPORT_USEFUL)
    broadcasts.send_to(tx, keyring, report, [row.author_id], now)


def _draft(row: Any, kind: OccasionKind, details: dict[str, Any], stale_at: datetime, *, group: int | None = None) -> Draft:
    return Draft(
        account_id=row.account_id,
        key_id=row.data_key_id,
        bot="prompt",
        kind=kind,
        details=details,
        course_id=row.course_id,
        group_id=group,
        prompt_id=row.id,
        author_id=row.author_id if group is not None else None,
        stale_at=stale_at,
    )
