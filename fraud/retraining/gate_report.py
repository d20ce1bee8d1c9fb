"""The gate's report: gate.json for programs, gate.html for whoever has to decide what to do now."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fraud.durable import write_text
from fraud.html_page import Block, Heading, Paragraph, Table, render
from fraud.retraining.gate import Evidence, GatePolicy, ModelEvidence, Verdict
from fraud.retraining.gate_texts import LANGUAGES, report_texts, sentence
from fraud.retraining.slice_gate import SliceFinding

JSON_FILE, HTML_FILE = "gate.json", "gate.html"
SCHEMA_VERSION = 1
_SHOWN_SLICES = 40


@dataclass(frozen=True)
class GateReport:
    """What was judged, by what and with which answer; `evidence` is None where nothing was measured."""

    run_id: str
    made_at: str
    champion: str
    challenger: str
    dataset_revision: str | None
    n_labels: int
    window: Mapping[str, Any]
    window_words: str
    verdict: Verdict
    evidence: Evidence | None
    policy: GatePolicy

    def to_json(self) -> dict[str, Any]:
        """Return the document that gate.json holds; its sentences are in English."""
        return {
            "schema_version": SCHEMA_VERSION,
            "run": self.run_id,
            "made_at": self.made_at,
            "champion": self.champion,
            "challenger": self.challenger,
            "dataset_revision": self.dataset_revision,
            "n_labels": self.n_labels,
            "window": dict(self.window),
            "passed": self.verdict.passed,
            "reasons": [sentence(check) for check in self.verdict.reasons],
            "checks": [check.to_json() for check in self.verdict.checks],
            "evidence": None if self.evidence is None else self.evidence.to_json(),
            "policy": self.policy.to_json(),
        }


def write_report(report: GateReport, directory: Path, language: str = "en") -> None:
    """Write both files; a report of the same run that was there is replaced."""
    document = json.dumps(report.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(directory / HTML_FILE, page(report, language))
    write_text(directory / JSON_FILE, document + "\n")


def page(report: GateReport, language: str) -> str:
    """Return the page. ``language`` is one of gate_texts.LANGUAGES."""
    language = language if language in LANGUAGES else "en"
    texts = report_texts(language)
    passed = report.verdict.passed
    blocks: list[Block] = [
        Paragraph(texts["passed" if passed else "refused"], "ok" if passed else "alert"),
        Heading(texts["why"]),
        *(Paragraph(_capital(sentence(check, language))) for check in report.verdict.reasons),
        Paragraph(texts["window"].format(words=report.window_words), "note"),
        Paragraph(
            texts["labels"].format(n=report.n_labels, revision=(report.dataset_revision or "-")[:12]), "note"
        ),
    ]
    if report.evidence is not None:
        blocks += _figures(report.evidence, texts)
        blocks += _slices(report.evidence, report.policy, texts)
    blocks += [Heading(texts["all_checks"]), _checks(report.verdict, texts, language)]
    title = texts["title"].format(challenger=report.challenger, champion=report.champion)
    return render(title, texts["lead"].format(run=report.run_id, at=report.made_at), blocks, language)


def _figures(evidence: Evidence, texts: Mapping[str, str]) -> list[Block]:
    rows = [row for name, model in evidence.models.items() for row in _model_rows(name, model, texts)]
    header = [texts[k] for k in ("model", "figure", "champion", "challenger", "change")]
    return [
        Heading(texts["figures"]),
        Table(texts["figures_caption"], header, rows, n_words=2),
        Paragraph(texts["equal_alerts" if evidence.at_equal_alerts else "own_cut_offs"], "note"),
        Paragraph(texts["mcnemar_note"], "note"),
    ]


def _model_rows(name: str, model: ModelEvidence, texts: Mapping[str, str]) -> list[list[str]]:
    rows = []
    differences = (("ap", model.comparison.difference_ap), ("f1", model.comparison.difference_f1))
    for metric, estimate in differences:
        bounds = "" if estimate.low is None else f" [{estimate.low:+.4f}, {estimate.high:+.4f}]"
        rows.append([name, texts[metric], "", "", f"{estimate.value:+.4f}{bounds}"])
    pairs = [("calibration_error", model.calibration, "{:.3f}"), ("latency", model.latency_ms, "{:.3f} ms")]
    if model.alerts_per_day is not None:
        pairs.append(("alerts_per_day", model.alerts_per_day, "{:.1f}"))
    for key, both, form in pairs:
        change = form.format(both.challenger - both.champion)
        rows.append([name, texts[key], form.format(both.champion), form.format(both.challenger), change])
    right = [str(model.only_champion_right), str(model.only_challenger_right)]
    rows.append([name, texts["mcnemar"], *right, f"p = {model.mcnemar_p:.3f}"])
    return rows


def _slices(evidence: Evidence, policy: GatePolicy, texts: Mapping[str, str]) -> list[Block]:
    header = [
        texts[k]
        for k in ("model", "slice", "what", "n", "champion", "challenger", "own_margin", "p", "finding")
    ]
    shown = evidence.slices.judged[:_SHOWN_SLICES]
    note = texts["slices_note"].format(
        n=len(evidence.slices.judged),
        shown=len(shown),
        small=evidence.slices.n_too_small,
        needed=policy.slices.min_frauds,
        alpha=policy.slices.alpha,
    )
    rows = [_slice_row(finding, texts) for finding in shown]
    return [
        Heading(texts["slices"]),
        Paragraph(note, "note"),
        Table(texts["slices_caption"], header, rows, n_words=3),
    ]


def _slice_row(finding: SliceFinding, texts: Mapping[str, str]) -> list[str]:
    form = "{:.3f}" if finding.metric == "recall" else "{:.0f}"
    return [
        finding.model,
        finding.slice,
        texts[finding.metric],
        str(finding.n),
        form.format(finding.champion),
        form.format(finding.challenger),
        form.format(finding.margin),
        f"{finding.p:.4f}",
        texts["harmed" if finding.harmed else "unharmed"],
    ]


def _checks(verdict: Verdict, texts: Mapping[str, str], language: str) -> Table:
    rows = [[texts["pass" if c.passed else "refuse"], sentence(c, language)] for c in verdict.checks]
    return Table(texts["checks_caption"], [texts["answer"], texts["rule"]], rows, n_words=2)


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
