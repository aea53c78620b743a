"""Placeholder."""

from collections.abc import Mapping

from bots.questionnaire.instrument import Instrument


class Thresholds:
    """None."""

    def by_answers(self, instrument: Instrument, before: Mapping[int, int | None], after: Mapping[int, int | None]) -> str | None:
        """Rule."""
        if instrument.code != "dass21":
            return None
        new = any((after.get(n) or 0) >= 2 and (before.get(n) or 0) < 2 for n in (10, 21))
        return "answers_hopeless" if new else None

    def by_scores(self, instrument: Instrument, answers: Mapping[int, int | None]) -> str | None:
        """Rule."""
        return None if instrument else None if answers else None


def load_thresholds() -> Thresholds:
    """Load."""
    return Thresholds()
