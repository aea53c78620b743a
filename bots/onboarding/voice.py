"""Hides how the onboarding bot words things for one person: its questions with their choices, confirmations and greetings."""

from dataclasses import dataclass
from typing import Any

from bots.clipping import choices_size, clip, named, size
from bots.effects import Choice, Message
from bots.facts import InvitationFound
from bots.onboarding.pages import pages
from bots.onboarding.steps import Place, version
from bots.texts import MOST_BYTES, Texts, Words, inert
from bots.turns import ANNOUNCERS, Membership, Occasion, Role, Turn, Wrote

#: Bytes kept free in a consent page for a word in front ("Let us go on.").
_LEAD = 160
#: How the id of a choice ends: a late tap that begins anew still knows how the invitation came.
_MARKS = {"qr": "", "code": ".t"}
_ANSWERS: dict[str, tuple[tuple[str, str, tuple[str, ...]], ...]] = {
    "welcome": (
        ("start", "start", ("好", "好的", "好，开始", "可以", "嗯", "是", "ok", "okay", "yes", "go", "start")),
        ("later", "later", ("以后", "晚点", "later", "no", "not now")),
    ),
    "consent": (
        ("yes", "agree", ("我同意", "愿意", "参加", "我愿意", "好", "好的", "可以", "是", "agree", "yes", "i do", "ok")),
        ("no", "disagree", ("我不同意", "不愿意", "不参加", "不", "否", "disagree", "i disagree", "no")),
        ("later", "think", ("我再想想", "想想", "考虑一下", "再考虑", "以后再说", "later", "think", "not sure")),
    ),
    "willing": (
        ("yes", "willing", ("我愿意", "可以", "好", "好的", "行", "是", "同意", "能", "yes", "willing", "ok", "sure")),
        ("no", "unwilling", ("我不愿意", "不行", "不可以", "不", "否", "no", "unwilling", "not willing")),
    ),
    "able": (
        ("yes", "able", ("可以", "能的", "我能", "能按时完成", "能完成", "没问题", "好", "好的", "行", "是", "yes", "i can", "ok", "sure")),
        (
            "no",
            "unable",
            ("不能", "不行", "恐怕不行", "没时间", "可能不行", "不", "否", "no", "i cannot", "i can't", "no time", "afraid not"),
        ),
    ),
    "staff": (
        ("yes", "right", ("是", "对", "对的", "没错", "是我", "yes", "correct", "right", "y")),
        ("no", "wrong", ("不是", "不对", "不是我", "否", "no", "wrong", "not me", "n")),
    ),
}


