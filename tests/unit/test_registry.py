"""Versions, aliases, and what happens to them when two people act at once."""

import json
import shutil
import threading
from pathlib import Path

import pytest

from fraud.errors import BundleRefused, NotFound, RepositoryError
from fraud.models.bundle import MANIFEST, load_bundle
from fraud.registry import Aliases, ModelRegistry


def release(small_bundle: Path, directory: Path, version: str) -> Path:
    shutil.copytree(small_bundle, directory / version)
    manifest = json.loads((directory / version / MANIFEST).read_text())
    manifest["version"] = version
    (directory / version / MANIFEST).write_text(json.dumps(manifest))
    return directory / version


def test_an_empty_registry_has_no_champion_and_suggests_the_first_version(registry: ModelRegistry) -> None:
    assert registry.champion() is None and registry.aliases() == Aliases()
    assert registry.versions() == () and registry.next_version() == "1.0.0"


def test_a_recorded_version_can_be_loaded_from_its_revision(
    registry: ModelRegistry, small_bundle: Path
) -> None:
    registry.record(small_bundle, "first")
    registry.promote("1.0.0")
    champion = registry.champion()
    assert champion is not None
    assert load_bundle(champion[1]).version == "1.0.0"
    assert registry.next_version() == "1.0.1"


def test_promotion_and_rollback_move_names_and_no_model(
    registry: ModelRegistry, small_bundle: Path, tmp_path: Path
) -> None:
    first = registry.record(small_bundle, "first")
    registry.promote("1.0.0")
    registry.record(release(small_bundle, tmp_path, "1.0.1"), "second")
    registry.set_challenger("1.0.1")
    promoted = registry.promote("1.0.1")
    assert promoted.roles == {"champion": "1.0.1", "previous": "1.0.0", "challenger": None}
    back = registry.rollback()
    assert back.roles == {"champion": "1.0.0", "previous": "1.0.1", "challenger": None}
    assert back.sequence == promoted.sequence + 1
    champion = registry.champion()
    assert champion is not None and champion[0] == first
    assert [(v.version, v.roles) for v in registry.versions()] == [
        ("1.0.1", ("previous",)),
        ("1.0.0", ("champion",)),
    ]


def test_rolling_back_without_a_previous_version_is_one_sentence(
    registry: ModelRegistry, small_bundle: Path
) -> None:
    registry.record(small_bundle, "first")
    registry.promote("1.0.0")
    with pytest.raises(NotFound, match="no previous version"):
        registry.rollback()


def test_an_unknown_version_cannot_be_promoted(registry: ModelRegistry, small_bundle: Path) -> None:
    registry.record(small_bundle, "first")
    with pytest.raises(NotFound, match=r"no version 9\.9\.9"):
        registry.promote("9.9.9")


def test_an_altered_bundle_is_not_recorded(
    registry: ModelRegistry, small_bundle: Path, tmp_path: Path
) -> None:
    altered = release(small_bundle, tmp_path, "1.0.1")
    (altered / "serving/features.json").write_text("{}")
    with pytest.raises(BundleRefused):
        registry.record(altered, "bad")
    assert registry.head() is None


def test_recording_the_same_bundle_twice_is_one_version(registry: ModelRegistry, small_bundle: Path) -> None:
    first = registry.record(small_bundle, "first")
    registry.promote("1.0.0")
    assert registry.record(small_bundle, "again") == first
    assert len(registry.versions()) == 1


def test_the_same_version_with_other_files_is_refused(
    registry: ModelRegistry, small_bundle: Path, tmp_path: Path
) -> None:
    registry.record(small_bundle, "first")
    other = release(small_bundle, tmp_path, "1.0.0")
    manifest = json.loads((other / MANIFEST).read_text()) | {"created_at": "2000-01-01T00:00:00+00:00"}
    (other / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(RepositoryError):
        registry.record(other, "again")


def test_two_promotions_at_once_leave_one_champion_and_a_true_previous(
    registry: ModelRegistry, small_bundle: Path, tmp_path: Path
) -> None:
    registry.record(small_bundle, "first")
    registry.promote("1.0.0")
    for version in ("1.0.1", "1.0.2"):
        registry.record(release(small_bundle, tmp_path, version), version)
    threads = [threading.Thread(target=registry.promote, args=(v,)) for v in ("1.0.1", "1.0.2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    aliases = registry.aliases()
    assert {aliases.champion, aliases.previous} == {"1.0.1", "1.0.2"}


def test_a_first_version_serves_by_the_commit_that_records_it(
    registry: ModelRegistry, small_bundle: Path, tmp_path: Path
) -> None:
    revision = registry.record(small_bundle, "first", first_by="deploy")
    assert registry.head() == revision and registry.aliases().champion == "1.0.0"
    assert [(d.action, d.version, d.who, d.sequence) for d in registry.decisions()] == [
        ("promote", "1.0.0", "deploy", 1)
    ]
    registry.record(release(small_bundle, tmp_path, "1.0.1"), "second", first_by="deploy")
    assert registry.aliases().champion == "1.0.0", "only where none serves yet"
    assert load_bundle(registry.directory("1.0.0")).version == "1.0.0"
