"""The pages of those who run, mentor and study a course, in a real browser: on a phone and at a desk, in both languages, by keyboard."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, expect

from app import audit, flags, groups, people
from app.db import Tx
from app.models import Screening
from app.questionnaires import waves
from app.questionnaires.waves import Plan
from app.situation import Situation
from bots.turns import Role
from tests.browser.test_console import LONG, WIDTHS, address, desk, looked_at, tab
from tests.console.visiting import HOME, PASSWORD, one_time_code, staff
from tests.delivery.scene import Desk

__all__ = ["address", "desk"]

ROSTER = f"姓名,角色,小组,电话\n{LONG[:60]},组员,dawn,13800138001\n<b>阿宁</b>,组员,dawn,\n"


def _enter(page: Page, address: str, name: str, code: str) -> None:
    page.goto(f"{address}{HOME}/signin")
    page.locator("#name").fill(name)
    page.locator("#password").fill(PASSWORD)
    page.locator("#code").fill(code)
    page.locator("#code").press("Enter")
    page.wait_for_url(lambda url: "signin" not in url)


def _lived(desk: Desk) -> int:
    """A course with a wave, a flag that waits, alarms and staff; returns the flag's id."""
    now = datetime.now(UTC)
    known = [desk.person(name, typed=now) for name in ("小雨", LONG, "<b>阿宁</b>")]

    def make(tx: Tx) -> int:
        for code, title in (("baseline", "课前问卷"), ("post", "课后 " + LONG[:36])):
            plan = Plan(code, {"zh": title, "en": f"{code} questionnaires"}, now, now + timedelta(days=7), ("shs",), {})
            waves.add(tx, desk.tools.shelf, desk.course_id, plan, now)
        for why in ("", *("no_time",) * 6):
            tx.execute(sa.insert(Screening).values(course_id=desk.course_id, source="qr", included=not why, why=why, answered_at=now))
        audit.alarm(tx, now, "nobody_on_call", f"course:{desk.course_id}")
        audit.record(tx, now, "operator", "export", f"course:{desk.course_id}", reason=LONG)
        first = known[0]
        return flags.raise_flag(
            tx, desk.tools, Situation(desk.account_id, first, people.view(tx, first), 0, now - timedelta(hours=3), "我不想活了"), "crisis"
        )

    flag = desk.write(make)
    while desk.write(lambda tx: waves.go_on(tx, desk.tools, now)):
        pass
    return flag


@pytest.mark.parametrize(("width", "language", "dark"), WIDTHS)
def test_an_administrator_looks_at_every_page(
    desk: Desk, address: str, browser: Browser, tmp_path: Path, width: int, language: str, dark: bool
) -> None:
    flag = _lived(desk)
    staff(desk, "王管理", Role.ADMINISTRATOR)
    staff(desk, LONG[:36], Role.LEADER)
    roster = tmp_path / "roster.csv"
    roster.write_text(ROSTER)
    with tab(browser, width, dark=dark, language=language) as page:
        _enter(page, address, "王管理", one_time_code())
        for path in ("flags", f"flags/{flag}", f"study/{desk.course_id}", "admin", "staff", "audit", f"roster/{desk.course_id}"):
            page.goto(f"{address}{HOME}/{path}")
            looked_at(page)
        page.locator("#file").set_input_files(roster)
        page.locator("form[enctype] button").click()
        looked_at(page)
        page.locator("form[action$='/import'] button").click()
        looked_at(page)
        expect(page.locator("td code").first).to_be_visible()
        page.goto(f"{address}{HOME}/staff")
        page.locator("#name").fill("新组长")
        page.locator("form[action$='/invite'] button").click()
        looked_at(page)
        expect(page.locator("svg.qr")).to_be_visible()
        page.goto(f"{address}{HOME}/flags/{flag}")
        page.locator("form[action$='/take'] button").click()
        page.locator("#contact").fill("打了电话")
        page.locator("form[action$='/contact'] button").click()
        page.locator("form[action$='/reveal'] button").click()
        looked_at(page)
        expect(page.get_by_text("小雨")).to_be_visible()


@pytest.mark.parametrize("width", [390, 1280])
def test_a_mentor_looks_at_the_week(desk: Desk, address: str, browser: Browser, width: int) -> None:
    _lived(desk)
    mentor = staff(desk, "沈导师", Role.MENTOR)

    def more(tx: Tx) -> None:
        for number in range(3):
            group = groups.create(tx, desk.course_id, code=f"more{number}", name=f"{LONG}{number}")
            groups.enter(tx, group, mentor.known.id, Role.MENTOR, datetime.now(UTC))

    desk.write(more)
    with tab(browser, width) as page:
        _enter(page, address, "沈导师", one_time_code())
        page.goto(f"{address}{HOME}/week")
        looked_at(page)


def test_a_researcher_takes_the_data_away_with_the_keyboard_alone(desk: Desk, address: str, browser: Browser) -> None:
    _lived(desk)
    staff(desk, "研究员", Role.RESEARCHER, code=False)
    with tab(browser, 390) as page:
        _enter(page, address, "研究员", "")
        page.goto(f"{address}{HOME}/study/{desk.course_id}")
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "reason":
                break
        page.keyboard.type("基线数据的预分析")
        page.keyboard.press("Tab")
        with page.expect_download() as download:
            page.keyboard.press("Enter")
        assert download.value.suggested_filename.endswith(".zip")
