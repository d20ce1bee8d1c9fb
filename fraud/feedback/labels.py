"""Flags become training labels: one vote per reporter and content, strict majority, capped weight. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from fraud.errors import SettingsError
from fraud.feedback.events import Event, FlagEvent, PredictionEvent, WithdrawalEvent
from fraud.records import Label, Prediction

MAX_WEIGHT: Final = 2.0
WEIGHT_PER_EXTRA_VOTE: Final = 0.5


@dataclass(frozen=True, slots=True)
class ResolvedLabel:
    """What one content was, by the votes known at `known_at`.

    `reporters` are those who voted for the label, sorted; `n_votes` counts all voters. `prediction` is the
    earliest one of this content, and `prediction_ids` are all that were flagged, sorted. `reviewed`: a
    maintainer accepted it. `reasons` say why it counts, and how much.
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


@dataclass(frozen=True, slots=True)
class DroppedLabel:
    """A content that has votes and no label, and why: "tied", "no prediction" beside its flags, and others.

    `detail` is what the reason leaves open, such as until when.
    """

    content_digest: str
    reason: str
    n_votes: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Resolution:
    """Labels and what was dropped, each sorted by content digest; nothing that was flagged is missing."""

    labels: tuple[ResolvedLabel, ...]
    dropped: tuple[DroppedLabel, ...]


def resolve_labels(events: Iterable[Event], *, as_of: datetime) -> Resolution:
    """Return the labels that were known at `as_of`; later events have no influence, but for withdrawals.

    A withdrawn flag is used for nothing, even as of a time before it was withdrawn.
    One vote per reporter and content: the latest counts. A flag counts only beside its own prediction, and
    only for that content. A strict majority of reporters decides, and a tie is dropped. The weight is
    ``min(2, 1 + 0.5 * (margin - 1))``, where the margin is the votes for the label less the votes against:
    one undisputed vote weighs 1, three weigh 2, and two against one weigh 1 again.
    """
    predictions: dict[str, PredictionEvent] = {}
    flags: dict[str, list[FlagEvent]] = defaultdict(list)
    known = list(events)
    withdrawn = {event.withdrawal.flag_id for event in known if isinstance(event, WithdrawalEvent)}
    for event in known:
        if event.recorded_at > as_of:
            continue
        if isinstance(event, PredictionEvent):  # a withdrawn one is here only as the copy beside a flag
            predictions[event.event_id] = event
        elif event.event_id in withdrawn:
            continue
        elif isinstance(event, FlagEvent):
            flags[event.content_digest].append(event)
    labels: list[ResolvedLabel] = []
    dropped: list[DroppedLabel] = []
    for digest in sorted(flags):
        outcome = _resolve_one(digest, flags[digest], predictions)
        if isinstance(outcome, ResolvedLabel):
            labels.append(outcome)
        else:
            dropped.append(outcome)
    return Resolution(tuple(labels), tuple(dropped))


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


def _resolve_one(
    digest: str, flags: Sequence[FlagEvent], predictions: Mapping[str, PredictionEvent]
) -> ResolvedLabel | DroppedLabel:
    # A flag that names the prediction of another content would let one content vote for another.
    backed = [event for event in flags if _shown(event, predictions) is not None]
    if not backed:
        return DroppedLabel(digest, "no prediction", len({event.flag.reporter for event in flags}))
    votes: dict[str, FlagEvent] = {}
    for event in sorted(backed, key=lambda item: (item.recorded_at, item.event_id)):
        votes[event.flag.reporter] = event
    prediction_ids = tuple(sorted({event.flag.prediction_id for event in backed}))
    shown = [predictions[name] for name in prediction_ids]
    sides = {label: [vote for vote in votes.values() if vote.flag.label is label] for label in Label}
    label = max(Label, key=lambda side: len(sides[side]))
    margin = 2 * len(sides[label]) - len(votes)
    if margin <= 0:
        return DroppedLabel(digest, "tied", len(votes))
    return ResolvedLabel(
        content_digest=digest,
        prediction=min(shown, key=lambda item: (item.recorded_at, item.event_id)).prediction,
        label=label,
        weight=min(MAX_WEIGHT, 1.0 + WEIGHT_PER_EXTRA_VOTE * (margin - 1)),
        n_votes=len(votes),
        known_at=max(vote.recorded_at for vote in sides[label]),
        prediction_ids=prediction_ids,
        reporters=tuple(sorted(vote.flag.reporter for vote in sides[label])),
    )


def _shown(event: FlagEvent, predictions: Mapping[str, PredictionEvent]) -> PredictionEvent | None:
    shown = predictions.get(event.flag.prediction_id)
    return shown if shown is not None and shown.content_digest == event.content_digest else None


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
