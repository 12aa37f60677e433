"""Whole layers and heads: the Transformers nearest to a size, and what each loses at the budget."""

from __future__ import annotations

from typing import Any, Final, Unpack

import numpy as np
import pandas as pd
from pydantic import Field

from bayes_scaling.errors import OutOfRange, Unreachable
from bayes_scaling.laws.transformer import Transformer
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.questions.allocation import allocate
from bayes_scaling.questions.base import Answer, OfText
from bayes_scaling.questions.regret import regret
from bayes_scaling.questions.surface import Text
from bayes_scaling.wording import number, short

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
    **text: Unpack[Text],
) -> pd.DataFrame:
    """Return Transformers near a size, nearest first, the table of :class:`Shapes`; the aspect is width over depth."""
    if head_width < 1 or count < 1 or not 0 < aspect[0] < aspect[1]:
        raise OutOfRange(
            f"head_width is {head_width}, count {count} and aspect {aspect}: give whole numbers of at least 1, and two aspect "
            f"ratios in rising order."
        )
    shapes = []
    for width in range(head_width, _WIDEST, head_width):
        layer = Transformer(depth=1, width=width, context=1, vocabulary=1).params
        for depth in {int(np.floor(params / layer)), int(np.ceil(params / layer))} - {0}:
            if aspect[0] <= width / depth <= aspect[1] and least_params <= depth * layer <= most_params:
                shapes.append((depth, width, width // head_width, depth * layer))
        if params < 0.5 * layer:
            break
    table = pd.DataFrame(shapes, columns=["depth", "width", "heads", "params"])
    off = np.abs(np.log(table["params"].astype(float) / params))
    table = table.loc[off[off < np.log(2)].sort_values(kind="stable").index].head(count).reset_index(drop=True)
    if table.empty:
        raise Unreachable(
            f"No Transformer with heads of {head_width} and an aspect from {aspect[0]:g} to {aspect[1]:g} has about "
            f"{short(params)} parameters: allow narrower heads or other aspects."
        )
    lost = regret(fit, compute=compute, params=table["params"].to_numpy(float), **text)
    return table.assign(tokens=lost["tokens"], regret=lost["regret"])


class Shapes(OfText):
    """Transformers of whole layers and heads near a size, and their regret at a budget.

    Depth and width matter little at one size within the aspects allowed, width over depth from 30 to 200 (Kaplan et al. 2020,
    Figure 5): shapes are ranked by size alone. Asked of a fit of a law of N and D, whose N counts no embeddings.

    Table ``shapes``: a row a shape, nearest first; ``depth``, ``width``, ``heads``, ``params``, ``tokens`` for the budget, and
    ``regret`` of that size in the fit's loss unit.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> shapes = Shapes(compute=5.76e23, params=7.2e10).answer(example_fit()).tables["shapes"]
    >>> shapes[["depth", "width"]].iloc[0].tolist(), int(shapes["params"].iloc[0] / 1e9)
    ([159, 6144], 72)
    """

    name = "shapes"
    panel = "Budget"
    about_budgets = True
    example = "shapes fit.nc --compute 5.76e23 --head-width 128"
    writes = "shapes"

    compute: float = Field(gt=0, description="Budget, FLOP.")
    params: float | None = Field(default=None, gt=0, description="Size; by default the compute-optimal one.")
    head_width: int = Field(default=128, ge=1, description="Width of an attention head.")
    most: int = Field(default=5, ge=1, description="How many shapes.")

    def _result(self, posterior: Fit) -> Answer:
        budget: dict[str, Any] = {"compute": self.compute, **self.given}
        params = float(allocate(posterior, **budget)["params"]) if self.params is None else self.params
        table = shapes_near(posterior, params=params, head_width=self.head_width, count=self.most, **budget)
        lines = [
            f"{row['depth']:.0f} layers of width {row['width']:.0f}, {row['heads']:.0f} heads: {short(row['params'])} parameters "
            f"on {short(row['tokens'])} tokens, expected regret {number(row['regret'], 2)} {posterior.loss_unit}."
            for row in table.to_dict("records")
        ]
        return Answer("\n".join(lines), tables={"shapes": table})
