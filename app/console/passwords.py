"""Hides how passwords rest and what one must be like. Hashing takes a tenth of a second and 64 MiB: never inside a transaction."""

import threading
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST, LONGEST = 12, 128
#: Fewer different characters are a pattern, not a password.
_DIFFERENT = 5
_HASHER = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=4)
#: Of a random password that nobody has: for names that nobody has, so that the answer takes as long.
NOBODYS = "$argon2id$v=19$m=65536,t=3,p=4$WcO94I0NJiLwhEWTegf/iA$NL+TbLFr8RgN2Xa1O0EsegeOBRCGk1DOYPewYxyFivM"
#: So many are hashed at once in a process: whoever sends a thousand passwords fills no memory.
_AT_ONCE = threading.BoundedSemaphore(2)


def weakness(password: str, name: str) -> str | None:
    """Why this is no password, as the end of a text key: short, long, controls, plain; None where it may be one."""
    meant = _normal(password)
    if any(unicodedata.category(each) in ("Cc", "Cs") for each in meant):
        return "controls"
    if len(meant) < SHORTEST:
        return "short"
    if len(meant) > LONGEST:
        return "long"
    if len(set(meant.casefold())) < _DIFFERENT or (name and meant.casefold() in (2 * name).casefold()):
        return "plain"
    return None


def hashed(password: str) -> str:
    """The password as it rests."""
    with _AT_ONCE:
        return _HASHER.hash(_normal(password))


def fits(stored: str | None, password: str) -> bool:
    """Whether this is the password that rests so. With None, or with words that can be no password, it takes as long and is False."""
    usable = weakness(password, "") not in ("controls", "short", "long")
    meant = _normal(password) if usable else ""
    with _AT_ONCE:
        try:
            right = _HASHER.verify(stored or NOBODYS, meant)
        except (VerificationError, InvalidHashError):
            return False
    return right and usable and stored is not None


def _normal(password: str) -> str:
    """As the same characters come from any keyboard. Far too long ones are not looked at."""
    return unicodedata.normalize("NFKC", password) if len(password) <= 4 * LONGEST else "x" * (LONGEST + 1)
