"""Figures of a fit and of a backtest, as matplotlib's, and sliders for a notebook."""

from bayes_scaling.report.pictures import plot_forecast as forecast
from bayes_scaling.report.prior_predictive import plot_prior_predictive as prior_predictive
from bayes_scaling.report.trials import plot_backtest as backtest
from bayes_scaling.report.widgets import budget

__all__ = ["backtest", "budget", "forecast", "prior_predictive"]
