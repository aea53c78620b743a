"""Hides what the pages of announcements show and do: whom one may address, the promise before a send, how far it went, what is undone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import access, announced, approvals, doubts, follow_ups, forecast, ids, polls, schedules
from app.console import drafts, moments
from app.console.actors import Actor
from app.db import Tx
from app.doubts import Chosen
from app.errors import Invalid, NotFound
from app.groups import Refused
from app.models import Broadcast, Course, Delivery, Group, Schedule
from app.people import names
from app.schedules import Reader
from app.situation import Tools
from app.states import REACHED, STOPPABLE, TO_COME, UNDER_WAY, WRITTEN_OFF, State
from bots.announcement import asking
from bots.effects import Poll
from bots.facts import AnnouncementSummary, PollResult, Progress, ReachForecast
from bots.texts import inert
from bots.turns import OccasionKind, Role

_LISTED = 30
#: As what somebody with several roles speaks.
_SPEAKS_AS = (Role.LEADER, Role.ASSISTANT, Role.ADMINISTRATOR)
_MOST_DAYS = 366


@dataclass(frozen=True)
class Audience:
    """A group that somebody may address, with the zone in which its moments are meant."""

    id: int
    name: str
    course: str
    zone: str
    large: bool


def audiences(tx: Tx, actor: Actor) -> list[Audience]:
    """Whom this person may address, small groups first."""
    rows = tx.execute(
        sa.select(Group.id, Group.name, Course.title, Course.zone, Group.large)
        .join(Course, Course.id == Group.course_id)
        .where(Group.id.in_(access.announced_groups(tx, actor.person_id)), Course.ended_at.is_(None))
        .order_by(Course.id.desc(), Group.large, Group.code)
    )
    return [Audience(*row) for row in rows]


@dataclass(frozen=True)
class Written:
    """What stands in the form: words, a group's id, a moment as `datetime-local` gives it ("" for now), and the draft's id.

    `ask`: got, poll or nothing; `options`: one on each line; `mass`: "1" for a mass send.
    """

    text: str = field(repr=False)
    group: str
    when: str
    draft: str
    ask: str = ""
    options: str = field(default="", repr=False)
    mass: str = ""

    @property
    def size(self) -> int:
        """Bytes of UTF-8, as it goes out."""
        return len(inert(self.text).encode())

    @property
    def poll(self) -> Poll | None:
        """What it asks its readers."""
        if self.ask == "poll":
            return Poll(tuple(each for each in (" ".join(line.split()) for line in self.options.splitlines()) if each))
        return Poll() if self.ask == "got" else None

    @property
    def by_mass(self) -> bool:
        """Whether it goes as a mass send."""
        return self.mass == "1"

    @property
    def most(self) -> int:
        """Bytes that it may hold, beside what it asks."""
        poll = self.poll
        return schedules.MOST_BYTES if poll is None else min(schedules.MOST_BYTES, asking.most_text(poll.options))


@dataclass(frozen=True)
class Preview:
    """The promise before a send: how it looks in the chat, who gets it how, and whether the same was said just now."""

    audience: Audience
    at: datetime | None
    bubble: str = field(repr=False)
    choices: tuple[str, ...] = field(repr=False)
    forecast: ReachForecast
    again: bool


def preview(tx: Tx, tools: Tools, actor: Actor, written: Written, language: str, now: datetime) -> Preview:
    """What would happen.

    Raises `Invalid` with "empty", "long", "moment", "past", "options" or "mass" (not this group, or WeChat takes none now), and
    `NotFound` for a group that is not theirs.
    """
    audience, at = _meant(tx, actor, written, now)
    held = access.roles_in_group(tx, actor.person_id, audience.id)
    details: dict[str, Any] = {
        "text": written.text,
        "group_name": audience.name,
        "author_name": names(tx, tools.keyring, [actor.person_id]).get(actor.person_id, ""),
        "author_role": next((role.value for role in _SPEAKS_AS if role in held), "operator"),
        "course_title": audience.course,
    }
    if (poll := written.poll) is not None:
        details |= {"asks": ids.new_id(), "options": list(poll.options), "until": (at or now) + polls.OPEN_FOR}
    message = tools.composer.compose("announcement", OccasionKind.ANNOUNCEMENT.value, language, audience.zone, details)
    found = forecast.forecast(tx, tools.rules, audience.id, actor.person_id, at, now)
    if written.by_mass and found.mass is None:
        raise Invalid("mass", "A mass send goes to the large group only, and while WeChat takes some.")
    again = schedules.said_before(tx, tools.keyring, audience.id, written.text, now)
    return Preview(audience, at, message.text, tuple(each.label for each in message.choices), found, again)


def send(tx: Tx, tools: Tools, actor: Actor, written: Written, now: datetime) -> int:
    """Announce, now or later; returns the announcement's id, the same one for the same draft. Raises as `preview`."""
    audience, at = _meant(tx, actor, written, now)
    draft = drafts.of(written.draft)
    try:
        return schedules.plan_announcement(
            tx,
            tools.keyring,
            author_id=actor.person_id,
            group_id=audience.id,
            text=written.text,
            at=at,
            draft=draft,
            now=now,
            poll=written.poll,
            by_mass=written.by_mass,
        )
    except Refused as refused:
        raise Invalid(refused.code, refused.sentence) from None


