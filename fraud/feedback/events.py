"""Feedback as flat rows, and back: one schema for every kind of event, the same columns in every row.

The rows are what the dataset holds, so the schema is a promise to everyone who loads it. Every row has every
column (null where it does not apply) in the order of `COLUMNS`; times are epoch milliseconds, because a text
that looks like a time comes back changed from some readers; inputs are JSON texts, because their columns
differ between profiles. `about_event_id` names the flag that a review or a withdrawal is about. What changed
between versions, and how a repository may hold several, is docs/decisions/0010-events-and-withdrawal.md.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from fraud.errors import FlagError
from fraud.feedback.canonical import canonical_json, checked_text, content_digest
from fraud.records import MODELS, Flag, Prediction, Review, Withdrawal

SCHEMA_VERSION: Final = 3
MAX_COMMENT_LENGTH: Final = 2_000
MAX_INPUT_LENGTH: Final = 200_000

KEPT: Final = "keep-"
"""How the consent version of a prediction begins that is kept for itself, and not beside somebody's flag."""

Row = dict[str, object]

_PER_MODEL = (
    ("probability", "float64"),
    ("review_threshold", "float64"),
    ("decline_threshold", "float64"),
    ("decision", "string"),
)

COLUMNS: Final[Mapping[str, str]] = {
    "schema_version": "int64",
    "event": "string",
    "event_id": "string",
    "prediction_id": "string",
    "about_event_id": "string",
    "recorded_ms": "int64",
    "node": "string",
    "profile": "string",
    "content_digest": "string",
    "transaction_json": "string",
    "history_json": "string",
    **{f"{model}_{name}": kind for model in MODELS for name, kind in _PER_MODEL},
    "model_version": "string",
    "model_revision": "string",
    "manifest_digest": "string",
    "latency_ms": "float64",
    "audit_asked": "bool",
    "audit_probability": "float64",
    "verdict": "string",
    "finding": "string",
    "label": "string",
    "comment": "string",
    "consent_version": "string",
    "reporter": "string",
    "answers_audit": "bool",
}
"""The columns of the newest schema version in their order, each with its Arrow type."""

_COMMON: Final = (
    "schema_version", "prediction_id", "node", "profile", "content_digest", "consent_version",
)  # fmt: skip

ADDED: Final[Mapping[str, int]] = {"audit_asked": 2, "finding": 2, "answers_audit": 3}
"""The columns that version 1 did not have, each with the version that brought it."""


@dataclass(frozen=True, slots=True)
class PredictionEvent:
    """What was shown, with the consent under which it is kept: to a flag on it, or for itself (`KEPT`).

    `audit_asked` says whether the person was asked about it by lot, and `audit_probability` with what chance;
    both are None where no lot was drawn.
    """

    event_id: str
    node: str
    content_digest: str
    consent_version: str
    prediction: Prediction
    audit_probability: float | None = None
    audit_asked: bool | None = None

    @property
    def recorded_at(self) -> datetime:
        """When the prediction was made."""
        return self.prediction.predicted_at


@dataclass(frozen=True, slots=True)
class FlagEvent:
    """What was said of it."""

    event_id: str
    node: str
    profile: str
    content_digest: str
    flag: Flag

    @property
    def recorded_at(self) -> datetime:
        """When the flag was given."""
        return self.flag.flagged_at


@dataclass(frozen=True, slots=True)
class ReviewEvent:
    """What a maintainer found about a flag."""

    event_id: str
    node: str
    review: Review

    @property
    def recorded_at(self) -> datetime:
        """When the flag was reviewed."""
        return self.review.reviewed_at


@dataclass(frozen=True, slots=True)
class WithdrawalEvent:
    """The tombstone of a flag: it says that something was here, and nothing of what it was."""

    event_id: str
    node: str
    withdrawal: Withdrawal

    @property
    def recorded_at(self) -> datetime:
        """When consent was taken back."""
        return self.withdrawal.withdrawn_at


Event = PredictionEvent | FlagEvent | ReviewEvent | WithdrawalEvent


def submission(
    prediction: Prediction,
    flag: Flag,
    *,
    node: str,
    audit_asked: bool | None = None,
    audit_probability: float | None = None,
) -> tuple[Row, Row]:
    """Return the two rows of one submission: what was shown, and what was said of it.

    Parameters
    ----------
    audit_asked
        Whether the person was asked by lot; None where no lot was drawn.
    audit_probability
        The chance of being asked, in (0, 1]; needed beside `audit_asked`.

    Raises
    ------
    FlagError
        The flag is about another prediction, answers a question that the lot did not put, its comment is too
        long or holds control characters, or the transaction holds a value that JSON has no form for.
    """
    if flag.prediction_id != prediction.prediction_id:
        raise FlagError(
            "The flag is about another prediction.", code="wrong_prediction", field="prediction_id"
        )
    if flag.answers_audit and audit_asked is not True:
        raise FlagError(
            "answers_audit: the lot did not fall on this prediction, so no question of it was answered; "
            "leave it out.",
            code="not_asked",
            field="answers_audit",
        )
    shown = prediction_row(
        prediction,
        node=node,
        consent_version=flag.consent_version,
        audit_asked=audit_asked,
        audit_probability=audit_probability,
    )
    said = {
        **{column: shown[column] for column in _COMMON},
        "event": "flag",
        "event_id": flag.flag_id,
        "recorded_ms": milliseconds(flag.flagged_at),
        "verdict": flag.verdict.value,
        "label": flag.label.value,
        "comment": clean_comment(flag.comment),
        "reporter": flag.reporter,
        "answers_audit": flag.answers_audit,
    }
    return shown, _every_column(said)


