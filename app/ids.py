"""Issues ids, codes and participant numbers, and reads an id that came back: nothing else in the program makes one."""

import re
import secrets
import threading
import time

#: 2026-01-01 UTC in milliseconds. 41 bits of milliseconds from there reach the year 2095.
_EPOCH_MS = 1_767_225_600_000
_RANDOM_BITS = 22
_lock = threading.Lock()
_last = 0

#: Without 0, 1, I, L, O and U: no two look alike, no word comes about. 30 letters carry 4.9 bits each.
_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE_LENGTH = 10


def new_id() -> int:
    """A 63-bit id that grows with time, unique in this process and, but for one in four million within a millisecond, everywhere.

    A clash between two processes fails on the primary key; the transaction is then tried again.
    """
    global _last  # noqa: PLW0603 - one guard per process, under its lock
    made = ((time.time_ns() // 1_000_000 - _EPOCH_MS) << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
    with _lock:
        _last = max(made, _last + 1)
        return _last


def first_at(machine: float) -> int:
    """An id that is smaller than every one issued from this moment on, in seconds of the machine's clock."""
    return max(0, int(machine * 1000) - _EPOCH_MS) << _RANDOM_BITS


def id_of(typed: str) -> int:
    """The id that somebody sent, by its shape; 0, which is nothing's, where it is none."""
    return int(typed) if re.fullmatch("[1-9][0-9]{0,17}", typed) else 0


def new_code() -> str:
    """An invitation code of 49 random bits, for people to type (bad-inputs.md E17 asks for 40)."""
    return "".join(secrets.choice(_LETTERS) for _ in range(_CODE_LENGTH))


def normal_code(typed: str) -> str:
    """The code that somebody meant: upper case, without spaces and dashes."""
    return "".join(typed.upper().replace("-", "").split())


def new_number() -> str:
    """A participant number: five digits, random, so that it tells nothing of the order in which people came."""
    return f"{secrets.randbelow(90_000) + 10_000}"


def new_seed() -> int:
    """A seed of 31 random bits. It is exported, so unlike an id it tells nothing of the moment or the order of its making."""
    return secrets.randbits(31)


def new_secret() -> str:
    """A secret of 256 random bits for a link or a cookie, URL-safe. Only a keyed hash of it is stored."""
    return secrets.token_urlsafe(32)


def new_pairs(count: int) -> list[int]:
    """So many different numbers of two digits, for somebody to tell one of them from the others."""
    return [10 + each for each in secrets.SystemRandom().sample(range(90), count)]
