"""A retraining that dies leaves a readable registry and the champion; the next one completes it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fraud.data.profile import Profile
from fraud.data.sources import load_transactions
from fraud.data.table import Transactions
from fraud.feedback.store import FeedbackStore
from fraud.feedback.trust import TrustPolicy
from fraud.models.bundle import MANIFEST, load_bundle, verify
from fraud.records import Label
from fraud.registry import ModelRegistry
from fraud.repositories.local import LocalRepository
from fraud.retraining.gate import GatePolicy
from fraud.retraining.gold import read_gold
from fraud.retraining.job import retrain
from fraud.retraining.request import Request
from fraud.retraining.runs import read_runs
from fraud.retraining.slice_gate import SlicePolicy
from fraud.service import FraudService
from fraud.serving.champion import Champion
from tests.demo import ROOT

# The small window's frauds cannot prove the default margins; the gate's own figures are tested elsewhere.
LENIENT = GatePolicy(
    margin_ap=0.9,
    margin_f1=0.9,
    min_frauds=1,
    slices=SlicePolicy(margin_recall=0.9, max_false_alarm_ratio=9),
    max_calibration_error=9,
    alert_slack=9,
)
STRICT = replace(LENIENT, margin_ap=-0.9)
LATER = datetime.now(UTC) + timedelta(hours=2)  # later than any test of a long run flags


class Killed(BaseException):
    """Stands for a death that no handler sees."""


def base(profile: Profile) -> tuple[Transactions, dict[str, Any]]:
    transactions, source = load_transactions(profile, None)
    return transactions, dict(source)


def die_at(step: str, request: Request) -> None:
    def progress(message: str) -> None:
        if message.startswith(f"{step}:"):
            raise Killed(step)

    with pytest.raises(Killed):
        pytest.fail(str(retrain(replace(request, progress=progress))))


@pytest.fixture
def flagged(tmp_path: Path, small_bundle: Path) -> Callable[[int], str]:
    """Flag one of the shipped examples as fraud, commit it, and return the flag's id."""

    def flag(example: int) -> str:
        dataset = LocalRepository(tmp_path / "feedback" / "dataset.git")
        store = FeedbackStore(tmp_path / "outbox", dataset, "n")
        champion = Champion(ModelRegistry(LocalRepository(tmp_path / "registry")), small_bundle)
        service = FraudService(champion, store, node="n", pseudonym_key=b"k")
        shown = service.score(service.examples()[example]["transaction"])
        alerts = {score.decision.value != "approve" for score in shown.scores.values()}
        verdict = "right" if True in alerts else "wrong"
        given = service.flag(
            shown.prediction_id, verdict, label=Label.FRAUD, consent=True, session=str(example)
        )
        service.drain()
        service.close()
        return given.receipt_id

    return flag


@pytest.fixture
def request_(
    tmp_path: Path, small_bundle: Path, flagged: Callable[[int], str], fewer_parity_rows: None
) -> Request:
    flagged(0)
    return Request(
        registry=ModelRegistry(LocalRepository(tmp_path / "registry")),
        artifacts=small_bundle,
        dataset=LocalRepository(tmp_path / "feedback" / "dataset.git"),
        runs=tmp_path / "feedback" / "retraining",
        base=base,
        now=LATER,
        gate=LENIENT,
        language="pt-BR",
    )


def quick(request: Request) -> Request:
    return replace(request, trust=TrustPolicy(quarantine_days=0), promote=request.registry.promote)


def test_a_death_at_every_boundary_costs_one_step_and_nothing_is_half_released(request_: Request) -> None:
    request = quick(request_)
    registry = request.registry
    for step in ("decided", "trained", "gated", "recorded", "promoted"):
        die_at(step, request)
        for version in registry.versions():  # whatever is there is whole
            load_bundle(registry.directory(version.version))
        assert registry.aliases().champion in ((None, "1.0.0") if step != "promoted" else ("1.0.1",)), step
        if step == "trained":
            assert [v.version for v in registry.versions()] == ["1.0.0"], "no challenger before the gate"
    outcome = retrain(request)
    assert outcome.nothing_to_do, "the run had done everything but say so"
    runs = read_runs(request.runs)
    assert len(runs) == 1 and runs[0].state == "promoted", "one run from its first step to its last"
    assert not runs[0].bundle.exists()
    assert len(read_gold(request.runs).windows) == 1
    assert all(len(u.runs) == 1 for u in read_gold(request.runs).windows.values())

    manifest, _ = verify(registry.directory("1.0.1"))
    assert {"resultados/gate.json", "resultados/gate.html"} <= set(manifest["files"])
    recipe = manifest["data"]["feedback"]
    assert recipe["run"] == runs[0].run_id and recipe["dataset_revision"] == request.dataset.head()
    report = json.loads((registry.directory("1.0.1") / "resultados/gate.json").read_text())
    assert report["passed"] and report["schema_version"] == 1 and report["run"] == runs[0].run_id
    page = (registry.directory("1.0.1") / "resultados/gate.html").read_text()
    assert "Aprovado" in page and "src=" not in page and "href=" not in page


