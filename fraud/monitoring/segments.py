"""The same figures by segment: the profile's categories (channel, country, ...) and amount bands.

Fifty segments looked at every day find something every day. So a segment is judged only with evidence of its
own, its gap between realised and estimated F1 must be worth something, and the p-values of all segments of
all models are held to one false discovery rate (Benjamini and Hochberg 1995).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from fraud.data.profile import Profile
from fraud.data.table import Coded, Transactions
from fraud.monitoring.assessing import Reference, realised_performance, window_of
from fraud.monitoring.gap import Gap, gap_test
from fraud.monitoring.observations import Observations, Stretch
from fraud.monitoring.performance import RealisedPerformance
from fraud.monitoring.verdicts import EvidencePolicy, Health, Judgement, Reason, want_of_evidence

F64 = NDArray[np.float64]
Rows = NDArray[np.intp]
OTHER = "other"
MISSING = "missing"
AMOUNT_QUANTILES = (0.5, 0.9, 0.99)


@dataclass(frozen=True, slots=True)
class Segment:
    """Predictions that share a level of a column; `kind` says how to read `level`.

    Attributes
    ----------
    kind : "level" (a category's), "other" (the levels beyond the largest), "missing", "band" (an amount's,
        written "low..high": at least low, below high)
    """

    column: str
    level: str
    kind: str = "level"

    def to_json(self) -> dict[str, object]:
        """Return a JSON object."""
        return {"column": self.column, "level": self.level, "kind": self.kind}


@dataclass(frozen=True, slots=True)
class SegmentPolicy:
    """How finely the table is cut, and what an alert about a part of it takes.

    Attributes
    ----------
    most_levels : a column's largest levels that stand by themselves; the rest is one segment
    false_discovery_rate : over the judged segments of all models of a run
    margin : the least gap of F1 that is worth an alert: scores need not mean exactly the same everywhere
    """

    most_levels: int = 12
    false_discovery_rate: float = 0.05
    margin: float = 0.1
    evidence: EvidencePolicy = field(default_factory=EvidencePolicy)


@dataclass(frozen=True)
class SegmentAssessment:
    """One model in one segment; `adjusted_p` is the gap's p-value held to the false discovery rate."""

    segment: Segment
    model: str
    realised: RealisedPerformance
    gap: Gap | None
    adjusted_p: float | None
    judgement: Judgement

    def to_json(self) -> dict[str, object]:
        """Return a JSON object."""
        return {
            "segment": self.segment.to_json(),
            "model": self.model,
            "realised": self.realised.to_json(),
            "gap": None if self.gap is None else self.gap.to_json(),
            "adjusted_p": None if self.adjusted_p is None else round(self.adjusted_p, 6),
            "judgement": self.judgement.to_json(),
        }


def amount_edges(amounts: F64) -> tuple[float, ...]:
    """Return where amount bands end: the reference's 50th, 90th, 99th percentiles, rounded to two digits.

    Fixed by a reference, so that a band means the same in every window; half of the payments lie in the first
    band, and most of the money in the last two.
    """
    known = amounts[np.isfinite(amounts)]
    if len(known) == 0:
        return ()
    edges = [float(f"{edge:.2g}") for edge in np.quantile(known, AMOUNT_QUANTILES)]
    return tuple(sorted(set(edges)))


def segments(
    transactions: Transactions, profile: Profile, edges: Sequence[float], policy: SegmentPolicy
) -> dict[Segment, Rows]:
    """Return the rows of every segment that the profile defines and the transactions show.

    Parameters
    ----------
    edges : rising; amounts below the first, between each two, and from the last on
    """
    parts: dict[Segment, Rows] = {}
    for column in (f.column for f in profile.fields if f.kind == "category"):
        if column in transactions.texts:
            parts |= _levels(column, transactions.texts[column], policy.most_levels)
    amount = profile.columns.amount
    if amount is not None and amount in transactions.numbers:
        parts |= _bands(amount, transactions.numbers[amount], edges)
    return parts


