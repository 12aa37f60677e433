"""Variants fitted together: which is better at a budget, how many times faster, at what loss, and where they cross."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd
from pydantic import Field

from bayes_scaling.errors import (
    ConflictingOptions,
    MissingOption,
    NotLearned,
    OutOfRange,
    UnknownChoice,
    Unreachable,
    choose,
)
from bayes_scaling.model.grouping import label_of
from bayes_scaling.numerics import first_crossing
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import admit
from bayes_scaling.posterior.mixture import shared_draws, some_of
from bayes_scaling.posterior.predict import quantiles
from bayes_scaling.posterior.protocol import Posterior
from bayes_scaling.questions.base import Answer, Positive, Question, with_interval
from bayes_scaling.questions.guardrails import distance
from bayes_scaling.questions.picture import curve
from bayes_scaling.questions.resource import RESOURCES, Along, along, resource_of, spent
from bayes_scaling.questions.surface import DRAWS, budgets_of, splits_a_budget, thinned
from bayes_scaling.wording import credible, number, probability, with_unit

_GRID: Final = 121
_BEYOND: Final = 1e4
"""Speed-ups are searched between a ten-thousandth and ten thousand."""
_DECADES: Final = 6.0
"""Decades beyond the largest run within which crossings, and what a loss costs, are searched."""
_TOGETHER: Final = "all"
"""Name of the mixture among its fits."""
_RATE: Final = "tokens_per_second"
"""Column of the runs from which throughputs follow."""
_Draws = dict[str, np.ndarray]
"""Arrays whose last dimension is the draws, by name."""


class Recipes(Question):
    """The better of two variants, or many against a baseline: with what probability, and how many times faster.

    Asked of a fit whose parameters vary by a column of the runs (``fit --by COLUMN``), of a law of N and D, each variant at its
    own best size, or of one of N, D and C; or of a mixture of such fits (``weigh --by COLUMN``), whose answers stand beside
    theirs. A speed-up is how many times as much the baseline has to spend, of compute, tokens or parameters, to be as good.
    Partial pooling draws variants together as far as their runs do not tell them apart, so that the best of many is not taken
    for better than it is. Losses on different texts, or by different tokenizers, cannot be compared.

    Table ``recipes``: a row a budget and ``variant``; ``against``; what is spent; ``chance`` that the mean loss of the
    variant is less; ``chance_of_runs`` that the loss of a new run of it is below that of one of the baseline; ``chance_best`` that it is
    the best of all; ``gain``, the loss of the baseline less that of the variant; ``multiplier``, the speed-up, infinite where
    the baseline never is as good. Table ``losses``: a row a loss and variant; ``needed``, what reaches the loss;
    ``multiplier``, what the baseline needs over that. Table ``crossing``: a row a variant; ``chance`` that it and the
    baseline cross between the smallest run and six decades beyond the largest; ``ahead``, the chance that it is ahead there;
    where, with ``lower``, ``upper``, the last crossing of the draws that have one; ``chance_beyond`` that this is beyond the
    largest run, and ``beyond``, where it then is, the median. Numbers with an interval have columns
    ``_lower`` and ``_upper``. Where throughputs are known ``time_multiplier`` is the speed-up in time on the same hardware;
    with a gate ``chance_at_least`` and ``passes``. Of a mixture ``form`` is the fit, or ``all``.

    The gate is passed where one variant passes at every budget and loss; the command line exits with 1 where none does.

    Examples
    --------
    >>> recipes = Recipes(a={"group": "C4"}, b={"group": "RedPajama"}, compute=[1e22])
    >>> recipes.compute
    (1e+22,)
    """

    name = "recipes"
    panel = "Budget"
    about_budgets = True
    example = "recipes fit.nc --a group=C4 --b group=RedPajama --compute 1e22"
    takes = ("observation", "mixture")
    unused = ("group",)
    writes = "recipes"

    a: dict[str, str] = Field(default_factory=dict, description="One variant: its label in each column of groups.")
    b: dict[str, str] = Field(default_factory=dict, description="The variant to compare it with.")
    baseline: str | None = Field(
        default=None, description="Or the group that all others are compared with; labels of two columns joined by a colon."
    )
    compute: tuple[Positive, ...] = Field(default=(), description="Budget, FLOP; repeatable.")
    tokens: tuple[Positive, ...] = Field(default=(), description="Tokens, where the law is of D alone; repeatable.")
    params: tuple[Positive, ...] = Field(default=(), description="Parameters, where the law is of N alone; repeatable.")
    loss: tuple[Positive, ...] = Field(default=(), description="Loss to reach; repeatable.")
    throughput: dict[str, float] = Field(
        default_factory=dict,
        description="Tokens a second of a variant at one size, for the speed-up in time; by default from the column "
        f"{_RATE} of the runs.",
        json_schema_extra={"column": "VARIANT", "of": "NUMBER"},
    )
    at_least: float | None = Field(
        default=None, gt=0, description="Gate: the smallest acceptable speed-up, in time where throughputs are known."
    )
    sure: float = Field(default=0.9, gt=0, lt=1, description="Gate: the required probability of that speed-up.")

    def _result(self, posterior: Posterior) -> Answer:
        fits = dict(posterior.parts)
        for fit in fits.values():
            if not fit.model.group_columns:
                raise NotLearned("The model has no groups to compare: fit one by a column of the runs (fit --by COLUMN).")
        first = next(iter(fits.values()))
        column = resource_of(first)
        budgets, losses = self._points(column), np.array(self.loss)
        variants, baseline = self._variants(first)
        faster = self._faster(first, [*variants, baseline], column)
        of_draws = {form: thinned(fit, "recipes") if splits_a_budget(fit) else fit for form, fit in fits.items()}
        drawn = {form: _drawn(fit, variants, baseline, budgets, losses, self.seed) for form, fit in of_draws.items()}
        if len(fits) > 1:
            counts = shared_draws({form: posterior.weights[form] for form in fits}, DRAWS["recipes"])
            drawn[_TOGETHER] = {
                name: np.concatenate([some_of(drawn[form][name], counts[form]) for form in fits], axis=-1)
                for name in drawn[next(iter(fits))]
            }
        tables: dict[str, pd.DataFrame] = {}
        for form, draws in drawn.items():
            of_form: dict[str, Any] = {"form": form} if len(fits) > 1 else {}
            found = {
                "recipes": self._at_budgets(draws, list(variants), budgets, column, faster),
                "losses": self._at_losses(draws, list(variants), losses, column, faster, first),
                "crossing": self._crossings(draws, list(variants), column, first),
            }
            for name, rows in found.items():
                table = pd.DataFrame(
                    [of_form | {"variant": r.pop("variant"), "against": _label(baseline)} | r for r in rows]
                )
                tables[name] = pd.concat([tables[name], table], ignore_index=True) if name in tables else table
        tables = {name: table for name, table in tables.items() if len(table)}
        passed = self._passed(tables)
        draw = partial(curve, table="recipes", x=column, y="gain", band=("gain_lower", "gain_upper"))
        sentence = self._sentence(posterior, tables, column, bool(faster), passed)
        shown = draw if len(variants) == len(fits) == 1 and len(budgets) else None
        return Answer(sentence, tables=tables, draw=shown, passed=passed)

    def _points(self, column: str) -> np.ndarray:
        """Return the budgets, or refuse those of another resource."""
        given = {"compute_flops": self.compute, "tokens": self.tokens, "params": self.params}
        wrong = [name for name, values in given.items() if values and name != column]
        if wrong or not (given[column] or self.loss):
            option = column.removesuffix("_flops")
            found = f"{RESOURCES[wrong[0]]} were given" if wrong else "nothing to compare at was given"
            raise MissingOption(f"The law spends {RESOURCES[column]}, {found}: give --{option}, or a --loss to reach.")
        amounts = given[column]
        return (
            np.atleast_1d(budgets_of(list(amounts)).values) if amounts and column == "compute_flops" else np.array(amounts)
        )

    def _variants(self, fit: Fit) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
        """Return the labels of every variant by its name, and those of what they are compared with."""
        if self.baseline is None:
            if not self.a or not self.b:
                raise MissingOption("Name two variants, --a and --b, or the --baseline that all others are compared with.")
            ours, theirs = (admit(fit, labels, self.seed) for labels in (self.a, self.b))
            if ours == theirs:
                raise ConflictingOptions(f"Both recipes are {ours}: name two.")
            return {_label(ours): ours}, theirs
        if self.a or self.b:
            raise ConflictingOptions("A --baseline is compared with all other groups: leave --a and --b out.")
        groups = {_label(row): row for row in fit.groups.cells.to_dict("records")}
        if label_of(self.baseline) not in groups:
            raise UnknownChoice(f"There is no group {self.baseline!r}; {choose(self.baseline, groups)}.")
        admit(fit, groups[label_of(self.baseline)], self.seed)
        theirs = groups.pop(label_of(self.baseline))
        return groups, theirs

    def _faster(self, fit: Fit, groups: list[Any], column: str) -> dict[str, float]:
        """Return how many times the throughput of the baseline each variant has; nothing where it is not known."""
        *variants, baseline = groups
        base = _label(baseline)
        rates = self.throughput or throughputs(fit)
        if self.throughput:
            if column == "params":
                raise ConflictingOptions(
                    "The law takes N alone, from which no training time follows: leave the throughput out."
                )
            if min(rates.values()) <= 0:
                raise OutOfRange("A throughput has to be a positive number of tokens a second.")
            for name in self.throughput:
                if name not in (*variants, base):
                    raise UnknownChoice(
                        f"There is no variant {name!r} to have a throughput; {choose(name, [*variants, base])}."
                    )
            if missing := [name for name in (*variants, base) if name not in rates]:
                raise MissingOption(f"The throughput of {', '.join(missing)} is missing: give that of every variant.")
        known = column != "params" and {*variants, base} <= set(rates)
        return {name: rates[name] / rates[base] for name in variants} if known else {}

    def _multipliers(self, times: np.ndarray, faster: float | None) -> dict[str, Any]:
        """Return the columns of a speed-up, and of the gate."""
        found = _ends("multiplier", times, self.prob)
        judged = times if faster is None else times * faster
        if faster is not None:
            found |= _ends("time_multiplier", judged, self.prob)
        if self.at_least is not None:
            chance = float((judged >= self.at_least).mean())
            found |= {"chance_at_least": chance, "passes": chance >= self.sure}
        return found

    def _at_budgets(
        self, draws: _Draws, variants: list[str], budgets: np.ndarray, column: str, faster: Mapping[str, float]
    ) -> list[dict[str, Any]]:
        rows = []
        for place, budget in enumerate(budgets):
            for of, name in enumerate(variants):
                gain = draws["gain"][of, place]
                rows.append(
                    {
                        "variant": name,
                        column: float(budget),
                        "chance": float((gain > 0).mean()),
                        "chance_of_runs": float(draws["ahead"][of, place].mean()),
                        "chance_best": float((draws["gain"][:, place].argmax(axis=0) == of)[gain > 0].sum() / gain.size),
                        **with_interval("gain", np.quantile(gain, quantiles(self.prob))),
                        **self._multipliers(draws["times"][of, place], faster.get(name)),
                    }
                )
        return rows

    def _at_losses(
        self, draws: _Draws, variants: list[str], losses: np.ndarray, column: str, faster: Mapping[str, float], fit: Fit
    ) -> list[dict[str, Any]]:
        rows = []
        for place, loss in enumerate(losses):
            for of, name in enumerate(variants):
                needed = _ends("needed", draws["needed"][of, place], self.prob)
                far = float(distance(fit, column, needed["needed"])) if np.isfinite(needed["needed"]) else np.nan
                times = draws["needed_times"][of, place]
                chance = {"chance": float((times > 1).mean())}
                rows.append(
                    {"variant": name, "loss": float(loss), **needed, f"reach_{column}": far, **chance}
                    | self._multipliers(times, faster.get(name))
                )
        return rows

    def _crossings(self, draws: _Draws, variants: list[str], column: str, fit: Fit) -> list[dict[str, Any]]:
        rows = []
        for of, name in enumerate(variants):
            where = draws["where"][of]
            crosses = np.isfinite(where)
            ends = np.quantile(where[crosses], quantiles(self.prob)) if crosses.any() else np.full(3, np.nan)
            beyond = crosses & (distance(fit, column, np.where(crosses, where, 1.0)) > 0)
            chances = {"chance": float(crosses.mean()), "ahead": float(draws["ends_ahead"][of].mean())}
            rows.append({"variant": name, **chances, **dict(zip((column, "lower", "upper"), ends, strict=True))})
            rows[-1] |= {
                "chance_beyond": float(beyond.mean()),
                "beyond": float(np.median(where[beyond])) if beyond.any() else np.nan,
            }
        return rows

    def _passed(self, tables: Mapping[str, pd.DataFrame]) -> bool | None:
        """Return whether some variant passes the gate at every budget and loss; None without a gate."""
        if self.at_least is None:
            return None
        judged = pd.concat([_decisive(tables[name]) for name in ("recipes", "losses") if name in tables])
        return bool(judged.groupby("variant")["passes"].all().any())

    def _sentence(
        self, posterior: Posterior, tables: Mapping[str, pd.DataFrame], column: str, timed: bool, passed: bool | None
    ) -> str:
        lines = [posterior.sentence] if posterior.sentence else []
        of = RESOURCES[column]
        for name, place in (("recipes", column), ("losses", "loss")):
            if name not in tables:
                continue
            table = tables[name] if "form" in tables[name] else tables[name].assign(form="")
            for (form, point), rows in table.groupby(["form", place], sort=False):
                at = f"At {with_unit(point, column)}" if name == "recipes" else f"At a loss of {number(point, 4)}"
                whose = "" if not form else " by the mixture" if form == _TOGETHER else f" by {form}"
                lines.append(f"{at}, against {rows['against'].iloc[0]}{whose}:")
                best_first = rows.sort_values("multiplier", ascending=False).to_dict("records")
                lines += [self._line(row, of, column, timed) for row in best_first]
        crossings = [
            f"{row['variant']} {probability(row['chance_beyond'])}"
            + (f" (about {with_unit(row['beyond'], column)})" if row["chance_beyond"] > 0.05 else "")
            for row in _decisive(tables["crossing"]).to_dict("records")
        ]
        lines.append(
            f"Probability of a crossing beyond the largest run, within {_DECADES:g} decades of it: {', '.join(crossings)}."
        )
        if passed is not None:
            kind = "time" if timed else of
            gate = f"a speed-up of at least {self.at_least:g} in {kind} with a probability of {self.sure:g}"
            lines.append(f"{'Passed' if passed else 'NOT passed'}: {gate}.")
        return "\n".join(lines)

    def _line(self, row: Mapping[str, Any], of: str, column: str, timed: bool) -> str:
        def faster(name: str) -> str:
            lower, upper = (number(row[f"{name}_{end}"]) for end in ("lower", "upper"))
            return f"{number(row[name])} ({credible(self.prob, lower, upper)})"

        chances = f"better with a probability of {probability(row['chance'])}"
        if "chance_of_runs" in row:
            chances += f", of a new run {probability(row['chance_of_runs'])}"
        elif np.isfinite(row["needed"]):
            chances += f"; it needs {with_unit(row['needed'], column)}"
        time = f", in time {faster('time_multiplier')}" if timed else ""
        gate = (
            f"; at least {self.at_least:g} with {probability(row['chance_at_least'])}" if self.at_least is not None else ""
        )
        return f"  {row['variant']}: speed-up in {of} {faster('multiplier')}{time}; {chances}{gate}"


def throughputs(fit: Fit) -> dict[str, float]:
    """Return the tokens a second of each group at one size, from the column of the runs; nothing where they lack it.

    A rate falls with size alike in all groups: least squares on its logarithm, with a slope in the law's resource.
    """
    table = fit.table
    if _RATE not in table or not (pd.to_numeric(table[_RATE], errors="coerce") > 0).all():
        return {}
    size = table["params"] if "params" in table else table[resource_of(fit)]
    groups = np.eye(len(fit.groups.cells))[fit.groups.of_run]
    design = np.column_stack([groups, np.log(size / size.median())])
    found = np.linalg.lstsq(design, np.log(table[_RATE].to_numpy(float)), rcond=None)[0]
    return {_label(row): float(np.exp(rate)) for row, rate in zip(fit.groups.cells.to_dict("records"), found, strict=False)}


def _label(labels: Mapping[Any, str]) -> str:
    return ":".join(labels.values())


def _decisive(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that decide: those of the mixture, where there is one."""
    return table[table["form"] == _TOGETHER] if "form" in table else table


