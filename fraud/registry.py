"""The model registry: released bundles in a versioned repository, and three aliases.

Each version is a commit that holds one bundle's files, named by the tag `v<version>`. Which version serves
is a small file, aliases.json, changed by commits of its own: a promotion moves no model. The same commit adds
a line to decisions.jsonl: who decided what, and when. What is not signed by a trusted key is not handed out.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fraud.data.profile import parse_profile
from fraud.errors import NotFound, RepositoryError, StaleParent
from fraud.models import bundle
from fraud.models.signing import ANY_RELEASE, SIGNATURE_FILE, SigningKey, TrustedKeys, claimed_key
from fraud.models.versioning import ReleaseNotes, change_between, next_version, recipe_of, version_key
from fraud.repositories.port import Add, Delete, Operation, VersionedRepository

ALIASES_FILE = "aliases.json"
DECISIONS_FILE = "decisions.jsonl"
ROLES = ("champion", "previous", "challenger")
DECIDED_MEANWHILE = "decided_meanwhile"
"""The code of the error that a decision on what has changed since gets."""
_OWN = frozenset({ALIASES_FILE, DECISIONS_FILE})
_ATTEMPTS = 8
_DECISIONS_KEPT = 2_000
_VERSION_TAG = re.compile(r"v[0-9]{1,9}(\.[0-9]{1,9}){2}")


@dataclass(frozen=True, slots=True)
class Aliases:
    """Versions by role; None where nobody plays it.

    Attributes
    ----------
    sequence : grows by one with every change, so that of two notices the later one can be told
    promoted_at : when the champion became it, ISO 8601 in UTC; None if that was never written down
    """

    champion: str | None = None
    previous: str | None = None
    challenger: str | None = None
    sequence: int = 0
    promoted_at: str | None = None

    @property
    def roles(self) -> dict[str, str | None]:
        """Role -> version."""
        return {role: getattr(self, role) for role in ROLES}

    def roles_of(self, version: str) -> tuple[str, ...]:
        """Return the roles that a version plays."""
        return tuple(role for role in ROLES if getattr(self, role) == version)


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """One released version: where it is, and what its manifest says."""

    version: str
    revision: str
    roles: tuple[str, ...]
    manifest: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ReleasePlan:
    """The version that a new release is to have, and what its changelog says of it."""

    version: str
    notes: ReleaseNotes


@dataclass(frozen=True, slots=True)
class Decision:
    """One line of the audit: who did what to which version. `who` is a pseudonym or a node's name."""

    at: str
    action: str
    version: str | None
    who: str
    sequence: int


