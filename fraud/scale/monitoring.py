"""`monitor --engine dask`: the log checked and parsed on the workers, block by block, in its order.

That is what a run over a long log spends its time on. What the blocks say is put together where it is in one
process, in the same order, so that every figure of the report is the same; the statistics of a window are
computed there too.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pyarrow as pa

from fraud.feedback.checking import Block, CheckedBlock, blocks_of, check_block
from fraud.feedback.columnar import tables_of
from fraud.feedback.withdrawal import Doomed
from fraud.monitoring.observing import parse_lines
from fraud.monitoring.run import Reading
from fraud.scale.cluster import Engine

_AHEAD = 4
"""Blocks on their way for each worker: enough to keep it busy, few enough to be held here."""


def reading_on(engine: Engine) -> Reading:
    """Return who reads a log: the workers."""
    ahead = _AHEAD * max(1, len(engine.workers))

    def check(snapshot: Path, doomed: Mapping[Path, Doomed]) -> Iterator[CheckedBlock]:
        return engine.one_by_one(_checked, blocks_of(snapshot, doomed), ahead)

    def parse(parts: Iterable[list[str]], schema: pa.Schema) -> Iterator[pa.Table]:
        return engine.one_by_one(partial(_parsed, schema), parts, ahead)

    return Reading(check, parse)


def _checked(block: Block) -> CheckedBlock:
    return check_block(block, tables_of(block.lines))


def _parsed(schema: pa.Schema, lines: list[str]) -> pa.Table:
    return parse_lines(lines, schema)
