"""Hostile answers to the audit lot: their wider weight must not cost the attacked slice."""

import numpy as np
import pytest

from benchmarks.poison import CATEGORY, CHANNEL, answers_drill, small_profile
from fraud.retraining.gate import GatePolicy
from fraud.retraining.slice_gate import SlicePolicy

# A fifth of the real window: its frauds cannot prove 0.02 overall, nor fill slices of 50.
POLICY = GatePolicy(margin_ap=0.2, margin_f1=0.2, slices=SlicePolicy(min_frauds=20))


@pytest.mark.slow
def test_trust_keeps_the_attacked_slice_although_every_lie_answers_the_lot() -> None:
    profile = small_profile(n_transactions=80_000, days=120, test_days=45, trees=25, rounds=80)
    clean, trust, naive = answers_drill(profile, 600, POLICY)
    others = answers_drill(profile, 600, POLICY, ways=["trust"], seed=8)
    for result in (clean, trust, naive, *others):
        print(result)
    # The margin, or one fraud where the slice has so few that one is more than the margin.
    margin = max(GatePolicy().margin_f1, 1 / clean.n_slice)
    lost = [a.recall_slice - b.recall_slice for a, b in ((clean, trust), others)]
    assert np.mean(lost) <= margin, "another seed alone moves one fraud"
    for result in (trust, others[1]):
        assert not (result.overall or result.harmed)

    assert naive.recall_slice < clean.recall_slice - 5 * margin
    attacked = {finding.slice for finding in naive.harmed if finding.metric == "recall"}
    assert f"category={CATEGORY} and channel={CHANNEL}" in attacked
