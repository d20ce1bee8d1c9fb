"""A table in Parquet, one file or a directory of them, cut into partitions of rows that fit a worker."""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fraud.data.profile import Profile
from fraud.data.table import Transactions, transactions_from_frame
from fraud.errors import TableError

PARTITION_ROWS = 100_000
"""Rows of a partition: some 60 MB while it is typed, so that a worker of 500 MB has room for what it does."""


@dataclass(frozen=True, slots=True)
class Partition:
    """Rows of one file: [start, stop) of its row groups from `group` on; `first` counts them in the table."""

    number: int
    path: str
    group: int
    start: int
    stop: int
    first: int

    def __len__(self) -> int:
        return self.stop - self.start


def parquet_files(source: Path) -> tuple[Path, ...]:
    """Return the files of a table in the order of its rows: that of their names.

    Raises
    ------
    TableError
        There is no Parquet file, one lies in a folder of its own, or two have different columns.
    """
    if source.is_dir():
        files = sorted(p for p in source.iterdir() if _is_part(p))
        _none_deeper(source)
    else:
        files = [source] if source.suffix.lower() in (".parquet", ".pq") else []
        if files and not source.is_file():
            raise TableError(f"{source}: there is no such file or directory.", code="file_missing")
    if not files:
        raise TableError(
            f"{source}: --engine dask reads a Parquet file or a directory of them, and this is neither; "
            "export the table as Parquet, or leave --engine out.",
            code="file",
        )
    _same_columns(files)
    return tuple(files)


def _is_part(path: Path) -> bool:
    """Return whether a name is that of a table's part, and not of what writers leave beside them."""
    return path.suffix.lower() in (".parquet", ".pq") and not path.name.startswith((".", "_"))


def _none_deeper(source: Path) -> None:
    """Refuse a table whose files lie in folders: to leave them out in silence would be another table."""
    for folder in sorted(p for p in source.iterdir() if p.is_dir() and not p.name.startswith((".", "_"))):
        if any(_is_part(p) for p in (folder, *folder.rglob("*"))):
            raise TableError(
                f"{source}: {folder.name}/ holds files too, and --engine dask reads one directory without "
                "the folders in it; put the files side by side, with what a folder's name says as a column.",
                code="file",
            )


def _same_columns(files: Sequence[Path]) -> None:
    first: pa.Schema | None = None
    for path in files:
        schema = _schema(path)
        first = schema if first is None else first
        if not schema.equals(first):
            differs = _first_difference(first, schema)
            raise TableError(
                f'{path.name}: column "{differs}" is not as in {files[0].name}; write all files of a table '
                "with the same columns and types, in the same order.",
                code="file",
                field=differs,
            )


def _first_difference(one: pa.Schema, other: pa.Schema) -> str:
    for name in sorted({column.name for column in set(one) ^ set(other)}):
        return str(name)
    # The same columns in another order, or one of them twice.
    pairs = itertools.zip_longest(one.names, other.names)
    return next((str(mine if his is None else his) for mine, his in pairs if mine != his), one.names[0])


def _schema(path: Path) -> pa.Schema:
    try:
        return pq.read_schema(path).remove_metadata()
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> TableError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return TableError(f"{path.name}: not a readable Parquet table ({reason}); export it again.", code="file")


def partitions_of(files: Sequence[Path], n_rows: int = PARTITION_ROWS) -> tuple[Partition, ...]:
    """Return partitions of at most `n_rows` rows, in the table's order; none spans two files.

    Raises
    ------
    TableError
        A file cannot be read, or the table has no rows.
    """
    found: list[Partition] = []
    total = 0
    for path in files:
        try:
            described = pq.read_metadata(path)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(path, error) from error
        sizes = [described.row_group(i).num_rows for i in range(described.num_row_groups)]
        for group, start, stop in _cuts(sizes, n_rows):
            found.append(Partition(len(found), str(path), group, start, stop, total))
            total += stop - start
    if not total:
        raise TableError("The table has no rows.", code="empty")
    return tuple(found)


