"""A course in its fourth week with something in every table that people fill, for tests that look at all pages; and those pages."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any

import sqlalchemy as sa

from app import approvals, audit, encouragement, flags, groups, ids, integrations, people, polls, schedules
from app.console import sessions
from app.console.rules import Of
from app.courses import file, running
from app.db import Tx
from app.encouragement import library
from app.flags import duty
from app.integrations import Asked
from app.integrations.rules import Scope
from app.keyring import Place
from app.models import (
    Assignment,
    Broadcast,
    CheckIn,
    Course,
    Delivery,
    Flag,
    Gathering,
    GivenAnswer,
    Pace,
    Person,
    Question,
    QuestionWords,
    Screening,
    Sheet,
    WarmWord,
    Wording,
)
from app.people import Known
from app.placing import proposals
from app.placing.facts import Facts, freeze
from app.prompts import planning
from app.questionnaires import waves
from app.questionnaires.waves import Plan
from app.situation import Situation
from app.web.console import ROUTES
from app.web.console.routing import THING, Route
from bots.effects import PlanPrompt, Poll
from bots.recurrence import Rule
from bots.turns import Role
from tests.console.visiting import Staff, staff
from tests.delivery.scene import Desk

STAFF = tuple(role for role in Role if role is not Role.PARTICIPANT)
#: By whom the course is staffed, and who takes part; further ones are told apart by a number.
CALLED = {
    Role.LEADER: "李老师",
    Role.ASSISTANT: "小周",
    Role.MENTOR: "沈导师",
    Role.ADMINISTRATOR: "王管理",
    Role.RESEARCHER: "陈研究",
}
MEMBERS = ("小雨", "阿宁", "晓晴", "志远", "慧敏", "建国", "文静", "大海")
WIDE = (Role.ADMINISTRATOR, Role.RESEARCHER)


@dataclass
class Lived:
    """The course, its staff by role, and the things that stand in addresses, the newest first."""

    desk: Desk
    now: datetime
    large: int
    staff: dict[Role, Staff]
    things: dict[Of, list[int]] = field(default_factory=dict)
    members: list[Known] = field(default_factory=list)
    also: dict[Of, int] = field(default_factory=dict)  # a further one that looks different

    def note(self, kind: Of, thing: int) -> int:
        """Remember a thing."""
        self.things.setdefault(kind, []).insert(0, thing)
        return thing


def course(desk: Desk, now: datetime) -> Lived:
    """A course that began three weeks ago, with one person of each role, and nothing else yet."""
    began = now - timedelta(days=21)
    plan = running.Plan(file.read("msc-8-week"), began.date())
    desk.write(lambda tx: running.start(tx, desk.tools, desk.course_id, plan, began - timedelta(days=3)))
    large = desk.read(lambda tx: groups.by_code(tx, "msc-all"))
    made: dict[Role, Staff] = {role: staff(desk, CALLED[role], role, group=large if role in WIDE else desk.group) for role in STAFF}
    lived = Lived(desk, now, large, made)
    lived.things = {Of.COURSE: [desk.course_id], Of.GROUP: [desk.group], Of.STAFF: [made[Role.LEADER].known.id]}

    def make(tx: Tx) -> None:
        encouragement.adopt(tx, desk.keyring, desk.course_id, now)
        encouragement.set_plan(tx, desk.course_id, "14", "12:30", now)
        duty.add_on_call(
            tx, desk.keyring, desk.course_id, person_id=made[Role.LEADER].known.id, email="a@b.cn", webhook="https://b.cn", now=now
        )
        tx.execute(sa.update(Gathering).values(link="https://meet.example.org/1"))
        tx.execute(
            sa.insert(Pace).values(account_id=desk.account_id, api="service", parked_code="45009", parked_until=now + timedelta(1), day=now)
        )
        for source, why in (("qr", ""), ("roster", "no_time"), ("code", "declined")):
            tx.execute(sa.insert(Screening).values(course_id=desk.course_id, source=source, included=not why, why=why, answered_at=now))

    desk.write(make)
    return lived


def grow(lived: Lived, many: int) -> Lived:
    """So many more of everything: people, groups with leaders, announcements, waves, flags, prompts, words, alarms, sessions."""
    for number in range(len(lived.members), len(lived.members) + many):
        _one_more(lived, number)
    desk, now = lived.desk, lived.now
    while desk.write(lambda tx: waves.go_on(tx, desk.tools, now)):
        pass
    desk.write(lambda tx: _answered(tx, lived))
    desk.write(lambda tx: _assigned(tx, lived))
    return lived


def _assigned(tx: Tx, lived: Lived) -> None:
    """A proposal of groups for all who wait, in place of the last one."""
    desk, asked = lived.desk, proposals.Asked("groups", "2", "new")
    basis = proposals.gather(tx, desk.keyring, desk.tools.shelf, desk.course_id, asked, "第{number}组", lived.now)
    author = lived.staff[Role.ADMINISTRATOR].known.id
    proposals.keep(tx, basis, proposals.balance(basis, 1), 1, author, basis.version, lived.now)


def _one_more(lived: Lived, number: int) -> None:
    desk, now = lived.desk, lived.now
    member, gone = desk.person(_called(number), typed=now), desk.person(f"若兰{number}", typed=None)
    leader = desk.person(f"赵老师{number}", None, typed=now)
    lived.members.append(member)

    def make(tx: Tx) -> None:
        group = lived.note(Of.GROUP, groups.create(tx, desk.course_id, code=f"g{number}", name=f"晚霞{number + 1}组"))
        groups.enter(tx, group, leader.id, Role.LEADER, now)
        groups.enter(tx, group, lived.staff[Role.MENTOR].known.id, Role.MENTOR, now)
        groups.move(tx, gone.id, group, now, actor="operator")
        tx.execute(sa.update(Person).where(Person.id == member.id).values(phone_sealed=_sealed(desk, tx, member.id, "1380013")))
        groups.invite(tx, desk.keyring, desk.group, now, once=True, name=f"受邀{number}", phone="13800138000")
        groups.invite(
            tx, desk.keyring, lived.large, now, once=True, name=f"等组{number}", facts=freeze(Facts("female", 36, "漠河", "none"))
        )
        audit.alarm(tx, now, "bot_raised", f"bot:{number}")
        audit.record(tx, now, f"person:{leader.id}", "export", f"course:{desk.course_id}", reason="预分析")
        plan = Plan(f"w{number}", {"zh": f"问卷{number}", "en": f"Wave {number}"}, now, now + timedelta(days=7), ("shs",), {})
        lived.note(Of.WAVE, waves.add(tx, desk.tools.shelf, desk.course_id, plan, now))
        lived.note(Of.WORD, _proposed(tx, lived, number))
        prompt = PlanPrompt((desk.group, group), f"练了吗{number}？", Rule(time(20)), now.date() + timedelta(days=20), 0)
        lived.note(Of.PROMPT, planning.plan(tx, desk.keyring, None, prompt, now))
        _asked(tx, lived, member, number)
        _connected(tx, lived, f"报名系统{number}")
        for who in lived.staff.values():
            sessions.begin(tx, desk.keyring.vault, who.login_id, "password", "phone", now)

    desk.write(make)
    _flagged(lived, member, number)
    _flagged(lived, gone, number, closed=True)
    _announced(lived, member, number)


def _connected(tx: Tx, lived: Lived, name: str) -> None:
    """Another system, made by the administrator."""
    desk, maker = lived.desk, lived.staff[Role.ADMINISTRATOR].known.id
    asked = Asked(name, [desk.course_id], tuple(Scope))
    made, _ = integrations.add(tx, desk.keyring.vault, asked, sessions.moment(), lived.now, by=maker)
    lived.note(Of.INTEGRATION, made)


def _called(number: int) -> str:
    return MEMBERS[number] if number < len(MEMBERS) else f"{MEMBERS[number % len(MEMBERS)]}{number}"


def _sealed(desk: Desk, tx: Tx, person_id: int, plain: str) -> bytes:
    key_id = tx.execute(sa.select(Person.data_key_id).where(Person.id == person_id)).scalar_one()
    return desk.keyring.open(tx, key_id).seal(Place("persons", "phone_sealed", person_id), plain)


def _proposed(tx: Tx, lived: Lived, number: int) -> int:
    """A word of a staff member's own; as the library stores it, for it would say that all of these are nearly the same."""
    desk, last = lived.desk, sa.select(sa.func.max(WarmWord.number))
    content = {"texts": {"zh": f"茶还热着{number}", "en": f"The tea is warm {number}"}, "author_name": f"作者{number}", "tone": "warm"}
    state = ("proposed", "approved")[number % 2]
    place = tx.execute(last).scalar_one() + 1
    author = lived.staff[Role.LEADER].known.id
    key_id = tx.execute(sa.select(Course.data_key_id).where(Course.id == desk.course_id)).scalar_one()
    row = library._Row(desk.course_id, place, None, "any", state, author)
    return library._insert(tx, desk.keyring, key_id, row, content, lived.now)


