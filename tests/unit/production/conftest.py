"""A small champion, and worlds that go on after its data."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fraud.data.profile import Profile
from fraud.models.bundle import load_bundle
from fraud.production.injections import parse_injection
from fraud.production.world import SimulatedWorld
from fraud.serving.scorer import Scorer


@pytest.fixture(scope="session")
def scorer(small_bundle: Path) -> Scorer:
    return Scorer.from_bundle(load_bundle(small_bundle))


@pytest.fixture(scope="session")
def make_world(small_profile: Profile) -> Callable[..., SimulatedWorld]:
    """Worlds by their events; one that was made is shared, for its days never change."""
    made: dict[tuple[object, ...], SimulatedWorld] = {}

    def make(*events: str, seed: int | None = None) -> SimulatedWorld:
        if (seed, events) not in made:
            injections = [parse_injection(event) for event in events]
            made[seed, events] = SimulatedWorld(small_profile, seed=seed, injections=injections)
        return made[seed, events]

    return make


class Played:
    """What a scorer says of some days, and the truth, without people."""

    def __init__(self, world: SimulatedWorld, scorer: Scorer, n_days: int) -> None:
        days = [world.day(i) for i in range(n_days)]
        self.features = np.concatenate([scorer.pipeline.transform(d.seen, d.history) for d in days])
        self.day = np.concatenate([np.full(len(d), d.index) for d in days])
        self.fraud = np.concatenate([d.fraud for d in days])
        self.typology = np.concatenate([d.typology for d in days])
        model = scorer.bundle.models["xgboost"]
        self.score = model.calibration(model.forest.probability(self.features))
        self.alerted = self.score >= model.thresholds.review


@pytest.fixture(scope="session")
def play(scorer: Scorer) -> Callable[..., Played]:
    return lambda world, n_days: Played(world, scorer, n_days)
