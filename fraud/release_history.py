"""Every released version with what is known of it: figures, data, gate, decisions, and who serves it.

For people who look, not for the path of a request: what is told may be a few seconds old. A version that
cannot be read is listed with the reason, and a registry out of reach leaves what was read before.
"""

import hashlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from fraud.errors import BundleRefused, NotFound, RepositoryError
from fraud.models.bundle import MANIFEST, parse_manifest
from fraud.models.gate_summary import GATE_FILE, GATE_PAGE, LARGEST_REPORT, GateSummary, parse_gate
from fraud.models.summary import ReleaseSummary, summarise
from fraud.models.versioning import version_key
from fraud.registry import Aliases, Decision, ModelRegistry
from fraud.serving.champion import Champion
from fraud.webhooks.board import Acknowledgement

_log = logging.getLogger(__name__)
SHOWN = 30
"""Versions that are told of: the newest, and those that play a role."""
SILENT_S = 180.0
"""A node that has said nothing for so long is silent: three times the interval of its reports."""
_REMEMBERED = 200
_DECISIONS = 1_000
NodeState = Literal["serving", "behind", "other_release", "rolled_back", "refused", "silent"]


@dataclass(frozen=True, slots=True)
class Release:
    """One version and what its files say; nothing here changes once it is released.

    Attributes
    ----------
    revision : its commit; None for the shipped files while the registry does not hold them
    manifest_digest : SHA-256 of the manifest, which names the release
    summary : None where the manifest cannot be read, which `problem` says
    gate : None where no gate was asked, or its report cannot be read, which `gate_problem` says
    has_page : whether there is a report to open
    trusted : whether it would be handed out here; None where any release is. Of one that would not, nothing
        is read
    """

    version: str
    revision: str | None
    manifest_digest: str = ""
    summary: ReleaseSummary | None = None
    problem: str | None = None
    gate: GateSummary | None = None
    gate_problem: str | None = None
    has_page: bool = False
    trusted: bool | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A release with its place: the roles that it plays, and the decisions on it, newest first."""

    release: Release
    roles: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()

    @property
    def version(self) -> str:
        """Its version."""
        return self.release.version

    @property
    def promoted(self) -> Decision | None:
        """The decision by which it became the champion last; None if it never did, or nobody knows."""
        return next((d for d in self.decisions if d.action in ("promote", "rollback")), None)

    @property
    def promotable(self) -> bool:
        """Whether a maintainer may choose it: it can be read and does not serve already."""
        return self.release.problem is None and "champion" not in self.roles


@dataclass(frozen=True, slots=True)
class Timeline:
    """The versions, newest first.

    Attributes
    ----------
    n_older : versions beyond `SHOWN`, of which nothing is told
    recorded : whether there is a registry yet; before the first release only the shipped files are known
    problem : why this is not the registry's present state
    """

    entries: tuple[Entry, ...] = ()
    aliases: Aliases = field(default_factory=Aliases)
    n_older: int = 0
    recorded: bool = False
    problem: str | None = None

    def entry(self, version: str | None) -> Entry | None:
        """Return a version's entry; None if it is not among them."""
        return next((e for e in self.entries if e.version == version), None)


@dataclass(frozen=True, slots=True)
class Standing:
    """What one process serves, and how that relates to the champion."""

    node: str
    version: str
    since: datetime
    seen_at: datetime | None
    state: NodeState
    reason: str = ""


