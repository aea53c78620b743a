"""Hides one turn of one person: from the event over the bots' answer and its effects to the finished reply."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError

from app import audit, broadcasts, clock, effects, facts, ids, reach
from app.broadcasts import Draft
from app.channels import render
from app.db import Tx, savepoint
from app.groups import Refused
from app.inbox import rows
from app.inbox.door import Incoming, Taken, quarantine
from app.inbox.rows import Left, Note, Sender
from app.keyring import Place, Unreadable
from app.logs import place_of
from app.outbox import riding
from app.people import Known
from app.questionnaires import sheets
from app.reach import Action
from app.situation import Situation, Tools
from bots import Bot, Message, Need, patient
from bots.conversation import FIRST, LAST, who_answers, who_listens
from bots.effects import Answer, HandIn, Pause, RaiseFlag, Record, Say, Withdraw
from bots.facts import Facts
from bots.questionnaire.sheets import OpenAssignments
from bots.texts import Words
from bots.turns import Event, OccasionKind, Turn

log = structlog.get_logger()

#: More than this many messages in ten seconds are stored but not answered (bad-inputs.md D12).
_FLOOD, _FLOOD_WITHIN = 30, timedelta(seconds=10)
#: This many equal exchanges within a minute end the exchange: two machines are talking (bad-inputs.md D13).
_ECHOES, _ECHOES_WITHIN = 5, timedelta(minutes=1)
#: So many of our last replies are recognised when they come back.
_OWN_WORDS = 3
#: Refusals that mean somebody reached for what is not theirs; they are audited.
_OVERREACH = frozenset({"role", "foreign"})
_ROUNDS = 2
#: These are looked through before they write, and touch this person's own rows only: they need neither savepoint nor an early note.
_OWN = (Record, HandIn)
#: Who asks for silence or leaves is not asked the question that was open.
_ENDS = (Pause, Withdraw)


@dataclass(frozen=True)
class _Memory:
    """What one bot remembers; `open`: it waits for an answer; `rests`: but in no hurry."""

    bot: str
    memory: dict[str, Any]
    open: bool
    rests: bool = False

    def stored(self) -> tuple[Any, ...]:
        """As it rests in the row; nearly nothing rests, so that is said only where it is so."""
        return (self.bot, self.memory, self.open, *((True,) if self.rests else ()))


def _holder(memories: Sequence[_Memory]) -> str | None:
    """Who has the floor: the last of these that waits for an answer."""
    return next((each.bot for each in reversed(memories) if each.open), None)


@dataclass(frozen=True)
class _Floor:
    """What the bots remember, in the order in which they last spoke."""

    memories: tuple[_Memory, ...]
    recent: dict[str, Any]

    @property
    def holder(self) -> str | None:
        return _holder(self.memories)

    @property
    def rests(self) -> bool:
        """Whether whoever has it is in no hurry."""
        return any(each.bot == self.holder and each.rests for each in self.memories)

    def memory(self, bot: str) -> dict[str, Any] | None:
        return next((each.memory for each in self.memories if each.bot == bot), None)

    def after(self, bot: str, answer: Answer) -> tuple[_Memory, ...]:
        rest = tuple(each for each in self.memories if each.bot != bot)
        return rest if answer.memory is None else (*rest, _Memory(bot, dict(answer.memory), answer.open, answer.rests))


@dataclass(frozen=True)
class _Said:
    """What a bot said and what is remembered after it. `grave`: it was about danger; `answered`: a question was, so no echo goes round."""

    bot: str
    messages: list[Message]
    memories: tuple[_Memory, ...]
    grave: bool = False
    answered: bool = False


class Exchange:
    """One turn of one person. `note` and `sender` are what stands of the push and of them; `action` is what it allows us."""

    def __init__(self, tx: Tx, tools: Tools, incoming: Incoming, note: Note, sender: Sender, action: Action) -> None:
        self._tx = tx
        self._tools = tools
        self._incoming = incoming
        self._note = note
        self._sender = sender
        self._action = action
        self._traffic = reach.after(tools.rules, sender.traffic, action, note.received_at)
        self._kept = False
        self._at: Situation

    def keep(self) -> None:
        """Write push and ledger down now, before others' rows are touched; else it is done with the rest at the end."""
        if not self._kept:
            self._kept = True
            rows.keep(self._tx, self._note, self._sender, self._action, self._traffic)

    def answer(self, event: Event, situation: Situation) -> Taken:
        """The finished reply, with what waited riding along where no dialogue is open."""
        self._at = situation
        floor = self._floor()
        flooded, recent = self._flood(floor.recent)
        said = self._converse(event, floor, only_safety=flooded)
        text = self._rendered(said.messages)
        echo = bool(text) and not said.answered and self._echo(recent, event, text, said.bot)
        if echo:
            text = ""
        # Nothing goes along with an answer that is not given, nor with help for somebody in danger.
        silent = flooded or echo or said.grave
        if self._incoming.late is not None:
            return self._finish(self._answer_late(text, said, silent=silent), said, recent, rides=False)
        text, rides = self._with_what_waited(text, busy=_open(said.memories), silent=silent)
        text = self._first_part(text)
        return self._finish(text, said, recent, rides=rides)

    def _converse(self, event: Event, floor: _Floor, *, only_safety: bool) -> "_Said":
        seen = Facts({OpenAssignments(): self._at.assignments})
        turn = Turn(event, self._at.person, self._at.now, facts=seen, seed=self._at.inbox_id & 0xFFFF, sent_at=self._note.sent_at)
        try:
            bot = who_answers(self._tools.bots, turn, floor.holder)
            if only_safety and bot.name != FIRST:
                return _Said(bot.name, [], floor.memories)
            bot, turn = self._heard(bot, turn, floor)
            turn = replace(turn, memory=floor.memory(bot.name), holds_floor=floor.holder == bot.name)
            answer = bot.answer(turn)
            messages = self._at_once(answer)
            if isinstance(answer, Need) or messages is None:
                self.keep()
                answer, messages = self._ask_and_apply(bot, turn, answer)
        except (IntegrityError, InterfaceError, OperationalError):
            raise  # a race, or the database is away: the whole push is tried again
        except Exception as bug:  # noqa: BLE001 - the first of the two places where a bug is survived
            return self._survive(bug, floor)
        grave = any(isinstance(effect, RaiseFlag) for effect in answer.effects)
        after = floor.after(bot.name, answer)
        waiting = _holder(after)
        if not grave and waiting not in (None, bot.name) and not any(isinstance(effect, _ENDS) for effect in answer.effects):
            messages = [*messages, *self._again(turn, floor, waiting, messages)]
        return _Said(bot.name, messages, after, grave, any(isinstance(effect, Record) for effect in answer.effects))

    def _heard(self, bot: Bot, turn: Turn, floor: _Floor) -> tuple[Bot, Turn]:
        """Who answers instead because the words answer something that it asked by itself, with what it has seen; else the same."""
        rests = floor.holder == bot.name and floor.rests
        for each in who_listens(self._tools.bots, turn, bot, rests=rests) if self._sender.polled else ():
            seen = replace(turn, facts=facts.load(self._tx, self._tools, self._at, turn.facts, (each.heeds,)))
            if each.hears(seen):
                return each, seen
        return bot, turn

    def _rendered(self, messages: Sequence[Message]) -> str:
        return "\n\n".join(render(message, self._incoming.link_for(self._at.known.id)) for message in messages)

    def _at_once(self, answer: Answer | Need) -> list[Message] | None:
        """What is said where an answer touches no row, or this person's own answers only; None where it takes more than that."""
        if isinstance(answer, Need):
            return None
        done = [effect for effect in answer.effects if not isinstance(effect, Say)]
        if len(done) > 1 or not all(isinstance(effect, _OWN) for effect in done):
            return None
        if done and isinstance(done[0], HandIn) and sheets.completes(self._at.assignments, done[0].sheet):
            return None  # what was to remind them is taken back, and ledgers go before deliveries
        try:
            return effects.apply(self._tx, self._tools, self._at, answer.effects)
        except Refused:  # before anything was written; the bot is asked again
            return None

    def _again(self, turn: Turn, floor: _Floor, waiting: str, said: Sequence[Message]) -> list[Message]:
        """The question of a bot that lent the floor, behind the answer of the one that took it, or that is done with it."""
        holder = patient(self._tools.bots.get(waiting))
        if holder is None:
            return []
        most = self._tools.rules.most_bytes - len(self._rendered(said).encode()) - len("\n\n")
        question = holder.again(replace(turn, memory=floor.memory(holder.name), holds_floor=True), most)
        return [] if question is None else [question]

    def _ask_and_apply(self, bot: Bot, turn: Turn, first: Answer | Need) -> tuple[Answer, list[Message]]:
        """The answer with its effects; after a refusal, which undoes them, the answer to that. Neither leaves anything behind a bug."""
        try:
            with savepoint(self._tx):
                return self._applied(self._ask(bot, turn, first))
        except Refused as refusal:
            with savepoint(self._tx):
                if refusal.code in _OVERREACH:  # written here: what the effect itself wrote was undone with it
                    actor, to = f"person:{self._at.known.id}", f"bot:{bot.name}"
                    audit.record(self._tx, self._at.now, actor, "effect.refused", to, code=refusal.code)
                refused = replace(turn, refusal=refusal.code)
                return self._applied(self._ask(bot, refused, bot.answer(refused)))

    def _applied(self, answer: Answer) -> tuple[Answer, list[Message]]:
        return answer, effects.apply(self._tx, self._tools, self._at, answer.effects)

    def _ask(self, bot: Bot, turn: Turn, first: Answer | Need) -> Answer:
        """The answer, after the bot has seen what it asked for, twice at the most."""
        known, answer = turn.facts, first
        for _ in range(_ROUNDS):
            if not isinstance(answer, Need):
                return answer
            known = facts.load(self._tx, self._tools, self._at, known, answer.requests)
            answer = bot.answer(replace(turn, facts=known))
        if isinstance(answer, Need):
            raise RecursionError(f"{bot.name} asked for facts more than {_ROUNDS} times")
        return answer

    def _survive(self, bug: Exception, floor: _Floor) -> "_Said":
        """One neutral sentence to the person, one alarm to us, the event quarantined; the floor is as it was."""
        audit.alarm(self._tx, self._at.now, "bot_failed", type(bug).__name__)
        log.error("bot_failed", kind=type(bug).__name__, where=place_of(bug))  # once: above, work that was only thought through has ended
        raw = self._incoming.push.raw
        quarantine(self._tx, self._tools, self._at.account_id, f"bot: {type(bug).__name__}", raw, self._at.now, self._at.known.id)
        words = self._tools.words.fill("neutral.trouble", self._at.known.language)
        return _Said("", [Message(words)], floor.memories)

    def _with_what_waited(self, text: str, *, busy: bool, silent: bool) -> tuple[str, bool]:
        if silent or not self._sender.waiting:
            return text, False
        self.keep()
        waiting = riding.waiting(self._tx, self._at.known.id, self._at.account_id, self._at.now)
        if not waiting:
            return text, False
        if busy:
            words = self._tools.words.fill("ride.waits", self._at.known.language, count=waiting)
            return f"{text}\n\n{words}" if text else words, False
        aboard = riding.board(
            self._tx,
            self._tools.keyring,
            self._tools.composer,
            self._tools.words,
            self._incoming.link_for(self._at.known.id),
            person_id=self._at.known.id,
            account_id=self._at.account_id,
            language=self._at.known.language,
            inbox_id=self._at.inbox_id,
            room=self._tools.rules.most_bytes - len(text.encode()),
            now=self._at.now,
            machine=clock.machine_seconds(),
        )
        if aboard.left_behind:
            self._release(self._at.now)
        return "\n\n".join(part for part in (text, *aboard.texts) if part), bool(aboard.texts)

    def _release(self, now: datetime) -> None:
        allowance, _ = reach.left(self._tools.rules, self._traffic, now)
        riding.release(self._tx, self._at.known.id, self._at.account_id, allowance, self._at.now)

    def _answer_late(self, text: str, said: "_Said", *, silent: bool) -> str:
        """What is left for a reply to a push that waited in the spool: nothing. Its answer is sent, unless safety gave it at once."""
        late = self._incoming.late
        if late is not None and late.answered and said.bot == FIRST:
            text = ""
        if text:
            self.keep()
            send_later(self._tx, self._tools, self._incoming, self._at.known, text, self._at.now)
        if self._sender.waiting and not silent and not _open(said.memories):
            self.keep()
            if riding.waiting(self._tx, self._at.known.id, self._at.account_id, self._at.now):
                self._release(clock.now())
        return ""

    def _finish(self, text: str, said: "_Said", recent: dict[str, Any], *, rides: bool) -> Taken:
        key = self._at.known.key
        reply = self._incoming.write_reply(text) if text else None
        sealed = None if reply is None else key.seal(Place("inbox", "reply_sealed", self._note.id), reply)
        conversation_id = self._sender.conversation_id or ids.new_id()
        stored = json.dumps([each.stored() for each in said.memories], ensure_ascii=False) if said.memories else None
        floor = None if stored is None else key.seal(Place("conversations", "floor_sealed", conversation_id), stored)
        left = Left(said.bot or None, sealed, conversation_id, floor, _open(said.memories), recent)
        rows.finish(self._tx, self._note, self._sender, left, action=self._action, traffic=self._traffic, kept=self._kept)
        return Taken(self._note.id, reply, rides)

    def _first_part(self, text: str) -> str:
        """What fits into one reply; the rest follows as a message of its own, right after it."""
        if len(text.encode()) <= self._tools.rules.most_bytes:
            return text
        first, *rest = self._incoming.split(text, self._tools.rules.most_bytes)
        _send(self._tx, self._tools, self._incoming.account_id, self._at.known, rest, self._at.now)
        return first

    def _floor(self) -> _Floor:
        return _Floor(self._read(self._sender.conversation_id or 0, self._sender.floor_sealed), dict(self._sender.recent))

    def _read(self, row_id: int, sealed: bytes | None) -> tuple[_Memory, ...]:
        """The memories; what cannot be read is as if there were none."""
        if sealed is None:
            return ()
        try:
            stored = json.loads(self._at.known.key.unseal(Place("conversations", "floor_sealed", row_id), sealed))
            return tuple(_Memory(str(bot), dict(memory), *map(bool, waits)) for bot, memory, *waits in stored if bot in self._tools.bots)
        except (Unreadable, ValueError, TypeError):
            return ()

    def _flood(self, recent: dict[str, Any]) -> tuple[bool, dict[str, Any]]:
        """Whether this person writes faster than anybody reads, and the counters that remember it."""
        since = _moment(recent.get("since"))
        fresh = since is None or self._at.now - since > _FLOOD_WITHIN
        count = 1 if fresh else int(recent.get("count", 0)) + 1
        kept = {**recent, "since": self._at.now.isoformat() if fresh or since is None else since.isoformat(), "count": count}
        return count > _FLOOD, kept

    def _echo(self, recent: dict[str, Any], event: Event, text: str, bot: str) -> bool:
        """Whether the same words have met the same answer too often; updates `recent`. Safety is never silenced (D11).

        Two machines are also talking where our own words come back, and where fallback says the same in other words.
        """
        ours, own = list(recent.get("ours", [])), self._keyed(getattr(event, "text", ""))
        exchange = "ours" if own in ours else self._keyed(f"{event!r}\0{bot if bot == LAST else text}")
        since = _moment(recent.get("echo_since"))
        same = recent.get("echo") == exchange and since is not None and self._at.now - since <= _ECHOES_WITHIN
        recent["echo"], recent["echoes"] = exchange, int(recent.get("echoes", 0)) + 1 if same else 1
        recent["ours"] = [*ours, self._keyed(text)][-_OWN_WORDS:]
        if not same:
            recent["echo_since"] = self._at.now.isoformat()
        return bot != FIRST and bool(recent["echoes"] > _ECHOES)

    def _keyed(self, words: str) -> str:
        """A mark by which words are recognised; without our key nobody can guess them from it."""
        return self._tools.keyring.vault.index("echo", " ".join(words.split())).hex()[:16]


def send_later(tx: Tx, tools: Tools, incoming: Incoming, known: Known, text: str, now: datetime) -> None:
    """Send an answer for which nobody waits any more as messages of their own."""
    most = tools.rules.most_bytes
    parts = [text] if len(text.encode()) <= most else incoming.split(text, most)
    _send(tx, tools, incoming.account_id, known, parts, now)


def _send(tx: Tx, tools: Tools, account_id: int, known: Known, parts: Sequence[str], now: datetime) -> None:
    for part in parts:
        draft = Draft(
            account_id=account_id,
            key_id=known.key.id,
            bot="announcement",
            kind=OccasionKind.CONTINUATION,
            details={"text": Words(part)},
            priority=broadcasts.ANSWER,
            urgent=True,
            stale_at=now + timedelta(days=1),
        )
        broadcasts.send_to(tx, tools.keyring, draft, [known.id], now)


def _open(memories: tuple[_Memory, ...]) -> bool:
    return any(each.open and not each.rests for each in memories)


def _moment(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
