"""What a node remembers across restarts: what it serves, the newest change it followed, what it turned away.

Without it a node that starts beside an outdated copy of the registry would go back to an older version, and
one that rolled back by itself would take the same version again.
"""

import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fraud.durable import sync_directory
from fraud.errors import StorageError


@dataclass(frozen=True, slots=True)
class RolledBack:
    """A version that this node served and gave up by itself: it is not taken again at this sequence."""

    version: str
    manifest_digest: str
    sequence: int
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """`revision` is what serves (None: the shipped artifacts); `sequence` the newest change followed."""

    sequence: int = 0
    revision: str | None = None
    rolled_back: RolledBack | None = None

    def refuses(self, manifest_digest: str, sequence: int) -> bool:
        """Return whether a version was given up here, and nobody asked for it again since."""
        given_up = self.rolled_back
        return (
            given_up is not None
            and manifest_digest == given_up.manifest_digest
            and sequence <= given_up.sequence
        )


class StandingFile:
    """One node's standing on disk; a file that is torn or foreign counts as none.

    Parameters
    ----------
    path : the JSON file, of one process; made on first use
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Standing:
        """Return what was written last; the default if there is nothing that can be read."""
        try:
            return _standing(json.loads(self._path.read_bytes()))
        except (OSError, ValueError, TypeError, KeyError):
            # Starting over is safe: the registry says what to serve, and the watch looks again.
            return Standing()

    def write(self, standing: Standing) -> None:
        """Return once it survives a power failure; StorageError if it cannot."""
        document = asdict(standing)
        if standing.rolled_back is not None:
            document["rolled_back"]["at"] = standing.rolled_back.at.isoformat()
        partial = self._path.with_name(f".{self._path.name}-{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("w", encoding="utf-8") as stream:
                json.dump(document, stream, indent=1)
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(self._path)
            sync_directory(self._path.parent)
        except OSError as error:
            raise StorageError(
                f"{self._path.name} cannot be written ({error.strerror}); check the node's disk.",
                code="standing",
            ) from error


def _standing(document: dict[str, Any]) -> Standing:
    revision, entry = document["revision"], document["rolled_back"]
    rolled_back = None
    if entry is not None:
        rolled_back = RolledBack(
            version=str(entry["version"]),
            manifest_digest=str(entry["manifest_digest"]),
            sequence=int(entry["sequence"]),
            reason=str(entry["reason"]),
            at=datetime.fromisoformat(entry["at"]),
        )
    return Standing(int(document["sequence"]), None if revision is None else str(revision), rolled_back)
