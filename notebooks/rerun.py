"""`make notebooks`: runs every notebook from top to bottom and keeps its outputs in it.

Nothing of the machine or the moment is kept: no times, no versions, no paths.
"""

import os
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
SECONDS = 1_800
"""How long one cell may take."""
_PATH = re.compile(r"(?:/(?:home|root|tmp|work|usr|Users)/|[A-Z]:\\)\S*")
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def notebooks() -> list[Path]:
    """Return the notebooks, by name."""
    return sorted(HERE.glob("*.ipynb"))


def executed(path: Path) -> nbformat.NotebookNode:
    """Return a notebook after running all of its cells in a fresh kernel; raises CellExecutionError."""
    notebook = nbformat.read(path, as_version=4)
    # Threads that wait for one another by spinning cost a shared machine minutes, and help nobody.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    client = NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(HERE)}},
    )
    client.execute()
    notebook.metadata = nbformat.from_dict(_METADATA)
    return notebook


def telling_of_the_machine(notebook: nbformat.NotebookNode) -> list[str]:
    """Return what outputs hold of the machine that ran them: absolute paths, and whatever went to stderr."""
    found = []
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        if output.get("name") == "stderr":
            found.append(output["text"][:200])
        data = output.get("data", {})
        texts = [
            output.get("text", ""),
            *(str(v) for kind, v in data.items() if not kind.startswith("image/")),
        ]
        found += [path for text in texts for path in _PATH.findall(text)]
    return found


def main() -> int:
    """Run all notebooks, or those named on the command line; return an exit code."""
    for path in [Path(name) for name in sys.argv[1:]] or notebooks():
        notebook = executed(path)
        if telling := telling_of_the_machine(notebook):
            print(f"{path.name} was not written, its outputs tell of this machine: {telling[0]}")
            return 1
        nbformat.write(notebook, path)
        print(f"ran {path.name}: {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
