"""The gate's report: the same facts for programs and people, in both languages, from one file each."""

import json
import re
import string
from dataclasses import replace
from pathlib import Path

import pytest

from fraud.models.evaluate import Estimate
from fraud.retraining import gate_texts
from fraud.retraining.gate import Both, Check, Comparison, Evidence, GatePolicy, ModelEvidence, Verdict, judge
from fraud.retraining.gate_report import GateReport, page, write_report
from fraud.retraining.slice_gate import SliceFinding, SliceFindings

COMPARISON = Comparison(586, Estimate(-0.001, -0.01, 0.008), Estimate(0.002, -0.006, 0.01))
MODEL = ModelEvidence(COMPARISON, Both(0.16, 0.15), Both(20.9, 21.3), Both(0.021, 0.022), 40, 44, 0.66)
HARM = SliceFinding("xgboost", "channel=<online>", "recall", 77, 0.83, 0.47, 0.2, 0.0005, True)
EVIDENCE = Evidence(
    {"random_forest": MODEL, "xgboost": MODEL}, SliceFindings((HARM,), 12), Both(1, 2), 30, (), False, 3
)
WINDOW = {"digest": "a" * 64, "n_rows": 92_499, "n_frauds": 586}


def report(evidence: Evidence | None, verdict: Verdict) -> GateReport:
    return GateReport(
        "run-1", "2026-11-22T12:00:00+00:00", "1.0.0", "1.0.1", "f" * 40, 12, WINDOW, "July", verdict,
        evidence, GatePolicy(),
    )  # fmt: skip


REFUSED = report(EVIDENCE, judge(EVIDENCE, GatePolicy()))
PASSED = report(harmless := replace(EVIDENCE, slices=SliceFindings((), 12)), judge(harmless, GatePolicy()))


def test_the_document_says_what_was_judged_by_what_and_why(tmp_path: Path) -> None:
    write_report(REFUSED, tmp_path)
    document = json.loads((tmp_path / "gate.json").read_text())
    assert document["schema_version"] == 1 and document["passed"] is False
    assert document["dataset_revision"] == "f" * 40 and document["window"] == WINDOW
    assert len(document["reasons"]) == 1 and "recall where channel=<online> falls" in document["reasons"][0]
    assert document["evidence"]["slices"]["judged"][0]["p"] == 0.0005
    assert document["evidence"]["gold_uses"] == 3 and document["policy"]["gold_budget"] == 50


@pytest.mark.parametrize(
    ("language", "verdict", "words"),
    [("en", REFUSED, "Refused: the champion stays"), ("en", PASSED, "Passed"),
     ("pt-BR", REFUSED, "Recusado: o campeão fica"), ("pt-BR", PASSED, "Aprovado")],
)  # fmt: skip
def test_the_page_answers_first_in_the_readers_language(
    language: str, verdict: GateReport, words: str
) -> None:
    html = page(verdict, language)
    assert words in html and f'lang="{language}"' in html


def test_the_page_needs_nothing_from_outside_and_takes_no_name_for_markup() -> None:
    html = page(REFUSED, "en")
    assert not re.search(r"<(script|link|img)|https?://", html)
    assert "channel=&lt;online&gt;" in html and "<online>" not in html


def test_a_spent_window_is_reported_though_nothing_was_measured(tmp_path: Path) -> None:
    spent = report(None, Verdict((Check("gold", False, {"uses": 50, "budget": 50}),)))
    write_report(spent, tmp_path)
    assert "python -m fraud gold --test-start DATE" in (tmp_path / "gate.html").read_text()
    assert json.loads((tmp_path / "gate.json").read_text())["evidence"] is None


def test_both_languages_have_the_same_texts_with_the_same_blanks() -> None:
    def blanks(text: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    for texts in (gate_texts._TEXTS, gate_texts._PAGE):
        en, pt = texts["en"], texts["pt-BR"]
        assert en.keys() == pt.keys()
        assert {k: blanks(v) for k, v in en.items()} == {k: blanks(v) for k, v in pt.items()}


@pytest.mark.parametrize(
    ("language", "own", "equal"),
    [
        ("en", "the cut-offs that each version serves with", "as many alerts for both versions"),
        ("pt-BR", "nos cortes com que cada versão atende", "o mesmo número de alertas para as duas versões"),
    ],
)
def test_the_page_says_at_which_cut_offs_was_judged(language: str, own: str, equal: str) -> None:
    at_equal = replace(EVIDENCE, at_equal_alerts=True)
    pages = [page(report(e, judge(e, GatePolicy())), language) for e in (EVIDENCE, at_equal)]
    assert own in pages[0] and equal not in pages[0]
    assert equal in pages[1] and own not in pages[1]
    assert at_equal.to_json()["at_equal_alerts"] is True