def _asked(tx: Tx, lived: Lived, member: Known, number: int) -> None:
    """A question with its words, and a check-in with a line."""
    desk, now = lived.desk, lived.now
    question, words, noted = lived.note(Of.QUESTION, ids.new_id()), ids.new_id(), ids.new_id()
    about = {"course_id": desk.course_id, "group_id": desk.group, "account_id": desk.account_id, "person_id": member.id}
    tx.execute(sa.insert(Question).values(id=question, **about, number=number + 1, state="open", asked_at=now, changed_at=now, step=0))
    sealed = member.key.seal(Place("question_words", "words_sealed", words), f"怎么坐{number}？")
    tx.execute(sa.insert(QuestionWords).values(id=words, question_id=question, place=1, asked=True, words_sealed=sealed, at=now))
    line = member.key.seal(Place("check_ins", "line_sealed", noted), f"今天很安静{number}")
    values = {"id": noted, "course_id": desk.course_id, "person_id": member.id, "day": now.date(), "practice": "breath"}
    tx.execute(sa.insert(CheckIn).values(**values, line_sealed=line, shared_at=now, noted_at=now))


def _flagged(lived: Lived, person: Known, number: int, *, closed: bool = False) -> None:
    desk, now = lived.desk, lived.now

    def make(tx: Tx) -> None:
        situation = Situation(desk.account_id, person, people.view(tx, person), 0, now, f"我不想活了{number}")
        flag = lived.note(Of.FLAG, flags.raise_flag(tx, desk.tools, situation, "crisis"))
        known = tx.execute(sa.select(Flag.number).where(Flag.id == flag)).scalar_one()
        tx.execute(sa.update(Flag).where(Flag.id == flag).values(course_id=desk.course_id))
        flags.take_over(tx, known, now, person_id=lived.staff[Role.LEADER].known.id)
        flags.note_contact(tx, desk.keyring, known, f"打了电话{number}", now)
        if closed:
            flags.close(tx, desk.keyring, known, f"在家休息{number}", now)

    desk.write(make)


