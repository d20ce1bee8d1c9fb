"""Every operation of the OpenAPI document, asked what nobody would ask: the answer is one that it names."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from fraud.api import build_api
from fraud.service import FraudService
from tests.unit.conftest import *  # noqa: F403 - the service over small adapters
from tests.unit.test_api import no_background

N_EXAMPLES = int(os.environ.get("FRAUD_SCHEMATHESIS_EXAMPLES", "15"))
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)


@pytest.fixture
def api_schema(service: FraudService) -> Iterator[object]:
    yield schemathesis.openapi.from_asgi("/openapi.json", build_api(service, no_background, lambda: True))


schema = schemathesis.pytest.from_fixture("api_schema")


@schema.parametrize()
@settings(
    max_examples=N_EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_every_operation_answers_as_documented(case: schemathesis.Case) -> None:
    case.call_and_validate(checks=CHECKS)
