import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from fraud.records import MODELS, Reason, Thresholds
from fraud.service import FraudService
from fraud.serving.scorer import Explanation
from fraud.ui import answers
from fraud.ui.form import moment_of
from fraud.ui.texts import text


def fraud_example(service: FraudService) -> Mapping[str, Any]:
    return next(e["transaction"] for e in service.examples() if e["kind"] != "legitimate")


def test_bars_add_up_to_the_whole_explanation(service: FraudService) -> None:
    for explanation in service.explain(service.score(fraud_example(service))).values():
        bars = answers.bars(service.profile, explanation, "en")
        assert len(bars) == answers.N_REASONS + 1
        total = sum(reason.contribution for reason in explanation.reasons)
        assert sum(bar.contribution for bar in bars) == pytest.approx(total)


@pytest.mark.parametrize("language", ["en", "pt-BR"])
def test_every_reason_says_its_direction_in_words_and_starts_at_zero(
    service: FraudService, language: str
) -> None:
    for explanation in service.explain(service.score(fraud_example(service))).values():
        markup = answers.reasons_html(service.profile, explanation, language)
        zero = re.search(r"--zero:([\d.]+)%", markup)[1]  # type: ignore[index]
        for bar, item in zip(
            answers.bars(service.profile, explanation, language), markup.split("<li>")[1:], strict=True
        ):
            side = "towards_fraud" if bar.contribution > 0 else "towards_legitimate"
            assert text(side, language) in item
            place = re.search(r"left:([\d.]+)%;width:([\d.]+)%", item)
            assert place is not None
            left, width = float(place[1]), float(place[2])
            assert (left if bar.contribution > 0 else left + width) == pytest.approx(float(zero), abs=0.02)


def test_a_reason_cannot_write_markup(service: FraudService) -> None:
    hostile = Reason("<img src=x onerror=alert(1)>", "<b>", 1.0)
    explanation = Explanation("xgboost", "log_odds", 0.0, (hostile,))
    assert "<img" not in answers.reasons_html(service.profile, explanation, "en")


def test_decisions_are_told_by_words_and_icon_not_by_colour_alone(service: FraudService) -> None:
    prediction = service.score(fraud_example(service))
    for model in MODELS:
        markup = answers.answer_html(prediction.scores[model], "pt-BR")
        assert "<svg" in markup and any(word in markup for word in ("Aprovar", "Revisar", "Recusar"))


def test_the_timeline_knows_no_label_before_its_time(service: FraudService) -> None:
    profile = service.profile
    main = profile.main_entity
    assert main is not None
    past = [r for e in service.entities() for r in service.past_of(e) if r.get(profile.columns.label) == "1"]
    record = past[0]
    assert profile.columns.time is not None
    moment = moment_of(profile, record[profile.columns.time])
    assert answers.known_label(profile, record, moment, moment + timedelta(seconds=1)) == "unknown"
    assert answers.known_label(profile, record, moment, moment + timedelta(days=4000)) == "fraud"


def test_only_what_came_before_is_on_the_timeline(service: FraudService) -> None:
    transaction = fraud_example(service)
    main = service.profile.main_entity
    assert main is not None
    past = service.past_of(str(transaction[main.column]))
    marks = answers.past_marks(service.profile, past, transaction, "en")
    assert marks[-1].known == "this"
    assert all(mark.moment < marks[-1].moment for mark in marks[:-1])


@pytest.mark.parametrize(
    ("probability", "low", "high"),
    [(0.0, 0, 34), (0.05, 33, 67), (0.5, 33, 67), (0.9, 66, 100), (1.0, 66, 100)],
)
def test_the_needle_stands_in_its_decisions_third(probability: float, low: float, high: float) -> None:
    assert low < answers.place(probability, Thresholds(0.04, 0.8)) < high
