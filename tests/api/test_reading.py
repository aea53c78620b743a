"""What the API shows: how groups stand, how far announcements went, who is done; by number, a page at a time, and nobody's words."""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from app import groups, people
from app.console import rules
from app.db import Tx
from app.integrations.rules import Of
from app.models import Assignment, Delivery, Participant, Person
from app.questionnaires import standing, waves
from app.questionnaires.waves import Plan
from app.states import Asked, State
from app.web.api import ROUTES
from app.web.api.routing import HOME, THING
from bots.turns import Role
from tests.api.calling import System, calling, integration
from tests.console import lived
from tests.console.lived import Lived
from tests.console.planting import KEPT_AWAY, SHOWN, plant
from tests.console.visiting import queries
from tests.delivery.scene import NOW, Desk, at

#: What names a course and its parts, and WeChat's own code of an error: the only columns whose words an answer may hold.
NAMES = {"courses.code", "courses.title", "groups.code", "groups.name", "waves.code", "waves.plan", "deliveries.code"}


def test_a_group_is_its_size_and_how_it_would_be_reached(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), calling(desk) as system:
        desk.person("刚写过")
        desk.person("很久没写", typed=None)
        gone, resting = desk.person("走了的"), desk.person("想静静")
        desk.write(lambda tx: people.left(tx, gone, NOW))
        desk.write(lambda tx: people.pause(tx, resting.id, NOW))
        for name, role in (("李老师", Role.LEADER), ("小周", Role.ASSISTANT), ("小吴", Role.ASSISTANT)):
            desk.person(name, role)
        group = system.get(f"/groups/{desk.group}").json()
        assert group == {
            "id": str(desk.group),
            "code": "dawn",
            "name": "晨光组",
            "large": False,
            "closed": False,
            "capacity": None,
            "participants": 4,
            "staff": {"assistant": 2, "leader": 1},
            "reach": {"now": 1, "notice": 0, "later": 1, "never": 2},
        }
        assert group in system.get(f"/courses/{desk.course_id}/groups").json()["items"]
        course = system.get(f"/courses/{desk.course_id}").json()
        assert [each["code"] for each in course["groups"]] == ["dawn", "msc-all"]
        listed = system.get("/courses").json()["items"]
        assert [(each["id"], each["ended"]) for each in listed] == [(str(desk.course_id), False)]


def test_members_are_numbers_and_staff_have_none_even_where_they_take_part(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), calling(desk) as system:
        other = desk.write(lambda tx: groups.create(tx, desk.course_id, code="dusk", name="晚霞组"))
        member, both = desk.person("小雨"), desk.person("李老师", Role.LEADER)

        def join_too(tx: Tx) -> None:
            groups.enter(tx, other, both.id, Role.PARTICIPANT, NOW)
            groups.number_participant(tx, desk.course_id, both.id, NOW)

        desk.write(join_too)
        numbers = {row.person_id: row.number for row in desk.read(lambda tx: tx.execute(sa.select(*Participant.__table__.columns)).all())}
        here = system.get(f"/groups/{desk.group}/memberships").json()["items"]
        assert [(each["participant"], each["role"], each["reach"]) for each in here] == [
            (numbers[member.id], "participant", "now"),
            (None, "leader", "now"),
        ]
        assert here[0]["since"] == "2026-11-23T10:00:00Z"
        there = system.get(f"/groups/{other}/memberships").json()["items"]
        assert [each["participant"] for each in there] == [numbers[both.id]]


