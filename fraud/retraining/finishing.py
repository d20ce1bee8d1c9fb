"""The last touch to a challenger that passed: the gate's report among its files, the manifest sealed anew."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fraud.models import bundle
from fraud.retraining.gate_report import HTML_FILE, JSON_FILE

REPORT_FILES = {name: f"resultados/{name}" for name in (JSON_FILE, HTML_FILE)}
"""Where a release holds its gate report, by the report's own file names."""


def finish_bundle(directory: Path, report: Path, version: str, feedback: Mapping[str, Any]) -> None:
    """Add the report in `report` and what the gate said to a bundle, and seal it under a version.

    Doing it again changes nothing: a crash between this and the record leaves the same bytes to the next run.
    Whoever signs manifests signs after this.
    """
    for name, path in REPORT_FILES.items():
        shutil.copyfile(report / name, directory / path)
    manifest, _ = bundle.read_manifest(directory)
    manifest["version"] = version
    manifest["data"]["feedback"] |= dict(feedback)
    bundle.seal(directory, manifest)
