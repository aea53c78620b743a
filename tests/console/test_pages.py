"""What the pages show and do: groups, announcements, questionnaires. Never an openid, never a score."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from app import groups, people
from app.db import Tx
from app.models import Assignment, Broadcast, Delivery, Schedule
from app.questionnaires import waves
from app.questionnaires.waves import Plan
from app.states import State
from bots.turns import Role
from tests.console.visiting import HOME, audited, browsing, named, queries, staff
from tests.delivery.scene import NOW, Desk, at, deliveries

DRAFT = {"when": "", "draft": "4711"}


def rows(page: str) -> dict[str, str]:
    """The rows of the page's tables: head to the cells behind it."""
    found = re.findall(r'<th scope="row"[^>]*>(.*?)</th>(.*?)</tr>', page, re.DOTALL)
    return {head: re.sub(r"<[^>]+>", " ", cells).strip() for head, cells in found}


def alerts(page: str) -> list[str]:
    return re.findall(r'role="alert">([^<]*)<', page)


# Groups -----------------------------------------------------------------------------------------------------------------------------------


def test_a_leader_sees_who_is_reachable_how_and_what_is_odd(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        leader = staff(desk, "李老师", Role.LEADER)
        desk.person("刚写过")
        desk.person("很久没写", typed=None)
        gone, resting = desk.person("走了的"), desk.person("想静静")
        desk.write(lambda tx: people.left(tx, gone, NOW))
        desk.write(lambda tx: people.pause(tx, resting.id, NOW))
        with browsing(desk, leader) as browser:
            page = browser.get(f"{HOME}/groups/{desk.group}").text
            shown = rows(page)
            assert {name: shown[name].split("  ")[1].strip() for name in ("刚写过", "很久没写", "走了的", "想静静")} == {
                "刚写过": "现在就能收到",
                "很久没写": "等对方说话",
                "走了的": "取消了关注",
                "想静静": "请我们暂停",
            }
            assert alerts(page) == ["只有 4 位组员，少于 20 位。人太少，分享时容易冷场。", "只有 0 位助教；一个组需要 2 到 3 位。"]
            assert desk.openid(1) not in page
            assert not re.search(r"\b\d{5}\b", re.sub(r"\d{6,}", "", page)), "no participant number beside a name"


@pytest.mark.parametrize(("seated", "assistants", "words"), [(20, 2, []), (30, 3, []), (31, 4, ["有 31 位组员", "有 4 位助教"])])
def test_the_size_of_a_group_is_checked_in_words(sqlite_url: str, seated: int, assistants: int, words: list[str]) -> None:
    with Desk(sqlite_url) as desk, at(NOW):
        leader = staff(desk, "李老师", Role.LEADER)
        for number in range(seated):
            desk.person(f"组员{number}")
        for number in range(assistants):
            desk.person(f"助教{number}", Role.ASSISTANT)
        with browsing(desk, leader) as browser:
            found = alerts(browser.get(f"{HOME}/groups/{desk.group}").text)
            assert len(found) == len(words)
            assert all(alert.startswith(word) for alert, word in zip(found, words, strict=True))


def test_an_administrator_moves_a_member_and_history_stays(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        other = desk.write(lambda tx: groups.create(tx, desk.course_id, code="dusk", name="晚霞组", capacity=1))
        large = desk.read(lambda tx: groups.by_code(tx, "msc-all"))
        admin = staff(desk, "管理员", Role.ADMINISTRATOR, group=large)
        first, second = desk.person("小雨"), desk.person("阿宁")
        with browsing(desk, admin) as browser:
            browser.get(f"{HOME}/groups/{desk.group}")
            move = f"{HOME}/groups/{desk.group}/move"
            assert browser.post(move, {"person": str(first.id), "to": str(other)}).status_code == 303
            page = browser.get(f"{HOME}/groups/{desk.group}").text
            assert "换到了别的组" in rows(page)["小雨"]
            assert browser.post(move, {"person": str(first.id), "to": str(other)}).status_code == 404, "no longer of this group"
            assert browser.post(move, {"person": str(second.id), "to": str(other)}).status_code == 409, "full"
            assert "已经满了" in browser.answer.text
            for person, to in ((second.id, large), (second.id, 0), (0, other), (second.id, desk.group), (admin.known.id, other)):
                assert browser.post(move, {"person": str(person), "to": str(to)}).status_code == 404
        assert (f"person:{admin.known.id}", f"group:{other}") in audited(desk, "membership.move")
        with browsing(desk, staff(desk, "李老师", Role.LEADER)) as browser:
            browser.get(f"{HOME}/groups/{desk.group}")
            assert "换组" not in browser.answer.text
            assert browser.post(move, {"person": str(second.id), "to": str(other)}).status_code == 404


def test_a_page_asks_the_database_as_often_for_thirty_as_for_three(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW):
        leader = staff(desk, "李老师", Role.LEADER)
        asked: list[int] = []
        for many in (3, 27):
            for number in range(many):
                desk.person(f"组员{number}")
            with browsing(desk, leader) as browser, queries(desk) as said:
                said.clear()
                assert browser.get(f"{HOME}/groups/{desk.group}").status_code == 200
                asked.append(len(said))
        assert asked[0] == asked[1] < 15


# Announcements ----------------------------------------------------------------------------------------------------------------------------


def written(desk: Desk, text: str = "今晚八点见", **changed: str) -> dict[str, str]:
    return {"text": text, "group": str(desk.group), **DRAFT, **changed}


def planned(desk: Desk) -> int:
    return desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(Schedule)).scalar_one())


