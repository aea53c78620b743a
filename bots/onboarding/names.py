"""Hides what may be a course name: short, readable by the group, and nothing by which a person can be reached."""

import re
import unicodedata

MOST_CHARACTERS = 20
_MOST_BYTES = 120
_INTRODUCTIONS = re.compile(
    r"^(?:(?:我叫|叫我|我是|我的名字是|我的名字叫|我的昵称是|就叫|请叫我|大家叫我|称呼我)[\s:：]*|"
    r"(?:my name is|(?:please )?call me|i am|i'm)[\s:：]+)(?=\S)",
    re.IGNORECASE,
)
_CONTACT = re.compile(r"https?:|www\.|://|@|\.(?:com|cn|net|org|top|xyz|io|cc)\b|weixin|wechat|微信号|加微信", re.IGNORECASE)
_ODD = re.compile(r"[<>{}\[\]\\|/#$%^*=+_~`。！？!?；;，,：:\n]")


def course_name(text: str) -> tuple[str, str]:
    """The name in a message, and what is wrong with it: "" or the key of the words, "long", "contact" or "odd"."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    name = _readable(" ".join(lines))
    plain = unicodedata.normalize("NFKC", name)
    if _CONTACT.search(plain) or len(re.findall(r"\d", re.sub(r"[\s\-]", "", plain))) >= 5:
        return "", "contact"
    if len(lines) > 1 or _ODD.search(name) or not any(unicodedata.category(each).startswith("L") for each in name) or _piled(name):
        return "", "odd"
    if graphemes(name) > MOST_CHARACTERS or len(name.encode()) > _MOST_BYTES:
        return "", "long"
    return name, ""


def graphemes(text: str) -> int:
    """How many characters a reader sees, near enough for a limit: marks, joined emoji, skin tones and flags count once."""
    count, flags, joined = 0, 0, False
    for each in text:
        if each == "\u200d":
            joined = True
            continue
        extends = unicodedata.category(each) in ("Mn", "Me", "Mc", "Cf") or 0x1F3FB <= ord(each) <= 0x1F3FF
        flag = 0x1F1E6 <= ord(each) <= 0x1F1FF
        flags = flags + 1 if flag else 0
        count += not (extends or joined or (flag and flags % 2 == 0))
        joined = False
    return count


def _readable(text: str) -> str:
    visible = "".join(each for each in unicodedata.normalize("NFC", text) if unicodedata.category(each) != "Cf" or each == "\u200d")
    spaced = " ".join(visible.split())
    return _INTRODUCTIONS.sub("", spaced.strip(" \"'“”「」‘’.。!！~～")).strip(" \"'“”「」‘’.。!！~～")


def _piled(name: str) -> bool:
    """Whether more than two marks stand on one letter, as in text that is made to run over its neighbours."""
    return bool(re.search("m{3}", "".join("m" if unicodedata.combining(each) else "-" for each in name)))
