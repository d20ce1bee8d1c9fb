"""Point-in-time aggregates: what an entity's past said at the moment of a transaction.

Only events strictly before the transaction count, and only labels that were known by then, so a later
transaction can never change an earlier row. Sums are kept in whole hundredths, which makes a window's sum
the same to the last bit whether it was computed from a year of events or from a card's last ten.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import DAY_MS, HistoryAggregate, Profile, window_ms
from fraud.data.table import NEVER_MS, Coded, Transactions
from fraud.features import kernels

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]
HOUR_MS = 3_600_000
PRIOR_ROWS = 10
"""`risk` is frauds / (known + this): a rate that one fraud at an entity hardly known cannot take to 1."""
MIN_FOR_SPREAD = 3
_CODES = {
    "count": kernels.COUNT,
    "sum": kernels.SUM,
    "mean": kernels.MEAN,
    "ratio": kernels.RATIO,
    "zscore": kernels.ZSCORE,
    "variation": kernels.VARIATION,
    "max_ratio": kernels.MAX_RATIO,
    "n_frauds": kernels.N_FRAUDS,
    "fraud_rate": kernels.FRAUD_RATE,
    "risk": kernels.RISK,
}
_OF_AMOUNT = {"ratio", "zscore", "max_ratio"}


@dataclass(frozen=True)
class EntityIndex:
    """The events of one grouping (say, of each card), laid out for look-ups by time.

    `keys` are the sorted group keys, composed of the positions of the `by` columns' texts in `vocabularies`;
    `values` are those texts, in the order of their positions.
    """

    by: tuple[str, ...]
    vocabularies: tuple[Mapping[str, int], ...]
    values: tuple[tuple[str, ...], ...]
    keys: I64
    offsets: I64
    times: I64
    cents: I64
    latitude: F64 | None
    longitude: F64 | None
    known_offsets: I64
    known_times: I64
    frauds: I64

    def groups(self, transactions: Transactions) -> I64:
        """Return each transaction's group, -1 where the entity is missing or was never seen."""
        if len(transactions) == 1:
            return np.array([self._group_of(transactions)], np.int64)
        key, missing = _compose(
            [
                _translate(transactions.texts[name], values, vocabulary)
                for name, values, vocabulary in zip(self.by, self.values, self.vocabularies, strict=True)
            ],
            [len(v) for v in self.vocabularies],
        )
        if not len(self.keys):
            return np.full(len(transactions), -1, np.int64)
        position = np.searchsorted(self.keys, key)
        position = np.minimum(position, len(self.keys) - 1)
        return np.where((self.keys[position] == key) & ~missing, position, -1)

    def _group_of(self, transaction: Transactions) -> int:
        """Return what `groups` does for one transaction, without making arrays of one."""
        key = 0
        for name, vocabulary in zip(self.by, self.vocabularies, strict=True):
            column = transaction.texts[name]
            code = int(column.codes[0])
            known = vocabulary.get(column.values[code]) if code >= 0 else None
            if known is None:
                return -1
            key = key * (len(vocabulary) + 1) + known
        position = int(self.keys.searchsorted(key))
        return position if position < len(self.keys) and self.keys[position] == key else -1


def _translate(column: Coded, values: tuple[str, ...], vocabulary: Mapping[str, int]) -> I64:
    if column.values is values:  # rows of the indexed table itself, as all blocks of a scored file are
        return column.codes.astype(np.int64)
    lookup = np.array([vocabulary.get(value, -1) for value in column.values] + [-1], np.int64)
    return lookup[column.codes]


def _compose(codes: Sequence[I64], sizes: Sequence[int]) -> tuple[I64, NDArray[np.bool_]]:
    key = np.zeros(len(codes[0]), np.int64)
    missing = np.zeros(len(codes[0]), bool)
    for code, size in zip(codes, sizes, strict=True):
        key = key * (size + 1) + code
        missing |= code < 0
    return key, missing


