"""Rows that may have gone wrong: how surely, and how far off they are."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.model import names
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import growth_at
from bayes_scaling.posterior.residuals import law_at_runs, loss_at_runs, row_scales

_BEYOND: Final = 3.0
"""Standard deviations of the noise beyond which the error of a row is more than noise."""


def suspects(fit: Fit) -> pd.DataFrame:
    """Return the rows that may have gone wrong, most surely first.

    Parameters
    ----------
    fit : Fit
        A fit, of one law or several.

    Returns
    -------
    DataFrame
        ``observation``; ``row``, its number from zero; ``label``, its ``run_id`` where there is one; ``prob``, the posterior
        probability that its own error is larger than three standard deviations of the noise of other rows, or, where it was
        given none, that it went wrong by Laplace's approximation; ``off``, the logarithm of what was measured over what all
        else says; ``counts``, whether the row counts like any other.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> len(suspects(example_fit()))
    0
    """
    found = []
    for name, view in fit.views.items():
        rows = view.layout.only
        if not rows.outliers:
            continue
        numbers = list(rows.outliers)
        expected = loss_at_runs(view).isel(run=numbers)
        scale, _ = row_scales(view, growth_at(view, law_at_runs(view)))
        own = view.posterior["outlier"].drop_vars(names.OUTLIER, errors="ignore").rename({names.OUTLIER: "run"})
        prob = (own > _BEYOND * scale.isel(run=numbers)).mean(names.SAMPLE_DIMS).values
        ratio: Any = xr.DataArray(rows.measured[numbers], dims="run") / expected
        off = np.log(ratio).median(names.SAMPLE_DIMS).values
        found += [
            {"observation": name, "row": row, "label": rows.label(row), "prob": float(p), "off": float(o), "counts": False}
            for row, p, o in zip(numbers, prob, off, strict=True)
        ]
    for row in fit.facts.get("named", ()):
        if row["observation"] in fit.views:
            label = fit.view(row["observation"]).layout.only.label(int(row["row"]))
            found.append({**row, "label": label, "counts": True})
    columns = ["observation", "row", "label", "prob", "off", "counts"]
    return pd.DataFrame(found, columns=columns).sort_values("prob", ascending=False, ignore_index=True)


def suspects_sentence(fit: Fit) -> str:
    """Return the rows that may have gone wrong as a sentence; nothing where there are none.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> suspects_sentence(example_fit())
    ''
    """
    rows = suspects(fit)

    def listed(counts: bool) -> str:
        return "; ".join(
            f"{row.label} ({100 * row.prob:.0f} %), {100 * abs(np.expm1(row.off)):.2g} % {'above' if row.off > 0 else 'below'}"
            for row in rows[rows["counts"] == counts].itertuples()
        )

    aside, kept = listed(False), listed(True)
    sentences = [f"Set aside: {aside} the value that the other rows predict."] if aside else []
    sentences += [f"Kept in the fit: {kept} the value that the other rows predict."] if kept else []
    return " ".join(["Possible outliers, with the probability that the row went wrong.", *sentences]) if sentences else ""
