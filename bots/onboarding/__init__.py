"""Onboarding: hides the way from a scan or a code to a seat in a group, one question at a time.

Every code and every scan is handled here. A participant is welcomed, reads the consent, makes the two ticks of inclusion and gives a course
name; staff confirm their role. Nothing is stored before the last answer: then consent, name, screening and membership go together.
"""

from bots.choices import normal, pick
from bots.effects import Answer, CountGuess, Effect, Message, Say, Screen, SetLanguage
from bots.facts import Invitation, InvitationFound, InvitationState, Need
from bots.onboarding import steps
from bots.onboarding.codes import typed_code, wants_to_join
from bots.onboarding.names import course_name
from bots.onboarding.steps import Place
from bots.onboarding.voice import Voice, seated
from bots.scans import is_gathering_code
from bots.texts import LANGUAGES, Texts, Words
from bots.turns import Followed, Occasion, OccasionKind, Pressed, Scanned, Sent, Tapped, Turn, Wrote, browser_code

_LANGUAGES = {"english": "en", "in english": "en", "英文": "en", "英语": "en", "切换英文": "en"} | dict.fromkeys(
    ("中文", "汉语", "chinese", "in chinese", "切换中文", "简体中文"), "zh"
)
_BACK = frozenset({"返回", "上一步", "退回", "后退", "回到上一步", "back", "go back"})
_CANCEL = frozenset({"取消", "退出", "算了", "不加入了", "先不加入", "cancel", "quit", "exit", "not now"})
_WHY = {"declined": "declined", "no_questionnaires": "no questionnaires", "no_time": "no time"}
_STATES = {
    InvitationState.FULL: "code.full",
    InvitationState.CLOSED: "code.closed",
    InvitationState.JOINED: "code.joined",
    InvitationState.ELSEWHERE: "code.elsewhere",
    InvitationState.USED: "code.stale",
    InvitationState.EXPIRED: "code.stale",
    InvitationState.UNKNOWN: "code.stale",
}
_REFUSALS = frozenset({"full", "closed", "used", "expired", "joined", "elsewhere", "consent"})


def create(texts: Texts) -> "Onboarding":
    """The onboarding bot with these words."""
    return Onboarding(texts)


