"""Consensus of many voters and a model: CROWDLAB for two classes, without a voters-by-contents matrix.

Source: Goh, Tkachenko, Mueller, "CROWDLAB: Supervised learning to infer consensus labels and quality scores
for data with multiple annotators", arXiv 2210.06812, equations 2 to 6, with the choices of cleanlab 2.9's
``get_label_quality_multiannotator(consensus_method="best_quality")``; tests/unit/feedback/test_crowdlab.py
holds its figures. cleanlab needs a dense matrix and loops over voters; with a pseudonym for each session that
is gigabytes, so votes are kept here as triples and memory grows with their number.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Int = NDArray[np.int64]
_SMALLEST = 1e-6


@dataclass(frozen=True, slots=True)
class Votes:
    """v votes on n contents by m voters, at most one per pair.

    Attributes
    ----------
    content, voter : int64 [v], positions
    fraud : int64 [v], 1 for a vote for fraud and 0 for legitimate
    model : float64 [n], the model's probability of fraud
    n_voters : m
    """

    content: Int
    voter: Int
    fraud: Int
    model: F64
    n_voters: int


@dataclass(frozen=True, slots=True)
class Consensus:
    """What voters and model together say.

    Attributes
    ----------
    probability : float64 [n], of fraud; NaN where all that several voted on is of one class, for then
        guessing that class makes no mistakes, and there is nothing to weigh anybody by
    agreement : float64 [m], share of a voter's fellow voters that said the same; NaN without any
    voter_weight : float64 [m]
    model_weight : float
    """

    probability: F64
    agreement: F64
    voter_weight: F64
    model_weight: float


def consensus(votes: Votes) -> Consensus | None:
    """Return the consensus; None where no content has two voters, for then nobody can be compared.

    The label is first the majority's, then the more probable one by the estimates made from the majority's,
    and the figures returned are made from that.
    """
    per_content = np.bincount(votes.content, minlength=len(votes.model))
    if not (per_content > 1).any():
        return None
    agreement = _agreement(votes, per_content)
    label = _majority(votes)
    for _ in range(2):
        if len(set(label[per_content > 1].tolist())) < 2:
            nothing = np.full(len(votes.model), np.nan)
            return Consensus(nothing, agreement, np.full(votes.n_voters, np.nan), np.nan)
        found = _estimate(votes, per_content, agreement, label)
        label = np.where(found.probability == 0.5, label, found.probability > 0.5).astype(np.int64)
    return found


def _majority(votes: Votes) -> Int:
    """Return the label of most votes; ties go to the model, then to the rarer class."""
    n = len(votes.model)
    for_fraud = np.bincount(votes.content, weights=votes.fraud, minlength=n)
    margin = 2 * for_fraud - np.bincount(votes.content, minlength=n)
    rarer = 2 * int(votes.fraud.sum()) <= len(votes.fraud)
    tie = np.where(votes.model == 0.5, rarer, votes.model > 0.5)
    return np.where(margin == 0, tie, margin > 0).astype(np.int64)


def _agreement(votes: Votes, per_content: Int) -> F64:
    """Return each voter's share of fellow votes that say the same (equation 5); NaN without a fellow."""
    for_fraud = np.bincount(votes.content, weights=votes.fraud, minlength=len(per_content))
    alike = np.where(
        votes.fraud == 1, for_fraud[votes.content], per_content[votes.content] - for_fraud[votes.content]
    )
    fellows = np.bincount(votes.voter, weights=per_content[votes.content] - 1, minlength=votes.n_voters)
    agreeing = np.bincount(votes.voter, weights=alike - 1, minlength=votes.n_voters)
    share = np.full(votes.n_voters, np.nan)
    np.divide(agreeing, fellows, out=share, where=fellows > 0)
    return share


def _estimate(votes: Votes, per_content: Int, agreement: F64, label: Int) -> Consensus:
    n = len(votes.model)
    shared = per_content > 1
    with_label = np.bincount(votes.content, weights=votes.fraud == label[votes.content], minlength=n)
    likelihood = float(np.mean(with_label[shared] / per_content[shared]))
    commonest = int(2 * label[shared].sum() > shared.sum())
    # What guessing the commonest label everywhere would get wrong: the yardstick of every weight.
    baseline = max(float(np.mean(label[shared] != commonest)), _SMALLEST)
    known = np.where(np.isnan(agreement), np.nanmean(agreement), agreement)
    weight = np.maximum(1 - (1 - known) / baseline, _SMALLEST)
    # argmax takes the first of two equal classes, so a model at exactly one half says legitimate.
    model_error = float(np.mean((votes.model[shared] > 0.5) != label[shared]))
    model_weight = max(1 - model_error / baseline, _SMALLEST) * float(np.sqrt(per_content.mean()))
    said = np.where(votes.fraud == 1, likelihood, 1 - likelihood) * weight[votes.voter]
    total = np.bincount(votes.content, weights=weight[votes.voter], minlength=n) + model_weight
    summed = np.bincount(votes.content, weights=said, minlength=n) + votes.model * model_weight
    return Consensus(summed / total, agreement, weight, model_weight)
