"""A whole file scored into another, for the command line: its owner's, with nobody to ask about it."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fraud.serving.scorer import Scorer
from fraud.tables.matching import by_name
from fraud.tables.reading import Bounds, open_sheet
from fraud.tables.scoring import score_sheet

OWN = Bounds(rows=1_000_000_000, size=1 << 40, columns=10_000)
"""Of a file that is on this machine already, whose memory its owner knows."""
_SHOWN = 20


@dataclass(frozen=True)
class FileResult:
    """What came of a file; `first_refused` are (line, row, column, rule), `seconds` those of each stage."""

    version: str
    n_scored: int
    n_refused: int
    first_refused: tuple[tuple[int, int, str, str], ...]
    seconds: Mapping[str, float]


def score_file(
    scorer: Scorer, source: Path, target: Path, now: datetime, refused: Path | None = None
) -> FileResult:
    """Score every row of `source` that fits the profile; write them in their order to a Parquet file.

    The table's columns are called as the profile's. Added are `<model>_probability` (calibrated) and
    `<model>_decision` for each model. `target` appears whole or not at all.

    Parameters
    ----------
    refused : where to write the rows that do not fit, as a CSV

    Raises
    ------
    TableError
        The file is no table, lacks a column, or holds not one row that fits.
    """
    sheet = open_sheet(source, source.name, OWN)
    matching = by_name(sheet, scorer.bundle.profile)
    # Beside the target: only within one file system does a name change hands at once.
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        partial = Path(folder, "scored.parquet")
        table = score_sheet(sheet, matching, scorer, now, Path(folder), parquet=partial)
        os.replace(partial, target)
    if refused is not None:
        refused.write_bytes(b"".join(table.refused_csv()))
    return FileResult(
        table.model_version.version,
        len(table),
        table.n_refused,
        tuple(table.listed_refusals(_SHOWN)),
        table.seconds,
    )
