"""The consensus of voters and a model, held to cleanlab's figures (benchmarks/crowdlab_reference.py)."""

import json
from pathlib import Path

import numpy as np
import pytest

from fraud.feedback.crowdlab import Votes, consensus

CROWDS = json.loads(Path(__file__).with_name("crowdlab.json").read_text())


@pytest.mark.parametrize("crowd", CROWDS, ids=["two-hostile", "three-hostile", "honest"])
def test_the_figures_are_cleanlabs(crowd: dict) -> None:
    votes = (np.array(crowd[name]) for name in ("content", "voter", "fraud", "model"))
    found = consensus(Votes(*votes, crowd["n_voters"]))
    assert found is not None
    label = np.array(crowd["consensus_label"])
    quality = np.where(label == 1, found.probability, 1 - found.probability)
    np.testing.assert_allclose(quality, crowd["consensus_quality"], atol=1e-8)
    np.testing.assert_allclose(found.voter_weight, crowd["voter_weight"], atol=1e-8)
    assert found.model_weight == pytest.approx(crowd["model_weight"], abs=1e-8)


def crowd_of(n_hostile: int, n_voters: int = 8, n: int = 2_000) -> tuple[np.ndarray, Votes]:
    rng = np.random.default_rng(11)
    truth = (rng.random(n) < 0.4).astype(int)
    model = np.where(truth == 1, rng.beta(4, 2, n), rng.beta(2, 5, n))
    content, voter = np.nonzero(rng.random((n, n_voters)) < 0.6)
    honest = np.where(rng.random(len(content)) < 0.95, truth[content], 1 - truth[content])
    said = np.where(voter < n_hostile, 0, honest)  # whatever it was, a false alarm
    return truth, Votes(content, voter, said, model, n_voters)


def test_three_hostile_voters_of_eight_hardly_move_the_consensus() -> None:
    truth, votes = crowd_of(n_hostile=3)
    found = consensus(votes)
    assert found is not None
    for_fraud = np.bincount(votes.content, weights=2 * votes.fraud - 1, minlength=len(truth))
    by_majority = np.mean((for_fraud > 0) == truth)
    by_consensus = np.mean((found.probability > 0.5) == truth)
    print(f"accuracy: consensus {by_consensus:.3f}, majority {by_majority:.3f}")
    assert by_consensus > 0.95 > 0.9 > by_majority
    assert found.voter_weight[:3].max() < found.voter_weight[3:].min()


def test_voters_that_never_meet_cannot_be_compared() -> None:
    votes = Votes(np.arange(3), np.arange(3), np.ones(3, dtype=int), np.full(3, 0.5), 3)
    assert consensus(votes) is None


def test_where_all_is_of_one_class_nothing_can_be_weighed() -> None:
    votes = Votes(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.ones(4, dtype=int), np.full(2, 0.3), 2)
    found = consensus(votes)
    assert found is not None and np.isnan(found.probability).all()
    assert found.agreement.tolist() == [1.0, 1.0]


def test_a_voter_without_fellows_has_no_agreement_and_an_average_weight() -> None:
    votes = Votes(
        np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 2]), np.array([1, 1, 0, 0, 1]), np.full(3, 0.4), 3
    )
    found = consensus(votes)
    assert found is not None and np.isnan(found.agreement[2])
    assert found.voter_weight[2] == pytest.approx(found.voter_weight[:2].mean())
