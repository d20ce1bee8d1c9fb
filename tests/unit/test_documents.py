"""What the documents tell people to type works as it stands."""

import json
import re
from pathlib import Path

import pytest

from fraud.cli import _parser, main
from tests.documents import DOCUMENTS, ROOT, commands_in, documented

PRESENT = [path for path in DOCUMENTS if not {"decisions", "results"} & set(path.parts)]
BENCHMARKS = [command for command in documented() if command.startswith("python -m benchmarks.")]
REPLACED = "python -m benchmarks.search --trials 7"
"""A record of what was printed by a script that is gone, as benchmarks/results/search.md says beside it."""


def commands() -> list[str]:
    """Return what is typed after `python -m fraud`, but for the mere names of commands."""
    found = [re.search(r"(?:^| )python -m fraud (.+)$", command) for command in documented()]
    names = ("deploy", "score", "simulate", "tune", "tune ... --write P.toml")
    stand_in = {"--models M": "--models xgboost", "--days N": "--days 1"}
    typed = [match[1] for match in found if match and match[1] not in names]
    return [next((t.replace(k, v) for k, v in stand_in.items() if k in t), t) for t in typed]


@pytest.mark.parametrize("command", commands())
def test_a_documented_command_exists_with_its_options(command: str) -> None:
    _parser().parse_args(command.split())


@pytest.mark.parametrize("command", sorted({*BENCHMARKS} - {REPLACED}))
def test_a_documented_benchmark_exists_with_its_options(command: str) -> None:
    """They take minutes; what they printed stands beside them."""
    module, *words = command.removeprefix("python -m ").split()
    source = (ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    assert all(f'"{word}"' in source for word in words if word.startswith("--")), command


def test_a_command_is_found_wherever_it_stands_and_prose_is_none() -> None:
    text = """
Run `python -m fraud versions` or `make
demo`; `make`, `promote` and `git add` are names. `FRAUD_SHADOW=1` is set.

    python -m fraud train      both models
    curl -X POST http://127.0.0.1/ \\
         -d '{"a": 1}'
    15 6 * * *  cd /path/to/the/demo && .venv/bin/python -m fraud monitor --window 14d
    export A_KEY=...   # secret
    fraud/  a folder

```
python -m fraud tune --trials 3   # both
```

```python
make = "demo"
```
"""
    assert commands_in(text) == [
        "python -m fraud train",
        """curl -X POST http://127.0.0.1/ -d '{"a": 1}'""",
        "python -m fraud monitor --window 14d",
        "export A_KEY=...",
        "python -m fraud tune --trials 3",
        "python -m fraud versions",
        "make demo",
        "FRAUD_SHADOW=1",
    ]


def test_the_readme_is_found_to_hold_commands() -> None:
    assert len(commands_in((ROOT / "README.txt").read_text(encoding="utf-8"))) >= 16


def test_the_notebook_snippet_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "notebooks/README.txt").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    monkeypatch.chdir(ROOT)
    scope: dict[str, object] = {}
    exec("\n".join(lines), scope)  # noqa: S102 (our own document)
    assert len(scope["probability"]) == 1000  # type: ignore[arg-type]


def test_the_contracts_are_what_the_program_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("FRAUD_FEEDBACK_DIR", "FRAUD_REGISTRY_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    assert main(["schema", "--out", str(tmp_path)]) in (0, None)
    for name in ("transaction.schema.json", "webhook.schema.json", "openapi.json"):
        kept, made = (json.loads((folder / name).read_text()) for folder in (ROOT / "docs", tmp_path))
        assert made == kept, "python -m fraud schema --out docs"
    assert "/v1/score" in capsys.readouterr().out or "/v1/score" in made["paths"]


@pytest.mark.parametrize("document", PRESENT, ids=lambda path: path.name)
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


def test_the_readme_says_the_same_in_both_languages() -> None:
    """The same commands under as many headings, and the same documents but for the guide's own language."""
    english, portuguese = (
        (ROOT / name).read_text(encoding="utf-8") for name in ("README.txt", "README.pt-BR.txt")
    )
    assert commands_in(english) == commands_in(portuguese)
    assert len(re.findall("^(?:--+|==+)$", english, re.M)) == len(
        re.findall("^(?:--+|==+)$", portuguese, re.M)
    )
    named = re.compile(r"^(?:docs|fraud|benchmarks)/[\w./]+|^[A-Z]+\.md", re.MULTILINE)
    assert {*named.findall(english)} == {*named.findall(portuguese)}


def test_the_app_stays_an_entry_point() -> None:
    assert len((ROOT / "app.py").read_text().splitlines()) <= 60
