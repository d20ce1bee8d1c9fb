"""Hostile flags on one slice: what trust keeps, what naivety costs, and what the gate says to each.

Flags of the attackers' own accord, and answers to the audit lot, whose weight is wider. What is trained
without a flag is the same for both: it is trained once.
"""

import numpy as np
import pytest

from benchmarks.poison import CATEGORY, CHANNEL, Ground, answers_drill, drill, small_profile
from fraud.retraining.gate import GatePolicy
from fraud.retraining.slice_gate import SlicePolicy

# A fifth of the real window: its frauds cannot prove 0.02 overall, nor fill slices of 50.
POLICY = GatePolicy(margin_ap=0.15, margin_f1=0.15, slices=SlicePolicy(min_frauds=20))
POLICY_FOR_ANSWERS = GatePolicy(margin_ap=0.2, margin_f1=0.2, slices=SlicePolicy(min_frauds=20))
SLICE = f"category={CATEGORY} and channel={CHANNEL}"


@pytest.fixture(scope="module")
def ground() -> Ground:
    return Ground(small_profile(n_transactions=80_000, days=120, test_days=45, trees=25, rounds=80))


def margin(n_slice: int) -> float:
    """Return the margin, or one fraud where the slice has so few that one is more than the margin."""
    return max(GatePolicy().margin_f1, 1 / n_slice)


@pytest.mark.slow
def test_trust_keeps_the_attacked_slices_recall_and_the_gate_refuses_who_believed_everybody(
    ground: Ground,
) -> None:
    runs = [drill(ground, 500, POLICY, seed) for seed in (7, 8)]
    for clean, honest, trust, naive in runs:
        for result in (clean, honest, trust, naive):
            print(result)
        assert trust.weight < 10 < 200 < naive.weight
        assert not naive.overall, "the overall margins let the attack through"
        attacked = {finding.slice for finding in naive.harmed if finding.metric == "recall"}
        assert SLICE in attacked
        assert not (honest.overall or honest.harmed), "another seed is an equal"
        assert not (trust.overall or trust.harmed)
    # Another seed alone moves one of the slice's few frauds, so two seeds stand for each way.
    clean_recall, _, trust_recall, naive_recall = (
        sum(way.recall_slice for way in ways) / len(ways) for ways in zip(*runs, strict=True)
    )
    assert trust_recall >= clean_recall - margin(runs[0][0].n_slice)
    assert naive_recall < clean_recall - 5 * margin(runs[0][0].n_slice)


@pytest.mark.slow
def test_trust_keeps_the_attacked_slice_although_every_lie_answers_the_lot(ground: Ground) -> None:
    clean, trust, naive = answers_drill(ground, 600, POLICY_FOR_ANSWERS)
    others = answers_drill(ground, 600, POLICY_FOR_ANSWERS, ways=["trust"], seed=8)
    for result in (clean, trust, naive, *others):
        print(result)
    lost = [a.recall_slice - b.recall_slice for a, b in ((clean, trust), others)]
    assert np.mean(lost) <= margin(clean.n_slice), "another seed alone moves one fraud"
    for result in (trust, others[1]):
        assert not (result.overall or result.harmed)

    assert naive.recall_slice < clean.recall_slice - 5 * margin(clean.n_slice)
    attacked = {finding.slice for finding in naive.harmed if finding.metric == "recall"}
    assert SLICE in attacked
