"""Draws with as many binary digits as answers need: files of a fit then take a third."""

from __future__ import annotations

from typing import Final

import numpy as np
import xarray as xr

from bayes_scaling.model.names import is_log

BITS: Final = {"parameters": 18, "effects": 12}
"""Significant binary digits that are kept: a draw of a parameter moves by 2e-6 of itself, of an effect by 1e-4.

Of kappa on ladders of 26 to 240 runs and of kaplan_system no answer moved by a thousandth of itself or of its interval: the
largest change was 9e-4, of forecasts 2e-5.
"""


def rounded(draws: xr.Dataset) -> xr.Dataset:
    """Return draws rounded to the nearest numbers of fewer significant binary digits.

    >>> rounded(xr.Dataset({"E": ("draw", [1.817, 0.25])}))["E"].values.round(7)
    array([1.8170013, 0.25     ])
    """
    return draws.map(_rounded)


def _rounded(array: xr.DataArray) -> xr.DataArray:
    if array.dtype.kind != "f":
        return array
    drop = np.uint64(53 - BITS["effects" if is_log(f"{array.name}[") else "parameters"])
    one, bits = np.uint64(1), np.array(array.values, "f8").view("u8")
    half = (one << (drop - one)) - one + ((bits >> drop) & one)  # to the even one of two
    near = (((bits + half) >> drop) << drop).view("f8")
    return array.copy(data=np.where(np.isfinite(near), near, array.values))
