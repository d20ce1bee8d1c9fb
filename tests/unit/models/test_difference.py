"""What manifests say, and what differs between two: whatever they hold, nothing raises."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.models.bundle import MANIFEST
from fraud.models.difference import Difference, ReleaseDifference, compare_releases
from fraud.models.evaluate import Estimate
from fraud.models.summary import FeedbackSummary, ReleaseSummary, summarise

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def manifest(small_bundle: Path) -> dict[str, Any]:
    return dict(json.loads((small_bundle / MANIFEST).read_text()))


def changed(manifest: dict[str, Any], **changes: Any) -> ReleaseSummary:
    return summarise(copy.deepcopy(manifest) | changes)


def line(found: ReleaseDifference, part: str, key: str, model: str = "") -> Difference:
    (one,) = [x for x in found.lines if (x.part, x.key, x.model) == (part, key, model)]
    return one


def test_a_manifest_is_said_in_plain_values(manifest: dict[str, Any]) -> None:
    summary = summarise(manifest)
    f1 = manifest["models"]["xgboost"]["metrics"]["f1"]
    assert summary.version == "1.0.0" and summary.profile == "cards"
    assert summary.models["xgboost"].metrics["f1"] == Estimate(f1["value"], f1["low"], f1["high"])
    assert summary.models["random_forest"].parameters["n_estimators"] == 30.0
    assert summary.windows["test"].n_rows == manifest["windows"]["test"]["n_rows"]
    assert summary.n_bytes == sum(entry["bytes"] for entry in manifest["files"].values())
    assert 0 < summary.n_bytes_serving < summary.n_bytes
    assert summary.feedback is None and summary.features == tuple(manifest["features"])


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("data", "none"), ("data", {"feedback": {"unused": [1], "gate": {"xgboost": 3}}}),
        ("windows", {"test": []}), ("models", {"xgboost": None, "random_forest": {"metrics": {"f1": 2}}}),
        ("features", "amount"), ("files", {"a": {"bytes": -5}, "b": 7}), ("version", ["1.0.0"]),
        ("models", {"xgboost": {"metrics": {"f1": {"value": float("nan"), "low": 0.1, "high": 0.2}}}}),
        ("created_at", 10**400), ("change", {"reasons": "all"}),
    ],
)  # fmt: skip
def test_what_is_not_as_it_should_be_counts_as_not_said(
    manifest: dict[str, Any], place: str, value: object
) -> None:
    summary = changed(manifest, **{place: value})
    compare_releases(summary, summarise(manifest))
    for model in summary.models.values():
        assert "f1" not in model.metrics or place != "models"


@given(document=st.dictionaries(st.sampled_from(["data", "models", "files", "windows", "change"]), JSON))
def test_no_manifest_raises(document: dict[str, Any]) -> None:
    compare_releases(summarise(document), summarise({}))


def test_text_of_a_manifest_is_bounded_and_printable(manifest: dict[str, Any]) -> None:
    summary = changed(manifest, created_at="a\x00\u202eb" + "x" * 10_000)
    assert len(summary.created_at) == 200 and summary.created_at.startswith("a  b")


def test_the_same_release_differs_in_nothing(manifest: dict[str, Any]) -> None:
    summary = summarise(manifest)
    found = compare_releases(summary, summary)
    assert not any(x.changed for x in found.lines) and found.same_window
    assert {x.part for x in found.lines} == {"metrics", "thresholds", "data", "sizes"}
    assert found.n_same["features"] == len(summary.features) and found.n_same["parameters"] == 5


def test_every_part_that_changed_is_listed(manifest: dict[str, Any]) -> None:
    new = copy.deepcopy(manifest) | {"version": "1.1.0", "seed": 8}
    new["features"] = [*manifest["features"][1:], "card_id_new"]
    new["models"]["xgboost"]["parameters"]["max_depth"] = 9
    new["models"]["xgboost"]["thresholds"]["review"] += 0.01
    new["models"]["random_forest"]["metrics"]["f1"]["value"] += 0.02
    new["recipe"]["features"] = "0" * 64
    new["environment"]["numpy"] = "0.0"
    new["data"]["feedback"] = {"dataset_revision": "a" * 40, "n_labels": 7}
    found = compare_releases(summarise(manifest), summarise(new))
    assert line(found, "features", manifest["features"][0]).new is None
    assert line(found, "features", "card_id_new").old is None
    assert line(found, "parameters", "max_depth", "xgboost").change == 5.0
    assert line(found, "thresholds", "review", "xgboost").change == pytest.approx(0.01)
    assert line(found, "metrics", "f1", "random_forest").change == pytest.approx(0.02)
    assert line(found, "recipe", "features").change is None
    assert line(found, "libraries", "numpy").new == "0.0"
    assert line(found, "data", "n_labels").change == 7.0
    assert line(found, "data", "dataset_revision").new == "a" * 40
    assert line(found, "data", "seed").changed


def test_another_held_out_window_is_noticed(manifest: dict[str, Any]) -> None:
    later = copy.deepcopy(manifest)
    later["windows"]["test"]["last_at"] = "2027-01-01T00:00:00+00:00"
    assert not compare_releases(summarise(manifest), summarise(later)).same_window


def test_the_gates_paired_difference_is_shown_only_for_the_two_that_it_compared() -> None:
    estimate = Estimate(0.01, -0.002, 0.02)
    feedback = FeedbackSummary(champion="1.0.0", differences={"xgboost": {"f1": estimate}})
    old = changed({"version": "1.0.0", "models": {"xgboost": {"metrics": {"f1": {"value": 0.5}}}}})
    new = ReleaseSummary("1.0.1", models=old.models, feedback=feedback)
    assert line(compare_releases(old, new), "metrics", "f1", "xgboost").paired == estimate
    other = ReleaseSummary("0.9.0", models=old.models)
    assert line(compare_releases(other, new), "metrics", "f1", "xgboost").paired is None
