"""What a column of losses measures: perplexities, scores and bits per byte by their names, scores by how they run, and remedies."""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from itertools import permutations
from statistics import NormalDist
from typing import Any, Final

import numpy as np
import pandas as pd

from bayes_scaling.errors import ImplausibleValues, NotALoss
from bayes_scaling.quantities import BY_COLUMN, LOSS_UNITS
from bayes_scaling.runs.units import unit_named
from bayes_scaling.runs.validate import as_numbers

_LOGARITHM: Final = re.compile(r"ln\(\s*(.+?)\s*\)")
_REST: Final = re.compile(r"(100|1)\s*-\s*(.+)")
_IS_LOSS: Final = {"loss", "nll", "entropy", "error", "err", "log", "ln"}
_PERPLEXITY: Final = {"ppl", "perplexity", "perplexities"}
_SCORE: Final = {"acc", "accuracy", "accuracies"}
_GUESSING: Final = {"nats/token": 12.5, "bits/token": 18.0, "bits/byte": 8.0}
"""What guessing costs among the 260,000 tokens of the largest vocabularies, or the 256 bytes."""
LEAST_GUESSING: Final = {"nats/token": 10.0, "bits/token": 14.4}
"""What guessing costs among 22,000 tokens: the vocabularies of language models are larger."""
_RESOURCES: Final = ("params", "params_total", "tokens", "dataset_tokens", "compute_flops")
_ENOUGH: Final = 2000
"""Rows by which a rise is told; of more these, drawn at random."""
_FEWEST, _ALL_PERMUTATIONS = 4, 7
_CLEARLY, _OF_A_SHARE = 1e-3, 0.05
"""p-value at which a loss rises; and where scores lie and hardly any loss, below one or above that of guessing."""
_ROUNDED: Final = 1e-3
"""By how much a loss and a score that are printed with some digits add up to something else than one."""
_ANYWAY: Final = "If it is a loss all the same, for example of repeated data: --anyway (in Python anyway=True)."


def source_of(theirs: str, columns: Container[Any]) -> tuple[str, Callable[[Any], Any] | None]:
    """Return the column that a mapping names, and what is made of it: ``ln(perplexity)``, ``1 - score`` or ``100 - score``.

    >>> name, made = source_of("1 - accuracy", ["accuracy"])
    >>> name, made(0.25)
    ('accuracy', 0.75)
    """
    if theirs in columns:
        return theirs, None
    if match := _LOGARITHM.fullmatch(theirs):
        return match[1], np.log
    if match := _REST.fullmatch(theirs):
        whole = float(match[1])
        return match[2], lambda score: whole - score
    return theirs, None


def converted(cells: pd.Series, made: Callable[[Any], Any]) -> pd.Series:
    """Return what is made of the cells that are numbers; the others stay as they are."""
    numbers = as_numbers(cells)
    with np.errstate(all="ignore"):
        return made(numbers).astype(object).where(numbers.notna(), cells)


def unit_of(theirs: str, table: pd.DataFrame | None = None) -> str | None:
    """Return the unit that the name of a column of losses, or what is made of one, states, or a score beside it in the table.

    >>> unit_of("val_bpb"), unit_of("1 - accuracy"), unit_of("val/loss")
    ('bits/byte', 'error rate', None)
    >>> unit_of("loss", pd.DataFrame({"accuracy": [0.337, 0.436], "loss": [0.663, 0.564]}))
    'error rate'
    """
    if _REST.fullmatch(theirs) or (table is not None and _is_rest_of_a_score(table)):
        return "error rate"
    unit = unit_named(theirs)
    return unit if unit in LOSS_UNITS else None


def _is_rest_of_a_score(table: pd.DataFrame) -> bool:
    """Whether a loss and a score, by its name, add up to one in every row that has both."""
    scores = [column for column in table if set(_words(str(column))) & _SCORE]
    if "loss" not in table or not scores:
        return False
    sums = table[scores].apply(as_numbers).add(as_numbers(table["loss"]), axis=0)
    return any(len(known) > 1 and (known - 1).abs().max() < _ROUNDED for known in (sums[c].dropna() for c in scores))


def remedy(theirs: str) -> str:
    """Return what a column that is no loss by its name is, and what to give for it; nothing where its name does not say so.

    >>> remedy("val_ppl")
    "'val_ppl' is a perplexity, exp(loss): give its logarithm, --columns 'loss=ln(val_ppl)'"
    >>> remedy("log_ppl")
    ''
    """
    words = set(_words(theirs))
    if words & _IS_LOSS or source_of(theirs, ())[1] is not None:
        return ""
    if words & _PERPLEXITY:
        return f"{theirs!r} is a perplexity, exp(loss): give its logarithm, --columns 'loss=ln({theirs})'"
    if words & _SCORE:
        return f"{theirs!r} is a score, not a loss: give 1 - score, --columns 'loss=1 - {theirs}'"
    return ""


