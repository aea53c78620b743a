"""What was restored never goes out by itself, who was erased stays erased: the worker runs over restored rows, beside the real sandbox."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import time, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from app import clock, doubts, flags, people
from app.assembly import Assembly, assemble
from app.backup import restoring, writing
from app.backup.aftermath import Aftermath
from app.db import Tx
from app.doubts import Chosen
from app.models import AccessToken, Alert, Assignment, Broadcast, Delivery, Firing, Flag, Person
from app.questionnaires import waves
from app.questionnaires.waves import Plan, Rule
from app.situation import Situation
from app.states import State
from app.worker import Worker
from bots.turns import Role
from tests.delivery.scene import announce, run, schedule_row, touched
from tests.stage import Stage

NAMES = ("甲", "乙", "丙", "丁", "戊", "己", "庚")
#: Every state that had not ended, one a person; the seventh got it.
OPEN = ("ready", "claimed", "retry", "waiting", "notified", "sending")


@dataclass
class Restored:
    """A second service over the restored rows, at the same sandbox."""

    assembly: Assembly
    worker: Worker
    after: Aftermath

    def read(self, work: Callable[[Tx], Any]) -> Any:
        return self.assembly.database.read_now(work)

    def write(self, work: Callable[[Tx], Any]) -> Any:
        return self.assembly.database.write_now(work)

    async def works(self) -> None:
        """Everything that a worker does, a few times over."""
        for _ in range(3):
            await self.worker.tick()
            await self.worker.reap()
            await self.worker.send_due(clock.now() + timedelta(seconds=3))

    def states(self) -> Counter[tuple[str, str]]:
        return Counter(tuple(row) for row in self.read(lambda tx: tx.execute(sa.select(Delivery.state, Delivery.reason)).all()))


@asynccontextmanager
async def restored(stage: Stage, url: str, path: Path, *, over: bool = False, erasures: Path | None = None) -> AsyncIterator[Restored]:
    done = restoring.restore(url, stage.keyring, path, clock.now(), replace=over, erasures=erasures)
    assembly = assemble(stage.settings.model_copy(update={"database_url": url}))
    assembly.database.start()
    worker = Worker(assembly)
    try:
        yield Restored(assembly, worker, done.after)
    finally:
        await worker.stop()
        assembly.database.stop()


def backup(stage: Stage, path: Path) -> Path:
    writing.backup(stage.assembly.database, stage.keyring.vault, path, clock.now())
    return path


async def crowd(stage: Stage, group: int) -> dict[str, int]:
    ids = {}
    for name in NAMES:
        ids[name] = await stage.member(name, group)
        touched(stage, stage.openids[name], "typed")
    return ids


def stand(stage: Stage, states: dict[int, str]) -> None:
    """Let the deliveries of these people stand as a backup may find them."""

    def work(tx: Tx) -> None:
        for person, state in states.items():
            values = {"state": state, "lease_until": clock.machine_seconds() + 30 if state in ("claimed", "sending") else None}
            tx.execute(sa.update(Delivery).where(Delivery.person_id == person).values(**values))

    stage.write(work)


def test_nothing_goes_out_after_a_restore_until_somebody_releases_it(sqlite_url: str, empty_database_url: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with Stage(sqlite_url, tmp_path) as stage:
            stage.course("正念")
            group = stage.group("晨光组")
            ids = await crowd(stage, group)
            schedule = announce(stage, group)
            await stage.worker.tick()  # fired, and nothing sent yet
            stand(stage, dict(zip(ids.values(), (*OPEN, "sent"), strict=True)))
            path = backup(stage, tmp_path / "b")
            before = len(await stage.ledger())
            async with restored(stage, empty_database_url, path) as again:
                assert (again.after.held, again.after.unknown) == (5, 1)
                assert again.states() == {("held", "restored"): 5, ("unknown", "answer_lost"): 1, ("sent", ""): 1}
                await again.works()
                assert len(await stage.ledger()) == before
                assert again.states()["held", "restored"] == 5
                assert again.write(lambda tx: doubts.release(tx, Chosen(schedule_id=schedule), clock.now())) == 5
                assert again.write(lambda tx: doubts.release(tx, Chosen(schedule_id=schedule), clock.now())) == 0
                await again.works()
                assert again.states()["sent", "service"] == 5
                assert len(await stage.ledger()) == before + 5
                assert again.write(lambda tx: doubts.send_again(tx, Chosen(), clock.now())) == 1
                await again.works()
                assert again.states()["sent", "service"] == 6
                assert len(await stage.ledger()) == before + 6

    run(play())


def test_an_audience_that_was_half_written_is_finished_and_held(sqlite_url: str, empty_database_url: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with Stage(sqlite_url, tmp_path) as stage:
            stage.course("正念")
            group = stage.group("晨光组")
            ids = await crowd(stage, group)
            announce(stage, group)
            await stage.worker.tick()

            def half(tx: Tx) -> None:
                later = sorted(ids.values())[4:]
                tx.execute(sa.delete(Delivery).where(Delivery.person_id.in_(later)))
                tx.execute(sa.update(Delivery).values(state="ready"))
                tx.execute(sa.update(Broadcast).values(state="expanding", expanded_through=sorted(ids.values())[3]))

            stage.write(half)
            path = backup(stage, tmp_path / "b")
            before = len(await stage.ledger())
            async with restored(stage, empty_database_url, path) as again:
                await again.works()
                assert again.states() == {("held", "restored"): len(ids)}
                assert len(await stage.ledger()) == before

    run(play())


def test_a_wave_that_should_have_opened_waits_for_a_person_and_reminders_go_on_with_the_next(
    sqlite_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    async def play() -> None:
        async with Stage(sqlite_url, tmp_path) as stage:
            stage.course("正念")
            group = stage.group("晨光组")
            await crowd(stage, group)
            now, shelf = clock.now(), stage.assembly.tools.shelf
            days = timedelta(days=10)
            plan = Plan("baseline", {"zh": "课前"}, now - timedelta(hours=1), now + days, ["shs"], {}, Rule((0, 1, 2), time(18, 5)))
            later = replace(plan, code="post", opens_at=now + timedelta(minutes=20))
            for each in (plan, later):
                stage.write(partial(waves.add, shelf=shelf, course_id=stage.course_id, plan=each, now=now))
            await stage.settle()
            path = backup(stage, tmp_path / "b")
            await stage.ask("POST", "/sandbox/clock", {"advance": 1800})
            async with restored(stage, empty_database_url, path) as again:
                assert again.after.waves == 1
                before = len(await stage.ledger())
                await again.works()
                assert len(await stage.ledger()) == before, "nobody is invited or reminded again"
                post = again.read(lambda tx: waves.find(tx, "msc", "post"))
                assert post.state == "missed"
                reminders = again.read(lambda tx: set(tx.execute(sa.select(Assignment.remind_at)).scalars()))
                assert {moment.date() for moment in reminders} == {(clock.now() + timedelta(days=1)).date()}
                soon = clock.now() + timedelta(seconds=1)
                again.write(lambda tx: waves.move(tx, stage.keyring, post.id, opens_at=soon, closes_at=None, now=clock.now()))
                await stage.ask("POST", "/sandbox/clock", {"advance": 5})
                await again.works()
                assert again.read(lambda tx: waves.find(tx, "msc", "post")).state == "open"

    run(play())


def test_invitations_that_were_half_written_are_finished_and_held(sqlite_url: str, empty_database_url: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with Stage(sqlite_url, tmp_path) as stage:
            stage.course("正念")
            group = stage.group("晨光组")
            ids = await crowd(stage, group)
            now, shelf = clock.now(), stage.assembly.tools.shelf
            plan = Plan("baseline", {"zh": "课前"}, now - timedelta(hours=1), now + timedelta(days=10), ["shs"], {})
            stage.write(lambda tx: waves.add(tx, shelf, stage.course_id, plan, now))
            assert stage.write(lambda tx: waves.go_on(tx, stage.assembly.tools, now)), "it is open, and nobody is invited yet"
            path = backup(stage, tmp_path / "b")
            before = len(await stage.ledger())
            async with restored(stage, empty_database_url, path) as again:
                assert again.after.held == len(ids)
                await again.works()
                assert again.states() == {("held", "restored"): len(ids)}
                assert len(await stage.ledger()) == before
                assert again.read(lambda tx: tx.execute(sa.select(Assignment.state)).scalars().all()) == ["invited"] * len(ids)

    run(play())


def test_a_moment_that_passed_is_missed_and_its_author_told_and_a_later_one_fires(
    sqlite_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    async def play() -> None:
        async with Stage(sqlite_url, tmp_path) as stage:
            stage.course("正念")
            group = stage.group("晨光组")
            await crowd(stage, group)
            leader = await stage.member("林老师", group, Role.LEADER)
            touched(stage, stage.openids["林老师"], "typed")
            soon = announce(stage, group, "先", author=leader, at=clock.now() + timedelta(minutes=20))
            later = announce(stage, group, "后", author=leader, at=clock.now() + timedelta(hours=2))
            path = backup(stage, tmp_path / "b")
            await stage.ask("POST", "/sandbox/clock", {"advance": 1800})
            async with restored(stage, empty_database_url, path) as again:
                assert again.after.missed == 1
                assert again.read(lambda tx: schedule_row(tx, soon)) == ("missed", "restored")
                assert again.read(lambda tx: schedule_row(tx, later))[0] == "planned"
                assert again.read(lambda tx: tx.execute(sa.select(Firing.outcome)).scalars().all()) == ["missed"]
                await again.works()
                said = [entry["text"] for entry in await stage.chat("林老师") if entry["side"] == "account"]
                assert len(said) == 1
                assert "从备份恢复" in said[0]
                assert not [entry for entry in await stage.chat("甲") if entry["side"] == "account"]
                await stage.ask("POST", "/sandbox/clock", {"advance": 2 * 3600})
                await again.works()
                assert again.read(lambda tx: schedule_row(tx, later))[0] == "fired"

    run(play())


def test_nobody_on_duty_is_called_twice_by_a_restore(sqlite_url: str, empty_database_url: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with Stage(sqlite_url, tmp_path) as stage:
            stage.course("正念")
            group = stage.group("晨光组")
            person = await stage.member("小雨", group)
            duty = await stage.member("值班", group, Role.LEADER)
            touched(stage, stage.openids["值班"], "typed")
            stage.on_call(duty, email="duty@example.org")

            def cry(tx: Tx) -> None:
                known = people.meet(tx, stage.keyring, stage.account_id, stage.openids["小雨"], clock.now())
                situation = Situation(stage.account_id, known, people.view(tx, known), 0, clock.now(), "不想活了")
                flags.raise_flag(tx, stage.assembly.tools, situation, "crisis")

            stage.write(cry)
            path = backup(stage, tmp_path / "b")
            async with restored(stage, empty_database_url, path) as again:
                assert again.after.flags == 1
                await again.works()
                assert not [entry for entry in await stage.chat("值班") if entry["side"] == "account"]
                alerts = again.read(lambda tx: tx.execute(sa.select(Alert.route, Alert.state)).all())
                assert sorted(map(tuple, alerts)) == [("chat", "sent"), ("email", "cancelled")]
                assert again.write(lambda tx: doubts.resume_alerts(tx, clock.now())) == 1
                await again.works()
                assert len([entry for entry in await stage.chat("值班") if entry["side"] == "account"]) == 1
                assert again.read(lambda tx: tx.execute(sa.select(Flag.step)).scalar_one()) == 2
            assert person

    run(play())


def test_no_token_of_an_account_is_restored(sqlite_url: str, empty_database_url: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with Stage(sqlite_url, tmp_path) as stage:
            stage.course("正念")
            group = stage.group("晨光组")
            await crowd(stage, group)
            announce(stage, group)
            await stage.settle()
            assert stage.read(lambda tx: tx.execute(sa.select(AccessToken.token_sealed)).scalar_one()) is not None
            path = backup(stage, tmp_path / "b")
            async with restored(stage, empty_database_url, path) as again:
                row = again.read(lambda tx: tx.execute(sa.select(AccessToken.token_sealed, AccessToken.lease_owner)).one())
                assert tuple(row) == (None, None)
                assert again.states() == {("sent", "service"): len(NAMES)}

    run(play())


def readable(again: Restored) -> set[str]:
    ids = again.read(lambda tx: tx.execute(sa.select(Person.id)).scalars().all())
    return set(again.read(lambda tx: people.names(tx, again.assembly.tools.keyring, list(ids))).values())


def test_who_was_erased_after_the_backup_is_erased_again(sqlite_url: str, empty_database_url: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with Stage(sqlite_url, tmp_path) as stage:
            stage.course("正念")
            group = stage.group("晨光组")
            ids = await crowd(stage, group)
            announce(stage, group)
            await stage.worker.tick()
            monday = backup(stage, tmp_path / "monday")
            stage.write(lambda tx: people.erase(tx, stage.keyring, ids["甲"], clock.now(), actor="operator"))
            listed = tmp_path / "list"
            assert writing.export_erasures(stage.assembly.database, stage.keyring.vault, listed, clock.now()) == 1
            tuesday = backup(stage, tmp_path / "tuesday")
            for known, source in ((False, None), (True, listed), (True, tuesday)):  # a list, or any later backup, knows
                async with restored(stage, empty_database_url, monday, over=source is not None, erasures=source) as again:
                    assert ("甲" in readable(again)) is not known
                    assert again.after.erased == int(known)
                    assert readable(again) >= set(NAMES) - {"甲"}
                    if known:
                        assert again.states() == {("held", "restored"): len(NAMES) - 1, ("cancelled", "withdrew"): 1}
                        # The list is kept, and never gets shorter by being written again.
                        assert writing.export_erasures(again.assembly.database, stage.keyring.vault, listed, clock.now()) == 1
            async with restored(stage, empty_database_url, monday, over=True) as again:  # the database that is given up knows
                assert again.after.erased == 1
                assert "甲" not in readable(again)

    run(play())


def test_states_that_a_restore_must_hold_are_all_that_are_open() -> None:
    settled = {"sent", "confirmed", "failed", "unknown", "expired", "cancelled", "unreachable", "held"}
    assert {state.value for state in State} - settled == set(OPEN)
