"""Where a training table comes from, and what the manifest is told of it."""

import hashlib
from pathlib import Path

import pandas as pd
import pytest

from fraud.data.profile import Profile, load_profile
from fraud.data.sources import load_transactions
from fraud.errors import TableError


def test_a_file_is_recorded_with_its_digest(
    small_profile: Profile, small_frame: pd.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / "table.csv"
    small_frame.head(50).to_csv(path, index=False)
    table, origin = load_transactions(small_profile, path)
    assert len(table) == 50
    assert origin == {
        "source": "file",
        "name": "table.csv",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def test_the_simulator_is_recorded_with_its_parameters_and_repeats_itself(small_profile: Profile) -> None:
    first, origin = load_transactions(small_profile, None)
    again, same = load_transactions(small_profile, None)
    assert origin == same and origin["source"] == "simulator" and origin["seed"] == small_profile.source.seed
    assert (first.times() == again.times()).all() and (first.ids == again.ids).all()


def test_csv_and_parquet_of_one_table_are_one_table(
    small_profile: Profile, small_frame: pd.DataFrame, tmp_path: Path
) -> None:
    frame = small_frame.head(200)
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    csv, _ = load_transactions(small_profile, tmp_path / "t.csv")
    parquet, _ = load_transactions(small_profile, tmp_path / "t.parquet")
    assert csv.ids.tolist() == parquet.ids.tolist()
    assert csv.times().tolist() == parquet.times().tolist()
    for name, column in csv.numbers.items():
        assert column.tolist() == pytest.approx(parquet.numbers[name].tolist(), nan_ok=True), name
    for name, texts in csv.texts.items():
        assert texts.texts() == parquet.texts[name].texts(), name


def test_a_profile_without_a_simulator_needs_a_file() -> None:
    with pytest.raises(TableError, match="name a table with --data FILE"):
        load_transactions(load_profile("handbook"), None)


def test_a_file_that_is_not_there_is_said_to_be_missing(small_profile: Profile, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="there is no such file"):
        load_transactions(small_profile, tmp_path / "nothing.csv")
