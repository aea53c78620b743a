"""`tongban demo`: the service and the sandbox in one process, with a course that lives; its phones are on the sandbox's page."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import httpx
import typer
from pydantic import BaseModel

from app import clock, lived, logs, menu, overview
from app import demo as fiction
from app.assembly import Assembly, make_qr
from app.channels import Credentials
from app.cli import desk, keys, listening, migrating
from app.cli.accounts import card, push_menu
from app.cli.staff import address
from app.cli.stopping import stop_signal
from app.demo import PAUSED, UNFOLLOWED, Addresses, Somebody
from app.errors import Invalid
from app.main import create_app
from app.sandbox import Sandbox
from app.sandbox import create as create_sandbox
from bots.turns import Role

_AT_ONCE = 12
_FIRST_WORDS = "好"
_DOORS = {
    Role.LEADER: "组长 / leader",
    Role.ASSISTANT: "助教 / assistant",
    Role.MENTOR: "导师 / mentor",
    Role.ADMINISTRATOR: "管理员 / admin",
    Role.RESEARCHER: "研究助理 / researcher",
}


def demo(
    *,
    port: Annotated[int, typer.Option(help="Port of the service.", min=1, max=65535)] = 8000,
    sandbox_port: Annotated[int, typer.Option(help="Port of the sandbox with the phones.", min=1, max=65535)] = 8001,
    data: Annotated[Path, typer.Option(help="Folder for everything that the demo keeps.", file_okay=False)] = Path("var"),
    week: Annotated[
        int | None,
        typer.Option(
            help="Begin in this week of the eight-week course, with all that people did before it. For a demo that is new.",
            min=1,
            max=lived.LAST_WEEK,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Start the whole thing on this machine: the service, an imitation of WeChat, and a course with sixty made-up people.

    Example: tongban demo --port 8000 --sandbox-port 8001 --data var/
    """
    at = Addresses(data, port, sandbox_port)
    with contextlib.ExitStack() as open_ones:
        listener = open_ones.enter_context(listening.listen("127.0.0.1", port, "--port"))
        other = open_ones.enter_context(listening.listen("127.0.0.1", sandbox_port, "--sandbox-port"))
        _start(at, (listener, other), week)


def _start(at: Addresses, listeners: Sequence[socket.socket], week: int | None) -> None:
    typer.echo("正在准备 / Getting ready …")
    settings = fiction.settings(at, keys.new_key)
    logs.set_up(settings.log_level)
    migrating.upgrade(settings.database_url)
    assembly = desk.put_together(settings)
    keyring = assembly.tools.keyring
    account_id = assembly.database.write_now(lambda tx: fiction.seed(tx, keyring, at, clock.now()))
    if week is not None:
        give_past(assembly, at, account_id, listeners, week)
    asyncio.run(_run(assembly, at, account_id, listeners))


def give_past(assembly: Assembly, at: Addresses, account_id: int, listeners: Sequence[socket.socket], week: int) -> None:
    """Give the demo its past. Raises `Invalid` where it has one."""
    if assembly.database.read_now(lived.has_begun):
        raise Invalid("week", f"The demo in {at.folder} has begun already; leave out --week, or begin anew with another --data.")
    asyncio.run(_prepare(desk.put_together(assembly.settings), at, account_id, [each.dup() for each in listeners]))
    with logs.only("ERROR"), typer.progressbar(length=1_000, label=f"第 {week} 周 / week {week}", show_pos=False) as bar:
        asyncio.run(lived.live_until(assembly, at, week, lambda part: bar.update(int(part * 1_000) - bar.pos)))
        bar.update(1_000 - bar.pos)


async def _prepare(assembly: Assembly, at: Addresses, account_id: int, listeners: Sequence[socket.socket]) -> None:
    """What a first start does, so that account and people are there before anything is played."""
    imitation = create_sandbox(at.folder / "sandbox")
    sandbox, service = listening.configure(imitation, "WARNING"), listening.configure(create_app(assembly, worker=True), "WARNING")
    async with listening.serving(sandbox, listeners[1]), listening.serving(service, listeners[0]):
        await _Preparation(assembly, at, account_id).run()


