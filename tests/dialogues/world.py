"""A world made of memory, in which transcripts are played against the bots alone: supplies facts, applies effects, lets time pass."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any, assert_never

from bots import Bot, patient
from bots.clipping import room
from bots.conversation import who_answers, who_listens
from bots.effects import (
    AcknowledgeFlag,
    AddLine,
    Announce,
    Answer,
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
from bots.facts import (
    Fact,
    Facts,
    InvitationState,
    Need,
)
from bots.questionnaire.sheets import OpenAssignments
from bots.texts import Words, inert
from bots.turns import (
    Event,
    Followed,
    Left,
    Membership,
    OccasionKind,
    Person,
    Pressed,
    Role,
    Scanned,
    Sent,
    Tapped,
    Turn,
    Wrote,
)
from tests.dialogues import (
    approving,
    attending,
    encouraging,
    holding,
    polls,
    practising,
    prompts,
    questionnaires,
    questions,
    script,
    supply,
)
from tests.dialogues.passing import NEXT_ALERT, Passing
from tests.dialogues.playing import TEN_SECONDS, Shown
from tests.dialogues.rows import Announcement, Code, Course, Flag, Group, Memory, Refused, Someone, State
from tests.dialogues.script import Beginning, Taps

_QUIET_FROM, _QUIET_UNTIL = time(22), time(8)
_GUESSES = 5
_HOUR, _TEN_MINUTES = timedelta(hours=1), timedelta(minutes=10)


class World:
    """A `playing.Stage` without a database: what effects change is kept here, and undone where one of them is refused."""

    def __init__(self, bots: Sequence[Bot], seed: int = 0) -> None:
        self._bots = {bot.name: bot for bot in bots}
        self._seed = seed
        self._is = State(datetime(2026, 11, 23, tzinfo=UTC))
        self._time = Passing(self._is, self._bots)

    # The stage ------------------------------------------------------------------------------------------------------------------

    def set_up(self, beginning: Beginning, at: datetime) -> None:
        is_ = self._is = State(at.astimezone(UTC), started=at.astimezone(UTC))
        self._time = Passing(is_, self._bots)
        for there in beginning.courses:
            is_.courses.append(
                Course(
                    is_.new_id(),
                    there.title,
                    there.help,
                    there.consent_version,
                    there.consent_text,
                    there.file,
                    there.first_day,
                    there.starts_on,
                    there.zone,
                    there.second_eyes,
                )
            )
        for group in beginning.groups:
            course = next(each for each in is_.courses if each.title == group.course)
            made = Group(is_.new_id(), course, group.name, group.capacity, group.large, group.closed)
            is_.groups.append(made)
            if group.code:
                is_.codes.append(Code(group.code, made, Role.PARTICIPANT, once=False, name=None, until=None))
        for code in beginning.invitations:
            is_.codes.append(Code(code.code, self._is.group(code.group), Role(code.role), code.once, code.name, code.until))
        for person in beginning.people():
            is_.people[person] = Someone(
                person,
                beginning.languages.get(person, "zh"),
                beginning.zones.get(person, "Asia/Shanghai"),
                person in beginning.paused,
                follows=person in beginning.on_call or any(each.person == person for each in beginning.members),
            )
        for member in beginning.members:
            self._enter(is_.people[member.person], self._is.group(member.group), Role(member.role))
            is_.people[member.person].consents.add(self._is.group(member.group).course.title)
        is_.on_call = list(beginning.on_call)
        questionnaires.declare(is_, beginning)
        encouraging.declare(is_, beginning)
        attending.declare(is_)

    def advance(self, to: datetime) -> None:
        self._forget_reached()
        self._time.let_pass(to.astimezone(UTC))

    def act(self, person: str, act: script.Act) -> Shown | None:
        self._forget_reached()
        someone = self._is.people.setdefault(person, Someone())
        event = self._event(someone, act)
        shown = None
        if isinstance(event, Left):
            self._leave(person)
        else:
            shown = self._take(person, event)
        self._time.let_pass(self._is.now + TEN_SECONDS)
        return shown

    def reached(self, person: str) -> Sequence[Shown]:
        return self._is.people.setdefault(person, Someone()).reached

    def _forget_reached(self) -> None:
        for someone in self._is.people.values():
            someone.reached = []

    def holds(self, fact: script.Fact) -> bool:
        return holding.holds(self._is, fact)

    # A turn ---------------------------------------------------------------------------------------------------------------------

    def _event(self, someone: Someone, act: script.Act) -> Event:  # noqa: PLR0911 - one branch per act
        match act:
            case script.Types(text=text):
                return Wrote(text)
            case Taps():
                return self._tapped(someone, act)
            case script.Scans(code=code):
                return Scanned(attending.poster(self._is, code))
            case script.Follows(code=code):
                return Followed(code and attending.poster(self._is, code))
            case script.Leaves():
                return Left()
            case script.Sends(kind=kind):
                return Sent(kind)
            case script.Presses(key=key):
                return Pressed(key)
        assert_never(act)

    def _tapped(self, someone: Someone, tap: Taps) -> Tapped:
        offered = [choice for message in reversed(someone.shown) for choice in message.choices if choice.label == tap.label]
        if len(offered) <= tap.earlier:
            raise LookupError(f"no message with the choice [{tap.label}] was shown to them")
        return Tapped(offered[tap.earlier].id, tap.label)

    def _take(self, person: str, event: Event) -> Shown | None:
        someone = self._is.people[person]
        someone.follows = True
        self._time.note_traffic(someone, typed=isinstance(event, Wrote | Sent))
        seen = Facts({OpenAssignments(): questionnaires.open_of(self._is, person)})
        turn = Turn(event, self._view(person), self._is.now, facts=seen, seed=self._seed)
        bot, turn = self._heard(person, who_answers(self._bots, turn, someone.floor()), turn)
        answer, said = self._ask_and_apply(person, bot, self._as_seen_by(bot.name, turn, someone))
        someone = self._is.people[person]  # a refusal has put an older copy of everything in place
        someone.memories.pop(bot.name, None)
        if answer.memory is not None:
            someone.memories[bot.name] = Memory(answer.memory, answer.open, answer.rests)
        said += self._behind(person, bot.name, turn, answer, said)
        someone.shown += said
        if not said:
            return None
        return Shown("\n\n".join(each.text for each in said), tuple(choice.label for each in said for choice in each.choices))

    def _heard(self, person: str, bot: Bot, turn: Turn) -> tuple[Bot, Turn]:
        """Who answers instead, because the words answer what it asked by itself."""
        for each in who_listens(self._bots, turn, bot, rests=self._is.people[person].rests(bot.name)):
            seen = replace(turn, facts=Facts({**turn.facts.loaded, each.heeds: supply.load(self._is, person, each.heeds)}))
            if each.hears(seen):
                return each, seen
        return bot, turn

    def _as_seen_by(self, name: str, turn: Turn, someone: Someone) -> Turn:
        memory = someone.memories.get(name)
        return replace(turn, memory=None if memory is None else memory.kept, holds_floor=someone.floor() == name)

    def _behind(self, person: str, bot: str, turn: Turn, answer: Answer, said: Sequence[Message]) -> list[Message]:
        """What follows an answer: the question of a bot that lent the floor, and what waited. Nothing does where somebody is in danger."""
        someone = self._is.people[person]
        if any(isinstance(effect, RaiseFlag) for effect in answer.effects):
            return []
        waiting, ends = someone.floor(), any(isinstance(effect, Pause | Withdraw) for effect in answer.effects)
        again = [] if ends or waiting in (None, bot) else self._again(self._as_seen_by(waiting, turn, someone), waiting, said)
        return again + ([] if someone.busy() else self._time.board(person))

    def _again(self, turn: Turn, waiting: str, said: Sequence[Message]) -> list[Message]:
        bot = patient(self._bots[waiting])
        answer = Message(Words("\n\n".join(each.text for each in said)), tuple(choice for each in said for choice in each.choices))
        question = bot and bot.again(turn, room(answer) - len("\n\n"))
        return [question] if question else []

    def _ask_and_apply(self, person: str, bot: Bot, turn: Turn) -> tuple[Answer, list[Message]]:
        answer, before = self._ask(person, bot, turn), copy.deepcopy(self._is)
        try:
            return answer, self._apply_all(person, answer.effects)
        except Refused as refusal:
            self._is = before
            self._time = Passing(before, self._bots)
            answer = self._ask(person, bot, replace(turn, refusal=str(refusal)))
            return answer, self._apply_all(person, answer.effects)

    def _ask(self, person: str, bot: Bot, turn: Turn) -> Answer:
        loaded: dict[Fact[Any], Any] = dict(turn.facts.loaded)
        for _ in range(3):
            answer = bot.answer(replace(turn, facts=Facts(dict(loaded))))
            if not isinstance(answer, Need):
                return answer
            loaded |= {request: supply.load(self._is, person, request) for request in answer.requests}
        raise AssertionError(f"{bot.name} asked for facts more than twice in one turn")

    def _view(self, person: str) -> Person:
        someone = self._is.people[person]
        memberships = tuple(
            Membership(group.course.id, group.course.title, group.id, group.name, group.large, role)
            for group, role in sorted(someone.memberships, key=lambda each: (each[0].large, each[0].id))
        )
        administered = {each.course for each in memberships if each.role is Role.ADMINISTRATOR}
        listed = {each.group for each in memberships}
        memberships += tuple(
            Membership(group.course.id, group.course.title, group.id, group.name, group.large, Role.ADMINISTRATOR)
            for group in self._is.groups
            if group.course.id in administered and group.id not in listed
        )
        return Person(someone.name, someone.language, someone.zone, memberships, {}, someone.paused)

    # Effects --------------------------------------------------------------------------------------------------------------------

    def _apply_all(self, person: str, effects: Sequence[Effect]) -> list[Message]:
        said = [self._apply(person, effect) for effect in effects]
        return [message for message in said if message is not None]

    def _apply(self, person: str, effect: Effect) -> Message | None:  # noqa: C901, PLR0912 - one branch per effect
        someone = self._is.people[person]
        match effect:
            case Say(message=message):
                return message
            case SetLanguage(language=language):
                someone.language = language
            case NamePerson(name=name):
                someone.name = name
            case Screen(course=course, included=included, why=why):
                someone.screened[self._is.course(course).title] = (included, why)
            case Consent(course=course, version=version):
                if version != self._is.course(course).consent_version:
                    raise Refused("consent")
                someone.consents.add(self._is.course(course).title)
            case Join(code=code):
                self._join(someone, code)
            case CountGuess():
                someone.guesses.append(self._is.now)
            case Pause():
                someone.paused = True
                self._stop_deliveries(person, "cancelled", "paused")
            case Resume():
                someone.paused = False
            case Withdraw(erase_answers=erase):
                someone.memberships.clear()
                someone.consents.clear()
                someone.withdrew = "go" if erase else "stay"
                questionnaires.withdraw(self._is, person, erase=erase)
                prompts.withdraw(self._is, person)
                polls.forget(self._is, person)
                questions.leave(self._is, person)
                attending.withdraw(self._is, person, erase=erase)
                self._stop_deliveries(person, "cancelled", "withdrew")
            case RaiseFlag(rule=rule):
                self._raise_flag(person, rule)
            case AcknowledgeFlag(flag=flag):
                self._acknowledge(person, flag)
            case Announce():
                self._announce(person, effect)
            case CancelAnnouncement(id=id_):
                self._cancel(person, id_)
            case ApproveAnnouncement() | ReturnAnnouncement():
                self._time.tell(approving.apply(self._is, person, effect))
            case AnswerPoll() | ClosePoll() | FollowUp():
                for each, reader, gaps in polls.apply(self._is, person, effect):
                    self._time.deliver(reader, OccasionKind.FOLLOW_UP, "announcement", gaps, follows=each.id, stale_at=each.closes_at)
            case Record() | BeginAssignment() | HandIn() | Decline() | RemindLater():
                questionnaires.apply(self._is, person, effect)
                self._time.post(encouraging.after(self._is, person, effect) if isinstance(effect, HandIn) else ())
            case Thank() | ProposeWords() | SettleWords() | KeepWarmPlan():
                self._time.post(encouraging.apply(self._is, person, effect))
            case PlanPrompt() | ChangePrompt() | PausePrompt() | ResumePrompt() | CancelPrompt():
                prompts.apply(self._is, person, effect)
            case AskLeader() | TakeBackQuestion() | AskOn() | EndQuestion() | ClaimQuestion() | ReleaseQuestion() | AnswerQuestion():
                questions.apply(self._is, person, effect)
            case BeAway() | ComeBack():
                questions.apply(self._is, person, effect)
            case ConfirmSignIn() | RefuseSignIn():
                raise Refused("over")  # no transcript has a browser that waits
            case Attend() | MarkAttendance() | ClaimMakeUp() | SettleMakeUp():
                for letter in attending.apply(self._is, person, effect):
                    stale = self._is.now + timedelta(days=7)
                    self._time.deliver(letter.person, OccasionKind.REPORT, "attendance", letter.details, stale_at=stale)
            case CheckIn() | AddLine() | ShareCheckIn() | ChooseHour() | WriteToSilent():
                self._time.post(practising.apply(self._is, person, effect))
            case _:
                assert_never(effect)
        return None

    def _join(self, someone: Someone, code: str) -> None:
        found = self._is.code(code)
        if found is None:
            raise Refused("unknown")
        state = supply.state_of(self._is, someone, found)
        if state is not InvitationState.OPEN:
            raise Refused(state.value)
        if found.role is Role.PARTICIPANT and found.group.course.title not in someone.consents:
            raise Refused("consent")
        found.used = found.once
        someone.withdrew = None
        self._enter(someone, found.group, found.role)

    def _enter(self, someone: Someone, group: Group, role: Role) -> None:
        large = [each for each in self._is.groups if each.large and each.course is group.course]
        for each in (group, *large):
            if (each, role) not in someone.memberships:
                someone.memberships.append((each, role))

    def _announce(self, person: str, effect: Announce) -> None:
        group = self._is.group_of(effect.group)
        if not self._is.may_announce(person, group):
            raise Refused("role")
        if effect.by_mass and not group.large:
            raise Refused("mass")
        if not effect.text.strip():
            raise Refused("empty")
        if len(inert(effect.text).encode()) > 1500:
            raise Refused("long")
        if effect.at is not None and effect.at < self._is.now:
            raise Refused("past")
        polls.check(effect, self._is.now)
        if any(each.draft == effect.draft for each in self._is.announcements):
            return
        number = 1 + sum(each.group.course is group.course for each in self._is.announcements)
        at = effect.at or self._is.now
        told = (person, group, effect.text, at, self._is.now, effect.draft, effect.by_mass)
        made = Announcement(self._is.new_id(), number, *told)
        polls.declare(made, effect)
        self._is.announcements.append(made)
        if approving.eyes(self._is, group, person, len(self._is.audience(group, person))) is not None:
            self._time.tell(approving.wait(self._is, made, "many"))

    def _cancel(self, person: str, id_: int) -> None:
        each = next((one for one in self._is.announcements if one.id == id_), None)
        if each is None or not self._is.may_announce(person, each.group):
            raise Refused("role")
        stoppable = [one for one in self._is.deliveries if one.announcement == id_ and one.state in ("ready", "waiting")]
        if each.state in ("cancelled", "missed") or (each.state == "done" and not stoppable):
            raise Refused("gone")
        each.state = "cancelled"
        for one in stoppable:
            one.settle("cancelled", "cancelled_by_author")

    def _raise_flag(self, person: str, rule: str) -> None:
        encouraging.hold_back(self._is, person)
        standing = [each for each in self._is.flags if each.person == person and not each.taker and each.at > self._is.now - NEXT_ALERT]
        if standing:
            return
        own = self._is.people[person].memberships
        course = own[-1][0].course if own else self._is.courses[-1] if self._is.on_call else None
        self._is.flags.append(Flag(len(self._is.flags) + 1, person, rule, self._is.now, course, next_alert=self._is.now))

    def _acknowledge(self, person: str, flag: int) -> None:
        found = next((each for each in self._is.flags if each.number == flag), None)
        if found is None or person not in self._is.on_call:
            raise Refused("foreign")
        if found.taker not in (None, person):
            raise Refused("taken")
        found.taker = found.taker or person
        found.next_alert = None

    def _stop_deliveries(self, person: str, state: str, reason: str) -> None:
        for each in self._is.deliveries:
            if each.person == person and each.state in ("ready", "waiting"):
                each.settle(state, reason)

    def _leave(self, person: str) -> None:
        someone = self._is.people[person]
        someone.follows, someone.typed_left, someone.tapped_left = False, 0, 0
        self._stop_deliveries(person, "unreachable", "unfollowed")
