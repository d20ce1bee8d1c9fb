"""The command line: light to import, one sentence for every error, and exit codes that scripts can trust."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from fraud.cli import main
from fraud.models.bundle import load_bundle
from fraud.models.signing import SigningKey, TrustedKeys

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def own_directories(tmp_path: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAUD_ARTIFACTS_DIR", str(small_bundle))
    monkeypatch.setenv("FRAUD_REGISTRY_DIR", str(tmp_path / "registry"))
    monkeypatch.setenv("FRAUD_FEEDBACK_DIR", str(tmp_path / "feedback"))


def test_importing_the_command_line_loads_no_heavy_library() -> None:
    code = (
        "import sys, fraud.cli\n"
        "heavy = {'gradio', 'datasets', 'pandas', 'sklearn', 'xgboost', 'numba'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--profile", "nothing"], 'no profile "nothing"'),
        (["train", "--profile", "handbook"], "no built-in data"),
        (["train", "--release", "one"], "not a version"),
        (["train", "--profile", "ulb", "--data", "/nowhere.csv"], "no such file"),
        (["simulate", "--rows", "100", "--days", "2", "--out", "/nowhere/x.csv"], "/nowhere"),
        (["promote", "9.9.9"], "no version 9.9.9"),
        (["promote"], "There is no challenger"),
        (["rollback"], "no previous version"),
        (["feedback", "pull", "--out", "x"], "no commits yet"),
        (["retrain", "--revision", "deadbeef"], "deadbeef"),
    ],
)
def test_an_error_is_one_sentence_on_stderr_and_exit_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1 and "Traceback" not in said


def test_a_bad_setting_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FRAUD_PORT", "eighty")
    assert main(["versions"]) == 2
    assert "FRAUD_PORT must be a number" in capsys.readouterr().err


def test_versions_shows_the_shipped_bundle_while_nothing_was_recorded(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["versions"]) == 0
    assert "1.0.0" in (said := capsys.readouterr().out) and "champion shipped" in said


def test_a_promotion_that_fails_leaves_the_shipped_bundle_in_charge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["promote"]) == 2 and main(["promote", "7.7.7"]) == 2
    capsys.readouterr()
    assert main(["versions"]) == 0 and "champion shipped" in capsys.readouterr().out


def test_the_shipped_version_can_be_promoted_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["promote", "1.0.0"]) == 0 and main(["promote", "1.0.0"]) == 0
    capsys.readouterr()
    assert main(["versions"]) == 0 and capsys.readouterr().out.rstrip().endswith("champion")


def test_retraining_with_no_label_does_nothing_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["retrain"]) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_a_retraining_waits_for_no_other_one(tmp_path: Path) -> None:
    lock = tmp_path / "registry.retrain.lock"
    code = (
        "import sys\nfrom pathlib import Path\nfrom fraud.durable import exclusive\n"
        f"with exclusive(Path({str(lock)!r}), 5):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        done = subprocess.run(
            [sys.executable, "-m", "fraud", "retrain"],
            cwd=ROOT,
            env=os.environ,
            capture_output=True,
            text=True,
        )
        holder.communicate(b"")
    assert done.returncode == 2 and "Another retraining is running" in done.stderr


def test_simulate_and_train_write_what_they_say(
    tmp_path: Path,
    small_profile_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = SigningKey.new()
    monkeypatch.setenv("FRAUD_SIGNING_KEY", key.seed)
    table = tmp_path / "cards.csv"
    assert main(["simulate", "--rows", "40000", "--days", "90", "--seed", "5", "--out", str(table)]) == 0
    out = tmp_path / "bundle"
    assert main(["train", "--profile", str(small_profile_path), "--data", str(table), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "xgboost: auc" in said and f"wrote {out}" in said
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["data"]["source"] == "file" and manifest["data"]["name"] == "cards.csv"
    assert manifest["data"]["n_rows"] == len(pd.read_csv(table))
    assert manifest["parity"]["xgboost"]["n_rows"] == 100_000
    assert load_bundle(out, TrustedKeys((key.public,))).version == "1.0.0", "what is trained is signed"


def test_a_file_is_scored_and_what_does_not_fit_is_listed(
    small_frame: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = small_frame.head(30).drop(columns=["is_fraud", "reported_at", "typology"]).astype(object)
    rows.loc[4, "amount"] = "much"
    rows.to_csv(tmp_path / "rows.csv", index=False)
    arguments = ["score", str(tmp_path / "rows.csv"), "--out", str(tmp_path / "out.parquet")]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "row 5 (line 6): amount is not a number" in said
    assert "scored 29 rows" in said and "1 rows do not fit" in said
    assert len(pd.read_parquet(tmp_path / "out.parquet")) == 29
    assert main([*arguments, "--rejected", str(tmp_path / "refused.csv")]) == 0
    assert pd.read_csv(tmp_path / "refused.csv").to_dict("records") == [
        {"line": 6, "row": 5, "column": "amount", "rule": "is not a number"}
    ]


@pytest.mark.parametrize(
    ("file", "out", "words"),
    [
        ("rows.csv", "out.csv", "name a .parquet file"),
        ("nowhere.csv", "out.parquet", "there is no such file"),
        ("empty.csv", "out.parquet", "the file is empty"),
        ("rows.csv", "out.parquet", '"occurred_at" is missing'),
    ],
)
def test_a_file_that_cannot_be_scored_is_one_sentence(
    file: str, out: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    (tmp_path / "empty.csv").write_text("")
    assert main(["score", str(tmp_path / file), "--out", str(tmp_path / out)]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert not (tmp_path / out).exists()
