"""What a person's word on a prediction must hold, and must not contradict."""

from fraud.errors import FlagError
from fraud.records import Decision, Label, Prediction, Verdict


def checked_answer(verdict: str, label: str | None, *, consent: bool) -> tuple[Verdict, Label]:
    """Return what was said; FlagError without consent, a known verdict and a known label."""
    if consent is not True:
        raise FlagError(
            "Your answer can only be kept with your consent; tick the consent box and send it again.",
            code="no_consent",
            field="consent",
        )
    if verdict not in set(Verdict):
        raise FlagError('verdict must be "right" or "wrong".', code="verdict", field="verdict")
    if label is None or label not in set(Label):
        raise FlagError(
            'label must say what the transaction was, "fraud" or "legitimate".',
            code="label",
            field="label",
        )
    return Verdict(verdict), Label(label)


def require_consistent(prediction: Prediction, verdict: Verdict, label: Label) -> None:
    """Refuse "right" where neither model said so, and "wrong" where both did."""
    alerts = {score.decision is not Decision.APPROVE for score in prediction.scores.values()}
    agreeing = (label is Label.FRAUD) in alerts
    if verdict is Verdict.RIGHT and not agreeing:
        raise FlagError(
            "You called the answer right, but neither model said what you say the transaction was; "
            "call it wrong, or correct what it was.",
            code="contradiction",
            field="verdict",
        )
    if verdict is Verdict.WRONG and agreeing and len(alerts) == 1:
        raise FlagError(
            "You called the answer wrong, but both models said what you say the transaction was; "
            "call it right, or correct what it was.",
            code="contradiction",
            field="verdict",
        )
