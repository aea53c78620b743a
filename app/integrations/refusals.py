"""Hides what the API refuses before a page of ours is asked: a status, a code that has its sentence in the texts, and its gaps."""

from typing import Any

from app.errors import AppError


class Refusal(AppError):
    """A refusal with a status of its own, whose sentence is filled from the texts by its code.

    `after`: seconds until a repeat makes sense.
    """

    def __init__(self, status: int, code: str, *, after: int | None = None, **gaps: Any) -> None:
        super().__init__(code, code)
        self.status = status
        self.after = after
        self.gaps = gaps
