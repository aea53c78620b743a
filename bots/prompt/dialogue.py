"""Hides the way to a practice prompt: course, text, groups, when, preview, confirmation; whatever is missing is asked next."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from bots.choices import short
from bots.clipping import named, room
from bots.effects import Answer, ChangePrompt, Choice, Effect, Message, PlanPrompt, Say
from bots.facts import Need, NewCode, Reach
from bots.prompt import gaps
from bots.prompt import voice as words
from bots.prompt.draft import Draft, offered, written
from bots.prompt.plans import FARTHEST, MOST_BYTES, Calendar, Calendars, Prompts, PromptView
from bots.prompt.reading import Reading, read_rule
from bots.prompt.voice import NEXT, Shown, Voice
from bots.recurrence import Rule, coming, course_week, upcoming
from bots.texts import Words
from bots.turns import Membership, Turn

_USUAL_TIMES = (Rule(time(8, 0)), Rule(time(20, 0)))
MOST_CHOICES = 6
#: What every step of the dialogue may need to see.
CODES = (NewCode("draft"), NewCode("preview"), Calendars())


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
        return Answer((*effects, Say(Message(all_words, choices))), written(draft), open=bool(draft.id))

    def calendars(self) -> tuple[Calendar, ...]:
        """The calendars that were loaded."""
        return self.turn.facts.get(Calendars()) or ()

    def prompts(self) -> tuple[PromptView, ...]:
        """The prompts that were loaded."""
        return self.turn.facts.get(Prompts()) or ()

    def calendar(self, course: int = 0) -> Calendar:
        """The calendar of a course, or of the draft's."""
        meant = course or self.draft.course
        return next((each for each in self.calendars() if each.course == meant), Calendar(meant, self.turn.person.zone))

    def there(self) -> Voice:
        """The words with the times of the course."""
        return replace(self.voice, zone=self.calendar().zone)

    def until(self) -> date:
        """The last day of the draft."""
        return self.draft.last_day() or self.calendar().usual_end(self.turn.now)


def missing(here: Here, *requests: Any) -> Need | None:
    """What of the facts that this step needs has not been loaded."""
    absent = [request for request in requests if here.turn.facts.get(request) is None]
    return Need(*absent) if absent else None


def start(here: Here, text: str = "", *, spaced: bool = False) -> Answer | Need:
    """Begin a new prompt; the course chosen earlier today still holds. Words behind a space may also say when."""
    if (need := missing(here, *CODES)) is not None:
        return need
    code = here.turn.facts.get(NewCode("draft")) or 0
    kept = Draft(id=code, course=here.draft.course, day=here.draft.day, done=here.draft.done)
    fresh = _with_course(Here(here.turn, here.voice, kept, here.before))
    if not text:
        return go_on(fresh)
    if spaced and fresh.draft.course:
        zone, starts_on = fresh.calendar().zone, fresh.calendar().starts_on
        read = read_rule(text, here.turn.now, zone, starts_on)
        if isinstance(read, Reading):
            return choose_reading(fresh, read)
        if read.key == "several":
            return offer(fresh, read.candidates)
    return take_text(fresh, text) if fresh.draft.course else go_on(fresh)


def change(here: Here, each: PromptView) -> Answer | Need:
    """Take a prompt up again, as it is, to change it."""
    if (need := missing(here, *CODES)) is not None:
        return need
    own = {membership.group for membership in here.turn.person.announces_to()}
    groups = [group for group, _ in each.groups if group in own]
    until = each.until.isoformat() if each.rule.recurs else ""
    draft = Draft(
        id=here.turn.facts.get(NewCode("draft")) or 0,
        text=each.text,
        groups=" ".join(map(str, groups)),
        rule=each.rule.code(),
        until=until,
        course=each.course,
        day=_today(here.turn),
        done=here.draft.done,
        changes=each.id,
        version=each.version,
    )
    there = replace(here, draft=draft)
    left = coming(each.rule, here.calendar(each.course).frame(each.until), here.turn.now)
    return go_on(there) if left else ask_when(there)


