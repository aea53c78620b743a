"""Hides what each column and each word of an export means, in both languages, and the notes that go with it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from app.packed import Cell
from app.states import Asked
from app.study.columns import COLUMNS, EACH_ITEM, WORDS
from app.study.reading import AskedWave, Questionnaire, Study
from app.study.tables import Row, demonstrations, item_column
from bots.questionnaire.instrument import Instrument, Item, Rule
from bots.texts import LANGUAGES, TextError, Texts, load_texts

#: The score that a study reports where an instrument has several totals.
_DEFAULT_TOTAL = "total"


def load() -> Texts:
    """The words of the export. Raises `TextError`."""
    return load_texts(Path(__file__).parent)


def rows(texts: Texts, course: Study) -> Iterator[Row]:
    """The codebook: every column, every word of a closed list, every questionnaire, item and score."""
    for file, columns in COLUMNS.items():
        stem = file.removesuffix(".csv")
        for column in columns:
            name = "each_item" if column == EACH_ITEM else column
            yield {"file": file, "column": column, **_meaning(texts, f"columns.{stem}.{name}")}
            for entry in WORDS.get((file, column), ()):
                yield {"file": file, "column": column, "entry": entry, **_meaning(texts, _word_key(stem, column, entry))}
    for wave in course.waves:
        for each in wave.questionnaires:
            yield _questionnaire(texts, wave, each)
            for item in each.instrument.items:
                yield _item(texts, wave, each, item)
    for each in {(x.instrument.code, x.instrument.version): x for wave in course.waves for x in wave.questionnaires}.values():
        for rule in each.instrument.scores:
            yield _score(texts, each.instrument, rule)


def _word_key(stem: str, column: str, entry: str) -> str:
    """States of a wave mean the same where they are counted."""
    counted = (stem, column) == ("flow", "step") and entry in set(Asked)
    return f"words.assignments.state.{entry}" if counted else f"words.{stem}.{column}.{entry}"


def _meaning(texts: Texts, key: str, **gaps: Any) -> Mapping[str, Cell]:
    return {f"meaning_{language}": texts.fill(key, language, **gaps) for language in LANGUAGES}


def _questionnaire(texts: Texts, wave: AskedWave, each: Questionnaire) -> Row:
    instrument = each.instrument
    return {
        "file": "long.csv",
        "column": "instrument",
        "entry": instrument.code,
        **_meaning(texts, "entries.questionnaire"),
        **_asked(texts, wave, each),
        **{f"words_{language}": f"{instrument.title[language]}\n{instrument.opening(language, each.frame)}" for language in LANGUAGES},
        "source": instrument.source,
        "rights": instrument.rights,
    }


def _item(texts: Texts, wave: AskedWave, each: Questionnaire, item: Item) -> Row:
    rules = each.instrument.scores
    into = {rule.code: _turned(each.instrument, rule, item.number) for rule in rules}
    return {
        "file": "wide.csv",
        "column": item_column(wave, each.instrument, item),
        "entry": item.number,
        **_meaning(texts, "entries.item", number=item.number),
        **_asked(texts, wave, each),
        "topic": item.topic,
        "kind": item.kind.value,
        **{f"words_{language}": item.words[language] for language in LANGUAGES},
        **{f"labels_{language}": _labels(item, language) for language in LANGUAGES},
        "lowest": item.lowest,
        "highest": item.highest,
        "only_if": _only_if(each.instrument, item),
        "scores": " ".join(code for code, turned in into.items() if turned is not None),
        "reversed_in": " ".join(code for code, turned in into.items() if turned),
    }


def _asked(texts: Texts, wave: AskedWave, each: Questionnaire) -> Row:
    """Which version was asked, about what time, and in whose words: demonstration wording is marked in capitals."""
    frame = each.instrument.time_frames.get(each.frame or "", {})
    return {
        "wave": wave.code,
        "instrument": each.instrument.code,
        "version": each.instrument.version,
        "checksum": each.instrument.checksum,
        "time_frame": each.frame,
        **{f"time_frame_{language}": frame.get(language) for language in LANGUAGES},
        **{f"wording_{language}": _wording(texts, each.wording[language]) for language in LANGUAGES},
        "wording_source": each.source,
        "wording_permission": each.permission,
        "wording_translation": each.translation,
        "wording_checksum": each.checksum,
    }


def _wording(texts: Texts, status: str) -> str:
    try:
        return " / ".join(texts.fill(f"wording.{status}", language) for language in LANGUAGES)
    except TextError:  # a study's own instrument has a word of its own for it
        return status


def _labels(item: Item, language: str) -> str:
    labels = item.anchors.get(language, ())
    return "; ".join(f"{point} = {label}" for point, label in zip(item.points, labels, strict=True)) if labels else ""


def _only_if(instrument: Instrument, item: Item) -> str:
    if item.only_if is None:
        return ""
    decides = next(each for each in instrument.items if each.number == item.only_if[0])
    return f"{decides.name} in {' '.join(map(str, sorted(item.only_if[1])))}"


def _turned(instrument: Instrument, rule: Rule, number: int) -> bool | None:
    """Whether an item counts reversed in a score; None where it does not count at all. Reversed twice is not reversed."""
    if rule.items:
        return number in rule.reversed if number in rule.items else None
    made_of = (each for each in instrument.scores if each.code in rule.of)
    below = ((_turned(instrument, each, number), each.code in rule.reversed) for each in made_of)
    return next((inner is not outer for inner, outer in below if inner is not None), None)


def _score(texts: Texts, instrument: Instrument, rule: Rule) -> Row:
    parts = ", ".join(f"reversed {name}" if name in rule.reversed else str(name) for name in (rule.items or rule.of))
    return {
        "file": "scores.csv",
        "column": "score",
        "entry": rule.code,
        **_meaning(texts, "entries.score"),
        "instrument": instrument.code,
        "version": instrument.version,
        "checksum": instrument.checksum,
        "made_of": f"{'' if rule.times == 1 else f'{rule.times} * '}{rule.how}({parts})",
        "most_missing": rule.most_missing,
        "bands": "; ".join(f"{band.code} from {band.start:g}" for band in rule.bands),
        "default_total": int(rule.code == _DEFAULT_TOTAL),
        "source": instrument.source,
        "rights": instrument.rights,
    }


# Notes --------------------------------------------------------------------------------------------------------------------------------


def notes(texts: Texts, course: Study, prorated: Counter[tuple[str, str, str]], now: datetime) -> str:
    """What the files are and by which rules they were made: Chinese first, then English."""
    return "\n\n".join(_notes(texts, course, prorated, now, language) for language in LANGUAGES) + "\n"


def _notes(texts: Texts, course: Study, prorated: Counter[tuple[str, str, str]], now: datetime, language: str) -> str:
    def say(key: str, **gaps: Any) -> str:
        return texts.fill(key, language, str(course.zone), **gaps)

    ours = say("notes.comma").join(f"{each.instrument.title[language]} ({each.instrument.code})" for each in demonstrations(course))
    made = say(
        "notes.made",
        course=course.code,
        moment=now.astimezone(course.zone).isoformat(timespec="seconds"),
        revision=course.revision,
        version=version("tongban"),
        people=len(course.people),
        waves=len(course.waves),
        planned=course.planned,
    )
    stems = [file.removesuffix(".csv") for file in COLUMNS]
    listed = "\n".join(f"- `{stem}.csv`: {say(f'files.{stem}')}" for stem in stems)
    counted = [say("notes.prorated", count=prorated.total())]
    counted += [
        say("notes.prorated_line", wave=wave, instrument=instrument, score=score, count=count)
        for (wave, instrument, score), count in prorated.items()
        if count
    ]
    parts = {
        "files": listed,
        "missing": say("notes.missing"),
        "scores": "\n".join((say("notes.scores"), "", *counted)),
        "times": say("notes.times", zone=str(course.zone)),
        "privacy": say("notes.privacy"),
    }
    head = [f"# {say('notes.title')}", say("notes.demonstration", names=ours) if ours else say("notes.genuine"), made]
    return "\n\n".join([*head, *(f"## {say(f'notes.{name}_title')}\n\n{text}" for name, text in parts.items())])
