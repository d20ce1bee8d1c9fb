"""The git command line, run hermetically: no user or system settings, no hooks, no prompts, fixed author."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from fraud.errors import RepositoryError

_SETTINGS = (
    "core.fsync=all,-index",  # the index is a scratch file
    "core.fsyncMethod=fsync",
    "core.hooksPath=/dev/null",
    "core.bigFileThreshold=32m",  # larger blobs are streamed, not held in memory
    "core.packedGitWindowSize=16m",
    "core.packedGitLimit=64m",
    "core.looseCompression=1",
    "gc.auto=0",  # a background gc would outlive the write lock
    "maintenance.auto=false",
)
_TIMEOUT_S = 600.0


class Git:
    """Runs git on one bare repository; every failure is a RepositoryError with git's own last word."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def command(self, *arguments: str) -> list[str]:
        """Return the full argument list of one git command."""
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        return ["git", *settings, *arguments]

    def environment(self, index: Path | None = None) -> dict[str, str]:
        """Return the whole environment of git: nothing of ours is inherited but the search path."""
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._directory),
            "LC_ALL": "C",
            "TZ": "UTC",
            "GIT_DIR": str(self._directory),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
        }
        for role in ("AUTHOR", "COMMITTER"):
            environment[f"GIT_{role}_NAME"] = "fraud"
            environment[f"GIT_{role}_EMAIL"] = "fraud@localhost"
        if index is not None:
            environment["GIT_INDEX_FILE"] = str(index)
        return environment

    def run(
        self,
        *arguments: str,
        stdin: bytes | IO[bytes] = b"",
        index: Path | None = None,
        lock: int | None = None,
        accept: Sequence[int] = (0,),
    ) -> subprocess.CompletedProcess[bytes]:
        """Run one command to its end.

        Parameters
        ----------
        lock
            The descriptor of the write lock. The child inherits it: should this process be killed, the lock
            stays held until the orphaned git has finished too.
        """
        options: dict[str, Any] = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
        try:
            done: subprocess.CompletedProcess[bytes] = subprocess.run(
                self.command(*arguments),
                capture_output=True,
                env=self.environment(index),
                pass_fds=() if lock is None else (lock,),
                timeout=_TIMEOUT_S,
                check=False,
                **options,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RepositoryError(
                f"git {arguments[0]} could not be run: {error}.", code="git_failed"
            ) from error
        if done.returncode not in accept:
            raise failure(arguments[0], done.stderr)
        return done

    def line(
        self,
        *arguments: str,
        stdin: bytes | IO[bytes] = b"",
        index: Path | None = None,
        lock: int | None = None,
    ) -> str:
        """Run one command and return its only line of output."""
        return self.run(*arguments, stdin=stdin, index=index, lock=lock).stdout.decode().strip()


def failure(command: str, stderr: bytes) -> RepositoryError:
    """Return the error for a git command that failed."""
    words = stderr.decode(errors="replace").strip().splitlines() or ["it gave no reason"]
    return RepositoryError(f"git {command} failed: {words[-1]}.", code="git_failed")
