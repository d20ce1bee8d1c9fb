"""Real workers on loopback: the same bundle and answers, and what becomes of work whose worker is killed."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import psutil
import pytest

from fraud.cli import main
from fraud.data.profile import Profile
from fraud.errors import SettingsError
from fraud.models.bundle import load_bundle
from fraud.scale import agreement, cluster
from fraud.scale.boosting import fit_boosting_at_scale
from fraud.scale.cluster import Engine, EngineError, EngineOptions, engine
from fraud.scale.partitions import parquet_files, partitions_of
from fraud.scale.preparing import prepare_at_scale
from tests.demo import ROOT

Frame = pd.DataFrame


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("cluster")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cluster, "RETRIES", 1)  # a worker takes seconds to come back
        with engine(EngineOptions(workers=2, memory_limit="1GB"), folder / "result") as found:
            yield found


@pytest.fixture(scope="module")
def address(workers: Engine) -> str:
    return str(workers.client.scheduler.address)


@pytest.fixture(scope="module")
def parts(small_frame: Frame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("table")
    for number in range(4):
        small_frame.iloc[number * 10_000 : (number + 1) * 10_000].to_parquet(
            folder / f"part-{number}.parquet", index=False
        )
    small_frame.iloc[40_000:].to_parquet(folder / "part-4.parquet", index=False)
    return folder


@pytest.fixture(scope="module")
def bundle(
    address: str, parts: Path, small_profile_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("trained") / "artifacts"
    command = ["train", "--engine", "dask", "--scheduler", address, "--profile", str(small_profile_path)]
    assert main([*command, "--data", str(parts), "--out", str(out), "--scratch", str(out.parent)]) == 0
    return out


def test_the_bundle_is_one_like_any_other_with_the_figures_of_one_process(
    bundle: Path, small_bundle: Path, small_frame: Frame
) -> None:
    ours, theirs = load_bundle(bundle), load_bundle(small_bundle)
    assert ours.manifest["windows"] == theirs.manifest["windows"]
    assert ours.manifest["features"] == theirs.manifest["features"]
    assert ours.pipeline.levels == theirs.pipeline.levels
    for name in theirs.models:
        found, expected = (b.manifest["models"][name] for b in (ours, theirs))
        assert found["fitted"] == expected["fitted"]
        assert (
            expected["metrics"]["ap"]["low"]
            < found["metrics"]["ap"]["value"]
            < expected["metrics"]["ap"]["high"]
        )
        assert ours.manifest["parity"][name]["largest_difference"] <= 1e-6
        pickled = joblib.load(bundle / f"modelos_otimizados/{name}_otimizado.pkl")
        rows = small_frame.tail(500)
        assert pickled.predict_proba(rows, past=small_frame).shape == (500, 2)
    past = pd.read_parquet(bundle / "serving/history.parquet")
    pd.testing.assert_frame_equal(past, pd.read_parquet(small_bundle / "serving/history.parquet"))


def kill_one(workers: Engine) -> None:
    os.kill(next(iter(workers.members().values())), signal.SIGKILL)


def slowly(number: int, folder: Path) -> int:
    time.sleep(0.2)
    return number * 2


def test_a_worker_killed_in_the_middle_costs_nothing_but_time(workers: Engine) -> None:
    killer = threading.Timer(0.5, kill_one, [workers])
    killer.start()
    assert workers.each(slowly, list(range(16)), workers.folder) == [2 * n for n in range(16)]
    killer.join()
    workers.client.wait_for_workers(2)
    levels = workers.each_worker(level_of, "distributed.worker")
    assert set(levels.values()) == {logging.CRITICAL}, "a new one prints no traceback either"


def test_a_long_step_says_how_far_it_is(workers: Engine, monkeypatch: Any) -> None:
    told: list[str] = []
    monkeypatch.setattr(cluster, "TOLD_EVERY_S", 0.0)
    monkeypatch.setattr(workers, "progress", told.append)
    workers.each(slowly, list(range(4)), workers.folder)
    assert told[-1] == "4 of 4 parts"


def test_features_are_the_same_after_a_worker_died_over_them(
    workers: Engine, parts: Path, small_profile: Profile
) -> None:
    killer = threading.Timer(0.3, kill_one, [workers])
    killer.start()
    partitions = partitions_of(parquet_files(parts), 4_000)
    disturbed = prepare_at_scale(workers, partitions, small_profile).prepared
    killer.join()
    undisturbed = prepare_at_scale(workers, partitions, small_profile).prepared
    np.testing.assert_array_equal(disturbed.test_features, undisturbed.test_features)
    np.testing.assert_array_equal(disturbed.calibration.features, undisturbed.calibration.features)


def level_of(name: str) -> int:
    return logging.getLogger(name).getEffectiveLevel()


def listeners() -> set[str]:
    """Return what this process listens on; the scheduler and XGBoost's tracker live in it."""
    return {c.laddr.ip for c in psutil.Process().net_connections("tcp4") if c.status == psutil.CONN_LISTEN}


