"""Every page of the console, on a phone and at a desk, light and dark: names, headings, contrast, and all of it reached by Tab."""

from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, Page

from app.console import sessions
from bots.turns import Role
from tests.browser.seeing import unreached, wrong
from tests.browser.test_console import address, desk, tab
from tests.browser.test_phones import overflow
from tests.console import lived
from tests.console.lived import Lived, pages
from tests.console.visiting import HOME
from tests.delivery.scene import Desk

__all__ = ["address", "desk"]


@pytest.fixture
def world(desk: Desk) -> Lived:
    return lived.grow(lived.course(desk, datetime.now(UTC)), 2)


def enter(page: Page, world: Lived, role: Role, address: str) -> None:
    """Sign in, by the cookie alone."""
    vault, login = world.desk.keyring.vault, world.staff[role].login_id
    token = world.desk.write(lambda tx: sessions.begin(tx, vault, login, "password", "phone", sessions.moment()))
    page.context.add_cookies([{"name": "tongban", "value": token, "url": address}])


#: Who looks: an administrator at all that is theirs, the others at what only they have.
LOOKING = (Role.ADMINISTRATOR, Role.LEADER, Role.MENTOR)
#: Addresses that nobody in this world has: a link that nobody was given, a scan that nobody began.
_NOBODYS = ("/join/", "/signin/scan")


def paths(world: Lived) -> list[tuple[Role, str]]:
    """Each page once, with somebody who may come there."""
    return [
        (next((role for role in LOOKING if route.rule.roles is None or role in route.rule.roles), LOOKING[0]), path)
        for route, path in pages(world)
    ]


def open_page(page: Page, address: str, path: str) -> None:
    """Go there, and see the page itself: not a word that there is none."""
    answer = page.goto(f"{address}{path}")
    assert answer is not None
    assert answer.status == 200 or any(path.startswith(f"{HOME}{each}") for each in _NOBODYS), (path, answer.status)


@pytest.mark.parametrize(("width", "dark", "language"), [(390, False, "zh"), (390, True, "en"), (1280, False, "en"), (1280, True, "zh")])
def test_every_page_has_names_headings_and_contrast(
    world: Lived, address: str, browser: Browser, width: int, dark: bool, language: str
) -> None:
    found: dict[str, list[str]] = {}
    for role in LOOKING:
        with tab(browser, width, dark=dark, language=language) as page:
            enter(page, world, role, address)
            for path in (path for which, path in paths(world) if which is role):
                open_page(page, address, path)
                found[path] = [*wrong(page), *(["scrolls sideways"] if overflow(page) else [])]
    assert {path: each for path, each in found.items() if each} == {}


@pytest.mark.parametrize("width", [390, 1280])
def test_tab_comes_to_everything_on_every_page_and_shows_where_it_is(world: Lived, address: str, browser: Browser, width: int) -> None:
    found: dict[str, list[str]] = {}
    for role in LOOKING:
        with tab(browser, width) as page:
            enter(page, world, role, address)
            for path in (path for which, path in paths(world) if which is role):
                open_page(page, address, path)
                found[path] = unreached(page)
    assert {path: each for path, each in found.items() if each} == {}
