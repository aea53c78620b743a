"""Hides the way to an announcement: course, text, group, time, preview, confirmation; whatever is missing is asked next."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bots.choices import normal, number_of, pick, short
from bots.clipping import named, room
from bots.effects import Announce, Answer, Choice, Effect, Message, Say
from bots.facts import EqualAnnouncement, Need, NewCode, Reach
from bots.staff import polling
from bots.staff import voice as words
from bots.staff.draft import NOW, Draft, written
from bots.staff.moments import Moment, Refusal, read_moment
from bots.staff.voice import MOST_TEXT_BYTES, Voice
from bots.texts import Words
from bots.turns import Membership, Turn

_EVENING = time(20, 0)
_MOST_CANDIDATES = 4


@dataclass(frozen=True)
class Here:
    """Where the dialogue stands: the turn, the words for this person, the draft, and something to say before the next question."""

    turn: Turn
    voice: Voice
    draft: Draft
    before: Words | None = None

    def with_draft(self, before: Words | None = None, /, **changes: Any) -> "Here":
        """The same place with a changed draft."""
        return replace(self, draft=replace(self.draft, **changes), before=before or self.before)

    def say(self, text: Words, choices: tuple[Choice, ...] = (), *effects: Effect) -> Answer:
        """Answer, and remember the draft."""
        all_words = text if self.before is None else Words(f"{self.before}\n\n{text}")
        draft = replace(self.draft, touched=int(self.turn.now.timestamp()))
        return Answer((*effects, Say(Message(all_words, choices))), written(draft), open=bool(draft.id or draft.follow))


def start(here: Here, text: str = "") -> Answer | Need:
    """Begin a new announcement; the course chosen earlier today still holds."""
    code = here.turn.facts.get(NewCode("draft"))
    if code is None:
        return Need(NewCode("draft"))
    fresh = Here(here.turn, here.voice, Draft(id=code, course=here.draft.course, day=here.draft.day, done=here.draft.done), here.before)
    return take_text(fresh, text) if text and _course_is_clear(fresh) else go_on(fresh)


def go_on(here: Here) -> Answer | Need:
    """Ask for what is missing next, or show the preview."""
    if not here.turn.person.announces_to():
        return let_go(here, "refused.role")
    if not _course_is_clear(here):
        return _ask_course(here)
    if not here.draft.text:
        return _ask_text(here)
    groups = _groups(here)
    if here.draft.group not in {each.group for each in groups}:
        if len(groups) > 1:
            return _ask_group(here)
        here = here.with_draft(group=groups[0].group)
    return ask_when(here) if here.draft.minute < 0 else _show_preview(here)


def let_go(here: Here, key: str) -> Answer:
    """Say the words under `key`; nothing is open any more."""
    kept = Draft(course=here.draft.course, day=here.draft.day, done=here.draft.done)
    return replace(here, draft=kept).say(here.voice(key))


# Courses ------------------------------------------------------------------------------------------------------------------------


def _courses(here: Here) -> dict[int, str]:
    return {each.course: each.course_title for each in here.turn.person.announces_to()}


def _today(turn: Turn) -> str:
    return turn.now.astimezone(ZoneInfo(turn.person.zone)).date().isoformat()


def _course_is_clear(here: Here) -> bool:
    courses = _courses(here)
    return len(courses) < 2 or (here.draft.course in courses and (here.draft.day == _today(here.turn) or here.draft.text != ""))


def _ask_course(here: Here) -> Answer:
    return here.with_draft(step="course").say(here.voice("ask.course"), _course_choices(here))


def _course_choices(here: Here) -> tuple[Choice, ...]:
    own = short(here.draft.id)
    listed = [Choice(f"staff.course.{own}.{short(id_)}", words.label(title), (title,)) for id_, title in _courses(here).items()]
    return _fitting(listed)


def choose_course(here: Here, course: int) -> Answer | Need:
    """The announcement belongs to this course; remembered for the day."""
    if course not in _courses(here):
        return go_on(here)
    return go_on(here.with_draft(course=course, day=_today(here.turn), group=0))


# Text ---------------------------------------------------------------------------------------------------------------------------


def _ask_text(here: Here) -> Answer:
    asked = here.with_draft(step="text")
    courses = _courses(here)
    if len(courses) < 2:
        return asked.say(here.voice("ask.text", limit=MOST_TEXT_BYTES))
    return asked.say(here.voice("ask.text_in_course", limit=MOST_TEXT_BYTES, course=named(courses[here.draft.course])))


def take_text(here: Here, text: str) -> Answer | Need:
    """These are the announcement's words, unless they are empty or too long; what was chosen before stays."""
    if words.is_empty(text):
        return here.with_draft(step="text").say(here.voice("refused.empty"))
    size, most = words.text_size(text), polling.most_text(here.draft, MOST_TEXT_BYTES)
    if size > most:
        return here.with_draft(step="text").say(here.voice("refused.long", limit=most, size=size))
    return go_on(here.with_draft(text=text))


