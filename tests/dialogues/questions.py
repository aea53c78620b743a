"""Hides questions to leaders and absences of the world made of memory: who is called, claims, answers, what the clock brings."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, assert_never

from bots.effects import (
    AnswerQuestion,
    AskLeader,
    AskOn,
    BeAway,
    ClaimQuestion,
    ComeBack,
    EndQuestion,
    ReleaseQuestion,
    TakeBackQuestion,
)
from bots.question.views import MOST_OPEN, Line, Listener, Listeners, MyQuestions, OpenQuestions, QuestionShown
from bots.question.views import Question as View
from bots.staffing.views import Absence as AbsenceView
from bots.staffing.views import Cover, Covers, MyAbsences
from bots.turns import Occasion, OccasionKind, Role
from tests.dialogues.rows import Absence, Delivery, Group, Question, Refused, State

_AGAIN = timedelta(hours=24)
_USEFUL = timedelta(days=7)
_ANSWERERS = (Role.LEADER, Role.ASSISTANT)

Effect = AskLeader | TakeBackQuestion | AskOn | EndQuestion | ClaimQuestion | ReleaseQuestion | AnswerQuestion | BeAway | ComeBack
Request = Listeners | QuestionShown | MyQuestions | OpenQuestions | Covers | MyAbsences


# Who ---------------------------------------------------------------------------------------------------------------------------------


def _staff(state: State, group: Group) -> list[tuple[str, Role]]:
    leaders, assistants = (state.members(group, role) for role in _ANSWERERS)
    return [(each, Role.LEADER) for each in leaders] + [(each, Role.ASSISTANT) for each in assistants if each not in leaders]


def _away(state: State, group: Group) -> dict[str, Absence]:
    now = state.now
    return {each.person: each for each in state.absences if each.group is group and each.starts <= now < each.ends and not each.over}


def _to_call(state: State, group: Group, *, first: bool) -> list[str]:
    away, everybody = _away(state, group), [each for each, _ in _staff(state, group)]
    there = [each for each in everybody if each not in away]
    covering = [each for each in there if each in {one.cover for one in away.values()}]
    return (covering if first and covering else there) or everybody


def _answers(state: State, person: str, group: Group) -> bool:
    return person in {each for each, _ in _staff(state, group)}


def _number(state: State, person: str) -> int:
    return list(state.people).index(person) + 1


def _person(state: State, number: int) -> str:
    return list(state.people)[number - 1]


# What may be seen --------------------------------------------------------------------------------------------------------------------


def load(state: State, person: str, request: Request) -> object:
    match request:
        case Listeners(group=group):
            return _listeners(state, person, state.group_of(group))
        case QuestionShown(id=id_):
            return _shown(state, person, id_)
        case MyQuestions():
            own = [each for each in state.questions if each.person == person and each.state not in ("taken_back", "left")]
            return tuple(_view(state, person, each) for each in reversed(own))
        case OpenQuestions(number=number):
            own = [each for each in state.questions if _answers(state, person, each.group)]
            found = [each for each in own if (each.number == number if number else each.state in ("open", "claimed"))]
            return tuple(_view(state, person, each) for each in found)
        case Covers(group=group):
            return _covers(state, person, state.group_of(group))
        case MyAbsences():
            mine = [each for each in state.absences if each.person == person and each.ends > state.now and not each.over]
            return tuple(AbsenceView(each.group.name, each.cover, each.starts, each.ends) for each in mine)
    assert_never(request)


def _covers(state: State, person: str, group: Group) -> tuple[Cover, ...]:
    if person not in state.members(group, Role.LEADER):
        return ()
    return tuple(Cover(_number(state, each), each) for each in _to_call(state, group, first=False) if each != person)


def _listeners(state: State, person: str, group: Group) -> tuple[Listener, ...]:
    if person not in state.members(group, Role.PARTICIPANT):
        return ()
    away = _away(state, group)
    covers = {each.cover for each in away.values()}
    found = [(each, role) for each, role in _staff(state, group) if each != person]
    return tuple(
        Listener(state.people[each].name, role is Role.LEADER, away[each].ends if each in away else None, each in covers)
        for each, role in found
    )


def _shown(state: State, person: str, id_: int) -> View:
    found = next((each for each in state.questions if each.id == id_), None)
    if found is None or not (found.person == person or _answers(state, person, found.group)):
        return View(id_, 0, "foreign")
    return _view(state, person, found)


def _view(state: State, person: str, each: Question) -> View:
    own = each.person == person
    if each.state in ("taken_back", "left"):
        return View(each.id, each.number, "gone", each.group.course.title, each.group.name, own=own)
    asker = state.people[each.person]
    return View(
        each.id,
        each.number,
        each.state,
        each.group.course.title,
        each.group.name,
        asker.name,
        None if each.answerer is None else state.people[each.answerer].name,
        own,
        each.answerer == person,
        each.asked_at,
        tuple(Line(asked, state.people[by].name, words, at) for asked, by, words, at in each.lines),
        "paused" if asker.paused else "" if asker.follows else "unfollowed",
    )


# What people do ----------------------------------------------------------------------------------------------------------------------


def apply(state: State, person: str, effect: Effect) -> None:  # noqa: C901, PLR0912 - one branch per effect
    """What somebody does about a question or an absence. Raises `Refused`."""
    match effect:
        case AskLeader():
            _ask(state, person, effect)
        case TakeBackQuestion(question=id_):
            found = _own(state, person, id_)
            if found.state not in ("open", "claimed") or any(not asked for asked, *_ in found.lines):
                raise Refused("gone")
            _end(state, found, "taken_back")
        case AskOn():
            _ask_on(state, person, effect)
        case EndQuestion(question=id_):
            found = _own(state, person, id_)
            found.state, found.next_at = "closed", None
        case ClaimQuestion(question=id_):
            _claim(state, person, _theirs(state, person, id_))
        case ReleaseQuestion(question=id_):
            found = _theirs(state, person, id_)
            if found.answerer != person or found.state != "claimed":
                raise Refused("gone")
            _stop(state, found, "reminder")
            _wait(state, found, "open", 1, _AGAIN)
            _call(state, found, [each for each in _to_call(state, found.group, first=False) if each != person], "freed")
        case AnswerQuestion():
            _answer(state, person, effect)
        case BeAway():
            _be_away(state, person, effect)
        case ComeBack():
            for each in state.absences:
                each.over = each.over or each.person == person
        case _:
            assert_never(effect)


def _ask(state: State, person: str, effect: AskLeader) -> None:
    group = state.group_of(effect.group)
    if person not in state.members(group, Role.PARTICIPANT):
        raise Refused("role")
    if not _staff(state, group):
        raise Refused("nobody")
    if sum(each.person == person and each.state in ("open", "claimed") for each in state.questions) >= MOST_OPEN:
        raise Refused("many")
    number = 1 + sum(each.group.course is group.course for each in state.questions)
    made = Question(effect.question, number, group, person, state.now, state.now, [(True, person, effect.text, state.now)])
    state.questions.append(made)
    _wait(state, made, "open", 1, _AGAIN)
    _call(state, made, _to_call(state, group, first=True), "first")


def _ask_on(state: State, person: str, effect: AskOn) -> None:
    found = _own(state, person, effect.question)
    found.lines.append((True, person, effect.text, state.now))
    there = [each for each, _ in _staff(state, found.group) if each not in _away(state, found.group)]
    if found.answerer in there:
        _wait(state, found, "claimed", 0, _AGAIN)
        _call(state, found, [found.answerer or ""], "more")
        return
    _wait(state, found, "open", 1, _AGAIN)
    _call(state, found, _to_call(state, found.group, first=True), "first")


def _claim(state: State, person: str, found: Question) -> None:
    if found.state in ("claimed", "answered"):
        if found.answerer != person:
            raise Refused("taken")
        return
    _wait(state, found, "claimed", 0, _AGAIN)
    found.answerer = person
    _stop(state, found, "call")


def _answer(state: State, person: str, effect: AnswerQuestion) -> None:
    found = _theirs(state, person, effect.question)
    if found.answerer != person:
        raise Refused("taken")
    if effect.draft in found.drafts:
        return
    found.drafts.append(effect.draft)
    found.lines.append((False, person, effect.text, state.now))
    _stop(state, found)
    found.state, found.next_at = "answered", None
    role = dict(_staff(state, found.group))[person].value
    details = {"question": found.id, "number": found.number, "author_name": person, "author_role": role, "text": effect.text}
    _write(state, found.person, OccasionKind.ANSWER, "question", details, found, "answer")


def _own(state: State, person: str, id_: int) -> Question:
    found = next((each for each in state.questions if each.id == id_), None)
    if found is None or found.person != person:
        raise Refused("foreign")
    if found.state in ("taken_back", "left"):
        raise Refused("gone")
    return found


def _theirs(state: State, person: str, id_: int) -> Question:
    found = next((each for each in state.questions if each.id == id_), None)
    if found is None or found.person == person or not _answers(state, person, found.group):
        raise Refused("foreign")
    if found.state in ("taken_back", "left", "closed"):
        raise Refused("gone")
    return found


def _be_away(state: State, person: str, effect: BeAway) -> None:
    group, cover = state.group_of(effect.group), _person(state, effect.cover)
    if person not in state.members(group, Role.LEADER):
        raise Refused("role")
    if effect.ends <= max(effect.starts, state.now):
        raise Refused("past")
    if cover == person or not _answers(state, cover, group):
        raise Refused("cover")
    for each in state.absences:
        each.over = each.over or (each.person == person and each.group is group)
    state.absences.append(Absence(person, group, cover, effect.starts, effect.ends))
    details = {"reason": "cover", "group_name": group.name, "author_name": person, "starts": effect.starts, "ends": effect.ends}
    _write(state, cover, OccasionKind.REPORT, "staffing", details)


def leave(state: State, person: str) -> None:
    """Somebody left every course."""
    for each in state.questions:
        if each.person == person and each.state in ("open", "claimed", "answered"):
            _end(state, each, "left")
        if each.answerer == person and each.state == "claimed":
            _wait(state, each, "open", 1, timedelta())
    for absence in state.absences:
        absence.over = absence.over or absence.person == person


def _end(state: State, each: Question, how: str) -> None:
    each.state, each.next_at = how, None
    each.lines.clear()
    _stop(state, each)


# Time --------------------------------------------------------------------------------------------------------------------------------


def next_due(state: State) -> datetime | None:
    """When something is due by itself."""
    moments = [each.next_at for each in state.questions if each.next_at is not None]
    moments += [absence.starts for each in state.questions for absence in _gone_since(state, each)]
    return min(moments, default=None)


def _gone_since(state: State, each: Question) -> list[Absence]:
    if each.state != "claimed":
        return []
    return [
        one
        for one in state.absences
        if one.person == each.answerer and one.group is each.group and not one.over and one.starts > each.claimed_at
    ]


def go_on(state: State) -> None:
    """Take every step that is due."""
    for each in state.questions:
        if any(one.starts <= state.now for one in _gone_since(state, each)):
            _wait(state, each, "open", 1, timedelta())
    for each in state.questions:
        if each.next_at is not None and each.next_at <= state.now:
            _step(state, each)


def _step(state: State, each: Question) -> None:
    if each.state == "claimed" and each.step == 0:
        _report(state, each, [each.answerer or ""], "remind")
        _wait(state, each, "claimed", 1, _AGAIN)
    elif each.state == "claimed":
        _stop(state, each, "reminder")
        former = each.answerer or ""
        _report(state, each, [former], "released")
        _wait(state, each, "open", 2, _AGAIN)
        _call(state, each, [one for one in _to_call(state, each.group, first=False) if one != former], "freed")
    elif each.step < 2:
        _call(state, each, _to_call(state, each.group, first=False), "again")
        _wait(state, each, "open", each.step + 1, _AGAIN)
    else:
        _tell_mentors(state, each)


def _tell_mentors(state: State, each: Question) -> None:
    late = [one for one in state.questions if one.group is each.group and one.state == "open" and one.step >= 2]
    count = 0
    for one in late:
        if one.next_at is None or one.next_at <= state.now + timedelta(hours=12):
            one.step, one.next_at = 3, None
        count += 1
    own = state.members(each.group, Role.MENTOR)
    large = next(one for one in state.groups if one.large and one.course is each.group.course)
    people = own or state.members(large, Role.MENTOR) or state.members(large, Role.ADMINISTRATOR)
    for person in people:
        _write(state, person, OccasionKind.REPORT, "question", {"reason": "mentor", "group_name": each.group.name, "count": count})


# Letters -----------------------------------------------------------------------------------------------------------------------------


def _call(state: State, each: Question, people: Iterable[str], why: str) -> None:
    _stop(state, each, "call")
    text = next(words for asked, _, words, _ in reversed(each.lines) if asked)
    details = {
        "question": each.id,
        "number": each.number,
        "group_name": each.group.name,
        "person": state.people[each.person].name,
        "text": text,
        "why": why,
    }
    for person in people:
        if person != each.person:
            _write(state, person, OccasionKind.QUESTION, "question", details, each, "call")


def _report(state: State, each: Question, people: Sequence[str], reason: str) -> None:
    details = {"reason": reason, "question": each.id, "number": each.number, "group_name": each.group.name}
    for person in people:
        _write(state, person, OccasionKind.REPORT, "question", details, each, "reminder")


def _write(
    state: State, person: str, kind: OccasionKind, bot: str, details: dict[str, Any], question: Question | None = None, what: str = ""
) -> None:
    someone = state.people[person]
    occasion = Occasion(kind, someone.language, details, someone.zone)
    about = None if question is None else (question.id, what)
    state.deliveries.append(Delivery(person, None, bot, occasion, stale_at=state.now + _USEFUL, about=about))


def _stop(state: State, each: Question, what: str | None = None) -> None:
    for one in state.deliveries:
        if one.about is not None and one.about[0] == each.id and what in (None, one.about[1]) and one.state in ("ready", "waiting"):
            one.settle("cancelled", "taken")


def _wait(state: State, each: Question, standing: str, step: int, after: timedelta) -> None:
    each.state, each.step, each.next_at, each.claimed_at = standing, step, state.now + after, state.now
    if standing == "open":
        each.answerer = None
