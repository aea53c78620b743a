"""Hides the words that a course may give: copies of the shipped ones and its own, each approved by an administrator before it is used."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from app import access, audit, broadcasts, ids
from app.db import Tx
from app.db.prepared import Prepared, slot
from app.errors import Invalid, NotFound
from app.groups import Refused
from app.keyring import Keyring, Place
from app.models import Broadcast, Course, Group, Membership, WarmFiring, WarmGiven, WarmPlan, WarmWord
from app.people import names
from app.sealing import DataKey
from bots.encouragement.shelf import Proposal, WarmShelf
from bots.encouragement.words import ANY, EIGHT_WEEKS, MOST_BYTES, alike, shipped, unfit
from bots.texts import LANGUAGES, inert
from bots.turns import OccasionKind, Role

#: A report to administrators is of use for so long.
_USEFUL = timedelta(days=3)


@dataclass(frozen=True)
class Line:
    """A word of a course as an operator sees it. `given`: to how many people; `thanked`: how many of them tapped."""

    id: int
    number: int
    theme: str
    state: str
    texts: Mapping[str, str] = field(repr=False)
    author: str = field(repr=False)
    tone: str
    shipped: bool
    given: int
    thanked: int


def adopt(tx: Tx, keyring: Keyring, course_id: int, now: datetime, *, themes: Sequence[str] | None = None, actor: str = "operator") -> int:
    """Copy the shipped words that the course has not got yet into it, approved; returns how many.

    `themes`: the themes of its weeks in their order, where they are not those of the shipped course of eight weeks. Raises `Invalid`
    for a theme that is empty or that nothing can be filed under.
    """
    weeks = list(themes) if themes is not None else None
    if weeks is not None:
        if not all(theme.strip() and len(theme) <= 40 for theme in weeks):
            raise Invalid("themes", "A theme is a word of at most 40 characters, one for each week; correct it.")
        details = tx.execute(sa.select(Course.details).where(Course.id == course_id)).scalar_one()
        tx.execute(sa.update(Course).where(Course.id == course_id).values(details={**details, "warm_themes": weeks}))
    key_id = _hold(tx, course_id)
    there = set(tx.execute(sa.select(WarmWord.code).where(WarmWord.course_id == course_id)).scalars())
    new = [word for word in shipped() if word.code not in there]
    if new:
        number, key = _last_number(tx, course_id), keyring.open(tx, key_id)
        rows = []
        for place, word in enumerate(new, start=number + 1):
            content = {"texts": dict(word.texts), "author_name": word.author, "tone": word.tone}
            rows.append(_values(key, _Row(course_id, place, word.code, word.theme, "approved", None), content, now))
        tx.execute(sa.insert(WarmWord), rows)
        audit.record(tx, now, actor, "encouragement.adopt", f"course:{course_id}", words=len(new))
    return len(new)


@dataclass(frozen=True)
class _Row:
    course_id: int
    number: int
    code: str | None
    theme: str
    state: str
    author_id: int | None


def _values(key: DataKey, row: _Row, content: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    word_id = ids.new_id()
    sealed = key.seal(Place("warm_words", "words_sealed", word_id), json.dumps(content, ensure_ascii=False))
    return {"id": word_id, "words_sealed": sealed, "created_at": now, **vars(row)}


def _insert(tx: Tx, keyring: Keyring, key_id: int, row: _Row, content: Mapping[str, Any], now: datetime) -> int:
    values = _values(keyring.open(tx, key_id), row, content, now)
    tx.execute(sa.insert(WarmWord).values(values))
    return int(values["id"])


def _hold(tx: Tx, course_id: int) -> int:
    """The course's key; whoever numbers words holds the course, so that one comes after the other."""
    return tx.execute(sa.select(Course.data_key_id).where(Course.id == course_id).with_for_update(key_share=True)).scalar_one()


def _last_number(tx: Tx, course_id: int) -> int:
    return tx.execute(sa.select(sa.func.coalesce(sa.func.max(WarmWord.number), 0)).where(WarmWord.course_id == course_id)).scalar_one()


def themes_of(details: Mapping[str, Any]) -> tuple[str, ...]:
    """The themes of a course's weeks, from its frozen details."""
    return tuple(details.get("warm_themes") or EIGHT_WEEKS)


def theme_at(details: Mapping[str, Any], starts_on: date | None, zone: str, moment: datetime) -> str:
    """The theme of the week in which this moment lies; before the first week and after the last one it is `ANY`."""
    themes = themes_of(details)
    week = -1 if starts_on is None else (moment.astimezone(ZoneInfo(zone)).date() - starts_on).days // 7
    return themes[week] if 0 <= week < len(themes) else ANY


