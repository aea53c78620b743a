"""Hides which call goes wrong next: a list of orders, each used up after so many matching calls (wechat-platform.md 13, item 7)."""

from dataclasses import dataclass, replace

#: The name under which pushes to the webhook ask.
PUSH = "push"


@dataclass(frozen=True)
class Fault:
    """One order. `api` is a path like `message/custom/send`, `push`, or `*` for every API call.

    `errcode` answers that code without doing anything. `cut` closes the connection "before" or "after" the thing was done;
    for pushes "after" means that the service's answer is lost. `delay_ms` waits first. `status` and `body` replace the answer
    of a call that was done. `skip` lets so many matching calls through; `times` None means until it is cleared.
    """

    api: str
    errcode: int | None = None
    cut: str | None = None
    delay_ms: int = 0
    status: int | None = None
    body: str | None = None
    openid: str | None = None
    skip: int = 0
    times: int | None = 1


class Faults:
    """The orders that are still open, oldest first; the first that matches is used."""

    def __init__(self) -> None:
        self.open: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self.open.append(fault)

    def clear(self) -> None:
        self.open.clear()

    def take(self, api: str, openid: str | None = None) -> Fault | None:
        """The fault for this call, if one is ordered."""
        for place, fault in enumerate(self.open):
            if _matches(fault, api, openid):
                return self._use(place, fault)
        return None

    def _use(self, place: int, fault: Fault) -> Fault | None:
        if fault.skip:
            self.open[place] = replace(fault, skip=fault.skip - 1)
            return None
        if fault.times is not None and fault.times <= 1:
            del self.open[place]
        elif fault.times is not None:
            self.open[place] = replace(fault, times=fault.times - 1)
        return fault


def _matches(fault: Fault, api: str, openid: str | None) -> bool:
    named = fault.api == api or (fault.api == "*" and api != PUSH)
    return named and fault.openid in (None, openid)
