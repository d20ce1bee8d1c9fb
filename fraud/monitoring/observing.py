"""From rows of the feedback dataset to observations: predictions of a stretch of time and their labels."""

import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json

from fraud.data.profile import DAY_MS, Profile
from fraud.data.table import Coded, Transactions, transactions_from_frame
from fraud.data.validate import transactions_from_records, validate_transaction
from fraud.errors import FlagError, TableError, TransactionError
from fraud.feedback.events import COLUMNS, Event, PredictionEvent
from fraud.feedback.labels import Resolution
from fraud.feedback.parsing import parse_row
from fraud.feedback.trust import TrustPolicy, decide
from fraud.monitoring.observations import ModelAnswers, Observations
from fraud.monitoring.opinions import Standing
from fraud.records import (
    MODELS,
    Decision,
    Label,
    ModelVersion,
    Prediction,
    Score,
    Thresholds,
)

_VOTED_ON = ("event_id", "content_digest", "recorded_ms", *(f"{model}_probability" for model in MODELS))
_OBSERVED = (
    *_VOTED_ON,
    *("transaction_json", "model_version", "manifest_digest"),
    *("latency_ms", "audit_asked", "audit_probability"),
    *(f"{model}_decision" for model in MODELS),
)
_ROWS_AT_ONCE = 50_000
_SAID = tuple(name for name in COLUMNS if name not in ("transaction_json", "history_json"))
NEEDED = tuple(dict.fromkeys((*_SAID, "transaction_json")))
"""The columns of the schema that `observe` reads: all but the history that was sent along."""


ParseLines = Callable[[Iterable[list[str]], pa.Schema], Iterable[pa.Table]]
"""Returns the table that some lines of JSON are, for each list of lines, in their order."""


def parse_lines(lines: list[str], schema: pa.Schema) -> pa.Table:
    """Return JSON objects, one each line, as a table; pa.ArrowInvalid if one has another type."""
    options = pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    block = pa_json.ReadOptions(block_size=max(1 << 20, 8 * max(map(len, lines)) + 64))
    return pa_json.read_json(io.BytesIO("\n".join(lines).encode()), read_options=block, parse_options=options)


def parse_here(parts: Iterable[list[str]], schema: pa.Schema) -> Iterable[pa.Table]:
    """Parse one part after the other."""
    return (parse_lines(lines, schema) for lines in parts)


@dataclass(frozen=True)
class Observed:
    """What the dataset shows of a stretch of time, and what of it could not be used.

    Attributes
    ----------
    observations : the predictions, with what is known of each
    n_labels : predictions of the stretch with a label
    unused : reason -> number of predictions of the stretch that are left out
    """

    observations: Observations
    n_labels: int
    unused: Mapping[str, int]

    @property
    def unused_share(self) -> float:
        """The part of the stretch's predictions that is left out."""
        n_unused = sum(self.unused.values())
        return n_unused / (n_unused + len(self.observations)) if n_unused else 0.0


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first `days` in which a model answered, as far as they lie before a moment.

    `manifest_digest` tells the model; `version` does where a record has no digest.
    """

    version: str
    manifest_digest: str
    days: float
    before: datetime


@dataclass
class _FirstDays:
    """A model's first days, of tables in any order: all of a table, or what is still early enough."""

    wanted: Beginning
    parts: list[pa.Table] = field(default_factory=list)
    first_ms: int | None = None

    def add(self, table: pa.Table) -> None:
        wanted = self.wanted
        nameless = pc.fill_null(pc.equal(table["manifest_digest"], ""), True)
        named = pc.and_(nameless, pc.equal(table["model_version"], wanted.version))
        ours = pc.or_(pc.fill_null(pc.equal(table["manifest_digest"], wanted.manifest_digest), False), named)
        table = table.filter(pc.and_(ours, pc.less(table["recorded_ms"], _ms(wanted.before))))
        if not table.num_rows:
            return
        earliest = pc.min(table["recorded_ms"]).as_py()
        if self.first_ms is None or earliest < self.first_ms:
            self.first_ms = earliest
            self.parts = [self._early(part) for part in self.parts]
        self.parts.append(self._early(table))

    def _early(self, table: pa.Table) -> pa.Table:
        end_ms = (self.first_ms or 0) + round(self.wanted.days * DAY_MS)
        return table.filter(pc.less(table["recorded_ms"], end_ms))


class Known(NamedTuple):
    """What is known of a content: 1 fraud or 0 legitimate, and what that rests on."""

    label: float
    standing: Standing


NOTHING = Known(float("nan"), Standing.UNKNOWN)


