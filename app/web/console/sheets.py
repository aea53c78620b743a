"""The QR sheet: the QR codes of a course's groups on one page for print, each with the code to type."""

from datetime import timedelta

from app.assembly import Assembly, make_qrs
from app.channels import SendError
from app.channels.wechat.client import LONGEST_QR
from app.console import sheets
from app.console.rules import ANNOUNCES, Of, Rule
from app.db import Tx
from app.web.console.routing import HOME, THING, Answer, Go, Route, Shown, Then, Visit
from app.web.console.scanning import picture

_PAGE = f"{HOME}/sheet"


def every(tx: Tx, visit: Visit) -> Answer:
    """The courses into whose groups one may invite; who has a single one sees that."""
    lines = sheets.courses(tx, visit.who)
    if len(lines) == 1:
        return Go(f"{_PAGE}/{lines[0].id}")
    return Shown("sheets", {"lines": lines})


def one(tx: Tx, visit: Visit) -> Answer:
    """Which groups the sheet will have."""
    lines = sheets.courses(tx, visit.who, visit.thing)
    return Shown("sheet", {"course": lines[0], "codes": None}) if lines else Shown("sheets", {"lines": lines})


def make(tx: Tx, visit: Visit) -> Answer:
    """The sheet. WeChat is asked for each code when the transaction is over; without WeChat the codes to type are shown alone."""
    lines = sheets.courses(tx, visit.who, visit.thing)
    if not lines:
        return Shown("sheets", {"lines": lines})
    course, forever = lines[0], visit.field("forever") == "1"
    codes = sheets.codes(tx, visit.tools.keyring, course, visit.now)
    until = None if forever else visit.now + timedelta(seconds=LONGEST_QR)

    async def draw(assembly: Assembly) -> Shown | Go:
        try:
            made = await make_qrs(assembly, course.account_id, [each.code for each in codes], None if forever else LONGEST_QR)
        except SendError:
            made = []
        pictures = [picture(address) for address in made] or [""] * len(codes)
        shown = list(zip(codes, pictures, strict=True))
        return Shown("sheet", {"course": course, "codes": shown, "until": until, "away": not made})

    return Then(draw)


ROUTES = (
    Route("GET", _PAGE, Rule(ANNOUNCES), every, menu="sheet"),
    Route("GET", f"{_PAGE}/{THING}", Rule(ANNOUNCES, Of.COURSE), one),
    Route("POST", f"{_PAGE}/{THING}", Rule(ANNOUNCES, Of.COURSE), make, takes=("forever",)),
)
