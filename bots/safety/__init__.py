"""Safety, asked first in every state: hides what stop, resume, withdraw, help and words of crisis look like, and what follows.

It takes the turn only when it recognises something, or when its own question (how to withdraw) is open. Crisis words are answered at
once with people to talk to, and raise a flag in the same answer; what other bots have open stays as it was.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bots.choices import pick
from bots.clipping import clip, size
from bots.effects import AcknowledgeFlag, Answer, Choice, Effect, Message, Pause, RaiseFlag, Resume, Say, Withdraw
from bots.facts import CourseResources, Need
from bots.safety.labels import label_in
from bots.safety.phrases import Phrases, load_phrases, plain
from bots.safety.resources import shipped_resources
from bots.texts import MOST_BYTES, TextError, Texts, Words, inert
from bots.turns import Event, Occasion, OccasionKind, Pressed, Role, Tapped, Turn, Wrote

#: How long a typed answer to the question about withdrawing counts; later the question is put again.
_FRESH_SECONDS = 24 * 3600
_STAFF = frozenset({Role.LEADER, Role.ASSISTANT, Role.ADMINISTRATOR})
_DECISIONS = ("leave", "erase", "stay")
_ENTRIES = frozenset({"help", "stop", "resume", "withdraw", "take", *_DECISIONS})
_TAKE = re.compile(r"(.{1,20}?)\s*[#:：]?\s*([0-9]{1,19})")
#: Flags are numbered from 1; what is longer is a slip (and no number that a row could hold).
_NUMBER = re.compile(r"[0-9]{1,9}")


def create(texts: Texts) -> "Safety":
    """The safety bot with these words. Raises `TextError` where a rule has no label or a list does not fit."""
    folder = Path(__file__).parent
    return Safety(texts, load_phrases(folder / "phrases.toml"), shipped_resources())


@dataclass(frozen=True)
class _Heard:
    """What the person wants from this bot; `argument` is the rule, the flag's number, or the stamp of the question."""

    what: str
    argument: str = ""


@dataclass(frozen=True)
class _Question:
    """The open question how to withdraw: when it was asked, and what was so before it."""

    asked: int
    was_paused: bool
    repeated: bool = False

    def memory(self) -> dict[str, Any]:
        return {"v": 1, "asked": self.asked, "was_paused": self.was_paused, "repeated": self.repeated}