def _meant(tx: Tx, actor: Actor, written: Written, now: datetime) -> tuple[Audience, datetime | None]:
    audience = next((each for each in audiences(tx, actor) if str(each.id) == written.group), None)
    if audience is None:
        raise NotFound("group", "There is no such group.")
    if not written.text.strip():
        raise Invalid("empty", "An announcement needs words.")
    if written.ask == "poll" and written.poll is not None and asking.wrong_with(written.poll.options):
        raise Invalid("options", "A poll offers 2 to 8 different options of a few words.")
    if written.by_mass and not audience.large:
        raise Invalid("mass", "A mass send goes to the large group only.")
    if written.size > written.most:
        raise Invalid("long" if written.poll is None else "long_poll", f"An announcement holds at most {written.most} bytes.")
    at = moments.typed(written.when, audience.zone)
    if at is not None and at < now:
        raise Invalid("past", "This moment is over; choose a later one.")
    if at is not None and (at - now).days > _MOST_DAYS:
        raise Invalid("moment", "This moment is more than a year ahead.")
    return audience, at


def once_more(tx: Tx, tools: Tools, actor: Actor, typed: str, draft: str) -> Written | None:
    """The form with the words and the group of an announcement of theirs; None where there is no such one."""
    if not (typed.isascii() and typed.isdigit()) or len(typed) > 18:
        return None
    row = tx.execute(sa.select(Schedule.id, Schedule.group_id).where(Schedule.id == int(typed))).one_or_none()
    if row is None or row.group_id not in access.announced_groups(tx, actor.person_id):
        return None
    poll = polls.find(tx, row.id)
    options = () if poll is None else polls.options_of(tx, tools.keyring, poll)
    ask = "" if poll is None else "poll" if options else "got"
    return Written(announced.words_of(tx, tools.keyring, row.id), str(row.group_id), "", draft, ask, "\n".join(options))


def listed(tx: Tx, tools: Tools, actor: Actor, language: str) -> tuple[AnnouncementSummary, ...]:
    """The announcements of their groups: planned ones first, then newest first."""
    return schedules.announcements(tx, tools.keyring, Reader(language, actor.person_id), _LISTED)


