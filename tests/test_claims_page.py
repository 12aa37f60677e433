"""The page of claims is made of what was measured, and its documents are documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bayes_scaling.model.document import Model, read_model
from bayes_scaling.questions.claims import CLAIMS
from notebooks.claims.page import HERE, SHOWN, measured, page


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
