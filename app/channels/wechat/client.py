"""Hides the WeChat API: one account's calls with token, limits and errcodes; `SendError` is all that ever comes out.

Paths and limits: platform reference 4 to 9. Nothing here repeats a message; only a rejected token repeats the same call, once.
"""

import re
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx

from app.channels import Accepted, Credentials, MassState, Notice, Rules, SendError, TokenKeeper, Verdict
from app.channels.wechat.errors import CANNOT_TAG, NOTHING_TO_SHOW
from app.channels.wechat.notices import fill
from app.channels.wechat.transport import Answer, Call, exchange, number, open_http
from app.channels.wechat.xml import clean_text, is_blank

__all__ = ["WeChat", "open_http"]

#: Bounds of a token's life in seconds: shorter would have us ask all the time, longer is not the platform's (L3).
SHORTEST_TOKEN = 60
LONGEST_TOKEN = 7_200
#: Openids that one tagging call may hold (40032 above it).
TAG_BATCH = 50
LONGEST_QR = 2_592_000  # 30 days
#: Bytes of a mass send's client id: 64 are documented, 36 were refused (platform reference, section 6).
LONGEST_CLIENT_ID = 32
_MASS_STATES = {
    "SENDING": MassState.UNDER_WAY,
    "SEND_SUCCESS": MassState.SENT,
    "SEND_FAIL": MassState.FAILED,
    "DELETE": MassState.TAKEN_BACK,
}
_LONGEST_SCENE = 64
#: A page of followers holds 10,000 openids of about 31 bytes.
_PAGE_BYTES = 1024 * 1024
_MOST_PAGES = 1_000
#: How often one call is made again with a newer token.
_NEWER_TOKENS = 2
_TOKEN = re.compile("[!-~]{1,512}")  # platform reference 9: reserve 512
_TICKET = re.compile("[!-~]{1,512}")


