"""The one pointer to what is being served, and how it moves."""

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from fraud.data.profile import Profile, parse_profile
from fraud.errors import BundleRefused, FraudError, NotFound, ProfileError, RepositoryError
from fraud.models.bundle import MANIFEST, PROFILE_FILE, load_bundle, parse_manifest
from fraud.models.policy import ThresholdPolicy
from fraud.models.versioning import schema_changes
from fraud.records import ModelVersion
from fraud.registry import Aliases, ModelRegistry
from fraud.serving.scorer import Scorer
from fraud.serving.standing import RolledBack, Standing, StandingFile

_log = logging.getLogger(__name__)


class Champion:
    """Serves the registry's champion, or the shipped artifacts while it has none or is out of reach.

    `scorer` is replaced as a whole: a request that took it keeps one version from start to end.

    Parameters
    ----------
    registry : where released versions are
    artifacts : what was shipped with the code
    memory : what outlives this process; None where nothing does
    policy : cut-offs to serve one release with; at the start another release is refused, later one that is
        promoted serves with its own
    clock : returns the present, aware, in UTC
    """

    def __init__(
        self,
        registry: ModelRegistry,
        artifacts: Path,
        *,
        memory: StandingFile | None = None,
        policy: ThresholdPolicy | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._registry = registry
        self._artifacts = artifacts
        self._memory = memory
        self._policy = policy
        self._clock = clock
        self._lock = threading.Lock()
        self._scorer: Scorer | None = None
        self._previous: Scorer | None = None
        self._seen_head: str | None = None
        self._out_of_reach = False
        self._standing = Standing()
        self.problem: str | None = None
        self.since = clock()

    @property
    def scorer(self) -> Scorer:
        """What serves now; the first use loads it.

        Raises
        ------
        BundleRefused
            Nothing was loaded before and the champion cannot be.
        """
        return self._scorer or self._first()

    @property
    def registry(self) -> ModelRegistry:
        """Where released versions are."""
        return self._registry

    @property
    def sequence(self) -> int:
        """The newest change of the registry's aliases that was followed."""
        return self._standing.sequence

    @property
    def rolled_back(self) -> RolledBack | None:
        """The version that was given up here by itself, until a newer change is followed."""
        return self._standing.rolled_back

    @property
    def refusal(self) -> str | None:
        """Why the registry's champion is turned away here; None if it is not, or cannot be reached."""
        return None if self._out_of_reach else self.problem

    def scorer_of(self, version: ModelVersion) -> Scorer | None:
        """Return what serves a version: the present champion or the one before, None for any other."""
        known = (self.scorer, self._previous)
        return next((s for s in known if s is not None and s.version == version), None)

    def refresh(self, expected: ModelVersion | None = None) -> bool:
        """Look at the registry and swap if its champion is another; return whether it was.

        `expected` is what a signed notice announced: the version of that name is taken only with that digest.
        A champion that cannot be loaded, that is older than one followed before, that asks for other fields
        under the same major version, or that was given up here leaves the old one serving, is remembered in
        `problem`, and is not tried again until the registry changes. A registry that cannot be reached is
        remembered too, and asked again by the next call.
        """
        current = self.scorer
        with self._lock:
            head = self._seen_head
            try:
                head = self._registry.head()
                if head == self._seen_head and not self._out_of_reach:
                    return False
                aliases = self._registry.aliases()
                newer = self._newer(aliases, current, expected)
                if newer is not None:
                    self._swap(newer, aliases.sequence)
                self._seen_head, self._out_of_reach, self.problem = head, False, None
                return newer is not None
            except RepositoryError as error:
                self._note_out_of_reach(error)
            except FraudError as error:
                _log.error("the promoted version cannot be served, the old one goes on: %s", error)
                self.problem, self._seen_head, self._out_of_reach = error.message, head, False
            return False

    def settled(self, version: ModelVersion) -> bool:
        """Return whether there is nothing more to wait for: it serves, or was looked at and turned away."""
        served = self.scorer.version
        if served.manifest_digest == version.manifest_digest:
            return True
        return self.problem is not None and not self._out_of_reach

    def give_up(self, version: ModelVersion, reason: str) -> bool:
        """Serve the version before again, if `version` serves now and there is one; return whether.

        It is not taken again until the registry's aliases change once more and still name it.
        """
        with self._lock:
            current, previous = self._scorer, self._previous
            if current is None or previous is None or current.version != version:
                return False
            at = self._clock()
            given_up = RolledBack(
                version.version, version.manifest_digest, self._standing.sequence, reason, at
            )
            self._standing = replace(self._standing, revision=previous.version.revision, rolled_back=given_up)
            self._scorer, self._previous, self.since = previous, current, at
            self.problem = f"{version.version} was rolled back here: {reason}"
            _log.error("%s; %s serves again", self.problem, previous.version.version)
            self._remember()
            return True

    def _first(self) -> Scorer:
        with self._lock:
            if self._scorer is None:
                self._standing = Standing() if self._memory is None else self._memory.read()
                self._scorer = self._with_policy(self._load_first(), refuse=True)
                self.since = self._clock()
            return self._scorer

    def _load_first(self) -> Scorer:
        aliases = None
        try:
            head = self._registry.head()
            aliases = self._registry.aliases()
            self._seen_head = head
        except RepositoryError as error:
            self._note_out_of_reach(error)
        try:
            newer = None if aliases is None else self._newer(aliases, None)
        except RepositoryError as error:
            newer = None
            self._note_out_of_reach(error)
        except FraudError as error:
            if self._standing.revision is None:
                raise  # nothing that served here before could stand in for it
            newer = None
            self.problem = error.message
        if newer is not None:
            self._follow(newer, 0 if aliases is None else aliases.sequence)
            return newer
        return self._load_last()

    def _load_last(self) -> Scorer:
        """Load what served here before the restart; the shipped artifacts if nothing of it is left."""
        revision = self._standing.revision
        if revision is not None:
            try:
                return self._scorer_at(revision)
            except (BundleRefused, NotFound, RepositoryError) as error:
                _log.warning("what served before cannot be loaded, the shipped models start: %s", error)
        return Scorer.from_bundle(load_bundle(self._artifacts, self._registry.trusted))

    def _newer(
        self, aliases: Aliases, current: Scorer | None, expected: ModelVersion | None = None
    ) -> Scorer | None:
        """Return the champion, loaded and warm, if it is another than `current`; raise why it may not be."""
        standing = self._standing
        if aliases.sequence < standing.sequence:
            raise BundleRefused(
                f"The registry stands at change {aliases.sequence}, and this process has followed"
                f" {standing.sequence}; it names an older model, which is not taken.",
                code="older",
            )
        if aliases.champion is None:
            return None
        revision = self._registry.revision(aliases.champion)
        if current is not None and revision == current.version.revision:
            self._follow(current, aliases.sequence)
            return None
        newer = self._scorer_at(revision)
        _require_announced(newer.version, expected)
        self._require_same_questions(newer, current)
        if standing.refuses(newer.version.manifest_digest, aliases.sequence):
            given_up = standing.rolled_back
            raise BundleRefused(
                f"{aliases.champion} was rolled back here: {'' if given_up is None else given_up.reason}",
                code="rolled_back",
            )
        return newer

    def _require_same_questions(self, newer: Scorer, current: Scorer | None) -> None:
        """Raise BundleRefused if clients would have to be changed and the major version does not say so.

        A rollback from a new major version to the one before is another major version, too.
        """
        served = self._served_last(newer) if current is None else _asked_by(current)
        if served is None:
            return
        version, profile = served
        changes = schema_changes(profile, newer.bundle.profile)
        found = newer.version.version
        if changes and found.split(".")[0] == version.split(".")[0]:
            raise BundleRefused(
                f"{found} changes what clients send without being a new major version"
                f" ({'; '.join(changes[:3])}); {version} serves on.",
                code="schema",
            )

    def _served_last(self, newer: Scorer) -> tuple[str, Profile] | None:
        """Return version and profile of what served before the restart, None if that is not known."""
        revision = self._standing.revision
        if revision is None or revision == newer.version.revision:
            return None
        try:
            manifest = parse_manifest(self._registry.read(revision, MANIFEST), revision)
            profile = parse_profile(json.loads(self._registry.read(revision, PROFILE_FILE)), PROFILE_FILE)
        except (BundleRefused, NotFound, ProfileError, ValueError) as error:
            _log.warning("what served before cannot be read, any schema is taken: %s", error)
            return None
        return str(manifest["version"]), profile

    def _scorer_at(self, revision: str) -> Scorer:
        bundle = load_bundle(self._registry.directory_at(revision), self._registry.trusted)
        return Scorer.from_bundle(bundle, revision)

    def _swap(self, newer: Scorer, sequence: int) -> None:
        newer = self._with_policy(newer)
        self._previous, self._scorer, self.since = self._scorer, newer, self._clock()
        self._follow(newer, sequence)

    def _with_policy(self, scorer: Scorer, *, refuse: bool = False) -> Scorer:
        """Return a scorer with the policy's cut-offs, if they were chosen for it."""
        if self._policy is None:
            return scorer
        try:
            self._policy.require_for(scorer.version)
        except BundleRefused as error:
            if refuse:
                raise
            _log.warning("%s serves with its own cut-offs: %s", scorer.version.version, error)
            return scorer
        return scorer.with_thresholds(self._policy.thresholds)

    def _follow(self, scorer: Scorer, sequence: int) -> None:
        """Remember a change as followed; what was given up before it may come again."""
        given_up = self._standing.rolled_back
        if given_up is not None and sequence > given_up.sequence:
            given_up = None
        standing = Standing(sequence, scorer.version.revision, given_up)
        if standing != self._standing:
            self._standing = standing
            self._remember()

    def _remember(self) -> None:
        if self._memory is None:
            return
        try:
            self._memory.write(self._standing)
        except FraudError as error:  # it serves all the same; only a restart would know less
            _log.warning("%s", error)

    def _note_out_of_reach(self, error: RepositoryError) -> None:
        if not self._out_of_reach:
            _log.warning("the model registry cannot be reached, what serves goes on: %s", error)
        self.problem, self._out_of_reach = error.message, True


def _asked_by(scorer: Scorer) -> tuple[str, Profile]:
    return scorer.version.version, scorer.bundle.profile


def _require_announced(found: ModelVersion, expected: ModelVersion | None) -> None:
    if expected is None or found.version != expected.version:
        return  # the registry has moved on since the notice, or not yet
    if found.manifest_digest != expected.manifest_digest:
        raise BundleRefused(
            f"{found.version} in the registry is not the release that was announced (its digest differs); "
            "promote it again.",
            code="announced",
        )
