"""What a run made of every flag that it knew of."""

from collections.abc import Iterable
from datetime import datetime

from fraud.feedback.events import Event, FlagEvent
from fraud.feedback.labels import Resolution
from fraud.models.provenance import FlagUse
from fraud.retraining.feedback_rows import FeedbackRows

OUTWEIGHED = "counts as the opposite"
"""The reason of a flag whose content is trained on with the other label."""


def flag_uses(
    events: Iterable[Event], resolution: Resolution, rows: FeedbackRows, as_of: datetime
) -> tuple[FlagUse, ...]:
    """Return the use of each flag made until `as_of`; a withdrawn one is not mentioned.

    Parameters
    ----------
    resolution : the labels after all caps, and what was dropped on the way
    rows : what of the labels could be trained on
    """
    labels = {label.content_digest: label for label in resolution.labels}
    dropped = {drop.content_digest: drop.reason for drop in resolution.dropped}
    uses: dict[str, FlagUse] = {}
    for event in events:
        if not isinstance(event, FlagEvent) or event.recorded_at > as_of:
            continue
        digest = event.content_digest
        label = labels.get(digest)
        if label is None:
            reason, weight = dropped.get(digest), 0.0
        elif event.flag.prediction_id not in label.prediction_ids:
            reason, weight = "no prediction", 0.0
        elif digest in rows.left_out:
            reason, weight = rows.left_out[digest], 0.0
        elif event.flag.label is not label.label:
            reason, weight = OUTWEIGHED, 0.0
        else:
            reason, weight = "", label.weight
        if reason is not None:  # None: a withdrawal took its content out of the question
            uses[event.event_id] = FlagUse(event.event_id, digest, weight, reason)
    return tuple(uses.values())
