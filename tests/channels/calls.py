"""What the client tests share: calls with something secret in them, and a keeper of tokens."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from app.channels import Accepted, Notice
from app.channels.wechat.client import WeChat
from tests.channels.platform import NOW, OPENID

STALE = "88_staleTokenStaleTokenStaleTokenStale"
FRESH = "88_freshTokenFreshTokenFreshTokenFresh"
WORDS = "今晚八点一起练习"
NOTICE = Notice(kind="小组通知", sender="李老师", time=NOW, url="https://example.org/read/secretlink", client_id="n.1")


class Keeper:
    """Gives one token, and another after a refusal."""

    def __init__(self) -> None:
        self.refusals: list[str] = []

    async def current(self) -> str:
        return STALE

    async def refused(self, token: str) -> str:
        self.refusals.append(token)
        return FRESH


Do = Callable[[WeChat], Awaitable[Any]]


def sends(wechat: WeChat) -> Awaitable[Accepted]:
    return wechat.send(OPENID, WORDS)


def notifies(wechat: WeChat) -> Awaitable[Accepted]:
    return wechat.notify(OPENID, NOTICE)


def fetches(wechat: WeChat) -> Awaitable[tuple[str, timedelta]]:
    return wechat.fetch_token(force=True)
