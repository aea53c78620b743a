"""Hides how numbers that came with an address or a form are read: a table of shapes, never `int()` of what somebody sent."""

import re

from app.web.console.routing import Visit

#: Pages further back than this are nobody's.
_MOST_PAGES = 500


def page_of(visit: Visit) -> int:
    """Which page of a list is meant, from 0."""
    typed = visit.query.get("page", "")
    return min(int(typed), _MOST_PAGES) if re.fullmatch("[0-9]{1,4}", typed) else 0
