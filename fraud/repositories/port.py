"""The promise that every versioned repository keeps, local or on the Hub.

An adapter moves files and revisions and knows nothing of feedback or models. A revision is a full commit
sha. `tests/contract/` runs one suite against every adapter.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Add:
    """Write (or replace) one file. `content` is the bytes, or a path to read them from."""

    path: str
    content: bytes | Path


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove one file that exists at the parent revision."""

    path: str


Operation = Add | Delete


@dataclass(frozen=True, slots=True)
class Commit:
    """One entry of the history."""

    revision: str
    message: str
    committed_at: datetime


class VersionedRepository(Protocol):
    """Files under version control, with compare-and-swap commits."""

    def head(self) -> str | None:
        """Return the newest revision, or None before the first commit."""
        ...

    def commit(self, operations: Sequence[Operation], message: str, parent: str | None) -> str:
        """Apply all operations or none on top of `parent`; return the new revision once it is durable.

        Raises
        ------
        StaleParent
            `parent` is no longer the head; nothing was written.
        RepositoryError
            A path is unsafe, a deleted file does not exist, or the storage failed; nothing was written.
        """
        ...

    def turn(self) -> AbstractContextManager[None]:
        """Hold a place in the queue of writers, from reading the head to the commit on top of it.

        It spares writers that share a disk from losing to each other again and again. What keeps them from
        overwriting each other is the comparison in `commit` alone: writers that cannot queue, on other
        machines, may still come in between. Not to be nested.

        Raises
        ------
        RepositoryError
            The one whose turn it is took too long.
        """
        ...

    def snapshot(self, revision: str) -> Path:
        """Return a read-only directory with exactly the files of `revision` (sha or tag), cached by sha."""
        ...

    def files(self, revision: str) -> tuple[str, ...]:
        """Return the paths at `revision`, sorted."""
        ...

    def read(self, path: str, revision: str) -> bytes:
        """Return one file's bytes at `revision`; NotFound if either does not exist."""
        ...

    def tag(self, name: str, revision: str) -> None:
        """Name a revision; again on the same revision is fine, on another it is a RepositoryError."""
        ...

    def tags(self) -> dict[str, str]:
        """Return every tag and the revision it names."""
        ...

    def resolve(self, name: str) -> str:
        """Return the full sha for a tag, a full sha or an unambiguous prefix of one; NotFound otherwise."""
        ...

    def history(self, limit: int | None = None) -> tuple[Commit, ...]:
        """Return commits from the newest to the oldest."""
        ...
