"""Statements of Kaplan et al. (2020), each a function of the constants it rests on, with the interval of a posterior.

The arguments of a claim are parameters of the laws; ``path``, compute-optimal training at the largest compute measured, and
``pf_day``, the same at one petaflop/s-day; and ``crossing``, where the laws contradict each other.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
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
from bayes_scaling.model import names
from bayes_scaling.numerics import bisect
from bayes_scaling.posterior.checks import contraction
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import warn_unless_converged
from bayes_scaling.posterior.predict import SAMPLE_DIMS, quantiles
from bayes_scaling.quantities import PF_DAY
from bayes_scaling.questions.base import ENDS, Answer, OfSystem
from bayes_scaling.questions.frontier import efficient, efficient_at, largest, plain
from bayes_scaling.questions.learning_curve import NEEDS
from bayes_scaling.questions.wording import credible, number, percent, short

_NEARLY_CONVERGED: Final = 0.02
"""Excess over the converged loss that the paper lays beside efficient training (appendix B)."""
_INFORMED: Final = 0.5
"""Contraction of a parameter below which a number is the prior's."""
_LARGEST: Final = 1.5e9
"""Parameters of the largest model of the paper."""
_LOSSES: Final = (20.0, 0.02)
"""Loss left by finite size between which the contradiction of section 6.3 is looked for."""
_NUMBERS: Final = ("1", "nats", "FLOP")
"""Units of what is written as a number; amounts have a suffix."""
_AT_A_PF_DAY: Final = ("compute_min_flops", PF_DAY)
_RESTS_ON: Final = {
    "path": (*NEEDS, "E"),
    "pf_day": (*NEEDS, "E"),
    "crossing": (*NEEDS, "E", "D_c", "alpha_D"),
}
"""Parameters behind the arguments of claims that are none."""


@dataclass(frozen=True)
class Claim:
    """One statement of the paper, a number as a function of parameters of the laws.

    Published is the number, or the two ends of a range, and stands for all that are rounded to its ``digits`` significant
    ones. ``place`` is the column, and the value of it, whose extrapolation distance counts; without a value, it is the number
    itself.
    """

    statement: str
    equation: str
    published: tuple[float, ...]
    value: Callable[..., Any]
    unit: str = "1"
    place: tuple[str, float | None] | None = None
    digits: int = 2

    @property
    def allowed(self) -> tuple[float, float]:
        """Least and largest number that the paper's, rounded as it is, may stand for."""
        ends = self.published[0], self.published[-1]
        least, most = (0.5 * 10 ** (np.floor(np.log10(end)) - self.digits + 1) if end else 0.0 for end in ends)
        return ends[0] - least, ends[1] + most

    @cached_property
    def arguments(self) -> dict[str, bool]:
        """Every argument, and whether the claim needs it."""
        return {n: p.default is p.empty for n, p in inspect.signature(self.value).parameters.items()}


