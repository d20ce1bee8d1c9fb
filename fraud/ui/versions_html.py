"""The Versions tab's words as HTML. Every text of a registry is escaped: others may write to it."""

import html
import re
from collections.abc import Sequence
from datetime import datetime

from fraud.formats import calendar, number, percentage, signed
from fraud.models.evaluate import Estimate
from fraud.models.gate_summary import GateSummary
from fraud.models.report import MODEL_TITLES
from fraud.models.summary import FeedbackSummary
from fraud.registry import Decision
from fraud.release_history import Entry, Standing, Timeline
from fraud.serving.shadow_report import ShadowReport
from fraud.ui.answers import icon
from fraud.ui.gate_words import rule_sentence
from fraud.ui.tables import command, swatch, table_html
from fraud.ui.texts import text

FIGURES = ("f1", "ap")
_RETRAIN, _PROMOTE = (f"python -m fraud {word}" for word in ("retrain", "promote"))
_STATE_TONES = {"serving": "approve", "rolled_back": "decline", "refused": "decline"}
_STATE_ICONS = {"serving": "approve", "rolled_back": "alert", "refused": "alert"}
ROLE_TONES = {"champion": "approve", "challenger": "review", "previous": "past"}
_SHADOW = ("versions_alike", "versions_gained", "versions_lost", "versions_apart")
_PSEUDONYM = re.compile(r"[0-9a-f]{24}")
_PLACES = {"cli": "versions_who_command", "retrain": "versions_who_retraining"}


def moment(at: datetime | str, language: str) -> str:
    """Return a moment to the minute, escaped; an ISO text is cut, not trusted."""
    return html.escape(calendar(at.isoformat() if isinstance(at, datetime) else str(at), language))


def who(name: object, language: str) -> str:
    """Return who decided, escaped: a pseudonym is shortened, a process says where it ran."""
    place, _, node = str(name).partition("@")
    if _PSEUDONYM.fullmatch(str(name)):
        return text("versions_who_maintainer", language, name=f"<code>{str(name)[:8]}</code>")
    if name == "shipped":
        return text("versions_who_shipped", language)
    if place in _PLACES and node:
        return text(_PLACES[place], language, name=html.escape(node[:80]))
    return html.escape(str(name)[:80]) or text("versions_who_unknown", language)


def lead_html(timeline: Timeline, language: str) -> str:
    """Return the tab's title, and that the registry is out of reach where it is."""
    problem = ""
    if timeline.problem is not None:
        words = (
            f"<p><b>{text('versions_unreachable', language)}</b></p><p>{html.escape(timeline.problem)}</p>"
        )
        problem = f'<div class="alert" role="alert">{words}</div>'
    lead = f'<p class="quiet">{text("versions_lead", language)}</p>'
    return f"<h2>{text('versions_title', language)}</h2>{lead}{problem}"


def serving_html(timeline: Timeline, standings: Sequence[Standing] | None, language: str) -> str:
    """Return the champion since when, and what each process serves; None for a board that cannot be read."""
    champion = timeline.entry(timeline.aliases.champion) or next(iter(timeline.entries), None)
    parts = []
    if champion is not None:
        headline = text("versions_serves", language, version=html.escape(champion.version))
        parts.append(
            f'<p class="glance-state">{role_chips(champion.roles[:1], language)}<b>{headline}</b></p>'
        )
        parts.append(f'<p class="quiet">{capital(_since(timeline, champion, language))}</p>')
    parts.append(f"<h3>{text('versions_who_serves', language)}</h3>")
    if standings is None:
        parts.append(f'<p class="quiet">{text("versions_board_unreadable", language)}</p>')
    else:
        parts.append(_board(standings, language))
        if len(standings) == 1:
            parts.append(f'<p class="fine">{text("versions_no_nodes", language)}</p>')
    return f'<div class="glance approve monitoring">{"".join(parts)}</div>'


