"""The ladders that priors are learned from, and forecasts are counted on: public tables from the mirror, and our own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

import bayes_scaling as bs
from bayes_scaling.model.document import read_model
from bayes_scaling.runs.catalog import MIRROR
from bayes_scaling.runs.table import RunTable, read_runs


@dataclass(frozen=True)
class Ladder:
    """Runs that one person would forecast from.

    Parameters
    ----------
    name : str
        What it is called.
    source : str
        The data set.
    where : str
        Condition on its rows.
    alone : bool
        Whether it counts as a ladder of its own when priors are learned, or shares its runs with another that does.
    """

    name: str
    source: str
    where: str = ""
    alone: bool = True


_PORIAN = (
    "rw|base-longwarmup-kaplan|train",
    "rw|base-longwarmup-kaplan|val",
    "rw|base-shortwarmup-chinchilla|val",
    "rw|base-shortwarmup-kaplan|val",
    "rw|tuned-longwarmup-const|train",
    "rw|tuned-shortwarmup-const|val",
)
LADDERS = (
    Ladder("hoffmann2022", "hoffmann2022", "not outlier_besiroglu"),
    *(Ladder(f"gadre2024, {corpus}", "gadre2024", f"group == '{corpus}'") for corpus in ("C4", "RedPajama", "RefinedWeb")),
    *(Ladder(f"porian2024, {group[3:].replace('|', ', ')}", "porian2024", f"group == '{group}'") for group in _PORIAN),
    Ladder("misfitting2025, best rates", "misfitting2025", "best_lr"),
    Ladder("misfitting2025, all rates", "misfitting2025", alone=False),
    Ladder("muennighoff2023, one epoch", "muennighoff2023", "epochs <= 1.05", alone=False),
    Ladder("muennighoff2023, to four epochs", "muennighoff2023", "epochs <= 4.05"),
    Ladder("olmo_ladder2024", "olmo_ladder2024"),
    Ladder("gemstones2025, constant rate", "gemstones2025", "group == 'constant_lr'"),
    Ladder("gemstones2025, cooled down", "gemstones2025", "group == 'cooldown'"),
    Ladder("mayilvahanan2025", "mayilvahanan2025"),
    Ladder("mayilvahanan2025, The Pile", "mayilvahanan2025", "group == 'The Pile'", alone=False),
    Ladder("mayilvahanan2025, C4", "mayilvahanan2025", "group == 'C4'", alone=False),
    Ladder("mayilvahanan2025, FineWeb-Edu", "mayilvahanan2025", "group == 'FineWeb-Edu'", alone=False),
    Ladder("ladder", "ladder", "series in ['size', 'compute']"),
)
_KEPT = ("params", "tokens", "compute_flops", "loss", "loss_se", "checkpoint", *read_model("kappa").only.labels_by)


def runs_of(ladder: Ladder) -> RunTable:
    """Return the runs of a ladder: the columns a forecast takes, and those that say which rows share noise."""
    if ladder.source == "ladder":
        return bs.load_runs("ladder").where(ladder.where)
    folder = os.environ.get(MIRROR)
    if not folder:
        raise SystemExit(f"Public runs are taken from a mirror: name its folder in {MIRROR}.")
    table = pd.read_csv(Path(folder) / "tidy" / f"{ladder.source}.csv")
    table = table.query(ladder.where) if ladder.where else table
    whole = table[[column for column in dict.fromkeys(_KEPT) if column in table]].dropna(subset=["params", "tokens", "loss"])
    if "compute_flops" in whole and whole["compute_flops"].isna().any():
        whole = whole.drop(columns="compute_flops")
    return read_runs(whole.reset_index(drop=True), name=ladder.name)
