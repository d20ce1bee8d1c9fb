"""The two answers as markup and figures: pure functions of a prediction, its reasons and a language."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fraud import formats
from fraud.data.profile import Profile
from fraud.models.report import MODEL_COLOURS
from fraud.records import MODELS, Prediction, Score, Thresholds
from fraud.serving.scorer import Explanation
from fraud.ui.form import moment_of
from fraud.ui.plots import Mark, PlainFigure, timeline_figure
from fraud.ui.reasons import reason_text
from fraud.ui.texts import column_label, text

N_REASONS = 5
_ICONS = {
    "approve": '<path d="M4 10.5l4 4 8-9"/>',
    "review": '<circle cx="8.5" cy="8.5" r="5"/><path d="M12.3 12.3L17 17"/>',
    "decline": '<path d="M5 5l10 10M15 5L5 15"/>',
    "agree": '<path d="M3 7.5h14M3 12.5h14"/>',
    "disagree": '<path d="M3 7.5h14M3 12.5h14M13.5 3l-7 14"/>',
    "alert": '<path d="M10 3L18 17H2Z M10 8.5v4 M10 14.6v.2"/>',
    "unsure": '<circle cx="10" cy="10" r="7.5"/><path d="M10 6v5M10 13.8v.2"/>',
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One reason in words, with its signed share and how that is written."""

    words: str
    contribution: float
    shown: str


def icon(name: str) -> str:
    """Return a small line drawing, hidden from screen readers: the words beside it say the same."""
    return f'<svg class="icon" viewBox="0 0 20 20" aria-hidden="true">{_ICONS[name]}</svg>'


def verdict_html(prediction: Prediction, language: str) -> str:
    """Return the line that says whether the models agree, with version and latency in small print."""
    decisions = [prediction.scores[model].decision.value for model in MODELS]
    if prediction.agree:
        words, kind = text(f"both_{decisions[0]}", language), "agree"
    else:
        kind = "disagree"
        words = text(
            "disagree",
            language,
            first=text(f"model_{MODELS[0]}", language),
            second=text(f"model_{MODELS[1]}", language),
            first_decision=text(f"would_{decisions[0]}", language),
            second_decision=text(f"would_{decisions[1]}", language),
        )
    small = text(
        "small_print",
        language,
        version=html.escape(prediction.model_version.version),
        latency=formats.number(prediction.latency_ms, language, 1),
    )
    return f'<div class="verdict {kind}"><p>{icon(kind)}<span>{words}</span></p><small>{small}</small></div>'


def stale_html(language: str) -> str:
    """Return the line that stands above answers to an earlier transaction."""
    return f'<div class="verdict stale"><p>{text("stale", language)}</p></div>'


def answer_html(score: Score, language: str) -> str:
    """Return one model's probability, decision and place between its thresholds."""
    name = text(f"model_{score.model}", language)
    decision = score.decision.value
    return (
        f'<div class="answer-head"><h3><span class="swatch" style="background:{MODEL_COLOURS[score.model]}">'
        f'</span>{name}</h3><span class="decision {decision}">{icon(decision)}'
        f"{text(f'decision_{decision}', language)}</span></div>"
        f'<p class="probability"><b>{formats.probability(score.fraud_probability, language)}</b> '
        f"<span>{text('fraud_probability', language).lower()}</span></p>"
        + _scale_html(score, language)
        + f'<div class="why"><h4>{text("why", language)}</h4><span class="legend"><i class="against"></i>'
        f'{text("towards_legitimate", language)} <i style="background:{MODEL_COLOURS[score.model]}"></i>'
        f"{text('towards_fraud', language)}</span></div>"
    )


def _scale_html(score: Score, language: str) -> str:
    review, decline = (
        formats.percentage(v, language) for v in (score.thresholds.review, score.thresholds.decline)
    )
    label = text(
        "scale_label",
        language,
        probability=formats.probability(score.fraud_probability, language),
        review=review,
        decline=decline,
    )
    decisions = ("approve", "review", "decline")
    zones = "".join(f'<span class="zone {decision}"></span>' for decision in decisions)
    names = "".join(
        f'<span style="left:{16.7 + 33.3 * i:.1f}%"{" class=here" if d == score.decision.value else ""}>'
        f"{text(f'decision_{d}', language)}</span>"
        for i, d in enumerate(decisions)
    )
    return (
        f'<div class="scale" role="img" aria-label="{html.escape(label)}"><div class="zones">{zones}'
        f'<span class="needle" style="left:{place(score.fraud_probability, score.thresholds):.1f}%"></span>'
        f'</div><div class="ticks">{names}<span class="cut" style="left:33.3%">{review}</span>'
        f'<span class="cut" style="left:66.7%">{decline}</span></div></div>'
    )


def place(probability: float, thresholds: Thresholds) -> float:
    """Return the needle's place in per cent: each decision has a third of the scale, linear within it."""
    bounds = (0.0, thresholds.review, thresholds.decline, 1.0)
    zone = {"approve": 0, "review": 1, "decline": 2}[thresholds.decide(probability).value]
    low, high = bounds[zone], bounds[zone + 1]
    share = 0.5 if high <= low else (probability - low) / (high - low)
    return 100 * (zone + min(max(share, 0.02), 0.98)) / 3


