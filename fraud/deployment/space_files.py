"""What a Space's repository holds: the program, one release, locked requirements and a README."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from fraud.errors import RepositoryError
from fraud.models import bundle
from fraud.models.signing import SIGNATURE_FILE

PYTHON = "3.11"
"""What the lock was made with."""
LOCK = "requirements.lock.txt"
ALSO = ("app.py", "deploy/schedules/retrain.sh")
"""Beside fraud/; the script is what a retraining job runs in a clone of the Space."""
_PROGRAM = frozenset({".py", ".toml", ".css", ".js"})
_MONITORING = ("ledger.json", "report.json")

Files = Mapping[str, bytes | Path]


def space_files(root: Path, artifacts: Path, front: Mapping[str, object]) -> dict[str, bytes | Path]:
    """Return path -> content of everything that a Space needs to run, and of nothing else.

    Parameters
    ----------
    root : the project's directory
    artifacts : the release that is shipped with it
    front : the README's front matter beside what the files themselves say

    Raises
    ------
    RepositoryError
        A file of fraud/ is not of the program: it may be somebody's, so it is not published.
    BundleRefused
        The release is not what its manifest says.
    """
    files: dict[str, bytes | Path] = {path: root / path for path in ALSO}
    files |= _program(root)
    files |= _release(artifacts)
    lock = (root / LOCK).read_bytes()
    files["requirements.txt"] = lock
    matter = {"sdk": "gradio", "sdk_version": _gradio(lock.decode()), "python_version": PYTHON}
    matter |= {"app_file": "app.py"}
    files["README.md"] = readme((root / "README.txt").read_text(encoding="utf-8"), matter | dict(front))
    return dict(sorted(files.items()))


def readme(text: str, front: Mapping[str, object]) -> bytes:
    """Return README.md: front matter, then README.txt, whose headings and examples are Markdown already.

    Values are written as JSON, which YAML reads as it is: no title or name can end the front matter.
    """
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in front.items()]
    return ("---\n" + "\n".join(lines) + "\n---\n\n" + text).encode()


def total_bytes(files: Files) -> int:
    """Return how much a Space's repository holds."""
    return sum(len(c) if isinstance(c, bytes) else c.stat().st_size for c in files.values())


def _program(root: Path) -> dict[str, Path]:
    found = {}
    for path in sorted((root / "fraud").rglob("*")):
        name = path.relative_to(root).as_posix()
        if "__pycache__" in path.parts or path.is_dir():
            continue
        if path.suffix not in _PROGRAM or path.name.startswith(".") or path.is_symlink():
            raise RepositoryError(
                f"{name} is not a file of the program and would be published; move it elsewhere.",
                code="stray_file",
                field="path",
            )
        found[name] = path
    return found


def _release(artifacts: Path) -> dict[str, Path]:
    manifest, _ = bundle.verify(artifacts)
    names = [bundle.MANIFEST, *manifest["files"]]
    names += [SIGNATURE_FILE] if (artifacts / SIGNATURE_FILE).is_file() else []
    # The example that the Monitoring tab shows before the first run; of no release, so of no manifest.
    names += [f"monitoring/{n}" for n in _MONITORING if (artifacts / "monitoring" / n).is_file()]
    return {f"artifacts/{name}": artifacts / name for name in names}


def _gradio(lock: str) -> str:
    found = re.search(r"^gradio==([0-9][\w.]*)\s*$", lock, re.MULTILINE)
    if found is None:
        raise RepositoryError(f"{LOCK} names no gradio; make it again with `make lock`.", code="lock")
    return found[1]
