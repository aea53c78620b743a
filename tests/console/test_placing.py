"""An assignment: who waits, a balanced proposal beside the whole, changes by hand, and two administrators at once."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from app import ids
from app.db import Tx
from app.keyring import Place
from app.models import Assignment, GivenAnswer, Sheet, Wave
from app.people import Known
from app.placing.known import everybody
from app.questionnaires import waves
from app.questionnaires.waves import Plan
from bots.turns import Role
from tests.console.halls import ASKED, Hall, shares
from tests.console.test_pages import alerts
from tests.console.test_scheduling import shown
from tests.console.visiting import HOME, audited, browsing, staff
from tests.delivery.scene import NOW, Desk, at


@pytest.fixture
def hall(database_url: str) -> Iterator[Hall]:
    with Desk(database_url) as desk, at(NOW):
        yield Hall(desk)


# Who waits, and the proposal ----------------------------------------------------------------------------------------------------------


def test_who_waits_is_seen_with_what_is_known_and_no_name_of_who_has_joined(hall: Hall) -> None:
    hall.crowd(6)
    joined = hall.joined("小雨")
    hall.desk.person("坐着的")
    with browsing(hall.desk, hall.admin) as browser:
        assert browser.get(f"{HOME}/assign").headers["location"] == hall.page
        words = shown(browser.get(hall.page).text)
    assert "还没有小组：7 人 其中 1 人已经加入课程，6 人在名单里" in words
    assert "性别 6 / 7 年龄 6 / 7 城市 6 / 7 冥想经验 6 / 7" in words
    assert f"{hall.number(joined)} R1 客人00" in words
    assert "小雨" not in words
    assert "坐着的" not in words


def test_a_proposal_is_a_table_beside_the_whole(hall: Hall) -> None:
    hall.crowd(20)
    hall.invite("没说什么")
    with browsing(hall.desk, hall.admin) as browser:
        browser.get(hall.page)
        assert browser.post(hall.page + "/propose", ASKED).status_code == 303
        page = browser.get(hall.page)
        table = shares(page.text)
        words = shown(page.text)
    assert table["人数"] == ["21", "11", "10"]
    assert table["女"] == ["10", "5", "5"]
    assert table["北京"] == ["10", "5", "5"]
    assert table["30–39 岁"] == ["20", "10", "10"]
    assert sorted(table["不知道"]) == ["0", "1", "1"]
    assert "很均匀：表里的每一格，和整体比例最多差 1 人" in words
    assert "第1组 · 只有 11 位组员，少于 20 位" in words
    assert f"种子 {hall.draft().seed}" in words
    assert audited(hall.desk, "placing.propose") == [(f"person:{hall.admin.known.id}", f"course:{hall.desk.course_id}")]


def test_answers_to_the_form_count_before_the_roster_and_stay_without_a_name(hall: Hall) -> None:
    for number in range(6):
        _answer(hall, hall.joined(f"答过的{number}"), gender=1 + number % 2, age=44, city="西安市", meditated=1, meditated_for=2)
    with browsing(hall.desk, hall.admin) as browser:
        browser.get(hall.page)
        browser.post(hall.page + "/propose", ASKED)
        page = browser.get(hall.page).text
    table = shares(page)
    assert table["女"] == ["3", table["女"][1], table["女"][2]]
    assert table["40–49 岁"] == table["西安"] == table["三个月以上"] == ["6", "3", "3"]
    assert "答过的" not in page


def _answer(hall: Hall, known: Known, city: str, **answers: int) -> None:
    """Somebody has filled the form of the course."""
    desk = hall.desk
    form = desk.tools.shelf.newest()["intake"]
    items = {item.name: item.number for item in form.items}

    def fill(tx: Tx) -> None:
        wave = tx.execute(sa.select(Wave.id).where(Wave.course_id == desk.course_id)).scalar_one_or_none()
        if wave is None:
            plan = Plan("pre", {"zh": "课前", "en": "Before"}, NOW, NOW + timedelta(days=7), ("intake",), {})
            wave = waves.add(tx, desk.tools.shelf, desk.course_id, plan, NOW)
        assignment, sheet, answer = ids.new_id(), ids.new_id(), ids.new_id()
        about = {"wave_id": wave, "person_id": known.id, "account_id": desk.account_id, "seed": 1, "state": "complete"}
        tx.execute(sa.insert(Assignment).values(id=assignment, **about, changed_at=NOW))
        given = {str(items[name]): [value, 1] for name, value in answers.items()} | {str(items["city"]): [1, 1]}
        kept = {"assignment_id": assignment, "place": 1, "instrument": "intake", "version": form.version, "checksum": form.checksum}
        tx.execute(sa.insert(Sheet).values(id=sheet, **kept, answers=given, changed_at=NOW))
        sealed = known.key.seal(Place("answers", "text_sealed", answer), city)
        told = {"sheet_id": sheet, "item": items["city"], "version": 1, "text_sealed": sealed, "road": "typed", "at": NOW}
        tx.execute(sa.insert(GivenAnswer).values(id=answer, **told))

    desk.write(fill)


def test_groups_that_are_there_come_first_and_whoever_sits_stays(hall: Hall) -> None:
    sits = [hall.desk.person(f"坐着{number}") for number in range(3)]
    hall.invite("说好了的", group=hall.desk.group)
    hall.crowd(8)
    with browsing(hall.desk, hall.admin) as browser:
        browser.get(hall.page)
        browser.post(hall.page + "/propose", {**ASKED, "use": "open"})
        table = shares(browser.get(hall.page).text)
        assert browser.post(hall.page + "/apply", hall.version()).status_code == 303
    assert table["人数"] == ["12", "6", "6"], "four sit there, or have a code that leads there"
    assert hall.members("晨光组") == {each.id for each in sits}
    assert hall.led() == {"晨光组": 3, "第1组": 6}


def test_wishes_are_kept_and_remembered_and_one_that_nobody_can_keep_is_said(hall: Hall) -> None:
    hall.crowd(8)
    couple = hall.joined("一对")
    number = hall.number(couple)
    asked = {**ASKED, "use": "open", "together": f"{number}，r1\n", "apart": "R2 R3\nR1 dawn"}
    with browsing(hall.desk, hall.admin) as browser:
        browser.get(hall.page)
        assert browser.post(hall.page + "/propose", asked).status_code == 303
        page = browser.get(hall.page).text
        assert f">{number} R1</textarea>" in page
        places = _places(hall)
        assert places[number] == places["R1"] == 1, "not in the group of dawn"
        assert places["R2"] != places["R3"]
        browser.post(hall.page + "/move", {**hall.version(), "number": "R1", "place": "0"})
        words = shown(browser.get(hall.page).text)
        assert f"要在一起的没有在一起：{', '.join(sorted([number, 'R1']))}" in words
        assert "不该进这个组的进了：R1" in words
        for wished, words in (
            ({"together": "R1 R99"}, "「R99」不是这里的编号"),
            ({"together": "R1"}, "「R1」这一行只写了一个"),
            ({"apart": "R1 R2 R3"}, "组太少，这些愿望没法都满足：R1, R2, R3"),
            ({"together": "R1 R2", "apart": "R2 R1"}, "R1, R2 又要在一起，又要分开"),
            ({"number": "0"}, "请写要分成几个组"),
            ({"number": "²"}, "请写要分成几个组"),
            ({"number": "1e3"}, "请写要分成几个组"),
            ({"how": "x"}, "请写要分成几个组"),
        ):
            answer = browser.post(hall.page + "/propose", {**ASKED, **wished, **hall.version()})
            assert answer.status_code == 422
            assert alerts(answer.text)[0].startswith(words)
            typed = "".join(wished.get(name, "") for name in ("together", "apart", "number"))
            assert not typed or wished.get("together", wished.get("apart", wished.get("number", ""))) in answer.text, "typed is kept"


def _places(hall: Hall) -> dict[str, int]:
    """The place of each in the draft, by the number that the page gives them."""
    desk, draft = hall.desk, hall.draft()
    people = desk.read(lambda tx: everybody(tx, desk.keyring, desk.tools.shelf, desk.course_id, NOW))
    return {one.number: draft.places[one.key] for one in people if one.key in draft.places}


def test_sizes_follow_from_how_many_shall_be_in_each(hall: Hall) -> None:
    hall.crowd(12)
    with browsing(hall.desk, hall.admin) as browser:
        browser.get(hall.page)
        assert browser.post(hall.page + "/propose", {**ASKED, "how": "size", "number": "4"}).status_code == 303
        assert shares(browser.get(hall.page).text)["人数"] == ["12", "4", "4", "4"]
        full = browser.post(hall.page + "/propose", {**ASKED, "how": "groups", "number": "1", **hall.version()})
        assert full.status_code == 303
        assert shares(browser.get(hall.page).text)["人数"] == ["12", "12"]


# By hand ------------------------------------------------------------------------------------------------------------------------------


def test_people_are_moved_and_swapped_by_their_numbers(hall: Hall) -> None:
    hall.crowd(6)
    with browsing(hall.desk, hall.admin) as browser:
        browser.get(hall.page)
        browser.post(hall.page + "/propose", ASKED)
        before = _places(hall)
        assert browser.post(hall.page + "/move", {**hall.version(), "number": " r1 ", "place": str(1 - before["R1"])}).status_code == 303
        assert _places(hall) == before | {"R1": 1 - before["R1"]}
        other = next(number for number, place in before.items() if place == before["R1"] and number != "R1")
        assert browser.post(hall.page + "/swap", {**hall.version(), "number": "R1", "other": other}).status_code == 303
        assert _places(hall) == before | {other: 1 - before["R1"]}
        for form, words in (
            ({"number": "R77", "place": "0"}, "这份建议里没有这个编号"),
            ({"number": "", "place": "0"}, "这份建议里没有这个编号"),
            ({"number": "R1", "place": "9"}, "这份建议里没有这个组"),
            ({"number": "R1", "place": "-1"}, "这份建议里没有这个组"),
            ({"number": "R1", "place": "²"}, "这份建议里没有这个组"),
        ):
            answer = browser.post(hall.page + "/move", {**hall.version(), **form})
            assert (answer.status_code, alerts(answer.text)[0].startswith(words)) == (422, True)
        seed = hall.draft().seed
        assert browser.post(hall.page + "/again", hall.version()).status_code == 303
        assert hall.draft().seed != seed
        assert browser.post(hall.page + "/drop", hall.version()).status_code == 303
        assert "做一份建议" in shown(browser.get(hall.page).text)


def test_h7_two_administrators_at_once_get_a_sentence_and_lose_nothing(hall: Hall) -> None:
    hall.crowd(6)
    second = staff(hall.desk, "赵管理", Role.ADMINISTRATOR, group=hall.large)
    with browsing(hall.desk, hall.admin) as one, browsing(hall.desk, second) as two:
        one.get(hall.page)
        two.get(hall.page)
        assert one.post(hall.page + "/propose", ASKED).status_code == 303
        late = two.post(hall.page + "/propose", {**ASKED, "number": "3", "together": "R1 R2"})
        assert late.status_code == 409
        assert "你看的是第 0 版，现在是第 1 版。 最后改动：王管理" in shown(late.text)
        assert ">R1 R2</textarea>" in late.text
        assert 'value="3"' in late.text
        seen = hall.version()
        assert one.post(hall.page + "/swap", {**seen, "number": "R1", "other": "R2"}).status_code == 303
        after = _places(hall)
        for deed, form in (
            ("move", {"number": "R3", "place": "1"}),
            ("swap", {"number": "R3", "other": "R4"}),
            ("again", {}),
            ("drop", {}),
        ):
            answer = two.post(f"{hall.page}/{deed}", {**seen, **form})
            assert answer.status_code == 409, deed
            assert "所以你的这一步没有做" in shown(answer.text)
            assert deed != "move" or "你想把 R3 换到另一个组" in shown(answer.text)
        assert two.post(hall.page + "/apply", seen).status_code == 409
        assert _places(hall) == after
        assert hall.led() == {"大群": 6}, "nothing was applied"
        assert one.post(hall.page + "/apply", hall.version()).status_code == 303
        gone = two.post(hall.page + "/apply", seen)
        assert gone.status_code == 409
        assert "那份建议已经应用，或者被丢掉了" in shown(gone.text)
        assert len(audited(hall.desk, "placing.apply")) == 1


def test_a_draft_of_another_time_has_another_version(hall: Hall) -> None:
    hall.crowd(4)
    with browsing(hall.desk, hall.admin) as browser:
        browser.get(hall.page)
        browser.post(hall.page + "/propose", ASKED)
        old = hall.version()
        browser.post(hall.page + "/drop", old)
        browser.post(hall.page + "/propose", ASKED)
        assert hall.version() != old
        assert browser.post(hall.page + "/apply", old).status_code == 409
