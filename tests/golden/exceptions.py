"""Numbers that were changed on purpose, each with its reason."""

from __future__ import annotations

EXCEPTIONS: dict[str, str] = {}
"""Beginning of the path of a number, as a failure names it (``answers/claims/0``), and why it is another one now."""
