"""Write docs/about/reference-posteriors.md from what is stored: ``python -m tests.reference.page``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.reference.posteriors import NAMES, by_stan, info, results

PAGE = Path(__file__).parents[2] / "docs" / "about" / "reference-posteriors.md"
WITHIN = {"mean": 0.05, "sd": 0.1, "quantile": 0.15}
"""How far a sampler may be: of a mean and of 5 and 95 % quantiles, in standard deviations, and of those themselves."""
HEAD = """# Reference posteriors

Posteriors of the shipped documents on the shipped ladder, sampled by programs that share nothing with this one: models of
[NumPyro](https://num.pyro.ai) and of [Stan](https://mc-stan.org) written from the equations of the papers, which read the table
with pandas and the numbers of the priors from the document. The ladder has no mixtures of experts and no sweeps of rate and batch
together: the rows of `moe` and `best_rate` are simulated. Draws and summaries are stored in the form of [posteriordb](https://github.com/stan-dev/posteriordb) under `tests/reference/posteriors`; `make_reference.py` and `make_stan.py` beside
them make them anew, `measure.py` compares, and this page is written from what is stored.

All numbers are of the logarithm of an unknown, in standard deviations of the reference. Of each document the unknown is shown that is
furthest off; empty cells were not measured. *auto* is the sampler of `fit`, four seeds together, 16,000 draws (of `chinchilla_by_group`, `kappa_by_group_forecast`, `offset_n`, `saturating_d` and the three of `kaplan_system` more); *NUTS* is `sampler="nuts"` on the PyMC model, 16,000 draws.
"""
FOOT = """
## What it says

Both samplers agree with NumPyro on every document that is measured above, and Stan, which was run on two, agrees too: no document (it
would be in **bold**) is beyond .05 standard deviations of a mean, .1 of a standard deviation, or .15 of a quantile. Of
`kaplan_system_offset`, 32,000 draws in place of 48,000 were .050 off in a mean: NUTS mixes slowly there, and so much is chance. `kaplan_system_forecast` and
`kappa_by_group_forecast` are not measured with four seeds, which take more than an hour of a core each. The log density of the first is that of
NumPyro's model. One fit of the second, 32,000 draws of *auto*, is within .03 of every mean, .02 of every standard deviation and .08 of every
quantile; with a coarser basis of walks (`tolerance` .03; now .01) the scale of its discrepancy along D was .075 off, since the variance of a
row near the origin was .025 in place of .031 of the squared scale. The standard
deviation of E of `best_rate`, which has a long lower tail, is .93 to .94 of the reference's by *auto*, with other seeds and 128,000 draws, too;
by NUTS it is .98. Single fits scatter: the means of their 4,000 draws by some .03 standard deviations, their 5 and 95 %
quantiles by .05 to .1.

A reference can be wrong, too: the first one of `offset_d` had 349 divergences in 40,000 draws, and put the standard deviation of E a
tenth higher than all others; sampled by the sum of its two terms and their ratio it has none, and agrees. That of `repeated_penalty`, of
40,000 draws, put the 5 % quantile of kappa, which has a long tail, .07 standard deviations too low; of 160,000 it is that of *auto*. The
first of `kaplan_system_forecast` had 466 divergences in 64,000 draws: by coordinates that the rows know, and with Newton's method for the
learning curve begun near its root, as from afar it did not converge where alpha_S is above 1.5, it has 37.

Importance sampling alone, which *auto* was at first, missed long thin tails, as where a term of the law may vanish: standard deviations were
.71 (`shape`), .75 (`repeated_penalty`) and .89 (`kappa`) of these, and neither the Pareto k-hat of the weights nor their effective size told
of it, as they cannot of what was never drawn. Therefore walkers begin at the weighted draws and go on until they have forgotten them.
"""


def worst(rows: dict[str, Any]) -> dict[str, float]:
    """Return the largest difference over unknowns: of means, of standard deviations, and of quantiles."""
    found = {
        "mean": max((row["mean"] for row in rows.values()), key=abs),
        "sd": max((row["sd"] for row in rows.values()), key=lambda ratio: abs(ratio - 1)),
        "quantile": max((row[q] for row in rows.values() for q in ("q5", "q95")), key=abs),
    }
    return {name: float(value) for name, value in found.items()}


def falls_short(rows: dict[str, Any]) -> bool:
    """Return whether a sampler is further off than it may be."""
    off = worst(rows)
    return (
        abs(off["mean"]) > WITHIN["mean"] or abs(off["sd"] - 1) > WITHIN["sd"] or abs(off["quantile"]) > WITHIN["quantile"]
    )


def off_by_stan(name: str) -> str:
    """Return the largest difference of Stan's means from NumPyro's, and of its standard deviations."""
    other, here = by_stan(name), info(name)["summary"]
    if other is None:
        return " | "
    rows = {n: other["summary"][n] for n in here}
    mean = max(((rows[n]["mean"] - here[n]["mean"]) / here[n]["sd"] for n in rows), key=abs)
    sd = max((rows[n]["sd"] / here[n]["sd"] for n in rows), key=lambda ratio: abs(ratio - 1))
    return f"{mean:+.3f} | {sd:.2f}"


def cells(rows: dict[str, Any] | None) -> str:
    """Return the three largest differences of a sampler as cells of a table."""
    if rows is None:
        return " | | "
    off = worst(rows)
    return f"{off['mean']:+.3f} | {off['sd']:.2f} | {off['quantile']:+.2f}"


def page() -> str:
    """Return the page."""
    measured = results()
    lines = [
        HEAD,
        "| document | least ESS | R-hat | auto: mean | sd, ratio | 5, 95 % | NUTS: mean | sd, ratio | 5, 95 % | Stan: mean | sd, ratio |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name in NAMES:
        checks, ours = info(name)["checks"], measured.get(name, {})
        title = f"**{name}**" if "auto" in ours and falls_short(ours["auto"]) else name
        least = min(checks["least_ess_bulk"], checks["least_ess_tail"])
        lines.append(
            f"| {title} | {least:,.0f} | {checks['largest_r_hat']:.4f} | {cells(ours.get('auto'))} | {cells(ours.get('nuts'))} | "
            f"{off_by_stan(name)} |"
        )
    programs = sorted({info(name)["inference"]["program"] for name in NAMES})
    programs += sorted({other["inference"]["program"] for name in NAMES if (other := by_stan(name))})
    lines += ["", f"Made with {', '.join(programs)}.", FOOT]
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page())
