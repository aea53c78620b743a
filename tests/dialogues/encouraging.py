"""Hides the warm words of the world made of memory: a course's library and plan, who was given what, proposals, thanks."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, assert_never

from app.courses import file
from bots.effects import HandIn, KeepWarmPlan, ProposeWords, SettleWords, Thank
from bots.encouragement.shelf import Given, GivenWord, Proposal, WarmShelf, WarmWords
from bots.encouragement.words import ANY, EIGHT_WEEKS, MOST_BYTES, Trigger, alike, shipped, unfit
from bots.texts import LANGUAGES
from bots.turns import ANNOUNCERS, OccasionKind, Role
from tests.dialogues.rows import Course, GivenOnce, Refused, State, WarmPlan, Word
from tests.dialogues.script import ZONE, Beginning

_USEFUL, _ONE_IN = timedelta(days=3), timedelta(days=3)

Effect = Thank | ProposeWords | SettleWords | KeepWarmPlan


@dataclass(frozen=True)
class Letter:
    """A message of a bot to one person, which nobody needs any more at `stale_at`."""

    person: str
    kind: OccasionKind
    details: dict[str, Any]
    stale_at: datetime
    bot: str = "encouragement"


def declare(state: State, beginning: Beginning) -> None:
    """The libraries and plans that a transcript declares."""
    for running in (each for each in state.courses if each.file):  # a calendar brings the words of its weeks along
        book = file.read(running.file)
        themes = {ANY, *(week.theme for week in book.weeks)}
        own = [word for word in shipped() if word.theme in themes]
        for number, word in enumerate(own, start=1):
            state.words.append(Word(state.new_id(), running, number, word.theme, dict(word.texts), word.author, "approved"))
        if book.encouragement is not None and running.first_day is not None:
            at, moment = time.fromisoformat(book.encouragement.at), state.now
            warm = WarmPlan(running, book.encouragement.iso_days, at, running.first_day, moment)
            warm.next_at = _next(warm, moment)
            state.warm_plans.append(warm)
    for there in beginning.warm_words:
        course = next(each for each in state.courses if each.title == there.course)
        for number, word in enumerate(shipped(), start=1):
            author = word.author
            state.words.append(Word(state.new_id(), course, number, word.theme, dict(word.texts), author, "approved"))
        if there.days and there.starts is not None:
            plan = WarmPlan(course, there.days, time.fromisoformat(there.hour), there.starts, state.now)
            plan.next_at = _next(plan, state.now)
            state.warm_plans.append(plan)


def load(state: State, person: str, request: GivenWord | WarmWords) -> Given | WarmShelf:
    """What somebody may see."""
    if isinstance(request, GivenWord):
        mine = [each for each in state.given if each.person == person and request.word in (0, each.word.id)]
        return Given(mine[-1].word.id, mine[-1].thanked) if mine else Given()
    course = state.course(request.course)
    if not _holds(state, person, course, {Role.ADMINISTRATOR}):
        return WarmShelf()
    words, language = [each for each in state.words if each.course is course], state.people[person].language
    proposals = tuple(Proposal(each.id, each.number, _text(each, language), each.author) for each in words if each.state == "proposed")
    approved, paused = (sum(each.state == name for each in words) for name in ("approved", "paused"))
    plan = next((each for each in state.warm_plans if each.course is course), None)
    given = [each for each in state.given if each.word.course is course]
    standing = "" if plan is None else "going" if plan.going else "paused"
    upcoming = (plan.next_at,) if plan is not None and plan.going else ()
    thanked = sum(each.thanked for each in given)
    return WarmShelf(True, course.title, ZONE.key, approved, paused, proposals, standing, upcoming, len(given), thanked)


def _text(word: Word, language: str) -> str:
    return word.texts.get(language) or next(iter(word.texts.values()))


def _holds(state: State, person: str, course: Course, roles: Iterable[Role]) -> bool:
    return any(group.course is course and role in roles for group, role in state.people[person].memberships)


# What people do -----------------------------------------------------------------------------------------------------------------------


def apply(state: State, person: str, effect: Effect) -> list[Letter]:
    """What somebody does with warm words; returns what is to be sent. Raises `Refused`."""
    match effect:
        case Thank(word=word):
            mine = [each for each in state.given if each.person == person and each.word.id == word]
            if not mine:
                raise Refused("foreign")
            mine[0].thanked = True
        case ProposeWords():
            return _propose(state, person, effect)
        case SettleWords(word=id_, approved=approved):
            settled = next((each for each in state.words if each.id == id_), None)
            if settled is None or not _holds(state, person, settled.course, {Role.ADMINISTRATOR}):
                raise Refused("role")
            settled.state = "approved" if approved else "paused"
        case KeepWarmPlan(course=course, going=going):
            _keep(state, person, state.course(course), going=going)
        case _:
            assert_never(effect)
    return []


def _propose(state: State, person: str, effect: ProposeWords) -> list[Letter]:
    course, language = state.course(effect.course), state.people[person].language
    if not _holds(state, person, course, ANNOUNCERS):
        raise Refused("role")
    if len(effect.text.encode()) > MOST_BYTES:
        raise Refused("long")
    if unfit(effect.text):
        raise Refused("unfit")
    own = [each for each in state.words if each.course is course]
    if alike(effect.text, [each.texts[language] for each in own if language in each.texts]):
        raise Refused("alike")
    word = Word(state.new_id(), course, len(own) + 1, ANY, {language: effect.text}, state.people[person].name or "", "proposed")
    state.words.append(word)
    details = {
        "reason": "proposal",
        "course": course.title,
        "word": word.id,
        "number": word.number,
        "text": effect.text,
        "author_name": word.author,
    }
    bosses = [name for name in state.people if _holds(state, name, course, {Role.ADMINISTRATOR})]
    return [Letter(name, OccasionKind.REPORT, details, state.now + _USEFUL) for name in bosses]


def _keep(state: State, person: str, course: Course, *, going: bool) -> None:
    if not _holds(state, person, course, {Role.ADMINISTRATOR}):
        raise Refused("role")
    plan = next((each for each in state.warm_plans if each.course is course), None)
    if plan is None:
        raise Refused("gone")
    if going and not plan.going:
        plan.next_at = _next(plan, state.now)
    plan.going = going


def after(state: State, person: str, effect: HandIn) -> list[Letter]:
    """A word for who has finished a wave with this sheet, where the course has some that they do not know."""
    done = [each for each in state.assigned if each.state == "complete" and any(one.id == effect.sheet for one in each.papers)]
    return given(state, person, done[0].wave.course, Trigger.WAVE) if done else []


def given(state: State, person: str, course: Course, trigger: Trigger) -> list[Letter]:
    """A word after something that somebody did in a course, where it has one that they do not know; not too often."""
    if _in_danger(state, person) or state.people[person].paused:
        return []
    if any(each.person == person and each.after != "plan" and each.at > state.now - _ONE_IN for each in state.given):
        return []
    themes = (ANY, _theme(state, course))
    words = [each for theme in dict.fromkeys(themes) for each in _fresh(state, course, theme) if not _knows(state, person, each)]
    return [_give(state, person, words[0], trigger.value)] if words else []


def hold_back(state: State, person: str) -> None:
    """Warm words on their way to somebody who may be in danger are taken back."""
    for each in state.deliveries:
        warm = each.occasion.kind is OccasionKind.ENCOURAGEMENT
        if warm and each.person == person and each.state in ("ready", "waiting"):
            each.settle("cancelled", "not_now")


# By the clock -------------------------------------------------------------------------------------------------------------------------


def next_due(state: State) -> datetime | None:
    """When something is due by itself."""
    return min((each.next_at for each in state.warm_plans if each.going), default=None)


def go_on(state: State) -> list[Letter]:
    """Give a word to everybody in the large group of each plan that is due."""
    letters: list[Letter] = []
    for plan in state.warm_plans:
        if plan.going and plan.next_at <= state.now:
            plan.next_at = _next(plan, plan.next_at)
            letters += _fire(state, plan)
    return letters


def _fire(state: State, plan: WarmPlan) -> list[Letter]:
    large = next(each for each in state.groups if each.large and each.course is plan.course)
    there = [name for name in state.audience(large, "") if not state.people[name].paused and not _in_danger(state, name)]
    for theme in dict.fromkeys((_theme(state, plan.course), ANY)):
        unused = [word for word in _fresh(state, plan.course, theme) if word.id not in plan.used]
        words = sorted(unused, key=lambda word: sum(_knows(state, name, word) for name in there))
        lacking = [name for name in there if words and not _knows(state, name, words[0])]
        if lacking:
            plan.used.add(words[0].id)
            return [_give(state, name, words[0], "plan") for name in lacking]
    return []


def _next(plan: WarmPlan, moment: datetime) -> datetime:
    day = max(moment.astimezone(ZONE).date(), plan.starts)
    while True:
        at = datetime.combine(day, plan.hour, ZONE)
        if str(day.isoweekday()) in plan.days and at > moment:
            return at
        day += timedelta(days=1)


def _theme(state: State, course: Course) -> str:
    plan = next((each for each in state.warm_plans if each.course is course), None)
    week = -1 if plan is None else (state.now.astimezone(ZONE).date() - plan.starts).days // 7
    return EIGHT_WEEKS[week] if 0 <= week < len(EIGHT_WEEKS) else ANY


def _fresh(state: State, course: Course, theme: str) -> list[Word]:
    return [each for each in state.words if each.course is course and each.theme == theme and each.state == "approved"]


def _knows(state: State, person: str, word: Word) -> bool:
    return any(each.person == person and each.word is word for each in state.given)


def _in_danger(state: State, person: str) -> bool:
    return any(each.person == person for each in state.flags)


def _give(state: State, person: str, word: Word, after_what: str) -> Letter:
    state.given.append(GivenOnce(word, person, after_what, state.now))
    texts = {language: word.texts[language] for language in LANGUAGES if language in word.texts}
    details = {**texts, "word": word.id, "trigger": "" if after_what == "plan" else after_what}
    return Letter(person, OccasionKind.ENCOURAGEMENT, details, state.now + _USEFUL)
