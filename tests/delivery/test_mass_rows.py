"""What WeChat says of a mass send, word by word, and what each word does to its rows; no servers."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from app import broadcasts, groups, people
from app.channels import MassCounts, MassState, Rules, SendError, Verdict
from app.channels.wechat.errors import verdict
from app.models import Mass
from app.outbox import results
from bots.turns import Role
from tests.delivery import scene
from tests.delivery.scene import NOW, Desk, alarms, attempts, deliveries
from tests.delivery.square import Square, error

LATER = timedelta(minutes=2)
LOST = (Verdict.UNKNOWN, "timeout")


def test_an_id_has_at_most_32_bytes_and_its_contents_beside_it(database_url: str) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        square.people()
        square.announce()
        square.cry()
        row = square.mass()
        assert (row.state, row.msgid, row.audience, row.month) == ("accepted", "91", 3, "2026-11")
        assert len(row.client_id.encode()) <= 32
        assert len(row.content_hash) == 32
        assert row.text_sealed is None, "what was taken is not needed again"
        assert [call[0] for call in square.platform.calls] == [row.client_id]


def test_45065_is_success_also_where_it_was_our_first_try(database_url: str) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        square.people()
        square.platform.answers = [error(Verdict.DUPLICATE, "45065", "77")]
        schedule = square.announce()
        square.cry()
        assert (square.mass().state, square.mass().msgid) == ("accepted", "77")
        square.receipt("77", "send success", MassCounts(3, 3, 3, 0))
        assert square.words(schedule) == [("confirmed", "mass_all")] * 3


def test_45066_waits_a_minute_and_asks_under_the_same_id(database_url: str) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        square.people()
        square.platform.answers = [error(*LOST), error(Verdict.SAME_ID_TOO_SOON, "45066"), error(Verdict.DUPLICATE, "45065", "77")]
        square.announce()
        square.cry()
        assert square.cry(NOW + timedelta(seconds=60)) == 0, "WeChat refuses an equal id within a minute"
        square.cry(NOW + timedelta(seconds=62))
        assert square.cry(NOW + timedelta(seconds=100)) == 0
        square.cry(NOW + timedelta(seconds=130))
        assert square.mass().msgid == "77"
        assert len(set(square.platform.calls)) == 1, "same id, same words, same people"
        assert len(square.platform.calls) == 3


def test_while_a_call_is_in_doubt_its_audience_stays_whatever_becomes_of_people(database_url: str) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        first, second, _ = square.people()
        square.platform.answers = [error(*LOST)]
        schedule = square.announce()
        square.cry()
        desk.write(lambda tx: people.pause(tx, first.id, NOW))
        desk.write(lambda tx: groups.end_membership(tx, square.large, second.id, Role.PARTICIPANT, NOW, "moved"))
        square.cry(NOW + LATER)
        assert len(set(square.platform.calls)) == 1
        square.receipt("92", "send success", MassCounts(3, 3, 3, 0))
        assert square.words(schedule) == [("confirmed", "mass_all")] * 3
        square.cry(NOW + LATER)
        assert len(square.platform.tags[100]) == 1, "afterwards the tag follows its group again"


def test_another_audience_never_goes_under_a_former_id(database_url: str) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        first, *_ = square.people()
        square.platform.answers = [error(Verdict.NOT_SENT, "connect_error"), error(Verdict.NOT_SENT, "connect_error")]
        schedule = square.announce()
        square.cry()
        assert set(square.words(schedule)) == {("claimed", "")}, "nothing left, so it can be taken back"
        square.cry(NOW + timedelta(seconds=6))
        desk.write(lambda tx: people.pause(tx, first.id, NOW))
        square.cry(NOW + LATER)
        ids = [call[0] for call in square.platform.calls]
        assert ids[0] == ids[1] != ids[2]
        assert [len(call[2]) for call in square.platform.calls] == [3, 3, 2]
        assert sorted(square.words(schedule)) == [("cancelled", "paused"), ("sending", "mass"), ("sending", "mass")]


def test_after_a_day_without_a_word_nothing_is_repeated_and_somebody_is_told(database_url: str) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        author = desk.person("陈管理", Role.ADMINISTRATOR)
        square.people()
        desk.write(lambda tx: tx.execute(sa.text("UPDATE courses SET quiet_from = '00:00', quiet_until = '00:00'")))
        square.platform.answers = [error(*LOST)] * 500
        schedule, now = square.announce(author=author), NOW
        while now < NOW + timedelta(hours=24):
            square.cry(now)
            now += timedelta(minutes=30)
        assert set(square.words(schedule)) == {("unknown", "answer_lost")}
        assert square.mass().state == "void"
        assert len(square.platform.calls) > 20
        assert desk.read(alarms)[f"mass_lost mass:{square.mass().id}.answer_lost"] == 1
        assert len(desk.read(lambda tx: deliveries(tx, kind="report"))) == 1
        assert len(set(square.platform.calls)) == 1


def test_a_repeat_that_quiet_hours_would_bring_at_night_waits_for_the_morning(database_url: str) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        square.people()
        square.platform.answers = [error(*LOST)]
        square.announce(now=NOW + timedelta(hours=3, minutes=59))  # 21:59
        square.cry(NOW + timedelta(hours=3, minutes=59))
        square.cry(NOW + timedelta(hours=4, minutes=5))
        assert len(square.platform.calls) == 1
        assert square.mass().next_at == NOW + timedelta(hours=14)  # 08:00
        square.cry(NOW + timedelta(hours=14))
        assert square.mass().state == "accepted"


@pytest.mark.parametrize(
    ("refusal", "after", "code"),
    [
        (error(Verdict.WAIT_MINUTE, "45011"), timedelta(minutes=1, seconds=5), "45011"),
        (error(Verdict.WAIT_DAY, "45009"), timedelta(hours=14), "45009"),  # midnight in Beijing lies in the quiet hours
        (error(Verdict.TOKEN, "40001"), timedelta(seconds=61), "40001"),
        (error(Verdict.ACCOUNT_BROKEN, "40164"), timedelta(hours=1, seconds=1), "40164"),
        (error(Verdict.NOT_SENT, "connect_error"), timedelta(seconds=6), "connect_error"),
    ],
)
def test_a_refusal_that_passes_is_waited_for_with_everything_in_hand(
    database_url: str, refusal: SendError, after: timedelta, code: str
) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        square.people()
        square.platform.answers = [refusal]
        schedule = square.announce()
        square.cry()
        assert {state for state, _ in square.words(schedule)} == {"claimed"}
        assert square.mass().state == "planned"
        square.cry(NOW + after - timedelta(seconds=5))
        assert len(square.platform.calls) == 1
        square.cry(NOW + after)
        assert square.mass().state == "accepted"
        row = next(iter(desk.read(lambda tx: deliveries(tx, schedule)).values()))
        assert [(outcome, route) for _, route, outcome in desk.read(lambda tx: attempts(tx, row.id))] == [
            (refusal.verdict.value, "mass"),
            ("accepted", "mass"),
        ]


@pytest.mark.parametrize("code", ["45028", "48001", "48003", "48004", "48008", "40130"])
def test_a_refusal_that_stays_lets_everything_go_another_way_and_tells_the_author_once(database_url: str, code: str) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        author = desk.person("陈管理", Role.ADMINISTRATOR)
        square.people()
        reader = desk.person("Anna", typed=None)
        desk.write(lambda tx: people.set_language(tx, reader.id, "en"))
        square.platform.answers = [error(verdict(int(code)), code)]
        schedule = square.announce(author=author)
        square.cry()
        assert set(square.words(schedule)) == {("ready", "mass_not_possible")}
        assert len(square.platform.calls) == 1, "the other language does not even ask"
        assert list(desk.read(lambda tx: deliveries(tx, kind="report"))) == [author.id]
        assert desk.read(lambda tx: scene.parked(tx, desk.account_id))["mass"] > NOW, "the next one does not even try"


def test_45067_and_other_words_that_nobody_can_send_have_failed(database_url: str) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        square.people()
        square.platform.answers = [error(Verdict.BAD_MESSAGE, "45067")]
        schedule = square.announce()
        square.cry()
        assert set(square.words(schedule)) == {("failed", "bad_message")}
        assert square.mass().state == "failed"
        assert desk.read(alarms)["message_refused 45067"] == 1


def test_a_hundred_tags_are_too_many_and_a_mass_send_gives_way(database_url: str) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        square.people()
        square.platform.tag_errors = [error(Verdict.BAD_MESSAGE, "45056")] * 2
        schedule = square.announce()
        square.cry()
        assert set(square.words(schedule)) == {("ready", "mass_not_possible")}
        assert desk.read(alarms)[f"mass_refused account:{desk.account_id}.45056"] == 1


def test_somebody_with_twenty_tags_goes_another_way_and_the_others_by_mass(database_url: str) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        square.people()
        square.platform.untaggable = {desk.openid(1)}
        schedule = square.announce()
        square.cry()
        assert sorted(square.words(schedule)) == [("ready", "untaggable"), ("sending", "mass"), ("sending", "mass")]
        assert square.platform.calls[0][2] == {desk.openid(2), desk.openid(3)}


def test_a_tag_that_never_comes_in_step_gives_way_in_the_end(database_url: str) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        square.people()
        square.platform.tag_errors = [error(Verdict.BUSY, "-1")] * 20
        schedule, now = square.announce(), NOW
        for _ in range(30):
            square.cry(now)
            now += timedelta(minutes=5)
        assert set(square.words(schedule)) == {("ready", "mass_not_possible")}
        assert not square.platform.calls


def test_the_minute_keeps_its_sixty_calls_and_the_day_its_hundred(database_url: str) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        square.people(1)
        square.platform.rules = Rules(masses_a_minute=2, masses_a_day=3, masses_a_month=9)
        for number in range(4):
            square.announce(f"第{number}次")
        square.cry()
        assert len(square.platform.calls) == 2
        square.cry(NOW + timedelta(seconds=62))
        assert len(square.platform.calls) == 3
        square.cry(NOW + timedelta(hours=2))
        assert len(square.platform.calls) == 3, "the day is used up"
        square.cry(NOW + timedelta(hours=14))
        assert len(square.platform.calls) == 4


@pytest.mark.parametrize("early", [True, False])
def test_a_receipt_counts_once_also_before_our_own_answer(database_url: str, early: bool) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        square.people(4)
        schedule = square.announce()
        if early:
            square.receipt("91", "send success", MassCounts(4, 4, 2, 2))
        square.cry()
        if not early:
            square.receipt("91", "send success", MassCounts(4, 4, 2, 2))
        for status in ("send fail", "send success"):
            square.receipt("91", status, MassCounts(4, 4, 4, 0))
        assert square.words(schedule) == [("sent", "mass_partial")] * 4
        row = square.mass()
        assert (row.state, row.total, row.kept, row.sent, row.errors) == ("done", 4, 4, 2, 2)
        assert desk.write(broadcasts.close_finished) == 1


def test_a_receipt_in_the_very_moment_of_our_answer_is_kept_for_the_next_look(database_url: str) -> None:
    """PostgreSQL shows each statement what others have committed: the mass send not yet, its attempts a moment later."""
    with Desk(database_url) as desk:
        square = Square(desk)
        square.people()
        schedule = square.announce()
        square.cry()
        unseen = sa.update(Mass).values(msgid=None)
        desk.write(lambda tx: tx.execute(unseen))
        square.receipt("91", "send success", MassCounts(3, 3, 3, 0))
        assert {state for state, _ in square.words(schedule)} == {"sending"}
        desk.write(lambda tx: tx.execute(sa.update(Mass).where(Mass.language == "zh").values(msgid="91")))
        assert desk.write(lambda tx: results.apply_missed_receipts(tx, NOW)) == 1
        assert square.words(schedule) == [("confirmed", "mass_all")] * 3


@pytest.mark.parametrize("status", ["send fail", "err(10001)", "err(40001)", "err(20431)"])
def test_a_mass_send_that_was_taken_and_refused_has_failed_with_its_code(database_url: str, status: str) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        author = desk.person("陈管理", Role.ADMINISTRATOR)
        square.people()
        schedule = square.announce(author=author)
        square.cry()
        square.receipt("91", status, MassCounts(3, 0, 0, 0))
        square.cry()
        rows = desk.read(lambda tx: deliveries(tx, schedule)).values()
        assert {(*row.word, row.code) for row in rows} == {("failed", "mass_failed", status)}
        assert list(desk.read(lambda tx: deliveries(tx, kind="report"))) == [author.id]


@pytest.mark.parametrize(
    ("state", "word", "stands"),
    [
        (MassState.SENT, ("sent", "mass"), "done"),
        (MassState.FAILED, ("failed", "mass_failed"), "failed"),
        (MassState.TAKEN_BACK, ("failed", "mass_failed"), "failed"),
        (MassState.UNDER_WAY, ("sending", "mass"), "accepted"),
    ],
)
def test_where_no_receipt_comes_wechats_state_decides(database_url: str, state: MassState, word: tuple[str, str], stands: str) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        square.people()
        schedule = square.announce()
        square.cry()
        square.platform.states = [state]
        square.cry(NOW + timedelta(seconds=31))
        assert set(square.words(schedule)) == {word}
        assert square.mass().state == stands


def test_what_is_never_reported_is_believed_after_a_day_and_a_late_receipt_still_counts(database_url: str) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        square.people()
        schedule = square.announce()
        square.cry()
        square.platform.states = [error(Verdict.BAD_MESSAGE, "40059")] * 500
        now = NOW
        while now < NOW + timedelta(hours=25):
            square.cry(now)
            now += timedelta(minutes=30)
        assert square.words(schedule) == [("sent", "mass")] * 3
        square.receipt("91", "send success", MassCounts(3, 2, 2, 0))
        assert square.words(schedule) == [("sent", "mass_partial")] * 3