def _since(timeline: Timeline, champion: Entry, language: str) -> str:
    if not timeline.recorded:
        return text("versions_shipped", language, retrain=command(_RETRAIN), promote=command(_PROMOTE))
    if champion.promoted is not None:
        return decision_html(champion.promoted, language)
    at = timeline.aliases.promoted_at
    return text("versions_serves_since", language, since=moment(at, language)) if at else ""


def _board(standings: Sequence[Standing], language: str) -> str:
    rows = []
    for at, standing in enumerate(standings):
        since = text("versions_serves_since", language, since=moment(standing.since, language))
        here = f"<small>{text('versions_here', language)}</small>" if at == 0 else ""
        rows.append(
            [
                f"{html.escape(standing.node)}{here}",
                f"{html.escape(standing.version)}<small>{since}</small>",
                _state(standing, language),
            ]
        )
    keys = ("versions_process", "versions_version", "versions_state")
    return table_html("", [text(key, language) for key in keys], rows, 3)


def _state(standing: Standing, language: str) -> str:
    seen = moment(standing.seen_at, language) if standing.seen_at is not None else ""
    words = text(f"versions_state_{standing.state}", language, seen=seen)
    tone, mark = (table.get(standing.state, other) for table, other in (
        (_STATE_TONES, "review"), (_STATE_ICONS, "unsure"),
    ))  # fmt: skip
    reason = f"<small>{html.escape(standing.reason)}</small>" if standing.reason else ""
    return f'<span class="since {tone}">{icon(mark)}{words}</span>{reason}'


def capital(sentence: str) -> str:
    """Return a clause as a sentence begins."""
    return sentence[:1].upper() + sentence[1:]


def role_chips(roles: Sequence[str], language: str) -> str:
    """Return the roles that a version plays as chips."""
    return "".join(
        f'<span class="role {ROLE_TONES[role]}">{text(f"versions_role_{role}", language)}</span>'
        for role in roles
        if role in ROLE_TONES
    )


def waiting_html(timeline: Timeline, shadow: ShadowReport | None, language: str) -> str:
    """Return the challenger that waits, with its gate and its shadow; or that none does."""
    entry = timeline.entry(timeline.aliases.challenger)
    if entry is None:
        help_ = text("versions_none_waits_help", language, retrain=command(_RETRAIN))
        return f'<h3>{text("versions_none_waits", language)}</h3><p class="quiet">{help_}</p>'
    gate = entry.release.gate
    key = "versions_waiting_unjudged" if gate is None else "versions_waiting"
    if gate is not None and not gate.passed:
        key = "versions_waiting_refused"
    headline = text(key, language, version=html.escape(entry.version))
    parts = [f"<h3>{role_chips(['challenger'], language)}<span>{headline}</span></h3>"]
    if entry.release.problem is not None:
        parts.append(f'<p class="since decline">{icon("alert")}{html.escape(entry.release.problem)}</p>')
    feedback = None if entry.release.summary is None else entry.release.summary.feedback
    if feedback is not None:
        parts.append(_paired(feedback, language))
    if gate is not None:
        parts.append(reasons_html(gate, language))
    parts.append(_shadow(shadow if shadow and shadow.challenger == entry.version else None, language))
    return "".join(parts)


def _paired(feedback: FeedbackSummary, language: str) -> str:
    """Return the gate's paired differences, one line a model."""
    rows = [
        [swatch(model) + MODEL_TITLES[model]]
        + [
            change_html(figures[name].value, figures[name], language) if name in figures else "\N{EM DASH}"
            for name in FIGURES
        ]
        for model, figures in feedback.differences.items()
        if model in MODEL_TITLES
    ]
    if not rows:
        return ""
    title = text("versions_paired_title", language, champion=html.escape(feedback.champion or ""))
    header = ["", *(text(f"versions_metric_{name}", language) for name in FIGURES)]
    return f"<h4>{title}</h4>{table_html('', header, rows)}"


def change_html(change: float, paired: Estimate | None, language: str, decimals: int = 3) -> str:
    """Return a change with its sign, and the paired interval where the gate gave one."""
    interval = ""
    if paired is not None and paired.low is not None and paired.high is not None:
        ends = (signed(end, language, decimals) for end in (paired.low, paired.high))
        interval = f' <span class="interval">[{", ".join(ends)}]</span>'
    return f'<span class="figure">{signed(change, language, decimals)}{interval}</span>'


