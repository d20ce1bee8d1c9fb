"""What maintainers ask of the dataset: what changed, what is in it, and whether all of it is sound."""

import filecmp
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fraud.errors import FlagError
from fraud.feedback.dataset import Quarantined, scan_rows
from fraud.feedback.events import Row
from fraud.feedback.parsing import parse_line, parse_row
from fraud.feedback.shards import numbered_lines, shards
from fraud.records import Receipt
from fraud.repositories.port import VersionedRepository

_SHOWN_REASONS = 100
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class DiffReport:
    """Events that came and went between two revisions, by kind, and the labels of the flags among them."""

    added: Mapping[str, int]
    removed: Mapping[str, int]
    labels_added: Mapping[str, int]
    labels_removed: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts over one revision. `largest_share` is the part of all flags that the busiest reporter gave."""

    n_quarantined: int
    kinds: Mapping[str, int]
    labels: Mapping[str, int]
    verdicts: Mapping[str, int]
    findings: Mapping[str, int]
    model_versions: Mapping[str, int]
    days: Mapping[int, int]
    n_reporters: int
    largest_share: float


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was checked, and every reason for doubt (the first hundred; `n_problems` counts all)."""

    n_receipts: int
    n_events: int
    n_problems: int
    reasons: tuple[str, ...]


def diff(repository: VersionedRepository, older: str, newer: str) -> DiffReport:
    """Return what came and what went between two revisions; shards that both hold unchanged are not read.

    Raises
    ------
    NotFound
        There is no such revision.
    """
    before, after = repository.snapshot(older), repository.snapshot(newer)
    old, new = _events_of_changed(before, after), _events_of_changed(after, before)
    came = [new[event_id] for event_id in new.keys() - old.keys()]
    went = [old[event_id] for event_id in old.keys() - new.keys()]
    return DiffReport(
        added=Counter(kind for kind, _ in came),
        removed=Counter(kind for kind, _ in went),
        labels_added=Counter(label for _, label in came if label),
        labels_removed=Counter(label for _, label in went if label),
    )


def stats(repository: VersionedRepository, revision: str) -> Stats:
    """Return counts of what a revision holds; days are counted from 1970-01-01, in UTC."""
    counts: dict[str, Counter[str]] = {
        name: Counter() for name in ("event", "label", "verdict", "finding", "model_version", "reporter")
    }
    days: Counter[int] = Counter()
    n_quarantined = 0
    for item in scan_rows(repository, revision):
        if isinstance(item, Quarantined):
            n_quarantined += 1
            continue
        row = item[0]
        _count(row, counts)
        if row["event"] == "flag":
            days[int(str(row["recorded_ms"])) // _DAY_MS] += 1
    reporters = counts["reporter"]
    return Stats(
        n_quarantined=n_quarantined,
        kinds=counts["event"],
        labels=counts["label"],
        verdicts=counts["verdict"],
        findings=counts["finding"],
        model_versions=counts["model_version"],
        days=dict(sorted(days.items())),
        n_reporters=len(reporters),
        largest_share=max(reporters.values(), default=0) / max(1, reporters.total()),
    )


def verify(repository: VersionedRepository, receipts: Iterable[Receipt]) -> VerifyReport:
    """Check that every committed receipt is at the head, itself or its tombstone, and every row is an event.

    A row is one only if its content digest holds. A dataset without commits must have no committed receipt.
    """
    missing = {receipt.receipt_id for receipt in receipts if receipt.committed}
    n_receipts, n_events, n_problems = len(missing), 0, 0
    reasons: list[str] = []
    head = repository.head()
    for item in () if head is None else scan_rows(repository, head):
        if isinstance(item, Quarantined):
            n_problems += 1
            if len(reasons) < _SHOWN_REASONS:
                reasons.append(f"{item.shard}, line {item.line}: {item.reason}")
            continue
        n_events += 1
        missing.discard(item[1].event_id)
        if item[0]["event"] == "withdrawal":
            missing.discard(str(item[0]["about_event_id"]))
    n_problems += len(missing)
    room = _SHOWN_REASONS - len(reasons)
    reasons += [
        f"receipt {name} is marked committed and is not at the head" for name in sorted(missing)[:room]
    ]
    return VerifyReport(n_receipts, n_events, n_problems, tuple(reasons))


def _count(row: Row, counts: Mapping[str, Counter[str]]) -> None:
    for name, counter in counts.items():
        # A reviewer's pseudonym stands in the same column, and a review is no flag.
        if row.get(name) is not None and (name != "reporter" or row["event"] == "flag"):
            counter[str(row[name])] += 1


def _events_of_changed(snapshot: Path, other: Path) -> dict[str, tuple[str, str | None]]:
    changed = (
        path
        for path in shards(snapshot)
        if not (other / path.relative_to(snapshot)).exists()
        or not filecmp.cmp(path, other / path.relative_to(snapshot), shallow=False)
    )
    return {
        str(row["event_id"]): (str(row["event"]), None if row.get("label") is None else str(row["label"]))
        for path in changed
        for row in _rows(path)
    }


def _rows(path: Path) -> Iterator[Row]:
    for _, line in numbered_lines(path):
        try:
            row = parse_line(line)
            parse_row(row)
        except FlagError:
            continue
        yield row
