"""Opening a table that a stranger sent: what it is, and its rows in pieces that fit into memory.

Nothing is read whole. What would fill the memory or freeze a reader (one endless line, ten thousand columns,
a Parquet file that unpacks to gigabytes) is refused first, in one sentence.
"""

import codecs
import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fraud.errors import TableError

MAX_COLUMNS = 300
MAX_ROWS = 2_000_000
MAX_LINE = 1 << 20
"""Bytes of the longest line of a CSV; no honest transaction comes near it."""
MAX_BYTES = 1 << 30
"""Bytes of all cells together, unpacked."""
MAX_PIECE = 128 << 20
"""Bytes of the cells of one piece, unpacked."""
MAX_RAGGED = 100_000
"""Rows of another length than the header's before the file is no table at all."""
_BLOCK = 4 << 20
_PIECE_ROWS = 65_536
_PIECE_CELLS = 2_000_000
_SAMPLE_ROWS = 5
SEPARATORS = (",", ";", "\t", "|")
_MISSING = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A",
    "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
]  # fmt: skip
"""What a CSV may write for a missing value: those of pandas, so that both readers agree."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of a table is read before it is refused: rows, bytes once unpacked, columns."""

    rows: int = MAX_ROWS
    size: int = MAX_BYTES
    columns: int = MAX_COLUMNS


FROM_A_STRANGER = Bounds()


@dataclass(frozen=True)
class Sheet:
    """A table that can be read: its columns in order, how many rows about, and what its first rows hold.

    `n_rows` is exact for Parquet; for a CSV it is the number of lines, which is never less.
    """

    path: Path
    name: str
    kind: Literal["csv", "parquet"]
    columns: tuple[str, ...]
    n_rows: int
    sample: tuple[Mapping[str, str | None], ...] = ()
    separator: str = ","
    bounds: Bounds = FROM_A_STRANGER


@dataclass(frozen=True)
class Piece:
    """Some rows of a table, one after the other.

    Attributes
    ----------
    batch : the rows' cells, texts as `string`
    rows : int64 [n], each row's number from 1, the header not counted
    lines : int64 [n], the line each begins on; the row's number for a format without lines
    ragged : (row, line, number of cells) of rows that have another number of cells than the header
    n_blank : rows without anything in them, left out
    """

    batch: pa.RecordBatch
    rows: NDArray[np.int64]
    lines: NDArray[np.int64]
    ragged: tuple[tuple[int, int, int], ...] = ()
    n_blank: int = 0


def open_sheet(path: Path, name: str, bounds: Bounds = FROM_A_STRANGER) -> Sheet:
    """Return what a CSV or Parquet file holds, after everything that would make it unreadable was looked for.

    Parameters
    ----------
    name : what its owner calls the file; sentences about it show this, and its ending says what it is

    Raises
    ------
    TableError
        One sentence: what is wrong, where, and what to do.
    """
    if not path.is_file() or path.stat().st_size == 0:
        raise _refused("table_empty", f"{name}: the file is empty; send one with a header and rows.", name)
    if name.lower().endswith((".parquet", ".pq")):
        return _open_parquet(path, name, bounds)
    return _open_csv(path, name, bounds)


def pieces(sheet: Sheet) -> Iterator[Piece]:
    """Yield a table's rows in its order; TableError as `open_sheet` does, for what shows only now."""
    total = 0
    try:
        for piece in _csv_pieces(sheet) if sheet.kind == "csv" else _parquet_pieces(sheet):
            total += piece.batch.nbytes
            if total > sheet.bounds.size or (len(piece.rows) and piece.rows[-1] > sheet.bounds.rows):
                raise _too_large(sheet.name, sheet.bounds)
            yield piece
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(sheet.name, error) from error


def _refused(code: str, message: str, name: str, **params: object) -> TableError:
    return TableError(message, code=code, params={"name": name, **params})


