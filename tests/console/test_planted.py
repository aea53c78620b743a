"""Stored script: sixty payloads in every column that people fill, every page opened by every role: not one tag more by it."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from html.parser import HTMLParser

import pytest
import sqlalchemy as sa

from app.console.rules import Of
from app.models import Audit
from bots.turns import Role
from tests.console import lived
from tests.console.lived import Lived, pages
from tests.console.payloads import PAYLOADS
from tests.console.planting import KEPT_AWAY, OURS, SHOWN, named_ours, plant, text_columns
from tests.console.visiting import HOME, Browser, browsing
from tests.delivery.scene import NOW, Desk, at

#: Attributes that lead somewhere or do something: their values are ours, word for word.
_LEADS = re.compile(r"href|src|srcset|action|formaction|poster|data|style|id|class|name|type|rel|target|hx-(?!headers).*|on.*")
_PLAIN = "plainword"
#: The one column whose words become an address to press.
_LINK = "gatherings.link"


class Skeleton(HTMLParser):
    """What of a page is not words: its tags with the names of their attributes, where these lead, comments and declarations."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.bones: list[object] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        outside = (
            "href",
            next((value for name, value in attrs if name == "href" and value and value.startswith("https://example.org/")), ""),
        )
        kept = [(name, value if _LEADS.fullmatch(name) and (name, value) != outside else None) for name, value in attrs]
        self.bones.append((tag, *kept))

    def handle_endtag(self, tag: str) -> None:
        self.bones.append(f"/{tag}")

    def handle_comment(self, data: str) -> None:
        self.bones.append(f"!{data}")

    def handle_decl(self, decl: str) -> None:
        self.bones.append(f"!{decl}")

    def unknown_decl(self, data: str) -> None:
        self.bones.append(f"!{data}")

    def handle_pi(self, data: str) -> None:
        self.bones.append(f"?{data}")


def planted(world: Lived, word: Callable[[str, int], str]) -> None:
    """Put these words everywhere; where a link stands, after what makes it one."""

    def lead(name: str, place: int) -> str:
        return f"https://example.org/{word(name, place)[:120]}" if name == _LINK else word(name, place)

    world.desk.write(lambda tx: plant(tx, world.desk.keyring, lead, {**SHOWN, **KEPT_AWAY}))


@contextmanager
def everybody(world: Lived) -> Iterator[dict[Role, Browser]]:
    """A browser for each role, signed in."""
    with ExitStack() as stack:
        yield {role: stack.enter_context(browsing(world.desk, who)) for role, who in world.staff.items()}


def opened(world: Lived, browser: Browser, role: Role) -> Iterator[tuple[str, str]]:
    """Every page as this role gets it, and those that a form shows: a flag's name and notes, a promise, a list of people to come."""
    for _, path in pages(world):
        yield path, browser.get(path).text
    for _, path in pages(world):
        if path.startswith(f"{HOME}/announcements/"):
            yield f"{path} (a part of it)", browser.get(path, hx_request="true").text
    if role is Role.ADMINISTRATOR:
        browser.get(f"{HOME}/sessions")
        for flag in world.things[Of.FLAG][-2:]:
            yield f"flag {flag}", browser.post(f"{HOME}/flags/{flag}/reveal").text
        world.desk.write(lambda tx: tx.execute(sa.delete(Audit).where(Audit.action == "flag.reveal")))  # else the audit would grow by this


@pytest.fixture
def world(sqlite_url: str) -> Iterator[Lived]:
    with Desk(sqlite_url) as desk, at(NOW):
        yield lived.grow(lived.course(desk, NOW), 2)


def test_every_column_of_text_is_planted_or_is_said_to_be_ours() -> None:
    known, named = set(text_columns()), [*SHOWN, *KEPT_AWAY, *named_ours()]
    assert known - set(named) == set(), "a new column: is it people's words (SHOWN, KEPT_AWAY) or the program's own (OURS)?"
    assert sorted(named) == sorted(set(named) & known), "named twice, or gone"
    assert all(OURS)


def test_there_are_sixty_payloads() -> None:
    assert len(set(PAYLOADS)) == 60


def test_what_is_planted_is_on_the_pages_and_what_is_kept_away_is_not(world: Lived) -> None:
    names = {name: f"{_PLAIN}{place:03d}" for place, name in enumerate((*SHOWN, *KEPT_AWAY))}
    planted(world, lambda name, _place: names[name])
    with everybody(world) as browsers:
        seen = "".join(text for role, browser in browsers.items() for _, text in opened(world, browser, role))
    assert {name for name in names if names[name] in seen} == set(SHOWN)


def _nothing_grows(world: Lived, words: list[Callable[[str, int], str]]) -> None:
    planted(world, lambda _name, _place: _PLAIN)
    with everybody(world) as browsers:
        plain = {(role, path): Skeleton(text).bones for role, browser in browsers.items() for path, text in opened(world, browser, role)}
        for word in words:
            planted(world, word)
            for role, browser in browsers.items():
                for path, text in opened(world, browser, role):
                    assert Skeleton(text).bones == plain[role, path], (role, path)


def test_no_page_gets_a_tag_or_an_address_more_by_what_people_write(world: Lived) -> None:
    """Twenty payloads to a field, so that the whole corpus goes through each in three rounds; another beginning in each row."""
    parts = [PAYLOADS[start : start + 20] for start in range(0, 60, 20)]

    def word(round_: int) -> Callable[[str, int], str]:
        def of(name: str, place: int) -> str:
            part, first = parts[round_], (place + len(name)) % 20
            return " ".join((*part[first:], *part[:first]))

        return of

    _nothing_grows(world, [word(number) for number in range(3)])


def test_a_link_that_leads_to_no_page_of_the_web_is_none(world: Lived) -> None:
    path = f"{HOME}/schedule/{world.desk.course_id}"
    with browsing(world.desk, world.staff[Role.ADMINISTRATOR]) as browser:
        assert 'rel="noreferrer' in browser.get(path).text
        for start in range(0, 60, 4):
            world.desk.write(lambda tx, at=start: plant(tx, world.desk.keyring, lambda _, place: PAYLOADS[at + place % 4], {_LINK: None}))  # type: ignore[misc]
            assert 'rel="noreferrer' not in browser.get(path).text


@pytest.mark.long
def test_no_page_gets_a_tag_or_an_address_more_by_any_single_payload(world: Lived) -> None:
    _nothing_grows(world, [lambda _name, place, number=number: PAYLOADS[(number + place) % 60] for number in range(60)])  # type: ignore[misc]
