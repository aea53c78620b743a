"""Puts one process together from its settings: database, keys, bots, accounts, channels, postman. Nothing else knows how they fit."""

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import httpx
import structlog

from app import accounts, clock, ids
from app.accounts import Accounts
from app.channels import Channel, LinkMaker, Rules
from app.channels.wechat.client import WeChat
from app.channels.wechat.replies import tap_link
from app.channels.wechat.transport import open_http
from app.db import Database
from app.errors import Invalid
from app.inbox import sign_choice
from app.keyring import Keyring
from app.outbox.postman import Postman
from app.outbox.slots import IN_FLIGHT
from app.questionnaires.pages import AnswerLinks
from app.reading import ReadLinks
from app.sealing import Vault
from app.settings import Settings, is_loopback
from app.situation import Tools
from app.tokens import Keeper
from bots import find
from bots.texts import Texts, load_texts

log = structlog.get_logger()

#: The folder with the system's own words.
WORDS = Path(__file__).parent


@dataclass(frozen=True)
class Assembly:
    """Everything that one process works with."""

    settings: Settings
    database: Database
    tools: Tools
    accounts: Accounts
    reading: ReadLinks
    answering: AnswerLinks
    owner: str

    def links(self) -> "Links":
        """What makes a person's choices tappable."""
        return Links(self.tools.keyring.vault)

    def postman(self, link_for: Callable[[int], LinkMaker] | None = None) -> Postman:
        """The loop that sends, ready to be driven; `link_for` where choices shall not be WeChat's tap links."""
        return Postman(
            self.database,
            self.tools.keyring,
            self.tools.composer,
            self.tools.words,
            self.owner,
            self.settings.lease_seconds,
            link_for=link_for or self.links().for_person,
            read_url=self.reading.url,
        )


@dataclass(frozen=True)
class Links:
    """Makes what a person taps: each choice's id is bound to that person."""

    vault: Vault

    def for_person(self, person_id: int) -> LinkMaker:
        """The link maker of one person."""

        def link(choice: str, shown: str, bubble: str) -> str:
            return tap_link(sign_choice(self.vault, person_id, choice), shown, bubble)

        return link


@cache
def system_words() -> Texts:
    """The words that the system itself says, read once in a process. Raises `TextError`."""
    return load_texts(WORDS)


def assemble(settings: Settings, *, throwaway: bool = False) -> Assembly:
    """Build a process; call `database.start()` before use. `throwaway`: as in `Database`. Raises `TextError` where words do not fit."""
    keyring = Keyring(settings.vault())
    database = Database(settings.database_url, throwaway=throwaway)
    if settings.clock_file is not None:
        os.environ[clock.CLOCK_FILE] = str(settings.clock_file)
    reading, answering = ReadLinks(settings.public_url, keyring.vault), AnswerLinks(settings.public_url, keyring.vault)
    bots = {bot.name: bot for bot in find()}
    tools = Tools(keyring, bots, system_words(), Rules(), settings.tapped_opens_window, answer_url=answering.url)
    owner = f"{socket.gethostname()}.{os.getpid()}.{ids.new_code()}"
    return Assembly(settings, database, tools, Accounts(database, keyring), reading, answering, owner)


async def refuse_moved_clock(assembly: Assembly) -> None:
    """A demo's clock never drives a real account. Raises `Invalid` where one account's API is not on this machine."""
    if assembly.settings.clock_file is None:
        return
    addresses = await assembly.database.read(accounts.addresses)
    real = [name for name, api_base in addresses.items() if not is_loopback(api_base)]
    if real:
        raise Invalid("clock", f"TONGBAN_CLOCK_FILE is for demos, but the account {real[0]!r} is a real one; unset it.")


async def warn_of_open_doors(assembly: Assembly) -> None:
    """Say loudly which accounts take pushes that anybody with one signed address could forge (bad-inputs.md A10)."""
    for account in (await assembly.accounts.all()).values():
        if account.mode != "safe":
            remedy = "set 安全模式 in WeChat's console, then: tongban account change NAME --mode safe"
            log.warning("account_not_in_safe_mode", account=account.account, mode=account.mode, remedy=remedy)


#: Connections beside those for messages: for tokens, and what else is asked.
_BESIDE = 4


class Channels:
    """The channels of a process, one per account, made anew when its credentials change."""

    def __init__(self, assembly: Assembly, open_client: Callable[[int], httpx.AsyncClient] = open_http) -> None:
        """`open_client`: makes the HTTP client of an account, for so many connections."""
        self._assembly = assembly
        self._open_client = open_client
        self._http: dict[int, httpx.AsyncClient] = {}  # each account's own: one that hangs takes no connection from another
        self._made: dict[int, tuple[object, Channel]] = {}

    async def all(self) -> dict[int, Channel]:
        """Every account's channel by the account's id."""
        accounts = await self._assembly.accounts.all()
        for account_id, credentials in accounts.items():
            made = self._made.get(account_id)
            if made is None or made[0] != credentials:
                keeper = Keeper(self._assembly.database, self._assembly.tools.keyring, account_id, self._assembly.owner)
                http = self._http.setdefault(account_id, self._open_client(IN_FLIGHT + _BESIDE))
                channel = WeChat(credentials, keeper, http, self._assembly.tools.rules)
                keeper.channel = channel
                self._made[account_id] = (credentials, channel)
        return {account_id: self._made[account_id][1] for account_id in accounts}

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(http.aclose() for http in self._http.values()))


async def make_qr(assembly: Assembly, account_id: int, code: str, seconds: int | None) -> str:
    """The address that a QR code for `code` holds, made by the platform: for so long, None for ever. Raises `SendError`."""
    return (await make_qrs(assembly, account_id, [code], seconds))[0]


async def make_qrs(assembly: Assembly, account_id: int, codes: Sequence[str], seconds: int | None) -> list[str]:
    """As `make_qr`, for several codes over the same connections. Raises `SendError` where one of them is refused."""
    channels = Channels(assembly)
    try:
        channel = (await channels.all())[account_id]
        assert isinstance(channel, WeChat)  # noqa: S101 - the only channel with QR codes
        links: list[str] = []
        for start in range(0, len(codes), IN_FLIGHT):
            made = await asyncio.gather(*(channel.create_qr_link(code, seconds) for code in codes[start : start + IN_FLIGHT]))
            links += [link for _, link in made]
        return links
    finally:
        await channels.close()
