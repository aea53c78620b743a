"""Answers what no other bot wants: shortly, kindly, honestly, and to nobody but staff a word about what only staff can do."""

from bots.choices import normal
from bots.clipping import named, room
from bots.effects import Answer, Message, Say
from bots.facts import Need
from bots.fallback.pleasantries import pleasantry
from bots.texts import Texts, Words
from bots.turns import ANNOUNCERS, Followed, Left, Membership, Occasion, Sent, Turn, Wrote

_WHERE = frozenset(
    ("我在哪", "我在哪里", "我在哪个组", "我在哪一组", "我的小组", "我是哪个组的", "where am i", "my group", "which group am i in")
)
_KINDS = frozenset(("image", "voice", "video", "location", "link", "file", "empty"))
#: How many ways there are to say that words were not understood.
_VARIANTS = 3
#: How many ways there are to return a pleasantry.
_PLEASANT = 2
_MORE_BYTES = 80


def create(texts: Texts) -> "FallbackBot":
    """The bot with these words."""
    return FallbackBot(texts)


class FallbackBot:
    """The last in line."""

    name = "fallback"

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def wants(self, turn: Turn) -> bool:  # noqa: ARG002 - the contract's parameter
        """Nothing by itself: it answers when nobody else does."""
        return False

    def answer(self, turn: Turn) -> Answer | Need:
        """One short line, fitting to what came and from whom; nothing is remembered."""
        match turn.event:
            case Left():
                return Answer(())
            case Sent(kind=kind):
                words = self._fill(turn, f"sent.{kind if kind in _KINDS else 'other'}")
            case Wrote(text=text) if normal(text) in _WHERE:
                words = self._where(turn)
            case Wrote(text=text) if (pleasant := _returned(turn, text)) is not None:
                words = self._fill(turn, f"pleasant.{pleasant}.{turn.seed % _PLEASANT}")
            case Followed():
                words = self._fill(turn, f"followed.{_standing(turn)}")
            case _:
                words = self._fill(turn, f"{_standing(turn)}.{turn.seed % _VARIANTS}")
        return Answer((Say(Message(words)),))

    def compose(self, occasion: Occasion) -> Message:
        """There is no occasion on which this bot speaks first."""
        raise LookupError(f"The fallback bot has no words for {occasion.kind}.")

    def _where(self, turn: Turn) -> Words:
        """Every group that the person is in, as many as fit."""
        own = turn.person.memberships
        if not own:
            return self._fill(turn, "where.nowhere")
        lines = [self._fill(turn, "where.head")]
        for place, each in enumerate(own):
            line = self._place(turn, each)
            if room(Message("\n".join([*lines, line]))) < _MORE_BYTES:
                lines.append(self._fill(turn, "where.more", count=len(own) - place))
                break
            lines.append(line)
        return Words("\n".join(lines))

    def _place(self, turn: Turn, each: Membership) -> Words:
        role = self._fill(turn, f"role.{each.role}")
        return self._fill(turn, "where.line", course=named(each.course_title), group=named(each.group_name), role=role)

    def _fill(self, turn: Turn, key: str, **gaps: object) -> Words:
        return self._texts.fill(key, turn.person.language, turn.person.zone, **gaps)


def _returned(turn: Turn, text: str) -> str | None:
    """Which words return the pleasantry that this is. A stranger's greeting is answered with the way in."""
    kind = pleasantry(text)
    if not turn.person.memberships:
        return None if kind == "hello" else "elsewhere" if kind == "okay" else kind
    return "quiet" if kind == "okay" and turn.person.paused else kind


def _standing(turn: Turn) -> str:
    if turn.person.roles() & ANNOUNCERS:
        return "staff"
    return "member" if turn.person.memberships else "stranger"
