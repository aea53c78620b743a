"""Hides courses: makes one with its large group, finds it by its code. Dated occasions come with the course files."""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa

from app import audit, groups, ids
from app.db import Tx
from app.errors import Conflict, Invalid, NotFound
from app.keyring import Keyring
from app.models import Broadcast, Course, Delivery, stands
from app.states import DUE

#: The version word of the consent text that the onboarding bot ships as a template.
SHIPPED_CONSENT = "template-3"
#: Messages that we start, per person and local day, unless a course says otherwise; and the largest number that is a cap at all.
CAP, MOST_CAP = 4, 99
#: An announcement to more people than this wants a second pair of eyes, unless a course says otherwise; and the largest such number.
SECOND_EYES, MOST_SECOND_EYES = 60, 1_000_000


def create(
    tx: Tx,
    keyring: Keyring,
    now: datetime,
    *,
    account_id: int,
    code: str,
    title: str,
    zone: str = "Asia/Shanghai",
    consent_version: str = SHIPPED_CONSENT,
    details: dict[str, Any] | None = None,
    starts_on: date | None = None,
    large_group: str = "大群",
) -> int:
    """A new course with its one large group; returns its id. `details` may hold the study's own `consent` and `resources` by language."""
    if tx.execute(sa.select(Course.id).where(Course.code == code)).first():
        raise Conflict("course_exists", f"There is a course {code!r} already; choose another code.")
    course_id = ids.new_id()
    tx.execute(
        sa.insert(Course).values(
            id=course_id,
            account_id=account_id,
            data_key_id=keyring.create(tx).id,
            code=code,
            title=title,
            zone=zone,
            quiet_from="22:00",
            quiet_until="08:00",
            cap=CAP,
            second_eyes=SECOND_EYES,
            consent_version=consent_version,
            details=details or {},
            starts_on=starts_on,
            created_at=now,
        )
    )
    groups.create(tx, course_id, code=f"{code}-all", name=large_group, large=True)
    audit.record(tx, now, "operator", "course.create", f"course:{course_id}")
    return course_id


def by_code(tx: Tx, code: str | None) -> int:
    """The id of a course by its code; without one, of the only course. Raises `NotFound` with the codes there are."""
    rows = tx.execute(sa.select(Course.id, Course.code).order_by(Course.code)).all()
    found = [row.id for row in rows if code in (None, row.code)]
    if len(found) != 1:
        there = ", ".join(row.code for row in rows) or "none yet; `tongban course create` makes one"
        raise NotFound("course", f"Which course? There is no single one called {code!r}. Courses: {there}.")
    course_id: int = found[0]
    return course_id


def set_quiet_hours(tx: Tx, course_id: int, quiet_from: str, quiet_until: str) -> None:
    """Start nothing between these local times (`HH:MM`); equal times mean no quiet hours."""
    tx.execute(sa.update(Course).where(Course.id == course_id).values(quiet_from=quiet_from, quiet_until=quiet_until))


def set_cap(tx: Tx, course_id: int, cap: int | None, now: datetime) -> None:
    """Start at most so many messages per person and local day; None: any number. What the old cap holds back is looked at again.

    Raises `Invalid` for what is no number from 1 to `MOST_CAP`.
    """
    if cap is not None and not 1 <= cap <= MOST_CAP:
        raise Invalid("cap", f"A cap is a number of messages from 1 to {MOST_CAP}, or none.")
    tx.execute(sa.update(Course).where(Course.id == course_id).values(cap=cap))
    audit.record(tx, now, "operator", "course.cap", f"course:{course_id}", cap=cap)
    _look_again(tx, course_id, "cap", now)


def set_second_eyes(tx: Tx, course_id: int, above: int, now: datetime, *, actor: str = "operator") -> None:
    """An announcement to more people than this waits until a second person has seen it; 0: none does. What waits goes on waiting.

    Raises `Invalid` for what is no number from 0 to `MOST_SECOND_EYES`.
    """
    if not 0 <= above <= MOST_SECOND_EYES:
        raise Invalid("second_eyes", f"This is a number of people from 1 to {MOST_SECOND_EYES}, or 0 for never.")
    former = tx.execute(sa.select(Course.second_eyes).where(Course.id == course_id).with_for_update(key_share=True)).scalar_one()
    tx.execute(sa.update(Course).where(Course.id == course_id).values(second_eyes=above))
    audit.record(tx, now, actor, "course.second_eyes", f"course:{course_id}", above=above, former=former)


def set_silences(tx: Tx, course_id: int, silences: Iterable[tuple[datetime, datetime]], now: datetime) -> None:
    """Start nothing in this course from each first moment until each second one. What the old silences hold back is looked at again.

    Raises `Invalid` for one that ends before it begins.
    """
    found = sorted(silences)
    if any(begin >= end for begin, end in found):
        raise Invalid("silence", "A silence ends after it begins; change its end.")
    stored = [[moment.astimezone(UTC).isoformat() for moment in each] for each in found]
    tx.execute(sa.update(Course).where(Course.id == course_id).values(silences=stored or None))
    _look_again(tx, course_id, "silence", now)


def _look_again(tx: Tx, course_id: int, reason: str, now: datetime) -> None:
    """What is held for this reason is due: the claim holds it again where it must, and as if for the first time."""
    live = sa.select(Broadcast.id).where(Broadcast.course_id == course_id, Broadcast.state.in_(["expanding", "going"]))
    held = (Delivery.broadcast_id.in_(live), stands(DUE), Delivery.reason == reason, Delivery.due_at > now)
    tx.execute(sa.update(Delivery).where(*held).values(reason="", due_at=now))


def set_texts(tx: Tx, course_id: int, version: str, texts: dict[str, dict[str, str]], now: datetime) -> None:
    """Give a course its own `consent` and `resources` by language, frozen with a checksum. Raises `Conflict` for a version in use."""
    row = tx.execute(sa.select(Course.consent_version, Course.details).where(Course.id == course_id)).one()
    details = {**row.details, **{kind: by_language for kind, by_language in texts.items() if by_language}}
    details["consent_sha256"] = hashlib.sha256(json.dumps(details["consent"], sort_keys=True).encode()).hexdigest()
    if version == row.consent_version and details["consent_sha256"] != row.details.get("consent_sha256"):
        raise Conflict("version", f"People have read version {version!r} already; another text needs another version.")
    tx.execute(sa.update(Course).where(Course.id == course_id).values(consent_version=version, details=details))
    audit.record(tx, now, "operator", "course.texts", f"course:{course_id}", version=version)
