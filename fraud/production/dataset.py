"""The events of a simulated production as commits of a dataset repository, in the form of the demo's own."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from fraud.durable import sync_directory
from fraud.errors import SettingsError
from fraud.feedback.card import CARD_PATH, dataset_card
from fraud.feedback.shards import json_line
from fraud.production.run import NODE, ScoredDay
from fraud.repositories.port import Add, VersionedRepository


class DatasetWriter:
    """Commits days to a repository: one shard per day, one commit for some days together.

    The rows come validated, and no commit is made per row, so this is for bulk: the demo's outbox promises
    more and is slower.

    Parameters
    ----------
    repository : must be empty: simulated events must never mix with what real people said
    days_per_commit : how many days a revision adds

    Raises
    ------
    SettingsError
        The repository holds something already.
    """

    def __init__(self, repository: VersionedRepository, days_per_commit: int = 7, node: str = NODE) -> None:
        if repository.head() is not None:
            raise SettingsError(
                "The dataset repository holds commits already; name a new directory for simulated events.",
                code="not_empty",
                field="out",
            )
        self._repository = repository
        self._days_per_commit = days_per_commit
        self._node = node
        self._head: str | None = None
        self._operations: list[Add] = []
        self._n_rows = self._n_submissions = 0
        self._days: list[str] = []
        self._truth: list[pd.DataFrame] = []

    def add(self, scored: ScoredDay) -> None:
        """Add a day, and commit if enough of them wait."""
        self._truth.append(scored.truth())
        day = datetime.fromtimestamp(scored.day.start_ms / 1000, UTC)
        if scored.rows:
            shard = f"data/train-{day:%Y%m%d}-{self._node}-{scored.day.index:06d}.jsonl"
            self._operations.append(Add(shard, b"".join(json_line(row) for row in scored.rows)))
        n_flags = sum(row["event"] == "flag" for row in scored.rows)
        self._n_rows += len(scored.rows)
        self._n_submissions += len(scored.rows) - n_flags
        self._days.append(f"{day:%Y-%m-%d}")
        if len(self._days) >= self._days_per_commit:
            self.commit()

    def commit(self) -> str | None:
        """Commit the days that wait; return the head."""
        if self._operations:
            span = self._days[0] if len(self._days) == 1 else f"{self._days[0]} to {self._days[-1]}"
            message = (
                f"Add {self._n_submissions} simulated submissions of {span}\n\n"
                f"Submissions: {self._n_submissions}\nRows: {self._n_rows}\nNode: {self._node}\n"
            )
            operations = [*self._operations, Add(CARD_PATH, dataset_card().encode())]
            self._head = self._repository.commit(operations, message, self._head)
        self._operations, self._days = [], []
        self._n_rows = self._n_submissions = 0
        return self._head

    def write_truth(self, path: Path) -> None:
        """Write what nobody in production knows, apart from the dataset."""
        pd.concat(self._truth, ignore_index=True).to_parquet(path, index=False)
        sync_directory(path.parent)