def test_before_a_send_one_sees_the_bubble_the_bytes_and_who_gets_it(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        leader = staff(desk, "李老师", Role.LEADER)
        desk.person("刚写过")
        desk.person("很久没写", typed=None)
        with browsing(desk, leader) as browser:
            browser.get(f"{HOME}/announcements/new?group={desk.group}")
            page = browser.post(f"{HOME}/announcements/preview", written(desk, "今晚<b>八点</b>见")).text
            assert "【晨光组 · 李老师】\n今晚＜b＞八点＜/b＞见" in page
            assert [words for words in ("一共 2 人", "1 人马上收到", "1 人要等下次和账号说话时才收到") if words not in page] == []
            part = browser.post(f"{HOME}/announcements/preview", written(desk, "长" * 501), hx_request="true").text
            assert "1503 / 1500 字节" in part
            assert "太长了" in part
            assert "<html" not in part
            assert planned(desk) == 0
            edited = browser.post(f"{HOME}/announcements/preview", {**written(desk, "再想想"), "edit": "1"}).text
            assert "再想想</textarea>" in edited


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"text": " \n "}, "还没有内容"),
        ({"text": "长" * 501}, "太长了"),
        ({"when": "2020-01-01T10:00"}, "已经过去"),
        ({"when": "2026-02-30T10:00"}, "看不懂"),
        ({"when": "9999-12-31T23:59"}, "看不懂"),
        ({"when": "morgen"}, "看不懂"),
        ({"draft": "x"}, "太旧了"),
        ({"draft": "-1"}, "太旧了"),
        ({"draft": "9" * 19}, "太旧了"),
    ],
)
def test_what_cannot_be_sent_is_said_and_no_word_is_lost(sqlite_url: str, changed: dict[str, str], words: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), browsing(desk, staff(desk, "李老师", Role.LEADER)) as browser:
        fields = written(desk, **changed)
        answer = browser.post(f"{HOME}/announcements", fields)
        assert answer.status_code == 422
        assert words in alerts(answer.text)[0]
        assert fields["text"].strip() in answer.text
        assert planned(desk) == 0


