"""Flagging rows of a scored table: each as if somebody had entered it, with the same consent and receipt."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fraud.errors import FraudError, RateLimited
from fraud.flag_rules import checked_answer
from fraud.records import Receipt, Verdict
from fraud.service import FraudService
from fraud.tables.scored import ScoredTable
from fraud.ui.flagging import implied_label
from fraud.ui.form import moment_of

MAX_FLAGS = 20
_MAX_PAST = 200


@dataclass(frozen=True, slots=True)
class RowFlag:
    """What became of one row: its receipt, or why there is none."""

    position: int
    row: int
    receipt: Receipt | None = None
    problem: FraudError | None = None


def flag_rows(
    service: FraudService,
    table: ScoredTable,
    positions: Sequence[int],
    *,
    label: str | None,
    comment: str,
    consent: bool,
    session: str,
    address: str,
) -> list[RowFlag]:
    """Score each row by itself, with its card's past, and keep what a person says it was.

    The row is scored again because a flag is about one prediction with its own inputs: the dataset keeps the
    card's past that the models saw, and the next training computes the same features from it.

    Raises
    ------
    FlagError
        No consent or no label; nothing was kept.
    """
    _, truth = checked_answer(Verdict.RIGHT, label, consent=consent)
    found: list[RowFlag] = []
    for position in positions:
        row = int(table.rows[position])
        try:
            transaction = table.transaction(position)
            prediction = service.score(transaction, _past(service, table, position, transaction))
            verdict = Verdict.RIGHT
            if implied_label(prediction, Verdict.RIGHT) is not truth:
                verdict = Verdict.WRONG
            receipt = service.flag(
                prediction.prediction_id,
                verdict,
                label=truth,
                comment=comment,
                consent=consent,
                session=session,
                address=address,
            )
            found.append(RowFlag(position, row, receipt))
        except FraudError as error:
            found.append(RowFlag(position, row, problem=error))
            if isinstance(error, RateLimited):  # the others would be refused too
                break
    return found


def _past(
    service: FraudService, table: ScoredTable, position: int, transaction: dict[str, Any]
) -> list[dict[str, Any]] | None:
    """Return the card's past: what is known here and the earlier rows of the table; None if they add none."""
    profile = service.profile
    main, time = profile.main_entity, profile.columns.time
    if main is None or time is None or not transaction.get(main.column):
        return None
    now = _moment(service, transaction[time])
    own = [table.transaction(p) for p in table.same_entity(position, _MAX_PAST)]
    own = [one for one in own if _moment(service, one[time]) < now]
    if not own:
        return None
    known = {str(one.get(profile.columns.id or "")): one for one in own}
    past = [dict(one) for one in service.past_of(str(transaction[main.column]), _MAX_PAST)]
    identified = profile.columns.id is not None
    others = [p for p in past if not identified or str(p.get(profile.columns.id or "")) not in known]
    return [*others, *own]


def _moment(service: FraudService, value: Any) -> datetime:
    return moment_of(service.profile, value)
