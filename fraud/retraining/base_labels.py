"""What the base table itself says of flagged transactions, where it reaches as far as they do.

The table is evidence that no volunteer has: what was reported as fraud, and what the label delay passed over
in silence. A flag that agrees with it counts as the row of the table that it is about. One that calls a
reported fraud legitimate, which is what an attack says, is not used. One that calls fraud what nobody has
reported yet may be right: it counts by trust alone. A maintainer's finding stands over all of this.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

import numpy as np

from fraud.data.profile import Profile
from fraud.data.table import Transactions
from fraud.data.validate import validate_transaction
from fraud.errors import TransactionError
from fraud.feedback.events import Event
from fraud.feedback.labels import DroppedLabel, Resolution, ResolvedLabel
from fraud.feedback.trust import IN_QUARANTINE, TrustPolicy, decide
from fraud.models.split import Split
from fraud.records import Label
from fraud.retraining.feedback_rows import BaseRows

CONTRADICTED = "the base table reports it as fraud"


def heed_base(
    events: Iterable[Event],
    resolution: Resolution,
    base: Transactions,
    plan: Split,
    profile: Profile,
    policy: TrustPolicy,
    now: datetime,
) -> Resolution:
    """Return the resolution of events with what the base table knew by `now`, before any caps.

    Agreement also ends a quarantine. Labels in the held-out window stay as they are: they are trained on by
    nobody.
    """
    if not policy.heed_base:
        return resolution
    known = _KnownLabels(base, plan, profile, now)
    labels = {label.content_digest: label for label in resolution.labels}
    dropped = {drop.content_digest: drop for drop in resolution.dropped}
    young = {digest for digest, drop in dropped.items() if drop.reason == IN_QUARANTINE}
    ripe = decide(events, replace(policy, quarantine_days=0.0), as_of=now) if young else Resolution((), ())
    waiting = (label for label in ripe.labels if label.content_digest in young)
    for label in (*resolution.labels, *waiting):
        digest = label.content_digest
        said = None if label.reviewed else known.of(label)
        if said is label.label:
            dropped.pop(digest, None)
            labels[digest] = _agreed(label)
        elif said is Label.FRAUD:
            labels.pop(digest, None)
            detail = "; ".join(label.reasons)
            dropped[digest] = DroppedLabel(digest, CONTRADICTED, label.n_votes, detail)
    return Resolution(
        tuple(labels[digest] for digest in sorted(labels)),
        tuple(dropped[digest] for digest in sorted(dropped)),
    )


def _agreed(label: ResolvedLabel) -> ResolvedLabel:
    reason = f"the base table has it as {label.label} too: weight 1"
    return replace(label, weight=max(label.weight, 1.0), in_base=True, reasons=(*label.reasons, reason))


class _KnownLabels:
    """The labels of a base table that were known by a moment."""

    def __init__(self, base: Transactions, plan: Split, profile: Profile, now: datetime) -> None:
        known = base.known_at_ms <= int(now.timestamp() * 1000)
        self._labels = np.where(known, base.labels, np.nan)
        self._rows = BaseRows(base, plan, profile)
        self._profile = profile
        self._now = now

    def of(self, label: ResolvedLabel) -> Label | None:
        """Return what the table has the transaction of a label as; None where it does not say."""
        prediction = label.prediction
        if prediction.profile != self._profile.name:
            return None
        try:
            record = validate_transaction(self._profile, prediction.transaction, self._now)
        except TransactionError:
            return None
        rows, unfit = self._rows.place(record)
        if unfit is not None:
            return None
        found = set(self._labels[rows].tolist())
        # Rows of one content may differ, or be unknown: then the table does not say.
        return {frozenset({1.0}): Label.FRAUD, frozenset({0.0}): Label.LEGITIMATE}.get(frozenset(found))
