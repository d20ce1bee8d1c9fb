"""How often each held-out window has judged, kept for good: a window that is asked too often is learnt.

Every verdict tells whoever trains something about the held-out rows (Dwork et al., "The reusable holdout",
Science 2015; ease.ml/ci keeps the same budget). So uses are counted, by run, and a window whose budget is
spent must be replaced by a later one. Windows that overlap in time share their uses: one more row at the end
makes no new window.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import Profile, TimeEvaluation
from fraud.data.table import Transactions
from fraud.durable import write_text
from fraud.errors import EvidenceError, SettingsError, StorageError

GOLD_FILE = "gold.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Window:
    """A held-out window: the digest of its rows and labels, its first and last time (None without time)."""

    digest: str
    profile: str
    first_ms: int | None
    last_ms: int | None
    n_rows: int
    n_frauds: int

    def overlaps(self, other: "Window") -> bool:
        """Return whether both may hold the same transactions."""
        if self.digest == other.digest:
            return True
        if self.profile != other.profile:
            return False
        if self.first_ms is None or self.last_ms is None or other.first_ms is None or other.last_ms is None:
            return False  # without time only the digest tells
        return self.first_ms <= other.last_ms and other.first_ms <= self.last_ms

    @property
    def words(self) -> str:
        """The window's days, rows and frauds."""
        rows = f"{self.n_rows:,} rows, {self.n_frauds:,} frauds"
        if self.first_ms is None or self.last_ms is None:
            return rows
        days = [
            datetime.fromtimestamp(ms / 1000, UTC).date().isoformat() for ms in (self.first_ms, self.last_ms)
        ]
        return f"{days[0]} to {days[1]}, {rows}"


@dataclass(frozen=True, slots=True)
class Uses:
    """A window and the runs that it has judged."""

    window: Window
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Gold:
    """All windows there were, and where the next one starts if somebody moved it (by profile)."""

    windows: Mapping[str, Uses] = field(default_factory=dict)
    test_start: Mapping[str, str] = field(default_factory=dict)

    def uses(self, window: Window) -> int:
        """Return how many runs were judged by this window, or by one that overlaps it."""
        runs = {run for known in self.windows.values() if known.window.overlaps(window) for run in known.runs}
        return len(runs)

    def used(self, window: Window, run_id: str) -> "Gold":
        """Return the record with one more use; the same run counts once, however often it resumes."""
        known = self.windows.get(window.digest, Uses(window, ()))
        if run_id in known.runs:
            return self
        uses = Uses(known.window, (*known.runs, run_id))
        return replace(self, windows=dict(self.windows) | {window.digest: uses})

    def moved(self, profile: str, test_start: date) -> "Gold":
        """Return the record with another start of a profile's window."""
        return replace(self, test_start=dict(self.test_start) | {profile: test_start.isoformat()})

    def applied_to(self, profile: Profile) -> Profile:
        """Return the profile with the window where it was moved to."""
        start = self.test_start.get(profile.name)
        if start is None or not isinstance(profile.evaluation, TimeEvaluation):
            return profile
        moved = profile.evaluation.model_copy(update={"test_start": date.fromisoformat(start)})
        return profile.model_copy(update={"evaluation": moved})


def window_of(transactions: Transactions, test_rows: NDArray[np.intp], profile: Profile) -> Window:
    """Return the held-out window of a table: what is in it, not where it came from."""
    test = transactions.take(test_rows)
    digest = hashlib.sha256()
    digest.update(json.dumps([str(name) for name in test.ids]).encode())
    digest.update(test.labels.tobytes())
    times = test.time_ms
    if times is not None:
        digest.update(times.tobytes())
    return Window(
        digest=digest.hexdigest(),
        profile=profile.name,
        first_ms=None if times is None else int(times.min()),
        last_ms=None if times is None else int(times.max()),
        n_rows=len(test),
        n_frauds=int((test.labels == 1).sum()),
    )


def refresh(gold: Gold, old: Window, new: Window, test_start: date, min_frauds: int) -> Gold:
    """Return the record with the window moved, if the new one shares nothing with the old one.

    Raises
    ------
    EvidenceError
        They overlap, or the new one holds too few frauds to judge by.
    """
    if old.overlaps(new):
        raise EvidenceError(
            f"The window from {test_start} ({new.words}) overlaps the one that has been used ({old.words}); "
            "name a later day, and a base table that reaches beyond it.",
            code="gold_overlap",
        )
    if new.n_frauds < min_frauds:
        raise EvidenceError(
            f"The window from {test_start} holds {new.n_frauds} frauds and {min_frauds} are needed; bring a "
            "base table that reaches further.",
            code="gold_small",
        )
    return gold.moved(new.profile, test_start)


def read_gold(directory: Path) -> Gold:
    """Return the record kept in a directory; an empty one before the first use.

    Raises
    ------
    StorageError
        It is damaged, or of a newer version of this program.
    """
    path = directory / GOLD_FILE
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if document["schema_version"] > SCHEMA_VERSION:
            raise StorageError(
                f"{path} was written by a newer version of this program; update it.", code="gold"
            )
        windows = {
            digest: Uses(Window(**entry["window"]), tuple(entry["runs"]))
            for digest, entry in document["windows"].items()
        }
        starts = {name: date.fromisoformat(day).isoformat() for name, day in document["test_start"].items()}
        return Gold(windows, starts)
    except FileNotFoundError:
        return Gold()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(
            f"{path} is damaged ({error}); restore it from a backup: without it nobody knows how often the "
            "held-out window was used.",
            code="gold",
        ) from error


def write_gold(directory: Path, gold: Gold) -> None:
    """Replace the record; return once it survives a crash."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "windows": {
            digest: {"window": asdict(uses.window), "runs": list(uses.runs)}
            for digest, uses in gold.windows.items()
        },
        "test_start": dict(gold.test_start),
    }
    directory.mkdir(parents=True, exist_ok=True)
    write_text(directory / GOLD_FILE, json.dumps(document, indent=1) + "\n")


def moved_profile(profile: Profile, test_start: date) -> Profile:
    """Return the profile with its held-out window starting on another day.

    Raises
    ------
    SettingsError
        The profile's plan has no dates.
    """
    plan = profile.evaluation
    if not isinstance(plan, TimeEvaluation) or plan.test_start is None:
        raise SettingsError(
            f'The evaluation plan of the profile "{profile.name}" holds out a share of the table, not dates: '
            "later data move its window by themselves, so retrain with --data FILE.",
            code="gold_plan",
        )
    return Gold().moved(profile.name, test_start).applied_to(profile)
