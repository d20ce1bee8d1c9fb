"""The last touch to a challenger that passed: the gate's report, card, changelog, and a new seal."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fraud.data.profile import Profile
from fraud.models import bundle
from fraud.models.card import changelog, model_card
from fraud.models.signing import SIGNATURE_FILE
from fraud.models.versioning import ReleaseNotes
from fraud.retraining.gate_report import HTML_FILE, JSON_FILE

REPORT_FILES = {name: f"resultados/{name}" for name in (JSON_FILE, HTML_FILE)}
"""Where a release holds its gate report, by the report's own file names."""


def finish_bundle(
    directory: Path,
    report: Path,
    profile: Profile,
    version: str,
    notes: ReleaseNotes,
    feedback: Mapping[str, Any],
) -> None:
    """Add the report in `report` and what the gate said to a bundle, and seal it under a version.

    Doing it again changes nothing: a crash between this and the record leaves the same bytes to the next run.
    A signature goes: it is of another manifest. The registry signs what it records.

    Parameters
    ----------
    notes : what the version replaces, for the changelog
    feedback : what to add to the manifest's `data.feedback`
    """
    (directory / SIGNATURE_FILE).unlink(missing_ok=True)
    for name, path in REPORT_FILES.items():
        shutil.copyfile(report / name, directory / path)
    manifest, _ = bundle.read_manifest(directory)
    manifest["version"] = version
    manifest["change"] = notes.to_json()
    manifest["data"]["feedback"] |= dict(feedback)
    (directory / bundle.CARD_FILE).write_text(model_card(manifest, profile), encoding="utf-8")
    (directory / bundle.CHANGELOG_FILE).write_text(changelog(manifest, notes), encoding="utf-8")
    bundle.seal(directory, manifest)
