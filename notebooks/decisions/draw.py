"""The picture of the page on decisions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bayes_scaling.report.figures import BLUE, INK, ORANGE, canvas, styled

IMAGES = Path(__file__).parent / "images"
_DRAWN = {"ours": (BLUE, "o-"), "uniform": (ORANGE, "s--"), "random": (INK, "^:")}
_SCORES = {"error": "error of the log loss", "interval_score": "interval score"}


@styled
def next_runs(results: Mapping[str, Any]) -> Path:
    """Draw error and interval score of the final forecast by money spent, a column a table, and save it beside the page."""
    names = list(dict.fromkeys(row["ladder"] for row in results["by_table"]))
    figure = canvas(2.3 * len(names), 4.4)
    grid = figure.subplots(2, len(names), sharex=True, squeeze=False)
    for column, name in enumerate(names):
        for row, (score, label) in enumerate(_SCORES.items()):
            axes = grid[row, column]
            for way, (colour, style) in _DRAWN.items():
                of = [told for told in results["by_table"] if (told["ladder"], told["way"]) == (name, way)]
                axes.plot(
                    [100 * t["spent"] for t in of], [t[score] for t in of], style, color=colour, ms=4, lw=1.2, label=way
                )
            axes.set_ylim(bottom=0)
            if row == 0:
                axes.set_title(name, fontsize=8)
            else:
                axes.set_xlabel("spent, % of the dearest run")
            if column == 0:
                axes.set_ylabel(label)
    grid[0, 0].legend(fontsize=7)
    IMAGES.mkdir(exist_ok=True)
    path = IMAGES / "next_runs.png"
    figure.savefig(path, dpi=130, facecolor="white", metadata={"Software": None})
    return path