# Group --------------------------------------------------------------------------------------------------------------------------


def _groups(here: Here) -> tuple[Membership, ...]:
    own = here.turn.person.announces_to()
    if len(_courses(here)) < 2:
        return own
    return tuple(each for each in own if each.course == here.draft.course)


def _ask_group(here: Here) -> Answer:
    choices = _group_choices(here)
    hidden = len(_groups(here)) - len(choices)
    question = here.voice("ask.group") if not hidden else here.voice("ask.group_or_type", count=hidden)
    return here.with_draft(step="group", group=0).say(question, choices)


def _group_choices(here: Here) -> tuple[Choice, ...]:
    own = short(here.draft.id)
    return _fitting(
        [Choice(f"staff.group.{own}.{short(each.group)}", words.label(each.group_name), (each.group_name,)) for each in _groups(here)]
    )


def _fitting(choices: list[Choice]) -> tuple[Choice, ...]:
    """As many choices as fit beside 600 bytes of words, at most seven."""
    fitting = choices[:7]
    while room(Message("", tuple(fitting))) < 600:
        fitting.pop()
    return tuple(fitting)


def choose_group(here: Here, group: int) -> Answer | Need:
    """The announcement goes to this group, if it is one of the person's own."""
    if group not in {each.group for each in _groups(here)}:
        return _ask_group(here.with_draft(here.voice("refused.group")))
    return go_on(here.with_draft(group=group))


# Time ---------------------------------------------------------------------------------------------------------------------------


def ask_when(here: Here) -> Answer:
    """Ask when it shall go out."""
    group = next((each.group_name for each in _groups(here) if each.group == here.draft.group), "")
    asked = here.with_draft(step="when", minute=-1, offered="")
    return asked.say(here.voice("ask.when", group=named(group)), _when_choices(asked))


def _when_choices(here: Here) -> tuple[Choice, ...]:
    own, leave = short(here.draft.id), here.voice.choice("leave", f"leave.{short(here.draft.id)}")
    if here.draft.offered:
        offered = [int(minute) for minute in here.draft.offered.split()]
        return (*(here.voice.choice("moment", f"at.{own}.{short(each)}", at=_moment(each)) for each in offered), leave)
    zone = ZoneInfo(here.turn.person.zone)
    today = here.turn.now.astimezone(zone).date()
    evenings = (("tonight", today), ("tomorrow", today + timedelta(days=1)))
    moments = ((key, datetime.combine(day, _EVENING, zone).astimezone(UTC)) for key, day in evenings)
    coming = (here.voice.choice(key, f"at.{own}.{short(_minute(at))}") for key, at in moments if at > here.turn.now)
    return (here.voice.choice("now", f"at.{own}.0"), *coming, leave)


def _moment(minute: int) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC)


def _minute(at: datetime) -> int:
    return int(at.timestamp()) // 60


def choose_minute(here: Here, minute: int) -> Answer | Need:
    """It shall go out at this minute since 1970 UTC, or at once (NOW)."""
    if minute != NOW and minute * 60 <= here.turn.now.timestamp():
        return ask_when(here.with_draft(here.voice("moment.past")))
    return go_on(here.with_draft(minute=minute))


def _take_moment(here: Here, typed: str) -> Answer | Need:
    read = read_moment(typed, here.turn.now, here.turn.person.zone)
    if isinstance(read, Moment):
        return choose_minute(here, _minute(read.at))
    if read.key == "several":
        return _ask_which(here, read)
    return ask_when(here.with_draft(here.voice(f"moment.{read.key}")))


