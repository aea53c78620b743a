"""Today, on which a leader arrives: what comes, what goes out, who practised, who is silent, who waits; and what is done about it here."""

import re
from datetime import datetime, time, timedelta

import pytest
import sqlalchemy as sa

from app import groups, schedules
from app.console import logins
from app.db import Tx
from app.homework import checkins, silent
from app.models import Broadcast, Course, Delivery
from app.people import Known
from app.prompts import planning
from bots.effects import AddLine, PlanPrompt, ShareCheckIn, WriteToSilent
from bots.recurrence import Rule
from bots.turns import Role
from tests.console.test_pages import alerts
from tests.console.visiting import HOME, Browser, Staff, audited, browsing, queries, staff
from tests.delivery import asked
from tests.delivery.practice import CLASS_DAY, DAY, REMINDED_DAY, SENT_DAY, Practising
from tests.delivery.practice import at as moment
from tests.delivery.scene import NOW, Desk, at, together

NOON = moment(SENT_DAY, "12:00")
LATER = moment(CLASS_DAY + 8 * DAY, "12:00")


def part(page: str, name: str) -> str:
    """One card of the page, without its tags."""
    found = re.search(rf'<section class="card" id="{name}">(.*?)</section>', page, re.DOTALL)
    assert found is not None, name
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found.group(1)))


def today(desk: Desk) -> str:
    return f"{HOME}/today/{desk.group}"


def form(page: str, action: str) -> dict[str, str]:
    """The hidden fields of the form with this action, and its first text."""
    found = re.search(rf'<form method="post" action="{action}">(.*?)</form>', page, re.DOTALL)
    assert found is not None, action
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', found.group(1)))
    return {name: value for name, value in fields.items() if name != "csrf"}


def shares(course: Practising, known: Known, now: datetime, text: str) -> None:
    """The check-in of this day gets a line and is shared with those who lead."""
    day, of = now.astimezone(moment(SENT_DAY, "00:00").tzinfo).date(), course.desk.course_id

    def work(tx: Tx) -> None:
        checkins.add_line(tx, course.situation(tx, known, now), AddLine(of, day, "pause", text))
        checkins.share(tx, course.desk.tools, course.situation(tx, known, now), ShareCheckIn(of, day, "pause", aloud=False))

    course.desk.write(work)


