"""A fit in plain values, for programs: verdict, checks, parameters with intervals, how it was sampled, and its modes."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes_scaling.model import names
from bayes_scaling.numerics import smoothed_weights
from bayes_scaling.posterior.checks import summarize
from bayes_scaling.posterior.effective import effective_sizes, smallest
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.suspects import suspects
from bayes_scaling.quantities import BY_COLUMN

_SAMPLING = ("sampler", "sampler_reason", "seed", "chains", "draws", "tune", "target_accept", "seconds_of_sampling")


def described(fit: Fit, *, prob: float = 0.9) -> dict[str, Any]:
    """Return what is known of a fit as plain values.

    Parameters
    ----------
    fit : Fit
        The fit, with its checks.
    prob : float
        Probability of the equal-tailed intervals.

    Returns
    -------
    dict
        ``converged`` and ``verdict``; ``adequate`` and ``adequacy``, the same of how well the model describes the runs;
        ``notes``, what was done to the rows before; ``pinned``, what is fixed and where the runs alone put it;
        ``suspects``, the rows that may have gone wrong (:func:`~bayes_scaling.posterior.suspects.suspects`); ``checks``;
        ``prob``; ``reference``, the point at which priors are stated; ``parameters`` by name, those
        ``_at_reference`` too, each with ``median``, ``lower``, ``upper`` and ``contraction``; ``sampling``;
        ``effective_sizes``; ``modes``, each with ``log_density``, ``share`` of the mass and ``draws``, the share of the draws
        nearest to it.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> found = described(example_fit(), prob=0.5)
    >>> found["prob"], sorted(found["parameters"]["E"]), found["modes"]
    (0.5, ['contraction', 'lower', 'median', 'upper'], [])
    """
    return {
        "converged": fit.converged,
        "verdict": fit.verdict,
        "adequate": fit.adequate,
        "adequacy": fit.adequacy,
        "notes": list(fit.facts.get("notes", ())),
        "pinned": fit.pinned,
        "suspects": suspects(fit).to_dict("records"),
        "checks": list(fit.checks),
        "prob": prob,
        "reference": dict(fit.reference),
        "parameters": summarize(fit, prob=prob).to_dict("index"),
        "sampling": {name: fit.facts[name] for name in _SAMPLING if name in fit.facts},
        "effective_sizes": sizes_of(fit),
        "modes": modes(fit),
    }


def sizes_of(fit: Fit) -> dict[str, Any]:
    """Return the smallest bulk and tail effective sample sizes of each variable, and that of the weights where there are some.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> sorted(sizes_of(example_fit(chains=2, draws=50)))
    ['bulk', 'tail']
    """
    found: dict[str, Any] = {}
    statistics = fit.tree["sample_stats"].to_dataset()
    if "importance" in fit.tree:
        weights, _ = smoothed_weights(fit.tree["importance"].to_dataset()["log_ratio"].values)
        found["weights"] = float(1 / (weights**2).sum())
    if "importance" not in fit.tree or "walker" in statistics:
        found |= {kind: smallest(sizes) for kind, sizes in effective_sizes(fit.posterior, statistics).items()}
    return found


def modes(fit: Fit) -> list[dict[str, float]]:
    """Return the modes of the posterior that were found, in the order in which the draws name them."""
    if "modes" not in fit.tree or not fit.tree["modes"].sizes["mode"]:
        return []
    stored, nearest = fit.tree["modes"].to_dataset(), fit.tree["sample_stats"].to_dataset()["mode"].values
    return [
        {"log_density": float(density), "share": float(share), "draws": float(np.mean(nearest == number))}
        for number, (density, share) in enumerate(zip(stored["log_density"].values, stored["share"].values, strict=True))
    ]


def units_of(fit: Fit) -> dict[str, str]:
    """Return the unit of every published parameter that has one, and of the scales of the noise.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> units = units_of(example_fit())
    >>> units["E"], units["A"], units["sigma"], "alpha" in units
    ('nats/token', 'nats/token times parameters^alpha', 'of the loss', False)
    """
    units = {name: kind.published[1] for name, kind in fit.model.kinds.items() if kind.published[1] != "1"}
    for name, unit in units.items():
        of_loss = unit.replace(BY_COLUMN["loss"].unit, "loss").replace("loss^", f"({fit.loss_unit})^")
        units[name] = of_loss.replace("loss", fit.loss_unit)
    relative = ("sigma", "nugget", *(effect.scale_name for _, rows in fit.layout for effect in rows.effects))
    return units | dict.fromkeys(relative, "of the loss")


def reference_rows(labels: list[str]) -> dict[str, str]:
    """Return, of each parameter whose published value differs from that at the reference, the names of both.

    >>> reference_rows(["A_at_reference", "A_at_reference[web]", "A", "A[web]", "alpha"])
    {'A': 'A_at_reference', 'A[web]': 'A_at_reference[web]'}
    """
    found: dict[str, str] = {}
    for label in labels:
        name, bracket, rest = label.partition("[")
        there = names.at_reference(name) + bracket + rest
        if there in labels:
            found[label] = there
    return found
