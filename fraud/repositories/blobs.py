"""Contents fetched from a remote repository, kept by digest: what did not change is never fetched again."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from fraud.errors import RepositoryError
from fraud.repositories.paths import check_path

_WORKERS = 8
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a revision. `digest` is git's (sha1 of a blob), or the sha256 of a large file."""

    path: str
    size: int
    digest: str
    large: bool


class Hash(Protocol):
    """The part of hashlib's objects that is used here."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""
        ...

    def hexdigest(self) -> str:
        """Return the digest so far."""
        ...


def hasher(size: int, large: bool) -> Hash:
    """Return the hash that names a file of this size in the repository."""
    if large:
        return hashlib.sha256()
    return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)  # git's own name for a blob


def matches(file: RemoteFile, content: bytes | Path) -> bool:
    """Return whether `content` is what `file` holds; OSError if it cannot be read."""
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    if size != file.size:
        return False
    digest = hasher(size, file.large)
    if isinstance(content, bytes):
        digest.update(content)
    else:
        with content.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest() == file.digest


class Blobs:
    """A directory of verified contents and of listings, both immutable, shared by processes.

    Parameters
    ----------
    directory
        Deleting it is always safe while nothing reads there.
    fetch
        Writes the bytes of a file at a revision (a full sha) to a stream.
    """

    def __init__(self, directory: Path, fetch: Callable[[str, RemoteFile, IO[bytes]], None]) -> None:
        self._directory = directory
        self._fetch = fetch

    def content(self, sha: str, file: RemoteFile) -> Path:
        """Return a read-only file with the content, fetched if it is not here; RepositoryError if damaged."""
        target = self._directory / "blobs" / file.digest[:2] / file.digest
        try:
            if target.stat().st_size == file.size:
                return target
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
        self._write(target, lambda stream: self._fetch_checked(sha, file, stream))
        return target

    def check_out(self, work: Path, sha: str, files: Sequence[RemoteFile]) -> None:
        """Write every file below `work`, read-only; links, so that a revision costs only what changed."""
        with ThreadPoolExecutor(_WORKERS) as pool:
            contents = pool.map(lambda file: self.content(sha, file), files)
            for file, content in zip(files, contents, strict=True):
                target = work / file.path
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    target.hardlink_to(content)
                except OSError:  # a file system without links
                    shutil.copyfile(content, target)
                    target.chmod(0o444)

    def listing(self, sha: str) -> tuple[RemoteFile, ...] | None:
        """Return the files of a revision if they were listed before."""
        try:
            entries = json.loads((self._directory / "trees" / f"{sha}.json").read_bytes())
            return tuple(RemoteFile(**entry) for entry in entries)
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def keep_listing(self, sha: str, files: Sequence[RemoteFile]) -> None:
        """Remember the files of a revision."""
        target = self._directory / "trees" / f"{sha}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps([asdict(file) for file in files], separators=(",", ":"))
        self._write(target, lambda stream: stream.write(text.encode()))

    def _fetch_checked(self, sha: str, file: RemoteFile, stream: IO[bytes]) -> None:
        self._fetch(sha, file, stream)
        stream.flush()
        if not matches(file, Path(stream.name)):
            raise RepositoryError(
                f"{file.path!r} at {sha} did not arrive as it is in the repository.", code="damaged"
            )

    def _write(self, target: Path, write: Callable[[IO[bytes]], object]) -> None:
        descriptor, name = tempfile.mkstemp(prefix=".making-", dir=target.parent)
        os.close(descriptor)
        try:
            with open(name, "wb") as stream:
                write(stream)
                stream.flush()
                # A name must never come before its bytes: contents are trusted by their name and size.
                os.fsync(stream.fileno())
                os.fchmod(stream.fileno(), 0o444)
            os.replace(name, target)
        finally:
            Path(name).unlink(missing_ok=True)


def parse_listing(items: Sequence[Any]) -> tuple[RemoteFile, ...]:
    """Return the files among the entries of a remote listing; RepositoryError if a path is unsafe."""
    files = []
    for item in items:
        if item["type"] != "file":
            continue
        large = item.get("lfs")
        digest = large["oid"] if large else item["oid"]
        if not digest.isalnum():
            raise RepositoryError("The repository's listing holds a digest that is none.", code="damaged")
        size = large["size"] if large else item["size"]
        files.append(RemoteFile(check_path(item["path"]), int(size), digest, bool(large)))
    return tuple(files)
