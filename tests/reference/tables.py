"""The rows that each reference posterior is of, by plain pandas: nothing of the package.

They are read from the shipped ladder; where that holds no such runs, they are simulated with published constants, by a generator whose
numbers are the same in every version.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

LADDER = Path(__file__).parents[2] / "data" / "ladder"
ON_COMPUTE = ["iso-2e11-16", "iso-6e11-32", "iso-2e12-36", "iso-6e12-48", "size-64", "size-96", "size-128"]


def runs() -> pd.DataFrame:
    """Return the ends of all runs of the ladder."""
    return pd.read_csv(LADDER / "runs.csv")


def points() -> pd.DataFrame:
    """Return the points of all curves, with what is said of their runs."""
    said = ["run_id", "series", "params", "batch_tokens", "dataset_tokens", "schedule", "horizon_steps", "compute_flops"]
    return pd.read_csv(LADDER / "curves.csv").merge(runs()[said], on="run_id", how="left", validate="many_to_one")


def of_size() -> pd.DataFrame:
    """Return one size after another."""
    return runs().query("series == 'size'")


def of_data() -> pd.DataFrame:
    """Return one size on more and more data."""
    return runs().query("series == 'data' and width == 48")


def of_compute() -> pd.DataFrame:
    """Return about the best run of each budget."""
    return runs().loc[lambda table: table["run_id"].isin(ON_COMPUTE)]


def limited() -> pd.DataFrame:
    """Return sizes on limited data."""
    return runs().query("series == 'data'")


def ends_of_a_cosine() -> pd.DataFrame:
    """Return sizes and lengths under a cosine."""
    return runs().query("series in ['size', 'compute', 'seed'] and schedule == 'cosine'")


def seen_again() -> pd.DataFrame:
    """Return runs at a constant rate, of which some see their data many times."""
    return runs().query("series in ['data', 'schedule'] and schedule == 'constant'")


def of_schedules() -> pd.DataFrame:
    """Return runs of several schedules, the groups."""
    table = runs().query("series in ['size', 'compute', 'seed', 'schedule', 'batch']")
    return table.assign(group=table["schedule"])


def shapes() -> pd.DataFrame:
    """Return runs of several aspect ratios, sizes less than a factor exp(0.2) from the next being one."""
    table = runs().query("series == 'shape' and feedforward == 4 * width").sort_values("params", kind="stable")
    number = np.cumsum(np.diff(np.log(table["params"]), prepend=np.log(table["params"].iloc[0])) > 0.2)
    table = table.assign(size=number, aspect=table["width"] / table["depth"], head_width=table["width"] / table["heads"])
    return table[table.groupby("size")["aspect"].transform("nunique") >= 2]


def constant_curves() -> pd.DataFrame:
    """Return the points of runs at a constant rate, from twice the warm-up on."""
    return points().query("schedule == 'constant' and series in ['batch', 'schedule'] and steps >= 128")


def lowest(table: pd.DataFrame) -> pd.DataFrame:
    """Return the point of least loss of each run."""
    return table.sort_values("loss", kind="stable").groupby("run_id", sort=False).head(1)


def stopped() -> pd.DataFrame:
    """Return the lowest point of each run on limited data."""
    return lowest(points().query("series == 'data'"))


def decayed() -> pd.DataFrame:
    """Return the lowest point of each long run under a cosine."""
    chosen = points().query(
        "schedule == 'cosine' and series in ['size', 'compute', 'schedule', 'seed'] and horizon_steps >= 3000"
    )
    return lowest(chosen)


def noise_scales(where: str) -> pd.DataFrame:
    """Return gradient noise scales tr(S) / |G|^2 of four neighbouring points each: means of both, errors from their scatter."""
    rows = []
    for _, run in points().query(where).dropna(subset=["gradient_squared", "gradient_trace"]).groupby("run_id"):
        ordered = run.sort_values("steps")
        for start in range(0, len(ordered) // 4 * 4, 4):
            four = ordered.iloc[start : start + 4]
            squared, trace = four["gradient_squared"].to_numpy(), four["gradient_trace"].to_numpy()
            if squared.mean() <= 0 or trace.mean() <= 0:
                continue
            error = sum((x.std(ddof=1) / 2 / x.mean()) ** 2 for x in (squared, trace)) ** 0.5
            middle = {name: np.exp(np.log(four[name]).mean()) for name in ("loss", "steps", "tokens")}
            of_run = {name: four[name].iloc[0] for name in ("batch_tokens", "params")}
            rows.append(middle | of_run | {"noise_tokens": trace.mean() / squared.mean(), "relative_error": error})
    return pd.DataFrame(rows)


def steps_to_loss(where: str) -> pd.DataFrame:
    """Return the steps at which the runs of one size first reach losses .04 apart in the logarithm, of four batches at least."""
    table = points().query(where).sort_values("steps", kind="stable")
    log_losses = (
        np.arange(np.ceil(np.log(table["loss"].min()) / 0.04), np.floor(np.log(table["loss"].max()) / 0.04) + 1) * 0.04
    )
    rows = []
    for _, run in table.groupby("run_id"):
        y, x = np.log(run["loss"].to_numpy()), np.log(run["steps"].to_numpy())
        for level in log_losses:
            below = np.flatnonzero(y <= level)
            if not len(below) or below[0] == 0:
                continue
            k = below[0]
            at = x[k - 1] + (y[k - 1] - level) / (y[k - 1] - y[k]) * (x[k] - x[k - 1])
            rows.append((run["params"].iloc[0], run["batch_tokens"].iloc[0], np.exp(level), np.exp(at)))
    found = pd.DataFrame(rows, columns=["params", "batch_tokens", "loss", "steps"])
    batches = found.groupby(["params", "loss"])["batch_tokens"].transform("nunique")
    found = found[batches >= 4]
    return found.assign(scan=found.groupby(["params", "loss"]).ngroup())


def scans_of_batches() -> pd.DataFrame:
    """Return the steps to a series of losses at several batches, from the ladder's runs at a constant rate."""
    return steps_to_loss("series == 'batch' and schedule == 'constant' and steps >= 64")