def claims(fit: Fit, *, prob: float = 0.9) -> pd.DataFrame:
    """Return statements of Kaplan et al. (2020) beside what follows from a posterior.

    Parameters
    ----------
    fit : Fit
        A fit of any of the paper's laws; the more of them, the more claims. A parameter that differs between
        observations is taken as the first observation has it.
    prob : float
        Probability of the equal-tailed intervals.

    Returns
    -------
    DataFrame
        One row a claim: ``claim``, ``equation``, ``unit``, ``published`` (as text, a range where the paper gives one),
        ``median``, ``lower``, ``upper``, and ``above``, the probability that ours is larger than what was published (than
        the top of a range). ``verdict`` is ``agrees`` where the interval has numbers that are rounded to the published one,
        or in its range; ``ours is larger`` or ``ours is smaller`` where it has none; and ``the prior's`` where ``contraction``,
        as :func:`~bayes_scaling.contraction` has it, is less than one half for a parameter it rests on. ``decades_beyond``
        is its extrapolation distance in compute or size. ``defined`` is the share of draws for which the number exists:
        the interval is that of these.

    Raises
    ------
    InvalidRequest
        If no claim follows from the fit.

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
    return _table(fit, _numbers(fit), prob)


def _numbers(fit: Fit) -> list[tuple[Claim, np.ndarray, float]]:
    """Return each claim that follows from a fit, its number in every draw, and the least contraction of its parameters."""
    warn_unless_converged(fit, stacklevel=4)
    given, informed = _arguments(fit), _contractions(fit)
    shape = [fit.posterior.sizes[dim] for dim in SAMPLE_DIMS]
    numbers = []
    for claim in CLAIMS:
        parameters = {n for name in claim.arguments for n in _RESTS_ON.get(name, (name,))} & set(informed)
        if not parameters or not {name for name, needed in claim.arguments.items() if needed} <= set(given):
            continue
        value = claim.value(**{name: given[name] for name in claim.arguments if name in given})
        draws = np.broadcast_to(np.asarray(value, float), shape)
        if not np.isnan(draws).all():
            numbers.append((claim, draws, min(informed[name] for name in parameters)))
    if not numbers:
        raise InvalidRequest(
            f"This fit has learned {', '.join(informed) or 'no single parameter'}: no claim of the paper rests on that alone. "
            f"Fit a system such as kaplan_system."
        )
    return numbers


def _table(fit: Fit, numbers: list[tuple[Claim, np.ndarray, float]], prob: float) -> pd.DataFrame:
    table = pd.DataFrame([_row(claim, draws.ravel(), prob, informed, fit) for claim, draws, informed in numbers])
    table.attrs["prob"] = prob
    return table


def contradiction(*, laws: Mapping[str, Any], D_c: Any, alpha_D: Any, E: Any = 0.0) -> xr.Dataset:
    """Return where efficient training would do better than its own tokens allow: the crossing of section 6.3.

    Training that sees each token once cannot beat L(D) of the tokens it saw. Along compute-optimal training the data
    grow slowly, and the two laws meet. ``laws`` are the parameters of
    :func:`~bayes_scaling.questions.frontier.efficient_at`; what comes back is not a number where there is no crossing.
    """
    like, arrays = plain(**{"E": 0.0, **laws, "D_c": D_c, "alpha_D": alpha_D, "E_of_data": E})
    of_data = {"D_c": arrays.pop("D_c"), "alpha_D": arrays.pop("alpha_D"), "E": arrays.pop("E_of_data")}

    def gap(log_t: Any) -> Any:
        path = efficient_at(log_t, **arrays)
        return np.log(kaplan_d(path["tokens"], **of_data)) - np.log(path["loss"])

    ends = np.log(_LOSSES)
    crosses = (gap(ends[0]) < 0) & (gap(ends[1]) > 0)
    path = efficient_at(bisect(gap, *ends)[0], **arrays)
    quantities = ("compute_min_flops", "params", "tokens", "loss")
    return xr.Dataset({n: (like.dims, np.where(crosses, path[n], np.nan)) for n in quantities}, coords=like.coords)


def _arguments(fit: Fit) -> dict[str, Any]:
    """Return everything a claim may take."""
    given: dict[str, Any] = dict(fit.learned)
    if "E" in given and not bool((given["E"] != 0).any()):
        given.pop("E")  # the form of the paper
    if set(NEEDS) <= set(given):
        laws = {name: given[name] for name in (*NEEDS, "E") if name in given}
        given["pf_day"] = efficient(xr.DataArray(PF_DAY), **laws)
        given["path"] = efficient(xr.DataArray(largest(fit, "compute_min_flops") or PF_DAY), **laws)
        if {"D_c", "alpha_D"} <= set(given):
            of_data = {name: given[name] for name in ("D_c", "alpha_D", "E") if name in given}
            given["crossing"] = contradiction(laws=laws, **of_data)
    return given


def _contractions(fit: Fit) -> dict[str, float]:
    """Return the posterior contraction of every parameter that has a prior."""
    table = contraction(fit)["contraction"]
    contractions = {}
    for name in fit.learned:
        if fit.model.parameters[name].prior is not None:
            labels = (names.at_reference(name), names.population(name), name)
            contractions[name] = float(table[next(label for label in labels if label in table.index)])
    return contractions


def _row(claim: Claim, draws: np.ndarray, prob: float, informed: float, fit: Fit) -> dict[str, Any]:
    exists = draws[~np.isnan(draws)]
    # The cost of a loss that is never reached is infinite: then a quantile is one of the draws.
    method = "linear" if np.isfinite(exists).all() else "inverted_cdf"
    median, lower, upper = np.quantile(exists, quantiles(prob), method=method)
    least, most = claim.allowed
    verdict = "ours is larger" if lower > most else "ours is smaller" if upper < least else "agrees"
    beyond = 0.0
    if claim.place is not None:
        edge = largest(fit, claim.place[0]) or np.nan
        beyond = float(np.maximum(0.0, np.log10((claim.place[1] or median) / edge)))
    return {
        "claim": claim.statement,
        "equation": claim.equation,
        "unit": claim.unit,
        "published": " to ".join(number(value) for value in claim.published),
        "median": median,
        "lower": lower,
        "upper": upper,
        "above": float(np.mean(exists > claim.published[-1])),
        "verdict": verdict if informed >= _INFORMED else "the prior's",
        "decades_beyond": beyond,
        "defined": len(exists) / len(draws),
        "contraction": informed,
    }


def _or_never(law: Law, size_factor: float, alpha_N: Any, alpha_S: Any) -> Any:
    """Return what a size off the best one costs: infinite where it never reaches the loss."""
    reaches = 1 + alpha_S / alpha_N * (1 - size_factor**-alpha_N) > 0
    return law(size_factor=size_factor, alpha_N=alpha_N, alpha_S=alpha_S).where(reaches, np.inf)


def _excess(alpha_N: Any, alpha_S: Any, E: Any = 0.0, N_c: Any = None, path: Any = None) -> Any:
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


def _batch_of_the_largest(N_c: Any, alpha_N: Any, B_star: Any, alpha_B: Any, E: Any = 0.0) -> Any:
    return critical_batch(kaplan_n(_LARGEST, N_c=N_c, alpha_N=alpha_N, E=E), B_star=B_star, alpha_B=alpha_B)


# fmt: off
CLAIMS: Final = (
    Claim("exponent of size in L(N)", "(1.1)", (0.076,), lambda alpha_N: alpha_N),
    Claim("exponent of data in L(D)", "(1.2)", (0.095, 0.103), lambda alpha_D: alpha_D, digits=3),
    Claim("exponent of steps in L(N, S_min)", "(1.6)", (0.76,), lambda alpha_S: alpha_S),
    Claim("exponent of the critical batch", "(1.4)", (0.21,), lambda alpha_B: alpha_B),
    Claim("fall of the loss that doubles the critical batch", "section 5.1", (0.13,), lambda alpha_B: 1 - 2**-alpha_B),
    Claim("gradient noise scale over critical batch", "section 5.1", (1.0,), lambda noise_ratio: noise_ratio),
    Claim("critical batch at the convergence of the paper's largest model", "section 5.1", (1e6, 2e6),
          _batch_of_the_largest, "tokens", ("params", _LARGEST)),
    Claim("exponent of the loss in compute", "(1.8)", (0.050, 0.054), lambda path: path["loss_exponent"]),
    Claim("exponent of size in compute", "(1.7)", (0.73,), lambda path: path["params_exponent"]),
    Claim("exponent of size in compute by L(N, D), each token seen once", "(1.5) against (1.7)", (0.73,),
          lambda alpha_N, alpha_D: 1 / (1 + alpha_N / alpha_D)),
    Claim("exponent of the batch in compute", "(1.7)", (0.24,), lambda path: path["batch_exponent"]),
    Claim("exponent of the steps in compute", "(1.7)", (0.03,), lambda path: path["steps_exponent"], digits=1),
    Claim("exponent of the data in compute", "Table 6", (0.27,), lambda path: path["tokens_exponent"]),
    Claim("size at one PF-day", "(6.1)", (1.3e9,), lambda pf_day: pf_day["params"], "parameters", _AT_A_PF_DAY),
    Claim("critical batch at one PF-day", "Table 6", (2.0e6,), lambda pf_day: pf_day["batch_tokens"], "tokens", _AT_A_PF_DAY),
    Claim("least steps at one PF-day", "Table 6", (5.4e3,), lambda pf_day: pf_day["steps_min"], "steps", _AT_A_PF_DAY),
    Claim("data at one PF-day", "Table 6", (2e10,), lambda pf_day: pf_day["tokens"], "tokens", _AT_A_PF_DAY),
    Claim("exponent of the data that size asks for", "(4.4)", (0.74,), lambda alpha_N, alpha_D: alpha_N / alpha_D),
    Claim("data that keep a billion parameters within two per cent of endless data", "(4.4)", (5e3 * 1e9**0.74,),
          lambda N_c, alpha_N, D_c, alpha_D, E=0.0: data_requirement(
              1e9, excess=0.02, N_c=N_c, alpha_N=alpha_N, D_c=D_c, alpha_D=alpha_D, E=E), "tokens", ("params", 1e9)),
    Claim("exponent in compute of the data that size asks for", "(6.6)", (0.54,),
          lambda path, alpha_N, alpha_D: path["params_exponent"] * alpha_N / alpha_D),
    Claim("compute where the laws contradict each other", "(6.8)", (1e4 * PF_DAY,),
          lambda crossing: crossing["compute_min_flops"], "FLOP", ("compute_min_flops", None)),
    Claim("size where the laws contradict each other", "(6.8)", (1e12,),
          lambda crossing: crossing["params"], "parameters", ("params", None)),
    Claim("data where the laws contradict each other", "(6.8)", (1e12,),
          lambda crossing: crossing["tokens"], "tokens", ("tokens", None)),
    Claim("loss where the laws contradict each other", "(6.8)", (1.7,), lambda crossing: crossing["loss"], "nats"),
    Claim("compute-optimal training stops above the converged loss by", "appendix B", (0.10,), _excess),
    Claim("compute for 0.6 times the best size", "appendix B", (1.2,),
          lambda alpha_N, alpha_S: _or_never(size_factor_cost, 0.6, alpha_N, alpha_S)),
    Claim("compute for 2.2 times the best size", "appendix B", (1.2,),
          lambda alpha_N, alpha_S: _or_never(size_factor_cost, 2.2, alpha_N, alpha_S)),
    Claim("steps for 2.2 times the best size", "appendix B", (0.55,),
          lambda alpha_N, alpha_S: _or_never(step_factor, 2.2, alpha_N, alpha_S)),
    Claim("size of efficient training over that trained to 2 % above convergence", "appendix B", (2.7,),
          lambda alpha_N, alpha_S, E=0.0: _against_nearly_converged(alpha_N, alpha_S, E)[0]),
    Claim("steps of training to 2 % above convergence over efficient ones", "appendix B", (7.7,),
          lambda alpha_N, alpha_S, E=0.0: 1 / _against_nearly_converged(alpha_N, alpha_S, E)[1]),
    Claim("compute of efficient training over that to 2 % above convergence", "appendix B", (0.35,),
          lambda alpha_N, alpha_S, E=0.0: math.prod(_against_nearly_converged(alpha_N, alpha_S, E))),
    Claim("cost of the ends of a 40-fold range of aspect ratios", "section 3.1", (0.0, 0.03),
          lambda aspect_cost: shape_range_cost(aspect_range=40.0, aspect_cost=aspect_cost)),
)
# fmt: on
"""Every claim, in the order of the paper's argument."""


