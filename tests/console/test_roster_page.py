"""A roster through the console: checked and shown first, imported only as it was shown, refused in words; codes leave as harmless cells."""

import csv
import io
import re

import pytest
import sqlalchemy as sa

from app import groups
from app.models import Invitation
from bots.turns import Role
from tests.console.visiting import HOME, Browser, audited, browsing, staff
from tests.delivery.scene import NOW, Desk, at

GOOD = "姓名,角色,小组,电话\n小雨,组员,dawn,13800138001\n𠀀宁😀,组员,dawn,\n<script>alert(1)</script>,组员,dawn,\n=1+1,组长,dawn,\n"
FIELDS = ("rows", "signature", "mark")


def _path(desk: Desk, deed: str = "") -> str:
    return f"{HOME}/roster/{desk.course_id}{deed}"


def _fields(browser: Browser) -> dict[str, str]:
    return {name: re.findall(rf'name="{name}" value="([^"]+)"', browser.answer.text)[0] for name in FIELDS}


def _invited(desk: Desk) -> int:
    query = sa.select(sa.func.count()).where(Invitation.roster_index.is_not(None), Invitation.expires_at.is_(None))
    return desk.read(lambda tx: tx.execute(query).scalar_one())


def test_a_roster_is_shown_then_imported_and_the_codes_are_taken_away(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        who = staff(desk, "王管理", Role.ADMINISTRATOR)
        with browsing(desk, who) as browser:
            browser.get(_path(desk))
            shown = browser.upload(_path(desk), "../../etc/名单.CSV", GOOD.encode())
            assert shown.status_code == 200
            assert "新增 4 人" in shown.text
            assert "𠀀宁😀" in shown.text
            assert "<script>alert" not in shown.text
            assert _invited(desk) == 0
            fields = _fields(browser)
            assert f"核对码 {fields['mark']}" in shown.text
            assert browser.post(_path(desk, "/codes"), fields).status_code == 409
            done = browser.post(_path(desk, "/import"), fields)
            assert done.status_code == 200
            assert "导入好了" in done.text
            assert _invited(desk) == 4
            file = browser.post(_path(desk, "/codes"), fields)
            assert file.headers["content-disposition"].startswith("attachment;")
            rows = list(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"))))
            assert [row["name"] for row in rows] == ["小雨", "𠀀宁😀", "<script>alert(1)</script>", "'=1+1"]
            assert all(row["code"] in done.text for row in rows)
            browser.get(_path(desk))
            again = browser.upload(_path(desk), "list.csv", GOOD.encode())
            assert "已经全部导入过" in again.text
            assert browser.post(_path(desk, "/import"), fields).status_code == 409, "the same button twice imports once"
            assert _invited(desk) == 4
        me = (f"person:{who.known.id}", f"course:{desk.course_id}")
        assert audited(desk, "roster.import") == [me]
        assert audited(desk, "roster.codes") == [me]
        assert {actor for actor, _ in audited(desk, "invite")[-4:]} == {me[0]}


def test_with_one_wrong_line_nothing_is_imported_and_the_line_is_named(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), browsing(desk, staff(desk, "王管理", Role.ADMINISTRATOR)) as browser:
        browser.get(_path(desk))
        shown = browser.upload(_path(desk), "list.csv", (GOOD + "阿宁,组员,nowhere,\n").encode())
        assert shown.status_code == 422
        assert "第 6 行" in shown.text
        assert "课程里没有小组" in shown.text
        assert 'name="mark"' not in shown.text
        assert _invited(desk) == 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"\xff\xfe\x00\x01\x02\x03" * 40),
        ("a.csv", b"\x00" * 2_000),
        ("a.csv", "姓名,小组\n小雨,dawn\n".encode()[:-9]),
        ("a.xlsx", b"PK\x03\x04 no sheet"),
        ("a.xlsx", GOOD.encode()),
        ("a.svg", b"<svg onload=alert(1)>"),
        ("a.csv\x00.exe", GOOD.encode()),
        ("x" * 300, GOOD.encode()),
        ("a.csv", "姓名,小组\n".encode()),
        ("a.csv", b"," * 10_000),
        ("", b""),
        ("a.csv", b""),
    ],
)
def test_j_a_file_that_is_no_roster_is_refused_in_words(sqlite_url: str, name: str, content: bytes) -> None:
    with Desk(sqlite_url) as desk, at(NOW), browsing(desk, staff(desk, "王管理", Role.ADMINISTRATOR)) as browser:
        browser.get(_path(desk))
        assert browser.upload(_path(desk), name, content).status_code in (403, 422)
        assert "alert(1)>" not in browser.answer.text
        assert '<td lang="en">' not in browser.answer.text, "it is said in the reader's language"
        assert _invited(desk) == 0


