"""The folder of a service: which fits it has, what changes, and what is in their files."""

from __future__ import annotations

import threading
import time

import httpx
import pytest

import bayes_scaling as bs
from bayes_scaling.posterior.examples import example_fit
from tests.service.service import checked, start

RUN = "params=7e10&tokens=1.4e12"


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """A service of a folder that changes: a batch, with its fits in ``fits``."""
    folder = tmp_path_factory.mktemp("batch")
    (folder / "fits").mkdir()
    checked(example_fit(draws=500)).save(folder / "fits" / "table-chinchilla-0123abcd.nc")
    checked(example_fit(draws=500)).save(folder / "fit.nc")
    (folder / "report.html").write_text("no fit")
    (folder / ".hidden.nc").write_text("no fit")
    running = start(folder)
    yield running
    running.stop()


def test_fits_are_listed_with_what_they_are(http):
    listed = http.get("/fits").json()
    lines = {line["id"]: line for line in listed["fits"]}
    assert set(lines) == {"fit", "grouped", "rates", "system", "not_converged", "mixture", "damaged"}
    assert listed["count"] == 7
    assert listed["more"] is False
    assert lines["fit"]["laws"] == ["chinchilla"]
    assert lines["fit"]["converged"] is True
    assert lines["not_converged"]["converged"] is False
    assert lines["mixture"]["kind"] == "mixture"
    assert "cannot be read" in lines["damaged"]["problem"]
    assert [line["id"] for line in http.get("/fits?after=mixture").json()["fits"]] == ["not_converged", "rates", "system"]


def test_a_fit_is_described(http, served):
    about, fit = http.get("/fits/fit").json(), bs.load_fit(served / "fit.nc")
    assert about["fit_digest"] == fit.digest
    assert about["parameters"]["alpha"]["lower"] < about["parameters"]["alpha"]["upper"]
    (observation,) = about["observations"].values()
    assert observation["inputs"] == ["params", "tokens"]
    assert len(observation["runs"]) == observation["rows"] == len(fit.table)
    assert http.get("/fits/system").json()["observations"].keys() == {
        o.name for o in fit_of_system(served).model.observations
    }
    assert http.get("/fits/mixture").json()["weights"] == {"one": 0.7, "other": 0.3}


def fit_of_system(served):
    return bs.load_fit(served / "system.nc")


def test_a_damaged_file_is_said_to_be_one(http):
    for path in ("/fits/damaged", f"/fits/damaged/predict?{RUN}", "/fits/damaged/report"):
        assert http.get(path).status_code == 409
        assert "cannot be read" in http.get(path).json()["detail"]


def test_lists_are_those_of_the_package(http):
    assert {law["law"] for law in http.get("/laws").json()} == set(bs.laws.LAWS)
    assert [model["model"] for model in http.get("/models").json()] == bs.shipped_models()


def test_a_report_may_run_its_own_scripts_and_no_others(http):
    response = http.get("/fits/fit/report")
    assert response.status_code == 200
    assert response.text.startswith("<!DOCTYPE html>") or response.text.startswith("<!doctype html>")
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "script-src 'unsafe-inline'" not in policy
    again = http.get("/fits/fit/report", headers={"if-none-match": response.headers["etag"]})
    assert again.status_code == 304
    assert again.headers["content-security-policy"] == policy
    assert http.get("/fits/mixture/report").status_code == 422


def test_what_the_client_has_is_not_sent_again(http):
    first = http.get(f"/fits/fit/predict?{RUN}")
    tag = first.headers["etag"]
    for given in (tag, f"W/{tag}", f'"a", {tag}', "*"):
        again = http.get(f"/fits/fit/predict?{RUN}", headers={"if-none-match": given})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"] == tag
    assert http.get(f"/fits/fit/predict?{RUN}&prob=0.9").headers["etag"] == tag
    assert http.get(f"/fits/fit/predict?{RUN}&prob=0.8", headers={"if-none-match": tag}).status_code == 200
    assert http.get(f"/fits/mixture/predict?{RUN}").headers["etag"] != tag


def test_a_batch_is_served_with_its_fits(other):
    assert {line["id"] for line in httpx.get(f"{other.address}fits").json()["fits"]} == {"fit", "table-chinchilla-0123abcd"}
    assert httpx.get(f"{other.address}fits/table-chinchilla-0123abcd/predict?{RUN}").status_code == 200


def test_fits_that_come_and_go_are_noticed(other):
    path = example_fit(draws=400).save(other.folder / "new.nc")
    assert httpx.get(f"{other.address}fits/new/predict?{RUN}").status_code == 200
    path.unlink()
    assert httpx.get(f"{other.address}fits/new/predict?{RUN}").status_code == 404
    assert "new" not in {line["id"] for line in httpx.get(f"{other.address}fits").json()["fits"]}


def test_a_fit_that_is_replaced_under_load_gives_answers_of_the_old_or_the_new(other):
    """Every answer is whole: the loss belongs to the digest beside it, and from the last replacement on it is the new one's."""
    fits = {fit.digest: fit for fit in (checked(example_fit(draws=draws)) for draws in (500, 450))}
    expected = {
        digest: bs.ask(fit, "predict", params=7e10, tokens=1.4e12).to_dict()["median"] for digest, fit in fits.items()
    }
    found, problems, stop = [], [], threading.Event()

    def client(number):
        with httpx.Client(base_url=other.address, timeout=30) as http:
            count = 0
            while not stop.is_set():
                count += 1
                seed = number * 10_000 + count if count % 2 else 0  # some are in the cache, some are not
                answer = http.get(f"/fits/fit/predict?{RUN}&seed={seed}")
                if answer.status_code == 200:
                    found.append((seed, answer.json()["fit_digest"], answer.json()["median"]))
                elif answer.status_code not in (429, 503):
                    problems.append(answer.text)

    clients = [threading.Thread(target=client, args=(number,)) for number in range(4)]
    for thread in clients:
        thread.start()
    for fit in [*fits.values()] * 4:
        fit.save(other.folder / "fit.nc")
        time.sleep(0.3)
    stop.set()
    for thread in clients:
        thread.join()
    assert not problems
    assert {digest for _, digest, _ in found} == set(fits)
    assert all(median == expected[digest] for seed, digest, median in found if seed == 0)
    last = httpx.get(f"{other.address}fits/fit/predict?{RUN}").json()
    assert last["fit_digest"] == list(fits)[-1]


def test_a_file_that_is_being_written_is_no_mixture_of_two(other):
    """A copy that is not whole yet gives no answer; once it is, it answers."""
    whole = checked(example_fit(draws=300)).save(other.folder / "source.nc").read_bytes()
    place = other.folder / "slow.nc"
    place.write_bytes(whole[: len(whole) // 2])
    assert httpx.get(f"{other.address}fits/slow/predict?{RUN}").status_code in (409, 503)
    place.write_bytes(whole)
    assert httpx.get(f"{other.address}fits/slow/predict?{RUN}").status_code == 200
