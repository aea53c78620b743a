"""What waits rides on the next reply, condensed and in order, or leaves through the window just opened; never into an open dialogue."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
import time_machine

from app import courses, groups, inbox, people, schedules
from app.channels import SendError, Verdict
from app.db import Tx
from app.models import Attempt, Broadcast, Conversation
from app.outbox import claims, results, riding
from bots.turns import Role
from tests.delivery import scene
from tests.delivery.scene import NOW, Desk, announce, begin, deliveries, lease, run, says, writers
from tests.stage import APPID, Stage

EVENING = NOW + timedelta(minutes=30)


def _waiting(desk: Desk, *texts: str) -> list[int]:
    """Announcements that wait for everybody in the group."""
    made = [desk.announced(text) for text in texts]
    desk.write(lambda tx: claims.claim(tx, desk.account_id, lease(), desk.tools.rules, NOW).posts)
    return made


def test_three_that_wait_ride_on_one_reply_and_count_as_sent_after_the_last_byte(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, other = desk.person("小雨", typed=None), desk.person("王芳", typed=None)
        made = _waiting(desk, "第一条", "第二条", "第三条")
        reply, taken = says(desk, 1, "你好", at=EVENING)
        assert taken.rides
        places = [reply.index(text) for text in ("第一条", "第二条", "第三条")]
        assert places == sorted(places), "the oldest first"
        assert reply.count("—— 小组公告 · 同伴 · 11月23日 周一 18:00 ——") == 3
        rows = [desk.read(lambda tx, each=each: deliveries(tx, each)) for each in made]  # type: ignore[misc]
        assert {(*row[person.id].word, row[person.id].route) for row in rows} == {("sending", "reply_unconfirmed", "reply")}
        assert {row[other.id].state for row in rows} == {"waiting"}
        again, repeat = says(desk, 1, "你好", at=EVENING)
        assert (again, repeat.rides, repeat.inbox_id) == (reply, True, taken.inbox_id), "a repeated push carries the same bytes"
        assert desk.read(lambda tx: scene.attempts(tx, rows[0][person.id].id)) == [(1, "reply", None)], "and the same attempt"
        assert not desk.write(lambda tx: claims.reap(tx, EVENING, EVENING.timestamp() + 19, desk.tools.rules)), "20 s it may take"
        desk.write(lambda tx: riding.handed_over(tx, taken.inbox_id, EVENING))
        assert {desk.read(lambda tx, each=each: deliveries(tx, each))[person.id].word for each in made} == {("sent", "reply")}  # type: ignore[misc]
        assert desk.read(lambda tx: scene.attempts(tx, rows[0][person.id].id)) == [(1, "reply", "handed_over")]
        late, later = says(desk, 1, "你好", at=EVENING + timedelta(seconds=1), key="2")
        assert "第一条" not in late
        assert not later.rides


def test_a_reply_that_was_never_handed_over_is_unknown_until_it_was(database_url: str) -> None:
    with Desk(database_url) as desk:
        person = desk.person("小雨", typed=None)
        (schedule,) = _waiting(desk, "第一条")
        _, taken = says(desk, 1, "你好", at=EVENING)  # and here the process died
        assert desk.write(lambda tx: claims.reap(tx, EVENING, EVENING.timestamp() + 30, desk.tools.rules)) == 1
        assert desk.read(lambda tx: deliveries(tx, schedule))[person.id].word == ("unknown", "reply_unconfirmed")
        assert "第一条" not in says(desk, 1, "在吗", at=EVENING, key="2")[0], "it may have arrived: it is not repeated by itself"
        desk.write(lambda tx: riding.handed_over(tx, taken.inbox_id, EVENING))  # the platform's repeat brought it after all
        assert desk.read(lambda tx: deliveries(tx, schedule))[person.id].word == ("sent", "reply")


def test_into_an_open_dialogue_goes_one_line_that_says_how_many_wait(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader = desk.person("李老师", Role.LEADER, typed=None)
        made = _waiting(desk, "第一条", "第二条")
        reply, taken = says(desk, 1, "公告", at=EVENING)
        assert desk.tools.words.fill("ride.waits", "zh", count=2) in reply
        assert "第一条" not in reply
        assert not taken.rides
        assert desk.read(lambda tx: tx.execute(sa.select(Conversation.busy)).scalar_one()) is True
        assert {desk.read(lambda tx, each=each: deliveries(tx, each))[leader.id].state for each in made} == {"waiting"}  # type: ignore[misc]
        reply, taken = says(desk, 1, "取消", at=EVENING + timedelta(minutes=1))
        assert "第一条" in reply
        assert "第二条" in reply
        assert taken.rides


def test_what_is_not_theirs_any_more_does_not_ride_and_what_is_stale_expires(database_url: str) -> None:
    with Desk(database_url) as desk:
        left, stayed = desk.person("小雨", typed=None), desk.person("王芳", typed=None)
        unnamed = desk.person("赵敏", typed=None)
        (old,) = _waiting(desk, "旧的")
        desk.write(lambda tx: groups.end_membership(tx, desk.group, left.id, Role.PARTICIPANT, NOW, "moved"))
        desk.write(
            lambda tx: tx.execute(sa.text("UPDATE consents SET ended_at = given_at WHERE person_id = :id"), {"id": unnamed.id}).rowcount
        )
        assert "旧的" not in says(desk, 1, "你好", at=EVENING)[0]
        assert "旧的" not in says(desk, 3, "你好", at=EVENING)[0]
        late = NOW + schedules.USEFUL
        assert "旧的" not in says(desk, 2, "你好", at=late)[0]
        rows = desk.read(lambda tx: deliveries(tx, old))
        assert rows[left.id].word == ("cancelled", "not_member")
        assert rows[unnamed.id].word == ("cancelled", "no_consent")
        assert rows[stayed.id].word == ("expired", "stale")


def test_what_was_taken_back_while_it_was_on_its_way_does_not_ride(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, _ = desk.person("小雨"), desk.person("王芳", typed=None)
        schedule, kept = desk.announced("取消的"), desk.announced("留下的")
        posts = desk.write(lambda tx: claims.claim(tx, desk.account_id, lease(), desk.tools.rules, NOW).posts)
        begin(desk, posts, lease(), NOW)
        desk.write(lambda tx: schedules.cancel(tx, schedule, None, NOW))
        refused = [results.Outcome(post, error=SendError(Verdict.TOO_OFTEN, "45047")) for post in posts]
        desk.write(lambda tx: results.settle(tx, desk.account_id, refused, desk.tools.rules, NOW))
        assert desk.read(lambda tx: deliveries(tx, schedule))[person.id].state == "waiting"
        reply, _ = says(desk, 1, "你好", at=EVENING)
        assert "取消的" not in reply
        assert "留下的" in reply
        states = [desk.read(lambda tx, each=each: deliveries(tx, each))[person.id].word for each in (schedule, kept)]  # type: ignore[misc]
        assert states == [("cancelled", "cancelled_by_author"), ("sending", "reply_unconfirmed")]


def test_one_message_that_cannot_be_written_does_not_silence_the_person(database_url: str) -> None:
    with Desk(database_url) as desk:
        person = desk.person("小雨", typed=None)
        broken, good = _waiting(desk, "坏的", "好的")
        desk.write(
            lambda tx: tx.execute(sa.update(Broadcast).where(Broadcast.schedule_id == broken).values(details_sealed=b"?" * 50)).rowcount
        )
        reply, taken = says(desk, 1, "你好", at=EVENING)
        assert "好的" in reply
        assert taken.rides
        assert desk.read(lambda tx: deliveries(tx, broken))[person.id].word == ("failed", "uncomposable")
        assert desk.read(lambda tx: deliveries(tx, good))[person.id].state == "sending"
        assert desk.read(scene.alarms)["message_not_written bot:announcement"] == 1


def test_the_times_are_those_of_the_course(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person("Xiaoyu", typed=None)
        desk.write(lambda tx: tx.execute(sa.text("UPDATE courses SET zone = 'Asia/Kolkata'")).rowcount)
        desk.write(lambda tx: tx.execute(sa.text("UPDATE persons SET language = 'en'")).rowcount)
        _waiting(desk, "see you")
        assert "Mon 23 Nov 15:30" in says(desk, 1, "hello", at=EVENING)[0]


def test_erasing_between_the_reply_and_its_repeat_leaves_nothing_to_serve(database_url: str) -> None:
    with Desk(database_url) as desk:
        person = desk.person("小雨", typed=None)
        reply, _ = says(desk, 1, "你好", at=EVENING)
        assert reply
        desk.write(lambda tx: people.erase(tx, desk.keyring, person.id, EVENING, actor="operator"))
        assert says(desk, 1, "你好", at=EVENING)[0] == ""


def test_a_repeat_after_a_minute_gets_a_bare_success(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person("小雨", typed=None)
        reply, taken = says(desk, 1, "你好", at=EVENING)
        late = EVENING + inbox.REPLY_SERVED + timedelta(seconds=1)
        pushed = scene.push(desk, 1, "你好", at=EVENING)
        with time_machine.travel(late, tick=True):
            again = desk.write(lambda tx: inbox.take(tx, desk.tools, scene.incoming(desk, pushed)))
        assert reply
        assert (again.inbox_id, again.reply, again.rides) == (taken.inbox_id, None, False)


def test_what_does_not_fit_into_the_reply_leaves_through_the_window_at_any_hour(database_url: str, tmp_path: Path) -> None:
    run(_over_full(database_url, tmp_path))


async def _over_full(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder) as stage:
        stage.course("正念自我关怀")
        group = stage.group("晨光组")
        await stage.member("小雨", group)
        texts = [f"第{number}条" + "慢" * 330 for number in range(6)]
        made = [announce(stage, group, text) for text in texts]
        await stage.settle()
        assert await stage.reached("小雨") == []
        await stage.advance_to(datetime(2026, 11, 23, 15, 30, tzinfo=UTC))  # 23:30 in Shanghai
        await stage.faults(api="push", cut="after", times=1)
        stage.sandbox.pusher._timeout = 1.5  # the platform's five seconds, shortened
        answer = await stage.says("小雨", "睡不着")
        assert len(answer.texts) == 1, "the answer that was lost and the one that came are the same"
        assert len(answer.text.encode()) <= 2048
        ridden = [text for text in texts if text in answer.text]
        assert ridden == texts[: len(ridden)] != []
        await _until(stage, lambda tx: _count(tx)["sent", "reply"] == len(ridden))
        await stage.settle()
        shown = "\n".join(scene.texts(stage, "小雨"))
        assert [shown.count(text) for text in texts] == [1] * 6, "each once, in the middle of the night, because they wrote"
        states = stage.read(_count)
        assert states == {("sent", "reply"): len(ridden), ("sent", "service"): 6 - len(ridden)}
        later = announce(stage, group, "睡前")
        await stage.settle()
        assert [row.word for row in stage.read(lambda tx: deliveries(tx, later)).values()] == [("ready", "quiet_hours")], "we start nothing"
        assert len(made) == 6


def _count(tx: Tx) -> "Counter[tuple[str, str]]":
    return Counter(row.word for row in _all(tx))


def _all(tx: Tx) -> list[scene.Row]:
    schedules_there = tx.execute(sa.select(Broadcast.schedule_id)).scalars().all()
    return [row for each in schedules_there for row in deliveries(tx, each).values()]


async def _until(stage: Stage, holds: Callable[[Tx], bool]) -> None:
    """Wait for what is noted down after an answer."""
    for _ in range(500):
        if stage.read(holds):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to that")


def test_a_tap_releases_three_and_the_rest_waits_on(database_url: str, tmp_path: Path) -> None:
    run(_tapped(database_url, tmp_path))


async def _tapped(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder) as stage:
        stage.course("正念自我关怀")
        stage.write(lambda tx: courses.set_quiet_hours(tx, stage.course_id, "00:00", "00:00"))
        group = stage.group("晨光组")
        await writers(stage, group, ["小雨"])
        await stage.advance(timedelta(days=3))
        texts = [f"第{number}条" + "慢" * 480 for number in range(6)]  # two are more than one message holds
        for text in texts:
            announce(stage, group, text)
        await stage.settle()
        assert stage.read(_count) == {("waiting", "window_closed"): 6}
        button = {"type": "click", "name": "帮助", "key": "help", "sub_button": []}
        stage.sandbox.world.accounts[APPID].menu = {"button": [button]}
        await stage.does("小雨", "press", key="help")
        await stage.settle()
        states = stage.read(_count)
        shown = "\n".join(scene.texts(stage, "小雨"))
        assert sum(states.values()) == 6
        assert states["sent", "service"] == 3
        assert states["waiting", "window_closed"] + states["waiting", "allowance_used"] == 6 - 3 - states["sent", "reply"]
        assert [shown.count(text) for text in texts] == [1] * (3 + states["sent", "reply"]) + [0] * (3 - states["sent", "reply"])
        tried = stage.read(lambda tx: tx.execute(sa.select(Attempt.outcome)).scalars().all())
        assert set(tried) <= {"accepted", "handed_over"}, "nothing was tried that the platform refuses"
