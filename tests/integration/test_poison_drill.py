"""Hostile flags on one slice: what trust keeps and what naivety costs (in full: benchmarks/poison.py)."""

import pytest

from benchmarks.poison import drill, small_profile
from fraud.retraining.gate import GatePolicy


@pytest.mark.slow
def test_trust_keeps_the_attacked_slices_recall_and_believing_everybody_does_not() -> None:
    profile = small_profile(n_transactions=80_000, days=120, test_days=45, trees=25, rounds=80)
    clean, trust, naive = drill(profile, n_flags=600)
    for result in (clean, trust, naive):
        print(result)
    # The margin, or one fraud where the slice has so few that one is more than the margin.
    margin = max(GatePolicy().margin_f1, 1 / clean.n_slice)
    assert trust.recall_slice >= clean.recall_slice - margin
    assert naive.recall_slice < clean.recall_slice - 5 * margin
    assert trust.weight < 10 < 200 < naive.weight
