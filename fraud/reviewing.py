"""The review queue: flags that no maintainer has decided, the most useful to look at first."""

import heapq
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fraud.errors import FlagError
from fraud.feedback.events import FlagEvent, PredictionEvent, ReviewEvent, Row, WithdrawalEvent
from fraud.feedback.parsing import parse_line, parse_row
from fraud.feedback.shards import digest_in, kind_of, numbered_lines, shards, split_lines
from fraud.feedback.store import FeedbackStore
from fraud.records import Finding, Flag, Prediction, Review
from fraud.review_order import SECOND_OPINION, UNSURE, Stake, Waiting, claim_value, in_turn, is_missed

POOL = 500
"""The most cases that are held, however many wait; the next ones come up once these are decided."""
_MAX_VOTES = 50


@dataclass(frozen=True, slots=True)
class ReviewCase:
    """One flag to be decided, with everything that a maintainer needs beside it.

    `votes` are the flags on the same content, this one included, oldest first (at most 50); `findings` are
    the reviews so far, all of them unsure. A higher `value` is more useful to decide. `stands_for`: for how
    many predictions this answer to the lot speaks, where it is the claim of a missed fraud that monitoring
    counts only with a second opinion; else None.
    """

    prediction: Prediction
    flag: Flag
    votes: tuple[Flag, ...]
    findings: tuple[Review, ...]
    value: float
    stands_for: float | None = None


@dataclass(frozen=True, slots=True)
class _Candidate:
    waiting: Waiting
    shown: bytes
    said: bytes
    stands_for: float | None

    @property
    def worth(self) -> tuple[bool, int, float, str]:
        """What is dropped first is what compares least."""
        case = self.waiting
        return (case.value >= SECOND_OPINION, -case.round, case.value, case.flag_id)


@dataclass(frozen=True, slots=True)
class _Pool:
    """What one revision has to offer: the best candidates, and what is known of their contents."""

    candidates: tuple[_Candidate, ...] = ()
    votes: Mapping[bytes, tuple[Flag, ...]] | None = None
    findings: Mapping[str, tuple[Review, ...]] | None = None


Lines = Callable[[], Iterable[bytes]]


class ReviewQueue:
    """Undecided flags at the head of the dataset and in the outbox.

    The head is read once for each revision, in three passes that hold `POOL` candidates and no more.

    Parameters
    ----------
    store : where flags are
    stake : returns the amount of a transaction, and 1 for a scale of it: what is usual
    """

    def __init__(self, store: FeedbackStore, stake: Stake):
        self._store = store
        self._stake = stake
        self._lock = threading.Lock()
        self._read: tuple[str | None, _Pool] = (None, _Pool())

    def cases(self, limit: int) -> Sequence[ReviewCase]:
        """Return at most `limit` undecided cases, in the order of `review_order`."""
        waiting = [line for lines in self._store.waiting() for line in split_lines(lines)]
        here = self._pool(lambda: waiting)
        at_head = self._at_head()
        decided, _ = _decisions(waiting)
        best = {
            candidate.waiting.flag_id: candidate
            for candidate in (*at_head.candidates, *here.candidates)
            if candidate.waiting.flag_id not in decided
        }
        ordered = in_turn((candidate.waiting for candidate in best.values()), limit)
        cases = (_case(best[waiting.flag_id], (at_head, here)) for waiting in ordered)
        return [case for case in cases if case]

    def _at_head(self) -> _Pool:
        with self._lock:
            found = self._store.snapshot()
            if found is None:
                return _Pool()
            revision, snapshot = found
            if self._read[0] != revision:
                self._read = (revision, self._pool(lambda: _lines(snapshot)))
            return self._read[1]

    def _pool(self, lines: Lines) -> _Pool:
        decided, findings = _decisions(lines())
        # One half for each kind that takes turns, so that neither can crowd the other out.
        best: dict[bool, list[tuple[bool, int, float, str]]] = {True: [], False: []}
        kept: dict[str, _Candidate] = {}
        for candidate in self._candidates(lines(), decided, findings):
            if candidate.waiting.flag_id in kept:
                continue
            half = best[candidate.waiting.missed]
            heapq.heappush(half, candidate.worth)
            kept[candidate.waiting.flag_id] = candidate
            if len(half) > POOL // 2:
                del kept[heapq.heappop(half)[-1]]
        digests = {digest for item in kept.values() if (digest := digest_in(item.said)) is not None}
        return _Pool(tuple(kept.values()), _votes(lines(), digests), findings)

    def _candidates(
        self, lines: Iterable[bytes], decided: set[str], findings: Mapping[str, tuple[Review, ...]]
    ) -> Iterator[_Candidate]:
        rounds: Counter[str] = Counter()
        above = b""
        for line in lines:
            if kind_of(line) == b"flag" and kind_of(above) == b"prediction":
                said, shown = _row(line), _row(above)
                flag_id = str(said.get("event_id"))
                if flag_id not in decided and said.get("prediction_id") == shown.get("event_id"):
                    waiting, stands_for = self._waiting(shown, said, rounds)
                    if flag_id in findings:
                        waiting = replace(waiting, value=waiting.value * UNSURE)
                    yield _Candidate(waiting, above, line, stands_for)
            above = line

    def _waiting(self, shown: Row, said: Row, rounds: Counter[str]) -> tuple[Waiting, float | None]:
        """Return a claim by the rows of its prediction and of its flag; of no value where damaged."""
        flag_id = str(said.get("event_id"))
        try:
            seen, flagged = parse_row(shown), parse_row(said)
        except FlagError:
            return Waiting(flag_id, 0.0), None
        if not isinstance(seen, PredictionEvent) or not isinstance(flagged, FlagEvent):
            return Waiting(flag_id, 0.0), None
        value, stands_for = claim_value(
            seen.prediction, flagged.flag, self._stake, asked=seen.audit_asked, chance=seen.audit_probability
        )
        if not is_missed(seen.prediction, flagged.flag):
            return Waiting(flag_id, value), stands_for
        reporter = flagged.flag.reporter
        rounds[reporter] += 1
        return Waiting(flag_id, value, missed=True, round=rounds[reporter] - 1), stands_for


