"""A report people want to read: figures and tables of one fit in one self-contained page."""

from bayes_scaling.report.document import write_report

__all__ = ["write_report"]
