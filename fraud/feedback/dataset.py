"""Reading the feedback dataset at one revision: events, and the lines that are none, with the reason."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from fraud.errors import FlagError, StorageError
from fraud.feedback.checking import CheckedBlock, check_blocks, fingerprint
from fraud.feedback.events import Event, Row
from fraud.feedback.parquet import EventWriter, pulled_card
from fraud.feedback.parsing import parse_line, parse_row
from fraud.feedback.seen import Seen
from fraud.feedback.shards import numbered_lines, shards
from fraud.feedback.withdrawal import Doomed, doomed_lines, withdrawn_flags
from fraud.repositories.port import VersionedRepository

_CONFLICT = "event_id: already used by a row with other content."


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One line of a shard that is no event, and why; `line` counts from 1."""

    shard: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class PullReport:
    """What `pull` wrote; `revision` is the full sha of what was read."""

    revision: str
    n_events: int
    n_quarantined: int


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One commit of the dataset; the counts are None for a commit that was made by other means."""

    revision: str
    committed_at: datetime
    message: str
    n_submissions: int | None
    n_rows: int | None


def read_events(repository: VersionedRepository, revision: str) -> tuple[list[Event], list[Quarantined]]:
    """Return every event at `revision` (sha or tag) once, in the order of the shards, and the bad lines."""
    events: list[Event] = []
    quarantined: list[Quarantined] = []
    for item in scan_rows(repository, revision):
        if isinstance(item, Quarantined):
            quarantined.append(item)
        else:
            events.append(item[1])
    return events, quarantined


def scan_rows(repository: VersionedRepository, revision: str) -> Iterator[tuple[Row, Event] | Quarantined]:
    """Yield what `read_events` returns, one at a time, each event with its row."""
    return _scan(repository.snapshot(revision))


CheckBlocks = Callable[[Path, Mapping[Path, Doomed]], Iterable[CheckedBlock]]
"""Returns every line of a snapshot that is not doomed, checked, in order."""


def scan_tables(
    repository: VersionedRepository, revision: str, check: CheckBlocks = check_blocks
) -> Iterator[Any]:
    """Yield the events of `read_events`, in its order, as Arrow tables: the fast way to read all of them.

    Each `pyarrow.Table` has at most a few thousand rows and every column of the schema, in its order
    (`fraud.feedback.parquet.arrow_schema`); none is empty. Bad lines are passed over: `pull` tells of them.

    Parameters
    ----------
    check : checks the lines, here or elsewhere
    """
    return (table for table, _ in _scan_tables(repository.snapshot(revision), check) if table.num_rows)


def pull(repository: VersionedRepository, revision: str, out_dir: Path) -> PullReport:
    """Write `events.parquet`, `quarantine.jsonl`, a dataset card and, last, `revision.json` to `out_dir`.

    The rows in Parquet are those of `read_events`, with every column of the schema, in its order.

    Raises
    ------
    NotFound
        There is no such revision.
    StorageError
        `out_dir` cannot be written.
    """
    sha = repository.resolve(revision)
    snapshot = repository.snapshot(sha)
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        (out_dir / "revision.json").unlink(missing_ok=True)  # until all is new, this is no complete pull
        report = _write(snapshot, sha, out_dir)
        _replace(out_dir / "revision.json", json.dumps(asdict(report), indent=2) + "\n")
    except OSError as error:
        raise StorageError(f"{out_dir} cannot be written: {error}.", code="storage") from error
    return report


def log(repository: VersionedRepository, limit: int | None = None) -> tuple[LogEntry, ...]:
    """Return the commits of the dataset from the newest, with what each added."""
    entries = []
    for commit in repository.history(limit):
        title, *lines = commit.message.splitlines() or [""]
        entries.append(
            LogEntry(
                commit.revision,
                commit.committed_at,
                title,
                _count(lines, "Submissions"),
                _count(lines, "Rows"),
            )
        )
    return tuple(entries)


def _count(lines: list[str], name: str) -> int | None:
    for line in lines:
        key, _, value = line.partition(": ")
        if key == name and value.isascii() and value.isdigit() and len(value) < 16:
            return int(value)
    return None


def _scan(snapshot: Path) -> Iterator[tuple[Row, Event] | Quarantined]:
    # A node that had not heard of a withdrawal may have committed the content after it.
    doomed = doomed_lines(snapshot, withdrawn_flags(snapshot))
    with Seen() as seen:
        for path in shards(snapshot):
            shard = PurePosixPath(path.relative_to(snapshot)).as_posix()
            gone = doomed[path].lines if path in doomed else frozenset[int]()
            for number, line in numbered_lines(path):
                if number in gone:
                    continue
                try:
                    row = parse_line(line)
                    event = parse_row(row)
                except FlagError as error:
                    yield Quarantined(shard, number, str(error))
                    continue
                content = fingerprint(row)
                known = seen.earlier(event.event_id, content)
                if known is None:
                    yield row, event
                elif known != content:
                    yield Quarantined(shard, number, _CONFLICT)


def _scan_tables(
    snapshot: Path, check: CheckBlocks = check_blocks
) -> Iterator[tuple[Any, list[Quarantined]]]:
    """Yield the events of some lines, and what is bad among these, until every line was told of."""
    doomed = doomed_lines(snapshot, withdrawn_flags(snapshot))
    with Seen() as seen:
        for checked in check(snapshot, doomed):
            new, refused = _first_seen(checked, seen)
            table = checked.table if all(new) else checked.table.filter(new)
            yield table, [Quarantined(*checked.places[index], reason) for index, reason in refused]


def _write(snapshot: Path, sha: str, out_dir: Path) -> PullReport:
    target, bad_target = out_dir / "events.parquet", out_dir / "quarantine.jsonl"
    n_events = n_quarantined = 0
    partial, bad_partial = target.with_suffix(".partial"), bad_target.with_suffix(".partial")
    with EventWriter(partial) as writer, bad_partial.open("w", encoding="utf-8") as bad:
        for table, refused in _scan_tables(snapshot):
            writer.write_table(table)
            n_events += table.num_rows
            n_quarantined += len(refused)
            bad.writelines(json.dumps(asdict(item)) + "\n" for item in refused)
    os.replace(partial, target)
    os.replace(bad_partial, bad_target)
    _replace(out_dir / "README.md", pulled_card())
    return PullReport(sha, n_events, n_quarantined)


def _first_seen(checked: CheckedBlock, seen: Seen) -> tuple[list[bool], list[tuple[int, str]]]:
    """Return which events are new, and the bad lines, with those that use an id for other content."""
    event_ids = checked.table["event_id"].to_pylist()
    earlier = seen.earlier_of_each(event_ids, checked.fingerprints)
    conflicts = [
        (row, _CONFLICT)
        for row, known, content in zip(checked.rows, earlier, checked.fingerprints, strict=True)
        if known is not None and known != content
    ]
    return [known is None for known in earlier], sorted(checked.bad + conflicts)


def _replace(path: Path, text: str) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
