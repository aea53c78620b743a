"""What is watched: health, metrics, and the queries behind them, on both databases."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from app import audit, clock, gauges, heartbeat, ids, inbox
from app.channels import Rules
from app.db import Database, Tx
from app.models import AccessToken, Broadcast, Delivery, Flag, Pace, Quarantined, Schedule
from app.web.tally import CLASSES, Tally
from tests.app.outage import Outage
from tests.app.wire import Wire
from tests.stage import Stage

TOKEN = "0123456789abcdefghij"
LATER = timedelta(minutes=10)

Figures = dict[str, float]


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGBAN_METRICS_TOKEN", TOKEN)


async def page(stage: Stage, authorization: str = f"Bearer {TOKEN}") -> str:
    answer = await stage.web.get("/metrics", headers={"Authorization": authorization})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return answer.text


def figures(text: str) -> Figures:
    """Every sample by its name and the values of its labels: `tongban_deliveries stage ready`."""
    return {
        " ".join((sample.name, *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def broadcast(tx: Tx, stage: Stage, state: str) -> int:
    """A broadcast to nobody yet."""
    key = tx.execute(sa.text("SELECT data_key_id FROM accounts")).scalar_one()
    row = {
        "id": ids.new_id(),
        "account_id": stage.account_id,
        "data_key_id": key,
        "bot": "announcement",
        "kind": "announcement",
        "details_sealed": b"",
        "priority": 5,
        "state": state,
        "created_at": clock.now(),
    }
    tx.execute(sa.insert(Broadcast).values(row))
    return int(row["id"])


def deliver(tx: Tx, stage: Stage, person: int, state: str, *, reason: str = "", due: timedelta = timedelta()) -> None:
    """One delivery of a broadcast of its own."""
    now = clock.now()
    row = {"account_id": stage.account_id, "broadcast_id": broadcast(tx, stage, "going"), "person_id": person, "priority": 5}
    tx.execute(sa.insert(Delivery).values(row | {"state": state, "reason": reason, "due_at": now - due, "changed_at": now}))


def test_metrics_are_no_page_for_whoever_lacks_the_token(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with Stage(database_url, tmp_path) as stage:
            nothing = await stage.web.get("/nothing")
            for authorization in ("", TOKEN, "Bearer", f"Bearer {TOKEN}x", f"bearer {TOKEN}", f"Basic {TOKEN}", "Bearer é"):
                answer = await stage.web.get("/metrics", headers={b"Authorization": authorization.encode()})
                assert (answer.status_code, answer.content) == (404, nothing.content), authorization
                assert {*answer.headers} == {*nothing.headers}
            assert "tongban_database_up 1.0" in await page(stage)

    asyncio.run(scene())


@pytest.mark.parametrize("unset", ["", None])
def test_without_a_token_there_are_no_metrics_for_anybody(
    unset: str | None, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TONGBAN_METRICS_TOKEN") if unset is None else monkeypatch.setenv("TONGBAN_METRICS_TOKEN", unset)

    async def scene() -> None:
        async with Stage(sqlite_url, tmp_path) as stage:
            for authorization in ("", "Bearer", "Bearer None", f"Bearer {TOKEN}"):
                assert (await stage.web.get("/metrics", headers={"Authorization": authorization})).status_code == 404

    asyncio.run(scene())


def test_every_figure_is_what_is_stored(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_stored(database_url, tmp_path))


async def _stored(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder) as stage:
        stage.course("正念自我关怀")
        group = stage.group("晨光组")
        person = await stage.member("小雨", group)
        await stage.member("阿岚", group)
        before = figures(await page(stage))
        account = Wire(stage).known.account

        def happen(tx: Tx) -> None:
            now, machine = clock.now(), clock.machine_seconds()
            for state, reason, due in (
                ("ready", "", LATER),
                ("retry", "platform_busy", timedelta()),
                ("sending", "", timedelta()),
                ("waiting", "", timedelta()),
                ("unknown", "answer_lost", timedelta()),
                ("unknown", "written_off", timedelta()),
                ("held", "", timedelta()),
                ("sent", "", LATER),
                ("expired", "", LATER),
            ):
                deliver(tx, stage, person, state, reason=reason, due=due)
            broadcast(tx, stage, "expanding")
            inbox.quarantine(tx, stage.assembly.tools, stage.account_id, "json", b"{}", now)
            settled = ids.new_id()
            tx.execute(
                sa.insert(Quarantined).values(
                    id=settled, account_id=stage.account_id, reason="x", raw_sealed=b"", received_at=now, settled_at=now
                )
            )
            for number, taken in ((1, None), (2, now)):
                tx.execute(
                    sa.insert(Flag).values(
                        id=ids.new_id(),
                        number=number,
                        person_id=person,
                        account_id=stage.account_id,
                        rule="r",
                        words_sealed=b"",
                        raised_at=now - LATER,
                        acknowledged_at=taken,
                    )
                )
            for number, state, fire_at in (
                (1, "planned", now - LATER),
                (2, "planned", now),
                (3, "planned", now + LATER),
                (4, "fired", now),
            ):
                tx.execute(
                    sa.insert(Schedule).values(
                        id=ids.new_id(),
                        course_id=stage.course_id,
                        group_id=group,
                        number=number,
                        kind="announcement",
                        details_sealed=b"",
                        details_hash=b"",
                        fire_at=fire_at,
                        state=state,
                        created_at=now,
                    )
                )
            tx.execute(sa.update(AccessToken).values(expires_at=now + LATER, forced_day=now.date(), forced_count=2))
            parked = {"parked_until": now + LATER, "parked_code": "circuit"}
            today = (now + timedelta(hours=8)).date()
            tx.execute(sa.delete(Pace))
            tx.execute(sa.insert(Pace).values(account_id=stage.account_id, api="service", day=today, calls=500, **parked))
            tx.execute(sa.insert(Pace).values(account_id=stage.account_id, api="notice", day=today - timedelta(days=1), calls=70))
            audit.alarm(tx, now, "quota", "account:1")
            heartbeat.beat(tx, "alive", machine)
            heartbeat.beat(tx, "dead", machine - 60)
            heartbeat.beat(tx, "long dead", machine - 100_000)

        stage.write(happen)
        wire = Wire(stage)
        for words in ("你好", "我不想活了吗这是小雨的话"):
            await wire.says(stage.openids["阿岚"], words)
        text = await page(stage)
        seen = figures(text)
        expected = {
            "deliveries ready": 2,
            "deliveries claimed": 0,
            "deliveries sending": 1,
            "deliveries waiting": 1,
            "deliveries notified": 0,
            "deliveries unknown": 1,
            "deliveries held": 1,
            "broadcasts_expanding": 1,
            "schedules_due": 2,
            "schedules_overdue": 1,
            "quarantine_open": 1,
            "token_forced_today": 2,
            "quota_left service": 499_500,
            "quota_left notice": 100_000,
            "api_circuit_open service": 1,
            "api_circuit_open notice": 0,
            "api_parked_seconds notice": 0,
        }
        for words, value in expected.items():
            metric, _, label = words.partition(" ")
            assert seen[" ".join(filter(None, (f"tongban_{metric}", account, label)))] == value, words
        for metric in ("oldest_ready_seconds", "oldest_open_flag_seconds", "token_expires_seconds", "api_parked_seconds"):
            label = " service" if metric.startswith("api") else ""
            assert 500 < seen[f"tongban_{metric} {account}{label}"] < 700, metric
        assert seen["tongban_workers_alive"] == 1
        assert seen["tongban_alarms_untold"] >= 1
        assert seen["tongban_flags_open " + account] >= 1
        pushed = f"tongban_pushes_last_five_minutes {account}"
        assert seen[pushed] - before[pushed] == 2
        answered = sum(value for name, value in seen.items() if name.startswith("tongban_push_answers_total"))
        assert answered == seen["tongban_push_seconds_count"] == seen["tongban_push_seconds_bucket +Inf"] >= 2
        for secret in ("小雨", "阿岚", "晨光", "不想活", *stage.openids.values(), "long dead", 'alive"', str(person)):
            assert secret not in text


def test_a_database_that_is_away_takes_its_figures_along_and_nothing_else(database_url: str, tmp_path: Path) -> None:
    async def scene() -> None:
        outage = Outage(database_url)
        async with Stage(database_url, tmp_path) as stage:
            assert (await stage.web.get("/health/ready")).json() == {"status": "ready"}
            with outage:
                answer = await stage.web.get("/health/ready")
                assert (answer.status_code, answer.json()) == (503, {"status": "away"})
                assert (await stage.web.get("/health/live")).status_code == 200
                text = await page(stage)
            if not database_url.startswith("sqlite"):  # a locked file can still be read
                assert figures(text)["tongban_database_up"] == 0
                assert "tongban_deliveries" not in text
            assert {"tongban_spool_waiting", "tongban_push_seconds_count", "process_open_fds"} <= figures(text).keys()
            async with asyncio.timeout(60):
                while (await stage.web.get("/health/ready")).status_code != 200:  # noqa: ASYNC110 - only asking again tells
                    await asyncio.sleep(0.05)

    asyncio.run(scene())


def test_ready_means_a_database_that_the_program_knows(database_url: str, tmp_path: Path) -> None:
    """Behind is not ready. Ahead is: the next release has migrated, and replaces the processes one by one."""

    async def scene() -> None:
        async with Stage(database_url, tmp_path) as stage:
            for revision, expected in (("0001", (503, "outdated")), ("9999", (200, "ready"))):
                stage.write(lambda tx, to=revision: tx.execute(sa.text("UPDATE alembic_version SET version_num = :to"), {"to": to}))  # type: ignore[misc]
                answer = await stage.web.get("/health/ready")
                assert (answer.status_code, answer.json()["status"]) == expected
            stage.write(lambda tx: tx.execute(sa.text("DELETE FROM alembic_version")))
            assert (await stage.web.get("/health/ready")).status_code == 503

    asyncio.run(scene())


#: Tables that grow with the years.
GROWING = {"deliveries", "inbox", "broadcasts", "schedules", "flags", "quarantine"}
#: Indexes that hold only what is not settled.
PARTIAL = {
    "ix_deliveries_due",
    "ix_deliveries_open",
    "ix_deliveries_open_by_broadcast",
    "ix_deliveries_leased",
    "ix_deliveries_in_doubt",
    "ix_quarantine_open",
}


def test_no_query_of_the_gauges_walks_through_old_rows(database_url: str) -> None:
    """Each one by an index, as both databases plan it where walking through everything is no choice."""
    database = Database(database_url)
    said: list[tuple[str, Any]] = []
    with database:

        def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
            said.append((statement, parameters))

        def work(tx: Tx) -> dict[str, list[str]]:
            sa.event.listen(tx, "before_cursor_execute", note)
            gauges.read(tx, Rules(), clock.now(), clock.machine_seconds())
            sa.event.remove(tx, "before_cursor_execute", note)
            asked = [each for each in said if each[0].lstrip().startswith("SELECT")]
            assert len(asked) > 8
            return {statement: list(_walked(tx, statement, parameters)) for statement, parameters in asked}

        found = database.read_now(work)
    assert {statement: walked for statement, walked in found.items() if walked} == {}


def _walked(tx: Tx, statement: str, parameters: Any) -> Iterator[str]:
    """Growing tables that a statement reads as a whole."""
    if tx.dialect.name == "sqlite":
        for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
            words = row[3].split()
            if words[0] == "SCAN" and words[1] in GROWING and words[-1] not in PARTIAL:
                yield row[3]
        return
    tx.exec_driver_sql("SET LOCAL enable_seqscan = off")
    for (line,) in tx.exec_driver_sql(f"EXPLAIN {statement}", parameters):
        if "Seq Scan on" in line and line.split("Seq Scan on ")[1].split()[0] in GROWING:
            yield line


def test_answers_are_counted_by_what_they_were() -> None:
    tally = Tally()
    for status, body, seconds in (
        (200, b"<xml/>", 0.001),
        (200, b"success", 0.002),
        (200, b"success", 0.0021),
        (403, b"", 0.0001),
        (503, b"", 4.5),
        (413, b"", 60.0),
        (408, b"", 10.0),
    ):
        tally.note(status, body, seconds)
    assert tally.outcomes == {"replied": 1, "silent": 2, "refused": 1, "unavailable": 1, "too_large": 1, "too_slow": 1}
    assert tally.classes == [3, 1, *[0] * (len(CLASSES) - 3), 1, 2]
    assert tally.seconds == pytest.approx(0.001 + 0.002 + 0.0021 + 0.0001 + 4.5 + 60 + 10)


def test_a_worker_shows_that_it_lives_without_a_database(tmp_path: Path) -> None:
    file = tmp_path / "new" / "beat"
    heartbeat.touch(file)
    first = file.stat().st_mtime_ns
    heartbeat.touch(file)
    assert file.stat().st_mtime_ns >= first
    heartbeat.touch(None)
