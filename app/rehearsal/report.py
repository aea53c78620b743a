"""Hides the report of a rehearsal: a page to read, and two tables to calculate with."""

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined

from app.assembly import system_words
from app.cells import harmless
from app.rehearsal.playing import Played
from app.rehearsal.record import Message
from app.states import REACHED, SETTLED

PAGE, MESSAGES, OCCASIONS = "rehearsal.html", "messages.csv", "occasions.csv"
#: People whose messages the page lists one by one; the table has all.
_SHOWN = 8
#: What the page calls what the tables name by a code: habits, ways, what became of an occasion, why the course kept messages back.
HABITS = {
    "eager": "积极 · eager",
    "average": "一般 · average",
    "silent": "从不说话 · silent",
    "leaves in week 3": "第 3 周离开 · leaves in week 3",
    "answers at night": "夜里才回 · answers at night",
    "staff": "带组的人 · staff",
}
_WAYS = {"service": "客服消息 · service", "notice": "通知 · notice", "mass": "群发 · mass", "reply": "随回复 · reply"}
_OCCASIONS = {"planned": "待发 · to come", "fired": "已发 · sent", "missed": "错过 · missed", "cancelled": "取消 · cancelled"}
_HOLDS = {"quiet_hours": "安静时间 · quiet hours", "silence": "止语 · silence", "cap": "每天的上限 · the day's cap"}


@dataclass(frozen=True)
class _Person:
    name: str
    habit: str
    messages: list[Message]

    @property
    def reached(self) -> int:
        """Messages that WeChat accepted."""
        return sum(each.state in REACHED for each in self.messages)


def write(played: Played, folder: Path, group_names: dict[int, str]) -> Path:
    """Write the page and the tables into a folder; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    zone = ZoneInfo(played.zone)
    _write_messages(played, folder / MESSAGES, group_names, zone)
    _write_occasions(played, folder / OCCASIONS, group_names, zone)
    environment = Environment(loader=PackageLoader("app.rehearsal", "."), autoescape=True, undefined=StrictUndefined)
    environment.filters["kind"] = partial(_words, "kind")
    environment.filters["state"] = partial(_words, "state")
    environment.filters["habit"] = lambda name: HABITS.get(name, name)
    environment.filters["way"] = lambda name: _WAYS.get(name, name)
    environment.filters["became"] = lambda name: _OCCASIONS.get(name, name)
    environment.filters["local"] = lambda moment: moment.astimezone(zone).strftime("%Y-%m-%d %H:%M") if moment else "—"
    record = played.record
    page = environment.get_template(PAGE).render(
        played=played,
        record=record,
        groups=group_names,
        states=Counter(each.state for each in record.messages).most_common(),
        kinds=_kinds(record.messages),
        people=_people(record.messages),
        people_count=len({each.person for each in record.messages}),
        held=[(_HOLDS[reason], count) for reason, count in record.held.items()],
        waiting=Counter((each.state, each.why) for each in record.messages if each.state not in SETTLED).most_common(),
        whys_settled=Counter(each.why for each in record.messages if each.state in SETTLED - REACHED).most_common(),
        unplayed=sum(each.state == "planned" for each in record.occasions),
    )
    path = folder / PAGE
    path.write_text(page, encoding="utf-8")
    return path


def _words(what: str, code: str) -> str:
    """What people are told of such a thing elsewhere, in both languages."""
    words = system_words()
    return f"{words.fill(f'{what}.{code}', 'zh')} · {words.fill(f'{what}.{code}', 'en')}"


def _kinds(messages: tuple[Message, ...]) -> list[tuple[str, int, int]]:
    """Each kind: how many messages, and how many of them reached somebody."""
    total = Counter(each.kind for each in messages)
    reached = Counter(each.kind for each in messages if each.state in REACHED)
    return [(kind, count, reached[kind]) for kind, count in total.most_common()]


def _people(messages: tuple[Message, ...]) -> list[_Person]:
    """Somebody of each habit, and then some more."""
    by_person: dict[tuple[str, str], list[Message]] = {}
    for each in messages:
        by_person.setdefault((each.person, each.habit), []).append(each)
    people = [_Person(name, habit, own) for (name, habit), own in by_person.items()]
    firsts = list({each.habit: each for each in reversed(people)}.values())
    return (sorted(firsts, key=lambda each: each.habit) + [each for each in people if each not in firsts])[:_SHOWN]


def _write_messages(played: Played, path: Path, group_names: dict[int, str], zone: ZoneInfo) -> None:
    head = ("person", "group", "habit", "bot", "kind", "written", "left", "route", "state", "reason", "held back by", "in words")
    rows = [
        (
            each.person,
            group_names.get(each.group, ""),
            each.habit,
            each.bot,
            each.kind,
            _local(each.at, zone),
            _local(each.left_at, zone),
            each.route,
            each.state,
            each.reason,
            " ".join(each.held),
            each.why,
        )
        for each in played.record.messages
    ]
    _write_table(path, head, rows)


def _write_occasions(played: Played, path: Path, group_names: dict[int, str], zone: ZoneInfo) -> None:
    states = sorted({state for each in played.record.occasions for state in each.counts})
    head = ("when", "group", "occasion", "state", "why", "people", *states)
    rows = [
        (
            _local(each.at, zone),
            group_names.get(each.group, ""),
            each.code,
            each.state,
            each.why,
            str(sum(each.counts.values())),
            *(str(each.counts.get(state, 0)) for state in states),
        )
        for each in played.record.occasions
    ]
    _write_table(path, head, rows)


def _write_table(path: Path, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(head)
        writer.writerows([harmless(cell) for cell in row] for row in rows)


def _local(moment: datetime | None, zone: ZoneInfo) -> str:
    return "" if moment is None else f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"
