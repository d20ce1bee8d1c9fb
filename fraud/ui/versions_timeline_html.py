"""The timeline of versions as HTML: who let each serve, how good it is, what it was trained on, its gate."""

import html
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from fraud.formats import number
from fraud.models.evaluate import Estimate
from fraud.models.gate_summary import GateSummary
from fraud.models.report import MODEL_COLOURS, MODEL_TITLES
from fraud.models.summary import ReleaseSummary
from fraud.release_history import Entry, Release, Timeline
from fraud.ui.answers import icon
from fraud.ui.tables import command, swatch
from fraud.ui.texts import text
from fraud.ui.versions_html import (
    FIGURES,
    ROLE_TONES,
    capital,
    decision_html,
    estimate_html,
    moment,
    reasons_html,
    role_chips,
)

_DOT = " \N{MIDDLE DOT} "
_LIST = "python -m fraud versions"
_DECISIONS = 50
_SOURCES = {
    "simulator": "versions_source_simulator",
    "file": "versions_source_file",
    "directory": "versions_source_directory",
}


def timeline_html(timeline: Timeline, refused: GateSummary | None, language: str) -> str:
    """Return every version, newest first, on common scales so that intervals can be compared by eye."""
    scales = {name: _scale(timeline.entries, name) for name in FIGURES}
    title = f"<h3>{text('versions_timeline', language)}</h3>"
    note = f'<p class="quiet">{text("versions_timeline_help", language)}</p>'
    rows = "".join(_entry(entry, scales, language) for entry in timeline.entries)
    older = ""
    if timeline.n_older:
        words = text("versions_older", language, n=timeline.n_older, command=command(_LIST))
        older = f'<p class="quiet">{words}</p>'
    return f'{title}{note}{_refused(refused, language)}<ol class="versions-list">{rows}</ol>{older}'


def _refused(gate: GateSummary | None, language: str) -> str:
    if gate is None:
        return ""
    champion = html.escape(gate.champion)
    words = text("versions_refused_run", language, at=moment(gate.made_at, language), champion=champion)
    return (
        f'<div class="refused-run"><p>{icon("alert")}<b>{words}</b></p>{reasons_html(gate, language)}</div>'
    )


def _scale(entries: Sequence[Entry], name: str) -> tuple[float, float]:
    """Return the ends of a metric's axis over all versions and models, with a little room."""
    ends = [
        end
        for entry in entries
        if entry.release.summary is not None
        for model in entry.release.summary.models.values()
        if (found := model.metrics.get(name)) is not None
        for end in (found.value, found.low, found.high)
        if end is not None
    ]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    room = max((high - low) * 0.08, 0.01)
    return low - room, high + room


def _entry(entry: Entry, scales: Mapping[str, tuple[float, float]], language: str) -> str:
    role = next((r for r in entry.roles if r in ROLE_TONES), "")
    release = entry.release
    head = (
        f'<div class="version-name"><h4>{html.escape(entry.version)}</h4>'
        f"{role_chips(entry.roles, language)}</div>{_dates(entry, language)}"
    )
    reasons = "" if release.gate is None else reasons_html(release.gate, language)
    if release.summary is None:
        sentence = html.escape(release.problem or "")
        body = (
            f'<p class="since decline">{icon("alert")}{text("versions_unreadable", language)}</p>'
            f'<p class="quiet">{sentence}</p>'
        )
        return f'<li class="{role}"><div>{head}</div><div class="wide">{body}</div></li>'
    return (
        f'<li class="{role}"><div>{head}</div>'
        f"<div>{_bars(release.summary, scales, language)}</div>"
        f'<div><dl class="version-facts">{_data(release.summary, language)}{_gate(release, language)}</dl>'
        f"{reasons}{_more(entry, language)}</div></li>"
    )


def _dates(entry: Entry, language: str) -> str:
    lines = []
    if entry.decisions:
        lines.append(decision_html(entry.decisions[0], language))
    elif entry.release.revision is not None:
        lines.append(text("versions_never", language))
    if entry.release.summary is not None and entry.release.summary.created_at:
        lines.append(text("versions_made", language, at=moment(entry.release.summary.created_at, language)))
    return "".join(f'<p class="quiet">{capital(line)}</p>' for line in lines)


def _bars(summary: ReleaseSummary, scales: Mapping[str, tuple[float, float]], language: str) -> str:
    groups = []
    for name in FIGURES:
        lines = "".join(
            _bar(model, summary.models[model].metrics.get(name), scales[name], language)
            for model in MODEL_TITLES
            if model in summary.models
        )
        groups.append(f"<div><dt>{text(f'versions_metric_{name}', language)}</dt>{lines}</div>")
    return f'<dl class="bars">{"".join(groups)}</dl>'


