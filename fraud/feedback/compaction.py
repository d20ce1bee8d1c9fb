"""Many small shards into few: the same lines in the same order, and Parquet beside them, under one tag."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from fraud.errors import NotFound, RepositoryError
from fraud.feedback.parquet import parquet_bytes, parquet_of
from fraud.feedback.shards import shards, split_lines
from fraud.repositories.paths import check_tag
from fraud.repositories.port import Add, Delete, Operation, VersionedRepository

PART_BYTES: Final = 32 << 20
_COMPACTED = re.compile(r"train-(\d{6})-.*")
"""Six digits before the tag sort before the eight of a day, so compacted lines are read first, as before."""


@dataclass(frozen=True, slots=True)
class CompactReport:
    """What a compaction did; no shards if all of them were compacted already."""

    revision: str
    n_shards: int
    n_parts: int


def compact(repository: VersionedRepository, tag: str) -> CompactReport:
    """Merge the shards that no earlier compaction has merged, in one commit, and tag it.

    Each part is a JSONL shard, which `load_dataset` reads together with the shards to come, and a Parquet
    file beside it. Lines are kept to the byte, bad ones too. A tag that names the head already is left alone.

    Raises
    ------
    NotFound
        The dataset has no commits.
    RepositoryError
        The tag names another revision, or the storage failed.
    StaleParent
        Somebody committed meanwhile; nothing was written. Run it again.
    """
    check_tag(tag)
    head = repository.head()
    if head is None:
        raise NotFound("The dataset has no commits yet; nothing was flagged.", code="no_dataset")
    named = repository.tags().get(tag)
    if named is not None and named != head:
        raise RepositoryError(f"The tag {tag} already names revision {named}.", code="tag_taken", field="tag")
    snapshot = repository.snapshot(head)
    numbers = [int(found[1]) for path in shards(snapshot) if (found := _COMPACTED.fullmatch(path.stem))]
    loose = [path for path in shards(snapshot) if not _COMPACTED.fullmatch(path.stem)]
    if named == head or not loose:
        repository.tag(tag, head)
        return CompactReport(head, 0, 0)
    prefix = f"data/train-{max(numbers, default=0) + 1:06d}-{PurePosixPath(tag).name}"
    operations: list[Operation] = [Delete(path.relative_to(snapshot).as_posix()) for path in loose]
    for number, lines in enumerate(_parts(loose)):
        shard = f"{prefix}-{number:03d}.jsonl"
        operations += [Add(shard, b"".join(lines)), Add(parquet_of(shard), parquet_bytes(lines))]
    n_parts = (len(operations) - len(loose)) // 2
    names = "".join(path.name + "\n" for path in loose)
    operations.append(Add(merged_list(prefix), names.encode()))
    revision = repository.commit(operations, f"Compact {len(loose)} shards for {tag}", head)
    repository.tag(tag, revision)
    return CompactReport(revision, len(loose), n_parts)


def merged_list(prefix: str) -> str:
    """Return the path of the list of shards that a compaction merged."""
    return "merged/" + PurePosixPath(prefix).name.removeprefix("train-") + ".txt"


def was_merged(repository: VersionedRepository, revision: str, shard: str) -> bool:
    """Return whether a compaction has taken in a shard that is no longer there under its own name."""
    name = PurePosixPath(shard).name.encode()
    lists = [path for path in repository.files(revision) if path.startswith("merged/")]
    return any(name in repository.read(path, revision).splitlines() for path in lists)


def _parts(paths: list[Path]) -> Iterator[list[bytes]]:
    """Yield lines in parts of about 32 MiB: a withdrawal rewrites one of them and not the whole past."""
    part: list[bytes] = []
    size = 0
    for path in paths:
        for line in split_lines(path.read_bytes()):
            whole = line if line.endswith(b"\n") else line + b"\n"
            if part and size + len(whole) > PART_BYTES:
                yield part
                part, size = [], 0
            part.append(whole)
            size += len(whole)
    if part:
        yield part
