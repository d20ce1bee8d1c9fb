"""The one pointer to what is being served, and how it moves."""

import logging
import threading
from pathlib import Path

from fraud.errors import FraudError, RepositoryError
from fraud.models.bundle import load_bundle
from fraud.records import ModelVersion
from fraud.registry import ModelRegistry
from fraud.serving.scorer import Scorer

_log = logging.getLogger(__name__)


class Champion:
    """Serves the registry's champion, or the shipped artifacts while it has none or is out of reach.

    `scorer` is replaced as a whole: a request that took it keeps one version from start to end.
    """

    def __init__(self, registry: ModelRegistry, artifacts: Path) -> None:
        self._registry = registry
        self._artifacts = artifacts
        self._lock = threading.Lock()
        self._scorer: Scorer | None = None
        self._previous: Scorer | None = None
        self._seen_head: str | None = None
        self._out_of_reach = False
        self.problem: str | None = None

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

    def scorer_of(self, version: ModelVersion) -> Scorer | None:
        """Return what serves a version: the present champion or the one before, None for any other."""
        known = (self.scorer, self._previous)
        return next((s for s in known if s is not None and s.version == version), None)

    def _first(self) -> Scorer:
        with self._lock:
            if self._scorer is None:
                self._scorer = self._load_first()
            return self._scorer

    def _load_first(self) -> Scorer:
        champion = None
        try:
            head = self._registry.head()
            champion = self._registry.champion()
            self._seen_head = head
        except RepositoryError as error:
            self._note_out_of_reach(error)
        if champion is None:
            return Scorer.from_bundle(load_bundle(self._artifacts, self._registry.trusted))
        return Scorer.from_bundle(load_bundle(champion[1], self._registry.trusted), champion[0])

    def refresh(self) -> bool:
        """Look at the registry and swap if its champion is another; return whether it was.

        A champion that cannot be loaded leaves the old one serving, is remembered in `problem`, and is not
        tried again until the registry changes. A registry that cannot be reached is remembered too, and asked
        again by the next call.
        """
        current = self.scorer
        with self._lock:
            head = self._seen_head
            try:
                head = self._registry.head()
                if head == self._seen_head and not self._out_of_reach:
                    return False
                champion = self._registry.champion()
            except RepositoryError as error:
                self._note_out_of_reach(error)
                return False
            except FraudError as error:
                return self._refuse(error, head)
            self._out_of_reach = False
            try:
                swapped = champion is not None and champion[0] != current.version.revision
                if champion is not None and swapped:
                    newer = Scorer.from_bundle(load_bundle(champion[1], self._registry.trusted), champion[0])
                    self._previous, self._scorer = current, newer
            except FraudError as error:
                return self._refuse(error, head)
            self._seen_head, self.problem = head, None
            return swapped

    def _refuse(self, error: FraudError, head: str | None) -> bool:
        _log.error("the promoted version cannot be served, the old one goes on: %s", error)
        self.problem, self._seen_head, self._out_of_reach = error.message, head, False
        return False

    def _note_out_of_reach(self, error: RepositoryError) -> None:
        if not self._out_of_reach:
            _log.warning("the model registry cannot be reached, what serves goes on: %s", error)
        self.problem, self._out_of_reach = error.message, True
