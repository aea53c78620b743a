"""The database is away: pushes are kept, sealed, answered where it counts, and replayed in order, once, when it is back."""

import asyncio
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
import sqlalchemy as sa

from app import clock, inbox, intake
from app.assembly import assemble
from app.channels.wechat.replies import split_text, text_reply
from app.db import Work
from app.errors import Unavailable
from app.inbox import Incoming
from app.main import create_app
from app.models import Broadcast, Delivery, Flag, InboxItem, Person, Quarantined
from app.settings import Settings
from app.spool import Letter, Seal, waiting
from tests.app.outage import Outage, drained, files, until
from tests.app.wire import OtherProcess, Wire
from tests.stage import KEY, Server, Stage

KEYS: dict[str, Any] = {"master_key": KEY, "index_key": KEY}


async def people_of(stage: Stage, *names: str) -> list[str]:
    """Members of one group. Each has written, so that the platform lets us answer late."""
    stage.course("正念自我关怀")
    group = stage.group("晨光组")
    for name in names:
        await stage.member(name, group)
        assert (await stage.says(name, "早上好")).text
    return [stage.openids[name] for name in names]


def inbox_of(stage: Stage) -> list[Any]:
    query = sa.select(InboxItem.person_id, InboxItem.sent_at, InboxItem.received_at, InboxItem.kind, InboxItem.dedupe_key)
    return list(stage.read(lambda tx: tx.execute(query.order_by(InboxItem.id)).all()))


def late_answers(stage: Stage) -> list[str]:
    """The states of what was sent because nobody waited for the answer any more."""
    query = sa.select(Delivery.state).join(Broadcast, Broadcast.id == Delivery.broadcast_id)
    return list(stage.read(lambda tx: tx.execute(query.where(Broadcast.kind == "continuation")).scalars()))


@contextmanager
def nobody_replays(stage: Stage) -> Iterator[None]:
    """Somebody else holds the lock of the spool."""
    lock = os.open(stage.settings.spool / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(lock)


def test_what_comes_during_an_outage_is_kept_sealed_and_replayed_in_order_once(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_kept(database_url, tmp_path))


async def _kept(database_url: str, folder: Path) -> None:
    outage = Outage(database_url)
    async with Stage(database_url, folder) as stage:
        wire, openids = Wire(stage), await people_of(stage, "小雨", "王芳")
        with outage:
            for second in (3, 1, 2, 0):  # the platform's retries and lines mix them up
                for openid in openids:
                    sent = str(int(clock.now().timestamp()) - 10 + second)
                    assert await wire.says(openid, f"第{second}句话", CreateTime=sent) == ""
            assert [each.name[:10] for each in files(stage)] == sorted(each.name[:10] for each in files(stage))
            assert len(files(stage)) == 8
            nothing_stands_in_clear(stage.settings.spool, [*openids, "句话", "小雨", stage.assembly.settings.spool.name + "://"])
            shown = waiting(stage.settings.spool)
            assert (shown.count, shown.aside) == (8, 0)
            assert shown.oldest is not None
        await drained(stage)
        rows = inbox_of(stage)[2:]
        for person in {row.person_id for row in rows}:
            mine = [row.sent_at for row in rows if row.person_id == person]
            assert len(mine) == 4
            assert mine == sorted(mine)
        assert all(row.received_at < clock.now() for row in rows)
        assert late_answers(stage) == ["sent"] * 8  # as messages of their own
        assert wire.alarms()["database_away", "spooled"]
        assert waiting(stage.settings.spool).count == 0


def nothing_stands_in_clear(folder: Path, words: list[str]) -> None:
    assert (folder.stat().st_mode & 0o777) == 0o700
    for place, _, names in os.walk(folder):
        for name in names:
            file = Path(place) / name
            assert (file.stat().st_mode & 0o777) == 0o600
            assert not any(word in str(file.relative_to(folder)) or word.encode() in file.read_bytes() for word in words)


def test_words_of_crisis_are_answered_during_the_outage_and_raise_their_flag_after_it(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_crisis(database_url, tmp_path))


async def _crisis(database_url: str, folder: Path) -> None:
    outage = Outage(database_url)
    async with Stage(database_url, folder) as stage:
        wire, openids = Wire(stage), await people_of(stage, "小雨", "王芳", "李老师")
        stage.on_call(stage.read(lambda tx: tx.execute(sa.select(sa.func.max(Person.id))).scalar_one()))
        with outage:
            first = wire.sealed(wire.text(openids[0], "我不想活了"))
            said = [wire.words(await wire.post(*first)) for _ in range(3)]  # and WeChat asks twice more
            assert "12356" in said[0]
            assert set(said) == {said[0]}
            assert "不再主动给你发消息" in await wire.says(openids[1], "停")
            assert await wire.says(openids[1], "恢复") == ""  # only the database knows whether there is anything to resume
            assert "12356" in await wire.says(openids[1], "I want to die")
            assert len(files(stage)) == 4
        await drained(stage)
        assert stage.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(Flag)).scalar_one()) == 2
        assert any("值班" in each["text"] or "关注" in each["text"] for each in await stage.reached("李老师"))
        assert await stage.reached("小雨") == []  # she was answered
        assert ["欢迎回来" in each["text"] for each in await stage.reached("王芳")] == [True]
        assert wire.words(await wire.post(*first)) == ""  # a retry that comes after all
        assert wire.count(InboxItem) == 7


