"""Whether what a fit file holds goes together: every group there, every variable of the model, draws that can be ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import xarray as xr

from bayes_scaling.errors import InvalidFit
from bayes_scaling.model import names
from bayes_scaling.model.document import Model
from bayes_scaling.model.layout import Layout
from bayes_scaling.quantities import BY_COLUMN

_NEEDED: Final = ("posterior", "sample_stats")
_MAY_BE: Final = (*_NEEDED, "prior", "importance", "modes")
NOT_FINITE: Final = "share of draws not finite"
"""The check that a posterior with draws that are no numbers fails."""


def refuse_lacking_groups(groups: Mapping[str, xr.Dataset], observations: Collection[str]) -> None:
    """Refuse groups that lack one, or have one that no fit has.

    Raises
    ------
    InvalidFit
        Which.
    """
    rows = [f"observations/{name}" for name in observations]
    if missing := [name for name in (*_NEEDED, *rows) if name not in groups]:
        raise InvalidFit(f"it lacks {', '.join(missing)}")
    if further := [name for name in groups if name not in (*_MAY_BE, *rows)]:
        raise InvalidFit(f"it has {', '.join(further)}, which does not belong in a fit")


def refuse_lacking_rows(tree: xr.DataTree, model: Model) -> None:
    """Refuse observations without the columns that the model needs of their rows, or with quantities that are not positive.

    Raises
    ------
    InvalidFit
        Which.
    """
    stored = tree["observations"].children if "observations" in tree.children else {}
    for observation in model.observations:
        rows = stored[observation.name].to_dataset() if observation.name in stored else xr.Dataset()
        if missing := [column for column in observation.needs if column not in rows or not rows[column].size]:
            raise InvalidFit(
                f"The fit lacks the rows of its observation {observation.name} ({', '.join(missing)}), from which its posterior "
                "was sampled: fit the runs again."
            )
        for column, values in rows.data_vars.items():
            if column in BY_COLUMN and (values.dtype.kind not in "fiu" or (values <= 0).any()):
                raise InvalidFit(
                    f"The rows of its observation {observation.name} have values of {column} that are not positive numbers: fit the runs again."
                )


def refuse_other_reference(stated: Mapping[str, float], needed: Mapping[str, float]) -> None:
    """Refuse a reference point of other quantities than the model's.

    >>> refuse_other_reference({"N": 1e9}, {"N": 1e9, "D": 1e10})
    Traceback (most recent call last):
    ...
    bayes_scaling.errors.InvalidFit: its reference point gives N, the model needs N, D

    Raises
    ------
    InvalidFit
        Which.
    """
    if set(stated) != set(needed):
        raise InvalidFit(f"its reference point gives {', '.join(stated) or 'nothing'}, the model needs {', '.join(needed)}")


def refuse_unsound(tree: xr.DataTree, layout: Layout, checks: Sequence[Mapping[str, Any]]) -> None:
    """Refuse draws that are not those of a model on its rows.

    Raises
    ------
    InvalidFit
        What is wrong with them.
    """
    for fault in _faults(tree, layout, checks):
        raise InvalidFit(fault)


def _faults(tree: xr.DataTree, layout: Layout, checks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    posterior, prior, statistics = (tree[name].to_dataset() for name in ("posterior", "prior", "sample_stats"))
    if missing := sorted(str(name) for name in prior if name not in posterior):
        yield f"its posterior lacks {', '.join(missing)}"
    if further := sorted(str(name) for name in posterior if name not in prior):
        yield f"its posterior has {', '.join(further)}, which the model does not have"
    known = any(check["check"] == NOT_FINITE and not check["passed"] for check in checks)
    for name, draws in posterior.data_vars.items():
        yield from _of_draws(str(name), draws, prior[name], known)
    for dim, labels in layout.coords.items():
        if dim in posterior.coords and [str(label) for label in posterior[dim].values] != [str(label) for label in labels]:
            yield f"the labels of {dim} are not those of its rows"
    for name, statistic in statistics.data_vars.items():
        if statistic.dtype.kind not in "fiub":
            yield f"{name} of its sample_stats is not numeric"
    if any(statistics.sizes.get(dim) != posterior.sizes[dim] for dim in names.SAMPLE_DIMS):
        yield "its posterior and its sample_stats have different numbers of draws"
    if "importance" in tree:
        ratio = tree["importance"].to_dataset().get("log_ratio")
        if ratio is None or ratio.ndim != 1 or not ratio.size or np.isnan(ratio).any() or not np.isfinite(ratio).any():
            yield "the weights of its importance sampling are missing or invalid"
    elif "diverging" not in statistics:
        yield "its sample_stats lack diverging"
    if "modes" in tree:
        yield from _of_modes(tree["modes"].to_dataset(), statistics)


def _of_draws(name: str, draws: xr.DataArray, prior: xr.DataArray, may_be_infinite: bool) -> Iterator[str]:
    if draws.dims != prior.dims or draws.shape[2:] != prior.shape[2:]:
        yield f"{name} has the dims {', '.join(map(str, draws.dims))} {draws.shape}, the model gives it {', '.join(map(str, prior.dims))}"
    for which, array in ((name, draws), (f"the prior of {name}", prior)):
        if array.dtype.kind != "f" or not array.size:
            yield f"{which} has no numbers"
    positive = not names.is_log(f"{name}[")
    if positive and prior.values.min() < 0:
        yield f"the prior of {name} has negative draws, but the parameter is positive"
    if may_be_infinite:
        return
    if not np.isfinite(draws.values).all():
        yield f"{name} has draws that are not finite"
    if positive and draws.values.min() < 0:
        yield f"{name} has negative draws, but the parameter is positive"


def _of_modes(modes: xr.Dataset, statistics: xr.Dataset) -> Iterator[str]:
    dims = {"log_density": ("mode",), "share": ("mode",), "point": ("mode", "coordinate")}
    if any(
        name not in modes or modes[name].dims != expected or modes[name].dtype.kind != "f" for name, expected in dims.items()
    ):
        yield "its modes lack their log densities, shares or points"
    if modes.sizes["mode"]:
        if any(name not in statistics or statistics[name].dims != names.SAMPLE_DIMS for name in ("lp", "mode")):
            yield "its sample_stats lack lp or mode"
        nearest = statistics["mode"].values
        if nearest.dtype.kind != "i" or nearest.min() < 0 or nearest.max() >= modes.sizes["mode"]:
            yield "its draws refer to modes that it does not have"
