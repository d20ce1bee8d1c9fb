"""A scorer over the small bundle, and its table without what only training knows."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from fraud.models.bundle import load_bundle
from fraud.serving.scorer import Scorer
from fraud.tables.matching import guess
from fraud.tables.reading import open_sheet
from fraud.tables.scored import ScoredTable
from fraud.tables.scoring import score_sheet

NOW = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def scorer(small_bundle: Path) -> Scorer:
    return Scorer.from_bundle(load_bundle(small_bundle))


@pytest.fixture
def rows(small_frame: pd.DataFrame) -> pd.DataFrame:
    table = small_frame.tail(3_000).drop(columns=["is_fraud", "reported_at", "typology"])
    return table.reset_index(drop=True)


@pytest.fixture
def score(scorer: Scorer, tmp_path: Path) -> Callable[[Path], ScoredTable]:
    folder = tmp_path / "job"
    folder.mkdir()

    def score_it(path: Path) -> ScoredTable:
        sheet = open_sheet(path, path.name)
        matching = guess(sheet, scorer.bundle.profile)
        return score_sheet(sheet, matching, scorer, NOW, folder, lambda *told: None)

    return score_it
