"""The kept schedules are well-formed, each calls the one command, and its exit code survives."""

import configparser
import inspect
import os
import re
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
import yaml

from fraud.settings import read_settings

ROOT = Path(__file__).resolve().parents[2]
SCHEDULES = ROOT / "deploy" / "schedules"
SCRIPT = "deploy/schedules/retrain.sh"


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((SCHEDULES / name).read_text())
    return parser


@pytest.mark.parametrize("code", [0, 1, 2])
def test_the_script_exits_as_the_retraining_did_and_sends_what_it_left(tmp_path: Path, code: int) -> None:
    calls = tmp_path / "calls"
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\necho "$@" >>{calls}\n[ "$3" = retrain ] && exit {code}\nexit 1\n', encoding="ascii"
    )
    python.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "FRAUD_PYTHON": str(python)}
    done = subprocess.run([ROOT / SCRIPT, "--promote"], env=environment, cwd=tmp_path, capture_output=True)
    assert done.returncode == code
    sent = ["-m fraud retrain --promote", "-m fraud webhooks send-pending"]
    assert calls.read_text().splitlines() == sent


def test_a_defect_does_not_look_like_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "argparse.py").write_text("raise RuntimeError('a defect')\n")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    python = ROOT / ".venv" / "bin" / "python"
    done = subprocess.run([python, "-m", "fraud", "retrain"], env=environment, cwd=ROOT, capture_output=True)
    assert b"a defect" in done.stderr and done.returncode == 2


def test_the_crontab_has_five_sound_fields_and_a_command() -> None:
    lines = (SCHEDULES / "crontab").read_text().splitlines()
    entries = [line for line in lines if line and not line.startswith("#") and not re.match(r"\w+=", line)]
    assert len(entries) == 1
    *fields, command = entries[0].split(maxsplit=5)
    for field, (low, high) in zip(fields, ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7)), strict=True):
        assert field == "*" or low <= int(field) <= high
    assert SCRIPT in command and "%" not in command, "cron turns % into a line break"


