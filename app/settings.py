"""Every setting of the program, read from the environment (`TONGBAN_…`) or a `.env` file. README.md has the table."""

import base64
import binascii
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.sealing import Vault

#: Fewer characters can be guessed.
_SHORTEST_TOKEN = 16


class Settings(BaseSettings):
    """The settings. A value that does not fit is refused at start with one sentence."""

    model_config = SettingsConfigDict(env_prefix="TONGBAN_", env_file=".env", extra="ignore")

    database_url: str = Field(
        "sqlite:///var/tongban.db", description="SQLite file or PostgreSQL: sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME"
    )
    master_key: SecretStr = Field(
        description="32 random bytes in base64: wraps every data key. Keep it outside the database and its backups"
    )
    previous_master_key: SecretStr | None = Field(None, description="The former master key, while rows are still wrapped by it")
    index_key: SecretStr = Field(description="32 random bytes in base64: blind indexes and signatures of links")
    spool: Path = Field(
        Path("var/spool"),
        description="Folder on a disk that stays: pushes are kept here, sealed, while the database is away; web processes may share it",
    )
    spool_most: int = Field(100_000, ge=0, description="So many pushes are kept there at most; then WeChat is told to try again")
    public_url: str = Field("http://127.0.0.1:8000", description="How phones reach this service; links to the read page begin with it")
    host: str = Field("127.0.0.1", description="Address to listen on")
    port: int = Field(8000, ge=1, le=65535, description="Port of the service")
    trusted_proxies: str = Field("", description="Addresses of proxies whose X-Forwarded-For counts, separated by commas")
    smtp_url: SecretStr | None = Field(None, description="Mail server for alerts: smtp://USER:PASSWORD@HOST:587 or smtps://…")
    alert_from: str = Field("tongban@localhost", description="Sender of alert mails")
    alarm_webhook: SecretStr | None = Field(None, description="Address that gets operators' alarms as JSON {text}")
    metrics_token: SecretStr | None = Field(
        None, description="Whoever sends it as bearer token may read /metrics; without it there is no such page"
    )
    heartbeat_file: Path | None = Field(None, description="A worker renews this file every five seconds, for whoever watches the process")
    tapped_opens_window: bool = Field(
        False, description="Whether a tap on a choice opens the 48 hours like typed words; pessimistic by default"
    )
    lease_seconds: float = Field(
        30, gt=0, le=600, description="After this many seconds of silence a worker counts as dead and others take over"
    )
    keep_pushes_days: int = Field(30, ge=7, description="How long it is remembered that a push came, never its words; receipts too")
    keep_quarantine_days: int = Field(30, ge=1, description="How long a push stays in quarantine after it was settled")
    keep_details_days: int = Field(
        180, ge=15, description="How long alarms, reports, and after a course's end the single tries of its messages are kept"
    )
    keep_audit_days: int = Field(1825, ge=30, description="How long it is kept who did what")
    clock_file: Path | None = Field(None, description="Demo only: file with the seconds by which the clock runs ahead")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")

    @field_validator("master_key", "previous_master_key", "index_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and _key_bytes(value) is None:
            raise ValueError("must be 32 bytes in base64; `tongban keys` prints fresh ones")
        return value

    @field_validator("metrics_token")
    @classmethod
    def _is_long(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        if len(value.get_secret_value()) < _SHORTEST_TOKEN:
            raise ValueError(f"must have {_SHORTEST_TOKEN} characters or more: head -c 32 /dev/urandom | base64")
        return value

    @field_validator("database_url")
    @classmethod
    def _is_a_database(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
            raise ValueError("must begin with sqlite:/// or postgresql://")
        return value.replace("postgresql://", "postgresql+psycopg://", 1)

    @field_validator("log_level")
    @classmethod
    def _is_a_level(cls, value: str) -> str:
        if value.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
        return value.upper()

    @field_validator("public_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname:
            raise ValueError("must be an address like https://group.example.org")
        return value.rstrip("/")

    def vault(self) -> Vault:
        """The master and index keys, ready to use."""
        keys = (_key_bytes(key) for key in (self.master_key, self.previous_master_key))
        return Vault([key for key in keys if key is not None], _key_bytes(self.index_key) or b"")


def is_loopback(address: str) -> bool:
    """Whether an http address is on this machine."""
    host = urlsplit(address).hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")


def _key_bytes(value: SecretStr | None) -> bytes | None:
    if value is None:
        return None
    try:
        key = base64.b64decode(value.get_secret_value(), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == 32 else None
