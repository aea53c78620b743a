"""Takes a push: once, in order per person, all or nothing. Dedupe, lock, ask the bots, apply, write the reply down, then answer."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError

from app import audit, broadcasts, clock, effects, facts, ids, people, reach
from app.broadcasts import Draft
from app.channels import LinkMaker, Push, PushKind, render
from app.db import Tx, upsert
from app.groups import Refused
from app.keyring import Place, Unreadable
from app.logs import place_of
from app.models import Account, Allowance, Conversation, Identity, InboxItem, Quarantined
from app.outbox import results, riding
from app.people import Known
from app.reach import Action, Traffic
from app.sealing import Vault
from app.situation import Situation, Tools
from bots import Bot, Message, Need
from bots.conversation import FIRST, LAST, who_answers
from bots.effects import Answer, RaiseFlag
from bots.facts import Facts
from bots.texts import Words
from bots.turns import Event, Followed, OccasionKind, Pressed, Scanned, Sent, Tapped, Turn, Wrote

log = structlog.get_logger()

#: A repeated push gets the very same reply for this long; the platform's own repeats come within 15 s.
REPLY_SERVED = timedelta(seconds=60)
#: More than this many messages in ten seconds are stored but not answered (bad-inputs.md D12).
_FLOOD, _FLOOD_WITHIN = 30, timedelta(seconds=10)
#: This many equal exchanges within a minute end the exchange: two machines are talking (bad-inputs.md D13).
_ECHOES, _ECHOES_WITHIN = 5, timedelta(minutes=1)
#: So many of our last replies are recognised when they come back.
_OWN_WORDS = 3
#: Refusals that mean somebody reached for what is not theirs; they are audited.
_OVERREACH = frozenset({"role", "foreign"})
_SIGNATURE = 8
_ROUNDS = 2


@dataclass(frozen=True)
class Incoming:
    """A push at the door, and what is needed to answer it on its channel."""

    account_id: int
    push: Push = field(repr=False)
    write_reply: Callable[[str], bytes]
    split: Callable[[str, int], list[str]]
    link_for: Callable[[int], LinkMaker]


@dataclass(frozen=True)
class Taken:
    """What to answer: the finished plain reply, or None for a bare `success`. `rides`: deliveries went along with it."""

    inbox_id: int
    reply: bytes | None = field(repr=False)
    rides: bool = False


def take(tx: Tx, tools: Tools, incoming: Incoming) -> Taken:
    """Handle a push in the caller's transaction. A repeat gets the stored reply and changes nothing."""
    push, now = incoming.push, clock.now()
    inbox_id = ids.new_id()
    fresh = upsert(tx, InboxItem).values(
        id=inbox_id,
        account_id=incoming.account_id,
        dedupe_key=push.dedupe_key,
        content_hash=_mark(tools, push),
        kind=push.kind.value,
        sent_at=push.sent_at,
        received_at=now,
    )
    once = fresh.on_conflict_do_nothing(index_elements=["account_id", "dedupe_key"]).returning(InboxItem.id)
    if tx.execute(once).first() is None:  # not by rowcount: of an INSERT psycopg keeps none
        return _repeat(tx, tools, incoming, now)
    if push.note is not None:
        audit.alarm(tx, now, "odd_push", push.note)
    if push.kind is PushKind.RECEIPT and push.msgid is not None:
        results.receipt(tx, incoming.account_id, push.msgid, push.value, now)
    if push.kind in (PushKind.RECEIPT, PushKind.IGNORED) or not push.openid:
        return Taken(inbox_id, None)
    return _from_person(tx, tools, incoming, inbox_id, now)


def _mark(tools: Tools, push: Push) -> bytes:
    """By which the same content is recognised: keyed, so that nobody can guess short words from a stolen database."""
    return tools.keyring.vault.index("content", push.content_hash.hex())


def quarantine(tx: Tx, tools: Tools, account_id: int, reason: str, raw: bytes, now: datetime, person_id: int | None = None) -> None:
    """Keep a push that could not be handled, sealed, and tell the operators. `person_id`: whose it is, as far as that is known."""
    row_id = ids.new_id()
    key_id = tx.execute(sa.select(Account.data_key_id).where(Account.id == account_id)).scalar_one()
    sealed = tools.keyring.open(tx, key_id).seal(Place("quarantine", "raw_sealed", row_id), raw)
    tx.execute(
        sa.insert(Quarantined).values(
            id=row_id, account_id=account_id, person_id=person_id, reason=reason[:60], raw_sealed=sealed, received_at=now
        )
    )
    audit.alarm(tx, now, "quarantine", reason[:60])


