"""A command starts with what it needs and no more: a worker that is killed at night must be back at once."""

import subprocess
import sys
from functools import cache

import pytest
from alembic.script import ScriptDirectory

import migrations
from app.cli import build
from migrations import running
from tests.cli.test_demo import ROOT

WEB = {"fastapi", "starlette", "uvicorn", "jinja2", "wechatpy", "app.main", "app.web"}
SHEETS = {"openpyxl", "segno"}
MIGRATING = {"alembic", "mako"}
SANDBOX = {"app.sandbox"}
DATABASE = {"sqlalchemy", "app.models"}
TALKING = {"httpx", "aiohttp", "app.outbox"}

#: For each word what its start must not import.
KEPT_OUT = {
    "worker": WEB | SHEETS | MIGRATING | SANDBOX | {"prometheus_client"},
    "web": SHEETS | MIGRATING | SANDBOX,
    "run": SHEETS | MIGRATING | SANDBOX,
    "sandbox": MIGRATING | DATABASE | {"wechatpy", "app.main", "app.assembly", "app.outbox", "openpyxl"},
    "keys": WEB | SHEETS | MIGRATING | SANDBOX | DATABASE | TALKING | {"pydantic"},
    "health": WEB | SHEETS | MIGRATING | SANDBOX | {"prometheus_client"},
    "alarm": WEB | SHEETS | MIGRATING | SANDBOX,
    "migrate": WEB | SHEETS | SANDBOX,
}


@cache
def imported(word: str) -> set[str]:
    """Every module that a process has imported when it is about to run this command."""
    code = f"import sys, typer; from app.cli import build; typer.main.get_command(build()).commands[{word!r}]; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("word", KEPT_OUT)
def test_a_command_does_not_import_what_it_does_not_use(word: str) -> None:
    there = imported(word)
    assert "app.cli" in there
    assert {module for module in there if any(module == out or module.startswith(f"{out}.") for out in KEPT_OUT[word])} == set()


def test_a_worker_imports_what_it_works_with() -> None:
    """So that the list above is not kept by a name that has changed."""
    assert {"app.worker", "app.outbox.postman", "sqlalchemy", "httpx", "apscheduler"} <= imported("worker")
    assert {"app.main", "fastapi", "uvicorn", "wechatpy", "app.web.hooks"} <= imported("web")
    assert "app.sandbox" in imported("sandbox")


def test_naming_the_commands_imports_none_of_them() -> None:
    assert build() is not None
    code = "import sys, typer; from app.cli import build; print(*typer.main.get_command(build()).commands); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    words, modules = done.stdout.splitlines()
    assert {"worker", "web", "account"} <= set(words.split())
    assert [module for module in modules.split() if module in DATABASE | WEB | TALKING] == []


def test_the_newest_revision_is_found_without_alembic() -> None:
    assert migrations.head() == ScriptDirectory.from_config(running.config("")).get_current_head()
