"""Nothing leaves in an export but what the allow-list says: no name, no openid, no word of anybody's, no id, no order of enrolment."""

import re
import tomllib
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import roster
from app.db import Tx
from app.keyring import Place
from app.models import Assignment, GivenAnswer, Participant, Person, Sheet, Table, Wave
from app.people import Known
from app.study.columns import WORDS
from bots.questionnaire.instrument import find
from bots.turns import Role
from tests.delivery.answering import Talk
from tests.delivery.scene import NOW, Desk, says
from tests.study import canaries
from tests.study.canaries import CANARY
from tests.study.scene import BASELINE, OPENS, Course, files, play, table

APP = Path(__file__).parents[2] / "app"
BOTS = APP.parent / "bots"


@dataclass(frozen=True)
class Exported:
    """An export with all that was in the database: texts by column, ids, and what one person wrote and how they spelled it."""

    files: dict[str, str]
    texts: dict[str, str]
    ids: set[int]
    written: str
    spelled: set[str]


def lived_in(desk: Desk) -> Course:
    """The study, with a leader's words, a roster and a cry for help in it; whatever people wrote is a canary, sealed by the program."""
    course = Course(desk)
    play(course)
    leader = desk.person(f"{CANARY}李老师", Role.LEADER)
    desk.announced(f"{CANARY} announcement", author=leader)
    desk.plan(f"{CANARY} plan", author=leader)
    listed = roster.parse(".csv", f"姓名,角色,小组,电话\n{CANARY}某人,组员,dawn,13800138001\n".encode())
    desk.write(lambda tx: roster.commit(tx, desk.keyring, desk.course_id, listed, NOW))
    says(desk, 1, f"我不想活了 {CANARY}")
    for known in course.known.values():
        desk.write(partial(_seal, known))
    return course


def _seal(known: Known, tx: Tx) -> None:
    """A name and a phone number as the program keeps them."""
    sealed = {
        f"{name}_sealed": known.key.seal(Place("persons", f"{name}_sealed", known.id), f"{CANARY} {name}") for name in ("name", "phone")
    }
    tx.execute(sa.update(Person).where(Person.id == known.id).values(**sealed))


