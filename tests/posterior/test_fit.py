"""A fit file is whole or not there, and says so when it is damaged."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_scaling.errors import InvalidFit, Unwritable
from bayes_scaling.model.document import read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.posterior.fit import _alone, load_fit


def test_save_and_load_keep_everything(fit_by_hand, tmp_path):
    path = fit_by_hand.save(tmp_path / "fit.nc")
    again = load_fit(path)
    xr.testing.assert_identical(again.posterior, fit_by_hand.posterior)
    assert again.model == fit_by_hand.model
    assert dict(again.facts) == dict(fit_by_hand.facts)
    assert again.reference == pytest.approx(fit_by_hand.reference)
    assert again.table.equals(fit_by_hand.table)
    again.save(path)  # the file is closed: it can be written over
    assert [p.name for p in tmp_path.iterdir()] == ["fit.nc"]


def test_arviz_takes_it_as_it_is(fit_by_hand, tmp_path):
    import arviz_stats

    tree = xr.load_datatree(fit_by_hand.save(tmp_path / "fit.nc"), engine="h5netcdf")
    assert "alpha" in arviz_stats.summary(tree).index


@pytest.mark.parametrize("damage", ["empty", "truncated", "garbage", "flipped"])
def test_damage_is_found(fit_by_hand, tmp_path, damage):
    path = fit_by_hand.save(tmp_path / "fit.nc")
    whole = path.read_bytes()
    draws = fit_by_hand.posterior["alpha"].values.tobytes()
    place = whole.index(draws[:64]) if draws[:64] in whole else len(whole) // 2
    path.write_bytes(
        {
            "empty": b"",
            "truncated": whole[: len(whole) // 2],
            "garbage": os.urandom(5000),
            "flipped": whole[:place] + bytes(b ^ 0xFF for b in whole[place : place + 64]) + whole[place + 64 :],
        }[damage]
    )
    with pytest.raises(InvalidFit, match=r"fit\.nc"):
        load_fit(path)


def test_other_netcdf_and_other_formats_are_refused(fit_by_hand, tmp_path):
    xr.Dataset({"a": 1.0}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(InvalidFit, match="but not a fit"):
        load_fit(tmp_path / "other.nc")
    with pytest.raises(InvalidFit, match="There is no fit"):
        load_fit(tmp_path / "none.nc")
    path = fit_by_hand.save(tmp_path / "fit.nc")
    tree = xr.load_datatree(path, engine="h5netcdf")
    for old, new, message in (
        ('"format": 2', '"format": 99', "has format 99"),
        ('"mu": -0.6', '"mu": 0.7', "not the one it was fitted with"),
        ('"facts"', '"fact"', "not a whole fit"),
    ):
        changed = tree.copy()
        changed.attrs = {"bayes_scaling": tree.attrs["bayes_scaling"].replace(old, new)}
        changed.to_netcdf(tmp_path / "changed.nc", engine="h5netcdf")
        with pytest.raises(InvalidFit, match=message):
            load_fit(tmp_path / "changed.nc")
    lacking = xr.DataTree.from_dict(
        {g.path: g.to_dataset(inherit=False) for g in tree.subtree if g.path not in ("/", "/posterior")}
    )
    lacking.attrs = tree.attrs
    lacking.to_netcdf(tmp_path / "lacking.nc", engine="h5netcdf")
    with pytest.raises(InvalidFit, match="posterior"):
        load_fit(tmp_path / "lacking.nc")


def test_an_interrupted_write_leaves_what_was_there(fit_by_hand, tmp_path, monkeypatch):
    path = fit_by_hand.save(tmp_path / "fit.nc")
    before = path.read_bytes()

    def stop(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(xr.DataTree, "to_netcdf", stop)
    with pytest.raises(KeyboardInterrupt):
        fit_by_hand.save(path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_is_a_sentence(fit_by_hand, tmp_path, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.DataTree, "to_netcdf", full)
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
