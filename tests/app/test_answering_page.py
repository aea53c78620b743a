"""The page on which questionnaires are answered: one session with the chat, nothing lost, nothing twice, whoever taps when."""

import re
import threading
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from app import people
from app.db import Database
from app.models import GivenAnswer
from app.questionnaires import pages, sheets
from bots.effects import HandIn
from tests.app.devices import (
    Device,
    assignment,
    chat,
    counted,
    device,
    open_ones,
    put,
    states,
    stored,
    the_sheet,
    with_form,
)
from tests.delivery.answering import Talk, value_label
from tests.delivery.scene import NOW, Desk, at, together


def test_a_wave_is_answered_from_the_first_question_to_the_last_thanks(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        mine = assignment(desk, desk.person(), put(desk, ("intake", "shs")))
        with device(desk, mine) as phone:
            phone.open()
            assert (phone.asked, phone.place) == ("你的性别是？", "基本情况 1/7 · 总 1/11")
            assert phone.page.by_class["opening"][0].endswith("而且看不到你的名字。")
            assert "demonstration" not in phone.answer.text
            phone.tap("女").type("３６ 岁").tap("研究生").tap("练过")
            assert (phone.asked, phone.place) == ("大概练了多久？", "基本情况 5/8 · 总 5/12")
            assert phone.page.progress == {"max": "12", "value": "4", "aria-label": "已答 4 题，共 12 题"}
            phone.tap("三个月或更久").tap("是第一次").tap("没有").type("杭州")
            assert phone.heading == "「基本情况」答完了"
            assert [words.split(" ")[-2] for words in phone.page.by_tag["li"]][:2] == ["女", "36"]
            phone.tap("交上这一份")
            assert phone.heading == "谢谢你"
            assert "还剩 1 份：「主观幸福感」，大约 1 分钟" in phone.page.by_class["text"][1]
            phone.tap("接着答「主观幸福感」")
            for place, spoken in enumerate(("7，很快乐", "1，远不如他们快乐", "4，有点像", "2，不像"), start=1):
                assert phone.place == f"主观幸福感 {place}/4 · 总 {8 + place}/12"
                phone.tap(spoken)
            phone.tap("交上这一份")
            assert phone.heading == "谢谢你，都答完了"
            assert phone.open().heading == "谢谢你，都答完了", "the link says so as long as it is good"
        assert [row[2:] for row in stored(desk, mine)][:2] == [(1, 1, "web"), (1, 36, "web")]
        assert len(stored(desk, mine)) == 12
        assert [state for state, _ in states(desk, mine)] == ["invited", "opened", "partial", "complete"]


def test_everything_is_said_in_the_persons_language(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        person = desk.person("Amy")
        desk.write(lambda tx: people.set_language(tx, person.id, "en"))
        mine = assignment(desk, person, put(desk, ("dass21",), skips=True))
        with device(desk, mine) as phone:
            phone.open()
            assert '<html lang="en">' in phone.answer.text
            assert phone.place == "Mood and stress 1/21 · 1 of 21"
            assert "Please think back over the past week" in phone.page.by_class["opening"][0]
            assert set(phone.page.buttons) >= {"0, not at all", "Skip this one"}
            assert "Take a break, back to the chat" in phone.page.links


def test_what_does_not_fit_is_told_in_one_sentence_and_nothing_typed_is_lost(database_url: str, tmp_path: Path) -> None:
    wrong = {
        "born": [
            ("", "这里还空着。请填好再点下一题。"),
            ("1990-02-30", "请填一个完整的日期，比如 1990-05-21。"),
            ("昨天", ""),
            ("2199-01-01", ""),
        ],
        "age": [
            ("", "这里还空着。请填好再点下一题。"),
            ("七岁", "请填 18 到 99 之间的整数。"),
            ("17", ""),
            ("100", ""),
            ("1e2", ""),
            ("-36", ""),
        ],
        "city": [(" \u0000 ", "这里还空着。请填好再点下一题。"), ("好" * 201, "写得有点长，最多 200 个字。请缩短一些。")],
    }
    right = {
        "born": ["1990年5月2日", "1990-05-02"],
        "age": ["３６周岁", "36"],
        "city": ["<b>上海</b> & “北京”\u202e", "<b>上海</b> & “北京”\u202e"],
    }
    with Desk(database_url) as desk, at(NOW):
        mine = assignment(desk, desk.person(), put(with_form(desk, tmp_path), ("form",)))
        with device(desk, mine) as phone:
            phone.open()
            for name, tries in wrong.items():
                for typed, sentence in tries:
                    phone.type(typed)
                    assert phone.answer.status_code == 422
                    assert len(phone.told) == 1
                    assert sentence in phone.told[0]
                    assert phone.page.box is not None
                    assert phone.page.box["value"] == typed.strip(" \0")
                phone.type(right[name][0])
                assert phone.answer.status_code == 200
            assert [row.split(" ", 1)[1].removesuffix(" 改") for row in phone.page.by_tag["li"]] == [shown for _, shown in right.values()]
            phone.tap(next(words for words in phone.page.links if "城市" in words))
            assert phone.page.box is not None
            assert phone.page.box["value"] == right["city"][1], "their own words are shown again"
        assert counted(desk, mine) == {1: 19900502, 2: 36, 3: 1}
        sealed = desk.read(lambda tx: tx.execute(sa.select(GivenAnswer.raw, GivenAnswer.text_sealed).where(GivenAnswer.item == 3)).one())
        assert sealed.raw is None
        assert b"\xe4\xb8\x8a" not in sealed.text_sealed


def test_a_question_is_left_out_only_where_the_study_allows_it(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        person = desk.person()
        strict, free = (assignment(desk, person, put(desk, code=code, skips=skips)) for code, skips in (("a", False), ("b", True)))
        with device(desk, strict) as phone:
            phone.open()
            assert "跳过这一题" not in phone.page.buttons
            phone.send({**phone.page.hidden, "skip": "1"})
            assert (phone.answer.status_code, len(phone.told)) == (422, 1)
        with device(desk, free) as phone:
            phone.open().tap("跳过这一题")
            assert phone.place == "主观幸福感 2/4 · 总 2/4"
            assert "你之前选的是「跳过了」" in phone.tap("上一题").page.by_class["hint"][0]
        assert (stored(desk, strict), counted(desk, free)) == ([], {1: None})


def test_the_former_question_is_corrected_and_the_old_answer_stays_as_a_version(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        mine = assignment(desk, desk.person(), put(desk))
        with device(desk, mine) as phone:
            phone.open().tap("5，还算快乐").tap("4，跟他们差不多").tap("上一题").tap("上一题")
            assert phone.page.chosen == ["5，还算快乐，这是你之前选的"]
            assert phone.tap("不改了，接着往下").place.startswith("主观幸福感 3/4")
            phone.tap("上一题").tap("上一题")
            form = phone.page.hidden
            for _ in range(3):  # the same form three times: once by the person, twice by a bad line
                phone.send({**form, "value": "6"})
                assert phone.place.startswith("主观幸福感 3/4")
            phone.tap("上一题").tap("上一题").tap("6，快乐，这是你之前选的")  # the same again is no new version
        assert stored(desk, mine) == [(1, 1, 1, 5, "web"), (1, 1, 2, 6, "web"), (1, 2, 1, 4, "web")]


def test_a_correction_in_the_review_may_open_a_question_again(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        mine = assignment(desk, desk.person(), put(desk, ("intake",)))
        with device(desk, mine) as phone:
            phone.open().tap("女").type("36").tap("研究生").tap("没练过").tap("是第一次").tap("没有").type("杭州")
            review = phone.page.hidden
            phone.tap(next(words for words in phone.page.links if "冥想" in words)).tap("练过")
            assert phone.asked == "大概练了多久？"
            assert phone.send({**review, "handin": "1"}).asked == "大概练了多久？", "it is not handed in with a question open"
            phone.tap("不到三个月").tap("交上这一份")
            assert phone.heading == "谢谢你，都答完了"
            assert phone.send({**review, "handin": "1"}).heading == "谢谢你，都答完了", "a second tap changes nothing"


def test_a_second_tap_on_the_same_page_overwrites_nothing_and_says_so(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        mine = assignment(desk, desk.person(), put(desk))
        with device(desk, mine) as phone:
            form = phone.open().page.hidden
            phone.send({**form, "value": "3"})
            phone.send({**form, "value": "3"})
            assert (phone.place, phone.told) == ("主观幸福感 2/4 · 总 2/4", []), "a repeat is not worth a word"
            phone.send({**form, "value": "7"})
            assert phone.place == "主观幸福感 2/4 · 总 2/4"
            assert phone.told == ["第 1 题已经有答案「不太快乐」，没有改动。想改的话，往回翻到那一题就行。"]
        assert stored(desk, mine) == [(1, 1, 1, 3, "web")]


def test_a_reload_after_an_answer_repeats_nothing(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        mine = assignment(desk, desk.person(), put(desk))
        with device(desk, mine) as phone:
            phone.open().tap("3，不太快乐")
            (answered,) = phone.answer.history
            assert answered.status_code == 303
            assert answered.headers["location"] == phone.address.removeprefix("/q/"), "the Host that a caller claims is in no address"
            assert phone.answer.request.method == "GET"
            assert phone.send({**phone.page.hidden, "show": "1"}).place == "主观幸福感 1/4 · 总 1/4", (
                "an item can be asked for by a form too"
            )
        assert len(stored(desk, mine)) == 1


def test_a_pause_says_what_is_stored_and_how_to_go_on(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        mine = assignment(desk, desk.person(), put(desk))
        with device(desk, mine) as phone:
            phone.open().tap("3，不太快乐").tap("先歇一会儿，回到聊天")
            assert "已经答的 1 题都收好了（一共 4 题）。" in phone.page.by_class["text"]
            assert "可以答到 11月30日 周一 18:00。" in phone.page.by_class["text"]
            assert phone.tap("现在接着答").place == "主观幸福感 2/4 · 总 2/4"


def test_chat_and_page_take_turns_without_losing_or_repeating_an_item(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        person = desk.person()
        mine = assignment(desk, person, put(desk))
        sheet = the_sheet(desk, mine)
        with device(desk, mine) as phone:
            phone.open().tap("3，不太快乐")
            chat(desk, person, sheet, 2, 5)
            assert phone.tap("1，远不如他们快乐").told == [
                "第 2 题已经有答案「比他们稍快乐些」，没有改动。想改的话，往回翻到那一题就行。"
            ], "the page that lay open asked the second question still"
            assert phone.place == "主观幸福感 3/4 · 总 3/4"
            phone.tap("4，有点像")
            chat(desk, person, sheet, 4, 1)
            assert phone.open().heading == "「主观幸福感」答完了"
            desk.write(lambda tx: sheets.hand_in(tx, open_ones(tx, desk, person), HandIn(sheet), NOW))
            assert phone.tap("交上这一份").heading == "谢谢你，都答完了"
        assert [row[1:] for row in stored(desk, mine)] == [(1, 1, 3, "web"), (2, 1, 5, "tapped"), (3, 1, 4, "web"), (4, 1, 1, "tapped")]


def test_somebody_goes_from_the_chat_to_the_page_and_back(database_url: str) -> None:
    with Desk(database_url) as desk:
        mine = assignment(desk, desk.person(), put(desk))
        talk = Talk(desk, 1)
        talk.says("问卷")
        talk.taps(value_label(desk, "shs", 1, 3))
        token = re.search(r"/q/(\S+)", talk.says("网页"))
        assert token is not None
        with at(talk.now), Device(desk.assembly, token[1]) as phone:
            assert phone.open().place == "主观幸福感 2/4 · 总 2/4"
            phone.tap("5，比他们稍快乐些")
        assert "主观幸福感 3/4" in talk.says("在吗"), "any word, and the chat goes on behind what was answered on the page"
        talk.says("2")
        with at(talk.now), Device(desk.assembly, token[1]) as phone:
            phone.open().tap("7，像极了").tap("交上这一份")
            assert phone.heading == "谢谢你，都答完了"
        assert talk.says("问卷").startswith("现在没有要填的问卷。")
        assert [row[1:] for row in stored(desk, mine)] == [(1, 1, 3, "tapped"), (2, 1, 5, "web"), (3, 1, 2, "typed"), (4, 1, 7, "web")]


def test_a_correction_does_not_undo_what_was_corrected_elsewhere_meanwhile(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        person = desk.person()
        mine = assignment(desk, person, put(desk))
        with device(desk, mine) as phone:
            phone.open().tap("3，不太快乐").tap("上一题")
            chat(desk, person, the_sheet(desk, mine), 1, 6)
            phone.tap("1，很不快乐")
            assert phone.told == ["第 1 题已经有答案「快乐」，没有改动。想改的话，往回翻到那一题就行。"]
            assert phone.tap("上一题").tap("1，很不快乐").told == []
        assert [row[2:] for row in stored(desk, mine)] == [(1, 3, "web"), (2, 6, "tapped"), (3, 1, "web")]


def test_a_sheet_that_was_handed_in_meanwhile_takes_nothing_from_a_page_that_lay_open(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        person = desk.person()
        mine = assignment(desk, person, put(desk, ("shs", "swls")))
        with device(desk, mine) as phone:
            phone.open().tap("3，不太快乐").tap("上一题")
            late = {**phone.page.hidden, "value": "7"}
            first = int(late["sheet"])
            for item in (2, 3, 4):
                chat(desk, person, first, item, 4)
            desk.write(lambda tx: sheets.hand_in(tx, open_ones(tx, desk, person), HandIn(first), NOW))
            assert phone.send(late).place == "生活满意度 1/5 · 总 5/9"
            assert phone.open(f"sheet={first}&item=2").place == "生活满意度 1/5 · 总 5/9", "an old address shows what is open"
        assert len(stored(desk, mine)) == 4


def test_two_devices_at_once_are_one_after_the_other(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), ExitStack() as stack:
        mine = assignment(desk, desk.person(), put(desk, ("scs", "shs")))
        others = [stack.enter_context(Database(database_url)) for _ in range(2)]  # two processes, as far as the database can tell
        phones = [stack.enter_context(device(desk, mine, replace(desk.assembly, database=each))) for each in others]
        start, last = threading.Barrier(2, timeout=30), dict[str, str]()

        def answers(phone: Device, value: str) -> None:
            start.wait()
            phone.open()
            for _ in range(80):
                if phone.page.buttons and phone.answer.status_code == 200:
                    phone.send({**phone.page.hidden, **({"value": value} if phone.asked else {"handin": "1"})})
                elif phone.heading == "谢谢你":
                    phone.open()
            last[value] = phone.heading

        threads = [threading.Thread(target=answers, args=each) for each in zip(phones, ("2", "4"), strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert last == dict.fromkeys(("2", "4"), "谢谢你，都答完了")
        assert [row[:3] for row in stored(desk, mine)] == [(1, item, 1) for item in range(1, 27)] + [(2, item, 1) for item in range(1, 5)]
        assert [state for state, _ in states(desk, mine)] == ["invited", "opened", "partial", "complete"]


def test_two_devices_with_one_question_store_one_answer(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        mine = assignment(desk, desk.person(), put(desk))
        sheet = str(the_sheet(desk, mine))
        for item in range(1, 5):
            forms = [{"sheet": sheet, "item": str(item), "value": value} for value in ("1", "3", "5", "7")]
            went = together(desk, [partial(_submitted, desk, mine, form) for form in forms])
            assert sum(isinstance(each, pages.Go) and each.query == "" for each in went) == 1, "the others are told that one stands"
        assert [row[1:3] for row in stored(desk, mine)] == [(item, 1) for item in range(1, 5)]


def _submitted(desk: Desk, assignment_id: int, form: dict[str, str], tx: sa.Connection) -> object:
    return pages.submit(tx, desk.tools, assignment_id, form, NOW)
