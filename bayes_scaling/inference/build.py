"""From a layout to a PyMC model: exactly the model that is sampled.

Plain tensors rather than ``pymc.dims``: every quantity here has one value a row, so there is nothing to
broadcast by name; laws meet named dimensions after the posterior, in xarray.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from pytensor.compile.builders import OpFromGraph

from bayes_scaling import elementwise
from bayes_scaling.inference.distributions import density, variable
from bayes_scaling.model import gaussian, names
from bayes_scaling.model.definition import define
from bayes_scaling.model.document import Model, read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.noise import Likelihood
from bayes_scaling.model.priors import Prior
from bayes_scaling.model.tables import tables_of
from bayes_scaling.model.unknowns import JointlyNormal
from bayes_scaling.runs.table import RunTable


def _identity(size: Any) -> Any:
    """Return an identity that no rewrite turns into an operation numba lacks a gradient for, as it does ``pt.eye``."""
    place: Any = pt.arange(size)
    return pt.cast(pt.eq(place[:, None], place[None, :]), "float64")


for _name in ("exp", "log", "expm1", "log1p", "softplus", "minimum"):
    getattr(elementwise, _name).register(pt.TensorVariable, getattr(pt, _name))


def _cholesky(matrix: Any) -> Any:
    """Return the lower Cholesky factors of a batch of matrices, with a gradient that numba compiles.

    PyTensor's own gradient embeds a diagonal in a batch of matrices, for which numba has no code. This one is the same
    (Murray 2016, arXiv:1602.07527), with the diagonal chosen by a mask.
    """
    if matrix.ndim == 2:
        return pt.linalg.cholesky(matrix)
    given: Any = matrix.type()
    factor: Any = pt.linalg.cholesky(given)
    return OpFromGraph([given], [factor], inline=True, pullback=_pullback_of_cholesky)(matrix)


def _pullback_of_cholesky(_inputs: Any, outputs: Any, cotangents: Any) -> list[Any]:
    (factor,), (change,) = outputs, cotangents
    upper = factor.swapaxes(-1, -2)
    place: Any = pt.arange(factor.shape[-1])
    identity = _identity(factor.shape[-1])
    lower = pt.cast(pt.ge(place[:, None], place[None, :]), "float64")

    def solve(right: Any) -> Any:
        return pt.linalg.solve_triangular(upper, right, lower=False)

    product = (upper @ change) * (lower - 0.5 * identity)
    inner = solve(solve(product.swapaxes(-1, -2)).swapaxes(-1, -2))
    return [(inner + inner.swapaxes(-1, -2)) * lower - inner * identity]


gaussian.cholesky.register(pt.TensorVariable, _cholesky)
gaussian.solve_lower.register(pt.TensorVariable, lambda factor, right: pt.linalg.solve_triangular(factor, right, lower=True))
gaussian.along_runs.register(pt.TensorVariable, gaussian.by_factors)
gaussian.diagonal.register(pt.TensorVariable, lambda matrix: (matrix * _identity(matrix.shape[-1])).sum(axis=-1))
gaussian.joined.register(pt.TensorVariable, lambda first, second, axis: pt.concatenate([first, second], axis=axis))
gaussian.identity_like.register(pt.TensorVariable, lambda matrix: _identity(matrix.shape[-1]))


def build_model(
    model: str | Model,
    runs: RunTable | pd.DataFrame | str | Path,
    *,
    curves: RunTable | pd.DataFrame | str | Path | None = None,
) -> pm.Model:
    """Build the PyMC model of a document and its tables: exactly the one that :func:`~bayes_scaling.fit` samples.

    Parameters
    ----------
    model : str or Model
        The model, or the name of a shipped one.
    runs : RunTable, DataFrame, path or str
        The runs.
    curves : RunTable, DataFrame, path or str, optional
        Points along the runs, where an observation is about them.

    Returns
    -------
    pymc.Model
        Free variables in the coordinates of :mod:`~bayes_scaling.model.coordinates`, the values at the reference point
        and the published parameters as deterministics, the logarithm of what was measured observed, one node for each
        observation. Data are ``pm.Data``, so that one compiled model serves many tables.

    Raises
    ------
    InvalidModel
        If document and tables do not go together.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_scaling import read_runs
    >>> runs = read_runs(pd.DataFrame({"params": [1e8, 1e9], "tokens": [2e9, 2e10], "loss": [3.4, 2.8]}))
    >>> sorted(variable.name for variable in build_model("kaplan_nd", runs).free_RVs)
    ['D_c_log_ratio', 'alpha_D', 'alpha_N', 'log_loss_at_reference', 'nu', 'sigma']
    """
    read = read_model(model)
    return build(Layout.of(read, tables_of(read, runs, curves)))


def build(layout: Layout) -> pm.Model:
    """Build the PyMC model of a layout; nothing is sampled."""
    coords: dict[str, Any] = {names.of_observation("run", suffix): range(len(rows)) for suffix, rows in layout}
    with pm.Model(coords=coords | layout.coords) as built:
        data = {name: pm.Data(name, value) for name, value in layout.data().items()}
        define(layout, data, RandomVariables(built))
    return built


class RandomVariables:
    """The unknowns of a model as random variables of PyMC: see :class:`~bayes_scaling.model.unknowns.Unknowns`."""

    def __init__(self, model: pm.Model) -> None:
        self._model = model

    def positive(self, name: str, prior: Prior) -> Any:
        """Add a random variable with its prior."""
        return variable(name, prior)

    def free(self, name: str, start: float) -> Any:
        """Add a random variable without a density of its own."""
        return pm.Flat(name, initval=start)

    def standard(self, name: str, dim: str, size: int) -> Any:
        """Add standard Normal variables, one a label."""
        return pm.Normal(name, dims=dim)

    def with_prior(self, name: str, prior: Prior, log_value: Any) -> Any:
        """Add the prior of a positive number that is sampled by its logarithm, and return the number."""
        value = pt.exp(log_value)
        pm.Potential(f"{name}_prior", density(prior, value) + log_value)
        return value

    def record(self, name: str, value: Any, dim: str | None = None) -> None:
        """Add a deterministic variable."""
        if name not in self._model.named_vars:
            pm.Deterministic(name, value, dims=dim if value.ndim else None)

    def mean(self, effect: Any) -> Any:
        """Return the mean over labels."""
        return pt.mean(effect)

    def pick(self, effect: Any, position: Any) -> Any:
        """Return the labels at a position."""
        return effect[position]

    def of_rows(self, value: Any, group: Any) -> Any:
        """Return the value of each row's group, or the one of all."""
        return value[group] if getattr(value, "ndim", 0) else value

    def independent(
        self,
        name: str,
        likelihood: Likelihood,
        arguments: Mapping[str, Any],
        mean: Any,
        scale: Any,
        log_measured: Any,
        dim: str,
    ) -> None:
        """Add independent rows."""
        # A number of Python would be taken in single precision.
        further = {n: np.float64(v) if isinstance(v, float) else v for n, v in arguments.items()} | {likelihood.SCALE: scale}
        getattr(pm, likelihood.dist)(name, mu=mean, **further, observed=log_measured, dims=dim)

    def jointly_normal(self, name: str, rows: JointlyNormal, log_measured: Any, dim: str) -> None:
        """Add rows that are Normal together: effects integrated out, runs correlated."""
        whole: Any = pt.zeros_like(rows.mean)
        scale = rows.deviation * rows.growth + whole
        own = None if rows.own_variance is None else rows.own_variance + whole
        loadings = None
        if rows.effects:
            loadings = pt.concatenate([width * basis for width, basis in rows.effects], axis=1)
            loadings = loadings * (rows.growth + whole)[:, None]
        decay = rows.decay or gaussian.Decay(None)
        given = [(rows.mean, "(n)"), (scale, "(n)"), (own, "(n)"), (loadings, "(n,k)"), (decay.length, "()")]
        given.append((decay.run_share, "()"))
        stated = [(each, shape) for each, shape in given if each is not None]

        def log_density(value: Any, mean: Any, scale: Any, *others: Any) -> Any:
            rest = iter(others)
            own, loadings, length, share = (None if each is None else next(rest) for each, _ in given[2:])
            white = gaussian.whiten(value - mean, scale, own, loadings, rows.serial, gaussian.Decay(length, share))
            return gaussian.log_density(white, value.shape[0])

        signature = f"{','.join(shape for _, shape in stated)}->(n)"
        arrays = (each for each, _ in stated)
        pm.CustomDist(name, *arrays, logp=log_density, signature=signature, observed=log_measured, dims=dim)
