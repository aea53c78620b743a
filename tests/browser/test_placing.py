"""Groups by a proposal, in a real browser without script, on a phone: proposed, moved by hand, made true."""

from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, expect

from app.console import sessions
from app.db import Tx
from app.placing.facts import Facts, freeze
from bots.turns import Role
from tests.browser.seeing import wrong
from tests.browser.test_console import address, desk
from tests.browser.test_phones import overflow
from tests.console.visiting import HOME, staff
from tests.delivery.scene import Desk

__all__ = ["address", "desk"]


@pytest.fixture
def token(desk: Desk) -> str:
    """An administrator of a course in which twenty people of the roster wait for a group."""
    from app import groups

    now = datetime.now(UTC)

    def make(tx: Tx) -> int:
        large = groups.by_code(tx, "msc-all")
        for number in range(20):
            facts = freeze(Facts(("female", "male")[number % 2], 30 + number, "北京", "none"))
            groups.invite(tx, desk.keyring, large, now, once=True, name=f"名字很长的客人{number}" * 3, facts=facts)
        return large

    admin = staff(desk, "王管理", Role.ADMINISTRATOR, group=desk.write(make))
    vault = desk.keyring.vault
    return desk.write(lambda tx: sessions.begin(tx, vault, admin.login_id, "password", "phone", sessions.moment()))


def test_groups_are_proposed_changed_and_made_true_without_script(desk: Desk, address: str, browser: Browser, token: str) -> None:
    with browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844}, locale="zh-CN") as context:
        context.add_cookies([{"name": "tongban", "value": token, "url": address}])
        page = context.new_page()
        page.goto(f"{address}{HOME}/assign/{desk.course_id}")
        page.get_by_label("数目").fill("2")
        page.get_by_role("button", name="做一份建议").click()
        expect(page.get_by_text("20 人，分到 2 个组")).to_be_visible()
        page.get_by_label("编号", exact=True).first.fill("R1")
        page.get_by_role("button", name="换过去").click()
        expect(page.get_by_role("heading", name="建议（第 2 版）")).to_be_visible()
        page.get_by_role("button", name="就这样分").click()
        expect(page.get_by_role("heading", name="分好了")).to_be_visible()
        expect(page.get_by_text("个人二维码：还有 20 人没有扫")).to_be_visible()
        page.get_by_role("button", name="打印用的页面").click()
        expect(page.locator(".sheet li").first).to_be_visible()


@pytest.mark.parametrize("width", [390, 1280])
def test_a_proposal_has_names_headings_and_contrast_and_does_not_scroll_sideways(
    desk: Desk, address: str, browser: Browser, token: str, width: int
) -> None:
    with browser.new_context(viewport={"width": width, "height": 844}, locale="zh-CN") as context:
        context.add_cookies([{"name": "tongban", "value": token, "url": address}])
        page = context.new_page()
        page.goto(f"{address}{HOME}/assign/{desk.course_id}")
        page.get_by_label("数目").fill("12")
        page.get_by_role("button", name="做一份建议").click()
        expect(page.locator(".placed")).to_be_visible()
        for details in page.locator("details").all():
            details.locator("summary").click()
        assert wrong(page) == []
        assert not overflow(page)
