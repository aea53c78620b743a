"""Measures what an answer to a questionnaire costs beside the plain way in: the same town, web processes and durable work, in turns.

Five hundred people answer all 107 items, a part of them in each round; in between the same number of pushes is the small talk of
`benchmarks/inbound.py`, by all people of the town, on another copy.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from app import clock
from app.assembly import assemble
from app.db import Tx
from app.models import Assignment
from app.questionnaires import waves
from app.questionnaires.waves import Plan
from benchmarks.founding import counted, found, settings
from benchmarks.grounds import Grounds
from benchmarks.inbound import PEOPLE as CHATTING
from benchmarks.processes import Running, Yard, ask, free_ports
from benchmarks.report import Figure, Goal
from benchmarks.town import Town

PEOPLE, ITEMS, CONNECTIONS = 500, 107, 16
SEVEN = ("scs", "cs24", "dass21", "focs", "swls", "shs", "cams_r")
#: An answer that every item of the seven takes and that calls for nobody's help.
_ANSWER = "1"
_ROUNDS = 12
#: Seconds after which a round counts as stuck; a round ends when everything has been said.
_PATIENCE = 120.0


@dataclass
class Side:
    """Answers or chat, on its own database with its own web processes."""

    name: str
    url: str
    servers: list[Running]
    rounds: list[dict[str, Any]] = field(default_factory=list)

    def values(self, name: str) -> list[float]:
        """One figure of each round."""
        return [float(each[name]) for each in self.rounds]


class Contest:
    """Both sides on one kind of database."""

    def __init__(self, yard: Yard, ground: Grounds, say: Callable[[str], None]) -> None:
        self._yard, self._ground, self._say = yard, ground, say
        seeded = ground.new("answering")
        self.town: Town = found(seeded, CHATTING)
        self._script = _script(seeded, self.town)
        ground.settle(seeded)
        self.answers, self.chat = (self._start(name, ground.copy(seeded, name)) for name in ("answers", "chat"))
        _everybody(self.answers.url, self.town)

    def _start(self, name: str, url: str) -> Side:
        ports = free_ports(self._ground.processes)
        env = self.town.environment(url)
        return Side(name, url, [self._yard.start("web", "app", "web", env=env | {"TONGBAN_PORT": str(port)}, port=port) for port in ports])

    def run(self) -> list[Figure]:
        """Every round, then the figures."""
        self._round(self.chat, 0, 2 * PEOPLE, ())
        size = -(-len(self._script) // _ROUNDS)
        parts = [self._script[start : start + size] for start in range(0, len(self._script), size)]
        for number, part in enumerate(parts, start=1):
            sides = (self.answers, self.chat) if number % 2 else (self.chat, self.answers)
            for side in sides:
                self._round(side, number, PEOPLE * len(part), part if side is self.answers else ())
        self.chat.rounds.pop(0)  # it only warmed up
        return [*self._figures()]

    def _round(self, side: Side, number: int, pushes: int, script: Sequence[str]) -> None:
        order = {
            "town": self.town.plain(),
            "ports": [server.port for server in side.servers],
            "seed": 1_000 + 2 * number + (side is self.chat),
            "connections": CONNECTIONS,
            "seconds": _PATIENCE,
            "most": pushes,
            "people": PEOPLE,
            "script": list(script),
        }
        before = sum(server.seconds() for server in side.servers)
        result = ask("benchmarks.generator", order)
        count = max(1, result["acknowledged"])
        cpu = 1000 * (sum(server.seconds() for server in side.servers) - before) / count
        side.rounds.append({**result, "rate": result["acknowledged"] / result["elapsed"], "cpu": cpu})
        self._say(
            f"{self._ground.database} {side.name:7} {side.rounds[-1]['rate']:7.0f}/s  p50 {result['p50']:6.2f}  p99 {result['p99']:6.2f} ms"
            f"  CPU {cpu:5.2f} ms  refused {result['refused']}  silent {result['silent']}"
        )

    def _figures(self) -> Iterator[Figure]:
        name = f"answering, {self._ground.database}"
        answers, chat = self.answers, self.chat
        words = f"{name}: {PEOPLE} people, {ITEMS} items each, beside the plain way in"
        yield Figure(words, "pushes/s", answers.values("rate"), chat.values("rate"), [Goal(0.9, at_least=True)])
        yield Figure(f"{name}: CPU per push", "ms", answers.values("cpu"), chat.values("cpu"))
        for part in ("p50", "p99"):
            yield Figure(f"{name}: {part}", "ms", answers.values(part), chat.values(part))
        exactly = (Goal(1.0, at_least=True), Goal(1.0, at_least=False))
        yield Figure(f"{name}: answers stored beside given", "answers", [*counted(answers.url, ["answers"])], [PEOPLE * ITEMS], exactly)
        yield Figure(f"{name}: people who are complete", "people", [_complete(answers.url, self.town)], [PEOPLE], exactly)
        silent = sum(each["refused"] + each["silent"] for each in (*answers.rounds, *chat.rounds))
        yield Figure(f"{name}: refused, or answered without words", "pushes", [silent], [], [Goal(0, at_least=False, of_ratio=False)])


def _script(url: str, town: Town) -> list[str]:
    """What everybody says: the beginning, an answer to each item, and the handing in after each questionnaire."""
    newest = assemble(settings(town, url)).tools.shelf.newest()
    return ["问卷", *(words for code in SEVEN for words in (*[_ANSWER] * len(newest[code].items), "交"))]


def _everybody(url: str, town: Town) -> None:
    """Put the seven to everybody, as the clockwork does."""
    assembly, now = assemble(settings(town, url)), clock.now()
    plan = Plan("baseline", {"zh": "课前问卷"}, now - timedelta(minutes=1), now + timedelta(days=5), SEVEN, {})
    with assembly.database as database:
        database.write_now(lambda tx: waves.add(tx, assembly.tools.shelf, town.course_id, plan, now))
        while database.write_now(lambda tx: waves.go_on(tx, assembly.tools, now)):
            pass


def _complete(url: str, town: Town) -> int:
    assembly = assemble(settings(town, url))

    def count(tx: Tx) -> int:
        return int(tx.execute(sa.select(sa.func.count()).where(Assignment.state == "complete")).scalar_one())

    with assembly.database as database:
        return database.read_now(count)
