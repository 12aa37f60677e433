"""Figures of a fit and of a backtest, as matplotlib's."""

from bayes_scaling.report.pictures import plot_forecast as forecast
from bayes_scaling.report.prior_predictive import plot_prior_predictive as prior_predictive
from bayes_scaling.report.trials import plot_backtest as backtest

__all__ = ["backtest", "forecast", "prior_predictive"]