def go_on(here: Here) -> Answer | Need:
    """Ask for what is missing next, or show the preview."""
    if not here.turn.person.announces_to():
        return let_go(here, "refused.role")
    if (need := missing(here, *CODES)) is not None:
        return need
    here = _with_course(here)
    if not here.draft.course:
        return ask_course(here)
    if not here.draft.text:
        return _ask_text(here)
    own = [each.group for each in groups_of(here)]
    chosen = [group for group in here.draft.group_ids() if group in own]
    if not chosen and len(own) > 1:
        return _ask_groups(here)
    here = here.with_draft(groups=" ".join(map(str, chosen or own)))
    return ask_when(here) if here.draft.when() is None else _show_preview(here)


def let_go(here: Here, key: str) -> Answer:
    """Say the words under `key`; nothing is open any more."""
    kept = Draft(course=here.draft.course, day=here.draft.day, done=here.draft.done)
    return replace(here, draft=kept).say(here.voice(key))


def leave(here: Here) -> Answer:
    """Drop the draft."""
    return let_go(here, "left_change" if here.draft.changes else "left")


# Courses ------------------------------------------------------------------------------------------------------------------------


def courses_of(here: Here) -> dict[int, str]:
    """The courses in which the person may address a group, by id, with their titles."""
    return {each.course: each.course_title for each in here.turn.person.announces_to()}


def _today(turn: Turn) -> str:
    return turn.now.astimezone(ZoneInfo(turn.person.zone)).date().isoformat()


def _with_course(here: Here) -> Here:
    """The only course, or the one that was chosen today or for this draft; else none."""
    courses, draft = courses_of(here), here.draft
    if len(courses) == 1:
        return here.with_draft(course=next(iter(courses)))
    holds = draft.course in courses and (draft.day == _today(here.turn) or draft.text != "" or draft.rule != "")
    return here if holds else here.with_draft(course=0, day="")


def ask_course(here: Here) -> Answer:
    """Ask which course it is about."""
    return here.with_draft(step="course").say(here.voice("ask.course"), _course_choices(here))


def _course_choices(here: Here) -> tuple[Choice, ...]:
    own = short(here.draft.id)
    return _fitting([Choice(f"prompt.c.{own}.{short(id_)}", words.label(title), (title,)) for id_, title in courses_of(here).items()])


def choose_course(here: Here, course: int) -> Answer | Need:
    """The prompt belongs to this course; remembered for the day."""
    if course not in courses_of(here):
        return go_on(here)
    return go_on(here.with_draft(course=course, day=_today(here.turn), groups=""))


def other_course(here: Here) -> Answer | Need:
    """The course is to be chosen anew."""
    if len(courses_of(here)) < 2 or here.draft.changes:
        return go_on(here.with_draft(here.voice("one_course")))
    kept = here.with_draft(course=0, day="", groups="", rule="", until="")
    return ask_course(kept)


# Text ---------------------------------------------------------------------------------------------------------------------------


def _ask_text(here: Here) -> Answer:
    asked, courses = here.with_draft(step="text"), courses_of(here)
    if len(courses) < 2:
        return asked.say(here.voice("ask.text", limit=MOST_BYTES))
    return asked.say(here.voice("ask.text_in_course", limit=MOST_BYTES, course=named(courses[here.draft.course])))


def take_text(here: Here, text: str) -> Answer | Need:
    """These are the prompt's words, unless they are empty, too long with the longest name, or hold a gap that nobody knows."""
    refusal = _wrong_with(here, text)
    if refusal is not None:
        return here.with_draft(step="text").say(refusal)
    return go_on(here.with_draft(text=text))


def _wrong_with(here: Here, text: str) -> Words | None:
    if words.is_empty(text):
        return here.voice("refused.empty")
    found, weight = gaps.find(text), gaps.longest(text)
    if found.unknown:
        return here.voice("refused.gap", gap=named(f"{{{found.unknown[0]}}}"))
    if weight > MOST_BYTES:
        return here.voice("refused.long", limit=MOST_BYTES, size=weight)
    if found.week and here.calendar().starts_on is None:
        return here.voice("refused.week_gap")
    return None


# Groups -------------------------------------------------------------------------------------------------------------------------


def groups_of(here: Here) -> tuple[Membership, ...]:
    """The groups of the draft's course that the person may address."""
    return tuple(each for each in here.turn.person.announces_to() if each.course == here.draft.course)


def ask_other_groups(here: Here) -> Answer | Need:
    """The groups are to be chosen anew."""
    return _ask_groups(here) if len(groups_of(here)) > 1 else go_on(here)


