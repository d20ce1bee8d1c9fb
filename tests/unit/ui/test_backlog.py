"""What the page says while answers wait."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from fraud.errors import RepositoryError
from fraud.feedback.outbox import BacklogState
from fraud.feedback.store import FeedbackStore
from fraud.repositories.local import LocalRepository
from fraud.service import FraudService
from fraud.serving.champion import Champion
from fraud.ui.backlog import backlog_html
from fraud.ui.flagging import FlagSection
from fraud.ui.language import Localised


class Unreachable(LocalRepository):
    """A dataset repository that answers nothing."""

    def head(self) -> str | None:
        raise RepositoryError("The dataset cannot be reached.", code="unreachable")


@pytest.fixture
def hard_pressed(tmp_path: Path, champion: Champion) -> FraudService:
    store = FeedbackStore(tmp_path / "outbox", Unreachable(tmp_path / "dataset.git"), "test", max_backlog=5)
    return FraudService(champion, store, node="test", pseudonym_key=b"key")


def flag(service: FraudService) -> None:
    prediction = service.score(service.examples()[0]["transaction"])
    service.flag(prediction.prediction_id, "wrong", label="fraud", consent=True, session="ann")


def test_nothing_is_said_while_answers_join_the_dataset(service: FraudService) -> None:
    flag(service)
    assert backlog_html(service, "en") == ""
    service.drain()
    assert backlog_html(service, "en") == ""


def test_a_failing_commit_is_said_with_how_many_answers_are_kept(hard_pressed: FraudService) -> None:
    flag(hard_pressed)
    assert backlog_html(hard_pressed, "en") == ""
    hard_pressed.drain()
    assert "cannot join the feedback dataset right now. Waiting: 1." in backlog_html(hard_pressed, "en")
    assert "Na espera: 1." in backlog_html(hard_pressed, "pt-BR")


def test_a_backlog_near_its_limit_is_said_with_the_limit(hard_pressed: FraudService) -> None:
    for _ in range(4):
        flag(hard_pressed)
    assert "Waiting: 4 of at most 5." in backlog_html(hard_pressed, "en")
    assert "Na espera: 4 de no máximo 5." in backlog_html(hard_pressed, "pt-BR")


def test_numbers_follow_the_language() -> None:
    class Pressed:
        commit_problem = None

        def backlog_state(self) -> BacklogState:
            return BacklogState(45_000, 50_000, None)

    service: Any = Pressed()
    assert "45,000 of at most 50,000" in backlog_html(service, "en")
    assert "45.000 de no máximo 50.000" in backlog_html(service, "pt-BR")


def test_a_full_backlog_refuses_one_answer_in_one_sentence_and_says_why_beside_it(
    hard_pressed: FraudService,
) -> None:
    for _ in range(5):
        flag(hard_pressed)
    with gr.Blocks():
        section = FlagSection(hard_pressed, Localised(), gr.State("en"), gr.State(""))
    scored = hard_pressed.score(hard_pressed.examples()[0]["transaction"]).prediction_id
    nobody: Any = type("Request", (), {"session_hash": "s", "client": None})()
    said = section._submit("en", "", "wrong", scored, "fraud", "", True, False, nobody)
    assert "yours was not taken; try again in a few minutes" in said[section.status]
    assert "No more answers are taken right now: 5 are kept here" in said[section._backlog]
    assert section.receipt_id not in said and hard_pressed.backlog() == 5
    assert "Pontuar continua possível" in section.fresh("pt-BR")[section._backlog]


def test_the_state_tells_how_long_the_oldest_has_waited(service: FraudService) -> None:
    assert service.backlog_state() == BacklogState(0, 50_000, None)
    flag(service)
    first = service.backlog_state()
    flag(service)
    assert service.backlog_state() == replace(first, waiting=2) and first.oldest_at is not None
