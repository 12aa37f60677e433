"""Which sampler: importance sampling and walkers from its draws where these are exact enough, NUTS started at the modes otherwise.

Importance sampling needs no compilation and sees all modes at once, and its diagnostics say when it fails: the shape of
the tail of its weights (Pareto k-hat) and the effective sample size. Tails that it does not reach, which they do not say, an
ensemble of walkers does that begins at its draws (:mod:`bayes_scaling.inference.walkers`), as long as they soon forget where they were:
of some posteriors with groups they do not, and NUTS takes over. Effects of groups are drawn given the rest in closed
form, so that only the rest counts: every shipped document leaves 4 to 22 unknowns, of which importance sampling is exact
enough on every table it was tried on. Beyond 25 it was not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from bayes_scaling.errors import InvalidModel
from bayes_scaling.inference.conditional import Conditional, collapse, effects_of, mean_of
from bayes_scaling.inference.importance import Mixture, Weighted, sample_by_importance
from bayes_scaling.inference.modes import Mode, climbed, find_modes, shares_of, with_modes_near
from bayes_scaling.inference.outliers import screened
from bayes_scaling.inference.progress import progress_bar
from bayes_scaling.inference.settings import Settings, enough_draws, refuse_too_much
from bayes_scaling.inference.walkers import Walked, walk
from bayes_scaling.model import names
from bayes_scaling.model.density import LogDensity
from bayes_scaling.model.layout import Layout
from bayes_scaling.posterior.checks import RULES, mixing

if TYPE_CHECKING:
    from bayes_scaling.inference.nuts import Compiled

_KEPT_FREE: Final = 31 * 2**20
"""Bytes just below the most that the C library of Linux lets its threshold rise to, 32 MiB."""
_MOST_UNKNOWNS: Final = 25
"""Unknowns up to which importance sampling is tried: beyond, its effective size was too small in every trial."""
_LARGEST_K: Final = RULES["Pareto k-hat of the weights"].threshold
_FEWEST_EFFECTIVE: Final = 1000.0
"""Effective size below which what walkers begin with would be known by chance."""
DRAWS: Final = 1000
"""Draws kept of each chain of walkers, unless others are asked for."""
_MOST_DRAWS: Final = 40000
"""Draws at the most in the first attempt, twice and three times as many in the next."""
_EFFECTIVE: Final = 1500.0
"""Effective sample size that is asked for: the walkers that begin at these draws make more of them."""
_ATTEMPTS: Final = 3
_CLOSER: Final = 0.995
"""Acceptance rate that NUTS is tuned to where it had divergences."""
_LONGEST: Final = 4
"""Warm-up and draws of NUTS at the most, over those that it begins with."""
_CLIMBED: Final = 5
"""Draws from which a climb looks for modes that were missed."""
_ENOUGH_TO_WALK: Final = 100.0
"""Effective size from which on walkers begin in enough places."""
_REACHED: Final = 2000
"""Places that walkers reach, to which a mixture is fitted for the next attempt."""


@dataclass(frozen=True)
class Sampled:
    """What a sampler returns.

    Parameters
    ----------
    posterior : Dataset, dims (chain, draw, ...)
        Every unknown but the effects that were integrated out.
    groups : mapping of str to Dataset
        ``sample_stats``, ``modes`` and, of importance sampling, ``importance``.
    settings : Settings
        As they were used.
    facts : mapping
        The sampler that was used, and why, and the rows that went wrong.
    layout : Layout
        The model on its tables, in which these rows have an error of their own.
    """

    posterior: xr.Dataset
    groups: Mapping[str, xr.Dataset]
    settings: Settings
    facts: Mapping[str, Any]
    layout: Layout


def sample_posterior(layout: Layout, settings: Settings, progress: bool | None) -> Sampled:
    """Sample the posterior of a layout.

    Raises
    ------
    InvalidModel
        If importance sampling is asked for, and the posterior has no mode to start from, or no draw near it has a density.
    """
    _keep_freed_memory()
    layout = layout.with_outliers({})  # they are found anew
    density = LogDensity(layout)
    refuse_too_much(settings, density.size, sum(len(rows) for _, rows in layout))
    with progress_bar(progress) as show:
        show("finding the modes", None)
        modes = find_modes(density, np.random.default_rng([settings.seed, 3]))
        searched = modes and any(rows.observation.likelihood.outliers for _, rows in layout)
        found: dict[str, Any] = {"outliers": {}, "named": []}
        if searched:
            screen = screened(density, modes)
            if screen.found:
                layout, density = screen.layout, LogDensity(screen.layout)
                modes = find_modes(density, np.random.default_rng([settings.seed, 3]))
                near = screen.mode.point[None]
                modes = with_modes_near(density, modes, near) if modes else climbed(density, near, screen.mode.covariance)
            found = {"outliers": {name: list(rows.outliers) for name, rows in layout.rows.items()}, "named": screen.named}
        if settings.sampler == "importance" and not modes:
            raise InvalidModel("No start found a point where the density of the runs is finite: look at the priors.")
        left = density.size - len(effects_of(density)[0])
        reason = f"{left} unknowns are more than {_MOST_UNKNOWNS}, the limit for importance sampling"
        if modes and (settings.sampler == "importance" or (settings.sampler == "auto" and left <= _MOST_UNKNOWNS)):
            show("sampling", 0.0)
            weighted, given, modes = _weighted(density, modes, settings, lambda share: show("sampling", share / 3))
            reason = f"importance sampling was not exact enough: {_stated(weighted)}"
            if settings.sampler == "importance" and not weighted.is_somewhere:
                raise InvalidModel("No draw near the modes has a density of the runs above zero: ask for --sampler nuts.")
            if settings.sampler == "importance" or _is_exact(weighted):
                asked = settings.with_draws(DRAWS)
                rng = np.random.default_rng([settings.seed, 5])
                sizes = {"chains": asked.chains, "draws": asked.draws or DRAWS}
                walked = walk(
                    density,
                    weighted,
                    rng,
                    given,
                    **sizes,
                    published=lambda points: _published(density, points),
                    progress=lambda share: show("sampling", (1 + 2 * share) / 3),
                )
                doubt = _doubt(walked)
                if settings.sampler == "importance" or not doubt:
                    return _by_walkers(density, modes, weighted, walked, asked, found)
                reason = f"after {walked.moves} moves {doubt}"
        if settings.sampler == "nuts":
            reason = "asked for"
        show("compiling the model for NUTS", None)
        compiled = _compiled(layout)
    with threadpool_limits(1, "blas"):  # again: PyMC has loaded a library of linear algebra of scipy's own
        return _by_nuts(density, modes, compiled, settings, reason, found, progress)


def _keep_freed_memory() -> None:
    """Let the next arrays have the memory of those that are no longer needed, where the C library is that of GNU.

    It returns what is freed in large pieces to the system, and the next array of a megabyte is then cleared page by page, which took
    half the time of a density. Its threshold for that rises to the largest piece that was freed (mallopt(3), M_MMAP_THRESHOLD), so
    one such piece is asked for, not touched, and freed.
    """
    np.empty(_KEPT_FREE, dtype=np.uint8)


def _weighted(
    density: LogDensity, modes: list[Mode], settings: Settings, progress: Callable[[float], None]
) -> tuple[Weighted, Conditional | None, list[Mode]]:
    """Return weighted draws, the effects given the rest that they were drawn with, and the modes; drawn again, where that was not exact, from what was learned."""
    rng = np.random.default_rng([settings.seed, 4])
    given, of_rest, start = None, modes, None
    if density.layout.model.groupings:
        given, of_rest = collapse(density, modes[0].point, modes[0].covariance)
        if of_rest:
            # The effects are expanded again where the density of the rest is largest.
            (around,), _ = given.at_mean(of_rest[0].point[None])
            given, of_rest = collapse(density, around, modes[0].covariance)
    attempts = 0
    while True:
        attempts += 1
        most = attempts * _MOST_DRAWS
        weighted = sample_by_importance(
            density, of_rest or modes, rng, given, start=start, effective=attempts * _EFFECTIVE, most=most, progress=progress
        )
        if not weighted.is_somewhere:
            return weighted, given, modes
        if _is_exact(weighted) or attempts == _ATTEMPTS:
            highest = weighted.points[[int(np.argmax(weighted.log_density))]]
            return weighted, given, with_modes_near(density, modes, highest)
        if given is not None:
            # The mean of the posterior is a better place to expand the effects around than a mode.
            given, of_rest = collapse(density, mean_of(given, weighted.points, weighted.weights), modes[0].covariance)
        else:
            # Where a mode was missed, the heaviest draws lie on its slope; where a tail was, walkers reach it.
            heaviest = weighted.points[np.argsort(-weighted.log_ratio)[:_CLIMBED]]
            modes = of_rest = with_modes_near(density, modes, heaviest)
            if weighted.effective_smoothed >= _ENOUGH_TO_WALK:
                reached = walk(density, weighted, rng, chains=1, draws=_REACHED).points[0]
                start = Mixture.around(reached, rng)


def _is_exact(weighted: Weighted) -> bool:
    return weighted.is_somewhere and weighted.tail_shape < _LARGEST_K and weighted.effective_smoothed >= _FEWEST_EFFECTIVE


def _doubt(walked: Walked) -> str:
    """Return why the draws of walkers do not represent the posterior; nothing where they do, as far as they tell."""
    if not walked.forgets:
        return f"walkers had not forgotten where they were ({walked.memory:.1f} standard errors)"
    return "" if walked.agrees else f"walkers disagreed (R-hat {walked.disagreement:.3f})"


def _published(density: LogDensity, points: np.ndarray) -> np.ndarray:
    """Return every stored unknown at points, shape (point, unknown)."""
    draws = density.draws(points, (1, len(points)))
    return np.column_stack([each.values.reshape(len(points), -1) for each in draws.values()])


def _compiled(layout: Layout) -> Compiled:
    from bayes_scaling.inference.nuts import compiled_for  # PyMC: seconds of imports and of compiling

    return compiled_for(layout)


def _by_walkers(
    density: LogDensity,
    modes: list[Mode],
    weighted: Weighted,
    walked: Walked,
    settings: Settings,
    found: Mapping[str, Any],
) -> Sampled:
    """Return what walkers drew that began at weighted draws."""
    shape = walked.log_density.shape
    points, log_density = walked.points.reshape(-1, density.size), walked.log_density.ravel()
    modes = with_modes_near(density, modes, points[[int(np.argmax(log_density))]])
    statistics = _of_draws(density, modes, points, log_density, shape)
    groups = {
        "sample_stats": statistics.assign(walker=(names.SAMPLE_DIMS, walked.walkers)),
        "importance": xr.Dataset({"log_ratio": ("evaluation", weighted.log_ratio)}),
        "modes": _stored(density, modes),
    }
    facts = {
        "sampler": "importance",
        "sampler_reason": f"{_stated(weighted)}; {walked.moves} moves of {len(np.unique(walked.walkers))} walkers",
        "evaluations": len(weighted.points) + walked.evaluations,
        "rounds": weighted.rounds,
        "memory_standard_errors": walked.memory,
    }
    return Sampled(density.draws(points, shape), groups, settings, {**facts, **found}, density.layout)


def _stated(weighted: Weighted) -> str:
    if not weighted.is_somewhere:
        return "no draw has a density above zero"
    return f"Pareto k-hat {weighted.tail_shape:.2f}, effective sample size {weighted.effective_smoothed:.0f}"


def _by_nuts(
    density: LogDensity,
    modes: list[Mode],
    compiled: Compiled,
    settings: Settings,
    reason: str,
    found: Mapping[str, Any],
    progress: bool | None,
) -> Sampled:
    layout = density.layout
    asked = settings
    settings = settings.with_draws(enough_draws(layout.model, sum(len(rows) for _, rows in layout)))
    while True:
        posterior, statistics = compiled.sample(density, modes, settings, progress)
        again = _better(asked, settings, posterior, statistics)
        if again is None:
            break
        settings, why = again
        reason = f"{reason}; sampled again {why}"
    points = density.points(posterior)
    log_density = density.of(points)
    shape = (posterior.sizes["chain"], posterior.sizes["draw"])
    if modes:
        # Where a chain is in a mode of its own, the climb from its last draw finds that.
        last = points.reshape(*shape, -1)[:, -1]
        modes = with_modes_near(density, modes, np.vstack([points[int(np.argmax(log_density))], last]))
    of_draws = _of_draws(density, modes, points, log_density, shape)
    groups = {"sample_stats": statistics.assign(of_draws.data_vars), "modes": _stored(density, modes)}
    return Sampled(posterior, groups, settings, {"sampler": "nuts", "sampler_reason": reason, **found}, layout)


def _better(asked: Settings, used: Settings, posterior: xr.Dataset, statistics: xr.Dataset) -> tuple[Settings, str] | None:
    """Return settings by which ``auto`` samples again, and why: shorter steps once, longer chains twice; none where that is not needed."""
    if asked.sampler != "auto":
        return None
    closer = max(used.target_accept, _CLOSER)
    if closer != used.target_accept and not RULES["share of divergences"].passes(float(statistics["diverging"].mean())):
        return replace(used, target_accept=closer), "in shorter steps, for divergences"
    if asked.draws is not None or used.tune >= _LONGEST * asked.tune:
        return None
    failed = {name: value for name, (value, _) in mixing(posterior, statistics).items() if not RULES[name].passes(value)}
    if not failed:
        return None
    why = " and ".join(f"{name} {value:.4g}" for name, value in failed.items())
    return replace(used, draws=2 * (used.draws or 0), tune=2 * used.tune), f"in longer chains, for {why}"


def _of_draws(
    density: LogDensity, modes: list[Mode], points: np.ndarray, log_density: np.ndarray, shape: tuple[int, int]
) -> xr.Dataset:
    """Return the log density of every draw, and the mode it is nearest to."""
    values = {"lp": log_density.reshape(shape)}
    if modes:
        values["mode"] = np.stack([mode.distance(points) for mode in modes]).argmin(axis=0).reshape(shape)
    return xr.Dataset({name: (names.SAMPLE_DIMS, value) for name, value in values.items()})


def _stored(density: LogDensity, modes: list[Mode]) -> xr.Dataset:
    """Return the modes as a fit keeps them: log density, share of the mass by Laplace's approximation, unknowns."""
    return xr.Dataset(
        {
            "log_density": ("mode", np.array([mode.log_density for mode in modes])),
            "share": ("mode", shares_of(modes)),
            "point": (("mode", "coordinate"), np.array([mode.point for mode in modes]).reshape(len(modes), density.size)),
        }
    )
