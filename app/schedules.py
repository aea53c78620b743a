"""Hides how something planned becomes messages: plans, cancels, fires what is due exactly once, and tells how far it went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from app import access, announced, approvals, audit, broadcasts, clock, ids, polls
from app.db import Tx, upsert
from app.db.prepared import NOW, Earliest, Prepared
from app.errors import NotFound
from app.groups import Refused
from app.keyring import Keyring, Place
from app.models import Broadcast, Course, Delivery, Firing, Group, Integration, Mass, Schedule
from app.outbox import tags
from app.people import names
from app.sealing import DataKey
from app.states import REACHED, TO_COME, UNDER_WAY, State
from bots.clipping import clip
from bots.effects import Poll
from bots.facts import AnnouncementSummary, Progress, Unreached
from bots.texts import Texts, inert
from bots.turns import OccasionKind

#: Bytes of UTF-8 that an announcement may hold; with its header and an English name it stays below WeChat's 2,048.
MOST_BYTES = 1_500
#: A fire that comes later than this is missed: nobody wants tonight's reminder in the small hours (bad-inputs.md K4).
LATE = approvals.LATE
#: An announcement that could not be delivered for this long is of no use any more.
USEFUL = timedelta(days=7)
#: Equal words to the same group within this time ask for one more confirmation (bad-inputs.md F4).
EQUAL_WITHIN = timedelta(minutes=10)
_EXCERPT_BYTES = 72


class CannotFire(Exception):
    """A defect kept a schedule from being fired; nothing of it has been written."""

    def __init__(self, schedule_id: int) -> None:
        super().__init__(f"schedule {schedule_id}")
        self.schedule_id = schedule_id


def plan_announcement(
    tx: Tx,
    keyring: Keyring,
    *,
    author_id: int | None,
    group_id: int,
    text: str,
    at: datetime | None,
    draft: int | None,
    now: datetime,
    poll: Poll | None = None,
    by_mass: bool = False,
    integration_id: int | None = None,
) -> int:
    """Plan words for a group, at once (`at` None) or later; returns the schedule's id, the same one for the same draft.

    Words to more people than the course lets go unseen wait for a second pair of eyes (`app/approvals.py`), whoever plans them, and how.
    `author_id` None: the operator, or another system, `integration_id`. `by_mass`: as a mass send.
    Raises `Refused` with "role", "past", "long", "empty" or "mass", and as `polls.check` does.
    """
    if author_id is not None and not access.may_announce(tx, author_id, group_id):
        audit.record(tx, now, f"person:{author_id}", "announce.refused", f"group:{group_id}")
        raise Refused("role", "Only its leaders, assistants and administrators may address a group.")
    _check(text, at, now)
    if poll is not None:
        polls.check(poll, text, at or now)
    if by_mass:
        _want_tags(tx, group_id, now)
    if draft is not None and author_id is not None:
        known = tx.execute(sa.select(Schedule.id).where(Schedule.author_id == author_id, Schedule.draft == draft)).scalar_one_or_none()
        if known is not None:
            return known
    made, key_id = _store(tx, keyring, author_id, group_id, text, at or now, draft, now, integration_id)
    if poll is not None:
        polls.attach(tx, keyring, made, key_id, poll, at or now)
    if by_mass:
        tx.execute(sa.update(Schedule).where(Schedule.id == made).values(by_mass=True))
        audit.record(tx, now, _actor(author_id, integration_id), "announce.by_mass", f"schedule:{made}")
    if approvals.needed(tx, group_id, author_id):
        approvals.wait(tx, keyring, made, "many", now)
    return made


def _want_tags(tx: Tx, group_id: int, now: datetime) -> None:
    """A mass send goes by tag, so the tag shall be there before its moment."""
    if not tx.execute(sa.select(Group.large).where(Group.id == group_id)).scalar_one():
        raise Refused("mass", "A mass send goes to the large group only.")
    tags.want(tx, group_id, now)


def _check(text: str, at: datetime | None, now: datetime) -> None:
    if not text.strip():
        raise Refused("empty", "An announcement needs words.")
    size = len(inert(text).encode())  # as it goes out: what could be a link grows
    if size > MOST_BYTES:
        raise Refused("long", f"An announcement holds at most {MOST_BYTES} bytes (about 500 Chinese characters); this one has {size}.")
    if at is not None and at < now - timedelta(minutes=1):
        raise Refused("past", "This moment is over; choose a later one.")


def _store(
    tx: Tx,
    keyring: Keyring,
    author_id: int | None,
    group_id: int,
    text: str,
    at: datetime,
    draft: int | None,
    now: datetime,
    integration_id: int | None,
) -> tuple[int, int]:
    """The announcement's id, and that of the key under which its words rest."""
    group = tx.execute(
        sa.select(Group.name, Group.course_id, Course.title, Course.data_key_id)
        .join(Course, Course.id == Group.course_id)
        .where(Group.id == group_id)
    ).one()
    schedule_id = ids.new_id()
    details = {"text": text, "group_name": group.name, **announced.speaker(tx, keyring, author_id, group_id), "course_title": group.title}
    sealed = keyring.open(tx, group.data_key_id).seal(Place("schedules", "details_sealed", schedule_id), broadcasts.freeze(details))
    tx.execute(sa.select(Course.id).where(Course.id == group.course_id).with_for_update(key_share=True))  # one number after the other
    number = (
        tx.execute(sa.select(sa.func.coalesce(sa.func.max(Schedule.number), 0)).where(Schedule.course_id == group.course_id)).scalar_one()
        + 1
    )
    tx.execute(
        sa.insert(Schedule).values(
            id=schedule_id,
            course_id=group.course_id,
            group_id=group_id,
            author_id=author_id,
            integration_id=integration_id,
            number=number,
            draft=draft,
            kind=OccasionKind.ANNOUNCEMENT.value,
            details_sealed=sealed,
            details_hash=_words_index(keyring, text),
            fire_at=at,
            state="planned",
            created_at=now,
        )
    )
    audit.record(tx, now, _actor(author_id, integration_id), "announce", f"schedule:{schedule_id}", group=group_id)
    return schedule_id, group.data_key_id


