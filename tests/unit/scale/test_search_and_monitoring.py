"""What is searched and monitored on workers is what one process finds."""

from pathlib import Path

import pandas as pd
import pytest

pytest.importorskip("optuna")

from fraud.data.profile import ModelSettings, Profile
from fraud.data.table import read_table, transactions_from_frame
from fraud.models import tuning
from fraud.models.tuning import Tuned, tune
from fraud.scale.partitions import parquet_files
from fraud.scale.tuning import FoldsOnWorkers, load_here
from tests.unit.scale.conftest import HereAndNow, awkward, in_files

LIGHT = {
    "random_forest": {"n_estimators": 8, "min_samples_leaf": 5},
    "xgboost": {"n_estimators": 10, "learning_rate": 0.3, "max_depth": 3},
}


def test_a_search_with_its_folds_elsewhere_finds_the_same(
    small_frame: pd.DataFrame,
    small_profile: Profile,
    here: HereAndNow,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def suggest(trial, name):
        leaf = trial.suggest_int("leaf", 1, 30)
        return ModelSettings.model_validate({"xgboost": LIGHT["xgboost"] | {"min_child_weight": leaf}})

    monkeypatch.setattr(tuning, "suggest", suggest)
    monkeypatch.setattr(tuning, "DEFAULTS", LIGHT)
    profile = small_profile.model_copy(update={"models": ModelSettings.model_validate(LIGHT)})
    frame = awkward(small_frame)
    frame.to_parquet(tmp_path / "whole.parquet", index=False)
    one = transactions_from_frame(read_table(tmp_path / "whole.parquet"), profile)
    files = parquet_files(in_files(frame, tmp_path / "parts", [9_000, 30_000]))
    many, digest = load_here(here, files, profile, 8_000)
    assert (many.rows == one.rows).all()

    def search(table, path: Path, **options) -> Tuned:
        found = tune(
            table,
            profile,
            n_trials=4,
            study=path,
            data_digest=digest,
            n_folds=3,
            models=("xgboost",),
            **options,
        )
        return found["xgboost"]

    alone = search(one, tmp_path / "one.journal")
    together = search(many, tmp_path / "many.journal", judged=FoldsOnWorkers(here))
    assert together.trials == alone.trials
    assert (together.n_pruned, together.held_back) == (alone.n_pruned, alone.held_back)
    assert together.settings == alone.settings
