"""The audit's lot and the limits, where people meet them: the service, the routes and the page's words."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from fraud.api import build_api
from fraud.errors import RateLimited, SettingsError
from fraud.feedback.audit import AuditPolicy, AuditSampler
from fraud.feedback.dataset import read_events
from fraud.feedback.events import FlagEvent
from fraud.feedback.limiter import FlagLimiter
from fraud.feedback.store import FeedbackStore
from fraud.repositories.local import LocalRepository
from fraud.service import FraudService
from fraud.serving.champion import Champion
from fraud.settings import read_settings
from fraud.ui.texts import error_text
from fraud.wiring import build_service


@pytest.fixture
def strict(tmp_path: Path, champion: Champion) -> Iterator[FraudService]:
    """Return a service that asks about everything and takes two answers a minute."""
    repository = LocalRepository(tmp_path / "strict.git")
    service = FraudService(
        champion,
        FeedbackStore(tmp_path / "strict", repository, "test"),
        node="test",
        pseudonym_key=b"key",
        limiter=FlagLimiter("2/minute", "", b"key"),
        audit=AuditSampler(AuditPolicy(share=1.0), b"key"),
    )
    yield service
    service.close()


@pytest.fixture
def example(strict: FraudService) -> dict:
    return dict(strict.examples()[0]["transaction"])


def test_the_lot_is_stored_with_the_answer(strict: FraudService, example: dict, tmp_path: Path) -> None:
    prediction = strict.score(example)
    assert prediction.audit_probability is not None and 0 < prediction.audit_probability <= 1
    strict.flag(prediction.prediction_id, "right", label="legitimate", consent=True)
    strict.drain()
    repository = LocalRepository(tmp_path / "strict.git")
    events, quarantined = read_events(repository, repository.head())
    assert not quarantined
    shown = next(e for e in events if e.event_id == prediction.prediction_id)
    assert shown.audit_asked is prediction.audit_asked
    assert shown.audit_probability == prediction.audit_probability


def test_no_lot_is_drawn_unless_somebody_wants_an_audit(service: FraudService, example: dict) -> None:
    prediction = service.score(example)
    assert (prediction.audit_asked, prediction.audit_probability) == (None, None)


def test_one_answer_too_many_is_429_with_retry_after(strict: FraudService, example: dict) -> None:
    client = TestClient(build_api(strict, lambda _: None, lambda: True), raise_server_exceptions=False)
    score = client.post("/v1/score", json={"transaction": example}).json()
    assert score["audit_asked"] in (True, False)
    answer = {
        "prediction_id": score["prediction_id"],
        "verdict": "right",
        "label": "legitimate",
        "consent": True,
    }
    first = client.post("/v1/flags", json=answer)
    assert first.status_code == 201, first.text
    assert client.post("/v1/flags", json=answer).status_code == 201
    refused = client.post("/v1/flags", json=answer)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.json()["code"] == "rate_limited"
    assert strict.backlog() == 2


def test_the_limit_is_said_in_both_languages(strict: FraudService) -> None:
    error = RateLimited("Too many.", code="rate_limited", params={"seconds": 42})
    assert "wait 42 seconds" in error_text(error, strict.profile, "en")
    assert "espere 42 segundos" in error_text(error, strict.profile, "pt-BR")


def test_settings_choose_limits_share_and_quarantine(tmp_path: Path) -> None:
    feedback = read_settings({"FRAUD_REPORTER_LIMIT": "off", "FRAUD_AUDIT_SHARE": "0.5"}).feedback
    assert (feedback.reporter_limit, feedback.audit_share, feedback.quarantine_days) == ("", 0.5, 0.0)
    assert read_settings({"SPACE_ID": "o/n"}).feedback.quarantine_days is None
    assert read_settings({"FRAUD_DATASET_REPO": "org/name"}).feedback.quarantine_days is None
    settings = read_settings({"SPACE_ID": "o/n", "FRAUD_QUARANTINE_DAYS": "3"})
    assert settings.feedback.quarantine_days == 3
    bad = dataclasses.replace(settings.feedback, directory=tmp_path, address_limit="many")
    with pytest.raises(SettingsError):
        build_service(dataclasses.replace(settings, feedback=bad))


@pytest.mark.parametrize("answers", [True, False])
def test_whether_the_lots_question_was_answered_is_kept(
    strict: FraudService, example: dict, tmp_path: Path, answers: bool
) -> None:
    strict._audit = AuditSampler(AuditPolicy(share=1.0, floor=1.0), b"key")
    word = {"verdict": "right", "label": "legitimate", "consent": True}
    client = TestClient(build_api(strict, lambda _: None, lambda: True))
    shown = client.post("/v1/score", json={"transaction": example}).json()
    assert shown["audit_asked"] is True
    said = word | {"prediction_id": shown["prediction_id"]} | ({"answers_audit": True} if answers else {})
    assert client.post("/v1/flags", json=said).status_code == 201
    strict.drain()
    repository = LocalRepository(tmp_path / "strict.git")
    events, _ = read_events(repository, repository.head())
    assert [e.flag.answers_audit for e in events if isinstance(e, FlagEvent)] == [answers]


def test_an_answer_to_a_question_that_was_not_put_is_a_422_and_kept_nowhere(
    service: FraudService, example: dict
) -> None:
    client = TestClient(build_api(service, lambda _: None, lambda: True), raise_server_exceptions=False)
    name = client.post("/v1/score", json={"transaction": example}).json()["prediction_id"]
    word = {"verdict": "right", "label": "legitimate", "consent": True, "answers_audit": True}
    refused = client.post("/v1/flags", json=word | {"prediction_id": name})
    assert refused.status_code == 422 and "answers_audit: the lot did not fall" in refused.text
    assert service.backlog() == 0
