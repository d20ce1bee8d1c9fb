"""The Table tab: a CSV or Parquet file in, both models' answers for every row out, and the rows refused."""

import html
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd

from fraud import scratch
from fraud.data.spreadsheet import spreadsheet_safe
from fraud.errors import FraudError
from fraud.formats import number, probability
from fraud.records import MODELS
from fraud.service import FraudService
from fraud.serving.batch import BatchResult
from fraud.ui.flagging import alert_html
from fraud.ui.language import Localised
from fraud.ui.texts import column_label, error_text, text

SHOWN_ROWS = 100
MAX_FILE = "20mb"
_SAMPLE_ROWS = 25
_QUIET: dict[str, Any] = {"api_visibility": "private"}


class BatchTab:
    """Draws itself inside the current Blocks context and wires its events."""

    def __init__(self, service: FraudService, localised: Localised, language: Any) -> None:
        self._service = service
        make = localised.make
        make(gr.HTML, lambda chosen: {"value": _introduction(service, chosen)})
        with gr.Row():
            self._sample = make(
                gr.DownloadButton,
                lambda chosen: {"label": text("batch_sample", chosen)},
                value=self._sample_file(),
                size="sm",
                scale=0,
                min_width=240,
                elem_id="batch-sample",
            )
        self._file = make(
            gr.File,
            lambda chosen: {"label": text("batch_file", chosen)},
            file_types=[".csv", ".parquet"],
            elem_id="batch-file",
        )
        self._summary = gr.HTML(elem_id="batch-summary")
        self._table = gr.Dataframe(interactive=False, visible=False, wrap=True, elem_id="batch-table")
        self._download = make(
            gr.DownloadButton,
            lambda chosen: {"label": text("batch_download", chosen)},
            visible=False,
            elem_id="batch-download",
        )
        self._refused = gr.Dataframe(interactive=False, visible=False, wrap=True, elem_id="batch-refused")
        outputs = [self._summary, self._table, self._download, self._refused]
        self._file.upload(self._score, [self._file, language], outputs, **_QUIET)
        self._file.clear(self._nothing, None, outputs, **_QUIET)

    def _sample_file(self) -> str | None:
        """Return a file that works: the past of a known card, or the examples, without their labels."""
        entity = next(iter(self._service.entities()), None)
        records = self._service.past_of(entity, _SAMPLE_ROWS) if entity is not None else []
        rows = records or [example["transaction"] for example in self._service.examples()]
        if not rows:
            return None
        path = Path(tempfile.mkdtemp(prefix="fraud-sample-")) / "sample.csv"
        pd.DataFrame(rows).to_csv(path, index=False)
        return str(path)

    def _score(self, path: str, language: str) -> dict[Any, Any]:
        try:
            result = self._service.score_file(Path(path))
        except FraudError as error:
            sentence = error_text(error, self._service.profile, language)
            return self._nothing() | {self._summary: alert_html(sentence)}
        target = scratch.new_file("scored.csv")  # gone in an hour, as gradio's own copy
        spreadsheet_safe(result.scored).to_csv(target, index=False)
        refused = gr.update(visible=False)
        if result.rejected:
            refused = gr.update(value=_refused_table(result, language), visible=True)
        return {
            self._summary: _summary(result, language),
            self._table: gr.update(value=_risk_table(self._service, result, language), visible=True),
            self._download: gr.update(value=str(target), visible=True),
            self._refused: refused,
        }

    def _nothing(self) -> dict[Any, Any]:
        hidden = gr.update(visible=False)
        return {self._summary: "", self._table: hidden, self._download: hidden, self._refused: hidden}


def _introduction(service: FraudService, language: str) -> str:
    profile = service.profile
    needed = [profile.columns.time, *(e.column for e in profile.entities)]
    needed += [field.column for field in profile.fields if field.required]
    names = ", ".join(f"<code>{html.escape(name)}</code>" for name in dict.fromkeys(filter(None, needed)))
    return (
        f"<h2>{text('batch_title', language)}</h2>"
        f'<p class="quiet">{text("batch_lead", language, columns=names)}</p>'
    )


def _alerts(scored: pd.DataFrame, model: str) -> "pd.Series[bool]":
    return scored[f"{model}_decision"] != "approve"


def _summary(result: BatchResult, language: str) -> str:
    scored = result.scored
    first, second = (_alerts(scored, model) for model in MODELS)
    counts: Mapping[str, int] = {
        "scored": len(scored),
        "refused": len(result.rejected),
        "first": int(first.sum()),
        "second": int(second.sum()),
        "differ": int((first != second).sum()),
        "shown": min(len(scored), SHOWN_ROWS),
    }
    shown = {key: number(value, language, 0) for key, value in counts.items()}
    return f'<div class="sheet" role="status"><p>{text("batch_summary", language, **shown)}</p></div>'


def _risk_table(service: FraudService, result: BatchResult, language: str) -> pd.DataFrame:
    """Return the rows of highest mean probability, with what identifies them and both answers."""
    profile, scored = service.profile, result.scored
    mean = scored[[f"{model}_probability" for model in MODELS]].mean(axis=1)
    top = scored.loc[mean.sort_values(ascending=False, kind="stable").index[:SHOWN_ROWS]]
    roles = profile.columns
    columns: dict[str, Any] = {}
    if roles.id is not None and roles.id in top.columns:
        columns[column_label(profile, roles.id, language)] = top[roles.id].astype(str).tolist()
    for model in MODELS:
        columns[text(f"model_{model}", language)] = [
            f"{probability(p, language)} {text(f'decision_{decision}', language)}"
            for p, decision in zip(top[f"{model}_probability"], top[f"{model}_decision"], strict=True)
        ]
    naming = [roles.amount, *(e.column for e in profile.entities), roles.time]
    for name in (n for n in naming if n is not None and n in top.columns):
        columns[column_label(profile, name, language)] = [_cell(value) for value in top[name]]
    return pd.DataFrame(columns)


def _cell(value: object) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, pd.Timestamp) else str(value)


def _refused_table(result: BatchResult, language: str) -> pd.DataFrame:
    names = [text(key, language) for key in ("batch_row", "batch_column", "batch_reason")]
    rows = [(r.row, r.column, r.reason) for r in result.rejected[:1000]]
    return pd.DataFrame(rows, columns=names)
