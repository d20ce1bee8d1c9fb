"""Checked-out revisions of a local git repository: complete or absent, never half."""

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fraud.errors import RepositoryError
from fraud.repositories.git import Git, failure
from fraud.repositories.paths import check_path

_CHUNK = 1 << 20
_ABANDONED_S = 3600.0


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


class Snapshots:
    """A cache of checked-out revisions, one directory per sha, shared by processes.

    A directory appears under its final name only when every file in it had the digest that git names. A power
    failure may still cut files that were not flushed, so each process compares names and sizes once before it
    trusts what it finds, and makes the directory anew when they differ.
    """

    def __init__(self, directory: Path, git: Git) -> None:
        self._directory = directory
        self._git = git
        self._trusted: set[str] = set()

    def directory(self, sha: str, listing: Callable[[], tuple[Entry, ...]]) -> Path:
        """Return the directory of `sha`, made if it is not there."""
        target = self._directory / sha
        if sha in self._trusted and target.is_dir():
            return target
        entries = listing()
        try:
            if not _complete(target, entries):
                self._directory.mkdir(exist_ok=True)
                self._sweep()
                self._make(target, entries)
        except OSError as error:
            raise RepositoryError(
                f"The snapshot of {sha} cannot be written: {error}.", code="storage"
            ) from error
        self._trusted.add(sha)
        return target

    def _make(self, target: Path, entries: tuple[Entry, ...]) -> None:
        work = Path(tempfile.mkdtemp(prefix="making-", dir=self._directory))
        try:
            self._write(work, entries)
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

    def _write(self, work: Path, entries: tuple[Entry, ...]) -> None:
        with (
            tempfile.TemporaryFile() as names,
            tempfile.TemporaryFile() as errors,
        ):
            names.write("".join(entry.blob + "\n" for entry in entries).encode())
            names.seek(0)
            with subprocess.Popen(
                self._git.command("cat-file", "--batch"),
                stdin=names,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=self._git.environment(),
            ) as process:
                assert process.stdout is not None  # noqa: S101 - it is a pipe
                for entry in entries:
                    header = process.stdout.readline()
                    if header.split() != [entry.blob.encode(), b"blob", str(entry.size).encode()]:
                        errors.seek(0)
                        raise failure("cat-file", errors.read() or header)
                    _copy(process.stdout, work / entry.path, entry)
                    process.stdout.read(1)  # the newline after each object

    def _sweep(self) -> None:
        for leftover in self._directory.glob("making-*"):
            if time.time() - leftover.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(leftover, ignore_errors=True)


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


def _complete(directory: Path, entries: tuple[Entry, ...]) -> bool:
    sizes = {
        os.path.relpath(os.path.join(folder, name), directory): os.lstat(os.path.join(folder, name)).st_size
        for folder, _, names in os.walk(directory)
        for name in names
    }
    return directory.is_dir() and sizes == {entry.path: entry.size for entry in entries}
