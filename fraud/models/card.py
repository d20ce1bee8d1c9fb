"""What a release says of itself to people: the model card (README.md) and the entry in CHANGELOG.md.

Both are written from the manifest alone, so they cannot say anything else. The head of the card is the Hub's
metadata; its strings are JSON strings, which YAML reads as they are.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from fraud.data.profile import Profile
from fraud.models.report import MODEL_TITLES
from fraud.models.versioning import ReleaseNotes

_METRICS = {"f1": "F1", "average_precision": "Average precision", "roc_auc": "AUC"}
_KEYS = {"f1": "f1", "average_precision": "ap", "roc_auc": "auc"}
_ROWS = {
    "auc": "AUC",
    "ap": "Average precision",
    "f1": "F1 at the review cut-off",
    "precision": "Precision at the review cut-off",
    "recall": "Recall at the review cut-off",
    "brier": "Brier score",
    "calibration_error": "Calibration error",
    "cost_per_1000": "Cost per 1,000 transactions",
    "alerts_per_day": "Alerts a day",
}
_LARGEST_CHANGELOG = 200_000
"""Characters; the oldest entries go first. Every entry also stays in its own release."""

_HEADER = """\
# Changelog

Versions of the fraud models, newest first, after [Keep a Changelog](https://keepachangelog.com/en/1.1.0/).
Major: what clients send or what the label means; minor: features or algorithm; patch: the same recipe on new
data.
"""


def model_card(manifest: Mapping[str, Any], profile: Profile) -> str:
    """Return README.md: the Hub's metadata with `model-index`, then the card for people."""
    return f"---\n{_metadata(manifest, profile)}---\n\n{_text(manifest, profile)}"


def changelog(manifest: Mapping[str, Any], notes: ReleaseNotes) -> str:
    """Return CHANGELOG.md: this release's entry above those of the release that it replaces."""
    entries = [_entry(manifest, notes), *_entries(notes.older)]
    text = _HEADER
    for entry in entries:
        if len(text) + len(entry) > _LARGEST_CHANGELOG:
            break
        text += f"\n{entry.rstrip()}\n"
    return text


def _metadata(manifest: Mapping[str, Any], profile: Profile) -> str:
    # What was learnt from feedback is named by its revision; without any, the table by its digest.
    revision = _feedback(manifest).get("dataset_revision") or manifest["data"].get("sha256")
    lines = [
        "language: en",
        "pipeline_tag: tabular-classification",
        "tags:",
        "- fraud-detection",
        "- tabular-classification",
        "metrics:",
        *(f"- {metric}" for metric in _METRICS),
        "model-index:",
        f"- name: {_quoted('fraud-' + profile.name)}",
        "  results:",
    ]
    for name, entry in manifest["models"].items():
        title = MODEL_TITLES.get(name, name)
        lines += [
            "  - task:",
            "      type: tabular-classification",
            f"      name: {_quoted(f'{title}: is a transaction fraud')}",
            "    dataset:",
            f"      type: {_quoted(profile.name)}",
            f"      name: {_quoted(_title(profile) + ', held-out window')}",
            "      split: test",
            *([f"      revision: {_quoted(str(revision))}"] if revision else []),
            "    metrics:",
        ]
        for metric, words in _METRICS.items():
            estimate = entry["metrics"].get(_KEYS[metric])
            if estimate is None:
                continue
            lines += [
                f"    - type: {metric}",
                f"      value: {json.dumps(estimate['value'])}",
                f"      name: {_quoted(f'{words}, {title}{_interval_words(estimate)}')}",
            ]
    return "\n".join(lines) + "\n"


def _text(manifest: Mapping[str, Any], profile: Profile) -> str:
    names = list(manifest["models"])
    parts = [
        f"# {_title(profile)}: fraud models {manifest['version']}",
        "Random Forest and XGBoost, calibrated, side by side: each gives the probability that a transaction "
        "is fraud, and from it a decision (approve, review, decline). "
        f"Trained {manifest['created_at']}, seed {manifest['seed']}.",
        "## Intended use",
        "Ranking transactions for human review in the fraud demo, and showing why. Not meant to decline "
        "payments without review, to judge persons, or for any table but the one that it was trained on.",
        "## Results",
        f"On the held-out window, {_window(manifest, 'test')}; 95% bootstrap intervals.",
        _table(
            ["", *(MODEL_TITLES.get(name, name) for name in names)],
            [
                [words, *(_estimate(manifest["models"][name]["metrics"].get(key)) for name in names)]
                for key, words in _ROWS.items()
                if any(key in manifest["models"][name]["metrics"] for name in names)
            ],
        ),
        "## Cut-offs",
        _table(
            ["", "review from", "decline from"],
            [
                [
                    MODEL_TITLES.get(name, name),
                    *(f"{entry['thresholds'][k]:.6g}" for k in ("review", "decline")),
                ]
                for name, entry in manifest["models"].items()
            ],
        ),
        _cut_offs(manifest),
        "## Data",
        "\n".join(f"- {line}" for line in _data_lines(manifest)),
        "## Gate",
        _gate(manifest),
        "## Limitations",
        (f"{manifest['note']} " if manifest.get("note") else "")
        + "The figures hold for the held-out window and for nothing later. Labels from feedback are "
        "volunteered and weighed (docs/decisions/0011-trust.md). The whole list is in the source, "
        "docs/limitations.md.",
        "## Loading it",
        "Without pickle, checked against its manifest and its golden vectors; "
        "`load_bundle(path, read_trusted_keys([key]))` (fraud.models.signing) also asks for a signature:",
        "```python\nfrom pathlib import Path\nfrom fraud.models.bundle import load_bundle\n"
        'from fraud.serving.scorer import Scorer\n\nscorer = Scorer.from_bundle(load_bundle(Path(".")))\n'
        'scorer.score(scorer.examples["examples"][0]["transaction"])\n```',
        "`modelos_otimizados/*.pkl` are pickles for notebooks: load them only from a sender you trust. "
        "What changed is in CHANGELOG.md.",
    ]
    return "\n\n".join(parts) + "\n"


def _data_lines(manifest: Mapping[str, Any]) -> list[str]:
    data, feedback = manifest["data"], _feedback(manifest)
    origin = f"{data.get('source', 'table')} {data.get('name', '')}".strip()
    digest = f", SHA-256 `{data['sha256']}`" if data.get("sha256") else ""
    lines = [f"Table: {origin}, {int(data.get('n_rows', 0)):,} rows{digest}."]
    for name, words in (("train", "Trained on"), ("calibration", "Calibrated on"), ("test", "Held out")):
        lines.append(f"{words}: {_window(manifest, name)}.")
    if feedback:
        lines.append(
            f"Feedback: {int(feedback.get('n_labels', 0)):,} labels of dataset revision "
            f"`{feedback.get('dataset_revision')}`."
        )
    else:
        lines.append("Feedback: none.")
    libraries = ", ".join(f"{name} {version}" for name, version in manifest["environment"].items())
    lines.append(f"Made with {libraries}.")
    return lines


def _cut_offs(manifest: Mapping[str, Any]) -> str:
    """Return which days set the cut-offs, and at which others the results are if they are of others."""
    set_on = manifest.get("thresholds_set_on", {})
    if set_on.get("window") != "newest":
        return "Set on the calibration days before the held-out window; the results above are at them."
    judged = "; ".join(
        f"{MODEL_TITLES.get(name, name)} {entry['judged_at']['review']:.6g}"
        for name, entry in manifest["models"].items()
    )
    return (
        f"Set on newest traffic, {set_on['first_at'][:10]} to {set_on['last_at'][:10]}, "
        f"{set_on['n_rows']:,} transactions. The results above are at what the same rule sets on the "
        f"held-out window's own traffic, without its labels; review from: {judged}."
    )


def _gate(manifest: Mapping[str, Any]) -> str:
    reasons = _feedback(manifest).get("reasons") or []
    if not reasons:
        return "Not asked: this release came from no retraining."
    against = _feedback(manifest).get("champion", "the champion")
    return f"Passed, against {against}:\n\n" + "\n".join(f"- {reason}" for reason in reasons)


def _entry(manifest: Mapping[str, Any], notes: ReleaseNotes) -> str:
    feedback = _feedback(manifest)
    against = "" if notes.replaces is None else f" (against {notes.replaces})"
    changed = [f"{notes.change.size.capitalize()}: {', '.join(notes.change.reasons)}{against}."]
    changed += _data_lines(manifest)[:1]
    if feedback:
        changed.append(
            f"{int(feedback.get('n_labels', 0)):,} labels from feedback, dataset revision "
            f"{feedback.get('dataset_revision')}."
        )
        unused = feedback.get("unused") or {}
        changed += [f"Labels not used: {count} ({reason})." for reason, count in unused.items()]
    for name, entry in manifest["models"].items():
        figures = [
            f"{words} {_estimate(entry['metrics'].get(_KEYS[key]))}" for key, words in _METRICS.items()
        ]
        changed.append(f"{MODEL_TITLES.get(name, name)}: {', '.join(figures)}.")
    changed += [f"Gate: {reason}." for reason in feedback.get("reasons") or []]
    heading = "Added" if notes.replaces is None else "Changed"
    lines = "\n".join(f"- {_one_line(line)}" for line in changed)
    return f"## [{manifest['version']}] - {manifest['created_at'][:10]}\n\n### {heading}\n\n{lines}\n"


def _entries(text: str) -> Sequence[str]:
    return [part for part in re.split(r"(?m)^(?=## \[)", text) if part.startswith("## [")]


def _feedback(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    found = manifest["data"].get("feedback")
    return found if isinstance(found, Mapping) else {}


def _window(manifest: Mapping[str, Any], name: str) -> str:
    window = manifest["windows"][name]
    size = f"{window['n_rows']:,} transactions with {window['n_frauds']:,} frauds"
    if not window.get("first_at"):
        return size
    return f"{size} from {window['first_at'][:10]} to {window['last_at'][:10]}"


def _estimate(estimate: Mapping[str, Any] | None) -> str:
    if estimate is None or estimate["value"] is None:
        return "-"
    digits = 1 if abs(estimate["value"]) >= 10 else 4
    if estimate.get("low") is None:
        return f"{estimate['value']:.{digits}f}"
    return f"{estimate['value']:.{digits}f} [{estimate['low']:.{digits}f}, {estimate['high']:.{digits}f}]"


def _interval_words(estimate: Mapping[str, Any]) -> str:
    if estimate.get("low") is None:
        return ""
    return f" (95% interval {estimate['low']:.4f} to {estimate['high']:.4f})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(_one_line(cell).replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def _title(profile: Profile) -> str:
    return profile.title.in_language("en")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _quoted(text: str) -> str:
    return json.dumps(_one_line(text), ensure_ascii=True)
