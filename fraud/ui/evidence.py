"""What a maintainer looks at before deciding: pure markup of a case, in a language."""

import html
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from fraud import formats
from fraud.data.profile import Profile
from fraud.models.figures.labels import unit_name
from fraud.records import MODELS, Flag, Label, Prediction
from fraud.reviewing import ReviewCase
from fraud.ui.form import moment_of
from fraud.ui.texts import column_label, text

_SHOWN_VOTES = 8


def place_html(n_waiting: int, at_most: int, language: str) -> str:
    """Return how many cases wait; `at_most` of them are counted."""
    many = f"{at_most}+" if n_waiting >= at_most else str(n_waiting)
    key = "review_waiting_one" if n_waiting == 1 else "review_waiting"
    return f'<p class="quiet" role="status">{text(key, language, n=many)}</p>'


def empty_html(n_left: int, language: str) -> str:
    """Return why there is nothing to decide."""
    words = text("review_empty_left", language, n=n_left) if n_left else text("review_empty", language)
    return (
        f'<div class="sheet empty"><h3>{text("review_done", language)}</h3><p class="quiet">{words}</p></div>'
    )


def word_html(case: ReviewCase, language: str) -> str:
    """Return the reporter's word and comment, what others said of the same, and unsure findings so far."""
    flag = case.flag
    said = text(f"review_said_{flag.label.value}", language)
    held = text(f"review_verdict_{flag.verdict.value}", language)
    parts = [
        f'<h3 id="review-word">{said}</h3><p class="quiet">{held} \u00b7 '
        f"{formats.moment(flag.flagged_at.astimezone(UTC), language)} UTC \u00b7 "
        f"<code>{html.escape(flag.flag_id)}</code></p>"
    ]
    if case.stands_for is not None:
        stands_for = formats.number(case.stands_for, language, 0)
        parts.append(f'<p class="quiet">{text("review_stands_for", language, n=stands_for)}</p>')
    if flag.comment:
        parts.append(f"<blockquote>{html.escape(flag.comment)}</blockquote>")
    others = [vote for vote in case.votes if vote.flag_id != flag.flag_id]
    parts.append(_votes_html(others, language))
    for finding in case.findings:
        note = f": {html.escape(finding.note)}" if finding.note else ""
        parts.append(f'<p class="quiet">{text("review_unsure_before", language)}{note}</p>')
    return "".join(parts)


def _votes_html(votes: Sequence[Flag], language: str) -> str:
    if not votes:
        return f'<p class="quiet">{text("review_no_votes", language)}</p>'
    fraud = sum(vote.label is Label.FRAUD for vote in votes)
    words = text("review_votes", language, fraud=fraud, legitimate=len(votes) - fraud)
    items = "".join(
        f"<li>{text(f'label_{vote.label.value}', language)} \u00b7 "
        f"{formats.moment(vote.flagged_at.astimezone(UTC), language)}"
        + (f" \u00b7 {html.escape(vote.comment)}" if vote.comment else "")
        + "</li>"
        for vote in votes[-_SHOWN_VOTES:]
    )
    return f'<details><summary>{words}</summary><ul class="votes">{items}</ul></details>'


def facts_html(profile: Profile, transaction: Mapping[str, object], language: str) -> str:
    """Return the transaction as a list of its fields, in the profile's words."""
    order = [profile.columns.time, *(entity.column for entity in profile.entities), *profile.by_column]
    columns = [c for c in dict.fromkeys(order) if c is not None and transaction.get(c) is not None]
    items = "".join(
        f"<div><dt>{html.escape(column_label(profile, column, language))}</dt>"
        f"<dd>{html.escape(_fact(profile, column, transaction[column], language))}</dd></div>"
        for column in columns
    )
    return f'<h3>{text("transaction", language)}</h3><dl class="facts">{items}</dl>'


def _fact(profile: Profile, column: str, value: Any, language: str) -> str:
    if column == profile.columns.time:
        return formats.moment(moment_of(profile, value), language) if isinstance(value, str) else str(value)
    if isinstance(value, bool):
        return text("yes" if value else "no", language)
    if isinstance(value, int | float):
        if column == profile.columns.amount:
            return formats.money(float(value), profile.currency, language)
        field = profile.by_column.get(column)
        unit = unit_name(field.unit, language) if field is not None else ""
        return f"{formats.exact(float(value), language)} {unit}".strip()
    field = profile.by_column.get(column)
    if field is None or not field.levels:
        return str(value)
    label = field.level_labels.get(str(value))
    return formats.pretty(str(value)) if label is None else label.in_language(language)


def one_line(profile: Profile, case: ReviewCase, language: str) -> str:
    """Return a case as one line of plain text, to choose it from a list."""
    return " \u00b7 ".join([*_named(profile, case.prediction, language), _said(case, language)])


def _named(profile: Profile, prediction: Prediction, language: str) -> list[str]:
    roles, main, parts = profile.columns, profile.main_entity, []
    if main is not None and prediction.transaction.get(main.column):
        parts.append(str(prediction.transaction[main.column]))
    amount = prediction.transaction.get(roles.amount or "")
    if isinstance(amount, int | float):
        parts.append(formats.money(float(amount), profile.currency, language))
    for model in MODELS:
        shown = formats.probability(prediction.scores[model].fraud_probability, language)
        parts.append(f"{text(f'model_{model}', language)} {shown}")
    return parts


def _said(case: ReviewCase, language: str) -> str:
    return text(f"review_said_{case.flag.label.value}", language)
