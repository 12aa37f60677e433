"""A user's own law, prior, effect and likelihood, of a notebook and of an installed package, here and in worker processes."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from bayes_scaling import plugins
from bayes_scaling.errors import BayesScalingWarning, InvalidRequest, InvalidSpecification, UnknownName
from bayes_scaling.evaluation.backtest import backtest
from bayes_scaling.evaluation.workers import outcomes
from bayes_scaling.inference.distributions import OWN
from bayes_scaling.laws import LAWS
from bayes_scaling.model.document import Model, model_from_json
from bayes_scaling.model.effects import Effect
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.noise import Likelihood
from bayes_scaling.model.prior_draws import draw_prior
from bayes_scaling.model.priors import Prior
from bayes_scaling.runs.table import read_runs

CELL = '''
from typing import Annotated, ClassVar

import numpy as np
import pymc as pm

from bayes_scaling.inference.distributions import distribution
from bayes_scaling.laws.law import Exponent, Loss, Value, coefficient, law
from bayes_scaling.model.effects import Effect, Placed
from bayes_scaling.model.noise import Likelihood

HALF = 0.5


@law(output="loss", source="me", equation="none")
def half_power(N: Value, *, E: Loss, A: Annotated[Value, coefficient("N", lambda parameters: HALF)]) -> Value:
    """Half a power."""
    return E + A * N**-HALF


@distribution
def LogLaplace(mu, b, size=None):
    return pm.math.exp(pm.Laplace.dist(mu=mu, b=b, size=size))


class Jump(Effect):
    NAME: ClassVar[str] = "jump"
    kind: str = "jump"
    beyond: float

    def place(self, name, section, table):
        basis = (table["params"].to_numpy(float) > self.beyond).astype(float)[:, None]
        return Placed(name, section, basis, np.array(["jump"]), np.zeros(len(table)))


class Laplace(Likelihood):
    NAME: ClassVar[str] = "Laplace"
    SCALE: ClassVar[str] = "b"

    def standard(self, rng, shape, **arguments):
        return rng.laplace(size=shape)
'''
PRIOR = {"dist": "LogNormal", "mu": 0.0, "sigma": 0.3}
DOCUMENT = {"law": "half_power", "parameters": {"E": {"prior": PRIOR}, "A": {"prior": PRIOR}}}
NORMAL = {"dist": "Normal", "sigma": {"dist": "HalfNormal", "sigma": 0.05}}
RUNS = pd.DataFrame({"params": np.geomspace(1e7, 1e10, 12), "loss": 1.8 + 3e3 * np.geomspace(1e7, 1e10, 12) ** -0.5})


@pytest.fixture
def registries():
    """Leave the registries as they were."""
    before = [(registry, dict(registry)) for registry in (LAWS, Effect.REGISTRY, Likelihood.REGISTRY, OWN)]
    yield
    for registry, things in before:
        registry.clear()
        registry.update(things)


@pytest.fixture
def notebook(registries):
    """What a notebook defines: it stands in a module that no other process can import."""
    cell = {"__name__": "__main__"}
    exec(compile(CELL, "<cell 1>", "exec"), cell)
    return cell


def at(law, *inputs, **parameters):
    return law(*inputs, **parameters), law.name in LAWS, law.from_reference(parameters, {"N": 4.0})


def test_a_law_of_a_notebook_goes_to_another_process(notebook):
    law = notebook["half_power"]
    assert law.summary == "Half a power."
    assert law.formula == ""  # its code is not kept
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        there = pool.submit(at, law, 100.0, E=2.0, A=3.0).result()
    assert there == at(law, 100.0, E=2.0, A=3.0) == (2.3, True, {"E": 2.0, "A": 6.0})


@pytest.mark.parametrize("name", sorted(LAWS))
def test_a_shipped_law_is_pickled_by_its_name(name):
    law = LAWS[name]
    assert pickle.loads(pickle.dumps(law)) is law
    assert copy.deepcopy(law) is law
    assert len(pickle.dumps(law)) < 120


def test_a_law_of_a_module_is_pickled_by_module_and_name(registries, tmp_path, monkeypatch):
    (tmp_path / "my_half_power.py").write_text(CELL)
    monkeypatch.syspath_prepend(str(tmp_path))
    import my_half_power  # pyright: ignore[reportMissingImports]

    law = my_half_power.half_power
    assert b"my_half_power" in pickle.dumps(law)
    assert pickle.loads(pickle.dumps(law)) is law
    assert law.formula == "E + A * N ** (-HALF)"
    sys.modules.pop("my_half_power")


@dataclass(frozen=True)
class Piece:
    name: str
    model: str


def placed(piece):
    layout = Layout.of(model_from_json(piece.model), {"loss": RUNS})
    drawn = draw_prior(layout, np.random.default_rng(0), draws=3)
    return pd.DataFrame(
        {
            "A": drawn["A"].values.ravel(),
            "sigma": drawn["sigma"].values.ravel(),
            "sum": layout.only.basis.sum() if layout.only.effects else 0.0,
        }
    )


def test_what_a_document_names_works_in_worker_processes(notebook):
    scale = {"dist": "HalfNormal", "sigma": 0.1}
    jump = {"discrepancy": {"step": {"kind": "jump", "beyond": 1e9, "scale": scale}}, "likelihood": NORMAL}
    laplace = {"likelihood": {"dist": "Laplace", "sigma": {"dist": "LogLaplace", "mu": -3.0, "b": 0.1}}}
    pieces = [Piece(name, Model.model_validate(DOCUMENT | parts).to_json()) for name, parts in (("1", jump), ("2", laplace))]
    here = sorted(outcomes(pieces, placed), key=lambda table: table["sum"][0])
    there = sorted(outcomes(pieces, placed, workers=2), key=lambda table: table["sum"][0])
    assert [table["sum"][0] for table in here] == [0.0, 4.0]
    for ours, theirs in zip(here, there, strict=True):
        pd.testing.assert_frame_equal(ours, theirs)


def test_what_cannot_be_sent_is_a_sentence(notebook):
    import threading

    notebook["HALF"] = threading.Lock()
    with pytest.raises(InvalidRequest, match=r"The law 'half_power' cannot be sent to another process: .*lock.*one worker"):
        list(outcomes([Piece("1", "")], placed, workers=2))


def test_a_backtest_of_a_user_s_law_in_two_processes(notebook):
    model = Model.model_validate(DOCUMENT | {"likelihood": NORMAL})
    trial = backtest(
        read_runs(RUNS),
        model,
        over="params",
        per_decade=1,
        least=8,
        baselines=False,
        draws=60,
        tune=100,
        workers=2,
        progress=False,
    )
    assert np.isfinite(trial.predictions["crps"]).all()


def installed(folder, monkeypatch, **modules):
    """Install a package of some modules, each of them an entry point."""
    points = ["[bayes_scaling.plugins]"]
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
        points.append(f"{name} = {name}")
    facts = folder / "my_parts-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: my-parts\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("\n".join(points) + "\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setitem(plugins._state, "loaded", False)
    for name in modules:
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_an_entry_point_is_loaded_when_a_name_is_not_there(registries, tmp_path, monkeypatch):
    installed(tmp_path, monkeypatch, my_installed_parts=CELL)
    assert LAWS["chinchilla"]
    assert "my_installed_parts" not in sys.modules
    model = Model.model_validate(DOCUMENT | {"likelihood": NORMAL})
    assert "my_installed_parts" in sys.modules
    assert pickle.loads(pickle.dumps(model.only.the_law)) is LAWS["half_power"]
    assert {"jump"} <= set(Effect.REGISTRY)


@pytest.mark.parametrize(
    "look_up",
    [
        lambda: LAWS["half_power"],
        lambda: Effect.of({"kind": "jump", "beyond": 1.0, "scale": PRIOR}),
        lambda: Likelihood.of({"dist": "Laplace", "sigma": PRIOR}),
        lambda: Prior(dist="LogLaplace", mu=0.0, b=1.0),
    ],
)
def test_every_registry_asks_entry_points(registries, tmp_path, monkeypatch, look_up):
    installed(tmp_path, monkeypatch, my_other_parts=CELL)
    assert look_up()


def test_a_broken_plug_in_is_one_sentence(registries, tmp_path, monkeypatch):
    installed(tmp_path, monkeypatch, broken_parts="import there_is_no_such_module", sound_parts=CELL)
    with pytest.warns(BayesScalingWarning) as caught:
        assert LAWS["half_power"].name == "half_power"
    assert [str(warning.message) for warning in caught] == [
        "The plug-in 'broken_parts' (broken_parts) cannot be loaded and is left out: "
        "ModuleNotFoundError: No module named 'there_is_no_such_module'"
    ]
    with pytest.raises(UnknownName, match="did you mean 'half_power'"):  # and no second warning
        LAWS["half_powr"]


def test_a_plug_in_takes_no_name_that_is_there(registries, tmp_path, monkeypatch):
    installed(tmp_path, monkeypatch, greedy_parts=CELL.replace('"jump"', '"shared"'))
    with (
        pytest.warns(BayesScalingWarning, match="The effect 'shared' already exists, in bayes_scaling.model.effects"),
        pytest.raises(InvalidSpecification, match="there is no 'jumpy'"),
    ):
        Effect.of({"kind": "jumpy"})
    assert Effect.REGISTRY["shared"].__name__ == "Shared"


def test_a_worker_finds_what_is_installed(registries, tmp_path, monkeypatch):
    installed(tmp_path, monkeypatch, my_parts_everywhere=CELL)
    model = Model.model_validate(DOCUMENT | {"likelihood": NORMAL}).to_json()
    (here,) = outcomes([Piece("1", model)], placed)
    (there,) = outcomes([Piece("1", model)], placed, workers=2)
    pd.testing.assert_frame_equal(here, there)
