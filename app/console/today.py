"""Hides what a leader's day is made of: what comes next, what goes out, who practised, who went silent, who waits for an answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from app import access, encouragement
from app.console import calendars, drafts
from app.console.actors import Actor
from app.console.calendars import CourseLine, Entry
from app.console.rules import LEADS
from app.db import Tx
from app.homework import looking, silent
from app.homework.silent import Letter
from app.keyring import Keyring
from app.models import Group, Prompt, PromptFiring, PromptGroup, Question, QuestionWords, Schedule
from app.people import names
from app.questions import answering, views
from app.situation import Tools
from bots.effects import WriteToSilent
from bots.homework import voice
from bots.homework.book import Seen
from bots.homework.days import SILENCES
from bots.question.views import Question as Asked

_DAY = timedelta(days=1)


def groups(tx: Tx, actor: Actor) -> list[tuple[int, str]]:
    """The small groups that somebody leads or assists: id and name, those of the newest course first."""
    mine = access.groups_of(actor.person_id, LEADS)
    rows = tx.execute(sa.select(Group.id, Group.name).where(Group.id.in_(mine)).order_by(Group.course_id.desc(), Group.code))
    return [(row.id, row.name) for row in rows]


@dataclass(frozen=True)
class Going:
    """Something that goes out today. `what`: a text key of the console; `state` as in the calendar. `own_hour`: at each one's own hour."""

    at: datetime
    what: str
    number: int
    code: str
    state: str
    own_hour: bool = False
    announcement: int = 0  # where one reads more
    everybody: bool = False


@dataclass(frozen=True)
class Silent:
    """Somebody of whom nothing was noted for some days, and since which day."""

    name: str = field(repr=False)
    days: int
    since: date


@dataclass(frozen=True)
class Suggested:
    """A kind message to those of whom nothing was noted for `days` days or more."""

    days: int
    text: str = field(repr=False)
    names: tuple[str, ...] = field(repr=False)
    draft: str


@dataclass(frozen=True)
class Today:
    """The day of one group. `practised`: of today and yesterday, who. `next`: the class or meeting that comes or goes on."""

    group: int
    name: str
    course: CourseLine
    today: date
    next: Entry | None
    going: tuple[Going, ...]
    people: int
    practised: tuple[tuple[date, tuple[Seen, ...]], ...]
    silent: tuple[Silent, ...]
    suggested: tuple[Suggested, ...]
    written: tuple[tuple[Letter, str], ...]
    questions: tuple[tuple[Asked, str], ...]


def page(tx: Tx, tools: Tools, actor: Actor, group_id: int, language: str, now: datetime) -> Today:
    """The day of a group that this person leads or assists."""
    group = tx.execute(sa.select(Group.name, Group.course_id).where(Group.id == group_id)).one()
    course = calendars.courses(tx, actor, group.course_id)[0]
    entries = calendars.of_group(tx, actor, course, group_id, language)
    here = now.astimezone(ZoneInfo(course.zone)).date()
    people = looking.calendar(tx, tools.keyring, group_id, here - _DAY)
    quiet = looking.quiet(tx, group_id, now, SILENCES[0])
    called = {each.person_id: each.name for each in people}
    letters = silent.lately(tx, group_id, now)
    authors = names(tx, tools.keyring, [each.author_id for each in letters])
    waiting = views.waiting(tx, tools.keyring, actor.person_id, group=group_id)
    return Today(
        group=group_id,
        name=group.name,
        course=course,
        today=here,
        next=next((each for each in entries if each.ends_at is not None and each.ends_at > now and each.state == "held"), None),
        going=_going(tx, course, group_id, entries, now),
        people=len(people),
        practised=(_practised(people, here), _practised(people, here - _DAY)),
        silent=tuple(Silent(called.get(each.person_id, ""), each.days, each.since) for each in quiet),
        suggested=_suggested(quiet, called, language) if not course.ended else (),
        written=tuple((each, authors.get(each.author_id, "")) for each in letters),
        questions=tuple((each, drafts.new()) for each in waiting),
    )


def _practised(people: tuple[looking.Practised, ...], day: date) -> tuple[date, tuple[Seen, ...]]:
    """Who practised on a day of theirs."""
    return day, tuple(each.days[day] for each in people if day in each.days)


def _suggested(quiet: list[looking.Quiet], called: Mapping[int, str], language: str) -> tuple[Suggested, ...]:
    found = []
    for least in SILENCES:
        theirs = tuple(called.get(each.person_id, "") for each in quiet if each.days >= least)
        if theirs:
            found.append(Suggested(least, voice.suggested(least, language), theirs, drafts.new()))
    return tuple(found)


