"""Every door by which something comes in, tried with what nobody means: an answer or a sentence of ours, in bounded time."""

from __future__ import annotations

import json
import os
import resource
from contextlib import suppress

import pandas as pd
import pytest
import tomli_w
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import bayes_scaling as bs
from bayes_scaling.batch.document import read_jobs
from bayes_scaling.batch.plan import plan_of
from bayes_scaling.batch.results import read_answers, read_batch, read_failures
from bayes_scaling.errors import BayesScalingError
from bayes_scaling.evaluation.certificate import read_certificate
from bayes_scaling.evaluation.forecasts import score_forecasts
from bayes_scaling.evaluation.ledger import FIRST, seal
from bayes_scaling.evaluation.outcome import read_backtest
from bayes_scaling.files import sealed_json
from bayes_scaling.model.document import read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.posterior.examples import example_fit
from bayes_scaling.posterior.fit import load_fit
from bayes_scaling.posterior.fit_file import Contents, write_fit
from bayes_scaling.posterior.mixture import load_mixture
from bayes_scaling.runs.card import read_card
from bayes_scaling.runs.collecting.collect import collect
from bayes_scaling.runs.condition import rows_where
from bayes_scaling.runs.table import read_runs

_FEW, _SECONDS, _BYTES = 40, 5, 10**9
INPUTS = int(os.environ.get("BAYES_SCALING_INPUTS", "100000"))
"""How many inputs are tried in all, by the slow test."""
_WORDS = [
    "params",
    "tokens",
    "loss",
    "run_id",
    "E",
    "chinchilla",
    "LogNormal",
    "draws",
    "nats/token",
    "",
    "nan",
    "1e999",
    "-1",
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, 2**63, -1, 0]),
    st.floats(),
    st.sampled_from([5e-324, 1e308, float("inf")]),
    st.text(max_size=20),
    st.sampled_from(_WORDS),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_WORDS), inner, max_size=4),
    max_leaves=8,
)
RUNS = pd.DataFrame({"params": [1e8, 1e9], "tokens": [2e9, 2e10], "loss": [3.4, 2.8], "corpus": ["a", "b"]})
MODEL = read_model("chinchilla").model_dump(mode="json", exclude_defaults=True)


def _changed(draw, document):
    """Return a document in which a few entries, wherever they are, are something else, or gone."""
    document = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        part = document
        while isinstance(part, dict | list) and part:
            key = draw(st.sampled_from(sorted(part))) if isinstance(part, dict) else draw(st.integers(0, len(part) - 1))
            if not isinstance(part[key], dict | list) or not part[key] or draw(st.booleans()):
                if draw(st.booleans()):
                    part[key] = draw(VALUES)
                else:
                    del part[key]
                break
            part = part[key]
    return document


@st.composite
def tables(draw):
    columns = draw(
        st.lists(st.sampled_from(["params", "tokens", "loss", "run_id", "corpus", "N", "", "a,b", "a/b", "."]), min_size=1)
    )
    cells = st.one_of(
        st.floats().map(str), st.text(max_size=8), st.sampled_from(["1e8", "3.1", "", '"', "=1+1", "-", "1,2"])
    )
    rows = draw(st.lists(st.lists(cells, min_size=len(columns), max_size=len(columns)), max_size=5))
    return "\n".join(",".join(row) for row in [columns, *rows])


def _read_table(folder, content):
    (folder / "runs.csv").write_text(content, encoding="utf-8", errors="surrogatepass")
    read_runs(folder / "runs.csv", needs=["loss", "params", "tokens"])


def _read_document(folder, content):
    text = tomli_w.dumps(_without_none(content))
    (folder / "model.toml").write_text(text, encoding="utf-8", errors="surrogatepass")
    Layout.of(read_model(folder / "model.toml"), {"loss": RUNS})


def _without_none(value):
    """TOML has no null."""
    if isinstance(value, dict):
        return {name: _without_none(part) for name, part in value.items() if part is not None}
    return [_without_none(part) for part in value if part is not None] if isinstance(value, list) else value