def prediction_row(
    prediction: Prediction,
    *,
    node: str,
    consent_version: str,
    audit_asked: bool | None = None,
    audit_probability: float | None = None,
) -> Row:
    """Return the row of one prediction; equal but for node and consent wherever it is stored again.

    Raises
    ------
    FlagError
        A model's score is missing, or the transaction holds a value that JSON has no form for.
    """
    if missing := [model for model in MODELS if model not in prediction.scores]:
        raise FlagError(f"The prediction has no score of {missing[0]}.", code="no_score", field="scores")
    transaction_json = canonical_json(prediction.transaction, "transaction")
    history_json = None if prediction.history is None else canonical_json(prediction.history, "history")
    shown: Row = {
        "schema_version": SCHEMA_VERSION,
        "prediction_id": prediction.prediction_id,
        "node": node,
        "profile": prediction.profile,
        "content_digest": content_digest(prediction.profile, transaction_json, history_json),
        "consent_version": consent_version,
        "event": "prediction",
        "event_id": prediction.prediction_id,
        "recorded_ms": milliseconds(prediction.predicted_at),
        "transaction_json": transaction_json,
        "history_json": history_json,
        "latency_ms": float(prediction.latency_ms),
        **_score_columns(prediction),
        "model_version": prediction.model_version.version,
        "model_revision": prediction.model_version.revision,
        "manifest_digest": prediction.model_version.manifest_digest,
        "audit_asked": audit_asked,
        "audit_probability": audit_probability,
    }
    return _every_column(shown)


def is_kept(row: Mapping[str, object]) -> bool:
    """Return whether a row is a prediction that is kept for itself, by a consent and a receipt of its own."""
    return row.get("event") == "prediction" and str(row.get("consent_version")).startswith(KEPT)


def review_row(review: Review, *, node: str) -> Row:
    """Return the row of one review; FlagError for a note that `clean_comment` refuses."""
    return _every_column(
        {
            "schema_version": SCHEMA_VERSION,
            "event": "review",
            "event_id": review.review_id,
            "about_event_id": review.flag_id,
            "recorded_ms": milliseconds(review.reviewed_at),
            "node": node,
            "finding": review.finding.value,
            "comment": clean_comment(review.note),
            "reporter": review.reviewer,
        }
    )


def withdrawal_row(withdrawal: Withdrawal, *, node: str) -> Row:
    """Return the tombstone of a withdrawn flag or kept prediction: which, when and where, nothing else."""
    return _every_column(
        {
            "schema_version": SCHEMA_VERSION,
            "event": "withdrawal",
            "event_id": withdrawal.withdrawal_id,
            "about_event_id": withdrawal.flag_id,
            "recorded_ms": milliseconds(withdrawal.withdrawn_at),
            "node": node,
        }
    )


def clean_comment(comment: str) -> str:
    r"""Return a comment as it is stored: line ends as \n, nothing else changed.

    Raises
    ------
    FlagError
        More than 2,000 characters, or a control character other than a line end or a tab.
    """
    text = checked_text(comment.replace("\r\n", "\n").replace("\r", "\n"), "comment")
    if len(text) > MAX_COMMENT_LENGTH:
        raise FlagError(
            f"The comment has {len(text):,} characters; at most {MAX_COMMENT_LENGTH:,} are kept.",
            code="comment_too_long",
            field="comment",
            params={"length": len(text), "limit": MAX_COMMENT_LENGTH},
        )
    if any(unicodedata.category(character) == "Cc" and character not in "\n\t" for character in text):
        raise FlagError("The comment holds a control character.", code="comment_control", field="comment")
    return text


def milliseconds(moment: datetime) -> int:
    """Return epoch milliseconds; a time without a zone is refused, for nobody could say when it was."""
    if moment.tzinfo is None:
        raise FlagError("A time of the submission has no time zone.", code="naive_time", field="recorded_ms")
    elapsed = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (elapsed.days * 86_400 + elapsed.seconds) * 1_000 + elapsed.microseconds // 1_000


def _score_columns(prediction: Prediction) -> Row:
    columns: Row = {}
    for model in MODELS:
        score = prediction.scores[model]
        values = (
            float(score.fraud_probability),
            float(score.thresholds.review),
            float(score.thresholds.decline),
            score.decision.value,
        )
        columns.update({f"{model}_{name}": v for (name, _), v in zip(_PER_MODEL, values, strict=True)})
    return columns


def _every_column(values: Mapping[str, object]) -> Row:
    return {column: values.get(column) for column in COLUMNS}
