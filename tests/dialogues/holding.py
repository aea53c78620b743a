"""Tells whether a fact of a transcript holds in the world made of memory."""

from collections.abc import Callable, Mapping

from app.courses import file
from tests.dialogues.rows import Announcement, Assigned, Paper, Someone, State
from tests.dialogues.script import Fact


def _someone(state: State, fact: Fact) -> Someone:
    return state.people.get(fact["person"], Someone())


def _is_member(state: State, fact: Fact) -> bool:
    return any(group.name == fact["group"] and role == fact["role"] for group, role in _someone(state, fact).memberships)


def _is_not_member(state: State, fact: Fact) -> bool:
    return all(group.name != fact["group"] for group, _ in _someone(state, fact).memberships)


def _is_called(state: State, fact: Fact) -> bool:
    return _someone(state, fact).name == fact["name"]


def _is_consented(state: State, fact: Fact) -> bool:
    return fact["course"] in _someone(state, fact).consents


def _is_not_consented(state: State, fact: Fact) -> bool:
    return not _is_consented(state, fact)


def _is_included(state: State, fact: Fact) -> bool:
    return _someone(state, fact).screened.get(fact["course"]) == (True, "")


def _is_excluded(state: State, fact: Fact) -> bool:
    return _someone(state, fact).screened.get(fact["course"]) == (False, fact["why"])


def _is_speaks(state: State, fact: Fact) -> bool:
    return _someone(state, fact).language == fact["language"]


def _is_paused(state: State, fact: Fact) -> bool:
    return _someone(state, fact).paused


def _is_not_paused(state: State, fact: Fact) -> bool:
    return not _someone(state, fact).paused


def _is_withdrew(state: State, fact: Fact) -> bool:
    return _someone(state, fact).withdrew == fact["answers"]


def _is_code(state: State, fact: Fact) -> bool:
    code = state.code(fact["code"])
    return code is not None and code.used == (fact["state"] == "used")


def _is_flags(state: State, fact: Fact) -> bool:
    count = {"no flag": 0, "flag": 1}.get(fact["count"])
    wanted = int(fact["count"].split()[0]) if count is None else count
    return sum(each.person == fact["person"] for each in state.flags) == wanted


def _is_flag_taken(state: State, fact: Fact) -> bool:
    own = [each for each in state.flags if each.person == fact["person"]]
    return bool(own) and own[-1].taker == fact["taker"]


def _is_planned(state: State, fact: Fact) -> bool:
    return [each.at for each in _to(state, fact) if each.state == "planned"] == [fact.moment()]


def _is_none_planned(state: State, fact: Fact) -> bool:
    return all(each.state != "planned" for each in _to(state, fact))


def _is_outcome(state: State, fact: Fact) -> bool:
    outcome = {"went out": "done", "was cancelled": "cancelled", "was missed": "missed"}[fact["outcome"]]
    return bool(_to(state, fact)) and _to(state, fact)[-1].state == outcome


def _is_announcements(state: State, fact: Fact) -> bool:
    return len(_to(state, fact)) == (0 if fact["count"] == "no" else int(fact["count"]))


def _is_waits(state: State, fact: Fact) -> bool:
    return bool(state.waiting(fact["person"])) == (fact["what"] == "something")


def _is_stands(state: State, fact: Fact) -> bool:
    return [each.state for each in _assigned(state, fact)] == [fact["state"]]


def _is_answered(state: State, fact: Fact) -> bool:
    papers = [paper for each in _assigned(state, fact) for paper in each.papers if paper.instrument == fact["instrument"]]
    return [_answers(paper) for paper in papers] == [fact.answers()]


def _answers(paper: Paper) -> dict[int, str | None]:
    return {item: None if value is None else paper.texts[item] or str(value) for item, value in paper.answers.items()}


def _is_thanked(state: State, fact: Fact) -> bool:
    thanked = sum(each.thanked for each in state.given if each.person == fact["person"])
    return thanked == (0 if fact["count"] == "no" else int(fact["count"]))


def _is_words(state: State, fact: Fact) -> bool:
    found = sum(each.course.title == fact["course"] and each.state == fact["state"] for each in state.words)
    return found == (0 if fact["count"] == "no" else int(fact["count"]))


def _is_checked_in(state: State, fact: Fact) -> bool:
    own = [each for each in state.noted if each.person == fact["person"] and each.day.isoformat() == fact["day"]]
    found = [each for each in own if file.read(each.course.file).practice(each.practice).name["zh"] == fact["practice"]]
    return [(each.minutes, bool(each.line), each.shared) for each in found] == [fact.check_in()]


def _is_no_check_in(state: State, fact: Fact) -> bool:
    return all(each.person != fact["person"] for each in state.noted)


def _assigned(state: State, fact: Fact) -> list[Assigned]:
    return [each for each in state.assigned if each.person == fact["person"] and each.wave.title == fact["wave"]]


def _to(state: State, fact: Fact) -> list[Announcement]:
    return [each for each in state.announcements if each.group.name == fact["group"]]


_CHECKS: Mapping[str, Callable[[State, Fact], bool]] = {
    "member": _is_member,
    "not_member": _is_not_member,
    "called": _is_called,
    "consented": _is_consented,
    "not_consented": _is_not_consented,
    "included": _is_included,
    "excluded": _is_excluded,
    "speaks": _is_speaks,
    "paused": _is_paused,
    "not_paused": _is_not_paused,
    "withdrew": _is_withdrew,
    "code": _is_code,
    "flags": _is_flags,
    "flag_taken": _is_flag_taken,
    "planned": _is_planned,
    "none_planned": _is_none_planned,
    "outcome": _is_outcome,
    "announcements": _is_announcements,
    "waits": _is_waits,
    "stands": _is_stands,
    "answered": _is_answered,
    "thanked": _is_thanked,
    "words": _is_words,
    "checked_in": _is_checked_in,
    "no_check_in": _is_no_check_in,
}


def holds(state: State, fact: Fact) -> bool:
    """Whether the fact holds now."""
    return _CHECKS[fact.kind](state, fact)