def _shadow(report: ShadowReport | None, language: str) -> str:
    if report is None:
        return f'<p class="fine">{text("versions_shadow_none", language)}</p>'
    title = text("versions_shadow", language, champion=html.escape(report.champion))
    since = moment(report.since, language)
    if not report.n:
        return f'<h4>{title}</h4><p class="quiet">{text("versions_shadow_empty", language, since=since)}</p>'
    counts = {key: number(getattr(report, f"n_{key}"), language, 0) for key in ("dropped", "failed")}
    words = text("versions_shadow_counts", language, n=number(report.n, language, 0), since=since, **counts)
    rows = [
        [
            swatch(name) + MODEL_TITLES.get(name, html.escape(name)),
            percentage(model.n_equal / model.n, language),
            number(model.n_gained, language, 0),
            number(model.n_lost, language, 0),
            number(model.mean_difference, language, 4),
        ]
        for name, model in report.models.items()
        if model.n
    ]
    header = ["", *(text(key, language) for key in _SHADOW)]
    problem = f'<p class="since decline">{html.escape(report.problem)}</p>' if report.problem else ""
    return f'<h4>{title}</h4>{table_html("", header, rows)}<p class="fine">{words}</p>{problem}'


def estimate_html(found: Estimate, language: str, decimals: int = 3) -> str:
    """Return a figure and its interval."""
    value = f"<b>{number(found.value, language, decimals)}</b>"
    if found.low is None or found.high is None:
        return value
    ends = (number(end, language, decimals) for end in (found.low, found.high))
    return f'{value} <span class="interval">[{", ".join(ends)}]</span>'


def decision_html(decision: Decision, language: str) -> str:
    """Return a decision as a clause: what, when, by whom."""
    if decision.action not in ("promote", "rollback", "challenge", "reject"):
        return html.escape(str(decision.action)[:40])
    by, at = who(decision.who, language), moment(decision.at, language)
    return text(f"versions_did_{decision.action}", language, at=at, who=by)


def reasons_html(gate: GateSummary, language: str) -> str:
    """Return the refusals; or, of a pass, everything that spoke for it, closed."""
    rules = [rule for rule in gate.rules if not rule.passed] or list(gate.rules)
    said = [rule_sentence(rule, language) for rule in rules]
    sentences = [s for s in said if s is not None] if None not in said else list(gate.reasons)
    sentences = sentences or list(gate.reasons)
    if not sentences:
        return ""
    items = "".join(f"<li>{html.escape(capital(s))}</li>" for s in sentences)
    if not gate.passed:
        return f'<ul class="why-list">{items}</ul>'
    words = text("versions_gate_reasons", language, n=len(sentences))
    return f'<details><summary>{words}</summary><ul class="why-list">{items}</ul></details>'


# Deciding


def sure_html(
    action: str,
    version: str,
    champion: str,
    told: Sequence[str],
    language: str,
    *,
    judged: bool = True,
) -> str:
    """Return what a decision will do and who hears of it, before it is made."""
    names = {"version": html.escape(version), "champion": html.escape(champion)}
    lines = [f"<b>{text(f'versions_sure_{action}', language, **names)}</b>"]
    if action == "promote" and not judged:
        lines.append(text("versions_unjudged", language))
    if action != "reject":
        listed = ", ".join(html.escape(name) for name in told)
        key = "versions_tells" if told else "versions_tells_nobody"
        lines.append(text(key, language, names=listed))
    lines.append(text("versions_signed", language))
    return "".join(f"<p>{line}</p>" for line in lines)


def done_html(sentence: str, *more: str) -> str:
    """Return what a decision came to, announced to screen readers; everything is escaped."""
    body = "".join(f"<p>{html.escape(line)}</p>" for line in more)
    return f'<div class="receipt" role="status"><p class="committed">{html.escape(sentence)}</p>{body}</div>'
