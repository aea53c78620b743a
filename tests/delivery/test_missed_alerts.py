"""A cry for help never waits silently: an alert that reaches nobody calls the next person at once, and the operators know."""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from app import audit, flags, people
from app.alerts import Alerter, AlertFailed
from app.channels import Accepted, Notice, Rules, SendError, Verdict
from app.db import Tx
from app.models import Account, Alert, Audit, Delivery, Flag, OnCall
from app.outbox import pace
from app.people import Known
from app.states import Route
from bots.turns import Role
from tests.delivery.scene import NOW, Desk, alarms, deliveries, run, says, wrote
from tests.delivery.test_flags import WORDS, _on_call, _outside

SOON = NOW + timedelta(seconds=5)


@dataclass
class _Line:
    """A channel that answers the first call as it is told, and takes the others."""

    verdict: Verdict | None = None
    rules: Rules = field(default_factory=Rules)

    async def send(self, _openid: str, _text: str) -> Accepted:
        verdict, self.verdict = self.verdict, None
        if verdict is not None:
            raise SendError(verdict, "x")
        return Accepted()

    async def notify(self, openid: str, _notice: Notice) -> Accepted:
        return await self.send(openid, "")


def _sends(desk: Desk, line: _Line, moment: datetime = SOON) -> None:
    run(desk.assembly.postman().send_due(desk.account_id, line, moment))  # type: ignore[arg-type]


def _steps(tx: Tx) -> list[tuple[int, int | None, str]]:
    """Step, person and state of each chat alert."""
    query = sa.select(Alert.step, OnCall.person_id, Alert.state).join(OnCall, OnCall.id == Alert.oncall_id)
    return [(step, person, state) for step, person, state in tx.execute(query.where(Alert.route == "chat").order_by(Alert.id))]


def _closed(desk: Desk, first: Known) -> None:
    desk.write(lambda tx: wrote(tx, first.identity_id, None))


def _gone(desk: Desk, first: Known) -> None:
    desk.write(lambda tx: people.left(tx, first, NOW))


def _late(desk: Desk, _first: Known) -> None:
    desk.write(lambda tx: tx.execute(sa.update(Delivery).values(stale_at=NOW)).rowcount)


def _stops(desk: Desk, first: Known) -> None:
    desk.write(lambda tx: people.pause(tx, first.id, NOW))


def _nothing(_desk: Desk, _first: Known) -> None:
    return None


@pytest.mark.parametrize(
    ("ends", "verdict", "before", "after"),
    [
        ("waiting", None, _closed, _nothing),
        ("waiting", Verdict.WINDOW_CLOSED, _nothing, _nothing),
        ("unreachable", None, _gone, _nothing),
        ("unreachable", Verdict.RECIPIENT_CLOSED, _nothing, _nothing),
        ("failed", Verdict.BAD_MESSAGE, _nothing, _nothing),
        ("unknown", Verdict.UNKNOWN, _nothing, _nothing),
        ("expired", None, _nothing, _late),
        ("cancelled", None, _nothing, _stops),
    ],
)
def test_an_alert_that_reaches_nobody_calls_the_next_at_once(
    database_url: str,
    ends: str,
    verdict: Verdict | None,
    before: Callable[[Desk, Known], None],
    after: Callable[[Desk, Known], None],
) -> None:
    with Desk(database_url) as desk:
        first, second = _two_on_call(desk)
        before(desk, first)
        says(desk, 3, WORDS)
        after(desk, first)
        line = _Line(verdict)
        for _ in range(2):  # a refused window looks for its next way
            _sends(desk, line)
        assert desk.read(lambda tx: deliveries(tx, kind="alert"))[first.id].state == ends
        assert desk.write(lambda tx: flags.call_due(tx, desk.tools, SOON)) == 1
        _sends(desk, line)
        assert desk.read(_steps) == [(1, first.id, "failed"), (2, second.id, "sent")]
        assert desk.read(lambda tx: deliveries(tx, kind="alert"))[second.id].word == ("sent", "service")
        assert desk.read(alarms)[f"alert_not_delivered course:{desk.course_id}"] == 1
        assert desk.write(lambda tx: flags.call_due(tx, desk.tools, SOON + timedelta(minutes=14))) == 0, "once is enough"


