"""The calendar from the terminal: planned before anything exists, started, moved, called off; each change is shown before it is made."""

from pathlib import Path

from tests.cli.conftest import Tongban, refused

START = ("course", "start", "msc-1", "msc-8-week", "--start", "2027-03-01", "--yes")


def test_a_course_file_is_planned_before_anything_exists(tongban: Tongban) -> None:
    done = tongban("course", "plan", "msc-8-week", "--start", "2027-03-01", "--skip", "2027-04-05..2027-04-06")
    assert done.code == 0
    assert "2027-03-01 19:30" in done.out
    assert "class 8" in done.out
    assert "wave baseline opens" in done.out
    assert "2027-04-05 19:30" not in done.out, "nothing is on a day without classes"
    assert "2027-04-26 19:30" in done.out, "and everything after it comes a week later"


def test_the_calendar_of_a_course_is_started_moved_and_called_off(course: Tongban) -> None:
    started = course(*START)
    assert (started.code, started.err) == (0, "")
    again = course(*START)
    assert again.code == 1
    assert "has its calendar already" in again.err
    moved = course("course", "move", "msc-1", "class", "3", "1 day later", typed="y\n")
    assert moved.code == 0, moved.err
    assert "class.3.day-before" in moved.out
    assert "moves" in moved.out
    assert "2027-03-16 19:30" in course("course", "calendar", "msc-1").out
    back = course("course", "move", "msc-1", "class", "3", "1 day earlier", "--yes")
    assert "2027-03-15 19:30" in course("course", "calendar", "msc-1").out
    assert back.code == 0
    off = course("course", "call-off", "msc-1", "meeting", "4", "--yes")
    assert "falls away" in off.out
    assert "called off" in course("course", "calendar", "msc-1").out


def test_a_class_does_not_jump_over_the_next_one(course: Tongban) -> None:
    course(*START)
    refused = course("course", "move", "msc-1", "class", "3", "8 days later", "--yes")
    assert refused.code == 1
    assert "--and-later" in refused.err
    assert course("course", "move", "msc-1", "class", "3", "8 days later", "--and-later", "--yes").code == 0
    assert "2027-04-27 19:30" in course("course", "calendar", "msc-1").out


def test_a_change_that_is_not_confirmed_is_not_made(course: Tongban) -> None:
    course(*START)
    before = course("course", "calendar", "msc-1").out
    assert course("course", "move", "msc-1", "class", "3", "1 day later", typed="n\n").code == 1
    assert course("course", "calendar", "msc-1").out == before


def test_what_does_not_fit_is_refused_with_its_remedy(course: Tongban) -> None:
    for words, remedy in (
        (("course", "plan", "nothing", "--start", "2027-03-01"), "msc-8-week"),
        (("course", "plan", "msc-8-week", "--start", "2027-02-30"), "2027-03-01"),
        (("course", "plan", "msc-8-week", "--start", "2027-03-01", "--zone", "Mars/Base"), "Asia/Shanghai"),
        (("course", "plan", "msc-8-week", "--start", "2027-03-01", "--skip", "2027-03-09..2027-03-01"), "earlier day"),
        (("course", "start", "msc-1", "msc-8-week", "--start", "2027-03-01", "--evening", "nowhere=wed 19:30"), "dawn"),
        (("course", "start", "msc-1", "msc-8-week", "--start", "2021-03-01", "--yes"), "start date"),
        (("course", "move", "msc-1", "class", "3", "1 day later"), "tongban course"),
    ):
        done = course(*words)
        assert done.code == 1, words
        assert remedy in done.err, (words, done.err)


def test_groups_may_have_evenings_of_their_own(course: Tongban) -> None:
    course("group", "create", "dusk", "--name", "晚霞组")
    started = course(*START[:-1], "--evening", "dawn=wed 18:30", "--evening", "dusk=thu 20:00", "--yes")
    assert started.code == 0, started.err
    shown = course("course", "calendar", "msc-1").out
    assert "2027-03-03 18:30" in shown
    assert "2027-03-04 20:00" in shown
    only = course("course", "move", "msc-1", "class", "2", "1 day later", "--group", "dusk", "--yes")
    assert only.code == 0, only.err
    shown = course("course", "calendar", "msc-1").out
    assert "2027-03-12 20:00" in shown
    assert "2027-03-10 18:30" in shown


def test_a_course_is_archived_when_it_is_over_and_not_before(course: Tongban, tmp_path: Path) -> None:
    course(*START)
    file = str(tmp_path / "kept.zip")
    assert "`tongban course end`" in refused(course("course", "archive", "msc-1", file))
    assert course("course", "end", "msc-1", "--yes").code == 0
    assert "6 tables" in course("course", "archive", "msc-1", file).out
    assert "--force" in refused(course("course", "archive", "msc-1", file))
    assert course("course", "archive", "msc-1", file, "--force").code == 0
    assert "folder" in refused(course("course", "archive", "msc-1", str(tmp_path)))
