"""Hides what one row of each table says: answers, their missing reasons, scores, changes and counts as cells."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from datetime import datetime
from itertools import groupby

from app import attendance
from app.db import Tx
from app.packed import Cell
from app.states import Asked
from app.study import reading
from app.study.columns import EACH_ITEM, NOT_ASKED, SKIPPED, WITHHELD, word
from app.study.reading import AskedWave, Change, Filled, Questionnaire, Study
from bots.questionnaire import scoring
from bots.questionnaire.instrument import Instrument, Item, Kind
from bots.questionnaire.scoring import Score
from bots.texts import LANGUAGES

Row = dict[str, Cell]

#: States whose moments would tell more than they should: the program invites and delivers in the order of rows, which is the order of
#: enrolment, and of a withdrawal the day is enough.
_BY_DAY = (Asked.INVITED, Asked.REACHED, Asked.WITHDRAWN)
_DECIMALS = 6


def participants(course: Study) -> Iterator[Row]:
    """Everybody who ever got a number."""
    for each in course.people:
        yield {
            "number": each.number,
            "state": "active" if each.withdrawn_on is None else "withdrawn",
            "withdrawn_on": None if each.withdrawn_on is None else each.withdrawn_on.isoformat(),
            "answers_erased": int(each.erased),
        }


def waves(course: Study) -> Iterator[Row]:
    """Every wave that has opened."""
    for wave in course.waves:
        yield {
            "wave": wave.code,
            **{f"title_{language}": wave.title.get(language) for language in LANGUAGES},
            "opens_at": _moment(course, wave.opens_at),
            "closes_at": _moment(course, wave.closes_at),
            "state": word("waves.csv", "state", wave.state),
            "late": word("waves.csv", "late", wave.late),
            "skips": int(wave.skips),
            "shuffled": int(wave.shuffled),
            "instruments": " ".join(each.instrument.code for each in wave.questionnaires),
        }


def assignments(course: Study, changes: Iterable[Change]) -> Iterator[Row]:
    """Every change of every assignment."""
    for each in changes:
        told = each.state not in _BY_DAY and not each.person.erased
        yield {
            "number": each.person.number,
            "wave": each.wave.code,
            "step": each.step,
            "state": word("assignments.csv", "state", each.state),
            "cause": word("assignments.csv", "cause", each.cause),
            "on": each.at.astimezone(course.zone).date().isoformat(),
            "at": _moment(course, each.at) if told else None,
            "seconds_after_opening": _seconds(each.wave, each.at) if told else None,
            "instrument_order": " ".join(each.order),
            "seed": each.seed,
        }


# Answers ------------------------------------------------------------------------------------------------------------------------------


def outcomes(each: Filled) -> Iterator[tuple[Item, int | None, str]]:
    """Every item with its value and why there is none; words of their own count as given (1), and are withheld."""
    asked = {item.number for item in each.questionnaire.instrument.asked(each.values)}
    why: dict[int, str] = {}
    for item in each.questionnaire.instrument.items:
        value = each.values.get(item.number) if item.number in asked else None
        why[item.number] = _missing(each, item, asked, why)
        yield item, value, why[item.number]


def _missing(each: Filled, item: Item, asked: Set[int], before: Mapping[int, str]) -> str:
    if item.number not in asked:  # whoever never came to the question that decides is missing for the same reason as there
        return each.absent if item.only_if and before[item.only_if[0]] == each.absent else NOT_ASKED
    if item.number not in each.values:
        return each.absent
    if each.values[item.number] is None:
        return SKIPPED
    return WITHHELD if item.kind is Kind.TEXT else ""


def long(course: Study, answers: Iterable[Filled]) -> Iterator[Row]:
    """A row for each item of each questionnaire of each participant."""
    for each in answers:
        for item, value, missing in outcomes(each):
            yield _long(course, each, item, value, missing)


def _long(course: Study, each: Filled, item: Item, value: int | None, missing: str) -> Row:
    row: Row = {
        "number": each.person.number,
        "wave": each.wave.code,
        "instrument": each.questionnaire.instrument.code,
        "version": each.questionnaire.instrument.version,
        "item": item.number,
        "name": item.name,
        "value": value,
        "missing": missing,
        "times_answered": each.times.get(item.number, 0),
    }
    given = each.given.get(item.number)
    if given is None or missing not in ("", SKIPPED, WITHHELD):
        return row
    at, road = given
    return row | {
        "answered_at": _moment(course, at),
        "seconds_after_opening": _seconds(each.wave, at),
        "road": word("long.csv", "road", road),
        "late": int(at >= each.wave.closes_at),
    }


def item_column(wave: AskedWave, instrument: Instrument, item: Item) -> str:
    """The column of an item in the wide table: `baseline_scs_1`, `baseline_intake_age`."""
    return EACH_ITEM.format(wave=wave.code, instrument=instrument.code, item=item.name)


def item_columns(course: Study) -> list[str]:
    """The columns of all items, in the order of waves and plan."""
    return [
        item_column(wave, each.instrument, item) for wave in course.waves for each in wave.questionnaires for item in each.instrument.items
    ]


def wide(answers: Iterable[Filled]) -> Iterator[Row]:
    """A row for each participant."""
    for person, theirs in groupby(answers, key=lambda each: each.person):
        row: Row = {"number": person.number}
        for each in theirs:
            instrument = each.questionnaire.instrument
            row |= {item_column(each.wave, instrument, item): value for item, value, _ in outcomes(each)}
        yield row


def scores(answers: Iterable[Filled], prorated: Counter[tuple[str, str, str]]) -> Iterator[Row]:
    """A row for each score of each scale of each participant; counts in `prorated` what was, by wave, instrument and score."""
    for each in answers:
        code = each.questionnaire.instrument.code
        for made, complete in _scored(each):
            prorated[each.wave.code, code, made.code] += made.prorated
            yield {
                "number": each.person.number,
                "wave": each.wave.code,
                "instrument": code,
                "version": each.questionnaire.instrument.version,
                "score": made.code,
                "value": _figure(made.value),
                "missing": made.missing,
                "prorated": int(made.prorated),
                "band": made.band,
                "complete_value": _figure(complete.value),
            }


def _scored(each: Filled) -> Iterator[tuple[Score, Score]]:
    """Each score, prorated by the rule and from complete answers only."""
    answers = {item: value for item, value in each.values.items() if value is not None}
    instrument = each.questionnaire.instrument
    if instrument.kind == "scale":
        complete = scoring.score(instrument, answers, complete_only=True)
        yield from ((made, complete[code]) for code, made in scoring.score(instrument, answers).items())


# Counts -------------------------------------------------------------------------------------------------------------------------------


#: Fewer people than this in a cell of those who are in no other file are not counted out (bad-inputs.md I7).
FEWEST = 5
_SCREENED = ("included", "declined", "no_questionnaires", "no_time", "other")


def flow(tx: Tx, course: Study) -> Iterator[Row]:
    """How many came how far: counts, and nobody's number."""
    screened = Counter[str]()
    for how, count in reading.screened(tx, course).items():
        screened[word("flow.csv", "step", how)] += count
    shown = _without_small({"answered": screened.total(), **{step: screened[step] for step in _SCREENED}})
    for step, told in shown.items():
        yield {**_count("screening", step, 0), "count": told}
    left = sum(each.withdrawn_on is not None for each in course.people)
    yield _count("course", "participants", len(course.people))
    yield _count("course", "active", len(course.people) - left)
    yield _count("course", "withdrawn", left)
    yield _count("course", "answers_erased", sum(each.erased for each in course.people))
    came = attendance.came_enough(tx, course.id)
    if came is not None:
        yield {**_count("course", "came_enough", 0), "count": _unless_small(came, len(course.people) - came)}
    for code, stands in reading.standing(tx, course.waves).items():
        yield _count("wave", "assigned", sum(stands.values()), code)
        for state, count in stands.items():
            yield _count("wave", state, count, code)


