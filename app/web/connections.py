"""Hides what our connections do beyond uvicorn's: headers are bounded (bad-inputs.md A11, A12), and an answer goes out in one piece."""

from asyncio import AbstractEventLoop, TimerHandle, Transport
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

#: Seconds from the first byte of a request, or from the connection, to the end of its headers.
HEADER_SECONDS = 10.0
#: Bytes of headers that have not ended. The platform's are a few hundred, a browser's a few thousand.
MOST_HEADER_BYTES = 64 * 1024
#: How the head of an answer begins, but for "100 Continue", for which the client waits.
_ANSWERS = tuple(b"HTTP/1.1 %d" % hundred for hundred in range(2, 6))


class _InOnePiece:
    """A transport that keeps the head of an answer until its body comes: one system call and one packet instead of two of each."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._head and data.startswith(_ANSWERS) and data.endswith(b"\r\n\r\n"):
            self._head = data
            return
        head, self._head = self._head, b""
        self._transport.write(head + data)

    def flush(self) -> None:
        """Write a head that no body followed."""
        head, self._head = self._head, b""
        if head:
            self._transport.write(head)

    def close(self) -> None:
        self.flush()
        self._transport.close()


class ImpatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which closes a connection whose headers do not end."""

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: AbstractEventLoop | None = None
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._deadline: TimerHandle | None = None
        self._unended = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        self._piece = _InOnePiece(transport)
        super().connection_made(self._piece)  # type: ignore[arg-type]  # it does what uvicorn asks of one
        self._deadline = self.loop.call_later(HEADER_SECONDS, transport.close)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._deadline is None:
            return
        self._unended += len(data)
        if self._unended > MOST_HEADER_BYTES:
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._deadline is not None:  # what comes behind a chunked body is read by nobody
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._keep()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._keep()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._piece.flush()  # an answer to HEAD has no body
        super().on_response_complete()

    def _keep(self) -> None:
        self._unended = 0
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
