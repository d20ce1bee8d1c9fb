"""Whether a challenger may replace the champion: a paired comparison on the same held-out transactions."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fraud.models.evaluate import Estimate, Ranking

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """How much worse a challenger may be, with 95% confidence, and how much evidence is needed."""

    margin_ap: float = 0.02
    margin_f1: float = 0.02
    min_frauds: int = 50
    n_bootstrap: int = 500
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's answer with its reasons, in words an operator can act on."""

    passed: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alerts:
    """One model's held-out probabilities and its alert cut-off."""

    probability: F64
    threshold: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Challenger minus champion on the same rows: differences with 95% intervals from a paired bootstrap."""

    n_frauds: int
    difference_ap: Estimate
    difference_f1: Estimate

    def to_json(self) -> dict[str, object]:
        """Return a JSON object."""
        return {
            "n_frauds": self.n_frauds,
            "difference_ap": self.difference_ap.to_json(),
            "difference_f1": self.difference_f1.to_json(),
        }


def compare(labels: F64, champion: Alerts, challenger: Alerts, policy: GatePolicy) -> Comparison:
    """Return the paired differences; every replicate weighs both models' rows alike."""
    rankings = [Ranking.of(labels, alerts.probability) for alerts in (champion, challenger)]
    flagged = [(a.probability >= a.threshold).astype(np.float64) for a in (champion, challenger)]

    def difference(weights: F64) -> tuple[float, float]:
        ap = [ranking.auc_and_ap(weights)[1] for ranking in rankings]
        f1 = [_f1(labels, alerts, weights) for alerts in flagged]
        return ap[1] - ap[0], f1[1] - f1[0]

    rng = np.random.default_rng(policy.seed)
    draws = [difference(rng.poisson(1.0, len(labels)).astype(float)) for _ in range(policy.n_bootstrap)]
    replicates = np.array(draws)
    low, high = np.nanquantile(replicates, [0.025, 0.975], axis=0)
    point = difference(np.ones(len(labels)))
    ap, f1 = (Estimate(point[i], float(low[i]), float(high[i])) for i in range(2))
    return Comparison(int((labels == 1).sum()), ap, f1)


def judge(comparisons: Mapping[str, Comparison], policy: GatePolicy) -> Verdict:
    """Return whether every model of the challenger is at least about as good as the champion's."""
    refusals, grounds = [], []
    for name, comparison in comparisons.items():
        if comparison.n_frauds < policy.min_frauds:
            refusals.append(
                f"{name}: insufficient evidence: {comparison.n_frauds} frauds in the held-out window, "
                f"{policy.min_frauds} needed; widen the evaluation window"
            )
        for metric, estimate, margin in (
            ("average precision", comparison.difference_ap, policy.margin_ap),
            ("F1", comparison.difference_f1, policy.margin_f1),
        ):
            low = -np.inf if estimate.low is None else estimate.low
            text = f"{name}: {metric} changes by {estimate.value:+.4f} [{low:+.4f}, {estimate.high:+.4f}]"
            if low > -margin:
                improved = "; improved" if low > 0 else ""
                grounds.append(f"{text}, within the margin of {margin:g}{improved}")
            else:
                refusals.append(f"{text}: it may lose more than the margin of {margin:g}")
    return Verdict(not refusals, tuple(refusals or grounds))


def _f1(labels: F64, flagged: F64, weights: F64) -> float:
    total = float((weights * (flagged + labels)).sum())
    return 2 * float((weights * labels * flagged).sum()) / total if total else 0.0
