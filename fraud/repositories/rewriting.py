"""Rewriting the past of a local repository: what is taken out is in no object of it afterwards."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fraud.durable import exclusive, sync_directory
from fraud.errors import NotFound, RepositoryError
from fraud.repositories.git import Git

_BRANCH = "refs/heads/main"


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What became of each revision that changed, old sha -> new sha, oldest first, and the tags moved."""

    revisions: Mapping[str, str]
    tags: tuple[str, ...]


class Past:
    """Every revision of one bare repository, to be read and made anew.

    Parameters
    ----------
    directory : the bare repository
    lock_timeout_s : how long to wait for a writer
    """

    def __init__(self, directory: Path, lock_timeout_s: float = 60.0) -> None:
        self._directory = directory.absolute()
        self._lock_timeout_s = lock_timeout_s
        self._git = Git(self._directory)

    def revisions(self) -> tuple[str, ...]:
        """Return every revision, oldest first; NotFound if there is no repository."""
        if not (self._directory / "HEAD").exists():
            raise NotFound(f"There is no repository at {self._directory}.", code="no_dataset")
        return tuple(self._git.line("rev-list", "--first-parent", "--reverse", _BRANCH).splitlines())

    def files(self, revision: str) -> dict[str, str]:
        """Return the object of each file at a revision."""
        output = self._git.run("ls-tree", "-r", "-z", revision).stdout
        entries = (line.partition(b"\t") for line in output.split(b"\0") if line)
        return {
            path.decode("utf-8", "surrogateescape"): meta.split()[2].decode() for meta, _, path in entries
        }

    def read(self, blob: str) -> bytes:
        """Return the bytes of one object."""
        return self._git.run("cat-file", "blob", blob).stdout

    def rewrite(self, change: Callable[[Mapping[str, str]], Mapping[str, bytes]]) -> Rewrite:
        """Make every revision anew with its changes, move the branch and the tags, prune what was before.

        Messages and dates stay; a revision gets another sha if it, or one before it, changes. A crash before
        the names have moved leaves everything as it was; after a later one, the next rewrite prunes.

        Parameters
        ----------
        change : takes the files of one revision and their objects, returns new contents by path

        Raises
        ------
        RepositoryError
            git failed, or another writer is at work.
        """
        with self._locked() as lock:
            revisions = self.revisions()
            renamed: dict[str, str] = {}
            parent = ""
            for sha in revisions:
                self._rewrite_one(sha, parent, change(self.files(sha)), renamed, lock)
                parent = sha
            tags = {name: sha for name, sha in self._tags().items() if sha in renamed}
            # All names at once: no reader finds a tag on a revision that the branch has no longer.
            moves = [f"update {_BRANCH} {renamed.get(parent, parent)} {parent}\n"]
            moves += [f"update refs/tags/{name} {renamed[sha]}\n" for name, sha in tags.items()]
            self._git.run("update-ref", "--stdin", stdin="".join(moves).encode(), lock=lock)
            self._prune(lock)
        return Rewrite(renamed, tuple(sorted(tags)))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        try:
            with exclusive(self._directory / "write.mutex", self._lock_timeout_s) as lock:
                yield lock
        except OSError as error:
            raise RepositoryError(f"{self._directory} cannot be written: {error}.", code="storage") from error

    def _rewrite_one(
        self, sha: str, parent: str, changes: Mapping[str, bytes], renamed: dict[str, str], lock: int
    ) -> None:
        if not changes and parent not in renamed:
            return
        headers, _, message = self._git.run("cat-file", "commit", sha).stdout.partition(b"\n\n")
        first_parent = b"parent " + parent.encode()
        lines = [
            line.replace(parent.encode(), renamed.get(parent, parent).encode())
            if parent and line == first_parent
            else line
            for line in headers.split(b"\n")[1:]
        ]
        tree = self._tree(sha, changes, lock)
        content = b"\n".join([b"tree " + tree.encode(), *lines]) + b"\n\n" + message
        arguments = ("hash-object", "-t", "commit", "-w", "--stdin")
        renamed[sha] = self._git.line(*arguments, stdin=content, lock=lock)

    def _tree(self, sha: str, changes: Mapping[str, bytes], lock: int) -> str:
        entries = b""
        for path, content in changes.items():
            arguments = ("hash-object", "-w", "--no-filters", "--stdin")
            blob = self._git.line(*arguments, stdin=content, lock=lock)
            entries += b"100644 " + blob.encode() + b"\t" + path.encode() + b"\0"
        folder = self._directory / f"index-{os.getpid()}"
        folder.mkdir(exist_ok=True)
        try:
            index = folder / "index"
            self._git.run("read-tree", sha, index=index, lock=lock)
            self._git.run("update-index", "-z", "--index-info", stdin=entries, index=index, lock=lock)
            return self._git.line("write-tree", index=index, lock=lock)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _tags(self) -> dict[str, str]:
        form = "--format=%(refname:strip=2) %(objectname) %(*objectname)"
        lines = self._git.run("for-each-ref", form, "refs/tags").stdout.decode().splitlines()
        return {words[0]: words[-1] for words in (line.split() for line in lines)}

    def _prune(self, lock: int) -> None:
        self._git.run("reflog", "expire", "--expire=now", "--all", lock=lock)
        self._git.run("repack", "-a", "-d", "-q", lock=lock)
        self._git.run("prune", "--expire=now", lock=lock)
        # Checked-out revisions are copies of what has just been taken out.
        shutil.rmtree(self._directory / "snapshots", ignore_errors=True)
        sync_directory(self._directory)
