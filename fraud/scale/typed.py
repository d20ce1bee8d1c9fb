"""Typed transactions as Arrow record batches, so that partitions can lie in files between two steps."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fraud.data.table import Coded, Transactions

_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


def to_batch(transactions: Transactions) -> pa.RecordBatch:
    """Return transactions, in their order, as a batch that `from_batch` reads back to the last bit."""
    columns: dict[str, pa.Array] = {"rows": pa.array(transactions.rows, pa.int64())}
    columns["ids"] = pa.array(transactions.ids.tolist(), pa.string())
    if transactions.time_ms is not None:
        columns["time_ms"] = pa.array(transactions.time_ms, pa.int64())
    columns |= {f"number:{name}": pa.array(values) for name, values in transactions.numbers.items()}
    for name, column in transactions.texts.items():
        columns[f"text:{name}"] = texts_array(column)
    columns["labels"] = pa.array(transactions.labels)
    columns["known_at_ms"] = pa.array(transactions.known_at_ms, pa.int64())
    if transactions.typology is not None:
        columns["typology"] = pa.array(transactions.typology.tolist(), pa.string())
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def from_batch(batch: pa.RecordBatch) -> Transactions:
    """Return what `to_batch` wrote."""
    held = dict(zip(batch.schema.names, batch.columns, strict=True))
    return Transactions(
        rows=numbers_of(held["rows"]),
        ids=np.array(held["ids"].to_pylist(), dtype=object),
        time_ms=numbers_of(held["time_ms"]) if "time_ms" in held else None,
        numbers={
            n.removeprefix("number:"): numbers_of(c) for n, c in held.items() if n.startswith("number:")
        },
        texts={n.removeprefix("text:"): coded_of(c) for n, c in held.items() if n.startswith("text:")},
        labels=numbers_of(held["labels"]),
        known_at_ms=numbers_of(held["known_at_ms"]),
        typology=np.array(held["typology"].to_pylist(), dtype=object) if "typology" in held else None,
    )


def texts_array(column: Coded) -> pa.DictionaryArray:
    """Return a coded column as Arrow's dictionary array, null where missing."""
    codes = pa.array(column.codes, pa.int32(), mask=column.codes < 0)
    return pa.DictionaryArray.from_arrays(codes, pa.array(column.values, pa.string()))


def coded_of(column: Any) -> Coded:
    """Return a text or dictionary column of Arrow's by code; only texts that occur are in the vocabulary."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    codes = encoded.indices.cast(pa.int32()).fill_null(-1).to_numpy(zero_copy_only=False)
    return Coded(np.asarray(codes, np.int32), tuple(encoded.dictionary.to_pylist()))


def numbers_of(column: Any) -> NDArray[Any]:
    """Return a column without nulls as an array that may be written to."""
    return np.array(column.to_numpy(zero_copy_only=False))


def write_batches(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Write an Arrow file that is there as a whole or not at all, so that a step may be done again."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with pa.ipc.new_file(str(partial), schema, options=_OPTIONS) as writer:
        for batch in batches:
            writer.write_batch(batch)
    os.replace(partial, path)


def write_batch(path: Path, batch: pa.RecordBatch) -> None:
    """Write one batch as `write_batches` does."""
    write_batches(path, batch.schema, [batch])


def read_batch(path: Path, number: int = 0) -> pa.RecordBatch:
    """Return one batch of a file; the others are not read."""
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).get_batch(number)


def save_array(path: Path, values: NDArray[Any]) -> None:
    """Write an array that is there as a whole or not at all."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as stream:
        np.save(stream, values)
    os.replace(partial, path)


def read_transactions(paths: Sequence[Path]) -> list[Transactions]:
    """Return the transactions of files of one batch each."""
    return [from_batch(read_batch(path)) for path in paths]
