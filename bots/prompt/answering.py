"""Hides how an answer is read, tapped or typed: which choice it means, or which groups, times and words were typed."""

import re
from collections.abc import Mapping

from bots.choices import normal, number_of, ordinal, pick
from bots.effects import Answer
from bots.facts import Need
from bots.prompt.dialogue import (
    CODES,
    Here,
    ask_course,
    ask_when,
    choose_course,
    choose_groups,
    choose_reading,
    choose_until,
    confirm,
    courses_of,
    go_on,
    groups_of,
    leave,
    missing,
    offer,
    open_choices,
    take_text,
)
from bots.prompt.reading import Reading, read_rule, read_until

_APART = re.compile(r"[\s,，、;；/+]+|和|跟|与|\band\b|&")


def take_choice(here: Here, id_: str) -> Answer | Need:
    """A choice of ours, tapped or typed. One that belongs to another draft or preview changes nothing."""
    if (need := missing(here, *CODES)) is not None:
        return need
    kind, _, rest = id_.removeprefix("prompt.").partition(".")
    own, _, value = rest.partition(".")
    if kind in ("ok", "again", "text", "time"):
        return _take_preview_choice(here, kind, number_of(own))
    if number_of(own) != here.draft.id or not here.draft.id:
        return _stale(here, "stale.choice")
    return _take_draft_choice(here, kind, value)


def _take_draft_choice(here: Here, kind: str, value: str) -> Answer | Need:
    match kind:
        case "c":
            return choose_course(here, number_of(value))
        case "g":
            return choose_groups(here, [number_of(value)])
        case "all":
            return choose_groups(here, [each.group for each in groups_of(here)])
        case "at" if here.draft.step == "when" and number_of(value) < len(here.draft.readings()):
            return choose_reading(here, here.draft.readings()[number_of(value)])
        case "leave":
            return leave(here)
        case _:
            return go_on(here)


def _take_preview_choice(here: Here, kind: str, preview: int) -> Answer | Need:
    draft = here.draft
    if preview and preview == draft.done:
        return _stale(here, "stale.done")
    if not preview or preview != draft.preview or draft.step not in ("preview", "again"):
        return _stale(here, "stale.preview")
    match kind:
        case "text":
            return go_on(here.with_draft(text=""))
        case "time":
            return ask_when(here)
        case _:
            return confirm(here, again=kind == "again" and draft.step == "again")


def _stale(here: Here, key: str) -> Answer | Need:
    """A late tap: said so, and the open question is shown again; nothing is planned."""
    said = here.with_draft(here.voice(key))
    return go_on(said) if here.draft.id else said.say(here.voice("closed"))


def take_typed(here: Here, typed: str) -> Answer | Need:
    """Typed words, as the answer to the open question."""
    if (need := missing(here, *CODES)) is not None:
        return need
    chosen = pick(typed, open_choices(here))
    if chosen is not None:
        return take_choice(here, chosen.id)
    if here.draft.step == "text":
        return take_text(here, typed)
    return _take_words(here, typed)


def _take_words(here: Here, typed: str) -> Answer | Need:
    match here.draft.step:
        case "course":
            course = _named(courses_of(here), typed)
            return choose_course(here, course) if course else ask_course(here.with_draft(here.voice("refused.choice")))
        case "groups":
            return _take_groups(here, typed)
        case "when":
            return _take_time(here, typed)
        case _:
            return _typed_at_the_end(here, typed)


def _typed_at_the_end(here: Here, typed: str) -> Answer | Need:
    """At the end another time or another last day may be typed; anything else brings the question again."""
    calendar, rule = here.calendar(), here.draft.when()
    until = read_until(typed, here.turn.now, calendar.zone, calendar.starts_on)
    if until is not None and rule is not None and rule.recurs:
        return choose_until(here, until)
    read = read_rule(typed, here.turn.now, calendar.zone, calendar.starts_on)
    if isinstance(read, Reading) or read.key == "several":
        return _take_time(here, typed)
    return go_on(here.with_draft(here.voice("refused.choice")))


def take_thing(here: Here) -> Answer | Need:
    """A picture or the like came where words were wanted."""
    return go_on(here.with_draft(here.voice("refused.thing")))


def _take_groups(here: Here, typed: str) -> Answer | Need:
    """One name or several, numbers or both; where one of them is not clear none is taken."""
    names = {each.group: each.group_name for each in groups_of(here)}
    alone = _named(names, typed)
    if alone:
        return choose_groups(here, [alone])
    choices, found = open_choices(here), list[int]()
    for piece in (each for each in _APART.split(typed) if each):
        place = ordinal(piece)
        if place is not None and place < len(choices):
            found.append(number_of(choices[place - 1].id.rpartition(".")[2]))
        else:
            found.append(_named(names, piece))
    return choose_groups(here, [] if 0 in found else found)


def _named(known: Mapping[int, str], typed: str) -> int:
    """The only id whose name was typed, or of whose name a part was typed; 0 where none or several fit."""
    word = normal(typed)
    equal = {id_ for id_, name in known.items() if normal(name) == word}
    parts = {id_ for id_, name in known.items() if word in normal(name)} if word else set()
    return next((found.pop() for found in (equal, parts) if len(found) == 1), 0)


def _take_time(here: Here, typed: str) -> Answer | Need:
    """Typed words that say when; where they can mean several things, these are offered."""
    calendar = here.calendar()
    read = read_rule(typed, here.turn.now, calendar.zone, calendar.starts_on)
    if isinstance(read, Reading):
        return choose_reading(here, read)
    return offer(here, read.candidates) if read.key == "several" else ask_when(here.with_draft(here.voice(f"moment.{read.key}")))
