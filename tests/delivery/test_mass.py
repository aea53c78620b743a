"""A mass send on the stage: chosen, by tag, once, counted honestly; who is not reached by it goes as ever."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app import clock, courses, forecast, groups, people, schedules
from app.db import Tx
from app.groups import Refused
from app.models import Group, Mass, Person, Tag, TagMember
from bots.turns import Role
from tests.delivery.scene import alarms, calls, deliveries, report, run, texts, touched
from tests.stage import APPID, Stage


class Many:
    """A course whose large group has members of all kinds. `stage` is the stage it plays on."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        stage.course("正念自我关怀")
        self.large = stage.read(lambda tx: tx.execute(sa.select(Group.id).where(Group.large)).scalar_one())
        self.people: dict[str, int] = {}
        self.switch(mass_after=0)

    async def members(self, *names: str, role: Role = Role.PARTICIPANT) -> None:
        for name in names:
            self.people[name] = await self.stage.member(name, self.large, role)

    def switch(self, **switches: Any) -> None:
        self.stage.sandbox.world.commit("account_patched", appid=APPID, settings={}, switches=switches)

    def plan(self, text: str = "周日静修", *, author: str | None = None, by_mass: bool = True, at: Any = None) -> int:
        author_id = None if author is None else self.people[author]
        return self.stage.write(
            lambda tx: schedules.plan_announcement(
                tx,
                self.stage.keyring,
                author_id=author_id,
                group_id=self.large,
                text=text,
                at=at,
                draft=None,
                now=clock.now(),
                by_mass=by_mass,
            )
        )

    async def settle(self, seconds: float = 1) -> None:
        """Until WeChat has reported: the sandbox pushes its receipt by itself."""
        await self.stage.settle()
        await self.stage.advance(timedelta(seconds=seconds))

    async def told(self, state: str = "done", times: int = 1) -> None:
        """Wait until so many mass sends have ended so."""
        for _ in range(100):
            await self.settle(0.01)
            await self.stage.worker.reap()  # a receipt may come in the very moment of our own answer
            if self.masses()[state] >= times:
                return
        raise AssertionError(f"mass sends stand at {self.masses()}")

    def masses(self) -> Counter[str]:
        return Counter(self.stage.read(lambda tx: tx.execute(sa.select(Mass.state)).scalars().all()))

    def words(self, schedule: int) -> dict[str, tuple[str, str]]:
        names = {person: name for name, person in self.people.items()}
        rows = self.stage.read(lambda tx: deliveries(tx, schedule))
        return {names[person]: row.word for person, row in rows.items()}

    def got(self, text: str = "周日静修") -> dict[str, int]:
        return {name: sum(text in each for each in texts(self.stage, name)) for name in self.people}

    def promise(self) -> Any:
        return self.stage.read(lambda tx: forecast.forecast(tx, self.stage.assembly.tools.rules, self.large, None, None, clock.now()))

    def calls(self, api: str) -> Counter[int]:
        return calls(self.stage, f"message/mass/{api}")


async def _many(stage: Stage, count: int = 3) -> Many:
    many = Many(stage)
    await many.members("陈管理", role=Role.ADMINISTRATOR)
    await many.members(*(f"同学{number}" for number in range(count)))
    return many


Scene = Callable[[Many], Any]


def _played(database_url: str, tmp_path: Path, scene: Scene, count: int = 3) -> None:
    async def play() -> None:
        async with Stage(database_url, tmp_path) as stage:
            await scene(await _many(stage, count))

    run(play())


def test_a_mass_send_reaches_everybody_at_once_and_who_wrote_never(database_url: str, tmp_path: Path) -> None:
    async def scene(many: Many) -> None:
        promise = many.promise()
        assert (promise.total, promise.now, promise.later) == (4, 0, 4)
        assert (promise.mass.reached, promise.mass.used_up, promise.mass.left) == (4, 0, 4)
        schedule = many.plan(author="陈管理")
        await many.told()
        assert many.words(schedule) == {f"同学{number}": ("confirmed", "mass_all") for number in range(3)}
        assert many.got() == {"陈管理": 0, "同学0": 1, "同学1": 1, "同学2": 1}, "its author is not of the audience"
        assert many.calls("sendall") == {0: 1}
        assert many.masses() == {"done": 1, "void": 1}, "nobody reads English"
        found = report(many.stage, schedule)
        assert found.by_state == (("微信已确认", 3),)
        assert found.notes == ("一次群发；微信报告 3 / 3，不说是谁",)
        assert many.promise().mass.left == 3
        await many.settle()
        tagged = many.stage.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(TagMember)).scalar_one())
        assert tagged == 4, "the tag follows its group again"

    _played(database_url, tmp_path, scene)


