"""A random forest whose trees are shared out among the workers (docs/decisions/0038).

Each worker grows its trees on the whole training sample, or on as much of it as its memory holds, with the
engine that a single process would use; together they are one `RandomForestClassifier` like any other.
"""

from functools import partial
from typing import Any

from fraud.data.profile import ModelSettings
from fraud.models.estimators import SOUND_FOREST, Fitted, ForestEngine, fit_random_forest
from fraud.scale.cluster import Engine
from fraud.scale.preparing import OnDisk
from fraud.scale.sampling import BASE_BYTES, Sample, sample_of

BYTES_PER_VALUE = 22
"""Memory of a training row, by feature, while trees grow; a feature with gaps is two columns."""
SHARE_OF_MEMORY = 0.6
_SEED_STEP = 7_919
"""Between two workers' seeds, so that neighbouring seeds of two runs share no trees."""


def fit_forest_at_scale(
    engine: Engine,
    disk: OnDisk,
    settings: ModelSettings,
    seed: int,
    *,
    refit: bool,
    forest_engine: ForestEngine = "auto",
) -> tuple[Fitted, Fitted]:
    """Return the model that is calibrated, and the one that is released, as `fraud.models.fitting.fit_model`.

    Raises
    ------
    ProfileError
        A parameter does not exist or has an impossible value.
    SettingsError
        scikit-learn-intelex was asked for and cannot be used.
    """
    fitted = _fit(engine, disk, ("train",), settings, seed, forest_engine)
    if not refit:
        return fitted, fitted
    again = _fit(engine, disk, ("train", "calibration"), settings, seed, forest_engine)
    return fitted, Fitted(again.estimator, again.engine, n_rows=fitted.n_rows, n_frauds=fitted.n_frauds)


def _fit(
    engine: Engine,
    disk: OnDisk,
    parts: tuple[str, ...],
    settings: ModelSettings,
    seed: int,
    forest_engine: ForestEngine,
) -> Fitted:
    wanted = sample_of(disk, parts, settings.negatives_for("random_forest"), seed)
    room = max(0, engine.memory_bytes - BASE_BYTES) * SHARE_OF_MEMORY
    sample = wanted.of_at_most(room / (BYTES_PER_VALUE * disk.n_features), disk)
    if sample is not wanted:
        engine.say(
            f"random_forest: {wanted.expected_rows(disk):,.0f} training rows are more than a worker holds; "
            f"each grows its trees on all frauds and {sample.share:.1%} of the others (calibration restores "
            "the rate); give a larger --memory-limit to grow on all"
        )
    n_trees = int(settings.random_forest.get("n_estimators", SOUND_FOREST["n_estimators"]))
    shares = [n for n in _shared_out(n_trees, len(engine.workers)) if n]
    work = [(number, n) for number, n in enumerate(shares)]
    drawn_anew = sample is not wanted
    grown = engine.each(partial(_grow, settings, seed, forest_engine), work, disk, sample, drawn_anew)
    forest = grown[0].estimator
    for other in grown[1:]:
        forest.estimators_ += other.estimator.estimators_
    forest.n_estimators = len(forest.estimators_)
    return Fitted(forest, f"{grown[0].engine}, dask", n_rows=grown[0].n_rows, n_frauds=grown[0].n_frauds)


def _shared_out(n_trees: int, n_workers: int) -> list[int]:
    return [n_trees // n_workers + (i < n_trees % n_workers) for i in range(n_workers)]


def _grow(
    settings: ModelSettings,
    seed: int,
    forest_engine: ForestEngine,
    work: tuple[int, int],
    disk: OnDisk,
    sample: Sample,
    drawn_anew: bool,
) -> Any:
    """Grow some of the trees; where a sample stands for more rows, every worker draws its own."""
    number, n_trees = work
    own = seed + _SEED_STEP * number
    rows = (Sample(sample.parts, sample.share, own) if drawn_anew else sample).all_rows(disk)
    trees = dict(settings.random_forest) | {"n_estimators": n_trees}
    fitted = fit_random_forest(rows, settings.model_copy(update={"random_forest": trees}), own, forest_engine)
    return Fitted(
        fitted.estimator, fitted.engine, n_rows=len(rows.labels), n_frauds=int((rows.labels == 1).sum())
    )
