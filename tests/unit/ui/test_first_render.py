"""What the server first sends, read as the browser would read it."""

import re
from typing import Any

import gradio as gr
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fraud.service import FraudService
from fraud.ui.blocks import build_blocks, mount_arguments, mount_page


@pytest.fixture
def client(service: FraudService) -> TestClient:
    return TestClient(mount_page(FastAPI(), build_blocks(service), service))


def sent(client: TestClient, **headers: str) -> dict[str, Any]:
    config: dict[str, Any] = client.get("/config", headers=headers).json()
    return config


def verdict(config: dict[str, Any]) -> str:
    return str(
        next(c["props"]["value"] for c in config["components"] if c["props"].get("elem_id") == "verdict")
    )


def test_a_portuguese_browser_is_first_sent_portuguese(client: TestClient) -> None:
    config = sent(client, **{"accept-language": "pt-BR,pt;q=0.9"})
    assert config["title"] == "Esta transação é fraude?" and config["page_language"] == "pt-BR"
    assert "Modelo versão" in verdict(config)
    assert "Score this transaction" not in str(config["components"])


def test_both_answers_are_in_what_is_first_sent(client: TestClient) -> None:
    page = client.get("/", headers={"accept-language": "en"})
    assert len(re.findall(r"class=.{0,8}signed", page.text)) == 2
    assert "Model version" in verdict(sent(client))
    assert {"Accept-Language", "Cookie"} <= {v.strip() for v in page.headers["vary"].split(",")}


def test_the_chosen_language_wins_over_the_browsers(client: TestClient) -> None:
    asked = {"accept-language": "pt-BR", "cookie": "a=b; fraud_language=en"}
    assert sent(client, **asked)["page_language"] == "en"
    assert sent(client, **(asked | {"cookie": "fraud_language=<script>"}))["page_language"] == "pt-BR"


def test_the_first_view_is_made_anew_with_a_new_edition(service: FraudService) -> None:
    page = build_blocks(service)
    gr.mount_gradio_app(FastAPI(), page, path="/", **mount_arguments(service))
    assert page._view is not None
    seen, edition, view = [], ["1"], page._view
    page.show_first(lambda language: seen.append(language) or view(language), lambda: edition[0])  # type: ignore[func-returns-value]
    first, second = page.config, page.config
    assert first is second and seen == ["en"]
    edition[0] = "2"
    assert page.config is not first and seen == ["en", "en"]
