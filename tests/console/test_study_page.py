"""The study in the console: numbers, completion, the flow chart; the file leaves with a written reason, and nothing of a person does."""

import io
import re
import zipfile
from datetime import timedelta

import sqlalchemy as sa

from app.db import Tx
from app.models import Audit, Wave
from app.web.console import ROUTES
from app.web.console.routing import THING
from bots.turns import Role
from tests.console.visiting import HOME, Browser, audited, browsing, signed_in, staff
from tests.delivery.scene import Desk, at
from tests.study import canaries
from tests.study.canaries import CANARY
from tests.study.scene import LATER, Course, play
from tests.study.test_privacy import lived_in

REASON = "基线数据的预分析"


def test_a_researcher_sees_numbers_completion_and_the_flow(database_url: str) -> None:
    with Desk(database_url) as desk, at(LATER):
        course = Course(desk)
        play(course)
        with browsing(desk, staff(desk, "研究员", Role.RESEARCHER, code=False)) as browser:
            assert browser.get(f"{HOME}/study").headers["location"] == f"{HOME}/study/{desk.course_id}"
            page = browser.get(f"{HOME}/study/{desk.course_id}").text
            assert re.search(r'baseline 问卷</a></th><td class="count">1 / 5</td>', page)
            for name in ("完成", "后来"):
                assert course.number(name) in page
            assert re.search(rf">{course.number('完成')}</th><td>在课程里</td><td>1 / 2</td>", page)
            assert re.search(rf">{course.number('留答案')}</th><td>已退出</td>", page)
            for line in ("参与者：6", "退出：2", "发放：5", "答完：1"):
                assert f">{line}</text>" in page, line


def test_the_file_leaves_with_its_reason_on_record_first(database_url: str) -> None:
    with Desk(database_url) as desk, at(LATER):
        play(Course(desk))
        who = staff(desk, "研究员", Role.RESEARCHER, code=False)
        path = f"{HOME}/study/{desk.course_id}/export"
        with browsing(desk, who) as browser:
            for reason in ("", "   ", "abc", "长" * 501):
                assert browser.post(path, {"reason": reason}).status_code == 422
            assert audited(desk, "export") == []
            answer = browser.post(path, {"reason": f"  {REASON}\n"})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/zip"
        assert answer.headers["content-disposition"].startswith("attachment;")
        assert answer.headers["cache-control"] == "no-store"
        with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
            assert "long.csv" in packed.namelist()
        assert audited(desk, "export") == [(f"person:{who.known.id}", f"course:{desk.course_id}")]
        assert desk.read(lambda tx: tx.execute(sa.select(Audit.details).where(Audit.action == "export")).scalar_one()) == {"reason": REASON}


def test_the_reason_stays_on_record_where_the_file_cannot_be_written(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(LATER):
        play(Course(desk))

        def lose(tx: Tx) -> None:
            plan = tx.execute(sa.select(Wave.plan).where(Wave.code == "post")).scalar_one()
            lost = {**plan, "instruments": [{**plan["instruments"][0], "code": "gone"}]}
            tx.execute(sa.update(Wave).where(Wave.code == "post").values(plan=lost))

        desk.write(lose)
        with browsing(desk, staff(desk, "研究员", Role.RESEARCHER, code=False)) as browser:
            assert "有一份量表的文件不见了" in browser.get(f"{HOME}/study/{desk.course_id}").text
            assert browser.post(f"{HOME}/study/{desk.course_id}/export", {"reason": REASON}).status_code == 422
        assert len(audited(desk, "export")) == 1


def test_leaders_and_mentors_have_no_study(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(LATER):
        for role in (Role.LEADER, Role.ASSISTANT, Role.MENTOR):
            with browsing(desk, staff(desk, f"某{role}", role)) as browser:
                assert browser.get(f"{HOME}/study/{desk.course_id}").status_code == 404
                assert browser.post(f"{HOME}/study/{desk.course_id}/export", {"reason": REASON}).status_code == 404
        assert audited(desk, "export") + audited(desk, "export.refused") == []


def test_a_researcher_reaches_no_planted_word_on_any_page(database_url: str) -> None:
    with Desk(database_url) as desk, at(LATER):
        course = lived_in(desk)
        who = staff(desk, "研究员", Role.RESEARCHER, code=False)
        waves = desk.read(lambda tx: list(tx.execute(sa.select(Wave.id)).scalars()))
        things = {desk.course_id, desk.group, *waves, *desk.read(canaries.every_id)}
        seen: dict[str, str] = {}
        with Browser(desk.assembly) as browser:
            signed_in(desk, browser, who)
            for route in ROUTES:
                for thing in sorted(things) if THING in route.path and route.method == "GET" else [desk.course_id]:
                    path = route.path.replace(THING, str(thing)).replace("{token}", "x" * 43)
                    if route.method == "GET":
                        seen[path] = browser.get(path).text
            packed = browser.post(f"{HOME}/study/{desk.course_id}/export", {"reason": REASON}).content
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            seen |= {name: archive.read(name).decode() for name in archive.namelist()}
        assert course.number("完成") in seen[f"{HOME}/study/{desk.course_id}"]
        openids = [desk.openid(number) for number in range(1, desk.count + 1)]
        for path, text in seen.items():
            assert CANARY not in text, path
            assert not [word for word in (*openids, "raw-", "words-", "13800138001") if word in text], path


def test_a_number_far_behind_the_end_is_an_empty_page(sqlite_url: str) -> None:
    with (
        Desk(sqlite_url) as desk,
        at(LATER + timedelta(days=1)),
        browsing(desk, staff(desk, "研究员", Role.RESEARCHER, code=False)) as browser,
    ):
        assert "还没有人有编号" in browser.get(f"{HOME}/study/{desk.course_id}?page=400").text
