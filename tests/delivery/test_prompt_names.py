"""Each reader gets a practice prompt by their own name, on every way, and nothing is composed more often than that takes."""

from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from app import broadcasts, people
from app.models import Broadcast, Delivery, Person
from app.outbox import claims
from app.outbox.parcels import Packer
from app.prompts import planning
from bots.effects import PlanPrompt
from bots.turns import Role
from tests.delivery.prompting import (
    AT,
    DAILY,
    HOUR,
    MONDAY,
    UNTIL,
    plan,
    starts,
    tick,
)
from tests.delivery.scene import NOW, Desk, lease, run, says
from tests.stage import Stage


def packed(desk: Desk, now: datetime) -> tuple[dict[int, str], int]:
    """What each person is sent now, and how often a bot was asked for words."""
    asked = 0
    composer = desk.tools.composer
    bot = composer.bots["prompt"]
    former = bot.compose

    def compose(occasion: object) -> object:
        nonlocal asked
        asked += 1
        return former(occasion)  # type: ignore[arg-type]

    posts = desk.write(lambda tx: claims.claim(tx, desk.account_id, lease(), desk.tools.rules, now).posts)
    details = desk.read(lambda tx: broadcasts.details_of(tx, desk.keyring, sorted({post.broadcast_id for post in posts})))
    packer = Packer(desk.keyring, composer, desk.tools.words, lambda _: lambda _choice, shown, _bubble: shown, str)
    bot.compose = compose  # type: ignore[method-assign, assignment]
    try:
        parcels, unwritable = packer.pack(posts, details, desk.tools.rules)
    finally:
        bot.compose = former  # type: ignore[method-assign]
    assert unwritable == []
    return {parcel.posts[0].person_id: parcel.text for parcel in parcels}, asked


def test_each_reader_gets_their_own_name_and_who_has_none_no_gap(database_url: str) -> None:
    with Desk(database_url) as desk:
        starts(desk, MONDAY - timedelta(days=7))
        leader = desk.person("李老师", Role.LEADER)
        xiaoyu, wang, nobody = desk.person("小雨"), desk.person("<b>王芳"), desk.person("无名")
        desk.write(lambda tx: tx.execute(sa.update(Person).where(Person.id == nobody.id).values(name_sealed=None)).rowcount)
        plan(desk, "{name}，第 {week} 周了。", author=leader)
        tick(desk, AT)
        desk.write(lambda tx: people.rename(tx, xiaoyu, "雨雨"))  # the name is the one at sending
        texts, asked = packed(desk, AT)
        head = "【晨光组 · 李老师 · 练习】\n"
        assert texts == {xiaoyu.id: f"{head}雨雨，第 2 周了。", wang.id: f"{head}＜b＞王芳，第 2 周了。", nobody.id: f"{head}第 2 周了。"}
        assert asked == 3


def test_without_the_gap_the_words_are_composed_once_for_everybody(database_url: str) -> None:
    with Desk(database_url) as desk:
        for number in range(12):
            desk.person(f"同学{number}")
        plan(desk, "一起坐一会儿。")
        tick(desk, AT)
        texts, asked = packed(desk, AT)
        assert (len(texts), len(set(texts.values())), asked) == (12, 1, 1)


def test_no_name_rests_with_a_broadcast(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person("小雨")
        plan(desk, "{name}，晚安。")
        tick(desk, AT)
        details = desk.read(lambda tx: broadcasts.details_of(tx, desk.keyring, tx.execute(sa.select(Broadcast.id)).scalars().all()))
        assert "小雨" not in str(details)


def test_what_waited_rides_along_by_name(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person("小雨", typed=None)
        plan(desk, "{name}，晚安。")
        tick(desk, AT)
        assert desk.write(lambda tx: claims.claim(tx, desk.account_id, lease(), desk.tools.rules, AT).posts) == []
        reply, _ = says(desk, 1, "你好", at=AT + HOUR)
        assert "【晨光组 · 课程团队 · 练习】\n小雨，晚安。" in reply
        assert "练习提醒 · " in reply, "with what it is"


def test_the_read_page_speaks_to_its_reader_by_name(database_url: str, tmp_path: Path) -> None:
    run(_read_page(database_url, tmp_path))


async def _read_page(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder, notices=True) as stage:
        stage.course("正念自我关怀")
        group = stage.group("晨光组")
        person = await stage.member("小雨", group)
        wanted_one = PlanPrompt((group,), "{name}，晚安。", DAILY, UNTIL, 0)
        stage.write(lambda tx: planning.plan(tx, stage.keyring, None, wanted_one, NOW))
        await stage.advance_to(AT + timedelta(minutes=1))
        delivery = stage.read(lambda tx: tx.execute(sa.select(Delivery.id, Delivery.state).where(Delivery.person_id == person)).one())
        assert delivery.state == "notified"
        page = await stage.web.get(f"/read/{stage.assembly.reading.token(delivery.id)}")
        assert page.status_code == 200
        assert "小雨，晚安。" in page.text
