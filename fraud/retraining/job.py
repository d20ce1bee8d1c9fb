"""One retraining run: feedback in, a recorded challenger or a refusal with reasons out."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fraud.data.profile import Profile
from fraud.data.table import Transactions
from fraud.features.history import History
from fraud.feedback.dataset import read_events
from fraud.feedback.labels import Resolution
from fraud.feedback.trust import TrustPolicy, cap, decide
from fraud.models.bundle import Bundle, load_bundle
from fraud.models.bundle_writer import write_bundle
from fraud.models.estimators import ForestEngine
from fraud.models.examples import choose_examples
from fraud.models.provenance import FlagUse
from fraud.models.split import split
from fraud.models.train import Training, train
from fraud.models.versioning import recipe as recipe_digests
from fraud.records import MODELS
from fraud.registry import ModelRegistry
from fraud.repositories.port import VersionedRepository
from fraud.retraining.feedback_rows import feedback_rows
from fraud.retraining.gate import Alerts, Comparison, GatePolicy, Verdict, compare, judge
from fraud.retraining.slices import base_frauds
from fraud.retraining.uses import flag_uses

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What a run came to. `version` is the recorded challenger, None if nothing was recorded."""

    verdict: Verdict
    version: str | None
    dataset_revision: str | None
    n_labels: int
    unused: Mapping[str, int]
    comparisons: Mapping[str, Comparison]

    @property
    def nothing_to_do(self) -> bool:
        """Whether the champion already knows everything the dataset says."""
        return self.verdict.passed and self.version is None


def ensure_champion(registry: ModelRegistry, artifacts: Path) -> tuple[str, Path]:
    """Return the champion's (revision, directory), recording the shipped artifacts as the first if needed."""
    return registry.ensure_champion(artifacts)


def retrain(
    *,
    registry: ModelRegistry,
    artifacts: Path,
    dataset: VersionedRepository,
    revision: str | None,
    base: Callable[[Profile], tuple[Transactions, dict[str, Any]]],
    now: datetime,
    force: bool = False,
    policy: GatePolicy = GatePolicy(),  # noqa: B008 (frozen)
    trust: TrustPolicy | None = None,
    forest_engine: ForestEngine = "auto",
    progress: Progress = lambda message: None,
) -> Outcome:
    """Train a challenger on the base data and the feedback, and record it if the gate lets it pass.

    Parameters
    ----------
    revision : dataset revision (sha or tag); None takes the head
    base : returns the training table of a profile and its origin, as `load_transactions` does
    trust : which flags count; None for the default, with the profile's label delay as the quarantine
    forest_engine : what grows the random forest, as `fit_random_forest` takes it
    force : train even where a recorded version was built from the same dataset revision

    Raises
    ------
    NotFound
        The named revision does not exist.
    BundleRefused
        The champion, or what was just trained, is not sound.
    """
    serving = registry.champion()
    champion = load_bundle(artifacts if serving is None else serving[1], registry.trusted)
    head = dataset.head()
    at = dataset.resolve(revision) if revision is not None else head
    trust = trust_policy(champion.profile) if trust is None else trust
    events = [] if at is None else read_events(dataset, at)[0]
    resolution = decide(events, trust, as_of=now)
    reason = _no_need(champion, registry, at, resolution, force)
    if reason is not None:
        unused = _dropped(resolution)
        return Outcome(Verdict(True, (reason,)), None, at, len(resolution.labels), unused, {})
    profile = champion.profile
    progress(f"{len(resolution.labels):,} labels at dataset revision {(at or 'none')[:12]}")
    transactions, origin = base(profile)
    seed = int(champion.manifest["seed"])  # another one would deal other rows into a random held-out part
    plan = split(transactions, profile, seed)
    capped = cap(resolution, trust, base_frauds(transactions, plan, profile))
    rows = feedback_rows(capped.labels, transactions, plan, profile, now)
    training = train(
        rows.base,
        profile,
        seed=seed,
        additions=rows.additions,
        plan=plan,
        forest_engine=forest_engine,
        progress=progress,
    )
    comparisons = _compare(champion, training, policy)
    verdict = judge(comparisons, policy)
    unused = dict(rows.unused) | _dropped(capped)
    outcome = Outcome(verdict, None, at, rows.n_used, unused, comparisons)
    if not verdict.passed:
        return outcome
    recipe = {
        "dataset_revision": at,
        "n_labels": rows.n_used,
        "unused": unused,
        "trust": _trust_record(trust, resolution, capped),
        "champion": champion.version,
        "gate": {name: c.to_json() for name, c in comparisons.items()},
        "reasons": list(verdict.reasons),
    }
    ensure_champion(registry, artifacts)  # a rollback from the challenger must find what serves today
    uses = flag_uses(events, capped, rows, now)
    version = _record(registry, training, origin | {"feedback": recipe}, rows.n_used, uses)
    return Outcome(verdict, version, at, rows.n_used, unused, comparisons)