def _lines(snapshot: Path) -> Iterator[bytes]:
    return (line for path in shards(snapshot) for _, line in numbered_lines(path))


def _decisions(lines: Iterable[bytes]) -> tuple[set[str], dict[str, tuple[Review, ...]]]:
    """Return the flags that were decided or withdrawn, and the unsure findings of the others."""
    decided: set[str] = set()
    unsure: dict[str, tuple[Review, ...]] = {}
    for line in lines:
        if kind_of(line) not in (b"review", b"withdrawal"):
            continue
        try:
            event = parse_row(parse_line(line))
        except FlagError:
            continue
        if isinstance(event, WithdrawalEvent):
            decided.add(event.withdrawal.flag_id)
        elif isinstance(event, ReviewEvent):
            review = event.review
            if review.finding is Finding.UNSURE:
                unsure[review.flag_id] = (*unsure.get(review.flag_id, ()), review)
            else:
                decided.add(review.flag_id)
    return decided, unsure


def _votes(lines: Iterable[bytes], digests: set[bytes]) -> dict[bytes, tuple[Flag, ...]]:
    votes: dict[bytes, tuple[Flag, ...]] = {}
    for line in lines:
        digest = digest_in(line)
        if digest not in digests or digest is None or kind_of(line) != b"flag":
            continue
        try:
            event = parse_row(parse_line(line))
        except FlagError:
            continue
        if isinstance(event, FlagEvent) and len(votes.get(digest, ())) < _MAX_VOTES:
            votes[digest] = (*votes.get(digest, ()), event.flag)
    return votes


def _case(candidate: _Candidate, pools: Sequence[_Pool]) -> ReviewCase | None:
    try:
        shown, said = parse_row(parse_line(candidate.shown)), parse_row(parse_line(candidate.said))
    except FlagError:
        return None  # it is in quarantine, and the log of a pull says why
    if not isinstance(shown, PredictionEvent) or not isinstance(said, FlagEvent):
        return None
    digest = said.content_digest.encode()
    votes = {vote.flag_id: vote for pool in pools for vote in (pool.votes or {}).get(digest, ())}
    waiting = candidate.waiting
    findings = [review for pool in pools for review in (pool.findings or {}).get(waiting.flag_id, ())]
    ordered = tuple(sorted(votes.values(), key=lambda vote: (vote.flagged_at, vote.flag_id)))
    return ReviewCase(
        shown.prediction, said.flag, ordered, tuple(findings), waiting.value, candidate.stands_for
    )


def _row(line: bytes) -> Row:
    try:
        return parse_line(line)
    except FlagError:
        return {}
