"""Writes the page on decisions, README.md beside this file: every number comes from results.json.

python -m notebooks.decisions.page
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from notebooks.decisions.draw import next_runs
from notebooks.markdown import table

HERE = Path(__file__).parent
WAYS = ("ours", "uniform", "random")
_STAGES = {1: "after the first", 2: "after the second"}


def page(results: Mapping[str, Any]) -> str:
    """Return the page."""
    parts = ["# What decisions are worth", "Each number has a 90 % interval where it stands in brackets."]
    parts += _advice(results["advice"]) + _hoffmann(results["hoffmann"])
    if "allocations" in results:
        parts += _allocations(results["allocations"])
    if "next_runs" in results:
        parts += _next_runs(results["next_runs"])
    if "live" in results:
        parts += _live(results["live"])
    parts += [
        "## To measure it again",
        "`BAYES_SCALING_MIRROR=<folder of public runs> make decisions` (an hour on two cores, and it goes on where it was stopped).",
    ]
    return "\n\n".join(parts) + "\n"


def measured() -> dict[str, Any]:
    """Return what was measured."""
    return json.loads((HERE / "results.json").read_text(encoding="utf-8"))


def _advice(results: Mapping[str, Any]) -> list[str]:
    said = {
        "params for ten times the compute": ("size, times", "5.4 (C^.73)"),
        "batch_tokens for ten times the compute": ("batch, times", "1.7 (C^.24)"),
        "steps_min for ten times the compute": ("steps, times", "1.07 (C^.03)"),
        "tokens for ten times the compute": ("data, times", "1.9 (C^.27)"),
        "data for eight times the size": ("data for 8 times the size, times (4.4)", "5"),
        "size of the early stop over that of the converged run": ("size, early stop over 2 % from convergence", "2.7"),
        "updates of the converged run over those of the early stop": (
            "updates, 2 % from convergence over early stop",
            "7.7",
        ),
        "compute the early stop saves": ("compute the early stop saves", "65 %"),
    }
    rows = []
    for name, (label, paper) in said.items():
        share = name == "compute the early stop saves"
        row = [label, paper, _plain(results["published"][name][0], share)]
        if "ladder" in results:
            row.append(_interval(results["ladder"][name], share) if name in results["ladder"] else "")
        rows.append(row)
    head = ["for ten times the compute", "the paper says", "its constants give"]
    head += ["our ladder's posterior"] if "ladder" in results else []
    return [
        "## What Kaplan et al. advise",
        "Ten times the compute, spent best by L(N, S_min) and the critical batch; the data that eight times the size need; and the large "
        "model stopped early against one trained to 2 % above convergence, for one loss (appendix B). The exponents the paper quotes for "
        "N, B, S and D are fitted on their own; its laws together give the column after.",
        table(head, rows),
    ]


def _hoffmann(results: Mapping[str, Any]) -> list[str]:
    rows, lost, near = [], [], []
    for model, found in results.items():
        at = found["allocation"]
        rows.append(
            [
                f"`{model}`",
                f"{_short(at['params'])} ({_short(at['params_lower'])} to {_short(at['params_upper'])})",
                f"{_short(at['tokens'])} ({_short(at['tokens_lower'])} to {_short(at['tokens_upper'])})",
                f"{at['median']:.3f} ({at['lower']:.3f} to {at['upper']:.3f})",
            ]
        )
        for row in found["regret"]:
            ends = f"{row['regret_lower']:.4f} to {row['regret_upper']:.4f}"
            lost.append(
                [f"`{model}`", _short(row["params"]), f"{row['regret']:.4f} ({ends})", f"{100 * row['wasted']:.0f} %"]
            )
        for row in found["near"]:
            ends = [_short(row[c]) for c in ("params_lower", "params_upper", "tokens_upper", "tokens_lower")]
            near.append([f"`{model}`", f"{100 * row['within']:g} %", *ends])
    return [
        "## 5.76e23 FLOP, asked of the runs of Hoffmann et al. (2022)",
        "Gopher spent it on 280 billion parameters, Chinchilla on 70. The 240 runs end 1.6 decades below. `chinchilla` takes its additive "
        "form for granted; `kappa`, the default, lets the form bend and the law be wrong, and is as unsure as that makes it.",
        table(["model", "size to choose (optimum)", "tokens", "loss of a new run"], rows),
        "What two sizes lose against the best, expected, and the share of the budget that buys nothing:",
        table(["model", "size", "nats lost", "budget wasted"], lost),
        "What a little loss buys: the smallest and the largest size within a share of the least mean loss, and what they read.",
        table(["model", "loss given up", "smallest", "largest", "its tokens, smallest", "its tokens, largest"], near),
    ]


def _allocations(results: Mapping[str, Any]) -> list[str]:
    rows = [
        [row["source"], row["method"], f"{100 * row['mean']:.2f} %", f"{100 * row['median']:.2f} %", f"{row['count']}"]
        for row in results["by_source"]
    ]
    rows += [
        ["all", row["method"], f"{100 * row['mean']:.2f} %", f"{100 * row['median']:.2f} %", f"{row['count']}"]
        for row in results["pooled"]
    ]
    stated = [
        [
            row["source"],
            *(f"{100 * row[name]:.2f} %" for name in ("stated", "came")),
            f"{100 * row['inside']:.0f} %",
            f"{row['count']}",
        ]
        for row in results["stated_regret"]
    ]
    chances = [[f"{row['said']:.2f}", f"{row['came']:.2f}", f"{row['count']}"] for row in results["reliability"]]
    return [
        "## Regret at budgets held out",
        "Below each cut of a ladder, every way chose a size for each larger budget that was measured at four or more sizes; the run nearest "
        "to the choice is what it would have got. Regret is by how much its loss lies above the best run of that budget.",
        table(["source", "way", "mean regret", "median", "budgets"], rows),
        "Chances of reaching a loss, said before and counted after: for every forecast, five targets around its median.",
        table(["said", "came true", "times"], chances),
        "The regret that the posterior states for the run nearest to its choice, over the best run measured at that budget, beside the "
        "regret that was measured:",
        table(["source", "mean stated", "mean measured", "90 % intervals covered", "budgets"], stated),
    ]


def _next_runs(results: Mapping[str, Any]) -> list[str]:
    at = {(row["ladder"], row["stage"], row["way"]): row for row in results["by_table"]}
    at |= {("all", row["stage"], row["way"]): row for row in results["pooled"]}
    rows = []
    for name, stage in dict.fromkeys((name, stage) for name, stage, _ in at if stage):
        of = [at[name, stage, way] for way in WAYS]
        errors = [f"{100 * row['error']:.2f} %" for row in of]
        rows.append([name, f"{100 * of[0]['spent']:.0f} %", *errors, *(f"{row['interval_score']:.3f}" for row in of)])
    paired = [
        [
            f"{'error' if row['score'] == 'error' else 'interval score'}, against {row['against']}, {_STAGES[row['stage']]}",
            f"{row['gain']:.4f} ± {row['se']:.4f}",
            f"{100 * row['better']:.0f} %",
        ]
        for row in results["paired"]
    ]
    return [
        "## The runs to train next",
        f"From {results['repetitions']} random starts of eight of the cheaper runs of each table, runs were added twice for the same money: "
        "chosen by `next-run` for a forecast of the dearest run (*ours*), for half of the money, a quarter and so on (*uniform*), or at "
        "random. After each the two dearest runs were forecast. Money is told as a share of what the dearest costs, error as the mean of "
        "the absolute log loss.",
        "![Error and interval score by money spent](images/next_runs.png)",
        table(["table", "spent", *(f"error, {way}" for way in WAYS), *(f"interval score, {way}" for way in WAYS)], rows),
        "With a quarter of the price of the dearest run ours is better than the uniform ladder on two tables and worse on two, and no "
        "better in the mean. With a twentieth its intervals are the best on the public tables, and the worst on our own ladder: "
        "eight small runs mislead every fit there, and the short runs of larger models that such a fit buys make it sure of a loss "
        "that is too high, where the longer ones of the uniform ladder leave it open. A fit that is wrong about itself is wrong about "
        "what would mend it.",
        "By how much ours is less, from the same start with the same money: mean and standard error, and the share of starts in which it is.",
        table(["", "less by", "less in"], paired),
    ]


def _live(results: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            f"its end, {row['when']}",
            f"{100 * row['inside']:.0f} % of {row['runs']}",
            f"{100 * row['error']:.2f} %",
            f"{100 * row['width']:.1f} %",
        ]
        for row in results["rows"]
    ]
    return [
        "## A run under way",
        f"Every run of {results['ladder']} was held out of a fit of the others, by quarters, and its end forecast: as that of a new run, and by "
        f"`live` from the first half of its checkpoints, twice as far. Error and width are medians of the log loss; the curve leaves "
        f"{results['effective_draws']:.0f} effective draws in the median.",
        table(["forecast of", "90 % held", "error", "width"], rows),
    ]


def _plain(value: float, share: bool) -> str:
    return f"{100 * value:.0f} %" if share else f"{value:.2f}"


def _interval(ends: Sequence[float], share: bool) -> str:
    middle, low, high = (_plain(value, share) for value in ends)
    return f"{middle} ({low} to {high})"


def _short(value: float) -> str:
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


if __name__ == "__main__":
    (HERE / "README.md").write_text(page(measured()), encoding="utf-8")
    next_runs(measured()["next_runs"])
