"""Every figure is a function: of a fit, or into axes that somebody has; Jupyter shows it without any import."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter
from matplotlib.figure import Figure
from matplotlib.text import Text

from bayes_scaling.errors import ConflictingOptions, NotLearned
from bayes_scaling.posterior.examples import example_fit, example_system
from bayes_scaling.quantities import training_compute
from bayes_scaling.report import plots
from tests.one_resource import one_resource_fit

OF_OTHERS = ("backtest", "budget", "learning_curves", "prior_predictive")
OF_A_FIT = {name: getattr(plots, name) for name in plots.__all__ if name not in OF_OTHERS}
INTO_AXES = [name for name in OF_A_FIT if name not in ("residuals", "priors")]


@pytest.mark.parametrize("name", OF_A_FIT)
def test_a_figure_shows_itself_and_says_what_it_is(name):
    figure = OF_A_FIT[name](example_fit())
    shown, _ = DisplayFormatter().format(figure)
    assert shown["image/svg+xml"].startswith("<svg")
    assert len(figure.caption.split()) > 8
    assert "<svg" in figure.on_page
    # On a phone a point is about a pixel.
    assert figure.get_figwidth() < 5
    assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) >= 8


@pytest.mark.parametrize("name", INTO_AXES)
def test_a_figure_is_drawn_into_axes(name):
    own = Figure()
    axes = own.add_subplot()
    assert OF_A_FIT[name](example_fit(), ax=axes) is own
    assert axes.lines or axes.collections
    assert own.axes == [axes]


def test_several_panels_have_no_place_in_one(fit_by_hand):
    with pytest.raises(ConflictingOptions, match="3 panels"):
        plots.residuals(fit_by_hand, ax=Figure().add_subplot())


def test_a_law_of_one_resource_has_a_forecast_and_no_budget():
    assert plots.forecast(one_resource_fit()).axes[0].get_xlabel() == "N (parameters)"
    with pytest.raises(NotLearned):
        plots.isoflop(one_resource_fit())


def test_learning_curves_are_drawn_where_there_are_any():
    axes = plots.learning_curves(example_system()).axes[0]
    assert len(axes.lines) == 10  # five runs: what was measured, and the median
    with pytest.raises(NotLearned):
        plots.learning_curves(example_fit())


def test_budgets_are_6nd_where_the_table_counts_another_compute():
    """The runs stand where budgets stand that buy them, and the forecast goes from the smallest of them."""
    from bayes_scaling.model.layout import Layout
    from bayes_scaling.posterior.fit import Fit

    fit = example_fit()
    counted = fit.table.assign(compute_flops=fit.table["compute_flops"] * 1.5)
    other = Fit.from_draws(fit.posterior, fit.model, counted, dict(fit.facts), prior=fit.prior)
    assert Layout.of(other.model, {"loss": counted}).reference == fit.layout.reference
    for name in ("forecast", "envelope"):
        ours, theirs = OF_A_FIT[name](fit).axes[0], OF_A_FIT[name](other).axes[0]
        for line, same in zip(ours.lines, theirs.lines, strict=True):
            np.testing.assert_allclose(line.get_xdata(), same.get_xdata())
    (dots,) = (line for line in OF_A_FIT["forecast"](other).axes[0].lines if line.get_label() == "fitted runs")
    np.testing.assert_allclose(dots.get_xdata(), training_compute(counted["params"], counted["tokens"]))


def test_held_out_runs_and_budgets_are_marked():
    held_out = pd.DataFrame({"run_id": ["big"], "params": [5e10], "tokens": [1e12], "loss": [1.99]})
    labels = plots.forecast(example_fit(), held_out=held_out).axes[0].get_legend_handles_labels()[1]
    assert "held-out run, measured" in labels
    assert any("predictive" in label for label in labels)
    assert any("credible" in label for label in labels)
    assert "asked" in plots.regret(example_fit(), budgets=[1e22]).axes[0].get_legend_handles_labels()[1]
