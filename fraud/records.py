"""The nouns of the domain. Immutable, plain, and free of any library."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

MODELS = ("random_forest", "xgboost")
"""The two models that always stand side by side, in the order in which they are shown."""


class Label(StrEnum):
    """What a transaction was. A missing label is None: unknown, never legitimate."""

    FRAUD = "fraud"
    LEGITIMATE = "legitimate"


class Decision(StrEnum):
    """What is done with a transaction, from least to most severe."""

    APPROVE = "approve"
    REVIEW = "review"
    DECLINE = "decline"


class Verdict(StrEnum):
    """A user's word on a prediction."""

    RIGHT = "right"
    WRONG = "wrong"


class Finding(StrEnum):
    """What a maintainer found about a flag: it holds, it does not, or nobody can tell."""

    ACCEPT = "accept"
    REJECT = "reject"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Cut-offs on a calibrated fraud probability: [review, decline) is reviewed, the rest above declined."""

    review: float
    decline: float

    def decide(self, fraud_probability: float) -> Decision:
        """Return the decision for one calibrated probability."""
        if fraud_probability >= self.decline:
            return Decision.DECLINE
        return Decision.REVIEW if fraud_probability >= self.review else Decision.APPROVE


@dataclass(frozen=True, slots=True)
class Score:
    """One model's answer for one transaction."""

    model: str
    fraud_probability: float
    thresholds: Thresholds
    decision: Decision


@dataclass(frozen=True, slots=True)
class Reason:
    """One feature's share of one model's raw output (exact path-dependent TreeSHAP)."""

    feature: str
    value: float | str | None
    contribution: float


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """What was serving: the released version, and its registry revision (None: shipped artifacts)."""

    version: str
    revision: str | None
    manifest_digest: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """Both models' scores for one transaction. `transaction` maps profile columns to JSON values.

    `audit_probability` is the chance with which its sender was to be asked what it was, whatever they think,
    and `audit_asked` whether the draw fell on it; None where no audit sample was drawn.
    """

    prediction_id: str
    predicted_at: datetime
    profile: str
    transaction: Mapping[str, object]
    history: tuple[Mapping[str, object], ...] | None
    scores: Mapping[str, Score]
    model_version: ModelVersion
    latency_ms: float
    audit_asked: bool | None = None
    audit_probability: float | None = None

    @property
    def agree(self) -> bool:
        """Whether both models reach the same decision."""
        return len({score.decision for score in self.scores.values()}) == 1


@dataclass(frozen=True, slots=True)
class Flag:
    """A user's word on one prediction: right, or wrong and what the transaction was.

    `answers_audit`: whether it answers the question that the lot of the audit sample put to its sender, or
    was volunteered; None in records from before this was kept.
    """

    flag_id: str
    flagged_at: datetime
    prediction_id: str
    verdict: Verdict
    label: Label
    comment: str
    consent_version: str
    reporter: str
    answers_audit: bool | None = None


@dataclass(frozen=True, slots=True)
class Review:
    """A maintainer's finding on one flag; `reviewer` is a pseudonym, as `reporter` is."""

    review_id: str
    reviewed_at: datetime
    flag_id: str
    finding: Finding
    note: str
    reviewer: str


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Consent taken back: the flag that it names, and what was shown with it, is kept no longer."""

    withdrawal_id: str
    withdrawn_at: datetime
    flag_id: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that a submission survives a crash; `revision` is set once it is in the dataset repository.

    `withdrawn`: its content was taken back since, and is gone from the head or will be with the next commit.
    """

    receipt_id: str
    saved_at: datetime
    revision: str | None = None
    withdrawn: bool = False

    @property
    def committed(self) -> bool:
        """Whether the submission is part of a dataset revision."""
        return self.revision is not None
