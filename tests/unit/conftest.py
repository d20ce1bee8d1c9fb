"""A service over the small bundle, in a directory of its own."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fraud.feedback.store import FeedbackStore
from fraud.registry import ModelRegistry
from fraud.repositories.local import LocalRepository
from fraud.service import FraudService
from fraud.serving.champion import Champion

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(LocalRepository(tmp_path / "registry"))


@pytest.fixture
def champion(registry: ModelRegistry, small_bundle: Path) -> Champion:
    return Champion(registry, small_bundle)


@pytest.fixture
def service(tmp_path: Path, champion: Champion) -> Iterator[FraudService]:
    store = FeedbackStore(tmp_path / "outbox", LocalRepository(tmp_path / "dataset.git"), "test")
    service = FraudService(champion, store, node="test", pseudonym_key=b"key", clock=lambda: NOW)
    yield service
    service.close()