class Claims(OfSystem):
    """The statements of Kaplan et al. (2020) beside what follows from a fit of their laws.

    Table ``claims``: what :func:`~bayes_scaling.claims` returns. Draws: ``value``, dims (claim, chain, draw).

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_system
    >>> Claims().answer(example_system()).sentence.splitlines()[0]
    '17 of 31 statements agree with the 90 % interval of this posterior.'
    """

    name = "claims"
    panel = "Constants"
    example = "claims system.nc --prob 0.9"
    unused = (*OfSystem.unused, "override", "furthest")
    writes = "claims"

    def _result(self, posterior: Fit) -> Answer:
        numbers = _numbers(posterior)
        table = _table(posterior, numbers, self.prob)
        agree = int((table["verdict"] == "agrees").sum())
        lines = [f"{agree} of {len(table)} statements agree with the {percent(self.prob)} interval of this posterior."]
        for (claim, _, _), row in zip(numbers, table.to_dict("records"), strict=True):
            unit = "" if claim.unit == "1" else f" {claim.unit}"
            beyond = f", {row['decades_beyond']:.1f} decades beyond the runs" if row["decades_beyond"] > 0 else ""
            exists = f", where it exists ({percent(row['defined'])} of the draws)" if row["defined"] < 1 else ""
            write = number if claim.unit in _NUMBERS else short
            published = " to ".join(write(end) for end in claim.published)
            median, lower, upper = (write(row[end]) for end in ENDS)
            lines.append(
                f"{claim.statement}, {claim.equation}: published {published}{unit}; ours {median} "
                f"({credible(self.prob, lower, upper)}){beyond}{exists}: {row['verdict']}."
            )
        values = ("claim", *SAMPLE_DIMS), np.stack([draws for _, draws, _ in numbers])
        data = xr.Dataset({"value": values}, coords={"claim": table["claim"].to_numpy()})
        return Answer("\n".join(lines), tables={"claims": table}, data=data)
