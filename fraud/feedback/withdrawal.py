"""Taking back what was said: which lines of the dataset go, and what stays in their place.

What goes is the submission that a withdrawal names: the flag, the prediction kept with it, and the reviews of
the flag, whose notes may repeat it. What somebody else said of the same prediction was kept with their own
consent and stays, and with it their copy of what was shown. A prediction that is kept for itself has a
consent and a receipt of its own: withdrawing it leaves the flags on it, and withdrawing a flag leaves it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fraud.errors import FlagError
from fraud.feedback.events import Row, WithdrawalEvent, is_kept
from fraud.feedback.parquet import parquet_bytes, parquet_of
from fraud.feedback.parsing import parse_line, parse_row
from fraud.feedback.shards import (
    holds,
    ids_in,
    json_line,
    may_be_about,
    may_show,
    numbered_lines,
    prediction_in,
    shards,
    split_lines,
)
from fraud.repositories.port import Add

_WITHDRAWAL = b'"withdrawal"'
_FLAG_ID = re.compile(r"f_[0-9A-HJKMNP-TV-Z]{26}")
_WITHDRAWABLE = re.compile(r"[fp]_[0-9A-HJKMNP-TV-Z]{26}")


@dataclass(slots=True)
class Doomed:
    """Line numbers of one shard that go, and for flags and reviews the event with the flag behind it."""

    lines: set[int] = field(default_factory=set)
    stones: dict[int, tuple[str, str]] = field(default_factory=dict)


def is_flag_id(text: str) -> bool:
    """Return whether `text` has the form of a flag's receipt."""
    return _FLAG_ID.fullmatch(text) is not None


def is_withdrawable(text: str) -> bool:
    """Return whether `text` has the form of a flag's or a kept prediction's receipt."""
    return _WITHDRAWABLE.fullmatch(text) is not None


def withdrawal_id(receipt_id: str) -> str:
    """Return the id of the tombstone: one for each receipt, so that a repeated withdrawal is the same."""
    return "w_" + receipt_id.partition("_")[2]


def tombstones(lines: bytes) -> dict[str, bytes]:
    """Return the withdrawn flag of each withdrawal among JSONL lines, with its line."""
    found: dict[str, bytes] = {}
    if _WITHDRAWAL in lines:
        for line in split_lines(lines):
            flag_id = _withdrawn_by(line)
            if flag_id is not None:
                found[flag_id] = line
    return found


def tombstones_at(snapshot: Path) -> dict[str, bytes]:
    """Return the withdrawn flag of each withdrawal at a revision, with its line."""
    return {
        flag_id: line
        for path in shards(snapshot)
        if holds(path, _WITHDRAWAL)
        for _, line in numbered_lines(path)
        if (flag_id := _withdrawn_by(line)) is not None
    }


def withdrawn_flags(snapshot: Path) -> frozenset[str]:
    """Return every flag that has a tombstone at a revision; one quick look at each line."""
    return frozenset(tombstones_at(snapshot))


def mentions(snapshot: Path, flag_id: str) -> bool:
    """Return whether a revision knows a flag, or a kept prediction, by itself or by its tombstone."""
    wanted = flag_id.encode()
    return any(
        wanted in ids_in(line) and (is_flag_id(flag_id) or _is_kept_or_stone(line))
        for path in shards(snapshot)
        for _, line in numbered_lines(path)
    )


def _is_kept_or_stone(line: bytes) -> bool:
    row = _row(line) or {}
    return is_kept(row) or row.get("event") == "withdrawal"


def doomed_lines(snapshot: Path, flag_ids: frozenset[str]) -> dict[Path, Doomed]:
    """Return, by shard, the lines that are not to be kept once these flags are withdrawn."""
    if not flag_ids:
        return {}
    doomed: dict[Path, Doomed] = {}
    shown = _dooms_of_flags(snapshot, {flag_id.encode() for flag_id in flag_ids}, doomed)
    if shown:
        _doom_predictions(snapshot, shown, doomed)
    return {path: found for path, found in doomed.items() if found.lines}


