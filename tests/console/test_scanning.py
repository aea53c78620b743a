"""Signing in by WeChat, with the real sandbox and servers: scanned on a phone, confirmed by a tap, and the browser is in."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from app import groups
from app.console import actors, logins, sessions
from app.console.logins import Chosen
from app.models import Identity, Login, Membership
from bots.turns import Role
from tests.console.visiting import HASHED, HOME, SECRET
from tests.stage import Stage

PUBLIC = "http://127.0.0.1:8000"


class Tab:
    """A browser on the stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._csrf = ""
        self._http = httpx.AsyncClient(base_url=stage.web.base_url, timeout=60, verify=False)  # plain HTTP: no certificates
        self.page = ""

    async def __aenter__(self) -> "Tab":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def get(self, path: str) -> httpx.Response:
        return self._taken(await self._http.get(path))

    async def post(self, path: str, *, partial: bool = False, **fields: str) -> httpx.Response:
        headers = {"origin": PUBLIC, **({"hx-request": "true"} if partial else {})}
        return self._taken(await self._http.post(path, data={"csrf": self._csrf, **fields}, headers=headers))

    def _taken(self, answer: httpx.Response) -> httpx.Response:
        found = re.search(r'name="csrf" value="([^"]+)"', answer.text)
        self._csrf, self.page = (found.group(1) if found else self._csrf), answer.text or self.page
        return answer

    async def shows_code(self) -> str:
        """Ask for a QR code; returns what it holds."""
        await self.get(f"{HOME}/signin")
        assert (await self.post(f"{HOME}/signin/scan", account="demo")).headers["location"] == f"{HOME}/signin/scan"
        await self.get(f"{HOME}/signin/scan")
        return await self.code()

    async def code(self) -> str:
        listed = await self._stage.phones.get("/sandbox/qrcodes", params={"appid": "wx0123456789abcdef"})
        return str(listed.json()[-1]["scene"])

    @property
    def number(self) -> str:
        return str(re.findall(r'class="number">(\d\d)<', self.page)[0])

    def is_in(self) -> bool:
        return "tongban" in self._http.cookies


@pytest.fixture
def stage(database_url: str, tmp_path: Path) -> Stage:
    return Stage(database_url, tmp_path)


async def _course(stage: Stage) -> int:
    stage.course("正念自我关怀")
    return stage.group("晨光组", code="MORNING234")


def test_a_leader_scans_taps_the_number_and_is_in(stage: Stage) -> None:
    async def play() -> None:
        async with stage, Tab(stage) as tab, Tab(stage) as other:
            group = await _course(stage)
            leader = await stage.member("李老师", group, Role.LEADER)
            scene = await tab.shows_code()
            assert "<svg" in tab.page
            assert (await tab.post(f"{HOME}/signin/scan/go", partial=True)).status_code == 200
            assert not tab.is_in()
            asked = await stage.does("李老师", "scan", scene=scene)
            assert "请点电脑上二维码旁边的那个数字" in asked.text
            assert len(re.findall(r">\d\d</a>", asked.text)) == 3
            done = await stage.taps("李老师", tab.number)
            assert "好了" in done.text
            await other.get(f"{HOME}/signin")
            await other.post(f"{HOME}/signin/scan/go")
            assert not other.is_in(), "another browser has nothing of it"
            answer = await tab.post(f"{HOME}/signin/scan/go", partial=True)
            assert answer.headers["hx-redirect"] == HOME
            assert tab.is_in()
            assert (await tab.get(f"{HOME}/groups/{group}")).status_code == 200
            assert stage.read(lambda tx: [each.how for each in sessions.living(tx, _login(stage, leader), sessions.moment())]) == ["wechat"]
            await tab.post(f"{HOME}/signin/scan/go")
            assert len(stage.read(lambda tx: sessions.living(tx, _login(stage, leader), sessions.moment()))) == 1, "used once"
            await stage.advance(timedelta(seconds=3))  # a second scan within the second would be the first one again
            again = await stage.does("李老师", "scan", scene=scene)
            assert "用过或者过期了" in again.text

    asyncio.run(play())


def _login(stage: Stage, person_id: int) -> int:
    return stage.read(lambda tx: tx.execute(sa.select(Login.id).where(Login.person_id == person_id)).scalar_one())


def test_a_wrong_number_a_no_and_a_late_tap_let_nobody_in(stage: Stage) -> None:
    async def play() -> None:
        async with stage:
            group = await _course(stage)
            await stage.member("李老师", group, Role.LEADER)
            for reply in ("wrong", "no", "typed"):
                async with Tab(stage) as tab:
                    await stage.advance(timedelta(seconds=3))
                    scene = await tab.shows_code()
                    asked = await stage.does("李老师", "scan", scene=scene)
                    numbers = [each for each in re.findall(r">(\d\d)</a>", asked.text) if each != tab.number]
                    if reply == "no":
                        said = await stage.taps("李老师", "不是我在操作")
                    else:
                        said = await (stage.taps("李老师", numbers[0]) if reply == "wrong" else stage.says("李老师", numbers[1]))
                    assert "作废" in said.text
                    late = await stage.taps("李老师", tab.number)
                    assert "用过或者过期了" in late.text
                    assert "作废" in (await tab.post(f"{HOME}/signin/scan/go")).text
                    assert not tab.is_in()
            async with Tab(stage) as tab:
                await stage.advance(timedelta(seconds=3))
                scene = await tab.shows_code()
                await stage.does("李老师", "scan", scene=scene)
                await stage.advance(timedelta(minutes=1))
                assert "好了" in (await stage.says("李老师", tab.number)).text, "a number may be typed as well"

    asyncio.run(play())


