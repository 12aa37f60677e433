"""What OpenAPI says holds: requests made up from it, right ones and wrong ones, get what it says they get."""

from __future__ import annotations

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def test_requests_get_what_the_document_says(service):
    document = schemathesis.openapi.from_url(f"{service.address}openapi.json")
    operations = [found.ok() for found in document.get_all_operations()]
    asked = [operation for operation in operations if operation.path.startswith("/fits/{fit}/")]
    assert len(asked) > 2 * 20
    for operation in asked:

        @settings(
            max_examples=5,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=GenerationMode.NEGATIVE) | operation.as_strategy())
        def holds(case):
            case.path_parameters["fit"] = "fit"
            response = case.call(timeout=60)
            case.validate_response(response, checks=CHECKS)
            assert "Traceback" not in response.text

        holds()


def test_nothing_went_wrong_inside(service):
    assert not [line for line in service.log if "error" in line]
    assert httpx.get(f"{service.address}healthz").status_code == 200
