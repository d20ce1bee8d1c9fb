"""What leaves this machine: the program and one release; of the environment, what a Space is to know."""

import re
import tomllib
from pathlib import Path

import pytest

from fraud.deployment.plan import Plan, Step, text_difference
from fraud.deployment.space_files import PYTHON, space_files, total_bytes
from fraud.errors import BundleRefused, RepositoryError, SettingsError
from fraud.settings_deploy import PUBLIC, SECRET, STAYS, read_deploy_settings

ROOT = Path(__file__).resolve().parents[3]
ARTIFACTS = ROOT / "artifacts"
TOKEN = "hf_of_the_space"  # noqa: S105


def known_variables() -> set[str]:
    sources = [ROOT / "fraud" / name for name in ("settings.py", "settings_api.py")]
    return {name for source in sources for name in re.findall(r"FRAUD_[A-Z_]*[A-Z]", source.read_text())}


def test_every_variable_is_sent_as_a_secret_or_openly_or_stays() -> None:
    assert known_variables() == SECRET | PUBLIC | STAYS
    assert len(SECRET) + len(PUBLIC) + len(STAYS) == len(known_variables())


def test_what_the_settings_call_secret_is_never_sent_openly() -> None:
    openly = {"FRAUD_TRUSTED_KEYS"}  # public keys
    telling = re.compile(r"SECRET|TOKEN|PASSWORD|KEY")
    assert {name for name in PUBLIC if telling.search(name)} == openly


def test_a_key_that_signs_and_paths_of_this_machine_stay_here() -> None:
    env = {
        "FRAUD_HUB_TOKEN": TOKEN,
        "FRAUD_SIGNING_KEY": "/keys/seed.pem",
        "FRAUD_FEEDBACK_DIR": "/home/ann/feedback",
        "FRAUD_WEBHOOKS": "webhooks.toml",
        "FRAUD_REVIEW_PASSWORD": " ",
        "OTHER": "x",
    }
    given = read_deploy_settings("org/feedback", "org/models", env)
    assert dict(given.secrets) == {"FRAUD_HUB_TOKEN": TOKEN}
    assert dict(given.variables) == {"FRAUD_DATASET_REPO": "org/feedback", "FRAUD_MODEL_REPO": "org/models"}
    assert given.stays == ("FRAUD_FEEDBACK_DIR", "FRAUD_SIGNING_KEY", "FRAUD_WEBHOOKS")
    assert TOKEN not in repr(given)


def test_the_token_that_deploys_may_be_another_and_is_not_sent() -> None:
    given = read_deploy_settings("o/d", "o/m", {"FRAUD_HUB_TOKEN": TOKEN, "HF_TOKEN": "hf_mighty"})
    assert given.token == "hf_mighty" and given.space_token == TOKEN  # noqa: S105
    assert "hf_mighty" not in repr([given, given.secrets, given.variables])
    with pytest.raises(SettingsError, match="FRAUD_HUB_TOKEN"):
        read_deploy_settings("o/d", "o/m", {"HF_TOKEN": "hf_mighty"})


def test_a_space_holds_the_program_and_the_release_and_nothing_else() -> None:
    files = space_files(ROOT, ARTIFACTS, {})
    tops = {path.split("/")[0] for path in files}
    assert tops == {"README.md", "app.py", "artifacts", "deploy", "fraud", "requirements.txt"}
    assert {path for path in files if path.startswith("deploy/")} == {"deploy/schedules/retrain.sh"}
    assert {"artifacts/manifest.json", "artifacts/monitoring/report.json", "fraud/ui/page.js"} <= files.keys()
    assert not [path for path in files if "__pycache__" in path or path.startswith("artifacts/registry")]
    assert total_bytes(files) < 30_000_000


def small_project(directory: Path) -> Path:
    for name in ("app.py", "deploy/schedules/retrain.sh", "README.txt", "fraud/__init__.py"):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text("")
    (directory / "requirements.lock.txt").write_text("gradio==6.1.0\n")
    return directory


def test_the_document_says_how_much_a_space_holds() -> None:
    said = re.search(r"files are some (\d+) and (\d+) MB", (ROOT / "docs" / "deploy.md").read_text())
    files = space_files(ROOT, ROOT / "artifacts", {})
    assert said is not None
    assert [int(number) for number in said.groups()] == pytest.approx(
        [len(files), total_bytes(files) / 1e6], rel=0.1
    )


@pytest.mark.parametrize("stray", ["fraud/webhooks.env", "fraud/.hidden.py", "fraud/keys.pem"])
def test_a_file_that_is_not_of_the_program_is_not_published(tmp_path: Path, stray: str) -> None:
    root = small_project(tmp_path)
    (root / stray).write_text("secret")
    with pytest.raises(RepositoryError, match=re.escape(stray)):
        space_files(root, ARTIFACTS, {})


def test_a_link_out_of_the_program_is_not_followed(tmp_path: Path) -> None:
    root = small_project(tmp_path)
    (root / "fraud" / "x.py").symlink_to("/etc/hostname")
    with pytest.raises(RepositoryError, match=r"fraud/x\.py"):
        space_files(root, ARTIFACTS, {})


def test_a_release_that_is_not_whole_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(BundleRefused):
        space_files(small_project(tmp_path), tmp_path, {})


def test_a_lock_without_gradio_is_refused(tmp_path: Path) -> None:
    root = small_project(tmp_path)
    (root / "requirements.lock.txt").write_text("gradio_client==1.0\n")
    with pytest.raises(RepositoryError, match="make lock"):
        space_files(root, ARTIFACTS, {})


def test_the_spaces_python_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["mypy"]["python_version"] == PYTHON


def test_a_long_difference_is_cut_and_one_of_bytes_is_its_sizes() -> None:
    cut = text_difference(b"", b"line\n" * 500)
    assert len(cut) == 41 and cut[-1] == "... and 461 more lines"
    assert text_difference(b"a", b"\xff\xfe") == ["1 -> 2 bytes, no text"]


def test_a_plan_cannot_steer_the_terminal_that_shows_it() -> None:
    plan = Plan((Step("variable\x1b[2J", diff=lambda: ["-\x1b]0;title\x07\r+ ok"]),))
    shown = "".join(plan.lines(diff=True))
    assert "ok" in shown and not set("\x1b\x07\r") & set(shown)
