"""A monitoring run: right in what it says, and harmless when it is repeated, killed or met by another."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fraud.errors import NotFound, StorageError
from fraud.feedback import checking
from fraud.feedback.audit import AuditPolicy
from fraud.feedback.trust import TrustPolicy
from fraud.models.bundle import load_bundle
from fraud.monitoring import observing
from fraud.monitoring import run as running
from fraud.monitoring.alerts import AlertPolicy, Transition
from fraud.monitoring.checks import state_of
from fraud.monitoring.examining import Expectation, MonitoringPolicy, expectation_of
from fraud.monitoring.figures import f1_over_time
from fraud.monitoring.history import MonitoringHistory
from fraud.monitoring.ledger import REPORT_JSON, locked, read_ledger
from fraud.monitoring.observing import observe
from fraud.monitoring.run import METRICS, REPORT_HTML, RunOutcome, monitor
from fraud.monitoring.verdicts import Health
from fraud.production.dataset import DatasetWriter
from fraud.production.injections import parse_injection
from fraud.production.people import People
from fraud.production.run import Production
from fraud.production.world import SimulatedWorld
from fraud.repositories.local import LocalRepository
from fraud.scale.monitoring import reading_on
from fraud.serving.scorer import Scorer
from tests.unit.scale.conftest import HereAndNow

N_DAYS, BROKEN_FROM = 17, 12


@dataclass(frozen=True)
class Played:
    """A dataset of some days, the last of them with a column in another unit."""

    repository: LocalRepository
    expected: Expectation
    start: datetime

    def until(self, day: float) -> datetime:
        return self.start + timedelta(days=day)


@pytest.fixture(scope="module")
def played(small_bundle: Path, small_profile, tmp_path_factory) -> Played:
    bundle = load_bundle(small_bundle)
    scorer = Scorer.from_bundle(bundle)
    world = SimulatedWorld(
        small_profile, injections=[parse_injection(f"broken_column:card_age_days=stuck@{BROKEN_FROM}")]
    )
    repository = LocalRepository(tmp_path_factory.mktemp("played") / "dataset.git")
    writer = DatasetWriter(repository, 7)
    production = Production(world, People(response=0.9), audit=AuditPolicy(share=0.5))
    first = None
    for day in production.days(N_DAYS):
        scored = day.score(scorer)
        first = first or min(scored.day.seen.times())
        writer.add(scored)
    writer.commit()
    start = datetime.fromtimestamp(int(first) / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Played(repository, expectation_of(bundle), start)


def _run(
    played: Played, directory: Path, day: float = BROKEN_FROM, days: float = 5.0, **changes
) -> RunOutcome:
    arguments = {
        "expected": played.expected,
        "dataset": played.repository,
        "revision": None,
        "until": played.until(day),
        "directory": directory,
        "out": directory / "report",
        "policy": MonitoringPolicy(window_days=days),
        "trust": TrustPolicy(quarantine_days=0),
    }
    return monitor(**(arguments | changes))


def test_a_healthy_input_is_not_called_drifted(played, tmp_path) -> None:
    report = _run(played, tmp_path).report
    assert report["drift"]["verdict"] == "ok"
    assert not [alert for alert in report["alerts"] if alert["key"].startswith("drift:")]


def test_a_log_read_block_by_block_elsewhere_gives_the_same_report(played, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(checking, "_MAX_LINES", 300)
    monkeypatch.setattr(observing, "_ROWS_AT_ONCE", 200)
    here = HereAndNow(tmp_path)
    alone = _run(played, tmp_path / "alone", N_DAYS, days=4).report
    elsewhere = _run(played, tmp_path / "elsewhere", N_DAYS, days=4, reading=reading_on(here)).report
    assert here.n_sent > 10
    assert elsewhere == alone


def test_a_column_that_got_stuck_upstream_fires_at_once(played, tmp_path) -> None:
    told: list[Transition] = []
    outcome = _run(played, tmp_path, N_DAYS, days=4, notify=told.extend)
    assert outcome.state == "alert"
    assert "drift:card_age_days" in {t.alert.key for t in told if t.firing}
    assert "card_age_days" in {curve["name"] for curve in outcome.report["curves"]}


def test_performance_rests_on_labels_old_enough_and_names_the_naive_figure_biased(played, tmp_path) -> None:
    report = _run(played, tmp_path).report
    assert 0 < report["n_mature"] < report["n_predictions"] * 2
    for model in report["models"].values():
        assert model["realised"]["n_answers"] > 0
        assert set(model["realised"]) >= {"figures", "naive_biased"}
    matured = datetime.fromisoformat(report["matured"]["end"])
    assert matured == played.until(BROKEN_FROM - 7)


def test_the_same_run_twice_gives_the_same_report_and_tells_nobody_twice(played, tmp_path) -> None:
    told: list[Sequence[Transition]] = []
    first = _run(played, tmp_path, N_DAYS, days=4, notify=told.append)
    ledger = (tmp_path / "ledger.json").read_bytes()
    again = _run(played, tmp_path, N_DAYS, days=4, notify=told.append)
    assert again.repeated and not first.repeated
    assert again.report == first.report
    assert len(told) == 1
    assert (tmp_path / "ledger.json").read_bytes() == ledger


def test_a_repeat_in_another_language_or_with_a_page_lost_draws_the_pages_again(played, tmp_path) -> None:
    _run(played, tmp_path)
    page, metrics = tmp_path / "report" / REPORT_HTML, tmp_path / "report" / METRICS
    english, samples = page.read_text(), metrics.read_text()
    metrics.unlink()
    assert _run(played, tmp_path, language="pt-BR").repeated
    assert '<html lang="pt-BR">' in page.read_text() and metrics.read_text() == samples
    assert _run(played, tmp_path).repeated
    assert page.read_text() == english


@pytest.mark.parametrize(
    "changes",
    [
        {"policy": MonitoringPolicy(window_days=5, alerts=AlertPolicy(for_days=3))},
        {"trust": TrustPolicy(quarantine_days=0, quorum=3)},
    ],
)
def test_another_policy_is_another_run(played, tmp_path, changes) -> None:
    first = _run(played, tmp_path)
    again = _run(played, tmp_path, **changes)
    assert not again.repeated and again.report["policy_digest"] != first.report["policy_digest"]
    assert _run(played, tmp_path, **changes).repeated


def test_the_same_inputs_give_the_same_bytes(played, tmp_path) -> None:
    for name in ("a", "b"):
        _run(played, tmp_path / name)
    for file in (REPORT_JSON, REPORT_HTML, METRICS):
        texts = [(tmp_path / name / "report" / file).read_text() for name in ("a", "b")]
        assert texts[0] == texts[1], file


def test_a_run_killed_before_its_ledger_is_made_again_in_full(played, tmp_path, monkeypatch) -> None:
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(running, "write_ledger", killed)
        with pytest.raises(KeyboardInterrupt):
            _run(played, tmp_path, N_DAYS, days=4)
    assert not read_ledger(tmp_path).runs
    told: list[Transition] = []
    outcome = _run(played, tmp_path, N_DAYS, days=4, notify=told.extend)
    assert not outcome.repeated and told
    assert len(read_ledger(tmp_path).runs) == 1


def test_an_earlier_window_looked_at_afterwards_moves_no_alert(played, tmp_path) -> None:
    _run(played, tmp_path, N_DAYS, days=4)
    before = read_ledger(tmp_path).alerts
    told: list[Transition] = []
    early = _run(played, tmp_path, BROKEN_FROM, days=4, notify=told.extend)
    assert not told
    assert read_ledger(tmp_path).alerts == before
    assert "drift:card_age_days" not in {a["key"] for a in early.report["alerts"]}


def test_an_earlier_window_looked_at_afterwards_leaves_the_newest_report_and_metrics(
    played, tmp_path
) -> None:
    _run(played, tmp_path, N_DAYS, days=4)
    newest = {name: (tmp_path / "report" / name).read_bytes() for name in (REPORT_JSON, REPORT_HTML, METRICS)}
    early = _run(played, tmp_path, days=4)
    assert {name: (tmp_path / "report" / name).read_bytes() for name in newest} == newest
    assert early.written_to == tmp_path / "report" / f"{played.until(BROKEN_FROM):%Y-%m-%dT%H%M%SZ}"
    assert json.loads((early.written_to / REPORT_JSON).read_text()) == early.report
    assert not (early.written_to / METRICS).exists(), "nothing of the past is scraped as if it were now"
    assert _run(played, tmp_path, days=4).repeated


def test_an_earlier_window_that_looks_wrong_says_so_although_nothing_of_it_can_last(played, tmp_path) -> None:
    patient = MonitoringPolicy(window_days=4, alerts=AlertPolicy(for_days=30))
    _run(played, tmp_path, N_DAYS + 1, policy=patient)
    report = _run(played, tmp_path, N_DAYS, policy=patient).report
    assert report["state"] == "alert"
    assert {a["state"] for a in report["alerts"]} == {"firing"}


def test_what_holds_but_has_not_lasted_is_not_called_healthy(played, tmp_path, monkeypatch) -> None:
    """The same examination without its only findings is healthy: they alone make the difference."""
    seen = {}

    def spied(examination, findings, alerts):
        quiet = {k: replace(f, holds=False) if f.holds else f for k, f in findings.items()}
        loud = {**quiet, "domain": replace(quiet["domain"], holds=True)}
        judged = replace_judgements(examination)
        seen["quiet"] = state_of(judged, quiet, {})
        seen["loud"] = state_of(judged, loud, {})
        return state_of(examination, findings, alerts)

    monkeypatch.setattr(running, "state_of", spied)
    _run(played, tmp_path)
    assert seen == {"quiet": "healthy", "loud": "insufficient_evidence"}


def replace_judgements(examination):
    """Return an examination in which everything could be judged and is well."""
    well = {
        name: replace(one, f1=replace(one.f1, health=Health.HEALTHY))
        for name, one in examination.models.items()
    }
    return replace(examination, models=well, drift=replace(examination.drift, verdict="ok"))


def test_another_model_starts_without_the_alerts_of_the_one_before(played, tmp_path) -> None:
    told: list[Transition] = []
    _run(played, tmp_path, N_DAYS, days=4, notify=told.extend)
    fired = {t.alert.key for t in told if t.firing}
    told.clear()
    other = replace(played.expected, manifest_digest="e" * 64, version="2.0.0")
    _run(played, tmp_path, N_DAYS + 1, days=4, expected=other, notify=told.extend)
    assert fired and {(t.alert.key, t.firing, t.cause) for t in told} == {
        (k, False, "replaced") for k in fired
    }


def test_a_longer_window_ends_no_alert_of_a_shorter_one(played, tmp_path) -> None:
    _run(played, tmp_path, N_DAYS, days=4)
    before = read_ledger(tmp_path).alerts[4 * 86_400_000]
    told: list[Transition] = []
    _run(played, tmp_path, N_DAYS, days=10, notify=told.extend)
    assert before and read_ledger(tmp_path).alerts[4 * 86_400_000] == before
    assert not [t for t in told if not t.firing]


def test_what_a_run_leaves_is_what_the_page_can_read_and_f1_stands_where_its_predictions_were(
    played, tmp_path
) -> None:
    for day in (BROKEN_FROM, N_DAYS):
        _run(played, tmp_path, day)
    record = MonitoringHistory(tmp_path, tmp_path / "none")()
    assert record is not None and len(record.runs) == 2
    drawn = f1_over_time(record.runs, record.report["held_out_f1"], "en")
    assert drawn is not None
    (line,) = [trace for trace in drawn.data if trace.name == "XGBoost"]
    assert [moment.date() for moment in line.x] == [played.until(d - 7).date() for d in (BROKEN_FROM, N_DAYS)]
    (promised,) = [t for t in drawn.data if t.line.dash == "dot" and "XGBoost" in t.name]
    assert promised.x[-1].date() == played.until(N_DAYS).date() and promised.y[-1] is not None


def test_no_feedback_yet_is_insufficient_evidence_and_not_health(played, tmp_path) -> None:
    outcome = _run(played, tmp_path, dataset=LocalRepository(tmp_path / "empty.git"))
    assert outcome.state == "insufficient_evidence"
    assert outcome.report["dataset_revision"] is None
    assert (tmp_path / "report" / REPORT_HTML).read_text().count("<h2") >= 4


def test_a_release_without_a_reference_is_not_called_healthy(played, tmp_path) -> None:
    outcome = _run(played, tmp_path, expected=replace(played.expected, inputs=None))
    assert outcome.report["drift"]["reasons"][0]["code"] == "no_reference"
    assert outcome.state == "insufficient_evidence"


def test_another_release_than_the_one_that_answered_has_no_predictions_to_be_judged_by(
    played, tmp_path
) -> None:
    other = replace(played.expected, manifest_digest="f" * 64)  # of the same version, by name
    report = _run(played, tmp_path, expected=other).report
    assert (report["n_predictions"], report["n_mature"], report["n_labels"]) == (0, 0, 0)
    assert report["domain"]["reasons"][0]["code"] == "no_earlier_stretch"
    assert report["operations"]["versions"] == {"1.0.0": report["operations"]["n_predictions"]}


def test_realised_and_estimated_are_of_the_same_predictions_and_the_present_has_its_own(
    played, tmp_path
) -> None:
    report = _run(played, tmp_path, N_DAYS).report
    assert 0 < report["n_labels"] < report["n_mature"]
    for model in report["models"].values():
        assert model["estimated"]["n_predictions"] == report["n_mature"]
        assert model["realised"]["n_predictions"] + model["realised"]["n_without_lot"] == report["n_mature"]
        assert model["estimated_now"]["n_predictions"] == report["n_predictions"]
    page = (tmp_path / "report" / REPORT_HTML).read_text()
    assert page.count("estimated now: F1") == 2
    (line,) = read_ledger(tmp_path).runs
    assert line.figures["matured_end_ms"] == line.until_ms - 7 * 86_400_000
    assert line.figures["f1_estimated_now:xgboost"]["value"] == pytest.approx(
        report["models"]["xgboost"]["estimated_now"]["figures"]["f1"]["value"]
    )


def test_the_log_is_read_one_table_at_a_time(played, tmp_path, monkeypatch) -> None:
    def watched(tables, *arguments, **named):
        assert iter(tables) is tables, "a list would hold the whole history"
        return observe(tables, *arguments, **named)

    monkeypatch.setattr(running, "observe", watched)
    assert _run(played, tmp_path).report["n_predictions"] > 0


def test_a_window_of_which_most_cannot_be_read_is_not_called_healthy(played, tmp_path, monkeypatch) -> None:
    def broken(tables, *arguments, **named):
        found = observe(tables, *arguments, **named)
        n = len(found["window"].observations)
        return found | {"window": replace(found["window"], unused={"cannot be read by the profile": n + 1})}

    monkeypatch.setattr(running, "observe", broken)
    outcome = _run(played, tmp_path)
    assert outcome.state == "insufficient_evidence"
    assert outcome.report["drift"]["reasons"][0]["code"] == "unreadable"
    page = (tmp_path / "report" / REPORT_HTML).read_text()
    assert "cannot be read by the profile, and the rest" in page
    assert "Predictions in the window that the profile cannot read, left out" in page


def test_a_revision_that_is_none_is_said_so(played, tmp_path) -> None:
    with pytest.raises(NotFound):
        _run(played, tmp_path, revision="f" * 40)


def test_a_second_run_at_the_same_time_is_refused(played, tmp_path) -> None:
    with locked(tmp_path), pytest.raises(StorageError, match="Another monitoring run"):
        _run(played, tmp_path)


def test_a_directory_that_cannot_be_written_is_named(played, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        _run(played, tmp_path, out=tmp_path / "file" / "report")


def test_the_metrics_are_prometheus_text_with_the_reports_figures(played, tmp_path) -> None:
    report = _run(played, tmp_path).report
    text = (tmp_path / "report" / METRICS).read_text()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    realised = {
        (s.labels["model"], s.labels["figure"]): s.value
        for s in families["fraud_monitoring_performance"].samples
    }
    expected = report["models"]["xgboost"]["realised"]["figures"]["alert_rate"]["value"]
    assert realised["xgboost", "alert_rate"] == pytest.approx(expected)
    states = {s.labels["state"]: s.value for s in families["fraud_monitoring_state"].samples}
    assert sum(states.values()) == 1 and states[report["state"]] == 1


@pytest.mark.parametrize("language", ["en", "pt-BR"])
def test_the_page_opens_without_a_network_in_either_language(played, tmp_path, language) -> None:
    _run(played, tmp_path, N_DAYS, days=4, language=language)
    page = (tmp_path / "report" / REPORT_HTML).read_text()
    assert f'<html lang="{language}">' in page
    assert "src=" not in page and len(page) < 3_000_000
    assert ("Card age" if language == "en" else "Idade do cartão") in page


def test_the_report_is_json_that_any_reader_takes(played, tmp_path) -> None:
    _run(played, tmp_path)
    text = (tmp_path / "report" / REPORT_JSON).read_text()
    document = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert document["schema_version"] == 1


def test_alerts_wait_as_long_as_the_policy_says(played, tmp_path) -> None:
    patient = MonitoringPolicy(window_days=4, alerts=AlertPolicy(for_days=30))
    report = _run(played, tmp_path, N_DAYS, policy=patient).report
    waiting = {a["key"] for a in report["alerts"] if a["severity"] == "warning"}
    assert waiting
    assert all(a["state"] == "pending" for a in report["alerts"] if a["key"] in waiting)