def test_j7_a_file_that_is_too_large_is_refused_before_it_is_read(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), browsing(desk, staff(desk, "王管理", Role.ADMINISTRATOR)) as browser:
        browser.get(_path(desk))
        for size in (5_000_001, 6_000_000, 51_000_000):
            assert browser.upload(_path(desk), "a.csv", b"x" * size).status_code == 413


def test_what_was_not_shown_is_not_imported(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        with browsing(desk, staff(desk, "王管理", Role.ADMINISTRATOR)) as browser:
            browser.get(_path(desk))
            browser.upload(_path(desk), "list.csv", GOOD.encode())
            fields = _fields(browser)
            for changed in ({"rows": fields["rows"][:-4] + "AAAA"}, {"signature": "x" * 32}, {"rows": "", "signature": ""}):
                assert browser.post(_path(desk, "/import"), fields | changed).status_code == 403
            assert browser.post(_path(desk, "/import"), fields | {"mark": "0" * 12}).status_code == 409
            desk.write(
                lambda tx: groups.invite(tx, desk.keyring, desk.group, NOW, once=True, name="小雨", phone="13800138001")
            )  # somebody else imported one of them meanwhile
            assert browser.post(_path(desk, "/import"), fields).status_code == 409
            assert "检查之后课程有了变化" in browser.answer.text
            assert _invited(desk) == 1
        with browsing(desk, staff(desk, "另一位", Role.ADMINISTRATOR)) as browser:
            assert browser.post(_path(desk, "/import"), fields).status_code == 403, "another session was shown nothing"


def test_an_upload_needs_the_form_of_the_console(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), browsing(desk, staff(desk, "王管理", Role.ADMINISTRATOR)) as browser:
        browser.get(_path(desk))
        token, browser.csrf = browser.csrf, "wrong"
        assert browser.upload(_path(desk), "list.csv", GOOD.encode()).status_code == 403
        browser.csrf = token
        assert browser.upload(_path(desk), "list.csv", GOOD.encode(), {"more": "1"}).status_code == 422
        assert browser.post(_path(desk), {"file": GOOD}).status_code == 403
        kind = {"content-type": "multipart/form-data; boundary=x", "origin": "http://127.0.0.1:8000"}
        for body in (
            b"",
            b"--x",
            b"--x--",
            b"--x\r\n\r\n--x--",
            b'--x\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n\xff\r\n--x--',
        ):
            assert browser.send("POST", _path(desk), content=body, headers=kind).status_code == 403


def test_what_is_wrong_in_a_line_is_said_in_the_readers_language(sqlite_url: str) -> None:
    wrong = {
        ",组员,dawn,": "没有名字",
        f"{'长' * 61},组员,dawn,": "最多 60 个字",
        "小雨,组员,,": "没有小组，请写",
        "小雨,组员,<b>,": "课程里没有小组「＜b",
        "小雨,校长,dawn,": "这个角色",
        "小雨,组员,dawn,1.38E+10": "被 Excel 缩短了",
        "小雨,组员,dawn,12": "5 到 15 位数字",
        "小雨,组员,dawn,,多,多": "格子比标题多",
        "小雨,组员,dawn,\n小雨,组员,dawn,": "和第 2 行是同一个人",
        "小雨,组员,dawn,13800138001\n阿宁,组员,dawn,13800138001": "和第 2 行的电话一样",
        '小雨,组员,"dawn,': "引号不成对",
    }
    with Desk(sqlite_url) as desk, at(NOW), browsing(desk, staff(desk, "王管理", Role.ADMINISTRATOR)) as browser:
        for line, words in wrong.items():
            browser.get(_path(desk))
            assert browser.upload(_path(desk), "list.csv", f"姓名,角色,小组,电话\n{line}\n".encode()).status_code == 422, line
            assert words in browser.answer.text, line
        for heading, words in {"称号,组别": "找不到姓名或小组", "姓名,姓名,小组": "请留一列", "姓名,小组": "标题下面没有人"}.items():
            assert words in browser.upload(_path(desk), "list.csv", f"{heading}\n".encode()).text, heading
