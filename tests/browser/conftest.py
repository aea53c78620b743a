"""One browser for all tests of this folder that a process runs one after the other; each has a context of its own."""

from collections.abc import Iterator

import psutil
import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.chromium import ARGUMENTS, CHROMIUM


@pytest.fixture(scope="package", autouse=True)
def _no_process_stays_behind() -> Iterator[None]:
    """In place of the check after each test: a browser starts and ends processes as it likes, but all go when it goes."""
    before = set(psutil.Process().children(recursive=True))
    yield
    left = set(psutil.Process().children(recursive=True)) - before
    _, alive = psutil.wait_procs(left, timeout=30)
    assert not alive, f"processes stayed behind: {alive}"


@pytest.fixture(scope="package")
def browser(_no_process_stays_behind: None) -> Iterator[Browser]:
    """It ends with the folder: while it runs, nothing else in this process can have a loop of its own."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: its pages are not tried in a browser")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()
