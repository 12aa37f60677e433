"""From a model and runs to a fit: lay out, sample, draw the effects that were integrated out, check, keep."""

from __future__ import annotations

import time
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from bayes_scaling.errors import CheckpointWarning, ConflictingOptions, InvalidPin
from bayes_scaling.inference.engine import sample_posterior
from bayes_scaling.inference.settings import Settings, provenance
from bayes_scaling.model.density import LogDensity
from bayes_scaling.model.document import Model, default_model, read_model
from bayes_scaling.model.grouping import check_groups
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.pins import Pin
from bayes_scaling.model.prior_draws import prior_of
from bayes_scaling.model.tables import curves_of, rows_of, tables_of
from bayes_scaling.model.thinning import refuse_too_many
from bayes_scaling.posterior.checks import checked
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.rounding import BITS, rounded
from bayes_scaling.runs import sweeps
from bayes_scaling.runs.card import Card
from bayes_scaling.runs.catalog import runs_from
from bayes_scaling.runs.table import RunTable
from bayes_scaling.runs.to_fit import runs_to_fit

_MOST_BELOW: Final = 0.1
"""Share of the runs that may measure less than what no size and no data go below, by their noise."""


def fit(
    runs: RunTable | pd.DataFrame | str | Path,
    model: str | Path | Model | None = None,
    *,
    curves: RunTable | pd.DataFrame | str | Path | None = None,
    by: str | Sequence[str] = (),
    shared_exponents: bool = False,
    best_of: Collection[str] = (),
    pin: Mapping[str, Any] | None = None,
    discrepancy: bool = True,
    robust: bool = True,
    anyway: bool = False,
    full: bool = False,
    sampler: str = "auto",
    seed: int = 0,
    draws: int | None = None,
    tune: int = 1000,
    chains: int = 4,
    target_accept: float = 0.98,
    progress: bool | None = None,
) -> Fit:
    """Sample the posterior of a model given everything that was measured.

    Parameters
    ----------
    runs : RunTable, DataFrame, path or str
        Measured runs, or the name of a data set, whose curves come with it: see :func:`~bayes_scaling.read_runs`.
    model : str, path or Model, optional
        A shipped model's name, or a TOML document: see :func:`~bayes_scaling.read_model`. By default the shipped one
        that forecasts from what the runs have: see :func:`~bayes_scaling.model.document.default_model`.
    curves : RunTable, DataFrame, path or str, optional
        Points along the runs, where an observation is about them: see :func:`~bayes_scaling.load_curves`.
    by : str or sequence of str
        One or two columns whose labels are groups of runs, such as a schedule or a variant: the parameters of the law vary
        between them, partially pooled. See :meth:`~bayes_scaling.Model.by`.
    shared_exponents : bool
        Whether groups share their exponents.
    best_of : collection of str
        Columns that were swept, such as ``("lr", "warmup")``: the best run of each cell of runs equal in all other inputs of the
        model is fitted, without its selection bias: see :func:`~bayes_scaling.runs.sweeps.best_of`.
    pin : mapping, optional
        Parameters whose value is known from elsewhere, in the table's own units: ``{"E": 1.69}`` is taken for exact,
        ``{"E": (1.69, 0.02)}`` has a standard error. See :meth:`~bayes_scaling.Model.pinned`. The fit says where the runs
        alone put what was pinned, as far as importance sampling tells it.
    discrepancy : bool
        Whether model discrepancy is part of the model, where its document says how; without it, intervals take the form of
        the law for granted.
    robust : bool
        Whether rows that may have gone wrong have an error of their own, where the document has a prior on it: see
        :mod:`bayes_scaling.inference.outliers`.
    anyway : bool
        Whether to take the table as it stands. By default a loss that rises with size and data, or lies above that of guessing, is
        refused, and rows that repeat another to the last digit under another name are counted once.
    sampler : {"auto", "importance", "nuts"}
        ``"importance"``: adaptive importance sampling over the modes of the posterior, and an ensemble of walkers that begins at
        its draws, in numpy, some seconds; ``"nuts"``:
        Hamiltonian Monte Carlo (nutpie) on the PyMC model, started at the modes; ``"auto"``: the first where its own
        diagnostics say that it is exact enough, otherwise the second, in shorter steps or longer chains where its checks ask
        for them. The fit says which, and why.
    seed : int
        The same seed, data, model, machine and versions give the same draws.
    draws : int, optional
        Draws kept of each chain. By default 1000 of the walkers, a chain being some of them; of NUTS see
        :func:`~bayes_scaling.inference.settings.enough_draws`.
    tune, chains : int
        Draws of warm-up of each chain of NUTS, and chains.
    target_accept : float
        Acceptance rate that the step size of NUTS is tuned to; higher is slower and safer.
    progress : bool, optional
        Whether to show a progress bar; by default in a terminal and in Jupyter.

    Returns
    -------
    Fit
        Posterior, prior, sampler statistics, the rows used, the checks and the provenance. Nothing is written:
        :meth:`Fit.save` does that.

    Raises
    ------
    InvalidRuns
        If a table or a cell that the model needs is missing or bad.
    InvalidModel
        If document and runs do not go together.
    InvalidRequest
        If a sampler setting has no meaning.

    Notes
    -----
    See :mod:`bayes_scaling.inference.engine` for what was measured of both samplers.

    Examples
    --------
    >>> import bayes_scaling as bs
    >>> runs = bs.load_runs("ladder").where("series == 'size'")
    >>> fitted = fit(runs, "kaplan_n", seed=1, draws=500, progress=False)
    >>> fitted.verdict
    'The posterior passed every convergence check.'
    >>> print(bs.ask(fitted, "predict", params=1e6).sentence.splitlines()[0])
    Predicted loss of a new run: 1.1... nats/token (90 % interval 1... to 1...).
    """
    refuse_too_many(runs)
    if model is None:
        runs = runs_from(runs)
        model = default_model(runs.table)
    read = simplified(read_model(model), discrepancy=discrepancy, robust=robust)
    if by:
        runs = runs_from(runs)
        read = grouped(read, runs, by, shared_exponents=shared_exponents)
    free, read = read, read.pinned(pin or {})
    table = reduced(runs_to_fit(runs, read.needs, anyway=anyway), read, best_of)
    settings = Settings(sampler, seed, draws, tune, chains, target_accept)
    points = curves_of(table, curves) if read.of_curves else None
    facts: dict[str, Any] = (
        {"curves_origin": None if curves is None or points is None else list(points.origin)} if not read.is_one else {}
    )
    if points is not None:
        facts["curves_digest"] = points.digest
    tables = {observation.name: rows_of(observation, table, points) for observation in read.observations}
    layout = Layout.of(read, tables)
    refuse_limits_above(layout)
    warn_of_checkpoints(table, layout, stacklevel=3)
    fitted = fit_layout(layout, settings, facts | facts_of(table), table.card, full=full, progress=progress)
    if not pin or fitted.facts["sampler"] != "importance":
        return fitted.with_facts(pins={name: {"pin": str(Pin.of(name, given))} for name, given in (pin or {}).items()})
    alone = fit_layout(Layout.of(free, tables), replace(settings, sampler="importance"), {}, table.card, progress=progress)
    return fitted.with_facts(pins={name: _beside(name, Pin.of(name, given), alone) for name, given in pin.items()})