def test_who_does_not_count_as_reached_has_a_state_of_their_own(database_url: str, tmp_path: Path) -> None:
    async def scene(many: Many) -> None:
        stage = many.stage
        await many.members("停了", "没同意", "走了", "四次", "满标签")
        stage.write(lambda tx: people.pause(tx, many.people["停了"], clock.now()))
        stage.write(
            lambda tx: tx.execute(sa.text("UPDATE consents SET ended_at = given_at WHERE person_id = :id"), {"id": many.people["没同意"]})
        )
        await stage.does("走了", "unfollow")
        stage.sandbox.world.accounts[APPID].people[stage.openids["满标签"]].tags.extend(range(200, 220))
        for number in range(4):
            many.plan(f"第{number}次")
            await many.told(times=number + 1)
        await many.members("新同学")
        promise = many.promise()
        assert (promise.total, promise.never, promise.mass.reached, promise.mass.used_up) == (10, 3, 2, 5)
        touched(stage, stage.openids["同学0"], "typed")
        schedule = many.plan()
        await many.told(times=5)
        words = many.words(schedule)
        assert words["停了"] == ("cancelled", "paused")
        assert words["没同意"] == ("cancelled", "no_consent")
        assert words["走了"] == ("unreachable", "unfollowed")
        assert words["四次"] == ("waiting", "window_closed")
        assert words["满标签"] == ("waiting", "window_closed"), "no tag, no mass send; the usual way"
        assert words["同学0"] == ("sent", "service")
        assert words["新同学"] == ("confirmed", "mass_all")
        assert sum(count for _, count in report(stage, schedule).by_state) == 10
        assert many.got()["新同学"] == 1
        assert max(many.got().values()) == 1

    _played(database_url, tmp_path, scene)


def test_what_wechat_filters_is_counted_and_nobody_is_named(database_url: str, tmp_path: Path) -> None:
    async def scene(many: Many) -> None:
        world = many.stage.sandbox.world
        world.commit("person_changed", o=many.stage.openids["同学1"], set={"refuses": True})
        schedule = many.plan(author="陈管理")
        await many.told()
        assert set(many.words(schedule).values()) == {("sent", "mass_partial")}
        assert report(many.stage, schedule).notes == ("一次群发；微信报告 2 / 3，不说是谁",)

    _played(database_url, tmp_path, scene)


def test_each_reader_gets_one_in_their_own_language(database_url: str, tmp_path: Path) -> None:
    async def scene(many: Many) -> None:
        stage = many.stage
        await many.members("Anna")
        stage.write(lambda tx: people.set_language(tx, many.people["Anna"], "en"))
        stage.write(lambda tx: tx.execute(sa.update(Person).where(Person.id == many.people["陈管理"]).values(name_sealed=None)))
        schedule = many.plan(author="陈管理")
        await many.told(times=2)
        assert texts(stage, "Anna") == ["【大群 · course team】\n周日静修"]
        assert texts(stage, "同学1") == ["【大群 · 课程团队】\n周日静修"]
        assert set(many.words(schedule).values()) == {("confirmed", "mass_all")}
        assert many.calls("sendall") == {0: 2}
        assert many.promise().mass.left == 3

    _played(database_url, tmp_path, scene)


def test_quiet_hours_hold_a_mass_send(database_url: str, tmp_path: Path) -> None:
    async def scene(many: Many) -> None:
        await many.stage.advance(timedelta(hours=5))  # 23:00
        schedule = many.plan(author="陈管理")
        await many.settle()
        assert set(many.words(schedule).values()) == {("claimed", "quiet_hours")}
        assert many.got()["同学1"] == 0
        many.stage.write(lambda tx: people.pause(tx, many.people["同学2"], clock.now()))
        await many.stage.advance(timedelta(hours=9, minutes=1))
        await many.told()
        assert many.words(schedule)["同学2"] == ("cancelled", "paused")
        assert many.got() == {"陈管理": 0, "同学0": 1, "同学1": 1, "同学2": 0}

    _played(database_url, tmp_path, scene)


