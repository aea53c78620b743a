"""Waves at the terminal: planned, listed, shown with whose words they speak, moved, taken back."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import time_machine

from app.assembly import assemble
from app.cli import moments
from app.questionnaires import waves
from app.settings import Settings
from tests.cli.conftest import Ended, Tongban, refused
from tests.cli.test_wordings import as_csv, filled

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
WINDOW = ("--opens", "2026-12-01 09:00", "--closes", "2026-12-08 19:00")
STATES = ["invited", "reached", "opened", "partial", "complete", "refused", "withdrawn", "ineligible", "window closed"]


@pytest.fixture(autouse=True)
def _today() -> Iterator[None]:
    with time_machine.travel(NOW, tick=True):
        yield


def add(course: Tongban, code: str = "baseline", *words: str) -> Ended:
    """A wave that is planned as it should be."""
    done = course("wave", "add", "msc-1", code, *WINDOW, *words)
    assert done.code == 0, done.err
    return done


def rows(shown: Ended, head: str) -> list[list[str]]:
    """The rows of the table that begins with this word."""
    lines = shown.out.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith(head))
    body = lines[begin + 1 :]
    return [line.split() for line in body[: body.index("") if "" in body else None]]


def test_a_wave_is_planned_in_the_zone_of_its_course(course: Tongban) -> None:
    done = add(course, "baseline", "--remind-after", "2", "--remind-after", "4", "--remind-hour", "20:30")
    assert "It opens at 2026-12-01 09:00 and closes at 2026-12-08 19:00 (Asia/Shanghai)." in done.out
    assert "reminded at 2026-12-03 20:30, 2026-12-05 20:30." in done.out
    course("course", "create", "berlin", "--title", "MSC", "--account", "msc", "--zone", "Europe/Berlin")
    done = course("wave", "add", "berlin", "post", *WINDOW)
    assert "2026-12-01 09:00 and closes at 2026-12-08 19:00 (Europe/Berlin)" in done.out
    assert [line[:2] for line in rows(course("wave", "list"), "course")] == [["berlin", "post"], ["msc-1", "baseline"]]
    assert [line[:2] for line in rows(course("wave", "list", "berlin"), "course")] == [["berlin", "post"]]


def test_before_the_course_the_form_comes_first_and_then_the_seven_in_their_order(course: Tongban) -> None:
    seven = ["scs", "cs24", "dass21", "focs", "swls", "shs", "cams_r"]
    for code, expected in (("baseline", ["intake", *seven]), ("post", seven)):
        add(course, code)
        assert [line[0] for line in rows(course("wave", "show", "msc-1", code), "instrument")] == expected
    add(course, "diary", "--instruments", "shs, SWLS")
    assert [line[0] for line in rows(course("wave", "show", "msc-1", "diary"), "instrument")] == ["shs", "swls"]


def test_titles_have_a_default_in_either_language_and_can_be_given(course: Tongban) -> None:
    add(course)
    assert "课程前问卷 / Questionnaires before the course" in course("wave", "show", "msc-1", "baseline").out
    add(course, "followup", "--title", "zh=半年后问卷")
    assert "半年后问卷 / Questionnaires" in course("wave", "show", "msc-1", "followup").out


def test_demonstration_wording_is_told_loudly_and_imported_wording_by_its_checksum(course: Tongban, tmp_path: Path) -> None:
    loud = add(course, "baseline")
    assert "DEMONSTRATION WORDING, never validated: scs, cs24, dass21" in loud.err
    assert "intake" not in loud.err
    assert "DEMONSTRATION WORDING" in course("wave", "list").out
    (tmp_path / "w.csv").write_text(as_csv(filled()), encoding="utf-8")
    assert course("instrument", "wording", "import", "w.csv").code == 0
    quiet = add(course, "post", "--instruments", "dass21")
    assert "DEMONSTRATION" not in quiet.err
    shown = course("wave", "show", "msc-1", "post")
    assert [line[:5] for line in rows(shown, "instrument")] == [["dass21", "1", "21", "week", "imported"]]
    assert "DEMONSTRATION" in course("wave", "show", "msc-1", "baseline").err
    assert course("wave", "remove", "msc-1", "baseline").code == 0
    add(course, "baseline", "--instruments", "dass21,shs", "--frame", "dass21=month")
    again = rows(course("wave", "show", "msc-1", "baseline"), "instrument")
    assert [line[3] for line in again if line[0] == "dass21"] == ["month"]


def test_the_counts_name_every_state_and_add_up(course: Tongban) -> None:
    add(course)
    _open(course)
    counts = rows(course("wave", "show", "msc-1", "baseline"), "people")
    assert [(int(number), " ".join(state)) for number, *state in counts] == [*((0, state) for state in STATES), (0, "in all")]


def _open(course: Tongban) -> None:
    """What a worker would do at the opening."""
    assembly = assemble(Settings(_env_file=None))  # type: ignore[call-arg]  # the rest comes from the environment
    opens = datetime(2026, 12, 1, 1, 0, tzinfo=UTC)
    with assembly.database as database:
        while database.write_now(lambda tx: waves.go_on(tx, assembly.tools, opens)):
            pass


def test_a_wave_is_moved_and_what_has_happened_is_not(course: Tongban) -> None:
    add(course, "baseline", "--remind-after", "2")
    done = course("wave", "move", "msc-1", "baseline", "--opens", "2026-12-02 09:00", "--closes", "2026-12-09 19:00")
    assert "opens at 2026-12-02 09:00 and closes at 2026-12-09 19:00" in done.out
    assert "reminded at 2026-12-04 19:00." in done.out
    assert course("wave", "move", "msc-1", "baseline", "--opens", "2026-12-01 09:00").code == 0
    _open(course)
    assert "It is open." in course("wave", "show", "msc-1", "baseline").out
    assert "cannot be moved" in refused(course("wave", "move", "msc-1", "baseline", "--opens", "2026-12-02 09:00"))
    assert "tongban wave move" in refused(course("wave", "remove", "msc-1", "baseline"))
    assert course("wave", "move", "msc-1", "baseline", "--closes", "2026-12-20 19:00").code == 0


def test_a_reminder_that_would_come_too_late_is_told(course: Tongban) -> None:
    done = add(course, "baseline", "--remind-after", "2", "--remind-after", "7")
    assert "2026-12-03 19:00, 2026-12-08 19:00 (OUTSIDE THE WINDOW: never sent)." in done.out
    assert "Nobody is reminded" in add(course, "post").out


def test_rules_are_shown_as_they_were_given(course: Tongban) -> None:
    add(course, "baseline", "--late", "keep", "--skips", "--shuffled")
    shown = course("wave", "show", "msc-1", "baseline").out
    assert "What comes late is kept and marked; questions may be left out; each person has an order of their own." in shown
    add(course, "post")
    assert "What comes late is refused." in course("wave", "show", "msc-1", "post").out


def test_moments_are_read_as_people_write_them_and_years_ahead_by_day_and_hour(course: Tongban) -> None:
    done = course("wave", "add", "msc-1", "a", "--opens", "明天 9:00", "--closes", "2028-03-01 20:00", "--instruments", "shs")
    assert "opens at 2026-11-24 09:00 and closes at 2028-03-01 20:00" in done.out
    assert course("wave", "add", "msc-1", "b", "--opens", "2026-11-20 09:00", "--closes", "2026-12-01 09:00").code == 0
    zone = "Europe/Berlin"  # its clocks skip two o'clock on 28 March 2027
    assert moments.shown(moments.any_time("--at", "2027-03-28 02:30", zone), zone) == "2027-03-28 03:30"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("add", "nothing", "baseline", *WINDOW), "Which course?"),
        (("add", "msc-1", "BASE LINE", *WINDOW), "small letters"),
        (("add", "msc-1", "a", "--opens", "soon", "--closes", "2026-12-08 19:00"), "--opens 'soon' does not work"),
        (("add", "msc-1", "a", "--opens", "2026-02-30 09:00", "--closes", "2026-12-08 19:00"), "no such moment"),
        (("add", "msc-1", "a", "--opens", "2026-12-08 19:00", "--closes", "2026-12-08 19:00"), "closes after it opens"),
        (("add", "msc-1", "a", "--opens", "2026-11-01 09:00", "--closes", "2026-11-02 09:00"), "over already"),
        (("add", "msc-1", "a", *WINDOW, "--instruments", "scs,mood"), "no instrument 'mood'"),
        (("add", "msc-1", "a", *WINDOW, "--instruments", ","), "at least one"),
        (("add", "msc-1", "a", *WINDOW, "--title", "问卷"), "--title zh="),
        (("add", "msc-1", "a", *WINDOW, "--title", "fr=Questions"), "correct --title"),
        (("add", "msc-1", "a", *WINDOW, "--frame", "dass21"), "--frame dass21=week"),
        (("add", "msc-1", "a", *WINDOW, "--frame", "dass21=year"), "does not ask about 'year'"),
        (("add", "msc-1", "a", *WINDOW, "--remind-after", "-1"), "some days after"),
        (("add", "msc-1", "a", *WINDOW, "--remind-hour", "25:00"), "write it like 19:00"),
        (("add", "msc-1", "a", *WINDOW, "--late", "perhaps"), "keep, refuse"),
        (("list", "nothing"), "Which course?"),
        (("show", "msc-1", "nothing"), "tongban wave list"),
        (("move", "msc-1", "nothing", "--closes", "2026-12-08 19:00"), "tongban wave list"),
        (("move", "msc-1", "baseline"), "--opens or --closes"),
        (("remove", "msc-1", "nothing"), "tongban wave list"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_command_refuses_in_one_sentence(words: tuple[str, ...], says: str, course: Tongban) -> None:
    assert says in refused(course("wave", *words))


def test_the_same_code_twice_is_refused(course: Tongban) -> None:
    add(course)
    assert "already" in refused(course("wave", "add", "msc-1", "baseline", *WINDOW))


def test_without_waves_the_list_says_how_to_plan_one(course: Tongban) -> None:
    assert "tongban wave add" in course("wave", "list").out


@pytest.mark.parametrize(
    "words",
    [
        ("--opens", "0001-01-01 00:00", "--closes", "2026-12-08 19:00"),
        ("--opens", "2026-12-01 09:00", "--closes", "9999-12-31 23:59"),
        ("--opens", "9999-12-31 23:00", "--closes", "9999-12-31 23:59"),
        (*WINDOW, "--remind-after", "99999999"),
        (*WINDOW, "--remind-after", "999999999999"),
        (*WINDOW, "--remind-after", str(10**30)),
    ],
)
def test_moments_at_the_edge_of_the_calendar_are_refused_in_a_sentence(course: Tongban, words: tuple[str, ...]) -> None:
    assert re.search("correct|no such moment", refused(course("wave", "add", "msc-1", "edge", *words)))
    assert "There are no waves yet" in course("wave", "list").out