def trust_policy(profile: Profile, quarantine_days: float | None = None) -> TrustPolicy:
    """Return the default policy; a flag waits as long as a label of the profile does, unless it is said."""
    days = profile.features.label_delay_days if quarantine_days is None else quarantine_days
    return TrustPolicy(quarantine_days=days)


def _no_need(
    champion: Bundle, registry: ModelRegistry, revision: str | None, resolution: Resolution, force: bool
) -> str | None:
    if force:
        return None
    if not resolution.labels:
        waiting = sum(drop.reason == "in quarantine" for drop in resolution.dropped)
        hint = f"; {waiting} wait in quarantine, which --quarantine-days 0 ends" if waiting else ""
        return f"the dataset holds no label that can be used yet{hint}"
    known = [champion.manifest, *(v.manifest for v in registry.versions())]
    for manifest in known:
        feedback = manifest["data"].get("feedback", {})
        # The same revision holds more labels once a quarantine has passed.
        n_decided = feedback.get("trust", {}).get("n_decided", len(resolution.labels))
        if feedback.get("dataset_revision") == revision and n_decided == len(resolution.labels):
            return (
                f"version {manifest['version']} was already built from this dataset revision; "
                "use --force to build another"
            )
    return None


def _compare(champion: Bundle, training: Training, policy: GatePolicy) -> dict[str, Comparison]:
    """Score the champion on the challenger's held-out window and compare, model by model."""
    profile, plan = champion.profile, training.split
    history = History.of(training.transactions, profile) if profile.features.history else None
    test = training.transactions.take(plan.test)
    features = champion.pipeline.transform(test, history)
    comparisons = {}
    for name in MODELS:
        old, new = champion.models[name], training.models[name]
        probability = old.calibration(old.forest.probability(features))
        comparisons[name] = compare(
            test.labels,
            Alerts(probability, old.thresholds.review),
            Alerts(new.test_probability, new.thresholds.review),
            policy,
        )
    return comparisons


def _record(
    registry: ModelRegistry,
    training: Training,
    origin: dict[str, Any],
    n_used: int,
    uses: Sequence[FlagUse],
) -> str:
    parameters = {name: dict(getattr(training.profile.models, name)) for name in MODELS}
    plan = registry.plan(recipe_digests(training.profile, training.pipeline.names, parameters))
    version = plan.version
    with tempfile.TemporaryDirectory(prefix="fraud-challenger-") as scratch:
        directory = Path(scratch) / "bundle"
        write_bundle(
            training,
            directory,
            version=version,
            data_source=origin,
            examples=choose_examples(training),
            uses=uses,
            notes=plan.notes,
        )
        registry.record(directory, f"Record {version} trained with {n_used} labels from feedback")
    registry.set_challenger(version)
    return version


def _trust_record(trust: TrustPolicy, decided: Resolution, capped: Resolution) -> dict[str, object]:
    """Return what the manifest says of the labels' trust: the policy, and how many labels fell under what."""
    weights = {label.content_digest: label.weight for label in decided.labels}
    return {
        "policy": trust.to_json(),
        "n_decided": len(decided.labels),
        "n_reviewed": sum(label.reviewed for label in decided.labels),
        "n_by_quorum": sum(
            not label.reviewed and label.weight >= trust.quorum_weight for label in decided.labels
        ),
        "n_capped": sum(label.weight < weights[label.content_digest] for label in capped.labels),
        "weight_decided": round(sum(label.weight for label in decided.labels), 6),
        "weight_capped": round(sum(label.weight for label in capped.labels), 6),
        "dropped": _dropped(capped),
    }


def _dropped(resolution: Resolution) -> dict[str, int]:
    reasons = [d.reason for d in resolution.dropped]
    return {reason: reasons.count(reason) for reason in sorted(set(reasons))}