def is_outcome(name: str) -> bool:
    """Whether a column measures how a run came out, by its name.

    >>> [is_outcome(name) for name in ("val/ppl", "train_loss", "accuracy", "schedule", "lossless")]
    [True, True, True, False, False]
    """
    words = _words(name)
    return bool({*words} & (_IS_LOSS - {"log", "ln"} | _PERPLEXITY | _SCORE | {"score"})) or unit_of(name) is not None


def refuse_what_is_no_loss(table: pd.DataFrame, theirs: str, unit: str, place: str) -> None:
    """Refuse runs whose loss rises with size, data and compute, or is mostly larger than that of guessing.

    A run stands above another that has no more of any resource. The ranks of the losses are correlated with the number of runs
    that a run stands above, less those that stand above it; the p-value is that of permutations, one-sided. Runs of which no
    resource is known, fewer than four, or all alike, say nothing.
    """
    losses, name = table["loss"].to_numpy(float), "loss" if theirs == "loss" else f"loss, which is {theirs},"
    middle, guessing = float(np.median(losses)), _GUESSING.get(unit, np.inf)
    varying = [column for column in _RESOURCES if column in table and table[column].min() < table[column].max()]
    counts = [column for column in varying if column != "compute_flops"] or varying
    if counts and len(table) >= _FEWEST and losses.min() < losses.max():
        some = table if len(table) <= _ENOUGH else table.sample(_ENOUGH, random_state=0)
        p = _p_of_rise(standing(some[counts].to_numpy(float)), some["loss"].rank().to_numpy())
        if p <= (_OF_A_SHARE if losses.max() < 1 or middle > guessing else _CLEARLY):
            symbols = " and ".join(dict.fromkeys(BY_COLUMN[column].symbol for column in counts))
            raise NotALoss(
                f"{place}: {name} rises with {symbols} (p = {p:.2g} for no rise), as a score does, and a loss does not: give "
                f"1 - score, --columns 'loss=1 - {theirs}'. {_ANYWAY}"
            )
    if middle > guessing:
        raise ImplausibleValues(
            f"{place}: {name} has a median of {middle:.3g} {unit}, above the {guessing:g} of random guessing. If it is a perplexity, give its "
            f"logarithm, --columns 'loss=ln({theirs})'. {_ANYWAY}"
        )


def of_guessing(table: pd.DataFrame, unit: str) -> pd.Series:
    """Return the losses of ends of runs that are as large as that of guessing, as of a run that diverged.

    >>> of_guessing(pd.DataFrame({"loss": [3.4, 11.76]}), "nats/token").to_dict()
    {1: 11.76}
    """
    ends = ~table["checkpoint"].astype(bool) if "checkpoint" in table else pd.Series(True, table.index)
    return table["loss"][ends & (table["loss"] >= LEAST_GUESSING.get(unit, np.inf))]


def _p_of_rise(standing: np.ndarray, ranks: np.ndarray) -> float:
    """Return the probability that permuted ranks rise as much with the standing: counted of a few, by the Normal limit of many."""
    place, ranks = standing - standing.mean(), ranks - ranks.mean()
    if len(ranks) <= _ALL_PERMUTATIONS:
        by_chance = np.array(list(permutations(ranks))) @ place
        return float((by_chance >= ranks @ place - 1e-9).mean())
    sd = np.sqrt((place @ place) * (ranks @ ranks) / (len(ranks) - 1))
    return NormalDist().cdf(float(-(ranks @ place) / sd)) if sd else 1.0


def standing(resources: np.ndarray) -> np.ndarray:
    """Return how many rows each stands above, less those above it: one that has no less of any resource, and more of one.

    >>> standing(np.array([[1.0, 1.0], [2.0, 1.0], [1.0, 2.0], [2.0, 2.0]])).tolist()
    [-3, 0, 0, 3]
    """
    cells, of_row, count = np.unique(resources, axis=0, return_inverse=True, return_counts=True)
    above = np.array(
        [((cells <= cell).all(axis=1) * count).sum() - ((cells >= cell).all(axis=1) * count).sum() for cell in cells]
    )
    return above[of_row.ravel()]


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z]+", name.lower())