def test_a_cancelled_mass_send_stops_before_its_call(database_url: str, tmp_path: Path) -> None:
    async def scene(many: Many) -> None:
        await many.stage.advance(timedelta(hours=5))
        schedule = many.plan(author="陈管理")
        await many.settle()
        assert many.stage.write(lambda tx: schedules.cancel(tx, schedule, many.people["陈管理"], clock.now())) == 3
        await many.stage.advance(timedelta(hours=10))
        assert set(many.words(schedule).values()) == {("cancelled", "cancelled_by_author")}
        assert many.masses() == {"void": 2}
        assert not many.calls("sendall")

    _played(database_url, tmp_path, scene)


def test_only_the_large_group_is_addressed_so_and_only_by_who_may(database_url: str, tmp_path: Path) -> None:
    async def scene(many: Many) -> None:
        small = many.stage.group("晨光组")
        await many.members("李老师", role=Role.LEADER)
        with pytest.raises(Refused, match="large group") as refused:
            many.stage.write(lambda tx: _plan(tx, many, small, None))
        assert refused.value.code == "mass"
        with pytest.raises(Refused) as not_hers:
            many.plan(author="李老师")
        assert not_hers.value.code == "role"
        assert (
            many.stage.read(lambda tx: forecast.forecast(tx, many.stage.assembly.tools.rules, small, None, None, clock.now())).mass is None
        )

    _played(database_url, tmp_path, scene)


def _plan(tx: Tx, many: Many, group: int, author: int | None) -> int:
    return schedules.plan_announcement(
        tx, many.stage.keyring, author_id=author, group_id=group, text="好", at=None, draft=None, now=clock.now(), by_mass=True
    )


@pytest.mark.parametrize("fault", [{"cut": "after"}, {"cut": "before"}, {"status": 502, "body": "<html>"}, {"cut": "half"}])
def test_a_lost_answer_is_asked_for_again_under_the_same_id(database_url: str, tmp_path: Path, fault: dict[str, Any]) -> None:
    async def scene(many: Many) -> None:
        await many.stage.faults(api="message/mass/sendall", **fault)
        schedule = many.plan(author="陈管理")
        await many.settle()
        assert {state for state, _ in many.words(schedule).values()} == {"sending"}
        await many.settle(30)
        assert {state for state, _ in many.words(schedule).values()} == {"sending"}, "not before WeChat takes the id again"
        await many.settle(40)
        await many.told()
        assert set(many.words(schedule).values()) == {("confirmed", "mass_all")}
        assert many.got() == {"陈管理": 0, "同学0": 1, "同学1": 1, "同学2": 1}

    _played(database_url, tmp_path, scene)


@pytest.mark.parametrize("code", [45028, 48001, 48003])
def test_where_wechat_takes_no_mass_send_it_goes_another_way_and_its_author_is_told(database_url: str, tmp_path: Path, code: int) -> None:
    async def scene(many: Many) -> None:
        await many.stage.faults(api="message/mass/sendall", errcode=code)
        for name in ("同学0", "陈管理"):
            touched(many.stage, many.stage.openids[name], "typed")
        schedule = many.plan(author="陈管理")
        await many.settle()
        assert many.words(schedule) == {
            "同学0": ("sent", "service"),
            "同学1": ("waiting", "window_closed"),
            "同学2": ("waiting", "window_closed"),
        }
        assert ["微信现在不让群发" in each for each in texts(many.stage, "陈管理")] == [True]
        assert many.stage.read(alarms)[f"mass_refused account:{many.stage.account_id}.{code}"] == 1
        assert many.promise().mass is None, "nobody is offered what is not there"
        assert many.stage.write(lambda tx: tx.execute(sa.select(Tag.mass_id)).scalars().all()) == [None, None]

    _played(database_url, tmp_path, scene)


def test_the_minute_of_wechat_is_waited_for(database_url: str, tmp_path: Path) -> None:
    async def scene(many: Many) -> None:
        await many.stage.faults(api="message/mass/sendall", errcode=45011)
        schedule = many.plan(author="陈管理")
        await many.settle()
        assert {state for state, _ in many.words(schedule).values()} == {"claimed"}, "it can still be taken back"
        await many.settle(61)
        await many.told()
        assert set(many.words(schedule).values()) == {("confirmed", "mass_all")}

    _played(database_url, tmp_path, scene)