def _too_large(name: str, bounds: Bounds = FROM_A_STRANGER) -> TableError:
    return _refused(
        "table_large",
        f"{name}: more than {bounds.rows:,} rows, or {bounds.size >> 30} GB once unpacked; split it.",
        name,
        rows=bounds.rows,
        size=bounds.size >> 30,
    )


def _unreadable(name: str, error: Exception) -> TableError:
    if "straddling" in str(error) or "field larger" in str(error):
        return _refused(
            "table_quote",
            f"{name}: a quotation mark is opened and not closed within {_BLOCK >> 20} MB; close it.",
            name,
        )
    reason = (str(error).strip() or type(error).__name__).splitlines()[0].split(". ")[0].rstrip(".")[:160]
    return _refused(
        "table_unreadable",
        f"{name}: not a readable CSV or Parquet table ({reason}); export it again.",
        name,
        reason=reason,
    )


# CSV


def _open_csv(path: Path, name: str, bounds: Bounds) -> Sheet:
    n_lines = _scan(path, name)
    with path.open("rb") as stream:
        start = stream.read(MAX_LINE * 2).decode("utf-8-sig", errors="ignore")
    first = start.split("\n", 1)[0].rstrip("\r")
    separator = max(SEPARATORS, key=first.count)
    columns = _header(first, separator, name, bounds)
    if n_lines < 2:
        raise _refused("table_empty", f"{name}: the table has no rows.", name)
    reader = csv.reader(io.StringIO(start), delimiter=separator)
    next(reader)
    sample: list[dict[str, str | None]] = []
    try:
        for cells in reader:
            if len(cells) == len(columns) and len(sample) < _SAMPLE_ROWS:
                sample.append(dict(zip(columns, [cell or None for cell in cells], strict=True)))
            if len(sample) == _SAMPLE_ROWS:
                break
    except csv.Error as error:
        raise _unreadable(name, error) from error
    return Sheet(path, name, "csv", columns, n_lines - 1, tuple(sample), separator, bounds)


