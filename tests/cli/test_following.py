"""The operator asks for answers, sees them, asks once more and takes no more of them, from the terminal."""

import pytest
import sqlalchemy as sa

from app import clock, groups, people, polls
from app.assembly import assemble
from app.db import Tx
from app.models import Course, Delivery, Group
from app.schedules import fire_next
from app.settings import Settings
from app.states import State
from bots.turns import Role
from tests.cli.conftest import Tongban, refused

NAMES = ("小雨", "王芳", "阿木")


@pytest.fixture
def asked(course: Tongban) -> Tongban:
    """The same terminal, with three people who were asked for their city; the first has answered."""
    with_people(0)
    done = course("announce", "止语半日在哪个城市？", "--group", "dawn", "--poll", "北京|郑州", "--until", "tomorrow 20:00", "--yes")
    assert done.code == 0, done.err
    assert "It asks for one of: 北京, 郑州." in done.out
    with_people(1)
    return course


def with_people(step: int) -> None:
    """0: people are in the group; 1: the announcement has gone out, and the first of them answers."""
    assembly = assemble(Settings())  # type: ignore[call-arg]  # from the environment of the test
    keyring = assembly.tools.keyring

    def join(tx: Tx) -> None:
        account, course_id = tx.execute(sa.select(Course.account_id, Course.id)).one()
        group = tx.execute(sa.select(Group.id).where(Group.code == "dawn")).scalar_one()
        for place, name in enumerate(NAMES):
            known = people.meet(tx, keyring, account, f"oPerson_{place}", clock.now())
            people.rename(tx, known, name)
            people.consent(tx, known.id, course_id, "template-2", ("online",), clock.now())
            groups.enter(tx, group, known.id, Role.PARTICIPANT, clock.now())

    def answer(tx: Tx) -> None:
        schedule = fire_next(tx, keyring, clock.now())
        assert schedule is not None
        tx.execute(sa.update(Delivery).values(state=State.SENT))
        first = tx.execute(sa.select(sa.func.min(Delivery.person_id))).scalar_one()
        polls.answer(tx, keyring, first, schedule, 2, clock.now())

    with assembly.database as database:
        database.write_now(join if step == 0 else answer)


def test_progress_shows_counts_and_names_who_is_silent(asked: Tongban) -> None:
    shown = asked("progress", "1").out
    assert "Asked 3, answered 1; closes " in shown
    assert "  0 北京\n  1 郑州: 小雨\n  2 no answer yet: 王芳, 阿木\n" in shown


def test_a_follow_up_goes_to_who_is_silent_after_it_was_asked_for(asked: Tongban) -> None:
    assert "nothing was done" in asked("follow-up", "1", typed="n\n").err.splitlines()[-1]
    done = asked("follow-up", "1", "明天就截止了", typed="y\n")
    assert "2 have not answered; 2 of them would be asked once more." in done.out
    assert "On its way to 2." in done.out
    assert "last follow-up" in asked("progress", "1").out
    assert "last ten minutes" in refused(asked("follow-up", "1", "--yes"))
    assert "holds at most" in refused(asked("follow-up", "1", "长" * 600, "--yes"))


def test_closing_takes_no_more_answers(asked: Tongban) -> None:
    assert "takes no more answers" in asked("close-poll", "1").out
    assert "no answers now" in refused(asked("close-poll", "1"))
    assert "takes no answers" in refused(asked("follow-up", "1", "--yes"))
    assert "answered 1; closed " in asked("progress", "1").out


def test_what_asks_nothing_cannot_be_followed_up(course: Tongban) -> None:
    course("announce", "今晚见", "--group", "dawn", "--yes")
    assert "asks for no answers" in refused(course("follow-up", "1", "--yes"))
    assert "no such poll" in refused(course("close-poll", "1"))
    assert "no single announcement 7" in refused(course("follow-up", "7", "--yes"))
    assert "Asked" not in course("progress", "1").out


def test_a_got_it_tap_is_announced(course: Tongban) -> None:
    done = course("announce", "今晚见", "--group", "dawn", "--got-it", "--yes")
    assert 'It asks for a "got it" tap.' in done.out
    assert "Asked 0, answered 0" in course("progress", "1").out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--poll", "北京"), "2 to 8"),
        (("--poll", "|"), "2 to 8"),
        (("--poll", "一|二|三|四|五|六|七|八|九"), "2 to 8"),
        (("--poll", "北京|郑州", "--got-it"), "one thing"),
        (("--until", "tomorrow 20:00"), "--got-it or --poll"),
        (("--got-it", "--until", "tomorrow 8:00", "--at", "tomorrow 9:00"), "choose a later end"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_remedy(course: Tongban, words: tuple[str, ...], says: str) -> None:
    assert says in refused(course("announce", "去哪？", "--group", "dawn", "--yes", *words))
    assert "no announcements" in course("progress").out
