"""A fit of L(D) in groups, made by hand: exact where one draw is asked for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.model.document import read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.reference import publish
from bayes_scaling.posterior.fit import Fit

OFFSET, TERM, EXPONENT = 1.5, 0.6, 0.25
TOKENS = np.geomspace(1e9, 1e11, 5)
AT = float(np.sqrt(TOKENS[0] * TOKENS[-1]))
"""The geometric mean of the runs: where ``TERM`` is what finite data costs."""


def loss(tokens, *, factor=1.0, exponent=EXPONENT, offset=OFFSET):
    """Return the law: one variant's term is ``factor`` times that of the base."""
    return offset + TERM * factor * (tokens / AT) ** -exponent


def variants_fit(
    factors: Mapping[str, float],
    exponents: Mapping[str, float] | None = None,
    *,
    draws: int = 1,
    scatter: float = 0.0,
    **columns: Mapping[str, float],
) -> Fit:
    """Return a fit whose groups have the terms and exponents given, as factors of the base's; columns are one number a group."""
    model = read_model("offset_d").without_discrepancy().without_outliers().by("variant")
    groups = sorted(factors)
    table = pd.concat([pd.DataFrame({"tokens": TOKENS, "variant": group}) for group in groups], ignore_index=True)
    table["loss"] = [loss(row.tokens, factor=factors[row.variant]) for row in table.itertuples()]
    for name, of_groups in columns.items():
        table[name] = table["variant"].map(of_groups)
    layout = Layout.of(model, {model.only.name: table})
    rng = np.random.default_rng(3)

    def constant(value: float) -> xr.DataArray:
        return xr.DataArray(np.full((1, draws), value), dims=("chain", "draw"))

    found, values = {}, {}
    for name, centre, of_groups in (("beta", TERM, factors), ("c", EXPONENT, exponents or {}), ("E", OFFSET, {})):
        logs = np.log([of_groups.get(group, 1.0) for group in groups])
        each = logs + scatter * (name == "beta") * rng.standard_normal((1, draws, len(groups)))
        effect = xr.DataArray(each, dims=("chain", "draw", "variant"))
        found[f"{name}_effect_variant"], found[f"{name}_spread_variant"] = effect, constant(0.05)
        found[f"{name}_population"] = constant(centre)
        values[name] = found[f"{name}_population"] * np.exp(effect)
    noise = {"sigma": constant(1e-9), "growth": constant(0.0), "floor": constant(0.5)}
    found |= publish(model, values, layout.reference) | noise
    coords = {"chain": [0], "draw": range(draws), "variant": groups}
    return Fit.from_draws(xr.Dataset(found, coords=coords), model, table, {"runs": "by hand"})
