"""Assignment: who has no group yet, a balanced proposal of groups, changes by hand, and making it true; then the personal QR codes."""

import asyncio
import io
from collections.abc import Callable
from datetime import timedelta

from app import ids
from app.assembly import Assembly, make_qrs
from app.channels import SendError
from app.channels.wechat.client import LONGEST_QR
from app.console import placing
from app.console.placing import NAMED, PlacingPage
from app.console.rules import RUNS, Of, Rule
from app.db import Tx
from app.errors import Invalid
from app.ids import id_of
from app.placing import applying, codes, proposals
from app.placing.codes import Personal
from app.placing.proposals import FEWEST, MOST, MOST_GROUPS, Asked, Basis, Cannot, Stale
from app.placing.wishes import LONGEST, NoWish
from app.web.console.routing import HOME, THING, Answer, Attached, Go, Route, Shown, Then, Visit
from app.web.console.scanning import picture

_PAGE = f"{HOME}/assign"
_CHOSEN, _WRITTEN = ("how", "use"), ("number", "together", "apart")
_ASKED = ("how", "number", "use", "together", "apart")
#: Wishes of 4,000 characters take nine bytes each in a form, and there are two fields of them.
_MOST_BYTES = 128 * 1024


def every(tx: Tx, visit: Visit) -> Answer:
    """The courses that one runs; who has a single one sees that."""
    found = placing.courses(tx, visit.who)
    return Go(f"{_PAGE}/{found[0][0]}") if len(found) == 1 else Shown("placings", {"courses": found})


def one(tx: Tx, visit: Visit) -> Answer:
    """A course's assignment."""
    return _shown(tx, visit)


def _look(tx: Tx, visit: Visit) -> PlacingPage:
    return placing.page(tx, visit.tools.keyring, visit.tools.shelf, visit.thing, visit.now)


def _shown(tx: Tx, visit: Visit, problem: str = "", status: int = 200, **told: object) -> Shown:
    page = _look(tx, visit)
    asked = Asked(*(visit.field(name) for name in _ASKED))
    fields = {name: visit.field(name) for name in ("number", "place", "other", "group")}
    gaps = {"page": page, "asked": asked, "fields": fields, "problem": problem, "told": told, "seen": visit.field("version")}
    limits = {"fewest": FEWEST, "most": MOST, "most_groups": MOST_GROUPS, "longest": LONGEST, "named": NAMED}
    return Shown("placing", {**gaps, **limits}, status)


def _refused(tx: Tx, visit: Visit, refused: Invalid | Stale) -> Shown:
    word = refused.word if isinstance(refused, NoWish) else ""
    numbers = refused.numbers if isinstance(refused, Cannot) else ()
    return _shown(tx, visit, refused.code, refused.status, word=word, numbers=numbers)


# A proposal ---------------------------------------------------------------------------------------------------------------------------


def propose(tx: Tx, visit: Visit) -> Answer:
    """Make a proposal, in place of the draft that was seen."""
    asked, new_name = Asked(*(visit.field(name) for name in _ASKED)), str(visit.say("placing.new_group", number="{number}"))
    try:
        basis = proposals.gather(tx, visit.tools.keyring, visit.tools.shelf, visit.thing, asked, new_name, visit.now)
    except Invalid as refused:
        return _refused(tx, visit, refused)
    return _computed(visit, basis)


def again(tx: Tx, visit: Visit) -> Answer:
    """The same once more, from another seed and with whoever waits now."""
    try:
        draft = proposals.held(tx, visit.thing, _version(visit))
        basis = proposals.gather_again(tx, visit.tools.keyring, visit.tools.shelf, draft, visit.now)
    except (Invalid, Stale) as refused:
        return _refused(tx, visit, refused)
    return _computed(visit, basis)


def _computed(visit: Visit, basis: Basis) -> Answer:
    """It takes a second, so it is done when the transaction is over; what it makes is kept where nobody was faster."""

    async def compute(assembly: Assembly) -> Shown | Go:
        seed = ids.new_seed()
        try:
            places = await asyncio.to_thread(proposals.balance, basis, seed)
        except Cannot as cannot:
            sentence = cannot
            return await assembly.database.read(lambda tx: _refused(tx, visit, sentence))

        def keep(tx: Tx) -> Shown | Go:
            try:
                proposals.keep(tx, basis, places, seed, visit.who.person_id, _version(visit), visit.now)
            except Stale as stale:
                return _refused(tx, visit, stale)
            return _back(visit)

        return await assembly.database.write(keep)

    return Then(compute)


def move(tx: Tx, visit: Visit) -> Answer:
    """Put one person into another group of the draft."""
    key, place = placing.key_of(_look(tx, visit), visit.field("number")), visit.field("place")
    chosen = int(place) if place.isascii() and place.isdigit() and len(place) < 4 else -1
    return _changed(tx, visit, lambda: proposals.move(tx, visit.thing, _version(visit), key, chosen, visit.who.person_id, visit.now))


