"""From a partitioned table to what models are fitted and judged on: files for fitting, arrays for judging.

Training rows stay in files. What is calibrated and judged on, and the past that a release ships, come to this
process; `fraud.scale.splitting` bounds the first two, `MAX_PAST` the last.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import DAY_MS, Profile
from fraud.data.table import Transactions, concatenate
from fraud.errors import TableError
from fraud.features.pipeline import FeaturePipeline, LevelCounts, category_columns, level_counts
from fraud.models.estimators import TrainingRows
from fraud.models.examples import REACH_DAYS
from fraud.models.split import Split, empty_part, labels_as_of
from fraud.models.train import Prepared, WholeTable
from fraud.scale.cluster import Engine
from fraud.scale.counting import (
    Counted,
    labelled_within,
    labels_of_partition,
    read_typed,
    type_partition,
    unit_name,
)
from fraud.scale.partitions import Partition
from fraud.scale.shuffle import (
    PARTITIONS_A_BUCKET,
    Asked,
    Joined,
    Shuffle,
    bucket_features,
    gather_reach,
    in_reach,
    join,
    shuffles_of,
)
from fraud.scale.splitting import MAX_HELD_OUT, NOTHING, PARTS, TEST, TRAIN, Calendar, Plan, plan_of
from fraud.scale.typed import from_batch, read_batch, save_array, to_batch, write_batch

F32 = NDArray[np.float32]
MAX_PAST = 10_000_000
"""Rows of the past that a release ships; a node holds them in memory, some 150 bytes each."""
BOOTSTRAPS = {500_000: 400, 1_500_000: 200, MAX_HELD_OUT: 100}
"""Test rows up to which that many replicates are drawn; at a million rows intervals hardly move after 100."""


@dataclass(frozen=True)
class Surveyed:
    """One partition by the parts of the plan; labels as they stood when the test began, except `windows`."""

    windows: Mapping[str, tuple[int, int, int, int]]
    classes: Mapping[str, tuple[int, int]]
    levels: Mapping[str, LevelCounts]
    fraud_amounts: NDArray[np.float64]
    fraud_order: NDArray[np.int64]
    n_dropped: int


@dataclass(frozen=True)
class OnDisk:
    """The rows to fit on, by part and partition: where they lie; `counts` are frauds and others by part."""

    folder: Path
    partitions: tuple[Partition, ...]
    n_features: int
    counts: Mapping[str, tuple[int, int]]

    def matrix(self, part: str, partition: Partition) -> Path:
        """Return the file of a partition's features, float32 [n, d]."""
        return self.folder / f"{part}-x-{partition.number}.npy"

    def labels(self, part: str, partition: Partition) -> Path:
        """Return the file of their labels, float32 [n]."""
        return self.folder / f"{part}-y-{partition.number}.npy"

    def rows(self, part: str, partition: Partition) -> Path:
        """Return the file of their positions in the table, int64 [n]."""
        return self.folder / f"{part}-rows-{partition.number}.npy"

    def times(self, part: str, partition: Partition) -> Path:
        """Return the file of their moments, int64 [n]."""
        return self.folder / f"{part}-time-{partition.number}.npy"

    def kept(self, partition: Partition) -> Path:
        """Return the file of the transactions that a release needs."""
        return self.folder / f"kept-{partition.number}.arrow"

    def kept_parts(self, partition: Partition) -> Path:
        """Return the file of what each of these is for, int8 [n]."""
        return self.folder / f"kept-{partition.number}.npy"


@dataclass(frozen=True)
class PreparedAtScale:
    """What `fraud.models.train.prepare` returns, with the training rows on disk."""

    prepared: Prepared
    disk: OnDisk
    whole: WholeTable


