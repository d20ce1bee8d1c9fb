"""A bundle is what its manifest says, or it is refused."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest

from fraud.data.profile import Profile
from fraud.data.table import transactions_from_frame
from fraud.errors import BundleRefused
from fraud.features.history import History
from fraud.features.pipeline import FeaturePipeline
from fraud.models.bundle import MANIFEST, MODEL_FILES, load_bundle
from fraud.models.bundle_writer import recent_rows
from fraud.records import MODELS
from fraud.serving.scorer import Scorer


@pytest.fixture
def copied(small_bundle: Path, tmp_path: Path) -> Path:
    shutil.copytree(small_bundle, tmp_path / "bundle")
    return tmp_path / "bundle"


def test_a_bundle_holds_what_the_customer_named(small_bundle: Path) -> None:
    for name in (
        "modelos_otimizados/random_forest_otimizado.pkl",
        "modelos_otimizados/xgboost_otimizado.pkl",
        "resultados/matriz_confusao_rf.png",
        "resultados/matriz_confusao_xgb.png",
        "resultados/grafico_importancia_rf.png",
        "resultados/grafico_validacao_xgb.png",
        MANIFEST,
    ):
        assert (small_bundle / name).stat().st_size > 500, name


def test_the_manifest_tells_where_the_model_came_from(small_bundle: Path) -> None:
    manifest = json.loads((small_bundle / MANIFEST).read_text())
    assert manifest["data"]["sha256"] and manifest["seed"] == 7
    assert manifest["windows"]["train"]["last_at"] < manifest["windows"]["calibration"]["first_at"]
    assert manifest["windows"]["calibration"]["last_at"] < manifest["windows"]["test"]["first_at"]
    for name in MODELS:
        ap = manifest["models"][name]["metrics"]["ap"]
        assert 0 < ap["low"] < ap["value"] < ap["high"] <= 1
    assert manifest["environment"]["xgboost"]


@pytest.mark.parametrize("name", ["serving/xgboost.npz", "serving/history.parquet", MODEL_FILES["xgboost"]])
def test_a_changed_file_is_refused_by_name(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(bytes(content))
    with pytest.raises(BundleRefused, match=name):
        load_bundle(copied)


def test_a_missing_file_is_refused_by_name(copied: Path) -> None:
    (copied / "serving/features.json").unlink()
    with pytest.raises(BundleRefused, match=r"serving/features\.json is missing"):
        load_bundle(copied)


def test_a_directory_without_a_manifest_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(BundleRefused, match=r"python -m fraud train"):
        load_bundle(tmp_path)


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd"])
def test_a_manifest_cannot_point_outside_its_directory(copied: Path, path: str) -> None:
    manifest = json.loads((copied / MANIFEST).read_text())
    manifest["files"][path] = {"sha256": "0" * 64, "bytes": 1}
    (copied / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BundleRefused, match="unsafe path"):
        load_bundle(copied)


@pytest.mark.parametrize("change", [{"review": 0.9, "decline": 0.1}, {"review": "x"}, {}])
def test_thresholds_that_make_no_sense_are_refused(copied: Path, change: dict[str, object]) -> None:
    manifest = json.loads((copied / MANIFEST).read_text())
    manifest["models"]["xgboost"]["thresholds"] = change
    (copied / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BundleRefused, match="thresholds"):
        load_bundle(copied)


def test_serving_loads_no_pickle_and_no_training_library(small_bundle: Path) -> None:
    code = (
        "import sys\n"
        "def audit(event, args):\n"
        "    if event == 'pickle.find_class' and args[0].split('.')[0] in ('fraud', 'sklearn', 'xgboost'):\n"
        "        print('unpickled', args); raise SystemExit(3)\n"
        "sys.addaudithook(audit)\n"
        "from pathlib import Path\n"
        "from fraud.models.bundle import load_bundle\n"
        "from fraud.serving.scorer import Scorer\n"
        f"Scorer.from_bundle(load_bundle(Path({str(small_bundle)!r})))\n"
        "assert not {'sklearn', 'xgboost', 'joblib'} & set(sys.modules), 'training library imported'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path.cwd())
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", MODELS)
def test_the_pickle_takes_a_raw_table_in_any_order_and_agrees_with_serving(
    small_bundle: Path, small_frame: pd.DataFrame, name: str
) -> None:
    model = joblib.load(small_bundle / MODEL_FILES[name])
    newest = small_frame.tail(4000)
    shuffled = newest.sample(frac=1, random_state=3)
    probability = pd.Series(model.predict_proba(shuffled, past=small_frame)[:, 1], shuffled.index)
    assert probability.between(0, 1).all()
    scorer = Scorer.from_bundle(load_bundle(small_bundle))
    bundle = scorer.bundle
    inputs = ["transaction_id", "occurred_at", "card_id", "merchant_id", *bundle.profile.by_column]
    for index, row in newest.tail(40).iterrows():
        record = {c: row[c] for c in inputs} | {"occurred_at": row["occurred_at"].isoformat()}
        served = scorer.score(record)[name].fraud_probability
        assert served == pytest.approx(probability[index], abs=1e-6)
    assert np.array_equal(model.classes_, [0, 1])


def test_an_old_fraud_that_was_reported_late_is_shipped_with_the_past(
    small_profile: Profile, small_frame: pd.DataFrame
) -> None:
    table = transactions_from_frame(small_frame, small_profile)
    time, known = table.times(), table.known_at_ms.copy()
    oldest = int(np.flatnonzero(table.labels == 1)[0])
    assert oldest not in recent_rows(table, small_profile)
    known[oldest] = time[-1]
    late = table.with_labels(table.labels, known)
    assert set(recent_rows(late, small_profile)) - set(recent_rows(table, small_profile)) == {oldest}
    # Then the shipped past says the same of the labels of the last days as the whole table.
    part = late.take(np.arange(len(late) - 200, len(late)))
    shipped = late.take(recent_rows(late, small_profile))
    names = [n for n in FeaturePipeline.fit(small_profile, late).names if "fraud" in n]
    whole, little = (History.of(past, small_profile).features(part) for past in (late, shipped))
    for name in names:
        np.testing.assert_array_equal(whole[name], little[name])
