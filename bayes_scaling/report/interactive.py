"""What a page needs to answer by itself: some draws of every observation, and its formulas in JavaScript.

The formulas are those of Python, called on symbols; the page evaluates them in each draw, so that it answers as
:func:`~bayes_scaling.predict` would from the same draws.
"""

from __future__ import annotations

import base64
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from importlib.resources import files
from typing import Any, ClassVar, Final

import numpy as np
import xarray as xr

from bayes_scaling.errors import BayesScalingError, NewGroupWarning, NotConvergedWarning
from bayes_scaling.laws.javascript import javascript
from bayes_scaling.model.effects import Spline
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import admit, counted
from bayes_scaling.posterior.predict import REACHES, parameters_in, with_effects
from bayes_scaling.posterior.residuals import flat_draws
from bayes_scaling.quantities import BY_COLUMN, params_at, tokens_at, training_compute
from bayes_scaling.questions.new_run import NewRunNoise
from bayes_scaling.questions.surface import splits_a_budget
from bayes_scaling.questions.wording import axis_label, percent

DRAWS: Final = 200
"""Draws of all chains together that a page has."""
_BELOW, _BEYOND, _EITHER_WAY = 1.0, 2.0, 1.0
"""Decades below and beyond the runs that a page answers for, and either way of them for what has a best value."""
_POINTS: Final = 400
"""Runs that its figures show, at the most."""


@dataclass(frozen=True)
class Interactive:
    """The part of a page that answers: its data, its formulas, and observations that it has to leave out, with reasons."""

    observations: tuple[Mapping[str, Any], ...]
    formulas: tuple[str, ...]
    left_out: tuple[str, ...]
    prob: float
    group: str
    macro: ClassVar[str] = "interactive"

    @classmethod
    def of(cls, fit: Fit, prob: float, group: Mapping[str, str]) -> Interactive:
        """Return the answers that a page gives of a fit, of every observation that has JavaScript."""
        observations, formulas, left_out = [], [], []
        for name, view in fit.views.items():
            try:
                with warnings.catch_warnings():  # the page says whose forecast it is, and whether to rely on it
                    warnings.simplefilter("ignore", NewGroupWarning)
                    warnings.simplefilter("ignore", NotConvergedWarning)
                    labels = admit(view, {c: v for c, v in group.items() if c in view.model.group_columns}, 0)
                    data, code = _observation(view, labels)
            except BayesScalingError as error:
                left_out.append(f"{name} is left out here. {error}")
                continue
            observations.append({"name": "" if fit.model.is_one else name, **data})
            formulas.append(code)
        columns = [column for column in fit.model.group_columns if column != "observation"] if fit.model.is_one else []
        whose = ", ".join(f"{column} {group[column]}" if column in group else f"a new {column}" for column in columns)
        return cls(tuple(observations), tuple(formulas), tuple(left_out), prob, whose)

    @property
    def draws(self) -> int:
        """Draws that the page has."""
        return self.observations[0]["draws"] if self.observations else 0

    @property
    def splits(self) -> bool:
        """Whether the page splits budgets."""
        return any(data["budget"] for data in self.observations)

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
        parts = [files("bayes_scaling.report").joinpath(name).read_text("utf-8") for name in ("answers.js", "asking.js")]
        return "\n".join(['"use strict";', parts[0], f"const FORMULAS = [\n{code}\n];", parts[1]])


def _observation(fit: Fit, labels: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """Return the draws of one observation, thinned, and its formulas."""
    few = fit.thinned(max(1, DRAWS // fit.posterior.sizes["chain"]))
    only, noise = few.model.only, NewRunNoise.of(few, labels, 0)
    parameters = parameters_in(few, labels, seed=0)
    drawn: dict[str, np.ndarray] = {
        f"p_{name}": flat_draws(value) for name, value in parameters.items() if isinstance(value, xr.DataArray)
    }
    of_noise = {"growth": noise.growth, "floor": noise.floor, "sd": noise.sd, "standard": noise.standard}
    drawn |= {name: value for name, value in of_noise.items() if value is not None}
    columns = list(only.columns.values())
    along = [c for effect in only.discrepancy.items() for c in effect[1].columns(effect[0]) if c in BY_COLUMN]
    columns += [c for c in dict.fromkeys(along) if c not in counted(few, dict.fromkeys(columns, 1.0))]
    tracked = [c for c in dict.fromkeys((*REACHES, *columns, *along)) if c in counted(few, dict.fromkeys(columns, 1.0))]
    ends = {column: _ends(few, column) for column in dict.fromkeys((*columns, *tracked))}
    splines = [effect.spline(few.posterior, labels, 0, ends) for effect in few.layout.only.discrepancy]

    def run(*symbols: Any) -> tuple[Any, Any]:
        """Return what is expected and what is measured, of the inputs, what the discrepancy adds, and one draw."""
        inputs, added = symbols[: len(columns)], symbols[len(columns)]
        draw = dict(zip(drawn, symbols[len(columns) + 1 :], strict=True))
        own = replace(noise, **{name: draw.get(name) for name in of_noise})
        unknown = {name: draw.get(f"p_{name}", value) for name, value in parameters.items()}
        law = only.the_law(*inputs[: len(only.columns)], **unknown)
        growth = own.growth_at(law)
        expected = with_effects(law, added, growth)
        return expected, own.measured(expected, growth)

    names = [*(f"x{number}" for number in range(len(columns))), "added", *drawn]
    formulas: dict[str, tuple[Callable[..., Any], list[str]]] = {
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
    code = ",\n".join(f"{name}: {javascript(formula, arguments)}" for name, (formula, arguments) in formulas.items())
    table = few.table.iloc[:: -(-len(few.table) // _POINTS)]
    return {
        "output": f"loss ({few.loss_unit})" if only.output == "loss" else axis_label(only.output),
        "draws": noise.sd.size,
        "of": int(fit.posterior["sigma"].size),
        "inputs": [{**_named(few, c), "low": ends[c][0], "high": ends[c][1], **_middle(few, c)} for c in columns],
        "tracked": [{**_named(few, c), **_range(few, c)} for c in tracked],
        "values": _packed(np.stack(list(drawn.values())).T),
        "splines": [_spline(each, tracked) for each in splines if each is not None],
        "budget": _budget(few, columns) if splits_a_budget(few) else None,
        "runs": {
            "x": [table[c].tolist() if c in table else [] for c in columns],
            "compute": table["compute_flops"].tolist() if "compute_flops" in table else [],
            "y": table[only.output].tolist(),
        },
    }, f"{{{code}}}"


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


def _packed(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values, "<f8")).decode()


def _spline(spline: Spline, tracked: list[str]) -> dict[str, Any]:
    """Return a spline whose knots are written as whole steps of a unit, to a relative 2^-32 of the largest step."""
    moves = np.diff(spline.knots, axis=0, prepend=0.0)
    unit = float(np.abs(moves).max()) / 2**30 or 1.0
    whole = np.diff(np.rint(spline.knots / unit), axis=0, prepend=0.0).astype("<i4")
    return {
        "tracked": tracked.index(spline.column),
        "first": spline.first,
        "spacing": spline.spacing,
        "unit": unit,
        "moves": base64.b64encode(np.ascontiguousarray(whole)).decode(),
    }
