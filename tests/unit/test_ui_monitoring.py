"""The Monitoring tab's updates: every state says what it is, and no text of a report becomes markup."""

import copy
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from fraud.feedback.store import FeedbackStore
from fraud.monitoring.history import MonitoringHistory
from fraud.repositories.local import LocalRepository
from fraud.service import FraudService
from fraud.serving.champion import Champion
from fraud.ui.language import Localised
from fraud.ui.monitoring import MonitoringTab
from tests.unit.monitoring.records import alert, report, run_line, write_monitoring

HOSTILE = "<img src=x onerror=alert(1)>\"'&<script>alert(2)</script>"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "own"


@pytest.fixture
def tab(tmp_path: Path, own: Path, champion: Champion):
    store = FeedbackStore(tmp_path / "outbox", LocalRepository(tmp_path / "dataset.git"), "test")
    history = MonitoringHistory(own, tmp_path / "example")
    service = FraudService(champion, store, node="test", pseudonym_key=b"key", monitoring=history)
    with gr.Blocks():
        language = gr.Radio(["en", "pt-BR"], value="en")
        with gr.Tab("Monitoring") as opened:
            made = MonitoringTab(service, Localised(), language, opened)
    yield made
    service.close()


def _look(
    tab: MonitoringTab, language: str = "en", signature: str = "", column: Any = None
) -> dict[str, Any]:
    """Return updates by the component's name in the tab."""
    names = {value: name.removeprefix("_") for name, value in vars(tab).items() if hasattr(value, "_id")}
    for model, parts in tab._reliability.items():
        names |= dict(zip(parts, (f"head:{model}", f"plot:{model}", f"table:{model}"), strict=True))
    return {names[part]: update for part, update in tab.look(language, signature, column).items()}


def _page(updates: dict[str, Any]) -> str:
    return "".join(update for update in updates.values() if isinstance(update, str))


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _tags(page: str) -> _Tags:
    found = _Tags()
    found.feed(page)
    return found


@pytest.mark.parametrize(("language", "words"), [("en", "Nobody has looked yet"), ("pt-BR", "Ninguém olhou")])
def test_before_the_first_run_it_says_what_is_missing_and_the_command(tab, language, words) -> None:
    updates = _look(tab, language)
    assert words in updates["glance"]
    assert "<pre>python -m fraud monitor</pre>" in updates["glance"]
    assert "simulate-production" in updates["glance"] and "--until 2026-05-24T00:00Z" in updates["glance"]
    assert updates["body"]["visible"] is False


@pytest.mark.parametrize("language", ["en", "pt-BR"])
@pytest.mark.parametrize("state", ["healthy", "alert", "insufficient_evidence"])
def test_each_state_has_an_icon_a_word_and_a_next_step(tab, own, language, state) -> None:
    lacking = {
        "health": "insufficient_evidence",
        "reasons": [{"code": "no_answers", "params": {"n_asked": 9}}],
    }
    changes: dict[str, Any] = {"state": state}
    if state == "alert":
        changes["alerts"] = [alert("f1:xgboost"), alert("segment:channel=chip:xgboost", state="pending")]
    if state == "insufficient_evidence":
        changes["models"] = {n: m | {"f1": lacking} for n, m in report()["models"].items()}
    write_monitoring(own, report(**changes))
    glance = _look(tab, language)["glance"]
    word = {"healthy": ("Healthy", "Saudável"), "alert": ("Alert", "Alerta")}.get(
        state, ("Insufficient evidence", "Evidência insuficiente")
    )[language == "pt-BR"]
    assert f"</svg>{word}</span>" in glance
    step = {
        "healthy": "<li>",
        "alert": "python -m fraud retrain",
        "insufficient_evidence": "FRAUD_AUDIT_SHARE",
    }
    assert step[state] in glance
    if state == "insufficient_evidence":
        assert "9" in glance and ("What is missing" in glance or "O que falta" in glance)
    if state == "alert":
        assert ("26/04/2026" if language == "pt-BR" else "2026-04-26") in glance


def test_an_example_is_labelled_and_gives_way_to_the_first_own_run(tab, own, tmp_path) -> None:
    write_monitoring(tmp_path / "example", flat=True)
    before = _look(tab)
    assert "Simulated production, an example" in before["lead"]
    write_monitoring(own)
    after = _look(tab, signature=before["signature"])
    assert "Simulated production" not in after["lead"]


@pytest.mark.parametrize(
    ("language", "words"), [("en", "Simulated production that you played"), ("pt-BR", "você executou")]
)
def test_a_history_that_was_played_is_labelled_and_an_own_one_is_not(tab, own, language, words) -> None:
    write_monitoring(own)
    assert words not in _look(tab, language)["lead"]
    write_monitoring(own, report(simulated=True))
    assert words in _look(tab, language)["lead"]


def test_an_example_of_another_profile_is_not_shown(tab, tmp_path) -> None:
    write_monitoring(tmp_path / "example", report(profile="ulb"), flat=True)
    assert "Nobody has looked yet" in _look(tab)["glance"]


