"""A law is documented whole by a short docstring: meanings, units and the paper come from what is known of it."""

from __future__ import annotations

import inspect
import re
from typing import Annotated, get_args, get_type_hints

import pytest

from bayes_scaling.files import DATA
from bayes_scaling.laws import LAWS, law
from bayes_scaling.laws.documentation import cited
from bayes_scaling.laws.law import Exponent, Kind, Value
from bayes_scaling.quantities import BY_COLUMN, QUANTITIES

CHINCHILLA = r"""
Loss of N parameters trained once on D tokens, :math:`E + A N^{-\alpha} + B D^{-\beta}`.

The paper counts all parameters.

Parameters
----------
N : float or array
    Parameters without embeddings, unless the card says otherwise.
D : float or array
    Tokens seen in training.
E : float or array
    Irreducible loss, nats per token unless declared.
A : float or array
    Coefficient of N, loss times parameters^alpha; a prior states the loss left by N at its
    reference.
alpha : float or array
    An exponent.
B : float or array
    Coefficient of D, loss times tokens^beta; a prior states the loss left by D at its reference.
beta : float or array
    An exponent.

Returns
-------
float or array
    Cross-entropy on held-out text, nats per token unless declared.

References
----------
Hoffmann et al. (2022), Training Compute-Optimal Large Language Models, arXiv:2203.15556: (2),
approach 3.

Examples
--------
>>> round(chinchilla(70e9, 1.4e12, E=1.69, A=406.4, alpha=0.34, B=410.7, beta=0.28), 4)
1.9366
"""


def sections(text):
    """The text of each section by its title."""
    parts = re.split(r"^(\w+)\n-+$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def entries(section):
    """What is said under each head of a section, on one line."""
    parts = re.split(r"^(?=\S)(.+)$", section, flags=re.M)
    return {head: " ".join(text.split()) for head, text in zip(parts[1::2], parts[2::2], strict=True)}


def own_words(law):
    """The last words beside each annotation, where there are any."""
    hints = get_type_hints(law.function, include_extras=True)
    found = {name: [said for said in get_args(hint) if isinstance(said, str)] for name, hint in hints.items()}
    return {name: said[-1] for name, said in found.items() if said}


def is_said(phrase, text):
    """Whether a text has a phrase, whatever its case; a pure number has no unit to name."""
    return phrase == "1" or phrase.lower() in text.lower()


def test_a_whole_docstring():
    assert inspect.getdoc(LAWS["chinchilla"]) == CHINCHILLA.strip()


@pytest.mark.parametrize("name", LAWS)
def test_the_written_docstring_has_no_sections(name):
    written = inspect.getdoc(LAWS[name].function)
    assert not re.search(r"^-{3,}$", written, re.M)
    assert ">>> " in written


@pytest.mark.parametrize("name", LAWS)
def test_inputs_and_output_have_their_meaning_and_unit(name):
    law = LAWS[name]
    hints, own = get_type_hints(law.function, include_extras=True), own_words(law)
    inputs, output = entries(sections(law.__doc__)["Parameters"]), entries(sections(law.__doc__)["Returns"])
    assert list(output) == ["float or array"]
    said = {symbol: (inputs[f"{symbol} : float or array"], QUANTITIES.get(symbol)) for symbol in law.inputs}
    said["return"] = (output["float or array"], BY_COLUMN.get(law.output))
    for place, (text, quantity) in said.items():
        kinds = [kind.published for kind in get_args(hints[place]) if isinstance(kind, Kind)]
        known = [(quantity.meaning, quantity.unit)] if quantity else [("", "1")]
        meaning, unit = (kinds or known)[0]
        assert is_said(own.get(place) or meaning, text)
        assert own.get(place) or meaning
        assert is_said(unit, text)


@pytest.mark.parametrize("name", LAWS)
def test_every_parameter_has_its_meaning_and_unit(name):
    law = LAWS[name]
    said, own = entries(sections(law.__doc__)["Parameters"]), own_words(law)
    assert [head.split(" : ")[0] for head in said] == [*law.inputs, *law.parameters]
    for symbol, kind in law.parameters.items():
        text = said[f"{symbol} : float or array" + ", optional" * (symbol in law.optional)]
        meaning, unit = kind.published
        assert is_said(own.get(symbol, meaning), text)
        assert is_said(unit, text)
        assert not kind.moves or f"a prior states the {kind.meaning}" in text
        assert symbol not in law.optional or f"{law.optional[symbol]:g} in the paper" in text


@pytest.mark.parametrize("name", LAWS)
def test_the_paper_and_the_place_in_it_are_named(name):
    law = LAWS[name]
    text = " ".join(sections(law.__doc__)["References"].split())
    assert law.equation in text
    title = re.search(rf"@\w+\{{{law.source},.*?title = \{{(.*?)\}}", (DATA / "references.bib").read_text(), re.S)
    assert title[1] in text
    assert re.match(r"\S.*\((19|20)\d\d\), ", text)


def test_every_paper_is_cited_with_authors_and_year():
    keys = re.findall(r"^@\w+\{(\w+),", (DATA / "references.bib").read_text(), re.M)
    for key in keys:
        assert re.fullmatch(r"[^{}]+ \(\d{4}\), [^{}]+", cited(key)), key
    assert cited("pearce2024") == "Pearce and Song (2024), Reconciling Kaplan and Chinchilla Scaling Laws, arXiv:2406.12907"
    assert cited("A note of ours") == "A note of ours"


def test_what_means_nothing_known_has_to_be_told():
    def unknown_input(z: Value, *, alpha: Exponent) -> Value:
        return z**-alpha

    def unknown_output(N: Value, *, alpha: Exponent) -> Value:
        return N**-alpha

    with pytest.raises(TypeError, match="z is no known quantity"):
        law(output="loss", source="x", equation="y")(unknown_input)
    with pytest.raises(TypeError, match="return is no known quantity"):
        law(output="magic", source="x", equation="y")(unknown_output)
    assert not {"unknown_input", "unknown_output"} & set(LAWS)


def test_the_innermost_words_give_way_to_those_beside_them():
    Rate = Annotated[Exponent, "a rate"]

    def rate_law(N: Value, *, r: Rate, s: Annotated[Rate, "another rate"]) -> Value:
        """Rates."""
        return N ** -(r + s)

    rate_law.__annotations__ = {"N": Value, "r": Rate, "s": Annotated[Rate, "another rate"], "return": Value}
    made = law(output="loss", source="A note", equation="one")(rate_law)
    try:
        assert "r : float or array\n    A rate." in made.__doc__
        assert "s : float or array\n    Another rate." in made.__doc__
        assert "A note: one." in made.__doc__
    finally:
        del LAWS["rate_law"]


@pytest.mark.parametrize("name", LAWS)
def test_the_documentation_begins_with_what_the_law_says_of_itself(name):
    own = inspect.getdoc(LAWS[name].function)
    assert own
    assert inspect.getdoc(LAWS[name]).startswith(own.partition("\n\n")[0])
