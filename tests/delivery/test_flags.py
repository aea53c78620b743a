"""A cry for help reaches the on-call people by every route at once, person after person, until one of them takes it over."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from app import broadcasts, clock, courses, flags, inbox
from app.alerts import Alerter
from app.db import Tx
from app.groups import Refused
from app.inbox import Taken
from app.models import Alert, Broadcast, Course, Flag, OnCall
from bots.turns import Role
from tests.delivery import scene
from tests.delivery.scene import NOW, Desk, alarms, run, says, touched
from tests.stage import Stage

WORDS = "我真的不想活下去了，钥匙在蓝色铁盒里"
NIGHT = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)  # 23:30 in Shanghai


@dataclass
class Outside:
    """A mail server and a webhook on this machine, and what came in. `refusing`: the webhook says 500."""

    mails: list[tuple[str, str]] = field(default_factory=list)  # to whom, subject and body
    posts: list[str] = field(default_factory=list)
    refusing: bool = False
    smtp: str = ""
    hook: str = ""

    async def mail(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        to = ""
        while line := (await reader.readline()).decode("latin-1").strip():
            if line.upper().startswith("RCPT"):
                to = line.partition("<")[2].rstrip(">")
            if line.upper() == "DATA":
                writer.write(b"354 go\r\n")
                content = message_from_bytes(await reader.readuntil(b"\r\n.\r\n"), policy=default)
                body = content.get_body()
                self.mails.append((to, f"{content['Subject']}\n{body.get_content() if body is not None else ''}"))
            writer.write(b"221 bye\r\n" if line.upper() == "QUIT" else b"250 ok\r\n")
            if line.upper() == "QUIT":
                break
        await _close(writer)

    async def post(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        size = int(head.partition("content-length:")[2].split("\r\n")[0])
        self.posts.append((await reader.readexactly(size)).decode())
        writer.write(b"HTTP/1.1 %d x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % (500 if self.refusing else 200))
        await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    await writer.drain()
    writer.close()
    await writer.wait_closed()


@asynccontextmanager
async def _outside() -> AsyncIterator[Outside]:
    outside = Outside()
    smtp = await asyncio.start_server(outside.mail, "127.0.0.1", 0)
    hook = await asyncio.start_server(outside.post, "127.0.0.1", 0)
    outside.smtp = f"smtp://127.0.0.1:{smtp.sockets[0].getsockname()[1]}"
    outside.hook = f"http://127.0.0.1:{hook.sockets[0].getsockname()[1]}/hook"
    async with smtp, hook:
        yield outside


def test_an_alert_goes_by_every_route_at_once_until_somebody_takes_over(database_url: str, tmp_path: Path) -> None:
    run(_alerts(database_url, tmp_path))


async def _alerts(database_url: str, folder: Path) -> None:
    async with _outside() as outside:
        made = Stage(database_url, folder)
        made.settings = made.settings.model_copy(update={"smtp_url": SecretStr(outside.smtp)})
        async with made as stage:
            stage.course("正念自我关怀")
            group = stage.group("晨光组")
            first = await stage.member("李老师", group, Role.LEADER)
            second = await stage.member("陈老师", group, Role.ASSISTANT)
            await stage.member("小雨", group)
            stage.on_call(first, email="first@example.org", webhook=outside.hook)
            stage.on_call(second, email="second@example.org")
            await stage.advance_to(NIGHT)
            for name in ("李老师", "陈老师"):
                touched(stage, stage.openids[name], "typed")
            answer = await stage.says("小雨", WORDS)
            assert answer.text
            assert not answer.fault
            await _send(stage)
            assert [to for to, _ in outside.mails] == ["first@example.org"]
            assert len(outside.posts) == 1
            (chat,) = await stage.reached("李老师")
            assert "我来跟进" in chat["text"], "at night, and at once"
            assert await stage.reached("陈老师") == []
            for text in (chat["text"], outside.mails[0][1], outside.posts[0]):
                assert "小雨" in text
                assert "正念自我关怀" in text
                assert WORDS not in text
                assert "铁盒" not in text
            await stage.says("小雨", WORDS)  # again: the same flag, no second storm
            await _send(stage)
            assert (len(outside.mails), stage.read(lambda tx: _count(tx, Flag))) == (1, 1)
            await stage.advance(timedelta(minutes=14))
            await _send(stage)
            assert await stage.reached("陈老师") == []
            await stage.advance(timedelta(minutes=1))
            await _send(stage)
            assert [to for to, _ in outside.mails] == ["first@example.org", "second@example.org"]
            assert len(await stage.reached("陈老师")) == 1
            assert stage.read(alarms)[f"flag_untaken course:{stage.course_id}"] == 1
            await _taken(stage, outside, second)


async def _taken(stage: Stage, outside: Outside, second: int) -> None:
    flag = stage.read(lambda tx: tx.execute(sa.select(Flag.number)).scalar_one())
    stranger = stage.read(lambda tx: tx.execute(sa.select(Flag.person_id)).scalar_one())
    for who, which in ((stranger, flag), (second, flag + 1)):
        with pytest.raises(Refused) as refusal:
            stage.write(lambda tx, who=who, which=which: flags.acknowledge(tx, which, who, clock.now()))  # type: ignore[misc]
        assert refusal.value.code == "foreign"
    href = next(link["href"] for entry in await stage.chat("陈老师") for link in entry["links"])
    await stage.does("小雨", "tap", href=href)  # a foreign tap: the signature is bound to the one who was called
    assert stage.read(_taken_by) is None
    assert (await stage.taps("陈老师", "我来跟进")).text
    assert stage.read(_taken_by) == second
    before = (len(outside.mails), len(outside.posts), len(await stage.ledger()))
    await stage.advance(timedelta(hours=3))
    await _send(stage)
    assert (len(outside.mails), len(outside.posts), len(await stage.ledger())) == before, "nobody is called any more"
    stored = stage.read(lambda tx: broadcasts.details_of(tx, stage.keyring, tx.execute(sa.select(Broadcast.id)).scalars().all()))
    assert len(stored) == 2
    assert "铁盒" not in str(stored)


def _taken_by(tx: Tx) -> int | None:
    found: int | None = tx.execute(sa.select(Flag.acknowledged_by)).scalar_one()
    return found


async def _send(stage: Stage) -> None:
    await stage.settle()
    await stage.worker._alert()


def _count(tx: Tx, table: type[Flag] | type[Alert]) -> int:
    return tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_a_route_that_is_out_of_order_is_tried_five_times_and_delays_no_other(database_url: str) -> None:
    run(_out_of_order(database_url))


async def _out_of_order(database_url: str) -> None:
    async with _outside() as outside:
        outside.refusing = True
        with Desk(database_url) as desk:
            settings = desk.assembly.settings.model_copy(update={"smtp_url": SecretStr(outside.smtp)})
            alerter = Alerter(desk.database, desk.keyring, desk.tools.words, settings)
            for email, webhook in (("a@example.org\r\nBcc: all@example.org", "http://[bad"), ("b@example.org", outside.hook)):
                _on_call(desk, None, email=email, webhook=webhook)
            desk.person("小雨")
            says(desk, 1, WORDS)
            for minute in range(16):
                with scene.at(NOW + timedelta(minutes=minute, seconds=1)):
                    desk.write(lambda tx: flags.call_due(tx, desk.tools, clock.now()))
                    await alerter.send_due()
            states = desk.read(lambda tx: tx.execute(sa.select(Alert.route, Alert.step, Alert.state, Alert.tries).order_by(Alert.id)).all())
            assert [tuple(row) for row in states] == [
                ("email", 1, "failed", 5),
                ("webhook", 1, "failed", 5),
                ("email", 2, "sent", 1),
                ("webhook", 2, "ready", 1),
            ]
            assert [to for to, _ in outside.mails] == ["b@example.org"]
            told = [name for name in desk.read(alarms) if name.startswith("alert_failed")]
            assert len(told) == 3
            assert "example.org" not in str(told)
            flag = desk.read(lambda tx: tx.execute(sa.select(Flag.number)).scalar_one())
            second = desk.person("陈老师", Role.ASSISTANT)
            _on_call(desk, second.id, email=None, webhook=None)
            desk.write(lambda tx: flags.acknowledge(tx, flag, second.id, NOW + timedelta(minutes=20)))
            with scene.at(NOW + timedelta(minutes=30)):
                assert await alerter.send_due() == 0, "who took over stops what was still to be tried"


def _on_call(desk: Desk, person_id: int | None, *, email: str | None, webhook: str | None) -> int:
    return desk.write(
        lambda tx: flags.add_on_call(tx, desk.keyring, desk.course_id, person_id=person_id, email=email, webhook=webhook, now=NOW)
    )


def test_where_nobody_is_on_call_the_operators_are_alarmed_and_the_person_is_answered(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person("小雨")
        reply, _ = says(desk, 1, WORDS)
        assert "400" in reply or "热线" in reply
        assert desk.read(alarms) == {f"nobody_on_call course:{desk.course_id}": 1}
        assert desk.read(flags.next_call) == pytest.approx(NOW + flags.NEXT_AFTER, abs=timedelta(seconds=5))
        assert desk.read(lambda tx: _count(tx, Flag)) == 1


def test_an_alert_that_cannot_even_be_written_costs_neither_the_answer_nor_the_flag(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person("小雨")
        _on_call(desk, desk.person("李老师", Role.LEADER).id, email="a@example.org", webhook=None)
        lost = sa.text("UPDATE data_keys SET wrapped = NULL WHERE id = (SELECT data_key_id FROM courses)")
        desk.write(lambda tx: tx.execute(lost).rowcount)
        reply, _ = says(desk, 1, WORDS)
        assert "400" in reply or "热线" in reply
        assert desk.read(lambda tx: _count(tx, Flag)) == 1
        assert desk.read(alarms)["flag_not_called Unreadable"] == 1
        assert desk.write(lambda tx: flags.call_due(tx, desk.tools, NOW + timedelta(minutes=2))) == 1, "and it is tried again soon"
        assert desk.read(alarms)["flag_not_called Unreadable"] == 2


def test_calling_goes_round_and_ends_after_a_day(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person("小雨")
        order = [_on_call(desk, None, email=f"{name}@example.org", webhook=None) for name in ("a", "b")]
        says(desk, 1, WORDS)
        moment = NOW
        while (due := desk.read(flags.next_call)) is not None:
            moment = due
            assert desk.write(lambda tx, due=due: flags.call_due(tx, desk.tools, due)) == 1  # type: ignore[misc]
        called = desk.read(lambda tx: tx.execute(sa.select(Alert.oncall_id).order_by(Alert.id)).scalars().all())
        assert called == [order[place % 2] for place in range(len(called))]
        assert timedelta(hours=24) <= moment - NOW < timedelta(hours=24, minutes=15)


def test_cries_at_the_same_moment_all_get_their_number(database_url: str) -> None:
    with Desk(database_url) as desk:
        for number in range(6):
            desk.person(f"同学{number}")
        with scene.at(NOW):
            taken = scene.together(desk, [_cry(desk, number + 1) for number in range(6)])
        assert all("400" in (each.reply or b"").decode() or "热线" in (each.reply or b"").decode() for each in taken)
        assert desk.read(lambda tx: sorted(tx.execute(sa.select(Flag.number)).scalars())) == [1, 2, 3, 4, 5, 6]


def _cry(desk: Desk, number: int) -> Callable[[Tx], Taken]:
    door = scene.incoming(desk, scene.push(desk, number, WORDS))
    return lambda tx: inbox.take(tx, desk.tools, door)


def test_the_ways_outside_wechat_are_known_by_course(database_url: str) -> None:
    with Desk(database_url) as desk:

        def add(code: str, **route: str | None) -> None:
            course = desk.write(lambda tx: courses.create(tx, desk.keyring, NOW, account_id=desk.account_id, code=code, title=code))
            desk.write(
                lambda tx: flags.add_on_call(
                    tx, desk.keyring, course, person_id=None, email=route.get("email"), webhook=route.get("webhook"), now=NOW
                )
            )

        add("chat-only")
        add("by-mail", email="a@example.org")
        add("by-hook", webhook="https://example.org/hook")
        add("over")
        desk.write(lambda tx: tx.execute(sa.update(Course).where(Course.code == "over").values(ended_at=NOW)).rowcount)
        routes = desk.read(flags.outside_routes)
        assert [(each.course, each.position, each.email, each.webhook) for each in routes] == [
            ("by-hook", 1, False, True),
            ("by-mail", 1, True, False),
            ("chat-only", 1, False, False),
        ]
        sealed = desk.read(lambda tx: tx.execute(sa.select(OnCall.email_sealed, OnCall.webhook_sealed)).all())
        assert b"example" not in repr([tuple(row) for row in sealed]).encode()
