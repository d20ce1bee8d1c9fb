"""What a release was taught of each flag: a table in the bundle, so that nobody has to guess it later."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fraud.errors import BundleRefused

_SCHEMA = pa.schema(
    [
        ("flag_id", pa.string()),
        ("content_digest", pa.string()),
        ("weight", pa.float32()),
        ("reason", pa.dictionary(pa.int32(), pa.string())),
    ]
)


@dataclass(frozen=True, slots=True)
class FlagUse:
    """What became of one flag in one training run.

    It is used if the content that it is about was trained on with the label that it gave: `reason` is then
    empty, and `weight` is the content's, a row of the base table being 1. Otherwise `reason` says why not,
    and `weight` is 0.
    """

    flag_id: str
    content_digest: str
    weight: float
    reason: str = ""

    @property
    def used(self) -> bool:
        """Whether it was trained on."""
        return not self.reason


def write_uses(uses: Sequence[FlagUse], path: Path) -> None:
    """Write uses as Parquet, sorted by flag; no content, only digests and the flags' random ids."""
    ordered = sorted(uses, key=lambda use: use.flag_id)
    columns = [[getattr(use, name) for use in ordered] for name in _SCHEMA.names]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, _SCHEMA, strict=True)]
    pq.write_table(pa.table(arrays, schema=_SCHEMA), path, compression="zstd")


def read_uses(path: Path) -> tuple[FlagUse, ...]:
    """Return what `write_uses` wrote.

    Raises
    ------
    BundleRefused
        It is no such table.
    """
    try:
        table = pq.read_table(path, columns=_SCHEMA.names)
        columns = [table.column(name).to_pylist() for name in _SCHEMA.names]
    except (pa.ArrowException, KeyError) as error:
        raise BundleRefused(f"The record of used flags cannot be read: {error}.", code="parquet") from error
    return tuple(FlagUse(*row) for row in zip(*columns, strict=True))


class UseTable:
    """The uses of one release, in about 40 bytes for each flag.

    Raises
    ------
    BundleRefused
        The bytes are not those that the manifest lists, or no such table.
    """

    def __init__(self, content: bytes, sha256: str) -> None:
        if hashlib.sha256(content).hexdigest() != sha256:
            raise BundleRefused(
                "The record of used flags is not the file that was released (its digest differs).",
                code="digest",
            )
        try:
            table = pq.read_table(BytesIO(content), columns=["flag_id", "reason"])
            reasons = table.column("reason").cast(pa.string()).to_pylist()
            ids = table.column("flag_id").to_pylist()
        except (pa.ArrowException, KeyError) as error:
            raise BundleRefused(
                f"The record of used flags cannot be read: {error}.", code="parquet"
            ) from error
        self._reasons = sorted(set(reasons))
        code = {reason: number for number, reason in enumerate(self._reasons)}
        order = np.argsort(np.array(ids, dtype=np.bytes_))
        self._ids = np.array(ids, dtype=np.bytes_)[order]
        self._codes = np.array([code[reason] for reason in reasons], dtype=np.int16)[order]

    def reason_of(self, flag_id: str) -> str | None:
        """Return why a flag was not used, "" if it was, None if the release does not know it."""
        try:
            wanted = flag_id.encode("ascii")
        except UnicodeEncodeError:
            return None
        at = int(np.searchsorted(self._ids, wanted))
        if at >= len(self._ids) or self._ids[at] != wanted:
            return None
        return str(self._reasons[int(self._codes[at])])