def test_the_states_of_everybody_add_up_with_reasons_and_the_platforms_code(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), calling(desk) as system:
        ends = {
            "一": (State.SENT, "service", None),
            "二": (State.SENT, "service", None),
            "三": (State.WAITING, "window_closed", None),
            "四": (State.FAILED, "bad_message", "45002"),
            "五": (State.UNKNOWN, "answer_lost", None),
        }
        reached = {name: desk.person(name).id for name in ends}
        leader = desk.person("李老师", Role.LEADER)
        schedule = desk.announced("别人的话", author=leader)
        planned = system.get(f"/announcements/{schedule}").json()
        assert (planned["state"], planned["total"], planned["states"]) == ("going", 5, {"ready": 5})

        def settle(tx: Tx) -> None:
            for name, (state, reason, code) in ends.items():
                mine = sa.update(Delivery).where(Delivery.person_id == reached[name])
                tx.execute(mine.values(state=state.value, reason=reason, code=code))

        desk.write(settle)
        found = system.get(f"/announcements/{schedule}").json()
        assert (found["state"], found["own"], found["text"]) == ("done", False, None)
        assert found["states"] == {"sent": 2, "waiting": 1, "failed": 1, "unknown": 1}
        assert sum(found["states"].values()) == found["total"] == sum(each["count"] for each in found["reasons"]) == 5
        assert {"state": "failed", "reason": "bad_message", "code": "45002", "count": 1} in found["reasons"]
        assert system.get(f"/courses/{desk.course_id}/announcements").json()["items"] == [found]


def test_completion_is_counts_and_nothing_else(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), calling(desk) as system:
        done, _ = desk.person("小雨"), desk.person("阿宁")
        plan = Plan("post", {"zh": "课后", "en": "After"}, NOW, NOW + timedelta(days=7), ("shs",), {})
        wave = desk.write(lambda tx: waves.add(tx, desk.tools.shelf, desk.course_id, plan, NOW))
        assert system.get(f"/courses/{desk.course_id}/waves").json()["items"][0]["state"] == "planned"
        while desk.write(lambda tx: waves.go_on(tx, desk.tools, NOW)):
            pass
        mine = sa.select(Assignment.id).where(Assignment.person_id == done.id)
        desk.write(lambda tx: standing.move(tx, tx.execute(mine).scalar_one(), Asked.COMPLETE, "handed_in", NOW))
        (line,) = system.get(f"/courses/{desk.course_id}/waves").json()["items"]
        assert line == {
            "id": str(wave),
            "code": "post",
            "title": {"zh": "课后", "en": "After"},
            "state": "open",
            "opens_at": "2026-11-23T10:00:00Z",
            "closes_at": "2026-11-30T10:00:00Z",
            "assigned": 2,
            "states": {"invited": 1, "complete": 1},
        }


# Pages ------------------------------------------------------------------------------------------------------------------------------------


def test_page_after_page_gives_everything_once_in_one_order(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), calling(desk) as system:
        for number in range(5):
            desk.person(f"组员{number}")
            desk.write(lambda tx, n=number: groups.create(tx, desk.course_id, code=f"g{n}", name=f"组{n}"))  # type: ignore[misc]
            desk.plan(f"第{number}句")
        desk.person("李老师", Role.LEADER)
        desk.person("小周", Role.ASSISTANT)
        lists = {
            "/courses": 1,
            f"/courses/{desk.course_id}/groups": 7,
            f"/courses/{desk.course_id}/announcements": 5,
            f"/courses/{desk.course_id}/waves": 0,
            f"/groups/{desk.group}/memberships": 7,
        }
        for path, many in lists.items():
            whole = list(system.pages(path, 100))
            assert len(whole) == many, path
            for limit in (1, 2, 3):
                assert list(system.pages(path, limit)) == whole, (path, limit)
        members = [each["participant"] for each in system.pages(f"/groups/{desk.group}/memberships", 2)]
        assert [each for each in members if each] == sorted(each for each in members if each)
        announced = [each["number"] for each in system.pages(f"/courses/{desk.course_id}/announcements", 2)]
        assert announced == [5, 4, 3, 2, 1]


def test_what_comes_in_between_two_pages_is_not_told_twice(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW), calling(desk) as system:
        for number in range(3):
            desk.plan(f"第{number}句")
        path = f"/courses/{desk.course_id}/announcements?limit=2"
        first = system.get(path).json()
        desk.plan("刚刚来的")
        second = system.get(f"{path}&after={first['next']}").json()
        assert [each["number"] for each in (*first["items"], *second["items"])] == [3, 2, 1]
        assert second["next"] is None