def _ask_groups(here: Here) -> Answer:
    choices = _group_choices(here)
    hidden = len(groups_of(here)) + 1 - len(choices)
    question = here.voice("ask.groups") if not hidden else here.voice("ask.groups_or_type", count=hidden)
    return here.with_draft(step="groups", groups="").say(question, choices)


def _group_choices(here: Here) -> tuple[Choice, ...]:
    own, groups = short(here.draft.id), groups_of(here)
    listed = [Choice(f"prompt.g.{own}.{short(each.group)}", words.label(each.group_name), (each.group_name,)) for each in groups]
    return (*_fitting(listed, MOST_CHOICES - 1), here.voice.choice("all", f"all.{own}", count=len(groups)))


def _fitting(choices: list[Choice], most: int = MOST_CHOICES) -> tuple[Choice, ...]:
    """As many choices as fit beside 800 bytes of words."""
    fitting = choices[:most]
    while room(Message("", tuple(fitting))) < 800:
        fitting.pop()
    return tuple(fitting)


def choose_groups(here: Here, chosen: Sequence[int]) -> Answer | Need:
    """The prompt goes to these groups, if each is one of the person's own."""
    if not chosen or not set(chosen) <= {each.group for each in groups_of(here)}:
        return _ask_groups(here.with_draft(here.voice("refused.groups")))
    return go_on(here.with_draft(groups=" ".join(map(str, dict.fromkeys(chosen)))))


# When ---------------------------------------------------------------------------------------------------------------------------


def ask_when(here: Here) -> Answer:
    """Ask when it shall go out."""
    asked = here.with_draft(step="when", rule="", offered=offered(tuple(map(Reading, _USUAL_TIMES))))
    return asked.say(here.voice("ask.when"), _when_choices(asked))


def _when_choices(here: Here) -> tuple[Choice, ...]:
    own, starts_on = short(here.draft.id), here.calendar().starts_on
    listed = [
        here.voice.choice("rule", f"at.{own}.{place}", rule=words.rule_words(here.voice, each.rule, starts_on))
        for place, each in enumerate(here.draft.readings())
    ]
    return (*_fitting(listed), here.voice.choice("leave", f"leave.{own}"))


def offer(here: Here, readings: Sequence[Reading]) -> Answer:
    """Ask which of these was meant."""
    asked = here.with_draft(step="when", rule="", offered=offered(tuple(readings[:MOST_CHOICES])))
    return asked.say(here.voice("moment.several"), _when_choices(asked))


def choose_reading(here: Here, read: Reading) -> Answer | Need:
    """It shall go out by this rule, up to the last day that was named now or before; there must be something to come."""
    until = read.until or (here.draft.last_day() if read.rule.recurs else None)
    changed = here.with_draft(rule=read.rule.code(), until=until.isoformat() if until else "", offered="")
    refusal = _wrong_time(changed)
    return go_on(changed) if refusal is None else ask_when(here.with_draft(refusal, until="" if read.until is None else here.draft.until))


def _wrong_time(here: Here) -> Words | None:
    """Why nothing can go out at the times of the draft, or None."""
    rule, calendar, until = here.draft.when(), here.calendar(), _last_day(here)
    if rule is None:
        return here.voice("moment.unreadable")
    if calendar.ends_on is not None and here.until() > calendar.ends_on:
        return here.voice("moment.over", day=words.day_words(here.voice, calendar.ends_on))
    today = here.turn.now.astimezone(ZoneInfo(calendar.zone)).date()
    if until > today + FARTHEST:
        return here.voice("moment.far")
    first = coming(rule, calendar.frame(until), here.turn.now)
    if first is None:
        past = not rule.recurs and coming(rule, calendar.frame(date.max), here.turn.now) is None
        return here.voice("moment.past") if past else here.voice("moment.nothing", day=words.day_words(here.voice, until))
    early = calendar.starts_on is not None and _day_of(first, calendar.zone) < calendar.starts_on
    if early and calendar.starts_on is not None and gaps.find(here.draft.text).week:
        return here.voice("refused.week_early", first=words.day_words(here.voice, calendar.starts_on))
    return None


def _last_day(here: Here) -> date:
    """The last day that counts."""
    rule = here.draft.when()
    return here.until() if rule is None else here.calendar().last_day(rule, here.turn.now, here.draft.last_day())


