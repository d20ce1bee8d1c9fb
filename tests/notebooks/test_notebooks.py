"""The notebooks are kept as they ran, and still run on what is here."""

import json
import re
from pathlib import Path

import nbformat
import pytest

from fraud.formats import number
from fraud.records import MODELS
from notebooks.rerun import executed, notebooks, telling_of_the_machine

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("otimizacao_random_forest", "otimizacao_xgboost", "validacao_cruzada_analise_erros")
LARGEST = 700_000
"""Bytes of a notebook with its outputs."""


def test_the_three_notebooks_are_there() -> None:
    assert tuple(path.stem for path in notebooks()) == NAMES


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_a_notebook_is_kept_as_it_ran_from_top_to_bottom(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    kinds = {output.output_type for cell in code for output in cell.outputs}
    assert "error" not in kinds and kinds >= {"stream", "execute_result"}
    silent = [cell.source for cell in code[1:] if not cell.outputs]
    assert silent == []  # everything after the imports shows something


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_a_notebook_is_small_and_tells_nothing_of_the_machine_that_ran_it(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert path.stat().st_size < LARGEST
    assert telling_of_the_machine(notebook) == []
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert all("execution" not in cell.metadata for cell in notebook.cells)


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_a_notebook_only_calls_the_package(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert "def " not in code and "class " not in code and "lambda" not in code


def shown(notebook: nbformat.NotebookNode) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "\n".join(str(o.get("text", o.get("data", {}).get("text/plain", ""))) for o in outputs)


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_the_outputs_that_are_kept_are_of_the_release_that_is_shipped(path: Path) -> None:
    manifest = json.loads((ROOT / "artifacts" / "manifest.json").read_text(encoding="utf-8"))
    text = shown(nbformat.read(path, as_version=4))
    models = [name for name in MODELS if path.stem.endswith(name)] or MODELS
    window = manifest["windows"]["test"]
    assert f"{number(window['n_rows'], 'pt-BR', 0)} transações de teste" in text, "run make notebooks"
    for name in models:
        counts = manifest["models"][name]["confusion"]
        alerts = number(counts["true_positives"] + counts["false_positives"], "pt-BR", 0)
        assert re.search(rf"(?<![\d.,]){re.escape(alerts)}(?![\d.,])", text), f"{alerts} alerts of {name}"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_from_top_to_bottom(
    name: str, small_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAUD_ARTIFACTS_DIR", str(small_bundle))
    monkeypatch.setenv("FRAUD_NOTEBOOK_ROWS", "45000")  # the fewest that leave frauds in every part
    monkeypatch.setenv("FRAUD_NOTEBOOK_TRIALS", "1")
    path = next(path for path in notebooks() if path.stem == name)
    notebook = executed(path)
    assert telling_of_the_machine(notebook) == []
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) >= 3