def test_a_database_that_is_away_for_a_moment_is_waited_for(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_moment(database_url, tmp_path))


async def _moment(database_url: str, folder: Path) -> None:
    outage = Outage(database_url, intake.PATIENCE_SECONDS)
    async with Stage(database_url, folder) as stage:
        wire, openids = Wire(stage), await people_of(stage, "小雨", "王芳")
        outage.begin()
        asked = [asyncio.create_task(wire.says(openid, "你好")) for openid in openids]
        await asyncio.sleep(0.3)
        outage.end()
        assert all(await asyncio.gather(*asked))
        assert files(stage) == []
        assert wire.alarms() == {}


def test_whoever_waits_in_the_spool_is_not_overtaken_by_themselves_and_others_are_served(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_line(database_url, tmp_path))


async def _line(database_url: str, folder: Path) -> None:
    outage = Outage(database_url)
    async with Stage(database_url, folder) as stage, OtherProcess(stage) as other:
        wire, (rain, fang) = Wire(stage), await people_of(stage, "小雨", "王芳")
        with nobody_replays(stage):
            with outage:
                assert [await wire.says(rain, f"第{number}句") for number in range(5)] == [""] * 5  # more than are brought in for them
            await until(lambda: stage.hooks._intake._asking is None and not stage.hooks._intake.away)
            assert await wire.says(fang, "你好")
            assert [wire.words(await wire.push(wire.text(rain, "又一句"), at=at)) for at in (other.web, stage.web)] == ["", ""]
            assert wire.count(InboxItem) == 3
        await drained(stage)
        assert wire.count(InboxItem) == 10
        assert await wire.says(rain, "第八句")
        await until(lambda: late_answers(stage) == ["sent"] * 7)
        assert len(await stage.reached("小雨")) == 1  # answers at once are put into one message


def test_whoever_writes_with_a_push_in_the_spool_has_it_brought_in_first_and_is_answered(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_brought(database_url, tmp_path))


async def _brought(database_url: str, folder: Path) -> None:
    outage = Outage(database_url)
    async with Stage(database_url, folder) as stage, OtherProcess(stage) as other:
        wire, (rain,) = Wire(stage), await people_of(stage, "小雨")
        with nobody_replays(stage):
            with outage:
                assert [await wire.says(rain, word) for word in ("第一句", "第二句")] == ["", ""]
            await until(lambda: stage.hooks._intake._asking is None and not stage.hooks._intake.away)
            third, fourth = wire.text(rain, "第三句"), wire.text(rain, "第四句")
            assert all(map(wire.words, await asyncio.gather(wire.push(third, at=other.web), wire.push(fourth, at=stage.web))))
            assert files(stage) == []
        await drained(stage)
        await until(lambda: late_answers(stage) == ["sent", "sent"])


def test_two_processes_share_a_spool_and_nothing_is_doubled(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_shared(database_url, tmp_path))


async def _shared(database_url: str, folder: Path) -> None:
    outage = Outage(database_url)
    async with Stage(database_url, folder) as stage, OtherProcess(stage) as other:
        wire, openids = Wire(stage), await people_of(stage, "小雨", "王芳", "李老师")
        await wire.push(wire.text(openids[0], "你也好"), at=other.web)  # which knows the accounts from now on
        with outage:
            pushes = [wire.sealed(wire.text(openid, f"第{number}句")) for number in range(10) for openid in openids]
            asked = [wire.post(*push, at=at) for push in pushes for at in (stage.web, other.web)]
            answers = await asyncio.gather(*asked)
            assert {answer.content for answer in answers} == {b"success"}
            assert len(files(stage)) == 30
        await drained(stage)
        assert wire.count(InboxItem) == 34
        assert wire.quarantined() == []
        assert len({row.dedupe_key for row in inbox_of(stage)}) == 34


