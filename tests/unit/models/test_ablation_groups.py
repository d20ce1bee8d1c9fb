"""The ablation leaves out every feature once, in groups that mean something."""

import pytest

from benchmarks.ablation import groups
from fraud.data.profile import load_profile
from fraud.features.pipeline import FeaturePipeline


def test_the_amount_stands_alone_and_anonymous_components_together() -> None:
    profile = load_profile("ulb")
    found = groups(profile, FeaturePipeline(profile, {}).names)
    assert found["field Amount"] == ["Amount"]
    assert found["fields V1 to V28"] == [f"V{i}" for i in range(1, 29)]


@pytest.mark.parametrize("name", ["cards", "handbook", "sparkov", "ulb"])
def test_every_feature_is_in_one_group(name: str) -> None:
    profile = load_profile(name)
    names = FeaturePipeline(profile, {}).names
    assert sorted(n for members in groups(profile, names).values() for n in members) == sorted(names)
