"""A policy file: made from held-out predictions, read at the start, refused with any other release."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from fraud.errors import BundleRefused, SettingsError
from fraud.models.analysis.held_out import read_held_out
from fraud.models.bundle import read_manifest
from fraud.models.policy import parse_policy, policy_document, read_policy
from fraud.records import MODELS, ModelVersion
from fraud.registry import ModelRegistry
from fraud.repositories.local import LocalRepository
from fraud.serving.champion import Champion
from fraud.settings import read_settings

REVIEW = {"random_forest": 0.2, "xgboost": 0.9}


@pytest.fixture(scope="session")
def document(small_bundle: Path) -> dict[str, Any]:
    manifest, digest = read_manifest(small_bundle)
    version = ModelVersion(manifest["version"], None, digest)
    return policy_document(read_held_out(small_bundle), version, REVIEW, "2026-11-22T00:00:00+00:00")


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(LocalRepository(tmp_path / "registry.git"))


def raw(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def test_a_policy_is_read_as_it_was_written(document: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_bytes(raw(document))
    policy = read_policy(tmp_path / "policy.json")
    assert policy is not None and policy.manifest_digest == document["manifest_digest"]
    assert {name: policy.thresholds[name].review for name in MODELS} == REVIEW
    assert policy.thresholds["xgboost"].decline == 0.9  # moved up to the chosen cut-off
    assert document["expected"]["xgboost"]["recall"]["low"] is not None


def test_a_server_decides_by_its_policy(
    document: dict[str, Any], registry: ModelRegistry, small_bundle: Path
) -> None:
    champion = Champion(registry, small_bundle, policy=parse_policy(raw(document), "policy.json"))
    scorer = champion.scorer
    assert {name: scorer.bundle.models[name].thresholds.review for name in MODELS} == REVIEW
    scores = scorer.score(scorer.examples["examples"][0]["transaction"])
    assert scores["random_forest"].thresholds.review == 0.2
    released = Champion(registry, small_bundle).scorer
    assert released.bundle.models["xgboost"].thresholds.review != 0.9


def test_a_policy_of_another_release_is_refused_at_the_start(
    document: dict[str, Any], registry: ModelRegistry, small_bundle: Path
) -> None:
    other = parse_policy(
        raw(document | {"manifest_digest": "0" * 64, "model_version": "0.9.0"}), "policy.json"
    )
    with pytest.raises(BundleRefused, match=r"chosen for version 0\.9\.0"):
        _ = Champion(registry, small_bundle, policy=other).scorer


def test_a_release_that_is_promoted_later_serves_with_its_own_cut_offs(
    document: dict[str, Any], registry: ModelRegistry, small_bundle: Path, tmp_path: Path
) -> None:
    champion = Champion(registry, small_bundle, policy=parse_policy(raw(document), "policy.json"))
    first = champion.scorer
    newer = tmp_path / "newer"
    shutil.copytree(small_bundle, newer)
    manifest = json.loads((newer / "manifest.json").read_text())
    (newer / "manifest.json").write_text(json.dumps(manifest | {"version": "1.0.1"}))
    registry.record(newer, "Release 1.0.1")
    registry.promote("1.0.1")
    assert champion.refresh()
    assert champion.scorer.version.version == "1.0.1"
    assert champion.scorer.bundle.models["xgboost"].thresholds.review != 0.9
    assert first.bundle.models["xgboost"].thresholds.review == 0.9


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"kind": "other"}, "kind"),
        ({"schema_version": 2}, "schema"),
        ({"manifest_digest": None}, "release"),
        ({"thresholds": {"xgboost": {"review": 0.1, "decline": 0.2}}}, "lacks"),
        ({"thresholds": {n: {"review": 0.9, "decline": 0.2} for n in MODELS}}, "0 < review"),
        ({"thresholds": {n: {"review": float("nan"), "decline": 0.2} for n in MODELS}}, "0 < review"),
        ({"thresholds": {n: {"review": True, "decline": 1} for n in MODELS}}, "lacks"),
        ({"thresholds": 3}, "lacks"),
    ],
)
def test_what_is_no_policy_is_refused_in_a_sentence(
    document: dict[str, Any], change: dict[str, Any], why: str
) -> None:
    with pytest.raises(SettingsError, match=why) as caught:
        parse_policy(raw(document | change), "policy.json")
    assert caught.value.field == "FRAUD_POLICY"


@pytest.mark.parametrize("content", [b"", b"[1]", b"[" * 50_000, b"\xff", b" " * 200_000])
def test_bytes_that_are_no_policy_are_refused(content: bytes) -> None:
    with pytest.raises(SettingsError):
        parse_policy(content, "policy.json")


def test_the_setting_names_a_file(tmp_path: Path) -> None:
    settings = read_settings({"FRAUD_POLICY": str(tmp_path / "gone.json")})
    with pytest.raises(SettingsError, match="cannot be read"):
        read_policy(settings.models.policy)
    assert read_policy(read_settings({}).models.policy) is None
