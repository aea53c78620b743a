"""An assignment made true: seats and codes at once, who is left out, a word to who follows; the roster around it; personal codes."""

import asyncio
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator

import openpyxl
import pytest
import sqlalchemy as sa

from app import broadcasts, clock, groups, people
from app.console import logins, sessions
from app.db import Tx
from app.models import Broadcast, Delivery, Group, Identity, Invitation, ProposalSeat
from app.people import Known
from app.placing import proposals
from bots.turns import Role
from tests.console.halls import ASKED, Hall
from tests.console.test_scanning import Tab, stage
from tests.console.test_scheduling import shown
from tests.console.visiting import HOME, Browser, audited, browsing, queries
from tests.delivery.scene import NOW, Desk, at, deliveries
from tests.stage import Stage

__all__ = ["stage"]


@pytest.fixture
def hall(database_url: str) -> Iterator[Hall]:
    with Desk(database_url) as desk, at(NOW):
        yield Hall(desk)


# Making it true -----------------------------------------------------------------------------------------------------------------------


def test_all_get_their_seats_at_once_with_history_audit_and_a_word_to_who_follows(hall: Hall) -> None:
    hall.crowd(4)
    known, gone = hall.joined("小雨"), hall.joined("走了的")
    hall.desk.write(lambda tx: tx.execute(sa.update(Identity).where(Identity.person_id == gone.id).values(unfollowed_at=NOW)))
    with browsing(hall.desk, hall.admin) as browser:
        browser.get(hall.page)
        browser.post(hall.page + "/propose", ASKED)
        assert browser.post(hall.page + "/apply", hall.version()).status_code == 303
        words = shown(browser.get(hall.page).text)
    assert "把 6 人安排进了小组" in words
    assert hall.members("第1组") | hall.members("第2组") == {known.id, gone.id}
    assert hall.members("大群") == {known.id, gone.id}, "they stay in the large one"
    assert sum(hall.led().values()) == 4
    assert hall.led()["大群"] == 0
    told = hall.desk.read(lambda tx: deliveries(tx, kind="seat"))
    assert set(told) == {known.id}
    name = "第1组" if known.id in hall.members("第1组") else "第2组"
    text = hall.desk.read(lambda tx: _composed(tx, hall.desk, told[known.id].id))
    assert text.startswith(f"小雨，欢迎加入「{name}」。")
    assert len(audited(hall.desk, "membership.seat")) == len({name for name in ("第1组", "第2组") if hall.members(name)})
    assert audited(hall.desk, "placing.apply") == [(f"person:{hall.admin.known.id}", f"course:{hall.desk.course_id}")]
    sizes = hall.desk.read(lambda tx: tx.execute(sa.select(Group.capacity).where(Group.name.in_(["第1组", "第2组"]))).scalars().all())
    assert sizes == [30, 30]


def _composed(tx: Tx, desk: Desk, delivery: int) -> str:
    row = tx.execute(
        sa.select(Broadcast.id, Broadcast.bot, Broadcast.kind, Delivery.person_id)
        .join(Delivery, Delivery.broadcast_id == Broadcast.id)
        .where(Delivery.id == delivery)
    ).one()
    details = broadcasts.details_of(tx, desk.keyring, [row.id])[row.id]
    reader = people.names(tx, desk.keyring, [row.person_id])[row.person_id]
    return desk.tools.composer.compose(row.bot, row.kind, "zh", "Asia/Shanghai", details, reader).text


