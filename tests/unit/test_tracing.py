"""Where a flag is: reviews and versions as facts, looked up cheaply and never at the cost of an answer."""

import dataclasses
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from fraud.api import build_api
from fraud.errors import NotFound, RepositoryError
from fraud.feedback.store import FeedbackStore
from fraud.models.bundle import USES_FILE
from fraud.models.provenance import FlagUse, write_uses
from fraud.records import Finding, Label, Receipt
from fraud.registry import RegisteredVersion
from fraud.repositories.local import LocalRepository
from fraud.service import FraudService
from fraud.tracing import REASONS, FlagTracer, Unused, Whereabouts
from fraud.ui.receipts import receipt_html
from fraud.ui.texts import LANGUAGES


class Releases:
    """A registry of versions that record what they were taught."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[str, bytes] = {}
        self._versions: list[RegisteredVersion] = []
        self.broken = False
        self.n_reads = 0

    def release(self, uses: list[FlagUse] | None, created_at: str = "2026-11-23T00:00:00+00:00") -> None:
        number = len(self._versions) + 1
        files: dict[str, Any] = {}
        if uses is not None:
            path = self._directory / f"uses-{number}.parquet"
            write_uses(uses, path)
            self._files[f"rev{number}"] = path.read_bytes()
            files[USES_FILE] = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        manifest = {"created_at": created_at, "files": files}
        self._versions.insert(0, RegisteredVersion(f"1.0.{number}", f"rev{number}", (), manifest))

    def head(self) -> str | None:
        if self.broken:
            raise RepositoryError("The registry is out of reach.")
        return str(len(self._versions))

    def versions(self) -> tuple[RegisteredVersion, ...]:
        return tuple(self._versions)

    def read(self, revision: str, path: str) -> bytes:
        self.n_reads += 1
        return self._files[revision]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def traced(service: FraudService, releases: Releases, clock: Clock) -> FraudService:
    service._tracer = FlagTracer(service._feedback, releases, 2.0, clock)  # type: ignore[arg-type]
    return service


def flag(service: FraudService, n: int = 0) -> str:
    prediction = service.score(service.examples()[n]["transaction"])
    alerts = {score.decision.value != "approve" for score in prediction.scores.values()}
    verdict = "right" if True in alerts else "wrong"
    receipt = service.flag(prediction.prediction_id, verdict, label=Label.FRAUD, consent=True, session="s")
    return receipt.receipt_id


def test_what_is_not_committed_has_nothing_to_tell_yet(traced: FraudService) -> None:
    flag_id = flag(traced)
    found = traced.whereabouts(flag_id)
    assert (found.reviewed, found.used_in, found.unused) == (None, None, None)
    with pytest.raises(NotFound):
        traced.whereabouts("f_unknown")


def test_a_committed_flag_waits_for_a_version(traced: FraudService) -> None:
    flag_id = flag(traced)
    traced.drain()
    found = traced.whereabouts(flag_id)
    assert found.receipt.committed and found.unused is not None and found.unused.code == "no_version"


def test_a_review_is_told_once_it_is_committed_and_the_latest_counts(
    traced: FraudService, clock: Clock
) -> None:
    flag_id = flag(traced)
    traced.drain()
    assert traced.whereabouts(flag_id).reviewed is None
    for finding in (Finding.UNSURE, Finding.REJECT):
        traced.review(flag_id, finding.value, "a private note", "ana")
        traced.drain()
        assert traced.whereabouts(flag_id).reviewed is not finding, "what it knows may be two seconds old"
        clock.now += 2.0
        assert traced.whereabouts(flag_id).reviewed is finding
    unused = traced.whereabouts(flag_id).unused
    assert unused is not None and unused.code == "rejected"


def test_many_new_shards_are_read_at_once(
    traced: FraudService, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fraud.tracing._FEW_SHARDS", 0)
    flag_id = flag(traced)
    traced.review(flag_id, "accept", "", "ana")
    traced.drain()
    assert traced.whereabouts(flag_id).reviewed is Finding.ACCEPT


def test_the_first_version_that_used_it_is_named(traced: FraudService, releases: Releases) -> None:
    flag_id = flag(traced)
    traced.drain()
    releases.release(None)
    releases.release([FlagUse(flag_id, "d", 0.0, "in quarantine")])
    releases.release([FlagUse(flag_id, "d", 0.1)])
    releases.release([FlagUse(flag_id, "d", 0.0, "tied")])
    found = traced.whereabouts(flag_id)
    assert found.used_in == "1.0.3" and found.unused is None


def test_the_newest_versions_reason_is_told(traced: FraudService, releases: Releases, clock: Clock) -> None:
    flag_id = flag(traced)
    traced.drain()
    releases.release([FlagUse(flag_id, "d", 0.0, "in quarantine")])
    assert str(traced.whereabouts(flag_id).unused) == (
        "version 1.0.1 leaves it out: it was too new to be used without a review"
    )
    releases.release([FlagUse(flag_id, "d", 0.0, "a reason nobody put into words")])
    clock.now += 2
    assert traced.whereabouts(flag_id).unused == Unused("", "a reason nobody put into words", "1.0.2")


def test_a_version_older_than_the_flag_is_not_even_asked(traced: FraudService, releases: Releases) -> None:
    flag_id = flag(traced)
    traced.drain()
    releases.release([FlagUse(flag_id, "d", 0.1)], created_at="2020-01-01T00:00:00+00:00")
    assert traced.whereabouts(flag_id).used_in is None and releases.n_reads == 0


def test_asking_again_reads_nothing_again(traced: FraudService, releases: Releases, clock: Clock) -> None:
    flags = [flag(traced, 0), flag(traced, 1)]
    traced.drain()
    releases.release([FlagUse(flags[0], "d", 0.1)])
    for second in range(5):
        clock.now = float(2 * second)
        assert [traced.whereabouts(flag_id).used_in for flag_id in flags] == ["1.0.1", None]
    assert releases.n_reads == 1


def test_a_record_that_was_tampered_with_is_not_believed(traced: FraudService, releases: Releases) -> None:
    flag_id = flag(traced)
    traced.drain()
    releases.release([FlagUse(flag_id, "d", 0.1)])
    releases._files["rev1"] += b"x"
    assert traced.whereabouts(flag_id).used_in is None


def test_a_registry_out_of_reach_costs_no_answer(
    traced: FraudService, releases: Releases, clock: Clock
) -> None:
    flag_id = flag(traced)
    traced.drain()
    releases.release([FlagUse(flag_id, "d", 0.1)])
    assert traced.whereabouts(flag_id).used_in == "1.0.1"
    releases.broken = True
    clock.now += 10
    assert traced.whereabouts(flag_id).used_in == "1.0.1"


def test_the_route_tells_the_way_and_not_by_whom(traced: FraudService, releases: Releases) -> None:
    flag_id = flag(traced)
    traced.review(flag_id, "accept", "a private note", "ana")
    traced.drain()
    releases.release([FlagUse(flag_id, "d", 2.0)])
    client = TestClient(build_api(traced, lambda _: None, lambda: True))  # type: ignore[arg-type]
    answer = client.get(f"/v1/flags/{flag_id}")
    body = answer.json()
    assert (body["state"], body["reviewed"], body["used_in"], body["not_used_because"]) == (
        "committed", "accept", "1.0.1", None,
    )  # fmt: skip
    assert set(body) == {
        "receipt_id", "state", "saved_at", "revision", "reviewed", "used_in", "not_used_because"
    }  # fmt: skip
    other = flag(traced, 1)
    traced.drain()
    said = client.get(f"/v1/flags/{other}").json()["not_used_because"]
    assert said == "no version has been trained since it joined the dataset"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_says_each_step_in_its_language(traced: FraudService, language: str) -> None:
    flag_id = flag(traced)
    traced.drain()
    receipt = traced.receipt(flag_id)
    said = receipt_html(Whereabouts(receipt, Finding.ACCEPT, "1.0.1"), language)
    pt = language != "en"
    assert ("Usada para treinar a versão 1.0.1" if pt else "Used to train version 1.0.1") in said
    assert ("mantenedor a aceitou" if pt else "a maintainer accepted it") in said
    unused = Unused(*REASONS["tied"], version="1.0.2")
    said = receipt_html(Whereabouts(receipt, None, None, unused), language)
    assert ("Não usada na versão 1.0.2" if pt else "Not used in version 1.0.2") in said
    hostile = Unused("", "<b>why</b>", "<i>")
    said = receipt_html(Whereabouts(receipt, None, None, hostile), language)
    assert "<b>why" not in said and "<i>" not in said
    gone = dataclasses.replace(receipt, withdrawn=True)
    assert ("Retirada" if pt else "Withdrawn") in receipt_html(Whereabouts(gone), language)


def test_only_flags_are_traced(tmp_path: Path, releases: Releases) -> None:
    store = FeedbackStore(tmp_path / "o", LocalRepository(tmp_path / "none.git"), "n")
    releases.broken = True
    receipt = Receipt("v_1", datetime.now(UTC), "a" * 40)
    assert FlagTracer(store, releases).trace(receipt) == Whereabouts(receipt)  # type: ignore[arg-type]
