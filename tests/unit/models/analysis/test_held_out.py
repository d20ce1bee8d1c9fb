"""Held-out predictions are those of their manifest, or nothing is drawn from them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fraud.cli import main
from fraud.data.profile import Profile
from fraud.data.sources import load_transactions
from fraud.errors import BundleRefused
from fraud.models import bundle
from fraud.models.analysis.held_out import HeldOut, read_held_out
from fraud.models.redraw import redraw
from fraud.models.report import FIGURES
from fraud.models.signing import SIGNATURE_FILE, SigningKey, TrustedKeys
from fraud.records import MODELS


@pytest.fixture
def copied(small_bundle: Path, tmp_path: Path) -> Path:
    shutil.copytree(small_bundle, tmp_path / "bundle")
    return tmp_path / "bundle"


def change_predictions(directory: Path, frame: pd.DataFrame, *, listed: bool) -> None:
    """Write other predictions; `listed` names their digest in the manifest, as a mistaken build would."""
    path = directory / bundle.PREDICTIONS_FILE
    frame.to_parquet(path, index=False)
    if listed:
        manifest = json.loads((directory / bundle.MANIFEST).read_text())
        manifest["files"][bundle.PREDICTIONS_FILE]["sha256"] = bundle.digest(path)
        (directory / bundle.MANIFEST).write_text(json.dumps(manifest))


def test_the_predictions_come_to_what_the_manifest_says(small_bundle: Path) -> None:
    held_out = read_held_out(small_bundle)
    assert len(held_out) == held_out.manifest["windows"]["test"]["n_rows"]
    for model in MODELS:
        assert held_out.confusion(model) == held_out.manifest["models"][model]["confusion"]
    assert set(held_out.curves) == {
        f"{part}_{m}" for part in ("train", "validation") for m in ("aucpr", "logloss")
    }
    assert len(held_out.curves["train_logloss"]) > held_out.manifest["models"]["xgboost"]["best_iteration"]


def test_predictions_of_another_digest_are_refused(copied: Path) -> None:
    frame = pd.read_parquet(copied / bundle.PREDICTIONS_FILE)
    change_predictions(copied, frame.assign(xgboost=0.5), listed=False)
    with pytest.raises(BundleRefused, match="does not belong to this manifest"):
        redraw(copied)


def shuffled(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(xgboost=frame["xgboost"].to_numpy()[::-1])


@pytest.mark.parametrize(
    "change",
    [lambda f: f.iloc[1:], lambda f: f.assign(label=0), shuffled, lambda f: f.drop(columns="random_forest")],
)
def test_predictions_that_come_to_something_else_are_refused(copied: Path, change) -> None:
    frame = pd.read_parquet(copied / bundle.PREDICTIONS_FILE)
    change_predictions(copied, change(frame), listed=True)
    with pytest.raises(BundleRefused, match="does not belong to this manifest"):
        read_held_out(copied)


@pytest.mark.parametrize("content", [b"", b"PAR1 and nothing more PAR1", b"\0" * 4096])
def test_predictions_that_are_no_table_are_refused(copied: Path, content: bytes) -> None:
    path = copied / bundle.PREDICTIONS_FILE
    path.write_bytes(content)
    manifest = json.loads((copied / bundle.MANIFEST).read_text())
    manifest["files"][bundle.PREDICTIONS_FILE]["sha256"] = bundle.digest(path)
    (copied / bundle.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BundleRefused, match="not a Parquet table"):
        read_held_out(copied)


@pytest.mark.parametrize("name", [bundle.PREDICTIONS_FILE, bundle.CURVES_FILE, bundle.PROFILE_FILE])
def test_a_missing_file_is_named(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(BundleRefused, match=name):
        read_held_out(copied)


def test_the_test_window_is_found_again_in_its_table(small_bundle: Path, small_profile: Profile) -> None:
    held_out = read_held_out(small_bundle)
    table, _ = load_transactions(small_profile, None)
    found = held_out.transactions(table)
    assert found.ids.tolist() == held_out.ids.tolist()
    assert found.numbers["amount"].tolist() == held_out.amount.tolist()


def test_a_table_that_is_not_the_tests_is_refused(small_bundle: Path, small_profile: Profile) -> None:
    held_out = read_held_out(small_bundle)
    table, _ = load_transactions(small_profile, None)
    with pytest.raises(BundleRefused, match="not the one that this release was tested on"):
        held_out.transactions(table.take(np.arange(len(table) - 5000)))
    other = table.with_labels(1 - table.labels, table.known_at_ms)
    with pytest.raises(BundleRefused, match="not the one that this release was tested on"):
        held_out.transactions(other)


def test_drawing_again_changes_nothing_at_all(copied: Path) -> None:
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    assert redraw(copied) == FIGURES
    assert {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()} == before


def test_pictures_are_small(small_bundle: Path) -> None:
    for name in FIGURES:
        assert 5_000 < (small_bundle / "resultados" / name).stat().st_size < 120_000, name


def test_a_spoilt_picture_is_mended(copied: Path) -> None:
    (copied / "resultados" / FIGURES[0]).write_bytes(b"half a pict")
    with pytest.raises(BundleRefused):
        bundle.verify(copied)
    redraw(copied)
    bundle.verify(copied)


def drawn_by_an_older_release(directory: Path, key: SigningKey | None = None) -> None:
    """Let the manifest speak of another picture, as if the drawing had changed since."""
    path = directory / "resultados" / FIGURES[0]
    path.write_bytes(b"as it was drawn before")
    manifest = json.loads((directory / bundle.MANIFEST).read_text())
    manifest["files"][f"resultados/{FIGURES[0]}"] = {
        "sha256": bundle.digest(path),
        "bytes": path.stat().st_size,
    }
    (directory / bundle.MANIFEST).write_text(json.dumps(manifest))
    if key is not None:
        (directory / SIGNATURE_FILE).write_bytes(key.sign((directory / bundle.MANIFEST).read_bytes()))


def test_a_new_picture_is_sealed_and_nothing_else_changes(copied: Path) -> None:
    drawn_by_an_older_release(copied)
    before = json.loads((copied / bundle.MANIFEST).read_text())
    redraw(copied)
    after, _ = bundle.verify(copied)
    changed = {name for name in after["files"] if after["files"][name] != before["files"][name]}
    assert changed == {f"resultados/{FIGURES[0]}"}
    assert {k: v for k, v in after.items() if k != "files"} == {
        k: v for k, v in before.items() if k != "files"
    }


def test_a_signed_release_is_changed_with_its_key_only(copied: Path, tmp_path: Path) -> None:
    key = SigningKey.new()
    trusted = TrustedKeys((key.public,))
    drawn_by_an_older_release(copied, key)
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    with pytest.raises(BundleRefused, match="FRAUD_SIGNING_KEY"):
        redraw(copied, trusted=trusted)
    assert {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()} == before
    assert redraw(copied, out=tmp_path / "elsewhere", trusted=trusted) == FIGURES
    redraw(copied, key=key, trusted=trusted)
    bundle.verify(copied, trusted)


def test_strangers_predictions_are_not_drawn(copied: Path) -> None:
    with pytest.raises(BundleRefused, match="not signed"):
        redraw(copied, trusted=TrustedKeys((SigningKey.new().public,)))


def test_a_release_that_was_replaced_meanwhile_is_left_alone(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn_by_an_older_release(copied)

    def released_anew(held_out: HeldOut, directory: Path) -> tuple[str, ...]:
        manifest = json.loads((copied / bundle.MANIFEST).read_text())
        (copied / bundle.MANIFEST).write_text(json.dumps(manifest | {"version": "9.9.9"}))
        (directory / FIGURES[0]).write_bytes(b"new")
        return FIGURES[:1]

    monkeypatch.setattr("fraud.models.redraw.write_figures", released_anew)
    with pytest.raises(BundleRefused, match="meanwhile"):
        redraw(copied)
    assert json.loads((copied / bundle.MANIFEST).read_text())["version"] == "9.9.9"
    assert (copied / "resultados" / FIGURES[0]).read_bytes() == b"as it was drawn before"


def test_the_command_says_what_it_wrote_and_what_it_could_not(
    copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = json.loads((copied / bundle.MANIFEST).read_text())
    del manifest["files"][bundle.CURVES_FILE]  # a release from before curves were kept
    (copied / bundle.MANIFEST).write_text(json.dumps(manifest))
    assert main(["figures", "--bundle", str(copied), "--out", str(tmp_path / "out")]) == 0
    assert "left grafico_validacao_xgb.png as it was" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(FIGURES[:3])
