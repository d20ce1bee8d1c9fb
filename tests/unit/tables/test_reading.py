"""What a stranger may send: read row by row, or refused in one sentence before it fills the memory."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.errors import TableError
from fraud.tables import reading
from fraud.tables.reading import open_sheet, pieces


def refusal(path: Path) -> TableError:
    with pytest.raises(TableError) as caught:
        for _ in pieces(open_sheet(path, path.name)):
            pass
    assert "\n" not in caught.value.message and len(caught.value.message) < 300
    assert caught.value.message.count(". ") == 0
    return caught.value


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    return path


def test_rows_keep_their_number_and_line_past_blank_broken_and_many_lined_rows(tmp_path: Path) -> None:
    content = b'a,b,c\n1,2,3\n"x\ny",2,3\n4,5\n\n7,8,9\n1,2,3,4\n8,8,8\n\n1\n'
    (piece, *rest) = pieces(open_sheet(written(tmp_path, content), "table.csv"))
    assert piece.batch.column("a").to_pylist() == ["1", "x\ny", "7", "8"]
    assert piece.rows.tolist() == [1, 2, 5, 7]
    assert piece.lines.tolist() == [2, 3, 7, 9]
    assert (*piece.ragged, *rest[0].ragged) == ((3, 5, 2), (6, 8, 4), (9, 11, 1))
    assert len(rest) == 1 and len(rest[0].rows) == 0
    assert piece.n_blank == 2


def test_rows_keep_their_number_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_BLOCK", 64)
    lines = [f"{i},x" if i % 7 else f"{i}" for i in range(1, 400)]
    path = written(tmp_path, ("n,t\n" + "\n".join(lines) + "\n").encode())
    found = list(pieces(open_sheet(path, path.name)))
    assert len(found) > 5
    numbers = [int(n) for piece in found for n in piece.batch.column("n").to_pylist()]
    assert [int(r) for piece in found for r in piece.rows] == numbers
    assert [int(r) for piece in found for r in piece.lines] == [n + 1 for n in numbers]
    assert [row for piece in found for row, _, _ in piece.ragged] == list(range(7, 400, 7))


def test_a_spreadsheets_semicolons_and_byte_order_mark_are_understood(tmp_path: Path) -> None:
    path = written(tmp_path, "\ufeffvalor;cartão\n1,5;A\n".encode())
    sheet = open_sheet(path, path.name)
    assert sheet.columns == ("valor", "cartão") and sheet.separator == ";"
    (piece,) = pieces(sheet)
    assert piece.batch.to_pylist() == [{"valor": "1,5", "cartão": "A"}]


def test_a_line_without_end_is_named(tmp_path: Path) -> None:
    error = refusal(written(tmp_path, b"a,b\n1,2\n" + b"x" * (3 << 20)))
    assert error.code == "table_line" and error.params["line"] == 3


def test_a_long_line_across_blocks_is_named(tmp_path: Path) -> None:
    lines = b"a,b\n" + b"1,2\n" * 1_000_000 + b"y" * (2 << 20) + b",1\n3,4\n"
    assert refusal(written(tmp_path, lines)).params["line"] == 1_000_002


def test_ten_thousand_columns_are_too_many(tmp_path: Path) -> None:
    header = ",".join(f"c{i}" for i in range(10_000))
    assert refusal(written(tmp_path, f"{header}\n{header}\n".encode())).code == "table_columns"


def test_nul_bytes_are_no_text(tmp_path: Path) -> None:
    assert refusal(written(tmp_path, b"a,b\n1,2\n\0,3\n")).params["line"] == 3
    assert refusal(written(tmp_path, "a,b\n1,2\n".encode("utf-16"))).code == "table_nul"


def test_latin_1_is_named_with_its_line(tmp_path: Path) -> None:
    error = refusal(written(tmp_path, "a,b\n1,2\nSão,3\n".encode("latin-1")))
    assert error.code == "table_encoding" and error.params["line"] == 3


def test_a_quotation_mark_that_never_ends_is_refused(tmp_path: Path) -> None:
    content = b'a,b\n1,"2\n' + b"3,4\n" * 3_000_000
    assert refusal(written(tmp_path, content)).code == "table_quote"


@pytest.mark.parametrize("content", [b"", b"a,b\n", b"a,b"])
def test_a_table_without_rows_is_refused(tmp_path: Path, content: bytes) -> None:
    assert refusal(written(tmp_path, content)).code == "table_empty"


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    assert refusal(written(tmp_path, b"a,a\n1,2\n")).code == "table_repeated"


def test_a_parquet_file_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    column = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(100_000, np.int32)), pa.array(["x" * 1_000_000])
    )
    pq.write_table(pa.table({"a": column}), path, compression="zstd", store_schema=False)
    assert path.stat().st_size < 100_000
    assert refusal(path).code == "table_large"


def test_more_rows_than_are_scored_are_refused_by_what_the_file_says_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": pa.array(np.zeros(reading.MAX_ROWS + 1, np.int8))}), path)
    assert refusal(path).code == "table_large"


def test_a_parquet_file_of_lists_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lists.parquet"
    pq.write_table(pa.table({"a": pa.array([[1], [2]])}), path)
    assert refusal(path).params["column"] == "a"


def test_a_torn_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "torn.parquet"
    pd.DataFrame({"a": range(1000)}).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    assert refusal(path).code == "table_unreadable"
