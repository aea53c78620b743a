"""A form that changes something is of what stood there when it was drawn; what is out of date changes nothing, and loses no word."""

import html
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import courses, encouragement
from app.console import versions
from app.models import Course, Gathering
from app.models.columns import Table
from app.questions import asking
from app.web.console import ROUTES
from app.web.console.routing import Route
from bots.turns import Role
from tests.architecture.source import ROOT
from tests.console import lived
from tests.console.forms import LOOKING, Form, drawn, prepare
from tests.console.lived import Lived
from tests.console.visiting import HOME, Browser, Staff, browsing, signed_in, staff
from tests.delivery import asked
from tests.delivery.scene import NOW, Desk, at

#: Forms that carry no mark, each with the reason why whoever comes last may do what they came for.
NO_MARK = {
    "/signin": "opens a session of its own",
    "/signout": "ends one's own session, however often",
    "/language": "is kept in this browser alone",
    "/signin/scan": "draws a code of its own",
    "/signin/scan/go": "goes on with one's own code",
    "/sessions/bind": "draws a code of its own",
    "/join/{token}": "the link works once",
    "/sessions/others": "ends sessions, however often",
    "/sessions/{thing}/end": "ends one session, however often",
    "/sessions/password": "who knows the present password knows what they change",
    "/announcements": "makes a new thing, once a draft",
    "/announcements/preview": "changes nothing",
    "/schedule/{thing}/preview": "changes nothing",
    "/today/{thing}/letter": "makes a new letter, once a draft, to whoever is silent at that moment",
    "/encouragement/{thing}/words": "makes a new word; one that is there already is refused",
    "/staff/invite": "makes a new invitation",
    "/roster/{thing}": "changes nothing: it reads a file",
    "/roster/{thing}/import": "carries the mark of rows and deeds together (decision 028)",
    "/roster/{thing}/codes": "changes nothing",
    "/study/{thing}/export": "changes nothing; who took what is on record",
    "/sheet/{thing}": "makes new codes",
    "/flags/{thing}/reveal": "changes nothing; who looked is on record",
    "/flags/{thing}/take": "who was first has it, and the second is told so",
    "/questions/{thing}/claim": "who was first has it, and the second is told so",
    "/groups/{thing}/handover": "who was first has handed over, and the second is told so",
    "/integrations": "makes a new integration",
    "/integrations/{thing}/revoke": "ends one for good, however often",
    "/api/openapi": "changes nothing",
    "/assign/{thing}/codes": "changes nothing; who took what is on record",
    "/assign/{thing}/file": "changes nothing; who took what is on record",
    **dict.fromkeys(
        [f"/assign/{{thing}}/{deed}" for deed in ("propose", "again", "move", "swap", "drop", "apply")],
        "carries the proposal's own version, which the terminal asks for too (decision 032)",
    ),
}
POSTS = [route for route in ROUTES if route.method == "POST"]
_SENTENCE = "这里有人改过了"
#: What grows by merely looking, or is somebody's session.
_APART = ("console_sessions", "audit", "heartbeats", "signin_tries", "chores")


def name_of(route: Route) -> str:
    """The path of a route, below the console."""
    return route.path.removeprefix(HOME)


def test_every_form_that_changes_something_carries_a_mark_or_says_why_not() -> None:
    marked, unmarked = {name_of(each) for each in POSTS if each.drawn}, {name_of(each) for each in POSTS if not each.drawn}
    assert unmarked - set(NO_MARK) == set(), (
        "a new form: does it change a stored thing (Route.drawn), or why may the last one win (NO_MARK)?"
    )
    assert set(NO_MARK) - unmarked == set(), "marked now, or gone"
    assert len(marked) >= 20


def test_one_way_marks_them_all() -> None:
    pages = Path(ROOT / "app" / "web" / "console").glob("*.py")
    asking_themselves = [page.name for page in pages if 'field("version")' in page.read_text(encoding="utf-8")]
    assert asking_themselves == ["placing.py"], "the gate compares the marks (app/web/console/gate.py)"


@contextmanager
def _everything(url: str) -> Iterator[tuple[Lived, dict[Role, Browser]]]:
    with Desk(url) as desk, at(NOW), ExitStack() as stack:
        world = lived.grow(lived.course(desk, NOW), 2)
        prepare(world)
        yield world, {role: stack.enter_context(browsing(desk, world.staff[role])) for role in LOOKING}


def _stored(desk: Desk) -> dict[str, int]:
    """What every table holds."""

    def read(tx: sa.Connection) -> dict[str, int]:
        tables = [table for table in Table.metadata.sorted_tables if table.name not in _APART]
        return {table.name: hash(tuple(sorted(map(repr, tx.execute(sa.select(table)).all())))) for table in tables}

    return desk.read(read)


def test_each_form_with_another_mark_changes_nothing_shows_what_is_there_and_keeps_what_was_typed(sqlite_url: str) -> None:
    with _everything(sqlite_url) as (world, browsers):
        before, tried = _stored(world.desk), set[str]()
        for browser in browsers.values():
            once: dict[tuple[str, tuple[str, ...]], Form] = {}
            for form in drawn(world, browser):
                assert set(form.fields) - {"csrf"} <= form.route.fields, form.action
                assert set(form.typed) <= set(form.route.typed), f"{form.action}: {form.typed} would be lost"
                once.setdefault((form.route.path, tuple(form.typed)), form)
            for form in once.values():
                if form.route.drawn is None:
                    continue
                assert form.fields.get("version"), f"{form.action} is drawn without its mark"
                _is_refused(browser, form)
                tried.add(name_of(form.route))
        assert tried == {name_of(route) for route in POSTS if route.drawn}, "every one of them stands on some page"
        assert _stored(world.desk) == before