def being_boosted(dask_scheduler: Any) -> bool:
    """Return whether workers are inside `xgboost.train`, whose tasks `xgboost.dask` calls "fn"."""
    return any(
        t.state == "processing" and str(t.key).startswith("fn-") for t in dask_scheduler.tasks.values()
    )


def test_a_worker_killed_while_boosting_makes_the_fit_begin_again(
    workers: Engine, parts: Path, small_profile: Profile, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = next(iter(workers.members().values()))
    listening: list[set[str]] = []

    def kill_while_boosting() -> None:
        until = time.monotonic() + 180
        while not workers.client.run_on_scheduler(being_boosted) and time.monotonic() < until:
            time.sleep(0.05)
        # While the workers are still finding each other, XGBoost's tracker would end this process with them.
        time.sleep(0.6)
        listening.append(listeners())
        os.kill(victim, signal.SIGKILL)

    partitions = partitions_of(parquet_files(parts))
    ready = prepare_at_scale(workers, partitions, small_profile)
    rounds = {"n_estimators": 1_500, "learning_rate": 0.001, "max_depth": 4}
    models = small_profile.models.model_copy(update={"xgboost": rounds})
    killer = threading.Thread(target=kill_while_boosting)
    killer.start()
    fitted, _ = fit_boosting_at_scale(workers, ready.disk, models, 7, refit=False)
    killer.join()
    assert fitted.estimator.predict_proba(ready.prepared.test_features).shape == (len(ready.prepared.test), 2)
    assert "a worker died while fitting; beginning again" in capsys.readouterr().err
    assert listening == [{"127.0.0.1"}]


def test_work_that_kills_every_worker_ends_with_a_sentence(workers: Engine, monkeypatch: Any) -> None:
    with pytest.raises(EngineError, match="again and again over the same partition"):
        workers.each(die, [0], workers.folder)


def die(number: int, folder: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(("number", "left"), [(signal.SIGKILL, True), (signal.SIGTERM, False)])
def test_a_client_ended_while_scoring_leaves_nothing_that_looks_finished(
    address: str, parts: Path, bundle: Path, tmp_path: Path, number: signal.Signals, left: bool
) -> None:
    command = [sys.executable, "-m", "fraud", "score", str(parts), "--out", str(tmp_path / "scored")]
    with subprocess.Popen(
        [*command, "--engine", "dask", "--scheduler", address],
        cwd=ROOT,
        env=os.environ | {"FRAUD_ARTIFACTS_DIR": str(bundle), "FRAUD_REGISTRY_DIR": str(tmp_path / "none")},
    ) as process:
        until = time.monotonic() + 180
        while not list(tmp_path.glob(".scored.partial-*")) and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(number)
    assert process.returncode in (-number, 128 + number)
    assert not (tmp_path / "scored").exists()
    assert bool(list(tmp_path.glob(".scored.*"))) is left, "SIGTERM takes its files with it"


def test_workers_of_another_version_are_refused(address: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(agreement, "code_digest", os.getpid)  # each process its own
    with (
        pytest.raises(SettingsError, match="another version of this package"),
        engine(EngineOptions(scheduler=address), tmp_path / "result"),
    ):
        pass


def test_a_scheduler_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(cluster, "ANSWERS_WITHIN", "1s")
    with (
        pytest.raises(EngineError, match="no Dask scheduler answers there"),
        engine(EngineOptions(scheduler="tcp://127.0.0.1:9"), tmp_path / "result"),
    ):
        pass


def test_nothing_but_the_engine_loads_dask() -> None:
    code = "import fraud.cli, fraud.models.train, fraud.tables.to_file, sys; print('dask' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
