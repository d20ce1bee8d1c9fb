"""From a table to two optimised, calibrated, evaluated models."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import Profile
from fraud.data.table import Transactions
from fraud.errors import BundleRefused
from fraud.features.history import History
from fraud.features.pipeline import FeaturePipeline
from fraud.models.calibration import BetaCalibration, fit_calibration
from fraud.models.engine import PackedForest
from fraud.models.estimators import Fitted, ForestEngine, TrainingRows
from fraud.models.evaluate import Estimate, confusion, evaluate
from fraud.models.fitting import Parts, fit_model, pack, stack
from fraud.models.split import Split, labels_as_of, newest_traffic, split
from fraud.models.threshold import choose_thresholds
from fraud.records import MODELS, Thresholds

F64 = NDArray[np.float64]
Progress = Callable[[str], None]
LARGEST_ENGINE_DIFFERENCE = 1e-6


@dataclass(frozen=True)
class Additions:
    """Labelled transactions beyond the base table: what people flagged.

    Attributes
    ----------
    transactions : n transactions with labels
    weights : float64 [n], what each counts in fitting; a row of the base table counts 1
    pasts : per transaction the past that its sender supplied, None for the base table's
    """

    transactions: Transactions
    weights: F64
    pasts: Sequence[Transactions | None]


@dataclass(frozen=True)
class TrainedModel:
    """One model, ready to be written into a bundle.

    `judged_at` are the cut-offs that its figures are of. They are those that it serves with, `thresholds`,
    unless these were set on the newest traffic: then the same rule set them on the held-out window's.
    """

    name: str
    fitted: Fitted
    forest: PackedForest
    calibration: BetaCalibration
    thresholds: Thresholds
    judged_at: Thresholds
    metrics: Mapping[str, Estimate]
    confusion: Mapping[str, int]
    test_probability: F64
    importance: Mapping[str, Estimate]


@dataclass(frozen=True)
class Training:
    """Everything one training run produced."""

    profile: Profile
    seed: int
    pipeline: FeaturePipeline
    models: Mapping[str, TrainedModel]
    transactions: Transactions
    split: Split
    n_additions: int
    newest: Transactions | None = None
    whole: "WholeTable | None" = None

    @property
    def n_rows(self) -> int:
        """Rows of the table."""
        return len(self.transactions) if self.whole is None else self.whole.n_rows

    def windows(self) -> dict[str, dict[str, object]]:
        """Return first and last time, rows and frauds of each part, for the manifest."""
        return self.split.windows(self.transactions) if self.whole is None else dict(self.whole.windows)


@dataclass(frozen=True)
class WholeTable:
    """What is told of a table that no process holds: `transactions` are then what a release needs of it.

    Those are the rows that were tested on and the past that serving looks back on, and `split` has their
    positions; what was trained on is not among them.
    """

    n_rows: int
    windows: Mapping[str, dict[str, object]]


def train(
    transactions: Transactions,
    profile: Profile,
    *,
    seed: int = 7,
    additions: Additions | None = None,
    plan: Split | None = None,
    newest_cut_off: bool = False,
    forest_engine: ForestEngine = "auto",
    progress: Progress = lambda message: None,
) -> Training:
    """Fit, calibrate, set thresholds and evaluate both models by the profile's plan.

    Labels are taken as they stood when the test window began; the test window itself is only scored.
    A `plan` made before labels were withdrawn from rows keeps its test window; rows without a label are left
    out of the other parts. With `newest_cut_off` the models serve at the cut-offs that the same rule sets on
    the newest traffic after the test window, where the table reaches that far (docs/decisions/0040).

    Raises
    ------
    TableError
        The evaluation plan leaves a part without frauds or without legitimate transactions.
    BundleRefused
        The packed form of a model does not answer as the fitted one does.
    """
    prepared = prepare(
        transactions,
        profile,
        seed=seed,
        additions=additions,
        plan=plan,
        newest_cut_off=newest_cut_off,
        progress=progress,
    )
    return train_prepared(replace(prepared, forest_engine=forest_engine), progress)


@dataclass(frozen=True)
class Prepared:
    """What both models' fits share: the plan, and every matrix. Another seed may be put in by `replace`."""

    profile: Profile
    seed: int
    pipeline: FeaturePipeline
    transactions: Transactions
    split: Split
    train: TrainingRows
    calibration: TrainingRows
    calibration_time_ms: NDArray[np.int64] | None
    test: Transactions
    test_features: NDArray[np.float32]
    extra: TrainingRows | None
    average_fraud: float
    newest: Transactions | None = None
    newest_features: NDArray[np.float32] | None = None
    forest_engine: ForestEngine = "auto"
    n_bootstrap: int = 400

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names."""
        return self.pipeline.names


def prepare(
    transactions: Transactions,
    profile: Profile,
    *,
    seed: int = 7,
    additions: Additions | None = None,
    plan: Split | None = None,
    newest_cut_off: bool = False,
    progress: Progress = lambda message: None,
) -> Prepared:
    """Return what `train` computes before it fits; raises as `train` does."""
    plan = split(transactions, profile, seed) if plan is None else plan.labelled(transactions)
    progress(_describe(plan, transactions))
    observed = transactions.with_labels(labels_as_of(transactions, plan.as_of_ms), transactions.known_at_ms)
    pipeline = FeaturePipeline.fit(profile, observed.take(plan.train))
    history = History.of(transactions, profile) if profile.features.history else None
    progress(f"computing {len(pipeline.names)} features")
    newest = transactions.take(newest_traffic(transactions, plan, profile)) if newest_cut_off else None
    return Prepared(
        profile=profile,
        seed=seed,
        pipeline=pipeline,
        transactions=transactions,
        split=plan,
        train=_rows(pipeline, observed.take(plan.train), history),
        calibration=_rows(pipeline, observed.take(plan.calibration), history),
        calibration_time_ms=transactions.take(plan.calibration).time_ms,
        test=transactions.take(plan.test),
        test_features=pipeline.transform(transactions.take(plan.test), history),
        extra=_addition_rows(additions, pipeline, history),
        average_fraud=average_fraud(observed, plan, profile),
        newest=newest if newest else None,
        newest_features=pipeline.transform(newest, history) if newest else None,
    )


def train_prepared(prepared: Prepared, progress: Progress = lambda message: None) -> Training:
    """Fit, calibrate, set thresholds and evaluate both models on prepared matrices."""
    models = {}
    for name in MODELS:
        progress(f"fitting {name} on {len(prepared.split.train):,} rows")
        models[name] = _train_one(name, prepared)
        progress(headline(name, models[name]))
    return Training(
        profile=prepared.profile,
        seed=prepared.seed,
        pipeline=prepared.pipeline,
        models=models,
        transactions=prepared.transactions,
        split=prepared.split,
        n_additions=0 if prepared.extra is None else len(prepared.extra.labels),
        newest=prepared.newest,
    )


def _train_one(name: str, run: Prepared) -> TrainedModel:
    parts = Parts(stack(run.train, run.extra), run.calibration, run.profile.evaluation.refit)
    return judged(name, *fit_model(name, parts, run.profile.models, run.seed, run.forest_engine), run)


def judged(name: str, fitted: Fitted, final: Fitted, run: Prepared) -> TrainedModel:
    """Return a fitted model packed, calibrated, with thresholds, and evaluated on the test window.

    Parameters
    ----------
    fitted, final : the model that is calibrated, and the one that is released, as `fit_model` returns them

    Raises
    ------
    BundleRefused
        The packed form does not answer as the fitted one does.
    """
    settings = run.profile.models
    forest = pack(name, final)
    calibrated = forest if final is fitted else pack(name, fitted)
    _check_parity(name, final, forest, run.test_features)
    raw = calibrated.probability(run.calibration.features)
    calibration = fit_calibration(raw, run.calibration.labels, settings.calibration_for(name))
    costs = run.profile.costs
    probability = calibration(forest.probability(run.test_features))
    thresholds = choose_thresholds(calibration(raw), run.calibration_time_ms, run.average_fraud, costs)
    judged_at = thresholds
    if run.newest is not None and run.newest_features is not None:
        # Neither needs a label, so the held-out window tells the model nothing of what it is judged by.
        newest = calibration(forest.probability(run.newest_features))
        thresholds = choose_thresholds(newest, run.newest.time_ms, run.average_fraud, costs)
        judged_at = choose_thresholds(probability, run.test.time_ms, run.average_fraud, costs)
    flagged = (probability >= judged_at.review).astype(np.float64)
    return TrainedModel(
        name=name,
        fitted=final,
        forest=forest,
        calibration=calibration,
        thresholds=thresholds,
        judged_at=judged_at,
        metrics=evaluate(run.test, probability, judged_at.review, run.profile, run.seed, run.n_bootstrap),
        confusion=confusion(run.test.labels, flagged),
        test_probability=probability,
        importance=_importance(forest, run),
    )


def _check_parity(name: str, final: Fitted, forest: PackedForest, features: NDArray[np.float32]) -> None:
    rows = features[:: max(1, len(features) // 20_000)]
    original = final.estimator.predict_proba(rows)[:, 1]
    worst = float(np.max(np.abs(original - forest.probability(rows))))
    if worst > LARGEST_ENGINE_DIFFERENCE:
        raise BundleRefused(
            f"The packed {name} differs from the fitted one by {worst:.1e}, and "
            f"{LARGEST_ENGINE_DIFFERENCE:.0e} is allowed, so it must not be released; "
            "report this with the library versions.",
            code="parity",
        )


def _rows(pipeline: FeaturePipeline, part: Transactions, history: History | None) -> TrainingRows:
    return TrainingRows(pipeline.transform(part, history), part.labels, np.ones(len(part)), part.rows)


def _addition_rows(
    additions: Additions | None, pipeline: FeaturePipeline, history: History | None
) -> TrainingRows | None:
    """Return the flagged rows as the models saw them when they were scored."""
    if additions is None or len(additions.transactions) == 0:
        return None
    features = pipeline.transform(additions.transactions, history)
    for row, past in enumerate(additions.pasts):
        if past is not None and history is not None:
            one = additions.transactions.take(np.array([row]))
            features[row] = pipeline.transform(one, history.with_main_entity(past))[0]
    flagged = np.full(len(features), -1, np.int64)
    return TrainingRows(features, additions.transactions.labels, additions.weights, flagged)


def average_fraud(transactions: Transactions, plan: Split, profile: Profile) -> float:
    """Return the mean amount of the training rows' frauds, in the profile's currency."""
    column = profile.columns.amount
    if column is None:
        return profile.costs.average_fraud or profile.costs.friction * 4
    amounts = transactions.numbers[column][plan.train]
    frauds = amounts[transactions.labels[plan.train] == 1]
    return float(np.nanmean(frauds)) if np.isfinite(frauds).any() else profile.costs.friction * 4


def _importance(forest: PackedForest, run: Prepared) -> dict[str, Estimate]:
    """Return mean |SHAP| per feature with a bootstrap interval, over frauds and others in equal numbers."""
    from fraud.models.analysis.importance import N_EACH, mean_size  # with pandas, which serving does without

    rng = np.random.default_rng(run.seed)
    labels = run.test.labels
    frauds, others = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    n_each = min(N_EACH, len(frauds), len(others))
    rows = np.concatenate([rng.choice(part, n_each, replace=False) for part in (frauds, others)])
    mean, low, high = mean_size(forest.contributions(run.test_features[rows])[0], 200, rng)
    return {n: Estimate(float(mean[i]), float(low[i]), float(high[i])) for i, n in enumerate(run.names)}


def _describe(plan: Split, transactions: Transactions) -> str:
    parts = plan.windows(transactions)
    text = ", ".join(f"{name} {p['n_rows']:,} rows / {p['n_frauds']:,} frauds" for name, p in parts.items())
    dropped = f" ({plan.n_dropped_compromised:,} of known compromised cards left out)"
    return text + (dropped if plan.n_dropped_compromised else "")


def headline(name: str, model: TrainedModel) -> str:
    """Return a model's main figures in one line."""

    def text(metric: str) -> str:
        e = model.metrics[metric]
        interval = "" if e.low is None else f" [{e.low:.3f}, {e.high:.3f}]"
        return f"{metric} {e.value:.3f}{interval}"

    shown = ["auc", "ap", "f1", *(m for m in model.metrics if m.startswith("card_precision"))]
    return f"{name}: " + ", ".join(text(metric) for metric in shown)
