"""A small study to export: two waves, and people who answer, correct, skip, come late, refuse and leave, all through the program."""

import csv
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from app import people
from app.db import Tx
from app.models import Delivery, Participant
from app.people import Known
from app.questionnaires import sheets, waves
from app.questionnaires.waves import Plan
from app.states import State
from app.study import export as study
from app.study.export import Exported
from bots.effects import BeginAssignment, Decline, Given, HandIn, Record
from bots.questionnaire.sheets import Assignment, Sheet
from tests.delivery.scene import NOW, Desk

OPENS = NOW + timedelta(hours=1)
CLOSES = OPENS + timedelta(days=2)
LATER = OPENS + timedelta(days=70)
BASELINE = ("intake", "swls", "dass21", "scs")
#: The worked examples of the files of the instruments.
SWLS = (6, 4, 7, 2, 5)
SCS = (2, 3, 2, 1, 5, 5, 4, 4, 5, 1, 1, 3, 4, 4, 3, 3, 3, 2, 4, 1, 2, 5, 5, 4, 2, 3)
DASS = (2, 1, 1, 0, 2, 2, 0, 1, 2, 1, 1, 3, 2, 2, 1, 1, 0, 2, 1, 0, 1)


@dataclass
class Course:
    """The study on a desk; people by their names."""

    desk: Desk
    known: dict[str, Known] = field(default_factory=dict)

    def joins(self, *names: str) -> None:
        """These take part."""
        self.known |= {name: self.desk.person(name) for name in names}

    def number(self, name: str) -> str:
        """Somebody's participant number."""
        query = sa.select(Participant.number).where(Participant.person_id == self.known[name].id)
        return str(self.desk.read(lambda tx: tx.execute(query).scalar_one()))

    def wave(self, code: str, instruments: Sequence[str], opens: datetime, *, late: str = "refuse", shuffled: bool = False) -> int:
        """A wave of two days in which questions may be skipped."""
        title = {"zh": f"{code} 问卷", "en": f"{code} questionnaires"}
        frames = {"dass21": "week"} if "dass21" in instruments else {}
        plan = Plan(code, title, opens, opens + timedelta(days=2), instruments, frames, late=late, skips=True, shuffled=shuffled)
        return self.desk.write(lambda tx: waves.add(tx, self.desk.tools.shelf, self.desk.course_id, plan, NOW))

    def ticks(self, now: datetime) -> None:
        """Everything that is due by then."""
        while self.desk.write(lambda tx: waves.go_on(tx, self.desk.tools, now)):
            pass

    def reaches(self, name: str, now: datetime) -> None:
        """WeChat takes somebody's invitations."""
        taken = sa.update(Delivery).where(Delivery.person_id == self.known[name].id).values(state=State.SENT.value, changed_at=now)
        self.desk.write(lambda tx: tx.execute(taken))
        self.ticks(now)

    def opens(self, name: str, now: datetime) -> None:
        """Somebody looks at the first question."""
        self.desk.write(lambda tx: sheets.begin(tx, self._put(tx, name), BeginAssignment(self._put(tx, name)[0].id), now))

    def answers(self, name: str, code: str, now: datetime, values: Mapping[int, int | None], *, road: str = "tapped") -> None:
        """Somebody answers items of an instrument; an answer to a text item is planted words."""

        def work(tx: Tx) -> None:
            put, sheet = self._sheet(tx, name, code)
            texts = {item.number for item in sheet.instrument.items if item.kind.value == "text"}
            given = tuple(
                Given(item, value, raw="" if item in texts else f"raw-{name}-{item}", text=f"words-{name}" if item in texts else "")
                for item, value in values.items()
            )
            sheets.record(tx, self.known[name], put, Record(sheet.id, given, road), now)

        self.desk.write(work)

    def hands_in(self, name: str, code: str, now: datetime) -> None:
        """Somebody finishes an instrument."""

        def work(tx: Tx) -> None:
            put, sheet = self._sheet(tx, name, code)
            sheets.hand_in(tx, put, HandIn(sheet.id), now)

        self.desk.write(work)

    def declines(self, name: str, now: datetime) -> None:
        """Somebody does not want to answer."""
        self.desk.write(lambda tx: sheets.decline(tx, self._put(tx, name), Decline(self._put(tx, name)[0].id), now))

    def leaves(self, name: str, now: datetime, *, erase: bool) -> None:
        """Somebody withdraws."""
        self.desk.write(lambda tx: people.withdraw(tx, self.known[name].id, now, erase_answers=erase, actor="test"))

    def export(self, path: Path, now: datetime = LATER, *, asker: int | None = None, over: bool = False) -> Exported:
        """Write the export."""
        desk = self.desk
        return study.export(desk.database, desk.tools.shelf, desk.course_id, path, now, asker=asker, over=over)

    def _put(self, tx: Tx, name: str) -> tuple[Assignment, ...]:
        return sheets.find(tx, self.desk.tools.shelf, self.known[name].id, self.desk.account_id, "zh")

    def _sheet(self, tx: Tx, name: str, code: str) -> tuple[tuple[Assignment, ...], Sheet]:
        put = self._put(tx, name)
        return put, next(sheet for each in put for sheet in each.sheets if sheet.instrument.code == code and not sheet.handed_in)


