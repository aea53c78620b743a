"""What the tests of delivery share: a desk without a network, people by their kind of contact, and looks at the rows.

`Desk` is the program on one database without any server: rows in, rows out, the moment given by the test.
"""

import asyncio
import hashlib
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

import sqlalchemy as sa
import time_machine
from pydantic import SecretStr

from app import accounts, clock, courses, groups, inbox, people, schedules
from app.assembly import Assembly, assemble
from app.channels import Accepted, Notice, Push, PushKind, Rules
from app.channels.wechat.replies import split_text
from app.db import Database, Tx
from app.inbox import Incoming, Taken
from app.models import Alarm, Allowance, Attempt, Broadcast, Delivery, Identity, Pace, Schedule
from app.outbox import claims
from app.outbox.claims import Lease, Post, Start
from app.people import Known
from app.schedules import Reader
from app.settings import Settings
from bots.facts import Progress
from bots.turns import Role
from tests.stage import APPID, KEY, ORIGINAL, Stage

T = TypeVar("T")

#: A Monday, 18:00 in Shanghai: nobody sleeps.
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


class Desk:
    """One account, one course and one group, without servers."""

    def __init__(self, database_url: str) -> None:
        self._settings = Settings(_env_file=None, database_url=database_url, master_key=SecretStr(KEY), index_key=SecretStr(KEY))  # type: ignore[call-arg]
        self._assemble()
        self.count = 0

    def _assemble(self) -> None:
        self.assembly: Assembly = assemble(self._settings)
        self.database, self.tools, self.keyring = self.assembly.database, self.assembly.tools, self.assembly.tools.keyring

    def restart(self) -> None:
        """End the process, as far as the database can tell, and begin another: what it held in memory is gone."""
        self.database.stop()
        self._assemble()
        self.database.start()

    def __enter__(self) -> Self:
        self.database.start()
        self.account_id = self.write(
            lambda tx: accounts.add(
                tx, self.keyring, NOW, name="demo", appid=APPID, original_id=ORIGINAL, secret="s" * 32, api_base="http://127.0.0.1:9"
            )
        )
        self.course_id = self.write(
            lambda tx: courses.create(tx, self.keyring, NOW, account_id=self.account_id, code="msc", title="正念自我关怀")
        )
        self.group = self.write(lambda tx: groups.create(tx, self.course_id, code="dawn", name="晨光组"))
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.database.stop()

    def write(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in a committed transaction."""
        return self.database.write_now(work)

    def read(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in a transaction that only reads."""
        return self.database.read_now(work)

    def openid(self, number: int) -> str:
        """The openid of the person with this number."""
        return f"oDesk{number:023d}"

    def person(self, name: str = "小雨", role: Role | None = Role.PARTICIPANT, *, typed: datetime | None = NOW) -> Known:
        """Somebody with consent and a number, in the group with `role`; they last wrote at `typed`."""
        self.count += 1
        openid = self.openid(self.count)

        def make(tx: Tx) -> Known:
            known = people.meet(tx, self.keyring, self.account_id, openid, NOW)
            people.rename(tx, known, name)
            people.consent(tx, known.id, self.course_id, courses.SHIPPED_CONSENT, ("online",), NOW)
            if role is not None:
                groups.enter(tx, self.group, known.id, role, NOW)
            if role is Role.PARTICIPANT:
                groups.number_participant(tx, self.course_id, known.id, NOW)
            wrote(tx, known.identity_id, typed)
            return known

        return self.write(make)

    def plan(self, text: str = "今晚见", *, author: Known | None = None, at: datetime | None = None, now: datetime = NOW) -> int:
        """A planned announcement to the group."""
        author_id = None if author is None else author.id
        return self.write(
            lambda tx: schedules.plan_announcement(
                tx, self.keyring, author_id=author_id, group_id=self.group, text=text, at=at, draft=None, now=now
            )
        )

    def fire(self, now: datetime = NOW) -> int | None:
        """Fire the oldest schedule that is due."""
        return self.write(lambda tx: schedules.fire_next(tx, self.keyring, now))

    def announced(self, text: str = "今晚见", *, author: Known | None = None, now: datetime = NOW) -> int:
        """An announcement that has just been fired; returns the schedule's id."""
        made = self.plan(text, author=author, now=now)
        assert self.fire(now) == made
        return made


def wrote(tx: Tx, identity_id: int, at: datetime | None, left: int = 5) -> None:
    """Let the ledger say that somebody last wrote at `at` and `left` messages may follow."""
    until = None if at is None else at + timedelta(hours=48)
    tx.execute(
        sa.update(Allowance).where(Allowance.identity_id == identity_id).values(typed_until=until, typed_left=0 if at is None else left)
    )


def lease(owner: str = "one", seconds: float = 30.0) -> Lease:
    """A lease that ends so many seconds from now by the machine."""
    return Lease(owner, clock.machine_seconds() + seconds)


@dataclass
class Line:
    """A channel that takes everything, after it has awaited what the test wants."""

    before: Callable[[int], Awaitable[None]]
    rules: Rules = field(default_factory=Rules)
    sent: list[str] = field(default_factory=list)

    async def send(self, openid: str, _text: str) -> Accepted:
        self.sent.append(openid)
        await self.before(len(self.sent))
        return Accepted()

    async def notify(self, openid: str, _notice: Notice) -> Accepted:
        return await self.send(openid, "")


def begin(desk: "Desk", posts: Sequence[Post], mine: Lease, now: datetime) -> list[Post]:
    """These are about to be written to the socket; those that are still ours."""
    start = Start(desk.account_id, posts, {post.id: "call" for post in posts}, mine, now)
    return desk.write(lambda tx: claims.begin(tx, start)) or []


@dataclass(frozen=True)
class Row:
    """One delivery as it stands."""

    id: int
    person: int
    state: str
    reason: str
    code: str | None
    route: str | None
    due_at: datetime
    attempts: int

    @property
    def word(self) -> tuple[str, str]:
        return self.state, self.reason


def deliveries(tx: Tx, schedule_id: int | None = None, kind: str = "announcement") -> dict[int, Row]:
    """Every delivery of an announcement by person."""
    columns = (Delivery.state, Delivery.reason, Delivery.code, Delivery.route, Delivery.due_at, Delivery.attempts)
    query = (
        sa.select(Delivery.id, Delivery.person_id, *columns)
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .where(Broadcast.kind == kind)
    )
    if schedule_id is not None:
        query = query.where(Broadcast.schedule_id == schedule_id)
    return {row.person_id: Row(*row) for row in tx.execute(query)}


def attempts(tx: Tx, delivery_id: int) -> list[tuple[int, str, str | None]]:
    """Number, route and outcome of each attempt."""
    query = sa.select(Attempt.number, Attempt.route, Attempt.outcome).where(Attempt.delivery_id == delivery_id).order_by(Attempt.number)
    return [(row.number, row.route, row.outcome) for row in tx.execute(query)]


def alarms(tx: Tx) -> dict[str, int]:
    """How often each alarm was raised, by `kind subject`."""
    return {f"{row.kind} {row.subject}": row.times for row in tx.execute(sa.select(Alarm.kind, Alarm.subject, Alarm.count.label("times")))}


def parked(tx: Tx, account_id: int) -> dict[str, datetime]:
    """Until when each API of an account is parked."""
    rows = tx.execute(sa.select(Pace.api, Pace.parked_until).where(Pace.account_id == account_id, Pace.parked_until.is_not(None)))
    return {row.api: row.parked_until for row in rows}


def unpark(tx: Tx) -> None:
    """An operator has put the account right."""
    tx.execute(sa.update(Pace).values(parked_until=None, probe_at=None, pause=0, troubles=0))


def left(tx: Tx, person_id: int) -> tuple[int, int]:
    """What the ledger says is left by typed words and by taps."""
    query = sa.select(Allowance.typed_left, Allowance.tapped_left).join(Identity, Identity.id == Allowance.identity_id)
    row = tx.execute(query.where(Identity.person_id == person_id)).one()
    return row.typed_left, row.tapped_left


def sums(words: Sequence[tuple[str, int]]) -> int:
    """The sum over the states of a progress."""
    return sum(count for _, count in words)


# -- on the stage


def announce(stage: Stage, group: int, text: str = "今晚见", *, author: int | None = None, at: datetime | None = None) -> int:
    """Plan an announcement; returns the schedule's id."""
    return stage.write(
        lambda tx: schedules.plan_announcement(
            tx, stage.keyring, author_id=author, group_id=group, text=text, at=at, draft=None, now=clock.now()
        )
    )


def report(stage: Stage, schedule_id: int, language: str = "zh") -> Progress:
    """How far an announcement went, as an operator reads it."""
    return stage.read(lambda tx: schedules.progress(tx, stage.keyring, stage.assembly.tools.words, schedule_id, Reader(language)))


def calls(stage: Stage, api: str) -> Counter[int]:
    """How often the sandbox was called at `api`, by errcode."""
    found: Counter[int] = Counter()
    for tally in stage.sandbox.world.calls.values():
        for (path, code), times in tally.items():
            if path == api:
                found[code] += times
    return found


def touched(stage: Stage, openid: str, grant: str) -> None:
    """Both sides know that somebody typed or tapped just now, without a push."""
    stage.sandbox.world.commit("acted", o=openid, grant="typed" if grant == "typed" else "touched")
    now = clock.now()
    values: dict[str, Any] = (
        {"typed_until": now + timedelta(hours=48), "typed_left": 5}
        if grant == "typed"
        else {"tapped_until": now + timedelta(minutes=1), "tapped_left": 3}
    )

    def note(tx: Tx) -> None:
        index = stage.keyring.vault.index(f"openid.{stage.account_id}", openid)
        mine = sa.select(Identity.id).where(Identity.openid_index == index)
        tx.execute(sa.update(Allowance).where(Allowance.identity_id.in_(mine)).values(**values))

    stage.write(note)


async def writers(stage: Stage, group: int, names: Sequence[str], role: Role = Role.PARTICIPANT) -> dict[str, int]:
    """Members who wrote a moment ago; their ids by name."""
    found = {}
    for name in names:
        found[name] = await stage.member(name, group, role)
        touched(stage, stage.openids[name], "typed")
    return found


def texts(stage: Stage, name: str) -> list[str]:
    """Every message of ours in somebody's chat."""
    person = stage.sandbox.world.people[stage.openids[name]]
    return [entry.text for entry in person.entries if entry.side == "account"]


def schedule_row(tx: Tx, schedule_id: int) -> tuple[str, str | None]:
    """State of a schedule, and why."""
    row = tx.execute(sa.select(Schedule.state, Schedule.why).where(Schedule.id == schedule_id)).one()
    return row.state, row.why


def run(coroutine: Any) -> None:
    """Play an asynchronous test."""
    asyncio.run(coroutine)


def push(desk: Desk, number: int, text: str, *, at: datetime = NOW, key: str = "1") -> Push:
    """What person `number` types, as it comes from the platform."""
    content = hashlib.sha256(text.encode()).digest()
    return Push(PushKind.WROTE, desk.openid(number), text, at, f"{int(at.timestamp())}.{number}.{key}", content, text.encode())


def incoming(desk: Desk, pushed: Push) -> Incoming:
    """The push at the door; its reply is the plain text."""
    return Incoming(desk.account_id, pushed, lambda text: text.encode(), split_text, desk.assembly.links().for_person)


def says(desk: Desk, number: int, text: str, *, at: datetime = NOW, key: str = "1") -> tuple[str, Taken]:
    """Let person `number` type; returns the reply and what the inbox made of it."""
    with time_machine.travel(at, tick=True):
        taken = desk.write(lambda tx: inbox.take(tx, desk.tools, incoming(desk, push(desk, number, text, at=at, key=key))))
    return (taken.reply or b"").decode(), taken


def at(moment: datetime) -> time_machine.travel:
    """Within it the clock begins at this moment, and goes on."""
    return time_machine.travel(moment, tick=True)


def together(desk: Desk, jobs: Sequence[Callable[[Tx], T]]) -> list[T]:
    """Run each job in a process of its own, as far as the database can tell, all at the same moment."""
    start, results = threading.Barrier(len(jobs)), dict[int, T]()

    def work(place: int, job: Callable[[Tx], T]) -> None:
        with Database(desk.database.url) as database:
            start.wait()
            results[place] = database.write_now(job)

    threads = [threading.Thread(target=work, args=each) for each in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[place] for place in range(len(jobs))]
