"""What OpenAPI says of the service: the fields of each question, from its class, with an example from its help."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from bayes_scaling.questions.base import Question
from bayes_scaling.service.requests import example_of, further, is_flat
from bayes_scaling.service.settings import Settings

_SCHEMAS: Final = "#/components/schemas/{model}"
_PROBLEMS: Final = {
    400: "The request cannot be read.",
    401: "The token is missing or wrong.",
    404: "There is no such fit.",
    405: "Only GET and POST.",
    408: "The request took too long to arrive.",
    409: "The fit has caveats that refuse an answer: override=true answers all the same.",
    413: "The body is too large.",
    414: "The address is too long.",
    415: "The body is not JSON.",
    421: "The request names another host.",
    431: "The headers are too large.",
    422: "This fit cannot answer the question as asked.",
    429: "Too many requests are under way.",
    503: "The answer took too long, or the files of the fit are being replaced.",
}
PROBLEM: Final = {
    "type": "object",
    "required": ["title", "status", "detail", "code"],
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, for people; it may change."},
        "code": {"type": "string", "description": "The kind of problem, for programs, such as invalid-fields or refused."},
        "fields": {"type": "array", "items": {"type": "string"}, "description": "Fields of the question that are wrong."},
    },
}
ANSWER: Final = {
    "type": "object",
    "description": "Tables and values of the question, its fields that are not the default, and what holds of every answer.",
    "required": ["question", "sentence", "caveats"],
    "properties": {
        "question": {"type": "string", "description": "Class of the question."},
        "sentence": {"type": "string", "description": "The answer in words."},
        "caveats": {"type": "array", "items": {"type": "string"}, "description": "Reasons not to rely on it."},
        "prob": {"type": "number", "description": "Probability of the intervals."},
        "loss_unit": {"type": "string"},
        "converged": {"type": "boolean"},
        "verdict": {"type": "string", "description": "Whether the posterior has converged."},
        "fit_digest": {"type": "string", "description": "SHA-256 of what the answer follows from."},
        "model_digest": {"type": "string", "description": "SHA-256 of the model."},
        "extrapolation_distance": {
            "type": "object",
            "description": "Decades by which what is asked for, or answered, lies beyond the runs; negative below them.",
            "additionalProperties": {"type": "number"},
        },
    },
}


def problems() -> dict[int | str, dict[str, Any]]:
    """Return the responses that refuse a request."""
    content = {"application/problem+json": {"schema": {"$ref": _SCHEMAS.format(model="Problem")}}}
    return {status: {"description": text, "content": content} for status, text in _PROBLEMS.items()}


def json_of(schema: Mapping[str, Any], description: str) -> dict[int | str, dict[str, Any]]:
    """Return the response that has what was asked for."""
    return {200: {"description": description, "content": {"application/json": {"schema": dict(schema)}}}}


def of_body(kind: type[Question], settings: Settings) -> dict[str, Any]:
    """Return the body of a question, for OpenAPI."""
    schema = {
        "type": "object",
        "properties": _fields(kind, settings),
        "required": _required(kind),
        "additionalProperties": False,
    }
    content = {"application/json": {"schema": schema, "example": example_of(kind)}}
    return {"requestBody": {"required": True, "content": content}}


def of_query(kind: type[Question], settings: Settings) -> dict[str, Any]:
    """Return the parameters of a question, for OpenAPI."""
    fields, required, example = _fields(kind, settings), _required(kind), example_of(kind)
    flat = [name for name in fields if name not in kind.model_fields or is_flat(kind.model_fields[name])]
    return {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": name in required,
                "schema": {key: value for key, value in fields[name].items() if key != "description"},
                "description": fields[name].get("description", ""),
                **({"style": "deepObject", "explode": True} if fields[name].get("type") == "object" else {}),
                **({"example": example[name]} if name in example else {}),
            }
            for name in flat
        ]
    }


def _required(kind: type[Question]) -> list[str]:
    return [name for name in kind.options() if kind.model_fields[name].is_required()]


def _fields(kind: type[Question], settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the schema of each field, by its own name, and of what every question of a posterior may be given beside them."""
    whole = kind.model_json_schema(by_alias=False, ref_template=_SCHEMAS)
    fields = {name: copy.deepcopy(whole["properties"][name]) for name in kind.options()}
    for name in further(kind).values():
        about = Question.model_fields[name].description if name == "override" else "Observation, where the fit has several."
        fields.setdefault(name, {"type": "boolean" if name == "override" else "string", "description": about})
    for schema in fields.values():
        for key in ("title", "default", "option", "of", "column", "file"):
            schema.pop(key, None)
        _bounded(schema, settings)
    return fields


def _bounded(schema: dict[str, Any], settings: Settings) -> None:
    """Say how long a field may be."""
    if schema.get("type") == "array":
        schema["maxItems"] = settings.items
    if schema.get("type") == "string":
        schema["maxLength"] = settings.text


def definitions(kinds: list[type[Question]]) -> dict[str, Any]:
    """Return the schemas that bodies and responses refer to."""
    found: dict[str, Any] = {"Answer": ANSWER, "Problem": PROBLEM}
    for kind in kinds:
        found |= kind.model_json_schema(by_alias=False, ref_template=_SCHEMAS).get("$defs", {})
    return found