# What goes out ----------------------------------------------------------------------------------------------------------------------------


def _going(tx: Tx, course: CourseLine, group_id: int, entries: list[Entry], now: datetime) -> tuple[Going, ...]:
    """Everything that went out or will on this day of the course, by its hour; what goes at each one's own hour comes last."""
    zone = ZoneInfo(course.zone)
    begin = datetime.combine(now.astimezone(zone).date(), time.min, zone)
    span = (begin, begin + _DAY)
    found = [
        Going(each.at, f"schedule.what.{each.what}", each.number, each.code, each.state, each.own_hour)
        for each in entries
        if not each.gathering and each.what != "wave_closes" and span[0] <= each.at < span[1]
    ]
    warm = [each for each in encouragement.upcoming(tx, course.id, now) if each < span[1]]
    found += [Going(each, "today.warm", 0, "", "planned") for each in warm]
    found += [*_announcements(tx, course.id, group_id, span), *_prompts(tx, group_id, span)]
    return tuple(sorted(found, key=lambda each: (each.own_hour, each.at, each.what, each.number)))


def _announcements(tx: Tx, course_id: int, group_id: int, span: tuple[datetime, datetime]) -> list[Going]:
    rows = tx.execute(
        sa.select(Schedule.id, Schedule.number, Schedule.fire_at, Schedule.state, Group.large)
        .join(Group, Group.id == Schedule.group_id)
        .where(Schedule.course_id == course_id, sa.or_(Group.large, Group.id == group_id))
        .where(Schedule.fire_at >= span[0], Schedule.fire_at < span[1])
    )
    return [
        Going(row.fire_at, "today.announcement", row.number, "", row.state, announcement=0 if row.large else row.id, everybody=row.large)
        for row in rows
    ]


def _prompts(tx: Tx, group_id: int, span: tuple[datetime, datetime]) -> list[Going]:
    mine = sa.select(PromptGroup.prompt_id).where(PromptGroup.group_id == group_id)
    coming = tx.execute(
        sa.select(Prompt.number, Prompt.next_at).where(
            Prompt.id.in_(mine), Prompt.state == "running", Prompt.next_at >= span[0], Prompt.next_at < span[1]
        )
    )
    gone = tx.execute(
        sa.select(Prompt.number, PromptFiring.fire_at, PromptFiring.outcome)
        .join(Prompt, Prompt.id == PromptFiring.prompt_id)
        .where(Prompt.id.in_(mine), PromptFiring.fire_at >= span[0], PromptFiring.fire_at < span[1])
    )
    found = [Going(row.next_at, "today.prompt", row.number, "", "planned") for row in coming if row.next_at is not None]
    return found + [Going(row.fire_at, "today.prompt", row.number, "", "fired" if row.outcome == "fired" else "missed") for row in gone]


# What is done here ------------------------------------------------------------------------------------------------------------------------


def group_of(tx: Tx, question_id: int) -> int:
    """The group in which a question was asked."""
    return tx.execute(sa.select(Question.group_id).where(Question.id == question_id)).scalar_one()


def claim(tx: Tx, actor: Actor, question_id: int, now: datetime) -> None:
    """Take a question upon oneself, as in the chat. Raises `Refused` ("foreign", "taken", "gone")."""
    answering.claim(tx, actor.person_id, question_id, now)


def release(tx: Tx, keyring: Keyring, actor: Actor, question_id: int, now: datetime) -> None:
    """Give it back. Raises `Refused` ("foreign", "gone")."""
    answering.release(tx, keyring, actor.person_id, question_id, now)


def answer(tx: Tx, keyring: Keyring, actor: Actor, question_id: int, text: str, draft: str, now: datetime) -> None:
    """Answer what one has taken; the same draft twice is one answer. Raises `Refused` as `answering.answer`, `Invalid` ("draft")."""
    answering.answer(tx, keyring, actor.person_id, question_id, text, drafts.of(draft), now)


def answered(tx: Tx, actor: Actor, draft: str) -> bool:
    """Whether this draft of theirs has been sent as an answer already."""
    if not (draft.isascii() and draft.isdigit()) or len(draft) > 18:
        return False
    mine = sa.select(QuestionWords.id).where(QuestionWords.author_id == actor.person_id, QuestionWords.draft == int(draft))
    return tx.execute(mine.limit(1)).first() is not None


def write(tx: Tx, tools: Tools, actor: Actor, letter: WriteToSilent, draft: str, now: datetime) -> int:
    """Write to those of whom nothing was heard; the same draft twice is one letter. Raises `Refused` as `silent.write`, `Invalid`."""
    return silent.write(tx, tools, actor.person_id, letter, now, draft=drafts.of(draft))
