"""Writes the page on priors and forecasts, README.md beside this file: every number comes from results.json.

python -m notebooks.population.page
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bayes_scaling.evaluation.clusters import doubt, plus_minus
from bayes_scaling.model.document import Model, read_model
from notebooks.markdown import table

HERE = Path(__file__).parent
HUBER = "huber + bootstrap + residuals"


def page(results: Mapping[str, Any], certificate: Mapping[str, Any], curves: Sequence[Mapping[str, Any]]) -> str:
    """Return the page."""
    pooled = {row["method"]: row for row in results["pooled"]}
    ours, huber = pooled["kappa"], pooled[HUBER]
    ratio = ours["interval_score"] / huber["interval_score"]
    parts = [
        "# Does 90 % mean 90 %?",
        f"Every public ladder at hand, and our own, was cut at each quarter decade of compute that leaves half of the bins and "
        f"15 runs below it and 3 at or above. Below the cut a model was fitted with default priors; every run above was forecast: "
        f"{ours['forecasts']} forecasts over {results['splits']} splits. 90 % intervals of the shipped `kappa` covered "
        f"{100 * ours['coverage_0.9']:.1f} %{plus_minus(ours['coverage_0.9_se'], 'sources')}, 50 % intervals "
        f"{100 * ours['coverage_0.5']:.0f} %{plus_minus(ours['coverage_0.5_se'])}; 90 % intervals of {HUBER} covered {100 * huber['coverage_0.9']:.0f} %, at {ratio:.2f} of its interval "
        f"score.",
        _methods(results["pooled"], huber["interval_score"]),
        "Scores are of the log loss: .01 is one per cent. Interval score and CRPS are means, low is good; error and width (of 90 %) "
        "are medians. *Its source left out*: priors of the law's parameters from the other sources alone. Forecasts of one source "
        "share runs, cuts and recipes, so that their number overstates what they say: ± is one standard error by sources. "
        f"{doubt(ours['clusters'], 'sources')}",
        "## Source by source",
        _sources(results["by_source"]),
        "On our own ladder three runs lie above all cuts; the largest is forecast too high at each. On gemstones2025 and porian2024 rows "
        "are points along runs, and those of a run that lies partly below a cut go on from its last point there, which Huber's fit does not: "
        "on the other seven sources the interval score is .69 of Huber's. Standard errors of these two sources were worked out with each "
        "point as a run, and are too small. Intervals are too "
        "narrow on some sources, which is not settled: neither wider or learned scales, nor rougher or smoother walks, nor walks beside "
        "noise of each size, nor walks that do not grow with the loss covered them better.",
        "## Fewer runs, and further ahead",
        _bands("rows below the cut", results["by_runs"], "known"),
        _bands("decades ahead", results["by_distance"], "ahead"),
        "## Curves of one resource",
        f"Learning curves of Alabdulmohsin et al. (2022), {curves[0]['curves']} of their 47, error rates and rescaled losses against examples seen, each "
        "fitted in the half that is for fitting and extrapolated to points twice as far, scored as there: root mean squared error of "
        "the log loss of a curve. M1 to M4 are fitted by least squares and state no interval; `offset_d` and `saturating_d` are M2 and "
        "M4 with priors and a walk.",
        _curves(curves),
        "Columns of domains are medians: image classification (IC), translation (NMT), language models (LM), BIG-Bench (BB). Points of a "
        "curve are of one run and go together, so that a curve is inside or outside nearly as a whole.",
        "## Where the priors come from",
        "Each ladder was fitted whole with [vague priors](vague.toml). What its runs say of a parameter, the posterior with the "
        "prior divided out, went into a hierarchical model with ladders in sources and sources in a population; its forecast for a "
        "ladder of a source not seen is the column *learned*. Terms of the law are in multiples of the typical loss. The document states "
        "what was learned, rounded and somewhat narrower; the scales of the walks are stated a little wider along C than learned, since "
        "ladders fitted whole say little of how far a law goes wrong beyond them.",
        _priors(results["priors"]),
        "*Without* is the range of the learned centre when each source is left out in turn.",
        "## The certificate of our ladder's design",
        certificate["sentence"],
        _certificate(certificate["coverage"]),
        "Truths from the model are draws from its priors, walks and all; broken laws have a smooth break in every resource and no "
        "other discrepancy.",
        "## To measure it again",
        "`BAYES_SCALING_MIRROR=<folder of public runs> make population` (some hours on two cores, and it goes on where it was "
        "stopped); the certificate: `bayes-scaling certify ladder --where \"series in ['size', 'compute']\" --draws 400 --tune 400 "
        "--out certificate`.",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def measured() -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """Return what was measured."""
    names = ("results.json", "certificate.json", "curves.json")
    results, certificate, curves = (json.loads((HERE / name).read_text(encoding="utf-8")) for name in names)
    return results, certificate, curves


def _scores(row: Mapping[str, Any], base: float) -> list[str]:
    def written(name: str, digits: int, times: float = 1.0, unit: str = "") -> str:
        error = row.get(f"{name}_se")  # where it was measured
        more = "" if error is None else f" ± {times * error:.{digits}f}"
        return f"{times * row[name]:.{digits}f}{more}{unit}"

    return [
        f"{row['forecasts']}",
        written("coverage_0.5", 0, 100, " %"),
        written("coverage_0.9", 0, 100, " %"),
        written("interval_score", 3),
        f"{row['interval_score'] / base:.2f}",
        written("crps", 4),
        written("median_error", 2, 100, " %"),
        written("width", 1, 100, " %"),
    ]


_HEAD = ("forecasts", "50 % covered", "90 % covered", "interval score", "over Huber's", "CRPS", "error", "width")


def _methods(pooled: Sequence[Mapping[str, Any]], base: float) -> str:
    return table(("method", *_HEAD), [[row["method"], *_scores(row, base)] for row in pooled])


def _sources(by_source: Sequence[Mapping[str, Any]]) -> str:
    base = {row["source"]: row["interval_score"] for row in by_source if row["method"] == HUBER}
    rows = [row for row in by_source if row["method"] == "kappa"]
    of_pit = ["mean PIT"] if all("pit" in row for row in rows) else []
    cells = [[row["source"], *_scores(row, base[row["source"]]), *(f"{row['pit']:.2f}" for _ in of_pit)] for row in rows]
    return table(("source", *_HEAD, *of_pit), cells)


def _bands(name: str, rows: Sequence[Mapping[str, Any]], column: str) -> str:
    keep = [0, 1, 2, 3, 6, 7]
    cells = [[row[column], *(_scores(row, 1.0)[i] for i in keep)] for row in rows]
    return table((name, *(_HEAD[i] for i in keep)), cells)


def _curves(curves: Sequence[Mapping[str, Any]]) -> str:
    domains = [domain for domain in ("IC", "NMT", "LM", "BB") if domain in curves[0]]
    rows = []
    for row in curves:
        held = [f"{100 * row[f'coverage_{p}']:.0f} %" if row[f"coverage_{p}"] is not None else "" for p in (0.5, 0.9)]
        rows.append([row["way"], *(f"{row[name]:.4f}" for name in ("median", "mean", *domains)), *held])
    return table(("way", "median", "mean", *domains, "50 % covered", "90 % covered"), rows)


def _priors(priors: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    spec = read_model("kappa")
    assert isinstance(spec, Model)
    stated = {name: parameter.prior for name, parameter in spec.parameters.items()}
    stated |= {"sigma": spec.likelihood.sigma, "growth": spec.likelihood.growth}
    stated |= {f"discrepancy_scale_{symbol}": walk.scale for symbol, walk in spec.discrepancy.items()}
    rows = []
    for name, learned in priors[""].items():
        prior = stated[name.removesuffix("_at_reference")]
        assert prior is not None
        given = prior.arguments
        without = [found[name]["mu"] for source, found in priors.items() if source]
        rows.append(
            [
                name,
                f"{learned['mu']:.2f} ± {learned['sigma']:.2f}",
                f"{min(without):.2f} to {max(without):.2f}",
                f"{learned['between']:.2f}, {learned['within']:.2f}",
                f"{given['mu']:.2f} ± {given['sigma']:.2f}" if "mu" in given else f"{prior} of itself",
            ]
        )
    return table(("logarithm of", "learned", "without", "between sources, within", "stated in kappa.toml"), rows)


def _certificate(coverage: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            row["truth"],
            f"{row['ahead']:g}",
            f"{row['tables']}",
            f"{100 * row['coverage_0.5']:.0f} %",
            f"{100 * row['coverage_0.9']:.0f} %",
            f"{100 * row['width']:.1f} %",
        ]
        for row in coverage
    ]
    return table(("truth", "decades ahead", "tables", "50 % covered", "90 % covered", "width"), rows)


def main() -> None:
    """Write the page."""
    (HERE / "README.md").write_text(page(*measured()), encoding="utf-8")


if __name__ == "__main__":
    main()
