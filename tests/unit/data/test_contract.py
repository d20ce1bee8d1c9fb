"""The JSON Schema of a transaction says what the rules say."""

from datetime import UTC, datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from fraud.data.contract import transaction_schema
from fraud.data.profile import load_profile
from fraud.data.simulate import simulate
from fraud.data.validate import validate_transaction
from fraud.errors import TransactionError

NOW = datetime(2027, 1, 1, tzinfo=UTC)
CARDS = load_profile("cards")
SCHEMA = Draft202012Validator(transaction_schema(CARDS))
REMOVED = object()


def one() -> dict[str, Any]:
    row = simulate(200, days=1).iloc[0]
    kept = {name: row[name] for name in SCHEMA.schema["properties"]}
    return {n: v.item() if hasattr(v, "item") else v for n, v in kept.items()} | {
        "occurred_at": row["occurred_at"].isoformat()
    }


def refused(transaction: dict[str, Any]) -> bool:
    try:
        validate_transaction(CARDS, transaction, NOW)
    except TransactionError:
        return True
    return False


@pytest.mark.parametrize("name", ["cards", "handbook", "sparkov", "ulb"])
def test_every_profiles_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(transaction_schema(load_profile(name)))


@pytest.mark.parametrize("changes", [{}, {"transaction_id": None}, {"card_id": None}, {"cardholder_age": 42}])
def test_what_the_schema_takes_is_taken(changes: dict[str, Any]) -> None:
    transaction = one() | changes
    assert SCHEMA.is_valid(transaction) and not refused(transaction)


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": REMOVED},
        {"occurred_at": REMOVED},
        {"amount": None},
        {"amount": 0},
        {"amount": 50_000.01},
        {"amount": [12]},
        {"cardholder_age": 40.5},
        {"channel": "carrier pigeon"},
        {"card_id": "x" * 65},
        {"occurred_at": 12},
        {"colour": "blue"},
    ],
)
def test_what_the_rules_refuse_the_schema_refuses(changes: dict[str, Any]) -> None:
    transaction = {n: v for n, v in (one() | changes).items() if v is not REMOVED}
    assert not SCHEMA.is_valid(transaction) and refused(transaction)
