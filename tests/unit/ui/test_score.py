"""The Score tab's handlers over a real service: what each returns for the page."""

from typing import Any

import gradio as gr
import pytest

from fraud.service import FraudService
from fraud.ui.language import Localised
from fraud.ui.score import ScoreTab


@pytest.fixture
def tab(service: FraudService) -> ScoreTab:
    with gr.Blocks(analytics_enabled=False):
        return ScoreTab(service, Localised(), gr.State("en"))


def typed(tab: ScoreTab, updates: dict[Any, Any]) -> list[Any]:
    return [updates[component] for component in tab._form.components]


def test_the_first_view_is_a_scored_fraud(tab: ScoreTab) -> None:
    updates = tab.first_view("en")
    assert updates[tab._prediction_id].startswith("p_")
    assert all("probability" in updates[head] for head in tab._answers.heads.values())


@pytest.mark.parametrize("language", ["en", "pt-BR"])
def test_what_an_example_fills_in_scores_the_same_when_typed(tab: ScoreTab, language: str) -> None:
    first = tab.show_example(1, language)
    second = tab._score_typed(language, *typed(tab, first))
    assert [first[h] for h in tab._answers.heads.values()] == [second[h] for h in tab._answers.heads.values()]


def test_a_broken_rule_is_said_and_changes_neither_form_nor_answers(tab: ScoreTab) -> None:
    values = typed(tab, tab.first_view("en"))
    column = list(tab._form.read(values)).index("amount")
    values[column] = -5
    updates = tab._score_typed("pt-BR", *values)
    assert "Valor deve ser no mínimo 0,01" in updates[tab._alert]
    assert 'role="alert"' in updates[tab._alert]
    assert tab._form.components[column] not in updates and tab._prediction_id not in updates


def test_a_broken_rule_in_the_fold_opens_it(tab: ScoreTab) -> None:
    values = typed(tab, tab.first_view("en"))
    values[list(tab._form.read(values)).index("home_lat")] = 1000
    assert tab._score_typed("en", *values)[tab._form.more]["open"] is True


def test_choosing_a_card_fills_in_its_newest_values(tab: ScoreTab, service: FraudService) -> None:
    card = service.entities()[0]
    newest = service.past_of(card, limit=1)[0]
    assert tab._form.entity is not None
    values = [None] * len(tab._form.components)
    values[0] = card
    updates = tab._choose_entity("en", *values)
    shown = tab._form.read(typed(tab, updates))
    assert shown["card_id"] == card and shown["home_lat"] == newest["home_lat"]
    assert "History of card" in updates[tab._past.head]


def test_an_unknown_card_keeps_what_was_typed(tab: ScoreTab) -> None:
    values = typed(tab, tab.first_view("en"))
    values[0] = "NOBODY"
    updates = tab._choose_entity("en", *values)
    assert "No history is known of card NOBODY" in updates[tab._past.head]
    assert tab._form.components[1] not in updates


def test_from_scratch_complains_about_nothing(tab: ScoreTab) -> None:
    assert tab._from_scratch("en")[tab._alert] == ""
