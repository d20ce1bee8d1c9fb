"""What the loopback Hub remembers: content-addressed files, chains of commits, branches and tags."""

import fnmatch
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

GITATTRIBUTES = b"*.bin filter=lfs diff=lfs merge=lfs -text\n*.parquet filter=lfs diff=lfs merge=lfs -text\n"


class Refused(Exception):
    """An answer other than success."""

    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True)
class Stored:
    """One file of a tree; `lfs` is the sha256 of a large file's content."""

    oid: str
    size: int
    lfs: str | None = None


@dataclass(frozen=True)
class Committed:
    sha: str
    parent: str | None
    title: str
    message: str
    date: str
    tree: Mapping[str, Stored]


def git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def pointer(sha256: str, size: int) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


@dataclass
class Repo:
    """One repository. Like the Hub's, it begins with a commit that nobody asked for."""

    private: bool
    lfs_threshold: int
    commits: dict[str, Committed] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    host: str | None = None
    secrets: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    def begin(self, space: str | None = None) -> None:
        """Make the first commit; a Space's holds a README too, and it has an address."""
        files = {".gitattributes": GITATTRIBUTES}
        if space is not None:
            files["README.md"] = f"---\ntitle: {space}\nsdk: gradio\n---\n".encode()
            self.host = f"https://{space.replace('/', '-').lower()}.hf.space"
        self.blobs |= {git_oid(content): content for content in files.values()}
        tree = {path: Stored(git_oid(content), len(content)) for path, content in files.items()}
        self._add("main", "initial commit", "", tree)

    def revision(self, name: str) -> Committed:
        sha = self.branches.get(name) or self.tags.get(name) or name
        if sha not in self.commits:
            raise Refused(404, "RevisionNotFound", f"Invalid rev id: {name}")
        return self.commits[sha]

    def chain(self, name: str) -> list[Committed]:
        found, sha = [], self.revision(name).sha
        while sha is not None:
            found.append(self.commits[sha])
            sha = self.commits[sha].parent
        return found

    def file(self, revision: str, path: str) -> Stored:
        stored = self.revision(revision).tree.get(path)
        if stored is None:
            raise Refused(404, "EntryNotFound", "Entry not found")
        return stored

    def content(self, stored: Stored) -> bytes:
        return self.large[stored.lfs] if stored.lfs else self.blobs[stored.oid]

    def preupload(self, revision: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        tree = self.revision(revision).tree
        ignored = body.get("gitIgnore")
        if ignored is None:
            kept = tree.get(".gitignore")
            ignored = self.content(kept).decode() if kept else ""
        answers = []
        for file in body["files"]:
            path, old = file["path"], tree.get(file["path"])
            large = file["size"] >= self.lfs_threshold or path.endswith((".bin", ".parquet"))
            answers.append(
                {
                    "path": path,
                    "uploadMode": "lfs" if large else "regular",
                    "shouldIgnore": any(fnmatch.fnmatch(path, p) for p in ignored.split() if p),
                    "oid": None if old is None else old.lfs or old.oid,
                }
            )
        return answers

    def commit(self, branch: str, header: Mapping[str, Any], lines: Iterable[tuple[str, Any]]) -> str:
        head = self.branches.get(branch)
        expected = header.get("parentCommit")
        if expected is not None and expected != head:
            raise Refused(412, "", "A commit has happened since. Please refresh and try again.")
        tree = dict(self.commits[head].tree) if head else {}
        for key, value in lines:
            path = value["path"]
            if key == "deletedFile":
                if tree.pop(path, None) is None:
                    raise Refused(404, "EntryNotFound", "A file with this name doesn't exist")
            elif key == "lfsFile":
                if value["oid"] not in self.large:
                    raise Refused(400, "", "LFS object was never uploaded")
                content = pointer(value["oid"], value["size"])
                tree[path] = Stored(git_oid(content), value["size"], value["oid"])
            elif key == "file":
                content = value["content"]
                self.blobs[git_oid(content)] = content
                tree[path] = Stored(git_oid(content), len(content))
            else:
                raise Refused(400, "", f"unknown operation {key}")
        return self._add(branch, header["summary"], header.get("description", ""), tree)

    def _add(self, branch: str, title: str, message: str, tree: Mapping[str, Stored]) -> str:
        parent = self.branches.get(branch)
        now = datetime.now(UTC) + timedelta(microseconds=len(self.commits))
        content = json.dumps([parent, title, message, now.isoformat(), {p: f.oid for p, f in tree.items()}])
        sha = hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest()
        date = now.isoformat().replace("+00:00", "Z")
        self.commits[sha] = Committed(sha, parent, title, message, date, tree)
        self.branches[branch] = sha
        return sha
