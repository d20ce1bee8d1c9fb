"""From observations to an examination: what a window says of the version that serves. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from fraud.data.profile import DAY_MS, Profile
from fraud.data.table import Floats, Integers
from fraud.errors import EvidenceError
from fraud.models.bundle import PREDICTIONS_FILE, Bundle
from fraud.models.evaluate import Estimate
from fraud.models.reference import Reference as Sketch
from fraud.models.reference import Sketch as WindowSketch
from fraud.models.reference import in_batches
from fraud.monitoring.alerts import AlertPolicy
from fraud.monitoring.assessing import ModelAssessment, Reference, assess, of_model, window_of
from fraud.monitoring.audited import mature
from fraud.monitoring.calibration import ScoreBand, score_bands
from fraud.monitoring.domain import DomainReport, compare_stretches
from fraud.monitoring.drift import (
    DEFAULT_LIMITS,
    DriftLimits,
    batch_of,
    curve,
    measure_drift,
    start_window,
    without_reference,
)
from fraud.monitoring.drift_records import Curve, DriftReport
from fraud.monitoring.drift_records import Reason as DriftReason
from fraud.monitoring.estimated import fit_meaning
from fraud.monitoring.observations import Observations, Stretch
from fraud.monitoring.segments import SegmentAssessment, SegmentPolicy, amount_edges, assess_segments
from fraud.monitoring.verdicts import EvidencePolicy
from fraud.records import MODELS

MAX_CURVES = 12
"""Columns whose distributions a report draws, those that moved most first."""


@dataclass(frozen=True, slots=True)
class MonitoringPolicy:
    """What a run looks at, and what it takes to be told of.

    Attributes
    ----------
    window_days : length of the window
    baseline_days : length of a version's first stretch, with which its later inputs are compared
    """

    window_days: float = 7.0
    baseline_days: float = 14.0
    evidence: EvidencePolicy = field(default_factory=EvidencePolicy)
    segments: SegmentPolicy = field(default_factory=SegmentPolicy)
    drift: DriftLimits = DEFAULT_LIMITS
    alerts: AlertPolicy = field(default_factory=AlertPolicy)

    @property
    def window_ms(self) -> int:
        """Length of the window in milliseconds."""
        return round(self.window_days * DAY_MS)


@dataclass(frozen=True)
class Expectation:
    """What a release promised, as far as its bundle tells.

    Attributes
    ----------
    inputs : the held-out window as counts; None for a release from before there were references
    models : model -> what its scores mean and its held-out F1; lacks a model with too few held-out frauds
    amount_edges : where amount bands end
    """

    version: str
    manifest_digest: str
    profile: Profile
    inputs: Sketch | None
    models: Mapping[str, Reference]
    amount_edges: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Operations:
    """What the log says of the work itself; `latency_ms` maps "p50", "p95", "p99" to milliseconds."""

    n_predictions: int
    per_day: float
    latency_ms: Mapping[str, float]
    versions: Mapping[str, int]


@dataclass(frozen=True)
class Examination:
    """Everything that one window says.

    Attributes
    ----------
    n_predictions : of the window, by the serving version; of other versions `operations` knows
    n_mature : predictions of the earlier window whose labels have had their time, by the serving version
    n_labels : how many of those have a label
    calibration : model -> what share of predictions near a score were frauds
    curves : distributions then and now of the columns that moved most
    """

    until_ms: int
    window_ms: int
    expectation: Expectation
    n_predictions: int
    n_mature: int
    n_labels: int
    models: Mapping[str, ModelAssessment]
    calibration: Mapping[str, tuple[ScoreBand, ...]]
    segments: tuple[SegmentAssessment, ...]
    drift: DriftReport
    curves: tuple[Curve, ...]
    domain: DomainReport
    operations: Operations


def expectation_of(bundle: Bundle) -> Expectation:
    """Return what a release promised; its held-out predictions say what its scores mean.

    Raises
    ------
    BundleRefused
        Its reference breaks a rule.
    """
    path = bundle.directory / PREDICTIONS_FILE
    columns = pq.read_table(path).to_pydict() if PREDICTIONS_FILE in bundle.manifest["files"] else {}
    held_out = {name: np.asarray(values) for name, values in columns.items() if name != "typology"}
    days = held_out["time_ms"] // DAY_MS if "time_ms" in held_out else None
    references = {}
    for model in MODELS:
        found = _reference(bundle.manifest, model, held_out, days)
        if found is not None:
            references[model] = found
    amounts = held_out.get("amount", np.array([]))
    return Expectation(
        version=bundle.version,
        manifest_digest=bundle.manifest_digest,
        profile=bundle.profile,
        inputs=bundle.read_reference(),
        models=references,
        amount_edges=amount_edges(amounts.astype(np.float64)),
    )


def _reference(
    manifest: Mapping[str, Any], model: str, held_out: Mapping[str, Any], days: Integers | None
) -> Reference | None:
    if model not in held_out or "label" not in held_out:
        return None
    labels, scores = (held_out[name].astype(np.float64) for name in ("label", model))
    try:
        meaning = fit_meaning(labels, scores, days)
    except EvidenceError:  # too few held-out frauds to know what a score means: said as want of a reference
        return None
    figure = manifest["models"][model]["metrics"].get("f1")
    return Reference(meaning, None if figure is None else Estimate(**figure))


def examine(
    expected: Expectation,
    *,
    window: Observations,
    matured: Observations,
    baseline: Observations,
    until_ms: int,
    policy: MonitoringPolicy,
    like_period: Observations | None = None,
    unused_share: Mapping[str, float] = MappingProxyType({}),
) -> Examination:
    """Return what the observations say of the serving version.

    Parameters
    ----------
    window : predictions of [until - window, until), of any version
    matured : of [until - delay - window, until - delay); what is younger in it is left out
    baseline : the serving version's first days, before the window; empty where the log does not reach back
    unused_share : "window" and "matured" -> the share of their predictions that could not be read, and are
        not in them
    like_period : of the window's counterpart a year before, by any version: what was a season then is no
        drift now; None or empty where the log does not reach back
    """
    profile = expected.profile
    ours, earlier = (of_model(part, expected.version, expected.manifest_digest) for part in (window, matured))
    delay_ms = round(profile.features.label_delay_days * DAY_MS)
    old = mature(earlier, until_ms, delay_ms)
    end_ms = until_ms - delay_ms
    stretch = Stretch(end_ms - policy.window_ms, end_ms, unused_share.get("matured", 0.0))
    models = {
        model: assess(
            old,
            model,
            profile,
            expected.models.get(model),
            as_of_ms=until_ms,
            policy=policy.evidence,
            now=ours,
            stretch=stretch,
        )
        for model in MODELS
    }
    calibration = {
        model: score_bands(
            window_of(old, model, policy.evidence.answers), None if reference is None else reference.meaning
        )
        for model, reference in ((model, expected.models.get(model)) for model in MODELS)
    }
    parts = assess_segments(old, profile, expected.models, expected.amount_edges, policy.segments, stretch)
    drift, curves = _drift(expected, ours, like_period, policy)
    unread = unused_share.get("window", 0.0)
    if unread > policy.evidence.max_unused:  # what a column shows of the rest stays, and is told of
        found = {"found": round(unread, 4), "needed": policy.evidence.max_unused}
        reasons = (DriftReason("unreadable", found),)
        drift = replace(drift, verdict="insufficient evidence", reasons=reasons)
    return Examination(
        until_ms=until_ms,
        window_ms=policy.window_ms,
        expectation=expected,
        n_predictions=len(ours),
        n_mature=len(old),
        n_labels=int(np.isfinite(old.labels).sum()),
        models=models,
        calibration=calibration,
        segments=parts,
        drift=drift,
        curves=curves,
        domain=compare_stretches(baseline.transactions, ours.transactions, profile),
        operations=_operations(window, policy),
    )


def _drift(
    expected: Expectation, ours: Observations, like_period: Observations | None, policy: MonitoringPolicy
) -> tuple[DriftReport, tuple[Curve, ...]]:
    if expected.inputs is None:
        return without_reference(len(ours)), ()
    sketch = _counted(expected.inputs, ours)
    before = None if like_period is None or not len(like_period) else _counted(expected.inputs, like_period)
    report = measure_drift(expected.inputs, sketch, like_period=before, limits=policy.drift)
    moved = sorted(report.columns, key=lambda c: (c.verdict != "drift", -(c.jensen_shannon or 0.0)))
    drawn = (curve(expected.inputs, sketch, column.name) for column in moved[:MAX_CURVES])
    return report, tuple(found for found in drawn if found is not None)


def _counted(inputs: Sketch, observations: Observations) -> WindowSketch:
    tally = start_window(inputs)
    for part in in_batches(batch_of(observations)):
        tally.update(part)
    return tally.sketch()


def _operations(window: Observations, policy: MonitoringPolicy) -> Operations:
    latency: Floats = window.latency_ms[np.isfinite(window.latency_ms)]
    levels = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    codes = window.version.codes[window.version.codes >= 0]
    counts = np.bincount(codes, minlength=len(window.version.values))
    return Operations(
        n_predictions=len(window),
        per_day=len(window) / policy.window_days,
        latency_ms={k: float(np.quantile(latency, q)) for k, q in levels.items()} if len(latency) else {},
        versions={v: int(n) for v, n in zip(window.version.values, counts, strict=True) if n},
    )


def as_json(value: Any) -> Any:
    """Return plain JSON values of nested records; a number that is none (NaN) is null."""
    return json.loads(json.dumps(value, allow_nan=True), parse_constant=lambda _: None)
