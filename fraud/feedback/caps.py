"""What flags may weigh together in training, however many and whoever made them. Pure.

What is volunteered is held to the frauds of the base table: whoever volunteers chooses what to speak of.
Answers to the audit lot are held to what the lot would have asked about such a table
(docs/decisions/0034-answers-to-the-lot-in-training.md).
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from fraud.feedback.labels import DroppedLabel, Resolution, ResolvedLabel, cap_weights
from fraud.feedback.trust import TrustPolicy
from fraud.records import Decision, Label, Prediction

FLAGS, ANSWERS = "flags", "answers to the lot"
FRAUDS, ALARMS = 'answers that say "fraud"', "answers that call an alert false"
Group = tuple[str, float, Mapping[str, float]]
"""What is under one cap together: its reason, its limit, and the part of each label by content digest."""


@dataclass(frozen=True, slots=True)
class BaseFrauds:
    """What caps are measured against: the base table's training frauds and rows, in all and by slice.

    `slices_of` names the slices that a transaction lies in; a slice that `by_slice` and `rows_by_slice` do
    not know has none.
    """

    n: int
    by_slice: Mapping[str, int]
    n_rows: int
    rows_by_slice: Mapping[str, int]
    slices_of: Callable[[Prediction], Sequence[str]]


def cap(resolution: Resolution, policy: TrustPolicy, base: BaseFrauds) -> Resolution:
    """Return the resolution with unsettled weights held to the policy's caps; settled ones stay.

    A cap scales down everything under it alike, so that splitting a vote into many gains nothing; what falls
    below the least weight is thinned out to it, evenly over slices.
    """
    open_labels = [_answered(label, policy) for label in resolution.labels if not label.settled]
    shared = cap_weights(open_labels, max_share_per_reporter=policy.max_share_per_reporter)
    for_all = f"a reporter may have {policy.max_share_per_reporter:.0%} of what unreviewed flags weigh"
    capped = {
        new.content_digest: _noted(old, new.weight, for_all)
        for old, new in zip(open_labels, shared, strict=True)
    }
    for reason, limit, parts in _groups(capped, policy, base):
        _apply(capped, reason, limit, parts)
    kept = {label.content_digest: label for label in resolution.labels if label.settled}
    before = {label.content_digest: label.weight for label in open_labels}
    kept |= _thinned(capped, before, policy.least_weight, base)
    labels = tuple(kept[item.content_digest] for item in resolution.labels if item.content_digest in kept)
    thinned = [
        DroppedLabel(item.content_digest, "over the weight caps", item.n_votes, "; ".join(item.reasons))
        for item in capped.values()
        if item.content_digest not in kept
    ]
    dropped = sorted((*resolution.dropped, *thinned), key=lambda item: item.content_digest)
    return Resolution(labels, tuple(dropped))


def _answered(label: ResolvedLabel, policy: TrustPolicy) -> ResolvedLabel:
    """Return a label with the weight that an answer to the lot has; others as they are."""
    if not label.asked or label.weight >= policy.quorum_weight or policy.lone_weight == 0:
        return label
    # Without a quorum the weight is the lone weight times the reporters' agreement.
    weight = policy.asked_weight * label.weight / policy.lone_weight
    if weight <= label.weight:
        return label
    reason = f"it answers the audit lot, which nobody can choose: weight {weight:.3g}"
    return replace(label, weight=weight, reasons=(*label.reasons, reason))


def _groups(labels: Mapping[str, ResolvedLabel], policy: TrustPolicy, base: BaseFrauds) -> list[Group]:
    """Return the caps that hold, in the order in which they apply."""
    by_reporter: dict[str, dict[str, float]] = defaultdict(dict)
    by_slice: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    in_all: dict[str, dict[str, float]] = defaultdict(dict)
    for digest, label in labels.items():
        for reporter in label.reporters:
            by_reporter[reporter][digest] = 1 / len(label.reporters)
        for what in _kinds(label):
            in_all[what][digest] = 1.0
            for name in base.slices_of(label.prediction):
                by_slice[name, what][digest] = 1.0
    limit = _limit(policy.max_per_reporter, base.n)
    groups: list[Group] = [
        (f"one reporter may weigh {limit:g} rows", limit, by_reporter[r]) for r in sorted(by_reporter)
    ]
    for name, what in sorted(by_slice):
        limit = _of_slice(what, name, policy, base)
        groups.append((f"{what} on {name} may weigh {limit:g} rows", limit, by_slice[name, what]))
    for what, limit in (
        (FLAGS, _limit(policy.max_in_all, base.n)),
        (FRAUDS, _limit(policy.max_asked_frauds, base.n)),
        (ANSWERS, _limit(policy.max_asked, base.n_rows)),
    ):
        groups.append((f"all unreviewed {what} together may weigh {limit:g} rows", limit, in_all[what]))
    return groups


def _kinds(label: ResolvedLabel) -> tuple[str, ...]:
    """Return under which caps by slice and in all a label falls."""
    if not label.asked and not label.in_base:
        return (FLAGS,)
    if label.label is Label.FRAUD:
        return ANSWERS, FRAUDS
    alerted = any(s.decision is not Decision.APPROVE for s in label.prediction.scores.values())
    return (ANSWERS, ALARMS) if alerted else (ANSWERS,)


def _of_slice(what: str, name: str, policy: TrustPolicy, base: BaseFrauds) -> float:
    frauds = base.by_slice.get(name, 0)
    limits = {
        FLAGS: _limit(policy.max_per_slice, frauds),
        ANSWERS: _limit(policy.max_asked, base.rows_by_slice.get(name, 0)),
        ALARMS: _limit(policy.max_asked_alarms, frauds),
    }
    return limits.get(what, math.inf)


def _limit(share: float, n: int) -> float:
    """Return a cap in rows: never below one row's, and none where the share is infinite, even of nothing."""
    return math.inf if share == math.inf else max(1.0, share * n)


def _apply(labels: dict[str, ResolvedLabel], reason: str, limit: float, parts: Mapping[str, float]) -> None:
    """Scale the part of each label's weight that falls under a cap, in place."""
    total = sum(labels[digest].weight * part for digest, part in parts.items())
    if total <= limit * (1 + 1e-12):
        return
    factor = limit / total
    for digest, part in parts.items():
        label = labels[digest]
        labels[digest] = _noted(label, label.weight * (1 - part * (1 - factor)), reason)


def _thinned(
    labels: Mapping[str, ResolvedLabel], before: Mapping[str, float], least: float, base: BaseFrauds
) -> dict[str, ResolvedLabel]:
    """Return the labels that stay: of those capped below `least`, one for each `least` of their weight.

    Systematic sampling in the order of slices: no slice weighs more than before by over one `least`, however
    the contents were chosen.
    """
    small = [d for d, label in labels.items() if label.weight < min(least, before[d])]
    thinned = set(small)
    kept = {digest: label for digest, label in labels.items() if digest not in thinned}
    small.sort(key=lambda digest: (tuple(base.slices_of(labels[digest].prediction)), digest))
    owed = 0.0
    for digest in small:
        owed += labels[digest].weight
        weight = min(least, before[digest])
        if owed >= weight:
            owed -= weight
            reason = f"it stands for others that the caps left out: weight {weight:.3g}"
            label = labels[digest]
            kept[digest] = replace(label, weight=weight, reasons=(*label.reasons, reason))
    return kept


def _noted(label: ResolvedLabel, weight: float, reason: str) -> ResolvedLabel:
    if weight >= label.weight:
        return label
    return replace(label, weight=weight, reasons=(*label.reasons, f"{reason}: weight {weight:.3g}"))
