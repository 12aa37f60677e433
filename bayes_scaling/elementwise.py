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
    """Return e to the power x.

    Examples
    --------
    >>> float(exp(0.0))
    1.0
    """
    return np.exp(x)


@singledispatch
def log(x: Any) -> Any:
    """Return the natural logarithm of x.

    Examples
    --------
    >>> float(log(1.0))
    0.0
    """
    return np.log(x)


@singledispatch
def expm1(x: Any) -> Any:
    """Return exp(x) - 1, exact for small x.

    Examples
    --------
    >>> float(expm1(1e-20))
    1e-20
    """
    return np.expm1(x)


@singledispatch
def log1p(x: Any) -> Any:
    """Return log(1 + x), exact for small x.

    Examples
    --------
    >>> float(log1p(1e-20))
    1e-20
    """
    return np.log1p(x)


@singledispatch
def softplus(x: Any) -> Any:
    """Return log(1 + exp(x)), finite for any finite x.

    Examples
    --------
    >>> float(softplus(1000.0))
    1000.0
    """
    return np.logaddexp(x, 0.0)


@singledispatch
def minimum(x: Any, y: Any) -> Any:
    """Return the smaller of two values; both are of one kind of array, or the first is the symbolic one.

    Examples
    --------
    >>> float(minimum(1.0, 2.0))
    1.0
    """
    return np.minimum(x, y)
