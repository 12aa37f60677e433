"""The page of a batch: every fit in a table that can be sorted, and a small picture of every forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import jinja2
import numpy as np
import pandas as pd

from bayes_scaling.model.names import is_log
from bayes_scaling.posterior.summary import reference_rows
from bayes_scaling.quantities import BY_COLUMN
from bayes_scaling.wording import amount, coordinate, number, percent, short

_MOST_ROWS, _MOST_PICTURES = 5000, 400
_WIDTH, _HEIGHT, _MARGIN = 240, 150, 6
_RANK: Final = {"not converged": 0, "check failed": 1, "passed": 2}
_BRIEFLY: Final = 3
_EFFECT_MARK: Final = "["


def index_page(
    done: Sequence[Mapping[str, Any]], failed: Sequence[Mapping[str, Any]], pooled: Mapping[str, pd.DataFrame]
) -> str:
    """Return the page as HTML, with all it needs in it."""
    rows = [_row(record) for record in done]
    # What needs attention first.
    rows.sort(key=lambda row: (_RANK[row["state"]], row["table"], row["model"]))
    loader = jinja2.PackageLoader("bayes_scaling.batch", package_path="")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("index.html.jinja").render(
        rows=rows[:_MOST_ROWS],
        hidden=max(0, len(rows) - _MOST_ROWS),
        pictures=[row for row in rows if row["picture"]][:_MOST_PICTURES],
        counts={state: sum(row["state"] == state for row in rows) for state in reversed(_RANK)},
        failed=failed,
        prob=percent(done[0]["summary"]["prob"]) if done else "90 %",
        pooled={name: _population(table) for name, table in pooled.items()},
    )


def _row(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a fit as the page shows it: words, and numbers to sort by."""
    summary = record["summary"]
    state = "not converged" if not summary["converged"] else "passed" if summary["adequate"] else "check failed"
    along, forecast, optimum = (summary.get(name) for name in ("forecast_along", "forecast", "optimum_params"))
    return {
        **{name: record[name] for name in ("table", "model", "file", "report")},
        "state": state,
        "rank": _RANK[state],
        "verdict": summary["verdict"],
        "rows": summary["rows"],
        "parameters": (parameters := _parameters(summary["parameters"])),
        "briefly": ", ".join(f"{name} {text.partition(' ')[0]}" for name, text in parameters[:_BRIEFLY])
        + ", ..." * (len(parameters) > _BRIEFLY),
        "forecast": forecast,
        "forecast_text": ""
        if forecast is None
        else _interval(forecast, summary["forecast_lower"], summary["forecast_upper"], number4),
        "at": "" if along is None else coordinate(along, summary["forecast_at"]),
        "note": summary.get("forecast_note") or "",
        "optimum": optimum,
        "optimum_text": ""
        if optimum is None
        else f"N {_interval(optimum, summary['optimum_params_lower'], summary['optimum_params_upper'], short)}",
        "tokens_text": ""
        if optimum is None
        else f"D {_interval(summary['optimum_tokens'], summary['optimum_tokens_lower'], summary['optimum_tokens_upper'], short)}",
        "worst": summary["failed_checks"].split("; ")[0] if summary["failed_checks"] else "",
        "more": max(0, summary["failed_checks"].count("; ")),
        "suspects": summary["suspects"],
        "picture": _picture(record["forecast"]),
    }


def number4(value: float) -> str:
    """Write a loss to four digits."""
    return number(value, 4)


def _interval(middle: float, lower: float, upper: float, write: Any) -> str:
    return f"{write(middle)} ({write(lower)} to {write(upper)})"


def _parameters(parameters: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return the published parameters with their intervals: no effects, no values at the reference, no groups' values."""
    names = [name for name in parameters if f"{name}_lower" in parameters and _EFFECT_MARK not in name and not is_log(name)]
    there = set(reference_rows(names).values())
    return [
        (name, _interval(parameters[name], parameters[f"{name}_lower"], parameters[f"{name}_upper"], number))
        for name in names
        if name not in there
        and not any(other != name and name == f"{other}{end}" for other in names for end in ("_lower", "_upper"))
    ]


def _picture(forecast: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the forecast as paths of a small drawing, both axes logarithmic."""
    if forecast is None or not forecast["runs"]:
        return None
    runs = np.array(forecast["runs"], float)
    at, ends = (
        np.array(forecast["at"], float),
        {n: np.array(forecast[n], float) for n in ("median", "lower", "upper", "mean_lower", "mean_upper")},
    )
    left, right = np.log(min(at.min(), runs[:, 0].min())), np.log(at.max())
    values = np.concatenate([runs[:, 1], *ends.values()])
    if not (np.isfinite(values).all() and (values > 0).all()):
        return None
    bottom, top = np.log(values.min()), np.log(values.max())
    width, height = max(right - left, 1e-9), max(top - bottom, 1e-9)

    def points(x: np.ndarray, y: np.ndarray) -> list[tuple[float, float]]:
        across = _MARGIN + (np.log(x) - left) / width * (_WIDTH - 2 * _MARGIN)
        down = _MARGIN + (top - np.log(y)) / height * (_HEIGHT - 2 * _MARGIN)
        return [(round(float(a), 1), round(float(d), 1)) for a, d in zip(across, down, strict=True)]

    def line(pairs: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{a},{d}" for a, d in pairs)

    def band(low: str, high: str) -> str:
        return line([*points(at, ends[low]), *reversed(points(at, ends[high]))])

    quantity = BY_COLUMN.get(forecast["along"])
    symbol = quantity.symbol if quantity else forecast["along"]
    return {
        "run": band("lower", "upper"),
        "mean": band("mean_lower", "mean_upper"),
        "median": line(points(at, ends["median"])),
        "dots": points(runs[:, 0], runs[:, 1]),
        "edge": points(np.array([runs[:, 0].max()]), np.array([values.max()]))[0][0],
        "x": f"{symbol} {amount(float(at.min()), forecast['along'])} to {amount(float(at.max()), forecast['along'])}",
        "y": f"loss {number(float(values.min()))} to {number(float(values.max()))}",
    }


def _population(table: pd.DataFrame) -> list[dict[str, str]]:
    """Return the rows of a pooled model for the page: the population first, then every table."""
    return [
        {
            "parameter": str(row["parameter"]),
            "table": str(row["table"]),
            "alone": _interval(row["alone"], row["alone_lower"], row["alone_upper"], number),
            "pooled": _interval(row["pooled"], row["pooled_lower"], row["pooled_upper"], number),
        }
        for row in table.to_dict("records")
    ]
