"""A search over hyperparameters, with the libraries' defaults trained beside whatever it finds.

The search sees folds before the test window only (`fraud.models.folds`), and its newest fold is held back:
what was chosen on the others is judged there, because the best of many trials looks better than it is on what
it was chosen by. `check` compares a profile's own settings with the defaults on the same folds, unsearched.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import CalibrationMethod, ModelSettings, Profile
from fraud.data.table import Transactions
from fraud.errors import FraudError, TableError
from fraud.models import acceleration
from fraud.models.calibration import fit_calibration
from fraud.models.fitting import Parts, fit_model, score, stack
from fraud.models.folds import (
    Figures,
    FoldData,
    JudgeFolds,
    fold_data,
    judge_folds,
    paired_difference,
    prequential_folds,
)
from fraud.records import MODELS

if TYPE_CHECKING:
    import optuna

F64 = NDArray[np.float64]
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "random_forest": {"n_estimators": 100, "min_samples_leaf": 1, "max_features": "sqrt"},
    "xgboost": {
        "n_estimators": 100,
        "learning_rate": 0.3,
        "max_depth": 6,
        "subsample": 1.0,
        "colsample_bytree": 1.0,
    },
}
"""What the libraries do when nobody says anything; spelled out because our own defaults are others."""
METHODS: tuple[CalibrationMethod, ...] = ("beta", "platt", "prior")
_RATIOS = (20.0, 50.0, 120.0, 300.0, None)
"""Honest rows kept per fraud; None keeps all."""
_SPACE = 3
"""Number of the search space: trials of another one are not gone on with."""
Origin = Literal["search", "profile", "check"]
"""Where settings come from: a trial, the profile's own among the trials, or the profile's own unsearched."""


@dataclass(frozen=True)
class Trial:
    """One set of hyperparameters and its average precision on each search fold."""

    settings: ModelSettings
    precisions: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean average precision."""
        return float(np.mean(self.precisions))


@dataclass(frozen=True)
class Tuned:
    """What the search, or the check of a profile's own settings, came to for one model.

    Attributes
    ----------
    trials : completed ones, best first; `n_pruned` were stopped early; none after a check
    labels : of each fold's judged transactions, oldest first, float64
    optimised, baseline : figures on every fold, oldest first, the last one held back from the search
    difference : of mean average precision over all folds, optimised - baseline, with a 95% paired interval.
        After a search a description: on all folds but the last the settings were the best of many
    held_back : the same on the newest fold alone
    origin : only settings of "search" are sure to be strangers to the newest fold
    """

    name: str
    settings: ModelSettings
    calibration: CalibrationMethod
    trials: tuple[Trial, ...]
    n_pruned: int
    labels: tuple[F64, ...]
    optimised: tuple[Figures, ...]
    baseline: tuple[Figures, ...]
    difference: tuple[float, float, float]
    held_back: tuple[float, float, float]
    origin: Origin = "search"

    @property
    def may_be_called_optimised(self) -> bool:
        """Whether the newest fold's own interval lies above zero, and all folds together do not disagree."""
        return self.held_back[1] > 0 and self.difference[0] > 0


def tune(
    transactions: Transactions,
    profile: Profile,
    *,
    n_trials: int,
    study: Path,
    data_digest: str,
    n_folds: int = 4,
    seed: int = 7,
    models: Sequence[str] = MODELS,
    on_trial: Callable[[str, int], None] = lambda name, n_done: None,
    judged: JudgeFolds = judge_folds,
) -> dict[str, Tuned]:
    """Search both models' hyperparameters, imbalance handling and calibration.

    Parameters
    ----------
    n_trials : per model, counting those already in the study; the profile's own settings are the first
    study : journal file; a later call with the same profile, data and folds goes on where this one stopped
    n_folds : of which the newest is held back
    judged : fits and judges a model on folds, here or elsewhere

    Raises
    ------
    TableError
        Fewer than two folds before the test window have frauds enough.
    """
    folds = prequential_folds(transactions, profile, n_folds, seed)
    if len(folds) < 2:
        raise TableError(
            "Only one period before the test window has frauds enough, and a search needs one to choose by "
            "and one to check the choice; ask for more folds or bring more data.",
            code="empty_part",
        )
    data = fold_data(transactions, profile, folds)
    result = {}
    for name in models:
        searched = _study(study, name, profile, data_digest, len(folds), seed)
        _search(searched, name, data[:-1], profile, n_trials, seed, on_trial, judged)
        result[name] = _outcome(searched, name, data, profile, seed, judged)
    return result


