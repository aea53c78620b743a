"""What people and machines send to an account in the fuzz: pushes of every kind, words of every kind, and morsels that hurt parsers."""

import random
from collections.abc import Callable

#: Stands in no log and in no answer.
CANARY = "夜莺只对我唱"

_THINGS = ("image", "voice", "video", "shortvideo", "location", "link", "file", "miniprogrampage", "zzz", "IMAGE")
_KEYS = ("safety.help", "safety.stop", "staff.menu", "onboarding.join", "x" * 200, "", "../..", "{0.__class__}")
_EVENTS = ("unsubscribe", "VIEW", "LOCATION", "kf_create_session", "zzz", "x" * 300, "user_info_modified")
_REPORTS = ("TEMPLATESENDJOBFINISH", "MASSSENDJOBFINISH", "templatesendjobfinish")
_SPOKEN = (
    *("停", "恢复", "帮助", "你好", "退出", "加入", "同意", "不同意", "是", "1", "2", "取消", "公告", "公告：今晚八点", "我的小组", "help"),
    *("stop", "我不想活了", "MORNING234", "leave", "English", "查看 1", "取消 1", "发送", "确认", "/start", "null", "{{7*7}}", "%s%n"),
    "'; DROP TABLE persons",
)
_ODD = (
    *("\u202e", "\u200d", "👨‍👩‍👧‍👦", "e\u0301" * 40, "\ufeff", "\u3000", "\u2028", "𠀀", "ﷺ", "🇨🇳", "]]>"),
    *("<a href='weixin://x'>", "\t\n", "１２", "²"),
)
_BETWEEN = ("", " ", "：", "\n")
_PLANES = (range(32, 0x2FF), range(0x4E00, 0x9FFF), range(0x1F300, 0x1F5FF))
#: Short pieces that a parser may stumble over.
MORSELS = (
    *(b"\x00", b"\xff", b"<", b">", b"&", b"]]>", b"<!--", b"<![CDATA[", b"</xml>", b"<xml>", b"&#0;", b"&lt;", b"'", b'"', b"\r\n"),
    *(b"%00", b"\xed\xa0\x80"),
)

Chance = random.Random


def words(chance: Chance) -> str:
    """Something that somebody writes."""
    return chance.choice(_WORDS)(chance)


def push(chance: Chance, msgid: str) -> dict[str, str]:
    """The fields of a sound push, but for whom it comes from and when."""
    return {name: value.replace("\x00", "") for name, value in chance.choice(_PUSHES)(chance, msgid).items()}


def _text(chance: Chance, msgid: str) -> dict[str, str]:
    return {"MsgType": "text", "Content": words(chance), "MsgId": msgid}


def _tap(chance: Chance, msgid: str) -> dict[str, str]:
    return {**_text(chance, msgid), "bizmsgmenuid": words(chance)[:80]}


def _thing(chance: Chance, msgid: str) -> dict[str, str]:
    return {"MsgType": chance.choice(_THINGS), "MediaId": words(chance), "PicUrl": "file:///etc/passwd", "MsgId": msgid}


def _event(name: str, key: str, msgid: str, status: str = "success") -> dict[str, str]:
    return {"MsgType": "event", "Event": name, "EventKey": key, "Status": status, "MsgID": msgid}  # MsgID: no two are repeats


_PUSHES: list[Callable[[Chance, str], dict[str, str]]] = [
    _text,
    _text,
    _text,
    _tap,
    _thing,
    lambda chance, msgid: _event("subscribe", f"qrscene_{words(chance)[:70]}", msgid),
    lambda chance, msgid: _event("SCAN", words(chance), msgid),
    lambda chance, msgid: _event("CLICK", chance.choice(_KEYS), msgid),
    lambda chance, msgid: _event(chance.choice(_EVENTS), words(chance), msgid),
    lambda chance, msgid: _event(chance.choice(_REPORTS), "", msgid, words(chance)[:99]),
]
_WORDS: list[Callable[[Chance], str]] = [
    lambda chance: chance.choice(_SPOKEN),
    lambda chance: f"{chance.choice(_SPOKEN)}{chance.choice(_BETWEEN)}{chance.choice(_SPOKEN)}",
    lambda chance: f"{CANARY}{chance.randrange(10**6)}",
    lambda chance: "".join(chance.choice(_ODD) for _ in range(chance.randint(1, 12))),
    lambda chance: "".join(chr(chance.choice(chance.choice(_PLANES))) for _ in range(chance.randint(1, 60))),
    lambda chance: chance.choice(("长", "a", "😀", "a b ")) * chance.randint(1, 3000),
]
