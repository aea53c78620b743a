"""Turns what a bot asked for into rows: the closed set of effects, each one checked again for whether this person may."""

from datetime import datetime
from typing import assert_never

import sqlalchemy as sa

from app import approvals, attendance, audit, encouragement, flags, follow_ups, groups, people, polls, schedules, staffing
from app.console import scans
from app.db import Tx
from app.groups import Refused
from app.homework import checkins, hours, silent
from app.models import Course, Screening
from app.prompts import planning
from app.questionnaires import sheets
from app.questions import answering, asking
from app.situation import Situation, Tools
from bots.effects import (
    AcknowledgeFlag,
    AddLine,
    Announce,
    AnswerPoll,
    AnswerQuestion,
    ApproveAnnouncement,
    AskLeader,
    AskOn,
    Attend,
    BeAway,
    BeginAssignment,
    CancelAnnouncement,
    CancelPrompt,
    ChangePrompt,
    CheckIn,
    ChooseHour,
    ClaimMakeUp,
    ClaimQuestion,
    ClosePoll,
    ComeBack,
    ConfirmSignIn,
    Consent,
    CountGuess,
    Decline,
    Effect,
    EndQuestion,
    FollowUp,
    HandIn,
    Join,
    KeepWarmPlan,
    MarkAttendance,
    Message,
    NamePerson,
    Pause,
    PausePrompt,
    PlanPrompt,
    ProposeWords,
    RaiseFlag,
    Record,
    RefuseSignIn,
    ReleaseQuestion,
    RemindLater,
    Resume,
    ResumePrompt,
    ReturnAnnouncement,
    Say,
    Screen,
    SetLanguage,
    SettleMakeUp,
    SettleWords,
    ShareCheckIn,
    TakeBackQuestion,
    Thank,
    Withdraw,
    WriteToSilent,
)
from bots.encouragement.words import Trigger
from bots.texts import LANGUAGES

_LONGEST_NAME = 40
#: How an invitation can have come to somebody, as the flow chart counts it.
_SOURCES = frozenset({"qr", "code", "roster"})


def apply(tx: Tx, tools: Tools, situation: Situation, effects: tuple[Effect, ...]) -> list[Message]:
    """Apply all effects in order and return what shall be said. Raises `Refused`: the caller undoes all of them."""
    said: list[Message] = []
    for effect in effects:
        message = _apply(tx, tools, situation, effect)
        if message is not None:
            said.append(message)
    return said


def _apply(tx: Tx, tools: Tools, situation: Situation, effect: Effect) -> Message | None:  # noqa: C901, PLR0912, PLR0915 - one branch per effect
    person_id, now = situation.known.id, situation.now
    match effect:
        case Say(message=message):
            return message
        case Record():  # by far the most that is done
            sheets.record(tx, situation.known, situation.assignments, effect, now)
        case SetLanguage(language=language):
            people.set_language(tx, person_id, language if language in LANGUAGES else LANGUAGES[0])
        case NamePerson(name=name):
            people.rename(tx, situation.known, " ".join(name.split())[:_LONGEST_NAME])
        case Screen():
            _screen(tx, situation, effect)
        case Consent(course=course, version=version, ticks=ticks):
            _consent(tx, situation, course, version, ticks)
        case Join(code=code):
            groups.join(tx, tools.keyring, person_id, code, now)
            hours.wake(tx, person_id, now)
        case CountGuess():
            _count_guess(tx, person_id, now)
        case Pause():
            people.pause(tx, person_id, now)
        case Resume():
            people.resume(tx, person_id, now)
            hours.wake(tx, person_id, now)
        case Withdraw(erase_answers=erase_answers):
            people.withdraw(tx, person_id, now, erase_answers=erase_answers, actor=f"person:{person_id}")
        case RaiseFlag(rule=rule):
            flags.raise_flag(tx, tools, situation, rule)
        case AcknowledgeFlag(flag=flag):
            flags.acknowledge(tx, flag, person_id, now)
        case Announce():
            _announce(tx, tools, person_id, effect, now)
        case CancelAnnouncement(id=schedule_id):
            schedules.cancel(tx, schedule_id, person_id, now)
        case ApproveAnnouncement(id=schedule_id, version=seen):
            approvals.approve(tx, tools.keyring, person_id, schedule_id, seen, now)
        case ReturnAnnouncement(id=schedule_id, version=seen, note=note):
            approvals.give_back(tx, tools.keyring, person_id, schedule_id, seen, note, now)
        case AnswerPoll(announcement=schedule_id, choice=choice):
            polls.answer(tx, tools.keyring, person_id, schedule_id, choice, now)
        case FollowUp(announcement=schedule_id, text=text):
            follow_ups.follow_up(tx, tools.keyring, schedule_id, person_id, text, now)
        case ClosePoll(announcement=schedule_id):
            polls.close(tx, schedule_id, person_id, now)
        case BeginAssignment():
            sheets.begin(tx, situation.assignments, effect, now)
        case HandIn():
            _hand_in(tx, tools, situation, effect)
        case Decline():
            sheets.decline(tx, situation.assignments, effect, now)
        case RemindLater():
            sheets.remind_later(tx, situation.assignments, effect, now)
        case Thank(word=word):
            encouragement.thank(tx, person_id, word, now)
        case ProposeWords():
            encouragement.propose(tx, tools.keyring, effect.course, {situation.person.language: effect.text}, now, author_id=person_id)
        case SettleWords(word=word, approved=approved):
            (encouragement.approve if approved else encouragement.pause)(tx, word, now, actor_id=person_id)
        case KeepWarmPlan(course=course, going=going):
            encouragement.keep_plan(tx, course, now, going=going, actor_id=person_id)
        case PlanPrompt():
            planning.plan(tx, tools.keyring, person_id, effect, now)
        case ChangePrompt():
            planning.change(tx, tools.keyring, person_id, effect, now)
        case PausePrompt() | ResumePrompt() | CancelPrompt():
            planning.steer(tx, person_id, effect, now)
        case AskLeader() | TakeBackQuestion() | AskOn() | EndQuestion():
            _ask(tx, tools, situation, effect)
        case ClaimQuestion() | ReleaseQuestion() | AnswerQuestion():
            _answer(tx, tools, person_id, effect, now)
        case BeAway(group=group, cover=cover, starts=starts, ends=ends):
            staffing.be_away(tx, tools.keyring, person_id, group, cover, starts, ends, now)
        case ComeBack():
            staffing.come_back(tx, person_id, now)
        case ConfirmSignIn(code=code, number=number):
            scans.confirm(tx, tools.keyring.vault, person_id, code, number, now)
        case RefuseSignIn(code=code):
            scans.refuse(tx, tools.keyring.vault, person_id, code, now)
        case Attend() | MarkAttendance() | ClaimMakeUp() | SettleMakeUp():
            attendance.apply(tx, tools.keyring, person_id, effect, now)
        case CheckIn() | AddLine() | ShareCheckIn() | ChooseHour() | WriteToSilent():
            _practise(tx, tools, situation, effect)
        case _:
            assert_never(effect)
    return None


