"""Who may have an export, what is on record before its first byte, and that a file is whole or not there."""

import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app import access, courses, groups
from app.db import Database, Tx
from app.errors import AppError, Conflict, Forbidden, Invalid
from app.models import Audit, Membership, Sheet, Wave
from app.people import Known
from app.questionnaires import waves
from app.questionnaires.shelf import Shelf
from app.questionnaires.waves import Plan
from app.study import export as study
from bots.questionnaire.instrument import find
from bots.turns import Role
from tests.delivery.scene import NOW, Desk
from tests.study.scene import OPENS, Course, files, table


@pytest.fixture
def course(database_url: str) -> Iterator[Course]:
    """A wave in which one person has answered a little."""
    with Desk(database_url) as desk:
        small = Course(desk)
        small.joins("小雨")
        small.wave("baseline", ("swls",), OPENS)
        small.ticks(OPENS)
        small.answers("小雨", "swls", OPENS, {1: 7})
        yield small


def on_record(tx: Tx) -> list[tuple[str, str, str]]:
    """Actor, action and subject of each export that was asked for."""
    rows = tx.execute(sa.select(Audit.actor, Audit.action, Audit.subject).where(Audit.action.like("export%")).order_by(Audit.id))
    return [(row.actor, row.action, row.subject) for row in rows]


def spoil(course: Course) -> None:
    """An answer that no item takes, by which scoring stops in the middle of the export."""
    course.desk.write(lambda tx: tx.execute(sa.update(Sheet).values(answers={"1": [99, 1]})))


def test_the_audit_is_committed_before_the_file_is_begun(course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[tuple[str, str, str]]] = []
    begin = tempfile.mkstemp

    def watched(**place: Any) -> tuple[int, str]:
        with Database(course.desk.database.url) as another:
            seen.append(another.read_now(on_record))
        return begin(**place)

    monkeypatch.setattr(tempfile, "mkstemp", watched)
    course.export(tmp_path / "study.zip")
    assert seen == [[("operator", "export", f"course:{course.desk.course_id}")]]


def test_without_its_audit_row_no_file_comes_about(course: Course, tmp_path: Path) -> None:
    course.desk.write(lambda tx: tx.execute(sa.text("ALTER TABLE audit RENAME TO gone")))
    try:
        with pytest.raises(sa.exc.SQLAlchemyError):
            course.export(tmp_path / "study.zip")
    finally:
        course.desk.write(lambda tx: tx.execute(sa.text("ALTER TABLE gone RENAME TO audit")))
    assert not list(tmp_path.glob("*study*"))


def test_a_failure_in_the_middle_leaves_no_half_file(course: Course, tmp_path: Path) -> None:
    spoil(course)
    with pytest.raises(ValueError, match="no such answer"):
        course.export(tmp_path / "study.zip")
    assert not [*tmp_path.glob("*study*"), *tmp_path.glob(".*")]
    assert len(course.desk.read(on_record)) == 1, "that somebody asked for it stays on record"


def test_a_failure_leaves_the_former_file_as_it_was(course: Course, tmp_path: Path) -> None:
    former = tmp_path / "study.zip"
    former.write_text("former")
    spoil(course)
    with pytest.raises(ValueError, match="no such answer"):
        course.export(former, over=True)
    assert former.read_text() == "former"


