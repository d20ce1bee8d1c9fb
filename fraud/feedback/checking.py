"""Shards checked a block of lines at a time: what a pull of a million events spends its time on."""

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from fraud.errors import FlagError
from fraud.feedback.columnar import PASSING, Columns, tables_of
from fraud.feedback.events import COLUMNS, Row
from fraud.feedback.parquet import table_of
from fraud.feedback.parsing import parse_line, parse_row
from fraud.feedback.shards import numbered_lines, shards
from fraud.feedback.withdrawal import Doomed

_MAX_LINES: Final = 8_192
_MAX_BYTES: Final = 8 << 20
_LASTING = {kind: tuple(c for c in COLUMNS if c not in passing) for kind, passing in PASSING.items()}
_ALL = tuple(COLUMNS)


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that follow each other, of one shard or of several small ones, and the place of each."""

    places: list[tuple[str, int]] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CheckedBlock:
    """The events of a block as an Arrow table, with place and fingerprint of each, and the bad lines.

    `rows` and `bad` name lines by their index in `places`, in ascending order.
    """

    places: list[tuple[str, int]]
    table: Any
    rows: list[int]
    fingerprints: list[int]
    bad: list[tuple[int, str]]


def fingerprint(row: Row) -> int:
    """Return 64 bits that are equal for rows that say the same; 3 and 3.0 do, in a column of numbers."""
    values = [
        float(value) + 0.0 if COLUMNS[column] == "float64" and isinstance(value, int | float) else value
        for column in _LASTING.get(str(row["event"]), _ALL)
        for value in (row.get(column),)
    ]
    digest = hashlib.blake2b(repr(values).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def check_blocks(snapshot: Path, doomed: Mapping[Path, Doomed]) -> Iterator[CheckedBlock]:
    """Yield every line of a snapshot that is not doomed, checked, in order; two blocks are held at a time.

    A thread reads and parses ahead, which Arrow does beside Python.
    """
    ahead = _parsed_blocks(snapshot, doomed)
    with ThreadPoolExecutor(1, "parse-shards") as pool:
        coming = pool.submit(next, ahead, None)
        while (parsed := coming.result()) is not None:
            coming = pool.submit(next, ahead, None)
            yield check_block(*parsed)


def check_block(block: Block, tables: list[tuple[Any, Any]]) -> CheckedBlock:
    """Return what is sound in a block: rows in doubt, and lines in no table, are parsed one by one."""
    in_doubt = np.ones(len(block.lines), dtype=np.bool_)
    parts: list[tuple[Any, Any, list[int]]] = []
    for indices, table in tables:
        columns = Columns(table)
        sound = columns.sound()
        in_doubt[indices[sound]] = False
        prints = columns.fingerprints()
        if not sound.all():
            table = table.filter(sound)
            prints = [prints[index] for index in np.flatnonzero(sound)]
        parts.append((indices[sound], table, prints))
    rows: list[Row] = []
    kept: list[int] = []
    bad: list[tuple[int, str]] = []
    for index in np.flatnonzero(in_doubt).tolist():
        try:
            row = parse_line(block.lines[index])
            parse_row(row)
        except FlagError as error:
            bad.append((index, str(error)))
            continue
        rows.append(row)
        kept.append(index)
    if rows or not parts:
        table = table_of(rows)
        parts.append((np.array(kept, dtype=np.intp), table, Columns(table).fingerprints()))
    return _merged(block.places, parts, bad)


def _merged(
    places: list[tuple[str, int]], parts: list[tuple[Any, Any, list[int]]], bad: list[tuple[int, str]]
) -> CheckedBlock:
    import pyarrow as pa

    if len(parts) == 1:
        ((indices, table, prints),) = parts
        return CheckedBlock(places, table, indices.tolist(), prints, bad)
    indices = np.concatenate([part[0] for part in parts])
    order = np.argsort(indices)
    table = pa.concat_tables([part[1] for part in parts]).take(order)
    every = [item for part in parts for item in part[2]]
    return CheckedBlock(places, table, indices[order].tolist(), [every[n] for n in order], bad)


def _parsed_blocks(
    snapshot: Path, doomed: Mapping[Path, Doomed]
) -> Iterator[tuple[Block, list[tuple[Any, Any]]]]:
    for block in blocks_of(snapshot, doomed):
        yield block, tables_of(block.lines)


def blocks_of(snapshot: Path, doomed: Mapping[Path, Doomed]) -> Iterator[Block]:
    """Yield the lines of a snapshot that are not doomed, in order, in blocks of some megabytes."""
    block, size = Block(), 0
    for path in shards(snapshot):
        shard = path.relative_to(snapshot).as_posix()
        gone = doomed[path].lines if path in doomed else frozenset[int]()
        for number, line in numbered_lines(path):
            if number in gone:
                continue
            block.places.append((shard, number))
            block.lines.append(line)
            size += len(line)
            if len(block.lines) == _MAX_LINES or size >= _MAX_BYTES:
                yield block
                block, size = Block(), 0
    if block.lines:
        yield block
