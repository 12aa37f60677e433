"""What Kaplan et al. (2020) state, each as a function of the constants it rests on, told by a posterior with an interval.

A claim is a function. Its arguments are parameters of the laws; ``path``, compute-optimal training at the largest compute
measured, and ``path_at_pf_day`` at one petaflop/s-day; and ``crossing``, where the laws contradict each other. A fit that
has learned what they follow from tells the claim.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.laws import Law
from bayes_scaling.laws.batch import critical_batch
from bayes_scaling.laws.efficient import efficient_excess, size_factor_cost, step_factor
from bayes_scaling.laws.kaplan import data_requirement, kaplan_d, kaplan_n
from bayes_scaling.laws.shape import shape_range_cost
from bayes_scaling.posterior.checks import contraction
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import warn_unless_converged
from bayes_scaling.posterior.predict import SAMPLE_DIMS, quantiles
from bayes_scaling.quantities import PF_DAY
from bayes_scaling.questions.frontier import NEEDS, efficient, efficient_at, largest

_NEARLY_CONVERGED: Final = 0.02
"""Excess over the converged loss that the paper lays beside efficient training (appendix B)."""
_TAUGHT: Final = 0.5
"""Contraction of a parameter below which what it says is the prior's."""
_LARGEST: Final = 1.5e9
"""Parameters of the largest model of the paper."""
_LOSSES: Final = (20.0, 0.02)
"""Loss left by finite size between which the contradiction of section 6.3 is looked for."""
_HALVINGS: Final = 50


@dataclass(frozen=True)
class Claim:
    """One thing the paper states.

    Parameters
    ----------
    says : str
        What, in a phrase.
    equation : str
        Where.
    unit : str
        Unit of the number.
    published : tuple of float
        The number, or the two ends of the range it is said to lie in.
    tells : callable
        The number as a function of parameters.
    at : tuple of str and float, optional
        Column and place whose reach beyond the data counts; without a place it is the number itself.
    digits : int
        Significant digits the paper gives: a number stands for all that are rounded to it.
    """

    says: str
    equation: str
    unit: str
    published: tuple[float, ...]
    tells: Callable[..., Any]
    at: tuple[str, float | None] | None = None
    digits: int = 2

    @property
    def allowed(self) -> tuple[float, float]:
        """Least and largest number that the paper's, rounded as it is, may stand for."""
        ends = [
            (value, 0.5 * 10 ** (np.floor(np.log10(value)) - self.digits + 1) if value else 0.0) for value in self.published
        ]
        return ends[0][0] - ends[0][1], ends[-1][0] + ends[-1][1]

    @property
    def needs(self) -> tuple[str, ...]:
        """Arguments without a default."""
        return tuple(n for n, p in inspect.signature(self.tells).parameters.items() if p.default is p.empty)

    @property
    def takes(self) -> tuple[str, ...]:
        """All arguments."""
        return tuple(inspect.signature(self.tells).parameters)


def claims(fit: Fit, *, prob: float = 0.9) -> pd.DataFrame:
    """Return what a posterior says about the statements of Kaplan et al. (2020).

    Parameters
    ----------
    fit : Fit
        A fit of any of the paper's laws; the more of them, the more it tells. A parameter that differs between
        observations is taken as the first observation has it.
    prob : float
        Probability of the equal-tailed intervals.

    Returns
    -------
    DataFrame
        One row a claim: ``claim``, ``equation``, ``unit``, ``published`` (as text, a range where the paper gives one),
        ``median``, ``lower``, ``upper``, and ``above``, the probability that ours is larger than what was published (than
        the top of a range). ``verdict`` is ``agrees`` where the interval has numbers that are rounded to the published one,
        or in its range; ``ours is larger`` or ``ours is smaller`` where it has none; and ``the prior's`` where the rows
        taught less than half about a parameter it rests on (``contraction``, as :func:`~bayes_scaling.contraction` has it). ``decades_beyond`` says how far beyond
        the measured compute or size it reaches. ``defined`` is the share of draws for which the number exists: the interval is that of
        these.

    Raises
    ------
    InvalidRequest
        If the fit tells none of them.

    Warns
    -----
    NotConvergedWarning
        If the fit failed a convergence check.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_system
    >>> table = claims(example_system()).set_index("claim")
    >>> row = table.loc["compute-optimal training stops above the converged loss by"]
    >>> float(row["median"].round(2)), row["published"], row["verdict"]
    (0.1, '0.1', 'agrees')
    """
    warn_unless_converged(fit)
    known, taught = _known(fit), _taught(fit)
    rows = []
    for claim in CLAIMS:
        rests_on = _parameters(claim, known)
        if not set(claim.needs) <= set(known) or not set(rests_on) & set(taught):
            continue
        draws = claim.tells(**{name: known[name] for name in claim.takes if name in known})
        told = np.broadcast_to(np.asarray(draws, float), [fit.posterior.sizes[dim] for dim in SAMPLE_DIMS]).ravel()
        if not np.isnan(told).all():
            rows.append(_row(claim, told, prob, min(taught[name] for name in rests_on if name in taught), fit))
    if not rows:
        raise InvalidRequest(
            f"This fit has learned {', '.join(taught) or 'no single parameter'}: no claim of the paper rests on that alone. "
            f"Fit a system such as kaplan_system."
        )
    table = pd.DataFrame(rows)
    table.attrs["prob"] = prob
    return table


