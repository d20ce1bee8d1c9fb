"""Purging a withdrawn flag from the past of a local dataset repository."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fraud.errors import FlagError
from fraud.feedback.parquet import parquet_bytes, parquet_of
from fraud.feedback.shards import SHARDS, ids_in, prediction_in, split_lines
from fraud.feedback.withdrawal import rewritten, tombstones_at
from fraud.repositories.local import LocalRepository
from fraud.repositories.rewriting import Past, Rewrite


@dataclass(frozen=True, slots=True)
class PurgePlan:
    """What a purge would do: new content of each file object that holds the flag, and the revisions hit."""

    flag_id: str
    contents: Mapping[str, bytes]
    n_revisions: int
    n_dirty: int


def plan_purge(repository: LocalRepository, past: Past, flag_id: str) -> PurgePlan:
    """Return what still holds a withdrawn flag's content, and what would stand there instead.

    Raises
    ------
    FlagError
        The flag was not withdrawn, or its withdrawal is not committed yet.
    """
    head = repository.head()
    stone = None if head is None else tombstones_at(repository.snapshot(head)).get(flag_id)
    if stone is None:
        raise FlagError(
            "The dataset's head holds no withdrawal of this flag; withdraw it first and let it be committed.",
            code="not_withdrawn",
            field="receipt",
        )
    revisions = past.revisions()
    trees = [past.files(sha) for sha in revisions]
    blobs = {blob for tree in trees for path, blob in tree.items() if PurePosixPath(path).match(SHARDS)}
    contents = _cleaned(past.read, sorted(blobs), flag_id, stone)
    n_dirty = sum(not contents.keys().isdisjoint(tree.values()) for tree in trees)
    return PurgePlan(flag_id, contents, len(revisions), n_dirty)


def purge(past: Past, plan: PurgePlan) -> Rewrite:
    """Rewrite the history so that no object holds the content; a tombstone stands in its place everywhere."""

    def change(tree: Mapping[str, str]) -> dict[str, bytes]:
        changes = {path: plan.contents[blob] for path, blob in tree.items() if blob in plan.contents}
        tables = {parquet_of(path): parquet_bytes(split_lines(lines)) for path, lines in changes.items()}
        return changes | {path: table for path, table in tables.items() if path in tree}

    return past.rewrite(change)


def _cleaned(read: Callable[[str], bytes], blobs: list[str], flag_id: str, stone: bytes) -> dict[str, bytes]:
    """Return the new content of each blob that holds the flag, or what was shown with it, anywhere."""
    wanted = flag_id.encode()
    shown = {
        prediction
        for blob in blobs
        if wanted in (content := read(blob))
        for line in split_lines(content)
        if wanted in ids_in(line) and (prediction := prediction_in(line))
    }
    with tempfile.TemporaryDirectory(prefix="fraud-purge-") as folder:
        data = Path(folder) / "data"
        data.mkdir()
        for blob in blobs:
            content = read(blob)
            if any(name in content for name in (wanted, *shown)):
                (data / f"train-{blob}.jsonl").write_bytes(content)
        operations = rewritten(Path(folder), {flag_id: stone})
    return {
        PurePosixPath(item.path).stem.removeprefix("train-"): item.content
        for item in operations
        if isinstance(item.content, bytes)
    }