def check(
    transactions: Transactions,
    profile: Profile,
    *,
    n_folds: int = 4,
    seed: int = 7,
    models: Sequence[str] = MODELS,
    judged: JudgeFolds = judge_folds,
) -> dict[str, Tuned]:
    """Compare the profile's own settings with the libraries' defaults on the search's folds; search nothing.

    Raises
    ------
    TableError
        No fold before the test window has frauds enough.
    """
    data = fold_data(transactions, profile, prequential_folds(transactions, profile, n_folds, seed))
    own = profile.models
    return {
        name: _compared(name, data, own, own.calibration_for(name), profile, seed, judged, origin="check")
        for name in models
    }


def fitted_by(name: str) -> str:
    """Return what fits a model of the search here, with versions: figures of another are not comparable."""
    import sklearn
    import xgboost

    if name == "xgboost":
        return f"xgboost {xgboost.__version__}"
    grown = f"scikit-learn {sklearn.__version__}"
    if not acceleration.installed():
        return grown
    return f"{acceleration.description()} ({acceleration.N_BINS:,} values per column), {grown}"


def _study(
    path: Path, name: str, profile: Profile, digest: str, n_folds: int, seed: int
) -> "optuna.study.Study":
    import hashlib

    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Trials on another table, other features or folds, or by another engine say nothing about this search.
    what = profile.model_dump_json(include={"columns", "fields", "features", "evaluation"})
    parts = f"{what}{digest}{n_folds}{seed}{_SPACE}{fitted_by(name)}"
    key = hashlib.sha256(parts.encode()).hexdigest()[:12]
    path.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name=f"{profile.name}-{name}-{key}",
        storage=JournalStorage(JournalFileBackend(str(path))),
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
    )
    # A search that goes on would otherwise draw again what it drew before it stopped.
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials), n_startup_trials=6)
    return study


def _search(
    searched: "optuna.study.Study",
    name: str,
    data: Sequence[FoldData],
    profile: Profile,
    n_trials: int,
    seed: int,
    on_trial: Callable[[str, int], None],
    judged: JudgeFolds,
) -> None:
    import optuna

    def objective(trial: "optuna.trial.Trial") -> float:
        own = not _has_own(searched, name, profile)
        settings = profile.models if own else suggest(trial, name)
        precisions = []
        for step, figures in enumerate(judged(name, data, settings, seed, profile, False)):
            precisions.append(figures.ap)
            trial.report(float(np.mean(precisions)), step)
            if not own and trial.should_prune():
                raise optuna.TrialPruned
        trial.set_user_attr("settings", settings.model_dump(mode="json"))
        trial.set_user_attr("precisions", precisions)
        return float(np.mean(precisions))

    # A trial that was interrupted (FAIL) or killed (RUNNING for ever) has told nothing, and does not count.
    done = sum(t.state.name in ("COMPLETE", "PRUNED") for t in searched.trials)
    wanted = n_trials - done
    if n_trials > 0 and not _has_own(searched, name, profile):
        wanted = max(1, wanted)
    for number in range(done, done + wanted):
        searched.optimize(objective, n_trials=1)
        on_trial(name, min(number + 1, n_trials))


def _has_own(searched: "optuna.study.Study", name: str, profile: Profile) -> bool:
    """Return whether a trial with the profile's present settings of a model was completed."""
    return any(_same(name, t.settings, profile.models) for t in _completed(searched))


def _same(name: str, ours: ModelSettings, theirs: ModelSettings) -> bool:
    return dict(getattr(ours, name)) == dict(getattr(theirs, name)) and (
        ours.negatives_for(name) == theirs.negatives_for(name)
    )


def _completed(searched: "optuna.study.Study") -> list[Trial]:
    return [
        Trial(ModelSettings.model_validate(t.user_attrs["settings"]), tuple(t.user_attrs["precisions"]))
        for t in searched.trials
        if t.state.name == "COMPLETE"
    ]