def build_index(transactions: Transactions, by: tuple[str, ...], profile: Profile) -> EntityIndex:
    """Return the index of `transactions` (ordered by time) grouped by the texts of the `by` columns."""
    columns = [transactions.texts[name] for name in by]
    vocabularies = tuple({value: i for i, value in enumerate(c.values)} for c in columns)
    key, missing = _compose([c.codes.astype(np.int64) for c in columns], [len(v) for v in vocabularies])
    rows = np.flatnonzero(~missing)
    n_keys = int(np.prod([len(v) + 1 for v in vocabularies], dtype=np.int64))
    rows = rows[_sorted_by(key[rows], n_keys)]  # the table is ordered by time, so each group is too
    keys, starts = np.unique(key[rows], return_index=True)
    times = transactions.times()[rows]
    delay_ms = int(profile.features.label_delay_days * DAY_MS)
    known_offsets, known_times, frauds = _known_labels(transactions, rows, key[rows], keys, delay_ms)
    position = profile.features.position
    amount = profile.columns.amount
    cents = np.zeros(len(rows), np.int64)
    if amount is not None:
        cents = np.round(np.nan_to_num(transactions.numbers[amount][rows]) * 100).astype(np.int64)
    return EntityIndex(
        by=by,
        vocabularies=vocabularies,
        values=tuple(column.values for column in columns),
        keys=keys,
        offsets=np.append(starts, len(rows)).astype(np.int64),
        times=times,
        cents=_running(cents),
        latitude=None if position is None else transactions.numbers[position[0]][rows],
        longitude=None if position is None else transactions.numbers[position[1]][rows],
        known_offsets=known_offsets,
        known_times=known_times,
        frauds=frauds,
    )


def _running(values: I64) -> I64:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(values, dtype=np.int64)])


def _known_labels(
    transactions: Transactions, rows: I64, key: I64, keys: I64, delay_ms: int
) -> tuple[I64, I64, I64]:
    """Return offsets, times and running frauds of what became known, in its order.

    A fraud reported after the label delay became known twice: once the delay had passed without a report it
    counted as legitimate like any other, and at its report as a fraud. Counting it once, at the report, would
    tell earlier rows by its absence that a report was still to come.
    """
    moments, labels = transactions.known_at_ms[rows], transactions.labels[rows]
    matured = transactions.times()[rows] + delay_ms
    known = moments != NEVER_MS
    late = known & (labels == 1) & (moments > matured)
    moments = np.concatenate([moments[known], matured[late]])
    frauds = np.concatenate([labels[known], np.zeros(int(late.sum()))]).astype(np.int64)
    key = np.concatenate([key[known], key[late]])
    if ((moments[1:] < moments[:-1]) & (key[1:] == key[:-1])).any() or late.any():
        order = np.lexsort((moments, key))  # a constant delay needs no sorting
        moments, key, frauds = moments[order], key[order], frauds[order]
    offsets = np.append(np.searchsorted(key, keys), len(key)).astype(np.int64)
    return offsets, moments, _running(frauds)


class History:
    """The past that features are computed from: one index per grouping the profile asks for."""

    def __init__(self, profile: Profile, indexes: Mapping[tuple[str, ...], EntityIndex]) -> None:
        self.profile = profile
        self._indexes = dict(indexes)

    @classmethod
    def of(
        cls, transactions: Transactions, profile: Profile, threads: ThreadPoolExecutor | None = None
    ) -> "History":
        """Index all groupings of a profile over a table ordered by time; on `threads` if there are."""
        groupings = list(dict.fromkeys(aggregate.by for aggregate in profile.features.history))
        run = map if threads is None else threads.map
        indexes = run(lambda by: build_index(transactions, by, profile), groupings)
        return cls(profile, dict(zip(groupings, indexes, strict=True)))

    def with_main_entity(self, past: Transactions) -> "History":
        """Return a history in which `past` replaces everything known of the main entity's own past."""
        main = self.profile.main_entity
        if main is None:
            return self
        own = {by for by in self._indexes if main.column in by}
        return History(
            self.profile,
            {by: build_index(past, by, self.profile) if by in own else i for by, i in self._indexes.items()},
        )

    def features(self, transactions: Transactions) -> dict[str, F64]:
        """Return every history feature of `transactions`, name -> float64 [n], in the profile's order."""
        amount_column = self.profile.columns.amount
        amount = None if amount_column is None else transactions.numbers[amount_column]
        columns: dict[str, F64] = {}
        groups = {by: index.groups(transactions) for by, index in self._indexes.items()}
        for aggregate in self.profile.features.history:
            index, group = self._indexes[aggregate.by], groups[aggregate.by]
            columns |= _windows(aggregate, index, group, transactions.times(), amount)
            columns |= _since_last(aggregate, index, group, transactions, self.profile)
        return columns


