"""What the API does: it announces by the checks that staff know, takes back its own, moves participants; all of it is on record."""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from app import groups, integrations
from app.backup import aftermath
from app.console import sessions
from app.db import Tx
from app.models import Audit, Broadcast, Course, Integration, Participant, Schedule
from app.schedules import MOST_BYTES
from bots.turns import Role
from tests.api.calling import System, calling, integration
from tests.console.visiting import audited
from tests.delivery.scene import NOW, Desk, at, deliveries, schedule_row

LATER = "2026-11-23T20:00:00+08:00"


def wanted(desk: Desk, text: str = "今晚见", **changed: Any) -> dict[str, Any]:
    return {"text": text, "groups": [str(desk.group)], "at": LATER, **changed}


def announced(desk: Desk) -> str:
    return f"/courses/{desk.course_id}/announcements"


def test_it_announces_to_groups_and_says_beforehand_whom_it_would_reach(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        made, token = integration(desk)
        other = desk.write(lambda tx: groups.create(tx, desk.course_id, code="dusk", name="晚霞组"))
        near, far = desk.person("刚写过"), desk.person("很久没写", typed=None)
        with System(desk.assembly, token) as system:
            answer = system.post(announced(desk), wanted(desk, "第一行\r\n第二行", groups=[str(desk.group), str(other)]))
            first, second = answer.json()["announcements"]
            assert (first["group"], second["group"]) == (str(desk.group), str(other))
            assert first["at"] == "2026-11-23T12:00:00Z"
            expected = {"total": 2, "now": 1, "later": 1, "notice": 0, "capped": 0, "never": 0, "quiet_until": None, "silent_until": None}
            assert first["expected"] == expected
            assert desk.fire(NOW + timedelta(hours=2)) == int(first["id"])
            found = system.get(f"/announcements/{first['id']}").json()
            assert (found["own"], found["text"], found["total"]) == (True, "第一行\n第二行", 2)
        assert set(desk.read(lambda tx: deliveries(tx, int(first["id"])))) == {near.id, far.id}
        assert audited(desk, "announce") == [(f"integration:{made}", f"schedule:{each['id']}") for each in (first, second)]


def test_quiet_hours_and_silences_hold_what_it_announces_and_the_answer_says_until_when(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), calling(desk) as system:
        night = system.post(announced(desk), wanted(desk, at="2026-11-23T23:00:00+08:00")).json()["announcements"][0]
        assert night["expected"]["quiet_until"] == "2026-11-24T00:00:00Z"
        begin, end = NOW, NOW + timedelta(days=1)
        silence = [[begin.isoformat(), end.isoformat()]]
        desk.write(lambda tx: tx.execute(sa.update(Course).values(silences=silence)))
        still = system.post(announced(desk), wanted(desk, "另一句", at="now")).json()["announcements"][0]
        assert still["expected"]["silent_until"] == "2026-11-24T10:00:00Z"


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"text": " \n\t"}, 422, "empty"),
    ({"text": "长" * (MOST_BYTES // 3) + "ab"}, 422, "long"),
    ({"text": "<" * 600}, 422, "long"),  # as it goes out: what could be a link grows
    ({"at": "2020-01-01T10:00:00Z"}, 422, "past"),
    ({"at": "2028-01-01T10:00:00Z"}, 422, "far"),
    ({"at": "2026-02-30T10:00:00Z"}, 422, "moment"),
    ({"at": "2026-11-24T24:30:00Z"}, 422, "moment"),
    ({"at": "2026-11-24T20:00:00"}, 422, "moment"),
    ({"at": "9999-12-31T23:59:59-23:59"}, 422, "moment"),
    ({"at": "0001-01-01T00:00:00+23:59"}, 422, "moment"),
    ({"at": "2026-11-24T20:00:00+99:00"}, 422, "moment"),
    ({"at": "tomorrow"}, 422, "moment"),
    ({"at": ""}, 422, "moment"),
    ({"at": "２０２６-11-24T20:00:00Z"}, 422, "moment"),
    ({"groups": ["4"]}, 404, "group"),
]


def test_what_staff_may_not_announce_it_may_not_either(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), calling(desk) as system:
        for changed, status, code in REFUSED:
            answer = system.post(announced(desk), wanted(desk, **changed))
            assert (answer.status_code, answer.json()["code"]) == (status, code), changed
        assert desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(Schedule)).scalar_one()) == 0


