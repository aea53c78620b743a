"""A flag has a clock, a log of contacts and a closing note; notes go with the person; what answers raise keeps no answer."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app import broadcasts, doubts, flags, gauges, people
from app.alerts import Alerter
from app.backup import writing
from app.channels import Rules
from app.cli import health
from app.db import Tx
from app.errors import Conflict, Invalid, NotFound
from app.groups import Refused
from app.models import Alert, Audit, Broadcast, Contact, Flag
from app.people import Known
from app.situation import Situation
from bots.turns import OccasionKind, Role
from tests.cli.test_backup_silence import backup, restored
from tests.delivery.scene import NOW, Desk, alarms, at, run, says, together
from tests.delivery.test_flags import WORDS, _on_call
from tests.stage import Stage

HOUR = timedelta(hours=1)
NOTE, LAST = "给她打了电话，她和妹妹在一起", "她周五去见张医生；约好下周再联系"


def cry(desk: Desk, words: str = WORDS, minutes: int = 0) -> int:
    """The first person cries for help; returns the newest flag's number."""
    says(desk, 1, words, at=NOW + timedelta(minutes=minutes), key=str(minutes))
    return desk.read(lambda tx: tx.execute(sa.select(sa.func.max(Flag.number))).scalar_one())


def answers(desk: Desk, known: Known, rule: str = "answers_hopeless", minutes: float = 0) -> None:
    """An answer of theirs means danger."""
    now = NOW + timedelta(minutes=minutes)

    def work(tx: Tx) -> None:
        flags.raise_flag(tx, desk.tools, Situation(desk.account_id, known, people.view(tx, known), 0, now, "非常符合，大多时候这样"), rule)

    with at(now):
        desk.write(work)


def take(desk: Desk, number: int, after: timedelta = HOUR) -> None:
    desk.write(lambda tx: flags.take_over(tx, number, NOW + after))


def contact(desk: Desk, number: int, note: str = NOTE, after: timedelta = 2 * HOUR) -> None:
    desk.write(lambda tx: flags.note_contact(tx, desk.keyring, number, note, NOW + after))


def close(desk: Desk, number: int, note: str = LAST, after: timedelta = 3 * HOUR) -> bool:
    return desk.write(lambda tx: flags.close(tx, desk.keyring, number, note, NOW + after))


def revealed(desk: Desk, number: int) -> flags.Revealed:
    return desk.write(lambda tx: flags.reveal(tx, desk.keyring, number, NOW))


def numbers(desk: Desk, *, closed: bool = False) -> list[int]:
    return [line.number for line in desk.read(lambda tx: flags.lines(tx, closed=closed))]


def actions(desk: Desk) -> list[tuple[str, str]]:
    """Who did what with flags, in order."""
    query = sa.select(Audit.actor, Audit.action).where(Audit.action.startswith("flag.")).order_by(Audit.id)
    return [(row.actor, row.action) for row in desk.read(lambda tx: tx.execute(query).all())]


# -- the way of a flag