class ModelRegistry:
    """Versions, aliases and their rules, over any versioned repository.

    Parameters
    ----------
    trusted : whose releases are handed out; by default anybody's
    key : signs what is recorded without a signature
    clock : returns the present, aware, in UTC
    """

    def __init__(
        self,
        repository: VersionedRepository,
        *,
        trusted: TrustedKeys = ANY_RELEASE,
        key: SigningKey | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._repository = repository
        self._key = key
        self._clock = clock
        self.trusted = trusted

    def head(self) -> str | None:
        """Return the revision that changes whenever anything does: cheap enough to poll."""
        return self._repository.head()

    def aliases(self) -> Aliases:
        """Return who plays which role at the head; all None before the first release."""
        head = self._repository.head()
        return Aliases() if head is None else self._aliases_at(head)

    def _aliases_at(self, revision: str) -> Aliases:
        try:
            return _parse_aliases(json.loads(self._repository.read(ALIASES_FILE, revision)))
        except NotFound:
            return Aliases()
        except (ValueError, TypeError, AttributeError) as error:
            raise RepositoryError(
                f"{ALIASES_FILE} of the registry is not what this package writes.", code="aliases"
            ) from error

    def champion(self) -> tuple[str, Path] | None:
        """Return (revision, directory) of the serving version; None while nothing was ever promoted.

        Raises
        ------
        BundleRefused
            It is not signed by a trusted key; nothing of it was fetched but its manifest.
        """
        version = self.aliases().champion
        return None if version is None else self.fetch(version)

    def fetch(self, version: str) -> tuple[str, Path]:
        """Return (revision, directory) of a recorded version; as `champion`, or NotFound."""
        revision = self._revision(version)
        self.require_trusted(revision)
        return revision, self._repository.snapshot(revision)

    def directory_at(self, revision: str) -> Path:
        """Return the files of the version recorded at a revision; BundleRefused as `champion`."""
        self.require_trusted(revision)
        return self._repository.snapshot(revision)

    def revision(self, version: str) -> str:
        """Return the commit of a version; NotFound if it was never recorded."""
        return self._revision(version)

    def directory(self, version: str) -> Path:
        """Return the files of a version; NotFound if it was never recorded; BundleRefused as `champion`."""
        return self.fetch(version)[1]

    def identity(self, version: str) -> tuple[str, str]:
        """Return (revision, SHA-256 of the manifest) of a recorded version: what a node is told to fetch."""
        revision = self._revision(version)
        return revision, self._manifest_digest(revision)

    def signed_by(self, revision: str) -> str | None:
        """Return the key that a version's signature names, right or wrong; None if it is not signed."""
        return claimed_key(self._optional(SIGNATURE_FILE, revision))

    def require_trusted(self, revision: str) -> None:
        """Raise BundleRefused unless a version may be handed out; only manifest and signature are read."""
        if self.trusted.required:
            manifest = self._repository.read(bundle.MANIFEST, revision)
            self.trusted.check(manifest, self._optional(SIGNATURE_FILE, revision))

    def _optional(self, path: str, revision: str) -> bytes | None:
        try:
            return self._repository.read(path, revision)
        except NotFound:
            return None

    def read(self, revision: str, path: str) -> bytes:
        """Return one file of a recorded version, without the rest of it."""
        return self._repository.read(path, revision)

    def revisions(self) -> dict[str, str]:
        """Return every recorded version and its commit; tags that name no version are left out."""
        tags = self._repository.tags().items()
        return {tag[1:]: revision for tag, revision in tags if _VERSION_TAG.fullmatch(tag)}

    def versions(self) -> tuple[RegisteredVersion, ...]:
        """Return all versions, newest first."""
        aliases = self.aliases()
        found = []
        for version, revision in self.revisions().items():
            manifest = bundle.parse_manifest(
                self._repository.read(bundle.MANIFEST, revision), f"version {version}"
            )
            found.append(RegisteredVersion(version, revision, aliases.roles_of(version), manifest))
        return tuple(sorted(found, key=lambda v: version_key(v.version), reverse=True))

    def next_version(self) -> str:
        """Return the version of the same recipe on new data: the champion's next free patch."""
        taken = list(self.revisions())
        newest = max(taken, key=version_key, default=None)
        return next_version(self.aliases().champion or newest, "patch", taken)

    def plan(self, recipe: Mapping[str, str]) -> ReleasePlan:
        """Return the version of a release with this recipe, by what it changes against the champion."""
        base = self.aliases().champion
        taken = list(self.revisions())
        if base is None:
            return ReleasePlan(next_version(None, "major", taken), ReleaseNotes())
        revision = self._revision(base)
        manifest = bundle.parse_manifest(self._repository.read(bundle.MANIFEST, revision), f"version {base}")
        profile = parse_profile(
            json.loads(self._repository.read(bundle.PROFILE_FILE, revision)), bundle.PROFILE_FILE
        )
        change = change_between(recipe_of(manifest, profile), recipe)
        older = (self._optional(bundle.CHANGELOG_FILE, revision) or b"").decode("utf-8", "replace")
        return ReleasePlan(next_version(base, change.size, taken), ReleaseNotes(base, change, older))

    def record(self, directory: Path, message: str, *, first_by: str | None = None) -> str:
        """Store a verified bundle under the version its manifest names; return the revision.

        A bundle without a signature gets this registry's, if it has a key. With `first_by`, who decides it,
        the same commit makes the version the champion of a registry that has none.

        Raises
        ------
        BundleRefused
            The bundle is not what its manifest says, or would not be handed out: its signature is not one
            that is trusted here.
        RepositoryError
            The version exists already with other files.
        """
        signature = self._signature_for(directory)
        manifest, digest = bundle.verify(directory)
        version = str(manifest["version"])
        version_key(version)
        recorded = self._repository.tags().get(f"v{version}")
        if recorded is not None and self._manifest_digest(recorded) == digest:
            return recorded
        listed = [bundle.MANIFEST, *manifest["files"]]
        extra = [] if signature is None else [Add(SIGNATURE_FILE, signature)]

        def operations(parent: str | None) -> Iterable[Operation]:
            present = set() if parent is None else set(self._repository.files(parent))
            kept = _OWN | {*listed, *(add.path for add in extra)}
            yield from (Delete(path) for path in present - kept)
            yield from (Add(path, directory / path) for path in listed)
            yield from extra
            old = Aliases() if parent is None else self._aliases_at(parent)
            if first_by is not None and old.champion is None:
                first = self._renewed(old, replace(old, champion=version))
                yield from self._alias_files(parent, first, "promote", version, first_by)

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

    def ensure_champion(self, artifacts: Path) -> tuple[str, Path]:
        """Return the champion as `champion` does, after making the shipped artifacts the first if needed."""
        champion = self.champion()
        if champion is None:
            shipped = bundle.load_bundle(artifacts)
            self.record(artifacts, f"Record the shipped version {shipped.version}")
            self.promote(shipped.version, who="shipped")
            champion = self.champion()
        if champion is None:
            raise RepositoryError(
                "The registry lost the champion it was just given; run again.", code="registry"
            )
        return champion

    def _signature_for(self, directory: Path) -> bytes | None:
        raw = (directory / bundle.MANIFEST).read_bytes() if (directory / bundle.MANIFEST).is_file() else b""
        signature = bundle.read_signature(directory)
        if signature is None and self._key is not None:
            signature = self._key.sign(raw)
        self.trusted.check(raw, signature)
        return signature

    def _manifest_digest(self, revision: str) -> str:
        return hashlib.sha256(self._repository.read(bundle.MANIFEST, revision)).hexdigest()

    def promote(self, version: str, *, who: str = "", expected: int | None = None) -> Aliases:
        """Make a recorded version the champion; the old champion becomes `previous`.

        Parameters
        ----------
        expected : the aliases' `sequence` that the decision was made at; None for any

        Raises
        ------
        NotFound
            It was never recorded.
        BundleRefused
            It is not signed by a key that is trusted here.
        RepositoryError
            Somebody else decided since `expected`; nothing was changed.
        """
        self.require_trusted(self._revision(version))

        def change(old: Aliases) -> Aliases:
            if old.champion == version:
                return old
            challenger = None if old.challenger == version else old.challenger
            return replace(old, champion=version, previous=old.champion, challenger=challenger)

        return self._change(change, f"Promote {version}", "promote", version, who, expected)

    def rollback(self, *, who: str = "", to: str | None = None, expected: int | None = None) -> Aliases:
        """Make `previous` the champion again; NotFound if there is none; else as `promote`.

        With `to`, the version that whoever asks takes for `previous`, nothing changes where it is the
        champion already: of two that roll back at once the second would bring back what both are fleeing.
        """

        def change(old: Aliases) -> Aliases:
            if to is not None and old.champion == to:
                return old
            if old.previous is None:
                raise NotFound("There is no previous version to roll back to.", code="no_previous")
            self.require_trusted(self._revision(old.previous))  # no process could start on another
            return replace(old, champion=old.previous, previous=old.champion)

        return self._change(change, "Roll back to the previous champion", "rollback", None, who, expected)

    def set_challenger(self, version: str, *, who: str = "", expected: int | None = None) -> Aliases:
        """Name the version that contests the champion; `expected` as in `promote`."""
        self._revision(version)

        def change(old: Aliases) -> Aliases:
            return replace(old, challenger=version)

        return self._change(change, f"Challenger {version}", "challenge", version, who, expected)

    def was_challenger(self, version: str) -> bool:
        """Return whether a version was ever named the challenger, as far back as decisions are kept."""
        decisions = self.decisions(_DECISIONS_KEPT)
        return any(d.action == "challenge" and d.version == version for d in decisions)

    def reject(self, version: str, *, who: str = "", expected: int | None = None) -> Aliases:
        """Let a challenger contest no more; it stays recorded. NotFound if it is not the challenger."""

        def change(old: Aliases) -> Aliases:
            if old.challenger != version:
                raise NotFound(
                    f"{version} is not the challenger; `python -m fraud versions` shows who is.",
                    code="no_challenger",
                )
            return replace(old, challenger=None)

        return self._change(change, f"Reject {version}", "reject", version, who, expected)

    def decisions(self, limit: int = 100) -> tuple[Decision, ...]:
        """Return who decided what, newest first. Lines that cannot be read are left out."""
        head = self._repository.head()
        lines = [] if head is None else self._decision_lines(head)
        found = []
        for line in reversed(lines):
            try:
                found.append(Decision(**json.loads(line)))
            except (ValueError, TypeError):
                continue
        return tuple(found[:limit])

    def _decision_lines(self, revision: str) -> list[str]:
        return (self._optional(DECISIONS_FILE, revision) or b"").decode("utf-8", "replace").splitlines()

    def _revision(self, version: str) -> str:
        try:
            return self._repository.resolve(f"v{version}")
        except NotFound as error:
            raise NotFound(
                f"There is no version {version}; `python -m fraud versions` lists them.", code="no_version"
            ) from error

    def _change(
        self,
        change: Callable[[Aliases], Aliases],
        message: str,
        action: str,
        version: str | None,
        who: str,
        expected: int | None = None,
    ) -> Aliases:
        """Commit changed aliases and the line of who changed them; no change makes no commit."""
        result: list[Aliases] = []

        def operations(parent: str | None) -> Iterable[Operation]:
            old = Aliases() if parent is None else self._aliases_at(parent)
            if expected is not None and old.sequence != expected:
                raise RepositoryError(
                    "Somebody else decided meanwhile; look at what serves now and decide again.",
                    code=DECIDED_MEANWHILE,
                )
            new = self._renewed(old, change(old))
            result.append(new)
            if new != old or parent is None:
                yield from self._alias_files(parent, new, action, version or new.champion, who)

        self._commit(operations, f"{message} (by {who})" if who else message)
        return result[-1]

    def _now(self) -> str:
        return self._clock().astimezone(UTC).isoformat(timespec="milliseconds")

    def _renewed(self, old: Aliases, new: Aliases) -> Aliases:
        """Return changed aliases with their number, and the time if the champion is another."""
        if new == old:
            return old
        at = old.promoted_at if new.champion == old.champion else self._now()
        return replace(new, sequence=old.sequence + 1, promoted_at=at)

    def _alias_files(
        self, parent: str | None, new: Aliases, action: str, version: str | None, who: str
    ) -> Iterable[Operation]:
        """Yield the aliases' file, and the decisions with one more line."""
        document = new.roles | {"sequence": new.sequence, "promoted_at": new.promoted_at}
        yield Add(ALIASES_FILE, (json.dumps(document, indent=1) + "\n").encode())
        line = {"at": self._now(), "action": action, "version": version, "who": who}
        kept = [] if parent is None else self._decision_lines(parent)[1 - _DECISIONS_KEPT :]
        lines = [*kept, json.dumps(line | {"sequence": new.sequence})]
        yield Add(DECISIONS_FILE, ("\n".join(lines) + "\n").encode())

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


def _parse_aliases(document: Mapping[str, Any]) -> Aliases:
    """Return aliases from a file of any version: the first ones had roles only."""
    sequence, promoted_at = document.get("sequence", 0), document.get("promoted_at")
    if not isinstance(sequence, int) or sequence < 0 or not isinstance(promoted_at, str | None):
        raise ValueError("sequence or promoted_at")
    roles = {role: document.get(role) for role in ROLES}
    return Aliases(**roles, sequence=sequence, promoted_at=promoted_at)
