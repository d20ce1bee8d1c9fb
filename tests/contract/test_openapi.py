"""Every operation of the OpenAPI document, asked what nobody would ask: the answer is one that it names."""

import os
from collections.abc import Iterator
from itertools import product

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from fraud.api import build_api
from fraud.service import FraudService
from tests.unit.conftest import champion, registry, service  # noqa: F401 - fixtures
from tests.unit.test_api import no_background

N_EXAMPLES = int(os.environ.get("FRAUD_SCHEMATHESIS_EXAMPLES", "25"))
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)


@pytest.fixture
def operations(service: FraudService) -> Iterator[list]:  # noqa: F811
    app = build_api(service, no_background, lambda: True)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    yield [result.ok() for result in schema.get_all_operations()]


def test_every_operation_answers_as_documented(operations: list) -> None:
    assert {operation.path for operation in operations} >= {"/v1/score", "/v1/score/batch", "/v1/explain"}
    for operation, mode in product(operations, GenerationMode):

        @settings(
            max_examples=N_EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=CHECKS)

        try:
            ask()
        except Unsatisfiable:  # nothing can be wrong about a request without a part
            assert mode is GenerationMode.NEGATIVE
