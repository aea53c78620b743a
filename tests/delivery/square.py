"""What the tests of mass sends share: a platform that keeps tags truly and answers as it is told, and a desk in front of it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import courses, schedules
from app.channels import Accepted, MassCounts, MassState, Rules, SendError, Verdict
from app.models import Group, Mass
from app.outbox import results
from app.outbox.crier import Crier
from app.people import Known
from tests.delivery.scene import NOW, Desk, deliveries, lease


@dataclass
class Platform:
    """A platform that keeps tags truly and answers mass sends as it is told: an id, or a `SendError`; then with ids of its own."""

    answers: list[str | SendError] = field(default_factory=list)
    states: list[MassState | SendError] = field(default_factory=list)
    rules: Rules = field(default_factory=Rules)
    tags: dict[int, set[str]] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    calls: list[tuple[str, str, frozenset[str]]] = field(default_factory=list)  # client id, words, whoever has the tag
    batches: list[int] = field(default_factory=list)
    untaggable: set[str] = field(default_factory=set)
    tag_errors: list[SendError] = field(default_factory=list)

    async def send_to_tag(self, tag: int, text: str, client_id: str) -> Accepted:
        self.calls.append((client_id, text, frozenset(self.tags[tag])))
        answer = self.answers.pop(0) if self.answers else f"9{len(self.calls)}"
        if isinstance(answer, SendError):
            raise answer
        return Accepted(answer)

    async def mass_state(self, _msgid: str) -> MassState:
        state = self.states.pop(0) if self.states else MassState.UNDER_WAY
        if isinstance(state, SendError):
            raise state
        return state

    async def create_tag(self, name: str) -> int:
        self._refuse()
        self.names[name] = number = 100 + len(self.names)
        self.tags[number] = set()
        return number

    async def find_tag(self, name: str) -> int | None:
        return self.names.get(name)

    async def delete_tag(self, tag: int) -> None:
        del self.tags[tag]

    async def tagged(self, tag: int) -> Sequence[str]:
        self._refuse()
        return sorted(self.tags[tag])

    async def tag(self, tag: int, openids: Sequence[str]) -> Sequence[str]:
        self.batches.append(len(openids))
        self.tags[tag] |= set(openids) - self.untaggable
        return sorted(set(openids) & self.untaggable)

    async def untag(self, tag: int, openids: Sequence[str]) -> Sequence[str]:
        self.tags[tag] -= set(openids)
        return ()

    def _refuse(self) -> None:
        if self.tag_errors:
            raise self.tag_errors.pop(0)


class Square:
    """A desk whose people sit in the large group, and one process that cries."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.platform = Platform()
        desk.write(lambda tx: courses.set_second_eyes(tx, desk.course_id, 0, NOW))  # a square may hold many, and is about something else
        self.large = desk.group = desk.read(lambda tx: tx.execute(sa.select(Group.id).where(Group.large)).scalar_one())

    def people(self, count: int = 3) -> list[Known]:
        return [self.desk.person(f"同学{number}", typed=None) for number in range(count)]

    def announce(self, text: str = "周日静修", *, author: Known | None = None, now: datetime = NOW) -> int:
        author_id = None if author is None else author.id
        made = self.desk.write(
            lambda tx: schedules.plan_announcement(
                tx, self.desk.keyring, author_id=author_id, group_id=self.large, text=text, at=None, draft=None, now=now, by_mass=True
            )
        )
        assert self.desk.fire(now) == made
        return made

    def cry(self, now: datetime = NOW, *, owner: str = "one", platform: Any = None) -> int:
        """Take every step that is due."""
        crier = Crier(self.desk.database.write, self.desk.database.write, self.desk.keyring, self.desk.tools.composer, lambda: lease(owner))
        channel: Any = platform or self.platform
        return asyncio.run(crier.go_on(self.desk.account_id, channel, now, lambda: False))

    def mass(self) -> Any:
        """The mass send in Chinese, the newest one."""
        query = sa.select(*Mass.__table__.columns).where(Mass.language == "zh").order_by(Mass.id.desc()).limit(1)
        return self.desk.read(lambda tx: tx.execute(query).one())

    def words(self, schedule: int) -> list[tuple[str, str]]:
        return [row.word for row in self.desk.read(lambda tx: deliveries(tx, schedule)).values()]

    def receipt(self, msgid: str, status: str, counts: MassCounts | None = None, now: datetime = NOW) -> None:
        self.desk.write(lambda tx: results.receipt(tx, self.desk.account_id, msgid, status, now, counts))


def error(verdict: Verdict, code: str, msgid: str | None = None) -> SendError:
    return SendError(verdict, code, msgid=msgid)
