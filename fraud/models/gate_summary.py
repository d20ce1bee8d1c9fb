"""What a release's gate report says: whether it passed, against which version, and why.

The report lies among the release's files; fraud/retraining/gate_report.py writes it. As with a manifest,
what is not as it should be counts as not said.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fraud.errors import BundleRefused

GATE_FILE, GATE_PAGE = "resultados/gate.json", "resultados/gate.html"
LARGEST_REPORT = 4 * 2**20
_SCHEMA_VERSION = 1
_MOST = 100
_LONGEST_TEXT = 500


@dataclass(frozen=True, slots=True)
class GateRule:
    """One rule and what it came to. `params` fill the sentence that belongs to `code`."""

    code: str
    passed: bool
    model: str
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GateSummary:
    """The gate's answer to one challenger.

    Attributes
    ----------
    rules : every rule that was applied
    reasons : the report's own sentences, in English, where a rule cannot be said
    """

    passed: bool
    champion: str
    challenger: str
    made_at: str
    rules: tuple[GateRule, ...]
    reasons: tuple[str, ...]


def parse_gate(raw: bytes) -> GateSummary:
    """Return what gate.json says.

    Raises
    ------
    BundleRefused
        It is too large, no JSON, or no report of this schema.
    """
    if len(raw) > LARGEST_REPORT:
        raise BundleRefused(f"{GATE_FILE} is larger than {LARGEST_REPORT:,} bytes.", code="gate_report")
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BundleRefused(f"{GATE_FILE} is not valid JSON.", code="gate_report") from error
    if not isinstance(document, dict) or document.get("schema_version") != _SCHEMA_VERSION:
        raise BundleRefused(f"{GATE_FILE} is no gate report of this program.", code="gate_report")
    passed = document.get("passed")
    if not isinstance(passed, bool):
        raise BundleRefused(f"{GATE_FILE} does not say whether the gate passed.", code="gate_report")
    checks, reasons = document.get("checks"), document.get("reasons")
    return GateSummary(
        passed=passed,
        champion=_text(document.get("champion")),
        challenger=_text(document.get("challenger")),
        made_at=_text(document.get("made_at")),
        rules=tuple(
            GateRule(_text(c.get("check")), c.get("passed") is True, _text(c.get("model")), _params(c))
            for c in (checks if isinstance(checks, list) else [])[:_MOST]
            if isinstance(c, dict)
        ),
        reasons=tuple(_text(r) for r in (reasons if isinstance(reasons, list) else [])[:_MOST]),
    )


def _params(check: Mapping[str, Any]) -> Mapping[str, Any]:
    given = check.get("params")
    if not isinstance(given, dict):
        return {}
    return {
        str(name): _text(value) if isinstance(value, str) else value
        for name, value in given.items()
        if value is None or isinstance(value, (str, bool, int, float))
    }


def _text(value: object) -> str:
    return (
        ""
        if not isinstance(value, str)
        else "".join(c if c.isprintable() else " " for c in value)[:_LONGEST_TEXT]
    )