def _announced(lived: Lived, member: Known, number: int) -> None:
    """A poll in the small group that was answered and did not reach everybody, and one announcement that is still to come."""
    desk, now, author = lived.desk, lived.now, lived.staff[Role.LEADER].known.id
    poll = Poll((f"北京{number}", f"杭州{number}"))
    given: dict[str, Any] = {"author_id": author, "group_id": desk.group, "draft": None, "now": now}
    made = desk.write(lambda tx: schedules.plan_announcement(tx, desk.keyring, **given, text=f"在哪里{number}？", at=None, poll=poll))
    assert desk.fire(now) == made
    later = {**given, "at": now + timedelta(hours=3 + number)}
    lived.note(Of.ANNOUNCEMENT, made)
    lived.note(Of.ANNOUNCEMENT, desk.write(lambda tx: schedules.plan_announcement(tx, desk.keyring, **later, text=f"以后见{number}")))

    waits, back = (_waiting(lived, later, f"{word}{number}") for word in ("先看一眼", "再想想"))

    def look(tx: Tx) -> None:
        """One waits for a second person; the other came back with a sentence, and is what the author sees of it."""
        mentor = lived.staff[Role.MENTOR].known.id
        seen = approvals.look(tx, desk.tools, mentor, back, "zh", "Asia/Shanghai", now)
        assert seen is not None
        approvals.give_back(tx, desk.keyring, mentor, back, seen.version, f"早上还是晚上{number}？", now)
        tx.execute(sa.update(Broadcast).where(Broadcast.bot == "approval").values(state="done"))
        tx.execute(sa.delete(Delivery).where(Delivery.broadcast_id.in_(sa.select(Broadcast.id).where(Broadcast.bot == "approval"))))

    desk.write(look)
    lived.also.setdefault(Of.ANNOUNCEMENT, back)
    lived.note(Of.APPROVAL, waits)

    def settle(tx: Tx) -> None:
        tx.execute(sa.update(Delivery).where(Delivery.state == "ready").values(state="failed", reason="bad_message", code="40001"))
        polls.answer(tx, desk.keyring, member.id, made, 1, now)

    desk.write(lambda tx: tx.execute(sa.update(Delivery).where(Delivery.person_id == member.id).values(state="sent", reason="service")))
    desk.write(settle)


