"""The store in an object store that speaks S3, a real server on this machine."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

import bayes_scaling as bs
from bayes_scaling.batch.store import Store
from bayes_scaling.errors import Unwritable
from tests.batch.tables import ladder


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a server, and return the address of a folder in a bucket of it."""
    pytest.importorskip("moto")
    pytest.importorskip("s3fs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    environment = {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        import s3fs

        s3fs.S3FileSystem().mkdir("results")
        yield "s3://results/batch"
    server.terminate()
    server.wait()


pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_a_batch_in_an_object_store_is_that_of_a_folder(bucket, tmp_path):
    given = {"first": ladder(0), "second": ladder(1)}
    settings = {"draws": 200, "questions": [bs.question("allocate", compute=[1e21])], "progress": False, "workers": 1}
    here = bs.fit_many(given, "chinchilla", out=tmp_path / "out", **settings)
    there = bs.fit_many(given, "chinchilla", out=bucket, **settings)
    assert there.drop(columns="fit").equals(here.drop(columns="fit"))
    assert bs.batch.read_answers(bucket).equals(bs.batch.read_answers(tmp_path / "out"))
    assert Store(bucket).names("fits") == sorted(path.name for path in (tmp_path / "out" / "fits").iterdir())
    one, same = here["fit"][0].load(), there["fit"][0].load()
    assert one.posterior.equals(same.posterior)
    again = bs.fit_many(given, "chinchilla", out=bucket, **settings)
    assert again.drop(columns="fit").equals(here.drop(columns="fit"))


def test_a_store_that_is_not_there_is_a_sentence(bucket):
    with pytest.raises(Unwritable, match=r"s3://nowhere/batch/records/a\.json cannot be written"):
        Store("s3://nowhere/batch").write("records/a.json", b"{}")
    with pytest.raises(Unwritable, match="cannot be opened"):
        Store("pigeons://results")
