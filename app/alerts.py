"""Carries alerts out of WeChat: mail over SMTP, and a webhook that takes JSON `{"text": …}`."""

import asyncio
import smtplib
import socket
import ssl
from email.message import EmailMessage
from functools import partial
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import httpx
import structlog

from app import audit, clock, flags
from app.db import Database
from app.flags import OutsideAlert
from app.keyring import Keyring
from app.logs import place_of
from app.settings import Settings, is_loopback
from bots.safety.labels import label
from bots.texts import Texts

log = structlog.get_logger()

_SECONDS = 10


class AlertFailed(Exception):
    """An alert did not leave; the text is a word for the operators, without any address."""


class Alerter:
    """Sends the outside alerts of one process."""

    def __init__(self, database: Database, keyring: Keyring, words: Texts, settings: Settings) -> None:
        self._database = database
        self._keyring = keyring
        self._words = words
        self._settings = settings

    async def send_due(self) -> int:
        """Send what is due; returns how many alerts were tried."""
        now = clock.now()
        due = await self._database.write(lambda tx: flags.claim_alerts(tx, self._keyring, now, clock.machine_seconds()))
        await asyncio.gather(*(self._send_one(alert) for alert in due))  # at once: a webhook that hangs must not delay a mail
        return len(due)

    async def tell_operators(self) -> int:
        """Tell the operators' webhook of new alarms; returns how many. Without a webhook they stand in `tongban alarm list` only."""
        if self._settings.alarm_webhook is None:
            return 0
        now = clock.now()
        fresh = await self._database.read(partial(audit.untold, now=now))
        if not fresh:
            return 0
        lines = [f"[Tongban] {alarm.kind} {alarm.subject} (x{alarm.count})" for alarm in fresh]
        try:
            await _post(self._settings.alarm_webhook.get_secret_value(), "\n".join(lines))
        except AlertFailed as failed:
            log.warning("alarms_not_told", error=str(failed))
            return 0
        await self._database.write(lambda tx: audit.told(tx, [alarm.id for alarm in fresh], now))
        return len(fresh)

    async def _send_one(self, alert: OutsideAlert) -> None:
        error = await self._try(alert)
        await self._database.write(partial(flags.alert_done, alert_id=alert.id, error=error, now=clock.now()))

    async def _try(self, alert: OutsideAlert) -> str | None:
        try:
            await self.send(alert.route, alert.address, *self._texts(alert.details))
        except AlertFailed as failed:
            return str(failed)
        except Exception as bug:  # noqa: BLE001 - an address that nothing can send to is told to the operators like any other failure
            log.error("alert_failed", kind=type(bug).__name__, where=place_of(bug))  # noqa: TRY400 - a traceback may hold the address
            return f"{alert.route}: {type(bug).__name__}"
        return None

    async def send(self, route: str, address: str, subject: str, body: str) -> None:
        """One alert by "email" or "webhook". Raises `AlertFailed`."""
        if route == "webhook":
            await _post(address, f"{subject}\n{body}")
        else:
            await asyncio.to_thread(self._mail, address, subject, body)

    def _texts(self, details: dict[str, Any]) -> tuple[str, str]:
        person = details["person"] or self._words.fill("alert.someone", "zh")
        gaps = {**details, "person": person}
        both = [self._words.fill("alert.mail", each, **gaps | {"rule": label(details["rule"], each)}) for each in ("zh", "en")]
        return str(self._words.fill("alert.subject", "zh", **gaps)), "\n\n".join(both)

    def _mail(self, address: str, subject: str, body: str) -> None:
        if self._settings.smtp_url is None:
            raise AlertFailed("TONGBAN_SMTP_URL is not set")
        server = urlsplit(self._settings.smtp_url.get_secret_value())
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = subject, self._settings.alert_from, address
        mail.set_content(body)
        try:
            with _connect(server) as smtp:
                if server.username:
                    smtp.login(unquote(server.username), unquote(server.password or ""))
                smtp.send_message(mail)
        except (OSError, smtplib.SMTPException) as error:
            raise AlertFailed(f"mail: {type(error).__name__}") from None


def _connect(server: SplitResult) -> smtplib.SMTP:
    """A connection that nobody can listen to. Raises `AlertFailed` where another machine offers none: neither name nor password goes."""
    host = server.hostname or ""
    ourselves = socket.gethostname()  # else smtplib asks the DNS who we are, which may take longer than the alert can wait
    if server.scheme == "smtps":
        return smtplib.SMTP_SSL(host, server.port or 465, ourselves, timeout=_SECONDS, context=ssl.create_default_context())
    smtp = smtplib.SMTP(host, server.port or 587, ourselves, timeout=_SECONDS)
    smtp.ehlo()
    if smtp.has_extn("starttls"):
        smtp.starttls(context=ssl.create_default_context())
    elif not is_loopback(server.geturl()):
        smtp.close()
        raise AlertFailed("mail: no TLS")
    return smtp


async def _post(address: str, text: str) -> None:
    try:
        async with httpx.AsyncClient(timeout=_SECONDS, follow_redirects=False) as http:
            answer = await http.post(address, json={"text": text, "msgtype": "text", "content": text})
    except httpx.HTTPError as error:
        raise AlertFailed(f"webhook: {type(error).__name__}") from None
    if answer.status_code >= 300:
        raise AlertFailed(f"webhook: status {answer.status_code}")
