"""Hides how a claimed delivery becomes something to hand over: unseals whom it goes to, composes its words, joins those of one person."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from app.broadcasts import Composer, names_reader
from app.channels import LinkMaker, Notice, Rules, render
from app.keyring import Keyring, Place
from app.logs import place_of
from app.outbox.claims import Post
from app.sealing import DataKey, Unreadable
from app.states import Route
from bots import Message
from bots.texts import Texts

log = structlog.get_logger()


@dataclass(frozen=True)
class Parcel:
    """One call: the posts that go in it (several of one person go as one message), where to and what."""

    posts: tuple[Post, ...]
    openid: str = field(repr=False)
    text: str = field(repr=False)
    notice: Notice | None = field(default=None, repr=False)

    @property
    def route(self) -> Route:
        """The way it goes."""
        return self.posts[0].route

    @property
    def priority(self) -> int:
        """The most urgent of its posts."""
        return min(post.priority for post in self.posts)


class Packer:
    """Makes the parcels of one account; what a broadcast says in one language is composed once, or once per name where it names its reader.

    `link_for(person)` makes what a person taps; `read_url(delivery)` the address of a notice's words.
    """

    def __init__(
        self, keyring: Keyring, composer: Composer, words: Texts, link_for: Callable[[int], LinkMaker], read_url: Callable[[int], str]
    ) -> None:
        self._keyring = keyring
        self._composer = composer
        self._words = words
        self._link_for = link_for
        self._read_url = read_url
        self._composed: dict[tuple[int, str, str, str | None], Message] = {}

    def pack(self, posts: Sequence[Post], details: Mapping[int, Mapping[str, Any]], rules: Rules) -> tuple[list[Parcel], list[Post]]:
        """Parcels in the order of the posts, and the posts that nobody can write; several service messages of one person become one
        where they fit together.

        `details`: the values of the gaps of each broadcast; a broadcast that is missing cannot be written.
        """
        self._composed.clear()
        parcels: list[Parcel] = []
        unwritable: list[Post] = []
        latest: dict[int, int] = {}
        for post in posts:
            try:
                parcel = self._parcel(post, details[post.broadcast_id])
            except Exception as bug:  # noqa: BLE001 - a bot or a key that fails for one message must not hold up the others
                log.error("message_not_written", kind=type(bug).__name__, where=place_of(bug), bot=post.bot)  # noqa: TRY400 - may hold words
                unwritable.append(post)
                continue
            place = latest.get(post.person_id)
            joined = None if place is None else _joined(parcels[place], parcel, rules)
            if place is not None and joined is not None:
                parcels[place] = joined
                continue
            if parcel.notice is None:
                latest[post.person_id] = len(parcels)
            parcels.append(parcel)
        return parcels, unwritable

    def _parcel(self, post: Post, details: Mapping[str, Any]) -> Parcel:
        if post.wrapped is None:
            raise Unreadable("data_keys.wrapped")
        key = self._keyring.vault.unwrap(post.key_id, post.master_version, post.wrapped)
        openid = key.unseal(Place("identities", "openid_sealed", post.identity_id), post.openid_sealed)
        message = self._message(post, details, _name(post, key) if names_reader(details) else None)
        text = message.text if not message.choices else render(message, self._link_for(post.person_id))
        return Parcel((post,), openid, text, self._notice(post, details) if post.route is Route.NOTICE else None)

    def _message(self, post: Post, details: Mapping[str, Any], reader: str | None) -> Message:
        known = (post.broadcast_id, post.language, post.zone, reader)
        message = self._composed.get(known)
        if message is None:
            message = self._composed[known] = self._composer.compose(post.bot, post.kind, post.language, post.zone, details, reader)
        return message

    def _notice(self, post: Post, details: Mapping[str, Any]) -> Notice:
        sender = str(details.get("author_name") or self._words.fill("sender.system", post.language))
        kind = self._words.fill(f"kind.{post.kind}", post.language)
        return Notice(kind, sender, post.created_at, self._read_url(post.id), f"d{post.id}")


def _name(post: Post, key: DataKey) -> str | None:
    return None if post.name_sealed is None else key.unseal(Place("persons", "name_sealed", post.person_id), post.name_sealed)


def _joined(first: Parcel, second: Parcel, rules: Rules) -> Parcel | None:
    """Both as one message, or None where they do not fit. Never more than may be in flight: together they become known or unknown."""
    together = f"{first.text}\n\n{second.text}"
    posts = first.posts + second.posts
    probes = first.posts[0].probe or second.posts[0].probe
    if first.notice is not None or second.notice is not None or probes or len(posts) > rules.service_in_flight:
        return None
    return replace(first, posts=posts, text=together) if len(together.encode()) <= rules.most_bytes else None
