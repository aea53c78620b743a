"""Hides how the world that a transcript declares becomes rows, by the application's own functions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from app import courses, encouragement, flags, groups, people
from app.courses import file, running
from app.db import Tx
from app.models import Course, Group, Participant, Person
from app.questionnaires import waves
from app.questionnaires.waves import Plan, Rule
from app.situation import Tools
from bots.texts import LANGUAGES
from bots.turns import Role
from tests.dialogues.script import Beginning, CourseThere, GroupThere, InvitationThere, MemberThere, WarmWordsThere, WaveThere


@dataclass(frozen=True)
class Seeding:
    """One world on its way into the database."""

    tx: Tx
    tools: Tools
    account_id: int
    openids: Mapping[str, str]
    now: datetime

    def write(self, beginning: Beginning) -> None:
        """Everything that is declared."""
        course_ids = {each.title: self._course(place, each, beginning) for place, each in enumerate(beginning.courses, start=1)}
        group_ids = {each.name: self._group(each, course_ids[each.course]) for each in beginning.groups}
        for invitation in beginning.invitations:
            self._invite(invitation, group_ids[invitation.group])
        known = {person: self._meet(person, beginning) for person in beginning.people()}
        for member in beginning.members:
            self._enter(member, known[member.person], group_ids[member.group])
        for person in beginning.paused:
            people.pause(self.tx, known[person], self.now)
        for person in beginning.on_call:
            for course_id in course_ids.values():
                flags.add_on_call(self.tx, self.tools.keyring, course_id, person_id=known[person], email=None, webhook=None, now=self.now)

        for each in beginning.courses:
            if each.first_day is not None:
                plan = running.Plan(file.read(each.file), each.first_day)
                running.start(self.tx, self.tools, course_ids[each.title], plan, self.now)
                there = sa.update(Participant).where(Participant.course_id == course_ids[each.title])
                self.tx.execute(there.values(caught_up_at=self.now))  # they were there from the beginning
        for place, wave in enumerate(beginning.waves, start=1):
            self._wave(place, wave, course_ids[wave.course])

        for words in beginning.warm_words:
            self._warm_words(words, course_ids[words.course])

    def _warm_words(self, there: WarmWordsThere, course_id: int) -> None:
        encouragement.adopt(self.tx, self.tools.keyring, course_id, self.now)
        if there.days:
            self.tx.execute(sa.update(Course).where(Course.id == course_id).values(starts_on=there.starts))
            encouragement.set_plan(self.tx, course_id, there.days, there.hour, self.now)

    def _course(self, place: int, there: CourseThere, beginning: Beginning) -> int:
        own = {"consent": there.consent_text, "resources": there.help}
        course_id = courses.create(
            self.tx,
            self.tools.keyring,
            self.now,
            account_id=self.account_id,
            code=f"course{place}",
            title=there.title,
            zone=there.zone,
            starts_on=there.starts_on,
            consent_version=there.consent_version,
            details={kind: dict.fromkeys(LANGUAGES, text) for kind, text in own.items() if text},
            large_group=next(each.name for each in beginning.groups if each.large and each.course == there.title),
        )
        courses.set_second_eyes(self.tx, course_id, there.second_eyes, self.now)
        courses.set_cap(self.tx, course_id, None, self.now)  # a transcript may tell of a day with many messages
        return course_id

    def _group(self, there: GroupThere, course_id: int) -> int:
        if there.large:
            group_id = self._large(course_id)
        else:
            group_id = groups.create(self.tx, course_id, code=there.name, name=there.name, capacity=there.capacity)
        if there.code:
            groups.invite(self.tx, self.tools.keyring, group_id, self.now, code=there.code)
        if there.closed:
            groups.close(self.tx, group_id, self.now)
        return group_id

    def _large(self, course_id: int) -> int:
        return int(self.tx.execute(sa.select(Group.id).where(Group.course_id == course_id, Group.large)).scalar_one())

    def _invite(self, there: InvitationThere, group_id: int) -> None:
        groups.invite(
            self.tx,
            self.tools.keyring,
            group_id,
            self.now,
            role=Role(there.role),
            once=there.once,
            name=there.name,
            expires_at=there.until,
            code=there.code,
        )

    def _meet(self, person: str, beginning: Beginning) -> int:
        known = people.meet(self.tx, self.tools.keyring, self.account_id, self.openids[person], self.now)
        people.rename(self.tx, known, person)
        people.set_language(self.tx, known.id, beginning.languages.get(person, LANGUAGES[0]))
        if person in beginning.zones:  # nobody can choose a zone yet
            self.tx.execute(sa.update(Person).where(Person.id == known.id).values(zone=beginning.zones[person]))
        return known.id

    def _enter(self, member: MemberThere, person_id: int, group_id: int) -> None:
        """As somebody who joined: in the group and in the large one, with a consent, participants with a number."""
        course = sa.select(Course.id, Course.consent_version).join(Group, Group.course_id == Course.id).where(Group.id == group_id)
        role, (course_id, version) = Role(member.role), self.tx.execute(course).one()
        people.consent(self.tx, person_id, course_id, version, ("questionnaires", "finish"), self.now)
        for each in {group_id, self._large(course_id)}:
            groups.enter(self.tx, each, person_id, role, self.now)
        if role is Role.PARTICIPANT:
            groups.number_participant(self.tx, course_id, person_id, self.now)
            mine = (Participant.course_id == course_id, Participant.person_id == person_id)
            self.tx.execute(sa.update(Participant).where(*mine).values(caught_up_at=self.now))  # they came long ago, not late

    def _wave(self, place: int, there: WaveThere, course_id: int) -> None:
        opens, closes = there.window(self.now)
        plan = Plan(
            f"wave{place}",
            dict.fromkeys(LANGUAGES, there.title),
            opens,
            closes,
            there.instruments,
            {},
            Rule(there.reminders),
            late="keep" if there.keeps_late else "refuse",
            skips=there.skips,
        )
        waves.add(self.tx, self.tools.shelf, course_id, plan, self.now)
