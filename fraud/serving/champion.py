"""The one pointer to what is being served, and how it moves."""

import logging
import threading
from pathlib import Path

from fraud.errors import FraudError
from fraud.models.bundle import load_bundle
from fraud.registry import ModelRegistry
from fraud.serving.scorer import Scorer

_log = logging.getLogger(__name__)


class Champion:
    """Serves the registry's champion, or the shipped artifacts while nothing was promoted.

    `scorer` is replaced as a whole: a request that took it keeps one version from start to end.
    """

    def __init__(self, registry: ModelRegistry, artifacts: Path) -> None:
        self._registry = registry
        self._artifacts = artifacts
        self._lock = threading.Lock()
        self._scorer: Scorer | None = None
        self._seen_head: str | None = None
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

    def _first(self) -> Scorer:
        with self._lock:
            if self._scorer is None:
                self._scorer = self._load_first()
            return self._scorer

    def _load_first(self) -> Scorer:
        head = self._registry.head()
        champion = self._registry.champion()
        scorer = (
            Scorer.from_bundle(load_bundle(self._artifacts))
            if champion is None
            else Scorer.from_bundle(load_bundle(champion[1]), champion[0])
        )
        self._seen_head = head
        return scorer

    def refresh(self) -> bool:
        """Look at the registry and swap if its champion is another; return whether it was.

        A champion that cannot be loaded leaves the old one serving, is remembered in `problem`, and is not
        tried again until the registry changes.
        """
        current = self.scorer
        with self._lock:
            head = self._registry.head()
            if head == self._seen_head:
                return False
            try:
                champion = self._registry.champion()
                if champion is None or champion[0] == current.version.revision:
                    swapped = False
                else:
                    self._scorer = Scorer.from_bundle(load_bundle(champion[1]), champion[0])
                    swapped = True
            except FraudError as error:
                _log.error("the promoted version cannot be served, the old one goes on: %s", error)
                self.problem, self._seen_head = error.message, head
                return False
            self._seen_head, self.problem = head, None
            return swapped