def observe(
    tables: Iterable[pa.Table],
    profile: Profile,
    stretches: Mapping[str, tuple[datetime, datetime]],
    *,
    as_of: datetime,
    trust: TrustPolicy,
    beginnings: Mapping[str, Beginning] | None = None,
    parse: ParseLines = parse_here,
) -> dict[str, Observed]:
    """Return the predictions made in each stretch with the labels that were known at `as_of`.

    A label is what `trust.decide` makes of everything that was said of a content, so a monitoring run
    believes whom a retraining would, with one difference: a claim that a maintainer rejected is a label for
    its opposite (`known_labels`). What was withdrawn is not among the tables and counts for nothing.

    Parameters
    ----------
    tables : valid rows of the dataset at one revision, in the columns of the event schema, in any parts;
        read once, and no more is kept of them than is asked for, what was said, and who predicted what when
    stretches : name -> [start, end)
    beginnings : name -> the first days of a model, wherever in the log they are
    parse : reads the transactions' texts, here or elsewhere
    """
    said: list[Mapping[str, Any]] = []
    voted: list[pa.Table] = []
    seen: dict[str, list[pa.Table]] = {name: [] for name in stretches}
    first = {name: _FirstDays(wanted) for name, wanted in (beginnings or {}).items()}
    for table in tables:
        predicted = pc.equal(table["event"], "prediction")
        said += table.filter(pc.invert(predicted)).to_pylist()
        predictions = table.filter(predicted)
        voted.append(predictions.select(_VOTED_ON))
        ours = predictions.filter(pc.equal(predictions["profile"], profile.name)).select(_OBSERVED)
        for name, (start, end) in stretches.items():
            when = ours["recorded_ms"]
            inside = pc.and_(pc.greater_equal(when, _ms(start)), pc.less(when, _ms(end)))
            seen[name].append(ours.filter(inside))
        for days in first.values():
            days.add(ours)
    labels = _labels(said, voted, as_of, trust)
    answered = _answered(said, as_of)
    seen |= {name: days.parts for name, days in first.items()}
    found = {}
    for name in list(seen):  # each is let go before the next one is read
        parts = seen.pop(name)
        table = pa.concat_tables(parts) if parts else None
        del parts
        found[name] = _observed(table, labels, answered, profile, as_of, parse)
    return found


def _ms(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _answered(said: Sequence[Mapping[str, Any]], as_of: datetime) -> pa.Array:
    """Return id and content of the predictions of which somebody answered the question of the lot.

    Older flags do not say whether they do. A flag that names the prediction of another content answers none.
    """
    until_ms = _ms(as_of)
    flags = (row for row in said if row["event"] == "flag" and row["answers_audit"])
    known = {f"{f['prediction_id']} {f['content_digest']}" for f in flags if f["recorded_ms"] <= until_ms}
    return pa.array(known, pa.string())


def _labels(
    said: Sequence[Mapping[str, Any]], voted: Sequence[pa.Table], as_of: datetime, trust: TrustPolicy
) -> dict[str, Known]:
    """Return content digest -> what is known of it."""
    events: list[Event] = []
    for row in said:
        try:
            events.append(parse_row(row))
        except FlagError:  # the tables hold valid rows; one that this version cannot read says nothing
            continue
    flagged = pa.array({row["prediction_id"] for row in said if row["event"] == "flag"}, pa.string())
    for table in voted:
        for row in table.filter(pc.is_in(table["event_id"], flagged)).to_pylist():
            events.append(_what_was_shown(row))
    return known_labels(decide(events, trust, as_of=as_of), trust)


def known_labels(resolution: Resolution, trust: TrustPolicy) -> dict[str, Known]:
    """Return content digest -> label and what it rests on.

    Training leaves a rejected claim out. Here that would lose the answers that were wrong and keep the right
    ones, so what a maintainer rejected is taken to be its opposite.
    """
    known = {}
    for label in resolution.labels:
        confirmed = label.reviewed or label.weight >= trust.quorum_weight
        standing = Standing.CONFIRMED if confirmed else Standing.LONE
        known[label.content_digest] = Known(float(label.label is Label.FRAUD), standing)
    for dropped in resolution.dropped:
        if dropped.rejected is not None:
            opposite = float(dropped.rejected is not Label.FRAUD)
            known[dropped.content_digest] = Known(opposite, Standing.OVERTURNED)
    return known


def _what_was_shown(row: Mapping[str, Any]) -> PredictionEvent:
    """Return as much of a prediction as votes on it are weighed by."""
    nowhere = Thresholds(1.0, 1.0)
    scores = {m: Score(m, row[f"{m}_probability"], nowhere, Decision.APPROVE) for m in MODELS}
    made_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=row["recorded_ms"])
    prediction = Prediction(
        prediction_id=row["event_id"],
        predicted_at=made_at,
        profile="",
        transaction={},
        history=None,
        scores=scores,
        model_version=ModelVersion("", None, ""),
        latency_ms=0.0,
    )
    return PredictionEvent(row["event_id"], "", row["content_digest"], "", prediction)


