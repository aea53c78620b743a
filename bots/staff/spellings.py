"""Hides the spellings of times: turns words into the day, the part of the day and the clock time that they name, and judges nothing.

Each spelling is one pattern; the words are read from left to right, and everything must be read.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum, auto


class Part(Enum):
    """A part of the day: which clock hours it can hold stands in `moments.py`."""

    SMALL_HOURS = auto()
    MORNING = auto()
    NOON = auto()
    AFTERNOON = auto()
    DUSK = auto()
    EVENING = auto()
    NIGHT = auto()
    AFTER_MIDNIGHT = auto()
    AM = auto()
    PM = auto()


@dataclass(frozen=True)
class Day:
    """A day as it was named: so many days later, a weekday (0 is Monday; `weeks` from this week, None: the next one), or a date."""

    later: int | None = None
    weekday: int | None = None
    weeks: int | None = None
    year: int | None = None
    month: int | None = None
    day: int | None = None
    swappable: bool = False  # 3/4 may be the fourth of March or the third of April

    def month_days(self) -> tuple[tuple[int, int], ...]:
        """The (month, day) pairs that a date can mean."""
        pair = (self.month or 0, self.day or 0)
        return (pair, (pair[1], pair[0])) if self.swappable else (pair,)


@dataclass(frozen=True)
class Half:
    """The part of the day that was named."""

    part: Part


@dataclass(frozen=True)
class Clock:
    """A clock time. `exact`: written as 9:30, thus of 24 hours; "9 o'clock" may be morning or evening."""

    hour: int
    minute: int = 0
    exact: bool = False


@dataclass(frozen=True)
class Offset:
    """A length of time from now; with `whole_days` a clock time may follow."""

    length: timedelta
    whole_days: bool


@dataclass(frozen=True)
class Spelled:
    """Everything that the words name."""

    day: Day | None = None
    half: Half | None = None
    clock: Clock | None = None
    offset: Offset | None = None


Named = Day | Half | Clock | Offset
Found = tuple[Named, ...]

#: Longer words are no time, and are not worth reading.
_LONGEST = 80


def read(text: str) -> Spelled | None:
    """What the words name, or None where they are no time from beginning to end."""
    words = " ".join(unicodedata.normalize("NFKC", text[: _LONGEST * 2]).casefold().split()).strip(" .。!！,，~～?？")
    if not words or len(words) > _LONGEST:
        return None
    spelled, rest = Spelled(), words
    while rest:
        step = _step(rest, spelled)
        if step is None:
            return None
        spelled, rest = step
    return None if spelled == Spelled() else spelled


def _step(rest: str, spelled: Spelled) -> tuple[Spelled, str] | None:
    if filler := _FILLER.match(rest):
        return spelled, rest[filler.end() :]
    for pattern, make in _PATTERNS:
        match = pattern.match(rest)
        found = make(match) if match else None
        if match and found is not None:
            added = _add(spelled, found)
            if added is not None:
                return added, rest[match.end() :]
    return _bare_hour(rest, spelled)


def _bare_hour(rest: str, spelled: Spelled) -> tuple[Spelled, str] | None:
    """`tomorrow 8`: a number alone is an hour only where a day or a part of it was named before."""
    match = _BARE_HOUR.match(rest)
    if match is None or spelled.clock is not None or (spelled.day is None and spelled.half is None):
        return None
    return replace(spelled, clock=Clock(int(match.group(1)))), rest[match.end() :]


def _add(spelled: Spelled, found: Found) -> Spelled | None:
    added: Spelled | None = spelled
    for each in found:
        added = _add_one(added, each) if added is not None else None
    return added


def _add_one(spelled: Spelled, named: Named) -> Spelled | None:
    match named:
        case Day():
            both = _both_days(spelled.day, named)
            return replace(spelled, day=both) if both else None
        case Half():
            half = named if spelled.half in (None, named) else _both_halves(spelled.half, named)
            return replace(spelled, half=half) if half else None
        case Clock():
            return replace(spelled, clock=named) if spelled.clock in (None, named) else None
        case Offset():
            return replace(spelled, offset=named) if spelled.offset is None else None


def _both_halves(first: Half | None, second: Half) -> Half | None:
    """`tonight … pm`, `tomorrow night … am` (after midnight), `morning … am`; None where the two exclude each other."""
    parts = {first.part if first else second.part, second.part}
    if Part.PM in parts and not parts & {Part.AM, Part.MORNING, Part.SMALL_HOURS}:
        return Half(Part.PM)
    if Part.AM in parts and parts & {Part.MORNING, Part.SMALL_HOURS}:
        return Half(Part.AM)
    return Half(Part.AFTER_MIDNIGHT) if Part.AM in parts and parts & {Part.EVENING, Part.NIGHT} else None


def _both_days(first: Day | None, second: Day) -> Day | None:
    """A date with its weekday, in either order: `11月25日 周三`; None where the two exclude each other."""
    if first in (None, second):
        return second
    assert first is not None  # noqa: S101 - tells the type checker what the line above has found
    dated, weekday = (first, second) if first.day is not None else (second, first)
    if dated.day is None or dated.weekday is not None or weekday.weekday is None or weekday.weeks is not None:
        return None
    return replace(dated, weekday=weekday.weekday)


_DIGITS = {"零": 0, "〇": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
_WORDS = {
    "a": 1,
    "an": 1,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
    "fifteen": 15,
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "half an": 0.5,
    "half a": 0.5,
}


def _number(text: str) -> int:
    """A number of two digits at most in Chinese numerals, or of ASCII digits; 99 where the numerals make no number (no hour, no day)."""
    if text.isascii():
        return int(text)
    if "十" not in text:
        return _DIGITS[text[-1]] if len(text) == 1 or text[0] in "零〇" else 99
    tens, _, ones = text.partition("十")
    if len(tens) > 1 or len(ones) > 1:
        return 99
    return (_DIGITS[tens] if tens else 1) * 10 + (_DIGITS[ones] if ones else 0)


_EN_UNIT = "minutes?|mins?|hours?|hrs?|h|days?|weeks?"
_N = "([0-9]{1,2}|[零〇一二两三四五六七八九十]{1,3})"
_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|"
    r"aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b"
)
_WEEKDAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKDAY = r"(mon(?:day)?|tue(?:s|sday)?|wed(?:s|nesday)?|thu(?:r|rs|rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)\b"
_ZH_WEEKDAYS = {name: place for place, name in enumerate("一二三四五六日")} | {str(place + 1): place for place in range(7)} | {"天": 6}
_HALF_DAY = r"\s*(?:(a|p)\.?m\b\.?)"
_ORDINAL = r"(?:st|nd|rd|th)"

_FILLER = re.compile(r"[\s,，、的()]+|在|就|at\b(?! night)|on\b|the\b(?! day after)|sharp\b|(?:发送|发出|发|吧)$")
_BARE_HOUR = re.compile(r"([0-9]{1,2})(?![0-9:./-])")

_ZH_PARTS = {
    **dict.fromkeys(("凌晨",), Part.SMALL_HOURS),
    **dict.fromkeys(("清晨", "早晨", "早上", "早", "上午"), Part.MORNING),
    **dict.fromkeys(("中午", "正午"), Part.NOON),
    **dict.fromkeys(("下午", "午后"), Part.AFTERNOON),
    **dict.fromkeys(("晚上", "晚间", "晚"), Part.EVENING),
    **dict.fromkeys(("傍晚", "黄昏"), Part.DUSK),
    **dict.fromkeys(("夜里", "夜晚", "深夜", "半夜", "夜"), Part.NIGHT),
}
_EN_PARTS = {"morning": Part.MORNING, "afternoon": Part.AFTERNOON, "evening": Part.EVENING, "night": Part.NIGHT}
_ZH_DAYS = {"大后天": 3, "后天": 2, "明天": 1, "明日": 1, "明": 1, "今天": 0, "今日": 0, "今": 0, "昨天": -1, "昨": -1, "前天": -2}
_EN_DAYS = {
    "the day after tomorrow": 2,
    "day after tomorrow": 2,
    "tomorrow": 1,
    "tomorow": 1,
    "tmrw": 1,
    "tmr": 1,
    "today": 0,
    "yesterday": -1,
}
_ZH_UNITS = {
    **dict.fromkeys(("分钟", "分"), timedelta(minutes=1)),
    "刻钟": timedelta(minutes=15),
    "小时": timedelta(hours=1),
    "钟头": timedelta(hours=1),
    "天": timedelta(days=1),
    "日": timedelta(days=1),
    **dict.fromkeys(("周", "星期", "礼拜"), timedelta(days=7)),
}
_EN_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(days=7)}


def _date(year: str | None, month: int, day: str) -> Found:
    return (Day(year=int(year) if year else None, month=month, day=_number(day)),)


def _slashed(match: re.Match[str]) -> Found:
    first, second = int(match.group(1)), int(match.group(2))
    if first > 12:
        first, second = second, first
    return (Day(month=first, day=second, swappable=first != second <= 12 and match.group(0).count("/") == 1),)


def _zh_weekday(match: re.Match[str]) -> Found:
    weeks = {"": None, "本": 0, "这": 0, "下": 1, "下下": 2}[match.group(1) or ""]
    return (Day(weekday=_ZH_WEEKDAYS[match.group(2)], weeks=weeks),)


def _en_weekday(match: re.Match[str]) -> Found:
    weeks = {"next": 1, "this": 0}.get(match.group(1) or "")
    return (Day(weekday=_WEEKDAY_NAMES.index(match.group(2)[:3]), weeks=weeks),)


def _zh_offset(match: re.Match[str]) -> Found:
    count = 0.5 if match.group(1) == "半" else float(_count(match.group(1)))
    count += 0.5 if match.group(2) or match.group(4) else 0
    return _offset(count, _ZH_UNITS[match.group(3)])


def _count(text: str) -> float:
    return float(text) if text.isascii() else _number(text)


def _en_offset(match: re.Match[str]) -> Found:
    word = match.group(1)
    count = _WORDS[word] if word in _WORDS else float(word)
    return _offset(count + (0.5 if match.group(3) else 0), _EN_UNITS[match.group(2)[0]])


def _offset(count: float, unit: timedelta) -> Found:
    length = count * unit
    return (Offset(length, whole_days=unit >= timedelta(days=1) and length % timedelta(days=1) == timedelta()),)


def _zh_clock(match: re.Match[str]) -> Found:
    spelled = match.group(3) or match.group(4)
    minute = {None: 0, "半": 30, "一刻": 15, "三刻": 45}[match.group(2)]
    return (Clock(_number(match.group(1)), _number(spelled) if spelled else minute),)


def _colon(match: re.Match[str]) -> Found:
    hour, minute, half = int(match.group(1)), int(match.group(2)), match.group(3)
    if half is None:
        return (Clock(hour, minute, exact=True),)
    return (Clock(hour, minute), _half_day(half))


def _half_day(letter: str) -> Half:
    return Half(Part.AM if letter == "a" else Part.PM)


def _past_hour(match: re.Match[str]) -> Found:
    minute = {"half": 30, "quarter": 15}[match.group(1)]
    return (Clock(int(match.group(3)), minute) if match.group(2) == "past" else Clock((int(match.group(3)) - 1) % 24, 60 - minute),)


def _alternatives(words: Iterable[str]) -> str:
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


def _when(pattern: str, make: Callable[[re.Match[str]], Found | None]) -> tuple[re.Pattern[str], Callable[[re.Match[str]], Found | None]]:
    return re.compile(pattern), make


_PATTERNS = (
    _when(
        rf"(?:过|再过)?({_N[1:-1]}|半|[0-9]{{1,4}}(?:\.5)?)\s*个?(半)?({_alternatives(_ZH_UNITS)})(半)?(?:之后|以后|后)(?!天)",
        _zh_offset,
    ),
    _when(
        rf"(?:in\s+)?({_alternatives(_WORDS)}|[0-9]{{1,4}}(?:\.5)?)\s*({_EN_UNIT})( and a half)?\s+(?:from now|later)\b",
        _en_offset,
    ),
    _when(
        rf"in\s+({_alternatives(_WORDS)}|[0-9]{{1,4}}(?:\.5)?)\s*({_EN_UNIT})\b( and a half)?",
        _en_offset,
    ),
    _when(
        r"([0-9]{4})\s*[-/.年]\s*([0-9]{1,2})\s*[-/.月]\s*([0-9]{1,2})(?![0-9])\s*[日号]?(?:t(?=[0-9]))?",
        lambda m: _date(m[1], int(m[2]), m[3]),
    ),
    _when(rf"{_N}\s*月\s*{_N}\s*(?:日|号)?", lambda m: _date(None, _number(m[1]), m[2])),
    _when(r"([0-9]{1,2})[-/.]([0-9]{1,2})(?![0-9:/.-]|\s*[ap]\.?m)", _slashed),
    _when(rf"{_N}\s*(?:日|号)", lambda m: (Day(day=_number(m[1])),)),
    _when(rf"{_MONTH}\.?\s*([0-9]{{1,2}}){_ORDINAL}?(?![0-9:])(?:,?\s*([0-9]{{4}})(?![0-9:]))?", lambda m: _date(m[3], _month(m[1]), m[2])),
    _when(rf"([0-9]{{1,2}}){_ORDINAL}?\s*(?:of\s+)?{_MONTH}\.?(?:,?\s*([0-9]{{4}})(?![0-9:]))?", lambda m: _date(m[3], _month(m[2]), m[1])),
    _when(rf"([0-9]{{1,2}}){_ORDINAL}\b", lambda m: (Day(day=int(m[1])),)),
    _when(r"(下下|下|本|这)?个?(?:周|星期|礼拜)([一二三四五六日天](?!点)|[1-7](?![0-9点:]))", _zh_weekday),
    _when(rf"(?:(next|this|coming)\s+)?{_WEEKDAY}\.?", _en_weekday),
    _when(_alternatives(_ZH_DAYS), lambda m: (Day(later=_ZH_DAYS[m[0]]),)),
    _when(rf"(?:{_alternatives(_EN_DAYS)})\b", lambda m: (Day(later=_EN_DAYS[m[0]]),)),
    _when(r"(?:tonight|tonite)\b", lambda _: (Day(later=0), Half(Part.EVENING))),
    _when(r"(?:noon|midday)\b", lambda _: (Clock(12, exact=True),)),
    _when(r"midnight\b|午夜(?!\s*[0-9一二三四五六七八九十])", lambda _: (Clock(12), Half(Part.NIGHT))),
    _when(r"(half|quarter)\s+(past|to)\s+([0-9]{1,2})(?![0-9:])", _past_hour),
    _when(r"([0-9]{1,2})\s*:\s*([0-9]{2})(?::[0-9]{2})?(?![0-9:])(?:" + _HALF_DAY + ")?", _colon),
    _when(r"([0-9]{1,2})\.([0-9]{2})" + _HALF_DAY, _colon),
    _when(r"([0-9]{1,2})" + _HALF_DAY, lambda m: (Clock(int(m[1])), _half_day(m[2]))),
    _when(r"([0-9]{1,2})\s*o'?\s?clock\b", lambda m: (Clock(int(m[1])),)),
    _when(rf"{_N}\s*(?:点钟?|时)(?:整|(半|一刻|三刻)|(?:{_N}分?|\s*{_N}\s*分))?", _zh_clock),
    _when(_alternatives(_ZH_PARTS), lambda m: (Half(_ZH_PARTS[m[0]]),)),
    _when(r"([0-9]{1,2}) (?=in the |at night|tonight|tomorrow|today)", lambda m: (Clock(int(m[1])),)),
    _when(r"([0-9]{1,2})\.([0-9]{2})(?![0-9:])", lambda m: (Clock(int(m[1]), int(m[2]), exact=True),)),
    _when(r"(?:in the |this |at )?(morning|afternoon|evening|night)\b", lambda m: (Half(_EN_PARTS[m[1]]),)),
)


def _month(name: str) -> int:
    return _MONTH_NAMES.index(name[:3]) + 1
