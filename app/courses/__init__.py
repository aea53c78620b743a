"""Hides courses: makes one with its large group, finds it by its code. Dated occasions come with the course files."""

import hashlib
import json
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from app import audit, groups, ids
from app.db import Tx
from app.errors import Conflict, NotFound
from app.keyring import Keyring
from app.models import Course

#: The version word of the consent text that the onboarding bot ships as a template.
SHIPPED_CONSENT = "template-3"


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


def set_texts(tx: Tx, course_id: int, version: str, texts: dict[str, dict[str, str]], now: datetime) -> None:
    """Give a course its own `consent` and `resources` by language, frozen with a checksum. Raises `Conflict` for a version in use."""
    row = tx.execute(sa.select(Course.consent_version, Course.details).where(Course.id == course_id)).one()
    details = {**row.details, **{kind: by_language for kind, by_language in texts.items() if by_language}}
    details["consent_sha256"] = hashlib.sha256(json.dumps(details["consent"], sort_keys=True).encode()).hexdigest()
    if version == row.consent_version and details["consent_sha256"] != row.details.get("consent_sha256"):
        raise Conflict("version", f"People have read version {version!r} already; another text needs another version.")
    tx.execute(sa.update(Course).where(Course.id == course_id).values(consent_version=version, details=details))
    audit.record(tx, now, "operator", "course.texts", f"course:{course_id}", version=version)
