"""The gap between realised and estimated F1: the alarm for concept drift.

If scores still mean what they meant on held-out data, the answers of the audit sample are what those scores
make likely. So the test asks how often labels drawn from the scores, for exactly the predictions that were
answered, would give an audited F1 as low as the one that was found (a Monte Carlo test: Dwass 1957;
Davison and Hinkley, "Bootstrap Methods and their Application", 1997, ch. 4). Both errors are in it: that of
the estimate (what scores mean is drawn from how well it is known) and that of the sample (its own weights,
whose rarity no normal interval gets right). No figure needs to be approximately normal, so the level holds
with few frauds too; few frauds only make it blind.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from fraud.monitoring.audited import AuditedWindow
from fraud.monitoring.believing import answer_error
from fraud.monitoring.estimated import Meaning
from fraud.monitoring.opinions import least_favourable

F64 = NDArray[np.float64]
_CELLS = 2_000_000


@dataclass(frozen=True, slots=True)
class Gap:
    """Realised minus estimated F1.

    Attributes
    ----------
    gap : negative where the model does worse than its scores promise
    realised : with no claim of a missed fraud that waits for a second opinion
    low : what the gap of all but a share `level` of windows exceeds while scores keep their meaning
    p_value : one-sided; the gap is significant where it is at most `level`
    n_awaiting : claims of missed frauds that do not count for want of a second opinion
    answer_error : the rate of wrong answers up to which the level holds
    """

    realised: float
    estimated: float
    gap: float
    low: float
    p_value: float
    level: float
    n_answers: int
    n_frauds: int
    n_awaiting: int = 0
    answer_error: float = 0.0

    @property
    def significant(self) -> bool:
        """Whether scores have ceased to mean what they meant, at the level."""
        return self.p_value <= self.level

    def to_json(self) -> dict[str, object]:
        """Return a JSON object with six significant decimals."""
        numbers = ("realised", "estimated", "gap", "low", "p_value", "level", "answer_error")
        rounded: dict[str, object] = {name: round(getattr(self, name), 6) for name in numbers}
        counts = {name: getattr(self, name) for name in ("n_answers", "n_frauds", "n_awaiting")}
        return rounded | counts | {"significant": self.significant}


def gap_test(
    window: AuditedWindow, meaning: Meaning, *, level: float = 0.03, n_draws: int = 1999, seed: int = 7
) -> Gap | None:
    """Return the gap and its test; None where alerts or the rest were not answered for at all.

    The p-value is ``(1 + #{F* <= F}) / (n_draws + 1)``: doing better than promised raises no alarm.
    """
    n_awaiting, error = int(window.awaiting.sum()), answer_error(window).used
    weighty, window = window.weighty, window.without_claims()
    alerted = window.alerted[window.rows]
    sides = ((window.alerted.any(), alerted.any()), (not window.alerted.all(), (~alerted).any()))
    if any(exists and not answered for exists, answered in sides):
        return None
    hit, miss = _hit_weights(window, alerted), np.where(alerted, 0.0, window.weight)
    alerts = int(window.alerted.sum())

    def f1(labels: F64) -> F64:
        hits, total = hit @ labels, hit @ labels + miss @ labels + alerts
        return np.asarray(np.divide(2 * hits, total, out=np.zeros_like(total), where=total > 0))

    rng = np.random.default_rng(seed)
    design = meaning.design(window.probability[window.rows])
    null = np.empty(n_draws)
    step = max(1, _CELLS // max(1, len(design)))  # a million answers times 1,999 draws fit in no memory
    thetas = meaning.draws(n_draws, rng)
    for first in range(0, n_draws, step):
        promised = expit(design @ thetas[first : first + step].T)
        chances = least_favourable(promised, error, alerted=alerted, weighty=weighty)
        null[first : first + step] = f1((rng.random(chances.shape) < chances).astype(np.float64))
    realised = float(f1(window.labels[:, None])[0])
    expected = meaning(window.probability)
    hoped = float(expected[window.alerted].sum())
    total = alerts + float(expected.sum())
    estimated = 2 * hoped / total if total > 0 else 0.0
    return Gap(
        realised=realised,
        estimated=estimated,
        gap=realised - estimated,
        low=float(np.quantile(null, level)) - estimated,
        # A tie is as far out; the tolerance keeps equal labels equal whatever the order of a sum.
        p_value=(1 + int((null <= realised + 1e-12).sum())) / (n_draws + 1),
        level=level,
        n_answers=len(window.rows),
        n_frauds=int(window.labels.sum()),
        n_awaiting=n_awaiting,
        answer_error=error,
    )


def _hit_weights(window: AuditedWindow, alerted: NDArray[np.bool_]) -> F64:
    """Return what each answer, if a fraud, adds to the hits, as `performance.frauds_among` estimates."""
    excess = np.where(alerted, window.weight - 1, 0.0)
    unknown = int(window.alerted.sum()) - int(alerted.sum())
    total = float(excess.sum())
    return np.where(alerted, 1.0, 0.0) + (unknown * excess / total if total > 0 else 0.0)
