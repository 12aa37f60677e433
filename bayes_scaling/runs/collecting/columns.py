"""Columns of a run table out of fields, and out of other columns, each by a rule that is said."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from bayes_scaling.errors import ImplausibleValues, UnknownEntry
from bayes_scaling.quantities import BY_COLUMN, training_compute
from bayes_scaling.runs.aliases import SHAPE, power_of
from bayes_scaling.runs.collecting.gathering import Gathering
from bayes_scaling.runs.collecting.sizes import MEANING, counted, sizes_in
from bayes_scaling.runs.table import compute_finding
from bayes_scaling.runs.units import PIECES, in_one_unit, known_unit, unit_named
from bayes_scaling.runs.validate import as_numbers

_WRONG: Final = 10.0
"""Factor from 6 N D above which a unit is wrong."""
_TOKENS: Final = 1.05
"""Factor between logged tokens and steps times batch from which on it is said."""


_PLAUSIBLE: Final = {"params": (1e3, 1e14), "params_total": (1e3, 1e14), "tokens": (1e4, 1e16)}
"""What a language model may have, and may have seen; numbers outside are of another unit."""


def work_out(gathered: Gathering) -> None:
    """Add the columns of a run table: fields, then what follows from others."""
    for column in (*BY_COLUMN, "epochs", "loss_se", "warmup", "seed"):
        if column == "loss" or column in gathered.runs:
            continue
        numbers = gathered.value(column)
        if numbers is not None and numbers.notna().any():
            gathered.runs[column] = numbers
    _params(gathered)
    _batch(gathered)
    _tokens(gathered)
    _refuse_other_units(gathered)
    _compute(gathered)


def _params(gathered: Gathering) -> None:
    runs, names = gathered.runs, gathered.names
    if "params" not in runs and "params_total" in runs and "params_embedding" not in runs:
        runs["params"], gathered.params_are = runs["params_total"], gathered.params_are or "total"
        gathered.rules.append("params counts all parameters, with embeddings: no other count was logged")
    elif "params" in runs or "params_total" in runs:
        if not gathered.params_are and names.one("params") not in (None, "params"):
            names.assumed.append('params without embeddings (params_are = "total" in a map, if not)')
    elif not _counted(gathered) and (sizes := sizes_in(pd.Series(runs.index, runs.index))) is not None:
        runs["params"] = sizes
        names.assumed.append(f"params = the size in the name of the run, {runs.index[0]} being {sizes.iloc[0]:.6g}")
    gathered.params_are = gathered.params_are or "non-embedding"


def _counted(gathered: Gathering) -> bool:
    """Count the parameters of the shape in the configuration of each run, where there is one."""
    parts = {part: name for part in SHAPE if (name := gathered.names.one(part)) in gathered.fields}
    if not {"depth", "width"} <= set(parts):
        return False
    shapes = gathered.fields[list(parts.values())].set_axis(list(parts), axis=1)
    table, rules, failed = counted(shapes, gathered.params_are or "non-embedding")
    if failed:
        run, reason = next(iter(failed.items()))
        raise ImplausibleValues(f"{gathered.place}: the parameters of {run} cannot be counted from its shape: {reason}")
    for column in (*table, "depth", "width", "heads"):
        cells = table[column] if column in table else shapes.get(column)
        if cells is not None:
            gathered.runs[column] = as_numbers(cells.reindex(gathered.runs.index))
    gathered.names.assumed.append(", ".join(f"{part} = {name}" for part, name in parts.items()))
    gathered.rules += rules
    return True


def _batch(gathered: Gathering) -> None:
    """Add tokens a step: sequences a step times tokens a sequence."""
    sequences, length, repeat = (gathered.value(part) for part in ("batch", "length", "repeat"))
    if "batch_tokens" in gathered.runs or sequences is None or length is None:
        return
    gathered.runs["batch_tokens"] = sequences * length * (1.0 if repeat is None else repeat)
    fields = gathered.names.fields
    parts = [
        part
        for column in ("batch", "length", "repeat")
        if column in gathered.names
        for part in fields.get(column, (column,))
    ]
    gathered.names.assumed.append(f"batch_tokens = {' x '.join(parts)}")


def _tokens(gathered: Gathering) -> None:
    """Add the tokens that were seen, every pass over the data counted."""
    runs, rules = gathered.runs, gathered.rules
    of_steps = runs["steps"] * runs["batch_tokens"] if {"steps", "batch_tokens"} <= set(runs) else None
    if "tokens" in runs and runs["tokens"].notna().all():
        ratio = 1.0 if of_steps is None else float(np.exp(np.abs(np.log(of_steps / runs["tokens"])).median()))
        if ratio > _TOKENS:
            rules.append(f"tokens are as logged, a factor {ratio:.3g} from steps x batch_tokens")
    elif of_steps is not None and of_steps.notna().any():
        runs["tokens"] = of_steps if "tokens" not in runs else runs["tokens"].fillna(of_steps)
        rules.append("tokens = steps x batch_tokens")
    elif {"epochs", "dataset_tokens"} <= set(runs):
        runs["tokens"] = runs["epochs"] * runs["dataset_tokens"]
        rules.append("tokens = epochs x dataset_tokens, every pass counted")
    if {"tokens", "epochs"} <= set(runs) and "dataset_tokens" not in runs and (runs["epochs"] > 1).any():
        runs["dataset_tokens"] = runs["tokens"] / runs["epochs"].clip(lower=1.0)
        rules.append("dataset_tokens = tokens / epochs: data are repeated, which a law of repeated data takes into account")
    curves = gathered.curves
    if "steps" in curves and "tokens" not in curves and "batch_tokens" in runs:
        batch = runs["batch_tokens"][~runs.index.duplicated()]
        gathered.curves = curves.assign(tokens=curves["steps"] * curves["run_id"].map(batch))


def _refuse_other_units(gathered: Gathering) -> None:
    """Refuse sizes and data that no language model has: they were written in millions or billions."""
    for column, (least, most) in _PLAUSIBLE.items():
        if column not in gathered.runs:
            continue
        low, high = gathered.runs[column].min(), gathered.runs[column].max()
        if high < least or low > most:
            source = gathered.names.one(column) or column
            unit = "(M)" if column != "tokens" else "(B)"
            named = column if source == column else f"{column}, which is {source},"
            span = f"is {low:.4g}" if low == high else f"goes from {low:.4g} to {high:.4g}"
            raise ImplausibleValues(
                f"{gathered.place}: {named} {span}, which no language model has: check its unit; a column named '{column} {unit}' is in units of {power_of(unit):g}."
            )


def _compute(gathered: Gathering) -> None:
    """Hold compute against 6 N D, in both directions."""
    runs = gathered.runs
    if not {"compute_flops", "params", "tokens"} <= set(runs):
        return
    source = gathered.names.one("compute_flops") or "compute_flops"
    amounts = runs["compute_flops"]
    without = ~(np.isfinite(amounts) & (amounts > 0))
    if without.any():
        run, rows = amounts.index[without][0], f"{without.sum()} of {len(runs)} rows"
        gathered.rules.append(
            f"{source} is left out, since it is not a positive number in {rows} ({run}: {amounts[without].iloc[0]:g}): C is 6 N D"
        )
        del runs["compute_flops"]
        return
    counts = [runs[column] for column in ("params", "params_total") if column in runs]
    ratios = [(np.log(amounts) - np.log(training_compute(count, runs["tokens"]))).median() for count in counts]
    ratio = float(np.exp(min(ratios, key=abs)))
    away = max(ratio, 1 / ratio)
    if away > _WRONG:
        power = 10.0 ** (3 * round(-np.log10(ratio) / 3))
        fits = power > 1 and max(ratio * power, 1 / (ratio * power)) < 2
        hint = f"name it '{source} (1e{round(np.log10(power))})' if it is in units of {power:g}, or give" if fits else "give"
        raise ImplausibleValues(
            f"{gathered.place}: {source} is a factor {away:.3g} {'above' if ratio > 1 else 'below'} 6 N D: {hint} FLOP, or the right params "
            f"and tokens."
        )
    if said := compute_finding(runs):
        gathered.rules.append(said)


def convert_loss(gathered: Gathering) -> None:
    """Bring the losses to one unit: as the map or a column says, or the name of the field."""
    runs, names = gathered.runs, gathered.names
    theirs = names.one("loss") or "loss"
    by_run = names.one("loss_unit")
    if stated := names.settings.get("loss_unit"):
        units = pd.Series(known_unit(stated, "The map"), runs.index)
    elif by_run in gathered.fields:
        units = gathered.fields[by_run].reindex(runs.index).map(lambda text: known_unit(str(text), gathered.place))
    elif theirs.startswith(("1", "100")) and "-" in theirs and theirs not in gathered.logged.fields:
        units = pd.Series("error rate", runs.index)
    else:
        made = theirs not in gathered.logged.fields
        units = pd.Series("nats/token" if made else unit_named(theirs) or "nats/token", runs.index)
    pieces = {piece: numbers for piece in PIECES if (numbers := gathered.value(piece)) is not None}
    runs["loss"], gathered.unit, rules = in_one_unit(runs["loss"], units, pieces, gathered.place)
    gathered.rules += rules
    names.assumed = [
        *(line for line in names.assumed if not line.startswith("loss = ")),
        f"loss = {theirs}; {gathered.unit}",
    ]
    curves = gathered.curves
    if len(curves):
        once = ~runs.index.duplicated()
        along = {piece: curves["run_id"].map(numbers[once]) for piece, numbers in pieces.items()}
        of_points = curves["run_id"].map(units[once])
        gathered.curves = curves.assign(loss=in_one_unit(curves["loss"], of_points, along, gathered.place)[0])


def known_meaning(params_are: str) -> str:
    """Return what a map says that params counts, or refuse it."""
    if params_are not in ("", *MEANING):
        raise UnknownEntry(f"params_are is {params_are!r}: it has to be one of {', '.join(MEANING)}.")
    return params_are