def _day_of(moment: datetime, zone: str) -> date:
    return moment.astimezone(ZoneInfo(zone)).date()


def choose_until(here: Here, until: date) -> Answer | Need:
    """It goes on up to this day, if anything is left to come then."""
    changed = here.with_draft(until=until.isoformat())
    refusal = _wrong_time(changed)
    return go_on(changed) if refusal is None else go_on(here.with_draft(refusal))


# Preview and confirmation -------------------------------------------------------------------------------------------------------


def _show_preview(here: Here) -> Answer | Need:
    refusal = _wrong_time(here)
    if refusal is not None:
        return ask_when(here.with_draft(refusal))
    rule, calendar, until, draft = here.draft.when() or _USUAL_TIMES[0], here.calendar(), _last_day(here), here.draft
    moments = upcoming(rule, calendar.frame(until), here.turn.now, NEXT)
    reaches = [Reach(group, moments[0]) for group in draft.group_ids()]
    if (need := missing(here, *reaches)) is not None:
        return need
    found = [forecast for each in reaches if (forecast := here.turn.facts.get(each)) is not None]
    code = here.turn.facts.get(NewCode("preview")) or 0
    shown_at = here.with_draft(step="preview", preview=code, shown=int(here.turn.now.timestamp()))
    week = 0 if calendar.starts_on is None else course_week(_day_of(moments[0], calendar.zone), calendar.starts_on)
    shown = Shown(
        groups=_names(here),
        rule=rule,
        until=until,
        calendar=calendar,
        text=words.example(here.voice, draft.text, here.turn.person, week),
        moments=moments,
        forecast=words.added(found),
        names=gaps.find(draft.text).name,
    )
    message = words.preview(here.there(), shown_at.draft, shown, here.turn.person, here.before)
    return replace(shown_at, before=None).say(Words(message.text), message.choices)


def _names(here: Here) -> list[str]:
    chosen = here.draft.group_ids()
    return [each.group_name for each in groups_of(here) if each.group in chosen]


def confirm(here: Here, *, again: bool) -> Answer | Need:
    """The author says yes to the preview; `again`: also to planning the same words twice."""
    if here.draft.preview_is_old(here.turn.now):
        return go_on(here.with_draft(here.voice("preview_old")))
    if (need := missing(here, Calendars(), Prompts())) is not None:
        return need
    equal = None if again or here.draft.changes else _equal(here)
    if equal is not None:
        return here.with_draft(step="again").say(here.voice("ask.again", number=equal.number), _again_choices(here))
    return _plan(here)


def _equal(here: Here) -> PromptView | None:
    """A prompt that runs, with the same words, for one of these groups."""
    chosen, text = set(here.draft.group_ids()), here.draft.text.split()
    running = [each for each in here.prompts() if each.state in ("running", "paused") and each.text.split() == text]
    return next((each for each in running if chosen & {group for group, _ in each.groups}), None)


def _again_choices(here: Here) -> tuple[Choice, ...]:
    return (
        here.voice.choice("again", f"again.{short(here.draft.preview)}"),
        here.voice.choice("leave", f"leave.{short(here.draft.id)}"),
    )


def _plan(here: Here) -> Answer | Need:
    refusal = _wrong_time(here)
    if refusal is not None:
        return ask_when(here.with_draft(refusal))
    draft, calendar, until = here.draft, here.calendar(), _last_day(here)
    rule = draft.when() or _USUAL_TIMES[0]
    first = coming(rule, calendar.frame(until), here.turn.now) or here.turn.now
    key = "done.changed" if draft.changes else "done.planned"
    there = here.there()
    said = there(key, groups=words.groups_words(there, _names(here)), at=first)
    planned = PlanPrompt(draft.group_ids(), draft.text, rule, until, draft.preview)
    effect: Effect = ChangePrompt(draft.changes, draft.version, planned) if draft.changes else planned
    closed = Draft(course=draft.course, day=draft.day, done=draft.preview)
    return replace(here, draft=closed).say(said, (), effect)


def open_choices(here: Here) -> tuple[Choice, ...]:
    """The choices of the question that is open."""
    match here.draft.step:
        case "course":
            return _course_choices(here)
        case "groups":
            return _group_choices(here)
        case "when":
            return _when_choices(here)
        case "preview":
            return words.preview_choices(here.voice, here.draft)
        case "again":
            return _again_choices(here)
        case _:
            return ()
