"""What the tests of questions share: somebody asks, somebody answers, and looks at the rows."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import broadcasts, groups, ids, people
from app.db import Tx
from app.models import Broadcast, Course, Delivery, Question, QuestionCall, QuestionWords
from app.people import Known
from app.questions import answering, asking, calling, views
from bots.question.views import Question as View
from bots.turns import Role
from tests.delivery.scene import NOW, Desk

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WORDS = "可以躺着做身体扫描吗？"
ANSWER = "可以的，睡着也没关系"


def ask(desk: Desk, who: Known, text: str = WORDS, now: datetime = NOW, group: int | None = None) -> int:
    """Somebody asks; returns the question's id."""
    made = ids.new_id()
    desk.write(lambda tx: asking.ask(tx, desk.keyring, who.id, desk.account_id, group or desk.group, made, text, now))
    return made


def claim(desk: Desk, who: Known, question: int, now: datetime = NOW) -> None:
    desk.write(lambda tx: answering.claim(tx, who.id, question, now))


def answer(desk: Desk, who: Known, question: int, text: str = ANSWER, now: datetime = NOW, draft: int | None = None) -> None:
    desk.write(lambda tx: answering.answer(tx, desk.keyring, who.id, question, text, draft or ids.new_id(), now))


def on(desk: Desk, now: datetime) -> int:
    """Let the clock bring what is due; returns how many steps were taken."""
    steps = 0
    while desk.read(lambda tx: calling.any_due(tx, now)):
        assert desk.write(lambda tx: calling.go_on(tx, desk.tools, now))
        steps += 1
        assert steps < 50
    return steps


def row(desk: Desk, question: int) -> Any:
    return desk.read(lambda tx: tx.execute(sa.select(*Question.__table__.columns).where(Question.id == question)).one())


def states(desk: Desk) -> list[str]:
    return desk.read(lambda tx: list(tx.execute(sa.select(Question.state).order_by(Question.number)).scalars()))


def shown(desk: Desk, reader: Known, question: int) -> View:
    return desk.read(lambda tx: views.shown(tx, desk.keyring, question, reader.id))


def letters(desk: Desk, kind: str | None = None) -> list[tuple[int, str, str]]:
    """To whom something of a question was written: person, kind of call, state of the delivery."""
    query = (
        sa.select(Delivery.person_id, QuestionCall.kind, Delivery.state)
        .join(QuestionCall, QuestionCall.broadcast_id == Delivery.broadcast_id)
        .order_by(Delivery.id)
    )
    found = [(each.person_id, each.kind, each.state) for each in desk.read(lambda tx: tx.execute(query).all())]
    return [each for each in found if kind in (None, each[1])]


def called(desk: Desk) -> list[int]:
    """Whose calls are still to go."""
    return [person for person, _, state in letters(desk, "call") if state == "ready"]


def told(desk: Desk, person: Known) -> list[str]:
    """What the messages to this person say that have not been taken back, as they would be sent now."""
    query = (
        sa.select(Broadcast.id, Broadcast.bot, Broadcast.kind)
        .join(Delivery, Delivery.broadcast_id == Broadcast.id)
        .where(Delivery.person_id == person.id, Delivery.state != "cancelled")
        .order_by(Delivery.id)
    )

    def work(tx: Tx) -> list[str]:
        rows = tx.execute(query).all()
        details = broadcasts.details_of(tx, desk.keyring, [each.id for each in rows])
        known = [each for each in rows if each.id in details]
        return [desk.tools.composer.compose(each.bot, each.kind, "zh", "Asia/Shanghai", details[each.id]).text for each in known]

    return desk.read(work)


def words(desk: Desk) -> int:
    """How many pieces of text there are."""
    return desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(QuestionWords)).scalar_one())


def neighbours(desk: Desk, code: str = "dusk") -> int:
    """Another small group of the same course."""
    return desk.write(lambda tx: groups.create(tx, desk.course_id, code=code, name="暮色组"))


def seat(desk: Desk, known: Known, group: int, role: Role) -> None:
    desk.write(lambda tx: groups.enter(tx, group, known.id, role, NOW))


def large(desk: Desk) -> int:
    """The course's large group."""
    return desk.read(lambda tx: groups.by_code(tx, "msc-all"))


def end_course(desk: Desk, when: datetime) -> None:
    desk.write(lambda tx: tx.execute(sa.update(Course).where(Course.id == desk.course_id).values(ended_at=when)))


def withdraw(desk: Desk, who: Known, now: datetime = NOW, *, erase_answers: bool = False) -> None:
    desk.write(lambda tx: people.withdraw(tx, who.id, now, erase_answers=erase_answers, actor=f"person:{who.id}"))
