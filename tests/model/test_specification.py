from __future__ import annotations

import pytest

from bayes_scaling.errors import InvalidSpecification, UnknownName
from bayes_scaling.model.document import read_model

GOOD = read_model("chinchilla").to_toml()


@pytest.fixture
def document(tmp_path):
    def write(text):
        path = tmp_path / "model.toml"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('law = "chinchilla"', 'law = "chinchila"', "did you mean 'chinchilla'"),
        ('law = "chinchilla"', 'law = "critical_batch"', "parameters.E: critical_batch has no such parameter"),
        ("parameters.alpha", "parameters.gamma", "parameters.gamma: chinchilla has no such parameter"),
        ("parameters.beta", "parametres.beta", "parametres: unknown key; did you mean 'parameters'"),
        ("[likelihood]", "[likelihood]\nnoise = 3", "likelihood.noise: unknown key"),
        ('dist = "StudentT"', 'dist = "Cauchy"', "likelihood.dist"),
        ('dist = "StudentT"', 'dist = "Normal"', "nu belongs to StudentT"),
        ("mu = -0.6", 'mu = "wide"', "parameters.E.prior"),
        ("mu = -0.6", "mean = 0.5", r"takes the arguments \(mu, sigma\)"),
        ("[reference]", "[reference]\nS = 1.0", "reference.S: chinchilla has no such input"),
        ('N = "geometric mean"', "N = -1.0", "reference.N: has to be positive"),
        ('N = "geometric mean"', 'N = "median"', "reference.N"),
        ("[parameters.E]", "[parameters.E]\nfixed = 1.0", "needs a prior, or a fixed value, and not both"),
        ("[parameters.E]", '[parameters.E]\nvaries_by = "corpus"', "varies_by and spread go together"),
    ],
)
def test_a_bad_document_names_the_place_and_what_is_right(document, old, new, message):
    assert old in GOOD
    with pytest.raises(InvalidSpecification, match=message):
        read_model(document(GOOD.replace(old, new)))


def test_a_missing_prior_is_named(document):
    text = GOOD[: GOOD.index("[parameters.beta]")] + GOOD[GOOD.index("[likelihood]") :]
    with pytest.raises(InvalidSpecification, match=r"parameters\.beta: chinchilla needs it, the document gives it no prior"):
        read_model(document(text))


def test_not_toml_and_not_there(document, tmp_path):
    with pytest.raises(InvalidSpecification, match="is not TOML"):
        read_model(document("law = "))
    with pytest.raises(InvalidSpecification, match="cannot be read"):
        read_model(tmp_path / "none.toml")
    with pytest.raises(InvalidSpecification, match="cannot be read"):
        read_model(tmp_path)
    with pytest.raises(UnknownName, match="did you mean 'kappa'"):
        read_model("kapa")


def test_a_fixed_value_is_the_published_one(document):
    start, end = GOOD.index("[parameters.B]"), GOOD.index("[parameters.beta]")
    spec = read_model(document(f"{GOOD[:start]}[parameters.B]\nfixed = 410.7\n\n{GOOD[end:]}"))
    assert spec.parameters["B"].fixed == 410.7
    assert spec.digest != read_model("chinchilla").digest


def test_models_are_frozen():
    spec = read_model("chinchilla")
    with pytest.raises(ValueError, match="frozen"):
        spec.title = "kappa"
