"""Promoting, rolling back and rejecting: one place for the command line, retraining and the page.

The aliases move first, in one commit with the line of who moved them; then the nodes are told by webhook. A
process that dies in between has told nobody: nodes also look for themselves, so they are late and not wrong.
Whoever does it again finishes it (docs/decisions/0025-killed-at-any-moment.md): one move of the champion is
one message, under one id, and a rollback that had moved already does not roll forward again.
"""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fraud.durable import sync_directory, write_text
from fraud.errors import BundleRefused, FraudError, NotFound, RepositoryError, StorageError
from fraud.ids import id_of
from fraud.models.bundle import load_bundle
from fraud.registry import DECIDED_MEANWHILE, Aliases, ModelRegistry
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
    automatic : whether what passed the gate is promoted without a maintainer's word
    journal : file of a rollback on its way; None keeps none, and a killed one may swap twice
    """

    def __init__(
        self,
        registry: ModelRegistry,
        artifacts: Path,
        outbox: WebhookOutbox | None = None,
        *,
        send: Callable[[], object] | None = None,
        automatic: bool = False,
        journal: Path | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._artifacts = artifacts
        self._outbox = outbox
        self._send = send
        self._clock = clock
        self._journal = journal
        self.registry = registry
        self.automatic = automatic

    def listeners(self, event: str) -> tuple[str, ...]:
        """Return the names of the endpoints that hear of an event, such as "model.promoted"."""
        endpoints = () if self._outbox is None else self._outbox.endpoints
        return tuple(endpoint.name for endpoint in endpoints if endpoint.wants(event))

    def promote(self, version: str | None = None, *, who: str, expected: int | None = None) -> Moved:
        """Make a recorded version the champion and tell the nodes; None takes the challenger.

        It is loaded first, as a node would: what cannot be served is not promoted. Nodes that were not told
        yet are told even where it is the champion already: whoever promoted it may have died before.

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
        moved = self._tell("model.promoted", before, registry.promote(chosen, who=who, expected=expected))
        self._forget_rollback()
        return moved

    def rollback(self, *, who: str, expected: int | None = None) -> Moved:
        """Make the previous version the champion again and tell the nodes.

        Where an earlier call was killed after it had moved the champion, only the rest is done: moving once
        more would bring back what was rolled back from.

        Raises
        ------
        NotFound
            There is no previous version.
        BundleRefused
            It is not signed by a key that is trusted here; nothing was changed.
        StorageError
            The journal cannot be written; nothing was changed.
        RepositoryError
            Somebody else decided since `expected`; nothing was changed.
        """
        before = self.registry.aliases()
        after = before
        if not self._rolled_back(before):
            self._remember_rollback(before)
            after = self._roll_back(before, who, expected)
        moved = self._tell("model.rolled_back", before, after)
        self._forget_rollback()
        return moved

    def _roll_back(self, before: Aliases, who: str, expected: int | None) -> Aliases:
        try:
            return self.registry.rollback(who=who, to=before.previous, expected=expected)
        except (RepositoryError, BundleRefused) as error:
            if isinstance(error, BundleRefused) or error.code == DECIDED_MEANWHILE:
                self._forget_rollback()  # it was never begun, and must not be taken for unfinished
            raise

    def _rolled_back(self, aliases: Aliases) -> bool:
        """Return whether a rollback that was never finished has moved the champion."""
        if self._journal is None or not self._journal.is_file():
            return False
        try:
            document = json.loads(self._journal.read_text(encoding="utf-8"))
            return aliases.sequence > int(document["sequence"]) and aliases.champion == document["to"]
        except (ValueError, TypeError, KeyError):
            _log.warning("%s is no journal of a rollback and is overlooked", self._journal)
            return False

    def _remember_rollback(self, before: Aliases) -> None:
        if self._journal is None or before.previous is None:
            return
        try:
            self._journal.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._journal, json.dumps({"sequence": before.sequence, "to": before.previous}) + "\n")
        except OSError as error:
            raise StorageError(
                f"{self._journal} cannot be written ({error.strerror}); the champion was not changed.",
                code="journal",
            ) from error

    def _forget_rollback(self) -> None:
        if self._journal is None or not self._journal.exists():
            return
        try:
            self._journal.unlink(missing_ok=True)
            sync_directory(self._journal.parent)
        except OSError as error:
            _log.warning("%s cannot be removed: %s", self._journal, error)

    def reject(self, version: str, *, who: str, expected: int | None = None) -> Aliases:
        """Let a challenger wait no more; NotFound if it is not the challenger."""
        return self.registry.reject(version, who=who, expected=expected)

    def _tell(self, event: str, before: Aliases, after: Aliases) -> Moved:
        changed = before.champion != after.champion
        if self._outbox is None or after.champion is None:
            return Moved(after, changed)
        try:
            revision, digest = self.registry.identity(after.champion)
            data = model_data(after.champion, revision, digest)
            left = self._outbox.enqueue(event, data, self._clock(), message_id=_message_id(after, digest))
            if left is None:
                return Moved(after, changed)
            if self._send is not None:
                self._send()
        except FraudError as error:
            # The champion has changed: whoever asked must hear that, and not that it failed.
            _log.warning("%s serves from now on, but the nodes could not be told: %s", after.champion, error)
            return Moved(after, changed, problem=error.message)
        return Moved(after, changed, left.endpoints)


def _message_id(aliases: Aliases, manifest_digest: str) -> str | None:
    """Return the id of the message about the champion's last move; None if its time is unknown."""
    if aliases.promoted_at is None:
        return None
    moved = f"{aliases.champion} {manifest_digest} {aliases.promoted_at}"
    moment = datetime.fromisoformat(aliases.promoted_at)
    return id_of("msg", int(moment.timestamp() * 1_000), hashlib.sha256(moved.encode()).digest()[:10])
