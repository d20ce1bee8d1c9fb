"""The Versions tab to look at: the timeline, the challenger, who serves what, and what others wrote."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from fraud.errors import StorageError
from fraud.models.gate_summary import GateRule
from fraud.registry import ModelRegistry
from fraud.serving.shadow_report import ModelAgreement, ShadowReport
from fraud.ui.gate_words import rule_sentence
from fraud.ui.versions import VersionsTab
from fraud.ui.versions_html import who
from fraud.webhooks.board import Acknowledgement
from tests.releases import gate_report, make_release
from tests.unit.conftest import NOW
from tests.unit.ui.versions.conftest import HOSTILE, look


@pytest.mark.parametrize(
    ("language", "words"), [("en", "registry is empty"), ("pt-BR", "registro está vazio")]
)
def test_before_the_first_release_it_says_what_is_missing_and_how_to_get_it(
    tab: VersionsTab, language: str, words: str
) -> None:
    updates = look(tab, language=language)
    assert words in updates[tab._serving] and "python -m fraud retrain" in updates[tab._serving]
    assert "python -m fraud retrain" in updates[tab._waiting]
    assert not updates[tab._sides]["visible"] and "1.0.0" in updates[tab._timeline]


def test_the_timeline_says_who_let_which_version_serve(tab: VersionsTab, recorded: ModelRegistry) -> None:
    recorded.promote("1.0.2", who="a1" * 12)
    page = look(tab)[tab._timeline]
    assert page.index(">1.0.3<") < page.index(">1.0.2<") < page.index(">1.0.1<") < page.index(">1.0.0<")
    assert "maintainer <code>a1a1a1a1</code>" in page and "the command line on here" in page
    assert "the first start" in page and "Never promoted" in page
    assert 'href="v1/versions/1.0.2/gate"' in page and "7 labels" in page


@pytest.mark.parametrize("language", ["en", "pt-BR"])
def test_a_challenger_comes_with_its_gate_and_its_shadow(
    tab: VersionsTab, recorded: ModelRegistry, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    assert "FRAUD_SHADOW=1" in look(tab, language=language)[tab._waiting]
    report = ShadowReport(
        "web", "2026-11-22T12:00:00+00:00", "2026-11-22T11:00:00+00:00", "1.0.1", "1.0.2", 200, 3, 0, None,
        {"xgboost": ModelAgreement(200, 190, 7, 3, 0.0123)}, 1.0, 1.0,
    )  # fmt: skip
    monkeypatch.setattr(tab._service, "shadow_report", lambda: report)
    page = look(tab, language=language)[tab._waiting]
    assert "1.0.2" in page and ("95%" in page) and (">7<" in page) and (">3<" in page)
    assert ("average precision changes by" in page) or ("precisão média muda" in page)


def test_who_serves_what_is_told_of_this_page_and_every_node(
    tab: VersionsTab, recorded: ModelRegistry, board: list[Acknowledgement]
) -> None:
    assert "No prediction node has reported" in look(tab)[tab._serving]
    board.append(Acknowledgement("node-b", "1.0.0", "a" * 64, NOW, NOW, "rolled_back", "7 of 9 failed"))
    page = look(tab)[tab._serving]
    assert "this page" in page and "node-b" in page and "went back by itself" in page and "7 of 9" in page


def test_a_board_that_cannot_be_read_does_not_close_the_tab(
    tab: VersionsTab, recorded: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise StorageError("broken")

    monkeypatch.setattr(tab._service.history, "standings", fail)
    updates = look(tab)
    assert "cannot be read" in updates[tab._serving] and "1.0.2" in updates[tab._timeline]


def test_only_what_changed_is_sent_again(tab: VersionsTab, recorded: ModelRegistry) -> None:
    first = look(tab)
    again = look(tab, drawn=first[tab._drawn])
    assert set(again) == {tab._drawn, tab._timer}
    recorded.promote("1.0.2")
    changed = look(tab, drawn=first[tab._drawn])
    assert tab._timeline in changed and tab._lead not in changed


def test_the_comparison_begins_with_what_may_change_next_and_keeps_a_choice(
    tab: VersionsTab, recorded: ModelRegistry
) -> None:
    updates = look(tab)
    assert (updates[tab._old]["value"], updates[tab._new]["value"]) == ("1.0.1", "1.0.2")
    assert "paired 95% interval" in updates[tab._difference] and "+0.010" in updates[tab._difference]
    chosen = look(tab, pair=("1.0.0", "1.0.3"))
    assert (chosen[tab._old]["value"], chosen[tab._new]["value"]) == ("1.0.0", "1.0.3")
    assert "two different" in tab._compare("en", "1.0.0", "1.0.0")[tab._difference]
    for odd in (None, HOSTILE, 7, ["1.0.0"]):
        assert "cannot be read" in tab._compare("en", "1.0.0", odd)[tab._difference]
    assert look(tab, pair=("1.0.0", HOSTILE))[tab._new]["value"] == "1.0.2"
    recorded.promote("1.0.2")
    updates = look(tab)
    assert (updates[tab._old]["value"], updates[tab._new]["value"]) == ("1.0.1", "1.0.2")


def test_the_last_refusal_is_told_with_its_reasons(
    tab: VersionsTab, recorded: ModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fraud.models.gate_summary import parse_gate
    from fraud.retraining.gate_report import write_report

    write_report(gate_report("1.0.1", "1.0.4", passed=False), tmp_path)
    refused = parse_gate((tmp_path / "gate.json").read_bytes())
    monkeypatch.setattr(tab._service.history, "refusal", lambda: refused)
    page = look(tab, language="pt-BR")[tab._timeline]
    assert "recusado" in page and "XGBoost: o recall onde channel=chip cai" in page


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_no_text_of_a_registry_or_a_node_becomes_markup(
    tab: VersionsTab,
    recorded: ModelRegistry,
    small_bundle: Path,
    tmp_path: Path,
    board: list[Acknowledgement],
    token: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = make_release(
        small_bundle,
        tmp_path / "hostile",
        "1.0.9",
        created_at=HOSTILE,
        features=[HOSTILE],
        recipe={HOSTILE: HOSTILE},
        environment={HOSTILE: HOSTILE},
        change={"replaces": HOSTILE, "size": "major", "reasons": [HOSTILE]},
        data={
            "source": HOSTILE, "name": HOSTILE, "sha256": HOSTILE, "n_rows": 3,
            "feedback": {
                "dataset_revision": HOSTILE, "n_labels": 2, "unused": {HOSTILE: 1}, "champion": HOSTILE,
                "gate": {key: {"difference_f1": {"value": 1}} for key in (HOSTILE, "xgboost")},
            },
        },
        report=gate_report(HOSTILE, HOSTILE),
    )  # fmt: skip
    recorded.record(made, "hostile")
    recorded.set_challenger("1.0.9", who=HOSTILE)
    board.append(Acknowledgement(HOSTILE, HOSTILE, "a" * 64, NOW, NOW, "rolled_back", HOSTILE))
    report = ShadowReport(
        HOSTILE, HOSTILE, HOSTILE, HOSTILE, "1.0.9", 2, 0, 0, HOSTILE,
        {HOSTILE: ModelAgreement(2, 1, 1, 0, 0.1)}, None, None,
    )  # fmt: skip
    monkeypatch.setattr(tab._service, "shadow_report", lambda: report)
    for language in ("en", "pt-BR"):
        updates = look(tab, token, language, pair=("1.0.1", "1.0.9"))
        tags = _Tags()
        tags.feed("".join(value for value in updates.values() if isinstance(value, str)))
        tags.feed(updates[tab._nothing]["value"])
        assert not tags.seen & {"img", "script", "iframe"}
        assert not {name for name in tags.attributes if name.startswith("on")}
        assert "alert(1)" in updates[tab._timeline] and "alert(1)" in updates[tab._difference]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ab" * 12, "maintainer <code>abababab</code>"),
        ("shipped", "the first start"),
        ("cli@node-1", "the command line on node-1"),
        ("retrain@trainer", "the retraining on trainer"),
        ("", "nobody known"),
        ("<b>", "&lt;b&gt;"),
        (None, "None"),
    ],
)
def test_who_decided_is_said_without_telling_who_it_is(name: object, words: str) -> None:
    assert who(name, "en") == words


@pytest.mark.parametrize(
    "rule",
    [
        GateRule("unheard_of", False, "xgboost", {}),
        GateRule("size", False, "", {"bytes": "many", "limit": 3}),
        GateRule("size", False, "", {"bytes": 10**400, "limit": 3}),
        GateRule("margin", True, "xgboost", {"metric": "{0.__class__}"}),
        GateRule("evidence", True, "", {}),
    ],
)
def test_a_rule_that_cannot_be_said_is_left_to_the_reports_own_words(rule: GateRule) -> None:
    assert rule_sentence(rule, "en") is None
