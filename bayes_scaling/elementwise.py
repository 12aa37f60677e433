"""Functions of arrays that a law may use beside the operators, for any kind of array.

Floats, numpy, pandas and xarray go through numpy. A symbolic array type joins by registering itself
(``bayes_scaling.inference.build`` does, for PyTensor), so that this room never hears of it.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np


@singledispatch
def exp(x: Any) -> Any:
    """Return e to the power x."""
    return np.exp(x)


@singledispatch
def log(x: Any) -> Any:
    """Return the natural logarithm of x."""
    return np.log(x)


@singledispatch
def expm1(x: Any) -> Any:
    """Return exp(x) - 1, exact for small x."""
    return np.expm1(x)


@singledispatch
def log1p(x: Any) -> Any:
    """Return log(1 + x), exact for small x."""
    return np.log1p(x)


@singledispatch
def softplus(x: Any) -> Any:
    """Return log(1 + exp(x)), finite for any finite x."""
    return np.logaddexp(x, 0.0)


@singledispatch
def minimum(x: Any, y: Any) -> Any:
    """Return the smaller of two values; both are of one kind of array, or the first is the symbolic one."""
    return np.minimum(x, y)
