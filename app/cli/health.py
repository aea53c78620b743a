"""`tongban health`: one screen that says whether the service runs, and for everything that needs somebody, what to do."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

import migrations
from app import audit, clock, gauges
from app.channels import Rules
from app.cli import desk
from app.db import Tx
from app.errors import AppError, Invalid
from app.gauges import AccountGauges, Gauges
from app.outbox.pace import QUOTA
from app.settings import Settings
from app.spool import Waiting, waiting

#: Seconds after which what should have happened by itself needs somebody.
_DUE_SECONDS, _ROAD_SECONDS, _SPOOL_SECONDS = 60, 600, 60
#: After so many a flag's next person has been called, and nobody has answered (docs/alarms.md).
_FLAG_SECONDS = 900
#: The platform's words for a day's and a minute's limit, and ours for the day's that we saw coming.
_LIMITS = ("45009", "45011", QUOTA)
_FORCED_A_DAY = 10
_SHOWN_ALARMS = 5


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `verdict`: ok, note (nobody must do anything) or ACT (somebody must, and the words say what)."""

    verdict: str
    words: str


def health(*, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Say whether the service runs and what needs somebody; ends with 1 where something does. Needs the database, no running process.

    Example: tongban health
    """
    settings = desk.read_settings()
    spooled = waiting(settings.spool)
    reading: Gauges | None = None
    findings = []
    try:
        with desk.migrated(settings) as database:
            reading, alarms = database.read_now(lambda tx: (_read(tx), _alarms(tx, clock.now())))
        findings = [Finding("ok", f"the database answers and stands at {migrations.head()}"), *judge(reading), *alarms]
    except AppError as refused:
        findings = [Finding("ACT", refused.sentence)]
    findings += _spool(spooled, settings, clock.now())
    needed = sum(finding.verdict == "ACT" for finding in findings)
    if as_json:
        typer.echo(json.dumps(_for_programs(findings, reading, spooled), ensure_ascii=False, indent=2))
        raise typer.Exit(int(needed > 0))
    for finding in findings:
        typer.echo(f"{finding.verdict:5} {finding.words}")
    if needed:
        raise Invalid("health", f"{needed} of {len(findings)} need somebody; the lines marked ACT say what to do.")
    typer.echo("The service runs.")


def judge(reading: Gauges) -> Iterator[Finding]:
    """What a reading of the database means."""
    if reading.workers:
        yield Finding("ok", "one worker lives" if reading.workers == 1 else f"{reading.workers} workers live")
    else:
        yield Finding("ACT", "no worker lives, so nothing is sent and nothing fires; start one: `tongban worker`, or `tongban run`")
    if not reading.accounts:
        yield Finding("note", "no account yet: `tongban account add --help` shows how to connect one")
    for account in reading.accounts:
        yield Finding("ok", f"account {account.account}: {_at_a_glance(account)}")
        for verdict, words in (*_people(account), *_sending(account), *_roads(account), *_token(account)):
            yield Finding(verdict, f"account {account.account}: {words}")


def _read(tx: Tx) -> Gauges:
    return gauges.read(tx, Rules(), clock.now(), clock.machine_seconds())


def _at_a_glance(account: AccountGauges) -> str:
    counts = account.deliveries
    moving = counts["ready"] + counts["claimed"] + counts["sending"]
    going = f"{moving} messages on their way" if moving else "nothing on its way"
    left = ", ".join(f"{api.left:,} {name}" for name, api in account.apis.items())
    return f"{account.pushes} pushes in five minutes; {going}; {counts['waiting']} wait for their person; calls left today: {left}"


def _people(account: AccountGauges) -> Iterator[tuple[str, str]]:
    """People who wait for a person."""
    if account.flags:
        late = account.oldest_flag >= _FLAG_SECONDS
        remedy = (
            "call the people on duty by telephone now: `tongban oncall list` names them" if late else "the people on duty have been called"
        )
        yield (
            ("ACT" if late else "note"),
            f"{account.flags} flags that nobody took over, the oldest {desk.length(account.oldest_flag)} old; {remedy}",
        )
    if account.unclosed:
        age = desk.length(account.oldest_unclosed)
        remedy = "ask whoever follows them: `tongban flags list`, then `tongban flags close NUMBER --note -`"
        yield "ACT", f"{account.unclosed} flags not closed, the first taken over {age} ago; {remedy}"
    if account.quarantined:
        yield (
            "ACT",
            f"{account.quarantined} pushes in quarantine; `tongban quarantine list` says why, `tongban quarantine replay` tries again",
        )
    if account.deliveries["held"]:
        yield "ACT", f"{account.deliveries['held']} deliveries held after a restore; `tongban deliveries list`, then release or write off"
    if account.deliveries["unknown"]:
        yield (
            "note",
            f"{account.deliveries['unknown']} deliveries in doubt; their authors see them too; `tongban deliveries list --state unknown`",
        )


def _sending(account: AccountGauges) -> Iterator[tuple[str, str]]:
    """What should have gone."""
    counts = account.deliveries
    if account.schedules_overdue:
        yield "ACT", f"{account.schedules_overdue} planned announcements are overdue; is a worker running, and what does its log say?"
    idle = not counts["claimed"] and not counts["sending"]
    if account.oldest_ready >= _DUE_SECONDS and idle and not any(api.parked_seconds for api in account.apis.values()):
        age = desk.length(account.oldest_ready)
        yield "ACT", f"{counts['ready']} messages are due, the oldest since {age}, and nobody sends them; look at the worker and its log"
    if account.expanding:
        yield "note", f"{account.expanding} broadcasts are being written out to their people"


def _roads(account: AccountGauges) -> Iterator[tuple[str, str]]:
    """What is parked, and why; one line for what concerns every API alike."""
    shut = {name: api for name, api in account.apis.items() if api.parked_seconds}
    reasons = {api.parked_code or "" for api in shut.values()}
    for reason in sorted(reasons):
        names = " and ".join(f"{name} messages" for name, api in shut.items() if api.parked_code == reason)
        until = desk.length(max(api.parked_seconds for api in shut.values() if api.parked_code == reason))
        if any(api.circuit_open for api in shut.values() if api.parked_code == reason):
            late = account.oldest_ready >= _ROAD_SECONDS
            remedy = (
                "it has gone on for ten minutes: look at the line, the proxy and WeChat's status" if late else "it is tried again by itself"
            )
            yield ("ACT" if late else "note"), f"calls to WeChat fail one after the other; {remedy}"
        elif reason in _LIMITS:
            yield "note", f"{names} rest for {until} ({reason}): WeChat's limit is reached; they go on by themselves"
        else:
            yield (
                "ACT",
                f"WeChat refuses the account with {reason}; mend it in WeChat's console, or `tongban account change`; docs/alarms.md",
            )


def _token(account: AccountGauges) -> Iterator[tuple[str, str]]:
    if account.forced_today >= _FORCED_A_DAY:
        remedy = "somebody else fetches tokens with this AppSecret; find them, or reset it and `tongban account change`"
        yield "ACT", f"the access token was taken from us {account.forced_today} times today; {remedy}"


def _alarms(tx: Tx, now: datetime) -> list[Finding]:
    """What operators were told of within a day."""
    rows = audit.alarms(tx, now - timedelta(days=1))
    if not rows:
        return [Finding("ok", "no alarm within a day")]
    shown = ", ".join(f"{row.kind} ({row.subject})" for row in rows[:_SHOWN_ALARMS])
    more = f" and {len(rows) - _SHOWN_ALARMS} more" if len(rows) > _SHOWN_ALARMS else ""
    return [Finding("note", f"alarms within a day: {shown}{more}; `tongban alarm list`, docs/alarms.md")]


def _spool(spooled: Waiting, settings: Settings, now: datetime) -> Iterator[Finding]:
    if spooled.aside:
        yield Finding("ACT", f"{spooled.aside} files of the spool {settings.spool} could not be read; docs/operations.md says what to do")
    if not spooled.count:
        yield Finding("ok", "nothing waits in the spool")
        return
    age = 0.0 if spooled.oldest is None else (now - spooled.oldest).total_seconds()
    words = f"{spooled.count} pushes wait in the spool {settings.spool}, the oldest {desk.length(age)} old"
    if age < _SPOOL_SECONDS:
        yield Finding("note", f"{words}; they are replayed as soon as the database answers")
    else:
        yield Finding("ACT", f"{words}; bring the database back, and let one `tongban web` with this folder run")


def _for_programs(findings: Sequence[Finding], reading: Gauges | None, spooled: Waiting) -> dict[str, Any]:
    return {
        "needs_somebody": any(finding.verdict == "ACT" for finding in findings),
        "findings": [dataclasses.asdict(finding) for finding in findings],
        "database": None if reading is None else dataclasses.asdict(reading),
        "spool": {"waiting": spooled.count, "aside": spooled.aside, "oldest": spooled.oldest.isoformat() if spooled.oldest else None},
    }
