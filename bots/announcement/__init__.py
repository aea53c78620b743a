"""The words of announcements: what a group reads, and what its author is told when something did not go out."""

from bots.clipping import named
from bots.effects import Answer, Message
from bots.facts import Need
from bots.texts import Texts, Words
from bots.turns import Occasion, OccasionKind, Turn

_REASONS = frozenset(("late", "role", "restored", "cancelled", "done", "mass", "mass_failed", "mass_lost"))


def create(texts: Texts) -> "AnnouncementBot":
    """The bot with these words."""
    return AnnouncementBot(texts)


class AnnouncementBot:
    """Speaks on occasions only; it starts and answers nothing."""

    name = "announcement"

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def wants(self, turn: Turn) -> bool:  # noqa: ARG002 - the contract's parameter
        """Nothing."""
        return False

    def answer(self, turn: Turn) -> Answer | Need:  # noqa: ARG002 - the contract's parameter
        """Nothing: its messages carry no choices."""
        return Answer(())

    def compose(self, occasion: Occasion) -> Message:
        """The words of an announcement, of a report to its author, or of the rest of a message that was too long.

        Details of an ANNOUNCEMENT: text, group_name, author_name, author_role. Of a REPORT: reason ("late", "role", "restored",
        "cancelled", "done", "mass", "mass_failed", "mass_lost"; any other is told without a why), number, group_name, at; and reached,
        total where it is "done". Of a CONTINUATION: text, passed on as it is, thus made inert before. Raises `LookupError` for an ALERT.
        """
        match occasion.kind:
            case OccasionKind.ANNOUNCEMENT:
                return Message(self._announcement(occasion))
            case OccasionKind.REPORT:
                return Message(self._report(occasion))
            case OccasionKind.CONTINUATION:
                return Message(Words(occasion.details["text"]))
            case _:
                raise LookupError(f"The announcement bot has no words for {occasion.kind}.")

    def _announcement(self, occasion: Occasion) -> Words:
        details = occasion.details
        author = named(details.get("author_name") or "") or self._role(occasion)
        return self._fill(occasion, "announcement", group=named(details["group_name"]), author=author, text=details["text"])

    def _role(self, occasion: Occasion) -> Words:
        """Who speaks, where the author left no name."""
        key = f"role.{occasion.details.get('author_role')}"
        return self._fill(occasion, key if key in self._texts.keys() else "role.other")  # noqa: SIM118 - not a mapping

    def _report(self, occasion: Occasion) -> Words:
        details = occasion.details
        reason = details.get("reason")
        gaps = {"number": details["number"], "group": named(details["group_name"]), "at": details["at"]}
        if reason == "done":
            gaps |= {"reached": details["reached"], "total": details["total"]}
        return self._fill(occasion, f"report.{reason if reason in _REASONS else 'other'}", **gaps)

    def _fill(self, occasion: Occasion, key: str, **gaps: object) -> Words:
        return self._texts.fill(key, occasion.language, occasion.zone, **gaps)
