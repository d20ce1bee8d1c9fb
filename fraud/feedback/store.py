"""The feedback store: acknowledged on disk at once, committed to the dataset repository in batches."""

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fraud.durable import exclusive
from fraud.errors import FlagError, NotFound, RepositoryError, SettingsError, StaleParent, StorageError
from fraud.feedback.card import CARD_PATH, dataset_card, schema_version_of
from fraud.feedback.compaction import was_merged
from fraud.feedback.events import COLUMNS, SCHEMA_VERSION
from fraud.feedback.outbox import BacklogState, Batch, Outbox
from fraud.feedback.parsing import parse_row
from fraud.feedback.request_keys import RequestKey
from fraud.feedback.shards import is_shard
from fraud.feedback.withdrawal import (
    is_flag_id,
    is_withdrawable,
    mentions,
    rewritten,
    tombstones,
    withdrawal_id,
)
from fraud.records import Receipt
from fraud.repositories.port import Add, Operation, VersionedRepository
from fraud.telemetry import UNOBSERVED, Observer, Stopwatch

MAX_SUBMISSIONS_PER_BATCH = 1_000
MAX_BYTES_PER_BATCH = 8 << 20
MAX_BYTES_PER_SUBMISSION = 1 << 20
_ATTEMPTS = 8
_FIRST_WAIT_S = 0.05
_NODE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class DrainReport:
    """What one drain did.

    `problem` says why it stopped early; what is left stays for the next drain. `busy`: another drain is at
    work. `damaged` names the receipts whose bytes changed on disk: they are kept, counted in the backlog
    and never committed.
    """

    n_submissions: int = 0
    n_batches: int = 0
    revision: str | None = None
    backlog: int = 0
    damaged: tuple[str, ...] = ()
    problem: str | None = None
    busy: bool = False


