"""A reference as a JSON file: counts as lists, read as from a stranger."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, get_args

import numpy as np
from numpy.typing import NDArray

from fraud.data.sketch import MAX_LEVELS, N_CELLS, Bins, LevelBins, NumberBins
from fraud.errors import BundleRefused
from fraud.models.reference import MAX_BLOCKS, Column, ColumnCounts, Kind, Layout, Sketch

SCHEMA_VERSION = 1
MAX_BYTES = 20_000_000
MAX_COLUMNS = 2_000
MAX_COUNT = 2**53
MAX_TEXT_LENGTH = 200


def write_reference(sketch: Sketch, path: Path) -> None:
    """Write a sketch as JSON; equal sketches give equal bytes."""
    text = json.dumps(to_json(sketch), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    path.write_text(text + "\n", encoding="utf-8")


def to_json(sketch: Sketch) -> dict[str, Any]:
    """Return a sketch as a JSON object."""
    pairs = zip(sketch.layout.columns, sketch.counts, strict=True)
    return {
        "schema_version": SCHEMA_VERSION,
        "first_ms": sketch.first_ms,
        "last_ms": sketch.last_ms,
        "n_days": sketch.n_days,
        "block_days": sketch.block_days,
        "cell_rows": sketch.cell_rows.tolist(),
        "block_rows": sketch.block_rows.tolist(),
        "entities": list(sketch.layout.entities),
        "columns": [_column_json(column, counts) for column, counts in pairs],
        "extensions": dict(sketch.extensions),
    }


def _column_json(column: Column, counts: ColumnCounts) -> dict[str, Any]:
    bins = column.bins
    if isinstance(bins, NumberBins):
        own = {"bounds": bins.bounds.tolist(), "exact": bins.exact}
    else:
        own = {"levels": list(bins.levels), "complete": bins.complete}
    return {
        "name": column.name,
        "kind": column.kind,
        "unit": column.unit,
        **own,
        "groups": column.groups.tolist(),
        "cells": counts.cells.tolist(),
        "blocks": counts.blocks.tolist(),
        "effect": counts.effect,
        "missing_effect": counts.missing_effect,
        "outside": list(counts.outside),
    }


def read_reference(path: Path) -> Sketch:
    """Return the sketch in a file that anybody may have written.

    Raises
    ------
    BundleRefused
        It is too large, no JSON, of another schema version, or its numbers contradict each other.
    """
    if path.stat().st_size > MAX_BYTES:
        _refuse(f"it is larger than {MAX_BYTES:,} bytes")
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BundleRefused(f"{path.name}: not valid JSON: {error}.", code="json") from error
    return from_json(document)


def from_json(document: object) -> Sketch:
    """Return the sketch that `to_json` wrote.

    Raises
    ------
    BundleRefused
        Naming the first rule that is broken.
    """
    if not isinstance(document, dict) or document.get("schema_version") != SCHEMA_VERSION:
        _refuse(f"it is not of schema version {SCHEMA_VERSION}")
    try:
        return _sketch(document)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BundleRefused(
            f"The reference is refused: {type(error).__name__}: {error}; retrain the release.",
            code="reference",
        ) from error


def _sketch(document: Mapping[str, Any]) -> Sketch:
    block_rows = np.zeros((0, N_CELLS), np.int64)
    if document["block_rows"]:
        block_rows = _counts(document["block_rows"], (None, N_CELLS), "block_rows")
    _require(len(block_rows) <= MAX_BLOCKS + 1, "it has too many blocks")
    cell_rows = _counts(document["cell_rows"], (N_CELLS,), "cell_rows")
    listed = document["columns"]
    _require(isinstance(listed, list) and len(listed) <= MAX_COLUMNS, "columns is no list of columns")
    columns = [_column(entry) for entry in listed]
    counts = [
        _column_counts(e, c, cell_rows, block_rows.sum(axis=1)) for e, c in zip(listed, columns, strict=True)
    ]
    names = [column.name for column in columns]
    _require(len(set(names)) == len(names), "two columns have one name")
    extensions = document["extensions"]
    _require(isinstance(extensions, dict), "extensions is no object")
    if len(block_rows):
        _require(bool((block_rows.sum(axis=0) == cell_rows).all()), "blocks and cells differ")
    return Sketch(
        Layout(tuple(columns), _texts(document["entities"], MAX_COLUMNS)),
        tuple(counts),
        cell_rows,
        block_rows,
        _integer(document["block_days"], 1, "block_days"),
        _integer(document["n_days"], 0, "n_days"),
        _moment(document["first_ms"]),
        _moment(document["last_ms"]),
        extensions,
    )


def _column(entry: Mapping[str, Any]) -> Column:
    name, unit = _texts([entry["name"], entry["unit"]], 2)
    kind: Kind = entry["kind"]
    _require(kind in get_args(Kind), f"{name}: unknown kind")
    bins: Bins
    if kind == "number":
        bounds = np.array(entry["bounds"], np.float64)
        rising = bounds.ndim == 1 and bool((np.diff(bounds) > 0).all() and np.isfinite(bounds).all())
        _require(rising and type(entry["exact"]) is bool, f"{name}: bounds do not rise")
        bins = NumberBins(bounds, entry["exact"])
    else:
        bins = LevelBins(_texts(entry["levels"], MAX_LEVELS), _flag(entry["complete"], name))
        _require(len(set(bins.levels)) == len(bins.levels), f"{name}: two levels are the same")
    groups = _counts(entry["groups"], (len(bins),), f"{name}.groups").astype(np.intp)
    steps = np.diff(groups)
    _require(groups[0] == 0 and bool(((steps == 0) | (steps == 1)).all()), f"{name}: groups leave gaps")
    return Column(name, kind, unit, bins, groups)


def _column_counts(
    entry: Mapping[str, Any], column: Column, cell_rows: NDArray[np.int64], block_rows: NDArray[np.int64]
) -> ColumnCounts:
    name = column.name
    cells = _counts(entry["cells"], (N_CELLS, len(column.bins) + 1), f"{name}.cells")
    _require(bool((cells.sum(axis=1) == cell_rows).all()), f"{name}: cells do not add up to the rows")
    blocks = np.zeros((0, column.n_groups + 1), np.int64)
    if len(block_rows):
        blocks = _counts(entry["blocks"], (len(block_rows), column.n_groups + 1), f"{name}.blocks")
        _require(bool((blocks.sum(axis=1) == block_rows).all()), f"{name}: blocks do not add up to the rows")
    below, above = (_real(v, 0.0, name) for v in entry["outside"])
    effect, missing_effect = (_real(entry[key], 1.0, name) for key in ("effect", "missing_effect"))
    return ColumnCounts(cells, blocks, effect, missing_effect, (below, above))


def _counts(value: Any, shape: Sequence[int | None], name: str) -> NDArray[np.int64]:
    """Return an array of counts of this shape, None meaning any length."""
    array = np.array(value)
    fits = array.ndim == len(shape) and all(
        want in (None, n) for want, n in zip(shape, array.shape, strict=True)
    )
    _require(fits and array.dtype == np.int64, f"{name} is not a table of {shape} counts")
    # Bounded before they are summed: sums of larger ones could wrap around and seem to agree.
    _require(bool(((array >= 0) & (array <= MAX_COUNT // max(array.size, 1))).all()), f"{name} is no count")
    return array


def _texts(value: Any, most: int) -> tuple[str, ...]:
    good = isinstance(value, list) and len(value) <= most
    good = good and all(isinstance(text, str) and len(text) <= MAX_TEXT_LENGTH for text in value)
    _require(good, "a text is missing, too long, or one of too many")
    return tuple(value)


def _integer(value: Any, least: int, name: str) -> int:
    _require(type(value) is int and least <= value <= MAX_COUNT, f"{name} is no such number")
    return int(value)


def _moment(value: Any) -> int | None:
    _require(value is None or (type(value) is int and abs(value) <= MAX_COUNT), "a time is no number")
    return None if value is None else int(value)


def _real(value: Any, least: float, name: str) -> float:
    _require(
        type(value) in (int, float) and math.isfinite(value) and value >= least,
        f"{name}: a figure is out of range",
    )
    return float(value)


def _flag(value: Any, name: str) -> bool:
    _require(type(value) is bool, f"{name}: complete is neither true nor false")
    return bool(value)


def _require(condition: bool, problem: str) -> None:
    if not condition:
        _refuse(problem)


def _refuse(problem: str) -> NoReturn:
    raise BundleRefused(f"The reference is refused: {problem}; retrain the release.", code="reference")
