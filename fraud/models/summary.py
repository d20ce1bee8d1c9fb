"""What a release's manifest says, in plain values that can be compared and shown.

A manifest comes from a repository that others may write to, and only its shape is checked when it is read. So
whatever is not of the kind that belongs in its place counts as not said: nothing here raises.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fraud.models.evaluate import Estimate

WINDOWS = ("train", "calibration", "test")
_LONGEST_TEXT = 200
_MOST = 400
"""Entries that are taken of any list or table."""


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """One model of a release: figures on the held-out window, cut-offs, hyperparameters."""

    metrics: Mapping[str, Estimate] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WindowSummary:
    """One window of the table; the ends are ISO dates, None where the table has no time."""

    n_rows: int | None = None
    n_frauds: int | None = None
    first_at: str | None = None
    last_at: str | None = None


@dataclass(frozen=True, slots=True)
class FeedbackSummary:
    """What people's answers had to do with a release.

    Attributes
    ----------
    dataset_revision : commit of the feedback dataset; None where there was none
    n_labels : labels that were trained on
    unused : reason -> labels that were not
    champion : the version that the gate compared with
    differences : model -> "ap" or "f1" -> challenger minus champion on the same rows, by the gate
    """

    dataset_revision: str | None = None
    n_labels: int | None = None
    unused: Mapping[str, int] = field(default_factory=dict)
    champion: str | None = None
    differences: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReleaseSummary:
    """One release. `replaces`, `change` and `reasons` say what it changed when it was made."""

    version: str
    created_at: str = ""
    profile: str = ""
    seed: str = ""
    models: Mapping[str, ModelSummary] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    recipe: Mapping[str, str] = field(default_factory=dict)
    windows: Mapping[str, WindowSummary] = field(default_factory=dict)
    source: str = ""
    data_digest: str | None = None
    n_rows: int | None = None
    feedback: FeedbackSummary | None = None
    replaces: str | None = None
    change: str = ""
    reasons: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    n_bytes: int = 0
    n_bytes_serving: int = 0


def summarise(manifest: Mapping[str, Any]) -> ReleaseSummary:
    """Return what a manifest says; what it does not say, or says as nobody would, is left empty."""
    data, change = _mapping(manifest.get("data")), _mapping(manifest.get("change"))
    files = {str(path): entry for path, entry in _mapping(manifest.get("files")).items()}
    sizes = {path: _count(_mapping(entry).get("bytes")) or 0 for path, entry in files.items()}
    windows = _mapping(manifest.get("windows"))
    return ReleaseSummary(
        version=_text(manifest.get("version")),
        created_at=_text(manifest.get("created_at")),
        profile=_text(manifest.get("profile")),
        seed=_text(manifest.get("seed")),
        models={
            _text(name): _model(_mapping(entry)) for name, entry in _mapping(manifest.get("models")).items()
        },
        features=_texts(manifest.get("features")),
        recipe=_table(manifest.get("recipe")),
        windows={name: _window(_mapping(windows.get(name))) for name in WINDOWS if name in windows},
        source=" ".join(filter(None, (_text(data.get("source")), _text(data.get("name"))))),
        data_digest=_text(data.get("sha256")) or None,
        n_rows=_count(data.get("n_rows")),
        feedback=_feedback(data.get("feedback")),
        replaces=_text(change.get("replaces")) or None,
        change=_text(change.get("size")),
        reasons=_texts(change.get("reasons")),
        environment=_table(manifest.get("environment")),
        n_bytes=sum(sizes.values()),
        n_bytes_serving=sum(size for path, size in sizes.items() if path.startswith("serving/")),
    )


def _model(entry: Mapping[str, Any]) -> ModelSummary:
    parameters: dict[str, float | str] = {}
    for name, value in _mapping(entry.get("parameters")).items():
        found = _number(value)
        parameters[_text(name)] = _text(value) if found is None else found
    return ModelSummary(
        metrics=_estimates(entry.get("metrics")),
        thresholds={
            name: found
            for name in ("review", "decline")
            if (found := _number(_mapping(entry.get("thresholds")).get(name))) is not None
        },
        parameters=parameters,
    )


def _window(entry: Mapping[str, Any]) -> WindowSummary:
    return WindowSummary(
        n_rows=_count(entry.get("n_rows")),
        n_frauds=_count(entry.get("n_frauds")),
        first_at=_text(entry.get("first_at"))[:10] or None,
        last_at=_text(entry.get("last_at"))[:10] or None,
    )


def _feedback(entry: object) -> FeedbackSummary | None:
    if not isinstance(entry, Mapping) or not entry:
        return None
    differences = {}
    for model, found in _mapping(entry.get("gate")).items():
        figures = _mapping(found)
        differences[_text(model)] = _estimates(
            {name: figures.get(f"difference_{name}") for name in ("ap", "f1")}
        )
    unused = {_text(why): _count(n) for why, n in _mapping(entry.get("unused")).items()}
    return FeedbackSummary(
        dataset_revision=_text(entry.get("dataset_revision")) or None,
        n_labels=_count(entry.get("n_labels")),
        unused={why: n for why, n in unused.items() if n},
        champion=_text(entry.get("champion")) or None,
        differences=differences,
    )


def _estimates(found: object) -> dict[str, Estimate]:
    estimates = {}
    for name, entry in _mapping(found).items():
        given = _mapping(entry)
        value, low, high = (_number(given.get(key)) for key in ("value", "low", "high"))
        if value is not None:
            estimates[_text(name)] = Estimate(value, *((low, high) if None not in (low, high) else ()))
    return estimates


def _mapping(value: object) -> Mapping[str, Any]:
    return dict(list(value.items())[:_MOST]) if isinstance(value, Mapping) else {}


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return ()
    return tuple(_text(item) for item in value[:_MOST])


def _table(value: object) -> dict[str, str]:
    return {_text(name): _text(item) for name, item in _mapping(value).items()}


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    return "".join(c if c.isprintable() else " " for c in str(value)[:_LONGEST_TEXT])


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _count(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number >= 0 else None
