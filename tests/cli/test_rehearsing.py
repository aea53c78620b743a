"""A rehearsal plays a whole course with people who do not exist, and touches neither the course nor anybody real."""

import csv
from pathlib import Path

from tests.cli.conftest import Tongban


def test_a_course_is_played_to_its_end_and_every_message_has_one_state(course: Tongban, tmp_path: Path) -> None:
    course("course", "start", "msc-1", "two-week-pilot", "--start", "2027-03-01", "--yes")
    before = course("course", "calendar", "msc-1", "--all").out
    done = course("rehearse", "msc-1", "--people", "5", "--out", "report")
    assert (done.code, done.err) == (0, "")
    assert course("course", "calendar", "msc-1", "--all").out == before, "the course itself is as it was"
    folder = tmp_path / "report" / "msc-1"
    with (folder / "messages.csv").open(encoding="utf-8-sig") as lines:
        messages = list(csv.DictReader(lines))
    assert {each["habit"] for each in messages} >= {"eager", "average", "staff"}
    assert all(each["state"] for each in messages)
    assert not {"ready", "claimed", "sending", "unknown", "failed"} & {each["state"] for each in messages}
    with (folder / "occasions.csv").open(encoding="utf-8-sig") as lines:
        occasions = {each["occasion"]: each for each in csv.DictReader(lines)}
    assert occasions["class.1.day-before"]["state"] == "fired"
    assert int(occasions["class.1.day-before"]["people"]) == 5 + 4, "participants, leader, two assistants, administrator"
    page = (folder / "rehearsal.html").read_text(encoding="utf-8")
    assert "every call agrees with WeChat" in page
    assert "class.2.day-before" in page


def test_a_course_without_a_calendar_cannot_be_rehearsed(course: Tongban) -> None:
    done = course("rehearse", "msc-1")
    assert done.code == 1
    assert "tongban course start" in done.err
