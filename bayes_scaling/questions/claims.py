"""Statements of Kaplan et al. (2020), each a function of the constants it rests on, with the interval of a posterior.

The arguments of a claim are parameters of the laws; ``path``, compute-optimal training at the largest compute measured, and
``pf_day``, the same at one petaflop/s-day; and ``crossing``, where the laws contradict each other. The same function gives
the number of a posterior, of its prior, and of the constants that the paper prints.
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

from bayes_scaling.errors import NotLearned
from bayes_scaling.laws import Law
from bayes_scaling.laws.batch import critical_batch
from bayes_scaling.laws.constants import published
from bayes_scaling.laws.efficient import efficient_excess, size_factor_cost, step_factor
from bayes_scaling.laws.kaplan import data_requirement, kaplan_d, kaplan_n
from bayes_scaling.laws.shape import shape_range_cost
from bayes_scaling.numerics import bisect
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import warn_unless_converged
from bayes_scaling.posterior.predict import SAMPLE_DIMS, quantiles
from bayes_scaling.posterior.protocol import taking
from bayes_scaling.quantities import PF_DAY
from bayes_scaling.questions.base import ENDS, Answer, OfSystem
from bayes_scaling.questions.frontier import efficient, efficient_at, largest, plain
from bayes_scaling.questions.learning_curve import NEEDS
from bayes_scaling.wording import credible, number, percent, short

_NEARLY_CONVERGED: Final = 0.02
"""Excess over the converged loss that the paper lays beside efficient training (appendix B)."""
_INFORMED: Final = 0.5
"""Contraction of a number below which it is the prior's, and tells nothing of a claim."""
_SPREAD: Final = (0.05, 0.95)
"""Quantiles between which the width of a posterior, and of its prior, is taken."""
_LARGEST: Final = 1.5e9
"""Parameters of the largest model of the paper."""
_LOSSES: Final = (20.0, 0.02)
"""Loss left by finite size between which the contradiction of section 6.3 is looked for."""
_NUMBERS: Final = ("1", "nats", "FLOP")
"""Units of what is written as a number; amounts have a suffix."""
_AT_A_PF_DAY: Final = ("compute_min_flops", PF_DAY)
AGREES, DISAGREES, CANNOT_TELL = VERDICTS = ("agrees", "disagrees", "cannot tell")
_RESTS_ON: Final = {
    "path": (*NEEDS, "E"),
    "pf_day": (*NEEDS, "E"),
    "crossing": (*NEEDS, "E", "D_c", "alpha_D"),
}
"""Parameters behind the arguments of claims that are none."""


@dataclass(frozen=True)
class Claim:
    """One statement of the paper, a number as a function of parameters of the laws.

    ``published`` is the number, or the two ends of a range; of an upper limit the lower end is the least that the number can
    be. Numbers in ``region`` are equal to it for all practical purposes: by default within ten per cent, since the paper
    calls exponents of .054 and .050 an excellent agreement (below equation 6.4); ``why`` says so where it is another.
    ``records`` are the published constants that the claim rests on, later ones before earlier ones. ``place`` is the column,
    and the value of it, whose extrapolation distance counts; without a value, it is the number itself.
    """

    statement: str
    equation: str
    published: tuple[float, ...]
    value: Callable[..., Any]
    unit: str = "1"
    place: tuple[str, float | None] | None = None
    records: tuple[str, ...] = ()
    within: float = 1.1
    up_to: float | None = None
    why: str = "within 10 %"

    @property
    def region(self) -> tuple[float, float]:
        """Least and largest number that is practically equal to the published one: within a factor, or up to a limit."""
        upper = self.published[-1] * self.within if self.up_to is None else self.up_to
        return (self.published[0] if self.is_limit else self.published[0] / self.within), upper

    @property
    def is_limit(self) -> bool:
        """Whether the paper states an upper limit."""
        return self.up_to is not None

    @cached_property
    def arguments(self) -> dict[str, bool]:
        """Every argument, and whether the claim needs it."""
        return {n: p.default is p.empty for n, p in inspect.signature(self.value).parameters.items()}

    @cached_property
    def of_constants(self) -> float:
        """The number that the paper's own constants give; not a number where it publishes none that the claim rests on."""
        constants = {n: value for record in self.records for n, value in published(record).values.items()}
        one = {n: xr.DataArray([[value]], dims=SAMPLE_DIMS) for n, value in constants.items()}
        return self.of(_completed(one, PF_DAY)).item() if self.records else np.nan

    def of(self, given: Mapping[str, Any]) -> np.ndarray:
        """Return the number for what is given, which has all that it needs."""
        return np.asarray(self.value(**{name: given[name] for name in self.arguments if name in given}), float)

    def verdict(self, lower: float, upper: float, contraction: float) -> str:
        """Return how an interval lies to the region: inside, outside, or neither; ``contraction`` as :func:`claims` has it."""
        least, most = self.region
        if contraction < _INFORMED:
            return CANNOT_TELL
        return AGREES if least <= lower and upper <= most else DISAGREES if lower > most or upper < least else CANNOT_TELL


