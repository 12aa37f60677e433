"""The server: one process that speaks HTTP, and its workers."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Callable
from typing import Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.service.application import application
from bayes_scaling.service.guard import LOG
from bayes_scaling.service.settings import Settings

_HEADERS: Final = 16 * 1024
"""Bytes of the headers of a request."""
_IDLE: Final = 30
"""Seconds for which a connection is kept between requests."""
_GRACE: Final = 20
"""Seconds that answers under way have at the end."""


class Connection(H11Protocol):
    """A connection that is closed where the headers of a request do not arrive in time."""

    patience: float = 10.0
    _closing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Begin to wait for the first request; send the head of an answer and its body without waiting in between."""
        super().connection_made(transport)
        # Of a socket that was made before it, asyncio does not: the body would wait for the client's delayed ACK, 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take what arrived; begin to wait where it is a part of headers, and cease where they are whole."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._cease()
        elif self._closing is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cease to wait."""
        self._cease()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._closing = self.loop.call_later(self.patience, self.transport.close)

    def _cease(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None


def serve(settings: Settings, tell: Callable[[str], Any]) -> None:
    """Serve a folder until the process is told to stop; answers under way are finished.

    Raises
    ------
    InvalidRequest
        If the address cannot be had.
    """
    listening = _listen(settings)
    _log_to_standard_error()
    connection = type("Connection", (Connection,), {"patience": settings.patience})
    config = uvicorn.Config(
        application(settings),
        http=connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=settings.connections,
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=_GRACE,
        h11_max_incomplete_event_size=_HEADERS,
    )
    server = uvicorn.Server(config)
    host, port = listening.getsockname()[:2]
    tell(f"Serving {settings.folder} at http://{f'[{host}]' if ':' in host else host}:{port}/ (Ctrl-C stops).")
    server.run(sockets=[listening])


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=settings.connections)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidRequest(
            f"{settings.host}, port {settings.port}, cannot be used: {reason}. Choose another --port."
        ) from None


def _log_to_standard_error() -> None:
    """Log each request as a line of JSON; of the server itself only what is wrong."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    LOG.handlers, LOG.propagate = [handler], False
    LOG.setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
