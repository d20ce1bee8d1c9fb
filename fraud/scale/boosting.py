"""XGBoost by `xgboost.dask`: every worker holds its partitions' rows, and they add up their histograms."""

from collections.abc import Mapping
from functools import partial
from time import sleep
from typing import Any

import numpy as np

from fraud.data.profile import ModelSettings
from fraud.models.estimators import Fitted, boosting_parameters, curves_of, refused
from fraud.scale.cluster import RETRIES, Engine, EngineError
from fraud.scale.partitions import Partition
from fraud.scale.preparing import OnDisk
from fraud.scale.sampling import BASE_BYTES, Sample, sample_of

BYTES_PER_VALUE = 14
"""Memory of a training row, by feature: the value, and its bin in two layouts (benchmarks/scale.py)."""
SHARE_OF_MEMORY = 0.6
"""Above it Dask begins to move what a worker holds to disk, and boosting reads all of it in every round."""
FOR_VALIDATION = 0.25
"""Share of these rows that early stopping is judged on, at most, where not all fit."""


def fit_boosting_at_scale(
    engine: Engine, disk: OnDisk, settings: ModelSettings, seed: int, *, refit: bool
) -> tuple[Fitted, Fitted]:
    """Return the model that is calibrated, and the one that is released, as `fraud.models.fitting.fit_model`.

    Raises
    ------
    ProfileError
        A parameter does not exist or has an impossible value.
    EngineError
        Workers went on dying.
    """
    fitted = _fit(engine, disk, ("train",), settings, seed, validate=True)
    if not refit:
        return fitted, fitted
    rounds = dict(settings.xgboost) | {"n_estimators": (fitted.best_iteration or 0) + 1}
    settings = settings.model_copy(update={"xgboost": rounds})
    again = _fit(engine, disk, ("train", "calibration"), settings, seed, validate=False)
    return fitted, Fitted(
        again.estimator, again.engine, fitted.curves, fitted.best_iteration, fitted.n_rows, fitted.n_frauds
    )


def _fit(
    engine: Engine,
    disk: OnDisk,
    parts: tuple[str, ...],
    settings: ModelSettings,
    seed: int,
    *,
    validate: bool,
) -> Fitted:
    wanted = sample_of(disk, parts, settings.negatives_for("xgboost"), seed)
    later = Sample(("calibration",), 1.0, seed) if validate else None
    sample, later = _that_fit(engine, disk, wanted, later)
    before = engine.members()
    for attempt in range(1 + RETRIES):
        try:
            return _fit_once(engine, disk, sample, later, settings, seed)
        except _failures() as error:
            sleep(1)
            now = engine.members()
            if now == before:  # nobody died: the fault is in what was asked
                raise refused("xgboost", error) from error
            if attempt == RETRIES:
                break
            engine.say(f"xgboost: a worker died while fitting; beginning again ({attempt + 1} of {RETRIES})")
            before = now
    raise EngineError(
        f"Workers died in {1 + RETRIES} fits of xgboost, most likely for want of memory; give them more "
        "(--memory-limit), or lower models.negatives_per_fraud.",
        code="worker_died",
    )


def _that_fit(
    engine: Engine, disk: OnDisk, wanted: Sample, later: Sample | None
) -> tuple[Sample, Sample | None]:
    """Return what the workers' memory holds of the rows to fit on, and of those that stop the fit early."""
    room = sum(max(0, int(w.get("memory_limit") or 4 << 30) - BASE_BYTES) for w in engine.workers.values())
    n_most = room * SHARE_OF_MEMORY / (BYTES_PER_VALUE * disk.n_features)
    n_later = 0.0 if later is None else later.expected_rows(disk)
    if wanted.expected_rows(disk) + n_later <= n_most:
        return wanted, later
    if later is not None:
        later = later.of_at_most(max(n_most * FOR_VALIDATION, n_most - wanted.expected_rows(disk)), disk)
        n_later = later.expected_rows(disk)
    sample = wanted.of_at_most(n_most - n_later, disk)
    judged = "" if later is None else f", early stopping is judged on {min(1, later.share):.1%} of its own"
    engine.say(
        f"xgboost: {wanted.expected_rows(disk):,.0f} training rows are more than the workers hold; all "
        f"frauds and {min(1, sample.share):.1%} of the others are fitted on{judged} (calibration restores "
        "the rate); more workers or a larger --memory-limit fit on all"
    )
    return sample, later


def _failures() -> tuple[type[BaseException], ...]:
    """Return what a fit raises when a worker dies in it: xgboost, Dask and sockets have their own words."""
    from asyncio import CancelledError

    from distributed import KilledWorker
    from xgboost.core import XGBoostError

    return (XGBoostError, KilledWorker, RuntimeError, ValueError, OSError, AssertionError, CancelledError)


def _fit_once(
    engine: Engine, disk: OnDisk, sample: Sample, later: Sample | None, settings: ModelSettings, seed: int
) -> Fitted:
    import xgboost
    from xgboost import XGBClassifier
    from xgboost.collective import Config
    from xgboost.dask import DaskXGBClassifier

    parameters = boosting_parameters(settings, seed, validated=later is not None)
    own = {name: value for name, value in parameters.items() if name != "n_jobs"}  # a worker has its threads
    own["verbosity"] = 0  # workers would tell of their ranks, and warn of its own coll_cfg
    counts = engine.each(partial(_counts, sample), disk.partitions, disk)
    data = _matrix(engine, disk, sample, counts)
    options: dict[str, Any] = {}
    if later is not None:
        n_later = engine.each(partial(_counts, later), disk.partitions, disk)
        options = {"eval_set": [data, _matrix(engine, disk, later, n_later)]}
    # Left to itself the tracker listens on an address that others reach, also where all is on loopback.
    model = DaskXGBClassifier(**own, coll_cfg=Config(tracker_host_ip=engine.scheduler_host))
    model.client = engine.client
    with xgboost.config_context(verbosity=0):  # it warns of its own coll_cfg
        model.fit(*data, verbose=False, **options)
    plain = XGBClassifier(**parameters)
    plain.load_model(bytearray(model.get_booster().save_raw("ubj")))
    n_rows, n_frauds = (sum(c[i] for c in counts) for i in (0, 1))
    best = int(model.best_iteration) if later is not None else None
    curves: Mapping[str, list[float]] = curves_of(model.evals_result()) if later is not None else {}
    return Fitted(plain, f"xgboost {xgboost.__version__}, dask", curves, best, n_rows, n_frauds)


def _counts(sample: Sample, partition: Partition, disk: OnDisk) -> tuple[int, int]:
    return sample.counts(partition, disk)


def _matrix(engine: Engine, disk: OnDisk, sample: Sample, counts: list[tuple[int, int]]) -> tuple[Any, Any]:
    """Return features and labels as Dask arrays in the workers' memory, a chunk for each partition."""
    import dask.array as da
    from dask import delayed

    features, labels = [], []
    for partition, (n_rows, _) in zip(disk.partitions, counts, strict=True):
        if n_rows:
            read = delayed(sample.read, pure=False)(partition, disk)
            features.append(da.from_delayed(read[0], (n_rows, disk.n_features), np.float32))
            labels.append(da.from_delayed(read[1], (n_rows,), np.float32))
    # Held at once: read again by every use, partitions would come to lie on other workers than their labels.
    x, y = engine.client.persist([da.concatenate(features), da.concatenate(labels)])
    return x, y