def sign_choice(vault: Vault, person_id: int, choice: str) -> str:
    """A choice's id as it goes over the wire, bound to the person who may tap it."""
    return f"{choice}~{vault.sign('choice', f'{person_id}.{choice}', _SIGNATURE)}"


def _repeat(tx: Tx, tools: Tools, incoming: Incoming, now: datetime) -> Taken:
    push = incoming.push
    row = tx.execute(
        sa.select(InboxItem.id, InboxItem.person_id, InboxItem.content_hash, InboxItem.received_at, InboxItem.reply_sealed).where(
            InboxItem.account_id == incoming.account_id, InboxItem.dedupe_key == push.dedupe_key
        )
    ).one()
    if row.content_hash != _mark(tools, push):
        quarantine(tx, tools, incoming.account_id, "same key, other content", push.raw, now, row.person_id)
        return Taken(row.id, None)
    if row.reply_sealed is None or now - row.received_at > REPLY_SERVED:
        return Taken(row.id, None)
    known = people.meet(tx, tools.keyring, incoming.account_id, push.openid, now)
    try:
        return Taken(row.id, known.key.unseal_bytes(Place("inbox", "reply_sealed", row.id), row.reply_sealed), rides=True)
    except Unreadable:
        return Taken(row.id, None)


def _from_person(tx: Tx, tools: Tools, incoming: Incoming, inbox_id: int, now: datetime) -> Taken:
    push = incoming.push
    known = people.meet(tx, tools.keyring, incoming.account_id, push.openid, now, lock=True)
    tx.execute(sa.update(InboxItem).where(InboxItem.id == inbox_id).values(person_id=known.id))
    if push.kind is PushKind.LEFT:
        people.left(tx, known, now)
        return Taken(inbox_id, None)
    if push.kind is PushKind.FOLLOWED or not known.following:
        people.came(tx, known, push.openid, now)
    event = _event(tools.keyring.vault, known.id, push)
    traffic = _note_traffic(tx, tools, known, push.kind, now)
    said = push.value if push.kind in (PushKind.WROTE, PushKind.TAPPED) else ""
    situation = Situation(incoming.account_id, known, people.view(tx, known), inbox_id, now, said)
    return _Exchange(tx, tools, incoming, situation).answer(event, traffic)


def _event(vault: Vault, person_id: int, push: Push) -> Event:
    match push.kind:
        case PushKind.TAPPED:
            return Tapped(_verified(vault, person_id, push.choice or ""), push.value)
        case PushKind.PRESSED:
            return Pressed(push.value)
        case PushKind.SCANNED:
            return Scanned(push.value)
        case PushKind.FOLLOWED:
            return Followed(push.value or None)
        case PushKind.WROTE:
            return Wrote(push.value)
        case _:
            return Sent(push.value)


def _verified(vault: Vault, person_id: int, wired: str) -> str:
    """The choice behind a tapped id; empty where it was not made for this person: its words must not pass for typed ones (F5, F8)."""
    choice, _, signature = wired.rpartition("~")
    return choice if choice and vault.signed("choice", f"{person_id}.{choice}", signature, _SIGNATURE) else ""


def _note_traffic(tx: Tx, tools: Tools, known: Known, kind: PushKind, now: datetime) -> Traffic:
    """Write down what this action allows us (platform reference, section 4.1)."""
    typed = kind in (PushKind.WROTE, PushKind.SENT) or (kind is PushKind.TAPPED and tools.tapped_opens_window)
    held = sa.select(*Allowance.__table__.columns).where(Allowance.identity_id == known.identity_id)
    row = tx.execute(held.with_for_update()).one()  # a claim may be spending from it just now
    before = Traffic(True, row.typed_until, row.typed_left, row.tapped_until, row.tapped_left)
    traffic = reach.after(tools.rules, before, Action.TYPED if typed else Action.TAPPED, now)
    tx.execute(
        sa.update(Allowance)
        .where(Allowance.identity_id == known.identity_id)
        .values(
            typed_until=traffic.typed_until,
            typed_left=traffic.typed_left,
            tapped_until=traffic.tapped_until,
            tapped_left=traffic.tapped_left,
        )
    )
    tx.execute(  # whoever writes to us can be written to, whatever the platform said before
        sa.update(Identity).where(Identity.id == known.identity_id, Identity.unreachable_code.is_not(None)).values(unreachable_code=None)
    )
    return traffic


