"""A scored table: its rows by risk, where the models differ, single rows, and the whole as CSV or Parquet."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock
from time import perf_counter, thread_time
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fraud.data.profile import Profile
from fraud.data.spreadsheet import safe_texts
from fraud.errors import NotFound
from fraud.records import MODELS, Decision, ModelVersion, Thresholds
from fraud.serving.batch import DECISIONS, severities
from fraud.tables.accepting import Accepted, Matching, Refused
from fraud.tables.reading import Sheet

ROWS_FILE = "rows.arrow"
TYPED_FILE = "typed.arrow"
Choice = Literal["all", "alerts", "differ"]
_LISTED = 1_000


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the page: its position among the scored rows, its number in the file, its cells."""

    position: int
    row: int
    cells: Mapping[str, Any]
    probability: Mapping[str, float]
    decision: Mapping[str, Decision]


class Seconds:
    """How long the stages of one table took; safe to share between threads."""

    def __init__(self) -> None:
        self.of: dict[str, float] = {}
        self._lock = Lock()

    @contextmanager
    def timing(self, stage: str, *, by_thread: bool = False) -> Iterator[None]:
        """Add a block's seconds to a stage; with `by_thread` the processor's, of this thread alone."""
        clock = thread_time if by_thread else perf_counter
        began = clock()
        try:
            yield
        finally:
            took = clock() - began
            with self._lock:
                self.of[stage] = self.of.get(stage, 0.0) + took


def typed_cells(accepted: Accepted, matching: Matching, profile: Profile) -> pa.RecordBatch | None:
    """Return the columns of numbers, dates, truth values and times that came as texts, as what they are.

    They are those of the transactions, so that nothing is read twice, and read differently; None without any.
    """
    table = accepted.transactions
    if table is None:
        return None
    order = np.argsort(table.rows, kind="stable")
    columns: dict[str, pa.Array] = {}
    for name, own in matching.columns.items():
        if not pa.types.is_string(accepted.batch.column(own).type):
            continue
        described = profile.by_column.get(name)
        if name == profile.columns.time:
            if profile.columns.time_step_ms is None:
                columns[own] = pa.array(table.times()[order]).view(pa.timestamp("ms", tz="UTC"))
        elif described is not None and name in table.numbers:
            values = pa.array(table.numbers[name][order], from_pandas=True)
            if described.kind == "boolean":
                values = pc.equal(values, 1.0)
            elif described.kind == "date":
                values = pc.cast(pc.cast(values, pa.int32()), pa.date32())
            columns[own] = values
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns)) if columns else None


