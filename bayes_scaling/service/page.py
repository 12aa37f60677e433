"""The page at ``/``: files of this folder, and what browsers may do with them and with reports."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Response

from bayes_scaling.service.guard import Problem

_FILES: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_SCRIPT: Final = re.compile(rb"<script(?P<about>[^>]*)>(?P<text>.*?)</script>", re.DOTALL)


def add_page(app: FastAPI) -> None:
    """Add the page and its files: those that are there now, and no others."""
    files = {path.name: (path.read_bytes(), _TYPES[path.suffix]) for path in _FILES.iterdir() if path.suffix in _TYPES}

    def response(name: str) -> Response:
        if name not in files:
            raise Problem(404, "The page has no such file.")
        content, kind = files[name]
        headers = {"content-security-policy": _POLICY, "cache-control": "no-cache"}
        return Response(content, headers=headers, media_type=kind)

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return response("index.html")

    @app.get("/page/{name}", include_in_schema=False)
    async def part(name: str) -> Response:
        return response(name)


def report_policy(page: bytes) -> str:
    """Return what a report may do: show itself, and run the scripts that are in it as it was written.

    >>> report_policy(b"<script>1</script>").split("; ")[1]
    "script-src 'sha256-a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s='"
    """
    texts = [match["text"] for match in _SCRIPT.finditer(page) if b"json" not in match["about"]]
    hashes = [f"'sha256-{b64encode(hashlib.sha256(text).digest()).decode()}'" for text in texts]
    scripts = f"script-src {' '.join(hashes)}; " if hashes else ""
    return (
        f"default-src 'none'; {scripts}style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'none'; "
        f"base-uri 'none'; form-action 'none'"
    )
