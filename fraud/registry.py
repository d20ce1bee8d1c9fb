"""The model registry: released bundles in a versioned repository, and three aliases.

Each version is a commit that holds one bundle's files, named by the tag `v<version>`. Which version serves
is a small file, aliases.json, changed by commits of its own: a promotion moves no model, and the history of
promotions is the history of that file.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fraud.errors import NotFound, RepositoryError, StaleParent
from fraud.models import bundle
from fraud.repositories.port import Add, Delete, Operation, VersionedRepository

ALIASES_FILE = "aliases.json"
_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Aliases:
    """Versions by role; None where nobody plays it. `sequence` grows by one with every change."""

    champion: str | None = None
    previous: str | None = None
    challenger: str | None = None
    sequence: int = field(default=0, compare=False)

    def roles_of(self, version: str) -> tuple[str, ...]:
        """Return the roles that a version plays."""
        return tuple(
            role for role in ("champion", "previous", "challenger") if getattr(self, role) == version
        )


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """One released version: where it is, and what its manifest says."""

    version: str
    revision: str
    roles: tuple[str, ...]
    manifest: dict[str, Any]


class ModelRegistry:
    """Versions, aliases and their rules, over any versioned repository."""

    def __init__(self, repository: VersionedRepository) -> None:
        self._repository = repository

    def head(self) -> str | None:
        """Return the revision that changes whenever anything does: cheap enough to poll."""
        return self._repository.head()

    def aliases(self) -> Aliases:
        """Return who plays which role at the head; all None before the first release."""
        head = self._repository.head()
        return Aliases() if head is None else self._aliases_at(head)

    def _aliases_at(self, revision: str) -> Aliases:
        try:
            document = json.loads(self._repository.read(ALIASES_FILE, revision))
        except NotFound:
            return Aliases()
        except ValueError as error:
            raise RepositoryError(
                f"{ALIASES_FILE} of the registry is not valid JSON.", code="aliases"
            ) from error
        roles = {role: document.get(role) for role in ("champion", "previous", "challenger")}
        return Aliases(**roles, sequence=int(document.get("sequence", 0)))

    def champion(self) -> tuple[str, Path] | None:
        """Return (revision, directory) of the serving version; None while nothing was ever promoted."""
        version = self.aliases().champion
        if version is None:
            return None
        revision = self._repository.resolve(f"v{version}")
        return revision, self._repository.snapshot(revision)

    def directory_at(self, revision: str) -> Path:
        """Return the files of the version recorded at a revision."""
        return self._repository.snapshot(revision)

    def revision(self, version: str) -> str:
        """Return the commit of a version; NotFound if it was never recorded."""
        return self._revision(version)

    def directory(self, version: str) -> Path:
        """Return the files of a version; NotFound if it was never recorded."""
        return self._repository.snapshot(self._revision(version))

    def read(self, revision: str, path: str) -> bytes:
        """Return one file of a recorded version, without the rest of it."""
        return self._repository.read(path, revision)

    def versions(self) -> tuple[RegisteredVersion, ...]:
        """Return all versions, newest first."""
        aliases = self.aliases()
        found = []
        for tag, revision in self._repository.tags().items():
            version = tag.removeprefix("v")
            manifest = json.loads(self._repository.read(bundle.MANIFEST, revision))
            found.append(RegisteredVersion(version, revision, aliases.roles_of(version), manifest))
        return tuple(sorted(found, key=lambda v: version_key(v.version), reverse=True))

    def next_version(self) -> str:
        """Return the patch after the newest version: the same recipe on new data."""
        taken = [version_key(tag.removeprefix("v")) for tag in self._repository.tags()]
        if not taken:
            return "1.0.0"
        major, minor, patch = max(taken)
        return f"{major}.{minor}.{patch + 1}"

    def record(self, directory: Path, message: str) -> str:
        """Store a verified bundle under the version its manifest names; return the revision.

        Raises
        ------
        BundleRefused
            The bundle is not what its manifest says.
        RepositoryError
            The version exists already with other files.
        """
        manifest, digest = bundle.verify(directory)
        version = str(manifest["version"])
        recorded = self._repository.tags().get(f"v{version}")
        if recorded is not None and self._manifest_digest(recorded) == digest:
            return recorded
        listed = [bundle.MANIFEST, *manifest["files"]]

        def operations(parent: str | None) -> Iterable[Operation]:
            present = set() if parent is None else set(self._repository.files(parent))
            yield from (Delete(path) for path in present - set(listed) - {ALIASES_FILE})
            yield from (Add(path, directory / path) for path in listed)

        revision = self._commit(operations, message)
        try:
            self._repository.tag(f"v{version}", revision)
        except RepositoryError:  # somebody recorded the very same bundle at the same time
            first = self._repository.tags().get(f"v{version}")
            if first is None or self._manifest_digest(first) != digest:
                raise
            return first
        return revision

    def adopt(self, artifacts: Path, version: str) -> None:
        """Record the bundle in `artifacts` if it is the version named and the registry has none of it."""
        if f"v{version}" in self._repository.tags() or not (artifacts / bundle.MANIFEST).is_file():
            return
        manifest, _ = bundle.read_manifest(artifacts)
        if str(manifest["version"]) == version:
            self.record(artifacts, f"Record {version} from the shipped artifacts")

    def _manifest_digest(self, revision: str) -> str:
        return hashlib.sha256(self._repository.read(bundle.MANIFEST, revision)).hexdigest()

    def promote(self, version: str) -> Aliases:
        """Make a recorded version the champion; the old champion becomes `previous`."""
        self._revision(version)

        def change(old: Aliases) -> Aliases:
            if old.champion == version:
                return old
            challenger = None if old.challenger == version else old.challenger
            return replace(old, champion=version, previous=old.champion, challenger=challenger)

        return self._change(change, f"Promote {version}")

    def rollback(self) -> Aliases:
        """Make `previous` the champion again; NotFound if there is none."""

        def change(old: Aliases) -> Aliases:
            if old.previous is None:
                raise NotFound("There is no previous version to roll back to.", code="no_previous")
            return replace(old, champion=old.previous, previous=old.champion)

        return self._change(change, "Roll back to the previous champion")

    def set_challenger(self, version: str) -> Aliases:
        """Name the version that contests the champion."""
        self._revision(version)
        return self._change(lambda old: replace(old, challenger=version), f"Challenger {version}")

    def _revision(self, version: str) -> str:
        try:
            return self._repository.resolve(f"v{version}")
        except NotFound as error:
            raise NotFound(
                f"There is no version {version}; `python -m fraud versions` lists them.", code="no_version"
            ) from error

    def _change(self, change: Any, message: str) -> Aliases:
        result: list[Aliases] = []

        def operations(parent: str | None) -> Iterable[Operation]:
            old = Aliases() if parent is None else self._aliases_at(parent)
            new = replace(change(old), sequence=old.sequence + 1)
            result.append(new)
            document: dict[str, Any] = {r: getattr(new, r) for r in ("champion", "previous", "challenger")}
            document["sequence"] = new.sequence
            yield Add(ALIASES_FILE, (json.dumps(document, indent=1) + "\n").encode())

        self._commit(operations, message)
        return result[-1]

    def _commit(self, operations: Any, message: str) -> str:
        """Commit on the head, computing the change anew whenever somebody else was quicker."""
        for attempt in range(_ATTEMPTS):
            try:
                with self._repository.turn():
                    parent = self._repository.head()
                    return self._repository.commit(list(operations(parent)), message, parent)
            except StaleParent:
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")


def version_key(version: str) -> tuple[int, int, int]:
    """Return a semantic version as three numbers; RepositoryError if it is not one."""
    parts = version.split(".")
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        raise RepositoryError(f'"{version}" is not a version such as 1.2.3.', code="version")
    return int(parts[0]), int(parts[1]), int(parts[2])
