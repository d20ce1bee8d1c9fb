"""What the champion was taught, against what the dataset says now."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from fraud.feedback.events import Event, FlagEvent
from fraud.feedback.labels import Resolution
from fraud.feedback.trust import IN_QUARANTINE
from fraud.models.bundle import USES_FILE, Bundle
from fraud.models.provenance import read_uses
from fraud.records import Label
from fraud.registry import ModelRegistry
from fraud.retraining.base_labels import CONTRADICTED
from fraud.retraining.feedback_rows import LEFT_OUT
from fraud.retraining.policy import Situation
from fraud.retraining.uses import OUTWEIGHED

_OVER_CAPS = "over the weight caps"


def survey(
    champion: Bundle,
    registry: ModelRegistry,
    events: Sequence[Event],
    resolution: Resolution,
    revision: str | None,
    now: datetime,
) -> Situation:
    """Return the situation so far; alerts, the base table and force are the caller's to add."""
    taught, known = _taught(champion, events)
    new = [
        label
        for label in resolution.labels
        if taught.get(label.content_digest, label.label) is not label.label
        or label.content_digest not in known
    ]
    # What the base table's reports taught before its quarantine had passed is still there.
    young = {drop.content_digest for drop in resolution.dropped if drop.reason == IN_QUARANTINE}
    gone = set(taught) - {label.content_digest for label in resolution.labels} - young
    created = datetime.fromisoformat(str(champion.manifest["created_at"]))
    return Situation(
        n_labels=len(resolution.labels),
        n_new=len(new),
        n_new_frauds=sum(label.label is Label.FRAUD for label in new),
        n_gone=len(gone),
        n_waiting=len(young),
        age_days=(now - created).total_seconds() / 86_400,
        built=_built(champion, registry, revision, resolution),
    )


def _taught(champion: Bundle, events: Iterable[Event]) -> tuple[dict[str, Label | None], set[str]]:
    """Return what the champion was taught of each content, and the contents that hold no news for it."""
    path = champion.directory / USES_FILE
    uses = read_uses(path) if USES_FILE in champion.manifest["files"] else ()
    labels = {event.event_id: event.flag.label for event in events if isinstance(event, FlagEvent)}
    taught = {use.content_digest: labels.get(use.flag_id) for use in uses if use.used}
    settled = {*LEFT_OUT, OUTWEIGHED, _OVER_CAPS, CONTRADICTED}
    return taught, set(taught) | {use.content_digest for use in uses if use.reason in settled}


def _built(
    champion: Bundle, registry: ModelRegistry, revision: str | None, resolution: Resolution
) -> str | None:
    for manifest in [champion.manifest, *(version.manifest for version in registry.versions())]:
        feedback: Mapping[str, Any] = manifest["data"].get("feedback", {})
        # The same revision holds more labels once a quarantine has passed.
        n_decided = feedback.get("trust", {}).get("n_decided", len(resolution.labels))
        same = feedback.get("dataset_revision") == revision and n_decided == len(resolution.labels)
        if same and resolution.labels:
            return str(manifest["version"])
    return None


def labels_digest(resolution: Resolution) -> str:
    """Return the SHA-256 of what is believed: contents, labels and weights."""
    believed = [
        [label.content_digest, label.label.value, round(label.weight, 9)] for label in resolution.labels
    ]
    return digest_of(sorted(believed))


def digest_of(document: object) -> str:
    """Return the SHA-256 of a JSON document."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a base table's file, as its origin records it."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
