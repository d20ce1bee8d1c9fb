"""A versioned repository on this machine's disk: a bare git repository, written with plumbing commands."""

import contextlib
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from fraud.durable import exclusive, sync_directory
from fraud.errors import NotFound, RepositoryError, StaleParent
from fraud.repositories.git import Git
from fraud.repositories.paths import check_operations, check_path, check_tag
from fraud.repositories.port import Add, Commit, Delete, Operation, VersionedRepository
from fraud.repositories.snapshots import Entry, Snapshots, check_out

_BRANCH = "refs/heads/main"
_NO_REVISION = "0" * 40
_CLOCK_SLACK_S = 0.1  # file times come from a coarser clock than time.time()
_SHA = re.compile(r"[0-9a-f]{40}")
_PREFIX = re.compile(r"[0-9a-f]{4,40}")


class LocalRepository(VersionedRepository):
    """A `VersionedRepository` in one directory; any git client can clone it.

    Parameters
    ----------
    directory
        The bare repository; created by the first commit.
    lock_timeout_s
        How long a writer waits for another one.
    """

    def __init__(self, directory: Path, lock_timeout_s: float = 60.0) -> None:
        self._directory = directory.absolute()
        self._lock_timeout_s = lock_timeout_s
        self._git = Git(self._directory)
        self._snapshots: Snapshots[Entry] = Snapshots(
            self._directory / "snapshots", lambda work, _, entries: check_out(self._git, work, entries)
        )
        self._prepared = False

    def head(self) -> str | None:
        """Return the newest revision, or None before the first commit; two small reads, no process."""
        return self._ref(_BRANCH)

    def commit(self, operations: Sequence[Operation], message: str, parent: str | None) -> str:
        """Apply all operations or none on top of `parent`; return the new revision once it is durable.

        Operations that change nothing make no commit and return `parent`.
        """
        check_operations(operations)
        with self._writing() as lock:
            self._require_head(parent)
            started = time.time()
            tree = self._write_tree(operations, parent, lock)
            if parent is not None and tree == self._git.line("rev-parse", f"{parent}^{{tree}}"):
                return parent
            if parent is None and not operations:
                raise RepositoryError("The first commit needs at least one file.", code="empty_commit")
            above = ("-p", parent) if parent else ()
            text = message.encode("utf-8", "backslashreplace").replace(b"\0", b"")
            revision = self._git.line("commit-tree", tree, *above, "-F", "-", stdin=text, lock=lock)
            self._sync_objects(started)
            self._move_branch(revision, parent, lock)
            return revision

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Hold a place in the queue of the writers on this disk; it passes on however its holder dies.

        Whoever is next holds the gate while waiting for the turn, so nobody who has just had one comes past:
        a lock that is only polled goes to whoever asks most often.
        """
        mine = contextlib.ExitStack()
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            with exclusive(self._directory / "turn-gate.mutex", self._lock_timeout_s):
                mine.enter_context(exclusive(self._directory / "turn.mutex", self._lock_timeout_s))
        except TimeoutError as error:
            raise RepositoryError(
                f"Another writer of {self._directory} has had its turn for too long; try again later.",
                code="contended",
            ) from error
        except OSError as error:
            raise RepositoryError(f"{self._directory} cannot be written: {error}.", code="storage") from error
        with mine:
            yield

    def snapshot(self, revision: str) -> Path:
        """Return a read-only directory with exactly the files of `revision` (sha or tag), cached by sha."""
        sha = self.resolve(revision)
        return self._snapshots.directory(sha, lambda: self._entries(sha))

    def files(self, revision: str) -> tuple[str, ...]:
        """Return the paths at `revision`, sorted."""
        return tuple(sorted(self._paths(self.resolve(revision))))

    def read(self, path: str, revision: str) -> bytes:
        """Return one file's bytes at `revision`; NotFound if either does not exist."""
        sha = self.resolve(revision)
        missing = NotFound(f"There is no file {path!r} at revision {revision}.", code="no_file", field="path")
        try:
            check_path(path)
        except RepositoryError:
            raise missing from None
        found = self._git.run("ls-tree", "-z", sha, "--", path).stdout
        meta, _, _ = found.partition(b"\t")
        if not found or meta.split()[1] != b"blob":
            raise missing
        return self._git.run("cat-file", "blob", meta.split()[2].decode()).stdout

    def tag(self, name: str, revision: str) -> None:
        """Name a revision; again on the same revision is fine, on another it is a RepositoryError."""
        check_tag(name)
        sha = self.resolve(revision)
        with self._writing() as lock:
            current = self.tags().get(name)
            if current == sha:
                return
            if current is not None:
                raise RepositoryError(
                    f"The tag {name} already names revision {current}.", code="tag_taken", field="name"
                )
            self._git.run("update-ref", f"refs/tags/{name}", sha, _NO_REVISION, lock=lock)
            sync_directory(self._directory / "refs" / "tags")

    def tags(self) -> dict[str, str]:
        """Return every tag and the revision it names."""
        if self.head() is None:
            return {}
        # The second sha is the commit behind a tag object, should somebody have pushed an annotated tag.
        form = "--format=%(refname:strip=2) %(objectname) %(*objectname)"
        lines = self._git.run("for-each-ref", form, "refs/tags").stdout.decode().splitlines()
        return {words[0]: words[-1] for words in (line.split() for line in lines)}

    def resolve(self, name: str) -> str:
        """Return the full sha for a tag, a full sha or an unambiguous prefix of one; NotFound otherwise."""
        head = self.head()
        if head is not None and name == head:
            return head
        sha = None if _SHA.fullmatch(name) else self.tags().get(name)
        if sha is None and head is not None and _PREFIX.fullmatch(name):
            found = self._git.run(
                "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", accept=(0, 1, 128)
            )
            sha = found.stdout.decode().strip() or None
            # A commit that lost its race, or whose writer was killed, exists but was never in the history.
            if sha and self._git.run("merge-base", "--is-ancestor", sha, head, accept=(0, 1)).returncode:
                sha = None
        if sha is None:
            raise NotFound(f"There is no revision or tag {name!r}.", code="no_revision", field="revision")
        return sha

    def history(self, limit: int | None = None) -> tuple[Commit, ...]:
        """Return commits from the newest to the oldest."""
        head = self.head()
        if head is None:
            return ()
        count = () if limit is None else (f"--max-count={max(limit, 0)}",)
        output = self._git.run("log", "-z", "--first-parent", "--format=%H %ct %B", *count, head).stdout
        return tuple(_commit(entry) for entry in output.decode(errors="replace").split("\0") if entry)

    def _ref(self, name: str) -> str | None:
        # git writes the packed file before it removes the loose one, so the second look at the loose one
        # is only for a ref that was packed and rewritten between the first two reads.
        try:
            for _ in range(2):
                loose = _read(self._directory / name)
                if loose is not None:
                    return self._sha(loose.strip(), name)
                for line in (_read(self._directory / "packed-refs") or "").splitlines():
                    if line.endswith(" " + name):
                        return self._sha(line[:40], name)
        except OSError as error:
            raise RepositoryError(f"{self._directory} cannot be read: {error}.", code="storage") from error
        if (self._directory / ".git").exists():  # put back from a backup: a new history must not begin in it
            raise RepositoryError(
                f"{self._directory} has a working tree; put back a bare repository (git clone --mirror).",
                code="not_bare",
            )
        return None

    def _sha(self, text: str, name: str) -> str:
        if not _SHA.fullmatch(text):
            raise RepositoryError(f"{name} in {self._directory} is damaged; run git fsck.", code="damaged")
        return text

    def _paths(self, sha: str) -> set[str]:
        output = self._git.run("ls-tree", "-r", "-z", "--name-only", sha).stdout
        return {path.decode("utf-8", "surrogateescape") for path in output.split(b"\0") if path}

    def _entries(self, sha: str) -> tuple[Entry, ...]:
        output = self._git.run("ls-tree", "-r", "-z", "-l", sha).stdout
        return tuple(Entry.parse(line) for line in output.split(b"\0") if line)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[int]:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            with exclusive(self._directory / "write.mutex", self._lock_timeout_s) as lock:
                self._prepare(lock)
                yield lock
        except OSError as error:
            raise RepositoryError(f"{self._directory} cannot be written: {error}.", code="storage") from error

    def _prepare(self, lock: int) -> None:
        # Every writer of ours holds the lock, and so do the git processes of a writer that was killed. What
        # is called *.lock here was therefore left by a SIGKILL, and would block git for ever.
        for pattern in ("*.lock", "refs/**/*.lock"):
            for stale in self._directory.glob(pattern):
                stale.unlink(missing_ok=True)
        if self._prepared and (self._directory / "HEAD").exists():
            return
        self._git.run("init", "--quiet", "--bare", "--template=", "--initial-branch=main", lock=lock)
        for name in ("refs/tags", "refs/heads"):
            (self._directory / name).mkdir(parents=True, exist_ok=True)
        for leftover in self._directory.glob("objects/*/tmp_*"):
            leftover.unlink(missing_ok=True)
        for folder in self._directory.glob("index-*"):
            shutil.rmtree(folder, ignore_errors=True)
        sync_directory(self._directory.parent)
        sync_directory(self._directory)
        self._prepared = True

    def _require_head(self, parent: str | None) -> None:
        head = self.head()
        if head != parent:
            raise StaleParent(
                f"The head is {head or 'still empty'}, not {parent or 'empty'}; read it again and retry.",
                code="stale_parent",
                field="parent",
            )

    def _write_tree(self, operations: Sequence[Operation], parent: str | None, lock: int) -> str:
        deleted = [operation.path for operation in operations if isinstance(operation, Delete)]
        if deleted:
            present = self._paths(parent) if parent else set()
            for path in deleted:
                if path not in present:
                    raise RepositoryError(
                        f"There is no file {path!r} to delete.", code="no_file", field="path"
                    )
        # Deletions first, so that a file can make way for a folder of the same name.
        lines = [b"0 " + _NO_REVISION.encode() + b"\t" + path.encode() for path in deleted]
        for operation in operations:
            if isinstance(operation, Add):
                blob = self._write_blob(operation.content, lock)
                lines.append(b"100644 " + blob.encode() + b"\t" + operation.path.encode())
        with tempfile.TemporaryDirectory(
            prefix="index-", dir=self._directory, ignore_cleanup_errors=True
        ) as folder:
            index = Path(folder) / "index"
            self._git.run("read-tree", parent or "--empty", index=index, lock=lock)
            entries = b"".join(line + b"\0" for line in lines)
            self._git.run("update-index", "-z", "--index-info", stdin=entries, index=index, lock=lock)
            return self._git.line("write-tree", index=index, lock=lock)

    def _write_blob(self, content: bytes | Path, lock: int) -> str:
        arguments = ("hash-object", "-w", "--no-filters", "--stdin")
        if isinstance(content, bytes):
            return self._git.line(*arguments, stdin=content, lock=lock)
        with content.open("rb") as file:
            return self._git.line(*arguments, stdin=file, lock=lock)

    def _sync_objects(self, started: float) -> None:
        # git flushes the objects but not the folders that name them.
        objects = self._directory / "objects"
        for folder in objects.iterdir():
            if folder.is_dir() and folder.stat().st_mtime >= started - _CLOCK_SLACK_S:
                sync_directory(folder)
        sync_directory(objects)

    def _move_branch(self, revision: str, parent: str | None, lock: int) -> None:
        try:
            self._git.run("update-ref", _BRANCH, revision, parent or _NO_REVISION, lock=lock)
        except RepositoryError:
            self._require_head(parent)  # somebody pushed with a git client, past our lock
            raise
        sync_directory(self._directory / "refs" / "heads")


def _read(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "replace")
    except (FileNotFoundError, NotADirectoryError):
        return None


def _commit(entry: str) -> Commit:
    revision, seconds, message = entry.split(" ", 2)
    return Commit(revision, message.strip(), datetime.fromtimestamp(int(seconds), UTC))
