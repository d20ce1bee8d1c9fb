"""What one fit was given: rows after undersampling, and no more threads than there are cores to use."""

import os
from pathlib import Path

import numpy as np
import pytest

from fraud.data.profile import ModelSettings
from fraud.models.estimators import TrainingRows, usable_cores
from fraud.models.fitting import Parts, fit_model

SETTINGS = ModelSettings.model_validate(
    {
        "random_forest": {"n_estimators": 3},
        "xgboost": {"n_estimators": 3, "max_depth": 2},
        "negatives_per_fraud": 5,
    }
)


def rows(n: int, n_frauds: int, seed: int) -> TrainingRows:
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) < n_frauds).astype(np.float64)
    return TrainingRows(rng.random((n, 3), np.float32), labels, np.ones(n), np.arange(n))


@pytest.mark.parametrize("name", ["random_forest", "xgboost"])
@pytest.mark.parametrize("refit", [False, True])
def test_a_fit_says_how_many_rows_were_left_after_undersampling(name: str, refit: bool) -> None:
    train = rows(2000, 40, 1)
    sampled = train.undersampled(5, 7)
    _, final = fit_model(name, Parts(train, rows(500, 10, 2), refit), SETTINGS, 7)
    assert (final.n_rows, final.n_frauds) == (len(sampled.labels), 40)
    assert final.n_rows < 400, "about 200 legitimate rows are left of 1,960"


@pytest.mark.parametrize(("limit", "most"), [("50000 100000", 1), ("100001 100000", 2), ("1 100000", 1)])
def test_a_containers_quota_bounds_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    path = tmp_path / "cpu.max"
    path.write_text(limit + "\n", encoding="ascii")
    assert usable_cores(path) == most


@pytest.mark.parametrize("content", [None, "max 100000\n", "", "100000 0\n", "9900000 100000\n"])
def test_without_a_quota_below_them_all_cores_of_the_process_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    path = tmp_path / "cpu.max"
    if content is not None:
        path.write_text(content, encoding="ascii")
    assert usable_cores(path) == 16
