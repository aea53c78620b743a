"""Measures how long a rehearsal of ten weeks takes: the shipped course of eight weeks with ten groups, 253 participants and staff.

It runs in this process and has one thread; how far its own two limits are kept depends on what else the machine does, so that the seconds
of the processor stand beside those of the clock.
"""

import asyncio
from collections.abc import Callable

from app import clock, rehearsal
from app.rehearsal import Played
from app.rehearsal.copying import Copy
from app.settings import Settings
from benchmarks.grounds import Grounds
from benchmarks.report import Figure, Goal
from migrations import running
from tests.rehearsal.boards import NOW, board

#: Ten groups have thirty leaders and assistants, and the course an administrator: 253 people in all.
GROUPS, PARTICIPANTS = 10, 222
#: Seconds that it may take.
_LONGEST = 120.0


class Contest:
    """The rehearsal, on its own: there is nothing that does the same."""

    def __init__(self, ground: Grounds, rounds: int, say: Callable[[str], None]) -> None:
        self._ground, self._rounds, self._say = ground, rounds, say

    def run(self) -> list[Figure]:
        """Play it so often."""
        url = self._ground.new("rehearsing")
        running.upgrade(url)
        before = clock.hold(NOW)
        try:
            with board(url, code="msc-8-week", names=tuple(f"第{number}组" for number in range(1, GROUPS + 1))) as made:
                copy, settings = made.copy(), made.assembly.settings
            played = [self._play(settings, copy) for _ in range(self._rounds)]
        finally:
            clock.hold(before)
            self._ground.drop(url)
        where = f"rehearsal, {self._ground.database}"
        return [
            Figure(f"{where}: the clock", "s", [each.seconds for each in played], goals=[Goal(_LONGEST, at_least=False, of_ratio=False)]),
            Figure(f"{where}: the processor", "s", [each.cpu_seconds for each in played]),
            Figure(f"{where}: messages", "", [len(each.record.messages) for each in played]),
        ]

    def _play(self, settings: Settings, copy: Copy) -> Played:
        played = asyncio.run(rehearsal.play(settings, copy, rehearsal.Options(PARTICIPANTS), lambda _: None))
        self._say(f"  {played.seconds:.0f} s, {played.cpu_seconds:.0f} s of a processor, {played.deeds} deeds")
        if played.record.disagreements:
            raise AssertionError(f"the ledgers disagree: {played.record.disagreements[0]}")
        return played
