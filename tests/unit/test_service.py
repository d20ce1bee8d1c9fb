"""The use cases, without any web framework."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from fraud.errors import FlagError, NotFound, TransactionError
from fraud.feedback.dataset import read_events
from fraud.models.bundle import MANIFEST
from fraud.recent import RecentPredictions
from fraud.records import MODELS, Label
from fraud.registry import ModelRegistry
from fraud.repositories.local import LocalRepository
from fraud.service import CONSENT_VERSION, FraudService


@pytest.fixture
def example(service: FraudService) -> dict:
    return dict(service.examples()[0]["transaction"])


def test_one_transaction_gets_both_models_scores_and_decisions(service: FraudService, example: dict) -> None:
    prediction = service.score(example)
    assert set(prediction.scores) == set(MODELS)
    for score in prediction.scores.values():
        assert 0 <= score.fraud_probability <= 1
        assert score.decision == score.thresholds.decide(score.fraud_probability)
    assert prediction.model_version.version == "1.0.0" and prediction.latency_ms > 0


def test_reasons_add_up_to_the_raw_score(service: FraudService, example: dict) -> None:
    explanations = service.explain(service.score(example))
    scorer = service._champion.scorer
    features = scorer.features(example)
    for name, explanation in explanations.items():
        raw = float(scorer.bundle.models[name].forest.raw(features)[0])
        total = explanation.expected + sum(r.contribution for r in explanation.reasons)
        assert total == pytest.approx(raw, abs=1e-6)
        sizes = [abs(r.contribution) for r in explanation.reasons]
        assert sizes == sorted(sizes, reverse=True)


def test_a_broken_field_is_named_and_every_one_is_listed(service: FraudService, example: dict) -> None:
    with pytest.raises(TransactionError) as caught:
        service.score(example | {"amount": 1e12, "channel": "pigeon"})
    assert {p.field for p in caught.value.problems} == {"amount", "channel"}
    assert "at most 50000" in str(caught.value)


def test_a_date_in_the_future_is_refused(service: FraudService, example: dict) -> None:
    with pytest.raises(TransactionError, match="lies in the future"):
        service.score(example | {"occurred_at": "2031-01-01T00:00:00Z"})


def test_a_flag_without_consent_keeps_nothing(service: FraudService, example: dict) -> None:
    prediction = service.score(example)
    with pytest.raises(FlagError, match="consent"):
        service.flag(prediction.prediction_id, "wrong", label="fraud", consent=False)
    assert service.backlog() == 0


@pytest.mark.parametrize(
    ("verdict", "label"), [("maybe", "fraud"), ("wrong", None), ("wrong", "unknown"), ("", "fraud")]
)
def test_a_flag_needs_a_verdict_and_a_label(
    service: FraudService, example: dict, verdict: str, label: str | None
) -> None:
    prediction = service.score(example)
    with pytest.raises(FlagError):
        service.flag(prediction.prediction_id, verdict, label=label, consent=True)


@pytest.mark.parametrize(("verdict", "label"), [("right", "fraud"), ("wrong", "legitimate")])
def test_an_answer_that_contradicts_itself_is_not_kept(
    service: FraudService, example: dict, verdict: str, label: str
) -> None:
    prediction = service.score(example)
    assert {s.decision.value for s in prediction.scores.values()} == {"approve"}
    with pytest.raises(FlagError, match="call it"):
        service.flag(prediction.prediction_id, verdict, label=label, consent=True)
    assert service.backlog() == 0


def test_a_prediction_nobody_made_cannot_be_flagged(service: FraudService) -> None:
    with pytest.raises(NotFound, match="no longer known"):
        service.flag("p_forged", "wrong", label="fraud", consent=True)


def test_a_flag_becomes_two_events_of_a_revision(
    service: FraudService, example: dict, tmp_path: Path
) -> None:
    prediction = service.score(example)
    receipt = service.flag(
        prediction.prediction_id, "wrong", label="fraud", comment="not me", consent=True, session="s1"
    )
    assert not service.receipt(receipt.receipt_id).committed
    assert service.drain() is None
    committed = service.receipt(receipt.receipt_id)
    assert committed.committed
    repository = LocalRepository(tmp_path / "dataset.git")
    events, quarantined = read_events(repository, committed.revision or "")
    assert not quarantined
    kept, flag = events
    assert kept.prediction.transaction == prediction.transaction
    assert flag.flag.label is Label.FRAUD and flag.flag.comment == "not me"
    assert flag.flag.consent_version == CONSENT_VERSION


def test_sessions_are_kept_only_as_pseudonyms(service: FraudService, example: dict, tmp_path: Path) -> None:
    for session in ("10.1.2.3", "10.1.2.3", "someone else"):
        prediction = service.score(example)
        service.flag(prediction.prediction_id, "right", label="legitimate", consent=True, session=session)
    service.drain()
    repository = LocalRepository(tmp_path / "dataset.git")
    head = repository.head() or ""
    events, _ = read_events(repository, head)
    reporters = [e.flag.reporter for e in events if hasattr(e, "flag")]
    assert len(set(reporters)) == 2
    text = b"".join(repository.read(f, head) for f in repository.files(head) if f.endswith(".jsonl"))
    assert b"10.1.2.3" not in text and b"someone else" not in text


def test_the_past_of_a_card_is_what_a_client_could_send(service: FraudService, example: dict) -> None:
    entity = service.entities()[0]
    past = service.past_of(entity)
    assert past and all(row["card_id"] == entity for row in past)
    assert service.past_of("C-nobody") == []
    service.score(example, [dict(row) for row in past])


def test_flags_that_cannot_be_committed_are_said_to_be_and_kept(
    service: FraudService, example: dict, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prediction = service.score(example)
    service.flag(prediction.prediction_id, "right", label="legitimate", consent=True)
    service.drain()
    head = tmp_path / "dataset.git/refs/heads/main"
    good = head.read_text()
    head.write_text("0" * 40 + "\n")
    again = service.score(example)
    receipt = service.flag(again.prediction_id, "right", label="legitimate", consent=True)
    assert service.drain() is not None and service.problems and "cannot be committed" in caplog.text
    head.write_text(good)
    assert service.drain() is None and not service.problems
    assert service.receipt(receipt.receipt_id).committed


def test_memory_of_predictions_is_bounded_by_the_transactions_they_hold(service: FraudService) -> None:
    recent = RecentPredictions(max_transactions=10)
    prediction = service.score(service.examples()[0]["transaction"])
    for number in range(4):
        recent.remember(replace(prediction, prediction_id=f"p{number}", history=({},) * 3))
    assert recent.find("p3") and recent.find("p2")
    with pytest.raises(NotFound):
        recent.find("p1")


def newer(small_bundle: Path, directory: Path, version: str) -> Path:
    shutil.copytree(small_bundle, directory / version)
    manifest = json.loads((directory / version / MANIFEST).read_text()) | {"version": version}
    (directory / version / MANIFEST).write_text(json.dumps(manifest))
    return directory / version


def test_a_promotion_is_picked_up_and_reasons_of_the_old_version_are_not_mixed_with_the_new(
    service: FraudService, example: dict, registry: ModelRegistry, small_bundle: Path, tmp_path: Path
) -> None:
    before = service.score(example)
    assert service.refresh() is False
    registry.record(newer(small_bundle, tmp_path, "1.0.1"), "new")
    assert service.refresh() is False, "recorded is not promoted"
    registry.promote("1.0.1")
    assert service.refresh() is True
    assert service.score(example).model_version.version == "1.0.1"
    service.explain(before)  # by the version that answered, which is kept until the next swap
    registry.record(newer(small_bundle, tmp_path, "1.0.2"), "newer still")
    registry.promote("1.0.2")
    assert service.refresh() is True
    with pytest.raises(NotFound, match="new model version"):
        service.explain(before)
    service.flag(before.prediction_id, "right", label="legitimate", consent=True)


def test_a_champion_that_cannot_be_loaded_leaves_the_old_one_serving(
    service: FraudService, example: dict, registry: ModelRegistry, small_bundle: Path, tmp_path: Path
) -> None:
    service.score(example)
    revision = registry.record(newer(small_bundle, tmp_path, "1.0.1"), "new")
    registry.promote("1.0.1")
    snapshot = registry.directory("1.0.1")
    broken = snapshot / "serving/xgboost.npz"
    broken.chmod(0o644)
    broken.write_bytes(b"torn")
    assert service.refresh() is False
    assert any("xgboost.npz" in problem for problem in service.problems)
    assert service.score(example).model_version.version == "1.0.0", revision


def test_nothing_is_kept_of_a_prediction_without_consent(service: FraudService, example: dict) -> None:
    prediction = service.score(example)
    with pytest.raises(FlagError, match="consent"):
        service.keep(prediction.prediction_id)
    service.score(example, keep=1)  # type: ignore[arg-type]  # consent is True, and nothing that resembles it
    service.prediction_log.flush()
    assert service.backlog() == 0


def test_a_kept_prediction_has_its_own_id_as_receipt_and_once_is_enough(
    service: FraudService, example: dict, tmp_path: Path
) -> None:
    prediction = service.score(example, keep=True)
    receipt = service.keep(prediction.prediction_id, consent=True)
    assert receipt.receipt_id == prediction.prediction_id
    service.prediction_log.flush()
    assert service.backlog() == 1
    service.flag(prediction.prediction_id, "wrong", label="fraud", consent=True)
    service.drain()
    repository = LocalRepository(tmp_path / "dataset.git")
    events, quarantined = read_events(repository, repository.head() or "")
    assert not quarantined and [type(e).__name__ for e in events] == ["PredictionEvent", "FlagEvent"]
    assert service.receipt(receipt.receipt_id).committed


def test_what_was_just_scored_can_be_taken_back_at_once(service: FraudService, example: dict) -> None:
    prediction = service.score(example, keep=True)
    service.withdraw(prediction.prediction_id)
    assert service.receipt(prediction.prediction_id).withdrawn


def test_what_is_queued_is_saved_when_the_service_closes(service: FraudService, example: dict) -> None:
    prediction = service.score(example, keep=True)
    service.close()
    assert service.receipt(prediction.prediction_id).committed
