"""Every code that monitoring gives has a sentence in both languages, with every figure that it names."""

import re
import string
from pathlib import Path

import pytest

import fraud.monitoring
from fraud.data.profile import load_profile
from fraud.monitoring.texts import WORDS
from fraud.monitoring.words import check_name, column_name, figure_name, reason, say

SOURCES = sorted(Path(fraud.monitoring.__file__).parent.glob("*.py"))
CARDS = load_profile("cards")


def _codes_in_the_code() -> set[str]:
    texts = "\n".join(p.read_text() for p in SOURCES if p.name not in ("words.py", "alerts.py"))
    found = set(re.findall(r'Reason\(\s*"([a-z0-9_]+)"', texts))
    found |= set(re.findall(r'_insufficient\(\s*"([a-z0-9_]+)"', texts))
    found |= set(re.findall(r'\bsay\(\s*"([a-z0-9_ ]+)"', texts))
    return found


def test_every_code_has_words() -> None:
    codes = _codes_in_the_code()
    assert len(codes) > 40
    assert not codes - set(WORDS)


@pytest.mark.parametrize("code", sorted(WORDS))
def test_both_languages_name_the_same_figures(code) -> None:
    english, portuguese = (
        {name for _, name, _, _ in string.Formatter().parse(text) if name} for text in WORDS[code]
    )
    assert english == portuguese
    assert all(WORDS[code])


def test_figures_are_written_as_each_language_writes_them() -> None:
    params = {"effect": 0.1234, "minimum": 0.05}
    assert "0.123" in reason("distribution_changed", params, "en")
    assert "0,123" in reason("distribution_changed", params, "pt-BR")
    assert "12%" in reason("low_response", {"found": 0.12, "needed": 0.5}, "en")


def test_a_figure_that_is_missing_is_a_dash_and_no_error() -> None:
    assert "—" in reason("stretches_alike", {}, "en")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("f1:xgboost", "F1 of XGBoost"),
        ("drift:card_age_days", "Input “Card age”"),
        ("drift:score:xgboost", "Scores of XGBoost"),
        ("drift:disagreement", "Disagreement of the models"),
        ("segment:channel=chip:xgboost", "XGBoost where Channel: Chip and PIN"),
        ("segment:amount=26..92:random_forest", "Random Forest where Amount: from 26 to 92"),
        ("segment:country:other:xgboost", "XGBoost where Merchant country: other levels"),
        ("segment:country=other:xgboost", "XGBoost where Merchant country: other"),
        ("domain", "All inputs together"),
    ],
)
def test_checks_are_named_in_the_profiles_words(key, words) -> None:
    assert check_name(key, CARDS, "en") == words


def test_a_column_that_the_profile_does_not_have_keeps_its_name() -> None:
    assert column_name("something_else", CARDS, "en") == "Something else"
    assert say("ok", "pt-BR") == "como antes"


@pytest.mark.parametrize("language", ["en", "pt-BR"])
def test_a_figure_on_another_basis_than_its_definition_says_so(language) -> None:
    plain = figure_name("card_precision_at_10", language)
    other = figure_name("card_precision_at_10", language, "highest_transaction")
    assert other.startswith(plain) and len(other) > len(plain) + 20 and "10" in other
    assert figure_name("f1", language, "audit") == "F1"