def propose(
    tx: Tx,
    keyring: Keyring,
    course_id: int,
    texts: Mapping[str, str],
    now: datetime,
    *,
    author_id: int | None = None,
    author: str = "",
    theme: str = ANY,
    tone: str = "",
) -> int:
    """Put words of its own into a course, for an administrator to approve; returns the word's id. Administrators are told in the chat.

    The author is a person of the course's staff, or named by the operator: nobody proposes without a name. Raises `Refused` with "role",
    "name", "theme", "empty", "long", "unfit" or "alike".
    """
    if author_id is not None:
        author = _author(tx, keyring, course_id, author_id)
    author = " ".join(author.split())
    if not author:
        raise Refused("name", "Warm words have an author; say who wrote them with --author.")
    known = {*themes_of(tx.execute(sa.select(Course.details).where(Course.id == course_id)).scalar_one()), ANY}
    if theme not in known:
        raise Refused("theme", f"The course has no theme {theme!r}; choose one of {', '.join(sorted(known))}.")
    key_id = _hold(tx, course_id)
    checked = {language: " ".join(text.split()) for language, text in texts.items() if language in LANGUAGES and text.strip()}
    _check(tx, keyring, course_id, checked)
    row = _Row(course_id, _last_number(tx, course_id) + 1, None, theme, "proposed", author_id)
    word_id = _insert(tx, keyring, key_id, row, {"texts": checked, "author_name": author[:60], "tone": tone}, now)
    actor = audit.actor(author_id)
    audit.record(tx, now, actor, "encouragement.propose", f"word:{word_id}")
    details = {
        "reason": "proposal",
        "word": word_id,
        "number": row.number,
        "text": next(iter(checked.values())),
        "author_name": author[:60],
    }
    tell_administrators(tx, keyring, course_id, details, now, author_id=author_id)
    return word_id


def _author(tx: Tx, keyring: Keyring, course_id: int, author_id: int) -> str:
    if not access.may_propose_words(tx, author_id, course_id):
        raise Refused("role", "Only leaders, assistants and administrators of the course propose warm words.")
    return names(tx, keyring, [author_id]).get(author_id, "")


def _check(tx: Tx, keyring: Keyring, course_id: int, texts: Mapping[str, str]) -> None:
    if not texts:
        raise Refused("empty", "Warm words need words: give --zh or --en.")
    for language, text in texts.items():
        if len(inert(text).encode()) > MOST_BYTES:
            raise Refused("long", f"Warm words hold at most {MOST_BYTES} bytes (about 200 Chinese characters); shorten them.")
        if phrase := unfit(text):
            raise Refused("unfit", f"Warm words promise nobody health and do not urge, and {phrase!r} does; put it another way.")
        others = {line.texts[language]: line.number for line in lines(tx, keyring, course_id) if language in line.texts}
        if likest := alike(text, others):
            raise Refused("alike", f"Number {others[likest]} says nearly the same; put it another way, or use that one.")


def approve(tx: Tx, word_id: int, now: datetime, *, actor_id: int | None = None) -> None:
    """From now on the word may be given. `actor_id` None: the operator. Raises `Refused` ("role")."""
    _become(tx, word_id, "approved", now, actor_id)


def pause(tx: Tx, word_id: int, now: datetime, *, actor_id: int | None = None) -> int:
    """The word is given to nobody any more; what has not left is taken back, and counted. Raises `Refused` ("role")."""
    _become(tx, word_id, "paused", now, actor_id)
    theirs = sa.select(WarmGiven.broadcast_id).where(WarmGiven.word_id == word_id, WarmGiven.broadcast_id.is_not(None)).distinct()
    live = sa.select(Broadcast.id).where(Broadcast.id.in_(theirs), Broadcast.state != "done")
    return sum(broadcasts.cancel(tx, each, "cancelled_by_author", now) for each in tx.execute(live).scalars().all())


def _become(tx: Tx, word_id: int, state: str, now: datetime, actor_id: int | None) -> None:
    course_id = tx.execute(sa.select(WarmWord.course_id).where(WarmWord.id == word_id).with_for_update()).scalar_one_or_none()
    if course_id is None or (actor_id is not None and not access.may_keep_words(tx, actor_id, course_id)):
        raise Refused("role", "Only administrators of the course decide about its warm words.")
    tx.execute(sa.update(WarmWord).where(WarmWord.id == word_id).values(state=state))
    audit.record(tx, now, audit.actor(actor_id), f"encouragement.{state}", f"word:{word_id}")


def content_of(tx: Tx, keyring: Keyring, word_id: int) -> dict[str, Any]:
    """What is sealed of a word: texts by language, the author's name, the tone."""
    row = _WORDS.first(tx, word=word_id)
    content: dict[str, Any] = json.loads(
        keyring.open(tx, row.data_key_id).unseal(Place("warm_words", "words_sealed", word_id), row.words_sealed)
    )
    return content


