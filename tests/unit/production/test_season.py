"""A season that was there last year is no drift this year, by the command that an owner runs."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fraud.cli import main
from fraud.data.profile import DAY_MS
from fraud.production import world as worlds
from fraud.production.dataset import DatasetWriter
from fraud.production.injections import parse_injection
from fraud.production.people import People
from fraud.production.run import Production
from fraud.production.world import SimulatedWorld
from fraud.repositories.local import LocalRepository

N_DAYS, WINDOW = 18, 7
SEASON = "season@0x3"
"""Three times the usual one: less is below the least change that counts."""


def _days(profile, scorer, seed: int):
    world = SimulatedWorld(profile, seed=seed, injections=[parse_injection(SEASON)])
    scored = [day.score(scorer) for day in Production(world, People()).days(N_DAYS)]
    return scored[N_DAYS - WINDOW - 1 :]


@pytest.fixture(scope="module")
def histories(small_profile, scorer, tmp_path_factory) -> tuple[dict[bool, Path], datetime]:
    """Two productions in the same season, one of them with last year's log, and where their window ends."""
    now = _days(small_profile, scorer, 5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worlds, "START", worlds.START - timedelta(days=364))
        before = _days(small_profile, scorer, 6)
    assert now[0].day.start_ms - before[0].day.start_ms == 364 * DAY_MS
    made = {}
    for known, days in ((False, now), (True, [*before, *now])):
        made[known] = tmp_path_factory.mktemp("history")
        writer = DatasetWriter(LocalRepository(made[known] / "dataset.git"))
        for day in days:
            writer.add(day)
        writer.commit()
    return made, datetime.fromtimestamp(now[-1].day.start_ms / 1000, UTC) + timedelta(days=1)


@pytest.fixture
def report(histories, small_bundle, tmp_path, monkeypatch):
    made, until = histories
    monkeypatch.setenv("FRAUD_ARTIFACTS_DIR", str(small_bundle))
    monkeypatch.setenv("FRAUD_REGISTRY_DIR", str(tmp_path / "registry"))

    def run(known: bool):
        options = ["--until", until.isoformat(), "--window", f"{WINDOW}d", "--out", str(tmp_path / "out")]
        assert main(["monitor", "--simulated", str(made[known]), *options]) in (1, 3)
        return json.loads((tmp_path / "out" / "report.json").read_text())

    return run


def _drifted(document) -> set[str]:
    return {column["name"] for column in document["drift"]["columns"] if column["verdict"] == "drift"}


def _season(document) -> dict:
    return next(r for r in document["drift"]["assumptions"] if r["code"].startswith("season_"))


def test_a_season_without_a_year_before_is_told_as_drift_and_the_comparison_as_not_possible(report) -> None:
    found = report(False)
    assert "amount" in _drifted(found)
    assert _season(found) == {"code": "season_unknown", "params": {"n": 0}}


def test_the_same_season_a_year_before_makes_it_no_drift(report) -> None:
    before, found = _drifted(report(False)), report(True)
    assert "amount" not in _drifted(found) and _drifted(found) < before
    assert _season(found)["code"] == "season_compared" and _season(found)["params"]["n"] > 1_000
    (amount,) = [c for c in found["drift"]["columns"] if c["name"] == "amount"]
    assert "seen_in_like_period" in {r["code"] for r in amount["reasons"]}
