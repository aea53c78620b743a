"""The access token: one refresh for many callers and processes, forced only where nothing else helps, and never shown."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa
import time_machine

from app import clock
from app.assembly import Channels
from app.channels import Channel, SendError, Verdict
from app.db import Database
from app.errors import Unavailable
from app.models import AccessToken
from app.tokens import Keeper
from tests.app.conftest import logged  # noqa: F401 - a fixture
from tests.delivery.scene import NOW, Desk, announce, calls, deliveries, left, run, unpark, writers
from tests.stage import Stage


@dataclass
class Platform:
    """Answers calls for a token: the same one while it holds, a new one when forced."""

    token: str = "t0"
    lives: timedelta = timedelta(hours=2)
    asked: list[bool] = field(default_factory=list)
    failing: int = 0
    stubborn: bool = False  # gives the same token even when forced
    lost: bool = False  # does it, and the answer to a forced call is lost

    async def fetch_token(self, *, force: bool) -> tuple[str, timedelta]:
        self.asked.append(force)
        await asyncio.sleep(0.02)
        if self.failing:
            self.failing -= 1
            raise SendError(Verdict.NOT_SENT, "connect_error")
        if force and not self.stubborn:
            self.token = f"t{sum(self.asked)}"
        if force and self.lost:
            raise SendError(Verdict.UNKNOWN, "timeout")
        return self.token, self.lives


@contextlib.asynccontextmanager
async def _keepers(desk: Desk, platform: Platform, count: int = 2) -> AsyncIterator[list[Keeper]]:
    """Keepers of so many processes on one database."""
    databases = [Database(desk.database.url) for _ in range(count)]
    made = []
    for number, database in enumerate(databases):
        database.start()
        keeper = Keeper(database, desk.keyring, desk.account_id, f"process{number}")
        keeper.channel = cast("Channel", platform)
        made.append(keeper)
    yield made
    for database in databases:
        database.stop()


def test_without_a_database_a_message_is_certainly_not_sent(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in doubt: the call that needs the token was never made."""
    with Desk(database_url) as desk:
        person = desk.person("小雨")
        schedule = desk.announced()
        run(_without(desk, monkeypatch))
        row = desk.read(lambda tx: deliveries(tx, schedule))[person.id]
        assert (row.word, row.code) == (("retry", "network"), "no_database")
        assert desk.read(lambda tx: left(tx, person.id))[0] == 5


async def _without(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_work: object) -> None:
        raise Unavailable("database", "The database does not answer just now.")

    channels = Channels(desk.assembly)
    channel = (await channels.all())[desk.account_id]
    async with _keepers(desk, Platform(), 1) as (keeper,):
        monkeypatch.setattr(keeper._database, "write", away)
        channel._keeper = keeper  # type: ignore[attr-defined]
        await desk.assembly.postman().send_due(desk.account_id, channel, NOW)
    await channels.close()


def test_many_callers_in_two_processes_refresh_once(database_url: str) -> None:
    run(_once(database_url))


async def _once(database_url: str) -> None:
    platform = Platform()
    with Desk(database_url) as desk:
        async with _keepers(desk, platform) as (one, other):
            tokens = await asyncio.gather(*(keeper.current() for keeper in (one, other) * 8))
            assert (set(tokens), platform.asked) == ({"t0"}, [False])
            newer = await asyncio.gather(*(keeper.refused("t0") for keeper in (one, other) * 8))
            assert (set(newer), platform.asked) == ({"t1"}, [False, False, True]), "first asked, then forced, once for all sixteen"
            assert await one.refused("t0") == await other.refused("t0") == "t1"
            assert len(platform.asked) == 3, "an old token is answered from memory"
            platform.token = "t9"  # somebody else forced it: the normal call helps
            assert await one.refused("t1") == "t9"
            assert platform.asked[3:] == [False]
            assert "t9" not in repr(one)


def test_a_refresh_is_forced_at_most_every_thirty_seconds_and_ten_times_a_day(database_url: str) -> None:
    run(_sparingly(database_url))


async def _sparingly(database_url: str) -> None:
    platform = Platform()
    with Desk(database_url) as desk:
        async with _keepers(desk, platform, 1) as (keeper,):
            token = "t0"
            for number in range(14):
                with time_machine.travel(NOW + timedelta(seconds=31 * number), tick=True):
                    with contextlib.suppress(SendError):
                        token = await keeper.refused(token)
                    asked = len(platform.asked)
                    with pytest.raises(SendError) as refusal:  # at once again: not forced, and not pretended
                        await keeper.refused(token)
                    assert refusal.value.verdict is Verdict.TOKEN
                    assert platform.asked[asked:] == ([False] if number < 10 else []), "nor asked for again within two seconds"
            assert sum(platform.asked) == 10
            with time_machine.travel(NOW + timedelta(days=1), tick=True):
                assert await keeper.refused(token) == "t11"


def test_a_token_that_others_change_all_the_time_costs_one_refresh_a_change_and_no_message(database_url: str) -> None:
    run(_changing(database_url))


