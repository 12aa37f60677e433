"""From answers to plain numbers, and from two sets of them to what differs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from tests.golden.exceptions import EXCEPTIONS

HERE = Path(__file__).parent
RELATIVE, ABSOLUTE = 1e-10, 1e-12
LEVELS = (0.05, 0.5, 0.95)
SENTENCES = {"advice", "equation", "published", "rule", "sentence", "unit", "verdict", "what", "where"}
"""Columns of words that may change; the verdicts of claims are told apart in the answer itself."""


def plain(value: Any) -> Any:
    """Return numbers and labels alone: tables as lists of rows, arrays as lists."""
    if isinstance(value, pd.DataFrame):
        named = value.index.name is not None or value.index.dtype.kind not in "iu"
        table = value.rename_axis(value.index.name or "label").reset_index() if named else value
        return [plain(row) for row in table.to_dict("records")]
    if isinstance(value, pd.Series):
        return plain(value.to_dict())
    if isinstance(value, xr.Dataset):
        return {str(name): plain(array) for name, array in (*value.coords.items(), *value.data_vars.items())}
    if isinstance(value, xr.DataArray):
        return plain(value.values)
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items() if str(name) not in SENTENCES}
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value) if f.name not in SENTENCES}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"no plain numbers of {type(value)}")


def of_draws(draws: xr.Dataset, *, raw: Sequence[tuple[int, int]] = ((0, 0), (0, 41), (1, 17))) -> dict[str, Any]:
    """Return quantiles and means of draws, a few of them as they are, and what they are draws at."""
    found: dict[str, Any] = {}
    for name, array in draws.data_vars.items():
        if not {"chain", "draw"} <= set(array.dims):
            found[str(name)] = plain(array)
            continue
        ordered = array.transpose("chain", "draw", ...)
        flat = ordered.values.reshape(-1, *ordered.shape[2:])
        found[str(name)] = {
            "mean": plain(flat.mean(axis=0)),
            "quantiles": plain(np.quantile(flat, LEVELS, axis=0)),
            "raw": [plain(ordered.values[at]) for at in raw if at[0] < ordered.sizes["chain"]],
        }
    at = {str(name): plain(array) for name, array in draws.coords.items() if str(name) not in ("chain", "draw", "form")}
    return found | {"at": at}


def differences(path: str, wanted: Any, found: Any) -> Iterator[str]:
    """Yield a line for every number that is another one, by its path."""
    if any(path.startswith(beginning) for beginning in EXCEPTIONS):
        return
    if isinstance(wanted, dict) and isinstance(found, dict):
        for name in [*wanted, *(name for name in found if name not in wanted)]:
            if name not in found or name not in wanted:
                if not any(f"{path}/{name}".startswith(beginning) for beginning in EXCEPTIONS):
                    yield f"{path}/{name}: {'is gone' if name in wanted else 'is new'}"
            else:
                yield from differences(f"{path}/{name}", wanted[name], found[name])
    elif isinstance(wanted, list) and isinstance(found, list):
        if len(wanted) != len(found):
            yield f"{path}: {len(wanted)} entries, now {len(found)}"
        for number, (one, other) in enumerate(zip(wanted, found, strict=False)):
            yield from differences(f"{path}/{number}", one, other)
    elif not same(wanted, found):
        yield f"{path}: {wanted!r}, now {found!r}"


def same(wanted: Any, found: Any) -> bool:
    """Whether two numbers, or two labels, are the same."""
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (wanted, found))
    if not numbers:
        return type(wanted) is type(found) and wanted == found
    if math.isnan(wanted) or math.isnan(found):
        return math.isnan(wanted) and math.isnan(found)
    return math.isclose(wanted, found, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


@cache
def committed(name: str) -> dict[str, Any]:
    """Return the numbers of a file as they were committed."""
    return json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))


def write(name: str, numbers: Mapping[str, Any]) -> None:
    """Write numbers to a file, an entry a line."""
    entries = (f"{json.dumps(key)}:{json.dumps(value, separators=(',', ':'))}" for key, value in numbers.items())
    (HERE / f"{name}.json").write_text("{\n" + ",\n".join(entries) + "\n}\n", encoding="utf-8")
