"""A report people want to read: figures and tables of one fit in one self-contained page."""

from bayes_scaling.report.document import write_report
from bayes_scaling.report.pictures import plot_forecast

__all__ = ["plot_forecast", "write_report"]