def history_names(aggregate: HistoryAggregate) -> list[str]:
    """Return the names of one aggregate's features, in the order in which they are computed."""
    prefix = "_".join(aggregate.by)
    names = [f"{prefix}_{f}_{w}" for w in aggregate.windows for f in aggregate.functions]
    return names + [f"{prefix}_{f}_since_last" for f in aggregate.last]


def _windows(
    aggregate: HistoryAggregate, index: EntityIndex, group: I64, moment: I64, amount: F64 | None
) -> dict[str, F64]:
    if not aggregate.windows:
        return {}
    lengths = np.array([window_ms(w) for w in aggregate.windows], np.int64)
    wanted = set(aggregate.functions)
    none = np.zeros((len(lengths), 0), np.int64)
    sums = _Sums(none, none, none, none, none, none.astype(np.float64))
    order = _sorted_by(group, len(index.keys))
    events = (index.offsets, index.times, index.cents, group, moment, lengths, order)
    if wanted & {"count", "sum", "mean", "ratio", "zscore", "variation"}:
        sums.counts, sums.cents = kernels.window_sums(*events)
    if wanted & {"zscore", "variation", "max_ratio"}:
        sums.squares, sums.largest = kernels.window_spread(*events)
    if wanted & {"fraud_rate", "n_frauds", "risk"}:
        # Labels count by when they became known: [t - w, t) of knowledge, whatever the time of the event.
        sums.known, sums.frauds = kernels.window_sums(
            index.known_offsets, index.known_times, index.frauds, group, moment, lengths, order
        )
    own = amount if amount is not None and wanted & _OF_AMOUNT else np.zeros(0)
    codes = np.array([_CODES[function] for function in aggregate.functions], np.int64)
    values = kernels.window_values(
        codes,
        sums.counts,
        sums.cents,
        sums.squares,
        sums.largest,
        sums.known,
        sums.frauds,
        own,
        float(PRIOR_ROWS),
        MIN_FOR_SPREAD,
    )
    prefix = "_".join(aggregate.by)
    names = [
        f"{prefix}_{function}_{window}" for window in aggregate.windows for function in aggregate.functions
    ]
    return dict(zip(names, values, strict=True))


@dataclass
class _Sums:
    """What the functions of an aggregate are made of, each [n_windows, n] or empty where none needs it."""

    counts: I64
    cents: I64
    largest: I64
    known: I64
    frauds: I64
    squares: F64


def _sorted_by(codes: I64, n_codes: int) -> I64:
    """Return the stable order of codes in [-1, n_codes); a radix sort where they fit 16 bits."""
    small = n_codes < 2**16 - 1
    return np.argsort((codes + 1).astype(np.uint16) if small else codes, kind="stable")


def _since_last(
    aggregate: HistoryAggregate, index: EntityIndex, group: I64, transactions: Transactions, profile: Profile
) -> dict[str, F64]:
    if not aggregate.last:
        return {}
    moment = transactions.times()
    last = kernels.last_before(index.offsets, index.times, group, moment)
    seen = last >= 0
    hours = np.full(len(moment), np.nan)
    hours[seen] = (moment[seen] - index.times[last[seen]]) / HOUR_MS
    values: dict[str, F64] = {"hours": hours}
    if {"km", "speed"} & set(aggregate.last):
        assert profile.features.position is not None and index.latitude is not None  # noqa: S101 (profile rule)
        assert index.longitude is not None  # noqa: S101
        here = [transactions.numbers[c][seen] for c in profile.features.position]
        km = np.full(len(moment), np.nan)
        km[seen] = kernels.kilometres(
            index.latitude[last[seen]], index.longitude[last[seen]], here[0], here[1]
        )
        # A floor of one minute: two taps in the same second are not an infinite speed.
        values |= {"km": km, "speed": km / np.maximum(hours, 1 / 60)}
    prefix = "_".join(aggregate.by)
    return {f"{prefix}_{f}_since_last": values[f] for f in aggregate.last}
