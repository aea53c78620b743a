"""The loop that calls the platform: claims what is due, writes it, sends it, settles it; one account's trouble never stops another's."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog

from app import broadcasts, clock
from app.broadcasts import Composer
from app.channels import Channel, LinkMaker, Notice, Rules, SendError, Verdict, render
from app.db import PATIENCE_SECONDS, Database, Tx
from app.errors import Unavailable
from app.keyring import Keyring, Place
from app.logs import place_of
from app.outbox import claims, results
from app.outbox.claims import Lease, Post
from app.outbox.results import Outcome
from app.sealing import Unreadable
from app.states import Route
from bots.texts import Texts

log = structlog.get_logger()

T = TypeVar("T")

#: Calls that one process has under way over all accounts.
IN_FLIGHT = 64


@dataclass(frozen=True)
class _Parcel:
    """One call: the posts that go in it (several of one person go as one message), where to and what."""

    posts: tuple[Post, ...]
    openid: str
    text: str
    notice: Notice | None


class Postman:
    """Sends for one process. `link_for(person)` makes what a person taps; `read_url(delivery)` the address of a notice's words."""

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        composer: Composer,
        words: Texts,
        owner: str,
        lease_seconds: float,
        *,
        link_for: Callable[[int], LinkMaker],
        read_url: Callable[[int], str],
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._composer = composer
        self._words = words
        self._owner = owner
        self._lease_seconds = lease_seconds
        self._link_for = link_for
        self._read_url = read_url
        self._gate = asyncio.Semaphore(IN_FLIGHT)

    async def send_due(self, account_id: int, channel: Channel, now: datetime) -> int:
        """Send what is due for one account at `now`; returns how many deliveries were dealt with.

        Where an alert comes up meanwhile, the rest steps back and the alert goes first.
        """
        began, moment, total = clock.steady(), now, 0
        while True:
            dealt, stepped_back = await self._send_claimed(account_id, channel, moment, lambda: _later(now, began))
            total += dealt
            if not stepped_back:
                return total
            moment = _later(now, began)

    async def _send_claimed(self, account_id: int, channel: Channel, now: datetime, passing: Callable[[], datetime]) -> tuple[int, bool]:
        """One claim: how many were dealt with, and whether the rest made way for an alert. `passing`: the moment, as time goes by."""
        rules = channel.rules
        posts = await self._database.write(lambda tx: claims.claim(tx, account_id, self._lease(), rules, now))
        if not posts:
            return 0, False
        details = await self._database.read(
            lambda tx: broadcasts.details_of(tx, self._keyring, sorted({post.broadcast_id for post in posts}))
        )
        parcels, unwritable = self._write(posts, details, rules)
        finished = [Outcome(post, unwritable=True) for post in unwritable]
        rest = _handfuls(parcels, rules)
        while rest:
            handful = rest.pop(0)
            finished = await self._send_handful(account_id, channel, handful, finished, now)
            if rest and await self._alert_waits(account_id, passing()):
                break
        left = [post for handful in rest for parcel in handful for post in parcel.posts]

        def finish(tx: Tx) -> None:
            self._settle_unwritten(tx, account_id, finished, rules, now)
            if left:
                claims.put_back(tx, left, self._lease(), rules, now)

        await self._write_down(finish)
        return len(posts) - len(left), bool(left)

    async def _alert_waits(self, account_id: int, now: datetime) -> bool:
        return await self._database.read(lambda tx: claims.urgent_due(tx, account_id, now))

    async def reap(self, now: datetime) -> int:
        """Settle what dead processes left behind; returns how many rows changed."""
        return await self._database.write(
            lambda tx: (
                claims.reap(tx, now, clock.machine_seconds(), Rules()) + claims.expire(tx, now) + results.apply_missed_receipts(tx, now)
            )
        )

    async def _write_down(self, work: Callable[[Tx], T]) -> T:
        """Commit what the platform said, as long as our lease lasts: a database that is away for a moment costs no certainty."""
        give_up = clock.steady() + self._lease_seconds - PATIENCE_SECONDS
        while True:
            try:
                return await self._database.write(work)
            except Unavailable:
                if clock.steady() >= give_up:
                    raise
                await asyncio.sleep(0.5)

    def _lease(self) -> Lease:
        return Lease(self._owner, clock.machine_seconds() + self._lease_seconds)

    async def _send_handful(
        self, account_id: int, channel: Channel, handful: Sequence[_Parcel], finished: list[Outcome], now: datetime
    ) -> list[Outcome]:
        """Settle the former handful and begin this one in one commit, then write it to the sockets."""
        api = handful[0].posts[0].route

        def turn(tx: Tx) -> set[int]:
            self._settle_unwritten(tx, account_id, finished, channel.rules, now)
            posts = [post for parcel in handful for post in parcel.posts]
            parked = claims.parked_apis(tx, account_id, now).get(api.value)
            if parked is not None:  # what the former handful was told holds for this one too
                claims.put_back(tx, posts, self._lease(), channel.rules, now, until=parked)
                return set()
            calls = {
                post.id: str(uuid.uuid5(uuid.NAMESPACE_OID, f"{parcel.posts[0].id}.{post.number}"))
                for parcel in handful
                for post in parcel.posts
            }
            going = claims.begin(tx, posts, calls, self._lease(), now)
            most = channel.rules.service_a_day if api is Route.SERVICE else channel.rules.notices_a_day
            results.count_calls(tx, account_id, api.value, len(handful), most, now)
            return {post.id for post in going}

        going = await self._write_down(turn)
        whole = [parcel for parcel in handful if all(post.id in going for post in parcel.posts)]
        halved = [post for parcel in handful if parcel not in whole for post in parcel.posts if post.id in going]
        answers = await asyncio.gather(*(self._call(channel, parcel) for parcel in whole))
        stopped = SendError(Verdict.NOT_SENT, "taken_back")
        return [outcome for each in answers for outcome in each] + [Outcome(post, error=stopped) for post in halved]

    async def _call(self, channel: Channel, parcel: _Parcel) -> list[Outcome]:
        async with self._gate:
            try:
                accepted = await (
                    channel.send(parcel.openid, parcel.text) if parcel.notice is None else channel.notify(parcel.openid, parcel.notice)
                )
            except SendError as error:
                return [Outcome(post, error=error) for post in parcel.posts]
            except Exception as bug:  # noqa: BLE001 - the second of the two places where a bug is survived; never repeated
                log.error(  # noqa: TRY400 - a traceback may hold what somebody wrote
                    "delivery_failed", kind=type(bug).__name__, where=place_of(bug), route=parcel.posts[0].route
                )
                return [Outcome(post, error=SendError(Verdict.UNKNOWN, "bug")) for post in parcel.posts]
        return [Outcome(post, accepted.msgid) for post in parcel.posts]

    def _settle_unwritten(self, tx: Tx, account_id: int, finished: list[Outcome], rules: Rules, now: datetime) -> None:
        unwritable = [outcome.post for outcome in finished if outcome.unwritable]
        if unwritable:
            claims.begin(tx, unwritable, {post.id: "unwritten" for post in unwritable}, self._lease(), now)
        results.settle(tx, account_id, finished, rules, now)

    def _write(self, posts: list[Post], details: dict[int, dict[str, Any]], rules: Rules) -> tuple[list[_Parcel], list[Post]]:
        """Put words on every post; several service messages of one person become one where they fit together."""
        parcels: list[_Parcel] = []
        unwritable: list[Post] = []
        for post in posts:
            try:
                parcel = self._parcel(post, details[post.broadcast_id])
            except Exception as bug:  # noqa: BLE001 - a bot or a key that fails for one message must not hold up the others
                log.error(  # noqa: TRY400 - as above
                    "message_not_written", kind=type(bug).__name__, where=place_of(bug), bot=post.bot
                )
                unwritable.append(post)
                continue
            _add(parcels, parcel, rules.most_bytes)
        return parcels, unwritable

    def _parcel(self, post: Post, details: dict[str, Any]) -> _Parcel:
        if post.wrapped is None:
            raise Unreadable("data_keys.wrapped")
        key = self._keyring.vault.unwrap(post.key_id, post.master_version, post.wrapped)
        openid = key.unseal(Place("identities", "openid_sealed", post.identity_id), post.openid_sealed)
        message = self._composer.compose(post.bot, post.kind, post.language, post.zone, details)
        notice = self._notice(post, details) if post.route is Route.NOTICE else None
        return _Parcel((post,), openid, render(message, self._link_for(post.person_id)), notice)

    def _notice(self, post: Post, details: dict[str, Any]) -> Notice:
        sender = str(details.get("author_name") or self._words.fill("sender.system", post.language))
        kind = self._words.fill(f"kind.{post.kind}", post.language)
        return Notice(kind, sender, post.created_at, self._read_url(post.id), f"d{post.id}")


def _add(parcels: list[_Parcel], parcel: _Parcel, most_bytes: int) -> None:
    if parcels and parcel.notice is None:
        last = parcels[-1]
        together = f"{last.text}\n\n{parcel.text}"
        same = last.notice is None and last.posts[0].person_id == parcel.posts[0].person_id
        if same and len(together.encode()) <= most_bytes:
            parcels[-1] = replace(last, posts=last.posts + parcel.posts, text=together)
            return
    parcels.append(parcel)


def _handfuls(parcels: list[_Parcel], rules: Rules) -> list[list[_Parcel]]:
    """Parcels of one way, as many as may be in flight together: only these can become unknown when the process dies. Alerts first."""
    found: list[list[_Parcel]] = []
    for notices, size in ((False, rules.service_in_flight), (True, rules.notices_in_flight)):
        some = [parcel for parcel in parcels if (parcel.notice is not None) is notices]
        found += [some[start : start + size] for start in range(0, len(some), size)]
    return sorted(found, key=lambda handful: handful[0].posts[0].priority)


def _later(now: datetime, began: float) -> datetime:
    """The moment `now` plus what has passed since: in a demo's jump the clock itself is ahead."""
    return now + timedelta(seconds=clock.steady() - began)
