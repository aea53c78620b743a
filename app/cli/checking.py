"""`tongban check`: says what is wrong before somebody finds out in the chat, each time with the remedy."""

from collections.abc import Iterator
from dataclasses import dataclass

import typer

from app import accounts, flags, overview
from app.assembly import Assembly
from app.cli import desk
from app.db import Tx
from app.errors import AppError, Invalid
from app.flags import OutsideRoutes
from app.keyring import Keyring, Unreadable
from app.overview import AccountLine, CourseLine
from app.settings import Settings, is_loopback
from bots.texts import LANGUAGES


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `verdict`: ok, note, WARNING (works, but should not stay so) or FAIL."""

    verdict: str
    words: str


def check() -> None:
    """Check settings, keys, database, bots, texts, accounts and courses, and say what is wrong without starting anything.

    Example: tongban check
    """
    findings = list(_findings())
    for finding in findings:
        typer.echo(f"{finding.verdict:8} {finding.words}", err=finding.verdict == "FAIL")
    failed = sum(finding.verdict == "FAIL" for finding in findings)
    if failed:
        raise Invalid("check", f"{failed} of {len(findings)} checks failed; the lines marked FAIL say what to do.")
    typer.echo("All is well.")


def _findings() -> Iterator[Finding]:
    try:
        settings = desk.read_settings()
        yield Finding("ok", "settings can be read, and the keys are keys")
        desk.require_newest(settings.database_url)
        yield Finding("ok", "the database is on the newest revision")
        assembly = desk.put_together(settings)
    except AppError as refused:
        yield Finding("FAIL", refused.sentence)
        return
    yield Finding("ok", f"{len(assembly.tools.bots)} bots and their words: {', '.join(assembly.tools.bots)}")
    with assembly.database:
        yield from assembly.database.read_now(lambda tx: list(_stored(tx, assembly)))


def _stored(tx: Tx, assembly: Assembly) -> Iterator[Finding]:
    known, courses = overview.accounts(tx), [each for each in overview.courses(tx) if each.ended_at is None]
    if not known:
        yield Finding("note", "no account yet: `tongban account add --help` shows how to connect one")
    for account in known:
        yield from _account(tx, assembly.tools.keyring, assembly.settings, account)
    routes = flags.outside_routes(tx)
    for course in courses:
        yield from _course(course)
        yield from _on_call(course, [each for each in routes if each.course == course.code], mail=assembly.settings.smtp_url is not None)


def _account(tx: Tx, keyring: Keyring, settings: Settings, account: AccountLine) -> Iterator[Finding]:
    yield _opens(tx, keyring, account)
    if is_loopback(account.api_base):
        yield Finding("note", f"account {account.name} talks to a sandbox on this machine")
        return
    if is_loopback(settings.public_url):
        yield Finding(
            "FAIL", f"account {account.name}: no phone can reach TONGBAN_PUBLIC_URL {settings.public_url}; set the public https address"
        )
    elif settings.public_url.startswith("http://"):
        yield Finding("WARNING", f"account {account.name}: TONGBAN_PUBLIC_URL is not https, so what is read there can be seen on the way")
    if account.mode != "safe":
        yield Finding(
            "WARNING",
            f"!!! account {account.name} runs in {account.mode} mode: whoever sees one signed address can forge messages for five minutes; "
            "choose 安全模式 in WeChat's console and add the account with --mode safe !!!",
        )
    if settings.clock_file is not None:
        yield Finding("FAIL", f"account {account.name} is real, so TONGBAN_CLOCK_FILE must not be set")
    if account.notice_id is None:
        yield Finding(
            "note", f"account {account.name} has no notice: whoever did not write for 48 hours waits; `tongban account notice --help`"
        )


def _opens(tx: Tx, keyring: Keyring, account: AccountLine) -> Finding:
    try:
        accounts.credentials(tx, keyring, account.id)
    except Unreadable:
        return Finding("FAIL", f"account {account.name}: TONGBAN_MASTER_KEY does not open it; restore the key it was added with")
    return Finding("ok", f"account {account.name}: its secrets open")


def _course(course: CourseLine) -> Iterator[Finding]:
    real = not is_loopback(course.api_base)
    missing = [language for language in LANGUAGES if language not in course.texts["consent"]]
    if missing:
        remedy = f"`tongban course consent {course.code} --help` shows how to bring the approved one"
        verdict = "FAIL" if real and len(missing) == len(LANGUAGES) else "WARNING"
        yield Finding(
            verdict, f"course {course.code}: no consent text of its own in {', '.join(missing)}, the shipped sample is shown; {remedy}"
        )
    else:
        yield Finding("ok", f"course {course.code}: consent text {course.consent_version}")


def _on_call(course: CourseLine, people: list[OutsideRoutes], *, mail: bool) -> Iterator[Finding]:
    """Whether a cry for help leaves WeChat. `mail`: there is a mail server; without one an address is no route."""
    remedy = f"`tongban oncall add --course {course.code} --email …`"
    if any(each.email for each in people) and not mail:
        yield Finding("FAIL", f"course {course.code}: alerts by mail go nowhere; set TONGBAN_SMTP_URL, e.g. smtp://USER:PASSWORD@HOST:587")
    if not any(each.webhook or (each.email and mail) for each in people):
        yield Finding("FAIL", f"course {course.code}: nobody on call is reachable outside WeChat, so a cry for help may wait; {remedy}")
        return
    yield Finding("ok", f"course {course.code}: somebody on call is reachable outside WeChat")
    for each in people:
        if not each.webhook and not (each.email and mail):
            yield Finding(
                "WARNING",
                f"course {course.code}: number {each.position} on call is reachable in WeChat only, where an alert may wait; {remedy}",
            )
