"""Hides what a spreadsheet would do with the text of a cell: run it as a formula."""

#: Cells that begin like this are formulas to some spreadsheet, or call a program of its computer (bad-inputs.md I4).
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", ";=", '"=', "cmd|", "hyperlink(")


def harmless(cell: str) -> str:
    """The cell with an apostrophe before it where a spreadsheet would run it."""
    return f"'{cell}" if cell.casefold().startswith(_FORMULAS) else cell