def _levels(column: str, coded: Coded, most: int) -> dict[Segment, Rows]:
    counts = np.bincount(coded.codes[coded.codes >= 0], minlength=len(coded.values))
    # By size, then by name: the same levels stand alone whatever the order of the vocabulary.
    ranked = sorted(np.flatnonzero(counts).tolist(), key=lambda code: (-counts[code], coded.values[code]))
    parts = {Segment(column, coded.values[c]): np.flatnonzero(coded.codes == c) for c in ranked[:most]}
    if ranked[most:]:
        parts[Segment(column, OTHER, OTHER)] = np.flatnonzero(np.isin(coded.codes, ranked[most:]))
    missing = np.flatnonzero(coded.codes < 0)
    if len(missing):
        parts[Segment(column, MISSING, MISSING)] = missing
    return parts


def _bands(column: str, amounts: F64, edges: Sequence[float]) -> dict[Segment, Rows]:
    ends = [-np.inf, *edges, np.inf]
    parts = {}
    for low, high in pairwise(ends):
        rows = np.flatnonzero((amounts >= low) & (amounts < high))
        if len(rows):
            names = ("" if np.isinf(end) else f"{end:g}" for end in (low, high))
            parts[Segment(column, "..".join(names), "band")] = rows
    missing = np.flatnonzero(np.isnan(amounts))
    if len(missing):
        parts[Segment(column, MISSING, MISSING)] = missing
    return parts


def assess_segments(
    observations: Observations,
    profile: Profile,
    references: Mapping[str, Reference],
    edges: Sequence[float],
    policy: SegmentPolicy,
    stretch: Stretch | None = None,
) -> tuple[SegmentAssessment, ...]:
    """Return every segment's figures for every model with a reference, and what they amount to together.

    Parameters
    ----------
    observations : old enough to have labels (`audited.mature`)
    references : model -> what its scores mean
    stretch : what the observations are of; None takes days to be those of the calendar
    """
    found: list[tuple[Segment, str, RealisedPerformance, Gap | None, tuple[Reason, ...]]] = []
    for segment, rows in segments(observations.transactions, profile, edges, policy).items():
        part = observations.take(rows)
        for model, reference in references.items():
            realised = realised_performance(part, model, profile, reference, policy.evidence.answers, stretch)
            lacking = want_of_evidence(realised, policy.evidence)
            gap = None
            if not lacking:
                window = window_of(part, model, policy.evidence.answers)
                gap = gap_test(window, reference.meaning, level=policy.false_discovery_rate)
            found.append((segment, model, realised, gap, lacking))
    adjusted = iter(_adjusted([gap.p_value for *_, gap, _ in found if gap is not None]))
    result = []
    for segment, model, realised, gap, lacking in found:
        p = None if gap is None else next(adjusted)
        judgement = _judge(gap, p, lacking, policy)
        result.append(SegmentAssessment(segment, model, realised, gap, p, judgement))
    return tuple(result)


def _adjusted(p_values: Sequence[float]) -> list[float]:
    return [float(p) for p in false_discovery_control(list(p_values))] if p_values else []


def _judge(
    gap: Gap | None, adjusted_p: float | None, lacking: tuple[Reason, ...], policy: SegmentPolicy
) -> Judgement:
    if gap is None or adjusted_p is None:
        reasons = lacking or (Reason("no_estimate", {"figure": "gap"}),)
        return Judgement(Health.INSUFFICIENT_EVIDENCE, reasons)
    params: dict[str, object] = {
        **{name: value for name, value in gap.to_json().items() if name not in ("significant", "level")},
        "adjusted_p": round(adjusted_p, 6),
        "false_discovery_rate": policy.false_discovery_rate,
        "margin": policy.margin,
    }
    if adjusted_p > policy.false_discovery_rate or gap.gap >= -policy.margin:
        return Judgement(Health.HEALTHY, (Reason("as_estimated", params),))
    return Judgement(Health.ALERT, (Reason("below_estimate", params),))