def test_files_that_cannot_be_read_are_put_aside_and_block_nobody(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_unreadable(database_url, tmp_path))


async def _unreadable(database_url: str, folder: Path) -> None:
    outage = Outage(database_url)
    async with Stage(database_url, folder) as stage:
        wire, (rain, fang, lee) = Wire(stage), await people_of(stage, "小雨", "王芳", "李老师")
        with outage:
            assert await wire.says(rain, "一") == ""
            assert await wire.says(fang, "二") == ""
            assert await wire.says(lee, "三") == ""
            torn, renamed, _ = files(stage)
            torn.write_bytes(torn.read_bytes()[:-7])
            renamed.rename(renamed.with_name(renamed.name.replace(renamed.name[:10], "1000000000")))
            (torn.parent / "notes.txt").write_text("somebody's")
        await until(lambda: waiting(stage.settings.spool).count == 0)
        assert wire.count(InboxItem) == 4
        assert waiting(stage.settings.spool).aside == 3
        await until(lambda: sum(count for (kind, _), count in wire.alarms().items() if kind == "spool_unreadable") == 3)
        assert wire.alarms()["spool_unreadable", "Unreadable"] == 2
        assert wire.alarms()["spool_unreadable", "stranger"] == 1


def test_a_full_spool_says_so_and_has_room_for_somebody_in_danger(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TONGBAN_SPOOL_MOST", "2")
    asyncio.run(_full(database_url, tmp_path))


async def _full(database_url: str, folder: Path) -> None:
    outage = Outage(database_url)
    async with Stage(database_url, folder) as stage:
        wire, (rain,) = Wire(stage), await people_of(stage, "小雨")
        with outage:
            assert await wire.says(rain, "一") == ""
            assert await wire.says(rain, "二") == ""
            again = wire.sealed(wire.text(rain, "三"))
            assert (await stage.web.post(wire.path, params=urlencode(again[0]), content=again[1])).status_code == 503
            assert "12356" in await wire.says(rain, "我不想活了")
        await drained(stage)
        await until(lambda: wire.alarms().get(("spool_refused", "full")) == 1)
        assert wire.count(InboxItem) == 4
        assert wire.words(await wire.post(*again))  # the platform's next try


def test_a_disk_that_takes_nothing_costs_a_503_during_an_outage_and_nothing_else(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "spool").touch()  # where the folder should be
    asyncio.run(_no_disk(database_url, tmp_path))


async def _no_disk(database_url: str, folder: Path) -> None:
    outage = Outage(database_url)
    async with Stage(database_url, folder) as stage:
        wire, (rain,) = Wire(stage), await people_of(stage, "小雨")
        assert await wire.says(rain, "你好")
        with outage:
            query, body = wire.sealed(wire.text(rain, "还在吗"))
            assert (await stage.web.post(wire.path, params=urlencode(query), content=body)).status_code == 503
        await until(lambda: ("spool_refused", "ENOTDIR") in wire.alarms() and not stage.hooks._intake.away)
        assert wire.words(await wire.post(query, body))


def test_what_is_signed_and_cannot_be_understood_waits_too_and_is_quarantined_once(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_bad(database_url, tmp_path))


async def _bad(database_url: str, folder: Path) -> None:
    outage = Outage(database_url)
    async with Stage(database_url, folder) as stage:
        wire = Wire(stage)
        with outage:
            nonsense = wire.sealed(b"<nonsense/>")
            for _ in range(3):
                assert (await wire.post(*nonsense)).content == b"success"
            assert await wire.is_refused([*nonsense[0][:2], ("nonce", "x"), *nonsense[0][3:]], nonsense[1])
            kept = {file: file.read_bytes() for file in files(stage)}
            assert len(kept) == 1
        await drained(stage)
        for file, content in kept.items():  # as if we had died after the commit
            file.write_bytes(content)
        await drained(stage)
        assert wire.quarantined() == ["root"]


def test_a_push_whose_quarantine_was_committed_without_a_word_is_there_once(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(_no_word(database_url, tmp_path, monkeypatch))


async def _no_word(database_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Stage(database_url, folder) as stage:
        wire = Wire(stage)
        lost: list[Any] = []
        write = stage.assembly.database.write_short

        async def lose_the_word(work: Work[Any]) -> Any:
            made = await write(work)
            if not lost:
                lost.append(made)
                raise Unavailable("database", "The connection broke after the commit.")
            return made

        monkeypatch.setattr(stage.assembly.database, "write_short", lose_the_word)
        assert (await wire.post(*wire.sealed(b"<nonsense/>"))).content == b"success"
        assert lost
        assert wire.quarantined() == ["root"]


def test_a_crash_at_any_step_loses_nothing_and_doubles_nothing(database_url: str, tmp_path: Path) -> None:
    """CP17: written and not yet synced or named. CP18: committed and not yet removed."""
    asyncio.run(_crashes(database_url, tmp_path))


async def _crashes(database_url: str, folder: Path) -> None:
    outage = Outage(database_url)
    async with Stage(database_url, folder) as stage:
        wire, (rain, fang, lee) = Wire(stage), await people_of(stage, "小雨", "王芳", "李老师")
        with outage:
            for openid in (rain, fang, lee):
                assert await wire.says(openid, "你好") == ""
            named, unnamed, torn = files(stage)
            before = {named: named.read_bytes()}
            for file, whole in ((unnamed, True), (torn, False)):
                part = file.rename(file.with_name(f".{file.name}~4711.1"))
                if not whole:
                    part.write_bytes(part.read_bytes()[:100])
                os.utime(part, (0, 0))
            strange = named.with_name(f".{named.name}~4711.3")
            strange.mkdir()  # it cannot be read, and holds nobody up
            os.utime(strange, (0, 0))
            young = named.with_name(f".{named.name}~4711.2")
            young.write_bytes(named.read_bytes())
            os.utime(young, (clock.machine_seconds() - 5,) * 2)
        await drained(stage)
        assert wire.count(InboxItem) == 5  # of the torn one nothing was acknowledged
        assert {each.name for each in stage.settings.spool.glob("??/.*")} == {young.name, strange.name}
        rows, sent = wire.rows(), await stage.ledger()
        named.write_bytes(before[named])
        await drained(stage)
        assert {name for name, each in wire.rows().items() if each != rows[name]} == set()
        assert await stage.ledger() == sent


def test_what_a_process_left_behind_is_replayed_by_the_next_one(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_next_process(database_url, tmp_path))


async def _next_process(database_url: str, folder: Path) -> None:
    outage = Outage(database_url)
    async with Stage(database_url, folder) as stage:
        wire, (rain,) = Wire(stage), await people_of(stage, "小雨")
        outage.begin()
        assert await wire.says(rain, "你好") == ""
        aside = stage.settings.spool / "bad" / files(stage)[0].name
        await stage.hooks.stop()
        files(stage)[0].rename(aside)  # put aside by somebody who had not the key; who starts with it tries again
        outage.end()
        async with OtherProcess(stage):
            await until(lambda: wire.count(InboxItem) == 2)
        assert not aside.exists()


def test_a_process_that_knows_no_account_yet_asks_the_platform_to_come_back(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_newborn(database_url, tmp_path))


async def _newborn(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder) as stage:
        wire, (rain,) = Wire(stage), await people_of(stage, "小雨")
        query, body = wire.sealed(wire.text(rain, "你好"))
        nowhere = {"sqlite": f"sqlite:///{folder}", "postgr": "postgresql://nobody@127.0.0.1:1/nothing"}[database_url[:6]]
        server = Server(create_app(assemble(Settings(database_url=nowhere, clock_file=None, **KEYS)), worker=False))
        await server.start()
        answer = await stage.web.post(f"{server.address}{wire.path}", params=urlencode(query), content=body)
        await server.stop()
        assert (answer.status_code, answer.content) == (503, b"")
        assert files(stage) == []
        assert wire.words(await wire.post(query, body))


def test_a_write_that_went_through_after_nobody_waited_any_more_is_answered_once(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_went_through(database_url, tmp_path))


async def _went_through(database_url: str, folder: Path) -> None:
    outage = Outage(database_url)
    async with Stage(database_url, folder) as stage:
        wire, (rain,) = Wire(stage), await people_of(stage, "小雨")
        with nobody_replays(stage):
            with outage:
                assert await wire.says(rain, "你好") == ""
            seal, (file,) = Seal(stage.keyring.vault), files(stage)
            letter = seal.open(file.name, file.read_bytes())
            assert isinstance(letter, Letter)
            push = letter.push
            hung = Incoming(
                stage.account_id,
                push,
                write_reply=lambda text: text_reply(push, wire.known, text, clock.now()),
                split=split_text,
                link_for=stage.assembly.links().for_person,
            )
            stage.write(lambda tx: inbox.take(tx, stage.assembly.tools, hung))
            content = file.read_bytes()
        await drained(stage)
        assert len(await stage.reached("小雨")) == 1
        file.write_bytes(content)
        await drained(stage)
        assert await stage.reached("小雨") == []
        assert wire.count(InboxItem) == 2
        assert wire.count(Delivery) == 1


def test_what_was_said_counts_from_when_it_was_said(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_when(database_url, tmp_path))


async def _when(database_url: str, folder: Path) -> None:
    outage = Outage(database_url)
    async with Stage(database_url, folder) as stage:
        wire, (rain,) = Wire(stage), await people_of(stage, "小雨")
        said_at = clock.now()
        with nobody_replays(stage):
            with outage:
                assert await wire.says(rain, "你好") == ""
                assert await wire.says(rain, "早", CreateTime=str(int(said_at.timestamp()) - 7200)) == ""
            await stage.advance(timedelta(hours=50))
        await drained(stage)
        rows = inbox_of(stage)[1:]
        assert [row.received_at - said_at < timedelta(minutes=1) for row in rows] == [True, True]
        assert [abs(row.sent_at - said_at) < timedelta(minutes=1) for row in rows] == [True, True]  # two hours off: when it came
        assert await stage.reached("小雨") == []  # the window of that day is over
        assert wire.alarms()["odd_push", "clock"] == 1
        assert wire.count(Quarantined) == 0


def test_somebody_whose_row_is_locked_keeps_nobody_else_waiting(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "PATIENCE_SECONDS", 2.0)
    asyncio.run(_one_locked(postgres_url, tmp_path))


async def _one_locked(postgres_url: str, folder: Path) -> None:
    async with Stage(postgres_url, folder) as stage:
        wire, (rain, fang, lee) = Wire(stage), await people_of(stage, "小雨", "王芳", "李老师")
        first = stage.read(lambda tx: tx.execute(sa.select(sa.func.min(Person.id))).scalar_one())
        with psycopg.connect(postgres_url.replace("+psycopg", "")) as other:
            other.execute("SELECT id FROM persons WHERE id = %s FOR UPDATE", [first])
            assert await wire.says(rain, "我的行被锁住了") == ""
            assert await wire.says(fang, "你好")  # it was not the database
            assert await wire.says(rain, "还是锁着") == ""
            assert await wire.says(lee, "你也好")
            assert len(files(stage)) == 2
            assert wire.count(InboxItem) == 5
        await drained(stage)
        mine = sa.select(InboxItem.sent_at).where(InboxItem.person_id == first)
        assert len(stage.read(lambda tx: tx.execute(mine).all())) == 3
        await until(lambda: late_answers(stage) == ["sent", "sent"])
        assert wire.alarms() == {}  # it was never away


def test_a_database_that_answers_questions_but_takes_nothing_is_away(postgres_url: str, tmp_path: Path) -> None:
    asyncio.run(_takes_nothing(postgres_url, tmp_path))


async def _takes_nothing(postgres_url: str, folder: Path) -> None:
    names = ["小雨", "王芳", "李老师", "张明"]
    async with Stage(postgres_url, folder) as stage:
        wire, openids = Wire(stage), await people_of(stage, *names)
        with psycopg.connect(postgres_url.replace("+psycopg", "")) as other:
            other.execute("SELECT id FROM persons FOR UPDATE")
            for openid in openids[:3]:
                assert await wire.says(openid, "你好") == ""
            assert stage.hooks._intake.away
            began = clock.steady()
            assert "12356" in await wire.says(openids[3], "我不想活了")
            assert clock.steady() - began < intake.PATIENCE_SECONDS  # nobody waits for it again
        await drained(stage)
        assert wire.count(InboxItem) == 8
        await until(lambda: not stage.hooks._intake.away)
        await until(lambda: wire.alarms().get(("database_away", "spooled")) == 1)
