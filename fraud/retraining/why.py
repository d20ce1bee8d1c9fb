"""Why one flag counts in the next retraining, and how much."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from fraud.data.profile import Profile
from fraud.data.table import Transactions
from fraud.errors import NotFound
from fraud.feedback.caps import cap
from fraud.feedback.dataset import read_events
from fraud.feedback.events import FlagEvent
from fraud.feedback.trust import TrustPolicy, decide, explain_label
from fraud.models.bundle import load_bundle
from fraud.models.split import split
from fraud.registry import ModelRegistry
from fraud.repositories.port import VersionedRepository
from fraud.retraining.base_labels import heed_base
from fraud.retraining.feedback_rows import feedback_rows
from fraud.retraining.request import trust_policy
from fraud.retraining.slices import base_frauds


def why(
    flag_id: str,
    *,
    registry: ModelRegistry,
    artifacts: Path,
    dataset: VersionedRepository,
    revision: str | None,
    base: Callable[[Profile], tuple[Transactions, dict[str, Any]]],
    now: datetime,
    trust: TrustPolicy | None = None,
) -> tuple[str, ...]:
    """Return the reasons of a flag's weight, by the very steps that a retraining takes.

    Parameters
    ----------
    flag_id : a flag's id, which is its receipt
    revision, base, trust : as `fraud.retraining.job.retrain` takes them

    Raises
    ------
    NotFound
        The dataset is empty, or holds no such flag.
    """
    at = dataset.resolve(revision) if revision is not None else dataset.head()
    if at is None:
        raise NotFound("The dataset has no commits yet; nothing was flagged.", code="no_dataset")
    serving = registry.champion()
    champion = load_bundle(artifacts if serving is None else serving[1])
    profile = champion.profile
    events, _ = read_events(dataset, at)
    trust = trust_policy(profile) if trust is None else trust
    decided = decide(events, trust, as_of=now)
    explain_label(decided, events, flag_id)  # an unknown flag is not worth reading the base table
    transactions, _ = base(profile)
    plan = split(transactions, profile, int(champion.manifest["seed"]))
    settled = heed_base(events, decided, transactions, plan, profile, trust, now)
    capped = cap(settled, trust, base_frauds(transactions, plan, profile))
    reasons = explain_label(capped, events, flag_id)
    digests = {e.content_digest for e in events if isinstance(e, FlagEvent) and e.event_id == flag_id}
    for label in capped.labels:
        if label.content_digest in digests:
            unused = feedback_rows([label], transactions, plan, profile, now).unused
            reasons = (*reasons, *(f"but it is not trained on: {reason}" for reason in unused))
    return reasons
