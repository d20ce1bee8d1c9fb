"""The monitoring directory: the newest report, the alerts' state and a line for every run there was.

The ledger is one small file that is replaced as a whole, last of all: a run that dies on the way has left no
trace but its report, and the next one does its work again.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fraud.durable import exclusive, write_text
from fraud.errors import StorageError
from fraud.monitoring.alerts import Alert, alerts_from_json

LEDGER_FILE: Final = "ledger.json"
REPORT_JSON: Final = "report.json"
REPORT_SCHEMA: Final = 1
SCHEMA_VERSION: Final = 2
MAX_RUNS: Final = 800
"""Two years of daily runs; older lines leave the ledger, their reports stay where they were written."""


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run: the window's end, what was looked at, what it came to, and a few figures to draw over time.

    `figures` maps a name such as "f1:xgboost" to {"value", "low", "high"} or None. `policy` is the digest of
    the policies it was judged by; lines written before it was kept have none.
    """

    until_ms: int
    window_ms: int
    dataset_revision: str | None
    model_version: str
    manifest_digest: str
    state: str
    figures: Mapping[str, Any]
    policy: str = ""

    def same_as(self, other: "RunLine") -> bool:
        """Return whether both looked at the same window, data and model by the same policy."""
        return (
            self.until_ms == other.until_ms
            and self.window_ms == other.window_ms
            and self.dataset_revision == other.dataset_revision
            and self.manifest_digest == other.manifest_digest
            and self.policy == other.policy
        )

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__} | {"figures": dict(self.figures)}


@dataclass(frozen=True, slots=True)
class Ledger:
    """The runs there were, oldest first, and the alerts as the newest window of each length left them.

    Windows of another length are another series: what a month shows ends no alert of a week's.
    """

    runs: Sequence[RunLine] = ()
    alerts: Mapping[int, Mapping[str, Alert]] = field(default_factory=dict)

    @property
    def every_alert(self) -> tuple[Alert, ...]:
        """The alerts of all lengths of window."""
        return tuple(alert for alerts in self.alerts.values() for alert in alerts.values())

    def newest(self, window_ms: int) -> RunLine | None:
        """Return the run whose window of this length ends last."""
        return max((r for r in self.runs if r.window_ms == window_ms), key=lambda r: r.until_ms, default=None)

    def find(self, wanted: RunLine) -> RunLine | None:
        """Return the run that looked at the same."""
        return next((run for run in self.runs if run.same_as(wanted)), None)

    def with_run(self, line: RunLine, alerts: Mapping[str, Alert]) -> "Ledger":
        """Return the ledger after a run, which takes the place of an earlier one of the same window."""
        others = [r for r in self.runs if (r.until_ms, r.window_ms) != (line.until_ms, line.window_ms)]
        runs = sorted([*others, line], key=lambda run: run.until_ms)
        return Ledger(tuple(runs[-MAX_RUNS:]), {**self.alerts, line.window_ms: dict(alerts)})


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory against other monitoring runs.

    Raises
    ------
    StorageError
        Another run holds it, or it cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with exclusive(directory / "lock", timeout_s=1.0):
            yield
    except TimeoutError as error:
        raise StorageError(
            f"Another monitoring run is at work in {directory}; wait for it to end.", code="locked"
        ) from error


def read_ledger(directory: Path) -> Ledger:
    """Return the ledger of a directory; an empty one before the first run.

    Raises
    ------
    StorageError
        It is damaged, or of a newer version of this program.
    """
    path = directory / LEDGER_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema_version"] > SCHEMA_VERSION:
            raise StorageError(
                f"{path} was written by a newer version of this program; update it.", code="ledger"
            )
        runs = tuple(RunLine(**line) for line in document["runs"])
        # The first version kept one list: the alerts of its newest run.
        alerts = document["alerts"]
        if document["schema_version"] == 1:
            alerts = {runs[-1].window_ms: alerts} if runs else {}
        return Ledger(runs, {int(length): alerts_from_json(kept) for length, kept in alerts.items()})
    except FileNotFoundError:
        return Ledger()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(
            f"{path} is damaged ({error}); move it away, and alerts start anew.", code="ledger"
        ) from error


def write_ledger(directory: Path, ledger: Ledger) -> None:
    """Replace the ledger of a directory; return once it survives a crash."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "alerts": {str(w): [a.to_json() for a in kept.values()] for w, kept in ledger.alerts.items()},
        "runs": [run.to_json() for run in ledger.runs],
    }
    write_text(directory / LEDGER_FILE, json.dumps(document, indent=1, allow_nan=False) + "\n")
