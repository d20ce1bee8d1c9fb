"""From costs and reviewers' capacity to the two cut-offs of a model."""

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import DAY_MS, Costs
from fraud.records import Thresholds

F64 = NDArray[np.float64]


def choose_thresholds(
    probability: F64, time_ms: NDArray[np.int64] | None, average_fraud: float, costs: Costs
) -> Thresholds:
    """Return the cheapest cut-offs that the reviewers can keep up with.

    A review pays when it is expected to save more than it costs, p * loss > review, hence p > review / loss
    (Elkan, "The foundations of cost-sensitive learning", IJCAI 2001), where loss is the share of an average
    fraud that is not recovered plus the fee. Where that would raise more alerts a day than the budget, the
    cut-off is the budget's. Declining pays when the expected friction is below a review's cost,
    (1 - p) * friction < review.

    Parameters
    ----------
    probability : calibrated, float64 [n], of a slice later than the training data
    time_ms : epoch ms [n], to count the slice's days; None: the alert budget is not applied
    average_fraud : mean amount of a fraud, in the profile's currency
    """
    loss = (costs.average_fraud or average_fraud) * costs.loss_share + costs.fraud_fee
    review = min(0.999, costs.review / max(loss, costs.review))
    if costs.alerts_per_day is not None and time_ms is not None and len(time_ms):
        days = max(1.0, float(time_ms.max() - time_ms.min()) / DAY_MS)
        capacity = int(costs.alerts_per_day * days)
        if capacity < len(probability):
            review = max(review, _between(probability, capacity))
    decline = max(1.0 - costs.review / costs.friction, review)
    return Thresholds(review=float(review), decline=float(decline))


def _between(probability: F64, n_above: int) -> float:
    """Return a cut-off with `n_above` scores from it on, fewer where scores tie.

    Half-way to the next score, so that no decision hangs on the last digit of a score.
    """
    first_over = float(np.partition(probability, -n_above - 1)[-n_above - 1])
    higher = probability[probability > first_over]
    if not len(higher):
        return min(1.0, first_over * (1 + 1e-9))
    half_way = first_over + (float(higher.min()) - first_over) / 2
    return max(half_way, float(np.nextafter(first_over, 1.0)))
