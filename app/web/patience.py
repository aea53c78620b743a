"""Hides how long a client may take for its headers, and how many they may be: uvicorn sets no bounds (bad-inputs.md A11, A12)."""

from asyncio import AbstractEventLoop, TimerHandle, Transport
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

#: Seconds from the first byte of a request, or from the connection, to the end of its headers.
HEADER_SECONDS = 10.0
#: Bytes of headers that have not ended. The platform's are a few hundred, a browser's a few thousand.
MOST_HEADER_BYTES = 64 * 1024


class ImpatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which closes a connection whose headers do not end."""

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: AbstractEventLoop | None = None
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._deadline: TimerHandle | None = None
        self._unended = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
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

    def _keep(self) -> None:
        self._unended = 0
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
