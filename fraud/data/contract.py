"""What a client may send of a transaction, as a JSON Schema made from the profile.

What the schema takes, `fraud.data.validate` takes too, where texts are printable and times lie between 1970
and now. That is more lenient: it also reads numbers and truth values that came as texts.
"""

from collections.abc import Mapping
from typing import Any

from fraud.data.columns import MAX_TEXT
from fraud.data.profile import InputField, Profile

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEXT = {"type": "string", "pattern": r"^\S(.*\S)?$", "maxLength": MAX_TEXT}


def transaction_schema(profile: Profile) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the `transaction` that is scored, and of a batch's row."""
    roles = profile.columns
    properties: dict[str, Mapping[str, Any]] = {}
    if roles.id is not None:
        properties[roles.id] = {"title": "Transaction", **_optional(_TEXT)}
    if roles.time is not None:
        seconds = roles.time_step_ms is not None
        moment = {"type": "number", "minimum": 0} if seconds else {"type": "string", "format": "date-time"}
        properties[roles.time] = {"title": "Time", **moment}
    for entity in profile.entities:
        properties[entity.column] = {"title": entity.label.en, **_optional(_TEXT)}
    for field in profile.fields:
        rule = _rule(field)
        properties[field.column] = _words(field) | (rule if field.required else _optional(rule))
    required = [name for name in properties if name in _required(profile)]
    return {
        "$schema": DIALECT,
        "title": f"A transaction of the profile {profile.name}",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _required(profile: Profile) -> frozenset[str]:
    return frozenset({f.column for f in profile.fields if f.required} | {profile.columns.time or ""})


def _words(field: InputField) -> dict[str, Any]:
    help_ = "" if field.help is None else field.help.en
    said = " ".join(filter(None, (help_, f"Unit: {field.unit}." if field.unit else "")))
    return {"title": field.label.en} | ({"description": said} if said else {})


def _rule(field: InputField) -> dict[str, Any]:
    if field.kind == "boolean":
        return {"type": "boolean"}
    if field.kind == "date":
        return {"type": "string", "format": "date"}
    if field.kind == "category":
        return dict(_TEXT) if field.open_levels else {"type": "string", "enum": list(field.levels)}
    limits = {"minimum": field.minimum, "maximum": field.maximum}
    kind = "integer" if field.integer else "number"
    return {"type": kind} | {name: value for name, value in limits.items() if value is not None}


def _optional(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [dict(rule), {"type": "null"}]}
