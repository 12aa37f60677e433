"""What a model is: its unknowns with their priors, and the density of what was measured. It is written once.

PyMC adds a random variable for every unknown that is asked for (:mod:`bayes_scaling.inference.build`); numpy reads it from
a batch of draws and adds up the log density (:mod:`bayes_scaling.model.density`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bayes_scaling.elementwise import log
from bayes_scaling.model import gaussian, names
from bayes_scaling.model.coordinates import Varying, values_at_reference
from bayes_scaling.model.layout import Layout, Rows
from bayes_scaling.model.noise import variance_function
from bayes_scaling.model.reference import law_parameters, publish
from bayes_scaling.model.unknowns import JointlyNormal, Unknowns


def define(layout: Layout, data: Mapping[str, Any], unknowns: Unknowns) -> None:
    """Ask for every unknown of a model, and add the density of what was measured.

    ``data`` is what :meth:`Layout.data` returned, as arrays of the kind that the unknowns are.
    """
    model = layout.model
    reference = {axis: data.get(f"reference_{axis}", value) for axis, value in layout.reference.items()}
    varying = Varying.of(layout, data, unknowns)
    centres = values_at_reference(layout, varying, reference)
    dim = layout.only.groups.dim if model.is_one and layout.only.groups.columns else None
    at_groups = varying.at(centres, model.only.name) if model.is_one else centres
    # A published coefficient varies where its exponent does, whether it varies itself or not.
    for name, value in publish(model, at_groups, reference).items():
        unknowns.record(name, value, dim)
    for suffix, rows in layout:
        values = at_groups if model.is_one else varying.at(centres, rows.observation.name)
        parameters = law_parameters(rows.observation.the_law, model, values, reference)
        _observe(rows, suffix, parameters, data, unknowns)


def _observe(rows: Rows, suffix: str, parameters: Mapping[str, Any], data: Mapping[str, Any], unknowns: Unknowns) -> None:
    """Add what was measured: its logarithm around the law's, with the effects and the noise of the document."""
    observation = rows.observation

    def of_it(name: str) -> str:
        return names.of_observation(name, suffix)

    if of_it("group_of_run") in data:
        group = data[of_it("group_of_run")]
        parameters = {n: unknowns.of_rows(v, group) for n, v in parameters.items()}
    expected = observation.the_law(*(data[of_it(f"input_{name}")] for name in rows.inputs), **parameters)
    mean: Any = log(expected)
    likelihood, growth = observation.likelihood, 1.0
    if likelihood.growth is not None:
        exponent = unknowns.positive(of_it("growth"), likelihood.growth)
        floor = None if likelihood.floor is None else unknowns.positive(of_it("floor"), likelihood.floor)
        growth = variance_function(expected, data[of_it("typical")], exponent, floor)
    sigma: Any = unknowns.positive(of_it("sigma"), likelihood.sigma)
    own_variance: Any = data.get(of_it("own_variance"))
    measured, dim = data[of_it("log_measured")], of_it("run")
    if not (rows.effects or observation.correlation or rows.outliers):
        further = {name: unknowns.positive(of_it(name), prior) for name, prior in likelihood.unknowns.items()}
        scale = ((sigma * growth) ** 2 + own_variance) ** 0.5
        arguments = likelihood.arguments(further)
        unknowns.independent(of_it("measured"), likelihood, arguments, mean, scale, measured, dim)
        return
    variance: Any = sigma**2
    effects = []
    for effect in rows.effects:
        prior = observation.effects[effect.section, effect.name].scale
        width = unknowns.positive(of_it(effect.scale_name), prior)
        effects.append((width, data[of_it(f"basis_{effect.name}")]))
        if effect.section == "noise":
            variance = variance + width**2 * data[of_it(f"own_{effect.name}")]
    if rows.outliers:
        # An error of one row is an effect that no other row has.
        assert likelihood.outliers is not None
        z = unknowns.standard(of_it("outlier_z"), of_it(names.OUTLIER), len(rows.outliers))
        outlier, place = likelihood.outliers.sd(z), data[of_it("rows_of_outliers")]
        unknowns.record(of_it("outlier"), outlier, of_it(names.OUTLIER))
        effects.append((outlier if likelihood.growth is None else outlier / (growth @ place), place))
    decay, serial = None, None
    if observation.correlation is not None:
        length, share = unknowns.positive(of_it("length"), observation.correlation.length), observation.correlation.run_share
        decay = gaussian.Decay(length, None if share is None else unknowns.positive(of_it("run_share"), share))
        parts = (data[of_it(f"serial_{part}")] for part in ("rows", "there", "at", "alone"))
        serial = gaussian.Serial(*parts)
        if observation.correlation.nugget is not None:
            own_variance = own_variance + (unknowns.positive(of_it("nugget"), observation.correlation.nugget) * growth) ** 2
    jointly = JointlyNormal(mean, variance**0.5, growth, own_variance, effects, serial, decay)
    unknowns.jointly_normal(of_it("measured"), jointly, measured, dim)
