"""Hides how staff take the roll of their group: a list with taps, typed numbers and names, corrections, and the grid of who came."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from bots.attendance import voice
from bots.attendance.commands import Command
from bots.attendance.register import Mark, Register, RegisterOf, Seat, Sitting
from bots.attendance.ticks import Tick, read_tick
from bots.attendance.voice import Voice
from bots.choices import normal, number_of
from bots.clipping import named
from bots.effects import Answer, MarkAttendance, Message, Say
from bots.facts import Need
from bots.texts import Words
from bots.turns import Turn

_VERSION = 1
#: A list that nobody touched for so long is put away: its numbers may have changed.
_KEPT = timedelta(hours=3)
_DONE = frozenset(
    ("好了", "点完了", "点好了", "完成", "结束", "结束点名", "取消", "返回", "退出", "算了", "done", "finished", "finish", "cancel", "back")
)
_NEXT = frozenset(("下一页", "翻页", "next page", "next"))
_KINDS = {"c": "class", "m": "meeting", "r": "retreat"}


def _only(words: Words) -> Answer:
    return Answer((Say(Message(words)),))


def is_open(turn: Turn) -> bool:
    """Whether a list is on the floor."""
    memory = turn.memory or {}
    return memory.get("v") == _VERSION and memory.get("ask") == "roll"


def tapped_command(kind: str, group: int, rest: str) -> Command:
    """The command behind the tap on a group."""
    named_kind = _KINDS.get(rest[:1], "") if kind == "roll" else ""
    number = int(rest[1:]) if named_kind and rest[1:].isdecimal() else 0
    return Command(kind, named_kind, number, group or -1)


def begin(turn: Turn, say: Voice, group: int, command: Command) -> Answer | Need:
    """The list of a group: of the gathering that was named, else of the latest that has begun."""
    register = turn.facts.get(RegisterOf(group))
    if register is None:
        return Need(RegisterOf(group))
    if not register.seen:
        return _only(say("staff.no_calendar"))
    if not register.seats:
        return _only(say("staff.empty", group=named(register.group_name)))
    sitting = _meant(register, command, turn.now)
    if sitting is None:
        return _only(say("roll.missing" if command.kind else "roll.none", group=named(register.group_name)))
    if sitting.opens_at > turn.now:
        return _only(say("roll.early", what=say.what(sitting), at=sitting.at))
    return _show(turn, say, register, sitting, 0)


def _meant(register: Register, command: Command, now: datetime) -> Sitting | None:
    if command.kind:
        return next((each for each in register.sittings if (each.kind, each.number) == (command.kind, command.number)), None)
    begun = [each for each in register.sittings if each.opens_at <= now]
    return begun[-1] if begun else None


def grid(turn: Turn, say: Voice, group: int, page: str) -> Answer | Need:
    """Who came."""
    register = turn.facts.get(RegisterOf(group))
    if register is None:
        return Need(RegisterOf(group))
    if not register.seen:
        return _only(say("staff.no_calendar"))
    if not register.seats:
        return _only(say("staff.empty", group=named(register.group_name)))
    return Answer((Say(voice.grid(say, register, turn.now, int(page) if page.isdecimal() and len(page) < 3 else 0)),))


def typed(turn: Turn, say: Voice) -> Answer | Need:
    """Words while a list is open."""
    found = _opened(turn)
    if isinstance(found, Need):
        return found
    if found is None:
        return _only(say("roll.over"))
    register, sitting = found
    memory = turn.memory or {}
    page = int(memory.get("page", 0))
    if normal(turn.words()) in _DONE:
        there = sum(sitting.id in each.marks for each in register.seats)
        return _only(say("roll.done", what=say.what(sitting), there=there, all=len(register.seats)))
    if normal(turn.words()) in _NEXT:
        return _show(turn, say, register, sitting, page + 1)
    seats = _listed(register, memory)
    tick = read_tick(turn.words(), [each.name if each else "" for each in seats])
    if tick is not None and not tick.unknown:
        return _ticked(turn, say, found, seats, tick)
    if tick is None:
        words = say("roll.unclear")
    else:
        words = say("roll.unknown", names=named(say.joined(tick.unknown) if any(tick.unknown) else turn.words()))
    return Answer((Say(Message(words)),), _memory(turn, register, sitting, page), rests=True)


def tapped(turn: Turn, say: Voice, kind: str, first: str, second: str) -> Answer | Need:
    """A tap on the list: it counts for the list that it stands in only."""
    found = _opened(turn)
    if isinstance(found, Need):
        return found
    own = first if kind in ("all", "rest") else second
    if found is None or own != voice.mark_of(found[1].id):
        return Answer((Say(Message(say("roll.old"))),), turn.memory, rests=True) if is_open(turn) else _only(say("roll.old"))
    register, sitting = found
    page = int((turn.memory or {}).get("page", 0))
    seats = [each for each in _listed(register, turn.memory or {}) if each is not None]
    match kind:
        case "all" | "rest":
            return _ticked(turn, say, found, seats, Tick(everybody=kind))
        case "here" | "away":
            place = next((place for place, each in enumerate(seats, start=1) if each.person == number_of(first)), 0)
            one = frozenset({place} - {0})
            return _ticked(turn, say, found, seats, Tick(here=one) if kind == "here" else Tick(away=one))
        case "page" if first.isdecimal() and len(first) < 3:
            return _show(turn, say, register, sitting, int(first))
        case _:
            return _show(turn, say, register, sitting, page)


def _opened(turn: Turn) -> tuple[Register, Sitting] | Need | None:
    """The register and gathering of the list that is open; None where it has lain too long, or is not this person's any more."""
    memory = turn.memory or {}
    if not is_open(turn) or turn.now - datetime.fromisoformat(memory["at"]) > _KEPT:
        return None
    register = turn.facts.get(RegisterOf(memory["group"]))
    if register is None:
        return Need(RegisterOf(memory["group"]))
    sitting = register.sitting(memory["sitting"])
    return None if sitting is None else (register, sitting)


