"""The design of the ladder: which runs measure what. Writes `plan.csv`, one row a run; the rest is `train.py`.

python data/ladder/design.py
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import counts
from plan import Run, write_table

CONTEXT = 128
WHOLE_CORPUS = 53_301_376
"""Bytes that may be trained on, the corpus without what is held out, in whole sequences."""
BATCH = 2048
"""Tokens in a batch, where the batch is not the question."""

SIZES = {8: 2, 12: 2, 16: 2, 24: 2, 32: 2, 36: 3, 48: 3, 64: 4, 96: 4, 128: 5}
"""Width to depth along the ladder."""


def params(width: int) -> int:
    """Parameters N of a size of the ladder."""
    return counts.params(SIZES[width], width, 4 * width)


def rate(width: int, batch: int = BATCH, schedule: str = "cosine") -> float:
    """Peak learning rate, by rules found with the first two series.

    A cosine from 0.4 / width, at the batch of the ladder; a constant rate of 0.3 / width for large batches, and as the
    root of the batch for small ones, with the corner at 1800 tokens.
    """
    peak = 0.4 / width if schedule == "cosine" else 0.3 / width / (1 + 1800 / batch) ** 0.5
    return float(f"{peak:.4g}")


def run(name: str, series: str, width: int, tokens: float, *, depth: int | None = None, **given) -> dict:
    """Return a row of the plan: the recipe of the ladder, and what is given otherwise."""
    depth = depth or SIZES[width]
    batch = given.pop("batch", BATCH)
    feedforward = given.pop("feedforward", 4 * width)
    steps = max(1, round(tokens / batch))
    row = {
        "run_id": name,
        "series": series,
        "depth": depth,
        "width": width,
        "heads": max(1, width // 16),
        "feedforward": feedforward,
        "context": CONTEXT,
        "dataset_tokens": WHOLE_CORPUS,
        "batch_tokens": batch,
        "steps": steps,
        "lr": rate(width, batch, given.get("schedule", "cosine")),
        "warmup_steps": min(100, steps // 10),
        "schedule": "cosine",
        "weight_decay": 0.1,
        "points": 2,
        "patience": 0,
        "evaluated": 512,
        "noise": 0,
        "seed": 0,
    }
    return asdict(Run(**row | given))


def learning_rate() -> list[dict]:
    """Four sizes at learning rates a factor two apart: where the best one is, and how it goes with N."""
    rates = {12: (0.064, 0.032, 0.016, 0.008, 0.004), 32: (0.032, 0.016, 0.008, 0.004, 0.002)}
    rates |= {64: (0.016, 0.008, 0.004, 0.002), 128: (0.008, 0.004, 0.002)}
    tokens = {12: 2e6, 32: 2e6, 64: 2e6, 128: 1e6}
    return [
        run(f"lr-{width}-{lr}-s{seed}", "learning_rate", width, tokens[width], lr=lr, seed=seed, evaluated=1024)
        for width in rates
        for seed in ((0,) if width == 128 else (0, 1))
        for lr in rates[width]
    ]


def batch_rate() -> list[dict]:
    """One size at three batches and constant rates a factor two apart: how the best one goes with the batch."""
    rates = {
        512: (0.00208325, 0.0041665, 0.008333, 0.016666),
        4096: (0.0058925, 0.011785, 0.02357, 0.04714),
        16384: (0.0058925, 0.011785, 0.02357, 0.04714, 0.09428),
    }
    tokens = {512: 1e6, 4096: 2e6, 16384: 5e6}
    return [
        run(f"lrb-24-{batch}-{lr:.2g}", "batch_rate", 24, tokens[batch], batch=batch, schedule="constant", lr=lr)
        for batch in tokens
        for lr in rates[batch]
    ]


def size() -> list[dict]:
    """The ladder itself: every size on 12.6 million tokens, and the noise of its gradient."""
    return [run(f"size-{width}", "size", width, 3 * 2**22, noise=1) for width in reversed(SIZES)]


def compute() -> list[dict]:
    """IsoFLOP profiles: sizes that share a budget of 6 N D, each with a schedule that ends where the budget does."""
    widths = {
        2e11: (8, 12, 16, 24, 32, 36),
        6e11: (16, 24, 32, 36, 48),
        2e12: (32, 36, 48, 64),
        6e12: (48, 64, 96, 128),
    }
    return [
        run(f"iso-{budget:.0e}-{width}".replace("+", ""), "compute", width, budget / (6 * params(width)))
        for budget in widths
        for width in widths[budget]
    ]


def data() -> list[dict]:
    """Unique data held short: each size repeats a part of the corpus until its held-out loss has turned."""
    given = {"schedule": "constant", "points": 6, "patience": 3}
    return [
        run(f"data-{width}-{unique}", "data", width, 2**25, dataset_tokens=unique, **given)
        for width in (16, 24, 36, 48)
        for unique in (2**17, 2**19, 2**20, 2**22)
    ]


def batch() -> list[dict]:
    """Batches over a factor 32 at a constant learning rate: steps against examples to reach a loss, and gradient noise."""
    given = {"schedule": "constant", "points": 3, "noise": 1}
    return [
        run(f"batch-{width}-{size}", "batch", width, 1.2e6 + 600 * size, batch=size, **given)
        for width in (24, 48)
        for size in (512, 1024, 2048, 4096, 8192, 16384)
    ]


def shape() -> list[dict]:
    """Depth, width, heads and feed-forward width at two values of N."""
    small = [(1, 23, 1), (2, 16, 1), (3, 13, 1), (5, 10, 1), (8, 8, 1), (2, 16, 2), (2, 16, 4)]
    large = [(1, 62, 2), (2, 44, 2), (3, 36, 2), (8, 22, 1), (12, 18, 1), (3, 36, 1), (3, 36, 4)]
    shapes = [(d, w, h, 4) for d, w, h in small + large] + [(3, 51, 3, 1), (3, 28, 2, 8)]
    return [run(f"shape-{d}x{w}-h{h}-f{f}", "shape", w, 2**22, depth=d, heads=h, feedforward=f * w) for d, w, h, f in shapes]


def seed() -> list[dict]:
    """The same runs again with other seeds, at a small, a middle and a large size, and where data are short."""
    again = {"size-12": size(), "iso-2e12-36": compute(), "data-24-524288": data(), "schedule-36-1024": schedule()}
    chosen = [row for name, series in again.items() for row in series if row["run_id"] == name]
    return [
        row | {"run_id": f"{row['run_id']}-s{s}", "series": "seed", "seed": s, "noise": 0} for s in (1, 2) for row in chosen
    ]


def schedule() -> list[dict]:
    """Horizons of a cosine, and one long run at a constant learning rate that passes them all."""
    longest = {24: 8192, 36: 4096}
    decayed = [
        run(f"schedule-{width}-{steps}", "schedule", width, steps * BATCH)
        for width in longest
        for steps in (512, 1024, 2048, 4096)
    ]
    constant = [
        run(f"schedule-{width}-constant", "schedule", width, steps * BATCH, schedule="constant", points=4)
        for width, steps in longest.items()
    ]
    return decayed + constant


def plan() -> list[dict]:
    """Return all runs, in the order in which they are trained."""
    return [*learning_rate(), *batch_rate(), *size(), *compute(), *data(), *batch(), *shape(), *schedule(), *seed()]


def main() -> None:
    """Write the plan."""
    rows = plan()
    write_table(Path(__file__).with_name("plan.csv"), rows)
    print(f"{len(rows)} runs, {sum(Run(**row).work for row in rows):.3g} FLOP at the most")


if __name__ == "__main__":
    main()
