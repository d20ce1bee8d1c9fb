"""Rows judged a column at a time: nearly every row of a dataset is one that this version wrote, and sound.

What is here may only find a row sound, or be in doubt. A row in doubt is left to `fraud.feedback.parsing`,
which knows every kind of event, alone says what is wrong, and has the last word: no row is sound here that is
refused there. Texts are judged by the same functions as there, once for each distinct value of a column.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from fraud.errors import FlagError
from fraud.feedback.events import ADDED, COLUMNS, MAX_INPUT_LENGTH, SCHEMA_VERSION, clean_comment
from fraud.feedback.parquet import arrow_schema
from fraud.feedback.parsing import LAST_MS, MAX_INTEGER, NULL_IN, is_digest, is_text
from fraud.records import MODELS, Decision, Label, Verdict

_FEW = 32
_EXACT = MAX_INTEGER - 1.0  # the integer above MAX_INTEGER, which is refused, rounds to MAX_INTEGER
_SMALLEST_PLAIN = 1e-4  # below it, and from 2**53 on, writers of JSON differ in how they write a float
_INPUTS = ("transaction_json", "history_json")
_Mask = npt.NDArray[np.bool_]


def is_comment(value: str) -> bool:
    """Return whether a comment is as `clean_comment` returns it."""
    try:
        return clean_comment(value) == value
    except FlagError:
        return False


TEXTS: Final[Mapping[str, Mapping[str, Callable[[str], bool]]]] = {
    "prediction": {
        **dict.fromkeys(("event_id", "prediction_id", "node", "profile", "consent_version"), is_text),
        **dict.fromkeys(("model_version", "manifest_digest"), is_text),
        "content_digest": is_digest,
        **dict.fromkeys((f"{model}_decision" for model in MODELS), frozenset(Decision).__contains__),
    },
    "flag": {
        **dict.fromkeys(("event_id", "prediction_id", "node", "profile", "consent_version"), is_text),
        "reporter": is_text,
        "content_digest": is_digest,
        "verdict": frozenset(Verdict).__contains__,
        "label": frozenset(Label).__contains__,
        "comment": is_comment,
    },
}
"""The texts that a row of a kind must have, each with its rule. Other kinds are too few to be worth it."""

NUMBERS: Final[Mapping[str, float]] = {
    **{f"{model}_probability": 1.0 for model in MODELS},
    **{f"{model}_{name}_threshold": _EXACT for model in MODELS for name in ("review", "decline")},
    "latency_ms": _EXACT,
}
"""The numbers that a prediction must have, from 0 to this; a larger one is in doubt."""

OPTIONAL: Final = frozenset({"model_revision", "audit_asked", "audit_probability", *_INPUTS})
"""The columns of a prediction that have rules of their own."""


def tables_of(lines: Sequence[bytes]) -> list[tuple[npt.NDArray[np.intp], Any]]:
    """Return Arrow tables, each with the indices of the lines that are its rows; other lines are in doubt.

    Arrow reads objects and not lines. Here each line starts an object and ends one, texts hold no line feed
    and columns no object; so if there are as many rows as lines, each line is one row.
    """
    plain = [n for n, line in enumerate(lines) if line.startswith(b'{"') and line.endswith(b"}\n")]
    return list(_parsed(lines, np.array(plain, dtype=np.intp)))


def _parsed(lines: Sequence[bytes], indices: npt.NDArray[np.intp]) -> Iterator[tuple[Any, Any]]:
    """Yield tables; lines among which one is bad are halved until they are few, and those are left out."""
    import pyarrow as pa
    import pyarrow.json as pj

    if not len(indices):
        return
    content = b"".join([lines[index] for index in indices])
    try:
        table = pj.read_json(
            pa.BufferReader(content),
            pj.ReadOptions(use_threads=False, block_size=len(content) + 1),
            pj.ParseOptions(arrow_schema(), newlines_in_values=False, unexpected_field_behavior="error"),
        )
        table.validate(full=True)  # the parser takes bytes that are no UTF-8
    except pa.ArrowInvalid:
        table = None
    if table is not None and table.num_rows == len(indices):
        yield indices, table
    elif len(indices) > _FEW:
        middle = len(indices) // 2
        yield from _parsed(lines, indices[:middle])
        yield from _parsed(lines, indices[middle:])


class Columns:
    """The columns of a table as they are judged and compared, each brought into that form once."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self._nulls: dict[str, _Mask] = {}
        self._texts: dict[str, tuple[list[str], npt.NDArray[np.intp]]] = {}
        self._kinds: dict[str, _Mask] = {}
        self._obeyed: dict[tuple[str, Callable[[str], bool]], _Mask] = {}

    def sound(self) -> _Mask:
        """Return which rows are events for certain, shape (n,)."""
        version = self._values("schema_version", 0)
        sound = (version >= 1) & (version <= SCHEMA_VERSION)
        for column, since in ADDED.items():
            sound &= (version >= since) | self._null(column)
        moment = self._values("recorded_ms", 0)
        sound &= (moment > 0) & (moment < LAST_MS)
        sound &= np.logical_or.reduce([self._is(kind) & self._as_kind(kind) for kind in TEXTS])
        shown = np.flatnonzero(sound & self._is("prediction"))
        sound[shown] = self._contents_hold(shown)
        return sound

    def fingerprints(self) -> list[int]:
        """Return 64 bits for each row, in this process equal for rows that `fingerprint` holds equal.

        The inputs are left out: the content digest and the profile, which are in, stand for them.
        """
        total = np.zeros(self._table.num_rows, dtype=np.uint64)
        for column in COLUMNS:
            if column not in _INPUTS:
                total = _mixed(total * _ODD + self._bits(column))
        return [int(bits) for bits in total.view(np.int64)]

    def _as_kind(self, kind: str) -> _Mask:
        fits = np.ones(self._table.num_rows, dtype=np.bool_)
        for column in NULL_IN[kind]:
            fits &= self._null(column)
        for column, rule in TEXTS[kind].items():
            fits &= self._obeys(column, rule)
        return fits & self._as_prediction() if kind == "prediction" else fits

    def _as_prediction(self) -> _Mask:
        import pyarrow.compute as pc

        same = pc.equal(self._table["event_id"], self._table["prediction_id"])
        fits: _Mask = np.array(same.fill_null(False).to_numpy())
        fits &= self._null("model_revision") | self._obeys("model_revision", is_text)
        for column, most in NUMBERS.items():
            fits &= self._between(column, most)
        chance: _Mask = self._between("audit_probability", 1.0) & (
            self._values("audit_probability", np.nan) > 0
        )
        unasked: _Mask = self._null("audit_probability") & self._null("audit_asked")
        return fits & (chance | unasked)

    def _contents_hold(self, rows: npt.NDArray[np.intp]) -> list[bool]:
        names = ("profile", *_INPUTS, "content_digest")
        parts = [self._table[name].take(rows).to_pylist() for name in names]
        return list(map(content_holds, *parts))

    def _null(self, column: str) -> _Mask:
        if column not in self._nulls:
            self._nulls[column] = self._table[column].is_null().to_numpy()
        return self._nulls[column]

    def _values(self, column: str, instead: object) -> npt.NDArray[Any]:
        """Return a column of numbers, with something instead of null."""
        values = self._table[column]
        return np.asarray((values.fill_null(instead) if values.null_count else values).to_numpy())

    def _between(self, column: str, most: float) -> _Mask:
        numbers = self._values(column, np.nan)
        # The integer -0 is 0, and here it cannot be told from the number -0.0.
        fits: _Mask = (numbers >= 0) & (numbers <= most) & ~np.signbit(numbers)
        return fits

    def _text(self, column: str) -> tuple[list[str], npt.NDArray[np.intp]]:
        """Return the distinct values, and for each row which; what is null has the number after the last."""
        if column not in self._texts:
            encoded = self._table[column].combine_chunks().dictionary_encode()
            values = encoded.dictionary.to_pylist()
            which = encoded.indices.fill_null(len(values)) if encoded.null_count else encoded.indices
            self._texts[column] = values, which.to_numpy()
        return self._texts[column]

    def _obeys(self, column: str, rule: Callable[[str], bool]) -> _Mask:
        """Return where a column has a text that obeys a rule."""
        found = self._obeyed.get((column, rule))
        if found is None:
            values, which = self._text(column)
            good = np.fromiter(map(rule, values), dtype=np.bool_, count=len(values))
            found = self._obeyed[column, rule] = (
                ~self._null(column) if good.all() else np.append(good, False)[which]
            )
        return found

    def _bits(self, column: str) -> npt.NDArray[np.uint64] | np.uint64:
        nulls = self._table[column].null_count
        if nulls == self._table.num_rows:
            return _NOTHING
        if COLUMNS[column] == "string":
            values, which = self._text(column)
            hashes = np.fromiter(map(hash, values), dtype=np.int64, count=len(values))
            bits = np.append(hashes, 0)[which].view(np.uint64)
        elif COLUMNS[column] == "bool":
            bits = self._values(column, False).astype(np.uint64)
        elif COLUMNS[column] == "float64":
            bits = (self._values(column, 0.0) + 0.0).view(np.uint64)  # -0.0 and 0 say the same
        else:
            bits = self._values(column, 0).astype(np.uint64)
        if nulls:
            bits = np.where(self._null(column), _NOTHING, bits)
        for kind, columns in PASSING.items():
            if column in columns and (found := self._is(kind)).any():
                bits = np.where(found, _NOTHING, bits)
        return bits

    def _is(self, kind: str) -> _Mask:
        if kind not in self._kinds:
            self._kinds[kind] = self._obeys("event", kind.__eq__)
        return self._kinds[kind]


