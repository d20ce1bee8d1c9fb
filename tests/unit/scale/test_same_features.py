"""What is computed over partitions is what one process computes, to the last bit."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fraud.data.profile import Profile, StratifiedEvaluation
from fraud.data.table import read_table, transactions_from_frame
from fraud.models.bundle_writer import recent_rows
from fraud.models.train import Prepared, prepare
from fraud.scale.partitions import parquet_files, partitions_of
from fraud.scale.preparing import PreparedAtScale, prepare_at_scale
from fraud.scale.sampling import sample_of
from tests.unit.scale.conftest import HereAndNow, awkward, in_files, of_plan

SEED = 11


@pytest.fixture(scope="module")
def awkward_frame(small_frame: pd.DataFrame) -> pd.DataFrame:
    return awkward(small_frame.iloc[:20_000])


def both_ways(
    frame: pd.DataFrame, profile: Profile, here: HereAndNow, tmp_path: Path, partition_rows: int = 4_000
) -> tuple[Prepared, PreparedAtScale]:
    whole = tmp_path / "whole.parquet"
    frame.to_parquet(whole, index=False)
    folder = in_files(frame, tmp_path / "parts", [4_000, 4_001, 15_000])
    one = prepare(transactions_from_frame(read_table(whole), profile), profile, seed=SEED)
    partitions = partitions_of(parquet_files(folder), partition_rows)
    return one, prepare_at_scale(here, partitions, profile, seed=SEED)


def assert_same(one: Prepared, scale: PreparedAtScale) -> None:
    other = scale.prepared
    assert other.pipeline.levels == one.pipeline.levels
    assert other.average_fraud == one.average_fraud
    train = sample_of(scale.disk, ["train"], None, SEED)
    rows = np.concatenate([np.load(scale.disk.rows("train", p)) for p in scale.disk.partitions])
    order = np.argsort(one.train.rows)
    np.testing.assert_array_equal(rows, one.train.rows[order])
    found = train.all_rows(scale.disk)
    np.testing.assert_array_equal(found.features, one.train.features[order])
    np.testing.assert_array_equal(found.labels, one.train.labels[order])
    for name in ("features", "labels", "rows"):
        np.testing.assert_array_equal(getattr(other.calibration, name), getattr(one.calibration, name))
    np.testing.assert_array_equal(other.test_features, one.test_features)
    assert other.test.ids.tolist() == one.test.ids.tolist()
    np.testing.assert_array_equal(other.test.labels, one.test.labels)
    assert other.split.n_dropped_compromised == one.split.n_dropped_compromised
    assert scale.whole.windows == one.split.windows(one.transactions)
    assert scale.whole.n_rows == len(one.transactions)


def test_every_feature_label_and_row_is_that_of_one_process(
    awkward_frame: pd.DataFrame, small_profile: Profile, here: HereAndNow, tmp_path: Path
) -> None:
    profile = of_plan(small_profile, test_start=pd.Timestamp("2026-02-05").date(), test_days=12)
    one, scale = both_ways(awkward_frame, profile, here, tmp_path)
    assert_same(one, scale)
    assert len(scale.disk.partitions) == 7


def test_cards_known_to_be_compromised_are_dropped_alike(
    awkward_frame: pd.DataFrame, small_profile: Profile, here: HereAndNow, tmp_path: Path
) -> None:
    profile = of_plan(
        small_profile, test_start=pd.Timestamp("2026-02-05").date(), train_days=25, drop_compromised="card"
    )
    one, scale = both_ways(awkward_frame, profile, here, tmp_path)
    assert_same(one, scale)
    assert scale.prepared.split.n_dropped_compromised > 0


@pytest.mark.parametrize("delay_days", [0.0, 3.0])
def test_a_plan_by_fractions_takes_the_same_rows(
    awkward_frame: pd.DataFrame, small_profile: Profile, here: HereAndNow, tmp_path: Path, delay_days: float
) -> None:
    profile = of_plan(
        small_profile, test_start=None, test_days=None, delay_days=delay_days, calibration_fraction=0.4
    )
    assert_same(*both_ways(awkward_frame, profile, here, tmp_path))


def test_a_split_at_random_takes_the_same_rows(
    awkward_frame: pd.DataFrame, small_profile: Profile, here: HereAndNow, tmp_path: Path
) -> None:
    profile = small_profile.model_copy(update={"evaluation": StratifiedEvaluation(kind="stratified")})
    one, scale = both_ways(awkward_frame, profile, here, tmp_path)
    assert_same(one, scale)


def test_undersampling_keeps_the_same_rows(
    awkward_frame: pd.DataFrame, small_profile: Profile, here: HereAndNow, tmp_path: Path
) -> None:
    profile = of_plan(small_profile, test_start=pd.Timestamp("2026-02-05").date(), test_days=12)
    one, scale = both_ways(awkward_frame, profile, here, tmp_path)
    sample = sample_of(scale.disk, ["train"], 5.0, SEED)
    kept = [sample.chosen(p, "train", scale.disk) for p in scale.disk.partitions]
    rows = [np.load(scale.disk.rows("train", p))[k] for p, k in zip(scale.disk.partitions, kept, strict=True)]
    assert np.concatenate(rows).tolist() == sorted(one.train.undersampled(5.0, SEED).rows.tolist())


def test_the_shipped_past_is_what_one_process_ships(
    small_frame: pd.DataFrame, small_profile: Profile, here: HereAndNow, tmp_path: Path
) -> None:
    one, scale = both_ways(awkward(small_frame), of_plan(small_profile, test_days=9), here, tmp_path, 9_000)
    profile = scale.prepared.profile
    kept = scale.prepared.transactions
    ours, theirs = kept.take(recent_rows(kept, profile)), one.transactions
    theirs = theirs.take(recent_rows(theirs, profile))
    # Rows of no card lie in several buckets, whose newest all stay; all others are the very same.
    assert set(theirs.rows.tolist()) <= set(ours.rows.tolist())
    more = ours.take(np.flatnonzero(~np.isin(ours.rows, theirs.rows)))
    assert (more.texts["card_id"].codes == -1).all()
    assert len(ours) < len(one.transactions)