def _observed(
    seen: pa.Table | None,
    labels: Mapping[str, Known],
    answered: pa.Array,
    profile: Profile,
    as_of: datetime,
    parse: ParseLines,
) -> Observed:
    unused: Counter[str] = Counter()
    if seen is None:
        seen = pa.table({name: pa.array([], _type_of(name)) for name in _OBSERVED})
    seen = seen.take(pc.sort_indices(seen, [("recorded_ms", "ascending"), ("event_id", "ascending")]))
    transactions, fits = _transactions(seen["transaction_json"], profile, as_of, parse)
    if not fits.all():
        unused["cannot be read by the profile"] = int((~fits).sum())
        seen = seen.filter(pa.array(fits))
    found = [labels.get(digest, NOTHING) for digest in seen["content_digest"].to_pylist()]
    known = np.array([item.label for item in found], np.float64)
    asked = _booleans(seen["audit_asked"])
    questions = pc.binary_join_element_wise(seen["event_id"], seen["content_digest"], " ")
    observations = Observations(
        predicted_ms=_floats(seen["recorded_ms"]).astype(np.int64),
        version=_coded(seen["model_version"]),
        digest=_coded(seen["manifest_digest"]),
        answers={
            model: ModelAnswers(
                _floats(seen[f"{model}_probability"]),
                ~_booleans(pc.equal(seen[f"{model}_decision"], Decision.APPROVE.value)),
            )
            for model in MODELS
        },
        labels=known,
        standing=np.array([item.standing for item in found], np.int8),
        volunteered=np.isfinite(known) & ~(asked & _booleans(pc.is_in(questions, answered))),
        audit_asked=asked,
        audit_probability=_floats(seen["audit_probability"]),
        latency_ms=_floats(seen["latency_ms"]),
        transactions=transactions,
    )
    return Observed(observations, int(np.isfinite(known).sum()), dict(unused))


def _type_of(name: str) -> pa.DataType:
    from fraud.feedback.parquet import arrow_schema

    return arrow_schema().field(name).type


def _floats(column: pa.ChunkedArray) -> Any:
    """Return float64 [n], NaN where null."""
    return pc.fill_null(pc.cast(column, pa.float64()), float("nan")).to_numpy()


def _booleans(column: pa.ChunkedArray) -> Any:
    """Return bool [n], False where null."""
    return pc.fill_null(column, False).to_numpy().astype(bool)


def _coded(column: pa.ChunkedArray) -> Coded:
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    return Coded(codes.astype(np.int32), tuple(encoded.dictionary.to_pylist()))


def _transactions(
    texts: pa.ChunkedArray, profile: Profile, as_of: datetime, parse: ParseLines
) -> tuple[Transactions, Any]:
    """Return the transactions row by row, and bool [n], which of the texts could be read.

    All are read column-wise at once; only where that is refused is each looked at by itself.
    """
    profile = _lenient(profile)
    try:
        return _by_column(texts, profile, parse), np.ones(len(texts), bool)
    except (TableError, pa.ArrowInvalid):
        return _one_by_one(texts, profile, as_of)


def _lenient(profile: Profile) -> Profile:
    """Return a profile of the same columns that takes any value of their kind.

    Rules that have changed, and columns that broke upstream, are what monitoring is there to see.
    """
    changes = {"required": False, "minimum": None, "maximum": None, "integer": False}
    fields = tuple(
        field.model_copy(update=changes | {"open_levels": field.kind == "category"})
        for field in profile.fields
    )
    return profile.model_copy(update={"fields": fields})


def _by_column(texts: pa.ChunkedArray, profile: Profile, parse: ParseLines) -> Transactions:
    if len(texts) == 0:
        return transactions_from_records(profile, [])
    # The texts of all at once would be there three times.
    starts = range(0, len(texts), _ROWS_AT_ONCE)
    lines = (texts.slice(start, _ROWS_AT_ONCE).to_pylist() for start in starts)
    parts = list(parse(lines, _schema(profile)))
    found = transactions_from_frame(pa.concat_tables(parts).to_pandas(), profile)
    return found.take(np.argsort(found.rows, kind="stable"))  # as they were predicted, not as they occurred


def _schema(profile: Profile) -> pa.Schema:
    roles = profile.columns
    types: dict[str, pa.DataType] = dict.fromkeys(profile.text_columns, pa.string())
    for one in profile.fields:
        if one.kind != "category":
            kinds = {"number": pa.float64(), "boolean": pa.bool_(), "date": pa.string()}
            types[one.column] = kinds[one.kind]
    if roles.time is not None:
        types[roles.time] = pa.string() if roles.time_step_ms is None else pa.float64()
    if roles.id is not None:
        types[roles.id] = pa.string()
    return pa.schema(list(types.items()))


def _one_by_one(texts: pa.ChunkedArray, profile: Profile, as_of: datetime) -> tuple[Transactions, Any]:
    records: list[Mapping[str, Any]] = []
    fits = np.zeros(len(texts), bool)
    for position, text in enumerate(texts.to_pylist()):
        try:
            records.append(validate_transaction(profile, json.loads(text), as_of))
        except TransactionError:
            continue
        fits[position] = True
    found = transactions_from_records(profile, records)
    return found.take(np.argsort(found.rows, kind="stable")), fits
