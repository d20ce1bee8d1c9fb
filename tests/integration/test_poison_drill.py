"""Hostile flags on one slice: what trust keeps, what naivety costs, and what the gate says to each."""

import pytest

from benchmarks.poison import CATEGORY, CHANNEL, drill, small_profile
from fraud.retraining.gate import GatePolicy
from fraud.retraining.slice_gate import SlicePolicy

# A fifth of the real window: its frauds cannot prove 0.02 overall, nor fill slices of 50.
POLICY = GatePolicy(margin_ap=0.15, margin_f1=0.15, slices=SlicePolicy(min_frauds=20))


@pytest.mark.slow
def test_trust_keeps_the_attacked_slices_recall_and_the_gate_refuses_who_believed_everybody() -> None:
    profile = small_profile(n_transactions=80_000, days=120, test_days=45, trees=25, rounds=80)
    runs = [drill(profile, 500, POLICY, seed) for seed in (7, 8)]
    for clean, honest, trust, naive in runs:
        for result in (clean, honest, trust, naive):
            print(result)
        assert trust.weight < 10 < 200 < naive.weight
        assert not naive.overall, "the overall margins let the attack through"
        attacked = {finding.slice for finding in naive.harmed if finding.metric == "recall"}
        assert f"category={CATEGORY} and channel={CHANNEL}" in attacked
        assert not (honest.overall or honest.harmed), "another seed is an equal"
        assert not (trust.overall or trust.harmed)
    # Another seed alone moves one of the slice's few frauds, so two seeds stand for each way.
    clean_recall, _, trust_recall, naive_recall = (
        sum(way.recall_slice for way in ways) / len(ways) for ways in zip(*runs, strict=True)
    )
    # The margin, or one fraud where the slice has so few that one is more than the margin.
    margin = max(GatePolicy().margin_f1, 1 / runs[0][0].n_slice)
    assert trust_recall >= clean_recall - margin
    assert naive_recall < clean_recall - 5 * margin
