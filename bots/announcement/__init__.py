"""The words of announcements: what a group reads, how its answers are heard, and what the author is told of what did not go out."""

from dataclasses import replace
from typing import Any

from bots.announcement import answers, asking
from bots.clipping import clip, named
from bots.effects import Answer, Message
from bots.facts import Fact, LastAsked, Need
from bots.texts import Texts, Words, inert
from bots.turns import Occasion, OccasionKind, Tapped, Turn, Wrote

_REASONS = frozenset(("late", "role", "restored", "cancelled", "done", "mass", "mass_failed", "mass_lost"))
_EXCERPT_BYTES = 60


def create(texts: Texts) -> "AnnouncementBot":
    """The bot with these words."""
    return AnnouncementBot(texts)


class AnnouncementBot:
    """Speaks on occasions; it wants no word, and hears the answers to what it asked."""

    name = "announcement"
    heeds: Fact[Any] = LastAsked()

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._got_it = asking.spellings(texts)

    def wants(self, turn: Turn) -> bool:  # noqa: ARG002 - the contract's parameter
        """Nothing."""
        return False

    def hears(self, turn: Turn) -> bool:
        """Whether typed words answer what was asked last."""
        return isinstance(turn.event, Wrote) and self._meant(turn) > 0

    def answer(self, turn: Turn) -> Answer | Need:
        """What a tap or the words that it heard mean."""
        if isinstance(turn.event, Tapped):
            return answers.tapped(self._texts, turn)
        asked = turn.facts.get(LastAsked())
        if asked is None:
            return Need(LastAsked())
        return answers.take(self._texts, turn, asked, self._meant(turn))

    def _meant(self, turn: Turn) -> int:
        """The place of the option that the words mean, 0 for none. Who asked for silence was offered other things since, by number."""
        asked = turn.facts.get(LastAsked())
        if asked is None:
            return 0
        return asking.meant(replace(asked, newest=asked.newest and not turn.person.paused), turn.words(), self._got_it)

    def compose(self, occasion: Occasion) -> Message:
        """The words of an announcement, of a report to its author, or of the rest of a message that was too long.

        Details of an ANNOUNCEMENT: text, group_name, author_name, author_role; and where it asks something: asks (its id), options
        (labels; none for a "got it" tap), until. Of a FOLLOW_UP the same, and own_words where its text is not that of the announcement,
        whose beginning is then `about`. Of a REPORT: reason ("late", "role", "restored", "cancelled", "done", "closed", "mass",
        "mass_failed", "mass_lost"; any other is told without a why), number, group_name, at; reached, total where it is "done"; counts
        (option and how many), asked, answered where it is "closed". Of a CONTINUATION: text, passed on as it is, thus made inert before.
        Raises `LookupError` for an ALERT.
        """
        match occasion.kind:
            case OccasionKind.ANNOUNCEMENT:
                return self._asking(occasion, self._announcement(occasion))
            case OccasionKind.FOLLOW_UP:
                return self._asking(occasion, self._follow_up(occasion))
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

    def _follow_up(self, occasion: Occasion) -> Words:
        """The announcement once more, or other words and what they are about."""
        details = occasion.details
        author = named(details.get("author_name") or "") or self._role(occasion)
        gaps = {"group": named(details["group_name"]), "author": author, "text": details["text"]}
        if details.get("own_words"):
            about = clip(inert(" ".join(details["about"].split())), _EXCERPT_BYTES)
            return self._fill(occasion, "follow_up.own", about=Words(about), **gaps)
        return self._fill(occasion, "follow_up.same", **gaps)

    def _asking(self, occasion: Occasion, words: Words) -> Message:
        """With what can be answered, and a line that says how, until when and who sees it."""
        details = occasion.details
        if not details.get("asks"):
            return Message(words)
        line = self._fill(occasion, "ask.poll" if details["options"] else "ask.got", until=details["until"])
        choices = asking.choices(self._texts, occasion.language, details["asks"], details["options"])
        return Message(Words(f"{words}\n\n{line}"), choices)

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
        if reason == "closed":
            return self._closed(occasion, gaps)
        return self._fill(occasion, f"report.{reason if reason in _REASONS else 'other'}", **gaps)

    def _closed(self, occasion: Occasion, gaps: dict[str, object]) -> Words:
        """How a poll ended."""
        details = occasion.details
        gaps |= {"answered": details["answered"], "asked": details["asked"]}
        if not details["counts"]:
            return self._fill(occasion, "report.closed_got", **gaps)
        each = (self._fill(occasion, "count", option=option, count=count) for option, count in details["counts"])
        return self._fill(occasion, "report.closed", counts=Words(self._fill(occasion, "between").join(each)), **gaps)

    def _fill(self, occasion: Occasion, key: str, **gaps: object) -> Words:
        return self._texts.fill(key, occasion.language, occasion.zone, **gaps)