def test_a_code_that_was_given_before_leads_into_the_group_and_the_roster_again_changes_nothing(hall: Hall) -> None:
    desk = hall.desk
    with browsing(desk, hall.admin) as browser:
        roster = "姓名,角色,小组,性别,年龄\n小雨,组员,待分组,女,36\n阿宁,组员,待分组,男,\n李老师,组长,dawn,,\n"
        code = _import(browser, desk, roster)["小雨"]
        browser.get(hall.page)
        browser.post(hall.page + "/propose", {**ASKED, "number": "1"})
        browser.post(hall.page + "/apply", hall.version())
        assert hall.led() == {"第1组": 2}
        browser.get(f"{HOME}/roster/{desk.course_id}")
        again = browser.upload(f"{HOME}/roster/{desk.course_id}", "list.csv", roster.encode())
        assert "已经全部导入过" in again.text
        more = browser.upload(f"{HOME}/roster/{desk.course_id}", "list.csv", roster.replace("男,", "男,41").encode())
        assert "补充资料 1 人" in more.text
    known = desk.person("小雨", role=None)
    desk.write(lambda tx: groups.join(tx, desk.keyring, known.id, code, NOW))
    assert hall.members("第1组") == {known.id}


def _import(browser: Browser, desk: Desk, roster: str) -> dict[str, str]:
    path = f"{HOME}/roster/{desk.course_id}"
    browser.get(path)
    page = browser.upload(path, "list.csv", roster.encode()).text
    fields = {name: re.findall(rf'name="{name}" value="([^"]+)"', page)[0] for name in ("rows", "signature", "mark")}
    assert browser.post(f"{path}/import", fields).status_code == 200
    file = browser.post(f"{path}/codes", fields).content.decode("utf-8-sig")
    return {row["name"]: row["code"] for row in csv.DictReader(io.StringIO(file))}


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("不男不女,36,北京,没有", "性别里的「不男不女」看不懂"),
        ("女,三十六,北京,没有", "年龄是 10 到 110 的整数"),
        ("女,1990,北京,没有", "年龄是 10 到 110 的整数"),
        ("女,36," + "长" * 31 + ",没有", "城市最多 30 个字"),
        ("女,36,北京,一点点", "冥想经验里的「一点点」看不懂"),
    ],
)
def test_j2_a_roster_cell_that_says_nothing_we_know_is_an_error_with_its_line(sqlite_url: str, cell: str, words: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW):
        hall = Hall(desk)
        with browsing(desk, hall.admin) as browser:
            browser.get(f"{HOME}/roster/{desk.course_id}")
            page = browser.upload(
                f"{HOME}/roster/{desk.course_id}", "l.csv", f"姓名,小组,性别,年龄,城市,冥想经验\n甲,待分组,{cell}\n".encode()
            )
            assert page.status_code == 422
            assert words in page.text
            assert "第 2 行" in page.text


def test_who_is_no_longer_waiting_is_left_out_and_named(hall: Hall) -> None:
    desk = hall.desk
    hall.invite("来了的")
    codes = {name: hall.invite(name) for name in ("先进组的", "过期的")}
    left, seated = hall.joined("离开的"), hall.joined("坐下的")
    numbers = hall.number(left), hall.number(seated)
    with browsing(desk, hall.admin) as browser:
        browser.get(hall.page)
        browser.post(hall.page + "/propose", {**ASKED, "number": "1"})
        comer = desk.person("来了的", role=None)
        desk.write(lambda tx: _use(tx, desk, codes["先进组的"], comer))
        desk.write(lambda tx: people.withdraw(tx, left.id, NOW, erase_answers=False, actor="operator"))
        desk.write(lambda tx: groups.enter(tx, desk.group, seated.id, Role.PARTICIPANT, NOW))
        index = desk.keyring.vault.index("invitation", codes["过期的"])
        desk.write(lambda tx: tx.execute(sa.update(Invitation).where(Invitation.code_index == index).values(expires_at=NOW)))
        hall.invite("刚来的")
        words = shown(browser.get(hall.page).text)
        assert "4 人已经不在等分组了" in words
        assert "又来了 2 人" in words
        browser.post(hall.page + "/apply", hall.version())
        words = shown(browser.get(hall.page).text)
    assert "把 2 人安排进了小组" in words
    assert "有 3 人没有安排" in words
    assert f"{numbers[0]} 已经离开课程，或者邀请失效了" in words
    assert f"{numbers[1]} 已经在别的组里了" in words
    assert "R3 过期的 已经离开课程，或者邀请失效了" in words
    assert hall.members("第1组") == {comer.id}, "who came meanwhile gets the seat of their code"
    assert hall.led()["第1组"] == 1


