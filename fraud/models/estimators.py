"""Fitting the two models, and the object that their .pkl files hold."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import ModelSettings, Profile
from fraud.data.table import transactions_from_frame
from fraud.errors import ProfileError, SettingsError
from fraud.features.history import History
from fraud.features.pipeline import FeaturePipeline
from fraud.models import acceleration
from fraud.models.calibration import BetaCalibration
from fraud.records import Thresholds

if TYPE_CHECKING:
    import pandas as pd

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

SOUND_FOREST: Mapping[str, Any] = {"n_estimators": 300, "min_samples_leaf": 5, "max_features": "sqrt"}
SOUND_BOOSTING: Mapping[str, Any] = {
    "n_estimators": 500,
    "learning_rate": 0.05,
    "max_depth": 6,
    "subsample": 0.8,
    "colsample_bytree": 0.7,
}
EARLY_STOPPING_ROUNDS = 60
ForestEngine = Literal["auto", "scikit-learn", "scikit-learn-intelex"]


CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
"""Inside a container with control groups v2: its quota and period in microseconds, or "max"."""


def usable_cores(limit: Path = CPU_LIMIT) -> int:
    """Return how many cores this process may use, which `taskset` and a container's quota can make fewer.

    More threads than the quota has cores would only be stopped in turn, until the period is over.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = limit.read_text(encoding="ascii").split()
        return max(1, min(cores, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError, ZeroDivisionError):  # no such limit, "max", or another system's file
        return cores


@dataclass(frozen=True)
class TrainingRows:
    """A matrix to fit on: features float32 [n, d], labels and weights float64 [n].

    `rows` are positions in the base table, int64 [n]; -1 is a row that people flagged.
    """

    features: F32
    labels: F64
    weights: F64
    rows: NDArray[np.int64]

    def take(self, chosen: NDArray[np.bool_]) -> "TrainingRows":
        """Return the chosen rows."""
        return TrainingRows(
            self.features[chosen], self.labels[chosen], self.weights[chosen], self.rows[chosen]
        )

    def undersampled(self, negatives_per_fraud: float | None, seed: int) -> "TrainingRows":
        """Return all frauds, all flagged rows, and a random share of the others (None: everything).

        Each base row has a draw of its own, so that a table which differs by a few rows keeps nearly the
        same sample: otherwise the gate would compare two draws, not two models. Calibration on a slice at
        its natural rate undoes the change of the base rate (Dal Pozzolo et al., "Calibrating probability
        with undersampling", CIDM 2015, does it in closed form).
        """
        if negatives_per_fraud is None:
            return self
        sampled = (self.labels == 0) & (self.rows >= 0)
        share = negatives_per_fraud * float((self.labels == 1).sum()) / max(1, int(sampled.sum()))
        draws = np.random.default_rng(seed).random(int(self.rows.max(initial=0)) + 1)
        return self.take(~sampled | (draws[self.rows] < share))


@dataclass(frozen=True)
class Fitted:
    """An estimator, what fitted it on how many rows, and for boosting how each round went.

    `n_rows` and `n_frauds` are what is left after undersampling, in the fit that `curves` is of.
    """

    estimator: Any
    engine: str
    curves: Mapping[str, list[float]] = field(default_factory=dict)
    best_iteration: int | None = None
    n_rows: int | None = None
    n_frauds: int | None = None


def fit_random_forest(
    rows: TrainingRows, settings: ModelSettings, seed: int, engine: ForestEngine = "auto"
) -> Fitted:
    """Return a fitted RandomForestClassifier.

    Parameters
    ----------
    engine : what grows the trees. The default takes scikit-learn-intelex where it is installed and knows all
        parameters, else scikit-learn; `Fitted.engine` says which it was

    Raises
    ------
    ProfileError
        A parameter does not exist or has an impossible value.
    SettingsError
        scikit-learn-intelex was asked for and cannot be used.
    """
    import sklearn
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.utils._param_validation import InvalidParameterError

    parameters = dict(SOUND_FOREST) | dict(settings.random_forest)
    defaults = RandomForestClassifier().get_params()
    _check_names("random_forest", parameters, defaults)
    parameters |= {"random_state": seed, "n_jobs": usable_cores()}
    try:
        forest = RandomForestClassifier(**parameters)
        forest._validate_params()
        if _accelerated(engine, parameters, defaults):
            acceleration.grow(forest, rows.features, rows.labels, rows.weights)
            fitted_by = acceleration.description()
        else:
            forest.fit(rows.features, rows.labels, sample_weight=rows.weights)
            fitted_by = f"scikit-learn {sklearn.__version__}"
    except InvalidParameterError as error:
        raise refused("random_forest", error) from error
    forest.n_jobs = 1  # a loaded model must not take every core of a prediction node
    return Fitted(forest, fitted_by)


def _accelerated(engine: ForestEngine, parameters: Mapping[str, Any], defaults: Mapping[str, Any]) -> bool:
    if engine == "scikit-learn":
        return False
    possible = acceleration.installed() and acceleration.supports(parameters, defaults)
    if engine == acceleration.PACKAGE and not possible:
        raise SettingsError(
            f"FRAUD_FOREST_ENGINE asks for {acceleration.PACKAGE}, which is not installed or does not know a "
            'parameter of models.random_forest; install it, or set "auto".',
            code="settings",
            field="FRAUD_FOREST_ENGINE",
        )
    return possible


def fit_xgboost(
    rows: TrainingRows,
    validation: TrainingRows | None,
    settings: ModelSettings,
    seed: int,
    curves: bool = True,
) -> Fitted:
    """Return a fitted XGBClassifier, stopped early by log loss on `validation` where there is one.

    `curves` keeps how training and validation went per round, which costs time but changes no model.
    """
    import xgboost
    from xgboost import XGBClassifier
    from xgboost.core import XGBoostError

    parameters = boosting_parameters(settings, seed, validated=validation is not None, curves=curves)
    fitted_by = f"xgboost {xgboost.__version__}"
    options: dict[str, Any] = {}
    if validation is not None:
        # With its own weights the first pair is the training matrix itself, not a second copy of it.
        pairs = [(rows, rows.weights)] if curves else []
        pairs.append((validation, validation.weights))
        options = {
            "eval_set": [(part.features, part.labels) for part, _ in pairs],
            "sample_weight_eval_set": [weights for _, weights in pairs],
        }
    try:
        booster = XGBClassifier(**parameters)
        booster.fit(rows.features, rows.labels, sample_weight=rows.weights, verbose=False, **options)
    except XGBoostError as error:
        raise refused("xgboost", error) from error
    if validation is None:
        return Fitted(booster, fitted_by)
    if not curves:
        return Fitted(booster, fitted_by, {}, int(booster.best_iteration))
    return Fitted(booster, fitted_by, curves_of(booster.evals_result()), int(booster.best_iteration))


def boosting_parameters(
    settings: ModelSettings, seed: int, *, validated: bool, curves: bool = True
) -> dict[str, Any]:
    """Return all parameters of an XGBClassifier; where it is `validated`, those of early stopping too.

    Raises
    ------
    ProfileError
        A parameter does not exist.
    """
    from xgboost import XGBClassifier

    parameters = dict(SOUND_BOOSTING) | dict(settings.xgboost)
    _check_names("xgboost", parameters, XGBClassifier().get_params())
    parameters |= {"tree_method": "hist", "random_state": seed, "n_jobs": usable_cores()}
    if validated:
        metrics = ["aucpr", "logloss"] if curves else ["logloss"]
        parameters |= {"eval_metric": metrics, "early_stopping_rounds": EARLY_STOPPING_ROUNDS}
    return parameters


def curves_of(history: Mapping[str, Mapping[str, Sequence[float]]]) -> dict[str, list[float]]:
    """Return how training and validation went per round, as XGBoost noted it of its two evaluation sets."""
    return {
        f"{part}_{metric}": [float(v) for v in history[key][metric]]
        for part, key in (("train", "validation_0"), ("validation", "validation_1"))
        for metric in ("aucpr", "logloss")
    }


def _check_names(model: str, parameters: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise ProfileError(
            f'models.{model}: "{unknown[0]}" is not a parameter of this model; check its spelling.',
            code="profile",
            field=f"models.{model}.{unknown[0]}",
        )


def refused(model: str, error: BaseException) -> ProfileError:
    """Return what is said of parameters that a library turned away."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[0].rstrip(".") if lines else type(error).__name__
    return ProfileError(f"models.{model}: {reason}; correct it.", code="profile", field=f"models.{model}")


class FraudClassifier:
    """What `joblib.load("..._otimizado.pkl")` returns: raw transactions in, calibrated probabilities out.

    It needs the `fraud` package on the path and, like every pickle, must only be loaded from a trusted
    place; the demo itself serves from the pickle-free files beside it.
    """

    classes_ = np.array([0, 1])

    def __init__(
        self,
        name: str,
        pipeline: FeaturePipeline,
        estimator: Any,
        calibration: BetaCalibration,
        thresholds: Thresholds,
    ) -> None:
        self.name = name
        self.pipeline = pipeline
        self.estimator = estimator
        self.calibration = calibration
        self.thresholds = thresholds

    @property
    def profile(self) -> Profile:
        """The profile whose columns `predict_proba` expects."""
        return self.pipeline.profile

    def predict_proba(self, table: "pd.DataFrame", past: "pd.DataFrame | None" = None) -> F64:
        """Return [n, 2] probabilities of (legitimate, fraud), in the order of the table's rows.

        Parameters
        ----------
        table : the profile's columns as they were in the training file; a label column is optional
        past : earlier transactions to compute history features from; by default the table itself

        Raises
        ------
        TableError
            A column is missing or a value breaks the profile's rules.
        """
        transactions = transactions_from_frame(table, self.profile)
        history = None
        if past is not None and self.profile.features.history:
            history = History.of(transactions_from_frame(past, self.profile), self.profile)
        raw = self.estimator.predict_proba(self.pipeline.transform(transactions, history))[:, 1]
        fraud = np.empty(len(transactions))
        fraud[transactions.rows] = self.calibration(raw.astype(np.float64))
        return np.column_stack([1 - fraud, fraud])

    def predict(self, table: "pd.DataFrame", past: "pd.DataFrame | None" = None) -> NDArray[np.int64]:
        """Return 1 where the probability reaches the review threshold, else 0."""
        return (self.predict_proba(table, past)[:, 1] >= self.thresholds.review).astype(np.int64)

    def __repr__(self) -> str:
        return f"FraudClassifier({self.name!r}, profile={self.profile.name!r})"
