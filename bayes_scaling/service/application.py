"""The application: an endpoint for every question, made from its class, and the lists beside them."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from bayes_scaling import __version__
from bayes_scaling.errors import InvalidFields, InvalidRequest
from bayes_scaling.laws import LAWS
from bayes_scaling.model.document import listed_models
from bayes_scaling.questions.base import QUESTIONS, Question, plain
from bayes_scaling.service import documentation as documents
from bayes_scaling.service.answers import Answers, Tagged, checked
from bayes_scaling.service.guard import Guard, Problem
from bayes_scaling.service.metrics import Metrics
from bayes_scaling.service.page import add_page, report_policy
from bayes_scaling.service.requests import Malformed, asks_flat, question_of, read_body, read_query
from bayes_scaling.service.settings import Settings

_LISTED: Final = 100
"""Fits on a page of the list."""
_JSON: Final = "application/json"
_ANSWER: Final = {"$ref": "#/components/schemas/Answer"}


def application(settings: Settings) -> Guard:
    """Return the service of a folder as an ASGI application."""
    metrics = Metrics()
    answers = Answers(settings, metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        await answers.workers.start()
        yield
        await answers.workers.stop()

    app = FastAPI(
        title="bayes_scaling", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None
    )
    kinds = list(QUESTIONS.values())
    _add_lists(app, answers, metrics)
    for kind in kinds:
        _add_question(app, answers, kind)
    _add_openapi(app, kinds)
    _add_aliases(app, answers, kinds)
    add_page(app)

    @app.exception_handler(Problem)
    async def refused(_: Request, problem: Problem) -> Response:
        return Response(problem.body, problem.status, problem.headers, "application/problem+json")

    @app.exception_handler(HTTPException)
    async def missed(request: Request, error: HTTPException) -> Response:
        said = {
            404: "There is nothing at this address: /openapi.json lists the addresses.",
            405: "This address takes another method.",
        }
        problem = Problem(error.status_code, said.get(error.status_code, "The request cannot be answered."))
        return Response(problem.body, problem.status, error.headers, "application/problem+json")

    return Guard(app, settings, metrics)


def _add_lists(app: FastAPI, answers: Answers, metrics: Metrics) -> None:
    """Add what lists and describes: fits, models, laws, and how the service is."""

    @app.get("/healthz", responses=documents.json_of({"type": "object"}, "The service is running."), tags=["service"])
    async def healthz() -> Response:
        """Say whether the service answers."""
        alive = answers.workers.active
        return _json({"status": "ok" if alive else "stopping", "version": __version__}, 200 if alive else 503)

    @app.get("/metrics", tags=["service"], responses=_text("Counts, as Prometheus reads them."))
    async def counts() -> Response:
        """Return what was counted of requests."""
        metrics.fits.set(len(answers.folder.names))
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    listed = documents.json_of({"type": "object"}, "The fits.") | documents.problems()

    @app.get("/fits", tags=["fits"], responses=listed)
    async def fits(request: Request) -> Response:
        """List the fits of the folder, a hundred at a time: `?after=` the last name of the page before."""
        after = dict(_pairs(request)).get("after", "")
        names = [name for name in answers.folder.names if name > after]
        lines = await answers.lines(names[:_LISTED])
        return _json({"fits": lines, "count": len(answers.folder.names), "more": len(names) > _LISTED})

    described = documents.json_of({"type": "object"}, "Facts about the fit.") | documents.problems()

    @app.get("/fits/{fit}", tags=["fits"], responses=described)
    async def described_fit(fit: str, request: Request) -> Response:
        """Return what is known of a fit: verdict, checks, parameters, runs."""
        _know(request, answers, fit)
        return _tagged(request, await answers.describe(fit, _has(request)))

    @app.get("/fits/{fit}/report", tags=["fits"], responses=_text("The report.", "text/html") | documents.problems())
    async def report(fit: str, request: Request) -> Response:
        """Return the report of a fit: one page."""
        _know(request, answers, fit)
        found = await answers.report(fit, _has(request))
        response = _tagged(request, found, "text/html; charset=utf-8")
        # Of the page, not of the response: one that the browser has already is sent without it.
        response.headers["content-security-policy"] = report_policy(found.reply.body)
        return response

    @app.get("/models", tags=["lists"], responses=documents.json_of({"type": "array"}, "The models."))
    async def models() -> Response:
        """List the shipped models."""
        return _json(listed_models())

    @app.get("/laws", tags=["lists"], responses=documents.json_of({"type": "array"}, "The laws."))
    async def laws() -> Response:
        """List the laws, their inputs, parameters and sources."""
        return _json([law.to_dict() for law in LAWS.values()])


def _add_question(app: FastAPI, answers: Answers, kind: type[Question]) -> None:
    """Add the endpoints of a question."""
    settings, summary = answers.settings, (kind.__doc__ or "").strip().partition("\n")[0]
    responses = documents.json_of(_ANSWER, "The answer.")
    about: dict[str, Any] = {"summary": summary, "tags": [kind.panel], "description": ""}
    app.add_api_route(
        f"/fits/{{fit}}/{kind.name}",
        _posted(answers, kind),
        methods=["POST"],
        operation_id=f"post_{kind.name}",
        responses=responses | documents.problems(),
        openapi_extra=documents.of_body(kind, settings),
        **about,
    )
    if asks_flat(kind):
        app.add_api_route(
            f"/fits/{{fit}}/{kind.name}",
            _gotten(answers, kind),
            methods=["GET"],
            operation_id=f"get_{kind.name}",
            responses=responses | documents.problems(),
            openapi_extra=documents.of_query(kind, settings),
            **about,
        )


def _posted(answers: Answers, kind: type[Question]) -> Callable[..., Any]:
    async def ask(fit: str, request: Request) -> Response:
        _know(request, answers, fit)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
            raise Problem(415, f"The body has to be {_JSON}.")
        if request.url.query:
            raise Problem(400, "The fields of a POST belong in its body: leave the query out.")
        body = await request.body()
        return await _answered(request, answers, fit, kind, lambda: read_body(body, answers.settings))

    return ask


def _gotten(answers: Answers, kind: type[Question]) -> Callable[..., Any]:
    async def ask(fit: str, request: Request) -> Response:
        _know(request, answers, fit)
        return await _answered(request, answers, fit, kind, lambda: read_query(kind, _pairs(request), answers.settings))

    return ask


async def _answered(
    request: Request, answers: Answers, fit: str, kind: type[Question], read: Callable[[], dict[str, Any]]
) -> Response:
    try:
        asked = question_of(kind, read())
    except Malformed as error:
        raise Problem(400, str(error), code=error.code) from None
    except InvalidFields as error:
        raise Problem(422, str(error), code=error.code, fields=error.fields) from None
    except InvalidRequest as error:
        raise Problem(422, str(error), code=error.code) from None
    return _tagged(request, await answers.answer(fit, asked, _has(request)))


def _add_openapi(app: FastAPI, kinds: list[type[Question]]) -> None:
    """Add the description of everything that was added before."""
    document = app.openapi()
    document.setdefault("components", {}).setdefault("schemas", {}).update(documents.definitions(kinds))
    content = json.dumps(document)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        return Response(content, media_type=_JSON)


def _add_aliases(app: FastAPI, answers: Answers, kinds: list[type[Question]]) -> None:
    """Add the other names of questions: aliases, the class, the verb with underscores. No other name is looked up."""
    others: dict[str, type[Question]] = {}
    for kind in kinds:
        others |= dict.fromkeys((*kind.aliases, kind.name.replace("-", "_"), kind.__name__), kind)

    @app.api_route("/fits/{fit}/{question}", methods=["GET", "POST"], include_in_schema=False)
    async def ask(fit: str, question: str, request: Request) -> Response:
        _know(request, answers, fit)
        if question not in others:
            valid = ", ".join(kind.name for kind in kinds)
            raise Problem(404, f"There is no such question. Valid: {valid}.")
        make = _posted if request.method == "POST" else _gotten
        return await make(answers, others[question])(fit, request)


def _know(request: Request, answers: Answers, fit: str) -> None:
    """Refuse a fit that is not there; the name of one that is may stand in the log."""
    request.state.known_fit = answers.known(fit).name


def _pairs(request: Request) -> list[tuple[str, str]]:
    try:
        return parse_qsl(request.url.query, keep_blank_values=True, strict_parsing=bool(request.url.query), errors="strict")
    except ValueError:
        raise Problem(400, "The query is not of the form name=value&name=value, in UTF-8.") from None


def _has(request: Request) -> str:
    return request.headers.get("if-none-match", "")


def _tagged(request: Request, tagged: Tagged, media_type: str = _JSON) -> Response:
    """Return a reply with its tag; nothing but the tag where the client has it."""
    body, tag = checked(tagged.reply), f'"{tagged.tag}"'
    headers = {"etag": tag, "cache-control": "private, no-cache", "vary": "authorization"}
    if tagged.reply.warnings:
        headers["bayes-scaling-warnings"] = json.dumps(tagged.reply.warnings)
    if any(given.strip().removeprefix("W/") in (tag, "*") for given in _has(request).split(",")):
        return Response(None, 304, headers)
    return Response(body, 200, headers, media_type)


def _json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(plain(value), allow_nan=False), status, media_type=_JSON)


def _text(description: str, kind: str = "text/plain") -> dict[int | str, dict[str, Any]]:
    return {200: {"description": description, "content": {kind: {"schema": {"type": "string"}}}}}
