"""What workers must have in common with the process that asks them: versions, this code, and files."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud.errors import SettingsError

if TYPE_CHECKING:
    from distributed import Client

    from fraud.scale.cluster import Engine

COMPARED = ("numpy", "pandas", "pyarrow", "sklearn", "xgboost", "numba", "cloudpickle")
"""Libraries whose results or files differ from version to version, beside Dask's own list."""


def check_versions(client: "Client") -> None:
    """Refuse workers that would compute or write something else than this process.

    Raises
    ------
    SettingsError
        One sentence: which worker has which version of what.
    """
    found = client.get_versions(packages=list(COMPARED))
    ours = _versions(found["client"])
    for address, versions in found["workers"].items():
        theirs = _versions(versions)
        for name, version in ours.items():
            if theirs.get(name) != version:
                raise SettingsError(
                    f"The worker {address} has {name} {theirs.get(name) or '(none)'} and this process "
                    f"{version}, so it may compute something else; install the same versions on both.",
                    field="--scheduler",
                )
    own = code_digest()
    for address, digest in client.run(code_digest).items():
        if digest != own:
            raise SettingsError(
                f"The worker {address} has another version of this package; install the same on both.",
                field="--scheduler",
            )


def _versions(found: Mapping[str, Any]) -> dict[str, Any]:
    kept = {"python", "dask", "distributed", "msgpack", *COMPARED}
    versions = {**dict(found.get("host", {})), **dict(found.get("packages", {}))}
    return {name: version for name, version in versions.items() if name in kept and version is not None}


def code_digest() -> str:
    """Return a digest of this package's source, which stands for its version between releases."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def check_seen(engine: "Engine", path: Path) -> None:
    """Refuse workers that do not see a file or directory that they must read; SettingsError says which."""
    for address, seen in engine.each_worker(os.path.exists, str(path.absolute())).items():
        if not seen:
            raise SettingsError(
                f"The worker {address} does not see {path.absolute()}; put it where all workers see it.",
                field="--scheduler",
            )


def check_folder(engine: "Engine", folder: Path) -> None:
    """Refuse workers that do not see the working directory; SettingsError says which."""
    (folder / "seen").touch()
    found = engine.each_worker(os.path.isfile, str(folder / "seen"))
    (folder / "seen").unlink()
    for address, seen in found.items():
        if not seen:
            raise SettingsError(
                f"The worker {address} does not see {folder.parent}; name a directory that all workers share "
                "with --scratch.",
                field="--scratch",
            )
