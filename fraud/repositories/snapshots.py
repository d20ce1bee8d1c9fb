"""Checked-out revisions on this disk: complete or absent, never half; and how git fills them."""

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Generic, Protocol, TypeVar

from fraud.errors import RepositoryError
from fraud.repositories.git import Git, failure
from fraud.repositories.paths import check_path

_CHUNK = 1 << 20
_ABANDONED_S = 3600.0


class Listed(Protocol):
    """What every listing of a revision tells of a file."""

    @property
    def path(self) -> str:
        """Where it is in the repository."""
        ...

    @property
    def size(self) -> int:
        """Its length in bytes."""
        ...


F = TypeVar("F", bound=Listed)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a revision: its git object and its size in bytes."""

    path: str
    blob: str
    size: int

    @classmethod
    def parse(cls, line: bytes) -> "Entry":
        """Read one line of `git ls-tree -r -l`; only plain files in safe places are accepted."""
        meta, _, name = line.partition(b"\t")
        mode, _, blob, size = meta.split()
        path = check_path(name.decode("utf-8", "surrogateescape"))
        if mode not in (b"100644", b"100755"):
            raise RepositoryError(f"{path!r} is not a plain file; this repository holds nothing else.")
        if not size.isdigit():
            raise RepositoryError(f"{path!r} is damaged in the repository; run git fsck.", code="damaged")
        return cls(path, blob.decode(), int(size))


class Snapshots(Generic[F]):
    """A cache of checked-out revisions, one directory per sha, shared by processes.

    A directory appears under its final name only when `check_out` has written every file and checked its
    digest. A power failure may still cut files that were not flushed, so each process compares names and
    sizes once before it trusts what it finds, and makes the directory anew when they differ.

    Parameters
    ----------
    directory
        Where the snapshots are kept.
    check_out
        Writes the files of a revision, read-only, below an empty directory.
    """

    def __init__(self, directory: Path, check_out: Callable[[Path, str, Sequence[F]], None]) -> None:
        self._directory = directory
        self._check_out = check_out
        self._trusted: set[str] = set()

    def directory(self, sha: str, listing: Callable[[], tuple[F, ...]]) -> Path:
        """Return the directory of `sha`, made if it is not there."""
        target = self._directory / sha
        if sha in self._trusted and target.is_dir():
            return target
        entries = listing()
        try:
            if not _complete(target, entries):
                self._directory.mkdir(parents=True, exist_ok=True)
                self._sweep()
                self._make(target, sha, entries)
        except OSError as error:
            raise RepositoryError(
                f"The snapshot of {sha} cannot be written: {error}.", code="storage"
            ) from error
        self._trusted.add(sha)
        return target

    def _make(self, target: Path, sha: str, entries: tuple[F, ...]) -> None:
        work = Path(tempfile.mkdtemp(prefix="making-", dir=self._directory))
        try:
            self._check_out(work, sha, entries)
            work.chmod(0o755)
            if target.exists() and not _complete(target, entries):
                target.rename(self._directory / f"making-damaged-{os.getpid()}-{time.time_ns()}")
            try:
                work.rename(target)
            except OSError:
                # Another process was first: its directory is as good as ours.
                if not _complete(target, entries):
                    raise
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _sweep(self) -> None:
        for leftover in self._directory.glob("making-*"):
            if time.time() - leftover.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(leftover, ignore_errors=True)


def check_out(git: Git, work: Path, entries: Sequence[Entry]) -> None:
    """Write every file from git's objects, read-only, and check its digest on the way."""
    with (
        tempfile.TemporaryFile() as names,
        tempfile.TemporaryFile() as errors,
    ):
        names.write("".join(entry.blob + "\n" for entry in entries).encode())
        names.seek(0)
        with subprocess.Popen(
            git.command("cat-file", "--batch"),
            stdin=names,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=git.environment(),
        ) as process:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            for entry in entries:
                header = process.stdout.readline()
                if header.split() != [entry.blob.encode(), b"blob", str(entry.size).encode()]:
                    errors.seek(0)
                    raise failure("cat-file", errors.read() or header)
                _copy(process.stdout, work / entry.path, entry)
                process.stdout.read(1)  # the newline after each object


def _copy(source: IO[bytes], target: Path, entry: Entry) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # git names a blob by this digest; it guards against damage, not against an attacker.
    digest = hashlib.sha1(b"blob %d\0" % entry.size, usedforsecurity=False)
    left = entry.size
    with target.open("xb") as file:
        while left and (chunk := source.read(min(left, _CHUNK))):
            digest.update(chunk)
            file.write(chunk)
            left -= len(chunk)
    if digest.hexdigest() != entry.blob:
        raise RepositoryError(f"{entry.path!r} is damaged in the repository; run git fsck.", code="damaged")
    target.chmod(0o444)


def _complete(directory: Path, entries: Sequence[Listed]) -> bool:
    sizes = {
        os.path.relpath(os.path.join(folder, name), directory): os.lstat(os.path.join(folder, name)).st_size
        for folder, _, names in os.walk(directory)
        for name in names
    }
    return directory.is_dir() and sizes == {entry.path: entry.size for entry in entries}
