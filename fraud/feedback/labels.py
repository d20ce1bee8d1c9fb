"""Labels that flags have become, and a cap on what one reporter can weigh in training. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from fraud.errors import SettingsError
from fraud.records import Label, Prediction


@dataclass(frozen=True, slots=True)
class ResolvedLabel:
    """What one content was, by the votes known at `known_at`.

    `reporters` are those who voted for the label, sorted; `n_votes` counts all voters. `prediction` is the
    earliest one of this content, and `prediction_ids` are all that were flagged, sorted. `reviewed`: a
    maintainer accepted it; `in_base`: the base table knows it as the same; `asked`: the audit lot asked what
    it was. `reasons` say why it counts, how much.
    """

    content_digest: str
    prediction: Prediction
    label: Label
    weight: float
    n_votes: int
    known_at: datetime
    prediction_ids: tuple[str, ...]
    reporters: tuple[str, ...]
    reviewed: bool = False
    reasons: tuple[str, ...] = ()
    asked: bool = False
    in_base: bool = False

    @property
    def settled(self) -> bool:
        """Whether no cap holds it down: a maintainer accepted it, or the base table has it as fraud too.

        Of what the table has as legitimate somebody could flag as much as they like, in one slice.
        """
        return self.reviewed or (self.in_base and self.label is Label.FRAUD)


@dataclass(frozen=True, slots=True)
class DroppedLabel:
    """A content that has votes and no label, and why: "tied", "no prediction" beside its flags, and others.

    `detail` is what the reason leaves open, such as until when; `rejected` is the label that a review
    rejected.
    """

    content_digest: str
    reason: str
    n_votes: int
    detail: str = ""
    rejected: Label | None = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """Labels and what was dropped, each sorted by content digest; nothing that was flagged is missing."""

    labels: tuple[ResolvedLabel, ...]
    dropped: tuple[DroppedLabel, ...]


def cap_weights(
    labels: Sequence[ResolvedLabel], *, max_share_per_reporter: float = 0.2
) -> tuple[ResolvedLabel, ...]:
    """Return the labels with weights such that no reporter has more than a share of their total.

    A label's weight is contributed in equal parts by those who voted for it, and only the part of a reporter
    above the share is cut: a label that others back as well keeps their parts. Contributions above the level
    ``L`` that solves ``L = share * sum(min(contribution, L))`` are scaled down to it. With fewer than
    ``1 / share`` reporters no weights could meet the share, so it is then ``1 / n_reporters``.

    Raises
    ------
    SettingsError
        The share is not in (0, 1].
    """
    if not 0 < max_share_per_reporter <= 1:
        raise SettingsError(
            "The share of a reporter must be above 0 and at most 1.", field="max_share_per_reporter"
        )
    owed: dict[str, float] = defaultdict(float)
    for label in labels:
        for reporter in label.reporters:
            owed[reporter] += label.weight / len(label.reporters)
    level = _level(sorted(owed.values(), reverse=True), max_share_per_reporter)
    factor = {reporter: min(1.0, level / amount) if amount else 1.0 for reporter, amount in owed.items()}
    return tuple(
        replace(label, weight=label.weight * sum(factor[r] for r in label.reporters) / len(label.reporters))
        for label in labels
    )


def _level(descending: Sequence[float], share: float) -> float:
    """Return the level at which capping makes the largest contribution exactly `share` of the total."""
    if not descending:
        return 0.0
    share = max(share, 1.0 / len(descending))
    rest = sum(descending)
    for n_capped, amount in enumerate(descending):
        # With n capped at L: L = share * (n L + rest).
        level = share * rest / (1.0 - share * n_capped) if share * n_capped < 1.0 else descending[-1]
        if amount <= level:
            return level
        rest -= amount
    return descending[-1]
