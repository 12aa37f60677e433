from __future__ import annotations

import hashlib
from pathlib import Path

import pooch
import pytest

from bayes_scaling.errors import MissingSource, UnknownFormat, UnknownName
from bayes_scaling.runs import catalog as datasets
from bayes_scaling.runs.catalog import CACHE, MIRROR, DownloadFailed, Source, available_runs, load_runs, runs_from

TEXT = b"size,cost,score\n1e8,1.2e18,3.4\n1e9,1.2e20,2.8\n"
SOURCE = Source(
    repository="someone/somewhere",
    commit="abc",
    path="data/table.csv",
    sha256=hashlib.sha256(TEXT).hexdigest(),
    title="Two runs",
    citation="nobody",
    licence="CC0",
    params="total",
    columns={"params": "size", "compute_flops": "cost", "loss": "score"},
    multiply={"compute_flops": 2},
)


@pytest.fixture
def mirrored(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "registry", lambda: {"two": SOURCE})
    monkeypatch.setenv(MIRROR, str(tmp_path))
    (tmp_path / "raw" / "two").mkdir(parents=True)
    path = tmp_path / "raw" / "two" / "table.csv"
    path.write_bytes(TEXT)
    return path


def test_a_mirror_serves_checked_files(mirrored):
    runs = load_runs("two")
    assert runs.table["compute_flops"].tolist() == [2.4e18, 2.4e20]
    assert runs.table["tokens"].tolist() == pytest.approx([4e9, 4e10])
    assert runs.card.params == "total"
    mirrored.write_bytes(TEXT + b" ")
    with pytest.raises(DownloadFailed, match="not the file that was published"):
        load_runs("two")
    mirrored.unlink()
    with pytest.raises(DownloadFailed, match="has no file"):
        load_runs("two")


def test_a_file_is_fetched_once_and_its_digest_checked(mirrored, monkeypatch, tmp_path):
    monkeypatch.delenv(MIRROR)
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    asked = []

    def fetched(text):
        def download(_self, url, output, _pooch, check_only=False):
            asked.append(url)
            Path(output).write_bytes(text)

        return download

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", fetched(TEXT))
    assert len(load_runs("two")) == len(load_runs("two")) == 2
    assert asked == ["https://raw.githubusercontent.com/someone/somewhere/abc/data/table.csv"]
    monkeypatch.setenv(CACHE, str(tmp_path / "other"))
    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", fetched(b"<html>not found</html>"))
    with pytest.raises(DownloadFailed, match="could not be fetched"):
        load_runs("two")


def test_no_network_says_what_to_do(mirrored, monkeypatch, tmp_path):
    monkeypatch.delenv(MIRROR)
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))

    def unreachable(*_args, **_kwargs):
        raise ConnectionError("no route")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", unreachable)
    with pytest.raises(DownloadFailed, match=r"no route.*name the folder in BAYES_SCALING_MIRROR"):
        load_runs("two")


def test_names_and_files_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownName, match="did you mean 'pile_families'"):
        runs_from("pile_famlies")
    with pytest.raises(MissingSource):
        runs_from("pile_families.csv")
    with pytest.raises(UnknownFormat):
        runs_from(str(tmp_path))
    assert runs_from("pile_families", loss_unit="nats/token").name == "pile_families"


def test_the_shipped_table_is_what_its_card_says():
    runs = load_runs("pile_families")
    assert len(runs) == 20
    assert "arXiv:2304.03208" in runs.card.citation
    table = runs.table.set_index("run_id")
    gpt = table.loc["Cerebras-GPT 13B"]
    # 20 tokens a parameter, all parameters counted, as the paper says.
    assert gpt.tokens / gpt.params_total == pytest.approx(20, rel=0.01)
    assert table.loc["Pythia 12B", "params_total"] == 11_846_072_320
    for name, row in table[table["family"] != "Pythia"].iterrows():
        assert row.params == row.depth * (12 * row.width**2 + 13 * row.width) + 2 * row.width, name
        assert row.width % row.heads == 0


def test_every_source_is_described():
    table = available_runs()
    assert table["citation"].str.len().min() > 10
    assert table["where"].str.startswith(("shipped", "https://")).all()
    for source in datasets.registry().values():
        assert len(source.sha256) == 64
        assert set(source.multiply) <= set(source.columns)


def test_public_sources_read(public_runs):
    hoffmann, steps = load_runs("hoffmann2022"), load_runs("steplaw2025")
    assert len(hoffmann) == 245
    assert len(hoffmann.where("loss < 3.44")) == 240
    assert len(steps) == 1911
    assert steps.table["tokens"].div(steps.table["steps"] * steps.table["batch_tokens"]).median() == pytest.approx(
        1, rel=0.01
    )
