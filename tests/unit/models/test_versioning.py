"""A version number says what a client must know: major breaks it, minor answers otherwise, patch is data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fraud.data.profile import Profile, parse_profile
from fraud.errors import RepositoryError
from fraud.models.bundle import load_bundle
from fraud.models.versioning import change_between, next_version, recipe, recipe_of, version_key

PARAMETERS = {"random_forest": {"n_estimators": 10}, "xgboost": {"max_depth": 4}}


def changed(profile: Profile, change: Callable[[dict[str, Any]], object]) -> Profile:
    document = profile.model_dump(mode="json", by_alias=True)
    change(document)
    return parse_profile(document, "changed")


def step(profile: Profile, other: Profile, parameters: Any = PARAMETERS, names: Any = ("a", "b")) -> str:
    old = recipe(profile, ("a", "b"), PARAMETERS)
    return change_between(old, recipe(other, names, parameters)).size


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["fields"][0].update(column="amount_eur"),
        lambda d: d["fields"][0].update(required=False),
        lambda d: d["fields"][1]["levels"].append("lottery"),
        lambda d: d["columns"].update(label="chargeback"),
        lambda d: d["columns"].update(fraud_values=["1", "suspected"]),
    ],
)
def test_other_fields_or_another_label_are_a_major_change(
    small_profile: Profile, change: Callable[[dict[str, Any]], object]
) -> None:
    document = small_profile.model_dump(mode="json", by_alias=True)
    change(document)
    # Not parsed: half of these need changes elsewhere, which would hide which of them counted.
    other = Profile.model_construct(**dict(small_profile))
    object.__setattr__(other, "model_dump", lambda **_: document)
    assert step(small_profile, other) == "major"


def test_features_and_parameters_are_a_minor_change(small_profile: Profile) -> None:
    assert step(small_profile, small_profile, names=("a", "c")) == "minor"
    assert step(small_profile, small_profile, names=("b", "a")) == "minor"
    assert step(small_profile, small_profile, {**PARAMETERS, "xgboost": {"max_depth": 5}}) == "minor"
    longer = changed(small_profile, lambda d: d["features"].update(label_delay_days=9))
    assert step(small_profile, longer) == "minor"


def test_words_costs_and_windows_of_evaluation_are_no_more_than_a_patch(small_profile: Profile) -> None:
    def reword(document: dict[str, Any]) -> None:
        document["title"]["en"] = "Payments by card"
        document["fields"][0]["label"]["en"] = "How much"
        document["costs"]["review"] *= 1.1
        document["evaluation"]["test_days"] = 20

    assert step(small_profile, changed(small_profile, reword)) == "patch"
    assert step(small_profile, small_profile) == "patch"


def test_a_manifest_from_before_the_recipe_was_written_gives_the_same_recipe(small_bundle: Path) -> None:
    bundle = load_bundle(small_bundle)
    old = {name: value for name, value in bundle.manifest.items() if name != "recipe"}
    assert (
        recipe_of(old, bundle.profile)
        == bundle.manifest["recipe"]
        == recipe_of(bundle.manifest, bundle.profile)
    )


@pytest.mark.parametrize(
    ("base", "size", "taken", "expected"),
    [
        (None, "major", [], "1.0.0"),
        ("1.2.3", "patch", ["1.2.3"], "1.2.4"),
        ("1.2.3", "minor", ["1.2.3"], "1.3.0"),
        ("1.2.3", "major", ["1.2.3"], "2.0.0"),
        ("1.2.3", "patch", ["1.2.4", "1.2.5", "1.3.0"], "1.2.6"),
        ("1.2.3", "minor", ["1.3.0", "1.3.1"], "1.4.0"),
    ],
)
def test_the_next_version_differs_by_its_size_and_steps_over_what_is_taken(
    base: str | None, size: Any, taken: list[str], expected: str
) -> None:
    assert next_version(base, size, taken) == expected


@pytest.mark.parametrize("text", ["1.0", "1.0.x", "1.0.0.0", "", "v1.0.0", "1.0.²", "1.0.99999999999"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(RepositoryError, match="not a version"):
        version_key(text)