class FeedbackStore:
    """Takes feedback durably and carries it to a versioned repository; nothing acknowledged is ever lost.

    Parameters
    ----------
    directory
        Home of the outbox, on a disk that survives restarts.
    repository
        The feedback dataset.
    node
        This node's name, a part of every shard's name: letters, digits and hyphens.
    max_backlog
        Uncommitted submissions at which `append` refuses.
    observer
        Told how long each commit took.
    """

    def __init__(
        self,
        directory: Path,
        repository: VersionedRepository,
        node: str,
        max_backlog: int = 50_000,
        sleep: Callable[[float], None] = time.sleep,
        observer: Observer = UNOBSERVED,
    ) -> None:
        if not _NODE.fullmatch(node):
            raise SettingsError(
                f"The node name {node!r} is not usable: 1 to 40 letters, digits and inner hyphens.",
                code="bad_node",
                field="node",
            )
        self._directory = directory
        self._repository = repository
        self._node = node
        self._sleep = sleep
        self._observer = observer
        self._outbox = Outbox(directory / "outbox.sqlite3", max_backlog)

    def append(self, rows: Sequence[Mapping[str, object]], request_key: RequestKey | None = None) -> Receipt:
        """Return only once the submission survives a crash; the same submission again gives the same receipt.

        The last row gives the receipt its id: it is the new word, the rows before it are its context. A
        request key that has been answered is answered alike, and nothing is saved.

        Raises
        ------
        FlagError
            A row breaks the schema, or the id or the key was used for something else.
        OutboxFull
            The backlog has reached its limit.
        StorageError
            The disk is full, read-only, locked or damaged; nothing was acknowledged.
        """
        if not rows:
            raise FlagError("A submission needs at least one row.", code="empty_submission")
        receipt_id = [parse_row(row).event_id for row in rows][-1]
        lines = b"".join(_line(row) for row in rows)
        if len(lines) > MAX_BYTES_PER_SUBMISSION:
            raise FlagError("The submission is larger than 1 MiB.", code="submission_too_large")
        return self._outbox.append(receipt_id, lines, len(rows), request_key)

    def answered(self, request_key: RequestKey) -> Receipt | None:
        """Return what a request was answered with, None for a new one; FlagError if its key was another's."""
        return self._outbox.answered(request_key)

    def append_all(self, submissions: Sequence[Sequence[Mapping[str, object]]]) -> int:
        """Save several submissions in one transaction, as `append` would; return how many were new.

        They may fill half of the backlog's limit and no more: what is only kept must not crowd out flags.

        Raises
        ------
        FlagError
            A row breaks the schema; nothing was saved.
        OutboxFull
            Half of the backlog's limit is reached; nothing was saved.
        StorageError
            The outbox cannot be written; nothing was saved.
        """
        found = []
        for rows in submissions:
            receipt_id = [parse_row(row).event_id for row in rows][-1]
            found.append((receipt_id, b"".join(_line(row) for row in rows), len(rows)))
        return self._outbox.append_all(found)

    def withdraw(self, row: Mapping[str, object]) -> Receipt:
        """Take back the flag or kept prediction that a row names; return once that survives a crash.

        What still waits here is dropped at once, and the next drain removes the rest from the dataset's head.
        Again gives the same receipt.

        Raises
        ------
        NotFound
            Neither the outbox nor the dataset knows it.
        StorageError
            The outbox cannot be written; nothing was taken back.
        """
        receipt_id = str(row["about_event_id"])
        if not is_withdrawable(receipt_id) or not self._knows(receipt_id):
            raise _no_receipt()
        parse_row(row)
        return self._outbox.withdraw(receipt_id, withdrawal_id(receipt_id), _line(row))

    def must_search(self, receipt_id: str) -> bool:
        """Return whether only a look at every shard can tell if a receipt is known: it was not given here."""
        return is_withdrawable(receipt_id) and not self._outbox.knows(receipt_id)

    def require_flag(self, flag_id: str) -> None:
        """Raise NotFound unless the outbox or the dataset's head knows the flag."""
        if not is_flag_id(flag_id) or not self._knows(flag_id):
            raise _no_receipt()

    def snapshot(self) -> tuple[str, Path] | None:
        """Return the dataset's head and a directory with its files, or None before the first commit."""
        head = self._repository.head()
        return None if head is None else (head, self._repository.snapshot(head))

    def head(self) -> str | None:
        """Return the dataset's newest revision, or None before the first commit."""
        return self._repository.head()

    def shards_at(self, revision: str) -> tuple[str, ...]:
        """Return the paths of the shards at a revision, sorted."""
        return tuple(path for path in self._repository.files(revision) if is_shard(path))

    def read(self, path: str, revision: str) -> bytes:
        """Return one file of a revision, without a snapshot of the rest."""
        return self._repository.read(path, revision)

    def waiting(self) -> Iterator[bytes]:
        """Yield the lines of each submission that is not committed yet, oldest first."""
        return self._outbox.waiting()

    def receipts(self) -> Iterator[Receipt]:
        """Yield every receipt that was given here, oldest first."""
        return self._outbox.receipts()

    def drain(self) -> DrainReport:
        """Commit what is waiting, oldest first; a batch that an earlier drain left is finished first.

        Raises
        ------
        StorageError
            The outbox cannot be read or written.
        """
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            with exclusive(self._directory / "drain.mutex", timeout_s=0):
                return self._drain()
        except TimeoutError:
            return DrainReport(backlog=self.backlog(), busy=True)
        except OSError as error:
            raise StorageError(f"{self._directory} cannot be used: {error}.", code="storage") from error

    def receipt(self, receipt_id: str) -> Receipt:
        """Return a receipt as it stands now; NotFound if it was never given."""
        receipt = self._outbox.receipt(receipt_id)
        withdrawn = is_withdrawable(receipt_id) and self._outbox.knows(withdrawal_id(receipt_id))
        return replace(receipt, withdrawn=withdrawn)

    def backlog(self) -> int:
        """Return how many submissions are acknowledged and not committed yet."""
        return self._outbox.backlog()

    def backlog_state(self) -> BacklogState:
        """Return how much waits, for how long, and how much may."""
        return self._outbox.state()

    def check(self) -> None:
        """Verify the outbox, as at every start; StorageError if it is damaged or cannot be used."""
        self._outbox.check()

    def close(self) -> None:
        """Close the outbox; the next call opens it again."""
        self._outbox.close()

    def _knows(self, receipt_id: str) -> bool:
        if self._outbox.knows(receipt_id):
            return True
        found = self.snapshot()
        return found is not None and mentions(found[1], receipt_id)

    def _drain(self) -> DrainReport:
        n_submissions = n_batches = 0
        revision = problem = None
        waiting = list(self._outbox.open_batches())
        while True:
            left = bool(waiting)
            batch_id = waiting.pop(0) if left else self._seal()
            if batch_id is None:
                break
            watch = Stopwatch(self._observer)
            try:
                count, committed = self._commit(batch_id, suspect=left)
            except (RepositoryError, NotFound) as error:
                problem = str(error)
                break
            finally:
                watch.lap("commit")
            if committed:
                n_submissions, n_batches, revision = n_submissions + count, n_batches + 1, committed
        damaged = self._outbox.damaged()
        return DrainReport(n_submissions, n_batches, revision, self.backlog(), damaged, problem)

    def _seal(self) -> str | None:
        return self._outbox.seal(MAX_SUBMISSIONS_PER_BATCH, MAX_BYTES_PER_BATCH)

    def _commit(self, batch_id: str, suspect: bool) -> tuple[int, str | None]:
        """Return the number of submissions in the batch and the revision that holds them.

        `suspect`: an earlier drain may have committed it, and a compaction may have merged its shard since.
        """
        for attempt in range(_ATTEMPTS):
            if attempt:
                # Jitter, so that nodes on other machines that collided once do not collide for ever.
                self._sleep(_FIRST_WAIT_S * 2**attempt * (0.5 + secrets.randbelow(1_000) / 1_000))
            try:
                # Those on this disk queue: a retry that backs off loses to whoever does not have to.
                with self._repository.turn():
                    return self._place(batch_id, suspect=suspect or attempt > 0)
            except StaleParent:
                continue
        raise RepositoryError(
            f"The dataset repository moved on {_ATTEMPTS} times during one commit; drain again later.",
            code="contended",
        )

    def _place(self, batch_id: str, suspect: bool) -> tuple[int, str | None]:
        head = self._repository.head()
        present = frozenset(self._repository.files(head)) if head else frozenset()
        shard = self._shard(batch_id)
        if head is not None and (shard in present or (suspect and was_merged(self._repository, head, shard))):
            # The crash, or a lost answer, came after the commit: written once is enough.
            return self._outbox.committed(batch_id, head), head
        batch = self._outbox.batch(batch_id)
        if not batch.n_submissions:
            self._outbox.committed(batch_id, None)
            return 0, None
        operations = [Add(shard, batch.lines), *self._card(head, present), *self._removals(batch, head)]
        revision = self._repository.commit(operations, _message(batch, self._node), head)
        return self._outbox.committed(batch_id, revision), revision

    def _card(self, head: str | None, present: frozenset[str]) -> list[Operation]:
        """Return the card, which goes with every batch, unless a newer schema's is there.

        An equal one is no change to any adapter, and an older or edited one, which could keep readers from
        loading the new rows, is replaced in the commit that needs it. But a newer one belongs to newer rows
        beside ours, with columns that our card does not declare, and it declares all of ours.
        """
        if head is not None and CARD_PATH in present:
            known = schema_version_of(self._repository.read(CARD_PATH, head))
            if known is not None and known > SCHEMA_VERSION:
                return []
        return [Add(CARD_PATH, dataset_card().encode())]

    def _removals(self, batch: Batch, head: str | None) -> list[Operation]:
        stones = tombstones(batch.lines)
        return [*rewritten(self._repository.snapshot(head), stones)] if stones and head else []

    def _shard(self, batch_id: str) -> str:
        day = self._outbox.sealed_at(batch_id).strftime("%Y%m%d")
        return f"data/train-{day}-{self._node}-{batch_id.removeprefix('b_')}.jsonl"


def _no_receipt() -> NotFound:
    return NotFound(
        "Nothing with this receipt is kept here; check the receipt that you were given.",
        code="no_receipt",
        field="receipt_id",
    )


def _message(batch: Batch, node: str) -> str:
    plural = "" if batch.n_submissions == 1 else "s"
    return (
        f"Add {batch.n_submissions} submission{plural} from {node}\n\n"
        f"Submissions: {batch.n_submissions}\nRows: {batch.n_rows}\nNode: {node}\nBatch: {batch.batch_id}\n"
    )


def _line(row: Mapping[str, object]) -> bytes:
    values = {column: row.get(column) for column in COLUMNS}
    return json.dumps(values, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