def _cuts(sizes: Sequence[int], n_rows: int) -> Iterator[tuple[int, int, int]]:
    """Yield (first row group, start, stop): small row groups together, large ones in equal parts."""
    group = 0
    while group < len(sizes):
        end, rows = group + 1, sizes[group]
        while end < len(sizes) and rows + sizes[end] <= n_rows:
            rows, end = rows + sizes[end], end + 1
        n_parts = -(-rows // n_rows)
        bounds = np.linspace(0, rows, n_parts + 1).astype(int).tolist() if rows else []
        for start, stop in itertools.pairwise(bounds):
            yield group, start, stop
        group = end


def read_partition(partition: Partition, profile: Profile) -> Transactions:
    """Return a partition's transactions in the table's order; `rows` are positions in the whole table.

    Raises
    ------
    TableError
        As `transactions_from_frame`; rows are counted within the file.
    """
    frame = _frame(partition, profile)
    named = _with_ids(frame, profile, partition.first)
    try:
        table = transactions_from_frame(named, profile)
    except TableError as error:
        raise _in_file(error, partition) from error
    table = table.take(np.argsort(table.rows, kind="stable"))
    ids = table.ids
    if profile.columns.id is None or profile.columns.id not in frame.columns:
        ids = np.array([f"row-{i + 1}" for i in (partition.first + table.rows).tolist()], dtype=object)
    return replace(table, rows=partition.first + table.rows, ids=ids)


def _frame(partition: Partition, profile: Profile) -> pd.DataFrame:
    roles = profile.columns
    wanted = profile.needed_columns | set(profile.by_column)
    wanted |= {
        n for n in (roles.label, roles.id, roles.time, roles.label_at, roles.typology) if n is not None
    }
    try:
        with pq.ParquetFile(partition.path) as file:
            names = [name for name in file.schema_arrow.names if name in wanted]
            groups = range(partition.group, file.num_row_groups)
            passed, parts = 0, []
            for batch in file.iter_batches(
                min(65_536, partition.stop), row_groups=groups, columns=names, use_threads=False
            ):
                low, high = max(partition.start - passed, 0), min(partition.stop - passed, batch.num_rows)
                if low < high:
                    parts.append(batch.slice(low, high - low))
                passed += batch.num_rows
                if passed >= partition.stop:
                    break
            table = pa.Table.from_batches(parts).replace_schema_metadata(None)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(Path(partition.path), error) from error
    # As floats, integers beside nulls would lose their last digits, and two cards become one.
    frame: pd.DataFrame = table.to_pandas(integer_object_nulls=True, use_threads=False)
    return frame


def _with_ids(frame: pd.DataFrame, profile: Profile, first: int) -> pd.DataFrame:
    """Return the frame with the ids that missing ones get, which count the rows of the whole table."""
    name = profile.columns.id
    if name is None or name not in frame.columns:
        return frame
    raw: pd.Series[Any] = frame[name]
    blank = raw.isna().to_numpy() | (raw.astype(str).str.strip() == "").to_numpy(bool)
    if not blank.any():
        return frame
    filled = raw.astype(object)
    filled[blank] = [f"row-{first + i + 1}" for i in np.flatnonzero(blank).tolist()]
    return frame.assign(**{name: filled})


def _in_file(error: TableError, partition: Partition) -> TableError:
    where = f"{Path(partition.path).name}, from its row {partition.start + 1:,} on"
    if partition.group:
        where = (
            f"{Path(partition.path).name}, from row {partition.start + 1:,} of row group {partition.group}"
        )
    return TableError(
        f"{where}: {error.message}", code=error.code, field=error.field, params=dict(error.params)
    )


def file_digest(path: str) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def table_digest(digests: Sequence[str]) -> str:
    """Return one digest of a table's files in their order; of a single file its own."""
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()
