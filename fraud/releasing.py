"""Promoting, rolling back and rejecting: one place for the command line, retraining and the page.

The aliases move first, in one commit with the line of who moved them; then the nodes are told by webhook. A
process that dies in between has told nobody: nodes also look for themselves, so they are late and not wrong.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fraud.errors import FraudError, NotFound
from fraud.models.bundle import load_bundle
from fraud.registry import Aliases, ModelRegistry
from fraud.webhooks.deliveries import WebhookOutbox
from fraud.webhooks.messages import model_data

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Moved:
    """What a decision came to.

    Attributes
    ----------
    changed : whether the champion is another one than before
    told : the endpoints that a message was left for
    problem : why nobody could be told; the decision itself stands
    """

    aliases: Aliases
    changed: bool
    told: tuple[str, ...] = ()
    problem: str | None = None


class ReleaseDesk:
    """Carries out decisions about releases. No I/O before the first one.

    Parameters
    ----------
    artifacts : the shipped bundle, which a first promotion records so that it can be rolled back to
    outbox : where messages to the nodes are left; None tells nobody
    send : called after a message was left, so that it goes at once; what it cannot deliver waits
    automatic : whether `propose` promotes
    """

    def __init__(
        self,
        registry: ModelRegistry,
        artifacts: Path,
        outbox: WebhookOutbox | None = None,
        *,
        send: Callable[[], object] | None = None,
        automatic: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._artifacts = artifacts
        self._outbox = outbox
        self._send = send
        self._clock = clock
        self.registry = registry
        self.automatic = automatic

    def listeners(self, event: str) -> tuple[str, ...]:
        """Return the names of the endpoints that hear of an event, such as "model.promoted"."""
        endpoints = () if self._outbox is None else self._outbox.endpoints
        return tuple(endpoint.name for endpoint in endpoints if endpoint.wants(event))

    def promote(self, version: str | None = None, *, who: str, expected: int | None = None) -> Moved:
        """Make a recorded version the champion and tell the nodes; None takes the challenger.

        It is loaded first, as a node would: what cannot be served is not promoted. The nodes are told even
        where it is the champion already: whoever promoted it may have died before they were.

        Parameters
        ----------
        expected : the aliases' `sequence` that the decision was made at; None for any

        Raises
        ------
        NotFound
            No such version, or no challenger.
        BundleRefused
            It cannot be loaded, or is not signed by a key that is trusted here.
        RepositoryError
            Somebody else decided since `expected`; nothing was changed.
        """
        registry = self.registry
        chosen = version or registry.aliases().challenger
        if chosen is None:
            raise NotFound("There is no challenger; name a version, or retrain first.", code="no_challenger")
        registry.adopt(self._artifacts, chosen)
        load_bundle(registry.directory(chosen), registry.trusted)  # an unknown version changes nothing
        had_champion = registry.aliases().champion is not None
        registry.ensure_champion(self._artifacts)
        before = registry.aliases()
        if expected is not None and not had_champion:
            expected = before.sequence  # the decision that was just made is this one's own first step
        return self._tell("model.promoted", before, registry.promote(chosen, who=who, expected=expected))

    def rollback(self, *, who: str, expected: int | None = None) -> Moved:
        """Make the previous version the champion again and tell the nodes; NotFound if there is none."""
        before = self.registry.aliases()
        return self._tell("model.rolled_back", before, self.registry.rollback(who=who, expected=expected))

    def reject(self, version: str, *, who: str, expected: int | None = None) -> Aliases:
        """Let a challenger wait no more; NotFound if it is not the challenger."""
        return self.registry.reject(version, who=who, expected=expected)

    def propose(self, version: str, *, who: str, promote: bool = False) -> Moved | None:
        """Do what follows a passed gate: promote, or return None and let the challenger wait."""
        return self.promote(version, who=who) if promote or self.automatic else None

    def _tell(self, event: str, before: Aliases, after: Aliases) -> Moved:
        changed = before.champion != after.champion
        if self._outbox is None or after.champion is None:
            return Moved(after, changed)
        try:
            revision, digest = self.registry.identity(after.champion)
            left = self._outbox.enqueue(event, model_data(after.champion, revision, digest), self._clock())
            if left is None:
                return Moved(after, changed)
            if self._send is not None:
                self._send()
        except FraudError as error:
            # The champion has changed: whoever asked must hear that, and not that it failed.
            _log.warning("%s serves from now on, but the nodes could not be told: %s", after.champion, error)
            return Moved(after, changed, problem=error.message)
        return Moved(after, changed, left.endpoints)
