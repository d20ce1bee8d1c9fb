from datetime import UTC, datetime

import gradio as gr
import pytest

from fraud.data.profile import Profile
from fraud.ui.blocks import build_blocks
from fraud.ui.form import TransactionForm, iso_moment, moment_of, shown_time, time_value
from fraud.ui.language import Localised
from tests.unit.ui.conftest import StubService, any_profile


def drawn(profile: Profile) -> tuple[TransactionForm, Localised]:
    localised = Localised()
    with gr.Blocks(analytics_enabled=False):
        return TransactionForm(StubService(profile), localised), localised  # type: ignore[arg-type]


def test_every_column_that_a_person_can_give_has_one_widget(profile: Profile) -> None:
    form, _ = drawn(profile)
    roles = profile.columns
    expected = {f.column for f in profile.fields} | {e.column for e in profile.entities}
    expected |= {roles.time} - {None}
    assert sorted(form.read(form.components)) == sorted(expected)


def test_the_whole_page_is_drawn_for_every_profile(profile: Profile) -> None:
    assert isinstance(build_blocks(StubService(profile)), gr.Blocks)  # type: ignore[arg-type]


def test_the_form_speaks_portuguese_where_the_profile_does(profile: Profile) -> None:
    _, localised = drawn(profile)
    labels = [u.get("label") for u in localised.updates("pt-BR").values()]
    if profile.name != "odd":
        assert any("Valor" in str(label) for label in labels)


def test_no_widget_limits_what_is_typed(profile: Profile) -> None:
    form, _ = drawn(profile)
    for component in form.components:
        if isinstance(component, gr.Number):
            assert component.minimum is None and component.maximum is None and component.precision is None
        if isinstance(component, gr.Dropdown):
            assert component.allow_custom_value


def test_fields_that_are_no_features_lie_in_the_fold() -> None:
    form, _ = drawn(any_profile("cards"))
    assert form.is_folded("home_lat") and not form.is_folded("amount")
    assert drawn(any_profile("handbook"))[0].more is None


def test_open_categories_suggest_what_has_been_seen() -> None:
    form, _ = drawn(any_profile("odd"))
    town = form.components[list(form.read(form.components)).index("town")]
    assert ("Faro", "Faro") in town.choices


def test_a_value_outside_a_closed_list_is_left_for_the_service_to_refuse() -> None:
    form, _ = drawn(any_profile("odd"))
    shown = form.known({"kind/of": "never seen", "new?": None})
    assert shown["kind/of"] is None and shown["new?"] is False


@pytest.mark.parametrize("name", ["cards", "ulb"])
def test_a_moment_survives_the_time_columns_form(name: str) -> None:
    profile = any_profile(name)
    moment = datetime(2014, 8, 30, 18, 5, tzinfo=UTC)
    assert moment_of(profile, time_value(profile, moment)) == moment


def test_times_are_shown_as_people_type_them() -> None:
    assert shown_time("2026-08-30T20:05:00+02:00") == "2026-08-30 18:05"
    assert shown_time("2026-08-30T18:05:09+00:00") == "2026-08-30 18:05:09"
    assert shown_time("rubbish") == "rubbish"


@pytest.mark.parametrize(
    ("written", "iso"),
    [
        ("24/09/2026 08:22", "2026-09-24 08:22:00"),
        (" 4/9/2026 08:22:05 ", "2026-09-04 08:22:05"),
        ("24/09/2026", "2026-09-24"),
        ("2026-09-24 08:22", "2026-09-24 08:22"),
        ("32/09/2026", "32/09/2026"),
        (None, None),
    ],
)
def test_a_brazilian_moment_is_read_and_anything_else_left_as_it_is(written: object, iso: object) -> None:
    assert iso_moment(written) == iso