def refuse_limits_above(layout: Layout) -> None:
    """Refuse a fixed loss that no size and no data go below where more runs have gone below it than noise and bad rows explain."""
    for name, value in layout.model.fixed.items():
        kind = layout.model.kinds[name]
        for observation in layout.model.users(name):
            if observation.output != "loss" or kind.unit != "loss" or kind.moves:
                continue
            losses = layout.rows[observation.name].table["loss"]
            if (below := int((losses <= value).sum())) >= max(1, _MOST_BELOW * len(losses)):
                raise InvalidPin(
                    f"{name} is fixed at {value:g}, below which no mean loss can lie, but {below} of {len(losses)} runs measured at most that, "
                    f"the least {losses.min():g}: fix it below the losses of the runs, or let the runs estimate it."
                )


def _beside(name: str, pin: Pin, alone: Fit) -> dict[str, Any]:
    """Return a pin and what the runs alone say of the parameter: median, 90 % interval, and the quantile of the pin."""
    draws = alone.learned.get(name)
    if draws is None or not alone.converged:
        return {"pin": str(pin)}
    low, median, high = (float(draws.quantile(q)) for q in (0.05, 0.5, 0.95))
    return {"pin": str(pin), "median": median, "lower": low, "upper": high, "quantile": float((draws < pin.value).mean())}


