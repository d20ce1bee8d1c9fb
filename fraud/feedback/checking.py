"""Shards checked row by row, several at once: what a pull of a million events spends its time on."""

import hashlib
import multiprocessing
import os
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fraud.errors import FlagError
from fraud.feedback.events import COLUMNS, Row
from fraud.feedback.parquet import table_of
from fraud.feedback.parsing import parse_line, parse_row
from fraud.feedback.shards import numbered_lines
from fraud.feedback.withdrawal import Doomed

PARALLEL_FROM_BYTES: Final = 64 << 20
"""Below this, starting processes takes longer than they save."""
_MAX_WORKERS = 4
_ALL = tuple(COLUMNS)
# A prediction is stored again beside each flag on it, by then perhaps on another node and under a newer
# consent text or schema; it is still the same prediction. So is a flag that was withdrawn at two nodes.
_LASTING = {
    "prediction": tuple(c for c in COLUMNS if c not in ("node", "consent_version", "schema_version")),
    "withdrawal": tuple(c for c in COLUMNS if c not in ("node", "recorded_ms", "schema_version")),
}


@dataclass(frozen=True, slots=True)
class CheckedShard:
    """The events of one shard as an Arrow table, with id, fingerprint and line of each, and the bad lines."""

    path: Path
    table: Any
    event_ids: list[str]
    fingerprints: list[int]
    lines: list[int]
    bad: list[tuple[int, str]]


def fingerprint(row: Row) -> int:
    """Return 64 bits that are equal for rows that say the same, in every process."""
    values = tuple(map(row.get, _LASTING.get(str(row["event"]), _ALL)))
    digest = hashlib.blake2b(repr(values).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def check_shard(path: Path, gone: frozenset[int]) -> CheckedShard:
    """Return what is sound in a shard, and why the rest is not; lines in `gone` are passed over."""
    rows: list[Row] = []
    lines: list[int] = []
    bad: list[tuple[int, str]] = []
    for number, line in numbered_lines(path):
        if number in gone:
            continue
        try:
            row = parse_line(line)
            parse_row(row)
        except FlagError as error:
            bad.append((number, str(error)))
            continue
        rows.append(row)
        lines.append(number)
    event_ids = [str(row["event_id"]) for row in rows]
    return CheckedShard(path, table_of(rows), event_ids, [fingerprint(row) for row in rows], lines, bad)


def check_shards(
    paths: list[Path], doomed: Mapping[Path, Doomed], parallel_from: int = PARALLEL_FROM_BYTES
) -> Iterator[CheckedShard]:
    """Yield every shard, checked, in the order given; at most a few are held at a time."""
    tasks = [(path, frozenset(doomed[path].lines if path in doomed else ())) for path in paths]
    workers = min(_MAX_WORKERS, os.cpu_count() or 1)
    if workers == 1 or sum(path.stat().st_size for path in paths) < parallel_from:
        yield from (check_shard(*task) for task in tasks)
        return
    # Not forked: this process may hold threads and an open database.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        running: deque[Future[CheckedShard]] = deque()
        for task in tasks:
            running.append(pool.submit(check_shard, *task))
            if len(running) > 2 * workers:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