class ReleaseHistory:
    """Reads the registry and the acknowledgement board for people. No I/O before the first question.

    Parameters
    ----------
    champion : what serves in this process
    node : this process's name
    board : returns what each prediction node said last
    refusal : returns the gate's report of the last retraining, where it was refused
    every_s : how old what is told may be, in seconds
    clock : returns the present, aware, in UTC
    monotonic : seconds that never go back
    """

    def __init__(
        self,
        champion: Champion,
        *,
        node: str = "local",
        board: Callable[[], Sequence[Acknowledgement]] = tuple,
        refusal: Callable[[], GateSummary | None] = lambda: None,
        every_s: float = 1.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._champion = champion
        self._registry = champion.registry
        self._node = node
        self._board = board
        self.refusal = refusal
        self._every_s = every_s
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._looked_at: float | None = None
        self._timeline = Timeline()
        self._releases: OrderedDict[tuple[str, str], Release] = OrderedDict()

    def timeline(self, *, fresh: bool = False) -> Timeline:
        """Return the versions, at most `every_s` old; `fresh` looks again now."""
        with self._lock:
            now = self._monotonic()
            if fresh or self._looked_at is None or now - self._looked_at >= self._every_s:
                try:
                    self._timeline = self._read()
                except RepositoryError as error:
                    _log.warning("the versions cannot be brought up to date: %s", error)
                    known = self._timeline if self._timeline.entries else self._shipped()
                    self._timeline = replace(known, problem=error.message)
                self._looked_at = now
            return self._timeline

    def standings(self, timeline: Timeline) -> tuple[Standing, ...]:
        """Return who serves what: this process first, then every node that ever said so, by name.

        Raises
        ------
        StorageError
            The board cannot be read.
        """
        served = self._champion.scorer.version
        wanted = _champion_of(timeline)
        problem = self._champion.problem
        state: NodeState = "serving"
        if wanted is not None and wanted.manifest_digest != served.manifest_digest:
            state = "behind" if self._champion.refusal is None else "refused"
        if self._champion.rolled_back is not None:
            state = "rolled_back"
        own = Standing(self._node, served.version, self._champion.since, None, state, problem or "")
        now = self._clock()
        return (own, *(standing_of(said, wanted, now) for said in self._board()))

    def gate_page(self, version: str) -> bytes:
        """Return a version's gate report as HTML; whoever shows it must not trust it.

        Raises
        ------
        NotFound
            No such version, or it has no report.
        BundleRefused
            The report is not the file that was released, or the release is not signed as it must be.
        """
        registry = self._registry
        try:
            version_key(version)
        except RepositoryError as error:
            raise NotFound("There is no such version.", code="no_version") from error
        revision = registry.revision(version)
        registry.require_trusted(revision)
        manifest = parse_manifest(registry.read(revision, MANIFEST), f"version {version}")
        return _listed_file(registry, revision, manifest, GATE_PAGE)

    def _read(self) -> Timeline:
        revisions = self._registry.revisions()
        if not revisions:
            return self._shipped()
        aliases = self._registry.aliases()
        decisions = self._registry.decisions(_DECISIONS)
        ordered = sorted(revisions, key=version_key, reverse=True)
        played = {version for version in aliases.roles.values() if version in revisions}
        shown = [v for n, v in enumerate(ordered) if n < SHOWN or v in played]
        entries = tuple(
            Entry(
                self._release(version, revisions[version]),
                aliases.roles_of(version),
                tuple(d for d in decisions if d.version == version),
            )
            for version in shown
        )
        return Timeline(entries, aliases, len(ordered) - len(shown), recorded=True)

    def _shipped(self) -> Timeline:
        bundle = self._champion.scorer.bundle
        release = Release(bundle.version, None, bundle.manifest_digest, summarise(bundle.manifest))
        return Timeline((Entry(release, ("champion",)),))

    def _release(self, version: str, revision: str) -> Release:
        key = (version, revision)
        if key not in self._releases:
            self._releases[key] = read_release(self._registry, version, revision)
            while len(self._releases) > _REMEMBERED:
                self._releases.popitem(last=False)
        self._releases.move_to_end(key)
        return self._releases[key]


def read_release(registry: ModelRegistry, version: str, revision: str) -> Release:
    """Return what a recorded version's manifest and gate report say.

    Raises
    ------
    RepositoryError
        The registry is out of reach; anything that is wrong with the version itself is said in the result.
    """
    trusted = True if registry.trusted.required else None
    try:
        registry.require_trusted(revision)
    except BundleRefused as error:
        return Release(version, revision, problem=error.message, trusted=False)
    try:
        raw = registry.read(revision, MANIFEST)
        digest = hashlib.sha256(raw).hexdigest()
        manifest = parse_manifest(raw, f"version {version}")
        if manifest.get("version") != version:
            raise BundleRefused(
                f"The release that is named {version} says that it is another; record it again.",
                code="manifest",
            )
    except (BundleRefused, NotFound) as error:
        return Release(version, revision, problem=error.message, trusted=trusted)
    gate, gate_problem = _gate_of(registry, revision, manifest)
    return Release(
        version,
        revision,
        digest,
        summarise(manifest),
        gate=gate,
        gate_problem=gate_problem,
        has_page=GATE_PAGE in manifest["files"],
        trusted=trusted,
    )


def latest_refusal(runs: Path) -> GateSummary | None:
    """Return the newest gate report among the retraining runs on this disk, if it refused.

    Runs are named by their time, and a challenger that was refused is in no registry: its report is all that
    is left of it. A report that cannot be read is none.
    """
    newest = max(runs.glob(f"*/{Path(GATE_FILE).name}"), key=lambda path: path.parent.name, default=None)
    if newest is None:
        return None
    try:
        with newest.open("rb") as stream:
            gate = parse_gate(stream.read(LARGEST_REPORT + 1))
    except (OSError, BundleRefused) as error:
        _log.warning("%s cannot be read: %s", newest, error)
        return None
    return None if gate.passed else gate


def standing_of(said: Acknowledgement, champion: Release | None, now: datetime) -> Standing:
    """Return what a node's last word means beside the champion, None where nobody knows that."""
    state: NodeState = "serving"
    if said.state == "rolled_back":
        state = "rolled_back"
    elif now - said.seen_at > timedelta(seconds=SILENT_S):
        state = "silent"
    elif said.state == "refused":
        state = "refused"
    elif champion is not None and said.version != champion.version:
        state = "behind"
    elif champion is not None and champion.manifest_digest not in ("", said.manifest_digest):
        state = "other_release"
    return Standing(said.node, said.version, said.since, said.seen_at, state, said.reason)


def _champion_of(timeline: Timeline) -> Release | None:
    entry = timeline.entry(timeline.aliases.champion)
    return None if entry is None else entry.release


def _gate_of(
    registry: ModelRegistry, revision: str, manifest: Mapping[str, Any]
) -> tuple[GateSummary | None, str | None]:
    if GATE_FILE not in manifest["files"]:
        return None, None
    try:
        return parse_gate(_listed_file(registry, revision, manifest, GATE_FILE)), None
    except (BundleRefused, NotFound) as error:
        return None, error.message


def _listed_file(registry: ModelRegistry, revision: str, manifest: Mapping[str, Any], path: str) -> bytes:
    """Return a small file of a release once it is what the manifest lists."""
    listed = manifest["files"].get(path)
    if not isinstance(listed, Mapping):
        raise NotFound("This version has no gate report: it came from no retraining.", code="no_gate")
    size = listed.get("bytes")
    if not isinstance(size, int) or size > LARGEST_REPORT:
        raise BundleRefused(f"{path} is larger than {LARGEST_REPORT:,} bytes.", code="gate_report")
    content = registry.read(revision, path)
    if hashlib.sha256(content).hexdigest() != listed.get("sha256"):
        raise BundleRefused(f"{path} is not the file that was released (its digest differs).", code="digest")
    return content
