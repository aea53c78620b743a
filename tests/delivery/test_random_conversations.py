"""Whatever people do in whatever order, the stored answers are those of a model that knows nothing of the program.

Late taps, repeats, words from before a question, two devices, restarts, the web page in between, leaving and returning.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app import inbox, people
from app.channels import Push, PushKind
from app.db import Tx
from app.questionnaires import sheets
from bots.choices import short
from bots.effects import Given, Record
from tests.delivery.answering import Talk, go_on, standing, stored, wave
from tests.delivery.scene import Desk, at, incoming, together

#: A form with a question that only some are asked, and two scales: the number of items, lowest and highest of each.
INSTRUMENTS = ("intake", "shs", "swls")
RANGES = {"shs": (4, 1, 7), "swls": (5, 1, 7)}
#: What the form takes: (lowest, highest) by item; 5 only where 4 was answered with 1; 8 takes words.
FORM = {1: (1, 4), 2: (18, 99), 3: (1, 3), 4: (1, 2), 5: (1, 2), 6: (1, 2), 7: (1, 2), 8: (1, 1)}
WORDS = 8

Step = tuple[str, int, int]
KINDS = (
    *("type", "type", "type", "tap", "tap", "many", "late", "repeat", "early", "back", "skip", "noise", "help", "pause", "change"),
    *("web", "web", "devices", "restart", "leave", "hand_in", "hand_in"),
)
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 10_000), st.integers(0, 10_000)), min_size=15, max_size=40)


@dataclass
class Model:
    """What must stand: answers by instrument, what is handed in, and which item the chat asked last."""

    answers: dict[str, dict[int, int | None]] = field(default_factory=lambda: {code: {} for code in INSTRUMENTS})
    handed_in: list[str] = field(default_factory=list)
    asked: tuple[str, int] | None = None
    again: bool = False
    paused: bool = False

    def items(self, code: str) -> list[int]:
        if code != "intake":
            return list(range(1, RANGES[code][0] + 1))
        return [item for item in FORM if item != 5 or self.answers["intake"].get(4) == 1]

    def takes(self, code: str, item: int) -> tuple[int, int]:
        return FORM[item] if code == "intake" else RANGES[code][1:]

    @property
    def current(self) -> str | None:
        return next((code for code in INSTRUMENTS if code not in self.handed_in), None)

    def first_open(self, code: str) -> int | None:
        return next((item for item in self.items(code) if item not in self.answers[code]), None)

    def ask(self) -> None:
        """The chat shows what is open now."""
        code = self.current
        item = None if code is None else self.first_open(code)
        self.asked = None if code is None or item is None else (code, item)
        self.again = self.paused = False

    def waits_for(self) -> tuple[str, int] | None:
        """The item to which typed words belong: what was asked last, as long as it is open or was asked for again."""
        if self.asked is None or self.paused:
            return None
        code, item = self.asked
        open_ = item not in self.answers[code] or self.again
        return self.asked if code not in self.handed_in and item in self.items(code) and open_ else None

    def answer(self, code: str, item: int, value: int | None) -> None:
        self.answers[code][item] = value
        self.ask()


class Play:
    """One person who does these things; what they see is read for the choices only."""

    def __init__(self, desk: Desk, number: int, person_id: int) -> None:
        self.desk, self.person_id, self.model = desk, person_id, Model()
        self.talk = Talk(desk, number)
        self.last: Push | None = None
        self.taps: list[tuple[str, str, int, int | None]] = []  # every choice that was ever shown: id, instrument, item, value
        self.seen: set[str] = set()
        found = desk.read(lambda tx: sheets.find(tx, desk.tools.shelf, person_id, desk.account_id, "zh"))
        self.codes = {short(sheet.id): sheet.instrument.code for assignment in found for sheet in assignment.sheets}
        self.say("问卷")
        self.model.ask()

    def say(self, words: str, *, unseen: bool = False) -> None:
        """Type; `unseen`: before the last question was shown."""
        talk = self.talk
        talk.now += talk.pace
        self.last = talk.made(PushKind.WROTE, words, sent=self.shown_at - timedelta(seconds=2) if unseen else None)
        self._take(self.last)

    def _tap(self, choice: str) -> None:
        self.talk.now += self.talk.pace
        self.last = self.talk.made(PushKind.TAPPED, "点", choice)
        self._take(self.last)

    def _take(self, pushed: Push) -> None:
        self.shown_at = self.talk.now
        self.talk.read(self.talk.take(pushed))
        for choice in set(self.talk.links.values()) - self.seen:
            self.seen.add(choice)
            _, kind, own, *rest = choice.partition("~")[0].split(".")
            if kind in ("v", "skip"):
                self.taps.append((choice, self.codes[own], int(rest[0]), int(rest[1]) if kind == "v" else None))

    # -- what is done

    def type(self, a: int, _b: int) -> None:
        meant = self.model.waits_for()
        if meant is None:
            self.noise(a, 0)
            return
        code, item = meant
        lowest, highest = self.model.takes(code, item)
        value = lowest + a % (highest - lowest + 1)
        self.say(f"城市{a}" if code == "intake" and item == WORDS else str(value))
        self.model.answer(code, item, value)

    def many(self, a: int, b: int) -> None:
        meant = self.model.waits_for()
        if meant is None or meant[0] == "intake" or self.model.again:
            self.type(a, b)
            return
        code, first = meant
        lowest, highest = self.model.takes(code, first)
        open_ = [item for item in self.model.items(code) if item >= first and item not in self.model.answers[code]]
        values = [lowest + (a + place * (b + 1)) % (highest - lowest + 1) for place in range(2 + b % 4)]
        self.say("，".join(map(str, values)))
        for item, value in zip(open_, values, strict=False):
            self.model.answers[code][item] = value
        self.model.ask()

    def late(self, a: int, _b: int) -> None:
        """Any choice that was ever shown, however old."""
        if not self.taps:
            return
        choice, code, item, value = self.taps[a % len(self.taps)]
        self._tap(choice)
        if code in self.model.handed_in:
            self._asked_again()
        elif item in self.model.items(code):
            self.model.answer(code, item, value)
        else:
            self._asked_again()

    def _asked_again(self) -> None:
        """A question is shown once more: the one that was asked, or, where that is answered by now, what is open."""
        if self.model.asked is None or self.model.waits_for() is None or self.model.paused:
            self.model.ask()

    def tap(self, a: int, b: int) -> None:
        """One of the choices of the question that was asked last."""
        shown = [each for each in self.taps if (each[1], each[2]) == self.model.asked]
        if shown:
            choice, code, item, value = shown[a % len(shown)]
            if code not in self.model.handed_in:
                self._tap(choice)
                self.model.answer(code, item, value)
        else:
            self.type(a, b)

    def repeat(self, _a: int, _b: int) -> None:
        """The platform pushes the same once more."""
        if self.last is not None:
            self.talk.take(self.last)

    def early(self, a: int, _b: int) -> None:
        """Words from before the question was seen."""
        meant = self.model.waits_for()
        if meant is not None and meant != ("intake", WORDS):
            asked_at = self.shown_at
            self.say(str(self.model.takes(*meant)[0]), unseen=True)
            self.shown_at = asked_at  # the question was seen before
        elif meant is None:
            self.noise(a, 0)

    def back(self, _a: int, _b: int) -> None:
        if self.model.paused:
            self.noise(0, 0)
            return
        code = self.model.current
        asked = self.model.asked
        self.say("上一题")
        if code is None:
            return
        if asked is not None and asked[0] in self.model.handed_in:
            self.model.ask()
            return
        items = self.model.items(asked[0] if asked else code)
        at = items.index(asked[1]) if asked and asked[1] in items else len(items)
        if at == 0:
            self._asked_again()
        else:
            self.model.asked, self.model.again = (asked[0] if asked else code, items[at - 1]), True

    def skip(self, _a: int, _b: int) -> None:
        meant, paused = self.model.waits_for(), self.model.paused
        self.say("跳过")
        if meant is None or paused:
            self._asked_again()
        else:
            self.model.answer(*meant, None)

    def noise(self, a: int, _b: int) -> None:
        if self.model.waits_for() == ("intake", WORDS):
            return  # there every word is an answer
        self.say(f"今天有一点累，不知道怎么选 {a}")
        self._asked_again()

    def help(self, _a: int, _b: int) -> None:
        """Another bot answers; the question that comes back behind it was seen before."""
        asked_at = self.shown_at
        self.say("帮助")
        self.shown_at = asked_at

    def pause(self, _a: int, _b: int) -> None:
        if self.model.current is None or self.model.paused:
            return
        self.say("暂停")
        self.model.paused, self.model.asked, self.model.again = True, None, False

    def change(self, a: int, b: int) -> None:
        code = self.model.current
        if code is None or self.model.paused or (self.model.asked and self.model.asked[0] != code):
            return
        item = self.model.items(code)[a % len(self.model.items(code))]
        lowest, highest = self.model.takes(code, item)
        if (code, item) == ("intake", WORDS):
            return
        value = lowest + b % (highest - lowest + 1)
        self.say(f"{item}={value}")
        self.model.answer(code, item, value)

    def web(self, a: int, _b: int) -> None:
        """The next open question is answered on the page; the chat does not hear of it."""
        code = self.model.current
        item = None if code is None else self.model.first_open(code)
        if code is None or item is None:
            return
        lowest, highest = self.model.takes(code, item)
        value, desk, talk = lowest + a % (highest - lowest + 1), self.desk, self.talk

        def work(tx: Tx) -> None:
            found = sheets.find(tx, desk.tools.shelf, self.person_id, desk.account_id, "zh")
            sheet = found[0].next_sheet()
            known = people.meet(tx, desk.keyring, desk.account_id, desk.openid(talk.number), talk.now)
            text = "网上" if (code, item) == ("intake", WORDS) else ""
            assert sheet is not None
            sheets.record(tx, known, found, Record(sheet.id, (Given(item, value, str(value), text),), "web"), talk.now)

        with at(talk.now):
            desk.write(work)
        self.model.answers[code][item] = value

    def devices(self, a: int, b: int) -> None:
        """Two taps at the same moment: one is after the other; both belong to the item that they name, and one of them stays."""
        shown = [each for each in self.taps if (each[1], each[2]) == self.model.asked and each[1] not in self.model.handed_in]
        if len(shown) < 2:
            return
        pair = [shown[a % len(shown)], shown[b % len(shown)]]
        self.talk.now += self.talk.pace
        doors = [incoming(self.desk, self.talk.made(PushKind.TAPPED, "点", each[0])) for each in pair]
        with at(self.talk.now):
            together(self.desk, [lambda tx, door=door: inbox.take(tx, self.desk.tools, door) for door in doors])  # type: ignore[misc]
        code, item = pair[0][1:3]
        found = _found(self)[code][item]
        assert found in {each[3] for each in pair}
        self.model.answer(code, item, found)

    def restart(self, _a: int, _b: int) -> None:
        self.desk.restart()

    def leave(self, _a: int, _b: int) -> None:
        self.talk.leaves()
        self.talk.returns()

    def hand_in(self, _a: int, _b: int) -> None:
        code = self.model.current
        if code is None or self.model.first_open(code) is not None or self.model.asked is not None or self.model.paused:
            return
        self.say("交")
        self.model.handed_in.append(code)
        self.model.ask()


def _found(play: Play) -> dict[str, dict[int, int | None]]:
    return stored(play.desk, play.person_id, WAVES[id(play.desk)])


WAVES: dict[int, int] = {}


@contextmanager
def _one_desk(database_url: str) -> Iterator[Callable[[], Play]]:
    with Desk(database_url) as desk:
        WAVES[id(desk)] = wave(desk, INSTRUMENTS, skips=True)

        def begin() -> Play:
            person = desk.person(f"同学{desk.count}")
            go_on(desk)
            return Play(desk, desk.count, person.id)

        yield begin


def test_a_hundred_random_conversations_leave_what_the_model_says(database_url: str) -> None:
    with _one_desk(database_url) as begin:

        @settings(max_examples=50, deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
        @given(STEPS)
        def play(steps: list[Step]) -> None:
            one = begin()
            for number, (kind, a, b) in enumerate(steps):
                getattr(one, kind)(a, b)
                assert _found(one) == one.model.answers, (kind, a, b, number, one.model, one.talk.reply)
            state = standing(one.desk, one.person_id, WAVES[id(one.desk)])
            assert (state == "complete") is (len(one.model.handed_in) == len(INSTRUMENTS))

        play()
