"""Hides how a form of ours is read: at most so many bytes, in good time, and nothing of one that is not ours."""

import asyncio
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.requests import ClientDisconnect

#: A phone in the metro may take this long for a form.
BODY_SECONDS = 20.0


class TooSlow(Exception):
    """The form did not come to its end in time, or whoever sent it has gone."""


async def body(request: Request, most_bytes: int) -> bytes | None:
    """What was sent, or None where it is more than any form of ours. Raises `TooSlow`."""
    read = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                read += chunk
                if len(read) > most_bytes:
                    return None
    except (TimeoutError, ClientDisconnect):
        raise TooSlow from None
    return read


def fields(body: bytes, most_fields: int) -> dict[str, str]:
    """The fields of a form; none where it is no form of ours: not UTF-8, too many, one of them twice."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=most_fields)
    except ValueError:
        return {}
    found = dict(pairs)
    return found if len(found) == len(pairs) else {}
