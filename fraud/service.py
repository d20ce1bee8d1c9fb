"""The use cases: one method for each thing that a person or a client can do."""

import hashlib
import hmac
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud.data.profile import Profile
from fraud.data.table import Transactions
from fraud.data.uploads import check_upload
from fraud.errors import AccessDenied, FlagError, FraudError
from fraud.feedback.audit import AuditSampler
from fraud.feedback.events import clean_comment, review_row, submission, withdrawal_row
from fraud.feedback.keeping import PredictionLog, kept_row
from fraud.feedback.limiter import FlagLimiter, LookupLimiter
from fraud.feedback.outbox import BacklogState
from fraud.feedback.request_keys import RequestKey
from fraud.feedback.store import FeedbackStore
from fraud.feedback.withdrawal import withdrawal_id
from fraud.flag_rules import checked_answer, require_consistent
from fraud.ids import new_id
from fraud.models.examples import known_label, to_record
from fraud.models.gate_summary import GateSummary
from fraud.recent import RecentPredictions
from fraud.records import (
    MODELS,
    Finding,
    Flag,
    ModelVersion,
    Prediction,
    Receipt,
    Review,
    Withdrawal,
)
from fraud.registry import Aliases
from fraud.release_history import ReleaseHistory
from fraud.releasing import Moved, ReleaseDesk
from fraud.reviewing import ReviewCase, ReviewQueue
from fraud.serving.batch import BatchResult, score_file
from fraud.serving.champion import Champion
from fraud.serving.predicting import InProcess, Predictor, version_changed
from fraud.serving.scorer import Explanation, Scorer
from fraud.serving.shadow import Shadow
from fraud.serving.shadow_report import ShadowReport
from fraud.serving.stream import StreamScorer
from fraud.serving.what_if import Response, respond
from fraud.telemetry import UNOBSERVED, Observer, Stopwatch
from fraud.tracing import FlagTracer, Whereabouts
from fraud.webhooks.board import Acknowledgement

if TYPE_CHECKING:
    from fraud.models.analysis.held_out import HeldOut
    from fraud.monitoring.history import MonitoringRecord  # scipy.stats takes a second to import

_log = logging.getLogger(__name__)
CONSENT_VERSION = "2026-11-1"
"""Names the wording that a person agreed to; changes whenever `ui/texts.py`'s consent text does."""


