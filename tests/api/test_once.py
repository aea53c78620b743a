"""A request that is sent twice has one effect: the same key gives the same bytes, across threads, processes, crashes and a day."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app import groups, retention
from app.console import sessions
from app.db import Database, Tx
from app.integrations import keys
from app.integrations.keys import Kept
from app.integrations.refusals import Refusal
from app.integrations.rules import Scope
from app.models import Audit, IdempotencyKey, Membership, Schedule
from app.web.api import gate
from app.web.api.routing import HOME
from tests.api.calling import System, calling, integration
from tests.architecture.source import ROOT
from tests.delivery.scene import NOW, Desk, at
from tests.stage import KEY


def announce(desk: Desk, system: System, key: str, text: str = "今晚见") -> httpx.Response:
    return system.post(f"/courses/{desk.course_id}/announcements", {"text": text, "groups": [str(desk.group)], "at": "now"}, key=key)


def count(desk: Desk, table: type[Any]) -> int:
    return desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def test_the_same_key_and_body_give_the_first_answer_to_the_byte(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), calling(desk) as system:
        first = announce(desk, system, "k1")
        assert first.status_code == 201
        with at(NOW + timedelta(hours=23)):
            again = announce(desk, system, "k1")
            turned = system.post(
                f"/courses/{desk.course_id}/announcements", {"at": "now", "groups": [str(desk.group)], "text": "今晚见"}, key="k1"
            )
        for repeat in (again, turned):
            assert (repeat.status_code, repeat.content, repeat.headers) == (first.status_code, first.content, first.headers)
        assert count(desk, Schedule) == 1
        planned = first.json()["announcements"][0]["id"]
        cancelled = system.post(f"/announcements/{planned}/cancel", key="k2")
        assert cancelled.status_code == 200
        assert system.post(f"/announcements/{planned}/cancel", key="k2").content == cancelled.content, (
            "the thing has changed, the answer not"
        )
        assert system.post(f"/announcements/{planned}/cancel", key="k3").status_code == 409
        assert announce(desk, system, "k1").content == first.content


def test_the_same_key_with_another_request_is_refused_and_does_nothing(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), calling(desk) as system:
        planned = announce(desk, system, "k1").json()["announcements"][0]["id"]
        for answer in (announce(desk, system, "k1", "明天见"), system.post(f"/announcements/{planned}/cancel", key="k1")):
            assert (answer.status_code, answer.json()["code"]) == (422, "key_other")
        assert count(desk, Schedule) == 1
        with System(desk.assembly, integration(desk, name="别的系统")[1]) as other:
            body = {"text": "明天见", "groups": [str(desk.group)], "at": "now"}
            assert other.post(f"/courses/{desk.course_id}/announcements", body, key="k1").status_code == 201, "keys are each system's own"


def test_what_was_refused_has_done_nothing_and_keeps_no_key(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), calling(desk) as system:
        assert announce(desk, system, "k1", " \n").status_code == 422
        assert count(desk, IdempotencyKey) == 0
        assert announce(desk, system, "k1").status_code == 201


def test_a_post_needs_a_key_that_is_one(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), calling(desk) as system:
        path, body = f"/courses/{desk.course_id}/announcements", {"text": "今晚见", "groups": [str(desk.group)], "at": "now"}
        assert system.send("POST", path, json=body).json()["code"] == "key_missing"
        for key in ("", " ", "a b", "x" * 201, "é", "a\tb"):
            sent = [("authorization", f"Bearer {system.token}"), ("idempotency-key", key)]
            assert system.raw("POST", path, sent, body).json()["code"] == "key_shape", key
        twice = [("authorization", f"Bearer {system.token}"), ("idempotency-key", "a"), ("idempotency-key", "a")]
        assert system.raw("POST", path, twice, body).json()["code"] == "key_shape"
        assert count(desk, Schedule) == 0


def test_neither_key_nor_words_rest_in_the_database(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), calling(desk) as system:
        announce(desk, system, "a-key-with-a-name-in-it", "一句没人该读到的话")
        row = desk.read(lambda tx: tx.execute(sa.select(*IdempotencyKey.__table__.columns)).one())
        stored = b"".join(each if isinstance(each, bytes) else str(each).encode() for each in row)
        assert b"a-key" not in stored
        assert "没人该读到".encode() not in stored


def test_a_key_is_free_after_a_day_and_the_retention_sweeps_it(database_url: str) -> None:
    kept = retention.keep(Desk(database_url)._settings)
    with Desk(database_url) as desk, at(NOW), calling(desk) as system:
        first = announce(desk, system, "k1")
        announce(desk, system, "k2", "另一句")
        later = NOW + keys.KEPT + timedelta(minutes=1)
        with at(later):
            assert desk.read(lambda tx: retention.count(tx, kept, later))["api_answers"] == 2
            again = announce(desk, system, "k1")
            assert (again.status_code, again.content == first.content) == (201, False)
            assert announce(desk, system, "k1").content == again.content
            assert desk.read(lambda tx: retention.count(tx, kept, later))["api_answers"] == 1
            assert desk.write(lambda tx: retention._keys(tx, kept, later, ())).gone == 1
        assert count(desk, IdempotencyKey) == 1


# At the same moment -----------------------------------------------------------------------------------------------------------------------


def _at_once(desk: Desk, token: str, calls: list[Callable[[System], httpx.Response]]) -> list[httpx.Response]:
    """Each call in a process of its own, as far as the database can tell, all at the same moment."""
    answers = dict[int, httpx.Response]()
    start = threading.Barrier(len(calls))

    def work(place: int, system: System) -> None:
        start.wait()
        answers[place] = calls[place](system)

    with ExitStack() as processes:
        systems = []
        for _ in calls:
            twin = Desk(desk.database.url)
            processes.enter_context(twin.database)
            systems.append(processes.enter_context(System(twin.assembly, token)))
        threads = [threading.Thread(target=work, args=each) for each in enumerate(systems)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return [answers[place] for place in range(len(calls))]


def test_of_six_twins_one_has_an_effect_and_all_get_its_answer(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        _, token = integration(desk)
        answers = _at_once(desk, token, [lambda system: announce(desk, system, "k1")] * 6)
        waited = [answer for answer in answers if answer.status_code in {409, 503}]
        good = [answer for answer in answers if answer not in waited]
        assert {answer.status_code for answer in good} == {201}
        assert len({answer.content for answer in good}) == 1
        assert all("retry-after" in answer.headers for answer in waited)
        assert count(desk, Schedule) == 1
        with System(desk.assembly, token) as system:
            assert announce(desk, system, "k1").content == good[0].content


def test_two_requests_with_one_key_at_once_are_one_effect_and_one_refusal(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        _, token = integration(desk)
        answers = _at_once(desk, token, [lambda s: announce(desk, s, "k1", "一"), lambda s: announce(desk, s, "k1", "二")])
        assert sorted(answer.status_code for answer in answers) == [201, 422]
        assert count(desk, Schedule) == 1


def test_somebody_who_is_moved_to_two_groups_at_once_sits_in_one(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        _, token = integration(desk)
        person = desk.person("小雨")
        number = desk.read(lambda tx: _number(tx, person.id))
        to = [desk.write(lambda tx, code=code: groups.create(tx, desk.course_id, code=code, name=code)) for code in ("east", "west")]  # type: ignore[misc]

        def move(group: int) -> Callable[[System], httpx.Response]:
            return lambda system: system.post(f"/groups/{group}/memberships", {"participant": number}, key=f"to-{group}")

        answers = _at_once(desk, token, [move(group) for group in to])
        assert 200 in {answer.status_code for answer in answers}
        assert {answer.status_code for answer in answers} <= {200, 404, 409}
        seats = sa.select(Membership.group_id).where(Membership.person_id == person.id, Membership.ended_at.is_(None))
        assert len(desk.read(lambda tx: tx.execute(seats).scalars().all())) == 1


def _number(tx: Tx, person_id: int) -> str:
    from app.models import Participant

    return tx.execute(sa.select(Participant.number).where(Participant.person_id == person_id)).scalar_one()


def test_a_twin_that_takes_too_long_is_not_waited_for_for_ever(postgres_url: str) -> None:
    with Desk(postgres_url) as desk, at(NOW):
        made, _ = integration(desk)
        asked = keys.request(desk.keyring.vault, made, "k1", "words", sessions.moment())
        with Database(postgres_url, patience=0.2) as hasty, desk.database._writers.begin() as tx:
            assert not isinstance(keys.claim(tx, desk.keyring, asked, desk.course_id), Kept)
            with pytest.raises(Refusal, match="twin") as refused:
                hasty.write_now(lambda tx: keys.claim(tx, desk.keyring, asked, desk.course_id))
        assert (refused.value.status, refused.value.after) == (409, 1)


# A crash ----------------------------------------------------------------------------------------------------------------------------------

_DIES = """
import asyncio, os, sys
import httpx
from pydantic import SecretStr
from app.assembly import assemble
from app.integrations import keys
from app.main import create_app
from app.settings import Settings