def _known(fit: Fit) -> dict[str, Any]:
    """Return everything a claim may take."""
    known: dict[str, Any] = dict(fit.learned)
    if "E" in known and not bool((known["E"] != 0).any()):
        known.pop("E")  # the form of the paper
    if set(NEEDS) <= set(known):
        laws = {name: known[name] for name in (*NEEDS, "E") if name in known}
        known["path_at_pf_day"] = efficient(xr.DataArray(PF_DAY), **laws)
        known["path"] = efficient(xr.DataArray(largest(fit, "compute_min_flops") or PF_DAY), **laws)
        if {"D_c", "alpha_D"} <= set(known):
            of_data = {name: known[name] for name in ("D_c", "alpha_D", "E") if name in known}
            known["crossing"] = contradiction(laws=laws, **of_data)
    return known


def _parameters(claim: Claim, known: Mapping[str, Any]) -> list[str]:
    """Return the parameters a claim rests on."""
    found = []
    for name in claim.takes:
        found += (
            [*NEEDS, "E"] if name.startswith("path") else [*NEEDS, "E", "D_c", "alpha_D"] if name == "crossing" else [name]
        )
    return [name for name in dict.fromkeys(found) if name in known]


def _taught(fit: Fit) -> dict[str, float]:
    """Return, for every parameter that is no number of the document, how much the rows taught about it."""
    all_of_it = contraction(fit)["contraction"]
    found = {}
    for name in fit.learned:
        if fit.model.parameters[name].prior is not None:
            rows = [label for label in (f"{name}_at_reference", f"{name}_population", name) if label in all_of_it.index]
            found[name] = float(all_of_it[rows[0]])
    return found


def _row(claim: Claim, draws: np.ndarray, prob: float, taught: float, fit: Fit) -> dict[str, Any]:
    exists = draws[~np.isnan(draws)]
    # What is never reached costs without end: then a quantile is one of the draws.
    method = "linear" if np.isfinite(exists).all() else "inverted_cdf"
    median, lower, upper = np.quantile(exists, quantiles(prob), method=method)
    least, most = claim.allowed
    verdict = "ours is larger" if lower > most else "ours is smaller" if upper < least else "agrees"
    return {
        "claim": claim.says,
        "equation": claim.equation,
        "unit": claim.unit,
        "published": " to ".join(f"{value:.3g}" for value in claim.published),
        "median": median,
        "lower": lower,
        "upper": upper,
        "above": float(np.mean(exists > claim.published[-1])),
        "verdict": verdict if taught >= _TAUGHT else "the prior's",
        "decades_beyond": _reach(claim, median, fit),
        "defined": len(exists) / len(draws),
        "contraction": taught,
    }


def _reach(claim: Claim, median: float, fit: Fit) -> float:
    """Return how many decades beyond the rows a claim looks."""
    if claim.at is None:
        return 0.0
    column, place = claim.at
    most = largest(fit, column)
    return float(max(0.0, np.log10((place or median) / most))) if most else np.nan


