"""Hides how a leader looks at a group's week of practice, and writes to those of whom nothing was heard."""

from dataclasses import dataclass, replace

from bots.choices import normal, number_of, pick, short
from bots.clipping import named, size
from bots.effects import Answer, Choice, Effect, Message, Say, WriteToSilent
from bots.facts import Need
from bots.homework import days, voice, words
from bots.homework.book import GroupPractice, WhoPractised
from bots.homework.place import Place
from bots.homework.voice import Voice
from bots.texts import Words, inert
from bots.turns import Membership, Person, Turn

_SENDING = frozenset(("发", "发送", "发出去", "确认", "好", "send", "send it", "ok", "yes"))
_LEAVING = frozenset(("取消", "返回", "算了", "不发了", "先不发", "cancel", "back", "never mind"))


@dataclass(frozen=True)
class Here:
    """One turn of somebody who leads."""

    turn: Turn
    say: Voice
    place: Place

    def ends(self, text: Words, *effects: Effect) -> Answer:
        """Say it, and nothing is open any more."""
        return Answer((*effects, Say(Message(text))))


def groups_of(person: Person) -> tuple[Membership, ...]:
    """The small groups whose practice this person may see."""
    return tuple(each for each in person.announces_to() if not each.large)


def asks_who(text: str, person: Person) -> bool:
    """Whether these words ask who practised, perhaps in a group that they name."""
    return _group_named(text, person) is not None


def _group_named(text: str, person: Person) -> int | None:
    """0: no group was named; None: these words ask something else."""
    word = normal(text)
    if word in words.WHO:
        return 0
    for each in groups_of(person):
        name = normal(each.group_name)
        if word in {f"{asked}{gap}{name}" for asked in words.WHO for gap in ("", " ", " in ")} | {f"{name}{asked}" for asked in words.WHO}:
            return each.group
    return None


def who(here: Here, text: str) -> Answer | Need:
    """The week of the group that is meant, or the question which one."""
    groups = groups_of(here.turn.person)
    meant = _group_named(text, here.turn.person) or 0
    if meant or len(groups) == 1:
        return show(here, meant or groups[0].group)
    taps = [Choice(f"homework.who.{short(each.group)}", here.say("choice.group", group=named(each.group_name, 60))) for each in groups]
    asked = voice.fitting(here.say("who.which"), taps, 200)
    if len(asked.choices) < len(taps):
        asked = replace(asked, text=Words(f"{asked.text}\n{here.say('who.type')}"))
    return Answer((Say(asked),))


def show(here: Here, group: int) -> Answer | Need:
    """Who practised this week, and of whom nothing was heard."""
    seen = here.turn.facts.get(WhoPractised(group))
    if seen is None:
        return Need(WhoPractised(group))
    if not seen.seen:
        return here.ends(here.say("refused.role"))
    return Answer((Say(voice.group_week(here.say, group, seen)),))


def tapped(here: Here, kind: str, rest: list[str]) -> Answer | Need:
    """A choice of ours."""
    group = number_of(rest[0]) if rest else 0
    least = int(rest[1]) if len(rest) > 1 and rest[1] in {str(each) for each in days.SILENCES} else 0
    match kind:
        case "who":
            return show(here, group)
        case "write" if least:
            return preview(here, group, least, voice.suggested(least, here.say.language))
        case "send" if least:
            stamp = number_of(rest[2]) if len(rest) > 2 else 0
            open_ = here.place
            if open_.step != "letter" or (open_.group, open_.days, open_.at) != (group, least, stamp):
                return here.ends(here.say("letter.stale"))
            return send(here)
        case _:
            return here.ends(here.say("letter.dropped"))


def preview(here: Here, group: int, least: int, text: str) -> Answer | Need:
    """Show what would be sent and to whom; nothing is sent by it."""
    seen = here.turn.facts.get(WhoPractised(group))
    if seen is None:
        return Need(WhoPractised(group))
    problem = _problem(here, seen, least)
    if problem is not None:
        return problem
    if size(inert(text)) > voice.LETTER_BYTES:
        return Answer((Say(Message(here.say("letter.long"))),), here.place.memory(here.turn.now))
    place = Place(step="letter", group=group, days=least, text=text)
    return Answer((Say(voice.letter(here.say, group, seen, least, text, here.turn.now)),), place.memory(here.turn.now))


def _problem(here: Here, seen: GroupPractice, least: int) -> Answer | None:
    if not seen.seen:
        return here.ends(here.say("refused.role"))
    if not any(each.days >= least for each in seen.silent):
        return here.ends(here.say("letter.nobody"))
    return None


def send(here: Here) -> Answer | Need:
    """Send what was shown; an old preview is shown anew first."""
    place = here.place
    if not place.preview_holds(here.turn.now):
        return preview(here, place.group, place.days, place.text)
    seen = here.turn.facts.get(WhoPractised(place.group))
    if seen is None:
        return Need(WhoPractised(place.group))
    problem = _problem(here, seen, place.days)
    if problem is not None:
        return problem
    count = sum(each.days >= place.days for each in seen.silent)
    return here.ends(here.say("letter.sent", count=count), WriteToSilent(place.group, place.days, place.text))


def typed(here: Here, text: str) -> Answer | Need:
    """Words while a letter is open: yes, no, or the leader's own words instead of the suggested ones."""
    word = normal(text)
    ways = (here.say.choice("send", "send"), here.say.choice("drop", "drop"))
    chosen = pick(text, ways)
    if word in _LEAVING or chosen is ways[1]:
        return here.ends(here.say("letter.dropped"))
    if word in _SENDING or chosen is ways[0]:
        return send(here)
    return preview(here, here.place.group, here.place.days, text.strip())