def _ends(name: str, draws: np.ndarray, prob: float) -> dict[str, Any]:
    """Return the columns of an interval of draws some of which may be infinite."""
    return with_interval(name, np.quantile(draws, quantiles(prob), method="nearest"))


def _drawn(
    fit: Fit, variants: Mapping[str, Mapping[str, str]], baseline: Mapping[str, str], budgets: Any, losses: Any, seed: int
) -> _Draws:
    """Return every draw of what is compared, of each variant, and of each budget or loss."""
    theirs, ours = along(fit, baseline, seed), [along(fit, labels, seed) for labels in variants.values()]
    at_budgets = _compared(ours, theirs, budgets) if len(budgets) else {}
    runs = spent(fit, resource_of(fit))
    grid = np.geomspace(runs.min(), runs.max() * 10**_DECADES, _GRID)
    paths = [each.expected(grid) for each in (*ours, theirs)]
    return at_budgets | _crossed(paths, grid) | (_reached(paths, grid, losses) if len(losses) else {})


def _compared(ours: list[Along], theirs: Along, budgets: np.ndarray) -> _Draws:
    """Return what a budget buys: loss gained, whether a new run is ahead, and the speed-up, (variant, budget, draw)."""
    grid = np.geomspace(budgets.min() / _BEYOND, budgets.max() * _BEYOND, _GRID)
    path, (expected, measured) = theirs.expected(grid), theirs.at(budgets)
    at = [each.at(budgets) for each in ours]
    times = [
        np.stack([np.exp(first_crossing(np.log(grid), -path, -loss)) / C for C, loss in zip(budgets, mine, strict=True)])
        for mine, _ in at
    ]
    return {
        "gain": np.stack([expected - mine for mine, _ in at]),
        "ahead": np.stack([run < measured for _, run in at]),
        "times": np.stack(times),
    }