def bars(profile: Profile, explanation: Explanation, language: str) -> list[Bar]:
    """Return the strongest reasons in words, and what all others add up to."""
    shown = explanation.reasons[:N_REASONS]
    result = [
        Bar(
            reason_text(profile, reason, language),
            reason.contribution,
            _share(reason.contribution, explanation.scale, language),
        )
        for reason in shown
    ]
    rest = explanation.reasons[N_REASONS:]
    if rest:
        total = sum(reason.contribution for reason in rest)
        words = text("others", language, n=len(rest))
        result.append(Bar(words, total, _share(total, explanation.scale, language)))
    return result


def _share(contribution: float, scale: str, language: str) -> str:
    if scale == "probability":
        return f"{formats.signed(contribution * 100, language, 1)} pp"
    return formats.signed(contribution, language, 2)


def reasons_html(profile: Profile, explanation: Explanation, language: str) -> str:
    """Return one model's reasons as signed bars under their words, largest first; right speaks for fraud."""
    shown = bars(profile, explanation, language)
    low = min(0.0, *(bar.contribution for bar in shown))
    span = (max(0.0, *(bar.contribution for bar in shown)) - low) or 1.0
    zero = 100 * abs(low) / span
    items = "".join(_bar_html(bar, zero, 100 / span, language) for bar in shown)
    colour = MODEL_COLOURS[explanation.model]
    return (
        f'<ul class="signed" style="--model:{colour};--zero:{zero:.2f}%">{items}</ul>'
        f'<p class="fine">{_scale_words(explanation, language)}</p>'
    )


def _bar_html(bar: Bar, zero: float, scale: float, language: str) -> str:
    side = "towards_fraud" if bar.contribution > 0 else "towards_legitimate"
    width = abs(bar.contribution) * scale
    left = zero if bar.contribution > 0 else zero - width
    kind = "for" if bar.contribution > 0 else "against"
    return (
        f'<li><span class="words">{html.escape(bar.words)}</span> <b>{bar.shown}</b> '
        f'<span class="unseen">{text(side, language)}</span>'
        f'<span class="track" aria-hidden="true"><i class="{kind}" '
        f'style="left:{left:.2f}%;width:{width:.2f}%"></i></span></li>'
    )


def _scale_words(explanation: Explanation, language: str) -> str:
    total = explanation.expected + sum(reason.contribution for reason in explanation.reasons)
    if explanation.scale == "probability":
        ends = [f"{formats.number(value * 100, language, 1)}%" for value in (explanation.expected, total)]
    else:
        ends = [formats.number(value, language, 2) for value in (explanation.expected, total)]
    return text(f"scale_{explanation.scale}", language, expected=ends[0], total=ends[1])


def past_marks(
    profile: Profile, past: Sequence[Mapping[str, Any]], transaction: Mapping[str, Any], language: str
) -> list[Mark]:
    """Return what lies before the transaction, with the labels known at its moment, and the transaction."""
    roles = profile.columns
    if roles.time is None or roles.amount is None or transaction.get(roles.amount) is None:
        return []
    now = moment_of(profile, transaction[roles.time])
    marks = []
    for record in past:
        moment = moment_of(profile, record[roles.time])
        if moment < now and record.get(roles.amount) is not None:
            known = known_label(profile, record, moment, now)
            marks.append(_mark(profile, record, moment, known, language))
    return [*marks, _mark(profile, transaction, now, "this", language)]


def known_label(profile: Profile, record: Mapping[str, Any], moment: datetime, now: datetime) -> str:
    """Return what was known at `now` of a past transaction: "fraud", "legitimate" or "unknown"."""
    roles = profile.columns
    label = record.get(roles.label)
    if label is None:
        return "unknown"
    is_fraud = str(label) in roles.fraud_values
    known_at = moment + timedelta(days=profile.features.label_delay_days)
    reported = record.get(roles.label_at) if roles.label_at is not None else None
    if is_fraud and reported is not None:
        stamp = datetime.fromisoformat(str(reported))
        known_at = stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)
    if known_at >= now:
        return "unknown"
    return "fraud" if is_fraud else "legitimate"


def _mark(profile: Profile, record: Mapping[str, Any], moment: datetime, known: str, language: str) -> Mark:
    amount = float(record[profile.columns.amount])  # type: ignore[index]
    parts = [
        formats.money(amount, profile.currency, language),
        formats.moment(moment, language),
        text(f"mark_{known}", language),
    ]
    return Mark(moment, amount, known, " \u00b7 ".join(html.escape(part) for part in parts))


def past_figure(profile: Profile, marks: Sequence[Mark], language: str) -> PlainFigure:
    """Return the timeline of a card's amounts."""
    amount = column_label(profile, profile.columns.amount or "", language)
    axis = f"{amount} ({profile.currency})" if profile.currency else amount
    return timeline_figure(marks, text("mark_this", language), axis, formats.DATE_AXES[language])


def past_html(profile: Profile, entity: object, n_past: int, language: str) -> str:
    """Return the timeline's heading and what its marks mean, or why there is nothing to see."""
    main = profile.main_entity
    assert main is not None  # noqa: S101 (drawn for profiles with an entity only)
    label = main.label.in_language(language)
    lower = label[:1].lower() + label[1:]
    if not entity:
        return f'<p class="quiet">{text("past_untyped", language, entity=html.escape(lower))}</p>'
    name = html.escape(f"{lower} {entity}")
    if n_past == 0:
        return f'<p class="quiet">{text("past_none", language, entity=name)}</p>'
    legend = "".join(
        f'<span><i class="mark {mark}"></i>{text(f"mark_{mark}", language)}</span>'
        for mark in ("legitimate", "unknown", "fraud")
    )
    return f'<h3>{text("past", language, entity=name)}</h3><p class="marks">{legend}</p>'
