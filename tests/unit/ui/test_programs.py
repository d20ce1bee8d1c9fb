"""What programs may call, and what the snippets hold."""

import json
import shlex
from typing import Any

import gradio as gr
import pytest

from fraud.errors import SettingsError
from fraud.service import FraudService
from fraud.settings import read_settings
from fraud.ui import blocks
from fraud.ui.programs import snippets


def test_programs_may_call_scoring_and_nothing_else(service: FraudService) -> None:
    page = blocks.build_blocks(service)
    named = page.get_api_info()["named_endpoints"]
    assert list(named) == ["/score"]
    assert [p["parameter_name"] for p in named["/score"]["parameters"]] == ["transaction", "explain"]


def test_what_programs_call_answers_as_the_service_does(service: FraudService) -> None:
    page = blocks.build_blocks(service)
    score: Any = next(f.fn for f in page.fns.values() if f.api_name == "score")
    transaction = service.examples()[1]["transaction"]
    answer = score(dict(transaction), explain=True)
    expected = service.score(transaction).scores
    assert json.loads(json.dumps(answer)) == answer
    for model, said in answer["scores"].items():
        assert said["fraud_probability"] == expected[model].fraud_probability
        assert said["decision"] == expected[model].decision.value and len(said["reasons"]) == 5
    with pytest.raises(gr.Error, match="must be at least"):
        score({**transaction, "amount": -1})


def test_a_quote_in_a_value_cannot_leave_the_snippets_string() -> None:
    hostile = {"who": "a'; rm -rf / #", "flag": True, "none": None}
    words = shlex.split(snippets(hostile)["curl"])
    assert json.loads(words[-1]) == {"transaction": hostile}
    scope: dict[str, Any] = {}
    body = snippets(hostile)["python"]
    exec(body[body.index("transaction =") : body.index("print(")], scope)  # noqa: S102 (our own text)
    assert scope["transaction"] == hostile


def test_mcp_without_its_package_is_refused_by_name(
    service: FraudService, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_settings({}).server.mcp is False and read_settings({"FRAUD_MCP": "1"}).server.mcp is True
    monkeypatch.setattr(blocks, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="FRAUD_MCP"):
        blocks.mount_arguments(service, mcp=True)
    assert blocks.mount_arguments(service)["mcp_server"] is False
