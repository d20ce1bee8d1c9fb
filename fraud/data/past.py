"""The past that a release ships, read without pandas: a prediction node starts in a second, not in three.

The file was written from transactions that were valid, and its digest was checked; so types are checked here
and rules are not. What comes out gives the same features as `transactions_from_frame` of the same file.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fraud.data.parquet_batches import as_coded, as_numbers, as_times, numbers_of, texts_of
from fraud.data.profile import DAY_MS, Profile
from fraud.data.table import NEVER_MS, Floats, Integers, Transactions
from fraud.errors import BundleRefused, TableError


def read_past(path: Path, profile: Profile) -> Transactions:
    """Return a release's history, ordered by time; `typology` is left out.

    Raises
    ------
    BundleRefused
        The file is no Parquet, is empty, lacks a column, or a column is of another type than the profile's.
    """
    roles = profile.columns
    wanted = dict.fromkeys([*profile.number_columns, *profile.text_columns, roles.label])
    optional = [name for name in (roles.id, roles.time, roles.label_at) if name is not None]
    try:
        # Not pq.read_table: that imports pandas.
        with pq.ParquetFile(path, read_dictionary=list(profile.text_columns)) as file:
            present = set(file.schema_arrow.names)
            read = [name for name in (*wanted, *optional) if name in present]
            table = file.read(columns=read, use_threads=False)
        held = {name: _whole(table.column(name)) for name in read}
        return _transactions(held, table.num_rows, profile)
    except (pa.ArrowException, OSError, KeyError, TypeError, TableError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
        raise BundleRefused(
            f"{path.name}: not a history of this profile ({reason}); train again.", code="history"
        ) from error


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array; its pieces may have dictionaries of their own."""
    return column.unify_dictionaries().combine_chunks()


def _transactions(held: dict[str, pa.Array], n: int, profile: Profile) -> Transactions:
    roles = profile.columns
    if n == 0:
        raise TableError("it has no rows", code="empty")
    time_ms = None if roles.time is None else as_times(held[roles.time], profile)
    labels = _labels(held[roles.label], profile)
    table = Transactions(
        rows=np.arange(n),
        ids=_ids(held.get(roles.id) if roles.id is not None else None, n),
        time_ms=time_ms,
        numbers=numbers_of(held, profile, n),
        texts=texts_of(held, profile, n),
        labels=labels,
        known_at_ms=_known_at(held, profile, labels, time_ms),
    )
    if time_ms is None or bool(np.all(time_ms[1:] >= time_ms[:-1])):
        return table
    return table.take(np.argsort(time_ms, kind="stable"))


def _ids(column: pa.Array | None, n: int) -> NDArray[np.object_]:
    texts = [None] * n if column is None else pc.cast(column, pa.string()).to_pylist()
    return np.array([text or f"row-{i + 1}" for i, text in enumerate(texts)], dtype=object)


def _labels(column: pa.Array, profile: Profile) -> Floats:
    coded = as_coded(column)
    fraud, legitimate = set(profile.columns.fraud_values), set(profile.columns.legitimate_values)
    unknown = set(coded.values) - fraud - legitimate
    if unknown:
        raise TableError(f"{profile.columns.label} holds words that are no labels", code="bad_value")
    return np.array([*(1.0 if word in fraud else 0.0 for word in coded.values), np.nan])[coded.codes]


def _known_at(
    held: dict[str, pa.Array], profile: Profile, labels: Floats, time_ms: Integers | None
) -> Integers:
    """Return when each label became known, as `transactions_from_frame` does."""
    if time_ms is None:
        return np.where(np.isnan(labels), NEVER_MS, 0).astype(np.int64)
    known = time_ms + int(profile.features.label_delay_days * DAY_MS)
    reported = profile.columns.label_at
    if reported is not None and reported in held:
        stamps = pc.cast(held[reported], pa.timestamp("ms", tz="UTC"), safe=False)
        moments = as_numbers(pc.cast(stamps, pa.int64()))  # NaN where it was not reported
        reports = (labels == 1) & ~np.isnan(moments)
        known[reports] = moments[reports].astype(np.int64)
    return np.where(np.isnan(labels), NEVER_MS, known).astype(np.int64)
