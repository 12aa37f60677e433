"""From a layout to a PyMC model: exactly the model that is sampled.

Plain tensors rather than ``pymc.dims``: every quantity here has one value a row, so there is nothing to
broadcast by name; laws meet named dimensions after the posterior, in xarray.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from pytensor.compile.builders import OpFromGraph

from bayes_scaling import elementwise
from bayes_scaling.inference.coordinates import Varying, values_at_reference
from bayes_scaling.inference.distributions import variable
from bayes_scaling.model import gaussian, names
from bayes_scaling.model.document import Model, read_model
from bayes_scaling.model.grouping import member
from bayes_scaling.model.layout import Layout, Rows
from bayes_scaling.model.noise import standard_deviation, variance_function
from bayes_scaling.model.reference import law_parameters, publish
from bayes_scaling.model.tables import tables_of
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
gaussian.diagonal.register(pt.TensorVariable, lambda matrix: (matrix * _identity(matrix.shape[-1])).sum(axis=-1))
gaussian.joined.register(pt.TensorVariable, lambda first, second, axis: pt.concatenate([first, second], axis=axis))
gaussian.identity_like.register(pt.TensorVariable, lambda matrix: _identity(matrix.shape[-1]))


def build_model(model: str | Model, runs: RunTable | pd.DataFrame | str, *, curves: RunTable | None = None) -> pm.Model:
    """Build the PyMC model of a document and its tables: exactly the one that :func:`~bayes_scaling.fit` samples.

    Parameters
    ----------
    model : str or Model
        The model, or the name of a shipped one.
    runs : RunTable, DataFrame or str
        The runs.
    curves : RunTable, optional
        Points along the runs, where an observation is about them.

    Returns
    -------
    pymc.Model
        Free variables in the coordinates of :mod:`~bayes_scaling.inference.coordinates`, the values at the reference point
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
    model, data = layout.model, layout.data()
    coords: dict[str, Any] = {names.of_observation("run", suffix): range(len(rows)) for suffix, rows in layout}
    with pm.Model(coords=coords | layout.coords) as built:
        shared = {name: pm.Data(name, value) for name, value in data.items()}
        reference = {axis: shared.get(f"reference_{axis}", value) for axis, value in layout.reference.items()}
        varying = Varying.of(layout, shared)
        centres = values_at_reference(layout, varying, reference)
        dims = layout.only.groups.dim if model.is_one and layout.only.groups.columns else None
        at_groups = centres if not model.is_one else varying.at(centres, model.only.name)
        for name, value in publish(model, at_groups, reference).items():
            if name not in built.named_vars:
                # A published coefficient varies where its exponent does, whether it varies itself or not.
                pm.Deterministic(name, value, dims=dims if value.ndim else None)
        for suffix, rows in layout:
            values = at_groups if model.is_one else varying.at(centres, rows.observation.name)
            _observe(layout, rows, suffix, values, reference, shared)
    return built


def _observe(
    layout: Layout, rows: Rows, suffix: str, values: dict[str, Any], reference: dict[str, Any], shared: dict[str, Any]
) -> None:
    """Add what was measured: its logarithm around the law's, with the effects and the noise of the document."""
    observation = rows.observation

    def of_it(name: str) -> str:
        return names.of_observation(name, suffix)

    parameters = law_parameters(observation.the_law, layout.model, values, reference)
    if of_it("group_of_run") in shared:
        group = shared[of_it("group_of_run")]
        parameters = {n: v[group] if getattr(v, "ndim", 0) else v for n, v in parameters.items()}
    expected = observation.the_law(*(shared[of_it(f"input_{name}")] for name in rows.inputs), **parameters)
    mu: Any = pt.log(expected)
    likelihood, growth = observation.likelihood, 1.0
    if likelihood.growth is not None:
        growth = variance_function(expected, shared[of_it("typical")], variable(of_it("growth"), likelihood.growth))
    sigma: Any = variable(of_it("sigma"), likelihood.sigma)
    error = shared.get(of_it("relative_error"))
    measured = {"observed": shared[of_it("log_measured")], "dims": of_it("run")}
    if not (rows.effects or observation.correlation):
        arguments = likelihood.arguments({name: variable(of_it(name), prior) for name, prior in likelihood.unknowns.items()})
        scale = standard_deviation(sigma, error, growth)
        getattr(pm, likelihood.dist)(of_it("measured"), mu=mu, **{likelihood.SCALE: scale}, **arguments, **measured)
        return
    variance: Any = sigma**2
    loadings = []
    for effect in rows.effects:
        width = variable(of_it(effect.scale_name), observation.effects[effect.section, effect.name].scale)
        loadings.append(width * shared[of_it(f"basis_{effect.name}")])
        if effect.section == "noise":
            variance = variance + width**2 * shared[of_it(f"own_{effect.name}")]
    whole: Any = pt.zeros_like(mu)
    own = variance**0.5 * growth + whole
    load = pt.concatenate(loadings, axis=1) * (growth + whole)[:, None] if loadings else None
    length, serial = None, None
    if observation.correlation is not None:
        length = variable(of_it("length"), observation.correlation.length)
        parts = (shared[of_it(f"serial_{part}")] for part in ("rows", "there", "distance", "alone"))
        serial = gaussian.Serial(*parts)
        if observation.correlation.nugget is not None:
            error = standard_deviation(variable(of_it("nugget"), observation.correlation.nugget), error, growth)
    error = None if error is None else error + whole
    _normal(of_it("measured"), mu, own, error, load, serial, length, measured)


def _normal(
    name: str, mu: Any, scale: Any, error: Any, loadings: Any, serial: Any, length: Any, measured: dict[str, Any]
) -> None:
    """Add rows that are Normal together: effects integrated out, runs correlated."""
    given = [(mu, "(n)"), (scale, "(n)"), (error, "(n)"), (loadings, "(n,k)"), (length, "()")]
    stated = [(each, shape) for each, shape in given if each is not None]

    def log_density(value: Any, mu: Any, scale: Any, *others: Any) -> Any:
        rest = iter(others)
        error, loadings, length = (None if each is None else next(rest) for each, _ in given[2:])
        return gaussian.log_density(gaussian.whiten(value - mu, scale, error, loadings, serial, length), value.shape[0])

    signature = f"{','.join(shape for _, shape in stated)}->(n)"
    pm.CustomDist(name, *(each for each, _ in stated), logp=log_density, signature=signature, **measured)


__all__ = ["build", "build_model", "member"]
