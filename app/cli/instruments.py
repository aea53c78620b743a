"""`tongban instrument …`: the questionnaires that there are: list them, read one with its key, check a file of your own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from app.cli import desk, wordings
from app.errors import Invalid, NotFound
from bots.questionnaire import scoring
from bots.questionnaire.instrument import Instrument, InstrumentError, Rule, every, find, load
from bots.texts import LANGUAGES

Code = Annotated[str, typer.Argument(help="An instrument's code, as `tongban instrument list` shows it.", show_default=False)]
File = Annotated[Path, typer.Argument(help="A file <code>.<version>.toml.", show_default=False)]
Language = Annotated[str, typer.Option("--language", help="zh or en.")]


def commands() -> typer.Typer:
    """The group `instrument`."""
    group = typer.Typer(name="instrument", help="Questionnaires: list, show, check a file; a study's own wording.", no_args_is_help=True)
    named: dict[str, Callable[..., None]] = {"list": list_lines, "show": show, "check": check}
    for name, command in named.items():
        group.command(name)(command)
    group.add_typer(wordings.commands())
    return group


def list_lines() -> None:
    """List every instrument and version, with whose words it speaks.

    Example: tongban instrument list
    """
    with _told():
        found = every()
    rows = [(x.code, x.version, len(x.items), x.minutes, x.title["zh"], x.title["en"], x.wording) for x in found]
    desk.table(("code", "version", "items", "minutes", "中文", "English", "wording"), rows)
    if any(instrument.demonstration for instrument in found):
        typer.echo("\n示范文字由本项目自己写成，没有经过检验，只能用来试用。")
        typer.echo("Demonstration wording is our own and was never validated: it is for trying out only.")


def show(code: Code, *, language: Language = LANGUAGES[0]) -> None:
    """Show an instrument: its words, its labels, how it is scored, and what its sources and rights are.

    Example: tongban instrument show dass21 --language en
    """
    if language not in LANGUAGES:
        raise Invalid("language", f"There is no {language!r} here; choose {' or '.join(LANGUAGES)}.")
    with _told():
        found = find()
    if code not in found:
        raise NotFound("instrument", f"There is no instrument {code!r}; there are {', '.join(sorted(found))}.")
    instrument = found[code]
    typer.echo(f"{instrument.title[language]} ({code} {instrument.version}, {instrument.wording})\n{instrument.opening(language)}\n")
    desk.table(("item", "topic", "words"), [(item.number, item.topic, item.words[language]) for item in instrument.items])
    typer.echo("")
    for items, labels in _labels(instrument, language):
        numbered = "  ".join(f"{point} {label}" for point, label in zip(instrument.points, labels, strict=True))
        typer.echo(f"{items}: {numbered}")
    typer.echo("")
    desk.table(("score", "how", "of", "reversed", "may miss", "bands"), [_scored(rule) for rule in instrument.scores])
    typer.echo(f"\nSource: {instrument.source}\nKey: {instrument.key}\nRights: {instrument.rights}\nWording: {instrument.wording_source}")


def check(file: File) -> None:
    """Check a file of your own: everything in it, and that its worked example comes out as you wrote it.

    Example: tongban instrument check my_scale.1.toml
    """
    with _told():
        instrument = load(file)
    made = scoring.score(instrument, instrument.example)
    for code, expected in instrument.example_scores.items():
        value = made[code].value
        if value is None or abs(value - expected) > scoring.CLOSE:
            told = "nothing" if value is None else f"{value:g}"
            raise Invalid("example", f"{file.name}: the example gives {code} = {told}, not {expected:g}; correct the key or the example.")
    typer.echo(f"{file.name} fits (items: {len(instrument.items)}, scores: {len(instrument.scores)}), and its example comes out.")


@contextmanager
def _told() -> Iterator[None]:
    """A file that does not fit is told in its own sentence."""
    try:
        yield
    except InstrumentError as wrong:
        raise Invalid("instrument", str(wrong)) from None


def _labels(instrument: Instrument, language: str) -> list[tuple[str, tuple[str, ...]]]:
    """Each set of labels with the items that have it."""
    by_labels: dict[tuple[str, ...], list[int]] = {}
    for item in instrument.items:
        by_labels.setdefault(item.anchors[language], []).append(item.number)
    return [(f"{numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else str(numbers[0]), labels) for labels, numbers in by_labels.items()]


def _scored(rule: Rule) -> tuple[str, str, str, str, int, str]:
    how = rule.how if rule.times == 1 else f"{rule.how} x {rule.times}"
    bands = ", ".join(f"{band.code} {band.start:g}+" for band in rule.bands)
    made_of, turned = (" ".join(map(str, names)) for names in (rule.items or rule.of, sorted(rule.reversed, key=str)))
    return rule.code, how, made_of, turned, rule.most_missing, bands