def test_all_groups_or_none(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), calling(desk) as system:
        large = desk.read(lambda tx: groups.by_code(tx, "msc-all"))
        desk.write(lambda tx: groups.create(tx, desk.course_id, code="dusk", name="晚霞组"))
        assert system.post(announced(desk), wanted(desk, groups=[str(desk.group), "4"])).status_code == 404
        assert audited(desk, "announce") == []
        twice = system.post(announced(desk), wanted(desk, groups=[str(large), str(desk.group), str(large)])).json()["announcements"]
        assert [each["group"] for each in twice] == [str(large), str(desk.group)]


def test_the_same_words_within_ten_minutes_want_to_be_meant(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), calling(desk) as system:
        assert system.post(announced(desk), wanted(desk)).status_code == 201
        refused = system.post(announced(desk), wanted(desk, " 今晚见 "))
        assert (refused.status_code, refused.json()["code"]) == (409, "said")
        assert system.post(announced(desk), wanted(desk, again=True)).status_code == 201
        desk.write(lambda tx: _end(tx, desk.course_id))
        over = system.post(announced(desk), wanted(desk, "还有"))
        assert (over.status_code, over.json()["code"]) == (409, "ended")


def _end(tx: Tx, course_id: int) -> None:
    tx.execute(sa.update(Course).where(Course.id == course_id).values(ended_at=NOW))


def test_it_takes_back_its_own_and_nobody_elses(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        made, token = integration(desk)
        leader = desk.person("李老师", Role.LEADER)
        desk.person("小雨")
        theirs = desk.plan("组长的话", author=leader)
        with System(desk.assembly, token) as system:
            assert system.get(f"/announcements/{theirs}").status_code == 200
            assert system.post(f"/announcements/{theirs}/cancel").status_code == 404
            mine = system.post(announced(desk), wanted(desk)).json()["announcements"][0]["id"]
            assert system.post(f"/announcements/{mine}/cancel").json() == {"id": mine, "taken_back": 0}
            sent = system.post(announced(desk), wanted(desk, "现在", at="now")).json()["announcements"][0]["id"]
            while desk.fire(NOW + timedelta(seconds=30)) != int(sent):
                pass
            assert system.post(f"/announcements/{sent}/cancel").json() == {"id": sent, "taken_back": 2}
            assert system.get(f"/announcements/{sent}").json()["states"] == {"cancelled": 2}
        assert desk.read(lambda tx: schedule_row(tx, theirs))[0] == "fired"
        assert audited(desk, "announce.cancel") == [(f"integration:{made}", f"schedule:{each}") for each in (mine, sent)]


# When the token goes ----------------------------------------------------------------------------------------------------------------------


def test_what_a_revoked_integration_planned_does_not_go_out_not_even_by_a_race(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        made, token = integration(desk)
        desk.person("小雨")
        with System(desk.assembly, token) as system:
            planned = int(system.post(announced(desk), wanted(desk)).json()["announcements"][0]["id"])
            raced = int(system.post(announced(desk), wanted(desk, "同一刻")).json()["announcements"][0]["id"])
        assert desk.write(lambda tx: integrations.revoke(tx, made, sessions.moment(), NOW)) == 2
        assert desk.write(lambda tx: integrations.revoke(tx, made, sessions.moment(), NOW)) == 0, "once is enough"
        assert desk.read(lambda tx: schedule_row(tx, planned)) == ("cancelled", "cancelled_by_author")
        # As if it had been planned in the transaction beside: the revocation did not see it.
        desk.write(lambda tx: tx.execute(sa.update(Schedule).where(Schedule.id == raced).values(state="planned", why=None)))
        assert desk.fire(NOW + timedelta(hours=2)) == raced
        assert desk.read(lambda tx: schedule_row(tx, raced)) == ("missed", "role")
        assert desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(Broadcast)).scalar_one()) == 0
        assert [subject for _, subject in audited(desk, "integration.revoke")] == [f"integration:{made}"]


