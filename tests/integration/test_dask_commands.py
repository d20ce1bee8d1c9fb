"""`--engine dask` as it is typed: workers that the command starts, and those that somebody else started."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pytest

from fraud.cli import main
from fraud.data.profile import ModelSettings
from fraud.models import tuning
from tests.demo import ROOT, free_port

pytest.importorskip("optuna")


def started(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments, "--no-dashboard"],
        cwd=ROOT,
        env=os.environ | {"DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE": "False"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    spill = str(tmp_path_factory.mktemp("workers"))
    workers = ("--nworkers", "2", "--nthreads", "1", "--memory-limit", "1GB", "--local-directory", spill)
    with ExitStack() as stack:
        for process in (
            started("scheduler", "--host", "127.0.0.1", "--port", str(port)),
            started("worker", address, "--host", "127.0.0.1", *workers),
        ):
            stack.enter_context(process)
            stack.callback(process.terminate)
        yield address


@pytest.fixture
def cluster(scheduler: str, tmp_path: Path) -> list[str]:
    return ["--engine", "dask", "--scheduler", scheduler, "--scratch", str(tmp_path)]


@pytest.mark.parametrize("whose", ["somebody else's", "its own"])
def test_score_answers_as_one_process_does(
    whose: str,
    scheduler: str,
    small_bundle: Path,
    small_frame: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FRAUD_ARTIFACTS_DIR", str(small_bundle))
    monkeypatch.setenv("FRAUD_REGISTRY_DIR", str(tmp_path / "none"))
    table = tmp_path / "big"
    table.mkdir()
    for number in range(3):
        rows = small_frame.iloc[number * 2_000 : (number + 1) * 2_000]
        rows.to_parquet(table / f"part-{number}.parquet", index=False)
    small_frame.iloc[:6_000].to_parquet(tmp_path / "whole.parquet", index=False)
    workers = (
        ["--workers", "1"] if whose == "its own" else ["--scheduler", scheduler, "--scratch", str(tmp_path)]
    )
    command = ["score", str(table), "--engine", "dask", "--out", str(tmp_path / "big_scored")]
    assert main([*command, "--rejected", str(tmp_path / "refused.csv"), *workers]) == 0
    assert main(["score", str(tmp_path / "whole.parquet"), "--out", str(tmp_path / "alone.parquet")]) == 0
    alone = pd.read_parquet(tmp_path / "alone.parquet")
    parts = [pd.read_parquet(path) for path in sorted((tmp_path / "big_scored").glob("*.parquet"))]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), alone)


def test_tune_finds_what_one_process_finds(
    cluster: list[str],
    small_profile_path: Path,
    small_frame: pd.DataFrame,
    tmp_path: Path,
    monkeypatch,
    capsys,
) -> None:
    light = {"random_forest": {"n_estimators": 8, "min_samples_leaf": 5}}

    def suggest(trial, name):
        leaf = trial.suggest_int("leaf", 1, 30)
        return ModelSettings.model_validate({name: light[name] | {"min_samples_leaf": leaf}})

    monkeypatch.setattr(tuning, "suggest", suggest)
    monkeypatch.setattr(tuning, "DEFAULTS", light)
    small_frame.to_parquet(tmp_path / "table.parquet", index=False)
    command = ["tune", "--profile", str(small_profile_path), "--data", str(tmp_path / "table.parquet")]
    command += ["--models", "random_forest", "--folds", "2", "--trials", "2"]
    found = []
    for name, where in (("together", cluster), ("alone", [])):
        assert main([*command, "--study", str(tmp_path / f"{name}.journal"), *where]) == 0
        found.append(capsys.readouterr().out)
    assert "2 trials" in found[0] and found[0] == found[1]


def test_monitor_reports_what_one_process_reports(
    cluster: list[str], small_bundle: Path, small_frame: pd.DataFrame, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("FRAUD_ARTIFACTS_DIR", str(small_bundle))
    monkeypatch.setenv("FRAUD_REGISTRY_DIR", str(tmp_path / "none"))
    assert main(["simulate-production", "--days", "2", "--out", str(tmp_path / "played")]) == 0
    until = small_frame["occurred_at"].max().ceil("D") + pd.Timedelta(days=2)  # played after the table's end
    command = ["monitor", "--window", "2d", "--until", until.isoformat()]
    command += ["--simulated", str(tmp_path / "played")]
    reports = []
    for name, where in (("together", cluster), ("alone", [])):
        out = tmp_path / name
        assert main([*command, "--out", str(out), *where]) in (0, 1, 3)
        reports.append(json.loads((out / "report.json").read_text()))
    assert reports[0]["n_predictions"] > 100 and reports[0] == reports[1]
