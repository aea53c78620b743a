"""A new EncodingAESKey is taken at once, the former one for another day."""

import asyncio
from datetime import timedelta
from pathlib import Path

from app import accounts, clock
from tests.delivery.scene import run
from tests.stage import APPID, Stage

NEW = "n" * 42 + "A"


def test_the_former_key_is_good_for_a_day_after_a_change(database_url: str, tmp_path: Path) -> None:
    run(_rotated(database_url, tmp_path))


async def _rotated(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder) as stage:
        stage.course("正念自我关怀")
        group = stage.group("晨光组")
        await stage.member("小雨", group)
        stage.sandbox.pusher._timeout = 0.5  # three refused deliveries follow each other faster
        old = stage.read(lambda tx: accounts.credentials(tx, stage.keyring, stage.account_id)).aes_key
        assert (await stage.says("小雨", "你好")).text
        stage.write(lambda tx: accounts.rotate_aes_key(tx, stage.keyring, stage.account_id, NEW, clock.now()))
        await stage.assembly.accounts.refresh(force=True)
        assert (await stage.says("小雨", "还在吗")).text, "the platform has not changed yet: the reply uses the key that worked"
        await _use(stage, NEW)
        assert (await stage.says("小雨", "现在呢")).text
        await _use(stage, old)
        await stage.advance(timedelta(hours=23, minutes=59))
        assert (await stage.says("小雨", "第二天")).text
        await stage.advance(timedelta(minutes=2))
        answer = await stage.says("小雨", "过期了")
        assert answer.fault
        assert answer.texts == ()
        pushes = (await stage.phones.get("/sandbox/pushes")).json()
        assert pushes[-1]["tries"] == ["403", "403", "403"]
        await _use(stage, NEW)
        assert (await stage.says("小雨", "好了")).text
        assert await asyncio.to_thread(stage.read, lambda tx: accounts.by_name(tx, "demo")) == stage.account_id


async def _use(stage: Stage, key: str) -> None:
    (await stage.phones.patch(f"/sandbox/accounts/{APPID}", json={"aes_key": key})).raise_for_status()
