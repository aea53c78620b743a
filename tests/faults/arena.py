"""Where faults are played: one database, the sandbox in a process of its own, accounts with their groups, and processes to torment.

with Arena(database_url, tmp_path, nursery) as arena:
    dawn = arena.account("dawn")
    group = arena.group(dawn, members=500)
    arena.announce(group)
    worker = arena.start("worker")
    arena.until(lambda: arena.settled() == 500)
    worker.kill()
"""

import itertools
import os
import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import sqlalchemy as sa
from pydantic import SecretStr

from app import accounts, clock, courses, groups, schedules
from app.assembly import Assembly, assemble
from app.channels import Rules
from app.db import Tx
from app.models import Allowance, Broadcast, Delivery, Group, Identity, Mass, Schedule
from app.settings import Settings
from app.states import SETTLED, UNDER_WAY, Route, State
from tests.faults.members import Seat, seat
from tests.faults.processes import PATIENCE, Nursery, Process, address_of, listening
from tests.stage import KEY

T = TypeVar("T")

#: Dead processes are taken for dead after this many seconds.
LEASE_SECONDS = 2.0
#: Where workers die all the time: longer than two busy cores let a living one wait, so that who is taken for dead is dead, or frozen by us.
STEADY_SECONDS = 4.0
STEADY: Mapping[str, str] = {"TONGBAN_LEASE_SECONDS": str(STEADY_SECONDS)}
#: For runs in which nobody dies: no living process is taken for dead, however long two busy cores let it wait.
PATIENT: Mapping[str, str] = {"TONGBAN_LEASE_SECONDS": "30"}
#: What makes a process of the program quick to notice; nothing that it decides.
QUICK: Mapping[str, Any] = {"app.worker:_TICK_SECONDS": 0.1, "app.worker:_REAP_SECONDS": 0.2}
#: Seconds after which the sandbox delivers a push again.
PUSH_SECONDS = 1.0


@dataclass(frozen=True)
class Line:
    """One account as both sides know it."""

    id: int
    name: str
    appid: str
    original_id: str


@dataclass(frozen=True)
class Circle:
    """A group with its members, in the order of their openids."""

    id: int
    course_id: int
    line: Line
    openids: tuple[str, ...] = field(repr=False)
    people: tuple[int, ...] = field(repr=False)


