"""Hides the web page on which an assignment is answered: its links, what a look shows, what a form does.

It is the same session as the chat: the same rows, written while the person is held, so that two devices and the chat are one after
the other. A form says how often its item had been answered when the page was made (`again`; left out: never). The answer is stored
only where that is still so. A double tap, a repeated form, an item answered in the chat meanwhile: nothing is overwritten, the page
goes on to what is open, and says so where the two answers differ. An item that was opened for correction carries the number of the
answer that was seen; so a correction replaces that answer once, and never one that the person gave later and elsewhere.

Typed words pass the safety bot before anything else is asked of them, also where their answer is refused or comes too late.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

import sqlalchemy as sa

from app import encouragement, facts, flags, people
from app.db import Tx
from app.groups import Refused
from app.models import Assignment as AssignmentRow
from app.models import Person
from app.people import Known
from app.questionnaires import sheets
from app.questionnaires.screens import Link, Page, Screens
from app.questionnaires.typed import Wrong, given
from app.sealing import Vault
from app.situation import Situation, Tools
from app.states import Asked
from bots.conversation import FIRST
from bots.effects import BeginAssignment, Given, HandIn, RaiseFlag, Record
from bots.encouragement.words import Trigger
from bots.facts import CourseResources, Facts, Need
from bots.questionnaire.instrument import Item, Kind
from bots.questionnaire.reading import LONGEST_TEXT
from bots.questionnaire.sheets import Assignment, Sheet
from bots.questionnaire.thresholds import load_thresholds
from bots.safety.resources import shipped_resources
from bots.turns import Turn, Wrote

#: A link is good for this long after it was made.
GOOD_FOR = timedelta(days=7)
_SIGNATURE = 22  # 132 bits
_TOKEN = re.compile(r"([0-9]{1,19})\.([0-9]{1,11})\.[A-Za-z0-9_-]{22}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,19}", re.ASCII)
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class AnswerLinks:
    """Makes and checks the addresses of answer pages."""

    public_url: str
    vault: Vault = field(repr=False)

    def url(self, assignment_id: int, now: datetime) -> str:
        """Where this assignment is answered for a week from now on, by the one who holds the link."""
        return f"{self.public_url}/q/{self.token(assignment_id, now)}"

    def token(self, assignment_id: int, now: datetime) -> str:
        """The last part of the address: whose it is, until when, and that we made it."""
        signed = f"{assignment_id}.{int((now + GOOD_FOR).timestamp())}"
        return f"{signed}.{self.vault.sign('answer', signed, _SIGNATURE)}"

    def assignment(self, token: str, now: datetime) -> int | None:
        """The assignment behind a token, or None where we did not make it, or where its time is over."""
        found = _TOKEN.fullmatch(token)
        signed, _, signature = token.rpartition(".")
        if found is None or not self.vault.signed("answer", signed, signature, _SIGNATURE):
            return None
        return int(found[1]) if now.timestamp() < int(found[2]) else None


@dataclass(frozen=True)
class Go:
    """The form was taken; the page goes on under this question of its address."""

    query: str = ""


@dataclass(frozen=True)
class _Held:
    """A person whom nobody else handles now: what is put to them, `mine` what the link is about, if it is open still."""

    known: Known
    account_id: int
    state: str
    open: tuple[Assignment, ...]
    mine: Assignment | None
    screens: Screens
    now: datetime


def look(tx: Tx, tools: Tools, assignment_id: int, now: datetime, wanted: Mapping[str, str] = _NONE) -> Page | None:
    """What somebody sees; `wanted` is the question of the address. None where nothing is open for them, for whatever reason."""
    held = _hold(tx, tools, assignment_id, now)
    if held is None:
        return None
    if "help" in wanted:
        return _help(tx, tools, held, wanted)
    return _shown(tx, held, wanted) if held.known.following else None


def submit(tx: Tx, tools: Tools, assignment_id: int, fields: Mapping[str, str], now: datetime) -> Page | Go | None:
    """Take a form: where to go on, or the page again with what is wrong. None where nothing is open for this person."""
    held = _hold(tx, tools, assignment_id, now)
    if held is None:
        return None
    typed = "" if "skip" in fields else _clean(fields.get("text", ""))
    heard = _listen(tx, tools, held, typed) if typed else ""
    if not held.known.following:
        return Go("help=called") if heard == "danger" else None
    taken = _take(tx, tools, held, {**fields, "text": typed}, heard)
    return Go("help=called") if heard == "danger" else taken


def _hold(tx: Tx, tools: Tools, assignment_id: int, now: datetime) -> _Held | None:
    """The person first, then everything else, as with a push (app/inbox/rows.py)."""
    theirs = AssignmentRow.id == assignment_id
    row = tx.execute(sa.select(AssignmentRow.person_id, AssignmentRow.account_id).where(theirs)).one_or_none()
    if row is None:
        return None
    tx.execute(sa.select(Person.id).where(Person.id == row.person_id).with_for_update(key_share=True))
    known = people.known_by_id(tx, tools.keyring, row.person_id, row.account_id)
    if known is None:
        return None
    state = tx.execute(sa.select(AssignmentRow.state).where(theirs)).scalar_one()
    found = sheets.find(tx, tools.shelf, known.id, row.account_id, known.language)
    mine = next((each for each in found if each.id == assignment_id), None)
    return _Held(known, row.account_id, state, found, mine, Screens(tools.words, known.language, known.zone), now)


# What is shown ------------------------------------------------------------------------------------------------------------------------


def _shown(tx: Tx, held: _Held, wanted: Mapping[str, str]) -> Page | None:
    screens, mine = held.screens, held.mine
    if mine is None:
        pages = {Asked.COMPLETE.value: lambda: screens.done(held.open), Asked.WINDOW_CLOSED.value: screens.closed}
        return pages[held.state]() if held.state in pages else None
    if not mine.takes(held.now):
        return screens.closed()
    sheets.begin(tx, held.open, BeginAssignment(mine.id), held.now)
    if "rest" in wanted:
        return screens.rest(mine, held.now)
    thanked = mine.sheet(_number(wanted.get("thanks", "")))
    if thanked is not None and thanked.handed_in:
        return screens.handed_in(mine, thanked)
    sheet = mine.next_sheet()
    return None if sheet is None else _sheet(tx, held, mine, sheet, wanted)


def _sheet(tx: Tx, held: _Held, mine: Assignment, sheet: Sheet, wanted: Mapping[str, str]) -> Page:
    """The item that was asked for, where it was answered before; else the first that is open; else the review."""
    screens, own = held.screens, _own(tx, held, sheet)
    earlier = _answered(sheet, wanted, "item")
    item = earlier or sheet.open_item()
    page = screens.question(mine, sheet, item, own, held.now) if item else screens.review(mine, sheet, own, held.now)
    kept = _answered(sheet, wanted, "kept")
    return page if kept is None else screens.kept(page, sheet, kept, own)


def _answered(sheet: Sheet, wanted: Mapping[str, str], name: str) -> Item | None:
    """The item of this number, where it is asked and was answered; an address of another sheet names none of this one."""
    if wanted.get("sheet", str(sheet.id)) != str(sheet.id):
        return None
    number = _number(wanted.get(name, ""))
    return next((item for item in sheet.asked() if item.number == number and number in sheet.answers), None)


def _own(tx: Tx, held: _Held, sheet: Sheet) -> dict[int, str]:
    worded = any(item.kind is Kind.TEXT for item in sheet.instrument.items)
    return sheets.own_words(tx, held.known, sheet) if worded else {}


def _help(tx: Tx, tools: Tools, held: _Held, wanted: Mapping[str, str]) -> Page:
    lines = facts.load(tx, tools, _situation(tx, held), Facts(), (CourseResources(),)).get(CourseResources())
    thanks = _number(wanted.get("thanks", ""))
    on = Link(held.screens.say("continue"), f"thanks={thanks}" if thanks > 0 else "") if held.mine else None
    return held.screens.help((lines or "").strip() or shipped_resources()[held.known.language], on, called=wanted["help"] == "called")


# What a form does ---------------------------------------------------------------------------------------------------------------------


def _take(tx: Tx, tools: Tools, held: _Held, fields: Mapping[str, str], heard: str) -> Page | Go | None:
    mine = held.mine
    if mine is None or not mine.takes(held.now):
        return Go()
    sheet = mine.sheet(_number(fields.get("sheet", "")))
    if sheet is None:
        return _wrong(tx, held, {}, "wrong.strange")
    if "show" in fields:
        return Go(f"sheet={sheet.id}&item={_number(fields['show'])}")
    if "handin" in fields:
        return _hand_in(tx, tools, held, sheet)
    return Go() if sheet.handed_in else _answer(tx, tools, held, sheet, fields, heard)


def _answer(tx: Tx, tools: Tools, held: _Held, sheet: Sheet, fields: Mapping[str, str], heard: str) -> Page | Go | None:
    number = _number(fields.get("item", ""))
    if not any(item.number == number for item in sheet.instrument.items):
        return _wrong(tx, held, fields, "wrong.strange")
    item = next((item for item in sheet.asked() if item.number == number), None)
    if item is None:  # a correction elsewhere has closed the branch
        return Go()
    clipped = {**fields, "text": fields["text"][:LONGEST_TEXT]} if heard == "danger" else fields  # their words are kept all the same
    made = Wrong("wrong.command") if heard == "command" and item.kind is Kind.TEXT else given(item, clipped)
    if isinstance(made, Given) and made.value is None and held.mine is not None and not held.mine.skips:
        made = Wrong("wrong.strange")
    if isinstance(made, Wrong):
        return _wrong(tx, held, fields, made.key, **made.gaps)
    return _store(tx, tools, held, sheet, made, _number(fields.get("again", "0")))


def _store(tx: Tx, tools: Tools, held: _Held, sheet: Sheet, made: Given, again: int) -> Go:
    """Store an answer, unless it stands already, or another one does that the page had not seen."""
    stands = made.item in sheet.answers and sheet.answers[made.item] == made.value
    if stands and made.text == _own(tx, held, sheet).get(made.item, ""):
        return Go()
    if sheet.versions.get(made.item, 0) != again:
        return Go(f"sheet={sheet.id}&kept={made.item}")
    sheets.record(tx, held.known, held.open, Record(sheet.id, (made,), "web"), held.now)
    after = {**sheet.answers, made.item: made.value}
    return _watched(tx, tools, held, load_thresholds().by_answers(sheet.instrument, sheet.answers, after), Go())


def _hand_in(tx: Tx, tools: Tools, held: _Held, sheet: Sheet) -> Go:
    thanks = Go(f"thanks={sheet.id}")
    if sheet.handed_in:
        return thanks
    try:
        sheets.hand_in(tx, held.open, HandIn(sheet.id), held.now)
    except Refused:  # an item is open: it is shown
        return Go()
    finished = sheets.course_completed(held.open, sheet.id)
    if finished is not None:
        encouragement.after(tx, tools, finished, held.known.id, Trigger.WAVE, held.now)
    return _watched(tx, tools, held, load_thresholds().by_scores(sheet.instrument, sheet.answers), thanks)


def _wrong(tx: Tx, held: _Held, fields: Mapping[str, str], key: str, **gaps: int) -> Page | None:
    page = _shown(tx, held, {name: value for name, value in fields.items() if name in ("sheet", "item")})
    sentence, item = held.screens.say(key, **gaps), _number(fields.get("item", ""))
    return None if page is None else held.screens.wrong(page, item, fields.get("text", ""), sentence)


# Safety -------------------------------------------------------------------------------------------------------------------------------


def _listen(tx: Tx, tools: Tools, held: _Held, typed: str) -> str:
    """What the safety bot makes of typed words: "danger" (a flag is raised), "command" (help, stop, leave: for the chat), or nothing."""
    situation = _situation(tx, held, typed)
    safety, turn = tools.bots[FIRST], Turn(Wrote(typed), situation.person, held.now)
    if not safety.wants(turn):
        return ""
    answer = safety.answer(turn)
    if isinstance(answer, Need):
        seen = facts.load(tx, tools, situation, turn.facts, answer.requests)
        answer = safety.answer(Turn(turn.event, turn.person, turn.now, facts=seen))
    raised = [] if isinstance(answer, Need) else [effect for effect in answer.effects if isinstance(effect, RaiseFlag)]
    for effect in raised:
        flags.raise_flag(tx, tools, situation, effect.rule)
    return "danger" if raised else "command"


def _watched(tx: Tx, tools: Tools, held: _Held, rule: str | None, then: Go) -> Go:
    """Where answers crossed a threshold: a flag, and the help lines before it goes on."""
    if rule is None:
        return then
    flags.raise_flag(tx, tools, _situation(tx, held), rule)
    return Go(f"help=called&{then.query}".rstrip("&"))


def _situation(tx: Tx, held: _Held, said: str = "") -> Situation:
    return Situation(held.account_id, held.known, people.view(tx, held.known), 0, held.now, said, held.open)


def _clean(text: str) -> str:
    """Words on one line, without controls, as the chat hands them to bots."""
    return " ".join("".join(" " if unicodedata.category(each) in ("Cc", "Cs") else each for each in text).split())


def _number(text: str) -> int:
    """A number as our own pages write it; -1 for everything else."""
    return int(text) if _NUMBER.fullmatch(text) else -1