def swap(tx: Tx, visit: Visit) -> Answer:
    """Let two people of the draft change places."""
    page = _look(tx, visit)
    key, other = (placing.key_of(page, visit.field(name)) for name in ("number", "other"))
    return _changed(tx, visit, lambda: proposals.swap(tx, visit.thing, _version(visit), key, other, visit.who.person_id, visit.now))


def drop(tx: Tx, visit: Visit) -> Answer:
    """Throw the draft away."""
    return _changed(tx, visit, lambda: proposals.drop(tx, visit.thing, _version(visit), visit.who.person_id, visit.now))


def apply(tx: Tx, visit: Visit) -> Answer:
    """Make the draft true, all at once."""
    keyring = visit.tools.keyring
    return _changed(tx, visit, lambda: applying.apply(tx, keyring, visit.thing, _version(visit), visit.who.person_id, visit.now))


def _changed(tx: Tx, visit: Visit, change: Callable[[], object]) -> Answer:
    try:
        change()
    except (Invalid, Stale) as refused:
        return _refused(tx, visit, refused)
    return _back(visit)


def _back(visit: Visit) -> Go:
    return Go(f"{_PAGE}/{visit.thing}")


def _version(visit: Visit) -> int:
    return id_of(visit.field("version"))


# Personal codes -----------------------------------------------------------------------------------------------------------------------


def sheet(tx: Tx, visit: Visit) -> Answer:
    """A sheet for print: each one's QR code. WeChat is asked when the transaction is over; without it the codes to type stand alone."""
    found, until = _taken(tx, visit), visit.now + timedelta(seconds=LONGEST_QR)
    if not found:
        return _shown(tx, visit, "no_codes", 409)
    account, title = _account(tx, visit)

    async def draw(assembly: Assembly) -> Shown:
        links = await _links(assembly, account, found)
        pictures = [(each, picture(link) if link else "") for each, link in zip(found, links, strict=True)]
        gaps = {"course": visit.thing, "title": title, "codes": pictures, "until": until, "away": not any(links)}
        return Shown("placing_codes", gaps)

    return Then(draw)


def file(tx: Tx, visit: Visit) -> Answer:
    """The same as a file: CSV or Excel."""
    found, excel = _taken(tx, visit), visit.field("kind") == "xlsx"
    if not found:
        return _shown(tx, visit, "no_codes", 409)
    account, _ = _account(tx, visit)

    async def write(assembly: Assembly) -> Attached:
        lines = codes.rows(found, await _links(assembly, account, found))
        content = await asyncio.to_thread(codes.as_xlsx if excel else codes.as_csv, lines)
        name = f"personal-qr-{visit.now:%Y%m%d}.{'xlsx' if excel else 'csv'}"
        kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" if excel else "text/csv; charset=utf-8"
        return Attached(name, io.BytesIO(content), kind)

    return Then(write)


def _taken(tx: Tx, visit: Visit) -> list[Personal]:
    return codes.take(tx, visit.tools.keyring, visit.thing, id_of(visit.field("group")) or None, visit.now, actor=visit.who.word)


def _account(tx: Tx, visit: Visit) -> tuple[int, str]:
    return codes.account_of(tx, visit.thing)


async def _links(assembly: Assembly, account: int, found: list[Personal]) -> list[str]:
    try:
        return await make_qrs(assembly, account, [each.code for each in found], LONGEST_QR)
    except SendError:
        return [""] * len(found)


_ITS = Rule(RUNS, Of.COURSE)
ROUTES = (
    Route("GET", _PAGE, Rule(RUNS), every),
    Route("GET", f"{_PAGE}/{THING}", _ITS, one),
    Route("POST", f"{_PAGE}/{THING}/propose", _ITS, propose, takes=(*_CHOSEN, "version"), typed=_WRITTEN, most_bytes=_MOST_BYTES),
    Route("POST", f"{_PAGE}/{THING}/again", _ITS, again, takes=("version",)),
    Route("POST", f"{_PAGE}/{THING}/move", _ITS, move, takes=("place", "version"), typed=("number",)),
    Route("POST", f"{_PAGE}/{THING}/swap", _ITS, swap, takes=("version",), typed=("number", "other")),
    Route("POST", f"{_PAGE}/{THING}/drop", _ITS, drop, takes=("version",)),
    Route("POST", f"{_PAGE}/{THING}/apply", _ITS, apply, takes=("version",)),
    Route("POST", f"{_PAGE}/{THING}/codes", _ITS, sheet, takes=("group",)),
    Route("POST", f"{_PAGE}/{THING}/file", _ITS, file, takes=("group", "kind")),
)