async def _run(assembly: Assembly, at: Addresses, account_id: int, listeners: Sequence[socket.socket]) -> None:
    imitation = create_sandbox(at.folder / "sandbox")
    _take_alerts(imitation)
    stopped = stop_signal()
    sandbox, service = listening.configure(imitation, "WARNING"), listening.configure(create_app(assembly, worker=True), "WARNING")
    async with listening.serving(sandbox, listeners[1]), listening.serving(service, listeners[0]):
        preparing = asyncio.create_task(_Preparation(assembly, at, account_id).run())
        waiting = asyncio.create_task(stopped.wait())
        await asyncio.wait({preparing, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if preparing.done():
            typer.echo(preparing.result())
            await waiting
        for task in (preparing, waiting):
            task.cancel()
        await asyncio.gather(preparing, waiting, return_exceptions=True)
    typer.echo("已停止。数据都在，下次接着来。 / Stopped; everything is kept for the next start.")


class _Alert(BaseModel):
    text: str


def _take_alerts(imitation: Sandbox) -> None:
    """Alerts that leave WeChat end here, in the terminal of whoever runs the demo."""
    taken: list[str] = []

    @imitation.post("/sandbox/alerts")
    async def take(alert: _Alert) -> dict[str, int]:
        taken.append(alert.text)
        del taken[:-100]
        typer.echo(f"\n☎ 值班提醒 / on-call alert\n{alert.text}\n")
        return {"taken": len(taken)}

    @imitation.get("/sandbox/alerts")
    async def listed() -> list[str]:
        return taken


class _Preparation:
    """Makes the sandbox know what the database knows, then lets people talk. Every step may have been done before."""

    def __init__(self, assembly: Assembly, at: Addresses, account_id: int) -> None:
        self._assembly = assembly
        self._at = at
        self._account_id = account_id

    async def run(self) -> str:
        """Prepare; returns what to tell whoever started the demo. Raises `Invalid` where a step fails."""
        async with httpx.AsyncClient(base_url=self._at.sandbox, timeout=30, trust_env=False) as http:
            try:
                return await self._prepare(http)
            except httpx.HTTPError as failed:
                raise Invalid(
                    "demo", f"The sandbox did not take a step ({type(failed).__name__}); start again with another --data."
                ) from None

    async def _prepare(self, http: httpx.AsyncClient) -> str:
        keyring, database = self._assembly.tools.keyring, self._assembly.database
        known = (await self._assembly.accounts.all())[self._account_id]
        await self._introduce(http, known)
        codes = await database.write(lambda tx: fiction.codes(tx, keyring, clock.now()))
        await self._make_codes(http, known, codes)
        await push_menu(self._assembly, self._account_id, menu.DEFAULT)
        seeded = await database.read(lambda tx: fiction.everybody(tx, keyring, self._account_id))
        await self._make_people(http, known, seeded)
        if not await database.read(lambda tx: overview.pushes(tx, self._account_id)):
            await self._let_talk(http, seeded)
        doors = await database.write(lambda tx: fiction.doors(tx, keyring, clock.now()))
        return welcome(self._at, seeded, codes, doors)

    async def _introduce(self, http: httpx.AsyncClient, known: Credentials) -> None:
        account = card(self._assembly, known) | {"name": fiction.TITLE, "mode": known.mode}
        shown = _taken(await http.put("/sandbox/accounts", json=account)).json()
        if known.notice_id not in {template["id"] for template in shown["templates"]}:
            template = {"title": fiction.TEMPLATE_TITLE, "fields": fiction.TEMPLATE_LABELS, "id": known.notice_id}
            _taken(await http.post(f"/sandbox/accounts/{known.appid}/templates", json=template))

    async def _make_codes(self, http: httpx.AsyncClient, known: Credentials, codes: dict[str, str]) -> None:
        there = {each["scene"] for each in _taken(await http.get("/sandbox/qrcodes", params={"appid": known.appid})).json()}
        for code in codes.values():
            if code not in there:
                await make_qr(self._assembly, self._account_id, code, None)

    async def _make_people(self, http: httpx.AsyncClient, known: Credentials, seeded: list[Somebody]) -> None:
        there = {each["openid"] for each in _taken(await http.get("/sandbox/people", params={"appid": known.appid})).json()}
        missing = [{"name": each.name, "openid": each.openid, "following": True} for each in seeded if each.openid not in there]
        newcomers = [{"name": name} for name in ("新朋友甲", "新朋友乙")] if not there else []
        if missing or newcomers:
            _taken(await http.post("/sandbox/people/batch", json={"appid": known.appid, "people": missing + newcomers}))

    async def _let_talk(self, http: httpx.AsyncClient, seeded: list[Somebody]) -> None:
        """Most write a word, one leaves, one asks for a pause: what the reach ladder looks like on an ordinary day."""
        gate = asyncio.Semaphore(_AT_ONCE)
        by_name = {each.name: each.openid for each in seeded}

        async def act(openid: str, deed: str, body: dict[str, str]) -> None:
            async with gate:
                _taken(await http.post(f"/sandbox/people/{openid}/{deed}", json=body))

        acts = [act(each.openid, "say", {"text": _FIRST_WORDS}) for each in fiction.talkers(seeded)]
        acts += [act(by_name[PAUSED], "say", {"text": "停"})] if PAUSED in by_name else []
        acts += [act(by_name[UNFOLLOWED], "unfollow", {})] if UNFOLLOWED in by_name else []
        await asyncio.gather(*acts)


def _taken(answer: httpx.Response) -> httpx.Response:
    """The answer of a step that worked. Raises `Invalid` for every other."""
    if answer.status_code >= 300:
        raise Invalid("demo", f"The sandbox answered {answer.status_code} to {answer.request.url.path}; start again with another --data.")
    return answer


def welcome(at: Addresses, seeded: list[Somebody], codes: dict[str, str], doors: Mapping[Role, tuple[str, str]]) -> str:
    """Where everything is, who is who, and what to try first, in both languages."""
    of = {role: "、".join(each.name for each in seeded if each.role is role) for role in Role}
    leader = next((each.name for each in seeded if each.role is Role.LEADER), "")
    members = [each.name for each in seeded if each.role is Role.PARTICIPANT][:2]
    me = sys.argv[0] if Path(sys.argv[0]).name == "tongban" else "tongban"
    phones = f"{at.sandbox}/phones?names={','.join(map(quote, [leader, *members, '新朋友甲']))}"
    ways = "\n".join(f"    {_DOORS[role]} {name}  {address(at.service, token)}" for role, (name, token) in doors.items())
    return f"""
  手机 / phones        {phones}
  服务 / service       {at.service}
  工作台 / console     {at.service}/console
    扫码登录：在手机页面里打开「{leader}」，扫工作台上的码。 / Sign in by a scan: on {leader}'s phone, scan the console's QR code.
    或者用一次性链接设密码（30 分钟内）： / Or set a password by a link that works once, for half an hour:
{ways}
  小组码 / group codes {"   ".join(f"{name} {code}" for name, code in codes.items())}

  组长 / leaders       {of[Role.LEADER]}
  助教 / assistants    {of[Role.ASSISTANT]}
  导师 / mentor        {of[Role.MENTOR]}
  管理员 / admin       {of[Role.ADMINISTRATOR]}
  （组员各 {fiction.SEATED} 人；{UNFOLLOWED}取消了关注，{PAUSED}请我们暂停。）

  先试试 / what to try first
  1. 打开上面的手机页面，在「{leader}」的手机里写「公告」，跟着走一遍，看谁立刻收到、谁收到通知。
     Open the phones page; on {leader}'s phone write “公告” and follow the bot; see who gets it at once and who by a notice.
  2. 在「新朋友甲」的手机上扫 {next(iter(codes))} 的码（或把小组码发给账号），走完入组，再发一次公告。
     On 新朋友甲's phone scan the code of {next(iter(codes))} (or send the group code), join, and announce once more.
  3. 把时钟往前拨三天：窗口关了，公告改走通知。 / Move the clock three days ahead: windows close, notices go instead.
  4. 在另一个终端 / in another terminal:
     {me} --settings {at.settings_file} announce --group chenguang "今晚八点见"
     {me} --settings {at.settings_file} progress
  5. 发一轮问卷，然后在任何人的手机里点「开始」。 / Send a round of questionnaires, then tap 开始 on anybody's phone:
     {me} --settings {at.settings_file} wave add {fiction.COURSE} baseline --opens "in 1 minute" --closes "in 5 days 20:00"

  Ctrl-C 停止 / stops it.
"""
