"""The review queue: flags that no maintainer has decided, the most useful to look at first."""

import heapq
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fraud.errors import FlagError
from fraud.feedback.audit import claim_stands_for
from fraud.feedback.events import FlagEvent, PredictionEvent, ReviewEvent, Row, WithdrawalEvent
from fraud.feedback.parsing import parse_line, parse_row
from fraud.feedback.shards import digest_in, kind_of, numbered_lines, shards, split_lines
from fraud.feedback.store import FeedbackStore
from fraud.records import MODELS, Finding, Flag, Prediction, Review

POOL = 500
"""The most cases that are held, however many wait; the next ones come up once these are decided."""
_MAX_VOTES = 50
_UNSURE = 0.5  # what somebody could not tell is not asked first again
SECOND_OPINION = 5.0
"""Added to the value of a claim that counts only with a second opinion: more than any other case has."""


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
    value: float
    flag_id: str
    shown: bytes
    said: bytes


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
    amount : returns the amount of a transaction, and 1 for a scale of it: what is usual
    """

    def __init__(self, store: FeedbackStore, amount: Callable[[Mapping[str, object]], tuple[float, float]]):
        self._store = store
        self._amount = amount
        self._lock = threading.Lock()
        self._read: tuple[str | None, _Pool] = (None, _Pool())

    def cases(self, limit: int) -> Sequence[ReviewCase]:
        """Return at most `limit` undecided cases, the most valuable first."""
        waiting = [line for lines in self._store.waiting() for line in split_lines(lines)]
        here = self._pool(lambda: waiting)
        at_head = self._at_head()
        decided, _ = _decisions(waiting)
        best = {
            candidate.flag_id: candidate
            for candidate in (*at_head.candidates, *here.candidates)
            if candidate.flag_id not in decided
        }
        ordered = sorted(best.values(), key=lambda item: (-item.value, item.flag_id))
        return [case for case in (_case(item, (at_head, here)) for item in ordered[:limit]) if case]

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
        best: list[tuple[float, str]] = []
        kept: dict[str, _Candidate] = {}
        for candidate in self._candidates(lines(), decided, findings):
            if candidate.flag_id in kept:
                continue
            heapq.heappush(best, (candidate.value, candidate.flag_id))
            kept[candidate.flag_id] = candidate
            if len(best) > POOL:
                del kept[heapq.heappop(best)[1]]
        digests = {digest for item in kept.values() if (digest := digest_in(item.said)) is not None}
        return _Pool(tuple(kept.values()), _votes(lines(), digests), findings)

    def _candidates(
        self, lines: Iterable[bytes], decided: set[str], findings: Mapping[str, tuple[Review, ...]]
    ) -> Iterator[_Candidate]:
        above = b""
        for line in lines:
            if kind_of(line) == b"flag" and kind_of(above) == b"prediction":
                said, shown = _row(line), _row(above)
                flag_id = str(said.get("event_id"))
                if flag_id not in decided and said.get("prediction_id") == shown.get("event_id"):
                    value = self._value(shown, said) * (_UNSURE if flag_id in findings else 1.0)
                    yield _Candidate(value, flag_id, above, line)
            above = line

    def _value(self, shown: Row, said: Row) -> float:
        """Return the value of a claim by the rows of its prediction and of its flag; 0 of rows of no use."""
        try:
            seen, flagged = parse_row(shown), parse_row(said)
        except FlagError:
            return 0.0
        if not isinstance(seen, PredictionEvent) or not isinstance(flagged, FlagEvent):
            return 0.0
        stands_for = claim_stands_for(
            seen.prediction, flagged.flag.label, asked=seen.audit_asked, chance=seen.audit_probability
        )
        return claim_value(seen.prediction, self._amount, stands_for)


def claim_value(
    prediction: Prediction,
    amount: Callable[[Mapping[str, object]], tuple[float, float]],
    stands_for: float | None,
) -> float:
    """Return `case_value`, and more than that of any other case where a second opinion is needed."""
    return case_value(prediction, amount) + (0.0 if stands_for is None else SECOND_OPINION)


def case_value(
    prediction: Prediction, amount: Callable[[Mapping[str, object]], tuple[float, float]]
) -> float:
    """Return how useful a maintainer's finding would be, in [0, 4].

    Disagreement is 1 where the decisions differ, else the distance of the probabilities; the amount counts as
    ``a / (a + usual)``; uncertainty is 1 at the review threshold and falls to 0 with the distance from it.
    """
    scores = [prediction.scores[model] for model in MODELS]
    probabilities = [score.fraud_probability for score in scores]
    apart = max(probabilities) - min(probabilities) if prediction.agree else 1.0
    sum_at_stake, usual = amount(prediction.transaction)
    stake = max(sum_at_stake, 0.0) / (max(sum_at_stake, 0.0) + usual)
    near = [
        1.0
        - min(1.0, abs(score.fraud_probability - score.thresholds.review) / _reach(score.thresholds.review))
        for score in scores
    ]
    return 2.0 * apart + stake + max(near)


def _reach(threshold: float) -> float:
    return max(threshold, 1.0 - threshold)


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
    findings = [review for pool in pools for review in (pool.findings or {}).get(candidate.flag_id, ())]
    ordered = tuple(sorted(votes.values(), key=lambda vote: (vote.flagged_at, vote.flag_id)))
    stands_for = claim_stands_for(
        shown.prediction, said.flag.label, asked=shown.audit_asked, chance=shown.audit_probability
    )
    return ReviewCase(shown.prediction, said.flag, ordered, tuple(findings), candidate.value, stands_for)


def _row(line: bytes) -> Row:
    try:
        return parse_line(line)
    except FlagError:
        return {}
