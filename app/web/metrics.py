"""`/metrics` for Prometheus: what the database holds at this moment and what this process answered; 404 for whoever lacks the token."""

import asyncio
import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime

from fastapi import APIRouter, HTTPException, Request, Response
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from pydantic import SecretStr

from app import clock, gauges
from app.assembly import Assembly
from app.db import PATIENCE_SECONDS
from app.errors import Unavailable
from app.gauges import AccountGauges, Gauges
from app.spool import Waiting, waiting
from app.web.tally import CLASSES, Tally


def routes(assembly: Assembly, tally: Tally) -> APIRouter:
    """`/metrics`."""
    router = APIRouter()

    @router.get("/metrics")
    async def metrics(request: Request) -> Response:
        if not _may_see(assembly.settings.metrics_token, request.headers.get("authorization", "")):
            raise HTTPException(404)  # as a page that does not exist
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        spooled = await asyncio.to_thread(waiting, assembly.settings.spool)
        registry.register(_Page(await _reading(assembly), spooled, tally, clock.now()))
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router


def _may_see(token: SecretStr | None, authorization: str) -> bool:
    if token is None:
        return False
    return secrets.compare_digest(authorization.encode(), f"Bearer {token.get_secret_value()}".encode())


async def _reading(assembly: Assembly) -> Gauges | None:
    """What the database holds; None while it is away."""
    rules = assembly.tools.rules
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await assembly.database.read(lambda tx: gauges.read(tx, rules, clock.now(), clock.machine_seconds()))
    except (TimeoutError, Unavailable):
        return None


class _Page(Collector):
    """One answer, as the library wants it."""

    def __init__(self, reading: Gauges | None, spooled: Waiting, tally: Tally, now: datetime) -> None:
        self._reading = reading
        self._spooled = spooled
        self._tally = tally
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Every metric."""
        yield _one("database_up", "1 while the database answers; without it the figures below that come from it are missing", self._up())
        yield from _spool(self._spooled, self._now)
        yield from _process(self._tally)
        if self._reading is not None:
            yield from _database(self._reading)

    def _up(self) -> float:
        return float(self._reading is not None)


def _database(reading: Gauges) -> Iterator[Metric]:
    accounts = reading.accounts
    yield _one("workers_alive", "Workers that gave a sign within the last half minute", reading.workers)
    yield _one("alarms_untold", "Alarms that went off and that the operators' webhook has not taken", reading.alarms_untold)
    yield _by_account("oldest_ready_seconds", "For how long the oldest delivery is due", ((a, a.oldest_ready) for a in accounts))
    yield _by_account("broadcasts_expanding", "Broadcasts whose audience is being written out", ((a, a.expanding) for a in accounts))
    yield _by_account("schedules_due", "Planned announcements whose moment has come", ((a, a.schedules_due) for a in accounts))
    yield _by_account("schedules_overdue", "Of these, since more than a minute", ((a, a.schedules_overdue) for a in accounts))
    yield _by_account(
        "quarantine_open", "Pushes that could not be handled and that nobody has settled", ((a, a.quarantined) for a in accounts)
    )
    yield _by_account("flags_open", "Cries for help that nobody has taken over", ((a, a.flags) for a in accounts))
    yield _by_account("oldest_open_flag_seconds", "For how long the oldest of them waits", ((a, a.oldest_flag) for a in accounts))
    yield _by_account("pushes_last_five_minutes", "Pushes taken within five minutes, by all processes", ((a, a.pushes) for a in accounts))
    yield _by_account("token_forced_today", "Forced refreshes of the access token today, of ten", ((a, a.forced_today) for a in accounts))
    yield _by_account(
        "token_expires_seconds",
        "Until the access token ends; negative when it has ended",
        ((a, a.token_left) for a in accounts if a.token_left is not None),
    )
    deliveries = GaugeMetricFamily(
        "tongban_deliveries", "Deliveries that are not settled; old ones are not counted", labels=["account", "state"]
    )
    left = GaugeMetricFamily("tongban_quota_left", "Calls left today", labels=["account", "api"])
    parked = GaugeMetricFamily("tongban_api_parked_seconds", "Until this API is called again; 0 while it is", labels=["account", "api"])
    circuit = GaugeMetricFamily(
        "tongban_api_circuit_open", "1 while calls fail one after the other and only probes go", labels=["account", "api"]
    )
    for each in accounts:
        for state, count in each.deliveries.items():
            deliveries.add_metric([each.account, state], count)
        for name, api in each.apis.items():
            left.add_metric([each.account, name], api.left)
            parked.add_metric([each.account, name], api.parked_seconds)
            circuit.add_metric([each.account, name], float(api.circuit_open))
    yield from (deliveries, left, parked, circuit)


def _spool(spooled: Waiting, now: datetime) -> Iterator[Metric]:
    age = 0.0 if spooled.oldest is None else max(0.0, (now - spooled.oldest).total_seconds())
    yield _one("spool_waiting", "Pushes on the disk of this machine that are not in the database yet", spooled.count)
    yield _one("spool_oldest_seconds", "Age of the oldest of them", age)
    yield _one("spool_aside", "Files of the spool that could not be read", spooled.aside)


def _process(tally: Tally) -> Iterator[Metric]:
    answers = CounterMetricFamily("tongban_push_answers", "Answers of the webhook by this process", labels=["outcome"])
    for outcome, count in tally.outcomes.items():
        answers.add_metric([outcome], count)
    yield answers
    upto, buckets = 0, []
    for end, count in zip((*map(str, CLASSES), "+Inf"), tally.classes, strict=True):
        upto += count
        buckets.append((end, float(upto)))
    seconds = HistogramMetricFamily("tongban_push_seconds", "From a request's headers to the end of its answer", labels=[])
    seconds.add_metric([], buckets, tally.seconds)
    yield seconds


def _one(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(f"tongban_{name}", words, value=value)


def _by_account(name: str, words: str, values: Iterable[tuple[AccountGauges, float]]) -> Metric:
    family = GaugeMetricFamily(f"tongban_{name}", words, labels=["account"])
    for each, value in values:
        family.add_metric([each.account], value)
    return family
