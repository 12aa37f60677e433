"""A fit file is whole or not there, and says so when it is damaged."""

from __future__ import annotations

import hashlib
import io
import json
import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_scaling.errors import DamagedFit, InvalidFit, MissingFit, OutOfRange, Unwritable
from bayes_scaling.model.document import read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.posterior.checks import checked
from bayes_scaling.posterior.fit import Fit, _alone, load_fit
from bayes_scaling.posterior.fit_file import _ATTRIBUTE, _LENGTH, _SEAL, write_fit
from bayes_scaling.posterior.rounding import rounded
from bayes_scaling.posterior.sound import refuse_lacking_groups


def reseal(path, change):
    """Change a fit file as somebody who has the package could: the checksum and the digest are made anew."""
    content = path.read_bytes()[:-_LENGTH]
    memory = io.BytesIO(content)
    with h5py.File(memory, "r+") as root:
        said = json.loads(root.attrs[_ATTRIBUTE])
        change(root, said)
        root.attrs[_ATTRIBUTE] = json.dumps(said)
    content = memory.getvalue()
    path.write_bytes(content + _SEAL + hashlib.sha256(content).hexdigest().encode() + b"\n")
    return path


def test_all_that_is_kept_in_full_comes_back(fit_by_hand, tmp_path):
    path = fit_by_hand.save(tmp_path / "fit.nc", full=True)
    again = load_fit(path)
    xr.testing.assert_identical(again.posterior, fit_by_hand.posterior)
    xr.testing.assert_identical(again.prior, fit_by_hand.prior)
    assert again.model == fit_by_hand.model
    assert dict(again.facts) == dict(fit_by_hand.facts)
    assert again.reference == fit_by_hand.reference
    assert again.table.equals(fit_by_hand.table)
    assert again.digest == fit_by_hand.digest
    again.save(path)  # the file is closed: it can be written over
    assert [p.name for p in tmp_path.iterdir()] == ["fit.nc"]


def test_a_fit_that_is_loaded_knows_its_digest(real_fit, tmp_path, monkeypatch):
    path = real_fit.save(tmp_path / "fit.nc")
    digest, again = load_fit(path)._contents().digest, load_fit(path)
    monkeypatch.setattr(Fit, "_contents", None)  # which draws the prior again
    assert again.digest == digest


def test_a_fit_is_thinned_to_one_draw_at_least(fit_by_hand):
    assert fit_by_hand.thinned(1).posterior.sizes["draw"] == 1
    with pytest.raises(OutOfRange, match="at least one"):
        fit_by_hand.thinned(0)


def test_by_default_a_fit_is_small_and_comes_back_as_it_was(real_fit, tmp_path):
    for name in ("posterior", "sample_stats"):  # as they are sampled unless all digits are asked for
        real_fit = real_fit._with_group(name, rounded(real_fit.tree[name].to_dataset()))
    path, whole = real_fit.save(tmp_path / "fit.nc"), real_fit.save(tmp_path / "whole.nc", full=True)
    assert path.stat().st_size < 0.5 * whole.stat().st_size
    again = load_fit(path)
    xr.testing.assert_identical(again.prior, real_fit.prior)
    xr.testing.assert_identical(again.posterior, real_fit.posterior)
    assert load_fit(again.save(tmp_path / "again.nc")).digest == again.digest == real_fit.digest
    assert path.read_bytes() == (tmp_path / "again.nc").read_bytes()
    assert load_fit(whole).digest == real_fit.digest


