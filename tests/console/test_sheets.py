"""The QR sheet: whose groups stand on it, that its codes lead in, and what it is while WeChat is away."""

import asyncio
import re

from app import clock, groups
from app.console import logins, sessions
from bots.turns import Role
from tests.console.test_pages import alerts
from tests.console.test_scanning import Tab, stage
from tests.console.visiting import HOME, browsing, staff
from tests.delivery.scene import NOW, Desk, at
from tests.stage import Stage

__all__ = ["stage"]


def codes(text: str) -> list[str]:
    return re.findall(r'class="code">([^<]+)<', text)


def test_without_wechat_the_codes_to_type_stand_there_for_ones_own_groups_alone(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        dusk = desk.write(lambda tx: groups.create(tx, desk.course_id, code="dusk", name="晚霞组"))
        large = desk.read(lambda tx: groups.by_code(tx, "msc-all"))
        here = f"{HOME}/sheet/{desk.course_id}"
        with browsing(desk, staff(desk, "李老师", Role.LEADER)) as browser:
            assert browser.get(f"{HOME}/sheet").headers["location"] == here
            assert codes(browser.get(here).text) == [], "to look makes nothing"
            text = browser.post(here).text
            ours = desk.write(lambda tx: groups.group_code(tx, desk.keyring, desk.group, NOW))
            assert codes(text) == [ours]
            assert "晚霞组" not in text
            assert "微信现在做不出二维码" in alerts(text)[0]
        with browsing(desk, staff(desk, "管理员", Role.ADMINISTRATOR, group=large)) as browser:
            browser.get(here)
            theirs = desk.write(lambda tx: groups.group_code(tx, desk.keyring, dusk, NOW))
            assert set(codes(browser.post(here).text)) == {ours, theirs}
            desk.write(lambda tx: groups.close(tx, dusk, NOW))
            assert codes(browser.post(here).text) == [ours], "into a closed group nobody is invited"


def test_a_code_on_the_sheet_leads_into_its_group(stage: Stage) -> None:
    async def play() -> None:
        async with stage, Tab(stage) as tab:
            stage.course("正念自我关怀")
            group = stage.group("晨光组", code="MORNING234")
            leader = await stage.member("李老师", group, Role.LEADER)
            login = stage.write(lambda tx: logins.of_person(tx, leader, clock.now()))
            assert login is not None
            token = stage.write(lambda tx: sessions.begin(tx, stage.keyring.vault, login, "wechat", "phone", sessions.moment()))
            tab._http.cookies.set("tongban", token)
            course = re.findall(r"/sheet/(\d+)", (await tab.get(f"{HOME}/sheet")).headers["location"])[0]
            for fields, until in (({}, "扫码有效期到"), ({"forever": "1"}, "长期有效</p>")):
                await tab.get(f"{HOME}/sheet/{course}")
                assert (await tab.post(f"{HOME}/sheet/{course}", partial=False, **fields)).status_code == 200
                assert tab.page.count("<svg") == 1
                assert codes(tab.page) == ["MORNING234"]
                assert until in tab.page
            assert await tab.code() == "MORNING234", "what the picture holds is the group's code"

    asyncio.run(play())
