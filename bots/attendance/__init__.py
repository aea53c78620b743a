"""Attendance: who comes signs in, staff take the roll of their group, a missed class can be made up, everybody sees what is theirs."""

from bots.attendance import rolls, signing, voice
from bots.attendance.commands import Command, is_shared, read_own, read_staff
from bots.attendance.register import MyAttendance
from bots.attendance.voice import Voice
from bots.choices import number_of
from bots.effects import Answer, Message, Say, SettleMakeUp
from bots.facts import Need
from bots.scans import is_gathering_code, scanned_gathering
from bots.texts import Texts
from bots.turns import Followed, Occasion, OccasionKind, Pressed, Role, Scanned, Tapped, Turn, Wrote

_REFUSALS = frozenset(("role", "foreign", "early", "closed", "gone", "city"))
#: Entries of the account's menu, by their keys.
_MENU = {"attendance.sign_in": "sign_in", "attendance.mine": "mine", "attendance.roll": "roll", "attendance.grid": "grid"}


def create(texts: Texts) -> "AttendanceBot":
    """The bot with these words."""
    return AttendanceBot(texts)


class AttendanceBot:
    """Hears who is there. It lends the floor: whoever takes the roll may do something else in between."""

    name = "attendance"

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def wants(self, turn: Turn) -> bool:
        """A word about attendance, or the QR code of a gathering that somebody of a course scanned; strangers are welcomed elsewhere."""
        match turn.event:
            case Scanned() | Followed():
                return is_gathering_code(turn.event) and bool(turn.person.memberships)
            case Wrote():
                return _command(turn) is not None
            case _:
                return False

    def again(self, _turn: Turn, _most: int) -> Message | None:
        """Nothing is put again: a list is long, and whoever wants it back sends the word."""
        return None

    def answer(self, turn: Turn) -> Answer | Need:
        """The next step."""
        say = Voice(self._texts, turn.person.language, turn.person.zone)
        if turn.refusal is not None:
            return _refused(say, turn)
        match turn.event:
            case Tapped(choice=choice):
                return self._tapped(turn, say, choice)
            case Scanned() | Followed():
                return signing.scanned(turn, say, scanned_gathering(turn.event))
            case Pressed(key=key):
                return _do(turn, say, Command(_MENU.get(key, "mine")))
        command = _command(turn)
        if command is not None:
            return _do(turn, say, command)
        return rolls.typed(turn, say) if rolls.is_open(turn) else signing.typed(turn, say)

    def compose(self, occasion: Occasion) -> Message:
        """A report about a make-up: to staff, who confirm it, or to whoever asked. Raises `LookupError` for any other occasion.

        Details: `reason` claim (with `claim`, `author_name`) or settled (with `accepted`); `number` and `title` of the class.
        """
        if occasion.kind is not OccasionKind.REPORT:
            raise LookupError(f"The attendance bot has no words for {occasion.kind}.")
        say, details = Voice(self._texts, occasion.language, occasion.zone), occasion.details
        return signing.report(say, details)

    def _tapped(self, turn: Turn, say: Voice, choice: str) -> Answer | Need:
        _, kind, first, second, third = [*choice.split("."), "", "", "", ""][:5]
        match kind:
            case "in" | "city" | "up":
                return signing.tapped(turn, say, kind, number_of(first), second, third)
            case "yes" | "no":
                key = "made_up.confirmed_staff" if kind == "yes" else "made_up.declined_staff"
                return Answer((SettleMakeUp(number_of(first), accepted=kind == "yes"), Say(Message(say(key)))))
            case "roll" | "grid":
                return _staff(turn, say, rolls.tapped_command(kind, number_of(first), second), page=second)
            case _:
                return rolls.tapped(turn, say, kind, first, second)


def _groups(turn: Turn) -> list[tuple[int, str]]:
    """The small groups whose register this person keeps."""
    return [(each.group, each.group_name) for each in turn.person.announces_to() if not each.large]


def _command(turn: Turn) -> Command | None:
    text = turn.words()
    groups = _groups(turn)
    found = read_staff(text, groups) if groups else None
    if found is None and not groups and is_shared(text) and Role.PARTICIPANT in turn.person.roles():
        return Command("mine")
    return found or read_own(text)


def _do(turn: Turn, say: Voice, command: Command) -> Answer | Need:
    if command.name in ("roll", "grid"):
        return _staff(turn, say, command)
    if Role.PARTICIPANT not in turn.person.roles():
        return signing.outside(turn, say, command, leads=bool(_groups(turn)))
    courses = turn.facts.get(MyAttendance())
    if courses is None:
        return Need(MyAttendance())
    return signing.do(turn, say, command, courses)


def _staff(turn: Turn, say: Voice, command: Command, page: str = "") -> Answer | Need:
    groups = _groups(turn)
    chosen = [id_ for id_, _ in groups if command.group in (0, id_)]
    if not chosen:
        return Answer((Say(Message(say("refused.role"))),))
    if len(chosen) > 1:
        rest = f".{command.kind[0]}{command.number}" if command.kind else ""
        return Answer((Say(voice.groups(say, groups, command.name, rest)),))
    return rolls.begin(turn, say, chosen[0], command) if command.name == "roll" else rolls.grid(turn, say, chosen[0], page)


def _refused(say: Voice, turn: Turn) -> Answer:
    """The application refused it: in words, and nothing is kept open."""
    if turn.refusal in ("there", "asked"):
        return Answer((Say(Message(say("mine.nowhere" if not turn.person.memberships else "refused.gone"))),))
    key = turn.refusal if turn.refusal in _REFUSALS else "role"
    return Answer((Say(Message(say(f"refused.{key}"))),))
