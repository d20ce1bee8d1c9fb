import string
from pathlib import Path

import pytest

import fraud.ui
from fraud.data.profile import load_profile
from fraud.data.validate import PROBLEMS, problem
from fraud.errors import FraudError
from fraud.records import Finding
from fraud.ui.texts import TEXTS, choose_language, error_text, kind_name, text

SOURCES = Path(fraud.ui.__file__).parent
KEYS_MADE_BY_RULE = (
    "batch_step_", "batch_role_", "batch_choice_", "compare_by_", "compare_daily", "compare_cost_x_",
    "reviewed_",
    *(f"versions_{kind}_" for kind in (
        "state", "role", "did", "metric", "part", "cut", "recipe", "data", "size", "sure", "confirm", "done",
        "change",
    )),
    "unused_", "monitoring_firing_", "monitoring_pending_", "legend_",
    "decision_", "would_", "both_", "mark_", "label_", "noted_", "model_", "scale_", "kind_",
    "tour_", "programs_", "notice_",
    "review_said_", "review_verdict_", "review_bulk_", "review_kept_", *(f"review_{f}" for f in Finding),
)  # fmt: skip


def gaps(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


@pytest.mark.parametrize("key", TEXTS)
def test_every_text_is_there_in_both_languages_with_the_same_gaps(key: str) -> None:
    english, portuguese = TEXTS[key]
    assert english.strip() and portuguese.strip()
    assert gaps(english) == gaps(portuguese)


@pytest.mark.parametrize("code", PROBLEMS)
def test_every_rule_of_a_transaction_has_its_sentence_in_both_languages(code: str) -> None:
    params = {name: "1" for name in gaps(PROBLEMS[code]) - {"field"}}
    error = problem(code, "amount", "Amount", **params)
    profile = load_profile("cards")
    assert error_text(error, profile, "en").startswith("Amount")
    assert "Valor" in error_text(error, profile, "pt-BR")


@pytest.mark.parametrize(
    "code",
    ["no_consent", "verdict", "label", "prediction_gone", "version_changed", "comment_control", "no_receipt",
     "outbox_full", "outbox_failed", "outbox_gone", "wrong_password", "locked_out", "not_logged_in",
     "rate_limited", "lookups_limited"],
)  # fmt: skip
def test_every_error_that_a_visitor_can_meet_is_translated(code: str) -> None:
    assert f"error_{code}" in TEXTS


def test_an_error_without_a_twin_is_said_in_english() -> None:
    assert error_text(FraudError("Just so.", code="new"), load_profile("cards"), "pt-BR") == "Just so."


def test_a_limit_is_written_with_every_decimal_that_was_typed() -> None:
    error = problem("above_maximum", "amount", "Amount", limit=50000.0, value=50000.01)
    sentence = error_text(error, load_profile("cards"), "pt-BR")
    assert "50.000," in sentence and "50.000,01" in sentence


def test_no_text_is_left_over() -> None:
    sources = "".join(path.read_text() for path in SOURCES.glob("*.py") if not path.name.startswith("texts"))
    sources += (SOURCES / "texts.py").read_text().split("def text(")[1]
    unused = [
        key
        for key in TEXTS
        if f'"{key}"' not in sources
        and f"'{key}'" not in sources
        and not key.startswith((*KEYS_MADE_BY_RULE, "error_", "problem_"))
    ]
    assert unused == []


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("pt-BR,pt;q=0.9,en;q=0.8", "pt-BR"),
        ("pt", "pt-BR"),
        ("en-GB,pt;q=0.1", "en"),
        ("de", "en"),
        ("", "en"),
    ],
)
def test_the_browsers_first_language_chooses(header: str, language: str) -> None:
    assert choose_language(header) == language


def test_an_unknown_kind_is_shown_as_words() -> None:
    assert kind_name("gift_card_mule", "pt-BR") == "Gift card mule"
    assert kind_name("card_testing", "pt-BR") == "Teste de cartão"


def test_texts_fill_their_gaps() -> None:
    assert "12" in text("others", "pt-BR", n=12)
