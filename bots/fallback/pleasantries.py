"""Hides which words are mere pleasantries: a greeting, thanks, "all right", goodbye, and nothing else."""

import re

from bots.choices import normal

_SPELLINGS = {
    "thanks": (
        "谢谢|谢了|谢啦|多谢|感谢|非常感谢|谢谢谢谢|太谢谢|辛苦|辛苦辛苦|麻烦|🙏|🌹|❤|💗|🫶|[玫瑰]|[爱心]|[抱拳]|[合十]|[拥抱]"
        "|thanks|thank you|thanks a lot|thank you very much|many thanks|thx|ty|cheers|[rose]|[heart]|[hug]"
    ),
    "night": "晚安|good night|goodnight|night|🌙",
    "bye": "再见|拜拜|拜|回见|回头见|下次见|明天见|88|bye|bye bye|goodbye|see you|see you later|see you soon|👋",
    "hello": (
        "你好|你们好|大家好|老师好|组长好|嗨|嘿|哈喽|哈罗|早|早安|早上好|上午好|中午好|下午好|晚上好|在吗|在么|在不在|有人吗|新年好"
        "|您好|同伴好|hello|hi|hey|hi there|hello there|good morning|good afternoon|good evening|anybody there|anyone there"
    ),
    "okay": (
        "好|好好|好好好|好的|好的好的|好嘞|好滴|好哒|好吧|行|行吧|可以|没问题|嗯|嗯嗯|嗯好|哦|噢|收到|收到收到|已收到|知道|我知道|明白|我明白|了解|懂|👌|👍|😊|🙂|😀|☺|[ok]|[强]|[好的]|[微笑]|[愉快]|[握手]"
        "|ok|okay|k|fine|sure|yes|got it|alright|all right|i see|understood|great|[thumbsup]|[smile]"
    ),
}
_KINDS = {normal(word): kind for kind, words in _SPELLINGS.items() for word in words.split("|")}
#: Whom one says it to, and the sounds that Chinese hangs on at the end.
_HANGING = re.compile(r"(?:老师们?|组长|助教|小助手|同伴|大家|你们?|您|了|啦|啊|呀|哈|呢|哦|噢|喔|嘞|滴|哒|~|～)+$")
_SPOKEN_TO = re.compile(r"^(?:亲爱的)?(?:老师们?|组长|助教|大家)(?=.)")
_TINTS = dict.fromkeys(range(0x1F3FB, 0x1F400))  # of hands
_AGAIN = re.compile(r"([^\w\s])\1+")  # 🙏🙏
_APART = re.compile(r"[,，.。!！?？;；、~～…\n]+")


def pleasantry(text: str) -> str | None:
    """Which one it is: "thanks", "night", "bye", "hello" or "okay"; None where anything else is said too."""
    kinds: set[str] = set()
    for piece in _APART.split(text):
        kind = _kind(piece) if piece.strip() else ""
        if kind is None:  # as in most messages, and then it does not matter what else is said
            return None
        kinds.add(kind)
    return next((kind for kind in _SPELLINGS if kind in kinds), None)


def _kind(piece: str) -> str | None:
    word = _AGAIN.sub(r"\1", normal(piece.translate(_TINTS)))
    bare = _HANGING.sub("", word)
    parts = word.split()
    for form in (word, bare, _SPOKEN_TO.sub("", word), _SPOKEN_TO.sub("", bare)):
        if form in _KINDS:
            return _KINDS[form]
    found = [_KINDS.get(_HANGING.sub("", part)) for part in parts if _HANGING.sub("", part)]
    return next((kind for kind in _SPELLINGS if kind in found), None) if len(parts) > 1 and None not in found else None
