"""Every question, from Python, on the command line and over HTTP: the same JSON."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

import bayes_scaling as bs
from bayes_scaling.questions.base import QUESTIONS
from bayes_scaling.service.requests import asks_flat, example_of
from tests.command import command  # noqa: F401 - a fixture

OF = {"recipes": "grouped", "rate": "rates", "critical-batch": "system", "robust": "mixture"}
CURVE = [{"params": 1e8, "batch_tokens": 5e5, "steps": steps, "loss": loss} for steps, loss in ((1e4, 3.4), (2e4, 3.3))]
FIELDS = {"live": {"curve": CURVE}, "recipes": {"a": {"group": "a"}, "b": {"group": "b"}}}


def asked(name):
    """Return the fit a question is asked of, and its fields: those of its example."""
    kind = QUESTIONS[name]
    stored = OF.get(name, "system" if kind.takes == ("fit",) and "system.nc" in kind.example else "fit")
    fields = example_of(kind) | FIELDS.get(name, {})
    return stored, fields | ({"override": True} if kind.guarded and kind.takes else {})


def query(fields):
    """Return fields as query parameters."""
    pairs = []
    for name, value in fields.items():
        if isinstance(value, dict):
            pairs += [(f"{name}[{key}]", entry) for key, entry in value.items()]
        else:
            pairs += [(name, entry) for entry in (value if isinstance(value, list) else [value])]
    return urlencode([(name, str(value).lower() if isinstance(value, bool) else value) for name, value in pairs])


def words(kind, fields):
    """Return fields as options of the command line."""
    found = []
    for name, value in fields.items():
        extra = kind.model_fields[name].json_schema_extra or {}
        option = extra.get("option", f"--{name.replace('_', '-')}")
        if value is True:
            found.append(option)
        elif isinstance(value, dict):
            found += [word for key, entry in value.items() for word in (option, f"{key}={entry}")]
        elif kind.model_fields[name].annotation is str and kind.model_fields[name].is_required():
            found.append(value)
        else:
            found += [word for entry in (value if isinstance(value, list) else [value]) for word in (option, entry)]
    return [*found, *(("--refits", "0") if kind.name == "next-run" else ())]


def load(served, stored):
    return bs.load_mixture(served / stored) if stored == "mixture" else bs.load_fit(served / f"{stored}.nc")


@pytest.mark.parametrize("name", list(QUESTIONS))
def test_python_command_line_and_http_give_the_same_json(name, served, http, command, tmp_path):  # noqa: F811
    kind, (stored, fields) = QUESTIONS[name], asked(name)
    posterior = load(served, stored) if kind.takes else None
    answer = json.loads(json.dumps(bs.ask(posterior, name, **fields).to_dict()))
    posted = http.post(f"/fits/{stored}/{name}", json=fields)
    assert posted.status_code == 200, posted.text
    assert posted.json() == answer
    if asks_flat(kind):
        gotten = http.get(f"/fits/{stored}/{name}?{query(fields)}")
        assert gotten.status_code == 200, gotten.text
        assert gotten.json() == answer
        assert gotten.headers["etag"] == posted.headers["etag"]
    if name == "live":
        table = tmp_path / "curve.csv"
        table.write_text(f"{','.join(CURVE[0])}\n" + "\n".join(",".join(map(str, row.values())) for row in CURVE))
        fields = fields | {"curve": str(table)}
    place = [served / (stored if stored == "mixture" else f"{stored}.nc")] if kind.takes else []
    printed = command(name, *place, *words(kind, fields), "--json")
    assert printed.code == 0, printed.err
    document = json.loads(printed.out)
    several = {row["compute_flops"]: row for row in answer["budgets"]} if isinstance(document, list) else {}
    assert document == answer or all(row.items() >= several[row["compute_flops"]].items() for row in document)


@pytest.mark.parametrize("name", [name for name, kind in QUESTIONS.items() if kind.takes])
def test_what_an_answer_rests_on_is_in_it(name, served, http):
    stored, fields = asked(name)
    answer = http.post(f"/fits/{stored}/{name}", json=fields).json()
    posterior = load(served, stored)
    assert answer["fit_digest"] == posterior.digest
    assert answer["model_digest"] == posterior.model_digest
    assert 0 < answer["prob"] < 1
    assert isinstance(answer["caveats"], list)
    assert all(isinstance(decades, float) for decades in answer["extrapolation_distance"].values())


@pytest.mark.parametrize("name", [name for name, kind in QUESTIONS.items() if kind.takes])
def test_a_fit_that_has_not_converged_answers_only_where_it_is_overridden(name, http):
    kind, (_, fields) = QUESTIONS[name], asked(name)
    fields = {field: value for field, value in fields.items() if field != "override"}
    refused = http.post(f"/fits/not_converged/{name}", json=fields)
    assert refused.status_code == 409
    assert refused.json()["code"] == "refused"
    assert "override=true" in refused.json()["detail"]
    answered = http.post(f"/fits/not_converged/{name}", json={**fields, "override": True})
    assert answered.status_code in (200, 422)
    if answered.status_code == 200:
        assert answered.json()["converged"] is False
        assert any("has NOT converged" in caveat for caveat in answered.json()["caveats"])
    else:
        assert kind.takes in (("fit",), ("mixture",)) or name in ("rate", "recipes")  # asked of another kind of fit


def test_one_observation_of_several_is_asked_by_its_name(served, http):
    asks = {"params": 1e8, "dataset_tokens": 2e9}
    none = http.post("/fits/system/predict", json={"inputs": asks})
    assert none.status_code == 422
    assert "several observations" in none.json()["detail"]
    named = http.post("/fits/system/predict", json={"inputs": asks, "observation": "limited"})
    assert named.status_code == 200, named.text
    view = bs.load_fit(served / "system.nc").for_loss("limited")
    assert named.json() == json.loads(json.dumps(bs.ask(view, "predict", inputs=asks).to_dict()))


@pytest.mark.parametrize("name", ["allocation", "Allocation", "stop_early", "agreement"])
def test_other_names_of_a_question_are_known(name, http):
    answer = http.get(f"/fits/system/{name}?{query({'compute_min': 1e21} if name == 'stop_early' else {})}")
    assert answer.status_code in (200, 409, 422)


def test_a_group_that_nobody_trained_is_said(http):
    answer = http.get("/fits/grouped/predict?params=1e9&tokens=1e10&group[group]=unseen")
    assert answer.status_code == 200, answer.text
    assert "unseen" in answer.json()["caveats"][0]
