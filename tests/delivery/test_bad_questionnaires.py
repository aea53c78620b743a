"""Bad inputs, group E: whatever somebody types, taps or forges, an answer lands at the item that it belongs to, once, or nowhere."""

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import courses, groups, inbox, people
from app.channels import PushKind
from app.models import Audit, Course, Delivery, Flag, GivenAnswer, InboxItem, Participant, Sheet
from app.questionnaires.shelf import Shelf
from bots.questionnaire.instrument import FOLDER, every, load
from bots.questionnaire.scoring import score
from bots.turns import Role
from tests.bots.test_instruments import SMALL
from tests.delivery.answering import CLOSES, Talk, go_on, standing, stored, value_label, wave
from tests.delivery.scene import NOW, Desk, incoming, together

#: What is accepted for 3 on a scale from 1 to 5, and what is not accepted for anything.
THREES = ("3", "３", "三", "③", "选3", "第三个", "3。", '"3"', "3️⃣", "有时", "3. 有时", "3、有时", "我选3")
NOTHINGS = (
    "6",
    "0",
    "-1",
    "0.5",
    "99",
    "²",
    "٣",
    "A",
    "1_0",
    "01",
    "三十",
    "3 有点累了今天",
    "四月",
    "33",
    "３３",
    "½",
    "𝟛x",
    "null",
    "3-4",
)


