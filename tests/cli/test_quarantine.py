"""A push in quarantine goes its own way once, late; what fails again stays; nobody is shown what is in it."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app import audit, clock, inbox, quarantine
from app.inbox.exchange import Exchange
from app.keyring import Place
from app.models import Account, Audit, InboxItem, Quarantined
from app.quarantine import Outcome
from tests.cli.conftest import Tongban, refused
from tests.delivery.scene import run
from tests.stage import Stage


def broken(*_: object, **__: object) -> None:
    raise KeyError("a defect")


def rows(stage: Stage) -> list[tuple[str, bool]]:
    """Reason of each push in quarantine, and whether it is settled."""
    query = sa.select(Quarantined.reason, Quarantined.settled_at).order_by(Quarantined.id)
    return [(row.reason, row.settled_at is not None) for row in stage.read(lambda tx: tx.execute(query).all())]


def replay(stage: Stage, place: int = 0) -> tuple[Outcome, str]:
    ids = stage.read(lambda tx: tx.execute(sa.select(Quarantined.id).order_by(Quarantined.id)).scalars().all())
    links = stage.assembly.links()
    return stage.write(lambda tx: quarantine.replay(tx, stage.assembly.tools, links.for_person, ids[place], clock.now()))


def inboxes(stage: Stage) -> int:
    return int(stage.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(InboxItem)).scalar_one()))


def said_to(stage: Stage, name: str) -> list[str]:
    person = stage.sandbox.world.people[stage.openids[name]]
    return [entry.text for entry in person.entries if entry.side == "account"]


async def member(stage: Stage) -> None:
    stage.course("正念")
    stage.group("晨光组", code="MORNING234")
    await stage.member("小雨", stage.group("晚霞组"))


def test_a_push_on_which_a_bot_broke_is_answered_once_by_a_replay(database_url: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with Stage(database_url, tmp_path) as stage:
            await member(stage)
            bot: Any = stage.assembly.tools.bots["fallback"]
            with pytest.MonkeyPatch.context() as defect:
                defect.setattr(type(bot), "answer", broken)
                await stage.says("小雨", "晚上吃什么")
                assert rows(stage) == [("bot: KeyError", False)]
                before = inboxes(stage)
                assert replay(stage) == (Outcome.STAYS, "bot: KeyError")  # not mended yet: nothing of the replay is left
                assert rows(stage) == [("bot: KeyError", False)]
                assert inboxes(stage) == before
            heard = len(said_to(stage, "小雨"))
            assert replay(stage) == (Outcome.REPLAYED, "")
            assert rows(stage) == [("bot: KeyError", True)]
            assert replay(stage) == (Outcome.GONE, "")
            await stage.settle()
            assert len(said_to(stage, "小雨")) == heard + 1
            assert inboxes(stage) == before + 1

    run(play())


def test_a_push_that_broke_everything_has_its_effect_by_a_replay(database_url: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with Stage(database_url, tmp_path) as stage:
            await member(stage)
            with pytest.MonkeyPatch.context() as defect:
                defect.setattr(Exchange, "answer", broken)
                await stage.says("小雨", "停")
            assert rows(stage) == [("push: KeyError", False)]
            assert replay(stage) == (Outcome.REPLAYED, "")
            actions = stage.read(lambda tx: tx.execute(sa.select(Audit.action)).scalars().all())
            assert list(actions).count("pause") == 1
            assert replay(stage) == (Outcome.GONE, "")

    run(play())


def test_a_push_whose_repeat_got_through_is_not_handled_twice(database_url: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with Stage(database_url, tmp_path) as stage:
            await member(stage)
            with pytest.MonkeyPatch.context() as defect:
                defect.setattr(Exchange, "answer", broken)
                await stage.says("小雨", "停")
            raw = await unsealed(stage)
            assert replay(stage)[0] is Outcome.REPLAYED
            stage.write(lambda tx: inbox.quarantine(tx, stage.assembly.tools, stage.account_id, "push: OSError", raw, clock.now()))
            before = inboxes(stage)
            assert replay(stage, 1) == (Outcome.HANDLED, "")
            assert inboxes(stage) == before
            assert rows(stage)[1] == ("push: OSError", True)

    run(play())


async def unsealed(stage: Stage) -> bytes:
    """What was sealed of the first push."""

    def work(tx: Any) -> bytes:
        row = tx.execute(sa.select(Quarantined.id, Quarantined.raw_sealed)).one()
        key_id = tx.execute(sa.select(Account.data_key_id)).scalar_one()
        opened: bytes = stage.keyring.open(tx, key_id).unseal_bytes(Place("quarantine", "raw_sealed", row.id), row.raw_sealed)
        return opened

    return stage.read(work)


def test_what_cannot_be_understood_stays_with_its_reason(database_url: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with Stage(database_url, tmp_path) as stage:
            await member(stage)
            for raw in (b"{}", b"<xml><MsgType>text</MsgType></xml>"):
                keep = partial(inbox.quarantine, tools=stage.assembly.tools, account_id=stage.account_id, reason="first", raw=raw)
                stage.write(partial(keep, now=clock.now()))
            ends = [replay(stage, place) for place in (0, 1)]
            assert [outcome for outcome, _ in ends] == [Outcome.STAYS, Outcome.STAYS]
            assert rows(stage) == [(reason, False) for _, reason in ends]
            assert inboxes(stage) == 0

    run(play())


def kept(tongban: Tongban, raw: bytes, reason: str) -> None:
    """Put a push into quarantine."""
    from app.assembly import assemble
    from app.settings import Settings

    assembly = assemble(Settings())  # type: ignore[call-arg]  # from the environment of the test

    def work(tx: Any) -> None:
        account = tx.execute(sa.select(Account.id)).scalar_one()
        inbox.quarantine(tx, assembly.tools, account, reason, raw, clock.now())
        audit.record(tx, clock.now(), "system", "test", "x")

    with assembly.database as database:
        database.write_now(work)


def test_the_operator_lists_replays_and_drops_and_is_shown_no_content(course: Tongban) -> None:
    assert "Nothing" in course("quarantine", "list").out
    kept(course, "<xml>我的秘密</xml>".encode(), "no MsgType")
    listed = course("quarantine", "list")
    assert "no MsgType" in listed.out
    assert "23" in listed.out  # bytes
    assert "秘密" not in listed.out
    assert "Which ones?" in refused(course("quarantine", "replay"))
    assert course("quarantine", "replay", "--all", typed="n\n").code == 1
    assert "stays" in course("quarantine", "replay", "--all", "--yes").out
    number = course("quarantine", "list").out.splitlines()[1].split()[0]
    assert "There is no 1 in quarantine" in refused(course("quarantine", "drop", "1", "--yes"))
    assert "1 dropped" in course("quarantine", "drop", number, "--yes").out
    assert "Nothing" in course("quarantine", "list").out
