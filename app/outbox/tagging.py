"""Makes the calls that bring a tag in step with who shall have it: in batches, each written down before the next one is made."""

from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from app.channels import Channel, SendError
from app.db import Tx
from app.keyring import Keyring
from app.outbox import tags
from app.outbox.tags import Kept

Writing = Callable[[Callable[[Tx], Any]], Awaitable[Any]]

#: There is a tag of this name already: we made it, and its answer was lost (platform reference, section 7).
_TAKEN = "45157"


async def bring_in_step(
    write: Writing, keyring: Keyring, channel: Channel, tag: Kept, wanted: Collection[int], now: datetime
) -> frozenset[int]:
    """Put the tag on these identities and on nobody else; returns who cannot have it. Raises `SendError`.

    WeChat's own list is asked where what we believe is in doubt, and where somebody has the tag whose openid we do not hold any more.
    """
    try:
        return await _bring_in_step(write, keyring, channel, tag, frozenset(wanted), now)
    except SendError as error:
        if error.code == tags.GONE:
            await write(lambda tx: tags.lost(tx, tag.id))
        raise


async def _bring_in_step(
    write: Writing, keyring: Keyring, channel: Channel, tag: Kept, wanted: frozenset[int], now: datetime
) -> frozenset[int]:
    number = tag.number if tag.number is not None else await _make(write, channel, tag)
    have: dict[str, int | None] | None = None
    if not tag.in_doubt:
        have = await write(lambda tx: _believed(tx, keyring, tag, wanted))
    if have is None:
        listed = await channel.tagged(number)
        have = await write(lambda tx: tags.note_list(tx, keyring, tag, listed, now))
    surplus = [openid for openid, identity in have.items() if identity not in wanted]
    missing = wanted - set(have.values())
    for some in _batches(surplus, channel.rules.tagged_at_once):
        await channel.untag(number, some)
        gone = [identity for openid in some if (identity := have[openid]) is not None]
        await write(partial(tags.taken, tag=tag, identity_ids=gone))
    return await _give(write, keyring, channel, tag, number, missing, now)


async def _give(
    write: Writing, keyring: Keyring, channel: Channel, tag: Kept, number: int, missing: Collection[int], now: datetime
) -> frozenset[int]:
    before: set[int] = await write(lambda tx: tags.refused(tx, tag.id, now))
    openids: dict[int, str] = await write(lambda tx: tags.openids(tx, keyring, set(missing) - before))
    refused = set(missing) - set(openids)
    by_openid = {openid: identity for identity, openid in openids.items()}
    for some in _batches(sorted(by_openid), channel.rules.tagged_at_once):
        left_out = await channel.tag(number, some)
        never = [by_openid[openid] for openid in left_out]
        refused.update(never)
        now_have = [by_openid[openid] for openid in some if openid not in left_out]

        def note(tx: Tx, now_have: list[int] = now_have, never: list[int] = never) -> None:
            tags.given(tx, tag, now_have, None)
            tags.given(tx, tag, never, now)

        await write(note)
    return frozenset(refused)


def _believed(tx: Tx, keyring: Keyring, tag: Kept, wanted: frozenset[int]) -> dict[str, int | None] | None:
    """Who has it, by openid, as far as that matters; None where somebody has it who shall not and whom we cannot name."""
    having = tags.having(tx, tag.id)
    surplus = tags.openids(tx, keyring, having - wanted)
    if set(surplus) != having - wanted:
        return None
    kept = {f"={identity}": identity for identity in having & wanted}  # no openid looks like this, and none of these is asked for
    return {**{openid: identity for identity, openid in surplus.items()}, **kept}


async def _make(write: Writing, channel: Channel, tag: Kept) -> int:
    try:
        number = await channel.create_tag(tag.name)
    except SendError as error:
        found = await channel.find_tag(tag.name) if error.code == _TAKEN else None
        if found is None:
            raise
        number = found
    await write(lambda tx: tags.made(tx, tag, number))
    return number


def _batches(openids: Sequence[str], most: int) -> Iterator[list[str]]:
    for start in range(0, len(openids), most):
        yield list(openids[start : start + most])
