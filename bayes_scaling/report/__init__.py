"""Reports: figures and tables of one fit in one self-contained page."""

from bayes_scaling.report import plots
from bayes_scaling.report.certificate import write_certificate
from bayes_scaling.report.decision import write_decision
from bayes_scaling.report.document import write_report

__all__ = ["plots", "write_certificate", "write_decision", "write_report"]
