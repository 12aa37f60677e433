"""What stands before every request: who may ask, how much, how long, how many at once; and what every response says.

Plain ASGI: the request is read whole before the application sees it, and logged as one line of JSON, without its query,
headers or body.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from bayes_scaling.service.settings import LOOPBACK

if TYPE_CHECKING:
    from bayes_scaling.service.metrics import Metrics
    from bayes_scaling.service.settings import Settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

LOG: Final = logging.getLogger("bayes_scaling.service")
OPEN: Final = ("/healthz", "/", "/page/")
"""Paths that need no token: whether it is alive, and the page, which has no data in it."""
UNCOUNTED: Final = ("/healthz", "/metrics")
"""Paths that are answered however many requests are under way."""
METHODS: Final = ("GET", "HEAD", "POST")
_HOST: Final = re.compile(r":\d*$")
"""The port behind the name of a host."""
_LONGEST: Final = 8192
"""Bytes of a path and its query."""
_LARGEST: Final = 16 * 1024
"""Bytes of all headers."""
_MOST: Final = 100
"""Headers of a request."""
_DATA: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
HEADERS: Final = {
    "content-security-policy": _DATA,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
"""What every response says unless it says so itself."""


class Problem(Exception):
    """A request that is refused: a status, and a sentence that repeats nothing of it; for programs a code, and fields that are wrong."""

    def __init__(
        self, status: int, detail: str, *, code: str | None = None, fields: Sequence[str] = (), **headers: str
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.fields = status, detail, fields
        self.code = code or HTTPStatus(status).phrase.lower().replace(" ", "-")
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    @property
    def body(self) -> bytes:
        """The response, as RFC 9457 has it."""
        title = HTTPStatus(self.status).phrase
        fields = {"fields": [*self.fields]} if self.fields else {}
        return json.dumps(
            {"title": title, "status": self.status, "detail": self.detail, "code": self.code} | fields
        ).encode()


@dataclass
class _Seen:
    """What became of a request."""

    status: int = 0
    size: int = 0
    started: float = field(default_factory=time.perf_counter)


class Guard:
    """An application behind the guard."""

    def __init__(self, application: Application, settings: Settings, metrics: Metrics) -> None:
        self.application, self.settings, self.metrics = application, settings, metrics
        self.under_way = 0
        self._hosts = {*LOOPBACK, settings.host}

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self.application(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        seen = _Seen()

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.status = message["status"]
                said = {name.lower() for name, _ in message["headers"]}
                further = ((n.encode(), v.encode()) for n, v in HEADERS.items() if n.encode() not in said)
                message["headers"] = [*message["headers"], *further]
            else:
                seen.size += len(message.get("body", b""))
            await send(message)

        try:
            await self._admitted(scope, receive, watched)
        except Problem as problem:
            await _refuse(problem, watched)
        except Exception:
            LOG.error(json.dumps({"error": traceback.format_exc()}))
            if not seen.status:
                await _refuse(Problem(500, "Something went wrong here; the log says what."), watched)
        self._record(scope, seen)

    async def _admitted(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        refused = self._refused(scope, headers)
        body, too_much = await self._read(receive, 0 if refused else self.settings.body)
        if refused:
            raise refused
        if too_much:
            raise Problem(413, f"The body has more than {self.settings.body} bytes.", connection="close")
        if scope["path"] in UNCOUNTED:
            await self.application(scope, _replayed(body), send)
            return
        if self.under_way >= self.settings.at_once:
            raise Problem(429, f"{self.settings.at_once} requests are under way: try again later.", retry_after="1")
        self.under_way += 1
        self.metrics.under_way.set(self.under_way)
        try:
            await self.application(scope, _replayed(body), send)
        finally:
            self.under_way -= 1
            self.metrics.under_way.set(self.under_way)

    def _refused(self, scope: MutableMapping[str, Any], headers: list[tuple[bytes, bytes]]) -> Problem | None:
        """Return why a request is refused before it is read, if it is."""
        if len(scope["raw_path"]) + len(scope["query_string"]) > _LONGEST:
            return Problem(414, f"The address has more than {_LONGEST} bytes.")
        if sum(len(name) + len(value) for name, value in headers) > _LARGEST or len(headers) > _MOST:
            return Problem(431, f"The headers have more than {_LARGEST} bytes, or are more than {_MOST}.")
        if scope["http_version"] not in ("1.0", "1.1"):
            return Problem(400, "This service speaks HTTP/1.1.")
        if scope["method"] not in METHODS:
            return Problem(405, "Fits can only be read: use GET or POST.", allow=", ".join(METHODS))
        given = [value for name, value in headers if name == b"authorization"]
        if self.settings.token:
            path = scope["path"]
            if path not in OPEN and not path.startswith(OPEN[-1]) and not self._has_token(given):
                return Problem(
                    401, "This needs the token, as the header Authorization: Bearer TOKEN.", www_authenticate="Bearer"
                )
        # A page of another site may have its name point here: it asks for its own host.
        elif any(_HOST.sub("", value.decode("latin-1")) not in self._hosts for name, value in headers if name == b"host"):
            return Problem(421, f"Without a token, only requests to {', '.join(LOOPBACK)} are answered.")
        return None

    def _has_token(self, given: list[bytes]) -> bool:
        """Whether the one header is the token, in a time that does not say how much of it is right."""
        expected = f"Bearer {self.settings.token}".encode()
        found = given[0] if len(given) == 1 else b""
        scheme, _, rest = found.partition(b" ")
        return hmac.compare_digest(scheme.capitalize() + b" " + rest.strip(), expected)

    async def _read(self, receive: Receive, most: int) -> tuple[bytes, bool]:
        """Return a body of at most some bytes, and whether there was more, which is read and dropped."""
        body, size, more = bytearray(), 0, True
        try:
            async with asyncio.timeout(self.settings.patience):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Problem(400, "The request broke off.")
                    part = message.get("body", b"")
                    size += len(part)
                    if size <= most:
                        body += part
                    more = message.get("more_body", False)
        except TimeoutError:
            raise Problem(
                408, f"The request did not arrive within {self.settings.patience:g} seconds.", connection="close"
            ) from None
        return bytes(body), size > most

    def _record(self, scope: MutableMapping[str, Any], seen: _Seen) -> None:
        """Count a request, and log it."""
        seconds = time.perf_counter() - seen.started
        route, method = getattr(scope.get("route"), "path", ""), scope["method"] if scope["method"] in METHODS else "other"
        self.metrics.requests.labels(route, method, str(seen.status)).inc()
        self.metrics.seconds.labels(route).observe(seconds)
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "client": (scope.get("client") or ("",))[0],
            "method": method,
            "route": route,
            "status": seen.status,
            "milliseconds": round(1e3 * seconds, 1),
            "bytes": seen.size,
        }
        if "known_fit" in scope.get("state", {}):
            line["fit"] = scope["state"]["known_fit"]
        LOG.info(json.dumps(line))


def _replayed(body: bytes) -> Receive:
    """Return what gives a body that was read to the application."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


async def _refuse(problem: Problem, send: Send) -> None:
    headers = {"content-type": "application/problem+json", "content-length": str(len(problem.body)), **problem.headers}
    listed = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": listed})
    await send({"type": "http.response.body", "body": problem.body})