def contradiction(*, laws: Mapping[str, Any], D_c: Any, alpha_D: Any, E: Any = 0.0) -> xr.Dataset:
    """Return where efficient training would do better than its own tokens allow: the crossing of section 6.3.

    Training that sees each token once cannot beat L(D) of the tokens it saw. Along compute-optimal training the data
    grow slowly, and the two laws meet.

    Parameters
    ----------
    laws : mapping
        Parameters of :func:`~bayes_scaling.questions.frontier.efficient_at`.
    D_c, alpha_D, E : float or DataArray
        Parameters of L(D).

    Returns
    -------
    Dataset, dims (chain, draw)
        ``compute_min_flops``, ``params``, ``tokens`` and ``loss`` of the crossing, not a number where there is none.
    """

    def gap(log_t: Any) -> Any:
        path = efficient_at(log_t, **laws)
        return np.log(kaplan_d(path["tokens"], D_c=D_c, alpha_D=alpha_D, E=E)) - np.log(path["loss"])

    zero = xr.zeros_like(laws["alpha_N"] + alpha_D)
    before, after = (np.log(loss) + zero for loss in _LOSSES)
    crosses = (gap(before) < 0) & (gap(after) > 0)
    for _ in range(_HALVINGS):
        middle = (before + after) / 2
        below = gap(middle) < 0
        before, after = xr.where(below, middle, before), xr.where(below, after, middle)
    found = efficient_at(before, **laws)
    return found[["compute_min_flops", "params", "tokens", "loss"]].where(crosses)


def _or_never(law: Law, size_factor: float, alpha_N: Any, alpha_S: Any) -> Any:
    """Return what a size off the best one costs: without end where it never reaches the loss."""
    reaches = 1 + alpha_S / alpha_N * (1 - size_factor**-alpha_N) > 0
    return law(size_factor=size_factor, alpha_N=alpha_N, alpha_S=alpha_S).where(reaches, np.inf)


def _excess(alpha_N: Any, alpha_S: Any, E: Any, N_c: Any, path: Any) -> Any:
    """Return how far above its converged loss efficient training stops; with an offset, at the largest compute measured."""
    if _absent(E):
        return efficient_excess(alpha_N=alpha_N, alpha_S=alpha_S)
    return np.nan if path is None else path["loss"] / kaplan_n(path["params"], N_c=N_c, alpha_N=alpha_N, E=E) - 1


def _against_nearly_converged(alpha_N: Any, alpha_S: Any, E: Any) -> tuple[Any, Any]:
    """Return size and steps of efficient training over those of training to two per cent above convergence, at one loss.

    With an offset there is no one number: it depends on the loss.
    """
    if not _absent(E):
        return np.nan, np.nan
    stops = efficient_excess(alpha_N=alpha_N, alpha_S=alpha_S)
    size = ((1 + stops) / (1 + _NEARLY_CONVERGED)) ** (1 / alpha_N)
    steps = (stops / (1 + stops) / (_NEARLY_CONVERGED / (1 + _NEARLY_CONVERGED))) ** (-1 / alpha_S)
    return size, steps


def _absent(E: Any) -> bool:
    return isinstance(E, float) and E == 0.0