url, key, token, path, group = sys.argv[1:]
settings = Settings(_env_file=None, database_url=url, master_key=SecretStr(key), index_key=SecretStr(key))

def die(*_):
    os._exit(9)

keys.keep = die

async def ask():
    with (assembly := assemble(settings)).database:
        transport = httpx.ASGITransport(create_app(assembly, worker=False))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as system:
            headers = {"authorization": f"Bearer {token}", "idempotency-key": "k1"}
            await system.post(path, headers=headers, json={"text": "x", "groups": [group], "at": "now"})

asyncio.run(ask())
"""


def test_of_a_process_that_dies_between_effect_and_answer_nothing_is_left_and_the_repeat_does_it(database_url: str) -> None:
    with Desk(database_url) as desk:
        _, token = integration(desk, Scope.ANNOUNCEMENTS_WRITE)
        path = f"/courses/{desk.course_id}/announcements"
        said = [sys.executable, "-c", _DIES, database_url, KEY, token, HOME + path, str(desk.group)]
        died = subprocess.run(said, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False)
        assert died.returncode == 9, died.stderr.decode()
        assert (count(desk, Schedule), count(desk, IdempotencyKey)) == (0, 0)
        _asked_again(desk, token)


def test_whoever_lost_the_answer_of_what_was_committed_gets_it_and_nothing_is_done_twice(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with Desk(database_url) as desk, at(NOW):
        _, token = integration(desk, Scope.ANNOUNCEMENTS_WRITE)
        with monkeypatch.context() as patch:
            patch.setattr(gate, "_response", dies)
            with System(desk.assembly, token) as system, pytest.raises(KeyboardInterrupt):
                announce(desk, system, "k1", "x")
        desk.restart()
        assert (count(desk, Schedule), count(desk, IdempotencyKey)) == (1, 1)
        _asked_again(desk, token)


def _asked_again(desk: Desk, token: str) -> None:
    with System(desk.assembly, token) as system:
        answers = [announce(desk, system, "k1", "x") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].content == answers[1].content
    planned = desk.read(lambda tx: tx.execute(sa.select(Schedule.id)).scalars().all())
    assert [str(each) for each in planned] == [each["id"] for each in answers[0].json()["announcements"]]
    audited = sa.select(sa.func.count()).where(Audit.action == "announce")
    assert desk.read(lambda tx: tx.execute(audited).scalar_one()) == 1


def test_an_answer_whose_key_is_gone_is_not_given_and_nothing_is_done_twice(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), calling(desk) as system:
        announce(desk, system, "k1")
        desk.write(lambda tx: tx.execute(sa.update(IdempotencyKey).values(answer_sealed=b"x" * 40)))
        answer = announce(desk, system, "k1")
        assert (answer.status_code, answer.json()["code"]) == (409, "key_gone")
        assert count(desk, Schedule) == 1
