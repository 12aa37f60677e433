"""Figures of a fit and of a backtest, as matplotlib's, new ones or drawn into axes, ``ax=``; and sliders for a notebook."""

from bayes_scaling.report.pictures import learning_curves, parameters, predictive_check, priors, residuals
from bayes_scaling.report.prior_predictive import plot_prior_predictive as prior_predictive
from bayes_scaling.report.surface_pictures import envelope, forecast, isoflop, regret, surface
from bayes_scaling.report.trials import plot_backtest as backtest
from bayes_scaling.report.widgets import budget

__all__ = [
    "backtest",
    "budget",
    "envelope",
    "forecast",
    "isoflop",
    "learning_curves",
    "parameters",
    "predictive_check",
    "prior_predictive",
    "priors",
    "regret",
    "residuals",
    "surface",
]
