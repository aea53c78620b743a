"""compose.yaml and Dockerfile promise what docs/operations.md says: two of each, one spool, nothing secret, real signs of life."""

import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from app import heartbeat
from app.cli import build
from app.settings import Settings
from app.web import connections, hooks
from tests.docs.test_docs import ROOT, _paths, read

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = ("migrate", "web", "worker")
PROXY: str = COMPOSE["configs"]["proxy"]["content"]


def environment(service: str) -> dict[str, str]:
    return {str(name): str(value) for name, value in SERVICES[service]["environment"].items()}


@pytest.mark.parametrize("service", ["web", "worker"])
def test_there_are_two_of_each_and_each_may_end_in_good_order(service: str) -> None:
    assert SERVICES[service]["deploy"]["replicas"] == 2
    assert "container_name" not in SERVICES[service]  # a name would allow one only
    assert "ports" not in SERVICES[service]
    assert int(SERVICES[service]["stop_grace_period"].removesuffix("s")) > 15
    assert SERVICES[service]["restart"] == "unless-stopped"


@pytest.mark.parametrize("service", ["web", "worker"])
def test_the_database_is_migrated_once_before_anything_starts(service: str) -> None:
    assert SERVICES[service]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert SERVICES["migrate"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert SERVICES["migrate"]["restart"] == "no"


@pytest.mark.parametrize("service", OURS)
def test_ours_run_commands_that_exist_with_settings_that_exist(service: str) -> None:
    commands = {path.removeprefix("tongban ") for path in _paths(get_command(build()), "tongban")}
    assert " ".join(SERVICES[service]["command"]) in commands
    assert set(environment(service)) <= {f"TONGBAN_{name.upper()}" for name in Settings.model_fields}
    assert SERVICES[service]["env_file"] == ".env"
    assert SERVICES[service]["read_only"] is True
    assert SERVICES[service]["cap_drop"] == ["ALL"]


def test_every_web_writes_one_spool_that_outlives_them() -> None:
    name, place = SERVICES["web"]["volumes"][0].split(":")
    assert name in COMPOSE["volumes"]
    assert Path(environment("web")["TONGBAN_SPOOL"]).is_relative_to(place)
    assert f"chown tongban:tongban {place}" in read("Dockerfile")  # a new volume takes its owner from the image


def test_nothing_secret_is_written_down() -> None:
    text = read("compose.yaml") + read("Dockerfile")
    assert re.findall(r"postgresql://\w+:(?!\$\{POSTGRES_PASSWORD\})", text) == []
    secret = [field for field in Settings.model_fields if re.search("key|token|secret|smtp|webhook", field)]
    assert len(secret) > 5
    assert [name for service in OURS for name in environment(service) if name.removeprefix("TONGBAN_").lower() in secret] == []
    assert SERVICES["database"]["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")
    assert [port for service in SERVICES.values() for port in service.get("ports", ()) if not port.startswith("127.0.0.1:")] == []


def test_the_proxy_knows_nobody_and_shows_no_metrics() -> None:
    assert "set $$web web;" in PROXY  # a name that is asked again: whoever is there now
    assert f"proxy_pass http://$$web:{environment('web')['TONGBAN_PORT']};" in PROXY
    assert not {"ip_hash", "hash", "sticky", "least_conn"} & set(PROXY.split())
    assert re.search(r"location = /metrics \{\s+return 404;", PROXY)
    assert "/health/ready" not in PROXY  # while the database is away, pushes still go to the spool
    assert "/health/live" in read("Dockerfile")


def test_the_proxy_lets_through_what_a_push_may_have_and_waits_as_long_as_the_platform() -> None:
    assert f"client_max_body_size {hooks.MOST_BYTES // 1024}k;" in PROXY
    assert f"client_header_timeout {connections.HEADER_SECONDS:.0f}s;" in PROXY
    assert "proxy_read_timeout 5s;" in PROXY
    assert "proxy_next_upstream error non_idempotent;" in PROXY  # a repeat is recognised


def test_a_worker_that_hangs_is_seen(tmp_path: Path) -> None:
    """The very words of the health check, on a file that was just renewed and on one that was not."""
    kind, words = SERVICES["worker"]["healthcheck"]["test"]
    file = tmp_path / "heartbeat"
    assert kind == "CMD-SHELL"
    assert environment("worker")["TONGBAN_HEARTBEAT_FILE"] in words
    check = ["/bin/sh", "-c", words.replace(environment("worker")["TONGBAN_HEARTBEAT_FILE"], str(file))]
    assert subprocess.run(check, capture_output=True, check=False).returncode != 0
    heartbeat.touch(file)
    assert subprocess.run(check, capture_output=True, check=False).returncode == 0
    long_ago = time.time() - 120
    os.utime(file, (long_ago, long_ago))
    assert subprocess.run(check, capture_output=True, check=False).returncode != 0
    assert heartbeat.BEAT_SECONDS * 3 < heartbeat.SILENCE_SECONDS


def test_the_image_runs_without_rights_and_installs_what_is_locked() -> None:
    dockerfile = read("Dockerfile")
    assert re.search(r"^USER 10001:10001$", dockerfile, re.MULTILINE)
    assert "--require-hashes" in dockerfile
    assert "requirements/run.txt" in dockerfile
    assert "STOPSIGNAL SIGTERM" in dockerfile
    assert 'ENTRYPOINT ["python", "-m", "app"]' in dockerfile
