"""`train --engine dask`: from a partitioned table to the same bundle."""

from pathlib import Path
from typing import Any

from fraud.data.profile import Profile
from fraud.models.estimators import Fitted, ForestEngine
from fraud.models.train import Training, headline, judged
from fraud.records import MODELS
from fraud.scale.agreement import check_seen
from fraud.scale.boosting import fit_boosting_at_scale
from fraud.scale.cluster import Engine
from fraud.scale.forest import fit_forest_at_scale
from fraud.scale.partitions import PARTITION_ROWS, file_digest, parquet_files, partitions_of, table_digest
from fraud.scale.preparing import PreparedAtScale, prepare_at_scale
from fraud.scale.splitting import MAX_HELD_OUT


def train_at_scale(
    engine: Engine,
    source: Path,
    profile: Profile,
    *,
    seed: int = 7,
    forest_engine: ForestEngine = "auto",
    partition_rows: int = PARTITION_ROWS,
    max_held_out: int = MAX_HELD_OUT,
) -> tuple[Training, dict[str, Any]]:
    """Return what `fraud.models.train.train` does, and the record of the table for the manifest.

    Features, levels and parts are those of a single process to the last bit; the models are fitted by other
    engines, so their figures agree as those of two seeds do.

    Parameters
    ----------
    source : a Parquet file, or a directory of them

    Raises
    ------
    TableError
        The table breaks the profile or its plan.
    BundleRefused
        The packed form of a model does not answer as the fitted one does.
    EngineError
        Workers went on dying.
    """
    files = parquet_files(source.absolute())
    check_seen(engine, files[0])
    partitions = partitions_of(files, partition_rows)
    digests = engine.each(file_digest, [str(path) for path in files])
    ready = prepare_at_scale(engine, partitions, profile, seed=seed, max_held_out=max_held_out)
    models = {}
    for name in MODELS:
        engine.progress(f"fitting {name} on {sum(ready.disk.counts['train']):,} rows")
        models[name] = judged(name, *_fit(engine, name, ready, forest_engine), ready.prepared)
        engine.progress(headline(name, models[name]))
    training = Training(
        profile=profile,
        seed=seed,
        pipeline=ready.prepared.pipeline,
        models=models,
        transactions=ready.prepared.transactions,
        split=ready.prepared.split,
        n_additions=0,
        whole=ready.whole,
    )
    kind = "directory" if source.is_dir() else "file"
    return training, {"source": kind, "name": source.name, "sha256": table_digest(digests)}


def _fit(
    engine: Engine, name: str, ready: PreparedAtScale, forest_engine: ForestEngine
) -> tuple[Fitted, Fitted]:
    profile, seed = ready.prepared.profile, ready.prepared.seed
    refit = profile.evaluation.refit
    if name == "random_forest":
        return fit_forest_at_scale(
            engine, ready.disk, profile.models, seed, refit=refit, forest_engine=forest_engine
        )
    return fit_boosting_at_scale(engine, ready.disk, profile.models, seed, refit=refit)
