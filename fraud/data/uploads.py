"""What an uploaded table may hold, found out before it is read: a small file can unfold to any size."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fraud.errors import TableError

MAX_ROWS = 1_000_000
MAX_COLUMNS = 1_000
MAX_CELLS = 50_000_000
MAX_LINE_BYTES = 1_000_000
MAX_UNFOLDED_BYTES = 400_000_000
"""Of a Parquet file's values, as they will stand in memory."""
_CHUNK = 1_000_000


def check_upload(path: Path) -> None:
    """Raise where reading the table would take more memory than an upload may.

    A file that is no table passes: its reader says what is wrong with it.

    Raises
    ------
    TableError
        Too many rows, columns or cells, too long a line, or too much behind a compression.
    """
    if not path.is_file():
        return
    if path.suffix.lower() in {".parquet", ".pq"}:
        _check_parquet(path)
    else:
        _check_csv(path)


def _check_csv(path: Path) -> None:
    n_lines = run = 0
    with path.open("rb") as stream:
        header = stream.readline(MAX_LINE_BYTES + 1)
        _require(
            len(header) <= MAX_LINE_BYTES, path, f"its first line has more than {MAX_LINE_BYTES:,} bytes"
        )
        n_columns = header.count(b",") + 1  # a comma in quotation marks counts too: a bound, no parser
        _require(n_columns <= MAX_COLUMNS, path, f"it has more than {MAX_COLUMNS:,} columns")
        while chunk := stream.read(_CHUNK):
            breaks = chunk.count(b"\n")
            n_lines += breaks
            run = (
                run + len(chunk)
                if not breaks
                else max(run + chunk.index(b"\n"), len(chunk) - chunk.rindex(b"\n"))
            )
            _require(run <= MAX_LINE_BYTES, path, f"a line has more than {MAX_LINE_BYTES:,} bytes")
            run = run if not breaks else len(chunk) - chunk.rindex(b"\n") - 1
    _require(n_lines <= MAX_ROWS, path, f"it has more than {MAX_ROWS:,} lines")
    _require(n_lines * n_columns <= MAX_CELLS, path, f"it has more than {MAX_CELLS:,} cells")


def _check_parquet(path: Path) -> None:
    try:
        with pq.ParquetFile(path) as file:
            held = file.metadata
            _require(held.num_columns <= MAX_COLUMNS, path, f"it has more than {MAX_COLUMNS:,} columns")
            _require(held.num_rows <= MAX_ROWS, path, f"it has more than {MAX_ROWS:,} rows")
            n_values = size = 0
            for i in range(held.num_row_groups):
                group = held.row_group(i)
                n_values += sum(group.column(c).num_values for c in range(group.num_columns))
                size += max(
                    group.total_byte_size,
                    sum(group.column(c).total_uncompressed_size for c in range(group.num_columns)),
                )
            _require(n_values <= MAX_CELLS, path, f"it has more than {MAX_CELLS:,} values")
            _require(size <= MAX_UNFOLDED_BYTES, path, "it unfolds to more than an upload may")
            _require(
                _unfolded(path) <= MAX_UNFOLDED_BYTES, path, "its texts unfold to more than an upload may"
            )
    except (pa.ArrowException, OSError):
        return


def _unfolded(path: Path) -> int:
    """Return the bytes of a file's texts once every repetition is written out; stops above the limit."""
    total = 0
    for lengths in _text_lengths(path):
        total += lengths
        if total > MAX_UNFOLDED_BYTES:
            break
    return total


def _text_lengths(path: Path) -> Iterator[int]:
    with pq.ParquetFile(path) as plain:
        texts = [f.name for f in plain.schema_arrow if _is_text(f.type)]
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        for batch in file.iter_batches(65_536, columns=texts, use_threads=False):
            for column in batch.columns:
                if pa.types.is_dictionary(column.type):
                    lengths = pc.binary_length(column.dictionary)
                    yield int(pc.sum(lengths.take(column.indices)).as_py() or 0)
                else:
                    yield int(column.nbytes)


def _is_text(kind: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(test(kind) for test in tests)


def _require(condition: bool, path: Path, problem: str) -> None:
    if not condition:
        raise TableError(f"{path.name}: {problem}; send it in parts.", code="too_large")
