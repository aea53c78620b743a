"""Takes the pictures of the console's ten main pages, on a phone, from a course in its fourth week. Needs a Chromium.

    python -m tests.browser.pictures            into docs/console/

The people in it are made up, and the database is gone afterwards.
"""

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from app.console.rules import Of
from bots.turns import Role
from migrations import running
from tests.browser.chromium import ARGUMENTS, CHROMIUM
from tests.browser.test_console import served, tab
from tests.browser.test_every_page import enter
from tests.console import lived
from tests.console.visiting import HOME
from tests.delivery.scene import Desk

FOLDER = Path(__file__).parents[2] / "docs" / "console"
#: A phone's page, and how much of one is in a picture.
WIDTH, HEIGHT = 390, 844


def main_pages(world: lived.Lived) -> dict[str, tuple[Role, str]]:
    """Each page by the name of its picture: who looks, and where."""
    course = world.desk.course_id
    first = {kind: things[-1] for kind, things in world.things.items()}
    return {
        "today": (Role.LEADER, f"today/{first[Of.GROUP]}"),
        "group": (Role.LEADER, f"groups/{first[Of.GROUP]}"),
        "announce": (Role.LEADER, "announcements/new"),
        "announcement": (Role.LEADER, f"announcements/{first[Of.ANNOUNCEMENT]}"),
        "schedule": (Role.ADMINISTRATOR, f"schedule/{course}"),
        "encouragement": (Role.ADMINISTRATOR, f"encouragement/{course}"),
        "wave": (Role.ADMINISTRATOR, f"waves/{first[Of.WAVE]}"),
        "study": (Role.RESEARCHER, f"study/{course}"),
        "flags": (Role.LEADER, "flags"),
        "week": (Role.MENTOR, "week"),
    }


def take(browser: Browser, world: lived.Lived, address: str, folder: Path) -> list[Path]:
    """The ten pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, (role, path) in main_pages(world).items():
        with tab(browser, WIDTH) as page:
            enter(page, world, role, address)
            page.goto(f"{address}{HOME}/{path}")
            page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
            made.append(folder / f"{name}.png")
            page.screenshot(path=made[-1])
    return made


def main() -> int:
    """Make a course, look at it, put the pictures down."""
    if CHROMIUM is None:
        print("There is no Chromium on this machine.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/tongban.db"
        running.upgrade(url)
        with Desk(url) as desk, served(desk) as address, sync_playwright() as playwright:
            world = lived.grow(lived.course(desk, datetime.now(UTC)), 6)
            chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            made = take(chromium, world, address, FOLDER)
            chromium.close()
    print(f"{len(made)} pictures, {sum(each.stat().st_size for each in made) // 1_000} kB, in {FOLDER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
