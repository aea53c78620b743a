"""What a route of the API is made of: a path with its rule, the call that it gets, the shapes that it takes and gives."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from app.db import Tx
from app.integrations.reading import Page
from app.integrations.rules import Caller, Of, Rule, Scope
from app.situation import Tools

#: Where the API is.
HOME = "/api/v1"
#: What stands in a path for the id of the thing that its rule speaks of.
THING = "{thing}"


class Body(BaseModel):
    """The fields of a request's body: each of just this type, and no other."""

    model_config = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True)
class Call:
    """One request, after its rule was kept: `thing` is of `course`, and both are the caller's to see. `body` is as the route takes it."""

    tools: Tools
    caller: Caller
    thing: int
    course: int
    page: Page
    body: Any = field(repr=False)
    now: datetime


Work = Callable[[Tx, Call], Any]


@dataclass(frozen=True)
class Route:
    """A path with a method, who may come there, and what happens, in one transaction: one that only reads for GET.

    `gives`: the shape of the answer. `takes`: that of the body of a POST. `pages`: it is a list; `cursor`: what its `after` looks like.
    """

    method: str
    path: str
    rule: Rule
    work: Work
    gives: Any
    summary: str
    takes: type[Body] | None = None
    pages: bool = False
    cursor: str = "[0-9]{1,19}"
    status: int = 200

    def __post_init__(self) -> None:
        if not isinstance(self.rule, Rule) or not isinstance(self.rule.scope, Scope):
            raise TypeError(f"{self.path} has no rule with a scope: which tokens may come there? See app/integrations/rules.py.")
        if (THING in self.path) is (self.rule.of is Of.NOTHING):
            raise ValueError(f"{self.path}: a rule that speaks of a thing needs {THING} in the path, and no other does.")
        if self.method not in ("GET", "POST") or (self.method == "GET" and self.takes is not None):
            raise ValueError(f"{self.path}: a GET reads, a POST writes, and only a POST takes a body.")
