"""Who answers: safety, then a tap's owner, the floor's holder, who wants the event, who asked for such words by itself, then fallback."""

from collections.abc import Mapping
from dataclasses import replace

from bots import Bot, Listener, listener, patient
from bots.turns import Pressed, Sent, Tapped, Turn, Wrote

FIRST = "safety"
LAST = "fallback"


def who_answers(bots: Mapping[str, Bot], turn: Turn, floor: str | None) -> Bot:
    """The one of these bots, by their names, that answers this event. `floor` is the name of the bot that has something open.

    Raises `LookupError` where two bots want the same word: a defect of the bots, held by a test.
    """
    if bots[FIRST].wants(_as(turn, FIRST, floor)):
        return bots[FIRST]
    owner = bots.get(_owner(turn))
    if owner is not None:
        return owner
    # A scan, a follow or a menu entry starts something new: only words, taps of nobody's and pictures go to the floor.
    holder = bots.get(floor or "") if isinstance(turn.event, Wrote | Tapped | Sent) else None
    if holder is not None and not (isinstance(turn.event, Wrote) and patient(holder)):
        return holder
    others = [bot for bot in bots.values() if bot.name not in (FIRST, LAST) and bot is not holder]
    wanting = [bot for bot in others if bot.wants(_as(turn, bot.name, floor))]
    if holder is not None:
        return wanting[0] if len(wanting) == 1 else holder
    if len(wanting) > 1:
        raise LookupError(f"Several bots want one event: {', '.join(bot.name for bot in wanting)}.")
    return wanting[0] if wanting else bots[LAST]


def who_listens(bots: Mapping[str, Bot], turn: Turn, chosen: Bot, *, rests: bool) -> tuple[Listener, ...]:
    """The bots that may take typed words from the one that would answer them: from the last in line, or from one that has something
    open and in no hurry (`rests`) and would not begin with these words itself. The first of them that `hears` them does.
    """
    if not isinstance(turn.event, Wrote) or not (chosen.name == LAST or (rests and not chosen.wants(turn))):
        return ()
    return tuple(each for each in map(listener, bots.values()) if each is not None)


def _owner(turn: Turn) -> str:
    """The bot whose name stands before the dot of a tapped choice or a menu key; empty for other events."""
    if isinstance(turn.event, Tapped):
        return turn.event.choice.partition(".")[0]
    if isinstance(turn.event, Pressed):
        return turn.event.key.partition(".")[0]
    return ""


def _as(turn: Turn, name: str, floor: str | None) -> Turn:
    holds = floor == name
    return turn if turn.holds_floor is holds else replace(turn, holds_floor=holds)
