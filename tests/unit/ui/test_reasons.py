import pytest

from fraud.data.profile import Profile, load_profile
from fraud.features.pipeline import FeaturePipeline
from fraud.records import Reason
from fraud.ui.reasons import feature_writers, reason_text


def said(feature: str, value: float | str | None, language: str = "en", profile: str = "cards") -> str:
    return reason_text(load_profile(profile), Reason(feature, value, 0.1), language)


@pytest.mark.parametrize("language", ["en", "pt-BR"])
@pytest.mark.parametrize("value", [None, 0.0, 3.7])
def test_every_feature_of_every_profile_has_words(
    profile: Profile, language: str, value: float | None
) -> None:
    names = FeaturePipeline(profile, {}).names
    assert set(names) == set(feature_writers(profile))
    for name in names:
        words = reason_text(profile, Reason(name, value, 0.1), language)
        assert words.strip() == words and "{" not in words
        if profile.name != "odd":
            assert "_" not in words


def test_windows_and_entities_are_named() -> None:
    assert said("card_id_count_1h", 5.0) == "Transactions of this card in the last hour: 5"
    assert said("card_id_count_1h", 5.0, "pt-BR") == "Transações deste cartão na última hora: 5"
    words = said("card_id_category_count_30d", 2.0)
    assert words == "Transactions of this card with the same merchant category in the last 30 days: 2"


def test_a_ratio_reads_as_times_the_mean() -> None:
    assert said("card_id_ratio_30d", 8.1) == "Amount is 8.1 times the 30-day mean of this card"
    assert "vezes a média deste cartão" in said("card_id_ratio_30d", 8.1, "pt-BR")
    assert said("card_id_ratio_1h", None).startswith("No 1-hour mean")


def test_distances_speeds_rates_and_gaps_carry_their_units() -> None:
    assert said("km_from_home", 612.4) == "Distance between home and merchant: 612\u00a0km"
    assert said("card_id_speed_since_last", 880.0).endswith("880\u00a0km/h")
    assert said("merchant_id_fraud_rate_7d", 0.021).endswith("2.1%")
    assert said("card_id_hours_since_last", 0.5).endswith("30\u00a0min")
    assert said("merchant_id_mean_7d", 12.5, "pt-BR").endswith("12,50\u00a0EUR")


def test_levels_are_shown_by_their_names() -> None:
    assert said("channel", "chip", "pt-BR") == "Canal: Chip e senha"
    assert said("hour", 4.2125) == "Time of day: 04:12 UTC"


def test_a_feature_nobody_knows_falls_back_to_its_name() -> None:
    assert said("brand_new", 2.0) == "brand_new: 2"


def test_every_function_that_a_profile_may_declare_has_words_in_both_languages() -> None:
    from typing import get_args

    from fraud.data.profile import AggregateFunction, LastFunction
    from fraud.ui import reasons

    for function in (*get_args(AggregateFunction), *get_args(LastFunction)):
        assert function == "ratio" or len(set(reasons._FUNCTIONS[function])) == 2, function
