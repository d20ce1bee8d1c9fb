"""Run directories: what a retraining has done so far, step by step, so that another can go on where it died.

    <feedback>/retraining/<run>/run.json    the steps and their results, replaced as a whole after each step
    <feedback>/retraining/<run>/bundle/     the challenger, until the run ends
    <feedback>/retraining/<run>/gate.json, gate.html    the gate's report; stays

A step is done when run.json says so. What a step writes it can write again: a crash costs one step.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from fraud.durable import sync_directory, write_text
from fraud.errors import StorageError
from fraud.ids import id_of

RUN_FILE = "run.json"
SCHEMA_VERSION = 1
STEPS = ("decided", "trained", "gated", "recorded", "promoted")
_RUN = re.compile(r"\d{8}T\d{12}Z-[0-9a-f]{8}")
State = Literal["refused", "recorded", "promoted", "overruled", "abandoned"]


@dataclass(frozen=True)
class Run:
    """One retraining run.

    Attributes
    ----------
    inputs : digest of everything that the outcome depends on, but the base table's bytes
    steps : step -> its result, in the order they were done
    state : what it came to, None while it is not over; "overruled" where somebody decided in between
    """

    directory: Path
    started_at: datetime
    inputs: str
    steps: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    state: State | None = None

    @property
    def run_id(self) -> str:
        """The directory's name."""
        return self.directory.name

    @property
    def message_id(self) -> str:
        """The one id of the message about how it ended."""
        moment_ms = int(self.started_at.timestamp() * 1_000)
        return id_of("msg", moment_ms, hashlib.sha256(self.run_id.encode()).digest()[:10])

    @property
    def bundle(self) -> Path:
        """Where the challenger is written."""
        return self.directory / "bundle"

    def done(self, step: str, result: Mapping[str, Any]) -> "Run":
        """Return the run with one more step; it survives a crash."""
        return _written(replace(self, steps=dict(self.steps) | {step: dict(result)}))

    def again(self, step: str) -> "Run":
        """Return the run as before a step: it and all after it are to be done anew."""
        kept = STEPS[: STEPS.index(step)]
        return _written(replace(self, steps={k: v for k, v in self.steps.items() if k in kept}))

    def over(self, state: State) -> "Run":
        """Return the run, ended; its challenger's files are in the registry, or were not good enough."""
        ended = _written(replace(self, state=state))
        ended.tidy()
        return ended

    def tidy(self) -> None:
        """Remove the challenger's files."""
        shutil.rmtree(self.bundle, ignore_errors=True)
        shutil.rmtree(self.directory / ".bundle.new", ignore_errors=True)


def start(runs: Path, started_at: datetime, inputs: str, decided: Mapping[str, Any]) -> Run:
    """Return a new run whose first step is done."""
    # To the microsecond: the same inputs may be forced twice within a second.
    stamp = started_at.astimezone(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    directory = runs / f"{stamp}-{inputs[:8]}"
    directory.mkdir(parents=True, exist_ok=True)
    sync_directory(runs)
    return Run(directory, started_at, inputs).done("decided", decided)


def read_runs(runs: Path) -> tuple[Run, ...]:
    """Return all runs, newest first; a directory whose first step was never written is none.

    Raises
    ------
    StorageError
        A record is damaged, or of a newer version of this program.
    """
    found = sorted(runs.glob(f"*/{RUN_FILE}"), reverse=True) if runs.is_dir() else []
    return tuple(_read(path) for path in found)


def prune(runs: Path, keep: int) -> int:
    """Remove all runs that are over but the newest `keep`, and what never became a run; return how many.

    Nobody else may be at it, as for a run. A run's record goes last, so that a removal that was killed is
    ended by the next one.
    """
    ended = [run for run in read_runs(runs) if run.state is not None]
    for run in ended[:keep]:
        run.tidy()  # its process may have been killed before it did
    over = [run.directory for run in ended]
    directories = [path for path in runs.iterdir() if path.is_dir()] if runs.is_dir() else []
    never = [path for path in directories if not (path / RUN_FILE).is_file() and _RUN.fullmatch(path.name)]
    for directory in [*over[keep:], *never]:
        for path in directory.iterdir():
            if path.name != RUN_FILE:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        (directory / RUN_FILE).unlink(missing_ok=True)
        directory.rmdir()
    return len(over[keep:])


def _written(run: Run) -> Run:
    document = {
        "schema_version": SCHEMA_VERSION,
        "started_at": run.started_at.isoformat(),
        "inputs": run.inputs,
        "state": run.state,
        "steps": dict(run.steps),
    }
    write_text(run.directory / RUN_FILE, json.dumps(document, indent=1, allow_nan=False) + "\n")
    return run


def _read(path: Path) -> Run:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema_version"] > SCHEMA_VERSION:
            raise StorageError(
                f"{path} was written by a newer version of this program; update it.", code="run"
            )
        started_at = datetime.fromisoformat(document["started_at"])
        steps = {name: dict(document["steps"][name]) for name in STEPS if name in document["steps"]}
        return Run(path.parent, started_at, str(document["inputs"]), steps, document["state"])
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{path} is damaged ({error}); move its directory away, and the next run starts anew.", code="run"
        ) from error