PASSING: Final[Mapping[str, tuple[str, ...]]] = {
    "prediction": ("node", "consent_version", "schema_version"),
    "withdrawal": ("node", "recorded_ms", "schema_version"),
}
"""What may differ between two rows of one event.

A prediction is stored again beside each flag on it, by then perhaps on another node and under a newer consent
text or schema; it is still the same prediction. So is a flag that was withdrawn at two nodes.
"""


def content_holds(profile: str, transaction: str | None, history: str | None, digest: str) -> bool:
    """Return whether inputs are for certain canonical JSON of their kinds, and the digest is theirs."""
    if transaction is None or not _plainly_canonical(transaction, dict):
        return False
    if history is not None and not _plainly_canonical(history, list):
        return False
    # Neither text holds a backslash, so that the frame escapes quotation marks and nothing else.
    return hashlib.sha256(orjson.dumps([profile, transaction, history])).hexdigest() == digest


def _plainly_canonical(text: str, kind: type[dict[str, object]] | type[list[object]]) -> bool:
    if "\\" in text or len(text) > MAX_INPUT_LENGTH:
        return False
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    if type(value) is not kind:
        return False
    items: Sequence[object] = [value] if isinstance(value, dict) else value
    # Written again, a name that was given twice would be missing, and other order or spacing would differ.
    return all(map(_is_plain, items)) and orjson.dumps(value, option=orjson.OPT_SORT_KEYS) == text.encode()


def _is_plain(item: object) -> bool:
    """Return whether a value is an object of texts, integers and floats that all writers write alike."""
    if type(item) is not dict:
        return False
    for value in item.values():
        kind = type(value)
        if kind is float:
            if value.is_integer() or not _SMALLEST_PLAIN <= abs(value) < MAX_INTEGER:
                return False
        elif kind is dict or kind is list:
            return False
    return True


_ODD = np.uint64(0x9E3779B97F4A7C15)
_NOTHING = np.uint64(0xD1B54A32D192ED03)


def _mixed(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Spread every bit over all (the finalizer of SplitMix64: Steele, Lea and Flood, 2014)."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
