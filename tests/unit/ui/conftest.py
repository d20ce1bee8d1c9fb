"""Profiles of every shape, and a service that answers just enough for a page to be drawn over it."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from fraud.data.profile import Profile, load_profile, parse_profile

SHIPPED = ("cards", "handbook", "sparkov", "ulb")
ODD = {
    "name": "odd",
    "title": {"en": "Odd"},
    "description": {"en": "A table that nobody here has seen."},
    "columns": {"label": "was it fraud?"},
    "entities": [{"name": "who", "column": "who, exactly", "label": {"en": "Who"}}],
    "fields": [
        {"column": "amount (US$)", "kind": "number", "label": {"en": "Amount <b>"}},
        {"column": "kind/of", "kind": "category", "levels": ["a b", "c"], "label": {"en": "Kind"}},
        {"column": "new?", "kind": "boolean", "label": {"en": "New?"}, "default": True},
        {"column": "maybe", "kind": "boolean", "label": {"en": "Maybe"}, "required": False},
        {"column": "since", "kind": "date", "label": {"en": "Since"}},
        {"column": "town", "kind": "category", "open_levels": True, "label": {"en": "Town"}},
    ],
    "evaluation": {"kind": "stratified"},
    "costs": {"review": 1.0, "friction": 2.0},
}


class StubService:
    """What drawing a page asks of the service."""

    decides = False

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    decides = False

    def entities(self) -> Sequence[str]:
        return ["E1", "E2"] if self.profile.main_entity else []

    def examples(self) -> Sequence[Mapping[str, Any]]:
        return [{"kind": "legitimate", "transaction": {"town": "Faro"}}, {"kind": "3", "transaction": {}}]

    def past_of(self, entity: str, limit: int = 200) -> Sequence[Mapping[str, Any]]:
        return []


def any_profile(name: str) -> Profile:
    return parse_profile(ODD, "odd") if name == "odd" else load_profile(name)


@pytest.fixture(params=[*SHIPPED, "odd"])
def profile(request: pytest.FixtureRequest) -> Profile:
    return any_profile(request.param)