class WeChat:
    """One Official Account, ready to be called. Its `repr` names the account only."""

    def __init__(self, credentials: Credentials, keeper: TokenKeeper, http: httpx.AsyncClient, rules: Rules = Rules()) -> None:  # noqa: B008 -- frozen
        self.rules = rules
        self._credentials = credentials
        self._keeper = keeper
        self._http = http

    def __repr__(self) -> str:
        return f"WeChat({self._credentials.account})"

    async def send(self, openid: str, text: str) -> Accepted:
        """Send a text as a service message; it is accepted or a `SendError`, never repeated."""
        content = self._sendable(text)
        await self._call("/cgi-bin/message/custom/send", {"touser": openid, "msgtype": "text", "text": {"content": content}})
        return Accepted()

    async def send_menu(self, openid: str, head: str, items: Sequence[tuple[str, str]], tail: str) -> Accepted:
        """Send a menu message: words, one entry per (id, label), closing words. Not on test accounts (40200)."""
        listed = [{"id": choice, "content": self._sendable(label)} for choice, label in items]
        menu = {"head_content": self._sendable(head), "list": listed, "tail_content": clean_text(tail)[0]}
        await self._call("/cgi-bin/message/custom/send", {"touser": openid, "msgtype": "msgmenu", "msgmenu": menu})
        return Accepted()

    async def notify(self, openid: str, notice: Notice) -> Accepted:
        """Send a notice through the account's approved template; the same `client_id` within ten minutes arrives once."""
        template, fields = self._credentials.notice_id, self._credentials.notice_fields
        if not template or not fields:
            raise SendError(Verdict.BAD_MESSAGE, "no_template")
        body = {
            "touser": openid,
            "template_id": template,
            "url": notice.url,
            "client_msg_id": notice.client_id,
            "data": fill(fields, notice),
        }
        answer = await self._call("/cgi-bin/message/template/send", body)
        return Accepted(number(answer, "msgid"))

    async def show_typing(self, openid: str) -> None:
        """Show that we are typing, for 15 s. Does nothing where it shows already or the last exchange is over 30 s ago."""
        try:
            await self._call("/cgi-bin/message/custom/typing", {"touser": openid, "command": "Typing"})
        except SendError as error:
            if error.code not in NOTHING_TO_SHOW:
                raise

    async def fetch_token(self, *, force: bool) -> tuple[str, timedelta]:
        """A stable access token and how long it lasts. `force` kills the former one: 20 a day, 30 s apart."""
        known = self._credentials
        body = {"grant_type": "client_credential", "appid": known.appid, "secret": known.secret, "force_refresh": force}
        call = Call("/cgi-bin/stable_token", body=body, token_call=True, proof=("access_token",))
        answer = await exchange(self._http, self._base, call)
        token, seconds = answer.get("access_token"), answer.get("expires_in", SHORTEST_TOKEN)
        if not isinstance(token, str) or not _TOKEN.fullmatch(token) or not isinstance(seconds, int) or isinstance(seconds, bool):
            raise SendError(Verdict.UNKNOWN, "bad_token")
        return token, timedelta(seconds=min(max(seconds, SHORTEST_TOKEN), LONGEST_TOKEN))

    async def user_info(self, openid: str) -> Mapping[str, object]:
        """What the platform says of a follower: subscribe 0 or 1, times, tags; no names since 2021."""
        return await self._call("/cgi-bin/user/info", None, query={"openid": openid, "lang": "zh_CN"}, proof=("subscribe",))

    async def followers(self) -> Sequence[str]:
        """The openids of every follower, page by page; 500 calls a day, 10,000 openids a page."""
        found: dict[str, None] = {}
        following = ""
        for _ in range(_MOST_PAGES):
            page, following, total = await self._page(following)
            before = len(found)
            found |= dict.fromkeys(page)
            if not following or len(found) == before or len(found) >= total:
                return list(found)
        raise SendError(Verdict.UNKNOWN, "endless_pages")

    async def create_qr(self, code: str, seconds: int | None) -> str:
        """The ticket of a QR code that carries `code`; for `seconds`, at most 30 days, or for good (100,000 an account)."""
        return (await self.create_qr_link(code, seconds))[0]

    async def create_qr_link(self, code: str, seconds: int | None) -> tuple[str, str]:
        """As `create_qr`, with the address to draw (where the platform gives none, that of its own picture)."""
        if not 1 <= len(code) <= _LONGEST_SCENE:
            raise SendError(Verdict.BAD_MESSAGE, "scene")
        body: dict[str, Any] = {"action_name": "QR_LIMIT_STR_SCENE", "action_info": {"scene": {"scene_str": code}}}
        if seconds is not None:
            body |= {"action_name": "QR_STR_SCENE", "expire_seconds": min(max(seconds, 60), LONGEST_QR)}
        answer = await self._call("/cgi-bin/qrcode/create", body, proof=("ticket",))
        ticket = answer.get("ticket")
        if not isinstance(ticket, str) or not _TICKET.fullmatch(ticket):
            raise SendError(Verdict.UNKNOWN, "bad_ticket")
        address = answer.get("url")
        return ticket, address if isinstance(address, str) and address.isprintable() else self.qr_image_url(ticket)

    def qr_image_url(self, ticket: str) -> str:
        """Where the picture of a QR ticket is shown: on WeChat's own page, or by the sandbox."""
        base = "https://mp.weixin.qq.com" if self._base.endswith("//api.weixin.qq.com") else self._base
        return f"{base}/cgi-bin/showqrcode?ticket={quote(ticket, safe='')}"

    async def set_menu(self, menu: Mapping[str, object]) -> None:
        """Replace the account's menu: at most three entries with five each below."""
        await self._call("/cgi-bin/menu/create", menu)

    async def send_to_tag(self, tag: int, text: str, client_id: str) -> Accepted:
        """Send a text to everybody who has a tag, as a mass send; the same `client_id` (at most 32 bytes) within a day goes out once.

        The error of an id that is there already (45065) carries the mass send's id.
        """
        if not 1 <= len(client_id.encode()) <= LONGEST_CLIENT_ID:
            raise SendError(Verdict.BAD_MESSAGE, "client_id")
        body = {
            "filter": {"is_to_all": False, "tag_id": tag},
            "msgtype": "text",
            "text": {"content": self._sendable(text)},
            "clientmsgid": client_id,
        }
        return Accepted(number(await self._call("/cgi-bin/message/mass/sendall", body), "msg_id"))

    async def mass_state(self, msgid: str) -> MassState:
        """Where a mass send stands. A state that nobody has heard of is taken for under way."""
        answer = await self._call("/cgi-bin/message/mass/get", {"msg_id": msgid}, proof=("msg_status",))
        return _MASS_STATES.get(str(answer.get("msg_status", "")).upper(), MassState.UNDER_WAY)

    async def create_tag(self, name: str) -> int:
        """Create a tag and return its id. 100 an account; the name must be new (45157)."""
        answer = await self._call("/cgi-bin/tags/create", {"tag": {"name": name}}, proof=("tag",))
        tag = answer.get("tag")
        made = tag.get("id") if isinstance(tag, dict) else None
        if not isinstance(made, int) or isinstance(made, bool):
            raise SendError(Verdict.UNKNOWN, "bad_tag")
        return made

    async def find_tag(self, name: str) -> int | None:
        """The id of the tag with this name, or None; 1,000 calls a day."""
        answer = await self._call("/cgi-bin/tags/get", None, proof=("tags",))
        tags = answer.get("tags")
        if not isinstance(tags, list):
            raise SendError(Verdict.UNKNOWN, "bad_tags")
        found = (each.get("id") for each in tags if isinstance(each, dict) and each.get("name") == name)
        return next((made for made in found if isinstance(made, int) and not isinstance(made, bool)), None)

    async def delete_tag(self, tag: int) -> None:
        """Delete a tag; it is taken off everybody."""
        await self._call("/cgi-bin/tags/delete", {"tag": {"id": tag}})

    async def tagged(self, tag: int) -> Sequence[str]:
        """The openids of everybody who has a tag, page by page."""
        found: dict[str, None] = {}
        following = ""
        for _ in range(_MOST_PAGES):
            body = {"tagid": tag, "next_openid": following}
            answer = await self._call("/cgi-bin/user/tag/get", body, most_bytes=_PAGE_BYTES, proof=("count",))
            page, following = _openids(answer)
            before = len(found)
            found |= dict.fromkeys(page)
            if not following or len(found) == before:
                return list(found)
        raise SendError(Verdict.UNKNOWN, "endless_pages")

    async def tag(self, tag: int, openids: Sequence[str]) -> Sequence[str]:
        """Put a tag on followers, 50 a call; returns who cannot have it: no followers any more, or twenty tags already."""
        return await self._tag_all("/cgi-bin/tags/members/batchtagging", tag, openids)

    async def untag(self, tag: int, openids: Sequence[str]) -> Sequence[str]:
        """Take a tag off, 50 a call; returns who was left out because they are no followers any more."""
        return await self._tag_all("/cgi-bin/tags/members/batchuntagging", tag, openids)

    @property
    def _base(self) -> str:
        return self._credentials.api_base.rstrip("/")

    async def _call(
        self,
        path: str,
        body: Mapping[str, Any] | None,
        *,
        query: Mapping[str, str] | None = None,
        most_bytes: int | None = None,
        proof: Sequence[str] = (),
    ) -> Answer:
        """One call with the current token; again with a newer one where the platform refused that very token, which processed nothing.

        Twice, because the newer token may come from another process and be refused by then as well; the keeper says when it is no use.
        """
        call = Call(path, query or {}, body, proof=proof)
        if most_bytes is not None:
            call = replace(call, most_bytes=most_bytes)
        token = await self._token(self._keeper.current())
        for _ in range(_NEWER_TOKENS):
            try:
                return await self._with(token, call)
            except SendError as error:
                if error.verdict is not Verdict.TOKEN:
                    raise
            token = await self._token(self._keeper.refused(token))
        return await self._with(token, call)

    async def _token(self, asking: Awaitable[str]) -> str:
        """The token that the keeper gives. A call that never had one was not sent, whatever became of the question for it."""
        outcome: str | SendError
        try:
            outcome = await asking
        except SendError as error:
            in_doubt = error.verdict in (Verdict.UNKNOWN, Verdict.BUSY)
            outcome = SendError(Verdict.NOT_SENT, error.code, error.detail) if in_doubt else error
        if isinstance(outcome, SendError):
            raise outcome
        return outcome

    async def _with(self, token: str, call: Call) -> Answer:
        return await exchange(self._http, self._base, replace(call, query={"access_token": token, **call.query}))

    def _sendable(self, text: str) -> str:
        content, _ = clean_text(text)
        if is_blank(content):
            raise SendError(Verdict.BAD_MESSAGE, "empty")
        if len(content.encode()) > self.rules.most_bytes:
            raise SendError(Verdict.BAD_MESSAGE, "too_long")
        return content

    async def _page(self, following: str) -> tuple[list[str], str, int]:
        query = {"next_openid": following} if following else {}
        answer = await self._call("/cgi-bin/user/get", None, query=query, most_bytes=_PAGE_BYTES, proof=("total",))
        openids, following = _openids(answer)
        total = answer.get("total")
        if not isinstance(total, int):
            raise SendError(Verdict.UNKNOWN, "bad_page")
        return openids, following, total

    async def _tag_all(self, path: str, tag: int, openids: Sequence[str]) -> list[str]:
        left_out: list[str] = []
        for start in range(0, len(openids), TAG_BATCH):
            left_out += await self._tag_batch(path, tag, list(openids[start : start + TAG_BATCH]))
        return left_out

    async def _tag_batch(self, path: str, tag: int, openids: list[str]) -> list[str]:
        """One batch; one foreign openid fails all fifty, so then each goes alone (platform reference, section 7)."""
        try:
            await self._call(path, {"openid_list": openids, "tagid": tag})
        except SendError as error:
            if error.code not in CANNOT_TAG:
                raise
        else:
            return []
        if len(openids) == 1:
            return openids
        return [each for openid in openids for each in await self._tag_batch(path, tag, [openid])]


def _openids(answer: Answer) -> tuple[list[str], str]:
    """The openids of a page, and where the next one begins; the last page may still name one."""
    listed = answer.get("data")
    openids = listed.get("openid", []) if isinstance(listed, dict) else []
    following = answer.get("next_openid", "")
    if not isinstance(openids, list) or not all(isinstance(each, str) for each in openids) or not isinstance(following, str):
        raise SendError(Verdict.UNKNOWN, "bad_page")
    return openids, following
