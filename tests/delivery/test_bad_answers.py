"""Bad inputs, group L, through the running application: what the platform's answers do to messages, the account, the token, the alarms."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app import clock
from app.models import AccessToken, Attempt
from app.outbox.results import MOST_REFUSALS
from tests.delivery import scene
from tests.delivery.scene import alarms, announce, calls, deliveries, parked, run, unpark, writers
from tests.stage import Stage

SEND, NOTIFY, TOKEN = "message/custom/send", "message/template/send", "stable_token"
UNSEEN = 987654


def test_l1_l2_whatever_cannot_be_read_is_in_doubt_once_and_never_repeated(database_url: str, tmp_path: Path) -> None:
    run(_unreadable(database_url, tmp_path))


#: What the sandbox answers after it has done what was asked, and how the message then stands.
ANSWERS: dict[str, tuple[dict[str, Any], str]] = {
    "HTML": ({"body": "<html>OK</html>"}, "unknown"),
    "nothing": ({"body": ""}, "unknown"),
    "truncated": ({"body": '{"errcode":0,"errm'}, "unknown"),
    "two objects": ({"body": '{"errcode":0}{"errcode":0}'}, "unknown"),
    "no errcode": ({"body": '{"errmsg":"ok"}'}, "unknown"),
    "ten megabytes": ({"body": '{"errcode":0,"x":"' + "x" * 10_000_000 + '"}'}, "unknown"),
    "errcode as text": ({"body": '{"errcode":"0","errmsg":"ok"}'}, "sent"),
    "302": ({"status": 302, "body": ""}, "unknown"),
    "502": ({"status": 502, "body": "<html>"}, "unknown"),
    "500": ({"status": 500, "body": '{"errcode":0}'}, "unknown"),
}


async def _unreadable(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder) as stage:
        stage.course("正念自我关怀")
        group = stage.group("晨光组")
        people = await writers(stage, group, list(ANSWERS))
        for name, (fault, _) in ANSWERS.items():
            await stage.faults(api=SEND, openid=stage.openids[name], times=None, **fault)
        schedule = announce(stage, group)
        for _ in range(3):
            await stage.settle()
            stage.write(unpark)  # so many doubts in a row open the circuit: whoever waits behind it is asked too
        await stage.worker.send_due(clock.now() + timedelta(hours=14))
        rows = stage.read(lambda tx: deliveries(tx, schedule))
        assert {name: rows[people[name]].state for name in ANSWERS} == {name: state for name, (_, state) in ANSWERS.items()}
        assert calls(stage, SEND).total() == len(ANSWERS), "each was asked once, whatever came back"
        assert all(len(scene.texts(stage, name)) == 1 for name in ANSWERS), "it had arrived, which is why it is not repeated"


def test_l3_a_token_that_is_none_is_never_used_and_what_waits_for_one_is_not_in_doubt(database_url: str, tmp_path: Path) -> None:
    run(_tokens(database_url, tmp_path))


async def _tokens(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder) as stage:
        stage.course("正念自我关怀")
        group = stage.group("晨光组")
        await writers(stage, group, ["小雨"])
        schedule = announce(stage, group)
        malformed = ["a\nb", "x" * 600, "", 5, None]
        for token in malformed:
            await stage.faults(api=TOKEN, body=json.dumps({"access_token": token, "expires_in": 7200}))
            stage.write(unpark)
            await stage.settle()
            assert calls(stage, SEND).total() == 0, f"{token!r} was used"
            held = stage.read(lambda tx: tx.execute(sa.select(AccessToken.token_sealed, AccessToken.lease_owner)).one())
            assert tuple(held) == (None, None), "nothing is kept, and nobody waits"
            await stage.phones.delete("/sandbox/faults")
        stage.write(unpark)
        await stage.worker.send_due(clock.now() + timedelta(hours=1))
        assert {row.state for row in stage.read(lambda tx: deliveries(tx, schedule)).values()} == {"sent"}, "never sent, so tried again"


@pytest.mark.parametrize(("said", "seconds"), [(0, 60), (-1, 60), (10**12, 7_200)])
def test_l3_the_life_that_the_platform_gives_a_token_is_bounded_where_it_is_stored(
    database_url: str, tmp_path: Path, said: int, seconds: int
) -> None:
    run(_lives(database_url, tmp_path, said, seconds))


async def _lives(database_url: str, folder: Path, said: int, seconds: int) -> None:
    async with Stage(database_url, folder) as stage:
        await stage.faults(api=TOKEN, body=json.dumps({"access_token": "t" * 136, "expires_in": said}))
        channel = (await stage.worker._channels.all())[stage.account_id]
        await channel._keeper.current()  # type: ignore[attr-defined]
        until = stage.read(lambda tx: tx.execute(sa.select(AccessToken.expires_at)).scalar_one())
        assert until is not None
        assert abs((until - clock.now()).total_seconds() - seconds) < 10


def test_l4_a_notices_number_is_kept_as_text_whatever_its_form(database_url: str, tmp_path: Path) -> None:
    run(_numbers(database_url, tmp_path))


async def _numbers(database_url: str, folder: Path) -> None:
    forms = {"small": ("7", "7"), "64 bits": (str(2**63 + 1), str(2**63 + 1)), "text": ('"200163836"', "200163836"), "none": ("null", None)}
    async with Stage(database_url, folder, notices=True) as stage:
        stage.course("正念自我关怀")
        group = stage.group("晨光组")
        people = {name: await stage.member(name, group) for name in (*forms, "missing")}
        for name, (said, _) in forms.items():
            await stage.faults(api=NOTIFY, openid=stage.openids[name], body=f'{{"errcode":0,"errmsg":"ok","msgid":{said}}}')
        await stage.faults(api=NOTIFY, openid=stage.openids["missing"], body='{"errcode":0,"errmsg":"ok"}')
        schedule = announce(stage, group)
        await stage.settle()
        rows = stage.read(lambda tx: deliveries(tx, schedule))
        assert {row.state for row in rows.values()} == {"notified"}
        noted = sa.select(Attempt.delivery_id, Attempt.msgid)
        kept = {row.delivery_id: row.msgid for row in stage.read(lambda tx: tx.execute(noted).all())}
        assert {name: kept[rows[people[name]].id] for name in people} == {name: text for name, (_, text) in forms.items()} | {
            "missing": None
        }


def test_l5_an_unseen_code_is_counted_ends_its_message_and_its_broadcast_and_touches_nobody_else(database_url: str, tmp_path: Path) -> None:
    run(_unseen(database_url, tmp_path))


async def _unseen(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder) as stage:
        stage.course("正念自我关怀")
        lonely, crowded, fine = stage.group("一人"), stage.group("众人"), stage.group("旁人")
        await writers(stage, lonely, ["小雨"])
        crowd = await writers(stage, crowded, [f"同学{number}" for number in range(30)])
        await writers(stage, fine, ["王芳"])
        for name in ("小雨", *crowd):
            await stage.faults(api=SEND, openid=stage.openids[name], errcode=UNSEEN, times=None)
        one = announce(stage, lonely)
        for _ in range(3):
            await stage.settle()
        assert [row.word for row in stage.read(lambda tx: deliveries(tx, one)).values()] == [("failed", "bad_message")]
        assert calls(stage, SEND)[UNSEEN] == 1, "permanent for its message: asked once"
        assert stage.read(alarms)[f"message_refused {UNSEEN}"] == 1
        many = announce(stage, crowded)
        for _ in range(3):
            await stage.settle()
        asked = calls(stage, SEND)[UNSEEN] - 1
        assert MOST_REFUSALS <= asked <= MOST_REFUSALS - 1 + 8, "equal refusals stop the rest; eight were under way at most"
        assert stage.read(alarms)[f"message_refused {UNSEEN}"] == 1 + asked, "each is counted"
        states = [row.state for row in stage.read(lambda tx: deliveries(tx, many)).values()]
        assert (len(states), states.count("failed"), set(states)) == (30, asked, {"failed", "cancelled"})
        assert stage.read(lambda tx: parked(tx, stage.account_id)) == {}, "the account is not to blame"
        other = announce(stage, fine)
        await stage.settle()
        assert [row.state for row in stage.read(lambda tx: deliveries(tx, other)).values()] == ["sent"]
