"""Small files that unfold: refused before they are read."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.data import uploads
from fraud.data.uploads import check_upload
from fraud.errors import TableError


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b",".join(b"c%d" % i for i in range(10_000)) + b"\n1\n", "columns"),
        (b"a,b\n" + b"x" * 3_000_000 + b"\n", "a line"),
        (b"a,b\n1,2\n" + b"x" * 1_000_001, "a line"),
        (b"a" * 1_500_000, "first line"),
        (b"a\n" + b"1\n" * 1_000_001, "lines"),
        (b"," * 999 + b"\n" + b"\n" * 60_000, "cells"),
    ],
)
def test_a_csv_beyond_a_limit_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(TableError, match=words):
        check_upload(write(tmp_path / "t.csv", content))


@pytest.mark.parametrize("length", [999_990, 500_000, 3])
def test_lines_within_the_limit_pass_wherever_they_lie(tmp_path: Path, length: int) -> None:
    lines = b"\n".join(b"x" * length for _ in range(5))
    check_upload(write(tmp_path / "t.csv", b"a\n" + lines + b"\n"))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (lambda: pa.table({"a": np.zeros(1_000_001)}), "rows"),
        (lambda: pa.table({f"c{i}": [1] for i in range(1_001)}), "columns"),
        (lambda: pa.table({"a": ["x" * 1_000_000] * 1_000}), "unfold"),
        (lambda: pa.table({"a": pa.array([b"x" * 1_000_000] * 1_000)}), "unfold"),
        (lambda: pa.table({f"c{i}": np.zeros(200_000) for i in range(300)}), "values"),
        (lambda: pa.table({"a": pa.array([[0] * 60_000_000], pa.list_(pa.int8()))}), "values"),
    ],
    ids=["rows", "columns", "texts", "bytes", "cells", "one long list"],
)
def test_a_parquet_bomb_is_refused(tmp_path: Path, table, words: str) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(table(), path, compression="zstd")
    assert path.stat().st_size < 20_000_000  # an upload's limit lets it in
    with pytest.raises(TableError, match=words):
        check_upload(path)


def test_what_is_no_table_is_left_to_its_reader(tmp_path: Path) -> None:
    check_upload(write(tmp_path / "t.parquet", b"PAR1 no"))
    check_upload(write(tmp_path / "t.csv", b""))
    check_upload(tmp_path / "none.csv")


def test_the_limits_hold_what_an_upload_may_be() -> None:
    assert uploads.MAX_LINE_BYTES < 20_000_000 < uploads.MAX_UNFOLDED_BYTES