async def _changing(database_url: str) -> None:
    platform = Platform()
    with Desk(database_url) as desk:
        async with _keepers(desk, platform, 4) as keepers:
            sent: list[str] = []

            async def send(keeper: Keeper) -> None:
                token = await keeper.current()
                for _ in range(3):  # as often as the client calls
                    await asyncio.sleep(0)
                    if token == platform.token:
                        sent.append(token)
                        return
                    token = await keeper.refused(token)
                raise AssertionError("a message was given up")

            changes = 5
            for change in range(changes):
                await asyncio.gather(*(send(keeper) for keeper in keepers * 8))
                platform.token = f"changed{change}"  # another holder of the secret forced a refresh
            await asyncio.gather(*(send(keeper) for keeper in keepers * 8))
            assert len(sent) == (changes + 1) * 32
            assert platform.asked == [False] * (changes + 1), "one for each change, and the first; none forced"


def test_a_forced_refresh_whose_answer_was_lost_counts_too(database_url: str) -> None:
    run(_lost(database_url))


async def _lost(database_url: str) -> None:
    platform = Platform(lost=True)
    with Desk(database_url) as desk:
        async with _keepers(desk, platform, 1) as (keeper,):
            token = await keeper.current()
            with pytest.raises(SendError):
                await keeper.refused(token)
            row = desk.read(lambda tx: tx.execute(sa.select(AccessToken.forced_count, AccessToken.lease_owner)).one())
            assert tuple(row) == (1, None)
            assert await keeper.refused(token) == "t1", "the platform had it: the normal call brings it"
            assert sum(platform.asked) == 1


def test_a_process_that_died_with_the_lease_is_waited_for_and_then_replaced(database_url: str) -> None:
    run(_dead(database_url))


async def _dead(database_url: str) -> None:
    platform = Platform()
    with Desk(database_url) as desk:
        async with _keepers(desk, platform, 1) as (keeper,):
            until = clock.machine_seconds() + 0.3
            desk.write(lambda tx: tx.execute(sa.update(AccessToken).values(lease_owner="dead", lease_until=until)).rowcount)
            assert await keeper.current() == "t0"
            assert clock.machine_seconds() >= until
            assert platform.asked == [False]


def test_a_refresh_that_failed_lets_the_next_one_try_at_once(database_url: str) -> None:
    run(_failed(database_url))


async def _failed(database_url: str) -> None:
    platform = Platform(failing=1)
    with Desk(database_url) as desk:
        async with _keepers(desk, platform) as (one, other):
            with pytest.raises(SendError):
                await one.current()
            assert await other.current() == "t0"
            assert platform.asked == [False, False]


def test_a_token_about_to_end_is_changed_early(database_url: str) -> None:
    run(_early(database_url))


async def _early(database_url: str) -> None:
    platform = Platform(lives=timedelta(minutes=10))
    with Desk(database_url) as desk:
        async with _keepers(desk, platform) as (one, other):
            with time_machine.travel(NOW, tick=True):
                await one.current()
            platform.token = "t7"
            with time_machine.travel(NOW + timedelta(minutes=7), tick=True):
                assert await other.current() == "t0"
        async with _keepers(desk, platform) as (one, other):
            with time_machine.travel(NOW + timedelta(minutes=9), tick=True):
                assert await one.current() == await other.current() == "t7"


def test_no_token_and_no_secret_is_ever_shown(database_url: str, tmp_path: Path, logged: Any, caplog: pytest.LogCaptureFixture) -> None:  # noqa: F811
    run(_hidden(database_url, tmp_path))
    shown = logged() + caplog.text
    issued = set(re.findall(r"[A-Za-z0-9_-]{512}", (tmp_path / "sandbox" / "journal.jsonl").read_text(encoding="utf-8")))
    assert len(issued) == 2, "a first one, and one forced in the storm"
    assert not [token for token in issued if token in shown]
    assert "0123456789abcdef0123456789abcdef" not in shown


async def _hidden(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder) as stage:
        stage.course("正念自我关怀")
        group = stage.group("晨光组")
        await writers(stage, group, [f"同学{number}" for number in range(10)])
        await stage.faults(api="message/custom/send", errcode=40001, times=None)
        announce(stage, group)
        await stage.settle()
        assert calls(stage, "stable_token") == {0: 4}, "a storm of refusals costs a normal call and a forced one, not one a message"
        assert calls(stage, "message/custom/send")[40001] == 16
        await stage.phones.delete("/sandbox/faults")
        await stage.faults(api="message/custom/send", body="<html>", times=1)
        stage.write(unpark)
        await stage.worker.send_due(clock.now() + timedelta(minutes=2))
        channel = (await stage.worker._channels.all())[stage.account_id]
        token = await channel._keeper.current()  # type: ignore[attr-defined]
        stored = stage.read(lambda tx: tx.execute(sa.select(AccessToken.token_sealed)).scalar_one())
        assert stored is not None
        assert token.encode() not in stored
        for thing in (channel, channel._keeper, channel._credentials, stage.assembly, stage.worker):  # type: ignore[attr-defined]
            assert token not in repr(thing)
