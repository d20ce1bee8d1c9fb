"""For programs: the function behind gradio_client and MCP, and the panel that shows how to call it."""

import html
import json
from collections.abc import Mapping
from typing import Any

import gradio as gr
from gradio.events import api

from fraud.errors import FraudError
from fraud.records import Prediction
from fraud.service import FraudService
from fraud.serving.scorer import Explanation
from fraud.ui.language import Localised
from fraud.ui.reasons import reason_text
from fraud.ui.texts import text

API_NAME = "score"
ADDRESS = "http://127.0.0.1:7860"
"""What the snippets say until page.js puts the page's own address in its place."""
_N_REASONS = 5


class Programs:
    """Draws itself inside the current Blocks context, and names the one function that programs may call."""

    def __init__(self, service: FraudService, localised: Localised) -> None:
        self._service = service
        examples = service.examples()
        self._example = dict(examples[0]["transaction"]) if examples else {}
        with localised.make(
            gr.Accordion,
            lambda language: {"label": text("programs", language)},
            open=False,
            elem_id="programs",
            elem_classes=["sheet", "programs"],
        ):
            localised.make(gr.HTML, lambda language: {"value": self._panel_html(language)})
        api(self.score_transaction, api_name=API_NAME)

    def score_transaction(self, transaction: dict[str, Any], explain: bool = False) -> dict[str, Any]:
        """Score one transaction with both fraud models, Random Forest and XGBoost.

        Parameters
        ----------
        transaction : column -> value; GET /v1/profile lists the columns, GET /v1/examples shows some
        explain : also say in English which facts weighed most
        """
        try:
            prediction = self._service.score(transaction)
            explanations = self._service.explain(prediction) if explain else None
        except FraudError as error:
            raise gr.Error(error.message, print_exception=False) from error
        return answer(self._service, prediction, explanations)

    def _panel_html(self, language: str) -> str:
        parts = [f'<p class="quiet">{text("programs_lead", language)}</p>']
        for name, snippet in snippets(self._example).items():
            label, copy = text(f"programs_{name}", language), text("programs_copy", language)
            shown = html.escape(snippet).replace(ADDRESS, f'<span class="address">{ADDRESS}</span>')
            parts.append(
                f'<div class="snippet"><h4>{label}</h4><button type="button" class="copy" data-copied="'
                f'{text("programs_copied", language)}" aria-label="{copy}: {label}">{copy}</button>'
                f'<pre tabindex="0" data-snippet="{name}"><code>{shown}</code></pre></div>'
            )
        parts.append(f'<p class="quiet">{text("programs_more", language)}</p>')
        return "".join(parts)


def answer(
    service: FraudService, prediction: Prediction, explanations: Mapping[str, Explanation] | None
) -> dict[str, Any]:
    """Return both models' answers as plain values, with reasons in English where there are explanations."""
    scores: dict[str, dict[str, Any]] = {
        name: {
            "fraud_probability": score.fraud_probability,
            "review_threshold": score.thresholds.review,
            "decline_threshold": score.thresholds.decline,
            "decision": score.decision.value,
        }
        for name, score in prediction.scores.items()
    }
    for name, explanation in (explanations or {}).items():
        strongest = explanation.reasons[:_N_REASONS]
        scores[name]["reasons"] = [reason_text(service.profile, reason, "en") for reason in strongest]
    return {
        "prediction_id": prediction.prediction_id,
        "model_version": prediction.model_version.version,
        "agree": prediction.agree,
        "scores": scores,
    }


def snippets(transaction: Mapping[str, Any]) -> dict[str, str]:
    """Return code that scores a transaction when pasted: name -> text, for a shell and for Python."""
    document = json.dumps({"transaction": transaction}, ensure_ascii=True)
    quoted = document.replace("'", "'\\''")
    shown = json.dumps(dict(transaction), ensure_ascii=True, indent=4)
    python = shown.replace(": true", ": True").replace(": false", ": False").replace(": null", ": None")
    return {
        "curl": f"curl -sS {ADDRESS}/v1/score -H 'content-type: application/json' -d '{quoted}'",
        "python": (
            f'from gradio_client import Client\n\nclient = Client("{ADDRESS}/")\ntransaction = {python}\n'
            f'print(client.predict(transaction=transaction, api_name="/{API_NAME}"))'
        ),
        "table": (
            f"curl -sS {ADDRESS}/v1/examples > examples.json\n"
            'python3 -c \'import csv, json, sys; rows = [e["transaction"] for e in '
            'json.load(open("examples.json"))]; w = csv.DictWriter(sys.stdout, rows[0]); w.writeheader(); '
            "w.writerows(rows)' > transactions.csv\n"
            f"curl -sS {ADDRESS}/v1/score/batch -H 'content-type: text/csv' --data-binary @transactions.csv"
        ),
    }