def test_sent_twice_it_is_one_announcement_and_a_foreign_group_is_missing(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        other = desk.write(lambda tx: groups.create(tx, desk.course_id, code="dusk", name="晚霞组"))
        large = desk.read(lambda tx: groups.by_code(tx, "msc-all"))
        desk.person("小雨")
        with browsing(desk, staff(desk, "李老师", Role.LEADER)) as browser:
            places = {browser.post(f"{HOME}/announcements", written(desk)).headers["location"] for _ in range(2)}
            assert len(places) == planned(desk) == 1
            for group in (other, large, 0, 2**63 - 1):
                assert browser.post(f"{HOME}/announcements", written(desk, group=str(group), draft="12")).status_code == 404
                assert browser.post(f"{HOME}/announcements/preview", written(desk, group=str(group))).status_code == 404
            later = browser.post(f"{HOME}/announcements", written(desk, draft="13", when="2026-11-24T20:00")).headers["location"]
            assert "定在 11月24日 周二 20:00 发" in browser.get(later).text, "in the course's zone"
            assert browser.post(f"{later}/cancel").status_code == 303
            assert "已经取消" in browser.get(later).text


def _end(tx: Tx, person_id: int, state: State, reason: str) -> None:
    mine = sa.update(Delivery).where(Delivery.person_id == person_id)
    tx.execute(mine.values(state=state.value, reason=reason))


def test_who_was_not_reached_is_tried_once_more_where_that_may_help(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        leader = staff(desk, "李老师", Role.LEADER)
        names = ("收到了", "过期了", "没发成", "被拒绝", "不确定", "走了的")
        reach = {name: desk.person(name) for name in names}
        schedule = desk.announced(author=leader.known)
        ends = {
            "收到了": (State.SENT, "service"),
            "过期了": (State.EXPIRED, "stale"),
            "没发成": (State.FAILED, "gave_up"),
            "被拒绝": (State.FAILED, "bad_message"),
            "不确定": (State.UNKNOWN, "answer_lost"),
            "走了的": (State.UNREACHABLE, "unfollowed"),
        }
        for name, (state, reason) in ends.items():
            desk.write(lambda tx, name=name, state=state, reason=reason: _end(tx, reach[name].id, state, reason))  # type: ignore[misc]
        desk.write(lambda tx: people.left(tx, reach["走了的"], NOW))
        desk.write(lambda tx: tx.execute(sa.update(Broadcast).values(state="done")))
        with browsing(desk, leader) as browser:
            page = browser.get(f"{HOME}/announcements/{schedule}").text
            assert "给没收到的 2 人再发一次" in page
            assert "给不确定的 1 人再发一次" in page
            shown = rows(page)
            assert shown["不确定"] == "不确定到了没有 · 发出后没等到微信的回答，可能已到，不会自动重发"
            assert browser.post(f"{HOME}/announcements/{schedule}/again", {"which": "unreached"}).status_code == 303
            states = {name: desk.read(lambda tx: deliveries(tx, schedule))[reach[name].id].state for name in names}
            assert states == {**{name: state.value for name, (state, _) in ends.items()}, "过期了": "ready", "没发成": "ready"}
            browser.get(f"{HOME}/announcements/{schedule}")
            assert browser.post(f"{HOME}/announcements/{schedule}/again", {"which": "doubtful"}).status_code == 303
            assert desk.read(lambda tx: deliveries(tx, schedule))[reach["不确定"].id].state == "ready"
        assert audited(desk, "deliveries.revive") == [(leader.known and f"person:{leader.known.id}", f"schedule:{schedule}")]


def test_progress_is_asked_again_while_it_goes_and_no_longer(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        leader, member = staff(desk, "李老师", Role.LEADER), desk.person("小雨")
        schedule = desk.announced(author=leader.known)
        with browsing(desk, leader) as browser:
            part = browser.get(f"{HOME}/announcements/{schedule}", hx_request="true").text
            assert 'hx-trigger="every 3s"' in part
            assert "<html" not in part
            desk.write(lambda tx: _end(tx, member.id, State.SENT, "service"))
            part = browser.get(f"{HOME}/announcements/{schedule}", hx_request="true").text
            assert "hx-trigger" not in part
            assert "1 / 1 人收到" in part


# Questionnaires ---------------------------------------------------------------------------------------------------------------------------


def _opened(desk: Desk) -> int:
    plan = Plan("post", {"zh": "课后问卷", "en": "After"}, NOW, NOW + timedelta(days=7), ("shs",), {})
    wave = desk.write(lambda tx: waves.add(tx, desk.tools.shelf, desk.course_id, plan, NOW))
    while desk.write(lambda tx: waves.go_on(tx, desk.tools, NOW)):
        pass
    return wave


def _stands(desk: Desk, person_id: int) -> object:
    query = sa.select(Assignment.remind_at).where(Assignment.person_id == person_id)
    return desk.read(lambda tx: tx.execute(query).scalar_one())


def test_an_administrator_sees_how_far_a_wave_is_and_reminds_once_a_day(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        large = desk.read(lambda tx: groups.by_code(tx, "msc-all"))
        admin = staff(desk, "管理员", Role.ADMINISTRATOR, group=large)
        first, asked = desk.person("小雨"), desk.person("阿宁")
        wave = _opened(desk)
        own = NOW + timedelta(days=2)
        desk.write(lambda tx: tx.execute(sa.update(Assignment).where(Assignment.person_id == asked.id).values(remind_at=own)))
        with browsing(desk, admin) as browser:
            page = browser.get(f"{HOME}/waves/{wave}").text
            assert "0 / 2 人答完" in page
            assert "演示文字" in page
            assert "小雨" not in page
            assert "还没有人答完" in page
            assert browser.post(f"{HOME}/waves/{wave}/remind").status_code == 303
            assert _stands(desk, first.id) is not None
            assert _stands(desk, asked.id) == own, "who named a moment of their own keeps it"
            while desk.write(lambda tx: waves.go_on(tx, desk.tools, NOW + timedelta(minutes=1))):
                pass
            browser.get(f"{HOME}/waves/{wave}")
            assert browser.post(f"{HOME}/waves/{wave}/remind").status_code == 409
            assert "一天之内已经提醒过了" in alerts(browser.answer.text)[0]
        reminded = sa.select(Delivery.person_id).join(Broadcast, Broadcast.id == Delivery.broadcast_id).where(Broadcast.kind == "reminder")
        assert desk.read(lambda tx: tx.execute(reminded).scalars().all()) == [first.id]
        assert audited(desk, "wave.remind") == [(f"person:{admin.known.id}", f"wave:{wave}")]


def test_each_day_has_its_bar(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        large = desk.read(lambda tx: groups.by_code(tx, "msc-all"))
        admin = staff(desk, "管理员", Role.ADMINISTRATOR, group=large)
        done = [desk.person(f"组员{number}") for number in range(3)]
        wave = _opened(desk)
        from app.questionnaires import standing
        from app.states import Asked

        for person, days in zip(done, (0, 2, 2), strict=True):
            mine = desk.read(lambda tx, p=person: tx.execute(sa.select(Assignment.id).where(Assignment.person_id == p.id)).scalar_one())  # type: ignore[misc]
            moment = NOW + timedelta(days=days)
            desk.write(lambda tx, a=mine, m=moment: standing.move(tx, a, Asked.COMPLETE, "handed_in", m))  # type: ignore[misc]
        with at(NOW + timedelta(days=3)), browsing(desk, admin) as browser:
            page = browser.get(f"{HOME}/waves/{wave}").text
            assert re.findall(r"<title>(\d\d-\d\d: \d+)</title>", page) == ["11-23: 1", "11-24: 0", "11-25: 2", "11-26: 0"]
            assert "3 / 3 人答完" in page


# Both languages ---------------------------------------------------------------------------------------------------------------------------


def test_every_page_speaks_both_languages(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW):
        large = desk.read(lambda tx: groups.by_code(tx, "msc-all"))
        admin, member = staff(desk, "Admin", Role.ADMINISTRATOR, group=large), desk.person("Amy")
        wave, schedule = _opened(desk), desk.announced("See you", author=admin.known)
        assert named(desk, member.id) == "Amy"
        paths = (
            "groups",
            f"groups/{desk.group}",
            "announcements",
            "announcements/new",
            f"announcements/{schedule}",
            "waves",
            f"waves/{wave}",
        )
        with browsing(desk, admin) as browser:
            assert browser.post(f"{HOME}/language", {"language": "en", "next": f"{HOME}/groups"}).headers["location"] == f"{HOME}/groups"
            for path in (*paths, "sessions", "nothing"):
                text = browser.get(f"{HOME}/{path}").text
                assert '<html lang="en">' in text
                ours = text.replace("中文", "").replace("正念自我关怀", "").replace("晨光组", "").replace("大群", "")
                assert not re.search("[\u4e00-\u9fff]", ours), (path, re.findall(".{20}[\u4e00-\u9fff]+", ours))


def test_a_bug_is_one_sentence_and_names_nobody(sqlite_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with Desk(sqlite_url) as desk, at(NOW), browsing(desk, staff(desk, "李老师", Role.LEADER)) as browser:
        from app.console import members

        def broken(*_: object, **__: object) -> None:
            raise RuntimeError("李老师 has a secret")

        monkeypatch.setattr(members, "page", broken)
        answer = browser.get(f"{HOME}/groups/{desk.group}")
        assert answer.status_code == 500
        assert "已经记下来了" in answer.text
        assert "secret" not in answer.text + caplog.text