@dataclass(frozen=True)
class _Memory:
    """What one bot remembers; `open`: it waits for an answer."""

    bot: str
    memory: dict[str, Any]
    open: bool


@dataclass(frozen=True)
class _Floor:
    """What the bots remember, in the order in which they last spoke."""

    id: int
    memories: tuple[_Memory, ...]
    recent: dict[str, Any]

    @property
    def holder(self) -> str | None:
        return next((each.bot for each in reversed(self.memories) if each.open), None)

    def memory(self, bot: str) -> dict[str, Any] | None:
        return next((each.memory for each in self.memories if each.bot == bot), None)

    def after(self, bot: str, answer: Answer) -> tuple[_Memory, ...]:
        rest = tuple(each for each in self.memories if each.bot != bot)
        return rest if answer.memory is None else (*rest, _Memory(bot, dict(answer.memory), answer.open))


@dataclass(frozen=True)
class _Said:
    """What a bot said and what is remembered after it. `grave`: it was about danger."""

    bot: str
    messages: list[Message]
    memories: tuple[_Memory, ...]
    grave: bool = False


class _Exchange:
    """One turn of one person, from the event to the finished reply."""

    def __init__(self, tx: Tx, tools: Tools, incoming: Incoming, situation: Situation) -> None:
        self._tx = tx
        self._tools = tools
        self._incoming = incoming
        self._at = situation

    def answer(self, event: Event, traffic: Traffic) -> Taken:
        """The finished reply, with what waited riding along where no dialogue is open."""
        floor = self._floor()
        flooded, recent = self._flood(floor.recent)
        said = self._converse(event, floor, only_safety=flooded)
        text = "\n\n".join(render(message, self._incoming.link_for(self._at.known.id)) for message in said.messages)
        echo = bool(text) and self._echo(recent, event, text, said.bot)
        if echo:
            text = ""
        # Nothing goes along with an answer that is not given, nor with help for somebody in danger.
        text, rides = self._with_what_waited(text, busy=_open(said.memories), traffic=traffic, silent=flooded or echo or said.grave)
        text = self._first_part(text)
        self._remember(floor, said.memories, recent)
        return self._finish(text, said.bot, rides=rides)

    def _converse(self, event: Event, floor: _Floor, *, only_safety: bool) -> "_Said":
        turn = Turn(event, self._at.person, self._at.now, seed=self._at.inbox_id & 0xFFFF)
        try:
            bot = who_answers(list(self._tools.bots.values()), turn, floor.holder)
            if only_safety and bot.name != FIRST:
                return _Said(bot.name, [], floor.memories)
            turn = replace(turn, memory=floor.memory(bot.name), holds_floor=floor.holder == bot.name)
            with self._tx.begin_nested():
                answer, messages = self._ask_and_apply(bot, turn)
        except (IntegrityError, InterfaceError, OperationalError):
            raise  # a race, or the database is away: the whole push is tried again
        except Exception as bug:  # noqa: BLE001 - the first of the two places where a bug is survived
            return self._survive(bug, floor)
        grave = any(isinstance(effect, RaiseFlag) for effect in answer.effects)
        return _Said(bot.name, messages, floor.after(bot.name, answer), grave)

    def _ask_and_apply(self, bot: Bot, turn: Turn) -> tuple[Answer, list[Message]]:
        answer = self._ask(bot, turn)
        try:
            with self._tx.begin_nested():
                return answer, effects.apply(self._tx, self._tools, self._at, answer.effects)
        except Refused as refusal:
            if refusal.code in _OVERREACH:  # written here: what the effect itself wrote was undone with it
                audit.record(self._tx, self._at.now, f"person:{self._at.known.id}", "effect.refused", f"bot:{bot.name}", code=refusal.code)
            answer = self._ask(bot, replace(turn, refusal=refusal.code))
            with self._tx.begin_nested():
                return answer, effects.apply(self._tx, self._tools, self._at, answer.effects)

    def _ask(self, bot: Bot, turn: Turn) -> Answer:
        known = Facts()
        for _ in range(_ROUNDS + 1):
            answer = bot.answer(replace(turn, facts=known))
            if not isinstance(answer, Need):
                return answer
            known = facts.load(self._tx, self._tools, self._at, known, answer.requests)
        raise RecursionError(f"{bot.name} asked for facts more than {_ROUNDS} times")

    def _survive(self, bug: Exception, floor: _Floor) -> "_Said":
        """One neutral sentence to the person, one alarm to us, the event quarantined; the floor is as it was."""
        log.error("bot_failed", kind=type(bug).__name__, where=place_of(bug))
        audit.alarm(self._tx, self._at.now, "bot_failed", type(bug).__name__)
        raw = self._incoming.push.raw
        quarantine(self._tx, self._tools, self._at.account_id, f"bot: {type(bug).__name__}", raw, self._at.now, self._at.known.id)
        words = self._tools.words.fill("neutral.trouble", self._at.known.language)
        return _Said("", [Message(words)], floor.memories)

    def _with_what_waited(self, text: str, *, busy: bool, traffic: Traffic, silent: bool) -> tuple[str, bool]:
        waiting = 0 if silent else riding.waiting(self._tx, self._at.known.id, self._at.account_id, self._at.now)
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
            allowance, _ = reach.left(self._tools.rules, traffic, self._at.now)
            riding.release(self._tx, self._at.known.id, self._at.account_id, allowance, self._at.now)
        return "\n\n".join(part for part in (text, *aboard.texts) if part), bool(aboard.texts)

    def _finish(self, text: str, bot: str, *, rides: bool) -> Taken:
        reply = self._incoming.write_reply(text) if text else None
        sealed = None if reply is None else self._at.known.key.seal(Place("inbox", "reply_sealed", self._at.inbox_id), reply)
        self._tx.execute(sa.update(InboxItem).where(InboxItem.id == self._at.inbox_id).values(reply_sealed=sealed, bot=bot or None))
        return Taken(self._at.inbox_id, reply, rides)

    def _first_part(self, text: str) -> str:
        """What fits into one reply; the rest follows as a message of its own, right after it."""
        if len(text.encode()) <= self._tools.rules.most_bytes:
            return text
        first, *rest = self._incoming.split(text, self._tools.rules.most_bytes)
        for part in rest:
            draft = Draft(
                account_id=self._at.account_id,
                key_id=self._at.known.key.id,
                bot="announcement",
                kind=OccasionKind.CONTINUATION,
                details={"text": Words(part)},
                priority=broadcasts.ANSWER,
                urgent=True,
                stale_at=self._at.now + timedelta(days=1),
            )
            broadcasts.send_to(self._tx, self._tools.keyring, draft, [self._at.known.id], self._at.now)
        return first

    def _floor(self) -> _Floor:
        row = self._tx.execute(
            sa.select(Conversation.id, Conversation.floor_sealed, Conversation.recent).where(
                Conversation.person_id == self._at.known.id, Conversation.account_id == self._at.account_id
            )
        ).one_or_none()
        if row is None:
            return _Floor(0, (), {})
        return _Floor(row.id, self._read(row.id, row.floor_sealed), dict(row.recent))

    def _read(self, row_id: int, sealed: bytes | None) -> tuple[_Memory, ...]:
        """The memories; what cannot be read is as if there were none."""
        if sealed is None:
            return ()
        try:
            stored = json.loads(self._at.known.key.unseal(Place("conversations", "floor_sealed", row_id), sealed))
            return tuple(_Memory(str(bot), dict(memory), bool(waits)) for bot, memory, waits in stored if bot in self._tools.bots)
        except (Unreadable, ValueError, TypeError):
            return ()

    def _remember(self, floor: _Floor, memories: tuple[_Memory, ...], recent: dict[str, Any]) -> None:
        row_id = floor.id or ids.new_id()
        stored = json.dumps([(each.bot, each.memory, each.open) for each in memories], ensure_ascii=False)
        sealed = self._at.known.key.seal(Place("conversations", "floor_sealed", row_id), stored) if memories else None
        values = {"floor_sealed": sealed, "busy": _open(memories), "recent": recent, "changed_at": self._at.now}
        if floor.id:
            self._tx.execute(sa.update(Conversation).where(Conversation.id == row_id).values(**values))
        else:
            keys = {"id": row_id, "person_id": self._at.known.id, "account_id": self._at.account_id}
            self._tx.execute(sa.insert(Conversation).values(**keys, **values))

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


def _open(memories: tuple[_Memory, ...]) -> bool:
    return any(each.open for each in memories)


def _moment(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