def test_nothing_is_drawn_again_until_a_run_leaves_another_report(tab, own) -> None:
    write_monitoring(own)
    first = _look(tab)
    assert set(_look(tab, signature=first["signature"])) == {"timer"}
    write_monitoring(own, report(n_predictions=4321))
    assert "4,321" in _look(tab, signature=first["signature"])["basis"]


def test_another_language_draws_it_again(tab, own) -> None:
    write_monitoring(own)
    first = _look(tab)
    assert "O F1 está onde estava" in _look(tab, "pt-BR", first["signature"])["f1_head"]


def test_a_damaged_file_is_one_sentence_in_either_language_and_no_traceback(tab, own) -> None:
    write_monitoring(own)
    (own / "ledger.json").write_text("{")
    english, portuguese = (_look(tab, language)["glance"] for language in ("en", "pt-BR"))
    assert "ledger.json is damaged" in english and 'role="alert"' in english
    assert "ledger.json está danificado" in portuguese


def test_the_column_that_moved_most_is_chosen_and_another_can_be(tab, own) -> None:
    write_monitoring(own)
    assert _look(tab)["column"]["value"] == "card_age_days"
    assert _look(tab, column="channel")["column"]["value"] == "channel"
    assert _look(tab, column=HOSTILE)["column"]["value"] == "card_age_days"
    drawn = tab._choose("en", "channel")["value"]
    assert "Chip and PIN" in drawn.plot


def test_figures_speak_the_visitors_language_in_units_levels_and_decimals(tab, own) -> None:
    write_monitoring(own)
    updates = _look(tab, "pt-BR")
    days = json.loads(updates["curve"]["value"].plot)["layout"]
    assert days["xaxis"]["title"]["text"] == "dias"
    for plot in ("f1", "curve", "latency", "plot:xgboost"):
        assert json.loads(updates[plot]["value"].plot)["layout"]["separators"] == ",.", plot
    channel = json.loads(tab._choose("pt-BR", "channel")["value"].plot)
    assert {"Chip e senha", "Aproximação"} & set(channel["data"][0]["x"])
    assert not {"chip", "contactless", "online"} & set(channel["data"][0]["x"])


def test_a_window_in_which_nothing_can_be_drawn_says_so(tab, own) -> None:
    empty = {"verdict": "insufficient evidence", "reasons": [{"code": "no_reference", "params": {}}]}
    document = report(
        drift=empty | {"columns": [], "assumptions": []}, curves=[], calibration={},
        operations={"n_predictions": 0, "per_day": 0.0, "latency_ms": {}, "versions": {}},
    )  # fmt: skip
    for model in document["models"].values():
        model["realised"]["figures"] = {}
        model["estimated"] = None
    write_monitoring(own, document, runs=[run_line(figures={})])
    updates = _look(tab)
    for plot in ("f1", "drift", "curve", "latency", "plot:xgboost"):
        assert updates[plot]["visible"] is False, plot
    page = _page(updates)
    for words in ("No run could tell F1", "no reference to compare", "no time of scoring", "Too few answers"):
        assert words in page


def test_texts_of_a_report_never_become_markup(tab, own) -> None:
    document = report(
        model={"version": HOSTILE}, dataset_revision=HOSTILE, state="alert",
        alerts=[
            alert(f"drift:{HOSTILE}", params_of=HOSTILE), alert(f"segment:{HOSTILE}={HOSTILE}:xgboost"),
            alert(f"{HOSTILE}:xgboost"), alert("segment:amount=a..b:xgboost"),
            alert("f1:xgboost", realised=HOSTILE, estimated=HOSTILE),
        ],
    )  # fmt: skip
    document["drift"]["columns"][0]["name"] = HOSTILE
    document["drift"]["columns"][1]["name"] = f"{HOSTILE}:xgboost"
    document["curves"] = [copy.deepcopy(document["curves"][1]) | {"name": HOSTILE, "unit": HOSTILE}]
    document["curves"][0]["levels"] = [HOSTILE, "other"]
    model = document["models"]["xgboost"]
    model["realised"]["figures"][HOSTILE] = model["realised"]["figures"]["f1"]
    document["segments"] = [
        {"segment": {"column": HOSTILE, "level": HOSTILE, "kind": "band"}, "model": "xgboost",
         "realised": model["realised"], "gap": None, "judgement": model["f1"]},
    ]  # fmt: skip
    write_monitoring(own, document, runs=[run_line(version=HOSTILE)])
    for language in ("en", "pt-BR"):
        updates = _look(tab, language)
        tags = _tags(_page({k: v for k, v in updates.items() if k != "signature"}))
        assert not tags.seen & {"img", "script", "a", "iframe"}
        assert not {name for name in tags.attributes if name.startswith("on")}
        assert tags.open == []
        for update in updates.values():
            if isinstance(update, dict) and getattr(update.get("value"), "plot", None):
                drawn = json.loads(update["value"].plot)
                assert "<img" not in json.dumps(drawn) and "<script" not in json.dumps(drawn)
