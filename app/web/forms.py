"""Hides how a form of ours is read: at most so many bytes, in good time, and nothing of one that is not ours."""

import asyncio
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.requests import ClientDisconnect

#: A phone in the metro may take this long for a form.
BODY_SECONDS = 20.0


#: A part's heading is short; a boundary is what browsers make.
_HEADING, _NAME = 2_000, re.compile(rb'form-data; name="([a-z_]{1,40})"(?:; filename="([^"\r\n]*)")?')
_BOUNDARY = re.compile(r'boundary="?([0-9A-Za-z\'()+_,./:=?-]{1,70})"?')


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


@dataclass(frozen=True)
class Upload:
    """A file that came with a form: how its name ends, in small letters and with the dot, and what is in it. Its name is not kept."""

    suffix: str
    content: bytes = field(repr=False)


def parts(body: bytes, content_type: str, most_fields: int) -> tuple[dict[str, str], Upload | None]:
    """The fields of a form with at most one file; nothing where it is no form of ours (bad-inputs.md J)."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        return {}, None
    first, *pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.group(1).encode())
    if first or not pieces or pieces[-1].strip() != b"--" or len(pieces) > most_fields + 1:
        return {}, None
    found: dict[str, str] = {}
    upload = None
    for piece in pieces[:-1]:
        heading, middle, content = piece.partition(b"\r\n\r\n")
        named = _NAME.search(heading) if middle and len(heading) <= _HEADING else None
        if named is None or named.group(1).decode() in found or (named.group(2) is not None and upload is not None):
            return {}, None
        if named.group(2) is not None:
            upload = Upload(_suffix(named.group(2)), content)
            continue
        try:
            found[named.group(1).decode()] = content.decode()
        except UnicodeDecodeError:
            return {}, None
    return found, upload


def _suffix(name: bytes) -> str:
    ends = re.search(rb"\.[0-9A-Za-z]{1,10}$", name)
    return ends.group().decode().lower() if ends else ""
