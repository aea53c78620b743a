"""`tongban chat`: one conversation with the bots on the keyboard, through the same inbox as a push from WeChat."""

import asyncio
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from app import accounts, clock, demo, inbox, overview, people
from app.assembly import Assembly, assemble
from app.channels import LinkMaker, Push
from app.channels.terminal import Keyboard, Terminal
from app.channels.wechat.replies import split_text
from app.cli import desk
from app.cli.keys import new_key
from app.errors import AppError, Invalid
from app.inbox import Incoming, sign_choice
from app.worker import Worker
from migrations import running

_HELP = "Write as in the chat; a number takes a choice. /follow, /scan CODE, /press KEY, /send image, /leave, /as NAME (demo), /quit"
_ME = "terminal_keyboard"


def chat(
    *,
    account: Annotated[str, typer.Option(help="The account to talk to; without --demo.")] = "",
    with_demo: Annotated[bool, typer.Option("--demo", help="Talk to a throwaway copy of the demo course; nothing is kept.")] = False,
) -> None:
    """Talk to the bots on the keyboard.

    Without --demo this is real: the configured database remembers it, and a cry for help alerts the on-call people.

    Example: tongban chat --demo
    """
    if with_demo:
        with tempfile.TemporaryDirectory(prefix="tongban-chat-") as folder:
            _chat_in_demo(Path(folder))
        return
    with desk.at_work() as assembly:
        if not account:
            known = [each.name for each in assembly.database.read_now(overview.accounts)]
            raise Invalid("account", f"Name the account with --account ({', '.join(known) or 'none yet'}), or try it with --demo.")
        account_id = assembly.database.read_now(lambda tx: accounts.by_name(tx, account))
        typer.echo("This is real: what you write is stored, and words of danger alert the on-call people.")
        _Talk(assembly, account_id).run()


def _chat_in_demo(folder: Path) -> None:
    at = demo.Addresses(folder, 8000, 8001)
    settings = demo.settings(at, new_key)
    running.upgrade(settings.database_url)
    assembly = assemble(settings)
    with assembly.database as database:
        keyring = assembly.tools.keyring
        account_id = database.write_now(lambda tx: demo.seed(tx, keyring, at, clock.now()))
        codes = database.write_now(lambda tx: demo.codes(tx, keyring, clock.now()))
        typer.echo("\n".join(f"{name}: {code}" for name, code in codes.items()))
        typer.echo(f"Join with /scan {next(iter(codes.values()))}, or be a leader with /as 李老师.")
        _Talk(assembly, account_id, alone=True).run()


@dataclass
class _Talk:
    """One conversation. `alone`: the database is ours, so we also send what is due, onto the screen."""

    assembly: Assembly
    account_id: int
    alone: bool = False
    keyboard: Keyboard = field(default_factory=lambda: Keyboard(_ME))
    _mine: int = 0
    _others: Counter[str] = field(default_factory=Counter)

    def run(self) -> None:
        """Talk until /quit or the end of the input."""
        typer.echo(_HELP)
        for line in typer.get_text_stream("stdin"):
            words = line.strip()
            if words == "/quit":
                return
            if words:
                self._say(words)

    def _say(self, words: str) -> None:
        try:
            if words.startswith("/as "):
                self._become(words.removeprefix("/as ").strip())
                return
            asyncio.run(self._exchange(words))
        except AppError as refused:
            typer.echo(refused.sentence, err=True)

    async def _exchange(self, words: str) -> None:
        push = self.keyboard.push(words, clock.now())
        self.keyboard.choices.clear()
        taken = await self.assembly.database.write(lambda tx: inbox.take(tx, self.assembly.tools, self._incoming(push)))
        typer.echo((taken.reply or b"").decode() or "(no answer)")
        if self.alone:
            await self._send_due()

    def _incoming(self, push: Push) -> Incoming:
        return Incoming(self.account_id, push, str.encode, split_text, self._my_links)

    def _my_links(self, person_id: int) -> LinkMaker:
        """Numbers for whoever sits at the keyboard."""
        self._mine, vault = person_id, self.assembly.tools.keyring.vault
        return lambda choice, shown, bubble: self.keyboard.choices.link(sign_choice(vault, person_id, choice), shown, bubble)

    def _links_for(self, person_id: int) -> LinkMaker:
        return self._my_links(person_id) if person_id == self._mine else lambda _choice, shown, _bubble: shown

    async def _send_due(self) -> None:
        """What a worker would do now, with the screen as channel."""
        tools, now = self.assembly.tools, clock.now()
        postman = self.assembly.postman(self._links_for)
        await Worker(self.assembly).fire_due(now)
        while await postman.send_due(self.account_id, Terminal(self._show, tools.rules), now):
            pass
        for text, count in self._others.items():
            typer.echo(f"  → {count} others: {text}")
        self._others.clear()

    def _show(self, openid: str, text: str) -> None:
        if openid == self.keyboard.openid:
            typer.echo(f"\n{text}")
        else:
            self._others[text.split("http://", maxsplit=1)[0].replace("\n", " ")[:80]] += 1

    def _become(self, name: str) -> None:
        if not self.alone:
            raise Invalid("as", "Only in the demo you can be somebody else; start with --demo.")
        keyring = self.assembly.tools.keyring
        found = self.assembly.database.read_now(lambda tx: overview.person(tx, keyring, name))
        openids = self.assembly.database.read_now(lambda tx: people.openids(tx, keyring, self.account_id, [found.id]))
        self.keyboard = Keyboard(openids[found.id])
        typer.echo(f"You are {found.name} now: {', '.join(found.places)}.")