def test_who_is_no_staff_is_not_asked_for_a_number(stage: Stage) -> None:
    async def play() -> None:
        async with stage, Tab(stage) as tab:
            group = await _course(stage)
            await stage.member("小雨", group)
            scene = await tab.shows_code()
            for name, deed in (("小雨", "scan"), ("路人", "follow")):
                said = await stage.does(name, deed, scene=scene)
                assert "给带组的老师登录工作台用的" in said.text
                assert tab.number not in said.text
            await tab.post(f"{HOME}/signin/scan/go")
            assert not tab.is_in()

    asyncio.run(play())


def test_a_number_that_was_shown_to_one_is_of_no_use_to_another(stage: Stage) -> None:
    async def play() -> None:
        async with stage, Tab(stage) as tab:
            group = await _course(stage)
            await stage.member("李老师", group, Role.LEADER)
            await stage.member("小雨", group)
            scene = await tab.shows_code()
            await stage.does("李老师", "scan", scene=scene)
            href = await stage.offered("李老师", tab.number)
            await stage.does("小雨", "tap", href=href)
            await tab.post(f"{HOME}/signin/scan/go")
            assert not tab.is_in()

    asyncio.run(play())


def test_a_login_that_came_without_wechat_is_bound_by_a_scan(stage: Stage) -> None:
    async def play() -> None:
        async with stage, Tab(stage) as tab:
            group = await _course(stage)
            code = stage.write(
                lambda tx: groups.invite(tx, stage.keyring, group, sessions.moment(), role=Role.LEADER, once=True, name="李老师")
            )
            token = stage.write(lambda tx: logins.invite(tx, stage.keyring.vault, code, sessions.moment()))
            login = stage.write(
                lambda tx: logins.admit(tx, stage.keyring, token, Chosen("li", HASHED, SECRET), sessions.moment(), sessions.moment())
            )
            former = stage.read(lambda tx: tx.execute(sa.select(Login.person_id).where(Login.id == login)).scalar_one())
            session = stage.write(lambda tx: sessions.begin(tx, stage.keyring.vault, login, "password", "phone", sessions.moment()))
            tab._http.cookies.set("tongban", session, domain="127.0.0.1")
            assert "还没有绑定微信" in (await tab.get(f"{HOME}/sessions")).text
            assert (await tab.post(f"{HOME}/sessions/bind", account="demo")).status_code == 303
            await tab.get(f"{HOME}/signin/scan")
            asked = await stage.does("李老师的手机", "follow", scene=await tab.code())
            assert "绑在一起" in asked.text
            assert "绑好了" in (await stage.taps("李老师的手机", tab.number)).text
            assert (await tab.post(f"{HOME}/signin/scan/go")).headers["location"] == f"{HOME}/sessions"
            assert "已经绑定" in (await tab.get(f"{HOME}/sessions")).text
            now = stage.read(lambda tx: tx.execute(sa.select(Login.person_id).where(Login.id == login)).scalar_one())
            assert now != former
            assert stage.read(lambda tx: tx.execute(sa.select(Identity.id).where(Identity.person_id == now)).first()) is not None
            assert {seat.role for seat in stage.read(lambda tx: actors.seats(tx, now))} == {Role.LEADER}
            assert stage.read(lambda tx: actors.seats(tx, former)) == ()
            left = sa.select(sa.func.count()).where(Membership.person_id == former, Membership.ended_at.is_not(None))
            assert stage.read(lambda tx: tx.execute(left).scalar_one()) == 2, "history stays"
            stored = stage.read(lambda tx: logins.by_name(tx, stage.keyring, "LI"))
            assert (stored.login_id, stored.secret) == (login, SECRET), "the second factor came along, sealed anew"
            assert "公告" in (await stage.says("李老师的手机", "公告")).text, "and the chat knows who they are"

    asyncio.run(play())


def test_an_address_asks_for_so_many_codes_and_no_more(stage: Stage) -> None:
    async def play() -> None:
        async with stage, Tab(stage) as tab:
            await _course(stage)
            statuses = []
            for _ in range(22):
                await tab.get(f"{HOME}/signin")
                statuses.append((await tab.post(f"{HOME}/signin/scan", account="demo")).status_code)
            assert statuses.count(303) == 20
            assert statuses[-1] == 429
            await tab.get(f"{HOME}/signin")
            assert (await tab.post(f"{HOME}/signin/scan", account="nobody")).status_code == 404

    asyncio.run(play())