def test_a_file_is_the_owners_alone_and_never_takes_anothers_place_unasked(course: Course, tmp_path: Path) -> None:
    path = tmp_path / "study.zip"
    course.export(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = path.read_bytes()
    with pytest.raises(Conflict, match="--force"):
        course.export(path)
    assert path.read_bytes() == first
    assert len(course.desk.read(on_record)) == 1, "what was refused for its place is no export"
    path.chmod(0o644)
    course.export(path, over=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == first, "the same moment, the same bytes"
    assert [each.name for each in tmp_path.iterdir() if "study" in each.name] == ["study.zip"]


def test_a_file_that_somebody_puts_there_meanwhile_stays(course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, begin = tmp_path / "study.zip", tempfile.mkstemp

    def overtaken(**place: Any) -> tuple[int, str]:
        path.write_text("theirs")
        return begin(**place)

    monkeypatch.setattr(tempfile, "mkstemp", overtaken)
    with pytest.raises(Conflict):
        course.export(path)
    assert path.read_text() == "theirs"
    assert not list(tmp_path.glob(".*"))


def test_a_place_that_takes_no_file_is_refused_in_a_sentence(course: Course, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="is a folder"):
        course.export(tmp_path)
    with pytest.raises(Invalid, match="no folder"):
        course.export(tmp_path / "nowhere" / "study.zip")
    if os.geteuid() != 0:  # root may write anywhere
        locked = tmp_path / "locked"
        locked.mkdir(mode=0o500)
        with pytest.raises(Invalid, match="Cannot write"):
            course.export(locked / "study.zip")
    with pytest.raises(Invalid, match="Cannot write"):
        course.export(tmp_path / ("x" * 250 + ".zip"))


def test_all_tables_show_one_moment_whatever_is_answered_meanwhile(course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = tempfile.mkstemp

    def meanwhile(**place: Any) -> tuple[int, str]:
        course.answers("小雨", "swls", OPENS, {1: 3, 2: 3})
        course.joins("后来")
        return begin(**place)

    monkeypatch.setattr(tempfile, "mkstemp", meanwhile)
    assert course.export(tmp_path / "study.zip").people == 1
    found = files(tmp_path / "study.zip")
    assert [(row["value"], row["times_answered"]) for row in table(found["long.csv"])][:2] == [("7", "1"), ("", "0")]
    assert [(row["baseline_swls_1"], row["baseline_swls_2"]) for row in table(found["wide.csv"])] == [("7", "")]


def test_an_instrument_whose_file_is_gone_is_refused_in_a_sentence(course: Course, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"swls\.1\.toml is gone"):
        study.export(course.desk.database, Shelf([]), course.desk.course_id, tmp_path / "study.zip", OPENS)
    assert not list(tmp_path.glob("*study*"))


def test_two_waves_that_make_the_same_column_are_refused(course: Course, tmp_path: Path) -> None:
    swls = find()["swls"]
    shelf = Shelf([swls, replace(swls, code="life_swls"), replace(swls, code="cams_life_swls")])
    for code, asked in (("post", "cams_life_swls"), ("post_cams", "life_swls")):
        plan = Plan(code, {"zh": code}, OPENS, OPENS + timedelta(days=1), (asked,), {})
        course.desk.write(partial(waves.add, shelf=shelf, course_id=course.desk.course_id, plan=plan, now=NOW))
    course.desk.write(lambda tx: tx.execute(sa.update(Wave).values(state="open")))
    with pytest.raises(Invalid, match="post_cams_life_swls_1"):
        study.export(course.desk.database, shelf, course.desk.course_id, tmp_path / "study.zip", OPENS)


def test_a_course_without_waves_and_people_is_exported_too(database_url: str, tmp_path: Path) -> None:
    with Desk(database_url) as desk:
        done = Course(desk).export(tmp_path / "study.zip")
    assert (done.people, done.waves, done.prorated, done.demonstration) == (0, 0, 0, ())
    found = files(tmp_path / "study.zip")
    assert found["wide.csv"].splitlines() == ["number"]
    assert "No scale was asked in demonstration wording" in found["notes.md"]


# Who may ------------------------------------------------------------------------------------------------------------------------------


def elsewhere(desk: Desk) -> Known:
    """A researcher of another course, and nobody here."""
    known = desk.person("别处的研究员", None)

    def enter(tx: Tx) -> None:
        other = courses.create(tx, desk.keyring, NOW, account_id=desk.account_id, code="other", title="另一门课")
        groups.enter(tx, groups.create(tx, other, code="dusk", name="暮色组"), known.id, Role.RESEARCHER, NOW)

    desk.write(enter)
    return known


def former(desk: Desk) -> Known:
    """Somebody who was a researcher here."""
    known = desk.person("以前的研究员", Role.RESEARCHER)
    desk.write(lambda tx: tx.execute(sa.update(Membership).where(Membership.person_id == known.id).values(ended_at=NOW)))
    return known


@pytest.mark.parametrize("role", [Role.RESEARCHER, Role.ADMINISTRATOR])
def test_researchers_and_administrators_of_the_course_may(course: Course, tmp_path: Path, role: Role) -> None:
    known = course.desk.person("王博士", role)
    course.export(tmp_path / "study.zip", asker=known.id)
    assert course.desk.read(on_record) == [(f"person:{known.id}", "export", f"course:{course.desk.course_id}")]


@pytest.mark.parametrize("who", [Role.PARTICIPANT, Role.LEADER, Role.ASSISTANT, Role.MENTOR, elsewhere, former, None])
def test_nobody_else_may_and_that_they_asked_is_on_record(course: Course, tmp_path: Path, who: Any) -> None:
    known = who(course.desk) if callable(who) and not isinstance(who, Role) else course.desk.person("某人", who)
    with pytest.raises(Forbidden) as refused:
        course.export(tmp_path / "study.zip", asker=known.id)
    assert isinstance(refused.value, AppError)
    assert "某人" not in refused.value.sentence
    assert not list(tmp_path.glob("*study*"))
    assert course.desk.read(on_record) == [(f"person:{known.id}", "export.refused", f"course:{course.desk.course_id}")]
    assert not course.desk.read(lambda tx: access.may_export(tx, known.id, course.desk.course_id))
