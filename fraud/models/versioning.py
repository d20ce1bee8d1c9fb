"""What a new release changes against the one it would replace, in the terms of semantic versioning.

major   what clients send or what the label means: they must be changed before they may use it
minor   features or algorithm: the same question, answered in another way
patch   the same recipe on new data
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fraud.data.profile import Profile
from fraud.errors import RepositoryError

Size = Literal["major", "minor", "patch"]
FIRST = "1.0.0"


@dataclass(frozen=True, slots=True)
class Change:
    """How large a change is, and in what."""

    size: Size
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReleaseNotes:
    """What a release says of its place among the others.

    Attributes
    ----------
    replaces : the version that it is compared with, None for a first one
    change : what differs from that version
    older : CHANGELOG.md of that version, whose entries are kept below the new one
    """

    replaces: str | None = None
    change: Change = Change("major", ("the first release",))
    older: str = ""

    def to_json(self) -> dict[str, object]:
        """Return what the manifest keeps of it."""
        return {
            "replaces": self.replaces,
            "size": self.change.size,
            "reasons": list(self.change.reasons),
        }


def recipe(profile: Profile, features: Collection[str], parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return digests of what a version number speaks of, for the manifest.

    Parameters
    ----------
    features : names of the features, in order
    parameters : model -> its hyperparameters
    """
    document = profile.model_dump(mode="json", by_alias=True)
    roles = document["columns"]
    fields = [{k: v for k, v in field.items() if k in _INPUT} for field in document["fields"]]
    described = {
        "input_schema": [
            {k: roles.get(k) for k in ("id", "time", "time_unit", "time_origin", "amount")},
            sorted(fields, key=lambda field: str(field["column"])),
            sorted(entity["column"] for entity in document["entities"]),
        ],
        "label": {k: roles.get(k) for k in ("label", "fraud_values", "legitimate_values")},
        "features": [list(features), document["features"]],
        "algorithm": [dict(parameters), document["models"].get("negatives_per_fraud")],
    }
    return {name: _digest(value) for name, value in described.items()}


_INPUT = frozenset(
    {"column", "kind", "unit", "minimum", "maximum", "integer", "levels", "open_levels", "required"}
)
_WORDS: tuple[tuple[str, Size, str], ...] = (
    ("input_schema", "major", "the fields that clients send"),
    ("label", "major", "the meaning of the label"),
    ("features", "minor", "the features"),
    ("algorithm", "minor", "the parameters of the models"),
)


def recipe_of(manifest: Mapping[str, Any], profile: Profile) -> dict[str, str]:
    """Return a manifest's recipe; of one from before it was written there, computed from its profile."""
    written = manifest.get("recipe")
    if isinstance(written, dict):
        return {str(name): str(value) for name, value in written.items()}
    parameters = {name: entry["parameters"] for name, entry in manifest["models"].items()}
    return recipe(profile, manifest["features"], parameters)


def change_between(old: Mapping[str, str], new: Mapping[str, str]) -> Change:
    """Return how large the step from one recipe to another is: the largest of its parts."""
    found = [(size, words) for name, size, words in _WORDS if old.get(name) != new.get(name)]
    if not found:
        return Change("patch", ("the same recipe on other data",))
    size: Size = "major" if any(size == "major" for size, _ in found) else "minor"
    return Change(size, tuple(f"{words} changed" for _, words in found))


def schema_changes(old: Profile, new: Profile) -> tuple[str, ...]:
    """Return what a client would notice of the inputs and of the label, in words; empty if nothing."""
    changes = [] if old.name == new.name else [f'the profile is "{new.name}" and was "{old.name}"']
    fields = [{field.column: field for field in profile.fields} for profile in (old, new)]
    for column in sorted({*fields[0], *fields[1]}):
        before, after = fields[0].get(column), fields[1].get(column)
        if before is None or after is None:
            changes.append(f'field "{column}" is {"new" if before is None else "gone"}')
            continue
        for rule in ("kind", "unit", "minimum", "maximum", "integer", "levels", "open_levels", "required"):
            if getattr(before, rule) != getattr(after, rule):
                changes.append(f'"{rule}" of field "{column}" is another')
    roles = ("label", "id", "time", "amount", "time_unit", "time_origin", "fraud_values", "legitimate_values")
    changes += [
        f'"{role}" of the columns is another'
        for role in roles
        if getattr(old.columns, role) != getattr(new.columns, role)
    ]
    if [e.column for e in old.entities] != [e.column for e in new.entities]:
        changes.append("the entities are others")
    return tuple(changes)


def next_version(base: str | None, size: Size, taken: Collection[str]) -> str:
    """Return the first free version after `base` that differs from it by `size`; "1.0.0" after None.

    A version that was recorded and never promoted keeps its number: the next one steps over it.
    """
    if base is None:
        return FIRST if FIRST not in taken else next_version(FIRST, "patch", taken)
    major, minor, patch = version_key(base)
    while True:
        if size == "major":
            major, minor, patch = major + 1, 0, 0
        elif size == "minor":
            minor, patch = minor + 1, 0
        else:
            patch += 1
        version = f"{major}.{minor}.{patch}"
        if version not in taken:
            return version


def version_key(version: str) -> tuple[int, int, int]:
    """Return a semantic version as three numbers; RepositoryError if it is not one."""
    parts = version.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise RepositoryError(f'"{version}" is not a version such as 1.2.3.', code="version")
    return int(parts[0]), int(parts[1]), int(parts[2])


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