class Safety:
    """Stops, resumes, withdraws, helps; sees words of crisis."""

    def __init__(self, texts: Texts, phrases: Phrases, resources: Mapping[str, Words]) -> None:
        self.name = "safety"
        self._texts = texts
        self._phrases = phrases
        self._resources = resources
        if missing := sorted(name for name in phrases.rule_names() if f"rule.{name}" not in texts.keys()):  # noqa: SIM118 - no mapping
            raise TextError(f"safety/phrases.toml: the rules {', '.join(missing)} have no label under [rule] in the texts; add one.")

    def wants(self, turn: Turn) -> bool:
        """Whether these words, this tap or this menu entry are for this bot."""
        return self._hear(turn) is not None

    def answer(self, turn: Turn) -> Answer | Need:
        """What to do about what was heard. Needs the course's help lines for crisis and help only."""
        heard = self._hear(turn)
        if heard is None:
            return self._unanswered(turn)
        if heard.what in ("crisis", "help"):
            return self._with_lines(turn, heard)
        if heard.what == "take":
            return self._take(turn, heard.argument)
        if heard.what in _DECISIONS:
            return self._decide(turn, heard)
        return {"stop": self._stop, "resume": self._resume, "withdraw": self._withdraw}[heard.what](turn)

    def compose(self, occasion: Occasion) -> Message:
        """The alert to an on-call person.

        Details: `flag` (its short number), `course` and `person` (their names, str or None), `rule` (a rule's name), `at` (aware datetime),
        `step` (int, from 1).
        """
        if occasion.kind is not OccasionKind.ALERT:
            raise LookupError(f"The safety bot has no words for {occasion.kind}.")
        language, details = occasion.language, occasion.details
        words = self._texts.fill(
            "alert.words",
            language,
            occasion.zone,
            course=clip(inert(details.get("course") or "") or self._texts.fill("alert.courseless", language), 200),
            name=clip(inert(details.get("person") or "") or self._texts.fill("alert.nameless", language), 120),
            rule=label_in(self._texts, details["rule"], language),
            at=details["at"],
            flag=details["flag"],
            step=details["step"],
        )
        return Message(words, (Choice(f"safety.take.{details['flag']}", self._texts.fill("choice.take", language)),))

    def _hear(self, turn: Turn) -> _Heard | None:
        found = self._phrases.crisis(turn.words()) if turn.words() else None
        if found:
            return _Heard("crisis", found.rule)
        if isinstance(turn.event, Wrote):
            return self._hear_words(turn, turn.event.text)
        return _entry(turn.event)

    def _hear_words(self, turn: Turn, text: str) -> _Heard | None:
        if self._phrases.says("resume", text):
            return _Heard("resume") if turn.person.paused else None
        for what in ("stop", "withdraw", "help"):
            if self._phrases.says(what, text):
                return None if what == "stop" and turn.holds_floor else _Heard(what)
        if self._phrases.says("leave", text) and turn.person.memberships:
            return _Heard("withdraw")
        return self._hear_take(text) or (self._hear_decision(turn, text) if turn.holds_floor else None)

    def _hear_take(self, text: str) -> _Heard | None:
        if self._phrases.says("take", text) and plain(text) != "take":
            return _Heard("take")
        typed = _TAKE.fullmatch(plain(text))
        return _Heard("take", typed.group(2)) if typed and self._phrases.says("take", typed.group(1)) else None

    def _hear_decision(self, turn: Turn, text: str) -> _Heard | None:
        chosen = pick(text, self._decisions(turn, 0))
        question = _question(turn)
        if chosen is None:
            return None
        return _Heard(chosen.id.split(".")[1], str(question.asked) if question else "")

    def _with_lines(self, turn: Turn, heard: _Heard) -> Answer | Need:
        lines = turn.facts.get(CourseResources())
        if lines is None:
            return Need(CourseResources())
        if heard.what == "crisis":
            return Answer((self._crisis(turn, lines), RaiseFlag(heard.argument)))
        return Answer((self._help(turn, lines),), turn.memory if turn.holds_floor else None)

    def _crisis(self, turn: Turn, lines: str) -> Say:
        after = Words(f"\n\n{self._say(turn, 'crisis.staff')}") if turn.person.roles() & _STAFF else Words("")
        return Say(Message(Words(self._around(turn, "crisis.words", lines, size(after)) + after)))

    def _help(self, turn: Turn, lines: str) -> Say:
        own = ("help.staff",) if turn.person.roles() & _STAFF else ()
        keys = ("help.head", *own, "help.member") if turn.person.memberships else ("help.stranger",)
        above = Words("\n".join(self._say(turn, key) for key in keys))
        return Say(Message(Words(f"{above}\n\n{self._around(turn, 'help.lines', lines, size(above) + 2)}")))

    def _around(self, turn: Turn, key: str, lines: str, taken: int) -> Words:
        """The words with the help lines in them, the course's own where it has some, clipped to what one message holds."""
        shown = inert(lines.strip()) or self._resources.get(turn.person.language, self._resources["zh"])
        most = MOST_BYTES - taken - size(self._texts.fill(key, turn.person.language, resources=""))
        return self._texts.fill(key, turn.person.language, resources=clip(shown, most))

    def _stop(self, turn: Turn) -> Answer:
        choices = tuple(Choice(f"safety.{what}", self._say(turn, f"choice.{what}")) for what in ("resume", "withdraw"))
        words = self._say(turn, "stop.again" if turn.person.paused else "stop.done")
        return Answer((Pause(), Say(Message(words, choices))))

    def _resume(self, turn: Turn) -> Answer:
        if not turn.person.paused:
            return Answer((Say(Message(self._say(turn, "resume.running"))),))
        return Answer((Resume(), Say(Message(self._say(turn, "resume.done")))))

    def _withdraw(self, turn: Turn) -> Answer:
        open_question = _question(turn)
        was_paused = open_question.was_paused if open_question else turn.person.paused
        return self._ask(turn, "withdraw.question", _Question(_stamp(turn), was_paused), Pause())

    def _ask(self, turn: Turn, key: str, question: _Question, *before: Effect) -> Answer:
        message = Message(self._say(turn, key), self._decisions(turn, question.asked))
        return Answer((*before, Say(message)), question.memory())

    def _decisions(self, turn: Turn, stamp: int) -> tuple[Choice, ...]:
        return tuple(Choice(f"safety.{what}.{stamp}", self._say(turn, f"choice.{what}"), _ACCEPTS[what]) for what in _DECISIONS)

    def _decide(self, turn: Turn, heard: _Heard) -> Answer:
        question = _question(turn)
        if question is None or heard.argument != str(question.asked) or _stamp(turn) - question.asked > _FRESH_SECONDS:
            was_paused = question.was_paused if question else turn.person.paused
            return self._ask(turn, "withdraw.late", _Question(_stamp(turn), was_paused))
        if heard.what == "stay":
            return self._stay(turn, question)
        erase = heard.what == "erase"
        words = self._say(turn, "withdraw.erased" if erase else "withdraw.left")
        return Answer((Withdraw(erase_answers=erase), Say(Message(words))))

    def _stay(self, turn: Turn, question: _Question) -> Answer:
        if question.was_paused:
            return Answer((Say(Message(self._say(turn, "withdraw.stayed_paused"))),))
        return Answer((Resume(), Say(Message(self._say(turn, "withdraw.stayed")))))

    def _unanswered(self, turn: Turn) -> Answer:
        question = _question(turn)
        if question is None or question.repeated:
            return Answer((Say(Message(self._say(turn, "withdraw.dropped"))),))
        return self._ask(turn, "withdraw.again", _Question(question.asked, question.was_paused, repeated=True))

    def _take(self, turn: Turn, number: str) -> Answer:
        keep = turn.memory if turn.holds_floor else None
        if turn.refusal is not None:
            return Answer((Say(Message(self._say(turn, "take.taken" if turn.refusal == "taken" else "take.foreign"))),), keep)
        if not _NUMBER.fullmatch(number):
            return Answer((Say(Message(self._say(turn, "take.number"))),), keep)
        return Answer((AcknowledgeFlag(int(number)), Say(Message(self._say(turn, "take.done")))), keep)

    def _say(self, turn: Turn, key: str) -> Words:
        return self._texts.fill(key, turn.person.language)