def _reached(paths: list[np.ndarray], grid: np.ndarray, losses: np.ndarray) -> _Draws:
    """Return what reaches a loss, and what the baseline needs over that, (variant, loss, draw): below the grid its first point.

    Where neither reaches it the baseline is as good; a loss that none reaches in half of the draws, or all reach with less than the
    grid, is refused.
    """
    points = [
        np.stack([np.exp(first_crossing(np.log(grid), -path, -loss, before=np.log(grid[0]))) for loss in losses])
        for path in paths
    ]
    for place, loss in enumerate(losses):
        middle = np.array([np.quantile(each[place], 0.5, method="nearest") for each in points])
        if (middle <= grid[0] * (1 + 1e-9)).all():
            raise Unreachable(
                f"The smallest run already reaches a loss of {number(loss, 4)} with every recipe: ask for a lower loss."
            )
        if np.isinf(middle).all():
            raise Unreachable(
                f"No recipe is expected to reach a loss of {number(loss, 4)} within {_DECADES:g} decades beyond the runs: ask for a higher loss."
            )
    *needed, base = points
    with np.errstate(invalid="ignore"):
        times = [np.nan_to_num(base / mine, nan=1.0, posinf=np.inf) for mine in needed]
    return {"needed": np.stack(needed), "needed_times": np.stack(times)}


def _crossed(paths: list[np.ndarray], grid: np.ndarray) -> _Draws:
    """Return where variants last cross the baseline, not a number where they do not, and who is ahead at the end."""
    *ours, theirs = paths
    ahead = np.stack([mine < theirs for mine in ours])
    turns = ahead[:, 1:] != ahead[:, :-1]
    last = len(grid) - 2 - turns[:, ::-1].argmax(axis=1)
    where = np.where(turns.any(axis=1), np.sqrt(grid[last] * grid[last + 1]), np.nan)
    return {"where": where, "ends_ahead": ahead[:, -1]}