def _use(tx: Tx, desk: Desk, code: str, known: Known) -> None:
    groups.join(tx, desk.keyring, known.id, code, NOW)


def test_a_group_that_became_full_or_closed_takes_nobody(hall: Hall) -> None:
    desk = hall.desk
    full, closed = desk.write(
        lambda tx: (
            groups.create(tx, desk.course_id, code="one", name="一组", capacity=3),
            groups.create(tx, desk.course_id, code="two", name="二组", capacity=5),
        )
    )
    desk.write(lambda tx: groups.close(tx, desk.group, NOW))
    hall.crowd(4)
    with browsing(desk, hall.admin) as browser:
        browser.get(hall.page)
        browser.post(hall.page + "/propose", {**ASKED, "use": "open"})
        for number in range(2):
            hall.invite(f"插队{number}", group=full)
        desk.write(lambda tx: groups.close(tx, closed, NOW))
        browser.post(hall.page + "/apply", hall.version())
        words = shown(browser.get(hall.page).text)
    assert hall.led() == {"一组": 3, "大群": 3}
    assert "有 3 人没有安排" in words
    assert words.count("这个组满了") == 1
    assert words.count("这个组停止报名了") == 2
    outcomes = desk.read(lambda tx: tx.execute(sa.select(ProposalSeat.outcome)).scalars().all())
    assert Counter(outcomes) == {"placed": 1, "full": 1, "closed": 2}


def test_more_people_than_seats_is_refused_with_the_remedy(hall: Hall) -> None:
    hall.desk.write(lambda tx: tx.execute(sa.update(Group).where(Group.id == hall.desk.group).values(capacity=3)))
    hall.crowd(4)
    with browsing(hall.desk, hall.admin) as browser:
        browser.get(hall.page)
        answer = browser.post(hall.page + "/propose", {**ASKED, "use": "open", "number": "1"})
        assert answer.status_code == 422
        assert "空位比人少" in answer.text


# Personal codes -----------------------------------------------------------------------------------------------------------------------