@dataclass(frozen=True)
class Voice:
    """The bot's words in one language, for the person of one turn."""

    texts: Texts
    turn: Turn
    language: str

    def say(self, key: str, **gaps: Any) -> Words:
        """The words under `key`."""
        return self.texts.fill(key, self.language, self.turn.person.zone, **gaps)

    def question(self, found: InvitationFound, place: Place, lead: Words | None = None) -> Message:
        """The question of a step, with its choices."""
        if place.step == "consent":
            text, choices = self._consent(found, place)
        else:
            text, choices = self._words(found, place), self._choices(found, place)
        return Message(Words(f"{lead}\n\n{text}") if lead else text, choices)

    def known_name(self, found: InvitationFound) -> str | None:
        """The name to suggest: the one in use, or for staff the one on the roster. A roster never tells a participant's name."""
        return self.turn.person.name or (found.invited_name if found.role != "participant" else None)

    def group(self, found: InvitationFound, key: str) -> dict[str, str]:
        """The gap that words about a group have, where `key` has it; empty words where the group is not known."""
        what = key.split(".")[1]
        if what == "elsewhere":
            return {"group": self._seat(found)}
        return {"group": named(found.group_name)} if what in ("full", "closed", "joined") else {}

    def greeting(self) -> Message:
        """A welcome without a code."""
        if self.turn.person.memberships:
            return Message(self.say("greet.member", groups=self._groups()))
        return Message(self.say("greet.stranger"), (self._switch(),))

    def where(self) -> Message:
        """In which groups the person is, and as what."""
        if self.turn.person.memberships:
            return Message(self.say("where.words", groups=self._groups()))
        return Message(self.say("where.none"), (self._switch(),))

    def confirmation(self, found: InvitationFound, name: str) -> Message:
        """The person is in: what this means and what comes next."""
        words = self._joined(found, name) if found.role == "participant" else self._appointed(found, name)
        if not isinstance(self.turn.event, Wrote):  # only typed words open the 48 hours
            words = Words(f"{words}\n\n{self.say('done.reply')}")
        if self.turn.person.paused:
            words = Words(f"{words}\n\n{self.say('done.resumed')}")
        return Message(words)

    def _joined(self, found: InvitationFound, name: str) -> Words:
        return self.say("done.participant", name=name, group=named(found.group_name), leader=self._leader(found))

    def _appointed(self, found: InvitationFound, name: str) -> Words:
        role = self.say(f"role.{found.role}")
        first = self.say("done.staff", name=name, group=named(found.group_name), role=role)
        second = self.say("done.announcer" if found.role in ANNOUNCERS else "done.other_staff")
        return Words(f"{first}\n\n{second}")

    def _words(self, found: InvitationFound, place: Place) -> Words:
        course, group = named(found.course_title), named(found.group_name)
        match place.step:
            case "welcome":
                return self.say("welcome.words", course=course, group=group, leader=self._leader(found))
            case "staff":
                return self.say("staff.question", course=course, group=group, role=self.say(f"role.{found.role}"))
            case "name":
                return self._ask_name(found)
        return self.say(f"{place.step}.question")

    def _ask_name(self, found: InvitationFound) -> Words:
        known = self.known_name(found)
        if found.role == "participant":
            return self.say("name.keep", name=known) if known else self.say("name.question")
        return self.say("name.staff_keep", name=known) if known else self.say("name.staff")

    def _choices(self, found: InvitationFound, place: Place) -> tuple[Choice, ...]:
        if place.step == "name":
            keep = self._choice(place, "keep", "keep", ("是", "是的", "对", "可以", "好", "好的", "yes", "ok", "keep"))
            return (keep,) if self.known_name(found) else ()
        choices = tuple(self._choice(place, *answer) for answer in _ANSWERS[place.step])
        return (*choices, self._switch()) if place.step in ("welcome", "staff") else choices

    def _choice(self, place: Place, answer: str, label: str, accepts: tuple[str, ...] = ()) -> Choice:
        return Choice(f"onboarding.{place.step}.{answer}.{place.code}{_MARKS[place.source]}", self.say(f"choice.{label}"), accepts)

    def _switch(self) -> Choice:
        other = "en" if self.language == "zh" else "zh"
        return Choice(
            f"onboarding.language.{other}", self.say("choice.switch"), ("english", "英文") if other == "en" else ("中文", "chinese")
        )

    def _consent(self, found: InvitationFound, place: Place) -> tuple[Words, tuple[Choice, ...]]:
        """One page of the consent. Only the last one can be agreed to."""
        answers = tuple(self._choice(place, *answer) for answer in _ANSWERS["consent"])
        words = inert(found.consent_text) if found.consent_text.strip() else self.say("consent.default")
        title = named(found.course_title)
        taken = (
            _LEAD
            + size(self.say("consent.heading", course=title, version=version(found)[:40], page=""))
            + size(self.say("consent.question"))
        )
        found_pages = pages(words, MOST_BYTES - taken - choices_size(answers))
        number, total = min(place.page, len(found_pages) - 1), len(found_pages)
        page = self.say("consent.page", number=number + 1, total=total) if total > 1 else Words("")
        heading = self.say("consent.heading", course=title, version=version(found)[:40], page=page).rstrip()
        last = number == total - 1
        ending = self.say("consent.question" if last else "consent.more")
        more = self._choice(place, f"more{number}", "more", ("继续看", "下一页", "更多", "继续", "next", "more", "好", "ok"))
        return Words(f"{heading}\n\n{found_pages[number]}\n\n{ending}"), answers if last else (more, answers[-1])

    def _leader(self, found: InvitationFound) -> Words:
        return self.say("welcome.leader", leader=named(found.leader_name)) if found.leader_name else Words("")

    def _seat(self, found: InvitationFound) -> Words:
        """The small group of this course in which the person takes part."""
        seats = (each for each in self.turn.person.memberships if each.course == found.course and not each.large)
        return next((named(each.group_name) for each in seats if each.role is Role.PARTICIPANT), Words(""))

    def _groups(self) -> Words:
        lines = [self._line(each) for each in self.turn.person.memberships]
        return Words(clip(Words("\n".join(lines)), 1200))

    def _line(self, each: Membership) -> Words:
        return self.say(
            "where.line",
            group=named(each.group_name),
            course=named(each.course_title),
            role=self.say(f"role.{each.role}"),
        )


def seated(texts: Texts, occasion: Occasion) -> Words:
    """What somebody reads who was given a seat: as if they had just joined. Details: group_name, leader_name (or None)."""
    group, leader = occasion.details["group_name"], occasion.details.get("leader_name")
    led = texts.fill("welcome.leader", occasion.language, leader=named(leader)) if leader else Words("")
    gaps = {"name": inert(occasion.reader or ""), "group": named(group), "leader": led}
    return texts.fill("done.participant", occasion.language, occasion.zone, **gaps)
