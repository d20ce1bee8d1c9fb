"""The registry's promises, kept on this disk and on the Hub alike, also when a process dies half way."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from fraud.errors import BundleRefused, NotFound, RepositoryError
from fraud.models.bundle import CHANGELOG_FILE, MANIFEST, load_bundle
from fraud.models.signing import SIGNATURE_FILE, SigningKey, TrustedKeys
from fraud.registry import ALIASES_FILE, DECISIONS_FILE, ModelRegistry
from fraud.repositories.local import LocalRepository
from fraud.repositories.port import Add, VersionedRepository
from tests.hub.clients import open_repository
from tests.hub.server import LoopbackHub

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
Open = Callable[[], VersionedRepository]


@contextmanager
def on_disk(directory: Path) -> Iterator[Open]:
    yield lambda: LocalRepository(directory / "registry")


@contextmanager
def on_the_hub(directory: Path) -> Iterator[Open]:
    with LoopbackHub() as server:
        numbers = count()
        yield lambda: open_repository(server.url, directory / f"cache-{next(numbers)}")


@pytest.fixture(params=[on_disk, on_the_hub], ids=["local", "hub"])
def repositories(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    with request.param(tmp_path) as opened:
        yield opened


@pytest.fixture
def registry(repositories: Open) -> ModelRegistry:
    return ModelRegistry(repositories(), clock=lambda: NOW)


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[[str], Path]:
    """Return what makes a release that is sound to the registry: it checks digests and reads no model."""

    def make(version: str) -> Path:
        directory = tmp_path / f"release-{version}"
        directory.mkdir()
        manifest = {"schema_version": 1, "version": version, "files": {}, "models": {}, "data": {}}
        (directory / MANIFEST).write_text(json.dumps(manifest))
        return directory

    return make


def released(registry: ModelRegistry, tiny: Callable[[str], Path], *versions: str) -> None:
    for version in versions:
        registry.record(tiny(version), f"Record {version}")


def test_a_tag_that_names_no_version_disturbs_nothing(
    repositories: Open, registry: ModelRegistry, tiny: Callable[[str], Path]
) -> None:
    released(registry, tiny, "1.0.0")
    repository = repositories()
    repository.tag("stable", repository.head() or "")
    assert [version.version for version in registry.versions()] == ["1.0.0"]
    assert registry.next_version() == "1.0.1"


def test_each_change_counts_one_and_what_changes_nothing_counts_none(
    registry: ModelRegistry, tiny: Callable[[str], Path]
) -> None:
    released(registry, tiny, "1.0.0", "1.0.1")
    assert registry.promote("1.0.0", who="m1").sequence == 1
    assert registry.set_challenger("1.0.1").sequence == 2
    promoted = registry.promote("1.0.1", who="m1")
    assert (promoted.sequence, promoted.promoted_at) == (3, "2026-11-22T12:00:00.000+00:00")
    head = registry.head()
    assert registry.promote("1.0.1", who="m2") == promoted and registry.head() == head
    assert registry.rollback(who="m3").sequence == 4
    assert registry.aliases().roles == {"champion": "1.0.0", "previous": "1.0.1", "challenger": None}


def test_a_challenger_is_named_for_one_sequence_and_once_named_is_remembered(
    registry: ModelRegistry, tiny: Callable[[str], Path]
) -> None:
    released(registry, tiny, "1.0.0", "1.0.1")
    seen = registry.promote("1.0.0").sequence
    assert not registry.was_challenger("1.0.1")
    assert registry.set_challenger("1.0.1", expected=seen).challenger == "1.0.1"
    registry.reject("1.0.1")
    with pytest.raises(RepositoryError, match="Somebody else decided meanwhile"):
        registry.set_challenger("1.0.1", expected=seen)
    assert registry.aliases().challenger is None
    assert registry.was_challenger("1.0.1") and not registry.was_challenger("1.0.0")


def test_who_decided_what_is_part_of_the_same_commit(
    registry: ModelRegistry, tiny: Callable[[str], Path]
) -> None:
    released(registry, tiny, "1.0.0", "1.0.1")
    registry.promote("1.0.0", who="shipped")
    registry.set_challenger("1.0.1", who="retrain")
    registry.reject("1.0.1", who="a1b2c3")
    found = [(d.action, d.version, d.who, d.sequence) for d in registry.decisions()]
    assert found == [
        ("reject", "1.0.1", "a1b2c3", 3),
        ("challenge", "1.0.1", "retrain", 2),
        ("promote", "1.0.0", "shipped", 1),
    ]
    assert registry.decisions(1)[0].at == "2026-11-22T12:00:00.000+00:00"


def test_recording_a_release_keeps_the_aliases_and_the_decisions(
    registry: ModelRegistry, tiny: Callable[[str], Path]
) -> None:
    released(registry, tiny, "1.0.0")
    before = registry.promote("1.0.0", who="m")
    released(registry, tiny, "1.0.1")
    assert registry.aliases() == before and len(registry.decisions()) == 1


def test_a_rejected_challenger_stays_recorded_and_only_a_challenger_can_be_rejected(
    registry: ModelRegistry, tiny: Callable[[str], Path]
) -> None:
    released(registry, tiny, "1.0.0", "1.0.1")
    registry.promote("1.0.0")
    with pytest.raises(NotFound, match=r"1\.0\.1 is not the challenger"):
        registry.reject("1.0.1")
    registry.set_challenger("1.0.1")
    assert registry.reject("1.0.1").challenger is None
    assert [v.version for v in registry.versions()] == ["1.0.1", "1.0.0"]


def test_aliases_of_the_first_format_are_read_and_counted_on(
    repositories: Open, registry: ModelRegistry, tiny: Callable[[str], Path]
) -> None:
    released(registry, tiny, "1.0.0", "1.0.1")
    old = {"champion": "1.0.0", "previous": None, "challenger": "1.0.1"}
    repository = repositories()
    repository.commit([Add(ALIASES_FILE, json.dumps(old).encode())], "as it was", repository.head())
    assert (registry.aliases().sequence, registry.aliases().promoted_at) == (0, None)
    assert registry.promote("1.0.1").sequence == 1


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"sequence": "x"}', b'{"promoted_at": 3}'])
def test_damaged_aliases_are_one_sentence(
    repositories: Open, registry: ModelRegistry, tiny: Callable[[str], Path], content: bytes
) -> None:
    released(registry, tiny, "1.0.0")
    repository = repositories()
    repository.commit([Add(ALIASES_FILE, content)], "damage", repository.head())
    with pytest.raises(RepositoryError, match=r"aliases\.json"):
        registry.aliases()


class Died(Exception):
    """Stands for a SIGKILL."""


def test_a_death_between_commit_and_tag_costs_nothing(
    repositories: Open, tiny: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = ModelRegistry(repositories())
    released(registry, tiny, "1.0.0")
    registry.promote("1.0.0")
    directory = tiny("1.0.1")
    dying = repositories()

    def die(*_: object) -> None:
        raise Died

    monkeypatch.setattr(dying, "tag", die)
    with pytest.raises(Died):
        ModelRegistry(dying).record(directory, "Record 1.0.1")
    # The next process sees no such version, serves the old one, and may do it over.
    after = ModelRegistry(repositories())
    champion = after.champion()
    assert champion is not None and json.loads((champion[1] / MANIFEST).read_text())["version"] == "1.0.0"
    with pytest.raises(NotFound):
        after.promote("1.0.1")
    after.record(directory, "Record 1.0.1")
    assert after.promote("1.0.1").roles["previous"] == "1.0.0"
    assert json.loads((after.directory("1.0.1") / MANIFEST).read_text())["version"] == "1.0.1"


def test_what_is_recorded_is_signed_and_nothing_else_is_handed_out(
    repositories: Open, tiny: Callable[[str], Path]
) -> None:
    key = SigningKey.new()
    trainer = ModelRegistry(repositories(), key=key)
    released(trainer, tiny, "1.0.0")
    trainer.promote("1.0.0")
    released(ModelRegistry(repositories()), tiny, "1.0.1")
    node = ModelRegistry(repositories(), trusted=TrustedKeys((key.public,)))
    champion = node.champion()
    assert champion is not None and (champion[1] / SIGNATURE_FILE).is_file()
    with pytest.raises(BundleRefused, match="is not signed"):
        node.directory("1.0.1")
    with pytest.raises(BundleRefused, match="is not signed"):
        node.promote("1.0.1")
    with pytest.raises(BundleRefused, match="is not signed"):
        node.record(tiny("1.0.2"), "Record 1.0.2")
    assert [bool(node.signed_by(v.revision)) for v in node.versions()] == [False, True]
    trainer.promote("1.0.1")  # somebody without the setting promoted what is not signed
    with pytest.raises(BundleRefused, match="is not signed"):
        node.champion()
    node.rollback()
    assert node.champion() == champion


def test_a_signature_of_an_earlier_release_does_not_cling_to_a_later_one(
    repositories: Open, tiny: Callable[[str], Path]
) -> None:
    released(ModelRegistry(repositories(), key=SigningKey.new()), tiny, "1.0.0")
    unsigned = ModelRegistry(repositories())
    released(unsigned, tiny, "1.0.1")
    assert not (unsigned.directory("1.0.1") / SIGNATURE_FILE).exists()


def test_a_plan_compares_with_the_champion_and_continues_its_changelog(
    registry: ModelRegistry, small_bundle: Path, tmp_path: Path
) -> None:
    recipe = load_bundle(small_bundle).manifest["recipe"]
    assert registry.plan(recipe).version == "1.0.0" and registry.plan(recipe).notes.replaces is None
    registry.ensure_champion(small_bundle)
    plan = registry.plan(recipe)
    assert (plan.version, plan.notes.change.size, plan.notes.replaces) == ("1.0.1", "patch", "1.0.0")
    assert plan.notes.older == (small_bundle / CHANGELOG_FILE).read_text(encoding="utf-8")
    assert registry.plan({**recipe, "features": "other"}).version == "1.1.0"
    assert registry.plan({**recipe, "label": "other"}).version == "2.0.0"
    other = tmp_path / "other"
    shutil.copytree(small_bundle, other)
    manifest = json.loads((other / MANIFEST).read_text()) | {"version": "1.0.1"}
    (other / MANIFEST).write_text(json.dumps(manifest))
    registry.record(other, "never promoted")
    assert registry.plan(recipe).version == "1.0.2"


def test_decisions_that_somebody_damaged_are_left_out(
    repositories: Open, registry: ModelRegistry, tiny: Callable[[str], Path]
) -> None:
    released(registry, tiny, "1.0.0")
    registry.promote("1.0.0", who="m")
    repository = repositories()
    text = repository.read(DECISIONS_FILE, repository.head() or "") + b'{"at": 1}\nnothing\n'
    repository.commit([Add(DECISIONS_FILE, text)], "damage", repository.head())
    assert [d.action for d in registry.decisions()] == ["promote"]
