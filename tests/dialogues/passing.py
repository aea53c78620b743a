"""Time in the world made of memory: what falls due on the way happens in its order, and goes out as far as WeChat lets it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bots import Bot
from bots.effects import Message
from bots.turns import Occasion, OccasionKind
from tests.dialogues import approving, encouraging, polls, practising, prompts, questionnaires, questions
from tests.dialogues.playing import Shown
from tests.dialogues.rows import MASSES_A_MONTH, Announcement, Delivery, Flag, Someone, State, month, quiet_until

NEXT_ALERT = timedelta(minutes=15)
_WINDOW, _ALLOWANCE = timedelta(hours=48), 5
_TAP_WINDOW, _TAP_ALLOWANCE = timedelta(minutes=1), 3


class Passing:
    """The clock of one world, and the road of its messages."""

    def __init__(self, state: State, bots: Mapping[str, Bot]) -> None:
        self._is, self._bots = state, bots

    def post(self, letters: Sequence[encouraging.Letter]) -> None:
        for letter in letters:
            self.deliver(letter.person, letter.kind, letter.bot, letter.details, stale_at=letter.stale_at)

    def tell(self, letters: Iterable[approving.Letter]) -> None:
        """Calls to whoever has a second pair of eyes, and what authors hear."""
        for person, kind, details in list(letters):
            self.deliver(person, kind, "approval", details)

    def let_pass(self, to: datetime) -> None:
        while (due := self._next_due()) is not None and due <= to:
            self._is.now = max(self._is.now, due)
            self._fire()
        self._is.now = max(self._is.now, to)

    def _next_due(self) -> datetime | None:
        held = quiet_until(self._is.now) or self._is.now
        moments = [each.at for each in self._is.announcements if each.state == "planned"]
        moments += [
            moment
            for moment in [part.next_due(self._is) for part in (questionnaires, encouraging, questions, practising)]
            if moment is not None
        ]
        moments += [each.next_at for each in self._is.prompts if each.next_at is not None]
        moments += [*polls.next_due(self._is), *approving.next_due(self._is)]
        moments += [each.next_alert for each in self._is.flags if each.next_alert is not None and self._is.on_call]
        moments += [self._is.now if each.urgent else held for each in self._is.deliveries if each.state == "ready"]
        return min(moments, default=None)

    def _fire(self) -> None:
        for flag in self._is.flags:
            if flag.next_alert is not None and flag.next_alert <= self._is.now:
                self._alert(flag)
        for each in self._is.announcements:
            if each.state == "planned" and each.at <= self._is.now:
                self._go_out(each)
        self.tell(approving.go_on(self._is))
        for author, report in polls.close_due(self._is):
            self.deliver(author, OccasionKind.REPORT, "announcement", report)
        for letter in questionnaires.go_on(self._is):
            self.deliver(letter.person, letter.kind, "questionnaire", letter.details, stale_at=letter.stale_at)
        self.post(encouraging.go_on(self._is))
        for mail in prompts.go_on(self._is):
            self.deliver(mail.person, mail.kind, "prompt", mail.details, stale_at=mail.stale_at, prompt=mail.prompt)
        self.post(practising.go_on(self._is))
        questions.go_on(self._is)
        self._send_ready()

    def _send_ready(self) -> None:
        for delivery in self._is.deliveries:
            if delivery.state == "ready" and not delivery.urgent and quiet_until(self._is.now) is not None:
                self._hold(delivery)
            elif delivery.state == "ready":
                self._send(delivery)

    def _alert(self, flag: Flag) -> None:
        called = self._is.on_call[flag.step % len(self._is.on_call)]
        flag.step += 1
        flag.next_alert = self._is.now + NEXT_ALERT
        details = {
            "flag": flag.number,
            "course": flag.course.title if flag.course else None,
            "person": self._is.people[flag.person].name,
            "rule": flag.rule,
            "at": flag.at,
            "step": flag.step,
        }
        self.deliver(called, OccasionKind.ALERT, "safety", details, urgent=True)

    def _go_out(self, each: Announcement) -> None:
        if not self._is.may_announce(each.author, each.group):
            each.state = "missed"
            report = {"reason": "role", "number": each.number, "group_name": each.group.name, "at": each.at}
            self.deliver(each.author, OccasionKind.REPORT, "announcement", report)
            return
        if held := approving.hold(self._is, each):
            self.tell(held)
            return
        each.state = "done"
        details = {**approving.details(self._is, each), **polls.gaps(each)}
        for person in self._is.audience(each.group, each.author):
            self.deliver(person, OccasionKind.ANNOUNCEMENT, "announcement", details, announcement=each.id, by_mass=each.by_mass)

    def deliver(
        self,
        person: str,
        kind: OccasionKind,
        bot: str,
        details: Mapping[str, Any],
        *,
        announcement: int | None = None,
        urgent: bool = False,
        by_mass: bool = False,
        stale_at: datetime | None = None,
        prompt: int | None = None,
        follows: int | None = None,
    ) -> None:
        someone = self._is.people[person]
        occasion = Occasion(kind, someone.language, details, someone.zone, someone.name)
        made = Delivery(person, announcement, bot, occasion, urgent, by_mass, stale_at=stale_at, prompt=prompt, follows=follows)
        made.made = self._is.now
        self._is.deliveries.append(made)

    def _hold(self, delivery: Delivery) -> None:
        """Quiet hours hold what can go at all."""
        if self._is.people[delivery.person].paused or not self._is.people[delivery.person].follows:
            self._send(delivery)
        else:
            delivery.settle("ready", "quiet_hours")

    def _send(self, delivery: Delivery) -> None:
        someone = self._is.people[delivery.person]
        way = self._is.way(someone, self._is.now)
        if someone.paused and not delivery.urgent:
            delivery.settle("cancelled", "paused")
            return
        if not someone.follows:
            delivery.settle("unreachable", "unfollowed")
            return
        if delivery.by_mass and self._is.had_masses(someone, self._is.now) < MASSES_A_MONTH:
            someone.masses.append(month(self._is.now))
            self._arrives(someone, delivery)
            delivery.settle("confirmed", "mass_all")
            return
        if way != "now":
            delivery.settle("waiting", "window_closed")
            return
        someone.typed_left, someone.tapped_left = max(0, someone.typed_left - 1), max(0, someone.tapped_left - 1)
        self._arrives(someone, delivery)

    def _arrives(self, someone: Someone, delivery: Delivery) -> None:
        message = self.compose(delivery)
        someone.shown.append(message)
        someone.reached.append(Shown(message.text, tuple(choice.label for choice in message.choices)))

    def compose(self, delivery: Delivery) -> Message:
        delivery.settle("sent", "")
        if delivery.occasion.kind is OccasionKind.INVITATION:
            questionnaires.delivered(self._is, delivery.person, delivery.occasion.details["wave"])
        return self._bots[delivery.bot].compose(delivery.occasion)

    def board(self, person: str) -> list[Message]:
        """What waited for this person, and rides at the end of the answer."""
        return [self.compose(each) for each in self._is.waiting(person)]

    def note_traffic(self, someone: Someone, *, typed: bool) -> None:
        if typed:
            someone.typed_until, someone.typed_left = self._is.now + _WINDOW, _ALLOWANCE
        else:
            someone.tapped_until, someone.tapped_left = self._is.now + _TAP_WINDOW, _TAP_ALLOWANCE