def test_a_flag_goes_from_the_cry_to_the_closing_note(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person("小雨")
        number = cry(desk)
        (line,) = desk.read(flags.lines)
        assert (line.number, line.course, line.rule, line.taken_after, line.contacts) == (number, "msc", "not_living", None, 0)
        take(desk, number)
        for each in (1, 2):
            contact(desk, number, f"{NOTE}{each}", after=each * 2 * HOUR)
        (line,) = desk.read(flags.lines)
        assert line.taken_after is not None
        assert (round(line.taken_after / HOUR), line.contacts, line.closed_at) == (1, 2, None)
        assert close(desk, number, after=5 * HOUR)
        assert numbers(desk) == []
        told = desk.read(lambda tx: flags.story(tx, number))
        assert told.line.closed_at == NOW + 5 * HOUR
        assert told.contacted_at == (NOW + 2 * HOUR, NOW + 4 * HOUR)
        assert (told.taken_by, told.erased) == (None, False)
        opened = revealed(desk, number)
        assert (opened.name, opened.words, opened.closing) == ("小雨", WORDS, LAST)
        assert opened.notes == ((NOW + 2 * HOUR, f"{NOTE}1"), (NOW + 4 * HOUR, f"{NOTE}2"))
        operator = ["flag.take", "flag.contact", "flag.contact", "flag.close", "flag.reveal"]
        assert actions(desk) == [("system", "flag.raise"), *(("operator", each) for each in operator)]


def test_nothing_of_a_note_or_a_name_stands_readable_in_a_row(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person("小雨")
        number = cry(desk)
        take(desk, number)
        contact(desk, number)
        close(desk, number)
        revealed(desk, number)
        rows = desk.read(lambda tx: [tuple(row) for table in (Flag, Contact, Audit) for row in tx.execute(sa.select(table.__table__))])
        raw = b"".join(each if isinstance(each, bytes) else str(each).encode() for row in rows for each in row)
        assert len(raw) > 500
        for word in (NOTE, LAST, WORDS, "小雨"):
            assert word.encode() not in raw
            assert json.dumps(word).encode() not in raw


def test_a_flag_is_closed_only_after_somebody_took_it_over_and_only_once(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person("小雨")
        number = cry(desk)
        with pytest.raises(Conflict, match=f"tongban flags take {number}"):
            close(desk, number)
        contact(desk, number)  # before anybody took over: it happened, so it is logged
        assert desk.read(flags.next_call) is not None, "a contact does not stop the calls"
        take(desk, number)
        assert desk.read(flags.next_call) is None
        close(desk, number)
        for again in (close, contact):
            with pytest.raises(Conflict, match="new cry"):
                again(desk, number)
        for missing in (close, contact, revealed):
            with pytest.raises(NotFound, match="no flag 99"):
                missing(desk, 99)
        assert revealed(desk, number).closing == LAST


@pytest.mark.parametrize(("note", "told"), [("", "empty"), (" \n\t", "empty"), ("字" * 4001, "4001 characters"), ("a\udc80b", "UTF-8")])
def test_what_is_no_note_is_refused_and_nothing_is_written(sqlite_url: str, note: str, told: str) -> None:
    with Desk(sqlite_url) as desk:
        desk.person("小雨")
        number = cry(desk)
        take(desk, number)
        for into in (contact, close):
            with pytest.raises(Invalid, match=told):
                into(desk, number, note)
        assert numbers(desk) == [number]
        assert desk.read(flags.lines)[0].contacts == 0
        contact(desk, number, "字" * 4000)


def test_two_who_close_at_once_do_not_both_write_their_note(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person("小雨")
        number = cry(desk)
        take(desk, number)

        def job(note: str) -> Callable[[Tx], str]:
            def work(tx: Tx) -> str:
                try:
                    flags.close(tx, desk.keyring, number, note, NOW)
                except Conflict:
                    return ""
                return note

            return work

        kept = [note for note in together(desk, [job(f"结束{each}") for each in range(4)]) if note]
        assert [revealed(desk, number).closing] == kept


def test_the_operator_takes_over_once_and_names_who_is_on_call(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person("小雨")
        leader = desk.person("李老师", Role.LEADER)
        _on_call(desk, leader.id, email=None, webhook=None)
        number = cry(desk)
        with pytest.raises(Refused) as refused:
            desk.write(lambda tx: flags.take_over(tx, number + 1, NOW))
        assert refused.value.code == "foreign"
        desk.write(lambda tx: flags.acknowledge(tx, number, leader.id, NOW + HOUR, actor="operator"))
        assert desk.read(lambda tx: flags.story(tx, number)).taken_by == leader.id
        assert actions(desk)[-1] == ("operator", "flag.take")
        with pytest.raises(Refused) as refused:
            take(desk, number)
        assert refused.value.code == "taken"
        later = cry(desk, minutes=120)
        take(desk, later)
        with pytest.raises(Refused) as refused:
            desk.write(lambda tx: flags.acknowledge(tx, later, leader.id, NOW))
        assert refused.value.code == "taken", "nor does a late tap take it away again"


# -- what is called for, and what no more


def test_after_a_closing_nobody_is_called_and_a_new_cry_is_a_new_flag(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person("小雨")
        _on_call(desk, None, email="a@example.org", webhook=None)
        first = cry(desk)
        take(desk, first, timedelta(minutes=1))
        close(desk, first, after=timedelta(minutes=2))
        assert desk.write(lambda tx: doubts.resume_alerts(tx, NOW + HOUR)) == 0
        assert desk.write(lambda tx: flags.call_due(tx, desk.tools, NOW + HOUR)) == 0
        assert desk.write(lambda tx: flags.claim_alerts(tx, desk.keyring, NOW + HOUR, NOW.timestamp() + 3600)) == []
        second = cry(desk, minutes=3)
        assert second == first + 1
        assert numbers(desk) == [second]
        assert desk.read(lambda tx: flags.story(tx, second)).calls == 1


def test_an_alert_that_fails_after_somebody_took_over_is_not_tried_again(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person("小雨")
        _on_call(desk, None, email="a@example.org", webhook="https://example.org/hook")
        number = cry(desk)
        late = NOW + timedelta(minutes=1)
        one, other = desk.write(lambda tx: flags.claim_alerts(tx, desk.keyring, late, late.timestamp()))
        desk.write(lambda tx: flags.alert_done(tx, one.id, "mail: refused", late))
        assert desk.read(lambda tx: tx.execute(sa.select(Alert.state).where(Alert.id == one.id)).scalar_one()) == "ready"
        take(desk, number)
        desk.write(lambda tx: flags.alert_done(tx, other.id, "webhook: status 500", late))
        assert set(desk.read(lambda tx: tx.execute(sa.select(Alert.state)).scalars().all())) == {"cancelled"}
        assert desk.read(alarms)["alert_failed alert:webhook: status 500"] == 1


def test_words_within_minutes_belong_to_the_flag_until_somebody_takes_it_over(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person("小雨")
        first = cry(desk)
        assert cry(desk, "我想自杀", minutes=5) == first
        (again,) = desk.read(lambda tx: flags.story(tx, first)).again
        assert (again[1], round((again[0] - NOW) / timedelta(minutes=1))) == ("suicide", 5)
        assert ("system", "flag.again") in actions(desk)
        take(desk, first, timedelta(minutes=6))
        assert cry(desk, minutes=7) == first + 1, "who writes again after that is in need again"


def test_answers_of_one_sitting_raise_one_flag_even_where_it_was_taken_over_at_once(database_url: str) -> None:
    with Desk(database_url) as desk:
        known = desk.person("小雨")
        answers(desk, known)
        take(desk, 1, timedelta(minutes=1))
        answers(desk, known, minutes=2)
        answers(desk, known, "answers_score", minutes=10)
        assert numbers(desk) == [1]
        assert [rule for _, rule in desk.read(lambda tx: flags.story(tx, 1)).again] == ["answers_hopeless", "answers_score"]
        answers(desk, known, minutes=16)
        assert numbers(desk) == [1, 2], "later answers are a new sign"
        close(desk, 1)
        take(desk, 2)
        close(desk, 2)
        answers(desk, known, minutes=17)
        assert numbers(desk) == [3], "what is closed takes nothing more up"


def test_words_are_not_lost_behind_a_flag_that_answers_raised(database_url: str) -> None:
    with Desk(database_url) as desk:
        known = desk.person("小雨")
        answers(desk, known)
        assert cry(desk, minutes=1) == 2
        assert revealed(desk, 2).words == WORDS
        answers(desk, known, minutes=2)
        assert numbers(desk) == [1, 2]


def test_of_a_flag_that_answers_raise_no_answer_is_kept_and_the_alert_tells_none(database_url: str) -> None:
    with Desk(database_url) as desk:
        known = desk.person("小雨")
        leader = desk.person("李老师", Role.LEADER)
        _on_call(desk, leader.id, email="a@example.org", webhook=None)
        answers(desk, known)
        assert revealed(desk, 1).words == ""
        assert desk.read(flags.lines)[0].rule == "answers_hopeless"
        (alert,) = desk.write(lambda tx: flags.claim_alerts(tx, desk.keyring, NOW + HOUR, NOW.timestamp()))
        alerter = Alerter(desk.database, desk.keyring, desk.tools.words, desk.assembly.settings)
        subject, body = alerter._texts(alert.details)
        broadcast = desk.read(lambda tx: tx.execute(sa.select(Broadcast.id)).scalar_one())
        details = desk.read(lambda tx: broadcasts.details_of(tx, desk.keyring, [broadcast]))[broadcast]
        chat = [desk.tools.composer.compose("safety", OccasionKind.ALERT, each, "Asia/Shanghai", details).text for each in ("zh", "en")]
        for text in (subject, body, *chat):
            for telling in ("符合", "answers_", "hopeless", "绝望"):
                assert telling not in text
        assert all("问卷回答里流露的痛苦" in text for text in (body, chat[0]))
        assert all("distress that showed in a questionnaire" in text for text in (body, chat[1]))


# -- the clock of the operators


def test_a_flag_that_nobody_closes_shows_after_three_days_from_its_taking(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person("小雨")

        def unclosed(after: timedelta) -> tuple[int, list[str]]:
            reading = desk.read(lambda tx: gauges.read(tx, Rules(), NOW + after, NOW.timestamp()))
            told = [each.words for each in health.judge(reading) if each.verdict == "ACT" and "not closed" in each.words]
            return reading.accounts[0].unclosed, told

        number = cry(desk)
        assert unclosed(timedelta(days=9)) == (0, []), "nobody took it: that is another line"
        take(desk, number)
        assert unclosed(timedelta(hours=72)) == (0, [])
        count, told = unclosed(timedelta(hours=73))
        assert count == 1
        assert "1 flags not closed, the first taken over 3 days ago" in told[0]
        assert "tongban flags close NUMBER" in told[0]
        contact(desk, number, after=timedelta(hours=70))
        assert unclosed(timedelta(hours=73))[0] == 1
        close(desk, number)
        assert unclosed(timedelta(days=9)) == (0, [])


# -- what goes with the person


def left(tx: Tx) -> list[tuple[Any, ...]]:
    """Every sealed value about flags."""
    flag = tx.execute(sa.select(Flag.words_sealed, Flag.closing_sealed)).all()
    return [tuple(row) for row in (*flag, *tx.execute(sa.select(Contact.note_sealed)).all())]


def test_erasing_takes_words_and_notes_along_and_leaves_that_somebody_looked(database_url: str) -> None:
    with Desk(database_url) as desk:
        known = desk.person("小雨")
        first = cry(desk)
        take(desk, first)
        contact(desk, first)
        close(desk, first)
        second = cry(desk, minutes=60)
        contact(desk, second)
        desk.write(lambda tx: people.erase(tx, desk.keyring, known.id, NOW + 3 * HOUR, actor="operator"))
        assert set(desk.read(left)) == {(b"", None), (b"",)}
        for number in (first, second):
            opened = revealed(desk, number)
            assert (opened.name, opened.words, opened.closing) == (None, None, None)
            assert [note for _, note in opened.notes] == [None]
        told = desk.read(lambda tx: flags.story(tx, first))
        assert (told.erased, told.contacted_at, told.line.closed_at) == (True, (NOW + 2 * HOUR,), NOW + 3 * HOUR)
        with pytest.raises(Conflict, match="was erased"):
            contact(desk, second)
        take(desk, second)
        assert not close(desk, second), "it can be ended, but nothing of it is kept"
        assert numbers(desk) == []
        assert set(desk.read(left)) == {(b"", None), (b"",)}


def test_a_restored_backup_holds_no_note_of_who_was_erased_since(sqlite_url: str, empty_database_url: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with Stage(sqlite_url, tmp_path) as stage:
            stage.course("正念")
            person = await stage.member("小雨", stage.group("晨光组"))
            await stage.says("小雨", WORDS)

            def follow(tx: Tx) -> None:
                flags.take_over(tx, 1, NOW)
                flags.note_contact(tx, stage.keyring, 1, NOTE, NOW)
                flags.close(tx, stage.keyring, 1, LAST, NOW)

            stage.write(follow)
            path = backup(stage, tmp_path / "before")
            stage.write(lambda tx: people.erase(tx, stage.keyring, person, NOW, actor="operator"))
            listed = tmp_path / "list"
            assert writing.export_erasures(stage.assembly.database, stage.keyring.vault, listed, NOW) == 1
            for erasures in (None, listed):
                async with restored(stage, empty_database_url, path, over=erasures is not None, erasures=erasures) as again:
                    keyring = again.assembly.tools.keyring
                    opened = again.write(lambda tx, keyring=keyring: flags.reveal(tx, keyring, 1, NOW))  # type: ignore[misc]
                    found = (opened.name, opened.words, [note for _, note in opened.notes], opened.closing)
                    assert found == (("小雨", WORDS, [NOTE], LAST) if erasures is None else (None, None, [None], None))
                    assert (set(again.read(left)) == {(b"", None), (b"",)}) is (erasures is not None)
                    assert [line.number for line in again.read(lambda tx: flags.lines(tx, closed=True))] == [1]

    run(play())
