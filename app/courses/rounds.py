"""Hides how rounds of questionnaires hang on the classes of a course: plans them from its file, moves their windows with the classes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.courses import anchors, calendar
from app.courses import file as course_file
from app.courses.calendar import Consequence, Effect, Gathering
from app.db import Tx
from app.keyring import Keyring
from app.models import Wave
from app.questionnaires import waves
from app.questionnaires.shelf import Shelf

Known = Mapping[int, list[Gathering]]


def add(tx: Tx, shelf: Shelf, course: Any, known: Known, now: datetime, actor: str) -> list[Consequence]:
    """Plan the rounds of the course's file that are not over, and that it has not got already."""
    found = []
    have = set(tx.execute(sa.select(Wave.code).where(Wave.course_id == course.id)).scalars())
    file = course_file.of(course.file)
    for window in _windows(course, known):
        if window.code in have or window.closes_at <= now:
            effect = Effect.STAYS if window.code in have else Effect.TOO_LATE
        else:
            each = next(wave for wave in file.waves if wave.code == window.code)
            waves.add(tx, shelf, course.id, _plan(each, window), now, actor=actor)
            effect = Effect.ADDED
        found.append(Consequence("", f"wave.{window.code}", effect, None, window.opens_at))
    return found


def _plan(each: course_file.Wave, window: calendar.Window) -> waves.Plan:
    rule = waves.Rule(tuple(each.remind_after), anchors.clock(each.remind_at))
    return waves.Plan(
        each.code,
        each.title,
        window.opens_at,
        window.closes_at,
        each.instruments,
        each.frames,
        rule,
        each.late,
        each.skips,
        each.shuffled,
    )


def differences(tx: Tx, course: Any, before: Known, after: Known, now: datetime) -> list[Consequence]:
    """What moves with the classes: the opening of rounds that have not opened, the end of those that have not closed.

    A window that somebody moved by hand stays until its class itself moves.
    """
    columns = (Wave.code, Wave.opens_at, Wave.closes_at, Wave.state)
    rows = {row.code: row for row in tx.execute(sa.select(*columns).where(Wave.course_id == course.id, Wave.state != "closed"))}
    former = {each.code: each for each in _windows(course, before)}
    found = []
    for window in _windows(course, after):
        row = rows.get(window.code)
        if row is None or window == former[window.code]:
            continue
        effect = Effect.TOO_LATE if window.closes_at <= now else Effect.MOVED
        if row.state == "planned" and window.opens_at != row.opens_at:
            found.append(Consequence("", f"wave.{window.code}", effect, row.opens_at, window.opens_at))
        if window.closes_at != row.closes_at:
            found.append(Consequence("", f"wave.{window.code}.end", effect, row.closes_at, window.closes_at))
    return found


def move(tx: Tx, keyring: Keyring, course: Any, known: Known, each: Consequence, now: datetime, actor: str) -> None:
    """Move a round as `differences` said; one that would be over already stays as it is."""
    if each.effect is not Effect.MOVED:
        return
    code = each.code.split(".")[1]
    row = tx.execute(sa.select(Wave.id, Wave.state).where(Wave.course_id == course.id, Wave.code == code)).one()
    window = next(found for found in _windows(course, known) if found.code == code)
    opens = window.opens_at if row.state == "planned" else None
    waves.move(tx, keyring, row.id, opens_at=opens, closes_at=window.closes_at, now=now, actor=actor)


def _windows(course: Any, known: Known) -> list[calendar.Window]:
    return calendar.windows(course_file.of(course.file), list(known.values()), course.zone)
