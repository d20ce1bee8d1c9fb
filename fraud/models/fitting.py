"""How one model is fitted by a profile's plan: the same in training, in validation and in a search."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import ModelSettings
from fraud.models.estimators import Fitted, ForestEngine, TrainingRows, fit_random_forest, fit_xgboost
from fraud.models.packing import pack_random_forest, pack_xgboost


@dataclass(frozen=True)
class Parts:
    """What is fitted on, and the later slice that early stopping and calibration use (None: neither)."""

    train: TrainingRows
    calibration: TrainingRows | None
    refit: bool


def stack(rows: TrainingRows, extra: TrainingRows | None) -> TrainingRows:
    """Return both parts as one."""
    if extra is None:
        return rows
    return TrainingRows(
        np.concatenate([rows.features, extra.features]),
        np.concatenate([rows.labels, extra.labels]),
        np.concatenate([rows.weights, extra.weights]),
        np.concatenate([rows.rows, extra.rows]),
    )


def fit_model(
    name: str,
    parts: Parts,
    settings: ModelSettings,
    seed: int,
    forest_engine: ForestEngine = "auto",
    curves: bool = True,
) -> tuple[Fitted, Fitted]:
    """Return the model that is calibrated, and the one that is released (the same unless the plan refits).

    Without `curves` boosting is not judged on its own training rows each round: a search has no use for it.
    """

    def fit(training: TrainingRows, validation: TrainingRows | None, chosen: ModelSettings) -> Fitted:
        sampled = training.undersampled(settings.negatives_for(name), seed)
        if name == "random_forest":
            one = fit_random_forest(sampled, chosen, seed, forest_engine)
        else:
            one = fit_xgboost(sampled, validation, chosen, seed, curves)
        return replace(one, n_rows=len(sampled.labels), n_frauds=int((sampled.labels == 1).sum()))

    fitted = fit(parts.train, parts.calibration, settings)
    if not parts.refit or parts.calibration is None:
        return fitted, fitted
    if fitted.best_iteration is not None:
        rounds = dict(settings.xgboost) | {"n_estimators": fitted.best_iteration + 1}
        settings = settings.model_copy(update={"xgboost": rounds})
    refitted = fit(stack(parts.train, parts.calibration), None, settings)
    return fitted, replace(fitted, estimator=refitted.estimator, engine=refitted.engine)


def pack(name: str, fitted: Fitted) -> Any:
    """Return the packed form of a fitted model."""
    return (pack_random_forest if name == "random_forest" else pack_xgboost)(fitted.estimator)


def score(fitted: Fitted, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the library's own raw scores, float64 [n]."""
    estimator = fitted.estimator
    return np.asarray(estimator.predict_proba(features)[:, 1], np.float64)