_WORDS = Prepared(
    lambda _: [
        sa.select(WarmWord.words_sealed, Course.data_key_id)
        .join(Course, Course.id == WarmWord.course_id)
        .where(WarmWord.id == slot("word"))
    ]
)


def by_number(tx: Tx, course_id: int, number: int) -> int:
    """The id of a word by its number. Raises `NotFound`."""
    found = tx.execute(sa.select(WarmWord.id).where(WarmWord.course_id == course_id, WarmWord.number == number)).scalar_one_or_none()
    if found is None:
        raise NotFound("word", f"The course has no warm word {number}; `tongban encouragement list` shows what there is.")
    return found


def number_of(tx: Tx, word_id: int) -> int:
    """The short number of a word."""
    return tx.execute(sa.select(WarmWord.number).where(WarmWord.id == word_id)).scalar_one()


def words_of_week(tx: Tx, course_id: int, moment: datetime) -> tuple[str, int]:
    """The theme of the week in which this moment lies, and how many of its approved words the plan has not given."""
    course = tx.execute(sa.select(Course.details, Course.starts_on, Course.zone).where(Course.id == course_id)).one()
    theme = theme_at(course.details, course.starts_on, course.zone, moment)
    given = sa.select(WarmFiring.id).where(WarmFiring.word_id == WarmWord.id).exists()
    left = sa.select(sa.func.count()).select_from(WarmWord)
    fresh = (WarmWord.course_id == course_id, WarmWord.theme == theme, WarmWord.state == "approved", ~given)
    return theme, tx.execute(left.where(*fresh)).scalar_one()


def lines(tx: Tx, keyring: Keyring, course_id: int, *, state: str | None = None) -> list[Line]:
    """The words of a course in their order, with counts and never a name of who got them."""
    thanked = sa.func.count(WarmGiven.thanked_at)
    query = (
        sa.select(*WarmWord.__table__.columns, sa.func.count(WarmGiven.id).label("given"), thanked.label("thanked"))
        .outerjoin(WarmGiven, WarmGiven.word_id == WarmWord.id)
        .where(WarmWord.course_id == course_id)
        .group_by(WarmWord.id)
        .order_by(WarmWord.number)
    )
    rows = tx.execute(query if state is None else query.where(WarmWord.state == state)).all()
    key_id = tx.execute(sa.select(Course.data_key_id).where(Course.id == course_id)).scalar_one()
    key = keyring.open(tx, key_id)
    found = []
    for row in rows:
        content = json.loads(key.unseal(Place("warm_words", "words_sealed", row.id), row.words_sealed))
        about = (content["texts"], content.get("author_name") or "", content["tone"], row.code is not None)
        found.append(Line(row.id, row.number, row.theme, row.state, *about, row.given, row.thanked))
    return found


def shelf_of(tx: Tx, keyring: Keyring, course_id: int, person_id: int, language: str, upcoming: Sequence[datetime]) -> WarmShelf:
    """The library as an administrator sees it in the chat; nothing for anybody else. `upcoming`: the next moments of its plan."""
    if not access.may_keep_words(tx, person_id, course_id):
        return WarmShelf()
    course = tx.execute(sa.select(Course.title, Course.zone).where(Course.id == course_id)).one()
    plan = tx.execute(sa.select(WarmPlan.state).where(WarmPlan.course_id == course_id)).scalar_one_or_none() or ""
    words = lines(tx, keyring, course_id)
    counts = {state: sum(each.state == state for each in words) for state in ("approved", "paused")}
    waiting = [
        Proposal(each.id, each.number, each.texts.get(language) or next(iter(each.texts.values())), each.author)
        for each in words
        if each.state == "proposed"
    ]
    given, thanked = sum(each.given for each in words), sum(each.thanked for each in words)
    numbers = (counts["approved"], counts["paused"], tuple(waiting), plan, tuple(upcoming), given, thanked)
    return WarmShelf(True, course.title, course.zone, *numbers)


def tell_administrators(
    tx: Tx, keyring: Keyring, course_id: int, details: Mapping[str, Any], now: datetime, *, author_id: int | None = None
) -> bool:
    """A report to every administrator of the course, in the chat; False where there is none."""
    title = tx.execute(sa.select(Course.title).where(Course.id == course_id)).scalar_one()
    query = (
        sa.select(Membership.person_id)
        .distinct()
        .join(Group, Group.id == Membership.group_id)
        .where(Group.course_id == course_id, Membership.role == Role.ADMINISTRATOR.value, Membership.ended_at.is_(None))
        .order_by(Membership.person_id)
    )
    people = tx.execute(query).scalars().all()
    told = {"course": title, **details}
    draft = broadcasts.in_course(tx, course_id, "encouragement", OccasionKind.REPORT, told, author_id=author_id, stale_at=now + _USEFUL)
    if people:
        broadcasts.send_to(tx, keyring, draft, people, now)
    return bool(people)
