"""A page for every shipped model: its document, and its priors drawn."""

from __future__ import annotations

import numpy as np

from bayes_scaling.files import MODELS
from bayes_scaling.model.document import Model, read_model, shipped_models
from bayes_scaling.model.priors import Prior
from bayes_scaling.report.figures import BLUE, styled
from bayes_scaling.wording import number
from docs.made.pictures import axes_of, label_logarithms
from docs.made.text import code, contents, drawing, heading, joined, plain, table

_DRAWS = 5_000


def pages() -> dict[str, str]:
    """Return the pages of the models."""
    names = shipped_models()
    return {"models/index.rst": _index(names)} | {f"models/{name}.rst": _page(name) for name in names}


def _index(names: list[str]) -> str:
    rows = []
    for name in names:
        model = read_model(name)
        laws = ", ".join(f":doc:`../laws/{law}`" for law in dict.fromkeys(o.law for o in model.observations))
        rows.append((f":doc:`{name}`", laws, plain(model.title)))
    said = (
        "A model is a document: laws, a prior for each parameter, how measurements scatter. `bayes-scaling fit runs.csv --model "
        "NAME` takes one of these, or a file of yours. `kappa` is the one to forecast with."
    )
    return joined(heading("Models"), plain(said), table(("model", "laws", "what for"), rows), contents(names))


def _page(name: str) -> str:
    model = read_model(name)
    laws = ", ".join(f":doc:`../laws/{law}`" for law in dict.fromkeys(o.law for o in model.observations))
    return joined(
        heading(name),
        plain(model.title),
        f"Laws: {laws}. Columns of the runs: {', '.join(f'``{column}``' for column in model.needs)}.",
        heading("Priors", "-"),
        _picture(name, model),
        _table(model),
        "The reason for each stands beside it in the document.",
        heading("Document", "-"),
        code((MODELS / f"{name}.toml").read_text(encoding="utf-8"), "toml"),
    )


_OF_NOISE = {
    "sigma": "residual standard deviation, a share of the loss",
    "growth": "exponent by which the standard deviation grows with the loss",
    "floor": "share of the standard deviation that is left where the loss is small",
    "nu": "degrees of freedom of the residuals",
    "outliers": "standard deviation of the error of a row that went wrong, a share of the loss",
    "length": "logarithm of {along} over which the correlation of residuals along a run falls to 1/e",
    "run_share": "share of the variance that a whole run has in common",
    "nugget": "standard deviation of a point's own error, a share of the loss",
    "discrepancy": "model discrepancy a decade away, a share of the loss",
    "noise": "standard deviation that rows with one label share, a share of the loss",
}
"""What the priors beside those of parameters are on."""


def _priors(model: Model) -> dict[str, tuple[str, Prior]]:
    """Return every prior of a document by the name of its unknown, with what it is on."""
    priors: dict[str, tuple[str, Prior]] = {}
    for name, prior in model.priors.items():
        stated, unit = model.parameters[name], f", times the typical {model.units[name]}" if name in model.units else ""
        varies = f"; varies by {', '.join(stated.varies_by)}" if stated.varies_by else ""
        priors[name] = f"{model.kinds[name].meaning}{unit}{varies}", prior
        if stated.spread is not None:
            priors[f"spread of {name}"] = f"standard deviation of the logarithm of {name} between groups", stated.spread
    for observation in model.observations:
        noise, along, suffix = observation.likelihood, observation.correlation, model.suffix(observation)
        of_it = {name: (_OF_NOISE.get(name, ""), prior) for name, prior in {"sigma": noise.sigma, **noise.unknowns}.items()}
        of_it |= {
            name: (_OF_NOISE[name], prior) for name in ("growth", "floor") if (prior := getattr(noise, name)) is not None
        }
        if noise.outliers is not None:
            of_it["scale of outliers"] = _OF_NOISE["outliers"], noise.outliers.scale
        for name in ("length", "run_share", "nugget") if along is not None else ():
            if (prior := getattr(along, name)) is not None:
                of_it[f"{name} of correlation"] = _OF_NOISE[name].format(along=along.along), prior
        for (section, name), effect in observation.effects.items():
            of_it[f"scale of {section} {name}"] = _OF_NOISE.get(section, ""), effect.scale
        priors |= {f"{unknown} ({suffix})" if suffix else unknown: stated for unknown, stated in of_it.items()}
    return priors


def _table(model: Model) -> str:
    rows = []
    for name, (meaning, prior) in _priors(model).items():
        lower, middle, upper = np.quantile(_draws(prior), [0.05, 0.5, 0.95])
        interval = f"{number(middle, 3)} ({number(lower, 3)} to {number(upper, 3)})"
        rows.append((plain(f"`{name}`"), plain(meaning), plain(prior), plain(interval)))
    rows += [(plain(f"`{name}`"), "", "fixed", number(value, 4)) for name, value in model.fixed.items()]
    header = ("unknown", "what the prior is on", "prior", "median (90 %)")
    return table(header, rows)


def _draws(prior: Prior) -> np.ndarray:
    return prior.draw(np.random.default_rng(1), _DRAWS)


@styled
def _picture(name: str, model: Model) -> str:
    """Draw every prior, a row each: its density on the logarithmic axis, and the median."""
    priors = _priors(model)
    figure, axes = axes_of(7.0, 0.3 * len(priors) + 0.9, left=0.28)
    for row, (_, prior) in enumerate(priors.values()):
        draws = np.log10(_draws(prior))
        shown = draws[draws > np.quantile(draws, 0.01)]
        counts, edges = np.histogram(shown, bins=50)
        axes.fill_between(
            (edges[1:] + edges[:-1]) / 2, -row, 0.85 * counts / counts.max() - row, color=BLUE, alpha=0.4, lw=0
        )
        axes.plot(np.median(draws), -row, "o", ms=3, color=BLUE)
    axes.set_yticks([-row for row in range(len(priors))], list(priors))
    label_logarithms(axes, "x")
    said = f"The priors of {name}, in the units of the table below: density on a logarithmic axis, and median."
    return joined(drawing(figure, name, said), plain(said))
