"""The machinery of benchmarks/loop.py at a small scale: real retrainings, and no label from the future."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.loop import Log, Scale, Way, past_at, play
from fraud.data.profile import DAY_MS, Profile
from fraud.data.sources import load_transactions
from fraud.data.table import NEVER_MS
from fraud.feedback.dataset import read_events
from fraud.feedback.events import FlagEvent, ReviewEvent
from fraud.feedback.trust import TrustPolicy
from fraud.models.bundle import SERVING_FILES, load_bundle
from fraud.production.injections import NEW_TYPOLOGY, Injection
from fraud.production.people import People
from fraud.production.run import Production
from fraud.production.world import SimulatedWorld
from fraud.registry import ModelRegistry
from fraud.repositories.local import LocalRepository
from fraud.retraining.policy import RetrainPolicy
from fraud.serving.scorer import Scorer

SMALL = Scale(every=14, days=20, policy=RetrainPolicy(1, 0, None))
TRUSTING = Way("loop", TrustPolicy(), False, 6)  # no gate: its judgement is not what is tested here
PEOPLE = People(consent=0.0)


def played(home: Path, profile: Profile, champion: Path, days: int, *injections: Injection) -> Log:
    home.mkdir()
    world = SimulatedWorld(profile, seed=11, injections=injections)
    return play(TRUSTING, world, PEOPLE, replace(SMALL, days=days), champion, home)


@pytest.mark.slow
def test_what_happens_after_a_midnight_changes_nothing_of_what_is_trained_at_it(
    tmp_path: Path, small_profile: Profile, small_bundle: Path, fewer_parity_rows: None
) -> None:
    quiet = played(tmp_path / "quiet", small_profile, small_bundle, 15)
    change = Injection(NEW_TYPOLOGY, 14, 5.0)
    changed = played(tmp_path / "changed", small_profile, small_bundle, 20, change)
    assert list(quiet.outcomes) == list(changed.outcomes) == [14]
    outcome = changed.outcomes[14]
    assert outcome.promoted and outcome.n_labels > 0 and quiet.outcomes[14].n_labels == outcome.n_labels
    registries = [
        ModelRegistry(LocalRepository(tmp_path / name / "registry")) for name in ("quiet", "changed")
    ]
    first, second = (load_bundle(registry.directory("1.0.1")) for registry in registries)
    for path in SERVING_FILES.values():
        assert first.manifest["files"][path]["sha256"] == second.manifest["files"][path]["sha256"], path
    assert first.manifest["version"] == "1.0.1" and first.manifest["data"]["feedback"]["n_labels"] > 0

    dataset = LocalRepository(tmp_path / "changed" / "dataset.git")
    midnight_ms = SimulatedWorld(small_profile, seed=11).day(14).start_ms
    events, _ = read_events(dataset, str(outcome.dataset_revision))
    said = [e.recorded_at.timestamp() * 1000 for e in events if isinstance(e, FlagEvent | ReviewEvent)]
    assert said and max(said) < midnight_ms
    assert set(np.unique(changed.day)) == set(range(20))
    assert 0 <= changed.f1(0, 14) <= 1 and (changed.groups["typology"] == "fake_shop").any()


def test_the_past_that_is_trained_with_says_what_the_bank_knew_and_no_more(
    small_profile: Profile, small_bundle: Path
) -> None:
    table, _ = load_transactions(small_profile, None)
    scorer = Scorer.from_bundle(load_bundle(small_bundle))
    production = Production(SimulatedWorld(small_profile, seed=11), PEOPLE)
    days = [day.score(scorer) for day in production.days(12)]
    now_ms = days[8].day.start_ms
    past = past_at(table, days[:8], small_profile, now_ms)
    assert len(past) == len(table) + sum(len(day.ids) for day in days[:8])
    new = past.times() >= days[0].day.start_ms
    fraud = past.labels == 1
    assert (past.known_at_ms[fraud & new] <= now_ms).all() and (fraud & new).any()
    known = past.known_at_ms != NEVER_MS
    assert (known[new] == ~np.isnan(past.labels[new])).all() and (
        past.known_at_ms[new & known] <= now_ms
    ).all()
    truth = np.concatenate([day.day.seen.labels for day in days[:8]]) == 1
    assert fraud[new].sum() < truth.sum(), "some are reported later"
    delay_ms = small_profile.features.label_delay_days * DAY_MS
    assert np.isnan(past.labels[new & (past.times() > now_ms - delay_ms) & ~fraud]).all()
