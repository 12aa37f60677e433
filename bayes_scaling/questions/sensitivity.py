"""What a forecast and a decision rest on: the weight of the priors and of the runs, each prior by itself, each row."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd
from pydantic import Field

from bayes_scaling.posterior.fit import Fit, scalars
from bayes_scaling.posterior.inputs import admit, input_arrays
from bayes_scaling.posterior.left_out import LeftOut, left_out, loading_at
from bayes_scaling.posterior.predict import predict_at
from bayes_scaling.posterior.residuals import flat_draws
from bayes_scaling.posterior.reweighted import LARGEST_K, mean_under, power_sensitivity
from bayes_scaling.posterior.stated import StatedPrior, stated_priors
from bayes_scaling.quantities import tokens_at, training_compute
from bayes_scaling.questions.base import Answer, OfRun
from bayes_scaling.questions.guardrails import largest
from bayes_scaling.questions.optimum import optima
from bayes_scaling.questions.picture import bars
from bayes_scaling.questions.surface import Surface, budget_ratio, splits_a_budget
from bayes_scaling.wording import coordinate, percent, short

FURTHER: Final = 10.0
"""How many times the largest run the forecast is of, unless another is asked for."""
SENSITIVE: Final = 0.05
"""Power-scaling sensitivity from which on a quantity is sensitive (Kallioinen et al. 2024)."""
CONFLICT: Final = "potential prior-data conflict"
"""Diagnosis of a quantity that is sensitive to priors and runs alike."""
PARTLY, MOSTLY = 0.2, 0.5
"""Shares of the priors in the precision of a forecast from which on it rests on them too, and on them alone."""
_MOST_DRAWS: Final = 2000
_FEWEST_DRAWS: Final = 500
_CELLS: Final = 8_000_000
"""Draws times rows times effects: of large tables fewer draws are used."""
_NAMED: Final = 3
"""Priors, and rows, that the answer names."""
_SHIFT: Final = "move of the forecast (posterior standard deviations)"


class Sensitivity(OfRun):
    """What the forecast rests on: the priors and the runs, each prior by itself, and each row.

    The forecast is the mean loss of one run: of the one that is asked for, by default of ten times the largest compute at its
    compute-optimal size or, where the law splits no budget, of ten times the largest run in the law's first input, with the
    other inputs of that run. Everything is read off the draws of the fit; nothing is sampled.

    Table ``priors``, the largest first: a row a prior, ``parameter`` and ``prior``; ``shift``, by how many of its posterior
    standard deviations the log of the forecast moves for each of the prior's standard deviations that the prior is moved up on
    the log scale (log odds where it has two bounds), and ``change``, the same as a relative change of the loss. It is the rate
    for small moves, the covariance of the forecast with the score of the prior; where prior and posterior are Normal and the
    forecast is linear it holds for any. ``raised`` and ``lowered`` are what a whole standard deviation up or down does, by
    importance weights of shape ``k_hat``. ``params_shift`` and ``params_change`` are those of the compute-optimal size of the
    run's budget, where the law splits one. The squares of the shifts add up to ``prior_share``, in the Normal approximation the
    share of the forecast's precision that the priors have.

    Table ``rows``, the largest first: ``row``, or all rows of a run that the model correlates, ``rows`` of them; ``shift`` and
    ``change`` of the forecast where they are left out, by importance weights of shape ``k_hat``; priors stay where they are stated. Above 0.7 the draws
    cannot say it: ``shift`` is missing, and a fit without the row would say it. Rows that went wrong stay set aside.

    Table ``power_scaling``: for the forecast, the compute-optimal size and every parameter, how far its distribution
    moves for each doubling of the weight of the priors, ``prior``, and of the runs, ``likelihood``: the cumulative Jensen-Shannon
    distance at powers 0.8 and 1.25 (Kallioinen, Paananen, Buerkner and Vehtari 2024); 0.05 and more is sensitive. Densities of
    priors are on the log scale, effects are integrated out of the likelihood.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> answer = Sensitivity(params=7e10, tokens=1.4e12).answer(example_fit())
    >>> answer.tables["priors"].parameter[0]
    'E'
    """

    name = "sensitivity"
    panel = "Forecast"
    example = "sensitivity fit.nc --params 7e10 --tokens 1.4e12"
    takes = ("fit",)
    guarded = False
    unused = ("prob",)
    writes = "priors"

    observation: str | None = Field(
        default=None, description="Observation whose law forecasts, where the model has several."
    )

    def _result(self, posterior: Fit) -> Answer:
        fit = _thinned(posterior)
        of = fit.for_loss(self.observation)
        labels = admit(of, self.group, self.seed)
        columns, optimum = self._run(of, labels)
        quantities = {"loss": np.log(flat_draws(predict_at(of, columns, group=labels, seed=self.seed)["expected_loss"]))}
        quantities |= optimum
        priors = stated_priors(fit)
        rows = {
            name: left_out(view, loading_at(view, columns, labels, self.seed) if name == of.model.only.name else None)
            for name, view in fit.views.items()
        }
        tables = {
            "priors": _by_prior(priors, quantities),
            "rows": _by_row(rows, quantities["loss"]),
            "power_scaling": _by_power(priors, rows, quantities | _parameters(fit)),
        }
        run = {column: float(value) for column, value in columns.items()}
        values = {**run, "log_sd": float(quantities["loss"].std())}
        values |= {"prior_share": float(np.minimum(1.0, (tables["priors"]["shift"] ** 2).sum(skipna=False)))}
        values |= {name: float(np.exp(np.median(draws))) for name, draws in optimum.items()}
        draw = partial(bars, tables={"priors": "parameter", "rows": "row"}, x="shift", xlabel=_SHIFT)
        compute = None if self.given else run.get("compute_flops")
        return Answer("\n".join(_sentences(values, tables, run)), values, tables, draw=draw, compute=compute)

    def _run(self, fit: Fit, labels: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the inputs of the run that is forecast, and the log of its compute-optimal size where the law splits budgets."""
        given = self.given
        if not splits_a_budget(fit):
            if not given:
                first, *others = fit.model.only.columns.values()
                biggest = fit.table.loc[fit.table[first].idxmax()]
                given = {first: FURTHER * float(biggest[first]), **{column: float(biggest[column]) for column in others}}
            return input_arrays(fit, given), {}
        columns: dict[str, Any] = {} if set(given) <= {"compute_flops"} else input_arrays(fit, given)
        budget = given.get("compute_flops", FURTHER * largest(fit, "compute_flops") / budget_ratio(fit))
        if columns:
            budget = float(training_compute(columns["params"], columns["tokens"]))
        optimum = optima(Surface.of(fit, labels, self.seed), np.array([budget]))[0]
        size = float(np.exp(np.median(optimum)))
        columns = columns or input_arrays(fit, {"params": size, "tokens": tokens_at(budget, size)})
        return columns, {"optimal_params": optimum}


