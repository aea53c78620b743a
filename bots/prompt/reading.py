"""Hides how people write when something recurs, in Chinese and in English: `每周一三五 20:00`, `week 3 Tuesday 8pm`, `明晚8点`.

What comes once is read by `bots.staff.moments`, and so is every clock time. What can mean two things is not decided here: the readings are
handed back, to be asked.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from bots.recurrence import MOST_WEEKS, Rule, days_of_week
from bots.staff.moments import Moment, read_moment


@dataclass(frozen=True)
class Reading:
    """What was understood: the rule, and the last day where one was named."""

    rule: Rule
    until: date | None = None


@dataclass(frozen=True)
class Unclear:
    """Why words are no usable rule.

    `key`: as of `bots.staff.moments.Refusal`, or "no_weekday", "no_start" (weeks of a course without a first day), "week" (no such week),
    "monthly" (recurs in a way that is not offered), "until" (the last day was not understood); "several": then `candidates` are the
    readings.
    """

    key: str
    candidates: tuple[Reading, ...] = ()


_LONGEST = 80
_ZH_DAY = r"[一二三四五六日天1-7](?![点时:0-9])"
_ZH_DAYS = rf"(?:(?:周|星期|礼拜)?{_ZH_DAY}\s*[、,，和及跟与/]?\s*)+"
_EN_DAY = r"(?:mon|tue|wed|thu|fri|sat|sun)(?:days?|s|nesdays?|sdays?|r|rs|rsdays?|urdays?)?\b\.?"
_EN_DAYS = rf"{_EN_DAY}(?:\s*(?:,|and|&|/|\+)*\s*{_EN_DAY})*"
_N = "[0-9]{1,3}|[零一二三四五六七八九十]{1,3}"
#: Each way to say which days, the first that fits; its group `days` holds weekdays, `week` a week of the course.
_WEEK_FORMS = tuple(
    re.compile(form)
    for form in (
        rf"(?:课程)?第\s*(?P<week>{_N})\s*(?:周|星期|个星期)\s*(?:的|,|，)?\s*(?P<days>(?:周|星期|礼拜){_ZH_DAYS})?",
        rf"(?P<days>{_EN_DAYS})\s*(?:of|in)\s+week\s+(?P<week>[0-9]{{1,3}})\b",
        rf"(?:in )?week\s+(?P<week>[0-9]{{1,3}})\b,?\s*(?:on )?(?P<days>{_EN_DAYS})?",
    )
)
_EVERY_FORMS = tuple(
    re.compile(form)
    for form in (
        rf"(?:每个?|逢)(?:周|星期|礼拜)\s*(?:的)?\s*(?P<days>{_ZH_DAYS})",
        rf"(?:every|each|weekly)(?: week)?,?\s*(?:on )?(?P<days>{_EN_DAYS})",
        r"(?P<days>(?:mon|tues|wednes|thurs|fri|satur|sun)days(?:(?:\s*(?:,|and|&))*\s*(?:mon|tues|wednes|thurs|fri|satur|sun)days)*)",
    )
)
_DAILY = re.compile(r"每天|每日|天天|日日|(?:every|each) ?day\b|daily\b|每(?=晚|早|个?(?:早上|晚上|清晨|上午|中午|下午))")
_EVERY_PART = re.compile(r"(?:every|each) (morning|evening|night|afternoon)\b")
_SOME = (
    (re.compile(r"(?:每个?)?工作日(?:每天)?|(?:every |on |each )?week ?days?\b"), (0, 1, 2, 3, 4)),
    (re.compile(r"每个?周末|(?:every |on |each )?weekends?\b"), (5, 6)),
)
_NOT_OFFERED = re.compile(
    r"每个?(?:月|年|小时|季度|分钟)|每?隔|每[两二三四五六七八九十0-9]+个?(?:天|周|星期|月|小时|分钟)|每半|"
    r"\bevery (?:\d+|two|three|other|second|hour|month|year|minute)|\b(?:monthly|hourly|yearly|biweekly|fortnightly)\b"
)
_BARE_WEEKLY = re.compile(r"每个?(?:周|星期|礼拜)|weekly\b|every week\b")
_UNTIL = re.compile(
    r"[\s,，;；(（]*(?:(?:一?直?到|至)\s*(?P<zh>(?!时)[^到至]+?)\s*(?:为止|结束)?|\b(?:until|till|through)\s+(?P<en>.+))[)）]?$"
)
_WHOLE_WEEK = re.compile(rf"(?:课程)?第\s*({_N})\s*(?:周|星期)(?:末|结束)?|(?:the end of )?week ([0-9]{{1,3}})")
_ZH_NAMES = {name: place for place, name in enumerate("一二三四五六日")} | {str(place + 1): place for place in range(7)} | {"天": 6}
_EN_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DIGITS = {"零": 0, "一": 1, "二": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
#: A day without a change of clocks on which clock times are read, and the noon before it.
_CALM = datetime(2026, 1, 5, 12, tzinfo=UTC)


def read_rule(text: str, now: datetime, zone: str, starts_on: date | None) -> Reading | Unclear:
    """When `text` says that something shall come, for a course in `zone` (IANA name) that begins on `starts_on`. Raises for no text."""
    words = _plain(text)
    ending = _UNTIL.search(words)
    if ending is None:
        return _read(words, now, zone, starts_on)
    until = read_day(ending.group("zh") or ending.group("en"), now, zone, starts_on)
    if until is None:
        whole = _read(words, now, zone, starts_on)
        return whole if isinstance(whole, Reading) else Unclear("until")
    return _with_until(_read(words[: ending.start()], now, zone, starts_on), until)


def read_until(text: str, now: datetime, zone: str, starts_on: date | None) -> date | None:
    """The last day in words like `到12月20日` or `until 20 Dec`; None for all other words."""
    ending = _UNTIL.fullmatch(_plain(text))
    return None if ending is None else read_day(ending.group("zh") or ending.group("en"), now, zone, starts_on)


def read_day(text: str, now: datetime, zone: str, starts_on: date | None) -> date | None:
    """A day to come, or the last day of a week of the course; None where the words are neither."""
    words = _plain(text)
    week = _WHOLE_WEEK.fullmatch(words)
    if week is not None:
        number = _number(week.group(1) or week.group(2))
        fits = starts_on is not None and 1 <= number <= MOST_WEEKS
        return days_of_week(number, starts_on)[1] if fits and starts_on is not None else None
    found = read_moment(f"{words} 23:59", now, zone)
    return found.at.astimezone(ZoneInfo(zone)).date() if isinstance(found, Moment) else None


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text[: _LONGEST * 2]).casefold().split()).strip(" .。!！,，~～?？")


def _with_until(read: Reading | Unclear, until: date) -> Reading | Unclear:
    if isinstance(read, Reading):
        return Reading(read.rule, until)
    return Unclear(read.key, tuple(Reading(each.rule, until) for each in read.candidates))


def _read(words: str, now: datetime, zone: str, starts_on: date | None) -> Reading | Unclear:
    if not words or len(words) > _LONGEST:
        return Unclear("unreadable")
    if _NOT_OFFERED.search(words):
        return Unclear("monthly")
    for form in _WEEK_FORMS:
        if found := form.search(words):
            return _in_week(found, words, starts_on)
    if (recurring := _recurring(words)) is not None:
        weekdays, rest = recurring
        return _ambiguous_twenty(words, weekdays, rest) or _at_clock(rest, weekdays)
    if _BARE_WEEKLY.search(words):
        return Unclear("no_weekday")
    return _once(words, now, zone)


def _recurring(words: str) -> tuple[tuple[int, ...], str] | None:
    """The weekdays that are named (none: every day) and what is left of the words; None where nothing recurs."""
    for form in _EVERY_FORMS:
        if found := form.search(words):
            return _weekdays(found.group("days")), _rest(words, found)
    for pattern, weekdays in _SOME:
        if found := pattern.search(words):
            return weekdays, _rest(words, found)
    if found := _EVERY_PART.search(words):
        part = "at night" if found.group(1) == "night" else f"in the {found.group(1)}"
        return (), f"{_rest(words, found)} {part}"
    found = _DAILY.search(words)
    return ((), _rest(words, found)) if found else None


def _rest(words: str, found: re.Match[str]) -> str:
    return f"{words[: found.start()]} {words[found.end() :]}".strip(" ,，、;；")


def _ambiguous_twenty(words: str, weekdays: tuple[int, ...], rest: str) -> Unclear | None:
    """`每周一二十点`: Monday and Tuesday at ten, or Monday at twenty."""
    if len(weekdays) < 2 or weekdays[-1] != 1 or not re.search(r"[一二三四五六日天]二十[点时]", words):
        return None
    readings = [each for days, clock in ((weekdays, rest), (weekdays[:-1], f"二{rest}")) for each in _readings(_at_clock(clock, days))]
    return Unclear("several", tuple(readings))


def _readings(read: Reading | Unclear) -> tuple[Reading, ...]:
    return (read,) if isinstance(read, Reading) else read.candidates


def _in_week(found: re.Match[str], words: str, starts_on: date | None) -> Reading | Unclear:
    week = _number(found.group("week"))
    if starts_on is None:
        return Unclear("no_start")
    if not 1 <= week <= MOST_WEEKS:
        return Unclear("week")
    if not found.group("days"):
        return Unclear("no_weekday")
    return _at_clock(_rest(words, found), _weekdays(found.group("days")), week)


def _weekdays(words: str) -> tuple[int, ...]:
    named = re.findall(r"mon|tue|wed|thu|fri|sat|sun", words)
    if named:
        return tuple(sorted({_EN_NAMES.index(each) for each in named}))
    bare = re.sub("周|星期|礼拜", "", words)
    return tuple(sorted({_ZH_NAMES[each] for each in bare if each in _ZH_NAMES}))


def _number(words: str) -> int:
    """A number of digits or of Chinese numerals up to 99; 0 where the numerals make none."""
    if words.isascii():
        return int(words)
    tens, ten, ones = words.partition("十")
    if not ten:
        return _DIGITS[words] if len(words) == 1 else 0
    return (_DIGITS[tens] if tens else 1) * 10 + (_DIGITS[ones] if ones else 0) if max(len(tens), len(ones)) < 2 else 0


def _at_clock(clock: str, weekdays: tuple[int, ...], week: int = 0) -> Reading | Unclear:
    """The clock time that is left, on these days: read as of a day on which no clock changes. After midnight is the day after."""
    if not clock.strip():
        return Unclear("no_hour")
    read = read_moment(f"tomorrow {clock}", _CALM, "UTC")
    if isinstance(read, Moment):
        return _shifted(read.at, weekdays, week) or Unclear("unreadable")
    if read.key != "several":
        return Unclear(read.key if read.key in ("no_such_hour", "no_hour") else "unreadable")
    shifted = [_shifted(each, weekdays, week) for each in read.candidates]
    return Unclear("several", tuple(each for each in shifted if each is not None))


def _shifted(at: datetime, weekdays: tuple[int, ...], week: int) -> Reading | None:
    """The rule at this moment of the calm day, or of the one behind it."""
    later = (at.date() - _CALM.date()).days - 1
    if not 0 <= later <= 1:
        return None
    if later and week:
        return None  # "Sunday night at 12" may lie in another week: it is asked for as a day and 0:00
    return Reading(Rule(at.time(), weekdays=tuple(sorted((day + later) % 7 for day in weekdays)), week=week))


def _once(words: str, now: datetime, zone: str) -> Reading | Unclear:
    read = read_moment(words, now, zone)
    if isinstance(read, Moment):
        return _single(read.at, zone)
    return Unclear(read.key, tuple(_single(each, zone) for each in read.candidates))


def _single(at: datetime, zone: str) -> Reading:
    local = at.astimezone(ZoneInfo(zone))
    return Reading(Rule(local.time().replace(second=0, microsecond=0, fold=0), day=local.date()))