def suggest(trial: "optuna.trial.Trial", name: str) -> ModelSettings:
    """Return the settings of one model that a trial proposes."""
    ratio = trial.suggest_categorical("negatives_per_fraud", _RATIOS)
    if name == "random_forest":
        parameters: dict[str, Any] = {
            "n_estimators": 200,
            "min_samples_leaf": trial.suggest_int("min_samples_leaf", 1, 20, log=True),
            "max_features": round(trial.suggest_float("max_features", 0.1, 0.9), 2),
            "max_samples": round(trial.suggest_float("max_samples", 0.3, 1.0), 2),
            "class_weight": trial.suggest_categorical("class_weight", [None, "balanced"]),
        }
        parameters = {k: v for k, v in parameters.items() if v is not None}
    else:
        parameters = {
            "n_estimators": 1200,
            "learning_rate": round(trial.suggest_float("learning_rate", 0.02, 0.15, log=True), 4),
            "max_depth": trial.suggest_int("max_depth", 3, 9),
            "min_child_weight": trial.suggest_int("min_child_weight", 1, 20, log=True),
            "subsample": round(trial.suggest_float("subsample", 0.5, 1.0), 2),
            "colsample_bytree": round(trial.suggest_float("colsample_bytree", 0.3, 1.0), 2),
            "reg_lambda": round(trial.suggest_float("reg_lambda", 0.5, 30.0, log=True), 2),
            "gamma": round(trial.suggest_float("gamma", 0.0, 2.0), 2),
            "num_parallel_tree": trial.suggest_categorical("num_parallel_tree", [1, 4]),
            "scale_pos_weight": trial.suggest_categorical("scale_pos_weight", [1, 3, 10]),
        }
    return ModelSettings.model_validate(
        {name: parameters, "negatives_per_fraud": {} if ratio is None else {name: ratio}}
    )


def _outcome(
    searched: "optuna.study.Study",
    name: str,
    data: Sequence[FoldData],
    profile: Profile,
    seed: int,
    judged: JudgeFolds,
) -> Tuned:
    trials = sorted(_completed(searched), key=lambda t: -t.mean)
    if not trials:
        raise FraudError(
            f"No trial of the search for {name} was completed, so there is nothing to choose from; ask for "
            "one trial or more, and let the first one finish.",
            code="no_trial",
        )
    chosen = trials[0].settings
    return _compared(
        name,
        data,
        chosen,
        _best_calibration(name, data, chosen, seed),
        profile,
        seed,
        judged,
        trials=tuple(trials),
        n_pruned=sum(t.state.name == "PRUNED" for t in searched.trials),
        origin="profile" if _same(name, chosen, profile.models) else "search",
    )


def _compared(
    name: str,
    data: Sequence[FoldData],
    chosen: ModelSettings,
    calibration: CalibrationMethod,
    profile: Profile,
    seed: int,
    judged: JudgeFolds,
    *,
    origin: Origin,
    trials: tuple[Trial, ...] = (),
    n_pruned: int = 0,
) -> Tuned:
    """Return settings beside the libraries' defaults on every fold."""
    optimised = tuple(judged(name, data, chosen, seed, profile, True))
    plain = [untuned(d) for d in data]
    baseline = tuple(judged(name, plain, default_settings(), seed, profile, True))
    labels = tuple(d.judged.labels for d in data)
    ours, theirs = ([f.scores for f in figures] for figures in (optimised, baseline))
    return Tuned(
        name=name,
        settings=chosen,
        calibration=calibration,
        trials=trials,
        n_pruned=n_pruned,
        labels=labels,
        optimised=optimised,
        baseline=baseline,
        difference=paired_difference(labels, ours, theirs),
        held_back=paired_difference(labels[-1:], ours[-1:], theirs[-1:]),
        origin=origin,
    )


def default_settings() -> ModelSettings:
    """Return the libraries' own defaults for both models."""
    return ModelSettings.model_validate(dict(DEFAULTS))


def untuned(data: FoldData) -> FoldData:
    """Return a fold on which a model is simply fitted: all rows, nothing held out to stop by."""
    rows = stack(data.parts.train, data.parts.calibration)
    return FoldData(Parts(rows, None, refit=False), data.judged, data.features)


def _best_calibration(
    name: str, data: Sequence[FoldData], settings: ModelSettings, seed: int
) -> CalibrationMethod:
    """Return the method of least log loss on what came next, over all folds but the held-back one."""
    losses = dict.fromkeys(METHODS, 0.0)
    for fold in data[:-1]:
        later = fold.parts.calibration
        assert later is not None  # noqa: S101 (folds of a plan have one)
        fitted, final = fit_model(name, fold.parts, settings, seed, curves=False)
        raw, judged = score(fitted, later.features), score(final, fold.features)
        for method in METHODS:
            p = np.clip(fit_calibration(raw, later.labels, method)(judged), 1e-9, 1 - 1e-9)
            y = fold.judged.labels
            losses[method] -= float(np.mean(y * np.log(p) + (1 - y) * np.log1p(-p)))
    return min(METHODS, key=lambda method: losses[method])
