"""`tongban account …`: connects WeChat accounts and shows what an operator copies into WeChat's own console."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from app import accounts, clock, menu, overview
from app.assembly import Assembly, Channels
from app.channels import Credentials
from app.cli import desk
from app.errors import Invalid

_MODES = ("plaintext", "compatible", "safe")

Name = Annotated[str, typer.Argument(help="The account's short name, as in its webhook address.", show_default=False)]


def commands() -> typer.Typer:
    """The group `account`."""
    group = typer.Typer(name="account", help="WeChat accounts: add, show, notice, menu, keys.", no_args_is_help=True)
    named: dict[str, Callable[..., None]] = {
        "add": add,
        "show": show,
        "list": list_accounts,
        "notice": notice,
        "menu": set_menu,
        "rotate-key": rotate_key,
        "change": change,
    }
    for name, command in named.items():
        group.command(name)(command)
    return group


def add(
    name: Name,
    appid: Annotated[str, typer.Option(help="AppID from WeChat's console.", show_default=False)],
    original_id: Annotated[str, typer.Option(help="原始ID, begins with gh_.", show_default=False)],
    *,
    secret: Annotated[str, typer.Option(help="AppSecret; other users of this machine may see it in the list of processes.")] = "",
    secret_stdin: Annotated[bool, typer.Option("--secret-stdin", help="Read the AppSecret from standard input.")] = False,
    api_base: Annotated[str, typer.Option(help="Address of the API.")] = accounts.WECHAT,
    mode: Annotated[str, typer.Option(help="plaintext, compatible or safe, as set in WeChat's console.")] = "safe",
    token: Annotated[str, typer.Option(help="Webhook token; made where none is given.")] = "",
    aes_key: Annotated[str, typer.Option(help="EncodingAESKey; made where none is given.")] = "",
) -> None:
    """Connect a WeChat account.

    An account's secrets rest sealed under TONGBAN_MASTER_KEY; `tongban keys` prints fresh keys for .env.

    Example: tongban account add msc --appid wx0123456789abcdef --original-id gh_0123456789ab --secret-stdin < secret.txt
    """
    known = (typer.get_text_stream("stdin").readline() if secret_stdin else secret).strip()
    _check(name, appid, original_id, known, mode, token, aes_key)
    with desk.at_work() as assembly:
        assembly.database.write_now(
            lambda tx: accounts.add(
                tx,
                assembly.tools.keyring,
                clock.now(),
                name=name,
                appid=appid,
                original_id=original_id,
                secret=known,
                api_base=api_base,
                mode=mode,
                token=token or None,
                aes_key=aes_key or None,
            )
        )
    typer.echo(f"Added. Copy into WeChat's console what this shows: tongban account show {name} --reveal")


def change(
    name: Name,
    *,
    secret_stdin: Annotated[bool, typer.Option("--secret-stdin", help="Read a new AppSecret from standard input.")] = False,
    mode: Annotated[str, typer.Option(help="plaintext, compatible or safe, as set in WeChat's console.")] = "",
    api_base: Annotated[str, typer.Option(help="Address of the API.")] = "",
    new_token: Annotated[
        bool, typer.Option("--new-token", help="Make a new webhook token (令牌) and print it, for WeChat's console.")
    ] = False,
) -> None:
    """Take a new AppSecret, mode, API address or webhook token; running processes notice within seconds.

    Example: tongban account change msc --secret-stdin < secret.txt
    """
    secret = typer.get_text_stream("stdin").readline().strip() if secret_stdin else None
    if secret is not None and not secret:
        raise Invalid("secret", "There was no AppSecret on standard input; pipe a file with it into --secret-stdin.")
    if mode and mode not in _MODES:
        raise Invalid("mode", f"The mode is one of {', '.join(_MODES)}; take the one that WeChat's console shows.")
    if secret is None and not mode and not api_base and not new_token:
        raise Invalid("change", "Say what changes: --secret-stdin, --mode, --api-base or --new-token.")
    token = accounts.new_token() if new_token else None
    with desk.at_work() as assembly:
        assembly.database.write_now(
            lambda tx: accounts.change(
                tx,
                assembly.tools.keyring,
                accounts.by_name(tx, name),
                clock.now(),
                secret=secret,
                mode=mode or None,
                api_base=api_base.rstrip("/") or None,
                token=token,
            )
        )
    if token is not None:
        typer.echo(f"Copy this token into WeChat's console at once; pushes under the former one are refused:\n{token}")
    typer.echo("Changed. See whether all is well: tongban check")


def show(
    name: Name,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One flat JSON object with every secret in it.")] = False,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show the secrets.")] = False,
) -> None:
    """Show what belongs into WeChat's console: webhook address, token, EncodingAESKey.

    Example: tongban account show msc --json
    """
    with desk.at_work() as assembly:
        facts = card(assembly, _credentials(assembly, name)[1])
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False))
        return
    for key, value in facts.items():
        masked = key in ("token", "aes_key", "secret") and not reveal
        typer.echo(f"{key:12} {'••••••  (--reveal shows it)' if masked else value}")


def card(assembly: Assembly, known: Credentials) -> dict[str, str]:
    """What an operator copies into WeChat's console, and what the sandbox wants to know."""
    return {
        "webhook_url": f"{assembly.settings.public_url}/hooks/wechat/{known.account}",
        "token": known.token,
        "aes_key": known.aes_key,
        "appid": known.appid,
        "secret": known.secret,
        "original_id": known.original_id,
        "api_base": known.api_base,
    }


