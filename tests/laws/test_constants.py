from __future__ import annotations

import re

import pytest

from bayes_scaling.errors import UnknownName
from bayes_scaling.files import DATA
from bayes_scaling.laws import LAWS
from bayes_scaling.laws.constants import published, published_names
from bayes_scaling.quantities import PF_DAY

BIBLIOGRAPHY = set(re.findall(r"@\w+\{(\w+),", (DATA / "references.bib").read_text()))


@pytest.mark.parametrize("name", published_names())
def test_every_record_names_its_place(name):
    record = published(name)
    assert record.source in BIBLIOGRAPHY
    assert record.where
    assert record.constants
    for constant in record.constants.values():
        assert constant.unit
        assert constant.se is None or constant.se > 0
        if constant.interval:
            assert constant.interval[0] < constant.interval[1]


@pytest.mark.parametrize("name", [name for name in published_names() if published(name).law])
def test_constants_of_a_law_are_its_parameters(name):
    record = published(name)
    law = LAWS[record.law]
    assert list(record.constants) == [name for name in law.parameters if name not in law.optional]


def test_compute_is_in_flop():
    assert published("kaplan2020 L(C)").constants["C_c"].value == 1.6e7 * PF_DAY
    assert published("kaplan2020 L(C)").constants["C_c"].unit == "FLOP"


def test_a_wrong_name_is_a_sentence():
    with pytest.raises(UnknownName, match="did you mean 'kaplan2020 table 2'"):
        published("kaplan2020 tabel 2")
