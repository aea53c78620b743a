"""Hides the way through questionnaires: which question comes next, what an answer changes, how somebody goes back, stops and hands in.

The rows say what is answered (the same on the web page); the memory says only what was asked here last, so that typed words are never
taken for the answer to a question that their writer had not seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from bots.choices import normal, number, short
from bots.clipping import named
from bots.effects import Answer, BeginAssignment, Choice, Decline, Effect, Given, HandIn, Message, RaiseFlag, Record, RemindLater, Say
from bots.facts import CourseResources, Need
from bots.questionnaire import reading, voice
from bots.questionnaire.instrument import LABELLED, Item, Kind
from bots.questionnaire.place import Mode, Place
from bots.questionnaire.sheets import AnswerPage, Assignment, Sheet
from bots.questionnaire.thresholds import Thresholds
from bots.questionnaire.voice import Voice
from bots.texts import Words
from bots.turns import Turn

#: Words that come after so long are greeted first; a push whose moment lies further off was answered late, or its clock is wrong.
_LONG_AGO, _LATE = timedelta(hours=12), timedelta(seconds=10)
_HOURS = (1, 3, 6)
_MOST_HOURS = 72
_BEGUN = frozenset({"opened", "partial"})


@dataclass(frozen=True)
class Here:
    """Where somebody stands: the turn, their words, what is put to them, what was asked last."""

    turn: Turn
    voice: Voice
    says: Mapping[str, Sequence[str]]  # what typed words may mean, by their normal form
    open: tuple[Assignment, ...]
    place: Place | None
    thresholds: Thresholds
    lines: Mapping[str, str]  # whom to talk to, by language, where the course names nobody

    def meanings(self, text: str) -> Sequence[str]:
        """The keys of `accepts` under which these words stand."""
        return self.says.get(normal(text), ())

    def assignment(self) -> Assignment | None:
        """The one that is talked about: the one of the last question, else the first that closes."""
        wave = self.place.wave if self.place else 0
        return next((each for each in self.open if each.wave_id == wave), self.open[0] if self.open else None)

    def of_wave(self, wave_id: int) -> Assignment | None:
        """The open assignment of this wave."""
        return next((each for each in self.open if each.wave_id == wave_id), None)

    def of_sheet(self, sheet_id: int) -> tuple[Assignment, Sheet] | None:
        """The open assignment with this sheet, and the sheet."""
        found = ((each, sheet) for each in self.open if (sheet := each.sheet(sheet_id)) is not None)
        return next(found, None)

    def asked_at(self) -> int:
        """When the words that are answered now were written, by their own clock: what is older than that has not seen the answer.

        It never runs back: words that came late were no answer either.
        """
        sent = self.turn.sent_at
        usual = sent is not None and abs(self.turn.now - sent) <= _LATE
        asked = int((sent if sent is not None and usual else self.turn.now).timestamp())
        return max(asked, self.place.asked if self.place else 0)

    def say(self, message: Message, place: Place | None, *effects: Effect, rests: bool = False) -> Answer:
        """Answer, and remember the place."""
        remembered = None if place is None else place.memory() | {"asked": self.asked_at()}
        return Answer((*effects, Say(message)), remembered, rests=rests)

    def end(self, key: str, *effects: Effect, **gaps: object) -> Answer:
        """Say something after which nothing is open."""
        return self.say(Message(self.voice(key, **gaps)), None, *effects)


def start(here: Here) -> Answer:
    """Somebody wants to answer: the next question, or the choice among several."""
    waiting = takes(here)
    if not waiting:
        return here.end("none.closed" if here.open else "none.words")
    if len(waiting) > 1 and (here.place is None or here.of_wave(here.place.wave) is None):
        return here.say(Message(here.voice("none.several"), which(here, waiting)), Place(mode=Mode.WHICH))
    assignment = here.assignment()
    return go(here, assignment if assignment in waiting and assignment is not None else waiting[0])


def takes(here: Here) -> list[Assignment]:
    """What can be answered now."""
    return [each for each in here.open if each.takes(here.turn.now)]


def which(here: Here, waiting: Sequence[Assignment]) -> tuple[Choice, ...]:
    """A choice for each of these."""
    return tuple(
        Choice(
            f"questionnaire.go.{short(each.wave_id)}",
            here.voice("choice.course", course=named(each.course_title), title=named(each.title)),
            (each.title, each.course_title),
        )
        for each in waiting
    )


def go(here: Here, assignment: Assignment, before: Sequence[Words] = ()) -> Answer:
    """The next question of this assignment."""
    if not assignment.takes(here.turn.now):
        return here.end("none.closed")
    begun = () if assignment.state in _BEGUN else (BeginAssignment(assignment.id),)
    return ask(here, assignment, before, *begun)


def ask(here: Here, assignment: Assignment, before: Sequence[Words] = (), *effects: Effect) -> Answer:
    """Put the next open question, or show the review where all are answered."""
    sheet = assignment.next_sheet()
    if sheet is None:
        return here.end("none.words", *effects)
    item = sheet.open_item()
    if item is None:
        return here.say(voice.review(here.voice, sheet, before), Place(assignment.wave_id, sheet.id, 0, mode=Mode.REVIEW), *effects)
    return put(here, assignment, sheet, item, before, *effects)


def put(
    here: Here, assignment: Assignment, sheet: Sheet, item: Item, before: Sequence[Words], *effects: Effect, mode: Mode = Mode.ASK
) -> Answer:
    """Put this very question."""
    first = not any(each.answers or each.handed_in for each in assignment.sheets)
    message = voice.question(here.voice, assignment, sheet, item, before, first=first)
    return here.say(message, Place(assignment.wave_id, sheet.id, item.number, mode=mode), *effects)


def again(here: Here, key: str | None = None, **gaps: object) -> Answer:
    """What was asked last, once more, below a sentence; what has been answered elsewhere meanwhile is passed over."""
    assignment = here.assignment()
    if assignment is None:
        return here.end("none.words")
    if not assignment.takes(here.turn.now):
        return here.end("none.closed")
    before = () if key is None else (here.voice(key, **gaps),)
    asked = _asked(here, assignment)
    return ask(here, assignment, before) if asked is None else put(here, assignment, *asked, before, mode=_mode(here))


def _mode(here: Here) -> Mode:
    return Mode.AGAIN if here.place is not None and here.place.mode is Mode.AGAIN else Mode.ASK


def _asked(here: Here, assignment: Assignment) -> tuple[Sheet, Item] | None:
    """The sheet and the item that were asked last, as long as they are open here."""
    place = here.place
    sheet = None if place is None else assignment.sheet(place.sheet)
    if place is None or sheet is None or sheet.handed_in or not place.item:
        return None
    item = next((each for each in sheet.asked() if each.number == place.item), None)
    return None if item is None or (item.number in sheet.answers and place.mode is not Mode.AGAIN) else (sheet, item)


# Answers ------------------------------------------------------------------------------------------------------------------------------


def take(here: Here, assignment: Assignment, sheet: Sheet, given: Sequence[Given], road: str, more: Sequence[Words] = ()) -> Answer | Need:
    """Record answers and go on. An answer that worries us is met with people to talk to, in the same message."""
    after = reading.all_given(sheet.answers, given)
    rule = here.thresholds.by_answers(sheet.instrument, sheet.answers, after)
    if rule is not None and here.turn.facts.get(CourseResources()) is None:
        return Need(CourseResources())
    now = sheet.with_answers(after)
    view = assignment.with_sheet(now)
    echo = road != "tapped" and now.open_item() is not None  # the review that follows shows every answer
    told = [*voice.noted(here.voice, sheet, given, echo=echo), *more]
    flag = () if rule is None else (RaiseFlag(rule),)
    help_ = [] if rule is None else [_help(here)]
    return ask(here, view, [*help_, *told], Record(sheet.id, tuple(given), road), *flag)


def _help(here: Here) -> Words:
    own = here.turn.facts.get(CourseResources()) or ""
    return voice.help_lines(here.voice, own, here.lines[here.voice.language])


def wrote(here: Here, text: str) -> Answer | Need | None:
    """What typed words answer; None where they answer nothing that is asked."""
    assignment = here.assignment()
    asked = None if assignment is None or here.place is None else _asked(here, assignment)
    if assignment is None or here.place is None or asked is None:
        return None
    sheet, item = asked
    if here.turn.sent_at is not None and int(here.turn.sent_at.timestamp()) < here.place.asked:
        return again(here, "again.early") if _is_answer(sheet, item, text) else None
    one = reading.given(item, text)
    if one is not None:
        return take(here, assignment, sheet, (one,), "typed")
    found = None if here.place.mode is Mode.AGAIN else reading.several(_still_open(sheet, item), text)
    return None if found is None else _several(here, assignment, sheet, found)


def _still_open(sheet: Sheet, item: Item) -> list[Item]:
    """What is open in a row from this item on: several answers run no further than to what another answer may change."""
    asked = sheet.asked()
    following = asked[asked.index(item) :]
    return [each for each in following if each.number not in sheet.answers]


def _is_answer(sheet: Sheet, item: Item, text: str) -> bool:
    return reading.given(item, text) is not None or reading.several(_still_open(sheet, item), text) is not None


def _several(here: Here, assignment: Assignment, sheet: Sheet, found: reading.Several) -> Answer | Need:
    more: list[Words] = []
    if found.failed:
        more.append(here.voice("heard.failed", items=Words(here.voice("heard.comma").join(map(str, found.failed)))))
    if found.left_over > 0:
        more.append(here.voice("heard.left_over", count=found.left_over))
    return take(here, assignment, sheet, found.given, "many", more)


def unclear(here: Here) -> Answer:
    """The words are no answer: the question again, with what it takes; after a long time with a welcome."""
    if here.place is not None and here.turn.now.timestamp() - here.place.asked > _LONG_AGO.total_seconds():
        return again(here, "again.back")
    assignment = here.assignment()
    asked = None if assignment is None else _asked(here, assignment)
    if asked is None:
        moved = here.place is not None and here.place.mode is Mode.ASK and bool(here.place.item)
        return again(here, "again.moved" if moved else None)
    item = asked[1]
    if item.kind is Kind.SCALE:
        return again(here, "again.range", lowest=item.lowest, highest=item.highest)
    return again(here, "again.unclear" if item.kind in LABELLED else None)


def tapped(here: Here, sheet_id: int, item_number: int, value: int | None) -> Answer | Need:
    """A tap belongs to the item that it names, whatever is asked now: an older one is corrected (bad-inputs.md E2)."""
    found = here.of_sheet(sheet_id)
    if found is None:
        return again(here, "done.over") if here.open else here.end("done.over")
    assignment, sheet = found
    if sheet.handed_in:
        return again(here, "done.twice")
    if not assignment.takes(here.turn.now):
        return here.end("none.closed")
    item = next((item for item in sheet.asked() if item.number == item_number), None)
    if item is None or not (assignment.skips if value is None else value in item.points):
        return again(here, "again.foreign")
    moved = replace(here, place=replace(here.place or Place(), wave=assignment.wave_id))
    words = here.turn.words()
    return take(moved, assignment, sheet, (Given(item_number, value, raw=words),), "tapped")


# Ways on ------------------------------------------------------------------------------------------------------------------------------


def back(here: Here) -> Answer:
    """The item before the one that was asked last."""
    assignment = here.assignment()
    place = here.place
    sheet = None if assignment is None or place is None else assignment.sheet(place.sheet)
    if assignment is None or place is None or sheet is None or sheet.handed_in:
        return again(here)
    asked = sheet.asked()
    at = next((index for index, item in enumerate(asked) if item.number == place.item), len(asked))
    if not at:
        return again(here, "again.first")
    return put(here, assignment, sheet, asked[at - 1], (), mode=Mode.AGAIN)


def skip(here: Here) -> Answer | Need:
    """Leave out what was asked last, where the study allows it."""
    assignment = here.assignment()
    asked = None if assignment is None else _asked(here, assignment)
    if assignment is None or asked is None:
        return again(here)
    if not assignment.skips:
        return again(here, "again.cannot_skip")
    return take(here, assignment, asked[0], (Given(asked[1].number, None, raw=here.turn.words()),), "typed")


def change(here: Here, wanted: reading.Change) -> Answer | Need:
    """Correct an item of the sheet that is open, at once where its new answer was said."""
    assignment = here.assignment()
    sheet = None if assignment is None else assignment.sheet(here.place.sheet if here.place else 0) or assignment.next_sheet()
    if assignment is None or sheet is None or sheet.handed_in:
        return again(here)
    item = next((each for each in sheet.asked() if each.number == wanted.item), None)
    if item is None:
        return again(here, "again.unknown_item", item=wanted.item)
    one = reading.given(item, wanted.words) if wanted.words else None
    if one is not None:
        return take(here, assignment, sheet, (one,), "typed")
    return put(here, assignment, sheet, item, (here.voice("again.unclear"),) if wanted.words else (), mode=Mode.AGAIN)


def review(here: Here) -> Answer:
    """The answers so far, where all are given; else the question that is open."""
    assignment = here.assignment()
    return again(here) if assignment is None else ask(here, assignment)


def pause(here: Here) -> Answer:
    """Stop here; any words bring the question back."""
    assignment = here.assignment()
    sheet = None if assignment is None else assignment.next_sheet()
    if assignment is None or sheet is None:
        return here.end("none.words")
    message = Message(here.voice("pause.done", progress=_progress(here, assignment, sheet)), (_go_on(here, assignment),))
    return here.say(message, Place(assignment.wave_id, mode=Mode.PAUSED), rests=True)


def where(here: Here) -> Answer:
    """How far somebody is, and what is left; the question stays open."""
    assignment = here.assignment()
    sheet = None if assignment is None else assignment.next_sheet()
    if assignment is None or sheet is None:
        return here.end("none.words")
    left = [each for each in assignment.sheets if not each.handed_in]
    gaps = {"progress": _progress(here, assignment, sheet), "names": here.voice.names(left), "closes_at": assignment.closes_at}
    return again(here, "pause.where", **gaps)


def _progress(here: Here, assignment: Assignment, sheet: Sheet) -> Words:
    return voice.progress(here.voice, assignment, sheet, sheet.open_item() or sheet.asked()[-1])


def _go_on(here: Here, assignment: Assignment) -> Choice:
    return here.voice.choice("go_on", f"go.{short(assignment.wave_id)}")


def page(here: Here) -> Answer | Need:
    """The link under which the same sheet can be answered in a browser."""
    assignment = here.assignment()
    if assignment is None or not assignment.takes(here.turn.now):
        return again(here)
    url = here.turn.facts.get(AnswerPage(assignment.id))
    if url is None:
        return Need(AnswerPage(assignment.id))
    message = Message(here.voice("pause.page", url=Words(url)), (_go_on(here, assignment),))
    return here.say(message, Place(assignment.wave_id, mode=Mode.PAUSED), rests=True)


def hand_in(here: Here, sheet_id: int) -> Answer | Need:
    """Finish a sheet, thank, and go on with the next one."""
    found = here.of_sheet(sheet_id)
    if found is None or found[1].handed_in:
        return again(here, "done.over") if here.open else here.end("done.over")
    assignment, sheet = found
    if sheet.open_item() is not None or not assignment.takes(here.turn.now):
        return again(here)
    rule = here.thresholds.by_scores(sheet.instrument, sheet.answers)
    if rule is not None and here.turn.facts.get(CourseResources()) is None:
        return Need(CourseResources())
    effects: tuple[Effect, ...] = (HandIn(sheet.id), *(() if rule is None else (RaiseFlag(rule),)))
    help_ = [] if rule is None else [_help(here)]
    view = assignment.with_sheet(replace(sheet, handed_in=True))
    left = [each for each in view.sheets if not each.handed_in]
    if not left:
        return _all_done(here, view, help_, effects)
    thanks = here.voice("done.sheet", title=here.voice.title(sheet), left=len(left), names=here.voice.names(left))
    return ask(here, view, [*help_, thanks], *effects)


def _all_done(here: Here, view: Assignment, help_: Sequence[Words], effects: Sequence[Effect]) -> Answer:
    other = next((each for each in here.open if each.id != view.id and each.takes(here.turn.now)), None)
    _, items = view.counts()
    thanks = here.voice("done.all", items=items) if other is None else here.voice("done.more", title=named(other.title))
    return here.say(Message(Words("\n\n".join([*help_, thanks]))), None, *effects)


def later(here: Here, assignment: Assignment) -> Answer:
    """When to be reminded."""
    own = short(assignment.wave_id)
    hours = [hours for hours in _HOURS if assignment.takes(here.turn.now + timedelta(hours=hours))]
    choices = [here.voice.choice("hours", f"h.{own}.{each}", hours=each) for each in hours]
    if assignment.takes(here.turn.now + timedelta(hours=24)):
        choices.append(here.voice.choice("tomorrow", f"h.{own}.24"))
    message = Message(here.voice("later.ask"), (*choices, here.voice.choice("go", f"go.{own}")))
    return here.say(message, Place(assignment.wave_id, mode=Mode.HOURS))


def remind(here: Here, assignment: Assignment, hours: int) -> Answer:
    """Remind them after so many hours."""
    at = here.turn.now + timedelta(hours=hours)
    if not assignment.takes(at):
        message = Message(here.voice("later.over", closes_at=assignment.closes_at), (_go_on(here, assignment),))
        return here.say(message, Place(assignment.wave_id, mode=Mode.HOURS))
    return here.end("later.done", RemindLater(assignment.id, at), at=at)


def hours_of(here: Here, text: str) -> int | None:
    """The hours that were typed: `3`, `3小时`, `明天`."""
    if "tomorrow" in here.meanings(text):
        return 24
    plain = text.strip().lower()
    for unit in ("小时后", "小时", "个小时", "钟头", "hours", "hour", "h"):
        plain = plain.removesuffix(unit).strip().removesuffix("个").strip()
    found = number(plain)
    return found if found and found <= _MOST_HOURS else None


def refuse(here: Here, assignment: Assignment) -> Answer:
    """Ask once more whether they do not want to."""
    own = short(assignment.wave_id)
    choices = (here.voice.choice("refuse_sure", f"no.{own}"), here.voice.choice("go_on", f"go.{own}"))
    return here.say(Message(here.voice("refuse.ask"), choices), Place(assignment.wave_id, mode=Mode.REFUSE))


def decline(here: Here, assignment: Assignment) -> Answer:
    """They do not want to; nothing asks them again."""
    return here.end("refuse.done", Decline(assignment.id))