def test_the_units_call_the_script_and_catch_up_after_a_night_off() -> None:
    service, timer = unit("fraud-retrain.service"), unit("fraud-retrain.timer")
    assert service["Service"]["ExecStart"].endswith(SCRIPT)
    assert service["Service"]["SuccessExitStatus"] == "1" and service["Service"]["Type"] == "oneshot"
    assert timer["Timer"]["Persistent"] == "true"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    for name in ("fraud-retrain.service", "fraud-retrain.timer"):
        (tmp_path / name).write_text((SCHEDULES / name).read_text().replace("/opt/fraud", str(ROOT)))
    done = subprocess.run(
        ["systemd-analyze", "verify", *sorted(tmp_path.iterdir())], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "fraud-retrain" not in done.stderr, done.stderr


def test_the_workflow_is_a_schedule_that_runs_one_at_a_time() -> None:
    document = yaml.safe_load((SCHEDULES / "github-actions.yml").read_text())
    triggers = document[True]  # YAML 1.1 reads the key `on` so
    assert len(triggers["schedule"][0]["cron"].split()) == 5
    assert document["concurrency"]["cancel-in-progress"] is False
    runs = [step.get("run", "") for step in document["jobs"]["retrain"]["steps"]]
    script = next(run for run in runs if SCRIPT in run)
    for code, exits in ((0, 0), (1, 0), (2, 2)):
        body = re.sub(r"\$\{\{.*?\}\}", "", script).replace(SCRIPT, f"(exit {code})")
        done = subprocess.run(
            ["bash", "-e", "-c", body], env={"GITHUB_OUTPUT": "/dev/null", "PATH": os.environ["PATH"]}
        )
        assert done.returncode == exits


PASSED_ON = {
    "FRAUD_DATASET_REPO",
    "FRAUD_MODEL_REPO",
    "FRAUD_TRUSTED_KEYS",
    "FRAUD_APPROVAL",
    "FRAUD_QUARANTINE_DAYS",
    "FRAUD_RETRAIN_MIN_LABELS",
    "FRAUD_RETRAIN_MIN_FRAUDS",
    "FRAUD_RETRAIN_MAX_AGE_DAYS",
    "FRAUD_GOLD_BUDGET",
}
SECRET = {"FRAUD_HUB_TOKEN", "FRAUD_SIGNING_KEY", "FRAUD_WEBHOOKS", "FRAUD_WEBHOOK_SECRETS"}


def test_the_workflow_passes_on_what_a_retraining_reads_and_secrets_to_one_step_only() -> None:
    job = yaml.safe_load((SCHEDULES / "github-actions.yml").read_text())["jobs"]["retrain"]
    assert set(job["env"]) >= PASSED_ON
    for name in job["env"].keys() - {"FRAUD_PYTHON"}:
        assert job["env"][name] == f"${{{{ vars.{name} }}}}"
    (step,) = [step for step in job["steps"] if "env" in step]
    assert SCRIPT in step["run"]
    assert step["env"] == {name: f"${{{{ secrets.{name} }}}}" for name in SECRET}
    # What a repository does not set is an empty word.
    assert read_settings(dict.fromkeys({*job["env"], *step["env"]}, "")) == read_settings({})


def test_the_workflow_caches_counts_and_records_and_no_model() -> None:
    text = (SCHEDULES / "github-actions.yml").read_text()
    assert "PRIVATE repository" in text
    steps = yaml.safe_load(text)["jobs"]["retrain"]["steps"]
    caches = [step["with"] for step in steps if "actions/cache" in step.get("uses", "")]
    assert len(caches) == 2
    for cache in caches:
        assert cache["path"].split() == [
            "feedback_store/retraining/gold.json",
            "feedback_store/retraining/*/run.json",
        ]
        # A second attempt of one run saves under a key of its own: a key is written once.
        assert "${{ github.run_id }}" in cache["key"] and "${{ github.run_attempt }}" in cache["key"]


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Yield the script that schedules a job, in a shell that has set what it needs."""
    for name in PASSED_ON | SECRET:
        monkeypatch.delenv(name, raising=False)
    for name in ("FRAUD_DATASET_REPO", "FRAUD_MODEL_REPO", "FRAUD_HUB_TOKEN"):
        monkeypatch.setenv(name, f"org/{name.lower()}")
    yield runpy.run_path(str(SCHEDULES / "hf_job.py"), run_name="job")


def test_the_job_is_given_every_setting_and_its_secrets_as_secrets(
    job: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    webhooks = tmp_path / "webhooks.toml"
    webhooks.write_text('[[endpoint]]\nname = "node-a"\n')
    given = {name: f"value of {name}" for name in PASSED_ON | SECRET} | {"FRAUD_WEBHOOKS": str(webhooks)}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    asked: dict[str, Any] = {}

    class Hub:
        def create_scheduled_job(self, **order: Any) -> Any:
            inspect.signature(huggingface_hub.HfApi.create_scheduled_job).bind(self, **order)
            asked.update(order)
            return SimpleNamespace(id="j1")

    with monkeypatch.context() as patch:
        patch.setattr(huggingface_hub, "HfApi", Hub)
        assert job["main"](["org/space"]) == 0
    assert asked["env"] == {name: given[name] for name in PASSED_ON}
    text = webhooks.read_text()
    assert asked["secrets"] == {name: given[name] for name in SECRET} | {"FRAUD_WEBHOOKS": text}
    assert not any(given[name] in str(asked["command"]) for name in SECRET)


def test_nothing_is_scheduled_that_nobody_would_load(
    job: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("FRAUD_TRUSTED_KEYS", "k")
    assert job["main"](["org/space"]) == 2
    assert "FRAUD_SIGNING_KEY is not" in capsys.readouterr().err
    (tmp_path / "key.pem").write_text("x")
    monkeypatch.setenv("FRAUD_SIGNING_KEY", str(tmp_path / "key.pem"))
    assert job["main"](["org/space"]) == 2
    assert "names a file of this machine" in capsys.readouterr().err
    monkeypatch.setenv("FRAUD_SIGNING_KEY", "seed")
    monkeypatch.setenv("FRAUD_WEBHOOKS", str(tmp_path / "nowhere.toml"))
    assert job["main"](["org/space"]) == 2
    assert "FRAUD_WEBHOOKS names cannot be read" in capsys.readouterr().err


def run_script(python: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {"PATH": os.environ["PATH"], "FRAUD_PYTHON": str(python), "TMPDIR": str(python.parent)}
    return subprocess.run([ROOT / SCRIPT], env=given | environment, capture_output=True, text=True)


def test_nothing_is_trained_that_nobody_would_load(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho called\n")
    python.chmod(0o755)
    refused = run_script(python, FRAUD_TRUSTED_KEYS="k")
    assert refused.returncode == 2 and "FRAUD_SIGNING_KEY is not" in refused.stderr
    assert "called" not in refused.stdout and len(refused.stderr.splitlines()) == 1
    assert run_script(python, FRAUD_TRUSTED_KEYS="k", FRAUD_SIGNING_KEY="s").returncode == 0


def test_the_text_of_a_webhooks_file_is_a_private_file_while_the_script_runs(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\n[ "$3" = retrain ] || exit 0\n'
        'stat -c %a "$FRAUD_WEBHOOKS"\ncat "$FRAUD_WEBHOOKS"\nexit 1\n'
    )
    python.chmod(0o755)
    text = '[[endpoint]]\nname = "a"\nsecrets = ["whsec_%s$(x)"]'
    done = run_script(python, FRAUD_WEBHOOKS=text)
    assert done.returncode == 1 and done.stdout == f"600\n{text}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["python"], "it is removed"
    named = run_script(python, FRAUD_WEBHOOKS=str(python))
    assert named.stdout.startswith("755"), "a path stays one"


def test_the_job_maps_a_refusal_to_success_and_a_failed_installation_to_an_error(tmp_path: Path) -> None:
    job = runpy.run_path(str(SCHEDULES / "hf_job.py"), run_name="job")
    shell, flag, script = job["job_command"]("org/space")
    for tool, code in (("git", 0), ("python", 0)):
        (tmp_path / tool).write_text(f"#!/bin/sh\nexit {code}\n")
        (tmp_path / tool).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}

    def run(code: int) -> int:
        body = script.replace("cd /fraud", "cd /").replace(f"sh {SCRIPT}", f"sh -c 'exit {code}'")
        return subprocess.run([shell, flag, body], env=environment).returncode

    assert [run(code) for code in (0, 1, 2)] == [0, 0, 2]
    (tmp_path / "python").write_text("#!/bin/sh\nexit 1\n")
    assert run(0) == 2


def test_the_job_names_what_is_not_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("FRAUD_DATASET_REPO", "FRAUD_MODEL_REPO", "FRAUD_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    job = runpy.run_path(str(SCHEDULES / "hf_job.py"), run_name="job")
    assert job["main"](["org/space"]) == 2 and "FRAUD_DATASET_REPO is not set" in capsys.readouterr().err
    assert job["main"]([]) == 2