def _is_refused(browser: Browser, form: Form) -> None:
    fields = {name: value for name, value in form.fields.items() if name != "csrf"}
    written = {name: f"写了<b>{name}</b>很久" for name in form.typed}
    for wrong in ("x", ""):
        answer = browser.post(form.action, {**fields, **written, "version": wrong})
        assert answer.status_code == 409, form.action
        assert answer.text.count(_SENTENCE) == 1, form.action
        for words in written.values():
            assert html.escape(words, quote=False) in answer.text, (form.action, words)


# What it is for -------------------------------------------------------------------------------------------------------------------


def test_an_answer_to_a_question_that_was_taken_back_meanwhile_is_not_lost(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        rain, leader = desk.person("小雨"), staff(desk, "李老师", Role.LEADER)
        question = asked.ask(desk, rain)
        asked.claim(desk, leader.known, question)
        with browsing(desk, leader) as browser:
            browser.get(f"{HOME}/today/{desk.group}")
            desk.write(lambda tx: asking.take_back(tx, rain.id, question, NOW))
            answer = browser.post(f"{HOME}/questions/{question}/answer", {"text": "可以躺着", "draft": "5"})
            assert answer.status_code == 409
            assert _SENTENCE in answer.text
            assert "可以躺着" in answer.text, "though there is no such form any more"


def _plan(desk: Desk, browser: Browser, hour: str) -> int:
    return browser.post(f"{HOME}/encouragement/{desk.course_id}/plan", {"day1": "1", "hour": hour}).status_code


def test_of_two_plans_the_second_is_shown_the_first_beside_its_own(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        desk.write(lambda tx: encouragement.adopt(tx, desk.keyring, desk.course_id, NOW))
        one, two = staff(desk, "陈管理", Role.ADMINISTRATOR), staff(desk, "王管理", Role.ADMINISTRATOR)
        with browsing(desk, one) as first, browsing(desk, two) as second:
            for browser in (first, second):
                browser.get(f"{HOME}/encouragement/{desk.course_id}")
            assert _plan(desk, first, "08:15") == 303
            assert _plan(desk, second, "21:45") == 409
            page = second.answer.text
            assert "08:15" in page, "what is there now"
            assert 'value="21:45"' in page, "what was typed stands in the form"
            assert _plan(desk, second, "21:45") == 303, "seen, and meant"


def test_a_link_that_somebody_changed_is_shown_beside_the_new_one(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        world = lived.course(desk, NOW)
        with browsing(desk, world.staff[Role.ADMINISTRATOR]) as browser:
            browser.get(f"{HOME}/schedule/{desk.course_id}")
            desk.write(lambda tx: tx.execute(sa.update(Gathering).values(link="https://theirs.example/1")))
            fields = {"gathering": "class.5", "link": "https://mine.example/2"}
            path = f"{HOME}/schedule/{desk.course_id}/link"
            assert browser.post(path, fields).status_code == 409
            assert "https://theirs.example/1" in browser.answer.text
            assert 'value="https://mine.example/2"' in browser.answer.text


def test_the_mark_of_a_thing_is_the_same_until_somebody_changes_it(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        desk.write(lambda tx: encouragement.adopt(tx, desk.keyring, desk.course_id, NOW))
        admin = staff(desk, "陈管理", Role.ADMINISTRATOR)

        def marks() -> tuple[object, ...]:
            return desk.read(
                lambda tx: (
                    versions.warm_plan(tx, desk.course_id),
                    versions.second_eyes(tx, [desk.course_id])[desk.course_id],
                    versions.staff(tx, [admin.known.id])[admin.known.id],
                    versions.seats(tx, desk.group),
                )
            )

        before = marks()
        assert marks() == before
        desk.person("小雨")
        desk.write(lambda tx: courses.set_second_eyes(tx, desk.course_id, 5, NOW))
        after = marks()
        assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True, False]


@pytest.mark.parametrize("round_", range(3))
def test_of_two_forms_at_the_same_moment_one_is_taken(database_url: str, round_: int) -> None:
    """Both carry the mark of what is there; the thing is one form's alone until it is done."""
    with Desk(database_url) as desk, at(NOW + timedelta(minutes=round_)):
        people = [staff(desk, name, Role.ADMINISTRATOR) for name in ("陈管理", "王管理")]
        path, start, ends = f"{HOME}/courses/{desk.course_id}/second-eyes", threading.Barrier(2), dict[int, int]()

        def press(place: int, who: Staff) -> None:
            with Browser(desk.assembly) as browser:
                signed_in(desk, browser, who)
                browser.get(f"{HOME}/approvals")
                start.wait()
                ends[place] = browser.post(path, {"above": str(100 + place)}).status_code

        threads = [threading.Thread(target=press, args=each) for each in enumerate(people)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(ends.values()) == [303, 409]
        winner = next(place for place, status in ends.items() if status == 303)
        assert desk.read(lambda tx: tx.execute(sa.select(Course.second_eyes)).scalar_one()) == 100 + winner
