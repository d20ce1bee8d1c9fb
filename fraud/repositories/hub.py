"""A versioned repository on a Hugging Face Hub.

What the Hub adds by itself stays out of sight: the first commit that it makes with each repository, and
`.gitattributes` at the root, where it notes which files are stored as large ones. A repository that holds
nothing else (a Space: and the README that the Hub wrote) is empty, as one that does not exist.
"""

import re
import secrets
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO, TypeVar

from fraud.errors import FraudError, NotFound, RepositoryError, StaleParent
from fraud.repositories.blobs import Blobs, RemoteFile, matches, parse_listing
from fraud.repositories.hub_client import HubClient, Prepared, RepoType, stale_parent
from fraud.repositories.paths import check_operations, check_tag
from fraud.repositories.port import Add, Commit, Operation, VersionedRepository
from fraud.repositories.retries import Retries, RetryPolicy, Transient
from fraud.repositories.snapshots import Snapshots

T = TypeVar("T")
_HUBS_OWN = ".gitattributes"
_LISTINGS = 4
_SHA = re.compile(r"[0-9a-f]{40}")
_PREFIX = re.compile(r"[0-9a-f]{4,40}")
_MARK = re.compile(r"\n*Commit-Token: [0-9a-f]{32}\s*\Z")


class HubRepository(VersionedRepository):
    """A `VersionedRepository` on a Hub; created, private unless said otherwise, by the first commit.

    Parameters
    ----------
    repo_id
        "ORG/NAME".
    repo_type
        "dataset", "model" or "space".
    token
        What the Hub knows us by; sent as a header to the Hub, and nowhere else.
    cache
        A directory for what was read; deleting it is safe while nothing reads there.
    endpoint
        The Hub's address; None takes the client library's default.
    retries
        Patience with a Hub that is slow, busy or away.
    """

    def __init__(
        self,
        repo_id: str,
        repo_type: RepoType,
        *,
        token: str | None,
        cache: Path,
        endpoint: str | None = None,
        private: bool = True,
        retries: Retries | None = None,
    ) -> None:
        self._name = repo_id
        self._private = private
        self._blank_files = {_HUBS_OWN, "README.md"} if repo_type == "space" else {_HUBS_OWN}
        patience = retries or Retries(RetryPolicy(), f"The Hub repository {repo_id}")
        self._client = HubClient(repo_id, repo_type, token, endpoint, patience)
        directory = cache.absolute() / f"{repo_type}--{repo_id.replace('/', '--')}"
        self._blobs = Blobs(directory, self._fetch)
        self._snapshots: Snapshots[RemoteFile] = Snapshots(directory / "snapshots", self._blobs.check_out)
        self._known: set[str] = set()  # revisions that are in the history and not the Hub's own
        self._listings: dict[str, tuple[RemoteFile, ...]] = {}
        self._blank: str | None = None  # the Hub's own first commit, once seen

    def __repr__(self) -> str:
        return f"HubRepository({self._name!r})"

    def head(self) -> str | None:
        """Return the newest revision, or None before the first commit; one small request."""

        def look() -> str | None:
            tip, _ = self._client.refs()
            # Once anything was committed the tip cannot be the Hub's own first commit.
            if tip is None or (not self._known and self._is_blank(tip)):
                return None
            self._known.add(tip)
            return tip

        return self._client.run(look)

    def commit(self, operations: Sequence[Operation], message: str, parent: str | None) -> str:
        """Apply all operations or none on top of `parent`; return the new revision once it is durable.

        Operations that change nothing make no commit and return `parent`. A commit that took effect although
        its answer was lost is found by the mark in its message, and not made again.
        """
        check_operations(operations)
        if parent is None and self.head() is not None:
            raise stale_parent()
        changes = _changes(operations, self._files_at(parent))
        if not changes:
            if parent is None:
                raise RepositoryError("The first commit needs at least one file.", code="empty_commit")
            if self.head() != parent:
                raise stale_parent()
            return parent
        prepared = Prepared(changes)
        try:
            revision = self._land(prepared, message, parent or self._create())
        except NotFound:
            raise stale_parent() from None  # the repository, or the parent, is gone
        self._known.add(revision)
        return revision

    def pending(self, operations: Sequence[Operation], revision: str | None) -> list[Operation]:
        """Return those of the operations that would change something at a full sha, without doing any."""
        check_operations(operations)
        return _changes(operations, self._files_at(revision))

    def turn(self) -> AbstractContextManager[None]:
        """Return at once: writers on other machines cannot queue here, and meet in `commit`."""
        return nullcontext()

    def snapshot(self, revision: str) -> Path:
        """Return a read-only directory with exactly the files of `revision` (sha or tag), cached by sha."""
        sha = self.resolve(revision)

        def listing() -> tuple[RemoteFile, ...]:
            files = self._tree(sha)
            if self._blobs.listing(sha) is None:  # so that the snapshot can be used without the Hub
                self._stored(lambda: self._blobs.keep_listing(sha, files))
            return self._visible(sha)

        return self._snapshots.directory(sha, listing)

    def files(self, revision: str) -> tuple[str, ...]:
        """Return the paths at `revision`, sorted."""
        return tuple(sorted(file.path for file in self._visible(self.resolve(revision))))

    def read(self, path: str, revision: str) -> bytes:
        """Return one file's bytes at `revision`; NotFound if either does not exist."""
        sha = self.resolve(revision)
        for file in self._tree(sha):
            if file.path == path:
                return self._stored(lambda: self._blobs.content(sha, file).read_bytes())  # noqa: B023
        raise NotFound(f"There is no file {path!r} at revision {revision}.", code="no_file", field="path")

    def tag(self, name: str, revision: str) -> None:
        """Name a revision; again on the same revision is fine, on another it is a RepositoryError."""
        check_tag(name)
        sha = self.resolve(revision)

        def set_tag() -> None:
            # Looked at before every attempt: one whose answer was lost may have set it.
            current = self._client.refs()[1].get(name)
            if current is None:
                self._client.tag(name, sha)
            elif current != sha:
                raise RepositoryError(
                    f"The tag {name} already names revision {current}.", code="tag_taken", field="name"
                )

        self._client.run(set_tag)

    def tags(self) -> dict[str, str]:
        """Return every tag and the revision it names."""
        return self._client.run(self._client.refs)[1]

    def resolve(self, name: str) -> str:
        """Return the full sha for a tag, a full sha or an unambiguous prefix of one; NotFound otherwise."""
        if name in self._known:
            return name
        if _SHA.fullmatch(name):
            sha = self._full(name)
        else:
            sha = self.tags().get(name)
            if sha is None and _PREFIX.fullmatch(name):
                shas = [commit.revision for commit in self.history()]
                found = [revision for revision in shas if revision.startswith(name)]
                sha = found[0] if len(found) == 1 else None
        if sha is None or self._is_blank(sha):
            raise NotFound(f"There is no revision or tag {name!r}.", code="no_revision", field="revision")
        self._known.add(sha)
        return sha

    def history(self, limit: int | None = None) -> tuple[Commit, ...]:
        """Return commits from the newest to the oldest."""
        head = self.head()
        if head is None or (limit is not None and limit <= 0):
            return ()
        # One more than asked for: only if that is not there, the last is the oldest, and maybe the Hub's own.
        items = [*islice(self._client.commits(head), None if limit is None else limit + 1)]
        commits = self._client.run(lambda: [_commit(item) for item in items])
        if (limit is None or len(commits) <= limit) and self._is_blank(commits[-1].revision):
            commits.pop()
        return tuple(commits[:limit])

    def _land(self, prepared: Prepared, message: str, base: str) -> str:
        """Commit until it is known to have happened, or known not to."""
        mark = f"Commit-Token: {secrets.token_hex(16)}"
        text = message.encode("utf-8", "backslashreplace").decode().replace("\0", "")
        title, _, rest = text.strip().partition("\n")
        description = f"{rest.strip()}\n\n{mark}".strip()
        lost = False

        def attempt() -> str:
            nonlocal lost
            # Also after a 412: an attempt that seemed lost may take effect between the look and the next one.
            landed = self._landed(mark, base) if lost else None
            try:
                return landed or self._client.commit(prepared, title or "Commit", description, base)
            except StaleParent:
                landed = self._landed(mark, base, or_stale=False) if lost else None
                if landed is None:
                    raise
                return landed
            except Transient as trouble:
                lost = lost or trouble.maybe_done
                raise

        try:
            return self._client.run(attempt)
        except StaleParent:
            raise
        except RepositoryError as error:
            landed = self._last_look(mark, base) if lost else None
            if landed is None:
                raise error from None
            return landed

    def _landed(self, mark: str, base: str, or_stale: bool = True) -> str | None:
        """Return the revision above `base` with this mark; None if the head is `base` still."""
        tip, _ = self._client.refs()
        if tip is None or tip == base:
            return None
        for item in self._client.commits(tip):
            if item["id"] == base:
                break
            if mark in item["message"]:
                return str(item["id"])
        if or_stale:
            raise stale_parent()
        return None

    def _last_look(self, mark: str, base: str) -> str | None:
        try:
            return self._client.run(lambda: self._landed(mark, base, or_stale=False))
        except FraudError:
            return None  # still out of reach: whoever called looks again before it commits again

    def _create(self) -> str:
        """Create the repository if need be; return what its first commit of ours stands on."""

        def create() -> str:
            tip, _ = self._client.refs()
            if tip is None:
                self._client.create(self._private)
                tip, _ = self._client.refs()
            if tip is None:
                raise RepositoryError(f"The Hub made {self._name} without a first commit.", code="hub")
            if not self._is_blank(tip):
                raise stale_parent()
            return tip

        return self._client.run(create)

    def _full(self, sha: str) -> str | None:
        if self._blobs.listing(sha) is not None:
            return sha  # seen before, perhaps by another process: good without the Hub too
        try:
            return self._client.run(lambda: self._client.sha(sha))
        except NotFound:
            return None

    def _is_blank(self, sha: str) -> bool:
        """Return whether a revision is the Hub's own first commit: no parent, and no file but the Hub's."""
        if self._blank is None and sha not in self._known:
            names = {file.path for file in self._tree(sha)}
            if names <= self._blank_files and len([*islice(self._client.commits(sha), 2)]) == 1:
                self._blank = sha
        return sha == self._blank

    def _files_at(self, parent: str | None) -> dict[str, RemoteFile]:
        try:
            return {} if parent is None else {file.path: file for file in self._tree(parent)}
        except NotFound:
            raise stale_parent() from None

    def _tree(self, sha: str) -> tuple[RemoteFile, ...]:
        files = self._listings.get(sha) or self._blobs.listing(sha)
        if files is None:
            entries = [*self._client.tree(sha)]
            files = self._client.run(lambda: parse_listing(entries))
        # Only the newest few, and in memory: every head of a growing dataset has a listing of its own.
        self._listings[sha] = files
        for oldest in list(self._listings)[:-_LISTINGS]:
            self._listings.pop(oldest, None)
        return files

    def _visible(self, sha: str) -> tuple[RemoteFile, ...]:
        return tuple(file for file in self._tree(sha) if file.path != _HUBS_OWN)

    def _fetch(self, sha: str, file: RemoteFile, stream: IO[bytes]) -> None:
        self._client.run(lambda: self._client.download(sha, file, stream))

    def _stored(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except OSError as error:
            raise RepositoryError(
                f"The cache of {self._name} cannot be used: {error}.", code="storage"
            ) from error


def _changes(operations: Sequence[Operation], present: dict[str, RemoteFile]) -> list[Operation]:
    """Return the operations that change something; RepositoryError if one is impossible."""
    changes: list[Operation] = []
    left = set(present)
    for operation in operations:
        if isinstance(operation, Add):
            try:
                known = present.get(operation.path)
                if known is None or not matches(known, operation.content):
                    changes.append(operation)
            except OSError as error:
                raise RepositoryError(
                    f"{operation.path!r} cannot be read: {error}.", code="storage"
                ) from error
        elif operation.path in left - {_HUBS_OWN}:
            left.remove(operation.path)
            changes.append(operation)
        else:
            raise RepositoryError(
                f"There is no file {operation.path!r} to delete.", code="no_file", field="path"
            )
    left |= {operation.path for operation in operations if isinstance(operation, Add)}
    for path in left:
        folders = path.split("/")[:-1]
        if any("/".join(folders[: depth + 1]) in left for depth in range(len(folders))):
            raise RepositoryError(f"{path!r} would lie in a file.", code="unsafe_path", field="path")
    return changes


def _commit(item: dict[str, str]) -> Commit:
    message = _MARK.sub("", f"{item['title']}\n\n{item['message']}").strip()
    return Commit(item["id"], message, datetime.fromisoformat(item["date"]))
