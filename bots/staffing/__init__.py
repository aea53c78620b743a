"""The staffing's bot: a leader says that they are away and who covers; a successor reads what they got.

For everybody but leaders it does not exist. It lends the floor: words that another bot wants are that bot's.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from bots.choices import normal, number_of, pick, short
from bots.clipping import named
from bots.effects import Answer, BeAway, Choice, ComeBack, Effect, Message, Say
from bots.facts import Need, NewCode
from bots.staffing.period import LONGEST, read_period
from bots.staffing.place import Place, read_place, written
from bots.staffing.views import Cover, Covers, MyAbsences
from bots.texts import Texts, Words
from bots.turns import Membership, Occasion, OccasionKind, Person, Role, Sent, Tapped, Turn, Wrote

_AWAY = frozenset(
    ("请假", "我要请假", "我请假", "我想请假", "离开几天", "be away", "i am away", "i'm away", "i will be away", "away", "absence")
)
_BACK = frozenset(("销假", "结束请假", "取消请假", "不请假了", "我回来带组了", "i am back", "i'm back", "end absence", "cancel absence"))
_INLINE = re.compile(r"\s*(?:我[要想]?)?(?:请假|i(?: am|'m| will be) away)(?:\s*[:：,，]\s*|\s+|(?=[到至从]))(\S.*)", re.IGNORECASE)
_LEAVING = frozenset(("取消", "算了", "不请了", "返回", "退出", "放弃", "cancel", "back", "never mind", "nevermind"))
_MOST_CHOICES = 7


def create(texts: Texts) -> "StaffingBot":
    """The bot with these words."""
    return StaffingBot(texts)


def _led(person: Person) -> tuple[Membership, ...]:
    return tuple(each for each in person.memberships if each.role is Role.LEADER and not each.large)


def _read(text: str) -> tuple[str, str] | None:
    """What is wanted ("away", "back"), and the time that stood behind it."""
    word = normal(text)
    if word in _AWAY:
        return "away", ""
    if word in _BACK:
        return "back", ""
    inline = _INLINE.fullmatch(text)
    return ("away", inline.group(1)) if inline else None


@dataclass(frozen=True)
class _Here:
    turn: Turn
    texts: Texts
    place: Place

    def words(self, key: str, **gaps: Any) -> Words:
        return self.texts.fill(key, self.turn.person.language, self.turn.person.zone, **gaps)

    def choice(self, key: str, id_: str) -> Choice:
        return Choice(f"staffing.{id_}", self.words(f"choice.{key}"), tuple(self.words(f"accepts.{key}").split("|")))

    def at(self, **changes: Any) -> "_Here":
        return replace(self, place=replace(self.place, **changes))

    def ask(self, text: Words, choices: tuple[Choice, ...] = ()) -> Answer:
        return Answer((Say(Message(text, choices)),), written(self.place))

    def end(self, text: Words, *effects: Effect) -> Answer:
        return Answer((*effects, Say(Message(text))), None)


class StaffingBot:
    """Absences, asked for step by step; words about absences and hand-overs."""

    name = "staffing"

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def wants(self, turn: Turn) -> bool:
        """Words of a leader about being away."""
        return isinstance(turn.event, Wrote) and bool(_led(turn.person)) and _read(turn.event.text) is not None

    def answer(self, turn: Turn) -> Answer | Need:
        """The next step of a leader; to everybody else a line that tells nothing."""
        here = _Here(turn, self._texts, read_place(turn.memory))
        if not _led(turn.person):
            return here.end(here.words("outsider"))
        if turn.refusal is not None:
            key = f"refused.{turn.refusal}"
            return here.end(here.words(key if key in self._texts.keys() else "refused.other"))  # noqa: SIM118 - not a mapping
        match turn.event:
            case Wrote(text=text):
                return _wrote(here, text)
            case Tapped(choice=choice):
                return _tapped(here, choice)
            case Sent() if here.place.id:
                return here.ask(here.words("kept"))
            case _:
                return here.end(here.words("closed"))

    def again(self, turn: Turn, most: int) -> Message | None:
        """One line that says that an absence is still being arranged."""
        here = _Here(turn, self._texts, read_place(turn.memory))
        words = here.words("kept")
        return Message(words) if here.place.id and len(words.encode()) <= most else None

    def compose(self, occasion: Occasion) -> Message:
        """A word to whoever covers, or who hands over and gets.

        Details of a REPORT: reason (cover, got, gave), group_name, author_name (the other one); starts and ends of a cover; announcements,
        prompts and questions (numbers) and drafts (how many) of a hand-over.
        """
        if occasion.kind is not OccasionKind.REPORT:
            raise LookupError(f"The staffing bot has no words for {occasion.kind}.")
        return Message(_report(self._texts, occasion))


def _report(texts: Texts, occasion: Occasion) -> Words:
    details = occasion.details

    def fill(key: str, **gaps: Any) -> Words:
        return texts.fill(key, occasion.language, occasion.zone, **gaps)

    who = {"name": named(details["author_name"]) if details.get("author_name") else fill("nameless"), "group": named(details["group_name"])}
    if details["reason"] == "cover":
        return fill("report.cover", starts=details["starts"], ends=details["ends"], **who)
    lines = [fill(f"report.{details['reason']}", **who)]
    for kind in ("announcements", "prompts", "questions"):
        if details.get(kind):  # what was told before practice prompts passed over knows none
            numbers = Words(" ".join(f"#{number}" for number in details[kind][:40]))
            lines.append(fill(f"report.{details['reason']}_{kind}", count=len(details[kind]), numbers=numbers))
    if details["drafts"]:
        lines.append(fill(f"report.{details['reason']}_drafts", count=details["drafts"]))
    if len(lines) == 1:
        lines.append(fill("report.nothing"))
    return Words("\n".join(lines))


def _wrote(here: _Here, text: str) -> Answer | Need:
    wanted = _read(text)
    if wanted is not None:
        return _start(here, wanted[1]) if wanted[0] == "away" else _back(here)
    if not here.place.id or normal(text) in _LEAVING:
        return here.end(here.words("left" if here.place.id else "closed"))
    if here.place.step == "period":
        return _take_period(here, text)
    covers = here.turn.facts.get(Covers(here.place.group))
    if covers is None and here.place.group:
        return Need(Covers(here.place.group))
    chosen = pick(text, _choices(here, covers or ()))
    if chosen is not None:
        return _tapped(here, chosen.id)
    return _take_period(here, text) if here.place.step == "sure" else _go_on(here)


def _start(here: _Here, text: str) -> Answer | Need:
    code = here.turn.facts.get(NewCode("absence"))
    groups = _led(here.turn.person)
    if code is None:
        return Need(NewCode("absence"), *(Covers(each.group) for each in groups))
    fresh = replace(here, place=Place(code, group=groups[0].group if len(groups) == 1 else 0))
    return _take_period(fresh, text) if text else _go_on(fresh)


def _take_period(here: _Here, text: str) -> Answer | Need:
    read = read_period(text, here.turn.now, here.turn.person.zone)
    if isinstance(read, str):
        return here.at(step="period", starts=0, ends=0).ask(here.words(f"period.{read}", days=LONGEST.days))
    starts, ends = (int(moment.timestamp()) // 60 for moment in read)
    return _go_on(here.at(starts=starts, ends=ends))


def _go_on(here: _Here) -> Answer | Need:
    """Ask for what is missing next, or show what will be so."""
    led = {each.group: each for each in _led(here.turn.person)}
    if here.place.group not in led:
        asked = here.at(step="group", group=0, cover=0)
        return asked.ask(here.words("ask.group"), _choices(asked, ()))
    covers = here.turn.facts.get(Covers(here.place.group))
    if covers is None:
        return Need(Covers(here.place.group))
    if not covers:
        return here.end(here.words("ask.nobody", group=named(led[here.place.group].group_name)))
    if not here.place.ends:
        return here.at(step="period").ask(here.words("ask.period"))
    return _settle(here, covers, led[here.place.group].group_name)


def _settle(here: _Here, covers: Sequence[Cover], group_name: str) -> Answer:
    found = next((each for each in covers if each.person == here.place.cover), covers[0] if len(covers) == 1 else None)
    if found is None:
        asked = here.at(step="cover", cover=0)
        return asked.ask(here.words("ask.cover"), _choices(asked, covers))
    sure = here.at(step="sure", cover=found.person)
    starts, ends = sure.place.period()
    shown = here.words("ask.sure", group=named(group_name), cover=_name(here, found.name), starts=starts, ends=ends)
    return sure.ask(shown, _choices(sure, covers))


def _name(here: _Here, name: str | None) -> Words:
    return named(name, 60) if name else here.words("nameless")


def _choices(here: _Here, covers: Sequence[Cover]) -> tuple[Choice, ...]:
    """What can be tapped now."""
    own = short(here.place.id)
    match here.place.step:
        case "group":
            led = _led(here.turn.person)[:_MOST_CHOICES]
            return tuple(Choice(f"staffing.g.{own}.{short(each.group)}", named(each.group_name, 60)) for each in led)
        case "cover":
            return tuple(Choice(f"staffing.c.{own}.{short(each.person)}", _name(here, each.name)) for each in covers[:_MOST_CHOICES])
        case "sure":
            return (here.choice("sure", f"sure.{own}"), here.choice("period", f"period.{own}"), here.choice("leave", f"leave.{own}"))
        case _:
            return ()


def _tapped(here: _Here, choice: str) -> Answer | Need:
    _, kind, own, value = [*choice.split("."), "", "", ""][:4]
    if not here.place.id or number_of(own) != here.place.id:
        return here.ask(here.words("stale")) if here.place.id else here.end(here.words("stale"))
    if kind == "leave":
        return here.end(here.words("left"))
    if kind == "sure" and here.place.step == "sure":
        starts, ends = here.place.period()
        return here.end(here.words("done", ends=ends), BeAway(here.place.group, here.place.cover, starts, ends))
    changes = {"g": {"group": number_of(value)}, "c": {"cover": number_of(value)}, "period": {"starts": 0, "ends": 0}}
    return _go_on(here.at(**changes.get(kind, {})))


def _back(here: _Here) -> Answer | Need:
    found = here.turn.facts.get(MyAbsences())
    if found is None:
        return Need(MyAbsences())
    return here.end(here.words("back.done"), ComeBack()) if found else here.end(here.words("back.none"))
