"""What if one field were different: the curve, its words, and its limits."""

import itertools
from typing import Any

import numpy as np
import pytest

from fraud.errors import TransactionError
from fraud.records import MODELS, Prediction
from fraud.service import FraudService
from fraud.serving.what_if import movable
from fraud.ui.plots import plot_data
from fraud.ui.what_if import decisions_along, figure_of, said_html


@pytest.fixture
def prediction(service: FraudService) -> Prediction:
    return service.score(next(e["transaction"] for e in service.examples() if e["kind"] != "legitimate"))


def test_every_movable_field_passes_through_the_transaction_itself(
    service: FraudService, prediction: Prediction
) -> None:
    for column in movable(service.profile):
        response = service.what_if(prediction, column)
        assert response.values[response.here] == prediction.transaction[column]
        for model in MODELS:
            own = prediction.scores[model].fraud_probability
            assert response.probabilities[model][response.here] == pytest.approx(own, abs=1e-12)


def test_each_point_is_what_scoring_that_transaction_answers(
    service: FraudService, prediction: Prediction
) -> None:
    for column in ("amount", "channel", "occurred_at"):
        response = service.what_if(prediction, column)
        for place in {0, len(response.values) // 2, len(response.values) - 1}:
            moved = service.score({**prediction.transaction, column: response.values[place]})
            for model in MODELS:
                expected = moved.scores[model].fraud_probability
                assert response.probabilities[model][place] == pytest.approx(expected, abs=1e-9)


def test_an_ordered_field_rises_within_its_limits(service: FraudService, prediction: Prediction) -> None:
    response = service.what_if(prediction, "amount")
    amounts: list[Any] = list(response.values)
    assert response.ordered and 20 < len(amounts) <= 41
    assert amounts == sorted(set(amounts)) and min(amounts) >= 0.01 and np.isfinite(amounts).all()


@pytest.mark.parametrize("column", ["card_id", "home_lat", "<script>", ""])
def test_what_no_model_looks_at_cannot_be_moved(
    service: FraudService, prediction: Prediction, column: str
) -> None:
    with pytest.raises(TransactionError, match="can be moved"):
        service.what_if(prediction, column)


@pytest.mark.parametrize("language", ["en", "pt-BR"])
def test_figure_and_words_exist_for_every_field_in_both_languages(
    service: FraudService, prediction: Prediction, language: str
) -> None:
    for column in movable(service.profile):
        response = service.what_if(prediction, column)
        assert plot_data(figure_of(service.profile, response, language)).plot
        said = said_html(service.profile, response, language)
        assert "Random Forest" in said and "XGBoost" in said and 'role="status"' in said


def test_the_words_name_every_change_of_decision(service: FraudService, prediction: Prediction) -> None:
    response = service.what_if(prediction, "amount")
    for model in MODELS:
        steps = decisions_along(response, model)
        assert steps[0][0] == 0 and all(a[1] != b[1] for a, b in itertools.pairwise(steps))