def test_who_decides_between_judging_and_promoting_is_not_overruled_by_the_run(
    request_: Request, tmp_path: Path, small_bundle: Path
) -> None:
    request, registry = quick(request_), request_.registry

    def reject_first(version: str, /, *, expected: int | None) -> object:
        registry.reject(version, who="m")
        return registry.promote(version, expected=expected)

    outcome = retrain(replace(request, promote=reject_first))
    assert not outcome.promoted and not outcome.refused
    assert outcome.overruled.startswith("1.0.1 is not promoted")
    assert registry.aliases().roles == {"champion": "1.0.0", "previous": None, "challenger": None}
    assert read_runs(request.runs)[0].state == "overruled"

    shutil.copytree(small_bundle, tmp_path / "other")
    manifest = json.loads((tmp_path / "other" / MANIFEST).read_text()) | {"version": "1.0.9"}
    (tmp_path / "other" / MANIFEST).write_text(json.dumps(manifest))

    def promote_another(message: str) -> None:
        if message.startswith("gated:"):
            registry.record(tmp_path / "other", "other")
            registry.promote("1.0.9", who="m")

    later = LATER + timedelta(hours=1)
    outcome = retrain(replace(request, now=later, force=True, progress=promote_another))
    assert outcome.overruled and not outcome.promoted
    assert registry.aliases().champion == "1.0.9", "the gate never compared the challenger with it"


def test_a_refusal_is_reported_told_and_not_repeated(
    request_: Request, flagged: Callable[[int], str]
) -> None:
    told: list[tuple[str, Any]] = []
    request = replace(quick(request_), gate=STRICT, notify=lambda event, data, *_: told.append((event, data)))
    outcome = retrain(request)
    assert outcome.refused and outcome.version is None
    assert [event for event, _ in told] == ["gate.refused"] and told[0][1]["reasons"]
    assert json.loads((outcome.report / "gate.json").read_text())["passed"] is False
    assert "Recusado" in (outcome.report / "gate.html").read_text()
    assert [v.version for v in request.registry.versions()] == ["1.0.0"], "a refusal releases nothing"
    again = retrain(request)
    assert again.nothing_to_do and "the gate refused it" in again.reasons[0] and len(told) == 1

    later = LATER + timedelta(hours=1)
    spent = replace(request, now=later, force=True, gate=replace(STRICT, gold_budget=1))
    refused = retrain(spent)
    assert refused.refused and "has judged 1 times and its budget is 1" in refused.reasons[0]
    assert "trained" not in read_runs(request.runs)[0].steps, "a spent window costs no training"


def test_a_withdrawal_between_death_and_resumption_is_honoured(
    request_: Request, flagged: Callable[[int], str], tmp_path: Path, small_bundle: Path
) -> None:
    request = quick(request_)
    second = flagged(1)
    die_at("decided", request)
    store = FeedbackStore(tmp_path / "outbox", request.dataset, "n")
    service = FraudService(Champion(request.registry, small_bundle), store, node="n", pseudonym_key=b"k")
    service.withdraw(second)
    service.drain()
    service.close()
    die_at("decided", replace(request, now=LATER + timedelta(hours=1)))
    newest, oldest = read_runs(request.runs)
    assert oldest.state == "abandoned" and newest.state is None
    assert (newest.steps["decided"]["n_labels"], oldest.steps["decided"]["n_labels"]) == (1, 2)


SCRIPT = """
import os, signal, sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from fraud.data.sources import load_transactions
from fraud.feedback.trust import TrustPolicy
from fraud.registry import ModelRegistry
from fraud.repositories.local import LocalRepository
from fraud.retraining.job import retrain
from fraud.retraining.request import Request
from tests.integration.test_retraining_survives import LENIENT
home, artifacts, step = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
def progress(message):
    if message.startswith(step):
        os.kill(os.getpid(), signal.SIGKILL)
registry = ModelRegistry(LocalRepository(home / "registry"))
outcome = retrain(Request(
    registry=registry, artifacts=artifacts, dataset=LocalRepository(home / "feedback" / "dataset.git"),
    runs=home / "feedback" / "retraining", base=lambda profile: load_transactions(profile, None),
    now=datetime.fromisoformat(sys.argv[4]), trust=TrustPolicy(quarantine_days=0),
    gate=LENIENT,
    promote=registry.promote, progress=progress))
print(outcome.version, outcome.promoted)
"""


@pytest.mark.slow
def test_sigkill_while_fitting_and_after_recording_is_survived(
    request_: Request, tmp_path: Path, small_bundle: Path
) -> None:
    def child(step: str) -> subprocess.CompletedProcess[str]:
        arguments = [str(tmp_path), str(small_bundle), step, LATER.isoformat()]
        return subprocess.run(
            [sys.executable, "-c", SCRIPT, *arguments],
            cwd=ROOT,
            env=os.environ,
            capture_output=True,
            text=True,
        )

    for step in ("fitting xgboost", "recorded:"):
        died = child(step)
        assert died.returncode == -signal.SIGKILL, died.stderr
        registry = ModelRegistry(LocalRepository(tmp_path / "registry"))
        assert registry.aliases().champion in (None, "1.0.0")
        for version in registry.versions():
            load_bundle(registry.directory(version.version))
    done = child("never")
    assert done.returncode == 0 and done.stdout.strip() == "1.0.1 True", done.stderr
    assert len(read_runs(request_.runs)) == 1
