"""How a table is cut, what is bounded, and what is refused with a sentence."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.cli import main
from fraud.data.profile import Profile
from fraud.errors import TableError
from fraud.scale import preparing
from fraud.scale.counting import Counted, Frauds
from fraud.scale.partitions import parquet_files, partitions_of, read_partition
from fraud.scale.preparing import OnDisk, prepare_at_scale
from fraud.scale.sampling import Sample
from fraud.scale.shuffle import shuffles_of
from fraud.scale.splitting import plan_of
from tests.unit.scale.conftest import HereAndNow, in_files

DAY_MS = 86_400_000


def test_partitions_cover_every_row_once_and_are_not_larger_than_asked(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": np.arange(1_000)})
    frame.head(700).to_parquet(tmp_path / "a.parquet", index=False, row_group_size=300)
    frame.tail(300).to_parquet(tmp_path / "b.parquet", index=False, row_group_size=20)
    found = partitions_of(parquet_files(tmp_path), 110)
    assert max(map(len, found)) <= 110
    assert [p.first for p in found] == np.cumsum([0, *map(len, found[:-1])]).tolist()
    assert sum(map(len, found)) == 1_000


def test_files_of_other_columns_are_refused(tmp_path: Path) -> None:
    pd.DataFrame({"x": [1], "y": [1]}).to_parquet(tmp_path / "a.parquet")
    pd.DataFrame({"x": [1], "y": [1.0]}).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(TableError, match=r'b.parquet: column "y" is not as in a.parquet'):
        parquet_files(tmp_path)


def columns(*names: str) -> pa.Table:
    return pa.table([pa.array([1])] * len(names), names=list(names))


@pytest.mark.parametrize(("other", "named"), [(("y", "x"), "y"), (("x", "y", "y"), "y"), (("x",), "y")])
def test_files_of_another_order_of_columns_are_refused_with_a_sentence(
    other: tuple[str, ...], named: str, tmp_path: Path
) -> None:
    pq.write_table(columns("x", "y"), tmp_path / "a.parquet")
    pq.write_table(columns(*other), tmp_path / "b.parquet")
    with pytest.raises(TableError, match=f'b.parquet: column "{named}" .* in the same order'):
        parquet_files(tmp_path)


@pytest.mark.parametrize("beside", [True, False])
def test_files_in_a_folder_of_the_table_are_never_left_out_in_silence(beside: bool, tmp_path: Path) -> None:
    if beside:
        pq.write_table(columns("x"), tmp_path / "a.parquet")
    (tmp_path / "day=1" / "hour=2").mkdir(parents=True)
    (tmp_path / "_temporary").mkdir()
    for folder in ("day=1/hour=2", "_temporary"):
        pq.write_table(columns("x"), tmp_path / folder / "b.parquet")
    with pytest.raises(TableError, match=r"day=1/ holds files too.* side by side"):
        parquet_files(tmp_path)


def test_a_row_that_breaks_the_profile_is_named_with_its_file(
    small_frame: pd.DataFrame, small_profile: Profile, tmp_path: Path
) -> None:
    frame = small_frame.head(300).copy()
    frame.loc[220, "amount"] = -3.0
    partitions = partitions_of(parquet_files(in_files(frame, tmp_path / "parts", [150])), 50)
    with pytest.raises(
        TableError, match=r'part-001.parquet, from its row 51 on: Column "amount", row 21: .*-3'
    ):
        read_partition(partitions[4], small_profile)


def test_one_movement_of_rows_serves_all_groupings_that_share_an_entity(small_profile: Profile) -> None:
    assert [shuffle.column for shuffle in shuffles_of(small_profile)] == ["card_id", "merchant_id"]


def test_what_one_process_judges_is_cut_to_whole_days_and_said(small_profile: Profile) -> None:
    days = np.repeat(np.arange(20_454, 20_454 + 90), 1)  # from 2026-01-01 on, 24 rows a day
    hours = (days[:, None] * 24 + np.arange(24)).ravel()
    nobody = np.zeros(0, np.int64)
    counted = Counted(
        2_160, 20, 2_140, int(days[0]) * DAY_MS, int(days[-1] + 1) * DAY_MS - 1, hours,
        np.ones(len(hours), np.int64), Frauds(nobody, nobody, nobody, nobody.astype(object)),
    )  # fmt: skip

    def look(low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
        raise AssertionError("bounds of days need no second look")

    plan = plan_of(small_profile, [counted], look, lambda: (nobody, nobody), 7, max_held_out=100)
    assert plan.test[1][0] - plan.test[0][0] == 4 * DAY_MS
    assert plan.calibration[1][0] - plan.calibration[0][0] == 4 * DAY_MS
    assert plan.train[1] == plan.calibration[0], "what calibration gives up is trained on"
    assert "newest 4 days" in plan.note
    assert "first 4 days" in plan.note


def test_a_past_too_long_to_ship_is_refused_before_it_is_computed(
    small_frame: pd.DataFrame,
    small_profile: Profile,
    here: HereAndNow,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(preparing, "MAX_PAST", 1_000)
    partitions = partitions_of(parquet_files(in_files(small_frame, tmp_path / "parts", [])))
    with pytest.raises(TableError, match=r"Serving would look back on .* shorten the longest window"):
        prepare_at_scale(here, partitions, small_profile)


def test_rows_without_a_label_count_in_the_past_that_is_shipped(
    small_frame: pd.DataFrame,
    small_profile: Profile,
    here: HereAndNow,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or a table whose last months nobody has judged yet would be read into one process whole."""
    frame = small_frame.copy()
    frame["is_fraud"] = frame["is_fraud"].astype("Int64")
    newest = frame["occurred_at"] > frame["occurred_at"].quantile(0.6)
    frame.loc[newest & (np.arange(len(frame)) % 10 > 0), "is_fraud"] = pd.NA
    monkeypatch.setattr(preparing, "MAX_PAST", 10_000)
    partitions = partitions_of(parquet_files(in_files(frame, tmp_path / "parts", [])))
    with pytest.raises(TableError, match="Serving would look back on"):
        prepare_at_scale(here, partitions, small_profile)


