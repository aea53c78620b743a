"""Counts what one process answered: a few additions a push, in memory, read by /metrics. Nothing of a push is kept."""

from bisect import bisect_left
from collections import Counter

#: Upper ends of the time classes in seconds; the platform hangs up after five.
CLASSES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 5.0)
#: What a status means; 200 is a reply or a bare `success`.
_OUTCOMES = {403: "refused", 405: "refused", 408: "too_slow", 413: "too_large", 503: "unavailable"}


class Tally:
    """The answers of the webhook since the process began."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter(dict.fromkeys(("replied", "silent", *_OUTCOMES.values()), 0))
        #: How many answers took at most so long, the last for longer ones; and their seconds together.
        self.classes = [0] * (len(CLASSES) + 1)
        self.seconds = 0.0

    def note(self, status: int, body: bytes, seconds: float) -> None:
        """Count one answer."""
        outcome = _OUTCOMES.get(status) or ("silent" if body == b"success" else "replied")
        self.outcomes[outcome] += 1
        self.classes[bisect_left(CLASSES, seconds)] += 1
        self.seconds += seconds
