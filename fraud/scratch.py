"""Files that are needed for a while: made in the system's temporary folder, and swept when they are old.

A table that somebody scores is theirs: what is written for its download lives an hour, and what a killed
process left behind goes at the next start.
"""

import logging
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path

_log = logging.getLogger(__name__)
LIFE_S = 3600.0
SWEEP_S = 300.0
_PREFIXES = ("fraud-scored-", "fraud-batch-")


def new_file(name: str) -> Path:
    """Return the path of a file to be written, in a folder of its own that only this user reads."""
    return Path(tempfile.mkdtemp(prefix="fraud-scored-")) / name


def new_folder() -> "tempfile.TemporaryDirectory[str]":
    """Return a folder that goes with its context, or with a sweep if the process dies before."""
    return tempfile.TemporaryDirectory(prefix="fraud-batch-")


def sweep(life_s: float = LIFE_S) -> int:
    """Remove what is older than its life; return how many folders went."""
    n_swept = 0
    for folder in Path(tempfile.gettempdir()).iterdir():
        if folder.name.startswith(_PREFIXES) and _is_ours_and_old(folder, life_s):
            shutil.rmtree(folder, ignore_errors=True)  # another process may sweep it at the same time
            n_swept += 1
    if n_swept:
        _log.info("swept %d temporary folders", n_swept)
    return n_swept


def _is_ours_and_old(folder: Path, life_s: float) -> bool:
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    # The temporary folder is anybody's: a link, or a folder of another user, is not ours to remove.
    owned = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return stat.S_ISDIR(found.st_mode) and owned and time.time() - found.st_mtime > life_s
