"""A Parquet file of transactions as typed batches, for windows that need not fit into memory.

Unlike `transactions_from_frame` it checks types and nothing else: what was predicted was checked before.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

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
        time_ms=as_times(held[roles.time], profile) if roles.time in held else None,
        numbers=numbers_of(held, profile, n),
        texts=texts_of(held, profile, n),
        labels=np.full(n, np.nan),
        known_at_ms=np.full(n, NEVER_MS),
    )


def numbers_of(held: Mapping[str, pa.Array], profile: Profile, n: int) -> dict[str, Floats]:
    """Return the profile's numbers, float64 [n] each; a column that is not held is missing throughout."""
    return {
        name: as_numbers(held[name]) if name in held else np.full(n, np.nan)
        for name in profile.number_columns
    }


def texts_of(held: Mapping[str, pa.Array], profile: Profile, n: int) -> dict[str, Coded]:
    """Return the profile's texts, coded [n] each; a column that is not held is missing throughout."""
    return {
        name: as_coded(held[name]) if name in held else Coded(np.full(n, -1, np.int32), ())
        for name in profile.text_columns
    }


def as_numbers(column: pa.Array) -> Floats:
    """Return a column as float64 [n], NaN where missing; a date as days since 1970."""
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        column = pc.cast(pc.cast(column, pa.date32()), pa.int32())
    values, valid = held(pc.cast(column, pa.float64()), np.float64)
    return np.where(valid, values, np.nan)


def as_coded(column: pa.Array) -> Coded:
    """Return a column of texts by code."""
    encoded: Any = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    codes, valid = held(pc.cast(encoded.indices, pa.int32()), np.int32)
    values = pc.cast(encoded.dictionary, pa.string()).to_pylist()
    return Coded(np.where(valid, codes, np.int32(-1)), tuple(values))


def as_times(column: pa.Array, profile: Profile) -> Integers:
    """Return the time column as epoch milliseconds, int64 [n]; TableError where one is missing."""
    if column.null_count:
        raise TableError(f"{profile.columns.time}: is missing in some rows.", code="bad_value")
    step = profile.columns.time_step_ms
    if step is not None:
        return (profile.time_origin_ms + np.round(as_numbers(column) * step)).astype(np.int64)
    moments = pc.cast(column, pa.timestamp("ms", tz=getattr(column.type, "tz", None)), safe=False)
    return np.array(held(pc.cast(moments, pa.int64()), np.int64)[0], np.int64)


def held(column: pa.Array, dtype: type[np.generic]) -> tuple[Any, NDArray[np.bool_]]:
    """Return an array of numbers and which are there, from Arrow's memory; `to_numpy` imports pandas."""
    n, first = len(column), column.offset
    bitmap, data = column.buffers()
    values = np.frombuffer(data, dtype, count=first + n)[first:] if n else np.zeros(0, dtype)
    if bitmap is None:
        return values, np.ones(n, bool)
    bits = np.unpackbits(np.frombuffer(bitmap, np.uint8), count=first + n, bitorder="little")
    return values, bits[first:].astype(bool)