def test_words_that_wechat_refuses_have_failed(database_url: str, tmp_path: Path) -> None:
    async def scene(many: Many) -> None:
        await many.stage.faults(api="message/mass/sendall", errcode=45002)
        touched(many.stage, many.stage.openids["陈管理"], "typed")
        schedule = many.plan(author="陈管理")
        await many.settle()
        assert set(many.words(schedule).values()) == {("failed", "bad_message")}
        assert ["没有发出" in each for each in texts(many.stage, "陈管理")] == [True]

    _played(database_url, tmp_path, scene)


def test_a_review_that_refuses_afterwards_is_told_and_nothing_goes_round_it(database_url: str, tmp_path: Path) -> None:
    async def scene(many: Many) -> None:
        many.switch(mass_review="err(20001)")
        for name in ("同学0", "陈管理"):
            touched(many.stage, many.stage.openids[name], "typed")
        schedule = many.plan(author="陈管理")
        await many.told("failed")
        assert set(many.words(schedule).values()) == {("failed", "mass_failed")}
        await many.settle()
        assert ["没有发出" in each for each in texts(many.stage, "陈管理")] == [True]
        assert many.got()["同学0"] == 0
        assert many.promise().mass.left == 4, "it took none of the four"

    _played(database_url, tmp_path, scene)


def test_without_a_receipt_wechat_is_asked(database_url: str, tmp_path: Path) -> None:
    async def scene(many: Many) -> None:
        await many.stage.faults(api="push", cut="before", times=None)
        schedule = many.plan(author="陈管理")
        await many.settle()
        assert set(many.words(schedule).values()) == {("sending", "mass")}
        await many.settle(31)
        assert set(many.words(schedule).values()) == {("sent", "mass")}
        assert many.calls("get") == {0: 1}

    _played(database_url, tmp_path, scene)


def test_a_tag_that_was_deleted_in_the_console_is_made_anew(database_url: str, tmp_path: Path) -> None:
    async def scene(many: Many) -> None:
        many.plan("第一次")
        await many.told()
        number = many.stage.read(lambda tx: tx.execute(sa.select(Tag.number).where(Tag.language == "zh")).scalar_one())
        many.stage.sandbox.world.commit("tag_deleted", appid=APPID, id=number)
        many.plan()
        await many.told(times=2)
        assert many.got()["同学1"] == 1

    _played(database_url, tmp_path, scene)


def test_a_tag_whose_making_was_not_answered_is_found_by_its_name(database_url: str, tmp_path: Path) -> None:
    async def scene(many: Many) -> None:
        await many.stage.faults(api="tags/create", cut="after")
        many.plan(author="陈管理")
        await many.settle(8)
        await many.told()
        assert list(many.stage.sandbox.world.accounts[APPID].tags.values()).count(_tag_name(many)) == 1

    _played(database_url, tmp_path, scene)


def _tag_name(many: Many) -> str:
    return many.stage.read(lambda tx: tx.execute(sa.select(Tag.name).where(Tag.language == "zh")).scalar_one())


def test_who_has_left_is_taken_off_the_tag_also_where_nobody_can_name_them_any_more(database_url: str, tmp_path: Path) -> None:
    async def scene(many: Many) -> None:
        stage = many.stage
        many.plan("第一次")
        await many.told()
        await many.settle()
        stage.write(lambda tx: groups.end_membership(tx, many.large, many.people["同学0"], Role.PARTICIPANT, clock.now(), "moved"))
        stage.write(lambda tx: people.erase(tx, stage.keyring, many.people["同学1"], clock.now(), actor="operator"))
        await many.settle(11 * 60)
        world = stage.sandbox.world.accounts[APPID].people
        assert {name: bool(world[stage.openids[name]].tags) for name in many.people} == {
            "陈管理": True,
            "同学0": False,
            "同学1": False,
            "同学2": True,
        }

    _played(database_url, tmp_path, scene)


def test_tagging_goes_in_batches_of_fifty(database_url: str, tmp_path: Path) -> None:
    async def scene(many: Many) -> None:
        many.stage.write(lambda tx: courses.set_second_eyes(tx, courses.by_code(tx, None), 0, clock.now()))
        many.plan(author="陈管理")
        await many.told()
        assert calls(many.stage, "tags/members/batchtagging")[0] >= 3
        assert set(many.got().values()) == {0, 1}

    _played(database_url, tmp_path, scene, count=101)
