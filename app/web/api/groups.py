"""Groups and who sits in them, by number; moving a participant."""

from typing import Annotated, Any

from pydantic import Field

from app.db import Tx
from app.integrations import reading, seating
from app.integrations.rules import Of, Rule, Scope
from app.integrations.shapes import GroupLine, GroupPage, MembershipPage, Seated
from app.web.api.routing import HOME, THING, Body, Call, Route


class Move(Body):
    """Who is moved."""

    participant: Annotated[str, Field(pattern="^[0-9]{5}$", description='five digits as text, such as "48213"', examples=["48213"])]


def of_course(tx: Tx, call: Call) -> Any:
    """The groups of a course: how many sit in each, and how they would be reached."""
    return reading.groups(tx, call.tools.rules, call.course, call.page, call.now)


def one(tx: Tx, call: Call) -> Any:
    """One group."""
    return reading.group(tx, call.tools.rules, call.course, call.thing, call.now)


def memberships(tx: Tx, call: Call) -> Any:
    """Who sits in a group: participant number, role, since when, how a message would find them. Staff have no number."""
    return reading.memberships(tx, call.tools.rules, call.course, call.thing, call.page, call.now)


def move(tx: Tx, call: Call) -> Any:
    """Seat a participant of the course in this group; the former place ends, and its history stays. A full group refuses (409)."""
    return seating.move(tx, call.caller, call.course, call.thing, call.body.participant, call.now)


_GROUP = f"{HOME}/groups/{THING}"
#: A participant number, or `s` and the id of a membership without one.
_CURSOR = "[0-9]{5}|s[0-9]{1,19}"
ROUTES = (
    Route(
        *("GET", f"{HOME}/courses/{THING}/groups", Rule(Scope.GROUPS_READ, Of.COURSE), of_course, GroupPage),
        "List groups",
        pages=True,
    ),
    Route("GET", _GROUP, Rule(Scope.GROUPS_READ, Of.GROUP), one, GroupLine, "Look at a group"),
    Route(
        *("GET", f"{_GROUP}/memberships", Rule(Scope.MEMBERSHIPS_READ, Of.GROUP), memberships, MembershipPage),
        "List memberships",
        pages=True,
        cursor=_CURSOR,
    ),
    Route(
        *("POST", f"{_GROUP}/memberships", Rule(Scope.MEMBERSHIPS_WRITE, Of.GROUP), move, Seated),
        "Move a participant into a group",
        takes=Move,
    ),
)
