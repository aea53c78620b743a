"""Announcements: how far they went, planning one, taking one's own back."""

from typing import Annotated, Any

from pydantic import Field

from app.db import Tx
from app.integrations import announcing
from app.integrations.announcing import Wanted
from app.integrations.rules import Of, Rule, Scope
from app.integrations.shapes import AnnouncementLine, AnnouncementPage, Cancelled, Planned
from app.web.api.routing import HOME, THING, Body, Call, Route

#: Groups of one request.
_MOST_GROUPS = 50
_GroupId = Annotated[str, Field(pattern="^[1-9][0-9]{0,17}$")]


class Plan(Body):
    """What is said to whom, and when."""

    text: Annotated[
        str, Field(max_length=4_000, description="the words as text, at most 1,500 bytes of UTF-8", examples=["今晚八点第三课。"])
    ]
    groups: Annotated[
        list[_GroupId],
        Field(
            min_length=1,
            max_length=_MOST_GROUPS,
            description=f"a list of 1 to {_MOST_GROUPS} ids of groups of the course, as text, each once",
            examples=[["117291871240192"]],
        ),
    ]
    at: Annotated[
        str,
        Field(
            max_length=40,
            description='a moment with its offset, such as "2026-11-24T20:00:00+08:00", or "now"',
            examples=["2026-11-24T20:00:00+08:00"],
        ),
    ]
    again: Annotated[
        bool, Field(description="true where the same words shall go once more to a group that got them within ten minutes, else false")
    ] = False


def of_course(tx: Tx, call: Call) -> Any:
    """The announcements of a course, whoever wrote them, and how far each went. Only your own come with their words."""
    return announcing.listed(tx, call.tools.keyring, call.caller, call.course, call.page)


def one(tx: Tx, call: Call) -> Any:
    """How far one announcement went: every recipient in exactly one state, with the reason and WeChat's own code."""
    return announcing.one(tx, call.tools.keyring, call.caller, call.thing)


def plan(tx: Tx, call: Call) -> Any:
    """Announce to groups of a course, at once or later, as its team: all of them or none. The answer says how many it would reach how.

    Quiet hours, a course's silence and the daily cap hold here as for staff. If the token is revoked before its time, it does not go out.
    """
    asked = call.body
    wanted = Wanted(asked.text.replace("\r\n", "\n"), [int(each) for each in dict.fromkeys(asked.groups)], asked.at, asked.again)
    return announcing.plan(tx, call.tools, call.caller, call.course, wanted, call.now)


def cancel(tx: Tx, call: Call) -> Any:
    """Take back what has not left of an announcement that this integration has planned. What has left stays sent."""
    return announcing.cancel(tx, call.caller, call.thing, call.now)


_COURSE = f"{HOME}/courses/{THING}/announcements"
_ONE = f"{HOME}/announcements/{THING}"
ROUTES = (
    Route("GET", _COURSE, Rule(Scope.ANNOUNCEMENTS_READ, Of.COURSE), of_course, AnnouncementPage, "List announcements", pages=True),
    Route("POST", _COURSE, Rule(Scope.ANNOUNCEMENTS_WRITE, Of.COURSE), plan, Planned, "Announce", takes=Plan, status=201),
    Route("GET", _ONE, Rule(Scope.ANNOUNCEMENTS_READ, Of.ANNOUNCEMENT), one, AnnouncementLine, "Look at an announcement"),
    Route("POST", f"{_ONE}/cancel", Rule(Scope.ANNOUNCEMENTS_WRITE, Of.OWN_ANNOUNCEMENT), cancel, Cancelled, "Take back an announcement"),
)
