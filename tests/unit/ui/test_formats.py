import pytest

from fraud import formats


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "<0.01%"), (0.0004, "0.04%"), (0.004, "0.4%"), (0.372, "37%"), (0.9985, "99.9%"), (1.0, ">99.9%")],
)
def test_a_probability_never_claims_certainty(value: float, shown: str) -> None:
    assert formats.probability(value, "en") == shown


def test_portuguese_swaps_the_separators() -> None:
    assert formats.money(1031.5, "EUR", "pt-BR") == "1.031,50\u00a0EUR"
    assert formats.money(1031.5, "EUR", "en") == "1,031.50\u00a0EUR"


def test_a_zero_has_no_minus() -> None:
    assert formats.number(-0.0001, "en") == "0"


@pytest.mark.parametrize(
    ("hours", "shown"),
    [(0.001, "4\u00a0s"), (0.66, "40\u00a0min"), (1.5, "1.5\u00a0h"), (100.0, "4\u00a0days")],
)
def test_durations_use_the_largest_fitting_unit(hours: float, shown: str) -> None:
    assert formats.duration(hours, "en") == shown


def test_a_date_is_written_as_its_language_does_and_no_text_is_trusted_to_be_one() -> None:
    assert formats.calendar("2026-09-14T12:30:00+00:00", "en") == "2026-09-14 12:30"
    assert formats.calendar("2026-09-14T12:30:00+00:00", "pt-BR") == "14/09/2026 12:30"
    assert formats.calendar("2026-09-14T12:30:00+00:00", "pt-BR", time=False) == "14/09/2026"
    assert formats.calendar("<b>sometime in 2026-09-14", "pt-BR") == "<b>sometime in 2"


def test_a_name_without_separators_is_kept() -> None:
    assert formats.pretty("V17") == "V17"
    assert formats.pretty("cash_out") == "Cash out"
