"""The shards of one revision on disk: where they are, their lines, and what a line is about at a glance."""

import json
import mmap
import re
from collections.abc import Callable, Iterator, Mapping, Set
from pathlib import Path, PurePosixPath
from typing import Final

SHARDS: Final = "data/train-*.jsonl"
MAX_LINE_BYTES: Final = 1 << 20

# A quotation mark inside a text is escaped, so a comment can quote such a pair and is not taken for one.
_ABOUT = re.compile(rb'"(?:about_)?event_id"\s*:\s*"([^"\\]*)"')
_KIND = re.compile(rb'"event"\s*:\s*"([^"\\]*)"')
_DIGEST = re.compile(rb'"content_digest"\s*:\s*"([^"\\]*)"')
_LINE = re.compile(rb"[^\n]*\n|[^\n]+\Z")
# The same, ended at the first quotation mark and within a line: what a whole file is searched for quickly.
_ABOUT_ANYWHERE = re.compile(rb'event_id"[^\S\n]*:[^\S\n]*"([^"\\\n]*)"')
_PREDICTION_ANYWHERE = re.compile(rb'prediction_id"[^\S\n]*:[^\S\n]*"([^"\\\n]*)"')
_PREDICTION = re.compile(rb'"prediction_id"\s*:\s*"([^"\\]*)"')


def shards(snapshot: Path) -> list[Path]:
    """Return the shards below a snapshot, in the order in which they are read."""
    return sorted(snapshot.glob(SHARDS))


def is_shard(path: str) -> bool:
    """Return whether a path of the repository is a shard's."""
    return PurePosixPath(path).match(SHARDS) and path.count("/") == 1


def numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield lines counted from 1, cut at 1 MiB and a bit: the rest of a longer one is skipped, never held."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            end = line
            while len(end) > MAX_LINE_BYTES and not end.endswith(b"\n"):
                end = file.readline(MAX_LINE_BYTES + 1)
            yield number, line


def split_lines(content: bytes) -> list[bytes]:
    """Return lines with their ends, parted at line feeds only, as `numbered_lines` counts them."""
    return _LINE.findall(content)


def holds(path: Path, text: bytes) -> bool:
    """Return whether a shard has a text anywhere, however large it is."""
    return _search(path, lambda content: content.find(text) >= 0)


def may_be_about(path: Path, event_ids: Set[bytes]) -> bool:
    """Return whether `ids_in` could give one of these for any line of a shard, at one quick look."""
    return _search(
        path, lambda content: any(found[1] in event_ids for found in _ABOUT_ANYWHERE.finditer(content))
    )


def may_show(path: Path, predictions: Set[bytes]) -> bool:
    """Return whether `prediction_in` could give one of these for any line of a shard, at one quick look."""
    return _search(
        path, lambda content: any(found[1] in predictions for found in _PREDICTION_ANYWHERE.finditer(content))
    )


def json_line(row: Mapping[str, object]) -> bytes:
    """Return a row as one line of a shard."""
    return json.dumps(row, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def ids_in(line: bytes) -> list[bytes]:
    """Return the ids of the event, and of the event that it is about, without reading the JSON."""
    return _ABOUT.findall(line)


def prediction_in(line: bytes) -> bytes | None:
    """Return the id of the prediction that a line is about, without reading the JSON."""
    found = _PREDICTION.search(line)
    return None if found is None else found[1]


def kind_of(line: bytes) -> bytes | None:
    """Return what a line says of the kind of its event, without reading the JSON."""
    found = _KIND.search(line)
    return None if found is None else found[1]


def digest_in(line: bytes) -> bytes | None:
    """Return the content digest that a line claims, without reading the JSON."""
    found = _DIGEST.search(line)
    return None if found is None else found[1]


def _search(path: Path, found: Callable[[mmap.mmap], bool]) -> bool:
    with path.open("rb") as file:
        if not path.stat().st_size:  # nothing cannot be mapped
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return found(content)
