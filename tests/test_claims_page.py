"""The page of claims is made of what was measured, and its documents are documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bayes_scaling.model.document import Model, read_model
from bayes_scaling.questions.claims import CLAIMS
from notebooks.claims.page import HERE, SHOWN, Judged, _cell, _judged, measured, page


def test_the_page_says_what_was_measured():
    assert (HERE / "README.md").read_text(encoding="utf-8") == page(*measured())


def test_every_claim_shown_is_a_claim():
    assert set(SHOWN) <= {claim.statement for claim in CLAIMS}


@pytest.mark.parametrize("path", sorted(HERE.glob("*.toml")), ids=lambda path: path.stem)
def test_every_document_reads_and_says_why(path):
    system = read_model(path)
    assert isinstance(system, Model)
    assert all(len(parameter.why.split()) >= 5 for parameter in system.parameters.values())
    assert all(observation.why and observation.likelihood.why for observation in system.observations)


def test_links_and_pictures_are_there():
    for target in re.findall(r"\]\(([^)]+)\)", (HERE / "README.md").read_text(encoding="utf-8")):
        assert (Path(HERE) / target).is_file(), target


def test_what_failed_is_said():
    results, _, _ = measured()
    text = (HERE / "README.md").read_text(encoding="utf-8")
    failed = [name for name, result in results.items() if not result.get("converged", True)]
    for name in failed:
        section = text[text.index(f"### {name}") :]
        assert "FAILED" in section[: section.index("![")]


_BATCH = "exponent of the critical batch"


def _told(numbers, **alone):
    told = {name: {"claims": {_BATCH: each}, "converged": True} for name, each in alone.items()}
    return {"claims": {_BATCH: numbers}, "converged": True, "alone": told}


def test_measurements_that_exclude_each_other_stand_beside_the_number():
    joint = [0.21, 0.20, 0.22, 0.08, 0.6, 0.99]
    assert _judged(_told(joint), _BATCH) == Judged(joint, "agrees", {})
    curves, noise = [0.14, 0.13, 0.152, 0.08, 0.6, 0.99], [0.24, 0.214, 0.285, 0.08, 0.6, 0.99]
    judged = _judged(_told(joint, curves=curves, noise=noise), _BATCH)
    assert judged.verdict == "cannot tell"
    assert set(judged.against) == {"curves", "noise"}
    assert "curves alone 0.14 (0.13 to 0.152), noise alone 0.24 (0.214 to 0.285): cannot tell" in _cell(judged)
    of_the_prior = [*noise[:5], 0.3]  # which has measured nothing
    assert _judged(_told(joint, curves=curves, noise=of_the_prior), _BATCH).against == {}
    both_outside = _judged(
        _told([0.15, 0.14, 0.16, 0.08, 0.6, 0.99], a=curves, b=[0.17, 0.16, 0.18, 0.08, 0.6, 0.99]), _BATCH
    )
    assert (both_outside.verdict, len(both_outside.against)) == ("disagrees", 2)


def test_a_prior_that_says_much_is_shown():
    judged = _judged(_told([0.21, 0.16, 0.29, 0.15, 0.3, 0.2]), _BATCH)
    assert _cell(judged) == "0.21 (0.16 to 0.29); prior 0.15 to 0.3: cannot tell"