def prepare_at_scale(
    engine: Engine,
    partitions: Sequence[Partition],
    profile: Profile,
    *,
    seed: int = 7,
    max_held_out: int = MAX_HELD_OUT,
) -> PreparedAtScale:
    """Return what is computed before both models are fitted.

    Raises
    ------
    TableError
        A row breaks the profile, the plan leaves a part without frauds or without legitimate transactions,
        or the past that serving needs is more than one process holds.
    """
    folder, shuffles = engine.folder, shuffles_of(profile)
    n_buckets = -(-len(partitions) // PARTITIONS_A_BUCKET)
    dropped = _dropped_column(profile)
    counted = engine.each(type_partition, partitions, profile, shuffles, n_buckets, folder, dropped)
    engine.progress(f"{sum(c.n_rows for c in counted):,} transactions in {len(partitions)} partitions")
    plan = _plan(engine, partitions, counted, profile, seed, max_held_out)
    surveyed = engine.each(survey, partitions, profile, plan, folder)
    _check_parts(surveyed, profile)
    pipeline = FeaturePipeline.from_counts(profile, _levels(surveyed, profile))
    engine.progress(f"{_described(surveyed)}; computing {len(pipeline.names)} features")
    reach_ms = max(c.last_ms for c in counted) - REACH_DAYS * DAY_MS
    if shuffles:
        _check_past(counted, profile, reach_ms)
        asked = Asked(*plan.span_ms, labelled=True, reach_ms=reach_ms)
        _history(engine, partitions, shuffles, n_buckets, asked)
        _check_shipped(gather_reach(shuffles, n_buckets, folder), counted, profile, reach_ms)
        engine.progress("joining them")
    disk = OnDisk(folder, tuple(partitions), len(pipeline.names), _classes(surveyed))
    engine.each(assemble, partitions, pipeline, plan, shuffles, n_buckets, disk)
    prepared = _collected(disk, pipeline, plan, surveyed, profile, seed)
    windows = _windows(surveyed, timeless=profile.columns.time is None)
    return PreparedAtScale(prepared, disk, WholeTable(sum(c.n_rows for c in counted), windows))


def _dropped_column(profile: Profile) -> str | None:
    name = getattr(profile.evaluation, "drop_compromised", None)
    return next((e.column for e in profile.entities if e.name == name), None)


def _plan(
    engine: Engine,
    partitions: Sequence[Partition],
    counted: Sequence[Counted],
    profile: Profile,
    seed: int,
    max_held_out: int,
) -> Plan:
    def look(from_ms: int, before_ms: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        chosen = [
            p
            for p, c in zip(partitions, counted, strict=True)
            if c.first_ms < before_ms and c.last_ms >= from_ms
        ]
        found = engine.each(partial(labelled_within, engine.folder), chosen, from_ms, before_ms)
        return np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])

    def labels() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        found = engine.each(partial(labels_of_partition, engine.folder), partitions)
        return np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])

    return plan_of(profile, counted, look, labels, seed, max_held_out)


def survey(partition: Partition, profile: Profile, plan: Plan, folder: Path) -> Surveyed:
    """Return a typed partition's counts by the parts of the plan."""
    table = read_typed(folder, partition)
    parts, n_dropped = plan.parts(table)
    observed = table.with_labels(labels_as_of(table, plan.as_of_ms), table.known_at_ms)
    training = observed.take(np.flatnonzero(parts == TRAIN))
    windows, classes = {}, {}
    for name, code in PARTS.items():
        chosen = np.flatnonzero(parts == code)
        judged = (table if name == "test" else observed).labels[chosen]
        classes[name] = (int((judged == 1).sum()), int((judged == 0).sum()))
        time = np.zeros(1, np.int64) if table.time_ms is None or not len(chosen) else table.time_ms[chosen]
        n_frauds = int((table.labels[chosen] == 1).sum())
        windows[name] = (len(chosen), n_frauds, int(time.min()), int(time.max()))
    amount = profile.columns.amount
    frauds = np.flatnonzero(training.labels == 1)
    return Surveyed(
        windows=windows,
        classes=classes,
        levels={name: level_counts(training, name) for name in category_columns(profile)},
        fraud_amounts=np.zeros(0) if amount is None else training.numbers[amount][frauds],
        fraud_order=np.stack([_times(training)[frauds], training.rows[frauds]]),
        n_dropped=n_dropped,
    )


def _times(table: Transactions) -> NDArray[np.int64]:
    return np.zeros(len(table), np.int64) if table.time_ms is None else table.time_ms


def _check_parts(surveyed: Sequence[Surveyed], profile: Profile) -> None:
    for name in PARTS:
        counts = [sum(s.classes[name][i] for s in surveyed) for i in (0, 1)]
        for n, word in zip(counts, ("frauds", "legitimate transactions"), strict=True):
            if not n:
                raise empty_part(name, word, sum(counts), profile)