def test_e1_only_spellings_from_the_table_are_answers(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        asked = wave(desk, ["scs"])
        talk.says("问卷")
        for item, typed in enumerate(THREES, start=1):
            assert f"自我关怀 {item}/26" in talk.reply, typed
            talk.says(typed)
        assert stored(desk, person.id, asked) == {"scs": dict.fromkeys(range(1, len(THREES) + 1), 3)}
        for typed in NOTHINGS:
            assert f"自我关怀 {len(THREES) + 1}/26" in talk.says(typed), typed
            assert "几乎总是" in talk.reply, "the options are shown again"
        assert len(stored(desk, person.id, asked)["scs"]) == len(THREES)
        raw = desk.read(lambda tx: tx.execute(sa.select(GivenAnswer.raw).order_by(GivenAnswer.item)).scalars().all())
        assert raw == [" ".join(typed.split()) for typed in THREES], "what was typed stands beside the value"


def test_e1_several_answers_in_one_message_fill_the_next_and_ask_for_what_failed(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        asked = wave(desk, ["shs", "swls"])
        talk.says("问卷")
        assert "第 3 题没看懂" in talk.says("3，4、x 5")
        assert "主观幸福感 3/4" in talk.reply
        assert stored(desk, person.id, asked)["shs"] == {1: 3, 2: 4, 4: 5}
        assert "都答好了" in talk.says("6")
        talk.says("好")
        assert "多出来的 1 个没有用上" in talk.says("1 2 3 4 5 6")
        assert stored(desk, person.id, asked) == {"shs": {1: 3, 2: 4, 3: 6, 4: 5}, "swls": {1: 1, 2: 2, 3: 3, 4: 4, 5: 5}}
        roads = desk.read(lambda tx: tx.execute(sa.select(GivenAnswer.road).order_by(GivenAnswer.id)).scalars().all())
        assert roads == ["many"] * 3 + ["typed"] + ["many"] * 5


def test_e2_a_late_tap_corrects_the_item_that_it_names(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        asked = wave(desk, ["scs"])
        talk.says("问卷")
        old = talk.links["很少"]
        talk.taps("有时")
        talk.taps("经常")
        assert "第 1 题改成「很少」了，原来是「有时」。" in talk.taps_id(old, "很少")
        assert "自我关怀 3/26" in talk.reply
        assert stored(desk, person.id, asked)["scs"] == {1: 2, 2: 4}
        versions = desk.read(lambda tx: tx.execute(sa.select(GivenAnswer.value).where(GivenAnswer.item == 1)).scalars().all())
        assert {*versions} == {2, 3}, "the old value is kept as a version"
        talk.says(" ".join("3" * 24))
        talk.says("交")
        assert "已经交过或者截止了" in talk.taps_id(old, "很少")
        assert stored(desk, person.id, asked)["scs"][1] == 2, "what was handed in stays"


def test_e3_words_that_were_sent_before_the_question_are_no_answer_to_it(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        asked = wave(desk, ["scs"])
        talk.says("问卷")
        talk.says("3")
        shown = talk.now
        for seconds in (3, 2, 1):
            assert "在看到这一题之前发的" in talk.says("2", sent=shown - timedelta(seconds=seconds)), "also the second one that came late"
        assert stored(desk, person.id, asked)["scs"] == {1: 3}
        talk.says("2")
        assert stored(desk, person.id, asked)["scs"] == {1: 3, 2: 2}


def test_e4_the_same_menu_tapped_twice_is_a_correction_and_no_second_answer(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        asked = wave(desk, ["scs"])
        talk.says("问卷")
        choices = dict(talk.links)
        talk.taps_id(choices["有时"], "有时")
        assert "第 1 题改成「经常」了" in talk.taps_id(choices["经常"], "经常")
        assert "第 1 题本来就是「经常」" in talk.taps_id(choices["经常"], "经常")
        assert stored(desk, person.id, asked)["scs"] == {1: 4}


def test_e5_the_order_in_which_the_server_takes_them_counts(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        asked = wave(desk, ["scs"])
        talk.says("问卷")
        talk.now += timedelta(seconds=10)
        disordered = [talk.made(PushKind.WROTE, text) for text in ("5", "1", "4")]
        for pushed in disordered:
            talk.read(talk.take(pushed))
        assert stored(desk, person.id, asked)["scs"] == {1: 5, 2: 1, 3: 4}
        sent = desk.read(lambda tx: tx.execute(sa.select(InboxItem.sent_at).order_by(InboxItem.id)).scalars().all())
        assert sent[-1] == disordered[-1].sent_at


def test_e6_two_devices_are_one_after_the_other(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        asked = wave(desk, ["scs"])
        talk.says("问卷")
        talk.now += timedelta(seconds=10)
        taps = [talk.made(PushKind.TAPPED, label, talk.links[label]) for label in ("很少", "经常")]
        doors = [incoming(desk, pushed) for pushed in taps]
        together(desk, [lambda tx, door=door: inbox.take(tx, desk.tools, door) for door in doors])  # type: ignore[misc]
        assert stored(desk, person.id, asked)["scs"][1] in (2, 4)
        versions = desk.read(lambda tx: tx.execute(sa.select(GivenAnswer.version).where(GivenAnswer.item == 1)).scalars().all())
        assert sorted(versions) == [1, 2]


@pytest.mark.parametrize("forged", ["other person", "other session", "unknown option", "unknown item", "long", "nothing"])
def test_e7_a_forged_choice_is_asked_again(database_url: str, forged: str) -> None:
    with Desk(database_url) as desk:
        person, other = desk.person(), desk.person("王芳")
        talk, theirs = Talk(desk, 1), Talk(desk, 2)
        asked = wave(desk, ["scs"])
        talk.says("问卷")
        theirs.says("问卷")
        own = talk.links["有时"].partition("~")[0]
        sign = desk.assembly.links().for_person
        signed = {
            "other session": own.replace(own.split(".")[2], "zzzz"),
            "unknown option": own[: own.rindex(".")] + ".9",
            "unknown item": ".".join([*own.split(".")[:3], "77", "3"]),
        }
        if forged in signed:
            wire = sign(person.id)(signed[forged], "有时", "有时")
            choice = wire.partition("msgmenuid=")[2].partition('"')[0]
        else:
            choice = {"other person": theirs.links["有时"], "long": own + "x" * 1000, "nothing": ""}[forged]
        talk.taps_id(choice, "有时")
        assert "自我关怀 1/26" in talk.reply
        assert stored(desk, person.id, asked) == stored(desk, other.id, asked) == {"scs": {}}


def test_e8_a_tap_without_its_id_is_read_by_its_words(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        asked = wave(desk, ["scs"])
        talk.says("问卷")
        talk.says("经常")
        assert stored(desk, person.id, asked)["scs"] == {1: 4}


def test_e9_who_leaves_and_returns_goes_on_where_they_were(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        asked = wave(desk, ["scs"])
        talk.says("问卷")
        talk.says("3 3 3")
        desk.announced("今晚见")
        talk.leaves()
        waiting = desk.read(lambda tx: tx.execute(sa.select(Delivery.state).where(Delivery.person_id == person.id)).scalars().all())
        assert sorted(waiting) == ["cancelled", "unreachable"], "the invitation was taken back; nothing is sent to somebody who left"
        talk.now += timedelta(minutes=1)
        assert "自我关怀 4/26" in talk.returns()
        talk.says("5")
        assert stored(desk, person.id, asked)["scs"] == {1: 3, 2: 3, 3: 3, 4: 5}
        talk.leaves()
        go_on(desk, CLOSES)
        talk.now = CLOSES + timedelta(hours=1)
        talk.returns()
        talk.says("5")
        assert len(stored(desk, person.id, asked)["scs"]) == 4
        assert standing(desk, person.id, asked) == "window_closed"


@pytest.mark.parametrize("erase", [True, False])
def test_e10_a_withdrawal_acts_at_once(database_url: str, erase: bool) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        asked = wave(desk, ["scs"])
        talk.says("问卷")
        talk.says("3 3 3")
        desk.announced("今晚见")
        talk.says("退出课程")
        talk.says("退出并删除" if erase else "只退出")
        talk.taps(
            "退出并删除答案"
            if erase and "退出并删除答案" in talk.links
            else next(x for x in talk.links if ("删" in x) is erase and "退出" in x and "不" not in x)
        )
        assert standing(desk, person.id, asked) == "withdrawn"
        assert stored(desk, person.id, asked)["scs"] == ({} if erase else {1: 3, 2: 3, 3: 3})
        states = desk.read(lambda tx: tx.execute(sa.select(Delivery.state).where(Delivery.person_id == person.id)).scalars().all())
        assert not {"ready", "claimed", "waiting", "retry"} & set(states)
        talk.says("3")
        assert len(stored(desk, person.id, asked)["scs"]) == (0 if erase else 3), "nothing is taken any more"


@pytest.mark.parametrize(("seconds", "taken"), [(-1, True), (0, False), (1, False)])
def test_e11_the_window_ends_at_its_moment_that_moment_not_included(database_url: str, seconds: int, taken: bool) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1, pace=timedelta())
        asked = wave(desk, ["scs"])
        talk.now = CLOSES - timedelta(minutes=1)
        talk.says("问卷")
        talk.now = CLOSES + timedelta(seconds=seconds)
        talk.says("3")
        assert ("已经截止" not in talk.reply) is taken
        assert stored(desk, person.id, asked)["scs"] == ({1: 3} if taken else {})


def test_e11_what_comes_late_is_kept_where_the_study_says_so(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        asked = wave(desk, ["shs"], late="keep")
        talk.says("问卷")
        go_on(desk, CLOSES)
        talk.now = CLOSES + timedelta(days=2)
        talk.says("3 3 3 3")
        talk.says("交")
        assert stored(desk, person.id, asked)["shs"] == {1: 3, 2: 3, 3: 3, 4: 3}
        assert standing(desk, person.id, asked) == "complete"
        at = desk.read(lambda tx: tx.execute(sa.select(sa.func.min(GivenAnswer.at))).scalar_one())
        assert at is not None


def test_e12_a_new_version_of_an_instrument_leaves_running_sheets_alone(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        asked = wave(desk, ["shs"])
        talk.says("问卷")
        newer = [load(path) for path in FOLDER.glob("*.toml")]
        shs = next(each for each in newer if each.code == "shs")
        changed = replace(shs, version=2, items=tuple(replace(item, words={"zh": "新的话", "en": "new words"}) for item in shs.items))
        object.__setattr__(desk.tools, "shelf", Shelf([*newer, changed]))
        talk.says("3")
        assert "新的话" not in talk.reply
        later = wave(desk, ["shs"], code="post")
        versions = desk.read(lambda tx: tx.execute(sa.select(Sheet.version).order_by(Sheet.id)).scalars().all())
        assert list(versions) == [1, 2]
        assert stored(desk, person.id, asked)["shs"] == {1: 3}
        assert stored(desk, person.id, later)["shs"] == {}


def test_e13_an_answer_never_lands_in_the_other_course(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        other = desk.write(lambda tx: courses.create(tx, desk.keyring, NOW, account_id=desk.account_id, code="sleep", title="好好睡觉"))
        group = desk.write(lambda tx: groups.create(tx, other, code="night", name="夜谈组"))
        desk.write(lambda tx: people.consent(tx, person.id, other, courses.SHIPPED_CONSENT, ("online",), NOW))
        desk.write(lambda tx: groups.enter(tx, group, person.id, Role.PARTICIPANT, NOW))
        desk.write(lambda tx: groups.number_participant(tx, other, person.id, NOW))
        here = wave(desk, ["shs"])
        there = wave(desk, ["shs"], course_id=other, closes_at=CLOSES + timedelta(days=1))
        assert "先填哪一份" in talk.says("问卷")
        assert "好好睡觉" in talk.reply
        talk.taps("好好睡觉 · 课前问卷")
        talk.taps(value_label(desk, "shs", 1, 1))
        talk.says("2")
        assert stored(desk, person.id, here)["shs"] == {}
        assert set(stored(desk, person.id, there)["shs"]) == {1, 2}
        assert desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(Course)).scalar_one()) == 2


def test_e14_after_a_lost_reply_the_repeat_gets_the_same_and_any_word_brings_the_question(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        asked = wave(desk, ["scs"])
        talk.says("问卷")
        talk.now += timedelta(seconds=9)
        lost = talk.made(PushKind.WROTE, "3")
        first = talk.take(lost)
        talk.now += timedelta(seconds=5)
        again = talk.take(lost)
        assert (again.reply, again.inbox_id) == (first.reply, first.inbox_id)
        assert stored(desk, person.id, asked)["scs"] == {1: 3}
        assert "自我关怀 2/26" in talk.says("喂？")


def test_e15_a_restart_between_any_two_steps_changes_nothing(database_url: str) -> None:
    answers = [(item * 7 + 1) % 4 for item in range(21)]
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        asked = wave(desk, ["dass21"])
        for words in ("问卷", *map(str, answers), "交"):
            talk.says(words)
            desk.restart()
        assert stored(desk, person.id, asked)["dass21"] == dict(enumerate(answers, start=1))
        assert standing(desk, person.id, asked) == "complete"


def test_e16_the_score_of_what_was_answered_is_that_of_the_sheet(database_url: str) -> None:
    with Desk(database_url) as desk:
        lowest, highest, gap = desk.person(), desk.person("王芳"), desk.person("阿宁")
        asked = wave(desk, ["dass21"], skips=True)
        for number, answers in ((1, ["0"] * 21), (2, ["3"] * 21), (3, ["1"] * 20 + ["跳过"])):
            talk = Talk(desk, number)
            talk.says("问卷")
            for answer in answers:
                talk.says(answer)
            talk.says("交")
        instrument = desk.tools.shelf.newest()["dass21"]

        def made(person_id: int) -> dict[str, tuple[float | None, int]]:
            values = {item: value for item, value in stored(desk, person_id, asked)["dass21"].items() if value is not None}
            return {code: (each.value, each.missing) for code, each in score(instrument, values).items() if "doubled" not in code}

        assert {value for value, _ in made(lowest.id).values()} == {0.0}
        assert {value for value, _ in made(highest.id).values()} == {21.0}
        assert made(gap.id)["depression"] == (7.0, 1), "one of seven is missing, and the mean of the others stands for it"


def test_e17_five_codes_an_hour_and_no_word_of_what_exists(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.write(lambda tx: groups.invite(tx, desk.keyring, desk.group, NOW, code="MORNING234"))
        talk = Talk(desk, 1)
        talk.returns()
        told = {talk.says(f"邀请码 ABCDEFGH2{letter}") for letter in "23456"}
        assert len(told) <= 2, "one answer, and the one that says to wait"
        assert "MORNING234" not in talk.says("邀请码 MORNING234")
        assert desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(Participant)).scalar_one()) == 0


def test_e18_nobody_can_claim_the_number_of_another(database_url: str) -> None:
    with Desk(database_url) as desk:
        owner, other = desk.person(), desk.person("王芳")
        numbers = desk.read(lambda tx: tx.execute(sa.select(Participant.person_id, Participant.number)).all())
        of = {row.person_id: row.number for row in numbers}
        talk = Talk(desk, 2)
        for words in (of[owner.id], f"我的编号是 {of[owner.id]}", f"编号 {of[owner.id]}"):
            assert of[owner.id] not in talk.says(words)
        after = desk.read(lambda tx: tx.execute(sa.select(Participant.person_id, Participant.number)).all())
        assert {row.person_id: row.number for row in after} == of
        assert other.id in of


def test_d11_words_of_crisis_go_first_and_the_item_stays_open(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        asked = wave(desk, ["intake"])
        talk.says("问卷")
        talk.says("1")
        assert "12356" in talk.says("我不想活了")
        assert "36" not in talk.reply, "nobody in danger is asked their age"
        assert desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(Flag)).scalar_one()) == 1
        talk.says("36")
        assert stored(desk, person.id, asked)["intake"] == {1: 1, 2: 36}


def test_what_may_be_left_out_and_what_not(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        strict, free = wave(desk, ["shs"]), wave(desk, ["swls"], code="free", skips=True, closes_at=CLOSES + timedelta(days=9))
        talk.says("问卷")
        talk.says("课前问卷")
        assert "每一题都需要回答" in talk.says("跳过")
        assert "跳过这题" not in talk.reply
        talk.says("3 3 3 3")
        talk.says("交")
        talk.says("问卷")
        talk.taps("跳过这题")
        assert "第 2 题先空着" in talk.says("跳过")
        assert (stored(desk, person.id, strict)["shs"], stored(desk, person.id, free)["swls"]) == (
            {1: 3, 2: 3, 3: 3, 4: 3},
            {1: None, 2: None},
        )
        assert "改成「同意」" in talk.says("1=6")
        assert stored(desk, person.id, free)["swls"] == {1: 6, 2: None}


def test_an_answer_that_worries_brings_help_at_once_and_one_flag(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        asked = wave(desk, ["dass21"])
        talk.says("问卷")
        talk.says("0 0 0 0 0 0 0 0 0")
        assert "12356" in talk.says("3")
        assert "情绪与压力 11/21" in talk.reply, "and the question comes back"
        flags = desk.read(lambda tx: tx.execute(sa.select(Flag.person_id, Flag.rule)).all())
        assert [row.person_id for row in flags] == [person.id]
        assert "12356" not in talk.says("10=2"), "it was seen already"
        assert stored(desk, person.id, asked)["dass21"][10] == 2
        assert desk.read(lambda tx: tx.execute(sa.select(Audit.action).where(Audit.action == "flag.raise")).scalars().all()) == [
            "flag.raise"
        ]


def test_free_text_goes_to_its_bot_and_the_question_comes_back(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, talk = desk.person("李老师", Role.LEADER), Talk(desk, 1)
        desk.write(lambda tx: groups.enter(tx, desk.group, leader.id, Role.PARTICIPANT, NOW))
        desk.write(lambda tx: groups.number_participant(tx, desk.course_id, leader.id, NOW))
        asked = wave(desk, ["scs"])
        talk.says("问卷")
        assert "自我关怀 1/26" in talk.says("列表"), "the staff's list, then the question"
        assert "自我关怀 1/26" in talk.says("帮助")
        assert "自我关怀 1/26" in talk.sends("image")
        talk.says("3")
        assert stored(desk, leader.id, asked)["scs"] == {1: 3}


def test_any_word_brings_a_paused_question_back_after_days(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        asked = wave(desk, ["scs"])
        talk.says("问卷")
        talk.says("3")
        assert "先停在自我关怀 2/26" in talk.says("暂停")
        talk.now += timedelta(days=3)
        assert "自我关怀 2/26" in talk.says("早上好")
        talk.says("4")
        talk.now += timedelta(days=1)
        assert "欢迎回来" in talk.says("我又来了")
        assert stored(desk, person.id, asked)["scs"] == {1: 3, 2: 4}


def test_no_question_costs_an_allowance(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        wave(desk, ["swls"])
        before = desk.read(lambda tx: tx.execute(sa.select(Delivery.id)).scalars().all())
        talk.says("问卷")
        for label in ("同意", "不同意", "说不上"):
            talk.taps(label)
        talk.says("网页")
        assert desk.read(lambda tx: tx.execute(sa.select(Delivery.id)).scalars().all()) == before
        assert person.id


def test_a_new_instrument_is_one_file_and_is_answered_end_to_end(database_url: str, tmp_path: Path) -> None:
    copy = tmp_path / "instruments"
    shutil.copytree(FOLDER, copy)
    (copy / "calm.1.toml").write_text(SMALL, encoding="utf-8")
    made = load(copy / "calm.1.toml")
    with Desk(database_url) as desk:
        object.__setattr__(desk.tools, "shelf", Shelf(every(copy)))
        person, talk = desk.person(), Talk(desk, 1)
        asked = wave(desk, ["calm"])
        talk.says("问卷")
        talk.taps("有点")
        talk.says("2")
        assert "全部填完了" in talk.says("交")
        assert stored(desk, person.id, asked) == {"calm": {1: 1, 2: 2}}
        assert standing(desk, person.id, asked) == "complete"
        assert score(made, {1: 1, 2: 2})["calm"].value == 0.5


def test_somebodys_own_data_hold_their_answers_in_every_version_and_their_words(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        wave(desk, ["intake"])
        for words in ("问卷", "1", "36", "2", "2", "1", "2", "青岛", "2=37"):
            talk.says(words)
        found = desk.read(lambda tx: people.export(tx, desk.keyring, person.id))
        assert [(row["course"], row["wave"], row["state"]) for row in found["questionnaires"]] == [("msc", "baseline", "partial")]
        assert [(row["item"], row["version"], row["value"]) for row in found["answers"] if row["item"] == 2] == [(2, 1, 36), (2, 2, 37)]
        assert [row["words"] for row in found["answers"] if row["words"]] == ["青岛"]
