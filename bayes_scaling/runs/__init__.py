"""Measured runs: tables read and validated, what follows from them, and data sets by name."""

import lazy_loader

# `bayes_scaling.readers` is this one, imported when it is first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, ["readers"])