def _two_on_call(desk: Desk) -> tuple[Known, Known]:
    """李老师 and 陈老师, by chat only; 小雨 is the third person."""
    first, second = desk.person("李老师", Role.LEADER), desk.person("陈老师", Role.ASSISTANT)
    desk.person("小雨")
    for each in (first, second):
        _on_call(desk, each.id, email=None, webhook=None)
    return first, second


def test_an_alert_that_does_not_leave_within_a_minute_calls_the_next(database_url: str) -> None:
    with Desk(database_url) as desk:
        first, second = _two_on_call(desk)
        says(desk, 3, WORDS)
        for api in (Route.SERVICE, Route.NOTICE):
            desk.write(
                lambda tx, api=api: pace.park(tx, desk.account_id, api.value, NOW + timedelta(hours=1), "48001", NOW)  # type: ignore[misc]
            )
        _sends(desk, _Line())
        assert desk.write(lambda tx: flags.call_due(tx, desk.tools, SOON)) == 0
        assert desk.write(lambda tx: flags.call_due(tx, desk.tools, SOON + timedelta(minutes=1))) == 1
        assert [person for _, person, _ in desk.read(_steps)] == [first.id, second.id]
        assert desk.read(alarms)[f"alert_not_delivered course:{desk.course_id}"] == 1


def test_where_nobody_can_be_reached_everybody_is_called_once_in_a_quarter_of_an_hour(database_url: str) -> None:
    with Desk(database_url) as desk:
        both = _two_on_call(desk)
        for each in both:
            _closed(desk, each)
        says(desk, 3, WORDS)
        moment, called = NOW, []
        while moment < NOW + timedelta(minutes=29):
            moment += timedelta(seconds=10)
            _sends(desk, _Line(), moment)
            called += [moment] * desk.write(lambda tx, moment=moment: flags.call_due(tx, desk.tools, moment))  # type: ignore[misc]
        assert [person for _, person, _ in desk.read(_steps)] == [both[0].id, both[1].id, both[0].id, both[1].id]
        assert called[0] - NOW <= timedelta(seconds=10)
        assert called[1] - called[0] >= timedelta(minutes=14)
        assert desk.read(alarms)[f"alert_not_delivered course:{desk.course_id}"] == 4


def test_in_a_jump_of_the_clock_the_missed_alert_is_the_next_moment(database_url: str) -> None:
    with Desk(database_url) as desk:
        first, _ = _two_on_call(desk)
        _closed(desk, first)
        says(desk, 3, WORDS)
        assert (desk.read(flags.next_call) or NOW) >= NOW + timedelta(minutes=14)
        _sends(desk, _Line())
        assert desk.read(flags.next_call) == SOON


def test_an_alert_that_a_notice_points_to_counts_as_a_call(database_url: str) -> None:
    with Desk(database_url) as desk:
        first, _ = _two_on_call(desk)
        _closed(desk, first)
        desk.write(lambda tx: tx.execute(sa.update(Account).values(notice_id="t1", notice_fields={})).rowcount)
        says(desk, 3, WORDS)
        _sends(desk, _Line())
        assert desk.read(lambda tx: deliveries(tx, kind="alert"))[first.id].state == "notified"
        assert desk.write(lambda tx: flags.call_due(tx, desk.tools, SOON)) == 0
        assert desk.read(_steps) == [(1, first.id, "sent")]
        assert desk.read(alarms) == {}


