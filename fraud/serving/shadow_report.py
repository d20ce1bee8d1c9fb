"""What scoring beside the champion has shown: the figures, their file, and the lines that print them."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_SCHEMA_VERSION = 1
_PATTERN = "shadow-*.json"


@dataclass(frozen=True, slots=True)
class ModelAgreement:
    """One model of the challenger against the same model of the champion, over `n` transactions.

    `n_gained` had no alert (review or decline) from the champion and have one from the challenger, `n_lost`
    the other way round; `mean_difference` is the mean absolute difference of the probabilities.
    """

    n: int
    n_equal: int
    n_gained: int
    n_lost: int
    mean_difference: float


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """A challenger beside the champion in one process, since either last changed.

    Latencies are medians of the newest transactions in milliseconds; the champion's includes checking the
    transaction, the challenger's does not.
    """

    node: str
    at: str
    since: str
    champion: str
    challenger: str
    n: int
    n_dropped: int
    n_failed: int
    problem: str | None
    models: Mapping[str, ModelAgreement]
    champion_ms: float | None
    challenger_ms: float | None


def write_report(report: ShadowReport, directory: Path) -> None:
    """Replace this node's report in a directory, whole."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / _PATTERN.replace("*", report.node)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    document = {"schema_version": _SCHEMA_VERSION, **asdict(report)}
    partial.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    partial.replace(path)


def read_reports(directory: Path) -> tuple[ShadowReport, ...]:
    """Return every node's report in a directory; those that cannot be read are left out."""
    found = []
    for path in sorted(directory.glob(_PATTERN)):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if document.pop("schema_version") != _SCHEMA_VERSION:
                continue
            models = {name: ModelAgreement(**entry) for name, entry in document.pop("models").items()}
            found.append(ShadowReport(**document, models=models))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            continue
    return tuple(found)


def report_lines(report: ShadowReport) -> Sequence[str]:
    """Return a report as lines for a terminal."""
    lines = [
        f"{report.node}: {report.challenger} beside {report.champion}, {report.n:,} transactions "
        f"from {report.since} to {report.at}; {report.n_dropped:,} dropped, {report.n_failed:,} failed"
    ]
    for name, model in report.models.items():
        if model.n:
            lines.append(
                f"  {name}: {model.n_equal / model.n:.2%} decided alike, {model.n_gained:,} alerts gained, "
                f"{model.n_lost:,} lost, mean difference {model.mean_difference:.5f}"
            )
    lines.append(f"  median ms: champion {_ms(report.champion_ms)}, challenger {_ms(report.challenger_ms)}")
    if report.problem is not None:
        lines.append(f"  {report.problem}")
    return lines


def _ms(value: Any) -> str:
    return "-" if value is None else f"{value:.2f}"
