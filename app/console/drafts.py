"""Hides how a form that is sent twice is one thing: each form carries the id of a draft, which whoever keeps it recognises."""

from app import ids
from app.errors import Invalid

_GREATEST = 2**63 - 1


def new() -> str:
    """The id of a draft, as a form carries it."""
    return str(ids.new_id())


def of(typed: str) -> int:
    """The id that a form brought back. Raises `Invalid` ("draft")."""
    draft = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 20 else 0
    if not 0 < draft <= _GREATEST:
        raise Invalid("draft", "This form is too old; load the page again.")
    return draft