class Arena:
    """See the module. `seed` drives every choice of the run; it stands in each failure and in TONGBAN_FAULT_SEED it is given again."""

    def __init__(self, database_url: str, folder: Path, nursery: Nursery, seed: int = 0) -> None:
        self.url, self.folder, self.nursery, self.seed = database_url, folder, nursery, seed
        self.chance = random.Random(seed)
        self.clock_file = folder / "clock"
        self.settings = Settings(
            _env_file=None,  # type: ignore[call-arg]
            database_url=database_url,
            master_key=SecretStr(KEY),
            index_key=SecretStr(KEY),
            lease_seconds=LEASE_SECONDS,
            clock_file=self.clock_file,
        )
        self.assembly: Assembly = assemble(self.settings)
        self.lines: list[Line] = []
        self.circles: list[Circle] = []
        self.planned: dict[int, Circle] = {}  # schedules that shall become one broadcast each
        self.touched: set[int] = set()  # whoever wrote again meanwhile
        self.kills = 0
        self.in_doubt = 0  # service messages that killed processes had under way
        self._marks = itertools.count(1)
        self._passed = 0.0

    def __enter__(self) -> Self:
        self.jump(timedelta())
        self._sandbox_socket, self._web_socket = listening(), listening()
        self.sandbox_url, self.web_url = address_of(self._sandbox_socket), address_of(self._web_socket)
        self.sandbox = self.nursery.start("sandbox", str(PUSH_SECONDS), environment={}, listener=self._sandbox_socket, folder=self.folder)
        self.phones = httpx.Client(base_url=self.sandbox_url, timeout=60, verify=False)
        self.assembly.database.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None) -> None:
        if error is not None:
            error.add_note(f"TONGBAN_FAULT_SEED={self.seed}\n{self.nursery.last_words()}")
        self.nursery.end_all()
        self.phones.close()
        self._sandbox_socket.close()
        self._web_socket.close()
        self.assembly.database.stop()
        os.environ.pop(clock.CLOCK_FILE, None)

    # -- who is there

    def account(self, name: str, *, notices: bool = False) -> Line:
        """An account on both sides; `notices`: with an approved template."""
        number = len(self.lines)
        appid, original = f"wx{number:016x}", f"gh_{number:012x}"
        line_id = self.write(
            lambda tx: accounts.add(
                tx, self.keyring, clock.now(), name=name, appid=appid, original_id=original, secret="s" * 32, api_base=self.sandbox_url
            )
        )
        known = self.read(lambda tx: accounts.credentials(tx, self.keyring, line_id))
        given = {
            "webhook_url": f"{self.web_url}/hooks/wechat/{name}",
            **{word: getattr(known, word) for word in ("token", "aes_key", "appid", "secret", "original_id", "mode")},
            "name": name,
        }
        self.ask("PUT", "/sandbox/accounts", given)
        if notices:
            fields = {"thing1": "类型", "thing2": "来自", "time3": "时间"}
            made = self.ask("POST", f"/sandbox/accounts/{appid}/templates", {"title": "消息提醒", "fields": fields})["template_id"]
            self.write(lambda tx: accounts.set_notice(tx, line_id, made, {"kind": "thing1", "sender": "thing2", "time": "time3"}))
        line = Line(line_id, name, appid, original)
        self.lines.append(line)
        return line

    def group(
        self, line: Line, *, members: int, typed: bool = True, code: str | None = None, large: bool = False, cap: int | None = None
    ) -> Circle:
        """A course with one group of so many followers; `typed`: they wrote a moment ago, else only a notice reaches them.

        `large`: they sit in the course's large group instead, to which mass sends go. `cap`: how many messages the course starts with each
        of them on one day.
        """
        number = len(self.circles)
        openids = tuple(f"oArena{number:04d}{each:018d}" for each in range(members))
        for start in range(0, members, 2_000):
            people = [{"name": "同学", "openid": each, "following": True, "wrote": typed} for each in openids[start : start + 2_000]]
            self.ask("POST", "/sandbox/people/batch", {"appid": line.appid, "people": people})

        def make(tx: Tx) -> tuple[int, int, list[int]]:
            now = clock.now()
            course = courses.create(tx, self.keyring, now, account_id=line.id, code=f"msc{number}", title="正念自我关怀")
            courses.set_quiet_hours(tx, course, "00:00", "00:00")  # real time: the test runs at night too
            courses.set_cap(tx, course, cap, now)
            courses.set_second_eyes(tx, course, 0, now)
            if large:
                group = int(tx.execute(sa.select(Group.id).where(Group.course_id == course, Group.large)).scalar_one())
            else:
                group = groups.create(tx, course, code=code or f"g{number}", name="晨光组")
            return course, group, seat(tx, self.keyring.vault, Seat(line.id, course, group), openids, now, typed=typed)

        course, group, people_ids = self.write(make)
        circle = Circle(group, course, line, openids, tuple(people_ids))
        self.circles.append(circle)
        return circle

    def touch(self, circle: Circle) -> None:
        """Everybody of a group has written just now, as both sides know: five messages may go again."""
        self.ask("POST", "/sandbox/people/wrote", {"appid": circle.line.appid, "openids": list(circle.openids)})
        mine = sa.select(Identity.id).where(Identity.person_id.in_(circle.people))
        window = {"typed_until": clock.now() + timedelta(hours=47), "typed_left": 5}
        self.write(lambda tx: tx.execute(sa.update(Allowance).where(Allowance.identity_id.in_(mine)).values(**window)))
        self.touched.update(circle.people)

    def announce(self, circle: Circle, *, at: datetime | None = None, by_mass: bool = False) -> int:
        """Plan an announcement to everybody of a group; its words carry a mark of its own. Returns the schedule's id."""
        text = f"今晚见〔{next(self._marks)}〕"
        schedule = self.write(
            lambda tx: schedules.plan_announcement(
                tx, self.keyring, author_id=None, group_id=circle.id, text=text, at=at, draft=None, now=clock.now(), by_mass=by_mass
            )
        )
        self.planned[schedule] = circle
        return schedule

    # -- processes

    def start(
        self,
        program: str,
        *words: str,
        points: Mapping[str, int] | None = None,
        tuned: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        listener: socket.socket | None = None,
    ) -> Process:
        """Start a process of the program on this database; `web` and `run` answer at `web_url`, or on a socket of their own."""
        given = {
            "TONGBAN_DATABASE_URL": self.url,
            "TONGBAN_MASTER_KEY": KEY,
            "TONGBAN_INDEX_KEY": KEY,
            "TONGBAN_LEASE_SECONDS": str(LEASE_SECONDS),
            "TONGBAN_CLOCK_FILE": str(self.clock_file),
            "TONGBAN_PUBLIC_URL": self.web_url,
            "TONGBAN_LOG_LEVEL": "WARNING",
            **(environment or {}),
        }
        return self.nursery.start(
            program,
            *words,
            environment=given,
            points=points,
            tuned={**(QUICK if program in {"worker", "run"} else {}), **(tuned or {})},
            listener=(listener or self._web_socket) if program in {"web", "run"} else None,
            folder=self.folder,
        )

    def kill(self, process: Process) -> None:
        """SIGKILL, counted: what it had under way may be unknown from now on."""
        process.kill()
        self._bury(process)

    def crash(self, point: str, nth: int, program: str = "worker", words: Sequence[str] = (), **more: Any) -> None:
        """Start a process that kills itself at the n-th hit of a point, and wait until it has. Fails where it never comes there."""
        process = self.start(program, *words, points={point: nth}, **more)
        self.crashed(process)

    def crashed(self, process: Process) -> None:
        """Wait until a process has killed itself at its point."""
        try:
            process.wait()
        except AssertionError as never:
            never.add_note(f"it never came to {dict(process.points)} (is the point's place still in the program?)")
            raise
        assert process.crashed_at() in process.points, f"{process.name} ended elsewhere than at {dict(process.points)}\n{process.said()}"
        self._bury(process)

    def _bury(self, process: Process) -> None:
        """Count what a dead process had under way: with one account never more than eight service messages."""
        self.kills += 1
        self.until(lambda: self.answered(process))
        left = self.under_way(process)
        most = Rules().service_in_flight * len(self.lines)
        assert left <= most, f"{process.name} had {left} service messages under way, at most {most} may be"
        self.in_doubt += left

    # -- time

    def jump(self, ahead: timedelta) -> None:
        """Let the program's clock run so far ahead of the machine's; the sandbox keeps the machine's."""
        fresh = self.clock_file.with_suffix(".new")
        fresh.write_text(f"{ahead.total_seconds():.3f}", encoding="ascii")
        fresh.replace(self.clock_file)

    def pass_on_both_sides(self, seconds: float) -> None:
        """Let so much time pass for the program and for the platform."""
        self._passed += seconds
        self.jump(timedelta(seconds=self._passed))
        self.ask("POST", "/sandbox/clock", {"advance": seconds})

    @staticmethod
    def seconds() -> float:
        """The machine's own time."""
        return clock.steady()

    def later(self, seconds: float) -> None:
        """Let so much of the machine's time pass: where a lease must end, which nobody can hasten."""
        end = clock.machine_seconds() + seconds
        while clock.machine_seconds() < end:
            time.sleep(0.01)

    def until(self, true: Callable[[], T], seconds: float = PATIENCE, *, living: tuple[Process, ...] = ()) -> T:
        """Wait for something that comes by itself; `living` must not end meanwhile. Returns its value."""
        deadline = time.monotonic() + seconds
        while not (value := true()):
            for process in living:
                process.must_live()
            if time.monotonic() > deadline:
                raise AssertionError(f"it did not come within {seconds} s: {dict(self.states())}")
            time.sleep(0.025)
        return value

    # -- what there is

    @property
    def keyring(self) -> Any:
        return self.assembly.tools.keyring

    def write(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in a committed transaction."""
        return self.assembly.database.write_now(work)

    def read(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in a transaction that only reads."""
        return self.assembly.database.read_now(work)

    def states(self) -> "Counter[str]":
        """How many deliveries stand in each state."""
        query = sa.select(Delivery.state, sa.func.count()).group_by(Delivery.state)
        return self.read(lambda tx: Counter({row[0]: row[1] for row in tx.execute(query)}))

    def settled(self) -> int:
        """How many deliveries need nothing more; a notice that was taken counts."""
        return sum(count for state, count in self.states().items() if state in SETTLED or state == "notified")

    def at_rest(self) -> bool:
        """Whether nothing is left to do now: all due schedules fired, nothing under way, what has settled closed."""

        def look(tx: Tx) -> bool:
            held = sa.and_(Delivery.state == State.READY, Delivery.reason == "cap", Delivery.due_at > clock.now())
            under_way = sa.select(Delivery.id).where(Delivery.state.in_(UNDER_WAY), ~held)
            due = sa.select(Schedule.id).where(Schedule.state == "planned", Schedule.fire_at <= clock.now())
            unsettled = sa.select(Delivery.id).where(Delivery.broadcast_id == Broadcast.id, Delivery.state.not_in(SETTLED)).exists()
            unfinished = sa.select(Broadcast.id).where(
                sa.or_(Broadcast.state == "expanding", sa.and_(Broadcast.state == "going", ~unsettled))
            )
            masses = sa.select(Mass.id).where(sa.or_(Mass.state.in_(["planned", "sending", "accepted"]), Mass.to_tell.is_not(None)))
            return not any(tx.execute(query.limit(1)).first() for query in (due, under_way, unfinished, masses))

        return self.read(look)

    def drain(self, *living: Process, seconds: float = 2 * PATIENCE) -> None:
        """Wait until nothing is left to do; these processes do it and must live."""
        self.until(self.at_rest, seconds, living=living)

    def under_way(self, process: Process) -> int:
        """How many service messages a process has committed to write and not settled."""
        query = (
            sa.select(sa.func.count())
            .select_from(Delivery)
            .where(Delivery.state == State.SENDING, Delivery.route == Route.SERVICE.value, Delivery.lease_owner.like(f"%.{process.pid}.%"))
        )
        return int(self.read(lambda tx: tx.execute(query).scalar_one()))

    def answered(self, process: Process) -> bool:
        """Whether the server has done all that a killed or frozen process told it: a commit it was sent is carried out without it."""
        if self._backends(process, "active"):
            return False
        time.sleep(0.05)  # what it wrote last may not have been read yet
        return not self._backends(process, "active")

    def holds_on(self, process: Process) -> bool:
        """Whether a frozen process was stopped within a transaction: what it locked stays locked, and it may commit when it wakes up."""
        return self.assembly.database.is_sqlite or self._backends(process, "idle in transaction") > 0

    def _backends(self, process: Process, state: str) -> int:
        """How many connections of a process stand so; SQLite has none."""
        if self.assembly.database.is_sqlite:
            return 0
        query = sa.text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name AND state = :state")
        named = {"name": f"tongban {process.pid}", "state": state}
        return int(self.read(lambda tx: tx.execute(query, named).scalar_one()))

    # -- the platform

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One question to the sandbox's controls."""
        answer = self.phones.request(method, path, json=body)
        assert answer.status_code == 200, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def fault(self, **order: Any) -> None:
        """Let the platform misbehave: see `app.sandbox.faults.Fault`."""
        self.ask("POST", "/sandbox/faults", order)

    def calm(self, name: str | None = None) -> None:
        """End every fault, or those of a name."""
        self.ask("DELETE", "/sandbox/faults" if name is None else f"/sandbox/faults?name={name}")

    def ledger(self, after: int = 0) -> list[dict[str, Any]]:
        """What the platform accepted after so many, oldest first."""
        rows: list[dict[str, Any]] = self.ask("GET", f"/sandbox/ledger?limit=100000&after={after}")
        return rows

    def calls(self, line: Line | None = None) -> dict[str, dict[str, int]]:
        """How often each API answered each errcode."""
        found: dict[str, dict[str, int]] = self.ask("GET", f"/sandbox/calls?appid={line.appid if line else ''}")
        return found