def _thinned(fit: Fit) -> Fit:
    """Return a fit with the draws that the answer rests on."""
    cells = sum(len(rows) * (1 + sum(len(effect.labels) for effect in rows.effects)) for _, rows in fit.layout)
    most = int(np.clip(_CELLS // cells, _FEWEST_DRAWS, _MOST_DRAWS))
    return fit.thinned(-(-most // fit.posterior.sizes["chain"]))


def _parameters(fit: Fit) -> dict[str, np.ndarray]:
    """Return the logarithm of every published parameter, of each group where it varies."""
    published = [name for name in fit.model.kinds if name in fit.posterior]
    return {label: np.log(draws) for label, draws in scalars(fit.posterior[published])}


def _standard(values: np.ndarray) -> np.ndarray:
    """Return draws less their mean, in standard deviations; NaN where they do not vary."""
    with np.errstate(invalid="ignore"):
        return (values - values.mean()) / values.std()


def _by_prior(priors: list[StatedPrior], quantities: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return what moving each prior does."""
    found = []
    for stated in priors:
        score, ahead = stated.score(), _standard(quantities["loss"])
        row = {
            "parameter": stated.name,
            "prior": str(stated.prior),
            **_moved(float(score @ ahead) / len(score), quantities["loss"]),
        }
        as_it_is = stated.log_density()
        (raised, up), (lowered, down) = (mean_under(stated.log_density(by) - as_it_is, ahead) for by in (1.0, -1.0))
        row |= {"raised": raised, "lowered": lowered, "k_hat": max(up, down)}
        if "optimal_params" in quantities:
            size = quantities["optimal_params"]
            of_size = _moved(float(score @ _standard(size)) / len(score), size)
            row |= {f"params_{name}": value for name, value in of_size.items()}
        found.append(row)
    return _largest_first(pd.DataFrame(found))


def _by_row(rows: Mapping[str, LeftOut], loss: np.ndarray) -> pd.DataFrame:
    """Return what leaving each row out does."""
    found = []
    for observation, of_it in rows.items():
        for unit, label in enumerate(of_it.labels):
            mean, shape = mean_under(-of_it.log_density[:, unit], loss + of_it.moved[:, unit] - loss.mean())
            row = {"row": label, "observation": observation, "rows": int(of_it.counts[unit])}
            with np.errstate(invalid="ignore", divide="ignore"):
                found.append({**row, **_moved(float(mean / loss.std()), loss), "k_hat": shape})
    table = pd.DataFrame(found)
    return _largest_first(table if len(rows) > 1 else table.drop(columns="observation"))


def _by_power(priors: list[StatedPrior], rows: Mapping[str, LeftOut], quantities: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return how sensitive quantities are to the weight of all priors, and of all rows."""
    parts = {
        "prior": sum((stated.log_density() for stated in priors), start=np.zeros(len(priors[0].place))),
        "likelihood": sum((of_it.whole for of_it in rows.values()), start=np.zeros(len(priors[0].place))),
    }
    found = []
    for name, values in quantities.items():
        row: dict[str, Any] = {"quantity": name}
        shapes = {}
        for part, density in parts.items():
            row[part], shapes[f"{part}_k_hat"] = power_sensitivity(density, values)
        found.append({**row, **shapes, "diagnosis": _diagnosis(row["prior"], row["likelihood"])})
    return pd.DataFrame(found)


def _moved(shift: float, values: np.ndarray) -> dict[str, float]:
    """Return a move in standard deviations of a logarithm, and as a relative change of the number."""
    return {"shift": shift, "change": float(np.expm1(shift * values.std()))}


def _largest_first(table: pd.DataFrame) -> pd.DataFrame:
    return table.sort_values("shift", key=np.abs, ascending=False, kind="stable", ignore_index=True)


def _diagnosis(prior: float, likelihood: float) -> str:
    """Return what the two sensitivities together say, as ArviZ has it.

    >>> _diagnosis(0.2, 0.01)
    'potential strong prior / weak likelihood'
    """
    if not np.isfinite([prior, likelihood]).all():
        return "cannot be read off these draws"
    if prior < SENSITIVE:
        return "none"
    return CONFLICT if likelihood >= SENSITIVE else "potential strong prior / weak likelihood"


def _sentences(values: Mapping[str, Any], tables: Mapping[str, pd.DataFrame], run: Mapping[str, float]) -> list[str]:
    whole, priors, rows = tables["power_scaling"].iloc[0], tables["priors"], tables["rows"]
    place = ", ".join(coordinate(column, run[column]) for column in run)
    if not values["log_sd"]:
        return [f"The forecast, the mean loss at {place}, is the same in every draw: its sensitivity cannot be estimated."]
    conflict = "; priors and runs may pull it in different directions" if whole.diagnosis == CONFLICT else ""
    lines = [
        f"The forecast, the mean loss at {place}, rests on {_rests_on(values['prior_share'], whole.likelihood)}: the priors have "
        f"{percent(round(values['prior_share'], 2))} of its precision; power-scaling sensitivity {_two(whole.likelihood)} to the runs and "
        f"{_two(whole.prior)} to the priors ({SENSITIVE} and more is sensitive{conflict}).",
        f"The prior that moves it most is that of {_listed(priors, 'parameter', ' for one prior sd')}.",
    ]
    known = rows[rows["shift"].notna()]
    if len(known):
        lines.append(f"The row that moves it most when it is left out is {_listed(known, 'row', '')}.")
    if len(unknown := rows[~(rows["k_hat"] <= LARGEST_K)]):
        named = ", ".join(unknown.sort_values("k_hat", ascending=False)["row"].head(_NAMED))
        lines.append(
            f"What {len(unknown)} of {len(rows)} rows do cannot be read off these draws, k-hat above {LARGEST_K} ({named}"
            f"{', ...' if len(unknown) > _NAMED else ''}): fit again without them."
        )
    if "optimal_params" in values:
        top = priors.sort_values("params_shift", key=np.abs, ascending=False).iloc[0]
        lines.append(
            f"The prior that moves the compute-optimal size of this budget, {short(values['optimal_params'])} parameters, most is that of "
            f"{top.parameter}, {_signed(top.params_shift)} sd for one prior sd ({_relative(top.params_change)})."
        )
    return lines


def _listed(table: pd.DataFrame, column: str, per: str) -> str:
    """Return the first rows of a table in words: what it is, and by how much it moves the forecast."""
    first, *others = (
        (row[column], f"{_signed(row['shift'])} sd", f"({_relative(row['change'])})")
        for row in table.head(_NAMED).to_dict("records")
    )
    following = ", ".join(f"{name} {shift}" for name, shift, _ in others)
    return f"{first[0]}, {first[1]}{per} {first[2]}{f'; then {following}' if following else ''}"


def _rests_on(prior_share: float, likelihood: float) -> str:
    """Return what a forecast rests on: the priors' share in its precision, and its sensitivity to the runs.

    >>> _rests_on(0.03, 0.1), _rests_on(0.3, 0.1), _rests_on(0.8, 0.1)
    ('the runs', 'the runs and the priors', 'the priors')
    """
    if prior_share > MOSTLY:
        return "the priors"
    if likelihood < SENSITIVE:
        return "the form of the model more than on runs and priors"
    return "the runs and the priors" if prior_share > PARTLY else "the runs"


def _two(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "not known"


def _signed(value: float) -> str:
    return f"{value:+.2f}" if np.isfinite(value) else "not known"


def _relative(change: float) -> str:
    return f"{100 * change:+.2g} %" if np.isfinite(change) else "not known"
