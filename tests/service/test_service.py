"""How a service starts, guards itself, survives and ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import threading
import time

import httpx
import pytest

from bayes_scaling.posterior.examples import example_fit
from bayes_scaling.service import answering
from tests.command import command  # noqa: F401 - a fixture
from tests.service.service import COMMAND, checked, start

TOKEN = "a-token-that-nobody-guesses-1234"
RUN = "params=7e10&tokens=1.4e12"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    checked(example_fit(draws=500)).save(folder / "fit.nc")
    return folder


@pytest.fixture(scope="module")
def guarded(folder, tmp_path_factory):
    """A service that needs a token, and gives little time and place."""
    token = tmp_path_factory.mktemp("token") / "token"
    token.write_text(f"{TOKEN}\n")
    running = start(folder, "--token-file", str(token), "--at-once", "4", "--seconds", "10", "--workers", "2")
    yield running
    running.stop()


def answers(service):
    """Wait until every worker is there again, and answers."""
    until = time.monotonic() + 60
    while time.monotonic() < until and len(service.children) < 2:
        time.sleep(0.1)
    for seed in (time.monotonic_ns() for _ in range(50)):
        response = httpx.get(f"{service.address}fits/fit/predict?{RUN}&seed={seed}", headers=headers(), timeout=30)
        if response.status_code == 200:
            return
    raise AssertionError(response.text)


def headers(token=TOKEN):
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    "given",
    [
        [],
        [("authorization", "")],
        [("authorization", "Bearer")],
        [("authorization", "Bearer x")],
        [("authorization", f"Bearer {TOKEN}x")],
        [("authorization", f"Bearer {TOKEN[:-1]}")],
        [("authorization", f"Bearer {TOKEN.upper()}")],
        [("authorization", TOKEN)],
        [("authorization", f"Basic {TOKEN}")],
        [("authorization", f"Bearer {TOKEN} {TOKEN}")],
        [("authorization", f"Bearer {TOKEN}"), ("authorization", "Bearer other")],
        [("authorization", "Bearer " + "a" * 10_000)],
        [("authorization", b"Bearer \xff\xfe")],
        [("cookie", f"token={TOKEN}")],
        [("x-api-key", TOKEN)],
    ],
    ids=range(15),
)
def test_without_the_token_there_is_nothing(given, guarded):
    for path in ("fits", f"fits/fit/predict?{RUN}", "metrics", "openapi.json", "models", "laws", "nothing"):
        response = httpx.get(f"{guarded.address}{path}", headers=given)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert TOKEN not in response.text


def test_with_the_token_there_is_everything(guarded):
    for path in ("fits", f"fits/fit/predict?{RUN}", "metrics", "openapi.json"):
        assert httpx.get(f"{guarded.address}{path}", headers=headers()).status_code == 200
    assert httpx.get(f"{guarded.address}fits", headers=headers() | {"host": "behind.example"}).status_code == 200
    assert httpx.get(f"{guarded.address}fits?token={TOKEN}").status_code == 401
    assert TOKEN not in guarded.errors.read_text()


def test_whether_it_is_alive_and_the_page_need_none(guarded):
    assert httpx.get(f"{guarded.address}healthz").json()["status"] == "ok"
    assert httpx.get(guarded.address).headers["content-type"].startswith("text/html")


def test_slow_requests_are_ended(guarded):
    """Ten seconds are there for a request, headers and body, however much has come of it."""
    head = f"POST /fits/fit/predict HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n"
    parts = ["GET /fi", head, f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{", ""]
    begun = time.monotonic()
    connections = [socket.create_connection(("127.0.0.1", guarded.port), timeout=20) for _ in parts]
    for connection, part in zip(connections, parts, strict=True):
        connection.sendall(part.encode())
    received = [connection.recv(65536) for connection in connections]
    assert 8 < time.monotonic() - begun < 15
    assert [b"408 Request Timeout" in answer for answer in received] == [False, False, True, False]
    assert [answer == b"" for answer in received] == [True, True, False, True]
    for connection in connections:
        connection.close()


def test_more_requests_than_there_is_place_for_are_told_to_come_again(guarded):
    """Of twenty that take a while some are answered, the others get 429, and the service goes on."""
    statuses, waits = [], []

    def client(number):
        response = httpx.get(f"{guarded.address}fits/fit/decide?compute=1e23&seed={number}", headers=headers(), timeout=60)
        statuses.append(response.status_code)
        if response.status_code == 429:
            waits.append(response.headers["retry-after"])

    clients = [threading.Thread(target=client, args=(number,)) for number in range(20)]
    for thread in clients:
        thread.start()
    assert httpx.get(f"{guarded.address}healthz").status_code == 200
    for thread in clients:
        thread.join()
    assert set(statuses) == {200, 429}
    assert set(waits) == {"1"}


def test_an_answer_that_takes_too_long_is_ended_and_its_worker_replaced(guarded):
    """Workers that stand still give no answer within the ten seconds that there are."""
    before = set(guarded.children)
    for pid in before:
        os.kill(pid, signal.SIGSTOP)
    response = httpx.get(f"{guarded.address}fits/fit/predict?{RUN}&seed=99", headers=headers(), timeout=60)
    for pid in before & set(guarded.children):
        os.kill(pid, signal.SIGCONT)
    assert response.status_code == 503
    assert "10 seconds" in response.json()["detail"]
    answers(guarded)
    assert len(before - set(guarded.children)) == 1


def test_workers_that_die_are_replaced(guarded):
    before = guarded.children
    assert len(before) == 2
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 20
    while time.monotonic() < until and len(set(guarded.children) - set(before)) < 2:
        time.sleep(0.1)
    assert len(set(guarded.children) - set(before)) == 2
    answers(guarded)


def test_a_worker_that_dies_over_a_request_takes_nothing_with_it(guarded):
    """The request is given to another worker."""
    response = {}

    def client():
        response["one"] = httpx.get(f"{guarded.address}fits/fit/decide?compute=2e23&seed=5", headers=headers(), timeout=30)

    thread = threading.Thread(target=client)
    thread.start()
    time.sleep(0.1)
    for pid in guarded.children[:1]:
        os.kill(pid, signal.SIGKILL)
    thread.join()
    assert response["one"].status_code == 200
    answers(guarded)


def test_counts_are_those_of_the_requests(guarded):
    def count(text, what):
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(what))

    before = httpx.get(f"{guarded.address}metrics", headers=headers()).text
    for _ in range(3):
        httpx.get(f"{guarded.address}fits/fit/predict?{RUN}&seed=123", headers=headers(), timeout=30)
    after = httpx.get(f"{guarded.address}metrics", headers=headers()).text
    of_predict = 'bayes_scaling_requests_total{method="GET",route="/fits/{fit}/predict",status="200"}'
    assert count(after, of_predict) - count(before, of_predict) == 3
    assert count(after, "bayes_scaling_answers_cached_total") - count(before, "bayes_scaling_answers_cached_total") == 2
    assert count(after, "bayes_scaling_fits ") == 1


def test_an_answer_does_not_wait_for_an_acknowledgement(http):
    """Head and body are sent apart: a body that waits for the delayed ACK of a kept connection comes after 40 ms."""
    took = []
    for _ in range(60):
        begun = time.perf_counter()
        assert http.get(f"/fits/fit/predict?{RUN}").status_code == 200
        took.append(time.perf_counter() - begun)
    assert statistics.quantiles(took, n=4)[0] < 0.035


def test_the_log_is_a_line_of_json_a_request(guarded):
    line = next(line for line in reversed(guarded.log) if line["route"] == "/fits/{fit}/predict")
    assert set(line) == {"time", "client", "method", "route", "status", "milliseconds", "bytes", "fit"}
    assert line["fit"] == "fit"


def test_it_ends_in_good_order_and_answers_what_is_under_way(folder):
    running, answers = start(folder), []
    asks = f"{running.address}fits/fit/decide?compute=1e23"
    clients = [
        threading.Thread(target=lambda n=n: answers.append(httpx.get(f"{asks}&seed={n}", timeout=30))) for n in range(4)
    ]
    for thread in clients:
        thread.start()
    time.sleep(0.3)
    workers = running.children
    code = running.stop()
    for thread in clients:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * 4
    assert code in (0, -signal.SIGTERM)
    assert not [pid for pid in workers if os.path.exists(f"/proc/{pid}")]  # noqa: PTH110


def test_workers_end_with_a_service_that_is_killed(folder):
    running = start(folder)
    workers = running.children
    running.stop(signal.SIGKILL)
    until = time.monotonic() + 10
    while time.monotonic() < until and any(os.path.exists(f"/proc/{pid}") for pid in workers):  # noqa: PTH110
        time.sleep(0.1)
    assert not [pid for pid in workers if os.path.exists(f"/proc/{pid}")]  # noqa: PTH110


def test_what_cannot_be_served_is_refused_in_a_sentence(command, folder, tmp_path, service):  # noqa: F811
    short, spaced = tmp_path / "short", tmp_path / "spaced"
    short.write_text("abc")
    spaced.write_text("one two three four five")
    for words, said in (
        (["/no/such/folder"], "There is no folder"),
        ([folder, "--host", "0.0.0.0"], "give a --token-file"),
        ([folder, "--host", "192.0.2.1"], "give a --token-file"),
        ([folder, "--token-file", tmp_path / "none"], "cannot be read"),
        ([folder, "--token-file", short], "16 characters"),
        ([folder, "--token-file", spaced], "one word"),
        ([folder, "--port", "70000"], "between 0 and 65535"),
        ([folder, "--workers", "0"], "at least one"),
        ([folder, "--at-once", "0"], "at least one"),
        ([folder, "--seconds", "-1"], "between 0.01 and 3,600"),
        ([folder, "--seconds", "nan"], "between 0.01 and 3,600"),
        ([folder, "--port", service.port], "Choose another --port"),
    ):
        answer = command("serve", *words)
        assert answer.code == 2
        assert answer.err.startswith("Error: ")
        assert said in answer.err


def test_what_is_not_installed_is_named(command, folder, monkeypatch):  # noqa: F811
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "fastapi" else object())
    answer = command("serve", folder)
    assert answer.code == 2
    assert 'pip install "bayes-scaling[serve]"' in answer.err


def test_ctrl_c_ends_it_without_a_traceback(folder):
    process = subprocess.Popen(
        [COMMAND, "serve", str(folder), "--port", "0"], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr is not None
    assert "Serving" in process.stderr.readline()
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert "Traceback" not in errors


def test_every_question_is_in_the_document_with_an_example(http):
    from bayes_scaling.questions.base import QUESTIONS
    from bayes_scaling.service.requests import asks_flat

    paths = http.get("/openapi.json").json()["paths"]
    for name, kind in QUESTIONS.items():
        path = paths[f"/fits/{{fit}}/{name}"]
        body = path["post"]["requestBody"]["content"]["application/json"]
        assert set(kind.options()) <= set(body["schema"]["properties"])
        assert body["example"] or not body["schema"]["required"]
        assert ("get" in path) == asks_flat(kind)
        assert path["post"]["summary"]


def test_a_program_tells_problems_apart_without_reading_them(http):
    def problem(path, **fields):
        return http.post(path, json=fields).json()

    wrong = problem("/fits/fit/target", target=-1.0, compute=[1e14], prob=2.0)
    assert (wrong["code"], set(wrong["fields"])) == ("invalid-fields", {"target", "prob"})
    far = problem("/fits/fit/allocate", compute=[1e40])
    assert (far["code"], "fields" in far) == ("refused", False)
    assert problem("/fits/none/allocate", compute=[1e20])["code"] == "not-found"
    assert (
        http.post("/fits/fit/allocate", content=b"{", headers={"content-type": "application/json"}).json()["code"]
        == "malformed"
    )
    document = http.get("/openapi.json").json()
    assert {"code", "fields"} <= set(document["components"]["schemas"]["Problem"]["properties"])


def test_a_question_that_fails_says_nothing_of_how(folder, monkeypatch):
    """What goes wrong inside is logged, and the reply has none of it."""
    from bayes_scaling.service.folder import Folder

    stored = Folder(folder).find("fit")
    reply = answering._reply(stored, lambda posterior: json.dumps(1 / 0).encode())
    assert reply.status == answering.FAILED
    assert b"ZeroDivisionError" in reply.body
    from bayes_scaling.service.answers import checked as body_of
    from bayes_scaling.service.guard import Problem

    with pytest.raises(Problem, match="the log says what") as problem:
        body_of(reply)
    assert b"ZeroDivisionError" not in problem.value.body
