"""What somebody typed and a form gives back: each payload of the corpus in each field, refused, and nothing runs and nothing is lost."""

from collections.abc import Iterator, Mapping

import pytest

from app.console import logins
from bots.turns import Role
from tests.console import lived
from tests.console.forms import LOOKING, Form, Page, drawn, prepare
from tests.console.lived import Lived
from tests.console.payloads import PAYLOADS
from tests.console.test_planted import Skeleton
from tests.console.test_versions import POSTS, name_of
from tests.console.visiting import HOME, Browser, browsing
from tests.delivery.scene import NOW, Desk, at

#: By what a form without a mark is refused, whatever is written in it; a form with a mark is refused by another one.
REFUSED: Mapping[str, Mapping[str, str]] = {
    "/announcements": {"draft": "x"},
    "/announcements/preview": {},
    "/schedule/{thing}/preview": {"gathering": "class.99"},
    "/today/{thing}/letter": {"draft": "x"},
    "/encouragement/{thing}/words": {"theme": "no such theme"},
    "/staff/invite": {"role": "no such role"},
    "/study/{thing}/export": {},
    "/join/{token}": {"again": "another one"},
    "/integrations": {},
    "/assign/{thing}/propose": {"how": "no such way"},
    "/assign/{thing}/move": {"version": "0"},
    "/assign/{thing}/swap": {"version": "0"},
}
#: What is written there is never shown again, nor is a name beside a wrong password.
SECRET = {"/signin": "a browser of whoever", "/sessions/password": "nothing but passwords"}
_PASSWORDS = ("password", "again", "old", "code")
#: Longer than any reason may be.
_PAD = {"/study/{thing}/export": " " + "长" * 501}


@pytest.fixture
def world(sqlite_url: str) -> Iterator[Lived]:
    with Desk(sqlite_url) as desk, at(NOW):
        world = lived.grow(lived.course(desk, NOW), 1)
        prepare(world)
        yield world


def _forms(world: Lived, browser: Browser) -> list[Form]:
    """One form of each kind in which somebody writes."""
    once: dict[str, Form] = {}
    for form in drawn(world, browser):
        once.setdefault(form.route.path, form)
    writing = [form for form in once.values() if form.route.typed and name_of(form.route) not in SECRET]
    return [form for form in writing if any(name not in _PASSWORDS for name in form.route.typed)]


def _refused(browser: Browser, form: Form, words: Mapping[str, str]) -> str:
    """The page that comes back."""
    name = name_of(form.route)
    given = {"version": "x"} if form.route.drawn else dict(REFUSED[name])
    fields = {field: value for field, value in form.fields.items() if field != "csrf"}
    pad = _PAD.get(name, "")
    answer = browser.post(form.action, {**fields, **{field: value + pad for field, value in words.items()}, **given})
    assert 400 <= answer.status_code < 500, (form.action, answer.status_code)
    return answer.text


def _tried(browser: Browser, form: Form, payloads: list[str]) -> None:
    """Another payload in each field, so that each goes through every one of them."""
    fields = [field for field in form.route.typed if field not in _PASSWORDS and field not in REFUSED.get(name_of(form.route), ())]
    plain = Skeleton(_refused(browser, form, dict.fromkeys(fields, "plainword"))).bones
    for number in range(len(payloads)):
        words = {field: payloads[(number + place) % len(payloads)] for place, field in enumerate(fields)}
        text = _refused(browser, form, words)
        assert Skeleton(text).bones == plain, (form.action, words)
        there = _read(Page(text, form.action).words)
        for field, typed in words.items():
            assert _read([typed]) in there, (form.action, field, typed)


def _read(words: list[str]) -> str:
    """As a browser reads it: line ends are one character, and what is no character is none."""
    return "".join(words).replace("\r\n", "\n").replace("\r", "\n")


def _joined(many: int) -> list[str]:
    return ["\n".join(PAYLOADS[start : start + many]) for start in range(0, len(PAYLOADS), many)]


def _each_form(world: Lived, payloads: list[str]) -> set[str]:
    """Try every form of every page; returns the names of their routes."""
    tried = set()
    for role in LOOKING:
        with browsing(world.desk, world.staff[role]) as browser:
            for form in _forms(world, browser):
                if name_of(form.route) not in tried:
                    _tried(browser, form, payloads)
                    tried.add(name_of(form.route))
    with browsing(world.desk) as browser:
        vault, somebody = world.desk.keyring.vault, world.staff[Role.RESEARCHER].known
        token = world.desk.write(lambda tx: logins.let_in(tx, vault, somebody.id, NOW, NOW, actor="operator"))
        path = f"{HOME}/join/{token}"
        form = next(form for form in Page(browser.get(path).text, path).forms if form.action == path)
        _tried(browser, form, payloads)
        tried.add(name_of(form.route))
    return tried


def test_no_refusal_runs_what_was_typed_or_loses_it(world: Lived) -> None:
    """Ten payloads to a field, so that the whole corpus goes through each."""
    tried = _each_form(world, _joined(10))
    written = {name_of(route) for route in POSTS if any(field not in _PASSWORDS for field in route.typed)}
    assert tried == written - set(SECRET), "a form in which somebody writes, and that no page drew"


def test_every_form_without_a_mark_has_its_refusal() -> None:
    known = {name_of(route) for route in POSTS if route.typed and route.drawn is None}
    assert set(REFUSED) | set(SECRET) == known


@pytest.mark.long
def test_no_refusal_runs_a_single_payload(world: Lived) -> None:
    _each_form(world, list(PAYLOADS))