def play(course: Course) -> None:
    """The whole study, as the tests of contents expect it."""
    course.joins("完成", "不想填", "删答案", "留答案", "迟到")
    course.wave("baseline", BASELINE, OPENS, late="keep")
    course.ticks(OPENS)
    minute = OPENS + timedelta(minutes=1)
    course.reaches("完成", minute)
    course.opens("完成", minute)
    first = {1: 1, 2: 36, 3: 2, 4: 1, 5: 2, 6: 1, 7: None, 8: 1}
    course.answers("完成", "intake", OPENS + timedelta(minutes=2), first)
    course.answers("完成", "intake", OPENS + timedelta(minutes=3), {4: 2, 2: 37}, road="typed")  # 5 is asked no longer
    course.answers("完成", "swls", OPENS + timedelta(minutes=4), dict(enumerate(SWLS, 1)) | {3: None}, road="many")
    skipped = dict.fromkeys((2, 3, 4))  # one of depression, two of anxiety
    course.answers("完成", "dass21", OPENS + timedelta(minutes=5), dict(enumerate(DASS, 1)) | skipped, road="web")
    course.answers("完成", "scs", OPENS + timedelta(minutes=5, microseconds=999_999), dict(enumerate(SCS, 1)))
    for code in BASELINE:
        course.hands_in("完成", code, OPENS + timedelta(minutes=6))
    course.declines("不想填", minute)
    course.answers("删答案", "swls", minute, {1: 7, 2: 7})
    course.leaves("删答案", OPENS + timedelta(hours=7), erase=True)  # one o'clock of the next day in Shanghai
    course.answers("留答案", "swls", minute, {1: 3})
    course.answers("留答案", "intake", minute, {4: 1, 5: 2})
    course.leaves("留答案", OPENS + timedelta(hours=1), erase=False)
    course.ticks(CLOSES)
    course.answers("迟到", "swls", CLOSES, {1: 2, 2: 2})
    course.answers("迟到", "intake", CLOSES, {4: None})
    course.joins("后来")
    course.wave("post", ("swls",), CLOSES + timedelta(days=1), shuffled=True)
    course.wave("later", ("swls",), LATER + timedelta(days=1))  # planned, and not in the export
    course.ticks(CLOSES + timedelta(days=1))
    course.answers("后来", "swls", CLOSES + timedelta(days=1, seconds=90), {1: 1, 2: 1})
    course.ticks(CLOSES + timedelta(days=4))


def files(path: Path) -> dict[str, str]:
    """The texts in a zip, by name, without byte order marks."""
    with zipfile.ZipFile(path) as packed:
        assert packed.testzip() is None
        return {name: packed.read(name).decode("utf-8-sig") for name in packed.namelist()}


def table(text: str) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


def shanghai(moment: datetime) -> str:
    """A moment as the export tells it."""
    local = moment.astimezone(UTC) + timedelta(hours=8)
    return f"{local:%Y-%m-%dT%H:%M:%S}+08:00"