def simplified(model: Model, *, discrepancy: bool, robust: bool) -> Model:
    """Return a model without its discrepancy, or without errors of single rows, where they are not asked for."""
    model = model if discrepancy else model.without_discrepancy()
    return model if robust else model.without_outliers()


def grouped(model: Model, runs: RunTable, by: str | Sequence[str], *, shared_exponents: bool = False) -> Model:
    """Return a model whose parameters vary by columns of runs, whose labels are checked; no column leaves it as it is."""
    columns = (by,) if isinstance(by, str) else tuple(by)
    if not columns:
        return model
    check_groups(runs.table, columns)
    return model.by(*columns, shared_exponents=shared_exponents)


def reduced(runs: RunTable, model: Model, best_of: Collection[str]) -> RunTable:
    """Return the best run of each cell of a sweep; cells are equal in what a model needs of runs. Nothing swept leaves all."""
    if not best_of:
        return runs
    if not (model.is_one and model.only.table == "runs" and model.only.output == "loss"):
        raise ConflictingOptions("best_of selects losses of runs, but the model observes something else: leave best_of out.")
    inputs = [column for column in model.needs if column != "loss"]
    if asked := [column for column in best_of if column in inputs]:
        raise ConflictingOptions(
            f"{model.only.law} depends on {', '.join(asked)} itself and uses every run: leave {asked[0]} out of best_of."
        )
    return sweeps.best_of(runs, best_of, of=inputs).runs


def facts_of(runs: RunTable) -> dict[str, Any]:
    """Return where a table came from, as a fit keeps it."""
    facts = {"runs": runs.name, "origin": list(runs.origin), "runs_digest": runs.digest}
    return facts | ({"notes": list(runs.notes)} if runs.notes else {})


def fit_table(model: Model, runs: RunTable, settings: Settings) -> Fit:
    """Sample the posterior of a model of one table, without a progress bar."""
    return fit_layout(Layout.of(model, tables_of(model, runs)), settings, facts_of(runs), runs.card, progress=False)


def fit_layout(
    layout: Layout,
    settings: Settings,
    facts: Mapping[str, Any],
    card: Card,
    *,
    full: bool = False,
    progress: bool | None = None,
) -> Fit:
    """Sample the posterior of a layout, and check it.

    Parameters
    ----------
    layout : Layout
        The model on its tables.
    settings : Settings
        How to sample.
    facts : mapping
        Where the tables came from.
    card : Card
        What they mean.
    full : bool
        Whether to keep every binary digit of the draws.
    progress : bool, optional
        As for :func:`fit`.
    """
    started = time.perf_counter()
    # The matrices are small: threads of the linear algebra would wait for each other most of the time.
    with threadpool_limits(1, "blas"):
        sampled = sample_posterior(layout, settings, progress)
        layout = sampled.layout
        prior = prior_of(layout, settings.seed)
        posterior = sampled.posterior
        posterior = posterior.assign(LogDensity(layout).draw_effects(posterior, np.random.default_rng([settings.seed, 2])))
        # Attributes say when a sampler ran: no part of what is compared.
        groups = {"posterior": posterior[[str(name) for name in prior]].load().drop_attrs(), **sampled.groups}
        if not full:
            groups = {name: draws if name == "modes" else rounded(draws) for name, draws in groups.items()}
            facts = {**facts, "significant_bits": dict(BITS)}
        groups["prior"] = prior
        seconds = time.perf_counter() - started
        return checked(Fit.of(layout, groups, {**facts, **provenance(sampled.settings, card, sampled.facts, seconds)}))


def warn_of_checkpoints(runs: RunTable, layout: Layout, *, stacklevel: int) -> None:
    """Warn of rows that are points along runs, and of a model that takes them as independent."""
    count = int(runs.table["checkpoint"].sum()) if "checkpoint" in runs.table else 0
    if count and layout.model.is_one:
        taken = (
            "the model correlates the points of each run"
            if layout.only.serial is not None
            else "the model takes their errors as independent, which they are not: intervals will be too narrow"
        )
        warnings.warn(
            f"{count} of {len(runs)} rows of {runs.name} are points along a run, before its learning rate has decayed; "
            f"{taken}. Keep only the ends of runs with the condition 'not checkpoint'.",
            CheckpointWarning,
            stacklevel=stacklevel,
        )
