"""The phones page in a real browser, on the real sandbox."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import uvicorn
from fastapi import Response
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, ViewportSize, expect

from app import sandbox
from app.sandbox import phones

WIDE, NARROW = ViewportSize(width=1280, height=800), ViewportSize(width=390, height=844)
IMAGE = '<img src=x onerror="window.broken=1">'
HOSTILE = IMAGE + '<script>window.broken=1</script> <a href="javascript:window.broken=1">点我</a>'
CHOICE = f'今天练了吗？\n<a href="weixin://bizmsgmenu?msgmenucontent={quote("练了 & 很好")}&msgmenuid=done-1">练了</a>'
MENU = [
    {"type": "click", "name": "今天练了", "key": "check-in"},
    {
        "name": "我的小组",
        "sub_button": [{"type": "click", "name": "下一次课", "key": "next"}, {"type": "click", "name": "问带领者", "key": "ask"}],
    },
]
ACCOUNT = {
    "appid": "wx-demo",
    "secret": "s3cret",
    "token": "token",
    "aes_key": "A" * 43,
    "original_id": "gh_demo",
    "name": "同伴共修",
    "mode": "safe",
    "profile": "service",
}


class Desk:
    """The page as a test sees it: the sandbox behind it, what the page asked of it, and what the browser complained about."""

    def __init__(self, address: str, tab: Page) -> None:
        self.address, self.tab = address, tab
        self.complaints: list[str] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.http = httpx.Client(base_url=address, verify=False)  # no TLS here; loading its certificates takes a tenth of a second
        self.put("/sandbox/accounts", **ACCOUNT, webhook_url=f"{address}/hook")
        for openid, name in (("o-rain-1", "小雨"), ("o-li-2", "李老师")):
            self.person(openid, name)
        self.post("/sandbox/people", appid="wx-demo", openid="o-cheng-3", name="阿成")
        token = self.post("/cgi-bin/stable_token", grant_type="client_credential", appid="wx-demo", secret=ACCOUNT["secret"])
        self.token = token["access_token"]

    def put(self, path: str, **body: Any) -> Any:
        return self.http.put(path, json=body).raise_for_status().json()

    def post(self, path: str, **body: Any) -> Any:
        return self.http.post(path, json=body).raise_for_status().json()

    def person(self, openid: str, name: str) -> None:
        """Somebody who follows and wrote a moment ago, so that the account may write to them."""
        self.post("/sandbox/people", appid="wx-demo", openid=openid, name=name, following=True, wrote=True)

    def platform(self, path: str, **body: Any) -> Any:
        """What the account's own server asks of WeChat."""
        answer = self.post(f"/cgi-bin/{path}?access_token={self.token}", **body)
        assert answer.get("errcode", 0) == 0, answer
        return answer

    def send(self, openid: str, text: str) -> None:
        self.platform("message/custom/send", touser=openid, msgtype="text", text={"content": text})

    def notice(self, openid: str, title: str, rows: dict[str, str], url: str = "") -> None:
        fields = {f"thing{place}": label for place, label in enumerate(rows, start=1)}
        template = self.post("/sandbox/accounts/wx-demo/templates", title=title, fields=fields)["template_id"]
        values = {key: {"value": rows[label]} for key, label in fields.items()}
        self.platform("message/template/send", touser=openid, template_id=template, data=values, url=url)

    def chat(self, openid: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.http.get(f"/sandbox/people/{openid}/chat").json()["entries"]
        return entries

    def ahead(self) -> float:
        return float(self.http.get("/sandbox/clock").json()["offset"])

    def open(self, query: str = "", size: ViewportSize = WIDE) -> Page:
        self.tab.set_viewport_size(size)
        self.tab.goto(f"{self.address}/phones{query}")
        self.tab.wait_for_selector("body[data-ready=yes]")
        return self.tab

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Note what the page asks and what the browser complains about, while a test runs."""
        listeners: dict[Any, Any] = {
            "console": self.hear,
            "pageerror": lambda error: self.complaints.append(str(error)),
            "request": self.note,
        }
        for event, listener in listeners.items():
            self.tab.on(event, listener)
        yield
        for event, listener in listeners.items():
            self.tab.remove_listener(event, listener)

    def hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def note(self, request: Request) -> None:
        deed = request.url.rsplit("/", 1)[-1]
        if request.method == "POST" and deed not in {"read", "clock", "people"}:
            self.asked.append((deed, {key: value for key, value in json.loads(request.post_data or "{}").items() if key != "wait"}))


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Page]:
    """One tab for all tests: each sandbox has a port of its own, so its page finds nothing remembered."""
    context = browser.new_context(locale="zh-CN", reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(30_000)
    yield page
    context.close()


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The sandbox, with an account whose server answers every push with nothing."""
    app = sandbox.create(tmp_path)
    app.post("/hook")(lambda: Response("success"))
    app.post("/broken")(lambda: Response('{"not": "XML"}'))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="on"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def desk(tab: Page, address: str) -> Iterator[Desk]:
    desk = Desk(address, tab)
    with desk.listening():
        yield desk
    tab.goto("about:blank")
    desk.http.close()
    assert desk.complaints == [], "the browser complained: an error, or something that the content policy forbids"


def phone(page: Page, name: str) -> Locator:
    return page.get_by_role("article", name=name)


def overflow(page: Page) -> int:
    wider: int = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return wider


def test_three_phones_a_drawer_and_a_scanner_never_make_the_page_scroll_sideways(desk: Desk) -> None:
    desk.platform("menu/create", button=MENU)
    desk.platform("qrcode/create", action_name="QR_LIMIT_STR_SCENE", action_info={"scene": {"scene_str": "G1-7KQ2"}})
    desk.send("o-rain-1", "好长" * 250 + "https://example.org/" + "x" * 300)
    page = desk.open("?names=小雨,李老师,阿成")
    assert overflow(page) == 0
    phone(page, "小雨").get_by_role("button", name="更多", exact=True).first.click()
    phone(page, "小雨").get_by_role("button", name="扫一扫").click()
    expect(phone(page, "小雨").get_by_role("button", name="G1-7KQ2")).to_be_visible()
    page.locator("#ledger-button").click()
    expect(page.locator("#ledger li")).to_contain_text("小雨")
    assert overflow(page) == 0
    page.set_viewport_size({"width": 800, "height": 700})
    assert overflow(page) == 0
    page.set_viewport_size(NARROW)
    expect(page.locator(".tab").first).to_be_visible()
    assert overflow(page) == 0
    page.locator("#ledger-close").click()
    page.locator("#time-button").click()
    assert overflow(page) == 0


def test_markup_and_script_in_a_message_stay_text(desk: Desk) -> None:
    short = "<b onclick=a()>好</b>"[:20]
    desk.send("o-rain-1", HOSTILE)
    desk.notice("o-rain-1", HOSTILE, {HOSTILE: short})
    desk.person("o-evil-9", IMAGE)
    page = desk.open("?people=o-rain-1")
    expect(phone(page, "小雨").locator(".bubble")).to_have_text(HOSTILE)
    expect(phone(page, "小雨").locator(".card h3")).to_have_text(HOSTILE)
    expect(phone(page, "小雨").locator(".card dt")).to_have_text(HOSTILE)
    expect(phone(page, "小雨").locator(".card dd")).to_have_text(short)
    expect(page.locator(".person-name", has_text="onerror")).to_have_text(IMAGE)
    assert page.locator(".chat a, .chat script, .chat b, .chat img[src=x], #people img").count() == 0
    assert page.evaluate("window.broken") is None


def test_a_tap_posts_the_decoded_words_and_the_id_of_the_choice(desk: Desk) -> None:
    desk.send("o-rain-1", CHOICE)
    page = desk.open("?people=o-rain-1")
    phone(page, "小雨").get_by_role("button", name="练了").click()
    expect(phone(page, "小雨").locator(".mine .bubble")).to_have_text("练了 & 很好")
    assert desk.asked == [("tap", {"content": "练了 & 很好", "id": "done-1"})]
    assert [(entry["side"], entry["text"]) for entry in desk.chat("o-rain-1")][1:] == [("person", "练了 & 很好")]


#: What a message says, and the pieces that the page makes of it: words; words and address; words, content and id.
ANCHORS: list[tuple[str, list[list[str]]]] = [
    ("没有链接，只有 < 和 >", [["没有链接，只有 < 和 >"]]),
    ("<a href='weixin://bizmsgmenu?msgmenuid=7&msgmenucontent=a+b'>好</a>", [["好", "a b", "7"]]),
    (
        '<a href="weixin://bizmsgmenu?msgmenucontent=%E4&msgmenuid=7">坏</a>',
        [['<a href="weixin://bizmsgmenu?msgmenucontent=%E4&msgmenuid=7">坏</a>']],
    ),
    ('<a href="weixin://bizmsgmenu?msgmenucontent=x">没有号</a>', [['<a href="weixin://bizmsgmenu?msgmenucontent=x">没有号</a>']]),
    ('<a href="weixin://dl/chat">别的</a>', [['<a href="weixin://dl/chat">别的</a>']]),
    ('<a href="data:text/html,x">数据</a>', [['<a href="data:text/html,x">数据</a>']]),
    ('<a href="https://example.org/?a=1&b=2">课程</a>！', [["课程", "https://example.org/?a=1&b=2"], ["！"]]),
    ("见 https://example.org/r/x1。再见", [["见 "], ["https://example.org/r/x1", "https://example.org/r/x1"], ["。再见"]]),
    ("<a href='data:x'><b>粗</b></a>", [["<a href='data:x'><b>粗</b></a>"]]),
]


def test_only_anchors_that_wechat_knows_become_something_to_tap(desk: Desk) -> None:
    page = desk.open("?people=o-rain-1")
    texts = [text for text, _ in ANCHORS]
    found = page.evaluate(
        "async texts => { const m = await import('/phones/text.js'); return texts.map(t => m.pieces(t).map(Object.values)); }", texts
    )
    assert found == [pieces for _, pieces in ANCHORS]


def test_a_notice_is_a_card_with_its_rows_and_a_way_to_the_details(desk: Desk) -> None:
    desk.notice("o-rain-1", "课程提醒", {"课程": "第三课", "时间": "今晚 19:30"}, "http://127.0.0.1:9/read/x")
    page = desk.open("?people=o-rain-1")
    shown = phone(page, "小雨").get_by_role("link", name="课程提醒")
    expect(shown).to_have_attribute("href", "http://127.0.0.1:9/read/x")
    expect(shown).to_have_attribute("target", "_blank")
    expect(shown.locator("dd")).to_have_text(["第三课", "今晚 19:30"])
    expect(shown).to_contain_text("查看详情")


def test_a_message_is_written_and_sent_with_the_keyboard_alone(desk: Desk) -> None:
    desk.platform("menu/create", button=MENU)
    page = desk.open("?people=o-rain-1")
    phone(page, "小雨").get_by_role("log").focus()
    page.keyboard.press("Tab")
    expect(phone(page, "小雨").get_by_role("button", name="切换到键盘")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.type("老师好")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("今天练了")
    page.keyboard.press("Enter")
    expect(phone(page, "小雨").locator(".mine .bubble")).to_have_text("老师好\n今天练了", use_inner_text=True)
    expect(phone(page, "小雨").get_by_role("textbox")).to_have_value("")
    box = phone(page, "小雨").get_by_role("textbox")
    box.fill("拼音")
    box.dispatch_event("keydown", {"key": "Enter", "isComposing": True})  # this Enter ends a word of an input method
    expect(box).to_have_value("拼音")
    assert desk.asked == [("say", {"text": "老师好\n今天练了"})]


def test_the_clock_buttons_move_the_sandbox_forward_and_never_back(desk: Desk) -> None:
    page = desk.open("?people=o-rain-1")
    jumps = page.locator("#jumps")
    for button, seconds in (("+1 分钟", 60), ("+1 小时", 3600), ("+1 天", 86400), ("+1 周", 604800)):
        before = desk.ahead()
        jumps.get_by_role("button", name=button).click()
        expect(jumps.locator("[aria-disabled]")).to_have_count(0)
        assert desk.ahead() - before == seconds
    expect(page.locator("#ahead")).to_have_text("已快进 8 天 1 小时")
    jumps.get_by_role("button", name="到 20:00").click()
    expect(page.locator("#time")).to_contain_text("20:00")
    jumps.get_by_role("button", name="自定").click()
    page.get_by_label("多少").fill("90")
    before = desk.ahead()
    page.get_by_role("button", name="拨过去").click()
    expect(page.locator("#time")).to_contain_text("21:30")
    assert desk.ahead() - before == 5400


def test_new_messages_arrive_by_themselves_and_are_unread_until_the_phone_is_looked_at(desk: Desk) -> None:
    page = desk.open("?people=o-rain-1")
    desk.post("/sandbox/people/o-rain-1/say", text="在吗")
    desk.platform("message/custom/typing", touser="o-rain-1", command="Typing")
    title = phone(page, "小雨").get_by_role("heading", level=2)
    expect(title).to_have_text("对方正在输入…")
    desk.send("o-rain-1", "今晚见")
    desk.send("o-li-2", "有人提问")
    expect(phone(page, "小雨").locator(".theirs .bubble")).to_have_text("今晚见")
    expect(title).to_have_text("同伴共修")
    row = page.get_by_role("button", name="看李老师的手机")
    expect(row.locator(".badge")).to_have_text("1")
    row.click()
    expect(phone(page, "李老师").locator(".bubble")).to_have_text("有人提问")
    expect(row.locator(".badge")).to_be_hidden()
    people = desk.http.get("/sandbox/people", params={"appid": "wx-demo"}).json()
    assert {each["unread"] for each in people} == {0}


def test_an_account_that_does_not_answer_shows_wechat_s_fault_notice(desk: Desk) -> None:
    desk.http.patch("/sandbox/accounts/wx-demo", json={"webhook_url": f"{desk.address}/broken"}).raise_for_status()
    page = desk.open("?people=o-rain-1")
    phone(page, "小雨").get_by_role("textbox").fill("在吗")
    phone(page, "小雨").get_by_role("button", name="发送").click()
    expect(phone(page, "小雨").locator(".centred")).to_contain_text("该公众号")
    assert [entry["kind"] for entry in desk.chat("o-rain-1")] == ["text", "fault"]


def test_a_new_person_scans_a_code_follows_sends_a_picture_and_leaves(desk: Desk) -> None:
    desk.platform("qrcode/create", action_name="QR_LIMIT_STR_SCENE", action_info={"scene": {"scene_str": "G1-7KQ2"}})
    page = desk.open("?people=o-rain-1")
    page.get_by_role("button", name="新的人").click()
    page.get_by_label("名字", exact=True).fill("秋月")
    page.keyboard.press("Enter")
    mine = phone(page, "秋月")
    mine.get_by_role("button", name="扫一扫").click()
    mine.get_by_role("button", name="G1-7KQ2").click()
    mine.get_by_role("button", name="更多功能").click()
    mine.get_by_role("button", name="照片").click()
    expect(mine.get_by_role("img", name="照片")).to_be_visible()
    mine.get_by_role("button", name="更多", exact=True).click()
    mine.get_by_role("button", name="不再关注").click()
    expect(mine.get_by_role("button", name="关注公众号")).to_be_visible()
    assert [deed for deed, _ in desk.asked] == ["scan", "send", "unfollow"]
    person = next(each for each in desk.http.get("/sandbox/people", params={"appid": "wx-demo"}).json() if each["name"] == "秋月")
    assert [entry["kind"] for entry in desk.chat(person["openid"])] == ["followed", "picture", "unfollowed"]


def test_menu_entries_press_their_key_and_sub_menus_open_above_the_bar(desk: Desk) -> None:
    desk.platform("menu/create", button=MENU)
    page = desk.open("?people=o-rain-1")
    mine = phone(page, "小雨")
    mine.get_by_role("button", name="今天练了").click()
    mine.get_by_role("button", name="我的小组").click()
    mine.get_by_role("button", name="问带领者").click()
    expect(mine.get_by_role("button", name="问带领者")).to_be_hidden()
    assert desk.asked == [("press", {"key": "check-in"}), ("press", {"key": "ask"})]


def test_the_phones_on_the_page_are_in_its_address_and_come_back_after_a_reload(desk: Desk) -> None:
    page = desk.open("?names=李老师,小雨,没有这个人")
    expect(page.locator("#toast")).to_contain_text("没有这个人")
    assert page.url.endswith("#people=o-li-2,o-rain-1")
    page.get_by_role("button", name="收起小雨的手机").click()
    page.reload()
    expect(page.get_by_role("article")).to_have_count(1)
    expect(phone(page, "李老师")).to_be_visible()


def test_on_a_narrow_screen_one_phone_fills_it_and_a_tab_brings_the_next(desk: Desk) -> None:
    page = desk.open("?names=小雨,李老师", NARROW)
    page.locator("#tabs").get_by_role("button", name="李老师", exact=True).click()
    expect(page.locator(".tab[aria-current]")).to_contain_text("李老师")
    box = phone(page, "李老师").bounding_box()
    assert box is not None
    assert (round(box["x"]), round(box["width"])) == (0, 390)


def test_the_page_speaks_english_and_keeps_what_is_on_it(desk: Desk) -> None:
    page = desk.open("?people=o-cheng-3&lang=en")
    expect(phone(page, "阿成's phone").get_by_role("button", name="Follow", exact=True)).to_be_visible()
    page.get_by_role("button", name="切换到中文").click()
    expect(phone(page, "阿成的手机").get_by_role("button", name="关注公众号")).to_be_visible()
    unnamed = (
        "[...document.querySelectorAll('button, input, select, textarea')].filter(e => !e.innerText && !e.ariaLabel && !e.labels?.length)"
    )
    assert page.evaluate(f"{unnamed}.map(e => e.outerHTML)") == []


def test_the_page_forbids_everything_that_it_does_not_bring_itself(desk: Desk) -> None:
    page = desk.open()
    answer = page.request.get(f"{desk.address}/phones")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.request.get(f"{desk.address}/phones/__init__.py").status == 404
    assert page.request.get(f"{desk.address}/phones/..%2fworld.py").status == 404


def test_both_languages_have_the_same_words_with_the_same_gaps() -> None:
    def gaps(sentence: str) -> set[str]:
        return {part.split("}")[0] for part in sentence.split("{")[1:]}

    chinese, english = phones.words("zh"), phones.words("en")
    assert {key: gaps(text) for key, text in chinese.items()} == {key: gaps(text) for key, text in english.items()}