def test_a_renewed_integration_keeps_what_it_planned(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        made, token = integration(desk)
        with System(desk.assembly, token) as system:
            planned = int(system.post(announced(desk), wanted(desk)).json()["announcements"][0]["id"])
        desk.write(lambda tx: integrations.renew(tx, desk.keyring.vault, made, NOW))
        assert desk.fire(NOW + timedelta(hours=2)) == planned
        assert desk.read(lambda tx: schedule_row(tx, planned))[0] == "fired"


def test_after_a_restore_no_token_works_until_it_is_renewed(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        made, token = integration(desk)
        desk.write(lambda tx: aftermath.hold_everything(tx, desk.keyring, [], NOW, NOW))
        with System(desk.assembly, token) as system:
            assert system.get("/courses").status_code == 401
            assert [line.state for line in desk.read(integrations.listed)] == ["asleep"]
            system.token = desk.write(lambda tx: integrations.renew(tx, desk.keyring.vault, made, NOW))
            assert system.get("/courses").status_code == 200


def test_what_is_made_is_on_record_and_its_token_nowhere(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        made, token = integration(desk, "courses:read")
        rows = desk.read(lambda tx: tx.execute(sa.select(Audit.actor, Audit.details).where(Audit.action == "integration.add")).all())
        assert [(row.actor, row.details) for row in rows] == [("operator", {"scopes": ["courses:read"], "courses": [desk.course_id]})]
        assert token not in str(rows)
        with System(desk.assembly, token) as system:
            system.get("/courses")
        used = desk.read(lambda tx: tx.execute(sa.select(Integration.used_at, Integration.calls).where(Integration.id == made)).one())
        assert used.used_at is not None
        assert used.calls == 1


# Moving -----------------------------------------------------------------------------------------------------------------------------------


def test_it_moves_a_participant_by_number_and_history_stays(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        made, token = integration(desk)
        other = desk.write(lambda tx: groups.create(tx, desk.course_id, code="dusk", name="晚霞组", capacity=1))
        closed = desk.write(lambda tx: groups.create(tx, desk.course_id, code="shut", name="关着的"))
        desk.write(lambda tx: groups.close(tx, closed, NOW))
        large = desk.read(lambda tx: groups.by_code(tx, "msc-all"))
        first, second, gone = desk.person("小雨"), desk.person("阿宁"), desk.person("走了的")
        numbers = {row.person_id: row.number for row in desk.read(lambda tx: tx.execute(sa.select(*Participant.__table__.columns)).all())}
        desk.write(lambda tx: groups.end_membership(tx, desk.group, gone.id, Role.PARTICIPANT, NOW, "left"))

        with System(desk.assembly, token) as system:

            def move(person: int, to: int) -> tuple[int, str]:
                answer = system.post(f"/groups/{to}/memberships", {"participant": numbers[person]})
                return answer.status_code, answer.json().get("code", "")

            moved = system.post(f"/groups/{other}/memberships", {"participant": numbers[first.id]})
            assert (moved.status_code, moved.json()["group"], moved.json()["participant"]) == (200, str(other), numbers[first.id])
            assert move(first.id, other) == (409, "seated")
            assert move(second.id, other) == (409, "full")
            assert move(second.id, closed) == (404, "seat")
            assert move(second.id, large) == (404, "seat")
            assert move(gone.id, other) == (404, "participant")
            assert [each["participant"] for each in system.get(f"/groups/{other}/memberships").json()["items"]] == [numbers[first.id]]
        assert audited(desk, "membership.move") == [(f"integration:{made}", f"group:{other}")]
        assert (f"integration:{made}", f"group:{desk.group}") in audited(desk, "membership.end")
