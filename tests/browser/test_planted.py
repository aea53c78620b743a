"""Stored script in a real browser: with the corpus in every field, nothing runs on any page, neither behind the policy nor without one."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, Page

from app.console import sessions
from bots.turns import Role
from tests.browser.test_console import address, desk
from tests.console import lived
from tests.console.lived import Lived, pages
from tests.console.payloads import MARK, PAYLOADS
from tests.console.planting import SHOWN, plant
from tests.delivery.scene import Desk

__all__ = ["address", "desk"]

#: What a page of ours never holds: what runs, frames, or leads to another place than ours (but for where a gathering is held).
STRANGE = """() => [...document.querySelectorAll('*')].filter(e =>
  (e.localName === 'script' && !e.src.startsWith(location.origin + '/console/static/')) ||
  ['iframe', 'object', 'embed', 'base', 'style', 'img', 'video', 'math', 'template', 'noscript'].includes(e.localName) ||
  [...e.attributes].some(a => /^(on|hx-on|data-hx|style$|srcdoc|formaction)/i.test(a.name) ||
    (/^(href|src|action|xlink:href|hx-get|hx-post)$/.test(a.name) &&
      !/^(\\/|#|\\?|https:\\/\\/example\\.org\\/)/.test(a.value)))
).map(e => e.outerHTML.slice(0, 200))"""


@pytest.fixture
def world(desk: Desk) -> Lived:
    return lived.grow(lived.course(desk, datetime.now(UTC)), 2)


def _plant(world: Lived, first: int, many: int) -> None:
    """So many payloads to a field, from the `first` on; another beginning in each row."""
    part = PAYLOADS[first : first + many]

    def word(name: str, place: int) -> str:
        turn = (place + len(name)) % len(part)
        said = " ".join((*part[turn:], *part[:turn]))
        if name == "gatherings.link":
            return f"https://example.org/{said[:120]}"
        return said[:1_000] if name == "courses.file" else said  # where it is read, a longer word does not fit

    world.desk.write(lambda tx: plant(tx, world.desk.keyring, word, SHOWN))


@contextmanager
def tab(browser: Browser, world: Lived, role: Role, address: str, *, guarded: bool) -> Iterator[tuple[Page, list[str]]]:
    """A tab that is signed in as this role, and what it complains about. Without `guarded` no policy holds a script back."""
    context = browser.new_context(viewport={"width": 390, "height": 740}, bypass_csp=not guarded)
    vault, login = world.desk.keyring.vault, world.staff[role].login_id
    token = world.desk.write(lambda tx: sessions.begin(tx, vault, login, "password", "phone", sessions.moment()))
    context.add_cookies([{"name": "tongban", "value": token, "url": address}])
    page, complaints = context.new_page(), list[str]()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(address) else complaints.append(f"asked for {request.url}"))
    yield page, complaints
    context.close()


def _nothing_runs(browser: Browser, world: Lived, role: Role, address: str, *, guarded: bool) -> None:
    with tab(browser, world, role, address, guarded=guarded) as (page, complaints):
        for _, path in pages(world):
            page.goto(f"{address}{path}", wait_until="load")
            assert page.evaluate(STRANGE) == [], (role, path)
            assert page.evaluate(f"[window.{MARK}, top.{MARK}].some(each => each !== undefined)") is False, (role, path)
        assert [each for each in complaints if "status of 404" not in each] == [], role


@pytest.mark.parametrize("guarded", [True, False])
def test_nothing_runs_on_any_page_that_holds_the_corpus(world: Lived, address: str, browser: Browser, guarded: bool) -> None:
    _plant(world, 0, 60)
    _nothing_runs(browser, world, Role.ADMINISTRATOR, address, guarded=guarded)


@pytest.mark.long
def test_nothing_runs_for_any_role_with_a_few_payloads_at_a_time(world: Lived, address: str, browser: Browser) -> None:
    for first in range(0, 60, 4):
        _plant(world, first, 4)
        for role in lived.STAFF:
            _nothing_runs(browser, world, role, address, guarded=bool(first % 8))