def test_who_took_over_is_not_disturbed_by_an_alert_that_went_nowhere(database_url: str) -> None:
    with Desk(database_url) as desk:
        first, second = _two_on_call(desk)
        _closed(desk, first)
        says(desk, 3, WORDS)
        _sends(desk, _Line())
        number = desk.read(lambda tx: tx.execute(sa.select(Flag.number)).scalar_one())
        desk.write(lambda tx: flags.acknowledge(tx, number, second.id, SOON))
        assert desk.write(lambda tx: flags.call_due(tx, desk.tools, SOON)) == 0
        assert desk.read(alarms) == {}


def test_an_address_that_does_not_open_holds_up_no_other_alert(database_url: str) -> None:
    with Desk(database_url) as desk:
        desk.person("小雨")
        _on_call(desk, None, email="a@example.org", webhook="https://example.org/hook")
        desk.write(lambda tx: tx.execute(sa.update(OnCall).values(email_sealed=b"broken" * 9)).rowcount)
        says(desk, 1, WORDS)
        due = desk.write(lambda tx: flags.claim_alerts(tx, desk.keyring, SOON, SOON.timestamp()))
        assert [(alert.route, alert.address) for alert in due] == [("webhook", "https://example.org/hook")]
        states = desk.read(lambda tx: tx.execute(sa.select(Alert.route, Alert.state, Alert.error).order_by(Alert.id)).all())
        assert [tuple(row) for row in states] == [("email", "failed", "email: unreadable"), ("webhook", "sending", None)]
        assert desk.read(alarms) == {"alert_failed alert:email: unreadable": 1}
        assert desk.write(lambda tx: flags.claim_alerts(tx, desk.keyring, SOON, SOON.timestamp())) == []


def test_whoever_is_erased_is_on_call_no_more_and_an_empty_list_alarms(database_url: str) -> None:
    with Desk(database_url) as desk:
        first, second = _two_on_call(desk)
        _on_call(desk, second.id, email="second@example.org", webhook=None)
        desk.write(lambda tx: people.erase(tx, desk.keyring, first.id, NOW, actor="operator"))
        assert desk.read(lambda tx: [each.person_id for each in flags.on_call(tx, desk.course_id)]) == [second.id, second.id]
        assert desk.read(alarms) == {}
        _on_call(desk, None, email="new@example.org", webhook=None)
        assert desk.read(lambda tx: [each.position for each in flags.on_call(tx, desk.course_id)]) == [2, 3, 4]
        desk.write(lambda tx: tx.execute(sa.delete(OnCall).where(OnCall.person_id.is_(None))).rowcount)
        desk.write(lambda tx: people.erase(tx, desk.keyring, second.id, NOW, actor="operator"))
        assert desk.read(lambda tx: flags.on_call(tx, desk.course_id)) == []
        assert desk.read(alarms) == {f"nobody_on_call course:{desk.course_id}": 1}
        written = desk.read(lambda tx: tx.execute(sa.select(Audit.actor, Audit.subject).where(Audit.action == "oncall.remove")).all())
        assert {tuple(row) for row in written} == {("operator", f"course:{desk.course_id}")}
        assert len(desk.read(lambda tx: audit.untold(tx, NOW))) == 1


def test_neither_password_nor_alert_goes_to_another_machine_in_plain_text(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.create_connection
    monkeypatch.setattr(socket, "create_connection", lambda address, *rest: connect(("127.0.0.1", address[1]), *rest))
    run(_plain(sqlite_url))


async def _plain(url: str) -> None:
    async with _outside() as outside:
        with Desk(url) as desk:

            def alerter(host: str) -> Alerter:
                address = SecretStr(outside.smtp.replace("127.0.0.1", host))
                settings = desk.assembly.settings.model_copy(update={"smtp_url": address})
                return Alerter(desk.database, desk.keyring, desk.tools.words, settings)

            with pytest.raises(AlertFailed, match=r"^mail: no TLS$"):
                await alerter("duty:password@mail.example.org").send("email", "a@example.org", "s", "b")
            assert outside.mails == []
            await alerter("127.0.0.1").send("email", "a@example.org", "s", "b")
            assert [to for to, _ in outside.mails] == ["a@example.org"]
