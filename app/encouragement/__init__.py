"""Warm words of a course: a library that is approved, a plan that rotates through it, words after something was done, thanks counted.

`library` is what a course may give, `plans` when it gives by the clock, `giving` who gets which word and what came back. Which word
reached whom stays as long as the course does, like every delivery: nobody shall get the same words twice. Who is erased is taken out.
"""

from app.encouragement.giving import after, given_to, hold_back, thank
from app.encouragement.library import adopt, approve, lines, pause, propose, shelf_of
from app.encouragement.plans import any_due, finish, go_on, keep_plan, next_moment, plan_of, rest, set_plan, upcoming

__all__ = [
    "adopt",
    "after",
    "any_due",
    "approve",
    "finish",
    "given_to",
    "go_on",
    "hold_back",
    "keep_plan",
    "lines",
    "next_moment",
    "pause",
    "plan_of",
    "propose",
    "rest",
    "set_plan",
    "shelf_of",
    "thank",
    "upcoming",
]