_ACCEPTS = {
    "leave": ("退出", "只退", "只退出课程", "保留", "留下答案", "退出不删除", "leave only", "stop only", "just leave", "keep my answers"),
    "erase": ("删除", "退出删除", "退出和删除", "删除答案", "全部删除", "delete", "erase", "stop and delete", "delete my answers"),
    "stay": ("不退出", "不退了", "算了", "不退", "取消", "留下", "继续", "never mind", "nevermind", "cancel", "no", "i stay", "continue"),
}


def _entry(event: Event) -> _Heard | None:
    """What a tap or a menu entry of ours means; an entry that we do not know gives help."""
    key = event.choice if isinstance(event, Tapped) else event.key if isinstance(event, Pressed) else ""
    name, _, rest = key.partition(".")
    what, _, argument = rest.partition(".")
    if name != "safety":
        return None
    return _Heard(what, argument) if what in _ENTRIES else _Heard("help")


def _question(turn: Turn) -> _Question | None:
    """The question that is open, or None where there is none or the memory cannot be read."""
    match turn.memory:
        case {"v": 1, "asked": int(asked), "was_paused": bool(was_paused), "repeated": bool(repeated)}:
            return _Question(asked, was_paused, repeated)
    return None


def _stamp(turn: Turn) -> int:
    return int(turn.now.timestamp())
