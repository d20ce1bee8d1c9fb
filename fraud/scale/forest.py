"""A random forest whose trees are shared out among the workers (docs/decisions/0038).

Trees are grown on the whole training sample, or on as much of it as a worker's memory holds, with the engine
that a single process would use, and only as many at once as fit beside it; together they are one
`RandomForestClassifier` like any other.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import joblib

from fraud.data.profile import ModelSettings
from fraud.models.estimators import SOUND_FOREST, Fitted, ForestEngine, fit_random_forest
from fraud.scale.cluster import Engine
from fraud.scale.preparing import OnDisk
from fraud.scale.sampling import BASE_BYTES, Sample, sample_of

BYTES_PER_VALUE = 27
"""Memory of a training row, by feature, while trees grow; a feature with gaps is two columns."""
BYTES_PER_NODE = 250
"""Memory of a grown node beside it: the accelerator's, its state, and scikit-learn's."""
FOR_ROWS, FOR_TREES = 0.6, 0.25
"""Shares of what a worker has left beside its libraries."""
_SEED_STEP = 7_919
"""Between the seeds of two shares, so that neighbouring seeds of two runs have no trees in common."""


@dataclass(frozen=True)
class Share:
    """Some of the trees, in a file of their own: what a worker has grown it need not hold."""

    file: Path
    engine: str
    n_rows: int
    n_frauds: int


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
    room = max(0, engine.memory_bytes - BASE_BYTES)
    sample = wanted.of_at_most(room * FOR_ROWS / (BYTES_PER_VALUE * disk.n_features), disk)
    if sample is not wanted:
        engine.say(
            f"random_forest: {wanted.expected_rows(disk):,.0f} training rows are more than a worker holds; "
            f"its trees are grown on all frauds and draws of {sample.share:.1%} of the others (calibration "
            "restores the rate); give a larger --memory-limit to grow on all"
        )
    grow = partial(_grow, settings, seed, forest_engine)
    drawn_anew = sample is not wanted
    # How large trees become is known once one is grown.
    first = engine.each(grow, [(0, 1)], disk, sample, drawn_anew)
    forest = joblib.load(first[0].file)
    at_once = max(1, int(room * FOR_TREES / (BYTES_PER_NODE * forest.estimators_[0].tree_.node_count)))
    n_others = int(settings.random_forest.get("n_estimators", SOUND_FOREST["n_estimators"])) - 1
    shares = _shared_out(n_others, max(len(engine.workers), -(-n_others // at_once)))
    others = engine.each(grow, list(enumerate(shares, start=1)), disk, sample, drawn_anew)
    return _joined(forest, [*first, *others])


def _joined(forest: Any, shares: Sequence[Share]) -> Fitted:
    for share in shares[1:]:
        forest.estimators_ += joblib.load(share.file).estimators_
    forest.n_estimators = len(forest.estimators_)
    whole = shares[0]
    return Fitted(forest, f"{whole.engine}, dask", n_rows=whole.n_rows, n_frauds=whole.n_frauds)


def _shared_out(n_trees: int, n_shares: int) -> list[int]:
    shares = [n_trees // n_shares + (i < n_trees % n_shares) for i in range(n_shares)]
    return [n for n in shares if n]


def _grow(
    settings: ModelSettings,
    seed: int,
    forest_engine: ForestEngine,
    work: tuple[int, int],
    disk: OnDisk,
    sample: Sample,
    drawn_anew: bool,
) -> Share:
    """Grow a share of the trees; where a sample stands for more rows, every share has a draw of its own."""
    number, n_trees = work
    own = seed + _SEED_STEP * number
    rows = (Sample(sample.parts, sample.share, own) if drawn_anew else sample).all_rows(disk)
    trees = dict(settings.random_forest) | {"n_estimators": n_trees}
    fitted = fit_random_forest(rows, settings.model_copy(update={"random_forest": trees}), own, forest_engine)
    file = disk.folder / f"trees-{'-'.join(sample.parts)}-{number}"
    partial_file = f"{file}.{os.getpid()}.partial"
    joblib.dump(fitted.estimator, partial_file)
    os.replace(partial_file, file)
    return Share(file, fitted.engine, len(rows.labels), int((rows.labels == 1).sum()))
