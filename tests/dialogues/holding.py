"""Tells whether a fact of a transcript holds in the world made of memory."""

from collections.abc import Callable, Mapping

from app.courses import file
from tests.dialogues.rows import Absence, Announcement, Assigned, Marked, Paper, Prompt, Someone, State
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


_OUTCOMES = {
    "went out": "done",
    "was cancelled": "cancelled",
    "was missed": "missed",
    "waits for second eyes": "waiting",
    "was returned": "returned",
}


def _is_outcome(state: State, fact: Fact) -> bool:
    outcome = _OUTCOMES[fact["outcome"]]
    return bool(_to(state, fact)) and _to(state, fact)[-1].state == outcome


def _is_announcements(state: State, fact: Fact) -> bool:
    return len(_to(state, fact)) == (0 if fact["count"] == "no" else int(fact["count"]))


def _is_chose(state: State, fact: Fact) -> bool:
    each = next(each for each in state.announcements if str(each.number) == fact["number"])
    place = each.answers.get(fact["person"], 0)
    options = each.poll.options if each.poll else ()
    return fact["option"] == ("nothing" if not place else options[place - 1] if options else "got it")


def _is_waits(state: State, fact: Fact) -> bool:
    return bool(state.waiting(fact["person"])) == (fact["what"] == "something")


def _is_stands(state: State, fact: Fact) -> bool:
    return [each.state for each in _assigned(state, fact)] == [fact["state"]]


_QUESTION_STATES = {
    "is open": "open",
    "is claimed": "claimed",
    "is answered": "answered",
    "is finished": "closed",
    "was taken back": "taken_back",
}


def _is_question(state: State, fact: Fact) -> bool:
    own = [each for each in state.questions if each.person == fact["person"]]
    return bool(own) and (own[-1].state, own[-1].answerer or "") == (_QUESTION_STATES[fact["state"]], fact["answerer"])


def _is_no_question(state: State, fact: Fact) -> bool:
    return all(each.person != fact["person"] or each.state not in ("open", "claimed") for each in state.questions)


def _is_away(state: State, fact: Fact) -> bool:
    return any(each.group.name == fact["group"] for each in _absences(state, fact))


def _is_not_away(state: State, fact: Fact) -> bool:
    return not _absences(state, fact)


def _absences(state: State, fact: Fact) -> list[Absence]:
    own = [each for each in state.absences if each.person == fact["person"] and not each.over]
    return [each for each in own if each.starts <= state.now < each.ends]


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


def _is_was_at(state: State, fact: Fact) -> bool:
    return [(each.mark.how, each.mark.city) for each in _at(state, fact)] == [(fact["how"], fact["city"])]


def _is_was_not_at(state: State, fact: Fact) -> bool:
    return not _at(state, fact)


def _at(state: State, fact: Fact) -> list[Marked]:
    meant = (fact["kind"], int(fact["number"]))
    return [each for each in state.marked if each.person == fact["person"] and (each.held.sitting.kind, each.held.sitting.number) == meant]


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


def _prompt(state: State, fact: Fact) -> list[Prompt]:
    return [each for each in state.prompts if each.number == int(fact["number"])]


def _is_prompts(state: State, fact: Fact) -> bool:
    there = [each for each in state.prompts if any(group.name == fact["group"] for group in each.groups)]
    return len(there) == (0 if fact["count"] == "no" else int(fact["count"]))


def _is_prompt_next(state: State, fact: Fact) -> bool:
    return [each.next_at for each in _prompt(state, fact)] == [fact.moment()]


def _is_prompt_state(state: State, fact: Fact) -> bool:
    return [each.state for each in _prompt(state, fact)] == [fact["state"]]


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
    "chose": _is_chose,
    "waits": _is_waits,
    "stands": _is_stands,
    "answered": _is_answered,
    "thanked": _is_thanked,
    "words": _is_words,
    "prompts": _is_prompts,
    "prompt_next": _is_prompt_next,
    "prompt_state": _is_prompt_state,
    "question": _is_question,
    "no_question": _is_no_question,
    "away": _is_away,
    "not_away": _is_not_away,
    "was_at": _is_was_at,
    "was_not_at": _is_was_not_at,
    "checked_in": _is_checked_in,
    "no_check_in": _is_no_check_in,
}


def holds(state: State, fact: Fact) -> bool:
    """Whether the fact holds now."""
    return _CHECKS[fact.kind](state, fact)
