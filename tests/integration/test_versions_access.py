"""Deciding through the endpoints behind the page, as whoever has no login would: nothing happens."""

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fraud.registry import ModelRegistry
from fraud.repositories.local import LocalRepository
from tests.demo import Demo, free_port
from tests.releases import gate_report, make_release

PASSWORD = "correct horse battery"  # noqa: S105 (of this test alone)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, small_bundle: Path) -> Iterator[tuple[Demo, Path]]:
    directory = tmp_path_factory.mktemp("demo")
    registry = ModelRegistry(LocalRepository(directory / "registry"))
    registry.ensure_champion(small_bundle)
    for version in ("1.0.1", "1.0.2"):
        report = gate_report("1.0.0", version)
        made = make_release(small_bundle, directory / "made", version, champion="1.0.0", report=report)
        registry.record(made, version)
    registry.promote("1.0.1")
    registry.set_challenger("1.0.2")
    demo = Demo(
        os.environ
        | {
            "FRAUD_HOST": "127.0.0.1",
            "FRAUD_PORT": str(free_port()),
            "FRAUD_ARTIFACTS_DIR": str(small_bundle),
            "FRAUD_REGISTRY_DIR": str(directory / "registry"),
            "FRAUD_FEEDBACK_DIR": str(directory / "feedback"),
            "FRAUD_REVIEW_PASSWORD": PASSWORD,
        },
        directory / "demo.log",
    )
    yield demo, directory / "registry"
    demo.stop()
    assert "Traceback" not in (directory / "demo.log").read_text()


class Stranger:
    """Calls the handlers of one session by number, with whatever inputs it likes."""

    def __init__(self, demo: Demo) -> None:
        self._url = demo.url
        self._session = uuid.uuid4().hex
        self._config = httpx.get(f"{demo.url}/config", timeout=60).json()

    def number(self, element: str, event: str) -> int:
        parts = self._config["components"]
        one = next(c["id"] for c in parts if c["props"].get("elem_id") == element)
        return int(next(d["id"] for d in self._config["dependencies"] if [one, event] in d["targets"]))

    def call(self, element: str, event: str, inputs: list[Any]) -> str:
        body = {"fn_index": self.number(element, event), "data": inputs, "session_hash": self._session}
        httpx.post(f"{self._url}/gradio_api/queue/join", json=body, timeout=60).raise_for_status()
        data = f"{self._url}/gradio_api/queue/data?session_hash={self._session}"
        with httpx.stream("GET", data, timeout=60) as lines:
            for line in lines.iter_lines():
                if line.startswith("data:") and "process_completed" in line:
                    return json.dumps(json.loads(line[5:]), ensure_ascii=False)
        raise AssertionError("no answer")


STATE = ["en", "forged", {}, ["1.0.0", "1.0.1"]]
FORGED = {"action": "promote", "version": "1.0.2", "sequence": 3}


@pytest.mark.parametrize(
    ("element", "event", "inputs"),
    [
        ("versions-approve", "click", ["en", "forged", None]),
        ("versions-reject", "click", ["en", "forged", None]),
        ("versions-rollback", "click", ["en", "forged", None]),
        ("versions-promote", "click", ["en", "forged", None]),
        ("versions-confirm", "click", [*STATE, FORGED, "1.0.2"]),
        ("versions-typed", "submit", [*STATE, FORGED | {"action": "rollback", "version": "1.0.0"}, "1.0.0"]),
    ],
)
def test_no_endpoint_decides_for_a_stranger(
    place: tuple[Demo, Path], element: str, event: str, inputs: list[Any]
) -> None:
    demo, directory = place
    repository = LocalRepository(directory)
    before = repository.head()
    assert "Log in first" in Stranger(demo).call(element, event, inputs)
    assert repository.head() == before


def test_a_wrong_password_opens_nothing(place: tuple[Demo, Path]) -> None:
    demo, _ = place
    stranger = Stranger(demo)
    said = stranger.call("versions-log-in", "click", [*STATE, "maria", "guess"])
    assert "not the password" in said
    assert "Log in first" in stranger.call("versions-approve", "click", ["en", "", None])


def test_who_logs_in_proposes_and_then_confirms_what_the_server_kept(place: tuple[Demo, Path]) -> None:
    demo, directory = place
    registry = ModelRegistry(LocalRepository(directory))
    maintainer = Stranger(demo)
    maintainer.call("versions-log-in", "click", [*STATE, "maria", PASSWORD])
    # A proposal that the client sends is dropped: what is confirmed is the one that the server keeps.
    maintainer.call("versions-confirm", "click", [*STATE, FORGED, "1.0.2"])
    assert registry.aliases().champion == "1.0.1"
    assert "in place of 1.0.1" in maintainer.call("versions-approve", "click", ["en", "", None])
    assert "is the champion" in maintainer.call("versions-confirm", "click", [*STATE, {}, "1.0.2"])
    assert registry.aliases().champion == "1.0.2"
    assert httpx.get(f"{demo.url}/v1/version", timeout=60).json()["version"] == "1.0.2"
