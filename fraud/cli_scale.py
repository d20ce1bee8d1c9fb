"""`--engine dask` of `train`, `tune`, `score` and `monitor`: the same on a cluster (docs/scale.md)."""

import argparse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud.cli_progress import timed_progress
from fraud.errors import SettingsError
from fraud.settings import Settings

if TYPE_CHECKING:
    from fraud.data.profile import Profile
    from fraud.data.table import Transactions
    from fraud.models.folds import JudgeFolds
    from fraud.models.train import Training
    from fraud.monitoring.run import Reading
    from fraud.scale.cluster import EngineOptions

PROCESS, DASK = "process", "dask"
_CLUSTER = ("scheduler", "workers", "memory_limit", "scratch", "partition_rows")


def add_engine_options(command: Any) -> None:
    """Add the choice of an engine, and what is said of a cluster, to a command."""
    group = command.add_argument_group("where it is done (docs/scale.md)")
    group.add_argument(
        "--engine", choices=(PROCESS, DASK), default=PROCESS, help="this process, or a Dask cluster"
    )
    group.add_argument(
        "--scheduler", metavar="tcp://...", help="a running Dask scheduler (default: own workers)"
    )
    group.add_argument("--workers", type=int, metavar="N", help="own worker processes (default: 2)")
    group.add_argument("--memory-limit", metavar="SIZE", help="of each own worker, such as 2GB (the default)")
    group.add_argument("--scratch", type=Path, metavar="DIR", help="directory that all workers see")
    group.add_argument(
        "--partition-rows", type=int, metavar="N", help="rows worked on at once (default: 100,000)"
    )


def on_cluster(options: argparse.Namespace) -> bool:
    """Return whether a cluster is asked for.

    Raises
    ------
    SettingsError
        An option of a cluster was given without one.
    """
    if options.engine == DASK:
        return True
    given = [name for name in _CLUSTER if getattr(options, name) is not None]
    if given:
        flag = "--" + given[0].replace("_", "-")
        raise SettingsError(f"{flag} is an option of a cluster; add --engine dask.", field=flag)
    return False


def engine_options(options: argparse.Namespace) -> "EngineOptions":
    """Return what a command line says of its cluster."""
    from fraud.scale.cluster import EngineOptions

    own = {name: getattr(options, name) for name in ("workers", "memory_limit")}
    chosen = {name: value for name, value in own.items() if value is not None}
    if options.scheduler is not None and chosen:
        raise SettingsError(
            "--workers and --memory-limit are of own workers, and --scheduler names those of others; give "
            "either.",
            field="--scheduler",
        )
    return EngineOptions(scheduler=options.scheduler, scratch=options.scratch, **chosen)


def partition_rows(options: argparse.Namespace) -> int:
    """Return how many rows are worked on at once; SettingsError if that is not possible."""
    from fraud.scale.partitions import PARTITION_ROWS

    wanted = PARTITION_ROWS if options.partition_rows is None else int(options.partition_rows)
    if wanted < 1_000:
        raise SettingsError("--partition-rows must be 1000 or more.", field="--partition-rows")
    return wanted


@contextmanager
def trained_on_cluster(
    options: argparse.Namespace, settings: Settings, directory: Path, progress: Any
) -> Iterator[tuple["Training", dict[str, Any]]]:
    """Yield what `train` has trained on a cluster, and the record of its data; its files go at the end."""
    from fraud.data.profile import load_profile
    from fraud.scale.cluster import engine
    from fraud.scale.training import train_at_scale

    if options.data is None:
        raise SettingsError(
            "--engine dask trains on a table; name a Parquet file or a directory of them with --data "
            "(`simulate --out DIR/` writes one).",
            field="--data",
        )
    rows, profile = partition_rows(options), load_profile(options.profile)
    with engine(engine_options(options), directory, progress) as cluster:
        yield train_at_scale(
            cluster,
            options.data,
            profile,
            seed=options.seed,
            forest_engine=settings.models.forest_engine,
            partition_rows=rows,
        )


def score_on_cluster(options: argparse.Namespace, settings: Settings) -> None:
    """Do what `score` does, with a directory of files, on a cluster."""
    from fraud.scale.cluster import engine
    from fraud.scale.scoring import SHOWN, score_directory
    from fraud.serving.champion import Champion
    from fraud.wiring import model_registry

    rows = partition_rows(options)
    scorer = Champion(model_registry(settings), settings.models.artifacts).scorer
    with engine(engine_options(options), options.out, timed_progress()) as cluster:
        result = score_directory(
            cluster, scorer, options.file, options.out, datetime.now(UTC), options.rejected, rows
        )
    if options.rejected is None:
        for file, row, column, rule in result.first_refused:
            print(f"{file}, row {row}: {column} {rule}")
        if result.n_refused > SHOWN:
            print(f"... and {result.n_refused - SHOWN:,} more; --rejected FILE lists all")
    print(
        f"{result.version} scored {result.n_scored:,} rows of {result.n_files} files to {options.out}, "
        f"{result.n_refused:,} rows do not fit"
    )


@contextmanager
def loaded_for_search(
    options: argparse.Namespace, profile: "Profile"
) -> Iterator[tuple["Transactions", Mapping[str, Any], "JudgeFolds"]]:
    """Yield the table of a search, the record of where it is from, and what judges its folds."""
    from fraud.data.sources import load_transactions
    from fraud.models.folds import judge_folds

    if not on_cluster(options):
        yield *load_transactions(profile, options.data), judge_folds
        return
    from fraud.scale.cluster import engine
    from fraud.scale.partitions import parquet_files
    from fraud.scale.tuning import FoldsOnWorkers, load_here

    with engine(engine_options(options), options.study) as cluster:
        if options.data is None:
            table, source = load_transactions(profile, None)
        else:
            files = parquet_files(options.data.absolute())
            table, digest = load_here(cluster, files, profile, partition_rows(options))
            source = {"source": "directory", "name": options.data.name, "sha256": digest}
        yield table, source, FoldsOnWorkers(cluster)


@contextmanager
def read_by(options: argparse.Namespace, out: Path) -> Iterator["Reading"]:
    """Yield who reads the log of a monitoring run."""
    from fraud.monitoring.run import Reading

    if not on_cluster(options):
        yield Reading()
        return
    from fraud.scale.cluster import engine
    from fraud.scale.monitoring import reading_on

    with engine(engine_options(options), out) as cluster:
        yield reading_on(cluster)