class FraudService:
    """Everything the demo does, free of any web framework.

    Parameters
    ----------
    champion : what serves here, and scores unless `predictor` does
    feedback : where flags go
    node : this process's name in the dataset
    pseudonym_key : secret that turns a session into a pseudonym
    limiter : how many answers a person and an address may give; None for any number
    lookups : how often an address may ask for receipts that were not given here; None for any number
    audit : draws the predictions that are asked about by lot; None draws none
    monitoring : returns the newest monitoring run and those before it; None before the first
    releases : what promotes and rolls back; None where this process must not
    shadow : compares a waiting challenger with what is answered; None compares nothing
    board : returns what each prediction node said last
    refusal : returns the gate's report of the last retraining, where it was refused
    trace_seconds : how old what is told of a flag's whereabouts may be
    predictor : what scores single transactions, if not this process: prediction nodes
    observer : told what happens and how long it took
    clock : returns the present, aware, in UTC
    """

    def __init__(
        self,
        champion: Champion,
        feedback: FeedbackStore,
        *,
        node: str,
        pseudonym_key: bytes,
        limiter: FlagLimiter | None = None,
        lookups: LookupLimiter | None = None,
        audit: AuditSampler | None = None,
        monitoring: Callable[[], "MonitoringRecord | None"] = lambda: None,
        releases: ReleaseDesk | None = None,
        shadow: Shadow | None = None,
        board: Callable[[], Sequence[Acknowledgement]] = tuple,
        refusal: Callable[[], GateSummary | None] = lambda: None,
        trace_seconds: float = 2.0,
        predictor: Predictor | None = None,
        observer: Observer = UNOBSERVED,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._champion = champion
        self.answers_at_once = predictor is None
        self._predictor: Predictor = InProcess(champion) if predictor is None else predictor
        self._feedback = feedback
        self._node = node
        self._pseudonym_key = pseudonym_key
        self._limiter = limiter
        self._lookups = lookups
        self._audit = audit
        self._monitoring = monitoring
        self._releases = releases
        self._shadow = shadow
        self._observer = observer
        self._clock = clock
        self._recent = RecentPredictions()
        self.history = ReleaseHistory(champion, node=node, board=board, refusal=refusal)
        self.prediction_log = PredictionLog(feedback, node)
        self._commit_problem: str | None = None
        self._reviews = ReviewQueue(feedback, self._stake)
        self._tracer = FlagTracer(feedback, champion.registry, trace_seconds)

    @property
    def _scorer(self) -> Scorer:
        return self._champion.scorer

    def scorer(self) -> Scorer:
        """Return what serves now, for work that keeps to one version from its start to its end."""
        return self._scorer

    @property
    def profile(self) -> Profile:
        """The profile of the model that serves now."""
        return self._scorer.bundle.profile

    @property
    def model_version(self) -> ModelVersion:
        """What serves now."""
        return self._scorer.version

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The serving bundle's manifest: metrics, windows, thresholds."""
        return self._scorer.bundle.manifest

    def held_out(self) -> "HeldOut":
        """Return the held-out predictions of the version that serves; BundleRefused if they are not its."""
        from fraud.models.analysis.held_out import held_out_of  # with pandas, which a node does without

        return held_out_of(self._scorer.bundle.directory, self.manifest)

    @property
    def problems(self) -> Sequence[str]:
        """What stands in the way now: of a promoted version being served, of flags being committed."""
        return [p for p in (self._champion.problem, self._commit_problem) if p is not None]

    def score(
        self, transaction: Mapping[str, Any], history: object = None, *, keep: bool = False
    ) -> Prediction:
        """Return both models' scores for one raw transaction.

        Parameters
        ----------
        transaction : profile column -> value, as typed or sent
        history : the main entity's own past as a list of transactions, replacing what the bundle knows
        keep : consent to `keep` the prediction; it is saved behind the call, and a full queue drops it

        Raises
        ------
        TransactionError
            Naming the first field that breaks a rule.
        """
        prediction = self._predictor.predict(transaction, history, self._clock(), self._observer)
        scores = prediction.scores
        f1 = {} if self._audit is None else _f1_of(self._scorer)
        lot = None if self._audit is None else self._audit.draw(prediction.prediction_id, scores, f1)
        if lot is not None:
            prediction = replace(prediction, audit_asked=lot.asked, audit_probability=lot.probability)
        self._recent.remember(prediction)
        self._observer.predicted([(n, s.decision) for n, s in scores.items()], agree=prediction.agree)
        if keep is True:
            self.prediction_log.offer(prediction)
        if self._shadow is not None:
            self._shadow.offer(prediction)
        return prediction

    def keep(self, prediction_id: str, *, consent: bool = False) -> Receipt:
        """Keep a prediction that nobody flagged, to watch the models; return once it survives a crash.

        Its receipt is its own id. Of who sent it nothing is kept. Again gives the same receipt.

        Raises
        ------
        FlagError
            No consent.
        NotFound
            The prediction is too old.
        StorageError
            It could not be made durable; nothing was kept.
        """
        if consent is not True:
            raise FlagError(
                "A prediction is only kept with consent; give it and send it again.",
                code="no_consent",
                field="consent",
            )
        return self._feedback.append([kept_row(self.prediction(prediction_id), self._node)])

    def score_file(self, path: Path) -> BatchResult:
        """Return both models' answers for every row of a CSV or Parquet file, and the rows that got none.

        Raises
        ------
        TableError
            The file is no table, lacks a column, or holds not one row that fits the profile.
        """
        watch = Stopwatch(self._observer)
        check_upload(path)
        result = score_file(self._scorer, path, self._clock())
        watch.lap("batch")
        self._observer.scored_table(len(result.scored), len(result.rejected))
        return result

    def stream(self) -> StreamScorer:
        """Return what scores the pieces of one stream, by the version that serves now."""
        return StreamScorer(self._scorer)

    def explain(self, prediction: Prediction) -> dict[str, Explanation]:
        """Return both models' reasons for a prediction, from the version that made it.

        Raises
        ------
        NotFound
            That version is neither the one that serves now nor the one before.
        """
        return self._predictor.explain(prediction, self._observer)

    def what_if(self, prediction: Prediction, column: str) -> Response:
        """Return how both answers to a prediction's transaction respond to one of its fields.

        Raises
        ------
        NotFound
            The version that answered serves no more.
        TransactionError
            The column cannot be moved.
        """
        scorer = self._champion.scorer_of(prediction.model_version)
        if scorer is None:
            raise version_changed()
        return respond(scorer, prediction, column)

    def prediction(self, prediction_id: str) -> Prediction:
        """Return a recent prediction; NotFound when it is unknown or too old."""
        return self._recent.find(prediction_id)

    def flag(
        self,
        prediction_id: str,
        verdict: str,
        *,
        label: str | None = None,
        comment: str = "",
        consent: bool = False,
        session: str = "",
        address: str = "",
        request_key: RequestKey | None = None,
        answers_audit: bool = False,
    ) -> Receipt:
        """Keep a person's word on a prediction; return once it survives a crash.

        Parameters
        ----------
        verdict : "right" or "wrong"
        label : what the transaction was, "fraud" or "legitimate"
        consent : whether the person agreed that the transaction, the scores and the answer are kept
        session : anything that tells people apart; only its keyed hash is kept
        address : network address that the answer came from; counted for a while, never kept
        request_key : a request that comes again with its key is answered with its first receipt
        answers_audit : the person was shown the question of the audit lot and answers it; False: volunteered

        Raises
        ------
        FlagError
            No consent, an unknown verdict, no label, a comment that is too long, another request's key, or
            an answer to a question that the lot did not put.
        RateLimited
            Too many answers of this session or address in a short time.
        NotFound
            The prediction is too old.
        StorageError
            The flag could not be made durable; it was not accepted.
        """
        if request_key is not None and (answered := self._feedback.answered(request_key)) is not None:
            return answered  # first of all: the prediction may be forgotten by now, or the limit reached
        word, truth = checked_answer(verdict, label, consent=consent)
        prediction = self.prediction(prediction_id)
        require_consistent(prediction, word, truth)
        flag = Flag(
            flag_id=new_id("f"),
            flagged_at=self._clock(),
            prediction_id=prediction_id,
            verdict=word,
            label=truth,
            comment=clean_comment(comment),
            consent_version=CONSENT_VERSION,
            reporter=self._pseudonym(session),
            answers_audit=answers_audit,
        )
        rows = submission(
            prediction,
            flag,
            node=self._node,
            audit_asked=prediction.audit_asked,
            audit_probability=prediction.audit_probability,
        )
        if self._limiter is not None:
            self._limiter.take(flag.reporter, address)
        receipt = self._feedback.append(rows, request_key)
        self._observer.flagged(word)
        return receipt

    def withdraw(self, receipt_id: str, address: str = "") -> Receipt:
        """Take back consent to what a receipt was given for; return once that survives a crash.

        A prediction that was both kept and flagged has two receipts, one for each consent. The content leaves
        the newest version of the dataset with the next commit and is used for no training from then on; a
        tombstone stays. Again gives the same receipt.

        Raises
        ------
        NotFound
            Nothing with this receipt is kept.
        RateLimited
            The address has asked for too many receipts that were not given here.
        StorageError
            The withdrawal could not be made durable.
        """
        self.prediction_log.flush()  # what was just scored may have its receipt in a moment
        if self._lookups is not None and self._feedback.must_search(receipt_id):
            self._lookups.take(address)
        withdrawal = Withdrawal(withdrawal_id(receipt_id), self._clock(), receipt_id)
        receipt = self._feedback.withdraw(withdrawal_row(withdrawal, node=self._node))
        self._observer.withdrawn()
        return receipt

    def review(self, flag_id: str, finding: str, note: str, reviewer: str) -> Receipt:
        """Keep a maintainer's finding on a flag; return once it survives a crash.

        Parameters
        ----------
        finding : "accept", "reject" or "unsure"
        reviewer : who it is; only the keyed hash is kept

        Raises
        ------
        FlagError
            An unknown finding, or a note that is too long.
        NotFound
            No such flag is kept.
        StorageError
            The finding could not be made durable.
        """
        if finding not in set(Finding):
            raise FlagError(
                'finding must be "accept", "reject" or "unsure".', code="finding", field="finding"
            )
        self._feedback.require_flag(flag_id)
        review = Review(
            review_id=new_id("v"),
            reviewed_at=self._clock(),
            flag_id=flag_id,
            finding=Finding(finding),
            note=clean_comment(note),
            reviewer=self._pseudonym(reviewer),
        )
        return self._feedback.append([review_row(review, node=self._node)])

    def review_queue(self, limit: int = 50) -> Sequence[ReviewCase]:
        """Return undecided flags, the most useful to decide first: at most `limit`, and at most 500."""
        return self._reviews.cases(limit)

    def receipt(self, receipt_id: str) -> Receipt:
        """Return where a submission is now; NotFound for an unknown receipt."""
        return self._feedback.receipt(receipt_id)

    def whereabouts(self, receipt_id: str) -> Whereabouts:
        """Return where a flag is now, up to the version that was trained on it; NotFound as `receipt`."""
        return self._tracer.trace(self.receipt(receipt_id))

    def backlog(self) -> int:
        """Return the number of submissions that wait for their commit."""
        return self._feedback.backlog()

    def backlog_state(self) -> BacklogState:
        """Return how many submissions wait, since when, and at how many no more are taken."""
        return self._feedback.backlog_state()

    @property
    def commit_problem(self) -> str | None:
        """What keeps flags from being committed now; None if nothing does."""
        return self._commit_problem

    @property
    def model_problem(self) -> str | None:
        """What keeps a promoted version from being served now; None if nothing does."""
        return self._champion.problem

    def monitoring(self) -> "MonitoringRecord | None":
        """Return the newest monitoring run and those before it, or an example; None before the first.

        Raises
        ------
        StorageError
            What a run left is damaged, foreign or gone.
        """
        found = self._monitoring()
        foreign = found is not None and found.example and found.report["profile"] != self.profile.name
        return None if foreign else found

    def examples(self) -> Sequence[Mapping[str, Any]]:
        """Return [{"kind", "transaction"}, ...]: one transaction of each typology."""
        return list(self._scorer.examples.get("examples", []))

    def entities(self) -> Sequence[str]:
        """Return main entities (cards) with a past that the demo offers to choose from."""
        return list(self._scorer.examples.get("entities", []))

    def past_of(self, entity: str, limit: int = 200) -> Sequence[Mapping[str, Any]]:
        """Return the newest known transactions of a main entity, oldest first, as records; empty if none.

        A record carries its label, and for a fraud when that was known, where the bundle knows them.
        """
        past: Transactions | None = self._scorer.past_of(entity)
        if past is None:
            return []
        first = max(0, len(past) - limit)
        return [
            to_record(past, row, self.profile) | known_label(past, row, self.profile)
            for row in range(first, len(past))
        ]

    def drain(self) -> str | None:
        """Commit what waits; return what stood in the way, if anything did."""
        report = self._feedback.drain()
        problem = report.problem
        self._observer.drained(report.n_submissions, failed=problem is not None)
        if problem is not None and problem != self._commit_problem:
            _log.warning("flags are kept in the outbox and cannot be committed: %s", problem)
        self._commit_problem = problem
        return problem

    def refresh(self) -> bool:
        """Serve a newly promoted version if there is one; return whether it changed."""
        changed = self._champion.refresh()
        if self._shadow is not None:
            self._shadow.refresh(self._scorer.version.version)
        return changed

    def shadow_report(self) -> ShadowReport | None:
        """Return how a waiting challenger compares so far; None while none is being compared."""
        return None if self._shadow is None else self._shadow.report()

    @property
    def decides(self) -> bool:
        """Whether versions can be promoted and rolled back from here."""
        return self._releases is not None

    def listeners(self, event: str) -> Sequence[str]:
        """Return the endpoints that hear of a decision, such as "model.promoted"."""
        return () if self._releases is None else self._releases.listeners(event)

    def promote(self, version: str, maintainer: str, *, expected: int | None = None) -> Moved:
        """Make a recorded version serve here and on the nodes; of the maintainer only a pseudonym is kept.

        Whoever calls has checked that the maintainer may do this. `expected` is the aliases' `sequence` that
        the maintainer saw; None for any.

        Raises
        ------
        NotFound
            No such version.
        BundleRefused
            It cannot be served.
        AccessDenied
            This process does not decide about releases.
        RepositoryError
            Somebody else decided since `expected`.
        """
        moved = self._desk().promote(version, who=self._pseudonym(maintainer), expected=expected)
        self.refresh()
        return moved

    def rollback(self, maintainer: str, *, expected: int | None = None) -> Moved:
        """Return to the previous version, here and on the nodes; NotFound if there is none."""
        moved = self._desk().rollback(who=self._pseudonym(maintainer), expected=expected)
        self.refresh()
        return moved

    def reject(self, version: str, maintainer: str, *, expected: int | None = None) -> Aliases:
        """Let a challenger wait no more; NotFound if it is not the challenger."""
        return self._desk().reject(version, who=self._pseudonym(maintainer), expected=expected)

    def _desk(self) -> ReleaseDesk:
        if self._releases is None:
            raise AccessDenied("This process does not decide about releases.", code="no_releases")
        return self._releases

    def check(self) -> None:
        """Raise what would keep the service from starting: a refused bundle, a broken outbox."""
        self._feedback.check()
        _ = self._scorer

    def close(self) -> None:
        """Commit what waits, as far as possible, and let go of the files."""
        self.prediction_log.close()
        if self._shadow is not None:
            self._shadow.close()
        try:
            self.drain()
        except FraudError as error:
            _log.warning("the outbox could not be drained at shutdown: %s", error)
        self._feedback.close()

    def _stake(self, transaction: Mapping[str, object]) -> tuple[float, float]:
        """Return a transaction's amount, 0 where there is none, and what is usual: twenty reviews' worth."""
        column, costs = self.profile.columns.amount, self.profile.costs
        amount = transaction.get(column) if column is not None else None
        usual = costs.average_fraud or 20.0 * costs.review
        return (float(amount) if isinstance(amount, (int, float)) else 0.0), usual

    def _pseudonym(self, session: str) -> str:
        return hmac.new(self._pseudonym_key, session.encode(errors="replace"), hashlib.sha256).hexdigest()[
            :24
        ]


def _f1_of(scorer: Scorer) -> dict[str, float]:
    models = scorer.bundle.manifest["models"]
    return {name: float(models[name]["metrics"]["f1"]["value"]) for name in MODELS}