CLAIMS: Final = (
    Claim("exponent of size in L(N)", "(1.1)", "1", (0.076,), lambda alpha_N: alpha_N),
    Claim("exponent of data in L(D)", "(1.2)", "1", (0.095, 0.103), lambda alpha_D: alpha_D, digits=3),
    Claim("exponent of steps in L(N, S_min)", "(1.6)", "1", (0.76,), lambda alpha_S: alpha_S),
    Claim("exponent of the critical batch", "(1.4)", "1", (0.21,), lambda alpha_B: alpha_B),
    Claim("fall of the loss that doubles the critical batch", "section 5.1", "1", (0.13,), lambda alpha_B: 1 - 2**-alpha_B),
    Claim("gradient noise scale over critical batch", "section 5.1", "1", (1.0,), lambda noise_ratio: noise_ratio),
    Claim(
        "critical batch at the convergence of the paper's largest model",
        "section 5.1",
        "tokens",
        (1e6, 2e6),
        lambda N_c, alpha_N, B_star, alpha_B, E=0.0: critical_batch(
            kaplan_n(_LARGEST, N_c=N_c, alpha_N=alpha_N, E=E), B_star=B_star, alpha_B=alpha_B
        ),
        ("params", _LARGEST),
    ),
    Claim("exponent of the loss in compute", "(1.8)", "1", (0.050, 0.054), lambda path: path["loss_exponent"]),
    Claim("exponent of size in compute", "(1.7)", "1", (0.73,), lambda path: path["params_exponent"]),
    Claim(
        "exponent of size in compute by L(N, D), each token seen once",
        "(1.5) against (1.7)",
        "1",
        (0.73,),
        lambda alpha_N, alpha_D: 1 / (1 + alpha_N / alpha_D),
    ),
    Claim("exponent of the batch in compute", "(1.7)", "1", (0.24,), lambda path: path["batch_exponent"]),
    Claim("exponent of the steps in compute", "(1.7)", "1", (0.03,), lambda path: path["steps_exponent"], digits=1),
    Claim("exponent of the data in compute", "Table 6", "1", (0.27,), lambda path: path["tokens_exponent"]),
    Claim(
        "size at one PF-day",
        "(6.1)",
        "parameters",
        (1.3e9,),
        lambda path_at_pf_day: path_at_pf_day["params"],
        ("compute_min_flops", PF_DAY),
    ),
    Claim(
        "critical batch at one PF-day",
        "Table 6",
        "tokens",
        (2.0e6,),
        lambda path_at_pf_day: path_at_pf_day["batch_tokens"],
        ("compute_min_flops", PF_DAY),
    ),
    Claim(
        "least steps at one PF-day",
        "Table 6",
        "steps",
        (5.4e3,),
        lambda path_at_pf_day: path_at_pf_day["steps_min"],
        ("compute_min_flops", PF_DAY),
    ),
    Claim(
        "data at one PF-day",
        "Table 6",
        "tokens",
        (2e10,),
        lambda path_at_pf_day: path_at_pf_day["tokens"],
        ("compute_min_flops", PF_DAY),
    ),
    Claim("exponent of the data that size asks for", "(4.4)", "1", (0.74,), lambda alpha_N, alpha_D: alpha_N / alpha_D),
    Claim(
        "data that keep a billion parameters within two per cent of endless data",
        "(4.4)",
        "tokens",
        (5e3 * 1e9**0.74,),
        lambda N_c, alpha_N, D_c, alpha_D, E=0.0: data_requirement(
            1e9, excess=0.02, N_c=N_c, alpha_N=alpha_N, D_c=D_c, alpha_D=alpha_D, E=E
        ),
        ("params", 1e9),
    ),
    Claim(
        "exponent in compute of the data that size asks for",
        "(6.6)",
        "1",
        (0.54,),
        lambda path, alpha_N, alpha_D: path["params_exponent"] * alpha_N / alpha_D,
    ),
    Claim(
        "compute where the laws contradict each other",
        "(6.8)",
        "FLOP",
        (1e4 * PF_DAY,),
        lambda crossing: crossing["compute_min_flops"],
        ("compute_min_flops", None),
    ),
    Claim(
        "size where the laws contradict each other",
        "(6.8)",
        "parameters",
        (1e12,),
        lambda crossing: crossing["params"],
        ("params", None),
    ),
    Claim(
        "data where the laws contradict each other",
        "(6.8)",
        "tokens",
        (1e12,),
        lambda crossing: crossing["tokens"],
        ("tokens", None),
    ),
    Claim("loss where the laws contradict each other", "(6.8)", "nats", (1.7,), lambda crossing: crossing["loss"]),
    Claim(
        "compute-optimal training stops above the converged loss by",
        "appendix B",
        "1",
        (0.10,),
        lambda alpha_N, alpha_S, E=0.0, N_c=None, path=None: _excess(alpha_N, alpha_S, E, N_c, path),
    ),
    Claim(
        "compute for 0.6 times the best size",
        "appendix B",
        "1",
        (1.2,),
        lambda alpha_N, alpha_S: _or_never(size_factor_cost, 0.6, alpha_N, alpha_S),
    ),
    Claim(
        "compute for 2.2 times the best size",
        "appendix B",
        "1",
        (1.2,),
        lambda alpha_N, alpha_S: _or_never(size_factor_cost, 2.2, alpha_N, alpha_S),
    ),
    Claim(
        "steps for 2.2 times the best size",
        "appendix B",
        "1",
        (0.55,),
        lambda alpha_N, alpha_S: _or_never(step_factor, 2.2, alpha_N, alpha_S),
    ),
    Claim(
        "size of efficient training over that trained to 2 % above convergence",
        "appendix B",
        "1",
        (2.7,),
        lambda alpha_N, alpha_S, E=0.0: _against_nearly_converged(alpha_N, alpha_S, E)[0],
    ),
    Claim(
        "steps of training to 2 % above convergence over efficient ones",
        "appendix B",
        "1",
        (7.7,),
        lambda alpha_N, alpha_S, E=0.0: 1 / _against_nearly_converged(alpha_N, alpha_S, E)[1],
    ),
    Claim(
        "compute of efficient training over that to 2 % above convergence",
        "appendix B",
        "1",
        (0.35,),
        lambda alpha_N, alpha_S, E=0.0: math.prod(_against_nearly_converged(alpha_N, alpha_S, E)),
    ),
    Claim(
        "cost of the ends of a 40-fold range of aspect ratios",
        "section 3.1",
        "1",
        (0.0, 0.03),
        lambda aspect_cost: shape_range_cost(aspect_range=40.0, aspect_cost=aspect_cost),
    ),
)
"""Every claim, in the order of the paper's argument."""