def _ask_which(here: Here, read: Refusal) -> Answer:
    offered = " ".join(str(_minute(at)) for at in read.candidates[:_MOST_CANDIDATES])
    asked = here.with_draft(step="when", minute=-1, offered=offered)
    return asked.say(here.voice("moment.several"), _when_choices(asked))


# Answers that are asked for ------------------------------------------------------------------------------------------------------


def _ask_for_answers(here: Here) -> Answer:
    asked = here.with_draft(step="ask")
    return asked.say(here.voice("ask.answers"), polling.choices(here.voice, asked.draft))


def _take_question(here: Here, taken: Draft | str) -> Answer | Need:
    """The announcement asks this, unless something is wrong with it, or its words are too long beside it."""
    if isinstance(taken, str):
        again = here.with_draft(here.voice(taken))
        return _ask_for_answers(again) if here.draft.step == "ask" else go_on(again)
    most, size = polling.most_text(taken, MOST_TEXT_BYTES), words.text_size(taken.text)
    if size > most:
        return _ask_for_answers(here.with_draft(here.voice("poll.beside", limit=most, size=size)))
    return go_on(replace(here, draft=taken))


# Preview and confirmation -------------------------------------------------------------------------------------------------------


def _show_preview(here: Here) -> Answer | Need:
    reach = Reach(here.draft.group, here.draft.at())
    code, forecast = here.turn.facts.get(NewCode("preview")), here.turn.facts.get(reach)
    if code is None or forecast is None:
        return Need(NewCode("preview"), reach)
    massable = forecast.mass is not None and forecast.mass.reached > 0
    way = {"massable": massable, "mass": here.draft.mass and massable}
    shown = here.with_draft(step="preview", preview=code, shown=int(here.turn.now.timestamp()), **way)
    group = next(each.group_name for each in _groups(here) if each.group == here.draft.group)
    message = words.preview(here.voice, shown.draft, group, forecast, here.before, polling.line(here.voice, shown.draft))
    return replace(shown, before=None).say(Words(message.text), message.choices)


def confirm(here: Here, *, again: bool) -> Answer | Need:
    """The author says yes to the preview; `again`: also to sending the same words twice."""
    draft = here.draft
    if draft.preview_is_old(here.turn.now):
        return go_on(here.with_draft(here.voice("preview_old")))
    if draft.minute != NOW and draft.minute * 60 <= here.turn.now.timestamp():
        return ask_when(here.with_draft(here.voice("moment.past")))
    equal, reach = EqualAnnouncement(draft.group, draft.text), Reach(draft.group, draft.at())
    said, forecast = here.turn.facts.get(equal), here.turn.facts.get(reach)
    if said is None or forecast is None:
        return Need(equal, reach)
    return _ask_again(here) if said and not again else _announce(here, waits=forecast.eyes is not None)


def _ask_again(here: Here) -> Answer:
    return here.with_draft(step="again").say(here.voice("ask.again"), _again_choices(here))


def _again_choices(here: Here) -> tuple[Choice, ...]:
    return (
        here.voice.choice("again", f"again.{short(here.draft.preview)}"),
        here.voice.choice("leave", f"leave.{short(here.draft.id)}"),
    )


def _announce(here: Here, *, waits: bool) -> Answer:
    """`waits`: it goes to so many that a second person looks first."""
    draft, at = here.draft, here.draft.at()
    group = next((each.group_name for each in _groups(here) if each.group == draft.group), "")
    key = "done.waits_" if waits else "done.mass_" if draft.mass else "done."
    said = here.voice(f"{key}now", group=named(group)) if at is None else here.voice(f"{key}later", group=named(group), at=at)
    closed = Draft(course=draft.course, day=draft.day, done=draft.preview)
    said_so = Announce(draft.group, draft.text, at, draft.preview, draft.poll(), by_mass=draft.mass)
    return replace(here, draft=closed).say(said, (), said_so)


# Answers, tapped and typed -----------------------------------------------------------------------------------------------------


