"""A directory scored file by file is the one table scored in one process: rows, answers, refusals."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fraud.errors import StorageError, TableError
from fraud.models.bundle import load_bundle
from fraud.scale import scoring
from fraud.scale.scoring import score_directory
from fraud.serving.scorer import Scorer
from fraud.tables.to_file import score_file
from tests.unit.scale.conftest import HereAndNow, in_files

NOW = datetime(2026, 8, 30, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def scorer(small_bundle: Path) -> Scorer:
    return Scorer.from_bundle(load_bundle(small_bundle))


@pytest.fixture(scope="module")
def table(small_frame: pd.DataFrame) -> pd.DataFrame:
    """Rows in no order of time; some are of the bundle's past, some break a rule, some have no label."""
    frame = small_frame.tail(3_000).sample(frac=1.0, random_state=3).reset_index(drop=True)
    frame["transaction_id"] = [f"new-{i}" if i % 3 else old for i, old in enumerate(frame["transaction_id"])]
    frame.loc[[5, 900, 2_999], "amount"] = [-1.0, np.nan, 1e9]
    frame.loc[7, "card_id"] = None
    frame["is_fraud"] = frame["is_fraud"].astype("Int64")
    frame.loc[frame.index % 2 == 0, "is_fraud"] = pd.NA
    return frame


def test_answers_and_refusals_are_those_of_one_process(
    scorer: Scorer, table: pd.DataFrame, here: HereAndNow, tmp_path: Path
) -> None:
    table.to_parquet(tmp_path / "whole.parquet", index=False)
    one = score_file(
        scorer, tmp_path / "whole.parquet", tmp_path / "one.parquet", NOW, tmp_path / "refused.csv"
    )
    folder = in_files(table, tmp_path / "parts", [800, 801, 2_000])
    result = score_directory(
        here, scorer, folder, tmp_path / "scored", NOW, tmp_path / "refused-many.csv", partition_rows=1_000
    )
    assert (result.n_scored, result.n_refused) == (one.n_scored, one.n_refused) == (2_997, 3)
    names = sorted(path.name for path in (tmp_path / "scored").iterdir())
    assert names == [f"part-{i:03d}.parquet" for i in range(4)]
    many = pd.concat([pd.read_parquet(tmp_path / "scored" / name) for name in names], ignore_index=True)
    pd.testing.assert_frame_equal(many, pd.read_parquet(tmp_path / "one.parquet"), check_exact=True)
    listed = pd.read_csv(tmp_path / "refused-many.csv")
    whole = pd.read_csv(tmp_path / "refused.csv")
    first = {f"part-{i:03d}.parquet": start for i, start in enumerate([0, 800, 801, 2_000])}
    assert (listed["row"] + listed["file"].map(first)).tolist() == whole["row"].tolist()
    assert listed[["column", "rule"]].equals(whole[["column", "rule"]])


def test_what_is_there_already_is_not_overwritten(
    scorer: Scorer, table: pd.DataFrame, here: HereAndNow, tmp_path: Path
) -> None:
    folder = in_files(table.head(50), tmp_path / "parts", [])
    (tmp_path / "scored").mkdir()
    with pytest.raises(StorageError, match="something already; remove it"):
        score_directory(here, scorer, folder, tmp_path / "scored", NOW)


def test_a_run_that_fails_leaves_nothing_that_looks_finished(
    scorer: Scorer, table: pd.DataFrame, here: HereAndNow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    folder = in_files(table.head(50), tmp_path / "parts", [])
    monkeypatch.setattr(scoring, "score_one", fail)
    with pytest.raises(OSError, match="No space"):
        score_directory(here, scorer, folder, tmp_path / "scored", NOW)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parts", "steps"]


def test_what_a_worker_left_half_written_is_not_in_the_answer(
    scorer: Scorer, table: pd.DataFrame, here: HereAndNow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def died_once(engine: HereAndNow, target: Path) -> AbstractContextManager[Path]:
        @contextmanager
        def with_what_is_left() -> Iterator[Path]:
            with appearing(engine, target) as folder:
                (folder / ".part-000.parquet.4711").write_bytes(b"PAR1")
                yield folder

        return with_what_is_left()

    appearing = scoring._appearing
    monkeypatch.setattr(scoring, "_appearing", died_once)
    folder = in_files(table.head(50), tmp_path / "parts", [])
    score_directory(here, scorer, folder, tmp_path / "scored", NOW)
    assert [path.name for path in (tmp_path / "scored").iterdir()] == ["part-000.parquet"]


@pytest.mark.parametrize("name", ["nowhere/refused.csv", "parts/part-000.parquet", "parts"])
def test_where_refused_rows_cannot_go_is_said_before_anything_is_scored(
    name: str, scorer: Scorer, table: pd.DataFrame, here: HereAndNow, tmp_path: Path
) -> None:
    folder = in_files(table.head(50), tmp_path / "parts", [])
    before = (folder / "part-000.parquet").read_bytes()
    with pytest.raises(StorageError, match=r"--rejected .* name a \.csv file"):
        score_directory(here, scorer, folder, tmp_path / "scored", NOW, tmp_path / name)
    assert (folder / "part-000.parquet").read_bytes() == before and not any(here.folder.iterdir())


def test_a_table_without_labels_gets_the_answers_of_one_process(
    scorer: Scorer, table: pd.DataFrame, here: HereAndNow, tmp_path: Path
) -> None:
    unlabelled = table.head(400).drop(columns="is_fraud")
    unlabelled.to_parquet(tmp_path / "whole.parquet", index=False)
    score_file(scorer, tmp_path / "whole.parquet", tmp_path / "one.parquet", NOW)
    score_directory(here, scorer, in_files(unlabelled, tmp_path / "p", [90]), tmp_path / "scored", NOW)
    many = [pd.read_parquet(path) for path in sorted((tmp_path / "scored").iterdir())]
    one = pd.read_parquet(tmp_path / "one.parquet")
    pd.testing.assert_frame_equal(pd.concat(many, ignore_index=True), one, check_exact=True)


def test_a_table_without_one_row_that_fits_is_refused_with_the_first_reason(
    scorer: Scorer, table: pd.DataFrame, here: HereAndNow, tmp_path: Path
) -> None:
    folder = in_files(table.head(50).assign(amount=-1.0), tmp_path / "parts", [20])
    with pytest.raises(TableError, match=r'Not one row fits.*"amount".*below the minimum'):
        score_directory(here, scorer, folder, tmp_path / "scored", NOW)
    assert not (tmp_path / "scored").exists()


def test_files_without_rows_are_passed_over(
    scorer: Scorer, table: pd.DataFrame, here: HereAndNow, tmp_path: Path
) -> None:
    folder = in_files(table.head(50).drop(index=[5, 7]), tmp_path / "parts", [20, 20])
    result = score_directory(here, scorer, folder, tmp_path / "scored", NOW)
    assert (result.n_scored, result.n_files) == (48, 2)
    assert [path.name for path in sorted((tmp_path / "scored").iterdir())] == [
        "part-000.parquet",
        "part-002.parquet",
    ]


def test_a_table_of_csv_files_is_refused_with_what_to_do(
    scorer: Scorer, table: pd.DataFrame, here: HereAndNow, tmp_path: Path
) -> None:
    (tmp_path / "csv").mkdir()
    table.head(5).to_csv(tmp_path / "csv" / "a.csv", index=False)
    with pytest.raises(TableError, match="export the table as Parquet"):
        score_directory(here, scorer, tmp_path / "csv", tmp_path / "scored", NOW)
