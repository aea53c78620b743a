"""A mass send among others: of several processes, of one group, of one month, after a restore; and the tags by the clock."""

import asyncio
from datetime import timedelta

import pytest
import sqlalchemy as sa

from app.backup import aftermath
from app.channels import Accepted, Verdict
from app.models import Mass, Tag
from app.outbox.crier import Crier
from bots.turns import Role
from tests.delivery.scene import NOW, Desk, lease
from tests.delivery.square import Platform, Square, error

LATER = timedelta(minutes=2)
LOST = (Verdict.UNKNOWN, "timeout")


def test_a_process_that_woke_up_late_brings_good_news_and_no_bad(database_url: str) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        square.people()
        schedule = square.announce()

        class Frozen(Platform):
            async def send_to_tag(inner, tag: int, text: str, client_id: str) -> Accepted:  # noqa: N805 - `square` is the test's
                square.desk.write(lambda tx: tx.execute(sa.update(Mass).values(lease_until=0.0)))
                await asyncio.to_thread(square.cry, NOW + LATER, owner="two", platform=square.platform)
                raise error(Verdict.BAD_MESSAGE, "45002")

        frozen = Frozen(tags=square.platform.tags, names=square.platform.names)
        square.cry(platform=frozen)
        assert square.mass().state == "accepted"
        assert set(square.words(schedule)) == {("sending", "mass")}
        assert len(square.platform.calls) == 1


def test_two_processes_at_once_make_one_call(database_url: str) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        square.people()
        square.announce()

        async def both() -> None:
            criers = [
                Crier(desk.database.write, desk.database.write, desk.keyring, desk.tools.composer, lambda owner=owner: lease(owner))  # type: ignore[misc]
                for owner in ("one", "two")
            ]
            await asyncio.gather(*(each.go_on(desk.account_id, square.platform, NOW, lambda: False) for each in criers))  # type: ignore[arg-type]

        asyncio.run(both())
        square.cry(NOW + timedelta(seconds=4), owner="one")  # one of them may have had the tag in hand, for its group
        assert len(square.platform.calls) == 1


def test_two_mass_sends_to_one_group_have_its_tag_one_after_the_other(database_url: str) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        author = desk.person("陈管理", Role.ADMINISTRATOR, typed=None)
        square.people()
        square.platform.answers = [error(*LOST)]
        square.announce("第一", author=author)
        square.cry()
        second = square.announce("第二")
        square.cry(NOW + timedelta(seconds=4))
        assert {state for state, _ in square.words(second)} == {"claimed"}
        assert len(square.platform.calls) == 1, "the first one's audience is kept until WeChat has answered"
        square.cry(NOW + LATER)
        square.cry(NOW + LATER + timedelta(seconds=4))
        assert [len(call[2]) for call in square.platform.calls] == [3, 3, 4]


def test_five_in_a_month_are_never_sent_to_one_person_and_the_next_month_begins_anew(database_url: str) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        square.people(2)
        for number in range(4):
            square.announce(f"第{number}次")
        square.cry()
        fifth = square.announce("第五次")
        square.cry()
        assert square.words(fifth) == [("ready", "mass_used_up")] * 2
        december = NOW + timedelta(days=9)
        sixth = square.announce("下个月", now=december)
        square.cry(december)
        assert set(square.words(sixth)) == {("sending", "mass")}
        assert [len(call[2]) for call in square.platform.calls] == [2] * 5


def test_what_failed_before_it_left_takes_none_of_the_four(database_url: str) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        square.people(1)
        square.platform.answers = [error(Verdict.BAD_MESSAGE, "45002")] * 4
        for number in range(4):
            square.announce(f"第{number}次")
        square.cry()
        fifth = square.announce("第五次")
        square.cry()
        assert square.words(fifth) == [("sending", "mass")]


def test_a_restored_mass_send_never_goes_by_itself(database_url: str) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        square.people()
        square.platform.answers = ["50", error(*LOST)]
        taken = square.announce("微信接下的")
        square.cry()
        doubtful = square.announce("没有回音的")
        square.cry()
        planned = square.announce("还没开始的")
        desk.write(lambda tx: aftermath.hold_everything(tx, desk.keyring, [], NOW, NOW))
        for minutes in range(0, 3 * 24 * 60, 180):
            square.cry(NOW + timedelta(minutes=minutes))
        assert len(square.platform.calls) == 2
        assert set(square.words(planned)) == {("held", "restored")}
        assert set(square.words(doubtful)) == {("unknown", "answer_lost")}
        assert set(square.words(taken)) == {("sent", "mass")}, "it had left before the backup, and WeChat was only asked"


def test_a_message_with_something_to_tap_is_no_mass_send(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        square.people()
        schedule = square.announce()
        monkeypatch.setattr(Crier, "_words", lambda *_: None)
        square.cry()
        assert set(square.words(schedule)) == {("ready", "mass_not_possible")}


def test_tags_follow_their_group_by_the_clock_and_end_with_its_course(database_url: str) -> None:
    with Desk(database_url) as desk:
        square = Square(desk)
        square.people(120)
        square.announce()
        square.cry()
        assert square.platform.batches == [50, 50, 20]
        desk.person("新同学", typed=None)
        square.cry(NOW + timedelta(minutes=1))
        assert len(square.platform.tags[100]) == 120, "not at every tick"
        square.cry(NOW + timedelta(minutes=11))
        assert len(square.platform.tags[100]) == 121
        desk.write(lambda tx: tx.execute(sa.text("UPDATE courses SET ended_at = created_at")))
        square.cry(NOW + timedelta(minutes=22))
        assert square.platform.tags == {}
        assert desk.read(lambda tx: tx.execute(sa.select(Tag.id)).all()) == []
