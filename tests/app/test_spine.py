"""The main job from end to end: somebody joins by QR, the leader announces, everybody gets it or is shown as not reached."""

import asyncio
from datetime import timedelta
from pathlib import Path

from bots.turns import Role
from tests.stage import Stage


def test_a_leaders_announcement_reaches_who_can_be_reached_and_waits_for_the_others(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_announce(database_url, tmp_path))


async def _announce(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        stage.course("正念自我关怀")
        group = stage.group("晨光组", code="MORNING234")
        await stage.member("李老师", group, Role.LEADER)
        await stage.member("小雨", group)
        await stage.member("王芳", group)
        assert (await stage.says("小雨", "你好")).text
        await stage.says("李老师", "公告")
        await stage.says("李老师", "明天 19:30 上课")
        await stage.taps("李老师", "现在")
        answer = await stage.taps("李老师", "确认发送")
        assert answer.text
        await stage.settle()
        assert [entry["text"] for entry in await stage.reached("小雨")] == ["【晨光组 · 李老师】\n明天 19:30 上课"]
        assert await stage.reached("王芳") == []
        await stage.advance(timedelta(hours=1))
        assert "明天 19:30 上课" in (await stage.says("王芳", "老师好")).text
