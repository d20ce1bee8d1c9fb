"""A Parquet file of transactions as typed batches, for windows that need not fit into memory.

Unlike `transactions_from_frame` it checks types and nothing else: what was predicted was checked before.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fraud.data.profile import Profile
from fraud.data.table import NEVER_MS, Coded, Floats, Integers, Transactions
from fraud.errors import TableError

BATCH_ROWS = 131_072


def parquet_batches(path: Path, profile: Profile, n_rows: int = BATCH_ROWS) -> Iterator[Transactions]:
    """Yield a file's transactions in batches of about `n_rows`, in the file's order.

    Labels are unknown and ids are left out; a column that the file lacks is missing in every row.

    Raises
    ------
    TableError
        The file is no Parquet, or a column is of another type than the profile's.
    """
    texts = list(profile.text_columns)
    try:
        with pq.ParquetFile(path, read_dictionary=texts) as file:
            present = set(file.schema_arrow.names)
            roles = profile.columns
            wanted = [*profile.number_columns, *texts, *([roles.time] if roles.time else [])]
            read = [name for name in dict.fromkeys(wanted) if name in present]
            first = 0
            for batch in file.iter_batches(n_rows, columns=read, use_threads=False):
                yield _transactions(batch, profile, first)
                first += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise TableError(f"{path.name}: not a readable Parquet table ({reason}).", code="file") from error


def _transactions(batch: pa.RecordBatch, profile: Profile, first: int) -> Transactions:
    n = batch.num_rows
    held = {name: batch.column(i) for i, name in enumerate(batch.schema.names)}
    roles = profile.columns
    return Transactions(
        rows=np.arange(first, first + n),
        ids=np.full(n, "", dtype=object),
        time_ms=_times(held[roles.time], profile) if roles.time in held else None,
        numbers={
            name: _numbers(held[name]) if name in held else np.full(n, np.nan)
            for name in profile.number_columns
        },
        texts={
            name: _coded(held[name]) if name in held else Coded(np.full(n, -1, np.int32), ())
            for name in profile.text_columns
        },
        labels=np.full(n, np.nan),
        known_at_ms=np.full(n, NEVER_MS),
    )


def _numbers(column: pa.Array) -> Floats:
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        column = pc.cast(pc.cast(column, pa.date32()), pa.int32())
    values = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(values, np.float64)


def _coded(column: pa.Array) -> Coded:
    encoded: Any = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    codes = pc.fill_null(pc.cast(encoded.indices, pa.int32()), -1).to_numpy(zero_copy_only=False)
    values = pc.cast(encoded.dictionary, pa.string()).to_pylist()
    return Coded(codes.astype(np.int32, copy=False), tuple(values))


def _times(column: pa.Array, profile: Profile) -> Integers:
    if column.null_count:
        raise TableError(f"{profile.columns.time}: is missing in some rows.", code="bad_value")
    step = profile.columns.time_step_ms
    if step is not None:
        return (profile.time_origin_ms + np.round(_numbers(column) * step)).astype(np.int64)
    moments = pc.cast(column, pa.timestamp("ms", tz=getattr(column.type, "tz", None)), safe=False)
    return np.asarray(pc.cast(moments, pa.int64()).to_numpy(zero_copy_only=False), np.int64)
