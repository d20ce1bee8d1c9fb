"""Fixtures that many tests share: a small profile, its table, and a bundle trained on it once a session."""

import re
from importlib.resources import files
from itertools import zip_longest
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import settings

from fraud.data.profile import Profile, load_profile
from fraud.data.sources import load_transactions, simulated_frame
from fraud.models.bundle_writer import write_bundle
from fraud.models.examples import choose_examples
from fraud.models.train import train

settings.register_profile("shared", deadline=None)  # a busy machine is no defect
settings.load_profile("shared")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Take files of browsers, of processes and of the rest in turn: some wait while others compute."""
    kinds: dict[str, dict[Path, list[pytest.Item]]] = {}
    for item in items:
        kind = item.path.relative_to(item.config.rootpath).parts[1]
        kinds.setdefault(kind, {}).setdefault(item.path, []).append(item)
    waiting = [list(kinds.pop(kind, {}).values()) for kind in ("browser", "integration")]
    rest = [files for found in kinds.values() for files in found.values()]
    in_turn = [file for turn in zip_longest(*waiting, rest) for file in turn if file is not None]
    items[:] = [item for file in in_turn for item in file]


def small_profile_text() -> str:
    """Return the `cards` profile with less data and smaller models: seconds instead of minutes."""
    text = (files("fraud.data") / "profiles" / "cards.toml").read_text(encoding="utf-8")
    changes = {
        r"test_start = \S+": "test_start = 2026-03-01",
        r"test_days = \d+": "test_days = 25",
        r"n_transactions = \d+": "n_transactions = 40000",
        r"\ndays = \d+": "\ndays = 90",
        r"\nseed = \d+": "\nseed = 5",
        r"\nrandom_forest = .*": "\nrandom_forest = { n_estimators = 30, min_samples_leaf = 3 }",
        r"\nxgboost = .*": "\nxgboost = { n_estimators = 60, learning_rate = 0.1, max_depth = 4 }",
    }
    for pattern, replacement in changes.items():
        text, n_changed = re.subn(pattern, replacement, text)
        assert n_changed == 1, pattern
    return text


@pytest.fixture(scope="session")
def small_profile_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("profile") / "small.toml"
    path.write_text(small_profile_text(), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def small_profile(small_profile_path: Path) -> Profile:
    return load_profile(small_profile_path)


@pytest.fixture(scope="session")
def small_frame(small_profile: Profile) -> pd.DataFrame:
    return simulated_frame(small_profile)


@pytest.fixture(scope="session")
def small_bundle(small_profile: Profile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train one bundle on the small profile. Read-only: copy it before changing anything."""
    directory = tmp_path_factory.mktemp("bundle") / "artifacts"
    transactions, source = load_transactions(small_profile, None)
    training = train(transactions, small_profile)
    write_bundle(
        training,
        directory,
        version="1.0.0",
        data_source=source,
        examples=choose_examples(training),
        parity_rows=5_000,
    )
    return directory