def _actor(author_id: int | None, integration_id: int | None = None) -> str:
    if integration_id is not None:
        return f"integration:{integration_id}"
    return audit.actor(author_id)


def said_before(tx: Tx, keyring: Keyring, group_id: int, text: str, now: datetime) -> bool:
    """Whether the same words were announced to the same group within the last ten minutes."""
    query = sa.select(Schedule.id).where(
        Schedule.group_id == group_id,
        Schedule.details_hash == _words_index(keyring, text),
        Schedule.created_at > now - EQUAL_WITHIN,
        Schedule.state != "cancelled",
    )
    return tx.execute(query.limit(1)).first() is not None


def cancel(tx: Tx, schedule_id: int, actor_id: int | None, now: datetime, *, actor: str | None = None) -> int:
    """Take back what has not left; returns how many messages that were. Raises `Refused` with "role" or "gone".

    `actor_id` None: the operator, or whom `actor` names, as an audit row does.
    """
    row = tx.execute(sa.select(Schedule.group_id, Schedule.state).where(Schedule.id == schedule_id).with_for_update()).one_or_none()
    if row is None or (actor_id is not None and not access.may_announce(tx, actor_id, row.group_id)):
        raise Refused("role", "There is no such announcement among yours.")
    if row.state in ("cancelled", "missed"):
        raise Refused("gone", "It has been taken back already.")
    audit.record(tx, now, actor or _actor(actor_id), "announce.cancel", f"schedule:{schedule_id}")
    tx.execute(sa.update(Schedule).where(Schedule.id == schedule_id).values(state="cancelled", why="cancelled_by_author"))
    approvals.take_back_calls(tx, schedule_id, now)
    words = sa.select(Broadcast.id).where(Broadcast.schedule_id == schedule_id, Broadcast.bot != "approval")
    sent = tx.execute(words).scalars().all()
    taken = sum(broadcasts.cancel(tx, broadcast_id, "cancelled_by_author", now) for broadcast_id in sent)
    if sent and not taken:
        raise Refused("gone", "Everything has gone out already; what was sent stays sent.")
    return taken