def _without_small(counts: Mapping[str, int]) -> dict[str, int | str]:
    """These counts without those that are so small that they point to somebody, and without what would give them away.

    Who was screened out is in no other file. The other counts are the numbers of rows of the tables: nothing is hidden there, and how many
    were included is nearly known from them. So the hidden ones must be `FEWEST` at least together, or their sum is not told either.
    """
    apart = [step for step in _SCREENED if step != "included"]
    hidden = {step for step in apart if 0 < counts[step] < FEWEST}
    others = sorted((step for step in apart if counts[step] >= FEWEST), key=lambda step: counts[step])
    while hidden and others and sum(counts[step] for step in hidden) < FEWEST:
        hidden.add(others.pop(0))
    if 0 < sum(counts[step] for step in hidden) < FEWEST:
        hidden.add("answered")
    return {step: f"<{FEWEST}" if 0 < count < FEWEST else "" if step in hidden else count for step, count in counts.items()}


def _unless_small(count: int, others: int) -> int | str:
    """Who came to few classes is in no other file: neither they nor the rest are counted out where they are a handful."""
    return f"<{FEWEST}" if 0 < count < FEWEST else "" if 0 < others < FEWEST else count


def _count(part: str, step: str, count: int, wave: str = "") -> Row:
    return {"part": part, "wave": wave, "step": step, "count": count}


# Cells --------------------------------------------------------------------------------------------------------------------------------


def _moment(course: Study, at: datetime) -> str:
    return at.astimezone(course.zone).isoformat(timespec="seconds")


def _seconds(wave: AskedWave, at: datetime) -> int:
    return int((at - wave.opens_at).total_seconds())


def _figure(value: float | None) -> str | None:
    """Never as 1e-05, and without zeros that say nothing."""
    return None if value is None else f"{value:.{_DECIMALS}f}".rstrip("0").rstrip(".")


def demonstrations(course: Study) -> list[Questionnaire]:
    """The scales that were asked in words of ours, each once."""
    return list({each.instrument.code: each for wave in course.waves for each in wave.questionnaires if each.demonstration}.values())