def test_i4_personal_codes_leave_as_a_sheet_and_as_files_of_harmless_cells(hall: Hall) -> None:
    desk = hall.desk
    code = hall.invite("=1+1", group=desk.group, phone="+8613800138001")
    hall.invite("没分组的")
    with browsing(desk, hall.admin) as browser:
        browser.get(hall.page)
        sheet = browser.post(hall.page + "/codes", {"group": str(desk.group)})
        assert sheet.status_code == 200
        assert "微信现在做不出二维码" in sheet.text
        assert code in sheet.text
        file = browser.post(hall.page + "/file", {"kind": "csv"})
        assert file.headers["content-disposition"].startswith("attachment;")
        rows = list(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"))))
        assert rows == [{"number": "R1", "name": "'=1+1", "phone": "'+8613800138001", "group": "晨光组", "code": code, "link": ""}]
        browser.get(hall.page)
        book = openpyxl.load_workbook(io.BytesIO(browser.post(hall.page + "/file", {"kind": "xlsx"}).content))
        cells = [[cell.value for cell in row] for row in book.worksheets[0].iter_rows()]
        assert cells[1][:5] == ["R1", "'=1+1", "'+8613800138001", "晨光组", code]
        assert {cell.data_type for row in book.worksheets[0].iter_rows(max_col=5) for cell in row} == {"s"}
        book.close()
        browser.get(hall.page)
        assert browser.post(hall.page + "/codes", {"group": str(hall.large)}).status_code == 409
    assert len(audited(desk, "placing.codes")) == 4


def test_what_somebody_writes_is_shown_as_text(hall: Hall) -> None:
    for number in range(6):
        hall.invite(f"<img src=x onerror=alert({number})>", city="<script>alert(1)</script>")
    with browsing(hall.desk, hall.admin) as browser:
        browser.get(hall.page)
        browser.post(hall.page + "/propose", ASKED)
        page = browser.get(hall.page).text
        wished = browser.post(hall.page + "/propose", {**ASKED, **hall.version(), "together": "</textarea><script>alert(2)</script> R1"})
    assert "&lt;script&gt;" in page
    for text in (page, wished.text):
        assert not re.search("<script>|<img", text)


def test_the_page_asks_as_often_for_sixty_as_for_six(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), queries(desk) as said:
        hall = Hall(desk)
        asked = []
        with browsing(desk, hall.admin) as browser:
            for many in (6, 54):
                hall.crowd(many)
                browser.get(hall.page)
                there = desk.read(lambda tx: proposals.find(tx, desk.course_id))
                version = str(there.version) if there else "0"
                assert browser.post(hall.page + "/propose", {**ASKED, "version": version}).status_code == 303
                said.clear()
                assert browser.get(hall.page).status_code == 200
                asked.append(len(said))
    assert asked[0] == asked[1] < 20


def test_erased_people_take_the_rosters_facts_with_them(hall: Hall) -> None:
    desk = hall.desk
    code = hall.invite("小雨", gender="female", age=36)
    known = desk.person("小雨", role=None)
    desk.write(lambda tx: groups.join(tx, desk.keyring, known.id, code, NOW))
    desk.write(lambda tx: people.erase(tx, desk.keyring, known.id, NOW, actor="operator"))
    kept = desk.read(lambda tx: tx.execute(sa.select(Invitation.facts_sealed, Invitation.name_sealed)).all())
    assert [tuple(row) for row in kept] == [(None, None)]


def test_whoever_follows_reads_it_in_the_chat_and_a_roster_code_is_a_picture_and_a_link(stage: Stage) -> None:
    async def play() -> None:
        async with stage, Tab(stage) as tab:
            course = stage.course("正念自我关怀")
            large = stage.read(lambda tx: groups.by_code(tx, "msc-all"))
            admin = await stage.member("王管理", large, Role.ADMINISTRATOR)
            await stage.member("小雨", large)
            await stage.says("小雨", "你好")
            stage.write(lambda tx: groups.invite(tx, stage.keyring, large, clock.now(), once=True, name="阿宁", code="PERSONAL23"))
            login = stage.write(lambda tx: logins.of_person(tx, admin, clock.now()))
            assert login is not None
            token = stage.write(lambda tx: sessions.begin(tx, stage.keyring.vault, login, "wechat", "phone", sessions.moment()))
            tab._http.cookies.set("tongban", token)
            page = f"{HOME}/assign/{course}"
            await tab.get(page)
            assert (await tab.post(f"{page}/propose", partial=False, how="groups", number="1", use="new", version="0")).status_code == 303
            await tab.get(page)
            version = re.findall(r'name="version" value="(\d+)"', tab.page)[0]
            assert (await tab.post(f"{page}/apply", version=version)).status_code == 303
            await stage.settle()
            told = [each["text"] for each in await stage.chat("小雨") if "欢迎加入「第1组」" in each.get("text", "")]
            assert len(told) == 1
            assert told[0].startswith("小雨，")
            await tab.get(page)
            await tab.post(f"{page}/codes", group="")
            assert tab.page.count("<svg") == 1
            assert await tab.code() == "PERSONAL23", "what the picture holds is the personal code"
            await tab.get(page)
            file = await tab.post(f"{page}/file", kind="csv")
            row = next(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"))))
            assert (row["number"], row["name"], row["group"], row["code"]) == ("R1", "阿宁", "第1组", "PERSONAL23")
            assert row["link"].startswith("http")

    asyncio.run(play())