@dataclass(frozen=True)
class ScoredTable:
    """Both models' probabilities for every accepted row, float64 [n] in the file's order.

    The cells themselves lie in a file of Arrow's, mapped into memory: a page reads the rows that it shows.
    `seconds` says how long each stage took.
    """

    folder: Path
    sheet: Sheet
    matching: Matching
    profile: Profile
    model_version: ModelVersion
    thresholds: Mapping[str, Thresholds]
    rows: NDArray[np.int64]
    probability: Mapping[str, NDArray[np.float64]]
    refused: tuple[Refused, ...] = ()
    n_blank: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def n_refused(self) -> int:
        """How many rows got no answer."""
        return sum(len(one.rows) for one in self.refused)

    @cached_property
    def _alerts(self) -> dict[str, NDArray[np.bool_]]:
        return {name: self.probability[name] >= self.thresholds[name].review for name in MODELS}

    def n_alerts(self, model: str) -> int:
        """Return how many rows a model would not approve."""
        return int(self._alerts[model].sum())

    @cached_property
    def _chosen(self) -> dict[str, NDArray[np.intp]]:
        """Positions by falling mean probability, for each choice."""
        first, second = (self._alerts[name] for name in MODELS)
        mean = sum(self.probability[name] for name in MODELS)
        order = np.argsort(-np.asarray(mean), kind="stable")
        return {
            "all": order,
            "alerts": order[(first | second)[order]],
            "differ": order[(first != second)[order]],
        }

    def count(self, choice: Choice) -> int:
        """Return how many rows a choice has: all, those that a model alerts on, those where they differ."""
        return len(self._chosen[choice])

    def page(self, choice: Choice, number: int, size: int) -> Sequence[Line]:
        """Return the rows of a page (from 0), those of the highest mean probability first."""
        return [self.line(int(p)) for p in self._chosen[choice][number * size : (number + 1) * size]]

    def line(self, position: int) -> Line:
        """Return one row; NotFound if the table has no such row."""
        if not 0 <= position < len(self.rows):
            raise NotFound("The table has no such row.", code="no_row")
        cells = {name: values[0] for name, values in self._cells(position).items()}
        probability = {name: float(self.probability[name][position]) for name in MODELS}
        decision = {name: self.thresholds[name].decide(p) for name, p in probability.items()}
        return Line(position, int(self.rows[position]), cells, probability, decision)

    def transaction(self, position: int) -> dict[str, Any]:
        """Return one row as the service takes a transaction: profile column -> value."""
        cells = self.line(position).cells
        roles = self.profile.columns
        left_out = (roles.label, roles.label_at, roles.typology)
        return {
            column: self._value(column, cells[name])
            for column, name in self.matching.columns.items()
            if column not in left_out and cells[name] is not None
        }

    def _value(self, column: str, cell: Any) -> Any:
        described = self.profile.by_column.get(column)
        if hasattr(cell, "isoformat"):
            return cell.isoformat()
        if described is not None and described.kind == "number":
            return self.number(cell)
        return cell.strip() if isinstance(cell, str) else cell

    def number(self, cell: Any) -> Any:
        """Return a cell of a column of numbers, written with a decimal point."""
        if not isinstance(cell, str):
            return cell
        if self.matching.decimal_comma and "," in cell:
            cell = cell.replace(".", "").replace(",", ".")
        return cell.strip()

    def same_entity(self, position: int, limit: int) -> list[int]:
        """Return the rows of the same main entity (card) of a row, at most the last `limit`."""
        main = self.profile.main_entity
        name = None if main is None else self.matching.columns.get(main.column)
        if name is None:
            return []
        found: list[int] = []
        whose = self._cells(position)[name][0]
        if whose is None:
            return []
        for i in range(self._reader.num_record_batches):
            first = int(self._offsets[i])
            column = self._reader.get_batch(i).column(name)
            same = pc.equal(column, pa.scalar(whose, column.type))
            found += (first + pc.indices_nonzero(same).to_numpy()).tolist()
        return [p for p in found if p != position][-limit:]

    # The file of rows

    @cached_property
    def _reader(self) -> pa.ipc.RecordBatchFileReader:
        return self._mapped(ROWS_FILE)

    def _mapped(self, name: str) -> pa.ipc.RecordBatchFileReader:
        try:
            return pa.ipc.open_file(pa.memory_map(str(self.folder / name)))
        except OSError as error:
            raise NotFound(
                "The scored table was deleted, as every table is after an hour; send it again.",
                code="table_gone",
            ) from error

    @cached_property
    def _offsets(self) -> NDArray[np.int64]:
        reader = self._reader
        lengths = [reader.get_batch(i).num_rows for i in range(reader.num_record_batches)]
        return np.cumsum([0, *lengths])

    def _cells(self, position: int) -> dict[str, list[Any]]:
        piece = int(np.searchsorted(self._offsets, position, side="right")) - 1
        batch = self._reader.get_batch(piece).slice(position - int(self._offsets[piece]), 1)
        return dict(batch.to_pydict())

    def pieces(self, *, typed: bool = False) -> Iterator[pa.RecordBatch]:
        """Yield the rows with both models' answers beside the columns that they came with.

        With `typed` the numbers and times of a CSV are numbers and times; else they are as they came.
        """
        numbers = self._mapped(TYPED_FILE) if typed and (self.folder / TYPED_FILE).is_file() else None
        for i in range(self._reader.num_record_batches):
            batch = self._reader.get_batch(i)
            part = slice(int(self._offsets[i]), int(self._offsets[i + 1]))
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            if numbers is not None:
                read = numbers.get_batch(i)
                columns |= dict(zip(read.schema.names, read.columns, strict=True))
            for model in MODELS:
                answer = self.probability[model][part]
                columns[f"{model}_probability"] = pa.array(answer)
                codes = pa.array(severities(answer, self.thresholds[model]))
                decided = pa.DictionaryArray.from_arrays(codes, pa.array(DECISIONS, pa.string()))
                columns[f"{model}_decision"] = decided.cast(pa.string())
            yield pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))

    def csv(self) -> Iterator[bytes]:
        """Yield the scored table as a CSV that no spreadsheet takes for formulas."""
        for i, batch in enumerate(self.pieces()):
            yield _csv_bytes(_escaped(batch), header=i == 0)

    def write_parquet(self, path: Path) -> None:
        """Write the scored table; what the profile calls a number, date, truth value or time is one."""
        with self.writing(path) as write_up_to:
            write_up_to(len(self))

    @contextmanager
    def writing(self, path: Path) -> Iterator[Callable[[int], None]]:
        """Yield what writes all whole pieces below a position; it must reach the end of the table."""
        batches, writer, i = self.pieces(typed=True), None, 0

        def write_up_to(position: int) -> None:
            nonlocal writer, i
            while i < self._reader.num_record_batches and self._offsets[i + 1] <= position:
                batch = next(batches)
                writer = writer or self._parquet_writer(path, batch.schema)
                writer.write_batch(batch)
                i += 1

        try:
            yield write_up_to
        finally:
            if writer is not None:
                writer.close()

    def _parquet_writer(self, path: Path, schema: pa.Schema) -> pq.ParquetWriter:
        own_id = self.matching.columns.get(self.profile.columns.id or "")
        # What hardly repeats is written as it is: a dictionary of it would be made and thrown away.
        repeated = [each.name for each in schema if pa.types.is_string(each.type) and each.name != own_id]
        return pq.ParquetWriter(
            path, schema, compression="zstd", compression_level=1, use_dictionary=repeated or False
        )

    def refused_csv(self) -> Iterator[bytes]:
        """Yield the refused rows in their order as a CSV: line, row, column, rule."""
        names = ["line", "row", "column", "rule"]
        yield (",".join(names) + "\n").encode()
        if not self.refused:
            return
        words = [(self.shown_column(one), one.rule) for one in self.refused]
        which = np.repeat(np.arange(len(words)), [len(one.rows) for one in self.refused])
        rows = np.concatenate([one.rows for one in self.refused])
        lines = np.concatenate([one.lines for one in self.refused])
        order = np.argsort(rows, kind="stable")
        group = pa.array(which[order])
        texts = [pa.array(each, pa.string()).take(group) for each in zip(*words, strict=True)]
        cells = [pa.array(lines[order]), pa.array(rows[order]), *texts]
        yield _csv_bytes(_escaped(pa.RecordBatch.from_arrays(cells, names=names)), header=False)

    def shown_column(self, one: Refused) -> str:
        """Return the name that a refused row's column has in the table itself."""
        return self.matching.columns.get(one.column, one.column)

    def listed_refusals(self, limit: int = _LISTED) -> list[tuple[int, int, str, str]]:
        """Return the first refused rows as (line, row, the table's column, rule), in the file's order."""
        found = []
        for one in self.refused:
            first = zip(one.lines[:limit].tolist(), one.rows[:limit].tolist(), strict=True)
            found += [(line, row, self.shown_column(one), one.rule) for line, row in first]
        return sorted(found)[:limit]


def _escaped(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = [safe_texts(c) if pa.types.is_string(c.type) else c for c in batch.columns]
    names = safe_texts(pa.array(batch.schema.names, pa.string())).to_pylist()
    return pa.RecordBatch.from_arrays(columns, names=names)


def _csv_bytes(batch: pa.RecordBatch, *, header: bool) -> bytes:
    sink = pa.BufferOutputStream()
    options = pyarrow.csv.WriteOptions(include_header=header, quoting_style="needed")
    pyarrow.csv.write_csv(batch, sink, options)
    return bytes(sink.getvalue().to_pybytes())
