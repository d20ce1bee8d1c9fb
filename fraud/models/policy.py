"""Cut-offs that somebody chose for one release: a JSON file with what is expected of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud.errors import BundleRefused, SettingsError
from fraud.records import MODELS, ModelVersion, Thresholds

if TYPE_CHECKING:
    from fraud.models.analysis.held_out import HeldOut

SCHEMA_VERSION = 1
KIND = "fraud-threshold-policy"
_LARGEST = 100_000


@dataclass(frozen=True)
class ThresholdPolicy:
    """Both models' cut-offs, and the one release that they were chosen for."""

    model_version: str
    manifest_digest: str
    thresholds: Mapping[str, Thresholds]

    def require_for(self, version: ModelVersion) -> None:
        """Raise BundleRefused unless a version is the release that the cut-offs were chosen for."""
        if version.manifest_digest != self.manifest_digest:
            raise BundleRefused(
                f"FRAUD_POLICY was chosen for version {self.model_version} ({self.manifest_digest[:12]}), "
                f"and {version.version} ({version.manifest_digest[:12]}) is to serve; choose cut-offs for it "
                "on the Compare tab, or unset FRAUD_POLICY.",
                code="policy",
            )


def policy_document(
    held_out: "HeldOut", version: ModelVersion, review: Mapping[str, float], created_at: str
) -> dict[str, Any]:
    """Return a policy as JSON: a released decline cut-off below the chosen one moves up to it.

    Parameters
    ----------
    review : model -> the probability from which on it alerts, in (0, 1]
    created_at : ISO 8601, in UTC
    """
    from fraud.models.analysis.operating import expected_at  # with pandas, which a node does without

    window = held_out.manifest["windows"]["test"]
    thresholds, expected = {}, {}
    for name in MODELS:
        released = float(held_out.manifest["models"][name]["thresholds"]["decline"])
        thresholds[name] = {"review": review[name], "decline": max(released, review[name])}
        found = expected_at(held_out, name, review[name])
        expected[name] = {metric: estimate.to_json() for metric, estimate in found.items()}
    return {
        "kind": KIND,
        "schema_version": SCHEMA_VERSION,
        "model_version": version.version,
        "manifest_digest": version.manifest_digest,
        "profile": held_out.profile.name,
        "created_at": created_at,
        "thresholds": thresholds,
        "expected": expected,
        "currency": held_out.profile.currency,
        "measured_on": dict(window),
        "interval": "95% percentile bootstrap over the transactions of the test window",
    }


def parse_policy(raw: bytes, where: str) -> ThresholdPolicy:
    """Return a policy from its bytes.

    Raises
    ------
    SettingsError
        It is no policy of this schema, or its cut-offs are not 0 < review <= decline <= 1.
    """
    if len(raw) > _LARGEST:
        raise _unusable(where, f"is larger than {_LARGEST:,} bytes")
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _unusable(where, "is not valid JSON") from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise _unusable(where, f'is no file of the kind "{KIND}"')
    if document.get("schema_version") != SCHEMA_VERSION:
        raise _unusable(where, f"was written for another schema version than {SCHEMA_VERSION}")
    version, digest = document.get("model_version"), document.get("manifest_digest")
    if not isinstance(version, str) or not isinstance(digest, str):
        raise _unusable(where, "does not say which release it belongs to")
    try:
        entries = {name: document["thresholds"][name] for name in MODELS}
        thresholds = {
            name: Thresholds(review=_number(entry["review"]), decline=_number(entry["decline"]))
            for name, entry in entries.items()
        }
    except (KeyError, TypeError, ValueError) as error:
        raise _unusable(where, "lacks a cut-off of a model") from error
    if any(not 0 < t.review <= t.decline <= 1 for t in thresholds.values()):
        raise _unusable(where, "has cut-offs that are not 0 < review <= decline <= 1")
    return ThresholdPolicy(version, digest, thresholds)


def read_policy(path: Path | None) -> ThresholdPolicy | None:
    """Return the policy in a file, None without one; SettingsError as `parse_policy`, or if it is missing."""
    if path is None:
        return None
    try:
        with path.open("rb") as stream:
            raw = stream.read(_LARGEST + 1)
    except OSError as error:
        raise _unusable(str(path), "cannot be read") from error
    return parse_policy(raw, str(path))


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("not a number")
    return float(value)


def _unusable(where: str, why: str) -> SettingsError:
    return SettingsError(
        f"FRAUD_POLICY: {where} {why}; export it again from the Compare tab.",
        code="settings",
        field="FRAUD_POLICY",
    )
