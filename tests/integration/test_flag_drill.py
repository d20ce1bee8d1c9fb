"""Kills, a Hub that fails half of its commits, and many flaggers (in full: benchmarks/flag_drill.py)."""

from pathlib import Path

import pytest

from benchmarks.flag_drill import Plan, drill


@pytest.mark.slow
def test_every_acknowledged_flag_is_in_the_dataset_exactly_once(tmp_path: Path, small_bundle: Path) -> None:
    plan = Plan(flags=60, flaggers=8, kills=2, limit_s=120, only_commits_fail=True)
    result = drill(plan, tmp_path, small_bundle)
    print(result)
    assert result.acknowledged == 60 and result.kills == 2
    assert result.commits_failed >= 1
    assert (result.lost, result.twice, result.not_marked, result.quarantined) == (0, 0, 0, 0)
    assert (result.submitted_twice, result.unheard) == (0, 0)
