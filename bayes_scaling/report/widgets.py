"""Sliders for a notebook: what to train with a budget, answered as they move. They are ipywidgets, the extra ``jupyter``."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes_scaling import display
from bayes_scaling.errors import BayesScalingError, InvalidRequest
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.protocol import taking
from bayes_scaling.questions.base import ask
from bayes_scaling.wording import number, power

_DECADES = 2.0
"""Decades of compute beyond the runs that the slider reaches."""


@taking("fit")
def budget(fit: Fit, *, loss: float | None = None) -> Any:
    """Return sliders of a budget and of a loss to reach, with what to train below them: see the question ``decide``.

    Parameters
    ----------
    fit : Fit
        A fit of a law of N and D.
    loss : float, optional
        The loss to reach at first; by default the smallest that was measured.

    Returns
    -------
    ipywidgets.VBox
        ``compute``, ``target`` and ``answer`` are its children.

    Raises
    ------
    InvalidRequest
        If ipywidgets is not installed.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> compute, target, answer = budget(example_fit()).children
    >>> compute.value = 23.0
    >>> "The true optimum lies between" in answer.value
    True
    """
    try:
        import ipywidgets as widgets
    except ModuleNotFoundError:
        raise InvalidRequest(
            'The library ipywidgets is needed for sliders in a notebook: pip install "bayes-scaling[jupyter]".'
        ) from None
    alone = fit.for_loss()
    low, high = (float(np.log10(end(alone.table["compute_flops"]))) for end in (np.min, np.max))
    measured = alone.table["loss"].to_numpy(float)
    first = float(loss or measured.min())
    wide = {"layout": widgets.Layout(width="32em"), "style": {"description_width": "9em"}, "continuous_update": False}
    compute = widgets.FloatSlider(high, min=low, max=high + _DECADES, step=0.05, description="log10 FLOP", **wide)
    step = 10 ** np.floor(np.log10(measured.min()) - 2)
    ends = {"min": min(first, 0.7 * measured.min()), "max": max(first, float(measured.max()))}
    target = widgets.FloatSlider(first, step=step, description=f"loss ({fit.loss_unit})", **ends, **wide)
    answer = widgets.HTML()

    def show(*_: Any) -> None:
        answer.value = _answered(fit, 10**compute.value, target.value)

    for slider in (compute, target):
        slider.observe(show, "value")
    show()
    return widgets.VBox([compute, target, answer])


def _answered(fit: Fit, compute: float, loss: float) -> str:
    """Return the answer to a budget as HTML, or why there is none."""
    try:
        answer = ask(fit, "decide", compute=compute, target=loss)
    except BayesScalingError as error:
        return display.paragraph(str(error), strong=True)
    heading = display.paragraph(f"With {power(compute)} FLOP, to reach {number(loss)} {fit.loss_unit}:")
    said = [display.paragraph(caveat, strong=True) for caveat in answer.caveats]
    return "".join([*said, heading, display.paragraph(answer.sentence)])
