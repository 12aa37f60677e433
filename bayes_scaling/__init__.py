"""Bayesian scaling laws: from measured training runs to honest forecasts and compute budgets.

>>> import bayes_scaling as bs
>>> runs = bs.load_runs("ladder")                         # or bs.read_runs("runs.csv")
>>> fit = bs.fit(runs, seed=1)                            # doctest: +SKIP
>>> bs.check(fit)                                         # doctest: +SKIP
>>> bs.predict(fit, params=1e6, tokens=1e7)               # doctest: +SKIP
>>> bs.budget_table(bs.allocate(fit, compute=1e14))       # doctest: +SKIP
>>> bs.write_report(fit, "report.html")                   # doctest: +SKIP

Runs and a model document go in; a fit, one file, comes out; everything after it is named-dimension
arithmetic that needs no PyMC.
"""

from importlib.metadata import version

import lazy_loader

# The names stand in `__init__.pyi`; each is imported when it is first asked for, so that answering from a
# stored fit never loads PyMC.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = version("bayes-scaling")
