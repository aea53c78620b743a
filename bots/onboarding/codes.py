"""Hides how an invitation code is told from an ordinary word: ten letters and digits, typed in any case, with spaces or dashes."""

import re
import unicodedata

#: The letters of codes (app/ids.py): nothing that looks like something else. A word of these letters only may still be a word.
_LETTERS = frozenset("23456789ABCDEFGHJKMNPQRSTVWXYZ")
_LENGTH = 10
#: So many letters and digits that no code has may stand in one that was copied by eye.
_MOST_SLIPS = 3
_PREFIX = re.compile(
    r"(?:我要|我想|请)?(?:加入小组|加入|入组|报名|邀请码是|邀请码|邀请|代码|join with|join|(?:my )?code is|invitation code|code)"
    r"[\s:：,，]*(.*)",
    re.IGNORECASE | re.DOTALL,
)
_BARE = frozenset(
    {
        "加入",
        "我要加入",
        "我想加入",
        "加入小组",
        "我要加入小组",
        "入组",
        "报名",
        "我要报名",
        "邀请码",
        "join",
        "join a group",
        "i want to join",
    }
)


def typed_code(text: str, *, stranger: bool) -> str | None:
    """The code in a typed message, upper case and without spaces and dashes, or None where the words are something else.

    Of a stranger everything that could be a code with a slip is taken for one: nothing else is to be expected from them.
    """
    plain = unicodedata.normalize("NFKC", text).strip(" \t\r\n.。!！\"'“”「」")
    prefixed = _PREFIX.fullmatch(plain)
    if prefixed and (code := _shape(prefixed.group(1), loose=True)):
        return code
    return _shape(plain, loose=False) or (_shape(plain, loose=True) if stranger else None)


def wants_to_join(text: str) -> bool:
    """Whether somebody says that they want to join, without a code."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(" .。!！~") in _BARE


def _shape(text: str, *, loose: bool) -> str | None:
    groups = re.split(r"[\s\-–—_]+", text.strip())
    code = "".join(groups).upper()
    if len(groups) > 4 or not re.fullmatch(r"[0-9A-Z]{4,20}", code):
        return None
    digits, letters = bool(re.search(r"[0-9]", code)), bool(re.search(r"[A-Z]", code))
    if len(code) == _LENGTH and letters and min(map(len, groups)) > 1:
        if digits:  # "follow up 12" has ten letters and digits too
            return code if loose or sum(each not in _LETTERS for each in code) <= _MOST_SLIPS else None
        return code if set(code) <= _LETTERS and (loose or text.strip().isupper()) else None
    return code if loose and digits and letters and len(groups) <= 3 and len(code) >= 6 else None
