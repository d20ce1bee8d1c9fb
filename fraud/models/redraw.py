"""Drawing the figures of a release again, from the predictions that its manifest speaks of."""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fraud.errors import BundleRefused
from fraud.models import bundle
from fraud.models.analysis.held_out import read_held_out
from fraud.models.report import write_figures
from fraud.models.signing import ANY_RELEASE, SIGNATURE_FILE, SigningKey, TrustedKeys

RESULTS = "resultados"


def redraw(
    directory: Path,
    *,
    out: Path | None = None,
    key: SigningKey | None = None,
    trusted: TrustedKeys = ANY_RELEASE,
) -> tuple[str, ...]:
    """Draw the figures of a bundle again; return their names.

    Equal predictions give equal pictures, and a release whose pictures do not change keeps its manifest to
    the byte. Otherwise the manifest is sealed with their new digests, last of all: after a crash on the way
    the bundle is refused as altered, and drawing again mends it.

    Parameters
    ----------
    out : where the figures go, the bundle staying as it is; by default into the bundle
    key : signs a manifest that had to change

    Raises
    ------
    BundleRefused
        The predictions do not belong to the manifest; a signed release would change and there is no key; or
        the release was replaced meanwhile.
    """
    held_out = read_held_out(directory, trusted)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        return write_figures(held_out, out)
    staging = Path(tempfile.mkdtemp(prefix=".figures-", dir=directory))
    try:
        names = write_figures(held_out, staging)
        _release(directory, staging, names, held_out.manifest, key)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return names


def _release(
    directory: Path,
    staging: Path,
    names: tuple[str, ...],
    manifest: Mapping[str, Any],
    key: SigningKey | None,
) -> None:
    drawn = {f"{RESULTS}/{name}": _entry(staging / name) for name in names}
    changed = {name: entry for name, entry in drawn.items() if manifest["files"].get(name) != entry}
    signature = directory / SIGNATURE_FILE
    if changed and signature.is_file() and key is None:
        raise BundleRefused(
            f"{directory.name} is signed, and {min(changed)} would change; set FRAUD_SIGNING_KEY, or draw "
            "elsewhere with --out.",
            code="signed",
        )
    if bundle.read_manifest(directory)[0] != manifest:
        raise BundleRefused(f"{directory.name} was released anew meanwhile; draw again.", code="replaced")
    (directory / RESULTS).mkdir(exist_ok=True)
    for name in names:
        (staging / name).replace(directory / RESULTS / name)
    if not changed:
        return
    text = json.dumps(
        dict(manifest) | {"files": dict(sorted({**manifest["files"], **changed}.items()))},
        indent=2,
        ensure_ascii=False,
        allow_nan=False,
    )
    content = f"{text}\n".encode()
    _replace(staging / "manifest", directory / bundle.MANIFEST, content)
    if signature.is_file() and key is not None:
        _replace(staging / "signature", signature, key.sign(content))


def _entry(path: Path) -> dict[str, Any]:
    return {"sha256": bundle.digest(path), "bytes": path.stat().st_size}


def _replace(staged: Path, path: Path, content: bytes) -> None:
    with staged.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    staged.replace(path)
