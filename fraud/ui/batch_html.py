"""The Table tab's markup: pure functions of a table, where it is, and a language."""

import html
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from fraud import formats
from fraud.data.profile import Profile
from fraud.errors import FraudError
from fraud.records import MODELS
from fraud.tables.accepting import Matching
from fraud.tables.desk import Progress
from fraud.tables.reading import MAX_ROWS, Sheet
from fraud.tables.scored import Choice, Line, ScoredTable
from fraud.ui.batch_flagging import RowFlag
from fraud.ui.flagging import alert_html
from fraud.ui.form import shown_time
from fraud.ui.texts import column_label, error_text, text
from fraud.ui.texts_batch import rule_text

PAGE_ROWS = 25
LISTED_REFUSALS = 200
MAX_UPLOAD_MB = 300
_SHOWN_COLUMNS = 4
_DOT = " \u00b7 "


def introduction(language: str) -> str:
    """Return what the tab is for, and what becomes of a file."""
    lead = text("batch_lead", language, size=MAX_UPLOAD_MB, rows=_count(MAX_ROWS, language))
    return f'<h2>{text("batch_title", language)}</h2><p class="quiet">{lead}</p>'


def sample_html(language: str) -> str:
    """Return the link to a table that can be scored as it is."""
    words = text("batch_sample", language)
    return f'<a class="download small" id="batch-sample" href="tables/sample.csv" download>{words}</a>'


def problem_text(error: FraudError, profile: Profile, language: str) -> str:
    """Return an error as a sentence; a column is called by its label, and a rule is translated."""
    if error.code == "no_row_fits" and "line" in error.params:
        params = {"line": error.params["line"], "rule": rule_text(str(error.params["rule"]), language)}
        return text("error_no_row_fits", language, **params)
    if error.code == "match_missing":
        return text("error_match_missing", language, field=column_label(profile, error.field or "", language))
    return error_text(error, profile, language)


def opened_html(
    sheet: Sheet, matching: Matching, missing: Sequence[str], profile: Profile, language: str
) -> str:
    """Return what was sent, and which columns want a look before it is scored."""
    words = text(
        "batch_opened",
        language,
        name=html.escape(sheet.name),
        rows=_count(sheet.n_rows, language),
        columns=_count(len(sheet.columns), language),
    )
    guessed = [column for column, own in matching.columns.items() if column != own]
    if missing:
        state = text("batch_some_missing", language, columns=_labels(missing, profile, language))
    elif guessed:
        state = text("batch_some_guessed", language, columns=_labels(guessed, profile, language))
    else:
        state = text("batch_all_known", language)
    comma = f" {text('batch_decimal_comma', language)}" if matching.decimal_comma else ""
    kind = "alert" if missing else "quiet"
    return f'<h3>{words}</h3><p class="{kind}" role="status">{state}{comma}</p>'


def _labels(columns: Sequence[str], profile: Profile, language: str) -> str:
    return ", ".join(f"<b>{html.escape(column_label(profile, c, language))}</b>" for c in columns)


def progress_html(progress: Progress, language: str) -> str:
    """Return where a table is: its place in the queue, or the step with a bar, a speed and what is left."""
    if progress.state == "waiting":
        key = "batch_waiting_one" if progress.place == 1 else "batch_waiting"
        return f'<p class="quiet" role="status">{text(key, language, place=progress.place)}</p>'
    if progress.state == "cancelled":
        return f'<p class="quiet" role="status">{text("batch_cancelled", language)}</p>'
    if progress.state != "running":
        return ""
    step = text(f"batch_step_{progress.step}", language)
    said = [text("batch_progress", language, done=_count(progress.n_done, language),
                 rows=_count(progress.n_rows, language))]  # fmt: skip
    speed = progress.rows_per_second
    if speed > 1 and progress.step != "history":
        said.append(text("batch_speed", language, speed=_count(round(speed), language)))
        left = (progress.n_rows - progress.n_done) / speed
        if progress.step == "score" and left >= 1:
            said.append(text("batch_left", language, time=formats.duration(left / 3600, language)))
    percent = 100 * progress.n_done / max(progress.n_rows, 1)
    return (
        f'<div class="job"><p role="status"><b>{step}</b></p>'
        f'<div class="bar" role="progressbar" aria-label="{step}" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent:.0f}"><i style="width: {percent:.1f}%"></i></div>'
        f'<p class="quiet">{_DOT.join(said)}</p></div>'
    )


def summary_html(table: ScoredTable, seconds: float, job_id: str, language: str) -> str:
    """Return the counts of a scored table and its downloads."""
    done = text(
        "batch_done",
        language,
        rows=_count(len(table), language),
        time=formats.duration(seconds / 3600, language),
        version=html.escape(table.model_version.version),
    )
    tiles = [_tile(text("batch_tile_scored", language), len(table), language)]
    for model in MODELS:
        swatch = f'<i class="swatch {model}"></i>'
        words = text("batch_tile_alerts", language, model=text(f"model_{model}", language))
        tiles.append(_tile(swatch + words, table.n_alerts(model), language))
    tiles.append(_tile(text("batch_tile_differ", language), table.count("differ"), language))
    tiles.append(_tile(text("batch_tile_refused", language), table.n_refused, language))
    blank = f'<p class="quiet">{text("batch_blank", language, n=_count(table.n_blank, language))}</p>'
    links = (
        f'<a class="download" id="batch-download" href="tables/{job_id}/scored.csv" download>'
        f"{text('batch_download_csv', language)}</a>"
        f'<a class="download" id="batch-download-parquet" href="tables/{job_id}/scored.parquet" download>'
        f"{text('batch_download_parquet', language)}</a>"
    )
    return (
        f'<p class="done" role="status">{done}</p><dl class="tiles">{"".join(tiles)}</dl>'
        f'{blank if table.n_blank else ""}<p class="downloads">{links}</p>'
    )


