"""Where a flag is now: saved, committed, reviewed, and used in a version, or why it is not."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from fraud.errors import BundleRefused, FlagError, FraudError
from fraud.feedback.events import ReviewEvent
from fraud.feedback.parsing import parse_line, parse_row
from fraud.feedback.shards import shards, split_lines
from fraud.feedback.store import FeedbackStore
from fraud.feedback.trust import IN_QUARANTINE
from fraud.feedback.withdrawal import is_flag_id
from fraud.models.bundle import USES_FILE
from fraud.models.provenance import UseTable
from fraud.records import Finding, Receipt
from fraud.registry import ModelRegistry, RegisteredVersion
from fraud.retraining.base_labels import CONTRADICTED
from fraud.retraining.uses import OUTWEIGHED

_log = logging.getLogger(__name__)
_REMEMBERED = 4_096
_TABLES = 8
_FEW_SHARDS = 32

NO_VERSION: Final = "no version since"
REASONS: Final[Mapping[str, tuple[str, str]]] = {
    NO_VERSION: ("no_version", "no version has been trained since it joined the dataset"),
    IN_QUARANTINE: ("quarantine", "it was too new to be used without a review"),
    "rejected by a reviewer": ("rejected", "a maintainer rejected it"),
    "a reviewer could not tell": ("unsure", "a maintainer could not tell whether it is true"),
    "tied": ("tied", "as many people said the opposite"),
    "doubtful": ("doubtful", "what people said of this transaction was too doubtful"),
    "nobody agrees with its reporters": ("distrusted", "its reporters disagree with others too often"),
    "no prediction": ("no_prediction", "it is not about the answer that it names"),
    "over the weight caps": (
        "capped",
        "too many unreviewed answers like it came in, and others stand for it",
    ),
    CONTRADICTED: ("contradicted", "the table that the models learn from has this transaction as a fraud"),
    OUTWEIGHED: ("outweighed", "what others or a maintainer said of the same transaction outweighed it"),
    "scored under another profile": ("profile", "it was scored under another data profile"),
    "does not fit the profile any more": ("misfit", "its transaction does not fit the data profile any more"),
    "inside the sealed held-out window": (
        "held_out",
        "its transaction is among those that the models are judged by, which must not be taught to them",
    ),
    "names a transaction whose content is another": (
        "other_content",
        "it names a known transaction and shows another",
    ),
}
"""Reasons of a training run -> their code, and what they mean in plain words."""


@dataclass(frozen=True, slots=True)
class Unused:
    """Why a flag is not used; `version` is the newest one that was trained without it, None if there is none.

    `code` lets a page say `words` in another language; it is "" for a reason that nobody put into words.
    """

    code: str
    words: str
    version: str | None = None

    def __str__(self) -> str:
        """Return the reason as one clause in English."""
        return self.words if self.version is None else f"version {self.version} leaves it out: {self.words}"


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """A receipt and what came of it. `used_in` is the first version that was trained on it.

    `reviewed` is the latest committed finding, not whose it is; `unused` is None while nothing can be said.
    """

    receipt: Receipt
    reviewed: Finding | None = None
    used_in: str | None = None
    unused: Unused | None = None


class FlagTracer:
    """Follows flags through reviews and versions.

    It looks at the dataset and the registry at most once in `every_s` seconds, however many ask, reads only
    the shards that are new to it, and asks each version's own record of what it was trained on.

    Parameters
    ----------
    every_s : how old what it knows may be, in seconds
    clock : seconds that never go back
    """

    def __init__(
        self,
        store: FeedbackStore,
        registry: ModelRegistry,
        every_s: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._registry = registry
        self._every_s = every_s
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at: float | None = None
        self._heads: tuple[str | None, str | None] = (None, None)
        self._known_shards: frozenset[str] = frozenset()
        self._findings: dict[str, tuple[datetime, Finding]] = {}
        self._versions: tuple[RegisteredVersion, ...] = ()
        self._tables: OrderedDict[str, UseTable | None] = OrderedDict()
        self._uses: OrderedDict[str, tuple[str | None, Unused | None]] = OrderedDict()

    def trace(self, receipt: Receipt) -> Whereabouts:
        """Return where a receipt's flag is; a repository out of reach leaves open what it would have told."""
        if not is_flag_id(receipt.receipt_id) or receipt.withdrawn or not receipt.committed:
            return Whereabouts(receipt)
        with self._lock:
            if self._looked_at is None or self._clock() - self._looked_at >= self._every_s:
                self._look()
            found = self._findings.get(receipt.receipt_id)
            used_in, unused = self._use_of(receipt)
        finding = None if found is None else found[1]
        if used_in is None and unused is None:
            rejected = finding is Finding.REJECT
            unused = _unused("rejected by a reviewer" if rejected else NO_VERSION, None)
        return Whereabouts(receipt, finding, used_in, unused)

    def _look(self) -> None:
        self._looked_at = self._clock()
        try:
            dataset = self._store.head()
            if dataset is not None and dataset != self._heads[0]:
                self._read_shards(dataset)
                self._heads = dataset, self._heads[1]
            registry = self._registry.head()
            if registry != self._heads[1]:
                self._versions = self._registry.versions()[::-1]
                self._uses.clear()
                self._heads = self._heads[0], registry
        except FraudError as error:
            _log.warning("where flags are cannot be brought up to date: %s", error)

    # Reviews

    def _read_shards(self, head: str) -> None:
        # A shard's name stands for its lines: only a withdrawal changes them, and of a withdrawn flag nothing
        # is told. All of them at once are a snapshot; the few that a commit adds are not worth one.
        names = frozenset(self._store.shards_at(head))
        new = sorted(names - self._known_shards)
        if len(new) <= _FEW_SHARDS:
            for name in new:
                self._take_findings(split_lines(self._store.read(name, head)))
        else:
            found = self._store.snapshot()
            for path in () if found is None else shards(found[1]):
                self._take_file(path)
        self._known_shards = names

    def _take_file(self, path: Path) -> None:
        with path.open("rb") as lines:
            self._take_findings(lines)

    def _take_findings(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            if b'"review"' not in line:
                continue
            try:
                event = parse_row(parse_line(line))
            except FlagError:
                continue
            if isinstance(event, ReviewEvent):
                known = self._findings.get(event.review.flag_id)
                if known is None or known[0] <= event.recorded_at:
                    self._findings[event.review.flag_id] = event.recorded_at, event.review.finding

    # Versions

    def _use_of(self, receipt: Receipt) -> tuple[str | None, Unused | None]:
        flag_id = receipt.receipt_id
        if flag_id not in self._uses:
            self._uses[flag_id] = self._look_up(receipt)
            while len(self._uses) > _REMEMBERED:
                self._uses.popitem(last=False)
        return self._uses[flag_id]

    def _look_up(self, receipt: Receipt) -> tuple[str | None, Unused | None]:
        unused: Unused | None = None
        for version in self._versions:
            table = self._table(version, receipt.saved_at)
            reason = None if table is None else table.reason_of(receipt.receipt_id)
            if reason == "":
                return version.version, None
            if reason is not None:
                unused = _unused(reason, version.version)
        return None, unused

    def _table(self, version: RegisteredVersion, saved_at: datetime) -> UseTable | None:
        """Return a version's record of flags; None if it has none, or is older than the flag."""
        listed = version.manifest["files"].get(USES_FILE)
        if listed is None or _made_before(version, saved_at):
            return None
        if version.revision not in self._tables:
            try:
                content = self._registry.read(version.revision, USES_FILE)
                self._tables[version.revision] = UseTable(content, str(listed["sha256"]))
            except BundleRefused as error:
                _log.warning("what version %s was trained on is not known: %s", version.version, error)
                self._tables[version.revision] = None
            except FraudError as error:
                _log.warning("what version %s was trained on is out of reach: %s", version.version, error)
                return None
            while len(self._tables) > _TABLES:
                self._tables.popitem(last=False)
        self._tables.move_to_end(version.revision)
        return self._tables[version.revision]


def _made_before(version: RegisteredVersion, moment: datetime) -> bool:
    try:
        return datetime.fromisoformat(str(version.manifest["created_at"])) < moment.replace(microsecond=0)
    except (ValueError, TypeError, KeyError):
        return False


def _unused(reason: str, version: str | None) -> Unused:
    code, words = REASONS.get(reason, ("", reason))
    return Unused(code, words, version)
