"""Hides roster files: reads CSV and Excel strictly, says row by row what is wrong, and turns rows into personal codes, each once.

Columns are name, role, group and phone, in English or Chinese, in any order. An encoding is never guessed silently: what does not decode
as a whole, or looks as if it were decoded wrongly, is refused with its line (bad-inputs.md J).
"""

from app.roster.planning import Former, Issued, Plan, Planned, codes, commit, plan
from app.roster.reading import MOST_BYTES, Roster, Row, RowError, parse, read
from app.roster.writing import codes_file

__all__ = [
    "MOST_BYTES",
    "Former",
    "Issued",
    "Plan",
    "Planned",
    "Roster",
    "Row",
    "RowError",
    "codes",
    "codes_file",
    "commit",
    "parse",
    "plan",
    "read",
]