def test_the_digest_is_of_all_but_the_time(fit_by_hand):
    assert fit_by_hand.digest == fit_by_hand.with_facts(made="2026-01-01", seconds_of_sampling=3.0).digest
    others = [
        fit_by_hand.with_facts(loss_unit="bits/byte"),
        replace(fit_by_hand, reference={**fit_by_hand.reference, "N": 2e9}),
        replace(fit_by_hand, checks=()) if fit_by_hand.checks else checked(fit_by_hand),
        fit_by_hand._with_group("posterior", fit_by_hand.posterior.assign(E=1.001 * fit_by_hand.posterior["E"])),
        fit_by_hand._with_group("observations/loss", 2 * fit_by_hand.tree["observations/loss"].to_dataset()),
    ]
    assert len({fit_by_hand.digest, *(other.digest for other in others)}) == 6


def test_arviz_takes_it_as_it_is(fit_by_hand, tmp_path):
    import arviz_stats

    tree = xr.load_datatree(fit_by_hand.save(tmp_path / "fit.nc"), engine="h5netcdf")
    assert "alpha" in arviz_stats.summary(tree).index
    assert tree["sample_stats/diverging"].dtype == bool


@pytest.mark.parametrize("damage", ["empty", "garbage", "flipped"])
def test_damage_is_found(fit_by_hand, tmp_path, damage):
    path = fit_by_hand.save(tmp_path / "fit.nc")
    whole = path.read_bytes()
    place = len(whole) // 2
    path.write_bytes(
        {
            "empty": b"",
            "garbage": os.urandom(5000),
            "flipped": whole[:place] + bytes(b ^ 0xFF for b in whole[place : place + 64]) + whole[place + 64 :],
        }[damage]
    )
    with pytest.raises(DamagedFit, match=r"fit\.nc"):
        load_fit(path)