def mixtures() -> pd.DataFrame:
    """Return simulated mixtures of 1 to 32 experts by the law of Ludziejewski et al. (2025), half of a grid, with noise of .5 %."""
    grid = np.meshgrid(np.geomspace(1e8, 2.7e9, 4), 2.0 ** np.arange(6), np.geomspace(2e9, 5.4e10, 4), indexing="ij")
    N, experts, D = (axis[np.indices(axis.shape).sum(axis=0) % 2 == 0] for axis in grid)
    x = np.log(1 / (1 / (experts - 1 + 1 / (1 / 2.0732 - 1 / 290.4521)) + 1 / 290.4521))
    size = 35.91 * np.exp(-0.2285 * x) * N ** (-0.1889 + 0.0098 * x)
    data = 35.98 * np.exp(0.5529 * x) * D ** (-0.1775 - 0.0259 * x)
    noise = 0.005 * np.random.RandomState(20261129).standard_normal(len(N))
    loss = (1.3637 + size + data) * np.exp(noise)
    return pd.DataFrame({"params": N, "params_total": N * (1 + 9 / 13 * (experts - 1)), "tokens": D, "loss": loss})


def sweeps() -> pd.DataFrame:
    """Return simulated sweeps of rate and batch in twelve cells of size and data by the law of Li et al. (2025).

    L(N, D) is that of Hoffmann et al. (2022). Best rates and batches of cells lie 10 % off the powers, levels .2 %, runs .1 %.
    """
    axes = np.geomspace(1e8, 1.6e9, 4), np.geomspace(5e9, 8e10, 3), 2.0 ** -np.arange(6.5, 12), 2.0 ** np.arange(16, 22)
    N, D, lr, B = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
    cell = np.arange(len(N)) // 36
    stream = np.random.RandomState(20261129)
    rate, batch, level = stream.standard_normal((3, 12))[:, cell] * [[0.1], [0.1], [0.002]]
    off_batch = np.log(B / (4.0 * N**-0.1 * D**0.571)) - batch
    off_rate = np.log(lr / (1.79 * N**-0.713 * D**0.307)) - rate - 0.5 * off_batch
    useful = D * np.exp(-0.15 * off_rate**2 - 0.1 * off_batch**2)
    loss = 1.69 + 406.4 * N**-0.34 + 410.7 * useful**-0.28
    loss = loss * np.exp(level + 0.001 * stream.standard_normal(len(N)))
    return pd.DataFrame({"params": N, "tokens": D, "lr": lr, "batch_tokens": B, "loss": loss, "cell": cell})


def near_best() -> pd.DataFrame:
    """Return the runs of the sweeps within one per cent of the best of their cell, and its five best within five per cent."""
    table = sweeps()
    of_cell = table.groupby("cell")["loss"]
    above = table["loss"] / of_cell.transform("min") - 1
    return table[(above <= 0.01) | ((of_cell.rank() <= 5) & (above <= 0.05))]