@dataclass(frozen=True)
class Standing:
    """How far an announcement went. `stoppable` have not left, `again` may be tried once more, `doubtful` may have arrived already."""

    progress: Progress
    state: str
    at: datetime
    zone: str
    text: str = field(repr=False)
    counts: Mapping[State, int]
    stoppable: int
    again: int
    doubtful: int
    poll: PollResult | None = None
    eyes: approvals.Standing | None = None
    leaving: bool = False  # its moment is here, and in the next seconds it goes out

    @property
    def to_come(self) -> bool:
        """Whether it can be taken back whole."""
        return self.state in TO_COME

    @property
    def going(self) -> bool:
        """Whether the next seconds change it."""
        return self.leaving or (self.state == "fired" and any(self.counts.get(state) for state in UNDER_WAY))

    @property
    def reached(self) -> int:
        """Whom it has reached, as far as can be known."""
        return sum(number for state, number in self.counts.items() if state in REACHED)


def standing(tx: Tx, tools: Tools, actor: Actor, schedule_id: int, language: str, now: datetime) -> Standing:
    """How far an announcement of theirs went. Raises `NotFound`."""
    progress = schedules.progress(tx, tools.keyring, tools.words, schedule_id, Reader(language, actor.person_id))
    row = tx.execute(
        sa.select(Schedule.state, Schedule.fire_at, Course.zone)
        .join(Course, Course.id == Schedule.course_id)
        .where(Schedule.id == schedule_id)
    ).one()
    counts = _counts(tx, schedule_id)
    return Standing(
        progress=progress,
        state=row.state,
        at=row.fire_at,
        zone=row.zone,
        text=announced.words_of(tx, tools.keyring, schedule_id),
        counts=counts,
        stoppable=sum(number for state, number in counts.items() if state in STOPPABLE),
        again=_number(tx, doubts.revivable(schedule_id)),
        doubtful=_number(tx, _of(schedule_id), Delivery.state == State.UNKNOWN, Delivery.reason != WRITTEN_OFF),
        poll=polls.result(tx, tools.keyring, schedule_id, now),
        eyes=approvals.standing(tx, tools.keyring, schedule_id),
        leaving=row.state == "planned" and row.fire_at <= now,
    )


def _of(schedule_id: int) -> "sa.ColumnElement[bool]":
    ours = sa.select(Broadcast.id).where(Broadcast.schedule_id == schedule_id, Broadcast.kind == OccasionKind.ANNOUNCEMENT.value)
    return Delivery.broadcast_id.in_(ours)


def _counts(tx: Tx, schedule_id: int) -> dict[State, int]:
    rows: Any = tx.execute(sa.select(Delivery.state, sa.func.count()).where(_of(schedule_id)).group_by(Delivery.state)).all()
    found = {State(state): number for state, number in rows}
    return {state: found[state] for state in State if state in found}


def _number(tx: Tx, *which: "sa.ColumnElement[bool]") -> int:
    return tx.execute(sa.select(sa.func.count()).select_from(Delivery).where(*which)).scalar_one()


def cancel(tx: Tx, actor: Actor, schedule_id: int, now: datetime) -> int:
    """Take back what has not left; returns how many messages that were. Raises `Refused` ("gone")."""
    return schedules.cancel(tx, schedule_id, actor.person_id, now)


def resend(tx: Tx, actor: Actor, schedule_id: int, now: datetime, *, doubtful: bool) -> int:
    """Try once more whom it has not reached; with `doubtful` whom it may have reached already. Returns how many."""
    if doubtful:
        return doubts.send_again(tx, Chosen(schedule_id=schedule_id), now, actor=actor.word)
    return doubts.revive(tx, schedule_id, now, useful=schedules.USEFUL, actor=actor.word)


def follow_up(tx: Tx, tools: Tools, actor: Actor, schedule_id: int, text: str, now: datetime) -> int:
    """Ask those once more who have not answered, in these words or (empty) in the announcement's; returns how many.

    Raises `Refused` as `follow_ups.follow_up`.
    """
    return follow_ups.follow_up(tx, tools.keyring, schedule_id, actor.person_id, text, now)


def close(tx: Tx, actor: Actor, schedule_id: int, now: datetime) -> None:
    """Take no more answers. Raises `Refused` ("role", "closed")."""
    polls.close(tx, schedule_id, actor.person_id, now)