@st.composite
def fits(draw):
    """Return what a fit file says and holds, changed in a few places, and sealed."""
    whole = example_fit(chains=2, draws=8)
    said = json.loads(whole._contents(full=True).document.model_dump_json())
    said = {name: said[name] for name in ("model", "reference", "facts", "checks")}
    groups = {group.path[1:]: group.to_dataset() for group in whole.tree.subtree if group.has_data}
    if draw(st.booleans()):
        return _changed(draw, said), groups
    path = draw(st.sampled_from(sorted(groups)))
    name = draw(st.sampled_from(sorted(map(str, groups[path].data_vars))))
    change = draw(st.sampled_from(["gone", "nan", "negative", "text", "transposed", "integers", "group", "swapped"]))
    array = groups[path][name]
    if change == "gone":
        groups[path] = groups[path].drop_vars(name)
    elif change == "group":
        del groups[path]
    elif change == "swapped":
        other = draw(st.sampled_from(sorted(groups)))
        groups[path], groups[other] = groups[other], groups[path]
    else:
        new = {
            "nan": lambda: array * float("nan"),
            "negative": lambda: -1.0 * array,
            "text": lambda: array.astype(str),
            "transposed": lambda: array.T,
            "integers": lambda: array.astype(int),
        }[change]()
        groups[path] = groups[path].drop_vars(name).assign({name: new})
    return said, groups


def _read_fit(folder, content):
    said, groups = content
    write_fit(folder / "fit.nc", Contents.of(said, groups))
    fit = load_fit(folder / "fit.nc")
    bs.predict(fit, params=1e10, tokens=1e11)
    bs.summarize(fit)


FORECAST = {
    "run_id": "a",
    "inputs": {"params": 1e8},
    "quantiles": [1 + n / 100 for n in range(100)],
    "together": [],
    "loss_unit": "nats/token",
    "fit": "f",
}


def _read_ledger(folder, content):
    entry = {"number": 0, "written": "2026-01-01T00:00:00+00:00", **content}
    (folder / "ledger.jsonl").write_text(json.dumps(entry | {"seal": seal(FIRST, entry)}) + "\n")
    score_forecasts(folder / "ledger.jsonl", pd.DataFrame({"run_id": ["a"], "loss": [1.5]}))


PREDICTION = {"method": "model", "cut": 1e9, "run": 1, "ahead": 0.5, "loss": 2.0, "converged": True, "pit": 0.5}
RESULTS = {
    "backtest.json": {"facts": {"runs": "r"}, "predictions": [PREDICTION, PREDICTION]},
    "certificate.json": {
        "facts": {},
        "ranks": [{"E": 0.5}],
        "forecasts": [{"truth": "the model", "ahead": 1.0, "pit": 0.5, "width": 0.1, "converged": True}],
    },
    "weights.json": {"weights": {"one": 0.5, "two": 0.5}},
}


def _read_result(folder, content):
    for name in RESULTS:
        (folder / name).write_text(sealed_json(content) if isinstance(content, dict) else json.dumps(content))
    for read in (
        lambda: read_backtest(folder / "backtest.json"),
        lambda: read_certificate(folder / "certificate.json"),
        lambda: load_mixture(folder),
    ):
        try:
            read()
        except BayesScalingError:
            continue


def _ask(_folder, content):
    name, values = content
    bs.question(name, **values).answer(example_fit())


QUESTION = st.tuples(
    st.sampled_from(["predict", "allocate", "regret", "target", "lifetime"]),
    st.dictionaries(
        st.sampled_from(["params", "tokens", "compute", "target", "loss", "prob", "seed", "risk"]), SCALARS, max_size=4
    ),
)
MAP = {"params": "size", "tokens": ["batch", "steps"], "loss": "ln(ppl)", "loss_unit": "nats/token", "params_are": "total"}
LOGGED = pd.DataFrame(
    {"size": ["17M", "30M"], "batch": [512, 512], "steps": [1e3, 2e3], "ppl": [30.0, 25.0], "run": ["a", "b"]}
)


def _read_map(folder, content):
    (folder / "map.toml").write_text(tomli_w.dumps(_without_none(content)), encoding="utf-8", errors="surrogatepass")
    collect(LOGGED, map=folder / "map.toml")


