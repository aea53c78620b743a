"""Hides the file of personal codes: CSV that Excel reads as Chinese, and in which no cell is a formula."""

import csv
import io
from collections.abc import Sequence

from app.cells import harmless
from app.roster.planning import Issued


def codes_file(issued: Sequence[Issued]) -> str:
    """Everybody's code as CSV, with a byte order mark."""
    out = io.StringIO()
    out.write("\ufeff")
    writer = csv.writer(out)
    writer.writerow(("line", "name", "role", "group", "phone", "code", "state"))
    for each in issued:
        row = each.row
        writer.writerow([row.line, *map(harmless, (row.name, row.role, row.group, row.phone or "", each.code, each.state))])
    return out.getvalue()
