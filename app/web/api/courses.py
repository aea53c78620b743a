"""Courses and the waves of questionnaires in them: what runs, and how many are done."""

from typing import Any

from app.db import Tx
from app.integrations import reading
from app.integrations.rules import Of, Rule, Scope
from app.integrations.shapes import CourseDetail, CoursePage, WavePage
from app.web.api.routing import HOME, THING, Call, Route


def every(tx: Tx, call: Call) -> Any:
    """The courses that this token may see."""
    return reading.courses(tx, call.caller, call.page)


def one(tx: Tx, call: Call) -> Any:
    """One course with the names of its groups. How the groups stand needs another scope."""
    return reading.course(tx, call.course)


def waves(tx: Tx, call: Call) -> Any:
    """How far each wave of questionnaires is: how many people stand in which state, and nothing else."""
    return reading.waves(tx, call.course, call.page)


_COURSES = f"{HOME}/courses"
ROUTES = (
    Route("GET", _COURSES, Rule(Scope.COURSES_READ), every, CoursePage, "List courses", pages=True),
    Route("GET", f"{_COURSES}/{THING}", Rule(Scope.COURSES_READ, Of.COURSE), one, CourseDetail, "Look at a course"),
    Route(
        *("GET", f"{_COURSES}/{THING}/waves", Rule(Scope.COMPLETION_READ, Of.COURSE), waves, WavePage),
        "Count completion",
        pages=True,
    ),
)
