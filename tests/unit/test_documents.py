"""What the documents tell people to type works as it stands."""

import re
from pathlib import Path

import pytest

from fraud.cli import _parser

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.txt", *sorted((ROOT / "docs").glob("*.md"))]


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


def test_the_app_stays_an_entry_point() -> None:
    assert len((ROOT / "app.py").read_text().splitlines()) < 60