@pytest.mark.parametrize("flips", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_no_flipped_bit_and_no_cut_goes_unseen(fit_by_hand, tmp_path, flips):
    path = fit_by_hand.save(tmp_path / "fit.nc")
    whole = path.read_bytes()
    for content in [*flipped(whole, flips), *(whole[:place] for place in range(0, len(whole), 4096))]:
        path.write_bytes(content)
        with pytest.raises(DamagedFit, match=r"fit\.nc"):
            load_fit(path)


@pytest.mark.slow
def test_a_flipped_bit_under_a_checksum_made_anew_is_refused_or_changes_nothing(fit_by_hand, tmp_path):
    """As the checksum of the last line is, so are the readers of HDF5 and of what it holds: no other numbers, no exception but ours."""
    path = fit_by_hand.save(tmp_path / "fit.nc")
    whole, refused = path.read_bytes()[:-_LENGTH], 0
    digest, draws = fit_by_hand.digest, load_fit(path).posterior
    for content in flipped(whole, 1000):
        path.write_bytes(content + _SEAL + hashlib.sha256(content).hexdigest().encode() + b"\n")
        try:
            found = load_fit(path)
        except InvalidFit:
            refused += 1
            continue
        assert found.digest == digest
        xr.testing.assert_identical(found.posterior, draws)
    assert refused > 100
    print(f"\n{refused} of 1000 bits under a new checksum refused, the others changed nothing")


def flipped(whole, times):
    """Yield the content with one bit changed, at places taken at random."""
    for bit in np.random.default_rng(0).integers(8 * len(whole), size=times):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        yield bytes(content)


def test_swapped_groups_are_refused(fit_by_hand, tmp_path):
    def swapped(root, _said):
        names = [name for name in root if isinstance(root[name], h5py.Group)]
        for one, other in pairwise(names):
            root.move(one, "aside")
            root.move(other, one)
            root.move("aside", other)

    with pytest.raises(DamagedFit):
        load_fit(reseal(fit_by_hand.save(tmp_path / "fit.nc"), swapped))


def test_what_is_no_fit_of_this_format_is_refused(fit_by_hand, tmp_path):
    xr.Dataset({"a": 1.0}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(DamagedFit, match="but not a fit"):
        load_fit(tmp_path / "other.nc")
    with pytest.raises(MissingFit):
        load_fit(tmp_path / "none.nc")
    tree = xr.load_datatree(fit_by_hand.save(tmp_path / "fit.nc"), engine="h5netcdf")
    for said, message in (
        ('{"format": 2}', "has format 2, this version reads 3"),
        ('{"format": 3}', "checksum .* is missing"),
    ):
        tree.attrs = {_ATTRIBUTE: said}
        tree.to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
        with pytest.raises(DamagedFit, match=message):
            load_fit(tmp_path / "other.nc")


def test_an_edited_fit_is_refused(fit_by_hand, tmp_path):
    def swapped(root, _said):
        values = root["posterior/alpha"][()]
        root["posterior/alpha"][...] = root["posterior/beta"][()]
        root["posterior/beta"][...] = values

    def exchange(root, one, other):
        root.move(one, "aside")
        root.move(other, one)
        root.move("aside", other)

    edits = [
        lambda _root, said: said.update(checks=[]),
        lambda _root, said: said["facts"].update(loss_unit="bits/byte"),
        lambda _root, said: said["reference"].update(N=1.0),
        lambda _root, said: said["model"].update(title="another"),
        lambda root, _said: root["posterior/E"].__setitem__((0, 0), 1.0),
        lambda root, _said: root["observations/loss/loss"].__setitem__(0, 9.0),
        swapped,
        lambda root, _said: exchange(root, "posterior", "prior"),
        lambda root, _said: exchange(root, "posterior", "sample_stats"),
        lambda root, _said: exchange(root, "posterior/E", "prior/E"),
    ]
    path = checked(fit_by_hand).save(tmp_path / "fit.nc", full=True)
    whole = path.read_bytes()
    for edit in edits:
        path.write_bytes(whole)
        reseal(path, edit)
        with pytest.raises(DamagedFit):
            load_fit(path)


def test_what_no_fit_says_is_refused(fit_by_hand, tmp_path):
    edits = {
        "facts.*missing|runs: field required": lambda _root, said: said.update(facts={}),
        "reference": lambda _root, said: said.update(reference="here"),
        "reference.N": lambda _root, said: said["reference"].update(N=-1.0),
        "checks": lambda _root, said: said.update(checks=["passed"]),
        "posterior/E": lambda root, _said: root.__delitem__("posterior/E"),
        "nested|recursion|Recursion|model": lambda _root, said: said.update(model=None),
        "arrays": lambda _root, said: said.update(arrays=["posterior/E"]),
        "dimensions instead of 3": lambda _root, said: said["arrays"].update({"posterior/E": ["draw", "chain", "run"]}),
    }
    for message, edit in edits.items():
        path = reseal(fit_by_hand.save(tmp_path / "fit.nc"), edit)
        with pytest.raises(DamagedFit, match=message):
            load_fit(path)


def test_groups_are_those_of_a_fit(fit_by_hand):
    groups = {group.path[1:]: group.to_dataset() for group in fit_by_hand.tree.subtree if group.has_data}
    refuse_lacking_groups(groups, ["loss"])
    with pytest.raises(InvalidFit, match="observations/other"):
        refuse_lacking_groups(groups, ["loss", "other"])
    with pytest.raises(InvalidFit, match="code"):
        refuse_lacking_groups({**groups, "code": xr.Dataset()}, ["loss"])


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("E", lambda draws: draws - 100, "E has negative draws"),
        ("E", lambda draws: draws.where(draws > 1.8), "E has draws that are not finite"),
        ("E", lambda draws: draws.astype(int), "E has no numbers"),
        ("E", lambda draws: draws.expand_dims(run=3, axis=2), "E has the dims"),
        ("sigma", None, "lacks sigma"),
        ("omega", lambda _draws: 1.0, "has omega"),
    ],
)
def test_draws_that_no_model_has_are_refused(fit_by_hand, tmp_path, name, change, message):
    posterior = fit_by_hand.posterior
    changed = posterior.drop_vars(name) if change is None else posterior.assign({name: change(posterior.get(name))})
    bad = fit_by_hand._with_group("posterior", changed)
    with pytest.raises(InvalidFit, match=message):
        bad.save(tmp_path / "fit.nc")
    write_fit(tmp_path / "fit.nc", bad._contents(full=True))
    with pytest.raises(DamagedFit, match=message):
        load_fit(tmp_path / "fit.nc")


