"""The shape of the program (docs/decisions): who may import whom, who may commit, send, ask the time and draw lots.

An exemption is a line in a table here, with its reason. One that nothing needs any more fails too.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Mapping

import pytest

from tests.architecture.source import EVERYTHING, PROGRAM, ROOT, Call, Source, sources, within

Reasons = Mapping[str, str]

#: Standard modules that reach outside: a bot has no database, clock, network, files of its own choosing or threads.
OUTSIDE = {
    *("asyncio", "concurrent", "ctypes", "ftplib", "http", "multiprocessing", "os", "secrets", "select", "shutil", "signal", "smtplib"),
    *("socket", "socketserver", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid"),
}
BOTS_OUTSIDE: Reasons = {}
CLOCKS = re.compile(
    r"datetime\.datetime\.(now|utcnow|today)|datetime\.date\.today|time\.(time|time_ns|monotonic|monotonic_ns|perf_counter|perf_counter_ns"
    r"|gmtime|localtime)|uuid\.uuid[167]"
)
ASK_THE_TIME: Reasons = {
    "app.clock": "the one place that asks",
    "app.ids": "ids grow with the machine's time, whatever a demo's clock says",
}
COMMIT: Reasons = {
    "app.db": "the one place that commits",
    "app.sandbox": "`commit` there appends to the imitation's own journal; no database is near",
    "app.rehearsal.theatre": "makes the imitation's account and people, in that journal",
}
SEND: Reasons = {
    "app.outbox": "the one gate out",
    "app.alerts": "mail and webhooks to on-call people outside WeChat; their chat alerts are deliveries",
    "app.cli.on_duty": "the operator's `alarm test` tries the same mail and webhooks",
}
CHANCE = re.compile(r"secrets\.(?!compare_digest)\w+|random\.\w+|os\.urandom|uuid\.uuid[14]")
DRAW_LOTS: Reasons = {
    "app.ids": "issues every id, code and number",
    "app.sealing": "keys and nonces",
    "app.accounts": "an account's token and AES key for WeChat's console are drawn once",
    "app.web.hooks": "the nonce of an encrypted reply, and a token that nobody has for accounts that do not exist",
    "app.cli.keys": "the two keys that are not in the database are drawn for the operator",
    "app.channels.wechat.envelope": "the sixteen random bytes that the platform's encryption begins with",
    "app.placing.balancing": "groups are dealt by a seed that is said, so that a proposal can be made again",
    "app.rehearsal": "what imagined people do is drawn from a seed that is said, so that it can be played again",
    "app.sandbox": "the imitation issues tokens, tickets and ids as the platform does",
}
WORD_FOR_NOTHING = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "base",
    "manager",
    "managers",
    "service",
    "services",
    "data",
    "info",
    "misc",
}
LONG: Reasons = {"migrations.versions": "drafted by Alembic: a list of statements"}
MOST_LINES = 500
#: `noqa: X - reason`, `type: ignore[x]  # reason`: anything shorter hides why.
BARE = re.compile(r"# noqa(?!: [A-Z0-9, ]+ --? \S)|# type: ignore(?!\[[a-z, -]+\] +(# |- )\S)")


def keeps(check: Callable[[Source], list[str]], *folders: str, exempt: Reasons | None = None) -> None:
    """Fail with each line that breaks a rule outside its exemptions, and with each exemption that nothing needs."""
    reasons = exempt or {}
    found: list[str] = []
    needed: set[str] = set()
    for source in sources(*folders):
        for line in check(source):
            by = [name for name in reasons if within(source.module, name)]
            needed.update(by)
            if not by:
                found.append(f"{source.path}:{line}")
    found += [f"nothing needs the exemption of {name} any more" for name in sorted(set(reasons) - needed)]
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def imports_that(matches: Callable[[Source, str], bool]) -> Callable[[Source], list[str]]:
    return lambda source: [f"{line}: imports {name}" for name, line in source.imports.items() if matches(source, name)]


def calls_that(matches: Callable[[Source, Call], bool]) -> Callable[[Source], list[str]]:
    return lambda source: [f"{call.line}: {source.meaning(call)}" for call in source.calls if matches(source, call)]


def ours(source: Source, call: Call) -> bool:
    """Whether the receiver is a module of the program, so that the call is a function of ours and not a method of a thing."""
    return within(source.names.get(call.receiver, ""), *PROGRAM)


def test_bots_import_the_standard_library_and_bots_only() -> None:
    def foreign(_: Source, name: str) -> bool:
        return not within(name, "bots") and name.partition(".")[0] not in sys.stdlib_module_names

    keeps(imports_that(foreign), "bots")


def test_bots_reach_for_nothing_outside_themselves() -> None:
    def outside(_: Source, name: str) -> bool:
        return name.partition(".")[0] in OUTSIDE

    keeps(imports_that(outside), "bots", exempt=BOTS_OUTSIDE)


def test_bots_have_no_chance_but_the_seed_of_the_turn() -> None:
    def unseeded(source: Source, call: Call) -> bool:
        return source.meaning(call).startswith("random.") and call.name != "Random"

    keeps(calls_that(unseeded), "bots")


def test_only_the_wechat_channel_knows_wechatpy() -> None:
    def wechatpy(source: Source, name: str) -> bool:
        return within(name, "wechatpy") and not within(source.module, "app.channels.wechat", "tests")

    keeps(imports_that(wechatpy), *EVERYTHING)


def test_channels_know_no_rows() -> None:
    def rows(_: Source, name: str) -> bool:
        return within(name, "sqlalchemy", "migrations", "psycopg", "sqlite3") or (
            within(name, "app") and not within(name, "app.channels", "app.clock") and name != "app"
        )

    keeps(imports_that(rows), "app/channels")


def test_the_sandbox_knows_nothing_of_the_service_but_its_clock() -> None:
    def inner(_: Source, name: str) -> bool:
        return within(name, "bots", "sqlalchemy", "migrations", "psycopg") or (
            within(name, "app") and not within(name, "app.sandbox", "app.clock") and name != "app"
        )

    keeps(imports_that(inner), "app/sandbox")


def test_pages_hold_no_queries() -> None:
    def queries(_: Source, name: str) -> bool:
        return within(name, "sqlalchemy", "app.models", "psycopg", "sqlite3")

    keeps(imports_that(queries), "app/web")


def test_revisions_depend_on_nothing_that_will_change() -> None:
    def changing(_: Source, name: str) -> bool:
        return within(name, *PROGRAM)

    keeps(imports_that(changing), "migrations/versions")


def test_only_the_database_module_commits() -> None:
    def commits(source: Source, call: Call) -> bool:
        return bool(call.receiver) and call.name in {"commit", "begin", "rollback"} and not ours(source, call)

    keeps(calls_that(commits), *PROGRAM, exempt=COMMIT)


def test_only_the_outbox_sends() -> None:
    def sends(source: Source, call: Call) -> bool:
        channel_call = bool(call.receiver) and call.name in {"send", "notify", "send_to_tag"} and not ours(source, call)
        return channel_call and not within(source.module, "app.channels", "app.sandbox")

    keeps(calls_that(sends), *PROGRAM, exempt=SEND)


def test_only_the_clock_asks_the_time() -> None:
    def asks(source: Source, call: Call) -> bool:
        return CLOCKS.fullmatch(source.meaning(call)) is not None

    keeps(calls_that(asks), *PROGRAM, exempt=ASK_THE_TIME)


def test_only_a_rehearsal_holds_the_time_of_its_process() -> None:
    def holds(source: Source, call: Call) -> bool:
        return source.meaning(call) == "app.clock.hold"

    keeps(calls_that(holds), *PROGRAM, exempt={"app.rehearsal.theatre": "plays in a process of its own, and reaches nobody"})


def test_lots_are_drawn_in_named_places() -> None:
    def draws(source: Source, call: Call) -> bool:
        return CHANCE.fullmatch(source.meaning(call)) is not None

    keeps(calls_that(draws), "app", exempt=DRAW_LOTS)


def test_no_module_has_a_name_that_says_nothing() -> None:
    def empty(source: Source) -> list[str]:
        return [f"1: {word}" for word in source.module.split(".") if word in WORD_FOR_NOTHING]

    keeps(empty, *EVERYTHING)


def test_every_module_says_what_it_hides() -> None:
    def silent(source: Source) -> list[str]:
        return (
            [] if ast.get_docstring(source.tree) or (source.module.startswith("tests") and not source.text.strip()) else ["1: no docstring"]
        )

    keeps(silent, *EVERYTHING)


def test_no_file_is_longer_than_it_can_be_read() -> None:
    def long(source: Source) -> list[str]:
        lines = source.text.count("\n")
        return [f"{lines}: make it a package with the same public functions"] if lines > MOST_LINES else []

    keeps(long, *EVERYTHING, exempt=LONG)


def test_every_silenced_warning_has_its_reason() -> None:
    def bare(source: Source) -> list[str]:
        return [f"{number}: {line.strip()}" for number, line in enumerate(source.text.splitlines(), 1) if BARE.search(line)]

    keeps(bare, *PROGRAM, "migrations", "benchmarks")


def test_the_top_of_the_repository_holds_what_it_may() -> None:
    known = {
        *("app", "bots", "migrations", "tests", "benchmarks", "docs", "requirements", ".ci"),
        *("alembic.ini", "Dockerfile", "compose.yaml", "Makefile", "pyproject.toml"),
        *("README.md", "README.zh-CN.md", "CHANGELOG.md", "LICENSE", ".env.example", ".gitignore", ".dockerignore"),
    }
    listed = subprocess.run(["git", "ls-files", "--cached"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert {name.partition("/")[0] for name in listed.stdout.splitlines()} - known == set()


PROBES = [
    ("from random import choice\nchoice([1])", "random.choice"),
    ("import random as r\nr.choice([1])", "random.choice"),
    ("from datetime import datetime as dt\ndt.now()", "datetime.datetime.now"),
    ("import time\nfield(default_factory=time.time)", "time.time"),
    ("from time import monotonic\nmonotonic()", "time.monotonic"),
]


@pytest.mark.parametrize(("code", "meaning"), PROBES)
def test_the_rules_see_through_other_names(code: str, meaning: str) -> None:
    source = Source("app/probe.py", code)
    assert meaning in {source.meaning(call) for call in source.calls}


def test_relative_imports_are_understood() -> None:
    assert "app.models" in Source("app/web/probe.py", "from ..models import Person").imports
    assert "app.web.read" in Source("app/web/__init__.py", "from .read import page").imports
