"""Hides how the calls that one process may have under way are shared: no account can take those that are kept for another."""

import asyncio
from collections import Counter

#: Calls that one process has under way over all accounts.
IN_FLIGHT = 64


class Slots:
    """Places for calls. While several accounts want to send, each has its share for itself, and what is left goes to who comes first."""

    def __init__(self, most: int = IN_FLIGHT) -> None:
        self._most = most
        self._used: Counter[int] = Counter()
        self._wanting: dict[int, asyncio.Event] = {}

    def enter(self, account_id: int, freed: asyncio.Event) -> None:
        """An account begins to send; `freed` is set whenever a call of another one is over."""
        self._wanting[account_id] = freed

    def leave(self, account_id: int) -> None:
        """It has nothing left to begin."""
        self._wanting.pop(account_id, None)

    def room(self, account_id: int) -> int:
        """How many calls more this account may begin now."""
        share = max(1, self._most // max(1, len(self._wanting)))
        free = self._most - self._used.total()
        kept = sum(max(0, share - self._used[other]) for other in self._wanting if other != account_id)
        return max(0, free - kept, min(free, share - self._used[account_id]))

    def take(self, account_id: int, calls: int) -> None:
        """So many calls more are about to begin."""
        self._used[account_id] += calls

    def give_back(self, account_id: int, calls: int = 1) -> None:
        """So many calls are over, or did not begin after all."""
        self._used[account_id] -= calls
        for other, freed in self._wanting.items():
            if other != account_id:
                freed.set()
