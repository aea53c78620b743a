"""Takes docs/phones.png from a running demo: a newcomer joins, a leader announces and looks who got it. Needs a Chromium.

    tongban demo --data var/picture
    .venv/bin/python -m docs.screenshot http://127.0.0.1:8001

Each run wants a fresh --data: the newcomer joins once.
"""

import sys
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo

from playwright.sync_api import Locator, Page, ViewportSize, expect, sync_playwright

from tests.browser.chromium import ARGUMENTS, CHROMIUM

OUT = Path(__file__).parent / "phones.png"
LEADER, NEWCOMER, SILENT = "李老师", "新朋友甲", "晓晴"
WORDS = "大家好！今晚 20:00 是第三课，主题是“温柔地对待自己”。请提前五分钟进来，带一杯热水就好。"


def main() -> None:
    """Play the conversation and take the picture."""
    page_address = f"{sys.argv[1]}/phones?lang=zh&names={quote(f'{LEADER},{NEWCOMER},{SILENT}')}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport=ViewportSize(width=1280, height=820), locale="zh-CN", timezone_id="Asia/Shanghai")
        page.goto(page_address)
        move_to_evening(page)
        join(phone(page, NEWCOMER))
        announce(phone(page, LEADER))
        expect(phone(page, NEWCOMER).locator(".bubble").last).to_contain_text("今晚 20:00 是第三课")
        expect(phone(page, SILENT).locator(".card")).to_have_count(1)
        page.evaluate("document.activeElement.blur()")
        page.wait_for_timeout(1_000)  # what is still sliding comes to rest
        page.screenshot(path=OUT)
        say(phone(page, LEADER), "谁收到了", "人：")
        tell(page)
        browser.close()


def phone(page: Page, name: str) -> Locator:
    """The phone of one person."""
    return page.get_by_role("article", name=name)


def move_to_evening(page: Page) -> None:
    """Move the demo's clock to the next half past six: nobody announces in the small hours."""
    address = f"{sys.argv[1]}/sandbox/clock"
    now = datetime.fromisoformat(page.request.get(address).json()["now"]).astimezone(ZoneInfo("Asia/Shanghai"))
    ahead = (now.replace(hour=18, minute=30, second=0, microsecond=0) - now) % timedelta(days=1)
    page.request.post(address, data={"advance": ahead.total_seconds()})


def join(one: Locator) -> None:
    """From the QR code to the seat in the group."""
    one.get_by_role("button", name="扫一扫").click()
    one.locator("button.code").first.click()
    for choice in ("开始", "同意", "愿意", "能"):
        tap(one, choice)
    say(one, "小禾", "欢迎加入")


def announce(one: Locator) -> None:
    """The leader's way to an announcement: words, group, moment, preview, yes."""
    say(one, "公告", "请发来公告的文字")
    say(one, WORDS, "什么时候发")
    tap(one, "现在")
    tap(one, "确认发送")
    expect(one.locator(".theirs .bubble").last).to_contain_text("正在发给")


def tap(one: Locator, choice: str) -> None:
    """Tap the newest choice with this label."""
    one.locator(".tap", has_text=f". {choice}").last.click()


def say(one: Locator, words: str, answer: str) -> None:
    """Write words and wait for the answer."""
    if one.get_by_role("textbox").count() == 0:
        one.get_by_role("button", name="切换到键盘").click()
    before = one.locator(".theirs .bubble").count()
    one.get_by_role("textbox").fill(words)
    one.get_by_role("textbox").press("Enter")
    expect(one.locator(".theirs .bubble")).not_to_have_count(before)
    expect(one.locator(".theirs .bubble").last).to_contain_text(answer)


def tell(page: Page) -> None:
    """Print every chat, to be read aloud."""
    for one in page.get_by_role("article").all():
        sys.stdout.write(f"=== {one.get_attribute('aria-label')}\n{one.get_by_role('log').inner_text()}\n\n")


if __name__ == "__main__":
    main()
