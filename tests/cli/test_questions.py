"""`tongban question` and `tongban staff hand-over | end | absent`: everything from the terminal, names and words only on demand."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
import time_machine

from app import accounts, clock, courses, groups, ids, people
from app.assembly import assemble
from app.backup import aftermath
from app.db import Tx
from app.models import Audit, Question
from app.questions import asking, calling
from app.settings import Settings
from bots.turns import Role
from tests.cli.conftest import Tongban, refused

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
NAME, WORDS, ANSWER = "小雨同学", "我能躺着练吗", "当然可以"
CREW = {"李老师": Role.LEADER, "小王": Role.ASSISTANT, NAME: Role.PARTICIPANT}


@pytest.fixture(autouse=True)
def _today() -> Iterator[None]:
    with time_machine.travel(NOW, tick=True):
        yield


def in_rows(work: Callable[[Tx], object]) -> None:
    with assemble(Settings()).database as database:  # type: ignore[call-arg]  # from the environment of the test
        database.write_now(work)


def meet(tx: Tx, name: str, role: Role, group: str = "dawn") -> int:
    """Somebody in a group."""
    keyring = assemble(Settings()).tools.keyring  # type: ignore[call-arg]  # from the environment of the test
    known = people.meet(tx, keyring, accounts.by_name(tx, "msc"), f"oPerson_{name.encode().hex()[:40]}", clock.now())
    people.rename(tx, known, name)
    groups.enter(tx, groups.by_code(tx, group), known.id, role, clock.now())
    return known.id


@pytest.fixture
def asked(course: Tongban) -> Tongban:
    """A terminal, and a question of a member of the group."""

    def work(tx: Tx) -> None:
        keyring = assemble(Settings()).tools.keyring  # type: ignore[call-arg]  # from the environment of the test
        crew = {name: meet(tx, name, role) for name, role in CREW.items()}
        asking.ask(
            tx, keyring, crew[NAME], accounts.by_name(tx, "msc"), groups.by_code(tx, "dawn"), ids.new_id(), WORDS, NOW - timedelta(hours=3)
        )

    in_rows(work)
    return course


def state() -> list[str]:
    found: list[str] = []
    in_rows(lambda tx: found.extend(tx.execute(sa.select(Question.state).order_by(Question.number)).scalars()))
    return found


def audited(action: str) -> list[str]:
    found: list[str] = []
    in_rows(lambda tx: found.extend(tx.execute(sa.select(Audit.actor).where(Audit.action == action)).scalars()))
    return found


def test_what_waits_is_listed_without_a_name_and_without_a_word(course: Tongban, asked: Tongban) -> None:
    shown = asked("question", "list")
    head, line = shown.out.splitlines()
    assert head.split() == ["no.", "course", "group", "asked", "state", "next", "by", "itself"]
    assert line.split()[:3] == ["1", "msc-1", "dawn"]
    assert "(3 hours ago)" in line
    assert "open" in line
    assert "called again 2026-11-24 07:00Z" in line
    assert "msc-1" in asked("question", "list", "--course", "msc-1").out
    for secret in (NAME, WORDS, "李老师"):
        assert secret not in shown.out


def test_where_nothing_waits_that_is_said(course: Tongban) -> None:
    assert "Nothing waits" in course("question", "list").out
    assert "Nobody has asked" in course("question", "list", "--all").out


def test_names_and_words_are_shown_only_when_asked_for_and_that_is_noted(asked: Tongban) -> None:
    plain = asked("question", "show", "1")
    assert NAME not in plain.out
    assert WORDS not in plain.out
    assert "tongban question show 1 --reveal" in plain.out
    assert audited("question.reveal") == []
    opened = asked("question", "show", "1", "--reveal")
    assert NAME in opened.out
    assert WORDS in opened.out
    assert audited("question.reveal") == ["operator"]
    assert "There is no single question 9" in refused(asked("question", "show", "9"))


def test_the_operator_answers_for_a_leader_or_as_the_team(asked: Tongban) -> None:
    assert "is answered" in asked("question", "answer", "1", "-", "--as", "小王", typed=f"{ANSWER}\n").out
    assert state() == ["answered"]
    shown = asked("question", "show", "1", "--reveal").out
    assert "answer by 小王: 当然可以" in shown
    assert audited("question.answer") == ["operator"]
    assert "Somebody has taken question 1" in refused(asked("question", "answer", "1", ANSWER))
    assert "Somebody has taken question 1" in refused(asked("question", "answer", "1", ANSWER, "--as", "李老师"))


def test_an_answer_as_the_team_names_the_team(asked: Tongban) -> None:
    assert asked("question", "answer", "1", ANSWER).code == 0
    assert "answer by the course team" in asked("question", "show", "1", "--reveal").out
    assert "Nothing waits" in asked("question", "list").out
    assert "answered" in asked("question", "list", "--all").out


def test_f2_a_leader_of_another_group_answers_nothing_from_the_terminal_either(asked: Tongban) -> None:
    asked("group", "create", "dusk", "--name", "暮色组")
    in_rows(lambda tx: meet(tx, "陈老师", Role.LEADER, "dusk"))
    for who in ("陈老师", NAME):
        assert "neither leader nor assistant" in refused(asked("question", "answer", "1", ANSWER, "--as", who))
    assert state() == ["open"]


@pytest.mark.parametrize(("text", "typed"), [("-", ""), ("  ", ""), ("字" * 601, ""), ("-", b"\xff\xfe"), ("-", "x" * 70_000)])
def test_an_answer_that_cannot_be_sent_is_one_sentence(asked: Tongban, text: str, typed: str | bytes) -> None:
    assert refused(asked("question", "answer", "1", text, typed=typed))
    assert state() == ["open"]


def test_after_a_restore_a_question_is_called_for_by_hand(asked: Tongban) -> None:
    keyring = assemble(Settings()).tools.keyring  # type: ignore[call-arg]  # from the environment of the test
    in_rows(lambda tx: aftermath.hold_everything(tx, keyring, [], NOW, NOW))
    assert "nothing: tongban question call 1" in asked("question", "list").out
    assert "2 people are called for question 1." in asked("question", "call", "1").out
    in_rows(lambda tx: _is(calling.any_due(tx, NOW + timedelta(hours=23)), expected=False))
    asked("question", "answer", "1", ANSWER)
    assert "is answered" in refused(asked("question", "call", "1"))


def _is(value: bool, *, expected: bool) -> None:
    assert value is expected


# -- staff


def test_a_group_is_handed_over_and_what_went_is_said(asked: Tongban) -> None:
    done = asked("staff", "hand-over", "李老师", "小王", "--group", "dawn")
    assert "Handed over to 小王: 0 planned announcements, 0 practice prompts, 0 questions." in done.out
    assert "李老师 is staff of dawn no longer." in done.out
    assert "dawn" not in asked("person", "find", "李老师").out
    again = refused(asked("staff", "hand-over", "李老师", "小王", "--group", "dawn"))
    assert "neither leader nor assistant" in again
    assert "no staff of this course yet" in refused(asked("staff", "hand-over", "小王", NAME, "--group", "dawn"))
    assert "no single person" in refused(asked("staff", "hand-over", "小王", "谁也不是", "--group", "dawn"))
    assert "no single group" in refused(asked("staff", "hand-over", "小王", "李老师", "--group", "dusk"))


def test_a_role_is_ended_after_a_yes(asked: Tongban) -> None:
    assert asked("staff", "end", "小王", "--group", "dawn", typed="n\n").err.strip().endswith("Stopped; nothing was done.")
    assert "no longer" in asked("staff", "end", "小王", "--group", "dawn", "--yes").out
    assert "neither leader nor assistant" in refused(asked("staff", "end", "小王", "--group", "dawn", "--yes"))


def test_an_absence_is_noted_listed_and_ended(asked: Tongban) -> None:
    away = asked("staff", "absent", "李老师", "--group", "dawn", "--cover", "小王", "--from", "tomorrow", "--until", "Friday")
    assert "from 2026-11-24 00:00 until 2026-11-28 00:00 Asia/Shanghai; 小王 covers." in away.out
    assert asked("staff", "absences").out.splitlines()[1].split()[:3] == ["dawn", "李老师", "小王"]
    assert "is there again" in asked("staff", "back", "李老师").out
    assert asked("staff", "absences").out == "Nobody is away.\n"
    assert "is not away" in refused(asked("staff", "back", "李老师"))


@pytest.mark.parametrize(
    ("who", "cover", "until", "sentence"),
    [
        ("小王", "李老师", "Friday", "does not lead"),
        (NAME, "小王", "Friday", "does not lead"),
        ("李老师", NAME, "Friday", "cannot cover"),
        ("李老师", "李老师", "Friday", "cannot cover"),
        ("李老师", "小王", "someday", "does not work"),
        ("李老师", "小王", "2027-06-01", "60 days"),
    ],
)
def test_an_absence_that_cannot_be_is_one_sentence(asked: Tongban, who: str, cover: str, until: str, sentence: str) -> None:
    done = asked("staff", "absent", who, "--group", "dawn", "--cover", cover, "--until", until)
    assert sentence in refused(done)
    assert asked("staff", "absences").out == "Nobody is away.\n"


def test_courses_are_told_apart_where_both_number_from_one(asked: Tongban) -> None:
    asked("course", "create", "msc-2", "--title", "静心", "--account", "msc")
    asked("group", "create", "dusk", "--course", "msc-2", "--name", "暮色组")

    def work(tx: Tx) -> None:
        keyring = assemble(Settings()).tools.keyring  # type: ignore[call-arg]  # from the environment of the test
        asker = meet(tx, "王芳", Role.PARTICIPANT, "dusk")
        meet(tx, "陈老师", Role.LEADER, "dusk")
        asking.ask(tx, keyring, asker, accounts.by_name(tx, "msc"), groups.by_code(tx, "dusk"), ids.new_id(), "第二门课", NOW)
        assert courses.by_code(tx, "msc-2")

    in_rows(work)
    assert "name the course with --course" in refused(asked("question", "show", "1"))
    assert "course msc-2, group dusk" in asked("question", "show", "1", "--course", "msc-2").out