JOBS = {
    "models": ["chinchilla", {"model": "kappa", "name": "law", "by": ["corpus"], "pin": {"E": 1.7}}],
    "tables": [
        {"path": "runs.csv", "columns": {"params": "N"}, "where": "loss < 4", "facts": {"tokens": 1e9}, "split_by": ["c"]}
    ],
    "sampling": {"draws": 100, "chains": 2},
    "questions": [{"question": "allocate", "compute": [1e21]}],
}


def _read_jobs(folder, content):
    RUNS.rename(columns={"params": "N", "corpus": "c"}).to_csv(folder / "runs.csv", index=False)
    (folder / "jobs.toml").write_text(tomli_w.dumps(_without_none(content)), encoding="utf-8", errors="surrogatepass")
    plan_of(read_jobs(folder / "jobs.toml"), folder / "jobs.toml")


CARD = {"title": "Ours", "loss_unit": "bits/byte", "params": "total", "citation": "", "licence": "", "notes": "none"}


def _read_card(folder, content):
    (folder / "card.toml").write_text(tomli_w.dumps(_without_none(content)), encoding="utf-8", errors="surrogatepass")
    read_card(folder / "card.toml")


def _read_records(folder, content):
    (folder / "runs.json").write_text(json.dumps(content))
    collect(folder / "runs.json")


ANSWER = {"table": "c4", "model": "kappa", "question": "allocate", "refused": "", "answer": '{"table": [{"N": 1e9}]}'}
ANSWER |= dict.fromkeys(("digest", "asked", "sentence", "caveats"), "")


def _read_batch(folder, content):
    lines = content if isinstance(content, list) else [content]
    (folder / "failures.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for name in ("answers.parquet", "summary.parquet"):
        with suppress(Exception):  # what Parquet does not hold is not tried
            pd.DataFrame([line if isinstance(line, dict) else {"table": line} for line in lines]).to_parquet(folder / name)
    for read in (read_failures, read_answers, lambda place: read_answers(place, "allocate"), read_batch):
        with suppress(BayesScalingError):
            read(folder)


DOORS = {
    "tables": (_read_table, tables()),
    "documents": (_read_document, st.composite(lambda draw: _changed(draw, MODEL))()),
    "conditions": (
        lambda _folder, text: rows_where(text, RUNS, "runs"),
        st.text(max_size=30) | st.text(alphabet="params tokens<>=()[]'&|not in1e9._-+*", max_size=40),
    ),
    "questions": (_ask, QUESTION),
    "fit files": (_read_fit, fits()),
    "maps": (_read_map, st.composite(lambda draw: _changed(draw, MAP))()),
    "batches": (_read_jobs, st.composite(lambda draw: _changed(draw, JOBS))()),
    "results of batches": (
        _read_batch,
        st.composite(lambda draw: _changed(draw, [ANSWER, {"table": "a", "model": "b", "error": "c", "reason": "d"}]))()
        | VALUES,
    ),
    "cards": (_read_card, st.composite(lambda draw: _changed(draw, CARD))()),
    "records": (_read_records, st.composite(lambda draw: _changed(draw, RUNS.to_dict("records")))() | VALUES),
    "ledgers": (_read_ledger, st.composite(lambda draw: _changed(draw, FORECAST))()),
    "results": (
        _read_result,
        st.sampled_from(list(RESULTS.values())).flatmap(lambda r: st.composite(lambda draw: _changed(draw, r))()) | VALUES,
    ),
}


def _try(door, folder, examples):
    take, inputs = DOORS[door]

    @settings(
        max_examples=examples,
        deadline=1000 * _SECONDS,
        database=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        phases=[Phase.generate],  # to make a failing input shorter takes minutes
    )
    @given(inputs)
    def tried(content):
        with suppress(BayesScalingError):
            take(folder, content)

    before = _most_bytes()
    tried()
    assert _most_bytes() - before < _BYTES


def _most_bytes():
    """Return the most memory this process has held so far."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("door", DOORS)
def test_a_few_inputs(door, tmp_path):
    _try(door, tmp_path, _FEW)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("door", DOORS)
def test_many_inputs(door, tmp_path):
    _try(door, tmp_path, INPUTS // len(DOORS))