def _classes(surveyed: Sequence[Surveyed]) -> dict[str, tuple[int, int]]:
    """Return part -> frauds and legitimate rows, as they are fitted."""
    return {
        name: (sum(s.classes[name][0] for s in surveyed), sum(s.classes[name][1] for s in surveyed))
        for name in PARTS
    }


def _levels(surveyed: Sequence[Surveyed], profile: Profile) -> dict[str, LevelCounts]:
    found: dict[str, LevelCounts] = {}
    for name in category_columns(profile):
        sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for one in surveyed:
            for level, (n, frauds) in one.levels[name].items():
                sums[level][0] += n
                sums[level][1] += frauds
        found[name] = {level: (n, frauds) for level, (n, frauds) in sums.items()}
    return found


def _described(surveyed: Sequence[Surveyed]) -> str:
    def one(name: str) -> str:
        n, frauds = (sum(s.windows[name][i] for s in surveyed) for i in (0, 1))
        return f"{name} {n:,} rows / {frauds:,} frauds"

    n_dropped = sum(s.n_dropped for s in surveyed)
    left_out = f" ({n_dropped:,} of known compromised cards left out)" if n_dropped else ""
    return ", ".join(map(one, PARTS)) + left_out


def _windows(surveyed: Sequence[Surveyed], *, timeless: bool) -> dict[str, dict[str, object]]:
    """Return the parts' rows, frauds, first and last times, as `Split.windows` does."""
    found: dict[str, dict[str, object]] = {}
    for name in PARTS:
        mine = [s.windows[name] for s in surveyed if s.windows[name][0]]
        found[name] = {"n_rows": sum(w[0] for w in mine), "n_frauds": sum(w[1] for w in mine)}
        if not timeless:
            for key, moment in (("first_at", min(w[2] for w in mine)), ("last_at", max(w[3] for w in mine))):
                found[name][key] = datetime.fromtimestamp(moment / 1000, UTC).isoformat()
    return found


