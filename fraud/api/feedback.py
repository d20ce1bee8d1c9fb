"""The routes of feedback: a word on a prediction, its receipt, and taking it back."""

import json
from datetime import datetime
from typing import Annotated, Literal

from fastapi import FastAPI, Header, Request
from pydantic import BaseModel, ConfigDict, Field

from fraud.feedback.request_keys import request_key
from fraud.records import Receipt
from fraud.service import CONSENT_VERSION, FraudService

_KEY_WORDS = (
    "A new UUID for every new request: 8 to 128 letters, digits or any of ._~:+/=-. The same request with "
    "the same key again, within 24 hours, is answered with the first receipt and keeps nothing twice; "
    "another request with a used key is refused (422)."
)


class FlagRequest(BaseModel):
    """A person's word on one prediction."""

    model_config = ConfigDict(extra="forbid")

    prediction_id: str = Field(max_length=64)
    verdict: Literal["right", "wrong"]
    label: Literal["fraud", "legitimate"] = Field(description="What the transaction was.")
    comment: str = Field(default="", description="At most 2,000 characters.")
    consent: bool = Field(description=f"Agreement to keep what wording {CONSENT_VERSION} names.")
    answers_audit: bool = Field(
        default=False,
        description="True only if the prediction came with `audit_asked` and your user was therefore asked "
        "what it was, whatever they thought of it. Leave it out for whatever they reported by themselves: "
        "how well the models do is reckoned from answers to the lot alone.",
    )
    reporter: str = Field(
        default="",
        max_length=200,
        description="Anything that tells your users apart. Only a keyed hash of it is kept; without it, one "
        "of the network address, so that all who share an address count as one person.",
    )


class WithdrawalRequest(BaseModel):
    """Consent taken back for one flag, or for one kept prediction."""

    model_config = ConfigDict(extra="forbid")

    receipt_id: str = Field(max_length=64, description="A flag's receipt, or a kept prediction's id.")


class ReceiptAnswer(BaseModel):
    """Where a flag is now: saved, then committed at a dataset revision, or withdrawn since.

    The last three are told once it is committed, by GET alone.
    """

    receipt_id: str
    state: Literal["saved", "committed", "withdrawn"]
    saved_at: datetime
    revision: str | None
    reviewed: Literal["accept", "reject", "unsure"] | None = Field(
        default=None, description="What a maintainer found."
    )
    used_in: str | None = Field(default=None, description="The first model version that was trained on it.")
    not_used_because: str | None = Field(default=None, description="Why no version was, in plain words.")


def add_feedback(app: FastAPI, service: FraudService) -> None:
    """Add the routes of feedback."""

    @app.post("/v1/flags", status_code=201)
    def flag(
        request: FlagRequest,
        http: Request,
        idempotency_key: Annotated[str | None, Header(description=_KEY_WORDS)] = None,
    ) -> ReceiptAnswer:
        """Keep a word on a prediction; answered once it survives a crash."""
        address = _address_of(http)
        # What came later is left out where it says nothing, so that a key outlasts an update of the demo.
        later = set() if request.answers_audit else {"answers_audit"}
        said = request.model_dump(exclude=later)
        sent = json.dumps(said, sort_keys=True).encode()  # ASCII: half a surrogate pair too
        receipt = service.flag(
            request.prediction_id,
            request.verdict,
            label=request.label,
            comment=request.comment,
            consent=request.consent,
            session=request.reporter or address,
            address=address,
            answers_audit=request.answers_audit,
            request_key=None if idempotency_key is None else request_key(idempotency_key, sent),
        )
        return _receipt_answer(receipt)

    @app.post("/v1/withdrawals", status_code=201)
    def withdraw(request: WithdrawalRequest, http: Request) -> ReceiptAnswer:
        """Take back consent to keep a flag and what was shown with it; again gives the same receipt."""
        return _receipt_answer(service.withdraw(request.receipt_id, _address_of(http)))

    @app.get("/v1/flags/{receipt_id}")
    def receipt(receipt_id: str) -> ReceiptAnswer:
        """Return where a flag is now, or a kept prediction by its id."""
        found = service.whereabouts(receipt_id)
        answer = _receipt_answer(found.receipt)
        answer.reviewed = None if found.reviewed is None else found.reviewed.value
        answer.used_in = found.used_in
        answer.not_used_because = None if found.unused is None else str(found.unused)
        return answer


def _address_of(http: Request) -> str:
    """Return the network address a request came from; only the server decides which proxy to believe."""
    return http.client.host if http.client else ""


def _receipt_answer(receipt: Receipt) -> ReceiptAnswer:
    return ReceiptAnswer(
        receipt_id=receipt.receipt_id,
        state="withdrawn" if receipt.withdrawn else "committed" if receipt.committed else "saved",
        saved_at=receipt.saved_at,
        revision=receipt.revision,
    )
