"""Early stopping on limited data: the earliest step at which it may pay (Kaplan et al. 2020, section 5.3), and that of the runs."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from bayes_scaling.errors import NotLearned
from bayes_scaling.laws.batch import critical_batch, minimum_steps
from bayes_scaling.laws.kaplan import kaplan_n, kaplan_nd, stopping_step
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import warn_unless_converged
from bayes_scaling.posterior.predict import SAMPLE_DIMS, growth_at, interval, with_effects
from bayes_scaling.questions.base import Answer, OfSystem
from bayes_scaling.wording import percent

_LIMITED = "kaplan_nd"
_COLUMNS = ("params", "dataset_tokens", "steps", "batch_tokens")
_NEEDS = ("N_c", "alpha_N", "D_c", "alpha_D", "S_c", "alpha_S", "B_star", "alpha_B")


def early_stopping(fit: Fit, *, prob: float = 0.9) -> pd.DataFrame:
    """Return the table ``runs`` of :class:`EarlyStopping`."""
    return _table(_bounds(fit), prob)


def _bounds(fit: Fit) -> xr.Dataset:
    """Return the adjusted steps at which each run was best, and the bounds, dims (chain, draw, run)."""
    warn_unless_converged(fit, stacklevel=4)
    limited = [o for o in fit.model.observations if o.law == _LIMITED and set(_COLUMNS) <= set(fit.rows(o.name))]
    if not limited:
        raise NotLearned(
            f"No observation of this fit has the law {_LIMITED} and rows with the columns {', '.join(_COLUMNS)}."
        )
    rows = fit.rows(limited[0].name)
    view = fit.view(limited[0].name)
    own = fit.learned | {str(n): v for n, v in view.posterior.items()}
    missing = [name for name in _NEEDS if name not in own or set(own[name].dims) != set(SAMPLE_DIMS)]
    if missing:
        raise NotLearned(f"The bound needs {', '.join(_NEEDS)}; this fit has no single value of {', '.join(missing)}.")
    of_size = {n: own[n] for n in ("N_c", "alpha_N", "E") if n in own}
    params, data, steps, batch = (xr.DataArray(rows[c].to_numpy(float), dims="run") for c in _COLUMNS)
    loss = kaplan_nd(params, data, D_c=own["D_c"], alpha_D=own["alpha_D"], **of_size)
    endless, of_steps = kaplan_n(params, **of_size), {n: own[n] for n in ("S_c", "alpha_S")}
    added = sum((effect.at_rows(view.posterior) for effect in view.layout.only.discrepancy), start=0.0)
    expected = (with_effects(each, added, growth_at(view, each)) for each in (loss, endless))
    critical = critical_batch(loss, B_star=own["B_star"], alpha_B=own["alpha_B"])
    found = {
        "stopped": minimum_steps(steps, batch, B_crit=critical),
        "bound": stopping_step(*expected, **of_steps),
        "law_bound": stopping_step(loss, endless, **of_steps),
    }
    return xr.Dataset(found, coords={"params": params, "dataset_tokens": data}).transpose(*SAMPLE_DIMS, "run")


def _table(runs: xr.Dataset, prob: float) -> pd.DataFrame:
    """Return medians and intervals, one row a run."""
    columns = {name: runs[name] for name in ("params", "dataset_tokens")}
    columns["stopped"] = runs["stopped"].median(SAMPLE_DIMS)
    columns |= dict(zip(("bound", "lower", "upper"), interval(runs["bound"], prob), strict=True))
    columns["law_bound"] = runs["law_bound"].median(SAMPLE_DIMS)
    columns["above"] = (runs["stopped"] >= runs["bound"]).mean(SAMPLE_DIMS)
    return pd.DataFrame({name: column.values for name, column in columns.items()})


def _moved(runs: xr.Dataset) -> str:
    """Return how far the discrepancy moves the bound, in words; residual noise is no part of it."""
    moves = abs(runs["bound"] / runs["law_bound"] - 1)
    furthest = float(moves.median(SAMPLE_DIMS).max())
    if not furthest:
        return "The bound is that of the law alone, of mean losses."
    return f"The model discrepancy moves the bound of a run by {percent(furthest)} at the most from that of the law alone."


class EarlyStopping(OfSystem):
    """The earliest step at which stopping on limited data may pay, compared with the best step of each run.

    The bound is equation (5.7) of Kaplan et al. (2020), of mean losses: the law with the model discrepancy of the observation
    on limited data, where it has one, the same on endless data; residual noise is no part of it. Asked of a fit of a
    system with L(N, D), L(N, S_min) and the critical batch: ``kaplan_system``, say.

    Table ``runs``: a row a run on limited data; ``params``, ``dataset_tokens``; ``stopped``, the steps at its lowest loss,
    adjusted to an endless batch (5.4), posterior median; ``bound``, ``lower``, ``upper``, the bound, steps; ``law_bound``, that
    of the law alone; ``above``, the probability that the run was best at or after it. Draws: ``stopped``, ``bound`` and
    ``law_bound``, dims (chain, draw, run).

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_system
    >>> EarlyStopping().answer(example_system()).tables["runs"].columns.tolist()
    ['params', 'dataset_tokens', 'stopped', 'bound', 'lower', 'upper', 'law_bound', 'above']
    """

    name = "early-stopping"
    panel = "Training"
    example = "early-stopping system.nc"
    unused = (*OfSystem.unused, "override", "furthest")
    writes = "runs"

    def _result(self, posterior: Fit) -> Answer:
        runs = _bounds(posterior)
        table = _table(runs, self.prob)
        sure = (1 + self.prob) / 2
        later, earlier = (int((chance >= sure).sum()) for chance in (table["above"], 1 - table["above"]))
        sentence = (
            f"Of {len(table)} runs on limited data, {later} were best after the lower bound on the stopping step and {earlier} before "
            f"it, each with a probability of {percent(sure)} or more. {_moved(runs)}"
        )
        return Answer(sentence, tables={"runs": table}, data=runs)
