"""What is kept of a course that is over: its calendar, words and counts in one file, and nothing of any participant."""

import csv
import io
import json
import stat
import zipfile
from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import ids
from app.courses import archive, occasions
from app.db import Tx
from app.errors import Conflict
from app.models import Attendance, Audit, CheckIn, Delivery
from app.people import Known
from tests.delivery.prompting import plan
from tests.delivery.scene import NOW, Desk
from tests.delivery.test_attendance import DAY, FIRST, School

LATER = NOW + timedelta(weeks=14)


def practised(desk: Desk, person: Known, days: list[date]) -> None:
    """Check-ins; two of one day are one day."""

    def work(tx: Tx) -> None:
        kept = {"course_id": desk.course_id, "person_id": person.id, "noted_at": NOW}
        values = [{"id": ids.new_id(), "day": day, "practice": code, **kept} for day in days for code in ("breath", "walk")]
        tx.execute(sa.insert(CheckIn), values)

    desk.write(work)


def came(desk: Desk, gathering: int, person: Known, how: str = "word") -> None:
    values = {"gathering_id": gathering, "person_id": person.id, "how": how, "at": NOW}
    desk.write(lambda tx: tx.execute(sa.insert(Attendance).values(**values)).rowcount)


def written(desk: Desk, folder: Path, **more: bool) -> dict[str, str]:
    """The files of the archive."""
    path = folder / "course.zip"
    archive.write(desk.database, desk.keyring, desk.course_id, path, LATER, **more)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with zipfile.ZipFile(path) as packed:
        return {name: packed.read(name).decode("utf-8-sig") for name in packed.namelist()}


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def end(desk: Desk) -> None:
    desk.write(lambda tx: occasions.end(tx, desk.course_id, LATER))


def test_it_tells_what_was_and_how_many_and_names_nobody(database_url: str, tmp_path: Path) -> None:
    with Desk(database_url) as desk:
        school = School(desk)
        rain, fang = school.person("张小雨的名字"), school.person("王芳的名字")
        gone = school.person("走了的名字", group=school.dusk)
        first, _, _ = school.gathering("class", 1)
        came(desk, first, rain)
        came(desk, first, fang, "made_up")
        practised(desk, rain, [FIRST, FIRST + DAY, FIRST + 7 * DAY])
        practised(desk, fang, [FIRST])
        practised(desk, gone, [FIRST - DAY])
        desk.plan("=周五见，{张三}", at=NOW + timedelta(hours=2))
        desk.fire(NOW + timedelta(hours=2))
        desk.write(lambda tx: tx.execute(sa.update(Delivery).values(state="sent")).rowcount)
        plan(desk, "一起坐一会儿。", now=NOW)
        end(desk)
        files = written(desk, tmp_path)
        assert json.loads(files["course.json"])["code"] == "msc-8-week"
        classes = [row for row in table(files["calendar.csv"]) if row["kind"] == "class"]
        assert len(classes) == 8
        assert (classes[0]["came"], classes[0]["made_up"], classes[0]["starts_at"][:10]) == ("1", "1", FIRST.isoformat())
        practice = [(row["group"], row["week"], row["people"], row["days"]) for row in table(files["practice.csv"])]
        assert practice == [("dawn", "1", "2", "3"), ("dawn", "2", "1", "1"), ("dusk", "0", "1", "1")]
        said = table(files["announcements.csv"])[0]
        assert said["words"] == "'=周五见，{张三}"
        assert (said["group"], said["state"], said["recipients"], said["reached"]) == ("dawn", "fired", "2", "2")
        assert table(files["prompts.csv"])[0]["words"] == "一起坐一会儿。"
        assert {row["kind"]: row["sent"] for row in table(files["messages.csv"])}["announcement"] == "2"
        seats = {row["group"]: (row["participants"], row["ever"]) for row in table(files["groups.csv"])}
        assert (seats["dawn"], seats["dusk"]) == (("2", "2"), ("1", "1"))
        everything = "".join(files.values())
        numbers = desk.read(lambda tx: list(tx.execute(sa.text("SELECT number FROM participants")).scalars()))
        assert len(numbers) == 3
        assert not [word for word in ("小雨的名字", "王芳的名字", "走了的名字", *numbers) if word in everything]


def test_a_course_that_runs_or_never_had_a_calendar_is_not_archived(database_url: str, tmp_path: Path) -> None:
    with Desk(database_url) as desk:
        with pytest.raises(Conflict, match="never had a calendar"):
            written(desk, tmp_path)
        School(desk)
        with pytest.raises(Conflict, match="still runs"):
            written(desk, tmp_path)
        assert list(tmp_path.glob("*.zip")) == []
        end(desk)
        written(desk, tmp_path)
        with pytest.raises(Conflict, match="exists already"):
            written(desk, tmp_path)
        written(desk, tmp_path, over=True)
        actions = desk.read(lambda tx: list(tx.execute(sa.select(Audit.action).where(Audit.action == "course.archive")).scalars()))
        assert len(actions) == 2
