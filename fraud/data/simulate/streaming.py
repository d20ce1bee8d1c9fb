"""The same world written day by day, so that a table of any length needs the memory of a few days."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fraud.data.simulate import one_day, table_of
from fraud.data.simulate.config import DAY_SECONDS, SimulationConfig
from fraud.data.simulate.honest import Rows
from fraud.data.simulate.population import draw_population
from fraud.data.simulate.typologies import origin_days
from fraud.errors import TableError

FILE_ROWS = 1_000_000
"""Rows of a file, about; a file ends with a day."""
GROUP_ROWS = 100_000
MAX_A_DAY = 1_000_000
"""Transactions of a day that the ids, which count within it, can tell apart."""


def simulated_days(
    n_transactions: int, seed: int = 7, start: date = date(2026, 1, 1), days: int = 240
) -> Iterator[pd.DataFrame]:
    """Yield the days of the table that `simulate` returns, one after the other.

    Raises
    ------
    TableError
        A day would have more transactions than ids can tell apart.
    """
    if n_transactions / days > MAX_A_DAY / 2:
        raise TableError(
            f"{n_transactions:,} rows in {days} days are more a day than the simulator's ids can tell "
            f"apart ({MAX_A_DAY // 2:,}); ask for more days.",
            code="too_large",
        )
    config = SimulationConfig()
    population = draw_population(config, seed, config.cards_for(n_transactions, days))
    waiting: list[Rows] = []
    for day in range(-origin_days(config), days):
        honest, fraudulent = one_day(population, config, seed, day, start + timedelta(days=day))
        rows = Rows.concat([*waiting, honest, *fraudulent] if day >= 0 else [*waiting, *fraudulent])
        today = (rows.second >= day * DAY_SECONDS) & (rows.second < (day + 1) * DAY_SECONDS)
        # An incident goes on for weeks: what it does later waits for its day.
        waiting = [rows.take(rows.second >= (day + 1) * DAY_SECONDS)]
        if day >= 0:
            yield table_of(rows.take(today), population, start)


def write_simulated(folder: Path, n_transactions: int, seed: int, days: int) -> tuple[int, int]:
    """Write a simulated table as Parquet files of about `FILE_ROWS` rows; return (rows, files).

    Raises
    ------
    TableError
        There is something at `folder`, or a day would have too many transactions.
    """
    if folder.exists():
        raise TableError(f"{folder}: there is something already; name another directory.", code="exists")
    partial = folder.with_name(f".{folder.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    writer: pq.ParquetWriter | None = None
    n_rows = n_files = n_here = 0
    for frame in simulated_days(n_transactions, seed, days=days):
        table = pa.Table.from_pandas(frame, preserve_index=False)
        if writer is None:
            writer = pq.ParquetWriter(
                partial / f"part-{n_files:05d}.parquet", table.schema, compression="zstd"
            )
            n_files, n_here = n_files + 1, 0
        writer.write_table(table, row_group_size=GROUP_ROWS)
        n_rows, n_here = n_rows + len(frame), n_here + len(frame)
        if n_here >= FILE_ROWS:
            writer.close()
            writer = None
    if writer is not None:
        writer.close()
    partial.rename(folder)
    return n_rows, n_files