def _scan(path: Path, name: str) -> int:
    """Return the number of lines; refuse what is no text, and a line without an end."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    n_lines = length = 0
    ends_open = False
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            if b"\0" in block:
                line = n_lines + 1 + block[: block.index(b"\0")].count(b"\n")
                raise _refused(
                    "table_nul",
                    f"{name}: line {line:,} holds NUL bytes, so it is no text; save it as CSV in UTF-8, or "
                    "as Parquet.",
                    name,
                    line=line,
                )
            held = len(decoder.getstate()[0])  # of a letter that the block before began
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                line = n_lines + 1 + block[: max(error.start - held, 0)].count(b"\n")
                raise _refused(
                    "table_encoding",
                    f"{name}: line {line:,} is not text in UTF-8; save it as CSV in UTF-8, or as Parquet.",
                    name,
                    line=line,
                ) from error
            ends = np.flatnonzero(np.frombuffer(block, np.uint8) == 10)
            inner = np.diff(ends, prepend=-1 - length) if len(ends) else np.array([], np.int64)
            length = len(block) - 1 - int(ends[-1]) if len(ends) else length + len(block)
            if length > MAX_LINE or (len(inner) and int(inner.max()) > MAX_LINE):
                at = int(np.argmax(inner > MAX_LINE)) if (inner > MAX_LINE).any() else len(ends)
                line = n_lines + 1 + at
                raise _refused(
                    "table_line",
                    f"{name}: line {line:,} is longer than {MAX_LINE >> 20} MB; a table has one transaction "
                    "on a line.",
                    name,
                    line=line,
                    size=MAX_LINE >> 20,
                )
            n_lines += len(ends)
            ends_open = not block.endswith(b"\n")
    return n_lines + ends_open


def _header(first: str, separator: str, name: str, bounds: Bounds) -> tuple[str, ...]:
    try:
        cells = next(csv.reader([first], delimiter=separator), [])
    except csv.Error as error:
        raise _unreadable(name, error) from error
    if first.count('"') % 2:
        raise _refused("table_header", f"{name}: the header is spread over several lines; use one.", name)
    return _named([cell.strip() or f"column {i + 1}" for i, cell in enumerate(cells)], name, bounds)


def _named(columns: list[str], name: str, bounds: Bounds) -> tuple[str, ...]:
    if len(columns) > bounds.columns:
        raise _refused(
            "table_columns",
            f"{name}: {len(columns):,} columns, and at most {bounds.columns:,} are read; keep those that "
            "matter.",
            name,
            columns=len(columns),
            limit=bounds.columns,
        )
    repeated = [column for column, count in Counter(columns).items() if count > 1]
    if repeated:
        raise _refused(
            "table_repeated",
            f'{name}: two columns are called "{min(repeated)[:60]}"; rename or remove one of them.',
            name,
            column=min(repeated)[:60],
        )
    return tuple(columns)


@dataclass
class _Numbering:
    """Which number and line each row of a CSV has, told what the parser leaves out."""

    n_rows: int = 0
    extra_lines: int = 0
    n_skipped: int = 0
    skipped: list[tuple[int, int, int]] = field(default_factory=list)

    def skip(self, row: Any) -> str:
        """Take note of a row of another length than the header; the parser goes on without it."""
        self.n_skipped += 1
        if self.n_skipped > MAX_RAGGED:
            return "error"
        self.skipped.append((int(row.number), int(row.actual_columns), str(row.text).count("\n")))
        return "skip"


def _csv_pieces(sheet: Sheet) -> Iterator[Piece]:
    numbering = _Numbering()
    reader = pyarrow.csv.open_csv(
        sheet.path,
        # One thread: rows of the wrong length then come with their number. Typing and scoring use both.
        read_options=pyarrow.csv.ReadOptions(
            use_threads=False, block_size=_BLOCK, column_names=list(sheet.columns), skip_rows=1
        ),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=sheet.separator,
            newlines_in_values=True,
            ignore_empty_lines=False,
            invalid_row_handler=numbering.skip,
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={name: pa.string() for name in sheet.columns},
            null_values=_MISSING,
            strings_can_be_null=True,
        ),
    )
    batch = pa.record_batch([pa.array([], pa.string())] * len(sheet.columns), names=list(sheet.columns))
    with reader:
        for batch in reader:
            yield _numbered(batch, numbering)
    if numbering.skipped:
        yield _numbered(batch.slice(0, 0), numbering)


def _numbered(batch: pa.RecordBatch, numbering: _Numbering) -> Piece:
    """Return a batch with its rows' numbers, and the skipped rows before and among them."""
    n, first = batch.num_rows, numbering.n_rows + 1
    gone = np.array([number - 1 for number, _, _ in numbering.skipped], np.int64)
    candidates = np.arange(first, first + n + len(gone), dtype=np.int64)
    kept = candidates[~np.isin(candidates, gone)][:n]
    last = int(kept[-1]) if n else int(gone.max(initial=first - 1))
    # The parser may be ahead: what it skipped beyond these rows belongs to the next piece.
    passed = [skip for skip in numbering.skipped if skip[0] - 1 <= last]
    numbering.skipped = [skip for skip in numbering.skipped if skip[0] - 1 > last]
    breaks = np.zeros(last - first + 1, np.int64)  # that each row from `first` to `last` holds
    breaks[kept - first] = _line_breaks(batch)
    for number, _, n_breaks in passed:
        breaks[number - 1 - first] = n_breaks
    before = numbering.extra_lines + np.cumsum(breaks) - breaks
    ragged = tuple((row - 1, row + int(before[row - 1 - first]), n_cells) for row, n_cells, _ in passed)
    lines = kept + 1 + before[kept - first]
    numbering.n_rows, numbering.extra_lines = last, numbering.extra_lines + int(breaks.sum())
    blank = _blank(batch)
    if blank.any():
        there = np.flatnonzero(~blank)
        batch, kept, lines = batch.take(pa.array(there)), kept[there], lines[there]
    return Piece(batch, kept, lines, ragged, int(blank.sum()))


