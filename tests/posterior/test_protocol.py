"""Public functions of a fit refuse a mixture, a name and nothing in a sentence; those of any posterior take a mixture."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayes_scaling as bs
from bayes_scaling.errors import OutOfRange, WrongPosterior
from bayes_scaling.evaluation.forecasts import register_forecasts
from bayes_scaling.posterior.examples import example_fit, example_system
from bayes_scaling.posterior.mixture import Mixture

RUNS = pd.DataFrame({"run_id": ["large"], "params": [7e10], "tokens": [1.4e12]})
OF_ONE_FIT = {
    "allocate": lambda given: bs.allocate(given, compute=1e21),
    "check": bs.check,
    "claims": bs.claims,
    "derive": lambda given: bs.derive(given, "chinchilla"),
    "frontier": bs.frontier,
    "live": lambda given: bs.live(given, RUNS),
    "register_forecasts": lambda given: register_forecasts(given, RUNS, "ledger.jsonl"),
    "summarize": bs.summarize,
    "to_arviz": bs.to_arviz,
    "write_report": lambda given: bs.write_report(given, "report.html"),
    **{name: getattr(bs.plots, name) for name in bs.plots.__all__ if name not in ("backtest", "prior_predictive")},
}


@pytest.fixture(scope="module")
def mixture() -> Mixture:
    return Mixture({"one": example_fit(), "two": example_fit(draws=50)}, {"one": 0.7, "two": 0.3})


@pytest.mark.parametrize("name", OF_ONE_FIT)
def test_what_is_no_fit_is_refused_before_anything_is_done(name, mixture, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WrongPosterior, match=f"{name} takes no mixture of laws: give one of its fits, one, two"):
        OF_ONE_FIT[name](mixture)
    with pytest.raises(WrongPosterior, match=f"{name} needs a fit, found the name 'fit.nc'"):
        OF_ONE_FIT[name]("fit.nc")
    with pytest.raises(WrongPosterior, match=f"{name} needs a fit, found NoneType"):
        OF_ONE_FIT[name](None)
    assert not list(tmp_path.iterdir())


def test_a_fit_may_be_given_by_the_name_of_the_argument(mixture):
    assert len(bs.check(fit=example_fit()))
    with pytest.raises(WrongPosterior):
        bs.check(fit=mixture)


def test_fits_are_compared_by_their_names(mixture):
    with pytest.raises(WrongPosterior, match="give its fits"):
        bs.compare(mixture)
    with pytest.raises(WrongPosterior, match="found the name"):
        bs.compare({"one": example_fit(), "two": "fit.nc"})
    assert len(bs.compare(mixture.fits)) == 2


def test_predictions_take_a_mixture_and_no_name(mixture):
    assert np.isfinite(bs.predict(mixture, params=7e10, tokens=1.4e12)["expected_loss"].values).all()
    assert len(bs.predict_table(mixture, RUNS)) == 1
    with pytest.raises(WrongPosterior, match="needs a fit or a mixture of fits, found the name"):
        bs.predict("fit.nc", params=7e10, tokens=1.4e12)


def test_a_system_that_has_no_such_law_is_a_sentence():
    with pytest.raises(bs.BayesScalingError):
        bs.predict_table(example_system(), RUNS)


@pytest.mark.parametrize("weights", [{"one": np.nan, "two": 0.5}, {"one": 1.5, "two": -0.5}, {"one": 0.5, "two": 0.4}])
def test_weights_that_are_none_are_refused(mixture, weights):
    with pytest.raises(OutOfRange, match="positive and add up to one"):
        Mixture(mixture.fits, weights)


def test_a_mixture_of_nothing_is_refused():
    with pytest.raises(bs.BayesScalingError, match="needs fits"):
        Mixture({}, {})
