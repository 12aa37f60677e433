"""What a page needs to answer by itself: some draws of every observation, and its formulas in JavaScript.

The formulas are those of Python, called on symbols; the page evaluates them in each draw, so that it answers as
:func:`~bayes_scaling.predict` would from the same draws.
"""

from __future__ import annotations

import base64
import json
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from importlib.resources import files
from typing import Any, ClassVar, Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.errors import BayesScalingError, NewGroupWarning, NotConvergedWarning
from bayes_scaling.laws.javascript import javascript
from bayes_scaling.model.effects import Spline
from bayes_scaling.model.grouping import label_of
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import admit, counted
from bayes_scaling.posterior.predict import REACHES, parameters_in, with_effects
from bayes_scaling.posterior.residuals import flat_draws
from bayes_scaling.quantities import BY_COLUMN, params_at, tokens_at, training_compute
from bayes_scaling.questions.new_run import NewRunNoise
from bayes_scaling.questions.surface import splits_a_budget
from bayes_scaling.report.training import Formulas, budgets_of, curve_of, data_of, drawn_of, formulas_of, reached
from bayes_scaling.wording import axis_label, percent

DRAWS: Final = 200
"""Draws of all chains together that a page has."""
_BELOW, _BEYOND, _EITHER_WAY = 1.0, 2.0, 1.0
"""Decades below and beyond the runs that a page answers for, and either way of them for what has a best value."""
_POINTS: Final = 400
"""Runs that its figures show, at the most."""
_MOST: Final = 1_000_000
"""Characters that the draws of all groups together have, at the most; those of one are there in any case."""
_OF_NOISE: Final = ("growth", "floor", "sd", "standard")
_PROGRAMS: Final = ("answers.js", "training.js", "asking.js")


