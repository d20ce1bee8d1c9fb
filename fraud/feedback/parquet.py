"""Events as Parquet, the form that tables are read in fastest."""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from types import TracebackType
from typing import IO, Any, Final

from fraud.errors import FlagError
from fraud.feedback.events import COLUMNS
from fraud.feedback.parsing import parse_line, parse_row
from fraud.records import Finding, Label, Verdict

CLASSES: Final[Mapping[str, tuple[str, ...]]] = {
    "event": ("prediction", "flag", "review", "withdrawal"),
    "verdict": tuple(Verdict),
    "label": tuple(Label),
    "finding": tuple(Finding),
}
"""The columns that `datasets` offers as `ClassLabel`, with their names in order."""
_ROWS_PER_GROUP = 5_000


def arrow_schema() -> Any:
    """Return every column of the schema, in its order, with its Arrow type."""
    import pyarrow as pa

    types = {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_()}
    return pa.schema([(name, types[dtype]) for name, dtype in COLUMNS.items()])


def table_of(rows: Sequence[Mapping[str, object]]) -> Any:
    """Return rows as an Arrow table with every column."""
    import pyarrow as pa

    return pa.Table.from_pylist(list(rows), schema=arrow_schema())


class EventWriter:
    """Writes rows to one Parquet file, a group at a time, with every column of the schema in its order."""

    def __init__(self, target: Any) -> None:
        import pyarrow.parquet as pq

        self._writer = pq.ParquetWriter(target, arrow_schema())
        self._group: list[Mapping[str, object]] = []

    def __enter__(self) -> "EventWriter":
        """Return the writer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is left, and the footer without which the file is none."""
        if error is None:
            self._flush()
        self._writer.close()

    def write(self, row: Mapping[str, object]) -> None:
        """Add one row."""
        self._group.append(row)
        if len(self._group) == _ROWS_PER_GROUP:
            self._flush()

    def write_table(self, table: Any) -> None:
        """Add the rows of an Arrow table that has every column."""
        self._writer.write_table(table)

    def _flush(self) -> None:
        if self._group:
            self.write_table(table_of(self._group))
            self._group.clear()


def parquet_bytes(lines: Iterable[bytes]) -> bytes:
    """Return the events among the lines as one Parquet file; a line that is none is left out."""
    buffer: IO[bytes] = io.BytesIO()
    with EventWriter(buffer) as writer:
        for line in lines:
            try:
                row = parse_line(line)
                parse_row(row)
            except FlagError:
                continue
            writer.write(row)
    assert isinstance(buffer, io.BytesIO)  # noqa: S101 - made above
    return buffer.getvalue()


def parquet_of(shard: str) -> str:
    """Return the path of the Parquet file beside a compacted shard."""
    return "parquet/" + PurePosixPath(shard).stem.replace("train-", "events-", 1) + ".parquet"


def pulled_card() -> str:
    """Return the card of a pulled directory: `load_dataset(directory)` gives words as `ClassLabel`.

    The file itself holds the words, so that every other reader of Parquet sees them too.
    """
    features = "".join(f"  - name: {name}\n    dtype: {_dtype(name)}\n" for name in COLUMNS)
    return (
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: events.parquet\n"
        f"dataset_info:\n  config_name: default\n  features:\n{features}---\n\n"
        "Feedback events, validated; `revision.json` names the dataset revision that they were read from.\n"
    )


def _dtype(column: str) -> str:
    names = CLASSES.get(column)
    if names is None:
        return COLUMNS[column]
    listed = "".join(f"\n          '{number}': {name}" for number, name in enumerate(names))
    return f"\n      class_label:\n        names:{listed}"
