"""How both models' answers respond when one field of a transaction moves and everything else stays."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import InputField, Profile
from fraud.errors import TransactionError
from fraud.records import Prediction, Thresholds
from fraud.serving.scorer import Scorer

N_POINTS = 40
"""Values on the way of a number: enough for a curve, and one batch for the models."""
_MAX_LEVELS = 16
_SAMPLE = 5_000
_USUAL = (0.005, 0.995)
_WIDE = 50.0
"""From this ratio of its ends on, a number's way is geometric."""


@dataclass(frozen=True)
class Response:
    """Both models' answers along one field.

    Attributes
    ----------
    column : the field that moves
    values : n values of it, canonical; ordered where the field has an order
    ordered : whether there is something between two neighbours
    geometric : whether the values are spread evenly by their ratio
    probabilities : model -> float64 [n], calibrated
    thresholds : model -> its cut-offs
    here : the position of the transaction's own value
    """

    column: str
    values: tuple[Any, ...]
    ordered: bool
    geometric: bool
    probabilities: Mapping[str, NDArray[np.float64]]
    thresholds: Mapping[str, Thresholds]
    here: int


def movable(profile: Profile) -> list[str]:
    """Return the columns that can be moved: what a person enters and a model sees, and the time."""
    columns = [f.column for f in profile.fields if f.feature and f.kind != "date"]
    timed = profile.columns.time is not None and profile.columns.time_unit == "datetime"
    return [*columns, profile.columns.time] if timed and profile.columns.time is not None else columns


def respond(scorer: Scorer, prediction: Prediction, column: str) -> Response:
    """Return how the answers to a prediction's transaction respond to one of its fields.

    Raises
    ------
    TransactionError
        The column cannot be moved.
    """
    profile, own = scorer.bundle.profile, prediction.transaction.get(column)
    if column not in movable(profile):
        raise TransactionError(
            f'"{column[:64]}" is not a field that can be moved; choose one of the listed fields.',
            code="unmovable",
            field=column[:64],
        )
    geometric = False
    field = profile.by_column.get(column)
    if field is None:
        values: Sequence[Any] = _times_of_day(str(own), prediction.predicted_at)
    elif field.kind == "number":
        low, high = _range(scorer, field, own)
        geometric = low > 0 and high > _WIDE * low
        values = _numbers(field, low, high, own, geometric=geometric)
    else:
        values = _levels(scorer, field, own)
    records = [{**prediction.transaction, column: value} for value in values]
    probabilities = scorer.probabilities(records, prediction.history)
    return Response(
        column=column,
        values=tuple(values),
        ordered=field is None or field.kind == "number",
        geometric=geometric,
        probabilities=probabilities,
        thresholds={name: model.thresholds for name, model in scorer.bundle.models.items()},
        here=list(values).index(own),
    )


def _range(scorer: Scorer, field: InputField, own: object) -> tuple[float, float]:
    """Return between which ends a number usually lies in the past, the transaction's own among them."""
    known = np.empty(0)
    if scorer.past is not None and field.column in scorer.past.numbers:
        column = scorer.past.numbers[field.column]
        known = column[:: max(1, len(column) // _SAMPLE)]
    else:
        examples = [e["transaction"].get(field.column) for e in scorer.examples.get("examples", [])]
        known = np.array([float(v) for v in examples if isinstance(v, int | float)])
    known = known[np.isfinite(known)]
    ends = [float(own)] if isinstance(own, int | float) else []
    ends += [float(v) for v in np.quantile(known, _USUAL)] if len(known) else []
    ends += [bound for bound in (field.minimum, field.maximum) if bound is not None] if len(ends) < 2 else []
    return (min(ends), max(ends)) if ends else (0.0, 1.0)


def _numbers(
    field: InputField, low: float, high: float, own: object, *, geometric: bool
) -> Sequence[float | int | None]:
    """Return a number's values in order; a missing own value stands before them."""
    spread = np.geomspace if geometric else np.linspace
    steps = {_rounded(float(v), field, high - low) for v in spread(low, high, N_POINTS)}
    steps = {v for v in steps if _allowed(field, v)}
    if isinstance(own, int | float):
        return sorted({*steps, own})
    return [None, *sorted(steps)]


def _rounded(value: float, field: InputField, span: float) -> float | int:
    if field.integer:
        return round(value)
    digits = 2 if span <= 0 else max(0, 3 - math.floor(math.log10(span)))
    return round(value, min(digits, 6))


def _allowed(field: InputField, value: float) -> bool:
    above = field.minimum is None or value >= field.minimum
    return above and (field.maximum is None or value <= field.maximum)


def _levels(scorer: Scorer, field: InputField, own: object) -> Sequence[object]:
    if field.kind == "boolean":
        levels: list[object] = [False, True]
    elif not field.open_levels:
        levels = list(field.levels)
    else:
        seen: Counter[str] = Counter()
        if scorer.past is not None:
            column = scorer.past.texts[field.column]
            codes = column.codes[:: max(1, len(column.codes) // _SAMPLE)]
            seen.update(str(column.values[code]) for code in codes[codes >= 0])
        levels = [*field.levels, *(level for level, _ in seen.most_common(_MAX_LEVELS))]
        levels = sorted(dict.fromkeys(levels), key=str)[:_MAX_LEVELS]
    return levels if own in levels else [*levels, own]


def _times_of_day(own: str, newest: datetime) -> list[str]:
    """Return half-hours of the transaction's own day up to the present, and its own moment, in order."""
    moment = datetime.fromisoformat(own)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    halves = [midnight + timedelta(minutes=30 * i) for i in range(48)]
    return [
        own if m == moment else m.isoformat() for m in sorted({*halves, moment}) if m <= newest or m == moment
    ]
