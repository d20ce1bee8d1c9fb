"""What the gate judges by, measured on two bundles as they would be served."""

from collections.abc import Mapping, Sequence
from time import perf_counter_ns

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from fraud.data.profile import DAY_MS, Costs, Profile
from fraud.data.table import Transactions
from fraud.features.history import History
from fraud.models.bundle import Bundle, ServedModel
from fraud.models.evaluate import calibration_error
from fraud.models.threshold import choose_thresholds
from fraud.models.versioning import schema_changes
from fraud.records import MODELS
from fraud.retraining.gate import Alerts, Both, Evidence, GatePolicy, ModelEvidence, compare
from fraud.retraining.slice_gate import SliceFindings, judge_slices
from fraud.retraining.slices import held_out_slices

F32 = NDArray[np.float32]
_TIMED_ROWS, _ROUNDS = 200, 5


def measure(
    champion: Bundle,
    challenger: Bundle,
    transactions: Transactions,
    test_rows: NDArray[np.intp],
    policy: GatePolicy,
    gold_uses: int,
    average_fraud: float | None = None,
) -> Evidence:
    """Return the evidence for a challenger, scored by the engine that serves.

    A challenger whose cut-offs were set on the newest traffic is judged, as the champion is then, at what the
    same rule sets on the held-out window's own traffic: at as many alerts. Else each at its own cut-offs.

    Parameters
    ----------
    transactions : the base table: the held-out rows, and the past that their features come from
    test_rows : positions of the held-out rows
    average_fraud : mean amount of a fraud, which the rule takes; None: each at its own cut-offs
    """
    test = transactions.take(test_rows)
    sides = (champion, challenger)
    features = [_features(bundle, transactions, test) for bundle in sides]
    costs = challenger.profile.costs if set_on_newest(challenger) else None
    old, new = (
        _alerts(bundle, x, test, costs, average_fraud) for bundle, x in zip(sides, features, strict=True)
    )
    models = {}
    for name in MODELS:
        latency = latency_ms([bundle.models[name] for bundle in sides], features)
        models[name] = _model_evidence(test, old[name], new[name], latency, policy)
    slices = slice_findings(test, challenger.profile, old, new, policy)
    sizes = [sum(int(f["bytes"]) for f in b.manifest["files"].values()) for b in (champion, challenger)]
    majors = [int(b.version.split(".")[0]) for b in (champion, challenger)]
    return Evidence(
        models=models,
        slices=slices,
        n_bytes=Both(sizes[0], sizes[1]),
        alert_budget=challenger.profile.costs.alerts_per_day,
        schema_changes=schema_changes(champion.profile, challenger.profile),
        is_major=majors[1] > majors[0],
        gold_uses=gold_uses,
        at_equal_alerts=costs is not None and average_fraud is not None,
    )


def slice_findings(
    test: Transactions,
    profile: Profile,
    champion: Mapping[str, Alerts],
    challenger: Mapping[str, Alerts],
    policy: GatePolicy,
) -> SliceFindings:
    """Return what the slices of a held-out window say of two pairs of models."""
    # A legitimate row on which nobody alerts changes no count; they are most, and slices are many.
    alerted = [alerts.raised for side in (champion, challenger) for alerts in side.values()]
    rows = np.flatnonzero((test.labels == 1) | np.any(alerted, axis=0))
    part = test.take(rows)
    pairs = {name: (champion[name].raised[rows], challenger[name].raised[rows]) for name in champion}
    entity = profile.main_entity
    cards = np.arange(len(part)) if entity is None else part.texts[entity.column].codes.astype(np.int64)
    # Rows without a card depend on nobody.
    cards = np.where(cards < 0, -1 - np.arange(len(part)), cards)
    return judge_slices(part.labels, cards, held_out_slices(part, profile), pairs, policy.slices)


def set_on_newest(bundle: Bundle) -> bool:
    """Return whether a release's cut-offs were set on traffic after its held-out window."""
    return bool(bundle.manifest.get("thresholds_set_on", {}).get("window") == "newest")


def _alerts(
    bundle: Bundle, features: F32, test: Transactions, costs: Costs | None, average_fraud: float | None
) -> dict[str, Alerts]:
    alerts = {}
    for name, model in bundle.models.items():
        probability = model.calibration(model.forest.probability(features))
        judged_at = model.judged_at
        if costs is not None and average_fraud is not None:
            judged_at = choose_thresholds(probability, test.time_ms, average_fraud, costs)
        alerts[name] = Alerts(probability, judged_at.review)
    return alerts


def _features(bundle: Bundle, transactions: Transactions, rows: Transactions) -> F32:
    profile = bundle.profile
    history = History.of(transactions, profile) if profile.features.history else None
    return bundle.pipeline.transform(rows, history)


def _model_evidence(
    test: Transactions, champion: Alerts, challenger: Alerts, latency: Both, policy: GatePolicy
) -> ModelEvidence:
    labels = test.labels
    rate = float(labels.mean()) or 1.0
    errors = [calibration_error(labels, a.probability) / rate for a in (champion, challenger)]
    per_day = None
    if test.time_ms is not None:
        days = len(np.unique(test.time_ms // DAY_MS))
        per_day = Both(*(float(a.raised.sum()) / days for a in (champion, challenger)))
    right = [a.raised == (labels == 1) for a in (champion, challenger)]
    only_old, only_new = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    return ModelEvidence(
        comparison=compare(labels, champion, challenger, policy),
        calibration=Both(errors[0], errors[1]),
        alerts_per_day=per_day,
        latency_ms=latency,
        only_champion_right=only_old,
        only_challenger_right=only_new,
        mcnemar_p=mcnemar(only_old, only_new),
    )


def mcnemar(n_a: int, n_b: int) -> float:
    """Return the two-sided mid-p of McNemar's test from its discordant counts (Fagerland et al., 2013)."""
    n, smaller = n_a + n_b, min(n_a, n_b)
    if n_a == n_b:
        return 1.0
    return float(min(1.0, 2 * binom.cdf(smaller, n, 0.5) - binom.pmf(smaller, n, 0.5)))


def latency_ms(models: Sequence[ServedModel], features: Sequence[F32]) -> Both:
    """Return champion's and challenger's median time for one row of features.

    They take turns, and the best of their rounds counts: a busy machine slows both, and not always alike.
    """
    rows = np.linspace(0, len(features[0]) - 1, min(_TIMED_ROWS, len(features[0]))).astype(np.intp)
    for model in models:
        model.forest.warm_up()
    rounds = [[_median_ms(m, x[rows]) for m, x in zip(models, features, strict=True)] for _ in range(_ROUNDS)]
    best = np.min(np.array(rounds), axis=0)
    return Both(float(best[0]), float(best[1]))


def _median_ms(model: ServedModel, features: F32) -> float:
    took = []
    for row in range(len(features)):
        start = perf_counter_ns()
        model.calibration(model.forest.probability(features[row : row + 1]))
        took.append(perf_counter_ns() - start)
    return float(np.median(took)) / 1e6