def rewritten(snapshot: Path, stones: Mapping[str, bytes]) -> list[Add]:
    """Return the shards that held what is withdrawn, with tombstones where flags and their reviews were.

    No other line changes by a byte, and no shard disappears: that a shard is there is how an interrupted
    drain knows that its batch was committed, and must not commit the content again.
    """
    operations = []
    for path, found in doomed_lines(snapshot, frozenset(stones)).items():
        kept = [
            _stone(stones, *found.stones[number]) if number in found.stones else line
            for number, line in enumerate(split_lines(path.read_bytes()), 1)
            if number not in found.lines or number in found.stones
        ]
        kept = kept or [stones[flag_id] for flag_id in sorted(stones)[:1]]
        shard = path.relative_to(snapshot).as_posix()
        operations.append(Add(shard, b"".join(kept)))
        if (snapshot / parquet_of(shard)).exists():
            operations.append(Add(parquet_of(shard), parquet_bytes(kept)))
    return operations


def _stone(stones: Mapping[str, bytes], event_id: str, flag_id: str) -> bytes:
    """Return the tombstone of a flag, or of a review that went with it: its receipt must stay answerable."""
    if event_id == flag_id:
        return stones[flag_id]
    row = parse_line(stones[flag_id]) | {"event_id": withdrawal_id(event_id), "about_event_id": event_id}
    return json_line(row)


def _withdrawn_by(line: bytes) -> str | None:
    if _WITHDRAWAL not in line:
        return None
    try:
        event = parse_row(parse_line(line))
    except FlagError:
        return None
    return event.withdrawal.flag_id if isinstance(event, WithdrawalEvent) else None


def _dooms_of_flags(snapshot: Path, wanted: set[bytes], doomed: dict[Path, Doomed]) -> set[bytes]:
    """Mark the flags and what is about them; return the predictions that they were shown with."""
    shown: set[bytes] = set()
    for path in shards(snapshot):
        if not may_be_about(path, wanted):
            continue
        before: tuple[int, bytes] = (0, b"")
        for number, line in numbered_lines(path):
            if not wanted.isdisjoint(ids_in(line)):
                row = _row(line)
                kind = None if row is None else row.get("event")
                beside_a_flag = row is not None and kind == "prediction" and not is_kept(row)
                if kind != "withdrawal" and not beside_a_flag:
                    found = doomed.setdefault(path, Doomed())
                    found.lines.add(number)
                    if row is not None and kind == "prediction":
                        found.stones[number] = (str(row["event_id"]), str(row["event_id"]))
                    elif row is not None and kind == "flag":
                        found.stones[number] = (str(row["event_id"]), str(row["event_id"]))
                        shown |= _beside(line, before, found)
                    elif row is not None and kind == "review":
                        found.stones[number] = (str(row["event_id"]), str(row["about_event_id"]))
            before = (number, line)
    return shown


def _beside(line: bytes, before: tuple[int, bytes], found: Doomed) -> set[bytes]:
    """Mark the prediction that was saved with a flag: the line above it, as `submission` wrote them."""
    prediction = prediction_in(line)
    if prediction is None:
        return set()
    above = _row(before[1]) or {}
    is_copy = above.get("event") == "prediction" and not is_kept(above)
    if is_copy and prediction_in(before[1]) == prediction:
        found.lines.add(before[0])
    return {prediction}


def _doom_predictions(snapshot: Path, shown: set[bytes], doomed: dict[Path, Doomed]) -> None:
    """Mark what is left of predictions that nobody else has flagged."""
    left: dict[bytes, list[tuple[Path, int]]] = {}
    flagged: set[bytes] = set()
    for path in shards(snapshot):
        if not may_show(path, shown):
            continue
        gone = doomed[path].lines if path in doomed else frozenset[int]()
        for number, line in numbered_lines(path):
            prediction = prediction_in(line)
            if prediction is None or prediction not in shown or number in gone:
                continue
            row = _row(line) or {}
            if row.get("event") == "flag":
                flagged.add(prediction)
            elif not is_kept(row):
                left.setdefault(prediction, []).append((path, number))
    for prediction in left.keys() - flagged:
        for path, number in left[prediction]:
            doomed.setdefault(path, Doomed()).lines.add(number)


def _row(line: bytes) -> Row | None:
    try:
        return parse_line(line)
    except FlagError:
        return None
