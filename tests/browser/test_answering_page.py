"""The questionnaire page in a real browser: narrow and wide, light and dark, with the keyboard alone, without script."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect

from app import people
from app.main import create_app
from tests.app.devices import assignment, counted, put
from tests.browser.test_phones import overflow
from tests.delivery.scene import NOW, Desk, at

LONG = "乌鲁木齐" * 20 + "x" * 120
#: What a finger hits without looking: 44 CSS pixels (WCAG 2.5.5).
FINGER = 44


@pytest.fixture
def desk(sqlite_url: str) -> Iterator[Desk]:
    with at(NOW), Desk(sqlite_url) as desk:
        yield desk


@pytest.fixture
def address(desk: Desk) -> Iterator[str]:
    """The application on a port of loopback."""
    server = uvicorn.Server(uvicorn.Config(create_app(desk.assembly, worker=False), port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@contextmanager
def tab(browser: Browser, width: int, *, dark: bool = False) -> Iterator[Page]:
    """A tab without script, of this width; what the browser complains about fails the test."""
    context = browser.new_context(
        viewport={"width": width, "height": 640}, java_script_enabled=False, color_scheme="dark" if dark else "light", locale="zh-CN"
    )
    page, complaints = context.new_page(), list[str]()
    page.set_default_timeout(15_000)
    page.on("console", lambda message: complaints.append(message.text))
    yield page
    context.close()
    assert [each for each in complaints if "status of 4" not in each] == []  # a page that says what is wrong has status 422


def link(desk: Desk, address: str, assignment_id: int) -> str:
    return f"{address}/q/{desk.assembly.answering.token(assignment_id, NOW)}"


@pytest.mark.parametrize(("width", "language", "dark"), [(320, "zh", False), (390, "en", True), (1280, "zh", True), (320, "en", False)])
def test_no_page_scrolls_sideways_and_every_button_is_large_enough(
    desk: Desk, address: str, browser: Browser, width: int, language: str, dark: bool
) -> None:
    person = desk.person()
    desk.write(lambda tx: people.set_language(tx, person.id, language))
    mine = assignment(desk, person, put(desk, ("intake", "swls", "dass21"), skips=True))
    with tab(browser, width, dark=dark) as page:

        def looked_at() -> None:
            page.wait_for_load_state()  # with its style sheet: a machine that is busy shows the words first
            assert overflow(page) == 0, page.url
            boxes = [each.bounding_box() for each in page.get_by_role("button").all() + page.get_by_role("textbox").all()]
            assert all(box is not None and box["height"] >= FINGER and box["width"] >= FINGER for box in boxes)

        page.goto(link(desk, address, mine))
        looked_at()
        page.get_by_role("button").first.click()
        page.get_by_role("textbox").fill("x" * 20)
        page.locator("button.primary").click()
        expect(page.get_by_role("alert")).to_be_visible()
        looked_at()
        page.get_by_role("textbox").fill("36")
        page.keyboard.press("Enter")
        for place in range(3, 7):
            expect(page.locator(".place")).to_contain_text(f" {place}/")
            page.get_by_role("button").nth(1).click()
        page.get_by_role("textbox").fill(LONG)
        looked_at()
        page.keyboard.press("Enter")
        expect(page.locator("ol li")).to_have_count(7)
        looked_at()
        page.get_by_role("link").filter(has_text=LONG).click()
        expect(page.get_by_role("textbox")).to_have_value(LONG)
        looked_at()
        page.go_back()
        page.locator("button.primary").first.click()
        looked_at()
        page.locator("a.primary").click()
        looked_at()
        page.get_by_role("button").nth(3).click()
        page.locator("summary").click()
        expect(page.locator("details p")).to_be_visible()
        looked_at()
        for question in ("?rest=1", "?help=called", "?help=lines"):
            page.goto(link(desk, address, mine) + question)
            looked_at()
        page.goto(f"{address}/q/1.2.x")
        looked_at()


def test_an_instrument_is_answered_without_script_and_each_tap_is_stored_at_once(desk: Desk, address: str, browser: Browser) -> None:
    mine = assignment(desk, desk.person(), put(desk, ("scs",)))
    with tab(browser, 390) as page:
        page.goto(link(desk, address, mine))
        for item in range(1, 27):
            expect(page.locator(".place")).to_have_text(f"自我关怀 {item}/26 · 总 {item}/26")
            page.get_by_role("button", name="3，有时").click()
            expect(page.locator(".place")).not_to_have_text(f"自我关怀 {item}/26 · 总 {item}/26" if item < 26 else "")
            assert len(counted(desk, mine)) == item
        page.get_by_role("link", name="改").nth(6).click()
        expect(page.get_by_role("button", name="3，有时，这是你之前选的")).to_have_attribute("aria-current", "true")
        page.get_by_role("button", name="5，几乎总是").click()
        page.get_by_role("button", name="交上这一份").last.click()
        expect(page.get_by_role("heading", level=1)).to_have_text("谢谢你，都答完了")
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_have_text("谢谢你，都答完了")
    assert counted(desk, mine) == {**dict.fromkeys(range(1, 27), 3), 7: 5}


def test_an_instrument_is_answered_with_the_keyboard_alone(desk: Desk, address: str, browser: Browser) -> None:
    mine = assignment(desk, desk.person(), put(desk, ("shs",)))
    with tab(browser, 1280) as page:
        page.goto(link(desk, address, mine))
        for item, spoken in enumerate(("3，不太快乐", "3，稍不如他们快乐", "3，不太像", "3，不太像"), start=1):
            expect(page.locator(".place")).to_contain_text(f"{item}/4")
            for _ in range(3):
                page.keyboard.press("Tab")
            chosen = page.get_by_role("button", name=spoken)
            expect(chosen).to_be_focused()
            expect(chosen).to_have_css("outline-style", "solid")
            expect(chosen).to_have_css("outline-width", "3px")
            page.keyboard.press("Enter" if item % 2 else "Space")
        hand_in = page.get_by_role("button", name="交上这一份")
        expect(hand_in).to_be_visible()
        page.keyboard.press("Tab")
        expect(hand_in).to_be_focused()
        page.keyboard.press("Tab")  # the first answer of the list, to correct it
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="3，不太快乐，这是你之前选的")).to_be_visible()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(hand_in).to_be_visible()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("谢谢你，都答完了")
    assert counted(desk, mine) == {1: 1, 2: 3, 3: 3, 4: 3}


def test_a_screen_reader_hears_what_is_asked_how_far_it_is_and_what_each_button_means(desk: Desk, address: str, browser: Browser) -> None:
    mine = assignment(desk, desk.person(), put(desk, ("intake", "shs")))
    with tab(browser, 320) as page:
        page.goto(link(desk, address, mine))
        expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        expect(page).to_have_title("1/7 基本情况")
        expect(page.get_by_role("heading", level=1)).to_have_text("基本情况")
        expect(page.get_by_role("group", name="你的性别是？")).to_have_count(1)
        expect(page.get_by_role("progressbar", name="已答 0 题，共 11 题")).to_have_count(1)
        page.get_by_role("button", name="女", exact=True).click()
        field = page.get_by_role("textbox", name="你今年多少周岁？请打出数字，比如 36。")
        expect(field).to_have_attribute("inputmode", "numeric")
        field.fill("200")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("请填 18 到 99 之间的整数。")
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(page.locator("fieldset")).to_have_accessible_description("请填 18 到 99 之间的整数。")
        expect(field).to_have_value("200")