@pytest.mark.parametrize(
    ("group", "name", "change", "message"),
    [
        ("prior", "E", lambda draws: draws.astype(str), "the prior of E has no numbers"),
        ("prior", "E", lambda draws: draws - 100, "the prior of E has negative draws"),
        ("sample_stats", "diverging", lambda draws: draws.astype(str), "diverging of its sample_stats is not numeric"),
        (
            "observations/loss",
            "compute_flops",
            lambda column: column.astype(str),
            "have values of compute_flops that are not positive",
        ),
        ("observations/loss", "compute_flops", lambda column: -column, "have values of compute_flops that are not positive"),
    ],
)
def test_other_groups_that_no_fit_has_are_refused(fit_by_hand, tmp_path, group, name, change, message):
    stored = fit_by_hand.tree[group].to_dataset()
    bad = fit_by_hand._with_group(group, stored.assign({name: change(stored[name])}))
    write_fit(tmp_path / "fit.nc", bad._contents(full=True))
    with pytest.raises(DamagedFit, match=message):
        load_fit(tmp_path / "fit.nc")


def test_a_fit_that_says_its_draws_are_not_finite_is_read(fit_by_hand, tmp_path):
    draws = fit_by_hand.posterior["E"].copy()
    draws[1, 7] = np.nan
    bad = checked(fit_by_hand._with_group("posterior", fit_by_hand.posterior.assign(E=draws)))
    again = load_fit(bad.save(tmp_path / "fit.nc"))
    assert "NOT converged" in again.verdict
    assert np.isnan(again.posterior["E"][1, 7])


def test_an_interrupted_write_leaves_what_was_there(fit_by_hand, tmp_path, monkeypatch):
    path = fit_by_hand.save(tmp_path / "fit.nc")
    before = path.read_bytes()

    def stop(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", stop)
    with pytest.raises(KeyboardInterrupt):
        fit_by_hand.save(path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_is_a_sentence(fit_by_hand, tmp_path, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(Unwritable, match="No space left on device"):
        fit_by_hand.save(tmp_path / "fit.nc")
    assert list(tmp_path.iterdir()) == []


def test_no_folder_and_a_folder_are_refused(fit_by_hand, tmp_path):
    with pytest.raises(Unwritable, match="There is no folder"):
        fit_by_hand.save(tmp_path / "none" / "fit.nc")
    with pytest.raises(Unwritable, match="is a folder"):
        fit_by_hand.save(tmp_path)


def test_the_repr_says_the_verdict_first(fit_by_hand):
    assert "not been checked" in fit_by_hand.verdict
    assert "example" in repr(fit_by_hand)
    assert "<p>" in fit_by_hand._repr_html_()
    thin = fit_by_hand.thinned(10)
    assert thin.posterior.sizes["draw"] == 10
    np.testing.assert_array_equal(thin.posterior["E"][0, 1], fit_by_hand.posterior["E"][0, 10])


def test_an_observation_may_lack_the_quantity_of_a_reference_point():
    """The document takes its reference from the typical data, which only one of its two kinds of rows knows."""
    model, steps = read_model("critical_batch_of_data"), np.geomspace(1e3, 1e5, 6)
    scans = pd.DataFrame({"scan": "one", "batch_tokens": 1e5 * np.arange(1, 7), "steps": steps})
    noise = pd.DataFrame({"tokens": 1e5 * steps, "noise_tokens": 1e4 * np.sqrt(steps), "batch_tokens": 1e5})
    layout = Layout.of(model, {"scans": scans, "noise": noise})
    assert _alone(layout, model.observation("scans")).reference == layout.reference