# Who may not be seen ----------------------------------------------------------------------------------------------------------------------


def _every_answer(world: Lived, system: System, planned: str) -> list[str]:
    """Each GET with each thing, and each POST with what it takes: the answers, refusals among them."""
    desk = world.desk
    things = {
        Of.COURSE: [str(desk.course_id)],
        Of.GROUP: [str(desk.group), str(world.large), *map(str, world.things[rules.Of.GROUP])],
        Of.ANNOUNCEMENT: [str(each) for each in world.things[rules.Of.ANNOUNCEMENT]],
        Of.OWN_ANNOUNCEMENT: [planned],
        Of.NOTHING: [""],
    }
    number = desk.read(lambda tx: tx.execute(sa.select(Participant.number).order_by(Participant.id).limit(1)).scalar_one())
    bodies: dict[str, Any] = {
        "memberships": {"participant": number},
        "announcements": {"text": "我们自己的话", "groups": [str(desk.group)], "at": "now"},
        "cancel": {},
    }
    seen = []
    for route in ROUTES:
        for thing in things[route.rule.of]:
            path = route.path.removeprefix(HOME).replace(THING, thing)
            answer = system.get(path) if route.method == "GET" else system.post(path, bodies[path.rpartition("/")[2]])
            assert answer.status_code in (200, 201, 404, 409), (path, answer.text)
            seen.append(answer.text)
            if route.method == "POST":
                seen.append(system.post(path, {"participant": "x"}).text)
    return seen


def test_no_answer_holds_a_word_of_anybody(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW):
        world = lived.grow(lived.course(desk, NOW), 2)
        columns = {**SHOWN, **KEPT_AWAY}
        words = {name: f"canary{place:03d}x" for place, name in enumerate(columns)}
        desk.write(lambda tx: plant(tx, desk.keyring, lambda name, _place: words[name], columns))
        with System(desk.assembly, integration(desk)[1]) as system:
            path, body = f"/courses/{desk.course_id}/announcements", {"text": "我们先前的话", "groups": [str(desk.group)], "at": "now"}
            planned = system.post(path, body).json()["announcements"][0]["id"]
            seen = "\n".join([*_every_answer(world, system, planned), system.get(f"/announcements/{planned}").text])
        assert {name for name in words if words[name] in seen} == NAMES
        assert "我们先前的话" in seen, "what it sent itself it may read again"
        ids = desk.read(lambda tx: tx.execute(sa.select(Person.id)).scalars().all())
        assert not any(str(each) in seen for each in ids)
        assert not any(desk.openid(each) in seen for each in range(1, desk.count + 1))


def test_no_answer_asks_more_often_where_there_is_three_times_as_much_of_everything(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), queries(desk) as said:
        world = lived.grow(lived.course(desk, NOW), 2)
        with System(desk.assembly, integration(desk)[1]) as system:
            few = _counted(world, system, said)
            lived.grow(world, 4)
            many = _counted(world, system, said)
        assert {path: (few[path], many[path]) for path in few if many[path] > few[path]} == {}
        assert 0 < max(many.values()) <= 10


def _counted(world: Lived, system: System, said: list[str]) -> dict[str, int]:
    things = {Of.COURSE: world.desk.course_id, Of.GROUP: world.desk.group, Of.ANNOUNCEMENT: world.things[rules.Of.ANNOUNCEMENT][-1]}
    found = {}
    for route in (route for route in ROUTES if route.method == "GET"):
        path = route.path.removeprefix(HOME).replace(THING, str(things.get(route.rule.of, "")))
        said.clear()
        assert system.get(path).status_code == 200
        found[path] = len(said)
    return found


def test_a_page_is_bounded(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), calling(desk) as system:
        for many in (0, 101, "x", "1e1", "-1", "٣", "", "0x1", "1 "):
            answer = system.get(f"/courses?limit={many}")
            assert (answer.status_code, answer.json()["code"]) == (422, "limit"), many