def _listed(register: Register, memory: Mapping[str, Any]) -> list[Seat | None]:
    """Who stands at which number of the list that was shown; None where somebody has left since."""
    seats = {each.person: each for each in register.seats}
    return [seats.get(person) for person in memory.get("people", ())]


def _memory(turn: Turn, register: Register, sitting: Sitting, page: int, away: Sequence[int] | None = None) -> dict[str, Any]:
    before = (turn.memory or {}) if is_open(turn) and (turn.memory or {}).get("sitting") == sitting.id else {}
    return {
        "v": _VERSION,
        "ask": "roll",
        "group": register.group,
        "sitting": sitting.id,
        "people": [each.person for each in register.seats],
        "page": page,
        "away": list(away if away is not None else before.get("away", ())),
        "at": turn.now.isoformat(),
    }


def _show(turn: Turn, say: Voice, register: Register, sitting: Sitting, page: int) -> Answer:
    away = [] if not is_open(turn) or (turn.memory or {}).get("sitting") != sitting.id else (turn.memory or {}).get("away", [])
    message, place = voice.roll(say, register, sitting, page, rest=bool(away))
    return Answer((Say(message),), _memory(turn, register, sitting, place), rests=True)


def _ticked(turn: Turn, say: Voice, found: tuple[Register, Sitting], seats: Sequence[Seat | None], tick: Tick) -> Answer:
    """Marks as they were meant, and the page again. Who was just said to be away is not among "the rest"."""
    register, sitting = found
    memory = turn.memory or {}
    marks: dict[int, str] = {}
    for how, places in (("tick", tick.here), ("made_up", tick.made_up), ("", tick.away)):
        marks |= {seat.person: how for place in places if (seat := seats[place - 1]) is not None}
    away = [each for each in memory.get("away", ()) if marks.get(each, "") == ""]
    away = list(dict.fromkeys([*away, *(person for person, how in marks.items() if how == "")]))
    if tick.everybody:
        spared = set(away) if tick.everybody == "rest" else set()
        marks |= {each.person: "tick" for each in register.seats if each.person not in spared and each.person not in marks}
    by_how = {how: tuple(person for person, meant in marks.items() if meant == how) for how in ("tick", "made_up", "")}
    effects = [MarkAttendance(register.group, sitting.id, people, how) for how, people in by_how.items() if people]
    after = replace(register, seats=tuple(_after(each, sitting, marks) for each in register.seats))
    lead = say(f"roll.{tick.everybody}") if tick.everybody else voice.noted(say, _named(say, after, sitting, marks))
    message, place = voice.roll(say, after, sitting, int(memory.get("page", 0)), lead=lead, rest=bool(away))
    return Answer((*effects, Say(message)), _memory(turn, after, sitting, place, away), rests=True)


def _after(seat: Seat, sitting: Sitting, marks: Mapping[int, str]) -> Seat:
    """How it will stand: who signed in themself stays so when they are ticked."""
    how = marks.get(seat.person)
    if how is None:
        return seat
    others = {id_: mark for id_, mark in seat.marks.items() if id_ != sitting.id}
    if how == "":
        return replace(seat, marks=others)
    before = seat.marks.get(sitting.id)
    kept = before if how == "tick" and before is not None and before.how != "made_up" else Mark(how)
    return replace(seat, marks={**others, sitting.id: kept})


def _named(say: Voice, register: Register, sitting: Sitting, marks: Mapping[int, str]) -> list[str]:
    found = [each for each in register.seats if each.person in marks]
    return [f"{named(each.name, 36)} {say('mark.' + _mark(each, sitting))}" for each in found]


def _mark(seat: Seat, sitting: Sitting) -> str:
    mark = seat.marks.get(sitting.id)
    return "none" if mark is None else "made_up" if mark.how == "made_up" else "there"
