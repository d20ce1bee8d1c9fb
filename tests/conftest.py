"""Fixtures that many tests share: a small profile, its table, and a bundle trained on it once a run."""

import os
import re
import sys
from importlib.resources import files
from itertools import zip_longest
from pathlib import Path

# Before any library reads it: two workers' threads that wait by spinning take the cores from one another.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# A hundred processes start here: each would compile the package anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import pandas as pd
import pytest
from hypothesis import settings

from fraud.data.profile import Profile, load_profile
from fraud.data.sources import load_transactions, simulated_frame
from fraud.durable import exclusive
from fraud.models.bundle import MANIFEST
from fraud.models.bundle_writer import write_bundle
from fraud.models.examples import choose_examples
from fraud.models.train import train

TESTS = Path(__file__).parent
sys.dont_write_bytecode = False  # or each worker compiles all tests, with all their assertions, anew

settings.register_profile("shared", deadline=None)  # a busy machine is no defect
settings.load_profile("shared")


LONGEST = (
    "browser/test_review_tab.py",  # first, for it goes through all that other tests of its worker flagged
    "integration/test_killed_at_any_moment.py",
    "integration/test_poison_drill.py",
    "notebooks/test_notebooks.py",
    "integration/test_the_whole_loop.py",
    "integration/test_cluster.py",
)
"""Files that begin before the others, so that none is left to run alone at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Take files of browsers, of processes and of the rest in turn: some wait while others compute."""
    kinds: dict[str, dict[Path, list[pytest.Item]]] = {}
    for item in items:
        kind = item.path.relative_to(TESTS).parts[0]
        kinds.setdefault(kind, {}).setdefault(item.path, []).append(item)
    turns = [sorted(kinds.pop(kind, {}).items(), key=_rank) for kind in ("browser", "integration")]
    rest = sorted((one for found in kinds.values() for one in found.items()), key=_rank)
    in_turn = [one for turn in zip_longest(*turns, rest) for one in turn if one is not None]
    items[:] = [item for _, found in in_turn for item in found]


def _rank(one: tuple[Path, list[pytest.Item]]) -> int:
    name = one[0].relative_to(TESTS).as_posix()
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)


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
def shared_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory of this run that all of its workers share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def small_bundle(small_profile: Profile, shared_directory: Path) -> Path:
    """Train one bundle on the small profile. Read-only: copy it before changing anything."""
    directory = shared_directory / "small-bundle" / "artifacts"
    directory.parent.mkdir(exist_ok=True)
    with exclusive(shared_directory / "small-bundle.lock", 900):
        if not (directory / MANIFEST).exists():  # its manifest comes last
            _train_small_bundle(small_profile, directory)
    return directory


def _train_small_bundle(profile: Profile, directory: Path) -> None:
    transactions, source = load_transactions(profile, None)
    training = train(transactions, profile)
    write_bundle(
        training,
        directory,
        version="1.0.0",
        data_source=source,
        examples=choose_examples(training),
        parity_rows=5_000,
    )
