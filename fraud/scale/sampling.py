"""Which training rows a fit gets: the profile's undersampling, and no more than the workers' memory holds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fraud.models.estimators import TrainingRows
from fraud.scale.cluster import EngineError
from fraud.scale.partitions import Partition
from fraud.scale.preparing import OnDisk

F32 = NDArray[np.float32]
BASE_BYTES = 500_000_000
"""What a worker takes beside rows: interpreter, libraries, and what earlier steps did not give back."""


@dataclass(frozen=True)
class Sample:
    """The rows of some parts: all frauds, and of the others the share of those whose draw lies below it.

    Attributes
    ----------
    parts : such as ("train",), or with "calibration" where the plan fits on both
    share : of legitimate rows that are kept, 1 or more for all
    seed : of the draws, one for each row of the table, so that a single process keeps the same rows
    """

    parts: tuple[str, ...]
    share: float
    seed: int

    def expected_rows(self, disk: OnDisk) -> float:
        """Return about how many rows that is."""
        frauds, others = _classes(disk, self.parts)
        return frauds + min(1.0, self.share) * others

    def of_at_most(self, n_rows: float, disk: OnDisk) -> "Sample":
        """Return a sample of about `n_rows` rows: all frauds, and of the others what is left.

        Raises
        ------
        EngineError
            The frauds and as many others do not fit.
        """
        if self.expected_rows(disk) <= n_rows:
            return self
        frauds, others = _classes(disk, self.parts)
        if n_rows < 2 * frauds:
            raise EngineError(
                f"The workers' memory holds {n_rows:,.0f} rows to fit on, and the frauds alone are "
                f"{frauds:,}; give the workers more (--memory-limit: 1GB at least), or start more of them.",
                code="memory",
                field="--memory-limit",
            )
        return Sample(self.parts, (n_rows - frauds) / max(1, others), self.seed)

    def chosen(self, partition: Partition, part: str, disk: OnDisk) -> NDArray[np.bool_]:
        """Return which rows of a partition's part are in the sample."""
        labels = np.load(disk.labels(part, partition))
        if self.share >= 1:
            return np.ones(len(labels), bool)
        rows = np.load(disk.rows(part, partition)) - partition.first
        # Draws of `TrainingRows.undersampled`, of which this partition's begin where its rows do.
        bits = np.random.PCG64(self.seed)
        bits.advance(partition.first)
        draws = np.random.Generator(bits).random(len(partition))[rows]
        return np.asarray((labels != 0) | (draws < self.share))

    def read(self, partition: Partition, disk: OnDisk) -> tuple[F32, F32]:
        """Return features float32 [n, d] and labels float32 [n] of a partition's rows in the sample."""
        matrices, labels = [], []
        for part in self.parts:
            chosen = self.chosen(partition, part, disk)
            matrices.append(np.load(disk.matrix(part, partition), mmap_mode="r")[chosen])
            labels.append(np.load(disk.labels(part, partition))[chosen])
        return np.concatenate(matrices), np.concatenate(labels)

    def counts(self, partition: Partition, disk: OnDisk) -> tuple[int, int]:
        """Return how many rows of a partition are in the sample, and how many of them are frauds."""
        n_rows = n_frauds = 0
        for part in self.parts:
            labels = np.load(disk.labels(part, partition))[self.chosen(partition, part, disk)]
            n_rows, n_frauds = n_rows + len(labels), n_frauds + int((labels == 1).sum())
        return n_rows, n_frauds

    def all_rows(self, disk: OnDisk) -> TrainingRows:
        """Return the whole sample in one place."""
        read = [self.read(partition, disk) for partition in disk.partitions]
        features = np.concatenate([x for x, _ in read])
        labels = np.concatenate([y for _, y in read]).astype(np.float64)
        return TrainingRows(features, labels, np.ones(len(labels)), np.full(len(labels), -1, np.int64))


def sample_of(disk: OnDisk, parts: Sequence[str], negatives_per_fraud: float | None, seed: int) -> Sample:
    """Return the rows that `TrainingRows.undersampled` keeps of these parts."""
    if negatives_per_fraud is None:
        return Sample(tuple(parts), 1.0, seed)
    frauds, others = _classes(disk, parts)
    return Sample(tuple(parts), negatives_per_fraud * float(frauds) / max(1, others), seed)


def _classes(disk: OnDisk, parts: Sequence[str]) -> tuple[int, int]:
    return sum(disk.counts[p][0] for p in parts), sum(disk.counts[p][1] for p in parts)
