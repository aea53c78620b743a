"""The console in a real browser: on a phone and at a desk, light and dark, with and without script, with the keyboard alone."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from datetime import time as clock_time
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
import uvicorn
from playwright.sync_api import Browser, Page, expect

from app import encouragement, groups, ids, polls, schedules
from app.courses import file, running
from app.db import Tx
from app.main import create_app
from app.models import Attendance, CheckIn, Delivery, Gathering, Participant
from app.prompts import planning
from app.states import State
from app.web.console import sheets
from bots.effects import PlanPrompt, Poll
from bots.recurrence import Rule
from bots.turns import Role
from tests.browser.test_phones import overflow
from tests.console.visiting import HOME, PASSWORD, one_time_code, staff
from tests.delivery import asked
from tests.delivery.scene import Desk

LONG = "名字很长的人" * 12 + "x" * 60
#: What a finger hits without looking: 44 CSS pixels (WCAG 2.5.5).
FINGER = 44
#: What one fills in.
FIELDS = "input:not([type=hidden]):not([hidden]), select, textarea:not([hidden])"
#: Both widths, both languages, light and dark; tests/browser/test_every_page.py looks at each page in all four ways.
WIDTHS = [(390, "zh", False), (1280, "en", True)]


@pytest.fixture
def desk(sqlite_url: str) -> Iterator[Desk]:
    with Desk(sqlite_url) as desk:
        yield desk


@pytest.fixture
def address(desk: Desk) -> Iterator[str]:
    with served(desk) as found:
        yield found


@contextmanager
def served(desk: Desk) -> Iterator[str]:
    """The application on a port of loopback, which knows its own address."""
    listener = socket.create_server(("127.0.0.1", 0))
    found = f"http://127.0.0.1:{listener.getsockname()[1]}"
    object.__setattr__(desk.assembly.settings, "public_url", found)
    server = uvicorn.Server(uvicorn.Config(create_app(desk.assembly, worker=False), log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.005)
    yield found
    server.should_exit = True
    thread.join()
    listener.close()


@contextmanager
def tab(browser: Browser, width: int, *, dark: bool = False, script: bool = True, language: str = "zh") -> Iterator[Page]:
    """A tab of this width; what the browser complains about (a policy that was broken, an error) fails the test."""
    context = browser.new_context(
        viewport={"width": width, "height": 740},
        java_script_enabled=script,
        color_scheme="dark" if dark else "light",
        locale="zh-CN" if language == "zh" else "en-US",
    )
    page, complaints = context.new_page(), list[str]()
    page.set_default_timeout(15_000)
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert [each for each in complaints if "status of 4" not in each] == []


def sign_in(page: Page, address: str, name: str, arrives: str = "today/*") -> None:
    page.goto(f"{address}{HOME}/signin")
    page.locator("#name").fill(name)
    page.locator("#password").fill(PASSWORD)
    page.locator("#code").fill(one_time_code())
    page.locator("#code").press("Enter")
    page.wait_for_url(f"{address}{HOME}/{arrives}")


def looked_at(page: Page) -> None:
    """No page scrolls sideways, everything to press is large enough and has a name, and the words stand out from their ground."""
    page.wait_for_load_state()
    assert overflow(page) == 0, page.url
    for each in page.locator(f"button, {FIELDS}, summary, nav a").all():
        if not each.evaluate("e => e.checkVisibility()"):  # folded away until something else is pressed
            continue
        height = each.evaluate("e => (e.closest('label') || e).getBoundingClientRect().height")  # a tick is hit by its words too
        assert height >= FINGER, (page.url, each.evaluate("e => e.outerHTML"))
    unnamed = page.evaluate(
        "fields => [...document.querySelectorAll(fields)].filter(e => !e.labels.length && !e.ariaLabel).map(e => e.outerHTML)", FIELDS
    )
    assert unnamed == []
    assert page.locator("h1").count() == 1
    assert page.evaluate(FAINT) == [], page.url


#: Words whose contrast with their ground is below 4.5 (WCAG 1.4.3), for plain colours.
FAINT = """() => {
  const part = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = c => .2126 * part(c[0]) + .7152 * part(c[1]) + .0722 * part(c[2]);
  const read = s => {  // rgb(…) in 255ths, color(srgb …) in ones
    const n = (s.match(/[\\d.]+/g) || []).map(Number), whole = s.startsWith("color") ? 255 : 1;
    return [n.slice(0, 3).map(v => v * whole), n.length > 3 ? n[3] : 1];
  };
  const ground = e => {
    for (; e; e = e.parentElement) { const [c, a] = read(getComputedStyle(e).backgroundColor); if (a === 1) return c; }
    return [255, 255, 255];
  };
  const found = [], walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !e.getClientRects().length || e.closest("svg, option, [hidden]")) continue;
    const [c, a] = read(getComputedStyle(e).color), [x, y] = [light(c), light(ground(e))].sort((p, q) => q - p);
    if (a === 1 && (x + .05) / (y + .05) < 4.5) found.push(`${e.outerHTML.slice(0, 80)} | ${getComputedStyle(e).color} | ${ground(e)}`);
  }
  return found;
}"""


@pytest.mark.parametrize(("width", "language", "dark"), WIDTHS)
def test_one_signs_in_and_looks_at_every_page(desk: Desk, address: str, browser: Browser, width: int, language: str, dark: bool) -> None:
    leader = staff(desk, "李老师", Role.LEADER)
    now = datetime.now(UTC)
    for name in ("小雨", LONG, "<b>阿宁</b>"):
        desk.person(name, typed=now)
    desk.person("很久没写", typed=None)
    schedule = desk.announced("今晚八点见。" * 20, author=leader.known, now=now)
    with tab(browser, width, dark=dark, language=language) as page:
        page.goto(f"{address}{HOME}")
        expect(page).to_have_url(f"{address}{HOME}/signin")
        looked_at(page)
        sign_in(page, address, "李老师")
        looked_at(page)
        page.goto(f"{address}{HOME}/groups/{desk.group}")
        expect(page.get_by_text(LONG).first).to_be_visible()
        looked_at(page)
        for path in ("announcements", "announcements/new", f"announcements/{schedule}", "waves", "sessions", "nothing"):
            page.goto(f"{address}{HOME}/{path}")
            looked_at(page)


def test_what_one_writes_is_counted_while_one_writes_and_sent_without_script_too(desk: Desk, address: str, browser: Browser) -> None:
    staff(desk, "李老师", Role.LEADER)
    desk.person("小雨", typed=datetime.now(UTC))
    with tab(browser, 390) as page:
        sign_in(page, address, "李老师")
        page.goto(f"{address}{HOME}/announcements/new")
        page.locator("#text").press_sequentially("今晚八点见")
        expect(page.locator("#size")).to_contain_text("15 / 1500 字节")
        expect(page.locator("#size .bubble")).to_contain_text("今晚八点见")
        expect(page.locator("#size")).to_contain_text("1 人马上收到")
        looked_at(page)
        cookies = page.context.cookies()
    with tab(browser, 390, script=False) as page:
        page.context.add_cookies(cookies)  # type: ignore[arg-type]  # as they were given
        page.goto(f"{address}{HOME}/announcements/new")
        page.locator("#text").fill("明天见")
        page.get_by_role("button", name="看看会怎样").click()
        expect(page.locator(".bubble")).to_contain_text("明天见")
        looked_at(page)
        page.get_by_role("button", name="现在发").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("第 1 号")
        page.get_by_role("button", name="English").click()
        expect(page.get_by_role("link", name="Announcements")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_url(f"{address}{HOME}/signin")
        page.go_back()
        expect(page.locator("#password")).to_be_visible()


def test_one_signs_in_with_the_keyboard_alone(desk: Desk, address: str, browser: Browser) -> None:
    staff(desk, "李老师", Role.LEADER)
    with tab(browser, 1280) as page:
        page.goto(f"{address}{HOME}/signin")
        page.keyboard.press("Tab")
        expect(page.locator(".skip")).to_be_focused()
        for _ in range(30):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "name":
                break
        page.keyboard.type("李老师")
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Tab")
        page.keyboard.type(one_time_code())
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="登录", exact=True)).to_be_focused()
        page.keyboard.press("Enter")
        page.wait_for_url(f"{address}{HOME}/today/*")


@pytest.mark.parametrize(("width", "language", "dark"), WIDTHS)
def test_today_is_read_a_question_answered_and_the_silent_written_to(
    desk: Desk, address: str, browser: Browser, width: int, language: str, dark: bool
) -> None:
    now = datetime.now(UTC)
    first = now.astimezone(ZoneInfo("Asia/Shanghai")).date() - timedelta(days=9)
    desk.write(
        lambda tx: running.start(tx, desk.tools, desk.course_id, running.Plan(file.read("msc-8-week"), first), now - timedelta(days=20))
    )
    leader = staff(desk, "李老师", Role.LEADER)
    people = [desk.person(name, typed=now) for name in ("小雨", LONG, "<b>阿宁</b>", "静静", "小北")]
    desk.write(lambda tx: tx.execute(sa.update(Participant).values(joined_at=now - timedelta(days=20))))
    noted = [(people[0], 0), (people[2], 0), (people[2], 1), (people[3], 4)]
    row = {"course_id": desk.course_id, "practice": "breath", "minutes": 15, "noted_at": now, "shared_at": now}
    here = now.astimezone(ZoneInfo("Asia/Shanghai")).date()
    for known, back in noted:
        kept = {**row, "id": ids.new_id(), "person_id": known.id, "day": here - timedelta(days=back)}
        desk.write(lambda tx, kept=kept: tx.execute(sa.insert(CheckIn).values(**kept)))  # type: ignore[misc]
    asked.ask(desk, people[0], "可以躺着做身体扫描吗？" * 6, now=now)
    theirs = asked.ask(desk, people[1], f"晚上总是睡着，{LONG}", now=now)
    asked.claim(desk, leader.known, theirs, now)
    desk.announced("今晚八点见。", author=leader.known, now=now)
    wanted = PlanPrompt((desk.group,), "今天练了吗？", Rule(clock_time(23, 59)), first + timedelta(days=20), 0)
    desk.write(lambda tx: planning.plan(tx, desk.keyring, None, wanted, now))
    with tab(browser, width, dark=dark, language=language) as page:
        sign_in(page, address, "李老师")
        expect(page.locator("#questions article")).to_have_count(2)
        expect(page.locator("#practised .shared li")).to_have_count(3)
        looked_at(page)
        page.locator("#questions textarea").fill("睡着也没关系。")
        page.locator("#questions textarea").press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#questions article")).to_have_count(1)
        page.locator("#questions article button").press("Enter")
        expect(page.locator("#questions textarea")).to_be_visible()
        page.locator("#silent summary").last.press("Enter")
        looked_at(page)
        page.locator("#silent details").last.locator("button").press("Enter")
        expect(page.locator("#silent .odd")).to_contain_text("7")
        looked_at(page)


@pytest.mark.parametrize(("width", "language", "dark"), WIDTHS)
def test_the_grids_of_a_group_scroll_in_their_own_boxes(
    desk: Desk, address: str, browser: Browser, width: int, language: str, dark: bool
) -> None:
    now = datetime.now(UTC)
    here = now.astimezone(ZoneInfo("Asia/Shanghai")).date()
    plan = running.Plan(file.read("msc-8-week"), here - timedelta(days=40))
    desk.write(lambda tx: running.start(tx, desk.tools, desk.course_id, plan, now - timedelta(days=50)))
    staff(desk, "李老师", Role.LEADER)
    people = [desk.person(name, typed=now) for name in (LONG, "<b>阿宁</b>", *(f"组员{number}" for number in range(22)))]
    row = {"course_id": desk.course_id, "practice": "breath", "noted_at": now}
    kept = [
        {**row, "id": ids.new_id(), "person_id": known.id, "day": here - timedelta(days=back)}
        for number, known in enumerate(people)
        for back in range(40)
        if (back * 7 + number * 5) % (number % 4 + 2)
    ]
    classes = sa.select(Gathering.id).where(Gathering.kind == "class").order_by(Gathering.number).limit(4)

    def live(tx: Tx) -> None:
        tx.execute(sa.update(Participant).values(joined_at=now - timedelta(days=38)))
        tx.execute(sa.insert(CheckIn), kept)
        there = [
            {"gathering_id": gathering, "person_id": known.id, "how": "made_up" if number == 5 else "tick", "at": now}
            for place, gathering in enumerate(tx.execute(classes).scalars().all())
            for number, known in enumerate(people)
            if (number + place) % 5
        ]
        tx.execute(sa.insert(Attendance), there)

    desk.write(live)
    with tab(browser, width, dark=dark, language=language) as page:
        sign_in(page, address, "李老师")
        page.goto(f"{address}{HOME}/groups/{desk.group}")
        page.locator("a[href$=grids]").press("Enter")
        page.wait_for_url("**/grids")
        expect(page.locator("#practice .across svg g")).to_have_count(len(people))
        looked_at(page)
        wider = page.locator(".across").evaluate_all("boxes => boxes.map(e => e.scrollWidth > e.clientWidth)")
        assert wider == ([True, True] if width < 500 else [False, False])
        newest = page.locator("#practice .across").evaluate("e => Math.abs(e.scrollLeft)")
        assert newest == 0, "a calendar opens at the newest day, which is at its right"
        right = "e => e.getBoundingClientRect().right"
        assert page.locator("#practice .across svg").evaluate(right) <= page.locator("#practice .across").evaluate(right) + 1
        page.locator("#practice summary").press("Enter")
        looked_at(page)


@pytest.mark.parametrize(("width", "language", "dark"), WIDTHS)
def test_the_schedule_is_read_and_changed(desk: Desk, address: str, browser: Browser, width: int, language: str, dark: bool) -> None:
    first = datetime.now(UTC).date() + timedelta(days=3)
    desk.write(lambda tx: running.start(tx, desk.tools, desk.course_id, running.Plan(file.read("msc-8-week"), first), datetime.now(UTC)))
    wanted = PlanPrompt((desk.group,), f"今天练了吗？{LONG}", Rule(clock_time(20), weekdays=(0, 2)), first + timedelta(days=20), 0)
    desk.write(lambda tx: planning.plan(tx, desk.keyring, None, wanted, datetime.now(UTC)))
    large = desk.read(lambda tx: groups.by_code(tx, "msc-all"))
    staff(desk, "管理员", Role.ADMINISTRATOR, group=large)
    with tab(browser, width, dark=dark, language=language) as page:
        sign_in(page, address, "管理员", "groups")
        page.goto(f"{address}{HOME}/schedule")
        page.goto(f"{page.url}?week={first}")
        looked_at(page)
        expect(page.locator(".entry.gathering").first).to_be_visible()
        columns = page.locator(".day:visible").evaluate_all("days => new Set(days.map(d => d.getBoundingClientRect().left)).size")
        assert columns == (7 if width > 1000 else 1)
        page.locator("#gathering").select_option("class.2")
        page.locator("#to").fill(f"{first + timedelta(days=8)}T20:00")
        page.locator("input[name=later]").check()
        page.locator("#to").press("Enter")
        page.wait_for_url("**/preview")
        looked_at(page)
        page.locator("button.btn-primary").click()
        page.wait_for_url("**/schedule/*")
        expect(page.locator(".entry.gathering").first).to_be_visible()
        page.goto(page.url.split("?")[0] + "#prompts")
        page.locator("#prompts button").click()
        looked_at(page)


@pytest.mark.parametrize(("width", "language", "dark"), WIDTHS)
def test_warm_words_are_read_written_and_approved(
    desk: Desk, address: str, browser: Browser, width: int, language: str, dark: bool
) -> None:
    now = datetime.now(UTC)
    desk.write(lambda tx: encouragement.adopt(tx, desk.keyring, desk.course_id, now))
    desk.write(lambda tx: encouragement.set_plan(tx, desk.course_id, "14", "12:30", now))
    staff(desk, "管理员", Role.ADMINISTRATOR, group=desk.read(lambda tx: groups.by_code(tx, "msc-all")))
    with tab(browser, width, dark=dark, language=language) as page:
        sign_in(page, address, "管理员", "groups")
        page.goto(f"{address}{HOME}/encouragement")
        looked_at(page)
        page.locator("#plan summary").press("Enter")
        page.locator("input[name=day2]").check()
        looked_at(page)
        page.locator("#hour").press("Enter")
        page.locator("#zh").fill(f"慢慢来，茶还热着。{LONG}")
        page.locator("#zh").press("Tab")
        page.locator("#en").press("Tab")
        page.locator("#theme").press("Tab")
        page.keyboard.press("Enter")
        proposed = page.locator("#words li").first
        expect(proposed).to_contain_text("茶还热着")
        looked_at(page)
        proposed.locator("button").first.click()
        expect(page.locator("#words li").first).not_to_contain_text("茶还热着")


@pytest.mark.parametrize(("width", "language", "dark"), WIDTHS)
def test_the_sheet_of_codes_is_made_and_prints_black_on_white(
    desk: Desk, address: str, browser: Browser, monkeypatch: pytest.MonkeyPatch, width: int, language: str, dark: bool
) -> None:
    async def drawn(_assembly: object, _account: int, codes: list[str], _seconds: int | None) -> list[str]:
        return [f"http://weixin.qq.com/q/{code}" for code in codes]

    monkeypatch.setattr(sheets, "make_qrs", drawn)  # what WeChat answers is played in tests/console/test_sheets.py
    for name in ("晚霞组", LONG, "<b>远山组</b>"):
        desk.write(lambda tx, name=name: groups.create(tx, desk.course_id, code=f"g{len(name)}", name=name))  # type: ignore[misc]
    staff(desk, "管理员", Role.ADMINISTRATOR, group=desk.read(lambda tx: groups.by_code(tx, "msc-all")))
    with tab(browser, width, dark=dark, language=language) as page:
        sign_in(page, address, "管理员", "groups")
        page.goto(f"{address}{HOME}/sheet")
        looked_at(page)
        page.locator("main button").press("Enter")
        expect(page.locator(".sheet svg")).to_have_count(4)
        looked_at(page)
        page.emulate_media(media="print")
        expect(page.locator(".top")).to_be_hidden()
        expect(page.locator("main form")).to_be_hidden()
        ground, ink = page.locator(".sheet li").first.evaluate("e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).color]")
        assert (ground, ink) == ("rgb(255, 255, 255)", "rgb(0, 0, 0)")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


@pytest.mark.parametrize(("width", "language", "dark"), WIDTHS)
def test_a_poll_is_written_and_its_answers_are_read(
    desk: Desk, address: str, browser: Browser, width: int, language: str, dark: bool
) -> None:
    now = datetime.now(UTC)
    admin = staff(desk, "管理员", Role.ADMINISTRATOR, group=desk.read(lambda tx: groups.by_code(tx, "msc-all")))
    rain = desk.person("小雨", typed=now)
    for name in (LONG, "<b>阿宁</b>"):
        desk.person(name, typed=now)
    cities = Poll(("北京", "杭州", "哈尔滨"))
    poll = desk.write(
        lambda tx: schedules.plan_announcement(
            tx, desk.keyring, author_id=admin.known.id, group_id=desk.group, text="在哪里？", at=None, draft=None, now=now, poll=cities
        )
    )
    desk.fire(now)
    desk.write(lambda tx: tx.execute(sa.update(Delivery).values(state=State.SENT, reason="service")))
    desk.write(lambda tx: polls.answer(tx, desk.keyring, rain.id, poll, 2, now))
    with tab(browser, width, dark=dark, language=language) as page:
        sign_in(page, address, "管理员", "groups")
        page.goto(f"{address}{HOME}/announcements/new?group={desk.group}")
        page.locator("#text").fill("止语半日在哪个城市？")
        expect(page.locator("#options")).to_be_hidden()
        page.locator("[name=ask]").first.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Tab")
        page.keyboard.type("北京\n杭州")
        page.keyboard.press("Tab")
        expect(page.locator("#size .choice")).to_have_count(2)
        looked_at(page)
        page.locator("main .btn-primary").click()
        page.wait_for_url("**/preview")
        looked_at(page)
        page.locator("main .btn-primary").click()
        expect(page.locator("#answers summary")).to_have_count(2)
        page.goto(f"{address}{HOME}/announcements/{poll}")
        page.locator("#answers summary").nth(1).press("Enter")
        expect(page.locator("#answers details p").nth(1)).to_have_text("小雨")
        looked_at(page)
        page.locator("#again").fill("还差你一位")
        page.locator("#again").press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**#answers")
        looked_at(page)