@taking("fit")
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
        ``constants_give``, what the constants that the paper prints imply; ``median``, ``lower``, ``upper``, and ``above``,
        the probability that ours is larger than what was published (than the top of a range). ``region_lower`` to
        ``region_upper`` are practically equal to what was published, for the reason in ``region``. ``verdict`` is ``agrees``
        where the interval lies inside, ``disagrees`` where it lies wholly outside, and else ``cannot tell``.
        ``prior_lower`` to ``prior_upper`` is the interval that the prior gives, and ``contraction`` 1 - (w / w_prior)^2,
        with the widths of the 90 % intervals of the logarithm: where it is less than one half, the prior says most of it,
        and the verdict is ``cannot tell``. ``decades_beyond`` is the extrapolation distance in compute or size. ``defined``
        is the share of draws for which the number exists: the interval is that of these.

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
    >>> float(row["median"].round(2)), row["published"], float(row["constants_give"].round(3)), row["verdict"]
    (0.1, '0.1', 0.101, 'agrees')
    """
    return _table(fit, _numbers(fit), prob)


@dataclass(frozen=True)
class _Told:
    """A claim, and its number in every draw of a posterior and of the prior."""

    claim: Claim
    draws: np.ndarray
    prior: np.ndarray


def _numbers(fit: Fit) -> list[_Told]:
    """Return each claim that follows from a fit."""
    warn_unless_converged(fit, stacklevel=4)
    edge = largest(fit, "compute_min_flops") or PF_DAY
    given, before = (_completed(of.learned, edge) for of in (fit, fit.at_prior()))
    learned = {name for name in fit.learned if fit.model.parameters[name].prior is not None}
    told = []
    for claim in CLAIMS:
        rests_on = {n for name in claim.arguments for n in _RESTS_ON.get(name, (name,))} & learned
        if not rests_on or not {name for name, needed in claim.arguments.items() if needed} <= set(given):
            continue
        shape = [fit.posterior.sizes[dim] for dim in SAMPLE_DIMS]
        with np.errstate(all="ignore"):  # priors reach far
            draws, prior = np.broadcast_to(claim.of(given), shape), claim.of(before)
        if not np.isnan(draws).all():
            told.append(_Told(claim, draws, prior))
    if not told:
        raise NotLearned(
            f"This fit estimates {', '.join(sorted(learned)) or 'no single parameter'}, from which no claim of the paper follows. "
            f"Fit a system such as kaplan_system."
        )
    return told


def _table(fit: Fit, told: list[_Told], prob: float) -> pd.DataFrame:
    table = pd.DataFrame([_row(each, prob, fit) for each in told])
    table.attrs["prob"] = prob
    return table


def verdict_counts(table: pd.DataFrame) -> tuple[int, ...]:
    """Return how many claims of a table have each of the three verdicts."""
    return tuple(int((table["verdict"] == verdict).sum()) for verdict in VERDICTS)


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


def _completed(parameters: Mapping[str, Any], compute_min: float) -> dict[str, Any]:
    """Return everything a claim may take: parameters of the laws, and what follows from them at a compute."""
    given = dict(parameters)
    if "E" in given and not bool((given["E"] != 0).any()):
        given.pop("E")  # the form of the paper
    if set(NEEDS) <= set(given):
        laws = {name: given[name] for name in (*NEEDS, "E") if name in given}
        with np.errstate(all="ignore"):  # priors reach far
            given["pf_day"], given["path"] = (efficient(xr.DataArray(at), **laws) for at in (PF_DAY, compute_min))
            if {"D_c", "alpha_D"} <= set(given):
                of_data = {name: given[name] for name in ("D_c", "alpha_D", "E") if name in given}
                given["crossing"] = contradiction(laws=laws, **of_data)
    return given


def _row(told: _Told, prob: float, fit: Fit) -> dict[str, Any]:
    claim, exists = told.claim, told.draws[~np.isnan(told.draws)]
    median, lower, upper = _quantiles(exists, quantiles(prob))
    _, prior_lower, prior_upper = _quantiles(told.prior, quantiles(prob))
    contraction = _contraction(exists, told.prior)
    beyond = 0.0
    if claim.place is not None:
        edge = largest(fit, claim.place[0]) or np.nan
        beyond = float(np.maximum(0.0, np.log10((claim.place[1] or median) / edge)))
    return {
        "claim": claim.statement,
        "equation": claim.equation,
        "unit": claim.unit,
        "published": " to ".join(number(value) for value in claim.published),
        "constants_give": claim.of_constants,
        "median": median,
        "lower": lower,
        "upper": upper,
        "above": float(np.mean(exists > claim.published[-1])),
        "region_lower": claim.region[0],
        "region_upper": claim.region[1],
        "region": claim.why,
        "verdict": claim.verdict(lower, upper, contraction),
        "prior_lower": prior_lower,
        "prior_upper": prior_upper,
        "contraction": contraction,
        "decades_beyond": beyond,
        "defined": exists.size / told.draws.size,
    }


def _quantiles(draws: np.ndarray, at: Any) -> np.ndarray:
    """Return quantiles of the draws that exist: where a cost is infinite, since the loss is never reached, each is a draw."""
    exists = draws[~np.isnan(draws)]
    return (
        np.quantile(exists, at, method="linear" if np.isfinite(exists).all() else "inverted_cdf")
        if exists.size
        else np.full(len(at), np.nan)
    )


def _contraction(draws: np.ndarray, prior: np.ndarray) -> float:
    """Return by how much the runs narrowed a number, 1 - (w / w_prior)^2; zero where the posterior has no end."""
    with np.errstate(all="ignore"):
        width, before = (np.diff(np.log(_quantiles(each, _SPREAD))).item() for each in (draws, prior))
    return 0.0 if not np.isfinite(width) else 1 - (width / before) ** 2 if np.isfinite(before) else 1.0


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


_T2, _T3, _B = "kaplan2020 table 2", "kaplan2020 table 3", "kaplan2020 eq 1.4"
_PATH: Final = (_T3, _B)
"""Records of the constants that compute-optimal training rests on."""
_CROSS: Final = ("kaplan2020 eq 1.2", *_PATH)
_SCALE: Final[dict[str, Any]] = {"within": 2.0, "why": "within a factor 2, by which the paper's own C_c and D_e differ"}
_ORDER: Final[dict[str, Any]] = {"within": 10.0, "why": "within an order of magnitude, as the paper says below (6.8)"}
_COST: Final[dict[str, Any]] = {"up_to": 1.22, "why": "at most 20 % more, within 10 % of that"}

# fmt: off
CLAIMS: Final = (
    Claim("exponent of size in L(N)", "(1.1)", (0.076,), lambda alpha_N: alpha_N, records=("kaplan2020 eq 1.1",)),
    Claim("exponent of data in L(D)", "(1.2)", (0.095, 0.103), lambda alpha_D: alpha_D, records=("kaplan2020 eq 1.2",)),
    Claim("exponent of steps in L(N, S_min)", "(1.6)", (0.76,), lambda alpha_S: alpha_S, records=(_T3,)),
    Claim("exponent of the critical batch", "(1.4)", (0.21,), lambda alpha_B: alpha_B, records=(_B,)),
    Claim("fall of the loss that doubles the critical batch", "section 5.1", (0.13,), lambda alpha_B: 1 - 2**-alpha_B, records=(_B,)),
    Claim("gradient noise scale over critical batch", "section 5.1", (1.0,), lambda noise_ratio: noise_ratio, within=2.0,
          why="within a factor 2, which hardly changes a batch"),
    Claim("critical batch at the convergence of the paper's largest model", "section 5.1", (1e6, 2e6),
          _batch_of_the_largest, "tokens", ("params", _LARGEST), ("kaplan2020 eq 1.1", _B), within=1.0, why="its own range"),
    Claim("exponent of the loss in compute", "(1.8)", (0.050, 0.054), lambda path: path["loss_exponent"], records=_PATH),
    Claim("exponent of size in compute", "(1.7)", (0.73,), lambda path: path["params_exponent"], records=_PATH),
    Claim("exponent of size in compute by L(N, D), each token seen once", "(1.5) against (1.7)", (0.73,),
          lambda alpha_N, alpha_D: 1 / (1 + alpha_N / alpha_D), records=(_T2,)),
    Claim("exponent of the batch in compute", "(1.7)", (0.24,), lambda path: path["batch_exponent"], records=_PATH),
    Claim("exponent of the steps in compute", "(1.7)", (0.0, 0.03), lambda path: path["steps_exponent"], records=_PATH, up_to=0.033,
          why="at most .03, within 10 %; the paper says it may be zero"),
    Claim("exponent of the data in compute", "Table 6", (0.27,), lambda path: path["tokens_exponent"], records=_PATH),
    Claim("size at one PF-day", "(6.1)", (1.3e9,), lambda pf_day: pf_day["params"], "parameters", _AT_A_PF_DAY, _PATH, **_SCALE),
    Claim("critical batch at one PF-day", "Table 6", (2.0e6,), lambda pf_day: pf_day["batch_tokens"], "tokens", _AT_A_PF_DAY, _PATH,
          **_SCALE),
    Claim("least steps at one PF-day", "Table 6", (5.4e3,), lambda pf_day: pf_day["steps_min"], "steps", _AT_A_PF_DAY, _PATH, **_SCALE),
    Claim("data at one PF-day", "Table 6", (2e10,), lambda pf_day: pf_day["tokens"], "tokens", _AT_A_PF_DAY, _PATH, **_SCALE),
    Claim("exponent of the data that size asks for", "(4.4)", (0.74,), lambda alpha_N, alpha_D: alpha_N / alpha_D, records=(_T2,)),
    Claim("data that keep a billion parameters within two per cent of endless data", "(4.4)", (5e3 * 1e9**0.74,),
          lambda N_c, alpha_N, D_c, alpha_D, E=0.0: data_requirement(
              1e9, excess=0.02, N_c=N_c, alpha_N=alpha_N, D_c=D_c, alpha_D=alpha_D, E=E), "tokens", ("params", 1e9), (_T2,), **_SCALE),
    Claim("exponent in compute of the data that size asks for", "(6.6)", (0.54,),
          lambda path, alpha_N, alpha_D: path["params_exponent"] * alpha_N / alpha_D, records=(_T2, *_PATH)),
    Claim("compute where the laws contradict each other", "(6.8)", (1e4 * PF_DAY,),
          lambda crossing: crossing["compute_min_flops"], "FLOP", ("compute_min_flops", None), _CROSS, **_ORDER),
    Claim("size where the laws contradict each other", "(6.8)", (1e12,),
          lambda crossing: crossing["params"], "parameters", ("params", None), _CROSS, **_ORDER),
    Claim("data where the laws contradict each other", "(6.8)", (1e12,),
          lambda crossing: crossing["tokens"], "tokens", ("tokens", None), _CROSS, **_ORDER),
    Claim("loss where the laws contradict each other", "(6.8)", (1.7,), lambda crossing: crossing["loss"], "nats", records=_CROSS),
    Claim("compute-optimal training stops above the converged loss by", "appendix B", (0.10,), _excess, records=(_T3,)),
    Claim("compute for 0.6 times the best size", "appendix B", (1.0, 1.2),
          lambda alpha_N, alpha_S: _or_never(size_factor_cost, 0.6, alpha_N, alpha_S), records=(_T3,), **_COST),
    Claim("compute for 2.2 times the best size", "appendix B", (1.0, 1.2),
          lambda alpha_N, alpha_S: _or_never(size_factor_cost, 2.2, alpha_N, alpha_S), records=(_T3,), **_COST),
    Claim("steps for 2.2 times the best size", "appendix B", (0.55,),
          lambda alpha_N, alpha_S: _or_never(step_factor, 2.2, alpha_N, alpha_S), records=(_T3,), within=1.08,
          why="45 % fewer, within 10 % of that"),
    Claim("size of efficient training over that trained to 2 % above convergence", "appendix B", (2.7,),
          lambda alpha_N, alpha_S, E=0.0: _against_nearly_converged(alpha_N, alpha_S, E)[0], records=(_T3,)),
    Claim("steps of training to 2 % above convergence over efficient ones", "appendix B", (7.7,),
          lambda alpha_N, alpha_S, E=0.0: 1 / _against_nearly_converged(alpha_N, alpha_S, E)[1], records=(_T3,)),
    Claim("compute of efficient training over that to 2 % above convergence", "appendix B", (0.35,),
          lambda alpha_N, alpha_S, E=0.0: math.prod(_against_nearly_converged(alpha_N, alpha_S, E)), records=(_T3,)),
    Claim("cost of the ends of a 40-fold range of aspect ratios", "section 3.1", (0.0, 0.03),
          lambda aspect_cost: shape_range_cost(aspect_range=40.0, aspect_cost=aspect_cost), up_to=0.03, why="at most 3 %"),
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
    'Of 31 statements, 20 agree with this posterior, 11 disagree, and for 0 it cannot tell. A statement ...'
    """

    name = "claims"
    panel = "Constants"
    example = "claims system.nc --prob 0.9"
    unused = (*OfSystem.unused, "override", "furthest")
    writes = "claims"

    def _result(self, posterior: Fit) -> Answer:
        told = _numbers(posterior)
        table = _table(posterior, told, self.prob)
        agree, disagree, open_ = verdict_counts(table)
        lines = [
            f"Of {len(table)} statements, {agree} agree with this posterior, {disagree} disagree, and for {open_} it cannot tell. A statement "
            f"agrees where the {percent(self.prob)} interval lies inside the range practically equal to the published number, and "
            f"disagrees where it lies outside."
        ]
        for each, row in zip(told, table.to_dict("records"), strict=True):
            claim = each.claim
            unit = "" if claim.unit == "1" else f" {claim.unit}"
            beyond = f", {row['decades_beyond']:.1f} decades beyond the runs" if row["decades_beyond"] > 0 else ""
            exists = f", where it exists ({percent(row['defined'])} of the draws)" if row["defined"] < 1 else ""
            write = number if claim.unit in _NUMBERS else short
            gives = f"; its constants give {write(row['constants_give'])}" if claim.records else ""
            median, lower, upper = (write(row[end]) for end in ENDS)
            prior, region = (
                f"{write(row[f'{what}_lower'])} to {write(row[f'{what}_upper'])}" for what in ("prior", "region")
            )
            lines.append(
                f"{claim.statement}, {claim.equation}: published {' to '.join(map(write, claim.published))}{unit}; ours {median} "
                f"({credible(self.prob, lower, upper)}){beyond}{exists}; prior {prior}{gives}: {row['verdict']}; {region} counts as equal ({claim.why})."
            )
        values = ("claim", *SAMPLE_DIMS), np.stack([each.draws for each in told])
        data = xr.Dataset({"value": values}, coords={"claim": table["claim"].to_numpy()})
        return Answer("\n".join(lines), tables={"claims": table}, data=data)
