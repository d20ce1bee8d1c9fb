"""The Score tab's handlers over a real service: what each returns for the page."""

from datetime import datetime
from typing import Any

import gradio as gr
import pytest

from fraud.feedback.audit import AuditPolicy, AuditSampler
from fraud.feedback.dataset import read_events
from fraud.feedback.events import FlagEvent
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
    second = tab._score_typed(language, None, *typed(tab, first))
    assert [first[h] for h in tab._answers.heads.values()] == [second[h] for h in tab._answers.heads.values()]


def test_a_brazilian_moment_scores_as_the_same_moment(tab: ScoreTab) -> None:
    values = typed(tab, tab.first_view("pt-BR"))
    column = list(tab._form.read(values)).index("occurred_at")
    moment = datetime.fromisoformat(str(values[column]))
    iso = tab._score_typed("pt-BR", None, *values)
    values[column] = moment.strftime("%d/%m/%Y %H:%M:%S")
    brazilian = tab._score_typed("pt-BR", None, *values)
    heads = tab._answers.heads.values()
    assert [brazilian[h] for h in heads] == [iso[h] for h in heads] and tab._prediction_id in brazilian
    assert tab._prediction_id not in tab._score_typed("en", None, *values), "in English it could be either"


def test_a_broken_rule_is_said_and_changes_neither_form_nor_answers(tab: ScoreTab) -> None:
    values = typed(tab, tab.first_view("en"))
    column = list(tab._form.read(values)).index("amount")
    values[column] = -5
    updates = tab._score_typed("pt-BR", None, *values)
    assert "Valor deve ser no mínimo 0,01" in updates[tab._alert]
    assert 'role="alert"' in updates[tab._alert]
    assert tab._form.components[column] not in updates and tab._prediction_id not in updates


def test_a_broken_rule_in_the_fold_opens_it(tab: ScoreTab) -> None:
    values = typed(tab, tab.first_view("en"))
    values[list(tab._form.read(values)).index("home_lat")] = 1000
    assert tab._score_typed("en", None, *values)[tab._form.more]["open"] is True


def test_choosing_a_card_fills_in_its_newest_values(tab: ScoreTab, service: FraudService) -> None:
    card = service.entities()[0]
    newest = service.past_of(card, limit=1)[0]
    assert tab._form.entity is not None
    values = [None] * len(tab._form.components)
    values[0] = card
    updates = tab._choose_entity("en", None, *values)
    shown = tab._form.read(typed(tab, updates))
    assert shown["card_id"] == card and shown["home_lat"] == newest["home_lat"]
    assert "History of card" in updates[tab._past.head]


def test_an_unknown_card_keeps_what_was_typed(tab: ScoreTab) -> None:
    values = typed(tab, tab.first_view("en"))
    values[0] = "NOBODY"
    updates = tab._choose_entity("en", None, *values)
    assert "No history is known of card NOBODY" in updates[tab._past.head]
    assert tab._form.components[1] not in updates


def test_from_scratch_complains_about_nothing(tab: ScoreTab) -> None:
    assert tab._from_scratch("en")[tab._alert] == ""


def test_nothing_is_kept_until_the_box_is_ticked(tab: ScoreTab, service: FraudService) -> None:
    assert tab._keep.consent.value is False
    values = typed(tab, tab.first_view("en"))
    assert tab._score_and_keep("en", False, None, *values)[tab._keep._status] == ""
    assert service.backlog() == 0


@pytest.mark.parametrize(("language", "words"), [("en", "Kept to watch"), ("pt-BR", "Guardada para vigiar")])
def test_a_ticked_box_keeps_what_is_scored_and_gives_a_receipt(
    tab: ScoreTab, service: FraudService, language: str, words: str
) -> None:
    values = typed(tab, tab.first_view(language))
    assert service.backlog() == 0, "an example that the page scored by itself is not what a person scored"
    updates = tab._score_and_keep(language, True, None, *values)
    prediction_id = updates[tab._prediction_id]
    assert words in updates[tab._keep._status] and prediction_id in updates[tab._keep._status]
    assert service.receipt(prediction_id).receipt_id == prediction_id
    assert tab._keep.consent not in updates, "the box stays as it was put"
    other = {"en": "pt-BR", "pt-BR": "en"}[language]
    assert prediction_id in tab.in_language(other, prediction_id, None, "", "", None)[tab._keep._status]


def test_a_refused_transaction_is_not_kept_and_neither_is_the_one_before(
    tab: ScoreTab, service: FraudService
) -> None:
    values = typed(tab, tab.first_view("en"))
    values[list(tab._form.read(values)).index("amount")] = -5
    tab._score_and_keep("en", True, None, *values)
    assert service.backlog() == 0


def test_who_keeps_and_is_drawn_is_asked(tab: ScoreTab, service: FraudService) -> None:
    service._audit = AuditSampler(AuditPolicy(share=1.0, floor=1.0), b"key")
    values = typed(tab, tab.first_view("en"))
    updates = tab._score_and_keep("en", True, None, *values)
    assert updates[tab._flag._audit]["visible"] is True
    assert service.prediction(updates[tab._prediction_id]).audit_asked is True


def test_withdrawing_my_data_takes_the_kept_prediction_with_the_answer(
    tab: ScoreTab, service: FraudService
) -> None:
    values = typed(tab, tab.first_view("en"))
    prediction_id = tab._score_and_keep("en", True, None, *values)[tab._prediction_id]
    receipt = service.flag(prediction_id, "wrong", label="legitimate", consent=True)
    tab._flag._withdraw._withdraw("en", receipt.receipt_id, prediction_id)
    assert service.receipt(receipt.receipt_id).withdrawn and service.receipt(prediction_id).withdrawn


def _answer(tab: ScoreTab, prediction_id: str, asked: bool) -> bool | None:
    """Return what is stored of a flag that is sent from the page."""
    nobody: Any = type("Request", (), {"session_hash": "s", "client": None})()
    service = tab._service
    tab._flag._submit("en", "", "wrong", prediction_id, "fraud", "", True, asked, nobody)
    service.drain()
    repository = service._feedback._repository
    events, _ = read_events(repository, repository.head())
    return next(e.flag.answers_audit for e in events if isinstance(e, FlagEvent))


def test_who_was_asked_in_the_page_answers_the_lot(tab: ScoreTab, service: FraudService) -> None:
    service._audit = AuditSampler(AuditPolicy(share=1.0, floor=1.0), b"key")
    values = typed(tab, tab.first_view("en"))
    updates = tab._score_and_keep("en", True, None, *values)
    assert updates[tab._flag._asked] is True
    assert _answer(tab, updates[tab._prediction_id], updates[tab._flag._asked]) is True


def test_who_flags_the_first_view_was_not_asked_though_the_lot_falls_on_what_is_scored_for_it(
    tab: ScoreTab, service: FraudService
) -> None:
    service._audit = AuditSampler(AuditPolicy(share=1.0, floor=1.0), b"key")
    updates = tab.first_view("en")
    chosen = tab._flag._chooser("wrong")("en", updates[tab._prediction_id])
    own = chosen[tab._prediction_id]
    assert service.prediction(own).audit_asked is True and updates[tab._flag._asked] is False
    assert _answer(tab, own, updates[tab._flag._asked]) is False
