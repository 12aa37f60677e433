"""The plan and the tables: a run is a row of `plan.csv`, its result a row of `runs.csv` and some of `curves.csv`."""

from __future__ import annotations

import csv
from dataclasses import dataclass, fields
from math import cos, log2, pi
from pathlib import Path

import counts

FIRST_POINT = 8
"""Step of the first point of a curve."""


@dataclass(frozen=True)
class Run:
    """One row of the plan: everything that decides what a run measures."""

    run_id: str
    series: str
    depth: int
    width: int
    heads: int
    feedforward: int
    context: int
    dataset_tokens: int  # distinct bytes it may train on
    batch_tokens: int
    steps: int  # the horizon of the schedule, and the most it trains
    lr: float  # peak learning rate
    warmup_steps: int
    schedule: str  # cosine (to zero at the horizon) or constant
    weight_decay: float
    points: int  # of the curve, for each doubling of the steps
    patience: int  # stop when so many points bring no better loss; 0: never
    evaluated: int  # held-out sequences behind each point of the curve; the final loss takes all of them
    noise: int  # 1: measure the gradient noise scale at the points of the curve
    seed: int

    @property
    def params(self) -> int:
        """Parameters without embeddings."""
        return counts.params(self.depth, self.width, self.feedforward)

    @property
    def params_total(self) -> int:
        """Parameters with embeddings."""
        return self.params + counts.params_embedding(self.width)

    @property
    def flops_per_token(self) -> int:
        """FLOP of training for each token."""
        return counts.training_flops(self.depth, self.width, self.feedforward, self.context)

    @property
    def work(self) -> int:
        """FLOP that the run takes at the most."""
        return self.flops_per_token * self.batch_tokens * self.steps

    def lr_at(self, step: int) -> float:
        """Learning rate of a step, counted from one."""
        warm = min(1.0, step / self.warmup_steps) if self.warmup_steps else 1.0
        if self.schedule == "constant":
            return self.lr * warm
        done = max(0, step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return self.lr * warm * 0.5 * (1 + cos(pi * done))

    def curve_steps(self) -> list[int]:
        """Steps at which the curve is measured: evenly spaced in their logarithm, the last one among them."""
        count = max(0, int(log2(self.steps / FIRST_POINT) * self.points)) + 1
        grid = (round(FIRST_POINT * 2 ** (point / self.points)) for point in range(count))
        return sorted({*(step for step in grid if step <= self.steps), self.steps})

    def has_turned(self, losses: list[float]) -> bool:
        """Whether the last points of the curve, as many as the patience, brought no better loss."""
        if not self.patience or len(losses) <= self.patience:
            return False
        return min(losses[: -self.patience]) <= min(losses[-self.patience :])


def read_plan(path: Path) -> list[Run]:
    """Return the runs of a plan."""
    kinds = {field.name: {"int": int, "float": float, "str": str}[str(field.type)] for field in fields(Run)}
    return [Run(**{name: kind(row[name]) for name, kind in kinds.items()}) for row in read_table(path)]


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table, none where there is no table yet."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_table(path: Path, rows: list[dict]) -> None:
    """Write a table whole or not at all."""
    new = path.with_suffix(".new")
    with new.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    new.replace(path)