def _check_past(counted: Sequence[Counted], profile: Profile, reach_ms: int) -> None:
    """Refuse before anything is computed; `gather_reach` then counts the rows without a label too."""
    calendar = Calendar.of(counted, lambda low, high: (np.zeros(0, np.int64), np.zeros(0, np.int64)))
    since_ms = _looked_back_to(profile, reach_ms)
    n_rows = int(calendar.counts[calendar.hours >= since_ms // 3_600_000].sum())
    _check_shipped(n_rows, counted, profile, reach_ms)


def _looked_back_to(profile: Profile, reach_ms: int) -> int:
    since_ms = reach_ms - profile.features.longest_window_ms
    return since_ms - int(profile.features.label_delay_days * DAY_MS)


def _check_shipped(n_rows: int, counted: Sequence[Counted], profile: Profile, reach_ms: int) -> None:
    if n_rows > MAX_PAST:
        days = (max(c.last_ms for c in counted) - _looked_back_to(profile, reach_ms)) / DAY_MS
        raise TableError(
            f"Serving would look back on {n_rows:,} rows, the last {days:.0f} days of the table, and a "
            f"release ships {MAX_PAST:,} at most; shorten the longest window of [features], or train on "
            "fewer entities.",
            code="too_large",
        )


def _history(
    engine: Engine, partitions: Sequence[Partition], shuffles: Sequence[Shuffle], n_buckets: int, asked: Asked
) -> None:
    units = [unit_name(p) for p in partitions]
    first = [p.first for p in partitions]
    work = [(shuffle, bucket) for bucket in range(n_buckets) for shuffle in shuffles]
    engine.each(_one_bucket, work, engine.folder, units, first, asked)


def _one_bucket(
    work: tuple[Shuffle, int], folder: Path, units: Sequence[str], first: Sequence[int], asked: Asked
) -> int:
    return bucket_features(*work, folder, units, first, asked)


def assemble(
    partition: Partition,
    pipeline: FeaturePipeline,
    plan: Plan,
    shuffles: Sequence[Shuffle],
    n_buckets: int,
    disk: OnDisk,
) -> int:
    """Write a partition's features by the parts of the plan, and the transactions that a release needs."""
    table = read_typed(disk.folder, partition)
    parts, _ = plan.parts(table)
    chosen = np.flatnonzero(parts != NOTHING)
    history, kept = None, parts == TEST
    if shuffles:
        joined = join(shuffles, n_buckets, disk.folder, partition.number, len(table))
        history = Joined(pipeline.profile, {name: values[chosen] for name, values in joined.items()})
        kept = kept | in_reach(disk.folder, partition.first, len(table))
    features = pipeline.transform(table.take(chosen), history)
    observed = labels_as_of(table, plan.as_of_ms)
    for name, code in PARTS.items():
        mine = parts[chosen] == code
        at = chosen[mine]
        labels = (table.labels if name == "test" else observed)[at]
        save_array(disk.matrix(name, partition), features[mine])
        save_array(disk.labels(name, partition), labels.astype(np.float32))
        save_array(disk.rows(name, partition), table.rows[at])
        save_array(disk.times(name, partition), _times(table)[at])
    needed = np.flatnonzero(kept)
    write_batch(disk.kept(partition), to_batch(table.take(needed)))
    save_array(disk.kept_parts(partition), parts[needed])
    return len(chosen)


def _collected(
    disk: OnDisk,
    pipeline: FeaturePipeline,
    plan: Plan,
    surveyed: Sequence[Surveyed],
    profile: Profile,
    seed: int,
) -> Prepared:
    """Bring what is calibrated and judged on, and what a release ships, here, in order of time."""
    calibration, calibration_time = _read_part(disk, "calibration")
    test, _ = _read_part(disk, "test")
    transactions, parts = _read_kept(disk)
    at = np.flatnonzero(parts == TEST)
    none = np.zeros(0, np.intp)
    split = Split(
        train=none,
        calibration=none,
        test=at,
        as_of_ms=plan.as_of_ms,
        n_dropped_compromised=sum(s.n_dropped for s in surveyed),
        note=plan.note,
    )
    n_test = len(at)
    return Prepared(
        profile=profile,
        seed=seed,
        pipeline=pipeline,
        transactions=transactions,
        split=split,
        train=TrainingRows(np.zeros((0, disk.n_features), np.float32), np.zeros(0), np.zeros(0), none),
        calibration=calibration,
        calibration_time_ms=None if profile.columns.time is None else calibration_time,
        test=transactions.take(at),
        test_features=test.features,
        extra=None,
        average_fraud=_average_fraud(surveyed, profile),
        n_bootstrap=next((n for most, n in BOOTSTRAPS.items() if n_test <= most), 100),
    )


def _read_part(disk: OnDisk, part: str) -> tuple[TrainingRows, NDArray[np.int64]]:
    def joined(path_of: Any) -> NDArray[Any]:
        return np.concatenate([np.load(path_of(part, p)) for p in disk.partitions])

    rows, time = joined(disk.rows), joined(disk.times)
    order = np.lexsort((rows, time))
    labels = joined(disk.labels).astype(np.float64)[order]
    return TrainingRows(joined(disk.matrix)[order], labels, np.ones(len(order)), rows[order]), time[order]


def _read_kept(disk: OnDisk) -> tuple[Transactions, NDArray[np.int8]]:
    tables = [from_batch(read_batch(disk.kept(p))) for p in disk.partitions]
    parts = np.concatenate([np.load(disk.kept_parts(p)) for p in disk.partitions])
    rows = np.concatenate([t.rows for t in tables])
    typology = None
    if tables[0].typology is not None:
        typology = np.concatenate([t.typology for t in tables if t.typology is not None])
    joined = concatenate(tables)  # stable in time, so those of one moment are in the table's order
    order = joined.rows
    kept = replace(joined, rows=rows[order], typology=None if typology is None else typology[order])
    return kept, parts[order]


def _average_fraud(surveyed: Sequence[Surveyed], profile: Profile) -> float:
    """Return what `fraud.models.train` computes, from the same amounts in the same order."""
    if profile.columns.amount is None:
        return profile.costs.average_fraud or profile.costs.friction * 4
    amounts = np.concatenate([s.fraud_amounts for s in surveyed])
    time, rows = np.concatenate([s.fraud_order for s in surveyed], axis=1)
    amounts = amounts[np.lexsort((rows, time))]
    return float(np.nanmean(amounts)) if np.isfinite(amounts).any() else profile.costs.friction * 4