def _tile(words: str, n: int, language: str) -> str:
    return f"<div><dt>{words}</dt><dd><b>{_count(n, language)}</b></dd></div>"


def rows_html(
    table: ScoredTable, choice: Choice, number: int, flagged: Mapping[int, str], language: str
) -> str:
    """Return one page of rows, riskiest first, each with a box to tick unless it was flagged."""
    lines = table.page(choice, number, PAGE_ROWS)
    if not lines:
        return f'<p class="quiet" role="status">{text("batch_none", language)}</p>'
    columns = _columns(table)
    heads = [text("batch_pick", language), text("batch_row", language)]
    heads += [f'<i class="swatch {m}"></i>{html.escape(text(f"model_{m}", language))}' for m in MODELS] + [
        html.escape(column_label(table.profile, column, language)) for column, _ in columns
    ]
    body = "".join(_row(table, line, columns, flagged, language) for line in lines)
    head = "".join(f'<th scope="col">{words}</th>' for words in heads)
    first = number * PAGE_ROWS + 1
    page = text(
        "batch_page",
        language,
        first=_count(first, language),
        last=_count(first + len(lines) - 1, language),
        n=_count(table.count(choice), language),
    )
    return (
        f'<div class="rows" tabindex="0" role="region" aria-label="{text("batch_show", language)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        f'<p class="quiet" role="status">{page}</p>'
    )


def _columns(table: ScoredTable) -> list[tuple[str, str]]:
    """Return what tells rows apart: amount, who paid whom, when, and the id; with the table's own names."""
    profile, matched = table.profile, table.matching.columns
    roles = profile.columns
    order = [roles.amount, *(e.column for e in profile.entities), roles.time, roles.id]
    order += [field.column for field in profile.fields]
    found = [c for c in dict.fromkeys(order) if c is not None and c in matched]
    return [(column, matched[column]) for column in found[:_SHOWN_COLUMNS]]


def _row(
    table: ScoredTable,
    line: Line,
    columns: Sequence[tuple[str, str]],
    flagged: Mapping[int, str],
    language: str,
) -> str:
    row = _count(line.row, language)
    if line.position in flagged:
        tick = f"<small>{text('batch_flagged', language)}</small>"
    else:
        label = text("batch_select", language, row=row)
        tick = f'<label><input type="checkbox" value="{line.position}" aria-label="{label}"></label>'
    answers = "".join(
        f'<td class="n"><b>{formats.probability(line.probability[model], language)}</b> '
        f'<span class="decision {line.decision[model].value}">'
        f"{text(f'decision_{line.decision[model].value}', language)}</span></td>"
        for model in MODELS
    )
    cells = "".join(f"<td>{_cell(table, c, line.cells.get(own), language)}</td>" for c, own in columns)
    differ = len({decision == "approve" for decision in line.decision.values()}) == 2
    return f'<tr class="{"differ" if differ else ""}"><td>{tick}</td><td>{row}</td>{answers}{cells}</tr>'


def _cell(table: ScoredTable, column: str, value: Any, language: str) -> str:
    if value is None:
        return ""
    profile = table.profile
    if column == profile.columns.amount:
        try:
            number = float(table.number(value))
        except ValueError:
            return html.escape(str(value))
        return formats.money(number, profile.currency, language)
    if column == profile.columns.time:
        value = value.isoformat() if isinstance(value, datetime) else value
        return html.escape(str(shown_time(value)))
    return html.escape(str(value))


def refused_html(table: ScoredTable, job_id: str, language: str) -> str:
    """Return the first refused rows with their line, column and reason; empty if there are none."""
    if not table.n_refused:
        return ""
    listed = table.listed_refusals(LISTED_REFUSALS)
    keys = ("batch_line", "batch_column", "batch_reason")
    head = "".join(f'<th scope="col">{text(key, language)}</th>' for key in keys)
    body = "".join(
        f'<tr><td class="n">{_count(line, language)}</td><td>{html.escape(column)}</td>'
        f"<td>{html.escape(rule_text(rule, language))}</td></tr>"
        for line, _, column, rule in listed
    )
    title = text("batch_refused_title", language)
    shown = text("batch_refused_shown", language, shown=_count(len(listed), language),
                 n=_count(table.n_refused, language))  # fmt: skip
    return (
        f'<h3>{title}</h3><p class="quiet">{shown}</p>'
        f'<div class="rows short" tabindex="0" role="region" aria-label="{title}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        f'<p class="downloads"><a class="download" href="tables/{job_id}/refused.csv" download>'
        f"{text('batch_download_refused', language)}</a></p>"
    )


def flags_html(found: Sequence[RowFlag], profile: Profile, language: str) -> str:
    """Return what became of each row that was to be flagged."""
    kept = [one for one in found if one.receipt is not None]
    said = ""
    if kept:
        key = "batch_flag_kept_one" if len(kept) == 1 else "batch_flag_kept"
        steps = "".join(
            "<p>"
            + text(
                "batch_flag_receipt",
                language,
                row=_count(one.row, language),
                receipt=f"<code>{html.escape(one.receipt.receipt_id)}</code>",
            )
            + "</p>"
            for one in kept
            if one.receipt is not None
        )
        title = text(key, language, n=len(kept))
        said = f'<div class="receipt" role="status"><p><b>{title}</b></p>{steps}</div>'
    problems = [
        text("batch_flag_problem", language, row=_count(one.row, language),
             problem=problem_text(one.problem, profile, language))
        for one in found if one.problem is not None
    ]  # fmt: skip
    return said + (alert_html(*problems) if problems else "")


def _count(n: int, language: str) -> str:
    return formats.number(n, language, 0)
