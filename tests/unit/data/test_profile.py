"""Profiles: the shipped ones load, and each broken rule is one sentence that names its key."""

import pickle
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from fraud.data.profile import DAY_MS, MAX_PROFILE_BYTES, load_profile, parse_profile, window_ms
from fraud.errors import ProfileError

TINY: dict[str, Any] = {
    "name": "tiny",
    "title": {"en": "Tiny", "pt-BR": "Pequeno"},
    "description": {"en": ""},
    "columns": {"time": "at", "label": "fraud", "amount": "paid"},
    "entities": [{"name": "card", "column": "card", "label": {"en": "Card"}}],
    "fields": [
        {"column": "paid", "kind": "number", "minimum": 0, "label": {"en": "Paid"}},
        {"column": "kind", "kind": "category", "levels": ["A", "B"], "label": {"en": "Kind"}},
    ],
    "features": {"history": [{"by": ["card"], "windows": ["1d"], "functions": ["count"]}]},
    "evaluation": {"kind": "time"},
    "costs": {"review": 1, "friction": 5},
}


def changed(path: str, value: object) -> dict[str, Any]:
    document = deepcopy(TINY)
    *parents, last = path.split("/")
    place: Any = document
    for part in parents:
        place = place[int(part) if part.isdigit() else part]
    place[int(last) if last.isdigit() else last] = value
    return document


@pytest.mark.parametrize("name", ["cards", "handbook", "sparkov", "ulb"])
def test_every_shipped_profile_loads(name: str) -> None:
    assert load_profile(name).name == name


def test_a_profile_survives_its_own_json() -> None:
    profile = load_profile("cards")
    assert parse_profile(profile.model_dump(mode="json", by_alias=True), "again") == profile


def test_a_missing_translation_falls_back_to_english() -> None:
    title = parse_profile(TINY, "t").entities[0].label
    assert title.in_language("pt-BR") == "Card"
    assert parse_profile(TINY, "t").title.in_language("pt-BR") == "Pequeno"


@pytest.mark.parametrize(
    ("window", "expected"), [("15min", 900_000), ("1h", 3_600_000), ("30d", 30 * DAY_MS)]
)
def test_a_window_is_a_whole_number_and_a_unit(window: str, expected: int) -> None:
    assert window_ms(window) == expected


@pytest.mark.parametrize(
    "window", ["0d", "-1d", "1.5d", "1w", "", "1d\n", "\u0661d", "36501d", "999999999999d", "9" * 5000 + "d"]
)
def test_a_window_that_no_calendar_holds_is_refused(window: str) -> None:
    with pytest.raises(ProfileError, match=r"features\.history\.0: .* is not a window"):
        parse_profile(changed("features/history/0/windows", [window]), "tiny.toml")


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("colour", 1, "colour: not a key of a profile"),
        ("columns/tim", "at", "columns.tim: not a key of a profile"),
        ("columns/time", 5, "columns.time: "),
        ("columns/label", "", "columns.label: "),
        ("columns/id", "fraud", '"fraud" is also columns.label'),
        ("columns/label", "paid", '"paid" is also a field'),
        ("columns/amount", "kind", '"kind" is not a number field'),
        ("columns/time", None, "need a time column|needs columns.time"),
        ("columns/fraud_values", ["0"], "both a fraud value and a legitimate value"),
        ("columns/fraud_values", [], "columns.fraud_values: "),
        ("entities/0/column", "fraud", '"fraud" is also columns.label'),
        ("entities/0/column", "paid", '"paid" is also a number field'),
        ("fields", [], "fields: "),
        ("fields/1/column", "paid", '"paid" is declared twice'),
        ("fields/0/column", "", "fields.0.column: "),
        ("fields/0/default", "many", 'default "many" is not a number'),
        ("fields/0/default", -1, "default -1 lies outside"),
        ("fields/0/maximum", -1, "minimum is above maximum"),
        ("fields/0/maximum", float("inf"), "fields.0.maximum: .*finite"),
        ("fields/1/default", "C", 'default "C" is not one of the levels'),
        ("fields/1/levels", ["A", "A"], "two levels are the same"),
        ("fields/1/levels", [" A"], 'level " A" is not'),
        ("fields/1/levels", ["x" * 65], "is not a printable text"),
        ("features/history/0/by", ["nobody"], '"nobody" is neither an entity'),
        ("features/history/0/last", ["km"], "features.position"),
        ("features/label_delay_days", 1e300, "features.label_delay_days: "),
        ("evaluation/delay_days", -1, "evaluation.delay_days: "),
        ("evaluation/train_days", -5, "evaluation.train_days: "),
        ("evaluation/test_fraction", 1.0, "evaluation.test_fraction: "),
        ("evaluation/drop_compromised", "shop", '"shop" is not an entity'),
        ("costs/friction", 1, "must cost more than a review"),
        ("costs/review", float("nan"), "costs.review: .*finite"),
    ],
)
def test_a_broken_rule_is_named_with_its_key(path: str, value: object, sentence: str) -> None:
    with pytest.raises(ProfileError, match=f"^tiny.toml: .*({sentence})") as caught:
        parse_profile(changed(path, value), "tiny.toml")
    assert caught.value.message.endswith(".") and not caught.value.message.endswith("..")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a = \0",
        b"a = 1\na = 2",
        "name = 'caf\u00e9'".encode("latin-1"),
        "name = 1".encode("utf-16"),
        b"a = " + b"[" * 20_000,
        b"#" * (MAX_PROFILE_BYTES + 1),
    ],
    ids=["empty", "nul", "twice", "latin-1", "utf-16", "nested", "huge"],
)
def test_a_file_that_is_no_profile_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_bytes(content)
    with pytest.raises(ProfileError):
        load_profile(path)


@pytest.mark.parametrize("name", ["nobody", "", "../cards", "a\0b", "missing.toml", "x" * 10_000])
def test_a_profile_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(ProfileError):
        load_profile(name)


def test_what_is_computed_from_a_profile_is_neither_pickled_nor_copied() -> None:
    profile = load_profile("cards")
    assert profile.quick_rules and profile.by_column
    again = pickle.loads(pickle.dumps(profile))  # noqa: S301 - our own, from a moment ago
    assert again == profile and "quick_rules" not in vars(again)
    fewer = profile.model_copy(update={"fields": profile.fields[:1]})
    assert len(fewer.by_column) == 1 and len(profile.by_column) > 1
