"""The Versions tab over a registry with four versions, and what its page would call."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from fraud.feedback.store import FeedbackStore
from fraud.registry import ModelRegistry
from fraud.releasing import ReleaseDesk
from fraud.repositories.local import LocalRepository
from fraud.service import FraudService
from fraud.serving.champion import Champion
from fraud.ui.access import ReviewAccess
from fraud.ui.language import Localised
from fraud.ui.versions import VersionsTab
from fraud.webhooks.board import Acknowledgement
from fraud.webhooks.deliveries import WebhookOutbox
from fraud.webhooks.endpoints import parse_endpoints
from tests.releases import gate_report, make_release

PASSWORD = "correct horse battery"  # noqa: S105 (nobody else's)
SECRET = "whsec_" + "QUJD" * 8
HOSTILE = "<img src=x onerror=alert(1)>\"'&<script>alert(2)</script>"
NOBODY: Any = SimpleNamespace(session_hash="s", client=SimpleNamespace(host="192.0.2.1"))


@pytest.fixture
def board() -> list[Acknowledgement]:
    return []


@pytest.fixture
def service(
    tmp_path: Path, champion: Champion, registry: ModelRegistry, small_bundle: Path, board: list
) -> Iterator[FraudService]:
    outbox = WebhookOutbox(tmp_path / "hooks.sqlite3", parse_endpoints("https://node-a.example/x", (SECRET,)))
    store = FeedbackStore(tmp_path / "outbox", LocalRepository(tmp_path / "dataset.git"), "test")
    service = FraudService(
        champion,
        store,
        node="web",
        pseudonym_key=b"key",
        releases=ReleaseDesk(registry, small_bundle, outbox),
        board=lambda: tuple(board),
    )
    yield service
    service.close()


@pytest.fixture(scope="session")
def recorded_once(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.0.1 serves after 1.0.0; 1.0.2 passed its gate and waits; 1.0.3 is recorded."""
    directory = tmp_path_factory.mktemp("recorded")
    registry = ModelRegistry(LocalRepository(directory / "registry"))
    registry.ensure_champion(small_bundle)
    made = directory / "made"
    registry.record(make_release(small_bundle, made, "1.0.1"), "second")
    registry.promote("1.0.1", who="cli@here")
    report = gate_report("1.0.1", "1.0.2")
    registry.record(
        make_release(small_bundle, made, "1.0.2", champion="1.0.1", gain=0.01, n_labels=7, report=report),
        "third",
    )
    registry.record(make_release(small_bundle, made, "1.0.3"), "fourth")
    registry.set_challenger("1.0.2")
    return directory / "registry"


@pytest.fixture
def recorded(registry: ModelRegistry, recorded_once: Path, tmp_path: Path) -> ModelRegistry:
    """Return a registry of this test's own with what `recorded_once` wrote."""
    shutil.copytree(recorded_once, tmp_path / "registry")
    return registry


@pytest.fixture
def access() -> ReviewAccess:
    return ReviewAccess(PASSWORD)


def build(service: FraudService, access: ReviewAccess) -> VersionsTab:
    with gr.Blocks(), gr.Tab("Versions") as opened:
        return VersionsTab(service, Localised(), gr.Radio(["en", "pt-BR"]), opened, access, gr.State(""))


@pytest.fixture
def tab(service: FraudService, access: ReviewAccess) -> VersionsTab:
    return build(service, access)


@pytest.fixture
def token(access: ReviewAccess) -> str:
    return access.log_in(PASSWORD, "maria", "s", "192.0.2.1")


def look(tab: VersionsTab, token: str = "", language: str = "en", **given: Any) -> dict[Any, Any]:
    tab._service.history.timeline(fresh=True)
    return tab.look(language, token, given.get("drawn", {}), given.get("pair", ()))


def propose(tab: VersionsTab, action: str, token: str, chosen: object = None) -> dict[Any, Any]:
    return tab._proposer(action)("en", token, chosen)


def confirm(tab: VersionsTab, token: str, proposal: Any, typed: object) -> dict[Any, Any]:
    return tab._decide("en", token, {}, (), proposal, typed)


def shown(updates: dict[Any, Any], *parts: Any) -> list[bool]:
    return [updates[part]["visible"] for part in parts]
