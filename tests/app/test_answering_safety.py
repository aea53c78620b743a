"""Words and answers of danger on the questionnaire page: a flag at once, and people to talk to before the next question."""

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import flags, people
from app.models import Alert, Course, Flag, Person
from tests.app.devices import assignment, device, put, raised, stored, with_form
from tests.delivery.scene import NOW, Desk, at


def test_words_of_danger_raise_a_flag_and_help_comes_before_the_next_question(database_url: str, tmp_path: Path) -> None:
    with Desk(database_url) as desk, at(NOW):
        mine = assignment(desk, desk.person(), put(with_form(desk, tmp_path), ("form", "shs")))
        desk.write(
            lambda tx: flags.add_on_call(tx, desk.keyring, desk.course_id, person_id=None, email="a@b.example", webhook=None, now=NOW)
        )
        with device(desk, mine) as phone:
            phone.open().type("1990-05-02").type("36")
            form = {**phone.page.hidden, "text": "我不想活了"}
            phone.send(form)
            assert phone.heading == "不用一个人扛"
            assert "已经告诉了课程的值班人员" in phone.page.by_class["text"][0]
            assert phone.page.links["12356"] == "tel:12356"
            phone.send(form)  # once more by a bad line
            assert phone.heading == "不用一个人扛"
            assert phone.tap("接着往下").heading == "「几个问题」答完了"
        assert counted_of(desk, mine)[3] == 1, "their words are an answer too"
        assert raised(desk) == ["not_living"]
        assert desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(Alert)).scalar_one()) == 1


def counted_of(desk: Desk, assignment_id: int) -> dict[int, int | None]:
    return {row[1]: row[3] for row in stored(desk, assignment_id) if row[0] == 1}


@pytest.mark.parametrize("typed", ["我不想活了" + "好" * 300, "想死"])
def test_words_of_danger_are_heard_in_whatever_field_they_are_typed_and_however_long(database_url: str, tmp_path: Path, typed: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        mine = assignment(desk, desk.person(), put(with_form(desk, tmp_path), ("form",)))
        with device(desk, mine) as phone:
            phone.open().type("1990-05-02").type(typed)
            assert phone.heading == "不用一个人扛"
            assert phone.tap("接着往下").asked == "年龄？", "a number it is not"
            phone.type("36").type(typed)
            assert phone.tap("接着往下").heading == "「几个问题」答完了"
        assert len(raised(desk)) == 1


def test_words_of_danger_are_heard_after_the_window_and_after_leaving(database_url: str, tmp_path: Path) -> None:
    with Desk(database_url) as desk:
        person = desk.person()
        mine = assignment(desk, person, put(with_form(desk, tmp_path), ("form",), closes_at=NOW + timedelta(hours=1)))
        with device(desk, mine) as phone:
            with at(NOW):
                form = {**phone.open().type("1990-05-02").type("36").page.hidden, "text": "我不想活了"}
            with at(NOW + timedelta(hours=2)):
                assert phone.send(form).heading == "不用一个人扛"
            desk.write(lambda tx: people.left(tx, person, NOW))
            with at(NOW + timedelta(hours=3)):
                assert phone.send(form).heading == "不用一个人扛"
        assert raised(desk) == ["not_living"] * 2
        assert 3 not in counted_of(desk, mine)


def test_a_word_of_stop_belongs_into_the_chat_and_is_no_answer(database_url: str, tmp_path: Path) -> None:
    with Desk(database_url) as desk, at(NOW):
        person = desk.person()
        mine = assignment(desk, person, put(with_form(desk, tmp_path), ("form",)))
        with device(desk, mine) as phone:
            phone.open().type("1990-05-02").type("36").type("退出课程")
            assert phone.told == ["停发消息、退出课程这类事，请在聊天里说；这里只收这道题的答案。"]
            assert phone.page.box is not None
            assert phone.page.box["value"] == "退出课程"
            assert "值班" not in phone.tap("想找人说说话").page.by_class["text"][0], "nobody was told of anything"
        assert raised(desk) == []
        assert desk.read(lambda tx: tx.execute(sa.select(Person.paused_at).where(Person.id == person.id)).scalar_one()) is None


def test_the_courses_own_help_lines_are_shown_where_it_has_some(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW):
        mine = assignment(desk, desk.person(), put(desk))
        lines = {"resources": {"zh": "· 校心理中心 0571-88000000，2026年起每天 9:00-18:00"}}
        desk.write(lambda tx: tx.execute(sa.update(Course).values(details=lines)).rowcount)
        with device(desk, mine) as phone:
            phone.open("help=lines")
            assert phone.page.links["0571-88000000"] == "tel:057188000000"
            assert set(phone.page.links) == {"0571-88000000", "120", "110", "接着往下", "先歇一会儿，回到聊天"}


def test_an_answer_that_means_danger_raises_a_flag_in_its_own_turn_and_once(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        mine = assignment(desk, desk.person(), put(desk, ("dass21",)))
        with device(desk, mine) as phone:
            phone.open()
            for item in range(1, 10):
                assert phone.place.startswith(f"情绪与压力 {item}/21")
                phone.send({**phone.page.hidden, "value": "0"})
            form = {**phone.page.hidden, "value": "2"}
            assert phone.send(form).heading == "不用一个人扛"
            assert raised(desk) == ["answers_hopeless"]
            phone.send(form)  # once more by a bad line: nothing is stored, so nothing is crossed
            assert phone.open().place.startswith("情绪与压力 11/21")
            phone.tap("上一题").send({**phone.page.hidden, "value": "3"})
            assert phone.place.startswith("情绪与压力 11/21"), "it was there before"
        assert raised(desk) == ["answers_hopeless"]
        words = desk.read(lambda tx: tx.execute(sa.select(Flag.words_sealed)).scalar_one())
        assert len(words) < 40, "the answer itself is not in the flag"


def test_a_score_that_means_danger_raises_a_flag_when_the_sheet_is_handed_in(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        mine = assignment(desk, desk.person(), put(desk, ("dass21", "shs")))
        with device(desk, mine) as phone:
            phone.open()
            for item in range(1, 22):
                phone.send({**phone.page.hidden, "value": "1" if item in (10, 21) else "3"})
            assert raised(desk) == []
            assert phone.tap("交上这一份").heading == "不用一个人扛"
            assert raised(desk) == ["answers_score"]
            assert phone.tap("接着往下").heading == "谢谢你", "the thanks come after it"
            assert phone.tap("接着答「主观幸福感」").place == "主观幸福感 1/4 · 总 22/25"
        assert raised(desk) == ["answers_score"]
