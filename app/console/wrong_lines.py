"""Hides how what is wrong in a roster is said in the console: in the reader's language, and without the terminal's commands.

`app.roster` says it in English, for the terminal. Each sentence is known here by how it begins; one that is not is shown as it stands.
"""

import re

from app.roster import RowError

#: How a sentence begins, and the end of its text key; named groups become the gaps of the text.
_KNOWN = tuple(
    (re.compile(pattern, re.DOTALL), key)
    for pattern, key in (
        (r"There is no name", "no_name"),
        (r"The name is a number", "name_kind"),
        (r"A name is one line of at most (?P<most>\d+)", "name_long"),
        (r"There is no group; write", "no_group"),
        (r"There is no group ['\"](?P<typed>.*)['\"] in this course; write one of (?P<known>.+), or make", "group"),
        (r"There is no gender ['\"](?P<typed>.*)['\"] here", "gender"),
        (r"The age is a whole number of years from (?P<least>\d+) to (?P<most>\d+)", "age"),
        (r"The city has at most (?P<most>\d+)", "city"),
        (r"There is no experience ['\"](?P<typed>.*)['\"] here", "experience"),
        (r"There is no role ['\"](?P<typed>.*)['\"]; write", "role"),
        (r"The phone number was shortened", "phone_short"),
        (r"The phone number holds", "phone"),
        (r"The same person stands in line (?P<line>\d+)", "twice"),
        (r"The same phone number stands in line (?P<line>\d+)", "phone_twice"),
        (r"There is nobody below", "nobody"),
        (r"The file is empty", "empty"),
        (r"There are more than (?P<most>[\d,]+) people", "many"),
        (r"There are more than (?P<most>\d+) columns", "columns"),
        (r"Two columns are headed (?P<head>\w+)", "two_heads"),
        (r"No column is headed", "heads"),
        (r"There are more cells here", "cells"),
        (r"Quotation marks", "quotes"),
        (r"(This line is not|Letters and Chinese)", "encoding"),
        (r"(Here is a zero byte|There are control characters)", "no_text"),
        (r"This is an Excel or zip", "is_excel"),
        (r"(This Excel file cannot|This is no Excel file)", "excel"),
        (r"This file holds macros", "macros"),
        (r"(This file unpacks|The file has)", "packed"),
        (r"A file that ends in", "suffix"),
    )
)


def said(error: RowError) -> tuple[str, dict[str, str]]:
    """The end of the text key for a sentence with what fills its gaps; an empty one where it is not known."""
    for pattern, key in _KNOWN:
        found = pattern.match(error.sentence)
        if found is not None:
            return key, found.groupdict()
    return "", {}