def test_a_sample_that_fits_keeps_all_frauds(tmp_path: Path) -> None:
    disk = OnDisk(tmp_path, (), 10, {"train": (100, 9_900)})
    everything = Sample(("train",), 1.0, 7)
    assert everything.of_at_most(20_000, disk) is everything
    smaller = everything.of_at_most(1_090, disk)
    assert smaller.expected_rows(disk) == pytest.approx(1_090)
    assert smaller.share == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--workers", "3"], "--workers is an option of a cluster; add --engine dask"),
        (["--engine", "dask"], "name a Parquet file or a directory of them with --data"),
        (["--engine", "dask", "--data", "x.parquet", "--partition-rows", "5"], "must be 1000 or more"),
        (["--engine", "dask", "--data", "x.parquet", "--memory-limit", "much"], "must be a size such as 2GB"),
        (
            ["--engine", "dask", "--data", "x.parquet", "--memory-limit", "1e999"],
            "must be a size such as 2GB",
        ),
        (["--engine", "dask", "--data", "x.parquet", "--workers", "0"], "--workers must be 1 or more"),
        (
            ["--engine", "dask", "--data", "x", "--scheduler", "tcp://127.0.0.1:9", "--workers", "2"],
            "give either",
        ),
    ],
)
def test_options_that_make_no_sense_are_refused(
    options: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *options, "--out", str(tmp_path / "out")]) == 2
    assert sentence in capsys.readouterr().err


def test_without_dask_the_command_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fraud.scale.cluster.find_spec", lambda name: None)
    assert main(["train", "--engine", "dask", "--data", "x", "--out", str(tmp_path / "out")]) == 2
    assert "install requirements-scale.txt" in capsys.readouterr().err