def _bar(model: str, found: Estimate | None, scale: tuple[float, float], language: str) -> str:
    title = f'<span class="unseen">{MODEL_TITLES[model]}</span>'
    if found is None:
        return (
            f'<dd>{title}{swatch(model)}<span class="quiet">{text("versions_not_said", language)}</span></dd>'
        )
    bounds = (found.value if end is None else end for end in (found.low, found.high))
    low, high = (_place(end, scale) for end in bounds)
    at, colour = _place(found.value, scale), MODEL_COLOURS[model]
    drawn = (
        f'<span class="range" aria-hidden="true"><i style="left:{low:.1f}%;width:{high - low:.1f}%;'
        f'background:{colour}"></i><b style="left:{at:.1f}%;background:{colour}"></b></span>'
    )
    return f'<dd>{title}{drawn}<span class="figure">{estimate_html(found, language)}</span></dd>'


def _place(value: float, scale: tuple[float, float]) -> float:
    low, high = scale
    return min(100.0, max(0.0, 100 * (value - low) / (high - low)))


def _data(summary: ReleaseSummary, language: str) -> str:
    rows = "" if summary.n_rows is None else number(summary.n_rows, language, 0)
    table = [text("versions_base", language, n=rows, source=_source(summary.source, language))]
    if summary.data_digest:
        table.append(f"<code>{html.escape(summary.data_digest[:12])}</code>")
    feedback, answers = summary.feedback, [text("versions_no_labels", language)]
    if feedback is not None:
        if feedback.n_labels:
            answers = [text("versions_labels", language, n=number(feedback.n_labels, language, 0))]
        if feedback.dataset_revision:
            revision = f"<code>{html.escape(feedback.dataset_revision[:12])}</code>"
            answers.append(text("versions_revision", language, revision=revision))
        if n_unused := sum(feedback.unused.values()):
            answers.append(text("versions_unused", language, n=number(n_unused, language, 0)))
    return _fact("versions_data", table, language) + _fact("versions_feedback", answers, language)


def _source(source: str, language: str) -> str:
    kind, _, name = source.partition(" ")
    shown = text(_SOURCES[kind], language) if kind in _SOURCES else html.escape(kind)
    return f"{shown} {html.escape(name)}".strip()


def _fact(key: str, said: Sequence[str], language: str) -> str:
    return f'<div class="version-fact"><dt>{text(key, language)}</dt><dd>{_DOT.join(said)}</dd></div>'


def _gate(release: Release, language: str) -> str:
    gate, problem = release.gate, release.gate_problem
    if gate is None:
        key = "versions_gate_none" if problem is None else "versions_gate_unreadable"
        words = text("versions_gate_none_help", language) if problem is None else html.escape(problem)
        said = [text(key, language), f'<span class="quiet">{words}</span>']
        return _fact("versions_gate", said, language)
    tone = "approve" if gate.passed else "decline"
    verdict = text("versions_gate_passed" if gate.passed else "versions_gate_refused", language)
    against = text("versions_gate_against", language, champion=html.escape(gate.champion))
    said = [f'<span class="since {tone}">{icon(tone)}{verdict}</span> {against}']
    if release.has_page:
        said.append(_link(release, language))
    return _fact("versions_gate", said, language)


def _link(release: Release, language: str) -> str:
    address = html.escape(f"v1/versions/{quote(release.version, safe='')}/gate")
    words, of = (
        text("versions_gate_open", language),
        text("versions_gate_of", language, version=release.version),
    )
    unseen = f'<span class="unseen"> {html.escape(of)}</span>'
    return f'<a href="{address}" target="_blank" rel="noopener noreferrer">{words}{unseen}</a>'


def _more(entry: Entry, language: str) -> str:
    summary = entry.release.summary
    parts = []
    if summary is not None and summary.replaces:
        title = text("versions_changed", language, replaces=html.escape(summary.replaces))
        key = f"versions_change_{summary.change}"
        size = text(key, language) if summary.change in ("major", "minor", "patch") else ""
        reasons = "; ".join(html.escape(reason) for reason in summary.reasons)
        words = f"{size}: {reasons}" if summary.change != "patch" and reasons else size
        parts.append(f'<details><summary>{title}</summary><p class="quiet">{words}</p></details>')
    if len(entry.decisions) > 1:
        title = text("versions_history", language, n=len(entry.decisions))
        items = "".join(f"<li>{decision_html(one, language)}</li>" for one in entry.decisions[:_DECISIONS])
        parts.append(f'<details><summary>{title}</summary><ul class="why-list">{items}</ul></details>')
    return "".join(parts)