def list_accounts() -> None:
    """List the accounts.

    Example: tongban account list
    """
    with desk.at_work() as assembly:
        lines = assembly.database.read_now(overview.accounts)
    desk.table(("name", "appid", "mode", "notices", "API"), [(a.name, a.appid, a.mode, a.notice_id or "none", a.api_base) for a in lines])


def notice(
    name: Name,
    *,
    template: Annotated[str, typer.Option("--id", help="Id of the approved template (模板消息).", show_default=False)],
    kind: Annotated[str, typer.Option(help="The template's field for what it is about.")] = "thing1",
    sender: Annotated[str, typer.Option(help="The template's field for who sent it.")] = "thing2",
    time: Annotated[str, typer.Option(help="The template's field for when.")] = "time3",
) -> None:
    """Name the approved template by which people outside the 48 hours are told that a text waits for them.

    Example: tongban account notice msc --id 8mXk… --kind thing1 --sender name2 --time time3
    """
    fields = {"kind": kind, "sender": sender, "time": time}
    if len(set(fields.values())) < len(fields) or not all(re.fullmatch(r"[a-z_]+\d{1,3}", field) for field in fields.values()):
        raise Invalid("fields", "Each gap needs a field of its own, named as in the template: thing1, name2, time3 and so on.")
    with desk.at_work() as assembly:
        account_id, _ = _credentials(assembly, name)
        assembly.database.write_now(lambda tx: accounts.set_notice(tx, account_id, template, fields))
    typer.echo("Notices are on: running processes follow within a few seconds.")


def set_menu(
    name: Name,
    *,
    file: Annotated[Path | None, typer.Option(help='JSON file as WeChat takes it, {"button": […]}, instead of the default.')] = None,
    push: Annotated[bool, typer.Option("--push", help="Send it to WeChat.")] = False,
) -> None:
    """Show the account's menu, and with --push send it to WeChat.

    Example: tongban account menu msc --push
    """
    chosen = menu.DEFAULT if file is None else _read_menu(file)
    with desk.at_work() as assembly:
        account_id, _ = _credentials(assembly, name)
        typer.echo(json.dumps(chosen, ensure_ascii=False, indent=2))
        if push:
            asyncio.run(push_menu(assembly, account_id, chosen))
            typer.echo("WeChat took it; phones show it within a few minutes, or after following anew.")
        else:
            typer.echo(f"Not sent. To send it: tongban account menu {name} --push", err=True)


async def push_menu(assembly: Assembly, account_id: int, chosen: Any) -> None:
    """Send a menu to the platform. Raises `SendError`."""
    channels = Channels(assembly)
    try:
        await (await channels.all())[account_id].set_menu(chosen)
    finally:
        await channels.close()


def rotate_key(name: Name) -> None:
    """Make a new EncodingAESKey; pushes under the former one are taken for another day.

    Example: tongban account rotate-key msc
    """
    fresh = accounts.new_aes_key()
    with desk.at_work() as assembly:
        account_id, _ = _credentials(assembly, name)
        assembly.database.write_now(lambda tx: accounts.rotate_aes_key(tx, assembly.tools.keyring, account_id, fresh, clock.now()))
    typer.echo(f"Copy this EncodingAESKey into WeChat's console within {accounts.ROTATION.total_seconds() / 3600:.0f} hours:\n{fresh}")


def _credentials(assembly: Assembly, name: str) -> tuple[int, Credentials]:
    keyring = assembly.tools.keyring
    account_id = assembly.database.read_now(lambda tx: accounts.by_name(tx, name))
    return account_id, assembly.database.read_now(lambda tx: accounts.credentials(tx, keyring, account_id))


def _check(name: str, appid: str, original_id: str, secret: str, mode: str, token: str, aes_key: str) -> None:
    """Raise `Invalid` for what cannot work; WeChat's own shapes are in platform reference 1."""
    wrong = {
        "The name holds 1 to 32 small letters, digits and dashes, because it stands in an address": not re.fullmatch(
            r"[a-z0-9-]{1,32}", name
        ),
        "--appid and --original-id are letters, digits, - and _ as WeChat's console shows them": not (
            re.fullmatch(r"[A-Za-z0-9_-]{1,64}", appid) and re.fullmatch(r"[A-Za-z0-9_-]{1,64}", original_id)
        ),
        "The AppSecret is missing: give --secret, or --secret-stdin and the secret on standard input": not secret,
        f"--mode is one of {', '.join(_MODES)}": mode not in _MODES,
        "--token holds 3 to 32 letters and digits": bool(token) and not re.fullmatch(r"[A-Za-z0-9]{3,32}", token),
        "--aes-key holds 43 letters and digits": bool(aes_key) and not re.fullmatch(r"[A-Za-z0-9]{43}", aes_key),
    }
    for sentence, is_wrong in wrong.items():
        if is_wrong:
            raise Invalid("account", f"{sentence}.")


def _read_menu(file: Path) -> Any:
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise Invalid("menu", f"{file} is not a readable JSON file; leave --file out for the default menu.") from None
    if not isinstance(read, dict) or not isinstance(read.get("button"), list):
        raise Invalid("menu", f'{file} holds no menu; it looks like {{"button": [{{"type": "click", "name": "…", "key": "…"}}]}}.')
    return read
