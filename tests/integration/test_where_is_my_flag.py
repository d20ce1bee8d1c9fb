"""Flag, commit, review, retrain: the receipt tells each step, and each is a fact of a record."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from fraud.api import build_api
from fraud.data.profile import Profile
from fraud.data.sources import load_transactions
from fraud.data.table import Transactions
from fraud.feedback.store import FeedbackStore
from fraud.models.bundle import USES_FILE, verify
from fraud.records import Label
from fraud.registry import ModelRegistry
from fraud.repositories.local import LocalRepository
from fraud.retraining.gate import GatePolicy
from fraud.retraining.job import retrain
from fraud.retraining.request import Request
from fraud.service import FraudService
from fraud.serving.champion import Champion


def base(profile: Profile) -> tuple[Transactions, dict[str, Any]]:
    transactions, source = load_transactions(profile, None)
    return transactions, dict(source)


def test_a_receipt_tells_the_whole_way(tmp_path: Path, small_bundle: Path, fewer_parity_rows: None) -> None:
    dataset = LocalRepository(tmp_path / "dataset.git")
    registry = ModelRegistry(LocalRepository(tmp_path / "registry"))
    store = FeedbackStore(tmp_path / "outbox", dataset, "n")
    service = FraudService(
        Champion(registry, small_bundle), store, node="n", pseudonym_key=b"k", trace_seconds=0.0
    )
    client = TestClient(build_api(service, lambda _: None, lambda: True))  # type: ignore[arg-type]

    def flag(example: int, session: str, **changes: object) -> str:
        prediction = service.score(dict(service.examples()[example]["transaction"]) | changes)
        alerts = {score.decision.value != "approve" for score in prediction.scores.values()}
        verdict = "right" if True in alerts else "wrong"
        given = service.flag(
            prediction.prediction_id, verdict, label=Label.FRAUD, consent=True, session=session
        )
        return given.receipt_id

    def told(flag_id: str) -> tuple[str, str | None, str | None, str | None]:
        body = client.get(f"/v1/flags/{flag_id}").json()
        return body["state"], body["reviewed"], body["used_in"], body["not_used_because"]

    accepted, rejected, agreed = flag(0, "a"), flag(1, "b"), flag(2, "c")
    young = flag(2, "d", amount=12.34)  # of this one the base table knows nothing
    assert told(accepted) == ("saved", None, None, None)
    service.drain()
    nothing_yet = "no version has been trained since it joined the dataset"
    assert told(accepted) == ("committed", None, None, nothing_yet)
    service.review(accepted, "accept", "", "ana")
    service.review(rejected, "reject", "", "ana")
    service.drain()
    assert told(accepted) == ("committed", "accept", None, nothing_yet)
    assert told(rejected) == ("committed", "reject", None, "a maintainer rejected it")

    outcome = retrain(
        Request(
            registry=registry,
            artifacts=small_bundle,
            dataset=dataset,
            runs=tmp_path / "retraining",
            base=base,
            now=datetime.now(UTC) + timedelta(seconds=1),
            gate=replace(GatePolicy.of_margin(0.9), min_frauds=1),
        )
    )
    assert outcome.version == "1.0.1", outcome.verdict
    assert told(accepted) == ("committed", "accept", "1.0.1", None)
    left_out = "version 1.0.1 leaves it out: "
    assert told(rejected) == ("committed", "reject", None, left_out + "a maintainer rejected it")
    too_new = left_out + "it was too new to be used without a review"
    assert told(young) == ("committed", None, None, too_new)
    assert told(agreed) == ("committed", None, "1.0.1", None), "the base table has it as fraud too"
    late = flag(0, "d")
    service.drain()
    assert told(late) == ("committed", None, None, nothing_yet), "another's flag on the same content"

    manifest, _ = verify(registry.directory("1.0.1"))
    assert set(manifest["files"][USES_FILE]) == {"sha256", "bytes"}
    service.withdraw(accepted)
    assert told(accepted)[0] == "withdrawn"
    service.close()
