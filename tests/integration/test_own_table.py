"""A table that nobody here has seen, from its CSV to scores: infer, train, load, validate, score, explain."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

from fraud.cli import main
from fraud.data.table import read_table
from fraud.data.validate import validate_transaction
from fraud.models.bundle import MODEL_FILES, load_bundle
from fraud.serving.scorer import Scorer

N = 1200
LABEL = "\u00c9 fraude?"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
START = 1_750_000_000


def make_frame(time: str | None) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    amount, kind = np.round(rng.lognormal(3, 1, N), 2), rng.choice(["caf\u00e9", " bar", "x,y", 'q"u'], N)
    hour = rng.integers(0, 24, N)
    risk = -3.5 + 1.5 * (amount > 60) + 1.5 * (kind == "caf\u00e9") + 1.5 * (hour < 5)
    frame = pd.DataFrame(
        {
            "Valor (R$)": pd.Series(amount).where(rng.random(N) > 0.1),
            'tipo "q"': pd.Series(kind).where(rng.random(N) > 0.1),
            "hour": hour,
            "weekday": rng.integers(0, 7, N),
            "a.b[c]<d>": rng.normal(0, 1, N).round(3),
            "": rng.choice(["u", "v"], N),
            " espa\u00e7o ": rng.choice(["yes", "no", " "], N),
            "chave": [f"tx-{i}" for i in range(N)],
            "vazio": None,
            "longo": ["z" * 80 if i % 3 else "w" * 70 for i in range(N)],
            LABEL: np.where(rng.random(N) < 1 / (1 + np.exp(-risk)), "Yes ", " No"),
        }
    )
    if time is None:
        return frame
    seconds = START + np.sort(rng.integers(0, 80 * 86_400, N))
    moments = pd.Series(pd.to_datetime(seconds, unit="s"))
    when = {"seconds": seconds, "milliseconds": seconds * 1000, "iso": moments.map(pd.Timestamp.isoformat)}
    frame["when"] = when[time]
    frame["card id"], frame["shop"] = rng.integers(1, 80, N), rng.choice([f"s{i}" for i in range(30)], N)
    frame["born"] = [f"19{50 + int(y)}-01-31" for y in rng.integers(0, 40, N)]
    return frame.sample(frac=1, random_state=1)


def infer_and_train(directory: Path, time: str | None) -> tuple[Path, Path]:
    table, profile, bundle = directory / "t.csv", directory / "p.toml", directory / "bundle"
    make_frame(time).to_csv(table, index=False)
    named = ["--time", "when", "--entity", "card id", "--entity", "shop"] if time else []
    assert main(["profile", "infer", str(table), "--label", LABEL, *named, "--out", str(profile)]) == 0
    text = profile.read_text(encoding="utf-8")  # small models: this is about the way, not the figures
    profile.write_text(
        text.replace("n_estimators = 200", "n_estimators = 20").replace("= 400", "= 30"), "utf-8"
    )
    train = ["train", "--profile", str(profile), "--data", str(table), "--out", str(bundle)]
    assert main(train) == 0
    return table, bundle


@pytest.mark.parametrize("time", [None, "milliseconds", "iso"])
def test_an_inferred_profile_trains_is_served_and_gives_usable_pickles(
    time: str | None, tmp_path: Path
) -> None:
    table, directory = infer_and_train(tmp_path, time)
    bundle = load_bundle(directory)
    scorer = Scorer.from_bundle(bundle)
    examples: list[dict[str, Any]] = bundle.read_examples()["examples"]
    assert {e["kind"] for e in examples} == {"legitimate", "fraud"}
    frame = read_table(table)
    past = frame if time else None
    for example in examples:
        transaction = validate_transaction(bundle.profile, example["transaction"], NOW)
        scores, reasons = scorer.score(transaction), scorer.explain(transaction)
        row = frame[frame["chave"] == transaction["chave"]] if bundle.profile.columns.id else frame.head(1)
        assert len(row) == 1
        for name, file in MODEL_FILES.items():
            assert {r.feature for r in reasons[name].reasons} == set(scorer.pipeline.names)
            pickled = joblib.load(directory / file)
            expected = pickled.predict_proba(row.drop(columns=[LABEL]), past=past)[0, 1]
            assert scores[name].fraud_probability == pytest.approx(expected, abs=1e-6)
    _check_form(bundle.profile, time)
    _check_pickles(directory, frame, past)


def _check_form(profile: Any, time: str | None) -> None:
    assert {"longo", "vazio", "chave"}.isdisjoint(profile.by_column)
    assert profile.columns.fraud_values == ("Yes",) and profile.columns.amount == "Valor (R$)"
    defaults: dict[str, Any] = {f.column: f.default for f in profile.fields}
    if time is not None:
        defaults["when"] = START * {"seconds": 1, "milliseconds": 1000}.get(time, 0) or "2025-07-01T00:00:00"
    validate_transaction(profile, defaults, NOW)


def _check_pickles(directory: Path, frame: pd.DataFrame, past: pd.DataFrame | None) -> None:
    order = np.random.default_rng(0).permutation(len(frame))
    for file in MODEL_FILES.values():
        model = joblib.load(directory / file)
        whole = model.predict_proba(frame)
        np.testing.assert_array_equal(model.predict_proba(frame.iloc[order]), whole[order])
        unlabelled = frame.drop(columns=[LABEL])
        np.testing.assert_array_equal(model.predict_proba(unlabelled, past=past), whole)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (lambda f: f.head(12), "needs 10 at least"),
        (lambda f: pd.concat([f[f[LABEL] == "Yes "].head(1), f[f[LABEL] == " No"]]), "holds 1 frauds"),
        (lambda f: f[f[LABEL] == "Yes "], "holds 0 legitimate transactions"),
        (lambda f: f[f[LABEL] == " No"], "holds 0 frauds"),
        (
            lambda f: f[(f[LABEL] == " No") | (f["when"] < sorted(f["when"])[N // 2])],
            "calibration part .* no frauds",
        ),
        (lambda f: f.head(0), "has no rows"),
    ],
    ids=["twelve rows", "one fraud", "all frauds", "no frauds", "none to calibrate on", "header only"],
)
def test_a_table_too_small_to_train_on_is_one_sentence(
    rows: Any, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame, table, profile = make_frame("iso"), tmp_path / "t.csv", tmp_path / "p.toml"
    frame.to_csv(table, index=False)
    assert (
        main(["profile", "infer", str(table), "--label", LABEL, "--time", "when", "--out", str(profile)]) == 0
    )
    rows(frame).to_csv(table, index=False)
    train = ["train", "--profile", str(profile), "--data", str(table), "--out", str(tmp_path / "bundle")]
    assert main(train) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and len(error.strip().splitlines()) == 1
    assert re.search(sentence, error)


@pytest.mark.parametrize(
    ("models", "sentence"),
    [
        ("random_forest = { n_tree = 5 }", '"n_tree" is not a parameter of this model'),
        ('random_forest = { n_estimators = "many" }', "models.random_forest: .*must be an int"),
        ('xgboost = { max_depth = "deep" }', "models.xgboost: .*max_depth"),
    ],
)
def test_a_parameter_no_model_has_is_one_sentence(
    models: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, profile = tmp_path / "t.csv", tmp_path / "p.toml"
    make_frame(None).to_csv(table, index=False)
    assert main(["profile", "infer", str(table), "--label", LABEL, "--out", str(profile)]) == 0
    kept = profile.read_text(encoding="utf-8").split("[models")[0]
    profile.write_text(f"{kept}\n[models]\n{models}\n", "utf-8")
    train = ["train", "--profile", str(profile), "--data", str(table), "--out", str(tmp_path / "bundle")]
    assert main(train) == 2
    error = capsys.readouterr().err
    assert re.search(sentence, error)
