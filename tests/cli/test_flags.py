"""`tongban flags`: the clock of every flag for whoever runs the service; who it is about only for whoever asks, and that is noted."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from app import accounts, clock, courses, flags, groups, people
from app.assembly import assemble
from app.db import Tx
from app.models import Audit, Flag
from app.settings import Settings
from app.situation import Situation
from bots.turns import Role
from tests.cli.conftest import Tongban, refused

NAME, WORDS, NOTE, LAST = "小雨同学", "我不想活了，药在抽屉里", "电话里说她和妹妹在一起", "周五去见张医生"
SECRETS = (NAME, WORDS, NOTE, LAST)


def in_rows(work: Callable[[Tx], None]) -> None:
    with assemble(Settings()).database as database:  # type: ignore[call-arg]  # from the environment of the test
        database.write_now(work)


def flag(rule: str = "not_living", words: str = WORDS, ago: timedelta = timedelta(hours=3)) -> None:
    """A flag about `NAME`, who is met on the first one, raised some time ago; 林老师 is on call."""
    tools = assemble(Settings()).tools  # type: ignore[call-arg]  # from the environment of the test

    def work(tx: Tx) -> None:
        account, now = accounts.by_name(tx, "msc"), clock.now()
        known = people.meet(tx, tools.keyring, account, "oXiaoyu_1", now)
        if known.name is None:
            people.rename(tx, known, NAME)
            leader = people.meet(tx, tools.keyring, account, "oLin_1", now)
            people.rename(tx, leader, "林老师")
            course, group = courses.by_code(tx, "msc-1"), groups.by_code(tx, "dawn")
            groups.enter(tx, group, known.id, Role.PARTICIPANT, now)
            groups.enter(tx, group, leader.id, Role.LEADER, now)
            flags.add_on_call(tx, tools.keyring, course, person_id=leader.id, email="a@example.org", webhook=None, now=now)
        flags.raise_flag(tx, tools, Situation(account, known, people.view(tx, known), 0, now - ago, words), rule)

    in_rows(work)


def audited(action: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    query = sa.select(Audit.actor, Audit.subject).where(Audit.action == action)
    in_rows(lambda tx: found.extend((row.actor, row.subject) for row in tx.execute(query)))
    return found


def safe(done: str) -> str:
    """What a command said, when it says nothing of the person."""
    assert [secret for secret in SECRETS if secret in done] == []
    return done


def test_a_flag_is_listed_taken_logged_and_closed_and_no_word_of_it_is_shown(course: Tongban) -> None:
    assert "No flag is open" in course("flags", "list").out
    assert "There is no flag" in course("flags", "list", "--all").out
    flag()
    head, line = safe(course("flags", "list").out).splitlines()
    assert re.split(r"\s{2,}", head) == ["no.", "course", "sign", "raised", "taken", "contacts", "closed"]
    assert re.fullmatch(r"1 +msc-1 +not wanting to live +\d{4}-\d\d-\d\d \d\d:\d\dZ \(3 hours ago\) +not yet +0", line), line
    assert "不想活下去" in course("flags", "list", "--language", "zh").out
    assert "zh or en" in refused(course("flags", "list", "--language", "fr"))

    early = course("flags", "contact", "1", "--note", "-", typed=f"{NOTE}\n")
    assert "contact 1 of flag 1" in safe(early.out)
    assert "tongban flags take 1" in early.err
    assert "tongban flags take 1" in refused(course("flags", "close", "1", "--note", LAST))
    assert "Flag 1 is taken over" in safe(course("flags", "take", "1").out)
    assert "was taken over before" in refused(course("flags", "take", "1"))
    later = course("flags", "contact", "1", "--note", NOTE)
    assert (later.err, "contact 2 of flag 1" in safe(later.out)) == ("", True)
    assert "after 3 hours" in safe(course("flags", "list").out)

    assert "Flag 1 is closed." in safe(course("flags", "close", "1", "--note", "-", typed=LAST).out)
    assert "was closed at" in refused(course("flags", "close", "1", "--note", LAST))
    assert "new cry" in refused(course("flags", "contact", "1", "--note", NOTE))
    assert "No flag is open" in course("flags", "list").out
    assert re.search(r" 2 +\d{4}-\d\d-\d\d \d\d:\d\dZ$", safe(course("flags", "list", "--all").out), re.MULTILINE)
    assert audited("flag.reveal") == []


def test_show_tells_who_it_is_only_when_asked_and_writes_that_down(course: Tongban) -> None:
    flag()
    flag("suicide", ago=timedelta(hours=3, minutes=-5))
    assert course("flags", "take", "1", "--as", "林").code == 0
    course("flags", "contact", "1", "--note", NOTE)
    shown = safe(course("flags", "show", "1").out)
    for word in (
        "1, course msc-1",
        "not wanting to live",
        "thoughts of suicide",
        "called    once\n",
        "after 3 hours, by person ",
        "--reveal",
    ):
        assert word in shown, shown
    assert "林老师" not in shown
    assert audited("flag.reveal") == []
    course("flags", "close", "1", "--note", LAST)
    opened = course("flags", "show", "1", "--reveal").out
    assert [secret for secret in SECRETS if secret not in opened] == []
    found: list[int] = []
    in_rows(lambda tx: found.append(tx.execute(sa.select(Flag.id)).scalar_one()))
    assert audited("flag.reveal") == [("operator", f"flag:{found[0]}")]
    for words in (("show", "7"), ("show", "7", "--reveal"), ("take", "7"), ("close", "7", "--note", "x"), ("contact", "7", "--note", "x")):
        assert "no flag 7" in refused(course("flags", *words))
    assert len(audited("flag.reveal")) == 1


def test_whoever_is_named_must_be_on_call(course: Tongban) -> None:
    flag()
    assert "tongban oncall list" in refused(course("flags", "take", "1", "--as", NAME))
    assert "no single person" in refused(course("flags", "take", "1", "--as", "王"))
    assert course("flags", "take", "1", "--as", "林老师").code == 0
    assert "was taken over before" in refused(course("flags", "take", "1"))
    assert [actor for actor, _ in audited("flag.take")] == ["operator"]


def test_of_a_flag_that_answers_raised_neither_answer_nor_score_is_shown(course: Tongban) -> None:
    flag("answers_score", words="非常符合，大多时候这样")
    everything = course("flags", "list").out + course("flags", "show", "1").out + course("flags", "show", "1", "--reveal").out
    assert "distress that showed across a whole questionnaire" in everything
    assert "they are not shown" in everything
    assert NAME in everything
    for telling in ("符合", "answers_score", "severe", "depression"):
        assert telling not in everything


def test_words_of_people_cannot_command_the_terminal(course: Tongban) -> None:
    flag(words="我不想活了\x1b[2J\x9b31m\u202e再见\r\n第二行\rflag      9")
    course("flags", "contact", "1", "--note", "打了电话\x07\x1b]0;x")
    shown = course("flags", "show", "1", "--reveal").out
    assert not [each for each in shown if each != "\n" and (ord(each) < 32 or 127 <= ord(each) < 160 or each == "\u202e")]
    assert "我不想活了\ufffd[2J" in shown
    assert f"\n{' ' * 10}第二行" in shown, "further lines cannot be taken for lines of ours"


@pytest.mark.parametrize(
    ("raw", "told"), [(b"", "empty"), (b"\xff\xfe", "UTF-8"), (b"x" * 70_000, "too long"), ("字".encode() * 4001, "4001 characters")]
)
def test_what_comes_on_standard_input_and_is_no_note_is_refused(course: Tongban, raw: bytes, told: str) -> None:
    flag()
    course("flags", "take", "1")
    for command in ("contact", "close"):
        assert told in refused(course("flags", command, "1", "--note", "-", typed=raw))
    assert re.search(r" 0$", course("flags", "list").out, re.MULTILINE)


def test_the_flag_of_somebody_who_was_erased_can_still_be_closed(course: Tongban) -> None:
    flag()
    course("flags", "contact", "1", "--note", NOTE)
    course("flags", "take", "1")
    assert course("person", "erase", NAME, "--yes").code == 0
    shown = course("flags", "show", "1", "--reveal").out
    assert "erased" in safe(shown)
    assert "close the flag instead" in refused(course("flags", "contact", "1", "--note", NOTE))
    assert "the note was not kept" in course("flags", "close", "1", "--note", LAST).out
    assert "closed" in safe(course("flags", "show", "1", "--reveal").out)
