"""What a worker process does: load a fit, answer what is asked of it, and return JSON.

Nothing here knows of HTTP but the status of a reply. A worker is one thread in a process of its own.
"""

from __future__ import annotations

import json
import tempfile
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bayes_scaling.errors import BayesScalingError, InvalidFit, NotConvergedWarning, gathered_warnings
from bayes_scaling.posterior.fit import Fit, load_fit
from bayes_scaling.posterior.mixture import Mixture, load_mixture
from bayes_scaling.questions.base import plain
from bayes_scaling.questions.guardrails import Refused
from bayes_scaling.service.requests import without

if TYPE_CHECKING:
    from bayes_scaling.service.folder import Stored
    from bayes_scaling.service.requests import Asked

OK, CONFLICT, UNPROCESSABLE, FAILED = 200, 409, 422, 500
CHANGED: Final = 0
"""In place of a status: the files are no longer those that were asked for."""
_ALL_THE_SAME: Final = "To get an answer all the same: override=true."
_ROWS: Final = 2000
"""Runs of a fit that are listed, evenly spaced where there are more."""
_LISTED: Final = ("run_id", "params", "tokens", "compute_flops", "loss")
_RANGES: Final = ("params", "tokens", "compute_flops", "loss")


@dataclass(frozen=True)
class Reply:
    """What came of a request: a status, a body (JSON, a page, or a sentence where it failed), warnings, and the kind of error."""

    status: int
    body: bytes
    warnings: tuple[str, ...] = ()
    code: str | None = None


_loaded: OrderedDict[Stored, Fit | Mixture] = OrderedDict()
_kept = 1


def keep(fits: int) -> None:
    """Keep some number of fits in memory."""
    global _kept
    _kept = fits


def answer(stored: Stored, asked: Asked) -> Reply:
    """Answer a question asked of a stored fit; one that has not converged answers only where the request overrides it."""
    kind = type(asked.question)

    def reply(posterior: Fit | Mixture) -> bytes:
        if not kind.takes:
            return _json(asked.question.answer().to_dict())
        if not (posterior.converged or asked.overrides):
            raise Refused([posterior.verdict])
        return _json(asked.question.answer(_observation(posterior, asked.observation)).to_dict())

    found = _reply(stored, reply)
    if found.status in (OK, CHANGED):
        return found
    given = [asked.question.model_dump(mode="json", exclude_defaults=True), asked.observation]
    return replace(found, body=without(found.body.decode(), given, kind).encode())


def _observation(posterior: Fit | Mixture, name: str | None) -> Fit | Mixture:
    if name is None:
        return posterior
    (fit,) = posterior.as_kind(("fit",), "for an observation").parts.values()
    return fit.for_loss(name)


def describe(stored: Stored) -> Reply:
    """Return what is known of a stored fit."""
    from bayes_scaling.posterior.summary import described

    def reply(posterior: Fit | Mixture) -> bytes:
        about: dict[str, Any] = {
            "id": stored.name,
            **_of_any(posterior),
            "adequacy": posterior.adequacy,
        }
        parts = list(posterior.parts.values())
        of_mixture = {"weights": dict(posterior.weights), "sentence": posterior.sentence}
        about |= of_mixture if posterior.weights else described(parts[0])
        about["observations"] = {view.model.only.name: _of_observation(view) for view in parts[0].views.values()}
        about["runs"] = str(parts[0].facts["runs"])
        return _json(about)

    return _reply(stored, reply)


def _of_observation(view: Fit) -> dict[str, Any]:
    """Return the law of an observation, its groups, and its rows."""
    table, only = view.table, view.model.only
    step = -(-len(table) // _ROWS)
    groups = {name: sorted(map(str, table[name].unique())) for name in view.model.group_columns if name in table}
    ranges = {c: [float(table[c].min()), float(table[c].max())] for c in _RANGES if c in table and table[c].notna().any()}
    rows = table[[c for c in _LISTED if c in table]].iloc[::step]
    return {
        "law": only.law,
        "inputs": list(only.columns.values()),
        "measures": only.output,
        "rows": len(table),
        "groups": groups,
        "ranges": ranges,
        "runs": rows.to_dict("records"),
    }


def summarize(each: Iterable[Stored]) -> list[dict[str, Any] | None]:
    """Return a line for each of several fits; nothing where its files changed meanwhile."""
    lines = (_reply(stored, lambda posterior: _json(_line(posterior)), keep=False) for stored in each)
    found = {OK: lambda body: json.loads(body), CHANGED: lambda body: None}
    return [found.get(reply.status, lambda body: {"problem": body.decode()})(reply.body) for reply in lines]


def _line(posterior: Fit | Mixture) -> dict[str, Any]:
    parts = list(posterior.parts.values())
    laws = dict.fromkeys(observation.law for part in parts for observation in part.model.observations)
    return {"laws": list(laws), "runs": str(parts[0].facts["runs"]), **_of_any(posterior)}


def _of_any(posterior: Fit | Mixture) -> dict[str, Any]:
    """Return what is said of every posterior."""
    return {
        "kind": "mixture" if posterior.weights else "fit",
        "loss_unit": posterior.loss_unit,
        "converged": posterior.converged,
        "verdict": posterior.verdict,
        "adequate": posterior.adequate,
        "fit_digest": posterior.digest,
        "model_digest": posterior.model_digest,
    }


def report(stored: Stored) -> Reply:
    """Return the report of a stored fit: one page."""

    def reply(posterior: Fit | Mixture) -> bytes:
        from bayes_scaling.report import write_report  # seconds of imports that no answer needs

        (fit,) = posterior.as_kind(("fit",), "for a report").parts.values()
        with tempfile.TemporaryDirectory() as folder:
            return write_report(fit, Path(folder) / "report.html").read_bytes()

    return _reply(stored, reply)


def _reply(stored: Stored, reply: Callable[[Fit | Mixture], bytes], *, keep: bool = True) -> Reply:
    """Return what comes of a stored fit, or why nothing does."""
    with gathered_warnings(but=(NotConvergedWarning,)) as said:  # the verdict says that
        try:
            posterior = _load(stored, keep=keep)
            if posterior is None:
                return Reply(CHANGED, b"")
            body = reply(posterior)
        except Refused as error:
            return Reply(CONFLICT, " ".join([*error.reasons, _ALL_THE_SAME]).encode(), code=error.code)
        except InvalidFit as error:
            damaged = "The file of this fit cannot be read; it is damaged, or of another version."
            return Reply(CONFLICT, damaged.encode(), code=error.code)
        except BayesScalingError as error:
            return Reply(UNPROCESSABLE, str(error).encode(), code=error.code)
        except Exception:  # of a question: the log has it, the reply has not
            return Reply(FAILED, traceback.format_exc().encode())
    return Reply(OK, body, tuple(said))


def _load(stored: Stored, *, keep: bool) -> Fit | Mixture | None:
    """Return a stored fit, from memory where it is there; nothing where its files are no longer those asked for."""
    if stored in _loaded:
        _loaded.move_to_end(stored)
        return _loaded[stored]
    if not stored.unchanged():
        return None
    try:
        posterior = load_mixture(stored.path) if stored.is_mixture else load_fit(stored.path)
    except InvalidFit:
        if stored.unchanged():
            raise
        return None
    if not stored.unchanged():
        return None
    if keep:
        for older in [other for other in _loaded if other.path == stored.path]:
            del _loaded[older]
        _loaded[stored] = posterior
        while len(_loaded) > _kept:
            _loaded.popitem(last=False)
    return posterior


def _json(value: Any) -> bytes:
    return json.dumps(plain(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
