"""A rule of a gate report as a sentence. A report may be of another program's version."""

from fraud.models.gate_summary import GateRule
from fraud.models.report import MODEL_TITLES
from fraud.retraining.gate import Check
from fraud.retraining.gate_texts import sentence


def rule_sentence(rule: GateRule, language: str) -> str | None:
    """Return what a rule came to; None where it is of a version of the gate that this one does not know."""
    check = Check(rule.code, rule.passed, rule.params, MODEL_TITLES.get(rule.model, rule.model))
    try:
        return sentence(check, language)
    except (KeyError, ValueError, TypeError, OverflowError, IndexError):
        return None
