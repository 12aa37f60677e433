"""Answers of a folder of fits: the same request to the same files is worked out once, and is known by its ETag."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bayes_scaling import __version__
from bayes_scaling.service import answering
from bayes_scaling.service.answering import CHANGED, FAILED, OK, Reply
from bayes_scaling.service.folder import Folder, Stored
from bayes_scaling.service.guard import LOG, Problem
from bayes_scaling.service.workers import Died, TooLong, Workers

if TYPE_CHECKING:
    from bayes_scaling.service.metrics import Metrics
    from bayes_scaling.service.requests import Asked
    from bayes_scaling.service.settings import Settings

_TRIES: Final = 5
"""How often files that change under a request are looked at again."""
_PAUSE: Final = 0.1
_AT_ONCE: Final = 20
"""Fits that one worker sums up at a time."""


@dataclass(frozen=True)
class Tagged:
    """A reply, and the tag that it has for the same files."""

    tag: str
    reply: Reply


class Answers:
    """What is asked of the fits of a folder, answered by workers."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.settings, self.metrics = settings, metrics
        self.folder, self.workers = Folder(settings.folder), Workers(settings, metrics.replaced.inc)
        self._digests: dict[str, tuple[Stored, str]] = {}
        self._lines: dict[str, tuple[Stored, Any]] = {}
        self._kept: OrderedDict[str, Reply] = OrderedDict()
        self._size = 0
        self._pending: dict[str, asyncio.Task[Reply]] = {}

    def known(self, name: str) -> Stored:
        """Return a fit by its name, or refuse the name."""
        stored = self.folder.find(name)
        if stored is None:
            raise Problem(404, "There is no such fit: GET /fits lists the fits.")
        return stored

    async def answer(self, name: str, asked: Asked, has: str) -> Tagged:
        """Return the answer of a fit to a question; of a tag that the client has, only the tag."""
        return await self._tagged(name, asked.content, has, answering.answer, asked)

    async def describe(self, name: str, has: str) -> Tagged:
        """Return what is known of a fit."""
        return await self._tagged(name, "describe", has, answering.describe)

    async def report(self, name: str, has: str) -> Tagged:
        """Return the report of a fit."""
        return await self._tagged(name, "report", has, answering.report, seconds=self.settings.report_seconds)

    async def lines(self, names: list[str]) -> list[dict[str, Any]]:
        """Return a line for each of several fits."""
        each = {name: stored for name in names if (stored := self.folder.find(name)) is not None}
        known = {name: self._lines.get(name, (None, None)) for name in each}
        new = [stored for name, stored in each.items() if known[name][0] != stored]
        parts = [new[first : first + _AT_ONCE] for first in range(0, len(new), _AT_ONCE)]
        found = await asyncio.gather(
            *(self._work(answering.summarize, part, seconds=self.settings.report_seconds) for part in parts)
        )
        for part, lines in zip(parts, found, strict=True):
            self._lines |= {stored.name: (stored, line) for stored, line in zip(part, lines, strict=True) if line}
        self._lines = {name: line for name, line in self._lines.items() if name in self.folder.names}
        return [{"id": name, **self._lines[name][1]} for name in each if name in self._lines]

    async def _tagged(
        self, name: str, content: str, has: str, function: Callable[..., Reply], *given: Any, seconds: float | None = None
    ) -> Tagged:
        """Return a reply for the files of a fit as they are now: never of a mixture of old and new ones."""
        for _ in range(_TRIES):
            stored = self.known(name)
            digest = await self._digest(stored)
            tag = hashlib.sha256(json.dumps([__version__, digest, content]).encode()).hexdigest()[:32]
            reply = self._kept.get(tag)
            if reply is not None:
                self._kept.move_to_end(tag)
                self.metrics.cached.inc()
            elif digest:
                if tag not in self._pending:
                    work = self._work(function, stored, *given, seconds=seconds or self.settings.seconds)
                    self._pending[tag] = asyncio.create_task(self._keep(tag, work))
                reply = await asyncio.shield(self._pending[tag])
            if reply is not None and reply.status != CHANGED:
                return Tagged(tag, reply)
            await asyncio.sleep(_PAUSE)
        raise Problem(503, "The files of this fit are being replaced: try again soon.", retry_after="1")

    async def _digest(self, stored: Stored) -> str:
        """Return the digest of the files of a fit, worked out where they are new."""
        known = self._digests.get(stored.name)
        if known is not None and known[0] == stored:
            return known[1]
        digest = await asyncio.to_thread(stored.digest)
        if digest:
            self._digests[stored.name] = (stored, digest)
        return digest

    async def _keep(self, tag: str, work: Any) -> Reply:
        """Wait for a reply, and keep it where it will be the same again."""
        try:
            reply = await work
        finally:
            del self._pending[tag]
        self.metrics.worked_out.inc()
        if reply.status not in (CHANGED, FAILED):
            self._kept[tag] = reply
            self._size += len(reply.body)
            while self._size > self.settings.cached:
                self._size -= len(self._kept.popitem(last=False)[1].body)
        return reply

    async def _work(self, function: Callable[..., Any], *given: Any, seconds: float) -> Any:
        try:
            return await self.workers.run(function, *given, seconds=seconds)
        except TooLong:
            raise Problem(503, f"The answer takes more than {seconds:g} seconds: ask for less.", retry_after="60") from None
        except Died:
            LOG.error('{"error": "workers died over a request"}')
            raise Problem(503, "The worker process was stopped twice: try again later.", retry_after="5") from None


def checked(reply: Reply) -> bytes:
    """Return the body of a reply, or raise what went wrong."""
    if reply.status == FAILED:
        LOG.error(json.dumps({"error": reply.body.decode()}))
        raise Problem(FAILED, "Something went wrong here; the log says what.")
    if reply.status != OK:
        raise Problem(reply.status, reply.body.decode(), code=reply.code)
    return reply.body
