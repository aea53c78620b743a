"""Signing in by WeChat, and binding a login to it: the page with the QR code, which asks again and again whether it was confirmed."""

from app import accounts
from app.assembly import Assembly, make_qr
from app.channels import SendError
from app.console import scans, tries
from app.console.rules import DOOR, SIGNED_IN
from app.console.scans import Waiting
from app.db import Tx
from app.errors import Conflict, NotFound
from app.web.console.routing import HOME, Answer, Go, Route, Shown, Then, Visit
from bots.turns import BROWSER

_PAGE = f"{HOME}/signin/scan"


def picture(address: str) -> str:
    """A QR code as SVG that stands in a page."""
    import segno  # noqa: PLC0415 - few sign-ins need one, and every web process would wait for it at its start

    return str(segno.make(address, error="m").svg_inline(scale=5, border=3, dark="#000", light="#fff", svgclass="qr", lineclass=None))


def ask(tx: Tx, visit: Visit) -> Answer:
    """A new code for this browser, to sign in."""
    return _begin(tx, visit, visit.field("account"), None)


def bind(tx: Tx, visit: Visit) -> Answer:
    """A new code for this browser, to bind the login of whoever is signed in."""
    return _begin(tx, visit, visit.field("account"), visit.who.login_id)


def _begin(tx: Tx, visit: Visit, account: str, login_id: int | None) -> Answer:
    vault = visit.tools.keyring.vault
    if account not in accounts.addresses(tx):
        raise NotFound("account", "There is no such account.")
    if not tries.scan_asked(tx, tries.who(vault, "", visit.address), visit.at):
        return Shown("problem", {"sentence": visit.say("refused.closed"), "back": f"{HOME}/signin"}, 429)
    account_id = accounts.by_name(tx, account)
    begun = scans.begin(tx, vault, account_id, login_id, visit.at)

    async def draw(assembly: Assembly) -> Shown | Go:
        try:
            address = await make_qr(assembly, account_id, BROWSER + begun.code, int(scans.LIFE.total_seconds()))
        except SendError:
            return Shown("problem", {"sentence": visit.say("refused.wechat"), "back": f"{HOME}/signin"}, 503)
        await assembly.database.write(lambda tx: scans.draw(tx, begun.id, address))
        return Go(_PAGE, browser=begun.browser)

    return Then(draw)


def look(tx: Tx, visit: Visit) -> Answer:
    """The page with the code."""
    found = scans.waiting(tx, visit.tools.keyring.vault, visit.browser, visit.at)
    return Go(f"{HOME}/signin") if found is None else _shown(found, "scan")


def go_on(tx: Tx, visit: Visit) -> Answer:
    """Asked every two seconds by htmx, or by a button: in, if it was confirmed in the chat."""
    keyring = visit.tools.keyring
    found = scans.waiting(tx, keyring.vault, visit.browser, visit.at)
    if found is None:
        return Go(f"{HOME}/signin")
    if found.state != "confirmed":
        return _shown(found, "_scan" if visit.partial else "scan")
    if found.login_id is not None and (visit.actor is None or visit.actor.login_id != found.login_id):
        raise NotFound("page", "There is nothing here.")
    token = scans.finish(tx, keyring, found, visit.device, visit.at, visit.now)
    if token is None:
        raise Conflict("staff", "Only staff may sign in.")
    return Go(HOME if found.login_id is None else f"{HOME}/sessions", session=token)


def _shown(found: Waiting, template: str) -> Shown:
    return Shown(template, {"found": found, "qr": picture(found.picture) if found.picture and found.state == "open" else ""})


ROUTES = (
    Route("POST", _PAGE, DOOR, ask, takes=("account",)),
    Route("GET", _PAGE, DOOR, look),
    Route("POST", f"{_PAGE}/go", DOOR, go_on),
    Route("POST", f"{HOME}/sessions/bind", SIGNED_IN, bind, takes=("account",)),
)
