"""How the service is run, and how much it allows."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from bayes_scaling.errors import InvalidRequest

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
"""Names of a host that no other machine reaches."""
_SHORTEST: Final = 16
"""Characters of a token, at the least."""
_SOONEST, _LATEST = 0.01, 3600.0
"""Seconds that an answer may be allowed."""


@dataclass(frozen=True)
class Settings:
    """What to serve, to whom, and how much of it.

    Parameters
    ----------
    folder : Path
        Folder of fits, or of a batch.
    host, port : str, int
        Address.
    token : str
        What a request has to bring as ``Authorization: Bearer``; nothing where none is needed.
    workers : int
        Processes that answer.
    at_once : int
        Requests that are under way at once; more are told to come again.
    connections : int
        Connections that are open at once.
    seconds : float
        How long an answer may take; a report may take :attr:`report_seconds`.
    patience : float
        Seconds within which a request has to arrive as a whole.
    body : int
        Bytes of a body.
    depth, items, text : int
        Levels of a body, entries of an array or object in it, and characters of a string.
    cached : int
        Bytes of answers that are kept.
    fits : int
        Fits that a worker keeps in memory.
    """

    folder: Path
    host: str = "127.0.0.1"
    port: int = 8000
    token: str = ""
    workers: int = 2
    at_once: int = 32
    connections: int = 256
    seconds: float = 30.0
    report_seconds: float = 120.0
    patience: float = 10.0
    body: int = 64 * 1024
    depth: int = 4
    items: int = 1000
    text: int = 200
    cached: int = 32 * 1024 * 1024
    fits: int = 8

    def __post_init__(self) -> None:
        """Refuse what cannot be served, or not safely."""
        if not self.folder.is_dir():
            raise InvalidRequest(f"There is no folder {self.folder}: give one with fits, *.nc, or of a batch.")
        if not 0 <= self.port <= 65535:
            raise InvalidRequest(f"The port is {self.port}: it has to lie between 0 and 65535.")
        if self.workers < 1:
            raise InvalidRequest(f"The number of workers is {self.workers}: it has to be at least one.")
        if self.at_once < 1:
            raise InvalidRequest(f"The number of answers at once is {self.at_once}: it has to be at least one.")
        if not _SOONEST <= self.seconds <= _LATEST:
            raise InvalidRequest(
                f"An answer may take {self.seconds:g} seconds: give between {_SOONEST:g} and {_LATEST:,.0f}."
            )
        if not self.token and not is_loopback(self.host):
            raise InvalidRequest(
                f"Other machines can reach {self.host}: give a --token-file, whose token every request has to send, or stay at "
                f"{LOOPBACK[0]}."
            )


def is_loopback(host: str) -> bool:
    """Whether no other machine reaches a host.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.2", "::1", "0.0.0.0", "example.org")]
    [True, True, True, False, False]
    """
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def read_token(path: Path) -> str:
    """Return the token of a file: one line of at least 16 characters without spaces."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it has to be plain ASCII"
        raise InvalidRequest(f"The token file {path} cannot be read: {reason}.") from None
    if len(token) < _SHORTEST or any(not "!" <= letter <= "~" for letter in token):
        raise InvalidRequest(
            f"The token of {path} has to be one word of {_SHORTEST} characters or more, such as `openssl rand -hex 32` gives."
        )
    return token
