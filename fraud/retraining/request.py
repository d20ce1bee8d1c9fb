"""What a retraining run is asked to do, and what it came to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from fraud.data.profile import Profile
from fraud.data.table import Transactions
from fraud.feedback.dataset import read_events
from fraud.feedback.events import Event
from fraud.feedback.labels import Resolution
from fraud.feedback.trust import TrustPolicy, decide
from fraud.models.estimators import ForestEngine
from fraud.registry import ModelRegistry
from fraud.repositories.port import VersionedRepository
from fraud.retraining.gate import GatePolicy, Verdict
from fraud.retraining.policy import RetrainPolicy

Progress = Callable[[str], None]
Base = Callable[[Profile], tuple[Transactions, dict[str, Any]]]
Notify = Callable[[str, Mapping[str, object], datetime, str], object]


class Promote(Protocol):
    """Makes a version the champion."""

    def __call__(self, version: str, /, *, expected: int | None) -> object:
        """Promote it; RepositoryError with code DECIDED_MEANWHILE if somebody decided since `expected`."""


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Attributes
    ----------
    verdict : the gate's, None if nothing was trained
    reasons : why it was, or was not, trained; then why it was, or was not, let through
    version : the recorded challenger, None if nothing was recorded
    promoted : whether that version serves now
    report : the directory of the gate's report
    overruled : what to say where somebody's decision came before the promotion; "" elsewhere
    """

    verdict: Verdict | None
    reasons: tuple[str, ...]
    version: str | None = None
    promoted: bool = False
    dataset_revision: str | None = None
    n_labels: int = 0
    unused: Mapping[str, int] = field(default_factory=dict)
    report: Path | None = None
    overruled: str = ""

    @property
    def nothing_to_do(self) -> bool:
        """Whether nothing was trained, because nothing was due."""
        return self.verdict is None

    @property
    def refused(self) -> bool:
        """Whether the gate refused."""
        return self.verdict is not None and not self.verdict.passed


def trust_policy(profile: Profile, quarantine_days: float | None = None) -> TrustPolicy:
    """Return the default policy; a flag waits as long as a label of the profile does, unless it is said."""
    days = profile.features.label_delay_days if quarantine_days is None else quarantine_days
    return TrustPolicy(quarantine_days=days)


@dataclass(frozen=True)
class Request:
    """Everything a run is asked to do, and with what.

    Attributes
    ----------
    runs : directory of the run directories and of the gold record
    revision : dataset revision (sha or tag); None takes the head
    base : returns the training table of a profile and its origin, as `load_transactions` does
    base_digest : SHA-256 of a base table that was named, None for the profile's own source
    now : the moment that flags are judged at
    firing : keys of the monitoring alerts that fire
    force : train whatever the policy says
    promote : makes a version the champion and tells of it, at least once; None leaves it a challenger
    who : named in the registry's audit as who recorded the challenger
    newest_cut_off : serve at the cut-offs that the newest traffic of the base table sets, where it reaches
        beyond the held-out window; else at those that the challenger was judged at
    forest_engine : what grows the random forest, as `fit_random_forest` takes it
    keep_runs : how many runs that are over keep their directories; unfinished ones always do
    trust : which flags count; None for the default, with the profile's label delay as the quarantine
    notify : told of a refusal, as (event type, data, moment, message id); at least once, under one id
    """

    registry: ModelRegistry
    artifacts: Path
    dataset: VersionedRepository
    runs: Path
    base: Base
    now: datetime
    revision: str | None = None
    base_digest: str | None = None
    firing: Sequence[str] = ()
    force: bool = False
    promote: Promote | None = None
    who: str = ""
    newest_cut_off: bool = True
    forest_engine: ForestEngine = "auto"
    policy: RetrainPolicy = RetrainPolicy()  # noqa: RUF009 (frozen)
    gate: GatePolicy = GatePolicy()  # noqa: RUF009 (frozen)
    trust: TrustPolicy | None = None
    keep_runs: int = 100
    language: str = "en"
    notify: Notify = lambda event, data, at, message_id: None
    progress: Progress = lambda message: None


@dataclass(frozen=True)
class Believed:
    """The dataset at one revision, and what its flags are believed to say as of a moment."""

    revision: str | None
    events: Sequence[Event]
    resolution: Resolution


def believe(request: Request, trust: TrustPolicy, revision: str | None, as_of: datetime) -> Believed:
    """Return what the dataset says at a revision (None: the head), as of a moment."""
    at = request.dataset.head() if revision is None else request.dataset.resolve(revision)
    events = [] if at is None else read_events(request.dataset, at)[0]
    return Believed(at, events, decide(events, trust, as_of=as_of))


def dropped(resolution: Resolution) -> dict[str, int]:
    """Return how many contents were dropped for each reason."""
    reasons = [d.reason for d in resolution.dropped]
    return {reason: reasons.count(reason) for reason in sorted(set(reasons))}