def _line_breaks(batch: pa.RecordBatch) -> NDArray[np.int64]:
    """Return how many line breaks each row's cells hold."""
    total = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        if pc.any(pc.match_substring(column, "\n")).as_py():
            total += pc.fill_null(pc.count_substring(column, "\n"), 0).to_numpy(zero_copy_only=False)
    return total


def _blank(batch: pa.RecordBatch) -> NDArray[np.bool_]:
    blank = np.ones(batch.num_rows, bool)
    for column in batch.columns:
        if not blank.any():
            break
        blank &= column.is_null().to_numpy(zero_copy_only=False)
    return blank


# Parquet


def _open_parquet(path: Path, name: str, bounds: Bounds) -> Sheet:
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            described, schema = file.metadata, file.schema_arrow
            columns = _named(list(schema.names), name, bounds)
            groups = [described.row_group(i) for i in range(described.num_row_groups)]
            unpacked = sum(group.total_byte_size for group in groups)
            if described.num_rows > bounds.rows or unpacked > bounds.size:
                raise _too_large(name, bounds)
            if described.num_rows == 0:
                raise _refused("table_empty", f"{name}: the table has no rows.", name)
            for column in schema:
                if not _is_flat(column.type):
                    raise _refused(
                        "table_nested",
                        f'{name}: column "{column.name[:60]}" holds {str(column.type)[:40]}, and a cell must '
                        "hold one value; remove it.",
                        name,
                        column=column.name[:60],
                        type=str(column.type)[:40],
                    )
        sheet = Sheet(path, name, "parquet", columns, described.num_rows)
        first = next(_parquet_pieces(sheet, _SAMPLE_ROWS)).batch
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(name, error) from error
    rows = [{k: None if v is None else str(v)[:80] for k, v in row.items()} for row in first.to_pylist()]
    return Sheet(path, name, "parquet", columns, described.num_rows, tuple(rows), bounds=bounds)


def _is_flat(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (
        pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_string, pa.types.is_null,
        pa.types.is_large_string, pa.types.is_timestamp, pa.types.is_date, pa.types.is_decimal,
    )  # fmt: skip
    return any(test(kind) for test in tests)


def _parquet_pieces(sheet: Sheet, n_rows: int | None = None) -> Iterator[Piece]:
    rows = n_rows or max(1_000, min(_PIECE_ROWS, _PIECE_CELLS // len(sheet.columns)))
    with pq.ParquetFile(sheet.path, pre_buffer=False) as file:
        texts = [f.name for f in file.schema_arrow if _is_text(f.type)]
    # By dictionary, a long text that is repeated a million times stays one text until it was measured.
    with pq.ParquetFile(sheet.path, read_dictionary=texts, pre_buffer=False, buffer_size=1 << 20) as file:
        first = 1
        for batch in file.iter_batches(rows, use_threads=False):
            plain = _plain(batch, sheet.name)
            numbers = np.arange(first, first + len(plain), dtype=np.int64)
            first += len(plain)
            yield Piece(plain, numbers, numbers)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _plain(batch: pa.RecordBatch, name: str) -> pa.RecordBatch:
    """Return a batch with plain columns of few types; refuse one that would unpack to too much."""
    columns, size = [], 0
    for column in batch.columns:
        if pa.types.is_dictionary(column.type):
            length = pc.fill_null(pc.binary_length(pc.cast(column.dictionary, pa.large_string())), 0)
            size += int(pc.sum(pc.take(length, column.indices)).as_py() or 0)
        else:
            size += column.nbytes
        if size > MAX_PIECE:
            raise _too_large(name)
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if _is_text(kind) or pa.types.is_null(kind):
            kind = pa.string()
        elif pa.types.is_decimal(kind) or pa.types.is_float16(kind):
            kind = pa.float64()
        columns.append(column if column.type == kind else pc.cast(column, kind))
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
