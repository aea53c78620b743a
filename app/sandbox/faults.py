"""Hides which call goes wrong next: a list of orders, each used up after so many matching calls (wechat-platform.md 13, item 7)."""

import random
from collections import Counter
from dataclasses import dataclass, field, replace

#: The name under which pushes to the webhook ask.
PUSH = "push"


@dataclass(frozen=True)
class Fault:
    """One order. `api` is a path like `message/custom/send`, a beginning like `message/*`, `push`, or `*` for every API call.

    What happens: `errcode` answers that code without doing anything (a code storm, where `times` is None). `cut` closes the connection
    "before" or "after" the thing was done, or in the middle of the answer ("half"); "hang" does nothing and never answers; for pushes
    "after" means that the service's answer is lost. `delay_ms` waits first, up to `jitter_ms` longer; `after_ms` waits between doing and
    answering, so that a receipt comes early. `status` and `body` replace the answer of a call that was done, or with `undone` was not.

    To which calls: those of one `openid` or one `appid`; of these `skip` lets so many through, then each `every`-th, or each with the
    probability `chance` (drawn from `seed`), `times` in all; None means until it is cleared. An order that only delays lets a later one
    act as well. `name` is what `GET /sandbox/faults/applied` counts it under.
    """

    api: str
    errcode: int | None = None
    cut: str | None = None
    delay_ms: int = 0
    jitter_ms: int = 0
    after_ms: int = 0
    status: int | None = None
    body: str | None = None
    undone: bool = False
    openid: str | None = None
    appid: str | None = None
    skip: int = 0
    every: int = 1
    chance: float = 1.0
    seed: int = 0
    times: int | None = 1
    name: str = ""

    @property
    def only_delays(self) -> bool:
        """Whether the call is answered as ever, only later."""
        return self.errcode is None and self.cut is None and self.status is None and self.body is None


@dataclass
class _Order:
    """A fault that is open: what is left of it."""

    fault: Fault
    random: random.Random
    skip: int
    left: int | None
    seen: int = 0

    def matches(self, api: str, openid: str | None, appid: str | None) -> bool:
        """Whether the order is about this call."""
        fault = self.fault
        named = fault.api in (api, "*") if api != PUSH else fault.api == PUSH
        begins = fault.api.endswith("/*") and api.startswith(fault.api[:-1])
        return (named or begins) and fault.openid in (None, openid) and fault.appid in (None, appid)

    def strikes(self) -> bool:
        """Count a matching call; whether it is one that goes wrong."""
        if self.skip:
            self.skip -= 1
            return False
        self.seen += 1
        if self.seen % self.fault.every or (self.fault.chance < 1 and self.random.random() >= self.fault.chance):
            return False
        if self.left is not None:
            self.left -= 1
        return True


@dataclass
class Faults:
    """The orders that are still open, oldest first; of those that match, delays add up and the first other one acts."""

    applied: "Counter[str]" = field(default_factory=Counter)
    _orders: list[_Order] = field(default_factory=list)

    @property
    def open(self) -> list[Fault]:
        """What is ordered, with what is left of it."""
        return [replace(order.fault, skip=order.skip, times=order.left) for order in self._orders]

    @property
    def asks_whom(self) -> bool:
        """Whether an open order names a person or an account."""
        return any(order.fault.openid or order.fault.appid for order in self._orders)

    def add(self, fault: Fault) -> None:
        """Open an order."""
        chance = random.Random(fault.seed)  # noqa: S311 - no secret: a run must be played again from its seed
        self._orders.append(_Order(fault, chance, fault.skip, fault.times))

    def clear(self, name: str | None = None) -> None:
        """End every order, or those of one name."""
        self._orders[:] = [order for order in self._orders if name is not None and order.fault.name != name]

    def take(self, api: str, openid: str | None = None, appid: str | None = None) -> Fault | None:
        """What happens to this call, if anything is ordered."""
        delay, found = 0.0, None
        for order in self._orders or ():
            if order.matches(api, openid, appid) and order.strikes():
                fault = order.fault
                self.applied[fault.name] += 1
                delay += fault.delay_ms + (order.random.random() * fault.jitter_ms if fault.jitter_ms else 0)
                found = fault if found is None or found.only_delays else found
                if not fault.only_delays:
                    break
        if found is None:
            return None
        self._orders[:] = [order for order in self._orders if order.left is None or order.left > 0]
        return replace(found, delay_ms=round(delay))