class Onboarding:
    """Welcomes, asks, and lets people into their group."""

    def __init__(self, texts: Texts) -> None:
        self.name = "onboarding"
        self._texts = texts

    def wants(self, turn: Turn) -> bool:
        """Whether this is a follow, a scan, a code, a wish to join or to change the language, or a tap or menu entry of ours."""
        match turn.event:
            case Followed() | Scanned():
                return browser_code(turn.event) is None and (_is_stranger(turn) or not is_gathering_code(turn.event))
            case Tapped(choice=key) | Pressed(key=key):
                return key.partition(".")[0] == self.name
            case Wrote(text=text):
                return normal(text) in _LANGUAGES or wants_to_join(text) or typed_code(text, stranger=_is_stranger(turn)) is not None
        return False

    def answer(self, turn: Turn) -> Answer | Need:
        """The next question, the last confirmation, or why it does not go on. Needs the invitation, nothing else."""
        voice = Voice(self._texts, turn, turn.person.language)
        place = steps.remembered(turn.memory)
        if turn.refusal is not None:
            return self._refused(voice, place)
        if code := _scanned(turn):
            return self._open(voice, code, place)
        if isinstance(turn.event, Tapped):
            return self._tapped(voice, turn.event.choice, place)
        if isinstance(turn.event, Wrote):
            return self._wrote(voice, turn.event.text, place)
        if place is not None:
            return self._go_on(voice, place, voice.say("unclear.picture" if isinstance(turn.event, Sent) else "again.words"))
        return _only(voice.where() if isinstance(turn.event, Pressed) else voice.greeting())

    def compose(self, occasion: Occasion) -> Message:
        """That the course team gave somebody a seat, in the words of joining; onboarding speaks first of nothing else: `LookupError`."""
        if occasion.kind is not OccasionKind.SEAT:
            raise LookupError(f"The onboarding bot has no words for {occasion.kind}.")
        return Message(seated(self._texts, occasion))

    # --- what came in

    def _wrote(self, voice: Voice, text: str, place: Place | None) -> Answer | Need:
        if (language := _LANGUAGES.get(normal(text))) is not None:
            return self._switch(voice, language, place)
        stranger = _is_stranger(voice.turn) and place is None
        if (code := typed_code(text, stranger=stranger)) is not None and not (place and place.step == "name" and code.isalpha()):
            return self._open(voice, code, place, source="code")
        if place is not None:
            return self._replied(voice, text, place)
        return _only(Message(voice.say("code.ask"))) if wants_to_join(text) else _only(voice.where())

    def _replied(self, voice: Voice, text: str, place: Place) -> Answer | Need:
        """Words that were typed while a question of ours is open."""
        if normal(text) in _CANCEL:
            return _only(Message(voice.say("leave.cancelled")))
        found = self._invitation(voice, place)
        if not isinstance(found, InvitationFound):
            return found
        if normal(text) in _BACK:
            return self._show(voice, found, steps.before(place))
        chosen = pick(text, voice.question(found, place).choices)
        if chosen is not None:
            return self._chose(voice, found, place, chosen.id.split(".")[2])
        return (
            self._named(voice, found, place, text) if place.step == "name" else self._show(voice, found, place, voice.say("unclear.words"))
        )

    def _tapped(self, voice: Voice, choice: str, place: Place | None) -> Answer | Need:
        step, answer, code, mark = (*choice.split(".")[1:], "", "", "", "")[:4]
        if step == "language":
            return self._switch(voice, answer, place)
        if place is None:
            return self._open(voice, code, None, source="code" if mark else "qr") if code else _only(voice.where())
        if (step, code) != (place.step, place.code):
            return self._go_on(voice, place, voice.say("late.words"))
        found = self._invitation(voice, place)
        if not isinstance(found, InvitationFound):
            return found
        if [step, answer] not in [each.id.split(".")[1:3] for each in voice.question(found, place).choices]:
            return self._show(voice, found, place, voice.say("late.words"))
        return self._chose(voice, found, place, answer)

    def _switch(self, voice: Voice, language: str, place: Place | None) -> Answer | Need:
        """From now on the other language. A consent that is being read begins again: its words were loaded in the old one."""
        if language not in LANGUAGES:
            return _only(voice.where())
        other = Voice(self._texts, voice.turn, language)
        done = other.say("language.done")
        if place is None:
            words = Message(Words(f"{done}\n\n{other.greeting().text}")) if _is_stranger(voice.turn) else Message(done)
            return Answer((SetLanguage(language), Say(words)))
        start = place.afresh("welcome") if place.step == "consent" else place
        shown = self._go_on(other, start, done)
        return shown if isinstance(shown, Need) else Answer((SetLanguage(language), *shown.effects), shown.memory)

    # --- where a code leads

    def _open(self, voice: Voice, code: str, place: Place | None, *, source: str = "qr") -> Answer | Need:
        found = voice.turn.facts.get(Invitation(code))
        if found is None:
            return Need(Invitation(code))
        if found.state is not InvitationState.OPEN:
            return self._closed(voice, found, place, typed=isinstance(voice.turn.event, Wrote))
        if place is not None and place.code == found.code:
            return self._show(voice, found, place, voice.say("again.words"))
        return self._show(voice, found, Place("welcome" if found.role == "participant" else "staff", found.code, source=source))

    def _closed(self, voice: Voice, found: InvitationFound, place: Place | None = None, *, typed: bool = False) -> Answer:
        """Why a code leads nowhere. Of typed codes nobody learns whether they ever existed (bad-inputs.md E17)."""
        keep = place.memory() if place else None
        nowhere = found.state in (InvitationState.UNKNOWN, InvitationState.USED, InvitationState.EXPIRED)
        if found.state is InvitationState.GUESSING or (nowhere and typed):
            guess: tuple[Effect, ...] = (CountGuess(),) if nowhere else ()
            return Answer((*guess, Say(Message(voice.say("code.unknown")))), keep)
        return Answer((Say(Message(voice.say(_STATES[found.state], **voice.group(found, _STATES[found.state])))),), keep)

    def _go_on(self, voice: Voice, place: Place, lead: Words) -> Answer | Need:
        """The question that is open, again, with a word in front."""
        found = self._invitation(voice, place)
        return self._show(voice, found, place, lead) if isinstance(found, InvitationFound) else found

    def _invitation(self, voice: Voice, place: Place) -> InvitationFound | Answer | Need:
        """The open invitation that the dialogue is about; else what to answer instead."""
        found = voice.turn.facts.get(Invitation(place.code))
        if found is None:
            return Need(Invitation(place.code))
        return found if found.state is InvitationState.OPEN else self._closed(voice, found)

    def _show(self, voice: Voice, found: InvitationFound, place: Place, lead: Words | None = None) -> Answer:
        if place.step == "consent":
            place = steps.reading(place, steps.version(found))
        return Answer((Say(voice.question(found, place, lead)),), place.memory())

    # --- what was answered

    def _chose(self, voice: Voice, found: InvitationFound, place: Place, answer: str) -> Answer:
        if place.step == "name":
            return self._finish(voice, found, place, voice.known_name(found))
        if place.step == "staff" and answer == "yes" and voice.turn.person.name:
            return self._finish(voice, found, place, None)
        if place.step == "consent" and answer != "later" and place.version != steps.version(found):
            return self._show(voice, found, place.afresh("consent"), voice.say("consent.changed"))
        following = steps.after(place, answer)
        return self._show(voice, found, following) if isinstance(following, Place) else self._end(voice, found, place, following)

    def _end(self, voice: Voice, found: InvitationFound, place: Place, how: str) -> Answer:
        """The way ends here, kindly; what the flow chart needs is recorded."""
        words = Say(Message(voice.say("staff.declined" if how == "not_staff" else f"leave.{how}")))
        if how not in _WHY:
            return Answer((words,))
        return Answer((Screen(found.course, included=False, why=_WHY[how], source=steps.source(found, place)), words))

    def _named(self, voice: Voice, found: InvitationFound, place: Place, text: str) -> Answer:
        name, wrong = course_name(text)
        if wrong:
            message = Message(voice.say(f"name.{wrong}"), voice.question(found, place).choices)
            return Answer((Say(message),), place.memory())
        return self._finish(voice, found, place, name)

    def _finish(self, voice: Voice, found: InvitationFound, place: Place, name: str | None) -> Answer:
        if found.role == "participant" and place.version != steps.version(found):
            return self._show(voice, found, place.afresh("consent"), voice.say("consent.changed"))
        effects = steps.joining(found, place, name, paused=voice.turn.person.paused)
        return Answer((*effects, Say(voice.confirmation(found, name or voice.turn.person.name or ""))))

    def _refused(self, voice: Voice, place: Place | None) -> Answer | Need:
        """The application did not let this person in after all: why, and what they can do."""
        if place is None:
            return _only(Message(voice.say("refused.other")))
        found = voice.turn.facts.get(Invitation(place.code))
        if found is None:
            return Need(Invitation(place.code))
        refusal = voice.turn.refusal if voice.turn.refusal in _REFUSALS else "other"
        if refusal == "consent":
            return self._show(voice, found, place.afresh("consent"), voice.say("refused.consent"))
        gaps = voice.group(found, f"refused.{refusal}")
        if "" in gaps.values():
            return _only(Message(voice.say("refused.other")))
        return _only(Message(voice.say(f"refused.{refusal}", **gaps)))


def _scanned(turn: Turn) -> str:
    """The invitation that came with a scan or a follow; empty for everything else, the code of a gathering too."""
    if not isinstance(turn.event, Followed | Scanned) or is_gathering_code(turn.event):
        return ""
    return (turn.event.code or "").strip()


def _is_stranger(turn: Turn) -> bool:
    return not turn.person.roles()


def _only(message: Message) -> Answer:
    return Answer((Say(message),))
