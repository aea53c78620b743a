"""What a process says when it starts, and what it tells the operators while it runs."""

import asyncio
import http.server
import json
import threading
from datetime import timedelta
from pathlib import Path

import structlog
from pydantic import SecretStr

from app import accounts, audit, clock
from app.alerts import Alerter
from app.assembly import warn_of_open_doors
from tests.stage import Stage


def test_a10_an_account_that_is_not_in_safe_mode_is_warned_of_at_start(sqlite_url: str, tmp_path: Path) -> None:
    async def start() -> list[str]:
        async with Stage(sqlite_url, tmp_path, mode="plaintext") as stage:
            with structlog.testing.capture_logs() as logged:
                await warn_of_open_doors(stage.assembly)
                stage.write(lambda tx: accounts.change(tx, stage.keyring, stage.account_id, clock.now(), mode="safe"))
                await stage.assembly.accounts.refresh(force=True)
                await warn_of_open_doors(stage.assembly)
        return [entry["event"] for entry in logged]

    assert asyncio.run(start()) == ["account_not_in_safe_mode"]


def test_an_alarm_is_told_to_the_operators_once_an_hour_however_often_it_goes_off(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_told(database_url, tmp_path))


async def _told(database_url: str, tmp_path: Path) -> None:
    heard: list[str] = []

    class Ear(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["content-length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = http.server.HTTPServer(("127.0.0.1", 0), Ear)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    async with Stage(database_url, tmp_path) as stage:
        settings = stage.settings.model_copy(update={"alarm_webhook": SecretStr(f"http://127.0.0.1:{server.server_port}/")})
        alerter = Alerter(stage.assembly.database, stage.keyring, stage.assembly.tools.words, settings)
        for _ in range(5):
            stage.write(lambda tx: audit.alarm(tx, clock.now(), "bot_failed", "KeyError"))
        assert await alerter.tell_operators() == 1
        stage.write(lambda tx: audit.alarm(tx, clock.now(), "bot_failed", "KeyError"))
        assert await alerter.tell_operators() == 0
        await stage.advance(timedelta(hours=2))
        stage.write(lambda tx: audit.alarm(tx, clock.now(), "bot_failed", "KeyError"))
        assert await alerter.tell_operators() == 1
    server.shutdown()
    server.server_close()
    assert heard == ["[Tongban] bot_failed KeyError (x5)", "[Tongban] bot_failed KeyError (x7)"]
