"""Both models at any cut-off: the tables say what counting by hand says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fraud.models.analysis.held_out import HeldOut, read_held_out
from fraud.models.analysis.operating import at_released, by_alerts, by_probability, expected_at
from fraud.models.evaluate import loss_of_fraud
from fraud.records import MODELS


@pytest.fixture(scope="session")
def held_out(small_bundle: Path) -> HeldOut:
    return read_held_out(small_bundle)


def counted(held_out: HeldOut, row: pd.Series) -> dict[str, float]:
    """Return what a row claims, counted transaction by transaction."""
    found: dict[str, float] = {}
    costs = held_out.profile.costs
    loss = loss_of_fraud(held_out.amount, costs)  # type: ignore[arg-type]
    alerts = {}
    for name in MODELS:
        alerts[name] = held_out.probability[name] >= row[f"{name}_threshold"]
        found[f"{name}_alerts"] = alerts[name].sum()
        found[f"{name}_hits"] = held_out.labels[alerts[name]].sum()
        missed = loss[(held_out.labels == 1) & ~alerts[name]].sum()
        found[f"{name}_cost"] = (alerts[name].sum() * costs.review + missed) / len(held_out) * 1_000
    both = alerts[MODELS[0]] & alerts[MODELS[1]]
    return found | {"both": both.sum(), "both_hits": held_out.labels[both].sum()}


@pytest.mark.parametrize("table", [by_probability, by_alerts])
def test_every_row_is_what_counting_finds(held_out: HeldOut, table) -> None:
    made = table(held_out, 40)
    for _, row in made.iloc[::5].iterrows():
        for name, value in counted(held_out, row).items():
            assert row[name] == pytest.approx(value), name


def test_the_released_row_is_the_manifests(held_out: HeldOut) -> None:
    row = at_released(held_out).iloc[0]
    for name in MODELS:
        entry = held_out.manifest["models"][name]
        assert row[f"{name}_hits"] == entry["confusion"]["true_positives"]
        assert row[f"{name}_alerts"] - row[f"{name}_hits"] == entry["confusion"]["false_positives"]
        assert row[f"{name}_cost"] == pytest.approx(entry["metrics"]["cost_per_1000"]["value"], rel=1e-4)


def test_equal_scores_are_taken_together(held_out: HeldOut) -> None:
    tied = np.where(held_out.labels == 1, 0.5, 0.25)
    ties = replace(held_out, probability={name: tied for name in MODELS})
    made = by_alerts(ties, 10)
    assert set(made["xgboost_alerts"]) <= {int(ties.labels.sum()), len(ties)}
    assert (made["both"] == made["xgboost_alerts"]).all()


def test_a_day_has_as_many_alerts_as_its_row_says(held_out: HeldOut) -> None:
    made = by_alerts(held_out)
    assert made["value"].is_monotonic_increasing
    daily = made["xgboost_alerts"] / held_out.n_days
    assert (daily >= made["value"] - 1e-9).all()


def test_what_is_expected_lies_in_its_interval_and_is_the_manifests(held_out: HeldOut) -> None:
    for name in MODELS:
        found = expected_at(held_out, name, held_out.threshold(name))
        stated = held_out.manifest["models"][name]["metrics"]
        for metric in ("precision", "recall", "f1", "cost_per_1000", "alerts_per_day"):
            estimate = found[metric]
            assert estimate.value == pytest.approx(stated[metric]["value"], rel=1e-4)
            assert estimate.low is not None and estimate.high is not None
            assert estimate.low <= estimate.value <= estimate.high
        for metric in ("precision", "recall", "f1"):  # the same interval by the longer way
            assert found[metric].low == pytest.approx(stated[metric]["low"], abs=0.03)
            assert found[metric].high == pytest.approx(stated[metric]["high"], abs=0.03)


def test_a_cut_off_without_alerts_has_no_interval_of_precision(held_out: HeldOut) -> None:
    assert expected_at(held_out, "xgboost", 1.0)["precision"].low is None
