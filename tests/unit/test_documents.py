"""What the documents tell people to type works as it stands."""

import json
import re
from pathlib import Path

import pytest

from fraud.cli import _parser, main

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.txt", *sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


def commands() -> list[str]:
    found = []
    for document in DOCUMENTS:
        for line in document.read_text(encoding="utf-8").splitlines():
            match = re.match(r"\s+python -m fraud (\S.*?)(?:\s{2,}.*)?$", line)
            if match:
                found.append(match[1])
    return found


@pytest.mark.parametrize("command", commands())
def test_a_documented_command_exists_with_its_options(command: str) -> None:
    _parser().parse_args(command.split())


def test_the_readme_is_found_to_hold_commands() -> None:
    assert len(commands()) >= 8


def test_the_notebook_snippet_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "notebooks/README.txt").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    monkeypatch.chdir(ROOT)
    scope: dict[str, object] = {}
    exec("\n".join(lines), scope)  # noqa: S102 (our own document)
    assert len(scope["probability"]) == 1000  # type: ignore[arg-type]


def test_the_openapi_document_is_what_the_program_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("FRAUD_FEEDBACK_DIR", "FRAUD_REGISTRY_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    assert main(["schema", "--out", str(tmp_path)]) in (0, None)
    kept, made = (json.loads((folder / "openapi.json").read_text()) for folder in (ROOT / "docs", tmp_path))
    assert made == kept, "python -m fraud schema --out docs"
    assert "/v1/score" in capsys.readouterr().out or "/v1/score" in made["paths"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_names_only_files_that_there_are(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = set(
        re.findall(r"(?<![\w./-])((?:docs|benchmarks|deploy|fraud|tests)/[\w./-]+\.\w{2,5})(?![\w/])", text)
    )
    missing = {name for name in named if not (ROOT / name).exists()}
    assert not missing


def test_the_guides_say_the_same_in_both_languages() -> None:
    """The same commands and settings, in the same order."""
    of = re.compile(r"^    .*?python -m fraud (\w+(?: [a-z-]+)?)|(FRAUD_[A-Z_]+)", re.MULTILINE)
    english, portuguese = (
        of.findall((ROOT / "docs" / f"operator-guide{end}.md").read_text(encoding="utf-8"))
        for end in ("", ".pt-BR")
    )
    assert english == portuguese and len(english) > 20


def test_the_app_stays_an_entry_point() -> None:
    assert len((ROOT / "app.py").read_text().splitlines()) < 60