def test_who_leads_arrives_at_today_and_everybody_else_at_what_they_come_for(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        large = desk.read(lambda tx: groups.by_code(tx, "msc-all"))
        for name, role in (("李老师", Role.LEADER), ("小王", Role.ASSISTANT)):
            with browsing(desk, staff(desk, name, role)) as browser:
                assert browser.get(HOME).headers["location"] == f"{HOME}/today"
                assert browser.get(f"{HOME}/today").headers["location"] == today(desk)
                assert browser.get(today(desk)).status_code == 200
        others = (("沈导师", Role.MENTOR, "week"), ("管理员", Role.ADMINISTRATOR, "groups"), ("小研", Role.RESEARCHER, "study"))
        for name, role, place in others:
            with browsing(desk, staff(desk, name, role, group=desk.group if role is Role.MENTOR else large)) as browser:
                assert browser.get(HOME).headers["location"] == f"{HOME}/{place}"
                assert browser.get(today(desk)).status_code == 404


def test_an_assistant_of_two_groups_sees_each_on_its_own(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW):
        who, dusk = staff(desk, "小王", Role.ASSISTANT), asked.neighbours(desk)
        asked.seat(desk, who.known, dusk, Role.ASSISTANT)
        asked.neighbours(desk, "far")
        with browsing(desk, who) as browser:
            page = browser.get(today(desk)).text
            assert set(re.findall(rf'href="{HOME}/today/(\d+)"', page)) == {str(desk.group), str(dusk)}


def test_the_day_says_what_comes_next_and_what_goes_out_at_which_hour(database_url: str) -> None:
    with Desk(database_url) as desk:
        course, dusk = Practising(desk), asked.neighbours(desk)
        leader = staff(desk, "李老师", Role.LEADER)

        def plan(tx: Tx) -> None:
            for group, hour in ((desk.group, 19), (course.large, 20), (dusk, 21)):
                when = moment(SENT_DAY, f"{hour}:00")
                schedules.plan_announcement(tx, desk.keyring, author_id=None, group_id=group, text="今晚见", at=when, draft=None, now=NOW)
            for group, hour in ((desk.group, 7), (dusk, 6)):
                wanted = PlanPrompt((group,), "今天练了吗？", Rule(time(hour)), REMINDED_DAY, 0)
                planning.plan(tx, desk.keyring, None, wanted, moment(SENT_DAY, "00:30"))

        desk.write(plan)
        with at(moment(SENT_DAY, "06:30")), browsing(desk, leader) as browser:
            page = browser.get(today(desk)).text
            going, following = part(page, "going"), part(page, "next")
        assert [
            going.index(each)
            for each in ("07:00 第 1 号练习提醒", "19:00 第 1 号公告", "20:00 第 2 号公告 全体", "按各人自己的时间 第 1 周的练习")
        ] == sorted(
            going.index(each)
            for each in ("07:00 第 1 号练习提醒", "19:00 第 1 号公告", "20:00 第 2 号公告", "按各人自己的时间 第 1 周的练习")
        )
        assert "06:00" not in going
        assert "21:00" not in going
        assert "第 2 课" in following or "小组练习" in following
        with at(moment(CLASS_DAY + 200 * DAY, "08:00")), browsing(desk, leader) as browser:
            page = browser.get(today(desk)).text
            assert "今天没有要发的" in part(page, "going")
            assert "后面没有安排了" in part(page, "next")


def test_a_leader_sees_that_somebody_practised_and_only_what_was_shared(database_url: str) -> None:
    with Desk(database_url) as desk:
        course, leader = Practising(desk), staff(desk, "李老师", Role.LEADER)
        rain, ning, quiet = (course.person(name) for name in ("小雨", "阿宁", "静静"))
        course.checks_in(rain, NOON, minutes=37)
        course.desk.write(
            lambda tx: checkins.add_line(tx, course.situation(tx, rain, NOON), AddLine(desk.course_id, SENT_DAY, "pause", "只给自己"))
        )
        course.checks_in(ning, NOON, minutes=15)
        shares(course, ning, NOON, "听见了鸟叫")
        course.checks_in(quiet, NOON, back=1, minutes=41)
        with at(NOON), browsing(desk, leader) as browser:
            page = browser.get(today(desk)).text
        seen = part(page, "practised")
        assert "今天 · 2 / 3 人打卡 小雨、阿宁" in seen
        assert "昨天 · 1 / 3 人打卡 静静" in seen
        assert "阿宁 · 15 分钟 · 听见了鸟叫" in seen
        assert not any(each in page for each in ("37", "只给自己", "41 分钟"))


def test_the_silent_are_named_with_the_day_and_written_to_once_however_often_one_taps(database_url: str) -> None:
    with Desk(database_url) as desk:
        course, leader = Practising(desk), staff(desk, "李老师", Role.LEADER)
        rain, ning = course.person("小雨"), course.person("阿宁")
        course.checks_in(rain, LATER - 4 * DAY)
        with at(LATER), browsing(desk, leader) as browser:
            page = browser.get(today(desk)).text
            silent = part(page, "silent")
            assert "小雨 4 天，从 11月27日 周五 算起" in silent
            assert "阿宁 8 天，从 11月23日 周一 算起" in silent
            assert [re.sub(r"\s", "", each) for each in re.findall(r"<summary>(.*?)</summary>", page)] == [
                "写给3天以上没打卡的组员（2位）",
                "写给5天以上没打卡的组员（1位）",
                "写给7天以上没打卡的组员（1位）",
            ]
            assert page.count("这几天还好吗？") == 1
            fields = re.findall(r'name="days" value="(\d)"><input type="hidden" name="draft" value="(\d+)"', page)
            letter = {"days": "7", "draft": dict(fields)["7"], "text": "想你了\r\n来坐坐"}
            for _ in range(2):
                assert browser.post(f"{today(desk)}/letter", letter).status_code == 303
            assert _written_to(desk) == [ning.id]
            assert "12:00，李老师已经给 7 天以上没打卡的 1 位组员写过" in part(browser.get(today(desk)).text, "silent")
        assert audited(desk, "homework.write") == [(f"person:{leader.known.id}", f"group:{desk.group}")]


def _written_to(desk: Desk) -> list[int]:
    query = sa.select(Delivery.person_id).join(Broadcast, Broadcast.id == Delivery.broadcast_id).where(Broadcast.kind == "announcement")
    return desk.read(lambda tx: list(tx.execute(query.order_by(Delivery.person_id)).scalars()))


def test_two_taps_at_the_same_moment_are_one_letter(database_url: str) -> None:
    with Desk(database_url) as desk:
        course = Practising(desk)
        leader, rain = course.person("李老师", Role.LEADER), course.person("小雨")
        letter = WriteToSilent(desk.group, 7, "想你了")
        sent = together(desk, [lambda tx: silent.write(tx, desk.tools, leader.id, letter, LATER, draft=4711)] * 4)
        assert sorted(sent) == [0, 0, 0, 1]
        assert _written_to(desk) == [rain.id]


@pytest.mark.parametrize(
    ("changed", "status", "words"),
    [
        ({"text": " "}, 409, "还没有写字"),
        ({"text": "字" * 500}, 409, "太长了"),
        ({"days": "4"}, 409, "还没有写字"),
        ({"draft": "x"}, 422, "太旧了"),
        ({"draft": "0"}, 422, "太旧了"),
    ],
)
def test_a_letter_that_cannot_go_stays_in_its_form(sqlite_url: str, changed: dict[str, str], status: int, words: str) -> None:
    with Desk(sqlite_url) as desk:
        course = Practising(desk)
        course.person("小雨")
        with at(LATER), browsing(desk, staff(desk, "李老师", Role.LEADER)) as browser:
            browser.get(today(desk))
            answer = browser.post(f"{today(desk)}/letter", {"days": "5", "draft": "7", "text": "<b>想你了", **changed})
            assert answer.status_code == status
            assert words in alerts(answer.text)[0]
            assert "<b>想你" not in answer.text
            if "text" not in changed and "days" not in changed:
                assert "&lt;b&gt;想你了</textarea>" in answer.text
        assert _written_to(desk) == []


def test_who_has_checked_in_meanwhile_is_not_written_to(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk:
        course = Practising(desk)
        rain = course.person("小雨")
        with at(LATER), browsing(desk, staff(desk, "李老师", Role.LEADER)) as browser:
            browser.get(today(desk))
            course.checks_in(rain, LATER)
            answer = browser.post(f"{today(desk)}/letter", {"days": "3", "draft": "7", "text": "想你了"})
            assert answer.status_code == 409
            assert "他们都打过卡了" in alerts(answer.text)[0]


# Questions --------------------------------------------------------------------------------------------------------------------------------


def _two(desk: Desk) -> tuple[Staff, Staff, Known, int]:
    rain = desk.person("小雨")
    first, second = staff(desk, "李老师", Role.LEADER), staff(desk, "小王", Role.ASSISTANT)
    return first, second, rain, asked.ask(desk, rain)


def _question(browser: Browser, question: int, deed: str, fields: dict[str, str] | None = None) -> int:
    return browser.post(f"{HOME}/questions/{question}/{deed}", fields).status_code


def test_a_question_is_taken_and_answered_here_as_in_the_chat(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        first, _, rain, question = _two(desk)
        with browsing(desk, first) as browser:
            page = browser.get(today(desk)).text
            assert asked.WORDS in part(page, "questions")
            assert "小雨" in part(page, "questions")
            assert f"{HOME}/questions/{question}/answer" not in page, "first one takes it"
            assert _question(browser, question, "claim") == 303
            page = browser.get(today(desk)).text
            fields = form(page, f"{HOME}/questions/{question}/answer")
            for _ in range(2):
                assert _question(browser, question, "answer", {**fields, "text": asked.ANSWER}) == 303
            assert "回答已经发出" in browser.get(browser.answer.headers["location"]).text
            assert "没有等着回答的提问" in part(browser.get(today(desk)).text, "questions")
        assert [asked.ANSWER in each for each in asked.told(desk, rain)] == [True], "a double tap is one answer"
        assert asked.states(desk) == ["answered"]


def test_who_is_second_learns_who_was_first_and_changes_nothing(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        first, second, _, question = _two(desk)
        asked.claim(desk, first.known, question)  # in the chat
        with browsing(desk, second) as browser:
            page = browser.get(today(desk)).text
            assert "李老师接下了" in part(page, "questions")
            assert f"{HOME}/questions/{question}" not in page
            assert _question(browser, question, "claim") == 409
            assert "别的老师已经接下了" in alerts(browser.answer.text)[0]
            assert _question(browser, question, "answer", {"text": "我也说", "draft": "7"}) == 409
            assert _question(browser, question, "release") == 409
        assert asked.row(desk, question).answerer_id == first.known.id
        with browsing(desk, first) as browser:
            browser.get(today(desk))
            assert _question(browser, question, "release") == 303
        assert asked.states(desk) == ["open"]


def test_words_that_cannot_be_sent_stay_in_the_answer(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW):
        first, _, _, question = _two(desk)
        asked.claim(desk, first.known, question)
        with browsing(desk, first) as browser:
            browser.get(today(desk))
            long = "字" * 601
            assert _question(browser, question, "answer", {"text": long, "draft": "7"}) == 409
            assert "太长了" in alerts(browser.answer.text)[0]
            assert f"{long}</textarea>" in browser.answer.text
            assert _question(browser, question, "answer", {"text": asked.ANSWER, "draft": "x"}) == 422
        assert asked.states(desk) == ["claimed"]


def test_one_who_asked_and_leads_does_not_answer_themself(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW):
        first, _, rain, question = _two(desk)
        asked.seat(desk, rain, desk.group, Role.ASSISTANT)
        with browsing(desk, first) as browser:
            assert "我来回答" in browser.get(today(desk)).text
        login = desk.write(lambda tx: logins.of_person(tx, rain.id, NOW))
        assert login is not None
        with browsing(desk, Staff(rain, login, "小雨")) as browser:
            assert "这是你自己问的" in part(browser.get(today(desk)).text, "questions")
            assert _question(browser, question, "claim") == 409


def test_of_an_ended_course_nothing_waits(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk:
        course, leader = Practising(desk), staff(desk, "李老师", Role.LEADER)
        course.person("小雨")
        desk.write(lambda tx: tx.execute(sa.update(Course).values(ended_at=LATER)))
        with at(LATER), browsing(desk, leader) as browser:
            page = browser.get(today(desk)).text
            assert alerts(page) == ["课程已经结束"]
            assert "<textarea" not in page


def test_the_page_asks_the_database_as_often_for_thirty_as_for_five(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, queries(desk) as statements:
        course, leader = Practising(desk), staff(desk, "李老师", Role.LEADER)
        counted = list[int]()
        for many in (5, 25):
            for number in range(many):
                known = course.person(f"组员{number}")
                if number % 3:
                    course.checks_in(known, LATER, minutes=10)
                    shares(course, known, LATER, "听见了鸟叫")
                asked.ask(desk, known, now=LATER - timedelta(hours=1))
            with at(LATER), browsing(desk, leader) as browser:
                statements.clear()
                page = browser.get(today(desk)).text
                counted.append(len(statements))
                assert part(page, "practised").count("听见了鸟叫") > many / 2
        assert counted[0] == counted[1] < 45