@pytest.fixture(scope="module")
def exported(shared_url: str, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The export of a database full of canaries."""
    path = tmp_path_factory.mktemp("study") / "study.zip"
    with Desk(shared_url) as desk:
        course = lived_in(desk)
        known = course.known["完成"]
        row = desk.read(lambda tx: tx.execute(sa.select(GivenAnswer).where(GivenAnswer.text_sealed.is_not(None))).one())
        written = known.key.unseal(Place("answers", "text_sealed", row.id), row.text_sealed)
        spelled = desk.read(lambda tx: {str(raw) for raw in tx.execute(sa.select(GivenAnswer.raw)).scalars()})
        desk.write(canaries.plant)
        plan = desk.read(lambda tx: tx.execute(sa.select(Wave.plan).where(Wave.code == "post")).scalar_one())
        marked = {**plan, "title": {"zh": "marked-title", "en": "marked-title"}}
        desk.write(lambda tx: tx.execute(sa.update(Wave).where(Wave.code == "post").values(plan=marked)))
        course.export(path)
        return Exported(files(path), desk.read(canaries.every_text), desk.read(canaries.every_id), written, spelled)


def test_i6_no_planted_word_and_no_id_leaves(exported: Exported) -> None:
    everything = "\n".join(exported.files.values()).casefold()
    assert "marked-title" in everything, "what is planted where the export looks does come out"
    assert CANARY not in everything
    assert not [word for word in ("raw-", "words-", "odesk", "晨光组", "正念自我关怀", "13800138001") if word in everything]
    assert not [number for number in exported.ids if str(number) in everything]


def test_there_were_canaries_in_every_text_and_ids_in_plenty(exported: Exported) -> None:
    texts = {
        f"{table.name}.{column.name}" for table in Table.metadata.sorted_tables for column in table.columns if canaries.is_text(column)
    }
    sealed = ("_sealed", "_index", "_hash", ".wrapped")
    bare = {name for name in texts if CANARY not in exported.texts.get(name, "") and not name.endswith(sealed)}
    assert bare == set(canaries.LEFT), "every text holds a canary, but for those that are left for a reason"
    assert len(exported.ids) > 100
    assert exported.written == "words-完成"
    assert "raw-完成-1" in exported.spelled


def test_rows_and_seeds_do_not_tell_who_came_first(sqlite_url: str, tmp_path: Path) -> None:
    with Desk(sqlite_url) as desk:
        course = Course(desk)
        course.joins(*(f"人{number}" for number in range(20)))
        course.wave("baseline", ("swls",), NOW, shuffled=True)
        course.ticks(NOW)
        course.export(tmp_path / "study.zip", NOW)
        enrolled = desk.read(lambda tx: list(tx.execute(sa.select(Participant.number).order_by(Participant.id)).scalars()))
        seeds = desk.read(lambda tx: list(tx.execute(sa.select(Assignment.seed).order_by(Assignment.person_id)).scalars()))
    lines = [line.partition(",")[0] for line in files(tmp_path / "study.zip")["participants.csv"].splitlines()[1:]]
    assert lines == sorted(enrolled) != enrolled
    ahead = sum(before < after for before, after in pairwise(seeds))
    assert ahead < 18, "seeds that grew with people would be their order"


def test_a_stored_word_of_no_closed_list_is_told_as_other(exported: Exported) -> None:
    written = exported.files
    assert ",other,other," in written["assignments.csv"]
    assert ",other," in written["long.csv"]
    assert not [word for word in ("invited", "answered") if f",{word}," in written["assignments.csv"]], (
        "every state and cause was planted over"
    )


def test_every_cause_that_the_program_writes_is_in_the_closed_list() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in APP.rglob("*.py"))
    causes = set(re.findall(r'Asked\.[A-Z_]+(?:\.value)?, "(\w+)", now', source)) | set(re.findall(r'"cause": "(\w+)"', source))
    assert len(causes) >= 8
    assert causes <= set(WORDS["assignments.csv", "cause"])


def test_answers_of_somebody_who_wanted_them_deleted_stay_out_even_where_rows_are_left(sqlite_url: str, tmp_path: Path) -> None:
    with Desk(sqlite_url) as desk:
        course = Course(desk)
        course.joins("小雨")
        course.wave("baseline", ("swls",), OPENS)
        course.ticks(OPENS)
        course.leaves("小雨", OPENS, erase=True)
        left = sa.update(Sheet).values(answers={str(item): [7, 1] for item in range(1, 6)})
        desk.write(lambda tx: tx.execute(left))
        course.export(tmp_path / "study.zip")
    found = files(tmp_path / "study.zip")
    assert {(row["value"], row["missing"]) for row in table(found["long.csv"])} == {("", "erased")}
    assert {row["value"] for row in table(found["scores.csv"])} == {""}


def words_that_bots_know() -> list[str]:
    """Every short text of every bot, in both languages, and every command, as somebody may type them; but none by which one leaves."""
    found: set[str] = {
        "公告",
        "列表",
        "谁收到了",
        "谁收到了 1",
        "换课程",
        "announce",
        "list",
        "who got it",
        "取消 1",
        "评估",
        "分数",
        "得分",
        "导出",
        "export",
        "scores",
        "flags",
        "answers",
        "查看 1",
    }
    for path in BOTS.glob("*/texts.*.toml"):
        texts = [tomllib.loads(path.read_text(encoding="utf-8"))]
        while texts:
            for value in texts.pop().values():
                texts += [value] if isinstance(value, dict) else []
                found |= set(re.split(r"[|\n：:「」]", value)) if isinstance(value, str) else set()
    leaves = re.compile("退出|离开|删|quit|leave|erase|{", re.IGNORECASE)
    return sorted(word for word in found if 0 < len(word.strip()) < 20 and not leaves.search(word))


@pytest.mark.parametrize("role", [Role.RESEARCHER, Role.LEADER, Role.MENTOR])
def test_i6_nobody_reads_an_answer_or_a_score_in_the_chat_and_a_researcher_no_name(role: Role, database_url: str) -> None:
    with Desk(database_url) as desk:
        course = Course(desk)
        course.joins(f"{CANARY}小雨")
        course.wave("baseline", BASELINE, OPENS)
        course.ticks(OPENS)
        minute = OPENS + timedelta(minutes=1)
        course.answers(f"{CANARY}小雨", "intake", minute, {1: 1, 2: 97, 3: 2, 4: 2, 6: 1, 7: None, 8: 1})
        course.answers(f"{CANARY}小雨", "dass21", minute, dict.fromkeys(range(1, 22), 3))
        course.hands_in(f"{CANARY}小雨", "dass21", minute)
        desk.person("某人", role)
        talk = Talk(desk, 2, now=minute)
        replies = [talk.says(word) for word in words_that_bots_know()]
        replies += [talk.taps_id(choice, label) for label, choice in dict(talk.links).items() if "退出" not in label]
    assert len(replies) > 200
    assert len({*replies}) > 20, "there were answers of many kinds"
    told = "\n".join(replies)
    private = ["words-", "raw-", "97", desk.openid(1), *(item.topic for item in find()["dass21"].items)]
    private += [title for code in ("dass21", "swls") for title in find()[code].title.values()]
    private += [CANARY] if role is Role.RESEARCHER else []
    assert not [word for word in private if word in told]
