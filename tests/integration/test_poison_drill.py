"""Hostile flags on one slice: what trust keeps, what naivety costs, and what the gate says to each."""

import pytest

from benchmarks.poison import CATEGORY, CHANNEL, drill, small_profile
from fraud.retraining.gate import GatePolicy
from fraud.retraining.slice_gate import SlicePolicy

# A fifth of the real window: its frauds cannot prove 0.02 overall, nor fill slices of 50.
POLICY = GatePolicy(margin_ap=0.2, margin_f1=0.2, slices=SlicePolicy(min_frauds=20))


@pytest.mark.slow
def test_trust_keeps_the_attacked_slices_recall_and_the_gate_refuses_who_believed_everybody() -> None:
    profile = small_profile(n_transactions=80_000, days=120, test_days=45, trees=25, rounds=80)
    clean, honest, trust, naive = drill(profile, 600, POLICY)
    for result in (clean, honest, trust, naive):
        print(result)
    # The margin, or two frauds where the slice has so few that two are more: another seed alone moves one.
    margin = max(GatePolicy().margin_f1, 2 / clean.n_slice)
    assert trust.recall_slice >= clean.recall_slice - margin
    assert naive.recall_slice < clean.recall_slice - 5 * margin
    assert trust.weight < 10 < 200 < naive.weight

    assert not naive.overall, "the overall margins let the attack through"
    attacked = {finding.slice for finding in naive.harmed if finding.metric == "recall"}
    assert f"category={CATEGORY} and channel={CHANNEL}" in attacked
    assert not (honest.overall or honest.harmed), "another seed is an equal"
    assert not (trust.overall or trust.harmed)
