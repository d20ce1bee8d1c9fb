"""The Table tab: a file in, its columns matched, both models' answers for every row out."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from fraud import scratch
from fraud.errors import FraudError, NotFound
from fraud.service import FraudService
from fraud.tables.desk import TableDesk
from fraud.tables.matching import Wanted, guess, wanted_columns
from fraud.tables.reading import Sheet
from fraud.tables.scored import Choice
from fraud.ui import batch_html as words
from fraud.ui.answer_fields import answer_fields
from fraud.ui.batch_flagging import MAX_FLAGS, flag_rows
from fraud.ui.flagging import alert_html
from fraud.ui.language import Localised
from fraud.ui.texts import column_label, text
from fraud.ui.withdrawing import address_of

MAX_FILE = f"{words.MAX_UPLOAD_MB}mb"
_POLL_SECONDS = 0.4
_MORE, _SHOWN_CELL = "\u2026", 13
_QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
_TICKED = """(...given) => {
  given[0] = [...document.querySelectorAll("#batch-table input:checked")].map((box) => box.value).join(",");
  return given;
}"""
Updates = dict[Any, Any]


def _short(cell: str) -> str:
    return cell if len(cell) <= _SHOWN_CELL else cell[: _SHOWN_CELL - 1] + _MORE


class BatchTab:
    """Draws itself inside the current Blocks context and wires its events."""

    def __init__(
        self,
        service: FraudService,
        localised: Localised,
        language: Any,
        tab: gr.Tab,
        desk: TableDesk | None = None,
    ) -> None:
        self._service = service
        self._desk = desk or TableDesk(lambda: service.scorer())
        self._language = language
        self._job = gr.State("", time_to_live=scratch.LIFE_S, delete_callback=self._desk.discard)
        # Kept by the browser too: after a reload the tab takes its table up where it is.
        self._kept = gr.BrowserState("", storage_key="fraud-table")
        self._page = gr.State(0)
        self._timer = gr.Timer(_POLL_SECONDS, active=False)
        self._draw(localised)
        self._wire(tab)

    def _draw(self, localised: Localised) -> None:
        make = localised.make
        with gr.Column(elem_classes=["sheet", "batch-entry"]):
            make(gr.HTML, lambda language: {"value": words.introduction(language)})
            self._file = make(
                gr.File,
                lambda language: {"label": text("batch_file", language)},
                file_types=[".csv", ".parquet"],
                height=132,
                elem_id="batch-file",
            )
            make(gr.HTML, lambda language: {"value": words.sample_html(language)})
            self._problem = gr.HTML(elem_id="batch-problem")
        with gr.Column(visible=False, elem_classes=["sheet"], elem_id="batch-opened") as self._opened:
            self._about = gr.HTML(elem_id="batch-about")
            self._draw_columns(localised)
            with gr.Row(elem_classes=["verdicts", "batch-actions"]):
                self._score = make(
                    gr.Button,
                    lambda language: {"value": text("batch_score", language)},
                    variant="primary",
                    elem_id="batch-score",
                )
                self._cancel = make(
                    gr.Button,
                    lambda language: {"value": text("batch_cancel", language)},
                    visible=False,
                    elem_id="batch-cancel",
                )
                self._forget = make(
                    gr.Button,
                    lambda language: {"value": text("batch_forget", language)},
                    elem_id="batch-forget",
                )
            self._progress = gr.HTML(elem_id="batch-progress")
        with gr.Column(visible=False, elem_id="batch-results") as self._results:
            self._summary = gr.HTML(elem_id="batch-summary")
            with gr.Column(elem_classes=["sheet"]):
                self._draw_rows(localised)
            with gr.Column(elem_classes=["sheet", "flag-details"], elem_id="batch-flag"):
                self._draw_flags(localised)
            with gr.Column(elem_classes=["sheet"], visible=False) as self._refused_sheet:
                self._refused = gr.HTML(elem_id="batch-refused")

    def _draw_columns(self, localised: Localised) -> None:
        profile = self._service.profile
        self._columns: dict[str, gr.Dropdown] = {}
        with (
            localised.make(
                gr.Accordion,
                lambda language: {"label": text("batch_columns", language)},
                open=False,
                elem_id="batch-columns",
            ) as self._choosing,
            gr.Column(elem_classes=["fields", "dense"]),
        ):
            for one in wanted_columns(profile):
                self._columns[one.column] = localised.make(
                    gr.Dropdown,
                    partial(self._column_words, one),
                    choices=[("\u2014", "")],
                    value="",
                    elem_classes=["field"],
                    elem_id=f"batch-column-{one.column}",
                )

    def _column_words(self, one: Wanted, language: str) -> Mapping[str, Any]:
        profile = self._service.profile
        roles = profile.columns
        role = next((r for r in ("id", "label", "label_at") if getattr(roles, r) == one.column), None)
        label = text(f"batch_role_{role}", language) if role else column_label(profile, one.column, language)
        return {"label": f"{label} *" if one.needed else label}

    def _draw_rows(self, localised: Localised) -> None:
        make = localised.make
        make(gr.HTML, lambda language: {"value": f"<h3>{text('batch_show', language)}</h3>"})
        self._choice = make(
            gr.Radio,
            lambda language: {
                "label": text("batch_choice", language),
                "choices": [(text(f"batch_choice_{c}", language), c) for c in ("all", "alerts", "differ")],
            },
            value="all",
            show_label=False,
            elem_id="batch-choice",
            elem_classes=["field", "wide"],
        )
        self._table = gr.HTML(elem_id="batch-table")
        with gr.Row(elem_classes=["verdicts"]):
            self._previous = make(
                gr.Button,
                lambda language: {"value": text("batch_previous", language)},
                elem_id="batch-previous",
            )
            self._next = make(
                gr.Button, lambda language: {"value": text("batch_next", language)}, elem_id="batch-next"
            )

    def _draw_flags(self, localised: Localised) -> None:
        make = localised.make
        make(
            gr.HTML,
            lambda language: {
                "value": f"<h3>{text('batch_flag_title', language)}</h3>"
                f'<p class="quiet">{text("batch_flag_lead", language, n=MAX_FLAGS)}</p>'
            },
        )
        self._ticked = gr.Textbox(visible=False)
        self._label, self._comment, self._consent = answer_fields(make, "batch-consent")
        self._send = make(
            gr.Button,
            lambda language: {"value": text("batch_flag_send", language)},
            variant="primary",
            elem_id="batch-flag-send",
            elem_classes=["narrow"],
        )
        self._receipts = gr.HTML(elem_id="batch-flag-status")

    @property
    def _outputs(self) -> list[Any]:
        return [
            self._kept, self._job, self._page, self._timer, self._file, self._problem,
            self._opened, self._about, self._choosing, *self._columns.values(), self._score, self._cancel,
            self._forget, self._progress, self._results, self._summary, self._choice, self._table,
            self._previous, self._next, self._label, self._comment, self._consent, self._receipts,
            self._refused_sheet, self._refused,
        ]  # fmt: skip

    def _wire(self, tab: gr.Tab) -> None:
        language, job, outputs = self._language, self._job, self._outputs
        shown = [job, self._choice, self._page, language]
        tab.select(self._resume, [job, self._kept, language], outputs, **_QUIET)
        self._file.upload(self._open, [self._file, job, language], outputs, **_QUIET)
        self._score.click(self._start, [job, language, *self._columns.values()], outputs, **_QUIET)
        self._cancel.click(self._stop, [job, language], outputs, **_QUIET)
        self._forget.click(self._discard, [job], outputs, **_QUIET)
        self._timer.tick(self._tick, [job, language], outputs, **_QUIET)
        self._choice.input(lambda *given: self._turn(0, *given), shown, outputs, **_QUIET)
        self._previous.click(lambda *given: self._turn(-1, *given), shown, outputs, **_QUIET)
        self._next.click(lambda *given: self._turn(1, *given), shown, outputs, **_QUIET)
        answer = [self._ticked, job, self._label, self._comment, self._consent]
        self._send.click(
            self._flag, [*answer, self._choice, self._page, language], outputs, js=_TICKED, **_QUIET
        )
        language.input(self._say_again, [*shown, *self._columns.values()], outputs, **_QUIET)

    # Before it is scored

    def _open(self, path: str, job: str, language: str, request: gr.Request) -> Updates:
        self._desk.discard(job)
        try:
            new, sheet = self._desk.open(Path(path), Path(path).name, request.session_hash or "")
        except FraudError as error:
            return self._nothing() | {self._problem: self._alert(error, language)}
        return self._nothing() | {self._job: new, self._kept: new} | self._about_it(sheet, language)

    def _resume(self, job: str, kept: str | None, language: str) -> Updates:
        """Take up the table that this browser sent before the page was loaded again, if it is still here."""
        if job or not kept or not isinstance(kept, str):
            return {self._problem: gr.update()}
        try:
            sheet = self._desk.sheet(kept)
        except NotFound:
            return {self._kept: ""}
        return (
            {self._job: kept}
            | self._about_it(sheet, language, self._desk.columns(kept))
            | self._tick(kept, language)
        )

    def _about_it(self, sheet: Sheet, language: str, chosen: Mapping[str, str] | None = None) -> Updates:
        """Return the updates that show a table's columns: as they were chosen, or else as guessed."""
        profile = self._service.profile
        matching = guess(sheet, profile)
        if chosen is not None:
            matching = replace(matching, columns=chosen)
        missing = [w.column for w in wanted_columns(profile) if w.needed and w.column not in matching.columns]
        first: Mapping[str, str | None] = sheet.sample[0] if sheet.sample else {}
        choices = [(f"\u2014 {text('batch_not_there', language)}", "")]
        for name in sheet.columns:
            cell = first.get(name)
            choices.append((f"{name} ({_short(cell)})" if cell else name, name))
        clean = not missing and all(column == own for column, own in matching.columns.items())
        return {
            self._opened: gr.update(visible=True),
            self._about: words.opened_html(sheet, matching, missing, profile, language),
            self._choosing: gr.update(open=not clean),
            self._score: gr.update(visible=True),
            **{
                box: gr.update(choices=choices, value=matching.columns.get(column, ""))
                for column, box in self._columns.items()
            },
        }

    def _start(self, job: str, language: str, *chosen: str | None) -> Updates:
        try:
            self._desk.start(job, dict(zip(self._columns, chosen, strict=True)))
        except NotFound as error:
            return self._nothing() | {self._problem: self._alert(error, language)}
        except FraudError as error:
            return {self._progress: self._alert(error, language), self._choosing: gr.update(open=True)}
        return {
            self._results: gr.update(visible=False),
            self._page: 0,
            self._choosing: gr.update(open=False),
            self._problem: "",
        } | self._tick(job, language)

    def _stop(self, job: str, language: str) -> Updates:
        try:
            self._desk.cancel(job)
        except FraudError as error:
            return self._nothing() | {self._problem: self._alert(error, language)}
        return self._tick(job, language)

    def _discard(self, job: str) -> Updates:
        self._desk.discard(job)
        return self._nothing()

    # While it is scored

    def _tick(self, job: str, language: str) -> Updates:
        try:
            found = self._desk.progress(job)
        except FraudError as error:
            return self._nothing() | {self._problem: self._alert(error, language)}
        busy = found.state in ("waiting", "running")
        updates: Updates = {
            self._timer: gr.Timer(active=busy),
            self._progress: words.progress_html(found, language),
            self._score: gr.update(visible=not busy),
            self._cancel: gr.update(visible=busy),
            self._forget: gr.update(visible=not busy),
        }
        if found.state == "failed" and found.problem is not None:
            updates[self._progress] = self._alert(found.problem, language)
        if found.state == "done":
            updates |= self._show(job, "all", 0, language, first=True)
        return updates

    # Afterwards

    def _show(
        self,
        job: str,
        choice: Choice,
        page: int,
        language: str,
        *,
        first: bool = False,
    ) -> Updates:
        table = self._desk.table(job)
        last = max(0, (table.count(choice) - 1) // words.PAGE_ROWS)
        page = min(max(page, 0), last)
        updates: Updates = {
            self._page: page,
            self._table: words.rows_html(table, choice, page, self._desk.flagged(job), language),
            self._previous: gr.update(interactive=page > 0),
            self._next: gr.update(interactive=page < last),
        }
        if not first:
            return updates
        seconds = self._desk.progress(job).seconds
        return updates | {
            self._results: gr.update(visible=True),
            self._choice: choice,
            self._summary: words.summary_html(table, seconds, job, language),
            self._receipts: "",
            self._refused: words.refused_html(table, job, language),
            self._refused_sheet: gr.update(visible=table.n_refused > 0),
        }

    def _turn(self, by: int, job: str, choice: Choice, page: int, language: str) -> Updates:
        try:
            return self._show(job, choice, page + by if by else 0, language)
        except FraudError as error:
            return self._nothing() | {self._problem: self._alert(error, language)}

    def _flag(
        self,
        ticked: str,
        job: str,
        label: str | None,
        comment: str,
        consent: bool,
        choice: Choice,
        page: int,
        language: str,
        request: gr.Request,
    ) -> Updates:
        positions = [int(p) for p in (ticked or "").split(",") if p.isdecimal()]
        try:
            table, flagged = self._desk.table(job), self._desk.flagged(job)
            positions = [p for p in dict.fromkeys(positions) if p < len(table) and p not in flagged]
            if not positions or len(positions) > MAX_FLAGS:
                key = "batch_flag_many" if positions else "batch_flag_none"
                return {self._receipts: alert_html(text(key, language, n=MAX_FLAGS))}
            found = flag_rows(
                self._service,
                table,
                positions,
                label=label,
                comment=comment or "",
                consent=consent is True,
                session=request.session_hash or "",
                address=address_of(request),
            )
        except FraudError as error:
            return {self._receipts: self._alert(error, language)}
        updates: Updates = {self._receipts: words.flags_html(found, self._service.profile, language)}
        kept = {one.position: one.receipt.receipt_id for one in found if one.receipt is not None}
        if kept:
            updates |= {self._label: None, self._comment: "", self._consent: False}
        try:
            self._desk.note_flags(job, kept)
            return updates | self._show(job, choice, page, language)
        except (
            NotFound
        ):  # its hour ended in this moment; what was flagged is kept, and its receipts are shown
            return updates

    def _say_again(
        self,
        job: str,
        choice: Choice,
        page: int,
        language: str,
        *chosen: str | None,
    ) -> Updates:
        if not job:
            return {self._problem: ""}
        columns = {own: name for own, name in zip(self._columns, chosen, strict=True) if name}
        try:
            found = self._desk.progress(job)
            updates = self._about_it(self._desk.sheet(job), language, columns)
            updates |= self._tick(job, language)
            if found.state == "done":
                updates |= self._show(job, choice, page, language, first=True)
                updates |= self._show(job, choice, page, language)
        except FraudError as error:
            return self._nothing() | {self._problem: self._alert(error, language)}
        return updates

    def _alert(self, error: FraudError, language: str) -> str:
        return alert_html(words.problem_text(error, self._service.profile, language))

    def _nothing(self) -> Updates:
        hidden = gr.update(visible=False)
        return {
            self._job: "",
            self._kept: "",
            self._page: 0,
            self._timer: gr.Timer(active=False),
            self._file: None,
            self._problem: "",
            self._opened: hidden,
            self._cancel: hidden,
            self._forget: gr.update(visible=True),
            self._progress: "",
            self._results: hidden,
            self._receipts: "",
        }