def _open_choices(here: Here) -> tuple[Choice, ...]:  # noqa: PLR0911 - one line per step
    """The choices of the question that is open."""
    match here.draft.step:
        case "course":
            return _course_choices(here)
        case "group":
            return _group_choices(here)
        case "when":
            return _when_choices(here)
        case "ask":
            return polling.choices(here.voice, here.draft)
        case "preview":
            return words.preview_choices(here.voice, here.draft)
        case "again":
            return _again_choices(here)
        case _:
            return ()


def take_choice(here: Here, id_: str) -> Answer | Need:
    """A choice of ours, tapped or typed. One that belongs to another draft or preview changes nothing."""
    kind, _, rest = id_.removeprefix("staff.").partition(".")
    own, _, value = rest.partition(".")
    if kind in ("ok", "again", "text", "time", "ask", "mass", "each"):
        return _take_preview_choice(here, kind, number_of(own))
    if number_of(own) != here.draft.id or not here.draft.id:
        return _stale(here, "stale.choice")
    return _take_draft_choice(here, kind, number_of(value))


def _take_draft_choice(here: Here, kind: str, value: int) -> Answer | Need:  # noqa: PLR0911 - one line per kind of choice
    match kind:
        case "course":
            return choose_course(here, value)
        case "group":
            return choose_group(here, value)
        case "at":
            return choose_minute(here, value)
        case "got":
            return _take_question(here, polling.with_got_it(here.draft))
        case "plain":
            return _take_question(here, polling.without(here.draft))
        case "leave":
            return let_go(here, "left")
        case _:
            return go_on(here)


def _take_preview_choice(here: Here, kind: str, preview: int) -> Answer | Need:  # noqa: PLR0911 - one line per choice
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
        case "ask":
            return _ask_for_answers(here)
        case "mass" | "each":
            return go_on(here.with_draft(mass=kind == "mass" and draft.massable))
        case _:
            return confirm(here, again=kind == "again" and draft.step == "again")


def _stale(here: Here, key: str) -> Answer | Need:
    """A late tap: said so, and the open question is shown again; nothing is sent."""
    said = here.with_draft(here.voice(key))
    return go_on(said) if here.draft.id else said.say(here.voice("closed"))


def take_typed(here: Here, typed: str) -> Answer | Need:  # noqa: PLR0911 - one line per step
    """Typed words, as the answer to the open question."""
    chosen = pick(typed, _open_choices(here))
    if chosen is not None:
        return take_choice(here, chosen.id)
    match here.draft.step:
        case "text":
            return take_text(here, typed)
        case "course":
            course = _named(_courses(here), typed)
            return choose_course(here, course) if course else _ask_course(here.with_draft(here.voice("refused.choice")))
        case "group":
            group = _named({each.group: each.group_name for each in _groups(here)}, typed)
            return choose_group(here, group) if group else _ask_group(here.with_draft(here.voice("refused.group")))
        case "when":
            return _take_moment(here, typed)
        case "ask":
            return _take_question(here, polling.take(here.draft, typed))
        case _:
            return _typed_at_the_end(here, typed)


def _typed_at_the_end(here: Here, typed: str) -> Answer | Need:
    """At the end another time may be typed, or what the announcement shall ask; anything else brings the question again."""
    question = polling.typed_at_preview(here.draft, typed, here.turn.now, here.turn.person.zone)
    if question is not None:
        return _take_question(here, question)
    if isinstance(read_moment(typed, here.turn.now, here.turn.person.zone), Moment):
        return _take_moment(here, typed)
    again = here.with_draft(here.voice("refused.choice"))
    return _ask_again(again) if here.draft.step == "again" else go_on(again)


def _named(known: Mapping[int, str], typed: str) -> int:
    """The only id whose name was typed, or of whose name a part was typed; 0 where none or several fit."""
    word = normal(typed)
    equal = {id_ for id_, name in known.items() if normal(name) == word}
    parts = {id_ for id_, name in known.items() if word in normal(name) or normal(name) in word} if word else set()
    return next((found.pop() for found in (equal, parts) if len(found) == 1), 0)


def take_thing(here: Here) -> Answer | Need:
    """A picture or the like came where words were wanted."""
    return go_on(here.with_draft(here.voice("refused.thing")))