def _waiting(lived: Lived, planned: dict[str, Any], text: str) -> int:
    """An announcement that a second person has to see."""
    desk, now = lived.desk, lived.now

    def make(tx: Tx) -> int:
        made = schedules.plan_announcement(tx, desk.keyring, **planned, text=text)
        approvals.wait(tx, desk.keyring, made, "many", now)
        return made

    return desk.write(make)


def _answered(tx: Tx, lived: Lived) -> None:
    """An answer in words of one's own on each sheet that has none, and a wording that a study brought."""
    now = lived.now
    keys = {member.id: member.key for member in lived.members}
    rows = tx.execute(sa.select(Assignment.id, Assignment.person_id).where(Assignment.person_id.in_(keys))).all()
    done = set(tx.execute(sa.select(Sheet.assignment_id)).scalars())
    for row in (row for row in rows if row.id not in done):
        sheet, answer = ids.new_id(), ids.new_id()
        tx.execute(
            sa.insert(Sheet).values(
                id=sheet, assignment_id=row.id, place=1, instrument="shs", version=1, checksum="0", answers={"1": [4, 1]}, changed_at=now
            )
        )
        words = keys[row.person_id].seal(Place("answers", "text_sealed", answer), "我自己的话")
        tx.execute(sa.insert(GivenAnswer).values(id=answer, sheet_id=sheet, item=1, version=1, text_sealed=words, road="typed", at=now))
    if tx.execute(sa.select(sa.func.count()).select_from(Wording)).scalar_one() == 0:
        said = {"zh": {"title": "标题", "items": ["一", "二"]}}
        told = {"source": "来源", "permission": "许可", "translation": "翻译"}
        tx.execute(
            sa.insert(Wording).values(id=ids.new_id(), instrument="swls", version=1, words=said, checksum="0", imported_at=now, **told)
        )


def pages(lived: Lived, every: bool = False) -> Iterator[tuple[Route, str]]:
    """Every page that is opened by an address, with the first thing of its kind, or (`every`) with each. A token is one that nobody has."""
    for route in (route for route in ROUTES if route.method == "GET"):
        path = route.path.replace("{token}", "x" * 43)
        if THING not in path:
            yield route, path
            continue
        things = lived.things[route.rule.of]
        for thing in things if every else [*things[-1:], *(lived.also[of] for of in lived.also if of is route.rule.of)]:
            yield route, path.replace(THING, str(thing))
