"""Learns priors from ladders, each source left out in turn, and counts how forecasts with them come out: hours on two cores.

BAYES_SCALING_MIRROR=<folder> python -m notebooks.population.measure

Every outcome is kept in .population; what was interrupted goes on from there.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bayes_scaling.errors import BayesScalingWarning, InvalidRequest
from bayes_scaling.evaluation.backtest import backtest
from bayes_scaling.evaluation.scores import summarized
from bayes_scaling.inference import fit
from bayes_scaling.inference.population import population, what_runs_say
from bayes_scaling.model.document import Model, read_model
from bayes_scaling.model.priors import Prior
from notebooks.population.ladders import LADDERS, Ladder, runs_of

HERE = Path(__file__).parent
STORE = HERE.parent.parent / ".population"
BESIDE = ("huber + bootstrap + residuals",)
SOURCES = ("source",)
"""Forecasts of one source share errors, where several are pooled."""
AHEAD = {"to 0.25": 0.25, "0.25 to 0.5": 0.5, "0.5 to 1": 1, "1 to 2": 2, "over 2": 9}
"""Decades of compute between the largest run below a cut and one forecast."""
KNOWN = {"15 to 24": 25, "25 to 49": 50, "50 to 99": 100, "100 to 199": 200, "200 and more": 1e9}
"""Rows below a cut."""
SETTINGS = {"progress": False}


def main() -> None:
    """Learn, leave out, forecast, and write results.json beside this file."""
    warnings.simplefilter("ignore", BayesScalingWarning)
    STORE.mkdir(exist_ok=True)
    vague, shipped = read_model(HERE / "vague.toml"), read_model("kappa")
    told = {ladder.name: _told(ladder, vague) for ladder in LADDERS if ladder.alone}
    sources = {ladder.name: ladder.source for ladder in LADDERS}
    priors = {"": population(told, sources)}
    for source in sorted(set(sources.values())):
        priors[source] = population({name: table for name, table in told.items() if sources[name] != source}, sources)
    methods: dict[str, Any] = {
        "kappa": lambda _: shipped,
        "kappa without discrepancy": lambda _: shipped.without_discrepancy(),
        "kappa, its source left out": lambda source: stating(shipped, priors[source]),
    }
    frames = []
    for number, (method, model) in enumerate(methods.items()):
        for ladder in LADDERS:
            frames.append(_forecasts(ladder, model(ladder.source), method, beside=BESIDE if number == 0 else ()))
        _write(told, priors, pd.concat([frame for frame in frames if frame is not None], ignore_index=True))


def _write(told: Mapping[str, pd.DataFrame], priors: Mapping[str, pd.DataFrame], every: pd.DataFrame) -> None:
    """Write what there is: later methods add to it."""
    # A cut and a run are those of one ladder; ladders of one source share more than that.
    every = every.assign(**{name: every["ladder"] + "/" + every[name].astype(str) for name in ("cut", "row", "run")})
    result = {
        "ladders": {name: table[["mean", "sd"]].round(4).to_dict("index") for name, table in told.items()},
        "priors": {source: table.round(4).to_dict("index") for source, table in priors.items()},
        "pooled": summarized(every, ["method"], SOURCES).round(5).to_dict("records"),
        "by_source": summarized(every, ["method", "source"]).round(5).to_dict("records"),
        "by_distance": _by_band(every, "ahead", AHEAD).round(5).to_dict("records"),
        "by_runs": _by_band(every, "known", KNOWN).round(5).to_dict("records"),
        "splits": int(every[every["method"] == "kappa"].groupby("ladder")["cut"].nunique().sum()),
    }
    (HERE / "results.json").write_text(json.dumps(result, indent=1) + "\n")


def stating(spec: Model, learned: pd.DataFrame) -> Model:
    """Return a model whose parameters have the priors learned; what is chosen by forecasts, scatter and walks, stays."""
    parameters = {}
    for name, belief in spec.parameters.items():
        row = learned.loc[f"{name}_at_reference" if f"{name}_at_reference" in learned.index else name]
        prior = Prior(dist="LogNormal", mu=float(row["mu"]), sigma=float(row["sigma"]))
        parameters[name] = belief.model_copy(update={"prior": prior})
    return spec.model_copy(update={"parameters": parameters})


def _told(ladder: Ladder, vague: Model) -> pd.DataFrame:
    runs = runs_of(ladder)
    path = STORE / f"told-{runs.digest[:12]}-{vague.digest[:12]}.csv"
    if not path.is_file():
        print(f"fitting {ladder.name}", file=sys.stderr, flush=True)
        what_runs_say(fit(runs, vague, seed=1, draws=1000, progress=False)).to_csv(path)
    return pd.read_csv(path, index_col=0)


def _forecasts(ladder: Ladder, model: Model, method: str, *, beside: tuple[str, ...]) -> pd.DataFrame | None:
    print(f"{method}: {ladder.name}", file=sys.stderr, flush=True)
    runs = runs_of(ladder)
    try:
        found = backtest(runs, model, baselines=beside, store=STORE, **SETTINGS).predictions
    except InvalidRequest:
        return None  # no cut leaves enough runs
    compute = runs.table["compute_flops"]
    known = found["cut"].map(lambda cut: int((compute < float(cut) * (1 - 1e-9)).sum()))
    method_of = found["method"].replace({"model": method})
    return found.assign(method=method_of, ladder=ladder.name, source=ladder.source, known=known)


def _by_band(every: pd.DataFrame, name: str, bands: Mapping[str, float]) -> pd.DataFrame:
    """Return scores of the shipped document by a column in bands, each named and given by its upper end."""
    edges, names = [0.0, *bands.values()], list(bands)
    ours = every[every["method"] == "kappa"]
    banded = ours.assign(**{name: pd.cut(ours[name], edges, labels=names, right=False).astype(str)})
    return summarized(banded.sort_values(name, key=lambda c: c.map(names.index)), [name], SOURCES)


if __name__ == "__main__":
    main()
