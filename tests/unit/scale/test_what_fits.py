"""What does not fit into the workers' memory is cut to what does, and said."""

from pathlib import Path

import pandas as pd
import pytest

from fraud.data.profile import ModelSettings, Profile
from fraud.scale import forest
from fraud.scale.boosting import _that_fit
from fraud.scale.cluster import EngineError
from fraud.scale.forest import fit_forest_at_scale
from fraud.scale.partitions import parquet_files, partitions_of
from fraud.scale.preparing import OnDisk, prepare_at_scale
from fraud.scale.sampling import Sample
from tests.unit.scale.conftest import HereAndNow, in_files


@pytest.mark.parametrize(("bytes_per_node", "shares"), [(1, [1, 8]), (1e9, [1] * 9)])
def test_no_more_trees_are_grown_at_once_than_fit(
    small_frame: pd.DataFrame,
    small_profile: Profile,
    here: HereAndNow,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    bytes_per_node: float,
    shares: list[int],
) -> None:
    monkeypatch.setattr(forest, "BYTES_PER_NODE", bytes_per_node)
    light = ModelSettings.model_validate({"random_forest": {"n_estimators": 9, "max_depth": 3}})
    partitions = partitions_of(parquet_files(in_files(small_frame, tmp_path / "parts", [])))
    ready = prepare_at_scale(here, partitions, small_profile)
    fitted, _ = fit_forest_at_scale(here, ready.disk, light, 7, refit=False, forest_engine="scikit-learn")
    trees = fitted.estimator.estimators_
    assert len(trees) == fitted.estimator.n_estimators == 9
    assert len({tree.tree_.threshold.tobytes() for tree in trees}) > 4, "each share has a seed of its own"
    assert [len(g) for g in grown(here)] == shares
    assert fitted.estimator.predict_proba(ready.prepared.test_features).shape[1] == 2


def grown(here: HereAndNow) -> list[list[object]]:
    import joblib

    files = sorted(here.folder.glob("trees-train-*"), key=lambda f: int(f.name.rsplit("-", 1)[1]))
    return [joblib.load(file).estimators_ for file in files]


TRAIN, LATER = Sample(("train",), 1.0, 7), Sample(("calibration",), 1.0, 7)


def test_what_stops_a_fit_early_takes_its_share_of_the_memory(
    here: HereAndNow, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker of 1 GB holds 535,714 rows of 40 features, those of the validation included."""
    disk = OnDisk(tmp_path, (), 40, {"train": (100_000, 9_900_000), "calibration": (10_000, 1_990_000)})
    sample, later = _that_fit(here, disk, TRAIN, LATER)
    assert later is not None
    assert later.expected_rows(disk) == pytest.approx(535_714 / 4, rel=1e-3)
    assert sample.expected_rows(disk) == pytest.approx(535_714 * 3 / 4, rel=1e-3)
    assert "all frauds and 3.0% of the others are fitted on, early stopping is judged on 6.2%" in (
        capsys.readouterr().err
    )


def test_what_fits_is_taken_whole_and_nothing_is_said(
    here: HereAndNow, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = OnDisk(tmp_path, (), 40, {"train": (1_000, 400_000), "calibration": (100, 100_000)})
    assert _that_fit(here, disk, TRAIN, LATER) == (TRAIN, LATER)
    assert _that_fit(here, disk, TRAIN, None) == (TRAIN, None)
    assert not capsys.readouterr().err


def test_a_small_training_part_leaves_the_rest_to_what_stops_it(here: HereAndNow, tmp_path: Path) -> None:
    disk = OnDisk(tmp_path, (), 40, {"train": (1_000, 199_000), "calibration": (10_000, 1_990_000)})
    sample, later = _that_fit(here, disk, TRAIN, LATER)
    assert sample is TRAIN and later is not None
    assert later.expected_rows(disk) == pytest.approx(535_714 - 200_000, rel=1e-3)


def test_memory_that_does_not_hold_the_frauds_is_refused(here: HereAndNow, tmp_path: Path) -> None:
    disk = OnDisk(tmp_path, (), 40, {"train": (300_000, 9_900_000), "calibration": (100, 100_000)})
    with pytest.raises(EngineError, match="the frauds alone are 300,000; give the workers more"):
        _that_fit(here, disk, TRAIN, None)
