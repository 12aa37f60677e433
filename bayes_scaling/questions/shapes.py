"""Whole layers and heads: the Transformers nearest to a size, and what each loses at the budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from pydantic import Field

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.laws.transformer import Transformer
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.quantities import tokens_at
from bayes_scaling.questions.allocation import allocate
from bayes_scaling.questions.base import Answer, OfText
from bayes_scaling.questions.regret import regret
from bayes_scaling.questions.surface import Supply
from bayes_scaling.questions.wording import short

_WIDEST: Final = 2**18


def shapes_near(
    fit: Fit,
    *,
    compute: float,
    params: float,
    head_width: int = 128,
    aspect: tuple[float, float] = (30.0, 200.0),
    count: int = 5,
    least_params: float = 1.0,
    most_params: float = np.inf,
    supply: Supply | None = None,
    group: Mapping[str, str] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Return Transformers of whole layers and heads near a size, nearest first.

    Depth and width matter little at one size within the aspects allowed (Kaplan et al. 2020, Figure 5): shapes are ranked by
    size alone.

    Parameters
    ----------
    fit : Fit
        A fit of a law of N and D, whose N counts no embeddings.
    compute : float
        Budget, FLOP.
    params : float
        Size to come near to.
    head_width : int
        Width of an attention head: widths are whole multiples of it.
    aspect : tuple of float
        Least and most width over depth.
    count : int
        How many shapes.
    least_params, most_params : float
        Sizes allowed.

    Returns
    -------
    DataFrame
        ``depth``, ``width``, ``heads``, ``params``, ``tokens`` for the budget, ``regret`` of that size in the fit's loss unit.

    Raises
    ------
    InvalidRequest
        If no shape comes within a factor of two of the size, or an argument has no meaning.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> found = shapes_near(example_fit(), compute=5.76e23, params=7.2e10)
    >>> int(found["depth"].iloc[0]), int(found["width"].iloc[0]), f"{found['params'].iloc[0]:.3g}"
    (159, 6144, '7.2e+10')
    """
    if head_width < 1 or count < 1 or not 0 < aspect[0] < aspect[1]:
        raise InvalidRequest(
            f"head_width is {head_width}, count {count} and aspect {aspect}: give whole numbers from one, and a rising pair of ratios."
        )
    found = []
    for width in range(head_width, _WIDEST, head_width):
        layers = params / Transformer(depth=1, width=width, context=1, vocabulary=1).params
        for depth in {int(np.floor(layers)), int(np.ceil(layers))} - {0}:
            size = depth * round(params / layers)
            if aspect[0] <= width / depth <= aspect[1] and least_params <= size <= most_params:
                found.append((depth, width, width // head_width, size))
        if layers < 0.5:
            break
    table = pd.DataFrame(found, columns=["depth", "width", "heads", "params"])
    off = np.abs(np.log(table["params"].to_numpy(float) / params))
    table = table[off < np.log(2)].iloc[np.argsort(off[off < np.log(2)], kind="stable")].head(count).reset_index(drop=True)
    if table.empty:
        raise InvalidRequest(
            f"No Transformer with heads of {head_width} and an aspect from {aspect[0]:g} to {aspect[1]:g} has about {params:.3g} parameters: "
            f"allow narrower heads or other aspects."
        )
    lost = regret(fit, compute=compute, params=table["params"].to_numpy(float), supply=supply, group=group, seed=seed)
    return table.assign(tokens=tokens_at(compute, table["params"]), regret=lost["regret"])


class Shapes(OfText):
    """Transformers of whole layers and heads near a size, and their regret at a budget."""

    name = "shapes"
    panel = "Budget"
    example = "shapes fit.nc --compute 5.76e23 --head-width 128"
    writes = "shapes"

    compute: float = Field(gt=0, description="Budget, FLOP.")
    params: float | None = Field(default=None, gt=0, description="Size; by default the compute-optimal one.")
    head_width: int = Field(default=128, ge=1, description="Width of an attention head.")
    most: int = Field(default=5, ge=1, description="How many shapes.")

    def _result(self, posterior: Fit) -> Answer:
        asked: dict[str, Any] = {"compute": self.compute, **self.given}
        params = float(allocate(posterior, **asked)["params"]) if self.params is None else self.params
        table = shapes_near(posterior, params=params, head_width=self.head_width, count=self.most, **asked)
        lines = [
            f"{row['depth']:.0f} layers of width {row['width']:.0f}, {row['heads']:.0f} heads: {short(row['params'])} parameters on "
            f"{short(row['tokens'])} tokens, expected regret {row['regret']:.2g} {posterior.loss_unit}."
            for row in table.to_dict("records")
        ]
        return Answer("\n".join(lines), tables={"shapes": table})
