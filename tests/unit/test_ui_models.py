"""The Models tab shows the held-out figures of what serves, or says why it cannot."""

import json
import shutil
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from fraud.feedback.store import FeedbackStore
from fraud.models.bundle import PREDICTIONS_FILE
from fraud.registry import ModelRegistry
from fraud.repositories.local import LocalRepository
from fraud.service import FraudService
from fraud.serving.champion import Champion
from fraud.ui.models import ModelsTab


@pytest.fixture
def bundle(small_bundle: Path, tmp_path: Path) -> Path:
    shutil.copytree(small_bundle, tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def tab(tmp_path: Path, bundle: Path):
    registry = ModelRegistry(LocalRepository(tmp_path / "registry.git"))
    store = FeedbackStore(tmp_path / "outbox", LocalRepository(tmp_path / "dataset.git"), "test")
    service = FraudService(Champion(registry, bundle), store, node="test", pseudonym_key=b"key")
    with gr.Blocks():
        language = gr.Radio(["en", "pt-BR"], value="en")
        with gr.Tab("Models") as opened:
            made = ModelsTab(service, language, opened)
    yield made
    service.close()


def shown(tab: ModelsTab, updates: dict[Any, Any]) -> dict[str, tuple[str, str]]:
    """Return head and plot of each sheet that is visible."""
    return {
        name: (updates[head], updates[plot]["value"].plot)
        for name, (column, head, plot) in tab._sheets.items()
        if updates[column]["visible"]
    }


def test_every_figure_has_its_finding_over_it_in_the_visitors_language(tab: ModelsTab) -> None:
    sheets = shown(tab, tab.look("pt-BR", ""))
    assert set(sheets) == set(tab._sheets)
    for name, (head, plot) in sheets.items():
        assert head.startswith("<h3>") and not head[4].islower(), name
        assert json.loads(plot)["data"] is not None, name
    assert "das fraudes" in sheets["confusion-xgboost"][0]
    assert "Pontuação" in sheets["calibration"][0]


def test_what_is_on_the_page_is_not_drawn_again(tab: ModelsTab) -> None:
    first = tab.look("en", "")
    signature = first[tab._signature]
    assert tab.look("en", signature) == {tab._signature: signature}
    assert len(tab.look("pt-BR", signature)) > 10  # another language is


def test_predictions_that_are_not_the_releases_are_said_and_not_drawn(tab: ModelsTab, bundle: Path) -> None:
    assert tab._service.model_version  # serves already
    (bundle / PREDICTIONS_FILE).write_bytes(b"other")
    updates = tab.look("en", "")
    assert shown(tab, updates) == {}
    assert "does not belong to this manifest" in updates[tab._lead]
    assert updates[tab._signature] == ""  # the next look tries again
