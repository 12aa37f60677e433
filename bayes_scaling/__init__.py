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
from typing import Any

import lazy_loader

# The names stand in `__init__.pyi`; each is imported when it is first asked for, so that answering from a
# stored fit never loads PyMC.
_find, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = version("bayes-scaling")


def __getattr__(name: str) -> Any:
    """Return a public name; the readers of ``bs.readers`` are found here too, ``bs.read_wandb`` among them, but listed there alone."""
    if name.startswith("read_") and name not in __all__:
        readers = _find("readers")
        return getattr(readers, name) if name in dir(readers) else _find(name)
    return _find(name)