def fire_next(tx: Tx, keyring: Keyring, now: datetime) -> int | None:
    """Fire the oldest schedule that is due at `now`; returns its id, or None where none is due.

    The row in `firings` is unique per schedule and moment: whoever writes it has won, everybody else finds nothing due.
    """
    row = tx.execute(
        sa.select(*Schedule.__table__.columns)
        .where(Schedule.state == "planned", Schedule.fire_at <= now)
        .order_by(Schedule.fire_at, Schedule.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if row is None:
        return None
    try:
        refusal = _too_late_or_refused(tx, row, now)
        if refusal is None and approvals.hold(tx, keyring, row, now):
            return int(row.id)
    except DBAPIError:
        raise  # a race, or the database is away: the next tick tries again
    except Exception as bug:
        raise CannotFire(row.id) from bug
    firing = upsert(tx, Firing).values(schedule_id=row.id, fire_at=row.fire_at, fired_at=now, outcome="fired").on_conflict_do_nothing()
    if tx.execute(firing.returning(Firing.id)).first() is None:
        tx.execute(sa.update(Schedule).where(Schedule.id == row.id).values(state="fired"))  # nor may it stand in the way of others
        return None
    try:
        if refusal is None:
            _fire(tx, keyring, row, now)
        else:
            _miss(tx, keyring, row, refusal, now)
    except DBAPIError:
        raise  # a race, or the database is away: the next tick tries again
    except Exception as bug:
        raise CannotFire(row.id) from bug
    return int(row.id)


def give_up(tx: Tx, keyring: Keyring, schedule_id: int, now: datetime) -> None:
    """A schedule that cannot be fired because of a bug is missed; its author and the operators are told."""
    row = tx.execute(sa.select(*Schedule.__table__.columns).where(Schedule.id == schedule_id).with_for_update()).one()
    audit.alarm(tx, now, "schedule_failed", f"schedule:{schedule_id}")
    if row.state == "planned":
        _miss(tx, keyring, row, "bug", now)


def miss_passed(tx: Tx, keyring: Keyring, now: datetime) -> int:
    """Let everything whose moment passed while it rested in a backup be missed, however late; returns how many. Authors are told."""
    passed = tx.execute(sa.select(*Schedule.__table__.columns).where(Schedule.state == "planned", Schedule.fire_at <= now)).all()
    for row in passed:
        fired = upsert(tx, Firing).values(schedule_id=row.id, fire_at=row.fire_at, fired_at=now, outcome="missed")
        tx.execute(fired.on_conflict_do_nothing())
        _miss(tx, keyring, row, "restored", now)
    return len(passed)


def next_due(tx: Tx) -> datetime | None:
    """The moment of the next planned fire."""
    return _NEXT.moment(tx)


_NEXT = Earliest(lambda: sa.select(sa.func.min(Schedule.fire_at)).where(Schedule.state == "planned"))


def oldest_due(tx: Tx, now: datetime) -> int | None:
    """The schedule that `fire_next` would fire at `now`."""
    row = _OLDEST_DUE.first(tx, now=now)
    return None if row is None else int(row.id)


_OLDEST_DUE = Prepared(
    lambda _: [
        sa.select(Schedule.id).where(Schedule.state == "planned", Schedule.fire_at <= NOW).order_by(Schedule.fire_at, Schedule.id).limit(1)
    ]
)


def _too_late_or_refused(tx: Tx, row: Any, now: datetime) -> str | None:
    if now - row.fire_at > LATE:
        return "late"
    if row.author_id is not None and not access.may_announce(tx, row.author_id, row.group_id):
        return "role"
    revoked = sa.select(Integration.id).where(Integration.id == row.integration_id, Integration.revoked_at.is_not(None))
    if row.integration_id is not None and tx.execute(revoked).first() is not None:
        return "role"
    return None


def _fire(tx: Tx, keyring: Keyring, row: Any, now: datetime) -> None:
    about = {"group_id": row.group_id, "schedule_id": row.id, "author_id": row.author_id, "by_mass": row.by_mass}
    details = announced.bubble(tx, keyring, row)
    draft = broadcasts.in_course(tx, row.course_id, "announcement", OccasionKind.ANNOUNCEMENT, details, stale_at=now + USEFUL, **about)
    broadcast_id = broadcasts.send_to_group(tx, keyring, draft, now)
    tx.execute(sa.update(Firing).where(Firing.schedule_id == row.id, Firing.fire_at == row.fire_at).values(broadcast_id=broadcast_id))
    tx.execute(sa.update(Schedule).where(Schedule.id == row.id).values(state="fired"))


def _miss(tx: Tx, keyring: Keyring, row: Any, why: str, now: datetime) -> None:
    """Nothing goes out, and the author is told why."""
    tx.execute(sa.update(Schedule).where(Schedule.id == row.id).values(state="missed", why=why))
    tx.execute(sa.update(Firing).where(Firing.schedule_id == row.id, Firing.fire_at == row.fire_at).values(outcome="missed"))
    audit.record(tx, now, "system", "announce.missed", f"schedule:{row.id}", why=why)
    if row.author_id is None:
        return
    announced.tell(tx, keyring, row, "announcement", "other" if why == "bug" else why, [row.author_id], now)


def _words_index(keyring: Keyring, text: str) -> bytes:
    return keyring.vault.index("announcement", " ".join(text.split()))


@dataclass(frozen=True)
class Reader:
    """For whom a list or a progress is put into words: their language, and whose things they may see (None: the operator's)."""

    language: str
    person_id: int | None = None


def announcements(tx: Tx, keyring: Keyring, reader: Reader, limit: int) -> tuple[AnnouncementSummary, ...]:
    """The announcements that this reader may see: those still to come first, then newest first."""
    columns = (*Schedule.__table__.columns, Group.name.label("group_name"), Course.data_key_id)
    query = sa.select(*columns).join(Group, Group.id == Schedule.group_id).join(Course, Course.id == Schedule.course_id)
    if reader.person_id is not None:
        query = query.where(Schedule.group_id.in_(access.announced_groups(tx, reader.person_id)))
    to_come_first = sa.case((Schedule.state.in_(TO_COME), 0), else_=1)
    rows = tx.execute(query.order_by(to_come_first, Schedule.fire_at.desc()).limit(limit)).all()
    keys = keyring.open_all(tx, (row.data_key_id for row in rows))
    counts = states_of(tx, [row.id for row in rows])
    return tuple(_summary(keys[row.data_key_id], row, counts[row.id]) for row in rows if row.data_key_id in keys)


def _summary(key: DataKey, row: Any, counts: Mapping[str, int]) -> AnnouncementSummary:
    total, reached = sum(counts.values()), sum(number for state, number in counts.items() if state in REACHED)
    going = row.state == "fired" and any(counts.get(state) for state in UNDER_WAY)
    state = row.state if row.state != "fired" else ("going out" if going else "done")
    text = str(announced.opened(key, row)["text"])
    return AnnouncementSummary(
        row.id, row.number, row.group_name, _excerpt(text), row.fire_at, state, total, reached, counts.get(State.NOTIFIED, 0)
    )


def progress(tx: Tx, keyring: Keyring, words: Texts, schedule_id: int, reader: Reader, now: datetime | None = None) -> Progress:
    """How far an announcement went, each recipient in exactly one state. Raises `NotFound` for what the reader may not see."""
    row = tx.execute(
        sa.select(*Schedule.__table__.columns, Group.name.label("group_name"))
        .join(Group, Group.id == Schedule.group_id)
        .where(Schedule.id == schedule_id)
    ).one_or_none()
    if row is None or (reader.person_id is not None and not access.may_announce(tx, reader.person_id, row.group_id)):
        raise NotFound("announcement", "There is no such announcement; `tongban progress` without a number lists them.")
    counts = states_of(tx, [schedule_id])[schedule_id]
    by_state = tuple((str(words.fill(f"state.{state}", reader.language)), counts[state]) for state in State if counts.get(state))
    return Progress(
        id=schedule_id,
        number=row.number,
        group_name=row.group_name,
        excerpt=_excerpt(str(announced.details(tx, keyring, row)["text"])),
        total=sum(counts.values()),
        by_state=by_state,
        unreached=_unreached(tx, keyring, words, schedule_id, reader),
        poll=polls.result(tx, keyring, schedule_id, now or clock.now()),
        notes=_notes(tx, words, schedule_id, reader),
    )


def _notes(tx: Tx, words: Texts, schedule_id: int, reader: Reader) -> tuple[str, ...]:
    """What WeChat reported of its mass sends, together: how many, never who."""
    reported = (Broadcast.schedule_id == schedule_id, Mass.sent.is_not(None))
    counts = sa.select(sa.func.sum(Mass.sent), sa.func.sum(Mass.total)).join(Broadcast, Broadcast.id == Mass.broadcast_id).where(*reported)
    sent, total = tx.execute(counts).one()
    if sent is None or total is None:
        return ()
    return (str(words.fill("reason.mass_partial", reader.language, sent=str(sent), total=str(total))),)


def states_of(tx: Tx, schedule_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Of each announcement, how many of its deliveries stand in which state."""
    rows = tx.execute(
        sa.select(Broadcast.schedule_id, Delivery.state, sa.func.count().label("number"))
        .join(Delivery, Delivery.broadcast_id == Broadcast.id)
        .where(Broadcast.schedule_id.in_(schedule_ids), Broadcast.kind == OccasionKind.ANNOUNCEMENT.value)
        .group_by(Broadcast.schedule_id, Delivery.state)
    )
    found: dict[int, dict[str, int]] = {each: {} for each in schedule_ids}
    for row in rows:
        found[row.schedule_id][row.state] = row.number
    return found


def _unreached(tx: Tx, keyring: Keyring, words: Texts, schedule_id: int, reader: Reader, most: int = 200) -> tuple[Unreached, ...]:
    rows = tx.execute(
        sa.select(Delivery.person_id, Delivery.state, Delivery.reason, Delivery.code)
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .where(
            Broadcast.schedule_id == schedule_id,
            Broadcast.kind == OccasionKind.ANNOUNCEMENT.value,
            Delivery.state.not_in([state.value for state in REACHED]),
        )
        .order_by(Delivery.state, Delivery.person_id)
        .limit(most)
    ).all()
    known = names(tx, keyring, [row.person_id for row in rows])
    return tuple(Unreached(known.get(row.person_id, "?"), reason_words(words, row, reader.language)) for row in rows)


#: Reasons that add nothing to the state's own words.
_SAID_BY_THE_STATE = frozenset({"service", "notice", "receipt", "released"})


def reason_words(words: Texts, row: Any, language: str) -> str:
    """State, reason and the platform's own code of a delivery, as a leader reads them."""
    parts: list[str] = [words.fill(f"state.{row.state}", language)]
    if row.reason and row.reason not in _SAID_BY_THE_STATE:
        parts.append(words.fill(f"reason.{row.reason}", language, sent="?", total="?"))
    if row.code:
        parts.append(str(row.code))
    return " · ".join(parts)


def by_number(tx: Tx, number: int, course_code: str | None = None) -> int:
    """The id of an announcement by its short number. Raises `NotFound`, also where two courses use the number."""
    query = (
        sa.select(Schedule.id).join(Course, Course.id == Schedule.course_id).where(sa.or_(Schedule.number == number, Schedule.id == number))
    )
    if course_code is not None:
        query = query.where(Course.code == course_code)
    found = tx.execute(query).scalars().all()
    if len(found) != 1:
        remedy = "name the course with --course" if found else "`tongban progress` without a number lists them"
        raise NotFound("announcement", f"There is no single announcement {number}; {remedy}.")
    return found[0]


def _excerpt(text: str) -> str:
    return clip(" ".join(text.split()), _EXCERPT_BYTES)
