"""A challenger in the shadow is compared with what was answered, and can change or hurt none of it."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fraud.metrics import Metrics
from fraud.models.bundle import GOLDEN_FILE, MANIFEST
from fraud.records import MODELS, Prediction
from fraud.registry import ModelRegistry
from fraud.service import FraudService
from fraud.serving.scorer import Scorer
from fraud.serving.shadow import Shadow
from fraud.serving.shadow_report import read_reports, report_lines

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def challenger(registry: ModelRegistry, small_bundle: Path, directory: Path, **thresholds: float) -> None:
    """Record 1.0.1, which differs in its cut-offs only, and let it contest."""
    copied = directory / "1.0.1"
    shutil.copytree(small_bundle, copied)
    manifest = json.loads((copied / MANIFEST).read_text()) | {"version": "1.0.1"}
    if thresholds:
        del manifest["files"][GOLDEN_FILE]
        for entry in manifest["models"].values():
            entry["thresholds"] = thresholds
    (copied / MANIFEST).write_text(json.dumps(manifest))
    registry.record(copied, "challenger")
    registry.set_challenger("1.0.1")


@pytest.fixture
def shadow(registry: ModelRegistry, tmp_path: Path) -> Iterator[Shadow]:
    shadow = Shadow(registry, node="n1", directory=tmp_path / "reports", clock=lambda: NOW)
    yield shadow
    shadow.close()


@pytest.fixture
def beside(
    service: FraudService, registry: ModelRegistry, small_bundle: Path, shadow: Shadow
) -> Callable[..., None]:
    """Return what puts a challenger beside the service's champion."""
    registry.ensure_champion(small_bundle)
    service.refresh()
    service._shadow = shadow

    def put(directory: Path, **thresholds: float) -> None:
        challenger(registry, small_bundle, directory, **thresholds)
        service.refresh()

    return put


def answers(service: FraudService) -> list[dict[str, tuple[float, str]]]:
    predictions: list[Prediction] = [service.score(e["transaction"]) for e in service.examples()]
    return [{n: (s.fraud_probability, s.decision) for n, s in p.scores.items()} for p in predictions]


def test_the_same_models_agree_completely(
    service: FraudService, beside: Callable[..., None], shadow: Shadow, tmp_path: Path
) -> None:
    beside(tmp_path)
    n = len(answers(service))
    shadow.flush()
    report = service.shadow_report()
    assert report is not None and (report.champion, report.challenger) == ("1.0.0", "1.0.1")
    assert report.n == n and report.n_failed == report.n_dropped == 0
    for name in MODELS:
        model = report.models[name]
        assert (model.n, model.n_equal, model.n_gained, model.n_lost) == (n, n, 0, 0)
        assert model.mean_difference == 0
    assert report.champion_ms and report.challenger_ms


def test_a_challenger_that_alerts_always_gains_alerts_and_changes_no_answer(
    service: FraudService, beside: Callable[..., None], shadow: Shadow, tmp_path: Path
) -> None:
    before = answers(service)
    beside(tmp_path, review=1e-12, decline=1.0)
    assert answers(service) == before
    shadow.flush()
    report = shadow.report()
    assert report is not None
    for name in MODELS:
        approved = sum(answer[name][1] == "approve" for answer in before)
        assert report.models[name].n_gained == approved > 0 and report.models[name].n_lost == 0


def test_a_challenger_that_fails_is_counted_given_up_and_changes_no_answer(
    service: FraudService,
    beside: Callable[..., None],
    shadow: Shadow,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = answers(service)
    beside(tmp_path)
    scoring = Scorer.score

    def break_the_challenger(self: Scorer, *arguments: object) -> object:
        if self.version.version == "1.0.1":
            raise KeyError("amount")
        return scoring(self, *arguments)

    monkeypatch.setattr(Scorer, "score", break_the_challenger)
    while answers(service) == before and not (report := shadow.report()).problem:
        shadow.flush()
    assert answers(service) == before
    assert report.n == 0 and report.n_failed == 50 and "is asked no more" in report.problem
    assert not shadow.offer(service.score(service.examples()[0]["transaction"]))


def test_a_full_queue_drops_and_counts_and_no_request_waits(
    service: FraudService,
    beside: Callable[..., None],
    shadow: Shadow,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    beside(tmp_path)
    monkeypatch.setattr(shadow, "_max_queue", 3)
    stuck, scoring = threading.Event(), Scorer.score

    def slow(self: Scorer, *arguments: object) -> object:
        if self.version.version == "1.0.1":
            stuck.wait(20)
        return scoring(self, *arguments)

    monkeypatch.setattr(Scorer, "score", slow)
    for _ in range(3):
        answers(service)  # would wait for ever if a request waited for the challenger
    report = shadow.report()
    assert report is not None and report.n == 0 and report.n_dropped > 0
    stuck.set()
    shadow.flush()
    after = shadow.report()
    assert after is not None and after.n + after.n_dropped == 3 * len(service.examples())


def test_a_challenger_that_cannot_be_loaded_leaves_the_champion_alone(
    service: FraudService, beside: Callable[..., None], shadow: Shadow, tmp_path: Path
) -> None:
    before = answers(service)
    beside(tmp_path, review=0.9, decline=0.1)
    assert shadow.report() is None and "review <= decline" in (shadow.problem or "")
    assert answers(service) == before and not service.problems


def test_a_disk_that_takes_no_report_costs_the_report_only(
    service: FraudService, beside: Callable[..., None], shadow: Shadow, tmp_path: Path
) -> None:
    (tmp_path / "reports").write_text("in the way")
    beside(tmp_path)
    n = len(answers(service))
    shadow.flush()
    service.refresh()
    report = shadow.report()
    assert report is not None and report.n == n and not service.problems


def test_a_challenger_that_raises_what_nobody_expects_while_it_is_loaded_is_left_out(
    service: FraudService, beside: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = answers(service)

    def broken(*_: object) -> Scorer:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("fraud.serving.shadow.Scorer.from_bundle", broken)
    beside(tmp_path)
    assert service.shadow_report() is None and answers(service) == before


def test_after_a_promotion_the_old_comparison_is_over(
    service: FraudService,
    beside: Callable[..., None],
    shadow: Shadow,
    registry: ModelRegistry,
    tmp_path: Path,
) -> None:
    beside(tmp_path)
    answers(service)
    registry.promote("1.0.1")
    assert service.refresh() and service.shadow_report() is None
    registry.set_challenger("1.0.0")
    service.refresh()
    report = service.shadow_report()
    assert report is not None and (report.champion, report.challenger, report.n) == ("1.0.1", "1.0.0", 0)


def test_the_report_is_kept_for_the_command_line_and_shown_to_prometheus(
    service: FraudService, beside: Callable[..., None], shadow: Shadow, tmp_path: Path
) -> None:
    beside(tmp_path)
    answers(service)
    shadow.flush()
    service.refresh()
    (report,) = read_reports(tmp_path / "reports")
    assert report == shadow.report()
    said = "\n".join(report_lines(report))
    assert "1.0.1 beside 1.0.0" in said and "100.00% decided alike" in said
    (tmp_path / "reports/shadow-torn.json").write_text('{"schema_version": 1')
    assert len(read_reports(tmp_path / "reports")) == 1
    metrics = Metrics()
    metrics.watch(service, lambda: True)
    text = metrics.text().decode()
    labels = 'challenger="1.0.1",champion="1.0.0",outcome="compared"'
    assert f"fraud_shadow_transactions_total{{{labels}}} {report.n}" in text
