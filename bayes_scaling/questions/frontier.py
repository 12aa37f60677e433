"""Compute-optimal training by L(N, S_min) and the critical batch: size, batch, steps, data and loss at a compute.

The closed form of Kaplan et al. (2020), appendix B, holds without an offset. With one, a single unknown is left: the part t
of the loss that is due to finite size. The size that reaches a loss with the least compute stops at
L = E + (1 + alpha_N/alpha_S) t, and everything else follows from t, which Newton's method finds in the logarithms.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field

from bayes_scaling.elementwise import exp, log
from bayes_scaling.errors import MissingOption
from bayes_scaling.laws.batch import critical_batch
from bayes_scaling.laws.efficient import efficient_excess
from bayes_scaling.numerics import minimise, newton
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import positive
from bayes_scaling.posterior.predict import SAMPLE_DIMS, interval
from bayes_scaling.quantities import training_compute, training_tokens
from bayes_scaling.questions.allocation import law_clause
from bayes_scaling.questions.base import ENDS, Answer, Positive
from bayes_scaling.questions.guardrails import SPENT_OVER_LEAST, distance, largest
from bayes_scaling.questions.learning_curve import LearningCurve, OfCurve, laws_of
from bayes_scaling.questions.optimum import among, choose
from bayes_scaling.questions.picture import curve as picture_of
from bayes_scaling.questions.risk import expectation
from bayes_scaling.wording import flop, number, percent, short

REACH: Final = float(np.log(100.0))
"""How far in log N from that of the law the optimum with a discrepancy is looked for, either way."""
_FINE: Final = 0.1
"""Step in log N by which its minima are told apart."""
_NARROWED: Final = 16
_LINES: Final = (
    ("params", "N", "parameters"),
    ("tokens", "D", "tokens"),
    ("batch_tokens", "B", "tokens a step"),
    ("steps", "S", "steps"),
)


def frontier(
    fit: Fit, *, compute_min: Any = None, compute: Any = None, observation: str | None = None, seed: int = 0
) -> xr.Dataset:
    """Return compute-optimal training at a compute, as draws from the posterior.

    Two answers that differ, as of :func:`~bayes_scaling.allocate`: the optimum of each draw, whose spread is its posterior
    uncertainty, and the one size to choose, of least posterior mean of the loss. Both are of what the observation of a learning curve
    expects, the law with its model discrepancy where the document has one.

    Parameters
    ----------
    fit : Fit
        A fit that has N_c, alpha_N, S_c, alpha_S, B_star and alpha_B; an offset E where the document has one.
    compute_min : float or sequence, optional
        Compute C_min, FLOP, as it would be at a batch far below the critical one.
    compute : float or sequence, optional
        Compute C, FLOP, spent at the critical batch: twice C_min. Give one of the two.
    observation : str, optional
        Observation whose losses are meant. By default the first learning curve of the document: of ``kaplan_system`` the
        ``curves``, runs at a constant rate; ``decayed`` are the ends of runs with a decayed one.
    seed : int
        Of the measurement noise, and of the discrepancy beyond the runs.

    Returns
    -------
    Dataset, dims (chain, draw, compute)
        Of the optimum of each draw ``params`` N; ``batch_tokens``, the critical batch; ``steps_min`` and ``steps``, the least
        steps and those at the critical batch; ``tokens`` D processed there; ``loss``, the expected one. Of the size to choose,
        ``chosen_params``, dims (compute), trained at the critical batch: ``law_loss``, that of the law alone;
        ``expected_loss``, with model discrepancy; ``measured_loss``, what a new run would measure. ``law_params``, the optimum
        of the law alone, and its local exponents of N, B, S, D and the loss in C, which without an offset are the same
        everywhere: ``params_exponent``, ``batch_exponent``, ``steps_exponent``, ``tokens_exponent``, ``loss_exponent``. A
        single compute has no dimension. Coordinates: ``compute_min_flops``, ``compute_flops`` and ``reach_compute_flops``,
        decades outside the runs, where these say their compute.

    Raises
    ------
    InvalidRequest
        If the fit lacks a parameter, or a compute is not a positive number.

    Warns
    -----
    NotConvergedWarning
        If the fit failed a convergence check.

    References
    ----------
    Kaplan et al. (2020), equations (1.7), (1.8) and appendix B.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_system
    >>> f"{frontier(example_system(chains=1, draws=1), compute=1e21)['params'].item():.3g}"
    '1.93e+09'
    """
    if (compute is None) == (compute_min is None):
        raise MissingOption(
            "Give either compute (FLOP at the critical batch) or compute_min (FLOP at a tiny batch), and not both."
        )
    laws, curve = laws_of(fit, observation), LearningCurve.of(fit, observation, seed)
    spent = positive("compute_flops", compute) if compute_min is None else positive("compute_min_flops", compute_min)
    spent = spent.rename(query="compute") if "query" in spent.dims else spent
    spent = spent / SPENT_OVER_LEAST if compute_min is None else spent
    of_law = efficient(spent, **laws)
    samples = next(iter(laws.values())).transpose(*SAMPLE_DIMS)

    def named(draws: np.ndarray) -> xr.DataArray:
        whole = draws.reshape(*spent.shape, *samples.shape)
        return xr.DataArray(whole, samples.coords, (*spent.dims, *SAMPLE_DIMS)).transpose(*SAMPLE_DIMS, ...)

    at = spent.values.reshape(-1, 1)
    best = np.log(of_law["params"].transpose(*spent.dims, *SAMPLE_DIMS).values.reshape(len(at), -1))
    path = of_law
    if curve.discrepancy:
        best = _best(curve.expected, at, best)
        path = of_law.assign({name: named(draws) for name, draws in _trained(curve.expected, at, np.exp(best)).items()})
    chosen = choose(curve.expected.at_critical_batch, at[:, 0], expectation, among(best))[:, None]
    judged = {"law_loss": curve.law_alone, "expected_loss": curve.expected, "measured_loss": curve}
    losses = {name: named(of_it.at_critical_batch(at, chosen)) for name, of_it in judged.items()}
    size = xr.DataArray(np.exp(chosen).reshape(spent.shape), dims=spent.dims)
    path = path.assign(losses).assign(law_params=of_law["params"], chosen_params=size)
    path = path.assign_attrs(observation=curve.observation)
    return path.assign_coords(reach_compute_flops=distance(fit, "compute_flops", path["compute_flops"]))


def _best(curve: LearningCurve, compute_min: np.ndarray, of_law: np.ndarray) -> np.ndarray:
    """Return the log of the size of least mean loss in each draw, shape (compute, draw), around that of the law."""
    count = int(np.ceil(2 * REACH / _FINE)) + 1
    ends = of_law - REACH, of_law + REACH
    return minimise(lambda x: curve.at_critical_batch(compute_min, x), *ends, grid=count, steps=_NARROWED)


def _trained(curve: LearningCurve, compute_min: np.ndarray, params: np.ndarray) -> dict[str, np.ndarray]:
    """Return the training at the critical batch of sizes that a compute is spent on."""
    law = curve.at_compute(compute_min, params)
    batch, least = curve.critical_batch(law), curve.steps_min(params, law)
    return {
        "params": params,
        "batch_tokens": batch,
        "steps_min": least,
        "steps": SPENT_OVER_LEAST * least,
        "tokens": training_tokens(SPENT_OVER_LEAST * least, batch),
        "loss": curve.measured(params, law, batch),
    }


def frontier_table(fit: Fit, path: xr.Dataset, prob: float = 0.9) -> pd.DataFrame:
    """Return what :func:`frontier` returned as the table of :class:`Frontier`, one row a compute."""
    most = largest(fit, "compute_flops") or np.nan
    columns: dict[str, Any] = {c: np.atleast_1d(path[c].values) for c in ("compute_flops", "compute_min_flops")}
    for name in path.data_vars:
        if "draw" not in path[name].dims:
            columns[str(name)] = np.atleast_1d(path[name].values)
            continue
        ends = zip(ENDS, interval(path[name], prob), strict=True)
        columns |= {f"{name}_{end}": np.atleast_1d(bound.values) for end, bound in ends}
    return pd.DataFrame(columns | {"decades_beyond": np.maximum(np.log10(columns["compute_flops"] / most), 0.0)})


def plain(**named: Any) -> tuple[xr.DataArray, dict[str, np.ndarray]]:
    """Return the first of several values as it broadcasts with the others, and all as plain arrays of one shape.

    To align labels of draws sixty times takes longer than the arithmetic.
    """
    each = xr.broadcast(*(xr.DataArray(value) for value in named.values()))
    return each[0], {name: value.values for name, value in zip(named, each, strict=True)}


def efficient(compute_min: xr.DataArray, **laws: Any) -> xr.Dataset:
    """Return compute-optimal training at a compute for given parameters of the laws: what :func:`frontier` returns."""
    like, arrays = plain(compute_min=compute_min, **laws)
    spent = arrays.pop("compute_min")

    # Without an offset the first step is exact.
    start = np.full(spent.shape, np.log(2.0))
    log_t, _ = newton(lambda log_t: efficient_excess_at(log_t, spent, **arrays), start, steps=20, tolerance=1e-13)
    path = efficient_at(log_t, **arrays)
    del path["share"], path["compute_min_flops"]
    draws = xr.Dataset({name: (like.dims, value) for name, value in path.items()}, coords=like.coords)
    at = {"compute_min_flops": compute_min, "compute_flops": SPENT_OVER_LEAST * compute_min}
    return draws.transpose(*SAMPLE_DIMS, ...).assign_coords(at)


def efficient_excess_at(log_t: Any, compute_min: Any, **laws: Any) -> tuple[Any, Any]:
    """Return the log of what compute-optimal training takes over a compute, and its slope: see :func:`efficient_at`."""
    path = efficient_at(log_t, **laws)
    return log(path["compute_min_flops"] / compute_min), -path["share"] / path["loss_exponent"]


def efficient_at(
    log_t: Any, *, N_c: Any, alpha_N: Any, S_c: Any, alpha_S: Any, B_star: Any, alpha_B: Any, E: Any = 0.0
) -> dict[str, Any]:
    """Return the compute-optimal training whose size leaves the loss t: quantities, and exponents in compute there."""
    stops = efficient_excess(alpha_N=alpha_N, alpha_S=alpha_S)
    t = exp(log_t)
    params, steps, loss = stopped_at(t, stops, N_c=N_c, alpha_N=alpha_N, S_c=S_c, alpha_S=alpha_S, E=E)
    batch = critical_batch(loss, B_star=B_star, alpha_B=alpha_B)
    share = (1 + stops) * t / loss  # of the loss that is not the offset
    of_compute = -1 / (1 / alpha_N + 1 / alpha_S + share / alpha_B)  # slope of log t in log C
    return {
        "params": params,
        "batch_tokens": batch,
        "steps_min": steps,
        "steps": SPENT_OVER_LEAST * steps,
        "tokens": training_tokens(SPENT_OVER_LEAST * steps, batch),
        "loss": loss,
        "params_exponent": -of_compute / alpha_N,
        "batch_exponent": -of_compute * share / alpha_B,
        "steps_exponent": -of_compute / alpha_S,
        "tokens_exponent": -of_compute * (share / alpha_B + 1 / alpha_S),
        "loss_exponent": -of_compute * share,
        "compute_min_flops": training_compute(params, training_tokens(steps, batch)),
        "share": share,
    }


def stopped_at(t: Any, excess: Any, *, N_c: Any, alpha_N: Any, S_c: Any, alpha_S: Any, E: Any = 0.0) -> tuple[Any, Any, Any]:
    """Return size, least steps and loss of the run whose size leaves the loss t, stopped at an excess above that, a share of t."""
    return N_c * t ** (-1 / alpha_N), S_c * (excess * t) ** (-1 / alpha_S), E + (1 + excess) * t


class Frontier(OfCurve):
    """Compute-optimal size, batch, steps, data and loss by L(N, S_min) and the critical batch.

    Of an observation of learning curves, the first of the document unless another is named: of ``kaplan_system`` the runs at
    a constant rate. The optimum is that of the law with the model discrepancy of this observation, where it has one; beyond
    the runs its sign is unknown: the optimum of a draw goes further from that of the law, and the size to choose stays near it.

    Table ``frontier``: a row a compute; ``compute_flops``, ``compute_min_flops``; ``{name}_median``, ``{name}_lower``,
    ``{name}_upper`` for each quantity of :func:`~bayes_scaling.frontier`, whose draws come with it: ``params``,
    ``batch_tokens``, ``steps_min``, ``steps``, ``tokens`` and ``loss`` of the optimum of each draw; ``law_params`` and the
    exponents of the law alone; ``law_loss``, ``expected_loss`` and ``measured_loss`` of ``chosen_params``, the one size of
    least posterior mean of the loss; and ``decades_beyond`` the largest compute measured, not a number where no row says its compute.
    Value ``observation``: whose losses they are.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_system
    >>> Frontier(compute=[1e22]).answer(example_system()).tables["frontier"]["decades_beyond"].round(1).tolist()
    [1.1]
    """

    name = "frontier"
    panel = "Training"
    example = "frontier system.nc --compute 1e21 --compute 1e23"
    writes = "frontier"

    compute: tuple[Positive, ...] = Field(
        min_length=1, description="Compute at the critical batch, FLOP; repeat for several."
    )

    def _result(self, posterior: Fit) -> Answer:
        draws = frontier(posterior, compute=list(self.compute), observation=self.observation, seed=self.seed)
        table = frontier_table(posterior, draws, self.prob)
        moved, lines = bool((draws["expected_loss"] != draws["law_loss"]).any()), []
        for row in table.to_dict("records"):
            beyond = f", {row['decades_beyond']:.2f} decades beyond the runs" if row["decades_beyond"] > 0 else ""
            lines.append(f"At {flop(row['compute_flops'])}{beyond} ({percent(self.prob)} intervals):")
            for name, symbol, unit in _LINES:
                median, lower, upper = (short(row[f"{name}_{end}"]) for end in ENDS)
                law = law_clause(row["law_params_median"], row["params_median"], "; {}") if name == "params" else ""
                lines.append(f"  {symbol:<5}{median} {unit} ({lower} to {upper}{law})")
            ends = {
                name: " to ".join(number(row[f"{name}_{end}"], 4) for end in ENDS[1:])
                for name in ("law_loss", "expected_loss", "measured_loss")
            }
            expected = f"expected {ends['expected_loss']}; the law alone" if moved else "expected, by the law alone,"
            lines.append(
                f"  loss {number(row['measured_loss_median'], 4)} {posterior.loss_unit} of a new run of {short(row['chosen_params'])} "
                f"parameters, as in {draws.attrs['observation']} ({ends['measured_loss']}; {expected} {ends['law_loss']})"
            )
        ends = ("params_lower", "params_upper")
        draw = partial(picture_of, table="frontier", x="compute_flops", y="params_median", band=ends, log="xy")
        values = {"observation": draws.attrs["observation"]}
        return Answer("\n".join(lines), values, {"frontier": table}, data=draws, draw=draw)
