"""What a release carries beside its models: golden vectors, a card that the Hub reads, a changelog."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from fraud.errors import BundleRefused
from fraud.models.bundle import (
    CARD_FILE,
    CHANGELOG_FILE,
    GOLDEN_FILE,
    MANIFEST,
    digest,
    load_bundle,
    verify,
)
from fraud.models.card import changelog, model_card
from fraud.models.signing import SIGNATURE_FILE, SigningKey, TrustedKeys
from fraud.models.versioning import Change, ReleaseNotes
from fraud.records import MODELS
from fraud.serving.scorer import Scorer


@pytest.fixture
def copied(small_bundle: Path, tmp_path: Path) -> Path:
    shutil.copytree(small_bundle, tmp_path / "bundle")
    return tmp_path / "bundle"


def rewrite(directory: Path, name: str, change: Callable[[Any], object]) -> None:
    """Change one JSON file of a bundle and its entry in the manifest, as an attacker without a key would."""
    document = json.loads((directory / name).read_text())
    change(document)
    (directory / name).write_text(json.dumps(document))
    manifest = json.loads((directory / MANIFEST).read_text())
    manifest["files"][name] = {
        "sha256": digest(directory / name),
        "bytes": (directory / name).stat().st_size,
    }
    (directory / MANIFEST).write_text(json.dumps(manifest))


def test_every_file_beside_the_manifest_is_listed_in_it(small_bundle: Path) -> None:
    manifest, _ = verify(small_bundle)
    found = {p.relative_to(small_bundle).as_posix() for p in small_bundle.rglob("*") if p.is_file()}
    assert found - {MANIFEST} == set(manifest["files"])
    assert {CARD_FILE, CHANGELOG_FILE, GOLDEN_FILE} <= found


def test_golden_vectors_have_missing_values_unseen_levels_and_more_than_one_decision(
    small_bundle: Path,
) -> None:
    vectors = json.loads((small_bundle / GOLDEN_FILE).read_text())["vectors"]
    assert len(vectors) == 36
    transactions = [vector["transaction"] for vector in vectors]
    assert sum(None in t.values() for t in transactions) >= 12
    assert sum("never seen in training" in t.values() for t in transactions) >= 12
    for name in MODELS:
        assert len({vector["expected"][name]["decision"] for vector in vectors}) >= 2


@pytest.mark.parametrize("name", MODELS)
def test_an_answer_that_differs_in_the_sixth_digit_is_refused(copied: Path, name: str) -> None:
    def shift(document: Any) -> None:
        document["vectors"][7]["expected"][name]["fraud_probability"] += 2e-6

    rewrite(copied, GOLDEN_FILE, shift)
    with pytest.raises(BundleRefused, match=f"{name} of version 1.0.0 answers"):
        Scorer.from_bundle(load_bundle(copied))


def test_another_decision_is_refused_though_the_probability_is_the_same(copied: Path) -> None:
    def flip(document: Any) -> None:
        expected = document["vectors"][3]["expected"]["xgboost"]
        expected["decision"] = "decline" if expected["decision"] == "approve" else "approve"

    rewrite(copied, GOLDEN_FILE, flip)
    with pytest.raises(BundleRefused, match="golden transaction 4"):
        Scorer.from_bundle(load_bundle(copied))


def test_another_cut_off_in_the_manifest_is_noticed_by_the_golden_vectors(copied: Path) -> None:
    manifest = json.loads((copied / MANIFEST).read_text())
    for entry in manifest["models"].values():
        entry["thresholds"] = {"review": 0.9999, "decline": 1.0}
    (copied / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BundleRefused, match="golden transaction"):
        Scorer.from_bundle(load_bundle(copied))


@pytest.mark.parametrize(
    "damage", [{"vectors": []}, {"schema_version": 9}, {"vectors": [{"transaction": 1}]}]
)
def test_golden_vectors_that_cannot_be_read_are_refused(copied: Path, damage: dict[str, Any]) -> None:
    rewrite(copied, GOLDEN_FILE, lambda document: document.update(damage))
    with pytest.raises(BundleRefused, match="cannot be read"):
        Scorer.from_bundle(load_bundle(copied))


def test_a_release_from_before_there_were_such_files_still_serves(copied: Path) -> None:
    manifest = json.loads((copied / MANIFEST).read_text())
    for name in (CARD_FILE, CHANGELOG_FILE, GOLDEN_FILE):
        del manifest["files"][name]
        (copied / name).unlink()
    for name in ("recipe", "change", "parity"):
        del manifest[name]
    (copied / MANIFEST).write_text(json.dumps(manifest))
    scorer = Scorer.from_bundle(load_bundle(copied))
    assert scorer.score(scorer.examples["examples"][0]["transaction"]).keys() == set(MODELS)


def test_the_manifest_says_how_near_the_packed_models_came(small_bundle: Path) -> None:
    manifest, _ = verify(small_bundle)
    for name in MODELS:
        assert manifest["parity"][name]["n_rows"] == 5_000
        assert 0 < manifest["parity"][name]["largest_difference"] <= 1e-6


def test_the_hub_reads_the_card_and_finds_both_models_results(small_bundle: Path) -> None:
    card = ModelCard((small_bundle / CARD_FILE).read_text(encoding="utf-8"))
    results = card.data.eval_results
    assert results is not None and card.data.model_name == "fraud-cards"
    assert sorted(r.metric_type for r in results) == sorted(["f1", "average_precision", "roc_auc"] * 2)
    manifest, _ = verify(small_bundle)
    for result in results:
        model = "xgboost" if "XGBoost" in (result.metric_name or "") else "random_forest"
        key = {"f1": "f1", "average_precision": "ap", "roc_auc": "auc"}[result.metric_type]
        metric = manifest["models"][model]["metrics"][key]
        assert result.metric_value == metric["value"]
        assert f"{metric['low']:.4f} to {metric['high']:.4f}" in (result.metric_name or "")
    assert "docs/limitations.md" in card.text and "without pickle" in card.text.lower()


def test_a_card_of_a_retraining_names_the_dataset_revision_and_the_gates_reasons(small_bundle: Path) -> None:
    bundle = load_bundle(small_bundle)
    manifest = json.loads(json.dumps(dict(bundle.manifest)))
    manifest["data"]["feedback"] = {
        "dataset_revision": "c" * 40,
        "n_labels": 12,
        "unused": {"no label": 3},
        "champion": "1.0.0",
        "reasons": ["xgboost: within | the margin"],
    }
    card = ModelCard(model_card(manifest, bundle.profile))
    assert {r.dataset_revision for r in card.data.eval_results or ()} == {"c" * 40}
    assert "Passed, against 1.0.0" in card.text and "within | the margin" in card.text
    entry = changelog(manifest, ReleaseNotes("1.0.0", Change("patch", ("other data",))))
    assert "12 labels from feedback" in entry and "Labels not used: 3 (no label)" in entry
    assert "Gate: xgboost: within" in entry


def test_words_in_a_profile_cannot_break_the_cards_metadata(small_bundle: Path) -> None:
    bundle = load_bundle(small_bundle)
    title = bundle.profile.title.model_copy(update={"en": 'a: "b"\n---\n- [c] | #'})
    profile = bundle.profile.model_copy(update={"title": title})
    card = ModelCard(model_card(bundle.manifest, profile))
    assert len(card.data.eval_results or ()) == 6


def test_a_changelog_keeps_the_entries_of_the_release_it_replaces(small_bundle: Path) -> None:
    manifest = dict(verify(small_bundle)[0])
    first = changelog(manifest, ReleaseNotes())
    assert first == (small_bundle / CHANGELOG_FILE).read_text(encoding="utf-8")
    manifest["version"] = "1.1.0"
    second = changelog(manifest, ReleaseNotes("1.0.0", Change("minor", ("the features changed",)), first))
    assert second.index("## [1.1.0]") < second.index("## [1.0.0]") and second.count("# Changelog\n") == 1
    assert "Minor: the features changed (against 1.0.0)." in second


def test_a_changelog_that_grows_too_long_loses_its_oldest_entries_only(small_bundle: Path) -> None:
    manifest = dict(verify(small_bundle)[0])
    older = "".join(f"## [0.0.{n}] - 2026-01-01\n\n- {'x' * 900}\n\n" for n in range(500, 0, -1))
    text = changelog(manifest, ReleaseNotes("0.0.500", Change("patch", ("data",)), older))
    assert len(text) <= 200_000 and "## [1.0.0]" in text and "[0.0.500]" in text and "[0.0.1]" not in text


def test_a_signed_release_loads_where_its_key_is_trusted_and_nowhere_else(copied: Path) -> None:
    key, stranger = SigningKey.new(), SigningKey.new()
    (copied / SIGNATURE_FILE).write_bytes(key.sign((copied / MANIFEST).read_bytes()))
    assert load_bundle(copied, TrustedKeys((key.public,))).version == "1.0.0"
    with pytest.raises(BundleRefused, match="not trusted here"):
        load_bundle(copied, TrustedKeys((stranger.public,)))
    (copied / SIGNATURE_FILE).unlink()
    with pytest.raises(BundleRefused, match="is not signed"):
        load_bundle(copied, TrustedKeys((key.public,)))


def test_nothing_of_an_unsigned_release_is_parsed(copied: Path) -> None:
    (copied / MANIFEST).write_bytes(b"[" * 100_000)  # would be "not valid JSON" if anybody had looked
    with pytest.raises(BundleRefused, match="is not signed"):
        load_bundle(copied, TrustedKeys((SigningKey.new().public,)))


def test_a_file_of_another_size_is_refused_before_it_is_read(copied: Path) -> None:
    path = copied / "serving/xgboost.npz"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(BundleRefused, match=r"serving/xgboost\.npz .*its size differs"):
        load_bundle(copied)
