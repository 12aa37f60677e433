"""Draws the picture of the README: the demo's forecast, with the truth on top."""

from __future__ import annotations

from pathlib import Path

import bayes_scaling as bs


def main() -> None:
    """Fit the smaller runs of the ladder, forecast the larger ones, and save the figure beside this file."""
    runs = bs.load_runs("ladder").where("series in ['size', 'compute']")
    fit = bs.fit(runs.where("compute_flops < 1e13"), seed=1)
    figure = bs.plots.forecast(fit, held_out=runs.where("compute_flops > 1e13").table)
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=160, facecolor="white", metadata={"Software": None})


if __name__ == "__main__":
    main()