def _practise(tx: Tx, tools: Tools, situation: Situation, effect: CheckIn | AddLine | ShareCheckIn | ChooseHour | WriteToSilent) -> None:
    match effect:
        case CheckIn():
            checkins.note(tx, tools, situation, effect)
        case AddLine():
            checkins.add_line(tx, situation, effect)
        case ShareCheckIn():
            checkins.share(tx, tools, situation, effect)
        case ChooseHour(hour=hour):
            hours.choose(tx, situation.known.id, hour, situation.now)
        case WriteToSilent():
            silent.write(tx, tools, situation.known.id, effect, situation.now)


def _hand_in(tx: Tx, tools: Tools, situation: Situation, effect: HandIn) -> None:
    """Who has finished a whole wave gets a warm word, where the course has some."""
    sheets.hand_in(tx, situation.assignments, effect, situation.now)
    finished = sheets.course_completed(situation.assignments, effect.sheet)
    if finished is not None:
        encouragement.after(tx, tools, finished, situation.known.id, Trigger.WAVE, situation.now)


def _count_guess(tx: Tx, person_id: int, now: datetime) -> None:
    """The last guess of an hour also tells the operators (bad-inputs.md E17, F7)."""
    groups.count_guess(tx, person_id, now)
    if groups.guesses(tx, person_id, now) >= groups.GUESSES_AN_HOUR:
        audit.alarm(tx, now, "guessing", "invitation")


def _announce(tx: Tx, tools: Tools, person_id: int, effect: Announce, now: datetime) -> None:
    schedules.plan_announcement(
        tx,
        tools.keyring,
        author_id=person_id,
        group_id=effect.group,
        text=effect.text,
        at=effect.at,
        draft=effect.draft,
        now=now,
        poll=effect.poll,
        by_mass=effect.by_mass,
    )


def _ask(tx: Tx, tools: Tools, situation: Situation, effect: AskLeader | TakeBackQuestion | AskOn | EndQuestion) -> None:
    person_id, now = situation.known.id, situation.now
    match effect:
        case AskLeader(group=group, question=question, text=text):
            asking.ask(tx, tools.keyring, person_id, situation.account_id, group, question, text, now)
        case TakeBackQuestion(question=question):
            asking.take_back(tx, person_id, question, now)
        case AskOn(question=question, text=text, draft=draft):
            asking.ask_on(tx, tools.keyring, person_id, question, text, draft, now)
        case EndQuestion(question=question):
            asking.end(tx, person_id, question, now)
        case _:
            assert_never(effect)


def _answer(tx: Tx, tools: Tools, person_id: int, effect: ClaimQuestion | ReleaseQuestion | AnswerQuestion, now: datetime) -> None:
    match effect:
        case ClaimQuestion(question=question):
            answering.claim(tx, person_id, question, now)
        case ReleaseQuestion(question=question):
            answering.release(tx, tools.keyring, person_id, question, now)
        case AnswerQuestion(question=question, text=text, draft=draft):
            answering.answer(tx, tools.keyring, person_id, question, text, draft, now)
        case _:
            assert_never(effect)


def _screen(tx: Tx, situation: Situation, effect: Screen) -> None:
    if effect.source not in _SOURCES:
        raise ValueError(f"An invitation comes by one of {', '.join(sorted(_SOURCES))}, not by {effect.source!r}.")
    _account_course(tx, situation, effect.course)
    tx.execute(
        sa.insert(Screening).values(
            course_id=effect.course,
            person_id=situation.known.id,
            source=effect.source,
            included=effect.included,
            why=effect.why[:40],
            answered_at=situation.now,
        )
    )


def _consent(tx: Tx, situation: Situation, course: int, version: str, ticks: tuple[str, ...]) -> None:
    current = _account_course(tx, situation, course)
    if current != version:
        raise Refused("consent", "The consent text has changed meanwhile; it has to be read again.")
    people.consent(tx, situation.known.id, course, version, ticks, situation.now)


def _account_course(tx: Tx, situation: Situation, course: int) -> str:
    """The consent version of a course of this account. Raises `Refused` ("closed") for any other."""
    version = tx.execute(
        sa.select(Course.consent_version).where(Course.id == course, Course.account_id == situation.account_id, Course.ended_at.is_(None))
    ).scalar_one_or_none()
    if version is None:
        raise Refused("closed", "This course is not open here.")
    return version
