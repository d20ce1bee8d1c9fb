"""An engine that does its work here and now, and a table in partitions beside the same table in one piece."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest

from fraud.data.profile import Profile
from fraud.scale.cluster import Engine


def sent(value: Any) -> Any:
    """Return what arrives of a value at another process."""
    return cloudpickle.loads(cloudpickle.dumps(value))


class HereAndNow(Engine):
    """Does what a cluster does, in this process: what is tested with it is what is computed, not where."""

    def __init__(self, folder: Path) -> None:
        super().__init__(None, folder, lambda message: None)  # type: ignore[arg-type]
        self.n_sent = 0

    def each(self, function: Callable[..., Any], items: Sequence[Any], *shared: Any) -> list[Any]:
        return [sent(sent(function)(*sent((item, *shared)))) for item in items]

    def one_by_one(
        self, function: Callable[..., Any], items: Iterable[Any], ahead: int | None = None
    ) -> Iterator[Any]:
        for item in items:
            self.n_sent += 1
            yield sent(sent(function)(sent(item)))

    @property
    def workers(self) -> dict[str, dict[str, Any]]:
        return {"here": {"memory_limit": 1_000_000_000}}

    def each_worker(self, function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
        return {"here": function(*arguments)}


@pytest.fixture
def here(tmp_path: Path) -> HereAndNow:
    folder = tmp_path / "steps"
    folder.mkdir()
    return HereAndNow(folder)


def awkward(frame: pd.DataFrame, seed: int = 1) -> pd.DataFrame:
    """Return a table in no order of time, with ties in time, cards and labels missing, and late reports."""
    rng = np.random.default_rng(seed)
    frame = frame.sample(frac=1.0, random_state=seed).reset_index(drop=True)
    tied = rng.random(len(frame)) < 0.3
    frame.loc[tied, "occurred_at"] = frame.loc[tied, "occurred_at"].dt.floor("D")
    frame["is_fraud"] = frame["is_fraud"].astype("Int64")
    frame.loc[rng.random(len(frame)) < 0.02, "is_fraud"] = pd.NA
    for column in ("card_id", "merchant_id"):
        frame.loc[rng.random(len(frame)) < 0.02, column] = None
    frame.loc[rng.random(len(frame)) < 0.05, "transaction_id"] = None
    return frame


def in_files(frame: pd.DataFrame, folder: Path, cuts: Sequence[int]) -> Path:
    """Write a table as Parquet files that end at these rows."""
    folder.mkdir()
    for number, (start, stop) in enumerate(zip([0, *cuts], [*cuts, len(frame)], strict=True)):
        frame.iloc[start:stop].to_parquet(folder / f"part-{number:03d}.parquet", index=False)
    return folder


def of_plan(profile: Profile, **changes: Any) -> Profile:
    """Return the profile with another evaluation plan."""
    return profile.model_copy(update={"evaluation": profile.evaluation.model_copy(update=changes)})