@dataclass(frozen=True)
class Interactive:
    """The part of a page that answers: its data, its formulas, and what it has to leave out, with reasons."""

    observations: tuple[Mapping[str, Any], ...]
    formulas: tuple[str, ...]
    left_out: tuple[str, ...]
    prob: float
    macro: ClassVar[str] = "interactive"

    @classmethod
    def of(cls, fit: Fit, prob: float, group: Mapping[str, str]) -> Interactive:
        """Return the answers that a page gives of a fit, of every observation that has JavaScript, for each of its groups.

        The group is the one that is shown first.
        """
        observations, formulas, left_out = [], [], []
        few = fit.thinned(max(1, DRAWS // fit.posterior.sizes["chain"]))
        for name, view in few.views.items():
            try:
                with warnings.catch_warnings():  # the page says whose forecast it is, and whether to rely on it
                    warnings.simplefilter("ignore", NewGroupWarning)
                    warnings.simplefilter("ignore", NotConvergedWarning)
                    data, code, further = _observation(few, name, view, group, _MOST // len(few.views))
            except BayesScalingError as error:
                left_out.append(f"{name} is left out here. {error}")
                continue
            observations.append(
                {
                    "name": "" if fit.model.is_one else name,
                    "of": fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"],
                    **data,
                }
            )
            formulas.append(code)
            if further:
                left_out.append(
                    f"Of {further + len(data['groups'])} groups the page has {len(data['groups'])}: ask the command line for others."
                )
        return cls(tuple(observations), tuple(formulas), tuple(left_out), prob)

    @property
    def draws(self) -> int:
        """Draws that the page has."""
        return self.observations[0]["draws"] if self.observations else 0

    @property
    def splits(self) -> bool:
        """Whether the page splits budgets."""
        return any(data["budget"] for data in self.observations)

    @property
    def trains(self) -> bool:
        """Whether the page finds compute-optimal training."""
        return any(data["training"] for data in self.observations)

    @property
    def probability(self) -> str:
        """The probability of its intervals, in words."""
        return percent(self.prob)

    @property
    def data(self) -> str:
        """The draws as JSON that may stand in a page."""
        text = json.dumps({"prob": self.prob, "observations": self.observations}, allow_nan=False)
        return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")

    @property
    def digest(self) -> str:
        """The digest of the program: the one that the page lets run."""
        return f"'sha256-{base64.b64encode(sha256(self.script.encode()).digest()).decode()}'"

    @cached_property
    def script(self) -> str:
        """The program of the page: the formulas, how draws are made answers, and how they are shown."""
        code = ",\n".join(self.formulas)
        parts = [files("bayes_scaling.report").joinpath(name).read_text("utf-8") for name in _PROGRAMS]
        return "\n".join(['"use strict";', f"const FORMULAS = [\n{code}\n];", *parts])


def _observation(fit: Fit, name: str, few: Fit, group: Mapping[str, str], most: int) -> tuple[dict[str, Any], str, int]:
    """Return the draws of one observation of a fit, in each of its groups, its formulas, and how many groups are too many."""
    only, parts = few.model.only, groups_of(few, group)
    columns = list(only.columns.values())
    along = [c for effect in only.discrepancy.items() for c in effect[1].columns(effect[0]) if c in BY_COLUMN]
    columns += [c for c in dict.fromkeys(along) if c not in counted(few, dict.fromkeys(columns, 1.0))]
    tracked = [c for c in dict.fromkeys((*REACHES, *columns, *along)) if c in counted(few, dict.fromkeys(columns, 1.0))]
    ends = {column: _ends(few, column) for column in dict.fromkeys((*columns, *tracked))}
    curve = curve_of(fit, name, columns) if parts == [{}] else None
    own = drawn_of(fit, name) if curve else {}
    parameters, noise, drawn = _drawn(few, parts[0])
    drawn |= own
    budgets = budgets_of(few, _BEYOND) if curve else {}
    farther = reached(curve, budgets) if curve else {}
    within = {column: _both(end, farther.get(column, end)) for column, end in ends.items()}
    splines = _splines(few, parts[0], within)

    def of_law(law: Any, added: Any, draw: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return what is expected and what is measured where the law expects a loss, of what the discrepancy adds, and one draw."""
        one = replace(noise, **{name: draw.get(name) for name in _OF_NOISE})
        growth = one.growth_at(law)
        expected = with_effects(law, added, growth)
        return expected, one.measured(expected, growth)

    def run(*symbols: Any) -> tuple[Any, Any]:
        """Return what is expected and what is measured, of the inputs, what the discrepancy adds, and one draw."""
        draw = dict(zip(drawn, symbols[len(columns) + 1 :], strict=True))
        unknown = {name: draw.get(f"p_{name}", value) for name, value in parameters.items()}
        return of_law(only.the_law(*symbols[: len(only.columns)], **unknown), symbols[len(columns)], draw)

    names = [*(f"x{number}" for number in range(len(columns))), "added", *drawn]
    formulas: Formulas = {
        "columns": (
            lambda *x: [counted(few, dict(zip(columns, x, strict=True)))[c] for c in tracked],
            names[: len(columns)],
        ),
        "expected": (lambda *x: run(*x)[0], names),
        "measured": (lambda *x: run(*x)[1], names),
        "tokensAt": (tokens_at, ["C", "N"]),
        "paramsAt": (params_at, ["C", "D"]),
        "compute": (training_compute, ["N", "D"]),
    }
    formulas |= formulas_of(curve, list(drawn), of_law) if curve else {}
    code = ",\n".join(f"{name}: {javascript(formula, arguments)}" for name, (formula, arguments) in formulas.items())
    store = _Store({})
    told = [_told(store, few, parts[0], drawn.values(), splines, tracked)]
    for labels in parts[1:]:
        larger = store.copy()
        told.append(_told(larger, few, labels, _drawn(few, labels)[2].values(), _splines(few, labels, within), tracked))
        if larger.size > most:
            told.pop()
            break
        store = larger
    table = few.table.iloc[:: -(-len(few.table) // _POINTS)]
    data = {
        "output": f"loss ({few.loss_unit})" if only.output == "loss" else axis_label(only.output),
        "draws": noise.sd.size,
        "inputs": [{**_named(few, c), "low": ends[c][0], "high": ends[c][1], **_middle(few, c)} for c in columns],
        "tracked": [{**_named(few, c), **_range(few, c)} for c in tracked],
        "pool": store.texts,
        "groups": told,
        "budget": _budget(few, columns) if splits_a_budget(few) else None,
        "training": data_of(columns, splines, budgets) if curve else None,
        "runs": {
            "x": [table[c].tolist() if c in table else [] for c in columns],
            "compute": table["compute_flops"].tolist() if "compute_flops" in table else [],
            "y": table[only.output].tolist(),
            "group": [_place(parts[: len(told)], row) for row in _labels(few, table)],
        },
    }
    return data, f"{{{code}}}", len(parts) - len(told)


def _columns_of_groups(fit: Fit) -> list[str]:
    """Return the columns that say which group a run is of."""
    return [column for column in fit.model.group_columns if column != "observation" and column in fit.table]


def _labels(fit: Fit, table: pd.DataFrame) -> list[dict[str, str]]:
    """Return the group of each run."""
    columns = _columns_of_groups(fit)
    return [dict(zip(columns, map(label_of, row), strict=True)) for row in table[columns].itertuples(index=False)]


def groups_of(fit: Fit, group: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the groups that the page answers for: the one asked for, a new one, and those of the runs, the largest first."""
    asked = admit(fit, {column: label for column, label in group.items() if column in fit.model.group_columns}, 0)
    columns = _columns_of_groups(fit)
    runs = Counter(tuple(labels.values()) for labels in _labels(fit, fit.table)) if columns else {}
    known = sorted(runs, key=lambda labels: (-runs[labels], labels))
    found = [asked, {}, *(dict(zip(columns, labels, strict=True)) for labels in known)]
    return [labels for number, labels in enumerate(found) if labels not in found[:number]]


def _place(parts: list[dict[str, str]], labels: dict[str, str]) -> int:
    """Return which of several groups a run is of; none where it is of no one group among them."""
    return parts.index(labels) if labels and labels in parts else -1


def _drawn(few: Fit, labels: Mapping[str, str]) -> tuple[dict[str, Any], NewRunNoise, dict[str, np.ndarray]]:
    """Return the parameters and the noise of a group, and what differs from draw to draw, as the page names it."""
    parameters, noise = parameters_in(few, labels, seed=0), NewRunNoise.of(few, labels, 0)
    drawn = {f"p_{name}": flat_draws(value) for name, value in parameters.items() if isinstance(value, xr.DataArray)}
    return parameters, noise, drawn | {n: v for n in _OF_NOISE if (v := getattr(noise, n)) is not None}


def _splines(few: Fit, labels: Mapping[str, str], ends: Mapping[str, tuple[float, float]]) -> list[Spline]:
    """Return the discrepancies of a group."""
    each = (effect.spline(few.posterior, labels, 0, ends) for effect in few.layout.only.discrepancy)
    return [spline for spline in each if spline is not None]


class _Store:
    """Packed arrays, each once: groups share what does not vary by group."""

    def __init__(self, places: Mapping[str, int]) -> None:
        self._places = dict(places)

    def copy(self) -> _Store:
        """Return a store of the same arrays."""
        return _Store(self._places)

    def place(self, values: np.ndarray) -> int:
        """Return where an array stands."""
        return self._places.setdefault(base64.b64encode(np.ascontiguousarray(values)).decode(), len(self._places))

    @property
    def texts(self) -> list[str]:
        """The arrays."""
        return list(self._places)

    @property
    def size(self) -> int:
        """Characters of all of them."""
        return sum(map(len, self._places))


def _told(
    store: _Store,
    few: Fit,
    labels: Mapping[str, str],
    drawn: Iterable[np.ndarray],
    splines: list[Spline],
    tracked: list[str],
) -> dict[str, Any]:
    """Return what the page has of a group."""
    columns = [column for column in few.model.group_columns if column != "observation"]
    whose = (f"{column} {labels[column]}" if column in labels else f"a new {column}" for column in columns)
    return {
        "name": ", ".join(whose),
        "values": [store.place(np.asarray(values, "<f8")) for values in drawn],
        "splines": [_spline(store, spline, tracked) for spline in splines],
    }


def _named(fit: Fit, column: str) -> dict[str, str]:
    """Return how a quantity is called on the page."""
    quantity = BY_COLUMN.get(column)
    if quantity is None:
        return {"symbol": column, "unit": ""}
    return {"symbol": quantity.symbol, "unit": fit.loss_unit if column == "loss" else quantity.unit}


def _ends(fit: Fit, column: str) -> tuple[float, float]:
    """Return the least and the largest value that the page answers for."""
    quantity, law = BY_COLUMN.get(column), fit.model.only.the_law
    best = {c for symbol, c in fit.model.only.columns.items() if symbol in law.best and symbol not in ("N", "D")}
    values = fit.table[column] if column in fit.table else np.ones(1)
    above = _EITHER_WAY if column in best or column == "loss" else _BEYOND
    low, high = float(np.min(values)) / 10**_BELOW, float(np.max(values)) * 10**above
    return low, min(high, quantity.maximum if quantity else np.inf)


def _both(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """Return the least and the largest of both."""
    return min(one[0], other[0]), max(one[1], other[1])


def _range(fit: Fit, column: str) -> dict[str, float | None]:
    """Return the least and the largest value of the runs, where they have the quantity."""
    known = column in fit.table
    return {
        "least": float(fit.table[column].min()) if known else None,
        "most": float(fit.table[column].max()) if known else None,
    }


def _middle(fit: Fit, column: str) -> dict[str, float]:
    """Return the value that a slider begins at."""
    return {"start": float(np.exp(np.log(fit.table[column]).mean())) if column in fit.table else 1.0}


def _budget(fit: Fit, columns: list[str]) -> dict[str, Any]:
    """Return which input is the size, and the budgets that the page answers for: those of the runs, and beyond them."""
    spent = training_compute(fit.table["params"], fit.table["tokens"])
    least, most = float(spent.min()), float(spent.max())
    return {
        "params": columns.index("params"),
        "tokens": columns.index("tokens"),
        "low": least,
        "high": most * 10**_BEYOND / 1.01,
        "start": most * 10.0,
    }


def _spline(store: _Store, spline: Spline, tracked: list[str]) -> dict[str, Any]:
    """Return a spline whose knots are written as whole steps of a unit, to a relative 2^-32 of the largest step."""
    moves = np.diff(spline.knots, axis=0, prepend=0.0)
    unit = float(np.abs(moves).max()) / (2**31 - 2) or 1.0
    whole = np.diff(np.rint(spline.knots / unit), axis=0, prepend=0.0).astype("<i4")
    return {
        "tracked": tracked.index(spline.column),
        "first": spline.first,
        "spacing": spline.spacing,
        "unit": unit,
        "moves": store.place(whole),
    }
